// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host wants a device back from a user who does not release it, and takes it away. The in-tree
 * driver waits for ever, so none of this can run there.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../uapi/vfio_ext.h"
#include "lib/clock.h"
#include "lib/config.h"
#include "lib/edu.h"
#include "lib/harness.h"
#include "lib/iommufd.h"
#include "lib/irq.h"
#include "lib/region.h"
#include "lib/stuck.h"

#define PRINTK "/proc/sys/kernel/printk"
#define GRACE "/sys/module/vfio_iommufd/parameters/release_grace_ms"
#define IOVA 0x1000000ull

FIXTURE(revoke)
{
	const char *bdf;
	struct session s;
	char grace[32];
	/* The first BAR that can be mapped, if any. */
	int index;
	void *bar;
	pthread_t thread;
	int err;
	bool done;
};

FIXTURE_VARIANT(revoke)
{
	enum test_device dev;
};

FIXTURE_ALL_DEVICES(revoke);

FIXTURE_SETUP(revoke)
{
	struct vfio_region_info info;
	int i;

	OURS_ONLY();
	SETUP_DEVICE(&self->bdf, variant->dev);
	ASSERT_LT(0, sysfs_read(self->grace, sizeof(self->grace), GRACE));
	ASSERT_EQ(0, sysfs_write("100", GRACE));
	ASSERT_EQ(0, session_open(&self->s, self->bdf));
	for (i = 0; i < 6 && !self->bar; i++) {
		ASSERT_EQ(0, region_info(self->s.fd, i, &info));
		if (info.flags & VFIO_REGION_INFO_FLAG_MMAP) {
			self->index = i;
			self->bar = bar_map(self->s.fd, i, 0, 0x1000);
		}
	}
	ASSERT_NE(NULL, self->bar);
}

FIXTURE_TEARDOWN(revoke)
{
	sysfs_write(self->grace, GRACE);
	session_close(&self->s);
	sysfs_rebind(self->bdf);
}

static void *unbind_thread(void *arg)
{
	FIXTURE_DATA(revoke) *self = arg;

	self->err = sysfs_unbind(self->bdf);
	__atomic_store_n(&self->done, true, __ATOMIC_RELEASE);
	return NULL;
}

/* This file has no access to the device any more. */
#define EXPECT_DEAD(fd, index, bar) do {						\
	struct vfio_device_info info_ = { .argsz = sizeof(info_) };			\
	struct vfio_region_info region_;						\
	struct vfio_irq_info irq_;							\
	u32 word_ = 1;									\
											\
	EXPECT_EQ(-ENODEV, vfio_ioctl(fd, VFIO_DEVICE_GET_INFO, &info_));		\
	EXPECT_EQ(-ENODEV, region_info(fd, 0, &region_));				\
	EXPECT_EQ(-ENODEV, irq_info(fd, 0, &irq_));					\
	EXPECT_EQ(-ENODEV, irq_loopback(fd, VFIO_PCI_REQ_IRQ_INDEX, 0, 1));		\
	EXPECT_EQ(-ENODEV, vfio_ioctl(fd, VFIO_DEVICE_RESET, NULL));			\
	EXPECT_EQ(-ENODEV, vfio_attach(fd, &word_));					\
	EXPECT_EQ(-ENODEV, vfio_detach(fd));						\
	EXPECT_EQ(-ENODEV, config_read(fd, 0, 4));					\
	EXPECT_EQ(-ENODEV, config_write(fd, PCI_INTERRUPT_LINE, 1, 0));			\
	EXPECT_EQ(-ENODEV, region_pread(fd, index, 0, &word_, 4));			\
	EXPECT_EQ(-ENODEV, region_pwrite(fd, index, 0, &word_, 4));			\
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 0x1000, PROT_READ, MAP_SHARED, fd,		\
				   region_offset(index)));				\
	EXPECT_EQ(ENODEV, errno);							\
	EXPECT_EQ(-EFAULT, mmio_peek32(bar, &word_));					\
	EXPECT_EQ(-EFAULT, mmio_poke32(bar, 0));					\
} while (0)

