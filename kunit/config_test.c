// SPDX-License-Identifier: GPL-2.0-only
/*
 * The config space engine on fake functions: the bus has our config accessors, so that the engine
 * and the PCI core's accessors are the real ones. Calls of effects to other files are recorded.
 */
#include <kunit/test.h>

#include "../driver/config/tables.c"
#include "../driver/config/access.c"
#include "../driver/config/effects.c"

/* The function, and what was done to it */
struct fake {
	struct pci_bus bus;
	struct pci_host_bridge host;
	struct pci_dev pdev;
	struct vfio_pci_device vpd;
	u8 space[PCI_CFG_SPACE_EXP_SIZE];
	u8 rw[PCI_CFG_SPACE_EXP_SIZE];		/* bits that can be written in hardware */
	u8 w1c[PCI_CFG_SPACE_EXP_SIZE];		/* bits that a 1 clears */
	unsigned int reads;
	unsigned int writes;
	int where;				/* of the last access */
	int size;
	u32 vpd_word;				/* contents of VPD at 8 */
	bool msi;				/* MSI is on */
	unsigned int resets;
	int power;				/* last state asked for */
	int intx_disable;			/* last value */
	char trace[64];				/* decode: B block, U update, W hardware write */
};

static struct fake *to_fake(struct vfio_pci_device *vpd)
{
	return container_of(vpd, struct fake, vpd);
}

static void trace(struct fake *f, char c)
{
	size_t len = strlen(f->trace);

	if (len + 1 < sizeof(f->trace))
		f->trace[len] = c;
}

/* Not used by any BAR */
const struct vfio_pci_region_ops vfio_pci_hidden_ops;

void vfio_pci_lock_user(struct vfio_pci_device *vpd)
{
	vfio_pci_lock(vpd);
}

void vfio_pci_lock_hw(struct vfio_pci_device *vpd)
{
	mutex_lock(&vpd->hw_lock);
}

void vfio_pci_decode_block(struct vfio_pci_device *vpd)
{
	lockdep_assert_held(&vpd->hw_lock);
	trace(to_fake(vpd), 'B');
}

void vfio_pci_decode_update(struct vfio_pci_device *vpd)
{
	lockdep_assert_held(&vpd->hw_lock);
	trace(to_fake(vpd), 'U');
}

int vfio_pci_reset(struct vfio_pci_device *vpd)
{
	lockdep_assert_held(&vpd->hw_lock);
	to_fake(vpd)->resets++;
	return 0;
}

int vfio_pci_set_power_state(struct vfio_pci_device *vpd, pci_power_t state)
{
	lockdep_assert_held(&vpd->hw_lock);
	to_fake(vpd)->power = (__force int)state;
	return 0;
}

void vfio_pci_intx_disable_changed(struct vfio_pci_device *vpd)
{
	to_fake(vpd)->intx_disable = !!(vfio_pci_config_command(vpd) & PCI_COMMAND_INTX_DISABLE);
}

bool vfio_pci_irq_is_msi(struct vfio_pci_device *vpd)
{
	return to_fake(vpd)->msi;
}

bool vfio_pci_irq_is_on(struct vfio_pci_device *vpd)
{
	return to_fake(vpd)->msi;
}

static u32 get(const struct fake *f, unsigned int pos, unsigned int n)
{
	u32 val = 0;

	while (n--)
		val = val << 8 | f->space[pos + n];
	return val;
}

static void put(struct fake *f, unsigned int pos, unsigned int n, u32 val)
{
	for (; n; n--, pos++, val >>= 8)
		f->space[pos] = val;
}

static int fake_read(struct pci_bus *bus, unsigned int devfn, int where, int size, u32 *val)
{
	struct fake *f = container_of(bus, struct fake, bus);

	f->reads++;
	f->where = where;
	f->size = size;
	*val = get(f, where, size);
	return PCIBIOS_SUCCESSFUL;
}

static int fake_write(struct pci_bus *bus, unsigned int devfn, int where, int size, u32 val)
{
	struct fake *f = container_of(bus, struct fake, bus);
	int i, vpd = f->pdev.vpd.cap;

	f->writes++;
	f->where = where;
	f->size = size;
	trace(f, 'W');
	for (i = 0; i < size; i++, val >>= 8) {
		f->space[where + i] &= ~(f->w1c[where + i] & val);
		f->space[where + i] &= ~f->rw[where + i];
		f->space[where + i] |= f->rw[where + i] & val;
	}

	/* The flag of VPD is inverted when the access is done, which is at once. */
	if (vpd && where == vpd + PCI_VPD_ADDR) {
		if ((get(f, where, 2) & PCI_VPD_ADDR_MASK) == 8) {
			if (get(f, where, 2) & PCI_VPD_ADDR_F)
				f->vpd_word = get(f, vpd + PCI_VPD_DATA, 4);
			else
				put(f, vpd + PCI_VPD_DATA, 4, f->vpd_word);
		}
		put(f, where, 2, get(f, where, 2) ^ PCI_VPD_ADDR_F);
	}
	return PCIBIOS_SUCCESSFUL;
}

static struct pci_ops fake_ops = { .read = fake_read, .write = fake_write };

static void bar(struct fake *f, int i, u64 start, u64 size, unsigned long flags)
{
	f->pdev.resource[i].start = start;
	f->pdev.resource[i].end = start + size - 1;
	f->pdev.resource[i].flags = flags;
	put(f, vfio_pci_bar_pos(i), 4, start | (flags & IORESOURCE_IO ? 1 : 0));
	if (flags & IORESOURCE_MEM_64)
		put(f, vfio_pci_bar_pos(i + 1), 4, start >> 32);
}

/* A function with all kinds of BARs, memory decode on, and no capabilities */
static int config_init(struct kunit *test)
{
	struct fake *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, f);
	test->priv = f;

	f->bus.ops = &fake_ops;
	f->bus.bridge = &f->host.dev;
	f->pdev.bus = &f->bus;
	f->pdev.error_state = pci_channel_io_normal;
	f->pdev.cfg_size = PCI_CFG_SPACE_EXP_SIZE;
	f->pdev.irq = 5;
	f->vpd.pdev = &f->pdev;
	mutex_init(&f->vpd.core_lock);
	mutex_init(&f->vpd.hw_lock);
	mutex_init(&f->pdev.vpd.lock);

	put(f, PCI_VENDOR_ID, 4, 0x56781234);
	put(f, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
	put(f, PCI_INTERRUPT_LINE, 2, 0x010b);
	bar(f, 0, 0xfeb00000, 0x4000, IORESOURCE_MEM);
	bar(f, 1, 0xc020, 0x20, IORESOURCE_IO);
	bar(f, 2, 0x7000000000, 0x200000000, IORESOURCE_MEM | IORESOURCE_MEM_64 |
						 IORESOURCE_PREFETCH);
	bar(f, PCI_ROM_RESOURCE, 0xfea00000, 0x10000, IORESOURCE_MEM);
	memset(f->rw + PCI_BASE_ADDRESS_0, 0xff, 24);
	memset(f->rw + PCI_ROM_ADDRESS, 0xff, 4);
	memset(f->rw + PCI_COMMAND, 0xff, 2);
	memset(f->w1c + PCI_STATUS + 1, 0xf9, 1);
	return 0;
}

