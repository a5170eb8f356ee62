/* SPDX-License-Identifier: GPL-2.0-only */
/* Power states of a device, set by its user or runtime PM, and system sleep. */
#ifndef LIB_POWER_H
#define LIB_POWER_H

#include "session.h"
#include "types.h"

/**
 * low_power_entry() - let the host suspend the device: VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY
 * @fd: device file, bound
 *
 * Return: 0 or negative errno.
 */
int low_power_entry(int fd);

/**
 * low_power_entry_with_wakeup() - the same, until it is woken up
 * @fd: device file, bound
 * @efd: eventfd that is signaled on wakeup
 *
 * Return: 0 or negative errno.
 */
int low_power_entry_with_wakeup(int fd, int efd);

/**
 * low_power_exit() - keep it awake again: VFIO_DEVICE_FEATURE_LOW_POWER_EXIT
 * @fd: device file, bound
 *
 * Return: 0 or negative errno.
 */
int low_power_exit(int fd);

/**
 * power_is() - whether an attribute of the device has a value
 * @bdf: the device
 * @attr: path below its folder in sysfs
 * @val: the value
 */
bool power_is(const char *bdf, const char *attr, const char *val);

/**
 * power_becomes() - wait until an attribute of the device has a value
 * @bdf: the device
 * @attr: path below its folder in sysfs
 * @val: the value
 *
 * Return: whether it has.
 */
bool power_becomes(const char *bdf, const char *attr, const char *val);

/**
 * power_sleeps() - wait until runtime PM has suspended the device
 * @bdf: the device
 *
 * Return: whether it has.
 */
bool power_sleeps(const char *bdf);

/**
 * power_awake() - whether the device is in D0, and not about to leave it
 * @bdf: the device
 */
bool power_awake(const char *bdf);

/**
 * power_no_delay() - let runtime PM suspend the device without delay
 * @bdf: the device. The in-tree driver has no delay, and its attribute cannot be written.
 */
void power_no_delay(const char *bdf);

/**
 * power_close() - end a session, and wait until the device has been reset after it, and sleeps
 * @s: the session, with our driver. In-tree, the device sleeps only after the reset.
 *
 * A sleeping device may still be about to be woken up for its reset. To detect the reset, this
 * checks for a register value that the user has written before.
 *
 * Return: whether it does.
 */
bool power_close(struct session *s);

/**
 * system_sleep() - suspend all devices as suspend-to-idle does, and resume them
 *
 * Only the idle phase is skipped, so that nothing has to wake the machine up.
 *
 * Return: 0 or negative errno; -ENOENT or -EACCES where the kernel cannot do that.
 */
int system_sleep(void);

#endif