TEST_F(revoke, who_ignores_the_request)
{
	struct session next = { .fd = -1, .iommufd = -1 };
	int req = event_new(), efd = event_new(), other;
	struct vfio_irq_info info;
	void *mem = dma_alloc(0x1000);
	u32 val;
	int i;

	/* Everything that a session can have. */
	ASSERT_EQ(0, irq_eventfd(self->s.fd, VFIO_PCI_REQ_IRQ_INDEX, 0, req));
	for (i = VFIO_PCI_MSIX_IRQ_INDEX; i >= VFIO_PCI_INTX_IRQ_INDEX; i--) {
		ASSERT_EQ(0, irq_info(self->s.fd, i, &info));
		if (info.count) {
			ASSERT_EQ(0, irq_eventfd(self->s.fd, i, 0, efd));
			break;
		}
	}
	ASSERT_EQ(0, ioas_map(self->s.iommufd, self->s.ioas, mem, 0x1000, IOVA));
	ASSERT_EQ(0, config_master(self->s.fd, true));
	ASSERT_EQ(0, mmio_peek32(self->bar, &val));
	/* And a file that is only open. */
	other = vfio_cdev_open(self->bdf);
	ASSERT_LE(0, other);

	ASSERT_EQ(0, sysfs_unbind(self->bdf));
	EXPECT_LE(1, event_take(req));
	EXPECT_DEAD(self->s.fd, self->index, self->bar);
	EXPECT_EQ(-ENODEV, vfio_bind(self->s.fd, self->s.iommufd, NULL));
	EXPECT_EQ(-ENODEV, vfio_bind(other, self->s.iommufd, NULL));
	/* iommufd does not know the device any more. */
	EXPECT_EQ(0, iommufd_destroy(self->s.iommufd, self->s.ioas));

	/* The next owner and the dead file do not affect each other. */
	ASSERT_EQ(0, sysfs_rebind(self->bdf));
	ASSERT_EQ(0, session_open(&next, self->bdf));
	EXPECT_EQ(0, config_read(next.fd, PCI_COMMAND, 2) & PCI_COMMAND_MASTER);
	EXPECT_DEAD(self->s.fd, self->index, self->bar);
	close(other);
	session_close(&self->s);
	EXPECT_LE(0, config_read(next.fd, 0, 4));
	EXPECT_EQ(4, region_pread(next.fd, self->index, 0, &val, 4));
	EXPECT_EQ(-EFAULT, mmio_peek32(self->bar, &val));
	session_close(&next);
}

TEST_F(revoke, at_once)
{
	ASSERT_EQ(0, sysfs_write("0", GRACE));
	ASSERT_EQ(0, sysfs_unbind(self->bdf));
	EXPECT_DEAD(self->s.fd, self->index, self->bar);
}

/* With an endless grace period, it waits like the in-tree driver. */
TEST_F(revoke, never)
{
	int req = event_new(), i;

	ASSERT_EQ(0, sysfs_write("-1", GRACE));
	ASSERT_EQ(0, irq_eventfd(self->s.fd, VFIO_PCI_REQ_IRQ_INDEX, 0, req));
	ASSERT_EQ(0, pthread_create(&self->thread, NULL, unbind_thread, self));
	EXPECT_LE(1, event_wait(req));
	for (i = 0; i < 1000; i++)
		ASSERT_LE(0, config_read(self->s.fd, 0, 4));
	EXPECT_FALSE(__atomic_load_n(&self->done, __ATOMIC_ACQUIRE));
	munmap(self->bar, 0x1000);
	session_close(&self->s);
	pthread_join(self->thread, NULL);
	EXPECT_EQ(0, self->err);
}

/* A file that is open but not bound does not own the device, so nobody waits for it. */
TEST_F(revoke, not_bound)
{
	int fd;

	munmap(self->bar, 0x1000);
	session_close(&self->s);
	ASSERT_EQ(0, sysfs_write("-1", GRACE));
	fd = vfio_cdev_open(self->bdf);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, sysfs_unbind(self->bdf));
	EXPECT_EQ(-ENODEV, vfio_bind(fd, 0, NULL));
	EXPECT_EQ(-ENODEV, config_read(fd, 0, 4));
	close(fd);
}

