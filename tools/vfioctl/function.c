// SPDX-License-Identifier: GPL-2.0-only
/* PCI functions, as sysfs has them, and how people name them. */
#include <pci/pci.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "function.h"
#include "json.h"
#include "owner.h"

#define SYS_DEVICES "/sys/bus/pci/devices"

static int by_address(const void *a, const void *b)
{
	const struct pci_dev *x = ((const struct function *)a)->pci;
	const struct pci_dev *y = ((const struct function *)b)->pci;

	if (x->domain != y->domain)
		return x->domain < y->domain ? -1 : 1;
	return (x->bus << 8 | x->dev << 3 | x->func) - (y->bus << 8 | y->dev << 3 | y->func);
}

static int number_in(const char *sys, const char *attribute)
{
	char *text __free_string = read_file("%s/%s", sys, attribute);

	return text ? atoi(text) : -1;
}

static void function_init(struct function *f, struct pci_access *pci, struct pci_dev *dev)
{
	char *group __free_string = NULL;
	char name[256];

	pci_fill_info(dev, PCI_FILL_IDENT | PCI_FILL_CLASS | PCI_FILL_CLASS_EXT);
	snprintf(f->address, sizeof(f->address), "%04x:%02x:%02x.%d", dev->domain, dev->bus,
		 dev->dev, dev->func);
	f->sys = format(SYS_DEVICES "/%s", f->address);
	f->pci = dev;
	f->vendor = dev->vendor_id;
	f->device = dev->device_id;
	f->class = dev->device_class << 8 | dev->prog_if;
	/* Of the class of bridges are also host bridges and others that have an ordinary header. */
	f->bridge = f->class >> 8 == PCI_CLASS_BRIDGE_PCI;
	f->name = xstrdup(pci_lookup_name(pci, name, sizeof(name),
					  PCI_LOOKUP_VENDOR | PCI_LOOKUP_DEVICE, f->vendor,
					  f->device));
	group = link_name("%s/iommu_group", f->sys);
	f->group = group ? atoi(group) : -1;
	f->numa = number_in(f->sys, "numa_node");
	function_refresh(f);
}

/**
 * host_scan - find all functions of the host
 * @host: takes them; all zero
 */
void host_scan(struct host *host)
{
	struct pci_dev *dev;

	host->pci = pci_alloc();
	host->pci->method = PCI_ACCESS_SYS_BUS_PCI;
	pci_init(host->pci);
	pci_scan_bus(host->pci);
	for (dev = host->pci->devices; dev; dev = dev->next) {
		host->functions = xalloc(host->functions, host->n + 1, sizeof(*host->functions));
		host->functions[host->n] = (struct function){};
		function_init(&host->functions[host->n++], host->pci, dev);
	}
	if (host->n)
		qsort(host->functions, host->n, sizeof(*host->functions), by_address);
}

static void forget_state(struct function *f)
{
	free(f->driver);
	free(f->override);
	free(f->node);
}

/**
 * host_free - the mirror of host_scan()
 * @host: what it has filled
 */
void host_free(struct host *host)
{
	for (size_t i = 0; i < host->n; i++) {
		forget_state(&host->functions[i]);
		free(host->functions[i].sys);
		free(host->functions[i].name);
	}
	free(host->functions);
	if (host->pci)
		pci_cleanup(host->pci);
}

/**
 * function_refresh - look again at what changes with time
 * @f: the function
 */
void function_refresh(struct function *f)
{
	struct strings nodes __free_strings = dir_names("%s/vfio-dev", f->sys);
	char *number __free_string = NULL;
	unsigned int major, minor;

	forget_state(f);
	f->driver = link_name("%s/driver", f->sys);
	f->override = read_file("%s/driver_override", f->sys);
	/* How the kernel prints that there is none */
	if (f->override && (!strcmp(f->override, "(null)") || !*f->override)) {
		free(f->override);
		f->override = NULL;
	}
	f->node = nodes.n ? xstrdup(nodes.v[0]) : NULL;
	f->rdev = 0;
	if (!f->node)
		return;
	number = read_file("%s/vfio-dev/%s/dev", f->sys, f->node);
	if (number && sscanf(number, "%u:%u", &major, &minor) == 2)
		f->rdev = makedev(major, minor);
}

/**
 * function_find - the function that has an address
 * @host: all of them
 * @address: the whole address
 *
 * Return: the function, or NULL
 */
struct function *function_find(struct host *host, const char *address)
{
	for (size_t i = 0; i < host->n; i++) {
		if (!strcmp(host->functions[i].address, address))
			return &host->functions[i];
	}
	return NULL;
}

/**
 * function_answers - is it there, and awake enough to be read?
 * @f: the function
 *
 * By the status register: of VFs, the ID reads as all ones in any case.
 *
 * Return: false if it reads as all ones
 */
bool function_answers(struct function *f)
{
	uint8_t status[2];

	return pci_read_block(f->pci, PCI_STATUS, status, sizeof(status)) &&
	       (status[0] != 0xff || status[1] != 0xff);
}

/**
 * function_same_slot - are both functions of one device?
 * @a: one
 * @b: another one
 *
 * Return: whether they are
 */
bool function_same_slot(const struct function *a, const struct function *b)
{
	return a->pci->domain == b->pci->domain && a->pci->bus == b->pci->bus &&
	       a->pci->dev == b->pci->dev;
}

/**
 * function_resets - the reset methods, in the order in which the kernel tries them
 * @f: the function
 *
 * Return: their names; none if it has no reset of its own
 */
