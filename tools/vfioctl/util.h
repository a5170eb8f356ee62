/* SPDX-License-Identifier: GPL-2.0-only */
/* Strings, small files of /sys and /proc, and text for people. */
#ifndef VFIOCTL_UTIL_H
#define VFIOCTL_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#define ARRAY_SIZE(x) (sizeof(x) / sizeof((x)[0]))

/* All messages and pages for people keep to this, unless the terminal is wider. */
#define COLUMNS 80

#define __printf(fmt, args) __attribute__((format(printf, fmt, args)))
#define __cleanup(fn) __attribute__((cleanup(fn)))

static inline void free_string(char **p)
{
	free(*p);
}

static inline void close_file(FILE **p)
{
	if (*p)
		fclose(*p);
}

#define __free_string __cleanup(free_string)
#define __close_file __cleanup(close_file)

/**
 * struct strings - a list of strings of its own
 * @v: the strings
 * @n: how many
 */
struct strings {
	char **v;
	size_t n;
};

void make_printable(char *text);
void take_value(char **to, const char *line, const char *key);

void strings_add(struct strings *list, const char *fmt, ...) __printf(2, 3);
bool strings_have(const struct strings *list, const char *s);
char *strings_join(const struct strings *list, const char *between);
void strings_free(struct strings *list);

#define __free_strings __cleanup(strings_free)

void *xalloc(void *old, size_t n, size_t size);
char *xstrdup(const char *s);
char *format(const char *fmt, ...) __printf(1, 2);

char *read_file(const char *fmt, ...) __printf(1, 2);
int write_file(const char *value, const char *fmt, ...) __printf(2, 3);
char *link_name(const char *fmt, ...) __printf(1, 2);
bool exists(const char *fmt, ...) __printf(1, 2);
struct strings dir_names(const char *fmt, ...) __printf(1, 2);

void wrap(FILE *file, const char *first, int indent, const char *text);
void say(const char *fmt, ...) __printf(1, 2);
int terminal_columns(void);

#endif
