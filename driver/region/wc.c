// SPDX-License-Identifier: GPL-2.0-only
/*
 * Parts of BARs that their user wants to be write-combined.
 *
 * A page of a BAR has one memory type in all of its mappings: having two at once is undefined on
 * x86, where the kernel keeps a list of memory types. So write-combining is not a property of a
 * single mapping. It is requested once for all mappings, while nothing is mapped, and lasts as long
 * as the session. The kernel's own mapping of a BAR covers all of its pages, so such a BAR has
 * none.
 */
#include <linux/io.h>
#include <linux/nospec.h>
#include <linux/overflow.h>

#include "vfio_pci.h"

static u64 vfio_pci_wc_start(const struct vfio_pci_wc *wc)
{
	return wc->first << PAGE_SHIFT;
}

static u64 vfio_pci_wc_size(const struct vfio_pci_wc *wc)
{
	return (wc->end - wc->first) << PAGE_SHIFT;
}

/**
 * vfio_pci_wc_has - can BARs be mapped write-combined?
 * @vdev: the device
 */
bool vfio_pci_wc_has(struct vfio_device *vdev)
{
	return arch_can_pci_mmap_wc();
}

/**
 * vfio_pci_wc_pages - are pages of a BAR write-combined?
 * @vpd: the device
 * @bar: the BAR
 * @page: the first page
 * @nr: number of pages
 *
 * Context: any. The answer does not change while the BARs may be accessed.
 * Return: 1 if all of them are; 0 if none is; -1 if some are
 */
int vfio_pci_wc_pages(struct vfio_pci_device *vpd, unsigned int bar, u64 page, u64 nr)
{
	/* Pairs with the release in vfio_pci_wc_add(): rows are added, but never change. */
	unsigned int i, rows = smp_load_acquire(&vpd->wc.nr);

	for (i = 0; i < rows; i++) {
		const struct vfio_pci_wc *wc = &vpd->wc.parts[i];

		if (wc->bar != bar || page >= wc->end || page + nr <= wc->first)
			continue;
		return page >= wc->first && page + nr <= wc->end ? 1 : -1;
	}
	return 0;
}

/* The caller holds the locks that keep everybody off the BARs, and new ioeventfds out. */
static int vfio_pci_wc_add(struct vfio_pci_device *vpd, const struct vfio_pci_wc *wc)
{
	int ret;

	vfio_pci_decode_block(vpd);
	vfio_pci_bar_forget(vpd, wc->bar);
	ret = arch_io_reserve_memtype_wc(pci_resource_start(vpd->pdev, wc->bar) +
					 vfio_pci_wc_start(wc), vfio_pci_wc_size(wc));
	if (!ret) {
		vpd->wc.bars |= BIT(wc->bar);
		vpd->wc.parts[vpd->wc.nr] = *wc;
		/* Pairs with the acquire in vfio_pci_wc_pages(). */
		smp_store_release(&vpd->wc.nr, vpd->wc.nr + 1);
	}
	vfio_pci_decode_update(vpd);
	return ret;
}

static bool vfio_pci_wc_has_table(struct vfio_pci_device *vpd, const struct vfio_pci_wc *wc)
{
	return (int)wc->bar == vpd->bars.msix_bar &&
	       vfio_pci_wc_start(wc) < vpd->bars.msix_end &&
	       vfio_pci_wc_start(wc) + vfio_pci_wc_size(wc) > vpd->bars.msix_start;
}

/**
 * vfio_pci_wc_set - answer a SET of VFIO_DEVICE_FEATURE_WRITE_COMBINE
 * @cmd: struct vfio_device_feature_write_combine
 *
 * Return: 0; -EINVAL if it is not a part of a prefetchable BAR that can be mapped, or contains the
 * MSI-X table; -EEXIST; -ENOSPC; -EBUSY if an ioeventfd writes to the BAR, or something else in the
 * host has mapped it
 */
int vfio_pci_wc_set(struct vfio_cmd *cmd)
{
	const struct vfio_device_feature_write_combine *arg = cmd->data;
	struct vfio_pci_device *vpd = to_vfio_pci(cmd->vdev);
	struct vfio_pci_wc wc;
	u64 end;

	if (arg->flags || arg->index >= PCI_STD_NUM_BARS || !arg->length ||
	    !PAGE_ALIGNED(arg->offset | arg->length) ||
	    check_add_overflow(arg->offset, arg->length, &end))
		return vfio_err(cmd->file, -EINVAL,
				"region %u, %#llx bytes at %#llx: not whole pages of a BAR",
				arg->index, arg->length, arg->offset);
	wc.bar = array_index_nospec(arg->index, PCI_STD_NUM_BARS);
	wc.first = arg->offset >> PAGE_SHIFT;
	wc.end = end >> PAGE_SHIFT;
	if (!(vpd->bars.mmap & BIT(wc.bar)) || end > pci_resource_len(vpd->pdev, wc.bar) ||
	    !(pci_resource_flags(vpd->pdev, wc.bar) & IORESOURCE_PREFETCH))
		return vfio_err(cmd->file, -EINVAL,
				"region %u is not prefetchable, or cannot be mapped up to %#llx",
				arg->index, end);
	if (vfio_pci_wc_has_table(vpd, &wc))
		return vfio_err(cmd->file, -EINVAL, "the range contains the MSI-X table");

	guard(vfio_pci_hw)(vpd);
	guard(mutex)(&vpd->irq.lock);
	if (vfio_pci_wc_pages(vpd, wc.bar, wc.first, wc.end - wc.first))
		return vfio_err(cmd->file, -EEXIST, "at least a part of it already is");
	if (vpd->wc.nr == ARRAY_SIZE(vpd->wc.parts))
		return vfio_err(cmd->file, -ENOSPC, "there are already %u such ranges", vpd->wc.nr);
	if (vfio_pci_ioeventfd_writes_to(vpd, wc.bar))
		return vfio_err(cmd->file, -EBUSY, "an ioeventfd writes to region %u", arg->index);
	return vfio_pci_wc_add(vpd, &wc);
}

/**
 * vfio_pci_wc_close - end write-combining at the end of a session
 * @vpd: the device, no longer LIVE; no BAR is mapped
 */
void vfio_pci_wc_close(struct vfio_pci_device *vpd)
{
	while (vpd->wc.nr) {
		const struct vfio_pci_wc *wc = &vpd->wc.parts[--vpd->wc.nr];

		arch_io_free_memtype_wc(pci_resource_start(vpd->pdev, wc->bar) +
					vfio_pci_wc_start(wc), vfio_pci_wc_size(wc));
	}
	vpd->wc.bars = 0;
}
