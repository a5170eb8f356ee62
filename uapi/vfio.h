/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The VFIO ABI of a PCI device node, /dev/vfio/devices/vfioN.
 *
 * Numbers, names and layouts are the kernel's, so a program that was built
 * with <linux/vfio.h> runs unchanged; selftests/uapi-abi proves that nothing
 * in here differs from it. Everything that only a group, a container, another
 * bus or a mediated device can answer is left out.
 *
 * The guard is deliberately that of <uapi/linux/vfio.h>: both files declare
 * the same names, and a translation unit uses whichever it includes first.
 */
#ifndef _UAPIVFIO_H
#define _UAPIVFIO_H

#include <linux/types.h>
#include <linux/ioctl.h>
#include <linux/stddef.h>

/* Kernel headers older than 6.6 do not give user space this annotation. */
#ifndef __counted_by
#define __counted_by(member)
#endif

/**
 * DOC: Conventions
 *
 * An ioctl number does not encode the size of its argument. Instead, @argsz is
 * the first word of every structure, and the caller sets it to the number of
 * bytes that it provides. A structure may grow at its end; a caller that knows
 * less of it passes a smaller @argsz, and the driver accesses nothing beyond.
 *
 * Every ioctl returns 0, or -1 with errno. These mean the same everywhere and
 * are not repeated below:
 *
 * * EFAULT: the argument, or memory it points to, cannot be accessed.
 * * EINVAL: @argsz is less than the structure needs, a flag is not known, or
 *   the file is not bound to an iommufd yet.
 * * ENODEV: the device was taken away (unbound, unplugged). The file is dead.
 * * ENOMEM: the kernel is out of memory.
 * * ENOTTY: the ioctl or feature does not exist here. This includes all
 *   requests of groups and containers.
 *
 * The driver writes fields called reserved or pad as zero and ignores them when
 * it reads them, unless their description says otherwise.
 */

/* All request numbers are _IO(VFIO_TYPE, VFIO_BASE + n). */
#define VFIO_TYPE	(';')
#define VFIO_BASE	100

/**
 * struct vfio_info_cap_header - header of every entry of a capability chain
 * @id: which capability; the numbers belong to the ioctl that returns it
 * @version: version of the layout of what follows, counted for each @id
 *	separately
 * @next: bytes from the start of the ioctl's structure to the next entry, 0
 *	at the end of the chain
 *
 * Info ioctls append such a chain to their structure and set its CAPS flag.
 * When the caller's buffer cannot hold the chain, the call still succeeds: the
 * flag is set, cap_offset is 0, and argsz is the size that is needed.
 */
struct vfio_info_cap_header {
	__u16	id;
	__u16	version;
	__u32	next;
};

/* ---- Opening a session ---- */

/**
 * struct vfio_device_bind_iommufd - argument of VFIO_DEVICE_BIND_IOMMUFD
 * @argsz: in: size of this structure; @token_uuid_ptr may be left out
 * @flags: in: 0 or VFIO_DEVICE_BIND_FLAG_TOKEN
 * @iommufd: in: file descriptor of an open /dev/iommu
 * @out_devid: out: the device's object id in that iommufd
 * @token_uuid_ptr: in: address of the 16 bytes of a UUID; read only when
 *	VFIO_DEVICE_BIND_FLAG_TOKEN is set
 *
 * Makes the file the owner of the device, and opens the device: it is powered
 * up and reset. Nothing else works before this. Only closing the file undoes
 * it.
 *
 * The token is a secret that the user of a PF shares with the users of its VFs,
 * see VFIO_DEVICE_FEATURE_PCI_VF_TOKEN. A device that needs no token refuses
 * one.
 *
 * Errors:
 *
 * * EINVAL: this or another file is bound to the device already; @iommufd is
 *   negative; a token was given, and the device has none to compare it with; the
 *   firmware requires memory to be mapped for a device of the IOMMU group.
 * * EACCES: the token is missing or wrong.
 * * EBADF, EBADFD: @iommufd is not open, or is not an iommufd.
 * * EBUSY: a device of the same IOMMU group is being reset.
 * * E2BIG: bytes beyond this structure, within @argsz, are not zero.
 * * EPERM: a kernel driver or another iommufd owns a device of the same IOMMU
 *   group, or the IOMMU cannot isolate the device's interrupts.
 * * ENODEV: the device does not answer, or has been taken away.
 * * EAGAIN: the host is about to reset or unbind the device; try again.
 */
struct vfio_device_bind_iommufd {
	__u32		argsz;
	__u32		flags;
#define VFIO_DEVICE_BIND_FLAG_TOKEN	(1 << 0)
	__s32		iommufd;
	__u32		out_devid;
	__aligned_u64	token_uuid_ptr;
};

