// SPDX-License-Identifier: GPL-2.0-only
/*
 * Parts of a memory BAR as a DMA-buf, through which other devices access them.
 *
 * An importer of a buffer accesses the BAR without going through the function's driver. So
 * importers are shut out together with the user's own mappings: while the BARs must not be accessed
 * (see mmap.c), and for good when the session ends. The buffer itself lives on, empty, as long as
 * somebody has it open, and keeps the device's struct allocated and this module loaded.
 */
#include <linux/dma-buf-mapping.h>
#include <linux/dma-resv.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/overflow.h>
#include <linux/pci-p2pdma.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "compat.h"
#include "vfio_pci.h"

/**
 * struct vfio_pci_dmabuf - what is exported
 * @vpd: the device; a reference is held
 * @dmabuf: the kernel's part of it, which frees this
 * @node: in vpd->dmabufs.list until the session ends; protected by vpd->dmabufs.lock
 * @live: the session that exported it still exists; protected by the buffer's reservation lock
 * @mapped: number of mappings by importers other than iommufd
 * @provider: the BAR in the PCI core's P2PDMA
 * @size: total size of @phys in bytes
 * @nr: number of ranges in @phys
 * @phys: physical ranges
 */
struct vfio_pci_dmabuf {
	struct vfio_pci_device *vpd;
	struct dma_buf *dmabuf;
	struct list_head node;
	bool live;
	atomic_t mapped;
	struct p2pdma_provider *provider;
	size_t size;
	u32 nr;
	struct phys_vec phys[] __counted_by(nr);
};

/*
 * May it be mapped now? Code that shuts importers out changes @decode first and then takes the
 * lock, so it sees all those that were allowed before.
 */
static bool vfio_pci_dmabuf_usable(struct vfio_pci_dmabuf *buf)
{
	dma_resv_assert_held(buf->dmabuf->resv);

	return buf->live && READ_ONCE(buf->vpd->mappings.decode) == VFIO_PCI_DECODE_ON &&
	       !READ_ONCE(buf->vpd->power.low);
}

/* Only for importers that do peer-to-peer DMA, and stop when the buffer is revoked */
static int vfio_pci_dmabuf_attach(struct dma_buf *dmabuf, struct dma_buf_attachment *attach)
{
	if (!attach->peer2peer || !dma_buf_attach_revocable(attach))
		return -EOPNOTSUPP;
	return 0;
}

static struct sg_table *vfio_pci_dmabuf_map(struct dma_buf_attachment *attach,
					    enum dma_data_direction dir)
{
	struct vfio_pci_dmabuf *buf = attach->dmabuf->priv;
	struct sg_table *sgt;

	if (!VFIO_DMA_BUF_CAN_BE_MAPPED)
		return ERR_PTR(-EOPNOTSUPP);
	if (!vfio_pci_dmabuf_usable(buf))
		return ERR_PTR(-ENODEV);
	sgt = dma_buf_phys_vec_to_sgt(attach, buf->provider, buf->phys, buf->nr, buf->size, dir);
	if (!IS_ERR(sgt))
		atomic_inc(&buf->mapped);
	return sgt;
}

static void vfio_pci_dmabuf_unmap(struct dma_buf_attachment *attach, struct sg_table *sgt,
				  enum dma_data_direction dir)
{
	struct vfio_pci_dmabuf *buf = attach->dmabuf->priv;

	/*
	 * The table has no entries for the CPU, so Linux 7.3 clears orig_nents. But the helper
	 * frees the table by orig_nents, and would leak it.
	 */
	sgt->orig_nents = sgt->nents;
	dma_buf_free_sgt(attach, sgt, dir);
	atomic_dec_and_wake_up(&buf->mapped);
}

/*
 * Called when no file and no path refers to the buffer any more, possibly long after its file was
 * closed. The device may be in another session by then, or in none. Only the list tells whether the
 * buffer still belongs to the session.
 */
static void vfio_pci_dmabuf_release(struct dma_buf *dmabuf)
{
	struct vfio_pci_dmabuf *buf = dmabuf->priv;

	scoped_guard(mutex, &buf->vpd->dmabufs.lock)
		list_del(&buf->node);
	vfio_device_free(&buf->vpd->vdev);
	kfree(buf);
}

