// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of a struct vfio_device: allocated, registered (user space can open it), unregistered
 * (nobody can access it any more, even if they still have it open), freed with its last open file.
 */
#include <linux/idr.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "trace.h"
#include "vfio_file.h"

/* How often a user is asked to release the device */
#define VFIO_REQUEST_PERIOD	(10 * HZ)

dev_t vfio_devt;
DEFINE_IDA(vfio_ida);

static int release_grace_ms = 10000;
module_param(release_grace_ms, int, 0644);
MODULE_PARM_DESC(release_grace_ms,
		 "How long the user of a device may keep it after the host asks for it, in ms (-1: for ever, default: 10000)");

static char *vfio_devnode(const struct device *dev, umode_t *mode)
{
	return kasprintf(GFP_KERNEL, "vfio/devices/%s", dev_name(dev));
}

const struct class vfio_class = {
	.name = "vfio-dev",
	.devnode = vfio_devnode,
};

static void vfio_device_release(struct device *dev)
{
	struct vfio_device *vdev = container_of(dev, struct vfio_device, device);

	ida_free(&vfio_ida, MINOR(dev->devt));
	cleanup_srcu_struct(&vdev->gate);
	mutex_destroy(&vdev->lock);
	xa_destroy(&vdev->pasids);
	put_device(dev->parent);
	kvfree(vdev);
}

/**
 * vfio_device_alloc - allocate a device
 * @parent: the physical device
 * @size: size of the device model's struct, which begins with its struct vfio_device
 * @ops: the device model
 *
 * Return: the device, zeroed except for its struct vfio_device; free it with vfio_device_free().
 * Or an ERR_PTR: -ENOMEM, -ENOSPC when there are already 2^20
 */
struct vfio_device *vfio_device_alloc(struct device *parent, size_t size,
				      const struct vfio_device_ops *ops)
{
	struct vfio_device *vdev;
	int ret;

	vdev = kvzalloc(size, GFP_KERNEL);
	if (!vdev)
		return ERR_PTR(-ENOMEM);

	ret = init_srcu_struct_fast(&vdev->gate);
	if (ret)
		goto free;
	ret = ida_alloc_max(&vfio_ida, MINORMASK, GFP_KERNEL);
	if (ret < 0)
		goto cleanup_gate;

	vdev->ops = ops;
	mutex_init(&vdev->lock);
	init_waitqueue_head(&vdev->released);
	xa_init(&vdev->pasids);

	device_initialize(&vdev->device);
	vdev->device.devt = MKDEV(MAJOR(vfio_devt), ret);
	vdev->device.class = &vfio_class;
	/* The driver core's reference ends with the node, but trace events still use the parent. */
	vdev->device.parent = get_device(parent);
	vdev->device.release = vfio_device_release;
	cdev_init(&vdev->cdev, &vfio_file_fops);
	vdev->cdev.owner = THIS_MODULE;
	return vdev;

cleanup_gate:
	cleanup_srcu_struct(&vdev->gate);
free:
	kvfree(vdev);
	return ERR_PTR(ret);
}
EXPORT_SYMBOL_GPL(vfio_device_alloc);

/**
 * vfio_device_get - keep the memory of a device until a matching vfio_device_free()
 * @vdev: the device
 */
void vfio_device_get(struct vfio_device *vdev)
{
	get_device(&vdev->device);
}
EXPORT_SYMBOL_GPL(vfio_device_get);

/**
 * vfio_device_free - drop a reference to a device
 * @vdev: never registered, or unregistered, or from vfio_device_get(). Its memory is kept until the
 *	last file is closed.
 */
void vfio_device_free(struct vfio_device *vdev)
{
	put_device(&vdev->device);
}
EXPORT_SYMBOL_GPL(vfio_device_free);

/**
 * vfio_device_register - make the device available to user space
 * @vdev: the device, ready for its ops to be called
 *
 * Return: 0; -EINVAL when no IOMMU isolates the device, or its DMA is not coherent with the
 * CPU's caches, which user space could not handle; or an error of the driver core
 */
int vfio_device_register(struct vfio_device *vdev)
{
	struct device *parent = vdev->device.parent;
	int ret;

	if (!device_iommu_mapped(parent)) {
		dev_err(parent, "the device is not behind an IOMMU, so it cannot be assigned\n");
		return -EINVAL;
	}
	if (!device_iommu_capable(parent, IOMMU_CAP_CACHE_COHERENCY)) {
		dev_err(parent, "DMA is not cache-coherent, so the device cannot be assigned\n");
		return -EINVAL;
	}

	ret = dev_set_name(&vdev->device, "vfio%u", MINOR(vdev->device.devt));
	if (ret)
		return ret;
	return cdev_device_add(&vdev->cdev, &vdev->device);
}
EXPORT_SYMBOL_GPL(vfio_device_register);

