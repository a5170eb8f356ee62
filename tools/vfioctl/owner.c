// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who has a device open. All processes are looked through once, for all devices: on a host with
 * many VMs, each has some hundred files. A process that another user owns shows its files only to
 * root.
 */
#include <ctype.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "function.h"
#include "json.h"
#include "owner.h"

/* A character device that a process has open */
struct open_file {
	pid_t pid;
	int fd;
	dev_t rdev;
};

static struct open_file *files;
static size_t nr_files;
static bool scanned;

static void scan_process(const char *pid)
{
	struct strings fds __free_strings = dir_names("/proc/%s/fd", pid);

	for (size_t i = 0; i < fds.n; i++) {
		char *path __free_string = format("/proc/%s/fd/%s", pid, fds.v[i]);
		char *name __free_string = link_name("%s", path);
		struct stat st;

		/* To ask a socket or a file on a dead server costs time; a device node does not. */
		if (!name || (strncmp(name, "vfio", 4) && !isdigit((unsigned char)*name)) ||
		    stat(path, &st) || !S_ISCHR(st.st_mode))
			continue;
		files = xalloc(files, nr_files + 1, sizeof(*files));
		files[nr_files++] = (struct open_file){
			.pid = atoi(pid),
			.fd = atoi(fds.v[i]),
			.rdev = st.st_rdev,
		};
	}
}

static void scan(void)
{
	struct strings pids __free_strings = dir_names("/proc");

	for (size_t i = 0; i < pids.n; i++) {
		if (strspn(pids.v[i], "0123456789") == strlen(pids.v[i]))
			scan_process(pids.v[i]);
	}
	scanned = true;
}

/**
 * owners_rescan - what was found is out of date
 */
void owners_rescan(void)
{
	free(files);
	files = NULL;
	nr_files = 0;
	scanned = false;
}

/* Of QEMU's "-name guest=NAME,debug-threads=on", or "-name NAME": the NAME. */
static char *vm_name(pid_t pid)
{
	char *path __free_string = format("/proc/%d/cmdline", pid);
	FILE *file __close_file = fopen(path, "re");
	char *word __free_string = NULL;
	char *name = NULL;
	bool next = false;
	size_t size = 0;

	while (file && !name && getdelim(&word, &size, '\0', file) > 0) {
		if (next) {
			char *start = strstr(word, "guest=");

			start = start ? start + 6 : word;
			name = format("%.*s", (int)strcspn(start, ","), start);
		}
		next = !strcmp(word, "-name") || !strcmp(word, "--name");
	}
	return name;
}

static void read_fdinfo(struct owner *owner)
{
	char *path __free_string = format("/proc/%d/fdinfo/%d", owner->pid, owner->fd);
	FILE *file __close_file = fopen(path, "re");
	char *line __free_string = NULL;
	size_t size = 0;

	while (file && getline(&line, &size, file) > 0) {
		take_value(&owner->state, line, "vfio-state:\t");
		take_value(&owner->pt, line, "vfio-pt-id:\t");
		take_value(&owner->irq, line, "vfio-irq:\t");
		take_value(&owner->kvm, line, "vfio-kvm:\t");
		take_value(&owner->error, line, "vfio-last-error:\t");
	}
}

/* The kernel's own VFIO has a node for each group as well, which leads to all of its devices. */
static dev_t group_rdev(const struct function *f)
{
	char *number __free_string = read_file("/sys/class/vfio/%d/dev", f->group);
	unsigned int major, minor;

	return number && sscanf(number, "%u:%u", &major, &minor) == 2 ? makedev(major, minor) : 0;
}

/**
 * owners_find - who has this device open?
 * @owners: takes them; all zero
 * @f: the device
 */
void owners_find(struct owners *owners, const struct function *f)
{
	dev_t group;

	if (!f->node)
		return;
	group = group_rdev(f);
	if (!scanned)
		scan();
	for (size_t i = 0; i < nr_files; i++) {
		struct owner *owner;

		if (files[i].rdev != f->rdev && (!group || files[i].rdev != group))
			continue;
		owners->v = xalloc(owners->v, owners->n + 1, sizeof(*owners->v));
		owner = &owners->v[owners->n++];
		*owner = (struct owner){ .pid = files[i].pid, .fd = files[i].fd };
		owner->process = read_file("/proc/%d/comm", owner->pid);
		owner->vm = vm_name(owner->pid);
		read_fdinfo(owner);
		make_printable(owner->process);
		make_printable(owner->vm);
		make_printable(owner->error);
	}
}

/**
 * owners_free - the mirror of owners_find()
 * @owners: what it has filled
 */
void owners_free(struct owners *owners)
{
	for (size_t i = 0; i < owners->n; i++) {
		struct owner *owner = &owners->v[i];

		free(owner->process);
		free(owner->vm);
		free(owner->state);
		free(owner->pt);
		free(owner->irq);
		free(owner->kvm);
		free(owner->error);
	}
	free(owners->v);
	*owners = (struct owners){};
}

/**
 * owners_text - who they are, in words
 * @owners: the open files
 *
 * Return: such as "vm1 (qemu-system-x86, process 123)"; empty if there are none. The caller frees
 * it.
 */
char *owners_text(const struct owners *owners)
{
	struct strings words __free_strings = {};

	for (size_t i = 0; i < owners->n; i++) {
		const struct owner *owner = &owners->v[i];
		const char *process = owner->process ?: "?";
		char *one __free_string = owner->vm ?
			format("%s (%s, process %d)", owner->vm, process, owner->pid) :
			format("%s (process %d)", process, owner->pid);

		if (!strings_have(&words, one))
			strings_add(&words, "%s", one);
	}
	return strings_join(&words, ", ");
}

/**
 * owners_json - the same as an array
 * @owners: the open files
 *
 * Return: the array, which the caller puts
 */
struct json_object *owners_json(const struct owners *owners)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < owners->n; i++) {
		const struct owner *owner = &owners->v[i];
		struct json_object *o = json_object_new_object();

		json_number(o, "pid", owner->pid);
		json_number(o, "fd", owner->fd);
		json_text(o, "process", owner->process);
		json_text(o, "vm", owner->vm);
		json_text(o, "state", owner->state);
		json_text(o, "page_table", owner->pt);
		json_text(o, "interrupts", owner->irq);
		if (owner->kvm)
			json_flag(o, "kvm", !strcmp(owner->kvm, "yes"));
		else
			json_text(o, "kvm", NULL);
		json_text(o, "last_error", owner->error);
		json_object_array_add(array, o);
	}
	return array;
}
