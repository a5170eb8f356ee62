# SPDX-License-Identifier: GPL-2.0
"""Live migration: a guest moves from QEMU to QEMU while its device writes to its memory. Whatever
happens on the way, not a byte is lost, most of which are in that memory."""

from lib import migration
from lib.guest import Guest
from lib.host import release_grace, wait_until
from lib.migration import Load, Migration, table
from lib.tap import check, check_equal, step
from scenarios.base import GuestScenario

# So slow that there is time to do something while the guest's memory is transferred.
SLOWLY = {"max_bandwidth": 1 << 18}
# However long it takes
AT_ONCE = {"downtime_limit": 1000000}
# Indices of devices that find_devices() finds.
CANNOT_LOG = 4
STOPS_TO_BE_SAVED = 5


class MigrationScenario(GuestScenario):
    """A guest, and its location: it migrates to and fro between one or two devices of the
    machine."""

    def __init__(self, thorough=False):
        super().__init__(thorough)
        self.all = []
        self.load = None
        self.moving = None
        self.rows = []

    def boot(self, *numbers, words="", **how):
        """Boot a guest with the devices of these numbers, which keeps them busy."""
        self.all = migration.find_devices()
        self.guest = Guest([self.all[number] for number in numbers],
                           words=f"{migration.WORDS} {words}", **how)
        self.guest.wait_boot()
        self.load = Load(self.guest)
        self.check_guest()

    def check_guest(self):
        """Check the memory of the guest and of its devices, and that they still work."""
        before = self.load.check(self.guest)
        check(self.load.check(self.guest) > before, "the devices have stopped working")

    def start(self, *numbers, **how):
        """Begin to move it to those devices, or to the same number of free devices."""
        devices = [self.all[number] for number in numbers] or [
            device for device in self.all if device not in self.guest.devices]
        self.moving = Migration(self.guest, devices[:len(self.guest.devices)], **how)
        self.moving.start()
        return self.moving

    def start_hanging(self, command):
        """Begin to move it, from a device that will never end this command."""
        migration.arm(self.guest.devices[0], command, migration.NEVER | migration.ONCE)
        self.start()

    def arrive(self):
        """Wait until it has arrived. Returns a row of the table."""
        row = self.moving.finish()
        self.guest = self.moving.target
        self.moving = None
        self.check_guest()
        return row

    def move(self, name, *numbers, **how):
        """Do all of that, with a row called @name."""
        self.start(*numbers, **how)
        row = self.arrive()
        row.name = name
        self.rows.append(row)

    def stay(self, status):
        """Check that the migration ends as @status, and that the guest continues where it is."""
        self.moving.wait_not(status)
        self.moving.target.close()
        self.moving = None
        self.check_guest()

    def off(self):
        self.guest.power_off()
        self.check_off()

    def teardown(self):
        super().teardown()
        if self.moving:
            self.moving.target.close()
        for line in table(self.rows) if self.rows else ():
            print(f"# {line}", flush=True)

    def post_mortem(self):
        if self.moving:
            return self.moving.lines()
        return super().post_mortem()


