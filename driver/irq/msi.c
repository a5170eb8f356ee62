// SPDX-License-Identifier: GPL-2.0-only
/*
 * MSI and MSI-X. The array of vectors exists for as long as the index is enabled. The PCI core's
 * allocation for a vector also lasts that long, so that disabling a vector and enabling it again
 * cannot fail.
 *
 * The PCI core writes the MSI-X table, which is in a BAR, and the user may have turned memory
 * decode off. So decode is forced on for these writes.
 */
#include <linux/eventfd.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/msi.h>
#include <linux/slab.h>

#include "vfio_pci.h"

static irqreturn_t vfio_pci_msi_handler(int irq, void *arg)
{
	struct vfio_pci_vector *vector = arg;

	eventfd_signal(READ_ONCE(vector->trigger));
	return IRQ_HANDLED;
}

/* Write the entry again, as a device-specific reset may have cleared the table. */
static void vfio_pci_msix_refresh(int irq)
{
	struct msi_msg msg;

	get_cached_msi_msg(irq, &msg);
	pci_write_msi_msg(irq, &msg);
}

/*
 * Where the IOMMU translates messages, the address that they are sent to must be in the page table.
 * Without a page table, no vector can be allocated, and each attempt makes the kernel's ITS driver
 * leak one of the host's interrupts (Linux 7.3). So do not try.
 */
static bool vfio_pci_msi_unmapped(struct vfio_pci_device *vpd)
{
	return vpd->irq.mapped && !vpd->irq.attached;
}

/* The Linux interrupt of a vector, allocated now if it was not when the index was enabled */
static int vfio_pci_msi_irq(struct vfio_pci_device *vpd, unsigned int nr)
{
	struct msi_map map;
	int irq;

	irq = pci_irq_vector(vpd->pdev, nr);
	if (irq > 0 || vpd->irq.type != VFIO_PCI_MSIX_IRQ_INDEX || !vpd->irq.dyn_msix)
		return irq;
	if (vfio_pci_msi_unmapped(vpd))
		return -ENOSPC;
	map = pci_msix_alloc_irq_at(vpd->pdev, nr, NULL);
	return map.index < 0 ? map.index : map.virq;
}

static int vfio_pci_vector_request(struct vfio_pci_device *vpd, unsigned int nr,
				   struct eventfd_ctx *trigger)
{
	struct vfio_pci_vector *vector = &vpd->irq.vectors[nr];
	bool msix = vpd->irq.type == VFIO_PCI_MSIX_IRQ_INDEX;
	int ret;

	if (!vector->irq) {
		ret = vfio_pci_msi_irq(vpd, nr);
		if (ret < 0)
			return ret;
		vector->irq = ret;
		scnprintf(vector->name, sizeof(vector->name), "vfio-msi%s[%u](%s)",
			  msix ? "x" : "", nr, pci_name(vpd->pdev));
	}
	if (msix)
		vfio_pci_msix_refresh(vector->irq);

	vector->trigger = trigger;
	ret = request_irq(vector->irq, vfio_pci_msi_handler, 0, vector->name, vector);
	if (ret) {
		vector->trigger = NULL;
		return ret;
	}
	vfio_pci_bypass_start(vpd, vector);
	return 0;
}

/* Replace the eventfd of an active vector: each interrupt signals either the old or the new one. */
static void vfio_pci_vector_switch(struct vfio_pci_device *vpd, struct vfio_pci_vector *vector,
				   struct eventfd_ctx *trigger)
{
	vfio_pci_bypass_stop(vector);
	trigger = xchg(&vector->trigger, trigger);
	synchronize_irq(vector->irq);
	eventfd_ctx_put(trigger);
	/*
	 * Does not race with a change of the interrupt's affinity, which leaves the message
	 * unchanged if there is interrupt remapping. If there is none, which iommufd accepts only
	 * with allow_unsafe_interrupts, an interrupt may be lost here.
	 */
	if (vpd->irq.type == VFIO_PCI_MSIX_IRQ_INDEX)
		vfio_pci_msix_refresh(vector->irq);
	vfio_pci_bypass_start(vpd, vector);
}

static void vfio_pci_vector_off(struct vfio_pci_vector *vector)
{
	if (!vector->trigger)
		return;
	vfio_pci_bypass_stop(vector);
	free_irq(vector->irq, vector);
	vfio_pci_eventfd_replace(&vector->trigger, NULL);
}

static int vfio_pci_vector_set(struct vfio_pci_device *vpd, unsigned int nr, s32 fd)
{
	struct vfio_pci_vector *vector = &vpd->irq.vectors[nr];
	struct eventfd_ctx *trigger = vfio_pci_eventfd_get(fd);
	int ret;

	if (IS_ERR(trigger))
		return PTR_ERR(trigger);
	if (!trigger) {
		vfio_pci_vector_off(vector);
		return 0;
	}
	if (vector->trigger) {
		vfio_pci_vector_switch(vpd, vector, trigger);
		return 0;
	}
	ret = vfio_pci_vector_request(vpd, nr, trigger);
	if (ret)
		eventfd_ctx_put(trigger);
	return ret;
}

