// SPDX-License-Identifier: GPL-2.0-only
/*
 * The interrupt pin. It is level triggered, so an interrupt masks itself when it fires. It stays
 * masked until the user, who alone can silence the device, says that the device has been handled.
 *
 * The line is open while neither @masked nor @disabled is set and the function is not suspended.
 * (An interrupt of another device on the line must not cause an access to a suspended function.)
 * @masked is set by the user through VFIO_DEVICE_SET_IRQS, and when the interrupt fires; disabled
 * INTx counts as masked. @disabled is the Interrupt Disable bit of the command register as the user
 * sees it. In hardware, that bit masks a function (PCI 3.0 6.2.2, PCIe r6.2 7.5.1.1.3). The bit is
 * set while INTx is off, as nobody would handle the interrupt.
 *
 * pci_intx() is a read-modify-write of the command register, and so needs hw_lock, under which the
 * user's writes to that register are made. The interrupt handler and an unmask by eventfd cannot
 * take hw_lock, and use the PCI core's atomic functions. A write of the user may still undo what
 * these have just done. If that leaves INTx open, the handler closes it again at the next
 * interrupt. If it leaves INTx closed, vfio_pci_intx_disable_changed(), which follows the write,
 * opens it again.
 */
#include <linux/eventfd.h>
#include <linux/interrupt.h>
#include <linux/irq.h>

#include "vfio_pci.h"

/**
 * vfio_pci_intx_let_msi - clear Interrupt Disable in a function where it disables MSI as well
 * @vpd: the device, with MSI or MSI-X on, or about to be
 *
 * The PCI core does not touch the bit of such a function, so nobody else clears it.
 *
 * Context: hw_lock held
 */
void vfio_pci_intx_let_msi(struct vfio_pci_device *vpd)
{
	lockdep_assert_held(&vpd->hw_lock);

	if (vpd->pdev->dev_flags & PCI_DEV_FLAGS_MSI_INTX_DISABLE_BUG)
		pci_intx(vpd->pdev, 1);
}

/* With hw_lock held, make the hardware mask INTx. */
static void vfio_pci_intx_close_line(struct vfio_pci_device *vpd)
{
	struct vfio_pci_intx *intx = &vpd->irq.intx;

	lockdep_assert_held(&intx->lock);
	if (intx->can_mask) {
		lockdep_assert_held(&vpd->hw_lock);
		pci_intx(vpd->pdev, 0);
	} else if (!intx->line_off) {
		disable_irq_nosync(vpd->pdev->irq);
		intx->line_off = true;
	}
}

/*
 * Open the line if nothing keeps it closed. If an interrupt is already pending, which would close
 * the line again at once, leave it closed and return true: the caller notifies the user instead.
 */
static bool vfio_pci_intx_open_line(struct vfio_pci_device *vpd)
{
	struct vfio_pci_intx *intx = &vpd->irq.intx;

	lockdep_assert_held(&intx->lock);
	if (intx->masked || intx->disabled || READ_ONCE(vpd->power.suspended))
		return false;
	if (intx->can_mask) {
		intx->masked = !pci_check_and_unmask_intx(vpd->pdev);
	} else if (intx->line_off) {
		intx->line_off = false;
		enable_irq(vpd->pdev->irq);
	}
	return intx->masked;
}

static bool vfio_pci_intx_unmask(struct vfio_pci_device *vpd)
{
	struct vfio_pci_intx *intx = &vpd->irq.intx;

	lockdep_assert_held(&intx->lock);
	intx->retry = false;
	if (!intx->masked)
		return false;
	intx->masked = false;
	return vfio_pci_intx_open_line(vpd);
}

static void vfio_pci_intx_mask(struct vfio_pci_device *vpd)
{
	struct vfio_pci_intx *intx = &vpd->irq.intx;

	guard(spinlock_irqsave)(&intx->lock);
	intx->retry = false;
	intx->masked = true;
	vfio_pci_intx_close_line(vpd);
}

static void vfio_pci_intx_signal(struct vfio_pci_device *vpd)
{
	lockdep_assert_held(&vpd->irq.lock);
	if (vpd->irq.intx.trigger)
		eventfd_signal(vpd->irq.intx.trigger);
}

static void vfio_pci_intx_unmask_signal(struct vfio_pci_device *vpd)
{
	bool pending;

	scoped_guard(spinlock_irqsave, &vpd->irq.intx.lock)
		pending = vfio_pci_intx_unmask(vpd);
	if (pending)
		vfio_pci_intx_signal(vpd);
}