#define VFIO_DEVICE_BIND_IOMMUFD	_IO(VFIO_TYPE, VFIO_BASE + 18)

/**
 * struct vfio_device_attach_iommufd_pt - argument of VFIO_DEVICE_ATTACH_IOMMUFD_PT
 * @argsz: in: size of this structure; @pasid may be left out
 * @flags: in: 0 or VFIO_DEVICE_ATTACH_PASID
 * @pt_id: in: object id of an IOAS or of a page table (HWPT) in the iommufd
 *	that the device is bound to. out: the same id, or for an IOAS the id of
 *	the page table that was picked or made for it
 * @pasid: in: the PASID to attach instead of the whole device; read only when
 *	VFIO_DEVICE_ATTACH_PASID is set
 *
 * From here on, the device's DMA goes through that page table. If another one
 * is attached already, the new one replaces it atomically: DMA does not fail in
 * between (as far as the IOMMU can do so).
 *
 * Errors:
 *
 * * ENOENT: there is no object @pt_id.
 * * EINVAL: @pt_id is an object of another kind, or a page table that the
 *   device's IOMMU cannot use; or @pasid is 0, or more than the device has.
 * * EBUSY: the device, or another one of its IOMMU group, is being reset.
 * * EOPNOTSUPP: the IOMMU does not support PASIDs.
 */
struct vfio_device_attach_iommufd_pt {
	__u32	argsz;
	__u32	flags;
#define VFIO_DEVICE_ATTACH_PASID	(1 << 0)
	__u32	pt_id;
	__u32	pasid;
};

#define VFIO_DEVICE_ATTACH_IOMMUFD_PT	_IO(VFIO_TYPE, VFIO_BASE + 19)

/**
 * struct vfio_device_detach_iommufd_pt - argument of VFIO_DEVICE_DETACH_IOMMUFD_PT
 * @argsz: in: size of this structure; @pasid may be left out
 * @flags: in: 0 or VFIO_DEVICE_DETACH_PASID
 * @pasid: in: the PASID to detach instead of the whole device; read only when
 *	VFIO_DEVICE_DETACH_PASID is set
 *
 * The DMA of the device or PASID is blocked afterwards. Detaching succeeds even
 * if nothing is attached.
 */
struct vfio_device_detach_iommufd_pt {
	__u32	argsz;
	__u32	flags;
#define VFIO_DEVICE_DETACH_PASID	(1 << 0)
	__u32	pasid;
};

#define VFIO_DEVICE_DETACH_IOMMUFD_PT	_IO(VFIO_TYPE, VFIO_BASE + 20)

/* ---- What the device has ---- */

/**
 * struct vfio_device_info - argument of VFIO_DEVICE_GET_INFO
 * @argsz: in: size of the buffer. out: the size that a call with all
 *	capabilities needs
 * @flags: out: VFIO_DEVICE_FLAGS_*. PCI is always set; RESET if
 *	VFIO_DEVICE_RESET can work; CAPS if there is a capability chain
 * @num_regions: out: regions have the indices 0 to @num_regions - 1
 * @num_irqs: out: interrupts have the indices 0 to @num_irqs - 1
 * @cap_offset: out: bytes from the start of this structure to the chain; 0 if
 *	there is no chain or no room for it
 * @pad: out: 0
 *
 * An @argsz that ends before @cap_offset is allowed.
 */
struct vfio_device_info {
	__u32	argsz;
	__u32	flags;
#define VFIO_DEVICE_FLAGS_RESET		(1 << 0)
#define VFIO_DEVICE_FLAGS_PCI		(1 << 1)
#define VFIO_DEVICE_FLAGS_CAPS		(1 << 7)
	__u32	num_regions;
	__u32	num_irqs;
	__u32	cap_offset;
	__u32	pad;
};

#define VFIO_DEVICE_GET_INFO		_IO(VFIO_TYPE, VFIO_BASE + 7)

#define VFIO_DEVICE_INFO_CAP_PCI_ATOMIC_COMP	5

/**
 * struct vfio_device_info_cap_pci_atomic_comp - PCIe AtomicOps the root port completes
 * @header: id VFIO_DEVICE_INFO_CAP_PCI_ATOMIC_COMP, version 1
 * @flags: VFIO_PCI_ATOMIC_COMP*: the operand widths, in bits, that the root
 *	port above the device completes and all switches between them route
 *	(PCIe r6.2 7.5.3.15)
 * @reserved: 0
 *
 * Absent if no width works.
 */
