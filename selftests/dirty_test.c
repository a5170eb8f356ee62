// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dirty tracking by the IOMMU: it reports which pages devices have written, for live migration.
 * VT-d supports this in scalable mode, if its second stage has dirty flags; of the test machines,
 * that is vm --iommu intel-dirty.
 *
 * Each area of memory here has 64 pages, so that a set of them fits into a u64.
 */
#include <errno.h>
#include <linux/mman.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "lib/config.h"
#include "lib/edu.h"
#include "lib/harness.h"
#include "lib/iommufd.h"
#include "lib/nesting.h"
#include "lib/nic.h"
#include "lib/nvme.h"
#include "lib/virtio.h"

#define IOVA 0x1000000ull
#define PAGE 0x1000ull
#define PAGES 64
#define SIZE (PAGES * PAGE)
#define NONE 0ull
#define PAGE_BIT(n) (1ull << (n))
#define ALL ~0ull
#define NO_CLEAR IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR

#define PATTERN 0xa5
#define LEN 64

/* An address space with memory in it, and a page table over it */
struct area {
	int iommufd;
	u32 ioas;
	u32 hwpt;
	u8 *mem;
};

static int area_init(struct area *a, const struct session *s, u32 flags)
{
	struct iommu_hwpt_alloc cmd = { .flags = flags, .dev_id = s->devid };
	int err;

	*a = (struct area){ .iommufd = s->iommufd, .mem = dma_alloc(SIZE) };
	err = ioas_alloc(a->iommufd, &a->ioas);
	if (!err)
		err = ioas_map(a->iommufd, a->ioas, a->mem, SIZE, IOVA);
	cmd.pt_id = a->ioas;
	if (!err)
		err = hwpt_alloc_raw(a->iommufd, &cmd);
	a->hwpt = cmd.out_hwpt_id;
	return err;
}

static int area_track(struct area *a, const struct session *s, u32 flags)
{
	int err = area_init(a, s, flags | IOMMU_HWPT_ALLOC_DIRTY_TRACKING);

	return err ?: hwpt_set_dirty_tracking(a->iommufd, a->hwpt, true);
}

/* The pages that were written. Returns a set that no test expects on failure. */
static u64 written(const struct area *a, u32 flags)
{
	u64 set = 0;
	int err = hwpt_get_dirty_bitmap(a->iommufd, a->hwpt, flags, IOVA, SIZE, PAGE, &set);

	if (!err)
		return set;
	fprintf(stderr, "cannot get the dirty bitmap: %s\n", strerror(-err));
	return ALL;
}

/* A device that does DMA, and its registers, unless these are not in BAR 0, as with virtio */
struct master {
	enum test_device dev;
	int fd;
	void *bar;
};

static int master_init(struct master *m, const struct session *s, enum test_device dev)
{
	*m = (struct master){ .dev = dev, .fd = s->fd };
	if (dev != DEV_VIRTIO) {
		m->bar = bar_map(s->fd, 0, 0, 0);
		if (!m->bar)
			return -errno;
	}
	return config_master(s->fd, true);
}

static int attach(const struct session *s, u32 pt)
{
	return vfio_attach(s->fd, &pt);
}

/*
 * The IOMMU does not support tracking. Finding out takes a session, and each test is a separate
 * process: this is shared, so that only the first one has to do it.
 */
static bool *does_not_track;

static void __attribute__((constructor)) share(void)
{
	does_not_track = dma_alloc(sizeof(*does_not_track));
}

/* In FIXTURE_SETUP: open a session on a device that can do DMA, or skip the test. */
#define SETUP_TRACKED(session, master, kind) do {					\
	struct iommu_hw_info info_;							\
											\
	if (*does_not_track)								\
		SKIP(return, "this IOMMU does not track");				\
	SETUP_SESSION(session, kind);							\
	ASSERT_EQ(0, hw_info((session)->iommufd, (session)->devid, &info_, NULL, 0));	\
	if (!(info_.out_capabilities & IOMMU_HW_CAP_DIRTY_TRACKING)) {			\
		*does_not_track = true;							\
		session_close(session);							\
		SKIP(return, "this IOMMU does not track");				\
	}										\
	ASSERT_EQ(0, master_init(master, session, kind));				\
} while (0)

/* Open another device in the same context. */
static int join(struct session *s, struct master *m, const struct session *first,
		enum test_device dev)
{
	const char *bdf = device_bdf(dev);
	int err;

	*s = (struct session){ .fd = -1, .iommufd = -1 };
	if (!bdf)
		return -ENODEV;
	err = sysfs_bind(bdf);
	if (err)
		return err;
	s->fd = vfio_cdev_open(bdf);
	if (s->fd < 0)
		return s->fd;
	err = vfio_bind(s->fd, first->iommufd, &s->devid);
	return err ?: master_init(m, s, dev);
}

