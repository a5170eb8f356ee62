// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA-bufs of BARs: what can be exported, and DMA from one device into another's BAR, as long as
 * that BAR can be accessed.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/config.h"
#include "lib/dmabuf.h"
#include "lib/edu.h"
#include "lib/harness.h"
#include "lib/iommufd.h"
#include "lib/nvme.h"
#include "lib/region.h"

#define PAGE 0x1000ull
#define IOVA 0x1000000ull
#define NUM_BARS 6

/* For our memory, after the largest mapping of a BAR in here; edu has 28 address bits. */
#define SCRATCH 0xc000000ull

/* Bit of a line of sysfs's resource file. */
#define RES_IO 0x00000100

/* PCIe r6.2 7.5.2.2 */
#define PM_D3HOT 3

#define DMA_BUF VFIO_DEVICE_FEATURE_DMA_BUF
#define GET VFIO_DEVICE_FEATURE_GET
#define SET VFIO_DEVICE_FEATURE_SET
#define PROBE VFIO_DEVICE_FEATURE_PROBE

/* What can be exported, of any device. */
FIXTURE(export)
{
	struct session s;
	struct {
		u64 start;
		u64 size;
		u64 flags;
	} res[NUM_BARS];
	/* A memory BAR of at least a page. */
	int bar;
};

FIXTURE_VARIANT(export)
{
	enum test_device dev;
};

FIXTURE_ALL_DEVICES(export);

FIXTURE_SETUP(export)
{
	int i;

	SETUP_SESSION(&self->s, variant->dev);
	self->bar = -1;
	for (i = NUM_BARS - 1; i >= 0; i--) {
		ASSERT_EQ(0, sysfs_resource(self->s.bdf, i, &self->res[i].start,
					    &self->res[i].size, &self->res[i].flags));
		if (self->res[i].size >= PAGE && !(self->res[i].flags & RES_IO))
			self->bar = i;
	}
	ASSERT_LE(0, self->bar);
}

FIXTURE_TEARDOWN(export)
{
	session_close(&self->s);
}

static int feature(int fd, u32 flags)
{
	struct vfio_device_feature f = { .argsz = sizeof(f), .flags = flags };

	return vfio_ioctl(fd, VFIO_DEVICE_FEATURE, &f);
}

TEST_F(export, probe)
{
	EXPECT_EQ(0, feature(self->s.fd, PROBE | DMA_BUF));
	EXPECT_EQ(0, feature(self->s.fd, PROBE | GET | DMA_BUF));
	EXPECT_EQ(-EINVAL, feature(self->s.fd, PROBE | SET | DMA_BUF));
	EXPECT_EQ(-EINVAL, feature(self->s.fd, SET | DMA_BUF));
	EXPECT_EQ(-EINVAL, feature(self->s.fd, GET | DMA_BUF));
	EXPECT_EQ(-EINVAL, feature(self->s.fd, DMA_BUF));
}

TEST_F(export, each_bar)
{
	int i, fd;

	for (i = 0; i < VFIO_PCI_NUM_REGIONS + 2; i++) {
		u64 size = i < NUM_BARS ? self->res[i].size : 0;

		fd = dmabuf_export(self->s.fd, i, 0, size ? size : PAGE);
		if (!size) {
			EXPECT_EQ(-ENODEV, fd)
				TH_LOG("region %d", i);
			continue;
		}
		/* Ports, and BARs smaller than a page. */
		if (self->res[i].flags & RES_IO || size < PAGE) {
			EXPECT_EQ(-EINVAL, fd)
				TH_LOG("BAR %d", i);
			EXPECT_EQ(-EINVAL, dmabuf_export(self->s.fd, i, 0, PAGE));
			continue;
		}
		ASSERT_LE(0, fd);
		EXPECT_EQ(size, lseek(fd, 0, SEEK_END));
		EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
		EXPECT_EQ(O_RDWR, fcntl(fd, F_GETFL) & O_ACCMODE);
		/* The CPU cannot map it, as it can map the BAR itself. */
		EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0));
		EXPECT_EQ(0, close(fd));
	}
	EXPECT_EQ(-ENODEV, dmabuf_export(self->s.fd, ~0u, 0, PAGE));
}

/* Any fd may be returned, even 0, which means success for other ioctls. */
TEST_F(export, file_descriptor)
{
	const struct vfio_region_dma_range range = { .length = PAGE };
	struct vfio_device_feature_dma_buf get = {
		.region_index = self->bar,
		.open_flags = O_RDONLY,
		.nr_ranges = 1,
	};
	struct rlimit old, none = { 0 };
	int in = dup(0), fd;

	fd = dmabuf_export_raw(self->s.fd, 0, &get, &range);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, fcntl(fd, F_GETFD));
	EXPECT_EQ(O_RDONLY, fcntl(fd, F_GETFL) & O_ACCMODE);
	close(fd);

	close(0);
	EXPECT_EQ(0, dmabuf_export_raw(self->s.fd, 0, &get, &range));
	EXPECT_EQ(PAGE, lseek(0, 0, SEEK_END));
	dup2(in, 0);

	/* When there is none left. */
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &old));
	none.rlim_max = old.rlim_max;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	EXPECT_EQ(-EMFILE, dmabuf_export_raw(self->s.fd, 0, &get, &range));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &old));
	fd = dmabuf_export_raw(self->s.fd, 0, &get, &range);
	EXPECT_LE(0, fd);
	close(fd);
}

