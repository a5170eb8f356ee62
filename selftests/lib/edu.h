/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * QEMU's "edu" device (QEMU's docs/specs/edu.rst): all registers are in BAR 0. It has 4 KiB of its
 * own memory, a DMA engine with 28 address bits, and an interrupt on demand (MSI or INTx), but no
 * function-level reset. "edu-pasid" is the same on PCI Express, with PASIDs and page requests; it
 * needs the QEMU of qemu-tests/qemu.
 */
#ifndef LIB_EDU_H
#define LIB_EDU_H

#include "region.h"
#include "sysfs.h"

#define EDU_ID			0x00
#define EDU_INVERT		0x04
#define EDU_FACTORIAL		0x08
#define EDU_STATUS		0x20
#define EDU_IRQ_STATUS		0x24
#define EDU_IRQ_RAISE		0x60
#define EDU_IRQ_ACK		0x64
#define EDU_DMA_SRC		0x80
#define EDU_DMA_DST		0x88
#define EDU_DMA_COUNT		0x90
#define EDU_DMA_CMD		0x98
#define EDU_DMA_PASID		0xa0
#define EDU_PAGE_RESPONSE	0xa8

#define EDU_ID_VALUE		0x010000ed
#define EDU_DMA_START		0x1
#define EDU_DMA_TO_MEMORY	0x2
#define EDU_DMA_IRQ		0x4
#define EDU_DMA_WITH_PASID	0x8
#define EDU_DMA_ASK		0x10
#define EDU_NO_RESPONSE		0xff
/* Bit of the interrupt status that is set at the end of a DMA. */
#define EDU_IRQ_DMA		0x100
#define EDU_BUF			0x40000
#define EDU_BUF_SIZE		0x1000

/**
 * edu_write_memory() - DMA from the device's own memory to the host's
 * @bar: BAR 0
 * @iova: destination
 * @off: offset in the device's memory
 * @len: number of bytes
 *
 * Waits for the end of the transfer. The caller must check that the data arrived, as the device
 * does not detect IOMMU faults. Bus mastering must be on.
 *
 * Return: 0 or -ETIMEDOUT.
 */
int edu_write_memory(void *bar, u64 iova, u32 off, u32 len);

/**
 * edu_read_memory() - DMA from the host's memory to the device's own
 * @bar: BAR 0
 * @iova: source
 * @off: offset in the device's memory
 * @len: how much
 *
 * Return: 0 or -ETIMEDOUT.
 */
int edu_read_memory(void *bar, u64 iova, u32 off, u32 len);

/**
 * edu_write_memory_pasid() - edu_write_memory() with requests that carry a PASID
 * @bar: BAR 0, of edu-pasid
 * @pasid: which
 * @iova: destination in the address space of that PASID
 * @off: offset in the device's memory
 * @len: how much
 *
 * Return: 0 or -ETIMEDOUT.
 */
int edu_write_memory_pasid(void *bar, u32 pasid, u64 iova, u32 off, u32 len);

/**
 * edu_ask_and_write() - begin a DMA to the host's memory, preceded by a page request
 * @bar: BAR 0, of edu-pasid
 * @pasid: which, or 0 for none
 * @iova: where to
 * @off: offset in the device's memory
 * @len: how much
 *
 * Does not wait. The device requests the page of @iova once, and starts the transfer after a
 * successful response. If page requests are off, it does neither.
 */
void edu_ask_and_write(void *bar, u32 pasid, u64 iova, u32 off, u32 len);

/**
 * edu_dma_running() - whether a DMA is in progress
 * @bar: BAR 0
 */
static inline bool edu_dma_running(void *bar)
{
	return mmio_read32(bar, EDU_DMA_CMD) & EDU_DMA_START;
}

/**
 * edu_dma_end() - wait for the end of a DMA
 * @bar: BAR 0
 *
 * Return: 0 or -ETIMEDOUT.
 */
int edu_dma_end(void *bar);

/**
 * edu_page_response() - the response to the device's last page request
 * @bar: BAR 0, of edu-pasid
 *
 * Return: response code of PCIe specification 10.4.2.1, or EDU_NO_RESPONSE
 */
static inline u32 edu_page_response(void *bar)
{
	return mmio_read32(bar, EDU_PAGE_RESPONSE);
}

/**
 * edu_raise() - make the device interrupt
 * @bar: BAR 0
 * @bits: set in its interrupt status; any will do
 */
static inline void edu_raise(void *bar, u32 bits)
{
	mmio_write32(bar, EDU_IRQ_RAISE, bits);
}

/**
 * edu_ack() - clear bits of the interrupt status; INTx falls with the last of them
 * @bar: BAR 0
 * @bits: which
 */
static inline void edu_ack(void *bar, u32 bits)
{
	mmio_write32(bar, EDU_IRQ_ACK, bits);
}

/**
 * edu_behind_bridge() - find one that is behind a bridge to conventional PCI
 * @bdf: filled
 *
 * Return: 0 or -ENODEV.
 */
int edu_behind_bridge(char bdf[BDF_LEN]);

#endif
