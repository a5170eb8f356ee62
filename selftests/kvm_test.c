// SPDX-License-Identifier: GPL-2.0-only
/* KVM's use of a device: its VFIO device gets the file, and interrupts go through irqfds. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/config.h"
#include "lib/edu.h"
#include "lib/harness.h"
#include "lib/iommufd.h"
#include "lib/irq.h"
#include "lib/nic.h"
#include "lib/power.h"
#include "lib/vcpu.h"

#define GRACE "/sys/module/vfio_iommufd/parameters/release_grace_ms"
#define MSIX VFIO_PCI_MSIX_IRQ_INDEX

FIXTURE(kvm)
{
	const char *bdf;
	int vm;
	int dev;
};

FIXTURE_VARIANT(kvm)
{
	enum test_device dev;
};

FIXTURE_ALL_DEVICES(kvm);

#ifdef __aarch64__
static int set_attr(int dev, u32 group, u64 attr, u64 *val)
{
	struct kvm_device_attr a = { .group = group, .attr = attr, .addr = (uintptr_t)val };

	return ioctl(dev, KVM_SET_DEVICE_ATTR, &a);
}

/* A GICv3 with an ITS, and a CPU, which must exist before the GIC is complete. */
static int make_irqchip(int vm)
{
	struct kvm_create_device gic = { .type = KVM_DEV_TYPE_ARM_VGIC_V3 };
	struct kvm_create_device its = { .type = KVM_DEV_TYPE_ARM_VGIC_ITS };
	u64 distributor = 0x08000000, redistributors = 0x080a0000, translater = 0x08080000;
	int cpu, err = -1;

	if (ioctl(vm, KVM_CREATE_DEVICE, &gic))
		return -1;
	cpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	if (cpu >= 0 && !ioctl(vm, KVM_CREATE_DEVICE, &its)) {
		err = set_attr(gic.fd, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST,
			       &distributor) ||
		      set_attr(gic.fd, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST,
			       &redistributors) ||
		      set_attr(gic.fd, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT,
			       NULL) ||
		      set_attr(its.fd, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_ITS_ADDR_TYPE,
			       &translater) ||
		      set_attr(its.fd, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT,
			       NULL);
		close(its.fd);
	}
	if (cpu >= 0)
		close(cpu);
	close(gic.fd);
	return err ? -1 : 0;
}

#define MSI_FLAGS	KVM_MSI_VALID_DEVID
/* GITS_TRANSLATER */
#define MSI_ADDRESS	0x08090040
#else
static int make_irqchip(int vm)
{
	int cpu;

	if (ioctl(vm, KVM_CREATE_IRQCHIP, 0))
		return -1;
	cpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	if (cpu < 0)
		return -1;
	close(cpu);
	return 0;
}

#define MSI_FLAGS	0
#define MSI_ADDRESS	0xfee00000
#endif

/* A machine with a CPU, an in-kernel interrupt controller, and KVM's VFIO device. */
static int make_vm(int *dev)
{
	struct kvm_create_device cd = { .type = KVM_DEV_TYPE_VFIO };
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm;

	if (kvm < 0)
		return -errno;
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0)
		vm = -errno;
	close(kvm);
	if (vm < 0)
		return vm;
	if (make_irqchip(vm) || ioctl(vm, KVM_CREATE_DEVICE, &cd)) {
		int err = -errno;

		close(vm);
		return err;
	}
	*dev = cd.fd;
	return vm;
}

FIXTURE_SETUP(kvm)
{
	if (access("/dev/kvm", F_OK))
		SKIP(return, "no KVM in this machine");
	SETUP_DEVICE(&self->bdf, variant->dev);
	self->vm = make_vm(&self->dev);
	ASSERT_LE(0, self->vm);
}

FIXTURE_TEARDOWN(kvm)
{
	close(self->dev);
	close(self->vm);
}

