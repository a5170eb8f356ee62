// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measures the cost of operations on the loaded driver, in nanoseconds of CLOCK_MONOTONIC. In a
 * machine that counts instructions (vm --icount), these are instructions, and time slept.
 *
 * Prints "OPERATION<tab>FLOOR<tab>COST" lines; FLOOR names the operation that is the cheapest
 * system call of the same kind, "-" for none. qemu-tests/bench makes a table of two such runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/devices.h"
#include "lib/edu_mig.h"
#include "lib/iommufd.h"
#include "lib/irq.h"
#include "lib/migration.h"
#include "lib/nesting.h"
#include "lib/nic.h"
#include "lib/region.h"
#include "lib/session.h"

#define VECTORS		64
#define CALLS		2000
/* Expensive operations are repeated less often. */
#define ROUNDS		5

/* BAR of ivshmem with its memory */
#define IVSHMEM_MEMORY	VFIO_PCI_BAR2_REGION_INDEX

static s64 now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static void result(const char *name, const char *floor, s64 cost)
{
	printf("%s\t%s\t%lld\n", name, floor, (long long)cost);
	fflush(stdout);
}

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "bench: %s failed: %s\n", what, strerror(errno));
	exit(1);
}

static void need0(int err, const char *what)
{
	errno = -err;
	need(!err, what);
}

/* The average cost of @call, after some calls to warm up. */
#define MEASURE(name, floor, call) do {				\
	s64 start_;						\
	int i_;							\
								\
	for (i_ = 0; i_ < CALLS / 10; i_++)			\
		(void)(call);					\
	start_ = now();						\
	for (i_ = 0; i_ < CALLS; i_++)				\
		(void)(call);					\
	result(name, floor, (now() - start_) / CALLS);		\
} while (0)

static int compare(const void *a, const void *b)
{
	s64 x = *(const s64 *)a, y = *(const s64 *)b;

	return x < y ? -1 : x > y;
}

static s64 median(s64 *values, int n)
{
	qsort(values, n, sizeof(*values), compare);
	return values[n / 2];
}

static void bench_floor(void)
{
	int zero = open("/dev/zero", O_RDWR), null = open("/dev/null", O_RDWR);
	int efd = event_new();
	u64 count = 1;
	u8 buf[256];

	need(zero >= 0 && null >= 0, "opening /dev/zero and /dev/null");
	MEASURE("floor: read of 4 bytes", "-", pread(zero, buf, 4, 0));
	MEASURE("floor: read of 256 bytes", "-", pread(zero, buf, 256, 0));
	MEASURE("floor: write of 4 bytes", "-", pwrite(null, buf, 4, 0));
	MEASURE("floor: ioctl", "-", ioctl(zero, VFIO_DEVICE_GET_INFO, buf));
	MEASURE("floor: eventfd", "-", write(efd, &count, 8) + read(efd, &count, 8));
	close(zero);
	close(null);
	close(efd);
}

#define READ_FLOOR	"floor: read of 4 bytes"
#define WRITE_FLOOR	"floor: write of 4 bytes"
#define IOCTL_FLOOR	"floor: ioctl"

static void bench_config(int fd)
{
	off_t config = region_offset(VFIO_PCI_CONFIG_REGION_INDEX);
	u8 buf[256];
	u32 val;

	need(pread(fd, &val, 4, config + PCI_CLASS_REVISION) == 4, "reading config space");
	MEASURE("config: read 4 bytes, IDs", READ_FLOOR, pread(fd, &val, 4, config));
	MEASURE("config: read 4 bytes, class code", READ_FLOOR,
		pread(fd, &val, 4, config + PCI_CLASS_REVISION));
	MEASURE("config: read command", READ_FLOOR, pread(fd, &val, 2, config + PCI_COMMAND));
	MEASURE("config: write command", WRITE_FLOOR, pwrite(fd, &val, 2, config + PCI_COMMAND));
	need(pread(fd, &val, 4, config + PCI_BASE_ADDRESS_0) == 4, "reading a BAR");
	MEASURE("config: write a BAR", WRITE_FLOOR,
		pwrite(fd, &val, 4, config + PCI_BASE_ADDRESS_0));
	MEASURE("config: read all 256 bytes", "floor: read of 256 bytes",
		pread(fd, buf, 256, config));
}

