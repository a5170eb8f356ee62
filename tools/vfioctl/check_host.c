// SPDX-License-Identifier: GPL-2.0-only
/* doctor, of the host: firmware, kernel, modules, and what this user may do. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <zlib.h>

#include "finding.h"
#include "module.h"

#define ACPI "/sys/firmware/acpi/tables/"
#define GIB (1024ULL * 1024 * 1024)

/**
 * struct config - the kernel's configuration
 * @text: all of it, or NULL if it is nowhere to be found
 */
struct config {
	char *text;
};

static void free_config(struct config *config)
{
	free(config->text);
}

static char *read_compressed(const char *path)
{
	gzFile file = gzopen(path, "re");
	size_t room = 1 << 16, len = 0;
	char *text;
	int got;

	if (!file)
		return NULL;
	text = xalloc(NULL, room, 1);
	while ((got = gzread(file, text + len, room - len - 1)) > 0) {
		len += got;
		if (room - len < 4096) {
			room *= 2;
			text = xalloc(text, room, 1);
		}
	}
	gzclose(file);
	text[len] = '\0';
	return text;
}

static void read_config(struct config *config, const char *release)
{
	config->text = read_compressed("/proc/config.gz");
	if (!config->text)
		config->text = read_file("/boot/config-%s", release);
	if (!config->text)
		config->text = read_file("/lib/modules/%s/config", release);
}

/* 'y', 'm', or 'n'; '?' if there is no knowing */
static char option(const struct config *config, const char *name)
{
	char *line __free_string = format("\nCONFIG_%s=", name);
	char *at;

	if (!config->text)
		return '?';
	at = strstr(config->text, line);
	return at ? at[strlen(line)] : 'n';
}

/* A word of the kernel's command line */
static bool has_word(const char *line, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = line; (at = strstr(at, word)); at += len) {
		bool starts = at == line || at[-1] == ' ';
		bool ends = !at[len] || at[len] == ' ' || at[len] == ',';

		if (starts && ends)
			return true;
	}
	return false;
}

static const char *iommu_off(const char *line)
{
	static const char *const words[] = { "intel_iommu=off", "amd_iommu=off", "iommu=off" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (has_word(line, words[i]))
			return words[i];
	}
	return NULL;
}

static char *boot_word(const char *word)
{
	return format("add %s to GRUB_CMDLINE_LINUX in /etc/default/grub; update-grub", word);
}

static void add_no_iommu(struct findings *findings, char *what, char *mend)
{
	findings_add(findings, ERROR, "iommu", NULL, what,
		     xstrdup("Without an IOMMU that translates, a device could access all memory: "
			     "nothing can be assigned."),
		     mend);
}

static bool check_iommu(struct findings *findings, const struct config *config)
{
	struct strings iommus __free_strings = dir_names("/sys/class/iommu");
	struct strings groups __free_strings = dir_names("/sys/kernel/iommu_groups");
	char *line __free_string = read_file("/proc/cmdline");
	bool dmar = exists(ACPI "DMAR"), ivrs = exists(ACPI "IVRS");
	const char *off = line ? iommu_off(line) : NULL;

	if (iommus.n && groups.n)
		return true;
	if (off)
		add_no_iommu(findings, format("The IOMMU is turned off by %s on the kernel's "
					      "command line.", off),
			     format("sed -i 's/ *%s//' /etc/default/grub && update-grub", off));
	else if (dmar && option(config, "INTEL_IOMMU") == 'n')
		add_no_iommu(findings, xstrdup("The kernel was built without CONFIG_INTEL_IOMMU."),
			     NULL);
	else if (dmar)
		add_no_iommu(findings, xstrdup("The IOMMU (VT-d) is there, but the kernel does not "
					       "use it."),
			     boot_word("intel_iommu=on"));
	else if (ivrs && option(config, "AMD_IOMMU") == 'n')
		add_no_iommu(findings, xstrdup("The kernel was built without "
					       "CONFIG_AMD_IOMMU."), NULL);
	else if (ivrs)
		add_no_iommu(findings, xstrdup("The IOMMU (AMD-Vi) is there, but the kernel does "
					       "not use it."),
			     xstrdup("dmesg | grep AMD-Vi"));
	else if (exists(ACPI "IORT") || exists(ACPI "VIOT"))
		add_no_iommu(findings, xstrdup("There is an IOMMU, but the kernel has no driver "
					       "for it."),
			     xstrdup("dmesg | grep -i iommu"));
	else
		add_no_iommu(findings, xstrdup("The firmware tells of no IOMMU: turn on VT-d "
					       "(Intel) or AMD-Vi, IOMMU (AMD) in its set-up. In a "
					       "virtual machine, it needs a virtual IOMMU."),
			     xstrdup("systemctl reboot --firmware-setup"));
	return false;
}

