// SPDX-License-Identifier: GPL-2.0-only
/*
 * Without interrupt remapping, a device can raise any of the host's interrupts by a write to
 * memory. iommufd refuses such a device, unless root has declared all users trusted.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../uapi/vfio_ext.h"
#include "lib/harness.h"
#include "lib/iommufd.h"

#define UNSAFE "/sys/module/iommufd/parameters/allow_unsafe_interrupts"

/* Determined without the driver: on a PC, remapped interrupts have chips of their own. */
static bool msis_isolated(void)
{
#if defined(__x86_64__)
	bool found = false;
	char text[512];
	FILE *f;

	f = fopen("/proc/interrupts", "r");
	while (f && !found && fgets(text, sizeof(text), f))
		found = strstr(text, " IR-");
	if (f)
		fclose(f);
	return found;
#else
	/* The ITS checks which device may raise which interrupt. */
	return true;
#endif
}

static bool has_iommu(void)
{
	bool found = false;
	struct dirent *ent;
	DIR *dir;

	dir = opendir("/sys/kernel/iommu_groups");
	while (dir && !found && (ent = readdir(dir)))
		found = ent->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return found;
}

FIXTURE(isolation)
{
	const char *bdf;
	char unsafe[8];
	bool isolated;
	int iommufd;
	int fd;
};

FIXTURE_VARIANT(isolation)
{
	enum test_device dev;
};

FIXTURE_ALL_DEVICES(isolation);

FIXTURE_SETUP(isolation)
{
	if (!has_iommu())
		SKIP(return, "this machine has no IOMMU");
	SETUP_DEVICE(&self->bdf, variant->dev);
	self->isolated = msis_isolated();
	ASSERT_LT(0, sysfs_read(self->unsafe, sizeof(self->unsafe), UNSAFE));
	ASSERT_EQ(0, sysfs_write("0", UNSAFE));
	self->iommufd = iommufd_open();
	ASSERT_LE(0, self->iommufd);
	self->fd = vfio_cdev_open(self->bdf);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(isolation)
{
	close(self->fd);
	close(self->iommufd);
	sysfs_write(self->unsafe, UNSAFE);
}

TEST_F(isolation, needed)
{
	u32 ioas, devid;

	if (self->isolated) {
		EXPECT_EQ(0, vfio_bind(self->fd, self->iommufd, &devid));
		return;
	}
	EXPECT_EQ(-EPERM, vfio_bind(self->fd, self->iommufd, &devid));
	/* There really is no session. */
	ASSERT_EQ(0, ioas_alloc(self->iommufd, &ioas));
	EXPECT_EQ(-EINVAL, vfio_attach(self->fd, &ioas));
	/* The second time is no different. */
	EXPECT_EQ(-EPERM, vfio_bind(self->fd, self->iommufd, &devid));
}

TEST_F(isolation, not_needed_where_root_says_so)
{
	u32 ioas, devid;

	if (!self->isolated)
		ASSERT_EQ(-EPERM, vfio_bind(self->fd, self->iommufd, &devid));
	ASSERT_EQ(0, sysfs_write("1", UNSAFE));
	ASSERT_EQ(0, vfio_bind(self->fd, self->iommufd, &devid));
	ASSERT_EQ(0, ioas_alloc(self->iommufd, &ioas));
	EXPECT_EQ(0, vfio_attach(self->fd, &ioas));
}

/* A session that has begun continues; the next one is refused. */
TEST_F(isolation, needed_again)
{
	u32 ioas, devid;

	ASSERT_EQ(0, sysfs_write("1", UNSAFE));
	ASSERT_EQ(0, vfio_bind(self->fd, self->iommufd, &devid));
	ASSERT_EQ(0, sysfs_write("0", UNSAFE));
	ASSERT_EQ(0, ioas_alloc(self->iommufd, &ioas));
	EXPECT_EQ(0, vfio_attach(self->fd, &ioas));
	close(self->fd);
	self->fd = vfio_cdev_open(self->bdf);
	ASSERT_LE(0, self->fd);
	EXPECT_EQ(self->isolated ? 0 : -EPERM, vfio_bind(self->fd, self->iommufd, &devid));
}

TEST_F(isolation, says_why)
{
	struct vfio_device_last_error e = { .argsz = sizeof(e) };
	u32 devid;

	OURS_ONLY();
	if (self->isolated)
		SKIP(return, "MSIs are isolated in this machine");
	ASSERT_EQ(-EPERM, vfio_bind(self->fd, self->iommufd, &devid));
	ASSERT_EQ(0, vfio_ioctl(self->fd, VFIO_DEVICE_GET_LAST_ERROR, &e));
	EXPECT_EQ(-EPERM, e.error);
	EXPECT_NE(NULL, strstr((const char *)e.text, "allow_unsafe_interrupts"));
}

/* Without an IOMMU, the device could access the host's memory, so there is no node. */
TEST(no_iommu)
{
	const char *bdf = device_bdf(DEV_EDU);

	if (has_iommu())
		SKIP(return, "this machine has an IOMMU");
	if (!bdf)
		SKIP(return, "no edu in this machine");
	EXPECT_GT(0, sysfs_bind(bdf));
	EXPECT_GT(0, vfio_cdev_open(bdf));
}

TEST_HARNESS_MAIN
