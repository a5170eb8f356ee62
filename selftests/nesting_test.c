// SPDX-License-Identifier: GPL-2.0-only
/*
 * Nested translation: the user's own page tables in front of those of iommufd. The tests are VMM
 * and guest at once, see lib/nesting.h; so each step is visible, and DMA shows its effect. And
 * errors, including those where the IOMMU does not support nesting.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/config.h"
#include "lib/edu.h"
#include "lib/harness.h"
#include "lib/irq.h"
#include "lib/nesting.h"
#include "lib/nvme.h"

#define IOVA 0x1000000ull
#define LEN 64
#define VSID 0x1234
#define NO_OBJECT 0x7fffffff

/* The device's pattern, which a transfer writes */
#define PATTERN 0xa5

/*
 * Kinds of devices behind an IOMMU that does not support nesting. Finding out takes a session, and
 * each test is a separate process: this is shared, so that only the first one has to do it.
 */
static bool *does_not_nest;

static void __attribute__((constructor)) share(void)
{
	does_not_nest = mmap(NULL, DEV_COUNT, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			     -1, 0);
	if (does_not_nest == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
}

static int edu_start(const struct session *s, void **bar)
{
	u8 *mem = dma_alloc(GUEST_PAGE);
	int err;

	*bar = bar_map(s->fd, 0, 0, 0);
	if (!*bar)
		return -errno;
	err = config_master(s->fd, true);
	if (err)
		return err;
	memset(mem, PATTERN, LEN);
	err = ioas_map(s->iommufd, s->ioas, mem, GUEST_PAGE, IOVA);
	if (!err)
		err = edu_read_memory(*bar, IOVA, 0, LEN);
	if (!err)
		err = ioas_unmap(s->iommufd, s->ioas, IOVA, GUEST_PAGE);
	munmap(mem, GUEST_PAGE);
	return err;
}

/* Whether a transfer has arrived; clears it for the next one. */
static bool arrived(void *mem)
{
	u8 *p = mem;
	bool ret = p[0] == PATTERN && p[LEN - 1] == PATTERN;

	memset(p, 0, GUEST_PAGE);
	return ret;
}

/* On any IOMMU */
FIXTURE(refused)
{
	struct session s;
	void *bar;
	u8 *mem;
	u32 type;
};

FIXTURE_SETUP(refused)
{
	struct iommu_hw_info info;

	SETUP_SESSION(&self->s, DEV_EDU);
	ASSERT_EQ(0, edu_start(&self->s, &self->bar));
	self->mem = dma_alloc(GUEST_PAGE);
	ASSERT_EQ(0, ioas_map(self->s.iommufd, self->s.ioas, self->mem, GUEST_PAGE, IOVA));
	ASSERT_EQ(0, hw_info(self->s.iommufd, self->s.devid, &info, NULL, 0));
	self->type = info.out_data_type;
}

FIXTURE_TEARDOWN(refused)
{
	session_close(&self->s);
}

TEST_F(refused, objects)
{
	struct iommu_hwpt_arm_smmuv3 ste = { { htole64(STE_V | STE_BYPASS) } };
	struct iommu_hwpt_alloc nested = {
		.dev_id = self->s.devid,
		.data_type = IOMMU_HWPT_DATA_ARM_SMMUV3,
		.data_len = sizeof(ste),
		.data_uptr = (uintptr_t)&ste,
	};
	struct iommu_viommu_arm_smmuv3_invalidate cmd = { { htole64(CMD_TLBI_NSNH_ALL) } };
	int iommufd = self->s.iommufd;
	u32 hwpt, id, count = 1;

	ASSERT_EQ(0, hwpt_alloc(iommufd, self->s.devid, self->s.ioas, &hwpt));

	/* A vIOMMU needs a device, and a HWPT that is a nesting parent. */
	EXPECT_EQ(-EOPNOTSUPP, viommu_alloc(iommufd, IOMMU_VIOMMU_TYPE_DEFAULT, self->s.devid,
					    hwpt, &id));
	EXPECT_EQ(-EOPNOTSUPP, viommu_alloc(iommufd, 1000, self->s.devid, hwpt, &id));
	EXPECT_EQ(-ENOENT, viommu_alloc(iommufd, IOMMU_VIOMMU_TYPE_ARM_SMMUV3, NO_OBJECT, hwpt,
					&id));
	EXPECT_GT(0, viommu_alloc(iommufd, IOMMU_VIOMMU_TYPE_ARM_SMMUV3, self->s.devid, hwpt,
				  &id));
	EXPECT_EQ(-ENOENT, vdevice_alloc(iommufd, NO_OBJECT, self->s.devid, VSID, &id));
	EXPECT_EQ(-ENOENT, vdevice_alloc(iommufd, hwpt, self->s.devid, VSID, &id));
	EXPECT_EQ(-ENOENT, veventq_alloc(iommufd, hwpt, IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, 8, &id));

	/* So does a nested HWPT. */
	nested.pt_id = NO_OBJECT;
	EXPECT_EQ(-EINVAL, hwpt_alloc_raw(iommufd, &nested));
	nested.pt_id = self->s.devid;
	EXPECT_EQ(-EINVAL, hwpt_alloc_raw(iommufd, &nested));
	nested.pt_id = self->s.ioas;
	EXPECT_EQ(-EOPNOTSUPP, hwpt_alloc_raw(iommufd, &nested));
	nested.pt_id = hwpt;
	EXPECT_GT(0, hwpt_alloc_raw(iommufd, &nested));
	nested.data_len = 0;
	EXPECT_EQ(-EINVAL, hwpt_alloc_raw(iommufd, &nested));

	/* Without tables of the user, there is nothing to invalidate. */
	EXPECT_EQ(-ENOENT, hwpt_invalidate(iommufd, NO_OBJECT, 0, &cmd, sizeof(cmd), &count));
	count = 1;
	EXPECT_EQ(-EINVAL, hwpt_invalidate(iommufd, hwpt, 0, &cmd, sizeof(cmd), &count));
	EXPECT_EQ(0, count);
	count = 1;
	EXPECT_EQ(-EINVAL, hwpt_invalidate(iommufd, self->s.ioas, 0, &cmd, sizeof(cmd), &count));
	EXPECT_EQ(0, count);

	/* The device is not affected by any of that. */
	ASSERT_EQ(0, edu_write_memory(self->bar, IOVA, 0, LEN));
	EXPECT_TRUE(arrived(self->mem));
}

/*
 * A page table whose faults go to the user is for devices that can wait for their pages, by PCI
 * page requests or SMMUv3 stalls. The VT-d driver refuses to attach other devices; the SMMUv3
 * driver must not, and others may. This is without requests, which are tested in page_request_test.
 */
TEST_F(refused, fault_queue)
{
	struct iommu_hwpt_page_response response = { .cookie = 1 };
	struct iommu_hwpt_alloc cmd = {
		.flags = IOMMU_HWPT_FAULT_ID_VALID,
		.dev_id = self->s.devid,
		.pt_id = self->s.ioas,
	};
	int iommufd = self->s.iommufd, fd, err;
	struct pollfd pfd = { .events = POLLIN };
	struct iommu_hwpt_pgfault fault;
	bool asks = sysfs_ext_cap(self->s.bdf, PCI_EXT_CAP_ID_PRI);
	u32 queue, hwpt, pt;

	fd = fault_queue_alloc(iommufd, &queue);
	ASSERT_LE(0, fd);
	cmd.fault_id = NO_OBJECT;
	err = hwpt_alloc_raw(iommufd, &cmd);
	if (err == -EOPNOTSUPP)
		SKIP(return, "this IOMMU has no page requests");
	EXPECT_EQ(-ENOENT, err);
	cmd.fault_id = queue;
	ASSERT_EQ(0, hwpt_alloc_raw(iommufd, &cmd));
	hwpt = cmd.out_hwpt_id;

	/* A queue is not a page table. */
	pt = queue;
	EXPECT_EQ(-EINVAL, vfio_attach(self->s.fd, &pt));
	ASSERT_EQ(0, edu_write_memory(self->bar, IOVA, 0, LEN));
	EXPECT_TRUE(arrived(self->mem));

	/* Neither as a replacement, nor as the first one */
	pt = hwpt;
	err = vfio_attach(self->s.fd, &pt);
	if (self->type == IOMMU_HW_INFO_TYPE_INTEL_VTD)
		EXPECT_EQ(asks ? 0 : -ENODEV, err);
	if (self->type == IOMMU_HW_INFO_TYPE_ARM_SMMUV3)
		EXPECT_TRUE(!err || err == -EOPNOTSUPP);
	ASSERT_EQ(0, edu_write_memory(self->bar, IOVA, 0, LEN));
	/* The VT-d driver detaches the old one before it checks the new one. */
	if (err && self->type == IOMMU_HW_INFO_TYPE_INTEL_VTD)
		memset(self->mem, 0, GUEST_PAGE);
	else
		EXPECT_TRUE(arrived(self->mem));
	ASSERT_EQ(0, vfio_detach(self->s.fd));
	pt = hwpt;
	EXPECT_EQ(err, vfio_attach(self->s.fd, &pt));
	ASSERT_EQ(0, edu_write_memory(self->bar, IOVA, 0, LEN));
	EXPECT_EQ(!err, arrived(self->mem));
	if (!err) {
		EXPECT_EQ(-EBUSY, iommufd_destroy(iommufd, hwpt));
		ASSERT_EQ(0, edu_write_memory(self->bar, IOVA + GUEST_PAGE, 0, LEN));
	}

	/* The queue is in use by the table, is empty, and expects no response. */
	EXPECT_EQ(-EBUSY, iommufd_destroy(iommufd, queue));
	pfd.fd = fd;
	EXPECT_EQ(0, poll(&pfd, 1, 0));
	EXPECT_EQ(0, read(fd, &fault, sizeof(fault)));
	EXPECT_EQ(-1, write(fd, &response, sizeof(response)));
	EXPECT_EQ(EINVAL, errno);

	/* And back. */
	pt = self->s.ioas;
	ASSERT_EQ(0, vfio_attach(self->s.fd, &pt));
	ASSERT_EQ(0, edu_write_memory(self->bar, IOVA, 0, LEN));
	EXPECT_TRUE(arrived(self->mem));
	EXPECT_EQ(0, iommufd_destroy(iommufd, hwpt));
	EXPECT_EQ(-EBUSY, iommufd_destroy(iommufd, queue));
	close(fd);
	EXPECT_EQ(0, iommufd_destroy(iommufd, queue));
}

/* With nesting: edu is attached to the guest's tables, which map a page of the guest. */
FIXTURE(nest)
{
	struct session s;
	struct nesting n;
	struct stage1 s1;
	void *bar;
	/* Two pages of the guest */
	u64 gpa[2];
	u8 *mem[2];
	u32 vdevice;
	u32 hwpt;
	int events;
	u32 veventq;
	bool smmu;
	bool stop;
	int err;
};

/* Like a VMM, for a device that the guest's IOMMU driver has just found. */
FIXTURE_SETUP(nest)
{
	int err, i;

	if (does_not_nest[DEV_EDU])
		SKIP(return, "this IOMMU does not nest");
	SETUP_SESSION(&self->s, DEV_EDU);
	ASSERT_EQ(0, edu_start(&self->s, &self->bar));
	err = nesting_open(&self->n, &self->s);
	if (err == -EOPNOTSUPP) {
		does_not_nest[DEV_EDU] = true;
		session_close(&self->s);
		SKIP(return, "this IOMMU does not nest");
	}
	ASSERT_EQ(0, err);
	self->smmu = self->n.type == IOMMU_HW_INFO_TYPE_ARM_SMMUV3;
	self->events = -1;
	if (self->smmu) {
		ASSERT_EQ(0, vdevice_alloc(self->n.iommufd, self->n.viommu, self->n.devid, VSID,
					   &self->vdevice));
		self->events = veventq_alloc(self->n.iommufd, self->n.viommu,
					     IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, 16, &self->veventq);
		ASSERT_LE(0, self->events);
	}
	for (i = 0; i < 2; i++) {
		self->gpa[i] = guest_page(&self->n);
		self->mem[i] = guest_at(&self->n, self->gpa[i]);
	}
	stage1_init(&self->s1, &self->n, 1);
	stage1_map(&self->s1, IOVA, self->gpa[0], true);
	ASSERT_EQ(0, stage1_hwpt(&self->s1, &self->hwpt));
}

FIXTURE_TEARDOWN(nest)
{
	session_close(&self->s);
}

/* Attach to an object, and return the destination of DMA: page 0, 1, both (2) or none (-1). */
static int dma_by(FIXTURE_DATA(nest) *self, u32 pt, u64 iova)
{
	int err = pt ? vfio_attach(self->s.fd, &pt) : 0;
	bool at[2];

	if (!err)
		err = edu_write_memory(self->bar, iova, 0, LEN);
	if (err)
		return err - 1;
	at[0] = arrived(self->mem[0]);
	at[1] = arrived(self->mem[1]);
	return at[0] && at[1] ? 2 : at[0] ? 0 : at[1] ? 1 : -1;
}

static int dma(FIXTURE_DATA(nest) *self)
{
	return dma_by(self, 0, IOVA);
}

TEST_F(nest, two_stages)
{
	u8 *mem = self->mem[1];

	EXPECT_EQ(0, dma_by(self, self->hwpt, IOVA));
	/* Not the result of stage 2 alone. */
	EXPECT_EQ(-1, dma_by(self, 0, self->gpa[1]));
	/* A second page, and the other direction */
	stage1_map(&self->s1, IOVA + GUEST_PAGE, self->gpa[1], true);
	ASSERT_EQ(0, stage1_invalidate(&self->s1, self->hwpt, IOVA + GUEST_PAGE));
	EXPECT_EQ(1, dma_by(self, 0, IOVA + GUEST_PAGE));
	memset(mem, 0x5a, LEN);
	ASSERT_EQ(0, edu_read_memory(self->bar, IOVA + GUEST_PAGE, LEN, LEN));
	ASSERT_EQ(0, edu_write_memory(self->bar, IOVA, LEN, LEN));
	EXPECT_EQ(0x5a, self->mem[0][LEN - 1]);
}

/*
 * An entry is changed. Until it is invalidated, DMA may use the old or the new one; afterwards,
 * only the new one.
 */
TEST_F(nest, invalidated)
{
	int where;

	EXPECT_EQ(0, dma_by(self, self->hwpt, IOVA));
	stage1_map(&self->s1, IOVA, self->gpa[1], true);
	where = dma(self);
	EXPECT_TRUE(where == 0 || where == 1)
		TH_LOG("DMA at %d", where);
	TH_LOG("before the invalidation: the %s entry", where ? "new" : "old");
	ASSERT_EQ(0, stage1_invalidate(&self->s1, self->hwpt, IOVA));
	EXPECT_EQ(1, dma(self));

	/* Unmap and map it again, with the other kind of invalidation. */
	stage1_unmap(&self->s1, IOVA);
	ASSERT_EQ(0, stage1_invalidate_all(&self->s1, self->hwpt));
	EXPECT_EQ(-1, dma(self));
	stage1_map(&self->s1, IOVA, self->gpa[0], true);
	ASSERT_EQ(0, stage1_invalidate_all(&self->s1, self->hwpt));
	EXPECT_EQ(0, dma(self));
}

TEST_F(nest, invalid_commands)
{
	struct iommu_viommu_arm_smmuv3_invalidate cmds[3] = {
		{ { htole64(CMD_TLBI_NH_ALL) } },
		{ { htole64(0xff) } },
		{ { htole64(CMD_TLBI_NH_ALL) } },
	};
	struct iommu_hwpt_vtd_s1_invalidate vtd = { .addr = 1, .npages = 1 };
	u32 count = 3;

	if (!self->smmu) {
		count = 1;
		EXPECT_EQ(-EINVAL, hwpt_invalidate(self->n.iommufd, self->hwpt,
						   IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, &vtd,
						   sizeof(vtd), &count));
		EXPECT_EQ(0, count);
		vtd = (struct iommu_hwpt_vtd_s1_invalidate){ .flags = 0x80 };
		count = 1;
		EXPECT_EQ(-EOPNOTSUPP, hwpt_invalidate(self->n.iommufd, self->hwpt,
						       IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, &vtd,
						       sizeof(vtd), &count));
		return;
	}
	EXPECT_EQ(-EIO, hwpt_invalidate(self->n.iommufd, self->n.viommu,
					IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, cmds,
					sizeof(*cmds), &count));
	/* For a device that the guest does not have */
	EXPECT_EQ(-EIO, smmu_command(&self->n, CMD_CFGI_CD | (u64)(VSID + 1) << 32, 0));
	EXPECT_EQ(0, smmu_command(&self->n, CMD_CFGI_CD | (u64)VSID << 32, 1));
	EXPECT_EQ(0, smmu_command(&self->n, CMD_TLBI_NSNH_ALL, 0));
	/* By the vIOMMU, not by the HWPT */
	count = 1;
	EXPECT_EQ(-EOPNOTSUPP, hwpt_invalidate(self->n.iommufd, self->hwpt,
					       IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, cmds,
					       sizeof(*cmds), &count));
	EXPECT_EQ(0, dma_by(self, self->hwpt, IOVA));
}

/* A guest that turns its IOMMU off for a device, or has not turned it on yet */
TEST_F(nest, stream_table_entries)
{
	u32 abort, bypass, invalid, id;

	if (!self->smmu)
		SKIP(return, "VT-d has no such entries");
	ASSERT_EQ(0, smmu_hwpt(&self->n, STE_V | STE_ABORT, 0, &abort));
	ASSERT_EQ(0, smmu_hwpt(&self->n, STE_V | STE_BYPASS, 0, &bypass));
	ASSERT_EQ(0, smmu_hwpt(&self->n, 0, 0, &invalid));

	EXPECT_EQ(-1, dma_by(self, abort, IOVA));
	EXPECT_EQ(-1, dma_by(self, 0, self->gpa[1]));
	EXPECT_EQ(1, dma_by(self, bypass, self->gpa[1]));
	EXPECT_EQ(-1, dma_by(self, 0, IOVA));
	EXPECT_EQ(-1, dma_by(self, invalid, self->gpa[1]));
	EXPECT_EQ(0, dma_by(self, self->hwpt, IOVA));
	EXPECT_EQ(-1, dma_by(self, abort, IOVA));

	/* Stage 2 and all its fields belong to the host. */
	EXPECT_EQ(-EIO, smmu_hwpt(&self->n, STE_V | STE_S2, 0, &id));
	EXPECT_EQ(-EIO, smmu_hwpt(&self->n, STE_V | STE_S1 | STE_S2, 0, &id));
	EXPECT_EQ(-EIO, smmu_hwpt(&self->n, STE_V | STE_S1 | self->s1.cd, 1ull << 40, &id));
	EXPECT_EQ(-EIO, smmu_hwpt(&self->n, STE_V | STE_S1 | 1ull << 56, 0, &id));
	/* In an entry marked invalid, the rest is ignored. */
	EXPECT_EQ(0, smmu_hwpt(&self->n, STE_S2, 0, &id));
}

/* Transfer only one word, as each word causes an event. */
static int word_refused(FIXTURE_DATA(nest) *self, u64 iova)
{
	int err = edu_write_memory(self->bar, iova, 0, 4);

	return err ?: self->mem[0][0] == PATTERN || self->mem[0][8] == PATTERN;
}

/* The guest is notified of faults in its own tables, with its own ID of the device. */
TEST_F(nest, events)
{
	struct pollfd pfd = { .fd = self->events, .events = POLLIN };
	struct smmu_event event;
	u32 pt = self->hwpt;
	u64 *cd;

	if (!self->smmu)
		SKIP(return, "VT-d has no event queue");
	EXPECT_EQ(0, poll(&pfd, 1, 0));
	EXPECT_EQ(0, read(self->events, &event, sizeof(event)));

	ASSERT_EQ(0, vfio_attach(self->s.fd, &pt));
	stage1_unmap(&self->s1, IOVA);
	EXPECT_EQ(0, word_refused(self, IOVA + 8));
	ASSERT_EQ(sizeof(event), smmu_event(self->events, &event));
	EXPECT_EQ(0, event.header.flags);
	EXPECT_EQ(0, event.header.sequence);
	EXPECT_EQ(EVT_TRANSLATION, event.evt[0] & 0xff);
	EXPECT_EQ(VSID, smmu_event_sid(&event));
	EXPECT_EQ(IOVA + 8, event.evt[2]);

	stage1_map(&self->s1, IOVA, self->gpa[0], false);
	ASSERT_EQ(0, stage1_invalidate(&self->s1, self->hwpt, IOVA));
	EXPECT_EQ(0, word_refused(self, IOVA));
	ASSERT_EQ(sizeof(event), smmu_event(self->events, &event));
	EXPECT_EQ(1, event.header.sequence);
	EXPECT_EQ(EVT_PERMISSION, event.evt[0] & 0xff);
	EXPECT_EQ(VSID, smmu_event_sid(&event));
	EXPECT_EQ(IOVA, event.evt[2]);

	/* An invalid context descriptor */
	cd = guest_at(&self->n, self->s1.cd);
	cd[0] = 0;
	ASSERT_EQ(0, smmu_command(&self->n, CMD_CFGI_CD | (u64)VSID << 32, 1));
	EXPECT_EQ(0, word_refused(self, IOVA));
	ASSERT_EQ(sizeof(event), smmu_event(self->events, &event));
	EXPECT_EQ(2, event.header.sequence);
	EXPECT_EQ(EVT_BAD_CD, event.evt[0] & 0xff);
	EXPECT_EQ(VSID, smmu_event_sid(&event));
}

/* More events than fit into the queue: some are lost, which is reported. */
TEST_F(nest, events_lost)
{
	struct smmu_event event = {};
	struct deadline end;
	u32 pt = self->hwpt;
	int i;

	if (!self->smmu)
		SKIP(return, "VT-d has no event queue");
	close(self->events);
	ASSERT_EQ(0, iommufd_destroy(self->n.iommufd, self->veventq));
	self->events = veventq_alloc(self->n.iommufd, self->n.viommu,
				     IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, 1, &self->veventq);
	ASSERT_LE(0, self->events);
	ASSERT_EQ(0, vfio_attach(self->s.fd, &pt));
	stage1_unmap(&self->s1, IOVA);
	/* The kernel moves events with a delay, so continue until some have been lost. */
	for (deadline_start(&end); !event.header.flags && !deadline_passed(&end);) {
		for (i = 0; i < 4; i++)
			EXPECT_EQ(0, word_refused(self, IOVA));
		while (read(self->events, &event, sizeof(event)) > 0)
			if (event.header.flags)
				break;
	}
	EXPECT_EQ(IOMMU_VEVENTQ_FLAG_LOST_EVENTS, event.header.flags);
}

/* A guest can only access its own memory, whatever it writes into its tables. */
TEST_F(nest, confined)
{
	struct smmu_event event;
	u8 *host = dma_alloc(GUEST_PAGE);
	u64 *root = guest_at(&self->n, self->s1.root);
	u64 saved, *cd;
	u32 id;

	EXPECT_EQ(0, dma_by(self, self->hwpt, IOVA));
	/* Pages outside the guest's memory: next to it, and an address of the host's memory */
	stage1_map(&self->s1, IOVA, GUEST_BASE + GUEST_SIZE, true);
	ASSERT_EQ(0, stage1_invalidate(&self->s1, self->hwpt, IOVA));
	EXPECT_EQ(-1, dma(self));
	stage1_map(&self->s1, IOVA, 0, true);
	ASSERT_EQ(0, stage1_invalidate(&self->s1, self->hwpt, IOVA));
	EXPECT_EQ(-1, dma(self));
	stage1_map(&self->s1, IOVA, 0x40000000, true);
	ASSERT_EQ(0, stage1_invalidate(&self->s1, self->hwpt, IOVA));
	EXPECT_EQ(-1, dma(self));

	/* Tables outside the guest's memory */
	stage1_map(&self->s1, IOVA, self->gpa[0], true);
	saved = root[0];
	root[0] = (saved & 0xfff) | (GUEST_BASE + GUEST_SIZE);
	ASSERT_EQ(0, stage1_invalidate_all(&self->s1, self->hwpt));
	EXPECT_EQ(-1, dma(self));
	root[0] = saved;
	ASSERT_EQ(0, stage1_invalidate_all(&self->s1, self->hwpt));
	EXPECT_EQ(0, dma(self));

	if (self->smmu) {
		/* Or the descriptor. These faults go to the VMM, not to the guest. */
		ASSERT_EQ(0, smmu_hwpt(&self->n, STE_V | STE_S1 | 0x40000000, STE1_CACHED, &id));
		EXPECT_EQ(-1, dma_by(self, id, IOVA));
		cd = guest_at(&self->n, self->s1.cd);
		cd[1] = 0x40000000;
		ASSERT_EQ(0, smmu_command(&self->n, CMD_CFGI_CD | (u64)VSID << 32, 1));
		EXPECT_EQ(-1, dma_by(self, self->hwpt, IOVA));
		/* QEMU's model reports a stage 2 fault in the walk of stage 1 as one of stage 1. */
		while (read(self->events, &event, sizeof(event)) == sizeof(event))
			EXPECT_EQ(EVT1_CLASS_TT, event.evt[1] & EVT1_CLASS);
	}
	munmap(host, GUEST_PAGE);
}

/* The VMM replaces memory of a guest whose tables still refer to it. */
TEST_F(nest, stage2_changes)
{
	u64 page = self->gpa[0];
	u8 *mem = dma_alloc(GUEST_PAGE);

	EXPECT_EQ(0, dma_by(self, self->hwpt, IOVA));
	/* All of it was one mapping, so the tables are gone, too. */
	ASSERT_EQ(0, ioas_unmap(self->n.iommufd, self->n.ioas, GUEST_BASE, GUEST_SIZE));
	EXPECT_EQ(-1, dma(self));
	ASSERT_EQ(0, ioas_map(self->n.iommufd, self->n.ioas, self->n.ram + GUEST_PAGE,
			      GUEST_SIZE - GUEST_PAGE, GUEST_BASE + GUEST_PAGE));
	ASSERT_EQ(GUEST_BASE, page);
	EXPECT_EQ(-1, dma(self));
	ASSERT_EQ(0, ioas_map(self->n.iommufd, self->n.ioas, mem, GUEST_PAGE, page));
	EXPECT_EQ(-1, dma(self));
	EXPECT_TRUE(arrived(mem));
	ASSERT_EQ(0, ioas_unmap(self->n.iommufd, self->n.ioas, page, GUEST_PAGE));
	EXPECT_EQ(-1, dma(self));
	EXPECT_FALSE(arrived(mem));
	munmap(mem, GUEST_PAGE);
}

/* From page table to page table, like a guest that boots, uses its IOMMU, and reboots. */
TEST_F(nest, replaced)
{
	u32 second, pt;
	struct stage1 s1;
	int i;

	stage1_init(&s1, &self->n, 2);
	stage1_map(&s1, IOVA, self->gpa[1], true);
	ASSERT_EQ(0, stage1_hwpt(&s1, &second));
	ASSERT_EQ(0, ioas_map(self->s.iommufd, self->s.ioas, self->mem[1], GUEST_PAGE, IOVA));
	for (i = 0; i < 2; i++) {
		/* An IOAS of the host, stage 2 alone, two of stage 1, and none */
		EXPECT_EQ(1, dma_by(self, self->s.ioas, IOVA));
		EXPECT_EQ(0, dma_by(self, self->hwpt, IOVA));
		EXPECT_EQ(0, dma_by(self, self->n.parent, self->gpa[0]));
		EXPECT_EQ(1, dma_by(self, second, IOVA));
		EXPECT_EQ(0, dma_by(self, self->hwpt, IOVA));
		ASSERT_EQ(0, vfio_detach(self->s.fd));
		EXPECT_EQ(-1, dma(self));
		EXPECT_EQ(0, dma_by(self, self->hwpt, IOVA));
	}

	/* A failed attach changes nothing. */
	pt = NO_OBJECT;
	EXPECT_EQ(-ENOENT, vfio_attach(self->s.fd, &pt));
	pt = self->n.devid;
	EXPECT_EQ(-EINVAL, vfio_attach(self->s.fd, &pt));
	if (self->smmu) {
		pt = self->n.viommu;
		EXPECT_EQ(-EINVAL, vfio_attach(self->s.fd, &pt));
		pt = self->vdevice;
		EXPECT_EQ(-EINVAL, vfio_attach(self->s.fd, &pt));
		pt = self->veventq;
		EXPECT_EQ(-EINVAL, vfio_attach(self->s.fd, &pt));
	}
	EXPECT_EQ(0, dma(self));
}

/* PASIDs cannot be attached, nested or not. */
TEST_F(nest, pasid)
{
	EXPECT_EQ(-EINVAL, vfio_attach_pasid(self->s.fd, 1, self->hwpt));
	EXPECT_EQ(0, dma_by(self, self->hwpt, IOVA));
	EXPECT_EQ(-EINVAL, vfio_attach_pasid(self->s.fd, 1, self->hwpt));
	EXPECT_EQ(0, dma(self));
}

TEST_F(nest, vdevice)
{
	u32 pt = self->hwpt, bypass, id;

	if (!self->smmu)
		SKIP(return, "VT-d has no vDEVICE");
	/* Each ID only once, and only one for each device */
	EXPECT_EQ(-EEXIST, vdevice_alloc(self->n.iommufd, self->n.viommu, self->n.devid, VSID,
					 &id));
	EXPECT_EQ(-EEXIST, vdevice_alloc(self->n.iommufd, self->n.viommu, self->n.devid, VSID + 1,
					 &id));
	EXPECT_EQ(-EEXIST, veventq_alloc(self->n.iommufd, self->n.viommu,
					 IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, 8, &id));
	ASSERT_EQ(0, iommufd_destroy(self->n.iommufd, self->vdevice));
	EXPECT_EQ(-ENOENT, iommufd_destroy(self->n.iommufd, self->vdevice));

	/* Without an ID in the guest, the device cannot use the guest's tables. */
	EXPECT_EQ(-ENOENT, vfio_attach(self->s.fd, &pt));
	pt = self->s.ioas;
	EXPECT_EQ(0, vfio_attach(self->s.fd, &pt));
	ASSERT_EQ(0, smmu_hwpt(&self->n, STE_V | STE_BYPASS, 0, &bypass));
	EXPECT_EQ(1, dma_by(self, bypass, self->gpa[1]));
	ASSERT_EQ(0, vdevice_alloc(self->n.iommufd, self->n.viommu, self->n.devid, VSID + 1,
				   &self->vdevice));
	EXPECT_EQ(0, dma_by(self, self->hwpt, IOVA));
}

/* Destroy objects in any order: those in use cannot be, but all are in the end. */
FIXTURE(order)
{
	int unused;
};

FIXTURE_SETUP(order)
{
}

FIXTURE_TEARDOWN(order)
{
}

TEST_F(order, destroyed)
{
	FIXTURE_DATA(nest) data;
	u32 objects[6], pt;
	int start, i, left, err, n;
	struct deadline end;

	for (start = 0; start < 6; start++) {
		const char *bdf = device_bdf(DEV_EDU);
		bool down = start & 1;

		if (!bdf)
			SKIP(return, "no edu in this machine");
		if (does_not_nest[DEV_EDU])
			SKIP(return, "this IOMMU does not nest");
		memset(&data, 0, sizeof(data));
		ASSERT_EQ(0, session_open(&data.s, bdf));
		err = nesting_open(&data.n, &data.s);
		if (err == -EOPNOTSUPP) {
			does_not_nest[DEV_EDU] = true;
			session_close(&data.s);
			SKIP(return, "this IOMMU does not nest");
		}
		ASSERT_EQ(0, err);
		n = 0;
		objects[n++] = data.n.ioas;
		objects[n++] = data.n.parent;
		if (data.n.viommu) {
			objects[n++] = data.n.viommu;
			ASSERT_EQ(0, vdevice_alloc(data.n.iommufd, data.n.viommu, data.n.devid,
						   VSID, &objects[n++]));
			data.events = veventq_alloc(data.n.iommufd, data.n.viommu,
						    IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, 8,
						    &objects[n++]);
			ASSERT_LE(0, data.events);
		}
		stage1_init(&data.s1, &data.n, 1);
		ASSERT_EQ(0, stage1_hwpt(&data.s1, &objects[n++]));
		pt = objects[n - 1];
		ASSERT_EQ(0, vfio_attach(data.s.fd, &pt));

		/* While attached, everything that the device's DMA uses stays. */
		EXPECT_EQ(-EBUSY, iommufd_destroy(data.n.iommufd, data.n.ioas));
		EXPECT_EQ(-EBUSY, iommufd_destroy(data.n.iommufd, data.n.parent));
		EXPECT_EQ(-EBUSY, iommufd_destroy(data.n.iommufd, objects[n - 1]));
		if (data.n.viommu) {
			EXPECT_EQ(-EBUSY, iommufd_destroy(data.n.iommufd, data.n.viommu));
			/* A queue lives as long as its file. */
			EXPECT_EQ(-EBUSY, iommufd_destroy(data.n.iommufd, objects[4]));
			close(data.events);
		}
		if (start < 3) {
			ASSERT_EQ(0, vfio_detach(data.s.fd));
		} else {
			close(data.s.fd);
			data.s.fd = -1;
		}

		left = n;
		for (deadline_start(&end); left && !deadline_passed(&end); sched_yield()) {
			for (i = 0; i < n; i++) {
				int at = (start + (down ? n - i : i)) % n;

				if (!objects[at])
					continue;
				err = iommufd_destroy(data.n.iommufd, objects[at]);
				/* Its vDEVICE is destroyed with the device, sooner or later. */
				EXPECT_TRUE(!err || err == -EBUSY ||
					    (err == -ENOENT && at == 3 && start >= 3));
				if (err == -EBUSY)
					continue;
				objects[at] = 0;
				left--;
			}
		}
		EXPECT_EQ(0, left);
		session_close(&data.s);
		munmap(data.n.ram, GUEST_SIZE);
	}
}

/* The file is closed with everything in use. The guest's objects stay in the context. */
TEST_F(nest, closed)
{
	u32 id, pt = self->hwpt;

	EXPECT_EQ(0, dma_by(self, self->hwpt, IOVA));
	bar_unmap(self->s.fd, 0, self->bar);
	close(self->s.fd);

	self->s.fd = vfio_cdev_open(self->s.bdf);
	ASSERT_LE(0, self->s.fd);
	ASSERT_EQ(0, vfio_bind(self->s.fd, self->s.iommufd, &self->s.devid));
	self->n.devid = self->s.devid;
	self->bar = bar_map(self->s.fd, 0, 0, 0);
	ASSERT_NE(NULL, self->bar);
	ASSERT_EQ(0, config_master(self->s.fd, true));
	EXPECT_EQ(-1, dma(self));
	if (self->smmu) {
		/* It was destroyed with the device; its ID is free again. */
		EXPECT_EQ(-ENOENT, iommufd_destroy(self->n.iommufd, self->vdevice));
		EXPECT_EQ(-ENOENT, vfio_attach(self->s.fd, &pt));
		ASSERT_EQ(0, vdevice_alloc(self->n.iommufd, self->n.viommu, self->n.devid, VSID,
					   &id));
	}
	pt = self->s.ioas;
	ASSERT_EQ(0, vfio_attach(self->s.fd, &pt));
	ASSERT_EQ(0, ioas_map(self->s.iommufd, self->s.ioas, self->mem[1], GUEST_PAGE, IOVA));
	memset(self->mem[1], PATTERN, LEN);
	ASSERT_EQ(0, edu_read_memory(self->bar, IOVA, 0, LEN));
	memset(self->mem[1], 0, LEN);
	EXPECT_EQ(0, dma_by(self, self->hwpt, IOVA));
}

/* The context is closed first: the device keeps it, and the tables. */
TEST_F(nest, context_closed)
{
	EXPECT_EQ(0, dma_by(self, self->hwpt, IOVA));
	close(self->events);
	close(self->s.iommufd);
	self->s.iommufd = -1;
	EXPECT_EQ(0, dma(self));
	bar_unmap(self->s.fd, 0, self->bar);
	session_close(&self->s);
	ASSERT_EQ(0, session_open(&self->s, device_bdf(DEV_EDU)));
}

/* A VMM may be killed at any time. */
TEST_F(nest, killed)
{
	char bdf[BDF_LEN];
	int ready[2];
	pid_t pid;
	char c;

	memcpy(bdf, self->s.bdf, sizeof(bdf));
	ASSERT_EQ(0, pipe(ready));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		u32 pt = self->hwpt;

		/* With an event that nobody has read, if the unmapped page makes one */
		stage1_unmap(&self->s1, IOVA);
		if (vfio_attach(self->s.fd, &pt) || dma(self) != -1 || write(ready[1], "", 1) != 1)
			_exit(1);
		pause();
	}
	close(ready[1]);
	/* Only the child's references are left. */
	bar_unmap(self->s.fd, 0, self->bar);
	session_close(&self->s);
	close(self->events);
	ASSERT_EQ(1, read(ready[0], &c, 1));
	EXPECT_NE(0, session_open(&self->s, bdf));
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	ASSERT_EQ(0, session_open(&self->s, bdf));
	ASSERT_EQ(0, edu_start(&self->s, &self->bar));
	EXPECT_FALSE(arrived(self->mem[0]));
}