/* On x86, the names of interrupt chips begin with IR- where interrupts are remapped. */
static void check_remapping(struct findings *findings)
{
#if defined(__x86_64__) || defined(__i386__)
	char *interrupts __free_string = read_file("/proc/interrupts");
	char *unsafe __free_string =
		read_file("/sys/module/iommufd/parameters/allow_unsafe_interrupts");
	bool allowed = unsafe && !strcmp(unsafe, "Y");

	if (!interrupts || strstr(interrupts, "IR-"))
		return;
	findings_add(findings, allowed ? WARNING : ERROR, "interrupt-remapping", NULL,
		     xstrdup("Interrupts are not remapped."),
		     xstrdup("A device can send any interrupt to the host, and so take it over. "
			     "iommufd refuses devices there, unless it is told to allow it, for "
			     "users who are trusted with the host."),
		     allowed ? NULL :
		     xstrdup("echo Y > /sys/module/iommufd/parameters/allow_unsafe_interrupts"));
#endif
}

static void check_config(struct findings *findings, const struct config *config,
			 const char *release)
{
	static const struct {
		const char *name;
		const char *why;
	} options[] = {
		{ "IOMMUFD", "Devices are assigned by way of iommufd." },
		{ "PCI_MSI", "Devices interrupt by messages." },
	};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		/* A distribution's iommufd may come from a package of its own. */
		if (option(config, options[i].name) != 'n' ||
		    (!strcmp(options[i].name, "IOMMUFD") && module_available("iommufd")))
			continue;
		findings_add(findings, ERROR, "kernel-config", NULL,
			     format("Linux %s was built without CONFIG_%s.", release,
				    options[i].name),
			     xstrdup(options[i].why), NULL);
	}
	if (module_builtin("vfio") || module_builtin("vfio-pci"))
		findings_add(findings, ERROR, "vfio-built-in", NULL,
			     format("VFIO is part of this kernel, Linux %s "
				    "(CONFIG_VFIO=y).", release),
			     xstrdup("Nothing can take the place of what is built in: it takes a "
				     "kernel where VFIO is off or a module."),
			     NULL);
}

/* The modules that cannot be there together with ours */
static void check_in_tree(struct findings *findings)
{
	if (!exists("/sys/module/vfio/refcnt"))
		return;
	findings_add(findings, ERROR, "in-tree-vfio", NULL,
		     xstrdup("The kernel's own VFIO modules are loaded."),
		     xstrdup("vfio-iommufd and its vfio-pci cannot be loaded beside them. Devices "
			     "that are bound to them have to be unbound first."),
		     xstrdup("modprobe -r vfio_pci vfio_pci_core vfio_iommu_type1 vfio"));
}

static void check_signature(struct findings *findings)
{
	char *enforced __free_string = read_file("/sys/module/module/parameters/sig_enforce");
	char *lockdown __free_string = read_file("/sys/kernel/security/lockdown");

	if ((!enforced || strcmp(enforced, "Y")) && (!lockdown || strstr(lockdown, "[none]")))
		return;
	findings_add(findings, WARNING, "module-signature", NULL,
		     xstrdup("The kernel loads only modules with a signature that it knows."),
		     xstrdup("With Secure Boot, modules that were built on this machine have to be "
			     "signed with a key that its owner has enrolled; DKMS has one."),
		     xstrdup("mokutil --import /var/lib/dkms/mok.pub"));
}

