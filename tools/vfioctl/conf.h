/* SPDX-License-Identifier: GPL-2.0-only */
/* /etc/vfioctl.conf: what is bound at boot. */
#ifndef VFIOCTL_CONF_H
#define VFIOCTL_CONF_H

#include <stdbool.h>
#include <stddef.h>

#include "util.h"

#define CONF_PATH "/etc/vfioctl.conf"

/**
 * struct conf_entry - a line of the file
 * @spec: what is bound
 * @id: VENDOR:DEVICE that it must have, or NULL
 * @driver: the driver that it is bound to, or NULL
 * @group: with all that is in its IOMMU group
 */
struct conf_entry {
	char *spec;
	char *id;
	char *driver;
	bool group;
};

/**
 * struct conf - the file
 * @v: its entries
 * @n: how many
 */
struct conf {
	struct conf_entry *v;
	size_t n;
};

int conf_read(struct conf *conf);
void conf_free(struct conf *conf);
int conf_change(const char *spec, const struct conf_entry *entry);

#define __free_conf __cleanup(conf_free)

#endif
