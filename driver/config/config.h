/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Config space as the user sees it. Three planes of bytes over the function's real capability list,
 * and a few effects: tables.c says who owns each bit, access.c is the engine, effects.c has the
 * side effects of writes.
 */
#ifndef VFIO_PCI_CONFIG_H
#define VFIO_PCI_CONFIG_H

#include <linux/pci.h>

struct vfio_cmd;
struct vfio_pci_device;
struct vfio_pci_effect;

/* Command, PM, VPD, MSI, PCIe and AF: a function has at most one of each. */
#define VFIO_PCI_CONFIG_EFFECTS	6

/**
 * struct vfio_pci_laid_effect - an effect, at its position in this function
 * @pos: position of the register
 * @base: position of its capability
 * @effect: side effect of a write
 */
struct vfio_pci_laid_effect {
	u16 pos;
	u16 base;
	const struct vfio_pci_effect *effect;
};

/**
 * struct vfio_pci_config - the planes
 * @size: bytes, 256 or 4096
 * @value: the shadow: what the user last wrote, where they may write
 * @virt: 1 = this bit is read from and written to @value; 0 = to the hardware
 * @write: 1 = the user may change this bit
 * @bars: what the host has programmed into the BARs and, last, the expansion ROM's
 * @nr_effects: rows in @effects
 * @effects: registers whose writes have side effects, all of them in the first 256 bytes
 * @effect_dwords: bit per dword that contains such a register
 *
 * Reads take no lock. Writes, and all changes of the planes after open, hold hw_lock.
 */
struct vfio_pci_config {
	unsigned int size;
	u8 *value;
	u8 *virt;
	u8 *write;
	u32 bars[PCI_STD_NUM_BARS + 1];
	unsigned int nr_effects;
	struct vfio_pci_laid_effect effects[VFIO_PCI_CONFIG_EFFECTS];
	u64 effect_dwords;
};

/* access.c */
int vfio_pci_config_open(struct vfio_pci_device *vpd);
void vfio_pci_config_close(struct vfio_pci_device *vpd);
u16 vfio_pci_config_command(const struct vfio_pci_device *vpd);
u8 vfio_pci_config_intx_pin(const struct vfio_pci_device *vpd);
int vfio_pci_config_bus_master(struct vfio_cmd *cmd);

/* effects.c */
void vfio_pci_config_after_reset(struct vfio_pci_device *vpd);

#endif
