/* SPDX-License-Identifier: GPL-2.0-only */
/* Just enough of an NVMe driver to identify the controller: one admin queue (NVMe base 2.0). */
#ifndef LIB_NVME_H
#define LIB_NVME_H

#include "region.h"

#define NVME_CAP	0x00
#define NVME_VS		0x08
#define NVME_CC		0x14
#define NVME_CSTS	0x1c
#define NVME_AQA	0x24
#define NVME_ASQ	0x28
#define NVME_ACQ	0x30
#define NVME_DOORBELLS	0x1000

#define NVME_CC_EN	0x1
#define NVME_CSTS_RDY	0x1
#define NVME_CSTS_CFS	0x2

/* Submission queue, completion queue, data: a page each. */
#define NVME_MEM_SIZE	0x3000

/**
 * struct nvme - a controller with its admin queue
 * @bar: BAR 0
 * @mem: NVME_MEM_SIZE of memory for DMA
 * @iova: where the device sees it
 * @slot: next slot, of both queues
 * @phase: phase bit of a new completion
 */
struct nvme {
	void *bar;
	u8 *mem;
	u64 iova;
	u32 slot;
	u32 phase;
};

/**
 * nvme_enable() - set up the admin queue, and enable the controller
 * @n: with @bar, @mem and @iova filled in, and bus mastering on
 *
 * Return: 0 or -ETIMEDOUT.
 */
int nvme_enable(struct nvme *n);

/**
 * nvme_submit_identify() - ask for the controller's identity, by DMA into the data page
 * @n: the controller
 *
 * The completion raises vector 0.
 */
void nvme_submit_identify(struct nvme *n);

/**
 * nvme_complete() - wait for the completion of the oldest command
 * @n: the controller
 *
 * Return: status field of the completion (0 is success) or -ETIMEDOUT.
 */
int nvme_complete(struct nvme *n);

/**
 * nvme_vf_online() - bring the controller of a virtual function online
 * @n: the enabled controller of the physical function. If it is reset, so are its VFs, which go
 *	offline.
 * @controller: ID of the VF's controller
 * @queues: how many queue pairs it has, with the admin queue
 * @vectors: how many interrupt vectors
 *
 * Return: status field of the completion (0 is success) or -ETIMEDOUT.
 */
int nvme_vf_online(struct nvme *n, u16 controller, u16 queues, u16 vectors);

/**
 * nvme_data() - the data page
 * @n: the controller
 */
static inline u8 *nvme_data(struct nvme *n)
{
	return n->mem + 0x2000;
}

#endif
