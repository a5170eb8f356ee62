// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "devices.h"
#include "sysfs.h"

static const struct {
	const char *name;
	struct {
		u16 vendor;
		u16 device;
	} ids[3];
	bool has_vfs;
} kinds[DEV_COUNT] = {
	[DEV_NVME]	= { "nvme",	{ { 0x1b36, 0x0010 } } },
	[DEV_IGB]	= { "igb",	{ { 0x8086, 0x10c9 } } },
	[DEV_EDU]	= { "edu",	{ { 0x1234, 0x11e8 } } },
	[DEV_E1000E]	= { "e1000e",	{ { 0x8086, 0x10d3 } } },
	[DEV_IVSHMEM]	= { "ivshmem",	{ { 0x1af4, 0x1110 } } },
	/* virtio-blk, as the answers to its requests can be checked */
	[DEV_VIRTIO]	= { "virtio",	{ { 0x1af4, 0x1042 } } },
	[DEV_NVME_PF]	= { "nvme_pf",	{ { 0x1b36, 0x0010 } }, .has_vfs = true },
	[DEV_EDU_MIG]	= { "edu_mig",	{ { 0x1234, 0x11ea } } },
};

static bool has_vfs(const char *bdf)
{
	char total[16];

	return sysfs_read(total, sizeof(total), "/sys/bus/pci/devices/%s/sriov_totalvfs",
			  bdf) > 0 && atoi(total);
}

const char *device_name(enum test_device dev)
{
	return kinds[dev].name;
}

const char *device_bdf(enum test_device dev)
{
	static char bdf[DEV_COUNT][BDF_LEN];
	char var[64];
	const char *env, *p;
	unsigned int nth;
	size_t i;
	int n;

	n = snprintf(var, sizeof(var), "VFIO_TEST_");
	for (p = kinds[dev].name; *p; p++)
		var[n++] = toupper(*p);
	var[n] = 0;
	env = getenv(var);
	if (env)
		return *env ? env : NULL;

	for (i = 0; i < LIB_ARRAY_SIZE(kinds[dev].ids) && kinds[dev].ids[i].vendor; i++) {
		for (nth = 0; !sysfs_find(kinds[dev].ids[i].vendor, kinds[dev].ids[i].device, nth,
					  bdf[dev]); nth++) {
			if (!kinds[dev].has_vfs || has_vfs(bdf[dev]))
				return bdf[dev];
		}
	}
	return NULL;
}
