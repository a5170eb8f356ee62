// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "clock.h"
#include "config.h"
#include "edu_mig.h"

#define CONTROL_SIZE 0x20000

int edu_mig_open(struct edu_mig *edu, const char *bdf)
{
	char path[128];
	int err, fd;

	memset(edu, 0, sizeof(*edu));
	edu->s.fd = -1;
	edu->s.iommufd = -1;
	err = session_open(&edu->s, bdf);
	if (err)
		return err;
	err = config_update(edu->s.fd, PCI_COMMAND, 2, 0, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	if (err)
		return err;
	edu->regs = bar_map(edu->s.fd, 0, 0, 0);
	if (!edu->regs)
		return -errno;
	edu->size = mmio_read32(edu->regs, EDU_MIG_SIZE);
	edu->mem = bar_map(edu->s.fd, 4, 0, edu->size);
	if (!edu->mem)
		return -errno;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource2", bdf);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	edu->control = mmap(NULL, CONTROL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	err = -errno;
	close(fd);
	if (edu->control == MAP_FAILED) {
		edu->control = NULL;
		return err;
	}
	return 0;
}

void edu_mig_close(struct edu_mig *edu)
{
	if (edu->control)
		munmap(edu->control, CONTROL_SIZE);
	if (edu->mem)
		munmap(edu->mem, edu->size);
	if (edu->regs)
		bar_unmap(edu->s.fd, 0, edu->regs);
	edu->control = NULL;
	edu->mem = NULL;
	edu->regs = NULL;
	session_close(&edu->s);
}

void edu_mig_dma(struct edu_mig *edu, u64 iova, u32 off, u32 len, u32 command)
{
	mmio_write32(edu->regs, EDU_MIG_ADDR, iova);
	mmio_write32(edu->regs, EDU_MIG_ADDR + 4, iova >> 32);
	mmio_write32(edu->regs, EDU_MIG_OFFSET, off);
	mmio_write32(edu->regs, EDU_MIG_LENGTH, len);
	mmio_write32(edu->regs, EDU_MIG_COMMAND, command | EDU_MIG_START);
}

int edu_mig_end(struct edu_mig *edu)
{
	struct deadline end;
	u32 status;

	for (deadline_start(&end); !deadline_passed(&end); sched_yield()) {
		status = mmio_read32(edu->regs, EDU_MIG_STATUS);
		if (!(status & EDU_MIG_BUSY))
			return status & EDU_MIG_FAILED ? -EIO : 0;
	}
	return -ETIMEDOUT;
}

void edu_mig_fault(struct edu_mig *edu, enum edu_mig_command command, u32 how)
{
	mmio_write32(edu->control, EDU_MIG_SLOW_MS, 100);
	mmio_write32(edu->control, EDU_MIG_FAULT, command ? command | how : 0);
}
