// SPDX-License-Identifier: GPL-2.0-only
/* Regions: GET_REGION_INFO, reading and writing with any width, mapping, faults, ROM. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/edu.h"
#include "lib/harness.h"
#include "lib/irq.h"
#include "lib/nic.h"
#include "lib/region.h"

#define NUM_BARS 6
#define ROM VFIO_PCI_ROM_REGION_INDEX
#define TRACING "/sys/kernel/tracing"
#define PAGE 0x1000ull

/* Bits of a line of sysfs's resource file. */
#define RES_IO		0x00000100
#define RES_MEM		0x00000200

#define FLAGS_RW (VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE)

FIXTURE(region)
{
	struct session s;
	struct {
		u64 start;
		u64 size;
		u64 flags;
	} res[7];
	/* The BAR with the MSI-X table, if any. */
	int table_bar;
	u64 table_off;
	u64 table_size;
};

FIXTURE_VARIANT(region)
{
	enum test_device dev;
};

FIXTURE_ALL_DEVICES(region);

FIXTURE_SETUP(region)
{
	int i, pos;

	SETUP_SESSION(&self->s, variant->dev);
	for (i = 0; i < 7; i++)
		ASSERT_EQ(0, sysfs_resource(self->s.bdf, i, &self->res[i].start,
					    &self->res[i].size, &self->res[i].flags));
	self->table_bar = -1;
	pos = config_cap(self->s.fd, PCI_CAP_ID_MSIX);
	if (pos > 0) {
		u32 table = config_read(self->s.fd, pos + PCI_MSIX_TABLE, 4);
		u32 flags = config_read(self->s.fd, pos + PCI_MSIX_FLAGS, 2);

		self->table_bar = table & PCI_MSIX_TABLE_BIR;
		self->table_off = table & PCI_MSIX_TABLE_OFFSET;
		self->table_size = ((flags & PCI_MSIX_FLAGS_QSIZE) + 1) * 16;
	}
}

FIXTURE_TEARDOWN(region)
{
	session_close(&self->s);
}

TEST_F(region, info_of_bars)
{
	struct vfio_region_info info;
	int i;

	for (i = 0; i < NUM_BARS; i++) {
		ASSERT_EQ(0, region_info(self->s.fd, i, &info));
		EXPECT_EQ(self->res[i].size, info.size);
		EXPECT_EQ((u64)i << 40, info.offset);
		if (!info.size) {
			EXPECT_EQ(0, info.flags);
			continue;
		}
		EXPECT_EQ(FLAGS_RW, info.flags & FLAGS_RW);
		/* BARs of whole pages can be mapped. */
		if (self->res[i].flags & RES_IO) {
			EXPECT_EQ(0, info.flags & VFIO_REGION_INFO_FLAG_MMAP);
		} else {
			EXPECT_NE(0, info.flags & VFIO_REGION_INFO_FLAG_MMAP);
		}
	}
	ASSERT_EQ(0, region_info(self->s.fd, VFIO_PCI_CONFIG_REGION_INDEX, &info));
	EXPECT_EQ((u64)VFIO_PCI_CONFIG_REGION_INDEX << 40, info.offset);
	EXPECT_EQ(FLAGS_RW, info.flags);
	EXPECT_EQ(-EINVAL, region_info(self->s.fd, VFIO_PCI_VGA_REGION_INDEX, &info));
	EXPECT_EQ(-EINVAL, region_info(self->s.fd, VFIO_PCI_NUM_REGIONS, &info));
}

TEST_F(region, capability_chain)
{
	struct vfio_info_cap_header *cap;
	struct vfio_region_info *full, info;
	int i;

	for (i = 0; i < NUM_BARS; i++) {
		full = region_info_caps(self->s.fd, i);
		ASSERT_NE(NULL, full);
		cap = region_cap(full, VFIO_REGION_INFO_CAP_MSIX_MAPPABLE);
		EXPECT_EQ(i == self->table_bar, !!cap);
		EXPECT_EQ(!!cap, !!(full->flags & VFIO_REGION_INFO_FLAG_CAPS));
		if (cap) {
			EXPECT_EQ(1, cap->version);
			EXPECT_EQ(0, cap->next);
			EXPECT_EQ(sizeof(info), full->cap_offset);

			/* Too small for the chain: returns the required size, but no pointer. */
			info = (struct vfio_region_info){
				.argsz = full->argsz - 1,
				.index = i,
				.cap_offset = 0xdead,
			};
			ASSERT_EQ(0, vfio_ioctl(self->s.fd, VFIO_DEVICE_GET_REGION_INFO, &info));
			EXPECT_EQ(full->argsz, info.argsz);
			EXPECT_EQ(0, info.cap_offset);
			EXPECT_NE(0, info.flags & VFIO_REGION_INFO_FLAG_CAPS);
		}
		free(full);
	}
}

