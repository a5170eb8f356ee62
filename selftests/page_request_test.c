// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page requests: a device requests a page that is not present, and waits; the user reads the
 * request from a fault queue, maps the page and responds. With edu-pasid, which only the QEMU of
 * qemu-tests/qemu has, behind its VT-d (vm --iommu intel-nested --device edu-pasid).
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/config.h"
#include "lib/edu.h"
#include "lib/harness.h"
#include "lib/irq.h"
#include "lib/nesting.h"

#define GRACE "/sys/module/vfio_iommufd/parameters/release_grace_ms"
#define IOVA 0x1000000ull
#define LEN 64
#define PATTERN 0xa5
#define RUNNING_FOR_MS 300

/* A session whose device is attached to an empty page table with a fault queue */
struct asker {
	struct session s;
	struct nesting n;
	struct stage1 s1;
	u32 pasid;
	bool nested;
	u32 ioas;
	u32 hwpt;
	u32 queue;
	int faults;
	void *bar;
	u8 *mem;
	u64 gpa;
};

static int attach(struct asker *a, u32 pt)
{
	return a->pasid ? vfio_attach_pasid(a->s.fd, a->pasid, pt) : vfio_attach(a->s.fd, &pt);
}

static int detach(struct asker *a)
{
	return a->pasid ? vfio_detach_pasid(a->s.fd, a->pasid) : vfio_detach(a->s.fd);
}

/* Its table: with two stages, or one that iommufd fills */
static int asker_hwpt(struct asker *a)
{
	u32 flags = a->pasid ? IOMMU_HWPT_ALLOC_PASID : 0;
	struct iommu_hwpt_alloc cmd = {
		.flags = IOMMU_HWPT_FAULT_ID_VALID | flags,
		.fault_id = a->queue,
		.dev_id = a->s.devid,
		.pt_id = a->ioas,
	};
	int err;

	if (a->nested)
		return stage1_hwpt_faults(&a->s1, flags, a->queue, &a->hwpt);
	err = hwpt_alloc_raw(a->s.iommufd, &cmd);
	a->hwpt = cmd.out_hwpt_id;
	return err;
}

static int asker_open(struct asker *a, const char *bdf)
{
	int err;

	*a = (struct asker){
		.s = { .fd = -1, .iommufd = -1 },
		.pasid = a->pasid,
		.nested = a->nested,
		.faults = -1,
	};
	err = session_open(&a->s, bdf);
	if (err)
		return err;
	a->bar = bar_map(a->s.fd, 0, 0, 0);
	if (!a->bar)
		return -errno;
	err = config_master(a->s.fd, true);
	if (err)
		return err;

	/* A pattern in the device. */
	a->mem = dma_alloc(GUEST_PAGE);
	memset(a->mem, PATTERN, LEN);
	err = ioas_map(a->s.iommufd, a->s.ioas, a->mem, GUEST_PAGE, IOVA) ?:
	      edu_read_memory(a->bar, IOVA, 0, LEN) ?:
	      vfio_detach(a->s.fd) ?:
	      ioas_alloc(a->s.iommufd, &a->ioas);
	if (err)
		return err;
	memset(a->mem, 0, LEN);

	if (a->nested) {
		err = nesting_open(&a->n, &a->s);
		if (err)
			return err;
		stage1_init(&a->s1, &a->n, 1);
		a->gpa = guest_page(&a->n);
		a->mem = guest_at(&a->n, a->gpa);
	}
	a->faults = fault_queue_alloc(a->s.iommufd, &a->queue);
	if (a->faults < 0)
		return a->faults;
	return asker_hwpt(a) ?: attach(a, a->hwpt);
}

static void asker_close(struct asker *a)
{
	bar_unmap(a->s.fd, 0, a->bar);
	close(a->faults);
	session_close(&a->s);
}

static bool arrived(struct asker *a)
{
	bool ret = a->mem[0] == PATTERN && a->mem[LEN - 1] == PATTERN;

	memset(a->mem, 0, LEN);
	return ret;
}

static int map_page(struct asker *a)
{
	if (!a->nested)
		return ioas_map(a->s.iommufd, a->ioas, a->mem, GUEST_PAGE, IOVA);
	stage1_map(&a->s1, IOVA, a->gpa, true);
	return stage1_invalidate(&a->s1, a->hwpt, IOVA);
}

static int unmap_page(struct asker *a)
{
	if (!a->nested)
		return ioas_unmap(a->s.iommufd, a->ioas, IOVA, GUEST_PAGE);
	stage1_unmap(&a->s1, IOVA);
	return stage1_invalidate(&a->s1, a->hwpt, IOVA);
}

