/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's log, from some time on. */
#ifndef VFIOCTL_KMSG_H
#define VFIOCTL_KMSG_H

#include <stdbool.h>
#include <stddef.h>

int kmsg_open(void);
bool kmsg_read(int fd, char *text, size_t size);
char *kmsg_reason(int fd, const char *driver, const char *address);

#endif
