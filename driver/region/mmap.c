// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who may access the memory BARs, and when; and mapping BARs into user space, by faults.
 *
 * A function whose memory decode is off, or which sleeps or is being reset, must not be accessed:
 * an unanswered request is fatal to some hosts. Accesses are made inside an SRCU section, which
 * costs no shared cache line. Code that changes the function's state shuts them out first.
 */
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>

#include "vfio_pci.h"

/* Returns the current state; if it is ON, the caller is inside the SRCU section. */
static enum vfio_pci_decode vfio_pci_decode_try(struct vfio_pci_device *vpd, int *srcu)
{
	enum vfio_pci_decode decode;

	*srcu = srcu_read_lock(&vpd->mappings.srcu);
	decode = READ_ONCE(vpd->mappings.decode);
	if (decode != VFIO_PCI_DECODE_ON)
		srcu_read_unlock(&vpd->mappings.srcu, *srcu);
	return decode;
}

/* While it is BUSY, the task that is changing it holds core_lock, or the function is frozen. */
static void vfio_pci_decode_wait(struct vfio_pci_device *vpd)
{
	vfio_pci_lock_hw(vpd);
	mutex_unlock(&vpd->hw_lock);
}

/**
 * vfio_pci_decode_enter - begin to access memory BARs
 * @vpd: the device
 * @srcu: for vfio_pci_decode_exit()
 *
 * Context: may sleep for as long as a reset takes; neither lock is held.
 * Return: true; false if they do not answer now, or the task is being killed, in which case
 * vfio_pci_decode_exit() must not be called
 */
bool vfio_pci_decode_enter(struct vfio_pci_device *vpd, int *srcu)
{
	enum vfio_pci_decode decode;

	while ((decode = vfio_pci_decode_try(vpd, srcu)) == VFIO_PCI_DECODE_BUSY) {
		vfio_pci_decode_wait(vpd);
		if (fatal_signal_pending(current))
			return false;
	}
	return decode == VFIO_PCI_DECODE_ON;
}

/**
 * vfio_pci_decode_exit - end what vfio_pci_decode_enter() began
 * @vpd: the device
 * @srcu: from vfio_pci_decode_enter()
 */
void vfio_pci_decode_exit(struct vfio_pci_device *vpd, int srcu)
{
	srcu_read_unlock(&vpd->mappings.srcu, srcu);
}

/* Wait for all who have seen the previous state, and remove what they have mapped. */
static void vfio_pci_zap_bars(struct vfio_pci_device *vpd)
{
	synchronize_srcu_expedited(&vpd->mappings.srcu);
	vfio_device_zap(&vpd->vdev, (loff_t)VFIO_PCI_BAR0_REGION_INDEX << VFIO_REGION_SHIFT,
			(loff_t)PCI_STD_NUM_BARS << VFIO_REGION_SHIFT);
}

/**
 * vfio_pci_decode_block - keep everybody off the BARs
 * @vpd: the device
 *
 * On return, no access is in progress, and neither the user nor another device has a mapping. New
 * accesses wait for vfio_pci_decode_update(), which must be called before core_lock is released.
 * May be called again before that.
 *
 * Context: may sleep; hw_lock held.
 */
void vfio_pci_decode_block(struct vfio_pci_device *vpd)
{
	enum vfio_pci_decode was = vpd->mappings.decode;

	lockdep_assert_held(&vpd->hw_lock);

	WRITE_ONCE(vpd->mappings.decode, VFIO_PCI_DECODE_BUSY);
	if (was != VFIO_PCI_DECODE_ON)
		return;
	vfio_pci_zap_bars(vpd);
	if (VFIO_PCI_DMABUF)
		vfio_pci_dmabufs_revoke(vpd);
}

/* Remove what vfio_pci_fault_off() has mapped, now that it does not map anything any more. */
static void vfio_pci_zap_ones(struct vfio_pci_device *vpd)
{
	smp_mb();	/* pairs with vfio_pci_fault_off() */
	if (!READ_ONCE(vpd->mappings.ones))
		return;
	WRITE_ONCE(vpd->mappings.ones, false);
	vfio_pci_zap_bars(vpd);
}

/**
 * vfio_pci_decode_update - allow or refuse accesses, according to the function's current state
 * @vpd: the device. If accesses may have to be refused, vfio_pci_decode_block() was called before.
 *
 * Context: hw_lock held
 */
