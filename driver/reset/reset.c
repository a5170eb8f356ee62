// SPDX-License-Identifier: GPL-2.0-only
/*
 * Resets: for the user, between users, and those that others perform on the function.
 */
#include <linux/pm_runtime.h>

#include "trace.h"
#include "vfio_pci.h"

/**
 * vfio_pci_reset_begin - keep the user off a function that is about to be reset
 * @vpd: the device
 *
 * It is in D0 then, so that what the PCI core saves of it is right.
 *
 * Context: core_lock held until vfio_pci_reset_end(), and hw_lock, of which it lets go
 */
void vfio_pci_reset_begin(struct vfio_pci_device *vpd)
{
	lockdep_assert_held(&vpd->hw_lock);

	if (vfio_pci_is_live(vpd)) {
		vfio_pci_set_power_state(vpd, PCI_D0);
		vfio_pci_decode_block(vpd);
	}
	WRITE_ONCE(vpd->reset.task, current);
	vpd->reset.depth = 1;
	vfio_pci_core_enter(vpd, false);
}

/**
 * vfio_pci_reset_end - end vfio_pci_reset_begin()
 * @vpd: the device, reset, with its configuration restored by the PCI core
 *
 * Context: core_lock held; hw_lock on return
 */
void vfio_pci_reset_end(struct vfio_pci_device *vpd)
{
	vfio_pci_core_exit(vpd);
	WRITE_ONCE(vpd->reset.task, NULL);
	if (!vfio_pci_is_live(vpd))
		return;
	vfio_pci_config_after_reset(vpd);
	vfio_pci_decode_update(vpd);
}

/*
 * The bridge above, if a reset may be one of the bus below it: that is for a function alone
 * there. pci_reset_function() locks it, but nothing that drivers can call instead does (Linux
 * 7.3), and the PCI core warns of a bus reset without that lock.
 */
static struct pci_dev *vfio_pci_bridge_to_reset(struct pci_dev *pdev)
{
	if (pdev->is_virtfn || !list_is_singular(&pdev->bus->devices))
		return NULL;
	return pdev->bus->self;
}

static int vfio_pci_try_reset(struct pci_dev *pdev)
{
	struct pci_dev *bridge = vfio_pci_bridge_to_reset(pdev);
	int ret;

	if (bridge && !pci_dev_trylock(bridge))
		return -EAGAIN;
	ret = pci_try_reset_function(pdev);
	if (bridge)
		pci_dev_unlock(bridge);
	return ret;
}

/**
 * vfio_pci_reset_removed - reset a function that is being removed
 * @vpd: the device, not registered
 *
 * Context: device lock held, takes hw_lock
 * Return: 0; -ENODEV when it does not answer; -ENOTTY when it has no reset
 */
int vfio_pci_reset_removed(struct vfio_pci_device *vpd)
{
	struct pci_dev *pdev = vpd->pdev, *bridge = vfio_pci_bridge_to_reset(pdev);
	int ret = -ENODEV;

	/* Its lock is outside of the function's, so it is not waited for. */
	if (bridge && !pci_dev_trylock(bridge))
		bridge = NULL;
	/* If it has been pulled out, something else may be in its slot. */
	if (vfio_pci_answers(pdev))
		ret = pci_reset_function_locked(pdev);
	if (bridge)
		pci_dev_unlock(bridge);
	trace_vfio_pci_reset(pdev, "driver", ret);
	return ret;
}

/**
 * vfio_pci_reset - reset the function, for its user or between users
 * @vpd: the device
 *
 * A user's comes out of it in D0, with the configuration that it had.
 *
 * Context: core_lock and hw_lock held, so that vfio_pci_reset_prepare() does not take them; it lets
 * go of hw_lock meanwhile
 * Return: 0; -EAGAIN when the PCI core has the function locked; -ENODEV when it does not answer;
 * -ENOTTY when it has no reset
 */
int vfio_pci_reset(struct vfio_pci_device *vpd)
{
	int ret;

	lockdep_assert_held(&vpd->hw_lock);

	/* The PCI core would wait for it, and say so in the kernel log. */
	if (!vfio_pci_answers(vpd->pdev))
		return -ENODEV;
	vfio_pci_reset_begin(vpd);
	mutex_lock(&vpd->sriov.lock);
	ret = vfio_pci_try_reset(vpd->pdev);
	mutex_unlock(&vpd->sriov.lock);
	vfio_pci_reset_end(vpd);
	if (!ret)
		vfio_mig_was_reset(vpd);
	/* Otherwise it is for later. */
	if (ret != -EAGAIN)
		trace_vfio_pci_reset(vpd->pdev, vfio_pci_is_live(vpd) ? "user" : "driver", ret);
	return ret;
}

