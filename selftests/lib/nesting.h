/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Two stages of address translation, as a VMM has them whose guest has an IOMMU: the guest's own
 * tables (stage 1) turn the address that a device uses into a guest physical address, the host's
 * (stage 2, the nesting parent) turn that into memory. The tables of stage 1 are in the guest's
 * memory, the IOMMU reads them there, by guest physical addresses.
 *
 * There is no guest here: these functions write what its kernel would, and make the calls that its
 * VMM would. For Arm's SMMUv3 (IHI 0070) and Intel's VT-d, which differ less than it seems: 4 KiB
 * pages, 512 entries a table; SMMUv3 begins at level 1 here, for 39 bits of address, VT-d a level
 * above that. Documentation/nesting.rst goes through it.
 */
#ifndef LIB_NESTING_H
#define LIB_NESTING_H

#include "iommufd.h"
#include "session.h"

#define GUEST_PAGE	0x1000ull
/* The guest's memory: in reach of edu's 28 address bits, clear of the host's window for MSIs */
#define GUEST_BASE	0x2000000ull
#define GUEST_SIZE	0x100000ull

/**
 * struct nesting - a virtual machine of one device, in the eyes of iommufd
 * @iommufd: the context
 * @devid: the device
 * @type: the IOMMU, IOMMU_HW_INFO_TYPE_ARM_SMMUV3 or _INTEL_VTD
 * @ram: the guest's memory
 * @used: bytes of it that guest_page() has given out
 * @ioas: guest physical addresses
 * @parent: the HWPT over @ioas that can be the stage 2 of others
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
 * struct stage1 - an address space that the guest has made
 * @n: whose
 * @root: guest physical address of the top table
 * @cd: guest physical address of the context descriptor that points to it (SMMUv3)
 * @asid: the guest's number for it, which the IOMMU caches its entries under (SMMUv3)
 */
struct stage1 {
	struct nesting *n;
	u64 root;
	u64 cd;
	u16 asid;
};

/**
 * nesting_open() - the machine: memory, stage 2, and what its IOMMU needs
 * @n: filled in
 * @s: the device, whose iommufd context it is to be in
 *
 * The device stays attached to what it is attached to.
 *
 * Return: 0 or negative errno: -EOPNOTSUPP where the IOMMU cannot nest, or not safely.
 */
int nesting_open(struct nesting *n, const struct session *s);

/**
 * nesting_open_flags() - the same, with a stage 2 that can do more
 * @n: filled in
 * @s: the device
 * @flags: IOMMU_HWPT_ALLOC_*, beside that of a nesting parent
 *
 * Return: 0 or negative errno.
 */
int nesting_open_flags(struct nesting *n, const struct session *s, u32 flags);

/**
 * guest_at() - where we have what the guest has at an address
 * @n: the machine
 * @gpa: the address
 */
static inline void *guest_at(const struct nesting *n, u64 gpa)
{
	return n->ram + (gpa - GUEST_BASE);
}

/**
 * guest_page() - take a page of the guest's memory, zeroed
 * @n: the machine
 *
 * Return: its guest physical address; exits if all is taken.
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
 * stage1_map() - map a page, in place of what is there
 * @s1: the address space
 * @iova: page aligned address, of 39 bits
 * @gpa: guest physical address of the page
 * @write: it may be written to, not only read
 *
 * As in any page table, what the IOMMU has cached of the entry holds until stage1_invalidate().
 */
void stage1_map(struct stage1 *s1, u64 iova, u64 gpa, bool write);

/**
 * stage1_unmap() - take a page out
 * @s1: the address space
 * @iova: its address
 */
void stage1_unmap(struct stage1 *s1, u64 iova);

/**
 * stage1_hwpt() - have a HWPT for an address space: what to attach a device to
 * @s1: the address space
 * @hwpt: filled with the id
 *
 * With SMMUv3 the device needs to have a vDEVICE to be attached to it.
 *
 * Return: 0 or negative errno.
 */
int stage1_hwpt(const struct stage1 *s1, u32 *hwpt);

/**
 * stage1_hwpt_faults() - the same, of which page requests go to the guest
 * @s1: the address space
 * @flags: IOMMU_HWPT_ALLOC_PASID or 0
 * @faults: id of the queue that they go into
 * @hwpt: filled with the id
 *
 * Return: 0 or negative errno: -EOPNOTSUPP but for VT-d.
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
/* Second word: tables are cacheable and shareable, as all memory of a PC or server is. */
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
 * smmu_hwpt() - a HWPT of a stream table entry that the guest has written
 * @n: the machine
 * @ste0: its first word
 * @ste1: its second word, the last that a guest without a stage 2 of its own fills in
 * @hwpt: filled with the id
 *
 * Return: 0 or negative errno: -EIO for an entry that a guest may not have.
 */
int smmu_hwpt(const struct nesting *n, u64 ste0, u64 ste1, u32 *hwpt);

/**
 * smmu_command() - carry out a command that the guest has put into its command queue
 * @n: the machine
 * @cmd0: first word
 * @cmd1: second word
 *
 * Return: 0 or negative errno: -EIO for one that is not for guests, or wrong.
 */
int smmu_command(const struct nesting *n, u64 cmd0, u64 cmd1);

/**
 * struct smmu_event - a record of the guest's event queue, with the header that iommufd adds
 * @header: its number; flags say whether some were lost
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
 * smmu_event_sid() - the stream id of an event, the one that the guest knows
 * @event: the event
 */
static inline u32 smmu_event_sid(const struct smmu_event *event)
{
	return event->evt[0] >> 32;
}

#endif
