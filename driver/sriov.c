// SPDX-License-Identifier: GPL-2.0-only
/*
 * Physical functions (PF) that user space owns, their virtual functions (VF), and the VF token.
 *
 * The user of a PF can stop, reset and often eavesdrop on its VFs. The user of a VF may believe
 * that the host owns the PF. So they must prove that they know and trust the PF's user, with a
 * token, a UUID that the PF's user sets. In turn, whoever takes over a PF whose VFs are in use must
 * present the token, too.
 */
#include <linux/pm_runtime.h>

#include "vfio_pci.h"

bool vfio_pci_enable_sriov;

/* The PF of a VF, if we are its driver; NULL if we are not, or the function is not a VF */
static struct vfio_pci_device *vfio_pci_pf(struct pci_dev *pdev)
{
	struct vfio_pci_device *pf = pci_iov_get_pf_drvdata(pdev, &vfio_pci_driver);

	return IS_ERR(pf) ? NULL : pf;
}

/* Keep host drivers off VFs of our PFs: they would trust a PF that a user controls. */
static int vfio_pci_sriov_notify(struct notifier_block *nb, unsigned long action, void *data)
{
	struct pci_dev *pdev = to_pci_dev(data);

	if (action == BUS_NOTIFY_ADD_DEVICE && vfio_pci_pf(pdev)) {
		if (device_set_driver_override(&pdev->dev, vfio_pci_driver.name))
			pci_warn(pdev, "no memory to keep the host's drivers off this VF\n");
	} else if (action == BUS_NOTIFY_BOUND_DRIVER && vfio_pci_pf(pdev) &&
		   pci_dev_driver(pdev) != &vfio_pci_driver) {
		pci_warn(pdev, "this VF has a host driver, but its PF may be a user's\n");
	}
	return NOTIFY_DONE;
}

struct notifier_block vfio_pci_sriov_notifier = {
	.notifier_call = vfio_pci_sriov_notify,
};

/* The PF has no VFs any more, so it may sleep again. */
static void vfio_pci_sriov_disabled(struct vfio_pci_device *pf)
{
	scoped_guard(mutex, &pf->hw_lock)
		pf->sriov.enabled = false;
	pm_runtime_put(&pf->pdev->dev);
}

static int vfio_pci_sriov_enable(struct vfio_pci_device *pf, int nr_vfs)
{
	int ret;

	/* PCIe r6.2 9.6.2: a VF is never in a higher power state than its PF. */
	ret = pm_runtime_resume_and_get(&pf->pdev->dev);
	if (ret)
		return ret;
	scoped_guard(vfio_pci, pf) {
		ret = vfio_pci_set_power_state(pf, PCI_D0);
		pf->sriov.enabled = true;
	}
	if (!ret)
		ret = pci_enable_sriov(pf->pdev, nr_vfs);
	if (ret) {
		vfio_pci_sriov_disabled(pf);
		return ret;
	}
	return nr_vfs;
}

/* Take all VFs from their users, asking all users at the same time. */
static void vfio_pci_sriov_disable(struct vfio_pci_device *pf)
{
	struct vfio_pci_device *vf;

	if (!pci_num_vf(pf->pdev))
		return;
	scoped_guard(mutex, &pf->sriov.lock) {
		list_for_each_entry(vf, &pf->sriov.vfs, sriov.vfs)
			vfio_device_want_back(&vf->vdev);
	}
	pci_disable_sriov(pf->pdev);
	vfio_pci_sriov_disabled(pf);
}

/**
 * vfio_pci_sriov_configure - create the VFs of a function, or remove them
 * @pdev: the PF
 * @nr_vfs: how many VFs, 0 for none
 *
 * Context: device lock held, as sysfs does; takes those of the VFs, and may wait for the release of
 * VFs as vfio_device_unregister() does
 * Return: @nr_vfs; -ENOENT when the module parameter does not allow it; an error of the PCI core
 */
