# SPDX-License-Identifier: GPL-2.0
"""Peer-to-peer: one device of a guest does DMA to and from the BAR of another one. This works only
if QEMU gets a DMA-buf of the BAR, and maps it in the IOMMU."""

import re

from lib import peers
from lib.host import open_files
from lib.tap import check, check_equal, step
from scenarios.base import GuestScenario

SIZE = 4 << 12


class P2p(GuestScenario):
    name = "p2p"
    wanted = (peers.EDU_IDS, peers.SHMEM_IDS)

    def check_dma_bufs(self):
        """QEMU has DMA-bufs of all BARs, except for one smaller than a page, with a warning."""
        check(any(name.startswith("/dmabuf:") for name in open_files(self.guest.process.pid)),
              "QEMU has no DMA-buf")
        bars = re.findall(r"(BAR \d+): dma-buf unavailable", self.guest.messages)
        check_equal("BARs without a DMA-buf", set(bars), {"BAR 0"})

    @step("a guest boots with a DMA engine and a device with a large BAR")
    def boot(self):
        self.boot_guest()
        self.check_dma_bufs()

    @step("the DMA engine writes random data from the guest's memory into the BAR")
    def write(self):
        peers.write_random_data(self.guest, 3 << 12, SIZE)

    @step("it reads from the BAR what was written from outside")
    def read(self):
        peers.read_random_data(self.guest, 100 << 12, SIZE)

    @step("the device with the BAR is unplugged and plugged in again, and all of this still works")
    def plug_again(self):
        self.guest.unplug(1)
        self.guest.plug(self.devices[1], 1)
        peers.write_random_data(self.guest, 200 << 12, SIZE)
        peers.read_random_data(self.guest, 3 << 12, SIZE)
        self.check_dma_bufs()

    @step("the guest powers off, and nothing is left behind")
    def power_off(self):
        self.guest.power_off()
        self.check_off()
