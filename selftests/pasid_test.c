// SPDX-License-Identifier: GPL-2.0-only
/*
 * PASIDs: one device, many address spaces, each transfer saying whose it is. Done by edu-pasid,
 * which only the QEMU of qemu-tests/qemu has, behind an IOMMU that knows PASIDs: VT-d in scalable
 * mode (vm --iommu intel-scalable --device edu-pasid).
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/config.h"
#include "lib/edu.h"
#include "lib/harness.h"
#include "lib/iommufd.h"

#define GRACE "/sys/module/vfio_iommufd/parameters/release_grace_ms"
#define IOVA 0x1000000ull
#define PAGE 0x1000
#define NO_PASID 0

static int attach_device(int fd, u32 pt)
{
	return vfio_attach(fd, &pt);
}

/* A page table for PASIDs. All of a device's tables must be made like this, even its own. */
static int hwpt_alloc_pasid(int iommufd, u32 devid, u32 ioas, u32 *hwpt)
{
	struct iommu_hwpt_alloc cmd = {
		.flags = IOMMU_HWPT_ALLOC_PASID,
		.dev_id = devid,
		.pt_id = ioas,
	};
	int err = hwpt_alloc_raw(iommufd, &cmd);

	*hwpt = cmd.out_hwpt_id;
	return err;
}

FIXTURE(pasid)
{
	char bdf[BDF_LEN];
	struct session s;
	unsigned int cap;
	/* Number of PASIDs of the device, not counting 0 */
	u32 count;
	void *bar;
	u32 ioas[2];
	u32 hwpt[2];
	u8 *mem[2];
};

FIXTURE_SETUP(pasid)
{
	struct iommu_hw_info info = { .size = sizeof(info) };
	int i;

	self->s = (struct session){ .fd = -1, .iommufd = -1 };
	for (i = 0; !self->cap && !sysfs_find(0x1234, 0x11e8, i, self->bdf); i++)
		self->cap = sysfs_ext_cap(self->bdf, PCI_EXT_CAP_ID_PASID);
	if (!self->cap)
		SKIP(return, "no edu-pasid in this machine");
	ASSERT_EQ(0, session_open(&self->s, self->bdf));
	info.dev_id = self->s.devid;
	ASSERT_EQ(0, ioctl(self->s.iommufd, IOMMU_GET_HW_INFO, &info));
	if (!info.out_max_pasid_log2)
		SKIP(return, "this machine's IOMMU has no PASIDs");
	self->count = 1 << info.out_max_pasid_log2;

	self->bar = bar_map(self->s.fd, 0, 0, 0);
	ASSERT_NE(NULL, self->bar);
	ASSERT_EQ(0, config_master(self->s.fd, true));
	self->ioas[0] = self->s.ioas;
	ASSERT_EQ(0, ioas_alloc(self->s.iommufd, &self->ioas[1]));
	for (i = 0; i < 2; i++) {
		self->mem[i] = dma_alloc(PAGE);
		ASSERT_EQ(0, ioas_map(self->s.iommufd, self->ioas[i], self->mem[i], PAGE, IOVA));
		ASSERT_EQ(0, hwpt_alloc_pasid(self->s.iommufd, self->s.devid, self->ioas[i],
					      &self->hwpt[i]));
	}
	/* A pattern in the device. */
	memset(self->mem[0], 0xa5, 64);
	ASSERT_EQ(0, edu_read_memory(self->bar, IOVA, 0, 64));
	memset(self->mem[0], 0, 64);
	/* The device itself is detached. */
	ASSERT_EQ(0, vfio_detach(self->s.fd));
}

FIXTURE_TEARDOWN(pasid)
{
	session_close(&self->s);
}

/* Unmap and close the device's file, but keep iommufd's. */
static void close_device(FIXTURE_DATA(pasid) *self)
{
	bar_unmap(self->s.fd, 0, self->bar);
	close(self->s.fd);
	self->s.fd = -1;
}

