/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What vfio-pci.ko provides to variants. A variant is a driver for functions of one kind, in a
 * module of its own, which adds to vfio-pci.ko what is specific to these functions. See
 * Documentation/migration.rst.
 */
#ifndef VFIO_PCI_VARIANT_H
#define VFIO_PCI_VARIANT_H

#include <linux/pci.h>

#include "vfio_device.h"

struct vfio_pci_device;

/**
 * struct vfio_pci_region_ops - what a kind of region does
 * @info: fill size and flags of @info, and add capabilities
 * @read: move io->len bytes from @off of the region; how many were moved, or a negative errno
 * @write: likewise, to the device (optional: without it writes are refused)
 * @mmap: accept the VMA (optional)
 */
struct vfio_pci_region_ops {
	int (*info)(struct vfio_pci_device *vpd, unsigned int index,
		    struct vfio_region_info *info, struct vfio_caps *caps);
	ssize_t (*read)(struct vfio_pci_device *vpd, unsigned int index,
			const struct vfio_io *io, u64 off);
	ssize_t (*write)(struct vfio_pci_device *vpd, unsigned int index,
			 const struct vfio_io *io, u64 off);
	int (*mmap)(struct vfio_pci_device *vpd, unsigned int index, struct vm_area_struct *vma);
};

/* The ops of an ordinary BAR, and those of a BAR that the user does not see */
extern const struct vfio_pci_region_ops vfio_pci_bar_ops;
extern const struct vfio_pci_region_ops vfio_pci_hidden_ops;

/* The device can log its DMA writes. Returned along with VFIO_MIGRATION_*. */
#define VFIO_MIG_LOG	BIT_ULL(32)

/**
 * struct vfio_mig_kind - a kind of record
 * @tag: the tag in the header of these records
 * @max: maximum size in bytes, without the header
 * @once: a stream has at most one record of this kind
 * @must: a stream without such a record is not complete
 */
struct vfio_mig_kind {
	u32 tag;
	u64 max;
	bool once;
	bool must;
};

/* A range to log. Has the layout of user space's struct, so that it need not be copied. */
struct vfio_mig_range {
	u64 iova;
	u64 length;
};

/**
 * struct vfio_mig_ops - how a device migrates
 * @features: returns VFIO_MIGRATION_STOP_COPY and whatever else the device supports, or 0 if it
 *	cannot migrate. Called when a session begins, and again if the function is reset meanwhile.
 * @stop_initiator: stop DMA and interrupts. On return, none is in progress.
 * @stop_responder: stop all changes of the device's state, whatever is written to the device.
 *	Optional, like @start_responder: without them, the ops of the initiator do both.
 * @start_responder: undo @stop_responder
 * @start_initiator: undo @stop_initiator. At the target, the device also continues what was loaded.
 * @save_begin: begin to save the whole state. Set @room to the size that records should have.
 * @save_more: fill @buf with what has changed since it was last saved, and set @tag to the tag of
 *	the record. Returns the number of bytes, or 0 if nothing has changed. The device may be
 *	running or stopped.
 * @save_final: like @save_more, for what can be saved only while the device is stopped. Called
 *	after @save_more has returned 0. Returns 0 when everything has been returned.
 * @save_end: end the save
 * @pending: returns how many bytes @save_more and @save_final would return now. May set
 *	@again if everything is to be saved again, because the device has been set up anew.
 * @size: returns the approximate size of the whole state in bytes
 * @kinds: the kinds of records, in the order in which they come
 * @nr_kinds: number of @kinds, at most 32
 * @load_begin: begin to load a state
 * @load: check and load one whole record. Its kind and its position are allowed by @kinds.
 * @load_end: the state is complete: end the load
 * @forget: the function was reset, or will be because the session ends: there is no save, load or
 *	log any more. Must not access the device (optional).
 * @log_start: log DMA writes in @ranges, which are sorted and do not touch, by pages of
 *	@page_size. May set @page_size to another size, and use that.
 * @log_stop: stop logging
 * @log_report: consider @nr pages from @iova on, which is a multiple of the page size. Set the bits
 *	of those that were written, and forget these writes.
 * @log_ranges: maximum number of ranges for @log_start
 * @log_pages: maximum number of pages for @log_report, a multiple of 64
 *
 * The ops are called by one thread at a time, with the mutex of the state held, in process context.
 * Only @features must be fast, but none may wait for ever: see vfio_mig_wait().
 *
 * An op that returns an error has given the reason with vfio_mig_err(), and has changed nothing:
 * the state remains, or becomes again, what it was. -ETIMEDOUT means that the device has not
 * answered, so nobody knows what it has done. A transition then ends in ERROR, from which the user
 * recovers by a reset. If @load_end fails, the transition ends in ERROR in any case.
 */