static void bench_info(int fd)
{
	struct vfio_device_info device = { .argsz = sizeof(device) };
	struct vfio_region_info region = { .argsz = sizeof(region) };
	struct vfio_irq_info irq = { .argsz = sizeof(irq), .index = VFIO_PCI_MSIX_IRQ_INDEX };

	MEASURE("GET_INFO", IOCTL_FLOOR, ioctl(fd, VFIO_DEVICE_GET_INFO, &device));
	MEASURE("GET_REGION_INFO", IOCTL_FLOOR, ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &region));
	MEASURE("GET_IRQ_INFO", IOCTL_FLOOR, ioctl(fd, VFIO_DEVICE_GET_IRQ_INFO, &irq));
}

/* Accesses to a BAR that is plain memory, so that only the driver costs anything. */
static void bench_bar(int fd)
{
	off_t bar = region_offset(IVSHMEM_MEMORY);
	static const char * const names[][2] = {
		{ "BAR: read 1 byte", "BAR: write 1 byte" },
		{ "BAR: read 2 bytes", "BAR: write 2 bytes" },
		{ "BAR: read 4 bytes", "BAR: write 4 bytes" },
		{ "BAR: read 8 bytes", "BAR: write 8 bytes" },
	};
	u64 val = 0;
	int i;

	need(pread(fd, &val, 8, bar) == 8, "reading a BAR");
	for (i = 0; i < 4; i++)
		MEASURE(names[i][0], READ_FLOOR, pread(fd, &val, 1 << i, bar));
	for (i = 0; i < 4; i++)
		MEASURE(names[i][1], WRITE_FLOOR, pwrite(fd, &val, 1 << i, bar));
}

static void bench_irq(int fd)
{
	int efd = event_new();
	struct {
		struct vfio_irq_set set;
		int data;
	} loopback = {
		.set = {
			.argsz = sizeof(loopback.set),
			.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = VFIO_PCI_MSIX_IRQ_INDEX,
			.count = 1,
		},
	};
	void *bar = bar_map(fd, VFIO_PCI_BAR0_REGION_INDEX, 0, 0);
	u64 count;

	need(bar, "mapping igb's BAR 0");
	need0(config_master(fd, true), "turning bus mastering on");
	need0(irq_eventfd(fd, VFIO_PCI_MSIX_IRQ_INDEX, 0, efd), "turning MSI-X on");
	MEASURE("MSI-X: loopback to eventfd", "floor: eventfd",
		ioctl(fd, VFIO_DEVICE_SET_IRQS, &loopback) + read(efd, &count, 8));

	igb_msix_setup(bar);
	MEASURE("MSI-X: device interrupt to eventfd", "floor: eventfd", ({
		igb_msix_raise(bar, 1);
		while (read(efd, &count, 8) != 8)
			;
		0;
	}));
	need0(irq_disable(fd, VFIO_PCI_MSIX_IRQ_INDEX), "turning MSI-X off");
	bar_unmap(fd, VFIO_PCI_BAR0_REGION_INDEX, bar);
	close(efd);
}

static void bench_vectors(int fd)
{
	s64 together[ROUNDS], off[ROUNDS], single[ROUNDS], start;
	int efds[VECTORS], round, i;

	for (i = 0; i < VECTORS; i++)
		efds[i] = event_new();
	for (round = 0; round < ROUNDS; round++) {
		start = now();
		need0(irq_eventfds(fd, VFIO_PCI_MSIX_IRQ_INDEX, 0, efds, VECTORS), "64 vectors");
		together[round] = now() - start;
		start = now();
		need0(irq_disable(fd, VFIO_PCI_MSIX_IRQ_INDEX), "turning MSI-X off");
		off[round] = now() - start;
		start = now();
		for (i = 0; i < VECTORS; i++)
			need0(irq_eventfd(fd, VFIO_PCI_MSIX_IRQ_INDEX, i, efds[i]), "a vector");
		single[round] = now() - start;
		need0(irq_disable(fd, VFIO_PCI_MSIX_IRQ_INDEX), "turning MSI-X off");
	}
	result("MSI-X: 64 vectors on, together", "-", median(together, ROUNDS));
	result("MSI-X: 64 vectors on, one by one", "-", median(single, ROUNDS));
	result("MSI-X: 64 vectors off", "-", median(off, ROUNDS));
	for (i = 0; i < VECTORS; i++)
		close(efds[i]);
}

