// SPDX-License-Identifier: GPL-2.0-only
/*
 * Capability chains, which info ioctls return.
 */
#include <linux/export.h>
#include <linux/string.h>

#include "vfio_device.h"

/**
 * vfio_caps_add - append a capability to a chain
 * @caps: the chain; initially, @caps->base is set and the rest is zero
 * @id: ID of the capability
 * @version: version of the capability
 * @size: size of its struct, including the header
 *
 * Return: the struct in the chain, its header filled and the rest zero; NULL when the chain has no
 * room for it, which is a bug in the caller
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
