// SPDX-License-Identifier: GPL-2.0-only
/*
 * Operations of the kernel's mm on populated mappings of a BAR, with each page size: on a whole
 * mapping and on parts, by the process that mapped it and by a child. The rest of the mapping stays
 * at the same offset of the BAR, the removed part is inaccessible, and nobody can access the device
 * at any address while memory decode is off.
 *
 * With pages of 1 GiB, this must not run on the in-tree driver. The kernel's mm (7.3) does not
 * check for a page of that size when it splits a VMA at an address that is not a multiple of 2 MiB:
 * mm_find_pmd() takes the device's memory for a page table, which crashes the kernel. Nor does it
 * check when it moves one: move_page_tables() clears the "bad pud", but the page stays in the TLB.
 * And with CONFIG_DEBUG_VM, pudp_invalidate() warns about one that has been PROT_NONE. Our driver
 * must remove the page from the table first (open, may_split, mprotect).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/harness.h"
#include "lib/region.h"

#define PAGE 0x1000ul
#define MEGA2 (2ul << 20)
#define GIGA (1ul << 30)

#ifndef SYS_mseal
#define SYS_mseal 462
#endif

#define GRACE "/sys/module/vfio_iommufd/parameters/release_grace_ms"

/* A mapping of ivshmem's BAR 2, from its beginning, and the part of it that is operated on. */
struct mapping {
	int fd;
	char *home;
	size_t len;
	char *away;	/* more room than that, at a multiple of 1 GiB */
	size_t off;	/* of the part */
	size_t size;
	char *to;	/* where it has been moved to */
};

/* The state of the part after a successful operation */
enum after {
	SAME,
	READ_ONLY,
	NO_ACCESS,
	MOVED,
};

/* First and last words of pages at the edges of all parts, which contain their inverted offset. */
static size_t mark(const struct mapping *m, int i)
{
	const size_t mid = m->len / 2;
	const size_t marks[] = {
		0, PAGE - 4, PAGE, mid - 4, mid, mid + PAGE - 4, mid + PAGE, mid + 2 * PAGE - 4,
		mid + 2 * PAGE, mid + MEGA2 - 4, mid + MEGA2, m->len - 4
	};

	return marks[i];
}

#define MARKS 12

static u32 marked(size_t off)
{
	return ~(u32)off;
}

/* Number of wrong marks in a mapping whose part is in the state @what */
static int wrong_marks(const struct mapping *m, enum after what, bool decode)
{
	int i, err, wrong = 0;

	for (i = 0; i < MARKS; i++) {
		size_t off = mark(m, i);
		bool inside = off - m->off < m->size;
		int want = decode ? 0 : -EFAULT;
		char *at = m->home + off;
		u32 val = 0;

		if (inside && what == MOVED) {
			err = mmio_peek32(at, &val);
			if (err != -ENOMEM) {
				printf("# offset %#zx: left behind (%d)\n", off, err);
				wrong++;
			}
			at = m->to + (off - m->off);
		} else if (inside && what == NO_ACCESS) {
			want = -ENOMEM;
		}
		err = mmio_peek32(at, &val);
		if (err != want || (!err && val != marked(off))) {
			printf("# offset %#zx: read %d, %#x\n", off, err, val);
			wrong++;
		}
		if (inside && what == READ_ONLY)
			want = -ENOMEM;
		err = mmio_poke32(at, marked(off));
		if (err != want) {
			printf("# offset %#zx: written %d\n", off, err);
			wrong++;
		}
	}
	return wrong;
}

static int do_munmap(struct mapping *m)
{
	return munmap(m->home + m->off, m->size) ? -errno : 0;
}

static int map_over(struct mapping *m)
{
	return mmap(m->home + m->off, m->size, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) == MAP_FAILED ?
	       -errno : 0;
}

static int protect(struct mapping *m, int prot)
{
	return mprotect(m->home + m->off, m->size, prot) ? -errno : 0;
}

static int protect_read(struct mapping *m)
{
	return protect(m, PROT_READ);
}

static int protect_none(struct mapping *m)
{
	return protect(m, PROT_NONE);
}

static int protect_read_and_back(struct mapping *m)
{
	return protect(m, PROT_READ) ?: protect(m, PROT_READ | PROT_WRITE);
}

static int protect_none_and_back(struct mapping *m)
{
	return protect(m, PROT_NONE) ?: protect(m, PROT_READ | PROT_WRITE);
}

