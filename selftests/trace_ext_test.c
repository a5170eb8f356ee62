// SPDX-License-Identifier: GPL-2.0-only
/* Tracepoints: the life of a session, in order. */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/harness.h"
#include "lib/irq.h"
#include "lib/region.h"
#include "lib/stuck.h"

/* Our own instance, so that other tracing is not affected. */
#define TRACE "/sys/kernel/tracing/instances/vfio-test"
#define GRACE "/sys/module/vfio_iommufd/parameters/release_grace_ms"

#define MAX_EVENTS 64

FIXTURE(trace)
{
	struct session s;
	char bdf[BDF_LEN];
	char grace[32];
	char *text;
	/* "event: device ..." */
	char *events[MAX_EVENTS];
	int n;
};

FIXTURE_SETUP(trace)
{
	const char *bdf;

	OURS_ONLY();
	self->s.fd = -1;
	self->s.iommufd = -1;
	SETUP_DEVICE(&bdf, DEV_IGB);
	strcpy(self->bdf, bdf);
	ASSERT_LT(0, sysfs_read(self->grace, sizeof(self->grace), GRACE));
	if (mkdir(TRACE, 0700) && errno == ENOENT)
		SKIP(return, "no tracefs in this machine");
}

FIXTURE_TEARDOWN(trace)
{
	session_close(&self->s);
	sysfs_write("0", TRACE "/events/vfio/enable");
	sysfs_write("0", TRACE "/events/vfio_pci/enable");
	rmdir(TRACE);
	sysfs_write(self->grace, GRACE);
	sysfs_rebind(self->bdf);
	free(self->text);
}

static int begin(void)
{
	return sysfs_write("1", TRACE "/events/vfio/enable") ?:
	       sysfs_write("1", TRACE "/events/vfio_pci/enable");
}

