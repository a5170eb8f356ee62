// SPDX-License-Identifier: GPL-2.0-only
/*
 * The config space engine: lays the tables over the function's capability lists at open, and
 * handles reads and writes.
 */
#include <linux/bitmap.h>
#include <linux/cleanup.h>
#include <linux/irq.h>
#include <linux/slab.h>
#include <linux/unaligned.h>

#include "region/igd.h"
#include "tables.h"
#include "vfio_pci.h"

/* All bits of @n bytes; in this file, @n is 1, 2 or 4. */
#define BYTES_MASK(n)	((u32)(~0U >> (32 - 8 * (n))))

/*
 * Readers wait while the PCI core blocks config access for a reset. Writers must not: they exclude
 * resets by core_lock, and the PCI core blocks access before it waits for that lock.
 */
static __always_inline int hw_read(struct pci_dev *pdev, unsigned int pos, unsigned int n, u32 *val)
{
	u16 word;
	u8 byte;
	int ret;

	switch (n) {
	case 4:
		return pci_user_read_config_dword(pdev, pos, val);
	case 2:
		ret = pci_user_read_config_word(pdev, pos, &word);
		*val = word;
		return ret;
	default:
		ret = pci_user_read_config_byte(pdev, pos, &byte);
		*val = byte;
		return ret;
	}
}

/* Write the bits of @mask, in one access. The other bits can only be read and written back. */
static int hw_write_once(struct pci_dev *pdev, unsigned int pos, unsigned int n, u32 val, u32 mask)
{
	u32 dword = 0;
	u16 word = 0;
	u8 byte = 0;

	switch (n) {
	case 4:
		if (mask != BYTES_MASK(4))
			pci_read_config_dword(pdev, pos, &dword);
		return pci_write_config_dword(pdev, pos, (dword & ~mask) | (val & mask));
	case 2:
		if (mask != BYTES_MASK(2))
			pci_read_config_word(pdev, pos, &word);
		return pci_write_config_word(pdev, pos, (word & ~mask) | (val & mask));
	default:
		if (mask != BYTES_MASK(1))
			pci_read_config_byte(pdev, pos, &byte);
		return pci_write_config_byte(pdev, pos, (byte & ~mask) | (val & mask));
	}
}

/*
 * Bytes without a bit in @mask are not written at all: writing back their current value may have an
 * effect (RW1C).
 */
static int hw_write(struct pci_dev *pdev, unsigned int pos, unsigned int n, u32 val, u32 mask)
{
	unsigned int i;
	int ret;

	for (i = 0; i < n; i++) {
		if (!(mask >> 8 * i & 0xff))
			break;
	}
	if (i == n)
		return hw_write_once(pdev, pos, n, val, mask);

	n /= 2;
	if (mask & BYTES_MASK(n)) {
		ret = hw_write(pdev, pos, n, val & BYTES_MASK(n), mask & BYTES_MASK(n));
		if (ret)
			return ret;
	}
	mask >>= 8 * n;
	return mask ? hw_write(pdev, pos + n, n, val >> 8 * n, mask) : 0;
}

/* The widest access at @pos that is aligned and not longer than @left */
static __always_inline unsigned int width_at(unsigned int pos, unsigned int left)
{
	if (!(pos & 3) && left >= 4)
		return 4;
	return !(pos & 1) && left >= 2 ? 2 : 1;
}

static __always_inline int read_one(struct vfio_pci_device *vpd, unsigned int pos, unsigned int n,
				    void *buf)
{
	const struct vfio_pci_config *cfg = &vpd->config;
	u32 virt = plane_get(cfg->virt, pos, n), val = 0;
	int ret = 0;

	if (virt != BYTES_MASK(n)) {
		ret = hw_read(vpd->pdev, pos, n, &val);
		/* Another thread suspended it after we entered the gate, so @val may be invalid. */
		if (unlikely(READ_ONCE(vpd->power.suspended)))
			return -EIO;
	}
	if (virt)
		val = (plane_get(cfg->value, pos, n) & virt) | (val & ~virt);

	switch (n) {
	case 4:
		put_unaligned_le32(val, buf);
		break;
	case 2:
		put_unaligned_le16(val, buf);
		break;
	default:
		*(u8 *)buf = val;
	}
	return ret;
}

