// SPDX-License-Identifier: GPL-2.0-only
/*
 * A physical function (PF) owned by user space, its virtual functions (VF), and the token that the
 * users of both share.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/config.h"
#include "lib/harness.h"
#include "lib/iommufd.h"
#include "lib/irq.h"
#include "lib/nic.h"
#include "lib/nvme.h"
#include "lib/region.h"
#include "lib/vfs.h"

#define IOVA 0x1000000ull

static const u8 token_a[16] = { 0x52, 0xac, 0x9b, 0xff, 0x3a, 0x88, 0x4f, 0xbd, 0x90, 0x1a };
static const u8 token_b[16] = { 0x88, 0x59, 0x46, 0x74, 0x90, 0xa0, 0x47, 0xa9, 0xae, 0xa8 };
static const u8 token_0[16];

FIXTURE(sriov)
{
	struct vfs v;
};

FIXTURE_VARIANT(sriov)
{
	enum test_device dev;
	/* The kernel's driver of the PF */
	const char *driver;
	/* Of a VF: IDs, size of BAR 0, number of MSI-X vectors before the PF assigns any */
	u32 id;
	u32 size;
	u32 vectors;
};

FIXTURE_VARIANT_ADD(sriov, igb) {
	.dev = DEV_IGB, .driver = "igb", .id = 0x10ca8086, .size = 0x4000,
	.vectors = IGBVF_VECTORS,
};

FIXTURE_VARIANT_ADD(sriov, nvme) {
	.dev = DEV_NVME_PF, .driver = "nvme", .id = 0x00101b36, .size = 0x4000, .vectors = 1,
};

/* Each test begins with a PF whose user has passed token_a, and with two VFs. */
#define SETUP_VFS(v, kind) do {								\
	const char *pf_bdf_;								\
											\
	vfs_init(v);									\
	SETUP_DEVICE(&pf_bdf_, kind);							\
	ASSERT_EQ(0, vfs_open(v, pf_bdf_, token_a, 2));					\
} while (0)

FIXTURE_SETUP(sriov)
{
	SETUP_VFS(&self->v, variant->dev);
}

FIXTURE_TEARDOWN(sriov)
{
	vfs_close(&self->v);
}

TEST_F(sriov, configure)
{
	char name[64], bdf[BDF_LEN];
	int i;

	/* They are bound to their PF's driver. */
	for (i = 0; i < self->v.count; i++) {
		sysfs_driver(self->v.bdf[i], name, sizeof(name));
		EXPECT_STREQ("vfio-pci", name);
		EXPECT_LT(0, sysfs_read(name, sizeof(name),
					"/sys/bus/pci/devices/%s/driver_override", self->v.bdf[i]));
		EXPECT_STREQ("vfio-pci", name);
	}
	EXPECT_EQ(-EBUSY, sysfs_set_vfs(self->v.pf_bdf, 1));
	EXPECT_EQ(-ERANGE, sysfs_set_vfs(self->v.pf_bdf, 1000));

	/* The parameter can be changed at any time. */
	ASSERT_EQ(0, sysfs_write("0", ENABLE_SRIOV));
	EXPECT_EQ(-ENOENT, sysfs_set_vfs(self->v.pf_bdf, 0));
	ASSERT_EQ(0, sysfs_write("1", ENABLE_SRIOV));
	ASSERT_EQ(0, sysfs_set_vfs(self->v.pf_bdf, 0));
	EXPECT_EQ(-ENOENT, sysfs_vf(self->v.pf_bdf, 0, bdf));
	ASSERT_EQ(0, sysfs_write("0", ENABLE_SRIOV));
	EXPECT_EQ(-ENOENT, sysfs_set_vfs(self->v.pf_bdf, 1));
	ASSERT_EQ(0, sysfs_write("1", ENABLE_SRIOV));

	/* The user of the PF is not affected, and without a user, it works as well. */
	EXPECT_LE(0, config_read(self->v.pf.fd, 0, 4));
	session_close(&self->v.pf);
	ASSERT_EQ(0, sysfs_set_vfs(self->v.pf_bdf, 1));
	EXPECT_EQ(0, sysfs_vf(self->v.pf_bdf, 0, bdf));
	EXPECT_EQ(-ENOENT, sysfs_vf(self->v.pf_bdf, 1, bdf));
}