TEST_F(export, bad_ranges)
{
	const u64 size = self->res[self->bar].size;
	const struct vfio_region_dma_range bad[] = {
		{ 0, 0 },
		{ 0, size + PAGE },
		{ size, PAGE },
		{ size - PAGE, 2 * PAGE },
		{ 1, PAGE },
		{ 0, PAGE - 1 },
		{ 0, PAGE + 8 },
		{ PAGE / 2, PAGE / 2 },
		{ size + (1ull << 40), PAGE },
		{ 1ull << 63, PAGE },
		{ 0, 1ull << 63 },
		{ PAGE, -PAGE },
	};
	/* In-tree misses sums of these that overflow, although no single range does. */
	const struct vfio_region_dma_range wraps[] = {
		{ -PAGE, PAGE },
		{ -PAGE, 2 * PAGE },
	};
	struct vfio_region_dma_range two[2] = { { 0, PAGE } };
	struct vfio_device_feature_dma_buf get = { .region_index = self->bar, .nr_ranges = 1 };
	size_t i;
	int ret;

	for (i = 0; i < LIB_ARRAY_SIZE(bad); i++) {
		get.nr_ranges = 1;
		EXPECT_EQ(-EINVAL, dmabuf_export_raw(self->s.fd, 0, &get, &bad[i]))
			TH_LOG("%#llx at %#llx", bad[i].length, bad[i].offset);
		get.nr_ranges = 2;
		two[1] = bad[i];
		EXPECT_EQ(-EINVAL, dmabuf_export_raw(self->s.fd, 0, &get, two));
	}
	get.nr_ranges = 1;
	for (i = 0; i < LIB_ARRAY_SIZE(wraps); i++) {
		ret = dmabuf_export_raw(self->s.fd, 0, &get, &wraps[i]);
		EXPECT_TRUE(ret == -EINVAL || ret == -EOVERFLOW);
	}
}

TEST_F(export, bad_struct)
{
	const struct vfio_region_dma_range range[2] = { { 0, PAGE }, { 0, PAGE } };
	const u32 fixed = sizeof(struct vfio_device_feature) +
			  sizeof(struct vfio_device_feature_dma_buf);
	struct vfio_device_feature_dma_buf get = { .region_index = self->bar };
	struct vfio_device_feature *f;
	char *p;

	EXPECT_EQ(-EINVAL, dmabuf_export_raw(self->s.fd, 0, &get, range));
	get.nr_ranges = 1;
	get.flags = 1;
	EXPECT_EQ(-EINVAL, dmabuf_export_raw(self->s.fd, 0, &get, range));
	get.flags = 1u << 31;
	EXPECT_EQ(-EINVAL, dmabuf_export_raw(self->s.fd, 0, &get, range));
	get.flags = 0;
	EXPECT_EQ(-EINVAL, dmabuf_export_raw(self->s.fd, fixed - 1, &get, range));

	/* It ends at the end of the mapping. */
	p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, mprotect(p + PAGE, PAGE, PROT_NONE));
	f = (void *)(p + PAGE - fixed);
	f->argsz = fixed + sizeof(range);
	f->flags = GET | DMA_BUF;
	get.nr_ranges = 2;
	memcpy(f->data, &get, sizeof(get));
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->s.fd, VFIO_DEVICE_FEATURE, f));
	f = (void *)(p + PAGE - 12);
	f->argsz = fixed + sizeof(range);
	f->flags = GET | DMA_BUF;
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->s.fd, VFIO_DEVICE_FEATURE, f));

	/* It need not be writable. */
	f = (void *)p;
	f->argsz = fixed + sizeof(range);
	f->flags = GET | DMA_BUF;
	memcpy(f->data, &get, sizeof(get));
	memcpy(f->data + sizeof(get), range, sizeof(range));
	ASSERT_EQ(0, mprotect(p, PAGE, PROT_READ));
	EXPECT_LE(0, vfio_ioctl(self->s.fd, VFIO_DEVICE_FEATURE, f));
}

