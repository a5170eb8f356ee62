// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hot resets, of a slot or a bus, with every function on it (PCIe r6.2 6.6.1). All functions must
 * be ours. From the moment that a function's owner is known until the function has been reset, its
 * core_lock is held, so that the owner, or the absence of one, cannot change. The locks are taken
 * in the same order as the PCI core takes them, through vfio_pci_reset_prepare(): bus order, but
 * each PF's VFs come right after it.
 */
#include <linux/pm_runtime.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "vfio_pci.h"

/* All devices, to find those that a hot reset affects. The lock is the innermost of all. */
static DEFINE_MUTEX(vfio_pci_list_lock);
static LIST_HEAD(vfio_pci_list);

/**
 * struct vfio_pci_reset_set - the functions that are reset together
 * @nr: how many
 * @ours: all of them are bound to us
 * @fns: the functions, in bus order
 * @fns.pdev: a reference
 * @fns.vpd: pinned; NULL if it is not ours
 */
struct vfio_pci_reset_set {
	unsigned int nr;
	bool ours;
	struct {
		struct pci_dev *pdev;
		struct vfio_pci_device *vpd;
	} fns[] __counted_by(nr);
};

/* A walk over the functions; without @set, they are only counted. */
struct vfio_pci_walk {
	struct pci_slot *slot;
	unsigned int found;
	struct vfio_pci_reset_set *set;
};

/**
 * vfio_pci_hot_reset_add - let hot resets include a device from now on
 * @vpd: the device
 */
void vfio_pci_hot_reset_add(struct vfio_pci_device *vpd)
{
	guard(mutex)(&vfio_pci_list_lock);
	list_add_tail(&vpd->listed.node, &vfio_pci_list);
}

/**
 * vfio_pci_hot_reset_del - end vfio_pci_hot_reset_add(), and wait for those that have begun
 * @vpd: the device
 *
 * Context: the device lock may be held, as a hot reset only tries to take it.
 */
void vfio_pci_hot_reset_del(struct vfio_pci_device *vpd)
{
	guard(mutex)(&vfio_pci_list_lock);
	list_del(&vpd->listed.node);
	wait_var_event_mutex(&vpd->listed.pins, !vpd->listed.pins, &vfio_pci_list_lock);
}

static void vfio_pci_unpin(struct vfio_pci_device *vpd)
{
	lockdep_assert_held(&vfio_pci_list_lock);

	if (!--vpd->listed.pins)
		wake_up_var(&vpd->listed.pins);
}

/* Find the device @related to @vpd with the lowest ID above @last, and pin it. */
static struct vfio_pci_device *vfio_pci_next(struct vfio_pci_device *vpd,
					     vfio_pci_related_fn related, int last)
{
	struct vfio_pci_device *other, *next = NULL;

	guard(mutex)(&vfio_pci_list_lock);
	list_for_each_entry(other, &vfio_pci_list, listed.node) {
		if (related(vpd, other) && (int)pci_dev_id(other->pdev) > last &&
		    (!next || pci_dev_id(other->pdev) < pci_dev_id(next->pdev)))
			next = other;
	}
	if (next)
		next->listed.pins++;
	return next;
}

/**
 * vfio_pci_for_each - do something with all devices that are related to one
 * @vpd: the device
 * @related: tells if two devices are related; they must be in one PCI domain. Takes no lock.
 * @fn: called for each related device
 * @data: for @fn
 *
 * Context: that of @fn. Removal of a device waits for @fn.
 */
void vfio_pci_for_each(struct vfio_pci_device *vpd, vfio_pci_related_fn related,
		       void (*fn)(struct vfio_pci_device *other, void *data), void *data)
{
	struct vfio_pci_device *other;
	int last = -1;

	while ((other = vfio_pci_next(vpd, related, last))) {
		last = pci_dev_id(other->pdev);
		fn(other, data);
		scoped_guard(mutex, &vfio_pci_list_lock)
			vfio_pci_unpin(other);
	}
}