static void config_exit(struct kunit *test)
{
	struct fake *f = test->priv;

	if (f)
		vfio_pci_config_close(&f->vpd);
}

static void cap(struct fake *f, unsigned int pos, u8 id, unsigned int next)
{
	put(f, PCI_STATUS, 2, get(f, PCI_STATUS, 2) | PCI_STATUS_CAP_LIST);
	if (!f->space[PCI_CAPABILITY_LIST])
		f->space[PCI_CAPABILITY_LIST] = pos;
	put(f, pos, 2, id | next << 8);
}

static void ext_cap(struct fake *f, unsigned int pos, u16 id, unsigned int next)
{
	put(f, pos, 4, id | 1 << 16 | next << 20);
}

static void start(struct kunit *test)
{
	struct fake *f = test->priv;

	KUNIT_ASSERT_EQ(test, vfio_pci_config_open(&f->vpd), 0);
	f->reads = 0;
	f->writes = 0;
	memset(f->trace, 0, sizeof(f->trace));
}

static ssize_t io(struct fake *f, bool write, u64 pos, void *buf, size_t len, size_t left)
{
	struct vfio_io io = { .buf = buf, .len = len, .left = left };
	const struct vfio_pci_region_ops *ops = &vfio_pci_config_ops;

	return (write ? ops->write : ops->read)(&f->vpd, VFIO_PCI_CONFIG_REGION_INDEX, &io, pos);
}

static u32 user_read(struct kunit *test, unsigned int pos, unsigned int n)
{
	__le32 val = 0;

	KUNIT_EXPECT_EQ(test, io(test->priv, false, pos, &val, n, n), n);
	return le32_to_cpu(val);
}

static void user_write(struct kunit *test, unsigned int pos, unsigned int n, u32 val)
{
	__le32 le = cpu_to_le32(val);

	KUNIT_EXPECT_EQ(test, io(test->priv, true, pos, &le, n, n), n);
}

/* Check what the user reads, and what is in the hardware. Need "test", and the latter "f". */
#define EXPECT_USER(pos, n, val)	KUNIT_EXPECT_EQ(test, user_read(test, pos, n), (u32)(val))
#define EXPECT_HW(pos, n, val)		KUNIT_EXPECT_EQ(test, get(f, pos, n), (u32)(val))

static void all_ids_known(struct kunit *test)
{
	const struct vfio_pci_field *field;
	const struct vfio_pci_cap *row;
	unsigned int id, pass;

	for (pass = 0; pass < 2; pass++) {
		for (id = 0; id <= 0x1000; id++) {
			row = pass ? vfio_pci_config_ext_cap(id) : vfio_pci_config_cap(id);
			if (id > (pass ? VFIO_PCI_EXT_CAP_MAX : PCI_CAP_ID_MAX)) {
				if (pass || id < 0x100)
					KUNIT_EXPECT_NULL(test, row);
				continue;
			}
			KUNIT_ASSERT_NOT_NULL(test, row);
			KUNIT_EXPECT_NE_MSG(test, row->kind, VFIO_PCI_CAP_UNKNOWN, "%#x", id);
			if (row->kind == VFIO_PCI_CAP_SHOWN)
				KUNIT_EXPECT_TRUE_MSG(test, row->len || row->length, "%#x", id);

			for (field = row->fields; field && field->width; field++) {
				KUNIT_EXPECT_EQ(test, field->virt & ~BYTES_MASK(field->width), 0);
				KUNIT_EXPECT_EQ(test, field->write & ~BYTES_MASK(field->width), 0);
				KUNIT_EXPECT_EQ(test, field->zero & ~field->virt, 0);
				if (row->len)
					KUNIT_EXPECT_LE(test, field->off + field->width, row->len);
			}
			if (row->effect)
				KUNIT_EXPECT_LE(test, row->effect->off % 4 + row->effect->width, 4);
		}
	}
}