static int kvm_file(int dev, u32 attr, int fd)
{
	struct kvm_device_attr a = {
		.group = KVM_DEV_VFIO_FILE,
		.attr = attr,
		.addr = (uintptr_t)&fd,
	};

	return ioctl(dev, KVM_SET_DEVICE_ATTR, &a) ? -errno : 0;
}

TEST_F(kvm, file_then_bind)
{
	int iommufd = iommufd_open(), fd = vfio_cdev_open(self->bdf);

	/* Like QEMU: pass the file to KVM before it is bound. */
	ASSERT_LE(0, iommufd);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, kvm_file(self->dev, KVM_DEV_VFIO_FILE_ADD, fd));
	EXPECT_EQ(-EEXIST, kvm_file(self->dev, KVM_DEV_VFIO_FILE_ADD, fd));
	EXPECT_EQ(0, vfio_bind(fd, iommufd, NULL));
	EXPECT_LE(0, config_read(fd, 0, 4));
	EXPECT_EQ(0, kvm_file(self->dev, KVM_DEV_VFIO_FILE_DEL, fd));
	EXPECT_EQ(-ENOENT, kvm_file(self->dev, KVM_DEV_VFIO_FILE_DEL, fd));
	EXPECT_EQ(0, kvm_file(self->dev, KVM_DEV_VFIO_FILE_ADD, fd));
	close(fd);
	close(iommufd);
}

TEST_F(kvm, bound_file)
{
	struct session s;

	ASSERT_EQ(0, session_open(&s, self->bdf));
	EXPECT_EQ(0, kvm_file(self->dev, KVM_DEV_VFIO_FILE_ADD, s.fd));
	EXPECT_EQ(0, kvm_file(self->dev, KVM_DEV_VFIO_FILE_DEL, s.fd));
	EXPECT_EQ(-EINVAL, kvm_file(self->dev, KVM_DEV_VFIO_FILE_ADD, s.iommufd));
	EXPECT_EQ(-EBADF, kvm_file(self->dev, KVM_DEV_VFIO_FILE_ADD, 1000));
	session_close(&s);
}

/* KVM holds the file, so the device has an owner until KVM releases it; in either order. */
TEST_F(kvm, order_of_closing)
{
	struct session s;
	int fd;

	ASSERT_EQ(0, session_open(&s, self->bdf));
	EXPECT_EQ(0, kvm_file(self->dev, KVM_DEV_VFIO_FILE_ADD, s.fd));
	close(s.fd);
	fd = vfio_cdev_open(self->bdf);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EINVAL, vfio_bind(fd, s.iommufd, NULL));
	close(self->dev);
	EXPECT_EQ(0, vfio_bind(fd, s.iommufd, NULL));
	close(fd);
	close(s.iommufd);
}

/* If KVM is closed first, the bound device continues to work. */
TEST_F(kvm, machine_closed_first)
{
	int iommufd = iommufd_open(), fd = vfio_cdev_open(self->bdf);

	ASSERT_LE(0, iommufd);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, kvm_file(self->dev, KVM_DEV_VFIO_FILE_ADD, fd));
	EXPECT_EQ(0, vfio_bind(fd, iommufd, NULL));
	close(self->dev);
	close(self->vm);
	EXPECT_LE(0, config_read(fd, 0, 4));
	close(fd);
	close(iommufd);
}

/*
 * An irqfd consumes the events of the eventfd, and its resample eventfd unmasks INTx: the path of
 * all guest interrupts. There is no guest here, so this checks that events are consumed, that any
 * order of connecting works, and that the eventfd works again afterwards.
 */
FIXTURE(irqfd)
{
	struct session s;
	void *bar;
	int vm;
	int dev;
	int efd;
};