static int move(struct mapping *m, size_t by)
{
	m->to = mremap(m->home + m->off, m->size, m->size, MREMAP_MAYMOVE | MREMAP_FIXED,
		       m->away + by);
	return m->to == MAP_FAILED ? -errno : 0;
}

static int move_to_giga(struct mapping *m)
{
	return move(m, 0);
}

static int move_to_mega(struct mapping *m)
{
	return move(m, MEGA2);
}

static int move_to_page(struct mapping *m)
{
	return move(m, PAGE);
}

static int move_and_back(struct mapping *m)
{
	int err = move(m, PAGE);

	if (!err && mremap(m->to, m->size, m->size, MREMAP_MAYMOVE | MREMAP_FIXED,
			   m->home + m->off) == MAP_FAILED)
		err = -errno;
	return err;
}

/* The part before it stays, which must be at least a page. */
static int shrink(struct mapping *m)
{
	if (!m->off) {
		m->off += PAGE;
		m->size -= PAGE;
	}
	return mremap(m->home + m->off - PAGE, m->size + PAGE, PAGE, 0) == MAP_FAILED ? -errno : 0;
}

static int remap_refused(struct mapping *m, size_t from, size_t to, int flags, int error)
{
	return mremap(m->home + m->off, from, to, MREMAP_MAYMOVE | flags, m->away) != MAP_FAILED ||
	       errno != error;
}

/* It would be beyond the end of the BAR, or be duplicated, or anonymous memory. */
static int remap_otherwise(struct mapping *m)
{
	return remap_refused(m, m->size, m->size + PAGE, 0, EFAULT) +
	       remap_refused(m, 0, m->size, 0, EFAULT) +
	       remap_refused(m, m->size, m->size, MREMAP_DONTUNMAP, EINVAL);
}

static int map_same_again(struct mapping *m)
{
	return remap_file_pages(m->home + m->off, m->size, 0,
				(region_offset(2) + m->off) / PAGE, 0) ? -errno : 0;
}

static int lock(struct mapping *m)
{
	char *at = m->home + m->off;

	return mlock(at, m->size) || mlock2(at, m->size, MLOCK_ONFAULT) || munlock(at, m->size) ?
	       -errno : 0;
}

/* All kinds of advice, and some more: none of them removes the pages for good. */
#define ADVICE 32

static int advise(struct mapping *m)
{
	int i;

	for (i = 0; i < ADVICE; i++)
		madvise(m->home + m->off, m->size, i);
	return madvise(m->home + m->off, m->size, MADV_DONTNEED) ? -errno : 0;
}

static int advise_by_pidfd(struct mapping *m)
{
	struct iovec iov = { .iov_base = m->home + m->off, .iov_len = m->size };
	int fd = syscall(SYS_pidfd_open, getpid(), 0), i;

	if (fd < 0)
		return -errno;
	for (i = 0; i < ADVICE; i++)
		syscall(SYS_process_madvise, fd, &iov, 1, i, 0);
	close(fd);
	return 0;
}

static int not_for_children(struct mapping *m)
{
	int status;
	pid_t pid;

	if (madvise(m->home + m->off, m->size, MADV_DONTFORK))
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid)
		_exit(!!wrong_marks(m, NO_ACCESS, true));
	waitpid(pid, &status, 0);
	return status;
}

/* Pages of a BAR cannot be provided by userfaultfd. */
static int userfault(struct mapping *m)
{
	const u64 modes[] = {
		UFFDIO_REGISTER_MODE_MISSING, UFFDIO_REGISTER_MODE_WP, UFFDIO_REGISTER_MODE_MINOR
	};
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_WP_ASYNC };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC), err = 0;
	size_t i;

	if (fd < 0)
		return 0;
	ioctl(fd, UFFDIO_API, &api);
	for (i = 0; i < LIB_ARRAY_SIZE(modes); i++) {
		struct uffdio_register reg = {
			.range = { .start = (uintptr_t)m->home + m->off, .len = m->size },
			.mode = modes[i],
		};

		err |= !ioctl(fd, UFFDIO_REGISTER, &reg) || errno != EINVAL;
	}
	close(fd);
	return err;
}

