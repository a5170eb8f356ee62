# SPDX-License-Identifier: GPL-2.0
"""A guest that moves from one QEMU to another, with its devices, which are edu-mig; and what it
does with them meanwhile."""

import ctypes
import mmap
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lib.guest import Guest
from lib.host import Device, open_files, wait_until
from lib.tap import Failure, check, check_equal

IDS = "1234:11ea"
DRIVER = "edu-mig-vfio-pci"

# Huge pages of the guest's for dmaload: the areas that only devices write, and its own.
AREA_MIB = 48
WORDS = f"hugepages={AREA_MIB // 2 + 2}"

# A software CPU is slow: what the guest writes in less than 3 s takes it longer than 300 ms to send.
PARAMETERS = {"downtime_limit": 3000, "max_bandwidth": 0}

# How a migration can end.
ENDS = ("completed", "failed", "cancelled")

# edu-mig's registers for the host, and what can be done to its commands.
BAR = 2
MAGIC, MAGIC_VALUE = 0x00, 0x4d454475
FAULT = 0x30
VIOLATIONS = 0x3c
SUSPEND_INITIATOR = 1
SAVE_CHUNK = 6
SAVE_FINAL = 7
LOAD_CHUNK = 10
FAIL = 1 << 8
NEVER = 3 << 8
ONCE = 1 << 10


def find_devices():
    """Those of lib/lab.py, in order: four that can all, one that cannot log, one that can neither
    be saved while it runs nor has P2P."""
    subprocess.run(["modprobe", DRIVER], check=True)
    devices = Device.find_all(IDS)
    for device in devices:
        device.assign(DRIVER)
    return devices


def _registers(device):
    """The device's, for the host."""
    with open(device.path / f"resource{BAR}", "r+b") as file:
        registers = (ctypes.c_uint32 * 1024).from_buffer(mmap.mmap(file.fileno(), 4096))
    check_equal("what the device says of itself", f"{registers[MAGIC // 4]:#x}",
                f"{MAGIC_VALUE:#x}")
    return registers


def arm(device, command, what):
    """Have a command of the device fail, once, or never end, when a guest has it."""
    _registers(device)[FAULT // 4] = command | what


def arm_unused(device, command, what):
    """The same when it is nobody's. Our driver would have put it to sleep."""
    device.unbind()
    (device.path / "enable").write_text("1")
    arm(device, command, what)
    (device.path / "enable").write_text("0")
    device.assign(DRIVER)


def violations(device):
    """How often it was written to while it was stopped; when a guest has it."""
    return _registers(device)[VIOLATIONS // 4]


def last_errors(pid):
    """What our driver has to say to a QEMU."""
    lines = []
    for name in open_files(pid):
        if name.startswith("/dev/vfio/devices/"):
            lines += _last_error(pid, name)
    return lines


def _last_error(pid, name):
    found = []
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if str(fd.readlink()) == name:
                text = Path(f"/proc/{pid}/fdinfo/{fd.name}").read_text()
                found += [f"{name}: {line}" for line in text.splitlines() if "error" in line]
        except FileNotFoundError:
            pass
    return found


class Load:
    """dmaload in a guest, on each of its devices."""

    def __init__(self, guest):
        vendor, device = IDS.split(":")
        folders = guest.run(f"""
            for folder in /sys/bus/pci/devices/*; do
                [ "$(cat $folder/vendor) $(cat $folder/device)" != "0x{vendor} 0x{device}" ] ||
                    echo $folder
            done""").split()
        check_equal("devices in the guest", len(folders), len(guest.devices))
        self.numbers = range(len(folders))
        # In whole huge pages
        size = AREA_MIB // 2 // len(folders) * 2
        for number, folder in enumerate(folders):
            guest.run(f"""
                dmaload {folder} {size} /tmp/load{number} >/tmp/load{number}.output 2>&1 &
                echo $! >/tmp/load{number}.pid""")
            line = self._wait(guest, number, 1)
            check(line.endswith(", interrupts"), f"device {number}: {line}")
        self.answers = 1

    def end(self, guest):
        """End it, if it has not ended already, for what it has found."""
        for number in self.numbers:
            guest.run(f"""
                cd /tmp
                pid=$(cat load{number}.pid)
                kill -KILL $pid || :
                while [ -e /proc/$pid/exe ]; do usleep 20000; done
                rm load{number} load{number}.*""")

    @staticmethod
    def _wait(guest, number, lines):
        """Until it has said so much, or is gone; the last line."""
        return guest.run(f"""
            cd /tmp
            until [ -e load{number} ] && [ $(wc -l <load{number}) -ge {lines} ]; do
                kill -0 $(cat load{number}.pid) || break
                usleep 20000
            done
            cat load{number}.output
            tail -n 1 load{number}""")

    def check(self, guest):
        """Check that all is as it must be in @guest, where it is now. Returns the bytes that the
        devices have moved."""
        self.answers += 1
        total = 0
        for number in self.numbers:
            guest.run(f"kill -USR1 $(cat /tmp/load{number}.pid)")
        for number in self.numbers:
            self.line = self._wait(guest, number, self.answers)
            if not self.line.startswith("ok"):
                raise Failure(f"device {number}: {self.line}")
            total += int(self.line.split()[1])
        return total


@dataclass
class Row:
    """Of the table: what a migration took."""
    downtime: int
    total: int
    state: int
    dirty: int
    rounds: int
    name: str = ""

    @classmethod
    def of(cls, info):
        ram = info["ram"]
        pages = ram["total"] // ram["page-size"]
        return cls(info["downtime"], info["total-time"],
                   info.get("vfio", {}).get("transferred", 0),
                   ram["normal"] + ram["duplicate"] - pages, ram["dirty-sync-count"])


HEADER = ("", "downtime", "in all", "device state", "pages dirtied", "rounds")


def table(rows):
    """Lines for a user."""
    cells = [HEADER] + [
        (row.name, f"{row.downtime:,} ms", f"{row.total / 1000:.1f} s",
         f"{row.state / 1024:,.0f} KiB", f"{row.dirty:,}", f"{row.rounds}") for row in rows]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADER))]
    return ["  ".join([line[0].ljust(widths[0]),
                       *(text.rjust(width) for text, width in zip(line[1:], widths[1:]))]).rstrip()
            for line in cells]


