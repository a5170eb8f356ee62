# SPDX-License-Identifier: GPL-2.0
"""The igb NIC of a guest, and the network on L0 that it is connected to."""

import hashlib
import struct

from lib.guest import SHARE
from lib.host import interrupt_counts
from lib.tap import PATIENCE, check, check_equal

IDS = "8086:10c9"
GATEWAY = "10.0.2.2"
# L0 echoes everything that is sent there, and saves it in UPLOAD.
ECHO = ("10.0.2.100", 7)
UPLOAD = SHARE / "upload"
# The file that L0 serves by TFTP.
DOWNLOAD = SHARE / "tftp" / "download"
# All frames on the wire, captured on L0.
CAPTURE = SHARE / "packets.pcap"


def configure(guest):
    """Bring the interface up, and return its address from DHCP."""
    return guest.run("""
        until [ -e /sys/class/net/eth0 ]; do usleep 20000; done
        ip link set eth0 up
        udhcpc -i eth0 -f -q -t 1000 -T 1 -s /bin/udhcpc.script >/dev/null 2>&1
        ip -4 -o addr show dev eth0 | awk '{ print $4 }' """).split("/")[0]


def interface(guest):
    """Driver, PCI address and MAC address of the only interface."""
    names = guest.run("ls /sys/class/net").split()
    check_equal("interfaces", names, ["eth0", "lo"])
    driver, device = guest.run("""
        basename $(readlink /sys/class/net/eth0/device/driver)
        basename $(readlink /sys/class/net/eth0/device)""").split()
    return driver, device, guest.run("cat /sys/class/net/eth0/address")


def interrupts(guest):
    return interrupt_counts(guest.run("cat /proc/interrupts"), r"eth0\S*")


def ping(guest, count):
    guest.run(f"ping -c {count} -i 0.1 -W {PATIENCE} {GATEWAY}")


def download(guest):
    """Fetch a file from L0, and check its contents."""
    sha256 = guest.run(f"""
        cd /tmp
        tftp -g -b 1428 -r {DOWNLOAD.name} -l download {GATEWAY} 2>&1
        sha256sum <download""").split()[-2]
    check_equal("SHA-256 of the download", sha256,
                hashlib.sha256(DOWNLOAD.read_bytes()).hexdigest())


def upload(guest, size):
    """Send random data to L0, which echoes it, and check it on both ends."""
    sent, returned = guest.run(f"""
        head -c {size} /dev/urandom >/tmp/upload
        nc {ECHO[0]} {ECHO[1]} </tmp/upload >/tmp/returned
        sha256sum </tmp/upload
        sha256sum </tmp/returned""").split()[::2]
    check_equal("SHA-256 of what L0 received", hashlib.sha256(UPLOAD.read_bytes()).hexdigest(),
                sent)
    check_equal("SHA-256 of the echoed data", returned, sent)


def bytes_on_wire(address):
    """Number of bytes in frames from and to MAC @address that L0 has captured."""
    wanted = bytes.fromhex(address.replace(":", ""))
    data = CAPTURE.read_bytes()
    sent = received = 0
    at = 24
    while at + 16 <= len(data):
        length = struct.unpack_from("<I", data, at + 8)[0]
        frame = data[at + 16:at + 16 + 12]
        if frame[6:12] == wanted:
            sent += length
        elif frame[0:6] == wanted:
            received += length
        at += 16 + length
    return sent, received


def check_wire(guest, sent, received):
    """Check that at least that many bytes went over the assigned NIC."""
    driver, _, address = interface(guest)
    check_equal("driver of eth0", driver, "igb")
    wire_sent, wire_received = bytes_on_wire(address)
    check(wire_sent > sent and wire_received > received,
          f"L0 saw {wire_sent} bytes from and {wire_received} to the guest's NIC, "
          f"but it moved {sent} and {received}")
    for name, count in interrupts(guest).items():
        check(count > 0, f"no interrupts for {name}")
