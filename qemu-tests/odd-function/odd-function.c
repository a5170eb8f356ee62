// SPDX-License-Identifier: GPL-2.0-only
/*
 * Make a function misbehave in rare ways, or at the right moment, while the module is loaded.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/iommu.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/pci.h>

static char *device = "";
module_param(device, charp, 0);
MODULE_PARM_DESC(device, "the function, DDDD:BB:DD.F");

static bool mute;
module_param(mute, bool, 0600);
MODULE_PARM_DESC(mute, "its config space does not answer; can be changed");

static bool dies;
module_param(dies, bool, 0);
MODULE_PARM_DESC(dies, "once it has been reset, it is mute before all of its configuration is back");

static bool blocked;
module_param(blocked, bool, 0);
MODULE_PARM_DESC(blocked, "user space accesses to its config space wait, as during a reset");

static bool locked;
module_param(locked, bool, 0);
MODULE_PARM_DESC(locked, "somebody holds its device lock");

static bool intx_stops_msi;
module_param(intx_stops_msi, bool, 0);
MODULE_PARM_DESC(intx_stops_msi, "its Interrupt Disable bit is known to disable MSI as well");

static bool forgets;
module_param(forgets, bool, 0);
MODULE_PARM_DESC(forgets, "D3hot to D0 resets its cache line size, if that may be a reset");

static uint d3hot_delay;
module_param(d3hot_delay, uint, 0);
MODULE_PARM_DESC(d3hot_delay, "delay of transitions to and from D3hot, in milliseconds");

static uint vf_bus;
module_param(vf_bus, uint, 0);
MODULE_PARM_DESC(vf_bus, "it is a VF, on the bus of this number, which is not its PF's");

static bool firmware_maps;
module_param(firmware_maps, bool, 0);
MODULE_PARM_DESC(firmware_maps, "firmware requires a mapping for it at all times, as by an RMRR");

static int recovers;
module_param(recovers, int, 0600);
MODULE_PARM_DESC(recovers, "a recovery comes to it (1), freezes it when told to (2), and thaws it (3), which is done (4)");

static struct pci_dev *pdev;
static struct pci_ops *old_ops;
static struct pci_bus *bus, *old_bus;
static unsigned int old_delay;
static bool resetting;
static struct task_struct *holder;
static DECLARE_COMPLETION(held);

static int mute_read(struct pci_bus *bus, unsigned int devfn, int pos, int size, u32 *val)
{
	if (devfn != pdev->devfn || !READ_ONCE(mute))
		return old_ops->read(bus, devfn, pos, size, val);
	PCI_SET_ERROR_RESPONSE(val);
	return PCIBIOS_SUCCESSFUL;
}

/* The PCI core disables what it resets by a write of this value, and restores all of the dword. */
static void look_for_reset(int pos, int size, u32 val)
{
	if (!dies || pos != PCI_COMMAND)
		return;
	if (size == 2 && val == PCI_COMMAND_INTX_DISABLE)
		resetting = true;
	if (size != 4 || !resetting)
		return;
	dies = false;
	WRITE_ONCE(mute, true);
}

/* QEMU's models keep all there is, though most do not say so. */
static bool wakes_up(struct pci_bus *bus, int pos, u32 val)
{
	u32 pmcsr;

	if (!forgets || !pdev->pm_cap || pos != pdev->pm_cap + PCI_PM_CTRL)
		return false;
	old_ops->read(bus, pdev->devfn, pos, 2, &pmcsr);
	return !(pmcsr & PCI_PM_CTRL_NO_SOFT_RESET) &&
	       (pmcsr & PCI_PM_CTRL_STATE_MASK) == (__force u32)PCI_D3hot &&
	       (val & PCI_PM_CTRL_STATE_MASK) == (__force u32)PCI_D0;
}

static int mute_write(struct pci_bus *bus, unsigned int devfn, int pos, int size, u32 val)
{
	if (devfn != pdev->devfn)
		return old_ops->write(bus, devfn, pos, size, val);
	look_for_reset(pos, size, val);
	if (!READ_ONCE(mute) && wakes_up(bus, pos, val))
		old_ops->write(bus, devfn, PCI_CACHE_LINE_SIZE, 1, 0);
	if (!READ_ONCE(mute))
		return old_ops->write(bus, devfn, pos, size, val);
	return PCIBIOS_SUCCESSFUL;
}

static struct pci_ops mute_ops = { .read = mute_read, .write = mute_write };

/* The hardware uses the real bus number. */
static int moved_read(struct pci_bus *bus, unsigned int devfn, int pos, int size, u32 *val)
{
	return old_bus->ops->read(old_bus, devfn, pos, size, val);
}

static int moved_write(struct pci_bus *bus, unsigned int devfn, int pos, int size, u32 val)
{
	return old_bus->ops->write(old_bus, devfn, pos, size, val);
}

static struct pci_ops moved_ops = { .read = moved_read, .write = moved_write };

/* Without pci_bus_sem, which is not exported: the test ensures that nobody walks the bus. */
static void move_to(struct pci_bus *bus)
{
	list_move_tail(&pdev->bus_list, &bus->devices);
	pdev->bus = bus;
}

/* Like the PCI core, when the number of a VF is too high for the bus of its PF */
static int add_bus(void)
{
	old_bus = pdev->bus;
	bus = pci_add_new_bus(old_bus, NULL, vf_bus);
	if (!bus)
		return -ENOMEM;
	pci_bus_set_ops(bus, &moved_ops);
	move_to(bus);
	return 0;
}