/**
 * vfio_pci_hurry - cut short the grace period of removals that a recovery waits for
 * @vpd: frozen, or about to be removed itself
 *
 * A recovery takes the device lock of each function below a port in turn, and the removal of a
 * function holds its lock for the user's whole grace period. No function should stay frozen for
 * that long, and the user should not go on using a function that is about to be reset.
 *
 * Context: after setting the flag of @vpd, so that of two concurrent calls, one sees the other's
 * flag
 */
void vfio_pci_hurry(struct vfio_pci_device *vpd)
{
	struct pci_dev *port = pcie_find_root_port(vpd->pdev);
	struct vfio_pci_device *other;

	guard(mutex)(&vfio_pci_list_lock);
	list_for_each_entry(other, &vfio_pci_list, listed.node) {
		if (other != vpd && (!port || pcie_find_root_port(other->pdev) != port))
			continue;
		if (READ_ONCE(vpd->recovery.frozen) && READ_ONCE(other->recovery.leaving))
			vfio_device_hurry(&other->vdev);
		if (READ_ONCE(other->recovery.frozen) && READ_ONCE(vpd->recovery.leaving))
			vfio_device_hurry(&vpd->vdev);
	}
}

/* Is the function, or a bridge above it, in the slot? */
static bool vfio_pci_in_slot(struct pci_dev *pdev, struct pci_slot *slot)
{
	while (pdev && pdev->bus != slot->bus)
		pdev = pdev->bus->self;
	return pdev && pdev->slot == slot;
}

static int vfio_pci_walk_one(struct pci_dev *pdev, void *data)
{
	struct vfio_pci_walk *walk = data;

	if (walk->slot && !vfio_pci_in_slot(pdev, walk->slot))
		return 0;
	if (walk->set && walk->found < walk->set->nr)
		walk->set->fns[walk->found].pdev = pci_dev_get(pdev);
	walk->found++;
	return 0;
}

static void vfio_pci_set_put(struct vfio_pci_reset_set *set)
{
	unsigned int i;

	if (IS_ERR_OR_NULL(set))
		return;
	guard(mutex)(&vfio_pci_list_lock);
	for (i = 0; i < set->nr; i++) {
		if (set->fns[i].vpd)
			vfio_pci_unpin(set->fns[i].vpd);
		pci_dev_put(set->fns[i].pdev);
	}
	kvfree(set);
}

DEFINE_FREE(vfio_pci_set_put, struct vfio_pci_reset_set *, vfio_pci_set_put(_T))

static void vfio_pci_set_pin(struct vfio_pci_reset_set *set)
{
	struct vfio_pci_device *vpd;
	unsigned int i, ours = 0;

	guard(mutex)(&vfio_pci_list_lock);
	list_for_each_entry(vpd, &vfio_pci_list, listed.node) {
		for (i = 0; i < set->nr; i++) {
			if (set->fns[i].pdev != vpd->pdev)
				continue;
			set->fns[i].vpd = vpd;
			vpd->listed.pins++;
			ours++;
		}
	}
	set->ours = ours == set->nr;
}

/* What a hot reset of @pdev resets: the slot if possible, else the bus; see pci_reset_bus() */
static struct vfio_pci_reset_set *vfio_pci_set_get(struct pci_dev *pdev)
{
	struct vfio_pci_reset_set *set __free(vfio_pci_set_put) = NULL;
	struct vfio_pci_walk walk = {};

	if (!pci_probe_reset_slot(pdev->slot))
		walk.slot = pdev->slot;
	else if (pci_probe_reset_bus(pdev->bus))
		return ERR_PTR(-ENODEV);

	pci_walk_bus(pdev->bus, vfio_pci_walk_one, &walk);
	set = kvzalloc_flex(*set, fns, walk.found, GFP_KERNEL_ACCOUNT);
	if (!set)
		return ERR_PTR(-ENOMEM);
	set->nr = walk.found;

