// SPDX-License-Identifier: GPL-2.0-only
/*
 * Migration without a device: all paths between states, for every kind of device; what is done on
 * these paths, and undone after a failure; the order of records; ranges and reports of a log.
 */
#include <linux/prandom.h>
#include <kunit/test.h>

#include "../driver/migration/states.c"
#include "../driver/migration/records.c"
#include "../driver/migration/log.c"

void vfio_mig_lock(struct vfio_mig *mig)
{
	mutex_lock(&mig->lock);
}

#define ERROR	VFIO_DEVICE_STATE_ERROR
#define STOP	VFIO_DEVICE_STATE_STOP
#define RUN	VFIO_DEVICE_STATE_RUNNING
#define COPY	VFIO_DEVICE_STATE_STOP_COPY
#define RESUME	VFIO_DEVICE_STATE_RESUMING
#define RUN_P	VFIO_DEVICE_STATE_RUNNING_P2P
#define PRE	VFIO_DEVICE_STATE_PRE_COPY
#define PRE_P	VFIO_DEVICE_STATE_PRE_COPY_P2P
#define NR	VFIO_DEVICE_STATE_NR

static const u64 kinds_of_devices[] = { 0, P2P, PRE_COPY, P2P | PRE_COPY };

/* The first step for a device that has all states, by the rules of the uAPI; 0: there is no path */
static const u8 first_step[NR][NR] = {
	/* ERROR, STOP, RUN, COPY, RESUME, RUN_P, PRE, PRE_P */
	[STOP] =   { 0, 0,     RUN_P, COPY,  RESUME, RUN_P, RUN_P, RUN_P },
	[RUN] =	   { 0, RUN_P, 0,     RUN_P, RUN_P, RUN_P, PRE,   RUN_P },
	[COPY] =   { 0, STOP,  STOP,  0,     STOP,  STOP,  0,     0 },
	[RESUME] = { 0, STOP,  STOP,  STOP,  0,     STOP,  STOP,  STOP },
	[RUN_P] =  { 0, STOP,  RUN,   STOP,  STOP,  0,     RUN,   PRE_P },
	[PRE] =	   { 0, RUN,   RUN,   PRE_P, RUN,   RUN,   0,     PRE_P },
	[PRE_P] =  { 0, RUN_P, RUN_P, COPY,  RUN_P, RUN_P, PRE,   0 },
};

/* Paths skip the states that the device does not have. */
static u8 expected_step(u64 features, u32 from, u32 to)
{
	u8 step = from;

	do {
		step = first_step[step][to];
	} while (step && !vfio_mig_has_state(features, step));
	return step;
}

static void steps(struct kunit *test)
{
	const struct vfio_mig_arc *arc;
	unsigned int i;
	u32 from, to;

	for (i = 0; i < ARRAY_SIZE(kinds_of_devices); i++) {
		u64 features = kinds_of_devices[i];

		for (from = 0; from < NR; from++) {
			for (to = 0; to < NR; to++) {
				if (from == to || !vfio_mig_has_state(features, to) ||
				    (from && !vfio_mig_has_state(features, from)))
					continue;
				arc = vfio_mig_next(features, from, to);
				KUNIT_EXPECT_EQ_MSG(test, arc ? arc->to : 0,
						    expected_step(features, from, to),
						    "features %#llx, %u to %u", features, from, to);
				if (arc)
					KUNIT_EXPECT_EQ(test, arc->from, from);
			}
		}
	}
}

static void states(struct kunit *test)
{
	static const u8 always[] = { STOP, RUN, COPY, RESUME };
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(kinds_of_devices); i++) {
		u64 features = kinds_of_devices[i];

		for (j = 0; j < ARRAY_SIZE(always); j++)
			KUNIT_EXPECT_TRUE(test, vfio_mig_has_state(features, always[j]));
		KUNIT_EXPECT_EQ(test, vfio_mig_has_state(features, RUN_P), !!(features & P2P));
		KUNIT_EXPECT_EQ(test, vfio_mig_has_state(features, PRE), !!(features & PRE_COPY));
		KUNIT_EXPECT_EQ(test, vfio_mig_has_state(features, PRE_P),
				features == (P2P | PRE_COPY));
		KUNIT_EXPECT_FALSE(test, vfio_mig_has_state(features, ERROR));
		KUNIT_EXPECT_FALSE(test, vfio_mig_has_state(features, NR));
		KUNIT_EXPECT_FALSE(test, vfio_mig_has_state(features, U32_MAX));
	}
}

/* A device that obeys each command, and recognizes those that make no sense */
struct model {
	bool initiator_off, responder_off, saving, rest, loading;
};

