// SPDX-License-Identifier: GPL-2.0-only
/*
 * Logic that needs no device: capability chains of info ioctls, file offsets, OpRegions, and which
 * AtomicOps are reported.
 */
#include <linux/export.h>
#include <kunit/test.h>

/* vfio-iommufd.ko has the same symbols. */
#undef EXPORT_SYMBOL_GPL
#define EXPORT_SYMBOL_GPL(sym)

#include "../iommufd_glue/caps.c"
#include "../driver/region/igd_opregion.c"
#include "../driver/region/region.c"

/* Replaces that of the front end, which is not loaded here. */
int vfio_err(struct vfio_file *file, int error, const char *fmt, ...)
{
	return error;
}

/* What the function supports, and what the PCI core says about its path */
static u32 atomics_function, atomics_path;

static int atomics_read(struct pci_dev *pdev, int pos, u32 *val)
{
	*val = atomics_function;
	return 0;
}

static int atomics_enable(struct pci_dev *pdev, u32 cap)
{
	return atomics_path & cap ? 0 : -EINVAL;
}

#define pcie_capability_read_dword atomics_read
#define pci_enable_atomic_ops_to_root atomics_enable
#include "../driver/info.c"

unsigned int vfio_pci_irq_count(struct vfio_pci_device *vpd, unsigned int index)
{
	return 0;
}

u32 vfio_pci_irq_flags(struct vfio_pci_device *vpd, unsigned int index)
{
	return 0;
}

/* Regions that record how they were called */
static struct {
	const struct vfio_pci_region_ops *ops;
	unsigned int index;
	u64 off;
} asked;

static const struct vfio_pci_region_ops vfio_pci_extra_ops;

#define REGION(_name) \
	static ssize_t _name##_access(struct vfio_pci_device *vpd, unsigned int index, \
				      const struct vfio_io *io, u64 off) \
	{ \
		asked.ops = &vfio_pci_##_name##_ops; \
		asked.index = index; \
		asked.off = off; \
		return io->len; \
	}

REGION(bar)
REGION(rom)
REGION(vga)
REGION(extra)

const struct vfio_pci_region_ops vfio_pci_bar_ops = { .read = bar_access, .write = bar_access };
const struct vfio_pci_region_ops vfio_pci_rom_ops = { .read = rom_access };
const struct vfio_pci_region_ops vfio_pci_vga_ops = { .read = vga_access, .write = vga_access };
static const struct vfio_pci_region_ops vfio_pci_extra_ops = { .read = extra_access };

static unsigned int released;

static void extra_release(void *data)
{
	released++;
}

static void caps_chain(struct kunit *test)
{
	static const struct {
		u16 id, version, size, at;
	} parts[] = {
		{ 7, 1, sizeof(struct vfio_info_cap_header), 0 },
		{ 1, 2, 20, 8 },	/* rounded up to 24 */
		{ 3, 1, 32, 32 },
	};
	struct vfio_caps *caps = kunit_kzalloc(test, sizeof(*caps), GFP_KERNEL);
	struct vfio_info_cap_header *header;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, caps);
	memset(caps->buf, 0xcc, sizeof(caps->buf));
	caps->base = 40;
	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		header = vfio_caps_add(caps, parts[i].id, parts[i].version, parts[i].size);
		KUNIT_ASSERT_PTR_EQ(test, (void *)header, (void *)caps->buf + parts[i].at);
		KUNIT_EXPECT_NULL(test, memchr_inv(header + 1, 0,
						   ALIGN(parts[i].size, 8) - sizeof(*header)));
	}
	KUNIT_EXPECT_EQ(test, caps->size, 64);

	/* Walk the chain like the user: offsets are from the start of their struct. */
	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		header = (void *)caps->buf + parts[i].at;
		KUNIT_EXPECT_EQ(test, header->id, parts[i].id);
		KUNIT_EXPECT_EQ(test, header->version, parts[i].version);
		KUNIT_EXPECT_EQ(test, header->next,
				i + 1 < ARRAY_SIZE(parts) ? caps->base + parts[i + 1].at : 0);
	}
}

