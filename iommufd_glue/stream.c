// SPDX-License-Identifier: GPL-2.0-only
/*
 * Data files: the state of a device as a stream of records. The device model fills empty buffers,
 * or consumes full ones, in a worker of its own; read and write move data between the buffers and
 * the user.
 *
 * User memory is accessed neither inside the gate nor under a lock. A thread that accesses it holds
 * the turn, of which each stream has one. This protects the stream's position for as long as a page
 * fault takes, possibly for ever. Only other threads of the user wait for the turn, and they can be
 * interrupted. The buffers exist until the file is dead and nobody has the turn, whatever happens
 * to the device.
 */
#include <linux/anon_inodes.h>
#include <linux/export.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kref.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include "vfio_file.h"

/* The device fills some of them while the user empties another. */
#define VFIO_STREAM_BUFS	4

/**
 * struct vfio_stream - a data file
 * @ref: held by the file and, until the state is left, by the device model
 * @vdev: the device; a reference is held
 * @session: the session of the device that the file belongs to
 * @save: the file is for reading
 * @wait: woken when a user can continue
 * @lock: protects all members below, except those of the holder of @turn
 * @turn: a thread of the user reads or writes
 * @asked: a reader waits to be told whether there is more
 * @status: what to do when nothing is queued
 * @error: the error, if @status is FAILED
 * @empty: buffers for the device to fill
 * @full: buffers to be read
 * @pos: where in the first buffer of @full the next read begins; belongs to the turn
 * @pushed: bytes that were ever added to @full
 * @taken: bytes of @pushed that were read
 * @loading: a whole record waits to be loaded, so the members of the turn must not change
 * @in: the record that is being written; belongs to the turn, like all members below
 * @got: bytes in @in
 * @want: bytes that @in needs for the next step
 * @held: the record is whole, but its last byte is held back: the device must accept it first
 * @order: the device model's state for judging the order of records
 */
struct vfio_stream {
	struct kref ref;
	struct vfio_device *vdev;
	unsigned int session;
	bool save;
	wait_queue_head_t wait;
	spinlock_t lock;	/* see above */
	bool turn;
	bool asked;
	enum vfio_stream_status status;
	int error;
	struct list_head empty;
	struct list_head full;
	size_t pos;
	u64 pushed;
	u64 taken;
	bool loading;
	struct vfio_buf *in;
	size_t got;
	size_t want;
	bool held;
	u32 order;
};

static void vfio_buf_free(struct vfio_buf *buf)
{
	if (buf)
		kvfree(buf->bytes);
	kfree(buf);
}

static struct vfio_buf *vfio_buf_alloc(size_t room)
{
	struct vfio_buf *buf __free(kfree) = kmalloc_obj(*buf, GFP_KERNEL_ACCOUNT);

	if (!buf)
		return NULL;
	/* The user chooses the size of what is written, and must not fill the log by that. */
	buf->bytes = kvmalloc(size_add(sizeof(struct vfio_record), room),
			      GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!buf->bytes)
		return NULL;
	buf->len = 0;
	buf->room = room;
	return no_free_ptr(buf);
}

static void vfio_stream_free_buffers(struct vfio_stream *stream)
{
	struct vfio_buf *buf, *next;

	list_splice_init(&stream->full, &stream->empty);
	list_for_each_entry_safe(buf, next, &stream->empty, node)
		vfio_buf_free(buf);
	INIT_LIST_HEAD(&stream->empty);
	vfio_buf_free(stream->in);
	stream->in = NULL;
}

static void vfio_stream_free(struct kref *ref)
{
	struct vfio_stream *stream = container_of(ref, struct vfio_stream, ref);

	vfio_stream_free_buffers(stream);
	vfio_device_free(stream->vdev);
	kfree(stream);
}

/* Enter the gate with a file that belongs to a session, but is not a file of the device. */
static int vfio_stream_enter(struct vfio_stream *stream, struct srcu_ctr __percpu **gate)
{
	struct vfio_device *vdev = stream->vdev;

	*gate = srcu_read_lock_fast(&vdev->gate);
	if (!READ_ONCE(vdev->revoked) && READ_ONCE(vdev->session) == stream->session)
		return 0;
	srcu_read_unlock_fast(&vdev->gate, *gate);
	return -ENODEV;
}