struct vfio_device_info_cap_pci_atomic_comp {
	struct vfio_info_cap_header header;
	__u32	flags;
#define VFIO_PCI_ATOMIC_COMP32		(1 << 0)
#define VFIO_PCI_ATOMIC_COMP64		(1 << 1)
#define VFIO_PCI_ATOMIC_COMP128		(1 << 2)
	__u32	reserved;
};

/* ---- Regions ---- */

/**
 * DOC: Region indices
 *
 * A region that the device lacks has size 0. The upper half of a 64-bit BAR is
 * such a region.
 *
 * The VGA region is laid out by the legacy addresses themselves: the byte at
 * I/O port 0x3c0 is at 0x3c0 in it, the framebuffer at 0xa0000. It covers the
 * ports 0x3b0 to 0x3bb and 0x3c0 to 0x3df, and memory 0xa0000 to 0xbffff.
 *
 * Indices from VFIO_PCI_NUM_REGIONS on are device specific, and are identified
 * by &struct vfio_region_info_cap_type.
 */
enum {
	VFIO_PCI_BAR0_REGION_INDEX	= 0,
	VFIO_PCI_BAR1_REGION_INDEX	= 1,
	VFIO_PCI_BAR2_REGION_INDEX	= 2,
	VFIO_PCI_BAR3_REGION_INDEX	= 3,
	VFIO_PCI_BAR4_REGION_INDEX	= 4,
	VFIO_PCI_BAR5_REGION_INDEX	= 5,
	VFIO_PCI_ROM_REGION_INDEX	= 6,
	VFIO_PCI_CONFIG_REGION_INDEX	= 7,
	VFIO_PCI_VGA_REGION_INDEX	= 8,
	VFIO_PCI_NUM_REGIONS		= 9
};

/**
 * struct vfio_region_info - argument of VFIO_DEVICE_GET_REGION_INFO
 * @argsz: in: size of the buffer. out: the size that a call with all
 *	capabilities needs
 * @flags: out: VFIO_REGION_INFO_FLAG_*: which of pread(), pwrite() and mmap()
 *	the region supports, and whether there is a capability chain
 * @index: in: which region
 * @cap_offset: out: bytes from the start of this structure to the chain; 0 if
 *	there is no chain or no room for it
 * @size: out: bytes; 0 means that there is no such region
 * @offset: out: the file offset of the region's first byte, for pread(),
 *	pwrite() and mmap()
 *
 * Errors: EINVAL also if @index is not less than num_regions, or is the VGA
 * region of a device that has none.
 */
struct vfio_region_info {
	__u32		argsz;
	__u32		flags;
#define VFIO_REGION_INFO_FLAG_READ	(1 << 0)
#define VFIO_REGION_INFO_FLAG_WRITE	(1 << 1)
#define VFIO_REGION_INFO_FLAG_MMAP	(1 << 2)
#define VFIO_REGION_INFO_FLAG_CAPS	(1 << 3)
	__u32		index;
	__u32		cap_offset;
	__aligned_u64	size;
	__aligned_u64	offset;
};

#define VFIO_DEVICE_GET_REGION_INFO	_IO(VFIO_TYPE, VFIO_BASE + 8)

#define VFIO_REGION_INFO_CAP_SPARSE_MMAP	1

/**
 * struct vfio_region_sparse_mmap_area - one part of a region that can be mapped
 * @offset: bytes from the start of the region
 * @size: bytes
 */
struct vfio_region_sparse_mmap_area {
	__aligned_u64	offset;
	__aligned_u64	size;
};

/**
 * struct vfio_region_info_cap_sparse_mmap - the parts of a region that can be mapped
 * @header: id VFIO_REGION_INFO_CAP_SPARSE_MMAP, version 1
 * @nr_areas: entries of @areas
 * @reserved: 0
 * @areas: the parts, in no particular order
 *
 * A region that has FLAG_MMAP and lacks this capability can be mapped as a
 * whole. With it, mapping anything but the parts may be refused or may fault.
 */
struct vfio_region_info_cap_sparse_mmap {
	struct vfio_info_cap_header header;
	__u32	nr_areas;
	__u32	reserved;
	struct vfio_region_sparse_mmap_area areas[];
};

#define VFIO_REGION_INFO_CAP_TYPE	2

/**
 * struct vfio_region_info_cap_type - type of a device specific region
 * @header: id VFIO_REGION_INFO_CAP_TYPE, version 1
 * @type: who defines @subtype: VFIO_REGION_TYPE_PCI_VENDOR_TYPE with the PCI
 *	vendor id in the bits of VFIO_REGION_TYPE_PCI_VENDOR_MASK
 * @subtype: for vendor 0x8086, one of VFIO_REGION_SUBTYPE_INTEL_IGD_*: the
 *	graphics OpRegion, a copy of the host bridge's config space, a copy of
 *	the LPC bridge's
 */