static void bench_attach(struct session *s)
{
	u32 pts[2] = { s->ioas }, pt;
	s64 cycle[ROUNDS], swap[ROUNDS], start;
	int round;

	need0(ioas_alloc(s->iommufd, &pts[1]), "a second IOAS");
	for (round = 0; round < ROUNDS; round++) {
		start = now();
		need0(vfio_detach(s->fd), "detaching");
		pt = pts[0];
		need0(vfio_attach(s->fd, &pt), "attaching");
		cycle[round] = now() - start;
	}
	for (round = 0; round < ROUNDS; round++) {
		start = now();
		pt = pts[!(round & 1)];
		need0(vfio_attach(s->fd, &pt), "replacing");
		swap[round] = now() - start;
	}
	result("detach and attach", "-", median(cycle, ROUNDS));
	result("replace", "-", median(swap, ROUNDS));
}

/* The cost for a VMM when its guest changes a device's tables, or an entry in them */
static void bench_nesting(struct session *s)
{
	s64 swap[ROUNDS], page[ROUNDS], start;
	u32 pts[2], pt, vdevice;
	struct stage1 s1;
	struct nesting n;
	int round;

	need0(nesting_open(&n, s), "an IOMMU that nests");
	if (n.viommu)
		need0(vdevice_alloc(n.iommufd, n.viommu, n.devid, 1, &vdevice), "a vDEVICE");
	stage1_init(&s1, &n, 1);
	stage1_map(&s1, 0, guest_page(&n), true);
	need0(stage1_hwpt(&s1, &pts[0]), "a nested HWPT");
	pts[1] = n.parent;
	for (round = 0; round < ROUNDS; round++) {
		start = now();
		pt = pts[round & 1];
		need0(vfio_attach(s->fd, &pt), "replacing");
		swap[round] = now() - start;
	}
	pt = pts[0];
	need0(vfio_attach(s->fd, &pt), "attaching");
	for (round = 0; round < ROUNDS; round++) {
		start = now();
		need0(stage1_invalidate(&s1, pts[0], 0), "invalidating");
		page[round] = now() - start;
	}
	result("nested: replace", "-", median(swap, ROUNDS));
	result("nested: invalidate a page", "-", median(page, ROUNDS));
}

/* What edu-mig has of a DMA engine (qemu-tests/qemu-patches) */
#define MIG_STATUS	0x04
#define MIG_ADDR	0x08
#define MIG_OFFSET	0x10
#define MIG_LENGTH	0x14
#define MIG_COMMAND	0x18
#define MIG_DELAY	0x1c
#define MIG_BUSY	0x1
#define MIG_WRITE	0x3
#define MIG_SIZE	(4 << 20)

#define TRACKED_SIZE	(64 << 20)
#define TRACKED_PAGES	(TRACKED_SIZE / 4096)

static s64 time_dma(void *bar, u64 iova)
{
	s64 start = now();

	mmio_write64(bar, MIG_ADDR, iova);
	mmio_write32(bar, MIG_OFFSET, 0);
	mmio_write32(bar, MIG_LENGTH, MIG_SIZE);
	mmio_write32(bar, MIG_COMMAND, MIG_WRITE);
	while (mmio_read32(bar, MIG_STATUS) & MIG_BUSY)
		;
	need(!mmio_read32(bar, MIG_STATUS), "DMA by edu-mig");
	return now() - start;
}

static s64 time_bitmap(const struct session *s, u32 hwpt)
{
	static u64 bitmap[TRACKED_PAGES / 64];
	s64 start = now();

	need0(hwpt_get_dirty_bitmap(s->iommufd, hwpt, 0, 0, TRACKED_SIZE, 4096, bitmap),
	      "a dirty bitmap");
	return now() - start;
}