/* Let a device write into pages from @page on. Returns the set of pages, or none on failure. */
static u64 dma(const struct master *m, const struct area *a, unsigned int page)
{
	u64 iova = IOVA + page * PAGE;
	u8 *mem = a->mem + page * PAGE;
	struct nvme nvme = { .bar = m->bar, .mem = mem, .iova = iova };
	struct virtio_blk virtio = { .fd = m->fd, .mem = mem, .iova = iova };

	switch (m->dev) {
	case DEV_EDU:
		return edu_write_memory(m->bar, iova + 0x123, 0, LEN) ? NONE : PAGE_BIT(page);
	case DEV_IGB:
		/* It reads the frame, and marks the descriptor as done. */
		return igb_send(m->bar, mem, iova) ? NONE : PAGE_BIT(page);
	case DEV_NVME:
		/* It reads the submission queue, and writes a completion and data. */
		if (nvme_enable(&nvme))
			return NONE;
		nvme_submit_identify(&nvme);
		return nvme_complete(&nvme) ? NONE : PAGE_BIT(page + 1) | PAGE_BIT(page + 2);
	case DEV_VIRTIO:
		/* It reads two parts of the ring, and writes the third, and the request. */
		if (virtio_blk_start(&virtio, 0xffff))
			return NONE;
		virtio_blk_submit_id(&virtio);
		if (virtio_blk_complete(&virtio))
			return NONE;
		/* The model maps the ring for writing at any time, which counts as written. */
		if (virtio_blk_stop(&virtio))
			return NONE;
		return PAGE_BIT(page + 2) | PAGE_BIT(page + 3);
	default:
		return NONE;
	}
}

FIXTURE(device)
{
	struct session s;
	struct master m;
	struct area a;
};

FIXTURE_VARIANT(device)
{
	enum test_device dev;
};

FIXTURE_VARIANT_ADD(device, edu) { .dev = DEV_EDU };
FIXTURE_VARIANT_ADD(device, igb) { .dev = DEV_IGB };
FIXTURE_VARIANT_ADD(device, nvme) { .dev = DEV_NVME };
FIXTURE_VARIANT_ADD(device, virtio) { .dev = DEV_VIRTIO };

FIXTURE_SETUP(device)
{
	SETUP_TRACKED(&self->s, &self->m, variant->dev);
	ASSERT_EQ(0, area_init(&self->a, &self->s, IOMMU_HWPT_ALLOC_DIRTY_TRACKING));
	ASSERT_EQ(0, attach(&self->s, self->a.hwpt));
}

FIXTURE_TEARDOWN(device)
{
	session_close(&self->s);
}

/* Exactly the pages that were written are reported, even those that were written before. */
TEST_F(device, exact)
{
	static const unsigned int pages[] = { 0, 5, 5, 31, PAGES - 4, 5, 0 };
	unsigned int i;
	u64 set;

	ASSERT_EQ(0, hwpt_set_dirty_tracking(self->a.iommufd, self->a.hwpt, true));
	EXPECT_EQ(NONE, written(&self->a, 0));
	for (i = 0; i < sizeof(pages) / sizeof(*pages); i++) {
		set = dma(&self->m, &self->a, pages[i]);
		ASSERT_NE(NONE, set);
		EXPECT_EQ(set, written(&self->a, 0));
		EXPECT_EQ(NONE, written(&self->a, 0));
	}
	set = dma(&self->m, &self->a, 8);
	set |= dma(&self->m, &self->a, 40);
	EXPECT_EQ(set, written(&self->a, 0));
}

TEST_F(device, no_clear)
{
	u64 set;

	ASSERT_EQ(0, hwpt_set_dirty_tracking(self->a.iommufd, self->a.hwpt, true));
	set = dma(&self->m, &self->a, 3);
	ASSERT_NE(NONE, set);
	EXPECT_EQ(set, written(&self->a, NO_CLEAR));
	EXPECT_EQ(set, written(&self->a, NO_CLEAR));
	set |= dma(&self->m, &self->a, 20);
	EXPECT_EQ(set, written(&self->a, NO_CLEAR));
	EXPECT_EQ(set, written(&self->a, 0));
	EXPECT_EQ(NONE, written(&self->a, NO_CLEAR));
}

/* Nothing is tracked while it is off, and after turning it on, all pages are clean. */
TEST_F(device, on_and_off)
{
	int i;
	u64 set;

	ASSERT_NE(NONE, dma(&self->m, &self->a, 1));
	EXPECT_EQ(NONE, written(&self->a, 0));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, hwpt_set_dirty_tracking(self->a.iommufd, self->a.hwpt, true));
		EXPECT_EQ(NONE, written(&self->a, 0));
		set = dma(&self->m, &self->a, 1);
		ASSERT_NE(NONE, set);
		EXPECT_EQ(set, written(&self->a, NO_CLEAR));
		/* Turn it on again while it is on. */
		ASSERT_EQ(0, hwpt_set_dirty_tracking(self->a.iommufd, self->a.hwpt, true));
		EXPECT_EQ(NONE, written(&self->a, 0));
		/* Dirty pages are still reported after turning it off. */
		set = dma(&self->m, &self->a, 7);
		ASSERT_EQ(0, hwpt_set_dirty_tracking(self->a.iommufd, self->a.hwpt, false));
		EXPECT_EQ(set, written(&self->a, 0));
		ASSERT_NE(NONE, dma(&self->m, &self->a, 11));
		EXPECT_EQ(NONE, written(&self->a, 0));
	}
}

