// SPDX-License-Identifier: GPL-2.0-only
/*
 * edu-mig, a PCIe endpoint of the QEMU of qemu-tests/qemu, for tests of migration; and the example
 * of Documentation/migration.rst. Its control registers are BAR 2, which its user does not see. The
 * state goes through a window of that BAR, as the function's DMA belongs to the user's page tables.
 */
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/unaligned.h>

#include "variant.h"

#define EDU_BAR			2

#define EDU_MAGIC		0x00
#define   EDU_MAGIC_VALUE	0x4d454475
#define EDU_VERSION		0x04
#define EDU_FEATURES		0x08
#define   EDU_FEATURE_PRE_COPY	BIT(0)
#define   EDU_FEATURE_P2P	BIT(1)
#define   EDU_FEATURE_LOG	BIT(2)
#define EDU_SIZE		0x0c
#define EDU_COMMAND		0x10
#define EDU_RESULT		0x14
#define   EDU_RESULT_BUSY	1
#define   EDU_RESULT_REFUSED	3
#define EDU_ARG0		0x18
#define EDU_OUT0		0x28
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

/* What a state is of: the first record. Only a device with as much memory can load it. */
struct edu_identity {
	__le32 magic;
	__le32 version;
	__le32 size;
	__le32 reserved;
};

/* A piece of memory, as the device gives it; its bytes follow. A record has several of them. */
struct edu_piece {
	__le32 offset;
	__le32 length;
};

enum edu_tag {
	EDU_TAG_IDENTITY = 0x45440001,
	EDU_TAG_MEMORY,
	EDU_TAG_REGISTERS,
};

static const struct vfio_mig_kind edu_kinds[] = {
	{ .tag = EDU_TAG_IDENTITY, .max = sizeof(struct edu_identity), .once = true, .must = true },
	{ .tag = EDU_TAG_MEMORY, .max = SZ_1M },
	{ .tag = EDU_TAG_REGISTERS, .max = EDU_WINDOW_SIZE, .once = true, .must = true },
};

/**
 * struct edu - what is known of a device
 * @identified: the first record of what is being saved has been given
 * @finished: the last one has
 */
struct edu {
	bool identified;
	bool finished;
};

static int edu_read(struct vfio_pci_device *vpd, u32 off, u32 *val)
{
	__le32 raw;
	int ret = vfio_pci_variant_read(vpd, EDU_BAR, off, &raw, sizeof(raw));

	*val = ret ? 0 : le32_to_cpu(raw);
	return ret;
}

static int edu_write(struct vfio_pci_device *vpd, u32 off, u32 val)
{
	__le32 raw = cpu_to_le32(val);

	return vfio_pci_variant_write(vpd, EDU_BAR, off, &raw, sizeof(raw));
}

/* With four arguments, and two answers in @out, which may be NULL */
static int edu_command_args(struct vfio_pci_device *vpd, enum edu_command command,
			    const u32 args[4], u32 *out)
{
	struct vfio_device *vdev = vfio_pci_variant_vdev(vpd);
	struct vfio_mig_timer timer;
	u32 result;
	int ret, i;

	for (i = 0; i < 4; i++) {
		ret = edu_write(vpd, EDU_ARG0 + 4 * i, args[i]);
		if (ret)
			return ret;
	}
	vfio_mig_timer_start(&timer, EDU_COMMAND_MS);
	ret = edu_write(vpd, EDU_COMMAND, command) ?: edu_read(vpd, EDU_RESULT, &result);
	while (!ret && (u16)result == EDU_RESULT_BUSY)
		ret = vfio_mig_wait(vpd, &timer) ?: edu_read(vpd, EDU_RESULT, &result);
	if (ret == -ETIMEDOUT) {
		edu_write(vpd, EDU_ABORT, 1);
		return vfio_device_err(vdev, ret, "command %u of the device has not ended in %u ms",
				       command, EDU_COMMAND_MS);
	}
	if (ret)
		return ret;
	if (result != command << 16)
		return vfio_device_err(vdev, (u16)result == EDU_RESULT_REFUSED ? -EINVAL : -EIO,
				       "command %u of the device has failed: %#x", command, result);
	for (i = 0; out && i < 2 && !ret; i++)
		ret = edu_read(vpd, EDU_OUT0 + 4 * i, &out[i]);
	return ret;
}

static int edu_command(struct vfio_pci_device *vpd, enum edu_command command)
{
	return edu_command_args(vpd, command, (u32[4]){}, NULL);
}

