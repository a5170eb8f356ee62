// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the in-tree driver does not do: a device that is soon opened again stays awake; an unused
 * one does not go to D3cold; one that sleeps, or is written to by ioeventfds, can be taken away;
 * and bus mastering by ioctl.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/config.h"
#include "lib/harness.h"
#include "lib/irq.h"
#include "lib/module.h"
#include "lib/nic.h"
#include "lib/power.h"
#include "lib/region.h"

#define GRACE "/sys/module/vfio_iommufd/parameters/release_grace_ms"

static int ioeventfd(int fd, u64 pos, u64 data, int efd)
{
	struct vfio_device_ioeventfd io = {
		.argsz = sizeof(io), .flags = VFIO_DEVICE_IOEVENTFD_32, .offset = pos,
		.data = data, .fd = efd,
	};

	return vfio_ioctl(fd, VFIO_DEVICE_IOEVENTFD, &io);
}

static int set_master(int fd, u32 op)
{
	struct vfio_device_feature_bus_master master = { .op = op };

	return vfio_feature_set(fd, VFIO_DEVICE_FEATURE_BUS_MASTER, &master, sizeof(master));
}

FIXTURE(power)
{
	const char *bdf;
	struct session s;
	char grace[32];
};

FIXTURE_VARIANT(power)
{
	enum test_device dev;
};

FIXTURE_ALL_DEVICES(power);

FIXTURE_SETUP(power)
{
	OURS_ONLY();
	SETUP_DEVICE(&self->bdf, variant->dev);
	ASSERT_LT(0, sysfs_read(self->grace, sizeof(self->grace), GRACE));
	ASSERT_EQ(0, sysfs_write("0", GRACE));
	ASSERT_EQ(0, session_open(&self->s, self->bdf));
}

FIXTURE_TEARDOWN(power)
{
	sysfs_write(self->grace, GRACE);
	session_close(&self->s);
	sysfs_rebind(self->bdf);
}

/* With a delay that does not end during a test, it stays awake between sessions. */
TEST_F(power, stays_awake_for_a_while)
{
	char before[32], after[32];

	ASSERT_EQ(0, sysfs_write("1000000", "/sys/bus/pci/devices/%s/power/autosuspend_delay_ms",
				 self->bdf));
	ASSERT_LT(0, sysfs_read(before, sizeof(before),
				"/sys/bus/pci/devices/%s/power/runtime_suspended_time", self->bdf));
	session_close(&self->s);
	ASSERT_EQ(0, session_open(&self->s, self->bdf));
	session_close(&self->s);
	EXPECT_TRUE(power_awake(self->bdf));
	ASSERT_LT(0, sysfs_read(after, sizeof(after),
				"/sys/bus/pci/devices/%s/power/runtime_suspended_time", self->bdf));
	EXPECT_STREQ(before, after);
	/* Making the delay shorter suspends it at once. */
	power_no_delay(self->bdf);
	EXPECT_TRUE(power_sleeps(self->bdf));
}

/* In-tree, its size is 0 then, and reading it fails with ENOMEM. */
TEST_F(power, rom_in_d3hot)
{
	int pos = config_cap(self->s.fd, PCI_CAP_ID_PM);
	u64 start, size, flags;
	struct vfio_region_info info;
	u8 byte;

	ASSERT_EQ(0, sysfs_resource(self->bdf, 6, &start, &size, &flags));
	if (!size || pos < 0)
		SKIP(return, "no ROM, or no power management");
	ASSERT_EQ(0, config_update(self->s.fd, pos + PCI_PM_CTRL, 2, PCI_PM_CTRL_STATE_MASK, 3));
	ASSERT_EQ(0, region_info(self->s.fd, VFIO_PCI_ROM_REGION_INDEX, &info));
	EXPECT_EQ(size, info.size);
	EXPECT_EQ(-EIO, region_pread(self->s.fd, VFIO_PCI_ROM_REGION_INDEX, 0, &byte, 1));
}

