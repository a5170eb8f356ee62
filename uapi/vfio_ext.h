/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * What this driver adds to the VFIO ABI. Nobody has to use it: a program that
 * knows <linux/vfio.h> alone misses nothing that it could have had before.
 */
#ifndef _UAPI_VFIO_EXT_H
#define _UAPI_VFIO_EXT_H

#include <linux/types.h>
#include <linux/ioctl.h>

/* Bytes of the text, its NUL included. */
#define VFIO_LAST_ERROR_LEN	160

/**
 * struct vfio_device_last_error - argument of VFIO_DEVICE_GET_LAST_ERROR
 * @argsz: in: size of the buffer, at least up to @text; what does not fit of
 *	the text is cut off, and the rest ends in a NUL. out: size of this
 *	structure
 * @flags: out: 0
 * @error: out: the errno that the failing call returned, as a negative number;
 *	0 when no call has failed with a reason yet
 * @len: out: length of the whole text in bytes, without its NUL; 0 when no call
 *	has failed with a reason yet
 * @text: out: one sentence in English, for people
 *
 * Tells why the last failed call on this file failed, where errno alone cannot.
 * Reading it does not clear it, and neither does a later call that succeeds.
 * The same text stands in /proc/PID/fdinfo/FD.
 *
 * Works in every state of the file: before VFIO_DEVICE_BIND_IOMMUFD, so that its
 * failure can be explained, and after the device was taken away.
 *
 * Errors: EFAULT. EINVAL when @argsz ends before @text.
 */
struct vfio_device_last_error {
	__u32	argsz;
	__u32	flags;
	__s32	error;
	__u32	len;
	char	text[VFIO_LAST_ERROR_LEN];
};

/*
 * ';' is VFIO_TYPE, said in full so that this file goes with either vfio.h. A
 * request number has 8 bits. Upstream counts up from VFIO_BASE, 100, and stands
 * at 121 after 14 years; we count down from the other end.
 */
#define VFIO_DEVICE_GET_LAST_ERROR	_IO(';', 255)

#endif /* _UAPI_VFIO_EXT_H */