FIXTURE_SETUP(irqfd)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry;
	} routing = {
		.head.nr = 1,
		.entry = {
			.gsi = 24,
			.type = KVM_IRQ_ROUTING_MSI,
			.flags = MSI_FLAGS,
			.u.msi = { .address_lo = MSI_ADDRESS, .data = 0x41 },
		},
	};

	if (access("/dev/kvm", F_OK))
		SKIP(return, "no KVM in this machine");
	SETUP_SESSION(&self->s, DEV_IGB);
	self->vm = make_vm(&self->dev);
	ASSERT_LE(0, self->vm);
	ASSERT_EQ(0, ioctl(self->vm, KVM_SET_GSI_ROUTING, &routing));
	ASSERT_EQ(0, kvm_file(self->dev, KVM_DEV_VFIO_FILE_ADD, self->s.fd));
	self->bar = bar_map(self->s.fd, 0, 0, 0);
	ASSERT_NE(NULL, self->bar);
	ASSERT_EQ(0, config_master(self->s.fd, true));
	self->efd = event_new();
}

FIXTURE_TEARDOWN(irqfd)
{
	session_close(&self->s);
	close(self->dev);
	close(self->vm);
}

static int irqfd(int vm, int efd, u32 gsi, u32 flags, int resample)
{
	struct kvm_irqfd cmd = {
		.fd = efd,
		.gsi = gsi,
		.flags = flags,
		.resamplefd = resample,
	};

	return ioctl(vm, KVM_IRQFD, &cmd) ? -errno : 0;
}

/* Number of interrupts of vector 0 on the host so far */
static long taken(const char *bdf)
{
	FILE *f = fopen("/proc/interrupts", "r");
	char line[4096], name[64], *p, *end;
	long sum = -1, n;

	if (!f)
		return -errno;
	snprintf(name, sizeof(name), "vfio-msix[0](%s)", bdf);
	while (sum < 0 && fgets(line, sizeof(line), f)) {
		p = strchr(line, ':');
		if (!p || !strstr(p, name))
			continue;
		/* A column for each CPU */
		for (sum = 0, p++; n = strtol(p, &end, 10), end != p && isspace(*end); p = end)
			sum += n;
	}
	fclose(f);
	return sum;
}

/* When this task has run on a CPU, interrupts that had begun there are over. */
static int run_on_each_cpu(void)
{
	cpu_set_t all, one;
	int cpu;

	if (sched_getaffinity(0, sizeof(all), &all))
		return -errno;
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		if (CPU_ISSET(cpu, &all) && sched_setaffinity(0, sizeof(one), &one))
			return -errno;
	}
	return sched_setaffinity(0, sizeof(all), &all) ? -errno : 0;
}

/*
 * Raise an interrupt, and wait for the end of its handler, which runs some time later. The host
 * first counts it, unless it is posted to a running guest, but there is none.
 */
static int raise_and_wait(FIXTURE_DATA(irqfd) *self)
{
	long before = taken(self->s.bdf);
	struct deadline d;

	if (before < 0)
		return -ENOENT;
	igb_msix_raise(self->bar, 1);
	for (deadline_start(&d); taken(self->s.bdf) == before; )
		if (deadline_passed(&d))
			return -ETIMEDOUT;
	return run_on_each_cpu();
}

TEST_F(irqfd, producer_before_consumer)
{
	int i;

	igb_msix_setup(self->bar);
	ASSERT_EQ(0, irq_eventfd(self->s.fd, MSIX, 0, self->efd));
	ASSERT_EQ(0, irqfd(self->vm, self->efd, 24, 0, -1));
	for (i = 0; i < 5; i++)
		ASSERT_EQ(0, raise_and_wait(self));
	ASSERT_EQ(0, irqfd(self->vm, self->efd, 24, KVM_IRQFD_FLAG_DEASSIGN, -1));
	/* KVM has consumed all of them in the meantime. */
	EXPECT_EQ(0, event_take(self->efd));
	igb_msix_raise(self->bar, 1);
	EXPECT_EQ(1, event_wait(self->efd));
}

