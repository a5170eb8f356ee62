// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dispatch from a file offset to the region that handles it.
 */
#include <linux/nospec.h>

#include "vfio_pci.h"

const struct vfio_pci_region_ops * const vfio_pci_regions[VFIO_PCI_NUM_REGIONS] = {
	[VFIO_PCI_BAR0_REGION_INDEX ... VFIO_PCI_BAR5_REGION_INDEX] = &vfio_pci_bar_ops,
	[VFIO_PCI_ROM_REGION_INDEX] = &vfio_pci_rom_ops,
	[VFIO_PCI_CONFIG_REGION_INDEX] = &vfio_pci_config_ops,
	[VFIO_PCI_VGA_REGION_INDEX] = &vfio_pci_vga_ops,
};

/**
 * vfio_pci_extra - find a region that only this function has
 * @vpd: the device, open
 * @index: not less than VFIO_PCI_NUM_REGIONS, from the user
 *
 * Return: the region, or NULL when there is none
 */
struct vfio_pci_extra *vfio_pci_extra(struct vfio_pci_device *vpd, unsigned int index)
{
	index -= VFIO_PCI_NUM_REGIONS;
	if (index >= vpd->extras.nr)
		return NULL;
	return &vpd->extras.rows[array_index_nospec(index, VFIO_PCI_MAX_EXTRA)];
}

/**
 * vfio_pci_extra_add - add a region that only this function has
 * @vpd: the device, being opened
 * @extra: the region; on success, it owns its data
 *
 * Return: 0; -ENOSPC when there are too many, which is a bug in the caller
 */
int vfio_pci_extra_add(struct vfio_pci_device *vpd, const struct vfio_pci_extra *extra)
{
	if (WARN_ON_ONCE(vpd->extras.nr == ARRAY_SIZE(vpd->extras.rows)))
		return -ENOSPC;
	vpd->extras.rows[vpd->extras.nr++] = *extra;
	return 0;
}

/**
 * vfio_pci_extras_close - remove these regions at the end of a session
 * @vpd: the device, no longer LIVE
 */
void vfio_pci_extras_close(struct vfio_pci_device *vpd)
{
	while (vpd->extras.nr) {
		struct vfio_pci_extra *extra = &vpd->extras.rows[--vpd->extras.nr];

		extra->release(extra->data);
	}
}

/**
 * vfio_pci_read - read from a region
 * @vdev: the device
 * @io: the chunk; its position has the index of the region in its upper bits
 *
 * Return: number of bytes read; -EINVAL outside all regions; -EIO while memory decode is off
 */
ssize_t vfio_pci_read(struct vfio_device *vdev, const struct vfio_io *io)
{
	unsigned int index = (u64)io->pos >> VFIO_REGION_SHIFT;
	const struct vfio_pci_region_ops *ops = vfio_pci_region(to_vfio_pci(vdev), index);

	if (!ops)
		return -EINVAL;
	return ops->read(to_vfio_pci(vdev), index, io, io->pos & VFIO_REGION_MASK);
}

/**
 * vfio_pci_write - write to a region
 * @vdev: the device
 * @io: the chunk; its position has the index of the region in its upper bits
 *
 * Return: number of bytes written; -EINVAL outside all regions that can be written; -EIO while
 * memory decode is off
 */
ssize_t vfio_pci_write(struct vfio_device *vdev, const struct vfio_io *io)
{
	unsigned int index = (u64)io->pos >> VFIO_REGION_SHIFT;
	const struct vfio_pci_region_ops *ops = vfio_pci_region(to_vfio_pci(vdev), index);

	if (!ops || !ops->write)
		return -EINVAL;
	return ops->write(to_vfio_pci(vdev), index, io, io->pos & VFIO_REGION_MASK);
}

/**
 * vfio_pci_mmap - map a part of a region
 * @vdev: the device
 * @vma: its page offset has the index of the region in its upper bits
 *
 * Return: 0; -EINVAL if it cannot be mapped, or not all of it, or the mapping is not shared
 */
int vfio_pci_mmap(struct vfio_device *vdev, struct vm_area_struct *vma)
{
	unsigned int index = vma->vm_pgoff >> (VFIO_REGION_SHIFT - PAGE_SHIFT);
	const struct vfio_pci_region_ops *ops = vfio_pci_region(to_vfio_pci(vdev), index);

	if (!ops || !ops->mmap || !(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	return ops->mmap(to_vfio_pci(vdev), index, vma);
}