static bool model_is(const struct model *m, u32 state)
{
	const struct model of_states[] = {
		[STOP] = { true, true },
		[RUN] = {},
		[COPY] = { true, true, true, true },
		[RESUME] = { true, true, .loading = true },
		[RUN_P] = { true },
		[PRE] = { .saving = true },
		[PRE_P] = { true, .saving = true },
	};

	return !memcmp(m, &of_states[state], sizeof(*m));
}

static bool change(bool *what, bool to)
{
	bool changes = *what != to;

	*what = to;
	return changes;
}

static bool model_do(struct model *m, enum vfio_mig_deed deed)
{
	bool off = m->initiator_off && m->responder_off;

	switch (deed) {
	case VFIO_MIG_STOP_INITIATOR:
		return !m->responder_off && change(&m->initiator_off, true);
	case VFIO_MIG_STOP_RESPONDER:
		return m->initiator_off && change(&m->responder_off, true);
	case VFIO_MIG_START_RESPONDER:
		return off && !m->loading && !m->rest && change(&m->responder_off, false);
	case VFIO_MIG_START_INITIATOR:
		return !m->responder_off && change(&m->initiator_off, false);
	case VFIO_MIG_SAVE_BEGIN:
		return !m->loading && change(&m->saving, true);
	case VFIO_MIG_SAVE_REST:
		return off && m->saving && change(&m->rest, true);
	case VFIO_MIG_SAVE_END:
		m->rest = false;
		return change(&m->saving, false);
	case VFIO_MIG_LOAD_BEGIN:
		return off && !m->saving && change(&m->loading, true);
	case VFIO_MIG_LOAD_END:
		return off && change(&m->loading, false);
	default:
		return true;
	}
}

/* Each step is possible in the state that it starts from, and leads to the one that it names. */
static void deeds(struct kunit *test)
{
	unsigned int i, j, k;

	for (i = 0; i < ARRAY_SIZE(arcs); i++) {
		for (j = 0; j <= VFIO_MIG_DEEDS; j++) {
			struct model m = {};

			m.initiator_off = arcs[i].from != RUN && arcs[i].from != PRE;
			m.responder_off = arcs[i].from == STOP || arcs[i].from == COPY ||
					  arcs[i].from == RESUME;
			m.saving = BIT(arcs[i].from) & SAVING;
			m.rest = arcs[i].from == COPY;
			m.loading = arcs[i].from == RESUME;
			KUNIT_ASSERT_TRUE(test, model_is(&m, arcs[i].from));
			for (k = 0; k < j; k++)
				KUNIT_EXPECT_TRUE_MSG(test, model_do(&m, arcs[i].deeds[k]),
						      "step %u, deed %u", i, k);
			if (j == VFIO_MIG_DEEDS) {
				KUNIT_EXPECT_TRUE_MSG(test, model_is(&m, arcs[i].to), "step %u", i);
				continue;
			}
			/* The next deed fails, so these are undone. SAVE_REST cannot fail. */
			if (arcs[i].deeds[j] == VFIO_MIG_NOTHING ||
			    arcs[i].deeds[j] == VFIO_MIG_SAVE_REST)
				continue;
			while (k--)
				KUNIT_EXPECT_TRUE(test,
						  model_do(&m, vfio_mig_undo(arcs[i].deeds[k])));
			KUNIT_EXPECT_TRUE_MSG(test, model_is(&m, arcs[i].from),
					      "step %u, deed %u fails", i, j);
		}
	}
}

static const struct vfio_mig_kind test_kinds[] = {
	{ .tag = 10, .max = 16, .once = true, .must = true },
	{ .tag = 20, .max = 1000 },
	{ .tag = 30, .max = 0, .once = true, .must = true },
	{ .tag = 40, .max = U64_MAX },
};

#define ORDER(_tag, _flags, _size) \
	vfio_mig_order(test_kinds, ARRAY_SIZE(test_kinds), &seen, _tag, _flags, _size, &why)
#define COMPLETE() vfio_mig_complete(test_kinds, ARRAY_SIZE(test_kinds), seen)

