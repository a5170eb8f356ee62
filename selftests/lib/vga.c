// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>

#include "sysfs.h"
#include "vga.h"

int vga_find(enum vga_kind kind, char bdf[BDF_LEN])
{
	static const enum vga_kind kinds[] = { VGA_OTHER, VGA_BOOT };
	char class[16], boot[4];
	unsigned int i;

#ifndef __x86_64__
	/* On other architectures, its ports and memory have no fixed address. */
	if (kind != VGA_NONE)
		return -ENODEV;
#endif
	for (i = 0; !sysfs_find(0x1234, 0x1111, i, bdf); i++) {
		sysfs_read(class, sizeof(class), "/sys/bus/pci/devices/%s/class", bdf);
		if (strtoul(class, NULL, 16) >> 8 != 0x300) {
			if (kind == VGA_NONE)
				return 0;
			continue;
		}
		sysfs_read(boot, sizeof(boot), "/sys/bus/pci/devices/%s/boot_vga", bdf);
		if (kind == kinds[boot[0] == '1'])
			return 0;
	}
	return -ENODEV;
}

int vga_out(int fd, u16 port, u8 index, u8 val)
{
	u8 pair[2] = { index, val };
	ssize_t n = region_pwrite(fd, VGA, port, pair, 2);

	return n < 0 ? n : n == 2 ? 0 : -EIO;
}

int vga_in(int fd, u16 port, u8 index)
{
	ssize_t n = region_pwrite(fd, VGA, port, &index, 1);
	u8 val;

	if (n == 1)
		n = region_pread(fd, VGA, port + 1, &val, 1);
	return n < 0 ? n : n == 1 ? val : -EIO;
}

int vga_linear(int fd)
{
	return vga_out(fd, SEQ, SEQ_PLANES, 0x0f) ?: vga_out(fd, SEQ, SEQ_MODE, 0x0e) ?:
	       vga_out(fd, GC, GC_MODE, 0x40) ?: vga_out(fd, GC, GC_MISC, 0x05) ?:
	       vga_out(fd, GC, GC_MASK, 0xff);
}