static irqreturn_t vfio_pci_intx_handler(int irq, void *arg)
{
	struct vfio_pci_device *vpd = arg;
	struct vfio_pci_intx *intx = &vpd->irq.intx;
	struct eventfd_ctx *trigger;

	scoped_guard(spinlock_irqsave, &intx->lock) {
		/* Even if already masked, as the mask may have been lost; see above. */
		if (intx->can_mask && (READ_ONCE(vpd->power.suspended) ||
				       !pci_check_and_mask_intx(vpd->pdev)))
			return IRQ_NONE;
		if (intx->masked || intx->disabled)
			return intx->can_mask ? IRQ_NONE : IRQ_HANDLED;
		intx->masked = true;
		if (!intx->can_mask)
			vfio_pci_intx_close_line(vpd);
	}

	trigger = READ_ONCE(intx->trigger);
	if (trigger)
		eventfd_signal(trigger);
	return IRQ_HANDLED;
}

/* The user signaled the unmask eventfd. */
static void vfio_pci_intx_unmask_event(struct vfio_pci_watch *watch)
{
	struct vfio_pci_intx *intx = container_of(watch, struct vfio_pci_intx, unmask);
	struct vfio_pci_device *vpd = container_of(intx, struct vfio_pci_device, irq.intx);

	guard(spinlock_irqsave)(&intx->lock);
	/*
	 * A user who connects the trigger to the unmask eventfd must not keep a CPU busy with hard
	 * interrupts, so in a hard interrupt, leave the unmask to the worker. A pending interrupt
	 * is left to it as well, since no eventfd can be signaled here.
	 */
	if (in_hardirq() || vfio_pci_intx_unmask(vpd)) {
		intx->retry = true;
		schedule_work(&intx->work);
	}
}

static void vfio_pci_intx_worker(struct work_struct *work)
{
	struct vfio_pci_intx *intx = container_of(work, struct vfio_pci_intx, work);
	struct vfio_pci_device *vpd = container_of(intx, struct vfio_pci_device, irq.intx);

	/* Masking INTx, or turning it off, cancels the retry. */
	guard(mutex)(&vpd->irq.lock);
	if (READ_ONCE(intx->retry))
		vfio_pci_intx_unmask_signal(vpd);
}

static int vfio_pci_intx_on(struct vfio_pci_device *vpd, const struct vfio_cmd *cmd,
			    struct eventfd_ctx *trigger)
{
	struct vfio_pci_intx *intx = &vpd->irq.intx;
	unsigned int irq = vpd->pdev->irq;
	int ret;

	if (!irq || irq == IRQ_NOTCONNECTED)
		return vfio_err(cmd->file, -ENODEV, "the host has no interrupt line for it");

	intx->trigger = trigger;
	scnprintf(intx->name, sizeof(intx->name), "vfio-intx(%s)", pci_name(vpd->pdev));
	if (!intx->can_mask) {
		pci_intx(vpd->pdev, 1);
		intx->line_off = true;
		/* Else one more interrupt could come through after the first disable_irq(). */
		irq_set_status_flags(irq, IRQ_DISABLE_UNLAZY);
	}
	ret = request_irq(irq, vfio_pci_intx_handler,
			  intx->can_mask ? IRQF_SHARED : IRQF_NO_AUTOEN, intx->name, vpd);
	if (ret) {
		if (!intx->can_mask) {
			irq_clear_status_flags(irq, IRQ_DISABLE_UNLAZY);
			pci_intx(vpd->pdev, 0);
		}
		intx->trigger = NULL;
		return vfio_err(cmd->file, ret, intx->can_mask ? "request_irq failed" :
				"the function cannot mask INTx, and shares its interrupt line");
	}

	vpd->irq.type = VFIO_PCI_INTX_IRQ_INDEX;
	vfio_pci_intx_unmask_signal(vpd);
	return 0;
}

/**
 * vfio_pci_intx_off - turn INTx off
 * @vpd: the device, with INTx on
 *
 * Context: hw_lock and interrupt lock held
 */
void vfio_pci_intx_off(struct vfio_pci_device *vpd)
{
	struct vfio_pci_intx *intx = &vpd->irq.intx;
	unsigned int irq = vpd->pdev->irq;

	vfio_pci_watch_stop(&intx->unmask);
	vfio_pci_intx_mask(vpd);
	free_irq(irq, vpd);
	if (!intx->can_mask) {
		irq_clear_status_flags(irq, IRQ_DISABLE_UNLAZY);
		pci_intx(vpd->pdev, 0);
	}
	vfio_pci_eventfd_replace(&intx->trigger, NULL);
	vpd->irq.type = VFIO_PCI_NUM_IRQS;
}

/* The mask and unmask actions and loopback require INTx to be on, and exactly one interrupt. */
static int vfio_pci_intx_check(struct vfio_pci_device *vpd, const struct vfio_cmd *cmd,
			       const struct vfio_irq_set *set)
{
	if (vpd->irq.type != VFIO_PCI_INTX_IRQ_INDEX)
		return vfio_err(cmd->file, -EINVAL, "INTx is off");
	return set->count == 1 ? 0 : -EINVAL;
}