static void lengths(struct kunit *test)
{
	static const struct {
		u32 header;
		u32 reg;	/* at 4 */
		u32 reg2;	/* at 8 */
		u32 reg3;	/* at @at */
		u16 at;
		u16 len;
		bool ext;
	} rows[] = {
		{ PCI_CAP_ID_MSI, .len = 10 },
		{ PCI_CAP_ID_MSI | PCI_MSI_FLAGS_64BIT << 16, .len = 14 },
		{ PCI_CAP_ID_MSI | PCI_MSI_FLAGS_MASKBIT << 16, .len = 20 },
		{ PCI_CAP_ID_MSI | (PCI_MSI_FLAGS_64BIT | PCI_MSI_FLAGS_MASKBIT) << 16, .len = 24 },
		{ PCI_CAP_ID_PCIX, .len = 8 },
		{ PCI_CAP_ID_PCIX | 1 << 28, .len = 24 },
		{ PCI_CAP_ID_PCIX | 2 << 28, .len = 24 },
		{ PCI_CAP_ID_HT | HT_CAPTYPE_SLAVE << 24, .len = 28 },
		{ PCI_CAP_ID_HT | (u32)HT_CAPTYPE_MSI_MAPPING << 24, .len = 24 },
		{ PCI_CAP_ID_VNDR | 0x2c << 16, .len = 0x2c },
		{ PCI_CAP_ID_EXP | 1 << 16, .len = 20 },
		{ PCI_CAP_ID_EXP | (1 | PCI_EXP_TYPE_RC_END << 4) << 16, .len = 12 },
		{ PCI_CAP_ID_EXP | (2 | PCI_EXP_TYPE_LEG_END << 4) << 16, .len = 0x34 },
		{ PCI_CAP_ID_EXP | (2 | PCI_EXP_TYPE_RC_END << 4) << 16, .len = 0x2c },
		{ PCI_CAP_ID_SATA, 4, .len = 8 },
		{ PCI_CAP_ID_SATA, 0xf, .len = 16 },
		/* two entries, of 1 + 3 and 1 + 0 dwords */
		{ PCI_CAP_ID_EA | 2 << 16, 3, 0, .len = 24 },
		{ PCI_EXT_CAP_ID_VC, .len = 0x1c, .ext = true },
		{ PCI_EXT_CAP_ID_MFVC, 3, PCI_VC_CAP2_64_PHASE, .len = 0x40 + 32, .ext = true },
		{ PCI_EXT_CAP_ID_VC9, 7, PCI_VC_CAP2_32_PHASE | PCI_VC_CAP2_128_PHASE,
		  .len = 0x70 + 64, .ext = true },
		{ PCI_EXT_CAP_ID_VNDR, 0x12300000, .len = 0x123, .ext = true },
		{ PCI_EXT_CAP_ID_DVSEC, 0x03c01e98, .len = 0x3c, .ext = true },
		{ PCI_EXT_CAP_ID_ACS, PCI_ACS_SV | 9 << 8, .len = 8, .ext = true },
		{ PCI_EXT_CAP_ID_ACS, PCI_ACS_EC | 9 << 8, .len = 12, .ext = true },
		{ PCI_EXT_CAP_ID_ACS, PCI_ACS_EC | 64 << 8, .len = 16, .ext = true },
		{ PCI_EXT_CAP_ID_ACS, PCI_ACS_EC, .len = 40, .ext = true },
		{ PCI_EXT_CAP_ID_REBAR, 0, 2 << 5, .len = 20, .ext = true },
		{ PCI_EXT_CAP_ID_VF_REBAR, 0, 1 << 5, .len = 12, .ext = true },
		{ PCI_EXT_CAP_ID_DPA, 4, .len = 21, .ext = true },
		{ PCI_EXT_CAP_ID_TPH, 7 << 16, .len = 12, .ext = true },
		{ PCI_EXT_CAP_ID_TPH, PCI_TPH_LOC_CAP | 7 << 16, .len = 28, .ext = true },
		{ PCI_EXT_CAP_ID_IDE, .len = 12, .ext = true },
		/* link streams of three traffic classes */
		{ PCI_EXT_CAP_ID_IDE, PCI_IDE_CAP_LINK | 2 << 13, .len = 36, .ext = true },
		/* one, and two selective streams: with two address associations, and with none */
		{ PCI_EXT_CAP_ID_IDE, PCI_IDE_CAP_LINK | PCI_IDE_CAP_SELECTIVE | 1 << 16,
		  .at = 0x14, .reg3 = 2, .len = 84, .ext = true },
	};
	struct fake *f = test->priv;
	const struct vfio_pci_cap *cap;
	unsigned int i, pos;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		pos = rows[i].ext ? 0x100 : 0x40;
		cap = rows[i].ext ? vfio_pci_config_ext_cap(rows[i].header) :
				    vfio_pci_config_cap(rows[i].header);
		put(f, pos, 4, rows[i].header);
		put(f, pos + 4, 4, rows[i].reg);
		put(f, pos + 8, 4, rows[i].reg2);
		memset(f->space + pos + 12, 0, 0x80);
		if (rows[i].at)
			put(f, pos + rows[i].at, 4, rows[i].reg3);
		KUNIT_EXPECT_EQ_MSG(test, cap->length(&f->pdev, pos), rows[i].len, "%#x",
				    rows[i].header);
	}
}

static void list(struct kunit *test)
{
	struct fake *f = test->priv;

	cap(f, 0x40, PCI_CAP_ID_SSVID, 0x50);
	cap(f, 0x50, PCI_CAP_ID_PM, 0xd3);	/* with reserved bits set */
	cap(f, 0xd0, PCI_CAP_ID_EA, 0x80);
	cap(f, 0x80, PCI_CAP_ID_VNDR, 0xf0);
	f->space[0x82] = 8;
	cap(f, 0xf0, 0x77, 0x60);
	cap(f, 0x60, PCI_CAP_ID_MSIX, 0x70);
	cap(f, 0x70, 0, 0);
	memset(f->rw + 0x40, 0xff, 0xc0);
	start(test);

	EXPECT_USER(PCI_STATUS, 1, PCI_STATUS_CAP_LIST);
	EXPECT_USER(PCI_CAPABILITY_LIST, 1, 0x50);
	EXPECT_USER(0x50, 2, PCI_CAP_ID_PM | 0x80 << 8);
	EXPECT_USER(0x80, 2, PCI_CAP_ID_VNDR | 0x60 << 8);
	EXPECT_USER(0x60, 2, PCI_CAP_ID_MSIX);

	/* Not even where everything else can be written */
	user_write(test, 0x80, 4, 0x11223344);
	EXPECT_USER(0x80, 4, 0x11220009 | 0x60 << 8);
	EXPECT_HW(0x80, 4, 0x11220009 | 0xf0 << 8);

	/* Holes can be written, but not registers that are described and hidden. */
	user_write(test, 0x90, 4, 0x12345678);
	EXPECT_HW(0x90, 4, 0x12345678);
	user_write(test, 0x44, 4, 0x12345678);
	EXPECT_HW(0x44, 4, 0x12345678);
	user_write(test, 0x64, 4, 0x12345678);
	EXPECT_HW(0x64, 4, 0);
	user_write(test, 0xd0, 4, 0x12345678);
	EXPECT_HW(0xd0, 4, PCI_CAP_ID_EA | 0x80 << 8);
}

static void list_all_hidden(struct kunit *test)
{
	struct fake *f = test->priv;

	cap(f, 0x40, PCI_CAP_ID_SSVID, 0x50);
	cap(f, 0x50, PCI_CAP_ID_SHPC, 0);
	start(test);

	EXPECT_USER(PCI_STATUS, 1, 0);
	EXPECT_USER(PCI_CAPABILITY_LIST, 1, 0);
}

static void list_absent(struct kunit *test)
{
	struct fake *f = test->priv;

	cap(f, 0x40, PCI_CAP_ID_PM, 0);
	put(f, PCI_STATUS, 2, 0);
	start(test);

	/* Not in a list, so a hole */
	EXPECT_USER(PCI_STATUS, 1, 0);
	KUNIT_EXPECT_EQ(test, f->vpd.config.write[0x40], 0xff);
	KUNIT_EXPECT_EQ(test, f->vpd.config.nr_effects, 1);
}