/* The function itself is removed, as in surprise removal. */
TEST_F(revoke, device_removed)
{
	ASSERT_EQ(0, sysfs_write("1", "/sys/bus/pci/devices/%s/remove", self->bdf));
	EXPECT_DEAD(self->s.fd, self->index, self->bar);
	munmap(self->bar, 0x1000);
	session_close(&self->s);
	ASSERT_EQ(0, sysfs_rescan());
	ASSERT_EQ(0, session_open(&self->s, self->bdf));
	EXPECT_LE(0, config_read(self->s.fd, 0, 4));
}

/* Threads with calls in progress during revocation: each call returns with an error. */
enum work {
	WORK_INFO,
	WORK_IRQ,
	WORK_CONFIG,
	WORK_BAR,
	WORK_FAULT,
	WORK_RESET,
	WORK_ATTACH,
	WORK_MAP,
	WORK_BIND,
	WORK_COUNT
};

struct worker {
	pthread_t thread;
	enum work work;
	int fd;
	int iommufd;
	int index;
	u32 ioas;
	void *bar;
	int efd;
	u32 irq;
	const char *bdf;
	long rounds;
	int err;
};

static int work_once(struct worker *w)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	u8 buf[256];
	u32 val, pt;
	void *p;
	int err;

	switch (w->work) {
	case WORK_INFO:
		return vfio_ioctl(w->fd, VFIO_DEVICE_GET_INFO, &info);
	case WORK_IRQ:
		err = irq_eventfd(w->fd, w->irq, 0, w->efd);
		/* Fails without a page table, which another thread detaches. */
		if (ARM64 && err == -ENOSPC)
			return 0;
		return err ? err : irq_disable(w->fd, w->irq);
	case WORK_CONFIG:
		err = region_pread(w->fd, VFIO_PCI_CONFIG_REGION_INDEX, 0, buf, 256);
		return err < 0 ? err : config_write(w->fd, PCI_INTERRUPT_LINE, 1, 7);
	case WORK_BAR:
		err = region_pread(w->fd, w->index, 0, &val, 4);
		return err < 0 ? err : 0;
	case WORK_FAULT:
		return mmio_peek32(w->bar, &val) ? -ENODEV : 0;
	case WORK_RESET:
		err = vfio_ioctl(w->fd, VFIO_DEVICE_RESET, NULL);
		/* It only tries to take the lock, which the other side may hold. */
		return err == -EAGAIN || err == -EINVAL ? 0 : err;
	case WORK_ATTACH:
		pt = w->ioas;
		err = vfio_attach(w->fd, &pt);
		return err ? err : vfio_detach(w->fd);
	case WORK_MAP:
		p = mmap(NULL, 0x1000, PROT_READ, MAP_SHARED, w->fd, region_offset(w->index));
		if (p == MAP_FAILED)
			return -errno;
		err = mmio_peek32(p, &val) ? -ENODEV : 0;
		munmap(p, 0x1000);
		return err;
	case WORK_BIND:
		err = vfio_bind(w->fd, w->iommufd, NULL);
		return err == -EINVAL ? 0 : err;
	default:
		abort();
	}
}

static void *work_thread(void *arg)
{
	struct worker *w = arg;

	do {
		w->err = work_once(w);
		__atomic_fetch_add(&w->rounds, 1, __ATOMIC_RELEASE);
	} while (!w->err);
	return NULL;
}

TEST_F(revoke, with_threads_inside)
{
	struct worker w[WORK_COUNT];
	struct vfio_irq_info info;
	struct deadline end;
	int i, irq = -1;

	for (i = VFIO_PCI_MSIX_IRQ_INDEX; irq < 0 && i >= VFIO_PCI_INTX_IRQ_INDEX; i--) {
		ASSERT_EQ(0, irq_info(self->s.fd, i, &info));
		if (info.count)
			irq = i;
	}
	for (i = 0; i < WORK_COUNT; i++) {
		w[i] = (struct worker){
			.work = i == WORK_IRQ && irq < 0 ? WORK_INFO : (enum work)i,
			.fd = self->s.fd,
			.iommufd = self->s.iommufd,
			.index = self->index,
			.ioas = self->s.ioas,
			.bar = self->bar,
			.efd = event_new(),
			.irq = irq,
			.bdf = self->bdf,
		};
		ASSERT_EQ(0, pthread_create(&w[i].thread, NULL, work_thread, &w[i]));
	}
	/* Wait until all of them have started. */
	for (i = 0; i < WORK_COUNT; i++) {
		for (deadline_start(&end); !__atomic_load_n(&w[i].rounds, __ATOMIC_ACQUIRE);
		     sched_yield())
			ASSERT_FALSE(deadline_passed(&end))
				TH_LOG("work %d", i);
	}
	ASSERT_EQ(0, sysfs_unbind(self->bdf));
	for (i = 0; i < WORK_COUNT; i++) {
		pthread_join(w[i].thread, NULL);
		EXPECT_EQ(-ENODEV, w[i].err)
			TH_LOG("work %d, after %ld rounds", i, w[i].rounds);
	}
	EXPECT_DEAD(self->s.fd, self->index, self->bar);
}