static void vfio_stream_leave(struct vfio_stream *stream, struct srcu_ctr __percpu *gate)
{
	srcu_read_unlock_fast(&stream->vdev->gate, gate);
}

/* Tell the device model to look at the stream. Does not wait. */
static int vfio_stream_kick(struct vfio_stream *stream)
{
	struct srcu_ctr __percpu *gate;
	int ret = vfio_stream_enter(stream, &gate);

	if (ret)
		return ret;
	stream->vdev->ops->stream_kick(stream->vdev);
	vfio_stream_leave(stream, gate);
	return 0;
}

static bool vfio_stream_take_turn(struct vfio_stream *stream)
{
	guard(spinlock)(&stream->lock);
	if (stream->turn)
		return false;
	stream->turn = true;
	return true;
}

static bool vfio_stream_is_over(struct vfio_stream *stream)
{
	return READ_ONCE(stream->status) == VFIO_STREAM_OVER;
}

/*
 * A dead file needs no buffers, and the user may keep any number of dead files. A thread that has
 * the turn still uses them, and drops them when it gives the turn.
 */
static void vfio_stream_drop_buffers(struct vfio_stream *stream)
{
	if (!vfio_stream_is_over(stream) || !vfio_stream_take_turn(stream))
		return;
	vfio_stream_free_buffers(stream);
	scoped_guard(spinlock, &stream->lock)
		stream->turn = false;
}

static void vfio_stream_give_turn(struct vfio_stream *stream)
{
	scoped_guard(spinlock, &stream->lock)
		stream->turn = false;
	wake_up_all(&stream->wait);
	vfio_stream_drop_buffers(stream);
}

/* Take the turn, provided that the session still exists. */
static int vfio_stream_begin(struct vfio_stream *stream, bool nowait)
{
	struct srcu_ctr __percpu *gate;
	int ret;

	while (!vfio_stream_take_turn(stream)) {
		if (vfio_stream_is_over(stream))
			return -ENODEV;
		if (nowait)
			return -EAGAIN;
		ret = wait_event_interruptible(stream->wait, !READ_ONCE(stream->turn) ||
					       vfio_stream_is_over(stream));
		if (ret)
			return ret;
	}
	ret = vfio_stream_enter(stream, &gate);
	if (ret)
		vfio_stream_give_turn(stream);
	else
		vfio_stream_leave(stream, gate);
	return ret;
}

static bool vfio_stream_nowait(const struct kiocb *iocb)
{
	return iocb->ki_flags & IOCB_NOWAIT || iocb->ki_filp->f_flags & O_NONBLOCK;
}

/*
 * Is there something to read? 1, and a buffer: yes; 0: no, this is the end; -EAGAIN: not known yet.
 * If the device had nothing when it was last checked, it is checked again for a caller with @ask.
 */
static int vfio_stream_look(struct vfio_stream *stream, bool ask, struct vfio_buf **buf)
{
	guard(spinlock)(&stream->lock);
	if (stream->status == VFIO_STREAM_OVER)
		return -ENODEV;
	*buf = list_first_entry_or_null(&stream->full, struct vfio_buf, node);
	if (*buf)
		return 1;
	if (stream->status == VFIO_STREAM_END)
		return 0;
	if (stream->status == VFIO_STREAM_FAILED)
		return stream->error;
	if (!ask)
		return -EAGAIN;
	if (stream->status == VFIO_STREAM_QUIET && stream->asked) {
		stream->asked = false;
		return -ENOMSG;
	}
	stream->asked = true;
	stream->status = VFIO_STREAM_BUSY;
	return -EAGAIN;
}

static bool vfio_stream_is_readable(struct vfio_stream *stream)
{
	guard(spinlock)(&stream->lock);
	return !list_empty(&stream->full) || stream->status > VFIO_STREAM_QUIET ||
	       (stream->status == VFIO_STREAM_QUIET && stream->asked);
}

/* Like vfio_stream_look(), but waits. */
static int vfio_stream_next(struct vfio_stream *stream, bool nowait, bool more,
			    struct vfio_buf **buf)
{
	int ret;

	while ((ret = vfio_stream_look(stream, !more, buf)) == -EAGAIN && !more) {
		ret = vfio_stream_kick(stream);
		if (ret)
			return ret;
		if (nowait)
			return -EAGAIN;
		ret = wait_event_interruptible(stream->wait, vfio_stream_is_readable(stream));
		if (ret)
			return ret;
	}
	return ret;
}

