// SPDX-License-Identifier: GPL-2.0-only
/*
 * A part of a page of 1 GiB is unmapped, or all of it moves. The kernel's mm (7.3) does not check
 * for a page of that size when it splits a VMA at an address that is not a multiple of 2 MiB:
 * mm_find_pmd() takes the device's memory for a page table, which crashes the kernel. Nor does it
 * check when it moves one: move_page_tables() clears the "bad pud", but the page stays in the TLB.
 * The in-tree driver does not prevent this, so this must not run there; ours must remove the page
 * from the table first (may_split, open).
 */
#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>
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

/*
 * Move all of it to @to bytes after a multiple of 1 GiB. While memory decode is off, the device
 * must not be accessible at either address.
 */
static void move_whole(struct __test_metadata *const _metadata, struct session *s, char *p,
		       size_t to)
{
	char *hole, *q;
	u32 val;

	hole = mmap(NULL, 3 * GIGA, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, hole);
	/* A child's TLB does not contain it yet. */
	ASSERT_EQ(0, mmio_peek32((u32 *)p, &val));
	q = (char *)(((uintptr_t)hole + GIGA - 1) & ~(GIGA - 1)) + to;
	ASSERT_EQ(q, mremap(p, GIGA, GIGA, MREMAP_MAYMOVE | MREMAP_FIXED, q));

	EXPECT_EQ(-ENOMEM, mmio_peek32((u32 *)p, &val));
	EXPECT_EQ(-ENOMEM, mmio_peek32((u32 *)(p + GIGA - 4), &val));
	ASSERT_EQ(0, mmio_peek32((u32 *)q, &val));
	EXPECT_EQ(0x12345678, val);
	ASSERT_EQ(0, mmio_peek32((u32 *)(q + GIGA - 4), &val));
	EXPECT_EQ(0x9abcdef0, val);

	ASSERT_EQ(0, config_update(s->fd, PCI_COMMAND, 2, PCI_COMMAND_MEMORY, 0));
	EXPECT_EQ(-ENOMEM, mmio_peek32((u32 *)p, &val));
	EXPECT_EQ(-EFAULT, mmio_peek32((u32 *)q, &val));
	ASSERT_EQ(0, config_update(s->fd, PCI_COMMAND, 2, 0, PCI_COMMAND_MEMORY));
	ASSERT_EQ(0, mmio_peek32((u32 *)q, &val));
	EXPECT_EQ(0x12345678, val);
}

TEST_F(split, all_moved)
{
	move_whole(_metadata, &self->s, self->p, 0);
}

TEST_F(split, all_moved_by_a_large_page)
{
	move_whole(_metadata, &self->s, self->p, MEGA2);
}

TEST_F(split, all_moved_by_a_page)
{
	move_whole(_metadata, &self->s, self->p, PAGE);
}

/* If the child moves its mapping, the parent's is not affected. */
TEST_F(split, child_moves_all)
{
	pid_t child = fork();
	int status;

	ASSERT_LE(0, child);
	if (!child) {
		move_whole(_metadata, &self->s, self->p, 0);
		_exit(_metadata->exit_code);
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(KSFT_PASS, WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	EXPECT_ENDS();
}

TEST_HARNESS_MAIN
