// SPDX-License-Identifier: GPL-2.0-only
/*
 * What variants, which are modules of their own, have from vfio-pci.ko besides probe and remove: a
 * way to the registers of their function that its user cannot bar, and BARs that the user does not
 * see.
 */
#include <linux/export.h>
#include <linux/io.h>

#include "vfio_pci.h"

/**
 * vfio_pci_variant_probe - a function of a variant is to be given to user space
 * @pdev: the function
 * @id: by VFIO_PCI_VARIANT_ID(); -ENODEV for others, as new_id makes
 *
 * Return: 0; an error of vfio_pci_probe()
 */
int vfio_pci_variant_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	if (!id->driver_data)
		return -ENODEV;
	return vfio_pci_probe(pdev, (const struct vfio_pci_variant *)id->driver_data);
}
EXPORT_SYMBOL_NS_GPL(vfio_pci_variant_probe, "VFIO_PCI");

/**
 * vfio_pci_variant_data - what a variant has of its own for each device
 * @vpd: the device
 *
 * Return: zeroed at probe
 */
void *vfio_pci_variant_data(struct vfio_pci_device *vpd)
{
	return vpd + 1;
}
EXPORT_SYMBOL_NS_GPL(vfio_pci_variant_data, "VFIO_PCI");

/**
 * vfio_pci_variant_vdev - the front end's part of a device
 * @vpd: the device
 *
 * Return: it, for vfio_device_err()
 */
struct vfio_device *vfio_pci_variant_vdev(struct vfio_pci_device *vpd)
{
	return &vpd->vdev;
}
EXPORT_SYMBOL_NS_GPL(vfio_pci_variant_vdev, "VFIO_PCI");

static void vfio_pci_variant_move(void __iomem *at, void *buf, size_t len, bool write)
{
	u32 tail;

	if (write)
		__iowrite32_copy(at, buf, len / 4);
	else
		__ioread32_copy(buf, at, len / 4);
	if (!(len & 3))
		return;
	at += len & ~3;
	buf += len & ~3;
	if (write) {
		tail = 0;
		memcpy(&tail, buf, len & 3);
		__iowrite32_copy(at, &tail, 1);
	} else {
		__ioread32_copy(&tail, at, 1);
		memcpy(buf, &tail, len & 3);
	}
}

static int vfio_pci_variant_access(struct vfio_pci_device *vpd, unsigned int bar, u64 off,
				   void *buf, size_t len, bool write)
{
	void __iomem *base;
	u8 command;

	guard(vfio_pci)(vpd);
	/* What was begun before a reset must not go on in a device that is as new. */
	if (vpd->mig && READ_ONCE(vpd->mig->flags))
		return -ECANCELED;
	if (!vfio_pci_is_live(vpd) || vpd->recovery.frozen || vpd->power.suspended ||
	    vfio_pci_asleep(vpd->pdev->current_state))
		return vfio_device_err(&vpd->vdev, -EIO,
				       "the function sleeps, or has failed, and cannot be reached");
	base = vfio_pci_barmap(vpd, bar);
	if (!base)
		return -ENOMEM;
	command = vfio_pci_decode_force(vpd);
	vfio_pci_variant_move(base + off, buf, len, write);
	vfio_pci_decode_unforce(vpd, command);
	return 0;
}

/**
 * vfio_pci_variant_read - read from a memory BAR, whatever the user has done to it
 * @vpd: the device
 * @bar: one that there is
 * @off: offset, a multiple of 4, as the end of it must be inside the BAR when rounded up to that
 * @buf: gets the bytes as they are in the BAR, whose registers are little-endian
 * @len: bytes; reads are of 4 bytes each
 *
 * Memory decode is on for the time of it. The user is not let in by that.
 *
 * Context: process; no lock of vfio-pci.ko held but that of the state. Waits for resets.
 * Return: 0; -EIO, with a reason given, when the function cannot be reached; -ECANCELED as
 * vfio_mig_wait(); -ENOMEM
 */
int vfio_pci_variant_read(struct vfio_pci_device *vpd, unsigned int bar, u64 off, void *buf,
			  size_t len)
{
	return vfio_pci_variant_access(vpd, bar, off, buf, len, false);
}
EXPORT_SYMBOL_NS_GPL(vfio_pci_variant_read, "VFIO_PCI");

/**
 * vfio_pci_variant_write - write to a memory BAR, likewise
 * @vpd: the device
 * @bar: one that there is
 * @off: as that of vfio_pci_variant_read()
 * @buf: the bytes
 * @len: how many; what is written is rounded up to 4 with zeroes
 *
 * Return: as vfio_pci_variant_read()
 */
int vfio_pci_variant_write(struct vfio_pci_device *vpd, unsigned int bar, u64 off,
			   const void *buf, size_t len)
{
	return vfio_pci_variant_access(vpd, bar, off, (void *)buf, len, true);
}
EXPORT_SYMBOL_NS_GPL(vfio_pci_variant_write, "VFIO_PCI");

static int vfio_pci_hidden_info(struct vfio_pci_device *vpd, unsigned int bar,
				struct vfio_region_info *info, struct vfio_caps *caps)
{
	return 0;
}

static ssize_t vfio_pci_hidden_read(struct vfio_pci_device *vpd, unsigned int bar,
				    const struct vfio_io *io, u64 off)
{
	return -EINVAL;
}

/* To its user, the BAR is not there. */
const struct vfio_pci_region_ops vfio_pci_hidden_ops = {
	.info = vfio_pci_hidden_info,
	.read = vfio_pci_hidden_read,
};
EXPORT_SYMBOL_NS_GPL(vfio_pci_hidden_ops, "VFIO_PCI");
