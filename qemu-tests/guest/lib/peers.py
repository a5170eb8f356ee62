# SPDX-License-Identifier: GPL-2.0
"""A DMA engine (edu), and a device with a BAR (ivshmem) that is a file on L0."""

import hashlib
import os

from lib.guest import SHARE
from lib.tap import check_equal

EDU_IDS = "1234:11e8"
SHMEM_IDS = "1af4:1110"
SHMEM = SHARE / "shmem"
SHMEM_BAR = 2


def _folder(guest, ids):
    """The device's folder in the guest's sysfs, once it exists."""
    vendor, device = ids.split(":")
    return guest.run(f"""
        while :; do
            for folder in /sys/bus/pci/devices/*; do
                [ "$(cat $folder/vendor) $(cat $folder/device)" = "0x{vendor} 0x{device}" ] &&
                    echo $folder && exit
            done
            usleep 20000
        done""")


def bar_address(guest):
    """The address of the BAR of ivshmem in the guest, after enabling the device."""
    folder = _folder(guest, SHMEM_IDS)
    lines = guest.run(f"""
        [ "$(cat {folder}/enable)" = 1 ] || echo 1 >{folder}/enable
        cat {folder}/resource""").splitlines()
    return int(lines[SHMEM_BAR].split()[0], 16)


def _sha256(data):
    return hashlib.sha256(data).hexdigest()


def write_random_data(guest, offset, size):
    """Let edu write new random data from the guest's memory to the BAR of ivshmem, and check from
    outside that it has arrived, and that nothing else has changed."""
    before = SHMEM.read_bytes()
    sha256 = guest.run(f"""
        head -c {size} /dev/urandom >/tmp/data
        edudma {_folder(guest, EDU_IDS)} to /tmp/data {bar_address(guest) + offset:#x}
        sha256sum </tmp/data""").split()[0]
    after = SHMEM.read_bytes()
    check_equal("SHA-256 of the BAR from outside", _sha256(after[offset:offset + size]),
                sha256)
    check_equal("the rest of the BAR is unchanged",
                after[:offset] + after[offset + size:] == before[:offset] + before[offset + size:],
                True)


def read_random_data(guest, offset, size):
    """Write new random data into the BAR from outside, let edu read it into the guest's memory, and
    check that it has arrived there."""
    data = os.urandom(size)
    with open(SHMEM, "r+b") as file:
        file.seek(offset)
        file.write(data)
    sha256 = guest.run(f"""
        rm -f /tmp/data
        truncate -s {size} /tmp/data
        edudma {_folder(guest, EDU_IDS)} from /tmp/data {bar_address(guest) + offset:#x}
        sha256sum </tmp/data""").split()[0]
    check_equal("SHA-256 in the guest's memory", sha256, _sha256(data))
