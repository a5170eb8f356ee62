/* SPDX-License-Identifier: GPL-2.0-only */
/* What is remembered, until the next boot, of functions that were taken from the host. */
#ifndef VFIOCTL_MEMORY_H
#define VFIOCTL_MEMORY_H

#include <stdbool.h>

#include "util.h"

/**
 * struct memory - how the host had a function
 * @driver: its driver, or NULL
 * @module: the module that has this driver, or NULL
 * @override: its driver_override, or NULL
 * @along: the function that it was taken along with, or NULL
 */
struct memory {
	char *driver;
	char *module;
	char *override;
	char *along;
};

bool memory_lock(const char *command);
int memory_keep(const char *address, const struct memory *memory);
bool memory_recall(const char *address, struct memory *memory);
void memory_forget(const char *address);
void memory_free(struct memory *memory);

#define __free_memory __cleanup(memory_free)

#endif