static void list_loops(struct kunit *test)
{
	struct fake *f = test->priv;

	cap(f, 0x40, PCI_CAP_ID_PM, 0x50);
	cap(f, 0x50, PCI_CAP_ID_SSVID, 0x60);
	cap(f, 0x60, PCI_CAP_ID_MSIX, 0x40);
	ext_cap(f, 0x100, PCI_EXT_CAP_ID_DSN, 0x140);
	ext_cap(f, 0x140, PCI_EXT_CAP_ID_ARI, 0x140);
	start(test);

	EXPECT_USER(0x40, 2, PCI_CAP_ID_PM | 0x60 << 8);
	EXPECT_USER(0x60, 2, PCI_CAP_ID_MSIX);
	EXPECT_USER(0x100, 4, PCI_EXT_CAP_ID_DSN | 1 << 16 | 0x140 << 20);
	EXPECT_USER(0x140, 4, PCI_EXT_CAP_ID_ARI | 1 << 16);
}

static void list_into_header(struct kunit *test)
{
	struct fake *f = test->priv;

	cap(f, 0x40, PCI_CAP_ID_PM, 0x10);
	ext_cap(f, 0x100, PCI_EXT_CAP_ID_DSN, 0x40);
	start(test);

	EXPECT_USER(0x40, 2, PCI_CAP_ID_PM);
	EXPECT_USER(0x100, 4, PCI_EXT_CAP_ID_DSN | 1 << 16);
	user_write(test, PCI_BASE_ADDRESS_0, 4, ~0);
	EXPECT_USER(PCI_BASE_ADDRESS_0, 4, ~0x3fff);
}

/* KASAN detects writes outside the planes. */
static void list_past_the_end(struct kunit *test)
{
	struct fake *f = test->priv;

	cap(f, 0x40, PCI_CAP_ID_VNDR, 0xfc);
	f->space[0x42] = 0xff;
	cap(f, 0xfc, PCI_CAP_ID_EXP, 0);
	ext_cap(f, 0x100, PCI_EXT_CAP_ID_DVSEC, 0xffc);
	put(f, 0x104, 4, 0xfff00000);
	ext_cap(f, 0xffc, PCI_EXT_CAP_ID_ERR, 0);
	start(test);

	/* The next capability is laid over the one that reaches into it. */
	EXPECT_USER(0xfc, 4, PCI_CAP_ID_EXP);
	KUNIT_EXPECT_EQ(test, f->vpd.config.write[0xfe], 0);
	KUNIT_EXPECT_EQ(test, f->vpd.config.write[0x1ff], 0xff);
	EXPECT_USER(0x100, 4, PCI_EXT_CAP_ID_DVSEC | 1 << 16 | 0xffcU << 20);
	EXPECT_USER(0xffc, 4, PCI_EXT_CAP_ID_ERR | 1 << 16);
	/* One plane follows the other. */
	EXPECT_USER(PCI_VENDOR_ID, 4, 0x56781234);
	KUNIT_EXPECT_EQ(test, f->vpd.config.write[PCI_VENDOR_ID], 0);
	KUNIT_EXPECT_EQ(test, f->vpd.config.write[PCI_BASE_ADDRESS_0 + 3], 0xff);
}

static void list_conventional(struct kunit *test)
{
	struct fake *f = test->priv;

	f->pdev.cfg_size = PCI_CFG_SPACE_SIZE;
	cap(f, 0xf8, PCI_CAP_ID_VNDR, 0);
	f->space[0xfa] = 0xff;
	start(test);

	KUNIT_EXPECT_EQ(test, f->vpd.config.size, PCI_CFG_SPACE_SIZE);
	EXPECT_USER(0xf8, 4, PCI_CAP_ID_VNDR | 0xff << 16);
}

static void list_garbage(struct kunit *test)
{
	struct fake *f = test->priv;

	memset(f->space, 0xff, sizeof(f->space));
	start(test);

	EXPECT_USER(0x100, 4, 0);
	KUNIT_EXPECT_EQ(test, f->vpd.config.value[PCI_STATUS] & PCI_STATUS_CAP_LIST, 0);
}

static void ext_list(struct kunit *test)
{
	struct fake *f = test->priv;

	ext_cap(f, 0x100, PCI_EXT_CAP_ID_PASID, 0x200);
	ext_cap(f, 0x200, PCI_EXT_CAP_ID_ATS, 0x300);
	ext_cap(f, 0x300, PCI_EXT_CAP_ID_DOE, 0x380);
	ext_cap(f, 0x380, 0x7777, 0x400);
	ext_cap(f, 0x400, PCI_EXT_CAP_ID_VNDR, 0x500);
	put(f, 0x404, 4, 0x01000000);
	ext_cap(f, 0x500, PCI_EXT_CAP_ID_DVSEC, 0x600);	/* its length is 0 */
	ext_cap(f, 0x600, PCI_EXT_CAP_ID_NPEM, 0x700);
	ext_cap(f, 0x700, PCI_EXT_CAP_ID_IDE, 0);
	put(f, 0x704, 4, PCI_IDE_CAP_SELECTIVE);
	put(f, 0x70c, 4, 1);
	memset(f->rw + 0x100, 0xff, 0xf00);
	start(test);

	EXPECT_USER(0x100, 4, 0x200 << 20);
	EXPECT_USER(0x200, 4, PCI_EXT_CAP_ID_ATS | 1 << 16 | 0x400 << 20);
	EXPECT_USER(0x400, 4, PCI_EXT_CAP_ID_VNDR | 1 << 16);

	user_write(test, 0x104, 4, ~0);		/* PASID */
	EXPECT_HW(0x104, 4, 0);
	user_write(test, 0x204, 4, ~0);		/* ATS */
	EXPECT_HW(0x204, 4, 0);
	user_write(test, 0x608, 4, ~0);		/* NPEM control */
	EXPECT_HW(0x608, 4, 0);
	user_write(test, 0x708, 4, ~0);		/* IDE control */
	EXPECT_HW(0x708, 4, 0);
	user_write(test, 0x710, 4, ~0);		/* that of a stream, */
	EXPECT_HW(0x710, 4, 0);
	user_write(test, 0x728, 4, ~0);		/* and its last register */
	EXPECT_HW(0x728, 4, 0);
	user_write(test, 0x72c, 4, ~0);
	EXPECT_HW(0x72c, 4, ~0);
	user_write(test, 0x108, 4, ~0);		/* a hole */
	EXPECT_HW(0x108, 4, ~0);
	user_write(test, 0x408, 4, ~0);		/* the vendor's */
	EXPECT_HW(0x408, 4, ~0);
	user_write(test, 0x400, 4, ~0);
	EXPECT_HW(0x400, 4, PCI_EXT_CAP_ID_VNDR | 1 << 16 | 0x500 << 20);
}

