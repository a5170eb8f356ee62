// SPDX-License-Identifier: GPL-2.0-only
/* Legacy VGA of two devices at once: with Linux's arbiter alone, a user may wait for ever. */
#include <pthread.h>

#include "lib/harness.h"
#include "lib/vga.h"

#define ROUNDS 300

struct user {
	struct session s;
	pthread_barrier_t *barrier;
	u8 seed;
	unsigned int bad;
};

FIXTURE(two)
{
	struct user users[2];
	pthread_barrier_t barrier;
};

FIXTURE_SETUP(two)
{
	OURS_ONLY();
	SETUP_VGA(&self->users[0].s, VGA_BOOT);
	SETUP_VGA(&self->users[1].s, VGA_OTHER);
	pthread_barrier_init(&self->barrier, NULL, 2);
}

FIXTURE_TEARDOWN(two)
{
	session_close(&self->users[0].s);
	session_close(&self->users[1].s);
}

/* Both end each round together, so that an access that waits is not rescued by the next round. */
static void *use(void *arg)
{
	struct user *user = arg;
	int fd = user->s.fd;
	unsigned int i;
	u32 val, got;

	for (i = 0; i < ROUNDS; i++) {
		val = user->seed * 0x01010101 + i;
		pthread_barrier_wait(user->barrier);
		user->bad += region_pwrite(fd, VGA, VGA_MEM + 4 * i, &val, 4) != 4;
		user->bad += vga_out(fd, GC, GC_MASK, user->seed) != 0;
		user->bad += vga_in(fd, GC, GC_MASK) != user->seed;
		user->bad += region_pread(fd, VGA, VGA_MEM + 4 * i, &got, 4) != 4;
		user->bad += got != val;
	}
	return NULL;
}

TEST_F(two, at_once)
{
	static const u8 seeds[] = { 0x55, 0xaa };
	pthread_t threads[2];
	int i;

	for (i = 0; i < 2; i++) {
		self->users[i].barrier = &self->barrier;
		self->users[i].seed = seeds[i];
		ASSERT_EQ(0, vga_linear(self->users[i].s.fd));
	}
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, use, &self->users[i]));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, pthread_join(threads[i], NULL));
		EXPECT_EQ(0, self->users[i].bad);
	}
}

TEST_HARNESS_MAIN
