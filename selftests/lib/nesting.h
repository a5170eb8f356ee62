/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Two stages of address translation, as used by a VMM whose guest has an IOMMU: the guest's tables
 * (stage 1) translate the address that a device uses to a guest physical address, which the host's
 * (stage 2, the nesting parent) translate to memory. The IOMMU reads the tables of stage 1 in the
 * guest's memory, by guest physical addresses.
 *
 * There is no guest here: these functions write what its kernel would write, and make the calls of
 * its VMM. They support Arm's SMMUv3 (IHI 0070) and Intel's VT-d, which are similar: 4 KiB pages,
 * 512 entries per table; SMMUv3 begins at level 1 here, for 39 address bits, VT-d one level above
 * that. Documentation/nesting.rst explains the steps.
 */
#ifndef LIB_NESTING_H
#define LIB_NESTING_H

#include "iommufd.h"
#include "session.h"

#define GUEST_PAGE	0x1000ull
/* The guest's memory: within edu's 28 address bits, outside the host's window for MSIs */
#define GUEST_BASE	0x2000000ull
#define GUEST_SIZE	0x100000ull

/**
 * struct nesting - a virtual machine with one device, as iommufd sees it
 * @iommufd: the context
 * @devid: the device
 * @type: the IOMMU, IOMMU_HW_INFO_TYPE_ARM_SMMUV3 or _INTEL_VTD
 * @ram: the guest's memory
 * @used: bytes of it that guest_page() has allocated
 * @ioas: guest physical addresses
 * @parent: the HWPT of @ioas that can be stage 2 for others
 * @viommu: the guest's IOMMU, 0 with VT-d, which has none
 */
struct nesting {
	int iommufd;
	u32 devid;
	u32 type;
	u8 *ram;
	u64 used;
	u32 ioas;
	u32 parent;
	u32 viommu;
};

/**
 * struct stage1 - an address space made by the guest
 * @n: whose
 * @root: guest physical address of the top table
 * @cd: guest physical address of the context descriptor that points to it (SMMUv3)
 * @asid: the guest's number for it, with which the IOMMU tags cached entries (SMMUv3)
 */
struct stage1 {
	struct nesting *n;
	u64 root;
	u64 cd;
	u16 asid;
};

/**
 * nesting_open() - set up the virtual machine: memory, stage 2, and its IOMMU
 * @n: filled in
 * @s: the device, whose iommufd context is used
 *
 * Does not change what the device is attached to.
 *
 * Return: 0 or negative errno: -EOPNOTSUPP where the IOMMU does not support nesting, or not safely.
 */
int nesting_open(struct nesting *n, const struct session *s);

/**
 * nesting_open_flags() - the same, with additional features in stage 2
 * @n: filled in
 * @s: the device
 * @flags: IOMMU_HWPT_ALLOC_*, in addition to that of a nesting parent
 *
 * Return: 0 or negative errno.
 */
int nesting_open_flags(struct nesting *n, const struct session *s, u32 flags);

/**
 * guest_at() - our pointer to an address in the guest's memory
 * @n: the machine
 * @gpa: the address
 */
static inline void *guest_at(const struct nesting *n, u64 gpa)
{
	return n->ram + (gpa - GUEST_BASE);
}

/**
 * guest_page() - allocate a page of the guest's memory, zeroed
 * @n: the machine
 *
 * Return: its guest physical address; exits if there is none left.
 */
u64 guest_page(struct nesting *n);

/**
 * stage1_init() - make an empty address space
 * @s1: filled in
 * @n: the machine
 * @asid: for SMMUv3
 */
void stage1_init(struct stage1 *s1, struct nesting *n, u16 asid);

/**
 * stage1_map() - map a page, replacing any mapping there
 * @s1: the address space
 * @iova: page aligned address, of 39 bits
 * @gpa: guest physical address of the page
 * @write: it may be written to, not only read
 *
 * As with any page table, the IOMMU may use a cached entry until stage1_invalidate().
 */
void stage1_map(struct stage1 *s1, u64 iova, u64 gpa, bool write);

