// SPDX-License-Identifier: GPL-2.0-only
/*
 * The regions of Intel's integrated graphics, on a function that the module fake-igd disguises as
 * such. The bridges are the machine's own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/harness.h"
#include "lib/iommufd.h"
#include "lib/module.h"
#include "lib/region.h"

#define ASLS		0xfc
#define OPREGION_SIZE	0x2000
#define VERSION		0x16
#define RVDA		0x3ba
#define RVDS		0x3c2

#define INTEL		(VFIO_REGION_TYPE_PCI_VENDOR_TYPE | 0x8086)

static int load(const char *bdf, const char *more)
{
	char args[128];

	snprintf(args, sizeof(args), "device=%s %s", bdf, more);
	return module_load("fake-igd", args);
}

/* As the module fills it */
static u8 opregion_byte(unsigned int i)
{
	return i * 7 + (i >> 8);
}

FIXTURE(igd)
{
	struct session s;
	bool loaded;
};

FIXTURE_VARIANT(igd)
{
	const char *args;
	u16 version;
	u32 vbt;
};

FIXTURE_VARIANT_ADD(igd, v1) { .args = "version=0x100", .version = 0x100 };
FIXTURE_VARIANT_ADD(igd, v2_mailbox) { .args = "version=0x200", .version = 0x200 };
FIXTURE_VARIANT_ADD(igd, v2_absolute) {
	.args = "version=0x200 vbt=9001", .version = 0x201, .vbt = 9001,
};

FIXTURE_VARIANT_ADD(igd, v2_1_relative) {
	.args = "version=0x201 vbt=12288", .version = 0x201, .vbt = 12288,
};

/* Skips the test where the module has not been built, or not for this kernel. */
#define SETUP_IGD(bdf, args) do {						\
	int err_;								\
										\
	SETUP_DEVICE(&(bdf), DEV_EDU);						\
	err_ = load(bdf, args);							\
	if (err_ == -ENOENT || err_ == -ENOEXEC)				\
		SKIP(return, "fake-igd.ko has not been built");			\
	ASSERT_EQ(0, err_);							\
} while (0)

FIXTURE_SETUP(igd)
{
	const char *bdf;
	int err;

	self->s.fd = -1;
	self->s.iommufd = -1;
	SETUP_IGD(bdf, variant->args);
	self->loaded = true;
	err = session_open(&self->s, bdf);
	if (err)
		module_unload("fake-igd");
	ASSERT_EQ(0, err);
}

FIXTURE_TEARDOWN(igd)
{
	session_close(&self->s);
	if (self->loaded)
		EXPECT_EQ(0, module_unload("fake-igd"));
}

TEST_F(igd, info)
{
	static const u32 subtypes[] = {
		VFIO_REGION_SUBTYPE_INTEL_IGD_OPREGION,
		VFIO_REGION_SUBTYPE_INTEL_IGD_HOST_CFG,
		VFIO_REGION_SUBTYPE_INTEL_IGD_LPC_CFG,
	};
	struct vfio_device_info device = { .argsz = sizeof(device) };
	struct vfio_region_info *full, info;
	struct vfio_region_info_cap_type *cap;
	u32 i, index;

	ASSERT_EQ(0, vfio_ioctl(self->s.fd, VFIO_DEVICE_GET_INFO, &device));
	EXPECT_EQ(VFIO_PCI_NUM_REGIONS + 3, device.num_regions);
	for (i = 0; i < 3; i++) {
		index = VFIO_PCI_NUM_REGIONS + i;
		full = region_info_caps(self->s.fd, index);
		ASSERT_NE(NULL, full);
		EXPECT_EQ((u64)index << 40, full->offset);
		EXPECT_EQ(VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_CAPS, full->flags);
		cap = (void *)region_cap(full, VFIO_REGION_INFO_CAP_TYPE);
		ASSERT_NE(NULL, cap);
		EXPECT_EQ(1, cap->header.version);
		EXPECT_EQ(0, cap->header.next);
		EXPECT_EQ(INTEL, cap->type);
		EXPECT_EQ(subtypes[i], cap->subtype);
		if (!i) {
			EXPECT_EQ(OPREGION_SIZE + variant->vbt, full->size);
		} else {
			EXPECT_TRUE(full->size == 256 || full->size == 4096);
		}
		free(full);
	}
	EXPECT_EQ(-EINVAL, region_info(self->s.fd, index + 1, &info));
	EXPECT_EQ(-EINVAL, region_info(self->s.fd, ~0u, &info));
}

