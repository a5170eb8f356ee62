// SPDX-License-Identifier: GPL-2.0-only
/*
 * The state of a device that can migrate. Its user changes it step by step, and each reset changes
 * it to RUNNING. A reset holds locks that are inside the lock of the state. So it leaves a note,
 * and whoever takes that lock next acts upon the note.
 */
#include <linux/delay.h>
#include <linux/export.h>
#include <linux/pm_runtime.h>
#include <linux/slab.h>

#include "trace.h"
#include "vfio_pci.h"

static const char * const names[VFIO_DEVICE_STATE_NR] = {
	[VFIO_DEVICE_STATE_ERROR] = "ERROR",
	[VFIO_DEVICE_STATE_STOP] = "STOP",
	[VFIO_DEVICE_STATE_RUNNING] = "RUNNING",
	[VFIO_DEVICE_STATE_STOP_COPY] = "STOP_COPY",
	[VFIO_DEVICE_STATE_RESUMING] = "RESUMING",
	[VFIO_DEVICE_STATE_RUNNING_P2P] = "RUNNING_P2P",
	[VFIO_DEVICE_STATE_PRE_COPY] = "PRE_COPY",
	[VFIO_DEVICE_STATE_PRE_COPY_P2P] = "PRE_COPY_P2P",
};

/* The function is in its power-on state, or about to be: end everything that was begun. */
static void vfio_mig_forget(struct vfio_mig *mig)
{
	vfio_mig_stream_end(mig);
	mig->state = VFIO_DEVICE_STATE_RUNNING;
	mig->page_size = 0;
	if (mig->ops->forget)
		mig->ops->forget(mig->vpd);
}

/**
 * vfio_mig_lock - take the lock of the state, and bring the state up to date
 * @mig: the migration of an open device
 */
void vfio_mig_lock(struct vfio_mig *mig)
{
	mutex_lock(&mig->lock);
	if (test_and_clear_bit(VFIO_MIG_WAS_RESET, &mig->flags))
		vfio_mig_forget(mig);
}

/**
 * vfio_mig_was_reset - note that an open device was reset, or has lost its state otherwise
 * @vpd: the device
 *
 * Context: hw_lock held
 */
void vfio_mig_was_reset(struct vfio_pci_device *vpd)
{
	struct vfio_mig *mig = vpd->mig;

	lockdep_assert_held(&vpd->hw_lock);

	if (!mig || !vfio_pci_is_live(vpd))
		return;
	set_bit(VFIO_MIG_WAS_RESET, &mig->flags);
	/* Its data file must die even if nobody else takes the lock. */
	mod_delayed_work(vfio_pci_wq, &mig->work, 0);
}

/**
 * vfio_mig_catch_up - act upon a reset that the user has requested, before the request returns
 * @vpd: the device
 *
 * Context: takes the lock of the state
 */
void vfio_mig_catch_up(struct vfio_pci_device *vpd)
{
	if (vpd->mig) {
		vfio_mig_lock(vpd->mig);
		mutex_unlock(&vpd->mig->lock);
	}
}

static int vfio_mig_do(struct vfio_mig *mig, enum vfio_mig_deed deed, struct vfio_cmd *cmd)
{
	const struct vfio_mig_ops *ops = mig->ops;
	int ret;

	switch (deed) {
	case VFIO_MIG_STOP_INITIATOR:
		return ops->stop_initiator(mig->vpd);
	case VFIO_MIG_STOP_RESPONDER:
		return ops->stop_responder ? ops->stop_responder(mig->vpd) : 0;
	case VFIO_MIG_START_RESPONDER:
		return ops->start_responder ? ops->start_responder(mig->vpd) : 0;
	case VFIO_MIG_START_INITIATOR:
		return ops->start_initiator(mig->vpd);
	case VFIO_MIG_SAVE_BEGIN:
		return vfio_mig_save_begin(mig, cmd);
	case VFIO_MIG_SAVE_REST:
		vfio_mig_save_rest(mig);
		return 0;
	case VFIO_MIG_SAVE_END:
		ret = ops->save_end(mig->vpd);
		if (!ret)
			vfio_mig_stream_end(mig);
		return ret;
	case VFIO_MIG_LOAD_BEGIN:
		return vfio_mig_load_begin(mig, cmd);
	case VFIO_MIG_LOAD_END:
		return vfio_mig_load_end(mig);
	default:
		return 0;
	}
}

/* Make one step. If it fails, undo what it has done; if that fails, the state is ERROR. */
static int vfio_mig_step(struct vfio_mig *mig, const struct vfio_mig_arc *arc,
			 struct vfio_cmd *cmd)
{
	bool lost = false;
	int i, ret = 0;

