// SPDX-License-Identifier: GPL-2.0-only
/* A device is opened, as its user would, to see what there is for them. */
#include <errno.h>
#include <fcntl.h>
#include <linux/iommufd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "session.h"
#include "uapi/vfio.h"
#include "uapi/vfio_ext.h"

/* struct iommu_hw_info, in which headers before 6.15 do not have the number of PASIDs */
struct hw_info {
	uint32_t size;
	uint32_t flags;
	uint32_t dev_id;
	uint32_t data_len;
	uint64_t data;
	uint32_t data_type;
	uint8_t pasid_bits;
	uint8_t reserved[3];
	uint64_t capabilities;
};

/* Why a call has failed: the driver's own words, if it is ours. */
static char *why(int device, int error)
{
	struct vfio_device_last_error last = { .argsz = sizeof(last) };

	if (device >= 0 && !ioctl(device, VFIO_DEVICE_GET_LAST_ERROR, &last) && last.error)
		return format("%s: %.*s", strerror(error), VFIO_LAST_ERROR_LEN, last.text);
	return xstrdup(strerror(error));
}

/**
 * session_open - open a device
 * @s: the session, of NO_SESSION
 * @f: the device, which has a node
 * @problem: takes why it cannot be opened, which the caller frees
 *
 * Return: whether it is open
 */
bool session_open(struct session *s, const struct function *f, char **problem)
{
	char *path __free_string = format("/dev/vfio/devices/%s", f->node);
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };

	s->iommu = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (s->iommu < 0) {
		*problem = format("/dev/iommu: %s", strerror(errno));
		return false;
	}
	s->device = open(path, O_RDWR | O_CLOEXEC);
	if (s->device < 0) {
		*problem = format("%s: %s", path, strerror(errno));
		return false;
	}
	bind.iommufd = s->iommu;
	if (ioctl(s->device, VFIO_DEVICE_BIND_IOMMUFD, &bind)) {
		*problem = why(s->device, errno);
		return false;
	}
	s->devid = bind.out_devid;
	return true;
}

/**
 * session_close - close it again, whether or not it could be opened
 * @s: the session
 */
void session_close(struct session *s)
{
	if (s->device >= 0)
		close(s->device);
	if (s->iommu >= 0)
		close(s->iommu);
}

/**
 * session_probe - is there such a feature?
 * @s: the session
 * @feature: its number
 *
 * Return: whether there is
 */
bool session_probe(const struct session *s, uint32_t feature)
{
	struct vfio_device_feature probe = {
		.argsz = sizeof(probe),
		.flags = feature | VFIO_DEVICE_FEATURE_PROBE,
	};

	return !ioctl(s->device, VFIO_DEVICE_FEATURE, &probe);
}

/**
 * session_get - what a feature has to tell
 * @s: the session
 * @feature: its number
 * @data: takes it
 * @size: how much that is, not more than 64 bytes
 *
 * Return: 0 or a negative errno
 */
int session_get(const struct session *s, uint32_t feature, void *data, uint32_t size)
{
	union {
		struct vfio_device_feature feature;
		char room[sizeof(struct vfio_device_feature) + 64];
	} get = {};

	get.feature.argsz = sizeof(get.feature) + size;
	get.feature.flags = feature | VFIO_DEVICE_FEATURE_GET;
	if (ioctl(s->device, VFIO_DEVICE_FEATURE, &get))
		return -errno;
	memcpy(data, get.feature.data, size);
	return 0;
}

/**
 * session_flags - VFIO_DEVICE_GET_INFO
 * @s: the session
 * @regions: takes the number of regions
 * @irqs: takes the number of kinds of interrupts
 *
 * Return: the flags
 */
uint32_t session_flags(const struct session *s, uint32_t *regions, uint32_t *irqs)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };

	if (ioctl(s->device, VFIO_DEVICE_GET_INFO, &info))
		info = (struct vfio_device_info){};
	*regions = info.num_regions;
	*irqs = info.num_irqs;
	return info.flags;
}

/**
 * session_region - VFIO_DEVICE_GET_REGION_INFO
 * @s: the session
 * @index: which
 * @flags: takes what can be done with it
 * @size: takes its size
 * @offset: takes where it is in the file
 *
 * Return: false if there is no such region
 */
bool session_region(const struct session *s, uint32_t index, uint32_t *flags, uint64_t *size,
		    uint64_t *offset)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = index };

	if (ioctl(s->device, VFIO_DEVICE_GET_REGION_INFO, &info) || !info.size)
		return false;
	*flags = info.flags;
	*size = info.size;
	*offset = info.offset;
	return true;
}

/**
 * session_irq - VFIO_DEVICE_GET_IRQ_INFO
 * @s: the session
 * @index: which kind
 * @flags: takes what can be done with them
 * @count: takes how many there are
 *
 * Return: false if there are none
 */
bool session_irq(const struct session *s, uint32_t index, uint32_t *flags, uint32_t *count)
{
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = index };

	if (ioctl(s->device, VFIO_DEVICE_GET_IRQ_INFO, &info) || !info.count)
		return false;
	*flags = info.flags;
	*count = info.count;
	return true;
}

/**
 * session_hot_reset - what does a reset of its bus or slot reset?
 * @s: the session
 * @addresses: takes the functions that are not the caller's, and so are in the way
 *
 * Return: 1 if the user can do such a reset, 0 if others are in the way, or a negative errno
 */
int session_hot_reset(const struct session *s, struct strings *addresses)
{
	size_t room = sizeof(struct vfio_pci_hot_reset_info) +
		      256 * sizeof(struct vfio_pci_dependent_device);
	struct vfio_pci_hot_reset_info *info = xalloc(NULL, 1, room);
	int ret = 1;

	memset(info, 0, room);
	info->argsz = room;
	if (ioctl(s->device, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, info))
		ret = -errno;
	for (uint32_t i = 0; ret > 0 && i < info->count; i++) {
		const struct vfio_pci_dependent_device *d = &info->devices[i];

		if (d->devid == (uint32_t)VFIO_PCI_DEVID_NOT_OWNED)
			strings_add(addresses, "%04x:%02x:%02x.%d", d->segment, d->bus,
				    d->devfn >> 3, d->devfn & 7);
	}
	free(info);
	return ret > 0 ? !addresses->n : ret;
}

/**
 * session_iommu - what the IOMMU can do for this device
 * @s: the session
 * @dirty: takes whether page tables note what the device writes to
 * @pasid_bits: takes how many PASIDs there are, as a power of two; 0 for none
 *
 * Return: false if it does not tell
 */
bool session_iommu(const struct session *s, bool *dirty, unsigned int *pasid_bits)
{
	struct hw_info info = { .size = sizeof(info), .dev_id = s->devid };

	if (ioctl(s->iommu, IOMMU_GET_HW_INFO, &info))
		return false;
	*dirty = info.capabilities & IOMMU_HW_CAP_DIRTY_TRACKING;
	*pasid_bits = info.pasid_bits;
	return true;
}

/**
 * session_nesting - can a guest have page tables of its own?
 * @s: the session
 *
 * Asked by making the page table that would be below those.
 *
 * Return: 0, or a negative errno
 */
int session_nesting(const struct session *s)
{
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt),
		.flags = IOMMU_HWPT_ALLOC_NEST_PARENT,
		.dev_id = s->devid,
	};

	if (ioctl(s->iommu, IOMMU_IOAS_ALLOC, &ioas))
		return -errno;
	hwpt.pt_id = ioas.out_ioas_id;
	/* Both end with the file. */
	return ioctl(s->iommu, IOMMU_HWPT_ALLOC, &hwpt) ? -errno : 0;
}