static void vfio_stream_took(struct vfio_stream *stream, struct vfio_buf *buf, size_t n)
{
	bool kick = false;

	scoped_guard(spinlock, &stream->lock) {
		stream->taken += n;
		stream->pos += n;
		if (stream->pos == buf->len) {
			stream->pos = 0;
			list_move_tail(&buf->node, &stream->empty);
			kick = stream->status == VFIO_STREAM_BUSY;
		}
	}
	if (kick)
		vfio_stream_kick(stream);
}

static ssize_t vfio_stream_read(struct kiocb *iocb, struct iov_iter *to)
{
	struct vfio_stream *stream = iocb->ki_filp->private_data;
	bool nowait = vfio_stream_nowait(iocb);
	struct vfio_buf *buf;
	size_t done = 0, n;
	int ret;

	ret = vfio_stream_begin(stream, nowait);
	if (ret)
		return ret;
	while (iov_iter_count(to)) {
		ret = vfio_stream_next(stream, nowait, done, &buf);
		if (ret <= 0)
			break;
		n = copy_to_iter(buf->bytes + stream->pos,
				 min(buf->len - stream->pos, iov_iter_count(to)), to);
		ret = n ? 0 : -EFAULT;
		if (ret)
			break;
		vfio_stream_took(stream, buf, n);
		done += n;
	}
	vfio_stream_give_turn(stream);
	return done ?: ret;
}

/* May the next byte be accepted? -EAGAIN while the device is loading the last record. */
static int vfio_stream_accepts(struct vfio_stream *stream)
{
	struct srcu_ctr __percpu *gate;
	int ret = vfio_stream_enter(stream, &gate);

	if (ret)
		return ret;
	scoped_guard(spinlock, &stream->lock) {
		if (stream->status == VFIO_STREAM_OVER)
			ret = -ENODEV;
		else if (stream->status == VFIO_STREAM_FAILED)
			ret = stream->error;
		else if (stream->loading)
			ret = -EAGAIN;
	}
	vfio_stream_leave(stream, gate);
	return ret;
}

/* The error of a file that has failed. -EAGAIN would mean that it has not. */
static int vfio_stream_final(int error)
{
	return error == -EAGAIN ? -EIO : error;
}

static void vfio_stream_fail(struct vfio_stream *stream, int error)
{
	scoped_guard(spinlock, &stream->lock) {
		stream->loading = false;
		if (stream->status != VFIO_STREAM_OVER)
			stream->status = VFIO_STREAM_FAILED;
		stream->error = vfio_stream_final(error);
	}
	wake_up_all(&stream->wait);
}

static int vfio_stream_check(struct vfio_stream *stream, u32 tag, u32 flags, u64 size)
{
	struct vfio_device *vdev = stream->vdev;
	struct srcu_ctr __percpu *gate;
	int ret = vfio_stream_enter(stream, &gate);

	if (ret)
		return ret;
	ret = vdev->ops->stream_check(vdev, &stream->order, tag, flags, size);
	vfio_stream_leave(stream, gate);
	return ret;
}

/* The header of a record is complete: if the device accepts it, make room for the rest. */
static int vfio_stream_header(struct vfio_stream *stream)
{
	struct vfio_record *record = (void *)stream->in->bytes;
	u64 size = le64_to_cpu(record->size);
	struct vfio_buf *in;
	int ret;

	ret = vfio_stream_check(stream, le32_to_cpu(record->tag), le32_to_cpu(record->flags), size);
	if (ret)
		return ret;
	stream->want += size;
	if (size <= stream->in->room)
		return 0;
	in = vfio_buf_alloc(size);
	if (!in)
		return -ENOMEM;
	memcpy(in->bytes, record, sizeof(*record));
	vfio_buf_free(stream->in);
	stream->in = in;
	return 0;
}

/* @want is reached: by the header, or by the whole record, whose last byte is then held back. */
static int vfio_stream_got(struct vfio_stream *stream)
{
	int ret;

	if (stream->got == sizeof(struct vfio_record)) {
		ret = vfio_stream_header(stream);
		if (ret || stream->got < stream->want)
			return ret;
	}
	stream->held = true;
	scoped_guard(spinlock, &stream->lock)
		stream->loading = true;
	return vfio_stream_kick(stream);
}

