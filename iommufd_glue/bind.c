// SPDX-License-Identifier: GPL-2.0-only
/*
 * A session: a file is bound to an iommufd context and owns the device, which may be attached to
 * page tables, until the file is closed or revoked. This file is the only caller of iommufd.
 */
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "trace.h"
#include "vfio_file.h"

/* How long iommufd waits for calls that use a device, before it warns and goes on */
#define VFIO_IOMMUFD_PATIENCE	(60 * HZ)

/**
 * vfio_bind_fetch - get the later additions to BIND's struct, and the token
 * @cmd: struct vfio_device_bind_iommufd, fetched as far as out_devid
 *
 * Return: 0; -EINVAL for an unknown flag; -E2BIG when the caller uses fields that we do not know;
 * -EFAULT
 */
int vfio_bind_fetch(struct vfio_cmd *cmd)
{
	struct vfio_device_bind_iommufd *bind = (void *)cmd->arg;
	int ret;

	ret = copy_struct_from_user(bind, sizeof(*bind), cmd->uarg, cmd->argsz);
	if (ret)
		return ret;
	if (bind->flags & ~VFIO_DEVICE_BIND_FLAG_TOKEN)
		return vfio_err(cmd->file, -EINVAL, "unknown flags %#x for BIND", bind->flags);
	if (bind->iommufd < 0)
		return vfio_err(cmd->file, -EINVAL, "BIND needs the fd of an open /dev/iommu");
	if (!(bind->flags & VFIO_DEVICE_BIND_FLAG_TOKEN))
		return 0;

	cmd->data = memdup_user(u64_to_user_ptr(bind->token_uuid_ptr), sizeof(uuid_t));
	if (IS_ERR(cmd->data))
		return PTR_ERR(no_free_ptr(cmd->data));
	cmd->data_len = sizeof(uuid_t);
	return 0;
}

static bool vfio_isolates_msi(struct device *dev)
{
	struct iommu_group *group = iommu_group_get(dev);
	bool ret = group && iommu_group_has_isolated_msi(group);

	iommu_group_put(group);
	return ret;
}

static int vfio_match_user(struct device *dev, const void *group)
{
	struct vfio_device *vdev = container_of(dev, struct vfio_device, device);
	struct iommu_group *its = iommu_group_get(dev->parent);

	iommu_group_put(its);
	return its == group && READ_ONCE(vdev->owner);
}

/* For -EPERM if MSIs are isolated: another iommufd context owns the IOMMU group. */
static void vfio_err_group(struct vfio_file *file)
{
	struct iommu_group *group = iommu_group_get(file->vdev->device.parent);
	struct device *user = class_find_device(&vfio_class, NULL, group, vfio_match_user);

	if (user)
		vfio_err(file, -EPERM, "%s in the same IOMMU group is bound to another iommufd",
			 dev_name(user->parent));
	else
		vfio_err(file, -EPERM,
			 "another device in the IOMMU group is in use, or not yet reset after use");
	put_device(user);
	iommu_group_put(group);
}

/* Does the firmware require that the IOMMU always maps some memory for a device of the group? */
static bool vfio_firmware_maps(struct device *dev)
{
	struct iommu_group *group = iommu_group_get(dev);
	struct iommu_resv_region *region, *next;
	LIST_HEAD(regions);
	bool maps = false;

	if (group)
		iommu_get_group_resv_regions(group, &regions);
	list_for_each_entry_safe(region, next, &regions, list) {
		maps |= region->type == IOMMU_RESV_DIRECT;
		kfree(region);
	}
	iommu_group_put(group);
	return maps;
}

static void vfio_err_refused(struct vfio_file *file, int error)
{
	struct device *dev = file->vdev->device.parent;

	if (error == -EPERM && !vfio_isolates_msi(dev))
		vfio_err(file, error,
			 "the host does not isolate MSIs, see iommufd's allow_unsafe_interrupts");
	else if (error == -EPERM)
		vfio_err_group(file);
	else if (error == -EBUSY)
		vfio_err(file, error, "a device in the IOMMU group is being reset");
	else if (error == -EINVAL && vfio_firmware_maps(dev))
		vfio_err(file, error,
			 "firmware requires a mapping in its IOMMU group, see reserved_regions");
	else
		vfio_err(file, error, "iommufd has refused the device");
}

static struct iommufd_device *vfio_iommufd_bind(struct vfio_file *file, int fd, u32 *devid)
{
	struct iommufd_device *idev;
	struct iommufd_ctx *ictx;

