/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Interrupts: from the device, or from the driver itself (error, request), to eventfds.
 */
#ifndef VFIO_PCI_IRQ_H
#define VFIO_PCI_IRQ_H

#include <linux/irqbypass.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "vfio.h"

struct eventfd_ctx;
struct seq_file;
struct vfio_cmd;
struct vfio_pci_device;

/* Room for "vfio-msix[2047](10000:01:00.0)", and for a longer domain number */
#define VFIO_PCI_IRQ_NAME	40

/**
 * struct vfio_pci_vector - one MSI or MSI-X vector
 * @trigger: the eventfd that the interrupt signals; NULL while the vector is disabled. The handler
 *	reads it without a lock: code that replaces it waits for the handler before it puts the old
 *	one.
 * @irq: Linux interrupt number; stays until the index is disabled
 * @producer: the interrupt, which KVM may take over
 * @name: for /proc/interrupts
 */
struct vfio_pci_vector {
	struct eventfd_ctx *trigger;
	int irq;
	struct irq_bypass_producer producer;
	char name[VFIO_PCI_IRQ_NAME];
};

/**
 * struct vfio_pci_watch - an eventfd that others signal, and that we react to
 * @event: called when the eventfd was signaled, possibly from a hard interrupt and with the lock
 *	of the eventfd's wait queue held, so it must not signal an eventfd
 * @eventfd: NULL for none
 * @wait: our entry in its wait queue
 * @pt: used to add that entry to the queue
 * @closed: no file refers to the eventfd any more
 */
struct vfio_pci_watch {
	void (*event)(struct vfio_pci_watch *watch);
	struct eventfd_ctx *eventfd;
	wait_queue_entry_t wait;
	poll_table pt;
	bool closed;
};

/**
 * struct vfio_pci_intx - the interrupt pin
 * @lock: protects the four flags below, and keeps the hardware in line with them. Taken in hard
 *	interrupts, and inside the locks of eventfds: no eventfd may be signaled with it held.
 * @masked: by the user, by having fired, or because INTx is off
 * @disabled: by the Interrupt Disable bit of the user's command register
 * @line_off: we have disabled the host's interrupt line (without @can_mask)
 * @retry: an unmask by eventfd is left to @work
 * @can_mask: the function has a working Interrupt Disable and Interrupt Status; otherwise, the
 *	host's line is masked instead, and cannot be shared
 * @nomask: it may have them, but must not use them (nointxmask)
 * @trigger: the eventfd that the interrupt signals, or NULL; as in struct vfio_pci_vector
 * @unmask: eventfd that unmasks
 * @work: unmasks in a context that can signal an eventfd
 * @name: for /proc/interrupts
 */
struct vfio_pci_intx {
	spinlock_t lock;	/* inside of all others */
	bool masked;
	bool disabled;
	bool line_off;
	bool retry;
	bool can_mask;
	bool nomask;
	struct eventfd_ctx *trigger;
	struct vfio_pci_watch unmask;
	struct work_struct work;
	char name[VFIO_PCI_IRQ_NAME];
};

/**
 * struct vfio_pci_irqs - interrupt state of a device
 * @lock: the interrupt lock: serializes VFIO_DEVICE_SET_IRQS and everything else that enables and
 *	disables interrupts. Innermost mutex; protects all fields that have no rule of their own.
 * @type: index of INTx, MSI or MSI-X, whichever is enabled, or VFIO_PCI_NUM_IRQS
 * @count: how many interrupts of each index the function has; for INTx, see vfio_pci_irq_count()
 * @dyn_msix: MSI-X vectors can be allocated while others are in use
 * @mapped: the IOMMU translates MSIs like other writes: no vector without a page table
 * @attached: for SET_IRQS if @mapped: there is a page table; protected by the session lock
 * @walks: turning MSI or MSI-X on can take pci_bus_sem
 * @domain: if @walks, the index that it does not take it for. Protected by hw_lock.
 * @intx: the interrupt pin
 * @vectors: while MSI or MSI-X is enabled, its @count[@type] vectors
 * @error: signaled on an uncorrected error, or NULL
 * @request: signaled when the host wants the device back, or NULL
 */
