/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The map of vfio-pci.ko: its one struct, and the few functions that its rooms provide to each
 * other.
 */
#ifndef VFIO_PCI_H
#define VFIO_PCI_H

#include <linux/nospec.h>
#include <linux/pci.h>
#include <linux/srcu.h>
#include <linux/workqueue.h>

#include "variant.h"
#include "config/config.h"
#include "irq/irq.h"
#include "migration/migration.h"

struct dma_buf_attachment;
struct phys_vec;

/**
 * enum vfio_pci_hw - who owns the hardware, and what is left of its last user; see session.c
 * @VFIO_PCI_USED: no owner. Not reset since the host had it, or it cannot be reset.
 * @VFIO_PCI_CLEAN: no owner. Nobody has touched it since its last reset.
 * @VFIO_PCI_LEFT: no owner. Blocked from accessing any memory until it has been reset.
 * @VFIO_PCI_LIVE: owned by a user
 * @VFIO_PCI_LOST: owned by a user, but it has failed for good: they have no BARs any more
 */
enum vfio_pci_hw {
	VFIO_PCI_USED,
	VFIO_PCI_CLEAN,
	VFIO_PCI_LEFT,
	VFIO_PCI_LIVE,
	VFIO_PCI_LOST,
};

/**
 * struct vfio_pci_session - who owns the function, and what remains to be done when its user has
 * gone
 * @hw: the state. Protected by hw_lock, like all fields here.
 * @reset_works: the function can be reset alone, as far as we know
 * @saved: configuration to restore for the host; not NULL in LEFT, LIVE and LOST
 * @clean_work: resets the function when its user has left it. Outside core_lock.
 */
struct vfio_pci_session {
	enum vfio_pci_hw hw;
	bool reset_works;
	struct pci_saved_state *saved;
	struct delayed_work clean_work;
};

/**
 * enum vfio_pci_decode - may the memory BARs be accessed?
 * @VFIO_PCI_DECODE_OFF: no: memory decode is off, the function sleeps or is suspended. Reads and
 *	writes fail, faults go to vfio_device_fault_off().
 * @VFIO_PCI_DECODE_BUSY: the holder of the locks is changing that, or the function is frozen;
 *	others wait in vfio_pci_lock_hw()
 * @VFIO_PCI_DECODE_ON: yes
 */
enum vfio_pci_decode {
	VFIO_PCI_DECODE_OFF,
	VFIO_PCI_DECODE_BUSY,
	VFIO_PCI_DECODE_ON,
};

/* Maximum number of regions of a function, not counting those that every function has */
#define VFIO_PCI_MAX_EXTRA	3

/**
 * struct vfio_pci_extra - a region that only this function has
 * @ops: its operations
 * @type: VFIO_REGION_TYPE_*, and the vendor
 * @subtype: VFIO_REGION_SUBTYPE_*
 * @size: bytes
 * @data: private to its kind of region
 * @release: frees @data
 *
 * The first has index VFIO_PCI_NUM_REGIONS.
 */
struct vfio_pci_extra {
	const struct vfio_pci_region_ops *ops;
	u32 type;
	u32 subtype;
	u64 size;
	void *data;
	void (*release)(void *data);
};

/* Maximum number of write-combined parts. Drivers use one, or one for each of a few queues. */
#define VFIO_PCI_MAX_WC	16

/**
 * struct vfio_pci_wc - a part of a BAR that is write-combined
 * @bar: the BAR
 * @first: its first page
 * @end: the page after its last page
 */
struct vfio_pci_wc {
	unsigned int bar;
	u64 first;
	u64 end;
};

/**
 * struct vfio_pci_sriov - what a physical function (PF) and its virtual functions (VF) share
 * @key: lockdep key of @lock: when PFs are reset together, their locks are held together
 * @lock: for a PF, protects its @token, @users and @vfs. Inside core_lock, outside that of its VFs.
 *	Held during each reset, of any function.
 * @token: for a PF. Users who know it cooperate with the PF's user.
 * @users: for a PF: how many of its VFs have a user
 * @vfs: for a PF, its VFs that are bound to this driver; for a VF, its entry in that list
 * @pf: for a VF whose PF is bound to this driver: the PF, which cannot go before the VF has gone
 * @enabled: for a PF: VFs exist, so it must not sleep. Protected by its hw_lock.
 */
