/* SPDX-License-Identifier: GPL-2.0-only */
/* What sysfs and procfs know of a device, and moving a device between drivers. */
#ifndef LIB_SYSFS_H
#define LIB_SYSFS_H

#include "types.h"

#define BDF_LEN sizeof("0000:00:00.0")

/**
 * driver_is_ours() - whether the loaded driver is this project's
 *
 * Extensions (revocation, fdinfo, last error) are only tested when it is. Everything else also
 * applies to the in-tree driver.
 */
bool driver_is_ours(void);

/**
 * sysfs_find() - a PCI device by its ids
 * @vendor: PCI vendor id
 * @device: PCI device id
 * @n: which of them, in the order of the bus
 * @bdf: filled with "DDDD:BB:DD.F"
 *
 * The environment variable VFIO_TEST_FUNCTIONS can contain the functions on the bus, to avoid
 * reading them from sysfs: address, vendor and device ID of each, in bus order. Unplugged functions
 * count, too, as they return to the same address.
 *
 * Return: 0 or -ENODEV.
 */
int sysfs_find(u16 vendor, u16 device, unsigned int n, char bdf[BDF_LEN]);

/**
 * sysfs_read() - text of an attribute, without the final newline
 * @buf: where
 * @len: its size
 * @fmt: printf format of the path
 *
 * Return: length or negative errno.
 */
int sysfs_read(char *buf, size_t len, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/**
 * sysfs_write() - write a string to an attribute
 * @val: the string
 * @fmt: printf format of the path
 *
 * Return: 0 or negative errno.
 */
int sysfs_write(const char *val, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/**
 * sysfs_driver() - name of the driver that a device is bound to
 * @bdf: the device
 * @name: filled in, empty if there is none
 * @len: its size
 */
void sysfs_driver(const char *bdf, char *name, size_t len);

/**
 * sysfs_bind() - bind a device to vfio-pci, or the variant for it, instead of its current driver
 * @bdf: the device
 *
 * Uses driver_override, like libvirt and driverctl. Does nothing if vfio-pci already has it.
 *
 * Return: 0 or negative errno.
 */
int sysfs_bind(const char *bdf);

/**
 * sysfs_unbind() - unbind a device from its driver; driver_override stays
 * @bdf: the device
 *
 * Return: 0 or negative errno.
 */
int sysfs_unbind(const char *bdf);

/**
 * sysfs_rebind() - bind an unbound device to vfio-pci again
 * @bdf: the device
 *
 * Return: 0 or negative errno.
 */
int sysfs_rebind(const char *bdf);

/**
 * sysfs_rescan() - find the devices that were removed, and bind them to no driver
 *
 * Otherwise, drivers that probe asynchronously, like nvme, could take them later, if loaded.
 *
 * Return: 0 or negative errno.
 */
int sysfs_rescan(void);

/**
 * sysfs_set_vfs() - create the virtual functions of a physical one, or remove them
 * @bdf: the physical function
 * @count: how many, 0 for none
 *
 * Return: 0 or negative errno.
 */
int sysfs_set_vfs(const char *bdf, unsigned int count);

/**
 * sysfs_vf() - address of a virtual function
 * @pf: the physical function
 * @n: which of its virtual functions, from 0
 * @bdf: filled with "DDDD:BB:DD.F"
 *
 * Return: 0 or negative errno.
 */
int sysfs_vf(const char *pf, unsigned int n, char bdf[BDF_LEN]);

/**
 * sysfs_port() - the bridge or port that a device is behind
 * @bdf: the device
 * @port: filled with "DDDD:BB:DD.F"
 *
 * Return: 0 or -ENODEV.
 */
int sysfs_port(const char *bdf, char port[BDF_LEN]);

/**
 * sysfs_resource() - one line of the resource file
 * @bdf: the device
 * @index: BAR number, 6 is the ROM
 * @start: first address
 * @size: length, 0 when there is no such resource
 * @flags: IORESOURCE_* bits
 *
 * Return: 0 or negative errno.
 */
int sysfs_resource(const char *bdf, int index, u64 *start, u64 *size, u64 *flags);

/**
 * sysfs_config() - read the hardware's own config space, bypassing the vfio driver
 * @bdf: the device
 * @pos: offset
 * @buf: where
 * @len: how much
 *
 * Return: number of bytes or negative errno.
 */
int sysfs_config(const char *bdf, unsigned int pos, void *buf, size_t len);

/**
 * sysfs_config_write() - write to the hardware's own config space
 * @bdf: the device
 * @pos: offset
 * @buf: what
 * @len: how much
 *
 * Return: 0 or negative errno.
 */
int sysfs_config_write(const char *bdf, unsigned int pos, const void *buf, size_t len);

/**
 * sysfs_ext_cap() - find an extended capability in the hardware
 * @bdf: the device
 * @id: PCI_EXT_CAP_ID_*
 *
 * Return: offset in config space, 0 if there is none.
 */
unsigned int sysfs_ext_cap(const char *bdf, u16 id);

/**
 * sysfs_bus_reset() - reset everything behind a port, by its register
 * @port: the port
 *
 * No driver is notified, and no configuration is restored.
 *
 * Return: 0 or negative errno.
 */
int sysfs_bus_reset(const char *port);

/**
 * thread_waits() - wait until a thread sleeps uninterruptibly in the kernel
 * @tid: ID of a thread of this process; 0 while it is not running yet
 *
 * Return: whether it does.
 */
bool thread_waits(const pid_t *tid);

#endif
