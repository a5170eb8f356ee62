// SPDX-License-Identifier: GPL-2.0-only
/* doctor, of a function: whether it answers, who is in its IOMMU group and why, who uses it. */
#include <errno.h>
#include <limits.h>
#include <pci/pci.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "finding.h"
#include "guard.h"
#include "owner.h"

/* What keeps functions below a port from reaching each other: all requests go up to the IOMMU. */
#define ACS_NEEDED (PCI_ACS_CTRL_VALID | PCI_ACS_CTRL_REQ_RED | PCI_ACS_CTRL_CMPLT_RED | \
		    PCI_ACS_CTRL_FORWARD)

#define FB_DRIVER "/sys/bus/platform/drivers/simple-framebuffer"

static bool check_answers(struct findings *findings, struct function *f)
{
	if (function_answers(f))
		return true;
	findings_add(findings, ERROR, "no-answer", f,
		     xstrdup("It does not answer: its config space reads as all ones."),
		     xstrdup("It has no power, its link is down, or it has died. Scanning its bus "
			     "anew may bring it back; else the machine has to be powered off."),
		     format("echo 1 > %s/remove; echo 1 > /sys/bus/pci/rescan", f->sys));
	return false;
}

/* The name of a port above that lets its functions reach each other, or NULL */
static char *port_without_acs(struct host *host, const struct function *f)
{
	char real[PATH_MAX], *end;

	if (!realpath(f->sys, real))
		return NULL;
	while ((end = strrchr(real, '/'))) {
		struct function *port;
		struct pci_cap *cap;

		*end = '\0';
		end = strrchr(real, '/');
		port = end ? function_find(host, end + 1) : NULL;
		if (!port)
			return NULL;
		pci_fill_info(port->pci, PCI_FILL_CAPS | PCI_FILL_EXT_CAPS);
		cap = pci_find_cap(port->pci, PCI_EXT_CAP_ID_ACS, PCI_CAP_EXTENDED);
		if (!cap || (pci_read_word(port->pci, cap->addr + PCI_ACS_CTRL) & ACS_NEEDED) !=
			    ACS_NEEDED)
			return xstrdup(port->address);
	}
	return NULL;
}

static void check_group(struct findings *findings, struct host *host, struct function *f)
{
	struct strings others __free_strings = {};
	char *list __free_string = NULL;
	char *port __free_string = NULL;

	for (size_t i = 0; i < host->n; i++) {
		struct function *other = &host->functions[i];

		if (other != f && other->group == f->group && !other->bridge && !other->node &&
		    other->driver && strcmp(other->driver, "pci-stub"))
			strings_add(&others, "%s (%s)", other->address, other->driver);
	}
	if (!others.n)
		return;
	list = strings_join(&others, ", ");
	port = port_without_acs(host, f);
	findings_add(findings, ERROR, "group", f,
		     format("The host uses other functions of its IOMMU group, %d: %s.", f->group,
			    list),
		     format("They can reach each other without the IOMMU%s%s%s, so that they can "
			    "be assigned only together.",
			    port ? ", as the port " : "", port ?: "",
			    port ? " does not keep them apart (ACS)" : ""),
		     format("vfioctl bind --group %s", f->address));
}

/* Memory that the firmware goes on using with the device: VT-d's RMRR, AMD-Vi's unity mappings */
static void check_reserved(struct findings *findings, struct function *f)
{
	char *path __free_string = format("/sys/kernel/iommu_groups/%d/reserved_regions", f->group);
	FILE *file __close_file = fopen(path, "re");
	char *line __free_string = NULL;
	size_t size = 0;

	while (file && getline(&line, &size, file) > 0) {
		char start[32], end[32], type[32];

		if (sscanf(line, "%31s %31s %31s", start, end, type) != 3 ||
		    strcmp(type, "direct"))
			continue;
		findings_add(findings, ERROR, "rmrr", f,
			     format("The firmware wants to keep using it, by memory at %s to %s "
				    "(RMRR).",
				    start, end),
			     xstrdup("What uses that memory would go on while a user has the "
				     "device. Many BIOSes can be told not to: look for shared "
				     "memory features of the slot, or remote management of the "
				     "device."),
			     NULL);
	}
}

static void check_framebuffer(struct findings *findings, struct function *f)
{
	FILE *file __close_file = fopen("/proc/iomem", "re");
	char *line __free_string = NULL;
	bool inside = false;
	size_t size = 0;

	while (file && getline(&line, &size, file) > 0) {
		unsigned int domain, bus, device, function;
		unsigned long long start, end;
		char *name = strstr(line, " : ");

		if (!name || sscanf(line, " %llx-%llx", &start, &end) != 2)
			continue;
		name[strcspn(name, "\n")] = '\0';
		/* The BAR comes first, and what is in it follows. */
		if (strstr(name, "PCI Bus") ||
		    sscanf(name, " : %x:%x:%x.%x", &domain, &bus, &device, &function) == 4)
			inside = !strcmp(name + 3, f->address);
		if (!inside || (!strstr(name, "BOOTFB") && !strstr(name, "simplefb") &&
				!strstr(name, "efifb") && !strstr(name, "vesafb") &&
				!strstr(name, "simple-framebuffer")))
			continue;
		findings_add(findings, ERROR, "framebuffer", f,
			     format("The firmware's frame buffer is in its BAR (%s), and the host "
				    "draws there.",
				    name + 3),
			     xstrdup("The user would not get that BAR. Without it, the console of "
				     "the host goes dark."),
			     exists(FB_DRIVER "/simple-framebuffer.0") ?
			     xstrdup("echo simple-framebuffer.0 > " FB_DRIVER "/unbind") :
			     xstrdup("add initcall_blacklist=sysfb_init to the kernel's command "
				     "line"));
		return;
	}
}

