// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio.ko: an empty module, installed where modprobe looks first. The kernel's VFIO modules all
 * need symbols of the kernel's vfio.ko. Without these, they fail to load, instead of getting in the
 * way of ours, or ours in theirs.
 */
#include <linux/module.h>

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Empty: takes the place of the kernel's vfio beside vfio-iommufd");
