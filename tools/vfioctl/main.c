// SPDX-License-Identifier: GPL-2.0-only
/* The command line. */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <string.h>

#include "vfioctl.h"

#define VERSION "0.1"

/* Options that are only long are numbered from here. */
enum {
	OPT_BOOT = 256,
	OPT_BOUND,
	OPT_DRIVER,
	OPT_GROUP,
	OPT_PERSIST,
	OPT_TIMEOUT,
	OPT_WIDE,
};

static const struct option long_options[] = {
	{ "all", no_argument, NULL, 'a' },
	{ "boot", no_argument, NULL, OPT_BOOT },
	{ "bound", no_argument, NULL, OPT_BOUND },
	{ "count", required_argument, NULL, 'n' },
	{ "driver", required_argument, NULL, OPT_DRIVER },
	{ "force", no_argument, NULL, 'f' },
	{ "group", no_argument, NULL, OPT_GROUP },
	{ "help", no_argument, NULL, 'h' },
	{ "interval", required_argument, NULL, 'i' },
	{ "json", no_argument, NULL, 'j' },
	{ "persist", no_argument, NULL, OPT_PERSIST },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "version", no_argument, NULL, 'V' },
	{ "wide", no_argument, NULL, OPT_WIDE },
	{},
};

/* A command, and the options that it has besides --json and --help */
static const struct command {
	const char *name;
	int (*run)(const struct options *options);
	const char *usage;
	const char *help;
	int options[6];
} commands[] = {
	{
		"list", cmd_list, "[--all] [--bound] [--wide] [DEVICE]...",
		"  -a, --all       bridges as well\n"
		"  --bound         only what a VFIO driver has\n"
		"  --wide          lines as long as need be\n",
		{ 'a', OPT_BOUND, OPT_WIDE },
	},
	{
		"bind", cmd_bind,
		"[--group] [--persist] [--driver NAME] [--timeout S]\n"
		"                    [--force] DEVICE... | --boot",
		"  --group         all that is in the IOMMU group, not only this device\n"
		"  --persist       and at every boot: adds it to /etc/vfioctl.conf\n"
		"  --boot          what /etc/vfioctl.conf lists\n"
		"  --driver NAME   to this driver, not to the most specific one there is\n"
		"  --timeout S     how long to wait for the device node (10 seconds)\n"
		"  -f, --force     even if the host is in need of it\n",
		{ OPT_GROUP, OPT_PERSIST, OPT_BOOT, OPT_DRIVER, OPT_TIMEOUT, 'f' },
	},
	{
		"unbind", cmd_unbind, "[--persist] [--force] DEVICE...",
		"  --persist       and not at boot: takes it out of /etc/vfioctl.conf\n"
		"  -f, --force     even if it is in use: the user is asked to release it\n",
		{ OPT_PERSIST, 'f' },
	},
	{
		"info", cmd_info, "DEVICE...", "", {},
	},
	{
		"doctor", cmd_doctor, "[DEVICE]...", "", {},
	},
	{
		"watch", cmd_watch, "[--interval S] [--count N] [DEVICE]...",
		"  -i, --interval S   seconds between two lines (1)\n"
		"  -n, --count N      how many times (until interrupted)\n",
		{ 'i', 'n' },
	},
};

static const char devices_help[] =
	"DEVICE is an address (0000:01:00.0, or 01:00 for all functions of a device), an\n"
	"ID (8086:10c9, all that have it), slot:NAME (a physical slot) or vfioN.\n";

static void usage(FILE *file)
{
	fputs("Usage: vfioctl COMMAND [OPTION]... [DEVICE]...\n\n"
	      "  list     functions: driver, IOMMU group, node, user, state\n"
	      "  bind     make functions available to VMs and user space drivers\n"
	      "  unbind   give them back to the host\n"
	      "  info     what a user of the device finds: regions, interrupts, features\n"
	      "  doctor   why this host, or a device, cannot be assigned, and what mends it\n"
	      "  watch    interrupts, faults, resets and errors, live\n\n"
	      "  -j, --json      output for programs\n"
	      "  -h, --help      help, also of a command\n"
	      "  -V, --version   the version\n\n", file);
	fputs(devices_help, file);
}

static void command_usage(FILE *file, const struct command *command)
{
	fprintf(file, "Usage: vfioctl %s %s\n\n%s  -j, --json      output for programs\n\n%s",
		command->name, command->usage, command->help, devices_help);
}

static bool allowed(const struct command *command, int option)
{
	for (size_t i = 0; i < ARRAY_SIZE(command->options); i++) {
		if (command->options[i] == option)
			return true;
	}
	return option == 'h' || option == 'j';
}

