// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel chooses addresses where the largest pages fit. With the in-tree driver, the user must
 * do that.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/harness.h"
#include "lib/region.h"

#define PAGE 0x1000ull
#define HUGE_2M (2ul << 20)
#define HUGE_1G (1ul << 30)

/* x86 only: an address below 2 GiB. */
#ifndef MAP_32BIT
#define MAP_32BIT 0
#endif

/* ivshmem's BAR 2, of any size in the machine. */
FIXTURE(large)
{
	struct session s;
	u64 size;
};

FIXTURE_VARIANT(large)
{
	u64 least;
	u64 most;
	u64 page;
};

FIXTURE_VARIANT_ADD(large, pages_of_2m) {
	.least = 64 * HUGE_2M, .most = HUGE_1G - 1, .page = HUGE_2M,
};

FIXTURE_VARIANT_ADD(large, pages_of_1g) {
	.least = HUGE_1G, .most = -1, .page = HUGE_1G,
};

FIXTURE_SETUP(large)
{
	u64 start, flags;
	char bdf[BDF_LEN];
	unsigned int i;

	OURS_ONLY();
	for (i = 0; self->size < variant->least || self->size > variant->most; i++) {
		if (sysfs_find(0x1af4, 0x1110, i, bdf))
			SKIP(return, "no ivshmem of this size in this machine");
		ASSERT_EQ(0, sysfs_resource(bdf, 2, &start, &self->size, &flags));
	}
	ASSERT_EQ(0, session_open(&self->s, bdf));
}

FIXTURE_TEARDOWN(large)
{
	session_close(&self->s);
}

static long faults(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return r.ru_minflt;
}

/* Number of faults when accessing each 64 KiB of it, plus a few of the program itself. */
static long touch(char *p, u64 len)
{
	long before = faults();
	u64 off;

	for (off = 0; off < len; off += 0x10000)
		mmio_read32(p, off);
	return faults() - before;
}

#define SOME 8

TEST_F(large, all_of_it)
{
	char *p = bar_map(self->s.fd, 2, 0, 0);
	/* On arm64, user space has no pages of 1 GiB. */
	u64 page = ARM64 ? HUGE_2M : variant->page;
	long n;

	ASSERT_NE(NULL, p);
	EXPECT_EQ(0, (uintptr_t)p % variant->page);
	n = touch(p, self->size);
	EXPECT_LE(self->size / page, n);
	EXPECT_GE(self->size / page + SOME, n);
}

/* Twice, and with many holes between mappings. */
TEST_F(large, many_times)
{
	char *p[8];
	size_t i;

	for (i = 0; i < LIB_ARRAY_SIZE(p); i++) {
		ASSERT_NE(MAP_FAILED, mmap(NULL, (i + 1) * PAGE, PROT_READ,
					   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
		p[i] = bar_map(self->s.fd, 2, 0, 0);
		ASSERT_NE(NULL, p[i]);
		EXPECT_EQ(0, (uintptr_t)p[i] % variant->page);
	}
	mmio_write32(p[0], self->size - 8, 0x600df00d);
	for (i = 0; i < LIB_ARRAY_SIZE(p); i++)
		EXPECT_EQ(0x600df00d, mmio_read32(p[i], self->size - 8));
}

/* From an offset in the BAR: the address has the same offset in a page. */
TEST_F(large, parts)
{
	const u64 offs[] = { PAGE, HUGE_2M - PAGE, HUGE_2M, HUGE_2M + 3 * PAGE };
	size_t i;
	char *p;

	for (i = 0; i < LIB_ARRAY_SIZE(offs); i++) {
		u64 len = self->size - offs[i] - PAGE;

		p = bar_map(self->s.fd, 2, offs[i], len);
		ASSERT_NE(NULL, p);
		EXPECT_EQ(offs[i] % HUGE_2M, (uintptr_t)p % HUGE_2M);
		mmio_write32(p, len - 4, 0x1000 + i);
		EXPECT_EQ(0x1000 + i, region_read32(self->s.fd, 2, offs[i] + len - 4));
		munmap(p, len);
	}
}

/* The user gets the address that they request. */
TEST_F(large, as_asked)
{
	char *hole, *p;

	hole = mmap(NULL, 4 * HUGE_2M, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, hole);
	p = mmap(hole + PAGE, HUGE_2M, PROT_READ, MAP_SHARED | MAP_FIXED, self->s.fd,
		 region_offset(2));
	EXPECT_EQ(hole + PAGE, p);
	ASSERT_EQ(0, munmap(hole, 4 * HUGE_2M));
	p = mmap(hole + PAGE, HUGE_2M, PROT_READ, MAP_SHARED, self->s.fd, region_offset(2));
	EXPECT_EQ(hole + PAGE, p);
	munmap(p, HUGE_2M);
	p = mmap(hole + PAGE, HUGE_2M, PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE, self->s.fd,
		 region_offset(2));
	EXPECT_EQ(hole + PAGE, p);
	p = mmap(hole + PAGE, HUGE_2M, PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE, self->s.fd,
		 region_offset(2));
	EXPECT_EQ(MAP_FAILED, p);
	EXPECT_EQ(EEXIST, errno);

	if (MAP_32BIT) {
		p = mmap(NULL, HUGE_2M, PROT_READ, MAP_SHARED | MAP_32BIT, self->s.fd,
			 region_offset(2));
		ASSERT_NE(MAP_FAILED, p);
		EXPECT_EQ(0, (uintptr_t)p % HUGE_2M);
		EXPECT_GT(1ull << 31, (uintptr_t)p);
	}
	/* More than the address space, with any alignment. */
	p = mmap(NULL, -HUGE_2M, PROT_READ, MAP_SHARED, self->s.fd, region_offset(2));
	EXPECT_EQ(MAP_FAILED, p);
	EXPECT_EQ(ENOMEM, errno);
	p = mmap(NULL, 1ull << 46, PROT_READ, MAP_SHARED, self->s.fd, region_offset(2));
	EXPECT_EQ(MAP_FAILED, p);
}

/* 1 GiB of address space has room for most of it, but not with the alignment of large pages. */
TEST_F(large, little_room)
{
	const u64 len = 3 * HUGE_1G / 4 < self->size ? 3 * HUGE_1G / 4 : self->size;
	char *p;

	if (!MAP_32BIT)
		SKIP(return, "this architecture has no MAP_32BIT");
	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_32BIT, self->s.fd,
		 region_offset(2));
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, (uintptr_t)p % HUGE_2M);
	EXPECT_GE(len / HUGE_2M + SOME, touch(p, len));
}

TEST_HARNESS_MAIN
