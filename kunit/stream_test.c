// SPDX-License-Identifier: GPL-2.0-only
/*
 * Data files without a device: good and bad streams at random, in portions of random size, with a
 * device that takes its time. What must come of them is found out by a parser that sees the whole
 * stream at once. The seed of a failure is in its message.
 */
#include <linux/export.h>
#include <linux/prandom.h>
#include <kunit/test.h>

#include "../driver/migration/migration.h"

/* vfio-iommufd.ko has the same symbols. */
#undef EXPORT_SYMBOL_GPL
#define EXPORT_SYMBOL_GPL(sym)

#include "../iommufd_glue/stream.c"

#define SEEDS	150
#define BYTES	SZ_16K
#define RECORDS	16

/* The front end's, which is not loaded here */
void vfio_device_get(struct vfio_device *vdev)
{
}

void vfio_device_free(struct vfio_device *vdev)
{
}

static const struct vfio_mig_kind kinds[] = {
	{ .tag = 1, .max = 64, .once = true, .must = true },
	{ .tag = 2, .max = 1000, .must = true },
	{ .tag = 3, .max = 0 },
	{ .tag = 4, .max = 3000, .once = true },
};

/**
 * struct model - a device, and the stream that its user moves
 * @vdev: of which data files use the gate and the ops
 * @test: the test
 * @seed: what all of it follows from
 * @rnd: random numbers
 * @slow: the device loads a record later, when it is called upon
 * @stream: its data file
 * @cmd: the call that has made it
 * @bytes: the stream
 * @len: bytes of it
 * @records: where the records are that must be loaded
 * @nr: how many
 * @loaded: how many were
 * @refused: some record must be refused
 * @whole: @bytes ends where a record does
 */
struct model {
	struct vfio_device vdev;
	struct kunit *test;
	u32 seed;
	struct rnd_state rnd;
	bool slow;
	struct vfio_stream *stream;
	struct vfio_cmd cmd;
	u8 bytes[BYTES];
	size_t len;
	size_t records[BYTES / sizeof(struct vfio_record)];
	unsigned int nr;
	unsigned int loaded;
	bool refused;
	bool whole;
};

static u32 below(struct model *m, u32 limit)
{
	return prandom_u32_state(&m->rnd) % limit;
}

static void load(struct model *m)
{
	const struct vfio_record *record;
	const void *data;
	size_t len;
	u32 tag;

	data = vfio_stream_record(m->stream, &tag, &len);
	if (!data)
		return;
	KUNIT_ASSERT_LT_MSG(m->test, m->loaded, m->nr, "seed %u", m->seed);
	record = (void *)(m->bytes + m->records[m->loaded++]);
	KUNIT_EXPECT_EQ_MSG(m->test, tag, le32_to_cpu(record->tag), "seed %u", m->seed);
	KUNIT_ASSERT_EQ_MSG(m->test, len, le64_to_cpu(record->size), "seed %u", m->seed);
	KUNIT_EXPECT_TRUE_MSG(m->test, !memcmp(data, record + 1, len), "seed %u", m->seed);
	vfio_stream_loaded(m->stream, 0);
}

/* The device is busy, or has nothing to save. */
static void kick(struct vfio_device *vdev)
{
	struct model *m = container_of(vdev, struct model, vdev);

	if (!m->stream->save && !m->slow)
		load(m);
	else if (m->stream->save && m->stream->status == VFIO_STREAM_BUSY && below(m, 2))
		vfio_stream_say(m->stream, VFIO_STREAM_QUIET, 0);
}

static int check(struct vfio_device *vdev, u32 *order, u32 tag, u32 flags, u64 size)
{
	const char *why;

	return vfio_mig_order(kinds, ARRAY_SIZE(kinds), order, tag, flags, size, &why);
}

static const struct vfio_device_ops model_ops = {
	.stream_kick = kick,
	.stream_check = check,
};

static void model_open(struct model *m, u32 seed, bool save)
{
	m->seed = seed;
	prandom_seed_state(&m->rnd, seed);
	m->slow = below(m, 2);
	m->cmd = (struct vfio_cmd){ .vdev = &m->vdev };
	m->stream = vfio_stream_new(&m->cmd, save, 100);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(m->test, m->stream);
}

static void model_close(struct model *m)
{
	put_unused_fd(m->cmd.new_fd);
	__fput_sync(m->cmd.new_file);
}

