// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes to BARs that are triggered by an eventfd: KVM, or anybody else who signals it, reaches the
 * device without calling us.
 */
#include <linux/bitops.h>
#include <linux/nospec.h>
#include <linux/slab.h>
#include <linux/unaligned.h>

#include "vfio_pci.h"

/* Maximum per device, so that the user cannot fill the kernel's memory. */
#define VFIO_PCI_IOEVENTFDS	1000

/**
 * struct vfio_pci_ioeventfd - one write
 * @link: in the device's list
 * @vpd: the device
 * @watch: the eventfd
 * @work: writes when the wakeup function cannot
 * @pos: offset in the BAR
 * @data: the data to write, as passed by the user
 * @buf: the same as it goes to the device, in the first @width bytes
 * @bar: the BAR
 * @width: 1, 2, 4 or 8 bytes
 */
struct vfio_pci_ioeventfd {
	struct list_head link;
	struct vfio_pci_device *vpd;
	struct vfio_pci_watch watch;
	struct work_struct work;
	u64 pos;
	u64 data;
	u8 buf[8];
	u8 bar;
	u8 width;
};

static void vfio_pci_ioeventfd_write(struct vfio_pci_ioeventfd *io)
{
	vfio_pci_bar_put(io->vpd, io->bar, io->pos, io->buf, io->width);
}

static bool vfio_pci_ioeventfd_is_mem(const struct vfio_pci_ioeventfd *io)
{
	return pci_resource_flags(io->vpd->pdev, io->bar) & IORESOURCE_MEM;
}

/* Can sleep, so it waits for the end of a reset, and writes to ports like bar.c. */
static void vfio_pci_ioeventfd_worker(struct work_struct *work)
{
	struct vfio_pci_ioeventfd *io = container_of(work, struct vfio_pci_ioeventfd, work);
	struct vfio_pci_device *vpd = io->vpd;
	int srcu;

	if (vfio_pci_ioeventfd_is_mem(io)) {
		if (!vfio_pci_decode_enter(vpd, &srcu))
			return;
		vfio_pci_ioeventfd_write(io);
		vfio_pci_decode_exit(vpd, srcu);
		return;
	}
	guard(vfio_pci_hw)(vpd);
	if (vfio_pci_is_live(vpd) && !vpd->power.suspended)
		vfio_pci_ioeventfd_write(io);
}

/* Called with the lock of the eventfd held, possibly in a hard interrupt. Must not sleep. */
static void vfio_pci_ioeventfd_event(struct vfio_pci_watch *watch)
{
	struct vfio_pci_ioeventfd *io = container_of(watch, struct vfio_pci_ioeventfd, watch);
	struct vfio_pci_device *vpd = io->vpd;
	enum vfio_pci_decode decode = VFIO_PCI_DECODE_BUSY;
	int srcu;

	if (vfio_pci_ioeventfd_is_mem(io)) {
		srcu = srcu_read_lock(&vpd->mappings.srcu);
		decode = READ_ONCE(vpd->mappings.decode);
		if (decode == VFIO_PCI_DECODE_ON)
			vfio_pci_ioeventfd_write(io);
		srcu_read_unlock(&vpd->mappings.srcu, srcu);
	}
	if (decode == VFIO_PCI_DECODE_BUSY)
		queue_work(vfio_pci_wq, &io->work);
}

/* Check the address and width. */
static int vfio_pci_ioeventfd_check(struct vfio_pci_device *vpd, const struct vfio_cmd *cmd,
				    unsigned int bar, u64 pos, unsigned int width)
{
	if (bar >= PCI_STD_NUM_BARS || pos + width > pci_resource_len(vpd->pdev, bar))
		return vfio_err(cmd->file, -EINVAL, "an ioeventfd can only write to a BAR");
	if (!IS_ALIGNED(pos, width))
		return vfio_err(cmd->file, -EINVAL, "%u bytes at %#llx are not aligned",
				width, pos);
	if ((int)bar == vpd->bars.msix_bar && pos < vpd->bars.msix_end &&
	    pos + width > vpd->bars.msix_start)
		return vfio_err(cmd->file, -EINVAL, "the MSI-X table belongs to the host");
	return 0;
}

static struct vfio_pci_ioeventfd *vfio_pci_ioeventfd_find(struct vfio_pci_device *vpd,
							  unsigned int bar, u64 pos, u64 data,
							  unsigned int width)
{
	struct vfio_pci_ioeventfd *io;

	lockdep_assert_held(&vpd->irq.lock);

	list_for_each_entry(io, &vpd->ioeventfds.list, link) {
		if (io->bar == bar && io->pos == pos && io->data == data && io->width == width)
			return io;
	}
	return NULL;
}

/* The worker takes hw_lock, so wait for it without the interrupt lock. */
static void vfio_pci_ioeventfd_free(struct vfio_pci_ioeventfd *io)
{
	cancel_work_sync(&io->work);
	kfree(io);
}

static void vfio_pci_ioeventfd_unlink(struct vfio_pci_ioeventfd *io, struct list_head *gone)
{
	vfio_pci_watch_stop(&io->watch);
	list_move(&io->link, gone);
	io->vpd->ioeventfds.nr--;
}

