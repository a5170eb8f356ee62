# SPDX-License-Identifier: GPL-2.0
"""What the scenarios have in common: a guest, and diagnostics after a failure."""

import threading

from lib.guest import Guest, warm_guest
from lib.host import Device, check_clean, iommu_faults, wait_until
from lib.tap import PATIENCE, Scenario, check, check_equal


class GuestScenario(Scenario):
    # IDs of the devices for guests.
    wanted = ()
    # Machines in which it runs by default.
    machines = ("x86",)

    def __init__(self, thorough=False):
        super().__init__(thorough)
        self.guest = None
        self.devices = []

    def assign(self):
        """Take the devices from the host's drivers."""
        self.devices = [Device.find(ids) for ids in self.wanted]
        for device in self.devices:
            device.assign()

    def boot_guest(self, cpus=1, **options):
        """Boot a guest with the devices."""
        self.assign()
        self.guest = Guest(self.devices, cpus=cpus, **options)
        self.guest.wait_boot()

    def warm_guest(self):
        """Start a guest with an empty slot for the device."""
        self.assign()
        self.guest = warm_guest()
        self.guest.wait_boot()

    @staticmethod
    def wait_busy(device):
        """Wait until some more I/O has been done."""
        before, _ = device.interrupts()
        wait_until(lambda: device.interrupts()[0] > before + 20,
                   f"interrupts of {device.address}")

    @staticmethod
    def start_unbinding(device):
        """Unbind a device in a thread of its own, as it may hang."""
        thread = threading.Thread(target=device.unbind, daemon=True)
        thread.start()
        return thread

    @staticmethod
    def wait_unbound(device, thread):
        thread.join(PATIENCE)
        check(not thread.is_alive(), f"unbinding has not finished after {PATIENCE} s")
        check_equal("driver", device.driver, None)

    def check_off(self):
        """Check what must be true after every guest, however it ended."""
        self.guest = None
        check_clean()
        faults = iommu_faults()
        check(not faults, "\n".join(["DMA was blocked by the IOMMU:", *faults]))

    def teardown(self):
        if self.guest:
            self.guest.close()

    def post_mortem(self):
        return self.guest.last_output() if self.guest else []
