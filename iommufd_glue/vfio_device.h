/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the front end (vfio-iommufd.ko) and a device model (vfio-pci.ko) know of each other, all
 * of it: the front end calls struct vfio_device_ops, the device model the functions at the end.
 */
#ifndef VFIO_DEVICE_H
#define VFIO_DEVICE_H

#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/srcu.h>
#include <linux/uuid.h>
#include <linux/wait.h>
#include <linux/xarray.h>

#include "vfio.h"
#include "vfio_ext.h"
#include "vfio_stream.h"

struct file;
struct iommufd_device;
struct seq_file;
struct vfio_device;
struct vfio_file;

/* A file offset has the index of the region above this bit, the offset in the region below. */
#define VFIO_REGION_SHIFT	40
#define VFIO_REGION_MASK	(BIT_ULL(VFIO_REGION_SHIFT) - 1)

/**
 * struct vfio_io - one chunk of a read(2) or write(2), in kernel memory
 * @buf: what is read into or written from
 * @len: bytes to move now; the chunk ends on an 8-byte boundary of @pos unless the request ends
 *	before that
 * @left: bytes from @pos to the end of the whole request, at least @len
 * @pos: file offset of the first byte
 *
 * The front end moves user memory in chunks, outside the gate, so that a page fault which never
 * ends cannot hold up a revocation. A device model checks @pos and @left, so that a request that
 * it refuses is refused before its first byte.
 */
struct vfio_io {
	void *buf;
	size_t len;
	size_t left;
	loff_t pos;
};

/* Room for the capabilities of one info ioctl: enough for every chain that is built. */
#define VFIO_CAPS_SIZE	256

/**
 * struct vfio_caps - a capability chain in the making
 * @base: offset of @buf in the user's buffer
 * @last: offset in @buf of the last header, which the next one is linked to
 * @size: bytes used in @buf, a multiple of 8
 * @buf: the chain; its next offsets count from the start of the user's buffer
 */
struct vfio_caps {
	u16 base;
	u16 last;
	u16 size;
	u8 buf[VFIO_CAPS_SIZE] __aligned(8);
};

/* Largest struct of an ioctl that goes through the table */
#define VFIO_CMD_SIZE	64

/**
 * struct vfio_cmd - one ioctl under way
 * @file: the caller's file, for vfio_err()
 * @vdev: its device
 * @uarg: the user's struct; for the front end alone
 * @argsz: bytes the user's buffer has; the front end has checked that the fixed part is in it
 * @data_len: bytes in @data
 * @data: kernel copy of what follows the fixed part, or NULL
 * @out_len: bytes of @data that go back to the user behind the fixed part, on success
 * @caps: capability chain that an info ioctl answers with, see vfio_caps_add()
 * @state: what is in @data, and goes back to the user on failure, too, without a data_fd; or NULL
 * @new_file: a file that the call answers with, see vfio_stream_new(). It is installed as @new_fd
 *	when the answer has been written, or put if the call has failed.
 * @new_fd: its file descriptor, while @new_file is not NULL
 * @arg: kernel copy of the fixed part, zeroed behind it; goes back to the user on success where
 *	the ABI says so
 */
struct vfio_cmd {
	struct vfio_file *file;
	struct vfio_device *vdev;
	void __user *uarg;
	u32 argsz;
	u32 data_len;
	u32 out_len;
	void *data;
	struct vfio_caps *caps;
	struct vfio_device_feature_mig_state *state;
	struct file *new_file;
	int new_fd;
	u8 arg[VFIO_CMD_SIZE] __aligned(8);
};

typedef int (*vfio_cmd_fn)(struct vfio_cmd *cmd);

/* The place of an ioctl in the tables, and how many places there are */
#define VFIO_NR(cmd)	(_IOC_NR(cmd) - VFIO_BASE)
#define VFIO_NR_IOCTLS	(VFIO_NR(VFIO_DEVICE_DETACH_IOMMUFD_PT) + 1)

