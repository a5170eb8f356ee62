// SPDX-License-Identifier: GPL-2.0-only
/*
 * Errors of the device, and the state after recovery. They are injected by the kernel's aer_inject,
 * which changes what the kernel reads, and by QEMU, where a message is sent: by the device or, if
 * its model cannot do that, by the port above it.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/config.h"
#include "lib/harness.h"
#include "lib/iommufd.h"
#include "lib/irq.h"
#include "lib/module.h"
#include "lib/nic.h"
#include "lib/power.h"
#include "lib/qmp.h"
#include "lib/virtio.h"

#define ODD "odd-function"
#define ODD_MUTE "/sys/module/odd_function/parameters/mute"
#define GRACE "/sys/module/vfio_iommufd/parameters/release_grace_ms"
#define IOVA 0x1000000ull
#define DIRTY 0x00001000

/* The input of aer_inject, as in the kernel's drivers/pci/pcie/aer_inject.c */
struct injection {
	u8 bus;
	u8 dev;
	u8 fn;
	u32 uncorrectable;
	u32 correctable;
	u32 header[4];
	u32 domain;
};

enum severity { CORRECTABLE, NONFATAL, FATAL };

static u32 error_bit(enum severity severity)
{
	switch (severity) {
	case CORRECTABLE:
		return PCI_ERR_COR_RCVR;
	case NONFATAL:
		return PCI_ERR_UNC_COMP_TIME;
	default:
		return PCI_ERR_UNC_DLP;
	}
}

/* The n-th device is behind the n-th port, and so on bus n. */
static int inject_by_qemu(const char *bdf, const char *id, enum severity severity)
{
	return qmp_expect("OK", "'execute': 'human-monitor-command', 'arguments': { "
			  "'command-line': 'pcie_aer_inject_error %s %s%lu 0x%x' }",
			  severity == CORRECTABLE ? "-c" : "", id,
			  strtoul(bdf + strlen("0000:"), NULL, 16), error_bit(severity));
}

static int inject_by_device(const char *bdf, enum severity severity)
{
	return inject_by_qemu(bdf, "dev", severity);
}

static int inject_by_port(const char *bdf, enum severity severity)
{
	return inject_by_qemu(bdf, "rp", severity);
}

static int inject_by_kernel(const char *bdf, enum severity severity)
{
	struct injection inj = {};
	unsigned int domain, bus, dev, fn;
	int fd, err = 0;

	if (sscanf(bdf, "%x:%x:%x.%x", &domain, &bus, &dev, &fn) != 4)
		return -EINVAL;
	inj.domain = domain;
	inj.bus = bus;
	inj.dev = dev;
	inj.fn = fn;
	if (severity == CORRECTABLE)
		inj.correctable = error_bit(severity);
	else
		inj.uncorrectable = error_bit(severity);

	fd = open("/dev/aer_inject", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, &inj, sizeof(inj)) != sizeof(inj))
		err = -errno;
	close(fd);
	return err;
}

/* Only the kernel log reports the end of a recovery. */
static int log_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || lseek(fd, 0, SEEK_END) < 0) {
		perror("/dev/kmsg");
		exit(1);
	}
	return fd;
}

/* Returns 0 after a recovery, -EIO if it failed. */
static int log_wait(int log)
{
	struct deadline end;
	char line[1024];
	ssize_t n;

	for (deadline_start(&end); !deadline_passed(&end); ) {
		n = read(log, line, sizeof(line) - 1);
		if (n < 0)
			continue;
		line[n] = 0;
		if (strstr(line, "device recovery successful"))
			return 0;
		if (strstr(line, "device recovery failed"))
			return -EIO;
	}
	return -ETIMEDOUT;
}

FIXTURE(aer)
{
	struct session s;
	const char *bdf;
	/* The sender of the message */
	char source[BDF_LEN];
	/* Another function of the device, or empty. Without a driver, it would prevent recovery. */
	char other[BDF_LEN];
	int error;
	int log;
	void *bar;
	struct virtio_blk blk;
};

FIXTURE_VARIANT(aer)
{
	enum test_device dev;
	/* A BAR that can be mapped */
	u32 index;
	int (*inject)(const char *bdf, enum severity severity);
};