static void ext_list_all_hidden(struct kunit *test)
{
	struct fake *f = test->priv;

	ext_cap(f, 0x100, PCI_EXT_CAP_ID_PTM, 0x200);
	ext_cap(f, 0x200, PCI_EXT_CAP_ID_L1SS, 0);
	start(test);

	EXPECT_USER(0x100, 4, 0);
}

/* Every width and offset reads the same bytes, with the fewest and widest accesses possible. */
static void widths(struct kunit *test)
{
	struct fake *f = test->priv;
	u8 all[0x120], part[8];
	unsigned int pos, n;

	for (pos = 0x40; pos < sizeof(f->space); pos++)
		f->space[pos] = pos * 7 + 1;
	put(f, PCI_STATUS, 2, 0);
	cap(f, 0x40, PCI_CAP_ID_PM, 0x50);
	cap(f, 0x50, PCI_CAP_ID_VPD, 0x60);
	cap(f, 0x60, PCI_CAP_ID_MSI, 0);
	put(f, 0x62, 2, PCI_MSI_FLAGS_64BIT);
	ext_cap(f, 0x100, PCI_EXT_CAP_ID_DSN, 0);
	start(test);

	KUNIT_ASSERT_EQ(test, io(f, false, 0, all, sizeof(all), sizeof(all)), sizeof(all));
	for (n = 1; n <= 8; n++) {
		for (pos = 0; pos + n <= sizeof(all); pos++) {
			KUNIT_ASSERT_EQ(test, io(f, false, pos, part, n, n), n);
			KUNIT_ASSERT_MEMEQ(test, part, all + pos, n);
		}
	}

	f->reads = 0;
	user_read(test, PCI_CLASS_REVISION, 4);		/* all hardware */
	KUNIT_EXPECT_EQ(test, f->reads, 1);
	KUNIT_EXPECT_EQ(test, f->size, 4);
	user_read(test, PCI_COMMAND, 4);		/* some of both */
	KUNIT_EXPECT_EQ(test, f->reads, 2);
	KUNIT_EXPECT_EQ(test, f->size, 4);
	user_read(test, PCI_VENDOR_ID, 4);		/* all shadow */
	user_read(test, PCI_BASE_ADDRESS_0, 4);
	user_read(test, PCI_VENDOR_ID, 2);
	user_read(test, 0x54, 4);
	KUNIT_EXPECT_EQ(test, f->reads, 2);
	user_read(test, PCI_CLASS_REVISION + 1, 4);	/* 1, 2 and 1 */
	KUNIT_EXPECT_EQ(test, f->reads, 5);
	user_read(test, PCI_CLASS_REVISION + 2, 4);	/* 2 and 2 */
	KUNIT_EXPECT_EQ(test, f->reads, 7);
	KUNIT_EXPECT_EQ(test, f->size, 2);
	KUNIT_EXPECT_EQ(test, f->writes, 0);
}

/* The same for writes, on a hole. */
static void write_widths(struct kunit *test)
{
	struct fake *f = test->priv;
	unsigned int pos, n, i;
	u8 buf[8];

	memset(f->rw + 0x80, 0xff, 0x80);
	start(test);

	for (n = 1; n <= 8; n++) {
		for (pos = 0x80; pos < 0x90; pos++) {
			memset(f->space + 0x80, 0xcc, 0x20);
			for (i = 0; i < n; i++)
				buf[i] = n + pos + i;
			KUNIT_ASSERT_EQ(test, io(f, true, pos, buf, n, n), n);
			KUNIT_ASSERT_MEMEQ(test, f->space + pos, buf, n);
			KUNIT_ASSERT_EQ(test, f->space[pos - 1], pos > 0x80 ? 0xcc : 0);
			KUNIT_ASSERT_EQ(test, f->space[pos + n], 0xcc);
		}
	}
	f->writes = 0;
	user_write(test, 0x80, 4, 1);
	KUNIT_EXPECT_EQ(test, f->writes, 1);
	KUNIT_EXPECT_EQ(test, f->reads, 0);
}

static void bounds(struct kunit *test)
{
	struct fake *f = test->priv;
	u8 buf[8] = {};

	start(test);
	KUNIT_EXPECT_EQ(test, io(f, false, 0xfff, buf, 1, 1), 1);
	KUNIT_EXPECT_EQ(test, io(f, false, 0x1000, buf, 1, 1), -EFAULT);
	KUNIT_EXPECT_EQ(test, io(f, false, 0xffe, buf, 4, 4), -EFAULT);
	KUNIT_EXPECT_EQ(test, io(f, false, VFIO_REGION_MASK, buf, 1, 1), -EFAULT);
	KUNIT_EXPECT_EQ(test, io(f, false, 1ULL << 32, buf, 4, 4), -EFAULT);
	/* The chunk is inside, but the rest of the request is not. */
	KUNIT_EXPECT_EQ(test, io(f, false, 0, buf, 8, 0x1001), -EFAULT);
	KUNIT_EXPECT_EQ(test, io(f, true, 8, buf, 8, 0xff9), -EFAULT);
	KUNIT_EXPECT_EQ(test, io(f, true, 8, buf, 8, SIZE_MAX), -EFAULT);
	KUNIT_EXPECT_EQ(test, io(f, false, 0, buf, 8, 0x1000), 8);
	KUNIT_EXPECT_EQ(test, f->writes, 0);
}

static void bars(struct kunit *test)
{
	static const struct {
		u8 pos;
		u32 first, sized, flags;
	} parts[] = {
		{ PCI_BASE_ADDRESS_0, 0xfeb00000, 0xffffc000, 0 },
		{ PCI_BASE_ADDRESS_1, 0x0000c021, 0xffffffe1, 0x1 },
		{ PCI_BASE_ADDRESS_2, 0x0000000c, 0x0000000c, 0xc },
		{ PCI_BASE_ADDRESS_3, 0x00000070, 0xfffffffe, 0 },
		{ PCI_BASE_ADDRESS_4, 0, 0, 0 },
		{ PCI_BASE_ADDRESS_5, 0, 0, 0 },
		{ PCI_ROM_ADDRESS, 0xfea00000, 0xffff0001, 0 },
	};
	struct fake *f = test->priv;
	unsigned int i, j;

	put(f, PCI_BASE_ADDRESS_4, 4, 0xdead0000);	/* the host has not mapped it */
	start(test);

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		u32 hw = get(f, parts[i].pos, 4);

		EXPECT_USER(parts[i].pos, 4, parts[i].first);
		user_write(test, parts[i].pos, 4, ~0);
		EXPECT_USER(parts[i].pos, 4, parts[i].sized);
		user_write(test, parts[i].pos, 4, 0);
		EXPECT_USER(parts[i].pos, 4, parts[i].flags);
		for (j = 0; j < 4; j++)
			user_write(test, parts[i].pos + j, 1, 0xff);
		EXPECT_USER(parts[i].pos, 4, parts[i].sized);
		EXPECT_HW(parts[i].pos, 4, hw);
	}
	KUNIT_EXPECT_EQ(test, f->writes, 0);
}