/* close() against unbind: whichever is first, both complete. */
static void *close_thread(void *arg)
{
	struct session *s = arg;

	session_close(s);
	return NULL;
}

TEST_F(revoke, against_close)
{
	pthread_t thread;
	int i;

	munmap(self->bar, 0x1000);
	ASSERT_EQ(0, sysfs_write("0", GRACE));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, pthread_create(&thread, NULL, close_thread, &self->s));
		EXPECT_EQ(0, sysfs_unbind(self->bdf));
		pthread_join(thread, NULL);
		ASSERT_EQ(0, sysfs_rebind(self->bdf));
		ASSERT_EQ(0, session_open(&self->s, self->bdf));
	}
}

/* A user whose buffer faults for ever: only another thread of theirs could provide the page. */
static void *stuck_thread(void *arg)
{
	struct worker *w = arg;

	w->err = region_pread(w->fd, VFIO_PCI_CONFIG_REGION_INDEX, 0, w->bar, 256);
	return NULL;
}

TEST_F(revoke, with_a_stuck_buffer)
{
	struct worker w = { .fd = self->s.fd };
	struct uffd_msg msg;
	int uffd = stuck_page(&w.bar);

	if (uffd < 0)
		SKIP(return, "userfaultfd: %s", strerror(-uffd));
	ASSERT_EQ(0, pthread_create(&w.thread, NULL, stuck_thread, &w));
	/* It has entered the fault, and stays there. */
	ASSERT_EQ(sizeof(msg), read(uffd, &msg, sizeof(msg)));
	EXPECT_EQ(0, sysfs_unbind(self->bdf));
	EXPECT_DEAD(self->s.fd, self->index, self->bar);
	close(uffd);
	pthread_join(w.thread, NULL);
	/* It may still get what it had read before. */
	EXPECT_TRUE(w.err == 256 || w.err == -ENODEV);
}

/* A thread in a call of iommufd that does not end, and one that unbinds the device */
struct stuck_info {
	struct session s;
	pthread_t thread;
	void *page;
	int uffd;
	int err;
	pthread_t unbind;
	int unbind_err;
	bool unbound;
};

static void *info_thread(void *arg)
{
	struct stuck_info *stuck = arg;
	struct iommu_hw_info info;

	stuck->err = hw_info(stuck->s.iommufd, stuck->s.devid, &info, stuck->page, 0x1000);
	return NULL;
}

static void *take_thread(void *arg)
{
	struct stuck_info *stuck = arg;

	stuck->unbind_err = sysfs_unbind(stuck->s.bdf);
	__atomic_store_n(&stuck->unbound, true, __ATOMIC_RELEASE);
	return NULL;
}

/* Wait up to a minute and a half for a text in the kernel's log. */
static bool log_tells(int log, const char *text)
{
	char line[1024];
	ssize_t n;
	int i;

	for (i = 0; i < 900; i++) {
		while ((n = read(log, line, sizeof(line) - 1)) > 0) {
			line[n] = 0;
			if (strstr(line, text))
				return true;
		}
		usleep(100000);
	}
	return false;
}

/*
 * iommufd waits a minute for a call that uses the device, warns, and goes on. The driver must not,
 * as the call will end. One device is alone in its IOMMU group, the other is not. The kernel's
 * console does not show the warning, as vm would take it for a fault.
 */
