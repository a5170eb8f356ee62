/* SPDX-License-Identifier: GPL-2.0-only */
/* The kselftest harness, adapted for these tests. */
#ifndef LIB_HARNESS_H
#define LIB_HARNESS_H

#include <kselftest_harness.h>
#include <unistd.h>

#include "devices.h"
#include "session.h"

/*
 * Without KVM, and with all debug options of the kernel, the default of 30 seconds is too short.
 * This is only for tests that hang, and longer than all other time limits.
 */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 600

/* In FIXTURE_SETUP: skip the test when the machine lacks the device, else give it to vfio-pci. */
#define SETUP_DEVICE(bdf_ptr, kind) do {					\
	*(bdf_ptr) = device_bdf(kind);						\
	if (!*(bdf_ptr))							\
		SKIP(return, "no %s in this machine", device_name(kind));	\
	ASSERT_EQ(0, sysfs_bind(*(bdf_ptr)));					\
} while (0)

/* In FIXTURE_SETUP: open a session on the device, or skip the test when the machine lacks it. */
#define SETUP_SESSION(session, kind) do {					\
	const char *bdf_;							\
										\
	SETUP_DEVICE(&bdf_, kind);						\
	ASSERT_EQ(0, session_open(session, bdf_));				\
} while (0)

/*
 * In a test that unbinds a PF with VFs from its driver: skip it if lockdep is enabled. The PCI core
 * of 7.3 expects its lock to be held when VFs are removed, and takes it for sriov_numvfs and for
 * removal of the PF, but not for unbinding. So lockdep warns about drivers that remove VFs then.
 */
#define UNBINDS_PF() do {							\
	if (!access("/proc/lockdep", F_OK))					\
		SKIP(return, "lockdep warns about the PCI core");		\
} while (0)

/* In a test of an extension: skip it on the in-tree driver. */
#define OURS_ONLY() do {							\
	if (!driver_is_ours())							\
		SKIP(return, "an extension of vfio-iommufd");			\
} while (0)

#endif
