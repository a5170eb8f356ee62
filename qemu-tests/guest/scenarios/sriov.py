# SPDX-License-Identifier: GPL-2.0
"""A virtual function (VF) of a NIC that the host keeps, and one of a NIC that it does not."""

import re
import subprocess
import threading
from pathlib import Path

from lib import nic
from lib.host import DRIVER, Device, release_grace, wait_until
from lib.tap import PATIENCE, check, check_equal, step
from scenarios.base import GuestScenario

VF_IDS = "8086:10ca"
UPLOAD = 1 << 20
ENABLE = Path("/sys/module/vfio_pci/parameters/enable_sriov")
TOKEN = "52ac9bff-3a88-4fbd-901a-0d767c3b6c97"


class Sriov(GuestScenario):
    name = "sriov"
    wanted = (VF_IDS,)
    pf = None

    def set_vfs(self, count):
        (self.pf.path / "sriov_numvfs").write_text(str(count))

    def boot_with_vf(self):
        self.set_vfs(1)
        self.boot_guest()
        address = nic.configure(self.guest)
        check(address.startswith("10.0.2."), f"address {address}")

    def check_host_nic(self):
        """The host's own NIC still works."""
        check_equal("driver", self.pf.driver, "igb")
        wait_until(lambda: (self.link / "carrier").read_text().strip() == "1",
                   "the link of the host's NIC")

    @step("the host's driver has the NIC, and creates a VF, with which a guest boots")
    def boot(self):
        self.pf = Device.find(nic.IDS)
        subprocess.run(["modprobe", "igb"], check=True)
        self.pf.give_to("igb")
        self.link = next((self.pf.path / "net").iterdir())
        subprocess.run(["ip", "link", "set", self.link.name, "up"], check=True)
        self.boot_with_vf()
        driver, _, _ = nic.interface(self.guest)
        check_equal("driver of eth0", driver, "igbvf")
        check_equal("driver of the VF", self.devices[0].driver, DRIVER)

    @step("pings are answered, and a file is received, with the right SHA-256")
    def network(self):
        nic.ping(self.guest, 5)
        nic.download(self.guest)

    @step("random data is sent and echoed, over the VF itself, by interrupts")
    def upload(self):
        before, _ = self.devices[0].interrupts()
        nic.upload(self.guest, UPLOAD)
        after, _ = self.devices[0].interrupts()
        check(after > before, "the host has received no interrupts from the VF")
        _, _, address = nic.interface(self.guest)
        sent, received = nic.bytes_on_wire(address)
        check(sent > UPLOAD and received > UPLOAD,
              f"L0 saw {sent} bytes from and {received} to the VF")
        self.check_host_nic()

    @step("the guest reboots, and the network works again")
    def reboot(self):
        self.guest.reboot()
        check(nic.configure(self.guest).startswith("10.0.2."), "an address of another network")
        nic.ping(self.guest, 2)

    @step("the host removes the VF while the guest runs, and QEMU releases it")
    def remove(self):
        thread = threading.Thread(target=self.set_vfs, args=(0,), daemon=True)
        with release_grace():
            thread.start()
            self.guest.wait_unplugged(0)
            thread.join(PATIENCE)
        check(not thread.is_alive(), f"removing the VF has not finished after {PATIENCE} s")
        check(not self.devices[0].path.exists(), "the VF still exists")
        self.guest.check_alive()
        self.check_host_nic()

    @step("the guest powers off, the next one has a new VF, and nothing is left behind")
    def again(self):
        self.guest.power_off()
        self.check_off()
        self.boot_with_vf()
        nic.ping(self.guest, 2)
        self.guest.power_off()
        self.check_off()
        self.set_vfs(0)

    @step("QEMU, which passes no token, cannot get a VF of a NIC that user space has")
    def refused(self):
        self.pf.assign()
        ENABLE.write_text("1")
        self.set_vfs(1)
        device = Device.find(VF_IDS)
        check_equal("driver of the VF", device.driver, DRIVER)
        for token in ("", f",vf-token={TOKEN}"):
            done = subprocess.run(
                ["qemu-system-x86_64", "-nodefaults", "-display", "none", "-M", "q35",
                 "-object", "iommufd,id=iommufd0", "-device",
                 f"vfio-pci,host={device.address},iommufd=iommufd0{token}"],
                stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=PATIENCE,
                check=False)
            check_equal("exit status of QEMU", done.returncode, 1)
            check(re.search("error bind device.*Permission denied", done.stderr), done.stderr)
        self.check_off()

    def teardown(self):
        super().teardown()
        if not self.pf:
            return
        if ENABLE.exists():
            ENABLE.write_text("1")
        self.set_vfs(0)
        if ENABLE.exists():
            ENABLE.write_text("0")
        if self.pf.driver:
            self.pf.unbind()