class MigrationOfDevice(MigrationScenario):
    name = "migration"
    machines = ("x86-migration",)

    @step("a guest boots, and its device reads and writes its memory all the time")
    def boot_guest(self):
        self.boot(0)

    @step("it moves to another QEMU and device, with all of its memory and the device's", times=3,
          thorough=50)
    def plain(self):
        self.move("the device logs what it writes")

    @step("it does so, and switches when the target is ready", times=0, thorough=1)
    def switchover_ack(self):
        self.move("the target determines when to switch",
                  capabilities=("return-path", "switchover-ack"))

    @step("through several channels, including the device's state", times=0, thorough=1)
    def multifd(self):
        self.guest.set_device("x-migration-multifd-transfer", "on")
        self.move("several channels", capabilities=("multifd", "return-path"),
                  options={"x-migration-multifd-transfer": "on"})
        self.guest.set_device("x-migration-multifd-transfer", "auto")

    @step("from a device that must be stopped to be saved", times=0, thorough=1)
    def without_precopy(self):
        self.start(STOPS_TO_BE_SAVED)
        self.arrive()
        self.move("the device is saved only while stopped")

    @step("from a device without a log, with all pages dirty until the end", times=0,
          thorough=1)
    def without_log(self):
        self.start(CANNOT_LOG, options={"enable-migration": "on"})
        self.arrive()
        self.move("nothing logs what it writes", parameters=AT_ONCE)

    @step("canceled during the transfer, it stays, without any loss", times=0, thorough=1)
    def cancel(self):
        self.start(parameters=SLOWLY).wait_moving()
        self.moving.cancel()
        self.stay("cancelled")

    @step("canceled while stopped, it stays and continues", times=0, thorough=1)
    def cancel_late(self):
        self.start(capabilities=("pause-before-switchover",)).wait("pre-switchover")
        self.moving.cancel()
        self.stay("cancelled")

    @step("when the target's device fails to load, it stays", times=0, thorough=1)
    def target_fails(self):
        migration.arm_unused(self.all[2], migration.LOAD_CHUNK, migration.FAIL | migration.ONCE)
        self.start(2)
        self.stay("failed")

    @step("when the source's device never ends saving, while it runs, it stays", times=0,
          thorough=1)
    def source_hangs(self):
        self.start_hanging(migration.SAVE_CHUNK)
        self.stay("failed")

    @step("nor when it is stopped", times=0, thorough=1)
    def source_hangs_late(self):
        self.start_hanging(migration.SAVE_FINAL)
        self.stay("failed")

    @step("when it never stops, it is reset: the guest stays, and has to set it up anew", times=0,
          thorough=1)
    def source_never_stops(self):
        self.start_hanging(migration.SUSPEND_INITIATOR)
        self.moving.wait_not("failed")
        self.moving.target.close()
        self.moving = None
        self.load.end(self.guest)
        self.load = Load(self.guest)
        self.check_guest()

    @step("when the target is killed, it stays", times=0, thorough=1)
    def kill_target(self):
        self.start(parameters=SLOWLY).wait_moving()
        self.moving.target.kill()
        self.stay("failed")

    @step("when the host takes the target's device, it stays", times=0, thorough=1)
    def unbind_target(self):
        self.start(2, parameters=SLOWLY).wait_moving()
        with release_grace(0):
            self.all[2].unbind()
        self.moving.full_speed()
        self.stay("failed")
        self.all[2].assign(migration.DRIVER)

    @step("after all of that, it moves again", times=0, thorough=1)
    def again(self):
        self.move("after several failures")

    @step("the host asks for the source's device, and gets it when the guest has moved", times=0,
          thorough=1)
    def unbind_source(self):
        device = self.guest.devices[0]
        with release_grace():
            self.start(parameters=SLOWLY).wait_moving()
            unbinding = self.start_unbinding(device)
            self.moving.full_speed()
            self.arrive()
            self.wait_unbound(device, unbinding)
        device.assign(migration.DRIVER)

    @step("when the source is killed, the target ends, too, and nothing is left behind", times=0,
          thorough=1)
    def kill_source(self):
        self.start(parameters=SLOWLY).wait_moving()
        self.guest.kill()
        target = self.moving.target
        wait_until(lambda: target.process.poll() is not None, "the end of the target")
        target.close()
        self.moving = None
        self.check_off()

    @step("a guest with two devices boots, and moves", times=0, thorough=1)
    def two(self):
        self.boot(0, 1)
        self.move("two devices")
        self.move("two devices")

    @step("it powers off, and nothing is left behind")
    def power_off(self):
        self.off()


class MigrationByIommu(MigrationScenario):
    """The device could log which pages it has written, but is not used for that."""

    name = "migration-iommu"
    machines = ("x86-dirty",)
    options = {"x-device-dirty-page-tracking": "off"}

    @step("a guest boots whose device's own log is not used")
    def boot_guest(self):
        self.boot(0, options=self.options)

    @step("it moves, with all of its memory: the IOMMU tracks dirty pages", times=2,
          thorough=10)
    def plain(self):
        self.move("the IOMMU logs what it writes", options=self.options)

    @step("from a device that cannot log")
    def without_log(self):
        self.start(CANNOT_LOG)
        self.arrive()
        self.move("the IOMMU, as the device cannot")

    @step("canceled during the transfer, it stays, and then moves", times=0, thorough=1)
    def cancel(self):
        self.start(parameters=SLOWLY, options=self.options).wait_moving()
        self.moving.cancel()
        self.stay("cancelled")
        self.move("after it was canceled")

    @step("it powers off, and nothing is left behind")
    def power_off(self):
        self.off()


class MigrationWithViommu(MigrationScenario):
    """The guest has an IOMMU of its own, by which a log of the device's would have addresses that
    mean nothing to QEMU. The host's IOMMU knows which pages are dirty."""

    name = "migration-viommu"
    machines = ("x86-dirty",)
    options = {"x-device-dirty-page-tracking": "off"}

    @step("a guest boots that has an IOMMU of its own, which translates for its device")
    def boot_guest(self):
        self.boot(0, words="iommu.strict=1", options=self.options, iommu=True)
        check_equal("the domain of its device", self.guest.run(
            "cat /sys/bus/pci/drivers/uio-edu-mig/????:*/iommu_group/type"), "DMA")

    @step("it moves, with all of its memory", times=2, thorough=10)
    def plain(self):
        self.move("the guest has an IOMMU", options=self.options)

    @step("it powers off, and nothing is left behind")
    def power_off(self):
        self.off()
