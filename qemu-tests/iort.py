# SPDX-License-Identifier: GPL-2.0
"""The ACPI table that describes which devices are behind the SMMUv3 of an arm64 machine.

The one made by QEMU does not say that the root complex keeps writes coherent whatever
attributes they have in a guest's page table (CANWBS). Without that, Linux does not let
guests use the SMMU's first stage. The names are from Arm's DEN0049, "IO Remapping Table"."""

import struct

# Fixed in QEMU's machine "virt" ever since it has an SMMUv3.
SMMU_BASE = 0x09050000
SMMU_INTERRUPTS = (106, 107, 109, 108)  # events, PRI, global errors, sync
# Makes Linux replace QEMU's table with this one, which looks newer.
OEM_ID, OEM_TABLE_ID, OEM_REVISION = b"BOCHS ", b"BXPC    ", 2

ITS_GROUP, ROOT_COMPLEX, SMMU_V3 = 0, 2, 4
ALL_IDS = 0x10000
HEADER_SIZE, NODE_HEADER_SIZE = 48, 16

COHERENT = 1
CPM, DACS, CANWBS = 1, 2, 4
COHACC_OVERRIDE = 1


def node(kind, revision, identifier, data, output=None):
    """One node. Maps all its IDs one-to-one to the node at offset @output."""
    mapping = b"" if output is None else struct.pack("<5I", 0, ALL_IDS - 1, 0, output, 0)
    place = NODE_HEADER_SIZE + len(data)
    size = place + len(mapping)
    return struct.pack("<BHBIII", kind, size, revision, identifier, bool(mapping),
                       place if mapping else 0) + data + mapping


def table():
    """The table: the PCI root complex, the SMMU, the ITS."""
    its = node(ITS_GROUP, 1, 0, struct.pack("<II", 1, 0))
    smmu = node(SMMU_V3, 4, 1, struct.pack("<QIIQ7I", SMMU_BASE, COHACC_OVERRIDE, 0, 0, 0,
                                           *SMMU_INTERRUPTS, 0, 0), HEADER_SIZE)
    root = node(ROOT_COMPLEX, 3, 2, struct.pack(
        "<IBHBIIBHB", COHERENT, 0, 0, CPM | DACS | CANWBS, 0, 0, 64, 0, 0), HEADER_SIZE + len(its))
    nodes = its + smmu + root
    parts = [b"IORT", struct.pack("<IBB", HEADER_SIZE + len(nodes), 3, 0), OEM_ID, OEM_TABLE_ID,
             struct.pack("<I4sIIII", OEM_REVISION, b"BXPC", 1, 3, HEADER_SIZE, 0), nodes]
    data = bytearray(b"".join(parts))
    data[9] = -sum(data) & 0xff
    return bytes(data)
