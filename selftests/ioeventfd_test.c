// SPDX-License-Identifier: GPL-2.0-only
/* VFIO_DEVICE_IOEVENTFD: writes to the device that are triggered by an eventfd. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/config.h"
#include "lib/edu.h"
#include "lib/harness.h"
#include "lib/irq.h"
#include "lib/nic.h"
#include "lib/power.h"

#define LIMIT 1000
#define ROUNDS 200

static int ioeventfd_raw(int fd, u32 flags, u64 offset, u64 data, int efd)
{
	struct vfio_device_ioeventfd io = {
		.argsz = sizeof(io), .flags = flags, .offset = offset, .data = data, .fd = efd,
	};

	return vfio_ioctl(fd, VFIO_DEVICE_IOEVENTFD, &io);
}

/* The value of a width's flag is that many bytes. */
static int ioeventfd(int fd, u32 bar, u64 pos, u32 width, u64 data, int efd)
{
	return ioeventfd_raw(fd, width, region_offset(bar) + pos, data, efd);
}

/* The in-tree driver writes some time after the signal, ours at once unless it cannot. */
static bool reads(int fd, u32 bar, u64 pos, u32 want)
{
	struct deadline d;

	deadline_start(&d);
	while (region_read32(fd, bar, pos) != want) {
		if (deadline_passed(&d))
			return false;
	}
	return true;
}

FIXTURE(edu)
{
	struct session s;
	int efd;
};

FIXTURE_SETUP(edu)
{
	SETUP_SESSION(&self->s, DEV_EDU);
	self->efd = event_new();
}

FIXTURE_TEARDOWN(edu)
{
	close(self->efd);
	session_close(&self->s);
}

TEST_F(edu, arguments)
{
	int fd = self->s.fd, efd = self->efd;
	struct vfio_device_ioeventfd io = {
		.argsz = offsetof(struct vfio_device_ioeventfd, reserved) - 1,
		.flags = VFIO_DEVICE_IOEVENTFD_32, .offset = EDU_INVERT, .fd = efd,
	};
	struct vfio_region_info info;

	EXPECT_EQ(-EINVAL, vfio_ioctl(fd, VFIO_DEVICE_IOEVENTFD, &io));
	EXPECT_EQ(-EFAULT, vfio_ioctl(fd, VFIO_DEVICE_IOEVENTFD, NULL));
	EXPECT_EQ(-EINVAL, ioeventfd_raw(fd, 0, EDU_INVERT, 0, efd));
	EXPECT_EQ(-EINVAL, ioeventfd_raw(fd, 3, EDU_INVERT, 0, efd));
	EXPECT_EQ(-EINVAL, ioeventfd_raw(fd, 0xf, EDU_INVERT, 0, efd));
	EXPECT_EQ(-EINVAL, ioeventfd_raw(fd, 0x10, EDU_INVERT, 0, efd));
	EXPECT_EQ(-EINVAL, ioeventfd_raw(fd, 0x14, EDU_INVERT, 0, efd));
	EXPECT_EQ(-EINVAL, ioeventfd_raw(fd, 1u << 31 | 4, EDU_INVERT, 0, efd));
	EXPECT_EQ(-EINVAL, ioeventfd(fd, 0, EDU_INVERT, 4, 0, -2));
	EXPECT_EQ(-EBADF, ioeventfd(fd, 0, EDU_INVERT, 4, 0, 1000));
	EXPECT_EQ(-EINVAL, ioeventfd(fd, 0, EDU_INVERT, 4, 0, self->s.iommufd));

	ASSERT_EQ(0, region_info(fd, 0, &info));
	EXPECT_EQ(-EINVAL, ioeventfd(fd, 0, info.size, 1, 0, efd));
	EXPECT_EQ(-EINVAL, ioeventfd(fd, 0, info.size - 4, 8, 0, efd));
	EXPECT_EQ(-EINVAL, ioeventfd(fd, 0, (1ull << 40) - 8, 8, 0, efd));
	EXPECT_EQ(-EINVAL, ioeventfd(fd, 1, 0, 4, 0, efd));
	EXPECT_EQ(-EINVAL, ioeventfd(fd, VFIO_PCI_ROM_REGION_INDEX, 0, 4, 0, efd));
	EXPECT_EQ(-EINVAL, ioeventfd(fd, VFIO_PCI_CONFIG_REGION_INDEX, 0x3c, 1, 0, efd));
	EXPECT_EQ(-EINVAL, ioeventfd(fd, VFIO_PCI_NUM_REGIONS, 0, 4, 0, efd));
	EXPECT_EQ(-EINVAL, ioeventfd_raw(fd, 4, ~0ull - 3, 0, efd));
	EXPECT_EQ(-EINVAL, ioeventfd_raw(fd, 8, ~0ull << 40, 0, efd));
	/* In-tree, this succeeds, and would be fatal on arm64. */
	if (driver_is_ours()) {
		EXPECT_EQ(-EINVAL, ioeventfd(fd, 0, EDU_INVERT + 2, 4, 0, efd));
		EXPECT_EQ(-EINVAL, ioeventfd(fd, 0, EDU_INVERT + 1, 2, 0, efd));
	}
	/* None of these has left anything behind. */
	EXPECT_EQ(-ENODEV, ioeventfd(fd, 0, EDU_INVERT, 4, 0, -1));

	/* The argument may end after the fd. */
	io.argsz++;
	EXPECT_EQ(0, vfio_ioctl(fd, VFIO_DEVICE_IOEVENTFD, &io));
}