/* In-tree, messages can be turned on in D0 only. */
TEST_F(power, messages_in_d3hot)
{
	int pos = config_cap(self->s.fd, PCI_CAP_ID_PM);
	int efd = event_new(), type;
	struct vfio_irq_info info;

	if (pos < 0)
		SKIP(return, "no power management");
	ASSERT_EQ(0, config_update(self->s.fd, pos + PCI_PM_CTRL, 2, PCI_PM_CTRL_STATE_MASK, 3));
	for (type = VFIO_PCI_MSI_IRQ_INDEX; type <= VFIO_PCI_MSIX_IRQ_INDEX; type++) {
		ASSERT_EQ(0, irq_info(self->s.fd, type, &info));
		if (!info.count)
			continue;
		ASSERT_EQ(0, irq_eventfd(self->s.fd, type, 0, efd));
		ASSERT_EQ(0, irq_loopback(self->s.fd, type, 0, 1));
		EXPECT_EQ(1, event_take(efd));
		ASSERT_EQ(0, irq_disable(self->s.fd, type));
		EXPECT_EQ(3, config_read(self->s.fd, pos + PCI_PM_CTRL, 2) &
			     PCI_PM_CTRL_STATE_MASK);
	}
	close(efd);
}

TEST_F(power, taken_away_asleep)
{
	int efd = event_new(), i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, i ? low_power_entry_with_wakeup(self->s.fd, efd) :
				 low_power_entry(self->s.fd));
		ASSERT_TRUE(power_sleeps(self->bdf));
		ASSERT_EQ(0, sysfs_unbind(self->bdf));
		EXPECT_EQ(i, event_take(efd));
		EXPECT_EQ(-ENODEV, low_power_exit(self->s.fd));
		/* As if it had not been used: awake, and without a driver. */
		EXPECT_TRUE(power_is(self->bdf, "power/runtime_status", "active"));
		session_close(&self->s);
		ASSERT_EQ(0, sysfs_rebind(self->bdf));
		power_no_delay(self->bdf);
		EXPECT_TRUE(power_sleeps(self->bdf));
		ASSERT_EQ(0, session_open(&self->s, self->bdf));
	}
	close(efd);
}

struct reader {
	int fd;
	pid_t tid;
	s64 got;
};

static void *read_thread(void *arg)
{
	struct reader *r = arg;

	__atomic_store_n(&r->tid, gettid(), __ATOMIC_RELEASE);
	r->got = config_read(r->fd, PCI_COMMAND, 4);
	return NULL;
}

/* A read that entered while the device was awake must fail if it sleeps by now. */
TEST_F(power, asleep_before_it_is_read)
{
	struct reader r = { .fd = self->s.fd };
	pthread_t thread;
	char args[64];

	power_no_delay(self->bdf);
	sprintf(args, "device=%s blocked=1", self->bdf);
	ASSERT_EQ(0, module_load("odd-function", args));
	ASSERT_EQ(0, pthread_create(&thread, NULL, read_thread, &r));
	EXPECT_TRUE(thread_waits(&r.tid));
	EXPECT_EQ(0, low_power_entry(self->s.fd));
	EXPECT_TRUE(power_sleeps(self->bdf));
	ASSERT_EQ(0, module_unload("odd-function"));
	pthread_join(thread, NULL);
	EXPECT_EQ(-EIO, r.got);
	/* The next read wakes it up. */
	EXPECT_LE(0, config_read(self->s.fd, PCI_COMMAND, 4));
	EXPECT_EQ(0, low_power_exit(self->s.fd));
}

struct signaller {
	int efd;
	bool stop;
};

static void *signal_on(void *arg)
{
	struct signaller *s = arg;

	while (!__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE))
		event_signal(s->efd);
	return NULL;
}

