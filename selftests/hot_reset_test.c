// SPDX-License-Identifier: GPL-2.0-only
/*
 * Resets of a whole slot or bus, by a user who owns everything on it. The devices are pairs: two
 * functions of one device, or two devices behind one bridge.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/config.h"
#include "lib/edu.h"
#include "lib/harness.h"
#include "lib/iommufd.h"
#include "lib/irq.h"
#include "lib/nic.h"

#define GRACE "/sys/module/vfio_iommufd/parameters/release_grace_ms"
#define MAX_FUNCTIONS 8
#define DIRTY 0x00001000

static bool in_group(const char *bdf)
{
	char path[256];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", bdf);
	return !access(path, F_OK);
}

/*
 * Find two on one bus that can both be assigned: if a bridge to conventional PCI gives both of them
 * the same requester ID, the SMMUv3 driver supports only one.
 */
static int find_pair(u16 vendor, u16 device, char bdf[2][BDF_LEN])
{
	int n;

	for (n = 0; !sysfs_find(vendor, device, n, bdf[0]); n++) {
		if (!sysfs_find(vendor, device, n + 1, bdf[1]) &&
		    !strncmp(bdf[0], bdf[1], strlen("0000:00:")) &&
		    in_group(bdf[0]) && in_group(bdf[1]))
			return 0;
	}
	return -ENODEV;
}

struct hot_reset_info {
	struct vfio_pci_hot_reset_info hdr;
	struct vfio_pci_dependent_device devices[MAX_FUNCTIONS];
};

static int get_info(int fd, struct hot_reset_info *info)
{
	memset(info, 0, sizeof(*info));
	info->hdr.argsz = sizeof(*info);
	return vfio_ioctl(fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, info);
}

static struct vfio_pci_dependent_device *find_info(struct hot_reset_info *info, const char *bdf)
{
	char name[32];
	u32 i;

	for (i = 0; i < info->hdr.count; i++) {
		struct vfio_pci_dependent_device *dev = &info->devices[i];

		snprintf(name, sizeof(name), "%04x:%02x:%02x.%x", dev->segment, dev->bus,
			 dev->devfn >> 3, dev->devfn & 7);
		if (!strcmp(name, bdf))
			return dev;
	}
	return NULL;
}

static int hot_reset_fds(int fd, const int *fds, u32 count)
{
	struct {
		struct vfio_pci_hot_reset hdr;
		int fds[MAX_FUNCTIONS];
	} cmd = { .hdr = { .argsz = sizeof(cmd), .count = count } };

	memcpy(cmd.fds, fds, count * sizeof(*fds));
	return vfio_ioctl(fd, VFIO_DEVICE_PCI_HOT_RESET, &cmd);
}

static int hot_reset(int fd)
{
	struct vfio_pci_hot_reset cmd = { .argsz = sizeof(cmd) };

	return vfio_ioctl(fd, VFIO_DEVICE_PCI_HOT_RESET, &cmd);
}

FIXTURE(pair)
{
	char bdf[2][BDF_LEN];
	/* In the second one, only the files of the session may be open. */
	struct session s[2];
};

FIXTURE_VARIANT(pair)
{
	u16 vendor;
	u16 device;
	u32 irq;
	/* A register that is cleared by a reset; 0 for none */
	u32 reg;
	/* Both in one IOMMU group */
	bool together;
};

/* Functions with ACS, a function-level reset and IOMMU groups of their own */
FIXTURE_VARIANT_ADD(pair, igb) {
	.vendor = 0x8086, .device = 0x10c9, .irq = VFIO_PCI_MSIX_IRQ_INDEX, .reg = NIC_RDBAL,
};

/* Functions without any of these */
FIXTURE_VARIANT_ADD(pair, e1000) {
	.vendor = 0x8086, .device = 0x100e, .irq = VFIO_PCI_INTX_IRQ_INDEX, .reg = NIC_RDBAL,
	.together = true,
};

/* Devices on a conventional bus */
FIXTURE_VARIANT_ADD(pair, edu) {
	.vendor = 0x1234, .device = 0x11e8, .irq = VFIO_PCI_MSI_IRQ_INDEX, .together = true,
};

FIXTURE_SETUP(pair)
{
	self->s[0].fd = -1;
	self->s[0].iommufd = -1;
	self->s[1] = self->s[0];
	if (find_pair(variant->vendor, variant->device, self->bdf))
		SKIP(return, "no such pair in this machine");
	ASSERT_EQ(0, sysfs_bind(self->bdf[0]));
	ASSERT_EQ(0, sysfs_bind(self->bdf[1]));
	ASSERT_EQ(0, session_open(&self->s[0], self->bdf[0]));
}