TEST_F(irqfd, consumer_before_producer)
{
	int i;

	igb_msix_setup(self->bar);
	ASSERT_EQ(0, irqfd(self->vm, self->efd, 24, 0, -1));
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, irq_eventfd(self->s.fd, MSIX, 0, self->efd));
		igb_msix_raise(self->bar, 1);
		ASSERT_EQ(0, irq_eventfd(self->s.fd, MSIX, 0, -1));
	}
	ASSERT_EQ(0, irq_eventfd(self->s.fd, MSIX, 0, self->efd));
	EXPECT_EQ(0, irq_loopback(self->s.fd, MSIX, 0, 1));
	EXPECT_EQ(0, event_take(self->efd));
	/* Either of the two may be closed first. */
	session_close(&self->s);
	ASSERT_EQ(0, irqfd(self->vm, self->efd, 24, KVM_IRQFD_FLAG_DEASSIGN, -1));
}

TEST_F(irqfd, intx_with_resample)
{
	int unmask = event_new();

	ASSERT_EQ(0, irq_eventfd(self->s.fd, VFIO_PCI_INTX_IRQ_INDEX, 0, self->efd));
	ASSERT_EQ(0, irq_set(self->s.fd, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK,
			     VFIO_PCI_INTX_IRQ_INDEX, 0, 1, &unmask, sizeof(unmask)));
	ASSERT_EQ(0, irqfd(self->vm, self->efd, 5, KVM_IRQFD_FLAG_RESAMPLE, unmask));
	nic_raise(self->bar);
	EXPECT_EQ(0, event_take(unmask));
	ASSERT_EQ(0, irqfd(self->vm, self->efd, 5, KVM_IRQFD_FLAG_DEASSIGN, unmask));
	nic_ack(self->bar);
	event_take(self->efd);
	event_signal(unmask);
	nic_raise(self->bar);
	EXPECT_LE(1, event_wait(self->efd));
	nic_ack(self->bar);
}

/*
 * A guest that accesses a BAR which does not answer. With the in-tree driver, KVM gives up, and so
 * does the VMM; with ours, the guest reads ones and continues, as on a real machine. Accesses of
 * other programs raise a signal.
 */
FIXTURE(guest)
{
	struct session s;
	struct vcpu vcpu;
	void *bar;
	int dev;
	/* The contents of its register */
	u32 held;
	u64 reg;
	bool stop;
	int err;
};

FIXTURE_VARIANT(guest)
{
	enum test_device dev;
	u32 index;
	size_t len;
	/* A register that returns what was written to it, possibly inverted */
	u64 reg;
};

FIXTURE_VARIANT_ADD(guest, edu) {
	.dev = DEV_EDU, .index = 0, .len = 0x2000, .reg = EDU_INVERT,
};

/* Its mapping has large pages. */
FIXTURE_VARIANT_ADD(guest, ivshmem) {
	.dev = DEV_IVSHMEM, .index = 2, .len = 2 << 20, .reg = 0x1230,
};

FIXTURE_SETUP(guest)
{
	struct kvm_create_device cd = { .type = KVM_DEV_TYPE_VFIO };

	if (access("/dev/kvm", F_OK))
		SKIP(return, "no KVM in this machine");
	SETUP_SESSION(&self->s, variant->dev);
	self->bar = bar_map(self->s.fd, variant->index, 0, variant->len);
	ASSERT_NE(NULL, self->bar);
	ASSERT_EQ(0, vcpu_start(&self->vcpu, self->bar, 0x2000));
	ASSERT_EQ(0, ioctl(self->vcpu.vm, KVM_CREATE_DEVICE, &cd));
	self->dev = cd.fd;
	ASSERT_EQ(0, kvm_file(self->dev, KVM_DEV_VFIO_FILE_ADD, self->s.fd));
	ASSERT_EQ(0, vcpu_write32(&self->vcpu, variant->reg, 0x600df00d));
	ASSERT_EQ(0, vcpu_read32(&self->vcpu, variant->reg, &self->held));
	ASSERT_EQ(variant->dev == DEV_EDU ? ~0x600df00du : 0x600df00du, self->held);
}

