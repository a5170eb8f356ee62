// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "dmabuf.h"
#include "session.h"

int dmabuf_export_raw(int fd, u32 argsz, const struct vfio_device_feature_dma_buf *get,
		      const struct vfio_region_dma_range *ranges)
{
	size_t n = get->nr_ranges < DMABUF_MAX_RANGES ? get->nr_ranges : DMABUF_MAX_RANGES;
	size_t len = n * sizeof(*ranges), size;
	struct vfio_device_feature *feature;
	struct vfio_device_feature_dma_buf *arg;
	int ret;

	size = sizeof(*feature) + sizeof(*arg) + len;
	feature = calloc(1, size);
	if (!feature)
		return -ENOMEM;
	feature->argsz = argsz ? argsz : size;
	feature->flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF;
	arg = (void *)feature->data;
	*arg = *get;
	memcpy(arg->dma_ranges, ranges, len);
	ret = vfio_ioctl(fd, VFIO_DEVICE_FEATURE, feature);
	free(feature);
	return ret;
}

int dmabuf_export(int fd, u32 index, u64 off, u64 len)
{
	const struct vfio_region_dma_range range = { .offset = off, .length = len };
	const struct vfio_device_feature_dma_buf get = {
		.region_index = index,
		.open_flags = O_RDWR | O_CLOEXEC,
		.nr_ranges = 1,
	};

	return dmabuf_export_raw(fd, 0, &get, &range);
}
