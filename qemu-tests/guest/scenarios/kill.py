# SPDX-License-Identifier: GPL-2.0
"""QEMU is killed, or hangs, during I/O, again and again."""

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
        """MiB less available than after the first kill."""
        return self.available - memory_available()

    @step("no memory is lost")
    def memory(self):
        # That no page is pinned has already been checked. This is for a guest's memory that is no
        # longer pinned, but still referenced. All of its memory was allocated to be pinned, and
        # would be missing for ever. Half of that is far more than any other variation here, with
        # empty caches, and memory that is freed late is waited for.
        try:
            wait_until(lambda: self.lost() < MEMORY_MIB / 2, "memory to come back")
        except Failure as failure:
            raise Failure(f"{self.lost()} MiB less are available than after the first"
                          ) from failure

    @step("a guest boots with the drive, works, and shuts down")
    def after(self):
        self.boot_guest()
        self.write_and_power_off()

    @step("QEMU hangs during I/O, and the host takes the drive back nevertheless")
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

    @step("the driver's modules are unloaded and loaded again, and work")
    def reload(self):
        reload_driver()
        self.warm_guest()
        self.guest.plug(self.devices[0], 0)
        self.write_and_power_off()
