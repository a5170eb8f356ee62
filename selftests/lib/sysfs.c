// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "sysfs.h"

#define PCI_DEVICES "/sys/bus/pci/devices"

bool driver_is_ours(void)
{
	return !access("/sys/module/vfio_iommufd", F_OK);
}

static int vread(char *buf, size_t len, const char *fmt, va_list ap)
{
	char path[PATH_MAX];
	ssize_t n;
	int fd;

	vsnprintf(path, sizeof(path), fmt, ap);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, buf, len - 1);
	if (n < 0)
		n = -errno;
	close(fd);
	if (n < 0)
		return n;
	buf[n] = 0;
	if (n && buf[n - 1] == '\n')
		buf[--n] = 0;
	return n;
}

int sysfs_read(char *buf, size_t len, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vread(buf, len, fmt, ap);
	va_end(ap);
	return n;
}

int sysfs_write(const char *val, const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list ap;
	int fd, err = 0;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, val, strlen(val)) < 0)
		err = -errno;
	close(fd);
	return err;
}

/* The list is "BDF VENDOR DEVICE ...", in bus order. */
static int find_listed(const char *list, u16 vendor, u16 device, unsigned int n,
		       char bdf[BDF_LEN])
{
	char name[BDF_LEN];
	unsigned int v, d;
	int len;

	for (; sscanf(list, "%12s %x %x%n", name, &v, &d, &len) == 3; list += len) {
		if (v != vendor || d != device || n--)
			continue;
		strcpy(bdf, name);
		return 0;
	}
	return -ENODEV;
}

int sysfs_find(u16 vendor, u16 device, unsigned int n, char bdf[BDF_LEN])
{
	const char *listed = getenv("VFIO_TEST_FUNCTIONS");
	struct dirent **list;
	int count, i, err = -ENODEV;

	if (listed)
		return find_listed(listed, vendor, device, n, bdf);
	count = scandir(PCI_DEVICES, &list, NULL, alphasort);
	if (count < 0)
		return -errno;
	for (i = 0; i < count; i++) {
		const char *name = list[i]->d_name;
		char v[16], d[16];

		if (err && strlen(name) == BDF_LEN - 1 &&
		    sysfs_read(v, sizeof(v), PCI_DEVICES "/%s/vendor", name) > 0 &&
		    sysfs_read(d, sizeof(d), PCI_DEVICES "/%s/device", name) > 0 &&
		    strtoul(v, NULL, 16) == vendor && strtoul(d, NULL, 16) == device && !n--) {
			strcpy(bdf, name);
			err = 0;
		}
		free(list[i]);
	}
	free(list);
	return err;
}

void sysfs_driver(const char *bdf, char *name, size_t len)
{
	char path[PATH_MAX], link[PATH_MAX];
	const char *base;
	ssize_t n;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/driver", bdf);
	n = readlink(path, link, sizeof(link) - 1);
	link[n < 0 ? 0 : n] = 0;
	base = strrchr(link, '/');
	snprintf(name, len, "%s", base ? base + 1 : "");
}

int sysfs_unbind(const char *bdf)
{
	return sysfs_write(bdf, PCI_DEVICES "/%s/driver/unbind", bdf);
}

/*
 * The driver that makes the device available to user space: vfio-pci, or the variant for it, which
 * users find by the device's alias, as libvirt does.
 */
static const char *vfio_driver(const char *bdf)
{
	static const char edu_mig[] = "pci:v00001234d000011EA";
	const char *variant = "/sys/bus/pci/drivers/edu-mig-vfio-pci";
	char alias[128];

	if (sysfs_read(alias, sizeof(alias), PCI_DEVICES "/%s/modalias", bdf) <= 0 ||
	    strncmp(alias, edu_mig, strlen(edu_mig)))
		return "vfio-pci";
	if (access(variant, F_OK) && system("modprobe -q edu-mig-vfio-pci"))
		return "vfio-pci";
	return "edu-mig-vfio-pci";
}

int sysfs_rebind(const char *bdf)
{
	const char *driver = vfio_driver(bdf);
	char name[64];
	int err;

	err = sysfs_write(driver, PCI_DEVICES "/%s/driver_override", bdf);
	if (err)
		return err;
	err = sysfs_write(bdf, "/sys/bus/pci/drivers_probe");
	if (err)
		return err;
	sysfs_driver(bdf, name, sizeof(name));
	return strcmp(name, driver) ? -ENODEV : 0;
}

