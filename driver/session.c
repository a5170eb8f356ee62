// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who owns the hardware, and what remains to be done when the user of a session has gone: the
 * function has to be reset and get the host's configuration back, and must not access any memory
 * until then. Only this file changes the state, and knows the worker; Documentation/design.rst has
 * the state diagram.
 */
#include <linux/iommu.h>
#include <linux/pm_runtime.h>

#include "vfio_pci.h"

/* The PCI core has the function locked while it probes, removes or resets it. */
#define VFIO_PCI_CLEAN_RETRY	msecs_to_jiffies(20)

static void vfio_pci_set_hw(struct vfio_pci_device *vpd, enum vfio_pci_hw hw)
{
	lockdep_assert_held(&vpd->hw_lock);

	vpd->session.hw = hw;
	vfio_pci_decode_update(vpd);
}

/**
 * vfio_pci_session_save - save the configuration that is restored after the session
 * @vpd: the device, without a session, and not LEFT
 *
 * Context: hw_lock held. vfio_pci_session_begin() or vfio_pci_session_forget() must follow.
 * Return: 0; -ENOMEM
 */
int vfio_pci_session_save(struct vfio_pci_device *vpd)
{
	lockdep_assert_held(&vpd->hw_lock);

	pci_save_state(vpd->pdev);
	vpd->session.saved = pci_store_saved_state(vpd->pdev);
	return vpd->session.saved ? 0 : -ENOMEM;
}

/**
 * vfio_pci_session_forget - undo vfio_pci_session_save(): there will be no session
 * @vpd: the device
 */
void vfio_pci_session_forget(struct vfio_pci_device *vpd)
{
	kfree(vpd->session.saved);
	vpd->session.saved = NULL;
}

/**
 * vfio_pci_session_begin - the user owns the hardware: LIVE
 * @vpd: the device, after vfio_pci_session_save()
 *
 * Context: hw_lock held
 */
void vfio_pci_session_begin(struct vfio_pci_device *vpd)
{
	vfio_pci_set_hw(vpd, VFIO_PCI_LIVE);
}

/**
 * vfio_pci_session_lose - a session has lost its hardware: LOST, if there is a session
 * @vpd: the device
 *
 * Context: hw_lock held, after vfio_pci_decode_block()
 */
void vfio_pci_session_lose(struct vfio_pci_device *vpd)
{
	if (vpd->session.hw == VFIO_PCI_LIVE)
		vfio_pci_set_hw(vpd, VFIO_PCI_LOST);
}

/**
 * vfio_pci_session_leave - the hardware's user has gone: LEFT
 * @vpd: the device, LIVE or LOST; the front end has claimed its IOMMU group
 *
 * Context: hw_lock held, after vfio_pci_decode_block()
 */
void vfio_pci_session_leave(struct vfio_pci_device *vpd)
{
	vfio_pci_set_hw(vpd, VFIO_PCI_LEFT);
}

/**
 * vfio_pci_session_over - finish cleaning up after a session
 * @vpd: the device, without a session
 * @clean: it has been reset; false if that is impossible
 *
 * Context: hw_lock held; takes the lock of the IOMMU group
 */
void vfio_pci_session_over(struct vfio_pci_device *vpd, bool clean)
{
	if (vpd->session.hw == VFIO_PCI_LEFT) {
		pci_load_and_free_saved_state(vpd->pdev, &vpd->session.saved);
		pci_restore_state(vpd->pdev);
		vfio_device_release_dma(&vpd->vdev);
	}
	vfio_pci_set_hw(vpd, clean ? VFIO_PCI_CLEAN : VFIO_PCI_USED);
}

/*
 * A function that cannot be reset alone is reset together with its slot or bus, if nobody uses any
 * function there. Otherwise, it stays as it is.
 *
 * Called by the worker, or with the worker canceled, so there is one caller at a time. Returns
 * -EAGAIN when the PCI core has the function locked, or it is frozen; -ENODEV when it does not
 * answer, in which case a function that is LEFT stays LEFT.
 */