struct vfio_mig_ops {
	u64 (*features)(struct vfio_pci_device *vpd);
	int (*stop_initiator)(struct vfio_pci_device *vpd);
	int (*stop_responder)(struct vfio_pci_device *vpd);
	int (*start_responder)(struct vfio_pci_device *vpd);
	int (*start_initiator)(struct vfio_pci_device *vpd);
	int (*save_begin)(struct vfio_pci_device *vpd, size_t *room);
	ssize_t (*save_more)(struct vfio_pci_device *vpd, void *buf, size_t room, u32 *tag);
	ssize_t (*save_final)(struct vfio_pci_device *vpd, void *buf, size_t room, u32 *tag);
	int (*save_end)(struct vfio_pci_device *vpd);
	u64 (*pending)(struct vfio_pci_device *vpd, bool *again);
	u64 (*size)(struct vfio_pci_device *vpd);
	const struct vfio_mig_kind *kinds;
	unsigned int nr_kinds;
	int (*load_begin)(struct vfio_pci_device *vpd);
	int (*load)(struct vfio_pci_device *vpd, u32 tag, const void *data, size_t len);
	int (*load_end)(struct vfio_pci_device *vpd);
	void (*forget)(struct vfio_pci_device *vpd);
	int (*log_start)(struct vfio_pci_device *vpd, u64 *page_size,
			 const struct vfio_mig_range *ranges, unsigned int nr);
	int (*log_stop)(struct vfio_pci_device *vpd);
	int (*log_report)(struct vfio_pci_device *vpd, u64 iova, u32 nr, unsigned long *bitmap);
	unsigned int log_ranges;
	u32 log_pages;
};

/**
 * struct vfio_pci_variant - what is specific to functions of one kind
 * @bars: ops that replace those of a BAR, such as vfio_pci_hidden_ops; NULL for ordinary BARs. Ops
 *	that watch the user's accesses pass these on to vfio_pci_bar_ops, and have no mmap.
 * @mig: how the functions migrate, NULL if they cannot
 * @data_size: size of vfio_pci_variant_data() in bytes
 */
struct vfio_pci_variant {
	const struct vfio_pci_region_ops *bars[PCI_STD_NUM_BARS];
	const struct vfio_mig_ops *mig;
	size_t data_size;
};

/*
 * For the struct pci_driver of a variant: an entry of its id_table, and all members other than name
 * and id_table.
 */
#define VFIO_PCI_VARIANT_ID(_vendor, _device, _variant)		\
	PCI_DRIVER_OVERRIDE_DEVICE_VFIO(_vendor, _device),	\
	.driver_data = (kernel_ulong_t)&(_variant)

#define VFIO_PCI_VARIANT_DRIVER				\
	.driver_managed_dma = true,			\
	.probe = vfio_pci_variant_probe,		\
	.remove = vfio_pci_remove,			\
	.err_handler = &vfio_pci_error_handlers,	\
	.driver.pm = pm_ptr(&vfio_pci_pm_ops)

int vfio_pci_variant_probe(struct pci_dev *pdev, const struct pci_device_id *id);
void vfio_pci_remove(struct pci_dev *pdev);
extern const struct pci_error_handlers vfio_pci_error_handlers;
extern const struct dev_pm_ops vfio_pci_pm_ops;

void *vfio_pci_variant_data(struct vfio_pci_device *vpd);
struct vfio_device *vfio_pci_variant_vdev(struct vfio_pci_device *vpd);
int vfio_pci_variant_read(struct vfio_pci_device *vpd, unsigned int bar, u64 off, void *buf,
			  size_t len);
int vfio_pci_variant_write(struct vfio_pci_device *vpd, unsigned int bar, u64 off,
			   const void *buf, size_t len);

/* Tell the device's user the reason of a failure, like vfio_device_err(). */
#define vfio_mig_err(_vpd, _error, _fmt, ...) \
	vfio_device_err(vfio_pci_variant_vdev(_vpd), _error, _fmt, ##__VA_ARGS__)

/* The state of a wait, see vfio_mig_wait(). */
struct vfio_mig_timer {
	unsigned long end;
	unsigned int us;
};

void vfio_mig_timer_start(struct vfio_mig_timer *timer, unsigned int ms);
int vfio_mig_wait(struct vfio_pci_device *vpd, struct vfio_mig_timer *timer);

#endif