/* The range is unmapped before the last report, which contains what was written until then. */
TEST_F(device, unmapped)
{
	u64 set;

	ASSERT_EQ(0, hwpt_set_dirty_tracking(self->a.iommufd, self->a.hwpt, true));
	set = dma(&self->m, &self->a, 9);
	ASSERT_NE(NONE, set);
	EXPECT_EQ(set, written(&self->a, NO_CLEAR));
	ASSERT_EQ(0, ioas_unmap(self->a.iommufd, self->a.ioas, IOVA, SIZE));
	/* A new mapping there is clean. */
	ASSERT_EQ(0, ioas_map(self->a.iommufd, self->a.ioas, self->a.mem, SIZE, IOVA));
	EXPECT_EQ(NONE, written(&self->a, 0));
	set = dma(&self->m, &self->a, 10);
	EXPECT_EQ(set, written(&self->a, 0));
}

/* A table does not track while it is not attached, and continues when it is attached again. */
TEST_F(device, replaced)
{
	struct area plain, other;
	u64 set;

	ASSERT_EQ(0, hwpt_set_dirty_tracking(self->a.iommufd, self->a.hwpt, true));
	ASSERT_EQ(0, area_track(&other, &self->s, 0));
	ASSERT_EQ(0, area_init(&plain, &self->s, 0));
	EXPECT_EQ(-EOPNOTSUPP, hwpt_set_dirty_tracking(plain.iommufd, plain.hwpt, true));

	ASSERT_EQ(0, attach(&self->s, plain.hwpt));
	ASSERT_NE(NONE, dma(&self->m, &plain, 2));
	ASSERT_EQ(0, attach(&self->s, other.hwpt));
	set = dma(&self->m, &other, 4);
	ASSERT_NE(NONE, set);
	EXPECT_EQ(NONE, written(&self->a, 0));
	ASSERT_EQ(0, attach(&self->s, self->a.hwpt));
	EXPECT_EQ(set, written(&other, 0));

	/* After detaching, dirty pages are still reported. */
	set = dma(&self->m, &self->a, 6);
	ASSERT_EQ(0, vfio_detach(self->s.fd));
	EXPECT_EQ(set, written(&self->a, 0));
	EXPECT_EQ(NONE, written(&other, 0));
	ASSERT_EQ(0, attach(&self->s, self->a.hwpt));
	set = dma(&self->m, &self->a, 6);
	EXPECT_EQ(set, written(&self->a, 0));
}

/* With edu, which can write any number of bytes to any address */
FIXTURE(edu)
{
	struct session s;
	struct master m;
	struct area a;
};

FIXTURE_SETUP(edu)
{
	SETUP_TRACKED(&self->s, &self->m, DEV_EDU);
	ASSERT_EQ(0, area_track(&self->a, &self->s, 0));
	ASSERT_EQ(0, attach(&self->s, self->a.hwpt));
}

FIXTURE_TEARDOWN(edu)
{
	session_close(&self->s);
}

TEST_F(edu, bytes)
{
	u64 set = 0;

	/* A page that was only read is clean, but becomes dirty when it is written later. */
	ASSERT_EQ(0, edu_read_memory(self->m.bar, IOVA + 3 * PAGE, 0, PAGE));
	EXPECT_EQ(NONE, written(&self->a, 0));
	ASSERT_EQ(0, edu_write_memory(self->m.bar, IOVA + 3 * PAGE, 0, PAGE));
	EXPECT_EQ(PAGE_BIT(3), written(&self->a, 0));
	ASSERT_EQ(0, edu_read_memory(self->m.bar, IOVA + 3 * PAGE, 0, PAGE));
	EXPECT_EQ(NONE, written(&self->a, 0));

	/* The last byte of one page and the first of the next */
	ASSERT_EQ(0, edu_write_memory(self->m.bar, IOVA + 6 * PAGE - 1, 0, 2));
	ASSERT_EQ(0, edu_write_memory(self->m.bar, IOVA + 10 * PAGE - 1, 0, 1));
	/* Four pages per bit */
	ASSERT_EQ(0, hwpt_get_dirty_bitmap(self->a.iommufd, self->a.hwpt, NO_CLEAR, IOVA, SIZE,
					   4 * PAGE, &set));
	EXPECT_EQ(PAGE_BIT(1) | PAGE_BIT(2), set);
	/* For a part of the range; the rest is not cleared. */
	set = 0;
	ASSERT_EQ(0, hwpt_get_dirty_bitmap(self->a.iommufd, self->a.hwpt, 0, IOVA + 4 * PAGE,
					   2 * PAGE, PAGE, &set));
	EXPECT_EQ(PAGE_BIT(1), set);
	EXPECT_EQ(PAGE_BIT(6) | PAGE_BIT(9), written(&self->a, 0));
	/* Bits that were already set stay set. */
	ASSERT_EQ(0, edu_write_memory(self->m.bar, IOVA, 0, 1));
	set = PAGE_BIT(60);
	ASSERT_EQ(0, hwpt_get_dirty_bitmap(self->a.iommufd, self->a.hwpt, 0, IOVA, SIZE, PAGE,
					   &set));
	EXPECT_EQ(PAGE_BIT(60) | PAGE_BIT(0), set);
}

