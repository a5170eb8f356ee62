/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The map of vfio-iommufd.ko: what its files provide to each other.
 */
#ifndef VFIO_FILE_H
#define VFIO_FILE_H

#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "vfio_device.h"

struct iommufd_ctx;
struct kvm;

/**
 * struct vfio_file - one open file of a device
 * @vdev: the device; the file holds a reference. When the device's gate is closed, the file is
 *	revoked.
 * @bound: the file owns the device, or owned it when it was revoked; set once, by
 *	vfio_bind_done()
 * @mapping: address space that contains the VMAs of this file
 * @devid: id of the device in its iommufd context while the file is bound
 * @kvm: the virtual machine that this file was passed to, or NULL; not referenced
 * @ones: the page that a virtual machine finds where the device does not answer; NULL until needed
 * @forget: removes the mappings of @ones, and with them the data written there
 * @error_lock: protects @error and @text
 * @error: the errno of the last call that failed with an explanation
 * @text: the explanation
 */
struct vfio_file {
	struct vfio_device *vdev;
	bool bound;
	struct address_space *mapping;
	u32 devid;
	struct kvm *kvm;
	struct page *ones;
	struct delayed_work forget;
	spinlock_t error_lock;	/* see above */
	int error;
	char text[VFIO_LAST_ERROR_LEN];
};

/**
 * vfio_device_enter - enter the gate
 * @file: the caller's file
 * @unbound: also allow it before BIND
 * @gate: for vfio_device_leave()
 *
 * Return: 0: the device stays until vfio_device_leave(); -ENODEV if it has been taken away;
 * -EINVAL if the file is not bound
 */
static __always_inline int vfio_device_enter(struct vfio_file *file, bool unbound,
					     struct srcu_ctr __percpu **gate)
{
	struct vfio_device *vdev = file->vdev;
	int ret = -ENODEV;

	*gate = srcu_read_lock_fast(&vdev->gate);
	if (likely(!READ_ONCE(vdev->revoked))) {
		/* Pairs with vfio_bind_done(). */
		if (likely(unbound || smp_load_acquire(&file->bound)))
			return 0;
		ret = -EINVAL;
	}
	srcu_read_unlock_fast(&vdev->gate, *gate);
	return ret;
}

/**
 * vfio_device_leave - leave the gate after vfio_device_enter()
 * @file: the same
 * @gate: from vfio_device_enter()
 */
static __always_inline void vfio_device_leave(struct vfio_file *file,
					      struct srcu_ctr __percpu *gate)
{
	srcu_read_unlock_fast(&file->vdev->gate, gate);
}

/* More than any sensible payload: SET_IRQS for 2048 MSI-X vectors needs half of it. */
#define VFIO_PAYLOAD_MAX	SZ_16K

/* Return value of a fetch function if nothing is left to do */
#define VFIO_FETCH_DONE		1

/* file.c */
extern const struct file_operations vfio_file_fops;
int vfio_call_inside(vfio_cmd_fn fn, struct vfio_cmd *cmd);

/* log.c: logging of DMA by the device */
int vfio_log_start_fetch(struct vfio_cmd *cmd);
int vfio_log_report(struct vfio_cmd *cmd, const struct vfio_feature *row);

/* bind.c */
int vfio_bind_fetch(struct vfio_cmd *cmd);
int vfio_bind(struct vfio_cmd *cmd);
int vfio_bind_done(struct vfio_cmd *cmd, int error);
int vfio_attach_fetch(struct vfio_cmd *cmd);
int vfio_attach(struct vfio_cmd *cmd);
int vfio_detach_fetch(struct vfio_cmd *cmd);
int vfio_detach(struct vfio_cmd *cmd);
void vfio_session_end(struct vfio_device *vdev);

/* kvm.c */
void vfio_kvm_init(struct vfio_file *file);
void vfio_kvm_release(struct vfio_file *file);

/* device.c */
extern const struct class vfio_class;
extern dev_t vfio_devt;
extern struct ida vfio_ida;

#endif
