// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which records a stream may have, and in what order, as a variant's table says. Free of the
 * kernel's state, for KUnit.
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
 * @kinds: the kinds there are, in their order
 * @nr: how many
 * @seen: bit per kind that has come, 0 at first
 * @tag: of the record
 * @flags: of the record
 * @size: of the record
 * @why: the reason, if not
 *
 * Return: 0; -EINVAL
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
 * vfio_mig_complete - has all come that must?
 * @kinds: the kinds there are
 * @nr: how many
 * @seen: bit per kind that has come
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