static void rom_of_the_host(struct kunit *test)
{
	struct fake *f = test->priv;

	memset(&f->pdev.resource[PCI_ROM_RESOURCE], 0, sizeof(struct resource));
	put(f, PCI_ROM_ADDRESS, 4, 0);
	f->pdev.rom = 0x1000;
	f->pdev.romlen = 0x2345;
	start(test);

	user_write(test, PCI_ROM_ADDRESS, 4, ~0);
	EXPECT_USER(PCI_ROM_ADDRESS, 4, 0xffffc001);
}

static void header(struct kunit *test)
{
	struct fake *f = test->priv;

	memset(f->rw + PCI_CACHE_LINE_SIZE, 0xff, 2);
	memset(f->rw + PCI_INTERRUPT_LINE, 0xff, 4);
	start(test);

	user_write(test, PCI_VENDOR_ID, 4, 0);
	EXPECT_USER(PCI_VENDOR_ID, 4, 0x56781234);
	user_write(test, PCI_CACHE_LINE_SIZE, 2, 0x4010);
	EXPECT_HW(PCI_CACHE_LINE_SIZE, 2, 0x4010);
	EXPECT_USER(PCI_INTERRUPT_LINE, 2, 0x010b);
	user_write(test, PCI_INTERRUPT_LINE, 4, 0x05050505);
	EXPECT_USER(PCI_INTERRUPT_LINE, 2, 0x0105);
	EXPECT_HW(PCI_INTERRUPT_LINE, 2, 0x010b);
	KUNIT_EXPECT_EQ(test, vfio_pci_config_intx_pin(&f->vpd), 1);
}

static void no_intx(struct kunit *test)
{
	struct fake *f = test->priv;

	f->pdev.irq = IRQ_NOTCONNECTED;
	start(test);
	EXPECT_USER(PCI_INTERRUPT_PIN, 1, 0);
	KUNIT_EXPECT_EQ(test, vfio_pci_config_intx_pin(&f->vpd), 0);
}

static void broken_intx_device(struct kunit *test)
{
	struct fake *f = test->priv;

	f->pdev.vendor = PCI_VENDOR_ID_INTEL;
	f->pdev.device = 0x1583;
	start(test);
	KUNIT_EXPECT_EQ(test, vfio_pci_config_intx_pin(&f->vpd), 0);
}

