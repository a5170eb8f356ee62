// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a guest's driver for Intel's integrated graphics looks for outside the function: the
 * OpRegion, and IDs in config space of the host bridge and of the LPC bridge. Each is a read-only
 * region.
 */
#include <linux/cleanup.h>
#include <linux/io.h>
#include <linux/slab.h>
#include <linux/unaligned.h>

#include "region/igd.h"
#include "vfio_pci.h"

#define IGD_TYPE	(VFIO_REGION_TYPE_PCI_VENDOR_TYPE | PCI_VENDOR_ID_INTEL)

/**
 * struct igd_opregion - the OpRegion, mapped
 * @base: the OpRegion itself, which the firmware continues to write to
 * @vbt: the VBT, or NULL
 * @layout: what it consists of
 */
struct igd_opregion {
	void *base;
	void *vbt;
	struct igd_layout layout;
};

static int igd_info(struct vfio_pci_device *vpd, unsigned int index,
		    struct vfio_region_info *info, struct vfio_caps *caps)
{
	struct vfio_pci_extra *extra = vfio_pci_extra(vpd, index);
	struct vfio_region_info_cap_type *cap;

	cap = vfio_caps_add(caps, VFIO_REGION_INFO_CAP_TYPE, 1, sizeof(*cap));
	if (!cap)
		return -ENOSPC;
	cap->type = extra->type;
	cap->subtype = extra->subtype;
	info->size = extra->size;
	info->flags = VFIO_REGION_INFO_FLAG_READ;
	return 0;
}

static ssize_t igd_opregion_read(struct vfio_pci_device *vpd, unsigned int index,
				 const struct vfio_io *io, u64 off)
{
	struct vfio_pci_extra *extra = vfio_pci_extra(vpd, index);
	struct igd_opregion *op = extra->data;
	size_t len;

	if (off >= extra->size)
		return -EINVAL;
	len = min_t(u64, io->len, extra->size - off);
	igd_copy(io->buf, off, len, op->base, op->vbt, &op->layout);
	return len;
}

static const struct vfio_pci_region_ops igd_opregion_ops = {
	.info = igd_info,
	.read = igd_opregion_read,
};

static void igd_opregion_release(void *data)
{
	struct igd_opregion *op = data;

	if (op->vbt)
		memunmap(op->vbt);
	if (op->base)
		memunmap(op->base);
	kfree(op);
}

static int igd_opregion_map(struct igd_opregion *op, u32 addr)
{
	int ret;

	op->base = memremap(addr, IGD_OPREGION_SIZE, MEMREMAP_WB);
	if (!op->base)
		return -ENOMEM;
	ret = igd_parse(op->base, addr, &op->layout);
	if (ret || !op->layout.vbt_size)
		return ret;
	op->vbt = memremap(op->layout.vbt, op->layout.vbt_size, MEMREMAP_WB);
	return op->vbt ? 0 : -ENOMEM;
}

static int igd_add_opregion(struct vfio_pci_device *vpd, u32 addr)
{
	struct igd_opregion *op;
	int ret;

	op = kzalloc_obj(*op, GFP_KERNEL_ACCOUNT);
	if (!op)
		return -ENOMEM;
	ret = igd_opregion_map(op, addr);
	if (!ret)
		ret = vfio_pci_extra_add(vpd, &(struct vfio_pci_extra){
			.ops = &igd_opregion_ops,
			.type = IGD_TYPE,
			.subtype = VFIO_REGION_SUBTYPE_INTEL_IGD_OPREGION,
			.size = IGD_OPREGION_SIZE + op->layout.vbt_size,
			.data = op,
			.release = igd_opregion_release,
		});
	if (ret)
		igd_opregion_release(op);
	return ret;
}

/* Uses the widest accesses that the alignment permits, so that no register is read in parts. */
static int igd_read_config(struct pci_dev *pdev, unsigned int pos, u8 *buf, size_t len)
{
	size_t n;
	u16 word;
	u32 dword;
	int ret;

	for (; len; pos += n, buf += n, len -= n) {
		if (!(pos & 3) && len >= 4) {
			n = 4;
			ret = pci_user_read_config_dword(pdev, pos, &dword);
			put_unaligned_le32(dword, buf);
		} else if (!(pos & 1) && len >= 2) {
			n = 2;
			ret = pci_user_read_config_word(pdev, pos, &word);
			put_unaligned_le16(word, buf);
		} else {
			n = 1;
			ret = pci_user_read_config_byte(pdev, pos, buf);
		}
		if (ret)
			return ret;
	}
	return 0;
}

static ssize_t igd_bridge_read(struct vfio_pci_device *vpd, unsigned int index,
			       const struct vfio_io *io, u64 off)
{
	struct vfio_pci_extra *extra = vfio_pci_extra(vpd, index);
	size_t len;

	if (off >= extra->size)
		return -EINVAL;
	len = min_t(u64, io->len, extra->size - off);
	return igd_read_config(extra->data, off, io->buf, len) ?: len;
}

static const struct vfio_pci_region_ops igd_bridge_ops = {
	.info = igd_info,
	.read = igd_bridge_read,
};

static void igd_bridge_release(void *data)
{
	pci_dev_put(data);
}

/* Without the bridge, as in some virtual machines, there is no region. */
static int igd_add_bridge(struct vfio_pci_device *vpd, unsigned int devfn, u16 class, u32 subtype)
{
	struct pci_dev *bridge;
	int ret;

	bridge = pci_get_domain_bus_and_slot(0, 0, devfn);
	if (!bridge)
		return 0;
	if (bridge->vendor != PCI_VENDOR_ID_INTEL || bridge->class >> 8 != class) {
		pci_dev_put(bridge);
		return 0;
	}
	ret = vfio_pci_extra_add(vpd, &(struct vfio_pci_extra){
		.ops = &igd_bridge_ops,
		.type = IGD_TYPE,
		.subtype = subtype,
		.size = bridge->cfg_size,
		.data = bridge,
		.release = igd_bridge_release,
	});
	if (ret)
		pci_dev_put(bridge);
	return ret;
}

/**
 * vfio_pci_igd_open - add the regions of Intel's graphics
 * @vpd: the device, being opened, its config space laid out. Even on failure, the caller must
 *	remove the regions with vfio_pci_extras_close().
 *
 * Return: 0, even if the function has no OpRegion, and thus no regions; -EINVAL when ASLS does not
 * point to a valid OpRegion; -ENOMEM
 */
int vfio_pci_igd_open(struct vfio_pci_device *vpd)
{
	u32 addr;
	int ret;

	if (!vfio_pci_is_igd(vpd->pdev))
		return 0;
	ret = pci_read_config_dword(vpd->pdev, IGD_ASLS, &addr);
	if (ret)
		return pcibios_err_to_errno(ret);
	if (!addr || addr == ~0U)
		return 0;
	return igd_add_opregion(vpd, addr) ?:
	       igd_add_bridge(vpd, PCI_DEVFN(0, 0), PCI_CLASS_BRIDGE_HOST,
			      VFIO_REGION_SUBTYPE_INTEL_IGD_HOST_CFG) ?:
	       igd_add_bridge(vpd, PCI_DEVFN(0x1f, 0), PCI_CLASS_BRIDGE_ISA,
			      VFIO_REGION_SUBTYPE_INTEL_IGD_LPC_CFG);
}
