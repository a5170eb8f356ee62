/* SPDX-License-Identifier: GPL-2.0-only */
/* A minimal guest: a CPU that loads and stores 32 bits at a given address. */
#ifndef LIB_VCPU_H
#define LIB_VCPU_H

#include "types.h"

struct kvm_run;

/**
 * struct vcpu - one guest with one CPU
 * @vm: the virtual machine
 * @cpu: its CPU
 * @run: the area shared with KVM
 * @run_size: size of @run
 * @code: the guest's program
 */
struct vcpu {
	int vm;
	int cpu;
	struct kvm_run *run;
	size_t run_size;
	void *code;
};

/**
 * vcpu_start() - make a guest
 * @v: filled in
 * @window: page-aligned memory of this program that the guest can access
 * @len: its length, 32 KiB at most
 *
 * Return: 0 or negative errno.
 */
int vcpu_start(struct vcpu *v, void *window, size_t len);

/**
 * vcpu_end() - end a guest
 * @v: from vcpu_start(), or zeroed
 */
void vcpu_end(struct vcpu *v);

/**
 * vcpu_read32() - make the guest load from its window
 * @v: the guest
 * @off: offset in the window
 * @val: filled in
 *
 * Return: 0; -EFAULT when KVM gives up, so that a VMM would end the guest; -EIO for any other
 * unexpected exit.
 */
int vcpu_read32(struct vcpu *v, u64 off, u32 *val);

/**
 * vcpu_write32() - make the guest store to its window
 * @v: the guest
 * @off: offset in the window
 * @val: the value
 *
 * Return: like vcpu_read32().
 */
int vcpu_write32(struct vcpu *v, u64 off, u32 val);

#endif