struct vfio_pci_sriov {
	struct lock_class_key key;
	struct mutex lock;	/* see above, and Documentation/design.rst */
	uuid_t token;
	unsigned int users;
	struct list_head vfs;
	struct vfio_pci_device *pf;
	bool enabled;
};

/**
 * struct vfio_pci_listed - the device in the list of all devices, see hotreset.c
 * @node: its entry in that list
 * @pins: number of users that have found it there and still use it
 */
struct vfio_pci_listed {
	struct list_head node;
	unsigned int pins;
};

/**
 * struct vfio_pci_bars - the BARs, see bar.c
 * @map: mappings for pread and pwrite; made on first use
 * @mmap: bit per BAR: may be mapped by the user
 * @reserved: bit per BAR: its resource has been requested
 * @pad: reserves the rest of the page that contains a small BAR
 * @msix_bar: BAR with the MSI-X table, -1 for none
 * @msix_start: start of the table in its BAR
 * @msix_end: first byte after the table in its BAR
 */
struct vfio_pci_bars {
	void __iomem *map[PCI_STD_NUM_BARS];
	u8 mmap;
	u8 reserved;
	struct resource pad[PCI_STD_NUM_BARS];
	int msix_bar;
	u32 msix_start;
	u32 msix_end;
};

/**
 * struct vfio_pci_mappings - who may access the BARs, see mmap.c
 * @decode: may memory BARs be accessed? Written under hw_lock, read inside @srcu.
 * @srcu: code that accesses a BAR, or maps one, is inside
 * @ones: something may be mapped in place of BARs, since they could not be mapped
 */
struct vfio_pci_mappings {
	enum vfio_pci_decode decode;
	struct srcu_struct srcu;
	bool ones;
};

/**
 * struct vfio_pci_write_combined - parts of BARs that are write-combined, see wc.c
 * @bars: bit per BAR: parts of it are write-combined
 * @nr: rows in @parts
 * @parts: added while nobody is inside the mappings' srcu, removed at the end of the session
 */
struct vfio_pci_write_combined {
	u8 bars;
	unsigned int nr;
	struct vfio_pci_wc parts[VFIO_PCI_MAX_WC];
};

/**
 * struct vfio_pci_rom - the ROM, see rom.c. Protected by hw_lock.
 * @image: mapped on first use
 * @size: bytes in @image
 * @missing: the ROM has no image
 */
struct vfio_pci_rom {
	void __iomem *image;
	size_t size;
	bool missing;
};

/**
 * struct vfio_pci_extras - the regions that only this function has, from the beginning of a session
 *	to its end
 * @nr: rows in @rows
 * @rows: the first has index VFIO_PCI_NUM_REGIONS
 */
struct vfio_pci_extras {
	unsigned int nr;
	struct vfio_pci_extra rows[VFIO_PCI_MAX_EXTRA];
};

/**
 * struct vfio_pci_dmabufs - the DMA-bufs that the session has exported, see dmabuf.c
 * @lock: protects @list, and keeps the DMA-bufs in it from being released. Inside hw_lock, outside
 *	the buffers' reservation locks.
 * @list: DMA-bufs
 */
struct vfio_pci_dmabufs {
	struct mutex lock;	/* see above, and Documentation/design.rst */
	struct list_head list;
};

/**
 * struct vfio_pci_ioeventfds - see ioeventfd.c. Protected by the interrupt lock
 * @list: of struct vfio_pci_ioeventfd
 * @nr: how many
 */
struct vfio_pci_ioeventfds {
	struct list_head list;
	unsigned int nr;
};

/**
 * struct vfio_pci_power - see power.c. Protected by hw_lock
 * @suspended: by runtime PM or with the whole system: no part of the function may be accessed. If
 *	this is false, the function stays awake for as long as hw_lock is held.
 * @low: its user allows the host to suspend it. Meanwhile the session has given up its runtime PM
 *	reference, and nothing is mapped. Also read inside the mappings' srcu.
 * @wakeup: signaled when it is resumed, which then ends @low; or NULL
 * @idle_d3: it may be suspended while it has no owner
 * @was_auto: runtime PM was allowed before it was bound
 */
struct vfio_pci_power {
	bool suspended;
	bool low;
	struct eventfd_ctx *wakeup;
	bool idle_d3;
	bool was_auto;
};