/* The in-tree driver does not compare the ranges with argsz. */
TEST_F(export, too_many_ranges)
{
	static const u32 counts[] = { 2, 3, 1100, 0x10000000, 0x10000001, 0x7fffffff, ~0u };
	const u32 fixed = sizeof(struct vfio_device_feature) +
			  sizeof(struct vfio_device_feature_dma_buf);
	struct vfio_device_feature_dma_buf get = { .region_index = self->bar };
	struct vfio_region_dma_range *range = calloc(DMABUF_MAX_RANGES, sizeof(*range));
	size_t i;
	int fd;

	OURS_ONLY();
	for (i = 0; i < DMABUF_MAX_RANGES; i++)
		range[i].length = PAGE;
	for (i = 0; i < LIB_ARRAY_SIZE(counts); i++) {
		get.nr_ranges = counts[i];
		EXPECT_EQ(-EINVAL, dmabuf_export_raw(self->s.fd, fixed + 16, &get, range));
		if (counts[i] > 3)
			EXPECT_EQ(-EINVAL, dmabuf_export_raw(self->s.fd, ~0u, &get, range));
	}
	get.nr_ranges = 1000;
	fd = dmabuf_export_raw(self->s.fd, 0, &get, range);
	ASSERT_LE(0, fd);
	EXPECT_EQ(1000 * PAGE, lseek(fd, 0, SEEK_END));
	close(fd);
	free(range);
}

/*
 * edu writes into the memory of ivshmem: here, they have separate owners, as if in two processes.
 */
FIXTURE(peer)
{
	struct session edu;
	struct session mem;
	void *regs;
	u8 *bar;
	u64 size;
	int dmabuf;
};

#define SETUP_EDU(self) do {							\
	SETUP_SESSION(&(self)->edu, DEV_EDU);					\
	ASSERT_EQ(0, config_master((self)->edu.fd, true));			\
	(self)->regs = bar_map((self)->edu.fd, 0, 0, 0);			\
	ASSERT_NE(NULL, (self)->regs);						\
} while (0)

FIXTURE_SETUP(peer)
{
	struct vfio_region_info info;

	self->edu.fd = -1;
	self->edu.iommufd = -1;
	self->mem.fd = -1;
	self->mem.iommufd = -1;
	self->dmabuf = -1;
	SETUP_EDU(self);
	SETUP_SESSION(&self->mem, DEV_IVSHMEM);
	ASSERT_EQ(0, region_info(self->mem.fd, 2, &info));
	self->size = info.size;
	self->bar = bar_map(self->mem.fd, 2, 0, 0);
	ASSERT_NE(NULL, self->bar);
	self->dmabuf = dmabuf_export(self->mem.fd, 2, 0, self->size);
	ASSERT_LE(0, self->dmabuf);
}

FIXTURE_TEARDOWN(peer)
{
	close(self->dmabuf);
	session_close(&self->edu);
	session_close(&self->mem);
}

static int map_buf(struct session *edu, int dmabuf, u64 start, u64 len, u64 iova)
{
	return ioas_map_file(edu->iommufd, edu->ioas, dmabuf, start, len, iova);
}

/*
 * Let edu fetch @word and some more from our memory, and write them to @iova. Returns 1 if they
 * have arrived in the peer's memory at @at, 0 if not, or negative errno.
 */
static int lands(struct session *edu, void *regs, u64 iova, void *at, u32 word)
{
	u32 *mem = dma_alloc(PAGE), got, i, n = 0;
	int err;

	for (i = 0; i < 16; i++) {
		mem[i] = word + i;
		mmio_poke32((u32 *)at + i, 0);
	}
	err = ioas_map(edu->iommufd, edu->ioas, mem, PAGE, SCRATCH);
	if (!err)
		err = edu_read_memory(regs, SCRATCH, 0, 64);
	if (!err)
		err = ioas_unmap(edu->iommufd, edu->ioas, SCRATCH, PAGE);
	munmap(mem, PAGE);
	if (!err)
		err = edu_write_memory(regs, iova, 0, 64);
	if (err)
		return err;
	for (i = 0; i < 16; i++)
		n += !mmio_peek32((u32 *)at + i, &got) && got == word + i;
	return n == 16;
}

#define EXPECT_LANDS(self, iova, off, word)						\
	EXPECT_EQ(1, lands(&(self)->edu, (self)->regs, iova, (self)->bar + (off), word))
#define EXPECT_LOST(self, iova, off, word)						\
	EXPECT_EQ(0, lands(&(self)->edu, (self)->regs, iova, (self)->bar + (off), word))

TEST_F(peer, write_and_read)
{
	u32 *mem = dma_alloc(PAGE), i;

	ASSERT_EQ(0, map_buf(&self->edu, self->dmabuf, 0, self->size / 4, IOVA));
	EXPECT_LANDS(self, IOVA, 0, 0x11110000);
	EXPECT_LANDS(self, IOVA + 0x5040, 0x5040, 0x22220000);
	EXPECT_LANDS(self, IOVA + self->size / 4 - 64, self->size / 4 - 64, 0x33330000);

	/* And back, into the host's memory. */
	for (i = 0; i < 16; i++)
		mmio_write32(self->bar, 0x7000 + 4 * i, 0x44440000 + i);
	ASSERT_EQ(0, edu_read_memory(self->regs, IOVA + 0x7000, 0, 64));
	ASSERT_EQ(0, ioas_map(self->edu.iommufd, self->edu.ioas, mem, PAGE, SCRATCH));
	ASSERT_EQ(0, edu_write_memory(self->regs, SCRATCH, 0, 64));
	for (i = 0; i < 16; i++)
		EXPECT_EQ(0x44440000 + i, mem[i]);
	ASSERT_EQ(0, ioas_unmap(self->edu.iommufd, self->edu.ioas, SCRATCH, PAGE));

	ASSERT_EQ(0, ioas_unmap(self->edu.iommufd, self->edu.ioas, IOVA, self->size / 4));
	EXPECT_LOST(self, IOVA, 0, 0x55550000);
}

