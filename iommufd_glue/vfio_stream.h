/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Data files, by which the state of a device is read and written, as a device model knows them: a
 * queue of records. The front end has all that is user space's, and the framing.
 */
#ifndef VFIO_STREAM_H
#define VFIO_STREAM_H

#include <linux/list.h>
#include <linux/types.h>

struct vfio_cmd;
struct vfio_stream;

/**
 * struct vfio_record - what each record of a stream begins with
 * @size: bytes that follow
 * @flags: VFIO_RECORD_OPTIONAL or 0
 * @tag: what it is, to the device
 */
struct vfio_record {
	__le64 size;
	__le32 flags;
	__le32 tag;
};

/* Who does not know the tag may leave the record out. */
#define VFIO_RECORD_OPTIONAL	BIT(0)

/**
 * struct vfio_buf - room for a record
 * @node: among those that are empty, or full; the front end's
 * @len: bytes of @bytes that are to be read; the front end's
 * @room: bytes that can follow the header
 * @bytes: a struct vfio_record, which the front end writes, and what follows it
 */
struct vfio_buf {
	struct list_head node;
	size_t len;
	size_t room;
	u8 bytes[] __aligned(16);
};

static inline void *vfio_buf_data(struct vfio_buf *buf)
{
	return buf->bytes + sizeof(struct vfio_record);
}

/**
 * enum vfio_stream_status - what a data file says when nothing is in its queue
 * @VFIO_STREAM_BUSY: wait
 * @VFIO_STREAM_QUIET: ENOMSG, after ops->stream_kick() was called and has found nothing again
 * @VFIO_STREAM_END: the end of the file
 * @VFIO_STREAM_FAILED: the error, for good
 * @VFIO_STREAM_OVER: ENODEV: the state that it belongs to has been left
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

/* Those of a device that saves */
struct vfio_buf *vfio_stream_empty(struct vfio_stream *stream);
void vfio_stream_push(struct vfio_stream *stream, struct vfio_buf *buf, u32 tag, size_t len);
void vfio_stream_say(struct vfio_stream *stream, enum vfio_stream_status status, int error);
bool vfio_stream_watched(struct vfio_stream *stream);
void vfio_stream_count(struct vfio_stream *stream, u64 *done, u64 *left);

/* Those of a device that loads */
const void *vfio_stream_record(struct vfio_stream *stream, u32 *tag, size_t *len);
void vfio_stream_loaded(struct vfio_stream *stream, int error);
int vfio_stream_finish(struct vfio_stream *stream, u32 *order);

#endif
