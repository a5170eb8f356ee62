// SPDX-License-Identifier: GPL-2.0-only
/*
 * The firmware's framebuffer, as the kernel finds it at boot on a machine with UEFI: a platform
 * device whose memory is the beginning of a display's BAR 0. The test machines have none, as QEMU
 * starts the kernel without firmware that would set one up.
 */
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/platform_data/simplefb.h>
#include <linux/platform_device.h>

static char *device = "";
module_param(device, charp, 0);
MODULE_PARM_DESC(device, "the display, DDDD:BB:DD.F");

static const struct simplefb_platform_data mode = {
	.width = 64,
	.height = 64,
	.stride = 64 * 4,
	.format = "x8r8g8b8",
};

/* Unregistered by the driver that takes over the display */
static struct platform_device *frame_buffer;

static int __init frame_buffer_init(void)
{
	unsigned int domain, bus, slot, function;
	struct resource memory;
	struct pci_dev *pdev;

	if (sscanf(device, "%x:%x:%x.%x", &domain, &bus, &slot, &function) != 4)
		return -EINVAL;
	pdev = pci_get_domain_bus_and_slot(domain, bus, PCI_DEVFN(slot, function));
	if (!pdev)
		return -ENODEV;
	memory = DEFINE_RES_MEM(pci_resource_start(pdev, 0), mode.stride * mode.height);
	pci_dev_put(pdev);

	frame_buffer = platform_device_register_resndata(NULL, "simple-framebuffer",
							 PLATFORM_DEVID_NONE, &memory, 1, &mode,
							 sizeof(mode));
	if (IS_ERR(frame_buffer))
		return PTR_ERR(frame_buffer);
	get_device(&frame_buffer->dev);
	return 0;
}

static void __exit frame_buffer_exit(void)
{
	if (device_is_registered(&frame_buffer->dev))
		platform_device_unregister(frame_buffer);
	put_device(&frame_buffer->dev);
}

module_init(frame_buffer_init);
module_exit(frame_buffer_exit);
MODULE_DESCRIPTION("A fake firmware framebuffer, for tests");
MODULE_LICENSE("GPL");