static void check_modules(struct findings *findings)
{
	static const char *const modules[] = { "iommufd", "vfio-iommufd", "vfio-pci" };
	bool loaded = exists("/sys/module/vfio_iommufd") && exists("/sys/module/vfio_pci");

	check_in_tree(findings);
	if (loaded)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(modules); i++) {
		if (module_available(modules[i]) || (i == 0 && exists("/dev/iommu")))
			continue;
		findings_add(findings, ERROR, "module-missing", NULL,
			     format("There is no module %s for the running kernel.", modules[i]),
			     i ? xstrdup("It is made from the source of this driver, for each "
					 "kernel anew; DKMS does so by itself.") :
			     xstrdup("It belongs to the kernel, or to a package beside it."),
			     i ? xstrdup("make modules_install KDIR=/lib/modules/$(uname "
					 "-r)/build") :
			     NULL);
		return;
	}
	check_signature(findings);
	findings_add(findings, NOTE, "modules-not-loaded", NULL,
		     xstrdup("The modules are not loaded yet."),
		     xstrdup("vfioctl bind loads them."), NULL);
}

static void check_user(struct findings *findings)
{
	unsigned long long memory = (unsigned long long)sysconf(_SC_PHYS_PAGES) *
				    sysconf(_SC_PAGESIZE);
	struct rlimit limit;

	if (!geteuid())
		return;
	if (exists("/dev/iommu") && access("/dev/iommu", R_OK | W_OK))
		findings_add(findings, ERROR, "iommu-permission", NULL,
			     format("This user may not open /dev/iommu: %s.", strerror(errno)),
			     xstrdup("Whoever uses a device needs that file as well."),
			     xstrdup("chgrp vfio /dev/iommu && chmod 660 /dev/iommu"));
	/* Memory that a device can access is pinned, which counts. */
	if (!getrlimit(RLIMIT_MEMLOCK, &limit) && limit.rlim_cur != RLIM_INFINITY &&
	    limit.rlim_cur < (memory < GIB ? memory : GIB))
		findings_add(findings, WARNING, "memlock", NULL,
			     format("This user may pin no more than %llu KiB of memory.",
				    (unsigned long long)limit.rlim_cur >> 10),
			     xstrdup("All memory of a VM that has a device is pinned: the VM fails "
				     "to start with ENOMEM if it has more. root is not limited."),
			     format("echo '%s - memlock unlimited' >> /etc/security/limits.conf",
				    getenv("USER") ?: "USER"));
}

static void check_nodes(struct findings *findings)
{
	static const char *const daemons[] = {
		"/usr/sbin/virtqemud", "/usr/sbin/libvirtd",
	};
	bool libvirt = false;

	if (!exists("/dev/iommu") && module_available("iommufd"))
		findings_add(findings, NOTE, "iommufd-not-loaded", NULL,
			     xstrdup("/dev/iommu is not there: iommufd is not loaded yet."),
			     xstrdup("Users of devices need it. The VFIO modules load it."),
			     xstrdup("modprobe iommufd"));
	for (size_t i = 0; i < ARRAY_SIZE(daemons); i++)
		libvirt |= exists("%s", daemons[i]);
	if (libvirt && !exists("/dev/vfio/vfio"))
		findings_add(findings, WARNING, "libvirt-file", NULL,
			     xstrdup("libvirt is installed, but there is no file /dev/vfio/vfio."),
			     xstrdup("libvirt takes that as a sign that the host cannot assign "
				     "devices. It does not open the file, which may be empty, "
				     "where a VM has iommufd='yes'."),
			     xstrdup("install -D -m 0600 /dev/null /dev/vfio/vfio"));
}

/**
 * check_host - can any device of this host be assigned?
 * @findings: takes what stands in the way
 */
void check_host(struct findings *findings)
{
	struct config config __cleanup(free_config) = {};
	struct utsname uts;

	uname(&uts);
	read_config(&config, uts.release);
	if (check_iommu(findings, &config))
		check_remapping(findings);
	check_config(findings, &config, uts.release);
	check_modules(findings);
	check_nodes(findings);
	check_user(findings);
}