	for (i = 0; i < VFIO_MIG_DEEDS && !ret; i++)
		ret = vfio_mig_do(mig, arc->deeds[i], cmd);
	if (!ret) {
		mig->state = arc->to;
		return 0;
	}
	/* A deed that failed has done nothing, unless it timed out or left a state half loaded. */
	i--;
	lost = ret == -ETIMEDOUT || arc->deeds[i] == VFIO_MIG_LOAD_END;
	while (--i >= 0 && !lost)
		lost = vfio_mig_do(mig, vfio_mig_undo(arc->deeds[i]), cmd);
	if (lost) {
		vfio_mig_stream_end(mig);
		mig->state = VFIO_DEVICE_STATE_ERROR;
	}
	return ret;
}

static int vfio_mig_go(struct vfio_mig *mig, u32 to, struct vfio_cmd *cmd)
{
	const struct vfio_mig_arc *arc;
	int ret;

	while (mig->state != to) {
		arc = vfio_mig_next(mig->features, mig->state, to);
		if (!arc && mig->state == VFIO_DEVICE_STATE_ERROR)
			return vfio_err(cmd->file, -EINVAL,
					"only VFIO_DEVICE_RESET leads out of ERROR");
		if (!arc)
			return vfio_err(cmd->file, -EINVAL, "there is no path from %s to %s",
					names[mig->state], names[to]);
		ret = vfio_mig_step(mig, arc, cmd);
		trace_vfio_pci_mig_step(mig->vpd->pdev, arc->from, arc->to, ret);
		if (test_and_clear_bit(VFIO_MIG_WAS_RESET, &mig->flags)) {
			vfio_mig_forget(mig);
			return vfio_err(cmd->file, -EIO, "the function was reset meanwhile");
		}
		if (ret)
			return ret;
	}
	return 0;
}

/**
 * vfio_mig_set_state - answer a SET of VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE
 * @cmd: struct vfio_device_feature_mig_state
 *
 * Return: 0; -EINVAL if there is no such state, or no path to it; -EIO if the function was reset
 * meanwhile; an error of the device, or of making a data file
 */
int vfio_mig_set_state(struct vfio_cmd *cmd)
{
	struct vfio_device_feature_mig_state *state = cmd->data;
	struct vfio_mig *mig = to_vfio_pci(cmd->vdev)->mig;
	int ret;

	cmd->state = state;
	state->data_fd = -1;
	guard(vfio_mig)(mig);
	if (!vfio_mig_has_state(mig->features, state->device_state))
		return vfio_err(cmd->file, -EINVAL, "the device has no state %u",
				state->device_state);
	ret = vfio_mig_go(mig, state->device_state, cmd);
	if (!ret && cmd->new_file)
		state->data_fd = cmd->new_fd;
	return ret;
}

/**
 * vfio_mig_get_state - answer a GET of VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE
 * @cmd: struct vfio_device_feature_mig_state
 *
 * Return: 0
 */
int vfio_mig_get_state(struct vfio_cmd *cmd)
{
	struct vfio_device_feature_mig_state *state = cmd->data;
	struct vfio_mig *mig = to_vfio_pci(cmd->vdev)->mig;

	guard(vfio_mig)(mig);
	state->device_state = mig->state;
	state->data_fd = -1;
	return 0;
}

/**
 * vfio_mig_get_features - answer a GET of VFIO_DEVICE_FEATURE_MIGRATION
 * @cmd: struct vfio_device_feature_migration
 *
 * Return: 0
 */
int vfio_mig_get_features(struct vfio_cmd *cmd)
{
	struct vfio_device_feature_migration *migration = cmd->data;

	migration->flags = to_vfio_pci(cmd->vdev)->mig->features & ~VFIO_MIG_LOG;
	return 0;
}

/**
 * vfio_mig_get_size - answer a GET of VFIO_DEVICE_FEATURE_MIG_DATA_SIZE
 * @cmd: struct vfio_device_feature_mig_data_size
 *
 * Return: 0
 */
int vfio_mig_get_size(struct vfio_cmd *cmd)
{
	struct vfio_device_feature_mig_data_size *size = cmd->data;
	struct vfio_mig *mig = to_vfio_pci(cmd->vdev)->mig;

	guard(vfio_mig)(mig);
	/* QEMU allocates a buffer of this size, so it must not be 0. */
	size->stop_copy_length = max(mig->ops->size(mig->vpd), 1ULL);
	return 0;
}

