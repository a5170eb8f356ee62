// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vcpu.h"

/* Layout of the guest's memory. At EXIT, there is none. */
#define CODE	0x1000
#define EXIT	0x4000
#define WINDOW	0x8000
#define PAGE	0x1000

#ifdef __aarch64__
#define REG(name) (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | \
		   KVM_REG_ARM_CORE_REG(name))

static const u32 read_code[] = {
	0xb9400020,	/* ldr w0, [x1] */
	0xb9000040,	/* str w0, [x2] */
};

static const u32 write_code[] = {
	0xb9000020,	/* str w0, [x1] */
	0xb9000040,	/* str w0, [x2] */
};

static int cpu_init(struct vcpu *v)
{
	struct kvm_vcpu_init init;

	if (ioctl(v->vm, KVM_ARM_PREFERRED_TARGET, &init) ||
	    ioctl(v->cpu, KVM_ARM_VCPU_INIT, &init))
		return -errno;
	return 0;
}

static int set_reg(struct vcpu *v, u64 id, u64 val)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)&val };

	return ioctl(v->cpu, KVM_SET_ONE_REG, &reg) ? -errno : 0;
}

static int set_regs(struct vcpu *v, u64 pc, u64 addr, u32 val)
{
	return set_reg(v, REG(regs.pc), pc) ?: set_reg(v, REG(regs.regs[0]), val) ?:
	       set_reg(v, REG(regs.regs[1]), addr) ?: set_reg(v, REG(regs.regs[2]), EXIT);
}

static int result(struct vcpu *v, u32 *val)
{
	if (v->run->exit_reason != KVM_EXIT_MMIO || v->run->mmio.phys_addr != EXIT)
		return -EIO;
	memcpy(val, v->run->mmio.data, sizeof(*val));
	return 0;
}
#else
/* In real mode */
static const u8 read_code[] = {
	0x66, 0x8b, 0x07,	/* mov eax, [bx] */
	0xe6, 0x80,		/* out 0x80, al */
};

static const u8 write_code[] = {
	0x66, 0x89, 0x07,	/* mov [bx], eax */
	0xe6, 0x80,		/* out 0x80, al */
};

static int cpu_init(struct vcpu *v)
{
	struct kvm_sregs sregs;

	if (ioctl(v->cpu, KVM_GET_SREGS, &sregs))
		return -errno;
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	return ioctl(v->cpu, KVM_SET_SREGS, &sregs) ? -errno : 0;
}

static int set_regs(struct vcpu *v, u64 pc, u64 addr, u32 val)
{
	struct kvm_regs regs = { .rip = pc, .rax = val, .rbx = addr, .rflags = 2 };

	return ioctl(v->cpu, KVM_SET_REGS, &regs) ? -errno : 0;
}

static int result(struct vcpu *v, u32 *val)
{
	struct kvm_regs regs;

	if (v->run->exit_reason != KVM_EXIT_IO || ioctl(v->cpu, KVM_GET_REGS, &regs))
		return -EIO;
	*val = regs.rax;
	return 0;
}
#endif

/* Offsets in the page of code */
#define READ_CODE	0
#define WRITE_CODE	64

static int map_memory(struct vcpu *v, u32 slot, u64 gpa, void *memory, size_t len)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = gpa,
		.memory_size = len,
		.userspace_addr = (uintptr_t)memory,
	};

	return ioctl(v->vm, KVM_SET_USER_MEMORY_REGION, &region) ? -errno : 0;
}

static int make_cpu(struct vcpu *v, int kvm)
{
	v->vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (v->vm < 0)
		return -errno;
	v->cpu = ioctl(v->vm, KVM_CREATE_VCPU, 0);
	if (v->cpu < 0)
		return -errno;
	v->run_size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	v->run = mmap(NULL, v->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v->cpu, 0);
	v->code = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (v->run == MAP_FAILED || v->code == MAP_FAILED)
		return -errno;
	memcpy(v->code + READ_CODE, read_code, sizeof(read_code));
	memcpy(v->code + WRITE_CODE, write_code, sizeof(write_code));
	return cpu_init(v);
}

int vcpu_start(struct vcpu *v, void *window, size_t len)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), err;

	if (kvm < 0)
		return -errno;
	err = make_cpu(v, kvm) ?: map_memory(v, 0, CODE, v->code, PAGE) ?:
	      map_memory(v, 1, WINDOW, window, len);
	close(kvm);
	return err;
}

void vcpu_end(struct vcpu *v)
{
	if (!v->run)
		return;
	munmap(v->run, v->run_size);
	munmap(v->code, PAGE);
	close(v->cpu);
	close(v->vm);
}

static int run(struct vcpu *v, u64 pc, u64 off, u32 *val)
{
	int err = set_regs(v, pc, WINDOW + off, *val);

	if (err)
		return err;
	if (ioctl(v->cpu, KVM_RUN, 0))
		return -errno;
	err = result(v, val);
	/* Let KVM complete the access that ended the program. */
	v->run->immediate_exit = 1;
	ioctl(v->cpu, KVM_RUN, 0);
	v->run->immediate_exit = 0;
	return err;
}

int vcpu_read32(struct vcpu *v, u64 off, u32 *val)
{
	*val = 0;
	return run(v, CODE + READ_CODE, off, val);
}

int vcpu_write32(struct vcpu *v, u64 off, u32 val)
{
	return run(v, CODE + WRITE_CODE, off, &val);
}
