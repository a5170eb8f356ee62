// SPDX-License-Identifier: GPL-2.0-only
/*
 * System sleep, from suspending all devices to resuming them: the user of a device, who sleeps
 * as well, goes on as if nothing had happened.
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

FIXTURE(sleep)
{
	struct session s;
	const char *bdf;
	struct exercise x;
};

FIXTURE_VARIANT(sleep)
{
	enum test_device dev;
};

FIXTURE_ALL_DEVICES(sleep);

FIXTURE_SETUP(sleep)
{
	self->s.fd = -1;
	self->s.iommufd = -1;
	if (access("/sys/power/pm_test", W_OK))
		SKIP(return, "this kernel cannot test system sleep");
	SETUP_SESSION(&self->s, variant->dev);
	self->bdf = device_bdf(variant->dev);
	power_no_delay(self->bdf);
}

FIXTURE_TEARDOWN(sleep)
{
	session_close(&self->s);
}

/* All that the user has set up stands. */
TEST_F(sleep, in_use)
{
	u8 before[256], after[256];
	u32 bar = config_read(self->s.fd, PCI_BASE_ADDRESS_0, 4) & ~0xf;
	int i;

	ASSERT_EQ(0, config_write(self->s.fd, PCI_BASE_ADDRESS_0, 4, bar ^ 0x10000000));
	ASSERT_EQ(0, config_write(self->s.fd, PCI_INTERRUPT_LINE, 1, 0x5a));
	ASSERT_EQ(0, config_write(self->s.fd, PCI_CACHE_LINE_SIZE, 1, 0x20));
	ASSERT_EQ(0, exercise_start(&self->x, variant->dev, &self->s));
	ASSERT_EQ(0, exercise(&self->x));
	ASSERT_EQ(256, region_pread(self->s.fd, VFIO_PCI_CONFIG_REGION_INDEX, 0, before, 256));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, system_sleep());
		ASSERT_EQ(256, region_pread(self->s.fd, VFIO_PCI_CONFIG_REGION_INDEX, 0, after,
					    256));
		EXPECT_EQ(0, memcmp(before, after, 256));
		EXPECT_EQ(0, exercise(&self->x));
		EXPECT_TRUE(power_awake(self->bdf));
	}
	exercise_end(&self->x);
}

/* What was off, or is another type of interrupt, is so afterwards. */
TEST_F(sleep, interrupts)
{
	int efd = event_new(), i;

	ASSERT_EQ(0, config_master(self->s.fd, true));
	for (i = VFIO_PCI_INTX_IRQ_INDEX; i <= VFIO_PCI_MSIX_IRQ_INDEX; i++) {
		struct vfio_irq_info info;

		ASSERT_EQ(0, irq_info(self->s.fd, i, &info));
		if (!info.count)
			continue;
		ASSERT_EQ(0, irq_eventfd(self->s.fd, i, info.count - 1, efd));
		ASSERT_EQ(0, system_sleep());
		EXPECT_EQ(0, irq_loopback(self->s.fd, i, info.count - 1, 1));
		EXPECT_EQ(1, event_take(efd))
			TH_LOG("interrupt index %d", i);
		ASSERT_EQ(0, irq_disable(self->s.fd, i));
	}
	close(efd);
}