TEST_F(edu, identity)
{
	int fd = self->s.fd, efd = self->efd, other = event_new();

	ASSERT_EQ(0, ioeventfd(fd, 0, EDU_INVERT, 4, 1, efd));
	EXPECT_EQ(-EEXIST, ioeventfd(fd, 0, EDU_INVERT, 4, 1, efd));
	EXPECT_EQ(-EEXIST, ioeventfd(fd, 0, EDU_INVERT, 4, 1, other));
	EXPECT_EQ(-ENODEV, ioeventfd(fd, 0, EDU_INVERT, 4, 2, -1));
	EXPECT_EQ(-ENODEV, ioeventfd(fd, 0, EDU_INVERT, 2, 1, -1));
	EXPECT_EQ(-ENODEV, ioeventfd(fd, 0, EDU_FACTORIAL, 4, 1, -1));
	/* All of the data is compared, even bits that are not written. */
	EXPECT_EQ(0, ioeventfd(fd, 0, EDU_INVERT, 4, 1ull << 32 | 1, efd));
	EXPECT_EQ(0, ioeventfd(fd, 0, EDU_INVERT, 4, 1ull << 32 | 1, -1));
	EXPECT_EQ(0, ioeventfd(fd, 0, EDU_INVERT, 4, 1, -1));
	EXPECT_EQ(-ENODEV, ioeventfd(fd, 0, EDU_INVERT, 4, 1, -1));
	EXPECT_EQ(0, ioeventfd(fd, 0, EDU_INVERT, 4, 1, other));
	close(other);
	/* It stays until it is removed, even if nobody can signal it any more. */
	EXPECT_EQ(-EEXIST, ioeventfd(fd, 0, EDU_INVERT, 4, 1, efd));
	EXPECT_EQ(0, ioeventfd(fd, 0, EDU_INVERT, 4, 1, -1));
}

/* The device returns the complement of what was last written. */
TEST_F(edu, writes)
{
	int fd = self->s.fd, other = event_new();

	ASSERT_EQ(0, ioeventfd(fd, 0, EDU_INVERT, 4, 0x12345678, self->efd));
	ASSERT_EQ(0, region_write32(fd, 0, EDU_INVERT, 0));
	EXPECT_EQ(0xffffffff, region_read32(fd, 0, EDU_INVERT));
	event_signal(self->efd);
	EXPECT_TRUE(reads(fd, 0, EDU_INVERT, ~0x12345678u));
	EXPECT_EQ(0, event_take(self->efd));

	/* Each eventfd has its own write. */
	ASSERT_EQ(0, ioeventfd(fd, 0, EDU_INVERT, 4, 0xcafe, other));
	event_signal(other);
	EXPECT_TRUE(reads(fd, 0, EDU_INVERT, ~0xcafeu));
	event_signal(self->efd);
	EXPECT_TRUE(reads(fd, 0, EDU_INVERT, ~0x12345678u));

	/* After removal, the signal stays in the eventfd. */
	ASSERT_EQ(0, ioeventfd(fd, 0, EDU_INVERT, 4, 0xcafe, -1));
	event_signal(other);
	EXPECT_EQ(1, event_take(other));
	EXPECT_EQ(~0x12345678u, region_read32(fd, 0, EDU_INVERT));
	close(other);
}

