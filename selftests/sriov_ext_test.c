// SPDX-License-Identifier: GPL-2.0-only
/*
 * Virtual functions (VF) whose users do not release them, and which are reset with their physical
 * function (PF): better than with the in-tree driver.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../uapi/vfio_ext.h"
#include "lib/clock.h"
#include "lib/config.h"
#include "lib/harness.h"
#include "lib/irq.h"
#include "lib/module.h"
#include "lib/nic.h"
#include "lib/power.h"
#include "lib/qmp.h"
#include "lib/vfs.h"

#define GRACE "/sys/module/vfio_iommufd/parameters/release_grace_ms"
/* Three, so that one of them has a neighbor on either side */
#define VFS 3

static const u8 token[16] = { 0x52, 0xac, 0x9b, 0xff, 0x3a, 0x88, 0x4f, 0xbd, 0x90, 0x1a };
static const u8 wrong[16];

FIXTURE(sriov)
{
	struct vfs v;
	char grace[32];
	bool stop;
};

/* Each test begins with users of the PF and of its VFs. */
FIXTURE_SETUP(sriov)
{
	const char *pf_bdf;
	int i;

	vfs_init(&self->v);
	OURS_ONLY();
	SETUP_DEVICE(&pf_bdf, DEV_IGB);
	ASSERT_LT(0, sysfs_read(self->grace, sizeof(self->grace), GRACE));
	ASSERT_EQ(0, vfs_open(&self->v, pf_bdf, token, VFS));
	ASSERT_EQ(VFS, self->v.count);
	for (i = 0; i < VFS; i++)
		ASSERT_EQ(0, session_open_token(&self->v.vf[i], self->v.bdf[i], token));
}

FIXTURE_TEARDOWN(sriov)
{
	vfs_close(&self->v);
	if (self->v.pf_bdf)
		sysfs_write(self->grace, GRACE);
}

#define EXPECT_REASON(fd, part) do {							\
	struct vfio_device_last_error e_ = { .argsz = sizeof(e_) };			\
											\
	EXPECT_EQ(0, vfio_ioctl(fd, VFIO_DEVICE_GET_LAST_ERROR, &e_));			\
	EXPECT_NE(NULL, strstr(e_.text, part))						\
		TH_LOG("%s", e_.text);							\
} while (0)

TEST_F(sriov, reasons)
{
	int fd;

	session_close(&self->v.vf[0]);
	fd = vfio_cdev_open(self->v.bdf[0]);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EACCES, vfio_bind(fd, self->v.pf.iommufd, NULL));
	EXPECT_REASON(fd, "needs the VF token");
	EXPECT_EQ(-EACCES, vfio_bind_token(fd, self->v.pf.iommufd, wrong, NULL));
	EXPECT_REASON(fd, "not the VF token");
	close(fd);

	session_close(&self->v.pf);
	fd = vfio_cdev_open(self->v.pf_bdf);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EACCES, vfio_bind(fd, self->v.vf[1].iommufd, NULL));
	EXPECT_REASON(fd, "needs the VF token");
	close(fd);
}

/* A file that has the PF open, but is not bound, cannot change its token. */
TEST_F(sriov, token_of_another_file)
{
	int fd, i;

	for (i = 0; i < VFS; i++)
		session_close(&self->v.vf[i]);
	fd = vfio_cdev_open(self->v.pf_bdf);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EINVAL, vfio_bind_token(fd, self->v.pf.iommufd, wrong, NULL));
	EXPECT_EQ(-EINVAL, vfio_set_token(fd, wrong));
	EXPECT_EQ(-EACCES, session_open_token(&self->v.vf[0], self->v.bdf[0], wrong));
	EXPECT_EQ(0, session_open_token(&self->v.vf[0], self->v.bdf[0], token));
	close(fd);
}

static void expect_dead(struct __test_metadata *_metadata, int fd)
{
	u32 val;

	EXPECT_EQ(-ENODEV, config_read(fd, 0, 4));
	EXPECT_EQ(-ENODEV, region_pread(fd, 0, 0, &val, 4));
}

