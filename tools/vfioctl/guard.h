/* SPDX-License-Identifier: GPL-2.0-only */
/* What the host would lose together with a function. */
#ifndef VFIOCTL_GUARD_H
#define VFIOCTL_GUARD_H

#include "function.h"

struct strings guard_reasons(const struct function *f);

#endif