/* Memory decode stays off, and nobody maps what does not answer. */
TEST_F(sleep, decode_off)
{
	u32 val;

	ASSERT_EQ(0, exercise_start(&self->x, variant->dev, &self->s));
	ASSERT_EQ(0, config_update(self->s.fd, PCI_COMMAND, 2, PCI_COMMAND_MEMORY, 0));
	ASSERT_EQ(0, system_sleep());
	EXPECT_EQ(0, config_read(self->s.fd, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY);
	EXPECT_EQ(-EFAULT, mmio_peek32(self->x.bar, &val));
	ASSERT_EQ(0, config_update(self->s.fd, PCI_COMMAND, 2, 0, PCI_COMMAND_MEMORY));
	EXPECT_EQ(0, exercise(&self->x));
	exercise_end(&self->x);
}

/* Put to sleep by its user, by the register: it wakes up in D0. */
TEST_F(sleep, in_d3hot)
{
	int pos = config_cap(self->s.fd, PCI_CAP_ID_PM);
	u8 before[64], after[64];

	if (pos <= 0)
		SKIP(return, "no power management");
	ASSERT_EQ(0, exercise_start(&self->x, variant->dev, &self->s));
	ASSERT_EQ(64, region_pread(self->s.fd, VFIO_PCI_CONFIG_REGION_INDEX, 0, before, 64));
	ASSERT_EQ(0, config_update(self->s.fd, pos + PCI_PM_CTRL, 2, PCI_PM_CTRL_STATE_MASK, 3));
	ASSERT_EQ(0, system_sleep());
	EXPECT_EQ(0, config_read(self->s.fd, pos + PCI_PM_CTRL, 2) & PCI_PM_CTRL_STATE_MASK);
	ASSERT_EQ(64, region_pread(self->s.fd, VFIO_PCI_CONFIG_REGION_INDEX, 0, after, 64));
	EXPECT_EQ(0, memcmp(before, after, 64));
	EXPECT_EQ(0, exercise(&self->x));
	exercise_end(&self->x);
}

/* Suspended by runtime PM at the time: it need not be woken up for that. */
TEST_F(sleep, in_low_power)
{
	int efd = event_new();
	u32 val;

	ASSERT_EQ(0, exercise_start(&self->x, variant->dev, &self->s));
	ASSERT_EQ(0, low_power_entry(self->s.fd));
	ASSERT_TRUE(power_sleeps(self->bdf));
	ASSERT_EQ(0, system_sleep());
	EXPECT_TRUE(power_sleeps(self->bdf));
	EXPECT_EQ(-EFAULT, mmio_peek32(self->x.bar, &val));
	ASSERT_EQ(0, low_power_exit(self->s.fd));
	EXPECT_EQ(0, exercise(&self->x));

	/* If it is, its user is told. */
	ASSERT_EQ(0, low_power_entry_with_wakeup(self->s.fd, efd));
	ASSERT_TRUE(power_sleeps(self->bdf));
	ASSERT_EQ(0, system_sleep());
	EXPECT_EQ(power_is(self->bdf, "power/runtime_status", "active"), event_take(efd));
	ASSERT_EQ(0, low_power_exit(self->s.fd));
	EXPECT_TRUE(power_awake(self->bdf));
	EXPECT_EQ(0, exercise(&self->x));
	exercise_end(&self->x);
	close(efd);
}

/* In low power, and awake nonetheless, since the host wants it so */
TEST_F(sleep, in_low_power_awake)
{
	u32 val;

	ASSERT_EQ(0, exercise_start(&self->x, variant->dev, &self->s));
	ASSERT_EQ(0, sysfs_write("on", "/sys/bus/pci/devices/%s/power/control", self->bdf));
	ASSERT_EQ(0, low_power_entry(self->s.fd));
	ASSERT_EQ(0, system_sleep());
	EXPECT_EQ(-EFAULT, mmio_peek32(self->x.bar, &val));
	ASSERT_EQ(0, sysfs_write("auto", "/sys/bus/pci/devices/%s/power/control", self->bdf));
	EXPECT_TRUE(power_sleeps(self->bdf));
	ASSERT_EQ(0, low_power_exit(self->s.fd));
	EXPECT_TRUE(power_awake(self->bdf));
	EXPECT_EQ(0, exercise(&self->x));
	exercise_end(&self->x);
}

/* Nobody's at the time, asleep or not */
TEST_F(sleep, idle)
{
	session_close(&self->s);
	ASSERT_TRUE(power_sleeps(self->bdf));
	ASSERT_EQ(0, system_sleep());
	EXPECT_TRUE(power_sleeps(self->bdf));
	ASSERT_EQ(0, sysfs_write("on", "/sys/bus/pci/devices/%s/power/control", self->bdf));
	ASSERT_EQ(0, system_sleep());
	EXPECT_TRUE(power_awake(self->bdf));
	ASSERT_EQ(0, sysfs_write("auto", "/sys/bus/pci/devices/%s/power/control", self->bdf));
	EXPECT_TRUE(power_sleeps(self->bdf));

	ASSERT_EQ(0, session_open(&self->s, self->bdf));
	EXPECT_TRUE(power_awake(self->bdf));
	ASSERT_EQ(0, exercise_start(&self->x, variant->dev, &self->s));
	EXPECT_EQ(0, exercise(&self->x));
	exercise_end(&self->x);
}

/* Other threads of the user, or other users, in the midst of something */
struct busy {
	FIXTURE_DATA(sleep) *self;
	pthread_t thread;
	bool stop;
	long count;
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
	struct exercise *x = &b->self->x;
	int fd = b->self->s.fd;
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

/* Sets its interrupt up anew, and resets it if that is possible. */
static void *ioctl_thread(void *arg)
{
	struct busy *b = arg;
	struct exercise *x = &b->self->x;
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int fd = b->self->s.fd;

	vfio_ioctl(fd, VFIO_DEVICE_GET_INFO, &info);
	while (goes_on(b)) {
		if (x->irq < VFIO_PCI_NUM_IRQS) {
			b->err = irq_disable(fd, x->irq);
			if (!b->err)
				b->err = irq_eventfd(fd, x->irq, 0, x->efd);
		}
		if (!b->err && info.flags & VFIO_DEVICE_FLAGS_RESET)
			b->err = vfio_ioctl(fd, VFIO_DEVICE_RESET, NULL);
		/* The PCI core has it locked for a moment while it is suspended and resumed. */
		if (b->err == -EAGAIN)
			b->err = 0;
	}
	return NULL;
}

static void *open_thread(void *arg)
{
	struct busy *b = arg;
	struct session *s = &b->self->s;

	while (goes_on(b)) {
		session_close(s);
		b->err = session_open(s, b->self->bdf);
		if (!b->err && config_read(s->fd, 0, 2) < 0)
			b->err = -EIO;
	}
	return NULL;
}

/* Sleeps a few times, with some progress of the thread in between */
static int sleep_under(struct busy *b, void *(*fn)(void *))
{
	int err, i;

	err = -pthread_create(&b->thread, NULL, fn, b);
	for (i = 0; i < 3 && !err; i++) {
		long count = __atomic_load_n(&b->count, __ATOMIC_ACQUIRE);

		while (__atomic_load_n(&b->count, __ATOMIC_ACQUIRE) < count + 2 && !b->err)
			usleep(100);
		err = system_sleep();
	}
	__atomic_store_n(&b->stop, true, __ATOMIC_RELEASE);
	pthread_join(b->thread, NULL);
	return err ?: b->err;
}

TEST_F(sleep, under_access)
{
	struct busy b = { .self = self };

	ASSERT_EQ(0, exercise_start(&self->x, variant->dev, &self->s));
	EXPECT_EQ(0, sleep_under(&b, access_thread));
	EXPECT_EQ(0, exercise(&self->x));
	exercise_end(&self->x);
}

TEST_F(sleep, under_ioctls)
{
	struct busy b = { .self = self };

	ASSERT_EQ(0, exercise_start(&self->x, variant->dev, &self->s));
	EXPECT_EQ(0, sleep_under(&b, ioctl_thread));
	exercise_end(&self->x);
	ASSERT_EQ(0, exercise_start(&self->x, variant->dev, &self->s));
	EXPECT_EQ(0, exercise(&self->x));
	exercise_end(&self->x);
}

TEST_F(sleep, under_bind)
{
	struct busy b = { .self = self };

	EXPECT_EQ(0, sleep_under(&b, open_thread));
	ASSERT_EQ(0, exercise_start(&self->x, variant->dev, &self->s));
	EXPECT_EQ(0, exercise(&self->x));
	exercise_end(&self->x);
}

TEST_HARNESS_MAIN
