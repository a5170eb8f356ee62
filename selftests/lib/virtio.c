// SPDX-License-Identifier: GPL-2.0-only
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <sched.h>
#include <string.h>

#include "clock.h"
#include "virtio.h"

#define QUEUE_SIZE 8

/* Layout of the memory: descriptors, available ring, used ring and the request, a page each. */
#define AVAIL 0x1000
#define USED 0x2000
#define REQUEST 0x3000

static volatile struct virtio_pci_common_cfg *common(struct virtio_blk *v)
{
	return v->common;
}

static void *map_structure(int fd, int pos)
{
	u32 words[sizeof(struct virtio_pci_cap) / 4];
	struct virtio_pci_cap cap;
	char *bar;
	size_t i;

	for (i = 0; i < LIB_ARRAY_SIZE(words); i++)
		words[i] = config_read(fd, pos + i * 4, 4);
	memcpy(&cap, words, sizeof(cap));
	bar = bar_map(fd, cap.bar, 0, 0);
	return bar ? bar + cap.offset : NULL;
}

static int find_structures(struct virtio_blk *v)
{
	u32 multiplier = 0;
	s64 pos = config_read(v->fd, PCI_CAPABILITY_LIST, 1);

	for (; pos > 0; pos = config_read(v->fd, pos + PCI_CAP_LIST_NEXT, 1)) {
		if (config_read(v->fd, pos, 1) != PCI_CAP_ID_VNDR)
			continue;
		switch (config_read(v->fd, pos + offsetof(struct virtio_pci_cap, cfg_type), 1)) {
		case VIRTIO_PCI_CAP_COMMON_CFG:
			v->common = map_structure(v->fd, pos);
			break;
		case VIRTIO_PCI_CAP_NOTIFY_CFG:
			v->notify = map_structure(v->fd, pos);
			multiplier = config_read(v->fd, pos + sizeof(struct virtio_pci_cap), 4);
			break;
		case VIRTIO_PCI_CAP_ISR_CFG:
			v->isr = map_structure(v->fd, pos);
			break;
		}
	}
	if (!v->common || !v->notify || !v->isr)
		return -ENODEV;
	common(v)->queue_select = 0;
	v->notify = (char *)v->notify + common(v)->queue_notify_off * multiplier;
	return 0;
}

int virtio_blk_stop(struct virtio_blk *v)
{
	struct deadline end;

	common(v)->device_status = 0;
	for (deadline_start(&end); common(v)->device_status; sched_yield())
		if (deadline_passed(&end))
			return -ETIMEDOUT;
	return 0;
}

int virtio_blk_start(struct virtio_blk *v, u16 vector)
{
	volatile struct virtio_pci_common_cfg *c;
	int err;

	err = find_structures(v);
	if (err)
		return err;
	c = common(v);
	memset(v->mem, 0, VIRTIO_MEM_SIZE);
	v->seen = 0;

	err = virtio_blk_stop(v);
	if (err)
		return err;
	c->device_status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;
	c->guest_feature_select = 0;
	c->guest_feature = 0;
	c->guest_feature_select = 1;
	c->guest_feature = 1u << (VIRTIO_F_VERSION_1 - 32) |
			   1u << (VIRTIO_F_ACCESS_PLATFORM - 32);
	c->device_status |= VIRTIO_CONFIG_S_FEATURES_OK;
	if (!(c->device_status & VIRTIO_CONFIG_S_FEATURES_OK))
		return -EOPNOTSUPP;

	c->msix_config = VIRTIO_MSI_NO_VECTOR;
	c->queue_select = 0;
	c->queue_size = QUEUE_SIZE;
	c->queue_msix_vector = vector;
	if (c->queue_msix_vector != vector)
		return -ENOSPC;
	c->queue_desc_lo = v->iova;
	c->queue_desc_hi = v->iova >> 32;
	c->queue_avail_lo = v->iova + AVAIL;
	c->queue_avail_hi = (v->iova + AVAIL) >> 32;
	c->queue_used_lo = v->iova + USED;
	c->queue_used_hi = (v->iova + USED) >> 32;
	c->queue_enable = 1;
	c->device_status |= VIRTIO_CONFIG_S_DRIVER_OK;
	return 0;
}

void virtio_blk_submit_id(struct virtio_blk *v)
{
	struct virtio_blk_outhdr hdr = { .type = VIRTIO_BLK_T_GET_ID };
	struct vring_desc *desc = (void *)v->mem;
	struct vring_avail *avail = (void *)(v->mem + AVAIL);
	u8 *request = v->mem + REQUEST;

	/* Header, answer and status byte, one after the other. */
	memcpy(request, &hdr, sizeof(hdr));
	memset(request + sizeof(hdr), 0, VIRTIO_ID_LEN);
	request[sizeof(hdr) + VIRTIO_ID_LEN] = 0xff;
	desc[0] = (struct vring_desc){ v->iova + REQUEST, sizeof(hdr), VRING_DESC_F_NEXT, 1 };
	desc[1] = (struct vring_desc){ v->iova + REQUEST + sizeof(hdr), VIRTIO_ID_LEN,
				       VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 2 };
	desc[2] = (struct vring_desc){ v->iova + REQUEST + sizeof(hdr) + VIRTIO_ID_LEN, 1,
				       VRING_DESC_F_WRITE, 0 };
	avail->ring[avail->idx % QUEUE_SIZE] = 0;
	__sync_synchronize();
	avail->idx++;
	__sync_synchronize();
	*(volatile u16 *)v->notify = 0;
}

int virtio_blk_complete(struct virtio_blk *v)
{
	volatile struct vring_used *used = (void *)(v->mem + USED);
	struct deadline end;

	for (deadline_start(&end); used->idx == v->seen; sched_yield())
		if (deadline_passed(&end))
			return -ETIMEDOUT;
	v->seen++;
	return v->mem[REQUEST + sizeof(struct virtio_blk_outhdr) + VIRTIO_ID_LEN];
}

u8 virtio_status(struct virtio_blk *v)
{
	return common(v)->device_status;
}
