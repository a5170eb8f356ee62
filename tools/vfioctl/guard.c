// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the host would lose together with a function: disks in use, the way to the network, the
 * display that the machine boots with. Where something cannot be found out, it counts as in use.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "guard.h"

/* Does the folder belong to what is below the function? */
static bool is_below(const char *folder, const char *top)
{
	size_t len = strlen(top);

	return !strncmp(folder, top, len) && folder[len] == '/';
}

/* A disk of NVMe multipath is below no function, but its subsystem has links to its controllers. */
static bool nvme_path_below(const char *disk, const char *top)
{
	char *subsystem __free_string = xstrdup(disk);
	struct strings names __free_strings = {};
	char real[PATH_MAX];
	char *end;

	if (!strstr(disk, "/nvme-subsystem/"))
		return false;
	end = strrchr(subsystem, '/');
	*end = '\0';
	names = dir_names("%s", subsystem);
	for (size_t i = 0; i < names.n; i++) {
		char *path __free_string = format("%s/%s", subsystem, names.v[i]);

		if (realpath(path, real) && is_below(real, top))
			return true;
	}
	return false;
}

/* The name of the device mapper's or another device: vg-root rather than dm-0. */
static char *holder_name(const char *holder)
{
	char *name = read_file("/sys/class/block/%s/dm/name", holder);

	return name ?: xstrdup(holder);
}

static char *mounted_at(const char *number, const char *disk)
{
	FILE *mounts __close_file = fopen("/proc/self/mountinfo", "re");
	char *node __free_string = format("/dev/%s", disk);
	char *line __free_string = NULL;
	size_t size = 0;

	while (mounts && getline(&line, &size, mounts) > 0) {
		char dev[32], place[PATH_MAX], source[PATH_MAX];
		char *rest = strstr(line, " - ");

		if (sscanf(line, "%*d %*d %31s %*s %4095s", dev, place) != 2)
			continue;
		/* Btrfs has a number of its own there. */
		if (!rest || sscanf(rest, " - %*s %4095s", source) != 1)
			*source = '\0';
		if (!strcmp(dev, number) || !strcmp(source, node))
			return xstrdup(place);
	}
	return NULL;
}

static bool is_swap(const char *disk)
{
	char *swaps __free_string = read_file("/proc/swaps");
	char *name __free_string = format("/dev/%s ", disk);

	return swaps && strstr(swaps, name);
}