/**
 * struct vfio_pci_resetting - a reset in progress, see reset.c
 * @task: the task that resets the function, with core_lock held
 * @depth: how many times @task is between reset_prepare and reset_done, counting @task itself as
 *	one
 */
struct vfio_pci_resetting {
	struct task_struct *task;
	unsigned int depth;
};

/**
 * struct vfio_pci_recovery - the PCI core's recovery from an error, see aer.c. Protected by hw_lock
 * @frozen: the PCI core is recovering from an error of the function, or of its neighbors
 * @leaving: remove has begun: the function is not frozen any more
 * @saved: config space from before the recovery
 * @thawed: woken when @frozen is cleared
 */
struct vfio_pci_recovery {
	bool frozen;
	bool leaving;
	struct pci_saved_state *saved;
	wait_queue_head_t thawed;
};

/**
 * struct vfio_pci_device - one PCI function that user space can own
 * @vdev: the front end's part
 * @pdev: the function
 * @core_key: lockdep key of @core_lock: the PCI core resets several functions together with all
 *	their locks held
 * @core_lock: held while the PCI core resets the function or changes its power state for us. Inside
 *	the session lock, outside pci_bus_sem, which the PCI core takes for that.
 * @hw_lock: held to change what the function is or decodes: a write to config space, a reset, a
 *	power state. Inside @core_lock and pci_bus_sem; the PCI core holds the latter when it calls
 *	for recovery from errors, and to resume the function for that. Outside the interrupt lock.
 *	Readers of the config planes take no lock.
 * @in_core: the holder of @core_lock is in the PCI core, and has released @hw_lock
 * @regions: operations of the regions that every function has; a variant may have changed BARs
 * @listed: its entry in the list of all devices
 * @session: who owns it, and what remains to be done when they have gone
 * @bars: BARs
 * @mappings: who may access the BARs
 * @wc: write-combined parts of the BARs
 * @rom: the ROM
 * @extras: regions that only this function has
 * @dmabufs: DMA-bufs that the session has exported
 * @ioeventfds: eventfds that write
 * @atomics: the VFIO_PCI_ATOMIC_COMP* that work for this function
 * @config: config space
 * @irq: interrupts
 * @power: power states
 * @reset: a reset in progress
 * @recovery: a recovery from an error
 * @sriov: the function as a physical or virtual function
 * @mig: migration, NULL if there is none
 *
 * A variant's own data follow this struct.
 */
struct vfio_pci_device {
	struct vfio_device vdev;
	struct pci_dev *pdev;
	struct lock_class_key core_key;
	struct mutex core_lock;	/* see above, and Documentation/design.rst */
	struct mutex hw_lock;
	bool in_core;
	const struct vfio_pci_region_ops *regions[VFIO_PCI_NUM_REGIONS];
	struct vfio_pci_listed listed;
	struct vfio_pci_session session;
	struct vfio_pci_bars bars;
	struct vfio_pci_mappings mappings;
	struct vfio_pci_write_combined wc;
	struct vfio_pci_rom rom;
	struct vfio_pci_extras extras;
	struct vfio_pci_dmabufs dmabufs;
	struct vfio_pci_ioeventfds ioeventfds;
	u8 atomics;
	struct vfio_pci_config config;
	struct vfio_pci_irqs irq;
	struct vfio_pci_power power;
	struct vfio_pci_resetting reset;
	struct vfio_pci_recovery recovery;
	struct vfio_pci_sriov sriov;
	struct vfio_mig *mig;
};

static inline struct vfio_pci_device *to_vfio_pci(struct vfio_device *vdev)
{
	return container_of(vdev, struct vfio_pci_device, vdev);
}

static inline bool vfio_pci_is_live(const struct vfio_pci_device *vpd)
{
	return vpd->session.hw == VFIO_PCI_LIVE;
}

/* The function has no owner, so it may be reset without asking anybody. */
static inline bool vfio_pci_is_idle(const struct vfio_pci_device *vpd)
{
	return vpd->session.hw < VFIO_PCI_LIVE;
}

/* Outside D0, a function answers only config space accesses and messages (PCIe r6.2 5.3.1). */
static inline bool vfio_pci_asleep(pci_power_t state)
{
	return state != PCI_D0;
}

/*
 * Does the function answer? Its command register never reads as all ones (PCIe r6.2 7.5.1.1.3).
 * Unlike the IDs, which the PCI core checks, VFs have it, too.
 */