static const struct dma_buf_ops vfio_pci_dmabuf_ops = {
	.attach = vfio_pci_dmabuf_attach,
	.map_dma_buf = vfio_pci_dmabuf_map,
	.unmap_dma_buf = vfio_pci_dmabuf_unmap,
	.release = vfio_pci_dmabuf_release,
};

/**
 * vfio_pci_dma_buf_iommufd_map - tell iommufd the address of the BAR that it maps
 * @attach: iommufd's attachment, to any exporter's buffer
 * @phys: filled in
 *
 * iommufd looks this function up by name. It drops @phys when it is told to invalidate its
 * mappings, and does not ask again.
 *
 * Context: reservation lock of the buffer held
 * Return: 0; -EOPNOTSUPP if it is not one range of a BAR; -ENODEV while it must not be accessed
 */
int vfio_pci_dma_buf_iommufd_map(struct dma_buf_attachment *attach, struct phys_vec *phys)
{
	struct vfio_pci_dmabuf *buf = attach->dmabuf->priv;

	if (attach->dmabuf->ops != &vfio_pci_dmabuf_ops)
		return -EOPNOTSUPP;
	if (!vfio_pci_dmabuf_usable(buf))
		return -ENODEV;
	if (buf->nr != 1)
		return -EOPNOTSUPP;
	*phys = buf->phys[0];
	return 0;
}
EXPORT_SYMBOL_FOR_MODULES(vfio_pci_dma_buf_iommufd_map, "iommufd");

/* Fill @buf with the user's ranges, which must be inside the BAR. */
static int vfio_pci_dmabuf_fill(struct vfio_pci_dmabuf *buf, struct pci_dev *pdev,
				const struct vfio_device_feature_dma_buf *get)
{
	u64 start = pci_resource_start(pdev, get->region_index);
	u64 len = pci_resource_len(pdev, get->region_index);
	u32 i;

	for (i = 0; i < get->nr_ranges; i++) {
		const struct vfio_region_dma_range *range = &get->dma_ranges[i];

		if (!range->length || !PAGE_ALIGNED(range->offset) || !PAGE_ALIGNED(range->length))
			return -EINVAL;
		if (range->offset >= len || range->length > len - range->offset)
			return -EINVAL;
		/* The DMA API uses the top bit of a size for itself. */
		if (check_add_overflow(buf->size, range->length, &buf->size) ||
		    buf->size > LONG_MAX)
			return -EINVAL;
		buf->phys[i].paddr = start + range->offset;
		buf->phys[i].len = range->length;
	}
	return 0;
}

/* Export it, still unknown to anybody. If this succeeds, the release op frees it. */
static int vfio_pci_dmabuf_export(struct vfio_pci_device *vpd, struct vfio_pci_dmabuf *buf,
				  u32 open_flags)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct dma_buf *dmabuf;

	info.ops = &vfio_pci_dmabuf_ops;
	info.size = buf->size;
	info.flags = open_flags;
	info.priv = buf;
	dmabuf = dma_buf_export(&info);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);

	vfio_device_get(&vpd->vdev);
	buf->vpd = vpd;
	buf->dmabuf = dmabuf;
	buf->live = true;
	guard(mutex)(&vpd->dmabufs.lock);
	list_add_tail(&buf->node, &vpd->dmabufs.list);
	return 0;
}

/**
 * vfio_pci_dmabuf_get - answer GET of VFIO_DEVICE_FEATURE_DMA_BUF
 * @cmd: data is a struct vfio_device_feature_dma_buf with its ranges
 *
 * Nothing is written to the user's struct, as a failure after creating the file would leak it.
 *
 * Return: the new file descriptor; -EINVAL for flags, no ranges, a BAR of ports, or ranges that
 * are not whole pages of the BAR; -ENODEV if it is not a BAR, or one that cannot be accessed; an
 * error of the PCI core, of the DMA-buf framework, or of getting a file descriptor
 */