TEST(with_a_stuck_hw_info)
{
	char bdf[2][BDF_LEN], grace[32], level[64];
	struct stuck_info stuck[2] = {};
	int log, i, nr = 1;
	struct uffd_msg msg;

	OURS_ONLY();
	if (!device_bdf(DEV_EDU))
		SKIP(return, "no edu in this machine");
	strcpy(bdf[0], device_bdf(DEV_EDU));
	if (!edu_behind_bridge(bdf[1]) && strcmp(bdf[0], bdf[1]))
		nr++;
	ASSERT_LT(0, sysfs_read(grace, sizeof(grace), GRACE));
	ASSERT_LT(0, sysfs_read(level, sizeof(level), PRINTK));
	log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ASSERT_LE(0, lseek(log, 0, SEEK_END));
	for (i = 0; i < nr; i++) {
		ASSERT_EQ(0, sysfs_bind(bdf[i]));
		ASSERT_EQ(0, session_open(&stuck[i].s, bdf[i]));
		stuck[i].uffd = stuck_page(&stuck[i].page);
		if (stuck[i].uffd < 0)
			SKIP(return, "userfaultfd: %s", strerror(-stuck[i].uffd));
		ASSERT_EQ(0, pthread_create(&stuck[i].thread, NULL, info_thread, &stuck[i]));
		ASSERT_EQ(sizeof(msg), read(stuck[i].uffd, &msg, sizeof(msg)));
	}
	ASSERT_EQ(0, sysfs_write("0", GRACE));
	ASSERT_EQ(0, sysfs_write("1", PRINTK));
	for (i = 0; i < nr; i++)
		ASSERT_EQ(0, pthread_create(&stuck[i].unbind, NULL, take_thread, &stuck[i]));
	for (i = 0; i < nr; i++)
		EXPECT_TRUE(log_tells(log, "still held by the iommufd"));
	EXPECT_EQ(0, sysfs_write(level, PRINTK));
	EXPECT_EQ(0, sysfs_write(grace, GRACE));
	sleep(1);
	for (i = 0; i < nr; i++) {
		EXPECT_FALSE(__atomic_load_n(&stuck[i].unbound, __ATOMIC_ACQUIRE));
		close(stuck[i].uffd);
		pthread_join(stuck[i].thread, NULL);
		EXPECT_EQ(0, stuck[i].err);
		/* That is not enough, as iommufd does not try again. */
		EXPECT_FALSE(__atomic_load_n(&stuck[i].unbound, __ATOMIC_ACQUIRE));
		EXPECT_EQ(0, iommufd_destroy(stuck[i].s.iommufd, stuck[i].s.devid));
		pthread_join(stuck[i].unbind, NULL);
		EXPECT_EQ(0, stuck[i].unbind_err);
		session_close(&stuck[i].s);
		EXPECT_EQ(0, sysfs_bind(bdf[i]));
	}
	close(log);
}

/* DMA ends with the session, even if the user still has the memory. */
TEST(dma_ends)
{
	struct session s, next;
	u8 *mem = dma_alloc(0x1000);
	char grace[32];
	const char *bdf;
	void *bar;

	OURS_ONLY();
	SETUP_DEVICE(&bdf, DEV_EDU);
	ASSERT_LT(0, sysfs_read(grace, sizeof(grace), GRACE));
	ASSERT_EQ(0, session_open(&s, bdf));
	ASSERT_EQ(0, ioas_map(s.iommufd, s.ioas, mem, 0x1000, IOVA));
	ASSERT_EQ(0, config_master(s.fd, true));
	bar = bar_map(s.fd, 0, 0, 0);
	memset(mem, 0x5a, 64);
	ASSERT_EQ(0, edu_read_memory(bar, IOVA, 0, 64));
	memset(mem, 0, 64);
	ASSERT_EQ(0, sysfs_write("0", GRACE));
	ASSERT_EQ(0, sysfs_unbind(bdf));
	ASSERT_EQ(0, sysfs_write(grace, GRACE));
	ASSERT_EQ(0, sysfs_rebind(bdf));

	/* Another owner lets the device write to the same address. */
	ASSERT_EQ(0, session_open(&next, bdf));
	ASSERT_EQ(0, config_master(next.fd, true));
	bar = bar_map(next.fd, 0, 0, 0);
	ASSERT_NE(NULL, bar);
	ASSERT_EQ(0, edu_write_memory(bar, IOVA, 0, 64));
	EXPECT_EQ(0, mem[0]);
	session_close(&next);
	session_close(&s);
}

TEST_HARNESS_MAIN