/* A VF needs the token of its PF's user. */
TEST_F(sriov, token_of_a_vf)
{
	struct session *vf = self->v.vf;

	EXPECT_EQ(-EACCES, session_open(&vf[0], self->v.bdf[0]));
	EXPECT_EQ(-EACCES, session_open_token(&vf[0], self->v.bdf[0], token_b));
	EXPECT_EQ(-EACCES, session_open_token(&vf[0], self->v.bdf[0], token_0));
	ASSERT_EQ(0, session_open_token(&vf[0], self->v.bdf[0], token_a));

	/* The token can change, which does not affect current users. */
	ASSERT_EQ(0, vfio_set_token(self->v.pf.fd, token_b));
	EXPECT_LE(0, config_read(vf[0].fd, 0, 4));
	EXPECT_EQ(-EACCES, session_open_token(&vf[1], self->v.bdf[1], token_a));
	EXPECT_EQ(0, session_open_token(&vf[1], self->v.bdf[1], token_b));

	/* It stays after their sessions. */
	session_close(&vf[0]);
	session_close(&self->v.pf);
	EXPECT_EQ(-EACCES, session_open(&vf[0], self->v.bdf[0]));
	EXPECT_EQ(-EACCES, session_open_token(&vf[0], self->v.bdf[0], token_a));
	EXPECT_EQ(0, session_open_token(&vf[0], self->v.bdf[0], token_b));
}

/* A new user of a PF whose VFs are in use needs their token. */
TEST_F(sriov, token_of_the_pf)
{
	struct session *pf = &self->v.pf, *vf = self->v.vf;

	ASSERT_EQ(0, session_open_token(&vf[0], self->v.bdf[0], token_a));
	session_close(pf);
	EXPECT_EQ(-EACCES, session_open(pf, self->v.pf_bdf));
	EXPECT_EQ(-EACCES, session_open_token(pf, self->v.pf_bdf, token_b));
	ASSERT_EQ(0, session_open_token(pf, self->v.pf_bdf, token_a));
	session_close(pf);

	/* After the last user of a VF, it is not needed any more. */
	ASSERT_EQ(0, session_open_token(&vf[1], self->v.bdf[1], token_a));
	session_close(&vf[0]);
	EXPECT_EQ(-EACCES, session_open(pf, self->v.pf_bdf));
	session_close(&vf[1]);
	ASSERT_EQ(0, session_open(pf, self->v.pf_bdf));
	session_close(pf);
	ASSERT_EQ(0, session_open_token(pf, self->v.pf_bdf, token_b));
	EXPECT_EQ(-EACCES, session_open_token(&vf[0], self->v.bdf[0], token_a));
	ASSERT_EQ(0, session_open_token(&vf[0], self->v.bdf[0], token_b));
}

/* The initial token cannot be guessed. */
TEST_F(sriov, token_at_first)
{
	session_close(&self->v.pf);
	ASSERT_EQ(0, sysfs_set_vfs(self->v.pf_bdf, 0));
	ASSERT_EQ(0, sysfs_unbind(self->v.pf_bdf));
	ASSERT_EQ(0, sysfs_rebind(self->v.pf_bdf));
	ASSERT_EQ(0, session_open(&self->v.pf, self->v.pf_bdf));
	ASSERT_EQ(0, sysfs_set_vfs(self->v.pf_bdf, 1));
	EXPECT_EQ(-EACCES, session_open(&self->v.vf[0], self->v.bdf[0]));
	EXPECT_EQ(-EACCES, session_open_token(&self->v.vf[0], self->v.bdf[0], token_0));
	EXPECT_EQ(-EACCES, session_open_token(&self->v.vf[0], self->v.bdf[0], token_a));
	ASSERT_EQ(0, vfio_set_token(self->v.pf.fd, token_0));
	EXPECT_EQ(0, session_open_token(&self->v.vf[0], self->v.bdf[0], token_0));
}