static void records(struct kunit *test)
{
	const char *why;
	u32 seen = 0;

	KUNIT_EXPECT_FALSE(test, COMPLETE());
	KUNIT_EXPECT_EQ(test, ORDER(20, 0, 0), -EINVAL);
	KUNIT_EXPECT_STREQ(test, why, "comes too early");
	KUNIT_EXPECT_EQ(test, ORDER(10, 0, 17), -EINVAL);
	KUNIT_EXPECT_STREQ(test, why, "is too long");
	KUNIT_EXPECT_EQ(test, ORDER(10, 2, 16), -EINVAL);
	KUNIT_EXPECT_EQ(test, ORDER(10, BIT(31), 16), -EINVAL);
	KUNIT_EXPECT_STREQ(test, why, "has unknown flags");
	KUNIT_EXPECT_EQ(test, ORDER(11, 0, 0), -EINVAL);
	KUNIT_EXPECT_STREQ(test, why, "is unknown, and not optional");
	KUNIT_EXPECT_EQ(test, seen, 0);
	/* An optional record can come anywhere, but its size is limited. */
	KUNIT_EXPECT_EQ(test, ORDER(11, 1, SZ_1M), 0);
	KUNIT_EXPECT_EQ(test, ORDER(11, 1, SZ_1M + 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, ORDER(11, 1, U64_MAX), -EINVAL);

	KUNIT_EXPECT_EQ(test, ORDER(10, 0, 16), 0);
	KUNIT_EXPECT_EQ(test, ORDER(10, 0, 16), -EINVAL);
	KUNIT_EXPECT_STREQ(test, why, "comes twice");
	KUNIT_EXPECT_EQ(test, ORDER(40, 0, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, ORDER(20, 0, 1000), 0);
	KUNIT_EXPECT_EQ(test, ORDER(20, 1, 0), 0);
	KUNIT_EXPECT_EQ(test, ORDER(20, 0, 1001), -EINVAL);
	KUNIT_EXPECT_FALSE(test, COMPLETE());
	KUNIT_EXPECT_EQ(test, ORDER(30, 0, 0), 0);
	KUNIT_EXPECT_TRUE(test, COMPLETE());
	KUNIT_EXPECT_EQ(test, ORDER(20, 0, 0), -EINVAL);
	KUNIT_EXPECT_STREQ(test, why, "comes too late");
	KUNIT_EXPECT_EQ(test, ORDER(10, 0, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, ORDER(40, 0, U64_MAX), 0);
	KUNIT_EXPECT_EQ(test, ORDER(40, 0, 1), 0);
	KUNIT_EXPECT_EQ(test, ORDER(30, 0, 0), -EINVAL);
	KUNIT_EXPECT_TRUE(test, COMPLETE());
}

/* The rules again, for @nr records that have come in the order of @came, as indices of @kinds */
static bool may_come(const struct vfio_mig_kind *kinds, unsigned int nr_kinds, const u8 *came,
		     unsigned int nr, u32 tag, u32 flags, u64 size)
{
	unsigned int kind, i, k;

	for (kind = 0; kind < nr_kinds && kinds[kind].tag != tag; kind++)
		;
	if (flags > VFIO_RECORD_OPTIONAL)
		return false;
	if (kind == nr_kinds)
		return flags == VFIO_RECORD_OPTIONAL && size <= SZ_1M;
	for (i = 0; i < nr; i++) {
		if (came[i] > kind || (came[i] == kind && kinds[kind].once))
			return false;
	}
	for (k = 0; k < kind; k++) {
		for (i = 0; i < nr && came[i] != k; i++)
			;
		if (kinds[k].must && i == nr)
			return false;
	}
	return size <= kinds[kind].max;
}

/* Records at random, and devices that have up to 32 kinds of them */
static void random_records(struct kunit *test)
{
	static struct vfio_mig_kind kinds[32];
	struct rnd_state rnd;
	u32 seed, seen, before, tag, flags, i;
	u8 came[64], nr, nr_kinds;
	const char *why;
	bool may;
	u64 size;

	for (seed = 1; seed <= 2000; seed++) {
		prandom_seed_state(&rnd, seed);
		nr_kinds = 1 + prandom_u32_state(&rnd) % (seed & 1 ? 4 : 32);
		for (i = 0; i < nr_kinds; i++)
			kinds[i] = (struct vfio_mig_kind){
				.tag = 100 + i,
				.max = prandom_u32_state(&rnd) % 64,
				.once = prandom_u32_state(&rnd) & 1,
				.must = !(prandom_u32_state(&rnd) & 3),
			};
		seen = 0;
		nr = 0;
		for (i = 0; i < ARRAY_SIZE(came); i++) {
			/* Mostly the next ones in order */
			tag = 100 + (prandom_u32_state(&rnd) & 7 ? i * nr_kinds / ARRAY_SIZE(came) :
				     prandom_u32_state(&rnd) % 40);
			flags = prandom_u32_state(&rnd) & 15 ? prandom_u32_state(&rnd) & 1 :
				prandom_u32_state(&rnd);
			size = prandom_u32_state(&rnd) % 80;
			before = seen;
			may = may_come(kinds, nr_kinds, came, nr, tag, flags, size);
			KUNIT_ASSERT_EQ_MSG(test, vfio_mig_order(kinds, nr_kinds, &seen, tag, flags,
								 size, &why),
					    may ? 0 : -EINVAL, "seed %u, record %u", seed, i);
			KUNIT_EXPECT_EQ_MSG(test, !why, may, "seed %u, record %u", seed, i);
			if (!may)
				KUNIT_EXPECT_EQ_MSG(test, seen, before, "seed %u", seed);
			else if (tag < 100 + nr_kinds)
				came[nr++] = tag - 100;
		}
	}
}

#define K 0x1000ULL

static void log_ranges(struct kunit *test)
{
	static const struct {
		unsigned int nr, max, left;
		struct vfio_mig_range in[5], out[5];
	} parts[] = {
		{ 1, 1, 1, { { 5 * K, K } }, { { 5 * K, K } } },
		/* Ranges are sorted, and stay separate if there may be that many. */
		{ 2, 2, 2, { { 5 * K, K }, { 0, K } }, { { 0, K }, { 5 * K, K } } },
		/* Ranges that touch, overlap or contain each other become one. */
		{ 2, 2, 1, { { K, K }, { 0, K } }, { { 0, 2 * K } } },
		{ 2, 9, 1, { { K, 3 * K }, { 0, 2 * K } }, { { 0, 4 * K } } },
		{ 3, 9, 1, { { K, K }, { 0, 9 * K }, { 3 * K, K } }, { { 0, 9 * K } } },
		/* The smallest gap is closed first. */
		{ 4, 3, 3, { { 0, K }, { 9 * K, K }, { 11 * K, K }, { 20 * K, K } },
			   { { 0, K }, { 9 * K, 3 * K }, { 20 * K, K } } },
		{ 4, 1, 1, { { 0, K }, { 9 * K, K }, { 11 * K, K }, { 20 * K, K } },
			   { { 0, 21 * K } } },
		{ 2, 1, 1, { { 0, K }, { U64_MAX - 2 * K + 1, K } },
			   { { 0, U64_MAX - K + 1 } } },
	};
	struct vfio_mig_range range[5];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		memcpy(range, parts[i].in, sizeof(range));
		KUNIT_EXPECT_EQ_MSG(test, vfio_mig_merge(range, parts[i].nr, parts[i].max),
				    parts[i].left, "part %u", i);
		KUNIT_EXPECT_MEMEQ_MSG(test, range, parts[i].out, parts[i].left * sizeof(*range),
				       "part %u", i);
	}
}

/* Some of the device's pages, of 4 or 16 KiB, are written. Reports have 4, 8 and 64 KiB pages. */
static void log_bits(struct kunit *test)
{
	static const struct {
		u64 iova, length, user, at, device;
		u32 nr;
		unsigned long dirty, bits;
	} parts[] = {
		{ 0, 8 * K, K, 0, K, 8, 0x81, 0x81 },
		{ 4 * K, 4 * K, K, 4 * K, K, 4, 0x9, 0x9 },
		/* The second part of a slice */
		{ 0, 8 * K, K, 4 * K, K, 4, 0x5, 0x50 },
		{ 0, 8 * K, 2 * K, 0, K, 8, 0x86, 0xb },
		{ K, 3 * K, 2 * K, K, K, 3, 0x4, 0x2 },
		{ 0, 16 * K, K, 0, 4 * K, 4, 0x5, 0x0f0f },
		{ 4 * K, 32 * K, 16 * K, 4 * K, 4 * K, 8, 0x81, 0x3 },
	};
	unsigned long bits[1];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		const struct vfio_log_slice slice = {
			parts[i].iova, parts[i].length, parts[i].user, bits,
		};

		bits[0] = 0;
		vfio_mig_log_add(&slice, &parts[i].dirty, parts[i].at, parts[i].nr,
				 parts[i].device);
		KUNIT_EXPECT_EQ_MSG(test, bits[0], parts[i].bits, "part %u", i);
	}
}

static struct kunit_case migration_cases[] = {
	KUNIT_CASE(steps),
	KUNIT_CASE(states),
	KUNIT_CASE(deeds),
	KUNIT_CASE(records),
	KUNIT_CASE(random_records),
	KUNIT_CASE(log_ranges),
	KUNIT_CASE(log_bits),
	{}
};

static struct kunit_suite migration_suite = {
	.name = "vfio-migration",
	.test_cases = migration_cases,
};

kunit_test_suite(migration_suite);
