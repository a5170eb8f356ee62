// SPDX-License-Identifier: GPL-2.0-only
/*
 * Legacy VGA: memory and I/O ports at addresses that all VGA devices share. The kernel's VGA
 * arbiter routes them to one device at a time.
 */
#include <linux/aperture.h>
#include <linux/io.h>
#include <linux/unaligned.h>
#include <linux/vgaarb.h>

#include "vfio_pci.h"

#define VGA_LEGACY	(VGA_RSRC_LEGACY_IO | VGA_RSRC_LEGACY_MEM)
#define VGA_NORMAL	(VGA_RSRC_NORMAL_IO | VGA_RSRC_NORMAL_MEM)

/* The region begins at address 0, and ends at the end of the VGA memory. */
#define VGA_REGION_SIZE	0xc0000

/**
 * struct vga_window - a range of legacy addresses
 * @start: first address
 * @end: the address after the last one
 * @rsrc: the resource in the VGA arbiter
 */
static const struct vga_window {
	u32 start;
	u32 end;
	unsigned int rsrc;
} vga_windows[] = {
	{ 0xa0000, 0xc0000, VGA_RSRC_LEGACY_MEM },
	{ 0x3b0, 0x3bc, VGA_RSRC_LEGACY_IO },
	{ 0x3c0, 0x3e0, VGA_RSRC_LEGACY_IO },
};

static bool is_vga(struct pci_dev *pdev)
{
	return pdev->class >> 8 == PCI_CLASS_DISPLAY_VGA;
}

static bool has_region(struct pci_dev *pdev)
{
	return IS_ENABLED(CONFIG_X86) && IS_ENABLED(CONFIG_VGA_ARB) && is_vga(pdev) &&
	       !vfio_pci_disable_vga;
}

/* Is there another VGA device behind the bridge that @pdev is behind? */
static bool has_neighbour(struct pci_dev *pdev)
{
	unsigned char last = pci_bus_max_busnr(pdev->bus);
	struct pci_dev *other = NULL;

	while ((other = pci_get_class(PCI_CLASS_DISPLAY_VGA << 8, other))) {
		if (other == pdev || pci_domain_nr(other->bus) != pci_domain_nr(pdev->bus) ||
		    other->bus->number < pdev->bus->number || other->bus->number > last)
			continue;
		pci_dev_put(other);
		return true;
	}
	return false;
}

/*
 * The legacy resources that the arbiter must expect the device to decode. Only the device's own
 * driver knows how to stop that. But if no user has access to them, and the device is alone behind
 * its bridge, the bridge stops it.
 */
static unsigned int vga_decodes(struct pci_dev *pdev, bool on)
{
	if (on || has_region(pdev) || pci_is_root_bus(pdev->bus) || has_neighbour(pdev))
		return VGA_NORMAL | VGA_LEGACY;
	return VGA_NORMAL;
}

/**
 * vfio_pci_vga_init - take over a display, and register VGA devices with the arbiter
 * @vpd: the device
 *
 * Removes the driver of the firmware's framebuffer, if the device has one. UEFI does not use VGA,
 * so a display with a framebuffer need not be a VGA device. For devices that are not displays, the
 * kernel is not asked, as it would remove any framebuffer whose address it does not know.
 *
 * Return: 0; or an error of the framebuffer's driver or the VGA arbiter
 */
int vfio_pci_vga_init(struct vfio_pci_device *vpd)
{
	struct pci_dev *pdev = vpd->pdev;
	int ret;

	if (pci_is_display(pdev) || pci_is_vga(pdev)) {
		ret = aperture_remove_conflicting_pci_devices(pdev, "vfio-pci");
		if (ret)
			return ret;
	}
	if (!is_vga(pdev))
		return 0;
	ret = vga_client_register(pdev, vga_decodes);
	if (ret)
		return ret;
	vga_set_legacy_decoding(pdev, vga_decodes(pdev, false));
	return 0;
}

/**
 * vfio_pci_vga_exit - undo vfio_pci_vga_init()
 * @vpd: the device
 */
void vfio_pci_vga_exit(struct vfio_pci_device *vpd)
{
	struct pci_dev *pdev = vpd->pdev;

	if (!is_vga(pdev))
		return;
	vga_client_unregister(pdev);
	/* The arbiter's default for every device */
	vga_set_legacy_decoding(pdev, VGA_NORMAL | VGA_LEGACY);
}