/* The device has accepted the record: its last byte counts as written, and a new record begins. */
static void vfio_stream_acknowledge(struct vfio_stream *stream)
{
	stream->held = false;
	stream->want = sizeof(struct vfio_record);
	WRITE_ONCE(stream->got, 0);
}

static ssize_t vfio_stream_write(struct kiocb *iocb, struct iov_iter *from)
{
	struct vfio_stream *stream = iocb->ki_filp->private_data;
	bool nowait = vfio_stream_nowait(iocb);
	size_t done = 0, n;
	int ret;

	ret = vfio_stream_begin(stream, nowait);
	if (ret)
		return ret;
	while (iov_iter_count(from)) {
		ret = vfio_stream_accepts(stream);
		if (ret == -EAGAIN && !nowait) {
			ret = wait_event_interruptible(stream->wait, !READ_ONCE(stream->loading) ||
						       vfio_stream_is_over(stream));
			if (ret)
				break;
			continue;
		}
		if (ret) {
			/* A write that began well must not hide that the stream was refused. */
			if (ret != -EAGAIN)
				done = 0;
			break;
		}
		if (stream->held) {
			iov_iter_advance(from, 1);
			done++;
			vfio_stream_acknowledge(stream);
			continue;
		}
		n = copy_from_iter(stream->in->bytes + stream->got,
				   min(stream->want - stream->got, iov_iter_count(from)), from);
		ret = n ? 0 : -EFAULT;
		if (ret)
			break;
		WRITE_ONCE(stream->got, stream->got + n);
		done += n;
		if (stream->got < stream->want)
			continue;
		ret = vfio_stream_got(stream);
		if (ret) {
			vfio_stream_fail(stream, ret);
			done = 0;
			break;
		}
		if (stream->held) {
			iov_iter_revert(from, 1);
			done--;
		}
	}
	vfio_stream_give_turn(stream);
	return done ?: ret;
}

static __poll_t vfio_stream_poll(struct file *filp, poll_table *wait)
{
	struct vfio_stream *stream = filp->private_data;
	__poll_t ready = stream->save ? EPOLLIN | EPOLLRDNORM : EPOLLOUT | EPOLLWRNORM, mask = 0;
	bool kick = false;

	poll_wait(filp, &stream->wait, wait);
	scoped_guard(spinlock, &stream->lock) {
		switch (stream->status) {
		case VFIO_STREAM_OVER:
			return ready | EPOLLERR | EPOLLHUP;
		case VFIO_STREAM_FAILED:
			return ready | EPOLLERR;
		case VFIO_STREAM_END:
			mask = ready;
			break;
		case VFIO_STREAM_QUIET:
		case VFIO_STREAM_BUSY:
			if (stream->save ? !list_empty(&stream->full) : !stream->loading)
				mask = ready;
			else if (stream->status == VFIO_STREAM_QUIET && stream->asked)
				mask = ready;
			else if (stream->status == VFIO_STREAM_QUIET)
				kick = true;
		}
		if (stream->turn)
			mask = 0;
		if (kick)
			stream->status = VFIO_STREAM_BUSY;
	}
	if (kick && vfio_stream_kick(stream))
		return ready | EPOLLERR | EPOLLHUP;
	return mask;
}

static int vfio_stream_precopy_info(struct vfio_stream *stream, struct vfio_precopy_info *info)
{
	struct vfio_device *vdev = stream->vdev;
	struct srcu_ctr __percpu *gate;
	int ret = vfio_stream_enter(stream, &gate);

	if (ret)
		return ret;
	ret = vdev->ops->precopy_info(vdev, stream, info);
	vfio_stream_leave(stream, gate);
	return ret;
}

static long vfio_stream_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	struct vfio_precopy_info info = {}, __user *uinfo = (void __user *)arg;
	int ret;

	if (cmd != VFIO_MIG_GET_PRECOPY_INFO)
		return -ENOTTY;
	if (get_user(info.argsz, &uinfo->argsz))
		return -EFAULT;
	if (info.argsz < sizeof(info))
		return -EINVAL;
	ret = vfio_stream_precopy_info(filp->private_data, &info);
	if (ret)
		return ret;
	return copy_to_user(uinfo, &info, sizeof(info)) ? -EFAULT : 0;
}

