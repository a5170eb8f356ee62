/* SPDX-License-Identifier: GPL-2.0-only */
/* Config space through the device file, as a guest's BIOS or a user space driver uses it. */
#ifndef LIB_CONFIG_H
#define LIB_CONFIG_H

#include <linux/pci_regs.h>

#include "types.h"

/**
 * region_offset() - offset of a region in the device file
 * @index: VFIO_PCI_*_REGION_INDEX
 *
 * The same as GET_REGION_INFO reports, for code that need not check it.
 */
static inline off_t region_offset(u32 index)
{
	return (off_t)index << 40;
}

/**
 * config_read() - read a register
 * @fd: device file
 * @pos: offset in config space
 * @width: 1, 2 or 4
 *
 * Return: the value, or negative errno (-EIO for a short read).
 */
s64 config_read(int fd, unsigned int pos, unsigned int width);

/**
 * config_write() - write a register
 * @fd: device file
 * @pos: offset in config space
 * @width: 1, 2 or 4
 * @val: the value
 *
 * Return: 0 or negative errno.
 */
int config_write(int fd, unsigned int pos, unsigned int width, u32 val);

/**
 * config_update() - read, change some bits, write
 * @fd: device file
 * @pos: offset in config space
 * @width: 1, 2 or 4
 * @clear: bits to clear
 * @set: bits to set
 *
 * Return: 0 or negative errno.
 */
int config_update(int fd, unsigned int pos, unsigned int width, u32 clear, u32 set);

/**
 * config_size() - size of config space from GET_REGION_INFO, 256 or 4096
 * @fd: device file
 */
unsigned int config_size(int fd);

/**
 * config_cap() - find a capability
 * @fd: device file
 * @id: PCI_CAP_ID_*
 *
 * Return: its offset, 0 if there is none, or -ELOOP if the list has no end.
 */
int config_cap(int fd, u8 id);

/**
 * config_ecap() - find an extended capability
 * @fd: device file
 * @id: PCI_EXT_CAP_ID_*
 *
 * Return: its offset, 0 if there is none, or -ELOOP if the list has no end.
 */
int config_ecap(int fd, u16 id);

/**
 * config_master() - turn bus mastering on or off
 * @fd: device file
 * @on: whether the device may do DMA and send MSIs
 *
 * Return: 0 or negative errno.
 */
int config_master(int fd, bool on);

#endif