static const char *option_name(int value)
{
	for (const struct option *o = long_options; o->name; o++) {
		if (o->val == value)
			return o->name;
	}
	return "";
}

static bool parse_seconds(const char *text, double *seconds)
{
	char *end;

	*seconds = strtod(text, &end);
	return end != text && !*end && isfinite(*seconds) && *seconds >= 0 && *seconds <= 1e6;
}

static bool parse_count(const char *text, unsigned long *count)
{
	char *end;

	errno = 0;
	*count = strtoul(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && !errno && *count;
}

/* Returns an exit status, or -1 to go on. */
static int parse_options(const struct command *command, struct options *options, int argc,
			 char **argv)
{
	int option;

	while ((option = getopt_long(argc, argv, "afhi:jn:", long_options, NULL)) != -1) {
		bool bad = false;

		/* getopt_long() has said what. */
		if (option == '?')
			return EXIT_USAGE;
		if (!allowed(command, option)) {
			say("%s has no option --%s; see vfioctl %s --help", command->name,
			    option_name(option), command->name);
			return EXIT_USAGE;
		}
		switch (option) {
		case 'a':
			options->all = true;
			break;
		case 'f':
			options->force = true;
			break;
		case 'h':
			command_usage(stdout, command);
			return EXIT_OK;
		case 'i':
			bad = !parse_seconds(optarg, &options->interval) || options->interval < 0.1;
			break;
		case 'j':
			options->json = true;
			break;
		case 'n':
			bad = !parse_count(optarg, &options->count);
			break;
		case OPT_BOOT:
			options->boot = true;
			break;
		case OPT_BOUND:
			options->bound = true;
			break;
		case OPT_DRIVER:
			options->driver = optarg;
			bad = !*optarg || strspn(optarg, "/. \t\n");
			break;
		case OPT_GROUP:
			options->group = true;
			break;
		case OPT_PERSIST:
			options->persist = true;
			break;
		case OPT_TIMEOUT:
			bad = !parse_seconds(optarg, &options->timeout);
			break;
		case OPT_WIDE:
			options->wide = true;
			break;
		}
		if (bad) {
			say("--%s cannot be \"%s\"", option_name(option), optarg);
			return EXIT_USAGE;
		}
	}
	options->specs = argv + optind;
	options->n = argc - optind;
	for (int i = 0; i < options->n; i++) {
		if (!spec_valid(options->specs[i])) {
			say("\"%s\" is no device: it can be an address (0000:01:00.0 or 01:00), an "
			    "ID (8086:10c9), slot:NAME or vfioN",
			    options->specs[i]);
			return EXIT_USAGE;
		}
	}
	return -1;
}

/**
 * select_functions - the functions that the command line names, each once
 * @host: all functions
 * @options: the command line
 * @selected: takes an array of them, in the order of their addresses, which the caller frees
 * @n: how many
 *
 * Return: EXIT_OK; or EXIT_NO_DEVICE if something is named that is not there, which was said
 */
int select_functions(struct host *host, const struct options *options,
		     struct function ***selected, size_t *n)
{
	int status = EXIT_OK;

	*selected = xalloc(NULL, host->n + 1, sizeof(**selected));
	*n = 0;
	for (int i = 0; i < options->n; i++) {
		bool found = false;

		for (size_t j = 0; j < host->n && !found; j++)
			found = spec_matches(options->specs[i], &host->functions[j]);
		if (!found) {
			say("there is no device %s", options->specs[i]);
			status = EXIT_NO_DEVICE;
		}
	}
	for (size_t j = 0; j < host->n; j++) {
		bool found = false;

		for (int i = 0; i < options->n && !found; i++)
			found = spec_matches(options->specs[i], &host->functions[j]);
		if (found)
			(*selected)[(*n)++] = &host->functions[j];
	}
	return status;
}

int main(int argc, char **argv)
{
	struct options options = { .timeout = 10, .interval = 1 };
	const char *word = argc > 1 ? argv[1] : NULL;
	int status;

	if (!word) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help")) {
		usage(stdout);
		return EXIT_OK;
	}
	if (!strcmp(word, "--version") || !strcmp(word, "-V")) {
		puts("vfioctl " VERSION);
		return EXIT_OK;
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(word, commands[i].name))
			continue;
		/* How getopt_long() calls us */
		argv[1] = "vfioctl";
		status = parse_options(&commands[i], &options, argc - 1, argv + 1);
		if (status < 0)
			status = commands[i].run(&options);
		/* A full disk, or a reader that is gone */
		if (fflush(stdout) && status == EXIT_OK)
			status = EXIT_FAILED;
		return status;
	}
	say("there is no command \"%s\"; see vfioctl --help", word);
	return EXIT_USAGE;
}
