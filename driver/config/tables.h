/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The format of the tables, and how the planes are read. Only for the files in this directory.
 */
#ifndef VFIO_PCI_CONFIG_TABLES_H
#define VFIO_PCI_CONFIG_TABLES_H

#include <linux/pci.h>

struct vfio_pci_device;

/* The last extended capability of PCIe r6.2, which is beyond those in the kernel's header. */
#define VFIO_PCI_EXT_CAP_MAX	0x38

/**
 * struct vfio_pci_field - who owns the bits of a register
 * @off: offset of the register in its capability
 * @width: width of the register, in bytes
 * @virt: bits that live in the shadow
 * @write: bits that the user may change
 * @zero: bits of @virt that start as 0, whatever the hardware has
 */
struct vfio_pci_field {
	u8 off;
	u8 width;
	u32 virt;
	u32 write;
	u32 zero;
};

/**
 * struct vfio_pci_effect - side effect of a write to a register
 * @off: offset of the register in its capability
 * @width: width of the register, 1 or 2 bytes, all in one dword
 * @before: called with hw_lock held, before anything is written (optional)
 * @after: called with hw_lock held, after shadow and hardware have been written (optional)
 * @late: called last, without the lock (optional)
 *
 * @old is the shadow before the write, @new is the same with the user's bytes put in, including
 * bits that the user may not change.
 */
struct vfio_pci_effect {
	u8 off;
	u8 width;
	void (*before)(struct vfio_pci_device *vpd, unsigned int base, u16 old, u16 new);
	void (*after)(struct vfio_pci_device *vpd, unsigned int base, u16 old, u16 new);
	void (*late)(struct vfio_pci_device *vpd, unsigned int base);
};

/**
 * enum vfio_pci_cap_kind - does the user see a capability?
 * @VFIO_PCI_CAP_UNKNOWN: not in the tables: taken out of the user's list
 * @VFIO_PCI_CAP_HIDDEN: taken out of the user's list
 * @VFIO_PCI_CAP_SHOWN: yes
 *
 * A capability that is not in the user's list: if its length is known, its registers can be read
 * but not written; otherwise they are part of a hole, which belongs to the hardware.
 */
enum vfio_pci_cap_kind {
	VFIO_PCI_CAP_UNKNOWN,
	VFIO_PCI_CAP_HIDDEN,
	VFIO_PCI_CAP_SHOWN,
};

/**
 * struct vfio_pci_cap - a capability, or the header
 * @kind: does the user see it?
 * @raw: registers without a field can be written; if not set, they are read only
 * @len: bytes, 0 if not known
 * @length: finds the length of the capability at @pos, instead of @len (optional)
 * @fields: its registers; the last row has no width (optional)
 * @effect: the effect of its one register that has one (optional)
 */
struct vfio_pci_cap {
	u8 kind;
	bool raw;
	u16 len;
	unsigned int (*length)(struct pci_dev *pdev, unsigned int pos);
	const struct vfio_pci_field *fields;
	const struct vfio_pci_effect *effect;
};

/* Position of BAR @i; the index after the last BAR means the expansion ROM */
static inline unsigned int vfio_pci_bar_pos(unsigned int i)
{
	return i < PCI_STD_NUM_BARS ? PCI_BASE_ADDRESS_0 + 4 * i : PCI_ROM_ADDRESS;
}

/* tables.c */
extern const struct vfio_pci_cap vfio_pci_config_header;
const struct vfio_pci_cap *vfio_pci_config_cap(u32 header);
const struct vfio_pci_cap *vfio_pci_config_ext_cap(u32 header);

/* effects.c */
extern const struct vfio_pci_effect vfio_pci_effect_command;
extern const struct vfio_pci_effect vfio_pci_effect_pm;
extern const struct vfio_pci_effect vfio_pci_effect_vpd;
extern const struct vfio_pci_effect vfio_pci_effect_msi;
extern const struct vfio_pci_effect vfio_pci_effect_exp;
extern const struct vfio_pci_effect vfio_pci_effect_af;

/*
 * Planes are little-endian, like config space. @n is 1, 2 or 4, and @pos is a multiple of @n, so
 * each of these is a single access: readers take no lock.
 */
static __always_inline u32 plane_get(const u8 *plane, unsigned int pos, unsigned int n)
{
	if (n == 4)
		return le32_to_cpu(READ_ONCE(*(const __le32 *)(plane + pos)));
	if (n == 2)
		return le16_to_cpu(READ_ONCE(*(const __le16 *)(plane + pos)));
	return READ_ONCE(plane[pos]);
}

static __always_inline void plane_put(u8 *plane, unsigned int pos, unsigned int n, u32 val)
{
	if (n == 4)
		WRITE_ONCE(*(__le32 *)(plane + pos), cpu_to_le32(val));
	else if (n == 2)
		WRITE_ONCE(*(__le16 *)(plane + pos), cpu_to_le16(val));
	else
		WRITE_ONCE(plane[pos], val);
}

#endif