static u64 edu_features(struct vfio_pci_device *vpd)
{
	u64 features = VFIO_MIGRATION_STOP_COPY;
	u32 magic, version, has;

	if (edu_read(vpd, EDU_MAGIC, &magic) || edu_read(vpd, EDU_VERSION, &version) ||
	    edu_read(vpd, EDU_FEATURES, &has) || magic != EDU_MAGIC_VALUE || version != 1)
		return 0;
	if (has & EDU_FEATURE_PRE_COPY)
		features |= VFIO_MIGRATION_PRE_COPY;
	if (has & EDU_FEATURE_P2P)
		features |= VFIO_MIGRATION_P2P;
	if (has & EDU_FEATURE_LOG)
		features |= VFIO_MIG_LOG;
	return features;
}

static int edu_stop_initiator(struct vfio_pci_device *vpd)
{
	return edu_command(vpd, EDU_SUSPEND_INITIATOR);
}

static int edu_stop_responder(struct vfio_pci_device *vpd)
{
	return edu_command(vpd, EDU_SUSPEND_RESPONDER);
}

static int edu_start_responder(struct vfio_pci_device *vpd)
{
	return edu_command(vpd, EDU_RESUME_RESPONDER);
}

static int edu_start_initiator(struct vfio_pci_device *vpd)
{
	return edu_command(vpd, EDU_RESUME_INITIATOR);
}

static int edu_save_begin(struct vfio_pci_device *vpd, size_t *room)
{
	struct edu *edu = vfio_pci_variant_data(vpd);

	edu->identified = false;
	edu->finished = false;
	/* With its header, a record is what user space likes to read at once. */
	*room = SZ_1M - sizeof(struct vfio_record);
	return edu_command(vpd, EDU_SAVE_BEGIN);
}

/* What a command has put into the window, of which @out[0] tells the length */
static ssize_t edu_take(struct vfio_pci_device *vpd, enum edu_command command, void *buf,
			u32 out[2])
{
	int ret = edu_command_args(vpd, command, (u32[4]){}, out);

	if (ret)
		return ret;
	if (out[0] > EDU_WINDOW_SIZE)
		return vfio_device_err(vfio_pci_variant_vdev(vpd), -EIO,
				       "the device has put %u bytes into its window", out[0]);
	return vfio_pci_variant_read(vpd, EDU_BAR, EDU_WINDOW, buf, out[0]) ?: (ssize_t)out[0];
}

static ssize_t edu_save_identity(struct vfio_pci_device *vpd, void *buf)
{
	struct edu_identity *identity = buf;
	u32 size;
	int ret = edu_read(vpd, EDU_SIZE, &size);

	*identity = (struct edu_identity){
		.magic = cpu_to_le32(EDU_MAGIC_VALUE),
		.version = cpu_to_le32(1),
		.size = cpu_to_le32(size),
	};
	return ret ?: sizeof(*identity);
}

static ssize_t edu_save_more(struct vfio_pci_device *vpd, void *buf, size_t room, u32 *tag)
{
	struct edu *edu = vfio_pci_variant_data(vpd);
	size_t done = 0;
	u32 out[2] = {};
	ssize_t n;

	if (!edu->identified) {
		edu->identified = true;
		*tag = EDU_TAG_IDENTITY;
		return edu_save_identity(vpd, buf);
	}
	*tag = EDU_TAG_MEMORY;
	while (room - done >= EDU_WINDOW_SIZE && !(out[1] & 1)) {
		n = edu_take(vpd, EDU_SAVE_CHUNK, buf + done, out);
		if (n < 0)
			return n;
		if (!n)
			break;
		done += n;
	}
	return done;
}

static ssize_t edu_save_final(struct vfio_pci_device *vpd, void *buf, size_t room, u32 *tag)
{
	struct edu *edu = vfio_pci_variant_data(vpd);
	u32 out[2];

	if (edu->finished)
		return 0;
	edu->finished = true;
	*tag = EDU_TAG_REGISTERS;
	return edu_take(vpd, EDU_SAVE_FINAL, buf, out);
}

static int edu_save_end(struct vfio_pci_device *vpd)
{
	return edu_command(vpd, EDU_SAVE_CANCEL);
}

static int edu_pending(struct vfio_pci_device *vpd, u64 *bytes, bool *again)
{
	u32 pending;
	int ret = edu_read(vpd, EDU_PENDING, &pending);

	*bytes = pending;
	return ret;
}

