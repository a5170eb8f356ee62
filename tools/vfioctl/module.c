// SPDX-License-Identifier: GPL-2.0-only
/* Modules: what there is, and how it gets loaded. */
#include <errno.h>
#include <fnmatch.h>
#include <libkmod.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "module.h"

static void free_kmod(struct kmod_ctx **ctx)
{
	kmod_unref(*ctx);
}

static void free_modules(struct kmod_list **list)
{
	kmod_module_unref_list(*list);
}

static void silent(void *data, int priority, const char *file, int line, const char *fn,
		   const char *fmt, va_list args)
{
}

static struct kmod_ctx *new_kmod(void)
{
	struct kmod_ctx *ctx = kmod_new(NULL, NULL);

	/* What is wrong is said by us. */
	if (ctx)
		kmod_set_log_fn(ctx, silent, NULL);
	return ctx;
}

/**
 * module_load - load a module, if it is not loaded yet
 * @name: its name, or an alias
 *
 * Return: 0, or a negative errno; ENOENT if there is no such module
 */
int module_load(const char *name)
{
	struct kmod_ctx *ctx __cleanup(free_kmod) = new_kmod();
	struct kmod_list *list __cleanup(free_modules) = NULL, *item;
	int ret;

	if (!ctx)
		return -ENOMEM;
	ret = kmod_module_new_from_lookup(ctx, name, &list);
	if (ret < 0)
		return ret;
	if (!list)
		return -ENOENT;
	kmod_list_foreach(item, list) {
		struct kmod_module *module = kmod_module_get_module(item);

		ret = kmod_module_probe_insert_module(module, KMOD_PROBE_APPLY_BLACKLIST_ALIAS_ONLY,
						      NULL, NULL, NULL, NULL);
		kmod_module_unref(module);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/**
 * module_path - the file of a module
 * @name: its name
 *
 * Return: the path, which the caller frees, or NULL if there is none: no such module, or built in
 */
char *module_path(const char *name)
{
	struct kmod_ctx *ctx __cleanup(free_kmod) = new_kmod();
	struct kmod_list *list __cleanup(free_modules) = NULL;
	struct kmod_module *module;
	char *path;

	if (!ctx || kmod_module_new_from_lookup(ctx, name, &list) < 0 || !list)
		return NULL;
	module = kmod_module_get_module(list);
	path = xstrdup(kmod_module_get_path(module));
	kmod_module_unref(module);
	return path;
}

/**
 * module_builtin - is it part of the kernel?
 * @name: its name
 *
 * Return: whether it is
 */
bool module_builtin(const char *name)
{
	struct kmod_ctx *ctx __cleanup(free_kmod) = new_kmod();
	struct kmod_list *list __cleanup(free_modules) = NULL;
	struct kmod_module *module;
	bool builtin;

	if (!ctx || kmod_module_new_from_lookup(ctx, name, &list) < 0 || !list)
		return false;
	module = kmod_module_get_module(list);
	builtin = kmod_module_get_initstate(module) == KMOD_MODULE_BUILTIN;
	kmod_module_unref(module);
	return builtin;
}

/**
 * module_available - could it be loaded, or is it part of the kernel?
 * @name: its name
 *
 * Return: whether it is there
 */
bool module_available(const char *name)
{
	char *path __free_string = module_path(name);

	return path || module_builtin(name);
}

/**
 * module_for - which VFIO driver is made for a function?
 * @f: the function
 *
 * Drivers of this kind have aliases as ordinary ones have, but with vfio_pci: in front. The most
 * specific one, that is, the one with the fewest wildcards, is the best.
 *
 * Return: the name of the module, which the caller frees
 */
char *module_for(const struct function *f)
{
	char *modalias __free_string = read_file("%s/modalias", f->sys);
	char *wanted __free_string = NULL;
	FILE *aliases __close_file = NULL;
	char *line __free_string = NULL;
	char *path __free_string = NULL;
	char *best = xstrdup("vfio-pci");
	int fewest = 1000;
	struct utsname uts;
	size_t size = 0;

	if (!modalias || strncmp(modalias, "pci:", 4) || uname(&uts))
		return best;
	wanted = format("vfio_%s", modalias);
	path = format("/lib/modules/%s/modules.alias", uts.release);
	aliases = fopen(path, "re");
	while (aliases && getline(&line, &size, aliases) > 0) {
		char pattern[256], module[128];
		int stars = 0;

		if (sscanf(line, "alias %255s %127s", pattern, module) != 2 ||
		    strncmp(pattern, "vfio_pci:", 9) || fnmatch(pattern, wanted, 0))
			continue;
		for (char *c = pattern; *c; c++)
			stars += *c == '*';
		if (stars >= fewest)
			continue;
		fewest = stars;
		free(best);
		best = xstrdup(module);
	}
	return best;
}

/**
 * driver_name - the PCI driver that a module has registered
 * @module: the module, which is loaded
 *
 * Its name need not be the module's: that of vfio_pci is vfio-pci.
 *
 * Return: the name, which the caller frees, or NULL if there is no such driver
 */
char *driver_name(const char *module)
{
	char *underscored __free_string = xstrdup(module);
	struct strings drivers __free_strings = {};

	if (exists("/sys/bus/pci/drivers/%s", module))
		return xstrdup(module);
	for (char *c = underscored; *c; c++) {
		if (*c == '-')
			*c = '_';
	}
	drivers = dir_names("/sys/module/%s/drivers", underscored);
	for (size_t i = 0; i < drivers.n; i++) {
		if (!strncmp(drivers.v[i], "pci:", 4))
			return xstrdup(drivers.v[i] + 4);
	}
	return NULL;
}
