// SPDX-License-Identifier: GPL-2.0-only
/*
 * The log of a device's own DMA: the part that accesses user memory. The device model fills bitmaps
 * in kernel memory, one slice at a time. Outside the gate, these are added to the user's bitmap.
 */
#include <linux/bitmap.h>
#include <linux/cleanup.h>
#include <linux/log2.h>
#include <linux/overflow.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "vfio_file.h"

/* Size of a slice, in pages: 1 GiB if they are of 4 KiB */
#define VFIO_LOG_BITS	SZ_256K

/**
 * vfio_log_start_fetch - get the ranges of VFIO_DEVICE_FEATURE_DMA_LOGGING_START
 * @cmd: its data have a struct vfio_device_feature_dma_logging_control; the ranges are put after it
 *
 * Return: 0; -EINVAL if there are no ranges, or more than 1022; -EFAULT; -ENOMEM
 */
int vfio_log_start_fetch(struct vfio_cmd *cmd)
{
	const size_t each = sizeof(struct vfio_device_feature_dma_logging_range);
	struct vfio_device_feature_dma_logging_control *control = cmd->data;
	size_t size = size_mul(control->num_ranges, each);
	void *data;

	if (!size || size > VFIO_PAYLOAD_MAX - sizeof(*control))
		return vfio_err(cmd->file, -EINVAL, "%u ranges to log, but 1 to %zu are possible",
				control->num_ranges, (VFIO_PAYLOAD_MAX - sizeof(*control)) / each);
	data = krealloc(control, sizeof(*control) + size, GFP_KERNEL_ACCOUNT);
	if (!data)
		return -ENOMEM;
	cmd->data = data;
	control = data;
	cmd->data_len += size;
	return copy_from_user(control + 1, u64_to_user_ptr(control->ranges), size) ? -EFAULT : 0;
}

/* Set bits in the user's bitmap, and clear none. */
static int vfio_log_add(u64 __user *to, const unsigned long *bitmap, u64 bits)
{
	const u64 *from = (const u64 *)bitmap;
	u64 i, old;

	for (i = 0; i < DIV_ROUND_UP_ULL(bits, 64); i++) {
		if (from[i] && (get_user(old, &to[i]) || put_user(old | from[i], &to[i])))
			return -EFAULT;
	}
	return 0;
}

/**
 * vfio_log_report - answer a GET of VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT
 * @cmd: its data have a struct vfio_device_feature_dma_logging_report
 * @row: the feature's row in the table
 *
 * Context: not inside the gate
 * Return: VFIO_FETCH_DONE; -EINVAL if the page size or the length is not valid, or there is no log;
 * -EOVERFLOW if the range extends past the last address; -EFAULT; -EINTR if the task is being
 * killed; -ENOMEM
 */
int vfio_log_report(struct vfio_cmd *cmd, const struct vfio_feature *row)
{
	struct vfio_device_feature_dma_logging_report *report __free(kfree) = cmd->data;
	unsigned long *bitmap __free(kvfree) = NULL;
	u64 __user *to = u64_to_user_ptr(report->bitmap);
	struct vfio_log_slice slice;
	u64 last, left, bits;
	int ret;

	cmd->data = NULL;
	cmd->out_len = 0;
	if (report->page_size < SZ_4K || !is_power_of_2(report->page_size) || !report->length)
		return vfio_err(cmd->file, -EINVAL,
				"cannot report a log of %llu bytes in pages of %llu bytes",
				report->length, report->page_size);
	if (check_add_overflow(report->iova, report->length - 1, &last))
		return -EOVERFLOW;
	bitmap = kvmalloc(VFIO_LOG_BITS / 8, GFP_KERNEL_ACCOUNT);
	if (!bitmap)
		return -ENOMEM;

	slice.iova = report->iova;
	slice.page_size = report->page_size;
	slice.bitmap = bitmap;
	for (left = report->length; left; left -= slice.length) {
		bits = min_t(u64, VFIO_LOG_BITS, (left - 1) / slice.page_size + 1);
		if (check_mul_overflow(bits, slice.page_size, &slice.length) || slice.length > left)
			slice.length = left;
		bitmap_zero(bitmap, VFIO_LOG_BITS);
		cmd->data = &slice;
		ret = vfio_call_inside(row->get, cmd);
		cmd->data = NULL;
		if (!ret)
			ret = vfio_log_add(to, bitmap, bits);
		if (!ret && fatal_signal_pending(current))
			ret = -EINTR;
		if (ret)
			return ret;
		slice.iova += slice.length;
		to += VFIO_LOG_BITS / 64;
		cond_resched();
	}
	return VFIO_FETCH_DONE;
}