TEST_F(igd, opregion)
{
	const u32 index = VFIO_PCI_NUM_REGIONS, size = OPREGION_SIZE + variant->vbt;
	u64 rvda = variant->vbt ? OPREGION_SIZE : 0;
	u8 *want = malloc(size), *got = malloc(size + 8);
	u32 i, off, len;

	for (i = 0; i < size; i++)
		want[i] = i < OPREGION_SIZE ? opregion_byte(i) : ~(i - OPREGION_SIZE);
	memcpy(want, "IntelGraphicsMem\10\0\0", 20);
	memcpy(want + VERSION, &variant->version, 2);
	memcpy(want + RVDA, &rvda, 8);
	memcpy(want + RVDS, &variant->vbt, 4);

	ASSERT_EQ(size, region_pread(self->s.fd, index, 0, got, size));
	for (i = 0; i < size; i++)
		ASSERT_EQ(want[i], got[i])
			TH_LOG("at %#x", i);
	/* Parts of the modified fields, and around the end of the OpRegion */
	for (off = RVDA - 4; off < RVDS + 4; off++)
		for (len = 1; len < 12; len++) {
			ASSERT_EQ(len, region_pread(self->s.fd, index, off, got, len));
			ASSERT_EQ(0, memcmp(got, want + off, len));
		}
	for (off = OPREGION_SIZE - 9; off < OPREGION_SIZE + 9 && off < size; off++) {
		len = size - off < 9 ? size - off : 9;
		ASSERT_EQ(len, region_pread(self->s.fd, index, off, got, 9));
		ASSERT_EQ(0, memcmp(got, want + off, len));
	}
	EXPECT_EQ(1, region_pread(self->s.fd, index, size - 1, got, 8));
	EXPECT_EQ(-EINVAL, region_pread(self->s.fd, index, size, got, 1));
	EXPECT_EQ(-EINVAL, region_pread(self->s.fd, index, 1ull << 39, got, 1));
	EXPECT_EQ(-EFAULT, region_pread(self->s.fd, index, 0, NULL, 4));
	EXPECT_EQ(-EINVAL, region_pwrite(self->s.fd, index, 0, want, 4));
	free(want);
	free(got);
}

TEST_F(igd, bridges)
{
	static const char * const bdfs[] = { "0000:00:00.0", "0000:00:1f.0" };
	struct vfio_region_info info;
	u8 want[256], got[4096];
	u32 i, off, len, index;

	for (i = 0; i < 2; i++) {
		index = VFIO_PCI_NUM_REGIONS + 1 + i;
		ASSERT_EQ(0, region_info(self->s.fd, index, &info));
		ASSERT_EQ(256, sysfs_config(bdfs[i], 0, want, 256));
		ASSERT_EQ(info.size, region_pread(self->s.fd, index, 0, got, sizeof(got)));
		EXPECT_EQ(0, memcmp(got, want, 256));
		for (off = 0; off < 8; off++)
			for (len = 1; len < 10; len++) {
				ASSERT_EQ(len, region_pread(self->s.fd, index, off, got, len));
				ASSERT_EQ(0, memcmp(got, want + off, len))
					TH_LOG("%u bytes at %u", len, off);
			}
		EXPECT_EQ(2, region_pread(self->s.fd, index, info.size - 2, got, 4));
		EXPECT_EQ(-EINVAL, region_pread(self->s.fd, index, info.size, got, 4));
		EXPECT_EQ(-EINVAL, region_pwrite(self->s.fd, index, 0x40, want, 4));
	}
	EXPECT_EQ(-EINVAL, region_pread(self->s.fd, index + 1, 0, got, 4));
}

