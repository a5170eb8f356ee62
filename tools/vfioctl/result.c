// SPDX-License-Identifier: GPL-2.0-only
/* What bind and unbind have done, or not, with each function. */
#include <string.h>

#include "json.h"
#include "result.h"
#include "vfioctl.h"

/**
 * results_add - a function is to be dealt with
 * @results: the list, in which it is only once
 * @f: the function
 * @along: the function that it goes along with, or NULL
 */
void results_add(struct results *results, struct function *f, struct function *along)
{
	if (results_of(results, f))
		return;
	results->v = xalloc(results->v, results->n + 1, sizeof(*results->v));
	results->v[results->n++] = (struct result){ .f = f, .along = along };
}

/**
 * results_of - the result of a function
 * @results: the list
 * @f: the function
 *
 * Return: the result, or NULL
 */
struct result *results_of(struct results *results, const struct function *f)
{
	for (size_t i = 0; i < results->n; i++) {
		if (results->v[i].f == f)
			return &results->v[i];
	}
	return NULL;
}

/**
 * result_set - it is known what has become of a function
 * @result: its result
 * @word: see struct result
 * @reason: why, or NULL; becomes the result's
 */
void result_set(struct result *result, const char *word, char *reason)
{
	free(result->reason);
	result->word = word;
	result->reason = reason;
}

static void print_json(const struct results *results, const char *command, int status)
{
	struct json_object *array = json_object_new_array();
	struct json_object *o = json_begin(command);

	for (size_t i = 0; i < results->n; i++) {
		const struct result *result = &results->v[i];
		const struct function *f = result->f;
		char *node __free_string = f->node ? format("/dev/vfio/devices/%s", f->node) : NULL;
		struct json_object *one = json_object_new_object();

		json_text(one, "address", f->address);
		json_text(one, "result", result->word);
		json_text(one, "reason", result->reason);
		json_text(one, "driver", f->driver);
		json_text(one, "node", node);
		json_text(one, "along_with", result->along ? result->along->address : NULL);
		json_object_array_add(array, one);
	}
	json_object_object_add(o, "results", array);
	json_number(o, "status", status);
	json_print(o, false);
}

static void print_line(const struct result *result)
{
	const struct function *f = result->f;
	char *first __free_string = format("%s: ", f->address);
	char *text __free_string = NULL;

	if (!strcmp(result->word, "refused") || !strcmp(result->word, "failed")) {
		say("%s: %s: %s", f->address, result->word, result->reason);
		return;
	}
	text = format("%s, %s%s%s%s%s%s%s", result->word, f->driver ? "driver " : "no driver",
		      f->driver ?: "", f->node ? ", /dev/vfio/devices/" : "", f->node ?: "",
		      result->along ? " (with " : "", result->along ? result->along->address : "",
		      result->along ? ")" : "");
	wrap(stdout, first, 4, text);
	if (result->reason)
		say("%s: %s", f->address, result->reason);
}

/**
 * status_worst - the one of two exit statuses that says more
 * @a: one
 * @b: the other
 *
 * Return: that something failed says more than that something was refused, and so on
 */
int status_worst(int a, int b)
{
	static const int order[] = { EXIT_FAILED, EXIT_REFUSED, EXIT_NO_DEVICE, EXIT_TIME };

	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		if (a == order[i] || b == order[i])
			return order[i];
	}
	return EXIT_OK;
}

/**
 * results_print - tell the user
 * @results: the results
 * @command: whose they are
 * @json: for programs
 * @status: the exit status
 */
void results_print(const struct results *results, const char *command, bool json, int status)
{
	if (json) {
		print_json(results, command, status);
		return;
	}
	for (size_t i = 0; i < results->n; i++)
		print_line(&results->v[i]);
}

/**
 * results_free - free all of them
 * @results: the list
 */
void results_free(struct results *results)
{
	for (size_t i = 0; i < results->n; i++)
		free(results->v[i].reason);
	free(results->v);
}
