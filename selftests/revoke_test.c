// SPDX-License-Identifier: GPL-2.0-only
/* The host wants a device back from a user who releases it on request. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/exercise.h"
#include "lib/harness.h"
#include "lib/config.h"
#include "lib/iommufd.h"
#include "lib/irq.h"
#include "lib/region.h"

FIXTURE(unbind)
{
	const char *bdf;
	struct session s;
	pthread_t thread;
	int err;
	bool done;
};

FIXTURE_VARIANT(unbind)
{
	enum test_device dev;
};

FIXTURE_ALL_DEVICES(unbind);

FIXTURE_SETUP(unbind)
{
	SETUP_DEVICE(&self->bdf, variant->dev);
	ASSERT_EQ(0, session_open(&self->s, self->bdf));
}

FIXTURE_TEARDOWN(unbind)
{
	session_close(&self->s);
	sysfs_rebind(self->bdf);
}

static void *unbind_thread(void *arg)
{
	FIXTURE_DATA(unbind) *self = arg;

	self->err = sysfs_unbind(self->bdf);
	__atomic_store_n(&self->done, true, __ATOMIC_RELEASE);
	return NULL;
}

TEST_F(unbind, on_request)
{
	int req = event_new(), fd;
	char path[64];

	ASSERT_LE(0, vfio_cdev_path(self->bdf, path, sizeof(path)));
	ASSERT_EQ(0, irq_eventfd(self->s.fd, VFIO_PCI_REQ_IRQ_INDEX, 0, req));
	ASSERT_EQ(0, pthread_create(&self->thread, NULL, unbind_thread, self));
	EXPECT_LE(1, event_wait(req));
	/* The user is asked, not forced, and has time to clean up. */
	EXPECT_FALSE(__atomic_load_n(&self->done, __ATOMIC_ACQUIRE));
	EXPECT_LE(0, config_read(self->s.fd, 0, 4));
	/* Nobody else can open it. */
	EXPECT_NE(0, access(path, F_OK));
	session_close(&self->s);
	pthread_join(self->thread, NULL);
	EXPECT_EQ(0, self->err);

	ASSERT_EQ(0, sysfs_rebind(self->bdf));
	fd = session_open(&self->s, self->bdf);
	EXPECT_EQ(0, fd);
}

TEST_F(unbind, user_killed)
{
	int ready[2];
	pid_t pid;
	char c;

	session_close(&self->s);
	ASSERT_EQ(0, pipe(ready));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		int req = event_new();

		if (session_open(&self->s, self->bdf) ||
		    irq_eventfd(self->s.fd, VFIO_PCI_REQ_IRQ_INDEX, 0, req) ||
		    write(ready[1], "", 1) != 1)
			_exit(1);
		/* The request makes the process exit. */
		event_wait(req);
		kill(getpid(), SIGKILL);
	}
	close(ready[1]);
	ASSERT_EQ(1, read(ready[0], &c, 1));
	EXPECT_EQ(0, sysfs_unbind(self->bdf));
	waitpid(pid, NULL, 0);
	ASSERT_EQ(0, sysfs_rebind(self->bdf));
	EXPECT_EQ(0, session_open(&self->s, self->bdf));
}

TEST_F(unbind, without_user)
{
	char name[64];

	session_close(&self->s);
	EXPECT_EQ(0, sysfs_unbind(self->bdf));
	sysfs_driver(self->bdf, name, sizeof(name));
	EXPECT_STREQ("", name);
	ASSERT_EQ(0, sysfs_rebind(self->bdf));
	EXPECT_EQ(0, session_open(&self->s, self->bdf));
}

/*
 * This happens if the driver is unbound during the recovery from an error, which still resets the
 * bus. The in-tree driver leaves the device without BARs for good.
 */
