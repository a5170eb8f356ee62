/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * edu-mig of qemu-tests/qemu: a DMA engine with some MiB of memory of its own (BAR 4), which can
 * migrate. The register that makes its commands fail is in BAR 2, which root can access, but not
 * its user.
 */
#ifndef LIB_EDU_MIG_H
#define LIB_EDU_MIG_H

#include "region.h"
#include "session.h"

/* BAR 0 */
#define EDU_MIG_ID		0x00
#define   EDU_MIG_ID_VALUE	0x00010ea5
#define EDU_MIG_STATUS		0x04
#define   EDU_MIG_BUSY		0x1
#define   EDU_MIG_FAILED	0x2
#define EDU_MIG_ADDR		0x08
#define EDU_MIG_OFFSET		0x10
#define EDU_MIG_LENGTH		0x14
#define EDU_MIG_COMMAND		0x18
#define   EDU_MIG_START		0x1
#define   EDU_MIG_TO_MEMORY	0x2
#define   EDU_MIG_INTERRUPT	0x4
#define EDU_MIG_DELAY		0x1c
#define EDU_MIG_IRQ		0x20
#define EDU_MIG_ACK		0x24
#define EDU_MIG_SEQ		0x28
#define EDU_MIG_SIZE		0x2c

/* BAR 2 */
#define EDU_MIG_FAULT		0x30
#define   EDU_MIG_FAIL		(1 << 8)
#define   EDU_MIG_SLOW		(2 << 8)
#define   EDU_MIG_NEVER		(3 << 8)
#define   EDU_MIG_ONCE		(1 << 10)
#define EDU_MIG_SLOW_MS		0x34
#define EDU_MIG_STATE		0x38
#define EDU_MIG_VIOLATIONS	0x3c

#define EDU_MIG_CHUNK		0x8000

/* The control commands */
enum edu_mig_command {
	EDU_MIG_SUSPEND_INITIATOR = 1,
	EDU_MIG_SUSPEND_RESPONDER,
	EDU_MIG_RESUME_RESPONDER,
	EDU_MIG_RESUME_INITIATOR,
	EDU_MIG_SAVE_BEGIN,
	EDU_MIG_SAVE_CHUNK,
	EDU_MIG_SAVE_FINAL,
	EDU_MIG_SAVE_CANCEL,
	EDU_MIG_LOAD_BEGIN,
	EDU_MIG_LOAD_CHUNK,
	EDU_MIG_LOAD_END,
	EDU_MIG_LOG_START,
	EDU_MIG_LOG_RANGE,
	EDU_MIG_LOG_STOP,
	EDU_MIG_LOG_REPORT,
};

/**
 * struct edu_mig - a session on one
 * @s: the session
 * @regs: BAR 0
 * @mem: BAR 4
 * @size: bytes of it
 * @control: BAR 2, mapped without the driver
 */
struct edu_mig {
	struct session s;
	void *regs;
	u8 *mem;
	size_t size;
	void *control;
};

/**
 * edu_mig_open() - begin a session, with memory decode and bus mastering on
 * @edu: filled in
 * @bdf: the device
 *
 * Return: 0 or negative errno.
 */
int edu_mig_open(struct edu_mig *edu, const char *bdf);

/**
 * edu_mig_close() - end it; closing it twice is harmless
 * @edu: the session
 */
void edu_mig_close(struct edu_mig *edu);

/**
 * edu_mig_dma() - begin a DMA
 * @edu: the device
 * @iova: address in the host's memory
 * @off: offset in its own memory
 * @len: bytes
 * @command: EDU_MIG_TO_MEMORY, which is the host's, EDU_MIG_INTERRUPT
 */
void edu_mig_dma(struct edu_mig *edu, u64 iova, u32 off, u32 len, u32 command);

/**
 * edu_mig_end() - wait for its end
 * @edu: the device
 *
 * Return: 0; -EIO when it has failed; -ETIMEDOUT.
 */
int edu_mig_end(struct edu_mig *edu);

/**
 * edu_mig_fault() - make a control command fail
 * @edu: the device
 * @command: which, 0 to stop this
 * @how: EDU_MIG_FAIL, _SLOW, _NEVER, optionally with EDU_MIG_ONCE
 */
void edu_mig_fault(struct edu_mig *edu, enum edu_mig_command command, u32 how);

#endif
