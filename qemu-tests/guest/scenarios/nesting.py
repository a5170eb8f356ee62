# SPDX-License-Identifier: GPL-2.0
"""Guests with an IOMMU of their own: the host's IOMMU walks the guest's page table as its first
stage."""

from lib import drive, nic
from lib.host import check_clean
from lib.tap import check_equal, step
from scenarios.base import GuestScenario

SIZE = 4 * drive.MIB


class Nesting(GuestScenario):
    name = "nesting"
    wanted = (drive.IDS, nic.IDS)
    machines = ("x86-nested", "arm64")

    def boot_with(self, words, domain):
        """Boot a guest with @words as kernel parameters, and check that both devices have page
        tables of type @domain."""
        self.boot_guest(iommu=True, words=words)
        self.check_domain(domain)

    def check_domain(self, domain):
        """Check the type of the devices' page tables in the guest."""
        for ids in self.wanted:
            vendor, device = ids.split(":")
            found = self.guest.run(f"""
                for device in /sys/bus/pci/devices/*; do
                    [ "$(cat $device/vendor) $(cat $device/device)" != "0x{vendor} 0x{device}" ] ||
                        cat $device/iommu_group/type
                done""")
            check_equal(f"domain of {ids}", found, domain)

    def write(self, offset):
        """Write, and check from outside what arrives."""
        transfer = drive.write_random_data(self.guest, offset, SIZE)
        drive.check_interrupts(transfer)
        drive.check_image(offset, transfer)
        return transfer

    def write_and_read(self, domain, reboot):
        first = self.write(0)
        if reboot:
            self.guest.reboot()
            self.check_domain(domain)
        self.write(SIZE)
        found = drive.read_data(self.guest, 0, SIZE)
        check_equal("SHA-256 of the data read by the guest", found.sha256, first.sha256)

    def power_off(self):
        self.guest.power_off()
        self.check_off()

    @step("a guest boots with a drive and a NIC behind its IOMMU, which translates")
    def boot_strict(self):
        self.boot_with("iommu.strict=1", "DMA")

    @step("random data that the guest writes is in the image, before and after a reboot")
    def strict(self):
        self.write_and_read("DMA", reboot=True)

    @step("data goes over the NIC, both ways, while the drive writes")
    def both(self):
        nic.configure(self.guest)
        drive.start_endless_writes(self.guest, 32 * drive.MIB, drive.MIB)
        self.wait_busy(self.devices[0])
        nic.download(self.guest)
        nic.upload(self.guest, drive.MIB)
        self.wait_busy(self.devices[0])

    @step("the drive is unplugged while it writes; the NIC continues to work")
    def unplug(self):
        self.guest.unplug(0)
        drive.wait_absent(self.guest)
        nic.ping(self.guest, 5)

    @step("it is plugged in again, and does I/O")
    def plug(self):
        self.guest.plug(self.devices[0], 0)
        self.write(2 * SIZE)
        self.check_domain("DMA")

    @step("the guest powers off, and nothing is left behind")
    def off_strict(self):
        self.power_off()

    # That a reboot leaves no translation behind was tested above, where it matters most.
    @step("a guest whose IOMMU flushes its TLB lazily also writes and reads")
    def lazy(self):
        self.boot_with("iommu.strict=0", "DMA-FQ")
        self.write_and_read("DMA-FQ", reboot=self.thorough)
        self.power_off()

    @step("so does a guest whose IOMMU passes everything through")
    def passthrough(self):
        self.boot_with("iommu.passthrough=1", "identity")
        self.write_and_read("identity", reboot=self.thorough)
        self.power_off()

    @step("QEMU is killed while the drive writes, and nothing is left behind")
    def kill(self):
        self.boot_with("iommu.strict=1", "DMA")
        drive.start_endless_writes(self.guest, 0, drive.MIB)
        self.wait_busy(self.devices[0])
        self.guest.kill()
        self.guest = None
        check_clean()