static bool out_of_bounds(const struct vfio_pci_device *vpd, const struct vfio_io *io, u64 off)
{
	return off >= vpd->config.size || io->left > vpd->config.size - off;
}

static ssize_t config_read(struct vfio_pci_device *vpd, unsigned int index,
			   const struct vfio_io *io, u64 off)
{
	unsigned int pos = off, end = pos + io->len, n;
	void *buf = io->buf;
	int ret;

	if (out_of_bounds(vpd, io, off))
		return -EFAULT;

	for (; pos < end; pos += n, buf += n) {
		n = width_at(pos, end - pos);
		if (n == 4)
			ret = read_one(vpd, pos, 4, buf);
		else if (n == 2)
			ret = read_one(vpd, pos, 2, buf);
		else
			ret = read_one(vpd, pos, 1, buf);
		if (ret)
			return ret;
	}
	return io->len;
}

/* The effect of writing @n bytes at @pos, which are in one dword; NULL for none */
static const struct vfio_pci_laid_effect *
effect_of(const struct vfio_pci_config *cfg, unsigned int pos, unsigned int n)
{
	const struct vfio_pci_laid_effect *laid;

	if (pos >= PCI_CFG_SPACE_SIZE || !(cfg->effect_dwords & BIT_ULL(pos / 4)))
		return NULL;
	for (laid = cfg->effects; laid < cfg->effects + cfg->nr_effects; laid++) {
		if (laid->pos < pos + n && pos < laid->pos + laid->effect->width)
			return laid;
	}
	return NULL;
}

static int write_plain(struct vfio_pci_device *vpd, unsigned int pos, unsigned int n, u32 val)
{
	struct vfio_pci_config *cfg = &vpd->config;
	u32 write = plane_get(cfg->write, pos, n);
	u32 value = plane_get(cfg->value, pos, n);

	plane_put(cfg->value, pos, n, (value & ~write) | (val & write));
	write &= ~plane_get(cfg->virt, pos, n);
	return write ? hw_write(vpd->pdev, pos, n, val, write) : 0;
}

static noinline int write_effect(struct vfio_pci_device *vpd, unsigned int pos, unsigned int n,
				 u32 val, const struct vfio_pci_laid_effect *laid)
{
	const struct vfio_pci_effect *effect = laid->effect;
	u32 old, new, shift = 8 * (pos & 3);
	int ret;

	scoped_guard(vfio_pci_user, vpd) {
		/* Another thread suspended it after we entered the gate. */
		if (unlikely(vpd->power.suspended))
			return PCIBIOS_SET_FAILED;
		old = plane_get(vpd->config.value, pos & ~3, 4);
		new = (old & ~(BYTES_MASK(n) << shift)) | val << shift;
		old >>= 8 * (laid->pos & 3);
		new >>= 8 * (laid->pos & 3);

		if (effect->before)
			effect->before(vpd, laid->base, old, new);
		ret = write_plain(vpd, pos, n, val);
		/* Even if the write failed, to end what @before began. */
		if (effect->after)
			effect->after(vpd, laid->base, old, new);
	}
	if (effect->late)
		effect->late(vpd, laid->base);
	return ret;
}

static int write_one(struct vfio_pci_device *vpd, unsigned int pos, unsigned int n, u32 val)
{
	const struct vfio_pci_laid_effect *laid = effect_of(&vpd->config, pos, n);
	int ret;

	if (laid) {
		ret = write_effect(vpd, pos, n, val, laid);
	} else {
		vfio_pci_lock_hw(vpd);
		ret = unlikely(vpd->power.suspended) ? PCIBIOS_SET_FAILED :
						 write_plain(vpd, pos, n, val);
		mutex_unlock(&vpd->hw_lock);
	}
	return ret ? pcibios_err_to_errno(ret) : 0;
}