class Migration:
    """One of a guest to a QEMU that is started for it and gets @devices, with vfio-pci's @options;
    with QEMU's @capabilities on, and @parameters."""

    def __init__(self, source, devices, options=None, capabilities=(), parameters=None):
        self.source = source
        self.target = Guest(devices, words=WORDS, options=options, incoming=True,
                            iommu=source.iommu)
        self.socket = Path(self.target.folder.name) / "migration"
        self.target.boot_id = source.boot_id
        self.target.sequence = source.sequence
        self.target.qmp.greet()
        wanted = {name: name in capabilities for name in
                  ("multifd", "return-path", "switchover-ack", "pause-before-switchover")}
        wanted["events"] = True
        for guest in (source, self.target):
            guest.qmp.command("migrate-set-capabilities", capabilities=[
                {"capability": name, "state": state} for name, state in wanted.items()])
            guest.qmp.command("migrate-set-parameters", **{**PARAMETERS, **(parameters or {})})

    def start(self):
        uri = f"unix:{self.socket}"
        # Of a migration before, which the guest has stayed after.
        self.source.qmp.events.clear()
        self.target.qmp.command("migrate-incoming", uri=uri)
        self.source.qmp.command("migrate", uri=uri)
        return self

    def info(self):
        return self.source.qmp.command("query-migrate")

    def wait(self, *statuses):
        """Until the source says one of them."""
        while True:
            status = self.source.qmp.wait_event("MIGRATION")["status"]
            info = self.info()
            if status in statuses:
                return info
            if status in ENDS:
                raise Failure(f'the migration has {status}: {info.get("error-desc")}')

    def wait_moving(self):
        """Until the first round over the guest's memory is begun."""
        self.source.qmp.wait_event("MIGRATION_PASS")

    def cancel(self):
        self.source.qmp.command("migrate_cancel")

    def full_speed(self):
        self.source.qmp.command("migrate-set-parameters", max_bandwidth=0)

    def finish(self):
        """Until the guest goes on at the target; the source ends. Returns a row of the table."""
        info = self.wait("completed")
        self.target.qmp.wait_event("RESUME")
        for device in self.source.devices + self.target.devices:
            check_equal(f"what {device.address} was told while it was stopped",
                        violations(device), 0)
        self.source.kill()
        return Row.of(info)

    def wait_not(self, status):
        """Until it has ended as @status, and the guest goes on at the source."""
        self.wait(status)
        wait_until(lambda: self.source.qmp.command("query-status")["running"],
                   "the source to go on")

    def lines(self):
        """Of use when it goes wrong."""
        lines = []
        for name, guest in (("source", self.source), ("target", self.target)):
            lines += [f"{name}: {line}" for line in
                      last_errors(guest.process.pid) + guest.last_output()]
        return lines
