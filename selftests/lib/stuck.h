/* SPDX-License-Identifier: GPL-2.0-only */
/* A page whose fault never ends, as a hostile user can have one. */
#ifndef LIB_STUCK_H
#define LIB_STUCK_H

/**
 * stuck_at() - have a page of anonymous memory be one, which nobody has touched yet
 * @page: its address; 4 KiB
 *
 * Return: as stuck_page().
 */
int stuck_at(void *page);

/**
 * stuck_page() - make one
 * @page: filled with its address; 4 KiB
 *
 * Return: file to read a struct uffd_msg from when somebody is stuck, whom closing it lets go; or
 * negative errno.
 */
int stuck_page(void **page);

#endif