FIXTURE_VARIANT_ADD(aer, igb) { .dev = DEV_IGB, .inject = inject_by_kernel };
FIXTURE_VARIANT_ADD(aer, e1000e) { .dev = DEV_E1000E, .inject = inject_by_kernel };
FIXTURE_VARIANT_ADD(aer, virtio) { .dev = DEV_VIRTIO, .index = 4, .inject = inject_by_kernel };
FIXTURE_VARIANT_ADD(aer, igb_by_port) { .dev = DEV_IGB, .inject = inject_by_port };
FIXTURE_VARIANT_ADD(aer, e1000e_by_port) { .dev = DEV_E1000E, .inject = inject_by_port };
FIXTURE_VARIANT_ADD(aer, virtio_by_device) {
	.dev = DEV_VIRTIO, .index = 4, .inject = inject_by_device
};

FIXTURE_SETUP(aer)
{
	char line[64];

	self->bar = NULL;
	self->s.fd = -1;
	self->s.iommufd = -1;
	if (variant->inject != inject_by_kernel) {
		if (access("/dev/virtio-ports/qmp", F_OK))
			SKIP(return, "no QEMU to talk to");
		/* It would continue to hide the contents of the registers. */
		ASSERT_EQ(0, system("modprobe -qr aer_inject"));
	} else {
		/* It takes a spinlock inside the PCI core's raw spinlock. */
		if (!access("/proc/lockdep", F_OK))
			SKIP(return, "lockdep warns about aer_inject, and then turns itself off");
		if (system("modprobe -q aer_inject"))
			SKIP(return, "no aer_inject in this kernel");
	}
	SETUP_DEVICE(&self->bdf, variant->dev);
	if (sysfs_read(line, sizeof(line), "/sys/bus/pci/devices/%s/aer_dev_fatal", self->bdf) < 0)
		SKIP(return, "the device does not report errors");
	strcpy(self->source, self->bdf);
	if (variant->inject == inject_by_port)
		ASSERT_EQ(0, sysfs_port(self->bdf, self->source));
	strcpy(self->other, self->bdf);
	self->other[BDF_LEN - 2] = '1';
	if (sysfs_bind(self->other))
		self->other[0] = 0;
	ASSERT_EQ(0, session_open(&self->s, self->bdf));
	self->error = event_new();
	ASSERT_EQ(0, irq_eventfd(self->s.fd, VFIO_PCI_ERR_IRQ_INDEX, 0, self->error));
	ASSERT_EQ(0, config_master(self->s.fd, true));
	self->bar = bar_map(self->s.fd, variant->index, 0, 0);
	ASSERT_NE(NULL, self->bar);
	self->log = log_open();
}

FIXTURE_TEARDOWN(aer)
{
	if (self->bar)
		bar_unmap(self->s.fd, variant->index, self->bar);
	session_close(&self->s);
	if (self->bdf)
		sysfs_bind(self->bdf);
}

static long count_correctable(const char *bdf)
{
	char text[1024], *p;

	if (sysfs_read(text, sizeof(text), "/sys/bus/pci/devices/%s/aer_dev_correctable", bdf) < 0)
		return -1;
	p = strstr(text, "TOTAL_ERR_COR ");
	return p ? atol(p + strlen("TOTAL_ERR_COR ")) : -1;
}

/* Interrupts, and where the device can, DMA */
#define EXPECT_WORKS() do {								\
	int efd_ = event_new();								\
											\
	if (variant->dev == DEV_VIRTIO) {						\
		self->blk = (struct virtio_blk){					\
			.fd = self->s.fd, .iova = IOVA, .mem = dma_alloc(VIRTIO_MEM_SIZE),\
		};									\
		ASSERT_EQ(0, ioas_map(self->s.iommufd, self->s.ioas, self->blk.mem,	\
				      VIRTIO_MEM_SIZE, IOVA));				\
		ASSERT_EQ(0, virtio_blk_start(&self->blk, 0xffff));			\
		virtio_blk_submit_id(&self->blk);					\
		EXPECT_EQ(0, virtio_blk_complete(&self->blk));				\
		EXPECT_STREQ("vfiotest", virtio_blk_id(&self->blk));			\
	} else {									\
		ASSERT_EQ(0, irq_eventfd(self->s.fd, VFIO_PCI_MSI_IRQ_INDEX, 0, efd_));	\
		nic_raise(self->bar);							\
		EXPECT_LE(1, event_wait(efd_));						\
		nic_ack(self->bar);							\
		EXPECT_EQ(0, irq_disable(self->s.fd, VFIO_PCI_MSI_IRQ_INDEX));		\
	}										\
	close(efd_);									\
} while (0)

