// SPDX-License-Identifier: GPL-2.0-only
/* The capabilities in config space, by name. */
#include <pci/header.h>
#include <stddef.h>

#include "capability.h"
#include "util.h"

static const char *const names[] = {
	[0x01] = "power management", [0x02] = "AGP", [0x03] = "VPD", [0x04] = "slot",
	[0x05] = "MSI", [0x06] = "hot swap", [0x07] = "PCI-X", [0x08] = "HyperTransport",
	[0x09] = "vendor-specific", [0x0a] = "debug port", [0x0b] = "CompactPCI",
	[0x0c] = "hot plug", [0x0d] = "bridge's subsystem", [0x0e] = "AGP 8x", [0x0f] = "secure",
	[0x10] = "PCI Express", [0x11] = "MSI-X", [0x12] = "SATA", [0x13] = "advanced features",
	[0x14] = "enhanced allocation",
};

static const char *const extended_names[] = {
	[0x01] = "AER", [0x02] = "virtual channel", [0x03] = "serial number",
	[0x04] = "power budget", [0x05] = "root complex link", [0x06] = "root complex control",
	[0x07] = "root complex event collector", [0x08] = "multi-function virtual channel",
	[0x09] = "virtual channel", [0x0a] = "root complex registers", [0x0b] = "VSEC",
	[0x0d] = "ACS", [0x0e] = "ARI", [0x0f] = "ATS", [0x10] = "SR-IOV", [0x11] = "MR-IOV",
	[0x12] = "multicast", [0x13] = "page requests", [0x15] = "resizable BARs",
	[0x16] = "dynamic power", [0x17] = "TPH", [0x18] = "LTR", [0x19] = "secondary PCIe",
	[0x1a] = "PMUX", [0x1b] = "PASID", [0x1c] = "LN requester", [0x1d] = "DPC",
	[0x1e] = "L1 PM substates", [0x1f] = "PTM", [0x20] = "M-PCIe", [0x21] = "FRS",
	[0x22] = "readiness time", [0x23] = "DVSEC", [0x24] = "resizable BARs of VFs",
	[0x25] = "data link", [0x26] = "16 GT/s", [0x27] = "lane margining",
	[0x28] = "hierarchy ID", [0x29] = "NPEM", [0x2a] = "32 GT/s", [0x2b] = "alternate protocol",
	[0x2c] = "SFI", [0x2d] = "shadow functions", [0x2e] = "DOE", [0x2f] = "device 3",
	[0x30] = "IDE", [0x31] = "64 GT/s", [0x32] = "flit logging", [0x33] = "flit performance",
	[0x34] = "flit errors",
};

/**
 * capability_name - what it is called
 * @c: the capability
 *
 * Return: its name, or NULL
 */
const char *capability_name(const struct capability *c)
{
	const char *const *table = c->extended ? extended_names : names;
	size_t n = c->extended ? ARRAY_SIZE(extended_names) : ARRAY_SIZE(names);

	return c->id < n ? table[c->id] : NULL;
}

/**
 * capabilities - find them
 * @config: config space
 * @size: how much of it there is
 * @list: takes them, up to MAX_CAPABILITIES
 *
 * Return: how many there are. A list that has a loop ends somewhere.
 */
int capabilities(const uint8_t *config, int size, struct capability *list)
{
	int n = 0, at;

	if (size >= 64 && config[PCI_STATUS] & PCI_STATUS_CAP_LIST) {
		at = config[PCI_CAPABILITY_LIST] & ~3;
		while (at >= 64 && at + 1 < size && at < 256 && n < 48) {
			list[n++] = (struct capability){ .id = config[at] };
			at = config[at + 1] & ~3;
		}
	}
	at = 256;
	while (at >= 256 && at + 3 < size && n < MAX_CAPABILITIES) {
		uint32_t header = config[at] | config[at + 1] << 8 | config[at + 2] << 16 |
				  (uint32_t)config[at + 3] << 24;

		if (!header || header == 0xffffffff)
			break;
		/* Number 0: only a place to go on from */
		if (header & 0xffff)
			list[n++] = (struct capability){ .id = header & 0xffff, .extended = true };
		at = header >> 20 & ~3;
	}
	return n;
}