/* The cost of reading dirty bitmaps, and of tracking for the device */
static void bench_dirty(struct session *s)
{
	struct iommu_hwpt_alloc cmd = {
		.flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
		.dev_id = s->devid,
	};
	s64 clean[ROUNDS], dirty[ROUNDS], untracked[ROUNDS], tracked[ROUNDS];
	void *bar = bar_map(s->fd, VFIO_PCI_BAR0_REGION_INDEX, 0, 0);
	int round, i;
	u32 pt;

	need(bar, "mapping edu-mig's BAR 0");
	need0(config_master(s->fd, true), "turning bus mastering on");
	mmio_write32(bar, MIG_DELAY, 1);
	need0(ioas_alloc(s->iommufd, &cmd.pt_id), "an IOAS");
	need0(ioas_small_pages(s->iommufd, cmd.pt_id), "an IOAS of 4 KiB pages");
	need0(ioas_map(s->iommufd, cmd.pt_id, dma_alloc(TRACKED_SIZE), TRACKED_SIZE, 0), "memory");
	need0(hwpt_alloc_raw(s->iommufd, &cmd), "an IOMMU that tracks");
	pt = cmd.out_hwpt_id;
	need0(vfio_attach(s->fd, &pt), "attaching");
	for (round = 0; round < ROUNDS; round++)
		untracked[round] = time_dma(bar, 0);
	need0(hwpt_set_dirty_tracking(s->iommufd, pt, true), "tracking");
	for (round = 0; round < ROUNDS; round++) {
		clean[round] = time_bitmap(s, pt) / TRACKED_PAGES;
		tracked[round] = time_dma(bar, 0);
		for (i = 1; i < TRACKED_SIZE / MIG_SIZE; i++)
			time_dma(bar, i * MIG_SIZE);
		dirty[round] = time_bitmap(s, pt) / TRACKED_PAGES;
	}
	result("dirty bitmap: a page that is clean", "-", median(clean, ROUNDS));
	result("dirty bitmap: a page that is dirty", "-", median(dirty, ROUNDS));
	result("DMA of 4 MiB, not tracked", "-", median(untracked, ROUNDS));
	result("DMA of 4 MiB, tracked, all pages clean", "-", median(tracked, ROUNDS));
	bar_unmap(s->fd, VFIO_PCI_BAR0_REGION_INDEX, bar);
}

#define STATE_SIZE	(1 << 20)

static s64 time_read(int fd, void *buf)
{
	s64 start = now();

	need(read(fd, buf, STATE_SIZE) == STATE_SIZE, "reading 1 MiB");
	return now() - start;
}

/* The copy itself: of 1 MiB that lies in memory in one piece, into the same buffer */
static void bench_copy(void *buf)
{
	int fd = memfd_create("copy", MFD_HUGETLB);
	s64 cost[ROUNDS];
	int round;

	need0(sysfs_write("4", "/proc/sys/vm/nr_hugepages"), "huge pages");
	need(fd >= 0 && !ftruncate(fd, 2 * STATE_SIZE) && !posix_fallocate(fd, 0, 2 * STATE_SIZE),
	     "a file of huge pages");
	for (round = 0; round < ROUNDS; round++) {
		need(!lseek(fd, 0, SEEK_SET), "seeking");
		cost[round] = time_read(fd, buf);
	}
	result("floor: copy of 1 MiB", "-", median(cost, ROUNDS));
	close(fd);
}

static s64 time_set(int fd, u32 state, int *data_fd)
{
	s64 start = now();

	need0(mig_set(fd, state, data_fd), "a state");
	return now() - start;
}

