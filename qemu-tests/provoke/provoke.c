// SPDX-License-Identifier: GPL-2.0-only
/*
 * Provoke the faults named by the parameter "fault", one after the other, so that
 * qemu-tests/vm-test can check that they are detected.
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/slab.h>

static char *fault[8];
static int number;
module_param_array(fault, charp, &number, 0);
MODULE_PARM_DESC(fault, "some of: warn, oops, hang, leak, use-after-free, deadlock, atomic");

static void provoke_warn(void)
{
	WARN(1, "on purpose\n");
}

static void provoke_oops(void)
{
	int *nowhere = NULL;

	OPTIMIZER_HIDE_VAR(nowhere);
	WRITE_ONCE(*nowhere, 1);
}

/* Not killable, so the hang is reported even after the loading process was killed. */
static void provoke_hang(void)
{
	set_current_state(TASK_UNINTERRUPTIBLE);
	schedule();
}

/* Many, as kmemleak may find stale pointers to some of them, for example on a stack. */
static void provoke_leak(void)
{
	for (int i = 0; i < 64; i++) {
		void *lost = kmalloc(1000, GFP_KERNEL);

		OPTIMIZER_HIDE_VAR(lost);
	}
}

static void provoke_use_after_free(void)
{
	char *gone = kmalloc(100, GFP_KERNEL);

	if (!gone)
		return;
	kfree(gone);
	OPTIMIZER_HIDE_VAR(gone);
	WRITE_ONCE(gone[0], 1);
}

/* Both orders, one after the other: a potential deadlock, but no real one. */
static void provoke_deadlock(void)
{
	static DEFINE_MUTEX(first);
	static DEFINE_MUTEX(second);

	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);

	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
}

static void provoke_atomic(void)
{
	preempt_disable();
	might_sleep();
	preempt_enable();
}

static const struct {
	const char *name;
	void (*make)(void);
} faults[] = {
	{ "warn", provoke_warn },
	{ "oops", provoke_oops },
	{ "hang", provoke_hang },
	{ "leak", provoke_leak },
	{ "use-after-free", provoke_use_after_free },
	{ "deadlock", provoke_deadlock },
	{ "atomic", provoke_atomic },
};

static int __init provoke(const char *name)
{
	for (int i = 0; i < ARRAY_SIZE(faults); i++) {
		if (!strcmp(name, faults[i].name)) {
			faults[i].make();
			return 0;
		}
	}
	return -EINVAL;
}

static int __init provoke_init(void)
{
	int error = 0;

	for (int i = 0; !error && i < number; i++)
		error = provoke(fault[i]);
	return error;
}
module_init(provoke_init);

static void __exit provoke_exit(void)
{
}
module_exit(provoke_exit);

MODULE_DESCRIPTION("Faults for the test machine to detect");
MODULE_LICENSE("GPL");
