// SPDX-License-Identifier: GPL-2.0-only
/*
 * Probe and remove; open and close: what a session enables and disables, in mirrored order.
 */
#include <linux/export.h>

#include "vfio_pci.h"

static void vfio_pci_find_msix_table(struct vfio_pci_device *vpd)
{
	struct pci_dev *pdev = vpd->pdev;
	u32 table;

	vpd->bars.msix_bar = -1;
	if (!pdev->msix_cap)
		return;
	/* PCIe r6.2 7.7.2.3: BAR indicator and offset share a register */
	pci_read_config_dword(pdev, pdev->msix_cap + PCI_MSIX_TABLE, &table);
	vpd->bars.msix_bar = table & PCI_MSIX_TABLE_BIR;
	vpd->bars.msix_start = table & PCI_MSIX_TABLE_OFFSET;
	vpd->bars.msix_end = vpd->bars.msix_start + pci_msix_vec_count(pdev) * PCI_MSIX_ENTRY_SIZE;
}

static int vfio_pci_settle(struct vfio_device *vdev, struct vfio_file *file)
{
	struct vfio_pci_device *vpd = to_vfio_pci(vdev);
	int ret;

	ret = vfio_pci_sriov_settle(vpd, file);
	if (ret)
		return ret;
	return vfio_pci_session_settle(vpd, file);
}

static int vfio_pci_start(struct vfio_pci_device *vpd, struct vfio_file *file)
{
	struct pci_dev *pdev = vpd->pdev;
	int ret;

	ret = vfio_pci_power_open(vpd);
	if (ret)
		return vfio_err(file, ret, "the function does not wake up");

	/* Keeps out resets by others. */
	vfio_pci_lock(vpd);
	pci_clear_master(pdev);
	vfio_pci_core_enter(vpd, false);
	ret = pci_enable_device(pdev);
	vfio_pci_core_exit(vpd);
	if (ret) {
		vfio_err(file, ret, "the function could not be enabled, see the kernel log");
		goto unlock;
	}
	if (vpd->recovery.frozen) {
		ret = vfio_err(file, -EAGAIN, "the function is recovering from an error");
		goto disable;
	}

	/* Before saving, so that INTx is disabled in what is restored after the session. */
	vfio_pci_irq_open(vpd);
	ret = vfio_pci_session_save(vpd);
	if (ret)
		goto disable;
	ret = vfio_pci_config_open(vpd);
	if (ret)
		goto forget;
	ret = vfio_pci_igd_open(vpd);
	if (ret) {
		vfio_err(file, ret, "the OpRegion of the graphics is not usable");
		goto close_config;
	}
	vfio_pci_find_msix_table(vpd);
	vfio_pci_atomics_open(vpd);
	vfio_pci_bars_open(vpd);

	vfio_pci_session_begin(vpd);
	vfio_pci_unlock(vpd);
	return 0;

close_config:
	vfio_pci_extras_close(vpd);
	vfio_pci_config_close(vpd);
forget:
	vfio_pci_session_forget(vpd);
disable:
	pci_disable_device(pdev);
unlock:
	vfio_pci_unlock(vpd);
	vfio_pci_power_close(vpd);
	return ret;
}

static int vfio_pci_open(struct vfio_device *vdev, struct vfio_file *file, const uuid_t *token)
{
	struct vfio_pci_device *vpd = to_vfio_pci(vdev);
	int ret;

	ret = vfio_pci_sriov_open(vpd, file, token);
	if (ret)
		return ret;
	ret = vfio_pci_start(vpd, file);
	if (ret)
		vfio_pci_sriov_close(vpd);
	else
		vfio_mig_open(vpd);
	return ret;
}

static void vfio_pci_close(struct vfio_device *vdev)
{
	struct vfio_pci_device *vpd = to_vfio_pci(vdev);
	struct pci_dev *pdev = vpd->pdev;

	vfio_pci_low_power_end(vpd);
	scoped_guard(vfio_pci, vpd) {
		vfio_pci_set_power_state(vpd, PCI_D0);
		vfio_pci_decode_block(vpd);
		vfio_pci_session_leave(vpd);
		if (VFIO_PCI_DMABUF)
			vfio_pci_dmabufs_close(vpd);
		/* Before detaching the page tables, after which DMA may reach the host's memory. */
		pci_clear_master(pdev);
	}
	vfio_mig_close(vpd);
	vfio_pci_rom_close(vpd);
	vfio_pci_ioeventfds_close(vpd);
	vfio_pci_bars_close(vpd);
	vfio_pci_irq_close(vpd);
	vfio_pci_extras_close(vpd);
	vfio_pci_config_close(vpd);
	pci_disable_device(pdev);
	vfio_pci_power_close(vpd);
	vfio_pci_sriov_close(vpd);
}

