// SPDX-License-Identifier: GPL-2.0-only
/*
 * The worker that transfers state between a device and its data file. It saves ahead of the reader.
 * It loads what was written, while the writer waits for the outcome. So no read or write makes the
 * device do anything itself, and no command of the device involves user memory.
 */
#include <linux/pm_runtime.h>

#include "vfio_pci.h"

/* How often a device is checked again if somebody polls while its state does not change */
#define VFIO_MIG_LOOK_AGAIN	msecs_to_jiffies(10)

/**
 * vfio_mig_stream_end - end the data file of the state, if there is one: it is dead from now on
 * @mig: the migration of the device
 *
 * Context: the lock of the state held
 */
void vfio_mig_stream_end(struct vfio_mig *mig)
{
	lockdep_assert_held(&mig->lock);

	if (mig->stream)
		vfio_stream_end(mig->stream);
	mig->stream = NULL;
}

static void vfio_mig_queue(struct vfio_mig *mig)
{
	mod_delayed_work(vfio_pci_wq, &mig->work, 0);
}

/**
 * vfio_mig_save_begin - begin to save
 * @mig: the migration of the device
 * @cmd: returns the data file
 *
 * Return: 0; an error of the device, or of making the file
 */
int vfio_mig_save_begin(struct vfio_mig *mig, struct vfio_cmd *cmd)
{
	struct vfio_stream *stream;
	bool again = false;
	size_t room;
	int ret;

	ret = mig->ops->save_begin(mig->vpd, &room);
	if (ret)
		return ret;
	stream = vfio_stream_new(cmd, true, room);
	if (IS_ERR(stream))
		return mig->ops->save_end(mig->vpd) ? -ETIMEDOUT : PTR_ERR(stream);
	mig->stream = stream;
	mig->first = max(mig->ops->pending(mig->vpd, &again), 1ULL);
	mig->counted = false;
	mig->rest = false;
	mig->final = false;
	mig->done = false;
	vfio_mig_queue(mig);
	return 0;
}

/**
 * vfio_mig_save_rest - the device is stopped: save what is left of its state
 * @mig: the migration of the device
 */
void vfio_mig_save_rest(struct vfio_mig *mig)
{
	mig->rest = true;
	if (!mig->done)
		vfio_stream_say(mig->stream, VFIO_STREAM_BUSY, 0);
	vfio_mig_queue(mig);
}

/**
 * vfio_mig_load_begin - begin to load
 * @mig: the migration of the device
 * @cmd: returns the data file
 *
 * Return: like vfio_mig_save_begin()
 */
int vfio_mig_load_begin(struct vfio_mig *mig, struct vfio_cmd *cmd)
{
	struct vfio_stream *stream = vfio_stream_new(cmd, false, SZ_64K);
	int ret;

	if (IS_ERR(stream))
		return PTR_ERR(stream);
	ret = mig->ops->load_begin(mig->vpd);
	if (ret) {
		vfio_stream_end(stream);
		return ret;
	}
	mig->stream = stream;
	return 0;
}

/**
 * vfio_mig_load_end - end a load: the whole state has been written
 * @mig: the migration of the device
 *
 * Return: 0; -EINVAL if it is not the whole state; the error of a record that was refused; an error
 * of the device
 */
int vfio_mig_load_end(struct vfio_mig *mig)
{
	struct vfio_device *vdev = &mig->vpd->vdev;
	u32 seen;
	int ret = vfio_stream_finish(mig->stream, &seen);

	mig->stream = NULL;
	if (ret == -ENODATA)
		return vfio_device_err(vdev, -EINVAL, "the state ends within a record");
	/* The reason was given when the record was refused. */
	if (ret)
		return ret;
	if (!vfio_mig_complete(mig->ops->kinds, mig->ops->nr_kinds, seen))
		return vfio_device_err(vdev, -EINVAL, "the state is not complete");
	return mig->ops->load_end(mig->vpd);
}

/* Fill a buffer, if one is empty. Returns the jiffies until the next run, or -1 for no such run. */
static long vfio_mig_save(struct vfio_mig *mig)
{
	struct vfio_stream *stream = mig->stream;
	struct vfio_buf *buf = vfio_stream_empty(stream);
	u64 done, left;
	ssize_t n = 0;
	u32 tag = 0;

	if (!buf || mig->done)
		return -1;
	if (!mig->final) {
		n = mig->ops->save_more(mig->vpd, vfio_buf_data(buf), buf->room, &tag);
		mig->final = !n && mig->rest;
	}
	if (mig->final)
		n = mig->ops->save_final(mig->vpd, vfio_buf_data(buf), buf->room, &tag);
	/* The function was reset, or the session ends: so does the file, without an error. */
	if (READ_ONCE(mig->flags))
		return -1;
	if (n > 0) {
		vfio_stream_push(stream, buf, tag, n);
		return 0;
	}
	mig->done = n < 0 || mig->rest;
	if (mig->done) {
		vfio_stream_say(stream, n ? VFIO_STREAM_FAILED : VFIO_STREAM_END, n);
		return -1;
	}
	if (!mig->counted) {
		vfio_stream_count(stream, &done, &left);
		mig->first = min(mig->first, done + left);
		mig->counted = true;
	}
	vfio_stream_say(stream, VFIO_STREAM_QUIET, 0);
	return vfio_stream_watched(stream) ? VFIO_MIG_LOOK_AGAIN : -1;
}