struct vfio_region_info_cap_type {
	struct vfio_info_cap_header header;
	__u32	type;
	__u32	subtype;
};

#define VFIO_REGION_TYPE_PCI_VENDOR_TYPE	(1 << 31)
#define VFIO_REGION_TYPE_PCI_VENDOR_MASK	(0xffff)

#define VFIO_REGION_SUBTYPE_INTEL_IGD_OPREGION	(1)
#define VFIO_REGION_SUBTYPE_INTEL_IGD_HOST_CFG	(2)
#define VFIO_REGION_SUBTYPE_INTEL_IGD_LPC_CFG	(3)

/*
 * A bare struct vfio_info_cap_header, version 1: the BAR that holds the MSI-X
 * table can be mapped including the table. Vectors are still set up with
 * VFIO_DEVICE_SET_IRQS, never by writing the table.
 */
#define VFIO_REGION_INFO_CAP_MSIX_MAPPABLE	3

/* ---- Interrupts ---- */

/**
 * DOC: Interrupt indices
 *
 * INTx, MSI and MSI-X are the device's own interrupts; at most one of them is
 * in use at a time. ERR signals an uncorrected error of the device. With REQ,
 * the host asks the user to close the device: a user who ignores it loses the
 * device at the end of the grace period.
 */
enum {
	VFIO_PCI_INTX_IRQ_INDEX	= 0,
	VFIO_PCI_MSI_IRQ_INDEX	= 1,
	VFIO_PCI_MSIX_IRQ_INDEX	= 2,
	VFIO_PCI_ERR_IRQ_INDEX	= 3,
	VFIO_PCI_REQ_IRQ_INDEX	= 4,
	VFIO_PCI_NUM_IRQS	= 5
};

/**
 * struct vfio_irq_info - argument of VFIO_DEVICE_GET_IRQ_INFO
 * @argsz: in: size of this structure
 * @flags: out: VFIO_IRQ_INFO_*. EVENTFD: signals eventfds. MASKABLE: the mask
 *	and unmask actions work. AUTOMASKED: masks itself each time it fires,
 *	and does not fire again until unmasked. NORESIZE: vectors cannot be
 *	added while the index is enabled; it must be disabled first
 * @index: in: which interrupt
 * @count: out: number of its vectors (subindices); 0 means that the device
 *	lacks it
 *
 * Errors: EINVAL also if @index is not less than num_irqs.
 */
struct vfio_irq_info {
	__u32	argsz;
	__u32	flags;
#define VFIO_IRQ_INFO_EVENTFD		(1 << 0)
#define VFIO_IRQ_INFO_MASKABLE		(1 << 1)
#define VFIO_IRQ_INFO_AUTOMASKED	(1 << 2)
#define VFIO_IRQ_INFO_NORESIZE		(1 << 3)
	__u32	index;
	__u32	count;
};

#define VFIO_DEVICE_GET_IRQ_INFO	_IO(VFIO_TYPE, VFIO_BASE + 9)

/**
 * struct vfio_irq_set - argument of VFIO_DEVICE_SET_IRQS
 * @argsz: in: size of this structure and @data together
 * @flags: in: one VFIO_IRQ_SET_DATA_* and one VFIO_IRQ_SET_ACTION_*
 * @index: in: which interrupt
 * @start: in: first vector
 * @count: in: number of vectors from @start on
 * @data: in: @count elements: none (DATA_NONE), __u8 (DATA_BOOL) or __s32
 *	(DATA_EVENTFD)
 *
 * Meaning of the data types for each of the vectors:
 *
 * * DATA_NONE: apply the action to it.
 * * DATA_BOOL: apply the action to it if its element is not 0.
 * * DATA_EVENTFD: connect the action to the eventfd in its element. TRIGGER:
 *   the eventfd is signaled when the interrupt fires. MASK, UNMASK: signaling
 *   the eventfd masks or unmasks the interrupt. -1 disconnects them.
 *
 * The first TRIGGER by eventfd enables the index. ACTION_TRIGGER without an
 * eventfd, on an index that is enabled, signals the eventfds as though the
 * device had interrupted (loopback). DATA_NONE with ACTION_TRIGGER and @count 0
 * disables the whole index.
 *
 * A return value above 0 means that the host has too few vectors left to enable
 * MSI or MSI-X, and is their number.
 *
 * Errors:
 *
 * * EINVAL: vectors out of range; another index is enabled; mask or loopback
 *   while the index is disabled; not exactly one data type.
 * * ENOTTY: not exactly one action, or one that the index does not support.
 * * EBADF, EINVAL: an element is not a file, or not an eventfd.
 * * ENOSPC: the host is out of interrupt vectors, or its IOMMU translates
 *   MSIs and the device is not attached.
 * * EBUSY: another eventfd, which is still open, unmasks INTx.
 * * ENODEV: the host has no line for INTx.
 */
