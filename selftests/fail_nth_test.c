// SPDX-License-Identifier: GPL-2.0-only
/*
 * Let every allocation fail once (Documentation/fault-injection): the n-th one of a step, for n
 * from 1 until the step succeeds without a failure. The result of the step does not matter; but it
 * must succeed afterwards, and the kernel must find no leak and no use after free.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include "lib/config.h"
#include "lib/harness.h"
#include "lib/iommufd.h"
#include "lib/irq.h"
#include "lib/migration.h"
#include "lib/power.h"
#include "lib/region.h"

#define DEBUGFS "/sys/kernel/debug"
#define MAX_NTH 2000
#define VECTORS 4
#define IOVA 0x1000000ull

FIXTURE(fail_nth)
{
	struct session s;
	int nth_fd;
	int nth;
	int efd[VECTORS];
	u32 msg;
	u32 nvec;
	int index;
	void *mem;
};

FIXTURE_VARIANT(fail_nth)
{
	enum test_device dev;
};

/* Other devices have no additional paths, and this takes time. */
FIXTURE_VARIANT_ADD(fail_nth, nvme) { .dev = DEV_NVME };
FIXTURE_VARIANT_ADD(fail_nth, igb) { .dev = DEV_IGB };
FIXTURE_VARIANT_ADD(fail_nth, edu) { .dev = DEV_EDU };
FIXTURE_VARIANT_ADD(fail_nth, edu_mig) { .dev = DEV_EDU_MIG };

FIXTURE_SETUP(fail_nth)
{
	/* Otherwise, each injected failure would print a stack. */
	static const char * const quiet[] = {
		"failslab", "fail_page_alloc", "fail_usercopy", "fail_futex", "fail_iommufd",
		"fail_function", "fail_make_request", "fail_io_timeout",
	};
	struct vfio_region_info region;
	struct vfio_irq_info info;
	const char *bdf;
	int i;

	self->nth_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	if (self->nth_fd < 0)
		SKIP(return, "the kernel has no fault injection");
	if (access(DEBUGFS "/failslab", F_OK))
		mount("none", DEBUGFS, "debugfs", 0, NULL);
	if (sysfs_write("N", DEBUGFS "/failslab/ignore-gfp-wait"))
		SKIP(return, "the kernel has no failslab");
	/* Pages, too, where the kernel supports that. */
	sysfs_write("N", DEBUGFS "/fail_page_alloc/ignore-gfp-wait");
	sysfs_write("N", DEBUGFS "/fail_page_alloc/ignore-gfp-highmem");
	for (i = 0; i < (int)LIB_ARRAY_SIZE(quiet); i++)
		sysfs_write("0", DEBUGFS "/%s/verbose", quiet[i]);

	/*
	 * Enabled behind the driver's back, so that the driver does not enable it, as this calls
	 * the ACPI interpreter, which does not survive a failed allocation.
	 */
	SETUP_DEVICE(&bdf, variant->dev);
	ASSERT_EQ(0, sysfs_unbind(bdf));
	ASSERT_EQ(0, sysfs_write("1", "/sys/bus/pci/devices/%s/enable", bdf));
	ASSERT_EQ(0, session_open(&self->s, bdf));
	self->mem = dma_alloc(0x4000);
	self->index = -1;
	for (i = 0; i < VECTORS; i++)
		self->efd[i] = event_new();
	for (i = 5; i >= 0; i--) {
		ASSERT_EQ(0, region_info(self->s.fd, i, &region));
		if (region.flags & VFIO_REGION_INFO_FLAG_MMAP)
			self->index = i;
	}
	ASSERT_LE(0, self->index);
	for (i = VFIO_PCI_INTX_IRQ_INDEX; i <= VFIO_PCI_MSIX_IRQ_INDEX; i++) {
		ASSERT_EQ(0, irq_info(self->s.fd, i, &info));
		if (info.count && i != VFIO_PCI_INTX_IRQ_INDEX) {
			self->msg = i;
			self->nvec = info.count < VECTORS ? info.count : VECTORS;
		}
	}
}