int vfio_pci_intx_set_mask(struct vfio_pci_device *vpd, const struct vfio_cmd *cmd,
			   const struct vfio_irq_set *set)
{
	int ret = vfio_pci_intx_check(vpd, cmd, set);

	if (ret)
		return ret;
	if (set->flags & VFIO_IRQ_SET_DATA_EVENTFD)
		return vfio_err(cmd->file, -ENOTTY, "INTx cannot be masked by an eventfd");
	if (vfio_pci_set_means(set, cmd->data, 0))
		vfio_pci_intx_mask(vpd);
	return 0;
}

int vfio_pci_intx_set_unmask(struct vfio_pci_device *vpd, const struct vfio_cmd *cmd,
			     const struct vfio_irq_set *set)
{
	int ret = vfio_pci_intx_check(vpd, cmd, set);
	const s32 *fd = cmd->data;

	if (ret)
		return ret;
	if (!(set->flags & VFIO_IRQ_SET_DATA_EVENTFD)) {
		if (vfio_pci_set_means(set, cmd->data, 0))
			vfio_pci_intx_unmask_signal(vpd);
		return 0;
	}
	if (*fd >= 0)
		return vfio_pci_watch_start(&vpd->irq.intx.unmask, *fd);
	vfio_pci_watch_stop(&vpd->irq.intx.unmask);
	return 0;
}

int vfio_pci_intx_set_trigger(struct vfio_pci_device *vpd, const struct vfio_cmd *cmd,
			      const struct vfio_irq_set *set)
{
	struct vfio_pci_intx *intx = &vpd->irq.intx;
	bool on = vpd->irq.type == VFIO_PCI_INTX_IRQ_INDEX;
	struct eventfd_ctx *trigger;
	int ret;

	if (set->flags & VFIO_IRQ_SET_DATA_EVENTFD) {
		if (set->count != 1)
			return -EINVAL;
		trigger = vfio_pci_eventfd_get(*(s32 *)cmd->data);
		if (IS_ERR(trigger))
			return PTR_ERR(trigger);
		if (!on) {
			ret = vfio_pci_intx_on(vpd, cmd, trigger);
			if (ret && trigger)
				eventfd_ctx_put(trigger);
			return ret;
		}
		trigger = xchg(&intx->trigger, trigger);
		if (trigger) {
			synchronize_irq(vpd->pdev->irq);
			eventfd_ctx_put(trigger);
		}
		return 0;
	}

	if (on && !set->count && set->flags & VFIO_IRQ_SET_DATA_NONE) {
		vfio_pci_intx_off(vpd);
		return 0;
	}
	ret = vfio_pci_intx_check(vpd, cmd, set);
	if (!ret && !intx->disabled && vfio_pci_set_means(set, cmd->data, 0))
		vfio_pci_intx_signal(vpd);
	return ret;
}

/**
 * vfio_pci_intx_disable_changed - apply the Interrupt Disable bit of the user's command register
 * @vpd: the device
 *
 * Must be called after every write to the command register in hardware (by the user, a reset or a
 * change of the power state), whether or not the bit has changed and whichever interrupts are on.
 * Also called when the function has been resumed, or is about to be suspended.
 *
 * Context: hw_lock held, takes the interrupt lock
 */
void vfio_pci_intx_disable_changed(struct vfio_pci_device *vpd)
{
	struct vfio_pci_intx *intx = &vpd->irq.intx;
	bool pending = false;

	lockdep_assert_held(&vpd->hw_lock);

	guard(mutex)(&vpd->irq.lock);
	if (vpd->irq.type == VFIO_PCI_NUM_IRQS)
		pci_intx(vpd->pdev, 0);
	else if (vpd->irq.type != VFIO_PCI_INTX_IRQ_INDEX)
		vfio_pci_intx_let_msi(vpd);
	else if (!intx->can_mask)
		pci_intx(vpd->pdev, 1);
	scoped_guard(spinlock_irqsave, &intx->lock) {
		intx->disabled = vfio_pci_config_command(vpd) & PCI_COMMAND_INTX_DISABLE;
		if (vpd->irq.type == VFIO_PCI_INTX_IRQ_INDEX) {
			if (intx->masked || intx->disabled || vpd->power.suspended)
				vfio_pci_intx_close_line(vpd);
			else
				pending = vfio_pci_intx_open_line(vpd);
		}
	}
	if (pending)
		vfio_pci_intx_signal(vpd);
}

void vfio_pci_intx_init(struct vfio_pci_device *vpd)
{
	struct vfio_pci_intx *intx = &vpd->irq.intx;

	spin_lock_init(&intx->lock);
	intx->masked = true;
	intx->nomask = READ_ONCE(vfio_pci_nointxmask);
	intx->can_mask = !intx->nomask && pci_intx_mask_supported(vpd->pdev);
	intx->unmask.event = vfio_pci_intx_unmask_event;
	INIT_WORK(&intx->work, vfio_pci_intx_worker);
}