/* Write 64 bytes with the PASID. Bit n of the result: they have arrived in mem[n]. */
static int lands(FIXTURE_DATA(pasid) *self, void *bar, u32 pasid)
{
	int i, ret, where = 0;

	if (pasid == NO_PASID)
		ret = edu_write_memory(bar, IOVA, 0, 64);
	else
		ret = edu_write_memory_pasid(bar, pasid, IOVA, 0, 64);
	for (i = 0; i < 2; i++) {
		if (self->mem[i][0] == 0xa5 && self->mem[i][63] == 0xa5)
			where |= 1 << i;
		memset(self->mem[i], 0, 64);
	}
	return ret ?: where;
}

/* The host owns the capability: it is on, and hidden. iommufd reports the number of PASIDs. */
TEST_F(pasid, capability)
{
	u16 word;

	ASSERT_EQ(2, sysfs_config(self->bdf, self->cap + PCI_PASID_CAP, &word, 2));
	EXPECT_EQ(1u << (word >> 8 & 0x1f), self->count);
	ASSERT_EQ(2, sysfs_config(self->bdf, self->cap + PCI_PASID_CTRL, &word, 2));
	EXPECT_TRUE(word & PCI_PASID_CTRL_ENABLE);
	EXPECT_EQ(0, config_ecap(self->s.fd, PCI_EXT_CAP_ID_PASID));
}

/* Nor can it be written without being visible, as with the in-tree driver. */
TEST_F(pasid, capability_written)
{
	u16 word;

	OURS_ONLY();
	EXPECT_EQ(0, config_write(self->s.fd, self->cap + PCI_PASID_CTRL, 2, 0));
	ASSERT_EQ(2, sysfs_config(self->bdf, self->cap + PCI_PASID_CTRL, &word, 2));
	EXPECT_TRUE(word & PCI_PASID_CTRL_ENABLE);
}

TEST_F(pasid, each_its_own)
{
	ASSERT_EQ(0, attach_device(self->s.fd, self->hwpt[0]));
	ASSERT_EQ(0, vfio_attach_pasid(self->s.fd, 1, self->hwpt[0]));
	ASSERT_EQ(0, vfio_attach_pasid(self->s.fd, 2, self->hwpt[1]));
	EXPECT_EQ(1, lands(self, self->bar, NO_PASID));
	EXPECT_EQ(1, lands(self, self->bar, 1));
	EXPECT_EQ(2, lands(self, self->bar, 2));
	EXPECT_EQ(0, lands(self, self->bar, 3));

	/* Each is detached separately. */
	ASSERT_EQ(0, vfio_detach_pasid(self->s.fd, 1));
	EXPECT_EQ(0, lands(self, self->bar, 1));
	EXPECT_EQ(2, lands(self, self->bar, 2));
	ASSERT_EQ(0, vfio_detach(self->s.fd));
	EXPECT_EQ(0, lands(self, self->bar, NO_PASID));
	EXPECT_EQ(2, lands(self, self->bar, 2));
}

TEST_F(pasid, replaced)
{
	ASSERT_EQ(0, vfio_attach_pasid(self->s.fd, 5, self->hwpt[0]));
	EXPECT_EQ(1, lands(self, self->bar, 5));
	ASSERT_EQ(0, vfio_attach_pasid(self->s.fd, 5, self->hwpt[1]));
	EXPECT_EQ(2, lands(self, self->bar, 5));
	EXPECT_EQ(0, iommufd_destroy(self->s.iommufd, self->hwpt[0]));

	/* Replacing with the same one, or with something invalid, changes nothing. */
	ASSERT_EQ(0, vfio_attach_pasid(self->s.fd, 5, self->hwpt[1]));
	EXPECT_EQ(-ENOENT, vfio_attach_pasid(self->s.fd, 5, self->hwpt[0]));
	EXPECT_EQ(-EINVAL, vfio_attach_pasid(self->s.fd, 5, self->s.devid));
	EXPECT_EQ(2, lands(self, self->bar, 5));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->s.iommufd, self->hwpt[1]));
	EXPECT_EQ(0, vfio_detach_pasid(self->s.fd, 5));
	EXPECT_EQ(0, iommufd_destroy(self->s.iommufd, self->hwpt[1]));
}