static u64 edu_size(struct vfio_pci_device *vpd)
{
	u32 size;

	return edu_read(vpd, EDU_SIZE, &size) ? 0 : size;
}

static int edu_load_begin(struct vfio_pci_device *vpd)
{
	return edu_command(vpd, EDU_LOAD_BEGIN);
}

static int edu_give(struct vfio_pci_device *vpd, const void *data, u32 len, bool registers)
{
	return vfio_pci_variant_write(vpd, EDU_BAR, EDU_WINDOW, data, len) ?:
	       edu_command_args(vpd, EDU_LOAD_CHUNK, (u32[4]){ len, registers }, NULL);
}

static int edu_load_identity(struct vfio_pci_device *vpd, const void *data, size_t len)
{
	const struct edu_identity *identity = data;
	u32 size;
	int ret = edu_read(vpd, EDU_SIZE, &size);

	if (ret)
		return ret;
	if (len != sizeof(*identity) || le32_to_cpu(identity->magic) != EDU_MAGIC_VALUE ||
	    le32_to_cpu(identity->version) != 1 || le32_to_cpu(identity->size) != size)
		return vfio_device_err(vfio_pci_variant_vdev(vpd), -EINVAL,
				       "the state is not of a device like this one");
	return 0;
}

static int edu_load_memory(struct vfio_pci_device *vpd, const void *data, size_t len)
{
	const struct edu_piece *piece;
	size_t n;
	int ret;

	for (; len; data += n, len -= n) {
		piece = data;
		n = len < sizeof(*piece) ? SIZE_MAX :
		    sizeof(*piece) + (size_t)get_unaligned_le32(&piece->length);
		if (n > len || n > EDU_WINDOW_SIZE)
			return vfio_device_err(vfio_pci_variant_vdev(vpd), -EINVAL,
					       "a piece of the device's memory is not whole");
		ret = edu_give(vpd, data, n, false);
		if (ret)
			return ret;
	}
	return 0;
}

static int edu_load(struct vfio_pci_device *vpd, u32 tag, const void *data, size_t len)
{
	switch (tag) {
	case EDU_TAG_IDENTITY:
		return edu_load_identity(vpd, data, len);
	case EDU_TAG_MEMORY:
		return edu_load_memory(vpd, data, len);
	default:
		return edu_give(vpd, data, len, true);
	}
}

static int edu_load_end(struct vfio_pci_device *vpd)
{
	return edu_command(vpd, EDU_LOAD_END);
}

static int edu_log_start(struct vfio_pci_device *vpd, u64 *page_size,
			 const struct vfio_device_feature_dma_logging_range *ranges,
			 unsigned int nr)
{
	u32 shift = clamp(ilog2(*page_size), 12, 21);
	unsigned int i;
	int ret;

	ret = edu_command_args(vpd, EDU_LOG_START, (u32[4]){ shift }, NULL);
	for (i = 0; i < nr && !ret; i++)
		ret = edu_command_args(vpd, EDU_LOG_RANGE,
				       (u32[4]){ lower_32_bits(ranges[i].iova),
						 upper_32_bits(ranges[i].iova),
						 lower_32_bits(ranges[i].length),
						 upper_32_bits(ranges[i].length) }, NULL);
	*page_size = BIT_ULL(shift);
	return ret;
}

static int edu_log_stop(struct vfio_pci_device *vpd)
{
	return edu_command(vpd, EDU_LOG_STOP);
}

static int edu_log_report(struct vfio_pci_device *vpd, u64 iova, u32 nr, unsigned long *bitmap)
{
	const u32 args[4] = { lower_32_bits(iova), upper_32_bits(iova), nr };

	/* Both are little-endian. */
	return edu_command_args(vpd, EDU_LOG_REPORT, args, NULL) ?:
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

static int edu_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	return vfio_pci_variant_probe(pdev, &edu_variant);
}

/* libvirt and others choose the driver by the alias, which is vfio_pci:v00001234d000011EA... */
static const struct pci_device_id edu_table[] = {
	{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO(0x1234, 0x11ea) },
	{}
};
MODULE_DEVICE_TABLE(pci, edu_table);

static struct pci_driver edu_driver = {
	.name = "edu-mig-vfio-pci",
	.id_table = edu_table,
	.probe = edu_probe,
	VFIO_PCI_VARIANT_DRIVER,
};
module_pci_driver(edu_driver);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("VFIO device model for edu-mig");
MODULE_IMPORT_NS("VFIO_PCI");