	walk.set = set;
	walk.found = 0;
	pci_walk_bus(pdev->bus, vfio_pci_walk_one, &walk);
	/* Something was plugged in or out in between. */
	if (walk.found != set->nr)
		return ERR_PTR(-EAGAIN);
	vfio_pci_set_pin(set);
	return_ptr(set);
}

/* The same on behalf of a user */
static struct vfio_pci_reset_set *vfio_pci_set_of(struct vfio_cmd *cmd)
{
	struct vfio_pci_device *vpd = to_vfio_pci(cmd->vdev);
	struct vfio_pci_reset_set *set = vfio_pci_set_get(vpd->pdev);
	unsigned int i;

	if (IS_ERR(set)) {
		vfio_err(cmd->file, PTR_ERR(set), PTR_ERR(set) == -ENODEV ?
			 "neither slot nor bus can be reset" :
			 "functions are being added or removed right now");
		return set;
	}
	/* A function that is still being cleaned up would be in the way, and hide its owner. */
	for (i = 0; i < set->nr; i++) {
		if (set->fns[i].vpd)
			vfio_pci_session_flush(set->fns[i].vpd);
	}
	return set;
}

/* With hw_lock held; see vfio_device_shared_id() */
static int vfio_pci_shared_id(struct vfio_cmd *cmd, struct vfio_pci_device *vpd)
{
	lockdep_assert_held(&vpd->hw_lock);

	return vfio_device_shared_id(cmd->vdev, &vpd->vdev, vfio_pci_is_live(vpd));
}

static u32 vfio_pci_devid(struct vfio_cmd *cmd, struct vfio_pci_device *vpd)
{
	int id;

	if (!vpd)
		return VFIO_PCI_DEVID_NOT_OWNED;
	scoped_guard(mutex, &vpd->hw_lock)
		id = vfio_pci_shared_id(cmd, vpd);
	if (id < 0)
		return VFIO_PCI_DEVID_NOT_OWNED;
	return id ?: VFIO_PCI_DEVID_OWNED;
}

/**
 * vfio_pci_hot_reset_info - answer VFIO_DEVICE_GET_PCI_HOT_RESET_INFO
 * @cmd: struct vfio_pci_hot_reset_info
 *
 * Return: 0; -ENODEV when neither slot nor bus can be reset; -ENOSPC when the user's buffer is too
 * small, with the count in @cmd; -EAGAIN when the set of functions is just changing; -ENOMEM
 */
int vfio_pci_hot_reset_info(struct vfio_cmd *cmd)
{
	struct vfio_pci_reset_set *set __free(vfio_pci_set_put) = vfio_pci_set_of(cmd);
	struct vfio_pci_hot_reset_info *info = (void *)cmd->arg;
	struct vfio_pci_dependent_device *dep;
	unsigned int i;

	if (IS_ERR(set))
		return PTR_ERR(set);

	info->flags = 0;
	info->count = set->nr;
	if (set->nr > (cmd->argsz - sizeof(*info)) / sizeof(*dep))
		return -ENOSPC;

	dep = kzalloc_objs(*dep, set->nr, GFP_KERNEL_ACCOUNT);
	if (!dep)
		return -ENOMEM;
	cmd->data = dep;
	cmd->out_len = set->nr * sizeof(*dep);
	info->flags = VFIO_PCI_HOT_RESET_FLAG_DEV_ID | VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
	for (i = 0; i < set->nr; i++, dep++) {
		dep->devid = vfio_pci_devid(cmd, set->fns[i].vpd);
		dep->segment = pci_domain_nr(set->fns[i].pdev->bus);
		dep->bus = set->fns[i].pdev->bus->number;
		dep->devfn = set->fns[i].pdev->devfn;
		if (dep->devid == VFIO_PCI_DEVID_NOT_OWNED)
			info->flags &= ~VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
	}
	return 0;
}

static bool vfio_pci_set_has(const struct vfio_pci_reset_set *set,
			     const struct vfio_pci_device *vpd)
{
	unsigned int i;

	for (i = 0; i < set->nr; i++) {
		if (set->fns[i].vpd == vpd)
			return true;
	}
	return false;
}