/* The user is not notified. */
TEST_F(aer, correctable)
{
	long count = count_correctable(self->source);
	struct deadline end;

	ASSERT_EQ(0, variant->inject(self->bdf, CORRECTABLE));
	for (deadline_start(&end); count_correctable(self->source) == count; ) {
		ASSERT_FALSE(deadline_passed(&end));
	}
	EXPECT_EQ(0, event_take(self->error));
	EXPECT_WORKS();
}

/* The user is notified, and loses nothing. */
TEST_F(aer, nonfatal)
{
	u8 before[256], after[256];
	int i;

	ASSERT_EQ(256, region_pread(self->s.fd, VFIO_PCI_CONFIG_REGION_INDEX, 0, before, 256));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, variant->inject(self->bdf, NONFATAL));
		EXPECT_EQ(1, event_wait(self->error));
		ASSERT_EQ(0, log_wait(self->log));
	}
	ASSERT_EQ(256, region_pread(self->s.fd, VFIO_PCI_CONFIG_REGION_INDEX, 0, after, 256));
	/* A device that has sent a message sets a bit there. */
	memset(before + PCI_STATUS, 0, 2);
	memset(after + PCI_STATUS, 0, 2);
	EXPECT_EQ(0, memcmp(before, after, 64));
	EXPECT_WORKS();
}

/* Recovery resets the bus. The in-tree driver leaves the rest to the user. */
TEST_F(aer, fatal_is_told)
{
	ASSERT_EQ(0, variant->inject(self->bdf, FATAL));
	EXPECT_EQ(1, event_wait(self->error));
	ASSERT_EQ(0, log_wait(self->log));
	EXPECT_EQ(0, event_take(self->error));
	EXPECT_LE(0, config_read(self->s.fd, 0, 4));
}

TEST_F(aer, fatal)
{
	u8 before[256], after[256];
	u32 irq = variant->dev == DEV_VIRTIO ? VFIO_PCI_MSIX_IRQ_INDEX : VFIO_PCI_MSI_IRQ_INDEX;
	int efd = event_new(), i;
	u32 val;

	OURS_ONLY();
	ASSERT_EQ(0, config_write(self->s.fd, PCI_INTERRUPT_LINE, 1, 0x77));
	ASSERT_EQ(0, config_write(self->s.fd, PCI_CACHE_LINE_SIZE, 1, 0x20));
	ASSERT_EQ(0, irq_eventfd(self->s.fd, irq, 0, efd));
	ASSERT_EQ(256, region_pread(self->s.fd, VFIO_PCI_CONFIG_REGION_INDEX, 0, before, 256));
	for (i = 0; i < 3; i++) {
		if (variant->dev == DEV_IGB)
			mmio_write32(self->bar, NIC_RDBAL, DIRTY);
		ASSERT_EQ(0, variant->inject(self->bdf, FATAL));
		EXPECT_EQ(1, event_wait(self->error));
		/* Accesses wait from now on. */
		ASSERT_EQ(0, mmio_peek32(self->bar, &val));
		EXPECT_NE(~0u, val);
		ASSERT_EQ(0, log_wait(self->log));
		if (variant->dev == DEV_IGB) {
			EXPECT_EQ(0, mmio_read32(self->bar, NIC_RDBAL));
		}
	}
	ASSERT_EQ(256, region_pread(self->s.fd, VFIO_PCI_CONFIG_REGION_INDEX, 0, after, 256));
	EXPECT_EQ(0, memcmp(before, after, 256));
	/* The interrupt is still on. */
	if (variant->dev != DEV_VIRTIO) {
		event_take(efd);
		nic_raise(self->bar);
		EXPECT_LE(1, event_wait(efd));
		nic_ack(self->bar);
	}
	ASSERT_EQ(0, irq_disable(self->s.fd, irq));
	EXPECT_WORKS();
}

/* Without a reset, the function stays in the user's low-power state. */
TEST_F(aer, nonfatal_in_low_power)
{
	int pos = config_cap(self->s.fd, PCI_CAP_ID_PM);

	if (pos <= 0)
		SKIP(return, "no power management");
	ASSERT_EQ(0, config_update(self->s.fd, pos + PCI_PM_CTRL, 2, PCI_PM_CTRL_STATE_MASK, 3));
	ASSERT_EQ(0, variant->inject(self->bdf, NONFATAL));
	EXPECT_EQ(1, event_wait(self->error));
	ASSERT_EQ(0, log_wait(self->log));
	EXPECT_EQ(3, config_read(self->s.fd, pos + PCI_PM_CTRL, 2) & PCI_PM_CTRL_STATE_MASK);
	ASSERT_EQ(0, config_update(self->s.fd, pos + PCI_PM_CTRL, 2, PCI_PM_CTRL_STATE_MASK, 0));
	EXPECT_WORKS();
}

