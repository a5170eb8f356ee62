/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The few iommufd calls that a user of a device needs: address spaces and mappings; and those for
 * users with a stage of page tables of their own (see nesting.h).
 */
#ifndef LIB_IOMMUFD_H
#define LIB_IOMMUFD_H

#include <linux/iommufd.h>

#include "types.h"

/**
 * iommufd_open() - a new iommufd context
 *
 * Return: fd or negative errno.
 */
int iommufd_open(void);

/**
 * ioas_alloc() - a new, empty I/O address space
 * @iommufd: the context
 * @ioas: filled with its ID, for VFIO_DEVICE_ATTACH_IOMMUFD_PT
 *
 * Return: 0 or negative errno.
 */
int ioas_alloc(int iommufd, u32 *ioas);

/**
 * ioas_map() - make memory visible to the devices attached to an address space
 * @iommufd: the context
 * @ioas: the address space
 * @va: the memory, page aligned
 * @len: its size, page aligned
 * @iova: the address at which devices see it
 *
 * Return: 0 or negative errno.
 */
int ioas_map(int iommufd, u32 ioas, void *va, u64 len, u64 iova);

/**
 * ioas_map_file() - make a memfd or a DMA-buf visible to the devices attached to an address space
 * @iommufd: the context
 * @ioas: the address space
 * @fd: the file
 * @start: offset in it, page aligned
 * @len: number of bytes, page aligned
 * @iova: the address at which devices see it
 *
 * Return: 0 or negative errno.
 */
int ioas_map_file(int iommufd, u32 ioas, int fd, u64 start, u64 len, u64 iova);

/**
 * ioas_small_pages() - make an address space use 4 KiB pages, even for larger pieces of memory
 * @iommufd: the context
 * @ioas: the address space, still empty
 *
 * Return: 0 or negative errno.
 */
int ioas_small_pages(int iommufd, u32 ioas);

/**
 * ioas_unmap() - undo ioas_map()
 * @iommufd: the context
 * @ioas: the address space
 * @iova: first address
 * @len: length
 *
 * Return: 0 or negative errno.
 */
int ioas_unmap(int iommufd, u32 ioas, u64 iova, u64 len);

/**
 * hwpt_alloc() - a page table over an address space, for one device
 * @iommufd: the context
 * @devid: device id that BIND returned
 * @ioas: the address space
 * @hwpt: filled with the ID, for VFIO_DEVICE_ATTACH_IOMMUFD_PT
 *
 * Return: 0 or negative errno.
 */
int hwpt_alloc(int iommufd, u32 devid, u32 ioas, u32 *hwpt);

/**
 * hwpt_alloc_raw() - IOMMU_HWPT_ALLOC with arbitrary arguments
 * @iommufd: the context
 * @cmd: all of it except for @size; out_hwpt_id is filled in
 *
 * Return: 0 or negative errno.
 */
int hwpt_alloc_raw(int iommufd, struct iommu_hwpt_alloc *cmd);

/**
 * hwpt_set_dirty_tracking() - start or stop tracking which pages devices write
 * @iommufd: the context
 * @hwpt: a page table of IOMMU_HWPT_ALLOC_DIRTY_TRACKING, or the parent of the one in use
 * @on: start, with all pages clean
 *
 * Return: 0 or negative errno (-EOPNOTSUPP for another page table).
 */
int hwpt_set_dirty_tracking(int iommufd, u32 hwpt, bool on);

/**
 * hwpt_get_dirty_bitmap() - get the pages that have been written
 * @iommufd: the context
 * @hwpt: the page table
 * @flags: IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR, or 0 to clear what is reported
 * @iova: first address
 * @len: length, all of it mapped
 * @page: size that a bit represents, 4 KiB or more. Where an entry of the page table is larger, all
 *	of it counts as written.
 * @bitmap: bits are set in it, and none is cleared
 *
 * Return: 0 or negative errno.
 */
int hwpt_get_dirty_bitmap(int iommufd, u32 hwpt, u32 flags, u64 iova, u64 len, u64 page,
			  u64 *bitmap);

/**
 * hw_info() - get information on the IOMMU of a device
 * @iommufd: the context
 * @devid: device id that BIND returned
 * @info: the rest of the answer, such as out_data_type
 * @data: filled with the type-specific data, and zeroes after it
 * @len: its size
 *
 * Return: 0 or negative errno.
 */
int hw_info(int iommufd, u32 devid, struct iommu_hw_info *info, void *data, u32 len);

/**
 * hwpt_invalidate() - tell the IOMMU that the user's tables have changed
 * @iommufd: the context
 * @id: the nested HWPT or the vIOMMU, depending on the type
 * @type: IOMMU_HWPT_INVALIDATE_DATA_* or IOMMU_VIOMMU_INVALIDATE_DATA_*
 * @cmds: commands of that type
 * @len: size of one
 * @count: how many; set to the number of commands that were carried out
 *
 * Return: 0 or negative errno.
 */
int hwpt_invalidate(int iommufd, u32 id, u32 type, const void *cmds, u32 len, u32 *count);

/**
 * viommu_alloc() - allocate the IOMMU of a virtual machine
 * @iommufd: the context
 * @type: IOMMU_VIOMMU_TYPE_*
 * @devid: a device behind the IOMMU
 * @parent: HWPT that is a nesting parent: the machine's memory
 * @viommu: filled with the id
 *
 * Return: 0 or negative errno.
 */
int viommu_alloc(int iommufd, u32 type, u32 devid, u32 parent, u32 *viommu);

/**
 * vdevice_alloc() - set the ID of a device in the virtual machine
 * @iommufd: the context
 * @viommu: the machine's IOMMU
 * @devid: the device
 * @virt_id: its ID there: for SMMUv3, the stream ID
 * @vdevice: filled with the id
 *
 * Return: 0 or negative errno.
 */
int vdevice_alloc(int iommufd, u32 viommu, u32 devid, u64 virt_id, u32 *vdevice);

/**
 * veventq_alloc() - allocate a queue for the events of the virtual machine
 * @iommufd: the context
 * @viommu: the machine's IOMMU
 * @type: IOMMU_VEVENTQ_TYPE_*
 * @depth: maximum number of events in it; further ones are lost
 * @veventq: filled with the id
 *
 * Return: fd to read and poll, or negative errno.
 */
int veventq_alloc(int iommufd, u32 viommu, u32 type, u32 depth, u32 *veventq);

/**
 * fault_queue_alloc() - allocate a queue for page requests of devices
 * @iommufd: the context
 * @fault: filled with the id
 *
 * Return: fd to read requests from and write responses to, or negative errno.
 */
int fault_queue_alloc(int iommufd, u32 *fault);

/**
 * iommufd_destroy() - destroy an object of the context
 * @iommufd: the context
 * @id: the object
 *
 * Return: 0 or negative errno (-EBUSY while a device is attached).
 */
int iommufd_destroy(int iommufd, u32 id);

/**
 * dma_alloc() - allocate memory for DMA: whole pages, zeroed, shared with forked children
 * @len: number of bytes
 *
 * Return: the memory, never NULL (exits if there is none). Free with munmap().
 */
void *dma_alloc(size_t len);

#endif