static ssize_t config_write(struct vfio_pci_device *vpd, unsigned int index,
			    const struct vfio_io *io, u64 off)
{
	unsigned int pos = off, end = pos + io->len, n;
	const void *buf = io->buf;
	int ret;

	if (out_of_bounds(vpd, io, off))
		return -EFAULT;

	for (; pos < end; pos += n, buf += n) {
		n = width_at(pos, end - pos);
		if (n == 4)
			ret = write_one(vpd, pos, 4, get_unaligned_le32(buf));
		else if (n == 2)
			ret = write_one(vpd, pos, 2, get_unaligned_le16(buf));
		else
			ret = write_one(vpd, pos, 1, *(const u8 *)buf);
		if (ret)
			return ret;
	}
	return io->len;
}

static int config_info(struct vfio_pci_device *vpd, unsigned int index,
		       struct vfio_region_info *info, struct vfio_caps *caps)
{
	info->size = vpd->config.size;
	info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	return 0;
}

const struct vfio_pci_region_ops vfio_pci_config_ops = {
	.info = config_info,
	.read = config_read,
	.write = config_write,
};

static void lay_effect(struct vfio_pci_config *cfg, unsigned int base,
		       const struct vfio_pci_effect *effect)
{
	unsigned int pos = base + effect->off;

	/*
	 * No dword has two effects, and there is room for all of them, except in broken hardware
	 * where capabilities overlap or occur twice. Drop the excess ones.
	 */
	if (cfg->nr_effects == ARRAY_SIZE(cfg->effects) || effect_of(cfg, pos & ~3, 4))
		return;
	cfg->effects[cfg->nr_effects++] = (struct vfio_pci_laid_effect){ pos, base, effect };
	cfg->effect_dwords |= BIT_ULL(pos / 4);
}

/* Lay a row of the tables over @len bytes from @base, which is a multiple of 4. */
static void lay(struct vfio_pci_device *vpd, unsigned int base, unsigned int len,
		const struct vfio_pci_cap *cap)
{
	struct vfio_pci_config *cfg = &vpd->config;
	const struct vfio_pci_field *field;
	unsigned int pos, i;
	u32 hw;

	memset(cfg->virt + base, 0, len);
	memset(cfg->write + base, cap->raw ? 0xff : 0, len);

	for (field = cap->fields; field && field->width; field++) {
		for (i = 0; i < field->width && field->off + i < len; i++) {
			pos = base + field->off + i;
			cfg->virt[pos] = field->virt >> 8 * i;
			cfg->write[pos] = field->write >> 8 * i;
		}
	}

	/* ID and pointer live in the shadow, so that hidden capabilities can be skipped. */
	if (base) {
		i = base < PCI_CFG_SPACE_SIZE ? PCI_CAP_FLAGS : PCI_CAP_SIZEOF;
		memset(cfg->virt + base, 0xff, i);
		memset(cfg->write + base, 0, i);
	}

	for (pos = base; pos < base + len; pos += 4) {
		if (!plane_get(cfg->virt, pos, 4))
			continue;
		pci_read_config_dword(vpd->pdev, pos, &hw);
		plane_put(cfg->value, pos, 4, hw);
	}

	for (field = cap->fields; field && field->width; field++) {
		for (i = 0; i < field->width && field->off + i < len; i++)
			cfg->value[base + field->off + i] &= ~(field->zero >> 8 * i);
	}

	if (cap->effect && cap->effect->off + cap->effect->width <= len)
		lay_effect(cfg, base, cap->effect);
}

/* Lay @cap, if not NULL, from @base, but not beyond @end. Returns whether the user sees it. */
static bool lay_cap(struct vfio_pci_device *vpd, unsigned int base, unsigned int end,
		    const struct vfio_pci_cap *cap)
{
	unsigned int len;

	if (!cap)
		return false;

	len = cap->length ? cap->length(vpd->pdev, base) : cap->len;
	if (!len)
		return false;

	lay(vpd, base, clamp(len, PCI_CAP_SIZEOF, end - base), cap);
	return cap->kind == VFIO_PCI_CAP_SHOWN;
}