static void *unbind_thread(void *arg)
{
	FIXTURE_DATA(nest) *self = arg;

	self->err = sysfs_unbind(device_bdf(DEV_EDU));
	return NULL;
}

/* The host wants the device back, and gets it, with two stages in use. */
TEST_F(nest, unbound)
{
	const char *bdf = device_bdf(DEV_EDU);
	int req = event_new();
	pthread_t thread;

	EXPECT_EQ(0, dma_by(self, self->hwpt, IOVA));
	ASSERT_EQ(0, irq_eventfd(self->s.fd, VFIO_PCI_REQ_IRQ_INDEX, 0, req));
	ASSERT_EQ(0, pthread_create(&thread, NULL, unbind_thread, self));
	EXPECT_LE(1, event_wait(req));
	EXPECT_EQ(0, dma(self));
	bar_unmap(self->s.fd, 0, self->bar);
	close(self->s.fd);
	self->s.fd = -1;
	pthread_join(thread, NULL);
	EXPECT_EQ(0, self->err);
	/* The VMM still has the guest's memory, tables and IOMMU. */
	EXPECT_EQ(0, iommufd_destroy(self->n.iommufd, self->hwpt));
	ASSERT_EQ(0, sysfs_rebind(bdf));
	session_close(&self->s);
	ASSERT_EQ(0, session_open(&self->s, bdf));
}

