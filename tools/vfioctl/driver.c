// SPDX-License-Identifier: GPL-2.0-only
/* A function changes its driver. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "driver.h"
#include "kmsg.h"
#include "memory.h"
#include "module.h"

#define SYS_DRIVERS "/sys/bus/pci/drivers"
#define SYS_PROBE "/sys/bus/pci/drivers_probe"

/**
 * driver_choose - load the VFIO driver for a function
 * @f: the function
 * @wanted: its name, or that of its module; NULL for the one that is made for this function
 * @problem: takes why there is none, which the caller frees
 *
 * A driver that is made for few devices may be one of the kernel's own, which does not go together
 * with ours. vfio-pci does without it.
 *
 * Return: the name of the driver, which the caller frees, or NULL
 */
char *driver_choose(const struct function *f, const char *wanted, char **problem)
{
	char *best __free_string = wanted ? xstrdup(wanted) : module_for(f);
	char *driver;
	int ret;

	driver = driver_name(best);
	if (driver)
		return driver;
	ret = module_load(best);
	driver = ret ? NULL : driver_name(best);
	if (driver)
		return driver;
	if (!wanted && strcmp(best, "vfio-pci") && strcmp(best, "vfio_pci")) {
		say("%s: the module %s, which is made for it, cannot be loaded (%s): vfio-pci "
		    "takes its place",
		    f->address, best, strerror(-ret));
		return driver_choose(f, "vfio-pci", problem);
	}
	if (ret)
		*problem = format("the module %s cannot be loaded (%s): see vfioctl doctor", best,
				  strerror(-ret));
	else
		*problem = format("the module %s has no driver for PCI functions", best);
	return NULL;
}

static int let_go(struct function *f)
{
	int ret;

	if (!f->driver)
		return 0;
	ret = write_file(f->address, SYS_DRIVERS "/%s/unbind", f->driver);
	function_refresh(f);
	return f->driver ? ret : 0;
}

static void keep(const struct function *f, const char *along, bool boot)
{
	struct memory known __free_memory = {};
	struct memory memory __free_memory = {
		.driver = xstrdup(f->driver),
		.module = link_name("%s/driver/module", f->sys),
		.override = xstrdup(f->override),
		.along = xstrdup(along),
	};
	int ret;

	/* At boot, that there is no driver means that none is loaded yet. */
	if (memory_recall(f->address, &known) || f->node || (boot && !f->driver))
		return;
	ret = memory_keep(f->address, &memory);
	if (ret)
		say("%s: which driver it had will not be remembered: /run/vfioctl: %s", f->address,
		    strerror(-ret));
}

/**
 * driver_take - bind a function to a driver, and remember the one that it had
 * @f: the function
 * @driver: the driver, which is there
 * @along: the address of the function that it goes along with, or NULL
 * @boot: the host's own drivers may not be there yet
 * @problem: takes why it has failed, which the caller frees. The function is then as it was
 *
 * Return: 0, or a negative errno
 */
int driver_take(struct function *f, const char *driver, const char *along, bool boot,
		char **problem)
{
	char *back __free_string = NULL;
	char *reason __free_string = NULL;
	int log = kmsg_open();
	int ret;

	keep(f, along, boot);
	ret = write_file(driver, "%s/driver_override", f->sys);
	if (!ret)
		ret = let_go(f);
	if (!ret)
		ret = write_file(f->address, SYS_DRIVERS "/%s/bind", driver);
	function_refresh(f);
	if (f->driver && !strcmp(f->driver, driver))
		ret = 0;
	if (ret) {
		reason = kmsg_reason(log, driver, f->address);
		*problem = reason ? format("%s: %s", strerror(-ret), reason) :
			xstrdup(strerror(-ret));
		driver_give_back(f, &back);
	}
	if (log >= 0)
		close(log);
	return ret;
}

/* To exactly the driver that it had, even if another one would come first. */
static void bind_to(struct function *f, const struct memory *memory)
{
	if (!exists(SYS_DRIVERS "/%s", memory->driver) && memory->module)
		module_load(memory->module);
	write_file(f->address, SYS_DRIVERS "/%s/bind", memory->driver);
}

static void find_driver(struct function *f)
{
	char *modalias __free_string = read_file("%s/modalias", f->sys);

	if (modalias)
		module_load(modalias);
	/* The module may have taken it when it was loaded. */
	function_refresh(f);
	if (!f->driver)
		write_file(f->address, SYS_PROBE);
}

/**
 * driver_give_back - the mirror of driver_take()
 * @f: the function. Of one of which nothing is remembered, the kernel finds the driver
 * @problem: takes why it has failed, which the caller frees
 *
 * Return: 0, or a negative errno
 */
int driver_give_back(struct function *f, char **problem)
{
	struct memory memory __free_memory = {};
	bool known = memory_recall(f->address, &memory);
	int ret;

	ret = write_file(memory.override ?: "\n", "%s/driver_override", f->sys);
	/* If it never left its driver, it is not to lose it now. */
	if (!ret && known && memory.driver && f->driver && !strcmp(f->driver, memory.driver)) {
		function_refresh(f);
		memory_forget(f->address);
		return 0;
	}
	if (!ret)
		ret = let_go(f);
	if (ret) {
		*problem = xstrdup(strerror(-ret));
		return ret;
	}
	if (known && memory.driver)
		bind_to(f, &memory);
	else if (!known)
		find_driver(f);
	function_refresh(f);
	if (known && memory.driver && !f->driver) {
		/* What was remembered is still of use: for the next try. */
		*problem = format("its driver, %s, does not take it back", memory.driver);
		return -ENODEV;
	}
	memory_forget(f->address);
	return 0;
}

static bool node_there(const struct function *f)
{
	char *path __free_string = format("/dev/vfio/devices/%s", f->node);
	struct stat st;

	if (stat(path, &st) || !S_ISCHR(st.st_mode) || st.st_rdev != f->rdev)
		return false;
	/* udev, where there is one, gives it to its group only after the kernel has made it. */
	return !exists("/run/udev/control") ||
	       exists("/run/udev/data/c%u:%u", major(f->rdev), minor(f->rdev));
}

/**
 * driver_wait_node - wait until the device node is there, and ready to be opened
 * @f: the function, which is bound to a VFIO driver
 * @seconds: for how long
 *
 * Return: false if it has not come
 */
bool driver_wait_node(const struct function *f, double seconds)
{
	const struct timespec pause = { .tv_nsec = 20000000 };

	for (; f->node && !node_there(f); seconds -= 0.02) {
		if (seconds <= 0)
			return false;
		nanosleep(&pause, NULL);
	}
	return f->node;
}