/* An earlier signal counts. */
TEST_F(edu, signalled_before)
{
	event_signal(self->efd);
	ASSERT_EQ(0, ioeventfd(self->s.fd, 0, EDU_INVERT, 4, 0x777, self->efd));
	EXPECT_TRUE(reads(self->s.fd, 0, EDU_INVERT, ~0x777u));
}

TEST_F(edu, limit)
{
	int i;

	for (i = 0; i < LIMIT; i++)
		ASSERT_EQ(0, ioeventfd(self->s.fd, 0, EDU_INVERT, 4, i, self->efd));
	EXPECT_EQ(-ENOSPC, ioeventfd(self->s.fd, 0, EDU_INVERT, 4, LIMIT, self->efd));
	EXPECT_EQ(-EEXIST, ioeventfd(self->s.fd, 0, EDU_INVERT, 4, LIMIT - 1, self->efd));
	EXPECT_EQ(0, ioeventfd(self->s.fd, 0, EDU_INVERT, 4, 500, -1));
	EXPECT_EQ(0, ioeventfd(self->s.fd, 0, EDU_INVERT, 4, LIMIT, self->efd));
	EXPECT_EQ(-ENOSPC, ioeventfd(self->s.fd, 0, EDU_INVERT, 4, LIMIT + 1, self->efd));
	/* All at once */
	event_signal(self->efd);
	/* All of them end with the session. */
	session_close(&self->s);
	ASSERT_EQ(0, session_open(&self->s, device_bdf(DEV_EDU)));
	EXPECT_EQ(-ENODEV, ioeventfd(self->s.fd, 0, EDU_INVERT, 4, 1, -1));
	for (i = 0; i < LIMIT; i++)
		ASSERT_EQ(0, ioeventfd(self->s.fd, 0, EDU_INVERT, 4, i, self->efd));
}

/* With memory decode off, writes are dropped, and not made up for later. */
TEST_F(edu, decode_off)
{
	int fd = self->s.fd;

	ASSERT_EQ(0, ioeventfd(fd, 0, EDU_INVERT, 4, 0xbad, self->efd));
	ASSERT_EQ(0, region_write32(fd, 0, EDU_INVERT, 0x600d));
	ASSERT_EQ(0, config_update(fd, PCI_COMMAND, 2, PCI_COMMAND_MEMORY, 0));
	event_signal(self->efd);
	EXPECT_EQ(0, event_take(self->efd));
	ASSERT_EQ(0, config_update(fd, PCI_COMMAND, 2, 0, PCI_COMMAND_MEMORY));
	EXPECT_EQ(~0x600du, region_read32(fd, 0, EDU_INVERT));
	event_signal(self->efd);
	EXPECT_TRUE(reads(fd, 0, EDU_INVERT, ~0xbadu));
}

/* Others turn decode off and on: a write may be dropped, but never goes to a device that is off. */
struct toggle {
	pthread_t thread;
	int fd;
	int efd;
	int err;
	bool stop;
};

static void *toggle_decode(void *arg)
{
	struct toggle *t = arg;
	int i;

	for (i = 0; i < ROUNDS && !t->err; i++) {
		t->err = config_update(t->fd, PCI_COMMAND, 2, PCI_COMMAND_MEMORY, 0);
		if (!t->err)
			t->err = config_update(t->fd, PCI_COMMAND, 2, 0, PCI_COMMAND_MEMORY);
	}
	__atomic_store_n(&t->stop, true, __ATOMIC_RELEASE);
	return NULL;
}

static void *add_and_remove(void *arg)
{
	struct toggle *t = arg;

	while (!__atomic_load_n(&t->stop, __ATOMIC_ACQUIRE) && !t->err) {
		t->err = ioeventfd(t->fd, 0, EDU_INVERT, 4, 0x22, t->efd);
		if (!t->err)
			t->err = ioeventfd(t->fd, 0, EDU_INVERT, 4, 0x22, -1);
	}
	return NULL;
}

