// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is remembered, until the next boot, of functions that were taken from the host: a file for
 * each, /run/vfioctl/ADDRESS, with a line "key=value" for what there was. A function of which
 * nothing is known is left to whichever driver the kernel finds for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory.h"
#include "util.h"

#define FOLDER "/run/vfioctl"

/**
 * memory_lock - from here on, no other vfioctl binds or unbinds, until this one ends
 * @command: what this one is about to do, for the message
 *
 * Return: false if that cannot be had, which was said
 */
bool memory_lock(const char *command)
{
	int fd = -1;

	if (geteuid()) {
		say("only root can %s devices", command);
		return false;
	}
	if (!mkdir(FOLDER, 0755) || errno == EEXIST)
		fd = open(FOLDER "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	/* Never closed: the lock is to last. */
	if (fd >= 0 && !flock(fd, LOCK_EX))
		return true;
	say(FOLDER ": %s", strerror(errno));
	return false;
}

/**
 * memory_keep - remember a function
 * @address: its address
 * @memory: how the host had it
 *
 * Return: 0, or a negative errno
 */
int memory_keep(const char *address, const struct memory *memory)
{
	char *path __free_string = format(FOLDER "/%s", address);
	char *fresh __free_string = format("%s.new", path);
	FILE *file = fopen(fresh, "we");
	int ret;

	if (!file)
		return -errno;
	if (memory->driver)
		fprintf(file, "driver=%s\n", memory->driver);
	if (memory->module)
		fprintf(file, "module=%s\n", memory->module);
	if (memory->override)
		fprintf(file, "override=%s\n", memory->override);
	if (memory->along)
		fprintf(file, "along=%s\n", memory->along);
	ret = fclose(file) || rename(fresh, path) ? -errno : 0;
	if (ret)
		unlink(fresh);
	return ret;
}

/**
 * memory_recall - how had the host this function?
 * @address: its address
 * @memory: takes it; all zero
 *
 * Return: false if nothing is known
 */
bool memory_recall(const char *address, struct memory *memory)
{
	char *path __free_string = format(FOLDER "/%s", address);
	FILE *file __close_file = fopen(path, "re");
	char *line __free_string = NULL;
	size_t size = 0;

	while (file && getline(&line, &size, file) > 0) {
		take_value(&memory->driver, line, "driver=");
		take_value(&memory->module, line, "module=");
		take_value(&memory->override, line, "override=");
		take_value(&memory->along, line, "along=");
	}
	return file;
}

/**
 * memory_forget - the host has it again
 * @address: its address
 */
void memory_forget(const char *address)
{
	char *path __free_string = format(FOLDER "/%s", address);

	unlink(path);
}

/**
 * memory_free - the mirror of memory_recall()
 * @memory: what it has filled
 */
void memory_free(struct memory *memory)
{
	free(memory->driver);
	free(memory->module);
	free(memory->override);
	free(memory->along);
}
