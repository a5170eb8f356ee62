// SPDX-License-Identifier: GPL-2.0-only
/*
 * Config space: what can be read, and the effects of writes on the shadow, the hardware and the
 * rest of the device. Section numbers are those of the PCI Express Base Specification 6.2.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/config.h"
#include "lib/harness.h"
#include "lib/iommufd.h"
#include "lib/irq.h"
#include "lib/nic.h"
#include "lib/nvme.h"
#include "lib/region.h"

#define CONFIG VFIO_PCI_CONFIG_REGION_INDEX
#define NUM_BARS 6

/* Bits of a line of sysfs's resource file. */
#define RES_IO		0x00000100
#define RES_MEM		0x00000200
#define RES_PREFETCH	0x00002000
#define RES_MEM_64	0x00100000

FIXTURE(config)
{
	struct session s;
	unsigned int size;
};

FIXTURE_VARIANT(config)
{
	enum test_device dev;
};

FIXTURE_ALL_DEVICES(config);

FIXTURE_SETUP(config)
{
	SETUP_SESSION(&self->s, variant->dev);
	self->size = config_size(self->s.fd);
	ASSERT_LE(256, self->size);
}

FIXTURE_TEARDOWN(config)
{
	session_close(&self->s);
}

/* A register in hardware. */
static u32 hw(const char *bdf, unsigned int pos, unsigned int width)
{
	u32 val = 0;

	return sysfs_config(bdf, pos, &val, width) == (int)width ? val : 0xdeadbeef;
}

/*
 * First memory BAR that begins with registers, for tests of memory decode. This excludes the MSI-X
 * table, as reads of it do not reach the device.
 */
static int memory_bar(struct session *s)
{
	int i, msix = config_cap(s->fd, PCI_CAP_ID_MSIX);
	u64 start, size, flags;

	for (i = 0; i < NUM_BARS; i++) {
		if (msix > 0 && config_read(s->fd, msix + PCI_MSIX_TABLE, 4) == i)
			continue;
		if (!sysfs_resource(s->bdf, i, &start, &size, &flags) && size && (flags & RES_MEM))
			return i;
	}
	return -1;
}

TEST_F(config, as_large_as_the_hardwares)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", self->s.bdf);
	ASSERT_EQ(0, stat(path, &st));
	EXPECT_EQ(st.st_size, self->size);
}

TEST_F(config, all_widths)
{
	u8 ref[4096], got[16];
	unsigned int pos, width;

	/* All at once, and then by registers, at every offset, aligned or not. */
	ASSERT_EQ(self->size, region_pread(self->s.fd, CONFIG, 0, ref, self->size));
	for (width = 1; width <= 8; width += width > 4 ? 3 : 1) {
		for (pos = 0; pos + width <= self->size; pos++) {
			memset(got, 0xcc, sizeof(got));
			ASSERT_EQ(width, region_pread(self->s.fd, CONFIG, pos, got, width))
				TH_LOG("at %#x", pos);
			ASSERT_EQ(0, memcmp(ref + pos, got, width))
				TH_LOG("%u bytes at %#x", width, pos);
			ASSERT_EQ(0xcc, got[width]);
		}
	}
}

TEST_F(config, past_the_end)
{
	u8 buf[4100] = { 0 };

	EXPECT_EQ(1, region_pread(self->s.fd, CONFIG, self->size - 1, buf, 1));
	EXPECT_EQ(-EFAULT, region_pread(self->s.fd, CONFIG, self->size, buf, 1));
	EXPECT_EQ(-EFAULT, region_pread(self->s.fd, CONFIG, self->size - 2, buf, 4));
	EXPECT_EQ(-EFAULT, region_pread(self->s.fd, CONFIG, 0, buf, self->size + 1));
	EXPECT_EQ(-EFAULT, region_pread(self->s.fd, CONFIG, 1ull << 39, buf, 4));
	EXPECT_EQ(-EFAULT, region_pread(self->s.fd, CONFIG, (1ull << 40) - 4, buf, 4));
	EXPECT_EQ(-EFAULT, region_pwrite(self->s.fd, CONFIG, self->size, buf, 1));
	EXPECT_EQ(-EFAULT, region_pwrite(self->s.fd, CONFIG, self->size - 2, buf, 4));
}

