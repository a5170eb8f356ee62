// SPDX-License-Identifier: GPL-2.0-only
/* Information on a file in /proc/PID/fdinfo/FD, and the reason why its last call failed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../uapi/vfio_ext.h"
#include "lib/config.h"
#include "lib/harness.h"
#include "lib/iommufd.h"
#include "lib/irq.h"
#include "lib/region.h"

#define GRACE "/sys/module/vfio_iommufd/parameters/release_grace_ms"

FIXTURE(fdinfo)
{
	const char *bdf;
	int iommufd;
	int fd;
};

FIXTURE_VARIANT(fdinfo)
{
	enum test_device dev;
};

FIXTURE_ALL_DEVICES(fdinfo);

FIXTURE_SETUP(fdinfo)
{
	OURS_ONLY();
	SETUP_DEVICE(&self->bdf, variant->dev);
	self->iommufd = iommufd_open();
	ASSERT_LE(0, self->iommufd);
	self->fd = vfio_cdev_open(self->bdf);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(fdinfo)
{
	close(self->fd);
	close(self->iommufd);
}

/* Value of a line, without surrounding blanks; NULL if there is no such line. */
static const char *line(int fd, const char *key)
{
	static char value[512];
	char path[64], text[512];
	const char *found = NULL;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "r");
	if (!f)
		return NULL;
	while (!found && fgets(text, sizeof(text), f)) {
		size_t n = strlen(key);

		if (strncmp(text, key, n) || text[n] != ':')
			continue;
		n += 1 + strspn(text + n + 1, " \t");
		snprintf(value, sizeof(value), "%s", text + n);
		value[strcspn(value, "\n")] = 0;
		found = value;
	}
	fclose(f);
	return found;
}

static int last_error(int fd, struct vfio_device_last_error *e, u32 argsz)
{
	memset(e, 0xff, sizeof(*e));
	e->argsz = argsz;
	return vfio_ioctl(fd, VFIO_DEVICE_GET_LAST_ERROR, e);
}

TEST_F(fdinfo, state)
{
	char want[128], num[16];
	struct vfio_irq_info info;
	int efd = event_new(), i;
	u32 devid, ioas, pt;

	EXPECT_STREQ("open", line(self->fd, "vfio-state"));
	EXPECT_EQ(NULL, line(self->fd, "vfio-iommufd-devid"));
	snprintf(want, sizeof(want), "/%s", self->bdf);
	ASSERT_NE(NULL, line(self->fd, "vfio-device-syspath"));
	EXPECT_NE(NULL, strstr(line(self->fd, "vfio-device-syspath"), want));
	EXPECT_EQ(0, strncmp(line(self->fd, "vfio-device-syspath"), "/sys/devices/", 13));

	ASSERT_EQ(0, vfio_bind(self->fd, self->iommufd, &devid));
	EXPECT_STREQ("bound", line(self->fd, "vfio-state"));
	snprintf(num, sizeof(num), "%u", devid);
	EXPECT_STREQ(num, line(self->fd, "vfio-iommufd-devid"));
	EXPECT_STREQ("none", line(self->fd, "vfio-pt-id"));
	EXPECT_STREQ("none", line(self->fd, "vfio-irq"));

	ASSERT_EQ(0, ioas_alloc(self->iommufd, &ioas));
	pt = ioas;
	ASSERT_EQ(0, vfio_attach(self->fd, &pt));
	snprintf(num, sizeof(num), "%u", pt);
	EXPECT_STREQ(num, line(self->fd, "vfio-pt-id"));
	ASSERT_EQ(0, vfio_detach(self->fd));
	EXPECT_STREQ("none", line(self->fd, "vfio-pt-id"));

	/* On arm64, MSIs need a page table. */
	pt = ioas;
	ASSERT_EQ(0, vfio_attach(self->fd, &pt));
	for (i = VFIO_PCI_INTX_IRQ_INDEX; i <= VFIO_PCI_MSIX_IRQ_INDEX; i++) {
		static const char * const names[] = { "intx", "msi", "msix" };
		const char *value;

		ASSERT_EQ(0, irq_info(self->fd, i, &info));
		if (!info.count)
			continue;
		ASSERT_EQ(0, irq_eventfd(self->fd, i, 0, efd));
		value = line(self->fd, "vfio-irq");
		ASSERT_NE(NULL, value);
		snprintf(want, sizeof(want), "%s 1", names[i]);
		EXPECT_EQ(0, strncasecmp(want, value, strlen(want)))
			TH_LOG("%s", value);
		ASSERT_EQ(0, irq_disable(self->fd, i));
		EXPECT_STREQ("none", line(self->fd, "vfio-irq"));
	}
}

