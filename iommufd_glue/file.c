// SPDX-License-Identifier: GPL-2.0-only
/*
 * An open device node: the gate, the table of ioctls, and the path of read, write, mmap and faults
 * to the device model. User memory is accessed in this file and in bind.c's fetch functions, always
 * outside the gate: calls inside the gate leave it on their own.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "trace.h"
#include "vfio_file.h"

/* A read or write enters the gate for chunks of this size: a whole config space header. */
#define VFIO_IO_CHUNK	256

/* Maximum size of the struct of an ioctl without a fetch function */
#define VFIO_CMD_RESULT_MAX	32

/**
 * struct vfio_ioctl - what the front end knows about an ioctl, indexed by VFIO_NR()
 * @fn: handler; NULL if it is in the device model's table
 * @fetch: gets more from the user than the fixed part, outside the gate (optional). If it returns
 *	VFIO_FETCH_DONE, the call has succeeded, and @fn is not called.
 * @done: called outside the gate after @fn has succeeded, with the error of writing the result to
 *	the user; returns the result of the call (optional)
 * @in: minimum size of the user's struct, 0 for an ioctl without a struct
 * @get: how many of these bytes are read, a multiple of 4; the rest are results
 * @out: number of bytes copied back to the user, as far as they fit into argsz
 * @cap_offset: offset of the field that holds the offset of a capability chain, which then follows
 *	the struct; 0 for none
 * @unbound: may be called before BIND
 * @tells_size: the struct is also copied back with -ENOSPC, to report the required size
 */
struct vfio_ioctl {
	vfio_cmd_fn fn;
	vfio_cmd_fn fetch;
	int (*done)(struct vfio_cmd *cmd, int error);
	u8 in;
	u8 get;
	u8 out;
	u8 cap_offset;
	bool unbound;
	bool tells_size;
};

static __printf(3, 0) void vfio_verr(struct vfio_file *file, int error, const char *fmt,
				     va_list args)
{
	guard(spinlock)(&file->error_lock);
	file->error = error;
	vscnprintf(file->text, sizeof(file->text), fmt, args);
	trace_vfio_error(file->vdev, error, file->text);
}

/**
 * vfio_err - record the reason for a failure
 * @file: the file of the call that fails
 * @error: negative errno that it will return
 * @fmt: one sentence for the user, no newline
 *
 * Context: any but hard interrupts
 * Return: @error
 */
int vfio_err(struct vfio_file *file, int error, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vfio_verr(file, error, fmt, args);
	va_end(args);
	return error;
}
EXPORT_SYMBOL_GPL(vfio_err);

/**
 * vfio_device_err - record the reason for a failure, for the owner of a device
 * @vdev: the device
 * @error: negative errno
 * @fmt: one sentence for the user, no newline
 *
 * Context: inside the gate, or in code that ops->close waits for
 * Return: @error
 */
int vfio_device_err(struct vfio_device *vdev, int error, const char *fmt, ...)
{
	struct vfio_file *file = READ_ONCE(vdev->owner);
	va_list args;

	va_start(args, fmt);
	if (file)
		vfio_verr(file, error, fmt, args);
	va_end(args);
	return error;
}
EXPORT_SYMBOL_GPL(vfio_device_err);

/* Would the gate let this file in? For errors that take precedence over those of user memory. */
static int vfio_device_knock(struct vfio_file *file, bool unbound)
{
	struct srcu_ctr __percpu *gate;
	int ret = vfio_device_enter(file, unbound, &gate);

	if (!ret)
		vfio_device_leave(file, gate);
	return ret;
}

/*
 * Registers and the structs of ioctls are so small that copy_from_user() would cost more than the
 * rest of the path. @len is a multiple of 4.
 */
static __always_inline int vfio_get_words(void *to, const void __user *from, size_t len)
{
	size_t i;

	if (can_do_masked_user_access())
		from = masked_user_read_access_begin(from);
	else if (!user_read_access_begin(from, len))
		return -EFAULT;
	for (i = 0; i + 8 <= len; i += 8)
		unsafe_get_user(*(u64 *)(to + i), (const u64 __user *)(from + i), fault);
	if (i < len)
		unsafe_get_user(*(u32 *)(to + i), (const u32 __user *)(from + i), fault);
	user_read_access_end();
	return 0;

fault:
	user_read_access_end();
	return -EFAULT;
}

static __always_inline int vfio_put_words(void __user *to, const void *from, size_t len)
{
	size_t i;

	if (can_do_masked_user_access())
		to = masked_user_write_access_begin(to);
	else if (!user_write_access_begin(to, len))
		return -EFAULT;
	for (i = 0; i + 8 <= len; i += 8)
		unsafe_put_user(*(const u64 *)(from + i), (u64 __user *)(to + i), fault);
	if (i < len)
		unsafe_put_user(*(const u32 *)(from + i), (u32 __user *)(to + i), fault);
	user_write_access_end();
	return 0;

fault:
	user_write_access_end();
	return -EFAULT;
}

