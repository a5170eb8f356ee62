# SPDX-License-Identifier: GPL-2.0
"""Two devices in one guest: the NIC transfers packets, and the drive is not affected."""

from lib import drive, nic
from lib.guest import guest_config
from lib.tap import check_equal, step
from scenarios.base import GuestScenario

UPLOAD = 4 * drive.MIB


class TwoDevices(GuestScenario):
    name = "two-devices"
    wanted = (drive.IDS, nic.IDS)

    @step("a guest boots with the drive and the NIC")
    def boot(self):
        self.boot_guest()
        drive.wait_present(self.guest)

    @step("the NIC gets its address by DHCP, and pings are answered")
    def network(self):
        address = nic.configure(self.guest)
        check_equal("address", address, "10.0.2.15")
        nic.ping(self.guest, 5)

    @step("the guest sees the same NIC as the host, with MSI-X enabled")
    def same_nic(self):
        host = self.devices[1].config
        guest = guest_config(self.guest, nic.IDS)
        check_equal("revision and class", f"{guest.revision_and_class:#x}",
                    f"{host.revision_and_class:#x}")
        check_equal("MSI-X vectors", guest.msix_vectors, host.msix_vectors)
        check_equal("MSI-X on (guest, host)", (guest.msix_enabled, host.msix_enabled),
                    (True, True))
        check_equal("link speed and width", guest.link, host.link)

    @step("a file is received, with the right SHA-256")
    def download(self):
        nic.download(self.guest)

    @step("random data is sent and echoed while the drive writes")
    def upload(self):
        drive.start_endless_writes(self.guest, 32 * drive.MIB, drive.MIB)
        self.wait_busy(self.devices[0])
        nic.upload(self.guest, UPLOAD)
        self.wait_busy(self.devices[0])

    @step("all of it went over the NIC itself, by interrupts")
    def wire(self):
        size = UPLOAD + nic.DOWNLOAD.stat().st_size
        nic.check_wire(self.guest, UPLOAD, size)

    @step("the guest powers off, and nothing is left behind")
    def power_off(self):
        self.guest.power_off()
        self.check_off()