	ictx = iommufd_ctx_from_fd(fd);
	if (IS_ERR(ictx)) {
		vfio_err(file, PTR_ERR(ictx), "fd %d is not an open /dev/iommu", fd);
		return ERR_CAST(ictx);
	}
	idev = iommufd_device_bind(ictx, file->vdev->device.parent, devid);
	iommufd_ctx_put(ictx);	/* idev holds its own reference */

	if (IS_ERR(idev))
		vfio_err_refused(file, PTR_ERR(idev));
	return idev;
}

/**
 * vfio_bind - make a file the owner of its device
 * @cmd: struct vfio_device_bind_iommufd
 *
 * No other thread can use the file as the owner before vfio_bind_done().
 *
 * Context: inside the gate. Takes the session lock.
 * Return: 0; -EINVAL when this or another file is already bound; -EBADF or -EBADFD when the fd is
 * not iommufd's; an error of iommufd or of the device model's open
 */
int vfio_bind(struct vfio_cmd *cmd)
{
	struct vfio_device_bind_iommufd *bind = (void *)cmd->arg;
	struct vfio_file *file = cmd->file;
	struct vfio_device *vdev = cmd->vdev;
	struct iommufd_device *idev;
	int ret;

	guard(mutex)(&vdev->lock);
	if (vdev->owner)
		return vfio_err(file, -EINVAL, "%s file is already bound to the device",
				vdev->owner == file ? "this" : "another");
	ret = vdev->ops->settle(vdev, file);
	if (ret)
		return ret;

	idev = vfio_iommufd_bind(file, bind->iommufd, &bind->out_devid);
	if (IS_ERR(idev))
		return PTR_ERR(idev);

	vdev->idev = idev;
	vdev->mapping = file->mapping;
	ret = vdev->ops->open(vdev, file, cmd->data);
	if (ret) {
		/* The device is still clean, so its DMA need not be blocked. */
		vdev->mapping = NULL;
		iommufd_device_unbind(idev);
		vdev->idev = NULL;
		return ret;
	}
	file->devid = bind->out_devid;
	WRITE_ONCE(vdev->owner, file);
	return 0;
}

/**
 * vfio_bind_done - let all threads use the file that vfio_bind() has bound, or undo vfio_bind()
 * @cmd: as left by vfio_bind()
 * @error: 0; -EFAULT when the user could not be told the device's id
 *
 * Context: takes the session lock
 * Return: 0; @error; -ENODEV when the device was revoked in the meantime
 */
int vfio_bind_done(struct vfio_cmd *cmd, int error)
{
	struct vfio_file *file = cmd->file;
	struct vfio_device *vdev = cmd->vdev;

	guard(mutex)(&vdev->lock);
	if (vdev->owner != file)
		return -ENODEV;
	if (error) {
		vfio_session_end(vdev);
		return error;
	}
	/* Whoever sees it bound also sees the rest of the setup; pairs with vfio_device_enter(). */
	smp_store_release(&file->bound, true);
	trace_vfio_bind(vdev, file->devid);
	return 0;
}

/**
 * vfio_session_end - end the session of a device
 * @vdev: a device that has an owner
 *
 * On return, none of the user's resources are held. The device cannot access memory until the
 * device model has cleaned it up and calls vfio_device_release_dma().
 *
 * Context: session lock held; no call on the owner's file is inside the gate
 */
void vfio_session_end(struct vfio_device *vdev)
{
	void *owner = iommufd_device_to_ictx(vdev->idev);
	unsigned long pasid, start;
	void *pt_id;

	lockdep_assert_held(&vdev->lock);

	/* Calls on data files, unlike those on the owner's file, may still be inside the gate. */
	if (vdev->streamed) {
		WRITE_ONCE(vdev->session, vdev->session + 1);
		synchronize_srcu(&vdev->gate);
		vdev->streamed = false;
	}
	/*
	 * DMA that the device still does after iommufd has released it must not reach the host's
	 * memory, which may be identity-mapped for a group without an owner. So keep the IOMMU
	 * group owned and blocked. To take over the ownership without a gap, claim it with the
	 * owner that iommufd uses, its context. The pointer is not dereferenced, and a new context
	 * at the same address cannot share the claim: it must settle() the device, and thereby the
	 * group, before it binds any device in it.
	 */
	WARN_ON(iommu_device_claim_dma_owner(vdev->device.parent, owner));
	vdev->ops->close(vdev);
	xa_for_each(&vdev->pasids, pasid, pt_id)
		iommufd_device_detach(vdev->idev, pasid);
	xa_destroy(&vdev->pasids);
	if (vdev->pt_id)
		iommufd_device_detach(vdev->idev, IOMMU_NO_PASID);
	vdev->pt_id = 0;
	start = jiffies;
	iommufd_device_unbind(vdev->idev);
	vdev->held |= time_after_eq(jiffies, start + VFIO_IOMMUFD_PATIENCE);
	vdev->idev = NULL;
	vdev->mapping = NULL;
	trace_vfio_session_end(vdev);
	vdev->ops->clean(vdev);
	WRITE_ONCE(vdev->owner, NULL);
	wake_up_all(&vdev->released);
}

