// SPDX-License-Identifier: GPL-2.0-only
/*
 * Power: the states that the user puts the function into, and its suspension by runtime PM while it
 * has no owner, or while its user allows it (low power).
 *
 * A session holds a runtime PM reference, except during low power. So does anybody who resets the
 * function. The callbacks take our locks, so we never wait for runtime PM with one of them held.
 */
#include <linux/eventfd.h>
#include <linux/export.h>
#include <linux/pm_runtime.h>

#include "trace.h"
#include "vfio_pci.h"

/* A function that was closed is often opened again soon, and waking up takes time. */
#define VFIO_PCI_AUTOSUSPEND_MS	3000

/* PCIe r6.2 7.5.2.2: without No_Soft_Reset, D3hot to D0 is a reset. */
static bool vfio_pci_wakes_up_reset(struct pci_dev *pdev)
{
	u16 pmcsr;

	if (!pdev->pm_cap)
		return false;
	pci_read_config_word(pdev, pdev->pm_cap + PCI_PM_CTRL, &pmcsr);
	return !(pmcsr & PCI_PM_CTRL_NO_SOFT_RESET);
}

/**
 * vfio_pci_set_power_state - put the function to sleep, or wake it up
 * @vpd: the device
 * @state: PCI_D0 to PCI_D3hot
 *
 * If the function loses its configuration in D3hot, it is restored.
 *
 * Context: core_lock and hw_lock held; hw_lock is released temporarily
 * Return: 0; -EBUSY when it has virtual functions, which need it awake (PCIe r6.2 9.6.2); or an
 * error of pci_set_power_state()
 */
int vfio_pci_set_power_state(struct vfio_pci_device *vpd, pci_power_t state)
{
	struct pci_dev *pdev = vpd->pdev;
	pci_power_t was = pdev->current_state;
	bool forgets;
	int ret;

	lockdep_assert_held(&vpd->hw_lock);

	if (state == was)
		return 0;
	if (vfio_pci_asleep(state) && vpd->sriov.enabled)
		return -EBUSY;
	forgets = vfio_pci_wakes_up_reset(pdev);
	if (vfio_pci_asleep(state)) {
		vfio_pci_decode_block(vpd);
		if (forgets)
			pci_save_state(pdev);
	}
	vfio_pci_core_enter(vpd, forgets);
	ret = pci_set_power_state(pdev, state);
	vfio_pci_core_exit(vpd);
	trace_vfio_pci_power(pdev, was, state, ret);
	if (!ret && forgets && vfio_pci_asleep(was) && state == PCI_D0) {
		pci_restore_state(pdev);
		vfio_mig_was_reset(vpd);
	}
	/* The restored configuration includes an outdated Interrupt Disable bit. */
	if (state == PCI_D0 && vfio_pci_is_live(vpd))
		vfio_pci_intx_disable_changed(vpd);
	vfio_pci_decode_update(vpd);
	return ret;
}

/**
 * vfio_pci_power_refresh - read back the power state after a reset by error recovery
 * @vpd: the device
 *
 * A reset ends in D0 (PCIe r6.2 5.3.1.1), but the PCI core does not know. Nor can it be asked for
 * D0, as it would take pci_bus_sem, which recovery holds.
 *
 * Context: hw_lock held
 */
void vfio_pci_power_refresh(struct vfio_pci_device *vpd)
{
	struct pci_dev *pdev = vpd->pdev;
	pci_power_t was = pdev->current_state;
	u16 pmcsr;

	lockdep_assert_held(&vpd->hw_lock);

	if (!pdev->pm_cap)
		return;
	pci_read_config_word(pdev, pdev->pm_cap + PCI_PM_CTRL, &pmcsr);
	if (PCI_POSSIBLE_ERROR(pmcsr))
		return;
	pdev->current_state = (__force pci_power_t)(pmcsr & PCI_PM_CTRL_STATE_MASK);
	if (pdev->current_state != was)
		trace_vfio_pci_power(pdev, was, pdev->current_state, 0);
}

/* The function is about to be suspended, by runtime PM or with the whole system. */
static int vfio_pci_suspend(struct device *dev)
{
	struct vfio_pci_device *vpd = dev_get_drvdata(dev);

	guard(vfio_pci)(vpd);
	if (vfio_pci_is_live(vpd)) {
		/* The PCI core saves config space, and chooses the state. */
		vfio_pci_set_power_state(vpd, PCI_D0);
		vfio_pci_decode_block(vpd);
	}
	/* Else the PCI core would save all ones, and restore them when it answers again. */
	if (!vfio_pci_answers(vpd->pdev))
		vpd->pdev->state_saved = true;
	WRITE_ONCE(vpd->power.suspended, true);
	if (vfio_pci_is_live(vpd))
		vfio_pci_intx_disable_changed(vpd);
	vfio_pci_decode_update(vpd);
	return 0;
}

