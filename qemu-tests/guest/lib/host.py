# SPDX-License-Identifier: GPL-2.0
"""The machine that we run on, L1, as the host of guests: its devices, drivers, resources."""

import os
import re
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from lib.pci_config import PciConfig
from lib.tap import PATIENCE, Failure, check_equal

PCI = Path("/sys/bus/pci")
DRIVER = "vfio-pci"
# Modules that are in use while a device node is open: the kernel's, and ours.
NODE_MODULES = {"vfio_pci", "vfio_iommufd"}


def wait_until(condition, what):
    """For conditions without an event. Returns the first value of condition() that is true."""
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise Failure(f"timeout, waiting for {what}")
        time.sleep(0.02)
    return value


class Device:
    """A PCI function."""

    def __init__(self, address):
        self.address = address
        self.path = PCI / "devices" / address

    @classmethod
    def find_all(cls, ids):
        """All devices with IDs vendor:device."""
        vendor, device = ids.split(":")
        return [cls(path.name) for path in sorted((PCI / "devices").iterdir())
                if ((path / "vendor").read_text().strip() == f"0x{vendor}"
                    and (path / "device").read_text().strip() == f"0x{device}")]

    @classmethod
    def find(cls, ids):
        """The first device with IDs vendor:device."""
        for device in cls.find_all(ids):
            return device
        raise Failure(f"the machine has no PCI device {ids}")

    @property
    def driver(self):
        link = self.path / "driver"
        return link.resolve().name if link.exists() else None

    @property
    def config(self):
        return PciConfig((self.path / "config").read_bytes())

    @property
    def node(self):
        """The node that user space opens, if it exists yet."""
        nodes = [Path("/dev/vfio/devices") / entry.name for entry in self.path.glob("vfio-dev/*")]
        return next((node for node in nodes if node.exists()), None)

    def unbind(self):
        (self.path / "driver" / "unbind").write_text(self.address)

    def give_to(self, driver):
        """Bind it to @driver, and allow no other driver."""
        if self.driver == driver:
            return
        if self.driver:
            self.unbind()
        (self.path / "driver_override").write_text(driver)
        (PCI / "drivers_probe").write_text(self.address)
        # After a hot-plug, the folder in sysfs appears before drivers may probe.
        wait_until(lambda: self.driver == driver, f"{self.address} to be taken by {driver}")

    def assign(self, driver=DRIVER):
        """Bind it to vfio-pci, and wait for its node."""
        self.give_to(driver)
        wait_until(lambda: self.node, f"the device node of {self.address}")

    def interrupts(self):
        """The number of interrupts that the host has handled for its user, and of their lines.
        All VFIO drivers name them vfio-KIND[VECTOR](ADDRESS)."""
        lines = interrupt_counts(Path("/proc/interrupts").read_text(),
                                 rf"vfio-\S*\({re.escape(self.address)}\)")
        return sum(lines.values()), len(lines)


def interrupt_counts(text, pattern):
    """Counts by name, from those lines of /proc/interrupts whose name contains @pattern."""
    counts = {}
    for line in text.splitlines()[1:]:
        words = line.split()
        numbers = []
        for word in words[1:]:
            if not word.isdigit():
                break
            numbers.append(int(word))
        if found := re.search(pattern, line):
            counts[found.group()] = counts.get(found.group(), 0) + sum(numbers)
    return counts


def open_files(pid):
    """The open files of process @pid."""
    names = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                names.append(os.readlink(fd))
    return names


def pages_pinned():
    """Pages pinned for I/O in the whole machine."""
    # Adds up the counts of the CPUs.
    Path("/proc/sys/vm/stat_refresh").write_text("1")
    counts = dict(line.split() for line in Path("/proc/vmstat").read_text().splitlines())
    return int(counts["nr_foll_pin_acquired"]) - int(counts["nr_foll_pin_released"])


def memory_available():
    """Available memory in MiB, after dropping caches."""
    Path("/proc/sys/vm/drop_caches").write_text("3")
    found = re.search(r"MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text())
    return int(found.group(1)) // 1024


def vfio_modules():
    """Names of the loaded modules; the users of a module come before it."""
    names = [line.split()[0] for line in Path("/proc/modules").read_text().splitlines()]
    return [name for name in names if "vfio" in name]


def module_users(name):
    """How many users a module has, other than modules."""
    folder = Path("/sys/module") / name
    return int((folder / "refcnt").read_text()) - len(list((folder / "holders").iterdir()))


def leftovers():
    """Everything that must not exist while no guest has a device, one line each."""
    found = []
    dma_bufs = 0
    for line in Path("/proc/interrupts").read_text().splitlines():
        if "vfio-" in line:
            found.append(f'interrupt: {" ".join(line.split())}')
    for process in Path("/proc").glob("[0-9]*"):
        for name in open_files(process.name):
            if name.startswith("/dev/vfio"):
                found.append(f"process {process.name} has {name}")
            dma_bufs += name.startswith("/dmabuf:")
    for module in NODE_MODULES & set(vfio_modules()):
        users = module_users(module)
        if module == "vfio_pci":
            # A QEMU that continues to run may still have DMA-bufs of BARs open, which were
            # revoked with the session. These keep the module in use.
            users -= dma_bufs
        if users:
            found.append(f"module {module} has {users} users, and processes {dma_bufs} DMA-bufs")
    if pages := pages_pinned():
        found.append(f"{pages} pages are pinned")
    return found


def check_clean():
    """Check that the last guest left nothing behind. Allow some time for the kernel's workers."""
    try:
        wait_until(lambda: not leftovers(), "clean-up")
    except Failure as failure:
        if found := leftovers():
            raise Failure("\n".join(["left behind:", *found])) from failure


def iommu_faults():
    """DMA that the IOMMU has blocked: lines of the kernel log."""
    log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    lines = []
    with suppress(BlockingIOError):
        while True:
            try:
                line = os.read(log, 8192).decode(errors="replace")
            except BrokenPipeError:  # overwritten in the meantime; the next read continues
                continue
            if re.search(r"DMAR:.*fault|arm-smmu-v3.*event", line, re.IGNORECASE):
                lines.append(line.strip())
    os.close(log)
    return lines


def reload_driver():
    """Unload all modules of the driver, and load them again."""
    subprocess.run(["rmmod", *vfio_modules()], check=True)
    check_equal("VFIO modules still loaded", vfio_modules(), [])
    subprocess.run(["modprobe", DRIVER], check=True)


@contextmanager
def release_grace(milliseconds=-1):
    """Set the time that our driver gives users to release a device, before it takes it away. The
    default in these tests is 0; the kernel's driver waits for ever."""
    parameter = Path("/sys/module/vfio_iommufd/parameters/release_grace_ms")
    if not parameter.exists():
        yield
        return
    before = parameter.read_text()
    parameter.write_text(str(milliseconds))
    try:
        yield
    finally:
        parameter.write_text(before)
