// SPDX-License-Identifier: GPL-2.0-only
/* vfioctl list: a line for each function. */
#include <pci/header.h>
#include <string.h>

#include "json.h"
#include "owner.h"
#include "table.h"
#include "vfioctl.h"

static bool wanted(const struct options *options, const struct function *f)
{
	if (options->bound && !f->node)
		return false;
	/* Host bridges, and what else is part of the machine, cannot be assigned either. */
	return options->n || options->all || f->class >> 16 != PCI_BASE_CLASS_BRIDGE;
}

static char *number(int n)
{
	return n < 0 ? xstrdup("-") : format("%d", n);
}

/* The name of the VM if it has one, else that of the process; and how many more there are. */
static char *user(const struct function *f)
{
	struct owners owners __free_owners = {};
	struct owner *first;

	owners_find(&owners, f);
	if (!owners.n)
		return xstrdup("-");
	first = &owners.v[0];
	for (size_t i = 0; i < owners.n; i++) {
		if (owners.v[i].state && !strcmp(owners.v[i].state, "bound"))
			first = &owners.v[i];
	}
	return format("%s/%d", first->vm ?: first->process ?: "?", first->pid);
}

static void add_row(struct table *table, struct function *f)
{
	struct strings resets __free_strings = function_resets(f);

	table_add(table, xstrdup(f->address));
	table_add(table, xstrdup(f->driver ?: "-"));
	table_add(table, number(f->group));
	table_add(table, number(f->numa));
	table_add(table, xstrdup(f->node ?: "-"));
	table_add(table, xstrdup(function_state(f)));
	table_add(table, resets.n ? strings_join(&resets, ",") : xstrdup("-"));
	table_add(table, user(f));
	table_add(table, xstrdup(f->name));
}

int cmd_list(const struct options *options)
{
	static const char *const titles[] = {
		"ADDRESS", "DRIVER", "GROUP", "NUMA", "NODE", "STATE", "RESET", "USER", "NAME",
	};
	struct table table __free_table = { .columns = ARRAY_SIZE(titles) };
	struct function **selected __free_functions = NULL;
	struct host host __free_host = {};
	struct json_object *array = NULL, *o;
	int status = EXIT_OK;
	size_t n;

	host_scan(&host);
	status = select_functions(&host, options, &selected, &n);
	if (options->json)
		array = json_object_new_array();
	for (size_t i = 0; i < ARRAY_SIZE(titles); i++)
		table_add(&table, xstrdup(titles[i]));
	for (size_t i = 0; i < (options->n ? n : host.n); i++) {
		struct function *f = options->n ? selected[i] : &host.functions[i];

		if (!wanted(options, f))
			continue;
		if (options->json)
			json_object_array_add(array, function_json(f));
		else
			add_row(&table, f);
	}
	if (options->json) {
		o = json_begin("list");
		json_object_object_add(o, "functions", array);
		json_print(o, false);
	} else {
		table_print(&table, options->wide ? 0 : terminal_columns());
	}
	return status;
}
