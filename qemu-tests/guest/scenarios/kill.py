# SPDX-License-Identifier: GPL-2.0
"""QEMU ends, or hangs, in the midst of I/O, again and again."""

import os
import signal

from lib import drive
from lib.guest import MEMORY_MIB
from lib.host import memory_available, release_grace, reload_driver, wait_until
from lib.tap import Failure, Skip, step
from scenarios.base import GuestScenario

SIZE = 2 * drive.MIB


class Kill(GuestScenario):
    name = "kill"
    wanted = (drive.IDS,)
    available = None

    def start_busy_guest(self):
        self.warm_guest()
        self.guest.plug(self.devices[0], 0)
        drive.start_endless_writes(self.guest, 0, SIZE)
        self.wait_busy(self.devices[0])

    def write_and_power_off(self):
        transfer = drive.write_random_data(self.guest, 0, SIZE)
        drive.check_interrupts(transfer)
        drive.check_image(0, transfer)
        self.guest.power_off()
        self.check_off()

    @step("QEMU is killed during I/O, and nothing is left behind", times=3, thorough=10)
    def start_and_kill(self):
        self.start_busy_guest()
        self.guest.kill()
        self.check_off()
        # The first one fills caches.
        if self.available is None:
            self.available = memory_available()

    def lost(self):
        """MiB that were there after the first kill."""
        return self.available - memory_available()

    @step("no memory is lost")
    def memory(self):
        # That nothing is pinned is already known, to the page. This is for a guest that is not
        # pinned any more, but that somebody still holds. All of its memory was made for it, to be
        # pinned, and would be missing for ever. Half of that is far more than all else that comes
        # and goes here, once caches are empty, and what comes back late is waited for.
        try:
            wait_until(lambda: self.lost() < MEMORY_MIB / 2, "memory to come back")
        except Failure as failure:
            raise Failure(f"{self.lost()} MiB less are available than after the first"
                          ) from failure

    @step("a guest boots with the drive, works, and ends in peace")
    def after(self):
        self.boot_guest()
        self.write_and_power_off()

    @step("QEMU hangs during I/O, and the host takes the drive back all the same")
    def hang(self):
        if os.environ["VM_MODULES"] != "ours":
            raise Skip("the kernel's driver waits for ever")
        self.start_busy_guest()
        self.guest.process.send_signal(signal.SIGSTOP)
        with release_grace(500):
            unbinding = self.start_unbinding(self.devices[0])
            self.wait_unbound(self.devices[0], unbinding)
        self.guest.kill()
        self.check_off()

    @step("the driver's modules unload and load again, and work")
    def reload(self):
        reload_driver()
        self.warm_guest()
        self.guest.plug(self.devices[0], 0)
        self.write_and_power_off()
