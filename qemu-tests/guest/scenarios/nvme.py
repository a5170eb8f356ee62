# SPDX-License-Identifier: GPL-2.0
"""The main use case: a guest has the drive, and keeps it across resets."""

from lib import drive
from lib.guest import guest_config
from lib.host import open_files
from lib.pci_config import COMMAND_MASTER, COMMAND_MEMORY
from lib.tap import check, check_equal, step
from scenarios.base import GuestScenario

SIZE = 8 * drive.MIB


class Nvme(GuestScenario):
    name = "nvme"
    machines = ("x86", "arm64")
    wanted = (drive.IDS,)

    def write(self, offset):
        """Write, and check from outside, and by interrupts, what arrives."""
        device = self.devices[0]
        before, _ = device.interrupts()
        transfer = drive.write_random_data(self.guest, offset, SIZE)
        after, _ = device.interrupts()
        drive.check_interrupts(transfer)
        check(after > before, "the host has received no interrupts from the drive")
        drive.check_image(offset, transfer)
        return transfer

    def check_still_there(self, offset, transfer):
        found = drive.read_data(self.guest, offset, SIZE)
        check_equal("SHA-256 of the data read by the guest", found.sha256, transfer.sha256)
        drive.check_interrupts(found)

    @step("a guest boots with the drive")
    def boot(self):
        self.boot_guest(cpus=2)

    @step("QEMU holds the device node and iommufd, and no group")
    def way_in(self):
        names = [name for name in open_files(self.guest.process.pid)
                 if name.startswith(("/dev/vfio", "/dev/iommu"))]
        check_equal("open files", sorted(set(names)),
                    ["/dev/iommu", str(self.devices[0].node)])

    @step("the guest sees the same device as the host")
    def same_device(self):
        drive.wait_present(self.guest)
        host = self.devices[0].config
        guest = guest_config(self.guest, drive.IDS)
        check_equal("revision and class", f"{guest.revision_and_class:#x}",
                    f"{host.revision_and_class:#x}")
        check_equal("MSI-X vectors", guest.msix_vectors, drive.VECTORS)
        check_equal("link speed and width", guest.link, host.link)
        check_equal("function-level reset", guest.has_flr, host.has_flr)

    @step("it is in D0, with bus mastering and MSI-X enabled, in the guest and in hardware")
    def running(self):
        enabled = COMMAND_MEMORY | COMMAND_MASTER
        for where, config in (("guest", guest_config(self.guest, drive.IDS)),
                              ("host", self.devices[0].config)):
            check_equal(f"power state ({where})", config.power_state, 0)
            check_equal(f"command ({where})", config.command & enabled, enabled)
            check(config.msix_enabled, f"MSI-X is off ({where})")

    @step("random data that the guest writes is in the image")
    def first_write(self):
        self.first = self.write(0)

    @step("the guest reads it back")
    def read_back(self):
        self.check_still_there(0, self.first)

    @step("the guest reboots and repeats this with other data")
    def after_reboot(self):
        self.guest.reboot()
        self.second = self.write(SIZE)
        check(self.first.sha256 != self.second.sha256, "the same data twice")
        self.check_still_there(0, self.first)

    @step("the machine is reset during I/O, and the guest repeats this")
    def after_reset(self):
        drive.start_endless_writes(self.guest, 4 * SIZE, drive.MIB)
        self.wait_busy(self.devices[0])
        self.guest.reset()
        self.third = self.write(0)
        self.check_still_there(SIZE, self.second)

    @step("it powers off, and nothing is left behind")
    def power_off(self):
        self.guest.power_off()
        self.check_off()
        drive.check_image(0, self.third)
        drive.check_image(SIZE, self.second)