#define GRACE "/sys/module/vfio_iommufd/parameters/release_grace_ms"

/* If the user does not release it, it is taken away. */
TEST_F(nest, revoked)
{
	const char *bdf = device_bdf(DEV_EDU);
	struct session next;
	char grace[32];
	u32 pt, id, val;

	OURS_ONLY();
	EXPECT_EQ(0, dma_by(self, self->hwpt, IOVA));
	ASSERT_LT(0, sysfs_read(grace, sizeof(grace), GRACE));
	ASSERT_EQ(0, sysfs_write("0", GRACE));
	EXPECT_EQ(0, sysfs_unbind(bdf));
	sysfs_write(grace, GRACE);
	EXPECT_EQ(-EFAULT, mmio_peek32(self->bar, &val));
	pt = self->hwpt;
	EXPECT_EQ(-ENODEV, vfio_attach(self->s.fd, &pt));
	EXPECT_EQ(-ENODEV, vfio_detach(self->s.fd));
	/* iommufd does not know the device any more, nor its ID in the guest. */
	EXPECT_EQ(-ENOENT, vdevice_alloc(self->n.iommufd, self->n.viommu ?: self->n.parent,
					 self->n.devid, VSID + 1, &id));
	if (self->smmu)
		EXPECT_EQ(-ENOENT, iommufd_destroy(self->n.iommufd, self->vdevice));
	/* Invalidations of the guest's tables still succeed. */
	EXPECT_EQ(0, stage1_invalidate_all(&self->s1, self->hwpt));
	EXPECT_EQ(0, iommufd_destroy(self->n.iommufd, self->hwpt));

	/* The next user is not affected. */
	ASSERT_EQ(0, sysfs_rebind(bdf));
	ASSERT_EQ(0, session_open(&next, bdf));
	self->bar = NULL;
	ASSERT_EQ(0, edu_start(&next, &self->bar));
	ASSERT_EQ(0, edu_write_memory(self->bar, IOVA, 0, LEN));
	EXPECT_FALSE(arrived(self->mem[0]));
	session_close(&next);
}

