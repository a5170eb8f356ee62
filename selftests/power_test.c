// SPDX-License-Identifier: GPL-2.0-only
/* Power: an unused device sleeps; so does one in low power, until it is accessed. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/config.h"
#include "lib/edu.h"
#include "lib/harness.h"
#include "lib/irq.h"
#include "lib/power.h"
#include "lib/region.h"

/* FLR needs the time that the specification allows, several times. */
#define ROUNDS 20

/* Without power management, it is not in D3hot. */
static bool in_low_state(const char *bdf, bool has_pm)
{
	return has_pm ? power_becomes(bdf, "power_state", "D3hot") :
			power_is(bdf, "power_state", "D0");
}

static int first_bar(int fd)
{
	struct vfio_region_info info;
	int i;

	for (i = 0; i < 6; i++) {
		if (!region_info(fd, i, &info) && info.flags & VFIO_REGION_INFO_FLAG_MMAP)
			return i;
	}
	return -1;
}

FIXTURE(power)
{
	struct session s;
	const char *bdf;
	bool has_pm;
	int bar;
	u32 *map;
};

FIXTURE_VARIANT(power)
{
	enum test_device dev;
};

FIXTURE_ALL_DEVICES(power);

FIXTURE_SETUP(power)
{
	SETUP_SESSION(&self->s, variant->dev);
	self->bdf = device_bdf(variant->dev);
	power_no_delay(self->bdf);
	self->has_pm = config_cap(self->s.fd, PCI_CAP_ID_PM) > 0;
	self->bar = first_bar(self->s.fd);
	ASSERT_LE(0, self->bar);
	self->map = bar_map(self->s.fd, self->bar, 0, 0x1000);
	ASSERT_NE(NULL, self->map);
}

FIXTURE_TEARDOWN(power)
{
	munmap(self->map, 0x1000);
	session_close(&self->s);
}

static void close_all(FIXTURE_DATA(power) *self)
{
	munmap(self->map, 0x1000);
	session_close(&self->s);
}

TEST_F(power, idle)
{
	u32 val;

	EXPECT_TRUE(power_awake(self->bdf));
	close_all(self);
	EXPECT_TRUE(power_sleeps(self->bdf));
	EXPECT_TRUE(in_low_state(self->bdf, self->has_pm));

	ASSERT_EQ(0, session_open(&self->s, self->bdf));
	EXPECT_TRUE(power_awake(self->bdf));
	EXPECT_EQ(4, region_pread(self->s.fd, self->bar, 0, &val, 4));
	/* The owner keeps it awake. */
	EXPECT_TRUE(!power_is(self->bdf, "power/runtime_usage", "0"));
	EXPECT_TRUE(power_awake(self->bdf));
	self->map = bar_map(self->s.fd, self->bar, 0, 0x1000);
}

/* If the device loses its configuration, the PCI core restores it. */
TEST_F(power, idle_and_config)
{
	u8 before[256], after[256];

	ASSERT_EQ(256, region_pread(self->s.fd, VFIO_PCI_CONFIG_REGION_INDEX, 0, before, 256));
	close_all(self);
	ASSERT_TRUE(power_sleeps(self->bdf));
	ASSERT_EQ(0, session_open(&self->s, self->bdf));
	ASSERT_EQ(256, region_pread(self->s.fd, VFIO_PCI_CONFIG_REGION_INDEX, 0, after, 256));
	EXPECT_EQ(0, memcmp(before, after, 256));
	self->map = bar_map(self->s.fd, self->bar, 0, 0x1000);
}

TEST_F(power, unbind_while_idle)
{
	close_all(self);
	ASSERT_TRUE(power_sleeps(self->bdf));
	ASSERT_EQ(0, sysfs_unbind(self->bdf));
	/* For the next driver, the state of runtime PM is unchanged. */
	EXPECT_TRUE(power_is(self->bdf, "power/control", "on"));
	ASSERT_EQ(0, sysfs_rebind(self->bdf));
	EXPECT_TRUE(power_is(self->bdf, "power/control", "auto"));
	power_no_delay(self->bdf);
	EXPECT_TRUE(power_sleeps(self->bdf));
	ASSERT_EQ(0, session_open(&self->s, self->bdf));
	EXPECT_TRUE(power_awake(self->bdf));
	self->map = bar_map(self->s.fd, self->bar, 0, 0x1000);
}

