// SPDX-License-Identifier: GPL-2.0-only
/* Reset on demand, and devices that are handed over clean. */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/config.h"
#include "lib/harness.h"
#include "lib/iommufd.h"
#include "lib/irq.h"
#include "lib/nic.h"
#include "lib/nvme.h"
#include "lib/virtio.h"

#define IOVA 0x1000000ull

FIXTURE(reset)
{
	struct session s;
	struct vfio_device_info info;
};

FIXTURE_VARIANT(reset)
{
	enum test_device dev;
};

FIXTURE_ALL_DEVICES(reset);

FIXTURE_SETUP(reset)
{
	SETUP_SESSION(&self->s, variant->dev);
	self->info.argsz = sizeof(self->info);
	ASSERT_EQ(0, vfio_ioctl(self->s.fd, VFIO_DEVICE_GET_INFO, &self->info));
}

FIXTURE_TEARDOWN(reset)
{
	session_close(&self->s);
}

/* A device can be reset if and only if its info says so. */
TEST_F(reset, as_it_says)
{
	u8 before[256], after[256];
	bool can = self->info.flags & VFIO_DEVICE_FLAGS_RESET;
	int i;

	ASSERT_EQ(0, config_master(self->s.fd, true));
	ASSERT_EQ(0, config_write(self->s.fd, PCI_BASE_ADDRESS_0, 4, 0xc0000000));
	ASSERT_EQ(0, config_write(self->s.fd, PCI_INTERRUPT_LINE, 1, 0x77));
	ASSERT_EQ(256, region_pread(self->s.fd, VFIO_PCI_CONFIG_REGION_INDEX, 0, before, 256));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(can ? 0 : -EINVAL, vfio_ioctl(self->s.fd, VFIO_DEVICE_RESET, NULL));
	/* The user's settings in config space stay. */
	ASSERT_EQ(256, region_pread(self->s.fd, VFIO_PCI_CONFIG_REGION_INDEX, 0, after, 256));
	EXPECT_EQ(0, memcmp(before, after, 64));
}

TEST_F(reset, mappings_stay)
{
	struct vfio_region_info info;
	u32 val;
	int i;

	if (!(self->info.flags & VFIO_DEVICE_FLAGS_RESET))
		SKIP(return, "no reset");
	for (i = 0; i < 6; i++) {
		void *p;

		ASSERT_EQ(0, region_info(self->s.fd, i, &info));
		if (!(info.flags & VFIO_REGION_INFO_FLAG_MMAP))
			continue;
		p = bar_map(self->s.fd, i, 0, 0x1000);
		ASSERT_NE(NULL, p);
		ASSERT_EQ(0, mmio_peek32(p, &val));
		ASSERT_EQ(0, vfio_ioctl(self->s.fd, VFIO_DEVICE_RESET, NULL));
		EXPECT_EQ(0, mmio_peek32(p, &val));
	}
}

struct touchers {
	int fd;		/* of the device */
	u64 offset;	/* of a page of a BAR */
	void *page;	/* its mapping */
	void *moving;	/* another one, which is mapped and unmapped */
	bool stop;
	int failed;
	int refused;	/* number of copies by the kernel that failed */
};

static bool touching(struct touchers *t)
{
	return !__atomic_load_n(&t->stop, __ATOMIC_RELAXED);
}

static void *touch_by_program(void *arg)
{
	struct touchers *t = arg;
	u32 val;

	while (touching(t))
		if (mmio_peek32(t->page, &val))
			__atomic_add_fetch(&t->failed, 1, __ATOMIC_RELAXED);
	return NULL;
}

static long futex(void *uaddr, int op, void *uaddr2, long val3)
{
	struct timespec now = { 0 };

	return syscall(SYS_futex, uaddr, op | FUTEX_PRIVATE_FLAG, 0, &now, uaddr2, val3);
}

/*
 * Uses a copy of 32 bits, as read() and write() may copy bytes, which registers do not support.
 * With the in-tree driver, the kernel waits with any locks held around such a copy, possibly for
 * ever: IOMMU_VEVENTQ_ALLOC copies to the user with a lock held that events of an SMMU take, inside
 * one that the reset takes.
 */
