// SPDX-License-Identifier: GPL-2.0-only
/*
 * The log that a device keeps of its own DMA writes.
 */
#include <linux/bitmap.h>
#include <linux/log2.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/sort.h>

#include "vfio_pci.h"

static_assert(sizeof(struct vfio_mig_range) ==
	      sizeof(struct vfio_device_feature_dma_logging_range));

static u64 vfio_mig_range_end(const struct vfio_mig_range *range)
{
	return range->iova + range->length;
}

static int vfio_mig_range_cmp(const void *a, const void *b)
{
	const struct vfio_mig_range *x = a, *y = b;

	return cmp_int(x->iova, y->iova);
}

/**
 * vfio_mig_merge - sort ranges, and merge them until a device can take them
 * @ranges: at least one; none ends above U64_MAX, but they may overlap
 * @nr: number of @ranges
 * @max: maximum number of ranges that the device can take
 *
 * Merges the ranges that have the smallest gaps between them.
 *
 * Return: the new number of ranges, none of which touches another
 */
unsigned int vfio_mig_merge(struct vfio_mig_range *ranges, unsigned int nr, unsigned int max)
{
	unsigned int i, best;
	u64 gap, least;

	sort(ranges, nr, sizeof(*ranges), vfio_mig_range_cmp, NULL);
	while (nr > 1) {
		best = 0;
		least = U64_MAX;
		for (i = 0; i + 1 < nr && least; i++) {
			gap = ranges[i + 1].iova - min(vfio_mig_range_end(&ranges[i]),
						       ranges[i + 1].iova);
			if (gap < least) {
				least = gap;
				best = i;
			}
		}
		if (least && nr <= max)
			break;
		ranges[best].length = max(vfio_mig_range_end(&ranges[best]),
					  vfio_mig_range_end(&ranges[best + 1])) -
				      ranges[best].iova;
		nr--;
		memmove(&ranges[best + 1], &ranges[best + 2], (nr - best - 1) * sizeof(*ranges));
	}
	return nr;
}

/**
 * vfio_mig_has_log - can the device log its DMA writes?
 * @vdev: the device, open
 */
bool vfio_mig_has_log(struct vfio_device *vdev)
{
	struct vfio_mig *mig = to_vfio_pci(vdev)->mig;

	return mig && mig->features & VFIO_MIG_LOG;
}

static int vfio_mig_check_ranges(struct vfio_cmd *cmd, const struct vfio_mig_range *ranges,
				 unsigned int nr, u64 page_size)
{
	unsigned int i;
	u64 end;

	if (page_size < SZ_4K || !is_power_of_2(page_size))
		return vfio_err(cmd->file, -EINVAL, "DMA cannot be logged in pages of %llu bytes",
				page_size);
	for (i = 0; i < nr; i++) {
		if (check_add_overflow(ranges[i].iova, ranges[i].length, &end))
			return vfio_err(cmd->file, -EOVERFLOW, "range %u to be logged wraps around",
					i);
		if (!ranges[i].length || !IS_ALIGNED(ranges[i].iova | ranges[i].length, page_size))
			return vfio_err(cmd->file, -EINVAL,
					"range %u to be logged is empty or not page-aligned", i);
	}
	return 0;
}

/**
 * vfio_mig_log_start - answer a SET of VFIO_DEVICE_FEATURE_DMA_LOGGING_START
 * @cmd: struct vfio_device_feature_dma_logging_control, followed by its ranges, at least one
 *
 * Return: 0; -EINVAL if there is a log already, or a range does not consist of pages; -EOVERFLOW if
 * the end of a range does not fit into 64 bits; an error of the device
 */
