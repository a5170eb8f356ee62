// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfioctl watch: what devices and their users do, a line a device, every second. Interrupts are
 * counted by the kernel; resets and errors come from tracepoints; faults from the kernel's log,
 * where the drivers of IOMMUs report them; what the user has set up, from fdinfo.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "json.h"
#include "kmsg.h"
#include "owner.h"
#include "table.h"
#include "trace.h"
#include "vfioctl.h"

/**
 * struct counts - what has happened to a function since the last line
 * @f: the function
 * @interrupts: all that are counted so far
 * @more: those of them that are new
 * @faults: DMA that the IOMMU has refused
 * @resets: of the function
 * @errors: calls that have failed with an explanation, and resets that have failed
 * @events: the tracepoints
 */
struct counts {
	struct function *f;
	unsigned long long interrupts;
	unsigned long long more;
	unsigned long faults;
	unsigned long resets;
	unsigned long errors;
	struct strings events;
};

static volatile sig_atomic_t stopped;

static void stop(int number)
{
	stopped = 1;
}

/* The vectors of a function, whose names have its address in parentheses. */
static unsigned long long interrupts_of(const char *text, const struct function *f)
{
	char *name __free_string = format("(%s)", f->address);
	unsigned long long sum = 0;
	const char *line = text;

	while (line && *line) {
		const char *end = strchr(line, '\n') ?: line + strlen(line);
		const char *at = memmem(line, end - line, name, strlen(name));
		const char *count = memchr(line, ':', end - line);

		if (at && count && memmem(line, end - line, "vfio-", 5)) {
			unsigned long long n;
			int len;

			for (count++; sscanf(count, " %llu%n", &n, &len) == 1 &&
			     (count[len] == ' '); count += len)
				sum += n;
		}
		line = *end ? end + 1 : end;
	}
	return sum;
}

static void count_interrupts(struct counts *counts, size_t n, bool first)
{
	char *text __free_string = read_file("/proc/interrupts");

	for (size_t i = 0; i < n; i++) {
		struct counts *c = &counts[i];
		unsigned long long now = interrupts_of(text, c->f);

		/* Vectors that are given back take what they have counted with them. */
		c->more = first || now < c->interrupts ? 0 : now - c->interrupts;
		c->interrupts = now;
	}
}

static struct counts *counts_of(struct counts *counts, size_t n, const char *address)
{
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(counts[i].f->address, address))
			return &counts[i];
	}
	return NULL;
}

static void count_events(struct counts *counts, size_t n, struct trace *trace)
{
	struct event event;

	while (trace_read(trace, &event)) {
		struct counts *c = counts_of(counts, n, event.address);
		bool reset = !strcmp(event.name, "vfio_pci_reset");

		if (!c)
			continue;
		c->resets += reset;
		c->errors += !strcmp(event.name, "vfio_error") ||
			     (reset && !strstr(event.text, "ret=0"));
		strings_add(&c->events, "%s%s%s", event.name, *event.text ? " " : "", event.text);
	}
}

/* Each driver of an IOMMU has its own words, but all name the function; VT-d without its domain. */
static void count_faults(struct counts *counts, size_t n, int log)
{
	char text[1024];

	while (kmsg_read(log, text, sizeof(text))) {
		if (!strstr(text, "DMAR") && !strstr(text, "AMD-Vi") && !strstr(text, "smmu") &&
		    !strstr(text, "iommu"))
			continue;
		if (!strcasestr(text, "fault") && !strstr(text, "event"))
			continue;
		for (size_t i = 0; i < n; i++) {
			if (strstr(text, strchr(counts[i].f->address, ':') + 1))
				counts[i].faults++;
		}
	}
}

static void count_all(struct counts *counts, size_t n, struct trace *trace, int log, bool first)
{
	for (size_t i = 0; i < n; i++) {
		struct counts *c = &counts[i];

		c->faults = 0;
		c->resets = 0;
		c->errors = 0;
		strings_free(&c->events);
		function_refresh(c->f);
	}
	owners_rescan();
	count_interrupts(counts, n, first);
	count_events(counts, n, trace);
	count_faults(counts, n, log);
}

/* The one that is bound to the device, or NULL */
static const struct owner *owner_of(const struct owners *owners)
{
	for (size_t i = 0; i < owners->n; i++) {
		if (!owners->v[i].state || !strcmp(owners->v[i].state, "bound"))
			return &owners->v[i];
	}
	return NULL;
}

/* Where its DMA goes */
static const char *dma_of(const struct owner *owner)
{
	if (!owner)
		return "blocked";
	if (!owner->pt)
		return NULL;
	return strcmp(owner->pt, "none") ? "attached" : "blocked";
}

