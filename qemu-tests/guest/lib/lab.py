# SPDX-License-Identifier: GPL-2.0
"""On L0: a machine to run guests in, and the back ends of the devices that they get."""

import os
import shlex
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from lib.drive import IMAGE
from lib.guest import PROGRAMS, SHARE
from lib.nic import CAPTURE, DOWNLOAD, ECHO, UPLOAD
from lib.peers import SHMEM

# Machines to run guests in, as options of vm.
MACHINES = {
    "x86": [],
    # Its IOMMU supports nested translation for guests.
    "x86-nested": ["--iommu", "intel-nested"],
    # With devices that can migrate; and with an IOMMU with dirty tracking.
    "x86-migration": [],
    "x86-dirty": ["--iommu", "intel-dirty"],
    "arm64": ["--arch", "arm64"],
    # For the demo: as x86, with two devices that can migrate.
    "demo": [],
}
# See lib/migration.py for their purpose.
ALL_KINDS = ("edu-mig", "edu-mig", "edu-mig", "edu-mig", "edu-mig,features=3", "edu-mig,features=4")
MIGRATING = {"x86-migration": ALL_KINDS, "x86-dirty": ALL_KINDS, "demo": ("edu-mig", "edu-mig")}

HERE = Path(__file__).resolve().parent.parent
QEMU_TESTS = HERE.parent
TOP = QEMU_TESTS.parent

IMAGE_SIZE = 64 << 20
DOWNLOAD_SIZE = 1 << 20
SHMEM_SIZE = 1 << 20

# Seconds for everything that is done in a machine. Each wait has a timeout of its own (PATIENCE);
# this one is for a machine that hangs completely.
TIMEOUT = 7200


class Lab:
    """The machine, L1, and a folder that it sees as /share."""

    def __init__(self, machine="x86"):
        self.machine = MACHINES[machine]
        self.migrating = MIGRATING.get(machine, ())
        self.others = machine == "demo" or not self.migrating
        self.edu = "edu-pasid" if machine == "x86-nested" else "edu"
        self.folder = tempfile.TemporaryDirectory(prefix="guests-")
        self.vm = None
        # Raises an exception, so that our callers' finally clauses run.
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, _: sys.exit(128 + number))

        with open(self.outside(IMAGE), "wb") as image:
            image.truncate(IMAGE_SIZE)
        self.outside(DOWNLOAD).parent.mkdir()
        self.outside(DOWNLOAD).write_bytes(os.urandom(DOWNLOAD_SIZE))
        self.outside(SHMEM).write_bytes(os.urandom(SHMEM_SIZE))
        compiler = "aarch64-linux-gnu-gcc" if machine == "arm64" else "gcc"
        for program in PROGRAMS:
            subprocess.run([QEMU_TESTS / "in-root", "--bind", f"{self.folder.name}:{SHARE}",
                            compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-static",
                            "-o", SHARE / program, f"qemu-tests/guest/{program}.c"], check=True)

    def outside(self, path):
        """The path on L0 of L1's @path."""
        return Path(self.folder.name) / path.relative_to(SHARE)

    def _devices(self):
        if self.others:
            yield from self._ordinary_devices()
        for device in self.migrating:
            yield from ("--device", device)

    def _ordinary_devices(self):
        def option(path):
            return str(self.outside(path)).replace(",", ",,")

        # Stays when the device is unplugged.
        drive = f"driver=file,node-name=drive,filename={option(IMAGE)}"
        network = (f"user,id=network,tftp={option(DOWNLOAD.parent)},"
                   f"guestfwd=tcp:{ECHO[0]}:{ECHO[1]}-cmd:tee {option(UPLOAD)}")
        capture = f"filter-dump,id=capture,netdev=network,file={option(CAPTURE)}"
        shmem = (f"memory-backend-file,id=shmem,share=on,size={SHMEM_SIZE},"
                 f"mem-path={option(SHMEM)}")
        for arguments in (
                ["nvme,serial=guests,drive=drive", "-blockdev", drive],
                ["igb,netdev=network", "-netdev", network, "-object", capture],
                # Can do DMA to any address that a guest may assign to a BAR.
                [f"{self.edu},dma_mask=0xffffffffffffffff"],
                ["ivshmem-plain,memdev=shmem", "-object", shmem]):
            yield from ("--device", shlex.join(arguments))

    def run(self, options, program, *arguments):
        """Run one of our programs in a new machine, with further @options for vm, and return its
        exit status."""
        command = ["setpriv", "--pdeathsig", "TERM", QEMU_TESTS / "vm", *self.machine, *options,
                   "--timeout", str(TIMEOUT), "--share", self.folder.name, *self._devices(), "--", "python3",
                   program.resolve().relative_to(TOP), "--inside", *arguments]
        # pylint: disable-next=consider-using-with
        self.vm = subprocess.Popen(command)
        return self.vm.wait()

    def close(self):
        if self.vm and self.vm.poll() is None:
            self.vm.terminate()
            self.vm.wait()
        self.folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
