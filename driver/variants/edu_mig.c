// SPDX-License-Identifier: GPL-2.0-only
/*
 * edu-mig, a PCIe endpoint of the QEMU that qemu-tests/qemu builds. It serves for tests of
 * migration, and as the example of Documentation/migration.rst. Its control registers are in BAR 2,
 * which its user does not see. The state is transferred through a window in that BAR, because the
 * function's DMA goes through the user's page tables.
 */
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/unaligned.h>

#include "variant.h"

#define EDU_BAR			2

#define EDU_MAGIC		0x00
#define   EDU_MAGIC_VALUE	0x4d454475
#define EDU_FEATURES		0x08
#define   EDU_FEATURE_PRE_COPY	BIT(0)
#define   EDU_FEATURE_P2P	BIT(1)
#define   EDU_FEATURE_LOG	BIT(2)
#define EDU_SIZE		0x0c
#define EDU_COMMAND		0x10
#define EDU_RESULT		0x14
#define   EDU_RESULT_BUSY	1
#define   EDU_RESULT_REFUSED	3
#define EDU_ARGS		0x18
#define EDU_OUTS		0x28
#define EDU_PENDING		0x40
#define EDU_ABORT		0x44
#define EDU_WINDOW		0x10000
#define EDU_WINDOW_SIZE		SZ_64K

#define EDU_COMMAND_MS		1000

enum edu_command {
	EDU_SUSPEND_INITIATOR = 1,
	EDU_SUSPEND_RESPONDER,
	EDU_RESUME_RESPONDER,
	EDU_RESUME_INITIATOR,
	EDU_SAVE_BEGIN,
	EDU_SAVE_CHUNK,
	EDU_SAVE_FINAL,
	EDU_SAVE_CANCEL,
	EDU_LOAD_BEGIN,
	EDU_LOAD_CHUNK,
	EDU_LOAD_END,
	EDU_LOG_START,
	EDU_LOG_RANGE,
	EDU_LOG_STOP,
	EDU_LOG_REPORT,
};

enum edu_tag {
	EDU_TAG_MEMORY = 0x45440001,	/* pieces: le32 offset, le32 length, bytes */
	EDU_TAG_REGISTERS,		/* with a checksum of everything; the device checks it */
};

static const struct vfio_mig_kind edu_kinds[] = {
	{ .tag = EDU_TAG_MEMORY, .max = SZ_1M, .must = true },
	{ .tag = EDU_TAG_REGISTERS, .max = EDU_WINDOW_SIZE, .once = true, .must = true },
};

/* What the driver knows of a device: whether its last record has been saved. */
struct edu {
	bool finished;
};

static u32 edu_get(struct vfio_pci_device *vpd, u32 off)
{
	__le32 raw = 0;

	vfio_pci_variant_read(vpd, EDU_BAR, off, &raw, sizeof(raw));
	return le32_to_cpu(raw);
}

static int edu_put(struct vfio_pci_device *vpd, u32 off, u32 val)
{
	__le32 raw = cpu_to_le32(val);

	return vfio_pci_variant_write(vpd, EDU_BAR, off, &raw, sizeof(raw));
}

/*
 * Commands take two arguments of 64 bits, or four of 32 bits. @out gets the first of the two
 * results. If the function cannot be reached, the result register reads 0, which no command
 * returns.
 */
static int edu_command(struct vfio_pci_device *vpd, enum edu_command command, u64 arg0, u64 arg2,
		       u32 *out)
{
	__le64 args[] = { cpu_to_le64(arg0), cpu_to_le64(arg2) };
	struct vfio_mig_timer timer;
	u32 result;
	int ret;

	ret = vfio_pci_variant_write(vpd, EDU_BAR, EDU_ARGS, args, sizeof(args)) ?:
	      edu_put(vpd, EDU_COMMAND, command);
	vfio_mig_timer_start(&timer, EDU_COMMAND_MS);
	while (!ret && (u16)(result = edu_get(vpd, EDU_RESULT)) == EDU_RESULT_BUSY)
		ret = vfio_mig_wait(vpd, &timer);
	if (ret == -ETIMEDOUT) {
		edu_put(vpd, EDU_ABORT, 1);
		return vfio_mig_err(vpd, ret, "command %u of the device has not ended in %u ms",
				    command, EDU_COMMAND_MS);
	}
	if (!ret && result != command << 16)
		return vfio_mig_err(vpd, (u16)result == EDU_RESULT_REFUSED ? -EINVAL : -EIO,
				    "command %u of the device has failed: %#x", command, result);
	if (!ret && out)
		*out = edu_get(vpd, EDU_OUTS);
	return ret;
}