/* A function that sleeps is woken up by the reset. */
TEST_F(aer, fatal_in_low_power)
{
	int pos = config_cap(self->s.fd, PCI_CAP_ID_PM);
	u32 val;

	OURS_ONLY();
	if (pos <= 0)
		SKIP(return, "no power management");
	ASSERT_EQ(0, config_update(self->s.fd, pos + PCI_PM_CTRL, 2, PCI_PM_CTRL_STATE_MASK, 3));
	ASSERT_EQ(0, variant->inject(self->bdf, FATAL));
	EXPECT_EQ(1, event_wait(self->error));
	ASSERT_EQ(0, log_wait(self->log));
	EXPECT_EQ(0, config_read(self->s.fd, pos + PCI_PM_CTRL, 2) & PCI_PM_CTRL_STATE_MASK);
	ASSERT_EQ(0, mmio_peek32(self->bar, &val));
	EXPECT_WORKS();
}

/* A thread that changes the power state */
struct sleeper {
	pthread_t thread;
	pid_t tid;
	int fd;
	unsigned int pmcsr;
	u32 state;
	int err;
};

static void *sleep_thread(void *arg)
{
	struct sleeper *s = arg;

	__atomic_store_n(&s->tid, gettid(), __ATOMIC_RELEASE);
	s->err = config_update(s->fd, s->pmcsr, 2, PCI_PM_CTRL_STATE_MASK, s->state);
	return NULL;
}

/* Even then, nothing that was set up since the beginning of the session is lost. */
TEST_F(aer, fatal_while_its_power_state_changes)
{
	int pos = config_cap(self->s.fd, PCI_CAP_ID_PM);
	int exp = config_cap(self->s.fd, PCI_CAP_ID_EXP);
	char args[64];
	u16 devctl;
	int i;

	OURS_ONLY();
	if (pos <= 0 || exp <= 0)
		SKIP(return, "no power management, or no Express");
	if (variant->inject == inject_by_kernel)
		SKIP(return, "aer_inject changes what is read, as odd-function does");
	sprintf(args, "device=%s d3hot_delay=500", self->bdf);
	ASSERT_EQ(0, module_load(ODD, args));
	for (i = 0; i < 4; i++) {
		struct sleeper s = {
			.fd = self->s.fd, .pmcsr = pos + PCI_PM_CTRL, .state = i % 2 ? 0 : 3,
		};

		/* Makes the kernel save the registers. This copy will soon be outdated. */
		EXPECT_EQ(0, variant->inject(self->bdf, NONFATAL));
		EXPECT_EQ(1, event_wait(self->error));
		EXPECT_EQ(0, log_wait(self->log));
		devctl = config_read(self->s.fd, exp + PCI_EXP_DEVCTL, 2) ^ PCI_EXP_DEVCTL_URRE;
		EXPECT_EQ(0, config_write(self->s.fd, exp + PCI_EXP_DEVCTL, 2, devctl));
		/* Not all models have the bit. */
		devctl = config_read(self->s.fd, exp + PCI_EXP_DEVCTL, 2);
		if (!s.state)
			EXPECT_EQ(0, config_update(s.fd, s.pmcsr, 2, PCI_PM_CTRL_STATE_MASK, 3));
		ASSERT_EQ(0, pthread_create(&s.thread, NULL, sleep_thread, &s));
		EXPECT_TRUE(thread_waits(&s.tid));
		EXPECT_EQ(0, variant->inject(self->bdf, FATAL));
		EXPECT_EQ(1, event_wait(self->error));
		EXPECT_EQ(0, log_wait(self->log));
		pthread_join(s.thread, NULL);
		EXPECT_EQ(0, s.err);
		EXPECT_TRUE(config_read(s.fd, PCI_COMMAND, 2) & PCI_COMMAND_MASTER);
		EXPECT_EQ(devctl, config_read(s.fd, exp + PCI_EXP_DEVCTL, 2));
		EXPECT_EQ(0, config_update(s.fd, s.pmcsr, 2, PCI_PM_CTRL_STATE_MASK, 0));
	}
	ASSERT_EQ(0, module_unload(ODD));
	EXPECT_WORKS();
}

