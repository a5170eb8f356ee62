/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The whole interface between the front end (vfio-iommufd.ko) and a device model (vfio-pci.ko): the
 * front end calls struct vfio_device_ops, the device model calls the functions at the end.
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

/* In a file offset, this bit and above are the region's index, the bits below are its offset. */
#define VFIO_REGION_SHIFT	40
#define VFIO_REGION_MASK	(BIT_ULL(VFIO_REGION_SHIFT) - 1)

/**
 * struct vfio_io - one chunk of a read(2) or write(2), in kernel memory
 * @buf: buffer to read into or write from
 * @len: bytes to move now; the chunk ends on an 8-byte boundary of @pos unless the request ends
 *	before that
 * @left: bytes from @pos to the end of the whole request, at least @len
 * @pos: file offset of the first byte
 *
 * The front end copies user memory in chunks, outside the gate, so that a page fault that never
 * completes cannot delay a revocation. A device model checks @pos and @left, so that a request that
 * it refuses fails before its first byte.
 */
struct vfio_io {
	void *buf;
	size_t len;
	size_t left;
	loff_t pos;
};

/* Room for the capabilities of one info ioctl: enough for every chain that we build. */
#define VFIO_CAPS_SIZE	256

/**
 * struct vfio_caps - a capability chain under construction
 * @base: offset of @buf in the user's buffer
 * @last: offset in @buf of the last header, to which the next one is linked
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
 * struct vfio_cmd - one ioctl in progress
 * @file: the caller's file, for vfio_err()
 * @vdev: its device
 * @uarg: the user's struct; for the front end alone
 * @argsz: size of the user's buffer; the front end has checked that it holds the fixed part
 * @data_len: bytes in @data
 * @data: kernel copy of what follows the fixed part, or NULL
 * @out_len: bytes of @data that are copied back to the user after the fixed part, on success
 * @caps: capability chain that an info ioctl returns, see vfio_caps_add()
 * @state: the contents of @data, which are also copied back to the user on failure, without a
 *	data_fd; or NULL
 * @new_file: a file that the call returns, see vfio_stream_new(). It is installed as @new_fd when
 *	the result has been written, or put if the call has failed.
 * @new_fd: its file descriptor, while @new_file is not NULL
 * @arg: kernel copy of the fixed part, zeroed beyond it; copied back to the user on success if the
 *	ABI says so
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

/* The index of an ioctl in the tables, and the number of indices */
#define VFIO_NR(cmd)	(_IOC_NR(cmd) - VFIO_BASE)
#define VFIO_NR_IOCTLS	(VFIO_NR(VFIO_DEVICE_DETACH_IOMMUFD_PT) + 1)

/**
 * struct vfio_feature - one row of a device model's VFIO_DEVICE_FEATURE table
 * @feature: VFIO_DEVICE_FEATURE_*
 * @size: bytes of the feature's struct, without an array at its end
 * @count: for a struct that ends in an array: offset of the u32 with the array's length
 * @each: bytes of an entry of the array, 0 for a struct without one
 * @asks: GET also reads the struct, as it does for a struct with an array
 * @answers: the struct is also copied back after a SET
 * @has: does this device have the feature? (optional: without it, all devices have it)
 * @get: fills cmd->data, of which cmd->out_len bytes are copied back (optional: without it, GET is
 *	refused). A return value above 0 is the ioctl's result, and nothing is copied back. For a
 *	struct with an array, cmd->data has the user's.
 * @set: acts on cmd->data (optional: without it, SET is refused)
 *
 * With neither @get nor @set, the feature does not exist.
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
 * struct vfio_log_slice - a part of the range that VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT requests
 * @iova: its first address
 * @length: bytes
 * @page_size: number of bytes that a bit of @bitmap represents
 * @bitmap: all bits are 0; the callee sets those of pages that were written
 *
 * This is cmd->data for the get of that feature in a feature table.
 */
struct vfio_log_slice {
	u64 iova;
	u64 length;
	u64 page_size;
	unsigned long *bitmap;
};