/* Collect all events of the device. */
static int collect(FIXTURE_DATA(trace) *self)
{
	const size_t size = 1 << 20;
	char *line, *event, *save;
	size_t n = 0;
	ssize_t got;
	int fd;

	self->text = calloc(1, size);
	fd = open(TRACE "/trace", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while ((got = read(fd, self->text + n, size - 1 - n)) > 0)
		n += got;
	close(fd);
	for (line = strtok_r(self->text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		event = strstr(line, ": vfio");
		if (*line == '#' || !event || !strstr(line, self->bdf))
			continue;
		if (self->n == MAX_EVENTS)
			return -E2BIG;
		self->events[self->n++] = event + 2;
	}
	return 0;
}

/* An expected event: its name, and the text after the device's name */
struct event {
	const char *name;
	const char *rest;
};

/* Check that exactly these events were collected, and report the first difference. */
static bool seen(FIXTURE_DATA(trace) *self, const struct event *want, int n)
{
	char text[256];
	int i;

	for (i = 0; i < n || i < self->n; i++) {
		*text = 0;
		if (i < n)
			snprintf(text, sizeof(text), "%s: %s%s", want[i].name, self->bdf,
				 want[i].rest);
		if (i < self->n && !strcmp(text, self->events[i]))
			continue;
		printf("# event %d is '%s', but should be '%s'\n", i,
		       i < self->n ? self->events[i] : "", text);
		return false;
	}
	return true;
}

#define EXPECT_EVENTS(...) do {							\
	const struct event want_[] = { __VA_ARGS__ };				\
										\
	EXPECT_TRUE(seen(self, want_, LIB_ARRAY_SIZE(want_)));			\
} while (0)

/* Everything that a user does, and the reset afterwards */
TEST_F(trace, session)
{
	char bind[32], bind_again[32], attach[64];
	struct vfio_region_info info;
	int pm, efd;

	/* The reset after this session is the first event. */
	ASSERT_EQ(0, session_open(&self->s, self->bdf));
	ASSERT_EQ(0, begin());
	session_close(&self->s);
	ASSERT_EQ(0, session_open(&self->s, self->bdf));
	snprintf(bind, sizeof(bind), " devid=%u", self->s.devid);

	efd = event_new();
	ASSERT_LE(0, efd);
	ASSERT_EQ(0, irq_eventfd(self->s.fd, VFIO_PCI_MSIX_IRQ_INDEX, 0, efd));
	/* MSI-X is already on, so there is no event. */
	ASSERT_EQ(0, irq_eventfd(self->s.fd, VFIO_PCI_MSIX_IRQ_INDEX, 1, efd));
	pm = config_cap(self->s.fd, PCI_CAP_ID_PM);
	ASSERT_LT(0, pm);
	ASSERT_EQ(0, config_update(self->s.fd, pm + PCI_PM_CTRL, 2, 0, 3));
	ASSERT_EQ(0, config_update(self->s.fd, pm + PCI_PM_CTRL, 2, 3, 0));
	ASSERT_EQ(0, vfio_ioctl(self->s.fd, VFIO_DEVICE_RESET, NULL));
	ASSERT_EQ(0, irq_disable(self->s.fd, VFIO_PCI_MSIX_IRQ_INDEX));
	ASSERT_EQ(-EINVAL, region_info(self->s.fd, 77, &info));
	ASSERT_EQ(0, sysfs_write("1", "/sys/bus/pci/devices/%s/reset", self->bdf));
	ASSERT_EQ(0, vfio_detach(self->s.fd));
	/* It was not attached, so there is no event. */
	ASSERT_EQ(0, vfio_detach(self->s.fd));
	session_close(&self->s);
	/* The next one waits for the reset. */
	ASSERT_EQ(0, session_open(&self->s, self->bdf));
	snprintf(bind_again, sizeof(bind_again), " devid=%u", self->s.devid);
	close(efd);

	ASSERT_EQ(0, collect(self));
	ASSERT_LT(3, self->n);
	/* The ID of the page table is chosen by iommufd. */
	snprintf(attach, sizeof(attach), "%s", strstr(self->events[3], " pasid") ?: "");
	EXPECT_EQ(0, strncmp(attach, " pasid=0 pt_id=", 15));
	EXPECT_EVENTS({ "vfio_session_end", "" },
		      { "vfio_pci_reset", " by=driver ret=0" },
		      { "vfio_bind", bind },
		      { "vfio_attach", attach },
		      { "vfio_pci_irq", " msix on" },
		      { "vfio_pci_power", " D0 -> D3 ret=0" },
		      { "vfio_pci_power", " D3 -> D0 ret=0" },
		      { "vfio_pci_reset", " by=user ret=0" },
		      { "vfio_pci_irq", " msix off" },
		      { "vfio_error", " error=-22 there is no region 77" },
		      { "vfio_pci_reset", " by=host ret=0" },
		      { "vfio_detach", " pasid=0" },
		      { "vfio_session_end", "" },
		      { "vfio_pci_reset", " by=driver ret=0" },
		      { "vfio_bind", bind_again },
		      { "vfio_attach", attach });
}

/* The device is taken away while in use. */
TEST_F(trace, revocation)
{
	int efd = event_new();

	ASSERT_LE(0, efd);
	ASSERT_EQ(0, session_open(&self->s, self->bdf));
	ASSERT_EQ(0, irq_eventfd(self->s.fd, VFIO_PCI_MSI_IRQ_INDEX, 0, efd));
	ASSERT_EQ(0, sysfs_write("1", GRACE));
	ASSERT_EQ(0, begin());
	ASSERT_EQ(0, sysfs_unbind(self->bdf));
	close(efd);
	ASSERT_EQ(0, collect(self));
	EXPECT_EVENTS({ "vfio_request", "" },
		      { "vfio_revoke", "" },
		      { "vfio_error", " error=-19 the host has taken the device away" },
		      { "vfio_pci_irq", " msi off" },
		      { "vfio_session_end", "" },
		      { "vfio_pci_reset", " by=driver ret=0" });
}

struct late_call {
	int fd;
	struct vfio_device_bind_iommufd *cmd;
	int err;
};

static void *late_call_thread(void *arg)
{
	struct late_call *late = arg;

	late->err = vfio_ioctl(late->fd, VFIO_DEVICE_BIND_IOMMUFD, late->cmd);
	return NULL;
}

/* The error of a call that began before its device was removed still names the device. */
TEST_F(trace, error_after_removal)
{
	struct late_call late = { .fd = vfio_cdev_open(self->bdf) };
	struct uffdio_zeropage zero = { .range.len = 0x1000 };
	struct uffd_msg msg;
	pthread_t thread;
	void *pages;
	int uffd;

	ASSERT_LE(0, late.fd);
	pages = mmap(NULL, 0x2000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, pages);
	/* The original struct of BIND is in the first page, later additions in the second. */
	late.cmd = pages + 0x1000 - offsetof(struct vfio_device_bind_iommufd, token_uuid_ptr);
	late.cmd->argsz = sizeof(*late.cmd);
	late.cmd->flags = 1u << 31;
	uffd = stuck_at(pages + 0x1000);
	if (uffd < 0)
		SKIP(return, "userfaultfd: %s", strerror(-uffd));
	ASSERT_EQ(0, begin());
	ASSERT_EQ(0, pthread_create(&thread, NULL, late_call_thread, &late));
	ASSERT_EQ(sizeof(msg), read(uffd, &msg, sizeof(msg)));
	ASSERT_EQ(0, sysfs_write("1", "/sys/bus/pci/devices/%s/remove", self->bdf));
	ASSERT_EQ(0, sysfs_rescan());
	zero.range.start = (uintptr_t)pages + 0x1000;
	ASSERT_EQ(0, ioctl(uffd, UFFDIO_ZEROPAGE, &zero));
	pthread_join(thread, NULL);
	EXPECT_EQ(-EINVAL, late.err);
	close(late.fd);
	close(uffd);
	munmap(pages, 0x2000);
	ASSERT_EQ(0, collect(self));
	ASSERT_LT(0, self->n);
	EXPECT_NE(NULL, strstr(self->events[self->n - 1], " error=-22 unknown flags 0x80000000"))
		TH_LOG("%s", self->events[self->n - 1]);
}

/* With tracing off, there are no events. */
TEST_F(trace, off)
{
	ASSERT_EQ(0, session_open(&self->s, self->bdf));
	ASSERT_EQ(0, begin());
	ASSERT_EQ(0, sysfs_write("0", TRACE "/events/vfio/enable"));
	ASSERT_EQ(0, sysfs_write("0", TRACE "/events/vfio_pci/enable"));
	ASSERT_EQ(0, vfio_ioctl(self->s.fd, VFIO_DEVICE_RESET, NULL));
	ASSERT_EQ(0, collect(self));
	EXPECT_EQ(0, self->n);
}

TEST_HARNESS_MAIN
