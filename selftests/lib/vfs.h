/* SPDX-License-Identifier: GPL-2.0-only */
/* A physical function (PF) with a user, and its virtual functions (VF). */
#ifndef LIB_VFS_H
#define LIB_VFS_H

#include "session.h"

#define ENABLE_SRIOV "/sys/module/vfio_pci/parameters/enable_sriov"

/* The maximum of igb, although its capability says 8 */
#define VFS_MAX 7

/**
 * struct vfs - a PF and its VFs
 * @pf_bdf: the PF, NULL for none
 * @bdf: the VFs
 * @count: how many
 * @was: the previous value of enable_sriov
 * @pf: session on the PF
 * @vf: sessions on VFs, closed at first
 */
struct vfs {
	const char *pf_bdf;
	char bdf[VFS_MAX][BDF_LEN];
	int count;
	char was[8];
	struct session pf;
	struct session vf[VFS_MAX];
};

/**
 * vfs_init() - initialize for vfs_close()
 * @v: filled in
 */
void vfs_init(struct vfs *v);

/**
 * vfs_open() - become the user of the PF, and create some VFs
 * @v: from vfs_init()
 * @pf_bdf: the PF, bound to vfio-pci
 * @token: 16 bytes of a UUID, passed by the PF's user
 * @count: how many. Each one takes time to create and to remove, so use two if it does not matter.
 *
 * Return: 0 or negative errno; in either case, call vfs_close().
 */
int vfs_open(struct vfs *v, const char *pf_bdf, const void *token, int count);

/**
 * vfs_make() - create VFs, replacing any existing ones
 * @v: the functions, no VF in use
 * @count: how many; limited to the maximum
 *
 * Return: 0 or negative errno.
 */
int vfs_make(struct vfs *v, int count);

/**
 * vfs_close() - end all sessions, bind the PF to vfio-pci again, and remove its VFs
 * @v: the functions
 */
void vfs_close(struct vfs *v);

#endif