/* Export a part of the BAR, and map a part of the buffer. */
TEST_F(peer, parts)
{
	int fd = dmabuf_export(self->mem.fd, 2, 3 * PAGE, 5 * PAGE);

	ASSERT_LE(0, fd);
	EXPECT_EQ(-EINVAL, map_buf(&self->edu, fd, 0, 6 * PAGE, IOVA));
	EXPECT_EQ(-EINVAL, map_buf(&self->edu, fd, 5 * PAGE, PAGE, IOVA));
	EXPECT_NE(0, map_buf(&self->edu, fd, -PAGE, 2 * PAGE, IOVA));
	ASSERT_EQ(0, map_buf(&self->edu, fd, 2 * PAGE, 3 * PAGE, IOVA));
	EXPECT_LANDS(self, IOVA, 5 * PAGE, 0x11110000);
	EXPECT_LANDS(self, IOVA + 3 * PAGE - 64, 8 * PAGE - 64, 0x22220000);
	EXPECT_LOST(self, IOVA + 3 * PAGE, 8 * PAGE, 0x33330000);
	/* The mapping keeps the buffer. */
	close(fd);
	EXPECT_LANDS(self, IOVA, 5 * PAGE, 0x44440000);
	/* Twice, with the same memory. */
	ASSERT_EQ(0, map_buf(&self->edu, self->dmabuf, 5 * PAGE, PAGE, IOVA + 16 * PAGE));
	EXPECT_LANDS(self, IOVA + 16 * PAGE, 5 * PAGE, 0x55550000);
	EXPECT_LANDS(self, IOVA, 5 * PAGE, 0x66660000);
}

/* iommufd supports only one range. */
TEST_F(peer, two_ranges)
{
	const struct vfio_region_dma_range range[2] = { { 0, PAGE }, { 4 * PAGE, 2 * PAGE } };
	struct vfio_device_feature_dma_buf get = {
		.region_index = 2, .open_flags = O_RDWR | O_CLOEXEC, .nr_ranges = 2,
	};
	int fd = dmabuf_export_raw(self->mem.fd, 0, &get, range);

	ASSERT_LE(0, fd);
	EXPECT_EQ(3 * PAGE, lseek(fd, 0, SEEK_END));
	EXPECT_EQ(-EOPNOTSUPP, map_buf(&self->edu, fd, 0, PAGE, IOVA));
	close(fd);
}

static int memory(struct session *s, bool on)
{
	return config_update(s->fd, PCI_COMMAND, 2, on ? 0 : PCI_COMMAND_MEMORY,
			     on ? PCI_COMMAND_MEMORY : 0);
}

/*
 * When the owner makes the BAR inaccessible, mappings of others end. They do not come back by
 * themselves, but can be made again when the BAR is accessible.
 */
#define EXPECT_REVOKED(self, word) do {							\
	EXPECT_LOST(self, IOVA, 0, word);						\
	EXPECT_EQ(0, ioas_unmap((self)->edu.iommufd, (self)->edu.ioas, IOVA, PAGE));	\
} while (0)

TEST_F(peer, decode_off)
{
	int i, fd;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, map_buf(&self->edu, self->dmabuf, 0, PAGE, IOVA));
		EXPECT_LANDS(self, IOVA, 0, 0x10000 + i * 0x100);
		ASSERT_EQ(0, memory(&self->mem, false));
		EXPECT_LOST(self, IOVA, 0, 0x20000);
		EXPECT_EQ(-ENODEV, map_buf(&self->edu, self->dmabuf, 0, PAGE, IOVA + PAGE));
		/* Turning it off again changes nothing. */
		ASSERT_EQ(0, memory(&self->mem, false));
		ASSERT_EQ(0, memory(&self->mem, true));
		EXPECT_EQ(0x10000 + i * 0x100, mmio_read32(self->bar, 0));
		EXPECT_REVOKED(self, 0x30000);
	}

	/* One that is exported in the meantime. */
	ASSERT_EQ(0, memory(&self->mem, false));
	fd = dmabuf_export(self->mem.fd, 2, 0, PAGE);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-ENODEV, map_buf(&self->edu, fd, 0, PAGE, IOVA));
	ASSERT_EQ(0, memory(&self->mem, true));
	EXPECT_EQ(0, map_buf(&self->edu, fd, 0, PAGE, IOVA));
	EXPECT_LANDS(self, IOVA, 0, 0x40000);
	close(fd);
}