static void *swap_thread(void *arg)
{
	FIXTURE_DATA(nest) *self = arg;
	u32 tables[] = { self->hwpt, self->n.parent, self->s.ioas };
	int i;

	for (i = 0; !__atomic_load_n(&self->stop, __ATOMIC_ACQUIRE); i++) {
		u32 pt = tables[i % 3], id;

		if (i % 7 == 6) {
			vfio_detach(self->s.fd);
		} else if (vfio_attach(self->s.fd, &pt)) {
			/* Fails only without the vDEVICE, which the other thread has destroyed. */
			self->err |= pt != self->hwpt;
		}
		if (self->smmu && i % 5 == 4) {
			iommufd_destroy(self->n.iommufd, self->vdevice);
			if (!vdevice_alloc(self->n.iommufd, self->n.viommu, self->n.devid, VSID,
					   &id))
				__atomic_store_n(&self->vdevice, id, __ATOMIC_RELAXED);
		}
		stage1_invalidate_all(&self->s1, self->hwpt);
	}
	return NULL;
}

/* Two conflicting threads of a VMM: nothing breaks, and everything works afterwards. */
TEST_F(nest, two_threads)
{
	pthread_t threads[2];
	u32 id;
	int i;

	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, swap_thread, self));
	for (i = 0; i < 10; i++) {
		int where = dma(self);

		EXPECT_TRUE(where == 0 || where == -1);
	}
	__atomic_store_n(&self->stop, true, __ATOMIC_RELEASE);
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	EXPECT_EQ(0, self->err);
	if (self->smmu)
		vdevice_alloc(self->n.iommufd, self->n.viommu, self->n.devid, VSID, &id);
	EXPECT_EQ(0, dma_by(self, self->hwpt, IOVA));
}

