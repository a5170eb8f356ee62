// SPDX-License-Identifier: GPL-2.0-only
/*
 * BARs smaller than a page, of functions of one device, which may share a page; and the functions
 * can only be assigned together. An SD host controller has only such a BAR.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../uapi/vfio_ext.h"
#include "lib/harness.h"
#include "lib/iommufd.h"
#include "lib/region.h"

#define PAGE 0x1000ull

/* SDHCI: a register that keeps what is written (system address), and a constant one */
#define SDHCI_ADDRESS	0x00
#define SDHCI_CAPS	0x40

#define FUNCTIONS 2

FIXTURE(small)
{
	char bdf[FUNCTIONS][BDF_LEN];
	/* A third function, for which the kernel has a driver */
	char third[BDF_LEN];
	struct session s[FUNCTIONS];
};

static int find(char bdf[FUNCTIONS][BDF_LEN])
{
	int i;

	for (i = 0; i < FUNCTIONS; i++)
		if (sysfs_find(0x1b36, 0x0007, i, bdf[i]))
			return -ENODEV;
	/* Of one device: all but the last character is the same. */
	return strncmp(bdf[0], bdf[1], BDF_LEN - 2) ? -ENODEV : 0;
}

static int bar_at(const char *bdf, u64 *start)
{
	u64 size, flags;
	int err = sysfs_resource(bdf, 0, start, &size, &flags);

	return err ?: size == 256 ? 0 : -EINVAL;
}

/* Remove a function, and let the kernel find it again, and assign its BAR again. */
static int find_again(const char *bdf)
{
	int err = sysfs_write("1", "/sys/bus/pci/devices/%s/remove", bdf);

	return err ?: sysfs_rescan();
}

static int open_both(struct session s[FUNCTIONS], char bdf[FUNCTIONS][BDF_LEN])
{
	u32 pt;
	int err;

	err = session_open(&s[0], bdf[0]);
	if (err)
		return err;
	s[1].fd = vfio_cdev_open(bdf[1]);
	if (s[1].fd < 0)
		return s[1].fd;
	err = vfio_bind(s[1].fd, s[0].iommufd, &s[1].devid);
	pt = s[0].ioas;
	return err ?: vfio_attach(s[1].fd, &pt);
}

FIXTURE_SETUP(small)
{
	int i;

	for (i = 0; i < FUNCTIONS; i++)
		self->s[i] = (struct session){ .fd = -1, .iommufd = -1 };
	if (find(self->bdf))
		SKIP(return, "no sdhci-pci of two functions in this machine");
	snprintf(self->third, BDF_LEN, "%.*s2", (int)BDF_LEN - 2, self->bdf[0]);
	for (i = 0; i < FUNCTIONS; i++)
		ASSERT_EQ(0, sysfs_bind(self->bdf[i]));
	ASSERT_EQ(0, sysfs_bind(self->third));
}

FIXTURE_TEARDOWN(small)
{
	int i;

	for (i = FUNCTIONS - 1; i >= 0; i--)
		session_close(&self->s[i]);
}

/* Reads and writes work in any case, and reach the right function. */
static int works(struct session s[FUNCTIONS])
{
	u32 caps[2];
	int i, err = 0;

	for (i = 0; i < FUNCTIONS; i++) {
		err = err ?: region_write32(s[i].fd, 0, SDHCI_ADDRESS, 0x11110000 * (i + 1));
		caps[i] = region_read32(s[i].fd, 0, SDHCI_CAPS);
	}
	for (i = 0; i < FUNCTIONS; i++)
		if (region_read32(s[i].fd, 0, SDHCI_ADDRESS) != 0x11110000 * (i + 1))
			return -EIO;
	return err ?: caps[0] == caps[1] && caps[0] && caps[0] != ~0u ? 0 : -EIO;
}

