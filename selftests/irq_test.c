// SPDX-License-Identifier: GPL-2.0-only
/* Interrupts: the rules of SET_IRQS on every device, and real interrupts where possible. */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/config.h"
#include "lib/edu.h"
#include "lib/harness.h"
#include "lib/iommufd.h"
#include "lib/irq.h"
#include "lib/module.h"
#include "lib/nic.h"
#include "lib/nvme.h"
#include "lib/virtio.h"

#define INTX VFIO_PCI_INTX_IRQ_INDEX
#define MSI VFIO_PCI_MSI_IRQ_INDEX
#define MSIX VFIO_PCI_MSIX_IRQ_INDEX
#define ERR VFIO_PCI_ERR_IRQ_INDEX
#define REQ VFIO_PCI_REQ_IRQ_INDEX

#define NONE VFIO_IRQ_SET_DATA_NONE
#define BOOL VFIO_IRQ_SET_DATA_BOOL
#define EVENTFD VFIO_IRQ_SET_DATA_EVENTFD
#define MASK VFIO_IRQ_SET_ACTION_MASK
#define UNMASK VFIO_IRQ_SET_ACTION_UNMASK
#define TRIGGER VFIO_IRQ_SET_ACTION_TRIGGER

#define ODD_RECOVERS "/sys/module/odd_function/parameters/recovers"
#define MAX_VECTORS 16
#define IOVA 0x1000000ull

FIXTURE(irq)
{
	struct session s;
	int efd[MAX_VECTORS];
	u32 count[VFIO_PCI_NUM_IRQS];
};

FIXTURE_VARIANT(irq)
{
	enum test_device dev;
};

FIXTURE_ALL_DEVICES(irq);

FIXTURE_SETUP(irq)
{
	struct vfio_irq_info info;
	int i;

	SETUP_SESSION(&self->s, variant->dev);
	for (i = 0; i < MAX_VECTORS; i++)
		self->efd[i] = event_new();
	for (i = 0; i < VFIO_PCI_NUM_IRQS; i++) {
		ASSERT_EQ(0, irq_info(self->s.fd, i, &info));
		self->count[i] = info.count;
	}
}

FIXTURE_TEARDOWN(irq)
{
	session_close(&self->s);
}

/* The kind of message interrupt that the device has, or -1. */
static int message_index(const u32 *count)
{
	return count[MSIX] ? MSIX : count[MSI] ? MSI : -1;
}

TEST_F(irq, counts_and_flags)
{
	struct vfio_irq_info info;
	int i, pos;

	EXPECT_EQ(config_read(self->s.fd, PCI_INTERRUPT_PIN, 1) ? 1 : 0, self->count[INTX]);
	pos = config_cap(self->s.fd, PCI_CAP_ID_MSI);
	EXPECT_EQ(pos ? 1 << ((config_read(self->s.fd, pos + PCI_MSI_FLAGS, 2) &
			       PCI_MSI_FLAGS_QMASK) >> 1) : 0, self->count[MSI]);
	pos = config_cap(self->s.fd, PCI_CAP_ID_MSIX);
	EXPECT_EQ(pos ? (config_read(self->s.fd, pos + PCI_MSIX_FLAGS, 2) &
			 PCI_MSIX_FLAGS_QSIZE) + 1 : 0, self->count[MSIX]);
	EXPECT_EQ(1, self->count[ERR]);
	EXPECT_EQ(1, self->count[REQ]);

	for (i = 0; i < VFIO_PCI_NUM_IRQS; i++) {
		ASSERT_EQ(0, irq_info(self->s.fd, i, &info));
		if (i == INTX) {
			EXPECT_EQ(VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE |
				  VFIO_IRQ_INFO_AUTOMASKED, info.flags);
		} else if (i == MSIX) {
			/* NORESIZE depends on the machine's interrupt controller. */
			EXPECT_EQ(VFIO_IRQ_INFO_EVENTFD, info.flags & ~VFIO_IRQ_INFO_NORESIZE);
		} else {
			EXPECT_EQ(VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE, info.flags);
		}
	}
}

TEST_F(irq, error_and_request)
{
	static const u32 indices[] = { ERR, REQ };
	int fd = self->s.fd, efd = self->efd[0];
	u8 yes = 1, no = 0;
	size_t i;

	for (i = 0; i < 2; i++) {
		u32 n = indices[i];

		/* There is nothing to signal or to turn off. */
		EXPECT_EQ(-EINVAL, irq_loopback(fd, n, 0, 1));
		EXPECT_EQ(-EINVAL, irq_disable(fd, n));
		EXPECT_EQ(0, irq_set(fd, BOOL | TRIGGER, n, 0, 1, &yes, 1));

		ASSERT_EQ(0, irq_eventfd(fd, n, 0, efd));
		EXPECT_EQ(0, irq_loopback(fd, n, 0, 1));
		EXPECT_EQ(1, event_take(efd));
		EXPECT_EQ(0, irq_set(fd, BOOL | TRIGGER, n, 0, 1, &yes, 1));
		EXPECT_EQ(1, event_take(efd));
		EXPECT_EQ(0, irq_set(fd, BOOL | TRIGGER, n, 0, 1, &no, 1));
		EXPECT_EQ(0, event_take(efd));

		/* Replace it; turn it off with -1; on again; off with count 0. */
		EXPECT_EQ(0, irq_eventfd(fd, n, 0, self->efd[1]));
		EXPECT_EQ(0, irq_loopback(fd, n, 0, 1));
		EXPECT_EQ(0, event_take(efd));
		EXPECT_EQ(1, event_take(self->efd[1]));
		EXPECT_EQ(0, irq_eventfd(fd, n, 0, -1));
		EXPECT_EQ(-EINVAL, irq_loopback(fd, n, 0, 1));
		EXPECT_EQ(0, irq_eventfd(fd, n, 0, efd));
		EXPECT_EQ(0, irq_disable(fd, n));
		EXPECT_EQ(-EINVAL, irq_loopback(fd, n, 0, 1));

		EXPECT_EQ(-ENOTTY, irq_set(fd, NONE | MASK, n, 0, 1, NULL, 0));
		EXPECT_EQ(-ENOTTY, irq_set(fd, NONE | UNMASK, n, 0, 1, NULL, 0));
		EXPECT_EQ(-EINVAL, irq_loopback(fd, n, 0, 2));
		EXPECT_EQ(-EINVAL, irq_loopback(fd, n, 1, 1));
		EXPECT_EQ(-EINVAL, irq_eventfd(fd, n, 0, -2));
		EXPECT_EQ(-EBADF, irq_eventfd(fd, n, 0, 1000));
		EXPECT_EQ(-EINVAL, irq_eventfd(fd, n, 0, fd));
	}
}

