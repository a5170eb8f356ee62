# SPDX-License-Identifier: GPL-2.0
"""A guest, L2: Linux in an unmodified QEMU with KVM, which runs our commands."""

import base64
import json
import platform
import re
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from lib import initramfs
from lib.channel import Channel, Qmp
from lib.pci_config import PciConfig
from lib.tap import PATIENCE, Failure, check_equal

HERE = Path(__file__).resolve().parent.parent
SHARE = Path("/share")
# Where qemu-tests/vm has put the kernel for guests.
KERNEL = Path("/guest-kernel")
MODULES = ("nvme", "igb", "igbvf", "uio")
# Ours, built along with the driver, for the kernel of guests.
DRIVERS = tuple(HERE.parents[1].glob("build/modules/qemu-tests/uio-edu-mig/*.ko"))
# Ours, which lib/lab.py has built.
PROGRAMS = ("blkio", "edudma", "dmaload")

# With its registers in I/O space, so that it does not depend on L1's emulation of MMIO.
PORT = "virtio-serial-pci,disable-legacy=off,disable-modern=on"

# Parameters of L1's kernel that guests get, too; qemu-tests/vm has the reasons.
WORDS = {"console", "pcie_port_pm", "rcupdate.rcu_cpu_stall_timeout", "tsc", "watchdog_thresh"}

# QEMU's command for a guest of L1's architecture.
if platform.machine() == "aarch64":
    MACHINE = ["qemu-system-aarch64", "-M", "virt,gic-version=3,its=on", "-accel", "kvm",
               "-cpu", "host", "-bios", "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd",
               "-kernel", str(KERNEL / "Image")]
    MEMORY_MIB = 512
    # Has an IOMMU of its own for devices on a separate root bus.
    IOMMU = ["-device", "pxb-pcie,id=pcie.1,bus_nr=8,bus=pcie.0",
             "-device", "arm-smmuv3,primary-bus=pcie.1,id=smmuv3.1,accel=on,ats=off,ril=off"]
    IOMMU_BUS = "pcie.1"
    KVM = None
else:
    MACHINE = ["qemu-system-x86_64", "-M", "q35", "-accel", "kvm", "-cpu", "max,-svm",
               "-kernel", str(KERNEL / "bzImage")]
    MEMORY_MIB = 256
    # KVM's own interrupt controllers do not support remapping.
    IOMMU = ["-device",
             "intel-iommu,caching-mode=on,scalable-mode=on,fsts=on,svm=on,"
             "device-iotlb=on,pasid-bits=16,intremap=off"]
    IOMMU_BUS = "pcie.0"
    # Guests have no guests of their own, and anything else only costs TCG time.
    KVM = ["modprobe", "kvm-amd", "nested=0", "vgif=0", "vls=0"]

# The kernel has found a fault, after which it is of no use.
CRASH = re.compile(r"^.*(Kernel panic|BUG:|Oops:|WARNING:|rcu: INFO|KVM internal error).*$", re.MULTILINE)


def common_words():
    """Kernel parameters for every guest."""
    words = Path("/proc/cmdline").read_text().split()
    return " ".join(word for word in words if word.partition("=")[0] in WORDS)


