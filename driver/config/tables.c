// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who owns each bit of config space: one row for each register that is more than a read-only
 * hardware register, one row for each capability of PCI 3.0, PCI-X 2.0 and PCIe r6.2.
 *
 * Holes, which no capability claims, can be read and written in the hardware: devices have
 * registers there, and the function's isolation has to cope with their effects anyway, as it does
 * for BARs.
 *
 * Differences from the in-tree vfio-pci that a user can see:
 * - A hidden capability whose length is given here is read only; in-tree, it is a hole. The length
 *   is given for capabilities that the host continues to use, such as PASID.
 * - Enhanced allocation (EA) is one of them: by writing to it, the user could move BARs.
 * - MSI message control: only enable and multiple message enable can be written, and the latter up
 *   to what the function supports, before vectors are set up. In-tree, every bit can be written,
 *   and multiple message enable is limited to what was set up last.
 * - AER: uncorrectable error bits 26 to 31 (PCIe r6.2 7.8.4.2) can be written, too.
 * - Power budgeting: the data select register can be written; in-tree, the read-only data register.
 * - Writes of the whole dword never clear RW1C bits of status and device status.
 * - A list that loops, or points into the header, is cut at that point, and the reserved bits of
 *   its pointers read 0.
 * - IDs and list pointers of vendor-specific capabilities are not written to the hardware, where
 *   they are read only anyway.
 */
#include <linux/bitfield.h>

#include "tables.h"

#define SHOW(_len)	.kind = VFIO_PCI_CAP_SHOWN, .len = (_len)
#define SHOW_FN(_fn)	.kind = VFIO_PCI_CAP_SHOWN, .length = (_fn)
#define HIDE(_len)	.kind = VFIO_PCI_CAP_HIDDEN, .len = (_len)
#define HIDE_FN(_fn)	.kind = VFIO_PCI_CAP_HIDDEN, .length = (_fn)
#define HOLE		.kind = VFIO_PCI_CAP_HIDDEN

/* Returns all ones if the device does not answer, like any config read */
static u32 hw32(struct pci_dev *pdev, unsigned int pos)
{
	u32 val;

	pci_read_config_dword(pdev, pos, &val);
	return val;
}

/* PCIe r6.2 7.5.1. The BARs are laid by access.c, according to their sizes. */
static const struct vfio_pci_field header_fields[] = {
	/* VFs have all ones there (PCIe r6.2 9.3.4.1.1). */
	{ PCI_VENDOR_ID, 2, .virt = 0xffff },
	{ PCI_DEVICE_ID, 2, .virt = 0xffff },
	/* We mask with the hardware's INTx disable. The user's is emulated. */
	{
		PCI_COMMAND, 2, .virt = PCI_COMMAND_INTX_DISABLE, .write = 0xffff,
		.zero = PCI_COMMAND_INTX_DISABLE,
	},
	{ PCI_STATUS, 2, .virt = PCI_STATUS_CAP_LIST },
	{ PCI_CACHE_LINE_SIZE, 1, .write = 0xff },
	{ PCI_LATENCY_TIMER, 1, .write = 0xff },
	{ PCI_BIST, 1, .write = 0xff },
	{ PCI_CAPABILITY_LIST, 1, .virt = 0xff },
	{ PCI_INTERRUPT_LINE, 1, .virt = 0xff, .write = 0xff },
	{ PCI_INTERRUPT_PIN, 1, .virt = 0xff },
	{}
};

const struct vfio_pci_cap vfio_pci_config_header = {
	SHOW(PCI_STD_HEADER_SIZEOF), .fields = header_fields, .effect = &vfio_pci_effect_command,
};

/*
 * PCIe r6.2 7.5.2. PME goes to the host, so it is hidden from the user. When the user writes the
 * power state, the PCI core changes it. The upper half has registers of bridges, and data, which is
 * read only.
 */
static const struct vfio_pci_field pm_fields[] = {
	{ PCI_PM_PMC, 2, .virt = PCI_PM_CAP_PME_MASK, .zero = PCI_PM_CAP_PME_MASK },
	{
		PCI_PM_CTRL, 4,
		.virt = PCI_PM_CTRL_PME_ENABLE | PCI_PM_CTRL_PME_STATUS,
		.write = ~(u32)(PCI_PM_CTRL_PME_ENABLE | PCI_PM_CTRL_PME_STATUS |
				PCI_PM_CTRL_STATE_MASK),
		.zero = PCI_PM_CTRL_PME_ENABLE | PCI_PM_CTRL_PME_STATUS,
	},
	{}
};