/* The last owner's buffer does not give access in the next owner's session. */
TEST_F(peer, next_session)
{
	ASSERT_EQ(0, map_buf(&self->edu, self->dmabuf, 0, PAGE, IOVA));
	EXPECT_LANDS(self, IOVA, 0, 0x11110000);
	bar_unmap(self->mem.fd, 2, self->bar);
	session_close(&self->mem);
	EXPECT_EQ(-ENODEV, map_buf(&self->edu, self->dmabuf, 0, PAGE, IOVA + PAGE));

	ASSERT_EQ(0, session_open(&self->mem, device_bdf(DEV_IVSHMEM)));
	self->bar = bar_map(self->mem.fd, 2, 0, 0);
	ASSERT_NE(NULL, self->bar);
	EXPECT_EQ(-ENODEV, map_buf(&self->edu, self->dmabuf, 0, PAGE, IOVA + PAGE));
	EXPECT_REVOKED(self, 0x22220000);
	EXPECT_EQ(-ENODEV, map_buf(&self->edu, self->dmabuf, 0, PAGE, IOVA));

	/* Nor does it affect the buffers of this one. */
	close(self->dmabuf);
	self->dmabuf = dmabuf_export(self->mem.fd, 2, 0, PAGE);
	ASSERT_LE(0, self->dmabuf);
	ASSERT_EQ(0, map_buf(&self->edu, self->dmabuf, 0, PAGE, IOVA));
	EXPECT_LANDS(self, IOVA, 0, 0x33330000);
}

/* With the file of the buffer closed, too, only the mapping refers to it. */
TEST_F(peer, mapping_alone)
{
	ASSERT_EQ(0, map_buf(&self->edu, self->dmabuf, 0, PAGE, IOVA));
	close(self->dmabuf);
	self->dmabuf = -1;
	EXPECT_LANDS(self, IOVA, 0, 0x11110000);
	ASSERT_EQ(0, memory(&self->mem, false));
	ASSERT_EQ(0, memory(&self->mem, true));
	EXPECT_REVOKED(self, 0x22220000);
}

static int send_fd(int sock, int fd)
{
	char control[CMSG_SPACE(sizeof(fd))] = { 0 };
	struct iovec iov = { .iov_base = "x", .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(sock, &msg, 0) == 1 ? 0 : -errno;
}

static int receive_fd(int sock)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 }, x;
	struct iovec iov = { .iov_base = &x, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	int fd;

	if (recvmsg(sock, &msg, 0) != 1 || !CMSG_FIRSTHDR(&msg))
		return -EIO;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

/* The owner of the memory is another process, and is killed. */
TEST_F(peer, killed)
{
	int sock[2], status, i;
	struct session s;
	pid_t pid;

	bar_unmap(self->mem.fd, 2, self->bar);
	session_close(&self->mem);
	close(self->dmabuf);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (session_open(&s, self->mem.bdf))
				_exit(1);
			if (send_fd(sock[1], dmabuf_export(s.fd, 2, 0, PAGE)))
				_exit(2);
			for (;;)
				pause();
		}
		self->dmabuf = receive_fd(sock[0]);
		ASSERT_LE(0, self->dmabuf);
		ASSERT_EQ(0, map_buf(&self->edu, self->dmabuf, 0, PAGE, IOVA));
		kill(pid, SIGKILL);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(-ENODEV, map_buf(&self->edu, self->dmabuf, 0, PAGE, IOVA + PAGE));
		ASSERT_EQ(0, session_open(&self->mem, device_bdf(DEV_IVSHMEM)));
		self->bar = bar_map(self->mem.fd, 2, 0, PAGE);
		ASSERT_NE(NULL, self->bar);
		EXPECT_REVOKED(self, 0x11110000 + i);
		munmap(self->bar, PAGE);
		session_close(&self->mem);
		close(self->dmabuf);
		close(sock[0]);
		close(sock[1]);
	}
	self->dmabuf = -1;
}

/* edu's owner is killed, or edu is removed, with the memory mapped: ivshmem is not affected. */
TEST_F(peer, importer_goes)
{
	ASSERT_EQ(0, map_buf(&self->edu, self->dmabuf, 0, PAGE, IOVA));
	EXPECT_LANDS(self, IOVA, 0, 0x11110000);
	munmap(self->regs, 0x100000);
	session_close(&self->edu);
	ASSERT_EQ(0, memory(&self->mem, false));
	ASSERT_EQ(0, memory(&self->mem, true));
	SETUP_EDU(self);
	ASSERT_EQ(0, map_buf(&self->edu, self->dmabuf, 0, PAGE, IOVA));
	EXPECT_LANDS(self, IOVA, 0, 0x22220000);
}