static void print_table(struct counts *counts, size_t n, double seconds)
{
	static const char *const titles[] = {
		"ADDRESS", "STATE", "USER", "DMA", "IRQS", "INT/S", "FAULT/S", "RESET", "ERROR",
		"LAST EVENT",
	};
	struct table table __free_table = { .columns = ARRAY_SIZE(titles) };

	for (size_t i = 0; i < ARRAY_SIZE(titles); i++)
		table_add(&table, xstrdup(titles[i]));
	for (size_t i = 0; i < n; i++) {
		struct counts *c = &counts[i];
		struct owners owners __free_owners = {};
		const struct owner *owner;

		owners_find(&owners, c->f);
		owner = owner_of(&owners);
		table_add(&table, xstrdup(c->f->address));
		table_add(&table, xstrdup(function_state(c->f)));
		table_add(&table, xstrdup(owner ? owner->vm ?: owner->process ?: "?" : "-"));
		table_add(&table, xstrdup(dma_of(owner) ?: "?"));
		table_add(&table, xstrdup(owner && owner->irq ? owner->irq : "-"));
		table_add(&table, format("%.0f", c->more / seconds));
		table_add(&table, format("%.0f", c->faults / seconds));
		table_add(&table, format("%lu", c->resets));
		table_add(&table, format("%lu", c->errors));
		table_add(&table, xstrdup(c->events.n ? c->events.v[c->events.n - 1] : ""));
	}
	/* A terminal shows the present; a file has one page after another. */
	if (isatty(STDOUT_FILENO))
		fputs("\033[H\033[J", stdout);
	table_print(&table, terminal_columns());
	fflush(stdout);
}

static void print_json(struct counts *counts, size_t n, double seconds)
{
	struct json_object *array = json_object_new_array();
	struct json_object *o = json_begin("watch");

	for (size_t i = 0; i < n; i++) {
		struct counts *c = &counts[i];
		struct json_object *one = json_object_new_object();
		struct owners owners __free_owners = {};

		owners_find(&owners, c->f);
		json_text(one, "address", c->f->address);
		json_text(one, "state", function_state(c->f));
		json_text(one, "dma", dma_of(owner_of(&owners)));
		json_number(one, "interrupts", c->more);
		json_number(one, "faults", c->faults);
		json_number(one, "resets", c->resets);
		json_number(one, "errors", c->errors);
		json_strings(one, "events", &c->events);
		json_object_object_add(one, "users", owners_json(&owners));
		json_object_array_add(array, one);
	}
	json_object_object_add(o, "time", json_object_new_double(time(NULL)));
	json_object_object_add(o, "seconds", json_object_new_double(seconds));
	json_object_object_add(o, "functions", array);
	json_print(o, true);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void wait_until(double when)
{
	struct timespec ts = { .tv_sec = when, .tv_nsec = (when - (time_t)when) * 1e9 };

	/* A signal ends it early. */
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

static void watch(struct counts *counts, size_t n, const struct options *options,
		  struct trace *trace, int log)
{
	double last = now(), next = last;

	count_all(counts, n, trace, log, true);
	for (unsigned long i = 0; !options->count || i < options->count; i++) {
		double seconds;

		next += options->interval;
		wait_until(next);
		if (stopped)
			break;
		count_all(counts, n, trace, log, false);
		seconds = now() - last;
		last += seconds;
		if (options->json)
			print_json(counts, n, seconds);
		else
			print_table(counts, n, seconds);
		/* Whoever has read it has gone. */
		if (ferror(stdout))
			break;
	}
}

int cmd_watch(const struct options *options)
{
	/* Without SA_RESTART, so that the sleep ends. */
	struct sigaction action = { .sa_handler = stop };
	struct function **selected __free_functions = NULL;
	struct trace trace __free_trace = NO_TRACE;
	struct host host __free_host = {};
	char *problem __free_string = NULL;
	struct counts *counts;
	int status, log;
	size_t n, nr = 0;

	host_scan(&host);
	status = select_functions(&host, options, &selected, &n);
	if (status)
		return status;
	counts = xalloc(NULL, host.n + 1, sizeof(*counts));
	for (size_t i = 0; i < host.n; i++) {
		struct function *f = options->n ? i < n ? selected[i] : NULL : &host.functions[i];

		if (f && (options->n || f->node))
			counts[nr++] = (struct counts){ .f = f };
	}
	if (!nr)
		say("no device is bound to a VFIO driver");
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	/* The instance has to be removed. */
	signal(SIGPIPE, SIG_IGN);
	if (!trace_open(&trace, &problem))
		say("resets and errors are not counted: %s", problem);
	log = kmsg_open();
	if (log < 0)
		say("faults are not counted: /dev/kmsg: %s", strerror(errno));
	if (nr)
		watch(counts, nr, options, &trace, log);
	if (log >= 0)
		close(log);
	for (size_t i = 0; i < nr; i++)
		strings_free(&counts[i].events);
	free(counts);
	return nr ? EXIT_OK : EXIT_NO_DEVICE;
}
