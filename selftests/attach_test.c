// SPDX-License-Identifier: GPL-2.0-only
/* Attaching a device to address spaces: errors, and the real destination of DMA. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/config.h"
#include "lib/edu.h"
#include "lib/harness.h"
#include "lib/iommufd.h"
#include "lib/nvme.h"
#include "lib/virtio.h"

#define IOVA 0x1000000ull
#define PAGE 0x1000

FIXTURE(attach)
{
	struct session s;
};

FIXTURE_VARIANT(attach)
{
	enum test_device dev;
};

FIXTURE_ALL_DEVICES(attach);

FIXTURE_SETUP(attach)
{
	SETUP_SESSION(&self->s, variant->dev);
}

FIXTURE_TEARDOWN(attach)
{
	session_close(&self->s);
}

TEST_F(attach, ids)
{
	u32 pt, hwpt;

	/* In use by the fixture. */
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->s.iommufd, self->s.ioas));

	/* Again and again, each one replacing the previous one. */
	pt = self->s.ioas;
	EXPECT_EQ(0, vfio_attach(self->s.fd, &pt));
	EXPECT_NE(self->s.ioas, pt);
	ASSERT_EQ(0, hwpt_alloc(self->s.iommufd, self->s.devid, self->s.ioas, &hwpt));
	pt = hwpt;
	EXPECT_EQ(0, vfio_attach(self->s.fd, &pt));
	EXPECT_EQ(hwpt, pt);

	/* No such object, and an object that is not a page table: the previous one stays. */
	pt = 0x7fffffff;
	EXPECT_EQ(-ENOENT, vfio_attach(self->s.fd, &pt));
	pt = 0;
	EXPECT_EQ(-ENOENT, vfio_attach(self->s.fd, &pt));
	pt = self->s.devid;
	EXPECT_EQ(-EINVAL, vfio_attach(self->s.fd, &pt));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->s.iommufd, hwpt));

	EXPECT_EQ(0, vfio_detach(self->s.fd));
	EXPECT_EQ(0, iommufd_destroy(self->s.iommufd, hwpt));
	EXPECT_EQ(0, iommufd_destroy(self->s.iommufd, self->s.ioas));
	/* Detaching twice is not an error. */
	EXPECT_EQ(0, vfio_detach(self->s.fd));
	pt = self->s.ioas;
	EXPECT_EQ(-ENOENT, vfio_attach(self->s.fd, &pt));
	ASSERT_EQ(0, ioas_alloc(self->s.iommufd, &pt));
	EXPECT_EQ(0, vfio_attach(self->s.fd, &pt));
}

TEST_F(attach, arguments)
{
	struct vfio_device_attach_iommufd_pt at = { .pt_id = self->s.ioas };
	struct vfio_device_detach_iommufd_pt de = { .argsz = sizeof(de), .flags = 2 };
	void *ro;

	at.argsz = offsetof(struct vfio_device_attach_iommufd_pt, pasid) - 1;
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->s.fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &at));
	at.argsz++;
	EXPECT_EQ(0, vfio_ioctl(self->s.fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &at));
	at.pt_id = self->s.ioas;
	at.argsz = 4096;
	EXPECT_EQ(0, vfio_ioctl(self->s.fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &at));
	at.pt_id = self->s.ioas;
	at.argsz = sizeof(at);
	at.flags = 2;
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->s.fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &at));
	at.flags = 0;
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->s.fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, NULL));
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->s.fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &de));

	/* If the page table's ID cannot be written, it is not attached. */
	ASSERT_EQ(0, vfio_detach(self->s.fd));
	ro = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, ro);
	memcpy(ro, &at, sizeof(at));
	ASSERT_EQ(0, mprotect(ro, PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->s.fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, ro));
	EXPECT_EQ(0, iommufd_destroy(self->s.iommufd, self->s.ioas));
}

#define HUGE_PAGES	16
#define HUGE_SIZE	(HUGE_PAGES * 0x200000ul)
#define NR_HUGE_PAGES	"/proc/sys/vm/nr_hugepages"

static long huge_pages_free(void)
{
	char text[4096], *p;

	if (sysfs_read(text, sizeof(text), "/proc/meminfo") < 0)
		return -1;
	p = strstr(text, "HugePages_Free:");
	return p ? atol(p + strlen("HugePages_Free:")) : -1;
}

/* Like a VMM: map all memory for the device, through a page table of its own. */
static int give_huge_pages(struct session *s, const char *bdf, void **mem)
{
	u32 pt;
	int err;

	err = session_open(s, bdf);
	if (err)
		return err;
	*mem = mmap(NULL, HUGE_SIZE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE, -1, 0);
	if (*mem == MAP_FAILED)
		return -errno;
	err = hwpt_alloc(s->iommufd, s->devid, s->ioas, &pt);
	if (!err)
		err = ioas_map(s->iommufd, s->ioas, *mem, HUGE_SIZE, IOVA);
	if (!err)
		err = vfio_attach(s->fd, &pt);
	if (!err && huge_pages_free())
		err = -EINVAL;
	return err;
}

