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

/* The PF of a VF, if it is ours; NULL if it is not, or the function is no VF */
static struct vfio_pci_device *vfio_pci_pf(struct pci_dev *pdev)
{
	struct vfio_pci_device *pf = pci_iov_get_pf_drvdata(pdev, &vfio_pci_driver);

	return IS_ERR(pf) ? NULL : pf;
}

/* VFs of our PFs are not for the host's drivers: they would trust a PF that a user controls. */
static int vfio_pci_sriov_notify(struct notifier_block *nb, unsigned long action, void *data)
{
	struct pci_dev *pdev = to_pci_dev(data);

	if (action == BUS_NOTIFY_ADD_DEVICE && vfio_pci_pf(pdev)) {
		if (device_set_driver_override(&pdev->dev, vfio_pci_driver.name))
			pci_warn(pdev, "no memory to keep the host's drivers off this VF\n");
	} else if (action == BUS_NOTIFY_BOUND_DRIVER && vfio_pci_pf(pdev) &&
		   pci_dev_driver(pdev) != &vfio_pci_driver) {
		pci_warn(pdev, "this VF has a driver of the host, but its PF may be a user's\n");
	}
	return NOTIFY_DONE;
}

struct notifier_block vfio_pci_sriov_notifier = {
	.notifier_call = vfio_pci_sriov_notify,
};

/* The PF may sleep again, as it has no VFs (any more). */
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

/* Takes all VFs from their users, who are asked at the same time. */
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
 * vfio_pci_sriov_configure - make the VFs of a function, or take them away
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
 * vfio_pci_sriov_init - find out what the function is
 * @vpd: the device, in probe
 *
 * A VF of a PF of ours was made by us, since a PF that has VFs already cannot be bound to this
 * driver, and the PF does not go before the VF has gone.
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
 * vfio_pci_sriov_remove - take the VFs away, as their PF will go
 * @vpd: any device, in remove
 *
 * Its own user is asked together with theirs.
 *
 * Context: as vfio_pci_sriov_configure()
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
 * vfio_pci_sriov_settle - a session is about to begin: wait for what would disturb it
 * @vpd: the device
 * @file: of its user
 *
 * The reset of a PF, when its user has left it, is one of its VFs, too.
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

/* Of a PF whose lock is held: is this its token? */
static int vfio_pci_check_token(struct vfio_pci_device *pf, struct vfio_file *file,
				const uuid_t *token)
{
	lockdep_assert_held(&pf->sriov.lock);

	if (!token)
		return vfio_err(file, -EACCES,
				"BIND needs the VF token: user space has the PF, or VFs of it");
	if (!uuid_equal(token, &pf->sriov.token))
		return vfio_err(file, -EACCES, "this is not the VF token");
	return 0;
}

/**
 * vfio_pci_sriov_open - may whoever shows this token, or none, have the device?
 * @vpd: the device
 * @file: of its user
 * @token: the VF token, NULL for none
 *
 * A PF with no VFs in use takes the token as its new one.
 *
 * Return: 0, and vfio_pci_sriov_close() has to follow; -EACCES when there is no token, or a wrong
 * one, where one is needed; -EINVAL when there is one where none is
 */
int vfio_pci_sriov_open(struct vfio_pci_device *vpd, struct vfio_file *file, const uuid_t *token)
{
	struct vfio_pci_device *pf = vpd->pdev->is_physfn ? vpd : vpd->sriov.pf;
	int ret = 0;

	if (!pf) {
		if (!token)
			return 0;
		return vfio_err(file, -EINVAL,
				"no VF token is known: this is no PF, and no VF of one that vfio-pci has");
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
 * vfio_pci_sriov_block - keep the users of VFs off them, as their PF is about to be reset
 * @vpd: any device
 *
 * A reset of a PF takes its VFs away for a while, and resets them (PCIe r6.2 9.2.2.3.1).
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
 * Users of VFs find the configuration, and the interrupts, that they had. So does the host, of VFs
 * without a user: what it turned on in them when they came to be, such as ATS, it does not turn on
 * again, and what is clean is not reset before its next session.
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
 * It cannot be read: it may be that of the user before.
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
