/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a variant is made of: a driver for functions of one kind, in a module of its own, which adds
 * to vfio-pci.ko what it knows of them. All that vfio-pci.ko gives to it is here; see
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

/* Ordinary BARs; and what takes the place of one that the user does not see */
extern const struct vfio_pci_region_ops vfio_pci_bar_ops;
extern const struct vfio_pci_region_ops vfio_pci_hidden_ops;

/* The device can log where it writes by DMA; along with VFIO_MIGRATION_*. */
#define VFIO_MIG_LOG	BIT_ULL(32)

/**
 * struct vfio_mig_kind - a kind of record
 * @tag: what it has in its header
 * @max: bytes that it has at most, without its header
 * @once: there is one at most
 * @must: a stream without it is not complete
 */
struct vfio_mig_kind {
	u32 tag;
	u64 max;
	bool once;
	bool must;
};

/* A range to log. As user space has it, so that it need not be copied */
struct vfio_mig_range {
	u64 iova;
	u64 length;
};

/**
 * struct vfio_mig_ops - how a device migrates
 * @features: VFIO_MIGRATION_STOP_COPY and what else it can do; 0 if it cannot migrate. Called once
 *	in each session.
 * @stop_initiator: no DMA and no interrupts from now on, none is under way
 * @stop_responder: nothing of it changes any more, whatever is written to it (optional, as
 *	@start_responder: then the initiator's do both)
 * @start_responder: the reverse
 * @start_initiator: the reverse; at the target it also goes on with what was loaded
 * @save_begin: the state will be saved, all of it: @room is how large records are to be
 * @save_more: fill @buf with what has changed since it was saved last; bytes, 0 if that is nothing
 *	now. Records' tags are by @tag. The device runs, or is stopped.
 * @save_final: the same of what can only be saved when it is stopped, after @save_more has had
 *	nothing; 0 when all has been given
 * @save_end: it will not be saved further
 * @pending: bytes that @save_more and @save_final would give now. @again: all is to be saved
 *	again, because the device has been set up anew (optional to set)
 * @size: bytes of the whole state, about
 * @kinds: the records there are, in the order in which they come
 * @nr_kinds: how many, 32 at most
 * @load_begin: a state will be loaded
 * @load: a whole record, of a kind and at a place that @kinds allows: check it, and load it
 * @load_end: that was all
 * @forget: the function was reset, or the session ends and it will be: there is no save, load or
 *	log any more. Not to touch the device (optional)
 * @log_start: log DMA writes in @ranges, sorted and apart from each other, by pages of
 *	@page_size, or of another size that is put there
 * @log_stop: log no more
 * @log_report: set the bits of those of @nr pages from @iova on, a multiple of the page size,
 *	that were written, and forget them
 * @log_ranges: ranges that @log_start takes at most
 * @log_pages: pages that @log_report takes at most, a multiple of 64
 *
 * Each is called by one thread at a time, with the state's mutex held, in process context. None but
 * @features must be fast; but none may wait for ever: see vfio_mig_wait().
 *
 * Who returns an error has given its reason by vfio_mig_err(), and has changed nothing: the
 * state stays, or goes back to, what it was. -ETIMEDOUT is for what the device has not answered,
 * so that nobody knows: then a transition ends in ERROR, out of which the user gets by a reset.
 * If @load_end fails it ends there in any case.
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
 * struct vfio_pci_variant - what is special about functions of one kind
 * @bars: what takes the place of a BAR, as vfio_pci_hidden_ops; NULL for those that are as usual.
 *	One that sees what its user does passes on to vfio_pci_bar_ops, and has no mmap.
 * @mig: how they migrate, NULL if they do not
 * @data_size: bytes of vfio_pci_variant_data()
 */
struct vfio_pci_variant {
	const struct vfio_pci_region_ops *bars[PCI_STD_NUM_BARS];
	const struct vfio_mig_ops *mig;
	size_t data_size;
};

/* For a variant's struct pci_driver: an entry of its id_table; and all but name and id_table */
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

/* Give the reason of a failure to the device's user, as by vfio_device_err(). */
#define vfio_mig_err(_vpd, _error, _fmt, ...) \
	vfio_device_err(vfio_pci_variant_vdev(_vpd), _error, _fmt, ##__VA_ARGS__)

/* For a wait: see vfio_mig_wait() */
struct vfio_mig_timer {
	unsigned long end;
	unsigned int us;
};

void vfio_mig_timer_start(struct vfio_mig_timer *timer, unsigned int ms);
int vfio_mig_wait(struct vfio_pci_device *vpd, struct vfio_mig_timer *timer);

#endif
