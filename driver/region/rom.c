// SPDX-License-Identifier: GPL-2.0-only
/*
 * The expansion ROM region. If the firmware has left a copy of the image in memory (a shadow, or
 * what EFI read before the ROM was hidden), that copy is the ROM.
 */
#include <linux/io.h>
#include <linux/string.h>

#include "vfio_pci.h"

/* The ROM is in the function, or a shadow copy in its place, but not a copy made by EFI. */
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

/* The function may share the decoder of its BARs with the ROM, so disable the ROM again. */
static void vfio_pci_rom_hide(struct pci_dev *pdev)
{
	if (!(pci_resource_flags(pdev, PCI_ROM_RESOURCE) & IORESOURCE_ROM_ENABLE))
		pci_disable_rom(pdev);
}

/*
 * Map the ROM on first use, up to the end of its image. What follows the image is not meant to be
 * read, and may be something else if it is the firmware's copy. The image is looked for only once,
 * as the PCI core logs a message if there is none.
 */
static int vfio_pci_rom_map(struct vfio_pci_device *vpd)
{
	struct pci_dev *pdev = vpd->pdev;

	lockdep_assert_held(&vpd->hw_lock);

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
	if (vpd->rom.image) {
		vfio_pci_rom_hide(pdev);
		return 0;
	}
	if (!vfio_pci_answers(pdev))
		return -EIO;
	vpd->rom.missing = true;
	return -ENOMEM;
}

/*
 * Read dwords, as some devices do not answer wider reads of their ROM. If the device does not
 * answer at all, each read can take as long as the completion timeout, so stop at the first one.
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
	/* On some platforms, a read that nobody answers does not return all ones. */
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

/*
 * Report a ROM without an image as missing: QEMU then tells its user what to do. The first call
 * looks for the image, even if memory decode is off, but does not read its contents. If the
 * function cannot be accessed now, assume that it has an image.
 */
static int vfio_pci_rom_info(struct vfio_pci_device *vpd, unsigned int index,
			     struct vfio_region_info *info, struct vfio_caps *caps)
{
	u64 len = vfio_pci_rom_len(vpd->pdev);
	u8 command;

	if (!len)
		return 0;
	guard(vfio_pci_hw)(vpd);
	if (vfio_pci_rom_is_bar(vpd->pdev) && !vpd->rom.image && !vpd->rom.missing &&
	    !vpd->recovery.frozen && !vpd->power.suspended &&
	    !vfio_pci_asleep(vpd->pdev->current_state)) {
		command = vfio_pci_decode_force(vpd);
		vfio_pci_rom_map(vpd);
		vfio_pci_decode_unforce(vpd, command);
	}
	if (vpd->rom.missing)
		return 0;
	info->size = len;
	info->flags = VFIO_REGION_INFO_FLAG_READ;
	return 0;
}

/*
 * The ROM is enabled for one chunk at a time, so that others can take the lock. After the end of
 * the image, up to the size of the BAR, it reads as all ones.
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
	if (bar)
		vfio_pci_rom_hide(pdev);
	if (ret)
		return ret;
	memset(io->buf + have, 0xff, len - have);
	return len;
}

const struct vfio_pci_region_ops vfio_pci_rom_ops = {
	.info = vfio_pci_rom_info,
	.read = vfio_pci_rom_read,
};
