// SPDX-License-Identifier: GPL-2.0-only
/*
 * What vfio-pci.ko provides to variants, which are modules of their own, besides probe and remove:
 * access to the registers of their function that its user cannot block, and BARs that the user does
 * not see.
 */
#include <linux/export.h>
#include <linux/io.h>

#include "vfio_pci.h"

/**
 * vfio_pci_variant_probe - make a function of a variant available to user space
 * @pdev: the function
 * @id: made by VFIO_PCI_VARIANT_ID()
 *
 * Return: 0; -ENODEV for any other @id, such as one made by new_id; an error of vfio_pci_probe()
 */
int vfio_pci_variant_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	if (!id->driver_data)
		return -ENODEV;
	return vfio_pci_probe(pdev, (const struct vfio_pci_variant *)id->driver_data);
}
EXPORT_SYMBOL_NS_GPL(vfio_pci_variant_probe, "VFIO_PCI");

/**
 * vfio_pci_variant_data - get a variant's own data of a device
 * @vpd: the device
 *
 * Return: the data, which were zeroed at probe
 */
void *vfio_pci_variant_data(struct vfio_pci_device *vpd)
{
	return vpd + 1;
}
EXPORT_SYMBOL_NS_GPL(vfio_pci_variant_data, "VFIO_PCI");

/**
 * vfio_pci_variant_vdev - get the front end's part of a device
 * @vpd: the device
 *
 * Return: the front end's part, for vfio_device_err()
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
	/* An operation that began before a reset must not continue after it. */
	if (vpd->mig && READ_ONCE(vpd->mig->flags))
		return -ECANCELED;
	if (!vfio_pci_is_live(vpd) || vpd->recovery.frozen || vpd->power.suspended ||
	    vfio_pci_asleep(vpd->pdev->current_state))
		return vfio_device_err(&vpd->vdev, -EIO,
				       "the function cannot be accessed: it sleeps, or has failed");
	base = vfio_pci_barmap(vpd, bar);
	if (!base)
		return -ENOMEM;
	command = vfio_pci_decode_force(vpd);
	vfio_pci_variant_move(base + off, buf, len, write);
	vfio_pci_decode_unforce(vpd, command);
	return 0;
}

/**
 * vfio_pci_variant_read - read from a memory BAR, whatever the user has done to memory decode
 * @vpd: the device
 * @bar: a BAR that exists
 * @off: offset, a multiple of 4. The end, rounded up to a multiple of 4, must be inside the BAR.
 * @buf: gets the bytes as they are in the BAR, whose registers are little-endian
 * @len: number of bytes. Each access reads 4 bytes.
 *
 * Memory decode is on for the duration of the read. This gives the user no access.
 *
 * Context: process; of the locks of vfio-pci.ko, only that of the state may be held. Waits for
 * resets.
 * Return: 0; -EIO, with the reason given to the user, if the function cannot be reached; -ECANCELED
 * like vfio_mig_wait(); -ENOMEM
 */
int vfio_pci_variant_read(struct vfio_pci_device *vpd, unsigned int bar, u64 off, void *buf,
			  size_t len)
{
	return vfio_pci_variant_access(vpd, bar, off, buf, len, false);
}
EXPORT_SYMBOL_NS_GPL(vfio_pci_variant_read, "VFIO_PCI");

/**
 * vfio_pci_variant_write - write to a memory BAR, whatever the user has done to memory decode
 * @vpd: the device
 * @bar: a BAR that exists
 * @off: offset, as for vfio_pci_variant_read()
 * @buf: the bytes
 * @len: number of bytes. They are padded with zeroes to a multiple of 4.
 *
 * Return: like vfio_pci_variant_read()
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

/* To the user, the BAR does not exist. */
const struct vfio_pci_region_ops vfio_pci_hidden_ops = {
	.info = vfio_pci_hidden_info,
	.read = vfio_pci_hidden_read,
};
EXPORT_SYMBOL_NS_GPL(vfio_pci_hidden_ops, "VFIO_PCI");
