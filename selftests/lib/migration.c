// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "migration.h"
#include "session.h"

#define GET VFIO_DEVICE_FEATURE_GET
#define SET VFIO_DEVICE_FEATURE_SET

/* Copies @data back even if the ioctl fails. */
static int feature(int fd, u32 flags, void *data, size_t len)
{
	struct {
		struct vfio_device_feature f;
		u8 data[64];
	} arg = { .f = { .argsz = sizeof(arg.f) + len, .flags = flags } };
	int err;

	if (len)
		memcpy(arg.data, data, len);
	err = vfio_ioctl(fd, VFIO_DEVICE_FEATURE, &arg);
	if (len)
		memcpy(data, arg.data, len);
	return err;
}

int mig_features(int fd, u64 *flags)
{
	struct vfio_device_feature_migration migration = {};
	int err = feature(fd, GET | VFIO_DEVICE_FEATURE_MIGRATION, &migration, sizeof(migration));

	*flags = migration.flags;
	return err;
}

int mig_state(int fd)
{
	struct vfio_device_feature_mig_state state = {};
	int err = feature(fd, GET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &state, sizeof(state));

	return err ?: state.data_fd != -1 ? -EPROTO : (int)state.device_state;
}

int mig_set(int fd, u32 state, int *data_fd)
{
	struct vfio_device_feature_mig_state set = { .device_state = state, .data_fd = -2 };
	int err = feature(fd, SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &set, sizeof(set));

	if (data_fd)
		*data_fd = set.data_fd;
	else if (set.data_fd >= 0)
		close(set.data_fd);
	return err;
}

int mig_size(int fd, u64 *size)
{
	struct vfio_device_feature_mig_data_size answer = {};
	int err = feature(fd, GET | VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, &answer, sizeof(answer));

	*size = answer.stop_copy_length;
	return err;
}

int mig_precopy_info(int data_fd, struct vfio_precopy_info *info)
{
	info->argsz = sizeof(*info);
	return vfio_ioctl(data_fd, VFIO_MIG_GET_PRECOPY_INFO, info);
}

int mig_read(int data_fd, struct mig_data *data)
{
	const size_t step = 1 << 20;
	ssize_t n;

	do {
		data->p = realloc(data->p, data->len + step);
		if (!data->p)
			return -ENOMEM;
		n = read(data_fd, data->p + data->len, step);
		if (n > 0)
			data->len += n;
	} while (n > 0);
	return n ? -errno : 0;
}

int mig_write(int data_fd, const void *p, size_t len, size_t step)
{
	ssize_t n;

	for (; len; p = (const char *)p + n, len -= n) {
		n = write(data_fd, p, step && len > step ? step : len);
		if (n <= 0)
			return n ? -errno : -EPROTO;
	}
	return 0;
}

int log_start(int fd, u64 *page_size, const struct vfio_device_feature_dma_logging_range *ranges,
	      u32 nr)
{
	struct vfio_device_feature_dma_logging_control control = {
		.page_size = *page_size,
		.num_ranges = nr,
		.ranges = (uintptr_t)ranges,
	};
	int err = feature(fd, SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START, &control,
			  sizeof(control));

	*page_size = control.page_size;
	return err;
}

int log_stop(int fd)
{
	return feature(fd, SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, NULL, 0);
}

int log_report(int fd, u64 iova, u64 len, u64 page_size, void *bitmap)
{
	struct vfio_device_feature_dma_logging_report report = {
		.iova = iova,
		.length = len,
		.page_size = page_size,
		.bitmap = (uintptr_t)bitmap,
	};

	return feature(fd, GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, &report, sizeof(report));
}
