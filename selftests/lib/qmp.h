/* SPDX-License-Identifier: GPL-2.0-only */
/* QMP of the test machine itself: its devices can be plugged in and out from inside. */
#ifndef LIB_QMP_H
#define LIB_QMP_H

#include "types.h"

/**
 * qmp_command() - one QMP command
 * @fmt: printf format of what "execute" and "arguments" are: "\"execute\": \"stop\""
 *
 * Return: 0; -EIO when QEMU refuses; -ENODEV when the machine has no QMP.
 */
int qmp_command(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/**
 * qmp_expect() - one QMP command whose success shows in its answer only
 * @want: what has to be in the answer
 * @fmt: as in qmp_command()
 *
 * Return: as qmp_command(); -EIO also when the answer is another one.
 */
int qmp_expect(const char *want, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