/**
 * struct vfio_device_ops - a device model
 * @ioctls: handlers of the ioctls that the front end does not handle itself, by VFIO_NR(). For a
 *	missing one, the user gets ENOTTY.
 * @features: table of the features it has, @nr_features rows
 * @settle: a session is about to begin: finish the work that former ones have left. The session
 *	lock is held.
 * @open: a user becomes the owner, if the VF token that they have passed, or its absence (NULL),
 *	allows it: make the hardware LIVE. The session lock is held; the device is bound to iommufd
 *	and not yet attached to a page table.
 * @wake: keep the device awake until @rest. Called before each call of the owner while
 *	vfio_device_set_sleepy() requests it; 0 or a negative errno. Optional for device models that
 *	never request it.
 * @rest: undo @wake
 * @close: the owner has gone: no interrupt, mapping or DMA of the device is left when this
 *	returns. The device cannot access memory until the device model has made it fit for another
 *	user and calls vfio_device_release_dma(). The session lock is held, no other op runs.
 * @clean: the device has been detached: begin to make it fit for another user, unless that has
 *	happened already. The session lock is held.
 * @request: ask the user to release the device. Any context that can sleep, at any time.
 * @read: returns how many bytes were read, or a negative errno
 * @write: returns how many bytes were written, or a negative errno
 * @mmap: check the VMA and set its flags; its page table entries come from @fault
 * @fault: handle a fault of 2^order pages in a VMA that @mmap accepted. It must not wait, but
 *	return VM_FAULT_RETRY with the VMA's lock still held.
 * @fault_wait: wait, with no lock of the mm held, until such a fault is worth retrying, or the task
 *	is being killed
 * @show_fdinfo: add lines on the session to fdinfo
 * @stream_kick: a buffer of a data file has been emptied, a record has been written, or a reader
 *	wants to know whether there is more now. Must not sleep; it leaves further work to a worker,
 *	which ends before @close does. These three are only for callers of vfio_stream_new().
 * @stream_check: may this record come now? @order is 0 at first, and later what the last call has
 *	put there. Must not sleep.
 * @precopy_info: answer VFIO_MIG_GET_PRECOPY_INFO
 *
 * All ops except @close, @clean and @request run inside the gate: the device cannot be taken away
 * and, except for @settle and @open, it is LIVE. No op may access user memory. The table and the
 * functions need not exist after vfio_device_unregister().
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
 * @ops: the device model. Must not be accessed outside the gate: its module may be gone.
 * @sleepy: put calls between the ops' wake and rest
 * @device: /sys/class/vfio-dev/vfioN; its reference count is the lifetime of the whole struct
 * @cdev: /dev/vfio/devices/vfioN
 * @gate: every call into @ops is made inside it
 * @revoked: the gate is closed: the device has been taken from user space; set once
 * @wanted: jiffies when the host asked for the device, 0 if it has not
 * @hurry: the host cannot wait for the device
 * @session: counts sessions that have ended; a data file of another session is dead
 * @streamed: this session has had a data file
 * @held: iommufd has perhaps not given the device up at the end of a session
 * @lock: the session lock. Protects all below.
 * @owner: the bound file, or NULL
 * @released: woken when @owner becomes NULL
 * @mapping: address space that contains the owner's VMAs, or NULL
 * @idev: the device in the owner's iommufd context, or NULL
 * @pt_id: page table that @idev is attached to, 0 for none
 * @pasids: the attached PASIDs; the values are the ids of their page tables
 *
 * A device model embeds this as the first member of its own struct, and accesses none of it.
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
	bool held;
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
bool vfio_device_was_held(const struct vfio_device *vdev);
bool vfio_device_lock_attached(struct vfio_device *vdev);
void vfio_device_unlock_attached(struct vfio_device *vdev);

__printf(3, 4) int vfio_device_err(struct vfio_device *vdev, int error, const char *fmt, ...);
__printf(3, 4) int vfio_err(struct vfio_file *file, int error, const char *fmt, ...);
void *vfio_caps_add(struct vfio_caps *caps, u16 id, u16 version, size_t size);

#endif