static void caps_fill(struct kunit *test)
{
	struct vfio_caps *caps = kunit_kzalloc(test, sizeof(*caps), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, caps);
	for (i = 0; i < sizeof(caps->buf) / 16; i++)
		KUNIT_EXPECT_NOT_NULL(test, vfio_caps_add(caps, i, 1, 16));
	KUNIT_EXPECT_EQ(test, caps->size, sizeof(caps->buf));
}

static void offsets(struct kunit *test)
{
	static const struct {
		u64 pos;
		const struct vfio_pci_region_ops *ops;
		unsigned int index;
		u64 off;
	} parts[] = {
		{ 0, &vfio_pci_bar_ops, 0, 0 },
		{ (1ULL << 40) - 1, &vfio_pci_bar_ops, 0, (1ULL << 40) - 1 },
		{ 1ULL << 40, &vfio_pci_bar_ops, 1, 0 },
		{ (5ULL << 40) | 0x123456789aULL, &vfio_pci_bar_ops, 5, 0x123456789aULL },
		{ (6ULL << 40) | 4, &vfio_pci_rom_ops, 6, 4 },
		{ (8ULL << 40) | 0xa0000, &vfio_pci_vga_ops, 8, 0xa0000 },
		/* Regions that only this function has */
		{ (9ULL << 40) | 16, &vfio_pci_extra_ops, 9, 16 },
		{ 10ULL << 40, &vfio_pci_extra_ops, 10, 0 },
		/* Beyond all regions */
		{ 11ULL << 40 },
		{ (256ULL + 1) << 40 },
		{ S64_MAX },
	};
	struct vfio_pci_device *vpd = kunit_kzalloc(test, sizeof(*vpd), GFP_KERNEL);
	static const struct vfio_pci_extra extra = {
		.ops = &vfio_pci_extra_ops,
		.release = extra_release,
	};
	struct vfio_io io = { .len = 4, .left = 4 };
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, vpd);
	memcpy(vpd->regions, vfio_pci_regions, sizeof(vpd->regions));
	for (i = 0; i < 2; i++)
		KUNIT_ASSERT_EQ(test, 0, vfio_pci_extra_add(vpd, &extra));
	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		io.pos = parts[i].pos;
		memset(&asked, 0, sizeof(asked));
		KUNIT_EXPECT_EQ(test, vfio_pci_read(&vpd->vdev, &io), parts[i].ops ? 4 : -EINVAL);
		KUNIT_EXPECT_PTR_EQ(test, asked.ops, parts[i].ops);
		KUNIT_EXPECT_EQ(test, asked.index, parts[i].index);
		KUNIT_EXPECT_EQ(test, asked.off, parts[i].off);
		/* The ROM cannot be written. */
		KUNIT_EXPECT_EQ(test, vfio_pci_write(&vpd->vdev, &io),
				parts[i].ops && parts[i].ops->write ? 4 : -EINVAL);
	}

	/* The function's own regions end with the session. */
	released = 0;
	vfio_pci_extras_close(vpd);
	KUNIT_EXPECT_EQ(test, released, 2);
	KUNIT_EXPECT_NULL(test, vfio_pci_region(vpd, VFIO_PCI_NUM_REGIONS));
}

#define OPREGION_AT	0x70000000

/* A fake OpRegion, in which each byte differs from its neighbors */
static u8 *make_opregion(struct kunit *test, u16 version, u64 rvda, u32 rvds)
{
	u8 *op = kunit_kmalloc(test, IGD_OPREGION_SIZE, GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, op);
	for (i = 0; i < IGD_OPREGION_SIZE; i++)
		op[i] = i * 7 + (i >> 8);
	memcpy(op, IGD_SIGNATURE, 16);
	put_unaligned_le32(8, op + IGD_SIZE_KB);
	put_unaligned_le16(version, op + IGD_VERSION);
	put_unaligned_le64(rvda, op + IGD_RVDA);
	put_unaligned_le32(rvds, op + IGD_RVDS);
	return op;
}

