/* SPDX-License-Identifier: GPL-2.0-only */
/* A page whose fault never completes, as a hostile user can create one. */
#ifndef LIB_STUCK_H
#define LIB_STUCK_H

/**
 * stuck_at() - turn a page of anonymous memory, not accessed yet, into one
 * @page: its address; 4 KiB
 *
 * Return: as stuck_page().
 */
int stuck_at(void *page);

/**
 * stuck_page() - allocate one
 * @page: filled with its address; 4 KiB
 *
 * Return: file to read a struct uffd_msg from when somebody is stuck, and to close to release them;
 * or negative errno.
 */
int stuck_page(void **page);

#endif