/* PCIe r6.2 7.9.18. The registers are shared with sysfs, through the PCI core. */
static const struct vfio_pci_field vpd_fields[] = {
	{ PCI_VPD_ADDR, 2, .virt = 0xffff, .write = 0xffff },
	{ PCI_VPD_DATA, 4, .virt = ~0, .write = ~0 },
	{}
};

/*
 * PCIe r6.2 7.7.1. Address and data belong to the host; what the user writes there stays in the
 * shadow. Fields past the end of a shorter layout are not laid.
 */
static const struct vfio_pci_field msi_fields_32[] = {
	{
		PCI_MSI_FLAGS, 1, .virt = 0xff,
		.write = PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE, .zero = PCI_MSI_FLAGS_ENABLE,
	},
	{ PCI_MSI_ADDRESS_LO, 4, .virt = ~0, .write = ~0 },
	{ PCI_MSI_DATA_32, 2, .virt = 0xffff, .write = 0xffff },
	{ PCI_MSI_MASK_32, 4, .write = ~0 },
	{}
};

static const struct vfio_pci_field msi_fields_64[] = {
	{
		PCI_MSI_FLAGS, 1, .virt = 0xff,
		.write = PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE, .zero = PCI_MSI_FLAGS_ENABLE,
	},
	{ PCI_MSI_ADDRESS_LO, 4, .virt = ~0, .write = ~0 },
	{ PCI_MSI_ADDRESS_HI, 4, .virt = ~0, .write = ~0 },
	{ PCI_MSI_DATA_64, 2, .virt = 0xffff, .write = 0xffff },
	{ PCI_MSI_MASK_64, 4, .write = ~0 },
	{}
};

static unsigned int msi_len(struct pci_dev *pdev, unsigned int pos)
{
	u16 flags = hw32(pdev, pos) >> 16;
	unsigned int len = PCI_MSI_DATA_32 + 2;

	if (flags & PCI_MSI_FLAGS_64BIT)
		len += 4;
	/* Mask and pending, and two reserved bytes that align them */
	if (flags & PCI_MSI_FLAGS_MASKBIT)
		len += 10;
	return len;
}

static const struct vfio_pci_cap msi_cap_64 = {
	SHOW_FN(msi_len), .fields = msi_fields_64, .effect = &vfio_pci_effect_msi,
};

/* PCI-X 2.0 7.2 */
static const struct vfio_pci_field pcix_fields[] = {
	{ PCI_X_CMD, 2, .write = 0xffff },
	{ PCI_X_ECC_CSR, 4, .write = ~0 },
	{}
};

static unsigned int pcix_len(struct pci_dev *pdev, unsigned int pos)
{
	return PCI_X_CMD_VERSION(hw32(pdev, pos) >> 16) ? PCI_CAP_PCIX_SIZEOF_V2 :
							  PCI_CAP_PCIX_SIZEOF_V0;
}

/*
 * PCIe r6.2 7.5.3. The user has no control over phantom functions, which the IOMMU does not know;
 * the payload size, which all devices of a hierarchy must agree on; and ARI forwarding. A write to
 * the read request size is passed on, but not below the payload size. FLR makes the PCI core reset
 * the function.
 */
static const struct vfio_pci_field exp_fields[] = {
	{
		PCI_EXP_DEVCTL, 2,
		.virt = PCI_EXP_DEVCTL_BCR_FLR | PCI_EXP_DEVCTL_PAYLOAD | PCI_EXP_DEVCTL_READRQ,
		.write = 0xffff & ~(PCI_EXP_DEVCTL_PHANTOM | PCI_EXP_DEVCTL_BCR_FLR),
		.zero = PCI_EXP_DEVCTL_BCR_FLR,
	},
	{ PCI_EXP_DEVCTL2, 2, .write = 0xffff & ~PCI_EXP_DEVCTL2_ARI },
	{}
};

