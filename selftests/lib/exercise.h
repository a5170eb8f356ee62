/* SPDX-License-Identifier: GPL-2.0-only */
/* A common test for every kind of device: does all of it work, including interrupts and DMA? */
#ifndef LIB_EXERCISE_H
#define LIB_EXERCISE_H

#include "devices.h"
#include "session.h"

/**
 * struct exercise - a device that is set up to work
 * @dev: its kind
 * @s: its session
 * @index: the BAR in use
 * @bar: that BAR, all of it
 * @irq: VFIO_PCI_*_IRQ_INDEX of its interrupt, VFIO_PCI_NUM_IRQS for none
 * @efd: signaled by the interrupt
 * @mem: memory for DMA
 */
struct exercise {
	enum test_device dev;
	struct session *s;
	u32 index;
	void *bar;
	u32 irq;
	int efd;
	void *mem;
};

/**
 * exercise_start() - turn bus mastering and an interrupt on, map a BAR and memory for DMA
 * @x: filled in
 * @dev: the kind
 * @s: a session on one of them
 *
 * Return: 0 or negative errno.
 */
int exercise_start(struct exercise *x, enum test_device dev, struct session *s);

/**
 * exercise() - do DMA and an interrupt, as far as the device can
 * @x: the device. Its own registers may have been lost since exercise_start(), but neither config
 *	space nor what was set up by ioctl.
 *
 * Return: 0; -EIO for wrong data; -EFAULT if the BAR cannot be accessed; -ETIMEDOUT for a missing
 * interrupt or DMA.
 */
int exercise(struct exercise *x);

/**
 * exercise_end() - the mirror of exercise_start()
 * @x: the device
 *
 * The BAR of a virtio device stays mapped, which keeps its session open.
 */
void exercise_end(struct exercise *x);

#endif
