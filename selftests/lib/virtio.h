/* SPDX-License-Identifier: GPL-2.0-only */
/* A modern virtio-blk device with one request in flight (Virtio 1.2, 4.1 and 5.2). */
#ifndef LIB_VIRTIO_H
#define LIB_VIRTIO_H

#include "region.h"

#define VIRTIO_MEM_SIZE	0x4000
#define VIRTIO_ID_LEN	20

/**
 * struct virtio_blk - a device with queue 0
 * @fd: device file
 * @common: the common configuration structure
 * @notify: where queue 0 is notified
 * @isr: interrupt status, cleared when read
 * @mem: VIRTIO_MEM_SIZE of memory for DMA
 * @iova: where the device sees it
 * @seen: used entries taken so far
 */
struct virtio_blk {
	int fd;
	void *common;
	void *notify;
	void *isr;
	u8 *mem;
	u64 iova;
	u16 seen;
};

/**
 * virtio_blk_start() - find the structures, negotiate, set up queue 0
 * @v: with @fd, @mem and @iova filled in, and bus mastering on
 * @vector: MSI-X vector of the queue, 0xffff for INTx
 *
 * Return: 0 or negative errno.
 */
int virtio_blk_start(struct virtio_blk *v, u16 vector);

/**
 * virtio_blk_submit_id() - ask for the serial number
 * @v: the device
 */
void virtio_blk_submit_id(struct virtio_blk *v);

/**
 * virtio_blk_complete() - wait for the answer
 * @v: the device
 *
 * Return: status byte of the request (0 is success) or -ETIMEDOUT.
 */
int virtio_blk_complete(struct virtio_blk *v);

/**
 * virtio_blk_id() - the answer, VIRTIO_ID_LEN bytes, no terminator when full
 * @v: the device
 */
static inline const char *virtio_blk_id(struct virtio_blk *v)
{
	return (char *)v->mem + 0x3010;
}

/**
 * virtio_blk_stop() - reset it, after which it does not access its queue any more
 * @v: the device, started before
 *
 * Return: 0 or -ETIMEDOUT.
 */
int virtio_blk_stop(struct virtio_blk *v);

/**
 * virtio_status() - the device status register, 0 after a reset
 * @v: the device
 */
u8 virtio_status(struct virtio_blk *v);

#endif
