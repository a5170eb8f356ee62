// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device that is unplugged while in use: by the attention button, by switching its slot off, and
 * by pulling it out without notice.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/config.h"
#include "lib/exercise.h"
#include "lib/harness.h"
#include "lib/iommufd.h"
#include "lib/irq.h"
#include "lib/qmp.h"
#include "lib/region.h"

#define DEVICE_ADD	"'execute': 'device_add', " \
			"'arguments': { 'driver': '%s', 'id': 'dev%u', 'bus': 'rp%u' }"
#define DEVICE_DEL	"'execute': 'device_del', 'arguments': { 'id': 'dev%u' }"

#define GRACE "/sys/module/vfio_iommufd/parameters/release_grace_ms"
#define IOVA 0x1000000ull

enum way { BUTTON, POWER, PULL };

FIXTURE(unplug)
{
	char bdf[BDF_LEN];
	char port[BDF_LEN];
	char slot[256];
	/* QEMU's n-th device, and the QEMU model */
	unsigned int nr;
	struct session s;
	void *bar;
	int request;
	char grace[32];
	pthread_t thread;
	int err;
};

FIXTURE_VARIANT(unplug)
{
	enum test_device dev;
	const char *model;
	enum way way;
};

FIXTURE_VARIANT_ADD(unplug, edu_button) { .dev = DEV_EDU, .model = "edu", .way = BUTTON };
FIXTURE_VARIANT_ADD(unplug, edu_power) { .dev = DEV_EDU, .model = "edu", .way = POWER };
FIXTURE_VARIANT_ADD(unplug, edu_pull) { .dev = DEV_EDU, .model = "edu", .way = PULL };
FIXTURE_VARIANT_ADD(unplug, igb_power) { .dev = DEV_IGB, .model = "igb", .way = POWER };
FIXTURE_VARIANT_ADD(unplug, igb_pull) { .dev = DEV_IGB, .model = "igb", .way = PULL };

/* Find the hot-plug slot, whose address is that of the device without its function. */
static int find_slot(const char *bdf, char *slot, size_t len)
{
	struct dirent *ent;
	char address[32];
	int err = -ENODEV;
	DIR *dir;

	dir = opendir("/sys/bus/pci/slots");
	if (!dir)
		return -errno;
	while (err && (ent = readdir(dir))) {
		if (ent->d_name[0] == '.' ||
		    sysfs_read(address, sizeof(address), "/sys/bus/pci/slots/%s/address",
			       ent->d_name) <= 0 || strncmp(address, bdf, strlen("0000:00:00")))
			continue;
		snprintf(slot, len, "%s", ent->d_name);
		err = 0;
	}
	closedir(dir);
	return err;
}

/* Identifies the device that is at this address now; 0 if there is none. */
static ino_t which(const char *bdf)
{
	char path[256];
	struct stat st;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", bdf);
	return stat(path, &st) ? 0 : st.st_ino;
}

static int wait_gone(const char *bdf, ino_t ino)
{
	struct deadline end;

	for (deadline_start(&end); which(bdf) == ino; sched_yield()) {
		if (deadline_passed(&end))
			return -ETIMEDOUT;
	}
	return 0;
}

/* Wait until it can be bound, which is some time after it appears. */
static int wait_there(const char *bdf)
{
	struct deadline end;
	int err = wait_gone(bdf, 0);

	for (deadline_start(&end); !err && sysfs_bind(bdf); sched_yield()) {
		if (deadline_passed(&end))
			err = -ETIMEDOUT;
	}
	return err;
}

static int find_express(int fd)
{
	u8 pos = 0, id[2];

	if (pread(fd, &pos, 1, PCI_CAPABILITY_LIST) != 1)
		return -EIO;
	while (pos) {
		if (pread(fd, id, 2, pos) != 2)
			return -EIO;
		if (id[0] == PCI_CAP_ID_EXP)
			return pos;
		pos = id[1];
	}
	return -ENOENT;
}

