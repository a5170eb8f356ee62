// SPDX-License-Identifier: GPL-2.0-only
/*
 * Side effects of writes to config space, before and after the write itself.
 */
#include <linux/bitfield.h>
#include <linux/cleanup.h>
#include <linux/irq.h>
#include <linux/msi.h>

#include "tables.h"
#include "vfio_pci.h"

/* Do the BARs in hardware differ from those assigned by the host? */
static bool bars_lost(struct vfio_pci_device *vpd)
{
	unsigned int i;
	u32 bar;

	for (i = 0; i < PCI_STD_NUM_BARS; i++) {
		if (!vpd->config.bars[i])
			continue;
		pci_read_config_dword(vpd->pdev, vfio_pci_bar_pos(i), &bar);
		if (bar != vpd->config.bars[i])
			return true;
	}
	return false;
}

/*
 * After a reset that bypassed the PCI core, by a device-specific register, the BARs are 0, and INTx
 * is enabled although nobody may handle it. Restore this before decode is turned on again.
 */
static void restore_lost(struct vfio_pci_device *vpd)
{
	unsigned int i;

	if (vpd->pdev->is_virtfn || !bars_lost(vpd))
		return;

	for (i = 0; i < ARRAY_SIZE(vpd->config.bars); i++)
		pci_write_config_dword(vpd->pdev, vfio_pci_bar_pos(i), vpd->config.bars[i]);
	pci_intx(vpd->pdev, 0);
}

/**
 * vfio_pci_config_after_reset - restore what the PCI core does not restore after a reset
 * @vpd: the device
 *
 * What the user sees does not change, since the PCI core has restored the hardware's configuration.
 *
 * Context: hw_lock held, takes the interrupt lock; the PCI core may still block config access
 */
void vfio_pci_config_after_reset(struct vfio_pci_device *vpd)
{
	lockdep_assert_held(&vpd->hw_lock);

	restore_lost(vpd);
	vfio_pci_intx_disable_changed(vpd);
}

/* Is memory decode about to be turned on or off? In a function without the bit, it is always on. */
static bool decode_changes(struct vfio_pci_device *vpd, u16 old, u16 new)
{
	return (old ^ new) & PCI_COMMAND_MEMORY && !vpd->pdev->no_command_memory;
}

static void command_before(struct vfio_pci_device *vpd, unsigned int base, u16 old, u16 new)
{
	u16 decode = new & (PCI_COMMAND_MEMORY | PCI_COMMAND_IO), hw;

	if (vpd->pdev->no_command_memory)
		decode &= ~PCI_COMMAND_MEMORY;

	/* The write is about to turn on what is off in hardware, even if the user sees it on. */
	pci_read_config_word(vpd->pdev, PCI_COMMAND, &hw);
	if (decode & ~hw)
		restore_lost(vpd);
	/* With interrupts off, nobody handles INTx. The write that follows keeps the bit. */
	if (!(hw & PCI_COMMAND_INTX_DISABLE) && !vfio_pci_irq_is_on(vpd))
		vfio_pci_intx_disable_changed(vpd);

	if (decode_changes(vpd, old, new) && !(new & PCI_COMMAND_MEMORY))
		vfio_pci_decode_block(vpd);
}

static void command_after(struct vfio_pci_device *vpd, unsigned int base, u16 old, u16 new)
{
	if (decode_changes(vpd, old, new))
		vfio_pci_decode_update(vpd);
	if (vfio_pci_irq_is_on(vpd) || (old ^ new) & PCI_COMMAND_INTX_DISABLE)
		vfio_pci_intx_disable_changed(vpd);
}

/* PCIe r6.2 7.5.1.1.3 */
const struct vfio_pci_effect vfio_pci_effect_command = {
	.off = PCI_COMMAND, .width = 2, .before = command_before, .after = command_after,
};

/* A state that the function does not support is ignored, as in hardware. */
static void pm_after(struct vfio_pci_device *vpd, unsigned int base, u16 old, u16 new)
{
	vfio_pci_set_power_state(vpd, (__force pci_power_t)(new & PCI_PM_CTRL_STATE_MASK));
}

/* PCIe r6.2 7.5.2.2 */
const struct vfio_pci_effect vfio_pci_effect_pm = {
	.off = PCI_PM_CTRL, .width = 1, .after = pm_after,
};

/*
 * The user sets the flag according to the direction, and waits until the hardware inverts it. After
 * an error, it stays as it is, and the user runs into their timeout. Data is a sequence of bytes on
 * both sides.
 *
 * Called without core_lock, since the PCI core waits here for resets, which wait for that lock.
 */