/* Walk the page table, and read information on all pages. */
static int look_through(struct mapping *m)
{
	static const char *const files[] = { "smaps", "numa_maps", "pagemap" };
	static char buf[1 << 16];
	/* Static, as an allocation could be placed where others expect the BAR. */
	static unsigned char there[GIGA / PAGE];
	char path[32];
	size_t i;
	int fd;

	mincore(m->home + m->off, m->size, there);
	msync(m->home + m->off, m->size, MS_SYNC | MS_INVALIDATE);
	sysfs_write("1", "/proc/self/clear_refs");
	for (i = 0; i < LIB_ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "/proc/self/%s", files[i]);
		fd = open(path, O_RDONLY);
		if (fd < 0)
			continue;
		/* For pagemap, as far as it is filled; the others are read from the beginning. */
		if (i == 2)
			lseek(fd, (uintptr_t)m->home / PAGE * 8, SEEK_SET);
		if (read(fd, buf, sizeof(buf)) < 0)
			return -errno;
		close(fd);
	}
	return 0;
}

static const struct op {
	const char *name;
	int (*fn)(struct mapping *m);
	int result;
	enum after after;
} ops[] = {
	{ "munmap", do_munmap, 0, NO_ACCESS },
	{ "mmap over it", map_over, 0, NO_ACCESS },
	{ "mprotect to read-only", protect_read, 0, READ_ONLY },
	{ "mprotect to nothing", protect_none, 0, NO_ACCESS },
	{ "mprotect to read-only and back", protect_read_and_back, 0, SAME },
	{ "mprotect to nothing and back", protect_none_and_back, 0, SAME },
	{ "mremap to 1 GiB", move_to_giga, 0, MOVED },
	{ "mremap to 2 MiB", move_to_mega, 0, MOVED },
	{ "mremap to a page", move_to_page, 0, MOVED },
	{ "mremap and back", move_and_back, 0, SAME },
	{ "mremap to less", shrink, 0, NO_ACCESS },
	{ "mremap otherwise", remap_otherwise, 0, SAME },
	{ "remap_file_pages", map_same_again, 0, SAME },
	{ "mlock", lock, 0, SAME },
	{ "madvise", advise, -EINVAL, SAME },
	{ "process_madvise", advise_by_pidfd, 0, SAME },
	{ "MADV_DONTFORK", not_for_children, 0, SAME },
	{ "userfaultfd", userfault, 0, SAME },
	{ "walks", look_through, 0, SAME },
};

/* The parts: all of it, halves, 2 MiB, a page */
static void choose_part(struct mapping *m, int part)
{
	const size_t mid = m->len / 2;
	const size_t parts[][2] = {
		{ 0, m->len }, { 0, mid }, { mid, mid }, { mid, MEGA2 }, { mid + PAGE, PAGE },
	};

	m->off = parts[part][0];
	m->size = parts[part][1];
}

#define PARTS 5

FIXTURE(mapping)
{
	struct session s;
	struct mapping m;
	char *room;
};

FIXTURE_VARIANT(mapping)
{
	u64 page;
	u64 len;
};

FIXTURE_VARIANT_ADD(mapping, pages_of_4k) { .page = PAGE, .len = 4 * MEGA2 };
FIXTURE_VARIANT_ADD(mapping, pages_of_2m) { .page = MEGA2, .len = 4 * MEGA2 };
FIXTURE_VARIANT_ADD(mapping, pages_of_1g) { .page = GIGA, .len = GIGA };

#define ROOM (4 * GIGA)

FIXTURE_SETUP(mapping)
{
	u64 start, size = 0, flags;
	char bdf[BDF_LEN], *first;
	unsigned int i;

	if (variant->page == GIGA)
		OURS_ONLY();
	for (i = 0; size < variant->len; i++) {
		if (sysfs_find(0x1af4, 0x1110, i, bdf))
			SKIP(return, "no ivshmem of this size in this machine");
		ASSERT_EQ(0, sysfs_resource(bdf, 2, &start, &size, &flags));
	}
	ASSERT_EQ(0, session_open(&self->s, bdf));
	self->room = mmap(NULL, ROOM, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			  0);
	ASSERT_NE(MAP_FAILED, self->room);
	first = (char *)(((uintptr_t)self->room + GIGA - 1) & ~(GIGA - 1));
	self->m = (struct mapping){
		.fd = self->s.fd,
		/* An address where large pages fit, or not. */
		.home = first + (variant->page == PAGE ? PAGE : 0),
		.len = variant->len,
		.away = first + GIGA,
	};
}

FIXTURE_TEARDOWN(mapping)
{
	session_close(&self->s);
}

