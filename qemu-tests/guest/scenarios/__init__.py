# SPDX-License-Identifier: GPL-2.0
"""What users do with guests, in the order of testing."""

from scenarios.hotplug import Hotplug
from scenarios.kill import Kill
from scenarios.migration import MigrationByIommu, MigrationOfDevice, MigrationWithViommu
from scenarios.nesting import Nesting
from scenarios.nvme import Nvme
from scenarios.p2p import P2p
from scenarios.pasid import Pasid
from scenarios.removal import Removal
from scenarios.sriov import Sriov
from scenarios.two_devices import TwoDevices

ALL = {scenario.name: scenario
       for scenario in (Nvme, TwoDevices, Nesting, Sriov, P2p, Pasid, Hotplug, Removal, Kill,
                        MigrationOfDevice, MigrationByIommu, MigrationWithViommu)}