FIXTURE_TEARDOWN(guest)
{
	vcpu_end(&self->vcpu);
	close(self->dev);
	munmap(self->bar, variant->len);
	session_close(&self->s);
}

static int set_decode(int fd, bool on)
{
	return config_update(fd, PCI_COMMAND, 2, on ? 0 : PCI_COMMAND_MEMORY,
			     on ? PCI_COMMAND_MEMORY : 0);
}

/* All ones, after a short time in which data that was written can be read back. */
static int reads_ones(struct vcpu *v, u64 off)
{
	struct deadline d;
	u32 val;
	int err;

	for (deadline_start(&d); !deadline_passed(&d); ) {
		err = vcpu_read32(v, off, &val);
		if (err || val == ~0u)
			return err;
	}
	return -ETIMEDOUT;
}

static int unbind_at_once(const char *bdf)
{
	char grace[32];
	int err;

	if (sysfs_read(grace, sizeof(grace), GRACE) < 0 || sysfs_write("0", GRACE))
		return -ENOENT;
	err = sysfs_unbind(bdf);
	return sysfs_write(grace, GRACE) ?: err;
}

TEST_F(guest, not_of_kvm)
{
	u32 val;

	ASSERT_EQ(0, kvm_file(self->dev, KVM_DEV_VFIO_FILE_DEL, self->s.fd));
	EXPECT_EQ(0, vcpu_read32(&self->vcpu, variant->reg, &val));
	EXPECT_EQ(self->held, val);
	ASSERT_EQ(0, set_decode(self->s.fd, false));
	EXPECT_EQ(-EFAULT, mmio_peek32(self->bar, &val));
	EXPECT_EQ(-EFAULT, mmio_poke32(self->bar, 0));
	EXPECT_EQ(-EFAULT, vcpu_read32(&self->vcpu, variant->reg, &val));
	ASSERT_EQ(0, set_decode(self->s.fd, true));
	EXPECT_EQ(0, vcpu_read32(&self->vcpu, variant->reg, &val));
	EXPECT_EQ(self->held, val);
}

TEST_F(guest, decode_off)
{
	u32 val;

	OURS_ONLY();
	ASSERT_EQ(0, set_decode(self->s.fd, false));
	EXPECT_EQ(0, vcpu_read32(&self->vcpu, variant->reg, &val));
	EXPECT_EQ(~0u, val);
	EXPECT_EQ(0, vcpu_write32(&self->vcpu, variant->reg, 0xbad));
	EXPECT_EQ(0, vcpu_write32(&self->vcpu, 0x1000, 0xbad));
	EXPECT_EQ(0, reads_ones(&self->vcpu, variant->reg));
	EXPECT_EQ(0, reads_ones(&self->vcpu, 0));
	/* A VMM that makes the access on behalf of its guest reads the same. */
	EXPECT_EQ(0, mmio_peek32(self->bar, &val));
	EXPECT_EQ(~0u, val);
	EXPECT_EQ(0, mmio_poke32(self->bar + variant->reg, 0xbad));
	/* It cannot be mapped for DMA. */
	EXPECT_EQ(-EFAULT, ioas_map(self->s.iommufd, self->s.ioas, self->bar, 0x1000, 0));

	ASSERT_EQ(0, set_decode(self->s.fd, true));
	EXPECT_EQ(0, vcpu_read32(&self->vcpu, variant->reg, &val));
	EXPECT_EQ(self->held, val);
	EXPECT_EQ(0, mmio_peek32(self->bar + variant->reg, &val));
	EXPECT_EQ(self->held, val);
}

