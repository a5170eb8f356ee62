// SPDX-License-Identifier: GPL-2.0-only
/*
 * The contents of an OpRegion, and how the user sees them. Pure logic, for KUnit.
 */
#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/overflow.h>
#include <linux/string.h>
#include <linux/unaligned.h>

#include "region/igd.h"

/**
 * igd_parse - find out what an OpRegion consists of
 * @opregion: IGD_OPREGION_SIZE bytes, from the firmware
 * @addr: their physical address
 * @layout: filled in
 *
 * From version 2.0 on, a VBT that is larger than its mailbox is elsewhere: in 2.0 at an absolute
 * address, later at one relative to the OpRegion.
 *
 * Return: 0; -EINVAL when it is not an OpRegion
 */
int igd_parse(const u8 *opregion, u32 addr, struct igd_layout *layout)
{
	u64 rvda = get_unaligned_le64(opregion + IGD_RVDA), end;
	u32 rvds = get_unaligned_le32(opregion + IGD_RVDS);

	if (memcmp(opregion, IGD_SIGNATURE, strlen(IGD_SIGNATURE)) ||
	    !get_unaligned_le32(opregion + IGD_SIZE_KB))
		return -EINVAL;

	*layout = (struct igd_layout){ .version = get_unaligned_le16(opregion + IGD_VERSION) };
	if (layout->version < IGD_VERSION_2_0 || !rvda || !rvds)
		return 0;

	layout->vbt = rvda;
	if (layout->version > IGD_VERSION_2_0 && check_add_overflow(rvda, addr, &layout->vbt))
		return -EINVAL;
	if (rvds > IGD_VBT_MAX || check_add_overflow(layout->vbt, rvds, &end))
		return -EINVAL;
	layout->vbt_size = rvds;

	/* For the user, the VBT follows the OpRegion, which version 2.0 cannot express. */
	layout->rvda = IGD_OPREGION_SIZE;
	if (layout->version == IGD_VERSION_2_0)
		layout->version = IGD_VERSION_2_1;
	return 0;
}

/* @buf is the range [off, off + len). Overwrite the part of it that @n bytes at @pos overlap. */
static void igd_overlay(u8 *buf, u64 off, size_t len, u64 pos, const void *bytes, size_t n)
{
	u64 start = max(off, pos), end = min(off + len, pos + n);

	if (start < end)
		memcpy(buf + (start - off), bytes + (start - pos), end - start);
}

/**
 * igd_copy - read the OpRegion, followed by the VBT
 * @buf: destination
 * @off: offset in both of them, seen as one
 * @len: number of bytes, all of them inside
 * @opregion: the OpRegion
 * @vbt: what layout->vbt is
 * @layout: from igd_parse()
 */
void igd_copy(void *buf, u64 off, size_t len, const u8 *opregion, const u8 *vbt,
	      const struct igd_layout *layout)
{
	__le16 version = cpu_to_le16(layout->version);
	__le64 rvda = cpu_to_le64(layout->rvda);

	igd_overlay(buf, off, len, 0, opregion, IGD_OPREGION_SIZE);
	igd_overlay(buf, off, len, IGD_VERSION, &version, sizeof(version));
	igd_overlay(buf, off, len, IGD_RVDA, &rvda, sizeof(rvda));
	igd_overlay(buf, off, len, IGD_OPREGION_SIZE, vbt, layout->vbt_size);
}