TEST_F(config, header_is_the_devices)
{
	static const struct {
		u8 pos;
		u8 width;
	} same[] = {
		{ PCI_VENDOR_ID, 2 }, { PCI_DEVICE_ID, 2 }, { PCI_CLASS_REVISION, 4 },
		{ PCI_HEADER_TYPE, 1 }, { PCI_SUBSYSTEM_VENDOR_ID, 2 }, { PCI_SUBSYSTEM_ID, 2 },
		{ PCI_CARDBUS_CIS, 4 },
	};
	size_t i;

	for (i = 0; i < LIB_ARRAY_SIZE(same); i++)
		EXPECT_EQ(hw(self->s.bdf, same[i].pos, same[i].width),
			  config_read(self->s.fd, same[i].pos, same[i].width));
	EXPECT_EQ(0, config_read(self->s.fd, PCI_HEADER_TYPE, 1) & 0x7f);
}

/* Writes to these are ignored without an error. */
TEST_F(config, read_only)
{
	static const u8 ro[] = {
		0x00, 0x01, 0x02, 0x03, 0x08, 0x09, 0x0a, 0x0b, 0x0e, 0x28, 0x29, 0x2a, 0x2b, 0x2c,
		0x2d, 0x2e, 0x2f, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x3b, 0x3d, 0x3e, 0x3f,
	};
	size_t i;

	for (i = 0; i < LIB_ARRAY_SIZE(ro); i++) {
		s64 old = config_read(self->s.fd, ro[i], 1);

		ASSERT_LE(0, old);
		EXPECT_EQ(0, config_write(self->s.fd, ro[i], 1, ~old));
		EXPECT_EQ(old, config_read(self->s.fd, ro[i], 1))
			TH_LOG("at %#x", ro[i]);
	}
	EXPECT_EQ(hw(self->s.bdf, 0, 4), config_read(self->s.fd, 0, 4));
}

/* 7.5.1.2.1: write ones, and the bits that stay zero are the size. */
TEST_F(config, bar_sizing)
{
	int i;

	for (i = 0; i < NUM_BARS; i++) {
		unsigned int pos = PCI_BASE_ADDRESS_0 + i * 4;
		u64 start, size, flags;
		u32 before = hw(self->s.bdf, pos, 4);
		s64 got, low;

		ASSERT_EQ(0, sysfs_resource(self->s.bdf, i, &start, &size, &flags));
		ASSERT_EQ(0, config_write(self->s.fd, pos, 4, ~0u));
		got = config_read(self->s.fd, pos, 4);
		if (!size) {
			EXPECT_EQ(0, got);
			continue;
		}
		if (flags & RES_IO) {
			EXPECT_EQ((u32)~(size - 1) | PCI_BASE_ADDRESS_SPACE_IO, got);
			low = 3;
		} else {
			u32 type = (flags & RES_MEM_64 ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0) |
				   (flags & RES_PREFETCH ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0);

			EXPECT_EQ((u32)~(size - 1) | type, got);
			low = 15;
		}
		EXPECT_EQ(before, hw(self->s.bdf, pos, 4));

		/* An address: aligned by the register, and kept. */
		ASSERT_EQ(0, config_write(self->s.fd, pos, 4, 0xc0000000));
		EXPECT_EQ(0xc0000000 & (u32)~(size - 1),
			  config_read(self->s.fd, pos, 4) & ~low);
		/* It can be written byte by byte, too. */
		ASSERT_EQ(0, config_write(self->s.fd, pos + 3, 1, 0xd0));
		EXPECT_EQ(0xd0000000 & (u32)~(size - 1),
			  config_read(self->s.fd, pos, 4) & ~low);
		EXPECT_EQ((0xd0000000 & (u32)~(size - 1)) >> 24,
			  config_read(self->s.fd, pos + 3, 1));

		if (flags & RES_MEM_64) {
			ASSERT_EQ(0, config_write(self->s.fd, pos + 4, 4, ~0u));
			EXPECT_EQ((u32)(~(size - 1) >> 32), config_read(self->s.fd, pos + 4, 4));
			ASSERT_EQ(0, config_write(self->s.fd, pos + 4, 4, 0x12));
			EXPECT_EQ(0x12, config_read(self->s.fd, pos + 4, 4));
			EXPECT_EQ(start >> 32, hw(self->s.bdf, pos + 4, 4));
			i++;
		}
		EXPECT_EQ(before, hw(self->s.bdf, pos, 4));
	}
}

