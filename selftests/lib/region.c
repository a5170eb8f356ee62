// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "region.h"
#include "session.h"

int region_info(int fd, u32 index, struct vfio_region_info *info)
{
	*info = (struct vfio_region_info){ .argsz = sizeof(*info), .index = index };
	return vfio_ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, info);
}

struct vfio_region_info *region_info_caps(int fd, u32 index)
{
	struct vfio_region_info info, *full;

	if (region_info(fd, index, &info))
		return NULL;
	full = calloc(1, info.argsz);
	if (!full)
		return NULL;
	full->argsz = info.argsz;
	full->index = index;
	if (vfio_ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, full)) {
		free(full);
		return NULL;
	}
	return full;
}

struct vfio_info_cap_header *region_cap(struct vfio_region_info *info, u16 id)
{
	struct vfio_info_cap_header *cap;
	u32 off;

	if (!(info->flags & VFIO_REGION_INFO_FLAG_CAPS))
		return NULL;
	for (off = info->cap_offset; off; off = cap->next) {
		if (off + sizeof(*cap) > info->argsz)
			return NULL;
		cap = (void *)((char *)info + off);
		if (cap->id == id)
			return cap;
	}
	return NULL;
}

ssize_t region_pread(int fd, u32 index, u64 off, void *buf, size_t len)
{
	ssize_t n = pread(fd, buf, len, region_offset(index) + off);

	return n < 0 ? -errno : n;
}

ssize_t region_pwrite(int fd, u32 index, u64 off, const void *buf, size_t len)
{
	ssize_t n = pwrite(fd, buf, len, region_offset(index) + off);

	return n < 0 ? -errno : n;
}

s64 region_read32(int fd, u32 index, u64 off)
{
	u32 val;
	ssize_t n = region_pread(fd, index, off, &val, sizeof(val));

	if (n < 0)
		return n;
	return n == sizeof(val) ? (s64)val : -EIO;
}

int region_write32(int fd, u32 index, u64 off, u32 val)
{
	ssize_t n = region_pwrite(fd, index, off, &val, sizeof(val));

	if (n < 0)
		return n;
	return n == sizeof(val) ? 0 : -EIO;
}

void *bar_map(int fd, u32 index, u64 off, size_t len)
{
	struct vfio_region_info info;
	void *p;

	if (!len) {
		int err = region_info(fd, index, &info);

		if (err) {
			errno = -err;
			return NULL;
		}
		len = info.size - off;
	}
	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, region_offset(index) + off);
	return p == MAP_FAILED ? NULL : p;
}

void bar_unmap(int fd, u32 index, void *base)
{
	struct vfio_region_info info;

	if (!region_info(fd, index, &info))
		munmap(base, info.size);
}

void *bar_map_aligned(int fd, u32 index, size_t len, size_t align)
{
	char *hole, *start;
	void *p;

	/* Reserve enough for an aligned part, then map over that part. */
	hole = mmap(NULL, len + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		    -1, 0);
	if (hole == MAP_FAILED)
		return NULL;
	start = (char *)(((uintptr_t)hole + align - 1) & ~(uintptr_t)(align - 1));
	if (start > hole)
		munmap(hole, start - hole);
	if (start + len < hole + len + align)
		munmap(start + len, hole + align - start);
	p = mmap(start, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		 region_offset(index));
	return p == MAP_FAILED ? NULL : p;
}

static __thread sigjmp_buf *recover;

static void on_fault(int sig)
{
	if (recover)
		siglongjmp(*recover, sig);
	/* Not expected: let it kill the process. */
	signal(sig, SIG_DFL);
}

static void catch_faults(void)
{
	struct sigaction act = { .sa_handler = on_fault, .sa_flags = SA_NODEFER };

	sigaction(SIGBUS, &act, NULL);
	sigaction(SIGSEGV, &act, NULL);
}

static int access32(volatile u32 *addr, u32 *val, bool write)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	sigjmp_buf buf;
	int sig;

	pthread_once(&once, catch_faults);
	/* With SA_NODEFER, there is no signal mask to restore, which saves a system call here. */
	sig = sigsetjmp(buf, 0);
	if (sig) {
		recover = NULL;
		return sig == SIGBUS ? -EFAULT : -ENOMEM;
	}
	recover = &buf;
	if (write)
		*addr = *val;
	else
		*val = *addr;
	recover = NULL;
	return 0;
}

int mmio_peek32(void *addr, u32 *val)
{
	return access32(addr, val, false);
}

int mmio_poke32(void *addr, u32 val)
{
	return access32(addr, &val, true);
}