/* Whatever uses a whole disk claims it: file systems, md, LVM, bcache, ZFS. */
static bool is_claimed(const char *disk)
{
	char *node __free_string = format("/dev/%s", disk);
	int fd;

	/* In sysfs, a slash of the name is an exclamation mark. */
	for (char *c = node; *c; c++) {
		if (*c == '!')
			*c = '/';
	}
	fd = open(node, O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	return fd < 0 && errno == EBUSY;
}

static void check_disk(struct strings *reasons, const char *disk)
{
	char *number __free_string = read_file("/sys/class/block/%s/dev", disk);
	struct strings holders __free_strings = dir_names("/sys/class/block/%s/holders", disk);
	char *place __free_string = number ? mounted_at(number, disk) : NULL;

	if (place) {
		strings_add(reasons, "%s is mounted at %s", disk, place);
	} else if (is_swap(disk)) {
		strings_add(reasons, "%s is swap space", disk);
	} else if (holders.n) {
		char *holder __free_string = holder_name(holders.v[0]);

		strings_add(reasons, "%s is part of %s", disk, holder);
	} else if (is_claimed(disk)) {
		strings_add(reasons, "%s is in use", disk);
	}
}

static void check_disks(struct strings *reasons, const char *top)
{
	struct strings disks __free_strings = dir_names("/sys/class/block");
	char real[PATH_MAX];

	for (size_t i = 0; i < disks.n; i++) {
		char *path __free_string = format("/sys/class/block/%s", disks.v[i]);
		char *whole __free_string = NULL;

		if (!realpath(path, real))
			continue;
		whole = xstrdup(real);
		/* A partition is below its disk. */
		if (exists("%s/partition", real))
			*strrchr(whole, '/') = '\0';
		if (is_below(real, top) || nvme_path_below(whole, top))
			check_disk(reasons, disks.v[i]);
	}
}

/* Interfaces with a default route */
static struct strings default_routes(void)
{
	FILE *v4 __close_file = fopen("/proc/net/route", "re");
	FILE *v6 __close_file = fopen("/proc/net/ipv6_route", "re");
	char *line __free_string = NULL;
	struct strings names = {};
	char name[32], dest[40];
	unsigned int len, mask, flags;
	size_t size = 0;

	while (v4 && getline(&line, &size, v4) > 0) {
		if (sscanf(line, "%31s %39s %*s %x %*s %*s %*s %x", name, dest, &flags,
			   &mask) == 4 &&
		    !strcmp(dest, "00000000") && !mask && !strings_have(&names, name))
			strings_add(&names, "%s", name);
	}
	while (v6 && getline(&line, &size, v6) > 0) {
		if (sscanf(line, "%39s %x %*s %*s %*s %*s %*s %*s %*s %31s", dest, &len,
			   name) == 3 &&
		    !len && strspn(dest, "0") == 32 && strcmp(name, "lo") &&
		    !strings_have(&names, name))
			strings_add(&names, "%s", name);
	}
	return names;
}

/* The interfaces below the function, and those that are made of them: bridges, bonds, VLANs. */
static struct strings interfaces(const char *top)
{
	struct strings all __free_strings = dir_names("/sys/class/net");
	struct strings ours = {};
	char real[PATH_MAX];

	for (size_t i = 0; i < all.n; i++) {
		char *path __free_string = format("/sys/class/net/%s", all.v[i]);

		if (realpath(path, real) && is_below(real, top))
			strings_add(&ours, "%s", all.v[i]);
	}
	for (size_t i = 0; i < ours.n; i++) {
		struct strings links __free_strings = dir_names("/sys/class/net/%s", ours.v[i]);

		for (size_t j = 0; j < links.n; j++) {
			if (!strncmp(links.v[j], "upper_", 6) &&
			    !strings_have(&ours, links.v[j] + 6))
				strings_add(&ours, "%s", links.v[j] + 6);
		}
	}
	return ours;
}

static void check_network(struct strings *reasons, const char *top)
{
	struct strings ours __free_strings = interfaces(top);
	struct strings routes __free_strings = default_routes();
	const char *lost = NULL;

	for (size_t i = 0; i < routes.n; i++) {
		/* There is another way. */
		if (!strings_have(&ours, routes.v[i]))
			return;
		lost = routes.v[i];
	}
	if (lost)
		strings_add(reasons, "%s is the host's only way to the network", lost);
}

static void check_display(struct strings *reasons, const struct function *f)
{
	char *vga __free_string = read_file("%s/boot_vga", f->sys);
	char *display __free_string = read_file("%s/boot_display", f->sys);

	if ((vga && !strcmp(vga, "1")) || (display && !strcmp(display, "1")))
		strings_add(reasons, "it is the display that the machine boots with");
}

static void check_vfs(struct strings *reasons, const struct function *f)
{
	char *vfs __free_string = read_file("%s/sriov_numvfs", f->sys);

	if (vfs && strcmp(vfs, "0"))
		strings_add(reasons, "it has %s virtual functions, which would go with it", vfs);
}

/**
 * guard_reasons - what the host would lose if it gave this function away
 * @f: the function
 *
 * Return: why not to; none if there is nothing to be said against it
 */
struct strings guard_reasons(const struct function *f)
{
	struct strings reasons = {};
	char top[PATH_MAX];

	if (realpath(f->sys, top)) {
		check_disks(&reasons, top);
		check_network(&reasons, top);
	}
	check_display(&reasons, f);
	check_vfs(&reasons, f);
	return reasons;
}