TEST_F(power, reset_by_sysfs_while_idle)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	u32 val;

	ASSERT_EQ(0, vfio_ioctl(self->s.fd, VFIO_DEVICE_GET_INFO, &info));
	if (!(info.flags & VFIO_DEVICE_FLAGS_RESET))
		SKIP(return, "no reset");
	close_all(self);
	ASSERT_TRUE(power_sleeps(self->bdf));
	ASSERT_EQ(0, sysfs_write("1", "/sys/bus/pci/devices/%s/reset", self->bdf));
	EXPECT_TRUE(power_sleeps(self->bdf));
	EXPECT_TRUE(in_low_state(self->bdf, self->has_pm));
	ASSERT_EQ(0, session_open(&self->s, self->bdf));
	EXPECT_EQ(4, region_pread(self->s.fd, self->bar, 0, &val, 4));
	self->map = bar_map(self->s.fd, self->bar, 0, 0x1000);
}

TEST_F(power, low_power)
{
	u32 val, word;

	ASSERT_EQ(0, mmio_peek32(self->map, &val));
	ASSERT_EQ(0, low_power_entry(self->s.fd));
	EXPECT_TRUE(power_sleeps(self->bdf));
	EXPECT_TRUE(in_low_state(self->bdf, self->has_pm));
	EXPECT_EQ(-EFAULT, mmio_peek32(self->map, &val));

	/* A call wakes it up for its duration. */
	EXPECT_EQ(4, region_pread(self->s.fd, VFIO_PCI_CONFIG_REGION_INDEX, 0, &word, 4));
	EXPECT_NE(~0u, word);
	EXPECT_TRUE(power_sleeps(self->bdf));
	EXPECT_EQ(4, region_pread(self->s.fd, self->bar, 0, &val, 4));
	EXPECT_EQ(-EFAULT, mmio_peek32(self->map, &val));
	EXPECT_TRUE(power_sleeps(self->bdf));
	EXPECT_EQ(0, config_write(self->s.fd, PCI_INTERRUPT_LINE, 1, 0x55));
	EXPECT_EQ(0x55, config_read(self->s.fd, PCI_INTERRUPT_LINE, 1));
	EXPECT_TRUE(power_sleeps(self->bdf));
	EXPECT_EQ(-EINVAL, low_power_entry(self->s.fd));
	EXPECT_TRUE(power_sleeps(self->bdf));

	ASSERT_EQ(0, low_power_exit(self->s.fd));
	EXPECT_TRUE(power_awake(self->bdf));
	EXPECT_EQ(0, mmio_peek32(self->map, &val));
	EXPECT_EQ(0, low_power_exit(self->s.fd));
	/* And again: no reference is lost or leaked. */
	ASSERT_EQ(0, low_power_entry(self->s.fd));
	EXPECT_TRUE(power_sleeps(self->bdf));
	ASSERT_EQ(0, low_power_exit(self->s.fd));
	EXPECT_TRUE(power_awake(self->bdf));
}

