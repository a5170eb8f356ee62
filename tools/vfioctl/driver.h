/* SPDX-License-Identifier: GPL-2.0-only */
/* A function changes its driver. */
#ifndef VFIOCTL_DRIVER_H
#define VFIOCTL_DRIVER_H

#include <stdbool.h>

#include "function.h"

char *driver_choose(const struct function *f, const char *wanted, char **problem);
int driver_take(struct function *f, const char *driver, const char *along, bool boot,
		char **problem);
int driver_give_back(struct function *f, char **problem);
bool driver_wait_node(const struct function *f, double seconds);

#endif