static unsigned int exp_len(struct pci_dev *pdev, unsigned int pos)
{
	u16 flags = hw32(pdev, pos) >> 16;
	bool link = FIELD_GET(PCI_EXP_FLAGS_TYPE, flags) != PCI_EXP_TYPE_RC_END;

	if (FIELD_GET(PCI_EXP_FLAGS_VERS, flags) == 1)
		return link ? PCI_CAP_EXP_ENDPOINT_SIZEOF_V1 : PCI_CAP_EXP_RC_ENDPOINT_SIZEOF_V1;
	return link ? PCI_CAP_EXP_ENDPOINT_SIZEOF_V2 : PCI_CAP_EXP_RC_ENDPOINT_SIZEOF_V2;
}

/* PCI 3.0 ECN "Advanced Capabilities" */
static const struct vfio_pci_field af_fields[] = {
	{ PCI_AF_CTRL, 1, .virt = PCI_AF_CTRL_FLR, .zero = PCI_AF_CTRL_FLR },
	{}
};

/* HyperTransport 3.1 7.1 */
static unsigned int ht_len(struct pci_dev *pdev, unsigned int pos)
{
	return hw32(pdev, pos) >> 24 & HT_3BIT_CAP_MASK ? HT_CAP_SIZEOF_SHORT : HT_CAP_SIZEOF_LONG;
}

static unsigned int vndr_len(struct pci_dev *pdev, unsigned int pos)
{
	return hw32(pdev, pos) >> 16 & 0xff;
}

static unsigned int sata_len(struct pci_dev *pdev, unsigned int pos)
{
	return (hw32(pdev, pos + PCI_SATA_REGS) & PCI_SATA_REGS_MASK) == PCI_SATA_REGS_INLINE ?
	       PCI_SATA_SIZEOF_LONG : PCI_SATA_SIZEOF_SHORT;
}

/* PCIe r6.2 7.8.5: each entry has one dword, and as many more as its lowest bits say. */
static unsigned int ea_len(struct pci_dev *pdev, unsigned int pos)
{
	unsigned int nr = hw32(pdev, pos) >> 16 & PCI_EA_NUM_ENT_MASK;
	unsigned int len = PCI_EA_FIRST_ENT;

	for (; nr && pos + len < PCI_CFG_SPACE_SIZE; nr--)
		len += 4 + 4 * FIELD_GET(PCI_EA_ES, hw32(pdev, pos + len));
	return len;
}

static const struct vfio_pci_cap caps[PCI_CAP_ID_MAX + 1] = {
	/* The null capability: just a pointer */
	[0]			= { HOLE },
	[PCI_CAP_ID_PM]		= {
		SHOW(PCI_PM_SIZEOF), .fields = pm_fields, .effect = &vfio_pci_effect_pm,
	},
	[PCI_CAP_ID_AGP]	= { SHOW(PCI_AGP_SIZEOF) },
	[PCI_CAP_ID_VPD]	= {
		SHOW(PCI_CAP_VPD_SIZEOF), .fields = vpd_fields, .effect = &vfio_pci_effect_vpd,
	},
	[PCI_CAP_ID_SLOTID]	= { HOLE },	/* bridges */
	[PCI_CAP_ID_MSI]	= {
		SHOW_FN(msi_len), .fields = msi_fields_32, .effect = &vfio_pci_effect_msi,
	},
	[PCI_CAP_ID_CHSWP]	= { HOLE },	/* the slot's */
	[PCI_CAP_ID_PCIX]	= { SHOW_FN(pcix_len), .fields = pcix_fields },
	[PCI_CAP_ID_HT]		= { SHOW_FN(ht_len) },
	[PCI_CAP_ID_VNDR]	= { SHOW_FN(vndr_len), .raw = true },
	[PCI_CAP_ID_DBG]	= { HOLE },	/* a pointer to registers in a BAR */
	[PCI_CAP_ID_CCRC]	= { HOLE },	/* the chassis's */
	[PCI_CAP_ID_SHPC]	= { HOLE },	/* bridges */
	[PCI_CAP_ID_SSVID]	= { HOLE },	/* bridges */
	[PCI_CAP_ID_AGP3]	= { HOLE },	/* bridges */
	[PCI_CAP_ID_SECDEV]	= { HOLE },	/* IOMMUs */
	[PCI_CAP_ID_EXP]	= {
		SHOW_FN(exp_len), .fields = exp_fields, .effect = &vfio_pci_effect_exp,
	},
	/* Enabled and masked by the interrupt ioctls */
	[PCI_CAP_ID_MSIX]	= { SHOW(PCI_CAP_MSIX_SIZEOF) },
	[PCI_CAP_ID_SATA]	= { SHOW_FN(sata_len) },
	[PCI_CAP_ID_AF]		= {
		SHOW(PCI_CAP_AF_SIZEOF), .fields = af_fields, .effect = &vfio_pci_effect_af,
	},
	[PCI_CAP_ID_EA]		= { HIDE_FN(ea_len) },
};