static void opregion_layout(struct kunit *test)
{
	static const struct {
		u16 version;
		u64 rvda;
		u32 rvds;
		int ret;
		struct igd_layout layout;
	} parts[] = {
		/* Before 2.0, these offsets have another meaning. */
		{ 0x0100, 0x80000000, 0x2000, 0, { .version = 0x0100 } },
		{ 0x01ff, 0x80000000, 0x2000, 0, { .version = 0x01ff } },
		/* Absolute, and reported as 2.1; up to high addresses */
		{ 0x0200, 0x80000000, 0x2000, 0, { 0x80000000, 0x2000, 0x0201, 0x2000 } },
		{ 0x0200, 0x7f80000000, 1, 0, { 0x7f80000000, 1, 0x0201, 0x2000 } },
		/* Relative */
		{ 0x0201, 0x2000, 0x2345, 0, { OPREGION_AT + 0x2000, 0x2345, 0x0201, 0x2000 } },
		{ 0x0201, 0x90000000, 9, 0, { OPREGION_AT + 0x90000000ULL, 9, 0x0201, 0x2000 } },
		{ 0x0300, 0x2000, SZ_1M, 0, { OPREGION_AT + 0x2000, SZ_1M, 0x0300, 0x2000 } },
		/* Address or size is missing, so the VBT is in the mailbox. */
		{ 0x0200, 0, 0x2000, 0, { .version = 0x0200 } },
		{ 0x0201, 0x2000, 0, 0, { .version = 0x0201 } },
		/* Nonsense */
		{ 0x0201, 0x2000, SZ_1M + 1, -EINVAL },
		{ 0x0201, 0x2000, U32_MAX, -EINVAL },
		{ 0x0201, U64_MAX - OPREGION_AT + 1, 0x2000, -EINVAL },
		{ 0x0201, U64_MAX - OPREGION_AT, 0x2000, -EINVAL },
		{ 0x0200, U64_MAX, 0x2000, -EINVAL },
	};
	struct igd_layout layout;
	unsigned int i;
	u8 *op;

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		op = make_opregion(test, parts[i].version, parts[i].rvda, parts[i].rvds);
		KUNIT_EXPECT_EQ_MSG(test, igd_parse(op, OPREGION_AT, &layout), parts[i].ret,
				    "row %u", i);
		if (parts[i].ret)
			continue;
		KUNIT_EXPECT_EQ(test, layout.vbt, parts[i].layout.vbt);
		KUNIT_EXPECT_EQ(test, layout.vbt_size, parts[i].layout.vbt_size);
		KUNIT_EXPECT_EQ(test, layout.version, parts[i].layout.version);
		KUNIT_EXPECT_EQ(test, layout.rvda, parts[i].layout.rvda);
	}

	/* Not an OpRegion */
	for (i = 0; i < 16; i++) {
		op = make_opregion(test, 0x0200, 0, 0);
		op[i] ^= 1;
		KUNIT_EXPECT_EQ(test, igd_parse(op, OPREGION_AT, &layout), -EINVAL);
	}
	op = make_opregion(test, 0x0200, 0, 0);
	put_unaligned_le32(0, op + IGD_SIZE_KB);
	KUNIT_EXPECT_EQ(test, igd_parse(op, OPREGION_AT, &layout), -EINVAL);
}

static void opregion_copy(struct kunit *test)
{
	const unsigned int vbt_size = 0x1234, size = IGD_OPREGION_SIZE + vbt_size;
	u8 *op = make_opregion(test, 0x0200, 0x80000000, vbt_size);
	u8 *vbt = kunit_kmalloc(test, vbt_size, GFP_KERNEL);
	u8 *want = kunit_kmalloc(test, size, GFP_KERNEL);
	/* Around the parts that are changed in the copy, and around its end */
	static const u16 from[] = { 0, IGD_VERSION - 8, IGD_RVDA - 16, IGD_OPREGION_SIZE - 16 };
	struct igd_layout layout;
	unsigned int i, off, len;
	u8 buf[32];

	KUNIT_ASSERT_NOT_NULL(test, vbt);
	KUNIT_ASSERT_NOT_NULL(test, want);
	for (i = 0; i < vbt_size; i++)
		vbt[i] = ~i;
	KUNIT_ASSERT_EQ(test, igd_parse(op, OPREGION_AT, &layout), 0);
	memcpy(want, op, IGD_OPREGION_SIZE);
	memcpy(want + IGD_OPREGION_SIZE, vbt, vbt_size);
	put_unaligned_le16(0x0201, want + 0x16);
	put_unaligned_le64(IGD_OPREGION_SIZE, want + 0x3ba);

	for (i = 0; i < ARRAY_SIZE(from); i++) {
		for (off = from[i]; off < from[i] + 24; off++) {
			for (len = 1; len < sizeof(buf); len++) {
				memset(buf, 0xcc, sizeof(buf));
				igd_copy(buf, off, len, op, vbt, &layout);
				KUNIT_EXPECT_MEMEQ(test, buf, want + off, len);
				KUNIT_EXPECT_EQ(test, buf[len], 0xcc);
			}
		}
	}
	igd_copy(buf, size - 7, 7, op, vbt, &layout);
	KUNIT_EXPECT_MEMEQ(test, buf, want + size - 7, 7);
}

