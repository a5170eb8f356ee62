// SPDX-License-Identifier: GPL-2.0-only
/*
 * The PCI core's callbacks for uncorrected errors (see the kernel's
 * Documentation/PCI/pci-error-recovery.rst) and for resets.
 *
 * From the first callback until recovery has ended, one way or another, the function is frozen: its
 * user is kept from accessing it and waits, as for a reset. This applies even if the link works:
 * the driver of another function may ask for a reset of the bus, and nobody would tell us before
 * it. No lock can be held from one callback to the next, as the device lock is not held either. The
 * PCI core calls with pci_bus_sem held, which it takes inside core_lock elsewhere, so only hw_lock
 * is taken here.
 */
#include <linux/export.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "vfio_pci.h"

/**
 * vfio_pci_lock_user - take core_lock and hw_lock, once the function is not frozen
 * @vpd: the device
 *
 * For calls on behalf of a user. If the user is killed while waiting, the call goes ahead.
 *
 * Context: in the gate, with no lock that the device's removal takes
 */
void vfio_pci_lock_user(struct vfio_pci_device *vpd)
{
	vfio_pci_lock(vpd);
	while (unlikely(vpd->recovery.frozen) && !fatal_signal_pending(current)) {
		vfio_pci_unlock(vpd);
		wait_event_killable(vpd->recovery.thawed, !READ_ONCE(vpd->recovery.frozen));
		vfio_pci_lock(vpd);
	}
}

/**
 * vfio_pci_lock_hw - the same for code that does not call the PCI core: take hw_lock alone
 * @vpd: the device
 *
 * Entering the PCI core requires hw_lock, so nobody does meanwhile.
 *
 * Context: as vfio_pci_lock_user()
 */
void vfio_pci_lock_hw(struct vfio_pci_device *vpd)
{
	mutex_lock(&vpd->hw_lock);
	if (likely(!vpd->recovery.frozen && !vpd->in_core))
		return;
	mutex_unlock(&vpd->hw_lock);
	vfio_pci_lock_user(vpd);
	mutex_unlock(&vpd->core_lock);
}

/* A sleeping function is not woken up: the link may be down, and a reset wakes it up anyway. */
static void vfio_pci_freeze(struct vfio_pci_device *vpd)
{
	struct pci_dev *pdev = vpd->pdev;

	if (vpd->recovery.frozen || vpd->recovery.leaving)
		return;
	if (vfio_pci_is_live(vpd))
		vfio_pci_decode_block(vpd);
	WRITE_ONCE(vpd->recovery.frozen, true);
	/* If the PCI core resets it or wakes it up, it is already saved: vfio_pci_core_enter(). */
	if (!(vpd->in_core && pdev->state_saved) &&
	    (!vfio_pci_answers(pdev) || pci_save_state(pdev)))
		return;
	/* A separate copy, as a reset by the host in the meantime would overwrite the original. */
	vpd->recovery.saved = pci_store_saved_state(pdev);
}

/*
 * Restore the configuration from the time of the freeze or, if that was not saved, from the
 * beginning of the session. Returns false if the function does not answer.
 */
static bool vfio_pci_frozen_restore(struct vfio_pci_device *vpd)
{
	const u16 user = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	struct pci_saved_state *state = vpd->recovery.saved ?: vpd->session.saved;
	struct pci_dev *pdev = vpd->pdev;
	u16 command;

	if (!vfio_pci_answers(pdev))
		return false;
	vfio_pci_power_refresh(vpd);
	if (state)
		pci_load_saved_state(pdev, state);
	pci_restore_state(pdev);
	vfio_mig_was_reset(vpd);
	if (!vfio_pci_is_live(vpd))
		return true;
	/* It may have been on for the kernel alone at the freeze, see vfio_pci_decode_hold(). */
	vfio_pci_decode_unforce(vpd, vfio_pci_config_command(vpd));
	if (vpd->recovery.saved)
		return true;
	pci_read_config_word(pdev, PCI_COMMAND, &command);
	command &= ~user;
	pci_write_config_word(pdev, PCI_COMMAND,
			      command | (vfio_pci_config_command(vpd) & user));
	return true;
}

static void vfio_pci_thaw(struct vfio_pci_device *vpd)
{
	if (!vpd->recovery.frozen)
		return;
	kfree(vpd->recovery.saved);
	vpd->recovery.saved = NULL;
	WRITE_ONCE(vpd->recovery.frozen, false);
	if (vfio_pci_is_live(vpd)) {
		vfio_pci_config_after_reset(vpd);
		vfio_pci_decode_update(vpd);
	}
	wake_up_all(&vpd->recovery.thawed);
}

