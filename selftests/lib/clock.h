/* SPDX-License-Identifier: GPL-2.0-only */
/* A bound for loops that poll. It only matters when something is broken. */
#ifndef LIB_CLOCK_H
#define LIB_CLOCK_H

#include <errno.h>
#include <time.h>

#include "types.h"

#define POLL_TIMEOUT_S 120

/**
 * struct deadline - when to give up
 * @at: seconds of CLOCK_MONOTONIC
 */
struct deadline {
	time_t at;
};

/**
 * clock_ms() - CLOCK_MONOTONIC in milliseconds
 */
static inline s64 clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/**
 * deadline_start() - give up POLL_TIMEOUT_S from now
 * @d: set
 */
static inline void deadline_start(struct deadline *d)
{
	d->at = clock_ms() / 1000 + POLL_TIMEOUT_S;
}

/**
 * deadline_passed() - whether it is time to give up
 * @d: the deadline
 */
static inline bool deadline_passed(const struct deadline *d)
{
	return clock_ms() / 1000 > d->at;
}

#endif