/* Give the session its runtime PM reference back. Returns the eventfd to be put, or NULL. */
static struct eventfd_ctx *vfio_pci_low_power_leave(struct vfio_pci_device *vpd)
{
	struct eventfd_ctx *wakeup = vpd->power.wakeup;

	lockdep_assert_held(&vpd->hw_lock);

	pm_runtime_get_noresume(&vpd->pdev->dev);
	vpd->power.wakeup = NULL;
	WRITE_ONCE(vpd->power.low, false);
	vfio_device_set_sleepy(&vpd->vdev, false);
	return wakeup;
}

/* The function is back in D0, with its configuration. Error recovery waits for this call. */
static int vfio_pci_resume(struct device *dev)
{
	struct vfio_pci_device *vpd = dev_get_drvdata(dev);
	struct eventfd_ctx *wakeup = NULL;

	guard(mutex)(&vpd->hw_lock);
	WRITE_ONCE(vpd->power.suspended, false);
	if (vpd->power.wakeup)
		wakeup = vfio_pci_low_power_leave(vpd);
	if (vfio_pci_is_live(vpd)) {
		vfio_mig_was_reset(vpd);
		vfio_pci_config_after_reset(vpd);
	}
	vfio_pci_decode_update(vpd);

	/* Only now can whoever waits for the eventfd access the BARs. */
	if (wakeup) {
		eventfd_signal(wakeup);
		eventfd_ctx_put(wakeup);
	}
	return 0;
}

const struct dev_pm_ops vfio_pci_pm_ops = {
	SYSTEM_SLEEP_PM_OPS(vfio_pci_suspend, vfio_pci_resume)
	RUNTIME_PM_OPS(vfio_pci_suspend, vfio_pci_resume, NULL)
};
EXPORT_SYMBOL_NS_GPL(vfio_pci_pm_ops, "VFIO_PCI");

/* Whether power/control is "auto" */
static bool vfio_pci_power_is_auto(struct device *dev)
{
#ifdef CONFIG_PM
	return dev->power.runtime_auto;
#else
	return false;
#endif
}

/**
 * vfio_pci_power_init - let a function sleep while nobody uses it
 * @vpd: the device, in D0, in probe
 *
 * The PCI core has forbidden runtime PM, unless user space has allowed it since, and holds a
 * reference during probe. Some functions never return from D3cold, so it is allowed only after the
 * user has asked for low power.
 */
void vfio_pci_power_init(struct vfio_pci_device *vpd)
{
	struct device *dev = &vpd->pdev->dev;

	pci_d3cold_disable(vpd->pdev);
	vpd->power.idle_d3 = !READ_ONCE(vfio_pci_disable_idle_d3);
	vpd->power.was_auto = vfio_pci_power_is_auto(dev);
	pm_runtime_set_autosuspend_delay(dev, VFIO_PCI_AUTOSUSPEND_MS);
	pm_runtime_use_autosuspend(dev);
	pm_runtime_allow(dev);
	if (vpd->power.idle_d3)
		pm_runtime_put_autosuspend(dev);
}

/**
 * vfio_pci_power_exit - the mirror of vfio_pci_power_init()
 * @vpd: the device, with no session; it is awake on return
 */
void vfio_pci_power_exit(struct vfio_pci_device *vpd)
{
	struct device *dev = &vpd->pdev->dev;

	if (vpd->power.idle_d3)
		pm_runtime_get_sync(dev);
	if (!vpd->power.was_auto)
		pm_runtime_forbid(dev);
	pm_runtime_dont_use_autosuspend(dev);
	pci_d3cold_enable(vpd->pdev);
}

/**
 * vfio_pci_power_open - keep the function awake for a session
 * @vpd: the device
 *
 * With disable_idle_d3, the reference that keeps an idle function awake becomes the session's, so
 * that low power can give it up.
 *
 * Context: may sleep; hw_lock not held
 * Return: 0 or the error from waking it up
 */
int vfio_pci_power_open(struct vfio_pci_device *vpd)
{
	return vpd->power.idle_d3 ? pm_runtime_resume_and_get(&vpd->pdev->dev) : 0;
}

/**
 * vfio_pci_power_close - the mirror of vfio_pci_power_open()
 * @vpd: the device, not in low power
 */
