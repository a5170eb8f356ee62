// SPDX-License-Identifier: GPL-2.0-only
/* VFIO_DEVICE_FEATURE: the rules of probe, get and set, for existing and missing features. */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/config.h"
#include "lib/harness.h"
#include "lib/irq.h"
#include "lib/region.h"

#define PROBE VFIO_DEVICE_FEATURE_PROBE
#define GET VFIO_DEVICE_FEATURE_GET
#define SET VFIO_DEVICE_FEATURE_SET

FIXTURE(feature)
{
	struct session s;
};

FIXTURE_VARIANT(feature)
{
	enum test_device dev;
};

FIXTURE_ALL_DEVICES(feature);

FIXTURE_SETUP(feature)
{
	SETUP_SESSION(&self->s, variant->dev);
}

FIXTURE_TEARDOWN(feature)
{
	session_close(&self->s);
}

/* Without data, and with the maximum of any feature. */
static int feature(int fd, u32 flags)
{
	struct vfio_device_feature f = { .argsz = sizeof(f), .flags = flags };

	return vfio_ioctl(fd, VFIO_DEVICE_FEATURE, &f);
}

static int feature_data(int fd, u32 flags, const void *data, size_t len)
{
	struct {
		struct vfio_device_feature f;
		u8 data[64];
	} arg = { .f = { .argsz = sizeof(arg.f) + len, .flags = flags } };

	memcpy(arg.data, data, len);
	return vfio_ioctl(fd, VFIO_DEVICE_FEATURE, &arg);
}

TEST_F(feature, unknown)
{
	static const u32 ops[] = {
		0, GET, SET, PROBE, PROBE | GET, PROBE | SET, PROBE | GET | SET
	};
	size_t i;

	for (i = 0; i < LIB_ARRAY_SIZE(ops); i++)
		EXPECT_EQ(-ENOTTY, feature(self->s.fd, ops[i] | 0xfff0));
}

/* Migration and dirty tracking need a device-specific driver. */
TEST_F(feature, not_there)
{
	static const u32 ids[] = {
		VFIO_DEVICE_FEATURE_MIGRATION, VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
		VFIO_DEVICE_FEATURE_DMA_LOGGING_START, VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP,
		VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, VFIO_DEVICE_FEATURE_MIG_DATA_SIZE,
	};
	size_t i;

	for (i = 0; i < LIB_ARRAY_SIZE(ids); i++) {
		EXPECT_EQ(-ENOTTY, feature(self->s.fd, PROBE | GET | ids[i]));
		EXPECT_EQ(-ENOTTY, feature(self->s.fd, PROBE | SET | ids[i]));
		EXPECT_EQ(-ENOTTY, feature(self->s.fd, GET | ids[i]));
	}
}

TEST_F(feature, arguments)
{
	struct vfio_device_feature f = { .argsz = sizeof(f) - 1, .flags = PROBE | 0xfff0 };
	char *p;

	EXPECT_EQ(-EINVAL, vfio_ioctl(self->s.fd, VFIO_DEVICE_FEATURE, &f));
	f.argsz = 0;
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->s.fd, VFIO_DEVICE_FEATURE, &f));
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->s.fd, VFIO_DEVICE_FEATURE, NULL));
	/* The rules are checked before the feature is looked up. */
	EXPECT_EQ(-EINVAL, feature(self->s.fd, GET | SET | 0xfff0));
	EXPECT_EQ(-EINVAL, feature(self->s.fd, 1u << 19 | PROBE | 0xfff0));
	EXPECT_EQ(-EINVAL, feature(self->s.fd, 1u << 31 | 0xfff0));

	p = mmap(NULL, 0x2000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, munmap(p + 0x1000, 0x1000));
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->s.fd, VFIO_DEVICE_FEATURE, p + 0x1000 - 4));
}

/* The token of SR-IOV belongs to a physical function. */
TEST_F(feature, vf_token)
{
	u8 uuid[16] = { 1 };
	char text[16];

	if (sysfs_read(text, sizeof(text), "/sys/bus/pci/devices/%s/sriov_totalvfs",
		       self->s.bdf) < 0) {
		EXPECT_EQ(-ENOTTY, feature(self->s.fd, PROBE | SET |
					   VFIO_DEVICE_FEATURE_PCI_VF_TOKEN));
		return;
	}
	EXPECT_EQ(0, feature(self->s.fd, PROBE | SET | VFIO_DEVICE_FEATURE_PCI_VF_TOKEN));
	EXPECT_EQ(0, feature(self->s.fd, PROBE | VFIO_DEVICE_FEATURE_PCI_VF_TOKEN));
	/* It cannot be read, and PROBE says so. */
	EXPECT_EQ(-EINVAL, feature(self->s.fd, PROBE | GET | VFIO_DEVICE_FEATURE_PCI_VF_TOKEN));
	EXPECT_EQ(-EINVAL, feature(self->s.fd, GET | VFIO_DEVICE_FEATURE_PCI_VF_TOKEN));
	EXPECT_EQ(-EINVAL, feature(self->s.fd, VFIO_DEVICE_FEATURE_PCI_VF_TOKEN));
	EXPECT_EQ(-EINVAL, feature(self->s.fd, SET | VFIO_DEVICE_FEATURE_PCI_VF_TOKEN));
	EXPECT_EQ(-EINVAL,
		  feature_data(self->s.fd, SET | VFIO_DEVICE_FEATURE_PCI_VF_TOKEN, uuid, 15));
	EXPECT_EQ(0, feature_data(self->s.fd, SET | VFIO_DEVICE_FEATURE_PCI_VF_TOKEN, uuid, 16));
}

TEST_F(feature, low_power)
{
	const u32 entry = VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY;
	const u32 exit = VFIO_DEVICE_FEATURE_LOW_POWER_EXIT;
	struct vfio_region_info info;
	u32 *p = NULL, val;
	int i;

	EXPECT_EQ(0, feature(self->s.fd, PROBE | SET | entry));
	EXPECT_EQ(0, feature(self->s.fd, PROBE | entry));
	EXPECT_EQ(-EINVAL, feature(self->s.fd, PROBE | GET | entry));
	EXPECT_EQ(-EINVAL, feature(self->s.fd, PROBE | GET | SET | entry));
	EXPECT_EQ(-EINVAL, feature(self->s.fd, GET | entry));
	EXPECT_EQ(-EINVAL, feature(self->s.fd, entry));

	for (i = 0; i < 6 && !p; i++) {
		ASSERT_EQ(0, region_info(self->s.fd, i, &info));
		if (info.flags & VFIO_REGION_INFO_FLAG_MMAP)
			p = bar_map(self->s.fd, i, 0, 0x1000);
	}
	ASSERT_NE(NULL, p);
	/* Registers cannot be accessed until it ends. */
	ASSERT_EQ(0, feature(self->s.fd, SET | entry));
	EXPECT_EQ(-EFAULT, mmio_peek32(p, &val));
	EXPECT_EQ(-EINVAL, feature(self->s.fd, SET | entry));
	ASSERT_EQ(0, feature(self->s.fd, SET | exit));
	EXPECT_EQ(0, mmio_peek32(p, &val));
	EXPECT_EQ(0, feature(self->s.fd, SET | exit));
}

TEST_HARNESS_MAIN