/**
 * stage1_unmap() - unmap a page
 * @s1: the address space
 * @iova: its address
 */
void stage1_unmap(struct stage1 *s1, u64 iova);

/**
 * stage1_hwpt() - allocate a HWPT for an address space, to attach a device to
 * @s1: the address space
 * @hwpt: filled with the ID
 *
 * With SMMUv3, the device needs a vDEVICE to be attached to it.
 *
 * Return: 0 or negative errno.
 */
int stage1_hwpt(const struct stage1 *s1, u32 *hwpt);

/**
 * stage1_hwpt_faults() - the same, with page requests passed to the guest
 * @s1: the address space
 * @flags: IOMMU_HWPT_ALLOC_PASID or 0
 * @faults: ID of the queue for the page requests
 * @hwpt: filled with the id
 *
 * Return: 0 or negative errno: -EOPNOTSUPP except for VT-d.
 */
int stage1_hwpt_faults(const struct stage1 *s1, u32 flags, u32 faults, u32 *hwpt);

/**
 * stage1_invalidate() - drop what the IOMMU has cached of one page
 * @s1: the address space
 * @hwpt: its HWPT
 * @iova: the page
 *
 * Return: 0 or negative errno.
 */
int stage1_invalidate(const struct stage1 *s1, u32 hwpt, u64 iova);

/**
 * stage1_invalidate_all() - drop all that the IOMMU has cached of the address space
 * @s1: the address space
 * @hwpt: its HWPT
 *
 * Return: 0 or negative errno.
 */
int stage1_invalidate_all(const struct stage1 *s1, u32 hwpt);

/* SMMUv3: fields of a stream table entry (5.2), a command (4), an event (7.3) */
#define STE_V			(1ull << 0)
#define STE_ABORT		(0ull << 1)
#define STE_BYPASS		(4ull << 1)
#define STE_S1			(5ull << 1)
#define STE_S2			(6ull << 1)
/* Second word: tables are cacheable and shareable, like all memory of a PC or server. */
#define STE1_CACHED		(1ull << 2 | 1ull << 4 | 3ull << 6)

#define CMD_CFGI_CD		0x05
#define CMD_TLBI_NH_ALL		0x10
#define CMD_TLBI_NH_ASID	0x11
#define CMD_TLBI_NH_VA		0x12
#define CMD_TLBI_NSNH_ALL	0x30

#define EVT_BAD_CD		0x0a
#define EVT_TRANSLATION		0x10
#define EVT_PERMISSION		0x13
#define EVT1_CLASS		(3ull << 40)
#define EVT1_CLASS_TT		(1ull << 40)

/**
 * smmu_hwpt() - allocate a HWPT for a stream table entry written by the guest
 * @n: the machine
 * @ste0: its first word
 * @ste1: its second word, the last one used by a guest without a stage 2 of its own
 * @hwpt: filled with the id
 *
 * Return: 0 or negative errno: -EIO for an entry that a guest may not have.
 */
int smmu_hwpt(const struct nesting *n, u64 ste0, u64 ste1, u32 *hwpt);

/**
 * smmu_command() - execute a command from the guest's command queue
 * @n: the machine
 * @cmd0: first word
 * @cmd1: second word
 *
 * Return: 0 or negative errno: -EIO if it is invalid, or not for guests.
 */
int smmu_command(const struct nesting *n, u64 cmd0, u64 cmd1);

/**
 * struct smmu_event - a record of the guest's event queue, with the header that iommufd adds
 * @header: its sequence number, and flags that report lost events
 * @evt: the record
 */
struct smmu_event {
	struct iommufd_vevent_header header;
	u64 evt[4];
};

/**
 * smmu_event() - wait for an event
 * @fd: what veventq_alloc() returned
 * @event: filled in
 *
 * Return: bytes read; -ETIMEDOUT after 20 s; negative errno.
 */
int smmu_event(int fd, struct smmu_event *event);

/**
 * smmu_event_sid() - the guest's stream ID of an event
 * @event: the event
 */
static inline u32 smmu_event_sid(const struct smmu_event *event)
{
	return event->evt[0] >> 32;
}

#endif