/* PCIe r6.2 7.5.1.1.11. Builds a new list of the capabilities that are shown. */
static void lay_caps(struct vfio_pci_device *vpd)
{
	struct vfio_pci_config *cfg = &vpd->config;
	unsigned int pos = cfg->value[PCI_CAPABILITY_LIST] & ~3;
	u8 *next = &cfg->value[PCI_CAPABILITY_LIST];
	DECLARE_BITMAP(seen, PCI_CFG_SPACE_SIZE / 4) = {};
	bool any = false;
	u32 header;

	if (!(cfg->value[PCI_STATUS] & PCI_STATUS_CAP_LIST))
		return;

	while (pos >= PCI_STD_HEADER_SIZEOF && !__test_and_set_bit(pos / 4, seen)) {
		pci_read_config_dword(vpd->pdev, pos, &header);
		if (lay_cap(vpd, pos, PCI_CFG_SPACE_SIZE, vfio_pci_config_cap(header))) {
			*next = pos;
			next = &cfg->value[pos + PCI_CAP_LIST_NEXT];
			any = true;
		}
		pos = header >> 8 & 0xfc;
	}

	*next = 0;
	if (!any)
		cfg->value[PCI_STATUS] &= ~PCI_STATUS_CAP_LIST;
}

/* PCIe r6.2 7.6.3. The first one cannot be skipped: a null capability replaces it if hidden. */
static void lay_ext_caps(struct vfio_pci_device *vpd)
{
	static const struct vfio_pci_cap null_cap = { .kind = VFIO_PCI_CAP_HIDDEN };
	struct vfio_pci_config *cfg = &vpd->config;
	unsigned int pos = PCI_CFG_SPACE_SIZE, prev = PCI_CFG_SPACE_SIZE;
	DECLARE_BITMAP(seen, PCI_CFG_SPACE_EXP_SIZE / 4) = {};
	u32 header;

	if (cfg->size <= pos)
		return;

	pci_read_config_dword(vpd->pdev, pos, &header);
	if (!header)
		return;

	while (pos >= PCI_CFG_SPACE_SIZE && !__test_and_set_bit(pos / 4, seen)) {
		pci_read_config_dword(vpd->pdev, pos, &header);
		if (lay_cap(vpd, pos, cfg->size, vfio_pci_config_ext_cap(header))) {
			if (pos != prev)
				plane_put(cfg->value, prev, 4,
					  plane_get(cfg->value, prev, 4) | pos << 20);
			plane_put(cfg->value, pos, 4, header & ~(0xfffU << 20));
			prev = pos;
		} else if (pos == PCI_CFG_SPACE_SIZE) {
			lay(vpd, pos, PCI_CAP_SIZEOF, &null_cap);
			plane_put(cfg->value, pos, 4, 0);
		}
		pos = PCI_EXT_CAP_NEXT(header);
	}
}

static void lay_bar(struct vfio_pci_config *cfg, unsigned int i, u32 mask, u32 flags)
{
	unsigned int pos = vfio_pci_bar_pos(i);

	plane_put(cfg->virt, pos, 4, ~0U);
	plane_put(cfg->write, pos, 4, mask);
	plane_put(cfg->value, pos, 4, (cfg->bars[i] & mask) | flags);
}

/*
 * PCIe r6.2 7.5.1.2.1. Sizing needs no code, as address bits below the size cannot be written.
 * Initially, the user reads the host's addresses. A BAR that the host has not assigned, or that a
 * variant hides, does not exist.
 */
