# SPDX-License-Identifier: GPL-2.0
"""The NVMe drive of a guest, and its image on L0."""

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lib.guest import SHARE
from lib.host import interrupt_counts, wait_until
from lib.tap import check, check_equal

IDS = "1b36:0010"
# MSI-X vectors of QEMU's NVMe controller.
VECTORS = 65
IMAGE = SHARE / "nvme.img"
MIB = 1 << 20


@dataclass
class Transfer:
    """The guest's report of an I/O run."""
    size: int
    sha256: str
    requests: int
    seconds: float
    interrupts: dict

    @property
    def per_second(self):
        return self.requests / self.seconds

    @property
    def mib_per_second(self):
        return self.size / MIB / self.seconds


def wait_present(guest):
    guest.run("until [ -b /dev/nvme0n1 ]; do usleep 20000; done")


def wait_absent(guest):
    guest.run("while [ -e /dev/nvme0n1 ] || [ -e /dev/nvme0 ]; do usleep 20000; done")


def wait_dead(guest):
    """Make the guest's driver give up the drive now, not only at its timeout of 30 s."""
    guest.run("""
        echo 1 >/sys/class/nvme/nvme0/reset_controller || :
        until grep -q dead /sys/class/nvme/nvme0/state; do usleep 20000; done
        dmesg | grep "nvme0: Disabling device after reset failure: -19" """)


def interrupts(guest):
    return interrupt_counts(guest.run("cat /proc/interrupts"), r"nvme0q\d+")


def _transfer(guest, script, size):
    """Run @script, which prints blkio's output and a SHA-256."""
    before = interrupts(guest)
    requests, microseconds, sha256 = guest.run(script).split()[:3]
    after = interrupts(guest)
    taken = {name: count - before.get(name, 0) for name, count in after.items()}
    return Transfer(size, sha256, int(requests), int(microseconds) / 1e6, taken)


def write_random_data(guest, offset, size, block_size=4096, order="random", depth=32):
    """Write new random data to the drive."""
    wait_present(guest)
    return _transfer(guest, f"""
        head -c {size} /dev/urandom >/tmp/data
        blkio write /tmp/data /dev/nvme0n1 {offset} {block_size} {depth} {order}
        sha256sum </tmp/data""", size)


def read_data(guest, offset, size, block_size=4096, order="random", depth=32):
    """Read from the drive."""
    wait_present(guest)
    return _transfer(guest, f"""
        rm -f /tmp/data
        truncate -s {size} /tmp/data
        blkio read /tmp/data /dev/nvme0n1 {offset} {block_size} {depth} {order}
        sha256sum </tmp/data""", size)


def start_endless_writes(guest, offset, size):
    """Keep the drive busy until the guest ends."""
    wait_present(guest)
    guest.run(f"""
        head -c {size} /dev/urandom >/tmp/endless
        while blkio write /tmp/endless /dev/nvme0n1 {offset} 4096 32 random; do
            :
        done >/dev/null 2>&1 &""")


def check_image(offset, transfer):
    """Check from outside that the data was written."""
    with open(IMAGE, "rb") as image:
        image.seek(offset)
        data = image.read(transfer.size)
    check_equal("SHA-256 of the image on L0", hashlib.sha256(data).hexdigest(),
                transfer.sha256)


def check_interrupts(transfer):
    """Check that the requests were completed by interrupts, on the queue of each CPU."""
    queues = {name: count for name, count in transfer.interrupts.items()
              if name != "nvme0q0"}
    check(queues, "the guest's drive has interrupts for its admin queue only")
    for name, count in queues.items():
        # One interrupt may signal several completions.
        check(count > 0, f"no interrupts for {name} in {transfer.requests} requests")


def _disk_on_host(device):
    """Its node in the host's /dev, which appears a moment after its folder in sysfs."""
    nodes = [Path("/dev") / path.name for path in device.path.glob("nvme/nvme*/nvme*n1")]
    return next((node for node in nodes if node.is_block_device()), None)


def check_on_host(device, offset, transfer):
    """Give the drive to the host's own driver for a while, and check that it finds the data."""
    subprocess.run(["modprobe", "nvme"], check=True)
    device.give_to("nvme")
    disk = wait_until(lambda: _disk_on_host(device), "the host to find the drive")
    with open(disk, "rb") as file:
        file.seek(offset)
        data = file.read(transfer.size)
    check_equal("SHA-256 of what the host reads", hashlib.sha256(data).hexdigest(),
                transfer.sha256)
    # If it stayed loaded, it would compete for drives that are plugged in later.
    device.unbind()
    subprocess.run(["modprobe", "-r", "nvme"], check=True)
