// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfioctl bind: functions go from the host to a VFIO driver. First it is made out what that would
 * take, and what speaks against it; only then is anything done.
 */
#include <string.h>

#include "conf.h"
#include "driver.h"
#include "guard.h"
#include "memory.h"
#include "owner.h"
#include "result.h"
#include "vfioctl.h"

/* Does it keep its IOMMU group from being assigned? Of bridges, the kernel knows better. */
static bool blocks_group(const struct function *f)
{
	return !f->bridge && !f->node && f->driver && strcmp(f->driver, "pci-stub");
}

/*
 * What else is in the group: functions of the same device go along, as those of a graphics card
 * do. Others are of other use to the host, and go along only if that was asked for. So do those of
 * a root bus, which are parts of the chipset: what has the same number there is no one device.
 */
static void plan_group(struct host *host, struct results *plan, struct function *f,
		       const struct options *options)
{
	struct strings others __free_strings = {};
	char *list __free_string = NULL;

	/* What is bound already may be so for itself, and still lack the others. */
	if (f->group < 0 || (f->node && !options->group))
		return;
	for (size_t i = 0; i < host->n; i++) {
		struct function *other = &host->functions[i];

		if (other->group != f->group || results_of(plan, other) || !blocks_group(other))
			continue;
		if (options->group ||
		    (function_same_slot(f, other) && !function_on_root_bus(f)))
			results_add(plan, other, f);
		else
			strings_add(&others, "%s (%s)", other->address, other->driver);
	}
	if (!others.n || options->force)
		return;
	list = strings_join(&others, ", ");
	result_set(results_of(plan, f), "refused",
		   format("the host uses other devices of its IOMMU group, %d: %s. --group takes "
			  "these as well",
			  f->group, list));
}

static void plan_guards(struct results *plan, struct result *result)
{
	struct strings reasons __free_strings = guard_reasons(result->f);
	char *text __free_string = NULL;

	if (result->word || result->f->node || !reasons.n)
		return;
	text = strings_join(&reasons, "; ");
	result_set(result, "refused", format("%s. --force binds it nevertheless", text));
	if (result->along && !results_of(plan, result->along)->word)
		result_set(results_of(plan, result->along), "refused",
			   format("%s, which has to go along: %s", result->f->address, text));
}

static void plan_bind(struct host *host, struct results *plan, struct function **selected, size_t n,
		      const struct options *options)
{
	for (size_t i = 0; i < n; i++)
		results_add(plan, selected[i], NULL);
	for (size_t i = 0; i < n; i++) {
		struct function *f = selected[i];

		if (f->bridge)
			result_set(results_of(plan, f), "refused",
				   xstrdup("a bridge cannot be assigned"));
		else
			plan_group(host, plan, f, options);
	}
	for (size_t i = 0; i < plan->n && !options->force; i++)
		plan_guards(plan, &plan->v[i]);
	/* Without the one that it was to go along with, it stays. */
	for (size_t i = 0; i < plan->n; i++) {
		struct result *result = &plan->v[i];

		if (!result->word && result->along && results_of(plan, result->along)->word)
			result_set(result, "unchanged", NULL);
	}
}

/* Returns an exit status. */
static int bind_one(struct result *result, const struct options *options)
{
	struct strings reasons __free_strings = {};
	struct owners owners __free_owners = {};
	struct function *f = result->f;
	char *driver __free_string = NULL;
	char *problem = NULL;
	const char *word = "bound";

	if (f->node && f->driver && (!options->driver || !strcmp(options->driver, f->driver))) {
		word = "unchanged";
	} else {
		owners_rescan();
		owners_find(&owners, f);
		if (owners.n && !options->force) {
			char *who __free_string = owners_text(&owners);

			result_set(result, "refused", format("in use by %s", who));
			return EXIT_REFUSED;
		}
		/* The functions before may have taken long. */
		if (!f->node && !options->force)
			reasons = guard_reasons(f);
		if (reasons.n) {
			result_set(result, "refused", strings_join(&reasons, "; "));
			return EXIT_REFUSED;
		}
		driver = driver_choose(f, options->driver, &problem);
		if (!driver || driver_take(f, driver, result->along ? result->along->address : NULL,
					   options->boot, &problem)) {
			result_set(result, "failed", problem);
			return EXIT_FAILED;
		}
	}
	if (!driver_wait_node(f, options->timeout)) {
		result_set(result, word,
			   format("after %g seconds, udev is not done with /dev/vfio/devices/%s, "
				  "or it is not there",
				  options->timeout, f->node));
		return EXIT_TIME;
	}
	result_set(result, word, NULL);
	return EXIT_OK;
}

