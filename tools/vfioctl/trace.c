// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tracepoints of the drivers, read from an instance of our own, so that whatever else is being
 * traced is left alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "trace.h"
#include "util.h"

#define INSTANCES "/sys/kernel/tracing/instances"
#define PREFIX "vfioctl-"

/* What was left over by a process that was killed goes. */
static void remove_stale(void)
{
	struct strings names __free_strings = dir_names(INSTANCES);

	for (size_t i = 0; i < names.n; i++) {
		char *path __free_string = format(INSTANCES "/%s", names.v[i]);
		pid_t pid;

		if (strncmp(names.v[i], PREFIX, strlen(PREFIX)))
			continue;
		pid = atoi(names.v[i] + strlen(PREFIX));
		if (pid > 0 && kill(pid, 0) && errno == ESRCH)
			rmdir(path);
	}
}

/**
 * trace_open - listen to all tracepoints of the drivers
 * @trace: the instance, of NO_TRACE
 * @problem: takes why that cannot be, which the caller frees
 *
 * Return: whether it works
 */
bool trace_open(struct trace *trace, char **problem)
{
	char *pipe __free_string = NULL;
	int on = 0;

	remove_stale();
	trace->path = format(INSTANCES "/" PREFIX "%d", getpid());
	if (mkdir(trace->path, 0700)) {
		*problem = format("%s: %s", INSTANCES, strerror(errno));
		free(trace->path);
		trace->path = NULL;
		return false;
	}
	on += !write_file("1", "%s/events/vfio/enable", trace->path);
	on += !write_file("1", "%s/events/vfio_pci/enable", trace->path);
	if (on != 2) {
		*problem = xstrdup("the drivers have no tracepoints, or are not loaded");
		return false;
	}
	pipe = format("%s/trace_pipe", trace->path);
	trace->pipe = open(pipe, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (trace->pipe < 0)
		*problem = format("%s: %s", pipe, strerror(errno));
	return trace->pipe >= 0;
}

/* "   task-123  [000] .....  12.345678: vfio_bind: 0000:01:00.0 devid=1" */
static bool parse(const char *line, struct event *event)
{
	const char *at = strstr(line, ": vfio_");
	int end = 0;

	memset(event, 0, sizeof(*event));
	if (!at || sscanf(at, ": %63[^:]: %19s %n", event->name, event->address, &end) < 2)
		return false;
	if (end)
		snprintf(event->text, sizeof(event->text), "%s", at + end);
	return true;
}

/**
 * trace_read - the next event
 * @trace: the instance
 * @event: takes it
 *
 * Return: false if there is none yet
 */
bool trace_read(struct trace *trace, struct event *event)
{
	for (;;) {
		char *end = memchr(trace->text, '\n', trace->len);
		ssize_t got;
		bool good;

		if (end) {
			*end = '\0';
			good = parse(trace->text, event);
			trace->len -= end + 1 - trace->text;
			memmove(trace->text, end + 1, trace->len);
			if (good)
				return true;
			continue;
		}
		/* No line is as long as that. */
		if (trace->len == sizeof(trace->text))
			trace->len = 0;
		if (trace->pipe < 0)
			return false;
		got = read(trace->pipe, trace->text + trace->len, sizeof(trace->text) - trace->len);
		if (got <= 0)
			return false;
		trace->len += got;
	}
}

/**
 * trace_close - the mirror of trace_open()
 * @trace: the instance
 */
void trace_close(struct trace *trace)
{
	/* An instance that has an open file stays. */
	if (trace->pipe >= 0)
		close(trace->pipe);
	if (trace->path)
		rmdir(trace->path);
	free(trace->path);
}