TEST_F(sriov, vfs_taken_away)
{
	char bdf[BDF_LEN];
	int i;

	ASSERT_EQ(0, sysfs_write("100", GRACE));
	ASSERT_EQ(0, sysfs_set_vfs(self->v.pf_bdf, 0));
	for (i = 0; i < VFS; i++)
		expect_dead(_metadata, self->v.vf[i].fd);
	EXPECT_EQ(-ENOENT, sysfs_vf(self->v.pf_bdf, 0, bdf));
	EXPECT_LE(0, config_read(self->v.pf.fd, 0, 4));

	/* Revoked files do not count as users: the PF is free, and so are new VFs. */
	session_close(&self->v.pf);
	ASSERT_EQ(0, session_open(&self->v.pf, self->v.pf_bdf));
	ASSERT_EQ(0, sysfs_set_vfs(self->v.pf_bdf, VFS));
	expect_dead(_metadata, self->v.vf[0].fd);
	session_close(&self->v.vf[0]);
	EXPECT_EQ(0, session_open_token(&self->v.vf[0], self->v.bdf[0], token));
}

TEST_F(sriov, pf_taken_away)
{
	int i;

	UNBINDS_PF();
	ASSERT_EQ(0, sysfs_write("100", GRACE));
	ASSERT_EQ(0, sysfs_unbind(self->v.pf_bdf));
	for (i = 0; i < VFS; i++)
		expect_dead(_metadata, self->v.vf[i].fd);
	expect_dead(_metadata, self->v.pf.fd);
}

TEST_F(sriov, pf_removed)
{
	int i;

	ASSERT_EQ(0, sysfs_write("0", GRACE));
	ASSERT_EQ(0, sysfs_write("1", "/sys/bus/pci/devices/%s/remove", self->v.pf_bdf));
	for (i = 0; i < VFS; i++)
		expect_dead(_metadata, self->v.vf[i].fd);
	expect_dead(_metadata, self->v.pf.fd);
	ASSERT_EQ(0, sysfs_rescan());
	session_close(&self->v.pf);
	ASSERT_EQ(0, session_open(&self->v.pf, self->v.pf_bdf));
}

static void *remove_thread(void *arg)
{
	FIXTURE_DATA(sriov) *self = arg;

	sysfs_write("1", "/sys/bus/pci/devices/%s/remove", self->v.pf_bdf);
	return NULL;
}

/* They are removed one after the other, but all users are asked at once, including the PF's. */
TEST_F(sriov, asked_together)
{
	int req[VFS + 1], i;
	pthread_t thread;

	ASSERT_EQ(0, sysfs_write("-1", GRACE));
	for (i = 0; i < VFS; i++) {
		req[i] = event_new();
		ASSERT_EQ(0, irq_eventfd(self->v.vf[i].fd, VFIO_PCI_REQ_IRQ_INDEX, 0, req[i]));
	}
	req[VFS] = event_new();
	ASSERT_EQ(0, irq_eventfd(self->v.pf.fd, VFIO_PCI_REQ_IRQ_INDEX, 0, req[VFS]));
	ASSERT_EQ(0, pthread_create(&thread, NULL, remove_thread, self));
	for (i = VFS; i >= 0; i--)
		EXPECT_LE(1, event_wait(req[i]))
			TH_LOG("function %d", i);
	for (i = 0; i < VFS; i++)
		EXPECT_LE(0, config_read(self->v.vf[i].fd, 0, 4));
	for (i = VFS - 1; i >= 0; i--)
		session_close(&self->v.vf[i]);
	session_close(&self->v.pf);
	pthread_join(thread, NULL);
	ASSERT_EQ(0, sysfs_rescan());
}

