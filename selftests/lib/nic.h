/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Interrupts on demand from Intel's e1000e (82574) and igb (82576), with registers in BAR 0. And
 * DMA by igb's functions.
 */
#ifndef LIB_NIC_H
#define LIB_NIC_H

#include "region.h"

/* At the old e1000 offsets in both devices */
#define NIC_CTRL	0x0000
#define NIC_STATUS	0x0008
#define NIC_ICR		0x00c0
#define NIC_ICS		0x00c8
#define NIC_IMS		0x00d0
#define NIC_IMC		0x00d8
/* Wake-up control and address of the first receive filter: plain registers, 0 after a reset. */
#define NIC_WUC		0x5800
#define NIC_RDBAL	0x2800

#define IGB_GPIE	0x1514
#define IGB_EICS	0x1520
#define IGB_EIMS	0x1524
#define IGB_EIMC	0x1528
#define IGB_EIAC	0x152c
#define IGB_EICR	0x1580

/* The cause "link status change", which does not otherwise occur in a test. */
#define NIC_CAUSE	0x4

/**
 * nic_raise() - raise an interrupt by INTx or MSI, on either card
 * @bar: BAR 0
 */
void nic_raise(void *bar);

/**
 * nic_ack() - clear the cause, so that INTx is deasserted
 * @bar: BAR 0
 */
void nic_ack(void *bar);

/**
 * igb_msix_setup() - let igb use its MSI-X vectors
 * @bar: BAR 0
 */
void igb_msix_setup(void *bar);

/**
 * igb_msix_raise() - raise interrupts by some MSI-X vectors
 * @bar: BAR 0
 * @vectors: bit n for vector n
 */
void igb_msix_raise(void *bar, u32 vectors);

/* A VF of igb has a queue pair and three vectors; EICS etc. are at the same offsets as in igb. */
#define IGBVF_TDBAL	0x3800
#define IGBVF_VECTORS	3
#define IGBVF_MEM_SIZE	0x1000

/**
 * igb_tx_setup() - let the virtual functions send
 * @bar: BAR 0 of the physical function
 */
void igb_tx_setup(void *bar);

/**
 * igbvf_send() - send one frame: the descriptor is read by DMA, and marked as done
 * @bar: BAR 0 of the virtual function, which has not sent anything since its last reset
 * @mem: IGBVF_MEM_SIZE of memory for DMA
 * @iova: where the device sees it
 *
 * Return: 0 or -ETIMEDOUT.
 */
int igbvf_send(void *bar, void *mem, u64 iova);

/**
 * igb_send() - the same for the physical function, which is reset first
 * @bar: BAR 0 of the physical function
 * @mem: IGBVF_MEM_SIZE of memory for DMA
 * @iova: where the device sees it
 *
 * Return: 0 or -ETIMEDOUT.
 */
int igb_send(void *bar, void *mem, u64 iova);

#endif
