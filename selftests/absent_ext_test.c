// SPDX-License-Identifier: GPL-2.0-only
/*
 * A function that does not answer for a while, for example because its link is down: BIND fails
 * with a reason, and works when the function is back. In-tree, BIND succeeds, and the config space
 * that it saves is all ones.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../uapi/vfio_ext.h"
#include "lib/config.h"
#include "lib/exercise.h"
#include "lib/harness.h"
#include "lib/iommufd.h"
#include "lib/module.h"
#include "lib/power.h"
#include "lib/vfs.h"

#define HEADER 64
#define ODD "odd-function"
#define ODD_MUTE "/sys/module/odd_function/parameters/mute"
/* What the host has in a register that each reset clears, as a wake-up can be one */
#define LINE 0x40

FIXTURE(absent)
{
	const char *bdf;
	char port[BDF_LEN];
	/* The real bus numbers behind the port */
	u16 buses;
	struct session s;
	/* The hardware's header during a session */
	u8 header[HEADER];
};

FIXTURE_VARIANT(absent)
{
	enum test_device dev;
};

FIXTURE_ALL_DEVICES(absent);

/* Change the port's secondary and subordinate bus number, so that requests do not arrive. */
static int set_buses(FIXTURE_DATA(absent) *self, u16 buses)
{
	return sysfs_config_write(self->port, PCI_SECONDARY_BUS, &buses, sizeof(buses));
}

static int hide(FIXTURE_DATA(absent) *self)
{
	u16 command;
	int err = set_buses(self, 0xfefe);

	if (err)
		return err;
	err = sysfs_config(self->bdf, PCI_COMMAND, &command, sizeof(command));
	return err == sizeof(command) && command == 0xffff ? 0 : -EIO;
}

static int set_line(const char *bdf, u8 line)
{
	int err = sysfs_write("on", "/sys/bus/pci/devices/%s/power/control", bdf);

	if (!err)
		err = sysfs_config_write(bdf, PCI_CACHE_LINE_SIZE, &line, 1);
	return err ? err : sysfs_write("auto", "/sys/bus/pci/devices/%s/power/control", bdf);
}

FIXTURE_SETUP(absent)
{
	self->buses = 0;
	self->s.fd = -1;
	self->s.iommufd = -1;
	OURS_ONLY();
	SETUP_DEVICE(&self->bdf, variant->dev);
	ASSERT_EQ(0, sysfs_port(self->bdf, self->port));
	ASSERT_EQ(sizeof(self->buses), sysfs_config(self->port, PCI_SECONDARY_BUS, &self->buses,
						    sizeof(self->buses)));
	ASSERT_EQ(0, set_line(self->bdf, LINE));
	ASSERT_EQ(0, session_open(&self->s, self->bdf));
	ASSERT_EQ(HEADER, sysfs_config(self->bdf, 0, self->header, HEADER));
	ASSERT_EQ(LINE, self->header[PCI_CACHE_LINE_SIZE]);
}

FIXTURE_TEARDOWN(absent)
{
	if (self->buses)
		set_buses(self, self->buses);
	session_close(&self->s);
	if (self->bdf)
		set_line(self->bdf, 0);
}

#define EXPECT_ABSENT() do {								\
	struct vfio_device_last_error e_ = { .argsz = sizeof(e_) };			\
	int iommufd_ = iommufd_open(), fd_ = vfio_cdev_open(self->bdf);			\
											\
	ASSERT_LE(0, iommufd_);								\
	ASSERT_LE(0, fd_);								\
	EXPECT_EQ(-ENODEV, vfio_bind(fd_, iommufd_, NULL));				\
	EXPECT_EQ(0, vfio_ioctl(fd_, VFIO_DEVICE_GET_LAST_ERROR, &e_));			\
	EXPECT_STREQ("the function does not answer", (char *)e_.text);			\
	/* There is no session. */							\
	EXPECT_EQ(-EINVAL, config_read(fd_, 0, 4));					\
	close(fd_);									\
	close(iommufd_);								\
} while (0)

/* Its header is unchanged, and everything works. */
#define EXPECT_BACK() do {								\
	struct exercise x_;								\
	u8 header_[HEADER];								\
											\
	ASSERT_EQ(0, set_buses(self, self->buses));					\
	ASSERT_EQ(0, session_open(&self->s, self->bdf));				\
	ASSERT_EQ(HEADER, sysfs_config(self->bdf, 0, header_, HEADER));			\
	EXPECT_EQ(0, memcmp(self->header, header_, HEADER));				\
	ASSERT_EQ(0, exercise_start(&x_, variant->dev, &self->s));			\
	EXPECT_EQ(0, exercise(&x_));							\
	exercise_end(&x_);								\
} while (0)

/* The function is clean. */
TEST_F(absent, idle)
{
	ASSERT_TRUE(power_close(&self->s));
	ASSERT_EQ(0, sysfs_write("on", "/sys/bus/pci/devices/%s/power/control", self->bdf));
	ASSERT_EQ(0, hide(self));
	EXPECT_ABSENT();
	EXPECT_ABSENT();
	ASSERT_EQ(0, sysfs_write("auto", "/sys/bus/pci/devices/%s/power/control", self->bdf));
	EXPECT_BACK();
}