static inline bool vfio_pci_answers(struct pci_dev *pdev)
{
	u16 command;

	pci_read_config_word(pdev, PCI_COMMAND, &command);
	return !PCI_POSSIBLE_ERROR(command);
}

/* Possibly Intel's integrated graphics. Their other devices have no OpRegion, and so no regions. */
static inline bool vfio_pci_is_igd(struct pci_dev *pdev)
{
	return pdev->vendor == PCI_VENDOR_ID_INTEL && pdev->class >> 16 == PCI_BASE_CLASS_DISPLAY;
}

/* region.c: from an index, or a file offset, to the region that handles it */
extern const struct vfio_pci_region_ops * const vfio_pci_regions[VFIO_PCI_NUM_REGIONS];
struct vfio_pci_extra *vfio_pci_extra(struct vfio_pci_device *vpd, unsigned int index);

/**
 * vfio_pci_region - find a region
 * @vpd: the device, open
 * @index: VFIO_PCI_*_REGION_INDEX, or one from VFIO_PCI_NUM_REGIONS on, from the user
 *
 * Return: the operations of the region, NULL if there is none
 */
static __always_inline const struct vfio_pci_region_ops *
vfio_pci_region(struct vfio_pci_device *vpd, unsigned int index)
{
	struct vfio_pci_extra *extra;

	if (likely(index < VFIO_PCI_NUM_REGIONS))
		return vpd->regions[array_index_nospec(index, VFIO_PCI_NUM_REGIONS)];
	extra = vfio_pci_extra(vpd, index);
	return extra ? extra->ops : NULL;
}

/* main.c */
extern struct workqueue_struct *vfio_pci_wq;
extern struct pci_driver vfio_pci_driver;
extern bool vfio_pci_disable_denylist;
extern bool vfio_pci_disable_idle_d3;
extern bool vfio_pci_nointxmask;
extern bool vfio_pci_disable_vga;

/* device.c: probe and remove, and what a session enables and disables */
int vfio_pci_probe(struct pci_dev *pdev, const struct vfio_pci_variant *variant);

/* session.c: who owns the hardware, and what remains to be done after a session */
void vfio_pci_session_init(struct vfio_pci_device *vpd);
void vfio_pci_session_stop(struct vfio_pci_device *vpd);
void vfio_pci_session_exit(struct vfio_pci_device *vpd);
int vfio_pci_session_settle(struct vfio_pci_device *vpd, struct vfio_file *file);
int vfio_pci_session_save(struct vfio_pci_device *vpd);
void vfio_pci_session_forget(struct vfio_pci_device *vpd);
void vfio_pci_session_begin(struct vfio_pci_device *vpd);
void vfio_pci_session_lose(struct vfio_pci_device *vpd);
void vfio_pci_session_leave(struct vfio_pci_device *vpd);
void vfio_pci_session_clean(struct vfio_pci_device *vpd);
bool vfio_pci_session_flush(struct vfio_pci_device *vpd);
void vfio_pci_session_over(struct vfio_pci_device *vpd, bool clean);

/* info.c */
void vfio_pci_atomics_open(struct vfio_pci_device *vpd);
int vfio_pci_get_info(struct vfio_cmd *cmd);
int vfio_pci_get_region_info(struct vfio_cmd *cmd);
int vfio_pci_get_irq_info(struct vfio_cmd *cmd);

/* region.c: from a file offset to the region */
int vfio_pci_extra_add(struct vfio_pci_device *vpd, const struct vfio_pci_extra *extra);
void vfio_pci_extras_close(struct vfio_pci_device *vpd);
ssize_t vfio_pci_read(struct vfio_device *vdev, const struct vfio_io *io);
ssize_t vfio_pci_write(struct vfio_device *vdev, const struct vfio_io *io);
int vfio_pci_mmap(struct vfio_device *vdev, struct vm_area_struct *vma);

