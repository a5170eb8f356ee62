// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfioctl info: what a user of a device finds. To see that, it is opened, unless it has a user
 * already or is the host's; then it is told what is known without.
 */
#include <errno.h>
#include <pci/pci.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "capability.h"
#include "json.h"
#include "owner.h"
#include "session.h"
#include "uapi/vfio.h"
#include "uapi/vfio_ext.h"
#include "vfioctl.h"

#define CONFIG_SIZE 4096

static const char *const region_names[] = {
	"BAR 0", "BAR 1", "BAR 2", "BAR 3", "BAR 4", "BAR 5", "ROM", "config space", "legacy VGA",
};

static const char *const irq_names[] = { "INTx", "MSI", "MSI-X", "error", "request" };

static struct json_object *group_json(struct host *host, const struct function *f)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < host->n && f->group >= 0; i++) {
		const struct function *other = &host->functions[i];
		struct json_object *o;

		if (other == f || other->group != f->group)
			continue;
		o = json_object_new_object();
		json_text(o, "address", other->address);
		json_text(o, "name", other->name);
		json_text(o, "driver", other->driver);
		json_object_array_add(array, o);
	}
	return array;
}

static void add_region(struct json_object *array, uint32_t index, uint64_t size,
		       const struct strings *access)
{
	struct json_object *o = json_object_new_object();

	json_number(o, "index", index);
	json_text(o, "name", index < ARRAY_SIZE(region_names) ? region_names[index] : "vendor's");
	json_number(o, "size", size);
	json_strings(o, "access", access);
	json_object_array_add(array, o);
}

static struct json_object *regions_json(const struct session *s, uint32_t n)
{
	struct json_object *array = json_object_new_array();

	for (uint32_t i = 0; i < n; i++) {
		struct strings access __free_strings = {};
		uint64_t size, offset;
		uint32_t flags;

		if (!session_region(s, i, &flags, &size, &offset))
			continue;
		if (flags & VFIO_REGION_INFO_FLAG_READ)
			strings_add(&access, "read");
		if (flags & VFIO_REGION_INFO_FLAG_WRITE)
			strings_add(&access, "write");
		if (flags & VFIO_REGION_INFO_FLAG_MMAP)
			strings_add(&access, "mmap");
		add_region(array, i, size, &access);
	}
	return array;
}

/* By libpci: what the function has, whoever may access it. */
static struct json_object *bars_json(struct function *f)
{
	struct json_object *array = json_object_new_array();
	struct strings none = {};

	pci_fill_info(f->pci, PCI_FILL_BASES | PCI_FILL_ROM_BASE | PCI_FILL_SIZES);
	for (int i = 0; i < 6; i++) {
		if (f->pci->size[i])
			add_region(array, i, f->pci->size[i], &none);
	}
	if (f->pci->rom_size)
		add_region(array, 6, f->pci->rom_size, &none);
	return array;
}

static struct json_object *irqs_json(const struct session *s, uint32_t n)
{
	struct json_object *array = json_object_new_array();

	for (uint32_t i = 0; i < n && i < ARRAY_SIZE(irq_names); i++) {
		struct json_object *o;
		uint32_t flags, count;

		if (!session_irq(s, i, &flags, &count))
			continue;
		o = json_object_new_object();
		json_text(o, "name", irq_names[i]);
		json_number(o, "count", count);
		json_flag(o, "maskable", flags & VFIO_IRQ_INFO_MASKABLE);
		json_flag(o, "resizable", !(flags & VFIO_IRQ_INFO_NORESIZE));
		json_object_array_add(array, o);
	}
	return array;
}

static bool has(const struct capability *list, int n, const struct capability *c)
{
	for (int i = 0; i < n; i++) {
		if (list[i].id == c->id && list[i].extended == c->extended)
			return true;
	}
	return false;
}

/* The function's, and which of them its user sees; NULL where nobody can tell */
static struct json_object *capabilities_json(struct function *f, const struct session *s)
{
	struct capability real[MAX_CAPABILITIES], seen[MAX_CAPABILITIES];
	struct json_object *array = json_object_new_array();
	uint8_t config[CONFIG_SIZE] = {};
	int nr_real, nr_seen = 0, size;
	uint64_t region, offset;
	uint32_t flags;