FIXTURE_TEARDOWN(pair)
{
	session_close(&self->s[1]);
	session_close(&self->s[0]);
	sysfs_bind(self->bdf[1]);
}

/* Open the second one in the context and address space of the first, as required in one group. */
static int open_second(FIXTURE_DATA(pair) *self)
{
	struct session *s = &self->s[1];
	u32 pt = self->s[0].ioas;
	int err;

	s->fd = vfio_cdev_open(self->bdf[1]);
	if (s->fd < 0)
		return s->fd;
	s->iommufd = dup(self->s[0].iommufd);
	err = vfio_bind(s->fd, s->iommufd, &s->devid);
	return err ? err : vfio_attach(s->fd, &pt);
}

static void raise_irq(const FIXTURE_VARIANT(pair) *variant, void *bar)
{
	switch (variant->irq) {
	case VFIO_PCI_MSIX_IRQ_INDEX:
		igb_msix_setup(bar);
		igb_msix_raise(bar, 1);
		break;
	case VFIO_PCI_INTX_IRQ_INDEX:
		nic_raise(bar);
		break;
	default:
		edu_raise(bar, 1);
	}
}

TEST_F(pair, info_without_room)
{
	struct hot_reset_info info = { .hdr = { .argsz = sizeof(info.hdr), .flags = ~0 } };
	u32 count;

	ASSERT_EQ(-ENOSPC, vfio_ioctl(self->s[0].fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info));
	EXPECT_EQ(2, info.hdr.count);
	EXPECT_EQ(0, info.hdr.flags);
	EXPECT_EQ(0, info.devices[0].devfn | info.devices[0].bus | info.devices[0].devid);
	count = info.hdr.count;
	info.hdr.argsz = sizeof(info.hdr) + (count - 1) * sizeof(info.devices[0]);
	EXPECT_EQ(-ENOSPC, vfio_ioctl(self->s[0].fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info));
	info.hdr.argsz = sizeof(info.hdr) + count * sizeof(info.devices[0]);
	EXPECT_EQ(0, vfio_ioctl(self->s[0].fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info));
	info.hdr.argsz = sizeof(info.hdr) - 1;
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->s[0].fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info));
}

TEST_F(pair, info_of_two_owned)
{
	struct vfio_pci_dependent_device *dev;
	struct hot_reset_info info;
	int i;

	ASSERT_EQ(0, open_second(self));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, get_info(self->s[i].fd, &info));
		EXPECT_EQ(2, info.hdr.count);
		EXPECT_EQ(VFIO_PCI_HOT_RESET_FLAG_DEV_ID | VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED,
			  info.hdr.flags);
		dev = find_info(&info, self->bdf[0]);
		ASSERT_NE(NULL, dev);
		EXPECT_EQ(self->s[0].devid, dev->devid);
		dev = find_info(&info, self->bdf[1]);
		ASSERT_NE(NULL, dev);
		EXPECT_EQ(self->s[1].devid, dev->devid);
	}
}

/* Check what the owner of the first is told about the second, and whether they may reset it. */
#define EXPECT_OWNED(owned, id) do {							\
	struct vfio_pci_dependent_device *dev_;						\
	struct hot_reset_info info_;							\
											\
	ASSERT_EQ(0, get_info(self->s[0].fd, &info_));					\
	EXPECT_EQ(VFIO_PCI_HOT_RESET_FLAG_DEV_ID |					\
		  ((owned) ? VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED : 0), info_.hdr.flags);\
	dev_ = find_info(&info_, self->bdf[1]);						\
	ASSERT_NE(NULL, dev_);								\
	EXPECT_EQ((u32)(id), dev_->devid);						\
	dev_ = find_info(&info_, self->bdf[0]);						\
	ASSERT_NE(NULL, dev_);								\
	EXPECT_EQ(self->s[0].devid, dev_->devid);					\
	EXPECT_EQ((owned) ? 0 : -EINVAL, hot_reset(self->s[0].fd));			\
} while (0)

