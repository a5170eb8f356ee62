// SPDX-License-Identifier: GPL-2.0-only
/*
 * Disguise a function as Intel's integrated graphics, with an OpRegion in the machine's memory,
 * while the module is loaded. igd_test knows the contents of the OpRegion.
 */
#include <linux/gfp.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/unaligned.h>

#include "region/igd.h"

static char *device = "";
module_param(device, charp, 0);
MODULE_PARM_DESC(device, "the function, DDDD:BB:DD.F; bound to no driver, or to vfio-pci");

static ushort version;
module_param(version, ushort, 0);
MODULE_PARM_DESC(version, "version of the OpRegion, 0x0200 for 2.0");

static uint vbt;
module_param(vbt, uint, 0);
MODULE_PARM_DESC(vbt, "size of a VBT outside the OpRegion, in bytes");

static bool bad;
module_param(bad, bool, 0);
MODULE_PARM_DESC(bad, "spoil the signature");

static bool none;
module_param(none, bool, 0);
MODULE_PARM_DESC(none, "leave ASLS 0");

/* The VBT does not directly follow the OpRegion. */
#define VBT_AT		SZ_16K
#define ORDER		get_order(VBT_AT + SZ_64K)

static struct pci_dev *pdev;
static struct page *pages;
static u16 old_vendor;
static u32 old_class, old_asls;

static void fill(u8 *op, u64 addr)
{
	unsigned int i;

	for (i = 0; i < IGD_OPREGION_SIZE; i++)
		op[i] = i * 7 + (i >> 8);
	memcpy(op, IGD_SIGNATURE, 16);
	op[0] ^= bad;
	put_unaligned_le32(IGD_OPREGION_SIZE / SZ_1K, op + IGD_SIZE_KB);
	put_unaligned_le16(version, op + IGD_VERSION);
	put_unaligned_le64(0, op + IGD_RVDA);
	put_unaligned_le32(vbt, op + IGD_RVDS);
	if (vbt)
		put_unaligned_le64(version > IGD_VERSION_2_0 ? VBT_AT : addr + VBT_AT,
				   op + IGD_RVDA);
	for (i = 0; i < vbt; i++)
		op[VBT_AT + i] = ~i;
}

static int __init fake_igd_init(void)
{
	unsigned int domain, bus, slot, fn;

	if (sscanf(device, "%x:%x:%x.%x", &domain, &bus, &slot, &fn) != 4 || vbt > SZ_64K)
		return -EINVAL;
	pdev = pci_get_domain_bus_and_slot(domain, bus, PCI_DEVFN(slot, fn));
	if (!pdev)
		return -ENODEV;
	pages = alloc_pages(GFP_KERNEL | GFP_DMA32, ORDER);
	if (!pages) {
		pci_dev_put(pdev);
		return -ENOMEM;
	}
	fill(page_address(pages), page_to_phys(pages));

	old_vendor = pdev->vendor;
	old_class = pdev->class;
	pci_read_config_dword(pdev, IGD_ASLS, &old_asls);
	pci_write_config_dword(pdev, IGD_ASLS, none ? 0 : page_to_phys(pages));
	pdev->vendor = PCI_VENDOR_ID_INTEL;
	/* Not VGA, which the arbiter would have to know. */
	pdev->class = PCI_CLASS_DISPLAY_OTHER << 8;
	return 0;
}
module_init(fake_igd_init);

static void __exit fake_igd_exit(void)
{
	pdev->vendor = old_vendor;
	pdev->class = old_class;
	pci_write_config_dword(pdev, IGD_ASLS, old_asls);
	__free_pages(pages, ORDER);
	pci_dev_put(pdev);
}
module_exit(fake_igd_exit);

MODULE_DESCRIPTION("A fake Intel graphics function, for tests");
MODULE_LICENSE("GPL");
