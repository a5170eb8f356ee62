// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "module.h"

#ifdef __aarch64__
#define ARCH "-arm64"
#else
#define ARCH ""
#endif

int module_load(const char *name, const char *args)
{
	const char *debug = getenv("VM_DEBUG");
	char path[128];
	int fd, err;

	snprintf(path, sizeof(path), "build/modules%s%s/qemu-tests/%s/%s.ko",
		 debug && *debug == '1' ? "-debug" : "", ARM64 ? "-arm64" : "", name, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = syscall(SYS_finit_module, fd, args, 0) ? -errno : 0;
	close(fd);
	return err;
}

int module_unload(const char *name)
{
	char id[64];
	char *c;

	snprintf(id, sizeof(id), "%s", name);
	for (c = id; *c; c++)
		if (*c == '-')
			*c = '_';
	return syscall(SYS_delete_module, id, 0) ? -errno : 0;
}
