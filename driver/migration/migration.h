/* SPDX-License-Identifier: GPL-2.0-only */
/* Migration: what the files of this directory provide to each other and to vfio-pci.ko. */
#ifndef VFIO_PCI_MIGRATION_H
#define VFIO_PCI_MIGRATION_H

#include <linux/mutex.h>
#include <linux/workqueue.h>

#include "variant.h"

/**
 * enum vfio_mig_deed - an action in the transition from one state to another
 * @VFIO_MIG_NOTHING: ends a list of deeds
 *
 * The others are the ops of the same names, except for SAVE_REST, which saves all that is left.
 */
enum vfio_mig_deed {
	VFIO_MIG_NOTHING,
	VFIO_MIG_STOP_INITIATOR,
	VFIO_MIG_STOP_RESPONDER,
	VFIO_MIG_START_RESPONDER,
	VFIO_MIG_START_INITIATOR,
	VFIO_MIG_SAVE_BEGIN,
	VFIO_MIG_SAVE_REST,
	VFIO_MIG_SAVE_END,
	VFIO_MIG_LOAD_BEGIN,
	VFIO_MIG_LOAD_END,
};

#define VFIO_MIG_DEEDS	3

/**
 * struct vfio_mig_arc - a single step between two states
 * @from: the state before the step
 * @to: the state after it
 * @needs: VFIO_MIGRATION_* features that a device must have for this step
 * @lacks: features that it must not have
 * @deeds: what is done, in order
 */
struct vfio_mig_arc {
	u8 from;
	u8 to;
	u8 needs;
	u8 lacks;
	u8 deeds[VFIO_MIG_DEEDS];
};

/* states.c: which states and steps there are */
bool vfio_mig_has_state(u64 features, u32 state);
const struct vfio_mig_arc *vfio_mig_next(u64 features, u32 from, u32 to);
enum vfio_mig_deed vfio_mig_undo(enum vfio_mig_deed deed);

/* records.c: which records may come, and in which order */
int vfio_mig_order(const struct vfio_mig_kind *kinds, unsigned int nr, u32 *seen, u32 tag,
		   u32 flags, u64 size, const char **why);
bool vfio_mig_complete(const struct vfio_mig_kind *kinds, unsigned int nr, u32 seen);

/* Maximum size of a record that is skipped */
#define VFIO_MIG_OPTIONAL_MAX	SZ_1M

/* Bits of vfio_mig.flags */
#define VFIO_MIG_WAS_RESET	0	/* and nobody has acted upon it yet */
#define VFIO_MIG_CLOSING	1	/* the session is over */

/**
 * struct vfio_mig - the migration of a device
 * @vpd: the device
 * @ops: how the device migrates
 * @lock: held while the state changes, and for each call of @ops. Protects all members below,
 *	except @flags and @work. Outside core_lock.
 * @flags: VFIO_MIG_*; accessed without the lock
 * @work: fills and empties the buffers of the stream
 * @features: of this session, 0 for none
 * @state: VFIO_DEVICE_STATE_*
 * @stream: the data file of the state, or NULL
 * @rest: the state is STOP_COPY
 * @final: save_more has returned 0 in STOP_COPY
 * @done: the stream has ended or failed
 * @first: bytes of the stream that are the first copy
 * @counted: @first is exact, not an estimate
 * @tells_again: the user knows VFIO_PRECOPY_INFO_REINIT
 * @page_size: page size of the log, 0 while there is no log
 * @log_first: first address that is logged
 * @log_last: last address that is logged
 */
struct vfio_mig {
	struct vfio_pci_device *vpd;
	const struct vfio_mig_ops *ops;
	struct mutex lock;	/* see above, and Documentation/design.rst */
	unsigned long flags;
	struct delayed_work work;
	u64 features;
	u32 state;
	struct vfio_stream *stream;
	bool rest;
	bool final;
	bool done;
	u64 first;
	bool counted;
	bool tells_again;
	u64 page_size;
	u64 log_first;
	u64 log_last;
};

/* migration.c: states */
struct vfio_mig *vfio_mig_alloc(struct vfio_pci_device *vpd, const struct vfio_mig_ops *ops);
void vfio_mig_free(struct vfio_mig *mig);
void vfio_mig_open(struct vfio_pci_device *vpd);
void vfio_mig_close(struct vfio_pci_device *vpd);
void vfio_mig_was_reset(struct vfio_pci_device *vpd);
void vfio_mig_catch_up(struct vfio_pci_device *vpd);
bool vfio_mig_is_there(struct vfio_device *vdev);
bool vfio_mig_has_precopy(struct vfio_device *vdev);
int vfio_mig_get_features(struct vfio_cmd *cmd);
int vfio_mig_get_state(struct vfio_cmd *cmd);
int vfio_mig_set_state(struct vfio_cmd *cmd);
int vfio_mig_get_size(struct vfio_cmd *cmd);
int vfio_mig_set_precopy_info(struct vfio_cmd *cmd);

void vfio_mig_lock(struct vfio_mig *mig);
DEFINE_GUARD(vfio_mig, struct vfio_mig *, vfio_mig_lock(_T), mutex_unlock(&_T->lock))

/* stream.c: the transfer between a device and its data file */
int vfio_mig_save_begin(struct vfio_mig *mig, struct vfio_cmd *cmd);
void vfio_mig_save_rest(struct vfio_mig *mig);
int vfio_mig_load_begin(struct vfio_mig *mig, struct vfio_cmd *cmd);
int vfio_mig_load_end(struct vfio_mig *mig);
void vfio_mig_stream_end(struct vfio_mig *mig);
void vfio_mig_work(struct work_struct *work);
void vfio_mig_kick(struct vfio_device *vdev);
int vfio_mig_check(struct vfio_device *vdev, u32 *order, u32 tag, u32 flags, u64 size);
int vfio_mig_precopy_info(struct vfio_device *vdev, struct vfio_stream *stream,
			  struct vfio_precopy_info *info);

/* log.c: the device's log of its DMA writes */
bool vfio_mig_has_log(struct vfio_device *vdev);
int vfio_mig_log_start(struct vfio_cmd *cmd);
int vfio_mig_log_stop(struct vfio_cmd *cmd);
int vfio_mig_log_report(struct vfio_cmd *cmd);
unsigned int vfio_mig_merge(struct vfio_mig_range *ranges, unsigned int nr, unsigned int max);

#endif
