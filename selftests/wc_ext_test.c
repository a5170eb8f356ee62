// SPDX-License-Identifier: GPL-2.0-only
/*
 * Write-combined parts of BARs. The effect of a memory type is not visible in a virtual machine,
 * but the x86 kernel has a list of all mappings that are not uncached.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/config.h"
#include "lib/harness.h"
#include "lib/irq.h"
#include "lib/region.h"
#include "../uapi/vfio_ext.h"

#define DEBUGFS "/sys/kernel/debug"
#define LIST DEBUGFS "/x86/pat_memtype_list"
#define PAGE 0x1000ull
#define HUGE (2ull << 20)
#define MAX_PARTS 16

/* ivshmem's BAR 2 is memory, and prefetchable; BAR 0 is not. */
#define BAR 2
#define OTHER 0

FIXTURE(wc)
{
	struct session s;
	u64 start;
	u64 size;
};

FIXTURE_SETUP(wc)
{
	const char *bdf;
	u64 flags;

	OURS_ONLY();
	SETUP_DEVICE(&bdf, DEV_IVSHMEM);
	ASSERT_EQ(0, session_open(&self->s, bdf));
	ASSERT_EQ(0, sysfs_resource(bdf, BAR, &self->start, &self->size, &flags));
	ASSERT_LE(16 * HUGE, self->size);
	if (access(LIST, F_OK))
		mount("none", DEBUGFS, "debugfs", 0, NULL);
}

FIXTURE_TEARDOWN(wc)
{
	session_close(&self->s);
}

static int combine(int fd, u32 index, u64 off, u64 len)
{
	struct vfio_device_feature_write_combine wc = {
		.index = index, .offset = off, .length = len,
	};

	return vfio_feature_set(fd, VFIO_DEVICE_FEATURE_WRITE_COMBINE, &wc, sizeof(wc));
}

/* Number of lines in the kernel's list for this part of the BAR and this type */
static int listed(FIXTURE_DATA(wc) *self, u64 off, u64 len, const char *type)
{
	char line[128], want[128];
	FILE *list = fopen(LIST, "r");
	int n = 0;

	if (!list)
		return -ENOENT;
	snprintf(want, sizeof(want), "PAT: [mem 0x%016llx-0x%016llx] %s\n",
		 (unsigned long long)(self->start + off),
		 (unsigned long long)(self->start + off + len), type);
	while (fgets(line, sizeof(line), list))
		n += !strcmp(line, want);
	fclose(list);
	return n;
}

/* On other architectures, this cannot be checked. */
static bool is_combined(FIXTURE_DATA(wc) *self, u64 off, u64 len)
{
	int n = listed(self, off, len, "write-combining");

	return n == 1 || n == -ENOENT;
}

static int ioeventfd(int fd, u64 pos, int efd)
{
	struct vfio_device_ioeventfd io = {
		.argsz = sizeof(io), .flags = VFIO_DEVICE_IOEVENTFD_32, .offset = pos,
		.data = 1, .fd = efd,
	};

	return vfio_ioctl(fd, VFIO_DEVICE_IOEVENTFD, &io);
}

TEST_F(wc, part_of_a_bar)
{
	char *before, *after, *all;
	u32 val;

	before = bar_map(self->s.fd, BAR, 0, 0);
	ASSERT_NE(NULL, before);
	mmio_write32(before, HUGE - 4, 1);
	mmio_write32(before, HUGE, 2);
	/* The kernel's own mapping does not prevent it. */
	ASSERT_EQ(4, region_pread(self->s.fd, BAR, HUGE, &val, 4));
	EXPECT_EQ(2, val);

	ASSERT_EQ(0, combine(self->s.fd, BAR, HUGE, 2 * HUGE));
	EXPECT_TRUE(is_combined(self, HUGE, 2 * HUGE));
	after = bar_map(self->s.fd, BAR, HUGE, 2 * HUGE);
	all = bar_map(self->s.fd, BAR, 0, 0);
	ASSERT_NE(NULL, after);
	ASSERT_NE(NULL, all);
	EXPECT_EQ(1, mmio_read32(before, HUGE - 4));
	EXPECT_EQ(2, mmio_read32(before, HUGE));
	EXPECT_EQ(2, mmio_read32(after, 0));
	mmio_write32(after, 0, 3);
	__sync_synchronize();
	EXPECT_EQ(3, mmio_read32(all, HUGE));
	EXPECT_EQ(1, mmio_read32(all, HUGE - 4));
	EXPECT_EQ(0, mmio_peek32(all + 3 * HUGE, &val));

	munmap(before, self->size);
	munmap(after, 2 * HUGE);
	munmap(all, self->size);
	EXPECT_TRUE(is_combined(self, HUGE, 2 * HUGE));
	session_close(&self->s);
	EXPECT_GE(0, listed(self, HUGE, 2 * HUGE, "write-combining"));
}