/* Revocation also applies to a page table that is attached later. */
TEST_F(peer, attached_later)
{
	u32 pt = self->edu.ioas;

	ASSERT_EQ(0, vfio_detach(self->edu.fd));
	ASSERT_EQ(0, map_buf(&self->edu, self->dmabuf, 0, PAGE, IOVA));
	ASSERT_EQ(0, vfio_attach(self->edu.fd, &pt));
	EXPECT_LANDS(self, IOVA, 0, 0x11110000);
	ASSERT_EQ(0, vfio_detach(self->edu.fd));
	ASSERT_EQ(0, memory(&self->mem, false));
	ASSERT_EQ(0, memory(&self->mem, true));
	pt = self->edu.ioas;
	ASSERT_EQ(0, vfio_attach(self->edu.fd, &pt));
	EXPECT_REVOKED(self, 0x22220000);
}

/* A closed file whose dentry is kept. The in-tree driver confuses it with another file. */
TEST_F(peer, path_only)
{
	char path[64];
	int i, p;

	OURS_ONLY();
	for (i = 0; i < 50; i++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", self->dmabuf);
		p = open(path, O_PATH);
		ASSERT_LE(0, p);
		close(self->dmabuf);
		/* Possibly at the address of the old one. */
		self->dmabuf = dmabuf_export(self->mem.fd, 2, 0, PAGE);
		ASSERT_LE(0, self->dmabuf);
		ASSERT_EQ(0, memory(&self->mem, false));
		ASSERT_EQ(0, memory(&self->mem, true));
		close(p);
	}
	p = open("/proc/self/fd", O_RDONLY | O_DIRECTORY);
	close(p);
	ASSERT_EQ(0, map_buf(&self->edu, self->dmabuf, 0, PAGE, IOVA));
	EXPECT_LANDS(self, IOVA, 0, 0x11110000);
}

/* The host takes the device away from an owner who does not release it. */
#define GRACE "/sys/module/vfio_iommufd/parameters/release_grace_ms"

TEST_F(peer, unbound)
{
	char grace[32], name[32];

	OURS_ONLY();
	ASSERT_LT(0, sysfs_read(grace, sizeof(grace), GRACE));
	ASSERT_EQ(0, map_buf(&self->edu, self->dmabuf, 0, PAGE, IOVA));
	EXPECT_LANDS(self, IOVA, 0, 0x11110000);
	ASSERT_EQ(0, sysfs_write("0", GRACE));
	ASSERT_EQ(0, sysfs_unbind(self->mem.bdf));
	ASSERT_EQ(0, sysfs_write(grace, GRACE));
	sysfs_driver(self->mem.bdf, name, sizeof(name));
	EXPECT_STREQ("", name);
	EXPECT_EQ(-ENODEV, map_buf(&self->edu, self->dmabuf, 0, PAGE, IOVA + PAGE));
	EXPECT_EQ(-ENODEV, dmabuf_export(self->mem.fd, 2, 0, PAGE));
	/* The open buffer keeps the module. */
	EXPECT_NE(0, syscall(SYS_delete_module, "vfio_pci", O_NONBLOCK));

	ASSERT_EQ(0, sysfs_rebind(self->mem.bdf));
	session_close(&self->mem);
	ASSERT_EQ(0, session_open(&self->mem, device_bdf(DEV_IVSHMEM)));
	self->bar = bar_map(self->mem.fd, 2, 0, 0);
	ASSERT_NE(NULL, self->bar);
	EXPECT_REVOKED(self, 0x22220000);
	EXPECT_EQ(-ENODEV, map_buf(&self->edu, self->dmabuf, 0, PAGE, IOVA));
}

/* The function is removed, as in surprise removal. */
TEST_F(peer, removed)
{
	OURS_ONLY();
	ASSERT_EQ(0, map_buf(&self->edu, self->dmabuf, 0, PAGE, IOVA));
	bar_unmap(self->mem.fd, 2, self->bar);
	session_close(&self->mem);
	ASSERT_EQ(0, sysfs_write("1", "/sys/bus/pci/devices/%s/remove", self->mem.bdf));
	EXPECT_EQ(-ENODEV, map_buf(&self->edu, self->dmabuf, 0, PAGE, IOVA + PAGE));
	close(self->dmabuf);
	self->dmabuf = -1;
	ASSERT_EQ(0, sysfs_rescan());
	ASSERT_EQ(0, session_open(&self->mem, device_bdf(DEV_IVSHMEM)));
	self->bar = bar_map(self->mem.fd, 2, 0, 0);
	ASSERT_NE(NULL, self->bar);
	EXPECT_REVOKED(self, 0x22220000);
}

/* Everything at once. In the end, the buffer works, and nothing was lost or leaked. */
enum work {
	WORK_MAP,
	WORK_MAP_TOO,
	WORK_EXPORT,
	WORK_DECODE,
	WORK_RESET,
	WORK_FAULT,
	WORK_DMA,
	WORK_PATH,
	WORK_COUNT
};

/*
 * Number of rounds. A DMA takes edu a tenth of a second, and turning decode off takes the BAR from
 * all others, which need it again at once.
 */