static __always_inline int vfio_get_bytes(void *to, const void __user *from, size_t len)
{
	switch (len) {
	case 1:
		return get_user(*(u8 *)to, (const u8 __user *)from);
	case 2:
		return get_user(*(u16 *)to, (const u16 __user *)from);
	case 4:
		return get_user(*(u32 *)to, (const u32 __user *)from);
	case 8:
		return get_user(*(u64 *)to, (const u64 __user *)from);
	default:
		return copy_from_user(to, from, len) ? -EFAULT : 0;
	}
}

static __always_inline int vfio_put_bytes(void __user *to, const void *from, size_t len)
{
	switch (len) {
	case 1:
		return put_user(*(const u8 *)from, (u8 __user *)to);
	case 2:
		return put_user(*(const u16 *)from, (u16 __user *)to);
	case 4:
		return put_user(*(const u32 *)from, (u32 __user *)to);
	case 8:
		return put_user(*(const u64 *)from, (u64 __user *)to);
	default:
		return copy_to_user(to, from, len) ? -EFAULT : 0;
	}
}

/* Get the array of @count entries that follows the fixed part of @fixed bytes. */
static int vfio_fetch_array(struct vfio_cmd *cmd, size_t fixed, u32 count, size_t each)
{
	size_t size = size_mul(count, each);

	if (size > VFIO_PAYLOAD_MAX || size > cmd->argsz - fixed)
		return vfio_err(cmd->file, -EINVAL, "argsz %u is too small for an array of %u",
				cmd->argsz, count);
	if (!size)
		return 0;
	cmd->data = memdup_user(cmd->uarg + fixed, size);
	if (IS_ERR(cmd->data))
		return PTR_ERR(no_free_ptr(cmd->data));
	cmd->data_len = size;
	return 0;
}

static int vfio_set_irqs_fetch(struct vfio_cmd *cmd)
{
	struct vfio_irq_set *set = (void *)cmd->arg;
	size_t each;

	if (set->flags & ~(VFIO_IRQ_SET_DATA_TYPE_MASK | VFIO_IRQ_SET_ACTION_TYPE_MASK))
		return vfio_err(cmd->file, -EINVAL, "unknown flags %#x for SET_IRQS", set->flags);

	switch (set->flags & VFIO_IRQ_SET_DATA_TYPE_MASK) {
	case VFIO_IRQ_SET_DATA_NONE:
		return 0;
	case VFIO_IRQ_SET_DATA_BOOL:
		each = sizeof(u8);
		break;
	case VFIO_IRQ_SET_DATA_EVENTFD:
		each = sizeof(s32);
		break;
	default:
		return vfio_err(cmd->file, -EINVAL, "SET_IRQS needs exactly one kind of data");
	}
	return vfio_fetch_array(cmd, sizeof(*set), set->count, each);
}

static int vfio_hot_reset_fetch(struct vfio_cmd *cmd)
{
	struct vfio_pci_hot_reset *reset = (void *)cmd->arg;

	if (reset->flags)
		return vfio_err(cmd->file, -EINVAL, "unknown flags %#x for HOT_RESET",
				reset->flags);
	return vfio_fetch_array(cmd, sizeof(*reset), reset->count, sizeof(s32));
}

static u32 vfio_feature_flags(const struct vfio_cmd *cmd)
{
	return ((const struct vfio_device_feature *)cmd->arg)->flags;
}

/* Copies a feature's row, as the device model's table may go away outside the gate. */
static int vfio_find_feature(struct vfio_cmd *cmd, struct vfio_feature *row)
{
	u16 feature = vfio_feature_flags(cmd) & VFIO_DEVICE_FEATURE_MASK;
	const struct vfio_device_ops *ops;
	struct srcu_ctr __percpu *gate;
	unsigned int i;
	int ret;

	ret = vfio_device_enter(cmd->file, false, &gate);
	if (ret)
		return ret;
	ops = cmd->vdev->ops;
	ret = -ENOTTY;
	for (i = 0; i < ops->nr_features; i++) {
		if (ops->features[i].feature != feature ||
		    (!ops->features[i].get && !ops->features[i].set))
			continue;
		if (ops->features[i].has && !ops->features[i].has(cmd->vdev))
			break;
		*row = ops->features[i];
		ret = 0;
		break;
	}
	vfio_device_leave(cmd->file, gate);
	return ret;
}

