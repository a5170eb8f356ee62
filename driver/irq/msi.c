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

/* A reset by some register of the device can have cleared the table's entry: write it again. */
static void vfio_pci_msix_refresh(int irq)
{
	struct msi_msg msg;

	get_cached_msi_msg(irq, &msg);
	pci_write_msi_msg(irq, &msg);
}

/*
 * Where the IOMMU translates messages, the address that they are sent to has to be in the page
 * table. Without one no vector can be allocated, and with each attempt the kernel's driver of the
 * ITS loses an interrupt of the whole host (Linux 7.3). So there is none.
 */
static bool vfio_pci_msi_unmapped(struct vfio_pci_device *vpd)
{
	return vpd->irq.mapped && !vpd->irq.attached;
}

/* The Linux interrupt of a vector, newly allocated if it was not there when the index went on */
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

/* Another eventfd for a vector that is on: an interrupt signals either the old or the new one. */
static void vfio_pci_vector_switch(struct vfio_pci_device *vpd, struct vfio_pci_vector *vector,
				   struct eventfd_ctx *trigger)
{
	vfio_pci_bypass_stop(vector);
	trigger = xchg(&vector->trigger, trigger);
	synchronize_irq(vector->irq);
	eventfd_ctx_put(trigger);
	/*
	 * Does not meet a change of the interrupt's affinity: behind an interrupt remapper, that
	 * leaves the message as it is. Without one, which takes iommufd's allow_unsafe_interrupts,
	 * an interrupt may be lost here.
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

/* All of a range, or none: when one fails, those before it in the range are off, too. */
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
	/* Which has enabled INTx: nobody is there to handle it. */
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
		/* How many the host has goes to the user, who may try again with so many. */
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

/* With memory decode on */
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
 * How many vectors to turn an index on with: all up to the last that is named. Where more can be
 * added, one without an eventfd takes none of the host's: so the PCI core gets those from vector 0
 * up to the first gap, which is faster than one by one, but at least the one that it wants.
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

/* Some vectors of an index that is on, or is turned on by it, are given eventfds. */
static int vfio_pci_msi_set_eventfds(struct vfio_pci_device *vpd, const struct vfio_cmd *cmd,
				     const struct vfio_irq_set *set)
{
	bool was_on = vpd->irq.type == set->index;
	int ret = 0;
	u8 command;

	if (!was_on && vfio_pci_msi_unmapped(vpd))
		return vfio_err(cmd->file, -ENOSPC,
				"this host's IOMMU translates messages: attach the device first");
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
		return vfio_err(cmd->file, -EINVAL, "no vector of this interrupt is on");

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
