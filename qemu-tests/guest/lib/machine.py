# SPDX-License-Identifier: GPL-2.0
"""The machine that we run on, L1, from outside: devices that are removed and put back."""

import json
import os
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from lib.channel import Qmp
from lib.host import wait_until
from lib.tap import PATIENCE, Failure

PORT = "/dev/virtio-ports/qmp"
SLOTS = Path("/sys/bus/pci/slots")
# PCIe: in the slot control register, power indicator off and power off.
SLOT_OFF = 0x0700


class Port:
    """A virtio port, with the interface of a socket that Channel needs."""

    def __init__(self, path):
        self.file = os.open(path, os.O_RDWR)

    def fileno(self):
        return self.file

    def sendall(self, data):
        while data:
            data = data[os.write(self.file, data):]

    def recv(self, size):
        return os.read(self.file, size)

    def close(self):
        os.close(self.file)


class MachineQmp(Qmp):
    """Its monitor. It sends its greeting only to the first client, so do not expect one."""

    def __init__(self):
        super().__init__(Port(PORT), lambda: None)
        with suppress(Failure):
            self.command("qmp_capabilities")

    def _receive(self, deadline, what):
        message = json.loads(self.channel.receive(deadline, what))
        if "event" in message:
            self.events.append(message)
        return message if "return" in message or "error" in message else None


class Drive:
    """The machine's NVMe drive @device, with all that is needed to put it back."""

    def __init__(self, device):
        self.device = device
        self.number = int(device.address.split(":")[1], 16)
        self.qmp = MachineQmp()

    @property
    def slot(self):
        return next(slot for slot in SLOTS.iterdir() if self.device.address.startswith(
            (slot / "address").read_text().strip()))

    @property
    def port(self):
        return self.device.path.resolve().parent.name

    def wait_gone(self):
        self.qmp.wait_event("DEVICE_DELETED", device=f"dev{self.number}")
        wait_until(lambda: not self.device.path.exists(), f"{self.device.address} to go")

    def push_button(self):
        """Push the button of its slot, to request its removal."""
        self.qmp.command("device_del", id=f"dev{self.number}")

    def pull(self):
        """Pull it out without notice."""
        subprocess.run(["setpci", "-s", self.port, f"CAP_EXP+18.w={SLOT_OFF:x}:{SLOT_OFF:x}"],
                       check=True)

    def switch_off(self):
        """Turn the slot off, as the host does then. Returns when the device is unused."""
        (self.slot / "power").write_text("0")

    def put_back(self):
        """Put it back into its slot, with the same image."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.qmp.command("device_add", driver="nvme", id=f"dev{self.number}",
                                 bus=f"rp{self.number}", serial="guests", drive="drive")
                break
            except Failure:
                # The slot may be empty, but not yet report it.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        wait_until(self.device.path.exists, f"{self.device.address}")

    def close(self):
        self.qmp.close()