	size = pci_read_block(f->pci, 0, config, CONFIG_SIZE) ? CONFIG_SIZE : 256;
	if (size == 256)
		pci_read_block(f->pci, 0, config, 256);
	nr_real = capabilities(config, size, real);
	if (s && session_region(s, VFIO_PCI_CONFIG_REGION_INDEX, &flags, &region, &offset)) {
		ssize_t got;

		/* From its start: there is no reading past its end. */
		got = pread(s->device, config, region < CONFIG_SIZE ? region : CONFIG_SIZE, offset);
		nr_seen = got > 0 ? capabilities(config, got, seen) : 0;
	}
	for (int i = 0; i < nr_real; i++) {
		struct json_object *o = json_object_new_object();
		const char *name = capability_name(&real[i]);

		json_hex(o, "id", real[i].id, real[i].extended ? 4 : 2);
		json_flag(o, "extended", real[i].extended);
		json_text(o, "name", name);
		if (s)
			json_flag(o, "visible", has(seen, nr_seen, &real[i]));
		else
			json_text(o, "visible", NULL);
		json_object_array_add(array, o);
	}
	return array;
}

static void add_feature(struct json_object *array, const char *name, bool available,
			const char *detail)
{
	struct json_object *o = json_object_new_object();

	json_text(o, "name", name);
	json_flag(o, "available", available);
	json_text(o, "detail", detail);
	json_object_array_add(array, o);
}

static void add_resets(struct json_object *array, struct function *f, const struct session *s,
		       uint32_t flags)
{
	struct strings others __free_strings = {};
	char *list __free_string = NULL;
	char *text __free_string = NULL;
	int ret;

	add_feature(array, "reset", flags & VFIO_DEVICE_FLAGS_RESET,
		    flags & VFIO_DEVICE_FLAGS_RESET ? NULL :
		    exists("%s/reset_method", f->sys) ? "its reset_method in sysfs is empty" :
		    "it has no reset of its own, only with its bus");
	ret = session_hot_reset(s, &others);
	list = strings_join(&others, ", ");
	text = ret > 0 ? NULL : ret < 0 ? xstrdup("neither its slot nor its bus can be reset") :
		format("it would also reset %s", list);
	add_feature(array, "hot reset", ret > 0, text);
}

static void add_migration(struct json_object *array, const struct function *f,
			  const struct session *s)
{
	struct vfio_device_feature_migration migration = {};
	struct strings states __free_strings = {};
	char *text __free_string = NULL;
	bool able;

	able = !session_get(s, VFIO_DEVICE_FEATURE_MIGRATION, &migration, sizeof(migration));
	if (migration.flags & VFIO_MIGRATION_STOP_COPY)
		strings_add(&states, "stop-copy");
	if (migration.flags & VFIO_MIGRATION_P2P)
		strings_add(&states, "p2p");
	if (migration.flags & VFIO_MIGRATION_PRE_COPY)
		strings_add(&states, "pre-copy");
	text = able ? strings_join(&states, ", ") :
		format("its driver, %s, cannot save the state of this device", f->driver);
	add_feature(array, "migration", able, text);
	able = session_probe(s, VFIO_DEVICE_FEATURE_DMA_LOGGING_START);
	add_feature(array, "dirty tracking by the device", able,
		    able ? NULL : "the device or its driver has no log of what it writes");
}

static void add_iommu(struct json_object *array, const struct function *f, const struct session *s)
{
	char *pasids __free_string = NULL;
	unsigned int bits = 0;
	bool dirty = false;
	int ret;

	if (!session_iommu(s, &dirty, &bits)) {
		add_feature(array, "dirty tracking by the IOMMU", false,
			    "the driver of the IOMMU does not tell");
	} else {
		add_feature(array, "dirty tracking by the IOMMU", dirty,
			    dirty ? NULL : "this IOMMU does not note what is written, or not in "
					   "this mode");
	}
	pasids = bits ? format("%u", 1U << (bits < 31 ? bits : 31)) :
		xstrdup("the device or its IOMMU has none, or the IOMMU is not in scalable mode");
	add_feature(array, "PASIDs", bits, pasids);
	ret = session_nesting(s);
	add_feature(array, "nested page tables", !ret,
		    ret ? "this IOMMU has only one stage of page tables, or only one in this mode" :
		    NULL);
}

