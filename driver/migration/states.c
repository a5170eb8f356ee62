// SPDX-License-Identifier: GPL-2.0-only
/*
 * The states of migration and the steps between them, as a table; and the path from any state to
 * any other. Uses none of the kernel's state, for KUnit.
 */
#include <linux/kernel.h>

#include "migration.h"

#define P2P		VFIO_MIGRATION_P2P
#define PRE_COPY	VFIO_MIGRATION_PRE_COPY
#define ARC(_from, _to)	.from = VFIO_DEVICE_STATE_##_from, .to = VFIO_DEVICE_STATE_##_to

static const struct vfio_mig_arc arcs[] = {
	{ ARC(RUNNING, RUNNING_P2P), .needs = P2P, .deeds = { VFIO_MIG_STOP_INITIATOR } },
	{ ARC(RUNNING_P2P, RUNNING), .needs = P2P, .deeds = { VFIO_MIG_START_INITIATOR } },
	{ ARC(RUNNING_P2P, STOP), .needs = P2P, .deeds = { VFIO_MIG_STOP_RESPONDER } },
	{ ARC(STOP, RUNNING_P2P), .needs = P2P, .deeds = { VFIO_MIG_START_RESPONDER } },
	{ ARC(RUNNING, STOP), .lacks = P2P,
	  .deeds = { VFIO_MIG_STOP_INITIATOR, VFIO_MIG_STOP_RESPONDER } },
	{ ARC(STOP, RUNNING), .lacks = P2P,
	  .deeds = { VFIO_MIG_START_RESPONDER, VFIO_MIG_START_INITIATOR } },
	{ ARC(STOP, STOP_COPY), .deeds = { VFIO_MIG_SAVE_BEGIN, VFIO_MIG_SAVE_REST } },
	{ ARC(STOP_COPY, STOP), .deeds = { VFIO_MIG_SAVE_END } },
	{ ARC(STOP, RESUMING), .deeds = { VFIO_MIG_LOAD_BEGIN } },
	{ ARC(RESUMING, STOP), .deeds = { VFIO_MIG_LOAD_END } },
	{ ARC(RUNNING, PRE_COPY), .needs = PRE_COPY, .deeds = { VFIO_MIG_SAVE_BEGIN } },
	{ ARC(PRE_COPY, RUNNING), .needs = PRE_COPY, .deeds = { VFIO_MIG_SAVE_END } },
	{ ARC(RUNNING_P2P, PRE_COPY_P2P), .needs = PRE_COPY | P2P,
	  .deeds = { VFIO_MIG_SAVE_BEGIN } },
	{ ARC(PRE_COPY_P2P, RUNNING_P2P), .needs = PRE_COPY | P2P,
	  .deeds = { VFIO_MIG_SAVE_END } },
	{ ARC(PRE_COPY, PRE_COPY_P2P), .needs = PRE_COPY | P2P,
	  .deeds = { VFIO_MIG_STOP_INITIATOR } },
	{ ARC(PRE_COPY_P2P, PRE_COPY), .needs = PRE_COPY | P2P,
	  .deeds = { VFIO_MIG_START_INITIATOR } },
	{ ARC(PRE_COPY_P2P, STOP_COPY), .needs = PRE_COPY | P2P,
	  .deeds = { VFIO_MIG_STOP_RESPONDER, VFIO_MIG_SAVE_REST } },
	{ ARC(PRE_COPY, STOP_COPY), .needs = PRE_COPY, .lacks = P2P,
	  .deeds = { VFIO_MIG_STOP_INITIATOR, VFIO_MIG_STOP_RESPONDER, VFIO_MIG_SAVE_REST } },
};

/* States that share a data file */
#define SAVING	(BIT(VFIO_DEVICE_STATE_PRE_COPY) | BIT(VFIO_DEVICE_STATE_PRE_COPY_P2P) | \
		 BIT(VFIO_DEVICE_STATE_STOP_COPY))

/**
 * vfio_mig_has_state - can a user request that a device goes to a state?
 * @features: VFIO_MIGRATION_* of the device
 * @state: the state, from the user
 *
 * Return: whether they can; false for ERROR
 */
bool vfio_mig_has_state(u64 features, u32 state)
{
	switch (state) {
	case VFIO_DEVICE_STATE_STOP:
	case VFIO_DEVICE_STATE_RUNNING:
	case VFIO_DEVICE_STATE_STOP_COPY:
	case VFIO_DEVICE_STATE_RESUMING:
		return true;
	case VFIO_DEVICE_STATE_RUNNING_P2P:
		return features & P2P;
	case VFIO_DEVICE_STATE_PRE_COPY:
		return features & PRE_COPY;
	case VFIO_DEVICE_STATE_PRE_COPY_P2P:
		return features & PRE_COPY && features & P2P;
	default:
		return false;
	}
}

static bool is_arc_of(const struct vfio_mig_arc *arc, u64 features)
{
	return (features & arc->needs) == arc->needs && !(features & arc->lacks);
}

/**
 * vfio_mig_next - find the first step of the shortest path
 * @features: VFIO_MIGRATION_* of the device
 * @from: a state that the device has
 * @to: another state
 *
 * A path between two states that share a data file stays among such states. No other path leads
 * through one of them.
 *
 * Return: the step; NULL if there is no path
 */
const struct vfio_mig_arc *vfio_mig_next(u64 features, u32 from, u32 to)
{
	bool among = SAVING & BIT(from) && SAVING & BIT(to);
	const struct vfio_mig_arc *next = NULL;
	u32 reached = BIT(to), before;
	unsigned int i;

	/* Search backwards from the end. Each round adds the states that are one step farther. */
	do {
		before = reached;
		for (i = 0; i < ARRAY_SIZE(arcs); i++) {
			const struct vfio_mig_arc *arc = &arcs[i];

			if (!is_arc_of(arc, features) || !(before & BIT(arc->to)))
				continue;
			if (arc->from == from && !next)
				next = arc;
			if (among == !!(SAVING & BIT(arc->from)))
				reached |= BIT(arc->from);
		}
	} while (!next && reached != before);
	return next;
}

/**
 * vfio_mig_undo - find the deed that undoes another, for when a later one of the same step fails
 * @deed: the deed to undo
 *
 * Return: the reverse deed; NOTHING if @deed cannot be undone, or need not be
 */
enum vfio_mig_deed vfio_mig_undo(enum vfio_mig_deed deed)
{
	switch (deed) {
	case VFIO_MIG_STOP_INITIATOR:
		return VFIO_MIG_START_INITIATOR;
	case VFIO_MIG_STOP_RESPONDER:
		return VFIO_MIG_START_RESPONDER;
	case VFIO_MIG_START_RESPONDER:
		return VFIO_MIG_STOP_RESPONDER;
	case VFIO_MIG_START_INITIATOR:
		return VFIO_MIG_STOP_INITIATOR;
	case VFIO_MIG_SAVE_BEGIN:
		return VFIO_MIG_SAVE_END;
	default:
		return VFIO_MIG_NOTHING;
	}
}
