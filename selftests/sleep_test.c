// SPDX-License-Identifier: GPL-2.0-only
/*
 * System sleep, from suspending all devices to resuming them: the user of a device, who is frozen
 * in the meantime, continues as if nothing had happened.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "lib/config.h"
#include "lib/exercise.h"
#include "lib/harness.h"
#include "lib/irq.h"
#include "lib/power.h"
#include "lib/region.h"

/* A device that exists in the machine, with its user */
struct sleeper {
	enum test_device dev;
	const char *bdf;
	struct session s;
	struct exercise x;
	/* Offset of its power management capability */
	int pm;
	int efd;
	u8 before[256];
};

/* The system suspends all devices at once, so each test does, too. */
FIXTURE(sleep)
{
	struct sleeper all[DEV_COUNT];
	int count;
};

#define for_each_sleeper(d, self) \
	for ((d) = (self)->all; (d) < (self)->all + (self)->count; (d)++)

/* After a check: its device */
#define OF(d) TH_LOG("%s", device_name((d)->dev))

FIXTURE_SETUP(sleep)
{
	struct sleeper *d;
	int dev;

	if (access("/sys/power/pm_test", W_OK))
		SKIP(return, "this kernel cannot test system sleep");
	for (dev = 0; dev < DEV_OF_ALL_KINDS; dev++) {
		if (!device_bdf(dev))
			continue;
		d = &self->all[self->count++];
		d->dev = dev;
		d->bdf = device_bdf(dev);
		d->s = (struct session){ .fd = -1, .iommufd = -1 };
	}
	if (!self->count)
		SKIP(return, "no device in this machine");
	for_each_sleeper(d, self) {
		ASSERT_EQ(0, session_open(&d->s, d->bdf))
			OF(d);
		power_no_delay(d->bdf);
	}
}

FIXTURE_TEARDOWN(sleep)
{
	struct sleeper *d;

	for_each_sleeper(d, self)
		session_close(&d->s);
}

/* The user's setup is intact afterwards. */
TEST_F(sleep, in_use)
{
	struct sleeper *d;
	u8 after[256];
	int i;

	for_each_sleeper(d, self) {
		u32 bar = config_read(d->s.fd, PCI_BASE_ADDRESS_0, 4) & ~0xf;

		ASSERT_EQ(0, config_write(d->s.fd, PCI_BASE_ADDRESS_0, 4, bar ^ 0x10000000))
			OF(d);
		ASSERT_EQ(0, config_write(d->s.fd, PCI_INTERRUPT_LINE, 1, 0x5a))
			OF(d);
		ASSERT_EQ(0, config_write(d->s.fd, PCI_CACHE_LINE_SIZE, 1, 0x20))
			OF(d);
		ASSERT_EQ(0, exercise_start(&d->x, d->dev, &d->s))
			OF(d);
		ASSERT_EQ(0, exercise(&d->x))
			OF(d);
		ASSERT_EQ(256, region_pread(d->s.fd, VFIO_PCI_CONFIG_REGION_INDEX, 0, d->before,
					    256))
			OF(d);
	}
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, system_sleep());
		for_each_sleeper(d, self) {
			ASSERT_EQ(256, region_pread(d->s.fd, VFIO_PCI_CONFIG_REGION_INDEX, 0, after,
						    256))
				OF(d);
			EXPECT_EQ(0, memcmp(d->before, after, 256))
				OF(d);
			EXPECT_EQ(0, exercise(&d->x))
				OF(d);
			EXPECT_TRUE(power_awake(d->bdf))
				OF(d);
		}
	}
	for_each_sleeper(d, self)
		exercise_end(&d->x);
}

/* Interrupts that were off stay off, and other types stay as they were. */
TEST_F(sleep, interrupts)
{
	struct vfio_irq_info info;
	struct sleeper *d;
	int i;

	for_each_sleeper(d, self) {
		d->efd = event_new();
		ASSERT_EQ(0, config_master(d->s.fd, true))
			OF(d);
	}
	for (i = VFIO_PCI_INTX_IRQ_INDEX; i <= VFIO_PCI_MSIX_IRQ_INDEX; i++) {
		for_each_sleeper(d, self) {
			ASSERT_EQ(0, irq_info(d->s.fd, i, &info))
				OF(d);
			if (info.count)
				ASSERT_EQ(0, irq_eventfd(d->s.fd, i, info.count - 1, d->efd))
					OF(d);
		}
		ASSERT_EQ(0, system_sleep());
		for_each_sleeper(d, self) {
			ASSERT_EQ(0, irq_info(d->s.fd, i, &info))
				OF(d);
			if (!info.count)
				continue;
			EXPECT_EQ(0, irq_loopback(d->s.fd, i, info.count - 1, 1))
				OF(d);
			EXPECT_EQ(1, event_take(d->efd))
				TH_LOG("%s, interrupt index %d", device_name(d->dev), i);
			ASSERT_EQ(0, irq_disable(d->s.fd, i))
				OF(d);
		}
	}
	for_each_sleeper(d, self)
		close(d->efd);
}

