# SPDX-License-Identifier: GPL-2.0
"""The contents of a device's config space, read on the host or in a guest."""

import struct

CAP_PM = 0x01
CAP_PCIE = 0x10
CAP_MSIX = 0x11
ECAP_PASID = 0x1b

COMMAND_MEMORY = 0x2
COMMAND_MASTER = 0x4


class PciConfig:
    def __init__(self, data):
        self.data = data
        self.caps = dict(self._walk_caps())
        self.ecaps = dict(self._walk_ecaps())

    def _walk_caps(self):
        at = self.byte(0x34) & ~3
        for _ in range(48):
            if not at:
                return
            yield self.byte(at), at
            at = self.byte(at + 1) & ~3

    def _walk_ecaps(self):
        at = 0x100 if len(self.data) > 0x100 else 0
        while at and self.long(at):
            yield self.word(at), at
            at = self.word(at + 2) >> 4

    def byte(self, at):
        return self.data[at]

    def word(self, at):
        return struct.unpack_from("<H", self.data, at)[0]

    def long(self, at):
        return struct.unpack_from("<I", self.data, at)[0]

    @property
    def ids(self):
        return f"{self.word(0):04x}:{self.word(2):04x}"

    @property
    def revision_and_class(self):
        return self.long(8)

    @property
    def command(self):
        return self.word(4)

    @property
    def msix_vectors(self):
        return (self.word(self.caps[CAP_MSIX] + 2) & 0x7ff) + 1

    @property
    def msix_enabled(self):
        return bool(self.word(self.caps[CAP_MSIX] + 2) & 0x8000)

    @property
    def has_flr(self):
        return bool(self.long(self.caps[CAP_PCIE] + 4) & 1 << 28)

    @property
    def link(self):
        """Current speed (1 is 2.5 GT/s, ...) and width of the link."""
        status = self.word(self.caps[CAP_PCIE] + 0x12)
        return status & 0xf, status >> 4 & 0x3f

    @property
    def power_state(self):
        return self.word(self.caps[CAP_PM] + 4) & 3