/* PCIe r6.2 7.8.4. The registers of root ports, and what follows them, are a hole. */
#define AER_UNC		0xfffff031
#define AER_COR		0x0000f1c1

static const struct vfio_pci_field aer_fields[] = {
	{ PCI_ERR_UNCOR_STATUS, 4, .write = AER_UNC },
	{ PCI_ERR_UNCOR_MASK, 4, .write = AER_UNC },
	{ PCI_ERR_UNCOR_SEVER, 4, .write = AER_UNC },
	{ PCI_ERR_COR_STATUS, 4, .write = AER_COR },
	{ PCI_ERR_COR_MASK, 4, .write = AER_COR },
	{ PCI_ERR_CAP, 4, .write = PCI_ERR_CAP_ECRC_GENE | PCI_ERR_CAP_ECRC_CHKE },
	{}
};

/* PCIe r6.2 7.8.1 */
static const struct vfio_pci_field pwr_fields[] = {
	{ PCI_PWR_DSR, 1, .write = 0xff },
	{}
};

/* PCIe r6.2 7.9.1: the registers of each virtual channel, and the table of VC arbitration */
static unsigned int vc_len(struct pci_dev *pdev, unsigned int pos)
{
	u32 arb = hw32(pdev, pos + PCI_VC_PORT_CAP2);
	unsigned int len = PCI_CAP_VC_BASE_SIZEOF, phases = 0;

	len += PCI_CAP_VC_PER_VC_SIZEOF *
	       (1 + FIELD_GET(PCI_VC_CAP1_EVCC, hw32(pdev, pos + PCI_VC_PORT_CAP1)));

	if (arb & PCI_VC_CAP2_128_PHASE)
		phases = 128;
	else if (arb & PCI_VC_CAP2_64_PHASE)
		phases = 64;
	else if (arb & PCI_VC_CAP2_32_PHASE)
		phases = 32;

	/* four bits each */
	return phases ? round_up(len, 16) + phases / 2 : len;
}

/* At the same offset in VSEC and DVSEC: PCIe r6.2 7.9.5.2, 7.9.6.2 */
static unsigned int vsec_len(struct pci_dev *pdev, unsigned int pos)
{
	return PCI_VNDR_HEADER_LEN(hw32(pdev, pos + PCI_VNDR_HEADER));
}

/* PCIe r6.2 7.7.11: the egress control vector has that many bits, where 0 means 256. */
static unsigned int acs_len(struct pci_dev *pdev, unsigned int pos)
{
	u32 cap = hw32(pdev, pos + PCI_ACS_CAP);

	if (!(cap & PCI_ACS_EC))
		return PCI_ACS_EGRESS_CTL_V;
	return PCI_ACS_EGRESS_CTL_V + (round_up(cap >> 8 & 0xff, 32) ?: 256) / 8;
}

static unsigned int rebar_len(struct pci_dev *pdev, unsigned int pos)
{
	return 4 + 8 * FIELD_GET(PCI_REBAR_CTRL_NBAR_MASK, hw32(pdev, pos + PCI_REBAR_CTRL));
}

static unsigned int dpa_len(struct pci_dev *pdev, unsigned int pos)
{
	return PCI_DPA_BASE_SIZEOF + 1 +
	       FIELD_GET(PCI_DPA_CAP_SUBSTATE_MASK, hw32(pdev, pos + PCI_DPA_CAP));
}

static unsigned int tph_len(struct pci_dev *pdev, unsigned int pos)
{
	u32 cap = hw32(pdev, pos + PCI_TPH_CAP);

	if ((cap & PCI_TPH_CAP_LOC_MASK) != PCI_TPH_LOC_CAP)
		return PCI_TPH_BASE_SIZEOF;
	return PCI_TPH_BASE_SIZEOF + 2 + 2 * FIELD_GET(PCI_TPH_CAP_ST_MASK, cap);
}

