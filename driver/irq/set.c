// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts as a whole: how many there are, what VFIO_DEVICE_SET_IRQS does with them, and their
 * setup and teardown with a session.
 */
#include <linux/interrupt.h>
#include <linux/iommu.h>
#include <linux/nospec.h>
#include <linux/seq_file.h>

#include "trace.h"
#include "vfio_pci.h"

static const char * const vfio_pci_irq_names[] = {
	[VFIO_PCI_INTX_IRQ_INDEX] = "intx",
	[VFIO_PCI_MSI_IRQ_INDEX] = "msi",
	[VFIO_PCI_MSIX_IRQ_INDEX] = "msix",
	[VFIO_PCI_ERR_IRQ_INDEX] = "error",
	[VFIO_PCI_REQ_IRQ_INDEX] = "request",
};

/* The bits of the action, as an index; MASK is the lowest of them. */
#define VFIO_PCI_ACTION(flags) \
	(((flags) & VFIO_IRQ_SET_ACTION_TYPE_MASK) / VFIO_IRQ_SET_ACTION_MASK)
#define VFIO_PCI_NUM_ACTIONS	(VFIO_PCI_ACTION(~0) + 1)

/*
 * The handlers of each action on each index; several actions at once have none. When a handler is
 * called, @index, @start and @count have been checked, and of INTx, MSI and MSI-X, none is on but
 * its own.
 */
static const vfio_pci_set_irq_fn
vfio_pci_set_irq_fns[VFIO_PCI_NUM_IRQS][VFIO_PCI_NUM_ACTIONS] = {
	[VFIO_PCI_INTX_IRQ_INDEX] = {
		[VFIO_PCI_ACTION(VFIO_IRQ_SET_ACTION_MASK)] = vfio_pci_intx_set_mask,
		[VFIO_PCI_ACTION(VFIO_IRQ_SET_ACTION_UNMASK)] = vfio_pci_intx_set_unmask,
		[VFIO_PCI_ACTION(VFIO_IRQ_SET_ACTION_TRIGGER)] = vfio_pci_intx_set_trigger,
	},
	[VFIO_PCI_MSI_IRQ_INDEX] = {
		[VFIO_PCI_ACTION(VFIO_IRQ_SET_ACTION_TRIGGER)] = vfio_pci_msi_set_trigger,
	},
	[VFIO_PCI_MSIX_IRQ_INDEX] = {
		[VFIO_PCI_ACTION(VFIO_IRQ_SET_ACTION_TRIGGER)] = vfio_pci_msi_set_trigger,
	},
	[VFIO_PCI_ERR_IRQ_INDEX] = {
		[VFIO_PCI_ACTION(VFIO_IRQ_SET_ACTION_TRIGGER)] = vfio_pci_event_set_trigger,
	},
	[VFIO_PCI_REQ_IRQ_INDEX] = {
		[VFIO_PCI_ACTION(VFIO_IRQ_SET_ACTION_TRIGGER)] = vfio_pci_event_set_trigger,
	},
};

/**
 * vfio_pci_irq_count - how many interrupts there are
 * @vpd: the device, in a session
 * @index: VFIO_PCI_*_IRQ_INDEX
 *
 * Return: the number; 0 for an index that the function lacks, and for one that does not exist
 */
unsigned int vfio_pci_irq_count(struct vfio_pci_device *vpd, unsigned int index)
{
	if (index >= VFIO_PCI_NUM_IRQS)
		return 0;
	if (index == VFIO_PCI_INTX_IRQ_INDEX)
		return vfio_pci_config_intx_pin(vpd) ? 1 : 0;
	return vpd->irq.count[array_index_nospec(index, VFIO_PCI_NUM_IRQS)];
}

/**
 * vfio_pci_irq_flags - what interrupts can do
 * @vpd: the device
 * @index: VFIO_PCI_*_IRQ_INDEX
 *
 * Return: VFIO_IRQ_INFO_*
 */
u32 vfio_pci_irq_flags(struct vfio_pci_device *vpd, unsigned int index)
{
	if (index == VFIO_PCI_INTX_IRQ_INDEX)
		return VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
	if (index == VFIO_PCI_MSIX_IRQ_INDEX && vpd->irq.dyn_msix)
		return VFIO_IRQ_INFO_EVENTFD;
	return VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE;
}