/**
 * vfio_mig_set_precopy_info - answer a SET of VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2
 * @cmd: without data
 *
 * Return: 0
 */
int vfio_mig_set_precopy_info(struct vfio_cmd *cmd)
{
	struct vfio_mig *mig = to_vfio_pci(cmd->vdev)->mig;

	guard(vfio_mig)(mig);
	mig->tells_again = true;
	return 0;
}

/**
 * vfio_mig_is_there - can the device migrate?
 * @vdev: the device, open
 */
bool vfio_mig_is_there(struct vfio_device *vdev)
{
	struct vfio_mig *mig = to_vfio_pci(vdev)->mig;

	return mig && mig->features & VFIO_MIGRATION_STOP_COPY;
}

/**
 * vfio_mig_has_precopy - can the device begin to migrate while it is running?
 * @vdev: the device, open
 */
bool vfio_mig_has_precopy(struct vfio_device *vdev)
{
	return vfio_mig_is_there(vdev) &&
	       to_vfio_pci(vdev)->mig->features & VFIO_MIGRATION_PRE_COPY;
}

/**
 * vfio_mig_alloc - allocate the migration of a device
 * @vpd: the device, in probe
 * @ops: how the device migrates
 *
 * Return: the migration, or NULL
 */
struct vfio_mig *vfio_mig_alloc(struct vfio_pci_device *vpd, const struct vfio_mig_ops *ops)
{
	struct vfio_mig *mig = kzalloc_obj(*mig, GFP_KERNEL);

	if (!mig)
		return NULL;
	mig->vpd = vpd;
	mig->ops = ops;
	mutex_init(&mig->lock);
	INIT_DELAYED_WORK(&mig->work, vfio_mig_work);
	return mig;
}

/**
 * vfio_mig_free - undo vfio_mig_alloc()
 * @mig: the migration of a device that has no session, or NULL
 */
void vfio_mig_free(struct vfio_mig *mig)
{
	if (mig)
		mutex_destroy(&mig->lock);
	kfree(mig);
}

/**
 * vfio_mig_open - begin a session
 * @vpd: the device, LIVE
 */
void vfio_mig_open(struct vfio_pci_device *vpd)
{
	struct vfio_mig *mig = vpd->mig;

	if (!mig)
		return;
	guard(mutex)(&mig->lock);
	mig->state = VFIO_DEVICE_STATE_RUNNING;
	mig->tells_again = false;
	/* A reset meanwhile keeps the device from answering. There is nothing to forget yet. */
	do {
		mig->flags = 0;
		mig->features = mig->ops->features(vpd);
	} while (READ_ONCE(mig->flags));
}

/**
 * vfio_mig_close - end a session
 * @vpd: the device, no longer LIVE. Nobody is inside the gate, not even with a data file.
 */
void vfio_mig_close(struct vfio_pci_device *vpd)
{
	struct vfio_mig *mig = vpd->mig;

	if (!mig)
		return;
	/* Make everybody who waits for the device give up. */
	set_bit(VFIO_MIG_CLOSING, &mig->flags);
	cancel_delayed_work_sync(&mig->work);
	guard(mutex)(&mig->lock);
	vfio_mig_forget(mig);
	mig->features = 0;
}

/**
 * vfio_mig_timer_start - begin to wait for a device
 * @timer: for vfio_mig_wait()
 * @ms: timeout in milliseconds
 */
void vfio_mig_timer_start(struct vfio_mig_timer *timer, unsigned int ms)
{
	timer->end = jiffies + msecs_to_jiffies(ms) + 1;
	timer->us = 10;
}
EXPORT_SYMBOL_NS_GPL(vfio_mig_timer_start, "VFIO_PCI");

/**
 * vfio_mig_wait - wait briefly for a device, between two checks of it
 * @vpd: the device
 * @timer: from vfio_mig_timer_start(); each wait is longer than the last, up to 10 ms
 *
 * Return: 0; -ETIMEDOUT after the timeout; -ECANCELED if waiting is pointless, because the function
 * was reset, or the session ends
 */
int vfio_mig_wait(struct vfio_pci_device *vpd, struct vfio_mig_timer *timer)
{
	if (READ_ONCE(vpd->mig->flags))
		return -ECANCELED;
	if (time_after(jiffies, timer->end))
		return -ETIMEDOUT;
	usleep_range(timer->us, timer->us * 2);
	timer->us = min(timer->us * 2, 10000U);
	return 0;
}
EXPORT_SYMBOL_NS_GPL(vfio_mig_wait, "VFIO_PCI");