/*
 * Continuous DMA by nvme: its queues are at the same addresses in all page tables, but not the data
 * page. So if the queues were unmapped for a moment, the device would get stuck, and the data shows
 * which of the tables a command has used.
 */
FIXTURE(storm)
{
	struct session s;
	struct nesting n;
	struct stage1 s1;
	struct nvme nvme;
	u64 gpa;
	u8 *data[2];
	u32 tables[2];
	u32 vdevice;
	bool stop;
	int replaced;
	int err;
};

/* The page tables that replace each other */
FIXTURE_VARIANT(storm)
{
	bool parent;
	bool ioas;
};

/* Two of the guest, two of the VMM, and those of a guest that turns its IOMMU on and off */
FIXTURE_VARIANT_ADD(storm, stage1_and_stage1) {};
FIXTURE_VARIANT_ADD(storm, stage1_and_parent) { .parent = true };
FIXTURE_VARIANT_ADD(storm, stage1_and_ioas) { .ioas = true };

static int storm_tables(FIXTURE_DATA(storm) *self, const FIXTURE_VARIANT(storm) *variant)
{
	u64 mem = IOVA, page = IOVA + 0x2000, other;
	struct stage1 s1;
	int err;

	/* Guest addresses of queues and data, and of the data page of the other table */
	self->gpa = guest_page(&self->n);
	guest_page(&self->n);
	guest_page(&self->n);
	other = guest_page(&self->n);
	self->nvme.mem = guest_at(&self->n, self->gpa);
	self->data[0] = guest_at(&self->n, self->gpa + 0x2000);
	self->data[1] = guest_at(&self->n, other);

	stage1_init(&self->s1, &self->n, 1);
	stage1_map(&self->s1, mem, self->gpa, true);
	stage1_map(&self->s1, mem + 0x1000, self->gpa + 0x1000, true);
	stage1_map(&self->s1, page, self->gpa + 0x2000, true);
	err = stage1_hwpt(&self->s1, &self->tables[0]);
	if (err)
		return err;
	if (variant->ioas || variant->parent) {
		u32 ioas = variant->ioas ? self->s.ioas : self->n.ioas;

		self->tables[1] = variant->ioas ? self->s.ioas : self->n.parent;
		err = ioas_map(self->n.iommufd, ioas, self->nvme.mem, 0x2000, mem);
		return err ?: ioas_map(self->n.iommufd, ioas, self->data[1], GUEST_PAGE, page);
	}
	stage1_init(&s1, &self->n, 2);
	stage1_map(&s1, mem, self->gpa, true);
	stage1_map(&s1, mem + 0x1000, self->gpa + 0x1000, true);
	stage1_map(&s1, page, other, true);
	return stage1_hwpt(&s1, &self->tables[1]);
}

