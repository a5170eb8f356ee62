/* SPDX-License-Identifier: GPL-2.0-only */
/* The capabilities in config space, by name. */
#ifndef VFIOCTL_CAPABILITY_H
#define VFIOCTL_CAPABILITY_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct capability - a capability
 * @id: its number
 * @extended: it is beyond the first 256 bytes, where there are other numbers
 */
struct capability {
	uint16_t id;
	bool extended;
};

/* More cannot be in 4096 bytes, as each takes 4. */
#define MAX_CAPABILITIES 1024

const char *capability_name(const struct capability *c);
int capabilities(const uint8_t *config, int size, struct capability *list);

#endif