static void vfio_pci_clean(struct vfio_device *vdev)
{
	vfio_pci_session_clean(to_vfio_pci(vdev));
}

static void vfio_pci_request(struct vfio_device *vdev)
{
	vfio_pci_irq_signal_request(to_vfio_pci(vdev));
}

static void vfio_pci_show_fdinfo(struct vfio_device *vdev, struct seq_file *m)
{
	vfio_pci_irq_show(to_vfio_pci(vdev), m);
}

static const struct vfio_feature vfio_pci_features[] = {
	{
		.feature = VFIO_DEVICE_FEATURE_PCI_VF_TOKEN,
		.size = sizeof(uuid_t),
		.has = vfio_pci_has_vf_token,
		.set = vfio_pci_set_vf_token,
	},
	{
		.feature = VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY,
		.set = vfio_pci_low_power_entry,
	},
	{
		.feature = VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP,
		.size = sizeof(struct vfio_device_low_power_entry_with_wakeup),
		.set = vfio_pci_low_power_entry_with_wakeup,
	},
	{
		.feature = VFIO_DEVICE_FEATURE_LOW_POWER_EXIT,
		.set = vfio_pci_low_power_exit,
	},
	{
		.feature = VFIO_DEVICE_FEATURE_BUS_MASTER,
		.size = sizeof(struct vfio_device_feature_bus_master),
		.set = vfio_pci_config_bus_master,
	},
	{
		.feature = VFIO_DEVICE_FEATURE_DMA_BUF,
		.size = sizeof(struct vfio_device_feature_dma_buf),
		.count = offsetof(struct vfio_device_feature_dma_buf, nr_ranges),
		.each = sizeof(struct vfio_region_dma_range),
		.get = VFIO_PCI_DMABUF ? vfio_pci_dmabuf_get : NULL,
	},
	{
		.feature = VFIO_DEVICE_FEATURE_WRITE_COMBINE,
		.size = sizeof(struct vfio_device_feature_write_combine),
		.has = vfio_pci_wc_has,
		.set = vfio_pci_wc_set,
	},
	{
		.feature = VFIO_DEVICE_FEATURE_MIGRATION,
		.size = sizeof(struct vfio_device_feature_migration),
		.has = vfio_mig_is_there,
		.get = vfio_mig_get_features,
	},
	{
		.feature = VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
		.size = sizeof(struct vfio_device_feature_mig_state),
		.answers = true,
		.has = vfio_mig_is_there,
		.get = vfio_mig_get_state,
		.set = vfio_mig_set_state,
	},
	{
		.feature = VFIO_DEVICE_FEATURE_MIG_DATA_SIZE,
		.size = sizeof(struct vfio_device_feature_mig_data_size),
		.has = vfio_mig_is_there,
		.get = vfio_mig_get_size,
	},
	{
		.feature = VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2,
		.has = vfio_mig_has_precopy,
		.set = vfio_mig_set_precopy_info,
	},
	{
		.feature = VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
		.size = sizeof(struct vfio_device_feature_dma_logging_control),
		.answers = true,
		.has = vfio_mig_has_log,
		.set = vfio_mig_log_start,
	},
	{
		.feature = VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP,
		.has = vfio_mig_has_log,
		.set = vfio_mig_log_stop,
	},
	{
		.feature = VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
		.size = sizeof(struct vfio_device_feature_dma_logging_report),
		.asks = true,
		.has = vfio_mig_has_log,
		.get = vfio_mig_log_report,
	},
};

