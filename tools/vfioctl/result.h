/* SPDX-License-Identifier: GPL-2.0-only */
/* What bind and unbind have done, or not, with each function. */
#ifndef VFIOCTL_RESULT_H
#define VFIOCTL_RESULT_H

#include <stdbool.h>

#include "function.h"

/**
 * struct result - what has become of a function
 * @f: the function
 * @along: the function that it goes along with, or NULL
 * @word: bound, restored, unchanged, refused, failed; NULL until it is known
 * @reason: why it was refused, or has failed, or NULL
 */
struct result {
	struct function *f;
	struct function *along;
	const char *word;
	char *reason;
};

/**
 * struct results - for each function, in the order in which they are dealt with
 * @v: the results
 * @n: how many
 */
struct results {
	struct result *v;
	size_t n;
};

void results_add(struct results *results, struct function *f, struct function *along);
struct result *results_of(struct results *results, const struct function *f);
void result_set(struct result *result, const char *word, char *reason);
int status_worst(int a, int b);
void results_print(const struct results *results, const char *command, bool json, int status);
void results_free(struct results *results);

#define __free_results __cleanup(results_free)

#endif
