// SPDX-License-Identifier: GPL-2.0-only
/*
 * Migration of edu-mig to itself, with this program as the VMM: all states, the streams of good and
 * hostile users, the device's log of its DMA, and failures, resets and revocation during all of
 * that. It needs "vm --device edu-mig".
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../uapi/vfio_ext.h"
#include "lib/clock.h"
#include "lib/config.h"
#include "lib/edu_mig.h"
#include "lib/harness.h"
#include "lib/iommufd.h"
#include "lib/irq.h"
#include "lib/migration.h"
#include "lib/module.h"
#include "lib/stuck.h"

#define ODD_RECOVERS "/sys/module/odd_function/parameters/recovers"
#define GRACE "/sys/module/vfio_iommufd/parameters/release_grace_ms"
#define IOVA 0x40000000ull
#define MEM_SIZE 0x400000

#define ERROR VFIO_DEVICE_STATE_ERROR
#define STOP VFIO_DEVICE_STATE_STOP
#define RUNNING VFIO_DEVICE_STATE_RUNNING
#define STOP_COPY VFIO_DEVICE_STATE_STOP_COPY
#define RESUMING VFIO_DEVICE_STATE_RESUMING
#define RUNNING_P2P VFIO_DEVICE_STATE_RUNNING_P2P
#define PRE_COPY VFIO_DEVICE_STATE_PRE_COPY
#define PRE_COPY_P2P VFIO_DEVICE_STATE_PRE_COPY_P2P
#define NR_STATES VFIO_DEVICE_STATE_NR

/* The header of each record */
struct record {
	u64 size;
	u32 flags;
	u32 tag;
};

FIXTURE(migration)
{
	const char *bdf;
	struct edu_mig edu;
	int fd;
	u64 features;
	u8 *mem;
};

FIXTURE_SETUP(migration)
{
	OURS_ONLY();
	if (!device_bdf(DEV_EDU_MIG))
		SKIP(return, "no edu_mig in this machine");
	SETUP_DEVICE(&self->bdf, DEV_EDU_MIG);
	ASSERT_EQ(0, edu_mig_open(&self->edu, self->bdf));
	self->fd = self->edu.s.fd;
	edu_mig_fault(&self->edu, 0, 0);
	ASSERT_EQ(0, mig_features(self->fd, &self->features));
	self->mem = dma_alloc(MEM_SIZE);
	ASSERT_EQ(0, ioas_map(self->edu.s.iommufd, self->edu.s.ioas, self->mem, MEM_SIZE, IOVA));
}

FIXTURE_TEARDOWN(migration)
{
	if (self->edu.control)
		edu_mig_fault(&self->edu, 0, 0);
	edu_mig_close(&self->edu);
	if (self->bdf)
		sysfs_rebind(self->bdf);
	if (self->mem)
		munmap(self->mem, MEM_SIZE);
}

static int reset(int fd)
{
	return vfio_ioctl(fd, VFIO_DEVICE_RESET, NULL);
}

static bool has_state(u64 features, u32 state)
{
	if (state == PRE_COPY || state == PRE_COPY_P2P)
		if (!(features & VFIO_MIGRATION_PRE_COPY))
			return false;
	if (state == RUNNING_P2P || state == PRE_COPY_P2P)
		return features & VFIO_MIGRATION_P2P;
	return state > ERROR && state < NR_STATES;
}

static bool is_saving(u32 state)
{
	return state == PRE_COPY || state == PRE_COPY_P2P || state == STOP_COPY;
}

/* Go to a state from a reset device. */
static int to_state(int fd, u32 state, int *data_fd)
{
	return reset(fd) ?: mig_set(fd, state, data_fd);
}

static int last_error(int fd, char text[VFIO_LAST_ERROR_LEN])
{
	struct vfio_device_last_error last = { .argsz = sizeof(last) };

	if (vfio_ioctl(fd, VFIO_DEVICE_GET_LAST_ERROR, &last))
		return 1;
	strcpy(text, last.text);
	return last.error;
}

#define EXPECT_REASON(fd, err, part) do {						\
	char text_[VFIO_LAST_ERROR_LEN] = "";						\
											\
	EXPECT_EQ(err, last_error(fd, text_));						\
	EXPECT_NE(NULL, strstr(text_, part))						\
		TH_LOG("\"%s\" is not in \"%s\"", part, text_);				\
} while (0)

/* Different for each seed, and not repeated within the device's memory */
static void fill(u8 *p, size_t len, u32 seed)
{
	u32 *word = (u32 *)p;
	size_t i;

	for (i = 0; i < len / 4; i++) {
		seed = seed * 1664525 + 1013904223;
		word[i] = seed;
	}
}

/* Put a pattern into the device's memory, with its DMA. */
static int fill_device(struct edu_mig *edu, u8 *mem, u32 seed)
{
	fill(mem, edu->size, seed);
	edu_mig_dma(edu, IOVA, 0, edu->size, 0);
	return edu_mig_end(edu);
}

/* Compare the device's memory with a pattern. */
static bool device_has(struct edu_mig *edu, u8 *mem, u32 seed)
{
	u8 *expected = malloc(edu->size);
	bool same;

	memset(mem, 0, edu->size);
	edu_mig_dma(edu, IOVA, 0, edu->size, EDU_MIG_TO_MEMORY);
	fill(expected, edu->size, seed);
	same = !edu_mig_end(edu) && !memcmp(mem, expected, edu->size);
	free(expected);
	return same;
}

/* Save the state of the stopped device. Returns -errno, or 0 with the device in STOP_COPY. */
static int save(int fd, struct mig_data *data)
{
	int data_fd, err = mig_set(fd, STOP_COPY, &data_fd);

	if (err)
		return err;
	err = mig_read(data_fd, data);
	close(data_fd);
	return err;
}

/* Load a state into a device that has just been reset; it is in STOP then. */
static int load(int fd, const struct mig_data *data, size_t step)
{
	int data_fd, err = to_state(fd, RESUMING, &data_fd);

	if (err)
		return err;
	err = mig_write(data_fd, data->p, data->len, step);
	close(data_fd);
	return err ?: mig_set(fd, STOP, NULL);
}

TEST_F(migration, what_it_tells)
{
	struct vfio_region_info info;
	u64 size;
	u32 val;

	EXPECT_TRUE(self->features & VFIO_MIGRATION_STOP_COPY);
	EXPECT_EQ(0, self->features & ~7ull);
	EXPECT_EQ(RUNNING, mig_state(self->fd));
	EXPECT_EQ(0, mig_size(self->fd, &size));
	EXPECT_LT(self->edu.size, size);
	EXPECT_EQ(self->features & VFIO_MIGRATION_PRE_COPY ? 0 : -ENOTTY,
		  vfio_feature_set(self->fd, VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2, NULL, 0));

	/* The control BAR is hidden. */
	EXPECT_EQ(0, region_info(self->fd, 2, &info));
	EXPECT_EQ(0, info.size);
	EXPECT_EQ(0, info.flags);
	EXPECT_EQ(-EINVAL, region_pread(self->fd, 2, 0, &val, 4));
	EXPECT_EQ(-EINVAL, region_pwrite(self->fd, 2, 0, &val, 4));
	EXPECT_EQ(NULL, bar_map(self->fd, 2, 0, 0x1000));
	EXPECT_EQ(0, config_write(self->fd, PCI_BASE_ADDRESS_2, 4, ~0u));
	EXPECT_EQ(0, config_read(self->fd, PCI_BASE_ADDRESS_2, 4));
	EXPECT_EQ(EDU_MIG_ID_VALUE, mmio_read32(self->edu.regs, EDU_MIG_ID));
}

/* From each state to each other one, with or without a new file. */
TEST_F(migration, all_states)
{
	u32 from, to;
	int data_fd;

	for (from = 1; from < NR_STATES; from++) {
		for (to = 0; to <= NR_STATES; to++) {
			bool gives = to != from && (to == RESUMING ||
						    (is_saving(to) && !is_saving(from)));
			int err = has_state(self->features, to) ? 0 : -EINVAL;
			int ends = from;

			if (!has_state(self->features, from))
				continue;
			ASSERT_EQ(0, to_state(self->fd, from, NULL));
			if (from == STOP_COPY && (to == PRE_COPY || to == PRE_COPY_P2P))
				err = -EINVAL;
			/* Nothing was loaded. */
			if (from == RESUMING && to != RESUMING)
				err = -EINVAL;
			EXPECT_EQ(err, mig_set(self->fd, to, &data_fd)) {
				TH_LOG("from %u to %u", from, to);
			}
			EXPECT_EQ(!err && gives, data_fd >= 0) {
				TH_LOG("from %u to %u: file %d", from, to, data_fd);
			}
			EXPECT_LE(-1, data_fd);
			if (data_fd >= 0)
				close(data_fd);
			if (!err)
				ends = to;
			else if (from == RESUMING && has_state(self->features, to))
				ends = ERROR;
			EXPECT_EQ(ends, mig_state(self->fd));
		}
	}
	/* Only a reset leads out of ERROR. */
	ASSERT_EQ(0, to_state(self->fd, RESUMING, NULL));
	EXPECT_EQ(-EINVAL, mig_set(self->fd, STOP, NULL));
	for (to = 0; to < NR_STATES; to++)
		EXPECT_EQ(-EINVAL, mig_set(self->fd, to, NULL));
	EXPECT_REASON(self->fd, -EINVAL, "VFIO_DEVICE_RESET");
	EXPECT_EQ(ERROR, mig_state(self->fd));
	EXPECT_EQ(0, reset(self->fd));
	EXPECT_EQ(RUNNING, mig_state(self->fd));
	EXPECT_EQ(-EINVAL, mig_set(self->fd, 0x80000002, NULL));
}