/* If BIND fails for another reason, it does not count as a user. */
TEST_F(sriov, failed_bind)
{
	int fd = vfio_cdev_open(self->v.bdf[0]), i;

	ASSERT_LE(0, fd);
	for (i = 0; i < 3; i++) {
		EXPECT_NE(0, vfio_bind_token(fd, fd, token_a, NULL));
		EXPECT_NE(0, vfio_bind_token(fd, 1000, token_a, NULL));
	}
	session_close(&self->v.pf);
	EXPECT_EQ(0, session_open(&self->v.pf, self->v.pf_bdf));
	close(fd);
}

TEST_F(sriov, user_killed)
{
	int ready[2];
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe(ready));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		session_close(&self->v.pf);
		if (session_open_token(&self->v.vf[0], self->v.bdf[0], token_a) ||
		    write(ready[1], "", 1) != 1)
			_exit(1);
		pause();
	}
	close(ready[1]);
	ASSERT_EQ(1, read(ready[0], &c, 1));
	session_close(&self->v.pf);
	EXPECT_EQ(-EACCES, session_open(&self->v.pf, self->v.pf_bdf));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	EXPECT_EQ(0, session_open(&self->v.pf, self->v.pf_bdf));
}

/* VFs of a PF with a host driver have no token, and passing one is an error. */
TEST_F(sriov, pf_of_the_host)
{
	char name[64];

	session_close(&self->v.pf);
	ASSERT_EQ(0, sysfs_set_vfs(self->v.pf_bdf, 0));
	snprintf(name, sizeof(name), "modprobe -q %s", variant->driver);
	if (system(name))
		SKIP(return, "no driver for the PF");
	ASSERT_EQ(0, sysfs_unbind(self->v.pf_bdf));
	ASSERT_EQ(0, sysfs_write(variant->driver, "/sys/bus/pci/devices/%s/driver_override",
				 self->v.pf_bdf));
	ASSERT_EQ(0, sysfs_write(self->v.pf_bdf, "/sys/bus/pci/drivers_probe"));
	sysfs_driver(self->v.pf_bdf, name, sizeof(name));
	ASSERT_STREQ(variant->driver, name);

	/* The kernel also has a driver for NVMe VFs, which probes asynchronously. */
	ASSERT_EQ(0, sysfs_write("0", "/sys/bus/pci/devices/%s/sriov_drivers_autoprobe",
				 self->v.pf_bdf));
	ASSERT_EQ(0, sysfs_set_vfs(self->v.pf_bdf, 2));
	sysfs_driver(self->v.bdf[0], name, sizeof(name));
	EXPECT_STRNE("vfio-pci", name);
	ASSERT_EQ(0, sysfs_bind(self->v.bdf[0]));
	ASSERT_EQ(0, sysfs_write("1", "/sys/bus/pci/devices/%s/sriov_drivers_autoprobe",
				 self->v.pf_bdf));
	EXPECT_EQ(-EINVAL, session_open_token(&self->v.vf[0], self->v.bdf[0], token_a));
	ASSERT_EQ(0, session_open(&self->v.vf[0], self->v.bdf[0]));
	EXPECT_EQ(variant->id, config_read(self->v.vf[0].fd, 0, 4));
	EXPECT_LE(0, region_read32(self->v.vf[0].fd, 0, 0));
	EXPECT_EQ(0, vfio_ioctl(self->v.vf[0].fd, VFIO_DEVICE_RESET, NULL));
	session_close(&self->v.vf[0]);
	ASSERT_EQ(0, sysfs_set_vfs(self->v.pf_bdf, 0));
	ASSERT_EQ(0, sysfs_unbind(self->v.pf_bdf));
}