/* An unmapped page is gone for the PASID. */
TEST_F(pasid, unmapped)
{
	ASSERT_EQ(0, vfio_attach_pasid(self->s.fd, 1, self->hwpt[0]));
	EXPECT_EQ(1, lands(self, self->bar, 1));
	ASSERT_EQ(0, ioas_unmap(self->s.iommufd, self->ioas[0], IOVA, PAGE));
	EXPECT_EQ(0, lands(self, self->bar, 1));
}

/* Page tables that are not for PASIDs, along with those that are. */
TEST_F(pasid, page_tables)
{
	u32 plain;

	ASSERT_EQ(0, hwpt_alloc(self->s.iommufd, self->s.devid, self->ioas[0], &plain));
	EXPECT_EQ(-EINVAL, vfio_attach_pasid(self->s.fd, 1, plain));
	EXPECT_EQ(-EINVAL, vfio_attach_pasid(self->s.fd, 1, self->ioas[0]));

	ASSERT_EQ(0, attach_device(self->s.fd, plain));
	EXPECT_EQ(-EINVAL, vfio_attach_pasid(self->s.fd, 1, self->hwpt[0]));
	EXPECT_EQ(0, lands(self, self->bar, 1));
	ASSERT_EQ(0, attach_device(self->s.fd, self->hwpt[0]));
	ASSERT_EQ(0, vfio_attach_pasid(self->s.fd, 1, self->hwpt[1]));
	EXPECT_EQ(-EINVAL, attach_device(self->s.fd, plain));
	EXPECT_EQ(1, lands(self, self->bar, NO_PASID));
	EXPECT_EQ(2, lands(self, self->bar, 1));
	EXPECT_EQ(0, iommufd_destroy(self->s.iommufd, plain));
}

TEST_F(pasid, limits)
{
	u32 last = self->count - 1;

	ASSERT_EQ(0, vfio_attach_pasid(self->s.fd, last, self->hwpt[0]));
	EXPECT_EQ(1, lands(self, self->bar, last));
	EXPECT_EQ(-EINVAL, vfio_attach_pasid(self->s.fd, self->count, self->hwpt[0]));
	EXPECT_EQ(-EINVAL, vfio_attach_pasid(self->s.fd, 1 << 20, self->hwpt[0]));
	EXPECT_GT(0, vfio_attach_pasid(self->s.fd, 0x7fffffff, self->hwpt[0]));
	EXPECT_GT(0, vfio_attach_pasid(self->s.fd, 0x80000000, self->hwpt[0]));
	EXPECT_GT(0, vfio_attach_pasid(self->s.fd, 0xffffffff, self->hwpt[0]));

	EXPECT_EQ(0, vfio_detach_pasid(self->s.fd, self->count));
	EXPECT_EQ(0, vfio_detach_pasid(self->s.fd, 0x7fffffff));
	EXPECT_EQ(0, vfio_detach_pasid(self->s.fd, 0xffffffff));
	EXPECT_EQ(0, vfio_detach_pasid(self->s.fd, 0));
	EXPECT_EQ(1, lands(self, self->bar, last));
}

/* 0 is the device without a PASID. In-tree can attach it, but then does not know about it. */
TEST_F(pasid, zero)
{
	OURS_ONLY();
	EXPECT_EQ(-EINVAL, vfio_attach_pasid(self->s.fd, 0, self->hwpt[0]));
	EXPECT_EQ(0, lands(self, self->bar, NO_PASID));
	ASSERT_EQ(0, attach_device(self->s.fd, self->hwpt[0]));
	EXPECT_EQ(-EINVAL, vfio_attach_pasid(self->s.fd, 0, self->hwpt[1]));
	EXPECT_EQ(1, lands(self, self->bar, NO_PASID));
}