/* 7.5.1.2.4 */
TEST_F(config, rom_bar)
{
	u64 start, size, flags;
	u32 before = hw(self->s.bdf, PCI_ROM_ADDRESS, 4);

	ASSERT_EQ(0, sysfs_resource(self->s.bdf, 6, &start, &size, &flags));
	ASSERT_EQ(0, config_write(self->s.fd, PCI_ROM_ADDRESS, 4, ~0u));
	if (!size) {
		EXPECT_EQ(0, config_read(self->s.fd, PCI_ROM_ADDRESS, 4));
		return;
	}
	EXPECT_EQ((u32)~(size - 1) | PCI_ROM_ADDRESS_ENABLE,
		  config_read(self->s.fd, PCI_ROM_ADDRESS, 4));
	ASSERT_EQ(0, config_write(self->s.fd, PCI_ROM_ADDRESS, 4, 0xc0000000));
	EXPECT_EQ(0xc0000000, config_read(self->s.fd, PCI_ROM_ADDRESS, 4));
	EXPECT_EQ(before, hw(self->s.bdf, PCI_ROM_ADDRESS, 4));
}

TEST_F(config, memory_decode)
{
	int i = memory_bar(&self->s);
	u32 *regs, val, first;
	u32 word;

	ASSERT_LE(0, i);
	regs = bar_map(self->s.fd, i, 0, 0x1000);
	ASSERT_NE(NULL, regs);
	ASSERT_EQ(0, mmio_peek32(regs, &first));
	ASSERT_EQ(4, region_pread(self->s.fd, i, 0, &word, 4));

	ASSERT_EQ(0, config_update(self->s.fd, PCI_COMMAND, 2, PCI_COMMAND_MEMORY, 0));
	EXPECT_EQ(0, config_read(self->s.fd, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY);
	EXPECT_EQ(-EFAULT, mmio_peek32(regs, &val));
	EXPECT_EQ(-EFAULT, mmio_poke32(regs, 0));
	EXPECT_EQ(-EIO, region_pread(self->s.fd, i, 0, &word, 4));
	EXPECT_EQ(-EIO, region_pwrite(self->s.fd, i, 0, &word, 4));
	/* A mapping can be made, but not used. */
	munmap(regs, 0x1000);
	regs = bar_map(self->s.fd, i, 0, 0x1000);
	ASSERT_NE(NULL, regs);
	EXPECT_EQ(-EFAULT, mmio_peek32(regs, &val));

	/* One byte of the register is enough. */
	ASSERT_EQ(0, config_update(self->s.fd, PCI_COMMAND, 1, 0, PCI_COMMAND_MEMORY));
	EXPECT_NE(0, config_read(self->s.fd, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY);
	EXPECT_EQ(0, mmio_peek32(regs, &val));
	EXPECT_EQ(first, val);
	EXPECT_EQ(4, region_pread(self->s.fd, i, 0, &word, 4));
}

TEST_F(config, command)
{
	s64 old = config_read(self->s.fd, PCI_COMMAND, 2);

	ASSERT_LE(0, old);
	/* Handed over with memory on and bus mastering off. */
	EXPECT_NE(0, old & PCI_COMMAND_MEMORY);
	EXPECT_EQ(0, old & (PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE));

	ASSERT_EQ(0, config_master(self->s.fd, true));
	EXPECT_NE(0, config_read(self->s.fd, PCI_COMMAND, 2) & PCI_COMMAND_MASTER);
	EXPECT_NE(0, hw(self->s.bdf, PCI_COMMAND, 2) & PCI_COMMAND_MASTER);
	ASSERT_EQ(0, config_master(self->s.fd, false));
	EXPECT_EQ(0, hw(self->s.bdf, PCI_COMMAND, 2) & PCI_COMMAND_MASTER);

	/* DisINTx is the user's bit, independent of the hardware's. */
	ASSERT_EQ(0, config_update(self->s.fd, PCI_COMMAND, 2, 0, PCI_COMMAND_INTX_DISABLE));
	EXPECT_EQ(old | PCI_COMMAND_INTX_DISABLE, config_read(self->s.fd, PCI_COMMAND, 2));
	EXPECT_EQ((old | PCI_COMMAND_INTX_DISABLE) >> 8,
		  config_read(self->s.fd, PCI_COMMAND + 1, 1));
	ASSERT_EQ(0, config_write(self->s.fd, PCI_COMMAND + 1, 1, old >> 8));
	EXPECT_EQ(old, config_read(self->s.fd, PCI_COMMAND, 2));
}

TEST_F(config, interrupt_line_and_pin)
{
	u32 line = hw(self->s.bdf, PCI_INTERRUPT_LINE, 1);
	struct vfio_irq_info info;

	ASSERT_EQ(0, config_write(self->s.fd, PCI_INTERRUPT_LINE, 1, 0x5a));
	EXPECT_EQ(0x5a, config_read(self->s.fd, PCI_INTERRUPT_LINE, 1));
	ASSERT_EQ(0, config_write(self->s.fd, PCI_INTERRUPT_LINE, 1, 0xa5));
	EXPECT_EQ(0xa5, config_read(self->s.fd, PCI_INTERRUPT_LINE, 1));
	EXPECT_EQ(line, hw(self->s.bdf, PCI_INTERRUPT_LINE, 1));

	ASSERT_EQ(0, irq_info(self->s.fd, VFIO_PCI_INTX_IRQ_INDEX, &info));
	EXPECT_EQ(!!info.count, !!config_read(self->s.fd, PCI_INTERRUPT_PIN, 1));
}

TEST_F(config, capability_list)
{
	/* Those that a user may see; not 0, slot numbering, hot-plug and so on. */
	static const bool known[256] = {
		[PCI_CAP_ID_PM] = true, [PCI_CAP_ID_AGP] = true, [PCI_CAP_ID_VPD] = true,
		[PCI_CAP_ID_MSI] = true, [PCI_CAP_ID_PCIX] = true, [PCI_CAP_ID_HT] = true,
		[PCI_CAP_ID_VNDR] = true, [PCI_CAP_ID_EXP] = true, [PCI_CAP_ID_MSIX] = true,
		[PCI_CAP_ID_SATA] = true, [PCI_CAP_ID_AF] = true,
	};
	bool seen[256] = { false };
	s64 pos;

	if (!(config_read(self->s.fd, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST)) {
		EXPECT_EQ(0, config_read(self->s.fd, PCI_CAPABILITY_LIST, 1));
		return;
	}
	for (pos = config_read(self->s.fd, PCI_CAPABILITY_LIST, 1); pos;
	     pos = config_read(self->s.fd, pos + PCI_CAP_LIST_NEXT, 1)) {
		s64 word = config_read(self->s.fd, pos, 2);

		ASSERT_LE(0x40, pos);
		ASSERT_EQ(0, pos & 3);
		ASSERT_FALSE(seen[pos]);
		seen[pos] = true;
		EXPECT_TRUE(known[word & 0xff])
			TH_LOG("capability %#x", (u32)word & 0xff);
		EXPECT_EQ(hw(self->s.bdf, pos, 1), word & 0xff);
		/* Neither can be written. */
		EXPECT_EQ(0, config_write(self->s.fd, pos, 2, ~word));
		EXPECT_EQ(word, config_read(self->s.fd, pos, 2));
	}
}

TEST_F(config, extended_capability_list)
{
	bool seen[4096] = { false };
	s64 pos = 0x100, header;

	if (self->size == 256)
		SKIP(return, "a conventional device");
	do {
		header = config_read(self->s.fd, pos, 4);
		ASSERT_LE(0, header);
		ASSERT_LE(0x100, pos);
		ASSERT_EQ(0, pos & 3);
		ASSERT_FALSE(seen[pos]);
		seen[pos] = true;
		if (PCI_EXT_CAP_ID(header)) {
			EXPECT_EQ(hw(self->s.bdf, pos, 2), PCI_EXT_CAP_ID(header));
		}
		EXPECT_EQ(0, config_write(self->s.fd, pos, 4, ~header));
		EXPECT_EQ(header, config_read(self->s.fd, pos, 4));
		pos = PCI_EXT_CAP_NEXT(header);
	} while (pos);
}

TEST_F(config, msi)
{
	int pos = config_cap(self->s.fd, PCI_CAP_ID_MSI);
	u8 before[PCI_MSI_DATA_64 + 2], after[sizeof(before)];
	s64 flags;
	u32 data;

	ASSERT_LE(0, pos);
	if (!pos)
		SKIP(return, "no MSI");
	ASSERT_EQ(sizeof(before), sysfs_config(self->s.bdf, pos, before, sizeof(before)));
	flags = config_read(self->s.fd, pos + PCI_MSI_FLAGS, 2);
	data = flags & PCI_MSI_FLAGS_64BIT ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32;

	/* Address and data are only stored. */
	ASSERT_EQ(0, config_write(self->s.fd, pos + PCI_MSI_ADDRESS_LO, 4, 0xfee12344));
	EXPECT_EQ(0xfee12344, config_read(self->s.fd, pos + PCI_MSI_ADDRESS_LO, 4));
	ASSERT_EQ(0, config_write(self->s.fd, pos + data, 2, 0x4321));
	EXPECT_EQ(0x4321, config_read(self->s.fd, pos + data, 2));
	/* MSI is enabled by SET_IRQS. */
	ASSERT_EQ(0, config_write(self->s.fd, pos + PCI_MSI_FLAGS, 2,
				  flags | PCI_MSI_FLAGS_ENABLE));
	EXPECT_EQ(0, config_read(self->s.fd, pos + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_ENABLE);
	/* Not more messages than the device has. */
	ASSERT_EQ(0, config_write(self->s.fd, pos + PCI_MSI_FLAGS, 2,
				  flags | PCI_MSI_FLAGS_QSIZE));
	EXPECT_LE((config_read(self->s.fd, pos + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_QSIZE) >> 4,
		  (flags & PCI_MSI_FLAGS_QMASK) >> 1);
	ASSERT_EQ(sizeof(after), sysfs_config(self->s.bdf, pos, after, sizeof(after)));
	EXPECT_EQ(0, memcmp(before, after, sizeof(before)));
}

TEST_F(config, msix)
{
	int pos = config_cap(self->s.fd, PCI_CAP_ID_MSIX);
	s64 flags, table;
	u32 before;

	ASSERT_LE(0, pos);
	if (!pos)
		SKIP(return, "no MSI-X");
	before = hw(self->s.bdf, pos, 4);
	flags = config_read(self->s.fd, pos + PCI_MSIX_FLAGS, 2);
	table = config_read(self->s.fd, pos + PCI_MSIX_TABLE, 4);
	ASSERT_EQ(0, config_write(self->s.fd, pos + PCI_MSIX_FLAGS, 2,
				  PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL));
	EXPECT_EQ(flags, config_read(self->s.fd, pos + PCI_MSIX_FLAGS, 2));
	ASSERT_EQ(0, config_write(self->s.fd, pos + PCI_MSIX_TABLE, 4, ~0u));
	EXPECT_EQ(table, config_read(self->s.fd, pos + PCI_MSIX_TABLE, 4));
	EXPECT_EQ(before, hw(self->s.bdf, pos, 4));
}

/* 7.5.2: the user controls the power state, through the kernel; the host controls PME. */
TEST_F(config, power_state)
{
	int i = memory_bar(&self->s), pos = config_cap(self->s.fd, PCI_CAP_ID_PM);
	u32 *regs, val, first;
	u32 word;

	ASSERT_LE(0, pos);
	if (!pos)
		SKIP(return, "no power management");
	EXPECT_EQ(0, config_read(self->s.fd, pos + PCI_PM_PMC, 2) & PCI_PM_CAP_PME_MASK);
	ASSERT_EQ(0, config_write(self->s.fd, pos + PCI_PM_CTRL, 2, PCI_PM_CTRL_PME_ENABLE));
	EXPECT_EQ(0, config_read(self->s.fd, pos + PCI_PM_CTRL, 2) & PCI_PM_CTRL_PME_ENABLE);

	/* The hardware is in the state that the user sees. */
	EXPECT_EQ(0, hw(self->s.bdf, pos + PCI_PM_CTRL, 2) & PCI_PM_CTRL_STATE_MASK);
	EXPECT_EQ(PCI_COMMAND_MEMORY, hw(self->s.bdf, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY);
	ASSERT_LE(0, i);
	EXPECT_EQ(config_read(self->s.fd, PCI_BASE_ADDRESS_0 + 4 * i, 4),
		  hw(self->s.bdf, PCI_BASE_ADDRESS_0 + 4 * i, 4));
	regs = bar_map(self->s.fd, i, 0, 0x1000);
	ASSERT_NE(NULL, regs);
	ASSERT_EQ(0, mmio_peek32(regs, &first));

	ASSERT_EQ(0, config_update(self->s.fd, pos + PCI_PM_CTRL, 2, PCI_PM_CTRL_STATE_MASK, 3));
	EXPECT_EQ(3, config_read(self->s.fd, pos + PCI_PM_CTRL, 2) & PCI_PM_CTRL_STATE_MASK);
	EXPECT_EQ(-EFAULT, mmio_peek32(regs, &val));
	EXPECT_EQ(-EIO, region_pread(self->s.fd, i, 0, &word, 4));

	ASSERT_EQ(0, config_update(self->s.fd, pos + PCI_PM_CTRL, 2, PCI_PM_CTRL_STATE_MASK, 0));
	EXPECT_EQ(0, config_read(self->s.fd, pos + PCI_PM_CTRL, 2) & PCI_PM_CTRL_STATE_MASK);
	EXPECT_EQ(0, mmio_peek32(regs, &val));
	EXPECT_EQ(first, val);
	EXPECT_EQ(4, region_pread(self->s.fd, i, 0, &word, 4));
}

/* 7.5.3.4: the host controls the payload size, the user the rest of device control. */
TEST_F(config, express)
{
	int pos = config_cap(self->s.fd, PCI_CAP_ID_EXP);
	u32 hwctl;
	s64 old;

	ASSERT_LE(0, pos);
	if (!pos)
		SKIP(return, "a conventional device");
	hwctl = hw(self->s.bdf, pos + PCI_EXP_DEVCTL, 2);
	old = config_read(self->s.fd, pos + PCI_EXP_DEVCTL, 2);
	ASSERT_EQ(0, config_write(self->s.fd, pos + PCI_EXP_DEVCTL, 2,
				  old ^ PCI_EXP_DEVCTL_PAYLOAD));
	EXPECT_EQ(old ^ PCI_EXP_DEVCTL_PAYLOAD,
		  config_read(self->s.fd, pos + PCI_EXP_DEVCTL, 2));
	EXPECT_EQ(hwctl, hw(self->s.bdf, pos + PCI_EXP_DEVCTL, 2));
	ASSERT_EQ(0, config_write(self->s.fd, pos + PCI_EXP_DEVCTL, 2, old));

	ASSERT_EQ(0, config_write(self->s.fd, pos + PCI_EXP_DEVCTL, 2,
				  old ^ PCI_EXP_DEVCTL_CERE));
	/* Not every device has this bit. If it has, the write must have reached it. */
	EXPECT_EQ(hw(self->s.bdf, pos + PCI_EXP_DEVCTL, 2) & PCI_EXP_DEVCTL_CERE,
		  config_read(self->s.fd, pos + PCI_EXP_DEVCTL, 2) & PCI_EXP_DEVCTL_CERE);
	if (variant->dev == DEV_NVME) {
		EXPECT_NE(hwctl & PCI_EXP_DEVCTL_CERE,
			  hw(self->s.bdf, pos + PCI_EXP_DEVCTL, 2) & PCI_EXP_DEVCTL_CERE);
	}

	/* Capability and link are read only. */
	old = config_read(self->s.fd, pos + PCI_EXP_DEVCAP, 4);
	ASSERT_EQ(0, config_write(self->s.fd, pos + PCI_EXP_DEVCAP, 4, ~old));
	EXPECT_EQ(old, config_read(self->s.fd, pos + PCI_EXP_DEVCAP, 4));
	old = config_read(self->s.fd, pos + PCI_EXP_LNKCTL, 2);
	ASSERT_EQ(0, config_write(self->s.fd, pos + PCI_EXP_LNKCTL, 2, ~old));
	EXPECT_EQ(old, config_read(self->s.fd, pos + PCI_EXP_LNKCTL, 2));
}

/* 7.8.4: the user controls the masks, except for reserved bits. */
TEST_F(config, advanced_errors)
{
	int pos = config_ecap(self->s.fd, PCI_EXT_CAP_ID_ERR);
	const u32 may = PCI_ERR_COR_RCVR | PCI_ERR_COR_BAD_TLP | PCI_ERR_COR_BAD_DLLP |
			PCI_ERR_COR_REP_ROLL | PCI_ERR_COR_REP_TIMER | PCI_ERR_COR_ADV_NFAT |
			PCI_ERR_COR_INTERNAL | PCI_ERR_COR_LOG_OVER;
	s64 old, new;

	ASSERT_LE(0, pos);
	if (!pos)
		SKIP(return, "no advanced error reporting");
	old = config_read(self->s.fd, pos + PCI_ERR_COR_MASK, 4);
	ASSERT_EQ(0, config_write(self->s.fd, pos + PCI_ERR_COR_MASK, 4, ~old));
	new = config_read(self->s.fd, pos + PCI_ERR_COR_MASK, 4);
	EXPECT_EQ(0, (old ^ new) & ~may);
	EXPECT_NE(0, (old ^ new) & PCI_ERR_COR_BAD_TLP);
	ASSERT_EQ(0, config_write(self->s.fd, pos + PCI_ERR_COR_MASK, 4, old));
	EXPECT_EQ(old, config_read(self->s.fd, pos + PCI_ERR_COR_MASK, 4));
}

/* Two registers at once: each byte follows its own rule. */
TEST_F(config, across_registers)
{
	u8 old[8], new[8], got[8];
	unsigned int i;

	/* Interrupt line can be written; ROM BAR's tail, capability pointer and pin cannot. */
	ASSERT_EQ(5, region_pread(self->s.fd, CONFIG, 0x39, old, 5));
	for (i = 0; i < 5; i++)
		new[i] = ~old[i];
	ASSERT_EQ(5, region_pwrite(self->s.fd, CONFIG, 0x39, new, 5));
	ASSERT_EQ(5, region_pread(self->s.fd, CONFIG, 0x39, got, 5));
	EXPECT_EQ(0, memcmp(old, got, 3));
	EXPECT_EQ(new[3], got[3]);
	EXPECT_EQ(old[4], got[4]);
}

/* Function-level reset by the bit of device control that the specification has for it. */
FIXTURE(flr)
{
	struct session s;
	void *bar;
	int exp;
};

FIXTURE_VARIANT(flr)
{
	enum test_device dev;
	u32 reg;
	u32 bits;
};

FIXTURE_VARIANT_ADD(flr, nvme) { .dev = DEV_NVME, .reg = NVME_CC, .bits = 0x00460000 };
FIXTURE_VARIANT_ADD(flr, igb) { .dev = DEV_IGB, .reg = NIC_RDBAL, .bits = 0x00001000 };

FIXTURE_SETUP(flr)
{
	SETUP_SESSION(&self->s, variant->dev);
	self->bar = bar_map(self->s.fd, 0, 0, 0);
	ASSERT_NE(NULL, self->bar);
	self->exp = config_cap(self->s.fd, PCI_CAP_ID_EXP);
	ASSERT_LT(0, self->exp);
	ASSERT_NE(0, config_read(self->s.fd, self->exp + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR);
}

FIXTURE_TEARDOWN(flr)
{
	session_close(&self->s);
}

TEST_F(flr, resets)
{
	u32 command = config_read(self->s.fd, PCI_COMMAND, 2);
	u32 bar0 = config_read(self->s.fd, PCI_BASE_ADDRESS_0, 4);

	mmio_write32(self->bar, variant->reg, variant->bits);
	ASSERT_EQ(variant->bits, mmio_read32(self->bar, variant->reg));
	ASSERT_EQ(0, config_update(self->s.fd, self->exp + PCI_EXP_DEVCTL, 2, 0,
				   PCI_EXP_DEVCTL_BCR_FLR));
	EXPECT_EQ(0, config_read(self->s.fd, self->exp + PCI_EXP_DEVCTL, 2) &
		     PCI_EXP_DEVCTL_BCR_FLR);
	EXPECT_EQ(0, mmio_read32(self->bar, variant->reg));
	EXPECT_EQ(command, config_read(self->s.fd, PCI_COMMAND, 2));
	EXPECT_EQ(bar0, config_read(self->s.fd, PCI_BASE_ADDRESS_0, 4));
}

TEST_HARNESS_MAIN