TEST_F(irq, arguments)
{
	int fd = self->s.fd, efd = self->efd[0];
	struct {
		struct vfio_irq_set set;
		int fds[4];
	} arg = {
		.set = {
			.argsz = sizeof(arg), .flags = EVENTFD | TRIGGER, .index = REQ, .count = 1,
		},
		.fds = { efd, -1, -1, -1 },
	};
	u32 n;

	/* Not exactly one kind of data. */
	EXPECT_EQ(-EINVAL, irq_set(fd, TRIGGER, REQ, 0, 1, &efd, 4));
	EXPECT_EQ(-EINVAL, irq_set(fd, NONE | BOOL | TRIGGER, REQ, 0, 1, &efd, 4));
	EXPECT_EQ(-EINVAL, irq_set(fd, BOOL | EVENTFD | TRIGGER, REQ, 0, 1, &efd, 4));
	/* Not exactly one kind of action. */
	EXPECT_EQ(-ENOTTY, irq_set(fd, EVENTFD, REQ, 0, 1, &efd, 4));
	EXPECT_EQ(-ENOTTY, irq_set(fd, EVENTFD | MASK | TRIGGER, REQ, 0, 1, &efd, 4));
	EXPECT_EQ(-EINVAL, irq_set(fd, EVENTFD | TRIGGER | 1u << 6, REQ, 0, 1, &efd, 4));
	EXPECT_EQ(-EINVAL, irq_set(fd, EVENTFD | TRIGGER | 1u << 31, REQ, 0, 1, &efd, 4));
	/* No such index, no such interrupt. */
	EXPECT_EQ(-EINVAL, irq_set(fd, EVENTFD | TRIGGER, VFIO_PCI_NUM_IRQS, 0, 1, &efd, 4));
	EXPECT_EQ(-EINVAL, irq_set(fd, EVENTFD | TRIGGER, ~0u, 0, 1, &efd, 4));
	for (n = 0; n < VFIO_PCI_NUM_IRQS; n++) {
		EXPECT_EQ(-EINVAL, irq_set(fd, EVENTFD | TRIGGER, n, self->count[n], 1, &efd, 4));
		EXPECT_EQ(-EINVAL, irq_set(fd, NONE | TRIGGER, n, 0, self->count[n] + 1, NULL, 0));
		EXPECT_EQ(-EINVAL, irq_set(fd, NONE | TRIGGER, n, 1, ~0u, NULL, 0));
		EXPECT_EQ(-EINVAL, irq_set(fd, NONE | TRIGGER, n, ~0u, 1, NULL, 0));
		EXPECT_EQ(-EINVAL, irq_set(fd, NONE | TRIGGER, n, 0, ~0u, NULL, 0));
		EXPECT_EQ(-EINVAL, irq_set(fd, NONE | TRIGGER, n, 0x80000000, 0x80000000, NULL, 0));
	}
	/* Less data than interrupts. */
	arg.set.argsz = sizeof(arg.set) + 3;
	EXPECT_EQ(-EINVAL, vfio_ioctl(fd, VFIO_DEVICE_SET_IRQS, &arg));
	arg.set.argsz = sizeof(arg.set);
	EXPECT_EQ(-EINVAL, vfio_ioctl(fd, VFIO_DEVICE_SET_IRQS, &arg));
	/* More data is not an error. */
	arg.set.argsz = sizeof(arg);
	EXPECT_EQ(0, vfio_ioctl(fd, VFIO_DEVICE_SET_IRQS, &arg));
	EXPECT_EQ(0, irq_loopback(fd, REQ, 0, 1));
	EXPECT_EQ(1, event_take(efd));
}

TEST_F(irq, messages)
{
	int fd = self->s.fd, index = message_index(self->count), *efd = self->efd;
	u8 bools[4] = { 1, 0, 1, 0 };
	u32 n, i;

	if (index < 0)
		SKIP(return, "no MSI or MSI-X");
	n = self->count[index] < 4 ? self->count[index] : 4;

	/* Off: there is nothing to turn off or to signal. */
	EXPECT_EQ(-EINVAL, irq_disable(fd, index));
	EXPECT_EQ(-EINVAL, irq_loopback(fd, index, 0, 1));
	EXPECT_EQ(-EINVAL, irq_set(fd, BOOL | TRIGGER, index, 0, 1, bools, 1));

	ASSERT_EQ(0, irq_eventfds(fd, index, 0, efd, n));
	EXPECT_EQ(0, irq_loopback(fd, index, 0, n));
	for (i = 0; i < n; i++)
		EXPECT_EQ(1, event_take(efd[i]));
	EXPECT_EQ(0, irq_set(fd, BOOL | TRIGGER, index, 0, n, bools, n));
	for (i = 0; i < n; i++)
		EXPECT_EQ(bools[i], event_take(efd[i]));

	/* Turn one off; the others stay on. */
	EXPECT_EQ(0, irq_eventfd(fd, index, n - 1, -1));
	EXPECT_EQ(0, irq_loopback(fd, index, 0, n));
	for (i = 0; i < n; i++)
		EXPECT_EQ(i < n - 1, event_take(efd[i]));
	/* On again, with another eventfd. */
	EXPECT_EQ(0, irq_eventfd(fd, index, n - 1, efd[8]));
	EXPECT_EQ(0, irq_loopback(fd, index, n - 1, 1));
	EXPECT_EQ(1, event_take(efd[8]));
	EXPECT_EQ(0, event_take(efd[n - 1]));

	/* Messages cannot be masked. */
	EXPECT_EQ(-ENOTTY, irq_set(fd, NONE | MASK, index, 0, 1, NULL, 0));
	EXPECT_EQ(-ENOTTY, irq_set(fd, NONE | UNMASK, index, 0, 1, NULL, 0));

	EXPECT_EQ(0, irq_disable(fd, index));
	EXPECT_EQ(-EINVAL, irq_loopback(fd, index, 0, 1));
}

/*
 * Where the IOMMU translates messages, their address must be in a page table. Without one, repeated
 * attempts do not leak the host's interrupts; with the in-tree driver, they do.
 */
TEST_F(irq, messages_without_page_table)
{
	int fd = self->s.fd, index = message_index(self->count), i;
	u32 pt = self->s.ioas;

	if (index < 0)
		SKIP(return, "no MSI or MSI-X");
	if (ARM64)
		OURS_ONLY();
	ASSERT_EQ(0, vfio_detach(fd));
	if (!ARM64) {
		EXPECT_EQ(0, irq_eventfd(fd, index, 0, self->efd[0]));
		EXPECT_EQ(0, irq_disable(fd, index));
		return;
	}
	/* More often than the ITS has interrupts */
	for (i = 0; i < 0x10000; i++)
		ASSERT_EQ(-ENOSPC, irq_eventfd(fd, index, 0, self->efd[0]));
	ASSERT_EQ(0, vfio_attach(fd, &pt));
	EXPECT_EQ(0, irq_eventfd(fd, index, 0, self->efd[0]));
	EXPECT_EQ(0, irq_loopback(fd, index, 0, 1));
	EXPECT_EQ(1, event_take(self->efd[0]));
	/* Interrupts that are on continue to work without one. */
	ASSERT_EQ(0, vfio_detach(fd));
	EXPECT_EQ(0, irq_eventfd(fd, index, 0, self->efd[1]));
	EXPECT_EQ(0, irq_loopback(fd, index, 0, 1));
	EXPECT_EQ(1, event_take(self->efd[1]));
	EXPECT_EQ(0, irq_eventfd(fd, index, 0, -1));
	if (self->count[index] > 1)
		EXPECT_EQ(index == VFIO_PCI_MSIX_IRQ_INDEX ? -ENOSPC : -EINVAL,
			  irq_eventfd(fd, index, 1, self->efd[1]));
	EXPECT_EQ(0, irq_disable(fd, index));
}