/*
 * We will not hear of the end of the recovery. A function that does not answer loses its BARs for
 * the rest of the session.
 */
static void vfio_pci_give_up(struct vfio_pci_device *vpd)
{
	lockdep_assert_held(&vpd->hw_lock);

	if (!vpd->recovery.frozen)
		return;
	if (!vfio_pci_frozen_restore(vpd))
		vfio_pci_session_lose(vpd);
	vfio_pci_thaw(vpd);
}

/**
 * vfio_pci_leave - take no part in recoveries any more, as the device is about to be removed
 * @vpd: the device
 *
 * Context: device lock held, takes hw_lock
 */
void vfio_pci_leave(struct vfio_pci_device *vpd)
{
	scoped_guard(mutex, &vpd->hw_lock) {
		WRITE_ONCE(vpd->recovery.leaving, true);
		vfio_pci_hurry(vpd);
		vfio_pci_give_up(vpd);
	}
}

/*
 * VFs that the PCI core does not notify of a recovery, although a reset of their PF resets them:
 * they are on a bus that it does not walk. For a PF in the root complex, it notifies only the PF.
 */
static bool vfio_pci_is_untold_vf(struct vfio_pci_device *pf, struct vfio_pci_device *vf)
{
	return vf->sriov.pf == pf && (vf->pdev->bus != pf->pdev->bus ||
				      pci_pcie_type(pf->pdev) == PCI_EXP_TYPE_RC_END);
}

static void vfio_pci_error_detected_one(struct vfio_pci_device *vpd, void *data)
{
	const pci_channel_state_t *state = data;

	scoped_guard(mutex, &vpd->hw_lock) {
		if (*state == pci_channel_io_perm_failure)
			vfio_pci_give_up(vpd);
		else
			vfio_pci_freeze(vpd);
	}
	vfio_pci_irq_signal_error(vpd);
	vfio_pci_hurry(vpd);
}

static void vfio_pci_slot_reset_one(struct vfio_pci_device *vpd, void *data)
{
	bool *answer = data;

	guard(mutex)(&vpd->hw_lock);
	if (!vfio_pci_frozen_restore(vpd))
		*answer = false;
}

static void vfio_pci_resume_one(struct vfio_pci_device *vpd, void *data)
{
	guard(mutex)(&vpd->hw_lock);
	vfio_pci_thaw(vpd);
}

/* Followed by slot_reset or, if no driver wants a reset, resume; or finally by this call again. */
static pci_ers_result_t vfio_pci_error_detected(struct pci_dev *pdev, pci_channel_state_t state)
{
	struct vfio_pci_device *vpd = pci_get_drvdata(pdev);

	vfio_pci_error_detected_one(vpd, &state);
	vfio_pci_for_each(vpd, vfio_pci_is_untold_vf, vfio_pci_error_detected_one, &state);
	return state == pci_channel_io_normal ? PCI_ERS_RESULT_CAN_RECOVER :
						PCI_ERS_RESULT_NEED_RESET;
}

static pci_ers_result_t vfio_pci_slot_reset(struct pci_dev *pdev)
{
	struct vfio_pci_device *vpd = pci_get_drvdata(pdev);
	bool answer = true;

	vfio_pci_slot_reset_one(vpd, &answer);
	vfio_pci_for_each(vpd, vfio_pci_is_untold_vf, vfio_pci_slot_reset_one, &answer);
	return answer ? PCI_ERS_RESULT_RECOVERED : PCI_ERS_RESULT_DISCONNECT;
}

static void vfio_pci_resume(struct pci_dev *pdev)
{
	struct vfio_pci_device *vpd = pci_get_drvdata(pdev);

	vfio_pci_resume_one(vpd, NULL);
	vfio_pci_for_each(vpd, vfio_pci_is_untold_vf, vfio_pci_resume_one, NULL);
}

const struct pci_error_handlers vfio_pci_error_handlers = {
	.error_detected = vfio_pci_error_detected,
	.slot_reset = vfio_pci_slot_reset,
	.resume = vfio_pci_resume,
	.reset_prepare = vfio_pci_reset_prepare,
	.reset_done = vfio_pci_reset_done,
};
EXPORT_SYMBOL_NS_GPL(vfio_pci_error_handlers, "VFIO_PCI");