static int write16(int fd, u16 val, off_t off)
{
	return pwrite(fd, &val, sizeof(val), off) == sizeof(val) ? 0 : -EIO;
}

/*
 * Switch the slot off behind the kernel's back, and on again when it is empty: the device does not
 * answer any more, but the kernel believes that it is present until it is told to switch the slot
 * off. The interrupt of a completed command would make pciehp check the slot, at an unknown time.
 */
static int pull_out(const char *port, const char *slot)
{
	const u16 off = PCI_EXP_SLTCTL_PCC | PCI_EXP_SLTCTL_PIC;
	const u16 events = PCI_EXP_SLTSTA_ABP | PCI_EXP_SLTSTA_PDC | PCI_EXP_SLTSTA_CC;
	u16 control, before;
	char path[256];
	int fd, exp;
	int err = 0;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", port);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	exp = find_express(fd);
	if (exp < 0 || pread(fd, &before, 2, exp + PCI_EXP_SLTCTL) != 2) {
		err = -EIO;
		goto out;
	}
	control = before & ~PCI_EXP_SLTCTL_CCIE;
	if (write16(fd, control | off, exp + PCI_EXP_SLTCTL) ||
	    write16(fd, control, exp + PCI_EXP_SLTCTL)) {
		err = -EIO;
		goto out;
	}
	err = sysfs_write("0", "/sys/bus/pci/slots/%s/power", slot);
	if (write16(fd, events, exp + PCI_EXP_SLTSTA) ||
	    pread(fd, &control, 2, exp + PCI_EXP_SLTCTL) != 2 ||
	    write16(fd, control | (before & PCI_EXP_SLTCTL_CCIE), exp + PCI_EXP_SLTCTL))
		err = -EIO;
out:
	close(fd);
	return err;
}

/* Put one back into the same slot. QEMU may not have removed the old one yet. */
static int add(FIXTURE_DATA(unplug) *self, const char *model)
{
	struct deadline end;
	int err;

	for (deadline_start(&end); ; ) {
		err = qmp_command(DEVICE_ADD, model, self->nr, self->nr);
		if (err != -EIO || deadline_passed(&end))
			return err;
	}
}

static int unplug(FIXTURE_DATA(unplug) *self, enum way way)
{
	ino_t old = which(self->bdf);
	int err;

	switch (way) {
	case POWER:
		err = sysfs_write("0", "/sys/bus/pci/slots/%s/power", self->slot);
		break;
	case PULL:
		err = pull_out(self->port, self->slot);
		break;
	default:
		err = qmp_command(DEVICE_DEL, self->nr);
	}
	return err ? err : wait_gone(self->bdf, old);
}

static int plug(FIXTURE_DATA(unplug) *self, const char *model)
{
	int err = which(self->bdf) ? 0 : add(self, model);

	return err ? err : wait_there(self->bdf);
}

/* While it is being added, it may be locked, or bound without a node yet. */
static int open_new(struct session *s, const char *bdf)
{
	struct deadline end;
	int err;

	deadline_start(&end);
	do {
		err = session_open(s, bdf);
	} while ((err == -EAGAIN || err == -ENOENT || err == -ENODEV) && !deadline_passed(&end));
	return err;
}

FIXTURE_SETUP(unplug)
{
	const char *bdf = device_bdf(variant->dev);

	self->bar = NULL;
	self->s.fd = -1;
	self->s.iommufd = -1;
	self->grace[0] = 0;
	self->bdf[0] = 0;
	if (!bdf || access("/dev/virtio-ports/qmp", F_OK) ||
	    find_slot(bdf, self->slot, sizeof(self->slot)) || sysfs_port(bdf, self->port))
		SKIP(return, "no device that can be unplugged");
	strcpy(self->bdf, bdf);
	self->nr = strtoul(bdf + strlen("0000:"), NULL, 16);
	if (driver_is_ours()) {
		ASSERT_LT(0, sysfs_read(self->grace, sizeof(self->grace), GRACE));
		ASSERT_EQ(0, sysfs_write("100", GRACE));
	}
	ASSERT_EQ(0, sysfs_bind(self->bdf));
	ASSERT_EQ(0, session_open(&self->s, self->bdf));
	ASSERT_EQ(0, config_master(self->s.fd, true));
	self->bar = bar_map(self->s.fd, 0, 0, 0x1000);
	ASSERT_NE(NULL, self->bar);
	self->request = event_new();
	ASSERT_EQ(0, irq_eventfd(self->s.fd, VFIO_PCI_REQ_IRQ_INDEX, 0, self->request));
}