TEST_F(edu, decode_toggles)
{
	struct toggle t = { .fd = self->s.fd, .efd = self->efd }, *p = &t;
	pthread_t other;

	ASSERT_EQ(0, ioeventfd(self->s.fd, 0, EDU_INVERT, 4, 0x11, self->efd));
	ASSERT_EQ(0, pthread_create(&t.thread, NULL, toggle_decode, &t));
	ASSERT_EQ(0, pthread_create(&other, NULL, add_and_remove, &t));
	while (!__atomic_load_n(&p->stop, __ATOMIC_ACQUIRE))
		event_signal(self->efd);
	pthread_join(t.thread, NULL);
	pthread_join(other, NULL);
	EXPECT_EQ(0, t.err);
	ASSERT_EQ(0, region_write32(self->s.fd, 0, EDU_INVERT, 0));
	event_signal(self->efd);
	EXPECT_TRUE(reads(self->s.fd, 0, EDU_INVERT, ~0x11u));
}

/* The device's interrupt triggers a write to it, in the interrupt handler. */
TEST_F(edu, from_an_interrupt)
{
	void *bar;

	ASSERT_EQ(0, config_master(self->s.fd, true));
	ASSERT_EQ(0, irq_eventfd(self->s.fd, VFIO_PCI_MSI_IRQ_INDEX, 0, self->efd));
	ASSERT_EQ(0, ioeventfd(self->s.fd, 0, EDU_INVERT, 4, 0x4711, self->efd));
	bar = bar_map(self->s.fd, 0, 0, 0);
	ASSERT_NE(NULL, bar);
	edu_raise(bar, 1);
	EXPECT_TRUE(reads(self->s.fd, 0, EDU_INVERT, ~0x4711u));
	edu_ack(bar, 1);
	bar_unmap(self->s.fd, 0, bar);
}

/* It ends with the session or the binding, even if somebody still has the eventfd. */
TEST_F(edu, after_close)
{
	ASSERT_EQ(0, ioeventfd(self->s.fd, 0, EDU_INVERT, 4, 0xbad, self->efd));
	session_close(&self->s);
	event_signal(self->efd);
	EXPECT_EQ(1, event_take(self->efd));
	ASSERT_EQ(0, session_open(&self->s, device_bdf(DEV_EDU)));
	ASSERT_EQ(0, region_write32(self->s.fd, 0, EDU_INVERT, 0x600d));
	event_signal(self->efd);
	EXPECT_EQ(1, event_take(self->efd));
	EXPECT_EQ(~0x600du, region_read32(self->s.fd, 0, EDU_INVERT));
}