/* If Interrupt Disable stops MSI as well, restoring must not leave it set. */
TEST_F(aer, fatal_with_intx_that_stops_msi)
{
	int efd = event_new();
	char args[64];
	u8 before[64], after[64];
	u16 command;

	OURS_ONLY();
	if (variant->inject != inject_by_port)
		SKIP(return, "aer_inject changes what is read, as odd-function does");
	ASSERT_EQ(64, sysfs_config(self->bdf, 0, before, 64));
	sprintf(args, "device=%s intx_stops_msi=1", self->bdf);
	ASSERT_EQ(0, module_load(ODD, args));
	EXPECT_EQ(0, irq_eventfd(self->s.fd, VFIO_PCI_MSI_IRQ_INDEX, 0, efd));
	EXPECT_EQ(2, sysfs_config(self->bdf, PCI_COMMAND, &command, 2));
	EXPECT_EQ(0, command & PCI_COMMAND_INTX_DISABLE);
	/* Makes it restore the configuration from the beginning of the session. */
	EXPECT_EQ(0, sysfs_write("1", ODD_MUTE));
	EXPECT_EQ(0, variant->inject(self->bdf, FATAL));
	EXPECT_EQ(1, event_wait(self->error));
	EXPECT_EQ(0, sysfs_write("0", ODD_MUTE));
	EXPECT_EQ(0, log_wait(self->log));
	EXPECT_EQ(2, sysfs_config(self->bdf, PCI_COMMAND, &command, 2));
	EXPECT_EQ(PCI_COMMAND_MASTER, command & (PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE));
	/* Not all ones, which it read as at the freeze */
	EXPECT_EQ(64, sysfs_config(self->bdf, 0, after, 64));
	EXPECT_EQ(0, memcmp(before + PCI_CLASS_REVISION, after + PCI_CLASS_REVISION,
			    64 - PCI_CLASS_REVISION));
	EXPECT_EQ(0, irq_disable(self->s.fd, VFIO_PCI_MSI_IRQ_INDEX));
	EXPECT_EQ(2, sysfs_config(self->bdf, PCI_COMMAND, &command, 2));
	EXPECT_EQ(PCI_COMMAND_INTX_DISABLE, command & PCI_COMMAND_INTX_DISABLE);
	ASSERT_EQ(0, module_unload(ODD));
	EXPECT_WORKS();
	close(efd);
}

/* What a user may do as soon as they are notified: everything works, or waits until it does. */
TEST_F(aer, at_once)
{
	struct vfio_pci_hot_reset hot = { .argsz = sizeof(hot) };
	int err;

	OURS_ONLY();
	ASSERT_EQ(0, variant->inject(self->bdf, FATAL));
	EXPECT_EQ(1, event_wait(self->error));
	EXPECT_EQ(0, config_write(self->s.fd, PCI_INTERRUPT_LINE, 1, 0x33));
	EXPECT_EQ(0x33, config_read(self->s.fd, PCI_INTERRUPT_LINE, 1));
	ASSERT_EQ(0, log_wait(self->log));

	ASSERT_EQ(0, variant->inject(self->bdf, FATAL));
	EXPECT_EQ(1, event_wait(self->error));
	EXPECT_WORKS();
	ASSERT_EQ(0, log_wait(self->log));

	ASSERT_EQ(0, variant->inject(self->bdf, FATAL));
	EXPECT_EQ(1, event_wait(self->error));
	err = vfio_ioctl(self->s.fd, VFIO_DEVICE_RESET, NULL);
	EXPECT_TRUE(!err || err == -EAGAIN);
	err = vfio_ioctl(self->s.fd, VFIO_DEVICE_PCI_HOT_RESET, &hot);
	/* Not all of igb's functions are bound to us. */
	EXPECT_TRUE(!err || err == -EAGAIN || err == -EINVAL);
	ASSERT_EQ(0, log_wait(self->log));
	if (variant->dev != DEV_VIRTIO) {
		EXPECT_WORKS();
	}
}

