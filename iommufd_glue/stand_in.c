// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio.ko: nothing, installed where modprobe looks before it looks at the kernel's own. The kernel's
 * modules for VFIO all need symbols of its vfio.ko. They are then refused for lack of these, where
 * they would half load otherwise: what is in the way of ours, or ours of them.
 */
#include <linux/module.h>

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Empty: takes the place of the kernel's vfio beside vfio-iommufd");