static int vfio_pci_ioeventfd_remove(struct vfio_pci_device *vpd, const struct vfio_cmd *cmd,
				     unsigned int bar, u64 pos, u64 data, unsigned int width)
{
	struct vfio_pci_ioeventfd *io;
	LIST_HEAD(gone);

	scoped_guard(mutex, &vpd->irq.lock) {
		io = vfio_pci_ioeventfd_find(vpd, bar, pos, data, width);
		if (!io)
			return vfio_err(cmd->file, -ENODEV, "there is no such ioeventfd");
		vfio_pci_ioeventfd_unlink(io, &gone);
	}
	vfio_pci_ioeventfd_free(io);
	return 0;
}

static int vfio_pci_ioeventfd_add(struct vfio_pci_device *vpd, const struct vfio_cmd *cmd,
				  struct vfio_pci_ioeventfd *io, int fd)
{
	int ret;

	guard(mutex)(&vpd->irq.lock);
	if (vfio_pci_ioeventfd_find(vpd, io->bar, io->pos, io->data, io->width))
		return vfio_err(cmd->file, -EEXIST, "an eventfd already triggers this write");
	if (vpd->ioeventfds.nr == VFIO_PCI_IOEVENTFDS)
		return vfio_err(cmd->file, -ENOSPC, "there are already %u ioeventfds",
				VFIO_PCI_IOEVENTFDS);
	ret = vfio_pci_bar_prepare(vpd, io->bar);
	if (ret)
		return ret;
	ret = vfio_pci_watch_start(&io->watch, fd);
	if (ret)
		return ret;
	list_add(&io->link, &vpd->ioeventfds.list);
	vpd->ioeventfds.nr++;
	return 0;
}

/**
 * vfio_pci_set_ioeventfd - answer VFIO_DEVICE_IOEVENTFD
 * @cmd: struct vfio_device_ioeventfd, fetched as far as fd
 *
 * Return: 0; -EINVAL for a wrong address or width, or if the fd is not an eventfd; -EBADF; -EBUSY
 * when the BAR is not ours, or write-combined; -EEXIST; -ENODEV when there is none to remove;
 * -ENOSPC; -ENOMEM
 */
int vfio_pci_set_ioeventfd(struct vfio_cmd *cmd)
{
	struct vfio_pci_device *vpd = to_vfio_pci(cmd->vdev);
	const struct vfio_device_ioeventfd *arg = (void *)cmd->arg;
	unsigned int width = arg->flags & VFIO_DEVICE_IOEVENTFD_SIZE_MASK;
	unsigned int bar = arg->offset >> VFIO_REGION_SHIFT;
	u64 pos = arg->offset & VFIO_REGION_MASK;
	struct vfio_pci_ioeventfd *io;
	int ret;

	/* The value of a width's flag is that many bytes. */
	if (arg->flags != width || !is_power_of_2(width) || arg->fd < -1)
		return vfio_err(cmd->file, -EINVAL, "flags %#x, fd %d: not one width, or a bad fd",
				arg->flags, arg->fd);
	ret = vfio_pci_ioeventfd_check(vpd, cmd, bar, pos, width);
	if (ret)
		return ret;
	bar = array_index_nospec(bar, PCI_STD_NUM_BARS);
	if (arg->fd < 0)
		return vfio_pci_ioeventfd_remove(vpd, cmd, bar, pos, arg->data, width);

	io = kzalloc_obj(*io, GFP_KERNEL_ACCOUNT);
	if (!io)
		return -ENOMEM;
	io->vpd = vpd;
	io->watch.event = vfio_pci_ioeventfd_event;
	INIT_WORK(&io->work, vfio_pci_ioeventfd_worker);
	io->pos = pos;
	io->data = arg->data;
	put_unaligned_le64(arg->data, io->buf);
	io->bar = bar;
	io->width = width;
	ret = vfio_pci_ioeventfd_add(vpd, cmd, io, arg->fd);
	if (ret)
		kfree(io);
	return ret;
}

/**
 * vfio_pci_ioeventfd_writes_to - is there an ioeventfd that writes to a BAR?
 * @vpd: the device
 * @bar: the BAR
 *
 * Context: interrupt lock held
 */
bool vfio_pci_ioeventfd_writes_to(struct vfio_pci_device *vpd, unsigned int bar)
{
	struct vfio_pci_ioeventfd *io;

	lockdep_assert_held(&vpd->irq.lock);

	list_for_each_entry(io, &vpd->ioeventfds.list, link) {
		if (io->bar == bar)
			return true;
	}
	return false;
}

/**
 * vfio_pci_ioeventfds_close - remove all ioeventfds at the end of a session
 * @vpd: the device, no longer LIVE; no ioctl is running
 */
void vfio_pci_ioeventfds_close(struct vfio_pci_device *vpd)
{
	struct vfio_pci_ioeventfd *io, *next;
	LIST_HEAD(gone);

	scoped_guard(mutex, &vpd->irq.lock) {
		list_for_each_entry_safe(io, next, &vpd->ioeventfds.list, link)
			vfio_pci_ioeventfd_unlink(io, &gone);
	}
	list_for_each_entry_safe(io, next, &gone, link)
		vfio_pci_ioeventfd_free(io);
}
