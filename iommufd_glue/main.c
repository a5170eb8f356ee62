// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio-iommufd.ko: the only interface to a device, /dev/vfio/devices/vfioN bound to iommufd.
 */
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/module.h>

#include "vfio_file.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

static int __init vfio_init(void)
{
	int ret;

	ret = alloc_chrdev_region(&vfio_devt, 0, MINORMASK + 1, "vfio-dev");
	if (ret)
		return ret;
	ret = class_register(&vfio_class);
	if (ret)
		unregister_chrdev_region(vfio_devt, MINORMASK + 1);
	return ret;
}

static void __exit vfio_exit(void)
{
	class_unregister(&vfio_class);
	unregister_chrdev_region(vfio_devt, MINORMASK + 1);
	ida_destroy(&vfio_ida);
}

module_init(vfio_init);
module_exit(vfio_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("VFIO device nodes on iommufd");
