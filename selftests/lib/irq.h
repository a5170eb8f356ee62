/* SPDX-License-Identifier: GPL-2.0-only */
/* Interrupts of the device, by eventfds. */
#ifndef LIB_IRQ_H
#define LIB_IRQ_H

#include "types.h"

/* Reached only if an interrupt is lost, even on a debug kernel without KVM on a busy host */
#define IRQ_TIMEOUT_MS 120000

/**
 * irq_info() - number and features of interrupts of a type
 * @fd: device file
 * @index: VFIO_PCI_*_IRQ_INDEX
 * @info: filled in
 *
 * Return: 0 or negative errno.
 */
int irq_info(int fd, u32 index, struct vfio_irq_info *info);

/**
 * irq_set() - VFIO_DEVICE_SET_IRQS with arbitrary arguments
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
 * intx_mask() - mask INTx
 * @fd: device file
 *
 * Return: 0 or negative errno.
 */
int intx_mask(int fd);

/**
 * intx_unmask() - unmask INTx, which masks itself at each interrupt
 * @fd: device file
 *
 * Return: 0 or negative errno.
 */
int intx_unmask(int fd);

/**
 * event_new() - a new eventfd, non-blocking
 *
 * Return: the fd; exits on failure.
 */
int event_new(void);

/**
 * event_wait() - wait until an eventfd is signaled, and take the signal
 * @efd: the eventfd
 *
 * Return: how many times it was signaled, or -ETIMEDOUT after IRQ_TIMEOUT_MS.
 */
int event_wait(int efd);

/**
 * event_take() - take pending signals, without waiting
 * @efd: the eventfd
 *
 * Return: how many times it was signaled, 0 for none.
 */
int event_take(int efd);

/**
 * event_signal() - signal an eventfd
 * @efd: the eventfd
 */
void event_signal(int efd);

#endif
