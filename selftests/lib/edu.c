// SPDX-License-Identifier: GPL-2.0-only
#include <sched.h>

#include "clock.h"
#include "edu.h"

static int dma(void *bar, u64 src, u64 dst, u32 len, u32 cmd)
{
	struct deadline end;

	mmio_write64(bar, EDU_DMA_SRC, src);
	mmio_write64(bar, EDU_DMA_DST, dst);
	mmio_write64(bar, EDU_DMA_COUNT, len);
	mmio_write64(bar, EDU_DMA_CMD, cmd | EDU_DMA_START);
	for (deadline_start(&end); mmio_read32(bar, EDU_DMA_CMD) & EDU_DMA_START; sched_yield())
		if (deadline_passed(&end))
			return -ETIMEDOUT;
	return 0;
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