/* The session ends during recovery, and the next one is not affected. */
TEST_F(aer, fatal_and_close)
{
	struct deadline end;
	u32 val;
	int err;

	OURS_ONLY();
	ASSERT_EQ(0, variant->inject(self->bdf, FATAL));
	EXPECT_EQ(1, event_wait(self->error));
	bar_unmap(self->s.fd, variant->index, self->bar);
	self->bar = NULL;
	session_close(&self->s);
	for (deadline_start(&end); ; ) {
		err = session_open(&self->s, self->bdf);
		if (!err)
			break;
		ASSERT_EQ(-EAGAIN, err);
		ASSERT_FALSE(deadline_passed(&end));
	}
	ASSERT_EQ(0, log_wait(self->log));
	self->bar = bar_map(self->s.fd, variant->index, 0, 0);
	ASSERT_NE(NULL, self->bar);
	ASSERT_EQ(0, config_master(self->s.fd, true));
	ASSERT_EQ(0, mmio_peek32(self->bar, &val));
	EXPECT_NE(~0u, val);
	EXPECT_WORKS();
}

/* An error without a session. A device that is being reset would not send a message. */
TEST_F(aer, fatal_without_a_session)
{
	OURS_ONLY();
	bar_unmap(self->s.fd, variant->index, self->bar);
	self->bar = NULL;
	ASSERT_TRUE(power_close(&self->s));
	ASSERT_EQ(0, variant->inject(self->bdf, FATAL));
	ASSERT_EQ(0, log_wait(self->log));
	ASSERT_EQ(0, session_open(&self->s, self->bdf));
	ASSERT_EQ(0, config_master(self->s.fd, true));
	self->bar = bar_map(self->s.fd, variant->index, 0, 0);
	ASSERT_NE(NULL, self->bar);
	EXPECT_WORKS();
}

/* A thread that accesses the device all the time, even while it cannot be accessed */
struct toucher {
	pthread_t thread;
	int fd;
	void *bar;
	bool stop;
	int err;
};

static void *touch_thread(void *arg)
{
	struct toucher *t = arg;
	u32 val;

	while (!__atomic_load_n(&t->stop, __ATOMIC_ACQUIRE)) {
		if (mmio_peek32(t->bar, &val))
			t->err = -EFAULT;
		else if (val == ~0u)
			t->err = -EIO;
		if (config_write(t->fd, PCI_INTERRUPT_LINE, 1, 1))
			t->err = -ENODEV;
	}
	return NULL;
}

TEST_F(aer, fatal_while_touched)
{
	struct toucher t = { .fd = self->s.fd, .bar = self->bar };
	int i;

	OURS_ONLY();
	ASSERT_EQ(0, pthread_create(&t.thread, NULL, touch_thread, &t));
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(0, variant->inject(self->bdf, i % 2 ? NONFATAL : FATAL));
		EXPECT_EQ(1, event_wait(self->error));
		EXPECT_EQ(0, log_wait(self->log));
	}
	__atomic_store_n(&t.stop, true, __ATOMIC_RELEASE);
	pthread_join(t.thread, NULL);
	EXPECT_EQ(0, t.err);
}

/* Unbound during recovery, while a user waits for its end */
TEST_F(aer, fatal_and_unbind)
{
	struct toucher t = { .fd = self->s.fd, .bar = self->bar };
	char grace[32];

	OURS_ONLY();
	ASSERT_LT(0, sysfs_read(grace, sizeof(grace), GRACE));
	ASSERT_EQ(0, sysfs_write("0", GRACE));
	ASSERT_EQ(0, pthread_create(&t.thread, NULL, touch_thread, &t));
	ASSERT_EQ(0, variant->inject(self->bdf, FATAL));
	EXPECT_EQ(1, event_wait(self->error));
	EXPECT_EQ(0, sysfs_unbind(self->bdf));
	EXPECT_EQ(-ENODEV, config_read(self->s.fd, 0, 4));
	EXPECT_EQ(0, sysfs_write(grace, GRACE));
	__atomic_store_n(&t.stop, true, __ATOMIC_RELEASE);
	pthread_join(t.thread, NULL);
	/* Whether it succeeds without a driver is not checked. */
	EXPECT_NE(-ETIMEDOUT, log_wait(self->log));
	bar_unmap(self->s.fd, variant->index, self->bar);
	self->bar = NULL;
	session_close(&self->s);
	ASSERT_EQ(0, sysfs_rebind(self->bdf));
	ASSERT_EQ(0, session_open(&self->s, self->bdf));
	ASSERT_EQ(0, config_master(self->s.fd, true));
	self->bar = bar_map(self->s.fd, variant->index, 0, 0);
	ASSERT_NE(NULL, self->bar);
	EXPECT_WORKS();
}