/* What it costs a VMM to have a device's state, and to change states while nothing is going on */
static void bench_migration(const char *bdf)
{
	static const struct {
		u32 from, to;
		const char *name;
	} steps[] = {
		{ VFIO_DEVICE_STATE_RUNNING, VFIO_DEVICE_STATE_RUNNING,
		  "SET of a state: the one it is in" },
		{ VFIO_DEVICE_STATE_RUNNING, VFIO_DEVICE_STATE_RUNNING_P2P,
		  "SET of a state: RUNNING to RUNNING_P2P" },
		{ VFIO_DEVICE_STATE_RUNNING_P2P, VFIO_DEVICE_STATE_STOP,
		  "SET of a state: RUNNING_P2P to STOP" },
		{ VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_RUNNING_P2P,
		  "SET of a state: STOP to RUNNING_P2P" },
		{ VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_RESUMING,
		  "SET of a state: STOP to RESUMING" },
		{ VFIO_DEVICE_STATE_RUNNING, VFIO_DEVICE_STATE_PRE_COPY,
		  "SET of a state: RUNNING to PRE_COPY" },
		{ VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_STOP_COPY,
		  "SET of a state: STOP to STOP_COPY" },
	};
	int zero = open("/dev/zero", O_RDWR), round, data_fd;
	s64 first[ROUNDS], second[ROUNDS], cost[ROUNDS];
	void *buf = dma_alloc(2 * STATE_SIZE);
	struct edu_mig edu;
	size_t i;

	need(zero >= 0, "opening /dev/zero");
	MEASURE(IOCTL_FLOOR, "-", ioctl(zero, VFIO_DEVICE_GET_INFO, buf));
	bench_copy(buf);
	need0(sysfs_bind(bdf), "binding edu-mig");
	need0(edu_mig_open(&edu, bdf), "a session on edu-mig");
	for (round = 0; round < ROUNDS; round++) {
		need0(mig_set(edu.s.fd, VFIO_DEVICE_STATE_STOP_COPY, &data_fd), "STOP_COPY");
		/* The driver reads ahead. */
		sleep(2);
		first[round] = time_read(data_fd, buf);
		second[round] = time_read(data_fd, buf);
		need0(mig_set(edu.s.fd, VFIO_DEVICE_STATE_RUNNING, NULL), "RUNNING");
		close(data_fd);
	}
	result("read of 1 MiB of state", "floor: copy of 1 MiB", median(first, ROUNDS));
	result("read of 1 MiB of state, the next one", "floor: copy of 1 MiB",
	       median(second, ROUNDS));
	for (i = 0; i < LIB_ARRAY_SIZE(steps); i++) {
		for (round = 0; round < ROUNDS; round++) {
			need0(vfio_ioctl(edu.s.fd, VFIO_DEVICE_RESET, NULL), "a reset");
			need0(mig_set(edu.s.fd, steps[i].from, NULL), "a state");
			cost[round] = time_set(edu.s.fd, steps[i].to, &data_fd);
			if (data_fd >= 0)
				close(data_fd);
		}
		result(steps[i].name, IOCTL_FLOOR, median(cost, ROUNDS));
	}
	edu_mig_close(&edu);
	close(zero);
}

static long faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt + usage.ru_majflt;
}

/* A mapping as a simple program makes it, with mmap() at no particular address */
static void bench_touch(const char *bdf, const char *name, const char *faults_name)
{
	struct vfio_region_info info;
	struct session s;
	s64 start;
	size_t off;
	long count;
	char *bar;

	need0(session_open(&s, bdf), "a session");
	need0(region_info(s.fd, IVSHMEM_MEMORY, &info), "GET_REGION_INFO");
	need0(config_update(s.fd, PCI_COMMAND, 2, 0, PCI_COMMAND_MEMORY), "memory decode");
	bar = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED, s.fd, info.offset);
	need(bar != MAP_FAILED, "mapping a BAR");
	count = faults();
	start = now();
	for (off = 0; off < info.size; off += 4096)
		*(volatile char *)(bar + off);
	result(name, "-", now() - start);
	result(faults_name, "-", faults() - count);
	munmap(bar, info.size);
	session_close(&s);
}

/* From open() to the first successful read of a register */
static s64 time_open(struct session *s, const char *bdf)
{
	s64 start = now();

	need0(session_open(s, bdf), "a session");
	need0(config_update(s->fd, PCI_COMMAND, 2, 0, PCI_COMMAND_MEMORY), "memory decode");
	need(region_read32(s->fd, VFIO_PCI_BAR0_REGION_INDEX, 8) >= 0, "a register");
	return now() - start;
}

static s64 time_close(struct session *s)
{
	s64 start = now();

	session_close(s);
	return now() - start;
}