/* Get a feature's struct and its array, if it has one, whose length is in the struct. */
static int vfio_feature_data(struct vfio_cmd *cmd, const struct vfio_feature *row, bool in)
{
	struct vfio_device_feature __user *ufeature = cmd->uarg;
	size_t size = row->size, room = cmd->argsz - sizeof(*ufeature);
	u32 count = 0;

	if (room < size)
		return -EINVAL;
	if (row->each && get_user(count, (u32 __user *)(ufeature->data + row->count)))
		return -EFAULT;
	size = size_add(size, size_mul(count, row->each));
	if (size > room || size > VFIO_PAYLOAD_MAX)
		return vfio_err(cmd->file, -EINVAL, "argsz %u does not match %u entries",
				cmd->argsz, count);

	cmd->data = kzalloc(size, GFP_KERNEL_ACCOUNT);
	if (!cmd->data)
		return -ENOMEM;
	cmd->data_len = size;
	if (row->answers || vfio_feature_flags(cmd) & VFIO_DEVICE_FEATURE_GET)
		cmd->out_len = size;
	if (in && copy_from_user(cmd->data, ufeature->data, size))
		return -EFAULT;
	/* The user may have changed it since it was checked. */
	if (row->each)
		*(u32 *)(cmd->data + row->count) = count;
	return 0;
}

static int vfio_feature_fetch(struct vfio_cmd *cmd)
{
	struct vfio_device_feature *feature = (void *)cmd->arg;
	const u32 op_mask = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET;
	u32 ops = feature->flags & op_mask;
	struct vfio_feature row;
	int ret;

	if (feature->flags & ~(VFIO_DEVICE_FEATURE_MASK | VFIO_DEVICE_FEATURE_PROBE | op_mask))
		return -EINVAL;
	if (ops == op_mask && !(feature->flags & VFIO_DEVICE_FEATURE_PROBE))
		return -EINVAL;
	ret = vfio_find_feature(cmd, &row);
	if (ret)
		return ret;
	if ((ops & VFIO_DEVICE_FEATURE_GET && !row.get) ||
	    (ops & VFIO_DEVICE_FEATURE_SET && !row.set))
		return vfio_err(cmd->file, -EINVAL, "feature %u cannot be %s", row.feature,
				row.get ? "set" : "read");
	if (feature->flags & VFIO_DEVICE_FEATURE_PROBE)
		return 0;
	if (!ops)
		return -EINVAL;
	ret = vfio_feature_data(cmd, &row,
				ops == VFIO_DEVICE_FEATURE_SET || row.each || row.asks);
	if (ret)
		return ret;
	if (row.feature == VFIO_DEVICE_FEATURE_DMA_LOGGING_START)
		return vfio_log_start_fetch(cmd);
	if (row.feature == VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT)
		return vfio_log_report(cmd, &row);
	return 0;
}

static int vfio_feature(struct vfio_cmd *cmd)
{
	u32 flags = vfio_feature_flags(cmd);
	struct vfio_feature row;
	int ret;

	if (flags & VFIO_DEVICE_FEATURE_PROBE)
		return 0;
	ret = vfio_find_feature(cmd, &row);
	if (ret)
		return ret;
	return flags & VFIO_DEVICE_FEATURE_GET ? row.get(cmd) : row.set(cmd);
}