static void lay_bars(struct vfio_pci_device *vpd)
{
	struct vfio_pci_config *cfg = &vpd->config;
	struct pci_dev *pdev = vpd->pdev;
	unsigned long flags;
	unsigned int i;
	u64 mask = 0;

	for (i = 0; i < ARRAY_SIZE(cfg->bars); i++) {
		pci_read_config_dword(pdev, vfio_pci_bar_pos(i), &cfg->bars[i]);
		lay_bar(cfg, i, 0, 0);
	}

	for (i = 0; i < PCI_STD_NUM_BARS; i++) {
		if (!pci_resource_start(pdev, i) || vpd->regions[i] == &vfio_pci_hidden_ops)
			continue;

		mask = ~(pci_resource_len(pdev, i) - 1);
		flags = pci_resource_flags(pdev, i);
		if (flags & IORESOURCE_IO) {
			lay_bar(cfg, i, mask & PCI_BASE_ADDRESS_IO_MASK, PCI_BASE_ADDRESS_SPACE_IO);
			continue;
		}
		lay_bar(cfg, i, mask & PCI_BASE_ADDRESS_MEM_MASK,
			(flags & IORESOURCE_PREFETCH ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0) |
			(flags & IORESOURCE_MEM_64 ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0));
		if (flags & IORESOURCE_MEM_64 && i + 1 < PCI_STD_NUM_BARS)
			lay_bar(cfg, ++i, mask >> 32, 0);
	}

	/* A shadow copy of the ROM has a BAR, too, which does not exist in hardware. */
	if (pci_resource_start(pdev, PCI_ROM_RESOURCE))
		mask = ~(pci_resource_len(pdev, PCI_ROM_RESOURCE) - 1);
	else if (pdev->rom && pdev->romlen)
		mask = ~(roundup_pow_of_two(pdev->romlen) - 1);
	else
		return;
	lay_bar(cfg, PCI_STD_NUM_BARS, mask | PCI_ROM_ADDRESS_ENABLE, 0);
}

/*
 * Intel 700 series and X550: INTx disable does not work, so INTx is unusable, unless it is masked
 * at the host's interrupt controller.
 */
static const struct pci_device_id broken_intx[] = {
	{ PCI_VDEVICE(INTEL, 0x1563) },
	{ PCI_VDEVICE(INTEL, 0x1572) },
	{ PCI_VDEVICE(INTEL, 0x1574) },
	{ PCI_VDEVICE(INTEL, 0x1580) },
	{ PCI_VDEVICE(INTEL, 0x1581) },
	{ PCI_VDEVICE(INTEL, 0x1583) },
	{ PCI_VDEVICE(INTEL, 0x1584) },
	{ PCI_VDEVICE(INTEL, 0x1585) },
	{ PCI_VDEVICE(INTEL, 0x1586) },
	{ PCI_VDEVICE(INTEL, 0x1587) },
	{ PCI_VDEVICE(INTEL, 0x1588) },
	{ PCI_VDEVICE(INTEL, 0x1589) },
	{ PCI_VDEVICE(INTEL, 0x158a) },
	{ PCI_VDEVICE(INTEL, 0x158b) },
	{ PCI_VDEVICE(INTEL, 0x37d0) },
	{ PCI_VDEVICE(INTEL, 0x37d1) },
	{ PCI_VDEVICE(INTEL, 0x37d2) },
	{}
};

/* Parts of the header that differ from the hardware */
static void lay_header(struct vfio_pci_device *vpd)
{
	struct vfio_pci_config *cfg = &vpd->config;
	struct pci_dev *pdev = vpd->pdev;

	lay(vpd, 0, PCI_STD_HEADER_SIZEOF, &vfio_pci_config_header);
	lay_bars(vpd);

	/* VFs do not have these IDs (PCIe r6.2 9.3.4.1.1), nor INTx (9.3.4.1.14). */
	if (pdev->is_virtfn) {
		plane_put(cfg->value, PCI_VENDOR_ID, 2, pdev->vendor);
		plane_put(cfg->value, PCI_DEVICE_ID, 2, pdev->device);
		cfg->value[PCI_INTERRUPT_PIN] = 0;
	} else if (!pdev->irq || pdev->irq == IRQ_NOTCONNECTED ||
		   (!vpd->irq.intx.nomask && pci_match_id(broken_intx, pdev))) {
		cfg->value[PCI_INTERRUPT_PIN] = 0;
	}

	/* If the function has no bit for memory decode, it is on until the user clears it. */
	if (pdev->no_command_memory) {
		cfg->virt[PCI_COMMAND] |= PCI_COMMAND_MEMORY;
		cfg->value[PCI_COMMAND] |= PCI_COMMAND_MEMORY;
	}
}