static const struct vfio_device_ops vfio_pci_device_ops = {
	.ioctls = {
		[VFIO_NR(VFIO_DEVICE_GET_INFO)] = vfio_pci_get_info,
		[VFIO_NR(VFIO_DEVICE_GET_REGION_INFO)] = vfio_pci_get_region_info,
		[VFIO_NR(VFIO_DEVICE_GET_IRQ_INFO)] = vfio_pci_get_irq_info,
		[VFIO_NR(VFIO_DEVICE_SET_IRQS)] = vfio_pci_set_irqs,
		[VFIO_NR(VFIO_DEVICE_RESET)] = vfio_pci_reset_ioctl,
		[VFIO_NR(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO)] = vfio_pci_hot_reset_info,
		[VFIO_NR(VFIO_DEVICE_PCI_HOT_RESET)] = vfio_pci_hot_reset_ioctl,
		[VFIO_NR(VFIO_DEVICE_IOEVENTFD)] = vfio_pci_set_ioeventfd,
	},
	.features = vfio_pci_features,
	.nr_features = ARRAY_SIZE(vfio_pci_features),
	.settle = vfio_pci_settle,
	.open = vfio_pci_open,
	.wake = vfio_pci_wake,
	.rest = vfio_pci_rest,
	.close = vfio_pci_close,
	.clean = vfio_pci_clean,
	.request = vfio_pci_request,
	.read = vfio_pci_read,
	.write = vfio_pci_write,
	.mmap = vfio_pci_mmap,
	.fault = vfio_pci_fault,
	.fault_wait = vfio_pci_fault_wait,
	.show_fdinfo = vfio_pci_show_fdinfo,
	.stream_kick = vfio_mig_kick,
	.stream_check = vfio_mig_check,
	.precopy_info = vfio_mig_precopy_info,
};

/*
 * Not safe to assign to a hostile user, according to their vendor: QuickAssist (C3XXX, C62X,
 * DH895XCC) and the first data streaming and analytics accelerators.
 */
static const struct pci_device_id vfio_pci_denylist[] = {
	{ PCI_VDEVICE(INTEL, PCI_DEVICE_ID_INTEL_QAT_C3XXX) },
	{ PCI_VDEVICE(INTEL, PCI_DEVICE_ID_INTEL_QAT_C3XXX_VF) },
	{ PCI_VDEVICE(INTEL, PCI_DEVICE_ID_INTEL_QAT_C62X) },
	{ PCI_VDEVICE(INTEL, PCI_DEVICE_ID_INTEL_QAT_C62X_VF) },
	{ PCI_VDEVICE(INTEL, PCI_DEVICE_ID_INTEL_QAT_DH895XCC) },
	{ PCI_VDEVICE(INTEL, PCI_DEVICE_ID_INTEL_QAT_DH895XCC_VF) },
	{ PCI_VDEVICE(INTEL, PCI_DEVICE_ID_INTEL_DSA_SPR0) },
	{ PCI_VDEVICE(INTEL, PCI_DEVICE_ID_INTEL_IAX_SPR0) },
	{}
};

/* Set up what the function's variant, if any, does differently. */
static int vfio_pci_vary(struct vfio_pci_device *vpd, const struct vfio_pci_variant *variant)
{
	unsigned int i;

	memcpy(vpd->regions, vfio_pci_regions, sizeof(vpd->regions));
	for (i = 0; variant && i < PCI_STD_NUM_BARS; i++) {
		if (variant->bars[i])
			vpd->regions[VFIO_PCI_BAR0_REGION_INDEX + i] = variant->bars[i];
	}
	if (!variant || !variant->mig)
		return 0;
	vpd->mig = vfio_mig_alloc(vpd, variant->mig);
	return vpd->mig ? 0 : -ENOMEM;
}

/**
 * vfio_pci_probe - make a function available to user space
 * @pdev: the function
 * @variant: what is special about it; NULL for nothing
 *
 * Return: 0; -EINVAL for a bridge, a function that is not safe to assign, or one that the front end
 * refuses; -EBUSY for a physical function whose virtual functions exist already and may be in use;
 * -ENOMEM
 */