static void atomics(struct kunit *test)
{
	static const struct {
		u32 function, path, flags;
	} parts[] = {
		{ 0, ~0, 0 },
		{ ~0, 0, 0 },
		{ PCI_EXP_DEVCAP2_ATOMIC_COMP32, PCI_EXP_DEVCAP2_ATOMIC_COMP64, 0 },
		{ ~0, PCI_EXP_DEVCAP2_ATOMIC_COMP32, VFIO_PCI_ATOMIC_COMP32 },
		{ PCI_EXP_DEVCAP2_ATOMIC_COMP64, ~0, VFIO_PCI_ATOMIC_COMP64 },
		{ ~0, ~0,
		  VFIO_PCI_ATOMIC_COMP32 | VFIO_PCI_ATOMIC_COMP64 | VFIO_PCI_ATOMIC_COMP128 },
	};
	struct vfio_pci_device *vpd = kunit_kzalloc(test, sizeof(*vpd), GFP_KERNEL);
	struct pci_dev *pdev = kunit_kzalloc(test, sizeof(*pdev), GFP_KERNEL);
	struct vfio_cmd *cmd = kunit_kzalloc(test, sizeof(*cmd), GFP_KERNEL);
	struct vfio_caps *caps = kunit_kzalloc(test, sizeof(*caps), GFP_KERNEL);
	struct vfio_device_info_cap_pci_atomic_comp *cap;
	struct vfio_device_info *info;
	unsigned int i;

	KUNIT_ASSERT_TRUE(test, vpd && pdev && cmd && caps);
	vpd->pdev = pdev;
	info = (void *)cmd->arg;
	cap = (void *)caps->buf;
	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		atomics_function = parts[i].function;
		atomics_path = parts[i].path;
		memset(caps, 0, sizeof(*caps));
		memset(cmd, 0, sizeof(*cmd));
		cmd->vdev = &vpd->vdev;
		cmd->caps = caps;
		vfio_pci_atomics_open(vpd);
		KUNIT_EXPECT_EQ(test, vfio_pci_get_info(cmd), 0);
		KUNIT_EXPECT_EQ(test, info->flags, VFIO_DEVICE_FLAGS_PCI |
				(parts[i].flags ? VFIO_DEVICE_FLAGS_CAPS : 0));
		KUNIT_EXPECT_EQ(test, caps->size, parts[i].flags ? sizeof(*cap) : 0);
		KUNIT_EXPECT_EQ(test, cap->flags, parts[i].flags);
		KUNIT_EXPECT_EQ(test, cap->header.id,
				parts[i].flags ? VFIO_DEVICE_INFO_CAP_PCI_ATOMIC_COMP : 0);
	}
}

static struct kunit_case logic_cases[] = {
	KUNIT_CASE(atomics),
	KUNIT_CASE(caps_chain),
	KUNIT_CASE(caps_fill),
	KUNIT_CASE(offsets),
	KUNIT_CASE(opregion_layout),
	KUNIT_CASE(opregion_copy),
	{}
};

static struct kunit_suite logic_suite = {
	.name = "vfio-logic",
	.test_cases = logic_cases,
};

kunit_test_suite(logic_suite);

MODULE_DESCRIPTION("KUnit tests of the vfio modules");
MODULE_LICENSE("GPL");
