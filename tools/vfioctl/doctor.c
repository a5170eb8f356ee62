// SPDX-License-Identifier: GPL-2.0-only
/* vfioctl doctor: why can this host, or this device, not be assigned? */
#include <string.h>

#include "finding.h"
#include "json.h"
#include "vfioctl.h"

static const char *const severities[] = { "note", "warning", "error" };

/**
 * findings_add - something was found
 * @findings: the list
 * @severity: how bad it is
 * @id: its name, for programs
 * @f: the function that it is about, or NULL for the host
 * @what: what was found; this and the rest become the list's
 * @why: why it matters
 * @mend: the command that mends it, or NULL
 */
void findings_add(struct findings *findings, enum severity severity, const char *id,
		  const struct function *f, char *what, char *why, char *mend)
{
	findings->v = xalloc(findings->v, findings->n + 1, sizeof(*findings->v));
	findings->v[findings->n++] = (struct finding){
		.severity = severity,
		.id = id,
		.f = f,
		.what = what,
		.why = why,
		.mend = mend,
	};
}

static void free_findings(struct findings *findings)
{
	for (size_t i = 0; i < findings->n; i++) {
		free(findings->v[i].what);
		free(findings->v[i].why);
		free(findings->v[i].mend);
	}
	free(findings->v);
}

static void print_json(const struct findings *findings, int status)
{
	struct json_object *array = json_object_new_array();
	struct json_object *o = json_begin("doctor");

	for (size_t i = 0; i < findings->n; i++) {
		const struct finding *finding = &findings->v[i];
		struct json_object *one = json_object_new_object();

		json_text(one, "severity", severities[finding->severity]);
		json_text(one, "id", finding->id);
		json_text(one, "address", finding->f ? finding->f->address : NULL);
		json_text(one, "what", finding->what);
		json_text(one, "why", finding->why);
		json_text(one, "mend", finding->mend);
		json_object_array_add(array, one);
	}
	json_object_object_add(o, "findings", array);
	json_flag(o, "assignable", status == EXIT_OK);
	json_print(o, false);
}

static void print_finding(const struct finding *finding)
{
	char *first __free_string = format("%s: %s%s", severities[finding->severity],
					   finding->f ? finding->f->address : "",
					   finding->f ? ": " : "");

	wrap(stdout, first, 4, finding->what);
	wrap(stdout, "    ", 4, finding->why);
	/* As it is: to be copied. */
	if (finding->mend)
		printf("    # %s\n", finding->mend);
}

static bool any(const struct findings *findings, enum severity severity)
{
	for (size_t i = 0; i < findings->n; i++) {
		if (findings->v[i].severity == severity)
			return true;
	}
	return false;
}

int cmd_doctor(const struct options *options)
{
	struct findings findings __cleanup(free_findings) = {};
	struct function **selected __free_functions = NULL;
	struct host host __free_host = {};
	int status;
	size_t n;

	host_scan(&host);
	status = select_functions(&host, options, &selected, &n);
	check_host(&findings);
	for (size_t i = 0; i < n; i++)
		check_function(&findings, &host, selected[i]);
	if (any(&findings, ERROR))
		status = EXIT_FAILED;
	if (options->json) {
		print_json(&findings, status);
		return status;
	}
	/* What matters most is last, where it is still to be seen. */
	for (enum severity severity = NOTE; severity <= ERROR; severity++) {
		for (size_t i = 0; i < findings.n; i++) {
			if (findings.v[i].severity == severity)
				print_finding(&findings.v[i]);
		}
	}
	if (status == EXIT_OK)
		printf("%s can be assigned.\n", !n ? "Devices of this host" :
		       n == 1 ? selected[0]->address : "These functions");
	return status;
}
