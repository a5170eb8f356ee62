// SPDX-License-Identifier: GPL-2.0-only
/* What --json prints: vfioctl.schema.json says what is in it. */
#include <ctype.h>
#include <stdio.h>

#include "json.h"

/* Changes when a program that reads the output has to. New keys are no such change. */
#define SCHEMA 1

/**
 * json_begin - the object that a command prints
 * @command: its name
 *
 * Return: the object, which the caller puts
 */
struct json_object *json_begin(const char *command)
{
	struct json_object *o = json_object_new_object();

	json_number(o, "schema", SCHEMA);
	json_text(o, "command", command);
	return o;
}

/**
 * json_print - print an object, and be done with it
 * @o: the object; put
 * @one_line: for output that goes on, of which each line is an object
 */
void json_print(struct json_object *o, bool one_line)
{
	int flags = JSON_C_TO_STRING_NOSLASHESCAPE;

	if (!one_line)
		flags |= JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED;
	puts(json_object_to_json_string_ext(o, flags));
	fflush(stdout);
	json_object_put(o);
}

/**
 * json_text - add a string
 * @o: the object
 * @key: its key
 * @value: the string; NULL becomes null. Bytes that are no printable ASCII, which the name of a
 *	process can have, become question marks, as JSON is UTF-8
 */
void json_text(struct json_object *o, const char *key, const char *value)
{
	char *text __free_string = xstrdup(value);

	for (char *c = text; c && *c; c++) {
		if (!isprint((unsigned char)*c))
			*c = '?';
	}
	json_object_object_add(o, key, text ? json_object_new_string(text) : NULL);
}

/**
 * json_flag - add true or false
 * @o: the object
 * @key: its key
 * @value: which
 */
void json_flag(struct json_object *o, const char *key, bool value)
{
	json_object_object_add(o, key, json_object_new_boolean(value));
}

/**
 * json_number - add a number
 * @o: the object
 * @key: its key
 * @value: the number
 */
void json_number(struct json_object *o, const char *key, int64_t value)
{
	json_object_object_add(o, key, json_object_new_int64(value));
}

/**
 * json_index - add a number that may be missing
 * @o: the object
 * @key: its key
 * @value: the number; a negative one becomes null
 */
void json_index(struct json_object *o, const char *key, int value)
{
	json_object_object_add(o, key, value < 0 ? NULL : json_object_new_int(value));
}

/**
 * json_hex - add a number as a string of hexadecimal digits, as PCI's IDs are written
 * @o: the object
 * @key: its key
 * @value: the number
 * @digits: how many digits there are at least
 */
void json_hex(struct json_object *o, const char *key, uint64_t value, int digits)
{
	char text[20];

	snprintf(text, sizeof(text), "%0*llx", digits, (unsigned long long)value);
	json_text(o, key, text);
}

/**
 * json_strings - add a list of strings
 * @o: the object
 * @key: its key
 * @list: the strings
 */
void json_strings(struct json_object *o, const char *key, const struct strings *list)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < list->n; i++)
		json_object_array_add(array, json_object_new_string(list->v[i]));
	json_object_object_add(o, key, array);
}