FIXTURE_SETUP(storm)
{
	int err;
	u32 pt;

	if (does_not_nest[DEV_NVME])
		SKIP(return, "this IOMMU does not nest");
	SETUP_SESSION(&self->s, DEV_NVME);
	err = nesting_open(&self->n, &self->s);
	if (err == -EOPNOTSUPP) {
		does_not_nest[DEV_NVME] = true;
		session_close(&self->s);
		SKIP(return, "this IOMMU does not nest");
	}
	ASSERT_EQ(0, err);
	if (self->n.type == IOMMU_HW_INFO_TYPE_INTEL_VTD) {
		session_close(&self->s);
		SKIP(return, "the VT-d driver blocks the device for a moment");
	}
	if (self->n.viommu && variant->ioas) {
		session_close(&self->s);
		SKIP(return, "the SMMU driver invalidates the stream table entry for a moment");
	}
	if (self->n.viommu)
		ASSERT_EQ(0, vdevice_alloc(self->n.iommufd, self->n.viommu, self->n.devid, VSID,
					   &self->vdevice));
	ASSERT_EQ(0, storm_tables(self, variant));
	pt = self->tables[0];
	ASSERT_EQ(0, vfio_attach(self->s.fd, &pt));
	ASSERT_EQ(0, config_master(self->s.fd, true));
	self->nvme.bar = bar_map(self->s.fd, 0, 0, 0);
	ASSERT_NE(NULL, self->nvme.bar);
	self->nvme.iova = IOVA;
	ASSERT_EQ(0, nvme_enable(&self->nvme));
}