int vfio_mig_log_start(struct vfio_cmd *cmd)
{
	struct vfio_device_feature_dma_logging_control *control = cmd->data;
	struct vfio_mig *mig = to_vfio_pci(cmd->vdev)->mig;
	struct vfio_mig_range *ranges = (void *)(control + 1);
	u64 page_size = control->page_size;
	unsigned int nr;
	int ret;

	ret = vfio_mig_check_ranges(cmd, ranges, control->num_ranges, page_size);
	if (ret)
		return ret;
	nr = vfio_mig_merge(ranges, control->num_ranges, mig->ops->log_ranges);
	guard(vfio_mig)(mig);
	if (mig->page_size)
		return vfio_err(cmd->file, -EINVAL, "the device already logs its DMA");
	ret = mig->ops->log_start(mig->vpd, &page_size, ranges, nr);
	if (ret)
		return ret;
	mig->page_size = page_size;
	mig->log_first = ranges[0].iova;
	mig->log_last = vfio_mig_range_end(&ranges[nr - 1]) - 1;
	control->page_size = page_size;
	return 0;
}

/**
 * vfio_mig_log_stop - answer a SET of VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP
 * @cmd: without data
 *
 * Return: 0; -EINVAL if there is no log; an error of the device
 */
int vfio_mig_log_stop(struct vfio_cmd *cmd)
{
	struct vfio_mig *mig = to_vfio_pci(cmd->vdev)->mig;
	int ret;

	guard(vfio_mig)(mig);
	if (!mig->page_size)
		return vfio_err(cmd->file, -EINVAL, "the device does not log its DMA");
	ret = mig->ops->log_stop(mig->vpd);
	if (!ret)
		mig->page_size = 0;
	return ret;
}

/* Mark the user's pages that overlap a written page, among the device's @nr pages from @iova on. */
static void vfio_mig_log_add(const struct vfio_log_slice *slice, const unsigned long *bitmap,
			     u64 iova, u32 nr, u64 page_size)
{
	unsigned int shift = ilog2(slice->page_size);
	u64 first, last;
	unsigned long i;

	for_each_set_bit(i, bitmap, nr) {
		first = iova + i * page_size - slice->iova;
		last = min(first + page_size, slice->length) - 1;
		bitmap_set(slice->bitmap, first >> shift, (last >> shift) - (first >> shift) + 1);
	}
}

/**
 * vfio_mig_log_report - answer a part of a GET of VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT
 * @cmd: struct vfio_log_slice
 *
 * Return: 0; -EINVAL if there is no log, or the slice does not consist of pages of the log;
 * -ENOMEM; an error of the device
 */
int vfio_mig_log_report(struct vfio_cmd *cmd)
{
	unsigned long *bitmap __free(kvfree) = NULL;
	struct vfio_mig *mig = to_vfio_pci(cmd->vdev)->mig;
	const struct vfio_log_slice *slice = cmd->data;
	u64 at, last;
	u32 nr;
	int ret;

	bitmap = kvmalloc(mig->ops->log_pages / 8, GFP_KERNEL_ACCOUNT);
	if (!bitmap)
		return -ENOMEM;
	guard(vfio_mig)(mig);
	if (!mig->page_size)
		return vfio_err(cmd->file, -EINVAL, "the device does not log its DMA");
	/* A report clears whole pages of the log, so the rest of a partial page would be lost. */
	if (!IS_ALIGNED(slice->iova | slice->length, mig->page_size))
		return vfio_err(cmd->file, -EINVAL, "the log uses pages of %llu bytes",
				mig->page_size);
	at = max(slice->iova, round_down(mig->log_first, mig->page_size));
	last = min(slice->iova + slice->length - 1, mig->log_last);
	while (at <= last) {
		nr = min_t(u64, (last - at) / mig->page_size + 1, mig->ops->log_pages);
		bitmap_zero(bitmap, mig->ops->log_pages);
		ret = mig->ops->log_report(mig->vpd, at, nr, bitmap);
		if (ret)
			return ret;
		vfio_mig_log_add(slice, bitmap, at, nr, mig->page_size);
		if (check_add_overflow(at, nr * mig->page_size, &at))
			break;
	}
	return 0;
}