TEST_F(igd, no_mapping)
{
	u32 i;

	for (i = 0; i < 4; i++) {
		EXPECT_EQ(MAP_FAILED, mmap(NULL, 0x1000, PROT_READ, MAP_SHARED, self->s.fd,
					   region_offset(VFIO_PCI_NUM_REGIONS + i)));
		EXPECT_EQ(EINVAL, errno);
	}
}

/* The host finds the OpRegion by it, so what the user writes must stay in the shadow. */
TEST_F(igd, asls)
{
	u32 before, after;

	ASSERT_EQ(4, sysfs_config(self->s.bdf, ASLS, &before, 4));
	ASSERT_NE(0, before);
	ASSERT_EQ(0, config_write(self->s.fd, ASLS, 4, 0x12345678));
	EXPECT_EQ(0x12345678, config_read(self->s.fd, ASLS, 4));
	ASSERT_EQ(0, config_write(self->s.fd, ASLS + 1, 1, 0xaa));
	EXPECT_EQ(0x1234aa78, config_read(self->s.fd, ASLS, 4));
	ASSERT_EQ(4, sysfs_config(self->s.bdf, ASLS, &after, 4));
	EXPECT_EQ(before, after);
}

/* Each session has its own. */
TEST_F(igd, again)
{
	char bdf[BDF_LEN], sign[16];
	int i;

	strcpy(bdf, self->s.bdf);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, config_write(self->s.fd, ASLS, 4, 0x1000));
		session_close(&self->s);
		ASSERT_EQ(0, session_open(&self->s, bdf));
		ASSERT_EQ(16, region_pread(self->s.fd, VFIO_PCI_NUM_REGIONS, 0, sign, 16));
		EXPECT_EQ(0, memcmp(sign, "IntelGraphicsMem", 16));
	}
}

/* Without a valid OpRegion, no region is shown. */
TEST(bad_signature)
{
	struct session s;
	const char *bdf;

	SETUP_IGD(bdf, "version=0x200 bad=1");
	EXPECT_EQ(-EINVAL, session_open(&s, bdf));
	EXPECT_EQ(0, module_unload("fake-igd"));
	ASSERT_EQ(0, session_open(&s, bdf));
	session_close(&s);
}

/* Before 2.0, the fields for a VBT have another meaning. */
TEST(no_vbt_before_2_0)
{
	struct vfio_region_info info;
	struct session s;
	const char *bdf;

	SETUP_IGD(bdf, "version=0x100 vbt=4096");
	ASSERT_EQ(0, session_open(&s, bdf));
	ASSERT_EQ(0, region_info(s.fd, VFIO_PCI_NUM_REGIONS, &info));
	EXPECT_EQ(OPREGION_SIZE, info.size);
	session_close(&s);
	EXPECT_EQ(0, module_unload("fake-igd"));
}

TEST(no_opregion)
{
	struct vfio_device_info device = { .argsz = sizeof(device) };
	struct vfio_region_info info;
	struct session s;
	const char *bdf;
	u32 asls;

	SETUP_IGD(bdf, "none=1");
	ASSERT_EQ(0, session_open(&s, bdf));
	EXPECT_EQ(0, vfio_ioctl(s.fd, VFIO_DEVICE_GET_INFO, &device));
	EXPECT_EQ(VFIO_PCI_NUM_REGIONS, device.num_regions);
	EXPECT_EQ(-EINVAL, region_info(s.fd, VFIO_PCI_NUM_REGIONS, &info));
	/* Nor can the user pretend that there is one (in-tree, they can). */
	EXPECT_EQ(0, config_write(s.fd, ASLS, 4, 0x1000));
	EXPECT_EQ(4, sysfs_config(bdf, ASLS, &asls, 4));
	if (driver_is_ours())
		EXPECT_EQ(0, asls);
	session_close(&s);
	EXPECT_EQ(0, module_unload("fake-igd"));
}

TEST_HARNESS_MAIN