struct vfio_pci_irqs {
	struct mutex lock;	/* inside of all other mutexes */
	unsigned int type;
	u16 count[VFIO_PCI_NUM_IRQS];
	bool dyn_msix;
	bool mapped;
	bool attached;
	bool walks;
	unsigned int domain;
	struct vfio_pci_intx intx;
	struct vfio_pci_vector *vectors;
	struct eventfd_ctx *error;
	struct eventfd_ctx *request;
};

/* set.c: the entry points */
void vfio_pci_irq_init(struct vfio_pci_device *vpd);
void vfio_pci_irq_open(struct vfio_pci_device *vpd);
void vfio_pci_irq_close(struct vfio_pci_device *vpd);
unsigned int vfio_pci_irq_count(struct vfio_pci_device *vpd, unsigned int index);
u32 vfio_pci_irq_flags(struct vfio_pci_device *vpd, unsigned int index);
bool vfio_pci_irq_is_on(struct vfio_pci_device *vpd);
bool vfio_pci_irq_is_msi(struct vfio_pci_device *vpd);
bool vfio_pci_irq_is_msix(struct vfio_pci_device *vpd);
void vfio_pci_irq_show(struct vfio_pci_device *vpd, struct seq_file *m);
int vfio_pci_set_irqs(struct vfio_cmd *cmd);

/* event.c: interrupts that the driver makes itself */
void vfio_pci_irq_signal_error(struct vfio_pci_device *vpd);
void vfio_pci_irq_signal_request(struct vfio_pci_device *vpd);

/* intx.c */
void vfio_pci_intx_disable_changed(struct vfio_pci_device *vpd);

/* The rest is only for this directory. */

/* One action of VFIO_DEVICE_SET_IRQS on one index, see set.c */
typedef int (*vfio_pci_set_irq_fn)(struct vfio_pci_device *vpd, const struct vfio_cmd *cmd,
				   const struct vfio_irq_set *set);

/* Without eventfds: is the i-th interrupt of the user's range selected? */
static inline bool vfio_pci_set_means(const struct vfio_irq_set *set, const u8 *data,
				      unsigned int i)
{
	return !(set->flags & VFIO_IRQ_SET_DATA_BOOL) || data[i];
}

void vfio_pci_intx_init(struct vfio_pci_device *vpd);
void vfio_pci_intx_let_msi(struct vfio_pci_device *vpd);
void vfio_pci_intx_off(struct vfio_pci_device *vpd);
int vfio_pci_intx_set_mask(struct vfio_pci_device *vpd, const struct vfio_cmd *cmd,
			   const struct vfio_irq_set *set);
int vfio_pci_intx_set_unmask(struct vfio_pci_device *vpd, const struct vfio_cmd *cmd,
			     const struct vfio_irq_set *set);
int vfio_pci_intx_set_trigger(struct vfio_pci_device *vpd, const struct vfio_cmd *cmd,
			      const struct vfio_irq_set *set);

void vfio_pci_msi_off(struct vfio_pci_device *vpd);
int vfio_pci_msi_set_trigger(struct vfio_pci_device *vpd, const struct vfio_cmd *cmd,
			     const struct vfio_irq_set *set);

struct eventfd_ctx *vfio_pci_eventfd_get(s32 fd);
void vfio_pci_eventfd_replace(struct eventfd_ctx **slot, struct eventfd_ctx *eventfd);
int vfio_pci_event_set_trigger(struct vfio_pci_device *vpd, const struct vfio_cmd *cmd,
			       const struct vfio_irq_set *set);
int vfio_pci_watch_start(struct vfio_pci_watch *watch, int fd);
void vfio_pci_watch_stop(struct vfio_pci_watch *watch);

void vfio_pci_bypass_start(struct vfio_pci_device *vpd, struct vfio_pci_vector *vector);
void vfio_pci_bypass_stop(struct vfio_pci_vector *vector);

#endif
