# SPDX-License-Identifier: GPL-2.0
"""A guest that migrates from one QEMU to another, with its edu-mig devices, and what it does with
them in the meantime."""

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

# Huge pages of the guest for dmaload: the areas that only devices write, and its own.
AREA_MIB = 48
WORDS = f"hugepages={AREA_MIB // 2 + 2}"

# A software CPU is slow: sending what the guest dirties takes longer than the default of 300 ms.
PARAMETERS = {"downtime_limit": 3000, "max_bandwidth": 0}

# How a migration can end.
ENDS = ("completed", "failed", "cancelled")

# edu-mig's registers for the host, and the faults that they can inject.
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
    """The devices of lib/lab.py, in order: four with all features, one without a log, and one
    without pre-copy and P2P."""
    subprocess.run(["modprobe", DRIVER], check=True)
    devices = Device.find_all(IDS)
    for device in devices:
        device.assign(DRIVER)
    return devices


def _registers(device):
    """The device's registers for the host."""
    with open(device.path / f"resource{BAR}", "r+b") as file:
        registers = (ctypes.c_uint32 * 1024).from_buffer(mmap.mmap(file.fileno(), 4096))
    check_equal("the device's magic number", f"{registers[MAGIC // 4]:#x}",
                f"{MAGIC_VALUE:#x}")
    return registers


def arm(device, command, what):
    """Make a command of the device fail, once, or never end, while a guest has it."""
    _registers(device)[FAULT // 4] = command | what


def arm_unused(device, command, what):
    """The same for an unused device. Wakes it up, as our driver has put it to sleep."""
    device.unbind()
    (device.path / "enable").write_text("1")
    arm(device, command, what)
    (device.path / "enable").write_text("0")
    device.assign(DRIVER)


def violations(device):
    """The number of writes to a guest's device while it was stopped."""
    return _registers(device)[VIOLATIONS // 4]


def last_errors(pid):
    """Our driver's last errors for the files of a QEMU."""
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
    """One dmaload for each device of a guest."""

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
        """Wait for that many lines, or the end of the program, and return the last line."""
        return guest.run(f"""
            cd /tmp
            until [ -e load{number} ] && [ $(wc -l <load{number}) -ge {lines} ]; do
                kill -0 $(cat load{number}.pid) || break
                usleep 20000
            done
            cat load{number}.output
            tail -n 1 load{number}""")

    def check(self, guest):
        """Check the memory of @guest, where it runs now, and of its devices. Returns the number of
        bytes that the devices have moved."""
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
    """A row of the table: the cost of a migration."""
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
    """The table, as lines of text."""
    cells = [HEADER] + [
        (row.name, f"{row.downtime:,} ms", f"{row.total / 1000:.1f} s",
         f"{row.state / 1024:,.0f} KiB", f"{row.dirty:,}", f"{row.rounds}") for row in rows]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADER))]
    return ["  ".join([line[0].ljust(widths[0]),
                       *(text.rjust(width) for text, width in zip(line[1:], widths[1:]))]).rstrip()
            for line in cells]


class Migration:
    """A migration of a guest to a new QEMU with @devices and @options for vfio-pci, with QEMU's
    migration @capabilities and @parameters."""

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
        # From an earlier migration, after which the guest stayed.
        self.source.qmp.events.clear()
        self.target.qmp.command("migrate-incoming", uri=uri)
        self.source.qmp.command("migrate", uri=uri)
        return self

    def info(self):
        return self.source.qmp.command("query-migrate")

    def wait(self, *statuses):
        """Wait until the source reports one of them."""
        while True:
            status = self.source.qmp.wait_event("MIGRATION")["status"]
            info = self.info()
            if status in statuses:
                return info
            if status in ENDS:
                raise Failure(f'the migration has {status}: {info.get("error-desc")}')

    def wait_moving(self):
        """Wait until the first pass over the guest's memory has begun."""
        self.source.qmp.wait_event("MIGRATION_PASS")

    def cancel(self):
        self.source.qmp.command("migrate_cancel")

    def full_speed(self):
        self.source.qmp.command("migrate-set-parameters", max_bandwidth=0)

    def finish(self):
        """Wait until the guest continues at the target, and end the source. Returns a row of the
        table."""
        info = self.wait("completed")
        self.target.qmp.wait_event("RESUME")
        for device in self.source.devices + self.target.devices:
            check_equal(f"writes to {device.address} while it was stopped",
                        violations(device), 0)
        self.source.kill()
        return Row.of(info)

    def wait_not(self, status):
        """Wait until it has ended as @status, and the guest continues at the source."""
        self.wait(status)
        wait_until(lambda: self.source.qmp.command("query-status")["running"],
                   "the source to continue")

    def lines(self):
        """Diagnostics for a failure."""
        lines = []
        for name, guest in (("source", self.source), ("target", self.target)):
            lines += [f"{name}: {line}" for line in
                      last_errors(guest.process.pid) + guest.last_output()]
        return lines
