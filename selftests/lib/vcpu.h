/* SPDX-License-Identifier: GPL-2.0-only */
/* The smallest of guests: a CPU that loads and stores 32 bits where it is told to. */
#ifndef LIB_VCPU_H
#define LIB_VCPU_H

#include "types.h"

struct kvm_run;

/**
 * struct vcpu - one guest with one CPU
 * @vm: the virtual machine
 * @cpu: its CPU
 * @run: what KVM and we share of the CPU
 * @run_size: of that
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
 * @window: page-aligned memory of this program's that the guest shall see
 * @len: its length, 32 KiB at most
 *
 * Return: 0 or negative errno.
 */
int vcpu_start(struct vcpu *v, void *window, size_t len);

/**
 * vcpu_end() - the end of it
 * @v: from vcpu_start(), or zeroed
 */
void vcpu_end(struct vcpu *v);

/**
 * vcpu_read32() - have the guest load from its window
 * @v: the guest
 * @off: offset in the window
 * @val: filled in
 *
 * Return: 0; -EFAULT when KVM gives up, so that a VMM would end the guest; -EIO when the guest
 * leaves its program in another way.
 */
int vcpu_read32(struct vcpu *v, u64 off, u32 *val);

/**
 * vcpu_write32() - have the guest store into its window
 * @v: the guest
 * @off: offset in the window
 * @val: the value
 *
 * Return: as vcpu_read32().
 */
int vcpu_write32(struct vcpu *v, u64 off, u32 val);

#endif
