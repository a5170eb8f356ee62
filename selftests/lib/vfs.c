// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>

#include "vfs.h"

void vfs_init(struct vfs *v)
{
	int i;

	memset(v, 0, sizeof(*v));
	v->pf.fd = -1;
	v->pf.iommufd = -1;
	for (i = 0; i < VFS_MAX; i++)
		v->vf[i] = v->pf;
}

int vfs_make(struct vfs *v, int count)
{
	char total[16];
	int err, i;

	err = sysfs_read(total, sizeof(total), "/sys/bus/pci/devices/%s/sriov_totalvfs", v->pf_bdf);
	if (err < 0)
		return err;
	err = v->count ? sysfs_set_vfs(v->pf_bdf, 0) : 0;
	if (err)
		return err;
	v->count = atoi(total) < count ? atoi(total) : count;
	err = sysfs_set_vfs(v->pf_bdf, v->count);
	for (i = 0; i < v->count && !err; i++)
		err = sysfs_vf(v->pf_bdf, i, v->bdf[i]);
	return err;
}

int vfs_open(struct vfs *v, const char *pf_bdf, const void *token, int count)
{
	int err;

	v->pf_bdf = pf_bdf;
	err = sysfs_read(v->was, sizeof(v->was), ENABLE_SRIOV);
	if (err < 0)
		return err;
	err = sysfs_write("1", ENABLE_SRIOV);
	if (!err)
		err = session_open_token(&v->pf, pf_bdf, token);
	return err ?: vfs_make(v, count);
}

void vfs_close(struct vfs *v)
{
	int i;

	for (i = 0; i < VFS_MAX; i++)
		session_close(&v->vf[i]);
	session_close(&v->pf);
	if (!v->pf_bdf)
		return;
	sysfs_rebind(v->pf_bdf);
	sysfs_write("1", ENABLE_SRIOV);
	sysfs_set_vfs(v->pf_bdf, 0);
	sysfs_write(v->was, ENABLE_SRIOV);
}
