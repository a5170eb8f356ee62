/* SPDX-License-Identifier: GPL-2.0-only */
/* QMP of the test machine itself, to plug and unplug its devices from inside. */
#ifndef LIB_QMP_H
#define LIB_QMP_H

#include "types.h"

/**
 * qmp_command() - one QMP command
 * @fmt: printf format of the members "execute" and "arguments": "\"execute\": \"stop\""
 *
 * Return: 0; -EIO when QEMU refuses; -ENODEV when the machine has no QMP.
 */
int qmp_command(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/**
 * qmp_expect() - one QMP command whose success is visible in its answer only
 * @want: what the answer must contain
 * @fmt: as in qmp_command()
 *
 * Return: like qmp_command(); -EIO also for another answer.
 */
int qmp_expect(const char *want, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
