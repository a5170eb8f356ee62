// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupt bypass: a vector is offered to whoever listens to the same eventfd. This lets KVM have
 * the interrupt delivered to the guest without involving the host. It is only an optimization: if
 * nobody takes the offer, the interrupt comes through the eventfd.
 */
#include "vfio_pci.h"

/**
 * vfio_pci_bypass_start - offer a vector
 * @vpd: the device
 * @vector: the vector; it has its trigger, and its interrupt has been requested
 *
 * Context: interrupt lock held
 */
void vfio_pci_bypass_start(struct vfio_pci_device *vpd, struct vfio_pci_vector *vector)
{
	int ret;

	/* Kernels without KVM have no bypass manager. */
	if (!IS_ENABLED(CONFIG_IRQ_BYPASS_MANAGER))
		return;
	/* Fails when another vector has the same eventfd, which is allowed. */
	ret = irq_bypass_register_producer(&vector->producer, vector->trigger, vector->irq);
	if (ret)
		pci_dbg(vpd->pdev, "%s is not offered for bypass: %d\n", vector->name, ret);
}

/**
 * vfio_pci_bypass_stop - withdraw the offer, if there is one
 * @vector: the vector, which still has its trigger
 *
 * Context: interrupt lock held
 */
void vfio_pci_bypass_stop(struct vfio_pci_vector *vector)
{
	if (IS_ENABLED(CONFIG_IRQ_BYPASS_MANAGER))
		irq_bypass_unregister_producer(&vector->producer);
}
