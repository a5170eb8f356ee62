// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/pci_regs.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "clock.h"
#include "edu.h"
#include "sysfs.h"

static void begin(void *bar, u64 src, u64 dst, u32 len, u32 cmd)
{
	mmio_write64(bar, EDU_DMA_SRC, src);
	mmio_write64(bar, EDU_DMA_DST, dst);
	mmio_write64(bar, EDU_DMA_COUNT, len);
	mmio_write64(bar, EDU_DMA_CMD, cmd | EDU_DMA_START);
}

int edu_dma_end(void *bar)
{
	struct deadline end;

	for (deadline_start(&end); edu_dma_running(bar); sched_yield())
		if (deadline_passed(&end))
			return -ETIMEDOUT;
	return 0;
}

static int dma(void *bar, u64 src, u64 dst, u32 len, u32 cmd)
{
	begin(bar, src, dst, len, cmd);
	return edu_dma_end(bar);
}

int edu_write_memory(void *bar, u64 iova, u32 off, u32 len)
{
	return dma(bar, EDU_BUF + off, iova, len, EDU_DMA_TO_MEMORY);
}

int edu_write_memory_pasid(void *bar, u32 pasid, u64 iova, u32 off, u32 len)
{
	mmio_write32(bar, EDU_DMA_PASID, pasid);
	return dma(bar, EDU_BUF + off, iova, len, EDU_DMA_TO_MEMORY | EDU_DMA_WITH_PASID);
}

int edu_read_memory(void *bar, u64 iova, u32 off, u32 len)
{
	return dma(bar, iova, EDU_BUF + off, len, 0);
}

void edu_ask_and_write(void *bar, u32 pasid, u64 iova, u32 off, u32 len)
{
	u32 cmd = EDU_DMA_TO_MEMORY | EDU_DMA_ASK;

	if (pasid) {
		mmio_write32(bar, EDU_DMA_PASID, pasid);
		cmd |= EDU_DMA_WITH_PASID;
	}
	begin(bar, EDU_BUF + off, iova, len, cmd);
}

int edu_behind_bridge(char bdf[BDF_LEN])
{
	char port[BDF_LEN], path[128];
	u16 kind;
	int n;

	for (n = 0; !sysfs_find(0x1234, 0x11e8, n, bdf); n++) {
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", bdf);
		if (!access(path, F_OK) && !sysfs_port(bdf, port) &&
		    sysfs_config(port, PCI_DEVICE_ID, &kind, 2) == 2 && kind == 0x000e)
			return 0;
	}
	return -ENODEV;
}