FIXTURE_TEARDOWN(fail_nth)
{
	const char *bdf = device_bdf(variant->dev);

	session_close(&self->s);
	sysfs_unbind(bdf);
	EXPECT_EQ(0, sysfs_write("0", "/sys/bus/pci/devices/%s/enable", bdf));
	EXPECT_EQ(0, sysfs_rebind(bdf));
	sysfs_write("Y", DEBUGFS "/failslab/ignore-gfp-wait");
	sysfs_write("Y", DEBUGFS "/fail_page_alloc/ignore-gfp-wait");
	sysfs_write("Y", DEBUGFS "/fail_page_alloc/ignore-gfp-highmem");
}

static void arm(int fd, int nth)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", nth);
	if (pwrite(fd, text, strlen(text), 0) < 0)
		perror("fail-nth");
}

/* Stop injection. Returns whether an allocation has failed since arm(). */
static bool disarm(int fd)
{
	char text[16] = "";
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	arm(fd, 0);
	return n > 0 && atoi(text) == 0;
}

/* Repeat a step, each time failing the next allocation, until none fails: then it must return 0. */
#define EACH_ALLOCATION(step, undo) do {						\
	bool hit_;									\
	int err_;									\
											\
	for (self->nth = 1; self->nth < MAX_NTH; self->nth++) {				\
		arm(self->nth_fd, self->nth);						\
		err_ = (step);								\
		hit_ = disarm(self->nth_fd);						\
		undo;									\
		if (!hit_)								\
			break;								\
	}										\
	EXPECT_EQ(0, err_);								\
	EXPECT_GT(MAX_NTH, self->nth);							\
} while (0)

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* Complete migrations of the device to itself, through preallocated memory */
static u8 stream[8 << 20];

static int save_step(int fd, size_t *len)
{
	int data_fd, err = mig_set(fd, VFIO_DEVICE_STATE_PRE_COPY, &data_fd);
	ssize_t n;

	*len = 0;
	if (err)
		return err;
	while ((n = read(data_fd, stream + *len, sizeof(stream) - *len)) > 0)
		*len += n;
	err = errno == ENOMSG ? mig_set(fd, VFIO_DEVICE_STATE_STOP_COPY, NULL) : -errno;
	while (!err && (n = read(data_fd, stream + *len, sizeof(stream) - *len)) > 0)
		*len += n;
	if (!err && n)
		err = -errno;
	close(data_fd);
	return err;
}

static int load_step(int fd, size_t len)
{
	int data_fd, err = mig_set(fd, VFIO_DEVICE_STATE_RESUMING, &data_fd);

	if (err)
		return err;
	err = mig_write(data_fd, stream, len, 0);
	close(data_fd);
	return err ?: mig_set(fd, VFIO_DEVICE_STATE_RUNNING, NULL);
}

static int log_step(int fd)
{
	const struct vfio_device_feature_dma_logging_range range = { IOVA, 0x4000 };
	u64 page = 0x1000, bitmap = 0;
	int err;

	err = log_start(fd, &page, &range, 1);
	if (err)
		return err;
	err = log_report(fd, IOVA, 0x4000, 0x1000, &bitmap);
	return log_stop(fd) ?: err;
}

static int back_to_running(int fd)
{
	return mig_set(fd, VFIO_DEVICE_STATE_RUNNING, NULL);
}

TEST_F(fail_nth, migration)
{
	const int fd = self->s.fd;
	size_t len;

	if (variant->dev != DEV_EDU_MIG)
		SKIP(return, "the device does not support migration");
	memset(stream, 1, sizeof(stream));
	EACH_ALLOCATION(save_step(fd, &len), EXPECT_EQ(0, back_to_running(fd)));
	ASSERT_LT(0, len);
	EACH_ALLOCATION(load_step(fd, len),
			EXPECT_EQ(0, vfio_ioctl(fd, VFIO_DEVICE_RESET, NULL)));
	EACH_ALLOCATION(log_step(fd), log_stop(fd));
}

