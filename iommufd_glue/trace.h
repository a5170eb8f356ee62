/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints of the front end: the life of a session. There are none where users read, write or
 * fault.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM vfio

#if !defined(VFIO_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define VFIO_TRACE_H

#include <linux/tracepoint.h>

#include "vfio_file.h"

DECLARE_EVENT_CLASS(vfio_device,
	TP_PROTO(struct vfio_device *vdev),
	TP_ARGS(vdev),
	TP_STRUCT__entry(
		__string(dev, dev_name(vdev->device.parent))
	),
	TP_fast_assign(
		__assign_str(dev);
	),
	TP_printk("%s", __get_str(dev))
);

/* The session is over: nothing of the device is attached any more. */
DEFINE_EVENT(vfio_device, vfio_session_end,
	TP_PROTO(struct vfio_device *vdev),
	TP_ARGS(vdev)
);

/* The host wants the device back and asks its owner to release it. */
DEFINE_EVENT(vfio_device, vfio_request,
	TP_PROTO(struct vfio_device *vdev),
	TP_ARGS(vdev)
);

/* The device is taken away from its owner. */
DEFINE_EVENT(vfio_device, vfio_revoke,
	TP_PROTO(struct vfio_device *vdev),
	TP_ARGS(vdev)
);

/* A file has become the device's owner. */
TRACE_EVENT(vfio_bind,
	TP_PROTO(struct vfio_device *vdev, u32 devid),
	TP_ARGS(vdev, devid),
	TP_STRUCT__entry(
		__string(dev, dev_name(vdev->device.parent))
		__field(u32, devid)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->devid = devid;
	),
	TP_printk("%s devid=%u", __get_str(dev), __entry->devid)
);

/* The device, or one of its PASIDs, was attached to a page table. */
TRACE_EVENT(vfio_attach,
	TP_PROTO(struct vfio_device *vdev, u32 pasid, u32 pt_id),
	TP_ARGS(vdev, pasid, pt_id),
	TP_STRUCT__entry(
		__string(dev, dev_name(vdev->device.parent))
		__field(u32, pasid)
		__field(u32, pt_id)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->pasid = pasid;
		__entry->pt_id = pt_id;
	),
	TP_printk("%s pasid=%u pt_id=%u", __get_str(dev), __entry->pasid, __entry->pt_id)
);

/* The user has detached the device, or one of its PASIDs. */
TRACE_EVENT(vfio_detach,
	TP_PROTO(struct vfio_device *vdev, u32 pasid),
	TP_ARGS(vdev, pasid),
	TP_STRUCT__entry(
		__string(dev, dev_name(vdev->device.parent))
		__field(u32, pasid)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->pasid = pasid;
	),
	TP_printk("%s pasid=%u", __get_str(dev), __entry->pasid)
);

/* A call has failed; the text is the explanation that VFIO_DEVICE_GET_LAST_ERROR returns. */
TRACE_EVENT(vfio_error,
	TP_PROTO(struct vfio_device *vdev, int error, const char *text),
	TP_ARGS(vdev, error, text),
	TP_STRUCT__entry(
		__string(dev, dev_name(vdev->device.parent))
		__field(int, error)
		__string(text, text)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->error = error;
		__assign_str(text);
	),
	TP_printk("%s error=%d %s", __get_str(dev), __entry->error, __get_str(text))
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace

#include <trace/define_trace.h>