TEST_F(unbind, bus_reset_meanwhile)
{
	u8 before[64], after[64];
	char port[BDF_LEN], other[64];
	struct exercise x;
	u32 pt;

	OURS_ONLY();
	ASSERT_EQ(0, sysfs_port(self->bdf, port));
	snprintf(other, sizeof(other), "/sys/bus/pci/devices/%.11s1", self->bdf);
	if (!access(other, F_OK))
		SKIP(return, "another function would lose its configuration, too");
	ASSERT_EQ(64, sysfs_config(self->bdf, 0, before, 64));
	session_close(&self->s);
	ASSERT_EQ(0, sysfs_unbind(self->bdf));
	ASSERT_EQ(0, sysfs_bus_reset(port));
	ASSERT_EQ(64, sysfs_config(self->bdf, 0, after, 64));
	EXPECT_NE(0, memcmp(before, after, 64));
	ASSERT_EQ(0, sysfs_rebind(self->bdf));
	ASSERT_EQ(0, session_open(&self->s, self->bdf));
	ASSERT_EQ(64, sysfs_config(self->bdf, 0, after, 64));
	EXPECT_EQ(0, memcmp(before, after, 64));
	pt = self->s.ioas;
	EXPECT_EQ(0, vfio_attach(self->s.fd, &pt));
	ASSERT_EQ(0, exercise_start(&x, variant->dev, &self->s));
	EXPECT_EQ(0, exercise(&x));
	exercise_end(&x);
}

static void *rebind_thread(void *arg)
{
	FIXTURE_DATA(unbind) *self = arg;

	self->err = sysfs_rebind(self->bdf);
	return NULL;
}

/*
 * A session that begins while the driver is still binding to the device: the kernel thread that
 * creates the node first wakes us up, on the CPU of the task that binds, which has to wait then.
 */
TEST_F(unbind, open_at_once)
{
	struct sched_param fifo = { .sched_priority = 1 };
	struct inotify_event event[32];
	struct deadline end;
	struct exercise x;
	cpu_set_t cpus;
	int watch, err;
	u32 pt;

	/* Without a device, the folder would be removed. */
	ASSERT_LE(0, creat("/dev/vfio/devices/keep", 0600));
	watch = inotify_init1(IN_CLOEXEC);
	ASSERT_LE(0, watch);
	ASSERT_LE(0, inotify_add_watch(watch, "/dev/vfio/devices", IN_CREATE));
	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(cpus), &cpus));
	session_close(&self->s);
	ASSERT_EQ(0, sysfs_unbind(self->bdf));
	self->s.iommufd = iommufd_open();
	ASSERT_LE(0, self->s.iommufd);
	ASSERT_EQ(0, ioas_alloc(self->s.iommufd, &self->s.ioas));
	ASSERT_EQ(0, pthread_create(&self->thread, NULL, rebind_thread, self));
	ASSERT_EQ(0, sched_setscheduler(0, SCHED_FIFO, &fifo));
	ASSERT_LT(0, read(watch, event, sizeof(event)));
	close(watch);
	unlink("/dev/vfio/devices/keep");
	/* In-tree, the node appears before it can be opened. */
	deadline_start(&end);
	do {
		self->s.fd = vfio_cdev_open(self->bdf);
	} while (self->s.fd == -ENODEV && !deadline_passed(&end) && !usleep(1000));
	ASSERT_LE(0, self->s.fd);
	/* A device that can be reset is locked until the driver is bound. */
	do {
		err = vfio_bind(self->s.fd, self->s.iommufd, &self->s.devid);
	} while (err == -EAGAIN && !deadline_passed(&end) && !usleep(1000));
	EXPECT_EQ(0, err);
	pt = self->s.ioas;
	EXPECT_EQ(0, vfio_attach(self->s.fd, &pt));
	pthread_join(self->thread, NULL);
	ASSERT_EQ(0, self->err);
	ASSERT_EQ(0, exercise_start(&x, variant->dev, &self->s));
	EXPECT_EQ(0, exercise(&x));
	exercise_end(&x);
}

TEST_HARNESS_MAIN