TEST_F(edu, killed)
{
	int status, ready[2];
	pid_t pid;
	char c;

	session_close(&self->s);
	ASSERT_EQ(0, pipe(ready));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct session s;

		if (!session_open(&s, device_bdf(DEV_EDU)) &&
		    !ioeventfd(s.fd, 0, EDU_INVERT, 4, 0xbad, self->efd) &&
		    write(ready[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	ASSERT_EQ(1, read(ready[0], &c, 1));
	close(ready[0]);
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	event_signal(self->efd);
	EXPECT_EQ(1, event_take(self->efd));
	ASSERT_EQ(0, session_open(&self->s, device_bdf(DEV_EDU)));
}

TEST_F(edu, not_bound)
{
	int fd = vfio_cdev_open(device_bdf(DEV_EDU));

	ASSERT_LE(0, fd);
	EXPECT_EQ(-EINVAL, ioeventfd(fd, 0, EDU_INVERT, 4, 0, self->efd));
	close(fd);
}

/* ivshmem's BAR 2 is memory, which can be written with any width. */
TEST(widths)
{
	static const u64 data = 0x8877665544332211;
	int efd = event_new();
	u64 before = ~0ull, after, want;
	struct session s;
	const char *bdf;
	u32 width;

	SETUP_DEVICE(&bdf, DEV_IVSHMEM);
	ASSERT_EQ(0, session_open(&s, bdf));
	for (width = 1; width <= 8; width *= 2) {
		u64 pos = 0x1000 + 16 * width;

		ASSERT_EQ(8, region_pwrite(s.fd, 2, pos, &before, 8));
		ASSERT_EQ(0, ioeventfd(s.fd, 2, pos, width, data, efd));
		event_signal(efd);
		want = width == 8 ? data : ~0ull << 8 * width | (data & ~(~0ull << 8 * width));
		EXPECT_TRUE(reads(s.fd, 2, pos, (u32)want));
		ASSERT_EQ(8, region_pread(s.fd, 2, pos, &after, 8));
		EXPECT_EQ(want, after);
		ASSERT_EQ(0, ioeventfd(s.fd, 2, pos, width, data, -1));
	}
	session_close(&s);
	close(efd);
}

/* The MSI-X table belongs to the host, but not what is around it. */
TEST(msix_table)
{
	u32 table, bar, start, end, flags;
	int pos, efd = event_new();
	struct session s;
	const char *bdf;

	SETUP_DEVICE(&bdf, DEV_IGB);
	ASSERT_EQ(0, session_open(&s, bdf));
	pos = config_cap(s.fd, PCI_CAP_ID_MSIX);
	ASSERT_LT(0, pos);
	table = config_read(s.fd, pos + PCI_MSIX_TABLE, 4);
	flags = config_read(s.fd, pos + PCI_MSIX_FLAGS, 2);
	bar = table & PCI_MSIX_TABLE_BIR;
	start = table & PCI_MSIX_TABLE_OFFSET;
	end = start + 16 * ((flags & PCI_MSIX_FLAGS_QSIZE) + 1);

	EXPECT_EQ(-EINVAL, ioeventfd(s.fd, bar, start, 4, 0, efd));
	EXPECT_EQ(-EINVAL, ioeventfd(s.fd, bar, end - 1, 1, 0, efd));
	EXPECT_EQ(-EINVAL, ioeventfd(s.fd, bar, end - 8, 8, 0, efd));
	EXPECT_EQ(0, ioeventfd(s.fd, bar, end, 8, 0, efd));
	if (start) {
		EXPECT_EQ(0, ioeventfd(s.fd, bar, start - 4, 4, 0, efd));
	}
	session_close(&s);
	close(efd);
}

/* igb's ports: an address register and a data register (82576 datasheet 3.1.1.2.4). */
TEST(ports)
{
	int efd = event_new(), bar;
	struct vfio_region_info info;
	struct session s;
	const char *bdf;

	SETUP_DEVICE(&bdf, DEV_IGB);
	ASSERT_EQ(0, session_open(&s, bdf));
	for (bar = 1; bar < 6; bar++) {
		ASSERT_EQ(0, region_info(s.fd, bar, &info));
		if (info.size == 0x20)
			break;
	}
	ASSERT_GT(6, bar);
	ASSERT_EQ(0, ioeventfd(s.fd, bar, 0, 4, NIC_STATUS, efd));
	event_signal(efd);
	EXPECT_TRUE(reads(s.fd, bar, 0, NIC_STATUS));
	session_close(&s);
	close(efd);
}

/* While it sleeps, nothing is written, and a signal does not wake it up. */
TEST(low_power)
{
	int efd = event_new();
	struct session s;
	const char *bdf;

	SETUP_DEVICE(&bdf, DEV_IGB);
	ASSERT_EQ(0, session_open(&s, bdf));
	power_no_delay(bdf);
	ASSERT_EQ(0, ioeventfd(s.fd, 0, NIC_RDBAL, 4, 0x1000, efd));
	ASSERT_EQ(0, region_write32(s.fd, 0, NIC_RDBAL, 0x2000));
	ASSERT_EQ(0, low_power_entry(s.fd));
	EXPECT_TRUE(power_sleeps(bdf));
	event_signal(efd);
	EXPECT_EQ(0, event_take(efd));
	EXPECT_TRUE(power_is(bdf, "power/runtime_status", "suspended"));
	ASSERT_EQ(0, low_power_exit(s.fd));
	EXPECT_EQ(0x2000, region_read32(s.fd, 0, NIC_RDBAL));
	event_signal(efd);
	EXPECT_TRUE(reads(s.fd, 0, NIC_RDBAL, 0x1000));
	session_close(&s);
	close(efd);
}

TEST_HARNESS_MAIN
