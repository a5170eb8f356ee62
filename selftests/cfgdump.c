// SPDX-License-Identifier: GPL-2.0-only
/*
 * cfgdump [BDF...]: dump config space as seen through the driver, to compare drivers with cfgdiff.
 * Without BDF, dump all devices that the tests know.
 *
 *   == NAME                  a device
 *   cap ID@POS, ecap ID@POS  its capability lists as walked
 *   r POS OWNER VALUE        each dword after open
 *   w POS OWNER MASK         bits of a byte that change when its inverse is written
 *
 * OWNER is the register's offset in the header ("head+04"), in a capability ("cap05+02") or in an
 * extended one ("ecap0001+08"); registers after a capability count as a part of it. Everything is
 * written, except for what would make the device unusable for the session: power state, FLR.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/config.h"
#include "lib/devices.h"
#include "lib/session.h"

/* A range of registers that must not be written. */
struct skip {
	unsigned int pos;
	unsigned int len;
};

static struct skip skips[64];
static unsigned int nskips;

/* Name and start of the capability that each byte belongs to. */
static char owner[4096][16];
static unsigned int owner_start[4096];

static void own(unsigned int pos, const char *name)
{
	unsigned int end = pos < 256 ? 256 : 4096, p;

	/* Up to the next one, or the end. Lists need not be in order. */
	for (p = pos; p < end && (p == pos || owner_start[p] != p || !p); p++) {
		strcpy(owner[p], name);
		owner_start[p] = pos;
	}
}

static const char *owner_of(unsigned int pos)
{
	static char text[32];

	snprintf(text, sizeof(text), "%.15s+%02x", owner[pos], pos - owner_start[pos]);
	return text;
}

static void skip(unsigned int pos, unsigned int len)
{
	if (nskips < LIB_ARRAY_SIZE(skips))
		skips[nskips++] = (struct skip){ pos, len };
}

static bool skipped(unsigned int pos)
{
	unsigned int i;

	for (i = 0; i < nskips; i++)
		if (pos >= skips[i].pos && pos < skips[i].pos + skips[i].len)
			return true;
	return false;
}

static void caps(int fd)
{
	char name[16];
	s64 pos;
	int n;

	if (!(config_read(fd, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST))
		return;
	pos = config_read(fd, PCI_CAPABILITY_LIST, 1);
	for (n = 0; pos >= 0x40 && n < 48; n++) {
		s64 id = config_read(fd, pos, 1);

		printf("cap %02x@%02x\n", (u32)id, (u32)pos);
		snprintf(name, sizeof(name), "cap%02x", (u32)id);
		own(pos, name);
		/* Power state, and the bits of Express and AF that reset the function. */
		if (id == PCI_CAP_ID_PM)
			skip(pos + PCI_PM_CTRL, 4);
		if (id == PCI_CAP_ID_EXP)
			skip(pos + PCI_EXP_DEVCTL, 4);
		if (id == PCI_CAP_ID_AF)
			skip(pos + PCI_AF_CTRL, 1);
		/* A write to the address starts an access to the VPD. */
		if (id == PCI_CAP_ID_VPD)
			skip(pos, 8);
		pos = config_read(fd, pos + PCI_CAP_LIST_NEXT, 1);
	}
}

static void ecaps(int fd)
{
	char name[16];
	s64 header, pos = 0x100;
	int n;

	if (config_size(fd) <= 0x100)
		return;
	for (n = 0; pos >= 0x100 && n < 960; n++) {
		header = config_read(fd, pos, 4);
		if (header <= 0)
			return;
		printf("ecap %04x@%03x\n", (u32)PCI_EXT_CAP_ID(header), (u32)pos);
		snprintf(name, sizeof(name), "ecap%04x", (u32)PCI_EXT_CAP_ID(header));
		own(pos, name);
		pos = PCI_EXT_CAP_NEXT(header);
	}
}

static int dump(const char *name, const char *bdf)
{
	unsigned int pos, size;
	struct session s;
	int err;

	err = session_open(&s, bdf);
	if (err) {
		fprintf(stderr, "cfgdump: %s: %s\n", bdf, strerror(-err));
		return 1;
	}
	printf("== %s\n", name);
	nskips = 0;
	for (pos = 0; pos < 4096; pos++) {
		strcpy(owner[pos], pos < 64 ? "head" : pos < 256 ? "std" : "ext");
		owner_start[pos] = 0;
	}
	size = config_size(s.fd);
	caps(s.fd);
	ecaps(s.fd);
	for (pos = 0; pos < size; pos += 4)
		printf("r %03x %s %08x\n", pos, owner_of(pos), (u32)config_read(s.fd, pos, 4));
	for (pos = 0; pos < size; pos++) {
		s64 old, new;

		if (skipped(pos))
			continue;
		old = config_read(s.fd, pos, 1);
		config_write(s.fd, pos, 1, ~old);
		new = config_read(s.fd, pos, 1);
		config_write(s.fd, pos, 1, old);
		if (old != new)
			printf("w %03x %s %02x\n", pos, owner_of(pos), (u32)(old ^ new));
	}
	session_close(&s);
	return 0;
}

int main(int argc, char **argv)
{
	int i, err = 0;

	for (i = 1; i < argc; i++)
		err |= dump(argv[i], argv[i]);
	for (i = 0; argc == 1 && i < DEV_COUNT; i++)
		if (device_bdf(i))
			err |= dump(device_name(i), device_bdf(i));
	return err;
}