/* The effect on the device: while stopped, it ignores everybody, and does nothing. */
TEST_F(migration, stopped)
{
	u32 *mem = (u32 *)self->edu.mem;

	mem[0] = 1;
	mmio_write32(self->edu.regs, EDU_MIG_DELAY, 20000);
	edu_mig_dma(&self->edu, IOVA, 0, 0x20000, 0);
	ASSERT_EQ(0, mig_set(self->fd, STOP, NULL));
	EXPECT_EQ(3, mmio_read32(self->edu.control, EDU_MIG_STATE) & 3);
	mem[0] = 2;
	mmio_write32(self->edu.regs, EDU_MIG_SEQ, 77);
	EXPECT_EQ(1, mem[0]);
	EXPECT_EQ(0, mmio_read32(self->edu.regs, EDU_MIG_SEQ));
	EXPECT_EQ(2, mmio_read32(self->edu.control, EDU_MIG_VIOLATIONS));
	usleep(100000);
	EXPECT_TRUE(mmio_read32(self->edu.regs, EDU_MIG_STATUS) & EDU_MIG_BUSY);
	/* Config space and interrupts are not controlled by the device. */
	EXPECT_EQ(0, config_update(self->fd, PCI_COMMAND, 2, PCI_COMMAND_MEMORY, 0));
	EXPECT_EQ(0, irq_eventfd(self->fd, VFIO_PCI_MSI_IRQ_INDEX, 0, event_new()));
	EXPECT_EQ(0, irq_disable(self->fd, VFIO_PCI_MSI_IRQ_INDEX));
	/* The driver does not depend on the user's memory decode. */
	EXPECT_EQ(0, mig_set(self->fd, RUNNING, NULL));
	EXPECT_EQ(0, config_update(self->fd, PCI_COMMAND, 2, 0, PCI_COMMAND_MEMORY));
	EXPECT_EQ(0, edu_mig_end(&self->edu));
	EXPECT_EQ(1, mmio_read32(self->edu.regs, EDU_MIG_SEQ));
}

TEST_F(migration, reset_from_all_states)
{
	struct vfio_precopy_info info;
	int data_fd, state;
	char c = 0;

	for (state = 1; state < NR_STATES; state++) {
		if (!has_state(self->features, state))
			continue;
		ASSERT_EQ(0, to_state(self->fd, state, &data_fd));
		ASSERT_EQ(0, reset(self->fd));
		EXPECT_EQ(RUNNING, mig_state(self->fd));
		EXPECT_EQ(0, mmio_read32(self->edu.control, EDU_MIG_STATE));
		if (data_fd < 0)
			continue;
		EXPECT_EQ(-1, state == RESUMING ? write(data_fd, &c, 1) : read(data_fd, &c, 1));
		EXPECT_EQ(ENODEV, errno);
		EXPECT_EQ(-ENODEV, mig_precopy_info(data_fd, &info));
		close(data_fd);
	}
	/* By the host, and by its register */
	ASSERT_EQ(0, mig_set(self->fd, STOP_COPY, &data_fd));
	ASSERT_EQ(0, sysfs_write("1", "/sys/bus/pci/devices/%s/reset", self->bdf));
	EXPECT_EQ(RUNNING, mig_state(self->fd));
	EXPECT_EQ(-1, read(data_fd, &c, 1));
	EXPECT_EQ(ENODEV, errno);
	close(data_fd);
	ASSERT_EQ(0, mig_set(self->fd, STOP, NULL));
	ASSERT_EQ(0, config_update(self->fd, config_cap(self->fd, PCI_CAP_ID_EXP) + PCI_EXP_DEVCTL,
				   2, 0, PCI_EXP_DEVCTL_BCR_FLR));
	EXPECT_EQ(RUNNING, mig_state(self->fd));
}

TEST_F(migration, stop_and_copy)
{
	struct mig_data data = {}, again = {};
	u64 size;

	ASSERT_EQ(0, fill_device(&self->edu, self->mem, 1));
	mmio_write32(self->edu.regs, EDU_MIG_SEQ, 4711);
	ASSERT_EQ(0, mig_size(self->fd, &size));
	ASSERT_EQ(0, save(self->fd, &data));
	EXPECT_LE(size, data.len);
	EXPECT_GT(size + size / 8, data.len);
	/* The source continues, as after a canceled migration. */
	ASSERT_EQ(0, mig_set(self->fd, RUNNING, NULL));
	EXPECT_TRUE(device_has(&self->edu, self->mem, 1));

	ASSERT_EQ(0, load(self->fd, &data, 0));
	EXPECT_EQ(4711, mmio_read32(self->edu.regs, EDU_MIG_SEQ));
	/* Like QEMU at the target */
	if (self->features & VFIO_MIGRATION_P2P)
		ASSERT_EQ(0, mig_set(self->fd, RUNNING_P2P, NULL));
	ASSERT_EQ(0, mig_set(self->fd, RUNNING, NULL));
	EXPECT_TRUE(device_has(&self->edu, self->mem, 1));
	/* A loaded state can be saved again. */
	ASSERT_EQ(0, save(self->fd, &again));
	ASSERT_EQ(0, load(self->fd, &again, 0));
	ASSERT_EQ(0, mig_set(self->fd, RUNNING, NULL));
	EXPECT_TRUE(device_has(&self->edu, self->mem, 1));
	free(data.p);
	free(again.p);
}

/* The size of writes does not matter. */
TEST_F(migration, small_writes)
{
	static const size_t steps[] = { 15, 16, 4096, 65537 };
	struct mig_data data = {};
	size_t i;

	ASSERT_EQ(0, fill_device(&self->edu, self->mem, 2));
	ASSERT_EQ(0, save(self->fd, &data));
	for (i = 0; i < LIB_ARRAY_SIZE(steps); i++) {
		ASSERT_EQ(0, load(self->fd, &data, steps[i]));
		ASSERT_EQ(0, mig_set(self->fd, RUNNING, NULL));
		EXPECT_TRUE(device_has(&self->edu, self->mem, 2));
	}
	free(data.p);
}

TEST_F(migration, pre_copy)
{
	struct vfio_precopy_info info = {};
	struct mig_data data = {};
	int data_fd, err;
	size_t first;
	u8 c;

	if (!(self->features & VFIO_MIGRATION_PRE_COPY))
		SKIP(return, "no pre-copy");
	ASSERT_EQ(0, fill_device(&self->edu, self->mem, 3));
	ASSERT_EQ(0, mig_set(self->fd, PRE_COPY, &data_fd));
	ASSERT_EQ(0, mig_precopy_info(data_fd, &info));
	EXPECT_LT(self->edu.size, info.initial_bytes);
	EXPECT_EQ(0, info.flags);
	EXPECT_EQ(-ENOMSG, mig_read(data_fd, &data));
	first = data.len;
	EXPECT_LT(self->edu.size, first);
	ASSERT_EQ(0, mig_precopy_info(data_fd, &info));
	EXPECT_EQ(0, info.initial_bytes);
	EXPECT_EQ(-ENOMSG, mig_read(data_fd, &data));
	EXPECT_EQ(first, data.len);

	/* Its state changes while it runs. */
	fill(self->edu.mem, EDU_MIG_CHUNK, 99);
	ASSERT_EQ(0, mig_precopy_info(data_fd, &info));
	EXPECT_EQ(0, info.initial_bytes);
	EXPECT_LE(EDU_MIG_CHUNK, info.dirty_bytes);
	EXPECT_EQ(-ENOMSG, mig_read(data_fd, &data));
	EXPECT_LE(first + EDU_MIG_CHUNK, data.len);
	ASSERT_EQ(0, fill_device(&self->edu, self->mem, 4));
	ASSERT_EQ(1, read(data_fd, &c, 1));
	data.p[data.len++] = c;

	/* The rest, in two steps, as with several devices, and back once */
	if (self->features & VFIO_MIGRATION_P2P) {
		ASSERT_EQ(0, mig_set(self->fd, PRE_COPY_P2P, NULL));
		ASSERT_EQ(0, mig_precopy_info(data_fd, &info));
		ASSERT_EQ(0, mig_set(self->fd, PRE_COPY, NULL));
		ASSERT_EQ(0, mig_set(self->fd, PRE_COPY_P2P, NULL));
	}
	ASSERT_EQ(0, mig_set(self->fd, STOP_COPY, &err));
	EXPECT_EQ(-1, err);
	EXPECT_EQ(-EINVAL, mig_precopy_info(data_fd, &info));
	EXPECT_EQ(0, mig_read(data_fd, &data));
	EXPECT_EQ(0, read(data_fd, &c, 1));
	ASSERT_EQ(0, mig_set(self->fd, STOP, NULL));
	EXPECT_EQ(-1, read(data_fd, &c, 1));
	EXPECT_EQ(ENODEV, errno);
	close(data_fd);
	ASSERT_EQ(0, load(self->fd, &data, 0));
	ASSERT_EQ(0, mig_set(self->fd, RUNNING, NULL));
	EXPECT_TRUE(device_has(&self->edu, self->mem, 4));

	/* A canceled migration leaves the source unchanged. */
	ASSERT_EQ(0, mig_set(self->fd, PRE_COPY, &data_fd));
	ASSERT_EQ(1, read(data_fd, &c, 1));
	ASSERT_EQ(0, mig_set(self->fd, RUNNING, NULL));
	EXPECT_EQ(-1, read(data_fd, &c, 1));
	EXPECT_EQ(ENODEV, errno);
	close(data_fd);
	EXPECT_TRUE(device_has(&self->edu, self->mem, 4));
	free(data.p);
}