int vfio_pci_sriov_configure(struct pci_dev *pdev, int nr_vfs)
{
	struct vfio_pci_device *pf = pci_get_drvdata(pdev);

	if (!vfio_pci_enable_sriov) {
		pci_info_ratelimited(pdev, "no SR-IOV without vfio-pci's parameter enable_sriov\n");
		return -ENOENT;
	}
	if (nr_vfs)
		return vfio_pci_sriov_enable(pf, nr_vfs);
	vfio_pci_sriov_disable(pf);
	return 0;
}

/**
 * vfio_pci_sriov_init - find out if the function is a PF, or a VF of one of our PFs
 * @vpd: the device, in probe
 *
 * VFs of our PFs were always created by us, since a PF that already has VFs cannot be bound to this
 * driver. And a PF is not removed before its VFs.
 */
void vfio_pci_sriov_init(struct vfio_pci_device *vpd)
{
	struct vfio_pci_device *pf = vfio_pci_pf(vpd->pdev);

	lockdep_register_key(&vpd->sriov.key);
	mutex_init_with_key(&vpd->sriov.lock, &vpd->sriov.key);
	INIT_LIST_HEAD(&vpd->sriov.vfs);
	uuid_gen(&vpd->sriov.token);
	vpd->sriov.pf = pf;
	if (!pf)
		return;
	guard(mutex)(&pf->sriov.lock);
	list_add_tail(&vpd->sriov.vfs, &pf->sriov.vfs);
}

/**
 * vfio_pci_sriov_remove - remove the VFs of a PF that is about to be removed
 * @vpd: any device, in remove
 *
 * The PF's user is asked for the PF at the same time.
 *
 * Context: like vfio_pci_sriov_configure()
 */
void vfio_pci_sriov_remove(struct vfio_pci_device *vpd)
{
	if (!pci_num_vf(vpd->pdev))
		return;
	vfio_device_want_back(&vpd->vdev);
	vfio_pci_sriov_disable(vpd);
}

/**
 * vfio_pci_sriov_exit - undo vfio_pci_sriov_init()
 * @vpd: the device, without a user
 */
void vfio_pci_sriov_exit(struct vfio_pci_device *vpd)
{
	struct vfio_pci_device *pf = vpd->sriov.pf;

	if (pf) {
		guard(mutex)(&pf->sriov.lock);
		list_del(&vpd->sriov.vfs);
	}
	mutex_destroy(&vpd->sriov.lock);
	lockdep_unregister_key(&vpd->sriov.key);
}

/**
 * vfio_pci_sriov_settle - before a session, wait for a pending reset of the PF
 * @vpd: the device
 * @file: the new user's file
 *
 * The reset of a PF whose user has left also resets its VFs.
 *
 * Return: 0; -EAGAIN when the PF cannot be reset now
 */
int vfio_pci_sriov_settle(struct vfio_pci_device *vpd, struct vfio_file *file)
{
	struct vfio_pci_device *pf = vpd->sriov.pf;

	if (!pf)
		return 0;
	if (!vfio_pci_session_flush(pf))
		return vfio_err(file, -EAGAIN, "the physical function is about to be reset");
	return 0;
}

/* Is this the token of the PF? Called with its sriov.lock held. */
static int vfio_pci_check_token(struct vfio_pci_device *pf, struct vfio_file *file,
				const uuid_t *token)
{
	lockdep_assert_held(&pf->sriov.lock);

	if (!token)
		return vfio_err(file, -EACCES,
				"BIND needs the VF token, as user space has the PF or VFs of it");
	if (!uuid_equal(token, &pf->sriov.token))
		return vfio_err(file, -EACCES, "the token passed to BIND is not the VF token");
	return 0;
}