static int next_request(struct asker *a, struct iommu_hwpt_pgfault *fault)
{
	struct pollfd pfd = { .fd = a->faults, .events = POLLIN };

	if (poll(&pfd, 1, IRQ_TIMEOUT_MS) != 1)
		return -ETIMEDOUT;
	return read(a->faults, fault, sizeof(*fault)) == sizeof(*fault) ? 0 : -EIO;
}

static bool no_request(struct asker *a)
{
	struct pollfd pfd = { .fd = a->faults, .events = POLLIN };
	struct iommu_hwpt_pgfault fault;

	return !poll(&pfd, 1, 0) && !read(a->faults, &fault, sizeof(fault));
}

static int answer(struct asker *a, u32 cookie, u32 code)
{
	struct iommu_hwpt_page_response response = { .cookie = cookie, .code = code };

	return write(a->faults, &response, sizeof(response)) < 0 ? -errno : 0;
}

/* Make the device request its page, and wait until the request is in the queue. */
static int ask(struct asker *a)
{
	struct pollfd pfd = { .fd = a->faults, .events = POLLIN };

	edu_ask_and_write(a->bar, a->pasid, IOVA, 0, LEN);
	return poll(&pfd, 1, IRQ_TIMEOUT_MS) == 1 ? 0 : -ETIMEDOUT;
}

/* The whole sequence: map the page when it is requested. */
static bool pages_in(struct asker *a)
{
	struct iommu_hwpt_pgfault fault;

	return !ask(a) && !next_request(a, &fault) && !map_page(a) &&
	       !answer(a, fault.cookie, IOMMUFD_PAGE_RESP_SUCCESS) && !edu_dma_end(a->bar) &&
	       arrived(a) && !unmap_page(a);
}

FIXTURE(request)
{
	char bdf[BDF_LEN];
	struct asker a;
};

FIXTURE_VARIANT(request)
{
	bool nested;
	u32 pasid;
};

FIXTURE_VARIANT_ADD(request, one_stage) {};
FIXTURE_VARIANT_ADD(request, one_stage_pasid) { .pasid = 5 };
FIXTURE_VARIANT_ADD(request, two_stages) { .nested = true };
FIXTURE_VARIANT_ADD(request, two_stages_pasid) { .nested = true, .pasid = 5 };

FIXTURE_SETUP(request)
{
	unsigned int cap = 0;
	u16 control;
	int i;

	self->a = (struct asker){ .nested = variant->nested, .pasid = variant->pasid };
	for (i = 0; !cap && !sysfs_find(0x1234, 0x11e8, i, self->bdf); i++)
		cap = sysfs_ext_cap(self->bdf, PCI_EXT_CAP_ID_PRI);
	if (!cap)
		SKIP(return, "no edu-pasid in this machine");
	ASSERT_EQ(2, sysfs_config(self->bdf, cap + PCI_PRI_CTRL, &control, 2));
	if (!(control & PCI_PRI_CTRL_ENABLE))
		SKIP(return, "this machine's IOMMU has no page requests");
	ASSERT_EQ(0, asker_open(&self->a, self->bdf));
}

FIXTURE_TEARDOWN(request)
{
	asker_close(&self->a);
}

/* The user sees both capabilities as set by the host, and cannot change them. */
TEST_F(request, capabilities)
{
	struct asker *a = &self->a;
	int ats = config_ecap(a->s.fd, PCI_EXT_CAP_ID_ATS);
	int pri = config_ecap(a->s.fd, PCI_EXT_CAP_ID_PRI);

	EXPECT_EQ(sysfs_ext_cap(self->bdf, PCI_EXT_CAP_ID_ATS), ats);
	EXPECT_EQ(sysfs_ext_cap(self->bdf, PCI_EXT_CAP_ID_PRI), pri);
	EXPECT_TRUE(config_read(a->s.fd, ats + PCI_ATS_CTRL, 2) & PCI_ATS_CTRL_ENABLE);
	EXPECT_TRUE(config_read(a->s.fd, pri + PCI_PRI_CTRL, 2) & PCI_PRI_CTRL_ENABLE);
	EXPECT_EQ(0, config_write(a->s.fd, ats + PCI_ATS_CTRL, 2, 0));
	EXPECT_EQ(0, config_write(a->s.fd, pri + PCI_PRI_CTRL, 2, 0));
	EXPECT_EQ(0, config_write(a->s.fd, pri + PCI_PRI_ALLOC_REQ, 4, 0));
	EXPECT_TRUE(config_read(a->s.fd, ats + PCI_ATS_CTRL, 2) & PCI_ATS_CTRL_ENABLE);
	EXPECT_TRUE(config_read(a->s.fd, pri + PCI_PRI_CTRL, 2) & PCI_PRI_CTRL_ENABLE);
	EXPECT_TRUE(pages_in(a));
}

