// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM's VFIO device finds these by name, without its module depending on ours.
 */
#include <linux/export.h>
#include <linux/fs.h>
#include <linux/iommu.h>

#include "vfio_file.h"

bool vfio_file_is_valid(struct file *filp);
bool vfio_file_enforced_coherent(struct file *filp);
void vfio_file_set_kvm(struct file *filp, struct kvm *kvm);

/**
 * vfio_file_is_valid - is this a file of ours?
 * @filp: any file
 *
 * Return: true if it is a file of a device node
 */
bool vfio_file_is_valid(struct file *filp)
{
	return filp->f_op == &vfio_file_fops;
}
EXPORT_SYMBOL_GPL(vfio_file_is_valid);

/**
 * vfio_file_enforced_coherent - is all DMA of the device coherent with the CPU's caches?
 * @filp: any file
 *
 * Return: true if the IOMMU makes it so whatever the device asks for (PCIe r6.2 2.2.6.5, No Snoop),
 * and for what is no device, or none any more; false if a guest that owns the device needs to be
 * able to flush caches itself
 */
bool vfio_file_enforced_coherent(struct file *filp)
{
	struct vfio_file *file = filp->private_data;
	struct srcu_ctr __percpu *gate;
	bool coherent;

	if (!vfio_file_is_valid(filp) || vfio_device_enter(file, true, &gate))
		return true;
	coherent = device_iommu_capable(file->vdev->device.parent,
					IOMMU_CAP_ENFORCE_CACHE_COHERENCY);
	vfio_device_leave(file, gate);
	return coherent;
}
EXPORT_SYMBOL_GPL(vfio_file_enforced_coherent);

/**
 * vfio_file_set_kvm - tell a file which virtual machine it belongs to
 * @filp: any file
 * @kvm: the machine, or NULL when that is over
 */
void vfio_file_set_kvm(struct file *filp, struct kvm *kvm)
{
	struct vfio_file *file = filp->private_data;

	if (vfio_file_is_valid(filp))
		WRITE_ONCE(file->kvm, kvm);
}
EXPORT_SYMBOL_GPL(vfio_file_set_kvm);
