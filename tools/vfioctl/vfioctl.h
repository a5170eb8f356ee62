/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vfioctl: assign PCI functions, and see what becomes of them. The commands, each in a file of
 * its name, and what they have in common.
 */
#ifndef VFIOCTL_H
#define VFIOCTL_H

#include <stdbool.h>

#include "function.h"

/* Exit statuses; the worst one counts */
enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1,	/* the kernel refused, or doctor found what stands in the way */
	EXIT_USAGE = 2,
	EXIT_REFUSED = 3,	/* it would hurt; --force does it */
	EXIT_NO_DEVICE = 4,	/* nothing is there that has this name */
	EXIT_TIME = 5,		/* bound, but the node has not come in time */
};

/**
 * struct options - what the command line says
 * @json: print JSON
 * @force: do it even if it would hurt
 * @group: take along whatever else is in the IOMMU group
 * @persist: also change /etc/vfioctl.conf
 * @boot: bind what /etc/vfioctl.conf lists
 * @all: list bridges as well
 * @bound: list only what a VFIO driver has
 * @wide: do not cut lines off
 * @driver: the driver to bind to, or NULL
 * @timeout: seconds to wait for the node
 * @interval: seconds between two looks
 * @count: how many looks, or 0 for no end
 * @specs: what functions are meant
 * @n: how many of these there are
 */
struct options {
	bool json;
	bool force;
	bool group;
	bool persist;
	bool boot;
	bool all;
	bool bound;
	bool wide;
	const char *driver;
	double timeout;
	double interval;
	unsigned long count;
	char **specs;
	int n;
};

int cmd_list(const struct options *options);
int cmd_bind(const struct options *options);
int cmd_unbind(const struct options *options);
int cmd_info(const struct options *options);
int cmd_doctor(const struct options *options);
int cmd_watch(const struct options *options);

int select_functions(struct host *host, const struct options *options,
		     struct function ***selected, size_t *n);

#endif
