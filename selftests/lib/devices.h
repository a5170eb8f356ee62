/* SPDX-License-Identifier: GPL-2.0-only */
/* The emulated devices that the tests know, and the fixture variants for them. */
#ifndef LIB_DEVICES_H
#define LIB_DEVICES_H

#include "types.h"

/**
 * enum test_device - one for each kind of device under test
 *
 * Together they have all features of a PCI device that matter to VFIO: function-level reset (nvme,
 * igb), none (edu, ivshmem), I/O BARs (igb, e1000e), a BAR below the page size (ivshmem), a large
 * one (ivshmem), 32 and 64 bit BARs, a ROM, conventional and Express, INTx, MSI and MSI-X.
 */
enum test_device {
	DEV_NVME,
	DEV_IGB,
	DEV_EDU,
	DEV_E1000E,
	DEV_IVSHMEM,
	DEV_VIRTIO,
	/* The end of the kinds in FIXTURE_ALL_DEVICES */
	DEV_OF_ALL_KINDS,
	/* An NVMe controller that can have VFs */
	DEV_NVME_PF = DEV_OF_ALL_KINDS,
	/* Supports migration */
	DEV_EDU_MIG,
	DEV_COUNT
};

/**
 * device_bdf() - find a device of this kind
 * @dev: the kind
 *
 * This is the first one on the bus, unless the environment variable VFIO_TEST_<NAME> names another
 * one (VFIO_TEST_NVME=0000:05:00.0).
 *
 * Return: "DDDD:BB:DD.F", or NULL if the machine has none.
 */
const char *device_bdf(enum test_device dev);

/**
 * device_name() - the kind's name, as in the names of tests
 * @dev: the kind
 */
const char *device_name(enum test_device dev);

/* A variant for each kind of device, of a fixture with "enum test_device dev" in its variant. */
#define FIXTURE_ALL_DEVICES(fixture)					\
	FIXTURE_VARIANT_ADD(fixture, nvme) { .dev = DEV_NVME };		\
	FIXTURE_VARIANT_ADD(fixture, igb) { .dev = DEV_IGB };		\
	FIXTURE_VARIANT_ADD(fixture, edu) { .dev = DEV_EDU };		\
	FIXTURE_VARIANT_ADD(fixture, e1000e) { .dev = DEV_E1000E };	\
	FIXTURE_VARIANT_ADD(fixture, ivshmem) { .dev = DEV_IVSHMEM };	\
	FIXTURE_VARIANT_ADD(fixture, virtio) { .dev = DEV_VIRTIO }

#endif