void vfio_pci_power_close(struct vfio_pci_device *vpd)
{
	pci_d3cold_disable(vpd->pdev);
	if (vpd->power.idle_d3)
		pm_runtime_put_autosuspend(&vpd->pdev->dev);
}

/**
 * vfio_pci_wake - keep the function awake until vfio_pci_rest()
 * @vdev: the device
 *
 * Context: may sleep; hw_lock not held
 * Return: 0 or the error from waking it up
 */
int vfio_pci_wake(struct vfio_device *vdev)
{
	return pm_runtime_resume_and_get(&to_vfio_pci(vdev)->pdev->dev);
}

/**
 * vfio_pci_rest - end what vfio_pci_wake() began
 * @vdev: the device
 */
void vfio_pci_rest(struct vfio_device *vdev)
{
	pm_runtime_put_autosuspend(&to_vfio_pci(vdev)->pdev->dev);
}

static int vfio_pci_low_power_enter(struct vfio_cmd *cmd, struct eventfd_ctx *wakeup)
{
	struct vfio_pci_device *vpd = to_vfio_pci(cmd->vdev);

	scoped_guard(vfio_pci, vpd) {
		if (vpd->power.low)
			return vfio_err(cmd->file, -EINVAL, "the device is in low power already");
		/* In this order: a fault that misses the flag ends before the mappings go. */
		WRITE_ONCE(vpd->power.low, true);
		vfio_pci_decode_block(vpd);
		vpd->power.wakeup = wakeup;
		vfio_device_set_sleepy(&vpd->vdev, true);
		vfio_pci_decode_update(vpd);
	}
	/* Stays enabled until the end of the session: it does not matter while awake. */
	pci_d3cold_enable(vpd->pdev);
	/* Suspend without delay, if nobody else keeps it awake. */
	pm_runtime_put_sync_suspend(&vpd->pdev->dev);
	return 0;
}

/**
 * vfio_pci_low_power_entry - answer a SET of VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY
 * @cmd: without data
 *
 * Return: 0; -EINVAL in low power
 */
int vfio_pci_low_power_entry(struct vfio_cmd *cmd)
{
	return vfio_pci_low_power_enter(cmd, NULL);
}

/**
 * vfio_pci_low_power_entry_with_wakeup - answer a SET of
 * VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP
 * @cmd: struct vfio_device_low_power_entry_with_wakeup
 *
 * Return: 0; -EINVAL in low power, or when the fd is not an eventfd; -EBADF
 */
int vfio_pci_low_power_entry_with_wakeup(struct vfio_cmd *cmd)
{
	const struct vfio_device_low_power_entry_with_wakeup *entry = cmd->data;
	struct eventfd_ctx *wakeup;
	int ret;

	if (entry->wakeup_eventfd < 0)
		return vfio_err(cmd->file, -EINVAL, "%d is not an eventfd",
				entry->wakeup_eventfd);
	wakeup = eventfd_ctx_fdget(entry->wakeup_eventfd);
	if (IS_ERR(wakeup))
		return PTR_ERR(wakeup);
	ret = vfio_pci_low_power_enter(cmd, wakeup);
	if (ret)
		eventfd_ctx_put(wakeup);
	return ret;
}

/**
 * vfio_pci_low_power_end - end low power, if the device is in low power
 * @vpd: the device, in a session
 *
 * A function that fails to wake up is treated as awake: accesses to it will fail.
 *
 * Context: may sleep; takes hw_lock
 */
void vfio_pci_low_power_end(struct vfio_pci_device *vpd)
{
	struct device *dev = &vpd->pdev->dev;
	struct eventfd_ctx *wakeup = NULL;

	if (!READ_ONCE(vpd->power.low))
		return;
	pm_runtime_get_sync(dev);
	scoped_guard(mutex, &vpd->hw_lock) {
		if (vpd->power.low)
			wakeup = vfio_pci_low_power_leave(vpd);
		/* If it has not slept, resume did not do this. It also removes the page of ones. */
		vfio_pci_decode_update(vpd);
	}
	/* It has not slept, so do not signal. */
	if (wakeup)
		eventfd_ctx_put(wakeup);
	pm_runtime_put_autosuspend(dev);
}

/**
 * vfio_pci_low_power_exit - answer a SET of VFIO_DEVICE_FEATURE_LOW_POWER_EXIT
 * @cmd: without data
 *
 * Return: 0, even if it is not in low power
 */
int vfio_pci_low_power_exit(struct vfio_cmd *cmd)
{
	vfio_pci_low_power_end(to_vfio_pci(cmd->vdev));
	return 0;
}