TEST_F(request, answered)
{
	struct asker *a = &self->a;
	struct iommu_hwpt_pgfault fault;
	u32 flags = IOMMU_PGFAULT_FLAGS_LAST_PAGE;

	if (a->pasid)
		flags |= IOMMU_PGFAULT_FLAGS_PASID_VALID;
	EXPECT_TRUE(no_request(a));
	edu_ask_and_write(a->bar, a->pasid, IOVA, 0, LEN);
	ASSERT_EQ(0, next_request(a, &fault));
	EXPECT_EQ(flags, fault.flags & flags);
	EXPECT_EQ(a->s.devid, fault.dev_id);
	EXPECT_EQ(a->pasid, fault.pasid);
	EXPECT_EQ(IOMMU_PGFAULT_PERM_READ | IOMMU_PGFAULT_PERM_WRITE, fault.perm);
	EXPECT_EQ(IOVA, fault.addr);
	/* It waits without a time limit. */
	usleep(RUNNING_FOR_MS * 1000);
	EXPECT_TRUE(edu_dma_running(a->bar));
	EXPECT_EQ(EDU_NO_RESPONSE, edu_page_response(a->bar));
	EXPECT_FALSE(arrived(a));

	ASSERT_EQ(0, map_page(a));
	EXPECT_EQ(-EINVAL, answer(a, fault.cookie + 1, IOMMUFD_PAGE_RESP_SUCCESS));
	EXPECT_EQ(-EINVAL, answer(a, fault.cookie, 2));
	EXPECT_TRUE(edu_dma_running(a->bar));
	EXPECT_EQ(0, answer(a, fault.cookie, IOMMUFD_PAGE_RESP_SUCCESS));
	EXPECT_EQ(0, edu_dma_end(a->bar));
	EXPECT_EQ(0, edu_page_response(a->bar));
	EXPECT_TRUE(arrived(a));
	EXPECT_EQ(-EINVAL, answer(a, fault.cookie, IOMMUFD_PAGE_RESP_SUCCESS));

	ASSERT_EQ(0, unmap_page(a));
	EXPECT_TRUE(pages_in(a));
}

TEST_F(request, refused)
{
	struct asker *a = &self->a;
	struct iommu_hwpt_pgfault fault;

	ASSERT_EQ(0, ask(a));
	ASSERT_EQ(0, next_request(a, &fault));
	EXPECT_EQ(0, answer(a, fault.cookie, IOMMUFD_PAGE_RESP_INVALID));
	EXPECT_EQ(0, edu_dma_end(a->bar));
	EXPECT_EQ(IOMMUFD_PAGE_RESP_INVALID, edu_page_response(a->bar));
	EXPECT_FALSE(arrived(a));
	EXPECT_TRUE(pages_in(a));
}

/* Detaching the page table is a negative response. */
TEST_F(request, detached)
{
	struct asker *a = &self->a;
	struct iommu_hwpt_pgfault fault;
	int seen;

	for (seen = 0; seen < 2; seen++) {
		ASSERT_EQ(0, ask(a));
		if (seen)
			ASSERT_EQ(0, next_request(a, &fault));
		ASSERT_EQ(0, detach(a));
		EXPECT_TRUE(no_request(a));
		if (seen)
			EXPECT_EQ(-EINVAL, answer(a, fault.cookie, IOMMUFD_PAGE_RESP_SUCCESS));
		EXPECT_EQ(0, edu_dma_end(a->bar));
		EXPECT_EQ(IOMMUFD_PAGE_RESP_INVALID, edu_page_response(a->bar));
		EXPECT_FALSE(arrived(a));
		ASSERT_EQ(0, attach(a, a->hwpt));
		EXPECT_TRUE(pages_in(a));
	}
	/* Without a table, requests go nowhere. */
	ASSERT_EQ(0, detach(a));
	edu_ask_and_write(a->bar, a->pasid, IOVA, 0, LEN);
	EXPECT_EQ(0, edu_dma_end(a->bar));
	EXPECT_NE(0, edu_page_response(a->bar));
	EXPECT_FALSE(arrived(a));
	EXPECT_EQ(0, iommufd_destroy(a->s.iommufd, a->hwpt));
}

/* So is replacing it, even with one of the same queue. */
TEST_F(request, replaced)
{
	struct asker *a = &self->a;
	struct iommu_hwpt_pgfault fault;
	u32 first = a->hwpt;

	ASSERT_EQ(0, asker_hwpt(a));
	ASSERT_EQ(0, ask(a));
	ASSERT_EQ(0, next_request(a, &fault));
	ASSERT_EQ(0, attach(a, a->hwpt));
	EXPECT_EQ(-EINVAL, answer(a, fault.cookie, IOMMUFD_PAGE_RESP_SUCCESS));
	EXPECT_EQ(0, edu_dma_end(a->bar));
	EXPECT_EQ(IOMMUFD_PAGE_RESP_INVALID, edu_page_response(a->bar));
	EXPECT_FALSE(arrived(a));
	EXPECT_TRUE(pages_in(a));
	EXPECT_EQ(0, iommufd_destroy(a->s.iommufd, first));
	EXPECT_EQ(-EBUSY, iommufd_destroy(a->s.iommufd, a->hwpt));
}