static int vfio_pci_make_clean(struct vfio_pci_device *vpd)
{
	int ret;

	scoped_guard(vfio_pci, vpd) {
		if (vpd->recovery.frozen)
			return -EAGAIN;
		if (!vfio_pci_answers(vpd->pdev))
			return -ENODEV;
		/* It may not have answered at the first attempt to wake it up. */
		vfio_pci_set_power_state(vpd, PCI_D0);
		/* A hot reset of another function may have cleaned this one. */
		if (vpd->session.hw == VFIO_PCI_CLEAN)
			return 0;
		/* In case a recovery began before probe */
		vfio_pci_restore_lost(vpd);
		ret = vfio_pci_reset(vpd);
		/* A recovery that has begun meanwhile will restore what the last user had. */
		if (ret == -EAGAIN || vpd->recovery.frozen)
			return -EAGAIN;
		if (!vfio_pci_answers(vpd->pdev))
			return -ENODEV;
		vpd->session.reset_works = !ret;
		if (!ret) {
			vfio_pci_session_over(vpd, true);
			return 0;
		}
	}
	vfio_pci_hot_reset_idle(vpd);
	guard(vfio_pci)(vpd);
	if (vpd->recovery.frozen)
		return -EAGAIN;
	if (vpd->session.hw != VFIO_PCI_CLEAN)
		vfio_pci_session_over(vpd, false);
	return 0;
}

/* Does not wait for the device lock, as remove waits for this worker with that lock held. */
static void vfio_pci_clean_work(struct work_struct *work)
{
	struct vfio_pci_device *vpd = container_of(to_delayed_work(work), struct vfio_pci_device,
						   session.clean_work);

	/* A function that does not wake up cannot be reset either. */
	pm_runtime_get_sync(&vpd->pdev->dev);
	if (vfio_pci_make_clean(vpd) == -EAGAIN)
		queue_delayed_work(vfio_pci_wq, &vpd->session.clean_work, VFIO_PCI_CLEAN_RETRY);
	pm_runtime_put_autosuspend(&vpd->pdev->dev);
}

/**
 * vfio_pci_session_init - take over a function, which others may have used before
 * @vpd: the device
 */
void vfio_pci_session_init(struct vfio_pci_device *vpd)
{
	vpd->session.hw = VFIO_PCI_USED;
	vpd->session.reset_works = true;
	INIT_DELAYED_WORK(&vpd->session.clean_work, vfio_pci_clean_work);
}

/**
 * vfio_pci_session_clean - start cleaning the function up for another user
 * @vpd: the device, still registered
 */
void vfio_pci_session_clean(struct vfio_pci_device *vpd)
{
	queue_delayed_work(vfio_pci_wq, &vpd->session.clean_work, 0);
}

/**
 * vfio_pci_session_flush - wait until a function has been cleaned up for another user
 * @vpd: the device
 *
 * Context: the session lock and the device lock may be held, as the worker takes neither
 * Return: false if the PCI core has the function locked, so that this is done later
 */
bool vfio_pci_session_flush(struct vfio_pci_device *vpd)
{
	flush_delayed_work(&vpd->session.clean_work);
	return !delayed_work_pending(&vpd->session.clean_work);
}

static bool vfio_pci_shares_group(struct vfio_pci_device *vpd, struct vfio_pci_device *other)
{
	return vpd != other && vpd->pdev->dev.iommu_group == other->pdev->dev.iommu_group;
}

static void vfio_pci_flush_one(struct vfio_pci_device *vpd, void *data)
{
	vfio_pci_session_flush(vpd);
}

/*
 * Functions of the IOMMU group that await their reset after a session are blocked from memory, and
 * until then nobody else can claim the group.
 */
static void vfio_pci_flush_group(struct vfio_pci_device *vpd)
{
	vfio_pci_for_each(vpd, vfio_pci_shares_group, vfio_pci_flush_one, NULL);
}

/* The device lock keeps the driver bound. If it is taken, the driver is about to change anyway. */
static int vfio_pci_hosts_driver(struct device *dev, void *file)
{
	struct device_driver *drv;
	int ret = 0;

	if (!dev_is_pci(dev) || !device_trylock(dev))
		return 0;
	drv = dev->driver;
	if (drv && !to_pci_driver(drv)->driver_managed_dma)
		ret = vfio_err(file, -EPERM, "%s in the same IOMMU group is bound to driver %s",
			       dev_name(dev), drv->name);
	device_unlock(dev);
	return ret;
}