static struct json_object *features_json(struct function *f, const struct session *s,
					 uint32_t flags)
{
	struct json_object *array = json_object_new_array();
	bool able;

	add_resets(array, f, s, flags);
	add_migration(array, f, s);
	add_iommu(array, f, s);
	able = session_probe(s, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY);
	add_feature(array, "low power", able, able ? NULL : "its driver does not let it sleep");
	able = session_probe(s, VFIO_DEVICE_FEATURE_DMA_BUF);
	add_feature(array, "DMA-bufs of BARs", able,
		    able ? NULL : "the kernel has no CONFIG_PCI_P2PDMA, or the driver no DMA-bufs");
	able = session_probe(s, VFIO_DEVICE_FEATURE_WRITE_COMBINE);
	add_feature(array, "write-combining", able,
		    able ? NULL : "no BAR of it is prefetchable, or the driver cannot do it");
	able = session_probe(s, VFIO_DEVICE_FEATURE_PCI_VF_TOKEN);
	add_feature(array, "VF token", able, able ? NULL : "it is not a physical function");
	return array;
}

/* Why it is not to be opened, or NULL */
static char *closed_reason(const struct function *f, const struct owners *owners)
{
	char *who __free_string = owners_text(owners);

	if (!f->node)
		return format("it is not bound to a VFIO driver: vfioctl bind %s", f->address);
	if (owners->n)
		return format("it is in use by %s", who);
	return NULL;
}

static struct json_object *info_json(struct host *host, struct function *f)
{
	struct session s __free_session = NO_SESSION;
	struct json_object *o = function_json(f);
	struct owners owners __free_owners = {};
	char *reason __free_string = NULL;
	uint32_t flags, regions, irqs;

	owners_find(&owners, f);
	reason = closed_reason(f, &owners);
	json_object_object_add(o, "group_members", group_json(host, f));
	if (!reason)
		session_open(&s, f, &reason);
	json_flag(o, "opened", !reason);
	json_text(o, "not_opened_reason", reason);
	if (reason) {
		json_object_object_add(o, "regions", bars_json(f));
		json_text(o, "interrupts", NULL);
		json_object_object_add(o, "capabilities", capabilities_json(f, NULL));
		json_text(o, "features", NULL);
		return o;
	}
	flags = session_flags(&s, &regions, &irqs);
	json_object_object_add(o, "regions", regions_json(&s, regions));
	json_object_object_add(o, "interrupts", irqs_json(&s, irqs));
	json_object_object_add(o, "capabilities", capabilities_json(f, &s));
	json_object_object_add(o, "features", features_json(f, &s, flags));
	return o;
}

static const char *text_of(struct json_object *o, const char *key)
{
	return json_object_get_string(json_object_object_get(o, key));
}

static char *size_text(int64_t size)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
	size_t i = 0;

	while (size && !(size & 1023) && i < ARRAY_SIZE(units) - 1) {
		size >>= 10;
		i++;
	}
	return format("%lld %s", (long long)size, units[i]);
}

/* A paragraph of "what: text", where there is any text */
static void print(const char *what, const char *text)
{
	char *first __free_string = format("  %-13s ", what);

	if (text && *text)
		wrap(stdout, first, 16, text);
}

static void print_words(const char *what, struct json_object *array)
{
	struct strings words __free_strings = {};
	char *all __free_string = NULL;

	for (size_t i = 0; i < json_object_array_length(array); i++)
		strings_add(&words, "%s",
			    json_object_get_string(json_object_array_get_idx(array, i)));
	all = strings_join(&words, ", ");
	print(what, all);
}

static void print_group(struct json_object *info)
{
	struct json_object *members = json_object_object_get(info, "group_members");
	struct strings words __free_strings = {};
	const char *group = text_of(info, "iommu_group");
	char *others __free_string = NULL;
	char *text __free_string = NULL;

	for (size_t i = 0; i < json_object_array_length(members); i++) {
		struct json_object *o = json_object_array_get_idx(members, i);
		const char *driver = text_of(o, "driver");

		strings_add(&words, "%s (%s)", text_of(o, "address"), driver ?: "no driver");
	}
	others = strings_join(&words, ", ");
	text = format("%s%s%s", group ?: "none: no IOMMU translates for it",
		      words.n ? ", with " : "", others);
	print("IOMMU group", text);
}

static void print_users(struct json_object *info)
{
	struct json_object *users = json_object_object_get(info, "users");

	for (size_t i = 0; i < json_object_array_length(users); i++) {
		struct json_object *o = json_object_array_get_idx(users, i);
		const char *vm = text_of(o, "vm"), *state = text_of(o, "state");
		const char *pt = text_of(o, "page_table"), *irqs = text_of(o, "interrupts");
		char *text __free_string = format("%s%s%s, process %s, file %s%s%s%s%s%s%s",
						  vm ?: "", vm ? ": " : "",
						  text_of(o, "process") ?: "?", text_of(o, "pid"),
						  text_of(o, "fd"), state ? ", " : "", state ?: "",
						  pt ? ", page table " : "", pt ?: "",
						  irqs ? ", interrupts " : "", irqs ?: "");

		print("used by", text);
		print("last error", text_of(o, "last_error"));
	}
}

