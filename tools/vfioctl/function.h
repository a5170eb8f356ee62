/* SPDX-License-Identifier: GPL-2.0-only */
/* PCI functions, as sysfs has them, and how people name them. */
#ifndef VFIOCTL_FUNCTION_H
#define VFIOCTL_FUNCTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <json-c/json.h>

#include "util.h"

struct pci_access;
struct pci_dev;

/**
 * struct function - a PCI function
 * @address: such as 0000:01:00.0
 * @sys: its folder in sysfs
 * @pci: the same in libpci
 * @vendor: the vendor's ID
 * @device: the device's ID
 * @class: base class, subclass and interface
 * @bridge: it is a bridge, which cannot be assigned
 * @name: vendor and device in words
 * @group: the IOMMU group, or -1
 * @numa: the NUMA node, or -1
 * @driver: its driver, or NULL. This and what follows changes with time
 * @override: driver_override, or NULL
 * @node: vfioN, while a VFIO driver has it; else NULL
 * @rdev: the number of the device node /dev/vfio/devices/vfioN
 */
struct function {
	char address[20];
	char *sys;
	struct pci_dev *pci;
	uint16_t vendor;
	uint16_t device;
	uint32_t class;
	bool bridge;
	char *name;
	int group;
	int numa;
	char *driver;
	char *override;
	char *node;
	dev_t rdev;
};

/**
 * struct host - all functions of this host
 * @pci: libpci
 * @functions: by address
 * @n: how many
 */
struct host {
	struct pci_access *pci;
	struct function *functions;
	size_t n;
};

void host_scan(struct host *host);
void host_free(struct host *host);

#define __free_host __cleanup(host_free)
#define __free_functions __cleanup(free_functions)

/* For arrays of pointers, whose functions are the host's */
static inline void free_functions(struct function ***p)
{
	free(*p);
}

void function_refresh(struct function *f);
struct function *function_find(struct host *host, const char *address);
bool function_answers(struct function *f);
bool function_same_slot(const struct function *a, const struct function *b);
struct json_object *function_json(struct function *f);
const char *function_state(struct function *f);
struct strings function_resets(const struct function *f);

bool spec_is_id(const char *spec);
bool spec_valid(const char *spec);
bool spec_matches(const char *spec, const struct function *f);

#endif