TEST_F(guest, low_power)
{
	u32 val;

	OURS_ONLY();
	ASSERT_EQ(0, low_power_entry(self->s.fd));
	EXPECT_EQ(0, vcpu_read32(&self->vcpu, variant->reg, &val));
	EXPECT_EQ(~0u, val);
	ASSERT_EQ(0, low_power_exit(self->s.fd));
	EXPECT_EQ(0, vcpu_read32(&self->vcpu, variant->reg, &val));
	EXPECT_EQ(self->held, val);
}

TEST_F(guest, taken_away)
{
	struct session next;
	struct deadline d;
	u32 val;
	s64 held;

	OURS_ONLY();
	ASSERT_EQ(0, unbind_at_once(self->s.bdf));
	EXPECT_EQ(0, vcpu_read32(&self->vcpu, variant->reg, &val));
	EXPECT_EQ(~0u, val);
	EXPECT_EQ(0, vcpu_write32(&self->vcpu, variant->reg, 0xbad));
	EXPECT_EQ(0, reads_ones(&self->vcpu, variant->reg));

	/* The next user and the guest do not affect each other. */
	ASSERT_EQ(0, sysfs_rebind(self->s.bdf));
	ASSERT_EQ(0, session_open(&next, self->s.bdf));
	held = region_read32(next.fd, variant->index, variant->reg);
	EXPECT_EQ(0, vcpu_write32(&self->vcpu, variant->reg, 0xbad));
	EXPECT_EQ(0, reads_ones(&self->vcpu, variant->reg));
	EXPECT_EQ(held, region_read32(next.fd, variant->index, variant->reg));
	session_close(&next);

	/* Without KVM, it raises a signal again, once the page of ones is unmapped. */
	ASSERT_EQ(0, kvm_file(self->dev, KVM_DEV_VFIO_FILE_DEL, self->s.fd));
	for (deadline_start(&d); !mmio_peek32(self->bar + variant->reg, &val); )
		ASSERT_FALSE(deadline_passed(&d));
	EXPECT_EQ(-EFAULT, vcpu_read32(&self->vcpu, variant->reg, &val));
}

static void *read_thread(void *arg)
{
	FIXTURE_DATA(guest) *self = arg;
	u32 val;

	while (!self->err && !__atomic_load_n(&self->stop, __ATOMIC_ACQUIRE)) {
		self->err = vcpu_read32(&self->vcpu, self->reg, &val);
		if (!self->err && val != ~0u && val != self->held)
			self->err = -EINVAL;
	}
	return NULL;
}

/*
 * At any moment, and ones are not seen for longer than necessary. With a separate mapping, as KVM
 * gives up if another thread has mapped a page, which is then removed.
 */
TEST_F(guest, while_it_changes)
{
	pthread_t thread;
	volatile int spin;
	void *bar;
	u32 val;
	int i;

	OURS_ONLY();
	bar = bar_map(self->s.fd, variant->index, 0, variant->len);
	ASSERT_NE(NULL, bar);
	self->reg = variant->reg;
	ASSERT_EQ(0, pthread_create(&thread, NULL, read_thread, self));
	/* After an immediate fault, with delays from 0 to longer than the fault takes */
	for (i = 0; i < 500; i++) {
		ASSERT_EQ(0, set_decode(self->s.fd, i & 1));
		for (spin = 0; spin < i % 100 * 200; spin++)
			;
	}
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, set_decode(self->s.fd, false));
		ASSERT_EQ(0, mmio_peek32(bar + variant->reg, &val));
		EXPECT_EQ(~0u, val);
		ASSERT_EQ(0, set_decode(self->s.fd, true));
		ASSERT_EQ(0, mmio_peek32(bar + variant->reg, &val));
		EXPECT_EQ(self->held, val);
	}
	EXPECT_EQ(0, unbind_at_once(self->s.bdf));
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, mmio_peek32(bar + variant->reg, &val));
		EXPECT_EQ(~0u, val);
	}
	__atomic_store_n(&self->stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, self->err);
	munmap(bar, variant->len);
	sysfs_rebind(self->s.bdf);
}

TEST_HARNESS_MAIN