/* Has the hardware other BARs than the PCI core has assigned? Those of a VF always read as 0. */
static bool vfio_pci_bars_lost(struct pci_dev *pdev)
{
	struct pci_bus_region region;
	unsigned int i, pos;
	u32 low, high, mask;

	for (i = 0; !pdev->is_virtfn && i < PCI_STD_NUM_BARS; i++) {
		struct resource *res = pci_resource_n(pdev, i);

		/* What has no parent was not assigned; what is fixed may not be in a BAR. */
		if (!res->parent || res->flags & IORESOURCE_PCI_FIXED)
			continue;
		pcibios_resource_to_bus(pdev->bus, &region, res);
		mask = lower_32_bits(res->flags & IORESOURCE_IO ? PCI_BASE_ADDRESS_IO_MASK :
								  PCI_BASE_ADDRESS_MEM_MASK);
		pos = PCI_BASE_ADDRESS_0 + 4 * i;
		high = upper_32_bits(region.start);
		pci_read_config_dword(pdev, pos, &low);
		if (res->flags & IORESOURCE_MEM_64)
			pci_read_config_dword(pdev, pos + 4, &high);
		if ((low & mask) != lower_32_bits(region.start) ||
		    high != upper_32_bits(region.start))
			return true;
	}
	return false;
}

/**
 * vfio_pci_restore_lost - mend what was lost while nobody had the function
 * @vpd: the device, awake; nothing is done if it is in a session, or just out of one
 *
 * Error recovery goes on when the driver of a function goes in the midst of it, and resets the bus,
 * but leaves what to restore to the drivers. What is lost then would be lost for all sessions: they
 * give back what they find.
 *
 * Context: hw_lock held, or nobody else has access
 */
void vfio_pci_restore_lost(struct vfio_pci_device *vpd)
{
	struct pci_dev *pdev = vpd->pdev;

	if (vpd->session.saved || !vfio_pci_answers(pdev) || !vfio_pci_bars_lost(pdev))
		return;
	pci_info(pdev, "has been reset by somebody who did not restore its configuration\n");
	/* The PCI core has saved a state of every function since it was found. */
	pci_restore_state(pdev);
}

/**
 * vfio_pci_reset_ioctl - answer VFIO_DEVICE_RESET
 * @cmd: without a struct
 *
 * Return: 0; -EINVAL when the function cannot be reset alone; -EAGAIN when the PCI core has it
 * locked; another error of the reset
 */
int vfio_pci_reset_ioctl(struct vfio_cmd *cmd)
{
	struct vfio_pci_device *vpd = to_vfio_pci(cmd->vdev);
	int ret;

	if (!vpd->session.reset_works)
		return vfio_err(cmd->file, -EINVAL, "the function has no reset of its own");

	scoped_guard(vfio_pci_user, vpd) {
		if (vpd->power.suspended)
			return vfio_err(cmd->file, -EIO,
					"another thread has put the function to sleep");
		ret = vfio_pci_reset(vpd);
	}
	vfio_mig_catch_up(vpd);
	if (ret == -EAGAIN)
		vfio_err(cmd->file, ret, "somebody else is about to reset or unbind the function");
	else if (ret == -ENODEV)
		vfio_err(cmd->file, ret, "the function does not answer");
	else if (ret)
		vfio_err(cmd->file, ret, "the reset has failed");
	return ret;
}

/**
 * vfio_pci_reset_prepare - the function is about to be reset
 * @pdev: the function
 *
 * If it is not us who do that (sysfs, a reset of the whole bus), the user is kept off it until
 * vfio_pci_reset_done(). A VF may be reset with its PF and with their bus at the same time.
 *
 * Context: device lock of the function, or of its PF, held. Takes core_lock and sriov.lock, unless
 * the caller has them, and holds them until the last vfio_pci_reset_done().
 */
void vfio_pci_reset_prepare(struct pci_dev *pdev)
{
	struct vfio_pci_device *vpd = pci_get_drvdata(pdev);

	if (READ_ONCE(vpd->reset.task) == current) {
		vpd->reset.depth++;
	} else {
		/* Before core_lock, which the callbacks of runtime PM take. */
		pm_runtime_get_sync(&pdev->dev);
		vfio_pci_lock(vpd);
		vfio_pci_reset_begin(vpd);
		mutex_lock(&vpd->sriov.lock);
	}
	vfio_pci_sriov_block(vpd);
}

/**
 * vfio_pci_reset_done - the function has been reset
 * @pdev: the function
 *
 * Context: as vfio_pci_reset_prepare(), whose locks it releases
 */
void vfio_pci_reset_done(struct pci_dev *pdev)
{
	struct vfio_pci_device *vpd = pci_get_drvdata(pdev);

	vfio_pci_sriov_unblock(vpd);
	if (--vpd->reset.depth)
		return;
	mutex_unlock(&vpd->sriov.lock);
	vfio_pci_reset_end(vpd);
	vfio_mig_was_reset(vpd);
	if (vfio_pci_is_live(vpd))
		trace_vfio_pci_reset(pdev, "host", 0);
	vfio_pci_unlock(vpd);
	pm_runtime_put_autosuspend(&pdev->dev);
}
