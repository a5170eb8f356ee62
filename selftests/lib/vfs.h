/* SPDX-License-Identifier: GPL-2.0-only */
/* A physical function (PF) with a user, and its virtual functions (VF). */
#ifndef LIB_VFS_H
#define LIB_VFS_H

#include "session.h"

#define ENABLE_SRIOV "/sys/module/vfio_pci/parameters/enable_sriov"

/* As many as igb has, whose capability says 8 */
#define VFS_MAX 7

/**
 * struct vfs - a PF and its VFs
 * @pf_bdf: the PF, NULL for none
 * @bdf: the VFs
 * @count: how many
 * @was: what enable_sriov was before
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
 * vfs_init() - a state that vfs_close() can take
 * @v: filled in
 */
void vfs_init(struct vfs *v);

/**
 * vfs_open() - become the user of the PF, and make some VFs
 * @v: from vfs_init()
 * @pf_bdf: the PF, bound to vfio-pci
 * @token: 16 bytes of a UUID, that the PF's user shows
 * @count: how many. Each takes its time to come and to go: two do where the number does not matter.
 *
 * Return: 0 or negative errno; either way vfs_close() is due.
 */
int vfs_open(struct vfs *v, const char *pf_bdf, const void *token, int count);

/**
 * vfs_make() - make VFs, in the place of those there are
 * @v: the functions, no VF in use
 * @count: how many; if that is more than there can be, all
 *
 * Return: 0 or negative errno.
 */
int vfs_make(struct vfs *v, int count);

/**
 * vfs_close() - end all sessions, give the PF back to vfio-pci and take its VFs away
 * @v: the functions
 */
void vfs_close(struct vfs *v);

#endif
