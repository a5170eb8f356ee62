// SPDX-License-Identifier: GPL-2.0-only
/*
 * The expansion ROM region. Where the firmware has left a copy of the image in memory (a shadow,
 * or what EFI read before it was hidden), that copy is the ROM.
 */
#include <linux/io.h>
#include <linux/slab.h>
#include <linux/unaligned.h>

#include "vfio_pci.h"

/* PCIe r6.2 7.5.1.2.4: bits 31:11 of the BAR are the address, so it is 16 MiB at the most. */
#define VFIO_PCI_ROM_MAX	SZ_16M

static u64 vfio_pci_rom_len(struct pci_dev *pdev)
{
	if (pci_resource_start(pdev, PCI_ROM_RESOURCE))
		return pci_resource_len(pdev, PCI_ROM_RESOURCE);
	if (pdev->rom && pdev->romlen)
		return roundup_pow_of_two(pdev->romlen);
	return 0;
}

/* In dwords: there are devices which do not answer wider reads of their ROM. */
static void *vfio_pci_rom_copy(const void __iomem *rom, size_t size)
{
	void *copy = kvmalloc(size, GFP_KERNEL_ACCOUNT);
	size_t off;

	if (!copy)
		return NULL;
	for (off = 0; off + 4 <= size; off += 4)
		put_unaligned_le32(ioread32(rom + off), copy + off);
	for (; off < size; off++)
		*(u8 *)(copy + off) = ioread8(rom + off);
	return copy;
}

/* Reads the image once a session, whole: mapping it for each read would cost far more. */
static int vfio_pci_rom_load(struct vfio_pci_device *vpd)
{
	struct pci_dev *pdev = vpd->pdev;
	void __iomem *rom;
	u8 command;
	size_t size;

	guard(vfio_pci_hw)(vpd);
	if (vpd->rom)
		return 0;
	if (vpd->suspended || vpd->frozen || vfio_pci_asleep(pdev->current_state))
		return -EIO;

	if (pci_resource_start(pdev, PCI_ROM_RESOURCE)) {
		command = vfio_pci_decode_force(vpd);
		rom = pci_map_rom(pdev, &size);
		if (rom) {
			size = min_t(size_t, size, VFIO_PCI_ROM_MAX);
			vpd->rom = vfio_pci_rom_copy(rom, size);
			pci_unmap_rom(pdev, rom);
		}
		vfio_pci_decode_unforce(vpd, command);
	} else {
		size = min_t(size_t, pdev->romlen, VFIO_PCI_ROM_MAX);
		rom = ioremap(pdev->rom, size);
		if (rom) {
			vpd->rom = vfio_pci_rom_copy(rom, size);
			iounmap(rom);
		}
	}
	if (!rom)
		return -ENODEV;
	if (!vpd->rom)
		return -ENOMEM;
	vpd->rom_size = size;
	return 0;
}

/**
 * vfio_pci_rom_close - forget the ROM at the end of a session
 * @vpd: the device
 */
void vfio_pci_rom_close(struct vfio_pci_device *vpd)
{
	kvfree(vpd->rom);
	vpd->rom = NULL;
	vpd->rom_size = 0;
}

static int vfio_pci_rom_info(struct vfio_pci_device *vpd, unsigned int index,
			     struct vfio_region_info *info, struct vfio_caps *caps)
{
	u64 len = vfio_pci_rom_len(vpd->pdev);
	int ret;

	if (!len)
		return 0;
	ret = vfio_pci_rom_load(vpd);
	if (ret == -ENODEV)
		return 0;
	/* Asleep, it is not known to have an image, but it has a ROM. */
	if (ret && ret != -EIO)
		return ret;
	info->size = len;
	info->flags = VFIO_REGION_INFO_FLAG_READ;
	return 0;
}

/* Behind the image, up to the size of the BAR, all ones are read. */
static ssize_t vfio_pci_rom_read(struct vfio_pci_device *vpd, unsigned int index,
				 const struct vfio_io *io, u64 off)
{
	u64 size = vfio_pci_rom_len(vpd->pdev);
	size_t len, have;
	int ret, srcu;

	if (off >= size)
		return -EINVAL;
	ret = vfio_pci_rom_load(vpd);
	if (ret)
		return ret == -ENODEV ? -ENOMEM : ret;
	if (pci_resource_start(vpd->pdev, PCI_ROM_RESOURCE)) {
		if (!vfio_pci_decode_enter(vpd, &srcu))
			return -EIO;
		vfio_pci_decode_exit(vpd, srcu);
	}

	len = min_t(u64, io->len, size - off);
	have = off < vpd->rom_size ? min_t(u64, len, vpd->rom_size - off) : 0;
	memcpy(io->buf, vpd->rom + off, have);
	memset(io->buf + have, 0xff, len - have);
	return len;
}

const struct vfio_pci_region_ops vfio_pci_rom_ops = {
	.info = vfio_pci_rom_info,
	.read = vfio_pci_rom_read,
};