int vfio_pci_probe(struct pci_dev *pdev, const struct vfio_pci_variant *variant)
{
	struct vfio_pci_device *vpd;
	struct vfio_device *vdev;
	int ret;

	if (pdev->hdr_type != PCI_HEADER_TYPE_NORMAL) {
		pci_err(pdev, "a bridge cannot be assigned (header type %d)\n", pdev->hdr_type);
		return -EINVAL;
	}
	if (!vfio_pci_disable_denylist && pci_match_id(vfio_pci_denylist, pdev)) {
		pci_err(pdev, "not safe to assign to hostile users, see disable_denylist\n");
		return -EINVAL;
	}
	if (pci_num_vf(pdev)) {
		pci_err(pdev, "cannot be assigned while its %d virtual functions exist\n",
			pci_num_vf(pdev));
		return -EBUSY;
	}

	vdev = vfio_device_alloc(&pdev->dev, sizeof(*vpd) + (variant ? variant->data_size : 0),
				 &vfio_pci_device_ops);
	if (IS_ERR(vdev))
		return PTR_ERR(vdev);
	vpd = to_vfio_pci(vdev);
	vpd->pdev = pdev;
	lockdep_register_key(&vpd->core_key);
	mutex_init_with_key(&vpd->core_lock, &vpd->core_key);
	mutex_init(&vpd->hw_lock);
	mutex_init(&vpd->dmabufs.lock);
	INIT_LIST_HEAD(&vpd->dmabufs.list);
	init_waitqueue_head(&vpd->recovery.thawed);
	vfio_pci_session_init(vpd);
	INIT_LIST_HEAD(&vpd->ioeventfds.list);
	ret = vfio_pci_vary(vpd, variant);
	if (ret)
		goto free;
	ret = init_srcu_struct(&vpd->mappings.srcu);
	if (ret)
		goto free_mig;
	pci_set_drvdata(pdev, vpd);

	/* Without a driver, the function's power state is unknown, and it can only go to D0. */
	pci_set_power_state(pdev, PCI_D0);
	/* Before any reset, even of another function's bus, saves and restores what it finds. */
	vfio_pci_restore_lost(vpd);
	vfio_pci_irq_init(vpd);
	vfio_pci_sriov_init(vpd);
	vfio_pci_power_init(vpd);
	ret = vfio_pci_vga_init(vpd);
	if (ret)
		goto exit_power;
	vfio_pci_hot_reset_add(vpd);
	/* Before it can be opened: BIND does the queued work itself, and expects no more of it. */
	vfio_pci_session_clean(vpd);
	ret = vfio_device_register(vdev);
	if (ret)
		goto del_hot_reset;
	return 0;

del_hot_reset:
	vfio_pci_session_stop(vpd);
	vfio_pci_hot_reset_del(vpd);
	vfio_pci_vga_exit(vpd);
exit_power:
	vfio_pci_power_exit(vpd);
	vfio_pci_sriov_exit(vpd);
	pci_set_drvdata(pdev, NULL);
	cleanup_srcu_struct(&vpd->mappings.srcu);
free_mig:
	vfio_mig_free(vpd->mig);
free:
	mutex_destroy(&vpd->hw_lock);
	mutex_destroy(&vpd->core_lock);
	lockdep_unregister_key(&vpd->core_key);
	vfio_device_free(vdev);
	return ret;
}

/**
 * vfio_pci_remove - take the function back for the host, or for removal
 * @pdev: the function
 *
 * Its next owner gets it clean, without the last user's data.
 */
void vfio_pci_remove(struct pci_dev *pdev)
{
	struct vfio_pci_device *vpd = pci_get_drvdata(pdev);

	/* Calls inside the gate may wait for a recovery, whose next step needs our device lock. */
	vfio_pci_leave(vpd);
	vfio_pci_sriov_remove(vpd);
	vfio_device_unregister(&vpd->vdev);
	vfio_pci_session_stop(vpd);
	vfio_pci_hot_reset_del(vpd);
	vfio_pci_session_exit(vpd);
	vfio_pci_vga_exit(vpd);
	vfio_pci_power_exit(vpd);
	vfio_pci_sriov_exit(vpd);
	pci_set_drvdata(pdev, NULL);
	cleanup_srcu_struct(&vpd->mappings.srcu);
	vfio_mig_free(vpd->mig);
	mutex_destroy(&vpd->hw_lock);
	mutex_destroy(&vpd->core_lock);
	lockdep_unregister_key(&vpd->core_key);
	vfio_device_free(&vpd->vdev);
}
EXPORT_SYMBOL_NS_GPL(vfio_pci_remove, "VFIO_PCI");