/**
 * struct vfio_feature - one row of a device model's VFIO_DEVICE_FEATURE table
 * @feature: VFIO_DEVICE_FEATURE_*
 * @size: bytes of the feature's struct, without an array at its end
 * @count: for a struct that ends in an array: offset of the u32 with the array's length
 * @each: bytes of an entry of the array, 0 for a struct without
 * @asks: GET reads the struct, too, as that of one with an array does
 * @answers: the struct goes back after a SET, too
 * @has: does this device have the feature? (optional: without it all have)
 * @get: fills cmd->data, of which cmd->out_len bytes go back (optional: without it GET is
 *	refused). What it returns above 0 is the ioctl's result, and nothing goes back. Of a struct
 *	with an array it gets the user's.
 * @set: acts on cmd->data (optional: without it SET is refused)
 *
 * With neither @get nor @set the feature is not there.
 */
struct vfio_feature {
	u16 feature;
	u16 size;
	u16 count;
	u16 each;
	bool asks;
	bool answers;
	bool (*has)(struct vfio_device *vdev);
	vfio_cmd_fn get;
	vfio_cmd_fn set;
};

/**
 * struct vfio_log_slice - a part of the range that VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT asks for
 * @iova: its first address
 * @length: bytes
 * @page_size: what a bit of @bitmap stands for
 * @bitmap: 0 in all of its bits; those of pages that were written are to be set
 *
 * The cmd->data of a feature table's get.
 */
struct vfio_log_slice {
	u64 iova;
	u64 length;
	u64 page_size;
	unsigned long *bitmap;
};

/**
 * struct vfio_device_ops - a device model
 * @ioctls: what answers the ioctls that are not the front end's own, by VFIO_NR(). A missing one
 *	is ENOTTY to the user.
 * @features: table of the features it has, @nr_features rows
 * @settle: a session is about to begin: end what former ones have left to do. The session lock is
 *	held.
 * @open: a user has become the owner, if the VF token that they have shown (NULL: none) or not
 *	shown lets them: make the hardware LIVE. The session lock is held; the device is bound to
 *	iommufd and not yet attached to a page table.
 * @wake: have the device awake until @rest. Called around each call of the owner's while
 *	vfio_device_set_sleepy() says so; 0 or a negative errno. Optional for who never says so.
 * @rest: end what @wake began
 * @close: the owner has gone: no interrupt, mapping or DMA of the device is left when this
 *	returns. It reaches no memory until the device model has made it fit for another user, and
 *	calls vfio_device_release_dma(). The session lock is held, no other op runs.
 * @clean: the device has been detached: begin that, if it has not happened yet. The session lock is
 *	held.
 * @request: ask the user to let go of the device. Any context that can sleep, at any time.
 * @read: how many bytes were read, or a negative errno
 * @write: how many bytes were written, or a negative errno
 * @mmap: check the VMA and set its flags; its page table entries come from @fault
 * @fault: handle a fault of 2^order pages in a VMA that @mmap accepted. It must not wait, but
 *	return VM_FAULT_RETRY with the VMA's lock still held.
 * @fault_wait: wait, with no lock of the mm held, until such a fault is worth another try, or the
 *	task is being killed
 * @show_fdinfo: add lines on the session to fdinfo
 * @stream_kick: a buffer of a data file has been emptied, a record has been written, or a reader
 *	wants to know whether there is more now. Must not sleep; what follows is for a worker, which
 *	ends before @close does. These three only for who calls vfio_stream_new()
 * @stream_check: is this a record that may come now? @order is 0 at first, and after that
 *	what was put there. Must not sleep.
 * @precopy_info: answer VFIO_MIG_GET_PRECOPY_INFO
 *
 * All but @close, @clean and @request run inside the gate: the device cannot be taken away, and
 * but for @settle and @open it is LIVE. No op may touch user memory. The table and
 * the functions must outlive vfio_device_unregister(), nothing more.
 */
