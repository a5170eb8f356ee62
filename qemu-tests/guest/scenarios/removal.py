# SPDX-License-Identifier: GPL-2.0
"""The drive is removed from the machine while its guest does I/O."""

import os
import signal
import threading

from lib import drive
from lib.host import check_clean, release_grace
from lib.machine import Drive
from lib.tap import PATIENCE, Skip, check, check_equal, step
from scenarios.base import GuestScenario

SIZE = 2 * drive.MIB


class Removal(GuestScenario):
    name = "removal"
    wanted = (drive.IDS,)

    def __init__(self, thorough=False):
        super().__init__(thorough)
        self.drive = None

    def busy(self):
        drive.start_endless_writes(self.guest, 32 * drive.MIB, drive.MIB)
        self.wait_busy(self.devices[0])

    def pull_out(self):
        """Let the host turn the slot off in a thread, as it waits for the drive's user."""
        self.drive.pull()
        noticed = threading.Thread(target=self.drive.switch_off, daemon=True)
        noticed.start()
        return noticed

    @staticmethod
    def wait_switched_off(noticed):
        noticed.join(PATIENCE)
        check(not noticed.is_alive(), f"the slot has not been switched off after {PATIENCE} s")

    def check_gone(self):
        """The guest, QEMU and the host have lost it; the first two continue to run."""
        self.guest.wait_unplugged(0)
        drive.wait_absent(self.guest)
        self.drive.wait_gone()
        check_clean()
        self.guest.check_alive()

    def back(self):
        """Back in the machine, and in the guest."""
        self.drive.put_back()
        self.give_back()

    def give_back(self):
        """Back to the guest, which finds its data."""
        self.assign()
        self.guest.plug(self.devices[0], 0)
        found = drive.read_data(self.guest, 0, SIZE)
        check_equal("SHA-256 of what the guest reads", found.sha256, self.written.sha256)

    @step("a guest writes to a drive")
    def write(self):
        self.warm_guest()
        self.drive = Drive(self.devices[0])
        self.guest.plug(self.devices[0], 0)
        self.written = drive.write_random_data(self.guest, 0, SIZE)

    @step("the button of its slot is pushed during I/O: the guest and QEMU release it")
    def button(self):
        self.busy()
        with release_grace():
            self.drive.push_button()
            self.check_gone()

    @step("it is put back, goes to the guest, and still has the data")
    def first_return(self):
        self.back()

    @step("it is pulled out during I/O: the guest and QEMU continue to run")
    def pull(self):
        self.busy()
        with release_grace():
            noticed = self.pull_out()
            self.check_gone()
            self.wait_switched_off(noticed)

    @step("it is put back, and goes to the guest again")
    def second_return(self):
        self.back()

    @step("the host takes it back at once during I/O: the guest continues to run without it")
    def no_grace(self):
        if os.environ["VM_MODULES"] != "ours":
            raise Skip("the kernel's driver waits for ever")
        self.busy()
        with release_grace(0):
            self.devices[0].unbind()
        drive.wait_dead(self.guest)
        self.guest.unplug(0)
        drive.wait_absent(self.guest)
        check_clean()
        self.guest.check_alive()

    @step("it goes to the guest again")
    def third_return(self):
        self.give_back()

    @step("it is pulled out while QEMU hangs, and the host does not wait")
    def hang(self):
        if os.environ["VM_MODULES"] != "ours":
            raise Skip("the kernel's driver waits for ever")
        self.busy()
        self.guest.process.send_signal(signal.SIGSTOP)
        with release_grace(500):
            self.wait_switched_off(self.pull_out())
        self.drive.wait_gone()
        self.guest.kill()
        check_clean()
        self.drive.put_back()
        self.warm_guest()
        self.guest.plug(self.devices[0], 0)
        found = drive.read_data(self.guest, 0, SIZE)
        check_equal("SHA-256 of what the guest reads", found.sha256, self.written.sha256)

    @step("the guest powers off, and nothing is left behind")
    def power_off(self):
        self.guest.power_off()
        check_clean()

    def teardown(self):
        super().teardown()
        if self.drive:
            self.drive.close()