static const struct vfio_ioctl vfio_ioctls[VFIO_NR_IOCTLS] = {
	[VFIO_NR(VFIO_DEVICE_GET_INFO)] = {
		.in = offsetofend(struct vfio_device_info, num_irqs),
		.get = offsetofend(struct vfio_device_info, num_irqs),
		.out = sizeof(struct vfio_device_info),
		.cap_offset = offsetof(struct vfio_device_info, cap_offset),
	},
	[VFIO_NR(VFIO_DEVICE_GET_REGION_INFO)] = {
		.in = sizeof(struct vfio_region_info),
		.get = offsetofend(struct vfio_region_info, index),
		.out = sizeof(struct vfio_region_info),
		.cap_offset = offsetof(struct vfio_region_info, cap_offset),
	},
	[VFIO_NR(VFIO_DEVICE_GET_IRQ_INFO)] = {
		.in = sizeof(struct vfio_irq_info),
		.get = offsetofend(struct vfio_irq_info, index),
		.out = sizeof(struct vfio_irq_info),
	},
	[VFIO_NR(VFIO_DEVICE_SET_IRQS)] = {
		.fetch = vfio_set_irqs_fetch,
		.in = sizeof(struct vfio_irq_set),
		.get = sizeof(struct vfio_irq_set),
	},
	[VFIO_NR(VFIO_DEVICE_RESET)] = {},
	[VFIO_NR(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO)] = {
		.in = sizeof(struct vfio_pci_hot_reset_info),
		.get = sizeof(struct vfio_pci_hot_reset_info),
		.out = sizeof(struct vfio_pci_hot_reset_info),
		.tells_size = true,
	},
	[VFIO_NR(VFIO_DEVICE_PCI_HOT_RESET)] = {
		.fetch = vfio_hot_reset_fetch,
		.in = sizeof(struct vfio_pci_hot_reset),
		.get = sizeof(struct vfio_pci_hot_reset),
	},
	[VFIO_NR(VFIO_DEVICE_IOEVENTFD)] = {
		.in = offsetofend(struct vfio_device_ioeventfd, fd),
		.get = offsetofend(struct vfio_device_ioeventfd, fd),
	},
	[VFIO_NR(VFIO_DEVICE_FEATURE)] = {
		.fn = vfio_feature,
		.fetch = vfio_feature_fetch,
		.in = sizeof(struct vfio_device_feature),
		.get = sizeof(struct vfio_device_feature),
	},
	[VFIO_NR(VFIO_DEVICE_BIND_IOMMUFD)] = {
		.fn = vfio_bind,
		.fetch = vfio_bind_fetch,
		.done = vfio_bind_done,
		.in = offsetofend(struct vfio_device_bind_iommufd, out_devid),
		.get = offsetofend(struct vfio_device_bind_iommufd, out_devid),
		.out = offsetofend(struct vfio_device_bind_iommufd, out_devid),
		.unbound = true,
	},
	[VFIO_NR(VFIO_DEVICE_ATTACH_IOMMUFD_PT)] = {
		.fn = vfio_attach,
		.fetch = vfio_attach_fetch,
		.in = offsetofend(struct vfio_device_attach_iommufd_pt, pt_id),
		.get = offsetofend(struct vfio_device_attach_iommufd_pt, pt_id),
		.out = offsetofend(struct vfio_device_attach_iommufd_pt, pt_id),
	},
	[VFIO_NR(VFIO_DEVICE_DETACH_IOMMUFD_PT)] = {
		.fn = vfio_detach,
		.fetch = vfio_detach_fetch,
		.in = offsetofend(struct vfio_device_detach_iommufd_pt, flags),
		.get = offsetofend(struct vfio_device_detach_iommufd_pt, flags),
	},
};

static noinline int vfio_call_sleepy(vfio_cmd_fn fn, struct vfio_cmd *cmd)
{
	struct vfio_device *vdev = cmd->vdev;
	int ret;

	ret = vdev->ops->wake(vdev);
	if (ret)
		return vfio_err(cmd->file, ret, "the device does not wake up");
	ret = fn(cmd);
	vdev->ops->rest(vdev);
	return ret;
}

/* Make a call, waking the device up if it may be asleep. */
static __always_inline int vfio_call(vfio_cmd_fn fn, struct vfio_cmd *cmd)
{
	if (unlikely(READ_ONCE(cmd->vdev->sleepy)))
		return vfio_call_sleepy(fn, cmd);
	return fn(cmd);
}

/**
 * vfio_call_inside - call the device model for a part of an ioctl
 * @fn: the function to call
 * @cmd: the ioctl; its file must be bound
 *
 * Context: not inside the gate
 * Return: what @fn returns; an error of vfio_device_enter(), or of waking the device up
 */
int vfio_call_inside(vfio_cmd_fn fn, struct vfio_cmd *cmd)
{
	struct srcu_ctr __percpu *gate;
	int ret = vfio_device_enter(cmd->file, false, &gate);

	if (ret)
		return ret;
	ret = vfio_call(fn, cmd);
	vfio_device_leave(cmd->file, gate);
	return ret;
}

/* Run the ioctl, with the user's data in @cmd. */
static __always_inline int vfio_cmd_run(const struct vfio_ioctl *row, struct vfio_cmd *cmd,
					unsigned int nr)
{
	struct vfio_file *file = cmd->file;
	struct srcu_ctr __percpu *gate;
	vfio_cmd_fn fn = row->fn;
	int ret;

	ret = vfio_device_enter(file, row->unbound, &gate);
	if (ret)
		return ret;
	if (!fn)
		fn = file->vdev->ops->ioctls[nr];
	ret = fn ? vfio_call(fn, cmd) : -ENOTTY;
	vfio_device_leave(file, gate);
	return ret;
}

/* If the capabilities fit, they follow the struct; otherwise, argsz reports the required size. */
static int vfio_cmd_reply_caps(const struct vfio_ioctl *row, struct vfio_cmd *cmd)
{
	struct vfio_caps *caps = cmd->caps;

	if (cmd->argsz < row->out + caps->size) {
		*(u32 *)cmd->arg = row->out + caps->size;
		return 0;
	}
	*(u32 *)(cmd->arg + row->cap_offset) = row->out;
	return copy_to_user(cmd->uarg + row->out, caps->buf, caps->size) ? -EFAULT : 0;
}