/* Look for a host driver in the rest of the IOMMU group: iommufd would refuse without a reason. */
static int vfio_pci_check_group(struct vfio_pci_device *vpd, struct vfio_file *file)
{
	struct iommu_group *group = iommu_group_get(&vpd->pdev->dev);
	int ret = group ? iommu_group_for_each_dev(group, file, vfio_pci_hosts_driver) : 0;

	iommu_group_put(group);
	return ret;
}

/**
 * vfio_pci_session_settle - finish cleaning up after former sessions, before a new one begins
 * @vpd: the device, without a session
 * @file: the new user's file
 *
 * Context: session lock held
 * Return: 0; -EAGAIN when the PCI core has the function locked, or it is frozen; -ENODEV when it
 * does not answer; -EPERM when a host driver has another function of its IOMMU group; an error from
 * waking it up
 */
int vfio_pci_session_settle(struct vfio_pci_device *vpd, struct vfio_file *file)
{
	int ret;

	/* If the worker has not started yet, do its work here. */
	cancel_delayed_work_sync(&vpd->session.clean_work);
	ret = vfio_pci_wake(&vpd->vdev);
	if (ret) {
		vfio_pci_session_clean(vpd);
		return vfio_err(file, ret, "the function does not wake up");
	}
	ret = vfio_pci_make_clean(vpd);
	vfio_pci_rest(&vpd->vdev);
	vfio_pci_flush_group(vpd);
	if (ret == -ENODEV)
		return vfio_err(file, ret, "the function does not answer");
	if (ret) {
		vfio_pci_session_clean(vpd);
		return vfio_err(file, ret,
				"the function is being reset or unbound by somebody else");
	}
	return vfio_pci_check_group(vpd, file);
}

/**
 * vfio_pci_session_stop - stop the worker, once nothing can queue it any more
 * @vpd: the device, not registered
 */
void vfio_pci_session_stop(struct vfio_pci_device *vpd)
{
	cancel_delayed_work_sync(&vpd->session.clean_work);
}

static int vfio_pci_count(struct device *dev, void *data)
{
	++*(unsigned int *)data;
	return 0;
}

/*
 * A thread of the last user that is held up by a page fault in IOMMU_GET_HW_INFO still uses the
 * function. iommufd waits for it for a minute, warns, and goes on. But the thread will access the
 * function again, so it must not be freed yet. If the group has other functions, the claim may be
 * theirs, and is waited for only if iommufd has taken that minute.
 */
static void vfio_pci_wait_unclaimed(struct vfio_pci_device *vpd)
{
	struct iommu_group *group = iommu_group_get(&vpd->pdev->dev);
	unsigned int nr = 0;

	if (!group)
		return;
	iommu_group_for_each_dev(group, &nr, vfio_pci_count);
	if ((nr == 1 || vfio_device_was_held(&vpd->vdev)) && iommu_group_dma_owner_claimed(group)) {
		pci_err(vpd->pdev,
			"still held by the iommufd of its last user: end the call that holds it, and IOMMU_DESTROY the device\n");
		while (iommu_group_dma_owner_claimed(group))
			schedule_timeout_idle(HZ / 10);
	}
	iommu_group_put(group);
}

/**
 * vfio_pci_session_exit - after the last session, hand the function back clean
 * @vpd: the device, without a session, after vfio_pci_session_stop()
 *
 * Context: device lock held, as in remove
 */
void vfio_pci_session_exit(struct vfio_pci_device *vpd)
{
	int ret;

	if (vpd->session.hw != VFIO_PCI_CLEAN) {
		ret = vfio_pci_reset_removed(vpd);
		scoped_guard(mutex, &vpd->hw_lock)
			vfio_pci_session_over(vpd, !ret);
	}
	vfio_pci_wait_unclaimed(vpd);
	/* The host's driver probes next, only once, and fails while the group is claimed. */
	vfio_pci_flush_group(vpd);
}