/* New mappings are tracked, too. */
TEST_F(edu, mapped_later)
{
	u64 iova = IOVA + 2 * SIZE, set = 0;
	u8 *mem = dma_alloc(SIZE);

	ASSERT_EQ(0, ioas_map(self->a.iommufd, self->a.ioas, mem, SIZE, iova));
	ASSERT_EQ(0, edu_write_memory(self->m.bar, iova + 7 * PAGE, 0, LEN));
	ASSERT_EQ(0, hwpt_get_dirty_bitmap(self->a.iommufd, self->a.hwpt, 0, iova, SIZE, PAGE,
					   &set));
	EXPECT_EQ(PAGE_BIT(7), set);
	EXPECT_EQ(NONE, written(&self->a, 0));
}

/* Memory in large pages, each of which is one entry of the page table */
FIXTURE(leaf)
{
	struct session s;
	struct master m;
	u8 *mem;
	u64 len;
};

FIXTURE_VARIANT(leaf)
{
	u64 size;
	unsigned int count;
	int flags;
	u64 iova;
};

FIXTURE_VARIANT_ADD(leaf, 2M) {
	.size = 2 << 20, .count = 3, .flags = MAP_HUGE_2MB, .iova = 4 << 20,
};

FIXTURE_VARIANT_ADD(leaf, 1G) {
	.size = 1 << 30, .count = 1, .flags = MAP_HUGE_1GB,
	/* edu can address 256 MiB. */
	.iova = 0,
};

static int huge_pages(u64 size, unsigned int count)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", count);
	return sysfs_write(text, "/sys/kernel/mm/hugepages/hugepages-%llukB/nr_hugepages",
			   (unsigned long long)size >> 10);
}

FIXTURE_SETUP(leaf)
{
	SETUP_TRACKED(&self->s, &self->m, DEV_EDU);
	self->len = variant->size * variant->count;
	ASSERT_EQ(0, huge_pages(variant->size, variant->count));
	self->mem = mmap(NULL, self->len, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB | variant->flags, -1, 0);
	if (self->mem == MAP_FAILED) {
		huge_pages(variant->size, 0);
		session_close(&self->s);
		SKIP(return, "no such pages in this machine (vm --mem 5G)");
	}
}

FIXTURE_TEARDOWN(leaf)
{
	session_close(&self->s);
	munmap(self->mem, self->len);
	huge_pages(variant->size, 0);
}

/* Whether these bits are set, and no others. */
static bool set_only(const u64 *bitmap, u64 pages, u64 first, u64 count)
{
	u64 i;

	for (i = 0; i < pages; i++)
		if ((bitmap[i / 64] >> (i % 64) & 1) != (i >= first && i < first + count))
			return false;
	return true;
}

static int leaf_hwpt(FIXTURE_DATA(leaf) *self, u64 iova, u32 *hwpt)
{
	struct iommu_hwpt_alloc cmd = {
		.flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
		.dev_id = self->s.devid,
	};
	int err;

	err = ioas_alloc(self->s.iommufd, &cmd.pt_id);
	if (!err)
		err = ioas_map(self->s.iommufd, cmd.pt_id, self->mem, self->len, iova);
	if (!err)
		err = hwpt_alloc_raw(self->s.iommufd, &cmd);
	*hwpt = cmd.out_hwpt_id;
	if (!err)
		err = hwpt_set_dirty_tracking(self->s.iommufd, *hwpt, true);
	return err ?: attach(&self->s, *hwpt);
}

/* Let the device write, and check twice that exactly the leaf with this address is dirty. */
static int leaf_written(FIXTURE_DATA(leaf) *self, u32 hwpt, u64 iova, u64 off, u64 leaf)
{
	u64 pages = self->len / PAGE, first = off / leaf * leaf / PAGE;
	u64 *bitmap = calloc(pages / 64 + 1, sizeof(u64));
	int i, err = 0;

	for (i = 0; !err && i < 2; i++) {
		memset(bitmap, 0, pages / 8);
		err = edu_write_memory(self->m.bar, iova + off, 0, LEN);
		if (!err)
			err = hwpt_get_dirty_bitmap(self->s.iommufd, hwpt, 0, iova, self->len,
						    PAGE, bitmap);
		if (!err && !set_only(bitmap, pages, first, leaf / PAGE))
			err = -ERANGE;
		/* It has been cleared. */
		memset(bitmap, 0, pages / 8);
		if (!err)
			err = hwpt_get_dirty_bitmap(self->s.iommufd, hwpt, 0, iova, self->len,
						    PAGE, bitmap);
		if (!err && !set_only(bitmap, pages, 0, 0))
			err = -ESTALE;
	}
	free(bitmap);
	return err;
}