static ssize_t move(struct model *m, void *p, size_t len)
{
	struct kvec vec = { .iov_base = p, .iov_len = len };
	struct iov_iter iter;
	struct kiocb iocb;

	init_sync_kiocb(&iocb, m->cmd.new_file);
	iocb.ki_flags |= IOCB_NOWAIT;
	iov_iter_kvec(&iter, m->stream->save ? ITER_DEST : ITER_SOURCE, &vec, 1, len);
	if (m->stream->save)
		return vfio_stream_read(&iocb, &iter);
	return vfio_stream_write(&iocb, &iter);
}

static size_t portion(struct model *m, size_t left)
{
	static const u16 limits[] = { 2, 18, 200, BYTES };

	return min(left, 1 + below(m, limits[below(m, ARRAY_SIZE(limits))]));
}

/* Mostly records that may come, and each in its turn; now and then a header that is wrong. */
static void fill(struct model *m)
{
	static const u64 sizes[] = { 0, 1, 63, 65, 1001, SZ_1M, SZ_1M + 1, BIT_ULL(32), S64_MAX,
				     U64_MAX - 15, U64_MAX };
	unsigned int kind = 0, i, nr = below(m, RECORDS);
	struct vfio_record record;
	u32 size;

	m->len = 0;
	for (i = 0; i < nr; i++) {
		if (below(m, 16))
			kind = min(kind + !!i * below(m, 2), ARRAY_SIZE(kinds) - 1);
		else
			kind = below(m, ARRAY_SIZE(kinds));
		size = below(m, min(kinds[kind].max, below(m, 8) ? 100 : U32_MAX) + 1);
		record.size = cpu_to_le64(size);
		record.flags = cpu_to_le32(!below(m, 8));
		record.tag = cpu_to_le32(below(m, 16) ? kinds[kind].tag : below(m, 8));
		if (!below(m, 64))
			record.size = cpu_to_le64(sizes[below(m, ARRAY_SIZE(sizes))]);
		if (m->len + sizeof(record) + size > BYTES)
			break;
		memcpy(m->bytes + m->len, &record, sizeof(record));
		prandom_bytes_state(&m->rnd, m->bytes + m->len + sizeof(record), size);
		m->len += sizeof(record) + size;
	}
	if (m->len && !below(m, 4))
		m->len -= below(m, m->len);
	for (i = below(m, 4); m->len && i > 2; i--)
		m->bytes[below(m, m->len)] ^= BIT(below(m, 8));
}

/* What must come of that */
static void foresee(struct model *m)
{
	const struct vfio_record *record;
	size_t at = 0;
	u32 order = 0;
	u64 size;

	m->nr = 0;
	m->loaded = 0;
	m->refused = false;
	while (m->len - at >= sizeof(*record)) {
		record = (void *)(m->bytes + at);
		size = le64_to_cpu(record->size);
		m->refused = check(&m->vdev, &order, le32_to_cpu(record->tag),
				   le32_to_cpu(record->flags), size);
		if (m->refused || size > m->len - at - sizeof(*record))
			break;
		m->records[m->nr++] = at;
		at += sizeof(*record) + size;
	}
	m->whole = at == m->len;
}

static void write_one(struct model *m, u32 seed)
{
	size_t at = 0, n;
	ssize_t ret = 0;
	u32 order;

	model_open(m, seed, false);
	fill(m);
	foresee(m);
	while (at < m->len) {
		n = portion(m, m->len - at);
		ret = move(m, m->bytes + at, n);
		if (ret == -EAGAIN) {
			KUNIT_ASSERT_TRUE_MSG(m->test, m->slow && m->stream->loading, "seed %u",
					      seed);
			load(m);
			continue;
		}
		if (ret < 0)
			break;
		KUNIT_ASSERT_NE_MSG(m->test, ret, 0, "seed %u", seed);
		KUNIT_ASSERT_LE_MSG(m->test, ret, n, "seed %u", seed);
		at += ret;
	}
	KUNIT_EXPECT_EQ_MSG(m->test, m->loaded, m->nr, "seed %u", seed);
	if (m->refused) {
		KUNIT_EXPECT_EQ_MSG(m->test, ret, -EINVAL, "seed %u", seed);
		KUNIT_EXPECT_EQ_MSG(m->test, move(m, m->bytes, 1), -EINVAL, "seed %u", seed);
	} else {
		KUNIT_EXPECT_EQ_MSG(m->test, at, m->len, "seed %u", seed);
	}
	KUNIT_EXPECT_EQ_MSG(m->test, vfio_stream_finish(m->stream, &order),
			    m->refused ? -EINVAL : m->whole ? 0 : -ENODATA, "seed %u", seed);
	KUNIT_EXPECT_EQ_MSG(m->test, move(m, m->bytes, 1), -ENODEV, "seed %u", seed);
	KUNIT_EXPECT_NULL(m->test, m->stream->in);
	model_close(m);
}