/* Another function on the bus has no driver: the PCI core resets the bus anyway, and gives up. */
TEST_F(aer, not_recovered)
{
	u32 val;

	OURS_ONLY();
	if (!self->other[0])
		SKIP(return, "no other function");
	ASSERT_EQ(0, sysfs_unbind(self->other));
	ASSERT_EQ(0, variant->inject(self->bdf, FATAL));
	EXPECT_LE(1, event_wait(self->error));
	ASSERT_EQ(-EIO, log_wait(self->log));
	ASSERT_EQ(0, mmio_peek32(self->bar, &val));
	EXPECT_NE(~0u, val);
	EXPECT_WORKS();
}

/* Two functions of one device, with a user each */
FIXTURE(pair)
{
	char bdf[2][BDF_LEN];
	struct session s[2];
	int error[2];
	void *bar[2];
	int log;
	char grace[32];
};

FIXTURE_SETUP(pair)
{
	int n, i;

	for (i = 0; i < 2; i++) {
		self->s[i].fd = -1;
		self->s[i].iommufd = -1;
		self->bar[i] = NULL;
	}
	self->grace[0] = 0;
	OURS_ONLY();
	if (access("/dev/virtio-ports/qmp", F_OK))
		SKIP(return, "no QEMU to talk to");
	for (n = 0; ; n++) {
		if (sysfs_find(0x8086, 0x10c9, n, self->bdf[0]))
			SKIP(return, "no igb with two functions in this machine");
		if (!sysfs_find(0x8086, 0x10c9, n + 1, self->bdf[1]) &&
		    !strncmp(self->bdf[0], self->bdf[1], BDF_LEN - 2))
			break;
	}
	ASSERT_EQ(0, system("modprobe -qr aer_inject"));
	ASSERT_LT(0, sysfs_read(self->grace, sizeof(self->grace), GRACE));
	/* Both functions have a driver, so that both are frozen when the bus is reset. */
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, sysfs_bind(self->bdf[i]));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, session_open(&self->s[i], self->bdf[i]));
		self->error[i] = event_new();
		ASSERT_EQ(0, irq_eventfd(self->s[i].fd, VFIO_PCI_ERR_IRQ_INDEX, 0, self->error[i]));
		ASSERT_EQ(0, config_master(self->s[i].fd, true));
		self->bar[i] = bar_map(self->s[i].fd, 0, 0, 0);
		ASSERT_NE(NULL, self->bar[i]);
	}
	self->log = log_open();
}

FIXTURE_TEARDOWN(pair)
{
	int i;

	for (i = 0; i < 2; i++) {
		if (self->bar[i])
			bar_unmap(self->s[i].fd, 0, self->bar[i]);
		session_close(&self->s[i]);
	}
	if (!self->grace[0])
		return;
	sysfs_write(self->grace, GRACE);
	for (i = 0; i < 2; i++)
		sysfs_bind(self->bdf[i]);
}

struct unbinder {
	const char *bdf;
	pid_t tid;
};

static void *unbind_thread(void *arg)
{
	struct unbinder *u = arg;

	__atomic_store_n(&u->tid, gettid(), __ATOMIC_RELEASE);
	sysfs_unbind(u->bdf);
	return NULL;
}

/* Has the host taken the other one back, though its user does not release it? */
static bool other_taken_away(FIXTURE_DATA(pair) *self)
{
	struct deadline end;

	for (deadline_start(&end); !deadline_passed(&end); usleep(1000)) {
		if (config_read(self->s[1].fd, 0, 4) == -ENODEV)
			return true;
	}
	return false;
}

/* Release it, in case the host has not taken it. */
static void other_close(FIXTURE_DATA(pair) *self)
{
	bar_unmap(self->s[1].fd, 0, self->bar[1]);
	self->bar[1] = NULL;
	session_close(&self->s[1]);
}

