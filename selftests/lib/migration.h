/* SPDX-License-Identifier: GPL-2.0-only */
/* Migration, call by call: states, data files, and the log of a device's DMA. */
#ifndef LIB_MIGRATION_H
#define LIB_MIGRATION_H

#include "types.h"

/**
 * mig_features() - migration features of a device
 * @fd: device file
 * @flags: filled with VFIO_MIGRATION_*
 *
 * Return: 0 or negative errno.
 */
int mig_features(int fd, u64 *flags);

/**
 * mig_state() - current state of a device
 * @fd: device file
 *
 * Return: VFIO_DEVICE_STATE_* or negative errno.
 */
int mig_state(int fd);

/**
 * mig_set() - go to a state
 * @fd: device file
 * @state: VFIO_DEVICE_STATE_*
 * @data_fd: filled with what the kernel returns, even on failure; may be NULL
 *
 * Return: 0 or negative errno.
 */
int mig_set(int fd, u32 state, int *data_fd);

/**
 * mig_size() - approximate number of bytes of the state in STOP_COPY
 * @fd: device file
 * @size: filled in
 *
 * Return: 0 or negative errno.
 */
int mig_size(int fd, u64 *size);

/**
 * mig_precopy_info() - amount of data that can be read while the device runs
 * @data_fd: data file
 * @info: filled in
 *
 * Return: 0 or negative errno.
 */
int mig_precopy_info(int data_fd, struct vfio_precopy_info *info);

/**
 * struct mig_data - bytes of a stream
 * @p: the bytes
 * @len: how many
 */
struct mig_data {
	u8 *p;
	size_t len;
};

/**
 * mig_read() - read from a data file until it has nothing more
 * @data_fd: data file
 * @data: what was read is appended to it
 *
 * Return: 0 at the end of the stream; -ENOMSG if there is nothing now; another negative errno.
 */
int mig_read(int data_fd, struct mig_data *data);

/**
 * mig_write() - write all of a stream
 * @data_fd: data file
 * @p: the bytes
 * @len: how many
 * @step: maximum size of a single write; 0 for no limit
 *
 * Return: 0 or negative errno.
 */
int mig_write(int data_fd, const void *p, size_t len, size_t step);

/**
 * log_start() - make the device log its DMA writes
 * @fd: device file
 * @page_size: requested page size, replaced with the actual one
 * @ranges: ranges to log
 * @nr: number of @ranges
 *
 * Return: 0 or negative errno.
 */
int log_start(int fd, u64 *page_size, const struct vfio_device_feature_dma_logging_range *ranges,
	      u32 nr);

/**
 * log_stop() - stop logging
 * @fd: device file
 *
 * Return: 0 or negative errno.
 */
int log_stop(int fd);

/**
 * log_report() - add what was written to a bitmap
 * @fd: device file
 * @iova: first address
 * @len: bytes
 * @page_size: number of bytes that a bit represents
 * @bitmap: bits
 *
 * Return: 0 or negative errno.
 */
int log_report(int fd, u64 iova, u64 len, u64 page_size, void *bitmap);

#endif
