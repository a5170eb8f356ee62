// SPDX-License-Identifier: GPL-2.0-only
/*
 * Information about the device: VFIO_DEVICE_GET_INFO, _GET_REGION_INFO, _GET_IRQ_INFO.
 */
#include <linux/nospec.h>

#include "vfio_pci.h"

/**
 * vfio_pci_atomics_open - find out which AtomicOps work both ways (PCIe r6.2 6.15)
 * @vpd: the device, being opened
 *
 * A width is reported if the function can complete it itself, and the root port and all switches on
 * the path support it, too. This enables the function's own requests; those of a VF are enabled in
 * its PF.
 */
void vfio_pci_atomics_open(struct vfio_pci_device *vpd)
{
	static const struct {
		u32 devcap2;
		u32 flag;
	} widths[] = {
		{ PCI_EXP_DEVCAP2_ATOMIC_COMP32, VFIO_PCI_ATOMIC_COMP32 },
		{ PCI_EXP_DEVCAP2_ATOMIC_COMP64, VFIO_PCI_ATOMIC_COMP64 },
		{ PCI_EXP_DEVCAP2_ATOMIC_COMP128, VFIO_PCI_ATOMIC_COMP128 },
	};
	struct pci_dev *pdev = pci_physfn(vpd->pdev);
	unsigned int i;
	u32 devcap2;

	vpd->atomics = 0;
	pcie_capability_read_dword(pdev, PCI_EXP_DEVCAP2, &devcap2);
	for (i = 0; i < ARRAY_SIZE(widths); i++) {
		if (devcap2 & widths[i].devcap2 &&
		    !pci_enable_atomic_ops_to_root(pdev, widths[i].devcap2))
			vpd->atomics |= widths[i].flag;
	}
}

/**
 * vfio_pci_get_info - answer VFIO_DEVICE_GET_INFO
 * @cmd: struct vfio_device_info
 *
 * Return: 0
 */
int vfio_pci_get_info(struct vfio_cmd *cmd)
{
	struct vfio_pci_device *vpd = to_vfio_pci(cmd->vdev);
	struct vfio_device_info_cap_pci_atomic_comp *atomics;
	struct vfio_device_info *info = (void *)cmd->arg;

	info->flags = VFIO_DEVICE_FLAGS_PCI;
	if (vpd->session.reset_works)
		info->flags |= VFIO_DEVICE_FLAGS_RESET;
	if (vpd->atomics) {
		atomics = vfio_caps_add(cmd->caps, VFIO_DEVICE_INFO_CAP_PCI_ATOMIC_COMP, 1,
					sizeof(*atomics));
		atomics->flags = vpd->atomics;
		info->flags |= VFIO_DEVICE_FLAGS_CAPS;
	}
	info->num_regions = VFIO_PCI_NUM_REGIONS + vpd->extras.nr;
	info->num_irqs = VFIO_PCI_NUM_IRQS;
	return 0;
}

/**
 * vfio_pci_get_region_info - answer VFIO_DEVICE_GET_REGION_INFO
 * @cmd: struct vfio_region_info
 *
 * A region that the function does not have has size 0.
 *
 * Return: 0; -EINVAL when there can be no region with this index
 */
int vfio_pci_get_region_info(struct vfio_cmd *cmd)
{
	struct vfio_region_info *info = (void *)cmd->arg;
	struct vfio_pci_device *vpd = to_vfio_pci(cmd->vdev);
	const struct vfio_pci_region_ops *ops = vfio_pci_region(vpd, info->index);
	int ret;

	if (!ops)
		return vfio_err(cmd->file, -EINVAL, "there is no region %u", info->index);

	info->offset = (u64)info->index << VFIO_REGION_SHIFT;
	info->flags = 0;
	info->size = 0;
	info->cap_offset = 0;
	ret = ops->info(vpd, info->index, info, cmd->caps);
	if (ret == -EINVAL)
		vfio_err(cmd->file, ret, "the function has no VGA region");
	if (cmd->caps->size)
		info->flags |= VFIO_REGION_INFO_FLAG_CAPS;
	return ret;
}

/**
 * vfio_pci_get_irq_info - answer VFIO_DEVICE_GET_IRQ_INFO
 * @cmd: struct vfio_irq_info
 *
 * Return: 0; -EINVAL when there is no such kind of interrupt
 */
int vfio_pci_get_irq_info(struct vfio_cmd *cmd)
{
	struct vfio_irq_info *info = (void *)cmd->arg;
	struct vfio_pci_device *vpd = to_vfio_pci(cmd->vdev);

	if (info->index >= VFIO_PCI_NUM_IRQS)
		return vfio_err(cmd->file, -EINVAL, "there is no interrupt index %u", info->index);

	info->index = array_index_nospec(info->index, VFIO_PCI_NUM_IRQS);
	info->flags = vfio_pci_irq_flags(vpd, info->index);
	info->count = vfio_pci_irq_count(vpd, info->index);
	return 0;
}