/* Copy the struct to the user, and the capabilities or data that follow it. */
static __always_inline int vfio_cmd_reply(const struct vfio_ioctl *row, struct vfio_cmd *cmd)
{
	u32 len;

	if (cmd->caps->size && vfio_cmd_reply_caps(row, cmd))
		return -EFAULT;
	if (cmd->out_len && copy_to_user(cmd->uarg + row->in, cmd->data, cmd->out_len))
		return -EFAULT;
	len = min_t(u32, row->out, cmd->argsz);
	if (len & 3)
		return copy_to_user(cmd->uarg, cmd->arg, len) ? -EFAULT : 0;
	return vfio_put_words(cmd->uarg, cmd->arg, len);
}

/* Get more from the user, unless the gate would not let the call in. */
static noinline int vfio_cmd_fetch(const struct vfio_ioctl *row, struct vfio_cmd *cmd)
{
	memset(cmd->arg + VFIO_CMD_RESULT_MAX, 0, sizeof(cmd->arg) - VFIO_CMD_RESULT_MAX);
	return vfio_device_knock(cmd->file, row->unbound) ?: row->fetch(cmd);
}

/* The error of a call whose struct could not be read: an error of the gate takes precedence. */
static noinline int vfio_cmd_refuse(const struct vfio_ioctl *row, struct vfio_cmd *cmd, int error)
{
	int ret = vfio_device_knock(cmd->file, row->unbound);

	if (ret)
		return ret;
	if (error == -EINVAL)
		vfio_err(cmd->file, error, "argsz is %u, but the struct has %u bytes", cmd->argsz,
			 row->in);
	return error;
}

/* Install or drop the new file of a call, and free its data. */
static noinline void vfio_cmd_end(const struct vfio_ioctl *row, struct vfio_cmd *cmd, int ret)
{
	if (ret && cmd->state) {
		cmd->state->data_fd = -1;
		/* The call has failed anyway. */
		if (copy_to_user(cmd->uarg + row->in, cmd->state, sizeof(*cmd->state)))
			ret = -EFAULT;
	}
	if (cmd->new_file && !ret) {
		fd_install(cmd->new_fd, cmd->new_file);
	} else if (cmd->new_file) {
		put_unused_fd(cmd->new_fd);
		fput(cmd->new_file);
	}
	kfree(cmd->data);
}

static __always_inline int vfio_cmd(struct vfio_file *file, unsigned int nr, void __user *uarg)
{
	const struct vfio_ioctl *row = &vfio_ioctls[nr];
	struct vfio_caps caps __uninitialized;
	struct vfio_cmd cmd __uninitialized;
	int ret = 0, error;

	caps.base = row->out;
	caps.last = 0;
	caps.size = 0;
	cmd.file = file;
	cmd.vdev = file->vdev;
	cmd.uarg = uarg;
	cmd.argsz = 0;
	cmd.data_len = 0;
	cmd.out_len = 0;
	cmd.data = NULL;
	cmd.caps = &caps;
	cmd.state = NULL;
	cmd.new_file = NULL;
	memset(cmd.arg, 0, VFIO_CMD_RESULT_MAX);
	if (row->in) {
		if (unlikely(vfio_get_words(cmd.arg, uarg, row->get)))
			return vfio_cmd_refuse(row, &cmd, -EFAULT);
		cmd.argsz = *(u32 *)cmd.arg;
		if (unlikely(cmd.argsz < row->in))
			return vfio_cmd_refuse(row, &cmd, -EINVAL);
	}
	if (row->fetch)
		ret = vfio_cmd_fetch(row, &cmd);
	if (!ret)
		ret = vfio_cmd_run(row, &cmd, nr);
	else if (ret == VFIO_FETCH_DONE)
		ret = 0;
	if ((!ret || (ret == -ENOSPC && row->tells_size)) && (row->out || cmd.out_len)) {
		error = vfio_cmd_reply(row, &cmd);
		if (unlikely(row->done))
			error = row->done(&cmd, error);
		ret = error ?: ret;
	}
	if (unlikely(cmd.data))
		vfio_cmd_end(row, &cmd, ret);
	return ret;
}

/* Does not enter the gate, so that it works after a revocation; it needs no device. */
static int vfio_get_last_error(struct vfio_file *file, struct vfio_device_last_error __user *uarg)
{
	const size_t fixed = offsetof(struct vfio_device_last_error, text);
	struct vfio_device_last_error last = {};
	u32 argsz;

	if (get_user(argsz, &uarg->argsz))
		return -EFAULT;
	if (argsz < fixed)
		return -EINVAL;

	scoped_guard(spinlock, &file->error_lock) {
		last.error = file->error;
		strscpy(last.text, file->text);
	}
	last.argsz = sizeof(last);
	last.len = strlen(last.text);
	argsz = min(argsz, sizeof(last));
	if (argsz > fixed)
		last.text[argsz - fixed - 1] = '\0';
	return copy_to_user(uarg, &last, argsz) ? -EFAULT : 0;
}