static void virtual_function(struct kunit *test)
{
	struct fake *f = test->priv;

	put(f, PCI_VENDOR_ID, 4, ~0);
	put(f, PCI_COMMAND, 2, 0);
	f->rw[PCI_COMMAND] = PCI_COMMAND_MASTER;
	f->rw[PCI_COMMAND + 1] = 0;
	f->pdev.is_virtfn = 1;
	f->pdev.no_command_memory = 1;
	f->pdev.vendor = 0x8086;
	f->pdev.device = 0x10ca;
	start(test);

	EXPECT_USER(PCI_VENDOR_ID, 4, 0x10ca8086);
	KUNIT_EXPECT_EQ(test, vfio_pci_config_intx_pin(&f->vpd), 0);
	EXPECT_USER(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	user_write(test, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	EXPECT_USER(PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	EXPECT_HW(PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	/* A VF has no bit to turn decode off. */
	KUNIT_EXPECT_STREQ(test, f->trace, "W");
}

static void command(struct kunit *test)
{
	struct fake *f = test->priv;

	start(test);
	KUNIT_EXPECT_EQ(test, vfio_pci_config_command(&f->vpd),
			PCI_COMMAND_MEMORY | PCI_COMMAND_IO);

	/* Decode stays on, so accesses to the BARs are not affected. */
	user_write(test, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	KUNIT_EXPECT_STREQ(test, f->trace, "W");
	EXPECT_HW(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);

	/* Off: accesses are blocked before the write. On: they are allowed after it. */
	user_write(test, PCI_COMMAND, 1, 0);
	KUNIT_EXPECT_STREQ(test, f->trace, "WBWU");
	KUNIT_EXPECT_EQ(test, vfio_pci_config_command(&f->vpd), 0);
	user_write(test, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	KUNIT_EXPECT_STREQ(test, f->trace, "WBWUWU");

	/* The user sees their own INTx disable; we use that of the hardware. */
	user_write(test, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
	EXPECT_USER(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
	EXPECT_HW(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	KUNIT_EXPECT_EQ(test, f->intx_disable, 1);
	put(f, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
	user_write(test, PCI_COMMAND + 1, 1, PCI_COMMAND_SERR >> 8);
	EXPECT_USER(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_SERR);
	EXPECT_HW(PCI_COMMAND, 2,
		  PCI_COMMAND_MEMORY | PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE);
	KUNIT_EXPECT_EQ(test, f->intx_disable, 0);

	/* Errors in the status register survive a write to the whole dword. */
	put(f, PCI_STATUS, 2, 0xf900);
	user_write(test, PCI_COMMAND, 4, 0xffff0000 | PCI_COMMAND_MEMORY);
	EXPECT_HW(PCI_STATUS, 2, 0xf900);
	EXPECT_USER(PCI_STATUS, 2, 0xf900);
}

/* A reset by a device-specific register */
static void backdoor_reset(struct kunit *test)
{
	struct fake *f = test->priv;
	u8 before[0x28];

	start(test);
	memcpy(before, f->space + PCI_BASE_ADDRESS_0, sizeof(before));
	memset(f->space + PCI_BASE_ADDRESS_0, 0, sizeof(before));
	put(f, PCI_COMMAND, 2, 0);

	user_write(test, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	EXPECT_HW(PCI_BASE_ADDRESS_0, 4, 0);
	user_write(test, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	KUNIT_EXPECT_MEMEQ(test, f->space + PCI_BASE_ADDRESS_0, before, sizeof(before));
	EXPECT_HW(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);

	/* Without such a reset, nothing is written. */
	f->writes = 0;
	scoped_guard(mutex, &f->vpd.hw_lock)
		vfio_pci_config_after_reset(&f->vpd);
	KUNIT_EXPECT_EQ(test, f->writes, 0);
}

static void power(struct kunit *test)
{
	struct fake *f = test->priv;

	cap(f, 0x40, PCI_CAP_ID_PM, 0);
	put(f, 0x42, 2, 0xfe03);
	put(f, 0x44, 4, 0x8100);
	memset(f->rw + 0x44, 0xff, 2);
	f->power = -1;
	start(test);

	EXPECT_USER(0x42, 2, 0x0603);
	EXPECT_USER(0x44, 2, 0);
	user_write(test, 0x44, 2, 0x8103);
	KUNIT_EXPECT_EQ(test, f->power, 3);
	EXPECT_HW(0x44, 2, 0x8100);
	user_write(test, 0x44, 1, 0);
	KUNIT_EXPECT_EQ(test, f->power, 0);
	/* The power state is not in the upper byte. */
	f->power = -1;
	user_write(test, 0x45, 1, 0x1e);
	KUNIT_EXPECT_EQ(test, f->power, -1);
	EXPECT_HW(0x44, 2, 0x9f00);
}

static void msi(struct kunit *test)
{
	struct fake *f = test->priv;
	u32 flags = PCI_MSI_FLAGS_64BIT | PCI_MSI_FLAGS_MASKBIT | 2 << 1;

	cap(f, 0x60, PCI_CAP_ID_MSI, 0);
	put(f, 0x62, 2, flags);
	memset(f->rw + 0x62, PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE, 1);
	memset(f->rw + 0x64, 0xff, 0x14);
	start(test);

	EXPECT_USER(0x62, 2, flags);
	user_write(test, 0x62, 2, 0xffff);	/* at most what the function is capable of */
	EXPECT_USER(0x62, 2, flags | 2 << 4);
	user_write(test, 0x62, 2, 1 << 4);
	EXPECT_USER(0x62, 2, flags | 1 << 4);
	user_write(test, 0x64, 4, 0xfee00000);
	user_write(test, 0x68, 4, 1);
	user_write(test, 0x6c, 2, 0x4321);
	EXPECT_USER(0x64, 4, 0xfee00000);
	EXPECT_USER(0x6c, 2, 0x4321);
	EXPECT_USER(0x6e, 2, 0);
	KUNIT_EXPECT_EQ(test, f->writes, 0);
	user_write(test, 0x70, 4, 5);		/* the mask is in the hardware */
	EXPECT_HW(0x70, 4, 5);
	user_write(test, 0x74, 4, 5);		/* pending cannot be written */
	EXPECT_HW(0x74, 4, 0);

	/* On, by ioctl, with one vector: the user can turn it off and on. */
	f->msi = true;
	put(f, 0x62, 2, flags | PCI_MSI_FLAGS_ENABLE);
	user_write(test, 0x62, 2, 0);
	EXPECT_HW(0x62, 2, flags);
	user_write(test, 0x60, 4, (PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE) << 16);
	EXPECT_USER(0x62, 2, flags | PCI_MSI_FLAGS_ENABLE);
	EXPECT_HW(0x62, 2, flags | PCI_MSI_FLAGS_ENABLE);
}

static void msi_32(struct kunit *test)
{
	struct fake *f = test->priv;

	cap(f, 0x60, PCI_CAP_ID_MSI, 0);
	put(f, 0x62, 2, PCI_MSI_FLAGS_MASKBIT);
	memset(f->rw + 0x64, 0xff, 0x14);
	start(test);

	user_write(test, 0x68, 4, 0xffff4321);
	EXPECT_USER(0x68, 4, 0x4321);
	KUNIT_EXPECT_EQ(test, f->writes, 0);
	user_write(test, 0x6c, 4, 5);
	EXPECT_HW(0x6c, 4, 5);
}

static void express(struct kunit *test)
{
	struct fake *f = test->priv;

	cap(f, 0xa0, PCI_CAP_ID_EXP, 0);
	put(f, 0xa2, 2, 2);
	put(f, 0xa8, 2, PCI_EXP_DEVCTL_PAYLOAD_256B | PCI_EXP_DEVCTL_READRQ_512B);
	put(f, 0xaa, 2, PCI_EXP_DEVSTA_CED);
	memset(f->rw + 0xa8, 0xff, 2);
	f->w1c[0xaa] = 0xf;
	memset(f->rw + 0xc8, 0xff, 2);
	f->pdev.pcie_cap = 0xa0;
	f->pdev.pcie_flags_reg = 2;
	start(test);

	/* Without FLR capability, the bit does nothing. It always reads as 0. */
	user_write(test, 0xa8, 2, PCI_EXP_DEVCTL_BCR_FLR | PCI_EXP_DEVCTL_READRQ_512B);
	KUNIT_EXPECT_EQ(test, f->resets, 0);
	EXPECT_USER(0xa8, 2, PCI_EXP_DEVCTL_READRQ_512B);
	put(f, 0xa4, 4, PCI_EXP_DEVCAP_FLR);
	user_write(test, 0xa9, 1, PCI_EXP_DEVCTL_READRQ_512B >> 8);
	KUNIT_EXPECT_EQ(test, f->resets, 0);
	user_write(test, 0xa8, 4, PCI_EXP_DEVCTL_BCR_FLR | PCI_EXP_DEVCTL_READRQ_512B);
	KUNIT_EXPECT_EQ(test, f->resets, 1);
	EXPECT_USER(0xa8, 2, PCI_EXP_DEVCTL_READRQ_512B);
	EXPECT_HW(0xa8, 2, PCI_EXP_DEVCTL_PAYLOAD_256B | PCI_EXP_DEVCTL_READRQ_512B);

	/* The payload size stays in the shadow. Read requests are not smaller than the host's. */
	user_write(test, 0xa8, 2, PCI_EXP_DEVCTL_PAYLOAD_512B | PCI_EXP_DEVCTL_READRQ_128B |
				  PCI_EXP_DEVCTL_RELAX_EN | PCI_EXP_DEVCTL_PHANTOM);
	EXPECT_USER(0xa8, 2, PCI_EXP_DEVCTL_PAYLOAD_512B | PCI_EXP_DEVCTL_READRQ_128B |
				   PCI_EXP_DEVCTL_RELAX_EN);
	EXPECT_HW(0xa8, 2, PCI_EXP_DEVCTL_PAYLOAD_256B | PCI_EXP_DEVCTL_READRQ_256B |
				 PCI_EXP_DEVCTL_RELAX_EN);
	user_write(test, 0xa8, 2, PCI_EXP_DEVCTL_READRQ_4096B);
	EXPECT_HW(0xa8, 2, PCI_EXP_DEVCTL_PAYLOAD_256B | PCI_EXP_DEVCTL_READRQ_4096B);
	user_write(test, 0xa8, 2, PCI_EXP_DEVCTL_READRQ);	/* reserved */
	EXPECT_HW(0xa8, 2, PCI_EXP_DEVCTL_PAYLOAD_256B | PCI_EXP_DEVCTL_READRQ_4096B);

	EXPECT_HW(0xaa, 2, PCI_EXP_DEVSTA_CED);
	user_write(test, 0xc8, 2, 0xffff);
	EXPECT_HW(0xc8, 2, 0xffff & ~PCI_EXP_DEVCTL2_ARI);
}

/* Version 1 has no device control 2; in its place is a hole. */
static void express_short(struct kunit *test)
{
	struct fake *f = test->priv;

	cap(f, 0xa0, PCI_CAP_ID_EXP, 0);
	put(f, 0xa2, 2, 1);
	start(test);

	KUNIT_EXPECT_EQ(test, f->vpd.config.write[0xb3], 0);
	KUNIT_EXPECT_NULL(test, memchr_inv(f->vpd.config.write + 0xb4, 0xff, 0x4c));
	KUNIT_EXPECT_NULL(test, memchr_inv(f->vpd.config.virt + 0xb4, 0, 0x4c));
}

static void advanced_features(struct kunit *test)
{
	struct fake *f = test->priv;

	cap(f, 0x40, PCI_CAP_ID_AF, 0);
	put(f, 0x42, 2, 6 | PCI_AF_CAP_FLR << 8);
	f->rw[0x44] = 0xff;
	start(test);

	user_write(test, 0x44, 1, PCI_AF_CTRL_FLR);
	KUNIT_EXPECT_EQ(test, f->resets, 0);
	f->space[0x43] |= PCI_AF_CAP_TP;
	user_write(test, 0x44, 1, PCI_AF_CTRL_FLR);
	KUNIT_EXPECT_EQ(test, f->resets, 1);
	EXPECT_USER(0x44, 1, 0);
	EXPECT_HW(0x44, 1, 0);
}

static void vital_product_data(struct kunit *test)
{
	struct fake *f = test->priv;

	cap(f, 0x50, PCI_CAP_ID_VPD, 0);
	memset(f->rw + 0x52, 0xff, 6);
	f->vpd_word = 0x44434241;
	f->pdev.vpd.cap = 0x50;
	f->pdev.vpd.len = 16;
	start(test);

	user_write(test, 0x52, 2, 8);
	EXPECT_USER(0x52, 2, 8 | PCI_VPD_ADDR_F);
	EXPECT_USER(0x54, 4, 0x44434241);

	user_write(test, 0x54, 4, 0x31323334);
	KUNIT_EXPECT_EQ(test, f->vpd_word, 0x44434241);
	user_write(test, 0x52, 2, 8 | PCI_VPD_ADDR_F);
	EXPECT_USER(0x52, 2, 8);
	KUNIT_EXPECT_EQ(test, f->vpd_word, 0x31323334);

	/* Writing only the lower byte is not a request, and a failed one is not answered. */
	user_write(test, 0x52, 1, 12);
	EXPECT_USER(0x52, 2, 12);
	user_write(test, 0x52, 2, 16 | PCI_VPD_ADDR_F);
	EXPECT_USER(0x52, 2, 16 | PCI_VPD_ADDR_F);
}

static void advanced_errors(struct kunit *test)
{
	struct fake *f = test->priv;

	ext_cap(f, 0x100, PCI_EXT_CAP_ID_ERR, 0);
	memset(f->w1c + 0x104, 0xff, 4);
	memset(f->rw + 0x108, 0xff, 8);
	memset(f->w1c + 0x110, 0xff, 4);
	put(f, 0x104, 4, AER_UNC);
	put(f, 0x110, 4, AER_COR);
	start(test);

	user_write(test, 0x104, 4, 0x80100000);
	EXPECT_HW(0x104, 4, AER_UNC & ~0x80100000);
	user_write(test, 0x110, 4, 0x2000);
	EXPECT_HW(0x110, 4, AER_COR & ~0x2000);
	user_write(test, 0x108, 4, ~0);
	EXPECT_HW(0x108, 4, AER_UNC);
}

/* More effects than there is room for: only the first of each kind is used. */
static void too_many(struct kunit *test)
{
	struct fake *f = test->priv;
	unsigned int pos;

	for (pos = 0x40; pos < 0xf8; pos += 8)
		cap(f, pos, PCI_CAP_ID_PM, pos + 8);
	cap(f, 0xf8, PCI_CAP_ID_MSI, 0);
	start(test);

	KUNIT_EXPECT_EQ(test, f->vpd.config.nr_effects, VFIO_PCI_CONFIG_EFFECTS);
	user_write(test, 0xf4, 1, 3);
	KUNIT_EXPECT_EQ(test, f->power, 0);
}

static struct kunit_case config_cases[] = {
	KUNIT_CASE(all_ids_known),
	KUNIT_CASE(lengths),
	KUNIT_CASE(list),
	KUNIT_CASE(list_all_hidden),
	KUNIT_CASE(list_absent),
	KUNIT_CASE(list_loops),
	KUNIT_CASE(list_into_header),
	KUNIT_CASE(list_past_the_end),
	KUNIT_CASE(list_conventional),
	KUNIT_CASE(list_garbage),
	KUNIT_CASE(ext_list),
	KUNIT_CASE(ext_list_all_hidden),
	KUNIT_CASE(widths),
	KUNIT_CASE(write_widths),
	KUNIT_CASE(bounds),
	KUNIT_CASE(bars),
	KUNIT_CASE(rom_of_the_host),
	KUNIT_CASE(header),
	KUNIT_CASE(no_intx),
	KUNIT_CASE(broken_intx_device),
	KUNIT_CASE(virtual_function),
	KUNIT_CASE(command),
	KUNIT_CASE(backdoor_reset),
	KUNIT_CASE(power),
	KUNIT_CASE(msi),
	KUNIT_CASE(msi_32),
	KUNIT_CASE(express),
	KUNIT_CASE(express_short),
	KUNIT_CASE(advanced_features),
	KUNIT_CASE(vital_product_data),
	KUNIT_CASE(advanced_errors),
	KUNIT_CASE(too_many),
	{}
};

static struct kunit_suite config_suite = {
	.name = "vfio-pci-config",
	.init = config_init,
	.exit = config_exit,
	.test_cases = config_cases,
};

kunit_test_suite(config_suite);
