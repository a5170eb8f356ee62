// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files of virtual machines. KVM's VFIO device identifies them through functions that it looks up
 * by name, so that its module does not depend on ours. This file also provides what guests find
 * where no device answers.
 */
#include <linux/export.h>
#include <linux/fs.h>
#include <linux/iommu.h>
#include <linux/mm.h>

#include "vfio_file.h"

/* How long data that no device has received can be read back. Then, the next access faults. */
#define VFIO_KVM_FORGET_MS	10

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
 * Return: true if the IOMMU enforces this even against No Snoop (PCIe r6.2 2.2.6.5), or if the file
 * is not a device, or not any more; false if a guest with the device must be able to flush caches
 * itself
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
 * @kvm: the virtual machine, or NULL if it no longer belongs to one
 */
void vfio_file_set_kvm(struct file *filp, struct kvm *kvm)
{
	struct vfio_file *file = filp->private_data;

	if (vfio_file_is_valid(filp))
		WRITE_ONCE(file->kvm, kvm);
}
EXPORT_SYMBOL_GPL(vfio_file_set_kvm);

static void vfio_kvm_forget(struct work_struct *work)
{
	struct vfio_file *file = container_of(work, struct vfio_file, forget.work);

	unmap_mapping_range(file->mapping, 0, 0, true);
}

/**
 * vfio_kvm_init - initialize the part of a file that belongs to this file
 * @file: the new file
 */
void vfio_kvm_init(struct vfio_file *file)
{
	INIT_DELAYED_WORK(&file->forget, vfio_kvm_forget);
}

/**
 * vfio_kvm_release - free the resources of a virtual machine's file
 * @file: the file, about to be freed; it has no VMAs left
 */
void vfio_kvm_release(struct vfio_file *file)
{
	cancel_delayed_work_sync(&file->forget);
	if (file->ones)
		__free_page(file->ones);
}

static struct page *vfio_kvm_ones(struct vfio_file *file)
{
	struct page *ones = READ_ONCE(file->ones), *new;

	if (ones)
		return ones;
	new = alloc_page(GFP_KERNEL_ACCOUNT);
	if (!new)
		return NULL;
	ones = cmpxchg(&file->ones, NULL, new);
	if (!ones)
		return new;
	__free_page(new);
	return ones;
}

/**
 * vfio_device_fault_off - handle a fault while the device does not answer
 * @vmf: in a VMA of one of our files
 * @order: order of the page
 *
 * On real hardware, such a read returns all ones. In a virtual machine, map a page of ones, as KVM
 * could not continue the vCPU otherwise. The page is shared by all mappings of the file. Writes to
 * it have no effect, though for a moment they can be read back. Other programs get a signal.
 *
 * The page is not refcounted, like any page in a PFN mapping: it is freed with the file, after the
 * last VMA. Code that looks up PFNs there, like KVM, uses MMU notifiers.
 *
 * Context: VMA or mmap lock held. When the device may begin to answer, the caller must remove the
 * page with vfio_device_zap().
 * Return: VM_FAULT_NOPAGE; _FALLBACK for a page that is not of the smallest size; _SIGBUS if the
 * file is not a virtual machine's; _OOM
 */
vm_fault_t vfio_device_fault_off(struct vm_fault *vmf, unsigned int order)
{
	struct vm_area_struct *vma = vmf->vma;
	struct vfio_file *file = vma->vm_file->private_data;
	struct page *ones;
	vm_fault_t ret;

	if (!READ_ONCE(file->kvm))
		return VM_FAULT_SIGBUS;
	if (order)
		return VM_FAULT_FALLBACK;
	ones = vfio_kvm_ones(file);
	if (!ones)
		return VM_FAULT_OOM;

	memset(page_address(ones), 0xff, PAGE_SIZE);
	/* Cached like any memory, whatever the type of the BAR */
	ret = vmf_insert_pfn_prot(vma, vmf->address, page_to_pfn(ones),
				  vm_get_page_prot(vma->vm_flags));
	/* After inserting it, or it could stay for ever; delayed, as KVM has yet to look it up. */
	mod_delayed_work(system_dfl_wq, &file->forget, msecs_to_jiffies(VFIO_KVM_FORGET_MS));
	return ret;
}
EXPORT_SYMBOL_GPL(vfio_device_fault_off);