static long vfio_file_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	struct vfio_file *file = filp->private_data;
	void __user *uarg = (void __user *)arg;
	unsigned int nr = VFIO_NR(cmd);

	if (cmd == VFIO_DEVICE_GET_LAST_ERROR)
		return vfio_get_last_error(file, uarg);
	if (cmd != _IO(VFIO_TYPE, VFIO_BASE + nr) || nr >= VFIO_NR_IOCTLS)
		return vfio_device_knock(file, false) ?: -ENOTTY;
	return vfio_cmd(file, array_index_nospec(nr, VFIO_NR_IOCTLS), uarg);
}

typedef ssize_t (*vfio_move_fn)(struct vfio_device *vdev, const struct vfio_io *io);

static noinline ssize_t vfio_move_sleepy(struct vfio_device *vdev, const struct vfio_io *io,
					 vfio_move_fn move)
{
	ssize_t ret;

	if (vdev->ops->wake(vdev))
		return -EIO;
	ret = move(vdev, io);
	vdev->ops->rest(vdev);
	return ret;
}

/* Read or write, waking the device up if it may be asleep. */
static __always_inline ssize_t vfio_move(struct vfio_device *vdev, const struct vfio_io *io,
					 vfio_move_fn move)
{
	if (unlikely(READ_ONCE(vdev->sleepy)))
		return vfio_move_sleepy(vdev, io, move);
	return move(vdev, io);
}

/* The next chunk of a request for @count bytes, of which @done have been moved */
static struct vfio_io vfio_next_io(void *buf, size_t count, size_t done, loff_t pos)
{
	struct vfio_io io = {
		.buf = buf,
		.left = count - done,
		.pos = pos,
	};

	io.len = min(io.left, VFIO_IO_CHUNK - (pos & 7));
	return io;
}

static ssize_t vfio_file_read(struct file *filp, char __user *ubuf, size_t count, loff_t *pos)
{
	struct vfio_file *file = filp->private_data;
	u8 buf[VFIO_IO_CHUNK] __aligned(8) __uninitialized;
	struct srcu_ctr __percpu *gate;
	size_t done = 0;
	ssize_t ret;

	if (!count)
		return vfio_device_knock(file, false);

	while (done < count) {
		struct vfio_io io = vfio_next_io(buf, count, done, *pos);

		ret = vfio_device_enter(file, false, &gate);
		if (ret)
			break;
		ret = vfio_move(file->vdev, &io, file->vdev->ops->read);
		vfio_device_leave(file, gate);
		if (ret <= 0)
			break;
		if (unlikely(vfio_put_bytes(ubuf + done, buf, ret))) {
			ret = -EFAULT;
			break;
		}
		done += ret;
		*pos += ret;
		if (done < count && fatal_signal_pending(current))
			break;
	}
	return done ?: ret;
}

static ssize_t vfio_file_write(struct file *filp, const char __user *ubuf, size_t count,
			       loff_t *pos)
{
	struct vfio_file *file = filp->private_data;
	u8 buf[VFIO_IO_CHUNK] __aligned(8) __uninitialized;
	struct srcu_ctr __percpu *gate;
	size_t done = 0;
	ssize_t ret;

	if (!count)
		return vfio_device_knock(file, false);

	while (done < count) {
		struct vfio_io io = vfio_next_io(buf, count, done, *pos);

		if (unlikely(vfio_get_bytes(buf, ubuf + done, io.len))) {
			ret = vfio_device_knock(file, false) ?: -EFAULT;
			break;
		}
		ret = vfio_device_enter(file, false, &gate);
		if (ret)
			break;
		ret = vfio_move(file->vdev, &io, file->vdev->ops->write);
		vfio_device_leave(file, gate);
		if (ret <= 0)
			break;
		done += ret;
		*pos += ret;
		if (done < count && fatal_signal_pending(current))
			break;
	}
	return done ?: ret;
}

/*
 * KVM triggers a fault to insert a page, and looks the page up afterwards. If it was removed in
 * between, the guest is stopped, unless the fault has released the lock, so that KVM retries.
 */
static bool vfio_fault_lets_go(struct vfio_file *file, const struct vm_fault *vmf)
{
	return READ_ONCE(file->kvm) && fault_flag_allow_retry_first(vmf->flags) &&
	       !(vmf->flags & FAULT_FLAG_RETRY_NOWAIT);
}

/*
 * A program's own access can wait, and so can a lookup of the page on its behalf, as by KVM. When
 * the kernel copies to or from a BAR, it may hold locks that a reset of the device takes.
 */
static bool vfio_fault_may_wait(const struct vm_fault *vmf)
{
	if (!(vmf->flags & FAULT_FLAG_ALLOW_RETRY))
		return false;
	return vmf->flags & FAULT_FLAG_USER || !(vmf->flags & FAULT_FLAG_INTERRUPTIBLE);
}

/*
 * In the kernel, mmap_lock is inside locks which are inside those of the device (in the SMMU
 * driver, in iommufd). So a fault does not wait for the device while it holds mmap_lock.
 */