/**
 * vfio_device_was_held - may iommufd still be using the device?
 * @vdev: the device, unregistered
 *
 * Return: true if iommufd has waited as long as it waits, at the end of a session
 */
bool vfio_device_was_held(const struct vfio_device *vdev)
{
	return vdev->held;
}
EXPORT_SYMBOL_GPL(vfio_device_was_held);

/**
 * vfio_device_release_dma - stop blocking the device's DMA after a session
 * @vdev: the device, which has been reset if possible
 *
 * Context: may sleep; once for each call of the ops' close
 */
void vfio_device_release_dma(struct vfio_device *vdev)
{
	iommu_device_release_dma_owner(vdev->device.parent);
}
EXPORT_SYMBOL_GPL(vfio_device_release_dma);

/**
 * vfio_device_shared_id - get the ID of another device in a device's iommufd context
 * @vdev: the device, bound, with its gate entered
 * @other: the other device
 * @live: @other has a session, which cannot end during this call
 *
 * Takes none of the iommufd locks under which pages are faulted in.
 *
 * Return: the ID; 0 if @other has none, but its IOMMU group belongs to the context; otherwise
 * -ENODEV
 */
int vfio_device_shared_id(const struct vfio_device *vdev, const struct vfio_device *other,
			  bool live)
{
	struct iommufd_ctx *ictx = iommufd_device_to_ictx(vdev->idev);
	struct iommu_group *group;
	bool owned;

	if (live) {
		/* An IOMMU group never belongs to two contexts. */
		if (iommufd_device_to_ictx(other->idev) != ictx)
			return -ENODEV;
		return iommufd_device_to_id(other->idev);
	}
	group = iommu_group_get(other->device.parent);
	owned = iommufd_ctx_has_group(ictx, group);
	iommu_group_put(group);
	return owned ? 0 : -ENODEV;
}
EXPORT_SYMBOL_GPL(vfio_device_shared_id);

/**
 * vfio_attach_fetch - get the PASID of ATTACH, if it has one
 * @cmd: struct vfio_device_attach_iommufd_pt, fetched as far as pt_id
 *
 * Return: 0; -EINVAL for an unknown flag, or a buffer too small for the PASID; -EFAULT
 */
int vfio_attach_fetch(struct vfio_cmd *cmd)
{
	struct vfio_device_attach_iommufd_pt *attach = (void *)cmd->arg;
	struct vfio_device_attach_iommufd_pt __user *uattach = cmd->uarg;

	if (put_user(attach->pt_id, &uattach->pt_id))
		return -EFAULT;
	if (attach->flags & ~VFIO_DEVICE_ATTACH_PASID)
		return vfio_err(cmd->file, -EINVAL, "unknown flags %#x for ATTACH", attach->flags);
	if (!attach->flags)
		return 0;
	if (cmd->argsz < sizeof(*attach))
		return -EINVAL;
	return get_user(attach->pasid, &uattach->pasid);
}

/**
 * vfio_detach_fetch - get the PASID of DETACH, if it has one
 * @cmd: struct vfio_device_detach_iommufd_pt, fetched as far as flags
 *
 * Return: 0; -EINVAL for an unknown flag, or a buffer too small for the PASID; -EFAULT
 */
int vfio_detach_fetch(struct vfio_cmd *cmd)
{
	struct vfio_device_detach_iommufd_pt *detach = (void *)cmd->arg;
	struct vfio_device_detach_iommufd_pt __user *udetach = cmd->uarg;

	if (detach->flags & ~VFIO_DEVICE_DETACH_PASID)
		return vfio_err(cmd->file, -EINVAL, "unknown flags %#x for DETACH", detach->flags);
	if (!detach->flags)
		return 0;
	if (cmd->argsz < sizeof(*detach))
		return -EINVAL;
	return get_user(detach->pasid, &udetach->pasid);
}