TEST_F(sriov, config_space)
{
	struct vfio_irq_info irq;
	char text[16];
	int fd, end;
	u32 id;

	ASSERT_EQ(0, session_open_token(&self->v.vf[0], self->v.bdf[0], token_a));
	fd = self->v.vf[0].fd;

	/* The VF's own ID registers read as ones (PCIe r6.2 9.3.4.1.1 and 2). */
	ASSERT_EQ(4, sysfs_config(self->v.bdf[0], PCI_VENDOR_ID, &id, 4));
	EXPECT_LT(0, sysfs_read(text, sizeof(text), "/sys/bus/pci/devices/%s/device",
				self->v.bdf[0]));
	EXPECT_EQ(variant->id & 0xffff, config_read(fd, PCI_VENDOR_ID, 2));
	EXPECT_EQ(variant->id >> 16, config_read(fd, PCI_DEVICE_ID, 2));
	EXPECT_EQ(variant->id >> 16, strtol(text, NULL, 16));
	config_write(fd, PCI_VENDOR_ID, 4, 0);
	EXPECT_EQ(variant->id, config_read(fd, PCI_VENDOR_ID, 4));

	/* No INTx. */
	EXPECT_EQ(0, config_read(fd, PCI_INTERRUPT_PIN, 1));
	ASSERT_EQ(0, irq_info(fd, VFIO_PCI_INTX_IRQ_INDEX, &irq));
	EXPECT_EQ(0, irq.count);
	end = event_new();
	EXPECT_EQ(-EINVAL, irq_eventfd(fd, VFIO_PCI_INTX_IRQ_INDEX, 0, end));
	ASSERT_EQ(0, irq_info(fd, VFIO_PCI_MSIX_IRQ_INDEX, &irq));
	EXPECT_EQ(variant->vectors, irq.count);

	/* Sizing works, although the BARs are in the PF's SR-IOV capability. */
	EXPECT_EQ(0, config_write(fd, PCI_BASE_ADDRESS_0, 4, ~0u));
	EXPECT_EQ(variant->size, (u32)-(config_read(fd, PCI_BASE_ADDRESS_0, 4) & ~0xf));
	EXPECT_EQ(0, config_ecap(fd, PCI_EXT_CAP_ID_SRIOV));
}

/* A VF has no bit for memory decode, but users can set and clear it as in any device. */
TEST_F(sriov, memory_decode)
{
	u32 val;
	void *bar;
	int fd;

	ASSERT_EQ(0, session_open_token(&self->v.vf[0], self->v.bdf[0], token_a));
	fd = self->v.vf[0].fd;
	EXPECT_EQ(PCI_COMMAND_MEMORY, config_read(fd, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY);
	bar = bar_map(fd, 0, 0, 0);
	ASSERT_NE(NULL, bar);
	EXPECT_EQ(0, mmio_peek32(bar, &val));
	ASSERT_EQ(0, config_update(fd, PCI_COMMAND, 2, PCI_COMMAND_MEMORY, 0));
	EXPECT_EQ(0, config_read(fd, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY);
	EXPECT_EQ(0, mmio_peek32(bar, &val));
	EXPECT_LE(0, region_read32(fd, 0, 0));
	ASSERT_EQ(0, config_update(fd, PCI_COMMAND, 2, 0, PCI_COMMAND_MEMORY));
	EXPECT_EQ(0, mmio_peek32(bar, &val));
	bar_unmap(fd, 0, bar);
}

/* If a PF slept, its VFs would, too (PCIe r6.2 9.6.2). */
TEST_F(sriov, pf_stays_awake)
{
	int pm = config_cap(self->v.pf.fd, PCI_CAP_ID_PM);

	ASSERT_LT(0, pm);
	ASSERT_EQ(0, config_update(self->v.pf.fd, pm + PCI_PM_CTRL, 2, PCI_PM_CTRL_STATE_MASK, 3));
	EXPECT_EQ(0, config_read(self->v.pf.fd, pm + PCI_PM_CTRL, 2) & PCI_PM_CTRL_STATE_MASK);
	ASSERT_EQ(0, session_open_token(&self->v.vf[0], self->v.bdf[0], token_a));
	EXPECT_LE(0, region_read32(self->v.vf[0].fd, 0, 0));
	session_close(&self->v.vf[0]);

	ASSERT_EQ(0, sysfs_set_vfs(self->v.pf_bdf, 0));
	ASSERT_EQ(0, config_update(self->v.pf.fd, pm + PCI_PM_CTRL, 2, PCI_PM_CTRL_STATE_MASK, 3));
	EXPECT_EQ(3, config_read(self->v.pf.fd, pm + PCI_PM_CTRL, 2) & PCI_PM_CTRL_STATE_MASK);
	/* It is woken up when VFs are created again. */
	ASSERT_EQ(0, sysfs_set_vfs(self->v.pf_bdf, 1));
	EXPECT_EQ(0, config_read(self->v.pf.fd, pm + PCI_PM_CTRL, 2) & PCI_PM_CTRL_STATE_MASK);
	ASSERT_EQ(0, session_open_token(&self->v.vf[0], self->v.bdf[0], token_a));
	EXPECT_LE(0, region_read32(self->v.vf[0].fd, 0, 0));
}

/* Releases its VF when asked. */
static void *polite_thread(void *arg)
{
	struct session *s = arg;
	int req = event_new();

	if (irq_eventfd(s->fd, VFIO_PCI_REQ_IRQ_INDEX, 0, req) == 0)
		event_wait(req);
	session_close(s);
	close(req);
	return NULL;
}

TEST_F(sriov, vfs_go_on_request)
{
	pthread_t thread[VFS_MAX];
	int i;

	for (i = 0; i < self->v.count; i++) {
		ASSERT_EQ(0, session_open_token(&self->v.vf[i], self->v.bdf[i], token_a));
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, polite_thread, &self->v.vf[i]));
	}
	EXPECT_EQ(0, sysfs_set_vfs(self->v.pf_bdf, 0));
	for (i = 0; i < self->v.count; i++)
		pthread_join(thread[i], NULL);
	EXPECT_LE(0, config_read(self->v.pf.fd, 0, 4));
	/* They can be created again. */
	ASSERT_EQ(0, sysfs_set_vfs(self->v.pf_bdf, self->v.count));
	EXPECT_EQ(0, session_open_token(&self->v.vf[0], self->v.bdf[0], token_a));
}