struct vfio_device_ops {
	vfio_cmd_fn ioctls[VFIO_NR_IOCTLS];
	const struct vfio_feature *features;
	unsigned int nr_features;
	int (*settle)(struct vfio_device *vdev, struct vfio_file *file);
	int (*open)(struct vfio_device *vdev, struct vfio_file *file, const uuid_t *token);
	int (*wake)(struct vfio_device *vdev);
	void (*rest)(struct vfio_device *vdev);
	void (*close)(struct vfio_device *vdev);
	void (*clean)(struct vfio_device *vdev);
	void (*request)(struct vfio_device *vdev);
	ssize_t (*read)(struct vfio_device *vdev, const struct vfio_io *io);
	ssize_t (*write)(struct vfio_device *vdev, const struct vfio_io *io);
	int (*mmap)(struct vfio_device *vdev, struct vm_area_struct *vma);
	vm_fault_t (*fault)(struct vfio_device *vdev, struct vm_fault *vmf, unsigned int order);
	void (*fault_wait)(struct vfio_device *vdev);
	void (*show_fdinfo)(struct vfio_device *vdev, struct seq_file *m);
	void (*stream_kick)(struct vfio_device *vdev);
	int (*stream_check)(struct vfio_device *vdev, u32 *order, u32 tag, u32 flags, u64 size);
	int (*precopy_info)(struct vfio_device *vdev, struct vfio_stream *stream,
			    struct vfio_precopy_info *info);
};

/**
 * struct vfio_device - one device that user space can own
 * @ops: the device model. Not to be looked at outside the gate: its module may be gone.
 * @sleepy: calls go between the ops' wake and rest
 * @device: /sys/class/vfio-dev/vfioN; its reference count is the lifetime of the whole struct
 * @cdev: /dev/vfio/devices/vfioN
 * @gate: every call into @ops is inside
 * @revoked: the gate is closed: the device has been taken from user space; set once
 * @wanted: jiffies when the host has asked for the device, 0 if it has not
 * @hurry: it cannot wait for the device
 * @session: counts sessions that have ended; a data file of another one is dead
 * @streamed: this one has had a data file
 * @lock: the session lock. Protects all below.
 * @owner: the bound file, or NULL
 * @released: woken when @owner becomes NULL
 * @mapping: address space that the owner's VMAs are in, or NULL
 * @idev: the device in the owner's iommufd context, or NULL
 * @pt_id: page table that @idev is attached to, 0 for none
 * @pasids: the attached PASIDs; the values are their page tables' ids
 *
 * A device model embeds it as its struct's first member, and touches none of it.
 */
struct vfio_device {
	const struct vfio_device_ops *ops;
	bool sleepy;
	struct device device;
	struct cdev cdev;
	struct srcu_struct gate;
	bool revoked;
	unsigned long wanted;
	bool hurry;
	unsigned int session;
	bool streamed;
	struct mutex lock;	/* session lock: see above, and Documentation/design.rst */
	struct vfio_file *owner;
	wait_queue_head_t released;
	struct address_space *mapping;
	struct iommufd_device *idev;
	u32 pt_id;
	struct xarray pasids;
};

struct vfio_device *vfio_device_alloc(struct device *parent, size_t size,
				      const struct vfio_device_ops *ops);
void vfio_device_get(struct vfio_device *vdev);
void vfio_device_free(struct vfio_device *vdev);
int vfio_device_register(struct vfio_device *vdev);
void vfio_device_want_back(struct vfio_device *vdev);
void vfio_device_hurry(struct vfio_device *vdev);
void vfio_device_unregister(struct vfio_device *vdev);
void vfio_device_release_dma(struct vfio_device *vdev);
void vfio_device_zap(struct vfio_device *vdev, loff_t start, loff_t len);
vm_fault_t vfio_device_fault_off(struct vm_fault *vmf, unsigned int order);
void vfio_device_set_sleepy(struct vfio_device *vdev, bool sleepy);
int vfio_device_shared_id(const struct vfio_device *vdev, const struct vfio_device *other,
			  bool live);
int vfio_device_is_of_fd(const struct vfio_device *vdev, int fd);
bool vfio_device_lock_attached(struct vfio_device *vdev);
void vfio_device_unlock_attached(struct vfio_device *vdev);

__printf(3, 4) int vfio_device_err(struct vfio_device *vdev, int error, const char *fmt, ...);
__printf(3, 4) int vfio_err(struct vfio_file *file, int error, const char *fmt, ...);
void *vfio_caps_add(struct vfio_caps *caps, u16 id, u16 version, size_t size);

#endif