TEST_F(power, wakeup)
{
	int efd = event_new(), i;
	u32 val, word;

	EXPECT_EQ(-EINVAL, low_power_entry_with_wakeup(self->s.fd, -1));
	EXPECT_EQ(-EBADF, low_power_entry_with_wakeup(self->s.fd, 1000));
	EXPECT_EQ(-EINVAL, low_power_entry_with_wakeup(self->s.fd, self->s.iommufd));
	EXPECT_EQ(0, mmio_peek32(self->map, &val));

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, low_power_entry_with_wakeup(self->s.fd, efd));
		ASSERT_TRUE(power_sleeps(self->bdf));
		EXPECT_EQ(0, event_take(efd));
		EXPECT_EQ(-EFAULT, mmio_peek32(self->map, &val));
		/* It is woken up, and stays awake. */
		EXPECT_EQ(4, region_pread(self->s.fd, VFIO_PCI_CONFIG_REGION_INDEX, 0, &word, 4));
		EXPECT_EQ(1, event_take(efd));
		EXPECT_EQ(0, mmio_peek32(self->map, &val));
		EXPECT_TRUE(power_awake(self->bdf));
	}

	/* The end of low power also wakes it up. */
	ASSERT_EQ(0, low_power_entry_with_wakeup(self->s.fd, efd));
	ASSERT_TRUE(power_sleeps(self->bdf));
	ASSERT_EQ(0, low_power_exit(self->s.fd));
	EXPECT_EQ(1, event_take(efd));
	EXPECT_EQ(0, mmio_peek32(self->map, &val));

	/* So does the host, like a PME. */
	ASSERT_EQ(0, low_power_entry_with_wakeup(self->s.fd, efd));
	ASSERT_TRUE(power_sleeps(self->bdf));
	ASSERT_EQ(0, sysfs_write("on", "/sys/bus/pci/devices/%s/power/control", self->bdf));
	EXPECT_EQ(1, event_wait(efd));
	EXPECT_EQ(0, mmio_peek32(self->map, &val));
	ASSERT_EQ(0, sysfs_write("auto", "/sys/bus/pci/devices/%s/power/control", self->bdf));
	EXPECT_TRUE(power_awake(self->bdf));
	close(efd);
}

/* The user need not keep the eventfd open. */
TEST_F(power, wakeup_eventfd_closed)
{
	int efd = event_new();
	u32 word;

	ASSERT_EQ(0, low_power_entry_with_wakeup(self->s.fd, efd));
	close(efd);
	ASSERT_TRUE(power_sleeps(self->bdf));
	EXPECT_EQ(4, region_pread(self->s.fd, VFIO_PCI_CONFIG_REGION_INDEX, 0, &word, 4));
	EXPECT_TRUE(power_awake(self->bdf));
}

TEST_F(power, close_in_low_power)
{
	u32 val;

	ASSERT_EQ(0, low_power_entry(self->s.fd));
	ASSERT_TRUE(power_sleeps(self->bdf));
	close_all(self);
	EXPECT_TRUE(power_sleeps(self->bdf));
	ASSERT_EQ(0, session_open(&self->s, self->bdf));
	EXPECT_TRUE(power_awake(self->bdf));
	self->map = bar_map(self->s.fd, self->bar, 0, 0x1000);
	EXPECT_EQ(0, mmio_peek32(self->map, &val));
}

