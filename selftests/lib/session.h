/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The way in: open the device node, bind the file to an iommufd context, attach the device to an
 * I/O address space. In this order, and close() undoes all of it.
 */
#ifndef LIB_SESSION_H
#define LIB_SESSION_H

#include "sysfs.h"
#include "types.h"

/**
 * struct session - one owner of one device
 * @bdf: which device
 * @fd: the open device node
 * @iommufd: the context it is bound to
 * @devid: iommufd's ID of the device
 * @ioas: the address space it is attached to
 */
struct session {
	char bdf[BDF_LEN];
	int fd;
	int iommufd;
	u32 devid;
	u32 ioas;
};

/**
 * vfio_cdev_path() - name of the device node of a PCI device
 * @bdf: the device, bound to vfio-pci
 * @path: filled with "/dev/vfio/devices/vfioN"
 * @len: its size
 *
 * Return: N or negative errno.
 */
int vfio_cdev_path(const char *bdf, char *path, size_t len);

/**
 * vfio_cdev_open() - open the device node; nothing but BIND works on it yet
 * @bdf: the device, bound to vfio-pci
 *
 * Return: fd or negative errno.
 */
int vfio_cdev_open(const char *bdf);

/**
 * vfio_ioctl() - ioctl() with the library's convention for errors
 * @fd: device file
 * @nr: VFIO_DEVICE_*
 * @arg: its structure
 *
 * Return: what the ioctl returned, or negative errno.
 */
int vfio_ioctl(int fd, unsigned long nr, void *arg);

/**
 * vfio_bind() - make the file the owner of the device: VFIO_DEVICE_BIND_IOMMUFD
 * @fd: device file
 * @iommufd: the context
 * @devid: filled with iommufd's id of the device; may be NULL
 *
 * The device is reset and powered. Its registers can be used, but it has no access to memory yet.
 *
 * Return: 0 or negative errno.
 */
int vfio_bind(int fd, int iommufd, u32 *devid);

/**
 * vfio_bind_token() - the same with a VF token
 * @fd: device file
 * @iommufd: the context
 * @token: 16 bytes of a UUID; NULL for vfio_bind()
 * @devid: filled with iommufd's id of the device; may be NULL
 *
 * Return: 0 or negative errno.
 */
int vfio_bind_token(int fd, int iommufd, const void *token, u32 *devid);

/**
 * vfio_set_token() - set the VF token of a physical function: VFIO_DEVICE_FEATURE_PCI_VF_TOKEN
 * @fd: device file of the physical function, bound
 * @token: 16 bytes of a UUID
 *
 * Return: 0 or negative errno.
 */
int vfio_set_token(int fd, const void *token);

/**
 * vfio_feature_set() - VFIO_DEVICE_FEATURE with VFIO_DEVICE_FEATURE_SET
 * @fd: device file, bound
 * @feature: VFIO_DEVICE_FEATURE_*
 * @data: the feature's struct
 * @len: its size
 *
 * Return: 0 or negative errno.
 */
int vfio_feature_set(int fd, u32 feature, const void *data, size_t len);

/**
 * vfio_attach() - attach the device to an IOAS or HWPT, replacing any current one
 * @fd: device file, bound
 * @pt: id of an IOAS or HWPT; the kernel writes back the id of the page table in use
 *
 * Return: 0 or negative errno.
 */
int vfio_attach(int fd, u32 *pt);

/**
 * vfio_detach() - detach the device, which has no access to memory then
 * @fd: device file, bound
 *
 * Return: 0 or negative errno.
 */
int vfio_detach(int fd);

/**
 * vfio_attach_pasid() - attach a PASID of the device to a page table, replacing any current one
 * @fd: device file, bound
 * @pasid: which
 * @pt: id of an IOAS or HWPT
 *
 * Return: 0 or negative errno.
 */
int vfio_attach_pasid(int fd, u32 pasid, u32 pt);

/**
 * vfio_detach_pasid() - detach a PASID, which has no access to memory then
 * @fd: device file, bound
 * @pasid: which
 *
 * Return: 0 or negative errno.
 */
int vfio_detach_pasid(int fd, u32 pasid);

/**
 * session_open() - all of the above for one device, in a context of its own
 * @s: filled in
 * @bdf: the device; taken from another driver if need be
 *
 * Return: 0 or negative errno, with nothing left open.
 */
int session_open(struct session *s, const char *bdf);

/**
 * session_open_token() - the same with a VF token
 * @s: filled in
 * @bdf: the device; taken from another driver if need be
 * @token: 16 bytes of a UUID; NULL for session_open()
 *
 * Return: 0 or negative errno, with nothing left open.
 */
int session_open_token(struct session *s, const char *bdf, const void *token);

/**
 * session_close() - give the device back
 * @s: the session; closing it twice is harmless
 */
void session_close(struct session *s);

#endif
