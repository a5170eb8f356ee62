// SPDX-License-Identifier: GPL-2.0-only
/*
 * The expansion ROM region. If the firmware has left a copy of the image in memory (a shadow, or
 * what EFI read before the ROM was hidden), that copy is the ROM.
 */
#include <linux/io.h>
#include <linux/string.h>

#include "vfio_pci.h"

/* In the function, or a copy that the firmware has left in its place; not one that EFI has made */
static bool vfio_pci_rom_is_bar(struct pci_dev *pdev)
{
	return pci_resource_start(pdev, PCI_ROM_RESOURCE);
}

static u64 vfio_pci_rom_len(struct pci_dev *pdev)
{
	if (vfio_pci_rom_is_bar(pdev))
		return pci_resource_len(pdev, PCI_ROM_RESOURCE);
	if (pdev->rom && pdev->romlen)
		return roundup_pow_of_two(pdev->romlen);
	return 0;
}

/*
 * Maps the ROM at its first use, up to the end of its image: what is behind that is not meant to be
 * read, and behind the firmware's copy it is something else. The image is looked for once, as the
 * PCI core tells the kernel log where there is none.
 */
static int vfio_pci_rom_map(struct vfio_pci_device *vpd)
{
	struct pci_dev *pdev = vpd->pdev;

	if (vpd->rom.image)
		return 0;
	if (vpd->rom.missing)
		return -ENOMEM;
	if (!vfio_pci_rom_is_bar(pdev)) {
		vpd->rom.size = pdev->romlen;
		vpd->rom.image = ioremap(pdev->rom, pdev->romlen);
		return vpd->rom.image ? 0 : -ENOMEM;
	}
	if (!vfio_pci_answers(pdev))
		return -EIO;
	vpd->rom.image = pci_map_rom(pdev, &vpd->rom.size);
	vpd->rom.missing = !vpd->rom.image;
	return vpd->rom.image ? 0 : -ENOMEM;
}

/*
 * By dwords: there are devices which do not answer wider reads of their ROM. Each read of one that
 * does not answer at all can take as long as its link's completion timeout, so it is the last.
 */
static int vfio_pci_rom_copy(struct vfio_pci_device *vpd, void *buf, u64 off, size_t len)
{
	size_t done, n;

	for (done = 0; done < len; done += n) {
		n = vfio_pci_bar_read_one(vpd->rom.image + off + done, buf + done, off + done,
					  len - done, 4);
		if (!memchr_inv(buf + done, 0xff, n) && vfio_pci_rom_is_bar(vpd->pdev) &&
		    !vfio_pci_answers(vpd->pdev))
			return -EIO;
	}
	/* On some platforms what nobody answers is not all ones. */
	return vfio_pci_rom_is_bar(vpd->pdev) && !vfio_pci_answers(vpd->pdev) ? -EIO : 0;
}

/**
 * vfio_pci_rom_close - forget the ROM at the end of a session
 * @vpd: the device
 */
void vfio_pci_rom_close(struct vfio_pci_device *vpd)
{
	if (vpd->rom.image)
		iounmap(vpd->rom.image);
	vpd->rom.image = NULL;
	vpd->rom.missing = false;
}

/* Whether there is an image in it is for who reads it to find out: this touches nothing. */
static int vfio_pci_rom_info(struct vfio_pci_device *vpd, unsigned int index,
			     struct vfio_region_info *info, struct vfio_caps *caps)
{
	info->size = vfio_pci_rom_len(vpd->pdev);
	if (info->size)
		info->flags = VFIO_REGION_INFO_FLAG_READ;
	return 0;
}

/*
 * The function decodes the ROM for one chunk at a time: it may use the BARs' decoder for that, and
 * the host may want the lock. Behind the image, up to the size of the BAR, all ones are read.
 */
static ssize_t vfio_pci_rom_read(struct vfio_pci_device *vpd, unsigned int index,
				 const struct vfio_io *io, u64 off)
{
	struct pci_dev *pdev = vpd->pdev;
	u64 size = vfio_pci_rom_len(pdev);
	bool bar = vfio_pci_rom_is_bar(pdev);
	size_t len, have;
	int ret;

	if (off >= size)
		return -EINVAL;
	len = min_t(u64, io->len, size - off);

	guard(vfio_pci_hw)(vpd);
	if (bar && vpd->mappings.decode != VFIO_PCI_DECODE_ON)
		return -EIO;
	ret = vfio_pci_rom_map(vpd);
	if (ret)
		return ret;
	have = off < vpd->rom.size ? min_t(u64, len, vpd->rom.size - off) : 0;
	if (bar)
		pci_enable_rom(pdev);
	ret = vfio_pci_rom_copy(vpd, io->buf, off, have);
	if (bar && !(pci_resource_flags(pdev, PCI_ROM_RESOURCE) & IORESOURCE_ROM_ENABLE))
		pci_disable_rom(pdev);
	if (ret)
		return ret;
	memset(io->buf + have, 0xff, len - have);
	return len;
}

const struct vfio_pci_region_ops vfio_pci_rom_ops = {
	.info = vfio_pci_rom_info,
	.read = vfio_pci_rom_read,
};
