/* SPDX-License-Identifier: GPL-2.0-only */
/* The tracepoints of the drivers, read from an instance of our own. */
#ifndef VFIOCTL_TRACE_H
#define VFIOCTL_TRACE_H

#include <stdbool.h>
#include <stdio.h>

/**
 * struct trace - an instance
 * @path: its folder, or NULL
 * @pipe: where its events come from, or -1
 * @text: what was read and is not complete
 * @len: how much that is
 */
struct trace {
	char *path;
	int pipe;
	char text[8192];
	size_t len;
};

/**
 * struct event - what a tracepoint says
 * @name: which
 * @address: the function
 * @text: the rest
 */
struct event {
	char name[64];
	char address[20];
	char text[256];
};

#define NO_TRACE { .pipe = -1 }

bool trace_open(struct trace *trace, char **problem);
bool trace_read(struct trace *trace, struct event *event);
void trace_close(struct trace *trace);

#define __free_trace __cleanup(trace_close)

#endif