/* It ends with the session. */
TEST_F(wc, for_a_session)
{
	const char *bdf = device_bdf(DEV_IVSHMEM);
	int i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, combine(self->s.fd, BAR, 0, self->size));
		EXPECT_TRUE(is_combined(self, 0, self->size));
		if (i) {
			/* End the session by revocation. */
			ASSERT_EQ(0, sysfs_unbind(bdf));
			ASSERT_EQ(0, sysfs_rebind(bdf));
		}
		session_close(&self->s);
		EXPECT_GE(0, listed(self, 0, self->size, "write-combining"));
		ASSERT_EQ(0, session_open(&self->s, bdf));
	}
}

TEST_F(wc, refused)
{
	struct vfio_device_feature probe = {
		.argsz = sizeof(probe),
		.flags = VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET |
			 VFIO_DEVICE_FEATURE_WRITE_COMBINE,
	};
	struct vfio_device_feature_write_combine wc = {
		.index = BAR, .flags = 1, .length = PAGE,
	};
	int fd = self->s.fd, i;
	u32 page_less = 1;

	EXPECT_EQ(0, vfio_ioctl(fd, VFIO_DEVICE_FEATURE, &probe));
	EXPECT_EQ(-EINVAL, vfio_feature_set(fd, VFIO_DEVICE_FEATURE_WRITE_COMBINE, &wc, 8));
	EXPECT_EQ(-EINVAL, vfio_feature_set(fd, VFIO_DEVICE_FEATURE_WRITE_COMBINE, &wc,
					    sizeof(wc)));
	EXPECT_EQ(-EINVAL, combine(fd, BAR, 0, 0));
	EXPECT_EQ(-EINVAL, combine(fd, BAR, page_less, PAGE));
	EXPECT_EQ(-EINVAL, combine(fd, BAR, 0, PAGE + page_less));
	EXPECT_EQ(-EINVAL, combine(fd, BAR, self->size, PAGE));
	EXPECT_EQ(-EINVAL, combine(fd, BAR, self->size - PAGE, 2 * PAGE));
	EXPECT_EQ(-EINVAL, combine(fd, BAR, -PAGE, PAGE));
	EXPECT_EQ(-EINVAL, combine(fd, BAR, PAGE, -PAGE));
	EXPECT_EQ(-EINVAL, combine(fd, OTHER, 0, PAGE));
	/* Missing BAR; ROM, config space; no region */
	EXPECT_EQ(-EINVAL, combine(fd, 5, 0, PAGE));
	EXPECT_EQ(-EINVAL, combine(fd, VFIO_PCI_ROM_REGION_INDEX, 0, PAGE));
	EXPECT_EQ(-EINVAL, combine(fd, VFIO_PCI_CONFIG_REGION_INDEX, 0, PAGE));
	EXPECT_EQ(-EINVAL, combine(fd, -1, 0, PAGE));

	for (i = 0; i < MAX_PARTS; i++)
		ASSERT_EQ(0, combine(fd, BAR, 4 * i * PAGE, 2 * PAGE));
	for (i = 0; i < MAX_PARTS; i++) {
		EXPECT_TRUE(is_combined(self, 4 * i * PAGE, 2 * PAGE));
		EXPECT_EQ(-EEXIST, combine(fd, BAR, (4 * i + 1) * PAGE, PAGE));
		EXPECT_EQ(-EEXIST, combine(fd, BAR, (4 * i + 1) * PAGE, 2 * PAGE));
	}
	EXPECT_EQ(-EEXIST, combine(fd, BAR, 0, self->size));
	EXPECT_EQ(-ENOSPC, combine(fd, BAR, 2 * PAGE, PAGE));
}

/* The kernel has no mapping of its own of such a BAR, so it cannot be read or written. */
TEST_F(wc, by_mapping_only)
{
	int efd = event_new(), fd = self->s.fd;
	u32 val = 0;

	ASSERT_EQ(0, ioeventfd(fd, region_offset(BAR), efd));
	EXPECT_EQ(-EBUSY, combine(fd, BAR, HUGE, HUGE));
	EXPECT_EQ(4, region_pread(fd, BAR, 0, &val, 4));
	ASSERT_EQ(0, ioeventfd(fd, region_offset(BAR), -1));

	ASSERT_EQ(0, combine(fd, BAR, HUGE, HUGE));
	EXPECT_EQ(-EBUSY, region_pread(fd, BAR, 0, &val, 4));
	EXPECT_EQ(-EBUSY, region_pwrite(fd, BAR, HUGE, &val, 4));
	EXPECT_EQ(-EBUSY, ioeventfd(fd, region_offset(BAR), efd));
	/* Another BAR can be. */
	EXPECT_EQ(4, region_pread(fd, OTHER, 0, &val, 4));
	EXPECT_TRUE(is_combined(self, HUGE, HUGE));
	close(efd);
}

