/* SPDX-License-Identifier: GPL-2.0-only */
/* What sysfs and procfs know of a device, and moving a device between drivers. */
#ifndef LIB_SYSFS_H
#define LIB_SYSFS_H

#include "types.h"

#define BDF_LEN sizeof("0000:00:00.0")

/**
 * driver_is_ours() - whether the loaded driver is this project's
 *
 * Extensions (revocation, fdinfo, last error) are only tested when it is; all the rest is
 * behaviour that the in-tree driver has as well.
 */
bool driver_is_ours(void);

/**
 * sysfs_find() - a PCI device by its ids
 * @vendor: PCI vendor id
 * @device: PCI device id
 * @n: which of them, in the order of the bus
 * @bdf: filled with "DDDD:BB:DD.F"
 *
 * The environment variable VFIO_TEST_FUNCTIONS can have what there is on the bus, to spare reading
 * it from sysfs: for each function its address, vendor and device ids, in the order of the bus.
 * What was unplugged counts as there: it comes back to where it was.
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
 * sysfs_bind() - give a device to vfio-pci, or its variant for it, whoever has it now
 * @bdf: the device
 *
 * Uses driver_override, as libvirt and driverctl do. Nothing happens if vfio-pci has it already.
 *
 * Return: 0 or negative errno.
 */
int sysfs_bind(const char *bdf);

/**
 * sysfs_unbind() - take a device from its driver; driver_override stays
 * @bdf: the device
 *
 * Return: 0 or negative errno.
 */
int sysfs_unbind(const char *bdf);

/**
 * sysfs_rebind() - let vfio-pci have an unbound device again
 * @bdf: the device
 *
 * Return: 0 or negative errno.
 */
int sysfs_rebind(const char *bdf);

/**
 * sysfs_rescan() - find the devices that were removed, and give them to no driver
 *
 * Drivers that probe asynchronously, as nvme does, could take them later otherwise, whoever loaded
 * them.
 *
 * Return: 0 or negative errno.
 */
int sysfs_rescan(void);

/**
 * sysfs_set_vfs() - make the virtual functions of a physical one, or take them away
 * @bdf: the physical function
 * @count: how many, 0 for none
 *
 * Return: 0 or negative errno.
 */
int sysfs_set_vfs(const char *bdf, unsigned int count);

/**
 * sysfs_vf() - where a virtual function is
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
 * sysfs_config() - read the hardware's own config space, past the vfio driver
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
 * sysfs_ext_cap() - where the hardware has an extended capability
 * @bdf: the device
 * @id: PCI_EXT_CAP_ID_*
 *
 * Return: offset in config space, 0 if there is none.
 */
unsigned int sysfs_ext_cap(const char *bdf, u16 id);

/**
 * sysfs_bus_reset() - reset all that is behind a port, by its register
 * @port: the port
 *
 * Nobody is told, and nothing gets its configuration back.
 *
 * Return: 0 or negative errno.
 */
int sysfs_bus_reset(const char *port);

#endif