/**
 * vfio_pci_irq_is_on - is one of INTx, MSI and MSI-X on?
 * @vpd: the device
 *
 * Context: any; the answer lasts while hw_lock is held
 */
bool vfio_pci_irq_is_on(struct vfio_pci_device *vpd)
{
	return READ_ONCE(vpd->irq.type) != VFIO_PCI_NUM_IRQS;
}

/**
 * vfio_pci_irq_is_msi - is MSI on?
 * @vpd: the device
 *
 * Context: any; the answer lasts while hw_lock is held
 */
bool vfio_pci_irq_is_msi(struct vfio_pci_device *vpd)
{
	return READ_ONCE(vpd->irq.type) == VFIO_PCI_MSI_IRQ_INDEX;
}

/**
 * vfio_pci_irq_is_msix - is MSI-X on?
 * @vpd: the device
 *
 * Context: any; the answer lasts while hw_lock is held
 */
bool vfio_pci_irq_is_msix(struct vfio_pci_device *vpd)
{
	return READ_ONCE(vpd->irq.type) == VFIO_PCI_MSIX_IRQ_INDEX;
}

/**
 * vfio_pci_irq_show - show in fdinfo what is on, and how many interrupts have an eventfd
 * @vpd: the device
 * @m: the file
 *
 * Context: takes the interrupt lock
 */
void vfio_pci_irq_show(struct vfio_pci_device *vpd, struct seq_file *m)
{
	struct vfio_pci_irqs *irqs = &vpd->irq;
	unsigned int i, on = 0;

	guard(mutex)(&irqs->lock);
	if (irqs->type == VFIO_PCI_NUM_IRQS) {
		seq_puts(m, "vfio-irq:\tnone\n");
		return;
	}
	if (irqs->type == VFIO_PCI_INTX_IRQ_INDEX) {
		on = !!irqs->intx.trigger;
	} else {
		for (i = 0; i < irqs->count[irqs->type]; i++)
			on += !!irqs->vectors[i].trigger;
	}
	seq_printf(m, "vfio-irq:\t%s %u of %u\n", vfio_pci_irq_names[irqs->type], on,
		   vfio_pci_irq_count(vpd, irqs->type));
}

static int vfio_pci_set_irqs_locked(struct vfio_pci_device *vpd, const struct vfio_cmd *cmd,
				    const struct vfio_irq_set *set, vfio_pci_set_irq_fn fn)
{
	unsigned int on;
	int ret;

	guard(mutex)(&vpd->irq.lock);
	on = vpd->irq.type;
	if (set->index <= VFIO_PCI_MSIX_IRQ_INDEX && on != VFIO_PCI_NUM_IRQS && on != set->index)
		return vfio_err(cmd->file, -EINVAL, "%s interrupts are on: turn them off first",
				vfio_pci_irq_names[on]);
	ret = fn(vpd, cmd, set);
	if (vpd->irq.type != on)
		trace_vfio_pci_irq(vpd->pdev, set->index, vpd->irq.type != VFIO_PCI_NUM_IRQS);
	return ret;
}

static int vfio_pci_set_irqs_in_d0(struct vfio_pci_device *vpd, const struct vfio_cmd *cmd,
				   const struct vfio_irq_set *set, vfio_pci_set_irq_fn fn)
{
	if (vpd->power.suspended)
		return vfio_err(cmd->file, -EIO, "another thread has put the function to sleep");
	if (vpd->recovery.frozen)
		return vfio_err(cmd->file, -EAGAIN, "the function is recovering from an error");
	/* Its MSI-X table is gone, like everything in its BARs. */
	if (!vfio_pci_is_live(vpd))
		return vfio_err(cmd->file, -EIO, "the function has failed, and cannot be reached");
	if (vfio_pci_asleep(vpd->pdev->current_state))
		return vfio_err(cmd->file, -EIO, "the function does not wake up");
	return vfio_pci_set_irqs_locked(vpd, cmd, set, fn);
}

/* Will the call enable MSI or MSI-X, and does the kernel have to make an interrupt domain first? */
static bool vfio_pci_irq_lacks_domain(struct vfio_pci_device *vpd, const struct vfio_irq_set *set)
{
	struct vfio_pci_irqs *irqs = &vpd->irq;

	if (!irqs->walks || irqs->type != VFIO_PCI_NUM_IRQS || irqs->domain == set->index)
		return false;
	return (set->index == VFIO_PCI_MSI_IRQ_INDEX || set->index == VFIO_PCI_MSIX_IRQ_INDEX) &&
	       set->flags & VFIO_IRQ_SET_DATA_EVENTFD && irqs->attached;
}