TEST_F(fail_nth, open)
{
	int fd = -1;

	EACH_ALLOCATION((fd = vfio_cdev_open(self->s.bdf)) < 0, close_if_open(fd));
}

TEST_F(fail_nth, bind)
{
	int iommufd = iommufd_open();

	session_close(&self->s);
	self->s.fd = vfio_cdev_open(device_bdf(variant->dev));
	EXPECT_EQ(-EBADF, vfio_bind(self->s.fd, 1000, NULL));
	EACH_ALLOCATION(vfio_bind(self->s.fd, iommufd, NULL), {
		close(self->s.fd);
		self->s.fd = vfio_cdev_open(device_bdf(variant->dev));
		ASSERT_LE(0, self->s.fd);
		/* Ends the cleanup after the last session, in which the IOMMU must not fail. */
		EXPECT_EQ(-EBADF, vfio_bind(self->s.fd, 1000, NULL));
	});
	EXPECT_EQ(0, vfio_bind(self->s.fd, iommufd, NULL));
	close(iommufd);
}

static int attach_step(struct session *s, void *mem)
{
	u32 ioas, pt;
	int err;

	err = ioas_alloc(s->iommufd, &ioas);
	if (err)
		return err;
	pt = ioas;
	err = ioas_map(s->iommufd, ioas, mem, 0x4000, IOVA);
	if (!err)
		err = vfio_attach(s->fd, &pt);
	if (!err)
		err = vfio_detach(s->fd);
	pt = ioas;
	if (!err)
		err = vfio_attach(s->fd, &pt);
	/* Back to the session's own. */
	pt = s->ioas;
	if (!err)
		err = vfio_attach(s->fd, &pt);
	if (err)
		vfio_detach(s->fd);
	iommufd_destroy(s->iommufd, ioas);
	return err;
}

TEST_F(fail_nth, attach)
{
	EACH_ALLOCATION(attach_step(&self->s, self->mem), vfio_detach(self->s.fd));
}

static int irq_step(struct session *s, u32 index, const int *efds, u32 n)
{
	int err, req = efds[0];

	err = irq_eventfd(s->fd, VFIO_PCI_REQ_IRQ_INDEX, 0, req);
	if (!err)
		err = irq_eventfd(s->fd, VFIO_PCI_ERR_IRQ_INDEX, 0, req);
	if (err || !n)
		return err;
	err = irq_eventfds(s->fd, index, 0, efds, n);
	if (!err)
		err = irq_eventfd(s->fd, index, n - 1, -1);
	if (!err)
		err = irq_loopback(s->fd, index, 0, n);
	return err;
}

/*
 * With vectors that were allocated and used before: if creating an interrupt's folder in /proc/irq
 * fails, the kernel warns when it removes it.
 */
TEST_F(fail_nth, interrupts)
{
	int none[VECTORS];

	memset(none, -1, sizeof(none));
	if (self->nvec) {
		ASSERT_EQ(0, irq_eventfds(self->s.fd, self->msg, 0, self->efd, self->nvec));
		ASSERT_EQ(0, irq_eventfds(self->s.fd, self->msg, 0, none, self->nvec));
	}
	EACH_ALLOCATION(irq_step(&self->s, self->msg, self->efd, self->nvec), {
		if (self->nvec)
			irq_eventfds(self->s.fd, self->msg, 0, none, self->nvec);
		irq_disable(self->s.fd, VFIO_PCI_REQ_IRQ_INDEX);
		irq_disable(self->s.fd, VFIO_PCI_ERR_IRQ_INDEX);
	});
}

static int unmask_step(struct session *s, int efd, int unmask)
{
	int err = irq_eventfd(s->fd, VFIO_PCI_INTX_IRQ_INDEX, 0, efd);

	if (!err)
		err = irq_set(s->fd, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK,
			      VFIO_PCI_INTX_IRQ_INDEX, 0, 1, &unmask, sizeof(unmask));
	return err;
}