/* A DMA in many pieces stops in the middle, and continues at the target. */
TEST_F(migration, dma_under_way)
{
	int efd = event_new(), data_fd;
	struct mig_data data = {};
	u8 *expected;

	ASSERT_EQ(0, fill_device(&self->edu, self->mem, 5));
	memset(self->mem, 0, MEM_SIZE);
	mmio_write32(self->edu.regs, EDU_MIG_DELAY, 20000);
	edu_mig_dma(&self->edu, IOVA, 0, self->edu.size, EDU_MIG_TO_MEMORY | EDU_MIG_INTERRUPT);
	usleep(50000);
	ASSERT_EQ(0, mig_set(self->fd, STOP_COPY, &data_fd));
	EXPECT_TRUE(mmio_read32(self->edu.regs, EDU_MIG_STATUS) & EDU_MIG_BUSY);
	ASSERT_EQ(0, mig_read(data_fd, &data));
	close(data_fd);

	/* Interrupts are set up while it is loaded. */
	ASSERT_EQ(0, to_state(self->fd, RESUMING, &data_fd));
	ASSERT_EQ(0, irq_eventfd(self->fd, VFIO_PCI_MSI_IRQ_INDEX, 0, efd));
	ASSERT_EQ(0, config_update(self->fd, PCI_COMMAND, 2, PCI_COMMAND_MEMORY, 0));
	ASSERT_EQ(0, mig_write(data_fd, data.p, data.len, 0));
	ASSERT_EQ(0, config_update(self->fd, PCI_COMMAND, 2, 0, PCI_COMMAND_MEMORY));
	EXPECT_EQ(0, event_take(efd));
	ASSERT_EQ(0, mig_set(self->fd, RUNNING, NULL));
	EXPECT_LE(1, event_wait(efd));
	ASSERT_EQ(0, edu_mig_end(&self->edu));
	/* This DMA, and the one that filled the memory */
	EXPECT_EQ(2, mmio_read32(self->edu.regs, EDU_MIG_SEQ));
	expected = malloc(self->edu.size);
	fill(expected, self->edu.size, 5);
	EXPECT_EQ(0, memcmp(self->mem, expected, self->edu.size));
	free(expected);
	close(data_fd);
	free(data.p);
}

/* Offset of the @n-th record, or the end of the stream if there are fewer records */
static size_t record_at(const struct mig_data *data, unsigned int n)
{
	struct record r;
	size_t at = 0;

	for (; n && at < data->len; n--) {
		memcpy(&r, data->p + at, sizeof(r));
		at += sizeof(r) + r.size;
	}
	return at;
}

static unsigned int records(const struct mig_data *data)
{
	unsigned int n = 0;

	while (record_at(data, n) < data->len)
		n++;
	return n;
}

/*
 * A bad stream: some write of it is refused, with a reason. Its valid part does not matter any
 * more, the transition to STOP ends in ERROR, and everything works after a reset.
 */
#define EXPECT_REFUSED(p, len, part) do {						\
	int data_fd_, err_;								\
											\
	ASSERT_EQ(0, to_state(self->fd, RESUMING, &data_fd_));				\
	err_ = mig_write(data_fd_, p, len, 0);						\
	EXPECT_EQ(-EINVAL, err_);							\
	EXPECT_REASON(self->fd, -EINVAL, part);						\
	/* For good */									\
	EXPECT_EQ(-EINVAL, mig_write(data_fd_, p, 1, 0));				\
	EXPECT_GT(0, mig_set(self->fd, STOP, NULL));					\
	EXPECT_EQ(ERROR, mig_state(self->fd));						\
	close(data_fd_);								\
	EXPECT_EQ(0, reset(self->fd));							\
	EXPECT_EQ(RUNNING, mig_state(self->fd));					\
} while (0)

TEST_F(migration, bad_streams)
{
	struct mig_data data = {}, bad = {};
	struct record r, *first;
	unsigned int nr;
	size_t last;

	ASSERT_EQ(0, fill_device(&self->edu, self->mem, 6));
	ASSERT_EQ(0, save(self->fd, &data));
	nr = records(&data);
	ASSERT_LE(3, nr);
	last = record_at(&data, nr - 1);
	bad.p = malloc(2 * data.len);
	first = (struct record *)bad.p;

	/* Of another device, and not a stream at all */
	memcpy(bad.p, data.p, data.len);
	first->tag = 0;
	EXPECT_REFUSED(bad.p, data.len, "is unknown");
	memset(bad.p, 0xff, 64);
	EXPECT_REFUSED(bad.p, 64, "unknown flags");
	memset(bad.p, 0, 64);
	EXPECT_REFUSED(bad.p, 64, "is unknown");
	/* Too long, by a little, and by the maximum */
	memcpy(&r, data.p, sizeof(r));
	r.size = (1 << 20) + 1;
	EXPECT_REFUSED(&r, sizeof(r), "too long");
	r.size = ~0ull;
	EXPECT_REFUSED(&r, sizeof(r), "too long");
	/* Optional, and too long for that */
	r = (struct record){ .size = (1 << 20) + 1, .flags = 1, .tag = 5 };
	EXPECT_REFUSED(&r, sizeof(r), "too long");
	/* The last record first, or twice; another one after it */
	EXPECT_REFUSED(data.p + last, data.len - last, "too early");
	memcpy(bad.p, data.p, data.len);
	memcpy(bad.p + data.len, data.p + last, data.len - last);
	EXPECT_REFUSED(bad.p, data.len + data.len - last, "comes twice");
	memcpy(bad.p + data.len, data.p, sizeof(r));
	EXPECT_REFUSED(bad.p, data.len + sizeof(r), "too late");
	/* A record is missing, or a byte is wrong: the device detects that. */
	EXPECT_REFUSED(data.p + record_at(&data, 1), data.len - record_at(&data, 1), "failed");
	memcpy(bad.p, data.p, data.len);
	bad.p[last / 2] ^= 1;
	EXPECT_REFUSED(bad.p, data.len, "failed");
	/* A piece that is longer than its record, or too short */
	memcpy(bad.p, data.p, data.len);
	*(u32 *)(bad.p + sizeof(r) + 4) = ~0u;
	EXPECT_REFUSED(bad.p, data.len, "not whole");
	r = *first;
	r.size = 3;
	memcpy(bad.p, &r, sizeof(r));
	EXPECT_REFUSED(bad.p, data.len, "not whole");

	/* An optional record is skipped. */
	r = (struct record){ .size = 100, .flags = 1, .tag = 5 };
	memset(bad.p, 0x5a, sizeof(r) + 100);
	memcpy(bad.p, &r, sizeof(r));
	memcpy(bad.p + sizeof(r) + 100, data.p, data.len);
	bad.len = sizeof(r) + 100 + data.len;
	ASSERT_EQ(0, load(self->fd, &bad, 0));
	ASSERT_EQ(0, mig_set(self->fd, RUNNING, NULL));
	EXPECT_TRUE(device_has(&self->edu, self->mem, 6));
	free(data.p);
	free(bad.p);
}

/* Ends too early, wherever that is */
TEST_F(migration, truncated)
{
	struct mig_data data = {};
	size_t cuts[64], nr = 0, i;
	unsigned int n;
	int data_fd;

	ASSERT_EQ(0, fill_device(&self->edu, self->mem, 7));
	ASSERT_EQ(0, save(self->fd, &data));
	for (n = 0; n < records(&data) && nr < 50; n++) {
		size_t at = record_at(&data, n), end = record_at(&data, n + 1);

		cuts[nr++] = at;
		cuts[nr++] = at + 1;
		cuts[nr++] = at + 15;
		cuts[nr++] = at + 16;
		cuts[nr++] = (at + end) / 2;
		cuts[nr++] = end - 1;
	}
	for (i = 0; i < nr; i++) {
		ASSERT_EQ(0, to_state(self->fd, RESUMING, &data_fd));
		ASSERT_EQ(0, mig_write(data_fd, data.p, cuts[i], 0));
		EXPECT_EQ(-EINVAL, mig_set(self->fd, RUNNING, NULL)) {
			TH_LOG("%zu bytes of %zu", cuts[i], data.len);
		}
		EXPECT_EQ(ERROR, mig_state(self->fd));
		EXPECT_EQ(-ENODEV, mig_write(data_fd, data.p, 1, 0));
		close(data_fd);
	}
	ASSERT_EQ(0, load(self->fd, &data, 0));
	free(data.p);
}

/* Sizes that are the limit of something, or beyond all limits */
static const u64 odd_sizes[] = {
	0, 1, 7, 8, EDU_MIG_CHUNK + 7, EDU_MIG_CHUNK + 8, EDU_MIG_CHUNK + 9, 0xffff, 0x10000,
	0x10001, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 1ull << 31, 1ull << 32, ~0ull >> 1,
	~0ull - 15, ~0ull,
};

enum mutation { FLIP, CUT, SWAP, REPEAT, LEAVE_OUT, SPLICE, RESIZE, RETAG, REFLAG, PIECE, INSERT,
		NR_MUTATIONS };

static size_t below(size_t limit)
{
	return limit ? rand() % limit : 0;
}

/* Whole records, and nothing else */
static bool is_sound(const struct mig_data *data)
{
	struct record r;
	size_t at = 0;

	while (data->len - at >= sizeof(r)) {
		memcpy(&r, data->p + at, sizeof(r));
		at += sizeof(r);
		if (r.size > data->len - at)
			return false;
		at += r.size;
	}
	return data->len && at == data->len;
}