FIXTURE_TEARDOWN(unplug)
{
	if (self->grace[0])
		sysfs_write(self->grace, GRACE);
	session_close(&self->s);
	if (self->bdf[0] && !which(self->bdf))
		plug(self, variant->model);
}

/* Everything works on the new one, including DMA where possible. */
#define EXPECT_WORKS() do {								\
	struct exercise x_;								\
											\
	ASSERT_EQ(0, open_new(&self->s, self->bdf));					\
	ASSERT_EQ(0, exercise_start(&x_, variant->dev, &self->s));			\
	EXPECT_EQ(0, exercise(&x_));							\
	exercise_end(&x_);								\
	session_close(&self->s);							\
} while (0)

static void *let_go_thread(void *arg)
{
	FIXTURE_DATA(unplug) *self = arg;

	self->err = event_wait(self->request);
	munmap(self->bar, 0x1000);
	session_close(&self->s);
	return NULL;
}

/* A user who releases the device on request */
TEST_F(unplug, let_go)
{
	ASSERT_EQ(0, pthread_create(&self->thread, NULL, let_go_thread, self));
	ASSERT_EQ(0, unplug(self, variant->way));
	pthread_join(self->thread, NULL);
	EXPECT_LE(1, self->err);
	ASSERT_EQ(0, plug(self, variant->model));
	EXPECT_WORKS();
}

static void *work_thread(void *arg)
{
	FIXTURE_DATA(unplug) *self = arg;
	int efd = event_new();
	s64 ret;
	u32 val;

	do {
		mmio_peek32(self->bar, &val);
		if (!ARM64)
			region_read32(self->s.fd, 0, 0);
		irq_eventfd(self->s.fd, VFIO_PCI_MSI_IRQ_INDEX, 0, efd);
		irq_disable(self->s.fd, VFIO_PCI_MSI_IRQ_INDEX);
		vfio_ioctl(self->s.fd, VFIO_DEVICE_RESET, NULL);
		ret = config_write(self->s.fd, PCI_INTERRUPT_LINE, 1, 7);
		/* Without the device, any error may occur until it is taken away. */
	} while (ret != -ENODEV);
	self->err = ret;
	return NULL;
}

/* A user who does not, and continues to use it */
TEST_F(unplug, hold_on)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	void *mem = dma_alloc(0x1000);
	u32 val;

	OURS_ONLY();
	ASSERT_EQ(0, ioas_map(self->s.iommufd, self->s.ioas, mem, 0x1000, IOVA));
	ASSERT_EQ(0, pthread_create(&self->thread, NULL, work_thread, self));
	ASSERT_EQ(0, unplug(self, variant->way));
	pthread_join(self->thread, NULL);
	EXPECT_LE(1, event_take(self->request));
	EXPECT_EQ(-ENODEV, vfio_ioctl(self->s.fd, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_EQ(-ENODEV, config_read(self->s.fd, 0, 4));
	EXPECT_EQ(-EFAULT, mmio_peek32(self->bar, &val));
	EXPECT_EQ(-EFAULT, mmio_poke32(self->bar, 0));
	/* The new one and the dead file do not affect each other. */
	ASSERT_EQ(0, plug(self, variant->model));
	EXPECT_EQ(-ENODEV, config_read(self->s.fd, 0, 4));
	EXPECT_EQ(-EFAULT, mmio_peek32(self->bar, &val));
	session_close(&self->s);
	munmap(self->bar, 0x1000);
	EXPECT_WORKS();
}

TEST_HARNESS_MAIN