int sysfs_bind(const char *bdf)
{
	char name[64];
	int err;

	sysfs_driver(bdf, name, sizeof(name));
	if (!strcmp(name, vfio_driver(bdf)))
		return 0;
	if (name[0]) {
		/* A driver that is just probing it may still fail. */
		err = sysfs_unbind(bdf);
		if (err && err != -ENODEV && err != -ENOENT)
			return err;
	}
	return sysfs_rebind(bdf);
}

int sysfs_rescan(void)
{
	int err = sysfs_write("0", "/sys/bus/pci/drivers_autoprobe");

	if (err)
		return err;
	err = sysfs_write("1", "/sys/bus/pci/rescan");
	return sysfs_write("1", "/sys/bus/pci/drivers_autoprobe") ?: err;
}

int sysfs_set_vfs(const char *bdf, unsigned int count)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", count);
	return sysfs_write(text, PCI_DEVICES "/%s/sriov_numvfs", bdf);
}

int sysfs_vf(const char *pf, unsigned int n, char bdf[BDF_LEN])
{
	char path[PATH_MAX], link[PATH_MAX];
	ssize_t len;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/virtfn%u", pf, n);
	len = readlink(path, link, sizeof(link) - 1);
	if (len < 0)
		return -errno;
	link[len] = 0;
	snprintf(bdf, BDF_LEN, "%.12s", strrchr(link, '/') + 1);
	return 0;
}

int sysfs_resource(const char *bdf, int index, u64 *start, u64 *size, u64 *flags)
{
	unsigned long long s, e, f;
	char text[2048], *p;
	int n, i;

	n = sysfs_read(text, sizeof(text), PCI_DEVICES "/%s/resource", bdf);
	if (n < 0)
		return n;
	for (p = text, i = 0; p && i < index; i++) {
		p = strchr(p, '\n');
		p = p ? p + 1 : NULL;
	}
	if (!p || sscanf(p, "%llx %llx %llx", &s, &e, &f) != 3)
		return -EINVAL;
	*start = s;
	*size = e ? e - s + 1 : 0;
	*flags = f;
	return 0;
}

int sysfs_config(const char *bdf, unsigned int pos, void *buf, size_t len)
{
	char path[PATH_MAX];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/config", bdf);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = pread(fd, buf, len, pos);
	if (n < 0)
		n = -errno;
	close(fd);
	return n;
}

int sysfs_config_write(const char *bdf, unsigned int pos, const void *buf, size_t len)
{
	char path[PATH_MAX];
	int fd, err = 0;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/config", bdf);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (pwrite(fd, buf, len, pos) != (ssize_t)len)
		err = -EIO;
	close(fd);
	return err;
}

unsigned int sysfs_ext_cap(const char *bdf, u16 id)
{
	u32 header, pos = 0x100;
	int left = 100;

	while (pos && left-- && sysfs_config(bdf, pos, &header, 4) == 4 && header) {
		if ((header & 0xffff) == id)
			return pos;
		pos = header >> 20;
	}
	return 0;
}

int sysfs_bus_reset(const char *port)
{
	char path[PATH_MAX];
	u16 control, reset;
	int fd, err = 0;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/config", port);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (pread(fd, &control, 2, PCI_BRIDGE_CONTROL) != 2)
		err = -EIO;
	reset = control | PCI_BRIDGE_CTL_BUS_RESET;
	if (!err && pwrite(fd, &reset, 2, PCI_BRIDGE_CONTROL) != 2)
		err = -EIO;
	/* PCIe r6.2 6.6.1 asks for 1 ms, and 100 until the first access. */
	usleep(2000);
	if (!err && pwrite(fd, &control, 2, PCI_BRIDGE_CONTROL) != 2)
		err = -EIO;
	usleep(100000);
	close(fd);
	return err;
}

bool thread_waits(const pid_t *tid)
{
	struct deadline end;
	char text[512], *p;
	pid_t id;

	for (deadline_start(&end); !deadline_passed(&end); usleep(1000)) {
		id = __atomic_load_n(tid, __ATOMIC_ACQUIRE);
		if (!id || sysfs_read(text, sizeof(text), "/proc/self/task/%d/stat", id) < 0)
			continue;
		p = strrchr(text, ')');
		if (p && p[2] == 'D')
			return true;
	}
	return false;
}

/* The last but one component of the device's path */
int sysfs_port(const char *bdf, char port[BDF_LEN])
{
	char link[256], path[512];
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", bdf);
	n = readlink(path, link, sizeof(link) - 1);
	if (n < (ssize_t)(2 * BDF_LEN))
		return -ENODEV;
	link[n] = 0;
	memcpy(port, link + n - 2 * BDF_LEN + 1, BDF_LEN - 1);
	port[BDF_LEN - 1] = 0;
	return 0;
}
