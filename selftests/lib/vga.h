/* SPDX-License-Identifier: GPL-2.0-only */
/* Legacy VGA: the devices of the test machine with it, and the registers used by the tests. */
#ifndef LIB_VGA_H
#define LIB_VGA_H

#include "region.h"
#include "session.h"

#define VGA VFIO_PCI_VGA_REGION_INDEX

/* The legacy memory, in the VGA region */
#define VGA_MEM		0xa0000
#define VGA_MEM_END	0xc0000

/* Index and data of the sequencer and of the graphics controller, and registers in them */
#define SEQ		0x3c4
#define SEQ_PLANES	2
#define SEQ_MODE	4
#define GC		0x3ce
#define GC_MODE		5
#define GC_MISC		6
#define GC_MASK		8

/**
 * enum vga_kind - a standard VGA device of QEMU
 * @VGA_BOOT: the one that the firmware uses
 * @VGA_OTHER: another
 * @VGA_NONE: the display without legacy VGA
 */
enum vga_kind { VGA_BOOT, VGA_OTHER, VGA_NONE };

/**
 * vga_find() - find a device in the machine
 * @kind: which
 * @bdf: its address
 *
 * Return: 0; -ENODEV if there is none, and outside x86, where the legacy addresses are not fixed,
 * for all but VGA_NONE.
 */
int vga_find(enum vga_kind kind, char bdf[BDF_LEN]);

/* In a test or a fixture's setup: open a session with a device, or skip the test without one */
#define SETUP_VGA(session, kind) do {						\
	char bdf_[BDF_LEN];							\
										\
	if (vga_find(kind, bdf_))						\
		SKIP(return, "no such VGA device in this machine");		\
	ASSERT_EQ(0, session_open(session, bdf_));				\
} while (0)

/**
 * vga_out() - write an indexed register, by one access to index and data
 * @fd: device file
 * @port: of the index
 * @index: register
 * @val: the value
 *
 * Return: 0 or negative errno.
 */
int vga_out(int fd, u16 port, u8 index, u8 val);

/**
 * vga_in() - read an indexed register, by an access to the index and one to the data
 * @fd: device file
 * @port: of the index
 * @index: register
 *
 * Return: the value or negative errno.
 */
int vga_in(int fd, u16 port, u8 index);

/**
 * vga_linear() - set up linear access as in mode 13h: a byte per pixel, 64 KiB accessible
 * @fd: device file
 *
 * Return: 0 or negative errno.
 */
int vga_linear(int fd);

#endif