/* Enabled without eventfds, as QEMU does before it knows the guest's vectors. */
TEST_F(irq, messages_without_eventfd)
{
	int fd = self->s.fd, index = message_index(self->count);

	if (index < 0)
		SKIP(return, "no MSI or MSI-X");
	ASSERT_EQ(0, irq_eventfd(fd, index, 0, -1));
	EXPECT_EQ(0, irq_loopback(fd, index, 0, 1));
	EXPECT_EQ(0, irq_eventfd(fd, index, 0, self->efd[0]));
	EXPECT_EQ(0, irq_loopback(fd, index, 0, 1));
	EXPECT_EQ(1, event_take(self->efd[0]));
	EXPECT_EQ(0, irq_disable(fd, index));
}

/* A call that fails half-way leaves none of its vectors on; if it is the first one, MSI is off. */
TEST_F(irq, messages_half_way)
{
	int fd = self->s.fd, index = message_index(self->count), efds[2], i;

	if (index < 0 || self->count[index] < 2)
		SKIP(return, "no two messages");
	efds[0] = self->efd[0];
	efds[1] = 1000;
	EXPECT_EQ(-EBADF, irq_eventfds(fd, index, 0, efds, 2));
	EXPECT_EQ(-EINVAL, irq_loopback(fd, index, 0, 1));
	efds[1] = fd;
	EXPECT_EQ(-EINVAL, irq_eventfds(fd, index, 0, efds, 2));
	EXPECT_EQ(-EINVAL, irq_loopback(fd, index, 0, 1));

	efds[1] = self->efd[1];
	ASSERT_EQ(0, irq_eventfds(fd, index, 0, efds, 2));
	efds[1] = 1000;
	EXPECT_EQ(-EBADF, irq_eventfds(fd, index, 0, efds, 2));
	EXPECT_EQ(0, irq_loopback(fd, index, 0, 2));
	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, event_take(self->efd[i]));
}

/* One type at a time. */
TEST_F(irq, types_exclude_each_other)
{
	int fd = self->s.fd, *efd = self->efd, a, b;

	for (a = INTX; a <= MSIX; a++) {
		if (!self->count[a])
			continue;
		ASSERT_EQ(0, irq_eventfd(fd, a, 0, efd[0]));
		for (b = INTX; b <= MSIX; b++) {
			if (a == b || !self->count[b])
				continue;
			EXPECT_EQ(-EINVAL, irq_eventfd(fd, b, 0, efd[1]));
			EXPECT_EQ(-EINVAL, irq_disable(fd, b));
			EXPECT_EQ(-EINVAL, irq_loopback(fd, b, 0, 1));
		}
		EXPECT_EQ(0, irq_loopback(fd, a, 0, 1));
		EXPECT_EQ(1, event_take(efd[0]));
		EXPECT_EQ(0, irq_disable(fd, a));
	}
}

TEST_F(irq, intx_rules)
{
	int fd = self->s.fd, efd = self->efd[0];
	u8 yes = 1, no = 0;

	if (!self->count[INTX]) {
		EXPECT_EQ(-EINVAL, irq_eventfd(fd, INTX, 0, efd));
		EXPECT_EQ(-EINVAL, intx_mask(fd));
		return;
	}
	EXPECT_EQ(-EINVAL, intx_mask(fd));
	EXPECT_EQ(-EINVAL, intx_unmask(fd));
	EXPECT_EQ(-EINVAL, irq_disable(fd, INTX));
	EXPECT_EQ(-EINVAL, irq_loopback(fd, INTX, 0, 1));
	EXPECT_EQ(-EBADF, irq_eventfd(fd, INTX, 0, 1000));
	EXPECT_EQ(-EINVAL, irq_eventfd(fd, INTX, 0, fd));

	ASSERT_EQ(0, irq_eventfd(fd, INTX, 0, efd));
	EXPECT_EQ(0, irq_loopback(fd, INTX, 0, 1));
	EXPECT_EQ(1, event_take(efd));
	EXPECT_EQ(0, irq_set(fd, BOOL | TRIGGER, INTX, 0, 1, &yes, 1));
	EXPECT_EQ(1, event_take(efd));
	EXPECT_EQ(0, irq_set(fd, BOOL | TRIGGER, INTX, 0, 1, &no, 1));
	EXPECT_EQ(0, event_take(efd));
	EXPECT_EQ(0, intx_mask(fd));
	EXPECT_EQ(0, intx_mask(fd));
	EXPECT_EQ(0, intx_unmask(fd));
	EXPECT_EQ(0, intx_unmask(fd));
	EXPECT_EQ(0, irq_set(fd, BOOL | MASK, INTX, 0, 1, &yes, 1));
	EXPECT_EQ(0, irq_set(fd, BOOL | UNMASK, INTX, 0, 1, &yes, 1));
	/* Masking by eventfd is in the ABI, but not implemented. */
	EXPECT_EQ(-ENOTTY, irq_set(fd, EVENTFD | MASK, INTX, 0, 1, &efd, 4));

	/* Change to another eventfd, and to none, without turning it off. */
	EXPECT_EQ(0, irq_eventfd(fd, INTX, 0, self->efd[1]));
	EXPECT_EQ(0, irq_loopback(fd, INTX, 0, 1));
	EXPECT_EQ(0, event_take(efd));
	EXPECT_EQ(1, event_take(self->efd[1]));
	EXPECT_EQ(0, irq_eventfd(fd, INTX, 0, -1));
	EXPECT_EQ(0, irq_loopback(fd, INTX, 0, 1));
	EXPECT_EQ(0, event_take(self->efd[1]));
	EXPECT_EQ(0, irq_disable(fd, INTX));
	EXPECT_EQ(-EINVAL, intx_mask(fd));
	/* On without an eventfd. */
	EXPECT_EQ(0, irq_eventfd(fd, INTX, 0, -1));
	EXPECT_EQ(0, irq_disable(fd, INTX));
}