TEST_F(power, killed_in_low_power)
{
	int status, ready[2];
	u32 val;
	char c;
	pid_t pid;

	close_all(self);
	ASSERT_EQ(0, pipe(ready));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct session s;

		if (!session_open(&s, self->bdf) &&
		    !low_power_entry_with_wakeup(s.fd, event_new()) &&
		    write(ready[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	ASSERT_EQ(1, read(ready[0], &c, 1));
	close(ready[0]);
	ASSERT_TRUE(power_sleeps(self->bdf));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, session_open(&self->s, self->bdf));
	EXPECT_TRUE(power_awake(self->bdf));
	self->map = bar_map(self->s.fd, self->bar, 0, 0x1000);
	EXPECT_EQ(0, mmio_peek32(self->map, &val));
}

/* The user's setup is intact after it wakes up. */
TEST_F(power, state_stays)
{
	u8 before[256], after[256];
	int efd = event_new(), i;

	ASSERT_EQ(0, config_write(self->s.fd, PCI_BASE_ADDRESS_0, 4, 0xc0000000));
	ASSERT_EQ(0, config_master(self->s.fd, true));
	ASSERT_EQ(256, region_pread(self->s.fd, VFIO_PCI_CONFIG_REGION_INDEX, 0, before, 256));
	for (i = VFIO_PCI_INTX_IRQ_INDEX; i <= VFIO_PCI_MSIX_IRQ_INDEX; i++) {
		struct vfio_irq_info info;

		ASSERT_EQ(0, irq_info(self->s.fd, i, &info));
		if (!info.count)
			continue;
		ASSERT_EQ(0, irq_eventfd(self->s.fd, i, 0, efd));
		ASSERT_EQ(0, low_power_entry(self->s.fd));
		ASSERT_TRUE(power_sleeps(self->bdf));
		ASSERT_EQ(0, low_power_exit(self->s.fd));
		EXPECT_EQ(0, irq_loopback(self->s.fd, i, 0, 1));
		EXPECT_LE(1, event_take(efd)) {
			TH_LOG("interrupt index %d", i);
		}
		/* Or an interrupt is set up again while it sleeps. */
		ASSERT_EQ(0, low_power_entry(self->s.fd));
		ASSERT_TRUE(power_sleeps(self->bdf));
		EXPECT_EQ(0, irq_disable(self->s.fd, i));
		ASSERT_EQ(0, low_power_exit(self->s.fd));
	}
	ASSERT_EQ(256, region_pread(self->s.fd, VFIO_PCI_CONFIG_REGION_INDEX, 0, after, 256));
	EXPECT_EQ(0, memcmp(before, after, 256));
}

TEST_F(power, reset_in_low_power)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	u32 val;

	ASSERT_EQ(0, vfio_ioctl(self->s.fd, VFIO_DEVICE_GET_INFO, &info));
	if (!(info.flags & VFIO_DEVICE_FLAGS_RESET))
		SKIP(return, "no reset");
	ASSERT_EQ(0, low_power_entry(self->s.fd));
	ASSERT_TRUE(power_sleeps(self->bdf));
	EXPECT_EQ(0, vfio_ioctl(self->s.fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(-EFAULT, mmio_peek32(self->map, &val));
	EXPECT_TRUE(power_sleeps(self->bdf));
	/* By the host */
	ASSERT_EQ(0, sysfs_write("1", "/sys/bus/pci/devices/%s/reset", self->bdf));
	EXPECT_TRUE(power_sleeps(self->bdf));
	EXPECT_EQ(0, low_power_exit(self->s.fd));
	EXPECT_EQ(0, mmio_peek32(self->map, &val));
}

/* D3hot by the register, and then low power: it wakes up in D0. */
TEST_F(power, from_d3hot)
{
	int pos = config_cap(self->s.fd, PCI_CAP_ID_PM);
	u8 before[64], after[64];
	u32 val;

	if (!self->has_pm)
		SKIP(return, "no power management");
	ASSERT_EQ(64, region_pread(self->s.fd, VFIO_PCI_CONFIG_REGION_INDEX, 0, before, 64));
	ASSERT_EQ(0, config_update(self->s.fd, pos + PCI_PM_CTRL, 2, PCI_PM_CTRL_STATE_MASK, 3));
	EXPECT_EQ(-EFAULT, mmio_peek32(self->map, &val));
	ASSERT_EQ(0, low_power_entry(self->s.fd));
	EXPECT_TRUE(power_sleeps(self->bdf));
	ASSERT_EQ(0, low_power_exit(self->s.fd));
	EXPECT_EQ(0, config_read(self->s.fd, pos + PCI_PM_CTRL, 2) & PCI_PM_CTRL_STATE_MASK);
	EXPECT_EQ(0, mmio_peek32(self->map, &val));
	ASSERT_EQ(64, region_pread(self->s.fd, VFIO_PCI_CONFIG_REGION_INDEX, 0, after, 64));
	EXPECT_EQ(0, memcmp(before, after, 64));
}

/* Calls must not fail due to low power: they wake the device up, or find it awake. */
struct caller {
	pthread_t thread;
	struct session *s;
	int bar;
	int err;
	bool enters;
};

static void *call(void *arg)
{
	struct caller *c = arg;
	int efd = event_new(), i;
	u32 val;

	for (i = 0; i < ROUNDS && !c->err; i++) {
		s64 ret;

		if (c->enters) {
			ret = i & 1 ? low_power_entry_with_wakeup(c->s->fd, efd) :
				      low_power_entry(c->s->fd);
			if (ret == -EINVAL)
				ret = 0;
			if (!ret)
				ret = low_power_exit(c->s->fd);
		} else {
			ret = config_read(c->s->fd, PCI_VENDOR_ID, 2);
			/* The other thread has put it to sleep after this call had entered. */
			if (ret >= 0)
				ret = region_pread(c->s->fd, c->bar, 0, &val, 4);
			if (ret >= 0 || ret == -EIO)
				ret = irq_set(c->s->fd, VFIO_IRQ_SET_DATA_NONE |
					      VFIO_IRQ_SET_ACTION_TRIGGER,
					      VFIO_PCI_INTX_IRQ_INDEX, 0, 0, NULL, 0);
			if (ret == -EIO || ret == -EINVAL)
				ret = 0;
		}
		if (ret < 0)
			c->err = ret;
	}
	close(efd);
	return NULL;
}

TEST_F(power, two_threads)
{
	struct caller c[4] = {};
	size_t i;
	u32 val;

	for (i = 0; i < LIB_ARRAY_SIZE(c); i++) {
		c[i] = (struct caller){ .s = &self->s, .bar = self->bar, .enters = i & 1 };
		ASSERT_EQ(0, pthread_create(&c[i].thread, NULL, call, &c[i]));
	}
	for (i = 0; i < LIB_ARRAY_SIZE(c); i++) {
		pthread_join(c[i].thread, NULL);
		EXPECT_EQ(0, c[i].err);
	}
	ASSERT_EQ(0, low_power_exit(self->s.fd));
	EXPECT_TRUE(power_awake(self->bdf));
	EXPECT_EQ(0, mmio_peek32(self->map, &val));
	/* No reference is lost or leaked. */
	ASSERT_EQ(0, low_power_entry(self->s.fd));
	EXPECT_TRUE(power_sleeps(self->bdf));
	close_all(self);
	EXPECT_TRUE(power_sleeps(self->bdf));
	ASSERT_EQ(0, session_open(&self->s, self->bdf));
	EXPECT_TRUE(power_awake(self->bdf));
	self->map = bar_map(self->s.fd, self->bar, 0, 0x1000);
}

/* The parameter applies to devices that are bound from then on. */
#define IDLE_D3 "/sys/module/vfio_pci/parameters/disable_idle_d3"

TEST_F(power, disable_idle_d3)
{
	u32 val;

	close_all(self);
	ASSERT_EQ(0, sysfs_write("Y", IDLE_D3));
	ASSERT_EQ(0, sysfs_unbind(self->bdf));
	ASSERT_EQ(0, sysfs_rebind(self->bdf));
	ASSERT_EQ(0, sysfs_write("N", IDLE_D3));
	power_no_delay(self->bdf);
	ASSERT_EQ(0, session_open(&self->s, self->bdf));
	self->map = bar_map(self->s.fd, self->bar, 0, 0x1000);
	ASSERT_EQ(0, mmio_peek32(self->map, &val));
	/* In low power, it sleeps nevertheless. */
	ASSERT_EQ(0, low_power_entry(self->s.fd));
	EXPECT_TRUE(power_sleeps(self->bdf));
	close_all(self);
	EXPECT_TRUE(power_awake(self->bdf));

	ASSERT_EQ(0, sysfs_unbind(self->bdf));
	ASSERT_EQ(0, sysfs_rebind(self->bdf));
	power_no_delay(self->bdf);
	EXPECT_TRUE(power_sleeps(self->bdf));
	ASSERT_EQ(0, session_open(&self->s, self->bdf));
	self->map = bar_map(self->s.fd, self->bar, 0, 0x1000);
}

TEST_HARNESS_MAIN