/* A hot reset by the user of the PF, who also has the VFs' files */
static int hot_reset(FIXTURE_DATA(sriov) *self)
{
	struct {
		struct vfio_pci_hot_reset hdr;
		int fds[VFS];
	} hot = { .hdr = { .argsz = sizeof(hot), .count = VFS } };
	int err, i;

	for (i = 0; i < VFS; i++)
		hot.fds[i] = self->v.vf[i].fd;
	err = vfio_ioctl(self->v.pf.fd, VFIO_DEVICE_PCI_HOT_RESET, &hot);
	/* See reset_pf() */
	return err == -ENOTTY ? 0 : err;
}

/* Reset the PF in one of several ways. */
static int reset_pf(FIXTURE_DATA(sriov) *self, int way)
{
	char port[BDF_LEN];
	int err;

	switch (way) {
	case 0:
		return vfio_ioctl(self->v.pf.fd, VFIO_DEVICE_RESET, NULL);
	case 1:
		return sysfs_write("1", "/sys/bus/pci/devices/%s/reset", self->v.pf_bdf);
	case 2:
		return hot_reset(self);
	default:
		/* The whole bus, including the VFs */
		err = sysfs_port(self->v.pf_bdf, port);
		if (!err)
			err = sysfs_write("1", "/sys/bus/pci/devices/%s/reset_subordinate", port);
		/* It was reset, but QEMU's ports do not report that the link is up again. */
		return err == -ENOTTY ? 0 : err;
	}
}

/* The setup of a VF's user is intact after a reset of the PF. */
TEST_F(sriov, pf_reset)
{
	u16 command = PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY;
	int efd[VFS], way, i;
	void *bar[VFS], *pf;

	for (i = 0; i < VFS; i++) {
		efd[i] = event_new();
		ASSERT_EQ(0, irq_eventfd(self->v.vf[i].fd, VFIO_PCI_MSIX_IRQ_INDEX, 0, efd[i]));
		ASSERT_EQ(0, config_master(self->v.vf[i].fd, true));
		bar[i] = bar_map(self->v.vf[i].fd, 0, 0, 0);
		ASSERT_NE(NULL, bar[i]);
	}
	pf = bar_map(self->v.pf.fd, 0, 0, 0);
	ASSERT_NE(NULL, pf);
	ASSERT_EQ(0, config_master(self->v.pf.fd, true));

	for (way = 0; way < 4; way++) {
		mmio_write32(bar[0], IGBVF_TDBAL, 0x1000);
		ASSERT_EQ(0, reset_pf(self, way))
			TH_LOG("way %d", way);
		EXPECT_EQ(0, mmio_read32(bar[0], IGBVF_TDBAL));
		igb_msix_setup(pf);
		for (i = 0; i < VFS; i++) {
			EXPECT_EQ(command, config_read(self->v.vf[i].fd, PCI_COMMAND, 2) & command);
			igb_msix_raise(bar[i], 1);
			EXPECT_EQ(1, event_wait(efd[i]))
				TH_LOG("way %d, VF %d", way, i);
		}
	}
}

/*
 * What the host has enabled in an unused VF is not lost in a reset of its PF. No model has ATS in
 * its VFs, so this uses another register that a reset clears. The VF is awake, because the kernel
 * would restore it on wakeup, and writes while it sleeps are lost.
 */
TEST_F(sriov, pf_reset_and_idle_vf)
{
	const char *bdf = self->v.bdf[0];
	u8 line = 0x5a, is;
	int way;

	ASSERT_TRUE(power_close(&self->v.vf[0]));
	ASSERT_EQ(0, sysfs_write("on", "/sys/bus/pci/devices/%s/power/control", bdf));
	ASSERT_EQ(0, sysfs_config_write(bdf, PCI_CACHE_LINE_SIZE, &line, 1));
	for (way = 0; way < 2; way++) {
		ASSERT_EQ(0, reset_pf(self, way))
			TH_LOG("way %d", way);
		ASSERT_EQ(1, sysfs_config(bdf, PCI_CACHE_LINE_SIZE, &is, 1));
		EXPECT_EQ(line, is)
			TH_LOG("way %d", way);
	}
	EXPECT_EQ(0, session_open_token(&self->v.vf[0], bdf, token));
	ASSERT_EQ(1, sysfs_config(bdf, PCI_CACHE_LINE_SIZE, &is, 1));
	EXPECT_EQ(line, is);
	ASSERT_EQ(0, sysfs_write("auto", "/sys/bus/pci/devices/%s/power/control", bdf));
}

