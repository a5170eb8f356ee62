/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is different on older kernels, as far as these have been found to lack something: see
 * probe.mk. Everything else is written for the newest one.
 */
#ifndef VFIO_COMPAT_H
#define VFIO_COMPAT_H

#ifdef VFIO_LACKS_ZAP_SPECIAL_VMA_RANGE
/* The name is new, the function is not. */
#define zap_special_vma_range zap_vma_ptes
#endif

#ifdef VFIO_LACKS_DMA_BUF_REVOCABLE
/*
 * An importer that is told that the buffer moves may take any time to unmap it. The one that does
 * not is iommufd, which never maps it either: it asks vfio_pci_dma_buf_iommufd_map().
 */
#define VFIO_DMA_BUF_CAN_BE_MAPPED false
#define dma_buf_attach_revocable(attach) ((attach)->importer_ops)
#define dma_buf_invalidate_mappings dma_buf_move_notify
#else
#define VFIO_DMA_BUF_CAN_BE_MAPPED true
#endif

#endif
