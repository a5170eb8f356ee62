// SPDX-License-Identifier: GPL-2.0-only
/* vfioctl unbind: functions go back to the host. */
#include <string.h>

#include "conf.h"
#include "driver.h"
#include "memory.h"
#include "owner.h"
#include "result.h"
#include "vfioctl.h"

/* What was taken along goes back along. */
static void plan_along(struct host *host, struct results *plan, struct function *f)
{
	for (size_t i = 0; i < host->n; i++) {
		struct function *other = &host->functions[i];
		struct memory memory __free_memory = {};

		if (other->node && memory_recall(other->address, &memory) && memory.along &&
		    !strcmp(memory.along, f->address))
			results_add(plan, other, f);
	}
}

/* Was it taken from its driver, and has none since, as the driver has not taken it back? */
static bool is_lost(const struct function *f)
{
	struct memory memory __free_memory = {};

	return !f->driver && memory_recall(f->address, &memory) && memory.driver;
}

/* Returns an exit status. */
static int unbind_one(struct result *result, const struct options *options)
{
	struct owners owners __free_owners = {};
	struct function *f = result->f;
	char *who __free_string = NULL;
	char *problem = NULL;

	if (!f->node && !is_lost(f)) {
		result_set(result, "unchanged", NULL);
		return EXIT_OK;
	}
	/* To release the ones before may have taken long. */
	owners_rescan();
	owners_find(&owners, f);
	who = owners_text(&owners);
	if (owners.n && !options->force) {
		result_set(result, "refused",
			   format("in use by %s. --force takes it away", who));
		return EXIT_REFUSED;
	}
	if (owners.n)
		say("%s: waiting for %s to release it", f->address, who);
	if (driver_give_back(f, &problem)) {
		result_set(result, "failed", problem);
		return EXIT_FAILED;
	}
	result_set(result, "restored", NULL);
	return EXIT_OK;
}

/* The lines of the file that are about these functions alone, or that were named. */
static int forget(const struct results *results, const struct options *options)
{
	struct conf conf __free_conf = {};
	int ret = 0;

	for (int i = 0; i < options->n && !ret; i++)
		ret = conf_change(options->specs[i], NULL);
	for (size_t i = 0; i < results->n && !ret; i++)
		ret = conf_change(results->v[i].f->address, NULL);
	if (ret) {
		say(CONF_PATH ": %s", strerror(-ret));
		return ret;
	}
	conf_read(&conf);
	for (size_t i = 0; i < conf.n; i++) {
		for (size_t j = 0; j < results->n; j++) {
			if (spec_matches(conf.v[i].spec, results->v[j].f))
				say("%s: will be bound at boot all the same, by the line %s of "
				    CONF_PATH, results->v[j].f->address, conf.v[i].spec);
		}
	}
	return 0;
}

int cmd_unbind(const struct options *options)
{
	struct function **selected __free_functions = NULL;
	struct results results __free_results = {};
	struct host host __free_host = {};
	int status;
	size_t n;

	if (!options->n) {
		say("unbind wants to know which devices; see vfioctl unbind --help");
		return EXIT_USAGE;
	}
	if (!memory_lock("unbind"))
		return EXIT_FAILED;
	host_scan(&host);
	status = select_functions(&host, options, &selected, &n);
	for (size_t i = 0; i < n; i++)
		results_add(&results, selected[i], NULL);
	for (size_t i = 0; i < n; i++)
		plan_along(&host, &results, selected[i]);
	for (size_t i = 0; i < results.n; i++)
		status = status_worst(status, unbind_one(&results.v[i], options));
	if (options->persist && forget(&results, options))
		status = EXIT_FAILED;
	results_print(&results, "unbind", options->json, status);
	return status;
}
