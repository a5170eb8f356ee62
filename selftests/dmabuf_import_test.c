// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA-bufs of BARs, imported by other drivers than iommufd, such as that of an RDMA NIC. The module
 * dmabuf-importer acts as one, for a peer of the exporting function on the same bus, which uses the
 * bus address of the BAR.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/config.h"
#include "lib/dmabuf.h"
#include "lib/edu.h"
#include "lib/harness.h"
#include "lib/module.h"
#include "lib/region.h"

#define PAGE 0x1000ull
#define MODULE "dmabuf-importer"
#define PARAM "/sys/module/dmabuf_importer/parameters/"

FIXTURE(importer)
{
	struct session s;
	char peer[BDF_LEN];
	u64 bar;
	int dmabuf;
	bool loaded;
};

/* Find two edus on one conventional bus. */
static int find_peers(char bdf[BDF_LEN], char peer[BDF_LEN])
{
	unsigned int i;

	for (i = 0; !sysfs_find(0x1234, 0x11e8, i, bdf); i++)
		if (!sysfs_find(0x1234, 0x11e8, i + 1, peer) &&
		    !strncmp(bdf, peer, strlen("0000:00")))
			return 0;
	return -ENODEV;
}

static u64 bar_address(const char *bdf)
{
	char text[64];

	if (sysfs_read(text, sizeof(text), "/sys/bus/pci/devices/%s/resource", bdf) < 0)
		return 0;
	return strtoull(text, NULL, 16);
}

static u64 param(const char *name)
{
	char text[32];

	if (sysfs_read(text, sizeof(text), PARAM "%s", name) < 0)
		return ~0ull;
	return strtoull(text, NULL, 0);
}

static int map(bool on)
{
	return sysfs_write(on ? "1" : "0", PARAM "map");
}

static int load(const char *peer, int dmabuf, const char *more)
{
	char args[128];

	snprintf(args, sizeof(args), "device=%s fd=%d %s", peer, dmabuf, more);
	return module_load(MODULE, args);
}

FIXTURE_SETUP(importer)
{
	char bdf[BDF_LEN];
	int err;

	self->s.fd = -1;
	self->s.iommufd = -1;
	self->dmabuf = -1;
	if (find_peers(bdf, self->peer))
		SKIP(return, "no two edus on one bus");
	ASSERT_EQ(0, session_open(&self->s, bdf));
	self->bar = bar_address(bdf);
	ASSERT_NE(0, self->bar);
	self->dmabuf = dmabuf_export(self->s.fd, 0, 0, 4 * PAGE);
	ASSERT_LE(0, self->dmabuf);
	err = load(self->peer, self->dmabuf, "");
	if (err == -ENOENT || err == -ENOEXEC)
		SKIP(return, MODULE ".ko has not been built");
	ASSERT_EQ(0, err);
	self->loaded = true;
}

FIXTURE_TEARDOWN(importer)
{
	if (self->loaded)
		EXPECT_EQ(0, module_unload(MODULE));
	close(self->dmabuf);
	session_close(&self->s);
}

static int memory(struct session *s, bool on)
{
	return config_update(s->fd, PCI_COMMAND, 2, on ? 0 : PCI_COMMAND_MEMORY,
			     on ? PCI_COMMAND_MEMORY : 0);
}

#define EXPECT_MAPPED(self, bytes, n) do {				\
	EXPECT_EQ((self)->bar, param("addr"));				\
	EXPECT_EQ(bytes, param("size"));				\
	EXPECT_EQ(n, param("parts"));					\
} while (0)
#define EXPECT_UNMAPPED() EXPECT_EQ(0, param("size"))

TEST_F(importer, map)
{
	EXPECT_UNMAPPED();
	ASSERT_EQ(0, map(true));
	EXPECT_MAPPED(self, 4 * PAGE, 1);
	ASSERT_EQ(0, map(false));
	EXPECT_UNMAPPED();
	ASSERT_EQ(0, map(true));
	EXPECT_MAPPED(self, 4 * PAGE, 1);
}

/* Parts that are not contiguous stay separate. */
TEST_F(importer, two_ranges)
{
	const struct vfio_device_feature_dma_buf get = { .region_index = 0, .nr_ranges = 2 };
	const struct vfio_region_dma_range ranges[] = {
		{ .offset = 0, .length = PAGE },
		{ .offset = 8 * PAGE, .length = 2 * PAGE },
	};

	ASSERT_EQ(0, module_unload(MODULE));
	self->loaded = false;
	close(self->dmabuf);
	self->dmabuf = dmabuf_export_raw(self->s.fd, 0, &get, ranges);
	ASSERT_LE(0, self->dmabuf);
	ASSERT_EQ(0, load(self->peer, self->dmabuf, ""));
	self->loaded = true;
	ASSERT_EQ(0, map(true));
	EXPECT_MAPPED(self, 3 * PAGE, 2);
}

/* An importer that does not support revocation, or needs pages, is refused. */
TEST_F(importer, refused)
{
	ASSERT_EQ(0, module_unload(MODULE));
	self->loaded = false;
	EXPECT_EQ(-EOPNOTSUPP, load(self->peer, self->dmabuf, "peer2peer=0"));
	EXPECT_EQ(-EOPNOTSUPP, load(self->peer, self->dmabuf, "revocable=0"));
}

/* Nobody can access a BAR that does not answer. */
TEST_F(importer, decode_off)
{
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, map(true));
		EXPECT_MAPPED(self, 4 * PAGE, 1);
		ASSERT_EQ(0, memory(&self->s, false));
		EXPECT_UNMAPPED();
		EXPECT_EQ(-ENODEV, map(true));
		ASSERT_EQ(0, memory(&self->s, true));
		EXPECT_UNMAPPED();
	}
}

/* The end of the session revokes what it has exported, whoever holds it. */
TEST_F(importer, session_ends)
{
	char bdf[BDF_LEN];

	memcpy(bdf, self->s.bdf, BDF_LEN);
	ASSERT_EQ(0, map(true));
	session_close(&self->s);
	EXPECT_UNMAPPED();
	EXPECT_EQ(-ENODEV, map(true));

	ASSERT_EQ(0, session_open(&self->s, bdf));
	EXPECT_EQ(-ENODEV, map(true));
	EXPECT_UNMAPPED();
}

TEST_F(importer, unbound)
{
	char bdf[BDF_LEN];

	memcpy(bdf, self->s.bdf, BDF_LEN);
	ASSERT_EQ(0, map(true));
	session_close(&self->s);
	ASSERT_EQ(0, sysfs_unbind(bdf));
	EXPECT_UNMAPPED();
	EXPECT_EQ(-ENODEV, map(true));
	ASSERT_EQ(0, sysfs_rebind(bdf));
	EXPECT_EQ(-ENODEV, map(true));
}

/* The importer's mapping stays, even if the file is closed. */
TEST_F(importer, file_closed)
{
	ASSERT_EQ(0, map(true));
	close(self->dmabuf);
	self->dmabuf = -1;
	EXPECT_MAPPED(self, 4 * PAGE, 1);
	ASSERT_EQ(0, memory(&self->s, false));
	EXPECT_UNMAPPED();
	ASSERT_EQ(0, memory(&self->s, true));
	EXPECT_EQ(0, map(true));
	EXPECT_MAPPED(self, 4 * PAGE, 1);
}

TEST_HARNESS_MAIN