/* bar.c, rom.c, vga.c, config/access.c: the kinds of regions */
extern const struct vfio_pci_region_ops vfio_pci_rom_ops;
extern const struct vfio_pci_region_ops vfio_pci_vga_ops;
extern const struct vfio_pci_region_ops vfio_pci_config_ops;
void vfio_pci_bars_open(struct vfio_pci_device *vpd);
void vfio_pci_bars_close(struct vfio_pci_device *vpd);
size_t vfio_pci_bar_read_one(void __iomem *at, void *buf, u64 off, size_t len, size_t widest);
bool vfio_pci_bar_is_plain(const struct vfio_pci_device *vpd, unsigned int bar);
void __iomem *vfio_pci_barmap(struct vfio_pci_device *vpd, unsigned int bar);
int vfio_pci_bar_prepare(struct vfio_pci_device *vpd, unsigned int bar);
void vfio_pci_bar_forget(struct vfio_pci_device *vpd, unsigned int bar);
void vfio_pci_bar_put(struct vfio_pci_device *vpd, unsigned int bar, u64 off, void *buf,
		      size_t len);
void vfio_pci_rom_close(struct vfio_pci_device *vpd);

/* vga.c: what the VGA arbiter knows of the function */
int vfio_pci_vga_init(struct vfio_pci_device *vpd);
void vfio_pci_vga_exit(struct vfio_pci_device *vpd);

/* igd.c: the regions of Intel's graphics */
int vfio_pci_igd_open(struct vfio_pci_device *vpd);

/* mmap.c: who may access the BARs, and when */
int vfio_pci_bar_mmap(struct vfio_pci_device *vpd, unsigned int index, struct vm_area_struct *vma);
vm_fault_t vfio_pci_fault(struct vfio_device *vdev, struct vm_fault *vmf, unsigned int order);
void vfio_pci_fault_wait(struct vfio_device *vdev);
bool vfio_pci_decode_enter(struct vfio_pci_device *vpd, int *srcu);
void vfio_pci_decode_exit(struct vfio_pci_device *vpd, int srcu);
void vfio_pci_decode_block(struct vfio_pci_device *vpd);
void vfio_pci_decode_update(struct vfio_pci_device *vpd);
u8 vfio_pci_decode_force(struct vfio_pci_device *vpd);
void vfio_pci_decode_unforce(struct vfio_pci_device *vpd, u8 command);
void vfio_pci_decode_hold(struct vfio_pci_device *vpd);
void vfio_pci_decode_let_go(struct vfio_pci_device *vpd);

/* wc.c: write-combined parts of BARs */
bool vfio_pci_wc_has(struct vfio_device *vdev);
int vfio_pci_wc_pages(struct vfio_pci_device *vpd, unsigned int bar, u64 page, u64 nr);
int vfio_pci_wc_set(struct vfio_cmd *cmd);
void vfio_pci_wc_close(struct vfio_pci_device *vpd);

/* dmabuf.c, which is not built if the kernel lacks what it needs */
#define VFIO_PCI_DMABUF	(IS_ENABLED(CONFIG_DMA_SHARED_BUFFER) && IS_ENABLED(CONFIG_PCI_P2PDMA))
int vfio_pci_dmabuf_get(struct vfio_cmd *cmd);
void vfio_pci_dmabufs_revoke(struct vfio_pci_device *vpd);
void vfio_pci_dmabufs_close(struct vfio_pci_device *vpd);
int vfio_pci_dma_buf_iommufd_map(struct dma_buf_attachment *attach, struct phys_vec *phys);

/* reset.c */
int vfio_pci_reset(struct vfio_pci_device *vpd);
int vfio_pci_reset_removed(struct vfio_pci_device *vpd);
int vfio_pci_reset_ioctl(struct vfio_cmd *cmd);
void vfio_pci_reset_begin(struct vfio_pci_device *vpd);
void vfio_pci_reset_end(struct vfio_pci_device *vpd);
void vfio_pci_restore_lost(struct vfio_pci_device *vpd);
void vfio_pci_reset_prepare(struct pci_dev *pdev);
void vfio_pci_reset_done(struct pci_dev *pdev);

/* hotreset.c: resets of all functions of a slot or bus together */
void vfio_pci_hot_reset_add(struct vfio_pci_device *vpd);
void vfio_pci_hot_reset_del(struct vfio_pci_device *vpd);
int vfio_pci_hot_reset_info(struct vfio_cmd *cmd);
int vfio_pci_hot_reset_ioctl(struct vfio_cmd *cmd);
void vfio_pci_hurry(struct vfio_pci_device *vpd);
typedef bool (*vfio_pci_related_fn)(struct vfio_pci_device *vpd, struct vfio_pci_device *other);
void vfio_pci_for_each(struct vfio_pci_device *vpd, vfio_pci_related_fn related,
		       void (*fn)(struct vfio_pci_device *other, void *data), void *data);