FIXTURE_TEARDOWN(storm)
{
	session_close(&self->s);
}

static void *replace_thread(void *arg)
{
	FIXTURE_DATA(storm) *self = arg;

	while (!__atomic_load_n(&self->stop, __ATOMIC_ACQUIRE) && !self->err) {
		u32 pt = self->tables[(self->replaced + 1) & 1];

		self->err = vfio_attach(self->s.fd, &pt);
		__atomic_add_fetch(&self->replaced, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

TEST_F(storm, replaced_under_dma)
{
	int at[2] = {}, count = 0;
	pthread_t thread;
	bool here, there;

	ASSERT_EQ(0, pthread_create(&thread, NULL, replace_thread, self));
	/* Until it has used both of them many times */
	while (count++ < 20000 && (at[0] < 100 || at[1] < 100)) {
		memset(self->data[0], 0, 64);
		memset(self->data[1], 0, 64);
		nvme_submit_identify(&self->nvme);
		ASSERT_EQ(0, nvme_complete(&self->nvme));
		/* The serial number, which is text */
		here = self->data[0][4];
		there = self->data[1][4];
		ASSERT_NE(here, there);
		at[there]++;
	}
	__atomic_store_n(&self->stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	TH_LOG("%d replacements, %d and %d commands", self->replaced, at[0], at[1]);
	EXPECT_EQ(0, self->err);
	EXPECT_LT(0, at[0]);
	EXPECT_LT(0, at[1]);
}

TEST_HARNESS_MAIN