static void check_use(struct findings *findings, struct function *f)
{
	struct strings reasons __free_strings = {};
	struct owners owners __free_owners = {};

	if (!f->node) {
		reasons = guard_reasons(f);
		if (reasons.n)
			findings_add(findings, ERROR, "in-use-by-host", f,
				     format("The host is in need of it: %s.", reasons.v[0]),
				     xstrdup("It would lose that, perhaps with its data. vfioctl "
					     "bind refuses it, unless forced."),
				     NULL);
		findings_add(findings, NOTE, "not-bound", f,
			     f->driver ? format("It has a driver of the host, %s.", f->driver) :
			     xstrdup("It has no driver."),
			     xstrdup("To be assigned, it is bound to vfio-pci. libvirt does that "
				     "by itself for managed devices."),
			     format("vfioctl bind %s", f->address));
		return;
	}
	owners_find(&owners, f);
	for (size_t i = 0; i < owners.n; i++) {
		const struct owner *owner = &owners.v[i];

		if (owner->error)
			findings_add(findings, NOTE, "last-error", f,
				     format("Its user, process %d, was told: %s", owner->pid,
					    owner->error),
				     xstrdup("This is why the last call that failed did "
					     "so."), NULL);
	}
	if (owners.n) {
		char *who __free_string = owners_text(&owners);

		findings_add(findings, NOTE, "in-use", f, format("It is in use by %s.", who),
			     xstrdup("A device has one user at a time."), NULL);
	}
}

static void check_node(struct findings *findings, struct function *f)
{
	char *path __free_string = f->node ? format("/dev/vfio/devices/%s", f->node) : NULL;

	if (!path || !access(path, R_OK | W_OK))
		return;
	if (errno == EACCES || errno == EPERM)
		findings_add(findings, ERROR, "node-permission", f,
			     format("This user may not open %s.", path),
			     xstrdup("The node belongs to root, unless udev gives it to somebody "
				     "else."),
			     format("chown %s %s", getenv("USER") ?: "USER", path));
	else
		findings_add(findings, ERROR, "node", f,
			     format("%s: %s.", path, strerror(errno)),
			     xstrdup("Something has removed the node, or keeps /dev from being "
				     "filled. In a container, it has to be passed in."),
			     NULL);
}

static void check_reset(struct findings *findings, struct function *f)
{
	struct strings resets __free_strings = function_resets(f);

	if (resets.n)
		return;
	findings_add(findings, WARNING, "no-reset", f,
		     xstrdup("It cannot be reset by itself."),
		     xstrdup("Each user finds what the one before has left in it, unless all "
			     "functions of its bus are bound and unused, when the bus is reset."),
		     exists("%s/reset_method", f->sys) ?
		     format("echo default > %s/reset_method", f->sys) : NULL);
}

/* A PF that has VFs, or a VF whose PF a user may have */
static void check_sriov(struct findings *findings, struct host *host, struct function *f)
{
	char *vfs __free_string = read_file("%s/sriov_numvfs", f->sys);
	char *pf_address __free_string = link_name("%s/physfn", f->sys);
	struct function *pf = pf_address ? function_find(host, pf_address) : NULL;

	if (vfs && strcmp(vfs, "0") && !f->node)
		findings_add(findings, ERROR, "has-vfs", f,
			     format("It has %s virtual functions.", vfs),
			     xstrdup("A physical function is bound to vfio-pci before it gets any. "
				     "Its virtual functions can be assigned instead."),
			     format("echo 0 > %s/sriov_numvfs", f->sys));
	if (pf && pf->node)
		findings_add(findings, WARNING, "vf-token", f,
			     format("Its physical function, %s, is bound to %s.", pf->address,
				    pf->driver),
			     xstrdup("The users of both have to know the same token, which QEMU "
				     "does not pass on: it can use the virtual function only if a "
				     "driver of the host has the physical one."),
			     format("vfioctl unbind %s", pf->address));
}

/**
 * check_function - can this function be assigned?
 * @findings: takes what stands in the way
 * @host: all functions
 * @f: this one
 */
void check_function(struct findings *findings, struct host *host, struct function *f)
{
	if (f->bridge) {
		findings_add(findings, ERROR, "bridge", f, xstrdup("It is a bridge."),
			     xstrdup("Bridges belong to the host. What is behind them can be "
				     "assigned."),
			     NULL);
		return;
	}
	if (!check_answers(findings, f))
		return;
	if (f->group < 0)
		findings_add(findings, ERROR, "no-group", f,
			     xstrdup("It is in no IOMMU group: no IOMMU translates for it."),
			     xstrdup("Either the host has no IOMMU that is on, or this function is "
				     "not behind it."),
			     NULL);
	else
		check_group(findings, host, f);
	check_reserved(findings, f);
	check_framebuffer(findings, f);
	check_sriov(findings, host, f);
	check_use(findings, f);
	check_node(findings, f);
	check_reset(findings, f);
}