/* One dirty flag for a whole leaf */
TEST_F(leaf, whole)
{
	u64 bit = 0;
	u32 hwpt;

	ASSERT_EQ(0, leaf_hwpt(self, variant->iova, &hwpt));
	EXPECT_EQ(0, leaf_written(self, hwpt, variant->iova, 0x345678, variant->size));
	EXPECT_EQ(0, leaf_written(self, hwpt, variant->iova, 0, variant->size));
	/* One bit for each leaf */
	ASSERT_EQ(0, edu_write_memory(self->m.bar, variant->iova + 0x345000, 0, LEN));
	ASSERT_EQ(0, hwpt_get_dirty_bitmap(self->s.iommufd, hwpt, 0, variant->iova, self->len,
					   variant->size, &bit));
	EXPECT_EQ(PAGE_BIT(0x345000 / variant->size), bit);
}

/* If the alignment of IOVA and memory differ, the same memory is mapped with 4 KiB pages. */
TEST_F(leaf, unaligned)
{
	u32 hwpt;

	ASSERT_EQ(0, leaf_hwpt(self, variant->iova + PAGE, &hwpt));
	EXPECT_EQ(0, leaf_written(self, hwpt, variant->iova + PAGE, 0x345678, PAGE));
}

/*
 * The page table is changed for another, for one that does not track, for none, at leisure and all
 * the time while the device writes: each of them tells exactly what has arrived through it. With
 * VT-d's driver, a write may get lost meanwhile, as there is no page table for a moment.
 */
FIXTURE(swap)
{
	struct session s;
	struct master m;
	/* The last one does not track. */
	struct area areas[3];
	bool pasid;
	bool stop;
	int count;
	int err;
};

FIXTURE_VARIANT(swap)
{
	bool pasid;
};

#define A_PASID 5

FIXTURE_VARIANT_ADD(swap, device) {};
FIXTURE_VARIANT_ADD(swap, pasid) { .pasid = true };

FIXTURE_SETUP(swap)
{
	u32 flags = variant->pasid ? IOMMU_HWPT_ALLOC_PASID : 0;
	int i;

	SETUP_TRACKED(&self->s, &self->m, DEV_EDU);
	self->pasid = variant->pasid;
	if (self->pasid && !sysfs_ext_cap(self->s.bdf, PCI_EXT_CAP_ID_PASID)) {
		session_close(&self->s);
		SKIP(return, "the first edu of this machine is no edu-pasid");
	}
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, area_track(&self->areas[i], &self->s, flags));
	ASSERT_EQ(0, area_init(&self->areas[2], &self->s, flags));
	/* A pattern in the device. */
	ASSERT_EQ(0, attach(&self->s, self->areas[2].hwpt));
	memset(self->areas[2].mem, PATTERN, LEN);
	ASSERT_EQ(0, edu_read_memory(self->m.bar, IOVA, 0, LEN));
	memset(self->areas[2].mem, 0, LEN);
	ASSERT_EQ(0, vfio_detach(self->s.fd));
}

FIXTURE_TEARDOWN(swap)
{
	session_close(&self->s);
}

static int swap_to(FIXTURE_DATA(swap) *self, u32 hwpt)
{
	return self->pasid ? vfio_attach_pasid(self->s.fd, A_PASID, hwpt) : attach(&self->s, hwpt);
}

static int swap_none(FIXTURE_DATA(swap) *self)
{
	return self->pasid ? vfio_detach_pasid(self->s.fd, A_PASID) : vfio_detach(self->s.fd);
}

static int swap_write(FIXTURE_DATA(swap) *self, unsigned int page)
{
	u64 iova = IOVA + page * PAGE;

	return self->pasid ? edu_write_memory_pasid(self->m.bar, A_PASID, iova, 0, LEN) :
			     edu_write_memory(self->m.bar, iova, 0, LEN);
}

/*
 * The pages that anything has arrived in. It may be the end of a write alone: where QEMU's IOMMU
 * refuses the first bytes, it is asked again for those that follow.
 */
static u64 arrived(const struct area *a)
{
	u64 set = 0;
	int i;

	for (i = 0; i < PAGES; i++)
		if (memchr(a->mem + i * PAGE, PATTERN, LEN))
			set |= PAGE_BIT(i);
	return set;
}

/* One after the other, without concurrency */
TEST_F(swap, step_by_step)
{
	ASSERT_EQ(0, swap_to(self, self->areas[0].hwpt));
	ASSERT_EQ(0, swap_write(self, 1));
	ASSERT_EQ(0, swap_to(self, self->areas[2].hwpt));
	ASSERT_EQ(0, swap_write(self, 2));
	ASSERT_EQ(0, swap_to(self, self->areas[1].hwpt));
	ASSERT_EQ(0, swap_write(self, 3));
	ASSERT_EQ(0, swap_none(self));
	ASSERT_EQ(0, swap_write(self, 4));
	ASSERT_EQ(0, swap_to(self, self->areas[0].hwpt));
	ASSERT_EQ(0, swap_write(self, 5));
	EXPECT_EQ(PAGE_BIT(1) | PAGE_BIT(5), arrived(&self->areas[0]));
	EXPECT_EQ(PAGE_BIT(1) | PAGE_BIT(5), written(&self->areas[0], 0));
	EXPECT_EQ(PAGE_BIT(3), arrived(&self->areas[1]));
	EXPECT_EQ(PAGE_BIT(3), written(&self->areas[1], 0));
	EXPECT_EQ(PAGE_BIT(2), arrived(&self->areas[2]));
}