TEST_F(pasid, detached_twice)
{
	EXPECT_EQ(0, vfio_detach_pasid(self->s.fd, 1));
	ASSERT_EQ(0, vfio_attach_pasid(self->s.fd, 1, self->hwpt[0]));
	EXPECT_EQ(0, vfio_detach_pasid(self->s.fd, 1));
	EXPECT_EQ(0, vfio_detach_pasid(self->s.fd, 1));
	EXPECT_EQ(0, iommufd_destroy(self->s.iommufd, self->hwpt[0]));
	/* PASID 0 of DETACH is not the device itself. */
	ASSERT_EQ(0, attach_device(self->s.fd, self->hwpt[1]));
	EXPECT_EQ(0, vfio_detach_pasid(self->s.fd, 0));
	EXPECT_EQ(2, lands(self, self->bar, NO_PASID));
}

TEST_F(pasid, all_of_them)
{
	u32 i;

	for (i = 1; i < self->count; i++)
		ASSERT_EQ(0, vfio_attach_pasid(self->s.fd, i, self->hwpt[i & 1]));
	EXPECT_EQ(2, lands(self, self->bar, 1));
	EXPECT_EQ(1, lands(self, self->bar, self->count / 2));
	EXPECT_EQ(2, lands(self, self->bar, self->count - 1));
	for (i = 1; i < self->count; i += 2)
		ASSERT_EQ(0, vfio_detach_pasid(self->s.fd, i));
	EXPECT_EQ(0, lands(self, self->bar, 1));
	EXPECT_EQ(1, lands(self, self->bar, self->count / 2));
	EXPECT_EQ(0, iommufd_destroy(self->s.iommufd, self->hwpt[1]));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->s.iommufd, self->hwpt[0]));
	/* close() cleans up the rest. */
	close_device(self);
	EXPECT_EQ(0, iommufd_destroy(self->s.iommufd, self->hwpt[0]));
	EXPECT_EQ(0, iommufd_destroy(self->s.iommufd, self->ioas[0]));
}

/* The PASIDs of a session do not exist in the next one. */
TEST_F(pasid, closed)
{
	struct session next;
	void *bar;

	ASSERT_EQ(0, vfio_attach_pasid(self->s.fd, 1, self->hwpt[0]));
	ASSERT_EQ(0, vfio_attach_pasid(self->s.fd, 2, self->hwpt[1]));
	close_device(self);
	EXPECT_EQ(0, iommufd_destroy(self->s.iommufd, self->hwpt[0]));
	EXPECT_EQ(0, iommufd_destroy(self->s.iommufd, self->ioas[0]));

	ASSERT_EQ(0, session_open(&next, self->bdf));
	bar = bar_map(next.fd, 0, 0, 0);
	ASSERT_NE(NULL, bar);
	ASSERT_EQ(0, config_master(next.fd, true));
	EXPECT_EQ(0, lands(self, bar, 1));
	EXPECT_EQ(0, lands(self, bar, 2));
	session_close(&next);
}

TEST_F(pasid, killed)
{
	struct session next;
	int fds[2], status;
	void *bar;
	pid_t pid;
	char c;

	close_device(self);
	session_close(&self->s);
	ASSERT_EQ(0, pipe(fds));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct session s;
		u32 hwpt = 0;
		bool ok;

		ok = !session_open(&s, self->bdf) &&
		     !ioas_map(s.iommufd, s.ioas, self->mem[0], PAGE, IOVA) &&
		     !hwpt_alloc_pasid(s.iommufd, s.devid, s.ioas, &hwpt) &&
		     !attach_device(s.fd, hwpt) &&
		     !vfio_attach_pasid(s.fd, 1, hwpt) && !vfio_attach_pasid(s.fd, 2, hwpt);
		if (write(fds[1], ok ? "y" : "n", 1) == 1)
			pause();
		_exit(1);
	}
	EXPECT_EQ(1, read(fds[0], &c, 1));
	EXPECT_EQ('y', c);
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	close(fds[0]);
	close(fds[1]);

	ASSERT_EQ(0, session_open(&next, self->bdf));
	bar = bar_map(next.fd, 0, 0, 0);
	ASSERT_NE(NULL, bar);
	ASSERT_EQ(0, config_master(next.fd, true));
	EXPECT_EQ(0, lands(self, bar, 1));
	session_close(&next);
}

