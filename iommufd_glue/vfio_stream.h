/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Data files, through which the state of a device is read and written, as a device model sees them:
 * as a queue of records. The front end takes care of user space, and of the framing.
 */
#ifndef VFIO_STREAM_H
#define VFIO_STREAM_H

#include <linux/list.h>
#include <linux/types.h>

struct vfio_cmd;
struct vfio_stream;

/**
 * struct vfio_record - the header of each record of a stream
 * @size: bytes that follow the header
 * @flags: VFIO_RECORD_OPTIONAL or 0
 * @tag: the kind of record, defined by the device
 */
struct vfio_record {
	__le64 size;
	__le32 flags;
	__le32 tag;
};

/* A reader that does not know the tag may skip the record. */
#define VFIO_RECORD_OPTIONAL	BIT(0)

/**
 * struct vfio_buf - a buffer for one record
 * @node: entry in the list of empty or of full buffers; for the front end
 * @len: bytes of @bytes to be read; for the front end
 * @room: bytes that can follow the header
 * @bytes: a struct vfio_record, which the front end writes, and the data that follow it; not part
 *	of this struct, so that a record of 1 MiB with its header takes exactly that
 */
struct vfio_buf {
	struct list_head node;
	size_t len;
	size_t room;
	u8 *bytes;
};

static inline void *vfio_buf_data(struct vfio_buf *buf)
{
	return buf->bytes + sizeof(struct vfio_record);
}

/**
 * enum vfio_stream_status - what a data file does when its queue is empty
 * @VFIO_STREAM_BUSY: callers wait
 * @VFIO_STREAM_QUIET: returns ENOMSG, once ops->stream_kick() was called and still found nothing
 * @VFIO_STREAM_END: returns end of file
 * @VFIO_STREAM_FAILED: returns the error, permanently
 * @VFIO_STREAM_OVER: returns ENODEV: the state that the file belongs to has been left
 */
enum vfio_stream_status {
	VFIO_STREAM_BUSY,
	VFIO_STREAM_QUIET,
	VFIO_STREAM_END,
	VFIO_STREAM_FAILED,
	VFIO_STREAM_OVER,
};

struct vfio_stream *vfio_stream_new(struct vfio_cmd *cmd, bool save, size_t room);
void vfio_stream_end(struct vfio_stream *stream);

/* For a device that saves its state */
struct vfio_buf *vfio_stream_empty(struct vfio_stream *stream);
void vfio_stream_push(struct vfio_stream *stream, struct vfio_buf *buf, u32 tag, size_t len);
void vfio_stream_say(struct vfio_stream *stream, enum vfio_stream_status status, int error);
bool vfio_stream_watched(struct vfio_stream *stream);
void vfio_stream_count(struct vfio_stream *stream, u64 *done, u64 *left);

/* For a device that loads a state */
const void *vfio_stream_record(struct vfio_stream *stream, u32 *tag, size_t *len);
void vfio_stream_loaded(struct vfio_stream *stream, int error);
int vfio_stream_finish(struct vfio_stream *stream, u32 *order);

#endif