static void *swap_thread(void *arg)
{
	FIXTURE_DATA(swap) *self = arg;

	while (!__atomic_load_n(&self->stop, __ATOMIC_ACQUIRE) && !self->err) {
		int i = self->count++;

		if (i % 7 == 6)
			self->err = swap_none(self);
		else
			self->err = swap_to(self, self->areas[i % 3].hwpt);
	}
	return NULL;
}

TEST_F(swap, under_dma)
{
	pthread_t thread;
	u64 sets[3];
	int i;

	ASSERT_EQ(0, pthread_create(&thread, NULL, swap_thread, self));
	for (i = 0; i < 20; i++)
		EXPECT_EQ(0, swap_write(self, i));
	__atomic_store_n(&self->stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, self->err);
	for (i = 0; i < 3; i++)
		sets[i] = arrived(&self->areas[i]);
	TH_LOG("%d changes; %llx, %llx, %llx", self->count, sets[0], sets[1], sets[2]);
	EXPECT_EQ(sets[0], written(&self->areas[0], 0));
	EXPECT_EQ(sets[1], written(&self->areas[1], 0));
	EXPECT_EQ(NONE, (sets[0] & sets[1]) | (sets[1] & sets[2]) | (sets[2] & sets[0]));
}

/* Each PASID has its own, beside one that is not tracked, and two share one. */
FIXTURE(pasids)
{
	struct session s;
	struct master m;
	struct area areas[2];
	struct area plain;
};

FIXTURE_SETUP(pasids)
{
	int i;

	SETUP_TRACKED(&self->s, &self->m, DEV_EDU);
	if (!sysfs_ext_cap(self->s.bdf, PCI_EXT_CAP_ID_PASID)) {
		session_close(&self->s);
		SKIP(return, "the first edu of this machine is no edu-pasid");
	}
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, area_track(&self->areas[i], &self->s, IOMMU_HWPT_ALLOC_PASID));
	ASSERT_EQ(0, area_init(&self->plain, &self->s, IOMMU_HWPT_ALLOC_PASID));
	ASSERT_EQ(0, vfio_detach(self->s.fd));
	ASSERT_EQ(0, attach(&self->s, self->plain.hwpt));
	ASSERT_EQ(0, vfio_attach_pasid(self->s.fd, 1, self->areas[0].hwpt));
	ASSERT_EQ(0, vfio_attach_pasid(self->s.fd, 2, self->areas[1].hwpt));
	ASSERT_EQ(0, vfio_attach_pasid(self->s.fd, 3, self->areas[0].hwpt));
}

FIXTURE_TEARDOWN(pasids)
{
	session_close(&self->s);
}

static int pasid_write(FIXTURE_DATA(pasids) *self, u32 pasid, unsigned int page)
{
	return edu_write_memory_pasid(self->m.bar, pasid, IOVA + page * PAGE, 0, LEN);
}

TEST_F(pasids, each_its_own)
{
	ASSERT_EQ(0, edu_write_memory(self->m.bar, IOVA, 0, LEN));
	ASSERT_EQ(0, pasid_write(self, 1, 1));
	ASSERT_EQ(0, pasid_write(self, 2, 2));
	ASSERT_EQ(0, pasid_write(self, 3, 3));
	EXPECT_EQ(PAGE_BIT(1) | PAGE_BIT(3), written(&self->areas[0], 0));
	EXPECT_EQ(PAGE_BIT(2), written(&self->areas[1], 0));
	/* Entries that the IOMMU has cached for one PASID do not hide writes of the other one. */
	ASSERT_EQ(0, pasid_write(self, 3, 1));
	EXPECT_EQ(PAGE_BIT(1), written(&self->areas[0], 0));
	ASSERT_EQ(0, pasid_write(self, 1, 1));
	EXPECT_EQ(PAGE_BIT(1), written(&self->areas[0], 0));
	/* After detaching one, the other is still tracked; and so is a new one. */
	ASSERT_EQ(0, vfio_detach_pasid(self->s.fd, 1));
	ASSERT_EQ(0, vfio_attach_pasid(self->s.fd, 4, self->areas[1].hwpt));
	ASSERT_EQ(0, pasid_write(self, 1, 4));
	ASSERT_EQ(0, pasid_write(self, 3, 5));
	ASSERT_EQ(0, pasid_write(self, 4, 6));
	EXPECT_EQ(PAGE_BIT(5), written(&self->areas[0], 0));
	EXPECT_EQ(PAGE_BIT(6), written(&self->areas[1], 0));
}

/* One page table for several devices, which reports the writes of all of them */
FIXTURE(many)
{
	struct session s;
	struct session nvme;
	struct session igb;
	struct master m;
	struct master nvme_m;
	struct master igb_m;
	struct area a;
	struct nvme controller;
	bool stop;
	int err;
	int count;
};