/* All of a range, or none: if one vector fails, those before it are turned off, too. */
static int vfio_pci_msi_set_range(struct vfio_pci_device *vpd, const struct vfio_cmd *cmd,
				  const struct vfio_irq_set *set)
{
	const s32 *fds = cmd->data;
	unsigned int i;
	int ret;

	for (i = 0; i < set->count; i++) {
		ret = vfio_pci_vector_set(vpd, set->start + i, fds[i]);
		if (ret)
			goto err_off;
	}
	return 0;

err_off:
	vfio_err(cmd->file, ret, "interrupt vector %u with eventfd %d failed", set->start + i,
		 fds[i]);
	do {
		vfio_pci_vector_off(&vpd->irq.vectors[set->start + i]);
	} while (i--);
	return ret;
}

static void vfio_pci_msi_free(struct vfio_pci_device *vpd)
{
	pci_free_irq_vectors(vpd->pdev);
	/* This has enabled INTx, which nobody would handle. */
	pci_intx(vpd->pdev, 0);
}

static int vfio_pci_msi_on(struct vfio_pci_device *vpd, unsigned int index, int nr)
{
	struct pci_dev *pdev = vpd->pdev;
	struct vfio_pci_vector *vectors;
	int ret;

	vectors = kvcalloc(vpd->irq.count[index], sizeof(*vectors), GFP_KERNEL_ACCOUNT);
	if (!vectors)
		return -ENOMEM;

	ret = pci_alloc_irq_vectors(pdev, 1, nr,
				    index == VFIO_PCI_MSIX_IRQ_INDEX ? PCI_IRQ_MSIX : PCI_IRQ_MSI);
	if (ret < nr) {
		/* Tell the user how many vectors the host has, so that they can retry with that. */
		if (ret > 0)
			vfio_pci_msi_free(vpd);
		kvfree(vectors);
		return ret;
	}
	vfio_pci_intx_let_msi(vpd);
	vpd->irq.vectors = vectors;
	vpd->irq.type = index;
	return 0;
}

/* Called with memory decode on */
static void vfio_pci_msi_off_decoded(struct vfio_pci_device *vpd)
{
	unsigned int i;

	for (i = 0; i < vpd->irq.count[vpd->irq.type]; i++)
		vfio_pci_vector_off(&vpd->irq.vectors[i]);
	vfio_pci_msi_free(vpd);
	kvfree(vpd->irq.vectors);
	vpd->irq.vectors = NULL;
	vpd->irq.type = VFIO_PCI_NUM_IRQS;
}

/**
 * vfio_pci_msi_off - turn MSI or MSI-X off
 * @vpd: the device, with one of them on
 *
 * Context: hw_lock and interrupt lock held
 */
void vfio_pci_msi_off(struct vfio_pci_device *vpd)
{
	u8 command = vfio_pci_decode_force(vpd);

	vfio_pci_msi_off_decoded(vpd);
	vfio_pci_decode_unforce(vpd, command);
}

/*
 * How many vectors to allocate when an index is turned on: all up to the last of the range. If more
 * can be added later, vectors without an eventfd are not allocated: then, it is those from vector 0
 * up to the first gap, as this is faster than one by one, but at least the one that the PCI core
 * requires.
 */
static unsigned int vfio_pci_msi_first(struct vfio_pci_device *vpd, const struct vfio_cmd *cmd,
				       const struct vfio_irq_set *set)
{
	unsigned int all = set->start + set->count, nr = 0;
	const s32 *fds = cmd->data;

	if (set->index != VFIO_PCI_MSIX_IRQ_INDEX || !vpd->irq.dyn_msix)
		return all;
	while (!set->start && nr < all && fds[nr] >= 0)
		nr++;
	return min(max(nr, 1), all);
}

/* Give eventfds to some vectors of an index, and turn the index on if it is off. */
static int vfio_pci_msi_set_eventfds(struct vfio_pci_device *vpd, const struct vfio_cmd *cmd,
				     const struct vfio_irq_set *set)
{
	bool was_on = vpd->irq.type == set->index;
	int ret = 0;
	u8 command;

	if (!was_on && vfio_pci_msi_unmapped(vpd))
		return vfio_err(cmd->file, -ENOSPC,
				"this host's IOMMU translates MSIs: attach the device first");
	command = vfio_pci_decode_force(vpd);
	if (!was_on)
		ret = vfio_pci_msi_on(vpd, set->index, vfio_pci_msi_first(vpd, cmd, set));
	if (!ret) {
		ret = vfio_pci_msi_set_range(vpd, cmd, set);
		if (ret && !was_on)
			vfio_pci_msi_off_decoded(vpd);
	}
	vfio_pci_decode_unforce(vpd, command);
	return ret;
}

int vfio_pci_msi_set_trigger(struct vfio_pci_device *vpd, const struct vfio_cmd *cmd,
			     const struct vfio_irq_set *set)
{
	unsigned int i;

	if (set->flags & VFIO_IRQ_SET_DATA_EVENTFD)
		return vfio_pci_msi_set_eventfds(vpd, cmd, set);
	if (vpd->irq.type != set->index)
		return vfio_err(cmd->file, -EINVAL, "no vector of this index is on");

	if (!set->count && set->flags & VFIO_IRQ_SET_DATA_NONE) {
		vfio_pci_msi_off(vpd);
		return 0;
	}
	for (i = 0; i < set->count; i++) {
		struct eventfd_ctx *trigger = vpd->irq.vectors[set->start + i].trigger;

		if (trigger && vfio_pci_set_means(set, cmd->data, i))
			eventfd_signal(trigger);
	}
	return 0;
}
