/* SPDX-License-Identifier: GPL-2.0-only */
/* Modules that emulate what the test machine lacks: qemu-tests/NAME/NAME.ko. */
#ifndef LIB_MODULE_H
#define LIB_MODULE_H

#include "types.h"

/**
 * module_load() - load one of the project's modules for tests
 * @name: name of the file, without ".ko"
 * @args: its parameters
 *
 * Its init function runs in this process, and so can use its file descriptors.
 *
 * Return: 0 or negative errno: -ENOENT if it was not built, -ENOEXEC if not for this kernel, or
 * what the module returned.
 */
int module_load(const char *name, const char *args);

/**
 * module_unload() - unload it again
 * @name: name of the file, without ".ko"
 *
 * Return: 0 or negative errno.
 */
int module_unload(const char *name);

#endif