static const long wanted[WORK_COUNT] = {
	[WORK_MAP]	= 100,
	[WORK_MAP_TOO]	= 100,
	[WORK_EXPORT]	= 100,
	[WORK_DECODE]	= 10,
	[WORK_RESET]	= 20,
	[WORK_FAULT]	= 100,
	[WORK_DMA]	= 20,
	[WORK_PATH]	= 100,
};

struct worker {
	pthread_t thread;
	enum work work;
	struct session *edu;
	struct session *mem;
	void *regs;
	void *bar;
	int dmabuf;
	bool *stop;
	long rounds;
	int err;
};

static int work_once(struct worker *w)
{
	u64 iova = IOVA + 16 * PAGE * w->work;
	char path[64];
	int err, p;
	u32 val;

	switch (w->work) {
	case WORK_MAP:
	case WORK_MAP_TOO:
		err = map_buf(w->edu, w->dmabuf, 0, 4 * PAGE, iova);
		if (err)
			return err == -ENODEV ? 0 : err;
		return ioas_unmap(w->edu->iommufd, w->edu->ioas, iova, 4 * PAGE);
	case WORK_EXPORT:
	case WORK_PATH:
		p = dmabuf_export(w->mem->fd, 2, 0, 2 * PAGE);
		if (p < 0)
			return p;
		if (w->work == WORK_PATH) {
			snprintf(path, sizeof(path), "/proc/self/fd/%d", p);
			err = open(path, O_PATH);
			close(p);
			return close(err);
		}
		err = map_buf(w->edu, p, 0, 2 * PAGE, iova);
		close(p);
		if (err)
			return err == -ENODEV ? 0 : err;
		return ioas_unmap(w->edu->iommufd, w->edu->ioas, iova, 2 * PAGE);
	case WORK_DECODE:
		err = memory(w->mem, false);
		return err ? err : memory(w->mem, true);
	case WORK_RESET:
		err = sysfs_write("1", "/sys/bus/pci/devices/%s/reset", w->mem->bdf);
		/* Without a reset of its own, it has no such file. */
		return err == -ENOENT || err == -EACCES || err == -ENOTTY ? 0 : err;
	case WORK_FAULT:
		mmio_peek32(w->bar, &val);
		return 0;
	case WORK_DMA:
		return edu_write_memory(w->regs, IOVA + 16 * PAGE * WORK_MAP, 0, 64);
	default:
		abort();
	}
}

