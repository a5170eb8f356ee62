/* SPDX-License-Identifier: GPL-2.0-only */
/* What doctor has found, and the rooms where it looks. */
#ifndef VFIOCTL_FINDING_H
#define VFIOCTL_FINDING_H

#include <stdbool.h>

#include "function.h"

/* How bad it is */
enum severity {
	NOTE,		/* worth knowing */
	WARNING,	/* works, but not for everybody, or not all of it */
	ERROR,		/* cannot be assigned */
};

/**
 * struct finding - something that stands in the way
 * @severity: how bad it is
 * @id: its name, for programs
 * @f: the function that it is about, or NULL for the host
 * @what: what was found
 * @why: why it matters
 * @mend: the command that mends it, or NULL if none does
 */
struct finding {
	enum severity severity;
	const char *id;
	const struct function *f;
	char *what;
	char *why;
	char *mend;
};

/**
 * struct findings - all of them
 * @v: the findings
 * @n: how many
 */
struct findings {
	struct finding *v;
	size_t n;
};

void findings_add(struct findings *findings, enum severity severity, const char *id,
		  const struct function *f, char *what, char *why, char *mend);

void check_host(struct findings *findings);
void check_function(struct findings *findings, struct host *host, struct function *f);

#endif