/**
 * vfio_pci_sriov_open - check the token of a new user
 * @vpd: the device
 * @file: the user's file
 * @token: the VF token, NULL for none
 *
 * For a PF with no VFs in use, it becomes the new token.
 *
 * Return: 0, and vfio_pci_sriov_close() must follow; -EACCES when the token is missing or wrong;
 * -EINVAL when there is a token, but the function has none
 */
int vfio_pci_sriov_open(struct vfio_pci_device *vpd, struct vfio_file *file, const uuid_t *token)
{
	struct vfio_pci_device *pf = vpd->pdev->is_physfn ? vpd : vpd->sriov.pf;
	int ret = 0;

	if (!pf) {
		if (!token)
			return 0;
		return vfio_err(file, -EINVAL,
				"no VF token: neither a PF, nor a VF of a PF bound to vfio-pci");
	}

	guard(mutex)(&pf->sriov.lock);
	if (vpd != pf || pf->sriov.users)
		ret = vfio_pci_check_token(pf, file, token);
	else if (token)
		uuid_copy(&pf->sriov.token, token);
	if (!ret && vpd != pf)
		pf->sriov.users++;
	return ret;
}

/**
 * vfio_pci_sriov_close - undo vfio_pci_sriov_open()
 * @vpd: the device
 */
void vfio_pci_sriov_close(struct vfio_pci_device *vpd)
{
	struct vfio_pci_device *pf = vpd->sriov.pf;

	if (!pf)
		return;
	guard(mutex)(&pf->sriov.lock);
	pf->sriov.users--;
}

/**
 * vfio_pci_sriov_block - keep users off the VFs of a PF that is about to be reset
 * @vpd: any device
 *
 * A reset of a PF disables its VFs for a while, and resets them (PCIe r6.2 9.2.2.3.1).
 *
 * Context: device lock and sriov.lock held. Takes the locks of each VF that is bound to us, unless
 * the caller has them, and holds them until vfio_pci_sriov_unblock().
 */
void vfio_pci_sriov_block(struct vfio_pci_device *vpd)
{
	struct vfio_pci_device *vf;

	if (!vpd->pdev->is_physfn)
		return;
	lockdep_assert_held(&vpd->sriov.lock);
	list_for_each_entry(vf, &vpd->sriov.vfs, sriov.vfs) {
		vfio_pci_reset_prepare(vf->pdev);
		if (vfio_pci_answers(vf->pdev))
			pci_save_state(vf->pdev);
	}
}

/**
 * vfio_pci_sriov_unblock - undo vfio_pci_sriov_block()
 * @vpd: the device
 *
 * VFs get back the configuration and interrupts that they had, even those without a user: what the
 * host enabled when it created them, such as ATS, it does not enable again, and a clean VF is not
 * reset before its next session.
 */
void vfio_pci_sriov_unblock(struct vfio_pci_device *vpd)
{
	struct vfio_pci_device *vf;

	if (!vpd->pdev->is_physfn)
		return;
	list_for_each_entry(vf, &vpd->sriov.vfs, sriov.vfs) {
		pci_restore_state(vf->pdev);
		vfio_pci_reset_done(vf->pdev);
	}
}

/**
 * vfio_pci_has_vf_token - is there a VFIO_DEVICE_FEATURE_PCI_VF_TOKEN?
 * @vdev: the device
 *
 * Return: true for a PF
 */
bool vfio_pci_has_vf_token(struct vfio_device *vdev)
{
	return to_vfio_pci(vdev)->pdev->is_physfn;
}

/**
 * vfio_pci_set_vf_token - answer VFIO_DEVICE_FEATURE_PCI_VF_TOKEN
 * @cmd: with the token as its data
 *
 * The token cannot be read, as it may be that of the previous user.
 *
 * Return: 0
 */
int vfio_pci_set_vf_token(struct vfio_cmd *cmd)
{
	struct vfio_pci_device *pf = to_vfio_pci(cmd->vdev);

	guard(mutex)(&pf->sriov.lock);
	import_uuid(&pf->sriov.token, cmd->data);
	return 0;
}