/* Nobody has it open: it belongs to the owner of its IOMMU group. */
TEST_F(pair, second_is_idle)
{
	u32 id = variant->together ? VFIO_PCI_DEVID_OWNED : VFIO_PCI_DEVID_NOT_OWNED;

	EXPECT_OWNED(variant->together, id);
	/* The same after it had a session of its own. */
	ASSERT_EQ(0, open_second(self));
	session_close(&self->s[1]);
	EXPECT_OWNED(variant->together, id);
}

TEST_F(pair, second_is_somebody_elses)
{
	if (variant->together)
		SKIP(return, "cannot be, in one IOMMU group");
	ASSERT_EQ(0, session_open(&self->s[1], self->bdf[1]));
	ASSERT_EQ(0, region_write32(self->s[1].fd, 0, variant->reg, DIRTY));
	EXPECT_OWNED(false, VFIO_PCI_DEVID_NOT_OWNED);
	EXPECT_EQ(DIRTY, region_read32(self->s[1].fd, 0, variant->reg));
}

TEST_F(pair, second_has_no_driver)
{
	ASSERT_EQ(0, sysfs_unbind(self->bdf[1]));
	EXPECT_OWNED(false, VFIO_PCI_DEVID_NOT_OWNED);
}

TEST_F(pair, bad_arguments)
{
	struct vfio_pci_hot_reset cmd = { .argsz = sizeof(cmd) };

	ASSERT_EQ(0, open_second(self));
	cmd.argsz = sizeof(cmd) - 1;
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->s[0].fd, VFIO_DEVICE_PCI_HOT_RESET, &cmd));
	cmd.argsz = sizeof(cmd);
	cmd.flags = 1;
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->s[0].fd, VFIO_DEVICE_PCI_HOT_RESET, &cmd));
	cmd.flags = 0;
	cmd.count = 1;
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->s[0].fd, VFIO_DEVICE_PCI_HOT_RESET, &cmd));
	cmd.count = ~0;
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->s[0].fd, VFIO_DEVICE_PCI_HOT_RESET, &cmd));
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->s[0].fd, VFIO_DEVICE_PCI_HOT_RESET, NULL));
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->s[0].fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, NULL));
}

TEST_F(pair, not_bound)
{
	struct hot_reset_info info;
	int fd = vfio_cdev_open(self->bdf[1]);

	ASSERT_LE(0, fd);
	EXPECT_EQ(-EINVAL, get_info(fd, &info));
	EXPECT_EQ(-EINVAL, hot_reset(fd));
	close(fd);
}

/* Both are reset, and everything works as before: config space, mappings, interrupts. */
TEST_F(pair, both_are_reset)
{
	u8 before[2][256], after[256];
	int i, efd[2];
	void *bar[2];

	ASSERT_EQ(0, open_second(self));
	for (i = 0; i < 2; i++) {
		int fd = self->s[i].fd;

		ASSERT_EQ(0, config_master(fd, true));
		ASSERT_EQ(0, config_write(fd, PCI_INTERRUPT_LINE, 1, 0x77));
		ASSERT_EQ(0, config_write(fd, PCI_CACHE_LINE_SIZE, 1, 0x20));
		bar[i] = bar_map(fd, 0, 0, 0);
		ASSERT_NE(NULL, bar[i]);
		efd[i] = event_new();
		ASSERT_EQ(0, irq_eventfd(fd, variant->irq, 0, efd[i]));
		raise_irq(variant, bar[i]);
		EXPECT_LE(1, event_wait(efd[i]));
		if (variant->reg)
			mmio_write32(bar[i], variant->reg, DIRTY);
		else
			edu_ack(bar[i], ~0u);
		ASSERT_EQ(256, region_pread(fd, VFIO_PCI_CONFIG_REGION_INDEX, 0, before[i], 256));
	}

	ASSERT_EQ(0, hot_reset(self->s[1].fd));
	for (i = 0; i < 2; i++) {
		int fd = self->s[i].fd;

		/* Except for status bits of the device. */
		ASSERT_EQ(256, region_pread(fd, VFIO_PCI_CONFIG_REGION_INDEX, 0, after, 256));
		after[PCI_STATUS] = before[i][PCI_STATUS];
		EXPECT_EQ(0, memcmp(before[i], after, 64));
		if (variant->reg) {
			EXPECT_EQ(0, mmio_read32(bar[i], variant->reg));
		}
		/* An interrupt that was pending at the reset may have been signaled. */
		event_take(efd[i]);
		if (variant->irq == VFIO_PCI_INTX_IRQ_INDEX) {
			nic_ack(bar[i]);
			ASSERT_EQ(0, intx_unmask(fd));
		}
		raise_irq(variant, bar[i]);
		EXPECT_LE(1, event_wait(efd[i]));
		bar_unmap(fd, 0, bar[i]);
	}
}

