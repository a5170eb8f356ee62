// SPDX-License-Identifier: GPL-2.0-only
/*
 * BAR regions: access to memory and I/O ports with pread and pwrite. mmap.c maps them.
 */
#include <linux/export.h>
#include <linux/io.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/unaligned.h>

#include "vfio_pci.h"

/*
 * The widest access that the alignment of the offset, the number of bytes left and the maximum
 * width allow. Registers often act on a whole access, so its width is part of the user's request.
 */
static size_t vfio_pci_bar_width(u64 off, size_t len, size_t widest)
{
	return min_t(u64, min(len, widest), off ? off & -off : widest);
}

/**
 * vfio_pci_bar_read_one - make one read access to a BAR, or to something like it
 * @at: address to read from
 * @buf: gets the bytes
 * @off: offset of @at in the BAR
 * @len: number of bytes left of the user's request
 * @widest: the widest access that is allowed, 4 or 8
 *
 * Return: the number of bytes that were read
 */
size_t vfio_pci_bar_read_one(void __iomem *at, void *buf, u64 off, size_t len, size_t widest)
{
	size_t width = vfio_pci_bar_width(off, len, widest);

	if (width >= 8) {
		put_unaligned_le64(ioread64(at), buf);
		return 8;
	}
	if (width >= 4) {
		put_unaligned_le32(ioread32(at), buf);
		return 4;
	}
	if (width >= 2) {
		put_unaligned_le16(ioread16(at), buf);
		return 2;
	}
	*(u8 *)buf = ioread8(at);
	return 1;
}

static size_t vfio_pci_bar_write_one(void __iomem *at, const void *buf, u64 off, size_t len,
				     size_t widest)
{
	size_t width = vfio_pci_bar_width(off, len, widest);

	if (width >= 8) {
		iowrite64(get_unaligned_le64(buf), at);
		return 8;
	}
	if (width >= 4) {
		iowrite32(get_unaligned_le32(buf), at);
		return 4;
	}
	if (width >= 2) {
		iowrite16(get_unaligned_le16(buf), at);
		return 2;
	}
	iowrite8(*(const u8 *)buf, at);
	return 1;
}

/*
 * How many bytes from @off on are either all inside or all outside the MSI-X table? The table
 * belongs to the host: writes to it are dropped, and it reads as all ones. (With mmap, the user can
 * access it, and interrupt remapping makes that harmless. pread and pwrite hide it because users
 * expect them to.)
 */
static size_t vfio_pci_bar_span(struct vfio_pci_device *vpd, unsigned int bar, u64 off, size_t len,
				bool *hidden)
{
	*hidden = false;
	if ((int)bar != vpd->bars.msix_bar || off >= vpd->bars.msix_end)
		return len;
	if (off < vpd->bars.msix_start)
		return min_t(u64, len, vpd->bars.msix_start - off);
	*hidden = true;
	return min_t(u64, len, vpd->bars.msix_end - off);
}

static void vfio_pci_bar_move(struct vfio_pci_device *vpd, unsigned int bar, void __iomem *base,
			      const struct vfio_io *io, u64 off, size_t len, bool write)
{
	size_t widest = pci_resource_flags(vpd->pdev, bar) & IORESOURCE_MEM ? 8 : 4;
	size_t done = 0;

	while (done < len) {
		bool hidden;
		size_t n = vfio_pci_bar_span(vpd, bar, off + done, len - done, &hidden);
		void *buf = io->buf + done;

		if (!hidden && write)
			n = vfio_pci_bar_write_one(base + off + done, buf, off + done, n, widest);
		else if (!hidden)
			n = vfio_pci_bar_read_one(base + off + done, buf, off + done, n, widest);
		else if (!write)
			memset(buf, 0xff, n);
		done += n;
	}
}

/**
 * vfio_pci_bar_is_plain - is a BAR an ordinary one, which no variant handles?
 * @vpd: the device
 * @bar: its number
 */
bool vfio_pci_bar_is_plain(const struct vfio_pci_device *vpd, unsigned int bar)
{
	return vpd->regions[bar] == &vfio_pci_bar_ops;
}

/**
 * vfio_pci_barmap - get the kernel's mapping of a BAR, made on first use
 * @vpd: the device
 * @bar: a BAR that exists
 *
 * If two callers race, the second one drops its mapping.
 *
 * Return: its start, valid until vfio_pci_bars_close(); NULL when out of memory
 */
