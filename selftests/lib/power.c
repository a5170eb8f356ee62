// SPDX-License-Identifier: GPL-2.0-only
#include <linux/pci_regs.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "config.h"
#include "power.h"
#include "session.h"

#define FREEZE_TIMEOUT "/sys/power/pm_freeze_timeout"

int low_power_entry(int fd)
{
	return vfio_feature_set(fd, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, NULL, 0);
}

int low_power_entry_with_wakeup(int fd, int efd)
{
	struct vfio_device_low_power_entry_with_wakeup entry = { .wakeup_eventfd = efd };

	return vfio_feature_set(fd, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP, &entry,
				sizeof(entry));
}

int low_power_exit(int fd)
{
	return vfio_feature_set(fd, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT, NULL, 0);
}

bool power_is(const char *bdf, const char *attr, const char *val)
{
	char text[32];

	return sysfs_read(text, sizeof(text), "/sys/bus/pci/devices/%s/%s", bdf, attr) >= 0 &&
	       !strcmp(text, val);
}

bool power_becomes(const char *bdf, const char *attr, const char *val)
{
	struct deadline d;

	deadline_start(&d);
	while (!power_is(bdf, attr, val)) {
		if (deadline_passed(&d))
			return false;
		usleep(1000);
	}
	return true;
}

bool power_sleeps(const char *bdf)
{
	return power_becomes(bdf, "power/runtime_status", "suspended");
}

bool power_awake(const char *bdf)
{
	return power_is(bdf, "power/runtime_status", "active") &&
	       power_is(bdf, "power_state", "D0");
}

void power_no_delay(const char *bdf)
{
	sysfs_write("0", "/sys/bus/pci/devices/%s/power/autosuspend_delay_ms", bdf);
}

/* Checks the hardware's config space, which can be read only while it is awake. */
static bool reset_is_done(const char *bdf, u8 mark)
{
	struct deadline end;
	u8 is;

	for (deadline_start(&end); !deadline_passed(&end); usleep(1000)) {
		if (sysfs_config(bdf, PCI_CACHE_LINE_SIZE, &is, 1) == 1 && is != mark)
			return true;
	}
	return false;
}

bool power_close(struct session *s)
{
	const char *control = "/sys/bus/pci/devices/%s/power/control";
	u8 mark = config_read(s->fd, PCI_CACHE_LINE_SIZE, 1) ^ 0x5a;
	bool done;

	if (sysfs_write("on", control, s->bdf) ||
	    config_write(s->fd, PCI_CACHE_LINE_SIZE, 1, mark))
		return false;
	session_close(s);
	done = reset_is_done(s->bdf, mark);
	if (sysfs_write("auto", control, s->bdf))
		return false;
	power_no_delay(s->bdf);
	/* A reset keeps it awake until it is complete. */
	return power_sleeps(s->bdf) && done;
}

int system_sleep(void)
{
	char patience[16];
	int err;

	/* Resume at once when everything but the CPUs is suspended. */
	err = sysfs_write("0", "/sys/module/suspend/parameters/pm_test_delay");
	if (!err)
		err = sysfs_write("platform", "/sys/power/pm_test");
	if (err)
		return err;
	/* The default of 20 seconds for freezing all tasks is short on a slow and busy machine. */
	err = sysfs_read(patience, sizeof(patience), FREEZE_TIMEOUT);
	if (err >= 0)
		err = sysfs_write("120000", FREEZE_TIMEOUT);
	if (!err) {
		err = sysfs_write("freeze", "/sys/power/state");
		sysfs_write(patience, FREEZE_TIMEOUT);
	}
	sysfs_write("none", "/sys/power/pm_test");
	return err;
}
