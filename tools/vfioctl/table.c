// SPDX-License-Identifier: GPL-2.0-only
/* Columns for people. */
#include <string.h>

#include "table.h"

/**
 * table_add - add the next cell
 * @table: the table
 * @cell: its text, which becomes the table's
 */
void table_add(struct table *table, char *cell)
{
	struct strings *cells = &table->cells;

	cells->v = xalloc(cells->v, cells->n + 1, sizeof(*cells->v));
	cells->v[cells->n++] = cell;
}

/**
 * table_print - print all rows, with columns as wide as their widest cell
 * @table: the table
 * @width: where lines are cut off, or 0
 */
void table_print(const struct table *table, size_t width)
{
	size_t *widths = xalloc(NULL, table->columns, sizeof(*widths));
	size_t n = table->cells.n;

	memset(widths, 0, table->columns * sizeof(*widths));
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(table->cells.v[i]);

		if (len > widths[i % table->columns])
			widths[i % table->columns] = len;
	}
	for (size_t row = 0; row < n; row += table->columns) {
		char *line = xstrdup("");
		size_t len;

		for (size_t i = 0; i < table->columns; i++) {
			bool last = i == table->columns - 1;
			char *more = format("%s%-*s%s", line, last ? 0 : (int)widths[i],
					    table->cells.v[row + i], last ? "" : " ");

			free(line);
			line = more;
		}
		len = strlen(line);
		if (width && len > width)
			len = width;
		while (len && line[len - 1] == ' ')
			len--;
		printf("%.*s\n", (int)len, line);
		free(line);
	}
	free(widths);
}

/**
 * table_free - free all cells
 * @table: the table
 */
void table_free(struct table *table)
{
	strings_free(&table->cells);
}