/* Make a new, populated mapping. */
#define MAP_ANEW() do {									\
	int i_;										\
											\
	ASSERT_EQ(self->room, mmap(self->room, ROOM, PROT_NONE, MAP_PRIVATE |		\
				   MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0));	\
	ASSERT_EQ(self->m.home, mmap(self->m.home, self->m.len, PROT_READ | PROT_WRITE,	\
				     MAP_SHARED | MAP_FIXED, self->m.fd,		\
				     region_offset(2)));				\
	for (i_ = 0; i_ < MARKS; i_++)							\
		mmio_write32(self->m.home, mark(&self->m, i_), marked(mark(&self->m, i_)));	\
} while (0)

static int decode(struct mapping *m, bool on)
{
	return config_update(m->fd, PCI_COMMAND, 2, on ? 0 : PCI_COMMAND_MEMORY,
			     on ? PCI_COMMAND_MEMORY : 0);
}

static int operate(struct mapping *m, const struct op *op)
{
	int result = op->fn(m), wrong = 0;

	if (result != op->result) {
		printf("# returned %d\n", result);
		wrong++;
	}
	wrong += wrong_marks(m, op->after, true);
	wrong += !!decode(m, false);
	wrong += wrong_marks(m, op->after, false);
	wrong += !!decode(m, true);
	return wrong + wrong_marks(m, op->after, true);
}

TEST_F(mapping, operations)
{
	struct mapping *m = &self->m;
	int op, part, status;
	pid_t pid;

	for (op = 0; op < (int)LIB_ARRAY_SIZE(ops); op++) {
		for (part = 0; part < PARTS; part++) {
			MAP_ANEW();
			choose_part(m, part);
			EXPECT_EQ(0, operate(m, &ops[op])) {
				TH_LOG("%s, part %d", ops[op].name, part);
			}

			MAP_ANEW();
			choose_part(m, part);
			pid = fork();
			ASSERT_LE(0, pid);
			if (!pid)
				_exit(operate(m, &ops[op]));
			ASSERT_EQ(pid, waitpid(pid, &status, 0));
			EXPECT_EQ(0, status);
			EXPECT_EQ(0, wrong_marks(m, SAME, true)) {
				TH_LOG("%s, part %d, in a child", ops[op].name, part);
			}
		}
	}
}

/* A sealed mapping also becomes inaccessible. */
TEST_F(mapping, sealed)
{
	struct mapping *m = &self->m;
	int part, i, status;
	pid_t pid;

	for (part = 0; part < PARTS; part++) {
		MAP_ANEW();
		choose_part(m, part);
		/* It cannot be removed before the process ends. */
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			if (syscall(SYS_mseal, m->home + m->off, m->size, 0))
				_exit(KSFT_FAIL);
			for (i = 0; i < (int)LIB_ARRAY_SIZE(ops); i++) {
				const struct op seal = { ops[i].name, ops[i].fn, -EPERM, SAME };

				if (ops[i].after == SAME)
					continue;
				choose_part(m, part);
				/* A page of the part remains. */
				if (ops[i].fn == shrink)
					continue;
				EXPECT_EQ(0, operate(m, &seal)) {
					TH_LOG("%s, part %d", seal.name, part);
				}
			}
			_exit(_metadata->exit_code);
		}
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(0, status);
		EXPECT_EQ(0, wrong_marks(m, SAME, true));
	}
}

