# SPDX-License-Identifier: GPL-2.0
"""The frequency of the host's time stamp counter, which is also that of an emulated PC.

A kernel measures it at boot by comparison with a timer. On a busy host, a CPU of the machine may
not run for a part of that time. Then, all its clocks are wrong for good: a factor of six has been
seen, so that tests hit their time limits six times as early."""

import ctypes
import mmap
import platform
import time

# rdtsc; shl $32, %rdx; or %rdx, %rax; ret
RDTSC = bytes.fromhex("0f31 48c1e220 4809d0 c3")


def sample(rdtsc):
    """The counter and the time of day, as close together as possible."""
    best = None
    for _ in range(100):
        before = time.monotonic_ns()
        ticks = rdtsc()
        after = time.monotonic_ns()
        if best is None or after - before < best[0]:
            best = after - before, ticks, (before + after) / 2
    return best[1:]


def khz():
    """Its frequency; None where programs may not generate code, and on other CPUs."""
    if platform.machine() != "x86_64":
        return None
    try:
        return measure()
    except OSError:
        return None


def measure():
    with mmap.mmap(-1, len(RDTSC), prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC) as code:
        code.write(RDTSC)
        place = ctypes.c_char.from_buffer(code)
        rdtsc = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(place))
        first = sample(rdtsc)
        time.sleep(0.1)
        last = sample(rdtsc)
        # The memory cannot be unmapped before that.
        del place
    return round((last[0] - first[0]) / (last[1] - first[1]) * 1e6)