static void vfio_pci_set_lock_one(struct vfio_pci_device *vpd)
{
	mutex_lock(&vpd->core_lock);
	mutex_lock(&vpd->sriov.lock);
}

/* Lock a function that is not a VF of another one in the set, and those of its VFs in the set. */
static void vfio_pci_set_lock_with_vfs(const struct vfio_pci_reset_set *set,
				       struct vfio_pci_device *vpd)
{
	struct vfio_pci_device *vf;

	vfio_pci_set_lock_one(vpd);
	if (!vpd->pdev->is_physfn)
		return;
	list_for_each_entry(vf, &vpd->sriov.vfs, sriov.vfs) {
		if (vfio_pci_set_has(set, vf))
			vfio_pci_set_lock_one(vf);
	}
}

static void vfio_pci_set_lock(struct vfio_pci_reset_set *set)
{
	struct vfio_pci_device *vpd;
	unsigned int i;

	/* Before any core_lock, which the callbacks of runtime PM take. */
	for (i = 0; i < set->nr; i++)
		pm_runtime_get_sync(&set->fns[i].pdev->dev);
	for (i = 0; i < set->nr; i++) {
		vpd = set->fns[i].vpd;
		if (!vpd->sriov.pf || !vfio_pci_set_has(set, vpd->sriov.pf))
			vfio_pci_set_lock_with_vfs(set, vpd);
	}
}

static void vfio_pci_set_unlock(struct vfio_pci_reset_set *set)
{
	unsigned int i = set->nr;

	while (i--) {
		mutex_unlock(&set->fns[i].vpd->sriov.lock);
		mutex_unlock(&set->fns[i].vpd->core_lock);
	}
	for (i = 0; i < set->nr; i++)
		pm_runtime_put_autosuspend(&set->fns[i].pdev->dev);
}

/* For a set that is all ours: takes its locks. */
DEFINE_GUARD(vfio_pci_set, struct vfio_pci_reset_set *, vfio_pci_set_lock(_T),
	     vfio_pci_set_unlock(_T))

static int vfio_pci_set_reset(struct vfio_pci_reset_set *set)
{
	unsigned int i;
	int ret;

	/* Otherwise, the PCI core would wait for it, and fill the kernel log. */
	for (i = 0; i < set->nr; i++) {
		if (!vfio_pci_answers(set->fns[i].pdev))
			return -ENODEV;
	}
	for (i = 0; i < set->nr; i++) {
		mutex_lock(&set->fns[i].vpd->hw_lock);
		vfio_pci_reset_begin(set->fns[i].vpd);
	}
	ret = pci_reset_bus(set->fns[0].pdev);
	for (i = 0; i < set->nr; i++) {
		vfio_pci_reset_end(set->fns[i].vpd);
		if (!ret)
			vfio_mig_was_reset(set->fns[i].vpd);
		mutex_unlock(&set->fns[i].vpd->hw_lock);
	}
	return ret;
}

/* With hw_lock held: may the caller have the function reset? */
static bool vfio_pci_may_reset(struct vfio_cmd *cmd, struct vfio_pci_device *vpd)
{
	const struct vfio_pci_hot_reset *reset = (void *)cmd->arg;
	const s32 *fds = cmd->data;
	unsigned int i;

	if (vfio_pci_shared_id(cmd, vpd) >= 0)
		return true;
	for (i = 0; vfio_pci_is_live(vpd) && i < reset->count; i++) {
		if (vfio_device_is_of_fd(&vpd->vdev, fds[i]) > 0)
			return true;
	}
	return false;
}

static int vfio_pci_check_fds(struct vfio_cmd *cmd, const struct vfio_pci_reset_set *set)
{
	const struct vfio_pci_hot_reset *reset = (void *)cmd->arg;
	const s32 *fds = cmd->data;
	unsigned int i;
	int ret;

	if (reset->count > set->nr)
		return vfio_err(cmd->file, -EINVAL, "%u fds for %u functions", reset->count,
				set->nr);
	for (i = 0; i < reset->count; i++) {
		ret = vfio_device_is_of_fd(cmd->vdev, fds[i]);
		if (ret < 0)
			return vfio_err(cmd->file, ret, "fd %d is not a bound device",
					fds[i]);
	}
	return 0;
}