/* Bytes [from, to) of @in go behind what @out has. */
static void append(struct mig_data *out, const struct mig_data *in, size_t from, size_t to)
{
	memcpy(out->p + out->len, in->p + from, to - from);
	out->len += to - from;
}

/* Make @out of @in, of which it may have a record twice; @other is another good stream. */
static void mutate(enum mutation what, struct mig_data *out, const struct mig_data *in,
		   const struct mig_data *other)
{
	unsigned int nr = records(in), i = below(nr), k = below(nr);
	size_t at = record_at(in, i), end = record_at(in, i + 1);
	size_t at2 = record_at(in, k), end2 = record_at(in, k + 1);
	struct record *r = (struct record *)(out->p + at);
	u32 *piece = (u32 *)(r + 1);

	out->len = 0;
	append(out, in, 0, in->len);
	switch (what) {
	case FLIP:
		/* Most of the bytes are memory; a header is worth more. */
		at = rand() & 1 ? at + below(32) : below(in->len);
		out->p[at < in->len ? at : 0] ^= 1 << below(8);
		break;
	case CUT:
		out->len = rand() & 1 ? at + below(18) : below(in->len);
		if (out->len > in->len)
			out->len = at;
		break;
	case SWAP:
		if (at >= at2)
			break;
		out->len = at;
		append(out, in, at2, end2);
		append(out, in, end, at2);
		append(out, in, at, end);
		append(out, in, end2, in->len);
		break;
	case REPEAT:
		out->len = at2;
		append(out, in, at, end);
		append(out, in, at2, in->len);
		break;
	case LEAVE_OUT:
		out->len = at;
		append(out, in, end, in->len);
		break;
	case SPLICE:
		out->len = at;
		k = below(records(other));
		append(out, other, record_at(other, k), other->len);
		break;
	case RESIZE:
		r->size = odd_sizes[below(LIB_ARRAY_SIZE(odd_sizes))];
		break;
	case RETAG:
		r->tag = rand() & 1 ? ((struct record *)(in->p + at2))->tag ^ (rand() & 1) :
				      (u32)rand();
		break;
	case REFLAG:
		r->flags = 1u << below(32);
		break;
	case PIECE:
		piece[below(2)] = odd_sizes[below(LIB_ARRAY_SIZE(odd_sizes))];
		break;
	default:
		out->len = at;
		*r = (struct record){ .size = below(4096), .flags = 1, .tag = rand() };
		out->len += sizeof(*r) + r->size;
		append(out, in, at, in->len);
	}
}

/*
 * A stream that was tampered with is refused, with a reason, or loaded for what it was; all of that
 * within a bound, and after a reset the device can be used and loaded. FUZZ_SEED, printed when
 * something is wrong, makes a run the same again, and FUZZ_ROUNDS longer.
 */
TEST_F(migration, fuzz)
{
	const char *wish = getenv("FUZZ_SEED"), *longer = getenv("FUZZ_ROUNDS");
	unsigned int seed = wish ? atoi(wish) : time(NULL), loads = 0;
	int rounds = longer ? atoi(longer) : 4 * NR_MUTATIONS, i, n, data_fd, err, set;
	struct mig_data good[2] = {}, bad[2] = {};
	char text[VFIO_LAST_ERROR_LEN];
	size_t most;
	s64 start;

	srand(seed);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, fill_device(&self->edu, self->mem, 80 + i));
		ASSERT_EQ(0, save(self->fd, &good[i]));
		ASSERT_EQ(0, mig_set(self->fd, RUNNING, NULL));
	}
	most = good[0].len + good[1].len;
	for (i = 0; i < 2; i++)
		bad[i].p = malloc(8 * most);
	for (i = 0; i < rounds; i++) {
		n = 0;
		mutate(i % NR_MUTATIONS, &bad[n], &good[0], &good[1]);
		/* Two or three at once, as long as there are whole records to choose from */
		while (!below(3) && n < 2 && bad[n & 1].len < 2 * most && is_sound(&bad[n & 1])) {
			mutate(below(NR_MUTATIONS), &bad[!(n & 1)], &bad[n & 1], &good[1]);
			n++;
		}
		ASSERT_EQ(0, to_state(self->fd, RESUMING, &data_fd));
		/* What the last error is before */
		ASSERT_EQ(-EINVAL, mig_set(self->fd, 99, NULL));
		start = clock_ms();
		err = mig_write(data_fd, bad[n & 1].p, bad[n & 1].len,
				below(4) ? 0 : 1 + below(1 << 20));
		text[0] = 0;
		set = mig_set(self->fd, RUNNING, NULL);
		EXPECT_GT(60000, clock_ms() - start);
		last_error(self->fd, text);
		if (set) {
			EXPECT_EQ(-EINVAL, set);
			EXPECT_EQ(ERROR, mig_state(self->fd));
			EXPECT_EQ(NULL, strstr(text, "no state")) TH_LOG("no reason was given");
		} else {
			loads++;
			EXPECT_EQ(0, err);
			EXPECT_TRUE(device_has(&self->edu, self->mem, 80) ||
				    device_has(&self->edu, self->mem, 81));
		}
		EXPECT_TRUE(!err || err == -EINVAL);
		EXPECT_EQ(-ENODEV, mig_write(data_fd, bad[0].p, 1, 0));
		close(data_fd);
		if (i % 16 == 15) {
			EXPECT_EQ(0, load(self->fd, &good[1], 0));
			EXPECT_EQ(0, mig_set(self->fd, RUNNING, NULL));
			EXPECT_TRUE(device_has(&self->edu, self->mem, 81));
		}
		if (!_metadata->exit_code)
			continue;
		TH_LOG("FUZZ_SEED=%u, round %d, kind %d: write %d, SET %d, \"%s\"", seed, i,
		       i % NR_MUTATIONS, err, set, text);
		break;
	}
	TH_LOG("FUZZ_SEED=%u: %u of %d streams were loaded", seed, loads, rounds);
	EXPECT_EQ(0, load(self->fd, &good[0], 0));
	EXPECT_EQ(0, mig_set(self->fd, RUNNING, NULL));
	EXPECT_TRUE(device_has(&self->edu, self->mem, 80));
	for (i = 0; i < 2; i++) {
		free(good[i].p);
		free(bad[i].p);
	}
}

struct worker {
	pthread_t thread;
	int fd;
	void *p;
	size_t len;
	ssize_t ret;
	int err;
	bool done;
};