struct vfio_irq_set {
	__u32	argsz;
	__u32	flags;
#define VFIO_IRQ_SET_DATA_NONE		(1 << 0)
#define VFIO_IRQ_SET_DATA_BOOL		(1 << 1)
#define VFIO_IRQ_SET_DATA_EVENTFD	(1 << 2)
#define VFIO_IRQ_SET_ACTION_MASK	(1 << 3)
#define VFIO_IRQ_SET_ACTION_UNMASK	(1 << 4)
#define VFIO_IRQ_SET_ACTION_TRIGGER	(1 << 5)
	__u32	index;
	__u32	start;
	__u32	count;
	__u8	data[];
};

#define VFIO_DEVICE_SET_IRQS		_IO(VFIO_TYPE, VFIO_BASE + 10)

#define VFIO_IRQ_SET_DATA_TYPE_MASK \
	(VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_DATA_BOOL | \
	 VFIO_IRQ_SET_DATA_EVENTFD)
#define VFIO_IRQ_SET_ACTION_TYPE_MASK \
	(VFIO_IRQ_SET_ACTION_MASK | VFIO_IRQ_SET_ACTION_UNMASK | \
	 VFIO_IRQ_SET_ACTION_TRIGGER)

/* ---- Reset ---- */

/*
 * Resets this one function and keeps its virtual config space. No argument.
 * EINVAL: there is no reset of the function alone. EAGAIN: someone else has the
 * device locked.
 */
#define VFIO_DEVICE_RESET		_IO(VFIO_TYPE, VFIO_BASE + 11)

/**
 * struct vfio_pci_dependent_device - one function that a hot reset affects
 * @group_id: for groups, never set on a device node
 * @devid: its object id in the caller's iommufd; VFIO_PCI_DEVID_OWNED if it
 *	has none, but shares an IOMMU group with a function that has one;
 *	VFIO_PCI_DEVID_NOT_OWNED if it belongs to someone else
 * @segment: PCI domain
 * @bus: PCI bus number
 * @devfn: device in bits 7:3, function in bits 2:0
 */
struct vfio_pci_dependent_device {
	union {
		__u32	group_id;
		__u32	devid;
#define VFIO_PCI_DEVID_OWNED		0
#define VFIO_PCI_DEVID_NOT_OWNED	(-1)
	};
	__u16	segment;
	__u8	bus;
	__u8	devfn;
};

/**
 * struct vfio_pci_hot_reset_info - argument of VFIO_DEVICE_GET_PCI_HOT_RESET_INFO
 * @argsz: in: size of this structure and @devices together
 * @flags: out: VFIO_PCI_HOT_RESET_FLAG_*. DEV_ID: entries have a devid, always
 *	set here. DEV_ID_OWNED: all entries belong to the caller, so the reset
 *	is allowed
 * @count: out: number of functions affected, this one included
 * @devices: out: the functions
 *
 * Errors: ENOSPC if @devices is too small; @count is then the number needed.
 * ENODEV if neither slot nor bus can be reset. EAGAIN if functions are being
 * plugged in or out.
 */
struct vfio_pci_hot_reset_info {
	__u32	argsz;
	__u32	flags;
#define VFIO_PCI_HOT_RESET_FLAG_DEV_ID		(1 << 0)
#define VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED	(1 << 1)
	__u32	count;
	struct vfio_pci_dependent_device devices[];
};

#define VFIO_DEVICE_GET_PCI_HOT_RESET_INFO	_IO(VFIO_TYPE, VFIO_BASE + 12)

/**
 * struct vfio_pci_hot_reset - argument of VFIO_DEVICE_PCI_HOT_RESET
 * @argsz: in: size of this structure
 * @flags: in: 0
 * @count: in: number of @group_fds, 0 if all devices are in the caller's
 *	iommufd
 * @group_fds: in: bound files of devices in another iommufd. The group files
 *	that the name refers to belong to another interface
 *
 * Resets the slot or bus, with every function on it.
 *
 * Errors: EINVAL if a function on it is not the caller's, or a file is not a
 * bound device; EBADF if a file is not open. ENODEV if neither slot nor bus can
 * be reset. EAGAIN if someone else has one of the functions locked.
 */
struct vfio_pci_hot_reset {
	__u32	argsz;
	__u32	flags;
	__u32	count;
	__s32	group_fds[];
};

#define VFIO_DEVICE_PCI_HOT_RESET	_IO(VFIO_TYPE, VFIO_BASE + 13)