static void vpd_late(struct vfio_pci_device *vpd, unsigned int base)
{
	u8 *value = vpd->config.value;
	u16 addr = plane_get(value, base + PCI_VPD_ADDR, 2);
	__le32 data = cpu_to_le32(plane_get(value, base + PCI_VPD_DATA, 4));

	if (addr & PCI_VPD_ADDR_F) {
		if (pci_write_vpd(vpd->pdev, addr & PCI_VPD_ADDR_MASK, 4, &data) != 4)
			return;
	} else {
		data = 0;
		if (pci_read_vpd(vpd->pdev, addr, 4, &data) < 0)
			return;
	}

	guard(mutex)(&vpd->hw_lock);
	/* Another thread may have made another request in the meantime. */
	if (plane_get(value, base + PCI_VPD_ADDR, 2) != addr)
		return;
	plane_put(value, base + PCI_VPD_DATA, 4, le32_to_cpu(data));
	plane_put(value, base + PCI_VPD_ADDR, 2, addr ^ PCI_VPD_ADDR_F);
}

/* PCIe r6.2 7.9.18.2: the flag is in the upper byte */
const struct vfio_pci_effect vfio_pci_effect_vpd = {
	.off = PCI_VPD_ADDR + 1, .width = 1, .late = vpd_late,
};

/*
 * Vectors are allocated and freed by ioctl. While there are some, the user can turn MSI off and on,
 * and restrict the device to fewer vectors, but not let it use more than the PCI core has set up.
 */
static void msi_after(struct vfio_pci_device *vpd, unsigned int base, u16 old, u16 new)
{
	u8 *value = &vpd->config.value[base + PCI_MSI_FLAGS];
	u8 flags = *value, max = FIELD_GET(PCI_MSI_FLAGS_QMASK, flags);
	bool on = vfio_pci_irq_is_msi(vpd);
	struct msi_desc *desc;
	u16 hw;

	if (on) {
		desc = irq_get_msi_desc(vpd->pdev->irq);
		max = desc ? desc->pci.msi_attrib.multiple : 0;
	} else {
		flags &= ~PCI_MSI_FLAGS_ENABLE;
	}

	max = min(max, FIELD_GET(PCI_MSI_FLAGS_QSIZE, flags));
	flags &= ~PCI_MSI_FLAGS_QSIZE;
	flags |= FIELD_PREP(PCI_MSI_FLAGS_QSIZE, max);
	WRITE_ONCE(*value, flags);
	if (!on)
		return;

	pci_read_config_word(vpd->pdev, base + PCI_MSI_FLAGS, &hw);
	hw &= ~(PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
	hw |= flags & (PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
	pci_write_config_word(vpd->pdev, base + PCI_MSI_FLAGS, hw);
}

/* PCIe r6.2 7.7.1.2 */
const struct vfio_pci_effect vfio_pci_effect_msi = {
	.off = PCI_MSI_FLAGS, .width = 1, .after = msi_after,
};

static void exp_after(struct vfio_pci_device *vpd, unsigned int base, u16 old, u16 new)
{
	int readrq;
	u32 cap;

	if (new & PCI_EXP_DEVCTL_BCR_FLR) {
		pci_read_config_dword(vpd->pdev, base + PCI_EXP_DEVCAP, &cap);
		/* The PCI core chooses the reset method. */
		if (cap & PCI_EXP_DEVCAP_FLR)
			vfio_pci_reset(vpd);
	}

	/*
	 * Not less than the payload size, which the user does not see, as small packets would waste
	 * bandwidth. Reserved values are written only to the shadow.
	 */
	if ((old ^ new) & PCI_EXP_DEVCTL_READRQ) {
		readrq = 128 << FIELD_GET(PCI_EXP_DEVCTL_READRQ, new);
		pcie_set_readrq(vpd->pdev, max(readrq, pcie_get_mps(vpd->pdev)));
	}
}

/* PCIe r6.2 7.5.3.4 */
const struct vfio_pci_effect vfio_pci_effect_exp = {
	.off = PCI_EXP_DEVCTL, .width = 2, .after = exp_after,
};

static void af_after(struct vfio_pci_device *vpd, unsigned int base, u16 old, u16 new)
{
	u8 need = PCI_AF_CAP_TP | PCI_AF_CAP_FLR, cap;

	if (new & PCI_AF_CTRL_FLR) {
		pci_read_config_byte(vpd->pdev, base + PCI_AF_CAP, &cap);
		if ((cap & need) == need)
			vfio_pci_reset(vpd);
	}
}

/* PCI 3.0 ECN "Advanced Capabilities" */
const struct vfio_pci_effect vfio_pci_effect_af = {
	.off = PCI_AF_CTRL, .width = 1, .after = af_after,
};
