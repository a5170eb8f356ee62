// SPDX-License-Identifier: GPL-2.0-only
/*
 * The records that a stream may have, and their order, according to a variant's table. Uses none of
 * the kernel's state, for KUnit.
 */
#include <linux/kernel.h>

#include "migration.h"

static int vfio_mig_find_kind(const struct vfio_mig_kind *kinds, unsigned int nr, u32 tag)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		if (kinds[i].tag == tag)
			return i;
	}
	return -ENOENT;
}

/**
 * vfio_mig_order - may this record come now?
 * @kinds: the kinds of records, in their order
 * @nr: number of @kinds
 * @seen: one bit for each kind that has come; 0 initially
 * @tag: tag of the record
 * @flags: flags of the record
 * @size: size of the record
 * @why: set to the reason if the record may not come, else to NULL
 *
 * Return: 0 if it may; -EINVAL
 */
int vfio_mig_order(const struct vfio_mig_kind *kinds, unsigned int nr, u32 *seen, u32 tag,
		   u32 flags, u64 size, const char **why)
{
	int i = vfio_mig_find_kind(kinds, nr, tag);
	u64 max = i < 0 ? VFIO_MIG_OPTIONAL_MAX : kinds[i].max;

	if (flags & ~VFIO_RECORD_OPTIONAL)
		*why = "has unknown flags";
	else if (i < 0 && !(flags & VFIO_RECORD_OPTIONAL))
		*why = "is unknown, and not optional";
	else if (size > max)
		*why = "is too long";
	else if (i >= 0 && *seen >> i > 1)
		*why = "comes too late";
	else if (i >= 0 && kinds[i].once && *seen & BIT(i))
		*why = "comes twice";
	else if (i > 0 && !vfio_mig_complete(kinds, i, *seen))
		*why = "comes too early";
	else
		*why = NULL;
	if (*why)
		return -EINVAL;
	if (i >= 0)
		*seen |= BIT(i);
	return 0;
}

/**
 * vfio_mig_complete - have all records come that must come?
 * @kinds: the kinds of records
 * @nr: number of @kinds
 * @seen: one bit for each kind that has come
 */
bool vfio_mig_complete(const struct vfio_mig_kind *kinds, unsigned int nr, u32 seen)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		if (kinds[i].must && !(seen & BIT(i)))
			return false;
	}
	return true;
}