static void *touch_by_kernel(void *arg)
{
	struct touchers *t = arg;

	while (touching(t)) {
		if (!futex(t->page, FUTEX_WAIT, NULL, 0) || errno == EAGAIN || errno == ETIMEDOUT)
			continue;
		if (errno == EFAULT && driver_is_ours())
			t->refused++;
		else
			__atomic_add_fetch(&t->failed, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/*
 * A fault that cannot be retried, so it may fail. Not on arm64, where the kernel uses exclusive
 * accesses, whose effect on device memory depends on the machine.
 */
static void *touch_by_futex_op(void *arg)
{
	const int or_0 = FUTEX_OP(FUTEX_OP_OR, 0, FUTEX_OP_CMP_EQ, 0);
	struct touchers *t = arg;
	u32 other = 0;

#ifdef __aarch64__
	return NULL;
#endif
	while (touching(t))
		if (futex(&other, FUTEX_WAKE_OP, t->page, or_0) < 0 && errno != EFAULT)
			__atomic_add_fetch(&t->failed, 1, __ATOMIC_RELAXED);
	return NULL;
}

static void *touch_what_goes(void *arg)
{
	struct touchers *t = arg;
	u32 val;

	while (touching(t))
		if (mmio_peek32(t->moving, &val))
			__atomic_add_fetch(&t->failed, 1, __ATOMIC_RELAXED);
	return NULL;
}

static void *come_and_go(void *arg)
{
	struct touchers *t = arg;

	while (touching(t)) {
		if (mmap(t->moving, 0x1000, PROT_READ, MAP_SHARED | MAP_FIXED, t->fd,
			 t->offset) == MAP_FAILED ||
		    mmap(t->moving, 0x1000, PROT_READ, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1,
			 0) == MAP_FAILED)
			__atomic_add_fetch(&t->failed, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* A program that accesses a BAR while the device is being reset waits. The kernel does not. */
TEST_F(reset, touched_meanwhile)
{
	void *(*const fn[])(void *) = {
		touch_by_program, touch_by_kernel, touch_by_futex_op, touch_what_goes, come_and_go
	};
	struct touchers t = { .fd = self->s.fd };
	struct vfio_region_info info;
	pthread_t id[5];
	int i;

	if (!(self->info.flags & VFIO_DEVICE_FLAGS_RESET))
		SKIP(return, "no reset");
	for (i = 0; i < 6; i++) {
		ASSERT_EQ(0, region_info(self->s.fd, i, &info));
		if (info.flags & VFIO_REGION_INFO_FLAG_MMAP)
			break;
	}
	if (i == 6)
		SKIP(return, "no BAR that can be mapped");
	t.offset = info.offset;
	t.page = bar_map(self->s.fd, i, 0, 0x1000);
	t.moving = bar_map(self->s.fd, i, 0, 0x1000);
	ASSERT_NE(NULL, t.page);
	ASSERT_NE(NULL, t.moving);

	for (i = 0; i < 5; i++)
		ASSERT_EQ(0, pthread_create(&id[i], NULL, fn[i], &t));
	for (i = 0; i < 5; i++)
		EXPECT_EQ(0, vfio_ioctl(self->s.fd, VFIO_DEVICE_RESET, NULL));
	__atomic_store_n(&t.stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < 5; i++)
		pthread_join(id[i], NULL);
	EXPECT_EQ(0, t.failed);
	if (driver_is_ours())
		EXPECT_LT(0, t.refused);
}

/* Interrupts stay on across a reset, as a guest's driver expects. */
TEST_F(reset, interrupts_stay)
{
	struct vfio_irq_info info;
	int efd = event_new(), i;

	if (!(self->info.flags & VFIO_DEVICE_FLAGS_RESET))
		SKIP(return, "no reset");
	for (i = VFIO_PCI_INTX_IRQ_INDEX; i <= VFIO_PCI_MSIX_IRQ_INDEX; i++) {
		ASSERT_EQ(0, irq_info(self->s.fd, i, &info));
		if (!info.count)
			continue;
		ASSERT_EQ(0, irq_eventfd(self->s.fd, i, 0, efd));
		ASSERT_EQ(0, vfio_ioctl(self->s.fd, VFIO_DEVICE_RESET, NULL));
		EXPECT_EQ(0, irq_loopback(self->s.fd, i, 0, 1));
		/* There may be a real one, if the line was asserted before. */
		EXPECT_LE(1, event_take(efd)) {
			TH_LOG("interrupt index %d", i);
		}
		EXPECT_EQ(0, irq_disable(self->s.fd, i));
	}
}

TEST_F(reset, from_low_power)
{
	int pos = config_cap(self->s.fd, PCI_CAP_ID_PM);

	if (!(self->info.flags & VFIO_DEVICE_FLAGS_RESET) || pos <= 0)
		SKIP(return, "no reset or no power management");
	ASSERT_EQ(0, config_update(self->s.fd, pos + PCI_PM_CTRL, 2, PCI_PM_CTRL_STATE_MASK, 3));
	ASSERT_EQ(0, vfio_ioctl(self->s.fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(0, config_read(self->s.fd, pos + PCI_PM_CTRL, 2) & PCI_PM_CTRL_STATE_MASK);
}

/* Changes of config space by one owner are gone for the next one. */
TEST_F(reset, config_is_clean_next_time)
{
	u8 first[256], dirty[256], second[256];
	u32 pos;

	ASSERT_EQ(256, region_pread(self->s.fd, VFIO_PCI_CONFIG_REGION_INDEX, 0, first, 256));
	for (pos = PCI_BASE_ADDRESS_0; pos <= PCI_BASE_ADDRESS_5; pos += 4)
		ASSERT_EQ(0, config_write(self->s.fd, pos, 4, 0x7f000000));
	ASSERT_EQ(0, config_write(self->s.fd, PCI_INTERRUPT_LINE, 1, 0x77));
	ASSERT_EQ(0, config_write(self->s.fd, PCI_CACHE_LINE_SIZE, 1, 0x20));
	ASSERT_EQ(0, config_write(self->s.fd, PCI_COMMAND, 2,
				  PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE));
	ASSERT_EQ(256, region_pread(self->s.fd, VFIO_PCI_CONFIG_REGION_INDEX, 0, dirty, 256));
	ASSERT_NE(0, memcmp(first, dirty, 64));

	session_close(&self->s);
	ASSERT_EQ(0, session_open(&self->s, device_bdf(variant->dev)));
	ASSERT_EQ(256, region_pread(self->s.fd, VFIO_PCI_CONFIG_REGION_INDEX, 0, second, 256));
	EXPECT_EQ(0, memcmp(first, second, 256));
}

/* Closed with memory decode off and in low power: both are restored for the next owner. */
TEST_F(reset, power_is_on_next_time)
{
	int pos = config_cap(self->s.fd, PCI_CAP_ID_PM), i;
	struct vfio_region_info info;
	u32 word;

	ASSERT_EQ(0, config_update(self->s.fd, PCI_COMMAND, 2, PCI_COMMAND_MEMORY, 0));
	if (pos > 0) {
		ASSERT_EQ(0, config_update(self->s.fd, pos + PCI_PM_CTRL, 2,
					   PCI_PM_CTRL_STATE_MASK, 3));
	}
	session_close(&self->s);
	ASSERT_EQ(0, session_open(&self->s, device_bdf(variant->dev)));
	EXPECT_NE(0, config_read(self->s.fd, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY);
	for (i = 0; i < 6; i++) {
		ASSERT_EQ(0, region_info(self->s.fd, i, &info));
		if (info.size) {
			EXPECT_EQ(4, region_pread(self->s.fd, i, 0, &word, 4));
		}
	}
}

TEST_F(reset, bus_master_is_off_after_close)
{
	u16 command = 0xffff;

	ASSERT_EQ(0, config_master(self->s.fd, true));
	session_close(&self->s);
	ASSERT_EQ(2, sysfs_config(device_bdf(variant->dev), PCI_COMMAND, &command, 2));
	EXPECT_EQ(0, command & PCI_COMMAND_MASTER);
}

/*
 * Registers that a reset of the function clears. Other devices are of no use for that: edu has no
 * reset, and e1000e is reset through D3hot, which does not change its registers in QEMU.
 */
FIXTURE(registers)
{
	struct session s;
	u32 clean;
};

FIXTURE_VARIANT(registers)
{
	enum test_device dev;
	u32 reg;
	u32 bits;
};

FIXTURE_VARIANT_ADD(registers, nvme) { .dev = DEV_NVME, .reg = NVME_CC, .bits = 0x00460000 };
FIXTURE_VARIANT_ADD(registers, igb) { .dev = DEV_IGB, .reg = NIC_RDBAL, .bits = 0x00001000 };

FIXTURE_SETUP(registers)
{
	SETUP_SESSION(&self->s, variant->dev);
	self->clean = region_read32(self->s.fd, 0, variant->reg);
	ASSERT_NE(variant->bits, self->clean);
	ASSERT_EQ(0, region_write32(self->s.fd, 0, variant->reg, variant->bits));
	ASSERT_EQ(variant->bits, region_read32(self->s.fd, 0, variant->reg));
}

FIXTURE_TEARDOWN(registers)
{
	sysfs_write("default", "/sys/bus/pci/devices/%s/reset_method", device_bdf(variant->dev));
	session_close(&self->s);
}

TEST_F(registers, reset)
{
	ASSERT_EQ(0, vfio_ioctl(self->s.fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(self->clean, region_read32(self->s.fd, 0, variant->reg));
}

TEST_F(registers, next_session)
{
	session_close(&self->s);
	ASSERT_EQ(0, session_open(&self->s, device_bdf(variant->dev)));
	EXPECT_EQ(self->clean, region_read32(self->s.fd, 0, variant->reg));
}

/* The user writes through a mapping, which the driver does not notice. */
TEST_F(registers, next_session_after_mapping)
{
	u32 *p;

	ASSERT_EQ(0, vfio_ioctl(self->s.fd, VFIO_DEVICE_RESET, NULL));
	p = bar_map(self->s.fd, 0, 0, 0);
	ASSERT_NE(NULL, p);
	mmio_write32(p, variant->reg, variant->bits);
	ASSERT_EQ(variant->bits, mmio_read32(p, variant->reg));
	bar_unmap(self->s.fd, 0, p);
	session_close(&self->s);
	ASSERT_EQ(0, session_open(&self->s, device_bdf(variant->dev)));
	EXPECT_EQ(self->clean, region_read32(self->s.fd, 0, variant->reg));
}

TEST_F(registers, driver_change)
{
	const char *bdf = device_bdf(variant->dev);

	session_close(&self->s);
	ASSERT_EQ(0, sysfs_unbind(bdf));
	ASSERT_EQ(0, sysfs_rebind(bdf));
	ASSERT_EQ(0, session_open(&self->s, bdf));
	EXPECT_EQ(self->clean, region_read32(self->s.fd, 0, variant->reg));
}

static int set_reset_method(const char *bdf, const char *methods)
{
	return sysfs_write(methods, "/sys/bus/pci/devices/%s/reset_method", bdf);
}

/*
 * An administrator can disable resets of a function: neither the function nor, instead, the bus is
 * reset, as in-tree.
 */
TEST_F(registers, no_reset_is_wanted)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	const char *bdf = device_bdf(variant->dev);

	OURS_ONLY();
	ASSERT_EQ(0, set_reset_method(bdf, "\n"));
	session_close(&self->s);
	ASSERT_EQ(0, session_open(&self->s, bdf));
	EXPECT_EQ(variant->bits, region_read32(self->s.fd, 0, variant->reg));
	ASSERT_EQ(0, vfio_ioctl(self->s.fd, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_EQ(0, info.flags & VFIO_DEVICE_FLAGS_RESET);
	session_close(&self->s);
	ASSERT_EQ(0, sysfs_unbind(bdf));
	ASSERT_EQ(0, sysfs_rebind(bdf));
	ASSERT_EQ(0, session_open(&self->s, bdf));
	EXPECT_EQ(variant->bits, region_read32(self->s.fd, 0, variant->reg));
	/* Until they are enabled again. */
	ASSERT_EQ(0, set_reset_method(bdf, "default"));
	session_close(&self->s);
	ASSERT_EQ(0, session_open(&self->s, bdf));
	EXPECT_EQ(self->clean, region_read32(self->s.fd, 0, variant->reg));
}

/* The administrator can choose the reset method. */
TEST_F(registers, reset_by_bus_is_wanted)
{
	const char *bdf = device_bdf(variant->dev);

	ASSERT_EQ(0, set_reset_method(bdf, "bus"));
	session_close(&self->s);
	ASSERT_EQ(0, session_open(&self->s, bdf));
	EXPECT_EQ(self->clean, region_read32(self->s.fd, 0, variant->reg));
	ASSERT_EQ(0, vfio_ioctl(self->s.fd, VFIO_DEVICE_RESET, NULL));
	session_close(&self->s);
	ASSERT_EQ(0, sysfs_unbind(bdf));
	ASSERT_EQ(0, sysfs_rebind(bdf));
	ASSERT_EQ(0, session_open(&self->s, bdf));
	/* The in-tree driver does not lock the bridge, about which the kernel warns once. */
	if (driver_is_ours())
		EXPECT_NE(0, system("dmesg | grep 'unlocked secondary bus reset'"));
}

/*
 * Reset an active device. It must not have pending interrupts, as QEMU's model would count them
 * across the reset, and never deassert INTx again.
 */
TEST(enabled_controller)
{
	struct nvme n = { .iova = IOVA };
	struct session s;
	const char *bdf;

	SETUP_DEVICE(&bdf, DEV_NVME);
	n.mem = dma_alloc(NVME_MEM_SIZE);
	ASSERT_EQ(0, session_open(&s, bdf));
	ASSERT_EQ(0, ioas_map(s.iommufd, s.ioas, n.mem, NVME_MEM_SIZE, IOVA));
	ASSERT_EQ(0, config_master(s.fd, true));
	n.bar = bar_map(s.fd, 0, 0, 0);
	ASSERT_NE(NULL, n.bar);
	ASSERT_EQ(0, nvme_enable(&n));
	nvme_submit_identify(&n);
	EXPECT_EQ(0, nvme_complete(&n));
	ASSERT_EQ(0, vfio_ioctl(s.fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(0, region_read32(s.fd, 0, NVME_CC) & NVME_CC_EN);
	EXPECT_EQ(0, region_read32(s.fd, 0, NVME_CSTS) & NVME_CSTS_RDY);
	/* It can be used again at once. */
	ASSERT_EQ(0, nvme_enable(&n));
	nvme_submit_identify(&n);
	EXPECT_EQ(0, nvme_complete(&n));
	bar_unmap(s.fd, 0, n.bar);
	session_close(&s);

	ASSERT_EQ(0, session_open(&s, bdf));
	EXPECT_EQ(0, region_read32(s.fd, 0, NVME_CC) & NVME_CC_EN);
	session_close(&s);
}

TEST(virtio_driver_state)
{
	struct virtio_blk v = { .iova = IOVA };
	struct session s;
	const char *bdf;

	SETUP_DEVICE(&bdf, DEV_VIRTIO);
	v.mem = dma_alloc(VIRTIO_MEM_SIZE);
	ASSERT_EQ(0, session_open(&s, bdf));
	ASSERT_EQ(0, ioas_map(s.iommufd, s.ioas, v.mem, VIRTIO_MEM_SIZE, IOVA));
	ASSERT_EQ(0, config_master(s.fd, true));
	v.fd = s.fd;
	ASSERT_EQ(0, virtio_blk_start(&v, 0xffff));
	ASSERT_NE(0, virtio_status(&v));
	ASSERT_EQ(0, vfio_ioctl(s.fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(0, virtio_status(&v));
	session_close(&s);
}

TEST_HARNESS_MAIN
