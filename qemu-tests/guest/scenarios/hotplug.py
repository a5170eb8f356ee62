# SPDX-License-Identifier: GPL-2.0
"""Devices that are plugged and unplugged while the guest runs, by QEMU and by the host."""

from lib import drive
from lib.host import check_clean, release_grace
from lib.tap import check_equal, step
from scenarios.base import GuestScenario

SIZE = 2 * drive.MIB


class Hotplug(GuestScenario):
    name = "hotplug"
    wanted = (drive.IDS,)

    def plug_and_write(self, offset):
        self.guest.plug(self.devices[0], 0)
        transfer = drive.write_random_data(self.guest, offset, SIZE)
        drive.check_interrupts(transfer)
        drive.check_image(offset, transfer)
        return transfer

    def check_gone(self):
        """Neither the guest nor QEMU, which still runs, has it any more."""
        drive.wait_absent(self.guest)
        check_clean()
        self.guest.check_alive()

    @step("the drive is plugged into a running guest, and does I/O")
    def plug(self):
        self.warm_guest()
        self.first = self.plug_and_write(0)

    @step("it is unplugged, and unused")
    def unplug(self):
        self.guest.unplug(0)
        self.check_gone()

    @step("it is plugged in again, does I/O, and still has the data")
    def plug_again(self):
        self.second = self.plug_and_write(SIZE)
        found = drive.read_data(self.guest, 0, SIZE)
        check_equal("SHA-256 of the data read by the guest", found.sha256, self.first.sha256)

    @step("the host unbinds it from the driver during I/O, and QEMU releases it")
    def unbind(self):
        device = self.devices[0]
        drive.start_endless_writes(self.guest, 32 * drive.MIB, drive.MIB)
        self.wait_busy(device)
        with release_grace():
            unbinding = self.start_unbinding(device)
            self.guest.wait_unplugged(0)
            self.wait_unbound(device, unbinding)
        self.check_gone()

    @step("the host's own driver takes it, and reads the guest's data")
    def host_driver(self):
        drive.check_on_host(self.devices[0], SIZE, self.second)

    @step("it goes back to the guest, and does I/O")
    def plug_back(self):
        self.assign()
        self.plug_and_write(2 * SIZE)

    @step("the guest powers off, and nothing is left behind")
    def power_off(self):
        self.guest.power_off()
        self.check_off()