static void *work_thread(void *arg)
{
	struct worker *w = arg;

	while (!__atomic_load_n(w->stop, __ATOMIC_ACQUIRE) && !w->err) {
		w->err = work_once(w);
		__atomic_fetch_add(&w->rounds, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

/* Remaining rounds of a worker */
static long left(struct worker *w)
{
	long n = wanted[w->work] - __atomic_load_n(&w->rounds, __ATOMIC_ACQUIRE);

	return n < 0 || __atomic_load_n(&w->err, __ATOMIC_ACQUIRE) ? 0 : n;
}

/*
 * Run until each worker has done its rounds. Those that are done continue, to disturb the others.
 * Even on a slow machine, there must be some progress within the deadline.
 */
static void many_threads(struct __test_metadata *const _metadata, struct worker *model)
{
	struct worker w[WORK_COUNT];
	long now, before = 0;
	bool stop = false;
	struct deadline end;
	int i;

	for (i = 0; i < WORK_COUNT; i++) {
		w[i] = *model;
		w[i].work = i;
		w[i].stop = &stop;
		/* In-tree confuses the closed file with another one. */
		if (i == WORK_PATH && !driver_is_ours())
			w[i].work = WORK_FAULT;
		ASSERT_EQ(0, pthread_create(&w[i].thread, NULL, work_thread, &w[i]));
	}
	deadline_start(&end);
	do {
		usleep(1000);
		for (now = 0, i = 0; i < WORK_COUNT; i++)
			now += left(&w[i]);
		if (now != before)
			deadline_start(&end);
		before = now;
	} while (now && !deadline_passed(&end));
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	for (i = 0; i < WORK_COUNT; i++) {
		pthread_join(w[i].thread, NULL);
		EXPECT_EQ(0, w[i].err)
			TH_LOG("work %d after %ld rounds", i, w[i].rounds);
		EXPECT_EQ(0, left(&w[i]))
			TH_LOG("work %d starves after %ld rounds", i, w[i].rounds);
	}
}

TEST_F(peer, many_threads)
{
	struct worker model = {
		.edu = &self->edu,
		.mem = &self->mem,
		.regs = self->regs,
		.bar = self->bar,
		.dmabuf = self->dmabuf,
	};

	many_threads(_metadata, &model);
	ASSERT_EQ(0, memory(&self->mem, true));
	ASSERT_EQ(0, map_buf(&self->edu, self->dmabuf, 0, PAGE, IOVA));
	EXPECT_LANDS(self, IOVA, 0, 0x11110000);
}

/* edu reads the registers of a controller that can be reset and put to sleep. */
FIXTURE(registers)
{
	struct session edu;
	struct session nvme;
	void *regs;
	u32 *mem;
	int dmabuf;
};

FIXTURE_SETUP(registers)
{
	self->edu.fd = -1;
	self->edu.iommufd = -1;
	self->nvme.fd = -1;
	self->nvme.iommufd = -1;
	self->dmabuf = -1;
	SETUP_EDU(self);
	SETUP_SESSION(&self->nvme, DEV_NVME);
	self->mem = dma_alloc(PAGE);
	ASSERT_EQ(0, ioas_map(self->edu.iommufd, self->edu.ioas, self->mem, PAGE, SCRATCH));
	self->dmabuf = dmabuf_export(self->nvme.fd, 0, 0, PAGE);
	ASSERT_LE(0, self->dmabuf);
}

FIXTURE_TEARDOWN(registers)
{
	close(self->dmabuf);
	session_close(&self->edu);
	session_close(&self->nvme);
}

/* The version of NVMe as read by edu; 0 if it cannot. */
static u32 version_by_edu(FIXTURE_DATA(registers) *self)
{
	*self->mem = 0;
	edu_read_memory(self->regs, SCRATCH, 0, 4);
	edu_read_memory(self->regs, IOVA + NVME_VS, 0, 4);
	edu_write_memory(self->regs, SCRATCH, 0, 4);
	return *self->mem;
}

#define EXPECT_BACK(self) do {								\
	EXPECT_NE(0x10400, version_by_edu(self));					\
	EXPECT_EQ(0, ioas_unmap((self)->edu.iommufd, (self)->edu.ioas, IOVA, PAGE));	\
	EXPECT_EQ(0, map_buf(&(self)->edu, (self)->dmabuf, 0, PAGE, IOVA));		\
	EXPECT_EQ(0x10400, version_by_edu(self));					\
} while (0)

TEST_F(registers, reset)
{
	int cap = config_cap(self->nvme.fd, PCI_CAP_ID_EXP);

	ASSERT_EQ(0, map_buf(&self->edu, self->dmabuf, 0, PAGE, IOVA));
	ASSERT_EQ(0x10400, version_by_edu(self));
	ASSERT_EQ(0, vfio_ioctl(self->nvme.fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_BACK(self);

	/* Like a guest. */
	ASSERT_LT(0, cap);
	ASSERT_EQ(0, config_update(self->nvme.fd, cap + PCI_EXP_DEVCTL, 2, 0,
				   PCI_EXP_DEVCTL_BCR_FLR));
	EXPECT_BACK(self);
}

/* A reset by somebody else, of which the in-tree driver is not notified. */
TEST_F(registers, reset_by_sysfs)
{
	OURS_ONLY();
	ASSERT_EQ(0, map_buf(&self->edu, self->dmabuf, 0, PAGE, IOVA));
	ASSERT_EQ(0x10400, version_by_edu(self));
	ASSERT_EQ(0, sysfs_write("1", "/sys/bus/pci/devices/%s/reset", self->nvme.bdf));
	EXPECT_BACK(self);
}

TEST_F(registers, sleep)
{
	int cap = config_cap(self->nvme.fd, PCI_CAP_ID_PM);

	if (cap <= 0)
		SKIP(return, "no power management");
	ASSERT_EQ(0, map_buf(&self->edu, self->dmabuf, 0, PAGE, IOVA));
	ASSERT_EQ(0x10400, version_by_edu(self));
	ASSERT_EQ(0, config_update(self->nvme.fd, cap + PCI_PM_CTRL, 2, 0, PM_D3HOT));
	EXPECT_NE(0x10400, version_by_edu(self));
	EXPECT_EQ(-ENODEV, map_buf(&self->edu, self->dmabuf, 0, PAGE, IOVA + PAGE));
	ASSERT_EQ(0, config_update(self->nvme.fd, cap + PCI_PM_CTRL, 2, PM_D3HOT, 0));
	EXPECT_BACK(self);
}

/* The device's own BAR is mapped in its address space, as QEMU does for guests. */
TEST_F(registers, own_bar)
{
	ASSERT_EQ(0, ioas_map_file(self->nvme.iommufd, self->nvme.ioas, self->dmabuf, 0, PAGE,
				   IOVA));
	ASSERT_EQ(0, vfio_ioctl(self->nvme.fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(0, ioas_unmap(self->nvme.iommufd, self->nvme.ioas, IOVA, PAGE));
	ASSERT_EQ(0, ioas_map_file(self->nvme.iommufd, self->nvme.ioas, self->dmabuf, 0, PAGE,
				   IOVA));
	/* It is unmapped with everything else. */
	session_close(&self->nvme);
	EXPECT_EQ(-ENODEV, map_buf(&self->edu, self->dmabuf, 0, PAGE, IOVA));
}

TEST_HARNESS_MAIN