/* A reset cancels a request: a response to it is ignored, but the device can request again. */
TEST_F(request, reset)
{
	struct asker *a = &self->a;
	struct iommu_hwpt_pgfault fault;

	ASSERT_EQ(0, ask(a));
	ASSERT_EQ(0, next_request(a, &fault));
	ASSERT_EQ(0, vfio_ioctl(a->s.fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_FALSE(edu_dma_running(a->bar));
	answer(a, fault.cookie, IOMMUFD_PAGE_RESP_SUCCESS);
	EXPECT_FALSE(arrived(a));
	ASSERT_EQ(0, config_master(a->s.fd, true));
	EXPECT_TRUE(pages_in(a));
}

TEST_F(request, closed)
{
	struct asker *a = &self->a;
	struct iommu_hwpt_pgfault fault;
	int seen;

	for (seen = 0; seen < 2; seen++) {
		ASSERT_EQ(0, ask(a));
		if (seen)
			ASSERT_EQ(0, next_request(a, &fault));
		bar_unmap(a->s.fd, 0, a->bar);
		close(a->s.fd);
		a->s.fd = -1;
		EXPECT_TRUE(no_request(a));
		if (seen)
			EXPECT_EQ(-EINVAL, answer(a, fault.cookie, IOMMUFD_PAGE_RESP_SUCCESS));
		EXPECT_FALSE(arrived(a));
		EXPECT_EQ(0, iommufd_destroy(a->s.iommufd, a->hwpt));
		close(a->faults);
		session_close(&a->s);

		/* The next user gets only requests for their own pages. */
		ASSERT_EQ(0, asker_open(a, self->bdf));
		EXPECT_TRUE(no_request(a));
		EXPECT_TRUE(pages_in(a));
	}
}

/* The queue is closed first; the table keeps its requests until it is destroyed, too. */
TEST_F(request, context_closed)
{
	struct asker *a = &self->a;

	ASSERT_EQ(0, ask(a));
	close(a->faults);
	close(a->s.iommufd);
	a->s.iommufd = -1;
	EXPECT_TRUE(edu_dma_running(a->bar));
	ASSERT_EQ(0, detach(a));
	EXPECT_EQ(0, edu_dma_end(a->bar));
	EXPECT_EQ(IOMMUFD_PAGE_RESP_INVALID, edu_page_response(a->bar));
	asker_close(a);
	ASSERT_EQ(0, asker_open(a, self->bdf));
	EXPECT_TRUE(pages_in(a));
}

TEST_F(request, killed)
{
	struct asker *a = &self->a;
	int ready[2];
	pid_t pid;
	char c;

	asker_close(a);
	ASSERT_EQ(0, pipe(ready));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		bool ok = !asker_open(a, self->bdf) && !ask(a);

		if (write(ready[1], ok ? "y" : "n", 1) == 1)
			pause();
		_exit(1);
	}
	ASSERT_EQ(1, read(ready[0], &c, 1));
	EXPECT_EQ('y', c);
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	close(ready[0]);
	close(ready[1]);
	ASSERT_EQ(0, asker_open(a, self->bdf));
	EXPECT_TRUE(pages_in(a));
}

TEST_F(request, revoked)
{
	struct asker *a = &self->a;
	struct iommu_hwpt_pgfault fault;
	char grace[32];

	OURS_ONLY();
	ASSERT_EQ(0, ask(a));
	ASSERT_EQ(0, next_request(a, &fault));
	ASSERT_LT(0, sysfs_read(grace, sizeof(grace), GRACE));
	ASSERT_EQ(0, sysfs_write("0", GRACE));
	EXPECT_EQ(0, sysfs_unbind(self->bdf));
	EXPECT_EQ(0, sysfs_write(grace, GRACE));
	EXPECT_EQ(-EINVAL, answer(a, fault.cookie, IOMMUFD_PAGE_RESP_SUCCESS));
	EXPECT_TRUE(no_request(a));
	EXPECT_EQ(0, iommufd_destroy(a->s.iommufd, a->hwpt));
	EXPECT_FALSE(arrived(a));

	asker_close(a);
	ASSERT_EQ(0, sysfs_rebind(self->bdf));
	ASSERT_EQ(0, asker_open(a, self->bdf));
	EXPECT_TRUE(pages_in(a));
}

TEST_HARNESS_MAIN