static int vga_info(struct vfio_pci_device *vpd, unsigned int index,
		    struct vfio_region_info *info, struct vfio_caps *caps)
{
	if (!has_region(vpd->pdev))
		return -EINVAL;
	info->size = VGA_REGION_SIZE;
	info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	return 0;
}

/* Uses the widest accesses, of up to four bytes, that the alignment permits. */
static void vga_move(void __iomem *at, void *buf, u32 addr, size_t len, bool write)
{
	size_t n;

	for (; len; at += n, buf += n, addr += n, len -= n) {
		if (!(addr & 3) && len >= 4) {
			n = 4;
			if (write)
				iowrite32(get_unaligned_le32(buf), at);
			else
				put_unaligned_le32(ioread32(at), buf);
		} else if (!(addr & 1) && len >= 2) {
			n = 2;
			if (write)
				iowrite16(get_unaligned_le16(buf), at);
			else
				put_unaligned_le16(ioread16(at), buf);
		} else {
			n = 1;
			if (write)
				iowrite8(*(u8 *)buf, at);
			else
				*(u8 *)buf = ioread8(at);
		}
	}
}

/*
 * Serializes our own accesses, so that none of our tasks waits for another one in the arbiter. In
 * Linux 7.3, vga_get() checks the resource before it joins the wait queue. If the owner releases it
 * in between, nobody wakes vga_get() up, until somebody else uses the arbiter.
 */
static DEFINE_MUTEX(vga_access_lock);

/* Routes the legacy addresses to this device for the access, and keeps out resets. */
static int vga_move_routed(struct vfio_pci_device *vpd, const struct vga_window *window,
			   void __iomem *at, void *buf, u32 addr, size_t len, bool write)
{
	int ret;

	ACQUIRE(mutex_intr, lock)(&vga_access_lock);
	if (ACQUIRE_ERR(mutex_intr, &lock))
		return -ERESTARTSYS;
	ret = vga_get_interruptible(vpd->pdev, window->rsrc);
	if (ret)
		return ret;
	/* Do not wait for the end of a recovery while holding the arbiter's resources. */
	scoped_guard(vfio_pci, vpd) {
		if (!vfio_pci_is_live(vpd) || vpd->power.suspended || vpd->recovery.frozen ||
		    vfio_pci_asleep(vpd->pdev->current_state))
			ret = -EIO;
		else
			vga_move(at, buf, addr, len, write);
	}
	vga_put(vpd->pdev, window->rsrc);
	return ret;
}

static ssize_t vga_rw(struct vfio_pci_device *vpd, const struct vfio_io *io, u64 off, bool write)
{
	const struct vga_window *window;
	void __iomem *base;
	size_t len;
	int ret;

	if (!has_region(vpd->pdev))
		return -EINVAL;
	for (window = vga_windows; off < window->start || off >= window->end; window++) {
		if (window == &vga_windows[ARRAY_SIZE(vga_windows) - 1])
			return -EINVAL;
	}
	len = min_t(u64, io->len, window->end - off);

	/* Mapping is cheap on x86, where these addresses are always mapped. */
	if (window->rsrc == VGA_RSRC_LEGACY_MEM)
		base = ioremap(window->start, window->end - window->start);
	else
		base = ioport_map(window->start, window->end - window->start);
	if (!base)
		return -ENOMEM;
	ret = vga_move_routed(vpd, window, base + off - window->start, io->buf, off, len, write);
	if (window->rsrc == VGA_RSRC_LEGACY_MEM)
		iounmap(base);
	else
		ioport_unmap(base);
	return ret ?: len;
}

static ssize_t vga_read(struct vfio_pci_device *vpd, unsigned int index, const struct vfio_io *io,
			u64 off)
{
	return vga_rw(vpd, io, off, false);
}

static ssize_t vga_write(struct vfio_pci_device *vpd, unsigned int index, const struct vfio_io *io,
			 u64 off)
{
	return vga_rw(vpd, io, off, true);
}

const struct vfio_pci_region_ops vfio_pci_vga_ops = {
	.info = vga_info,
	.read = vga_read,
	.write = vga_write,
};