/* Signaling all the time must delay neither resets, low power nor revocation. */
TEST_F(power, taken_away_while_eventfds_are_signalled)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct signaller sig = { .efd = event_new() };
	struct vfio_region_info region;
	u32 val = 0, bar;
	pthread_t thread;
	int i;

	/* Register 0 can be written without harm in all of them, unless it is the MSI-X table. */
	for (bar = 0; bar < 6; bar++) {
		ASSERT_EQ(0, region_info(self->s.fd, bar, &region));
		if (!(region.flags & VFIO_REGION_INFO_FLAG_MMAP))
			continue;
		ASSERT_EQ(4, region_pread(self->s.fd, bar, 0, &val, 4));
		if (!ioeventfd(self->s.fd, region_offset(bar), val, sig.efd))
			break;
	}
	ASSERT_GT(6, bar);
	ASSERT_EQ(0, vfio_ioctl(self->s.fd, VFIO_DEVICE_GET_INFO, &info));
	ASSERT_EQ(0, pthread_create(&thread, NULL, signal_on, &sig));
	for (i = 0; i < 5; i++) {
		if (info.flags & VFIO_DEVICE_FLAGS_RESET) {
			EXPECT_EQ(0, vfio_ioctl(self->s.fd, VFIO_DEVICE_RESET, NULL));
		}
		EXPECT_EQ(0, low_power_entry(self->s.fd));
		EXPECT_EQ(0, low_power_exit(self->s.fd));
	}
	EXPECT_EQ(0, sysfs_unbind(self->bdf));
	EXPECT_EQ(-ENODEV, ioeventfd(self->s.fd, region_offset(bar), val, -1));
	__atomic_store_n(&sig.stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	close(sig.efd);
	ASSERT_EQ(0, sysfs_rebind(self->bdf));
}