/* The host takes the device back, with mappings moved, split and inherited. */
TEST_F(mapping, taken_away)
{
	struct mapping *m = &self->m;
	int ready[2], go[2], status;
	struct session next;
	char grace[32], c;
	pid_t pid;

	OURS_ONLY();
	MAP_ANEW();
	ASSERT_EQ(0, pipe(ready));
	ASSERT_EQ(0, pipe(go));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		choose_part(m, 0);
		ASSERT_EQ(0, wrong_marks(m, SAME, true));
		ASSERT_EQ(0, move_to_giga(m));
		ASSERT_EQ(0, wrong_marks(m, MOVED, true));
		ASSERT_EQ(1, write(ready[1], "", 1));
		ASSERT_EQ(1, read(go[0], &c, 1));
		_exit(wrong_marks(m, MOVED, false));
	}
	ASSERT_EQ(1, read(ready[0], &c, 1));
	choose_part(m, 4);
	ASSERT_EQ(0, move_to_page(m));
	ASSERT_EQ(0, wrong_marks(m, MOVED, true));

	ASSERT_LT(0, sysfs_read(grace, sizeof(grace), GRACE));
	ASSERT_EQ(0, sysfs_write("0", GRACE));
	EXPECT_EQ(0, sysfs_unbind(self->s.bdf));
	EXPECT_EQ(0, sysfs_write(grace, GRACE));
	EXPECT_EQ(0, wrong_marks(m, MOVED, false));
	ASSERT_EQ(0, sysfs_rebind(self->s.bdf));
	ASSERT_EQ(0, session_open(&next, self->s.bdf));
	EXPECT_EQ(0, wrong_marks(m, MOVED, false));
	ASSERT_EQ(1, write(go[1], "", 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	session_close(&next);
}

/* The same while threads access it, and one turns memory decode off and on */
struct crowd {
	struct mapping m;
	bool stop;
	int reached;
};

static bool crowd_goes_on(struct crowd *c)
{
	return !__atomic_load_n(&c->stop, __ATOMIC_RELAXED);
}

static void *crowd_touches(void *arg)
{
	struct crowd *c = arg;
	u32 val;
	int i;

	while (crowd_goes_on(c)) {
		for (i = 0; i < MARKS; i++) {
			size_t off = mark(&c->m, i);

			if (!mmio_peek32(c->m.home + off, &val) && val != marked(off))
				__atomic_add_fetch(&c->reached, 1, __ATOMIC_RELAXED);
			mmio_peek32(c->m.away + off, &val);
		}
	}
	return NULL;
}

static void *crowd_decodes(void *arg)
{
	struct crowd *c = arg;
	u32 val;
	int i;

	while (crowd_goes_on(c)) {
		decode(&c->m, false);
		for (i = 0; i < MARKS; i++)
			if (!mmio_peek32(c->m.home + mark(&c->m, i), &val) ||
			    !mmio_peek32(c->m.away + mark(&c->m, i), &val)) {
				printf("# reached mark %d, %#x\n", i, val);
				__atomic_add_fetch(&c->reached, 1, __ATOMIC_RELAXED);
			}
		decode(&c->m, true);
	}
	return NULL;
}

TEST_F(mapping, all_at_once)
{
	void *(*const fn[])(void *) = { crowd_touches, crowd_touches, crowd_decodes };
	struct crowd c = { .m = self->m };
	struct mapping *m = &self->m;
	pthread_t thread[3];
	int i, op, status;
	pid_t pid;

	MAP_ANEW();
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, fn[i], &c));
	for (op = 0; op < (int)LIB_ARRAY_SIZE(ops); op++) {
		/* It accesses the BAR, which another thread may be turning off. */
		if (ops[op].fn == not_for_children)
			continue;
		for (i = 0; i < PARTS; i++) {
			ASSERT_EQ(m->home, mmap(m->home, m->len, PROT_READ | PROT_WRITE,
						MAP_SHARED | MAP_FIXED, m->fd, region_offset(2)));
			choose_part(m, i);
			pid = fork();
			ASSERT_LE(0, pid);
			if (!pid) {
				ops[op].fn(m);
				_exit(0);
			}
			EXPECT_EQ(ops[op].result, ops[op].fn(m));
			ASSERT_EQ(pid, waitpid(pid, &status, 0));
			EXPECT_EQ(0, status);
		}
	}
	__atomic_store_n(&c.stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	EXPECT_EQ(0, c.reached);
}

static bool soft_dirty_is_tracked(void)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	u64 entry = 0;
	ssize_t n;

	n = pread(fd, &entry, sizeof(entry), (uintptr_t)&entry / PAGE * 8);
	close(fd);
	return n == sizeof(entry) && entry & 1ull << 55;
}

/*
 * With tracking of a program's writes (soft-dirty, as in CRIU), new pages are read-only until the
 * first write. With large pages, that write never completes on the in-tree driver: the fault does
 * not change the page, and so repeats for ever.
 */
TEST_F(mapping, writes_tracked)
{
	const struct rlimit cpu = { .rlim_cur = 10, .rlim_max = 10 };
	struct mapping *m = &self->m;
	int status;
	pid_t pid;

	if (variant->page != PAGE)
		OURS_ONLY();
	if (!soft_dirty_is_tracked())
		SKIP(return, "this kernel does not support that");
	MAP_ANEW();
	choose_part(m, 0);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		/* In case it faults for ever */
		ASSERT_EQ(0, setrlimit(RLIMIT_CPU, &cpu));
		ASSERT_EQ(0, sysfs_write("4", "/proc/self/clear_refs"));
		ASSERT_EQ(0, decode(m, false));
		ASSERT_EQ(0, decode(m, true));
		ASSERT_EQ(0, mmio_poke32(m->home, marked(0)));
		_exit(wrong_marks(m, SAME, true));
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

TEST_HARNESS_MAIN
