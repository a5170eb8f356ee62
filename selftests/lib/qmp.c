// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "qmp.h"

#define QMP_PORT "/dev/virtio-ports/qmp"

/*
 * Other lines than the answer to @id are greetings, events and answers to others. The answer must
 * contain @want.
 */
static int qmp_answer(FILE *port, const char *id, const char *want)
{
	char line[16384];

	while (fgets(line, sizeof(line), port)) {
		if (strstr(line, id))
			return strstr(line, "\"error\"") || !strstr(line, want) ? -EIO : 0;
	}
	return -ENODEV;
}

static int qmp_send(FILE *port, const char *want, const char *fmt, va_list ap)
{
	static unsigned int count;
	char id[48];

	/* Unique, as an answer that an earlier test did not wait for may still come. */
	snprintf(id, sizeof(id), "\"selftest-%d-%u\"", getpid(), count++);
	fputs("{ ", port);
	vfprintf(port, fmt, ap);
	fprintf(port, ", \"id\": %s }\n", id);
	fflush(port);
	return qmp_answer(port, id, want);
}

static int qmp_sendf(FILE *port, const char *fmt, ...)
{
	va_list ap;
	int err;

	va_start(ap, fmt);
	err = qmp_send(port, "", fmt, ap);
	va_end(ap);
	return err;
}

static int qmp_talk(const char *want, const char *fmt, va_list ap)
{
	FILE *port = fopen(QMP_PORT, "r+");
	int err;

	if (!port)
		return -ENODEV;
	setvbuf(port, NULL, _IONBF, 0);
	/* Refused except for the first time. */
	qmp_sendf(port, "\"execute\": \"qmp_capabilities\"");
	err = qmp_send(port, want, fmt, ap);
	fclose(port);
	return err;
}

int qmp_command(const char *fmt, ...)
{
	va_list ap;
	int err;

	va_start(ap, fmt);
	err = qmp_talk("", fmt, ap);
	va_end(ap);
	return err;
}

int qmp_expect(const char *want, const char *fmt, ...)
{
	va_list ap;
	int err;

	va_start(ap, fmt);
	err = qmp_talk(want, fmt, ap);
	va_end(ap);
	return err;
}
