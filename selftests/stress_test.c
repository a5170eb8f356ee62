// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many threads do random operations on the same device. The result of a single call is mostly
 * unknown; but no call may fail with an unexpected error, the device must work afterwards, and the
 * kernel must not report a fault, which the test machine checks.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/config.h"
#include "lib/harness.h"
#include "lib/iommufd.h"
#include "lib/irq.h"
#include "lib/region.h"

#define THREADS 6
#define ROUNDS 150
#define EFDS 4

struct context;

struct thread {
	pthread_t id;
	unsigned int seed;
	struct context *ctx;
	int bad;
	int bad_op;
};

struct context {
	struct session s;
	u32 ioas[2];
	int efd[EFDS];
	int index;
	u32 bar_size;
	int pm;
	int rounds;
	struct thread threads[THREADS];
};

static unsigned int pick(struct thread *t, unsigned int n)
{
	return rand_r(&t->seed) % n;
}

/* Each op returns 0, or an unexpected error. */

static int op_irq(struct thread *t)
{
	static const u32 data[] = {
		VFIO_IRQ_SET_DATA_NONE, VFIO_IRQ_SET_DATA_BOOL, VFIO_IRQ_SET_DATA_EVENTFD,
	};
	static const u32 action[] = {
		VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_ACTION_TRIGGER,
		VFIO_IRQ_SET_ACTION_MASK, VFIO_IRQ_SET_ACTION_UNMASK,
	};
	u32 kind = data[pick(t, 3)], count = pick(t, EFDS + 1), n;
	u8 bools[EFDS];
	int efds[EFDS], err;

	for (n = 0; n < EFDS; n++) {
		bools[n] = pick(t, 2);
		efds[n] = pick(t, 4) ? t->ctx->efd[pick(t, EFDS)] : -1;
	}
	err = irq_set(t->ctx->s.fd, kind | action[pick(t, 4)], pick(t, VFIO_PCI_NUM_IRQS),
		      pick(t, 3), count,
		      kind == VFIO_IRQ_SET_DATA_BOOL ? (void *)bools : (void *)efds,
		      kind == VFIO_IRQ_SET_DATA_BOOL ? count :
		      kind == VFIO_IRQ_SET_DATA_EVENTFD ? count * 4 : 0);
	switch (err) {
	case -EINVAL:
	case -ENOTTY:
	case -EBUSY:
	case -ENOSPC:
	case -ERANGE:
		return 0;
	}
	return err > 0 ? 0 : err;
}

static int op_config_read(struct thread *t)
{
	unsigned int pos = pick(t, 256);
	u8 buf[256];
	ssize_t n = region_pread(t->ctx->s.fd, VFIO_PCI_CONFIG_REGION_INDEX, pos, buf,
				 1 + pick(t, 256 - pos));

	return n < 0 ? n : 0;
}

static int op_config_write(struct thread *t)
{
	int fd = t->ctx->s.fd;

	switch (pick(t, 5)) {
	case 0:
		return config_write(fd, PCI_COMMAND, 2, rand_r(&t->seed) & 0x0407);
	case 1:
		return config_write(fd, PCI_BASE_ADDRESS_0 + 4 * pick(t, 6), 4, rand_r(&t->seed));
	case 2:
		return config_write(fd, PCI_INTERRUPT_LINE, 1, pick(t, 256));
	case 3:
		if (t->ctx->pm > 0)
			return config_write(fd, t->ctx->pm + PCI_PM_CTRL, 2, pick(t, 2) * 3);
		return 0;
	default:
		return config_update(fd, PCI_COMMAND, 2, 0, PCI_COMMAND_MEMORY);
	}
}

static int op_bar_read(struct thread *t)
{
	/* A size that the device does not support would crash an arm64 kernel. */
	size_t len = ARM64 ? 4 : 1 + pick(t, 16);
	u8 buf[64];
	ssize_t n = region_pread(t->ctx->s.fd, t->ctx->index, 0, buf, len);

	return n < 0 && n != -EIO ? n : 0;
}

static int op_map(struct thread *t)
{
	size_t len = t->ctx->bar_size < 0x4000 ? 0x1000 : 0x4000;
	void *p = bar_map(t->ctx->s.fd, t->ctx->index, 0, len);
	u32 val;
	int i;

	if (!p)
		return -errno;
	for (i = 0; i < 4; i++)
		mmio_peek32(p, &val);
	munmap(p, len);
	return 0;
}

static int op_info(struct thread *t)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_region_info *region;
	struct vfio_irq_info irq;
	int err;

	err = vfio_ioctl(t->ctx->s.fd, VFIO_DEVICE_GET_INFO, &info);
	if (err)
		return err;
	region = region_info_caps(t->ctx->s.fd, pick(t, 8));
	if (!region)
		return -EPROTO;
	free(region);
	return irq_info(t->ctx->s.fd, pick(t, VFIO_PCI_NUM_IRQS), &irq);
}

static int op_attach(struct thread *t)
{
	u32 pt = t->ctx->ioas[pick(t, 2)];

	/* In-tree, MSIs without a page table make arm64 leak interrupts of the host, and warn. */
	if (pick(t, 3) || (ARM64 && !driver_is_ours()))
		return vfio_attach(t->ctx->s.fd, &pt);
	return vfio_detach(t->ctx->s.fd);
}

static int op_bind(struct thread *t)
{
	int fd = vfio_cdev_open(t->ctx->s.bdf), err;

	if (fd < 0)
		return fd;
	err = vfio_bind(fd, t->ctx->s.iommufd, NULL);
	close(fd);
	return err == -EINVAL ? 0 : err ? err : -EPROTO;
}

