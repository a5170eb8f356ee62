// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "iommufd.h"

static int call(int iommufd, unsigned long nr, void *arg)
{
	return ioctl(iommufd, nr, arg) < 0 ? -errno : 0;
}

int iommufd_open(void)
{
	int fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int ioas_alloc(int iommufd, u32 *ioas)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	int err = call(iommufd, IOMMU_IOAS_ALLOC, &cmd);

	*ioas = cmd.out_ioas_id;
	return err;
}

int ioas_map(int iommufd, u32 ioas, void *va, u64 len, u64 iova)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE |
			 IOMMU_IOAS_MAP_READABLE,
		.ioas_id = ioas,
		.user_va = (uintptr_t)va,
		.length = len,
		.iova = iova,
	};

	return call(iommufd, IOMMU_IOAS_MAP, &cmd);
}

int ioas_map_file(int iommufd, u32 ioas, int fd, u64 start, u64 len, u64 iova)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE |
			 IOMMU_IOAS_MAP_READABLE,
		.ioas_id = ioas,
		.fd = fd,
		.start = start,
		.length = len,
		.iova = iova,
	};

	return call(iommufd, IOMMU_IOAS_MAP_FILE, &cmd);
}

int ioas_small_pages(int iommufd, u32 ioas)
{
	struct iommu_option cmd = {
		.size = sizeof(cmd),
		.option_id = IOMMU_OPTION_HUGE_PAGES,
		.op = IOMMU_OPTION_OP_SET,
		.object_id = ioas,
	};

	return call(iommufd, IOMMU_OPTION, &cmd);
}

int ioas_unmap(int iommufd, u32 ioas, u64 iova, u64 len)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas,
		.iova = iova,
		.length = len,
	};

	return call(iommufd, IOMMU_IOAS_UNMAP, &cmd);
}

int hwpt_alloc(int iommufd, u32 devid, u32 ioas, u32 *hwpt)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.dev_id = devid,
		.pt_id = ioas,
	};
	int err = call(iommufd, IOMMU_HWPT_ALLOC, &cmd);

	*hwpt = cmd.out_hwpt_id;
	return err;
}

int hwpt_alloc_raw(int iommufd, struct iommu_hwpt_alloc *cmd)
{
	cmd->size = sizeof(*cmd);
	return call(iommufd, IOMMU_HWPT_ALLOC, cmd);
}

int hwpt_set_dirty_tracking(int iommufd, u32 hwpt, bool on)
{
	struct iommu_hwpt_set_dirty_tracking cmd = {
		.size = sizeof(cmd),
		.flags = on ? IOMMU_HWPT_DIRTY_TRACKING_ENABLE : 0,
		.hwpt_id = hwpt,
	};

	return call(iommufd, IOMMU_HWPT_SET_DIRTY_TRACKING, &cmd);
}

int hwpt_get_dirty_bitmap(int iommufd, u32 hwpt, u32 flags, u64 iova, u64 len, u64 page,
			  u64 *bitmap)
{
	struct iommu_hwpt_get_dirty_bitmap cmd = {
		.size = sizeof(cmd),
		.hwpt_id = hwpt,
		.flags = flags,
		.iova = iova,
		.length = len,
		.page_size = page,
		.data = (uintptr_t)bitmap,
	};

	return call(iommufd, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd);
}

int hw_info(int iommufd, u32 devid, struct iommu_hw_info *info, void *data, u32 len)
{
	*info = (struct iommu_hw_info){
		.size = sizeof(*info),
		.dev_id = devid,
		.data_len = len,
		.data_uptr = (uintptr_t)data,
	};
	return call(iommufd, IOMMU_GET_HW_INFO, info);
}

int hwpt_invalidate(int iommufd, u32 id, u32 type, const void *cmds, u32 len, u32 *count)
{
	struct iommu_hwpt_invalidate cmd = {
		.size = sizeof(cmd),
		.hwpt_id = id,
		.data_uptr = (uintptr_t)cmds,
		.data_type = type,
		.entry_len = len,
		.entry_num = *count,
	};
	int err = call(iommufd, IOMMU_HWPT_INVALIDATE, &cmd);

	*count = cmd.entry_num;
	return err;
}

int viommu_alloc(int iommufd, u32 type, u32 devid, u32 parent, u32 *viommu)
{
	struct iommu_viommu_alloc cmd = {
		.size = sizeof(cmd),
		.type = type,
		.dev_id = devid,
		.hwpt_id = parent,
	};
	int err = call(iommufd, IOMMU_VIOMMU_ALLOC, &cmd);

	*viommu = cmd.out_viommu_id;
	return err;
}

int vdevice_alloc(int iommufd, u32 viommu, u32 devid, u64 virt_id, u32 *vdevice)
{
	struct iommu_vdevice_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = viommu,
		.dev_id = devid,
		.virt_id = virt_id,
	};
	int err = call(iommufd, IOMMU_VDEVICE_ALLOC, &cmd);

	*vdevice = cmd.out_vdevice_id;
	return err;
}

int veventq_alloc(int iommufd, u32 viommu, u32 type, u32 depth, u32 *veventq)
{
	struct iommu_veventq_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = viommu,
		.type = type,
		.veventq_depth = depth,
	};
	int err = call(iommufd, IOMMU_VEVENTQ_ALLOC, &cmd);

	*veventq = cmd.out_veventq_id;
	return err ?: (int)cmd.out_veventq_fd;
}

int fault_queue_alloc(int iommufd, u32 *fault)
{
	struct iommu_fault_alloc cmd = { .size = sizeof(cmd) };
	int err = call(iommufd, IOMMU_FAULT_QUEUE_ALLOC, &cmd);

	*fault = cmd.out_fault_id;
	return err ?: (int)cmd.out_fault_fd;
}

int iommufd_destroy(int iommufd, u32 id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	return call(iommufd, IOMMU_DESTROY, &cmd);
}

void *dma_alloc(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED) {
		perror("dma_alloc");
		exit(1);
	}
	return p;
}