/* The real IOMMU, and a copy for this function alone. Other members of the copy are not used. */
static struct iommu_device *old_iommu, iommu;
static struct iommu_ops iommu_ops;

static void get_resv_regions(struct device *dev, struct list_head *head)
{
	struct iommu_resv_region *region;

	old_iommu->ops->get_resv_regions(dev, head);
	region = iommu_alloc_resv_region(0x100000, PAGE_SIZE, IOMMU_READ | IOMMU_WRITE,
					 IOMMU_RESV_DIRECT, GFP_KERNEL);
	if (region)
		list_add_tail(&region->list, head);
}

static int add_firmwares_map(void)
{
	struct dev_iommu *param = pdev->dev.iommu;

	if (!param)
		return -ENODEV;
	old_iommu = param->iommu_dev;
	iommu = *old_iommu;
	iommu_ops = *old_iommu->ops;
	iommu_ops.get_resv_regions = get_resv_regions;
	iommu.ops = &iommu_ops;
	param->iommu_dev = &iommu;
	param->require_direct = 1;
	return 0;
}

static void remove_firmwares_map(void)
{
	pdev->dev.iommu->require_direct = 0;
	pdev->dev.iommu->iommu_dev = old_iommu;
}

/* In a thread, as a task must not return to user space with a lock held. */
static int hold_lock(void *unused)
{
	device_lock(&pdev->dev);
	complete(&held);
	set_current_state(TASK_IDLE);
	while (!kthread_should_stop()) {
		schedule();
		set_current_state(TASK_IDLE);
	}
	__set_current_state(TASK_RUNNING);
	device_unlock(&pdev->dev);
	return 0;
}

static const struct pci_error_handlers *handlers(void)
{
	struct pci_driver *driver = pci_dev_driver(pdev);

	return driver ? driver->err_handler : NULL;
}

/* As the PCI core calls its driver: inside a walk over its bus. Nothing is really reset. */
static int recover_one(struct pci_dev *one, void *unused)
{
	if (one != pdev)
		return 0;
	complete(&held);
	while (READ_ONCE(recovers) < 2 && !kthread_should_stop())
		msleep(20);
	scoped_guard(device, &pdev->dev) {
		if (handlers())
			handlers()->error_detected(pdev, pci_channel_io_frozen);
	}
	while (READ_ONCE(recovers) < 3 && !kthread_should_stop())
		msleep(20);
	scoped_guard(device, &pdev->dev) {
		if (handlers()) {
			handlers()->slot_reset(pdev);
			handlers()->resume(pdev);
		}
	}
	WRITE_ONCE(recovers, 4);
	return 0;
}

static int recover(void *unused)
{
	pci_walk_bus(pdev->bus, recover_one, NULL);
	set_current_state(TASK_IDLE);
	while (!kthread_should_stop()) {
		schedule();
		set_current_state(TASK_IDLE);
	}
	__set_current_state(TASK_RUNNING);
	return 0;
}

static int hold(int (*fn)(void *unused))
{
	holder = kthread_run(fn, NULL, "odd-function");
	if (IS_ERR(holder))
		return PTR_ERR(holder);
	wait_for_completion(&held);
	return 0;
}

static int __init odd_function_init(void)
{
	unsigned int domain, nr, slot, fn;
	int ret;

	if (sscanf(device, "%x:%x:%x.%x", &domain, &nr, &slot, &fn) != 4)
		return -EINVAL;
	pdev = pci_get_domain_bus_and_slot(domain, nr, PCI_DEVFN(slot, fn));
	if (!pdev)
		return -ENODEV;
	ret = firmware_maps ? add_firmwares_map() : vf_bus ? add_bus() :
	      locked ? hold(hold_lock) : recovers ? hold(recover) : 0;
	if (ret) {
		pci_dev_put(pdev);
		return ret;
	}
	/* The generic functions that ECAM's call look for it in the ops of the bus. */
	old_ops = pdev->bus->ops;
	mute_ops.map_bus = old_ops->map_bus;
	pci_bus_set_ops(pdev->bus, &mute_ops);
	old_delay = pdev->d3hot_delay;
	if (d3hot_delay)
		pdev->d3hot_delay = d3hot_delay;
	if (blocked)
		pci_cfg_access_lock(pdev);
	if (intx_stops_msi)
		pdev->dev_flags |= PCI_DEV_FLAGS_MSI_INTX_DISABLE_BUG;
	return 0;
}
module_init(odd_function_init);

static void __exit odd_function_exit(void)
{
	if (intx_stops_msi)
		pdev->dev_flags &= ~PCI_DEV_FLAGS_MSI_INTX_DISABLE_BUG;
	if (blocked)
		pci_cfg_access_unlock(pdev);
	pdev->d3hot_delay = old_delay;
	pci_bus_set_ops(pdev->bus, old_ops);
	if (firmware_maps)
		remove_firmwares_map();
	if (vf_bus) {
		move_to(old_bus);
		pci_remove_bus(bus);
	}
	if (holder)
		kthread_stop(holder);
	pci_dev_put(pdev);
}
module_exit(odd_function_exit);

MODULE_DESCRIPTION("A function with rare faults, for tests");
MODULE_LICENSE("GPL");