TEST_F(power, bus_master)
{
	const u32 feature = VFIO_DEVICE_FEATURE_BUS_MASTER;
	struct vfio_device_feature f = {
		.argsz = sizeof(f), .flags = VFIO_DEVICE_FEATURE_PROBE | feature,
	};
	u16 command;

	f.flags |= VFIO_DEVICE_FEATURE_SET;
	EXPECT_EQ(0, vfio_ioctl(self->s.fd, VFIO_DEVICE_FEATURE, &f));
	f.flags |= VFIO_DEVICE_FEATURE_GET;
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->s.fd, VFIO_DEVICE_FEATURE, &f));
	f.flags = VFIO_DEVICE_FEATURE_SET | feature;
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->s.fd, VFIO_DEVICE_FEATURE, &f));
	EXPECT_EQ(-EINVAL, set_master(self->s.fd, 2));
	EXPECT_EQ(-EINVAL, set_master(self->s.fd, -1));
	EXPECT_EQ(0, config_read(self->s.fd, PCI_COMMAND, 2) & PCI_COMMAND_MASTER);

	ASSERT_EQ(0, set_master(self->s.fd, VFIO_DEVICE_FEATURE_SET_MASTER));
	EXPECT_NE(0, config_read(self->s.fd, PCI_COMMAND, 2) & PCI_COMMAND_MASTER);
	/* The rest of the register is unchanged. */
	EXPECT_NE(0, config_read(self->s.fd, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY);
	ASSERT_EQ(2, sysfs_config(self->bdf, PCI_COMMAND, &command, 2));
	EXPECT_NE(0, command & PCI_COMMAND_MASTER);

	ASSERT_EQ(0, set_master(self->s.fd, VFIO_DEVICE_FEATURE_CLEAR_MASTER));
	EXPECT_EQ(0, config_read(self->s.fd, PCI_COMMAND, 2) & PCI_COMMAND_MASTER);
	EXPECT_NE(0, config_read(self->s.fd, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY);
	ASSERT_EQ(2, sysfs_config(self->bdf, PCI_COMMAND, &command, 2));
	EXPECT_EQ(0, command & PCI_COMMAND_MASTER);
}

/* The administrator's choice, before or in the meantime, is preserved. */
TEST_F(power, control)
{
	const char *control = "/sys/bus/pci/devices/%s/power/control";

	session_close(&self->s);
	ASSERT_EQ(0, sysfs_unbind(self->bdf));
	EXPECT_TRUE(power_is(self->bdf, "power/control", "on"));
	ASSERT_EQ(0, sysfs_write("auto", control, self->bdf));
	ASSERT_EQ(0, sysfs_rebind(self->bdf));
	power_no_delay(self->bdf);
	EXPECT_TRUE(power_sleeps(self->bdf));
	ASSERT_EQ(0, sysfs_unbind(self->bdf));
	EXPECT_TRUE(power_is(self->bdf, "power/control", "auto"));

	ASSERT_EQ(0, sysfs_rebind(self->bdf));
	ASSERT_EQ(0, sysfs_write("on", control, self->bdf));
	EXPECT_TRUE(power_awake(self->bdf));
	ASSERT_EQ(0, sysfs_unbind(self->bdf));
	EXPECT_TRUE(power_is(self->bdf, "power/control", "on"));
	ASSERT_EQ(0, sysfs_rebind(self->bdf));
	power_no_delay(self->bdf);
	EXPECT_TRUE(power_sleeps(self->bdf));
}

/* Find a device behind a port that the kernel allows to sleep, which excludes hot-plug slots. */
static int behind_sleepy_port(char bdf[BDF_LEN], char port[BDF_LEN])
{
	char next[BDF_LEN], its[BDF_LEN];
	unsigned int nth;
	int err = -ENODEV;

	for (nth = 0; !sysfs_find(0x1234, 0x11e8, nth, next); nth++) {
		if (sysfs_port(next, its) || !power_is(its, "power/control", "auto"))
			continue;
		strcpy(bdf, next);
		strcpy(port, its);
		err = 0;
	}
	return err;
}

/* For the kernel, a device is in D3cold when its port sleeps. */
TEST(d3cold)
{
	char bdf[BDF_LEN], port[BDF_LEN];
	struct session s;

	OURS_ONLY();
	if (behind_sleepy_port(bdf, port))
		SKIP(return, "no port that could sleep");
	/* It is off in devices without power management, like edu. */
	ASSERT_EQ(0, sysfs_write("1", "/sys/bus/pci/devices/%s/d3cold_allowed", bdf));
	ASSERT_EQ(0, session_open(&s, bdf));
	session_close(&s);
	power_no_delay(bdf);
	ASSERT_TRUE(power_sleeps(bdf));
	/* If allowed, the port would sleep before this returns. */
	power_no_delay(port);
	EXPECT_TRUE(power_is(port, "power/runtime_status", "active"));

	ASSERT_EQ(0, session_open(&s, bdf));
	ASSERT_EQ(0, low_power_entry(s.fd));
	EXPECT_TRUE(power_sleeps(port));
	ASSERT_EQ(0, low_power_exit(s.fd));
	EXPECT_TRUE(power_awake(port));
	session_close(&s);
	ASSERT_TRUE(power_sleeps(bdf));
	power_no_delay(port);
	EXPECT_TRUE(power_is(port, "power/runtime_status", "active"));

	ASSERT_EQ(0, sysfs_unbind(bdf));
	/* For the next driver, D3cold is allowed again. */
	ASSERT_EQ(0, sysfs_write("auto", "/sys/bus/pci/devices/%s/power/control", bdf));
	EXPECT_TRUE(power_sleeps(port));
	ASSERT_EQ(0, sysfs_write("on", "/sys/bus/pci/devices/%s/power/control", bdf));
	/* Before its first user, the port stays awake, too. */
	ASSERT_EQ(0, sysfs_rebind(bdf));
	power_no_delay(bdf);
	EXPECT_TRUE(power_sleeps(bdf));
	power_no_delay(port);
	EXPECT_TRUE(power_is(port, "power/runtime_status", "active"));
}

TEST_HARNESS_MAIN