/**
 * vfio_device_want_back - announce that vfio_device_unregister() will follow
 * @vdev: the registered device
 *
 * Asks the owner for the device, and starts the grace period. This is for devices that are removed
 * one after the other: the grace periods of all their users run at the same time.
 *
 * Context: may sleep
 */
void vfio_device_want_back(struct vfio_device *vdev)
{
	WRITE_ONCE(vdev->wanted, jiffies ?: 1);
	if (READ_ONCE(release_grace_ms) && READ_ONCE(vdev->owner))
		vdev->ops->request(vdev);
}
EXPORT_SYMBOL_GPL(vfio_device_want_back);

/**
 * vfio_device_hurry - end the grace period of a device for good
 * @vdev: the device, for which vfio_device_unregister() has begun, or will be called
 *
 * Context: any
 */
void vfio_device_hurry(struct vfio_device *vdev)
{
	WRITE_ONCE(vdev->hurry, true);
	wake_up_all(&vdev->released);
}
EXPORT_SYMBOL_GPL(vfio_device_hurry);

/* The grace period that is left, in jiffies */
static unsigned long vfio_device_grace(struct vfio_device *vdev)
{
	int grace = READ_ONCE(release_grace_ms);
	unsigned long now = jiffies, end;

	if (grace < 0)
		return MAX_SCHEDULE_TIMEOUT;
	end = (READ_ONCE(vdev->wanted) ?: now) + msecs_to_jiffies(grace);
	return time_after(end, now) ? end - now : 0;
}

/* Ask for the device until it is free, the grace period is over, or the caller is killed. */
static void vfio_device_ask_back(struct vfio_device *vdev)
{
	unsigned long left = vfio_device_grace(vdev);

	while (left && READ_ONCE(vdev->owner) && !READ_ONCE(vdev->hurry)) {
		unsigned long wait = min_t(unsigned long, left, VFIO_REQUEST_PERIOD);

		trace_vfio_request(vdev);
		vdev->ops->request(vdev);
		if (wait_event_killable_timeout(vdev->released, !READ_ONCE(vdev->owner) ||
						READ_ONCE(vdev->hurry), wait))
			return;
		if (left != MAX_SCHEDULE_TIMEOUT)
			left -= wait;
	}
}

/**
 * vfio_device_unregister - take the device back from user space
 * @vdev: the registered device
 *
 * New opens fail from the start. The owner is asked to release the device within release_grace_ms.
 * Then it is revoked: calls inside an op leave it, new calls fail with -ENODEV, new faults get
 * vfio_device_fault_off(), and the session ends. On return, no op is running, and none will be
 * called. The caller must do the cleanup after the session, with vfio_device_release_dma().
 *
 * Context: may sleep for release_grace_ms. Takes the session lock. The ops must not need a lock
 * that the caller holds.
 */
void vfio_device_unregister(struct vfio_device *vdev)
{
	cdev_device_del(&vdev->cdev, &vdev->device);
	vfio_device_ask_back(vdev);

	WRITE_ONCE(vdev->revoked, true);
	synchronize_srcu(&vdev->gate);

	guard(mutex)(&vdev->lock);
	if (vdev->owner) {
		trace_vfio_revoke(vdev);
		dev_notice(vdev->device.parent, "taken away from its user\n");
		vfio_err(vdev->owner, -ENODEV, "the host has taken the device away");
		vfio_session_end(vdev);
	}
}
EXPORT_SYMBOL_GPL(vfio_device_unregister);

/**
 * vfio_device_zap - remove the user's page table entries for a part of the device
 * @vdev: the device, LIVE
 * @start: file offset
 * @len: number of bytes
 *
 * Context: may sleep. Takes i_mmap_rwsem, never mmap_lock.
 */
void vfio_device_zap(struct vfio_device *vdev, loff_t start, loff_t len)
{
	unmap_mapping_range(vdev->mapping, start, len, true);
}
EXPORT_SYMBOL_GPL(vfio_device_zap);

/**
 * vfio_device_set_sleepy - may the device be asleep when its owner calls?
 * @vdev: the device
 * @sleepy: calls that begin from now on wake it up; those in progress do not
 */
void vfio_device_set_sleepy(struct vfio_device *vdev, bool sleepy)
{
	WRITE_ONCE(vdev->sleepy, sleepy);
}
EXPORT_SYMBOL_GPL(vfio_device_set_sleepy);
