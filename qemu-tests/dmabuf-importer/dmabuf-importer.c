// SPDX-License-Identifier: GPL-2.0-only
/*
 * Import a DMA-buf for a PCI function, as the driver of an RDMA NIC does: it is mapped for the
 * function's DMA, and unmapped when the exporter revokes it. Loaded by dmabuf_import_test.
 */
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/module.h>
#include <linux/pci.h>

static char *device = "";
module_param(device, charp, 0);
MODULE_PARM_DESC(device, "the function, DDDD:BB:DD.F");

static int fd = -1;
module_param(fd, int, 0);
MODULE_PARM_DESC(fd, "the DMA-buf, a file descriptor of the process that loads this");

static bool peer2peer = true;
module_param(peer2peer, bool, 0);
MODULE_PARM_DESC(peer2peer, "supports memory without struct page");

static bool revocable = true;
module_param(revocable, bool, 0);
MODULE_PARM_DESC(revocable, "supports revocation");

static ulong addr;
module_param(addr, ulong, 0400);
MODULE_PARM_DESC(addr, "DMA address of its first part");

static ulong size;
module_param(size, ulong, 0400);
MODULE_PARM_DESC(size, "bytes mapped, 0 for nothing");

static uint parts;
module_param(parts, uint, 0400);
MODULE_PARM_DESC(parts, "number of parts of the mapping");

static struct pci_dev *pdev;
static struct dma_buf *dmabuf;
static struct dma_buf_attachment *attach;
static struct sg_table *sgt;

static void unmap(void)
{
	dma_resv_assert_held(dmabuf->resv);

	if (!sgt)
		return;
	dma_buf_unmap_attachment(attach, sgt, DMA_BIDIRECTIONAL);
	sgt = NULL;
	addr = 0;
	size = 0;
	parts = 0;
}

static int map(void)
{
	struct scatterlist *sg;
	struct sg_table *new;
	int i;

	dma_resv_assert_held(dmabuf->resv);

	unmap();
	new = dma_buf_map_attachment(attach, DMA_BIDIRECTIONAL);
	if (IS_ERR(new))
		return PTR_ERR(new);
	sgt = new;
	addr = sg_dma_address(sgt->sgl);
	for_each_sgtable_dma_sg(sgt, sg, i)
		size += sg_dma_len(sg);
	parts = sgt->nents;
	return 0;
}

/* Writing 1 maps it, or maps it again. The write fails with the error of the mapping. */
static int map_set(const char *text, const struct kernel_param *param)
{
	bool wanted;
	int ret;

	ret = kstrtobool(text, &wanted);
	if (ret)
		return ret;
	if (!attach)
		return -ENODEV;
	dma_resv_lock(dmabuf->resv, NULL);
	if (wanted)
		ret = map();
	else
		unmap();
	dma_resv_unlock(dmabuf->resv);
	return ret;
}

static const struct kernel_param_ops map_ops = { .set = map_set };
module_param_cb(map, &map_ops, NULL, 0200);
MODULE_PARM_DESC(map, "1: map it; 0: unmap it");

static void invalidate(struct dma_buf_attachment *attach)
{
	unmap();
}

static struct dma_buf_attach_ops importer_ops;

static int __init dmabuf_importer_init(void)
{
	unsigned int domain, bus, slot, fn;
	int ret;

	if (sscanf(device, "%x:%x:%x.%x", &domain, &bus, &slot, &fn) != 4)
		return -EINVAL;
	pdev = pci_get_domain_bus_and_slot(domain, bus, PCI_DEVFN(slot, fn));
	if (!pdev)
		return -ENODEV;
	dmabuf = dma_buf_get(fd);
	if (IS_ERR(dmabuf)) {
		ret = PTR_ERR(dmabuf);
		goto put_device;
	}
	importer_ops.allow_peer2peer = peer2peer;
	importer_ops.invalidate_mappings = revocable ? invalidate : NULL;
	attach = dma_buf_dynamic_attach(dmabuf, &pdev->dev, &importer_ops, NULL);
	if (IS_ERR(attach)) {
		ret = PTR_ERR(attach);
		goto put_dmabuf;
	}
	return 0;

put_dmabuf:
	dma_buf_put(dmabuf);
put_device:
	pci_dev_put(pdev);
	return ret;
}

static void __exit dmabuf_importer_exit(void)
{
	dma_resv_lock(dmabuf->resv, NULL);
	unmap();
	dma_resv_unlock(dmabuf->resv);
	dma_buf_detach(dmabuf, attach);
	dma_buf_put(dmabuf);
	pci_dev_put(pdev);
}

module_init(dmabuf_importer_init);
module_exit(dmabuf_importer_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Imports a DMA-buf for a PCI function");
MODULE_IMPORT_NS("DMA_BUF");