FIXTURE_SETUP(many)
{
	SETUP_TRACKED(&self->s, &self->m, DEV_EDU);
	if (join(&self->nvme, &self->nvme_m, &self->s, DEV_NVME) ||
	    join(&self->igb, &self->igb_m, &self->s, DEV_IGB)) {
		session_close(&self->s);
		SKIP(return, "not all of edu, igb and nvme");
	}
	ASSERT_EQ(0, area_track(&self->a, &self->s, 0));
	ASSERT_EQ(0, attach(&self->s, self->a.hwpt));
	ASSERT_EQ(0, attach(&self->nvme, self->a.hwpt));
	ASSERT_EQ(0, attach(&self->igb, self->a.hwpt));
}

FIXTURE_TEARDOWN(many)
{
	session_close(&self->igb);
	session_close(&self->nvme);
	session_close(&self->s);
}

TEST_F(many, one_table)
{
	u64 set;

	set = dma(&self->m, &self->a, 1);
	set |= dma(&self->nvme_m, &self->a, 10);
	set |= dma(&self->igb_m, &self->a, 20);
	EXPECT_EQ(PAGE_BIT(1) | PAGE_BIT(11) | PAGE_BIT(12) | PAGE_BIT(20), set);
	EXPECT_EQ(set, written(&self->a, 0));

	/* Each of them writes to the same page in turn: none hides the writes of another one. */
	EXPECT_EQ(PAGE_BIT(20), dma(&self->igb_m, &self->a, 20));
	EXPECT_EQ(PAGE_BIT(20), written(&self->a, 0));
	EXPECT_EQ(PAGE_BIT(20), dma(&self->m, &self->a, 20));
	EXPECT_EQ(PAGE_BIT(20), written(&self->a, 0));
	EXPECT_EQ(PAGE_BIT(20), dma(&self->igb_m, &self->a, 20));
	EXPECT_EQ(PAGE_BIT(20), written(&self->a, 0));

	/* After detaching one, its dirty pages stay, and the others are tracked. */
	EXPECT_EQ(PAGE_BIT(30), dma(&self->m, &self->a, 30));
	ASSERT_EQ(0, vfio_detach(self->s.fd));
	EXPECT_EQ(PAGE_BIT(31), dma(&self->igb_m, &self->a, 31));
	EXPECT_EQ(PAGE_BIT(30) | PAGE_BIT(31), written(&self->a, 0));
	bar_unmap(self->igb.fd, 0, self->igb_m.bar);
	close(self->igb.fd);
	self->igb.fd = -1;
	set = dma(&self->nvme_m, &self->a, 40);
	ASSERT_NE(NONE, set);
	EXPECT_EQ(set, written(&self->a, 0));
	/* A device that is attached later is tracked, too. */
	ASSERT_EQ(0, attach(&self->s, self->a.hwpt));
	EXPECT_EQ(PAGE_BIT(50), dma(&self->m, &self->a, 50));
	EXPECT_EQ(PAGE_BIT(50), written(&self->a, 0));
}

static void *commands_thread(void *arg)
{
	FIXTURE_DATA(many) *self = arg;

	while (!__atomic_load_n(&self->stop, __ATOMIC_ACQUIRE) && !self->err) {
		nvme_submit_identify(&self->controller);
		self->err = nvme_complete(&self->controller);
		self->count++;
	}
	return NULL;
}

static void *frames_thread(void *arg)
{
	FIXTURE_DATA(many) *self = arg;

	while (!__atomic_load_n(&self->stop, __ATOMIC_ACQUIRE) && !self->err)
		if (dma(&self->igb_m, &self->a, 10) == NONE)
			self->err = -EIO;
	return NULL;
}

static void copy(FIXTURE_DATA(many) *self, u8 *target, u64 set)
{
	int i;

	for (i = 0; i < PAGES; i++)
		if (set & PAGE_BIT(i))
			memcpy(target + i * PAGE, self->a.mem + i * PAGE, PAGE);
}

/*
 * The real use: memory is copied while devices write to it, and pages that become dirty are copied
 * again. In the end, the copy is the same, except for pages 0 and 10, which the CPU writes, as they
 * contain queues.
 */
TEST_F(many, copied_while_it_changes)
{
	u8 *target = malloc(SIZE);
	pthread_t threads[2];
	int i;

	self->controller = (struct nvme){
		.bar = self->nvme_m.bar, .mem = self->a.mem, .iova = IOVA,
	};
	ASSERT_EQ(0, nvme_enable(&self->controller));
	memset(self->a.mem + 5 * PAGE, PATTERN, PAGE);
	ASSERT_EQ(0, edu_read_memory(self->m.bar, IOVA + 5 * PAGE, 0, PAGE));
	memset(self->a.mem + 5 * PAGE, 0, PAGE);
	ASSERT_EQ(0, hwpt_set_dirty_tracking(self->a.iommufd, self->a.hwpt, true));
	copy(self, target, ALL);
	ASSERT_EQ(0, pthread_create(&threads[0], NULL, commands_thread, self));
	ASSERT_EQ(0, pthread_create(&threads[1], NULL, frames_thread, self));
	for (i = 0; i < 10; i++) {
		EXPECT_EQ(0, edu_write_memory(self->m.bar, IOVA + (20 + i) * PAGE, i, PAGE / 2));
		copy(self, target, written(&self->a, 0));
	}
	for (i = 0; i < 200; i++)
		copy(self, target, written(&self->a, 0));
	__atomic_store_n(&self->stop, true, __ATOMIC_RELEASE);
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	EXPECT_EQ(0, self->err);
	copy(self, target, written(&self->a, 0));
	TH_LOG("%d commands", self->count);
	for (i = 1; i < PAGES; i++)
		if (i != 10)
			EXPECT_EQ(0, memcmp(target + i * PAGE, self->a.mem + i * PAGE, PAGE));
	free(target);
}