static void *write_thread(void *arg)
{
	struct worker *w = arg;

	w->ret = write(w->fd, w->p, w->len);
	w->err = errno;
	__atomic_store_n(&w->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static void *read_thread(void *arg)
{
	struct worker *w = arg;

	w->ret = read(w->fd, w->p, w->len);
	w->err = errno;
	__atomic_store_n(&w->done, true, __ATOMIC_RELEASE);
	return NULL;
}

/* A writer whose page fault never ends: only other writers wait for it, and can be killed. */
TEST_F(migration, stuck_writer)
{
	struct worker w = {}, second = {};
	struct mig_data data = {};
	struct uffd_msg msg;
	int data_fd, uffd;

	ASSERT_EQ(0, save(self->fd, &data));
	ASSERT_EQ(0, to_state(self->fd, RESUMING, &data_fd));
	uffd = stuck_page(&w.p);
	if (uffd < 0)
		SKIP(return, "userfaultfd: %s", strerror(-uffd));
	w.fd = data_fd;
	w.len = 100;
	ASSERT_EQ(0, pthread_create(&w.thread, NULL, write_thread, &w));
	ASSERT_EQ(sizeof(msg), read(uffd, &msg, sizeof(msg)));
	second.fd = data_fd;
	second.p = data.p;
	second.len = data.len;
	ASSERT_EQ(0, pthread_create(&second.thread, NULL, write_thread, &second));

	EXPECT_EQ(-EINVAL, mig_set(self->fd, STOP, NULL));
	EXPECT_EQ(0, reset(self->fd));
	EXPECT_EQ(RUNNING, mig_state(self->fd));
	pthread_join(second.thread, NULL);
	EXPECT_EQ(-1, second.ret);
	EXPECT_EQ(ENODEV, second.err);
	EXPECT_FALSE(__atomic_load_n(&w.done, __ATOMIC_ACQUIRE));
	/* The next migration is not affected. */
	ASSERT_EQ(0, load(self->fd, &data, 0));
	close(uffd);
	pthread_join(w.thread, NULL);
	EXPECT_EQ(-1, w.ret);
	close(data_fd);
	free(data.p);
}

/* A reader, with the device taken away in the meantime */
TEST_F(migration, stuck_reader)
{
	struct worker w = {};
	struct uffd_msg msg;
	char grace[32];
	int uffd;

	ASSERT_EQ(0, mig_set(self->fd, STOP_COPY, &w.fd));
	uffd = stuck_page(&w.p);
	if (uffd < 0)
		SKIP(return, "userfaultfd: %s", strerror(-uffd));
	w.len = 0x1000;
	ASSERT_EQ(0, pthread_create(&w.thread, NULL, read_thread, &w));
	ASSERT_EQ(sizeof(msg), read(uffd, &msg, sizeof(msg)));
	ASSERT_LT(0, sysfs_read(grace, sizeof(grace), GRACE));
	ASSERT_EQ(0, sysfs_write("0", GRACE));
	EXPECT_EQ(0, sysfs_unbind(self->bdf));
	EXPECT_EQ(0, sysfs_write(grace, GRACE));
	EXPECT_FALSE(__atomic_load_n(&w.done, __ATOMIC_ACQUIRE));
	close(uffd);
	pthread_join(w.thread, NULL);
	EXPECT_TRUE(w.ret == 0x1000 || w.err == ENODEV);
	close(w.fd);
}

/* Two threads write and read at once: no byte is lost or out of order. */
TEST_F(migration, two_at_once)
{
	struct worker w[2] = {};
	struct mig_data data = {};
	int data_fd, i, round;
	size_t len = 0, half;
	u8 *all;

	ASSERT_EQ(0, fill_device(&self->edu, self->mem, 9));
	ASSERT_EQ(0, save(self->fd, &data));
	all = malloc(2 * data.len);
	ASSERT_EQ(0, mig_set(self->fd, STOP, NULL));
	ASSERT_EQ(0, mig_set(self->fd, STOP_COPY, &data_fd));
	do {
		for (i = 0; i < 2; i++) {
			w[i].fd = data_fd;
			w[i].len = 0x5001;
			w[i].p = malloc(w[i].len);
			ASSERT_EQ(0, pthread_create(&w[i].thread, NULL, read_thread, &w[i]));
		}
		half = 0;
		for (i = 0; i < 2; i++) {
			pthread_join(w[i].thread, NULL);
			ASSERT_LE(0, w[i].ret);
			half += w[i].ret;
		}
		/* Find out which one was first, by comparison with data.p. */
		i = w[0].ret && !memcmp(w[0].p, data.p + len, w[0].ret) ? 0 : 1;
		memcpy(all + len, w[i].p, w[i].ret);
		memcpy(all + len + w[i].ret, w[!i].p, w[!i].ret);
		len += half;
		free(w[0].p);
		free(w[1].p);
	} while (half && len < data.len);
	EXPECT_EQ(data.len, len);
	EXPECT_EQ(0, memcmp(all, data.p, data.len));
	close(data_fd);

	/* What comes of these is for them to know; the kernel must not fall for it. */
	for (round = 0; round < 20; round++) {
		ASSERT_EQ(0, to_state(self->fd, RESUMING, &data_fd));
		for (i = 0; i < 2; i++) {
			w[i].fd = data_fd;
			w[i].p = data.p;
			w[i].len = data.len / (round + 1);
			ASSERT_EQ(0, pthread_create(&w[i].thread, NULL, write_thread, &w[i]));
		}
		if (round & 1)
			mig_set(self->fd, RUNNING, NULL);
		for (i = 0; i < 2; i++)
			pthread_join(w[i].thread, NULL);
		close(data_fd);
	}
	ASSERT_EQ(0, load(self->fd, &data, 0));
	free(all);
	free(data.p);
}

struct racer {
	pthread_t thread;
	int fd;
	bool stop;
	bool wrong;
	int unexpected;
};

/* What a user does with a data file that is about to die, until it is dead. */
static void *race_thread(void *arg)
{
	struct racer *r = arg;
	char *p = malloc(1 << 20);
	ssize_t n;

	while (!__atomic_load_n(&r->stop, __ATOMIC_ACQUIRE)) {
		struct vfio_precopy_info info;
		struct pollfd poll_fd = { .fd = r->fd, .events = POLLIN };
		int err = mig_precopy_info(r->fd, &info);

		if (err && err != -EINVAL && err != -ENODEV)
			r->unexpected = err;
		if (poll(&poll_fd, 1, 10) < 0)
			r->unexpected = -errno;
		n = read(r->fd, p, 1 << 20);
		if (n < 0 && errno != ENOMSG && errno != ENODEV)
			r->unexpected = -errno;
		if (n < 0 && errno == ENODEV)
			break;
	}
	/* Dead is dead. */
	r->wrong = read(r->fd, p, 1) != -1 || errno != ENODEV;
	free(p);
	return NULL;
}

/* Readers, and those who poll and ask, race with all that ends their file. */
TEST_F(migration, readers_race)
{
	u32 from = self->features & VFIO_MIGRATION_PRE_COPY ? PRE_COPY : STOP_COPY;
	struct racer r[3];
	int round, i;

	for (round = 0; round < 24; round++) {
		memset(r, 0, sizeof(r));
		ASSERT_EQ(0, mig_set(self->fd, from, &r[0].fd));
		for (i = 0; i < 3; i++) {
			r[i].fd = r[0].fd;
			ASSERT_EQ(0, pthread_create(&r[i].thread, NULL, race_thread, &r[i]));
		}
		usleep(rand() % 20000);
		switch (round % 4) {
		case 0:
			EXPECT_EQ(0, reset(self->fd));
			break;
		case 1:
			EXPECT_EQ(0, mig_set(self->fd, RUNNING, NULL));
			break;
		case 2:
			EXPECT_EQ(0, mig_set(self->fd, STOP_COPY, NULL));
			EXPECT_EQ(0, mig_set(self->fd, RESUMING, NULL));
			EXPECT_EQ(0, reset(self->fd));
			break;
		default:
			EXPECT_EQ(0, sysfs_write("1", "/sys/bus/pci/devices/%s/reset", self->bdf));
		}
		EXPECT_EQ(RUNNING, mig_state(self->fd));
		for (i = 0; i < 3; i++) {
			__atomic_store_n(&r[i].stop, true, __ATOMIC_RELEASE);
			pthread_join(r[i].thread, NULL);
			EXPECT_EQ(0, r[i].unexpected) TH_LOG("round %d", round);
			EXPECT_FALSE(r[i].wrong) TH_LOG("round %d", round);
		}
		close(r[0].fd);
	}
	/* With the device taken away as well */
	ASSERT_EQ(0, mig_set(self->fd, from, &r[0].fd));
	r[0].stop = false;
	ASSERT_EQ(0, pthread_create(&r[0].thread, NULL, race_thread, &r[0]));
	edu_mig_close(&self->edu);
	pthread_join(r[0].thread, NULL);
	EXPECT_EQ(0, r[0].unexpected);
	EXPECT_FALSE(r[0].wrong);
	close(r[0].fd);
}

/* Kernel memory that is not used, in KiB */
static long memory_free(void)
{
	char text[4096] = "", *p;
	int fd = open("/proc/meminfo", O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	p = n > 0 ? strstr(text, "MemFree:") : NULL;
	return p ? atol(p + 8) : -1;
}

/* A user who keeps their dead files, which are many, keeps no buffers with them. */
TEST_F(migration, dead_files)
{
	int fds[64], i;
	long before;

	before = memory_free();
	for (i = 0; i < (int)LIB_ARRAY_SIZE(fds); i++) {
		ASSERT_EQ(0, mig_set(self->fd, i & 1 ? RESUMING : STOP_COPY, &fds[i]));
		if (i & 1)
			ASSERT_EQ(0, reset(self->fd));
	}
	ASSERT_EQ(0, reset(self->fd));
	EXPECT_GT(64 << 10, before - memory_free());
	for (i = 0; i < (int)LIB_ARRAY_SIZE(fds); i++)
		close(fds[i]);
}

/* A buffer that is not all there: no byte of the stream is lost. */
TEST_F(migration, bad_buffers)
{
	struct mig_data data = {}, again = {};
	int data_fd, err;
	size_t n = 0;
	ssize_t ret;
	char *p;

	ASSERT_EQ(0, fill_device(&self->edu, self->mem, 10));
	ASSERT_EQ(0, save(self->fd, &data));
	ASSERT_EQ(0, mig_set(self->fd, STOP, NULL));
	p = mmap(NULL, 0x3000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, munmap(p + 0x1000, 0x1000));

	ASSERT_EQ(0, mig_set(self->fd, STOP_COPY, &data_fd));
	EXPECT_EQ(-1, read(data_fd, p + 0x1000, 0x1000));
	EXPECT_EQ(EFAULT, errno);
	ret = read(data_fd, p + 0x800, 0x1000);
	ASSERT_LT(0, ret);
	ASSERT_GE(0x800, ret);
	again.p = malloc(ret);
	memcpy(again.p, p + 0x800, ret);
	again.len = ret;
	EXPECT_EQ(0, mig_read(data_fd, &again));
	ASSERT_EQ(data.len, again.len);
	EXPECT_EQ(0, memcmp(data.p, again.p, data.len));
	close(data_fd);

	ASSERT_EQ(0, to_state(self->fd, RESUMING, &data_fd));
	EXPECT_EQ(-1, write(data_fd, p + 0x1000, 0x1000));
	EXPECT_EQ(EFAULT, errno);
	memcpy(p + 0x800, data.p, 0x800);
	ret = write(data_fd, p + 0x800, 0x1000);
	if (ret > 0)
		n = ret;
	EXPECT_EQ(0, mig_write(data_fd, data.p + n, data.len - n, 0));
	EXPECT_EQ(0, mig_set(self->fd, RUNNING, &err));
	EXPECT_TRUE(device_has(&self->edu, self->mem, 10));
	close(data_fd);

	/* Data files are either for reading or writing, do not seek, and have only this ioctl. */
	ASSERT_EQ(0, mig_set(self->fd, STOP_COPY, &data_fd));
	EXPECT_EQ(-EBADF, mig_write(data_fd, data.p, 1, 0));
	EXPECT_EQ(-1, pread(data_fd, p, 1, 0));
	EXPECT_EQ(ESPIPE, errno);
	EXPECT_EQ(-1, lseek(data_fd, 0, SEEK_SET));
	EXPECT_EQ(-ENOTTY, vfio_ioctl(data_fd, VFIO_DEVICE_RESET, NULL));
	close(data_fd);
	free(data.p);
	free(again.p);
}

/* The result cannot be written: no file is leaked. */
TEST_F(migration, nowhere_to_answer)
{
	struct {
		struct vfio_device_feature f;
		struct vfio_device_feature_mig_state state;
	} *arg = mmap(NULL, 0x1000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct rlimit limit, none;
	int before = dup(0), after;

	close(before);
	ASSERT_NE(MAP_FAILED, arg);
	arg->f.argsz = sizeof(*arg);
	arg->f.flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE;
	arg->state.device_state = STOP_COPY;
	ASSERT_EQ(0, mprotect(arg, 0x1000, PROT_READ));
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->fd, VFIO_DEVICE_FEATURE, arg));
	after = dup(0);
	EXPECT_EQ(before, after);
	close(after);
	/* If no file can be created, the transition does not begin. */
	ASSERT_EQ(0, reset(self->fd));
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	none = limit;
	none.rlim_cur = before;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	EXPECT_EQ(-EMFILE, mig_set(self->fd, STOP_COPY, &after));
	EXPECT_EQ(-1, after);
	EXPECT_EQ(STOP, mig_state(self->fd));
	EXPECT_EQ(-EMFILE, mig_set(self->fd, RESUMING, NULL));
	EXPECT_EQ(STOP, mig_state(self->fd));
	EXPECT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	EXPECT_EQ(0, mig_set(self->fd, RUNNING, NULL));
}

/* The session ends with the data file open: it is dead, and does not affect the next session. */
TEST_F(migration, file_outlives_session)
{
	struct vfio_precopy_info info;
	struct worker w = {};
	int data_fd, in;
	char c;

	ASSERT_EQ(0, mig_set(self->fd, RESUMING, &in));
	ASSERT_EQ(0, to_state(self->fd, STOP_COPY, &data_fd));
	edu_mig_close(&self->edu);
	EXPECT_EQ(-1, read(data_fd, &c, 1));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(-ENODEV, mig_write(in, &c, 1, 0));
	EXPECT_EQ(-ENODEV, mig_precopy_info(data_fd, &info));
	ASSERT_EQ(0, edu_mig_open(&self->edu, self->bdf));
	self->fd = self->edu.s.fd;
	EXPECT_EQ(RUNNING, mig_state(self->fd));
	EXPECT_EQ(-1, read(data_fd, &c, 1));
	EXPECT_EQ(ENODEV, errno);
	close(data_fd);
	close(in);

	/* Somebody waits in it while the device is unbound, and its driver is unloaded. */
	if (!(self->features & VFIO_MIGRATION_PRE_COPY))
		return;
	ASSERT_EQ(0, mig_set(self->fd, PRE_COPY, &w.fd));
	edu_mig_fault(&self->edu, EDU_MIG_SAVE_CHUNK, EDU_MIG_NEVER);
	w.p = malloc(MEM_SIZE);
	do {
		w.len = read(w.fd, w.p, MEM_SIZE);
	} while ((ssize_t)w.len > 0);
	ASSERT_EQ(0, sysfs_write("0", GRACE));
	EXPECT_EQ(0, sysfs_unbind(self->bdf));
	EXPECT_EQ(0, sysfs_write("10000", GRACE));
	edu_mig_fault(&self->edu, 0, 0);
	EXPECT_EQ(-1, read(w.fd, &c, 1));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(0, module_unload("edu-mig-vfio-pci"));
	EXPECT_EQ(-1, read(w.fd, &c, 1));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(-ENODEV, mig_precopy_info(w.fd, &info));
	close(w.fd);
	EXPECT_EQ(0, system("modprobe edu-mig-vfio-pci"));
	free(w.p);
}

/* Each command fails once, or never ends: the device can leave the resulting state. */
TEST_F(migration, failing_commands)
{
	static const struct {
		u32 command, from, to, left;
	} parts[] = {
		{ EDU_MIG_SUSPEND_INITIATOR, RUNNING, STOP, RUNNING },
		{ EDU_MIG_SUSPEND_RESPONDER, RUNNING, STOP, RUNNING_P2P },
		{ EDU_MIG_RESUME_RESPONDER, STOP, RUNNING, STOP },
		{ EDU_MIG_RESUME_INITIATOR, STOP, RUNNING, RUNNING_P2P },
		{ EDU_MIG_SAVE_BEGIN, STOP, STOP_COPY, STOP },
		{ EDU_MIG_SAVE_BEGIN, RUNNING, PRE_COPY, RUNNING },
		{ EDU_MIG_SAVE_CANCEL, PRE_COPY, RUNNING, PRE_COPY },
		{ EDU_MIG_LOAD_BEGIN, STOP, RESUMING, STOP },
	};
	size_t i;
	int data_fd;

	for (i = 0; i < LIB_ARRAY_SIZE(parts); i++) {
		u32 left = parts[i].left;

		if (!has_state(self->features, parts[i].from) ||
		    !has_state(self->features, parts[i].to))
			continue;
		/* Without that state, it goes all the way back. */
		if (!has_state(self->features, left))
			left = parts[i].from;
		ASSERT_EQ(0, to_state(self->fd, parts[i].from, NULL));
		edu_mig_fault(&self->edu, parts[i].command, EDU_MIG_FAIL | EDU_MIG_ONCE);
		EXPECT_EQ(-EIO, mig_set(self->fd, parts[i].to, &data_fd));
		EXPECT_EQ(-1, data_fd);
		EXPECT_REASON(self->fd, -EIO, "has failed");
		EXPECT_EQ((int)left, mig_state(self->fd)) TH_LOG("part %zu", i);
		EXPECT_EQ(0, mig_set(self->fd, parts[i].to, NULL));

		ASSERT_EQ(0, to_state(self->fd, parts[i].from, NULL));
		edu_mig_fault(&self->edu, parts[i].command, EDU_MIG_SLOW | EDU_MIG_ONCE);
		EXPECT_EQ(0, mig_set(self->fd, parts[i].to, NULL));

		ASSERT_EQ(0, to_state(self->fd, parts[i].from, NULL));
		edu_mig_fault(&self->edu, parts[i].command, EDU_MIG_NEVER | EDU_MIG_ONCE);
		EXPECT_EQ(-ETIMEDOUT, mig_set(self->fd, parts[i].to, NULL));
		EXPECT_REASON(self->fd, -ETIMEDOUT, "has not ended");
		EXPECT_EQ(ERROR, mig_state(self->fd)) TH_LOG("part %zu", i);
	}
	ASSERT_EQ(0, reset(self->fd));
	EXPECT_EQ(0, fill_device(&self->edu, self->mem, 11));
}

/* Commands of the streams: read and write fail, and the device can return to its state. */
TEST_F(migration, failing_streams)
{
	static const u32 how[] = { EDU_MIG_FAIL, EDU_MIG_NEVER };
	struct mig_data data = {}, none = {};
	int data_fd, err;
	size_t i;

	ASSERT_EQ(0, fill_device(&self->edu, self->mem, 12));
	ASSERT_EQ(0, save(self->fd, &data));
	ASSERT_EQ(0, mig_set(self->fd, RUNNING, NULL));
	for (i = 0; i < LIB_ARRAY_SIZE(how); i++) {
		err = how[i] == EDU_MIG_FAIL ? -EIO : -ETIMEDOUT;
		edu_mig_fault(&self->edu, EDU_MIG_SAVE_CHUNK, how[i]);
		if (self->features & VFIO_MIGRATION_PRE_COPY) {
			ASSERT_EQ(0, mig_set(self->fd, PRE_COPY, &data_fd));
			EXPECT_EQ(err, mig_read(data_fd, &none));
			EXPECT_EQ(err, mig_read(data_fd, &none));
			EXPECT_EQ(PRE_COPY, mig_state(self->fd));
			EXPECT_EQ(0, mig_set(self->fd, RUNNING, NULL));
			close(data_fd);
		}
		EXPECT_EQ(err, save(self->fd, &none));
		EXPECT_EQ(0, none.len);
		edu_mig_fault(&self->edu, EDU_MIG_SAVE_FINAL, how[i]);
		EXPECT_EQ(0, mig_set(self->fd, RUNNING, NULL));
		EXPECT_EQ(err, save(self->fd, &none));
		EXPECT_LT(self->edu.size, none.len);
		none.len = 0;
		EXPECT_EQ(0, mig_set(self->fd, RUNNING, NULL));
		EXPECT_TRUE(device_has(&self->edu, self->mem, 12));
	}
	for (i = 0; i < LIB_ARRAY_SIZE(how); i++) {
		err = how[i] == EDU_MIG_FAIL ? -EIO : -ETIMEDOUT;
		edu_mig_fault(&self->edu, EDU_MIG_LOAD_CHUNK, how[i]);
		EXPECT_EQ(err, load(self->fd, &data, 0));
		EXPECT_EQ(RESUMING, mig_state(self->fd));
		edu_mig_fault(&self->edu, EDU_MIG_LOAD_END, how[i]);
		EXPECT_EQ(err, load(self->fd, &data, 0));
		EXPECT_EQ(ERROR, mig_state(self->fd));
	}
	edu_mig_fault(&self->edu, 0, 0);
	ASSERT_EQ(0, load(self->fd, &data, 0));
	ASSERT_EQ(0, mig_set(self->fd, RUNNING, NULL));
	EXPECT_TRUE(device_has(&self->edu, self->mem, 12));
	free(data.p);
	free(none.p);
}

struct command_thread {
	pthread_t thread;
	int fd;
	u32 state;
	int err;
};

static void *set_thread(void *arg)
{
	struct command_thread *c = arg;

	c->err = mig_set(c->fd, c->state, NULL);
	return NULL;
}

/* The device does not answer: a reset, and the end of the session, do not wait for it. */
TEST_F(migration, reset_in_the_midst)
{
	struct command_thread c = { .fd = self->fd, .state = STOP };
	s64 start;

	edu_mig_fault(&self->edu, EDU_MIG_SUSPEND_INITIATOR, EDU_MIG_NEVER | EDU_MIG_ONCE);
	ASSERT_EQ(0, pthread_create(&c.thread, NULL, set_thread, &c));
	while (mmio_read32(self->edu.control, EDU_MIG_FAULT))
		usleep(100);
	start = clock_ms();
	EXPECT_EQ(0, reset(self->fd));
	EXPECT_EQ(RUNNING, mig_state(self->fd));
	pthread_join(c.thread, NULL);
	EXPECT_TRUE(c.err == -EIO || c.err == -ETIMEDOUT);
	if (clock_ms() - start < 900)
		EXPECT_EQ(-EIO, c.err);
	EXPECT_EQ(0, fill_device(&self->edu, self->mem, 13));
}

/*
 * A recovery from an error restores what was there before. If the kernel itself has turned memory
 * decode on, to load what was saved, that is not what the user wants.
 */
TEST_F(migration, recovery_in_the_midst)
{
	struct mig_data data = {};
	struct worker w = {};
	struct deadline end;
	char args[64];
	u16 command;

	ASSERT_EQ(0, fill_device(&self->edu, self->mem, 14));
	ASSERT_EQ(0, save(self->fd, &data));
	edu_mig_fault(&self->edu, EDU_MIG_LOAD_CHUNK, EDU_MIG_NEVER | EDU_MIG_ONCE);
	ASSERT_EQ(0, to_state(self->fd, RESUMING, &w.fd));
	w.p = data.p;
	w.len = data.len;
	ASSERT_EQ(0, config_update(self->fd, PCI_COMMAND, 2, PCI_COMMAND_MEMORY, 0));
	snprintf(args, sizeof(args), "device=%s recovers=1", self->bdf);
	ASSERT_EQ(0, module_load("odd-function", args));
	ASSERT_EQ(0, pthread_create(&w.thread, NULL, write_thread, &w));
	for (deadline_start(&end), command = 0; !(command & PCI_COMMAND_MEMORY); ) {
		ASSERT_EQ(2, sysfs_config(self->bdf, PCI_COMMAND, &command, 2));
		ASSERT_FALSE(deadline_passed(&end));
	}
	EXPECT_EQ(0, sysfs_write("2", ODD_RECOVERS));
	pthread_join(w.thread, NULL);
	EXPECT_GT((ssize_t)w.len, w.ret);
	EXPECT_EQ(0, sysfs_write("3", ODD_RECOVERS));
	for (deadline_start(&end); !deadline_passed(&end); usleep(1000)) {
		if (sysfs_read(args, sizeof(args), ODD_RECOVERS) > 0 && args[0] == '4')
			break;
	}
	ASSERT_EQ(0, module_unload("odd-function"));
	EXPECT_EQ(2, sysfs_config(self->bdf, PCI_COMMAND, &command, 2));
	EXPECT_EQ(0, command & PCI_COMMAND_MEMORY);
	EXPECT_EQ(0, config_read(self->fd, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY);
	close(w.fd);
	free(data.p);
	ASSERT_EQ(0, config_update(self->fd, PCI_COMMAND, 2, 0, PCI_COMMAND_MEMORY));
	ASSERT_EQ(0, reset(self->fd));
	EXPECT_EQ(0, fill_device(&self->edu, self->mem, 15));
}

static short events(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };

	return poll(&p, 1, ms) == 1 ? p.revents : 0;
}

TEST_F(migration, nonblocking)
{
	struct mig_data data = {};
	int data_fd, flags, err;
	size_t at;
	ssize_t n;

	ASSERT_EQ(0, fill_device(&self->edu, self->mem, 14));
	ASSERT_EQ(0, mig_set(self->fd, self->features & VFIO_MIGRATION_PRE_COPY ? PRE_COPY :
			     STOP_COPY, &data_fd));
	flags = fcntl(data_fd, F_GETFL);
	ASSERT_EQ(0, fcntl(data_fd, F_SETFL, flags | O_NONBLOCK));
	while ((err = mig_read(data_fd, &data)) == -EAGAIN)
		EXPECT_EQ(POLLIN, events(data_fd, 60000));
	if (self->features & VFIO_MIGRATION_PRE_COPY) {
		EXPECT_EQ(-ENOMSG, err);
		/* It is not known if there will be more: poll() waits for that. */
		EXPECT_EQ(0, events(data_fd, 100));
		self->edu.mem[5] ^= 1;
		EXPECT_EQ(POLLIN, events(data_fd, 60000));
		self->edu.mem[5] ^= 1;
		while ((err = mig_read(data_fd, &data)) == -EAGAIN)
			EXPECT_EQ(POLLIN, events(data_fd, 60000));
		EXPECT_EQ(-ENOMSG, err);
		ASSERT_EQ(0, mig_set(self->fd, STOP_COPY, NULL));
		while ((err = mig_read(data_fd, &data)) == -EAGAIN)
			EXPECT_EQ(POLLIN, events(data_fd, 60000));
	}
	EXPECT_EQ(0, err);
	EXPECT_EQ(POLLIN, events(data_fd, 0));
	ASSERT_EQ(0, mig_set(self->fd, STOP, NULL));
	EXPECT_EQ(POLLIN | POLLERR | POLLHUP, events(data_fd, 0));
	close(data_fd);

	ASSERT_EQ(0, to_state(self->fd, RESUMING, &data_fd));
	flags = fcntl(data_fd, F_GETFL);
	ASSERT_EQ(0, fcntl(data_fd, F_SETFL, flags | O_NONBLOCK));
	for (at = 0; at < data.len; at += n > 0 ? n : 0) {
		n = write(data_fd, data.p + at, data.len - at);
		if (n < 0) {
			ASSERT_EQ(EAGAIN, errno);
			ASSERT_EQ(POLLOUT, events(data_fd, 60000));
		} else {
			ASSERT_LT(0, n);
		}
	}
	ASSERT_EQ(0, mig_set(self->fd, RUNNING, NULL));
	EXPECT_TRUE(device_has(&self->edu, self->mem, 14));
	close(data_fd);
	free(data.p);
}

/* io_uring with one entry, by its system calls */
struct ring {
	int fd;
	u8 *rings;
	struct io_uring_sqe *sqe;
	struct io_uring_params p;
};

static int ring_open(struct ring *r)
{
	size_t size;

	memset(r, 0, sizeof(*r));
	r->fd = syscall(SYS_io_uring_setup, 1, &r->p);
	if (r->fd < 0)
		return -errno;
	size = r->p.cq_off.cqes + r->p.cq_entries * sizeof(struct io_uring_cqe);
	if (size < r->p.sq_off.array + r->p.sq_entries * sizeof(u32))
		size = r->p.sq_off.array + r->p.sq_entries * sizeof(u32);
	r->rings = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_SQ_RING);
	r->sqe = mmap(NULL, sizeof(*r->sqe), PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
		      IORING_OFF_SQES);
	return 0;
}

static int ring_do(struct ring *r, u8 op, int fd, void *p, size_t len)
{
	u32 *tail = (u32 *)(r->rings + r->p.sq_off.tail);
	u32 *head = (u32 *)(r->rings + r->p.cq_off.head);
	struct io_uring_cqe *cqes = (void *)(r->rings + r->p.cq_off.cqes);
	int ret;

	memset(r->sqe, 0, sizeof(*r->sqe));
	r->sqe->opcode = op;
	r->sqe->fd = fd;
	r->sqe->off = -1;
	r->sqe->addr = (uintptr_t)p;
	r->sqe->len = len;
	*(u32 *)(r->rings + r->p.sq_off.array) = 0;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, r->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		return -errno;
	ret = cqes[*head & (r->p.cq_entries - 1)].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return ret;
}

/* Threads of this process, io_uring's workers among them */
static int threads(void)
{
	char text[4096], *p;
	int fd = open("/proc/self/status", O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	text[n > 0 ? n : 0] = 0;
	p = strstr(text, "\nThreads:");
	return p ? atoi(p + 9) : -1;
}

TEST_F(migration, io_uring)
{
	struct mig_data data = {};
	int data_fd, n, before;
	struct ring r;
	size_t at;

	n = ring_open(&r);
	if (n == -EPERM)
		SKIP(return, "no io_uring");
	ASSERT_EQ(0, n);
	before = threads();
	ASSERT_EQ(0, fill_device(&self->edu, self->mem, 15));
	ASSERT_EQ(0, mig_set(self->fd, STOP_COPY, &data_fd));
	data.p = malloc(2 * MEM_SIZE);
	while ((n = ring_do(&r, IORING_OP_READ, data_fd, data.p + data.len, 1 << 20)) > 0)
		data.len += n;
	EXPECT_EQ(0, n);
	EXPECT_EQ(before, threads());
	close(data_fd);

	ASSERT_EQ(0, to_state(self->fd, RESUMING, &data_fd));
	for (at = 0; at < data.len; at += n) {
		n = ring_do(&r, IORING_OP_WRITE, data_fd, data.p + at, data.len - at);
		ASSERT_LT(0, n);
	}
	EXPECT_EQ(before, threads());
	ASSERT_EQ(0, mig_set(self->fd, RUNNING, NULL));
	EXPECT_TRUE(device_has(&self->edu, self->mem, 15));

	/* ENOMSG, and the error of a refused write, are returned like that, too. */
	if (self->features & VFIO_MIGRATION_PRE_COPY) {
		ASSERT_EQ(0, mig_set(self->fd, PRE_COPY, &n));
		close(data_fd);
		data_fd = n;
		while ((n = ring_do(&r, IORING_OP_READ, data_fd, data.p, MEM_SIZE)) > 0)
			;
		EXPECT_EQ(-ENOMSG, n);
	}
	EXPECT_EQ(before, threads());
	close(data_fd);
	ASSERT_EQ(0, to_state(self->fd, RESUMING, &data_fd));
	memset(data.p, 0xff, 64);
	EXPECT_EQ(-EINVAL, ring_do(&r, IORING_OP_WRITE, data_fd, data.p, 64));
	close(data_fd);
	close(r.fd);
	free(data.p);
}

#define PAGES (MEM_SIZE / 0x1000)

static bool is_set(const u64 *bitmap, u64 bit)
{
	return bitmap[bit / 64] >> (bit % 64) & 1;
}

static unsigned int count_bits(const u64 *bitmap, size_t words)
{
	unsigned int n = 0;

	while (words--)
		n += __builtin_popcountll(bitmap[words]);
	return n;
}

TEST_F(migration, log)
{
	const struct vfio_device_feature_dma_logging_range range = { IOVA, MEM_SIZE };
	static const u32 pages[] = { 0, 1, 7, 63, 64, 65, 511, PAGES - 1 };
	u64 bitmap[PAGES / 64] = {}, page = 0x1000;
	size_t i;

	if (log_stop(self->fd) == -ENOTTY)
		SKIP(return, "no log");
	EXPECT_EQ(-EINVAL, log_report(self->fd, IOVA, MEM_SIZE, 0x1000, bitmap));
	EXPECT_REASON(self->fd, -EINVAL, "does not log");
	EXPECT_EQ(-EINVAL, log_stop(self->fd));
	ASSERT_EQ(0, log_start(self->fd, &page, &range, 1));
	EXPECT_EQ(0x1000, page);
	EXPECT_EQ(-EINVAL, log_start(self->fd, &page, &range, 1));

	for (i = 0; i < LIB_ARRAY_SIZE(pages); i++) {
		edu_mig_dma(&self->edu, IOVA + 0x1000ull * pages[i] + 0xff8, 0, 8,
			    EDU_MIG_TO_MEMORY);
		ASSERT_EQ(0, edu_mig_end(&self->edu));
	}
	/* Reads are not logged. */
	edu_mig_dma(&self->edu, IOVA + 0x100000, 0, 0x1000, 0);
	ASSERT_EQ(0, edu_mig_end(&self->edu));
	/* Report a part; the rest is not cleared. Bits that were set stay set. */
	bitmap[0] = 1ull << 40;
	ASSERT_EQ(0, log_report(self->fd, IOVA, 64 * 0x1000, 0x1000, bitmap));
	EXPECT_EQ(1ull | 2 | 1 << 7 | 1ull << 40 | 1ull << 63, bitmap[0]);
	EXPECT_EQ(0, bitmap[1]);
	memset(bitmap, 0, sizeof(bitmap));
	ASSERT_EQ(0, log_report(self->fd, IOVA, MEM_SIZE, 0x1000, bitmap));
	for (i = 0; i < LIB_ARRAY_SIZE(pages); i++)
		EXPECT_EQ(pages[i] >= 64, is_set(bitmap, pages[i]));
	EXPECT_EQ(LIB_ARRAY_SIZE(pages) - 4, count_bits(bitmap, PAGES / 64));
	/* Reported pages were cleared. */
	memset(bitmap, 0, sizeof(bitmap));
	ASSERT_EQ(0, log_report(self->fd, IOVA, MEM_SIZE, 0x1000, bitmap));
	EXPECT_EQ(0, count_bits(bitmap, PAGES / 64));

	/* With larger pages than in the log, and across two of them */
	edu_mig_dma(&self->edu, IOVA + 0xffff, 0, 2, EDU_MIG_TO_MEMORY);
	ASSERT_EQ(0, edu_mig_end(&self->edu));
	ASSERT_EQ(0, log_report(self->fd, IOVA, MEM_SIZE, 0x10000, bitmap));
	EXPECT_EQ(3, bitmap[0]);
	/* A range that is larger than all memory, most of it not logged */
	edu_mig_dma(&self->edu, IOVA, 0, 1, EDU_MIG_TO_MEMORY);
	ASSERT_EQ(0, edu_mig_end(&self->edu));
	memset(bitmap, 0, sizeof(bitmap));
	ASSERT_EQ(0, log_report(self->fd, 0, 1ull << 40, 1ull << 30, bitmap));
	EXPECT_EQ(2, bitmap[0]);
	EXPECT_EQ(1, count_bits(bitmap, PAGES / 64));

	/* The log continues while the device migrates, and ends with a reset. */
	ASSERT_EQ(0, mig_set(self->fd, STOP, NULL));
	ASSERT_EQ(0, mig_set(self->fd, RUNNING, NULL));
	EXPECT_EQ(0, log_report(self->fd, IOVA, MEM_SIZE, 0x1000, bitmap));
	ASSERT_EQ(0, reset(self->fd));
	EXPECT_EQ(-EINVAL, log_report(self->fd, IOVA, MEM_SIZE, 0x1000, bitmap));
	ASSERT_EQ(0, log_start(self->fd, &page, &range, 1));
	EXPECT_EQ(0, log_stop(self->fd));
}

TEST_F(migration, log_arguments)
{
	struct vfio_device_feature_dma_logging_range ranges[1100];
	u64 bitmap[PAGES / 64] = {}, page = 0x1000;
	char *p;
	int i;

	if (log_stop(self->fd) == -ENOTTY)
		SKIP(return, "no log");
	for (i = 0; i < (int)LIB_ARRAY_SIZE(ranges); i++)
		ranges[i] = (typeof(ranges[0])){ IOVA + i * 0x4000ull, 0x1000 };
	EXPECT_EQ(-EINVAL, log_start(self->fd, &page, ranges, 0));
	EXPECT_EQ(-EINVAL, log_start(self->fd, &page, ranges, LIB_ARRAY_SIZE(ranges)));
	EXPECT_EQ(-EINVAL, log_start(self->fd, &page, ranges, ~0u));
	EXPECT_EQ(-EFAULT, log_start(self->fd, &page, (void *)8, 1));
	page = 0x800;
	EXPECT_EQ(-EINVAL, log_start(self->fd, &page, ranges, 1));
	page = 0x3000;
	EXPECT_EQ(-EINVAL, log_start(self->fd, &page, ranges, 1));
	page = 0x1000;
	ranges[0].length = 0x1001;
	EXPECT_EQ(-EINVAL, log_start(self->fd, &page, ranges, 1));
	ranges[0].length = 0;
	EXPECT_EQ(-EINVAL, log_start(self->fd, &page, ranges, 1));
	ranges[0] = (typeof(ranges[0])){ ~0xfffull, 0x2000 };
	EXPECT_EQ(-EOVERFLOW, log_start(self->fd, &page, ranges, 1));

	/* As many ranges as fit into a page always work, though the device supports fewer. */
	ranges[0] = (typeof(ranges[0])){ IOVA, 0x1000 };
	ASSERT_EQ(0, log_start(self->fd, &page, ranges, 256));
	for (i = 0; i < 64; i++) {
		edu_mig_dma(&self->edu, IOVA + i * 0x4000ull, 0, 4, EDU_MIG_TO_MEMORY);
		ASSERT_EQ(0, edu_mig_end(&self->edu));
	}
	EXPECT_EQ(-EINVAL, log_report(self->fd, IOVA, 0, 0x1000, bitmap));
	EXPECT_EQ(-EINVAL, log_report(self->fd, IOVA, MEM_SIZE, 0x800, bitmap));
	EXPECT_EQ(-EINVAL, log_report(self->fd, IOVA, MEM_SIZE, 0x1001, bitmap));
	EXPECT_EQ(-EINVAL, log_report(self->fd, IOVA + 8, MEM_SIZE, 0x1000, bitmap));
	EXPECT_EQ(-EOVERFLOW, log_report(self->fd, ~0xfffull, 0x2000, 0x1000, bitmap));
	ASSERT_EQ(0, log_report(self->fd, IOVA, MEM_SIZE, 0x1000, bitmap));
	for (i = 0; i < PAGES; i++)
		EXPECT_EQ(i < 256 && i % 4 == 0, is_set(bitmap, i));

	/* A range that cannot be reported is an error. */
	edu_mig_dma(&self->edu, IOVA, 0, 1, EDU_MIG_TO_MEMORY);
	ASSERT_EQ(0, edu_mig_end(&self->edu));
	p = mmap(NULL, 0x1000, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	EXPECT_EQ(-EFAULT, log_report(self->fd, IOVA, MEM_SIZE, 0x1000, p));
	munmap(p, 0x1000);
	EXPECT_EQ(0, log_stop(self->fd));
	/* The device supports pages of up to 2 MiB. */
	ranges[0] = (typeof(ranges[0])){ IOVA, MEM_SIZE };
	page = 0x400000;
	ASSERT_EQ(0, log_start(self->fd, &page, ranges, 1));
	EXPECT_EQ(0x200000, page);
	edu_mig_dma(&self->edu, IOVA + 0x200000, 0, 1, EDU_MIG_TO_MEMORY);
	ASSERT_EQ(0, edu_mig_end(&self->edu));
	memset(bitmap, 0, sizeof(bitmap));
	EXPECT_EQ(-EINVAL, log_report(self->fd, IOVA, 0x1000, 0x1000, bitmap));
	ASSERT_EQ(0, log_report(self->fd, IOVA, MEM_SIZE, 0x1000, bitmap));
	EXPECT_EQ(512, count_bits(bitmap, PAGES / 64));
	EXPECT_TRUE(is_set(bitmap, 512));
	EXPECT_EQ(0, log_stop(self->fd));
}

TEST_HARNESS_MAIN
