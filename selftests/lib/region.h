/* SPDX-License-Identifier: GPL-2.0-only */
/* Regions of the device file: reading, writing and mapping them. */
#ifndef LIB_REGION_H
#define LIB_REGION_H

#include "config.h"
#include "types.h"

/**
 * region_info() - ask for a region, without capabilities
 * @fd: device file
 * @index: region
 * @info: filled in
 *
 * Return: 0 or negative errno.
 */
int region_info(int fd, u32 index, struct vfio_region_info *info);

/**
 * region_info_caps() - ask for a region with its capability chain
 * @fd: device file
 * @index: region
 *
 * Makes two calls, the first one to learn the size, like any user of this API.
 *
 * Return: to be freed with free(), NULL on failure.
 */
struct vfio_region_info *region_info_caps(int fd, u32 index);

/**
 * region_cap() - find a capability in the chain
 * @info: what region_info_caps() returned
 * @id: VFIO_REGION_INFO_CAP_*
 *
 * Return: the capability or NULL.
 */
struct vfio_info_cap_header *region_cap(struct vfio_region_info *info, u16 id);

/**
 * region_pread() - read from a region
 * @fd: device file
 * @index: region
 * @off: offset in it
 * @buf: where
 * @len: how much
 *
 * Return: number of bytes or negative errno.
 */
ssize_t region_pread(int fd, u32 index, u64 off, void *buf, size_t len);

/**
 * region_pwrite() - write to a region
 * @fd: device file
 * @index: region
 * @off: offset in it
 * @buf: what
 * @len: how much
 *
 * Return: number of bytes or negative errno.
 */
ssize_t region_pwrite(int fd, u32 index, u64 off, const void *buf, size_t len);

/**
 * region_read32() - read a 32 bit register
 * @fd: device file
 * @index: region
 * @off: offset in it
 *
 * Return: the value or negative errno.
 */
s64 region_read32(int fd, u32 index, u64 off);

/**
 * region_write32() - write a 32 bit register
 * @fd: device file
 * @index: region
 * @off: offset in it
 * @val: the value
 *
 * Return: 0 or negative errno.
 */
int region_write32(int fd, u32 index, u64 off, u32 val);

/**
 * bar_map() - map a part of a BAR
 * @fd: device file
 * @index: VFIO_PCI_BAR*_REGION_INDEX
 * @off: page aligned offset in it
 * @len: how much, 0 for all
 *
 * Return: the registers, or NULL with errno set.
 */
void *bar_map(int fd, u32 index, u64 off, size_t len);

/**
 * bar_unmap() - undo bar_map() of a whole BAR
 * @fd: device file
 * @index: VFIO_PCI_BAR*_REGION_INDEX
 * @base: what bar_map() returned
 *
 * A mapping keeps the file open: without this, close() does not end the session.
 */
void bar_unmap(int fd, u32 index, void *base);

/**
 * bar_map_aligned() - map a BAR where the kernel can use large pages for it
 * @fd: device file
 * @index: VFIO_PCI_BAR*_REGION_INDEX
 * @len: how much
 * @align: a power of two
 *
 * Return: the registers, or NULL with errno set.
 */
void *bar_map_aligned(int fd, u32 index, size_t len, size_t align);

/**
 * mmio_read32() - load from mapped registers
 * @base: what bar_map() returned
 * @off: offset
 */
static inline u32 mmio_read32(void *base, u64 off)
{
	return *(volatile u32 *)((char *)base + off);
}

/**
 * mmio_write32() - store to mapped registers
 * @base: what bar_map() returned
 * @off: offset
 * @val: the value
 */
static inline void mmio_write32(void *base, u64 off, u32 val)
{
	*(volatile u32 *)((char *)base + off) = val;
}

/**
 * mmio_write64() - store to mapped registers, in one access
 * @base: what bar_map() returned
 * @off: offset
 * @val: the value
 */
static inline void mmio_write64(void *base, u64 off, u64 val)
{
	*(volatile u64 *)((char *)base + off) = val;
}

/**
 * mmio_peek32() - load from registers that may not be accessible any more
 * @addr: address of a 32 bit register in a mapping
 * @val: filled in on success
 *
 * Return: 0; -EFAULT if the access raised SIGBUS; -ENOMEM if nothing is mapped there (SIGSEGV).
 * Works in any number of threads at once.
 */
int mmio_peek32(void *addr, u32 *val);

/**
 * mmio_poke32() - store to registers that may not be accessible any more
 * @addr: address of a 32 bit register in a mapping
 * @val: the value
 *
 * Return: like mmio_peek32().
 */
int mmio_poke32(void *addr, u32 val);

#endif
