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

/* How long what no device has taken may be read back. Afterwards, the next access is a fault. */
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

static void vfio_kvm_forget(struct work_struct *work)
{
	struct vfio_file *file = container_of(work, struct vfio_file, forget.work);

	unmap_mapping_range(file->mapping, 0, 0, true);
}

/**
 * vfio_kvm_init - begin with a file
 * @file: new
 */
void vfio_kvm_init(struct vfio_file *file)
{
	INIT_DELAYED_WORK(&file->forget, vfio_kvm_forget);
}

/**
 * vfio_kvm_release - free what the file of a virtual machine has needed
 * @file: about to be freed; no VMA of it is left
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
 * vfio_device_fault_off - handle a fault where the device does not answer
 * @vmf: in a VMA of one of our files
 * @order: of the page
 *
 * A machine reads ones then, and goes on. So does a virtual one: KVM has no other way to go on with
 * a vCPU. It is one page for all of the file's mappings; what is written to it goes nowhere, though
 * for a moment it is there to be read. A program gets a signal.
 *
 * The page is not refcounted, as in a VMA of PFNs nothing is: it goes with the file, after the last
 * VMA; and who looks PFNs up there, as KVM does, is told by MMU notifiers.
 *
 * Context: VMA or mmap lock held. If the device may begin to answer, the caller sees to it that the
 * page is removed then, by vfio_device_zap().
 * Return: VM_FAULT_NOPAGE; _FALLBACK for a page that is not of the smallest size; _SIGBUS for what
 * is no virtual machine's; _OOM
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
	/* Memory, cached as memory is, whatever the BAR is. */
	ret = vmf_insert_pfn_prot(vma, vmf->address, page_to_pfn(ones),
				  vm_get_page_prot(vma->vm_flags));
	/* After it is there, or it could stay for ever; and not just when KVM is about to look. */
	mod_delayed_work(system_dfl_wq, &file->forget, msecs_to_jiffies(VFIO_KVM_FORGET_MS));
	return ret;
}
EXPORT_SYMBOL_GPL(vfio_device_fault_off);
