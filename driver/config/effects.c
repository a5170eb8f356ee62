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

/* Does the hardware have other BARs than the host gave it? */
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
 * After a reset that did not go through the PCI core, by a register of the device's own, BARs are
 * 0, and INTx is open though nobody may handle it. To be mended before decode is turned on again.
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
 * vfio_pci_config_after_reset - mend what a reset has left of config space
 * @vpd: the device
 *
 * What the user sees stays as it was, since the PCI core gives the hardware its configuration back.
 *
 * Context: hw_lock held, takes the interrupt lock; the PCI core may still block config access
 */
void vfio_pci_config_after_reset(struct vfio_pci_device *vpd)
{
	lockdep_assert_held(&vpd->hw_lock);

	restore_lost(vpd);
	vfio_pci_intx_disable_changed(vpd);
}

/* Is access to the BARs about to be turned on or off? Without a bit for it, it is always on. */
static bool decode_changes(struct vfio_pci_device *vpd, u16 old, u16 new)
{
	return (old ^ new) & PCI_COMMAND_MEMORY && !vpd->pdev->no_command_memory;
}

static void command_before(struct vfio_pci_device *vpd, unsigned int base, u16 old, u16 new)
{
	u16 decode = new & (PCI_COMMAND_MEMORY | PCI_COMMAND_IO), hw;

	if (vpd->pdev->no_command_memory)
		decode &= ~PCI_COMMAND_MEMORY;

	/* What the hardware does not have on, though the user may think so, is turned on now. */
	pci_read_config_word(vpd->pdev, PCI_COMMAND, &hw);
	if (decode & ~hw)
		restore_lost(vpd);
	/* With INTx off nobody handles it. The write that follows leaves the bit as it is. */
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

/* A state that the function does not have is ignored, as hardware does. */
static void pm_after(struct vfio_pci_device *vpd, unsigned int base, u16 old, u16 new)
{
	vfio_pci_set_power_state(vpd, (__force pci_power_t)(new & PCI_PM_CTRL_STATE_MASK));
}

/* PCIe r6.2 7.5.2.2 */
const struct vfio_pci_effect vfio_pci_effect_pm = {
	.off = PCI_PM_CTRL, .width = 1, .after = pm_after,
};

/*
 * The user sets the flag to what they ask for and waits until the hardware turns it over. After an
 * error it is left alone, and their timeout tells them. Data is in the order of bytes on both
 * sides.
 *
 * Without core_lock, since the PCI core waits, in here, for resets, which wait for that lock.
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
	/* Another thread may have asked for something else meanwhile. */
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
 * Vectors come and go by ioctl. While there are some, the user can turn messages off and on, and
 * spread them over fewer vectors; the device must not use more than the PCI core has set up.
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
		/* By which method, is for the PCI core to choose. */
		if (cap & PCI_EXP_DEVCAP_FLR)
			vfio_pci_reset(vpd);
	}

	/*
	 * Not less than the payload size, which the user does not see, or bandwidth would be lost
	 * to small packets. Values that are reserved go no further than the shadow.
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