/* A function that sleeps, with memory decode off, is reset, too. */
TEST_F(pair, from_low_power)
{
	u32 command;
	int i, pos;

	ASSERT_EQ(0, open_second(self));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, config_update(self->s[i].fd, PCI_COMMAND, 2, PCI_COMMAND_MEMORY, 0));
		pos = config_cap(self->s[i].fd, PCI_CAP_ID_PM);
		if (pos > 0) {
			ASSERT_EQ(0, config_update(self->s[i].fd, pos + PCI_PM_CTRL, 2,
						   PCI_PM_CTRL_STATE_MASK, 3));
		}
	}
	ASSERT_EQ(0, hot_reset(self->s[0].fd));
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(-EIO, region_pread(self->s[i].fd, 0, 0, &command, 4));
		ASSERT_EQ(0, config_update(self->s[i].fd, PCI_COMMAND, 2, PCI_COMMAND_MEMORY,
					   PCI_COMMAND_MEMORY));
		EXPECT_EQ(4, region_pread(self->s[i].fd, 0, 0, &command, 4));
		EXPECT_NE(~0u, command);
	}
}

/*
 * A function is handed over clean in either case, and others that are in use are not affected. A
 * function without a reset of its own is reset when the others are idle.
 */
TEST_F(pair, clean_next_time)
{
	int i;

	if (!variant->reg)
		SKIP(return, "no register shows a reset");
	ASSERT_EQ(0, open_second(self));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, region_write32(self->s[i].fd, 0, variant->reg, DIRTY));
	session_close(&self->s[1]);
	EXPECT_EQ(DIRTY, region_read32(self->s[0].fd, 0, variant->reg));
	ASSERT_EQ(0, open_second(self));
	EXPECT_EQ(DIRTY, region_read32(self->s[0].fd, 0, variant->reg));
	session_close(&self->s[1]);
	session_close(&self->s[0]);

	ASSERT_EQ(0, session_open(&self->s[0], self->bdf[0]));
	ASSERT_EQ(0, open_second(self));
	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, region_read32(self->s[i].fd, 0, variant->reg));
}

/* Threads of both owners, at once */
struct worker {
	pthread_t thread;
	int fd;
	const char *bdf;
	void *bar;
	bool *stop;
	int rounds;
	int resets;
	int err;
};

static void *reset_thread(void *arg)
{
	struct worker *w = arg;

	for (w->rounds = 0; w->rounds < 8; w->rounds++) {
		int err = hot_reset(w->fd);

		if (!err)
			w->resets++;
		else if (err != -EAGAIN && err != -EBUSY)
			w->err = err;
	}
	return NULL;
}

