// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "irq.h"
#include "session.h"

int irq_info(int fd, u32 index, struct vfio_irq_info *info)
{
	*info = (struct vfio_irq_info){ .argsz = sizeof(*info), .index = index };
	return vfio_ioctl(fd, VFIO_DEVICE_GET_IRQ_INFO, info);
}

int irq_set(int fd, u32 flags, u32 index, u32 start, u32 count, const void *data, size_t len)
{
	struct vfio_irq_set *set = calloc(1, sizeof(*set) + len);
	int err;

	if (!set)
		return -ENOMEM;
	set->argsz = sizeof(*set) + len;
	set->flags = flags;
	set->index = index;
	set->start = start;
	set->count = count;
	if (len)
		memcpy(set->data, data, len);
	err = vfio_ioctl(fd, VFIO_DEVICE_SET_IRQS, set);
	free(set);
	return err;
}

int irq_eventfds(int fd, u32 index, u32 start, const int *efds, u32 count)
{
	return irq_set(fd, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, index,
		       start, count, efds, count * sizeof(*efds));
}

int irq_eventfd(int fd, u32 index, u32 n, int efd)
{
	return irq_eventfds(fd, index, n, &efd, 1);
}

int irq_disable(int fd, u32 index)
{
	return irq_set(fd, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, index, 0, 0,
		       NULL, 0);
}

int irq_loopback(int fd, u32 index, u32 start, u32 count)
{
	return irq_set(fd, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, index, start,
		       count, NULL, 0);
}

int intx_mask(int fd)
{
	return irq_set(fd, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_MASK,
		       VFIO_PCI_INTX_IRQ_INDEX, 0, 1, NULL, 0);
}

int intx_unmask(int fd)
{
	return irq_set(fd, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK,
		       VFIO_PCI_INTX_IRQ_INDEX, 0, 1, NULL, 0);
}

int event_new(void)
{
	int efd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	if (efd < 0) {
		perror("eventfd");
		exit(1);
	}
	return efd;
}

int event_wait(int efd)
{
	struct pollfd pfd = { .fd = efd, .events = POLLIN };

	if (poll(&pfd, 1, IRQ_TIMEOUT_MS) != 1)
		return -ETIMEDOUT;
	return event_take(efd);
}

int event_take(int efd)
{
	u64 n;

	return read(efd, &n, sizeof(n)) == sizeof(n) ? (int)n : 0;
}

void event_signal(int efd)
{
	u64 one = 1;

	if (write(efd, &one, sizeof(one)) != sizeof(one))
		perror("eventfd write");
}
