/* SPDX-License-Identifier: GPL-2.0-only */
/* Who has a device open: processes, by their open files. */
#ifndef VFIOCTL_OWNER_H
#define VFIOCTL_OWNER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <json-c/json.h>

#include "util.h"

struct function;

/**
 * struct owner - an open file of a device. What fdinfo does not have is NULL
 * @pid: whose it is
 * @fd: its number there
 * @process: the name of the program
 * @vm: the name that QEMU was given, or NULL
 * @state: open, bound or revoked
 * @pt: the page table that its DMA goes through: a number, or "none"
 * @irq: which interrupts are on
 * @kvm: whether KVM knows of it: yes or no
 * @error: its last error, a sentence
 */
struct owner {
	pid_t pid;
	int fd;
	char *process;
	char *vm;
	char *state;
	char *pt;
	char *irq;
	char *kvm;
	char *error;
};

/**
 * struct owners - the open files of a device
 * @v: each of them
 * @n: how many
 */
struct owners {
	struct owner *v;
	size_t n;
};

void owners_find(struct owners *owners, const struct function *f);
struct json_object *owners_json(const struct owners *owners);
char *owners_text(const struct owners *owners);
void owners_free(struct owners *owners);
void owners_rescan(void);

#define __free_owners __cleanup(owners_free)

#endif