TEST_F(fdinfo, revoked)
{
	struct vfio_device_last_error e;
	char grace[32];

	ASSERT_EQ(0, vfio_bind(self->fd, self->iommufd, NULL));
	ASSERT_LT(0, sysfs_read(grace, sizeof(grace), GRACE));
	ASSERT_EQ(0, sysfs_write("0", GRACE));
	ASSERT_EQ(0, sysfs_unbind(self->bdf));
	ASSERT_EQ(0, sysfs_write(grace, GRACE));
	EXPECT_STREQ("revoked", line(self->fd, "vfio-state"));
	EXPECT_EQ(-ENODEV, atoi(line(self->fd, "vfio-last-error")));
	ASSERT_EQ(0, last_error(self->fd, &e, sizeof(e)));
	EXPECT_EQ(-ENODEV, e.error);
	EXPECT_EQ(0, sysfs_rebind(self->bdf));
}

TEST_F(fdinfo, last_error)
{
	struct vfio_device_last_error e, cut;
	char want[256];
	int other;

	/* Nothing yet. */
	EXPECT_EQ(NULL, line(self->fd, "vfio-last-error"));
	ASSERT_EQ(0, last_error(self->fd, &e, sizeof(e)));
	EXPECT_EQ(0, e.error);
	EXPECT_EQ(0, e.len);
	EXPECT_EQ(0, e.flags);
	EXPECT_EQ(sizeof(e), e.argsz);
	EXPECT_EQ(0, e.text[0]);

	/* An error before it is bound. */
	ASSERT_EQ(-EBADFD, vfio_bind(self->fd, 0, NULL));
	ASSERT_EQ(0, last_error(self->fd, &e, sizeof(e)));
	EXPECT_EQ(-EBADFD, e.error);
	EXPECT_LT(5, e.len);
	ASSERT_GT(sizeof(e.text), e.len);
	EXPECT_EQ(strlen(e.text), e.len);
	snprintf(want, sizeof(want), "%d %s", e.error, e.text);
	EXPECT_STREQ(want, line(self->fd, "vfio-last-error"));

	/* Only a part of it. */
	ASSERT_EQ(0, last_error(self->fd, &cut, offsetof(typeof(cut), text) + 4));
	EXPECT_EQ(e.len, cut.len);
	EXPECT_EQ(0, memcmp(e.text, cut.text, 3));
	EXPECT_EQ(0, cut.text[3]);
	EXPECT_EQ((char)0xff, cut.text[4]);
	EXPECT_EQ(-EINVAL, last_error(self->fd, &cut, offsetof(typeof(cut), text) - 1));
	EXPECT_EQ(-EINVAL, last_error(self->fd, &cut, 0));
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->fd, VFIO_DEVICE_GET_LAST_ERROR, NULL));

	/* A successful call does not clear it; another file has its own. */
	ASSERT_EQ(0, vfio_bind(self->fd, self->iommufd, NULL));
	EXPECT_STREQ(want, line(self->fd, "vfio-last-error"));
	other = vfio_cdev_open(self->bdf);
	ASSERT_LE(0, other);
	EXPECT_EQ(-EINVAL, vfio_bind(other, self->iommufd, NULL));
	EXPECT_STREQ(want, line(self->fd, "vfio-last-error"));
	EXPECT_EQ(-EINVAL, atoi(line(other, "vfio-last-error")));
	close(other);
}

/* Errors that a user of QEMU may get, without knowing the reason. */
TEST_F(fdinfo, reasons)
{
	struct vfio_device_last_error e;
	int efds[2] = { event_new(), event_new() };
	struct vfio_irq_info info;
	u32 pt = 0x7fffffff;
	int i;

	ASSERT_EQ(0, vfio_bind(self->fd, self->iommufd, NULL));
	EXPECT_EQ(-EINVAL, vfio_bind(self->fd, self->iommufd, NULL));
	ASSERT_EQ(0, last_error(self->fd, &e, sizeof(e)));
	EXPECT_EQ(-EINVAL, e.error);
	EXPECT_EQ(-ENOENT, vfio_attach(self->fd, &pt));
	ASSERT_EQ(0, last_error(self->fd, &e, sizeof(e)));
	EXPECT_EQ(-ENOENT, e.error);
	for (i = VFIO_PCI_INTX_IRQ_INDEX; i <= VFIO_PCI_MSIX_IRQ_INDEX; i++) {
		ASSERT_EQ(0, irq_info(self->fd, i, &info));
		EXPECT_EQ(-EINVAL, irq_eventfds(self->fd, i, info.count, efds, 1));
		ASSERT_EQ(0, last_error(self->fd, &e, sizeof(e)));
		EXPECT_EQ(-EINVAL, e.error);
		EXPECT_LT(5, e.len);
	}
}

TEST_HARNESS_MAIN
