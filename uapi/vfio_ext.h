/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Additions of this driver to the VFIO ABI. They are optional: a program that
 * only knows <linux/vfio.h> loses nothing that it had before.
 */
#ifndef _UAPI_VFIO_EXT_H
#define _UAPI_VFIO_EXT_H

#include <linux/types.h>
#include <linux/ioctl.h>

/* Size of the text in bytes, including its NUL. */
#define VFIO_LAST_ERROR_LEN	160

/**
 * struct vfio_device_last_error - argument of VFIO_DEVICE_GET_LAST_ERROR
 * @argsz: in: size of the buffer, at least up to @text; text that does not fit
 *	is truncated, and still ends in a NUL. out: size of this structure
 * @flags: out: 0
 * @error: out: the errno that the failed call returned, as a negative number;
 *	0 if no call has failed with an explanation yet
 * @len: out: length of the whole text in bytes, without its NUL; 0 if no call
 *	has failed with an explanation yet
 * @text: out: one sentence in English, for people
 *
 * Explains why the last failed call on this file failed, where errno alone does
 * not. Neither reading the explanation nor a later call that succeeds clears
 * it. The same text is in /proc/PID/fdinfo/FD.
 *
 * Works in every state of the file: before VFIO_DEVICE_BIND_IOMMUFD, so that
 * the failure of that call can be explained, and after the device was taken
 * away.
 *
 * Errors: EFAULT. EINVAL if @argsz ends before @text.
 */
struct vfio_device_last_error {
	__u32	argsz;
	__u32	flags;
	__s32	error;
	__u32	len;
	char	text[VFIO_LAST_ERROR_LEN];
};

/*
 * ';' is VFIO_TYPE, spelled out so that this file works with either vfio.h. A
 * request number has 8 bits. Upstream counts up from VFIO_BASE, 100, and has
 * reached 121 after 14 years; we count down from the other end.
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
 * SET makes this part of a prefetchable BAR write-combined: the CPU may combine
 * and reorder writes to it until a CPU barrier (sfence, dsb st). This applies
 * to all mappings made through this file, earlier and later ones, until the
 * file is closed. Existing mappings of the BARs are removed once, as in a
 * reset. A BAR that has such a part cannot be accessed with read() and write(),
 * and no ioeventfd can write to it.
 *
 * Errors: EINVAL if the part is not all inside a prefetchable BAR that can be
 * mapped, or the MSI-X table is there. EEXIST if some of it is write-combined
 * already. ENOSPC if there are 16 such parts. EBUSY if an ioeventfd writes to
 * the BAR, or something else in the host has mapped it.
 */
struct vfio_device_feature_write_combine {
	__u32	index;
	__u32	flags;
	__u64	offset;
	__u64	length;
};

/* Counts down from the end, since upstream counts up: the number has 16 bits. */
#define VFIO_DEVICE_FEATURE_WRITE_COMBINE	0xffff

#endif /* _UAPI_VFIO_EXT_H */