/* Memory decode stays off, and nothing is mapped. */
TEST_F(sleep, decode_off)
{
	struct sleeper *d;
	u32 val;

	for_each_sleeper(d, self) {
		ASSERT_EQ(0, exercise_start(&d->x, d->dev, &d->s))
			OF(d);
		ASSERT_EQ(0, config_update(d->s.fd, PCI_COMMAND, 2, PCI_COMMAND_MEMORY, 0))
			OF(d);
	}
	ASSERT_EQ(0, system_sleep());
	for_each_sleeper(d, self) {
		EXPECT_EQ(0, config_read(d->s.fd, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY)
			OF(d);
		EXPECT_EQ(-EFAULT, mmio_peek32(d->x.bar, &val))
			OF(d);
		ASSERT_EQ(0, config_update(d->s.fd, PCI_COMMAND, 2, 0, PCI_COMMAND_MEMORY))
			OF(d);
		EXPECT_EQ(0, exercise(&d->x))
			OF(d);
		exercise_end(&d->x);
	}
}

/* Put to sleep by its user, with the register: it wakes up in D0. */
TEST_F(sleep, in_d3hot)
{
	struct sleeper *d;
	int asleep = 0;
	u8 after[64];

	for_each_sleeper(d, self) {
		d->pm = config_cap(d->s.fd, PCI_CAP_ID_PM);
		if (d->pm <= 0)
			continue;
		asleep++;
		ASSERT_EQ(0, exercise_start(&d->x, d->dev, &d->s))
			OF(d);
		ASSERT_EQ(64, region_pread(d->s.fd, VFIO_PCI_CONFIG_REGION_INDEX, 0, d->before, 64))
			OF(d);
		ASSERT_EQ(0, config_update(d->s.fd, d->pm + PCI_PM_CTRL, 2, PCI_PM_CTRL_STATE_MASK,
					   3))
			OF(d);
	}
	if (!asleep)
		SKIP(return, "no device with power management");
	ASSERT_EQ(0, system_sleep());
	for_each_sleeper(d, self) {
		if (d->pm <= 0)
			continue;
		EXPECT_EQ(0, config_read(d->s.fd, d->pm + PCI_PM_CTRL, 2) & PCI_PM_CTRL_STATE_MASK)
			OF(d);
		ASSERT_EQ(64, region_pread(d->s.fd, VFIO_PCI_CONFIG_REGION_INDEX, 0, after, 64))
			OF(d);
		EXPECT_EQ(0, memcmp(d->before, after, 64))
			OF(d);
		EXPECT_EQ(0, exercise(&d->x))
			OF(d);
		exercise_end(&d->x);
	}
}

/* Already suspended by runtime PM: it need not be woken up for system sleep. */
TEST_F(sleep, in_low_power)
{
	struct sleeper *d;
	u32 val;

	for_each_sleeper(d, self) {
		d->efd = event_new();
		ASSERT_EQ(0, exercise_start(&d->x, d->dev, &d->s))
			OF(d);
		ASSERT_EQ(0, low_power_entry(d->s.fd))
			OF(d);
	}
	for_each_sleeper(d, self)
		ASSERT_TRUE(power_sleeps(d->bdf))
			OF(d);
	ASSERT_EQ(0, system_sleep());
	for_each_sleeper(d, self) {
		EXPECT_TRUE(power_sleeps(d->bdf))
			OF(d);
		EXPECT_EQ(-EFAULT, mmio_peek32(d->x.bar, &val))
			OF(d);
		ASSERT_EQ(0, low_power_exit(d->s.fd))
			OF(d);
		EXPECT_EQ(0, exercise(&d->x))
			OF(d);

		/* If it is, its user is notified. */
		ASSERT_EQ(0, low_power_entry_with_wakeup(d->s.fd, d->efd))
			OF(d);
	}
	for_each_sleeper(d, self)
		ASSERT_TRUE(power_sleeps(d->bdf))
			OF(d);
	ASSERT_EQ(0, system_sleep());
	for_each_sleeper(d, self) {
		EXPECT_EQ(power_is(d->bdf, "power/runtime_status", "active"), event_take(d->efd))
			OF(d);
		ASSERT_EQ(0, low_power_exit(d->s.fd))
			OF(d);
		EXPECT_TRUE(power_awake(d->bdf))
			OF(d);
		EXPECT_EQ(0, exercise(&d->x))
			OF(d);
		exercise_end(&d->x);
		close(d->efd);
	}
}

/* In low power, but kept awake by the host */
TEST_F(sleep, in_low_power_awake)
{
	struct sleeper *d;
	u32 val;

	for_each_sleeper(d, self) {
		ASSERT_EQ(0, exercise_start(&d->x, d->dev, &d->s))
			OF(d);
		ASSERT_EQ(0, sysfs_write("on", "/sys/bus/pci/devices/%s/power/control", d->bdf))
			OF(d);
		ASSERT_EQ(0, low_power_entry(d->s.fd))
			OF(d);
	}
	ASSERT_EQ(0, system_sleep());
	for_each_sleeper(d, self) {
		EXPECT_EQ(-EFAULT, mmio_peek32(d->x.bar, &val))
			OF(d);
		ASSERT_EQ(0, sysfs_write("auto", "/sys/bus/pci/devices/%s/power/control", d->bdf))
			OF(d);
		EXPECT_TRUE(power_sleeps(d->bdf))
			OF(d);
		ASSERT_EQ(0, low_power_exit(d->s.fd))
			OF(d);
		EXPECT_TRUE(power_awake(d->bdf))
			OF(d);
		EXPECT_EQ(0, exercise(&d->x))
			OF(d);
		exercise_end(&d->x);
	}
}

/* Unused, asleep or not */
TEST_F(sleep, idle)
{
	struct sleeper *d;

	for_each_sleeper(d, self)
		session_close(&d->s);
	for_each_sleeper(d, self)
		ASSERT_TRUE(power_sleeps(d->bdf))
			OF(d);
	ASSERT_EQ(0, system_sleep());
	for_each_sleeper(d, self) {
		EXPECT_TRUE(power_sleeps(d->bdf))
			OF(d);
		ASSERT_EQ(0, sysfs_write("on", "/sys/bus/pci/devices/%s/power/control", d->bdf))
			OF(d);
	}
	ASSERT_EQ(0, system_sleep());
	for_each_sleeper(d, self) {
		EXPECT_TRUE(power_awake(d->bdf))
			OF(d);
		ASSERT_EQ(0, sysfs_write("auto", "/sys/bus/pci/devices/%s/power/control", d->bdf))
			OF(d);
		EXPECT_TRUE(power_sleeps(d->bdf))
			OF(d);

		ASSERT_EQ(0, session_open(&d->s, d->bdf))
			OF(d);
		EXPECT_TRUE(power_awake(d->bdf))
			OF(d);
		ASSERT_EQ(0, exercise_start(&d->x, d->dev, &d->s))
			OF(d);
		EXPECT_EQ(0, exercise(&d->x))
			OF(d);
		exercise_end(&d->x);
	}
}

/* Other threads of the user, or other users, that are busy */
struct busy {
	struct sleeper *d;
	pthread_t thread;
	bool stop;
	long count;
	long seen;
	int err;
};

static bool goes_on(struct busy *b)
{
	__atomic_fetch_add(&b->count, 1, __ATOMIC_RELEASE);
	return !b->err && !__atomic_load_n(&b->stop, __ATOMIC_ACQUIRE);
}

static void *access_thread(void *arg)
{
	struct busy *b = arg;
	struct exercise *x = &b->d->x;
	int fd = b->d->s.fd;
	u32 id = config_read(fd, 0, 4), val;

	while (goes_on(b)) {
		if (config_read(fd, 0, 4) != id || config_write(fd, PCI_INTERRUPT_LINE, 1, 9) ||
		    config_read(fd, PCI_INTERRUPT_LINE, 1) != 9)
			b->err = -EIO;
		if (mmio_peek32(x->bar, &val) ||
		    region_pread(fd, x->index, 0, &val, 4) != 4)
			b->err = -EFAULT;
		if (config_update(fd, PCI_COMMAND, 2, 0, PCI_COMMAND_MEMORY))
			b->err = -EINVAL;
	}
	return NULL;
}

/* Sets up its interrupt again and again, and resets it if possible. */
static void *ioctl_thread(void *arg)
{
	struct busy *b = arg;
	struct exercise *x = &b->d->x;
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int fd = b->d->s.fd;

	vfio_ioctl(fd, VFIO_DEVICE_GET_INFO, &info);
	while (goes_on(b)) {
		if (x->irq < VFIO_PCI_NUM_IRQS) {
			b->err = irq_disable(fd, x->irq);
			if (!b->err)
				b->err = irq_eventfd(fd, x->irq, 0, x->efd);
		}
		if (!b->err && info.flags & VFIO_DEVICE_FLAGS_RESET)
			b->err = vfio_ioctl(fd, VFIO_DEVICE_RESET, NULL);
		/* The PCI core locks it for a moment during suspend and resume. */
		if (b->err == -EAGAIN)
			b->err = 0;
	}
	return NULL;
}

static void *open_thread(void *arg)
{
	struct busy *b = arg;
	struct session *s = &b->d->s;

	while (goes_on(b)) {
		session_close(s);
		b->err = session_open(s, b->d->bdf);
		if (!b->err && config_read(s->fd, 0, 2) < 0)
			b->err = -EIO;
	}
	return NULL;
}

static bool has_failed(struct busy *b)
{
	return __atomic_load_n(&b->err, __ATOMIC_ACQUIRE);
}

/* Sleep a few times, with some progress of each device's thread in between. */
static void sleep_under(struct __test_metadata *_metadata, FIXTURE_DATA(sleep) *self,
			void *(*fn)(void *))
{
	struct busy busy[DEV_COUNT] = {}, *b, *end = busy + self->count;
	int err = 0, i;

	for (b = busy; b < end; b++) {
		b->d = &self->all[b - busy];
		ASSERT_EQ(0, pthread_create(&b->thread, NULL, fn, b))
			OF(b->d);
	}
	for (i = 0; i < 3 && !err; i++) {
		for (b = busy; b < end; b++)
			b->seen = __atomic_load_n(&b->count, __ATOMIC_ACQUIRE);
		for (b = busy; b < end; b++)
			while (__atomic_load_n(&b->count, __ATOMIC_ACQUIRE) < b->seen + 2 &&
			       !has_failed(b))
				usleep(100);
		err = system_sleep();
	}
	EXPECT_EQ(0, err);
	for (b = busy; b < end; b++)
		__atomic_store_n(&b->stop, true, __ATOMIC_RELEASE);
	for (b = busy; b < end; b++) {
		pthread_join(b->thread, NULL);
		EXPECT_EQ(0, b->err)
			TH_LOG("%s, after %ld rounds", device_name(b->d->dev), b->count);
	}
}

TEST_F(sleep, under_access)
{
	struct sleeper *d;

	for_each_sleeper(d, self)
		ASSERT_EQ(0, exercise_start(&d->x, d->dev, &d->s))
			OF(d);
	sleep_under(_metadata, self, access_thread);
	for_each_sleeper(d, self) {
		EXPECT_EQ(0, exercise(&d->x))
			OF(d);
		exercise_end(&d->x);
	}
}

TEST_F(sleep, under_ioctls)
{
	struct sleeper *d;

	for_each_sleeper(d, self)
		ASSERT_EQ(0, exercise_start(&d->x, d->dev, &d->s))
			OF(d);
	sleep_under(_metadata, self, ioctl_thread);
	for_each_sleeper(d, self) {
		exercise_end(&d->x);
		ASSERT_EQ(0, exercise_start(&d->x, d->dev, &d->s))
			OF(d);
		EXPECT_EQ(0, exercise(&d->x))
			OF(d);
		exercise_end(&d->x);
	}
}

TEST_F(sleep, under_bind)
{
	struct sleeper *d;

	sleep_under(_metadata, self, open_thread);
	for_each_sleeper(d, self) {
		ASSERT_EQ(0, exercise_start(&d->x, d->dev, &d->s))
			OF(d);
		EXPECT_EQ(0, exercise(&d->x))
			OF(d);
		exercise_end(&d->x);
	}
}

TEST_HARNESS_MAIN