void vfio_pci_hot_reset_idle(struct vfio_pci_device *vpd);

/* power.c */
void vfio_pci_power_init(struct vfio_pci_device *vpd);
void vfio_pci_power_exit(struct vfio_pci_device *vpd);
int vfio_pci_power_open(struct vfio_pci_device *vpd);
void vfio_pci_power_close(struct vfio_pci_device *vpd);
int vfio_pci_wake(struct vfio_device *vdev);
void vfio_pci_rest(struct vfio_device *vdev);
void vfio_pci_low_power_end(struct vfio_pci_device *vpd);
int vfio_pci_low_power_entry(struct vfio_cmd *cmd);
int vfio_pci_low_power_entry_with_wakeup(struct vfio_cmd *cmd);
int vfio_pci_low_power_exit(struct vfio_cmd *cmd);
int vfio_pci_set_power_state(struct vfio_pci_device *vpd, pci_power_t state);
void vfio_pci_power_refresh(struct vfio_pci_device *vpd);

/* sriov.c: physical and virtual functions, and the VF token that their users share */
extern bool vfio_pci_enable_sriov;
int vfio_pci_sriov_configure(struct pci_dev *pdev, int nr_vfs);
void vfio_pci_sriov_init(struct vfio_pci_device *vpd);
void vfio_pci_sriov_remove(struct vfio_pci_device *vpd);
void vfio_pci_sriov_exit(struct vfio_pci_device *vpd);
int vfio_pci_sriov_settle(struct vfio_pci_device *vpd, struct vfio_file *file);
int vfio_pci_sriov_open(struct vfio_pci_device *vpd, struct vfio_file *file, const uuid_t *token);
void vfio_pci_sriov_close(struct vfio_pci_device *vpd);
void vfio_pci_sriov_block(struct vfio_pci_device *vpd);
void vfio_pci_sriov_unblock(struct vfio_pci_device *vpd);
bool vfio_pci_has_vf_token(struct vfio_device *vdev);
int vfio_pci_set_vf_token(struct vfio_cmd *cmd);
extern struct notifier_block vfio_pci_sriov_notifier;

/* ioeventfd.c */
int vfio_pci_set_ioeventfd(struct vfio_cmd *cmd);
bool vfio_pci_ioeventfd_writes_to(struct vfio_pci_device *vpd, unsigned int bar);
void vfio_pci_ioeventfds_close(struct vfio_pci_device *vpd);

/* aer.c */
void vfio_pci_lock_user(struct vfio_pci_device *vpd);
void vfio_pci_lock_hw(struct vfio_pci_device *vpd);
void vfio_pci_leave(struct vfio_pci_device *vpd);

static inline void vfio_pci_lock(struct vfio_pci_device *vpd)
{
	mutex_lock(&vpd->core_lock);
	mutex_lock(&vpd->hw_lock);
}

static inline void vfio_pci_unlock(struct vfio_pci_device *vpd)
{
	mutex_unlock(&vpd->hw_lock);
	mutex_unlock(&vpd->core_lock);
}

/* Both locks; both locks on behalf of a user; and hw_lock alone on behalf of a user */
DEFINE_GUARD(vfio_pci, struct vfio_pci_device *, vfio_pci_lock(_T), vfio_pci_unlock(_T))
DEFINE_GUARD(vfio_pci_user, struct vfio_pci_device *, vfio_pci_lock_user(_T), vfio_pci_unlock(_T))
DEFINE_GUARD(vfio_pci_hw, struct vfio_pci_device *, vfio_pci_lock_hw(_T),
	     mutex_unlock(&_T->hw_lock))

/*
 * Call this with both locks held, before calling the PCI core where it takes pci_bus_sem. With
 * @saved, the PCI core's copy of config space is current, whatever is in the registers. Without it,
 * the copy is outdated until the PCI core saves the registers.
 */
static inline void vfio_pci_core_enter(struct vfio_pci_device *vpd, bool saved)
{
	lockdep_assert_held(&vpd->core_lock);
	vpd->in_core = true;
	vpd->pdev->state_saved = saved;
	mutex_unlock(&vpd->hw_lock);
}

static inline void vfio_pci_core_exit(struct vfio_pci_device *vpd)
{
	mutex_lock(&vpd->hw_lock);
	vpd->in_core = false;
}

#endif