void __iomem *vfio_pci_barmap(struct vfio_pci_device *vpd, unsigned int bar)
{
	void __iomem *base = READ_ONCE(vpd->bars.map[bar]), *other;

	if (base)
		return base;
	base = pci_iomap(vpd->pdev, bar, 0);
	if (!base)
		return NULL;
	other = cmpxchg(&vpd->bars.map[bar], NULL, base);
	if (!other)
		return base;
	pci_iounmap(vpd->pdev, base);
	return other;
}

/* Fast path for one register of a memory BAR. Returns false for any other access. */
static bool vfio_pci_bar_register(struct vfio_pci_device *vpd, unsigned int bar,
				  void __iomem *at, const struct vfio_io *io, u64 off, bool write)
{
	size_t len = io->len;
	void *buf = io->buf;

	if (off & (len - 1) ||
	    ((int)bar == vpd->bars.msix_bar && off < vpd->bars.msix_end &&
	     off + len > vpd->bars.msix_start))
		return false;
	switch (len) {
	case 1:
		if (write)
			writeb(*(u8 *)buf, at);
		else
			*(u8 *)buf = readb(at);
		return true;
	case 2:
		if (write)
			writew(get_unaligned_le16(buf), at);
		else
			put_unaligned_le16(readw(at), buf);
		return true;
	case 4:
		if (write)
			writel(get_unaligned_le32(buf), at);
		else
			put_unaligned_le32(readl(at), buf);
		return true;
	case 8:
		if (write)
			writeq(get_unaligned_le64(buf), at);
		else
			put_unaligned_le64(readq(at), buf);
		return true;
	}
	return false;
}

/**
 * vfio_pci_bar_prepare - prepare a BAR for vfio_pci_bar_put()
 * @vpd: the device, open
 * @bar: a BAR that exists
 *
 * Context: the interrupt lock held, so that the BAR does not become write-combined
 * Return: 0: vfio_pci_bar_put() works until vfio_pci_bar_forget(); -EBUSY if somebody else has
 * reserved the BAR, or it is a variant's, or write-combined; -ENOMEM
 */
int vfio_pci_bar_prepare(struct vfio_pci_device *vpd, unsigned int bar)
{
	lockdep_assert_held(&vpd->irq.lock);

	if (!(vpd->bars.reserved & ~vpd->wc.bars & BIT(bar)) || !vfio_pci_bar_is_plain(vpd, bar))
		return -EBUSY;
	return vfio_pci_barmap(vpd, bar) ? 0 : -ENOMEM;
}

/**
 * vfio_pci_bar_forget - remove the kernel's mapping of a BAR
 * @vpd: the device
 * @bar: the BAR, whose mapping nobody uses
 */
void vfio_pci_bar_forget(struct vfio_pci_device *vpd, unsigned int bar)
{
	if (vpd->bars.map[bar])
		pci_iounmap(vpd->pdev, vpd->bars.map[bar]);
	vpd->bars.map[bar] = NULL;
}

/**
 * vfio_pci_bar_put - write to a BAR
 * @vpd: the device
 * @bar: prepared by vfio_pci_bar_prepare()
 * @off: offset in the BAR, outside the MSI-X table
 * @buf: the bytes; not changed
 * @len: number of bytes
 *
 * Context: any, while the function is awake and decodes the BAR
 */
void vfio_pci_bar_put(struct vfio_pci_device *vpd, unsigned int bar, u64 off, void *buf, size_t len)
{
	const struct vfio_io io = { .buf = buf, .len = len, .left = len };

	vfio_pci_bar_move(vpd, bar, READ_ONCE(vpd->bars.map[bar]), &io, off, len, true);
}

/* The caller ensures that the BAR answers, and thereby that it does not become write-combined. */
static ssize_t vfio_pci_bar_rw_on(struct vfio_pci_device *vpd, unsigned int bar,
				  const struct vfio_io *io, u64 off, size_t len, bool write)
{
	void __iomem *base;

	if (unlikely(vpd->wc.bars & BIT(bar)))
		return -EBUSY;
	base = vfio_pci_barmap(vpd, bar);
	if (!base)
		return -ENOMEM;
	if (pci_resource_flags(vpd->pdev, bar) & IORESOURCE_IO || len < io->len ||
	    !vfio_pci_bar_register(vpd, bar, base + off, io, off, write))
		vfio_pci_bar_move(vpd, bar, base, io, off, len, write);
	return len;
}