#define EDU_SIMPLE(_name, _command)					\
static int edu_##_name(struct vfio_pci_device *vpd)			\
{									\
	return edu_command(vpd, EDU_##_command, 0, 0, NULL);		\
}

EDU_SIMPLE(stop_initiator, SUSPEND_INITIATOR)
EDU_SIMPLE(stop_responder, SUSPEND_RESPONDER)
EDU_SIMPLE(start_responder, RESUME_RESPONDER)
EDU_SIMPLE(start_initiator, RESUME_INITIATOR)
EDU_SIMPLE(save_cancel, SAVE_CANCEL)
EDU_SIMPLE(load_begin, LOAD_BEGIN)
EDU_SIMPLE(load_end, LOAD_END)
EDU_SIMPLE(log_stop, LOG_STOP)

static u64 edu_features(struct vfio_pci_device *vpd)
{
	u32 has = edu_get(vpd, EDU_FEATURES);

	if (edu_get(vpd, EDU_MAGIC) != EDU_MAGIC_VALUE)
		return 0;
	return VFIO_MIGRATION_STOP_COPY |
	       (has & EDU_FEATURE_PRE_COPY ? VFIO_MIGRATION_PRE_COPY : 0) |
	       (has & EDU_FEATURE_P2P ? VFIO_MIGRATION_P2P : 0) |
	       (has & EDU_FEATURE_LOG ? VFIO_MIG_LOG : 0);
}

static int edu_save_begin(struct vfio_pci_device *vpd, size_t *room)
{
	struct edu *edu = vfio_pci_variant_data(vpd);

	edu->finished = false;
	/* User space typically reads 1 MiB at once: this is one record with its header. */
	*room = SZ_1M - sizeof(struct vfio_record);
	return edu_command(vpd, EDU_SAVE_BEGIN, 0, 0, NULL);
}

/* Run a command, and read what it has put into the window. */
static ssize_t edu_take(struct vfio_pci_device *vpd, enum edu_command command, void *buf)
{
	u32 len;
	int ret = edu_command(vpd, command, 0, 0, &len);

	if (ret)
		return ret;
	if (len > EDU_WINDOW_SIZE)
		return vfio_mig_err(vpd, -EIO, "the device has put %u bytes into its window", len);
	return vfio_pci_variant_read(vpd, EDU_BAR, EDU_WINDOW, buf, len) ?: (ssize_t)len;
}

static ssize_t edu_save_more(struct vfio_pci_device *vpd, void *buf, size_t room, u32 *tag)
{
	size_t done = 0;
	ssize_t n;

	*tag = EDU_TAG_MEMORY;
	do {
		n = edu_take(vpd, EDU_SAVE_CHUNK, buf + done);
		done += max(n, 0);
	} while (n > 0 && room - done >= EDU_WINDOW_SIZE);
	return n < 0 ? n : done;
}

static ssize_t edu_save_final(struct vfio_pci_device *vpd, void *buf, size_t room, u32 *tag)
{
	struct edu *edu = vfio_pci_variant_data(vpd);
	ssize_t n;

	if (edu->finished)
		return 0;
	n = edu_take(vpd, EDU_SAVE_FINAL, buf);
	edu->finished = n > 0;
	*tag = EDU_TAG_REGISTERS;
	return n;
}

static int edu_save_end(struct vfio_pci_device *vpd)
{
	struct edu *edu = vfio_pci_variant_data(vpd);

	return edu->finished ? 0 : edu_save_cancel(vpd);
}

static u64 edu_pending(struct vfio_pci_device *vpd, bool *again)
{
	return edu_get(vpd, EDU_PENDING);
}

static u64 edu_size(struct vfio_pci_device *vpd)
{
	return edu_get(vpd, EDU_SIZE);
}

/* The device checks the data as well. */
static int edu_give(struct vfio_pci_device *vpd, const void *data, u32 len, bool registers)
{
	return vfio_pci_variant_write(vpd, EDU_BAR, EDU_WINDOW, data, len) ?:
	       edu_command(vpd, EDU_LOAD_CHUNK, len | (u64)registers << 32, 0, NULL);
}

static int edu_load(struct vfio_pci_device *vpd, u32 tag, const void *data, size_t len)
{
	size_t n;
	int ret = 0;

	if (tag == EDU_TAG_REGISTERS)
		return edu_give(vpd, data, len, true);
	for (; len && !ret; data += n, len -= n) {
		n = len < 8 ? SIZE_MAX : 8 + (size_t)get_unaligned_le32(data + 4);
		if (n > min(len, EDU_WINDOW_SIZE))
			return vfio_mig_err(vpd, -EINVAL, "a piece of the memory is not whole");
		ret = edu_give(vpd, data, n, false);
	}
	return ret;
}

static int edu_log_start(struct vfio_pci_device *vpd, u64 *page_size,
			 const struct vfio_mig_range *ranges, unsigned int nr)
{
	unsigned int shift = clamp(ilog2(*page_size), 12, 21), i;
	int ret = 0;

	for (i = 0; i < nr && !ret; i++)
		ret = edu_command(vpd, EDU_LOG_RANGE, ranges[i].iova, ranges[i].length, NULL);
	ret = ret ?: edu_command(vpd, EDU_LOG_START, shift, 0, NULL);
	if (ret)
		edu_log_stop(vpd);
	*page_size = BIT_ULL(shift);
	return ret;
}

static int edu_log_report(struct vfio_pci_device *vpd, u64 iova, u32 nr, unsigned long *bitmap)
{
	/* Both bitmaps are little-endian. */
	return edu_command(vpd, EDU_LOG_REPORT, iova, nr, NULL) ?:
	       vfio_pci_variant_read(vpd, EDU_BAR, EDU_WINDOW, bitmap, DIV_ROUND_UP(nr, 8));
}

static const struct vfio_mig_ops edu_mig_ops = {
	.features = edu_features,
	.stop_initiator = edu_stop_initiator,
	.stop_responder = edu_stop_responder,
	.start_responder = edu_start_responder,
	.start_initiator = edu_start_initiator,
	.save_begin = edu_save_begin,
	.save_more = edu_save_more,
	.save_final = edu_save_final,
	.save_end = edu_save_end,
	.pending = edu_pending,
	.size = edu_size,
	.kinds = edu_kinds,
	.nr_kinds = ARRAY_SIZE(edu_kinds),
	.load_begin = edu_load_begin,
	.load = edu_load,
	.load_end = edu_load_end,
	.log_start = edu_log_start,
	.log_stop = edu_log_stop,
	.log_report = edu_log_report,
	.log_ranges = 64,
	.log_pages = 8 * EDU_WINDOW_SIZE,
};

static const struct vfio_pci_variant edu_variant = {
	.bars = { [EDU_BAR] = &vfio_pci_hidden_ops },
	.mig = &edu_mig_ops,
	.data_size = sizeof(struct edu),
};

/* libvirt and others choose the driver by its alias: vfio_pci:v00001234d000011EA... */
static const struct pci_device_id edu_table[] = {
	{ VFIO_PCI_VARIANT_ID(0x1234, 0x11ea, edu_variant) },
	{}
};
MODULE_DEVICE_TABLE(pci, edu_table);

static struct pci_driver edu_driver = {
	.name = "edu-mig-vfio-pci",
	.id_table = edu_table,
	VFIO_PCI_VARIANT_DRIVER,
};
module_pci_driver(edu_driver);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("VFIO device model for edu-mig");
MODULE_IMPORT_NS("VFIO_PCI");
