// SPDX-License-Identifier: GPL-2.0-only
/* Legacy VGA: the region, arbitration between two devices, and the firmware's copy of the ROM. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include "lib/harness.h"
#include "lib/module.h"
#include "lib/vga.h"

#define ROM VFIO_PCI_ROM_REGION_INDEX
#define FLAGS_RW (VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE)
#define VGA_SIZE VGA_MEM_END

/* IORESOURCE_ROM_SHADOW */
#define RES_ROM_SHADOW	2

FIXTURE(vga)
{
	struct session s;
};

FIXTURE_VARIANT(vga)
{
	enum vga_kind kind;
};

FIXTURE_VARIANT_ADD(vga, boot) { .kind = VGA_BOOT };
FIXTURE_VARIANT_ADD(vga, other) { .kind = VGA_OTHER };

FIXTURE_SETUP(vga)
{
	SETUP_VGA(&self->s, variant->kind);
}

FIXTURE_TEARDOWN(vga)
{
	session_close(&self->s);
}

TEST_F(vga, info)
{
	struct vfio_device_info device = { .argsz = sizeof(device) };
	struct vfio_region_info info;

	ASSERT_EQ(0, region_info(self->s.fd, VGA, &info));
	EXPECT_EQ(VGA_SIZE, info.size);
	EXPECT_EQ((u64)VGA << 40, info.offset);
	EXPECT_EQ(FLAGS_RW, info.flags);
	ASSERT_EQ(0, vfio_ioctl(self->s.fd, VFIO_DEVICE_GET_INFO, &device));
	EXPECT_EQ(VFIO_PCI_NUM_REGIONS, device.num_regions);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 0x10000, PROT_READ, MAP_SHARED, self->s.fd,
				   region_offset(VGA) + VGA_MEM));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(vga, ports)
{
	int fd = self->s.fd;
	u8 val[4];

	/* In words and in bytes */
	ASSERT_EQ(0, vga_out(fd, SEQ, SEQ_PLANES, 0x05));
	EXPECT_EQ(0x05, vga_in(fd, SEQ, SEQ_PLANES));
	val[0] = SEQ_PLANES;
	val[1] = 0x0a;
	ASSERT_EQ(1, region_pwrite(fd, VGA, SEQ, &val[0], 1));
	ASSERT_EQ(1, region_pwrite(fd, VGA, SEQ + 1, &val[1], 1));
	ASSERT_EQ(2, region_pread(fd, VGA, SEQ, val, 2));
	EXPECT_EQ(SEQ_PLANES, val[0]);
	EXPECT_EQ(0x0a, val[1]);
	ASSERT_EQ(4, region_pread(fd, VGA, SEQ, val, 4));
	ASSERT_EQ(3, region_pread(fd, VGA, SEQ - 1, val, 3));
	EXPECT_EQ(SEQ_PLANES, val[1]);
	EXPECT_EQ(0x0a, val[2]);
}

/* Writes to legacy memory also appear in the framebuffer, BAR 0. */
TEST_F(vga, memory)
{
	u8 ref[64], got[64], zero[64] = { 0 };
	unsigned int off, len, i;
	int fd = self->s.fd;

	ASSERT_EQ(0, vga_linear(fd));
	for (off = 0; off < 8; off++) {
		for (len = 1; len <= 20; len++) {
			ASSERT_EQ(64, region_pwrite(fd, 0, 0, zero, 64));
			memset(ref, 0, sizeof(ref));
			for (i = 0; i < len; i++)
				ref[off + i] = off * 37 + len * 11 + i + 1;
			ASSERT_EQ(len, region_pwrite(fd, VGA, VGA_MEM + off, ref + off, len));
			ASSERT_EQ(64, region_pread(fd, 0, 0, got, 64));
			ASSERT_EQ(0, memcmp(got, ref, 64))
				TH_LOG("%u bytes at %u", len, off);
			memset(got, 0xcc, sizeof(got));
			ASSERT_EQ(len, region_pread(fd, VGA, VGA_MEM + off, got, len));
			ASSERT_EQ(0, memcmp(got, ref + off, len));
		}
	}
}