/*
 * The kernel makes the domain before it touches the hardware, and keeps it until it makes one for
 * the other type, MSI or MSI-X. So ask for an impossible number of vectors, which does nothing
 * else: one vector, of which two are reserved.
 *
 * Context: core_lock and hw_lock held; hw_lock is released in the meantime
 */
static void vfio_pci_irq_make_domain(struct vfio_pci_device *vpd, unsigned int index)
{
	struct irq_affinity none = { .pre_vectors = 2 };
	unsigned int kind = index == VFIO_PCI_MSIX_IRQ_INDEX ? PCI_IRQ_MSIX : PCI_IRQ_MSI;
	int ret;

	vfio_pci_core_enter(vpd, false);
	ret = pci_alloc_irq_vectors_affinity(vpd->pdev, 1, 1, kind | PCI_IRQ_AFFINITY, &none);
	vfio_pci_core_exit(vpd);
	/* A recovery may have ended in the meantime. */
	vfio_pci_decode_update(vpd);
	if (ret == -ENOSPC)
		vpd->irq.domain = index;
}

/* MSIs can only be set up in D0 (MSI-X in a BAR), so wake the function up if it sleeps. */
static int vfio_pci_set_irqs_awake(struct vfio_pci_device *vpd, const struct vfio_cmd *cmd,
				   const struct vfio_irq_set *set, vfio_pci_set_irq_fn fn)
{
	pci_power_t state;
	int ret;

	scoped_guard(vfio_pci_hw, vpd) {
		if (vpd->power.suspended || (!vfio_pci_asleep(vpd->pdev->current_state) &&
					     !vfio_pci_irq_lacks_domain(vpd, set)))
			return vfio_pci_set_irqs_in_d0(vpd, cmd, set, fn);
	}
	guard(vfio_pci_user)(vpd);
	state = vpd->pdev->current_state;
	if (!vpd->power.suspended && !vpd->recovery.frozen) {
		vfio_pci_set_power_state(vpd, PCI_D0);
		if (vfio_pci_irq_lacks_domain(vpd, set))
			vfio_pci_irq_make_domain(vpd, set->index);
	}
	ret = vfio_pci_set_irqs_in_d0(vpd, cmd, set, fn);
	if (!vpd->power.suspended && !vpd->recovery.frozen)
		vfio_pci_set_power_state(vpd, state);
	return ret;
}

static int vfio_pci_set_irqs_mapped(struct vfio_pci_device *vpd, const struct vfio_cmd *cmd,
				    const struct vfio_irq_set *set, vfio_pci_set_irq_fn fn)
{
	int ret;

	vpd->irq.attached = vfio_device_lock_attached(&vpd->vdev);
	ret = vfio_pci_set_irqs_awake(vpd, cmd, set, fn);
	vfio_device_unlock_attached(&vpd->vdev);
	return ret;
}

/**
 * vfio_pci_set_irqs - answer VFIO_DEVICE_SET_IRQS
 * @cmd: struct vfio_irq_set, and its data. The front end has checked that there is exactly one kind
 *	of data, that its size matches the number of interrupts, and that no unknown flag is set.
 *
 * Return: 0; the number of vectors that the host has, if these are too few to turn MSI or MSI-X on;
 * or a negative errno
 */
int vfio_pci_set_irqs(struct vfio_cmd *cmd)
{
	struct vfio_pci_device *vpd = to_vfio_pci(cmd->vdev);
	struct vfio_irq_set *set = (void *)cmd->arg;
	unsigned int action = VFIO_PCI_ACTION(set->flags);
	unsigned int max = vfio_pci_irq_count(vpd, set->index);
	vfio_pci_set_irq_fn fn;
	bool only_signals;

	if (set->start >= max || set->count > max - set->start)
		return vfio_err(cmd->file, -EINVAL, "interrupts %u+%u of index %u, which has %u",
				set->start, set->count, set->index, max);
	set->index = array_index_nospec(set->index, VFIO_PCI_NUM_IRQS);
	set->start = array_index_nospec(set->start, max);

	fn = vfio_pci_set_irq_fns[set->index][action];
	if (!fn)
		return vfio_err(cmd->file, -ENOTTY, "%s interrupts do not support this action",
				vfio_pci_irq_names[set->index]);

	only_signals = set->index > VFIO_PCI_MSIX_IRQ_INDEX ||
		       (action == VFIO_PCI_ACTION(VFIO_IRQ_SET_ACTION_TRIGGER) && set->count &&
			!(set->flags & VFIO_IRQ_SET_DATA_EVENTFD));
	if (only_signals)
		return vfio_pci_set_irqs_locked(vpd, cmd, set, fn);
	if (vpd->irq.mapped && set->index != VFIO_PCI_INTX_IRQ_INDEX &&
	    set->flags & VFIO_IRQ_SET_DATA_EVENTFD)
		return vfio_pci_set_irqs_mapped(vpd, cmd, set, fn);
	return vfio_pci_set_irqs_awake(vpd, cmd, set, fn);
}