struct strings function_resets(const struct function *f)
{
	char *text __free_string = read_file("%s/reset_method", f->sys);
	struct strings methods = {};
	char *at = text, *word;

	while (at && (word = strsep(&at, "\n "))) {
		if (*word)
			strings_add(&methods, "%s", word);
	}
	return methods;
}

/**
 * function_state - what is going on with a function, in a word
 * @f: the function
 *
 * Return: "absent", "unbound", "host", "free", "open", "in-use" or "revoked"
 */
const char *function_state(struct function *f)
{
	struct owners owners __free_owners = {};

	if (!function_answers(f))
		return "absent";
	if (!f->driver)
		return "unbound";
	if (!f->node)
		return "host";
	owners_find(&owners, f);
	if (!owners.n)
		return "free";
	for (size_t i = 0; i < owners.n; i++) {
		/* Drivers other than ours do not tell whether a file is bound. */
		if (!owners.v[i].state || !strcmp(owners.v[i].state, "bound"))
			return "in-use";
	}
	return owners.v[0].state;
}

/**
 * function_json - all that is known of a function without opening it
 * @f: the function
 *
 * Return: an object that the caller puts
 */
struct json_object *function_json(struct function *f)
{
	char *power __free_string = read_file("%s/power_state", f->sys);
	struct strings resets __free_strings = function_resets(f);
	char *path __free_string = f->node ? format("/dev/vfio/devices/%s", f->node) : NULL;
	struct owners owners __free_owners = {};
	struct json_object *o = json_object_new_object();

	owners_find(&owners, f);
	json_text(o, "address", f->address);
	json_hex(o, "vendor_id", f->vendor, 4);
	json_hex(o, "device_id", f->device, 4);
	json_hex(o, "class", f->class, 6);
	json_text(o, "name", f->name);
	json_text(o, "driver", f->driver);
	json_text(o, "driver_override", f->override);
	json_index(o, "iommu_group", f->group);
	json_index(o, "numa_node", f->numa);
	json_text(o, "node", path);
	json_text(o, "state", function_state(f));
	json_text(o, "power_state", power);
	json_strings(o, "reset_methods", &resets);
	json_object_object_add(o, "users", owners_json(&owners));
	return o;
}

/* [DOMAIN:]BUS:DEVICE[.FUNCTION]. Returns how many of the numbers there are, 0 if it is no such. */
static int parse_address(const char *s, unsigned int n[4])
{
	int end = -1;

	if (sscanf(s, "%8x:%2x:%2x.%1x%n", &n[0], &n[1], &n[2], &n[3], &end) == 4 && !s[end])
		return 4;
	end = -1;
	if (sscanf(s, "%8x:%2x:%2x%n", &n[0], &n[1], &n[2], &end) == 3 && end > 0 && !s[end])
		return 3;
	n[0] = 0;
	end = -1;
	if (sscanf(s, "%2x:%2x.%1x%n", &n[1], &n[2], &n[3], &end) == 3 && end > 0 && !s[end])
		return 4;
	end = -1;
	if (sscanf(s, "%2x:%2x%n", &n[1], &n[2], &end) == 2 && end > 0 && !s[end])
		return 3;
	return 0;
}

static bool parse_id(const char *s, unsigned int *vendor, unsigned int *device)
{
	int end = -1;

	return strlen(s) == 9 && s[4] == ':' &&
	       sscanf(s, "%4x:%4x%n", vendor, device, &end) == 2 && end == 9;
}

/* The address of a physical slot, which is that of a device, without a function. */
static char *slot_address(const char *spec)
{
	if (strncmp(spec, "slot:", 5) || !spec[5] || strchr(spec, '/'))
		return NULL;
	return read_file("/sys/bus/pci/slots/%s/address", spec + 5);
}

/**
 * spec_is_id - is it an ID, which any number of functions can have?
 * @spec: what the user has typed
 *
 * Return: whether it is VENDOR:DEVICE
 */
bool spec_is_id(const char *spec)
{
	unsigned int vendor, device;

	return parse_id(spec, &vendor, &device);
}

/**
 * spec_valid - can it name functions at all?
 * @spec: what the user has typed
 *
 * Return: whether it has one of the forms that spec_matches() knows
 */
bool spec_valid(const char *spec)
{
	unsigned int n[4];
	int end = -1;

	return parse_address(spec, n) || parse_id(spec, &n[0], &n[1]) ||
	       !strncmp(spec, "slot:", 5) || !strncmp(spec, "/dev/vfio/devices/", 18) ||
	       (sscanf(spec, "vfio%u%n", &n[0], &end) == 1 && end > 0 && !spec[end]);
}

/**
 * spec_matches - does it name this function?
 * @spec: an address, of a function or of a device; VENDOR:DEVICE; slot:NAME, a physical slot; or
 *	vfioN, also with its path
 * @f: the function
 *
 * Return: whether it does
 */
bool spec_matches(const char *spec, const struct function *f)
{
	char *slot __free_string = slot_address(spec);
	unsigned int n[4], vendor, device;
	int numbers;

	if (parse_id(spec, &vendor, &device))
		return f->vendor == vendor && f->device == device;
	numbers = parse_address(slot ?: spec, n);
	if (numbers)
		return (unsigned int)f->pci->domain == n[0] && f->pci->bus == n[1] &&
		       f->pci->dev == n[2] && (numbers == 3 || f->pci->func == n[3]);
	if (!strncmp(spec, "/dev/vfio/devices/", 18))
		spec += 18;
	return f->node && !strcmp(spec, f->node);
}
