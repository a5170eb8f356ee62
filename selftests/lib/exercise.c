// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config.h"
#include "edu.h"
#include "exercise.h"
#include "iommufd.h"
#include "irq.h"
#include "nic.h"
#include "nvme.h"
#include "virtio.h"

#define MEM_SIZE 0x4000
#define IOVA 0x1000000ull
#define PATTERN 0x5a
/* igb's vector, to use one that is not the first */
#define VECTOR 1

static const struct {
	u32 bar;
	u32 irq;
} kinds[DEV_COUNT] = {
	[DEV_NVME]	= { 0, VFIO_PCI_MSIX_IRQ_INDEX },
	[DEV_IGB]	= { 0, VFIO_PCI_MSIX_IRQ_INDEX },
	[DEV_EDU]	= { 0, VFIO_PCI_MSI_IRQ_INDEX },
	[DEV_E1000E]	= { 0, VFIO_PCI_MSI_IRQ_INDEX },
	[DEV_IVSHMEM]	= { 2, VFIO_PCI_NUM_IRQS },
	[DEV_VIRTIO]	= { 4, VFIO_PCI_MSIX_IRQ_INDEX },
};

int exercise_start(struct exercise *x, enum test_device dev, struct session *s)
{
	int err;

	*x = (struct exercise){
		.dev = dev, .s = s, .index = kinds[dev].bar, .irq = kinds[dev].irq,
		.efd = event_new(), .mem = dma_alloc(MEM_SIZE),
	};
	err = config_master(s->fd, true);
	if (err)
		return err;
	err = ioas_map(s->iommufd, s->ioas, x->mem, MEM_SIZE, IOVA);
	if (err)
		return err;
	if (x->irq < VFIO_PCI_NUM_IRQS)
		err = irq_eventfd(s->fd, x->irq, dev == DEV_IGB ? VECTOR : 0, x->efd);
	if (err)
		return err;
	x->bar = bar_map(s->fd, x->index, 0, 0);
	return x->bar ? 0 : -errno;
}

static int exercise_edu(struct exercise *x)
{
	u8 *mem = x->mem;
	int err;

	memset(mem, PATTERN, 64);
	err = edu_read_memory(x->bar, IOVA, 0, 64);
	memset(mem, 0, 64);
	if (!err)
		err = edu_write_memory(x->bar, IOVA, 0, 64);
	if (!err && (mem[0] != PATTERN || mem[63] != PATTERN))
		err = -EIO;
	edu_raise(x->bar, 1);
	return err;
}

static int exercise_nvme(struct exercise *x)
{
	struct nvme n = { .bar = x->bar, .mem = x->mem, .iova = IOVA };
	int err;

	err = nvme_enable(&n);
	if (err)
		return err;
	nvme_submit_identify(&n);
	err = nvme_complete(&n);
	if (err > 0)
		err = -EIO;
	/* The data begins with the vendor ID. */
	if (!err && (nvme_data(&n)[0] != 0x36 || nvme_data(&n)[1] != 0x1b))
		err = -EIO;
	return err;
}

static int exercise_virtio(struct exercise *x)
{
	struct virtio_blk v = { .fd = x->s->fd, .mem = x->mem, .iova = IOVA };
	int err;

	memset(x->mem, 0, VIRTIO_MEM_SIZE);
	err = virtio_blk_start(&v, 0);
	if (err)
		return err;
	virtio_blk_submit_id(&v);
	err = virtio_blk_complete(&v);
	return err > 0 ? -EIO : err;
}

int exercise(struct exercise *x)
{
	int err = 0;
	u32 val;

	if (mmio_peek32(x->bar, &val))
		return -EFAULT;
	event_take(x->efd);
	switch (x->dev) {
	case DEV_EDU:
		err = exercise_edu(x);
		break;
	case DEV_NVME:
		err = exercise_nvme(x);
		break;
	case DEV_VIRTIO:
		err = exercise_virtio(x);
		break;
	case DEV_IGB:
		igb_msix_setup(x->bar);
		igb_msix_raise(x->bar, 1u << VECTOR);
		break;
	case DEV_E1000E:
		nic_raise(x->bar);
		break;
	default:
		mmio_write32(x->bar, 0, ~val);
		err = mmio_read32(x->bar, 0) == ~val ? 0 : -EIO;
	}
	if (!err && x->irq < VFIO_PCI_NUM_IRQS && event_wait(x->efd) < 0)
		err = -ETIMEDOUT;
	/* Only now, as a masked message is not sent any more when its cause is cleared. */
	if (x->dev == DEV_EDU)
		edu_ack(x->bar, ~0u);
	else if (x->dev == DEV_E1000E)
		nic_ack(x->bar);
	return err;
}

void exercise_end(struct exercise *x)
{
	if (x->bar)
		bar_unmap(x->s->fd, x->index, x->bar);
	if (x->irq < VFIO_PCI_NUM_IRQS)
		irq_disable(x->s->fd, x->irq);
	ioas_unmap(x->s->iommufd, x->s->ioas, IOVA, MEM_SIZE);
	munmap(x->mem, MEM_SIZE);
	close(x->efd);
}