/* ---- Writes that follow an eventfd ---- */

/**
 * struct vfio_device_ioeventfd - argument of VFIO_DEVICE_IOEVENTFD
 * @argsz: in: size of this structure
 * @flags: in: exactly one of VFIO_DEVICE_IOEVENTFD_8, _16, _32 and _64: bits to
 *	write
 * @offset: in: file offset to write at, aligned to the width, within a BAR and
 *	not in the MSI-X table
 * @data: in: the value, in the byte order of the CPU
 * @fd: in: the eventfd; -1 removes the one that has the same @offset, @data and
 *	width
 * @reserved: not read
 *
 * Each signal of the eventfd makes the kernel write @data to the device.
 *
 * Errors: EINVAL for an invalid offset or width. EEXIST if the same write has
 * an eventfd already. ENODEV if there is none to remove. ENOSPC at the limit of
 * eventfds for one device. EBADF if @fd is not a file.
 */
struct vfio_device_ioeventfd {
	__u32		argsz;
	__u32		flags;
#define VFIO_DEVICE_IOEVENTFD_8		(1 << 0)
#define VFIO_DEVICE_IOEVENTFD_16	(1 << 1)
#define VFIO_DEVICE_IOEVENTFD_32	(1 << 2)
#define VFIO_DEVICE_IOEVENTFD_64	(1 << 3)
#define VFIO_DEVICE_IOEVENTFD_SIZE_MASK	(0xf)
	__aligned_u64	offset;
	__aligned_u64	data;
	__s32		fd;
	__u32		reserved;
};

#define VFIO_DEVICE_IOEVENTFD		_IO(VFIO_TYPE, VFIO_BASE + 16)

/* ---- Features ---- */

/**
 * struct vfio_device_feature - argument of VFIO_DEVICE_FEATURE
 * @argsz: in: size of this structure and @data together
 * @flags: in: the feature's number in the bits of VFIO_DEVICE_FEATURE_MASK, and
 *	what to do: GET fills @data, SET applies @data, PROBE only asks
 * @data: in or out: the feature's structure, if it has one
 *
 * PROBE succeeds if the feature exists and supports each of GET and SET that is
 * set along with it; @data is not touched. Without PROBE, exactly one of GET
 * and SET must be set.
 *
 * Errors: ENOTTY if the feature does not exist. EINVAL if it does not support
 * the method asked for, or @argsz is too small for its structure; without
 * PROBE, also if both GET and SET are set, or neither.
 */
struct vfio_device_feature {
	__u32	argsz;
	__u32	flags;
#define VFIO_DEVICE_FEATURE_MASK	(0xffff)
#define VFIO_DEVICE_FEATURE_GET		(1 << 16)
#define VFIO_DEVICE_FEATURE_SET		(1 << 17)
#define VFIO_DEVICE_FEATURE_PROBE	(1 << 18)
	__u8	data[];
};

#define VFIO_DEVICE_FEATURE		_IO(VFIO_TYPE, VFIO_BASE + 17)

/*
 * SET, 16 bytes of a UUID: the secret that a user who opens a VF of this PF
 * must present. Only on a PF; ENOTTY elsewhere.
 */
#define VFIO_DEVICE_FEATURE_PCI_VF_TOKEN	(0)

/* ---- Migration ---- */

/**
 * struct vfio_device_feature_migration - GET of VFIO_DEVICE_FEATURE_MIGRATION
 * @flags: out: the states that exist in addition to RUNNING and ERROR.
 *	VFIO_MIGRATION_STOP_COPY, always set: STOP, STOP_COPY, RESUMING.
 *	VFIO_MIGRATION_P2P: RUNNING_P2P. VFIO_MIGRATION_PRE_COPY: PRE_COPY. The
 *	last two together: PRE_COPY_P2P
 */
struct vfio_device_feature_migration {
	__aligned_u64 flags;
#define VFIO_MIGRATION_STOP_COPY	(1 << 0)
#define VFIO_MIGRATION_P2P		(1 << 1)
#define VFIO_MIGRATION_PRE_COPY		(1 << 2)
};

#define VFIO_DEVICE_FEATURE_MIGRATION	1

