// SPDX-License-Identifier: GPL-2.0-only
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "irq.h"
#include "nesting.h"

#define ENTRIES		512
#define ADDRESS(entry)	((entry) & 0x000ffffffffff000ull)

/*
 * Entries of SMMUv3's tables (Arm ARM, D8.3): a table or page; for the unprivileged, read only,
 * inner shareable, accessed, of one address space.
 */
#define ARM_VALID	3ull
#define ARM_PAGE	(1ull << 6 | 3ull << 8 | 1ull << 10 | 1ull << 11)
#define ARM_READ_ONLY	(1ull << 7)

/* Entries of VT-d's tables (9.8): present, writable, for the unprivileged, accessed, dirty */
#define VTD_TABLE	(1ull << 0 | 1ull << 1 | 1ull << 2 | 1ull << 5)
#define VTD_PAGE	(1ull << 0 | 1ull << 2 | 1ull << 5 | 1ull << 6)
#define VTD_WRITE	(1ull << 1)
#define VTD_ECAP_NEST	(1ull << 26)

/*
 * Context descriptor: 39 bits of address by the first table, none by the second; cached tables;
 * 40 bits of physical address; AArch64; faults abort, and are recorded.
 */
#define CD_T0SZ		25ull
#define CD_CACHED	(1ull << 8 | 1ull << 10 | 3ull << 12)
#define CD_EPD1		(1ull << 30)
#define CD_V		(1ull << 31)
#define CD_IPS		(2ull << 32)
#define CD_AA64		(1ull << 41)
#define CD_R		(1ull << 45)
#define CD_A		(1ull << 46)
#define CD_ASET		(1ull << 47)
#define CD_ASID(asid)	((u64)(asid) << 48)
/* Attribute 0: normal memory, written back */
#define MAIR		0xffull

static bool is_smmu(const struct nesting *n)
{
	return n->type == IOMMU_HW_INFO_TYPE_ARM_SMMUV3;
}

int nesting_open(struct nesting *n, const struct session *s)
{
	return nesting_open_flags(n, s, 0);
}

int nesting_open_flags(struct nesting *n, const struct session *s, u32 flags)
{
	union {
		struct iommu_hw_info_vtd vtd;
		struct iommu_hw_info_arm_smmuv3 smmu;
	} hw;
	struct iommu_hwpt_alloc parent = {
		.flags = IOMMU_HWPT_ALLOC_NEST_PARENT | flags,
		.dev_id = s->devid,
	};
	struct iommu_hw_info info;
	int err;

	*n = (struct nesting){ .iommufd = s->iommufd, .devid = s->devid };

	/* What IOMMU is it, and does it support nesting? */
	err = hw_info(n->iommufd, n->devid, &info, &hw, sizeof(hw));
	if (err)
		return err;
	n->type = info.out_data_type;
	if (!is_smmu(n) &&
	    !(n->type == IOMMU_HW_INFO_TYPE_INTEL_VTD && hw.vtd.ecap_reg & VTD_ECAP_NEST))
		return -EOPNOTSUPP;

	/* The guest's memory, at its guest physical addresses: stage 2. */
	n->ram = dma_alloc(GUEST_SIZE);
	err = ioas_alloc(n->iommufd, &n->ioas);
	if (err)
		return err;
	err = ioas_map(n->iommufd, n->ioas, n->ram, GUEST_SIZE, GUEST_BASE);
	if (err)
		return err;
	parent.pt_id = n->ioas;
	err = hwpt_alloc_raw(n->iommufd, &parent);
	if (err)
		return err;
	n->parent = parent.out_hwpt_id;

	if (!is_smmu(n))
		return 0;
	return viommu_alloc(n->iommufd, IOMMU_VIOMMU_TYPE_ARM_SMMUV3, n->devid, n->parent,
			    &n->viommu);
}

u64 guest_page(struct nesting *n)
{
	u64 gpa = GUEST_BASE + n->used;

	if (n->used == GUEST_SIZE) {
		fprintf(stderr, "the guest's memory is used up\n");
		exit(1);
	}
	n->used += GUEST_PAGE;
	return gpa;
}

/* The IOMMU may read it at any time. */
static void store(u64 *entry, u64 value)
{
	__atomic_store_n(entry, htole64(value), __ATOMIC_RELEASE);
}

static u64 *entry_of(struct stage1 *s1, u64 iova)
{
	int level = is_smmu(s1->n) ? 2 : 3;
	u64 table = s1->root;
	u64 *entry;

	for (;; level--) {
		entry = (u64 *)guest_at(s1->n, table) + (iova >> (12 + 9 * level)) % ENTRIES;
		if (!level)
			return entry;
		if (!*entry)
			store(entry, guest_page(s1->n) | (is_smmu(s1->n) ? ARM_VALID : VTD_TABLE));
		table = ADDRESS(le64toh(*entry));
	}
}

