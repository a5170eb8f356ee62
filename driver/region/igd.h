/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The OpRegion of Intel graphics, in memory owned by the firmware. "IGD OpRegion/Software SCI
 * Specification for Skylake Processors", 0.5, sections 2 and 4.
 */
#ifndef VFIO_PCI_IGD_H
#define VFIO_PCI_IGD_H

#include <linux/sizes.h>
#include <linux/types.h>

/* The register that holds its address, in config space of the function: ASLS */
#define IGD_ASLS		0xfc

#define IGD_OPREGION_SIZE	SZ_8K
#define IGD_SIGNATURE		"IntelGraphicsMem"
#define IGD_SIZE_KB		0x10	/* 4 bytes */
#define IGD_VERSION		0x16	/* minor and major, 2 bytes */
#define IGD_RVDA		0x3ba	/* where the VBT is, 8 bytes */
#define IGD_RVDS		0x3c2	/* its size, 4 bytes */

#define IGD_VERSION_2_0		0x0200
#define IGD_VERSION_2_1		0x0201

/* The VBT's own header has 16 bits for its size. Anything far larger is not a VBT. */
#define IGD_VBT_MAX		SZ_1M

/**
 * struct igd_layout - layout of an OpRegion
 * @vbt: address of the VBT that did not fit into it
 * @vbt_size: size of that VBT in bytes, 0 if there is none
 * @version: the version that the user sees
 * @rvda: the RVDA that the user sees
 */
struct igd_layout {
	u64 vbt;
	u32 vbt_size;
	u16 version;
	u64 rvda;
};

int igd_parse(const u8 *opregion, u32 addr, struct igd_layout *layout);
void igd_copy(void *buf, u64 off, size_t len, const u8 *opregion, const u8 *vbt,
	      const struct igd_layout *layout);

#endif