static vm_fault_t vfio_huge_fault(struct vm_fault *vmf, unsigned int order)
{
	struct file *filp = vmf->vma->vm_file;
	struct vfio_file *file = filp->private_data;
	struct srcu_ctr __percpu *gate;
	struct file *held = NULL;
	vm_fault_t ret;
	bool inside;

	inside = !vfio_device_enter(file, false, &gate);
	ret = inside ? file->vdev->ops->fault(file->vdev, vmf, order) :
		       vfio_device_fault_off(vmf, order);
	if (unlikely(ret == VM_FAULT_RETRY)) {
		if (!vfio_fault_may_wait(vmf)) {
			ret = VM_FAULT_SIGBUS;
		} else if (!(vmf->flags & FAULT_FLAG_RETRY_NOWAIT)) {
			/* From here on, the VMA may be freed, and its file with it. */
			held = get_file(filp);
			release_fault_lock(vmf);
			file->vdev->ops->fault_wait(file->vdev);
		}
	} else if (ret == VM_FAULT_NOPAGE && vfio_fault_lets_go(file, vmf)) {
		held = get_file(filp);
		release_fault_lock(vmf);
		ret = VM_FAULT_RETRY;
	}
	if (inside)
		vfio_device_leave(file, gate);
	if (held)
		fput(held);
	return ret;
}

static vm_fault_t vfio_fault(struct vm_fault *vmf)
{
	return vfio_huge_fault(vmf, 0);
}

/*
 * A VMA is about to be split, possibly within a page of PUD size. The kernel would take that page
 * for a table of PMDs and write to the device (in Linux 7.3, vma_adjust_trans_huge() only knows
 * pages of PMD size). So remove the page. Faults bring it back as smaller pages.
 */
static int vfio_may_split(struct vm_area_struct *vma, unsigned long addr)
{
	unsigned long start = ALIGN_DOWN(addr, PUD_SIZE);

	if (addr == start)
		return 0;
	/* A fault under the VMA lock must not bring it back before the split. */
	vma_start_write(vma);
	zap_special_vma_range(vma, start, PUD_SIZE);
	return 0;
}

/*
 * The protection of a part of a VMA is about to change. Linux 7.3 does not recognize a PROT_NONE
 * page of PUD size: pudp_invalidate() warns about it with CONFIG_DEBUG_VM. So remove the pages.
 * Faults bring them back with the new protection.
 */
static int vfio_vma_mprotect(struct vm_area_struct *vma, unsigned long start, unsigned long end,
			     unsigned long flags)
{
	/* As in vfio_may_split() */
	vma_start_write(vma);
	zap_special_vma_range(vma, start, end - start);
	return 0;
}

/*
 * A VMA has been copied, for mremap(), a split or fork(). If a page of PUD size moves, the kernel
 * takes its entry for a bad one and clears it without flushing the TLB (in Linux 7.3,
 * move_page_tables() does not check for one). The user would keep an access that vfio_device_zap()
 * cannot find. So remove the pages from the old VMA, which is locked against faults during a move.
 * Faults bring them back. For fork(), they are copied correctly.
 */
static void vfio_vma_open(struct vm_area_struct *vma)
{
	if (vma->vm_mm == current->mm)
		unmap_mapping_range(vma->vm_file->f_mapping, (loff_t)vma->vm_pgoff << PAGE_SHIFT,
				    vma->vm_end - vma->vm_start, true);
}

static const struct vm_operations_struct vfio_vm_ops = {
	.open = vfio_vma_open,
	.may_split = vfio_may_split,
	.mprotect = vfio_vma_mprotect,
	.fault = vfio_fault,
#ifdef CONFIG_ARCH_SUPPORTS_HUGE_PFNMAP
	.huge_fault = vfio_huge_fault,
#endif
};

static int vfio_file_mmap(struct file *filp, struct vm_area_struct *vma)
{
	struct vfio_file *file = filp->private_data;
	struct srcu_ctr __percpu *gate;
	int ret;

	ret = vfio_device_enter(file, false, &gate);
	if (ret)
		return ret;
	ret = file->vdev->ops->mmap(file->vdev, vma);
	vfio_device_leave(file, gate);
	if (!ret)
		vma->vm_ops = &vfio_vm_ops;
	return ret;
}

/*
 * Choose an address for a mapping that permits the largest pages that fit: at the same offset in a
 * page as in the file. Regions are aligned in the file to more than the largest page, and BARs in
 * physical memory to their size (PCIe r6.2 7.5.1.2.1), so the offset is the same there, too.
 */