void vfio_pci_decode_update(struct vfio_pci_device *vpd)
{
	struct pci_dev *pdev = vpd->pdev;
	bool on;

	lockdep_assert_held(&vpd->hw_lock);

	on = vfio_pci_is_live(vpd) && !vpd->power.suspended &&
	     !vfio_pci_asleep(pdev->current_state) &&
	     (pdev->no_command_memory || vfio_pci_config_command(vpd) & PCI_COMMAND_MEMORY);
	if (vfio_pci_is_live(vpd) && (vpd->recovery.frozen || vpd->in_core))
		WRITE_ONCE(vpd->mappings.decode, VFIO_PCI_DECODE_BUSY);
	else
		WRITE_ONCE(vpd->mappings.decode, on ? VFIO_PCI_DECODE_ON : VFIO_PCI_DECODE_OFF);
	if (vpd->mappings.decode == VFIO_PCI_DECODE_ON)
		vfio_pci_zap_ones(vpd);
}

/**
 * vfio_pci_decode_force - turn memory decode on in the hardware, for the kernel itself
 * @vpd: the device. This does not give its user access.
 *
 * Writes one byte, not the whole register: interrupt handlers mask INTx in the other byte.
 *
 * Context: hw_lock held until vfio_pci_decode_unforce()
 * Return: for vfio_pci_decode_unforce()
 */
u8 vfio_pci_decode_force(struct vfio_pci_device *vpd)
{
	u8 command;

	lockdep_assert_held(&vpd->hw_lock);

	pci_read_config_byte(vpd->pdev, PCI_COMMAND, &command);
	if (!(command & PCI_COMMAND_MEMORY))
		pci_write_config_byte(vpd->pdev, PCI_COMMAND, command | PCI_COMMAND_MEMORY);
	return command;
}

/**
 * vfio_pci_decode_unforce - end vfio_pci_decode_force()
 * @vpd: the device
 * @command: from vfio_pci_decode_force()
 *
 * Restores only the memory bit. Other bits of the register may have changed meanwhile, and keep
 * their values.
 */
void vfio_pci_decode_unforce(struct vfio_pci_device *vpd, u8 command)
{
	u8 now;

	lockdep_assert_held(&vpd->hw_lock);

	if (command & PCI_COMMAND_MEMORY)
		return;
	pci_read_config_byte(vpd->pdev, PCI_COMMAND, &now);
	pci_write_config_byte(vpd->pdev, PCI_COMMAND, now & ~PCI_COMMAND_MEMORY);
}

/**
 * vfio_pci_decode_hold - turn memory decode on for many accesses, between which no lock is held
 * @vpd: the device, in a session
 *
 * The user sees the bit as they have set it, and vfio_pci_decode_let_go() restores it. Writing the
 * command register for each access is expensive: QEMU, for example, rebuilds its memory map each
 * time.
 *
 * Context: hw_lock held
 */
void vfio_pci_decode_hold(struct vfio_pci_device *vpd)
{
	if (vpd->pdev->no_command_memory)
		return;
	vpd->config.virt[PCI_COMMAND] |= PCI_COMMAND_MEMORY;
	vfio_pci_decode_force(vpd);
}

/**
 * vfio_pci_decode_let_go - end vfio_pci_decode_hold()
 * @vpd: the device, in the same session
 *
 * Context: hw_lock held
 */
void vfio_pci_decode_let_go(struct vfio_pci_device *vpd)
{
	if (vpd->pdev->no_command_memory)
		return;
	vfio_pci_decode_unforce(vpd, vfio_pci_config_command(vpd));
	vpd->config.virt[PCI_COMMAND] &= ~PCI_COMMAND_MEMORY;
}

/* Page in the BAR for a page offset in the file */
static u64 vfio_pci_bar_page(unsigned long pgoff)
{
	return pgoff & (VFIO_REGION_MASK >> PAGE_SHIFT);
}

/**
 * vfio_pci_bar_mmap - map a part of a BAR
 * @vpd: the device
 * @bar: the BAR
 * @vma: shared
 *
 * Return: 0; -EINVAL if it is not entirely inside the BAR, or the BAR cannot be mapped
 */
int vfio_pci_bar_mmap(struct vfio_pci_device *vpd, unsigned int bar, struct vm_area_struct *vma)
{
	u64 pages = PAGE_ALIGN(pci_resource_len(vpd->pdev, bar)) >> PAGE_SHIFT;
	u64 page = vfio_pci_bar_page(vma->vm_pgoff);

	if (!(vpd->bars.mmap & BIT(bar)) || page + vma_pages(vma) > pages)
		return -EINVAL;

	vma->vm_page_prot = pgprot_decrypted(pgprot_noncached(vma->vm_page_prot));
	if (vfio_pci_wc_pages(vpd, bar, page, vma_pages(vma)) > 0)
		vma->vm_page_prot = pgprot_writecombine(vma->vm_page_prot);
	/*
	 * VM_ALLOW_ANY_UNCACHED: an arm64 guest may map it write-combined, which cannot crash the
	 * host if the PCI device is safe to assign.
	 */
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP | VM_ALLOW_ANY_UNCACHED);
	return 0;
}

/*
 * Use the memory type of the page, not that of the VMA, which may be older. But a large page cannot
 * have another type than its VMA.
 */