class Guest:
    """One QEMU process. @devices (of host.Device) are present from the start, each behind
    a root port; @spare_ports root ports are free to plug devices into. With @iommu, all of
    these are behind a vIOMMU, whose first stage of page tables the host's IOMMU walks.
    @options are further options for vfio-pci, as a dictionary. The guest boots, with @words as
    further kernel parameters; or it continues from @state, which save() has written in a guest of
    the same configuration; or with @incoming, it waits for a migration: lib/migration.py."""

    # The initramfs, which is made only once.
    image = None

    # pylint: disable-next=too-many-arguments
    def __init__(self, devices=(), spare_ports=0, cpus=1, state=None, *, iommu=False, words="",
                 options=None, incoming=False):
        self.folder = tempfile.TemporaryDirectory(prefix="guest-")
        folder = Path(self.folder.name)
        self.console_file = folder / "console"
        self.messages_file = folder / "messages"
        self.sequence = 0
        self.devices = list(devices)
        self.options = options or {}
        self.iommu = iommu
        self.boot_id = None

        qmp, qmp_qemu = socket.socketpair()
        port, port_qemu = socket.socketpair()
        arguments = [
            "setpriv", "--pdeathsig", "KILL",
            *MACHINE, "-m", f"{MEMORY_MIB}M", "-smp", str(cpus),
            "-nodefaults", "-no-user-config", "-display", "none",
            "-initrd", str(self._initramfs()), "-append", f"{common_words()} quiet {words}",
            "-serial", f"file:{self.console_file}",
            "-chardev", f"socket,id=qmp,fd={qmp_qemu.fileno()}",
            "-object", "monitor-qmp,id=qmp,chardev=qmp",
            "-chardev", f"socket,id=commands,fd={port_qemu.fileno()}",
            "-device", PORT, "-device", "virtserialport,chardev=commands",
            "-object", "iommufd,id=iommufd0", *(IOMMU if iommu else []),
        ]
        bus = f",bus={IOMMU_BUS}" if iommu else ""
        for number in range(len(self.devices) + spare_ports):
            arguments += ["-device",
                          f"pcie-root-port,id=port{number},chassis={number},slot={number}{bus}"]
        for number, device in enumerate(self.devices):
            arguments += ["-device", json.dumps(self._vfio(device, number))]
        self.state = state
        if state or incoming:
            arguments += ["-incoming", "defer"]

        self.started = time.monotonic()
        with open(self.messages_file, "wb") as messages:
            # pylint: disable-next=consider-using-with
            self.process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=messages, stderr=messages,
                pass_fds=(qmp_qemu.fileno(), port_qemu.fileno()))
        qmp_qemu.close()
        port_qemu.close()
        self.qmp = Qmp(qmp, self.check_alive)
        self.port = Channel("guest", port, self.check_alive)

    @classmethod
    def _initramfs(cls):
        if not cls.image:
            if KVM:
                subprocess.run(KVM, check=True)
            cls.image = Path(tempfile.gettempdir()) / "guest.cpio"
            initramfs.make(cls.image, KERNEL / "modules", MODULES, DRIVERS, [
                *(SHARE / program for program in PROGRAMS), HERE / "init", HERE / "udhcpc.script"])
        return cls.image

    def _vfio(self, device, number):
        return {"driver": "vfio-pci", "id": f"device{number}", "bus": f"port{number}",
                "host": device.address, "iommufd": "iommufd0", **self.options}

    # What it reports by itself.

    @property
    def console(self):
        if not self.console_file.exists():
            return ""
        return self.console_file.read_text(errors="replace")

    @property
    def messages(self):
        return self.messages_file.read_text(errors="replace")

    def last_output(self):
        return [f"qemu: {line}" for line in self.messages.splitlines()[:40]] + [
            f"console: {line}" for line in self.console.splitlines()[-40:]] + self.cpu_state()

    def cpu_state(self):
        """Its last output, in case it hangs."""
        lines = []
        for what in ("status", "registers", "lapic"):
            try:
                text = self.qmp.command("human-monitor-command", **{"command-line": f"info {what}"})
            except (Failure, OSError, ValueError) as reason:
                return [f"QMP: {reason}"]
            lines += [f"{what}: {line}" for line in text.splitlines()
                      if line.strip() and not re.match("[FXYK]|[CDEGSF]S |LDT|DR|FPR|MMX", line)]
        return lines

    def check_alive(self):
        if (status := self.process.poll()) is not None:
            raise Failure(f"QEMU has ended with status {status}")
        if found := CRASH.search(self.console + self.messages):
            raise Failure(f"the guest has crashed: {found.group()}")

    # Its life cycle.

    def wait_boot(self):
        """Wait until it accepts commands, and return the time since its start."""
        if not self.boot_id:
            self.qmp.greet()
        if self.state:
            self.qmp.command("migrate-incoming", uri=f"file:{self.state}")
            self.qmp.wait_event("RESUME")
            return time.monotonic() - self.started
        deadline = time.monotonic() + PATIENCE
        while True:
            # Answers from before a reset may come first.
            word, _, boot_id = self.port.receive(deadline, "the guest to boot"
                                                 ).partition(" ")
            if word == "ready" and boot_id != self.boot_id:
                self.boot_id = boot_id
                return time.monotonic() - self.started

    def _reset(self, cause, reason):
        self.started = time.monotonic()
        cause()
        self.qmp.wait_event("RESET", reason=reason)
        return self.wait_boot()

    def reboot(self):
        """Have the guest's kernel shut its drivers down and reboot."""
        return self._reset(lambda: self._request("reboot -f"), "guest-reset")

    def reset(self):
        """Reset the machine, without regard to what it is doing."""
        return self._reset(lambda: self.qmp.command("system_reset"), "host-qmp-system-reset")

    def save(self, path):
        """Write its state to @path, and end it."""
        self.qmp.command("migrate-set-capabilities",
                         capabilities=[{"capability": "events", "state": True}])
        self.qmp.command("migrate", uri=f"file:{path}")
        self.qmp.wait_event("MIGRATION", status="completed")
        self.kill()

    def power_off(self):
        self._request("poweroff -f")
        check_equal("exit status of QEMU", self.process.wait(PATIENCE), 0)
        self.close()

    def kill(self):
        """Kill it."""
        self.process.kill()
        self.process.wait(PATIENCE)
        self.close()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.qmp.close()
        self.port.close()

    # Commands.

    def _request(self, script):
        self.sequence += 1
        self.port.send(f"{self.sequence} {base64.b64encode(script.encode()).decode()}")

    def run(self, script):
        """Run a shell script, and return its output. Fails at the first command that fails."""
        self._request(script)
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = self.port.receive(deadline, f"the end of: {script}").split(" ", 2)
            if answer[0] == "ready":
                raise Failure(f"the guest has rebooted instead of doing: {script}")
            if answer[0] == str(self.sequence):
                break
        _, status, output = answer
        output = base64.b64decode(output).decode(errors="replace").strip()
        if status != "0":
            raise Failure(f"the guest's script ended with status {status}:\n{script}\n"
                          f"having printed:\n{output}")
        return output

    # Devices.

    def plug(self, device, number):
        """Plug @device into root port @number."""
        self.qmp.command("device_add", **self._vfio(device, number))

    def unplug(self, number):
        """Unplug the device from root port @number, with the consent of the guest."""
        self.qmp.command("device_del", id=f"device{number}")
        self.wait_unplugged(number)

    def wait_unplugged(self, number):
        self.qmp.wait_event("DEVICE_DELETED", device=f"device{number}")


    def set_device(self, option, value):
        """Change an option of all of its devices at run time."""
        for number in range(len(self.devices)):
            self.qmp.command("qom-set", path=f"/machine/peripheral/device{number}",
                             property=option, value=value)


def warm_guest():
    """A guest that has booted with an empty root port. Only the first one really boots; later ones
    continue from its saved state, which is much faster."""
    if not warm_guest.state:
        guest = Guest(spare_ports=1)
        try:
            guest.wait_boot()
            state = Path(tempfile.gettempdir()) / "guest.state"
            guest.save(state)
        except Failure as failure:
            raise Failure("\n".join([str(failure), *guest.last_output()])) from failure
        finally:
            guest.close()
        warm_guest.state = state
    return Guest(spare_ports=1, state=warm_guest.state)


warm_guest.state = None


def guest_config(guest, ids):
    """Config space of the guest's device with IDs vendor:device."""
    vendor, device = ids.split(":")
    return PciConfig(base64.b64decode(guest.run(f"""
        for device in /sys/bus/pci/devices/*; do
            [ "$(cat $device/vendor) $(cat $device/device)" = "0x{vendor} 0x{device}" ] &&
                exec base64 -w 0 $device/config
        done
        exit 1""")))
