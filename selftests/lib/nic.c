// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "clock.h"
#include "nic.h"

/* 82576 datasheet 8.8.13: several MSI-X vectors, and related bits. */
#define GPIE_NSICR		(1u << 0)
#define GPIE_MULTIPLE_MSIX	(1u << 4)
#define GPIE_EIAME		(1u << 30)
#define GPIE_PBA		(1u << 31)

void nic_raise(void *bar)
{
	mmio_write32(bar, NIC_IMS, NIC_CAUSE);
	mmio_write32(bar, NIC_ICS, NIC_CAUSE);
}

void nic_ack(void *bar)
{
	mmio_write32(bar, NIC_IMC, ~0u);
	mmio_read32(bar, NIC_ICR);
	mmio_write32(bar, NIC_ICR, ~0u);
}

void igb_msix_setup(void *bar)
{
	mmio_write32(bar, IGB_GPIE, GPIE_NSICR | GPIE_MULTIPLE_MSIX | GPIE_EIAME | GPIE_PBA);
	mmio_write32(bar, IGB_EIAC, ~0u);
	mmio_write32(bar, IGB_EICR, ~0u);
}

void igb_msix_raise(void *bar, u32 vectors)
{
	/* A cause that is still set does not interrupt again. */
	mmio_write32(bar, IGB_EICR, vectors);
	mmio_write32(bar, IGB_EIMS, vectors);
	mmio_write32(bar, IGB_EICS, vectors);
}

#define CTRL_RST	(1u << 26)
#define TCTL		0x0400
#define TCTL_EN		(1u << 1)
#define TDBAH		(IGBVF_TDBAL + 0x04)
#define TDLEN		(IGBVF_TDBAL + 0x08)
#define TDT		(IGBVF_TDBAL + 0x18)
#define TXDCTL		(IGBVF_TDBAL + 0x28)
#define TXDCTL_ENABLE	(1u << 25)

/* 82576 datasheet 7.2.2.3: one frame in one advanced descriptor, with completion reported */
#define TX_DATA		(3u << 20)
#define TX_EOP		(1u << 24)
#define TX_RS		(1u << 27)
#define TX_DEXT		(1u << 29)
#define TX_DONE		1u

#define FRAME_SIZE	64
#define RING_SIZE	128

void igb_tx_setup(void *bar)
{
	mmio_write32(bar, TCTL, TCTL_EN);
}

int igbvf_send(void *bar, void *mem, u64 iova)
{
	u64 frame = iova + IGBVF_MEM_SIZE / 2;
	volatile u32 *desc = mem;
	struct deadline end;

	memset(mem, 0, IGBVF_MEM_SIZE);
	/* Broadcast, from a locally administered address */
	memset((u8 *)mem + IGBVF_MEM_SIZE / 2, 0xff, 6);
	((u8 *)mem)[IGBVF_MEM_SIZE / 2 + 6] = 2;
	desc[0] = frame;
	desc[1] = frame >> 32;
	desc[2] = TX_DEXT | TX_RS | TX_EOP | TX_DATA | FRAME_SIZE;
	desc[3] = FRAME_SIZE << 14;
	__sync_synchronize();

	mmio_write32(bar, IGBVF_TDBAL, iova);
	mmio_write32(bar, TDBAH, iova >> 32);
	mmio_write32(bar, TDLEN, RING_SIZE);
	mmio_write32(bar, TXDCTL, TXDCTL_ENABLE);
	mmio_write32(bar, TDT, 1);
	for (deadline_start(&end); !(desc[3] & TX_DONE); sched_yield())
		if (deadline_passed(&end))
			return -ETIMEDOUT;
	return 0;
}

int igb_send(void *bar, void *mem, u64 iova)
{
	mmio_write32(bar, NIC_CTRL, CTRL_RST);
	igb_tx_setup(bar);
	/* Its first queue is at the same offset as that of a VF. */
	return igbvf_send(bar, mem, iova);
}
