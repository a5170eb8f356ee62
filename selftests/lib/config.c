// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <unistd.h>

#include "config.h"
#include "session.h"

/* Every capability has at least four bytes, so a list that is longer than this is a loop. */
#define MAX_CAPS ((256 - 64) / 4)
#define MAX_ECAPS ((4096 - 256) / 4)

s64 config_read(int fd, unsigned int pos, unsigned int width)
{
	u32 val = 0;
	ssize_t n = pread(fd, &val, width, region_offset(VFIO_PCI_CONFIG_REGION_INDEX) + pos);

	if (n < 0)
		return -errno;
	return n == width ? (s64)val : -EIO;
}

int config_write(int fd, unsigned int pos, unsigned int width, u32 val)
{
	ssize_t n = pwrite(fd, &val, width, region_offset(VFIO_PCI_CONFIG_REGION_INDEX) + pos);

	if (n < 0)
		return -errno;
	return n == width ? 0 : -EIO;
}

int config_update(int fd, unsigned int pos, unsigned int width, u32 clear, u32 set)
{
	s64 val = config_read(fd, pos, width);

	if (val < 0)
		return val;
	return config_write(fd, pos, width, (val & ~clear) | set);
}

unsigned int config_size(int fd)
{
	struct vfio_region_info info = {
		.argsz = sizeof(info),
		.index = VFIO_PCI_CONFIG_REGION_INDEX,
	};

	return vfio_ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &info) ? 0 : info.size;
}

int config_cap(int fd, u8 id)
{
	s64 pos;
	int n;

	if (!(config_read(fd, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST))
		return 0;
	pos = config_read(fd, PCI_CAPABILITY_LIST, 1);
	for (n = 0; pos >= 0x40 && n < MAX_CAPS; n++) {
		if (config_read(fd, pos, 1) == id)
			return pos;
		pos = config_read(fd, pos + PCI_CAP_LIST_NEXT, 1);
	}
	return n == MAX_CAPS ? -ELOOP : 0;
}

int config_ecap(int fd, u16 id)
{
	s64 header, pos = 0x100;
	int n;

	if (config_size(fd) <= 0x100)
		return 0;
	for (n = 0; pos >= 0x100 && n < MAX_ECAPS; n++) {
		header = config_read(fd, pos, 4);
		if (header <= 0)
			return header;
		if (PCI_EXT_CAP_ID(header) == id)
			return pos;
		pos = PCI_EXT_CAP_NEXT(header);
	}
	return n == MAX_ECAPS ? -ELOOP : 0;
}

int config_master(int fd, bool on)
{
	return config_update(fd, PCI_COMMAND, 2, on ? 0 : PCI_COMMAND_MASTER,
			     on ? PCI_COMMAND_MASTER : 0);
}