/* Below the guest's own page table: dirty pages are reported by guest physical addresses. */
FIXTURE(nested)
{
	struct session s;
	struct master m;
	struct nesting n;
	struct stage1 s1;
	u32 hwpt;
	/* Address of the guest's pages */
	u64 gpa;
};

#define NESTED_PAGES 8

FIXTURE_SETUP(nested)
{
	int i, err;

	SETUP_TRACKED(&self->s, &self->m, DEV_EDU);
	err = nesting_open_flags(&self->n, &self->s, IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
	if (err == -EOPNOTSUPP) {
		session_close(&self->s);
		SKIP(return, "this IOMMU does not support nesting");
	}
	ASSERT_EQ(0, err);
	self->gpa = guest_page(&self->n);
	for (i = 1; i < NESTED_PAGES; i++)
		guest_page(&self->n);
	stage1_init(&self->s1, &self->n, 1);
	/* In the other direction */
	for (i = 0; i < NESTED_PAGES; i++)
		stage1_map(&self->s1, IOVA + i * PAGE,
			   self->gpa + (NESTED_PAGES - 1 - i) * PAGE, true);
	ASSERT_EQ(0, stage1_hwpt(&self->s1, &self->hwpt));
}

FIXTURE_TEARDOWN(nested)
{
	session_close(&self->s);
}

static u64 nested_written(FIXTURE_DATA(nested) *self, u32 flags)
{
	u64 set = 0;
	int err = hwpt_get_dirty_bitmap(self->n.iommufd, self->n.parent, flags, self->gpa,
					NESTED_PAGES * PAGE, PAGE, &set);

	return err ? ALL : set;
}

/* The bit of the guest physical page that the device knows as @page */
static u64 nested_bit(int page)
{
	return PAGE_BIT(NESTED_PAGES - 1 - page);
}

static int nested_write(FIXTURE_DATA(nested) *self, int page)
{
	return edu_write_memory(self->m.bar, IOVA + page * PAGE, 0, LEN);
}

TEST_F(nested, exact)
{
	int i;

	ASSERT_EQ(0, attach(&self->s, self->hwpt));
	ASSERT_EQ(0, nested_write(self, 1));
	EXPECT_EQ(NONE, nested_written(self, 0));
	/* Turn it on while the nested table is attached, and before that. */
	ASSERT_EQ(0, hwpt_set_dirty_tracking(self->n.iommufd, self->n.parent, true));
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(NONE, nested_written(self, 0));
		ASSERT_EQ(0, edu_read_memory(self->m.bar, IOVA + 2 * PAGE, 0, LEN));
		EXPECT_EQ(NONE, nested_written(self, 0));
		ASSERT_EQ(0, nested_write(self, 1));
		EXPECT_EQ(nested_bit(1), nested_written(self, NO_CLEAR));
		EXPECT_EQ(nested_bit(1), nested_written(self, 0));
		ASSERT_EQ(0, nested_write(self, 1));
		ASSERT_EQ(0, nested_write(self, 2));
		EXPECT_EQ(nested_bit(1) | nested_bit(2), nested_written(self, 0));
		ASSERT_EQ(0, vfio_detach(self->s.fd));
		ASSERT_EQ(0, attach(&self->s, self->hwpt));
	}
	ASSERT_EQ(0, hwpt_set_dirty_tracking(self->n.iommufd, self->n.parent, false));
	ASSERT_EQ(0, nested_write(self, 3));
	EXPECT_EQ(NONE, nested_written(self, 0));
}

/* The guest turns its IOMMU on and off: the host's page table keeps its dirty pages. */
TEST_F(nested, and_not)
{
	ASSERT_EQ(0, hwpt_set_dirty_tracking(self->n.iommufd, self->n.parent, true));
	ASSERT_EQ(0, attach(&self->s, self->hwpt));
	ASSERT_EQ(0, nested_write(self, 0));
	ASSERT_EQ(0, attach(&self->s, self->n.parent));
	ASSERT_EQ(0, edu_write_memory(self->m.bar, self->gpa + 3 * PAGE, 0, LEN));
	ASSERT_EQ(0, attach(&self->s, self->hwpt));
	ASSERT_EQ(0, nested_write(self, 6));
	EXPECT_EQ(nested_bit(0) | PAGE_BIT(3) | nested_bit(6), nested_written(self, 0));
	EXPECT_EQ(NONE, nested_written(self, 0));
}

TEST_HARNESS_MAIN