/* It is unmapped and mapped again like any other mapping. */
TEST_F(wc, decode)
{
	u32 *p, val;

	ASSERT_EQ(0, config_update(self->s.fd, PCI_COMMAND, 2, PCI_COMMAND_MEMORY, 0));
	ASSERT_EQ(0, combine(self->s.fd, BAR, HUGE, HUGE));
	p = bar_map(self->s.fd, BAR, HUGE, HUGE);
	ASSERT_NE(NULL, p);
	EXPECT_EQ(-EFAULT, mmio_peek32(p, &val));
	ASSERT_EQ(0, config_update(self->s.fd, PCI_COMMAND, 2, 0, PCI_COMMAND_MEMORY));
	EXPECT_EQ(0, mmio_poke32(p, 5));
	ASSERT_EQ(0, config_update(self->s.fd, PCI_COMMAND, 2, PCI_COMMAND_MEMORY, 0));
	EXPECT_EQ(-EFAULT, mmio_peek32(p, &val));
	ASSERT_EQ(0, config_update(self->s.fd, PCI_COMMAND, 2, 0, PCI_COMMAND_MEMORY));
	EXPECT_EQ(0, mmio_peek32(p, &val));
	EXPECT_EQ(5, val);
	EXPECT_TRUE(is_combined(self, HUGE, HUGE));
	munmap(p, HUGE);
}

static long faults(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return r.ru_minflt;
}

/* A large page has one type; at the border of a part, small ones are used. */
TEST_F(wc, large_pages)
{
	long before;
	char *p;
	u64 off;

	ASSERT_EQ(0, combine(self->s.fd, BAR, 0, 8 * HUGE + PAGE));
	p = bar_map(self->s.fd, BAR, 0, 8 * HUGE);
	ASSERT_NE(NULL, p);
	before = faults();
	for (off = 0; off < 8 * HUGE; off += 0x10000)
		mmio_read32(p, off);
	EXPECT_GE(8 + 64, faults() - before);
	munmap(p, 8 * HUGE);

	p = bar_map(self->s.fd, BAR, 0, 0);
	ASSERT_NE(NULL, p);
	for (off = 7 * HUGE; off < 10 * HUGE; off += PAGE / 2)
		mmio_write32(p, off, off);
	__sync_synchronize();
	for (off = 7 * HUGE; off < 10 * HUGE; off += PAGE / 2)
		EXPECT_EQ((u32)off, mmio_read32(p, off));
	before = faults();
	for (off = 12 * HUGE; off < 16 * HUGE; off += 0x10000)
		mmio_read32(p, off);
	EXPECT_GE(4 + 16, faults() - before);
	munmap(p, self->size);
}

struct toucher {
	FIXTURE_DATA(wc) *self;
	pthread_t thread;
	char *map;
	int err;
	bool calls;
	bool stop;
};

static void *touch(void *arg)
{
	struct toucher *t = arg;
	u32 val;
	u64 off;

	for (off = 0; !__atomic_load_n(&t->stop, __ATOMIC_ACQUIRE); off = (off + PAGE) % HUGE) {
		if (t->calls) {
			ssize_t n = region_pread(t->self->s.fd, BAR, off, &val, 4);

			if (n != 4 && n != -EBUSY)
				t->err = n;
		} else if (mmio_peek32(t->map + off, &val)) {
			t->err = -EFAULT;
		}
	}
	return NULL;
}

/* While others access it, through earlier mappings and by calls. */
TEST_F(wc, under_use)
{
	struct toucher t[4] = {};
	int round, i;

	for (round = 0; round < 4; round++) {
		for (i = 0; i < (int)LIB_ARRAY_SIZE(t); i++) {
			t[i] = (struct toucher){ .self = self, .calls = i & 1 };
			t[i].map = bar_map(self->s.fd, BAR, 0, HUGE);
			ASSERT_NE(NULL, t[i].map);
			ASSERT_EQ(0, pthread_create(&t[i].thread, NULL, touch, &t[i]));
		}
		for (i = 0; i < MAX_PARTS; i++)
			EXPECT_EQ(0, combine(self->s.fd, BAR, 2 * i * PAGE, PAGE));
		for (i = 0; i < (int)LIB_ARRAY_SIZE(t); i++) {
			__atomic_store_n(&t[i].stop, true, __ATOMIC_RELEASE);
			pthread_join(t[i].thread, NULL);
			EXPECT_EQ(0, t[i].err);
			munmap(t[i].map, HUGE);
		}
		session_close(&self->s);
		ASSERT_EQ(0, session_open(&self->s, device_bdf(DEV_IVSHMEM)));
	}
}

TEST_HARNESS_MAIN
