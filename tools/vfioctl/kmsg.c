// SPDX-License-Identifier: GPL-2.0-only
/* The kernel's log, from some time on: where drivers say why. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kmsg.h"
#include "util.h"

/**
 * kmsg_open - begin to listen
 *
 * Return: a file for the other functions, or -1 if this user may not
 */
int kmsg_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		lseek(fd, 0, SEEK_END);
	return fd;
}

/**
 * kmsg_read - the next message
 * @fd: the file
 * @text: takes the message
 * @size: the room there
 *
 * Return: false if there is none yet
 */
bool kmsg_read(int fd, char *text, size_t size)
{
	char record[8192];
	ssize_t len;
	char *start;

	if (fd < 0)
		return false;
	/* EPIPE: messages were lost, as there were too many; the next read goes on after them. */
	do {
		len = read(fd, record, sizeof(record) - 1);
	} while (len < 0 && (errno == EPIPE || errno == EINTR));
	if (len <= 0)
		return false;
	record[len] = '\0';
	start = strchr(record, ';');
	start = start ? start + 1 : record;
	start[strcspn(start, "\n")] = '\0';
	snprintf(text, size, "%s", start);
	return true;
}

/**
 * kmsg_reason - what has a driver said last about a function?
 * @fd: the file, from which all is read
 * @driver: the driver
 * @address: the function
 *
 * Return: what follows the address, which the caller frees, or NULL
 */
char *kmsg_reason(int fd, const char *driver, const char *address)
{
	char *about __free_string = format("%s %s: ", driver, address);
	char *reason = NULL;
	char text[1024];

	while (kmsg_read(fd, text, sizeof(text))) {
		char *at = strstr(text, about);

		if (!at)
			continue;
		free(reason);
		reason = xstrdup(at + strlen(about));
	}
	return reason;
}
