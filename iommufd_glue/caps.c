// SPDX-License-Identifier: GPL-2.0-only
/*
 * Capability chains, which info ioctls return.
 */
#include <linux/export.h>
#include <linux/string.h>

#include "vfio_device.h"

/**
 * vfio_caps_add - put a capability at the end of a chain
 * @caps: the chain, @caps->base set and the rest zero at first
 * @id: of the capability
 * @version: of the capability
 * @size: of its struct, header included
 *
 * Return: the struct in the chain, its header filled and the rest zero; NULL when the chain has no
 * room for it, which is a bug of the caller
 */
void *vfio_caps_add(struct vfio_caps *caps, u16 id, u16 version, size_t size)
{
	struct vfio_info_cap_header *header, *last;
	size_t room = ALIGN(size, 8);

	if (WARN_ON_ONCE(room > sizeof(caps->buf) - caps->size))
		return NULL;

	header = (void *)(caps->buf + caps->size);
	memset(header, 0, room);
	header->id = id;
	header->version = version;

	if (caps->size) {
		last = (void *)(caps->buf + caps->last);
		last->next = caps->base + caps->size;
	}
	caps->last = caps->size;
	caps->size += room;
	return header;
}
EXPORT_SYMBOL_GPL(vfio_caps_add);