/* A process's huge pages are free as soon as its parent is notified of its end. */
TEST_F(attach, memory_of_the_dead)
{
	const char *bdf = device_bdf(variant->dev);
	struct session s;
	int i, status;
	pid_t child;
	void *mem;

	session_close(&self->s);
	ASSERT_EQ(0, sysfs_write("16", NR_HUGE_PAGES));
	ASSERT_EQ(HUGE_PAGES, huge_pages_free());
	for (i = 0; i < 4; i++) {
		child = fork();
		ASSERT_LE(0, child);
		if (!child) {
			status = give_huge_pages(&s, bdf, &mem);
			if (status || i % 2 == 0)
				_exit(!!status);
			raise(SIGKILL);
		}
		ASSERT_EQ(child, waitpid(child, &status, 0));
		EXPECT_EQ(HUGE_PAGES, huge_pages_free());
		EXPECT_EQ(i % 2 ? SIGKILL : 0, status);
	}
	EXPECT_EQ(0, sysfs_write("0", NR_HUGE_PAGES));
}

/* Or as soon as its files are closed, in either order. */
TEST_F(attach, memory_after_close)
{
	struct session s;
	void *mem;
	int i;

	session_close(&self->s);
	ASSERT_EQ(0, sysfs_write("16", NR_HUGE_PAGES));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, give_huge_pages(&s, device_bdf(variant->dev), &mem));
		ASSERT_EQ(0, munmap(mem, HUGE_SIZE));
		EXPECT_EQ(0, huge_pages_free());
		close(i ? s.iommufd : s.fd);
		close(i ? s.fd : s.iommufd);
		EXPECT_EQ(HUGE_PAGES, huge_pages_free());
	}
	EXPECT_EQ(0, sysfs_write("0", NR_HUGE_PAGES));
}

/* None of the devices has PASIDs, so attaching one fails, but in the right way. */
TEST_F(attach, pasid)
{
	struct vfio_device_attach_iommufd_pt at = {
		.argsz = offsetof(struct vfio_device_attach_iommufd_pt, pasid),
		.flags = VFIO_DEVICE_ATTACH_PASID,
		.pt_id = self->s.ioas,
		.pasid = 1,
	};
	struct vfio_device_detach_iommufd_pt de = {
		.argsz = offsetof(struct vfio_device_detach_iommufd_pt, pasid),
		.flags = VFIO_DEVICE_DETACH_PASID,
		.pasid = 1,
	};

	EXPECT_EQ(-EINVAL, vfio_ioctl(self->s.fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &at));
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->s.fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &de));
	at.argsz = sizeof(at);
	de.argsz = sizeof(de);
	EXPECT_GT(0, vfio_ioctl(self->s.fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &at));
	EXPECT_EQ(0, vfio_ioctl(self->s.fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &de));
}

/* DMA of edu: to and from any address below 256 MiB. */
FIXTURE(edu)
{
	struct session s;
	void *bar;
	u32 ioas[2];
	u8 *mem[2];
	bool stop;
	int replaced;
	int err;
};

FIXTURE_SETUP(edu)
{
	int i;

	SETUP_SESSION(&self->s, DEV_EDU);
	self->bar = bar_map(self->s.fd, 0, 0, 0);
	ASSERT_NE(NULL, self->bar);
	ASSERT_EQ(0, config_master(self->s.fd, true));
	self->ioas[0] = self->s.ioas;
	ASSERT_EQ(0, ioas_alloc(self->s.iommufd, &self->ioas[1]));
	for (i = 0; i < 2; i++) {
		self->mem[i] = dma_alloc(PAGE);
		ASSERT_EQ(0, ioas_map(self->s.iommufd, self->ioas[i], self->mem[i], PAGE, IOVA));
	}
	/* A pattern in the device. */
	memset(self->mem[0], 0xa5, 64);
	ASSERT_EQ(0, edu_read_memory(self->bar, IOVA, 0, 64));
	memset(self->mem[0], 0, 64);
}

FIXTURE_TEARDOWN(edu)
{
	session_close(&self->s);
}

TEST_F(edu, attached)
{
	ASSERT_EQ(0, edu_write_memory(self->bar, IOVA, 0, 64));
	EXPECT_EQ(0xa5, self->mem[0][0]);
	EXPECT_EQ(0xa5, self->mem[0][63]);
	EXPECT_EQ(0, self->mem[0][64]);
	EXPECT_EQ(0, self->mem[1][0]);
}

TEST_F(edu, detached)
{
	u32 pt = self->ioas[0];

	ASSERT_EQ(0, vfio_detach(self->s.fd));
	ASSERT_EQ(0, edu_write_memory(self->bar, IOVA, 0, 64));
	EXPECT_EQ(0, self->mem[0][0]);
	/* And back. */
	ASSERT_EQ(0, vfio_attach(self->s.fd, &pt));
	ASSERT_EQ(0, edu_write_memory(self->bar, IOVA, 0, 64));
	EXPECT_EQ(0xa5, self->mem[0][0]);
}