static int vfio_attach_pasid(struct vfio_device *vdev, u32 pasid, u32 *pt_id)
{
	int ret;

	/* Insert before attaching, so that recording the PASID cannot fail afterwards. */
	ret = xa_insert(&vdev->pasids, pasid, xa_mk_value(0), GFP_KERNEL_ACCOUNT);
	if (ret == -EBUSY) {
		ret = iommufd_device_replace(vdev->idev, pasid, pt_id);
		if (ret)
			return ret;
		goto record;
	}
	if (ret)
		return ret;
	ret = iommufd_device_attach(vdev->idev, pasid, pt_id);
	if (ret) {
		xa_erase(&vdev->pasids, pasid);
		return ret;
	}
record:
	/* Replaces an entry, so it does not allocate memory. */
	xa_store(&vdev->pasids, pasid, xa_mk_value(*pt_id), 0);
	return 0;
}

static int vfio_attach_device(struct vfio_device *vdev, u32 *pt_id)
{
	int ret;

	if (vdev->pt_id)
		ret = iommufd_device_replace(vdev->idev, IOMMU_NO_PASID, pt_id);
	else
		ret = iommufd_device_attach(vdev->idev, IOMMU_NO_PASID, pt_id);
	if (!ret)
		WRITE_ONCE(vdev->pt_id, *pt_id);
	return ret;
}

/**
 * vfio_attach - attach the device, or one of its PASIDs, to a page table, replacing any current one
 * @cmd: struct vfio_device_attach_iommufd_pt
 *
 * Context: inside the gate. Takes the session lock.
 * Return: 0; -EINVAL for PASID 0, which is the device without a PASID; an error of iommufd, such as
 * -ENOENT when there is no such page table
 */
int vfio_attach(struct vfio_cmd *cmd)
{
	struct vfio_device_attach_iommufd_pt *attach = (void *)cmd->arg;
	struct vfio_device *vdev = cmd->vdev;
	u32 pt_id = attach->pt_id;
	int ret;

	guard(mutex)(&vdev->lock);
	if (!attach->flags)
		ret = vfio_attach_device(vdev, &attach->pt_id);
	else if (attach->pasid == IOMMU_NO_PASID)
		ret = -EINVAL;
	else
		ret = vfio_attach_pasid(vdev, attach->pasid, &attach->pt_id);
	if (ret)
		return vfio_err(cmd->file, ret, "iommufd has refused to attach %s %u to object %u",
				attach->flags ? "PASID" : "the device's own DMA, PASID",
				attach->pasid, pt_id);
	trace_vfio_attach(vdev, attach->flags ? attach->pasid : IOMMU_NO_PASID, attach->pt_id);
	return 0;
}

/**
 * vfio_detach - detach the device, or one of its PASIDs, from its page table
 * @cmd: struct vfio_device_detach_iommufd_pt
 *
 * Does nothing if it is not attached.
 *
 * Context: inside the gate. Takes the session lock.
 * Return: 0
 */
int vfio_detach(struct vfio_cmd *cmd)
{
	struct vfio_device_detach_iommufd_pt *detach = (void *)cmd->arg;
	struct vfio_device *vdev = cmd->vdev;

	guard(mutex)(&vdev->lock);
	if (detach->flags) {
		if (!xa_erase(&vdev->pasids, detach->pasid))
			return 0;
		iommufd_device_detach(vdev->idev, detach->pasid);
	} else {
		if (!vdev->pt_id)
			return 0;
		iommufd_device_detach(vdev->idev, IOMMU_NO_PASID);
		WRITE_ONCE(vdev->pt_id, 0);
	}
	trace_vfio_detach(vdev, detach->flags ? detach->pasid : IOMMU_NO_PASID);
	return 0;
}

/**
 * vfio_device_lock_attached - keep a device attached to its page table, or without one
 * @vdev: the device
 *
 * Context: inside the gate. Takes the session lock, which vfio_device_unlock_attached() releases.
 * Return: is it attached?
 */
bool vfio_device_lock_attached(struct vfio_device *vdev)
{
	mutex_lock(&vdev->lock);
	return vdev->pt_id;
}
EXPORT_SYMBOL_GPL(vfio_device_lock_attached);

/**
 * vfio_device_unlock_attached - end vfio_device_lock_attached()
 * @vdev: the device
 */
void vfio_device_unlock_attached(struct vfio_device *vdev)
{
	mutex_unlock(&vdev->lock);
}
EXPORT_SYMBOL_GPL(vfio_device_unlock_attached);

MODULE_IMPORT_NS("IOMMUFD");