static void print_regions(struct json_object *regions)
{
	for (size_t i = 0; i < json_object_array_length(regions); i++) {
		struct json_object *o = json_object_array_get_idx(regions, i);
		struct json_object *access = json_object_object_get(o, "access");
		char *size __free_string =
			size_text(json_object_get_int64(json_object_object_get(o, "size")));
		struct strings words __free_strings = {};
		char *how __free_string = NULL;
		char *text __free_string = NULL;

		for (size_t j = 0; j < json_object_array_length(access); j++)
			strings_add(&words, "%s",
				    json_object_get_string(json_object_array_get_idx(access, j)));
		how = strings_join(&words, ", ");
		text = format("%s%s%s", size, words.n ? ": " : "", how);
		print(text_of(o, "name"), text);
	}
}

static void print_irqs(struct json_object *irqs)
{
	struct strings words __free_strings = {};
	char *text __free_string = NULL;

	for (size_t i = 0; irqs && i < json_object_array_length(irqs); i++) {
		struct json_object *o = json_object_array_get_idx(irqs, i);

		strings_add(&words, "%s %s", text_of(o, "name"), text_of(o, "count"));
	}
	text = strings_join(&words, ", ");
	print("interrupts", text);
}

static void print_capabilities(struct json_object *list)
{
	struct strings shown __free_strings = {}, hidden __free_strings = {};
	char *some __free_string = NULL;
	char *others __free_string = NULL;

	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i);
		struct json_object *visible = json_object_object_get(o, "visible");
		const char *name = text_of(o, "name");
		char *word __free_string = name ? xstrdup(name) : format("0x%s", text_of(o, "id"));
		bool hide = visible && !json_object_get_boolean(visible);
		struct strings *words = hide ? &hidden : &shown;

		if (!strings_have(words, word))
			strings_add(words, "%s", word);
	}
	some = strings_join(&shown, ", ");
	others = strings_join(&hidden, ", ");
	print("capabilities", some);
	print("hidden", others);
}

static void print_features(struct json_object *features)
{
	for (size_t i = 0; features && i < json_object_array_length(features); i++) {
		struct json_object *o = json_object_array_get_idx(features, i);
		bool able = json_object_get_boolean(json_object_object_get(o, "available"));
		const char *detail = text_of(o, "detail");
		char *first __free_string = format("  %-29s%s", text_of(o, "name"),
						   able ? "yes" : "no");
		char *more __free_string = format("%s: ", first);

		wrap(stdout, detail ? more : first, 35, detail ?: "");
	}
}

static void print_info(struct json_object *info)
{
	char *ids __free_string = format("[%s:%s]", text_of(info, "vendor_id"),
					 text_of(info, "device_id"));
	char *first __free_string = format("%s %s ", text_of(info, "address"), ids);

	wrap(stdout, first, 2, text_of(info, "name"));
	print("driver", text_of(info, "driver") ?: "none");
	print("node", text_of(info, "node"));
	print("state", text_of(info, "state"));
	print_users(info);
	print_group(info);
	print("NUMA node", text_of(info, "numa_node"));
	print("power", text_of(info, "power_state"));
	print_words("resets", json_object_object_get(info, "reset_methods"));
	print_regions(json_object_object_get(info, "regions"));
	print_irqs(json_object_object_get(info, "interrupts"));
	print_capabilities(json_object_object_get(info, "capabilities"));
	print_features(json_object_object_get(info, "features"));
	print("not opened", text_of(info, "not_opened_reason"));
}

int cmd_info(const struct options *options)
{
	struct json_object *array = json_object_new_array(), *o;
	struct function **selected __free_functions = NULL;
	struct host host __free_host = {};
	int status;
	size_t n;

	if (!options->n) {
		say("info wants to know which devices; see vfioctl info --help");
		json_object_put(array);
		return EXIT_USAGE;
	}
	host_scan(&host);
	status = select_functions(&host, options, &selected, &n);
	for (size_t i = 0; i < n; i++)
		json_object_array_add(array, info_json(&host, selected[i]));
	if (options->json) {
		o = json_begin("info");
		json_object_object_add(o, "functions", array);
		json_print(o, false);
		return status;
	}
	for (size_t i = 0; i < n; i++) {
		if (i)
			putchar('\n');
		print_info(json_object_array_get_idx(array, i));
	}
	json_object_put(array);
	return status;
}