/**
 * enum vfio_device_mig_state - the states a migratable device can be in
 * @VFIO_DEVICE_STATE_ERROR: a transition failed half way; the only way out is a
 *	reset, such as VFIO_DEVICE_RESET, to RUNNING. Cannot be requested
 * @VFIO_DEVICE_STATE_STOP: no DMA, no interrupts, no change of internal state;
 *	config space and interrupt setup still work
 * @VFIO_DEVICE_STATE_RUNNING: works as usual
 * @VFIO_DEVICE_STATE_STOP_COPY: STOP, and the state can be read from the data
 *	file until its end
 * @VFIO_DEVICE_STATE_RESUMING: stopped, and a state can be written to the data
 *	file. The transition to STOP checks and applies it
 * @VFIO_DEVICE_STATE_RUNNING_P2P: RUNNING, but starts no DMA to other devices
 * @VFIO_DEVICE_STATE_PRE_COPY: RUNNING, and the part of the state that is
 *	already available can be read from the data file
 * @VFIO_DEVICE_STATE_PRE_COPY_P2P: PRE_COPY, but starts no DMA to other devices
 * @VFIO_DEVICE_STATE_NR: number of states
 *
 * The basic transitions, where RUNNING_P2P is skipped if the device lacks it:
 *
 * * RUNNING to RUNNING_P2P to STOP, and back
 * * STOP to STOP_COPY and back, STOP to RESUMING and back
 * * RUNNING to PRE_COPY and back, RUNNING_P2P to PRE_COPY_P2P and back,
 *   PRE_COPY to PRE_COPY_P2P and back
 * * PRE_COPY_P2P to STOP_COPY; without P2P, PRE_COPY to STOP_COPY
 *
 * Any other transition takes the shortest path that does not pass through
 * PRE_COPY, PRE_COPY_P2P or STOP_COPY. There is no path from STOP_COPY to
 * either PRE_COPY.
 *
 * PRE_COPY, PRE_COPY_P2P and STOP_COPY share one data file: it is created on
 * entry to the first of them and ends on exit from the last.
 */
enum vfio_device_mig_state {
	VFIO_DEVICE_STATE_ERROR		= 0,
	VFIO_DEVICE_STATE_STOP		= 1,
	VFIO_DEVICE_STATE_RUNNING	= 2,
	VFIO_DEVICE_STATE_STOP_COPY	= 3,
	VFIO_DEVICE_STATE_RESUMING	= 4,
	VFIO_DEVICE_STATE_RUNNING_P2P	= 5,
	VFIO_DEVICE_STATE_PRE_COPY	= 6,
	VFIO_DEVICE_STATE_PRE_COPY_P2P	= 7,
	VFIO_DEVICE_STATE_NR		= 8,
};

/**
 * struct vfio_device_feature_mig_state - SET, GET of VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE
 * @device_state: SET: the state to go to. GET: the current state. From
 *	&enum vfio_device_mig_state
 * @data_fd: out: a new file for the stream of the device's state if the
 *	transition began one; -1 otherwise. The caller closes it
 *
 * SET returns when the device has reached the state. If SET fails, the device
 * may be in any state on the path; GET returns it.
 *
 * Errors: EINVAL if the state does not exist for this device or there is no
 * path to it.
 */
struct vfio_device_feature_mig_state {
	__u32	device_state;
	__s32	data_fd;
};

#define VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE	2

/**
 * struct vfio_precopy_info - argument of VFIO_MIG_GET_PRECOPY_INFO
 * @argsz: in: size of this structure
 * @flags: out: VFIO_PRECOPY_INFO_REINIT, only if enabled by
 *	VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2: the device has started again,
 *	and @initial_bytes has increased again
 * @initial_bytes: out: about how many bytes of the first copy are left to read
 * @dirty_bytes: out: about how many bytes have changed since they were read
 *
 * An ioctl of the data file, not of the device. The best time to move on to
 * STOP_COPY is when @initial_bytes is 0. While both are 0, read() fails with
 * ENOMSG, and poll() waits for more.
 *
 * Errors: EINVAL also in any state other than PRE_COPY and PRE_COPY_P2P.
 */
struct vfio_precopy_info {
	__u32		argsz;
	__u32		flags;
#define VFIO_PRECOPY_INFO_REINIT	(1 << 0)
	__aligned_u64	initial_bytes;
	__aligned_u64	dirty_bytes;
};

#define VFIO_MIG_GET_PRECOPY_INFO	_IO(VFIO_TYPE, VFIO_BASE + 21)

/**
 * struct vfio_device_feature_mig_data_size - GET of VFIO_DEVICE_FEATURE_MIG_DATA_SIZE
 * @stop_copy_length: out: about how many bytes STOP_COPY would stream
 */
struct vfio_device_feature_mig_data_size {
	__aligned_u64 stop_copy_length;
};

#define VFIO_DEVICE_FEATURE_MIG_DATA_SIZE	9

/* SET, no data: vfio_precopy_info.flags is meaningful from now on. */
#define VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2	12

/* ---- Low power ---- */

/*
 * SET, no data: the device may sleep whenever the host sees fit. Access by
 * read(), write() or ioctl wakes it up for the duration of the access; a mapped
 * BAR faults until LOW_POWER_EXIT.
 */