/* It does not wake up. As far as the kernel knows, it is asleep again when it is back. */
TEST_F(absent, asleep)
{
	ASSERT_TRUE(power_close(&self->s));
	ASSERT_EQ(0, hide(self));
	EXPECT_ABSENT();
	EXPECT_TRUE(power_sleeps(self->bdf));
	EXPECT_BACK();
}

/* The same, but it is back while the kernel believes that it is awake. Waking it up is a reset. */
TEST_F(absent, woken_up_too_early)
{
	char args[64];

	sprintf(args, "device=%s forgets=1", self->bdf);
	ASSERT_TRUE(power_close(&self->s));
	ASSERT_EQ(0, hide(self));
	ASSERT_EQ(0, sysfs_write("on", "/sys/bus/pci/devices/%s/power/control", self->bdf));
	EXPECT_ABSENT();
	ASSERT_EQ(0, set_buses(self, self->buses));
	ASSERT_EQ(0, module_load(ODD, args));
	EXPECT_BACK();
	ASSERT_EQ(0, module_unload(ODD));
	ASSERT_EQ(0, sysfs_write("auto", "/sys/bus/pci/devices/%s/power/control", self->bdf));
}

/* It is put to sleep while it does not answer: that is not saved, for when it wakes up. */
TEST_F(absent, falls_asleep)
{
	ASSERT_TRUE(power_close(&self->s));
	ASSERT_EQ(0, sysfs_write("on", "/sys/bus/pci/devices/%s/power/control", self->bdf));
	ASSERT_EQ(0, hide(self));
	ASSERT_EQ(0, sysfs_write("auto", "/sys/bus/pci/devices/%s/power/control", self->bdf));
	EXPECT_TRUE(power_sleeps(self->bdf));
	EXPECT_BACK();
}

/* It is restored and reset after its session, once that is possible. */
TEST_F(absent, in_use)
{
	ASSERT_EQ(0, config_write(self->s.fd, PCI_CACHE_LINE_SIZE, 1, 0x5a));
	ASSERT_EQ(0, config_master(self->s.fd, true));
	ASSERT_EQ(0, hide(self));
	session_close(&self->s);
	EXPECT_ABSENT();
	power_no_delay(self->bdf);
	EXPECT_TRUE(power_sleeps(self->bdf));
	EXPECT_ABSENT();
	EXPECT_BACK();
}

/* The reset after a session is its end: what it did not get back then, it gets from the next. */
TEST_F(absent, dies_in_its_reset)
{
	char args[64];

	if (sysfs_read(args, sizeof(args), "/sys/bus/pci/devices/%s/reset_method", self->bdf) <= 1)
		SKIP(return, "it has no reset of its own");
	sprintf(args, "device=%s dies=1", self->bdf);
	ASSERT_EQ(0, config_write(self->s.fd, PCI_CACHE_LINE_SIZE, 1, 0x5a));
	ASSERT_EQ(0, module_load(ODD, args));
	session_close(&self->s);
	EXPECT_ABSENT();
	EXPECT_EQ(0, sysfs_write("0", ODD_MUTE));
	ASSERT_EQ(0, module_unload(ODD));
	EXPECT_BACK();
}

/* How often the kernel's log has a text, since it was last looked into */
static int log_count(int log, const char *text)
{
	char line[1024];
	ssize_t n;
	int count = 0;

	while ((n = read(log, line, sizeof(line) - 1)) > 0 || errno == EPIPE) {
		line[n > 0 ? n : 0] = 0;
		count += !!strstr(line, text);
		errno = 0;
	}
	return count;
}

/* The driver comes to it meanwhile: it does not take all ones for a configuration that was lost. */
TEST_F(absent, probed)
{
	int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	ASSERT_LE(0, lseek(log, 0, SEEK_END));
	session_close(&self->s);
	ASSERT_EQ(0, sysfs_unbind(self->bdf));
	ASSERT_EQ(0, hide(self));
	ASSERT_EQ(0, sysfs_bind(self->bdf));
	EXPECT_ABSENT();
	EXPECT_EQ(0, log_count(log, "has been reset by somebody"));
	EXPECT_BACK();
	close(log);
}

/* VFs are to be created without a session: the driver must not use the state of one. */
TEST_F(absent, virtual_functions)
{
	char was[8], total[8];

	if (sysfs_read(total, sizeof(total), "/sys/bus/pci/devices/%s/sriov_totalvfs",
		       self->bdf) <= 0)
		SKIP(return, "no SR-IOV");
	ASSERT_TRUE(power_close(&self->s));
	ASSERT_LT(0, sysfs_read(was, sizeof(was), ENABLE_SRIOV));
	ASSERT_EQ(0, sysfs_write("1", ENABLE_SRIOV));
	ASSERT_EQ(0, hide(self));
	EXPECT_EQ(-EIO, sysfs_set_vfs(self->bdf, 1));
	ASSERT_EQ(0, set_buses(self, self->buses));
	EXPECT_EQ(0, sysfs_set_vfs(self->bdf, 1));
	EXPECT_EQ(0, sysfs_set_vfs(self->bdf, 0));
	ASSERT_EQ(0, sysfs_write(was, ENABLE_SRIOV));
	EXPECT_BACK();
}

TEST_HARNESS_MAIN