TEST_F(edu, replaced)
{
	u32 pt = self->ioas[1];

	ASSERT_EQ(0, vfio_attach(self->s.fd, &pt));
	ASSERT_EQ(0, edu_write_memory(self->bar, IOVA, 0, 64));
	EXPECT_EQ(0, self->mem[0][0]);
	EXPECT_EQ(0xa5, self->mem[1][0]);
}

/* If a replacement fails, the previous page table stays. */
TEST_F(edu, not_replaced)
{
	u32 pt = self->s.devid;

	EXPECT_EQ(-EINVAL, vfio_attach(self->s.fd, &pt));
	ASSERT_EQ(0, edu_write_memory(self->bar, IOVA, 0, 64));
	EXPECT_EQ(0xa5, self->mem[0][0]);
}

static void *replace_thread(void *arg)
{
	FIXTURE_DATA(edu) *self = arg;

	while (!__atomic_load_n(&self->stop, __ATOMIC_ACQUIRE) && !self->err) {
		u32 pt = self->ioas[++self->replaced & 1];

		self->err = vfio_attach(self->s.fd, &pt);
	}
	return NULL;
}

/*
 * Not every IOMMU replaces page tables atomically, so a transfer may get lost. But it arrives in
 * one of the two or nowhere, and in the right one after the replacements have ended.
 */
TEST_F(edu, replaced_under_dma)
{
	u32 pt = self->ioas[1];
	pthread_t thread;
	int i;

	ASSERT_EQ(0, pthread_create(&thread, NULL, replace_thread, self));
	for (i = 0; i < 5; i++)
		EXPECT_EQ(0, edu_write_memory(self->bar, IOVA, 0, 64));
	__atomic_store_n(&self->stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, self->err);
	EXPECT_LT(1, self->replaced);

	ASSERT_EQ(0, vfio_attach(self->s.fd, &pt));
	memset(self->mem[0], 0, 64);
	memset(self->mem[1], 0, 64);
	ASSERT_EQ(0, edu_write_memory(self->bar, IOVA, 0, 64));
	EXPECT_EQ(0, self->mem[0][0]);
	EXPECT_EQ(0xa5, self->mem[1][0]);
}

TEST_F(edu, unmapped)
{
	ASSERT_EQ(0, ioas_unmap(self->s.iommufd, self->ioas[0], IOVA, PAGE));
	ASSERT_EQ(0, edu_write_memory(self->bar, IOVA, 0, 64));
	EXPECT_EQ(0, self->mem[0][0]);
}

TEST_F(edu, no_bus_master)
{
	ASSERT_EQ(0, config_master(self->s.fd, false));
	ASSERT_EQ(0, edu_write_memory(self->bar, IOVA, 0, 64));
	EXPECT_EQ(0, self->mem[0][0]);
	ASSERT_EQ(0, config_master(self->s.fd, true));
	ASSERT_EQ(0, edu_write_memory(self->bar, IOVA, 0, 64));
	EXPECT_EQ(0xa5, self->mem[0][0]);
}

FIXTURE(nvme)
{
	struct session s;
	struct nvme n;
};

FIXTURE_SETUP(nvme)
{
	SETUP_SESSION(&self->s, DEV_NVME);
	self->n.bar = bar_map(self->s.fd, 0, 0, 0);
	ASSERT_NE(NULL, self->n.bar);
	self->n.mem = dma_alloc(NVME_MEM_SIZE);
	self->n.iova = IOVA;
	ASSERT_EQ(0, ioas_map(self->s.iommufd, self->s.ioas, self->n.mem, NVME_MEM_SIZE, IOVA));
	ASSERT_EQ(0, config_master(self->s.fd, true));
	ASSERT_EQ(0, nvme_enable(&self->n));
}

FIXTURE_TEARDOWN(nvme)
{
	session_close(&self->s);
}

TEST_F(nvme, identify)
{
	nvme_submit_identify(&self->n);
	ASSERT_EQ(0, nvme_complete(&self->n));
	/* The first two bytes are the PCI vendor id. */
	EXPECT_EQ(config_read(self->s.fd, PCI_VENDOR_ID, 2),
		  nvme_data(&self->n)[0] | nvme_data(&self->n)[1] << 8);
}

FIXTURE(virtio)
{
	struct session s;
	struct virtio_blk v;
};

FIXTURE_SETUP(virtio)
{
	SETUP_SESSION(&self->s, DEV_VIRTIO);
	self->v.fd = self->s.fd;
	self->v.mem = dma_alloc(VIRTIO_MEM_SIZE);
	self->v.iova = IOVA;
	ASSERT_EQ(0, ioas_map(self->s.iommufd, self->s.ioas, self->v.mem, VIRTIO_MEM_SIZE, IOVA));
	ASSERT_EQ(0, config_master(self->s.fd, true));
	ASSERT_EQ(0, virtio_blk_start(&self->v, 0xffff));
}

FIXTURE_TEARDOWN(virtio)
{
	session_close(&self->s);
}

TEST_F(virtio, request)
{
	int i;

	for (i = 0; i < 20; i++) {
		virtio_blk_submit_id(&self->v);
		ASSERT_EQ(0, virtio_blk_complete(&self->v));
	}
}

TEST_HARNESS_MAIN