static unsigned long vfio_file_get_unmapped_area(struct file *filp, unsigned long addr,
						 unsigned long len, unsigned long pgoff,
						 unsigned long flags)
{
	const unsigned long sizes[] = { PUD_SIZE, PMD_SIZE };
	u64 start = (u64)pgoff << PAGE_SHIFT;
	unsigned long size, at;
	int i;

	for (i = 0; i < ARRAY_SIZE(sizes) && !addr && !(flags & MAP_FIXED); i++) {
		size = sizes[i];
		if (len < size || len > TASK_SIZE - size ||
		    round_up(start, size) - start > len - size)
			continue;
		at = mm_get_unmapped_area(filp, addr, len + size, pgoff, flags);
		if (!IS_ERR_VALUE(at))
			return at + ((start - at) & (size - 1));
	}
	return mm_get_unmapped_area(filp, addr, len, pgoff, flags);
}

static int vfio_file_open(struct inode *inode, struct file *filp)
{
	struct vfio_device *vdev = container_of(inode->i_cdev, struct vfio_device, cdev);
	struct srcu_ctr __percpu *gate;
	struct vfio_file *file;

	file = kzalloc_obj(*file, GFP_KERNEL_ACCOUNT);
	if (!file)
		return -ENOMEM;
	file->vdev = vdev;
	file->mapping = filp->f_mapping;
	spin_lock_init(&file->error_lock);
	vfio_kvm_init(file);

	if (vfio_device_enter(file, true, &gate)) {
		kfree(file);
		return -ENODEV;
	}
	get_device(&vdev->device);
	filp->private_data = file;
	vfio_device_leave(file, gate);
	return 0;
}

static int vfio_file_release(struct inode *inode, struct file *filp)
{
	struct vfio_file *file = filp->private_data;
	struct vfio_device *vdev = file->vdev;

	scoped_guard(mutex, &vdev->lock) {
		if (vdev->owner == file)
			vfio_session_end(vdev);
	}
	vfio_kvm_release(file);
	put_device(&vdev->device);
	kfree(file);
	return 0;
}

static void vfio_show_device(struct vfio_file *file, struct seq_file *m)
{
	struct vfio_device *vdev = file->vdev;
	struct srcu_ctr __percpu *gate;
	char *path;

	if (vfio_device_enter(file, true, &gate))
		return;
	path = kobject_get_path(&vdev->device.parent->kobj, GFP_KERNEL);
	if (path)
		seq_printf(m, "vfio-device-syspath: /sys%s\n", path);
	kfree(path);

	/* Pairs with vfio_bind(). */
	if (smp_load_acquire(&file->bound)) {
		u32 pt_id = READ_ONCE(vdev->pt_id);

		seq_printf(m, "vfio-iommufd-devid:\t%u\n", file->devid);
		if (pt_id)
			seq_printf(m, "vfio-pt-id:\t%u\n", pt_id);
		else
			seq_puts(m, "vfio-pt-id:\tnone\n");
		vdev->ops->show_fdinfo(vdev, m);
	}
	vfio_device_leave(file, gate);
}

static void vfio_file_show_fdinfo(struct seq_file *m, struct file *filp)
{
	struct vfio_file *file = filp->private_data;
	const char *state = READ_ONCE(file->bound) ? "bound" : "open";

	if (READ_ONCE(file->vdev->revoked))
		state = "revoked";
	vfio_show_device(file, m);
	seq_printf(m, "vfio-state:\t%s\n", state);
	seq_printf(m, "vfio-kvm:\t%s\n", READ_ONCE(file->kvm) ? "yes" : "no");
	guard(spinlock)(&file->error_lock);
	if (file->error)
		seq_printf(m, "vfio-last-error:\t%d %s\n", file->error, file->text);
}

const struct file_operations vfio_file_fops = {
	.owner = THIS_MODULE,
	.open = vfio_file_open,
	.release = vfio_file_release,
	.read = vfio_file_read,
	.write = vfio_file_write,
	.mmap = vfio_file_mmap,
	.get_unmapped_area = vfio_file_get_unmapped_area,
	.unlocked_ioctl = vfio_file_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.show_fdinfo = vfio_file_show_fdinfo,
};

/**
 * vfio_device_is_of_fd - is one of the caller's file descriptors a device's owner?
 * @vdev: the device, whose session cannot begin or end during this call
 * @fd: the file descriptor
 *
 * Return: 1 or 0; -EBADF when it is not open; -EINVAL when it is not a device, or not bound
 */
int vfio_device_is_of_fd(const struct vfio_device *vdev, int fd)
{
	struct vfio_file *file;

	CLASS(fd, f)(fd);
	if (fd_empty(f))
		return -EBADF;
	if (fd_file(f)->f_op != &vfio_file_fops)
		return -EINVAL;
	file = fd_file(f)->private_data;
	/* Pairs with vfio_bind(). */
	if (!smp_load_acquire(&file->bound))
		return -EINVAL;
	return file->vdev == vdev;
}
EXPORT_SYMBOL_GPL(vfio_device_is_of_fd);
