// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio-pci.ko: assigns a PCI function to user space.
 */
#include <linux/module.h>

#include "vfio_pci.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

static char device_ids[1024] __initdata;
module_param_string(ids, device_ids, sizeof(device_ids), 0);
MODULE_PARM_DESC(ids,
		 "Devices to bind at load, \"vendor:device[:subvendor[:subdevice[:class[:class_mask]]]]\" in hex, separated by commas");

bool vfio_pci_disable_denylist;
module_param_named(disable_denylist, vfio_pci_disable_denylist, bool, 0444);
MODULE_PARM_DESC(disable_denylist,
		 "Accept devices that are known to be unsafe to assign to a hostile user");

module_param_named(enable_sriov, vfio_pci_enable_sriov, bool, 0644);
MODULE_PARM_DESC(enable_sriov,
		 "Let sriov_numvfs create virtual functions of a function that user space owns. Most need its user to set them up");

bool vfio_pci_disable_idle_d3;
module_param_named(disable_idle_d3, vfio_pci_disable_idle_d3, bool, 0644);
MODULE_PARM_DESC(disable_idle_d3,
		 "Keep unused devices awake. Applies to devices that are bound from then on");

bool vfio_pci_nointxmask;
module_param_named(nointxmask, vfio_pci_nointxmask, bool, 0644);
MODULE_PARM_DESC(nointxmask,
		 "Mask INTx at the host's interrupt controller, not in the device. Applies to devices that are bound from then on");

bool vfio_pci_disable_vga;
module_param_named(disable_vga, vfio_pci_disable_vga, bool, 0444);
MODULE_PARM_DESC(disable_vga, "Deny users access to legacy VGA memory and ports");

struct workqueue_struct *vfio_pci_wq;

/* Binds only by driver_override, new_id or ids=. The alias is vfio_pci:v*d*... */
static const struct pci_device_id vfio_pci_table[] = {
	{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO(PCI_ANY_ID, PCI_ANY_ID) },
	{}
};
MODULE_DEVICE_TABLE(pci, vfio_pci_table);

static int vfio_pci_probe_plain(struct pci_dev *pdev, const struct pci_device_id *id)
{
	return vfio_pci_probe(pdev, NULL);
}

struct pci_driver vfio_pci_driver = {
	.name = "vfio-pci",
	.driver_managed_dma = true,
	.id_table = vfio_pci_table,
	.err_handler = &vfio_pci_error_handlers,
	.probe = vfio_pci_probe_plain,
	.remove = vfio_pci_remove,
	.sriov_configure = vfio_pci_sriov_configure,
	.driver.pm = pm_ptr(&vfio_pci_pm_ops),
};

static void __init vfio_pci_add_id(const char *text)
{
	unsigned int vendor, device, subvendor = PCI_ANY_ID, subdevice = PCI_ANY_ID;
	unsigned int class = 0, class_mask = 0;
	int fields, ret;

	fields = sscanf(text, "%x:%x:%x:%x:%x:%x", &vendor, &device, &subvendor, &subdevice,
			&class, &class_mask);
	if (fields < 2) {
		pr_warn("vfio-pci: ids= has '%s', which is not vendor:device\n", text);
		return;
	}
	ret = pci_add_dynid(&vfio_pci_driver, vendor, device, subvendor, subdevice, class,
			    class_mask, 0);
	if (ret)
		pr_warn("vfio-pci: cannot add '%s' of ids=: error %d\n", text, ret);
}

static int __init vfio_pci_init(void)
{
	char *rest = device_ids, *text;
	int ret;

	/* Freezable, so that no reset runs while the system suspends the function. */
	vfio_pci_wq = alloc_workqueue("vfio-pci", WQ_UNBOUND | WQ_FREEZABLE, 0);
	if (!vfio_pci_wq)
		return -ENOMEM;
	ret = bus_register_notifier(&pci_bus_type, &vfio_pci_sriov_notifier);
	if (ret)
		goto destroy_wq;
	ret = pci_register_driver(&vfio_pci_driver);
	if (ret)
		goto unregister_notifier;
	while ((text = strsep(&rest, ",")))
		if (*text)
			vfio_pci_add_id(text);
	return 0;

unregister_notifier:
	bus_unregister_notifier(&pci_bus_type, &vfio_pci_sriov_notifier);
destroy_wq:
	destroy_workqueue(vfio_pci_wq);
	return ret;
}

static void __exit vfio_pci_exit(void)
{
	pci_unregister_driver(&vfio_pci_driver);
	bus_unregister_notifier(&pci_bus_type, &vfio_pci_sriov_notifier);
	destroy_workqueue(vfio_pci_wq);
}

module_init(vfio_pci_init);
module_exit(vfio_pci_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("VFIO device model for PCI");