TEST_F(sriov, pf_goes_on_request)
{
	pthread_t thread[2];
	char bdf[BDF_LEN];
	int i;

	UNBINDS_PF();
	ASSERT_EQ(0, session_open_token(&self->v.vf[0], self->v.bdf[0], token_a));
	ASSERT_EQ(0, pthread_create(&thread[0], NULL, polite_thread, &self->v.pf));
	ASSERT_EQ(0, pthread_create(&thread[1], NULL, polite_thread, &self->v.vf[0]));
	EXPECT_EQ(0, sysfs_unbind(self->v.pf_bdf));
	for (i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	EXPECT_EQ(-ENOENT, sysfs_vf(self->v.pf_bdf, 0, bdf));
	ASSERT_EQ(0, sysfs_rebind(self->v.pf_bdf));
	ASSERT_EQ(0, session_open(&self->v.pf, self->v.pf_bdf));
}

/* All VFs at once, again and again */
struct opener {
	pthread_t thread;
	const char *bdf;
	u32 id;
	int err;
};

static void *open_thread(void *arg)
{
	struct opener *o = arg;
	struct session s;
	int i;

	for (i = 0; i < 5 && !o->err; i++) {
		o->err = session_open_token(&s, o->bdf, token_a);
		if (o->err)
			break;
		if (config_read(s.fd, PCI_VENDOR_ID, 4) != o->id)
			o->err = -EIO;
		session_close(&s);
	}
	return NULL;
}

TEST_F(sriov, in_parallel)
{
	struct opener o[VFS_MAX];
	int i;

	ASSERT_EQ(0, vfs_make(&self->v, VFS_MAX));
	ASSERT_LT(2, self->v.count);
	for (i = 0; i < self->v.count; i++) {
		o[i] = (struct opener){ .bdf = self->v.bdf[i], .id = variant->id };
		ASSERT_EQ(0, pthread_create(&o[i].thread, NULL, open_thread, &o[i]));
	}
	for (i = 0; i < self->v.count; i++) {
		pthread_join(o[i].thread, NULL);
		EXPECT_EQ(0, o[i].err)
			TH_LOG("VF %d", i);
	}
	/* No users are left. */
	session_close(&self->v.pf);
	EXPECT_EQ(0, session_open(&self->v.pf, self->v.pf_bdf));
}

/* What VFs of igb can do */
FIXTURE(igb)
{
	struct vfs v;
};

FIXTURE_SETUP(igb)
{
	SETUP_VFS(&self->v, DEV_IGB);
}

FIXTURE_TEARDOWN(igb)
{
	vfs_close(&self->v);
}

/* Each VF has registers of its own. */
TEST_F(igb, bars)
{
	void *bar[VFS_MAX];
	int i;

	for (i = 0; i < self->v.count; i++) {
		ASSERT_EQ(0, session_open_token(&self->v.vf[i], self->v.bdf[i], token_a));
		bar[i] = bar_map(self->v.vf[i].fd, 0, 0, 0);
		ASSERT_NE(NULL, bar[i]);
		mmio_write32(bar[i], IGBVF_TDBAL, 0x1000 * (i + 1));
	}
	for (i = 0; i < self->v.count; i++) {
		EXPECT_EQ(0x1000 * (i + 1), region_read32(self->v.vf[i].fd, 0, IGBVF_TDBAL));
		ASSERT_EQ(0, region_write32(self->v.vf[i].fd, 0, IGBVF_TDBAL, 0x100000 * (i + 1)));
		EXPECT_EQ(0x100000 * (i + 1), mmio_read32(bar[i], IGBVF_TDBAL));
		bar_unmap(self->v.vf[i].fd, 0, bar[i]);
	}
}

/* What the PF's user must set up for the VFs */
static int setup_pf(struct session *pf)
{
	void *bar = bar_map(pf->fd, 0, 0, 0);
	int err;

	if (!bar)
		return -errno;
	err = config_master(pf->fd, true);
	igb_msix_setup(bar);
	igb_tx_setup(bar);
	bar_unmap(pf->fd, 0, bar);
	return err;
}

/* Interrupts of each VF go only to its own eventfds. */
TEST_F(igb, msix)
{
	int efd[2][IGBVF_VECTORS], i, j;
	void *bar[2];

	ASSERT_EQ(0, setup_pf(&self->v.pf));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, session_open_token(&self->v.vf[i], self->v.bdf[i], token_a));
		ASSERT_EQ(0, config_master(self->v.vf[i].fd, true));
		for (j = 0; j < IGBVF_VECTORS; j++)
			efd[i][j] = event_new();
		ASSERT_EQ(0, irq_eventfds(self->v.vf[i].fd, VFIO_PCI_MSIX_IRQ_INDEX, 0, efd[i],
					  IGBVF_VECTORS));
		bar[i] = bar_map(self->v.vf[i].fd, 0, 0, 0);
		ASSERT_NE(NULL, bar[i]);
	}
	for (i = 0; i < 2; i++) {
		for (j = 0; j < IGBVF_VECTORS; j++) {
			igb_msix_raise(bar[i], 1u << j);
			EXPECT_EQ(1, event_wait(efd[i][j]))
				TH_LOG("VF %d, vector %d", i, j);
		}
		bar_unmap(self->v.vf[i].fd, 0, bar[i]);
	}
	for (i = 0; i < 2; i++)
		for (j = 0; j < IGBVF_VECTORS; j++)
			EXPECT_EQ(0, event_take(efd[i][j]));
}

