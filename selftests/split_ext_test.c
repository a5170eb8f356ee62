// SPDX-License-Identifier: GPL-2.0-only
/*
 * A part of a page of 1 GiB is taken away. The kernel's mm (7.3) does not look for a page of that
 * size when it splits a VMA at an address that is not a multiple of 2 MiB: mm_find_pmd() takes the
 * device's memory for a page table, and the kernel dies of it. The in-tree driver has no defence,
 * so this must not run there; ours has to take the page out of the table before (may_split).
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/harness.h"
#include "lib/region.h"

#define GIGA (1ul << 30)
#define MEGA2 (2ul << 20)
#define PAGE 0x1000ul

FIXTURE(split)
{
	struct session s;
	char *p;
};

FIXTURE_SETUP(split)
{
	u64 start, size = 0, flags;
	char bdf[BDF_LEN];
	unsigned int i;

	OURS_ONLY();
	for (i = 0; size < GIGA; i++) {
		if (sysfs_find(0x1af4, 0x1110, i, bdf))
			SKIP(return, "no ivshmem of 1 GiB in this machine");
		ASSERT_EQ(0, sysfs_resource(bdf, 2, &start, &size, &flags));
	}
	ASSERT_EQ(0, session_open(&self->s, bdf));
	self->p = bar_map_aligned(self->s.fd, 2, GIGA, GIGA);
	ASSERT_NE(NULL, self->p);
	mmio_write32(self->p, 0, 0x12345678);
	mmio_write32(self->p, GIGA - 4, 0x9abcdef0);
}

FIXTURE_TEARDOWN(split)
{
	session_close(&self->s);
}

#define EXPECT_ENDS() do {								\
	u32 val_;									\
											\
	ASSERT_EQ(0, mmio_peek32((u32 *)self->p, &val_));				\
	EXPECT_EQ(0x12345678, val_);							\
	ASSERT_EQ(0, mmio_peek32((u32 *)(self->p + GIGA - 4), &val_));			\
	EXPECT_EQ(0x9abcdef0, val_);							\
} while (0)

TEST_F(split, page_unmapped)
{
	ASSERT_EQ(0, munmap(self->p + GIGA / 2 + PAGE, PAGE));
	EXPECT_ENDS();
}

TEST_F(split, large_page_unmapped)
{
	ASSERT_EQ(0, munmap(self->p + GIGA / 2, MEGA2));
	EXPECT_ENDS();
}

TEST_F(split, page_protected)
{
	u32 val;

	ASSERT_EQ(0, mprotect(self->p + GIGA / 2 + PAGE, PAGE, PROT_READ));
	EXPECT_ENDS();
	EXPECT_EQ(0, mmio_peek32((u32 *)(self->p + GIGA / 2 + PAGE), &val));
}

TEST_F(split, page_moved)
{
	char *q = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	u32 val;

	ASSERT_NE(MAP_FAILED, q);
	mmio_write32(self->p, GIGA / 2 + PAGE, 0x5a5a5a5a);
	q = mremap(self->p + GIGA / 2 + PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q);
	ASSERT_NE(MAP_FAILED, q);
	ASSERT_EQ(0, mmio_peek32((u32 *)q, &val));
	EXPECT_EQ(0x5a5a5a5a, val);
	EXPECT_ENDS();
}

TEST_HARNESS_MAIN