/* It cannot be bound while its PF's VF Enable bit is clear in hardware. */
TEST_F(sriov, vf_does_not_answer)
{
	unsigned int pos = sysfs_ext_cap(self->v.pf_bdf, PCI_EXT_CAP_ID_SRIOV);
	u16 with, without;
	int fd;

	ASSERT_LT(0, pos);
	pos += PCI_SRIOV_CTRL;
	ASSERT_TRUE(power_close(&self->v.vf[0]));
	ASSERT_EQ(2, sysfs_config(self->v.pf_bdf, pos, &with, 2));
	without = with & ~PCI_SRIOV_CTRL_VFE;
	ASSERT_EQ(0, sysfs_config_write(self->v.pf_bdf, pos, &without, 2));
	fd = vfio_cdev_open(self->v.bdf[0]);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-ENODEV, vfio_bind_token(fd, self->v.pf.iommufd, token, NULL));
	EXPECT_REASON(fd, "does not answer");
	ASSERT_EQ(0, sysfs_config_write(self->v.pf_bdf, pos, &with, 2));
	EXPECT_EQ(0, vfio_bind_token(fd, self->v.pf.iommufd, token, NULL));
	EXPECT_LE(0, config_read(fd, PCI_COMMAND, 2));
	close(fd);
}

/* Nor is it reset then, with its PF or alone, which would take the PCI core a minute. */
TEST_F(sriov, vf_that_does_not_answer_is_not_reset)
{
	unsigned int pos = sysfs_ext_cap(self->v.pf_bdf, PCI_EXT_CAP_ID_SRIOV);
	u16 with, without;

	ASSERT_LT(0, pos);
	pos += PCI_SRIOV_CTRL;
	ASSERT_EQ(2, sysfs_config(self->v.pf_bdf, pos, &with, 2));
	without = with & ~PCI_SRIOV_CTRL_VFE;
	ASSERT_EQ(0, sysfs_config_write(self->v.pf_bdf, pos, &without, 2));
	EXPECT_EQ(-ENODEV, vfio_ioctl(self->v.vf[0].fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_REASON(self->v.vf[0].fd, "does not answer");
	EXPECT_EQ(-ENODEV, hot_reset(self));
	EXPECT_REASON(self->v.pf.fd, "does not answer");
	ASSERT_EQ(0, sysfs_config_write(self->v.pf_bdf, pos, &with, 2));
	EXPECT_EQ(0, vfio_ioctl(self->v.vf[0].fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(0, hot_reset(self));
}

/* The kernel's log is the only place that tells the end of a recovery. */
static bool recovered(int log)
{
	struct deadline end;
	char line[1024];
	ssize_t n;

	for (deadline_start(&end); !deadline_passed(&end); ) {
		n = read(log, line, sizeof(line) - 1);
		line[n > 0 ? n : 0] = 0;
		if (strstr(line, "device recovery "))
			return strstr(line, "successful");
	}
	return false;
}

static int inject_fatal(FIXTURE_DATA(sriov) *self)
{
	return qmp_expect("OK", "'execute': 'human-monitor-command', 'arguments': { "
			  "'command-line': 'pcie_aer_inject_error rp%lu DLP' }",
			  strtoul(self->v.pf_bdf + strlen("0000:"), NULL, 16));
}

/* A VF with another bus number, so that the PCI core does not notify it */
TEST_F(sriov, error_with_a_vf_on_another_bus)
{
	u16 command = PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY;
	int error = event_new(), log;
	void *bar;
	char args[64];

	if (access("/dev/virtio-ports/qmp", F_OK))
		SKIP(return, "no QEMU to talk to");
	ASSERT_EQ(0, system("modprobe -qr aer_inject"));
	ASSERT_EQ(0, irq_eventfd(self->v.vf[1].fd, VFIO_PCI_ERR_IRQ_INDEX, 0, error));
	ASSERT_EQ(0, config_master(self->v.vf[1].fd, true));
	bar = bar_map(self->v.vf[1].fd, 0, 0, 0);
	ASSERT_NE(NULL, bar);
	mmio_write32(bar, IGBVF_TDBAL, 0x1000);
	log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ASSERT_LE(0, lseek(log, 0, SEEK_END));

	sprintf(args, "device=%s vf_bus=0xee", self->v.bdf[1]);
	ASSERT_EQ(0, module_load("odd-function", args));
	EXPECT_EQ(0, inject_fatal(self));
	EXPECT_TRUE(recovered(log));
	EXPECT_EQ(1, event_take(error));
	EXPECT_EQ(command, config_read(self->v.vf[1].fd, PCI_COMMAND, 2) & command);
	EXPECT_EQ(0, mmio_read32(bar, IGBVF_TDBAL));
	ASSERT_EQ(0, module_unload("odd-function"));
	bar_unmap(self->v.vf[1].fd, 0, bar);
	close(log);
	close(error);
}

/*
 * The recovery restores what such a VF had when the error came. If it was being reset after a
 * session, this is what its last user had, and another reset is needed.
 */
TEST_F(sriov, error_while_a_vf_is_reset)
{
	const char *bdf = self->v.bdf[1];
	char args[64];
	u8 was, now;
	int log;

	if (access("/dev/virtio-ports/qmp", F_OK))
		SKIP(return, "no QEMU to talk to");
	ASSERT_EQ(0, system("modprobe -qr aer_inject"));
	/* A VF need not have this register, but QEMU's have. */
	ASSERT_EQ(1, sysfs_config(bdf, PCI_CACHE_LINE_SIZE, &was, 1));
	ASSERT_EQ(0, config_write(self->v.vf[1].fd, PCI_CACHE_LINE_SIZE, 1, was ^ 0x10));
	ASSERT_EQ(1, sysfs_config(bdf, PCI_CACHE_LINE_SIZE, &now, 1));
	ASSERT_NE(was, now);
	log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ASSERT_LE(0, lseek(log, 0, SEEK_END));

	sprintf(args, "device=%s vf_bus=0xee", bdf);
	ASSERT_EQ(0, module_load("odd-function", args));
	session_close(&self->v.vf[1]);
	EXPECT_EQ(0, inject_fatal(self));
	EXPECT_TRUE(recovered(log));
	/* The bus goes with the module: by then, the worker must be done. */
	EXPECT_EQ(0, session_open_token(&self->v.vf[1], bdf, token));
	ASSERT_EQ(0, module_unload("odd-function"));
	ASSERT_EQ(1, sysfs_config(bdf, PCI_CACHE_LINE_SIZE, &now, 1));
	EXPECT_EQ(was, now);
	close(log);
}

struct worker {
	FIXTURE_DATA(sriov) *self;
	pthread_t thread;
	int n;
	long rounds;
	int err;
};

/* Writes and reads of a register never fail. */
static void *access_thread(void *arg)
{
	struct worker *w = arg;
	int fd = w->self->v.vf[w->n].fd;
	void *bar = bar_map(fd, 0, 0, 0);
	u32 val;
	int err;

	if (!bar)
		w->err = -ENOMEM;
	while (!w->err && !__atomic_load_n(&w->self->stop, __ATOMIC_ACQUIRE)) {
		if (mmio_peek32(bar + IGBVF_TDBAL, &val) || val == ~0u)
			w->err = -EIO;
		else if (region_read32(fd, 0, IGBVF_TDBAL) < 0)
			w->err = -EIO;
		/* Whichever comes first: the PF's reset or this. */
		err = w->err ? 0 : vfio_ioctl(fd, VFIO_DEVICE_RESET, NULL);
		if (err && err != -EAGAIN)
			w->err = err;
		__atomic_fetch_add(&w->rounds, 1, __ATOMIC_RELEASE);
	}
	if (bar)
		bar_unmap(fd, 0, bar);
	return NULL;
}

TEST_F(sriov, pf_reset_under_access)
{
	struct worker w[VFS];
	int i, way;

	for (i = 0; i < VFS; i++) {
		w[i] = (struct worker){ .self = self, .n = i };
		ASSERT_EQ(0, pthread_create(&w[i].thread, NULL, access_thread, &w[i]));
	}
	for (i = 0; i < 3; i++) {
		for (way = 0; way < 2; way++)
			EXPECT_EQ(0, reset_pf(self, way));
		/* It may fail only because somebody has a VF locked. */
		way = reset_pf(self, 2 + i % 2);
		EXPECT_TRUE(way == 0 || way == -EAGAIN)
			TH_LOG("%d", way);
	}
	__atomic_store_n(&self->stop, true, __ATOMIC_RELEASE);
	for (i = 0; i < VFS; i++) {
		pthread_join(w[i].thread, NULL);
		EXPECT_EQ(0, w[i].err)
			TH_LOG("VF %d, after %ld rounds", i, w[i].rounds);
		EXPECT_LT(0, w[i].rounds);
	}
}

/* VFs are created and removed while others try to open them. */
static void *opener_thread(void *arg)
{
	struct worker *w = arg;

	while (!__atomic_load_n(&w->self->stop, __ATOMIC_ACQUIRE)) {
		int fd = vfio_cdev_open(w->self->v.bdf[w->n]);

		if (fd < 0) {
			/* Looking up files in sysfs blocks those who create some. */
			usleep(1000);
			continue;
		}
		if (!vfio_bind_token(fd, w->self->v.vf[0].iommufd, token, NULL))
			__atomic_fetch_add(&w->rounds, 1, __ATOMIC_RELEASE);
		close(fd);
	}
	return NULL;
}

/* Each VF has a user, or just had one, who is about to return. */
static bool all_open(struct worker *w)
{
	struct deadline end;
	long before[VFS];
	int i;

	for (i = 0; i < VFS; i++)
		before[i] = __atomic_load_n(&w[i].rounds, __ATOMIC_ACQUIRE);
	deadline_start(&end);
	for (i = 0; i < VFS; i++) {
		while (__atomic_load_n(&w[i].rounds, __ATOMIC_ACQUIRE) == before[i]) {
			if (deadline_passed(&end))
				return false;
			usleep(1000);
		}
	}
	return true;
}

TEST_F(sriov, coming_and_going)
{
	struct worker w[VFS];
	int i;

	ASSERT_EQ(0, sysfs_write("0", GRACE));
	for (i = 0; i < VFS; i++) {
		w[i] = (struct worker){ .self = self, .n = i };
		ASSERT_EQ(0, pthread_create(&w[i].thread, NULL, opener_thread, &w[i]));
	}
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, sysfs_set_vfs(self->v.pf_bdf, 0));
		ASSERT_EQ(0, sysfs_set_vfs(self->v.pf_bdf, VFS));
		EXPECT_TRUE(all_open(w));
	}
	ASSERT_EQ(0, sysfs_write("1", "/sys/bus/pci/devices/%s/remove", self->v.pf_bdf));
	__atomic_store_n(&self->stop, true, __ATOMIC_RELEASE);
	for (i = 0; i < VFS; i++)
		pthread_join(w[i].thread, NULL);
	session_close(&self->v.pf);
	ASSERT_EQ(0, sysfs_rescan());
	EXPECT_EQ(0, session_open(&self->v.pf, self->v.pf_bdf));
}

TEST_HARNESS_MAIN