/*
 * ASLS holds the address of the OpRegion of Intel graphics. The host trusts the hardware register,
 * so the user writes to the shadow.
 */
static void lay_asls(struct vfio_pci_device *vpd)
{
	struct vfio_pci_config *cfg = &vpd->config;
	u32 asls;

	if (!vfio_pci_is_igd(vpd->pdev))
		return;
	pci_read_config_dword(vpd->pdev, IGD_ASLS, &asls);
	plane_put(cfg->value, IGD_ASLS, 4, asls);
	plane_put(cfg->virt, IGD_ASLS, 4, ~0U);
	plane_put(cfg->write, IGD_ASLS, 4, ~0U);
}

/**
 * vfio_pci_config_open - lay the planes
 * @vpd: the device, reset, enabled, in D0, no bus master
 *
 * Context: may sleep; nobody else has access.
 * Return: 0, -ENOMEM, or the error of a function that does not answer
 */
int vfio_pci_config_open(struct vfio_pci_device *vpd)
{
	struct vfio_pci_config *cfg = &vpd->config;
	u32 id;
	int ret;

	ret = pci_read_config_dword(vpd->pdev, PCI_VENDOR_ID, &id);
	if (ret)
		return pcibios_err_to_errno(ret);

	cfg->size = vpd->pdev->cfg_size;
	cfg->value = kvcalloc(3, cfg->size, GFP_KERNEL_ACCOUNT);
	if (!cfg->value)
		return -ENOMEM;
	cfg->virt = cfg->value + cfg->size;
	cfg->write = cfg->virt + cfg->size;
	cfg->nr_effects = 0;
	cfg->effect_dwords = 0;

	/* Initially, everything is a hole. */
	memset(cfg->write, 0xff, cfg->size);
	lay_header(vpd);
	lay_caps(vpd);
	lay_ext_caps(vpd);
	lay_asls(vpd);
	return 0;
}

/**
 * vfio_pci_config_close - the mirror of vfio_pci_config_open()
 * @vpd: the device; nobody else has access
 */
void vfio_pci_config_close(struct vfio_pci_device *vpd)
{
	kvfree(vpd->config.value);
	vpd->config.value = NULL;
}

/**
 * vfio_pci_config_command - the command register, as the user last wrote it
 * @vpd: the device, open
 *
 * The hardware may differ, after a reset that we do not know of, or while the driver changes it. In
 * a function without a bit for memory decode, the bit is set unless the user has cleared it.
 */
u16 vfio_pci_config_command(const struct vfio_pci_device *vpd)
{
	return plane_get(vpd->config.value, PCI_COMMAND, 2);
}

/**
 * vfio_pci_config_bus_master - answer a SET of VFIO_DEVICE_FEATURE_BUS_MASTER
 * @cmd: struct vfio_device_feature_bus_master
 *
 * As if the user had written to the command register.
 *
 * Return: 0; -EINVAL for an operation that does not exist; the error of a function that does not
 * answer
 */
int vfio_pci_config_bus_master(struct vfio_cmd *cmd)
{
	const struct vfio_device_feature_bus_master *master = cmd->data;
	struct vfio_pci_device *vpd = to_vfio_pci(cmd->vdev);
	u8 command = vfio_pci_config_command(vpd) & ~PCI_COMMAND_MASTER;

	if (master->op > VFIO_DEVICE_FEATURE_SET_MASTER)
		return vfio_err(cmd->file, -EINVAL, "unknown bus master operation %u", master->op);
	if (master->op == VFIO_DEVICE_FEATURE_SET_MASTER)
		command |= PCI_COMMAND_MASTER;
	return write_one(vpd, PCI_COMMAND, 1, command);
}

/**
 * vfio_pci_config_intx_pin - the interrupt pin, as the user sees it
 * @vpd: the device, open
 *
 * Return: 1 to 4 for INTA to INTD; 0 for a function whose INTx is missing or unusable
 */
u8 vfio_pci_config_intx_pin(const struct vfio_pci_device *vpd)
{
	return vpd->config.value[PCI_INTERRUPT_PIN];
}