/* In all devices, the first words of each BAR are plain registers. */
TEST_F(region, read_equals_mapping)
{
	u32 word;
	int i, n;
	void *p;

	for (i = 0; i < NUM_BARS; i++) {
		if (!self->res[i].size || (self->res[i].flags & RES_IO))
			continue;
		p = bar_map(self->s.fd, i, 0, 0);
		ASSERT_NE(NULL, p);
		if (i == self->table_bar && !self->table_off)
			continue;
		for (n = 0; n < 16; n += 4) {
			ASSERT_EQ(4, region_pread(self->s.fd, i, n, &word, 4));
			EXPECT_EQ(word, mmio_read32(p, n))
				TH_LOG("BAR %d at %d", i, n);
		}
	}
}

/* The table belongs to the kernel, and is hidden from read and write. */
TEST_F(region, msix_table_is_hidden)
{
	u8 buf[64], ones[64];

	if (self->table_bar < 0)
		SKIP(return, "no MSI-X");
	memset(ones, 0xff, sizeof(ones));
	ASSERT_LE(16, self->table_size);
	memset(buf, 0, sizeof(buf));
	ASSERT_EQ(16, region_pread(self->s.fd, self->table_bar, self->table_off, buf, 16));
	EXPECT_EQ(0, memcmp(buf, ones, 16));
	/* The last entry, and the bytes after it. */
	memset(buf, 0, sizeof(buf));
	ASSERT_EQ(20, region_pread(self->s.fd, self->table_bar,
				   self->table_off + self->table_size - 16, buf, 20));
	EXPECT_EQ(0, memcmp(buf, ones, 16));

	/* Writing does nothing, as a mapping shows. */
	if (self->res[self->table_bar].size >= PAGE) {
		char *p = bar_map(self->s.fd, self->table_bar, 0, 0);
		u32 old;

		ASSERT_NE(NULL, p);
		old = mmio_read32(p, self->table_off);
		memset(buf, 0x54, sizeof(buf));
		ASSERT_EQ(16, region_pwrite(self->s.fd, self->table_bar, self->table_off, buf, 16));
		EXPECT_EQ(old, mmio_read32(p, self->table_off));
	}
}

TEST_F(region, ends)
{
	u8 buf[64] = { 0 };
	int i;

	for (i = 0; i < NUM_BARS; i++) {
		u64 size = self->res[i].size;

		if (!size) {
			EXPECT_EQ(-EINVAL, region_pread(self->s.fd, i, 0, buf, 4));
			EXPECT_EQ(-EINVAL, region_pwrite(self->s.fd, i, 0, buf, 4));
			continue;
		}
		EXPECT_EQ(-EINVAL, region_pread(self->s.fd, i, size, buf, 4));
		EXPECT_EQ(-EINVAL, region_pwrite(self->s.fd, i, size, buf, 4));
		EXPECT_EQ(-EINVAL, region_pread(self->s.fd, i, size + (1ull << 39), buf, 4));
		/* Across the end: only up to the end. */
		EXPECT_EQ(4, region_pread(self->s.fd, i, size - 4, buf, 8));
		EXPECT_EQ(-EFAULT, region_pread(self->s.fd, i, size - 4, NULL, 4));
	}
	EXPECT_EQ(-EINVAL, region_pread(self->s.fd, VFIO_PCI_VGA_REGION_INDEX, 0xa0000, buf, 4));
	EXPECT_EQ(-EINVAL, region_pwrite(self->s.fd, ROM, 0, buf, 4));
}