static void bench_session(const char *bdf)
{
	s64 awake[ROUNDS], asleep[ROUNDS], again[ROUNDS], closing[ROUNDS];
	struct session s;
	int round;

	for (round = 0; round < ROUNDS; round++) {
		/* Long enough for any reset, but not for an idle device to be suspended. */
		usleep(500 * 1000);
		awake[round] = time_open(&s, bdf);
		closing[round] = time_close(&s);
		again[round] = closing[round] + time_open(&s, bdf);
		session_close(&s);
		sleep(10);
		asleep[round] = time_open(&s, bdf);
		session_close(&s);
	}
	result("session: open to ready, soon after another", "-", median(awake, ROUNDS));
	result("session: open to ready, idle for long", "-", median(asleep, ROUNDS));
	result("session: close, and open at once to ready", "-", median(again, ROUNDS));
	result("session: close", "-", median(closing, ROUNDS));
}

struct opener {
	pthread_t thread;
	char bdf[BDF_LEN];
	struct session session;
};

static void *open_one(void *arg)
{
	struct opener *o = arg;

	need0(session_open(&o->session, o->bdf), "a session on a VF");
	return NULL;
}

/* Arguments: the BDFs of VFs */
static void bench_parallel(char **bdfs, int n)
{
	struct opener *openers = calloc(n, sizeof(*openers));
	s64 start;
	int i;

	for (i = 0; i < n; i++) {
		snprintf(openers[i].bdf, BDF_LEN, "%s", bdfs[i]);
		need0(sysfs_bind(bdfs[i]), "binding a VF");
	}
	sleep(2);
	start = now();
	for (i = 0; i < n; i++)
		need(!pthread_create(&openers[i].thread, NULL, open_one, &openers[i]), "a thread");
	for (i = 0; i < n; i++)
		pthread_join(openers[i].thread, NULL);
	result("session: open 7 VFs by 7 threads", "-", now() - start);
	for (i = 0; i < n; i++)
		session_close(&openers[i].session);
	free(openers);
}

int main(int argc, char **argv)
{
	const char *nvme = device_bdf(DEV_NVME), *igb = device_bdf(DEV_IGB);
	const char *ivshmem = device_bdf(DEV_IVSHMEM);
	char large[BDF_LEN], bdf[BDF_LEN];
	struct session s;

	if (argc == 2 && !strcmp(argv[1], "--nesting")) {
		need0(session_open(&s, nvme), "a session on nvme");
		bench_nesting(&s);
		session_close(&s);
		return 0;
	}

	if (argc == 2 && !strcmp(argv[1], "--dirty")) {
		need0(sysfs_find(0x1234, 0x11ea, 0, bdf), "finding edu-mig");
		need0(session_open(&s, bdf), "a session on edu-mig");
		bench_dirty(&s);
		session_close(&s);
		return 0;
	}

	if (argc == 2 && !strcmp(argv[1], "--migration")) {
		need0(sysfs_find(0x1234, 0x11ea, 0, bdf), "finding edu-mig");
		bench_migration(bdf);
		return 0;
	}

	need(nvme && igb && ivshmem && !sysfs_find(0x1af4, 0x1110, 1, large),
	     "finding nvme, igb and two ivshmem devices");

	bench_floor();
	need0(session_open(&s, igb), "a session on igb");
	need0(config_update(s.fd, PCI_COMMAND, 2, 0, PCI_COMMAND_MEMORY), "memory decode");
	bench_config(s.fd);
	bench_info(s.fd);
	bench_irq(s.fd);
	session_close(&s);

	need0(session_open(&s, ivshmem), "a session on ivshmem");
	need0(config_update(s.fd, PCI_COMMAND, 2, 0, PCI_COMMAND_MEMORY), "memory decode");
	bench_bar(s.fd);
	session_close(&s);
	bench_touch(ivshmem, "first touch of a 256 MiB BAR", "faults: 256 MiB BAR");
	bench_touch(large, "first touch of a 1 GiB BAR", "faults: 1 GiB BAR");

	need0(session_open(&s, nvme), "a session on nvme");
	bench_vectors(s.fd);
	bench_attach(&s);
	session_close(&s);
	bench_session(nvme);
	if (argc > 1)
		bench_parallel(argv + 1, argc - 1);
	return 0;
}
