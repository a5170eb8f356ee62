// SPDX-License-Identifier: GPL-2.0-only
#include <sched.h>
#include <string.h>

#include "clock.h"
#include "nvme.h"

#define SLOTS 8
#define SQE_SIZE 64
#define CQE_SIZE 16
#define OPC_IDENTIFY 0x06
#define OPC_VIRTUALIZATION_MANAGEMENT 0x1c
#define CNS_CONTROLLER 0x01

static int wait_ready(struct nvme *n, u32 want)
{
	struct deadline end;

	for (deadline_start(&end); (mmio_read32(n->bar, NVME_CSTS) & NVME_CSTS_RDY) != want;
	     sched_yield())
		if (deadline_passed(&end))
			return -ETIMEDOUT;
	return 0;
}

int nvme_enable(struct nvme *n)
{
	int err;

	mmio_write32(n->bar, NVME_CC, 0);
	err = wait_ready(n, 0);
	if (err)
		return err;
	memset(n->mem, 0, NVME_MEM_SIZE);
	n->slot = 0;
	n->phase = 1;
	mmio_write32(n->bar, NVME_AQA, (SLOTS - 1) << 16 | (SLOTS - 1));
	mmio_write32(n->bar, NVME_ASQ, n->iova);
	mmio_write32(n->bar, NVME_ASQ + 4, n->iova >> 32);
	mmio_write32(n->bar, NVME_ACQ, n->iova + 0x1000);
	mmio_write32(n->bar, NVME_ACQ + 4, (n->iova + 0x1000) >> 32);
	/* Entry sizes as powers of two: 64 bytes submission, 16 bytes completion. */
	mmio_write32(n->bar, NVME_CC, 4 << 20 | 6 << 16 | NVME_CC_EN);
	return wait_ready(n, NVME_CSTS_RDY);
}

static void submit(struct nvme *n, u32 opcode, u32 dword10, u32 dword11)
{
	u32 *sqe = (u32 *)(n->mem + n->slot * SQE_SIZE);
	u64 data = n->iova + 0x2000;

	memset(sqe, 0, SQE_SIZE);
	sqe[0] = opcode | n->slot << 16;
	sqe[6] = data;
	sqe[7] = data >> 32;
	sqe[10] = dword10;
	sqe[11] = dword11;
	__sync_synchronize();
	mmio_write32(n->bar, NVME_DOORBELLS, (n->slot + 1) % SLOTS);
}

void nvme_submit_identify(struct nvme *n)
{
	submit(n, OPC_IDENTIFY, CNS_CONTROLLER, 0);
}

int nvme_complete(struct nvme *n)
{
	volatile u16 *cqe = (u16 *)(n->mem + 0x1000 + n->slot * CQE_SIZE);
	struct deadline end;
	u32 stride = 4 << (mmio_read32(n->bar, NVME_CAP + 4) & 0xf);

	/* The last 16 bits are the phase bit and 15 bits of status. */
	for (deadline_start(&end); (cqe[7] & 1) != n->phase; sched_yield())
		if (deadline_passed(&end))
			return -ETIMEDOUT;
	n->slot = (n->slot + 1) % SLOTS;
	if (!n->slot)
		n->phase ^= 1;
	mmio_write32(n->bar, NVME_DOORBELLS + stride, n->slot);
	return cqe[7] >> 1;
}

static int virtualization(struct nvme *n, u16 controller, u32 action, u32 resource, u16 count)
{
	submit(n, OPC_VIRTUALIZATION_MANAGEMENT, (u32)controller << 16 | resource << 8 | action,
	       count);
	return nvme_complete(n);
}

int nvme_vf_online(struct nvme *n, u16 controller, u16 queues, u16 vectors)
{
	const u32 assign = 8, online = 9, queue = 0, vector = 1;
	int err;

	err = virtualization(n, controller, assign, vector, vectors);
	if (!err)
		err = virtualization(n, controller, assign, queue, queues);
	if (!err)
		err = virtualization(n, controller, online, 0, 0);
	return err;
}