/**
 * vfio_pci_irq_open - at the beginning of a session, count interrupts and turn them off
 * @vpd: the device, enabled and clean
 *
 * Context: hw_lock held
 */
void vfio_pci_irq_open(struct vfio_pci_device *vpd)
{
	struct vfio_pci_irqs *irqs = &vpd->irq;

	lockdep_assert_held(&vpd->hw_lock);

	/* Each reset may change the number of a VF's vectors (NVMe base 2.0, 8.26). */
	irqs->count[VFIO_PCI_MSI_IRQ_INDEX] = max(pci_msi_vec_count(vpd->pdev), 0);
	irqs->count[VFIO_PCI_MSIX_IRQ_INDEX] = max(pci_msix_vec_count(vpd->pdev), 0);
	irqs->intx.disabled = false;
	pci_intx(vpd->pdev, 0);
}

/**
 * vfio_pci_irq_close - turn all interrupts off, at the end of a session
 * @vpd: the device, in D0; no ioctl is running
 *
 * Context: takes core_lock, hw_lock and the interrupt lock
 */
void vfio_pci_irq_close(struct vfio_pci_device *vpd)
{
	scoped_guard(vfio_pci, vpd) {
		guard(mutex)(&vpd->irq.lock);
		if (vpd->irq.type != VFIO_PCI_NUM_IRQS)
			trace_vfio_pci_irq(vpd->pdev, vpd->irq.type, false);
		if (vpd->irq.type == VFIO_PCI_INTX_IRQ_INDEX)
			vfio_pci_intx_off(vpd);
		else if (vpd->irq.type != VFIO_PCI_NUM_IRQS)
			vfio_pci_msi_off(vpd);
		vfio_pci_eventfd_replace(&vpd->irq.error, NULL);
		vfio_pci_eventfd_replace(&vpd->irq.request, NULL);
	}
	/* Outside the interrupt lock, which the work takes. Nobody can queue it any more. */
	cancel_work_sync(&vpd->irq.intx.work);
}

static bool vfio_pci_messages_mapped(struct device *dev)
{
	struct iommu_resv_region *region;
	bool mapped = false;
	LIST_HEAD(regions);

	if (!device_iommu_mapped(dev))
		return false;
	iommu_get_resv_regions(dev, &regions);
	list_for_each_entry(region, &regions, list)
		mapped |= region->type == IOMMU_RESV_SW_MSI;
	iommu_put_resv_regions(dev, &regions);
	return mapped;
}

/**
 * vfio_pci_irq_init - find out what interrupts a new device has
 * @vpd: the device; its config space answers
 */
void vfio_pci_irq_init(struct vfio_pci_device *vpd)
{
	struct vfio_pci_irqs *irqs = &vpd->irq;

	mutex_init(&irqs->lock);
	irqs->type = VFIO_PCI_NUM_IRQS;
	irqs->count[VFIO_PCI_ERR_IRQ_INDEX] = 1;
	irqs->count[VFIO_PCI_REQ_IRQ_INDEX] = 1;
	irqs->dyn_msix = pci_msix_can_alloc_dyn(vpd->pdev);
	irqs->mapped = vfio_pci_messages_mapped(&vpd->pdev->dev);
	/* For a function behind a bridge to PCI, the ITS's driver counts all that are there. */
	irqs->walks = irqs->mapped && !pci_is_pcie(vpd->pdev);
	irqs->domain = VFIO_PCI_NUM_IRQS;
	vfio_pci_intx_init(vpd);
}