/* The host has asked for the other one, with an endless grace period. */
TEST_F(pair, other_is_wanted_back)
{
	struct unbinder u = { .bdf = self->bdf[1] };
	int request = event_new();
	pthread_t thread;
	u32 val;

	ASSERT_EQ(0, sysfs_write("-1", GRACE));
	ASSERT_EQ(0, irq_eventfd(self->s[1].fd, VFIO_PCI_REQ_IRQ_INDEX, 0, request));
	ASSERT_EQ(0, pthread_create(&thread, NULL, unbind_thread, &u));
	EXPECT_EQ(1, event_wait(request));
	EXPECT_EQ(0, inject_by_port(self->bdf[0], FATAL));
	EXPECT_EQ(1, event_wait(self->error[0]));
	EXPECT_TRUE(other_taken_away(self));
	other_close(self);
	/* Whether it succeeds while one function has no driver is not checked. */
	EXPECT_NE(-ETIMEDOUT, log_wait(self->log));
	pthread_join(thread, NULL);
	ASSERT_EQ(0, mmio_peek32(self->bar[0], &val));
	EXPECT_NE(~0u, val);
	close(request);
}

/* The same during a recovery, which is delayed before the bus reset */
TEST_F(pair, other_is_wanted_back_late)
{
	struct unbinder u = { .bdf = self->bdf[1] };
	pthread_t thread;
	char args[64];
	u32 val;
	int i;

	ASSERT_EQ(0, sysfs_write("-1", GRACE));
	sprintf(args, "device=%s blocked=1", self->bdf[0]);
	ASSERT_EQ(0, module_load(ODD, args));
	EXPECT_EQ(0, inject_by_port(self->bdf[0], FATAL));
	for (i = 0; i < 2; i++)
		EXPECT_EQ(1, event_wait(self->error[i]));
	ASSERT_EQ(0, pthread_create(&thread, NULL, unbind_thread, &u));
	EXPECT_TRUE(other_taken_away(self));
	ASSERT_EQ(0, module_unload(ODD));
	other_close(self);
	EXPECT_NE(-ETIMEDOUT, log_wait(self->log));
	pthread_join(thread, NULL);
	ASSERT_EQ(0, mmio_peek32(self->bar[0], &val));
	EXPECT_NE(~0u, val);
}

/*
 * And in between: the recovery has reached one function, and waits for the device lock of the other
 * one, behind the task that unbinds it.
 */
TEST_F(pair, other_is_wanted_back_in_between)
{
	struct unbinder u = { .bdf = self->bdf[1] };
	pthread_t thread;
	char args[64];
	u32 val;

	ASSERT_EQ(0, sysfs_write("-1", GRACE));
	sprintf(args, "device=%s locked=1", self->bdf[1]);
	ASSERT_EQ(0, module_load(ODD, args));
	ASSERT_EQ(0, pthread_create(&thread, NULL, unbind_thread, &u));
	EXPECT_TRUE(thread_waits(&u.tid));
	EXPECT_EQ(0, inject_by_port(self->bdf[0], FATAL));
	EXPECT_EQ(1, event_wait(self->error[0]));
	ASSERT_EQ(0, module_unload(ODD));
	EXPECT_TRUE(other_taken_away(self));
	other_close(self);
	EXPECT_NE(-ETIMEDOUT, log_wait(self->log));
	pthread_join(thread, NULL);
	ASSERT_EQ(0, mmio_peek32(self->bar[0], &val));
	EXPECT_NE(~0u, val);
}

/* One of them does not come back: its user loses it, the other one loses nothing. */
TEST_F(pair, other_does_not_answer)
{
	char args[64];
	u32 val;
	int i;

	sprintf(args, "device=%s mute=1", self->bdf[1]);
	ASSERT_EQ(0, module_load(ODD, args));
	EXPECT_EQ(0, inject_by_port(self->bdf[0], FATAL));
	for (i = 0; i < 2; i++)
		EXPECT_LE(1, event_wait(self->error[i]));
	EXPECT_EQ(-EIO, log_wait(self->log));
	ASSERT_EQ(0, module_unload(ODD));
	ASSERT_EQ(0, mmio_peek32(self->bar[0], &val));
	EXPECT_NE(~0u, val);
	EXPECT_NE(0, mmio_peek32(self->bar[1], &val));
	EXPECT_EQ(-EIO, region_pread(self->s[1].fd, 0, 0, &val, 4));
	/* The kernel does not access the MSI-X table for its user either. */
	EXPECT_EQ(0, irq_eventfd(self->s[0].fd, VFIO_PCI_MSIX_IRQ_INDEX, 0, self->error[0]));
	EXPECT_EQ(-EIO, irq_eventfd(self->s[1].fd, VFIO_PCI_MSIX_IRQ_INDEX, 0, self->error[1]));
}

TEST_HARNESS_MAIN
