// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "iommufd.h"
#include "session.h"

int vfio_cdev_path(const char *bdf, char *path, size_t len)
{
	char dirname[PATH_MAX];
	struct dirent *ent;
	int n = -ENODEV;
	DIR *dir;

	snprintf(dirname, sizeof(dirname), "/sys/bus/pci/devices/%s/vfio-dev", bdf);
	dir = opendir(dirname);
	if (!dir)
		return -errno;
	while ((ent = readdir(dir))) {
		if (strncmp(ent->d_name, "vfio", 4))
			continue;
		n = atoi(ent->d_name + 4);
		snprintf(path, len, "/dev/vfio/devices/%s", ent->d_name);
	}
	closedir(dir);
	return n;
}

int vfio_cdev_open(const char *bdf)
{
	char path[PATH_MAX];
	int fd = vfio_cdev_path(bdf, path, sizeof(path));

	if (fd < 0)
		return fd;
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int vfio_ioctl(int fd, unsigned long nr, void *arg)
{
	int ret = ioctl(fd, nr, arg);

	return ret < 0 ? -errno : ret;
}

int vfio_bind_token(int fd, int iommufd, const void *token, u32 *devid)
{
	struct vfio_device_bind_iommufd cmd = {
		.argsz = sizeof(cmd),
		.flags = token ? VFIO_DEVICE_BIND_FLAG_TOKEN : 0,
		.iommufd = iommufd,
		.token_uuid_ptr = (uintptr_t)token,
	};
	int err = vfio_ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &cmd);

	if (devid)
		*devid = cmd.out_devid;
	return err;
}

int vfio_bind(int fd, int iommufd, u32 *devid)
{
	return vfio_bind_token(fd, iommufd, NULL, devid);
}

int vfio_feature_set(int fd, u32 feature, const void *data, size_t len)
{
	struct vfio_device_feature *f = calloc(1, sizeof(*f) + len);
	int err;

	if (!f)
		return -ENOMEM;
	f->argsz = sizeof(*f) + len;
	f->flags = VFIO_DEVICE_FEATURE_SET | feature;
	if (len)
		memcpy(f->data, data, len);
	err = vfio_ioctl(fd, VFIO_DEVICE_FEATURE, f);
	free(f);
	return err;
}

int vfio_set_token(int fd, const void *token)
{
	return vfio_feature_set(fd, VFIO_DEVICE_FEATURE_PCI_VF_TOKEN, token, 16);
}

int vfio_attach(int fd, u32 *pt)
{
	struct vfio_device_attach_iommufd_pt cmd = { .argsz = sizeof(cmd), .pt_id = *pt };
	int err = vfio_ioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);

	*pt = cmd.pt_id;
	return err;
}

int vfio_detach(int fd)
{
	struct vfio_device_detach_iommufd_pt cmd = { .argsz = sizeof(cmd) };

	return vfio_ioctl(fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd);
}

int vfio_attach_pasid(int fd, u32 pasid, u32 pt)
{
	struct vfio_device_attach_iommufd_pt cmd = {
		.argsz = sizeof(cmd),
		.flags = VFIO_DEVICE_ATTACH_PASID,
		.pt_id = pt,
		.pasid = pasid,
	};

	return vfio_ioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);
}

int vfio_detach_pasid(int fd, u32 pasid)
{
	struct vfio_device_detach_iommufd_pt cmd = {
		.argsz = sizeof(cmd),
		.flags = VFIO_DEVICE_DETACH_PASID,
		.pasid = pasid,
	};

	return vfio_ioctl(fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd);
}

int session_open(struct session *s, const char *bdf)
{
	return session_open_token(s, bdf, NULL);
}

int session_open_token(struct session *s, const char *bdf, const void *token)
{
	u32 pt;
	int err;

	*s = (struct session){ .fd = -1, .iommufd = -1 };
	snprintf(s->bdf, sizeof(s->bdf), "%s", bdf);

	err = sysfs_bind(bdf);
	if (err)
		goto err_close;
	s->fd = vfio_cdev_open(bdf);
	err = s->fd;
	if (err < 0)
		goto err_close;
	s->iommufd = iommufd_open();
	err = s->iommufd;
	if (err < 0)
		goto err_close;
	err = vfio_bind_token(s->fd, s->iommufd, token, &s->devid);
	if (err)
		goto err_close;
	err = ioas_alloc(s->iommufd, &s->ioas);
	if (err)
		goto err_close;
	pt = s->ioas;
	err = vfio_attach(s->fd, &pt);
	if (err)
		goto err_close;
	return 0;

err_close:
	session_close(s);
	return err;
}

void session_close(struct session *s)
{
	if (s->fd >= 0)
		close(s->fd);
	if (s->iommufd >= 0)
		close(s->iommufd);
	s->fd = -1;
	s->iommufd = -1;
}
