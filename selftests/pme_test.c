// SPDX-License-Identifier: GPL-2.0-only
/*
 * Power management events: a device in low power that something has happened to. Done by edu-pasid
 * (vm --device edu-pasid), whose events Linux finds when it looks, once in a second.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/config.h"
#include "lib/edu.h"
#include "lib/harness.h"
#include "lib/iommufd.h"
#include "lib/irq.h"
#include "lib/power.h"
#include "lib/qmp.h"
#include "lib/region.h"

FIXTURE(pme)
{
	char bdf[BDF_LEN];
	struct session s;
	/* Offset of the hardware's power management capability */
	unsigned int pm;
	void *bar;
};

/* The n-th device is behind the n-th port, and so on bus n. */
static int report_event(const char *bdf)
{
	return qmp_command("'execute': 'qom-set', 'arguments': { "
			   "'path': '/machine/peripheral/dev%lu', 'property': 'pme', 'value': true }",
			   strtoul(bdf + strlen("0000:"), NULL, 16));
}

/* The hardware's register, bypassing the driver */
static u16 pmcsr(FIXTURE_DATA(pme) *self)
{
	u16 val = 0xffff;

	sysfs_config(self->bdf, self->pm + PCI_PM_CTRL, &val, sizeof(val));
	return val;
}

/* Has the kernel found the event? */
static bool event_seen(FIXTURE_DATA(pme) *self)
{
	struct deadline end;

	for (deadline_start(&end); pmcsr(self) & PCI_PM_CTRL_PME_STATUS; )
		if (deadline_passed(&end))
			return false;
	return true;
}

static unsigned int hardware_pm(const char *bdf)
{
	u8 pos = 0, id[2];
	int left = 48;

	sysfs_config(bdf, PCI_CAPABILITY_LIST, &pos, 1);
	while (pos && left-- && sysfs_config(bdf, pos, id, 2) == 2) {
		if (id[0] == PCI_CAP_ID_PM)
			return pos;
		pos = id[1];
	}
	return 0;
}

FIXTURE_SETUP(pme)
{
	int i;

	self->s = (struct session){ .fd = -1, .iommufd = -1 };
	for (i = 0; !self->pm && !sysfs_find(0x1234, 0x11e8, i, self->bdf); i++)
		self->pm = hardware_pm(self->bdf);
	if (!self->pm || access("/dev/virtio-ports/qmp", F_OK))
		SKIP(return, "no edu-pasid in this machine, or no QEMU to talk to");
	ASSERT_EQ(0, session_open(&self->s, self->bdf));
	power_no_delay(self->bdf);
	self->bar = bar_map(self->s.fd, 0, 0, 0);
	ASSERT_NE(NULL, self->bar);
}

FIXTURE_TEARDOWN(pme)
{
	if (self->bar)
		bar_unmap(self->s.fd, 0, self->bar);
	session_close(&self->s);
}

/* Its user is notified, and can use it again. */
TEST_F(pme, wakes_up)
{
	int efd = event_new(), i;
	u32 val;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, low_power_entry_with_wakeup(self->s.fd, efd));
		ASSERT_TRUE(power_sleeps(self->bdf));
		EXPECT_EQ(PCI_PM_CTRL_PME_ENABLE | 3, pmcsr(self) &
			  (PCI_PM_CTRL_PME_ENABLE | PCI_PM_CTRL_STATE_MASK));
		EXPECT_EQ(0, event_take(efd));
		ASSERT_EQ(0, report_event(self->bdf));
		EXPECT_EQ(1, event_wait(efd));
		EXPECT_EQ(0, mmio_peek32(self->bar, &val));
		EXPECT_EQ(EDU_ID_VALUE, val);
		/* The user is notified before the kernel reports the new state. */
		EXPECT_TRUE(power_becomes(self->bdf, "power/runtime_status", "active"));
		EXPECT_TRUE(power_is(self->bdf, "power_state", "D0"));
		EXPECT_EQ(0, pmcsr(self) & (PCI_PM_CTRL_PME_ENABLE | PCI_PM_CTRL_PME_STATUS |
					    PCI_PM_CTRL_STATE_MASK));
	}
	close(efd);
}

/* Without an eventfd, the device goes back to sleep until its user accesses it. */
TEST_F(pme, without_eventfd)
{
	u32 val;

	ASSERT_EQ(0, low_power_entry(self->s.fd));
	ASSERT_TRUE(power_sleeps(self->bdf));
	ASSERT_EQ(0, report_event(self->bdf));
	ASSERT_TRUE(event_seen(self));
	ASSERT_TRUE(power_sleeps(self->bdf));
	ASSERT_EQ(0, low_power_exit(self->s.fd));
	EXPECT_EQ(0, mmio_peek32(self->bar, &val));
	EXPECT_EQ(EDU_ID_VALUE, val);
}

/* Without a user, an event has no effect. */
TEST_F(pme, idle)
{
	u32 val;

	bar_unmap(self->s.fd, 0, self->bar);
	self->bar = NULL;
	session_close(&self->s);
	ASSERT_TRUE(power_sleeps(self->bdf));
	ASSERT_EQ(0, report_event(self->bdf));
	ASSERT_TRUE(event_seen(self));
	ASSERT_TRUE(power_sleeps(self->bdf));
	ASSERT_EQ(0, session_open(&self->s, self->bdf));
	self->bar = bar_map(self->s.fd, 0, 0, 0);
	ASSERT_NE(NULL, self->bar);
	EXPECT_EQ(0, mmio_peek32(self->bar, &val));
	EXPECT_EQ(EDU_ID_VALUE, val);
}

/* They belong to the host: the user sees a device without them, whatever they write. */
TEST_F(pme, the_users_registers)
{
	int pos = config_cap(self->s.fd, PCI_CAP_ID_PM);

	ASSERT_LT(0, pos);
	EXPECT_EQ(0, config_read(self->s.fd, pos + PCI_PM_PMC, 2) & PCI_PM_CAP_PME_MASK);
	ASSERT_EQ(0, config_write(self->s.fd, pos + PCI_PM_CTRL, 2,
				  PCI_PM_CTRL_PME_ENABLE | PCI_PM_CTRL_PME_STATUS));
	EXPECT_EQ(0, config_read(self->s.fd, pos + PCI_PM_CTRL, 2) &
		  (PCI_PM_CTRL_PME_ENABLE | PCI_PM_CTRL_PME_STATUS));
	EXPECT_EQ(0, pmcsr(self) & PCI_PM_CTRL_PME_ENABLE);
	/* Nor do they see events of the device. */
	ASSERT_EQ(0, report_event(self->bdf));
	EXPECT_EQ(PCI_PM_CTRL_PME_STATUS, pmcsr(self) & PCI_PM_CTRL_PME_STATUS);
	EXPECT_EQ(0, config_read(self->s.fd, pos + PCI_PM_CTRL, 2) & PCI_PM_CTRL_PME_STATUS);
}

TEST_HARNESS_MAIN