int vfio_pci_dmabuf_get(struct vfio_cmd *cmd)
{
	const struct vfio_device_feature_dma_buf *get = cmd->data;
	struct vfio_pci_device *vpd = to_vfio_pci(cmd->vdev);
	struct vfio_pci_dmabuf *buf;
	u32 bar = get->region_index;
	int ret;

	if (!get->nr_ranges || get->flags)
		return vfio_err(cmd->file, -EINVAL, "a DMA-buf needs a range, and has no flags");
	if (bar >= PCI_STD_NUM_BARS || !(vpd->bars.reserved & BIT(bar)))
		return vfio_err(cmd->file, -ENODEV, "region %u is not a BAR, or is in use", bar);
	bar = array_index_nospec(bar, PCI_STD_NUM_BARS);
	if (!vfio_pci_bar_is_plain(vpd, bar))
		return vfio_err(cmd->file, -ENODEV, "BAR %u is not entirely the user's", bar);

	buf = kzalloc_flex(*buf, phys, get->nr_ranges, GFP_KERNEL_ACCOUNT);
	if (!buf)
		return -ENOMEM;
	buf->nr = get->nr_ranges;
	ret = vfio_pci_dmabuf_fill(buf, vpd->pdev, get);
	if (ret) {
		vfio_err(cmd->file, ret, "a range is not whole pages inside BAR %u", bar);
		goto free;
	}
	scoped_guard(mutex, &vpd->hw_lock)
		ret = pcim_p2pdma_init(vpd->pdev);
	if (ret)
		goto free;
	buf->provider = pcim_p2pdma_provider(vpd->pdev, bar);
	if (!buf->provider) {
		ret = vfio_err(cmd->file, -EINVAL, "BAR %u is not memory", bar);
		goto free;
	}
	ret = vfio_pci_dmabuf_export(vpd, buf, get->open_flags);
	if (ret)
		goto free;

	cmd->out_len = 0;
	ret = dma_buf_fd(buf->dmabuf, get->open_flags);
	if (ret < 0)
		dma_buf_put(buf->dmabuf);
	return ret;

free:
	kfree(buf);
	return ret;
}

/**
 * vfio_pci_dmabufs_revoke - stop all access to the BARs through DMA-bufs
 * @vpd: the device, whose decode is no longer ON; when it is again, buffers can be mapped again
 *
 * Context: hw_lock held. Takes reservation locks and, inside them, those of importers, and waits
 * until the importers have unmapped.
 */
void vfio_pci_dmabufs_revoke(struct vfio_pci_device *vpd)
{
	struct vfio_pci_dmabuf *buf;

	lockdep_assert_held(&vpd->hw_lock);

	guard(mutex)(&vpd->dmabufs.lock);
	list_for_each_entry(buf, &vpd->dmabufs.list, node) {
		struct dma_resv *resv = buf->dmabuf->resv;

		dma_resv_lock(resv, NULL);
		dma_buf_invalidate_mappings(buf->dmabuf);
		dma_resv_wait_timeout(resv, DMA_RESV_USAGE_BOOKKEEP, false, MAX_SCHEDULE_TIMEOUT);
		dma_resv_unlock(resv);
		wait_var_event(&buf->mapped, !atomic_read(&buf->mapped));
	}
}

/**
 * vfio_pci_dmabufs_close - end the DMA-bufs of the session for good
 * @vpd: the device, no longer LIVE, whose decode has been blocked
 *
 * Context: hw_lock held
 */
void vfio_pci_dmabufs_close(struct vfio_pci_device *vpd)
{
	struct vfio_pci_dmabuf *buf, *next;

	lockdep_assert_held(&vpd->hw_lock);

	guard(mutex)(&vpd->dmabufs.lock);
	list_for_each_entry_safe(buf, next, &vpd->dmabufs.list, node) {
		dma_resv_lock(buf->dmabuf->resv, NULL);
		buf->live = false;
		dma_resv_unlock(buf->dmabuf->resv);
		list_del_init(&buf->node);
	}
}

MODULE_IMPORT_NS("DMA_BUF");