static int op_reset(struct thread *t)
{
	int err;

	if (pick(t, 8))
		return 0;
	err = vfio_ioctl(t->ctx->s.fd, VFIO_DEVICE_RESET, NULL);
	/* No reset; or another thread had the lock; or memory decode was turned off. */
	return err == -EINVAL || err == -EAGAIN || err == -ENOTTY ? 0 : err;
}

static int (* const ops[])(struct thread *t) = {
	op_irq, op_irq, op_config_read, op_config_write, op_bar_read, op_map, op_info, op_attach,
	op_bind, op_reset,
};

static void *stress_thread(void *arg)
{
	struct thread *t = arg;
	int i;

	for (i = 0; i < t->ctx->rounds && !t->bad; i++) {
		t->bad_op = pick(t, LIB_ARRAY_SIZE(ops));
		t->bad = ops[t->bad_op](t);
	}
	return NULL;
}

FIXTURE(stress)
{
	struct context c;
};

FIXTURE_VARIANT(stress)
{
	enum test_device dev;
};

FIXTURE_ALL_DEVICES(stress);

FIXTURE_SETUP(stress)
{
	struct context *c = &self->c;
	struct vfio_region_info info;
	int i;

	SETUP_SESSION(&c->s, variant->dev);
	c->pm = config_cap(c->s.fd, PCI_CAP_ID_PM);
	c->ioas[0] = c->s.ioas;
	ASSERT_EQ(0, ioas_alloc(c->s.iommufd, &c->ioas[1]));
	for (i = 0; i < EFDS; i++)
		c->efd[i] = event_new();
	for (i = 0; i < 6; i++) {
		ASSERT_EQ(0, region_info(c->s.fd, i, &info));
		if (info.flags & VFIO_REGION_INFO_FLAG_MMAP) {
			c->index = i;
			c->bar_size = info.size;
			break;
		}
	}
}

FIXTURE_TEARDOWN(stress)
{
	session_close(&self->c.s);
}

TEST_F(stress, one_session)
{
	struct context *c = &self->c;
	u32 pt = c->ioas[0];
	int i, efd;

	c->rounds = ROUNDS;
	for (i = 0; i < THREADS; i++) {
		c->threads[i] = (struct thread){ .seed = 0x1234 + i, .ctx = c };
		ASSERT_EQ(0, pthread_create(&c->threads[i].id, NULL, stress_thread,
					    &c->threads[i]));
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(c->threads[i].id, NULL);
		EXPECT_EQ(0, c->threads[i].bad)
			TH_LOG("op %d", c->threads[i].bad_op);
	}

	/* Everything must still work. */
	if (c->pm > 0)
		ASSERT_EQ(0, config_update(c->s.fd, c->pm + PCI_PM_CTRL, 2, 3, 0));
	ASSERT_EQ(0, config_write(c->s.fd, PCI_COMMAND, 2, PCI_COMMAND_MEMORY));
	EXPECT_EQ(4, region_pread(c->s.fd, c->index, 0, &i, 4));
	EXPECT_EQ(0, vfio_attach(c->s.fd, &pt));
	for (i = VFIO_PCI_INTX_IRQ_INDEX; i <= VFIO_PCI_MSIX_IRQ_INDEX; i++)
		irq_disable(c->s.fd, i);
	efd = event_new();
	for (i = VFIO_PCI_INTX_IRQ_INDEX; i <= VFIO_PCI_MSIX_IRQ_INDEX; i++) {
		struct vfio_irq_info info;

		ASSERT_EQ(0, irq_info(c->s.fd, i, &info));
		if (!info.count)
			continue;
		ASSERT_EQ(0, irq_eventfd(c->s.fd, i, 0, efd));
		EXPECT_EQ(0, irq_loopback(c->s.fd, i, 0, 1));
		EXPECT_EQ(1, event_take(efd));
		EXPECT_EQ(0, irq_disable(c->s.fd, i));
	}
}

/* Each thread has its own file: the first one owns the device, and closes it at any point. */
struct contender {
	pthread_t id;
	const char *bdf;
	int rounds;
	int won;
	int bad;
};

static void *contend_thread(void *arg)
{
	struct contender *c = arg;
	struct thread t = { .seed = 0x77 };
	struct context ctx = { .rounds = 8 };
	int i, n;

	for (i = 0; i < c->rounds && !c->bad; i++) {
		int err = session_open(&ctx.s, c->bdf);

		if (err == -EINVAL)
			continue;
		c->bad = err;
		if (err)
			break;
		c->won++;
		ctx.ioas[0] = ctx.s.ioas;
		ctx.ioas[1] = ctx.s.ioas;
		for (n = 0; n < EFDS; n++)
			ctx.efd[n] = event_new();
		t.ctx = &ctx;
		for (n = 0; n < ctx.rounds && !c->bad; n++)
			c->bad = ops[pick(&t, 4)](&t);
		for (n = 0; n < EFDS; n++)
			close(ctx.efd[n]);
		session_close(&ctx.s);
	}
	return NULL;
}

TEST_F(stress, many_sessions)
{
	struct contender c[4];
	int i, won = 0;

	session_close(&self->c.s);
	for (i = 0; i < 4; i++) {
		c[i] = (struct contender){ .bdf = device_bdf(variant->dev), .rounds = 4 };
		ASSERT_EQ(0, pthread_create(&c[i].id, NULL, contend_thread, &c[i]));
	}
	for (i = 0; i < 4; i++) {
		pthread_join(c[i].id, NULL);
		EXPECT_EQ(0, c[i].bad);
		won += c[i].won;
	}
	EXPECT_LT(0, won);
	EXPECT_EQ(0, session_open(&self->c.s, device_bdf(variant->dev)));
}

TEST_HARNESS_MAIN
