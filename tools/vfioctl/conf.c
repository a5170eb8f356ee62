// SPDX-License-Identifier: GPL-2.0-only
/*
 * /etc/vfioctl.conf: what is bound at boot. A line is a device and, after it, any of
 *	id=VENDOR:DEVICE	only if that is what is at the address
 *	driver=NAME		to this driver
 *	group			with all that is in its IOMMU group
 * What follows a # is a comment.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf.h"
#include "function.h"

/* Returns 1 if the line has an entry, 0 if it has none, or -1 after it has said what is wrong. */
static int parse_line(char *line, int number, struct conf_entry *entry)
{
	char *word;

	*entry = (struct conf_entry){};
	line[strcspn(line, "#\n")] = '\0';
	while ((word = strsep(&line, " \t"))) {
		if (!*word)
			continue;
		if (!entry->spec && spec_valid(word)) {
			entry->spec = xstrdup(word);
		} else if (entry->spec && !entry->id && !strncmp(word, "id=", 3)) {
			entry->id = xstrdup(word + 3);
		} else if (entry->spec && !entry->driver && !strncmp(word, "driver=", 7)) {
			entry->driver = xstrdup(word + 7);
		} else if (entry->spec && !strcmp(word, "group")) {
			entry->group = true;
		} else {
			say(CONF_PATH ", line %d: \"%s\" is not understood", number, word);
			return -1;
		}
	}
	return !!entry->spec;
}

static void free_entry(struct conf_entry *entry)
{
	free(entry->spec);
	free(entry->id);
	free(entry->driver);
}

/**
 * conf_read - read the file
 * @conf: takes it; all zero. Has all lines that are understood, also on failure
 *
 * Return: 0, also if there is no such file, or a negative errno. What was wrong was said.
 */
int conf_read(struct conf *conf)
{
	FILE *file __close_file = fopen(CONF_PATH, "re");
	char *line __free_string = NULL;
	struct conf_entry entry;
	int number = 0, ret = 0;
	size_t size = 0;

	if (!file) {
		ret = errno == ENOENT ? 0 : -errno;
		if (ret)
			say(CONF_PATH ": %s", strerror(-ret));
		return ret;
	}
	while (getline(&line, &size, file) > 0) {
		switch (parse_line(line, ++number, &entry)) {
		case 1:
			conf->v = xalloc(conf->v, conf->n + 1, sizeof(*conf->v));
			conf->v[conf->n++] = entry;
			continue;
		case -1:
			ret = -EINVAL;
			break;
		}
		free_entry(&entry);
	}
	return ret;
}

/**
 * conf_free - the mirror of conf_read()
 * @conf: what it has filled
 */
void conf_free(struct conf *conf)
{
	for (size_t i = 0; i < conf->n; i++)
		free_entry(&conf->v[i]);
	free(conf->v);
}

static bool names(const char *line, const char *spec)
{
	size_t len;

	line += strspn(line, " \t");
	len = strcspn(line, " \t\n#");
	return strlen(spec) == len && !strncmp(line, spec, len);
}

/* All other lines stay as they are. */
static int write_lines(FILE *file, const char *spec, const struct conf_entry *entry)
{
	FILE *old __close_file = fopen(CONF_PATH, "re");
	char *line __free_string = NULL;
	bool ended = true;
	size_t size = 0;

	if (!old && errno != ENOENT)
		return -errno;
	if (!old)
		fputs("# What vfioctl binds at boot, see vfioctl.conf(5).\n", file);
	while (old && getline(&line, &size, old) > 0) {
		if (names(line, spec))
			continue;
		fputs(line, file);
		ended = line[strlen(line) - 1] == '\n';
	}
	if (!ended)
		fputc('\n', file);
	if (entry)
		fprintf(file, "%s%s%s%s%s%s\n", entry->spec, entry->id ? " id=" : "",
			entry->id ?: "", entry->driver ? " driver=" : "", entry->driver ?: "",
			entry->group ? " group" : "");
	return fflush(file) || fsync(fileno(file)) ? -errno : 0;
}

/**
 * conf_change - replace the line of a device, or add it, or remove it
 * @spec: the device, as it is written in the file
 * @entry: its new line, or NULL to remove it
 *
 * Return: 0, or a negative errno; the file is then as it was
 */
int conf_change(const char *spec, const struct conf_entry *entry)
{
	struct stat st;
	FILE *file;
	int ret;

	if (!entry && access(CONF_PATH, F_OK))
		return 0;
	file = fopen(CONF_PATH ".new", "we");
	if (!file)
		return -errno;
	fchmod(fileno(file), stat(CONF_PATH, &st) ? 0644 : st.st_mode & 07777);
	ret = write_lines(file, spec, entry);
	if (fclose(file) && !ret)
		ret = -errno;
	if (!ret && rename(CONF_PATH ".new", CONF_PATH))
		ret = -errno;
	if (ret)
		unlink(CONF_PATH ".new");
	return ret;
}
