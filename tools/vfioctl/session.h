/* SPDX-License-Identifier: GPL-2.0-only */
/* A device is opened, as its user would, to see what there is for them. */
#ifndef VFIOCTL_SESSION_H
#define VFIOCTL_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "function.h"

/**
 * struct session - a device that is open
 * @device: its file, or -1
 * @iommu: the iommufd, or -1
 * @devid: its number there
 */
struct session {
	int device;
	int iommu;
	uint32_t devid;
};

#define NO_SESSION { .device = -1, .iommu = -1 }

bool session_open(struct session *s, const struct function *f, char **problem);
void session_close(struct session *s);

#define __free_session __cleanup(session_close)

bool session_probe(const struct session *s, uint32_t feature);
int session_get(const struct session *s, uint32_t feature, void *data, uint32_t size);
uint32_t session_flags(const struct session *s, uint32_t *regions, uint32_t *irqs);
bool session_region(const struct session *s, uint32_t index, uint32_t *flags, uint64_t *size,
		    uint64_t *offset);
bool session_irq(const struct session *s, uint32_t index, uint32_t *flags, uint32_t *count);
int session_hot_reset(const struct session *s, struct strings *addresses);
bool session_iommu(const struct session *s, bool *dirty, unsigned int *pasid_bits);
int session_nesting(const struct session *s);

#endif
