/* SPDX-License-Identifier: GPL-2.0-only */
/* Interrupts: eventfds as the device's interrupt lines and messages. */
#ifndef LIB_IRQ_H
#define LIB_IRQ_H

#include "types.h"

/* Long enough that only a lost interrupt takes it, on a debug kernel without KVM on a busy host */
#define IRQ_TIMEOUT_MS 120000

/**
 * irq_info() - how many interrupts of a type there are, and what they can
 * @fd: device file
 * @index: VFIO_PCI_*_IRQ_INDEX
 * @info: filled in
 *
 * Return: 0 or negative errno.
 */
int irq_info(int fd, u32 index, struct vfio_irq_info *info);

/**
 * irq_set() - VFIO_DEVICE_SET_IRQS with all its freedom
 * @fd: device file
 * @flags: one VFIO_IRQ_SET_DATA_* and one VFIO_IRQ_SET_ACTION_*
 * @index: VFIO_PCI_*_IRQ_INDEX
 * @start: first interrupt of that type
 * @count: how many
 * @data: follows the structure
 * @len: size of @data
 *
 * Return: 0 or negative errno.
 */
int irq_set(int fd, u32 flags, u32 index, u32 start, u32 count, const void *data, size_t len);

/**
 * irq_eventfds() - connect interrupts to eventfds, -1 disconnects one
 * @fd: device file
 * @index: VFIO_PCI_*_IRQ_INDEX
 * @start: first interrupt of that type
 * @efds: one eventfd for each
 * @count: how many
 *
 * The first call for a type turns the type on in the device.
 *
 * Return: 0 or negative errno.
 */
int irq_eventfds(int fd, u32 index, u32 start, const int *efds, u32 count);

/**
 * irq_eventfd() - connect one interrupt
 * @fd: device file
 * @index: VFIO_PCI_*_IRQ_INDEX
 * @n: which of them
 * @efd: eventfd or -1
 *
 * Return: 0 or negative errno.
 */
int irq_eventfd(int fd, u32 index, u32 n, int efd);

/**
 * irq_disable() - turn a type of interrupt off
 * @fd: device file
 * @index: VFIO_PCI_*_IRQ_INDEX
 *
 * Return: 0 or negative errno.
 */
int irq_disable(int fd, u32 index);

/**
 * irq_loopback() - signal the eventfds as if the device had interrupted
 * @fd: device file
 * @index: VFIO_PCI_*_IRQ_INDEX
 * @start: first interrupt
 * @count: how many
 *
 * Return: 0 or negative errno.
 */
int irq_loopback(int fd, u32 index, u32 start, u32 count);

/**
 * intx_mask() - hold the INTx interrupt back
 * @fd: device file
 *
 * Return: 0 or negative errno.
 */
int intx_mask(int fd);

/**
 * intx_unmask() - let the INTx interrupt through; each one masks itself when it is delivered
 * @fd: device file
 *
 * Return: 0 or negative errno.
 */
int intx_unmask(int fd);

/**
 * event_new() - a new eventfd, non-blocking
 *
 * Return: the fd; exits if there is none to be had.
 */
int event_new(void);

/**
 * event_wait() - wait until an eventfd is signalled and take the signal
 * @efd: the eventfd
 *
 * Return: how many times it was signalled, or -ETIMEDOUT after IRQ_TIMEOUT_MS.
 */
int event_wait(int efd);

/**
 * event_take() - take the signals that are there, without waiting
 * @efd: the eventfd
 *
 * Return: how many times it was signalled, 0 for none.
 */
int event_take(int efd);

/**
 * event_signal() - signal an eventfd
 * @efd: the eventfd
 */
void event_signal(int efd);

#endif