static ssize_t vfio_pci_bar_rw(struct vfio_pci_device *vpd, unsigned int bar,
			       const struct vfio_io *io, u64 off, bool write)
{
	u64 size = pci_resource_len(vpd->pdev, bar);
	size_t len;
	ssize_t ret;
	int srcu;

	if (off >= size)
		return -EINVAL;
	if (!(vpd->bars.reserved & BIT(bar)))
		return -EBUSY;
	len = min_t(u64, io->len, size - off);

	if (pci_resource_flags(vpd->pdev, bar) & IORESOURCE_MEM) {
		if (!vfio_pci_decode_enter(vpd, &srcu))
			return -EIO;
		ret = vfio_pci_bar_rw_on(vpd, bar, io, off, len, write);
		vfio_pci_decode_exit(vpd, srcu);
		return ret;
	}
	/* Ports are rare enough to take the lock, and need no SRCU as they cannot be mapped. */
	guard(vfio_pci_hw)(vpd);
	if (vpd->power.suspended)
		return -EIO;
	return vfio_pci_bar_rw_on(vpd, bar, io, off, len, write);
}

static ssize_t vfio_pci_bar_read(struct vfio_pci_device *vpd, unsigned int bar,
				 const struct vfio_io *io, u64 off)
{
	return vfio_pci_bar_rw(vpd, bar, io, off, false);
}

static ssize_t vfio_pci_bar_write(struct vfio_pci_device *vpd, unsigned int bar,
				  const struct vfio_io *io, u64 off)
{
	return vfio_pci_bar_rw(vpd, bar, io, off, true);
}

static int vfio_pci_bar_info(struct vfio_pci_device *vpd, unsigned int bar,
			     struct vfio_region_info *info, struct vfio_caps *caps)
{
	info->size = pci_resource_len(vpd->pdev, bar);
	if (!info->size)
		return 0;

	info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	if (vpd->bars.mmap & BIT(bar)) {
		info->flags |= VFIO_REGION_INFO_FLAG_MMAP;
		if ((int)bar == vpd->bars.msix_bar)
			vfio_caps_add(caps, VFIO_REGION_INFO_CAP_MSIX_MAPPABLE, 1,
				      sizeof(struct vfio_info_cap_header));
	}
	return 0;
}

const struct vfio_pci_region_ops vfio_pci_bar_ops = {
	.info = vfio_pci_bar_info,
	.read = vfio_pci_bar_read,
	.write = vfio_pci_bar_write,
	.mmap = vfio_pci_bar_mmap,
};
EXPORT_SYMBOL_NS_GPL(vfio_pci_bar_ops, "VFIO_PCI");

/*
 * A BAR smaller than a page can be mapped if it is at the start of a page, and the rest of the page
 * can be reserved. A BAR at another offset cannot, as the user would not know the offset.
 */
static bool vfio_pci_bar_pad(struct vfio_pci_device *vpd, unsigned int bar, struct resource *res)
{
	struct resource *pad = &vpd->bars.pad[bar];

	if (!PAGE_ALIGNED(res->start))
		return false;
	*pad = DEFINE_RES_NAMED(res->end + 1, PAGE_SIZE - resource_size(res),
				"vfio-pci rest of page", res->flags);
	if (res->parent && !request_resource(res->parent, pad))
		return true;
	pad->parent = NULL;
	return false;
}

/**
 * vfio_pci_bars_open - reserve the BARs for the session
 * @vpd: the device, enabled
 *
 * A BAR that somebody else has reserved appears in the info ioctls, but cannot be accessed.
 */
void vfio_pci_bars_open(struct vfio_pci_device *vpd)
{
	struct pci_dev *pdev = vpd->pdev;
	unsigned int bar;

	for (bar = 0; bar < PCI_STD_NUM_BARS; bar++) {
		struct resource *res = pci_resource_n(pdev, bar);

		if (!pci_resource_len(pdev, bar) ||
		    pci_request_selected_regions(pdev, BIT(bar), "vfio-pci"))
			continue;
		vpd->bars.reserved |= BIT(bar);
		if (!(res->flags & IORESOURCE_MEM) || pdev->non_mappable_bars ||
		    !vfio_pci_bar_is_plain(vpd, bar))
			continue;
		if (resource_size(res) >= PAGE_SIZE || vfio_pci_bar_pad(vpd, bar, res))
			vpd->bars.mmap |= BIT(bar);
	}
}

/**
 * vfio_pci_bars_close - undo vfio_pci_bars_open(), and what was mapped since
 * @vpd: the device, no longer LIVE
 */
void vfio_pci_bars_close(struct vfio_pci_device *vpd)
{
	unsigned int bar;

	vfio_pci_wc_close(vpd);
	for (bar = 0; bar < PCI_STD_NUM_BARS; bar++) {
		vfio_pci_bar_forget(vpd, bar);
		if (vpd->bars.pad[bar].parent)
			release_resource(&vpd->bars.pad[bar]);
	}
	pci_release_selected_regions(vpd->pdev, vpd->bars.reserved);
	vpd->bars.reserved = 0;
	vpd->bars.mmap = 0;
}