TEST_F(region, mapping_refused)
{
	int i, n = 0;
	void *p;

	for (i = 0; i < VFIO_PCI_NUM_REGIONS + 2; i++) {
		u64 size = i < NUM_BARS ? self->res[i].size : 0;
		off_t off = region_offset(i);

		if (size && (self->res[i].flags & RES_MEM)) {
			u64 pages = (size + PAGE - 1) & ~(PAGE - 1);

			n++;
			p = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, self->s.fd, off);
			EXPECT_EQ(MAP_FAILED, p);
			EXPECT_EQ(EINVAL, errno);
			p = mmap(NULL, pages + PAGE, PROT_READ, MAP_SHARED, self->s.fd, off);
			EXPECT_EQ(MAP_FAILED, p);
			EXPECT_EQ(EINVAL, errno);
			p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->s.fd, off + pages);
			EXPECT_EQ(MAP_FAILED, p);
			EXPECT_EQ(EINVAL, errno);
			p = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, self->s.fd,
				 off + pages - PAGE);
			EXPECT_EQ(MAP_FAILED, p);
			EXPECT_EQ(EINVAL, errno);
			p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->s.fd, off + pages - PAGE);
			EXPECT_NE(MAP_FAILED, p);
			continue;
		}
		/* Missing, I/O, ROM, config space, VGA, no region at all. */
		p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->s.fd, off);
		EXPECT_EQ(MAP_FAILED, p)
			TH_LOG("region %d", i);
		EXPECT_EQ(EINVAL, errno);
	}
	EXPECT_LT(0, n);
}

/* A mapping can be split, moved, inherited and made read-only like any other, but cannot grow. */
TEST_F(region, mapping_lives)
{
	int i, status;
	u32 val, first;
	pid_t pid;
	char *p, *q;

	for (i = 0; i < NUM_BARS; i++)
		if (self->res[i].size >= 4 * PAGE && (self->res[i].flags & RES_MEM))
			break;
	if (i == NUM_BARS)
		SKIP(return, "no BAR of four pages");

	p = bar_map(self->s.fd, i, 0, 4 * PAGE);
	ASSERT_NE(NULL, p);
	first = mmio_read32(p, 0);
	ASSERT_EQ(0, munmap(p + PAGE, PAGE));
	EXPECT_EQ(0, mmio_peek32((u32 *)p, &val));
	EXPECT_EQ(0, mmio_peek32((u32 *)(p + 2 * PAGE), &val));

	q = mremap(p, PAGE, 2 * PAGE, MREMAP_MAYMOVE);
	EXPECT_EQ(MAP_FAILED, q);
	q = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	q = mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q);
	ASSERT_NE(MAP_FAILED, q);
	EXPECT_EQ(0, mmio_peek32((u32 *)q, &val));
	EXPECT_EQ(first, val);

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(mmio_read32(q, 0) != first);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, mprotect(q, PAGE, PROT_READ));
	EXPECT_EQ(0, mmio_peek32((u32 *)q, &val));
	EXPECT_EQ(first, val);
}

/* After the session, mappings are only an address range. */
TEST_F(region, mapping_keeps_the_file)
{
	int i, fd;
	u32 *p, val;

	for (i = 0; i < NUM_BARS; i++)
		if (self->res[i].size && (self->res[i].flags & RES_MEM))
			break;
	ASSERT_NE(NUM_BARS, i);
	p = bar_map(self->s.fd, i, 0, PAGE);
	ASSERT_NE(NULL, p);
	close(self->s.fd);
	/* The mapping has a reference to the file, so the device still has an owner. */
	EXPECT_EQ(0, mmio_peek32(p, &val));
	fd = vfio_cdev_open(self->s.bdf);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EINVAL, vfio_bind(fd, self->s.iommufd, NULL));
	munmap(p, PAGE);
	EXPECT_EQ(0, vfio_bind(fd, self->s.iommufd, NULL));
	self->s.fd = fd;
}