/**
 * vfio_pci_hot_reset_ioctl - answer VFIO_DEVICE_PCI_HOT_RESET
 * @cmd: struct vfio_pci_hot_reset, and files of devices in other iommufd contexts
 *
 * Return: 0; -ENODEV when neither slot nor bus can be reset, or a function does not answer; -EINVAL
 * when a function is not the caller's, or a file is not a bound device; -EBADF when an fd is not
 * open; -EAGAIN when the PCI core has a function locked; another error of the reset
 */
int vfio_pci_hot_reset_ioctl(struct vfio_cmd *cmd)
{
	struct vfio_pci_reset_set *set __free(vfio_pci_set_put) = vfio_pci_set_of(cmd);
	unsigned int i;
	int ret;

	if (IS_ERR(set))
		return PTR_ERR(set);
	ret = vfio_pci_check_fds(cmd, set);
	if (ret)
		return ret;
	if (!set->ours)
		return vfio_err(cmd->file, -EINVAL, "not all functions are bound to vfio-pci");

	guard(vfio_pci_set)(set);
	for (i = 0; i < set->nr; i++) {
		guard(mutex)(&set->fns[i].vpd->hw_lock);
		/* We hold the locks of other functions, so do not wait. */
		if (set->fns[i].vpd->recovery.frozen)
			return vfio_err(cmd->file, -EAGAIN, "%s is recovering from an error",
					pci_name(set->fns[i].pdev));
		if (!vfio_pci_may_reset(cmd, set->fns[i].vpd))
			return vfio_err(cmd->file, -EINVAL, "%s is not the caller's",
					pci_name(set->fns[i].pdev));
	}
	ret = vfio_pci_set_reset(set);
	if (ret == -EAGAIN)
		vfio_err(cmd->file, ret, "a function is being reset or unbound by somebody else");
	else if (ret == -ENODEV)
		vfio_err(cmd->file, ret, "a function does not answer");
	else if (ret)
		vfio_err(cmd->file, ret, "the reset failed");
	return ret;
}

/*
 * Has the administrator disabled resets of the function? In that case, its reset_method is empty.
 * A function that cannot be reset alone has no such file.
 */
static bool vfio_pci_reset_forbidden(struct pci_dev *pdev)
{
	struct kernfs_node *file;

	if (pdev->reset_methods[0])
		return false;
	file = sysfs_get_dirent(pdev->dev.kobj.sd, "reset_method");
	sysfs_put(file);
	return file;
}

/**
 * vfio_pci_hot_reset_idle - reset functions that cannot be reset alone, if nobody uses any
 * @vpd: one of them, without a session
 *
 * Context: takes the core_lock and the hw_lock of all of them
 */
void vfio_pci_hot_reset_idle(struct vfio_pci_device *vpd)
{
	struct vfio_pci_reset_set *set __free(vfio_pci_set_put) = vfio_pci_set_get(vpd->pdev);
	unsigned int i;

	if (IS_ERR(set) || !set->ours)
		return;

	guard(vfio_pci_set)(set);
	for (i = 0; i < set->nr; i++) {
		guard(mutex)(&set->fns[i].vpd->hw_lock);
		if (!vfio_pci_is_idle(set->fns[i].vpd) || set->fns[i].vpd->recovery.frozen ||
		    vfio_pci_reset_forbidden(set->fns[i].pdev))
			return;
	}
	if (vfio_pci_set_reset(set))
		return;
	for (i = 0; i < set->nr; i++) {
		guard(mutex)(&set->fns[i].vpd->hw_lock);
		if (!set->fns[i].vpd->session.reset_works && !set->fns[i].vpd->recovery.frozen)
			vfio_pci_session_over(set->fns[i].vpd, true);
	}
}
