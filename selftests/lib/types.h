/* SPDX-License-Identifier: GPL-2.0-only */
/* The short integer names, and the one place that selects the uAPI header. */
#ifndef LIB_TYPES_H
#define LIB_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#if __has_include("../../uapi/vfio.h")
#include "../../uapi/vfio.h"
#else
#include <linux/vfio.h>
#endif

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;

#define LIB_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* There, a read that no device answers aborts; if the kernel made it, so does the kernel. */
#ifdef __aarch64__
#define ARM64 true
#else
#define ARM64 false
#endif

/*
 * Convention of the library: a function that can fail returns a negative errno, so that a test
 * compares with -EINVAL and its failure shows both numbers.
 */

#endif