TEST_F(fail_nth, intx)
{
	struct vfio_irq_info info;

	ASSERT_EQ(0, irq_info(self->s.fd, VFIO_PCI_INTX_IRQ_INDEX, &info));
	if (!info.count)
		SKIP(return, "no INTx");
	ASSERT_EQ(0, irq_eventfd(self->s.fd, VFIO_PCI_INTX_IRQ_INDEX, 0, self->efd[0]));
	ASSERT_EQ(0, irq_disable(self->s.fd, VFIO_PCI_INTX_IRQ_INDEX));
	EACH_ALLOCATION(unmask_step(&self->s, self->efd[0], self->efd[1]),
			irq_disable(self->s.fd, VFIO_PCI_INTX_IRQ_INDEX));
}

static int map_step(int fd, int index)
{
	u32 *p = bar_map(fd, index, 0, 0x1000), val;
	int err;

	if (!p)
		return -errno;
	/* A fault without memory is retried or kills the process; it does not raise SIGBUS. */
	err = mmio_peek32(p, &val);
	munmap(p, 0x1000);
	return err;
}

TEST_F(fail_nth, map)
{
	EACH_ALLOCATION(map_step(self->s.fd, self->index), );
}

static int access_step(int fd, int index)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_region_info *region;
	u8 buf[256];
	ssize_t n;
	int i, err;

	err = vfio_ioctl(fd, VFIO_DEVICE_GET_INFO, &info);
	for (i = 0; i < 8 && !err; i++) {
		region = region_info_caps(fd, i);
		if (!region)
			err = -ENOMEM;
		free(region);
	}
	if (err)
		return err;
	n = region_pread(fd, VFIO_PCI_CONFIG_REGION_INDEX, 0, buf, 256);
	if (n >= 0)
		n = config_update(fd, PCI_COMMAND, 2, PCI_COMMAND_MEMORY, 0);
	config_update(fd, PCI_COMMAND, 2, 0, PCI_COMMAND_MEMORY);
	if (n >= 0)
		n = region_pread(fd, index, 0, buf, 16);
	return n < 0 ? n : 0;
}

TEST_F(fail_nth, access)
{
	EACH_ALLOCATION(access_step(self->s.fd, self->index), );
}

static int reset_step(int fd)
{
	int err = vfio_ioctl(fd, VFIO_DEVICE_RESET, NULL);

	return err == -EINVAL ? 0 : err;
}

TEST_F(fail_nth, reset)
{
	EACH_ALLOCATION(reset_step(self->s.fd), );
}

static int ioeventfd_step(struct session *s, u64 offset, int efd)
{
	struct vfio_device_ioeventfd io = {
		.argsz = sizeof(io), .flags = VFIO_DEVICE_IOEVENTFD_32, .offset = offset, .fd = efd,
	};
	int err = vfio_ioctl(s->fd, VFIO_DEVICE_IOEVENTFD, &io);

	io.fd = -1;
	return err ?: vfio_ioctl(s->fd, VFIO_DEVICE_IOEVENTFD, &io);
}

TEST_F(fail_nth, ioeventfd)
{
	u64 offset = region_offset(self->index);

	if (ioeventfd_step(&self->s, offset, self->efd[0]) == -EINVAL)
		SKIP(return, "the MSI-X table is there");
	EACH_ALLOCATION(ioeventfd_step(&self->s, offset, self->efd[0]), );
}

static int low_power_step(int fd, int efd)
{
	int err = low_power_entry_with_wakeup(fd, efd);

	return err ?: low_power_exit(fd);
}

TEST_F(fail_nth, low_power)
{
	EACH_ALLOCATION(low_power_step(self->s.fd, self->efd[0]), low_power_exit(self->s.fd));
}

/* Not in-tree, as vfio.ko of 7.3 warns if it cannot create a group. */
TEST_F(fail_nth, probe)
{
	const char *bdf = device_bdf(variant->dev);

	OURS_ONLY();
	session_close(&self->s);
	EACH_ALLOCATION(sysfs_unbind(bdf) ?: sysfs_rebind(bdf), sysfs_bind(bdf));
	ASSERT_EQ(0, session_open(&self->s, bdf));
}

TEST_HARNESS_MAIN