/* Closing turns everything off: it works the same the next time. */
TEST_F(irq, closed_while_on)
{
	int index = message_index(self->count), round;

	for (round = 0; round < 2; round++) {
		int fd = self->s.fd;

		ASSERT_EQ(0, irq_eventfd(fd, REQ, 0, self->efd[0]));
		ASSERT_EQ(0, irq_eventfd(fd, ERR, 0, self->efd[0]));
		if (index >= 0) {
			ASSERT_EQ(0, irq_eventfd(fd, index, 0, self->efd[1]));
			EXPECT_EQ(0, irq_loopback(fd, index, 0, 1));
			EXPECT_EQ(1, event_take(self->efd[1]));
		}
		session_close(&self->s);
		ASSERT_EQ(0, session_open(&self->s, device_bdf(variant->dev)));
		EXPECT_EQ(-EINVAL, irq_loopback(self->s.fd, REQ, 0, 1));
		if (self->count[INTX]) {
			fd = self->s.fd;
			ASSERT_EQ(0, irq_eventfd(fd, INTX, 0, self->efd[2]));
			ASSERT_EQ(0, irq_set(fd, EVENTFD | UNMASK, INTX, 0, 1, &self->efd[3], 4));
			session_close(&self->s);
			ASSERT_EQ(0, session_open(&self->s, device_bdf(variant->dev)));
		}
	}
}

/* Real INTx interrupts. */
FIXTURE(intx)
{
	struct session s;
	void *bar;
	int efd;
};

FIXTURE_VARIANT(intx)
{
	enum test_device dev;
	bool nointxmask;
};

FIXTURE_VARIANT_ADD(intx, edu) { .dev = DEV_EDU };
FIXTURE_VARIANT_ADD(intx, e1000e) { .dev = DEV_E1000E };
FIXTURE_VARIANT_ADD(intx, igb) { .dev = DEV_IGB };
/* Masked at the host's interrupt controller */
FIXTURE_VARIANT_ADD(intx, edu_nointxmask) { .dev = DEV_EDU, .nointxmask = true };

#define NOINTXMASK "/sys/module/vfio_pci/parameters/nointxmask"

/* The parameter applies to devices that are bound from then on. */
static int bind_anew(const char *bdf, const char *nointxmask)
{
	int ret = sysfs_write(nointxmask, NOINTXMASK);

	if (!ret)
		ret = sysfs_unbind(bdf);
	return ret ? ret : sysfs_rebind(bdf);
}

FIXTURE_SETUP(intx)
{
	const char *bdf;

	SETUP_DEVICE(&bdf, variant->dev);
	if (variant->nointxmask)
		ASSERT_EQ(0, bind_anew(bdf, "Y"));
	ASSERT_EQ(0, session_open(&self->s, bdf));
	self->bar = bar_map(self->s.fd, 0, 0, 0);
	ASSERT_NE(NULL, self->bar);
	self->efd = event_new();
	if (variant->dev == DEV_EDU)
		edu_ack(self->bar, ~0u);
	ASSERT_EQ(0, irq_eventfd(self->s.fd, INTX, 0, self->efd));
}

FIXTURE_TEARDOWN(intx)
{
	if (self->bar)
		bar_unmap(self->s.fd, 0, self->bar);
	session_close(&self->s);
	if (variant->nointxmask)
		ASSERT_EQ(0, bind_anew(device_bdf(variant->dev), "N"));
}

static void line_up(enum test_device dev, void *bar)
{
	if (dev == DEV_EDU)
		edu_raise(bar, 1);
	else
		nic_raise(bar);
}

static void line_down(enum test_device dev, void *bar)
{
	if (dev == DEV_EDU)
		edu_ack(bar, ~0u);
	else
		nic_ack(bar);
}

/* Wait long enough for an interrupt that must not come. */
static int event_none(int fd, int efd)
{
	int i;

	for (i = 0; i < 200; i++)
		config_read(fd, PCI_STATUS, 2);
	return event_take(efd);
}

TEST_F(intx, masks_itself)
{
	int fd = self->s.fd, i;

	for (i = 0; i < 3; i++) {
		line_up(variant->dev, self->bar);
		EXPECT_EQ(1, event_wait(self->efd));
		/* Still asserted, but signaled only once. */
		EXPECT_EQ(0, event_none(fd, self->efd));
		line_down(variant->dev, self->bar);
		EXPECT_EQ(0, intx_unmask(fd));
		EXPECT_EQ(0, event_none(fd, self->efd));
	}
}

TEST_F(intx, pending_when_unmasked)
{
	int fd = self->s.fd;

	line_up(variant->dev, self->bar);
	EXPECT_EQ(1, event_wait(self->efd));
	EXPECT_EQ(0, intx_unmask(fd));
	EXPECT_EQ(1, event_wait(self->efd));
	line_down(variant->dev, self->bar);
	EXPECT_EQ(0, intx_unmask(fd));
	EXPECT_EQ(0, event_none(fd, self->efd));
}

