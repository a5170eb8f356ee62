# SPDX-License-Identifier: GPL-2.0
"""A guest with an IOMMU of its own that supports PASIDs, and a device that does, too."""

from lib import peers
from lib.guest import guest_config
from lib.pci_config import ECAP_PASID
from lib.tap import check, check_equal, step
from scenarios.base import GuestScenario

SIZE = 4 << 12
# Where QEMU shows the capability to the guest; the driver hides it.
OFFSET = 0x800


class Pasid(GuestScenario):
    name = "pasid"
    machines = ("x86-nested",)
    wanted = (peers.EDU_IDS, peers.SHMEM_IDS)

    @step("a guest boots with a device that supports PASIDs, behind an IOMMU that does, too")
    def boot(self):
        self.boot_guest(iommu=True, words="iommu.passthrough=1",
                        options={"x-vpasid-cap-offset": OFFSET})

    @step("the guest sees the PASID capability, as wide as the host's, and has enabled it")
    def capability(self):
        host = self.devices[0].config
        guest = guest_config(self.guest, peers.EDU_IDS)
        check_equal("its offset in the guest", guest.ecaps.get(ECAP_PASID), OFFSET)
        check_equal("width", guest.word(OFFSET + 4) >> 8 & 0x1f,
                    host.word(host.ecaps[ECAP_PASID] + 4) >> 8 & 0x1f)
        check(guest.word(OFFSET + 6) & 1, "the guest has not enabled PASIDs")

    @step("a device without PASIDs has no such capability")
    def other(self):
        guest = guest_config(self.guest, peers.SHMEM_IDS)
        check_equal("its offset", guest.ecaps.get(ECAP_PASID), None)

    @step("both devices work, before and after a reboot")
    def work(self):
        peers.write_random_data(self.guest, 3 << 12, SIZE)
        self.guest.reboot()
        peers.write_random_data(self.guest, 100 << 12, SIZE)
        peers.read_random_data(self.guest, 200 << 12, SIZE)

    @step("the guest powers off, and nothing is left behind")
    def power_off(self):
        self.guest.power_off()
        self.check_off()
