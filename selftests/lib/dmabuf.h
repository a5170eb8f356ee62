/* SPDX-License-Identifier: GPL-2.0-only */
/* DMA-bufs of BARs, which other devices can be given. */
#ifndef LIB_DMABUF_H
#define LIB_DMABUF_H

#include "types.h"

/* As many ranges as dmabuf_export_raw() passes on */
#define DMABUF_MAX_RANGES 1100

/**
 * dmabuf_export_raw() - VFIO_DEVICE_FEATURE_DMA_BUF with all its freedom
 * @fd: device file
 * @argsz: of the ioctl; 0 for what is right
 * @get: all but the ranges
 * @ranges: the parts of the BAR, get->nr_ranges of them
 *
 * Return: the DMA-buf's fd or negative errno.
 */
int dmabuf_export_raw(int fd, u32 argsz, const struct vfio_device_feature_dma_buf *get,
		      const struct vfio_region_dma_range *ranges);

/**
 * dmabuf_export() - export one part of a BAR
 * @fd: device file
 * @index: VFIO_PCI_BAR*_REGION_INDEX
 * @off: page aligned offset in it
 * @len: how much, page aligned
 *
 * Return: the DMA-buf's fd, for reading and writing and close-on-exec, or negative errno.
 */
int dmabuf_export(int fd, u32 index, u64 off, u64 len);

#endif