/* The file stays open, but keeps no PASIDs. */
TEST_F(pasid, revoked)
{
	char grace[32];

	OURS_ONLY();
	ASSERT_EQ(0, attach_device(self->s.fd, self->hwpt[0]));
	ASSERT_EQ(0, vfio_attach_pasid(self->s.fd, 1, self->hwpt[0]));
	ASSERT_EQ(0, vfio_attach_pasid(self->s.fd, self->count - 1, self->hwpt[1]));
	ASSERT_LT(0, sysfs_read(grace, sizeof(grace), GRACE));
	ASSERT_EQ(0, sysfs_write("0", GRACE));
	EXPECT_EQ(0, sysfs_unbind(self->bdf));
	EXPECT_EQ(0, sysfs_write(grace, GRACE));
	EXPECT_EQ(-ENODEV, vfio_attach_pasid(self->s.fd, 2, self->hwpt[0]));
	EXPECT_EQ(-ENODEV, vfio_detach_pasid(self->s.fd, 1));
	EXPECT_EQ(0, iommufd_destroy(self->s.iommufd, self->hwpt[0]));
	EXPECT_EQ(0, iommufd_destroy(self->s.iommufd, self->hwpt[1]));
	EXPECT_EQ(0, sysfs_rebind(self->bdf));
}

/* A reset disables PASIDs in the function, and the host enables them again. */
TEST_F(pasid, reset)
{
	ASSERT_EQ(0, vfio_attach_pasid(self->s.fd, 1, self->hwpt[0]));
	ASSERT_EQ(0, vfio_attach_pasid(self->s.fd, 2, self->hwpt[1]));
	ASSERT_EQ(0, vfio_ioctl(self->s.fd, VFIO_DEVICE_RESET, NULL));
	ASSERT_EQ(0, config_master(self->s.fd, true));
	EXPECT_EQ(1, lands(self, self->bar, 1));
	EXPECT_EQ(2, lands(self, self->bar, 2));
	/* As before, other PASIDs lead nowhere. */
	EXPECT_EQ(0, lands(self, self->bar, 3));
}

static void *attach_thread(void *arg)
{
	FIXTURE_DATA(pasid) *self = arg;
	int i, err = 0;

	for (i = 0; i < 200 && !err; i++) {
		err = vfio_attach_pasid(self->s.fd, 1 + i % 3, self->hwpt[i & 1]);
		if (!err && i % 5 == 0)
			err = vfio_detach_pasid(self->s.fd, 1 + i % 3);
	}
	return (void *)(intptr_t)err;
}

TEST_F(pasid, by_two_threads)
{
	pthread_t threads[2];
	void *err;
	int i;

	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, attach_thread, self));
	for (i = 0; i < 2; i++) {
		pthread_join(threads[i], &err);
		EXPECT_EQ(NULL, err);
	}
	ASSERT_EQ(0, vfio_attach_pasid(self->s.fd, 1, self->hwpt[1]));
	EXPECT_EQ(2, lands(self, self->bar, 1));
	for (i = 1; i <= 3; i++)
		EXPECT_EQ(0, vfio_detach_pasid(self->s.fd, i));
	EXPECT_EQ(0, iommufd_destroy(self->s.iommufd, self->hwpt[0]));
	EXPECT_EQ(0, iommufd_destroy(self->s.iommufd, self->hwpt[1]));
}

TEST_HARNESS_MAIN