static vm_fault_t vfio_pci_insert_pfn(struct vm_fault *vmf, unsigned long pfn, unsigned int order,
				      int wc)
{
	pgprot_t prot = vmf->vma->vm_page_prot;

	if (wc)
		prot = pgprot_writecombine(prot);
	if (order && (wc < 0 || pgprot_val(prot) != pgprot_val(vmf->vma->vm_page_prot)))
		return VM_FAULT_FALLBACK;

	switch (order) {
	case 0:
		return vmf_insert_pfn_prot(vmf->vma, vmf->address, pfn, prot);
#ifdef CONFIG_ARCH_SUPPORTS_PMD_PFNMAP
	case PMD_ORDER:
		return vmf_insert_pfn_pmd(vmf, pfn, false);
#endif
#ifdef CONFIG_ARCH_SUPPORTS_PUD_PFNMAP
	case PUD_ORDER:
		return vmf_insert_pfn_pud(vmf, pfn, false);
#endif
	default:
		return VM_FAULT_FALLBACK;
	}
}

/* The state for a fault. In low power, do not map: nobody could tell when the mapping is idle. */
static enum vfio_pci_decode vfio_pci_decode_of_fault(struct vfio_pci_device *vpd)
{
	enum vfio_pci_decode decode = READ_ONCE(vpd->mappings.decode);

	if (decode == VFIO_PCI_DECODE_ON && READ_ONCE(vpd->power.low))
		return VFIO_PCI_DECODE_OFF;
	return decode;
}

/* Decode is OFF, unless it has changed before vfio_pci_zap_ones() could see that @ones is set. */
static vm_fault_t vfio_pci_fault_off(struct vfio_pci_device *vpd, struct vm_fault *vmf,
				     unsigned int order)
{
	WRITE_ONCE(vpd->mappings.ones, true);
	smp_mb();	/* pairs with vfio_pci_zap_ones() */
	if (vfio_pci_decode_of_fault(vpd) != VFIO_PCI_DECODE_OFF)
		return VM_FAULT_NOPAGE;
	return vfio_device_fault_off(vmf, order);
}

/**
 * vfio_pci_fault - map the page that a user has accessed
 * @vdev: the device
 * @vmf: in a VMA that vfio_pci_bar_mmap() accepted
 * @order: order of the page: 0, PMD_ORDER or PUD_ORDER
 *
 * Context: VMA or mmap lock held. The PCI core and IOMMU drivers take that lock inside locks which
 * are inside ours, so this does not wait.
 * Return: VM_FAULT_NOPAGE; _FALLBACK for a page that would not fit, so that a smaller one is tried;
 * vfio_device_fault_off() while memory decode is off, or in low power; _RETRY while it is busy
 */
vm_fault_t vfio_pci_fault(struct vfio_device *vdev, struct vm_fault *vmf, unsigned int order)
{
	struct vfio_pci_device *vpd = to_vfio_pci(vdev);
	struct vm_area_struct *vma = vmf->vma;
	unsigned int bar = vma->vm_pgoff >> (VFIO_REGION_SHIFT - PAGE_SHIFT);
	unsigned long addr = ALIGN_DOWN(vmf->address, PAGE_SIZE << order);
	u64 page = vfio_pci_bar_page(linear_page_index(vma, addr));
	unsigned long pfn;
	vm_fault_t ret;
	int srcu, wc;

	if (addr < vma->vm_start || vma->vm_end - addr < PAGE_SIZE << order)
		return VM_FAULT_FALLBACK;
	pfn = (pci_resource_start(vpd->pdev, bar) >> PAGE_SHIFT) + page;
	if (!IS_ALIGNED(pfn, 1UL << order))
		return VM_FAULT_FALLBACK;

	srcu = srcu_read_lock(&vpd->mappings.srcu);
	switch (vfio_pci_decode_of_fault(vpd)) {
	case VFIO_PCI_DECODE_OFF:
		ret = vfio_pci_fault_off(vpd, vmf, order);
		break;
	case VFIO_PCI_DECODE_BUSY:
		ret = VM_FAULT_RETRY;
		break;
	case VFIO_PCI_DECODE_ON:
		wc = vfio_pci_wc_pages(vpd, bar, page, 1UL << order);
		ret = vfio_pci_insert_pfn(vmf, pfn, order, wc);
		break;
	}
	srcu_read_unlock(&vpd->mappings.srcu, srcu);
	return ret;
}

/**
 * vfio_pci_fault_wait - wait until a fault that returned VM_FAULT_RETRY is worth retrying
 * @vdev: the device
 *
 * Context: like vfio_pci_decode_enter(); no lock of the mm is held
 */
void vfio_pci_fault_wait(struct vfio_device *vdev)
{
	vfio_pci_decode_wait(to_vfio_pci(vdev));
}