TEST_F(vga, ends)
{
	static const struct {
		u64 off;
		ssize_t n;
	} parts[] = {
		{ 0, -EINVAL }, { 0x3af, -EINVAL }, { 0x3b0, 4 }, { 0x3ba, 2 }, { 0x3bc, -EINVAL },
		{ 0x3bf, -EINVAL }, { 0x3dd, 3 }, { 0x3e0, -EINVAL }, { 0x9ffff, -EINVAL },
		{ 0xbfffc, 4 }, { 0xbfffe, 2 }, { 0xc0000, -EINVAL }, { 1ull << 39, -EINVAL },
	};
	u8 buf[4] = { 0 };
	unsigned int i;

	for (i = 0; i < LIB_ARRAY_SIZE(parts); i++) {
		EXPECT_EQ(parts[i].n, region_pread(self->s.fd, VGA, parts[i].off, buf, 4))
			TH_LOG("at %#llx", (unsigned long long)parts[i].off);
		/* Not to ports, as the effect would be unknown. */
		if (parts[i].n < 0 || parts[i].off >= VGA_MEM)
			EXPECT_EQ(parts[i].n, region_pwrite(self->s.fd, VGA, parts[i].off, buf, 4));
	}
	EXPECT_EQ(-EFAULT, region_pread(self->s.fd, VGA, VGA_MEM, NULL, 4));
}

/* The bus reset after a session does not change the routing of the bridge. */
TEST_F(vga, next_session)
{
	char bdf[BDF_LEN];

	ASSERT_EQ(0, vga_out(self->s.fd, SEQ, SEQ_PLANES, 0x05));
	strcpy(bdf, self->s.bdf);
	session_close(&self->s);
	ASSERT_EQ(0, session_open(&self->s, bdf));
	ASSERT_EQ(0, vga_out(self->s.fd, SEQ, SEQ_PLANES, 0x03));
	EXPECT_EQ(0x03, vga_in(self->s.fd, SEQ, SEQ_PLANES));
}

/* Another kind of display has no legacy VGA. */
TEST(no_vga)
{
	struct vfio_region_info info;
	struct session s;
	u32 val = 0;

	SETUP_VGA(&s, VGA_NONE);
	EXPECT_EQ(-EINVAL, region_info(s.fd, VGA, &info));
	EXPECT_EQ(-EINVAL, region_pread(s.fd, VGA, VGA_MEM, &val, 4));
	EXPECT_EQ(-EINVAL, region_pwrite(s.fd, VGA, VGA_MEM, &val, 4));
	EXPECT_EQ(-EINVAL, region_pread(s.fd, VGA, SEQ, &val, 1));
	session_close(&s);
}

/* Two devices at the same addresses: each user accesses their own. */
FIXTURE(two)
{
	struct session s[2];
};

FIXTURE_SETUP(two)
{
	SETUP_VGA(&self->s[0], VGA_BOOT);
	SETUP_VGA(&self->s[1], VGA_OTHER);
}

FIXTURE_TEARDOWN(two)
{
	session_close(&self->s[0]);
	session_close(&self->s[1]);
}

