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
 * Puts the function into D0, so that the PCI core saves the right state.
 *
 * Context: core_lock held until vfio_pci_reset_end(); hw_lock held, and released
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
 * Context: core_lock held; takes hw_lock, which is held on return
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
 * The bridge above a function that is alone on its bus, since resetting the function may reset that
 * bus. Only pci_reset_function() locks the bridge; the variants that we can call do not (Linux
 * 7.3), and the PCI core warns about a bus reset without that lock.
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

	/* The bridge's lock comes before the function's, so do not wait for it. */
	if (bridge && !pci_dev_trylock(bridge))
		bridge = NULL;
	/* If it has been unplugged, something else may be in its slot. */
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
 * In a session, the function is in D0 afterwards, with its configuration restored.
 *
 * Context: core_lock and hw_lock held, so that vfio_pci_reset_prepare() does not take them; hw_lock
 * is released temporarily
 * Return: 0; -EAGAIN when the PCI core has the function locked; -ENODEV when it does not answer;
 * -ENOTTY when it has no reset
 */
int vfio_pci_reset(struct vfio_pci_device *vpd)
{
	int ret;

	lockdep_assert_held(&vpd->hw_lock);

	/* Otherwise, the PCI core would wait for it, and fill the kernel log. */
	if (!vfio_pci_answers(vpd->pdev))
		return -ENODEV;
	vfio_pci_reset_begin(vpd);
	mutex_lock(&vpd->sriov.lock);
	ret = vfio_pci_try_reset(vpd->pdev);
	mutex_unlock(&vpd->sriov.lock);
	vfio_pci_reset_end(vpd);
	if (!ret)
		vfio_mig_was_reset(vpd);
	/* With -EAGAIN, the reset is retried. */
	if (ret != -EAGAIN)
		trace_vfio_pci_reset(vpd->pdev, vfio_pci_is_live(vpd) ? "user" : "driver", ret);
	return ret;
}

/* Do the BARs in hardware differ from those assigned by the PCI core? A VF's always read as 0. */
static bool vfio_pci_bars_lost(struct pci_dev *pdev)
{
	struct pci_bus_region region;
	unsigned int i, pos;
	u32 low, high, mask;

	for (i = 0; !pdev->is_virtfn && i < PCI_STD_NUM_BARS; i++) {
		struct resource *res = pci_resource_n(pdev, i);

		/* Without a parent, it was not assigned; if fixed, it may not be in a BAR. */
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
 * vfio_pci_restore_lost - restore a configuration that was lost while no driver was bound
 * @vpd: the device, awake; nothing is done if it is in a session, or just out of one
 *
 * If the driver of a function is unbound during error recovery, recovery still resets the bus, but
 * leaves restoring to the drivers. The loss would be permanent, since each session restores what it
 * has found at its beginning.
 *
 * Context: hw_lock held, or nobody else has access
 */
void vfio_pci_restore_lost(struct vfio_pci_device *vpd)
{
	struct pci_dev *pdev = vpd->pdev;

	if (vpd->session.saved || !vfio_pci_answers(pdev) || !vfio_pci_bars_lost(pdev))
		return;
	pci_info(pdev, "restoring the configuration, which was lost in a reset\n");
	/* The PCI core has saved the state of each function at enumeration. */
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
		vfio_err(cmd->file, ret, "the function is being reset or unbound by somebody else");
	else if (ret == -ENODEV)
		vfio_err(cmd->file, ret, "the function does not answer");
	else if (ret)
		vfio_err(cmd->file, ret, "the reset failed");
	return ret;
}

/**
 * vfio_pci_reset_prepare - the function is about to be reset
 * @pdev: the function
 *
 * If the reset is not ours (sysfs, a reset of the whole bus), the user is kept off the function
 * until vfio_pci_reset_done(). A VF may be reset with its PF and with their bus at the same time.
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
		/* Before taking core_lock, which the callbacks of runtime PM take. */
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
 * Context: like vfio_pci_reset_prepare(), whose locks it releases
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