void stage1_init(struct stage1 *s1, struct nesting *n, u16 asid)
{
	u64 *cd;

	*s1 = (struct stage1){ .n = n, .root = guest_page(n), .asid = asid };
	if (!is_smmu(n))
		return;
	s1->cd = guest_page(n);
	cd = guest_at(n, s1->cd);
	store(&cd[3], MAIR);
	store(&cd[1], s1->root);
	store(&cd[0], CD_T0SZ | CD_CACHED | CD_EPD1 | CD_V | CD_IPS | CD_AA64 | CD_R | CD_A |
		      CD_ASET | CD_ASID(asid));
}

void stage1_map(struct stage1 *s1, u64 iova, u64 gpa, bool write)
{
	u64 entry;

	if (is_smmu(s1->n))
		entry = gpa | ARM_VALID | ARM_PAGE | (write ? 0 : ARM_READ_ONLY);
	else
		entry = gpa | VTD_PAGE | (write ? VTD_WRITE : 0);
	store(entry_of(s1, iova), entry);
}

void stage1_unmap(struct stage1 *s1, u64 iova)
{
	store(entry_of(s1, iova), 0);
}

int smmu_hwpt(const struct nesting *n, u64 ste0, u64 ste1, u32 *hwpt)
{
	struct iommu_hwpt_arm_smmuv3 ste = { .ste = { htole64(ste0), htole64(ste1) } };
	struct iommu_hwpt_alloc cmd = {
		.dev_id = n->devid,
		.pt_id = n->viommu,
		.data_type = IOMMU_HWPT_DATA_ARM_SMMUV3,
		.data_len = sizeof(ste),
		.data_uptr = (uintptr_t)&ste,
	};
	int err = hwpt_alloc_raw(n->iommufd, &cmd);

	*hwpt = cmd.out_hwpt_id;
	return err;
}

static int vtd_hwpt(const struct stage1 *s1, u32 flags, u32 faults, u32 *hwpt)
{
	struct iommu_hwpt_vtd_s1 s1_cfg = { .pgtbl_addr = s1->root, .addr_width = 48 };
	struct iommu_hwpt_alloc cmd = {
		.flags = flags,
		.fault_id = faults,
		.dev_id = s1->n->devid,
		.pt_id = s1->n->parent,
		.data_type = IOMMU_HWPT_DATA_VTD_S1,
		.data_len = sizeof(s1_cfg),
		.data_uptr = (uintptr_t)&s1_cfg,
	};
	int err = hwpt_alloc_raw(s1->n->iommufd, &cmd);

	*hwpt = cmd.out_hwpt_id;
	return err;
}

int stage1_hwpt(const struct stage1 *s1, u32 *hwpt)
{
	/* SMMUv3 gets the descriptor, which points to the tables; VT-d gets the tables. */
	if (is_smmu(s1->n))
		return smmu_hwpt(s1->n, STE_V | STE_S1 | s1->cd, STE1_CACHED, hwpt);
	return vtd_hwpt(s1, 0, 0, hwpt);
}

int stage1_hwpt_faults(const struct stage1 *s1, u32 flags, u32 faults, u32 *hwpt)
{
	if (is_smmu(s1->n))
		return -EOPNOTSUPP;
	return vtd_hwpt(s1, flags | IOMMU_HWPT_FAULT_ID_VALID, faults, hwpt);
}

int smmu_command(const struct nesting *n, u64 cmd0, u64 cmd1)
{
	struct iommu_viommu_arm_smmuv3_invalidate cmd = { { htole64(cmd0), htole64(cmd1) } };
	u32 count = 1;

	return hwpt_invalidate(n->iommufd, n->viommu, IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
			       &cmd, sizeof(cmd), &count);
}

static int vtd_invalidate(const struct nesting *n, u32 hwpt, u64 addr, u64 npages)
{
	struct iommu_hwpt_vtd_s1_invalidate cmd = { .addr = addr, .npages = npages };
	u32 count = 1;

	return hwpt_invalidate(n->iommufd, hwpt, IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, &cmd,
			       sizeof(cmd), &count);
}

int stage1_invalidate(const struct stage1 *s1, u32 hwpt, u64 iova)
{
	if (is_smmu(s1->n))
		return smmu_command(s1->n, CMD_TLBI_NH_VA | CD_ASID(s1->asid), iova);
	return vtd_invalidate(s1->n, hwpt, iova, 1);
}

int stage1_invalidate_all(const struct stage1 *s1, u32 hwpt)
{
	if (is_smmu(s1->n))
		return smmu_command(s1->n, CMD_TLBI_NH_ASID | CD_ASID(s1->asid), 0);
	return vtd_invalidate(s1->n, hwpt, 0, UINT64_MAX);
}

int smmu_event(int fd, struct smmu_event *event)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	ssize_t n;
	int i;

	if (poll(&pfd, 1, IRQ_TIMEOUT_MS) <= 0)
		return -ETIMEDOUT;
	n = read(fd, event, sizeof(*event));
	if (n < 0)
		return -errno;
	for (i = 0; i < 4; i++)
		event->evt[i] = le64toh(event->evt[i]);
	return n;
}
