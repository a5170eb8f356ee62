/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints of the device model: what is done to a function. There are none where users read,
 * write or fault, nor where the device interrupts.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM vfio_pci

#if !defined(VFIO_PCI_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define VFIO_PCI_TRACE_H

#include <linux/pci.h>
#include <linux/tracepoint.h>

#include "vfio.h"

/* The function has been reset, or could not be. */
TRACE_EVENT(vfio_pci_reset,
	TP_PROTO(struct pci_dev *pdev, const char *by, int ret),
	TP_ARGS(pdev, by, ret),
	TP_STRUCT__entry(
		__string(dev, pci_name(pdev))
		__string(by, by)
		__field(int, ret)
	),
	TP_fast_assign(
		__assign_str(dev);
		__assign_str(by);
		__entry->ret = ret;
	),
	TP_printk("%s by=%s ret=%d", __get_str(dev), __get_str(by), __entry->ret)
);

/* The function has changed its power state, or could not. */
TRACE_EVENT(vfio_pci_power,
	TP_PROTO(struct pci_dev *pdev, pci_power_t was, pci_power_t state, int ret),
	TP_ARGS(pdev, was, state, ret),
	TP_STRUCT__entry(
		__string(dev, pci_name(pdev))
		__field(int, was)
		__field(int, state)
		__field(int, ret)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->was = (__force int)was;
		__entry->state = (__force int)state;
		__entry->ret = ret;
	),
	TP_printk("%s D%d -> D%d ret=%d", __get_str(dev), __entry->was, __entry->state,
		  __entry->ret)
);

/* A transition between two states of migration (VFIO_DEVICE_STATE_*) is complete, or has failed. */
TRACE_EVENT(vfio_pci_mig_step,
	TP_PROTO(struct pci_dev *pdev, u32 from, u32 to, int ret),
	TP_ARGS(pdev, from, to, ret),
	TP_STRUCT__entry(
		__string(dev, pci_name(pdev))
		__field(u32, from)
		__field(u32, to)
		__field(int, ret)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->from = from;
		__entry->to = to;
		__entry->ret = ret;
	),
	TP_printk("%s %u -> %u ret=%d", __get_str(dev), __entry->from, __entry->to, __entry->ret)
);

/* INTx, MSI or MSI-X has been enabled, or disabled. */
TRACE_EVENT(vfio_pci_irq,
	TP_PROTO(struct pci_dev *pdev, unsigned int index, bool on),
	TP_ARGS(pdev, index, on),
	TP_STRUCT__entry(
		__string(dev, pci_name(pdev))
		__field(unsigned int, index)
		__field(bool, on)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->index = index;
		__entry->on = on;
	),
	TP_printk("%s %s %s", __get_str(dev),
		  __print_symbolic(__entry->index,
				   { VFIO_PCI_INTX_IRQ_INDEX, "intx" },
				   { VFIO_PCI_MSI_IRQ_INDEX, "msi" },
				   { VFIO_PCI_MSIX_IRQ_INDEX, "msix" }),
		  __entry->on ? "on" : "off")
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace

#include <trace/define_trace.h>
