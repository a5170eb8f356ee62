// SPDX-License-Identifier: GPL-2.0-only
/*
 * Eventfds that we signal, eventfds that signal us, and the two interrupts that have no hardware
 * behind them.
 */
#include <linux/eventfd.h>
#include <linux/file.h>

#include "vfio_pci.h"

/**
 * vfio_pci_eventfd_get - get the eventfd from an element of VFIO_DEVICE_SET_IRQS
 * @fd: file descriptor, negative for none
 *
 * Return: NULL for none, a reference, or an ERR_PTR() if @fd is not an eventfd
 */
struct eventfd_ctx *vfio_pci_eventfd_get(s32 fd)
{
	return fd < 0 ? NULL : eventfd_ctx_fdget(fd);
}

/**
 * vfio_pci_eventfd_replace - put an eventfd into a slot that only the interrupt lock protects
 * @slot: loses its reference
 * @eventfd: gives its reference away; NULL for none
 */
void vfio_pci_eventfd_replace(struct eventfd_ctx **slot, struct eventfd_ctx *eventfd)
{
	swap(*slot, eventfd);
	if (eventfd)
		eventfd_ctx_put(eventfd);
}

/* The TRIGGER action of the error and request interrupts */
int vfio_pci_event_set_trigger(struct vfio_pci_device *vpd, const struct vfio_cmd *cmd,
			       const struct vfio_irq_set *set)
{
	struct eventfd_ctx **slot = set->index == VFIO_PCI_ERR_IRQ_INDEX ?
				    &vpd->irq.error : &vpd->irq.request;
	struct eventfd_ctx *eventfd;

	if (set->flags & VFIO_IRQ_SET_DATA_EVENTFD) {
		const s32 *fd = cmd->data;

		if (!set->count || *fd < -1)
			return -EINVAL;
		eventfd = vfio_pci_eventfd_get(*fd);
		if (IS_ERR(eventfd))
			return PTR_ERR(eventfd);
		vfio_pci_eventfd_replace(slot, eventfd);
		return 0;
	}

	if (set->flags & VFIO_IRQ_SET_DATA_NONE) {
		if (!*slot)
			return vfio_err(cmd->file, -EINVAL, "no eventfd is set for this interrupt");
		if (!set->count)
			vfio_pci_eventfd_replace(slot, NULL);
	} else if (!set->count) {
		return -EINVAL;
	}

	if (*slot && vfio_pci_set_means(set, cmd->data, 0))
		eventfd_signal(*slot);
	return 0;
}

/**
 * vfio_pci_irq_signal_error - tell the user that the device had an uncorrected error
 * @vpd: the device
 *
 * Context: takes the interrupt lock
 */
void vfio_pci_irq_signal_error(struct vfio_pci_device *vpd)
{
	guard(mutex)(&vpd->irq.lock);
	if (vpd->irq.error)
		eventfd_signal(vpd->irq.error);
}

/**
 * vfio_pci_irq_signal_request - ask the user to release the device
 * @vpd: the device
 *
 * Context: takes the interrupt lock
 */
void vfio_pci_irq_signal_request(struct vfio_pci_device *vpd)
{
	guard(mutex)(&vpd->irq.lock);
	if (vpd->irq.request)
		eventfd_signal(vpd->irq.request);
}

static int vfio_pci_watch_wake(wait_queue_entry_t *wait, unsigned int mode, int sync, void *key)
{
	struct vfio_pci_watch *watch = container_of(wait, struct vfio_pci_watch, wait);
	__poll_t events = key_to_poll(key);
	u64 count;

	if (events & EPOLLIN) {
		eventfd_ctx_do_read(watch->eventfd, &count);
		watch->event(watch);
	}
	if (events & EPOLLHUP)
		WRITE_ONCE(watch->closed, true);
	return 0;
}

static void vfio_pci_watch_queue(struct file *file, wait_queue_head_t *head, poll_table *pt)
{
	struct vfio_pci_watch *watch = container_of(pt, struct vfio_pci_watch, pt);

	add_wait_queue(head, &watch->wait);
}

/**
 * vfio_pci_watch_start - watch an eventfd
 * @watch: the watch, with @event set
 * @fd: the eventfd
 *
 * If the eventfd has been signaled already, @event is called at once. The user may close the
 * eventfd at any time: our reference keeps it, and its wait queue, until the next start or stop.
 *
 * Context: interrupt lock held
 * Return: 0; -EBUSY if another eventfd is watched and not closed; -EBADF or -EINVAL if @fd is not
 * an eventfd
 */
int vfio_pci_watch_start(struct vfio_pci_watch *watch, int fd)
{
	struct eventfd_ctx *eventfd;

	CLASS(fd, f)(fd);
	if (fd_empty(f))
		return -EBADF;
	eventfd = eventfd_ctx_fileget(fd_file(f));
	if (IS_ERR(eventfd))
		return PTR_ERR(eventfd);

	if (watch->eventfd && !READ_ONCE(watch->closed)) {
		eventfd_ctx_put(eventfd);
		return -EBUSY;
	}
	vfio_pci_watch_stop(watch);

	watch->eventfd = eventfd;
	watch->closed = false;
	init_waitqueue_func_entry(&watch->wait, vfio_pci_watch_wake);
	init_poll_funcptr(&watch->pt, vfio_pci_watch_queue);
	if (vfs_poll(fd_file(f), &watch->pt) & EPOLLIN)
		watch->event(watch);
	return 0;
}

/**
 * vfio_pci_watch_stop - stop watching
 * @watch: the watch, possibly without an eventfd
 *
 * On return, the watch's @event is not running, and will not be called.
 *
 * Context: interrupt lock held
 */
void vfio_pci_watch_stop(struct vfio_pci_watch *watch)
{
	u64 count;

	if (!watch->eventfd)
		return;
	/* Takes the lock of the wait queue, and so waits for a wakeup in progress. */
	eventfd_ctx_remove_wait_queue(watch->eventfd, &watch->wait, &count);
	eventfd_ctx_put(watch->eventfd);
	watch->eventfd = NULL;
}