/* Not at once, as in vga_ext_test: a user of the in-tree driver might wait for ever. */
TEST_F(two, take_turns)
{
	static const u8 seeds[] = { 0x55, 0xaa };
	unsigned int i, j;
	u32 val, got;

	for (j = 0; j < 2; j++)
		ASSERT_EQ(0, vga_linear(self->s[j].fd));
	for (i = 0; i < 200; i++) {
		for (j = 0; j < 2; j++) {
			val = seeds[j] * 0x01010101 + i;
			ASSERT_EQ(4, region_pwrite(self->s[j].fd, VGA, VGA_MEM + 4 * i, &val, 4));
			ASSERT_EQ(0, vga_out(self->s[j].fd, GC, GC_MASK, seeds[j]));
		}
		for (j = 0; j < 2; j++) {
			val = seeds[j] * 0x01010101 + i;
			EXPECT_EQ(seeds[j], vga_in(self->s[j].fd, GC, GC_MASK));
			ASSERT_EQ(4, region_pread(self->s[j].fd, VGA, VGA_MEM + 4 * i, &got, 4));
			EXPECT_EQ(val, got);
		}
	}
}

static void nothing(int sig)
{
	(void)sig;
}

/* Waiting for the addresses can be interrupted. */
TEST_F(two, wait)
{
	struct itimerval often = { { 0, 50000 }, { 0, 50000 } }, never = { 0 };
	struct sigaction act = { .sa_handler = nothing };
	int arbiter = open("/dev/vga_arbiter", O_RDWR);
	char text[64];
	u8 val;

	ASSERT_LE(0, arbiter);
	snprintf(text, sizeof(text), "target PCI:%s", self->s[0].bdf);
	ASSERT_LT(0, write(arbiter, text, strlen(text)));
	ASSERT_LT(0, write(arbiter, "lock io+mem", 11));

	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	EXPECT_EQ(-EINTR, region_pread(self->s[1].fd, VGA, SEQ, &val, 1));
	EXPECT_EQ(-EINTR, region_pwrite(self->s[1].fd, VGA, VGA_MEM, &val, 1));
	setitimer(ITIMER_REAL, &never, NULL);
	/* The user of the device that has them does not wait. */
	EXPECT_EQ(1, region_pread(self->s[0].fd, VGA, SEQ, &val, 1));

	ASSERT_LT(0, write(arbiter, "unlock io+mem", 13));
	EXPECT_EQ(1, region_pread(self->s[1].fd, VGA, SEQ, &val, 1));
	close(arbiter);
}

/* The firmware has copied the image to 0xc0000, where the kernel looks for it. */
TEST(shadow_rom)
{
	u64 start, size, flags;
	struct vfio_region_info info;
	u8 *ours, *theirs;
	struct session s;
	ssize_t n, got;
	int fd;
	char path[128];

	SETUP_VGA(&s, VGA_BOOT);
	ASSERT_EQ(0, sysfs_resource(s.bdf, 6, &start, &size, &flags));
	if (!(flags & RES_ROM_SHADOW))
		SKIP(return, "the kernel does not know of a copy");
	EXPECT_EQ(0xc0000, start);
	EXPECT_EQ(0x20000, size);
	ASSERT_EQ(0, region_info(s.fd, ROM, &info));
	EXPECT_EQ(size, info.size);
	EXPECT_EQ(VFIO_REGION_INFO_FLAG_READ, info.flags);

	ours = malloc(size);
	theirs = malloc(size);
	ASSERT_EQ(size, region_pread(s.fd, ROM, 0, ours, size));
	EXPECT_EQ(0x55, ours[0]);
	EXPECT_EQ(0xaa, ours[1]);
	/* The image ends before the resource does. */
	ASSERT_LT(ours[2] * 512, size);
	EXPECT_EQ(0xff, ours[size - 1]);

	ASSERT_EQ(0, sysfs_write("1", "/sys/bus/pci/devices/%s/rom", s.bdf));
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/rom", s.bdf);
	fd = open(path, O_RDONLY);
	ASSERT_LE(0, fd);
	for (n = 0; (got = pread(fd, theirs + n, size - n, n)) > 0; n += got)
		;
	close(fd);
	ASSERT_EQ(0, sysfs_write("0", "/sys/bus/pci/devices/%s/rom", s.bdf));
	ASSERT_LE(ours[2] * 512, n);
	EXPECT_EQ(0, memcmp(ours, theirs, n));

	/* The user sees a BAR of its size, which they can program. */
	ASSERT_EQ(0, config_write(s.fd, PCI_ROM_ADDRESS, 4, ~0u));
	EXPECT_EQ(0xfffe0001, (u32)config_read(s.fd, PCI_ROM_ADDRESS, 4));
	ASSERT_EQ(0, config_write(s.fd, PCI_ROM_ADDRESS, 4, 0));
	/* The copy is in memory, and independent of resets and of the device. */
	ASSERT_EQ(0, vfio_ioctl(s.fd, VFIO_DEVICE_RESET, NULL));
	ASSERT_EQ(size, region_pread(s.fd, ROM, 0, theirs, size));
	EXPECT_EQ(0, memcmp(ours, theirs, size));
	session_close(&s);
}