TEST_F(region, rom)
{
	u64 size = self->res[6].size;
	u8 *ours, *theirs;
	struct vfio_region_info info;
	int n;

	ASSERT_EQ(0, region_info(self->s.fd, ROM, &info));
	EXPECT_EQ((u64)ROM << 40, info.offset);
	if (!size) {
		u8 byte;

		EXPECT_EQ(0, info.size);
		EXPECT_EQ(0, info.flags);
		EXPECT_EQ(-EINVAL, region_pread(self->s.fd, ROM, 0, &byte, 1));
		return;
	}
	EXPECT_EQ(size, info.size);
	EXPECT_EQ(VFIO_REGION_INFO_FLAG_READ, info.flags);
	ours = malloc(size);
	theirs = malloc(size);
	ASSERT_EQ(size, region_pread(self->s.fd, ROM, 0, ours, size));
	/* The signature of a ROM. */
	EXPECT_EQ(0x55, ours[0]);
	EXPECT_EQ(0xaa, ours[1]);
	ASSERT_EQ(0, sysfs_write("1", "/sys/bus/pci/devices/%s/rom", self->s.bdf));
	n = sysfs_read((char *)theirs, size, "/sys/bus/pci/devices/%s/rom", self->s.bdf);
	ASSERT_EQ(0, sysfs_write("0", "/sys/bus/pci/devices/%s/rom", self->s.bdf));
	ASSERT_LT(512, n);
	EXPECT_EQ(0, memcmp(ours, theirs, n - 1));
	/* Parts with odd offsets and sizes, and its end. */
	ASSERT_EQ(7, region_pread(self->s.fd, ROM, 1, theirs, 7));
	EXPECT_EQ(0, memcmp(ours + 1, theirs, 7));
	EXPECT_EQ(2, region_pread(self->s.fd, ROM, size - 2, theirs, 4));
	EXPECT_EQ(-EINVAL, region_pread(self->s.fd, ROM, size, theirs, 4));

	/* It depends on memory decode, too. */
	ASSERT_EQ(0, config_update(self->s.fd, PCI_COMMAND, 2, PCI_COMMAND_MEMORY, 0));
	EXPECT_GT(0, region_pread(self->s.fd, ROM, 0, ours, 4));
	/* But its size is still reported. */
	ASSERT_EQ(0, region_info(self->s.fd, ROM, &info));
	EXPECT_EQ(size, info.size);
	EXPECT_EQ(0, config_read(self->s.fd, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY);
}

/* A BAR for a ROM without an image in it: there is no ROM. */
TEST(rom_without_image)
{
	u64 start, size = 0, flags;
	struct vfio_region_info info;
	unsigned int nth;
	char bdf[BDF_LEN];
	struct session s;
	u8 byte;

	for (nth = 0; !size && !sysfs_find(0x1234, 0x11e8, nth, bdf); nth++)
		ASSERT_EQ(0, sysfs_resource(bdf, 6, &start, &size, &flags));
	if (!size)
		SKIP(return, "no edu with a ROM in this machine");
	ASSERT_EQ(0, sysfs_bind(bdf));
	ASSERT_EQ(0, session_open(&s, bdf));
	/* The image is looked for even with memory decode off. */
	ASSERT_EQ(0, config_update(s.fd, PCI_COMMAND, 2, PCI_COMMAND_MEMORY, 0));
	ASSERT_EQ(0, region_info(s.fd, ROM, &info));
	EXPECT_EQ(0, info.size);
	EXPECT_EQ(0, info.flags);
	EXPECT_EQ(0, config_read(s.fd, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY);
	ASSERT_EQ(0, config_update(s.fd, PCI_COMMAND, 2, 0, PCI_COMMAND_MEMORY));
	EXPECT_EQ(-ENOMEM, region_pread(s.fd, ROM, 0, &byte, 1));
	session_close(&s);
}

/* Number of dwords that the kernel has read from devices since the probe was added */
static long dwords_read(void)
{
	char text[512], *line;

	if (sysfs_read(text, sizeof(text), TRACING "/kprobe_profile") <= 0)
		return -1;
	line = strstr(text, "vfio_test_read");
	return line ? atol(line + strlen("vfio_test_read")) : -1;
}

/* Asking for the size of a ROM does not read all of it. */
TEST_F(region, rom_is_not_read_to_be_told_of)
{
	const long some = 64, len = 0x1000;
	struct vfio_region_info info;
	long before, told, read;
	u8 *buf = malloc(len);

	if (!self->res[6].size)
		SKIP(return, "no ROM");
	if (sysfs_write("p:vfio_test_read ioread32", TRACING "/kprobe_events"))
		SKIP(return, "no kprobes, or ioread32() is not a function");
	ASSERT_EQ(0, sysfs_write("1", TRACING "/events/kprobes/vfio_test_read/enable"));
	before = dwords_read();
	EXPECT_EQ(0, region_info(self->s.fd, ROM, &info));
	told = dwords_read();
	EXPECT_EQ(len, region_pread(self->s.fd, ROM, 0, buf, len));
	read = dwords_read();
	EXPECT_EQ(0, sysfs_write("0", TRACING "/events/kprobes/vfio_test_read/enable"));
	EXPECT_EQ(0, sysfs_write("-:vfio_test_read", TRACING "/kprobe_events"));
	EXPECT_LE(0, before);
	/* Other devices may have been read. */
	EXPECT_GT(some, told - before);
	EXPECT_LE(len / 4, read - told);
	free(buf);
}

/* The first read is made while the function sleeps. */
TEST_F(region, rom_in_d3hot)
{
	int pos = config_cap(self->s.fd, PCI_CAP_ID_PM);
	struct vfio_region_info info;
	u8 first[2];

	if (!self->res[6].size || pos < 0)
		SKIP(return, "no ROM, or no power management");
	ASSERT_EQ(0, config_update(self->s.fd, pos + PCI_PM_CTRL, 2, PCI_PM_CTRL_STATE_MASK, 3));
	EXPECT_GT(0, region_pread(self->s.fd, ROM, 0, first, 2));
	ASSERT_EQ(0, config_update(self->s.fd, pos + PCI_PM_CTRL, 2, PCI_PM_CTRL_STATE_MASK, 0));
	ASSERT_EQ(0, region_info(self->s.fd, ROM, &info));
	EXPECT_EQ(self->res[6].size, info.size);
	ASSERT_EQ(2, region_pread(self->s.fd, ROM, 0, first, 2));
	EXPECT_EQ(0x55, first[0]);
	EXPECT_EQ(0xaa, first[1]);
}

/*
 * The port passes on no requests, neither to memory nor to config space, as if the link were down,
 * but nobody is notified.
 */
TEST_F(region, rom_that_does_not_answer)
{
	const u16 nothing = 0;
	u16 command, buses;
	char port[BDF_LEN];
	u8 first[2];

#ifdef __aarch64__
	SKIP(return, "the kernel does not survive an unanswered read");
#endif
	if (!self->res[6].size || sysfs_port(self->s.bdf, port))
		SKIP(return, "no ROM, or no port");
	ASSERT_EQ(2, region_pread(self->s.fd, ROM, 0, first, 2));
	ASSERT_EQ(2, sysfs_config(port, PCI_COMMAND, &command, 2));
	ASSERT_EQ(2, sysfs_config(port, PCI_SECONDARY_BUS, &buses, 2));

	ASSERT_EQ(0, sysfs_config_write(port, PCI_COMMAND, &nothing, 2));
	ASSERT_EQ(0, sysfs_config_write(port, PCI_SECONDARY_BUS, &nothing, 2));
	EXPECT_GT(0, region_pread(self->s.fd, ROM, 0, first, 2));
	EXPECT_EQ(0, sysfs_config_write(port, PCI_SECONDARY_BUS, &buses, 2));
	EXPECT_EQ(0, sysfs_config_write(port, PCI_COMMAND, &command, 2));

	EXPECT_EQ(2, region_pread(self->s.fd, ROM, 0, first, 2));
	EXPECT_EQ(0x55, first[0]);
	EXPECT_EQ(0xaa, first[1]);
}

/* ivshmem's BAR 2 is memory, so every width and length can be tested. */
FIXTURE(memory)
{
	struct session s;
	struct vfio_region_info info;
};

FIXTURE_SETUP(memory)
{
	SETUP_SESSION(&self->s, DEV_IVSHMEM);
	ASSERT_EQ(0, region_info(self->s.fd, 2, &self->info));
}

FIXTURE_TEARDOWN(memory)
{
	session_close(&self->s);
}

TEST_F(memory, any_width_and_alignment)
{
	u8 ref[64], got[64];
	unsigned int off, len, i;
	u8 *p = bar_map(self->s.fd, 2, 0, PAGE);

	ASSERT_NE(NULL, p);
	for (off = 0; off < 16; off++) {
		for (len = 1; len <= 24; len++) {
			for (i = 0; i < sizeof(ref); i++) {
				ref[i] = 0;
				p[i] = 0;
			}
			for (i = 0; i < len; i++)
				got[i] = off * 37 + len * 11 + i + 1;
			memcpy(ref + off, got, len);
			ASSERT_EQ(len, region_pwrite(self->s.fd, 2, off, got, len));
			for (i = 0; i < sizeof(ref); i++)
				ASSERT_EQ(ref[i], p[i])
					TH_LOG("%u bytes at %u", len, off);
			memset(got, 0, sizeof(got));
			ASSERT_EQ(len, region_pread(self->s.fd, 2, off, got, len));
			ASSERT_EQ(0, memcmp(got, ref + off, len));
		}
	}
}

TEST_F(memory, in_one_go)
{
	size_t len = 1 << 20;
	u8 *buf = malloc(len), *got = malloc(len);
	size_t i;

	for (i = 0; i < len; i++)
		buf[i] = i * 7 + (i >> 8);
	ASSERT_EQ(len, region_pwrite(self->s.fd, 2, 0x3001, buf, len));
	ASSERT_EQ(len, region_pread(self->s.fd, 2, 0x3001, got, len));
	EXPECT_EQ(0, memcmp(buf, got, len));
}

static long faults(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return r.ru_minflt;
}

/* Large pages: accessing each 64 KiB causes one fault for each 2 MiB. */
TEST_F(memory, large_pages)
{
	const size_t huge = 2 << 20;
	long before, after;
	size_t off;
	char *p;

	ASSERT_LE(64 * huge, self->info.size);
	p = bar_map_aligned(self->s.fd, 2, self->info.size, huge);
	ASSERT_NE(NULL, p);
	before = faults();
	for (off = 0; off < self->info.size; off += 0x10000)
		mmio_read32(p, off);
	after = faults();
	/* At least one each, and some others. */
	EXPECT_LE(self->info.size / huge, after - before);
	EXPECT_GE(self->info.size / huge + 64, after - before);
}

/* If the address or the length does not permit large pages, small ones are used. */
TEST_F(memory, small_pages)
{
	const size_t huge = 2 << 20;
	u32 val, *word;
	char *p, *q;

	p = bar_map_aligned(self->s.fd, 2, self->info.size, huge);
	ASSERT_NE(NULL, p);
	*(volatile u32 *)(p + huge + PAGE) = 0x12345678;

	/* Misaligned address. */
	q = mmap(NULL, 3 * huge, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, q);
	q = (char *)(((uintptr_t)q + huge - 1) & ~(huge - 1)) + PAGE;
	q = mmap(q, huge, PROT_READ, MAP_SHARED | MAP_FIXED, self->s.fd, region_offset(2) + huge);
	ASSERT_NE(MAP_FAILED, q);
	word = (u32 *)(q + PAGE);
	ASSERT_EQ(0, mmio_peek32(word, &val));
	EXPECT_EQ(0x12345678, val);
	/* Misaligned offset in the BAR. */
	q = bar_map(self->s.fd, 2, huge + PAGE, huge);
	ASSERT_NE(NULL, q);
	EXPECT_EQ(0x12345678, mmio_read32(q, 0));
	/* Half of a large page unmapped in its middle. */
	ASSERT_EQ(0, munmap(p + huge, huge / 2));
	ASSERT_EQ(0, mmio_peek32((u32 *)(p + huge + huge / 2), &val));
	ASSERT_EQ(0, mmio_peek32((u32 *)p, &val));
}

/* Turning memory decode off also removes large pages, and turning it on brings them back. */
TEST_F(memory, zapped)
{
	u32 val;
	char *p = bar_map_aligned(self->s.fd, 2, self->info.size, 2 << 20);

	ASSERT_NE(NULL, p);
	mmio_write32(p, 0x200000, 0xabcdef01);
	mmio_write32(p, self->info.size - 4, 0xabcdef02);
	ASSERT_EQ(0, config_update(self->s.fd, PCI_COMMAND, 2, PCI_COMMAND_MEMORY, 0));
	EXPECT_EQ(-EFAULT, mmio_peek32((u32 *)(p + 0x200000), &val));
	EXPECT_EQ(-EFAULT, mmio_peek32((u32 *)(p + self->info.size - 4), &val));
	ASSERT_EQ(0, config_update(self->s.fd, PCI_COMMAND, 2, 0, PCI_COMMAND_MEMORY));
	ASSERT_EQ(0, mmio_peek32((u32 *)(p + 0x200000), &val));
	EXPECT_EQ(0xabcdef01, val);
	ASSERT_EQ(0, mmio_peek32((u32 *)(p + self->info.size - 4), &val));
	EXPECT_EQ(0xabcdef02, val);
}

/*
 * And 1 GiB where the BAR is large enough: one fault for all of it. On arm64, user space has pages
 * of 2 MiB at most, so there each access causes a fault.
 */
#ifdef __aarch64__
#define GIGANTIC_FAULTS 64
#else
#define GIGANTIC_FAULTS 16
#endif

TEST(gigantic_pages)
{
	const size_t giga = 1ul << 30;
	u64 start, size = 0, flags;
	char bdf[BDF_LEN];
	long before, after;
	struct session s;
	unsigned int i;
	size_t off;
	char *p;

	for (i = 0; size < giga; i++) {
		if (sysfs_find(0x1af4, 0x1110, i, bdf))
			SKIP(return, "no ivshmem of 1 GiB in this machine");
		ASSERT_EQ(0, sysfs_resource(bdf, 2, &start, &size, &flags));
	}
	ASSERT_EQ(0, session_open(&s, bdf));
	p = bar_map_aligned(s.fd, 2, giga, giga);
	ASSERT_NE(NULL, p);
	before = faults();
	for (off = 0; off < giga; off += giga / 64)
		mmio_read32(p, off);
	after = faults();
	EXPECT_LE(1, after - before);
	EXPECT_GE(GIGANTIC_FAULTS, after - before);
	session_close(&s);
}

/* The I/O BAR of both network cards: an address register and a data register. */
FIXTURE(io)
{
	struct session s;
};

FIXTURE_VARIANT(io)
{
	enum test_device dev;
};

FIXTURE_VARIANT_ADD(io, igb) { .dev = DEV_IGB };
FIXTURE_VARIANT_ADD(io, e1000e) { .dev = DEV_E1000E };

FIXTURE_SETUP(io)
{
	SETUP_SESSION(&self->s, variant->dev);
	ASSERT_EQ(0, config_update(self->s.fd, PCI_COMMAND, 2, 0, PCI_COMMAND_IO));
}

FIXTURE_TEARDOWN(io)
{
	session_close(&self->s);
}

TEST_F(io, ports)
{
	u8 buf[32];

	ASSERT_EQ(0, region_write32(self->s.fd, 2, 0, NIC_STATUS));
	EXPECT_EQ(NIC_STATUS, region_read32(self->s.fd, 2, 0));
	EXPECT_EQ(region_read32(self->s.fd, 0, NIC_STATUS), region_read32(self->s.fd, 2, 4));
	/* The mapping shows that a write has arrived. */
	ASSERT_EQ(0, region_write32(self->s.fd, 2, 0, NIC_RDBAL));
	ASSERT_EQ(0, region_write32(self->s.fd, 2, 4, 0x1000));
	EXPECT_EQ(0x1000, region_read32(self->s.fd, 0, NIC_RDBAL));
	/* All of it, with the widest accesses that ports allow. */
	EXPECT_EQ(32, region_pread(self->s.fd, 2, 0, buf, 32));
	EXPECT_EQ(1, region_pread(self->s.fd, 2, 1, buf, 1));
	EXPECT_EQ(2, region_pread(self->s.fd, 2, 2, buf, 2));
	EXPECT_EQ(3, region_pread(self->s.fd, 2, 1, buf, 3));
}

/* edu reveals the width of accesses: its registers support only four bytes at a time. */
TEST(widths_of_registers)
{
	struct session s;
	const char *bdf;
	u64 wide = 0;

	SETUP_DEVICE(&bdf, DEV_EDU);
	ASSERT_EQ(0, session_open(&s, bdf));
	EXPECT_EQ(EDU_ID_VALUE, region_read32(s.fd, 0, EDU_ID));
	ASSERT_EQ(0, region_write32(s.fd, 0, EDU_INVERT, 0x12345678));
	EXPECT_EQ(~0x12345678u, region_read32(s.fd, 0, EDU_INVERT));
	/* Eight bytes in one access, where the device supports that. */
	ASSERT_EQ(8, region_pwrite(s.fd, 0, EDU_DMA_SRC, "\1\2\3\4\5\6\7\10", 8));
	ASSERT_EQ(8, region_pread(s.fd, 0, EDU_DMA_SRC, &wide, 8));
	EXPECT_EQ(0x0807060504030201ull, wide);
	session_close(&s);
}

/* ivshmem's BAR 0 is smaller than a page. */
TEST(bar_below_a_page)
{
	struct session s;
	const char *bdf;
	u32 *p, word;

	SETUP_DEVICE(&bdf, DEV_IVSHMEM);
	ASSERT_EQ(0, session_open(&s, bdf));
	p = bar_map(s.fd, 0, 0, PAGE);
	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, region_write32(s.fd, 0, 0, 0x5a));
	ASSERT_EQ(0, mmio_peek32(p, &word));
	EXPECT_EQ(region_read32(s.fd, 0, 0), word);
	session_close(&s);
}

TEST_HARNESS_MAIN
