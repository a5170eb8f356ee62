/* SPDX-License-Identifier: GPL-2.0-only */
/* Columns for people. */
#ifndef VFIOCTL_TABLE_H
#define VFIOCTL_TABLE_H

#include "util.h"

/**
 * struct table - cells, row by row
 * @columns: how many there are in a row
 * @cells: all of them
 */
struct table {
	size_t columns;
	struct strings cells;
};

void table_add(struct table *table, char *cell);
void table_print(const struct table *table, size_t width);
void table_free(struct table *table);

#define __free_table __cleanup(table_free)

#endif