/* First with a page for each, as assigned by the firmware, then with both in one page. */
TEST_F(small, mapping)
{
	u64 start[FUNCTIONS];
	struct vfio_region_info info;
	u32 val;
	void *p;
	int i;

	for (i = 0; i < FUNCTIONS; i++)
		ASSERT_EQ(0, bar_at(self->bdf[i], &start[i]));
	if (start[0] / PAGE != start[1] / PAGE) {
		ASSERT_EQ(0, open_both(self->s, self->bdf));
		EXPECT_EQ(0, works(self->s));
		for (i = 0; i < FUNCTIONS; i++) {
			ASSERT_EQ(0, region_info(self->s[i].fd, 0, &info));
			EXPECT_EQ(256, info.size);
			EXPECT_NE(0, info.flags & VFIO_REGION_INFO_FLAG_MMAP);
			p = bar_map(self->s[i].fd, 0, 0, PAGE);
			ASSERT_NE(NULL, p);
			ASSERT_EQ(0, mmio_peek32(p, &val));
			EXPECT_EQ(0x11110000u * (i + 1), val);
			munmap(p, PAGE);
		}
		for (i = FUNCTIONS - 1; i >= 0; i--)
			session_close(&self->s[i]);
		ASSERT_EQ(0, find_again(self->bdf[1]));
		ASSERT_EQ(0, sysfs_bind(self->bdf[1]));
		ASSERT_EQ(0, bar_at(self->bdf[1], &start[1]));
		ASSERT_EQ(0, bar_at(self->bdf[0], &start[0]));
	}
	ASSERT_EQ(start[0] / PAGE, start[1] / PAGE);
	ASSERT_NE(start[0], start[1]);

	ASSERT_EQ(0, open_both(self->s, self->bdf));
	EXPECT_EQ(0, works(self->s));
	for (i = 0; i < FUNCTIONS; i++) {
		ASSERT_EQ(0, region_info(self->s[i].fd, 0, &info));
		EXPECT_EQ(256, info.size);
		EXPECT_EQ(VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE, info.flags);
		EXPECT_EQ(NULL, bar_map(self->s[i].fd, 0, 0, PAGE));
		EXPECT_EQ(EINVAL, errno);
	}
}

/* Check why BIND was refused: which function is in the way, and who owns it. */
#define EXPECT_REASON(fd, who, what) do {						\
	struct vfio_device_last_error e_ = { .argsz = sizeof(e_) };			\
											\
	if (!driver_is_ours())								\
		break;									\
	EXPECT_EQ(0, vfio_ioctl(fd, VFIO_DEVICE_GET_LAST_ERROR, &e_));			\
	EXPECT_TRUE(strstr((char *)e_.text, who) && strstr((char *)e_.text, what))	\
		TH_LOG("%s", e_.text);							\
} while (0)

/* The functions are not isolated from each other: the owner of one must own all of them. */
TEST_F(small, one_group)
{
	int fd, other;

	/* An unbound function does no harm. */
	ASSERT_EQ(0, sysfs_unbind(self->bdf[1]));
	EXPECT_EQ(0, session_open(&self->s[0], self->bdf[0]));
	session_close(&self->s[0]);
	ASSERT_EQ(0, sysfs_rebind(self->bdf[1]));

	/* Owned by the host */
	ASSERT_EQ(0, sysfs_unbind(self->third));
	ASSERT_EQ(0, sysfs_write("\n", "/sys/bus/pci/devices/%s/driver_override", self->third));
	ASSERT_EQ(0, sysfs_write(self->third, "/sys/bus/pci/drivers/virtio-pci/bind"));
	fd = vfio_cdev_open(self->bdf[0]);
	ASSERT_LE(0, fd);
	other = iommufd_open();
	ASSERT_LE(0, other);
	EXPECT_EQ(-EPERM, vfio_bind(fd, other, NULL));
	EXPECT_REASON(fd, self->third, "virtio-pci");
	close(other);
	close(fd);
	ASSERT_EQ(0, sysfs_bind(self->third));
	ASSERT_EQ(0, session_open(&self->s[0], self->bdf[0]));

	/* Owned by another user: with another iommufd, it is refused, but not with the same one. */
	fd = vfio_cdev_open(self->bdf[1]);
	ASSERT_LE(0, fd);
	other = iommufd_open();
	ASSERT_LE(0, other);
	EXPECT_EQ(-EPERM, vfio_bind(fd, other, NULL));
	EXPECT_REASON(fd, self->bdf[0], "another iommufd");
	EXPECT_EQ(0, vfio_bind(fd, self->s[0].iommufd, NULL));
	close(other);
	close(fd);
}

/*
 * They are returned to the host one after the other, while the cleanup after a session of all of
 * them is in progress: the host's driver can only bind when nobody owns the group.
 */
TEST_F(small, handed_back_one_by_one)
{
	struct session s;
	u32 pt;
	int i;

	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, open_both(self->s, self->bdf));
		s = self->s[0];
		pt = s.ioas;
		s.fd = vfio_cdev_open(self->third);
		ASSERT_LE(0, s.fd);
		ASSERT_EQ(0, vfio_bind(s.fd, s.iommufd, NULL));
		ASSERT_EQ(0, vfio_attach(s.fd, &pt));
		close(s.fd);
		session_close(&self->s[1]);
		session_close(&self->s[0]);

		ASSERT_EQ(0, sysfs_unbind(self->third));
		ASSERT_EQ(0, sysfs_write("\n", "/sys/bus/pci/devices/%s/driver_override",
					 self->third));
		EXPECT_EQ(0, sysfs_write(self->third, "/sys/bus/pci/drivers/virtio-pci/bind"));
		ASSERT_EQ(0, sysfs_bind(self->third));
	}
}

TEST_HARNESS_MAIN
