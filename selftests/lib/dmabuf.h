/* SPDX-License-Identifier: GPL-2.0-only */
/* DMA-bufs of BARs, for access by other devices. */
#ifndef LIB_DMABUF_H
#define LIB_DMABUF_H

#include "types.h"

/* Maximum number of ranges for dmabuf_export_raw() */
#define DMABUF_MAX_RANGES 1100

/**
 * dmabuf_export_raw() - VFIO_DEVICE_FEATURE_DMA_BUF with arbitrary arguments
 * @fd: device file
 * @argsz: of the ioctl; 0 for the correct value
 * @get: everything except for the ranges
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
 * @len: number of bytes, page aligned
 *
 * Return: the DMA-buf's fd, for reading and writing and close-on-exec, or negative errno.
 */
int dmabuf_export(int fd, u32 index, u64 off, u64 len);

#endif