static void vfio_mig_load(struct vfio_mig *mig)
{
	const void *data;
	size_t len;
	u32 tag, i;
	int ret = 0;

	data = vfio_stream_record(mig->stream, &tag, &len);
	if (!data)
		return;
	/* At the target, the guest has not yet turned memory decode on. */
	scoped_guard(vfio_pci, mig->vpd)
		vfio_pci_decode_hold(mig->vpd);
	/* An unknown record is optional, or it would not have got this far. */
	for (i = 0; i < mig->ops->nr_kinds; i++) {
		if (mig->ops->kinds[i].tag == tag)
			ret = mig->ops->load(mig->vpd, tag, data, len);
	}
	scoped_guard(vfio_pci, mig->vpd)
		vfio_pci_decode_let_go(mig->vpd);
	if (!READ_ONCE(mig->flags))
		vfio_stream_loaded(mig->stream, ret);
}

/**
 * vfio_mig_work - the worker
 * @work: the work of a device in a session
 *
 * Handles one buffer at a time, so that somebody who wants to change the state waits for no more.
 */
void vfio_mig_work(struct work_struct *work)
{
	struct vfio_mig *mig = container_of(to_delayed_work(work), struct vfio_mig, work);
	struct device *dev = &mig->vpd->pdev->dev;
	long later = -1;

	/* If the device does not wake up, its ops will fail. */
	pm_runtime_get_sync(dev);
	scoped_guard(vfio_mig, mig) {
		if (!mig->stream || test_bit(VFIO_MIG_CLOSING, &mig->flags))
			break;
		if (mig->state == VFIO_DEVICE_STATE_RESUMING)
			vfio_mig_load(mig);
		else
			later = vfio_mig_save(mig);
	}
	pm_runtime_put_autosuspend(dev);
	if (later >= 0)
		queue_delayed_work(vfio_pci_wq, &mig->work, later);
}

/**
 * vfio_mig_kick - queue the worker, which has something to do
 * @vdev: the device, in a session
 */
void vfio_mig_kick(struct vfio_device *vdev)
{
	vfio_mig_queue(to_vfio_pci(vdev)->mig);
}

/**
 * vfio_mig_check - check the header of a record that is being written
 * @vdev: the device
 * @order: one bit for each kind of record that has come
 * @tag: tag of the record
 * @flags: flags of the record
 * @size: size of the record
 *
 * Return: 0; -EINVAL if the record may not come now
 */
int vfio_mig_check(struct vfio_device *vdev, u32 *order, u32 tag, u32 flags, u64 size)
{
	const struct vfio_mig_ops *ops = to_vfio_pci(vdev)->mig->ops;
	const char *why;

	if (vfio_mig_order(ops->kinds, ops->nr_kinds, order, tag, flags, size, &why))
		return vfio_device_err(vdev, -EINVAL,
				       "a record (tag %#x, flags %#x) of %llu bytes %s", tag,
				       flags, size, why);
	return 0;
}

/**
 * vfio_mig_precopy_info - answer VFIO_MIG_GET_PRECOPY_INFO
 * @vdev: the device
 * @stream: a data file of this session
 * @info: the answer
 *
 * Return: 0; -ENODEV if the state that the file belongs to has been left; -EINVAL in states other
 * than PRE_COPY and PRE_COPY_P2P
 */
int vfio_mig_precopy_info(struct vfio_device *vdev, struct vfio_stream *stream,
			  struct vfio_precopy_info *info)
{
	struct vfio_mig *mig = to_vfio_pci(vdev)->mig;
	u64 pending, done, left;
	bool again = false;

	guard(vfio_mig)(mig);
	/* The file is dead. */
	if (stream != mig->stream)
		return -ENODEV;
	if (mig->rest || mig->state == VFIO_DEVICE_STATE_RESUMING)
		return vfio_device_err(vdev, -EINVAL, "the data file is not in pre-copy");
	pending = mig->ops->pending(mig->vpd, &again);
	vfio_stream_count(stream, &done, &left);
	if (again && mig->tells_again) {
		info->flags = VFIO_PRECOPY_INFO_REINIT;
		mig->first = done + left + pending;
		mig->counted = false;
	}
	info->initial_bytes = mig->first > done ? mig->first - done : 0;
	info->dirty_bytes = max(left + pending, info->initial_bytes) - info->initial_bytes;
	return 0;
}
