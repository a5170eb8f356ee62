# SPDX-License-Identifier: GPL-2.0
# Everything is built with the pinned tools of qemu-tests/ for its kernel, unless KDIR names the
# build folder of another kernel; then, the host's tools are used.

# Output for other architectures goes to separate folders.
ifeq ($(ARCH),arm64)
arch := -arm64
cross := ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu-
endif
out = build/$@$(arch)

# Concurrent calls may build the same; each of them waits until it is complete.
SHELL := /bin/bash
.SHELLFLAGS := -euc
locked = mkdir -p build && exec 8>$(out).lock && flock 8 &&

in_root := qemu-tests/in-root

# As quiet as this make, whose flags are not passed on.
quiet = $(if $(V),V=$(V),$(if $(findstring s,$(firstword -$(MAKEFLAGS))),--silent))

# The kernel's make, on our Kbuild, with output in $(out). The pinned compilers always give the
# same warnings, so all of them are errors.
kbuild = $(locked) \
	kernel=$$(qemu-tests/kernel $(addprefix --arch ,$(arch:-%=%)) $(1)) && \
	mkdir -p $(out) && \
	$(in_root) make $(quiet) -j$$(nproc) --no-print-directory -C /cache/$${kernel\#\#*/}/build \
		M=/src MO=/src/$(out) KUNIT=y W=1e $(cross) $(2) modules

.PHONY: help
help:
	@sed -n 's/^#: \?//p' $(firstword $(MAKEFILE_LIST))

#: make demo             show the main use case: a guest gets a drive; a guest moves with its device
#: make check            the tests for every change; STEPS="..." for some, STEPS=help for more
#: make check-all        all tests on the PC; before a release
#: make check-arm64      all tests on the arm64 machine
#: make bench            compare the cost of operations with the in-tree driver, in instructions
#: make bench-wall       the same in nanoseconds
#: make shell            a shell in a test machine with the modules loaded
#:
#: make modules          build the modules for the test machine's kernel
#: make selftests        build the tests that run in the machine
#: make tools            build vfioctl and its manual pages
#: make ... ARCH=arm64   either for the arm64 machine
#: make deb              build the Debian packages, into build/deb
#: make clean            remove what was built; the cache of kernels and tools stays
#:
#: make modules KDIR=/lib/modules/$(uname -r)/build          for the running kernel
#: make modules_install KDIR=/lib/modules/$(uname -r)/build  and install them

ifdef KDIR
# Kernels before 6.13 ignore MO, and build in the source tree.
host_kbuild = $(MAKE) -C $(KDIR) M=$(CURDIR) MO=$(CURDIR)/build/host

.PHONY: modules modules_install
modules:
	@tools/can-build $(KDIR)
	mkdir -p build/host
	$(host_kbuild) modules

modules_install: modules
	$(host_kbuild) modules_install
else
.PHONY: modules modules-debug modules-clang modules-sparse modules_install
modules:
	@$(call kbuild)

modules-debug:
	@$(call kbuild,--debug)

modules-clang:
	@$(call kbuild,--llvm,LLVM=1)

modules-sparse:
	@$(call kbuild,,C=2 CHECK=/src/qemu-tests/sparse)

modules_install:
	@echo 'name the kernel: make modules_install KDIR=/lib/modules/$$(uname -r)/build' >&2
	@exit 1
endif

.PHONY: selftests
selftests:
	@$(locked) source=$$(qemu-tests/kernel --source) && mkdir -p $(out) && \
	$(in_root) make -j$$(nproc) --no-print-directory -C /src/selftests \
		O=/src/$(out) KSRC=/cache/$${source##*/} $(if $(arch),CC=aarch64-linux-gnu-gcc)

.PHONY: tools tools-sanitized
tools:
	@$(locked) $(in_root) make -j$$(nproc) --no-print-directory -C /src/tools/vfioctl O=/src/$(out)

# With what finds wrong uses of memory, for the tests
tools-sanitized:
	@$(locked) $(in_root) make -j$$(nproc) --no-print-directory -C /src/tools/vfioctl O=/src/$(out) \
		SANITIZE=1

.PHONY: deb
deb:
	@$(locked) rm -rf $(out) && qemu-tests/in-package-root qemu-tests/package-deb /src/$(out)

.PHONY: check check-all check-arm64 demo bench bench-wall shell
check:
	@qemu-tests/check $(STEPS)

check-all:
	@qemu-tests/check --all $(STEPS)

check-arm64:
	@qemu-tests/check --arm64 $(STEPS)

demo:
	@qemu-tests/guest/demo

bench:
	@qemu-tests/bench

bench-wall:
	@qemu-tests/bench --wall

shell:
	@qemu-tests/vm

.PHONY: clean
clean:
	rm -rf build