/* The device has saved another record. */
static void save(struct model *m)
{
	struct vfio_buf *buf = vfio_stream_empty(m->stream);
	size_t size = below(m, 101);

	if (!buf || m->len + sizeof(struct vfio_record) + size > BYTES)
		return;
	prandom_bytes_state(&m->rnd, vfio_buf_data(buf), size);
	vfio_stream_push(m->stream, buf, below(m, 100), size);
	memcpy(m->bytes + m->len, buf->bytes, buf->len);
	m->len += buf->len;
}

static void read_one(struct model *m, u32 seed)
{
	enum vfio_stream_status status;
	unsigned int i;
	u8 buf[256];
	size_t at = 0;
	ssize_t ret;
	u64 done, left;

	model_open(m, seed, true);
	status = below(m, 2) ? VFIO_STREAM_END : VFIO_STREAM_FAILED;
	m->len = 0;
	for (i = 0; i < 100; i++) {
		if (below(m, 2))
			save(m);
		ret = move(m, buf, portion(m, sizeof(buf)));
		vfio_stream_count(m->stream, &done, &left);
		if (ret < 0) {
			KUNIT_ASSERT_TRUE_MSG(m->test, ret == -EAGAIN || ret == -ENOMSG,
					      "seed %u: %zd", seed, ret);
			KUNIT_ASSERT_EQ_MSG(m->test, at, m->len, "seed %u", seed);
			continue;
		}
		KUNIT_ASSERT_NE_MSG(m->test, ret, 0, "seed %u", seed);
		KUNIT_ASSERT_TRUE_MSG(m->test, !memcmp(buf, m->bytes + at, ret), "seed %u", seed);
		at += ret;
		KUNIT_EXPECT_EQ_MSG(m->test, done, at, "seed %u", seed);
		KUNIT_EXPECT_EQ_MSG(m->test, left, m->len - at, "seed %u", seed);
	}
	/* How it ends is told when all has been read. -EAGAIN is not an end. */
	vfio_stream_say(m->stream, status, status == VFIO_STREAM_FAILED ? -EAGAIN : 0);
	while ((ret = move(m, buf, portion(m, sizeof(buf)))) > 0) {
		KUNIT_ASSERT_TRUE_MSG(m->test, !memcmp(buf, m->bytes + at, ret), "seed %u", seed);
		at += ret;
	}
	KUNIT_EXPECT_EQ_MSG(m->test, ret, status == VFIO_STREAM_FAILED ? -EIO : 0, "seed %u", seed);
	KUNIT_EXPECT_EQ_MSG(m->test, at, m->len, "seed %u", seed);
	vfio_stream_end(m->stream);
	KUNIT_EXPECT_EQ_MSG(m->test, move(m, buf, 1), -ENODEV, "seed %u", seed);
	KUNIT_EXPECT_TRUE(m->test, list_empty(&m->stream->full) && list_empty(&m->stream->empty));
	model_close(m);
}

static void each_seed(struct kunit *test, void (*one)(struct model *m, u32 seed))
{
	struct model *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	u32 seed;

	KUNIT_ASSERT_NOT_NULL(test, m);
	m->test = test;
	m->vdev.ops = &model_ops;
	KUNIT_ASSERT_EQ(test, init_srcu_struct_fast(&m->vdev.gate), 0);
	for (seed = 1; seed <= SEEDS; seed++)
		one(m, seed);
	cleanup_srcu_struct(&m->vdev.gate);
}

static void writes(struct kunit *test)
{
	each_seed(test, write_one);
}

static void reads(struct kunit *test)
{
	each_seed(test, read_one);
}

static struct kunit_case stream_cases[] = {
	KUNIT_CASE(writes),
	KUNIT_CASE(reads),
	{}
};

static struct kunit_suite stream_suite = {
	.name = "vfio-stream",
	.test_cases = stream_cases,
};

kunit_test_suite(stream_suite);