/* Is it not to be had after all? */
static bool lacks(const struct result *result)
{
	return !strcmp(result->word, "failed") || !strcmp(result->word, "refused");
}

static int bind_selected(struct host *host, struct results *results, const struct options *options)
{
	struct function **selected __free_functions = NULL;
	struct results plan __free_results = {};
	int status;
	size_t n;

	status = select_functions(host, options, &selected, &n);
	plan_bind(host, &plan, selected, n, options);
	for (size_t i = 0; i < plan.n; i++) {
		struct result *result = &plan.v[i], *kept;
		int one = EXIT_OK;

		if (!result->word && result->along && lacks(results_of(&plan, result->along)))
			result_set(result, "unchanged", NULL);
		if (!result->word)
			one = bind_one(result, options);
		else if (!strcmp(result->word, "refused"))
			one = EXIT_REFUSED;
		status = status_worst(status, one);
		results_add(results, result->f, result->along);
		kept = results_of(results, result->f);
		/* At boot, several lines can be about one function: the first one counts. */
		if (kept->word)
			continue;
		result_set(kept, result->word, result->reason);
		result->reason = NULL;
	}
	return status;
}

/* At boot, each line of the file has options of its own. */
static int bind_boot(struct host *host, struct results *results, const struct options *options)
{
	struct conf conf __free_conf = {};
	int status = EXIT_OK;

	if (conf_read(&conf))
		status = EXIT_FAILED;
	for (size_t i = 0; i < conf.n; i++) {
		struct conf_entry *entry = &conf.v[i];
		struct options one = *options;
		bool other = false;

		for (size_t j = 0; j < host->n && entry->id && !other; j++) {
			const struct function *f = &host->functions[j];

			other = spec_matches(entry->spec, f) && !spec_matches(entry->id, f);
		}
		if (other) {
			say(CONF_PATH ": at %s there is no %s any more: nothing is bound",
			    entry->spec, entry->id);
			status = status_worst(status, EXIT_NO_DEVICE);
			continue;
		}
		one.specs = &entry->spec;
		one.n = 1;
		one.driver = entry->driver;
		one.group = entry->group;
		status = status_worst(status, bind_selected(host, results, &one));
	}
	return status;
}

/* IDs and slots are written as they are; of others, each function, with its ID. */
static int persist(struct host *host, const struct results *results, const struct options *options)
{
	int ret = 0;

	for (int i = 0; i < options->n && !ret; i++) {
		const char *spec = options->specs[i];
		struct conf_entry entry = { .driver = (char *)options->driver,
			.group = options->group };

		if ((!strncmp(spec, "slot:", 5) && !strpbrk(spec, "# \t\n")) ||
		    spec_is_id(spec)) {
			entry.spec = (char *)spec;
			ret = conf_change(spec, &entry);
			continue;
		}
		for (size_t j = 0; j < results->n && !ret; j++) {
			struct function *f = results->v[j].f;
			char *id __free_string = format("%04x:%04x", f->vendor, f->device);

			if (results->v[j].along || !spec_matches(spec, f))
				continue;
			entry.spec = f->address;
			entry.id = id;
			ret = conf_change(f->address, &entry);
		}
	}
	if (ret)
		say(CONF_PATH ": %s", strerror(-ret));
	return ret;
}

int cmd_bind(const struct options *options)
{
	struct results results __free_results = {};
	struct host host __free_host = {};
	int status;

	if (options->boot ? options->n || options->persist : !options->n) {
		say("bind wants to know which devices, or --boot alone; see vfioctl bind --help");
		return EXIT_USAGE;
	}
	if (!memory_lock("bind"))
		return EXIT_FAILED;
	host_scan(&host);
	if (options->boot)
		status = bind_boot(&host, &results, options);
	else
		status = bind_selected(&host, &results, options);
	/* What is refused now would be refused at boot. */
	if (options->persist && status != EXIT_OK && status != EXIT_TIME)
		say(CONF_PATH " stays as it is");
	else if (options->persist && persist(&host, &results, options))
		status = EXIT_FAILED;
	results_print(&results, "bind", options->json, status);
	return status;
}