/* PCIe r6.2 7.9.26: a block for each traffic class of link streams, then for each selective one */
static unsigned int ide_len(struct pci_dev *pdev, unsigned int pos)
{
	u32 cap = hw32(pdev, pos + PCI_IDE_CAP);
	unsigned int len = PCI_IDE_LINK_STREAM_0, nr = 0;

	if (cap & PCI_IDE_CAP_LINK)
		len += PCI_IDE_LINK_BLOCK_SIZE * (1 + FIELD_GET(PCI_IDE_CAP_LINK_TC_NUM, cap));
	if (cap & PCI_IDE_CAP_SELECTIVE)
		nr = 1 + FIELD_GET(PCI_IDE_CAP_SEL_NUM, cap);
	for (; nr && pos + len < PCI_CFG_SPACE_EXP_SIZE; nr--)
		len += PCI_IDE_SEL_BLOCK_SIZE(FIELD_GET(PCI_IDE_SEL_CAP_ASSOC_NUM,
							hw32(pdev, pos + len)));
	return len;
}

static const struct vfio_pci_cap ext_caps[VFIO_PCI_EXT_CAP_MAX + 1] = {
	[0]			 = { HOLE },	/* null */
	[PCI_EXT_CAP_ID_ERR]	 = { SHOW(PCI_ERR_ROOT_COMMAND), .fields = aer_fields },
	[PCI_EXT_CAP_ID_VC]	 = { SHOW_FN(vc_len) },
	[PCI_EXT_CAP_ID_DSN]	 = { SHOW(PCI_EXT_CAP_DSN_SIZEOF) },
	[PCI_EXT_CAP_ID_PWR]	 = { SHOW(PCI_EXT_CAP_PWR_SIZEOF), .fields = pwr_fields },
	[PCI_EXT_CAP_ID_RCLD]	 = { HOLE },	/* root complexes */
	[PCI_EXT_CAP_ID_RCILC]	 = { HOLE },	/* root complexes */
	[PCI_EXT_CAP_ID_RCEC]	 = { HOLE },	/* root complexes */
	[PCI_EXT_CAP_ID_MFVC]	 = { SHOW_FN(vc_len) },
	[PCI_EXT_CAP_ID_VC9]	 = { SHOW_FN(vc_len) },
	[PCI_EXT_CAP_ID_RCRB]	 = { HOLE },	/* root complexes */
	[PCI_EXT_CAP_ID_VNDR]	 = { SHOW_FN(vsec_len), .raw = true },
	[PCI_EXT_CAP_ID_CAC]	 = { HOLE },	/* obsolete */
	[PCI_EXT_CAP_ID_ACS]	 = { SHOW_FN(acs_len) },
	[PCI_EXT_CAP_ID_ARI]	 = { SHOW(PCI_EXT_CAP_ARI_SIZEOF) },
	[PCI_EXT_CAP_ID_ATS]	 = { SHOW(PCI_EXT_CAP_ATS_SIZEOF) },
	[PCI_EXT_CAP_ID_SRIOV]	 = { SHOW(PCI_EXT_CAP_SRIOV_SIZEOF) },
	[PCI_EXT_CAP_ID_MRIOV]	 = { HOLE },	/* obsolete */
	[PCI_EXT_CAP_ID_MCAST]	 = { SHOW(PCI_EXT_CAP_MCAST_ENDPOINT_SIZEOF) },
	[PCI_EXT_CAP_ID_PRI]	 = { SHOW(PCI_EXT_CAP_PRI_SIZEOF) },
	[PCI_EXT_CAP_ID_AMD_XXX] = { HOLE },
	[PCI_EXT_CAP_ID_REBAR]	 = { SHOW_FN(rebar_len) },
	[PCI_EXT_CAP_ID_DPA]	 = { SHOW_FN(dpa_len) },
	[PCI_EXT_CAP_ID_TPH]	 = { SHOW_FN(tph_len) },
	[PCI_EXT_CAP_ID_LTR]	 = { SHOW(PCI_EXT_CAP_LTR_SIZEOF) },
	[PCI_EXT_CAP_ID_SECPCI]	 = { HOLE },	/* the link's */
	[PCI_EXT_CAP_ID_PMUX]	 = { HOLE },	/* the link's */
	[PCI_EXT_CAP_ID_PASID]	 = { HIDE(PCI_EXT_CAP_PASID_SIZEOF) },
	[0x1c]			 = { HOLE },	/* lightweight notification, obsolete */
	[PCI_EXT_CAP_ID_DPC]	 = { HOLE },	/* ports */
	/* The host sets up both ends of the link together. */
	[PCI_EXT_CAP_ID_L1SS]	 = { HIDE(PCI_L1SS_CTL2 + 4) },
	[PCI_EXT_CAP_ID_PTM]	 = { HIDE(PCI_PTM_CTRL + 4) },
	[0x20]			 = { HOLE },	/* M-PCIe, obsolete */
	[0x21]			 = { HOLE },	/* FRS queueing: root ports */
	[0x22]			 = { HOLE },	/* readiness time reporting */
	[PCI_EXT_CAP_ID_DVSEC]	 = { SHOW_FN(vsec_len), .raw = true },
	/* Would move the BARs of all VFs */
	[PCI_EXT_CAP_ID_VF_REBAR] = { HIDE_FN(rebar_len) },
	[PCI_EXT_CAP_ID_DLF]	 = { HOLE },	/* the link's */
	[PCI_EXT_CAP_ID_PL_16GT] = { HOLE },	/* the link's */
	[0x27]			 = { HOLE },	/* lane margining: the link's */
	[0x28]			 = { HOLE },	/* hierarchy ID */
	/* The host controls the LEDs of the enclosure. */
	[PCI_EXT_CAP_ID_NPEM]	 = { HIDE(PCI_NPEM_STATUS + 4) },
	[PCI_EXT_CAP_ID_PL_32GT] = { HOLE },	/* the link's */
	[0x2b]			 = { HOLE },	/* alternate protocol: the link's */
	[0x2c]			 = { HOLE },	/* system firmware intermediary: ports */
	[0x2d]			 = { HOLE },	/* shadow functions */
	/* The PCI core uses the mailbox for SPDM. */
	[PCI_EXT_CAP_ID_DOE]	 = { HIDE(PCI_DOE_CAP_SIZEOF) },
	[PCI_EXT_CAP_ID_DEV3]	 = { HOLE },
	/* The host sets up the streams at both ends. */
	[PCI_EXT_CAP_ID_IDE]	 = { HIDE_FN(ide_len) },
	[PCI_EXT_CAP_ID_PL_64GT] = { HOLE },	/* the link's */
	[0x32]			 = { HOLE },	/* flit logging: the link's */
	[0x33]			 = { HOLE },	/* flit performance: the link's */
	[0x34]			 = { HOLE },	/* flit error injection: the link's */
	[0x35]			 = { HOLE },	/* streamlined virtual channel */
	[0x36]			 = { HOLE },	/* MMIO register block locator */
	[0x37]			 = { HOLE },	/* NOP flit: the link's */
	[0x38]			 = { HOLE },	/* scalable I/O virtualization */
};

/* Fails if the header of a newer kernel has more capabilities than these tables. */
static_assert(VFIO_PCI_EXT_CAP_MAX >= PCI_EXT_CAP_ID_MAX);

/**
 * vfio_pci_config_cap - find a capability in the tables
 * @header: the first dword of the capability
 *
 * Return: its row, or NULL for an ID that PCI does not define
 */
const struct vfio_pci_cap *vfio_pci_config_cap(u32 header)
{
	u8 id = header & PCI_CAP_ID_MASK;

	/* There are two layouts: the offset of data and mask depends on the size of the address. */
	if (id == PCI_CAP_ID_MSI && header >> 16 & PCI_MSI_FLAGS_64BIT)
		return &msi_cap_64;
	return id < ARRAY_SIZE(caps) ? &caps[id] : NULL;
}

/**
 * vfio_pci_config_ext_cap - find an extended capability in the tables
 * @header: the first dword of the capability
 *
 * Return: its row, or NULL for an ID that PCIe r6.2 does not define
 */
const struct vfio_pci_cap *vfio_pci_config_ext_cap(u32 header)
{
	u16 id = PCI_EXT_CAP_ID(header);

	return id < ARRAY_SIZE(ext_caps) ? &ext_caps[id] : NULL;
}