/* The host can disable it. */
TEST(disabled)
{
	struct vfio_region_info info;
	char bdf[BDF_LEN];
	struct session s;
	u32 val = 0;

	if (vga_find(VGA_BOOT, bdf))
		SKIP(return, "no VGA device in this machine");
	ASSERT_EQ(0, system("rmmod vfio_pci && modprobe vfio-pci disable_vga=1"));
	ASSERT_EQ(0, session_open(&s, bdf));
	EXPECT_EQ(-EINVAL, region_info(s.fd, VGA, &info));
	EXPECT_EQ(-EINVAL, region_pread(s.fd, VGA, VGA_MEM, &val, 4));
	EXPECT_EQ(-EINVAL, region_pwrite(s.fd, VGA, VGA_MEM, &val, 4));
	session_close(&s);
	ASSERT_EQ(0, system("rmmod vfio_pci && modprobe vfio-pci"));
}

/* The firmware's framebuffer for the host, in a BAR of a display. */
FIXTURE(frame_buffer)
{
	char bdf[BDF_LEN];
};

FIXTURE_VARIANT(frame_buffer)
{
	enum vga_kind kind;
};

FIXTURE_VARIANT_ADD(frame_buffer, vga) { .kind = VGA_OTHER };
FIXTURE_VARIANT_ADD(frame_buffer, without_vga) { .kind = VGA_NONE };

FIXTURE_SETUP(frame_buffer)
{
	char args[64];
	int err;

	if (vga_find(variant->kind, self->bdf))
		SKIP(return, "no such display in this machine");
	/* If the display is not VGA, the in-tree driver does not remove it, and the BAR is busy. */
	if (variant->kind == VGA_NONE)
		OURS_ONLY();
	sysfs_unbind(self->bdf);
	snprintf(args, sizeof(args), "device=%s", self->bdf);
	err = module_load("frame-buffer", args);
	if (err == -ENOENT || err == -ENOEXEC)
		SKIP(return, "frame-buffer.ko has not been built for this kernel");
	ASSERT_EQ(0, err);
}

FIXTURE_TEARDOWN(frame_buffer)
{
	module_unload("frame-buffer");
}

/* It is removed when the display is bound, and the BAR is free. */
TEST_F(frame_buffer, goes)
{
	char of_host[64];
	struct session s;
	void *bar;
	u32 val;

	ASSERT_LT(0, sysfs_read(of_host, sizeof(of_host), "/proc/fb"));
	EXPECT_NE(NULL, strstr(of_host, "simple"));
	ASSERT_EQ(0, session_open(&s, self->bdf));
	EXPECT_EQ(0, sysfs_read(of_host, sizeof(of_host), "/proc/fb"));
	bar = bar_map(s.fd, 0, 0, 0x1000);
	ASSERT_NE(NULL, bar);
	EXPECT_EQ(0, mmio_poke32(bar, 0x12345678));
	EXPECT_EQ(0, mmio_peek32(bar, &val));
	EXPECT_EQ(0x12345678, val);
	session_close(&s);
}

TEST_HARNESS_MAIN