static int vfio_stream_release(struct inode *inode, struct file *filp)
{
	struct vfio_stream *stream = filp->private_data;

	kref_put(&stream->ref, vfio_stream_free);
	return 0;
}

static const struct file_operations vfio_stream_fops = {
	.owner = THIS_MODULE,
	.release = vfio_stream_release,
	.read_iter = vfio_stream_read,
	.write_iter = vfio_stream_write,
	.poll = vfio_stream_poll,
	.unlocked_ioctl = vfio_stream_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static int vfio_stream_buffers(struct vfio_stream *stream, size_t room)
{
	struct vfio_buf *buf;
	int i;

	if (!stream->save) {
		stream->in = vfio_buf_alloc(room);
		return stream->in ? 0 : -ENOMEM;
	}
	for (i = 0; i < VFIO_STREAM_BUFS; i++) {
		buf = vfio_buf_alloc(room);
		if (!buf)
			return -ENOMEM;
		list_add(&buf->node, &stream->empty);
	}
	return 0;
}

static int vfio_stream_open(struct vfio_stream *stream, struct vfio_cmd *cmd)
{
	struct file *filp;
	int fd;

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	filp = anon_inode_getfile("[vfio-migration]", &vfio_stream_fops, stream,
				  stream->save ? O_RDONLY : O_WRONLY);
	if (IS_ERR(filp)) {
		put_unused_fd(fd);
		return PTR_ERR(filp);
	}
	stream_open(file_inode(filp), filp);
	filp->f_mode |= FMODE_NOWAIT;
	cmd->new_file = filp;
	cmd->new_fd = fd;
	return 0;
}

/**
 * vfio_stream_new - make a data file
 * @cmd: the call that returns the file; its new_fd becomes a file descriptor if the call succeeds
 * @save: the file is for reading
 * @room: for reading, the maximum size of a record in bytes; for writing, enough for most records
 *
 * Context: inside the gate
 * Return: the stream, valid until vfio_stream_end(); or an ERR_PTR: -ENOMEM, -EMFILE
 */
struct vfio_stream *vfio_stream_new(struct vfio_cmd *cmd, bool save, size_t room)
{
	struct vfio_device *vdev = cmd->vdev;
	struct vfio_stream *stream;
	int ret;

	stream = kzalloc_obj(*stream, GFP_KERNEL_ACCOUNT);
	if (!stream)
		return ERR_PTR(-ENOMEM);
	kref_init(&stream->ref);
	vfio_device_get(vdev);
	stream->vdev = vdev;
	stream->session = vdev->session;
	stream->save = save;
	init_waitqueue_head(&stream->wait);
	spin_lock_init(&stream->lock);
	INIT_LIST_HEAD(&stream->empty);
	INIT_LIST_HEAD(&stream->full);
	stream->want = sizeof(struct vfio_record);
	ret = vfio_stream_buffers(stream, room) ?: vfio_stream_open(stream, cmd);
	if (ret) {
		kref_put(&stream->ref, vfio_stream_free);
		return ERR_PTR(ret);
	}
	/* For the file */
	kref_get(&stream->ref);
	WRITE_ONCE(vdev->streamed, true);
	return stream;
}
EXPORT_SYMBOL_GPL(vfio_stream_new);

/**
 * vfio_stream_end - the state that a data file belongs to is left: the file is dead from now on
 * @stream: must not be used any more
 */
void vfio_stream_end(struct vfio_stream *stream)
{
	vfio_stream_say(stream, VFIO_STREAM_OVER, 0);
	vfio_stream_drop_buffers(stream);
	kref_put(&stream->ref, vfio_stream_free);
}
EXPORT_SYMBOL_GPL(vfio_stream_end);

/**
 * vfio_stream_empty - get a buffer that can be filled
 * @stream: for reading
 *
 * Return: a buffer, always the same one until vfio_stream_push(); NULL if the user has to read
 * first, after which ops->stream_kick() is called
 */
struct vfio_buf *vfio_stream_empty(struct vfio_stream *stream)
{
	guard(spinlock)(&stream->lock);
	return list_first_entry_or_null(&stream->empty, struct vfio_buf, node);
}
EXPORT_SYMBOL_GPL(vfio_stream_empty);

/**
 * vfio_stream_push - queue a record to be read
 * @stream: for reading
 * @buf: from vfio_stream_empty()
 * @tag: tag of the record
 * @len: bytes at vfio_buf_data()
 */
void vfio_stream_push(struct vfio_stream *stream, struct vfio_buf *buf, u32 tag, size_t len)
{
	struct vfio_record *record = (void *)buf->bytes;

	record->size = cpu_to_le64(len);
	record->flags = 0;
	record->tag = cpu_to_le32(tag);
	scoped_guard(spinlock, &stream->lock) {
		buf->len = sizeof(*record) + len;
		stream->pushed += buf->len;
		stream->asked = false;
		list_move_tail(&buf->node, &stream->full);
	}
	wake_up_all(&stream->wait);
}
EXPORT_SYMBOL_GPL(vfio_stream_push);

/**
 * vfio_stream_say - set what the user is told once they have read everything that is queued
 * @stream: for reading, or any stream if @status is OVER
 * @status: the new status
 * @error: the error, if @status is FAILED
 */
void vfio_stream_say(struct vfio_stream *stream, enum vfio_stream_status status, int error)
{
	bool wake;

	scoped_guard(spinlock, &stream->lock) {
		stream->status = status;
		stream->error = vfio_stream_final(error);
		/* Do not wake up a thread that polls: it would find nothing, and ask again. */
		wake = status != VFIO_STREAM_QUIET || stream->asked;
	}
	if (wake)
		wake_up_all(&stream->wait);
}
EXPORT_SYMBOL_GPL(vfio_stream_say);

/**
 * vfio_stream_watched - does somebody wait for more data?
 * @stream: for reading
 *
 * Return: true if so; the device should then be checked again after a while
 */
bool vfio_stream_watched(struct vfio_stream *stream)
{
	return wq_has_sleeper(&stream->wait);
}
EXPORT_SYMBOL_GPL(vfio_stream_watched);

/**
 * vfio_stream_count - tell how much of a stream has been read
 * @stream: for reading
 * @done: bytes that were read
 * @left: bytes that can be read now
 */
void vfio_stream_count(struct vfio_stream *stream, u64 *done, u64 *left)
{
	guard(spinlock)(&stream->lock);
	*done = stream->taken;
	*left = stream->pushed - stream->taken;
}
EXPORT_SYMBOL_GPL(vfio_stream_count);

/**
 * vfio_stream_record - get the record that waits to be loaded
 * @stream: for writing
 * @tag: tag of the record
 * @len: size of its data in bytes
 *
 * Return: the data that follow its header, valid until vfio_stream_loaded(); NULL if no record
 * waits
 */
const void *vfio_stream_record(struct vfio_stream *stream, u32 *tag, size_t *len)
{
	struct vfio_record *record;

	guard(spinlock)(&stream->lock);
	if (!stream->loading)
		return NULL;
	record = (void *)stream->in->bytes;
	*tag = le32_to_cpu(record->tag);
	*len = stream->got - sizeof(*record);
	return vfio_buf_data(stream->in);
}
EXPORT_SYMBOL_GPL(vfio_stream_record);

/**
 * vfio_stream_loaded - the record that was waiting has been loaded or refused
 * @stream: for writing
 * @error: 0 if it was loaded, else the error that all writes return from now on
 */
void vfio_stream_loaded(struct vfio_stream *stream, int error)
{
	if (error)
		return vfio_stream_fail(stream, error);
	scoped_guard(spinlock, &stream->lock)
		stream->loading = false;
	wake_up_all(&stream->wait);
}
EXPORT_SYMBOL_GPL(vfio_stream_loaded);

/**
 * vfio_stream_finish - end a data file that was written: it is dead from now on
 * @stream: for writing; must not be used any more
 * @order: set to the last value from ops->stream_check()
 *
 * Return: 0; the error of a record that was refused; -ENODATA if a record is not whole
 */
int vfio_stream_finish(struct vfio_stream *stream, u32 *order)
{
	int ret = 0;

	scoped_guard(spinlock, &stream->lock) {
		*order = stream->order;
		if (stream->status == VFIO_STREAM_FAILED)
			ret = stream->error;
		else if (stream->loading || READ_ONCE(stream->got))
			ret = -ENODATA;
		stream->status = VFIO_STREAM_OVER;
	}
	vfio_stream_end(stream);
	return ret;
}
EXPORT_SYMBOL_GPL(vfio_stream_finish);
