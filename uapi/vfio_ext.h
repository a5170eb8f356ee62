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

/**
 * struct vfio_device_feature_write_combine - data of
 * VFIO_DEVICE_FEATURE_WRITE_COMBINE
 * @index: in: VFIO_PCI_BAR0_REGION_INDEX to VFIO_PCI_BAR5_REGION_INDEX
 * @flags: in: 0
 * @offset: in: where in the BAR; a multiple of the page size
 * @length: in: bytes; a multiple of the page size
 *
 * A SET has this part of a prefetchable BAR write-combined: the CPU may collect
 * writes to it, and send them together and in another order, until a barrier of
 * the CPU (sfence, dsb st). It holds for whoever maps it with this file, before
 * or after, until the file is closed. What was mapped of the BARs goes once, as
 * in a reset. A BAR that has such a part cannot be read or written by read() and
 * write(), and no ioeventfd can write to it.
 *
 * Errors: EINVAL when it is not all inside of a prefetchable BAR that can be
 * mapped, or the MSI-X table is there. EEXIST when a part of it is
 * write-combined already. ENOSPC when there are 16 such parts. EBUSY when an
 * ioeventfd writes to the BAR, or something else in the host has mapped it.
 */
struct vfio_device_feature_write_combine {
	__u32	index;
	__u32	flags;
	__u64	offset;
	__u64	length;
};

/* Counts down from the end, as upstream counts up: there are 16 bits of it. */
#define VFIO_DEVICE_FEATURE_WRITE_COMBINE	0xffff

#endif /* _UAPI_VFIO_EXT_H */
