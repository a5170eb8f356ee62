/* SPDX-License-Identifier: GPL-2.0-only */
/* Modules: what there is, and how it gets loaded. */
#ifndef VFIOCTL_MODULE_H
#define VFIOCTL_MODULE_H

#include <stdbool.h>

#include "function.h"

int module_load(const char *name);
bool module_available(const char *name);
bool module_builtin(const char *name);
char *module_path(const char *name);
char *module_for(const struct function *f);
char *driver_name(const char *module);

#endif