TEST_F(intx, masked)
{
	int fd = self->s.fd;

	EXPECT_EQ(0, intx_mask(fd));
	line_up(variant->dev, self->bar);
	EXPECT_EQ(0, event_none(fd, self->efd));
	/* The status bit can be polled. */
	EXPECT_NE(0, config_read(fd, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	EXPECT_EQ(0, intx_unmask(fd));
	EXPECT_EQ(1, event_wait(self->efd));
	line_down(variant->dev, self->bar);
	EXPECT_EQ(0, config_read(fd, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	EXPECT_EQ(0, intx_unmask(fd));
}

TEST_F(intx, unmasked_by_eventfd)
{
	int fd = self->s.fd, unmask = event_new(), again = event_new(), off = -1;

	ASSERT_EQ(0, irq_set(fd, EVENTFD | UNMASK, INTX, 0, 1, &unmask, 4));
	/* Only one at a time. */
	EXPECT_EQ(-EBUSY, irq_set(fd, EVENTFD | UNMASK, INTX, 0, 1, &again, 4));

	line_up(variant->dev, self->bar);
	EXPECT_EQ(1, event_wait(self->efd));
	/* Still asserted, so it comes again. */
	event_signal(unmask);
	EXPECT_EQ(1, event_wait(self->efd));
	line_down(variant->dev, self->bar);
	event_signal(unmask);
	EXPECT_EQ(0, event_none(fd, self->efd));
	line_up(variant->dev, self->bar);
	EXPECT_EQ(1, event_wait(self->efd));
	line_down(variant->dev, self->bar);

	/* Disconnected: signals have no effect. */
	ASSERT_EQ(0, irq_set(fd, EVENTFD | UNMASK, INTX, 0, 1, &off, 4));
	event_signal(unmask);
	line_up(variant->dev, self->bar);
	EXPECT_EQ(0, event_none(fd, self->efd));
	line_down(variant->dev, self->bar);
	EXPECT_EQ(0, intx_unmask(fd));

	/* Another one, which is closed while connected. */
	ASSERT_EQ(0, irq_set(fd, EVENTFD | UNMASK, INTX, 0, 1, &again, 4));
	close(again);
	line_up(variant->dev, self->bar);
	EXPECT_EQ(1, event_wait(self->efd));
	line_down(variant->dev, self->bar);
	EXPECT_EQ(-EBADF, irq_set(fd, EVENTFD | UNMASK, INTX, 0, 1, &again, 4));
}

TEST_F(intx, disabled_by_command)
{
	int fd = self->s.fd;

	ASSERT_EQ(0, config_update(fd, PCI_COMMAND, 2, 0, PCI_COMMAND_INTX_DISABLE));
	line_up(variant->dev, self->bar);
	EXPECT_EQ(0, event_none(fd, self->efd));
	/* Unmasking has no effect on that. */
	EXPECT_EQ(0, intx_unmask(fd));
	EXPECT_EQ(0, event_none(fd, self->efd));
	ASSERT_EQ(0, config_update(fd, PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE, 0));
	EXPECT_EQ(1, event_wait(self->efd));
	line_down(variant->dev, self->bar);
	EXPECT_EQ(0, intx_unmask(fd));
}

/* DisINTx set before INTx is turned on holds as well. */
TEST_F(intx, enabled_while_disabled)
{
	int fd = self->s.fd;

	ASSERT_EQ(0, irq_disable(fd, INTX));
	ASSERT_EQ(0, config_update(fd, PCI_COMMAND, 2, 0, PCI_COMMAND_INTX_DISABLE));
	ASSERT_EQ(0, irq_eventfd(fd, INTX, 0, self->efd));
	line_up(variant->dev, self->bar);
	EXPECT_EQ(0, event_none(fd, self->efd));
	ASSERT_EQ(0, config_update(fd, PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE, 0));
	EXPECT_EQ(1, event_wait(self->efd));
	line_down(variant->dev, self->bar);
}

TEST_F(intx, off)
{
	int fd = self->s.fd;

	/*
	 * A line that is asserted when INTx is turned on is not tested: QEMU's I/O APIC loses it,
	 * as Linux makes an unused pin edge-triggered.
	 */
	ASSERT_EQ(0, irq_disable(fd, INTX));
	line_up(variant->dev, self->bar);
	EXPECT_EQ(0, event_none(fd, self->efd));
	line_down(variant->dev, self->bar);
	ASSERT_EQ(0, irq_eventfd(fd, INTX, 0, self->efd));
	line_up(variant->dev, self->bar);
	EXPECT_EQ(1, event_wait(self->efd));
	line_down(variant->dev, self->bar);
}

/* INTx is masked by the function, with a bit that is hidden from users, or by the host. */
TEST_F(intx, by_whom)
{
	u16 command;

	line_up(variant->dev, self->bar);
	EXPECT_EQ(1, event_wait(self->efd));
	ASSERT_EQ(2, sysfs_config(self->s.bdf, PCI_COMMAND, &command, 2));
	EXPECT_EQ(variant->nointxmask, !(command & PCI_COMMAND_INTX_DISABLE));
	line_down(variant->dev, self->bar);
	EXPECT_EQ(0, intx_unmask(self->s.fd));
}

TEST_F(intx, closed_while_up)
{
	line_up(variant->dev, self->bar);
	EXPECT_EQ(1, event_wait(self->efd));
	bar_unmap(self->s.fd, 0, self->bar);
	session_close(&self->s);
	ASSERT_EQ(0, session_open(&self->s, device_bdf(variant->dev)));
	ASSERT_EQ(0, irq_eventfd(self->s.fd, INTX, 0, self->efd));
	EXPECT_EQ(0, intx_unmask(self->s.fd));
	/* Not all of them are really reset in between, and the next test needs a quiet line. */
	self->bar = bar_map(self->s.fd, 0, 0, 0);
	ASSERT_NE(NULL, self->bar);
	line_down(variant->dev, self->bar);
}

/* One message at a time: MSI. */
FIXTURE(msi)
{
	struct session s;
	void *bar;
	int efd;
};

FIXTURE_VARIANT(msi)
{
	enum test_device dev;
};

/* Not e1000e: QEMU's throttles interrupts, and sometimes one comes twice or not at all. */
FIXTURE_VARIANT_ADD(msi, edu) { .dev = DEV_EDU };
FIXTURE_VARIANT_ADD(msi, igb) { .dev = DEV_IGB };

FIXTURE_SETUP(msi)
{
	SETUP_SESSION(&self->s, variant->dev);
	self->bar = bar_map(self->s.fd, 0, 0, 0);
	ASSERT_NE(NULL, self->bar);
	self->efd = event_new();
	if (variant->dev == DEV_EDU)
		edu_ack(self->bar, ~0u);
	ASSERT_EQ(0, config_master(self->s.fd, true));
	ASSERT_EQ(0, irq_eventfd(self->s.fd, MSI, 0, self->efd));
}

FIXTURE_TEARDOWN(msi)
{
	session_close(&self->s);
}

/* One interrupt and its acknowledgment. */
static int round_trip(enum test_device dev, void *bar, int efd)
{
	int n;

	line_up(dev, bar);
	n = event_wait(efd);
	line_down(dev, bar);
	return n;
}

TEST_F(msi, delivered)
{
	int i;

	for (i = 0; i < 20; i++)
		ASSERT_EQ(1, round_trip(variant->dev, self->bar, self->efd));
}

/* The capability shows the user's values; the hardware has the host's. */
TEST_F(msi, delivered_whatever_the_user_writes)
{
	int pos = config_cap(self->s.fd, PCI_CAP_ID_MSI);

	ASSERT_LT(0, pos);
	ASSERT_EQ(0, config_write(self->s.fd, pos + PCI_MSI_ADDRESS_LO, 4, 0));
	ASSERT_EQ(0, config_write(self->s.fd, pos + PCI_MSI_DATA_64, 2, 0));
	EXPECT_EQ(1, round_trip(variant->dev, self->bar, self->efd));
}

/* With MSI on, the user can turn it off and on in the capability. */
TEST_F(msi, switched_by_capability)
{
	int pos = config_cap(self->s.fd, PCI_CAP_ID_MSI);

	ASSERT_LT(0, pos);
	ASSERT_EQ(0, config_update(self->s.fd, pos + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE, 0));
	EXPECT_EQ(0, config_read(self->s.fd, pos + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_ENABLE);
	ASSERT_EQ(0, config_update(self->s.fd, pos + PCI_MSI_FLAGS, 2, 0, PCI_MSI_FLAGS_ENABLE));
	EXPECT_NE(0, config_read(self->s.fd, pos + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_ENABLE);
	EXPECT_EQ(1, round_trip(variant->dev, self->bar, self->efd));
}

/* A function whose Interrupt Disable also stops MSI loses its BARs in a reset of its own. */
TEST_F(msi, intx_stops_it)
{
	const char *bdf = device_bdf(variant->dev);
	char args[64], port[BDF_LEN];
	u16 command;
	int err;

	ASSERT_EQ(0, sysfs_port(bdf, port));
	ASSERT_EQ(0, irq_disable(self->s.fd, MSI));
	sprintf(args, "device=%s intx_stops_msi=1", bdf);
	err = module_load("odd-function", args);
	if (err == -ENOENT || err == -ENOEXEC)
		SKIP(return, "odd-function.ko has not been built");
	ASSERT_EQ(0, err);
	EXPECT_EQ(0, irq_eventfd(self->s.fd, MSI, 0, self->efd));
	EXPECT_EQ(2, sysfs_config(bdf, PCI_COMMAND, &command, 2));
	EXPECT_EQ(0, command & PCI_COMMAND_INTX_DISABLE);
	EXPECT_EQ(0, config_update(self->s.fd, PCI_COMMAND, 2, PCI_COMMAND_MEMORY, 0));
	EXPECT_EQ(0, sysfs_bus_reset(port));
	EXPECT_EQ(0, config_update(self->s.fd, PCI_COMMAND, 2, 0, PCI_COMMAND_MEMORY));
	EXPECT_EQ(2, sysfs_config(bdf, PCI_COMMAND, &command, 2));
	EXPECT_EQ(0, command & PCI_COMMAND_INTX_DISABLE);
	EXPECT_EQ(0, irq_disable(self->s.fd, MSI));
	ASSERT_EQ(0, module_unload("odd-function"));
}

TEST_F(msi, then_intx)
{
	ASSERT_EQ(1, round_trip(variant->dev, self->bar, self->efd));
	ASSERT_EQ(0, irq_disable(self->s.fd, MSI));
	ASSERT_EQ(0, irq_eventfd(self->s.fd, INTX, 0, self->efd));
	EXPECT_EQ(1, round_trip(variant->dev, self->bar, self->efd));
	ASSERT_EQ(0, irq_disable(self->s.fd, INTX));
	ASSERT_EQ(0, irq_eventfd(self->s.fd, MSI, 0, self->efd));
	EXPECT_EQ(1, round_trip(variant->dev, self->bar, self->efd));
}

/* A thread that turns MSI on, or takes another device out */
struct waiter {
	pthread_t thread;
	pid_t tid;
	int fd;
	int efd;
	const char *bdf;
	int err;
};

static void *msi_thread(void *arg)
{
	struct waiter *w = arg;

	__atomic_store_n(&w->tid, gettid(), __ATOMIC_RELEASE);
	w->err = irq_eventfd(w->fd, MSI, 0, w->efd);
	return NULL;
}

static void *remove_thread(void *arg)
{
	struct waiter *w = arg;

	__atomic_store_n(&w->tid, gettid(), __ATOMIC_RELEASE);
	w->err = sysfs_write("1", "/sys/bus/pci/devices/%s/remove", w->bdf);
	return NULL;
}

/*
 * On arm64, the kernel walks over the bus of a function behind such a bridge before its first MSI.
 * It waits for a hot-plug, which waits for a recovery. If the recovery waited for the walk, nothing
 * could use PCI on this host any more.
 */
TEST(msi_against_recovery_and_hot_plug)
{
	struct waiter msi = { .efd = event_new() }, out = {};
	struct deadline end;
	char bdf[BDF_LEN], args[64];
	struct session s;

	OURS_ONLY();
	if (edu_behind_bridge(bdf))
		SKIP(return, "no edu behind a bridge");
	out.bdf = device_bdf(DEV_IVSHMEM);
	if (!out.bdf)
		SKIP(return, "nothing to take out");
	ASSERT_EQ(0, sysfs_rebind(bdf));
	ASSERT_EQ(0, session_open(&s, bdf));
	msi.fd = s.fd;
	snprintf(args, sizeof(args), "device=%s recovers=1", bdf);
	ASSERT_EQ(0, module_load("odd-function", args));
	ASSERT_EQ(0, pthread_create(&out.thread, NULL, remove_thread, &out));
	EXPECT_TRUE(thread_waits(&out.tid));
	ASSERT_EQ(0, pthread_create(&msi.thread, NULL, msi_thread, &msi));
	EXPECT_TRUE(!ARM64 || thread_waits(&msi.tid));
	EXPECT_EQ(0, sysfs_write("3", ODD_RECOVERS));
	for (deadline_start(&end); !deadline_passed(&end); usleep(1000)) {
		if (sysfs_read(args, sizeof(args), ODD_RECOVERS) > 0 && args[0] == '4')
			break;
	}
	/* Otherwise, nobody can end the threads. */
	ASSERT_EQ('4', args[0]);
	pthread_join(msi.thread, NULL);
	EXPECT_EQ(0, msi.err);
	pthread_join(out.thread, NULL);
	EXPECT_EQ(0, out.err);
	ASSERT_EQ(0, module_unload("odd-function"));
	ASSERT_EQ(0, sysfs_rescan());
	EXPECT_EQ(0, irq_loopback(s.fd, MSI, 0, 1));
	EXPECT_EQ(1, event_take(msi.efd));
	session_close(&s);
	close(msi.efd);
}

TEST(edu_interrupts_after_dma)
{
	struct session s;
	const char *bdf;
	int efd = event_new();
	void *bar, *mem;

	SETUP_DEVICE(&bdf, DEV_EDU);
	ASSERT_EQ(0, session_open(&s, bdf));
	bar = bar_map(s.fd, 0, 0, 0);
	ASSERT_NE(NULL, bar);
	mem = dma_alloc(0x1000);
	ASSERT_EQ(0, ioas_map(s.iommufd, s.ioas, mem, 0x1000, IOVA));
	ASSERT_EQ(0, config_master(s.fd, true));
	ASSERT_EQ(0, irq_eventfd(s.fd, MSI, 0, efd));
	mmio_write64(bar, EDU_DMA_SRC, EDU_BUF);
	mmio_write64(bar, EDU_DMA_DST, IOVA);
	mmio_write64(bar, EDU_DMA_COUNT, 8);
	mmio_write64(bar, EDU_DMA_CMD, EDU_DMA_START | EDU_DMA_TO_MEMORY | EDU_DMA_IRQ);
	EXPECT_EQ(1, event_wait(efd));
	EXPECT_EQ(EDU_IRQ_DMA, mmio_read32(bar, EDU_IRQ_STATUS));
	edu_ack(bar, EDU_IRQ_DMA);
	session_close(&s);
}

/* igb: ten vectors, each of which can be raised separately. */
#define IGB_VECTORS 10

#define PM_D0 0
#define PM_D3HOT 3

FIXTURE(msix)
{
	struct session s;
	void *bar;
	int efd[IGB_VECTORS];
	bool stop;
	int fired;
	int err;
};

FIXTURE_SETUP(msix)
{
	int i;

	SETUP_SESSION(&self->s, DEV_IGB);
	self->bar = bar_map(self->s.fd, 0, 0, 0);
	ASSERT_NE(NULL, self->bar);
	for (i = 0; i < IGB_VECTORS; i++)
		self->efd[i] = event_new();
	ASSERT_EQ(0, config_master(self->s.fd, true));
	igb_msix_setup(self->bar);
}

FIXTURE_TEARDOWN(msix)
{
	session_close(&self->s);
}

TEST_F(msix, each_vector)
{
	int i, j;

	ASSERT_EQ(0, irq_eventfds(self->s.fd, MSIX, 0, self->efd, IGB_VECTORS));
	for (i = 0; i < IGB_VECTORS; i++) {
		igb_msix_raise(self->bar, 1u << i);
		ASSERT_EQ(1, event_wait(self->efd[i]));
		for (j = 0; j < IGB_VECTORS; j++)
			EXPECT_EQ(0, event_take(self->efd[j]));
	}
}

/* Only some in the middle, and then more, which must not disturb the first ones. */
TEST_F(msix, grows)
{
	int i;

	ASSERT_EQ(0, irq_eventfd(self->s.fd, MSIX, 3, self->efd[3]));
	igb_msix_raise(self->bar, 1u << 3);
	EXPECT_EQ(1, event_wait(self->efd[3]));
	for (i = 0; i < IGB_VECTORS; i++) {
		int err = irq_eventfd(self->s.fd, MSIX, i, self->efd[i]);
		struct vfio_irq_info info;

		ASSERT_EQ(0, irq_info(self->s.fd, MSIX, &info));
		if (info.flags & VFIO_IRQ_INFO_NORESIZE && i > 3) {
			EXPECT_NE(0, err);
			continue;
		}
		ASSERT_EQ(0, err);
		igb_msix_raise(self->bar, 1u << i);
		EXPECT_EQ(1, event_wait(self->efd[i]));
		igb_msix_raise(self->bar, 1u << 3);
		EXPECT_EQ(1, event_wait(self->efd[3]));
	}
}

static int host_vectors(const char *bdf)
{
	char path[256];
	struct dirent *ent;
	int n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/msi_irqs", bdf);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while ((ent = readdir(dir)))
		n += ent->d_name[0] != '.';
	closedir(dir);
	return n;
}

/* Do not waste the host's vectors. In-tree allocates all up to the last one that is used. */
TEST_F(msix, as_few_as_are_used)
{
	int fds[IGB_VECTORS], i;
	struct vfio_irq_info info;

	OURS_ONLY();
	ASSERT_EQ(0, irq_info(self->s.fd, MSIX, &info));
	if (info.flags & VFIO_IRQ_INFO_NORESIZE)
		SKIP(return, "no vectors can be added in this machine");
	for (i = 0; i < IGB_VECTORS; i++)
		fds[i] = -1;
	ASSERT_EQ(0, irq_eventfds(self->s.fd, MSIX, 0, fds, IGB_VECTORS));
	/* The PCI core needs one to turn MSI-X on. */
	EXPECT_EQ(1, host_vectors(self->s.bdf));
	ASSERT_EQ(0, irq_disable(self->s.fd, MSIX));

	for (i = 0; i < IGB_VECTORS; i++)
		fds[i] = i < 2 || i == 7 ? self->efd[i] : -1;
	ASSERT_EQ(0, irq_eventfds(self->s.fd, MSIX, 0, fds, IGB_VECTORS));
	EXPECT_EQ(3, host_vectors(self->s.bdf));
	for (i = 0; i < IGB_VECTORS; i++) {
		if (fds[i] < 0)
			continue;
		igb_msix_raise(self->bar, 1u << i);
		EXPECT_EQ(1, event_wait(fds[i]));
	}
	/* Later ones are allocated then, and can be turned off for a while. */
	for (i = 0; i < IGB_VECTORS; i++) {
		ASSERT_EQ(0, irq_eventfd(self->s.fd, MSIX, i, self->efd[i]));
		igb_msix_raise(self->bar, 1u << i);
		EXPECT_EQ(1, event_wait(self->efd[i]));
	}
	EXPECT_EQ(IGB_VECTORS, host_vectors(self->s.bdf));
	ASSERT_EQ(0, irq_eventfd(self->s.fd, MSIX, 3, -1));
	EXPECT_EQ(IGB_VECTORS, host_vectors(self->s.bdf));
	ASSERT_EQ(0, irq_disable(self->s.fd, MSIX));
	EXPECT_GE(0, host_vectors(self->s.bdf));
}

static int set_power_state(int fd, u32 state)
{
	int pos = config_cap(fd, PCI_CAP_ID_PM);

	return pos < 0 ? pos : config_update(fd, pos + PCI_PM_CTRL, 2, PCI_PM_CTRL_STATE_MASK,
					     state);
}

static bool asleep(int fd)
{
	return (config_read(fd, config_cap(fd, PCI_CAP_ID_PM) + PCI_PM_CTRL, 2) &
		PCI_PM_CTRL_STATE_MASK) == PM_D3HOT;
}

/* As in a VMM whose guest crashes with the device asleep */
TEST_F(msix, off_in_d3hot)
{
	ASSERT_EQ(0, irq_eventfds(self->s.fd, MSIX, 0, self->efd, IGB_VECTORS));
	ASSERT_EQ(0, set_power_state(self->s.fd, PM_D3HOT));
	ASSERT_EQ(0, irq_disable(self->s.fd, MSIX));
	EXPECT_TRUE(asleep(self->s.fd));
	ASSERT_EQ(0, set_power_state(self->s.fd, PM_D0));
	ASSERT_EQ(0, irq_eventfd(self->s.fd, MSIX, 1, self->efd[1]));
	igb_msix_setup(self->bar);
	igb_msix_raise(self->bar, 1u << 1);
	EXPECT_EQ(1, event_wait(self->efd[1]));
}

TEST_F(msix, changed_in_d3hot)
{
	int i, j;

	ASSERT_EQ(0, irq_eventfds(self->s.fd, MSIX, 0, self->efd, IGB_VECTORS));
	ASSERT_EQ(0, set_power_state(self->s.fd, PM_D3HOT));
	/* Vector 1 with the eventfd of 0, and vice versa */
	ASSERT_EQ(0, irq_eventfd(self->s.fd, MSIX, 0, -1));
	ASSERT_EQ(0, irq_eventfd(self->s.fd, MSIX, 1, self->efd[0]));
	ASSERT_EQ(0, irq_eventfd(self->s.fd, MSIX, 0, self->efd[1]));
	EXPECT_TRUE(asleep(self->s.fd));
	ASSERT_EQ(0, set_power_state(self->s.fd, PM_D0));
	igb_msix_setup(self->bar);
	for (i = 0; i < IGB_VECTORS; i++) {
		igb_msix_raise(self->bar, 1u << i);
		ASSERT_EQ(1, event_wait(self->efd[i < 2 ? !i : i]));
		for (j = 0; j < IGB_VECTORS; j++)
			EXPECT_EQ(0, event_take(self->efd[j]));
	}
}

static void *fire_thread(void *arg)
{
	FIXTURE_DATA(msix) *self = arg;

	/* A lost interrupt is a timeout. */
	while (!__atomic_load_n(&self->stop, __ATOMIC_ACQUIRE) && !self->err) {
		igb_msix_raise(self->bar, 1);
		if (event_wait(self->efd[0]) != 1)
			self->err = -ETIMEDOUT;
		self->fired++;
	}
	return NULL;
}

TEST_F(msix, others_come_and_go)
{
	int none[IGB_VECTORS], i;
	pthread_t thread;

	memset(none, -1, sizeof(none));
	ASSERT_EQ(0, irq_eventfds(self->s.fd, MSIX, 0, self->efd, IGB_VECTORS));
	ASSERT_EQ(0, pthread_create(&thread, NULL, fire_thread, self));
	for (i = 0; i < 100 && !self->err; i++) {
		int n = 1 + i % (IGB_VECTORS - 1);

		ASSERT_EQ(0, irq_eventfd(self->s.fd, MSIX, n, -1));
		ASSERT_EQ(0, irq_eventfds(self->s.fd, MSIX, 1, none, IGB_VECTORS - 1));
		ASSERT_EQ(0, irq_eventfds(self->s.fd, MSIX, 1, self->efd + 1, IGB_VECTORS - 1));
	}
	__atomic_store_n(&self->stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, self->err);
	EXPECT_LT(0, self->fired);
	for (i = 1; i < IGB_VECTORS; i++) {
		igb_msix_raise(self->bar, 1u << i);
		EXPECT_LE(1, event_wait(self->efd[i]));
	}
}

/* The eventfd of a vector is replaced while it fires. */
TEST_F(msix, switched_while_it_fires)
{
	int i, other = event_new(), sum = 0;

	ASSERT_EQ(0, irq_eventfds(self->s.fd, MSIX, 0, self->efd, 1));
	for (i = 0; i < 200; i++) {
		igb_msix_raise(self->bar, 1);
		ASSERT_EQ(0, irq_eventfd(self->s.fd, MSIX, 0, i & 1 ? self->efd[0] : other));
		sum += event_take(self->efd[0]) + event_take(other);
	}
	EXPECT_LT(0, sum);
	igb_msix_raise(self->bar, 1);
	EXPECT_LE(1, event_wait(self->efd[0]));
}

TEST_F(msix, closed_while_it_fires)
{
	int i;

	ASSERT_EQ(0, irq_eventfds(self->s.fd, MSIX, 0, self->efd, IGB_VECTORS));
	for (i = 0; i < 100; i++)
		igb_msix_raise(self->bar, (1u << IGB_VECTORS) - 1);
	bar_unmap(self->s.fd, 0, self->bar);
	session_close(&self->s);
	ASSERT_EQ(0, session_open(&self->s, device_bdf(DEV_IGB)));
	EXPECT_EQ(-EINVAL, irq_loopback(self->s.fd, MSIX, 0, 1));
}

/*
 * Wait until the function deasserts its line, which may happen some time after the write to a
 * doorbell. Unmasking before that would correctly interrupt again.
 */
static int line_is_down(int fd)
{
	struct deadline d;

	deadline_start(&d);
	while (config_read(fd, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT) {
		if (deadline_passed(&d))
			return -ETIMEDOUT;
	}
	return 0;
}

/* All interrupt types for the completion of a request. */
TEST(nvme_completions)
{
	static const u32 types[] = { MSIX, INTX };
	struct nvme n = { .iova = IOVA };
	int efd = event_new(), round;
	struct session s;
	const char *bdf;
	size_t i;

	SETUP_DEVICE(&bdf, DEV_NVME);
	ASSERT_EQ(0, session_open(&s, bdf));
	n.bar = bar_map(s.fd, 0, 0, 0);
	ASSERT_NE(NULL, n.bar);
	n.mem = dma_alloc(NVME_MEM_SIZE);
	ASSERT_EQ(0, ioas_map(s.iommufd, s.ioas, n.mem, NVME_MEM_SIZE, IOVA));
	ASSERT_EQ(0, config_master(s.fd, true));
	for (i = 0; i < LIB_ARRAY_SIZE(types); i++) {
		/* nvme checks for MSI-X when the queue is created, so turn it on first. */
		ASSERT_EQ(0, irq_eventfd(s.fd, types[i], 0, efd));
		ASSERT_EQ(0, nvme_enable(&n));
		for (round = 0; round < 5; round++) {
			nvme_submit_identify(&n);
			EXPECT_LE(1, event_wait(efd));
			EXPECT_EQ(0, nvme_complete(&n));
			if (types[i] == INTX) {
				EXPECT_EQ(0, line_is_down(s.fd));
				EXPECT_EQ(0, intx_unmask(s.fd));
			}
			EXPECT_EQ(0, event_none(s.fd, efd));
		}
		ASSERT_EQ(0, irq_disable(s.fd, types[i]));
	}
	session_close(&s);
}

TEST(virtio_completions)
{
	static const u32 types[] = { MSIX, INTX };
	struct virtio_blk v = { .iova = IOVA };
	int efds[2] = { event_new(), event_new() }, round;
	struct session s;
	const char *bdf;
	size_t i;

	SETUP_DEVICE(&bdf, DEV_VIRTIO);
	ASSERT_EQ(0, session_open(&s, bdf));
	v.fd = s.fd;
	v.mem = dma_alloc(VIRTIO_MEM_SIZE);
	ASSERT_EQ(0, ioas_map(s.iommufd, s.ioas, v.mem, VIRTIO_MEM_SIZE, IOVA));
	ASSERT_EQ(0, config_master(s.fd, true));
	for (i = 0; i < LIB_ARRAY_SIZE(types); i++) {
		bool msix = types[i] == MSIX;

		ASSERT_EQ(0, irq_eventfds(s.fd, types[i], 0, efds, msix ? 2 : 1));
		ASSERT_EQ(0, virtio_blk_start(&v, msix ? 1 : 0xffff));
		for (round = 0; round < 5; round++) {
			virtio_blk_submit_id(&v);
			EXPECT_LE(1, event_wait(efds[msix]));
			EXPECT_EQ(0, virtio_blk_complete(&v));
			if (!msix) {
				/* Reading the status deasserts the line. */
				EXPECT_EQ(1, *(volatile u8 *)v.isr);
				EXPECT_EQ(0, intx_unmask(s.fd));
			}
			EXPECT_EQ(0, event_none(s.fd, efds[!msix]));
		}
		ASSERT_EQ(0, irq_disable(s.fd, types[i]));
	}
	session_close(&s);
}

TEST_HARNESS_MAIN