/* Each VF has its own address space: the same address is different memory. */
TEST_F(igb, dma)
{
	void *mem[VFS_MAX], *bar;
	int i;

	ASSERT_EQ(0, setup_pf(&self->v.pf));
	for (i = 0; i < self->v.count; i++) {
		ASSERT_EQ(0, session_open_token(&self->v.vf[i], self->v.bdf[i], token_a));
		mem[i] = dma_alloc(IGBVF_MEM_SIZE);
		ASSERT_EQ(0, ioas_map(self->v.vf[i].iommufd, self->v.vf[i].ioas, mem[i],
				      IGBVF_MEM_SIZE, IOVA));
		ASSERT_EQ(0, config_master(self->v.vf[i].fd, true));
	}
	for (i = 0; i < self->v.count; i++) {
		bar = bar_map(self->v.vf[i].fd, 0, 0, 0);
		ASSERT_NE(NULL, bar);
		EXPECT_EQ(0, igbvf_send(bar, mem[i], IOVA))
			TH_LOG("VF %d", i);
		bar_unmap(self->v.vf[i].fd, 0, bar);
	}
}

TEST_F(igb, reset)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int fd[2], i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, session_open_token(&self->v.vf[i], self->v.bdf[i], token_a));
		fd[i] = self->v.vf[i].fd;
		ASSERT_EQ(0, vfio_ioctl(fd[i], VFIO_DEVICE_GET_INFO, &info));
		ASSERT_EQ(VFIO_DEVICE_FLAGS_RESET, info.flags & VFIO_DEVICE_FLAGS_RESET);
		ASSERT_EQ(0, config_master(fd[i], true));
		ASSERT_EQ(0, region_write32(fd[i], 0, IGBVF_TDBAL, 0x1000));
	}
	ASSERT_EQ(0, vfio_ioctl(fd[0], VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(0x1000, region_read32(fd[1], 0, IGBVF_TDBAL));
	for (i = 0; i < 2; i++)
		EXPECT_EQ(PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY,
			  config_read(fd[i], PCI_COMMAND, 2) &
			  (PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY));
	/* It can still be used. */
	ASSERT_EQ(0, region_write32(fd[0], 0, IGBVF_TDBAL, 0x2000));
	EXPECT_EQ(0x2000, region_read32(fd[0], 0, IGBVF_TDBAL));
}

/* NVMe: the PF's user brings the VFs' controllers online, with the admin queue. */
#define QUEUES 2
#define VECTORS 2

FIXTURE(nvme)
{
	struct vfs v;
	struct nvme pf;
	struct nvme vf[VFS_MAX];
};

static int nvme_start(struct nvme *n, struct session *s)
{
	int err;

	n->mem = dma_alloc(NVME_MEM_SIZE);
	n->iova = IOVA;
	err = config_master(s->fd, true);
	if (!err)
		err = ioas_map(s->iommufd, s->ioas, n->mem, NVME_MEM_SIZE, IOVA);
	if (err)
		return err;
	n->bar = bar_map(s->fd, 0, 0, 0);
	return n->bar ? nvme_enable(n) : -errno;
}

FIXTURE_SETUP(nvme)
{
	int i;

	SETUP_VFS(&self->v, DEV_NVME_PF);
	ASSERT_EQ(0, nvme_start(&self->pf, &self->v.pf));
	for (i = 0; i < self->v.count; i++)
		ASSERT_EQ(0, nvme_vf_online(&self->pf, i + 1, QUEUES, VECTORS));
}

FIXTURE_TEARDOWN(nvme)
{
	int i;

	for (i = 0; i < self->v.count; i++) {
		if (self->vf[i].bar)
			bar_unmap(self->v.vf[i].fd, 0, self->vf[i].bar);
	}
	if (self->pf.bar)
		bar_unmap(self->v.pf.fd, 0, self->pf.bar);
	vfs_close(&self->v);
}

static int identify(struct nvme *n)
{
	int err;

	nvme_submit_identify(n);
	err = nvme_complete(n);
	if (!err && (nvme_data(n)[0] != 0x36 || nvme_data(n)[1] != 0x1b))
		err = -EIO;
	return err;
}

/* All at once, at the same IOVA: each has its own registers, memory and interrupts. */
TEST_F(nvme, work)
{
	int efd[VFS_MAX];
	int i;

	for (i = 0; i < self->v.count; i++) {
		struct session *s = &self->v.vf[i];
		struct vfio_irq_info irq;

		ASSERT_EQ(0, session_open_token(s, self->v.bdf[i], token_a));
		ASSERT_EQ(0, irq_info(s->fd, VFIO_PCI_MSIX_IRQ_INDEX, &irq));
		ASSERT_EQ(VECTORS, irq.count);
		efd[i] = event_new();
		ASSERT_EQ(0, irq_eventfd(s->fd, VFIO_PCI_MSIX_IRQ_INDEX, 0, efd[i]));
		ASSERT_EQ(0, nvme_start(&self->vf[i], s))
			TH_LOG("VF %d", i);
	}
	for (i = 0; i < self->v.count; i++) {
		EXPECT_EQ(0, identify(&self->vf[i]));
		EXPECT_EQ(1, event_wait(efd[i]));
	}
	for (i = 0; i < self->v.count; i++)
		EXPECT_EQ(0, event_take(efd[i]));
	EXPECT_EQ(0, identify(&self->pf));
}

/* FLR of one VF does not affect the others, nor the PF. */
TEST_F(nvme, reset)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int i;
	int efd[2];

	for (i = 0; i < 2; i++) {
		struct session *s = &self->v.vf[i];

		ASSERT_EQ(0, session_open_token(s, self->v.bdf[i], token_a));
		efd[i] = event_new();
		ASSERT_EQ(0, irq_eventfd(s->fd, VFIO_PCI_MSIX_IRQ_INDEX, 0, efd[i]));
		ASSERT_EQ(0, nvme_start(&self->vf[i], s));
	}
	ASSERT_EQ(0, vfio_ioctl(self->v.vf[0].fd, VFIO_DEVICE_GET_INFO, &info));
	ASSERT_EQ(VFIO_DEVICE_FLAGS_RESET, info.flags & VFIO_DEVICE_FLAGS_RESET);
	ASSERT_EQ(0, vfio_ioctl(self->v.vf[0].fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(0, mmio_read32(self->vf[0].bar, NVME_CC));
	EXPECT_EQ(0, mmio_read32(self->vf[0].bar, NVME_CSTS) & NVME_CSTS_RDY);
	EXPECT_EQ(0, identify(&self->vf[1]));
	EXPECT_EQ(1, event_wait(efd[1]));
	EXPECT_EQ(0, identify(&self->pf));

	/* The user's bus mastering and interrupt are preserved. */
	ASSERT_EQ(0, nvme_enable(&self->vf[0]));
	EXPECT_EQ(0, identify(&self->vf[0]));
	EXPECT_EQ(1, event_wait(efd[0]));
}

/* What one user has left in a VF is gone for the next one. */
TEST_F(nvme, next_user)
{
	ASSERT_EQ(0, session_open_token(&self->v.vf[0], self->v.bdf[0], token_a));
	ASSERT_EQ(0, nvme_start(&self->vf[0], &self->v.vf[0]));
	EXPECT_NE(0, region_read32(self->v.vf[0].fd, 0, NVME_CC));
	bar_unmap(self->v.vf[0].fd, 0, self->vf[0].bar);
	self->vf[0].bar = NULL;
	session_close(&self->v.vf[0]);
	ASSERT_EQ(0, session_open_token(&self->v.vf[0], self->v.bdf[0], token_a));
	EXPECT_EQ(0, region_read32(self->v.vf[0].fd, 0, NVME_CC));
	EXPECT_EQ(0, config_read(self->v.vf[0].fd, PCI_COMMAND, 2) & PCI_COMMAND_MASTER);
	ASSERT_EQ(0, nvme_start(&self->vf[0], &self->v.vf[0]));
	EXPECT_EQ(0, identify(&self->vf[0]));
}

/*
 * A reset of the PF takes all of them offline, in which state they report a failure. The in-tree
 * driver does not restore the VFs' configuration.
 */
TEST_F(nvme, pf_reset)
{
	OURS_ONLY();
	ASSERT_EQ(0, session_open_token(&self->v.vf[0], self->v.bdf[0], token_a));
	ASSERT_EQ(0, nvme_start(&self->vf[0], &self->v.vf[0]));
	ASSERT_EQ(0, vfio_ioctl(self->v.pf.fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(NVME_CSTS_CFS, mmio_read32(self->vf[0].bar, NVME_CSTS));
	EXPECT_EQ(PCI_COMMAND_MEMORY, config_read(self->v.vf[0].fd, PCI_COMMAND, 2) &
				      PCI_COMMAND_MEMORY);
	/* They continue after their resources have been assigned again. */
	ASSERT_EQ(0, nvme_enable(&self->pf));
	ASSERT_EQ(0, nvme_vf_online(&self->pf, 1, QUEUES, VECTORS));
	ASSERT_EQ(0, nvme_enable(&self->vf[0]));
	EXPECT_EQ(0, identify(&self->vf[0]));
}

TEST_HARNESS_MAIN