static void *touch_thread(void *arg)
{
	struct worker *w = arg;
	u32 val;

	while (!__atomic_load_n(w->stop, __ATOMIC_ACQUIRE)) {
		if (mmio_peek32(w->bar, &val) || val == ~0u)
			w->err = -EIO;
		if (config_read(w->fd, 0, 4) < 0 || config_write(w->fd, PCI_INTERRUPT_LINE, 1, 1))
			w->err = -ENXIO;
		__atomic_fetch_add(&w->rounds, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

TEST_F(pair, two_at_once)
{
	struct worker reset[2] = {}, touch[2] = {};
	bool stop = false;
	int i;

	ASSERT_EQ(0, open_second(self));
	for (i = 0; i < 2; i++) {
		reset[i].fd = self->s[i].fd;
		touch[i].fd = self->s[i].fd;
		touch[i].stop = &stop;
		touch[i].bar = bar_map(self->s[i].fd, 0, 0, 0x1000);
		ASSERT_NE(NULL, touch[i].bar);
		ASSERT_EQ(0, pthread_create(&touch[i].thread, NULL, touch_thread, &touch[i]));
		ASSERT_EQ(0, pthread_create(&reset[i].thread, NULL, reset_thread, &reset[i]));
	}
	for (i = 0; i < 2; i++)
		pthread_join(reset[i].thread, NULL);
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	for (i = 0; i < 2; i++) {
		pthread_join(touch[i].thread, NULL);
		EXPECT_EQ(0, reset[i].err);
		EXPECT_LE(1, reset[0].resets + reset[1].resets);
		EXPECT_EQ(0, touch[i].err);
	}
}

static void *unbind_thread(void *arg)
{
	struct worker *w = arg;

	for (w->rounds = 0; w->rounds < 4; w->rounds++) {
		w->err = sysfs_unbind(w->bdf);
		if (!w->err)
			w->err = sysfs_rebind(w->bdf);
		if (w->err)
			break;
	}
	__atomic_store_n(w->stop, true, __ATOMIC_RELEASE);
	return NULL;
}

/* The second one is bound and unbound while the first is reset, first with a user, then without. */
TEST_F(pair, against_unbind)
{
	bool stop = false;
	struct worker w = { .bdf = self->bdf[1], .stop = &stop };
	struct hot_reset_info info;
	char grace[32];
	int err;

	OURS_ONLY();
	ASSERT_LT(0, sysfs_read(grace, sizeof(grace), GRACE));
	ASSERT_EQ(0, sysfs_write("0", GRACE));
	ASSERT_EQ(0, open_second(self));
	ASSERT_EQ(0, pthread_create(&w.thread, NULL, unbind_thread, &w));
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		err = hot_reset(self->s[0].fd);
		EXPECT_TRUE(!err || err == -EINVAL || err == -EAGAIN) {
			TH_LOG("error %d", err);
		}
		err = get_info(self->s[0].fd, &info);
		EXPECT_TRUE(!err || err == -EAGAIN);
	}
	pthread_join(w.thread, NULL);
	EXPECT_EQ(0, w.err);
	EXPECT_EQ(-ENODEV, hot_reset(self->s[1].fd));
	EXPECT_EQ(-ENODEV, get_info(self->s[1].fd, &info));
	EXPECT_EQ(0, sysfs_write(grace, GRACE));
}

/* Only ours: devices in several contexts, with their files as a proof of ownership */
TEST_F(pair, files_of_two_contexts)
{
	int fds[3], other, i;

	OURS_ONLY();
	if (variant->together)
		SKIP(return, "cannot be, in one IOMMU group");
	ASSERT_EQ(0, session_open(&self->s[1], self->bdf[1]));
	for (i = 0; i < 2; i++) {
		fds[i] = self->s[i].fd;
		ASSERT_EQ(0, region_write32(fds[i], 0, variant->reg, DIRTY));
	}
	EXPECT_EQ(-EINVAL, hot_reset(fds[0]));
	EXPECT_EQ(-EINVAL, hot_reset_fds(fds[0], fds, 1));
	EXPECT_EQ(DIRTY, region_read32(fds[0], 0, variant->reg));
	EXPECT_EQ(DIRTY, region_read32(fds[1], 0, variant->reg));
	EXPECT_EQ(0, hot_reset_fds(fds[0], fds + 1, 1));
	EXPECT_EQ(0, region_read32(fds[0], 0, variant->reg));
	EXPECT_EQ(0, region_read32(fds[1], 0, variant->reg));
	EXPECT_EQ(0, hot_reset_fds(fds[1], fds, 2));

	/* Files that prove nothing */
	fds[2] = fds[1];
	EXPECT_EQ(-EINVAL, hot_reset_fds(fds[0], fds, 3));
	EXPECT_EQ(-EINVAL, hot_reset_fds(fds[0], &self->s[1].iommufd, 1));
	other = vfio_cdev_open(self->bdf[1]);
	ASSERT_LE(0, other);
	EXPECT_EQ(-EINVAL, hot_reset_fds(fds[0], &other, 1));
	close(other);
	EXPECT_EQ(-EBADF, hot_reset_fds(fds[0], &other, 1));
	other = -1;
	EXPECT_EQ(-EBADF, hot_reset_fds(fds[0], &other, 1));
}

/* Nothing on the root bus can be reset this way. The machine has a virtio-rng there. */
TEST(neither_slot_nor_bus)
{
	struct hot_reset_info info;
	char bdf[BDF_LEN];
	struct session s;

	if (sysfs_find(0x1af4, 0x1005, 0, bdf) && sysfs_find(0x1af4, 0x1044, 0, bdf))
		SKIP(return, "no virtio-rng in this machine");
	ASSERT_EQ(0, session_open(&s, bdf));
	EXPECT_EQ(-ENODEV, get_info(s.fd, &info));
	EXPECT_EQ(-ENODEV, hot_reset(s.fd));
	session_close(&s);
}

TEST_HARNESS_MAIN