#define VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY	3

/**
 * struct vfio_device_low_power_entry_with_wakeup - SET of ..._LOW_POWER_ENTRY_WITH_WAKEUP
 * @wakeup_eventfd: in: an eventfd
 * @reserved: in: 0
 *
 * Like VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, but for one sleep: the eventfd is
 * signaled when the device was woken up, and the device then stays awake. A
 * device that was never asleep gives no signal.
 */
struct vfio_device_low_power_entry_with_wakeup {
	__s32	wakeup_eventfd;
	__u32	reserved;
};

#define VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP	4

/* SET, no data: the device stays awake. May itself signal the wakeup eventfd. */
#define VFIO_DEVICE_FEATURE_LOW_POWER_EXIT	5

/* ---- Bus mastering ---- */

/**
 * struct vfio_device_feature_bus_master - SET of VFIO_DEVICE_FEATURE_BUS_MASTER
 * @op: in: VFIO_DEVICE_FEATURE_CLEAR_MASTER: the device does no DMA and sends
 *	no MSI. VFIO_DEVICE_FEATURE_SET_MASTER: it may.
 *
 * The same as the bit in the command register.
 */
struct vfio_device_feature_bus_master {
	__u32 op;
#define VFIO_DEVICE_FEATURE_CLEAR_MASTER	0
#define VFIO_DEVICE_FEATURE_SET_MASTER		1
};

#define VFIO_DEVICE_FEATURE_BUS_MASTER	10

/* ---- Logging of DMA by the device ---- */

/**
 * struct vfio_device_feature_dma_logging_control - SET of VFIO_DEVICE_FEATURE_DMA_LOGGING_START
 * @page_size: in: number of bytes that one bit of the log should represent.
 *	out: number of bytes that it does represent
 * @num_ranges: in: entries at @ranges; as many as fit a page always work
 * @__reserved: in: 0
 * @ranges: in: address of an array of
 *	&struct vfio_device_feature_dma_logging_range
 *
 * The device logs its writes within the ranges, until
 * VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP. Starting twice fails.
 */
struct vfio_device_feature_dma_logging_control {
	__aligned_u64	page_size;
	__u32		num_ranges;
	__u32		__reserved;
	__aligned_u64	ranges;
};

/**
 * struct vfio_device_feature_dma_logging_range - a range of I/O addresses
 * @iova: its first byte
 * @length: bytes
 */
struct vfio_device_feature_dma_logging_range {
	__aligned_u64	iova;
	__aligned_u64	length;
};

#define VFIO_DEVICE_FEATURE_DMA_LOGGING_START	6

/* SET, no data. */
#define VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP	7

/**
 * struct vfio_device_feature_dma_logging_report - GET of VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT
 * @iova: in: first I/O address asked for
 * @length: in: bytes asked for
 * @page_size: in: number of bytes that one bit of @bitmap represents, a power
 *	of two, 4096 or more
 * @bitmap: in: address of an array of __u64; page n of the range is bit n % 64
 *	of element n / 64
 *
 * Sets the bits of pages that were written, clears none, and forgets the writes
 * that it has reported. After an error the log is useless: treat all pages as
 * written.
 */
struct vfio_device_feature_dma_logging_report {
	__aligned_u64	iova;
	__aligned_u64	length;
	__aligned_u64	page_size;
	__aligned_u64	bitmap;
};

#define VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT	8

/* ---- DMA-bufs ---- */

/**
 * struct vfio_region_dma_range - part of a region
 * @offset: bytes from the start of the region, a multiple of the page size
 * @length: bytes, a multiple of the page size
 */
struct vfio_region_dma_range {
	__u64	offset;
	__u64	length;
};

/**
 * struct vfio_device_feature_dma_buf - GET of VFIO_DEVICE_FEATURE_DMA_BUF
 * @region_index: in: a memory BAR
 * @open_flags: in: access mode and O_CLOEXEC, as for open()
 * @flags: in: 0
 * @nr_ranges: in: entries of @dma_ranges
 * @dma_ranges: in: the parts that make up the buffer, one after the other
 *
 * Makes a DMA-buf of a BAR, so that other devices can access the BAR. The ioctl
 * returns the DMA-buf's file descriptor instead of 0.
 */
struct vfio_device_feature_dma_buf {
	__u32	region_index;
	__u32	open_flags;
	__u32	flags;
	__u32	nr_ranges;
	struct vfio_region_dma_range dma_ranges[] __counted_by(nr_ranges);
};

#define VFIO_DEVICE_FEATURE_DMA_BUF	11

#endif /* _UAPIVFIO_H */
