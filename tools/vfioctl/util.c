// SPDX-License-Identifier: GPL-2.0-only
/*
 * Strings, small files of /sys and /proc, and text for people. There is nothing sensible to do
 * without memory, so that allocations either succeed or end the program.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util.h"

static void *needed(void *p)
{
	if (p)
		return p;
	fputs("vfioctl: out of memory\n", stderr);
	exit(1);
}

/**
 * xalloc - realloc(), for an array
 * @old: what there is, or NULL
 * @n: how many elements there are to be
 * @size: of one
 *
 * Return: the array, never NULL. The caller frees it.
 */
void *xalloc(void *old, size_t n, size_t size)
{
	return needed(reallocarray(old, n, size));
}

/**
 * xstrdup - strdup(), or NULL for NULL
 * @s: the string, or NULL
 *
 * Return: a copy that the caller frees
 */
char *xstrdup(const char *s)
{
	return s ? needed(strdup(s)) : NULL;
}

static char *vformat(const char *fmt, va_list args)
{
	char *s;

	if (vasprintf(&s, fmt, args) < 0)
		s = NULL;
	return needed(s);
}

/**
 * format - sprintf() to a string that is as long as need be
 * @fmt: as for printf()
 *
 * Return: the string, never NULL. The caller frees it.
 */
char *format(const char *fmt, ...)
{
	va_list args;
	char *s;

	va_start(args, fmt);
	s = vformat(fmt, args);
	va_end(args);
	return s;
}

/**
 * make_printable - keep others from writing control characters to the terminal of the user
 * @text: such as the name of a process, or NULL. Bytes that are no printable ASCII become question
 *	marks
 */
void make_printable(char *text)
{
	for (char *c = text; c && *c; c++) {
		if (!isprint((unsigned char)*c))
			*c = '?';
	}
}

/**
 * take_value - what a line has after its key, if it is a line of that key
 * @to: takes the value, in place of the one that it has
 * @line: the line
 * @key: with all that stands between it and the value
 */
void take_value(char **to, const char *line, const char *key)
{
	size_t len = strlen(key);

	if (strncmp(line, key, len))
		return;
	free(*to);
	*to = format("%.*s", (int)strcspn(line + len, "\n"), line + len);
}

/**
 * strings_add - add a string to a list
 * @list: the list; all zero is an empty one
 * @fmt: as for printf()
 */
void strings_add(struct strings *list, const char *fmt, ...)
{
	va_list args;

	list->v = xalloc(list->v, list->n + 1, sizeof(*list->v));
	va_start(args, fmt);
	list->v[list->n++] = vformat(fmt, args);
	va_end(args);
}

/**
 * strings_have - is it in the list?
 * @list: the list
 * @s: what is looked for
 *
 * Return: whether it is
 */
bool strings_have(const struct strings *list, const char *s)
{
	for (size_t i = 0; i < list->n; i++) {
		if (!strcmp(list->v[i], s))
			return true;
	}
	return false;
}

/**
 * strings_join - all of a list in one string
 * @list: the list
 * @between: what stands between two of them
 *
 * Return: the string, never NULL. The caller frees it.
 */
char *strings_join(const struct strings *list, const char *between)
{
	char *all = xstrdup("");

	for (size_t i = 0; i < list->n; i++) {
		char *more = format("%s%s%s", all, i ? between : "", list->v[i]);

		free(all);
		all = more;
	}
	return all;
}

/**
 * strings_free - free the strings of a list, which is empty then
 * @list: the list
 */
void strings_free(struct strings *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->v[i]);
	free(list->v);
	*list = (struct strings){};
}

/**
 * read_file - the text in a file, without white space at its end
 * @fmt: the path, as for printf()
 *
 * Return: the text, which the caller frees, or NULL if there is none to read
 */
char *read_file(const char *fmt, ...)
{
	char *path __free_string = NULL;
	size_t room = 4096, len = 0;
	va_list args;
	char *text;
	ssize_t got;
	int fd;

	va_start(args, fmt);
	path = vformat(fmt, args);
	va_end(args);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	text = xalloc(NULL, room, 1);
	while ((got = read(fd, text + len, room - len - 1)) > 0) {
		len += got;
		if (room - len == 1) {
			room *= 2;
			text = xalloc(text, room, 1);
		}
	}
	close(fd);
	if (got < 0) {
		free(text);
		return NULL;
	}
	while (len && isspace((unsigned char)text[len - 1]))
		len--;
	text[len] = '\0';
	return text;
}

/**
 * write_file - write to a file of the kernel, in one write()
 * @value: what to write
 * @fmt: the path, as for printf()
 *
 * Return: 0 or a negative errno
 */
int write_file(const char *value, const char *fmt, ...)
{
	char *path __free_string = NULL;
	va_list args;
	int fd, ret;

	va_start(args, fmt);
	path = vformat(fmt, args);
	va_end(args);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = write(fd, value, strlen(value)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

/**
 * link_name - the last part of what a symbolic link points to
 * @fmt: the path of the link, as for printf()
 *
 * Return: the name, which the caller frees, or NULL if there is no such link
 */
char *link_name(const char *fmt, ...)
{
	char *path __free_string = NULL;
	char target[PATH_MAX];
	va_list args;
	ssize_t len;

	va_start(args, fmt);
	path = vformat(fmt, args);
	va_end(args);
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		return NULL;
	target[len] = '\0';
	return xstrdup(basename(target));
}

/**
 * exists - is there such a file?
 * @fmt: the path, as for printf()
 *
 * Return: whether there is
 */
bool exists(const char *fmt, ...)
{
	char *path __free_string = NULL;
	va_list args;

	va_start(args, fmt);
	path = vformat(fmt, args);
	va_end(args);
	return !access(path, F_OK);
}

/**
 * dir_names - what is in a folder, in no order
 * @fmt: the path, as for printf()
 *
 * Return: the names but for those with a dot in front; none if there is no such folder
 */
struct strings dir_names(const char *fmt, ...)
{
	char *path __free_string = NULL;
	struct strings names = {};
	struct dirent *entry;
	va_list args;
	DIR *dir;

	va_start(args, fmt);
	path = vformat(fmt, args);
	va_end(args);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] != '.')
			strings_add(&names, "%s", entry->d_name);
	}
	if (dir)
		closedir(dir);
	return names;
}

/**
 * wrap - print text, in lines of no more than COLUMNS
 * @file: where to
 * @first: what the first line begins with
 * @indent: spaces that all other lines begin with
 * @text: words, with one space between
 */
void wrap(FILE *file, const char *first, int indent, const char *text)
{
	int column = fprintf(file, "%s", first);
	bool start = true;

	while (*text) {
		int len = strcspn(text, " ");

		if (!start && column + 1 + len > COLUMNS) {
			column = fprintf(file, "\n%*s", indent, "") - 1;
			start = true;
		}
		column += fprintf(file, "%s%.*s", start ? "" : " ", len, text);
		start = false;
		text += len;
		text += *text == ' ';
	}
	fputc('\n', file);
}

/**
 * say - a message for people, on stderr
 * @fmt: as for printf(), without a newline
 */
void say(const char *fmt, ...)
{
	char *text __free_string = NULL;
	va_list args;

	va_start(args, fmt);
	text = vformat(fmt, args);
	va_end(args);
	wrap(stderr, "vfioctl: ", 9, text);
}

/**
 * terminal_columns - how wide a table may be
 *
 * Return: what the terminal says or, without one, COLUMNS
 */
int terminal_columns(void)
{
	struct winsize size;

	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col)
		return size.ws_col;
	return COLUMNS;
}
