# SPDX-License-Identifier: GPL-2.0-only
# What a kernel lacks is found out by compiling a line that needs it, not by the kernel's version:
# those of distributions have functions of later ones. compat.h has what to do then.

# $(call lacks,NAME,HEADER,FUNCTION) - -DVFIO_LACKS_NAME if HEADER does not declare FUNCTION
lacks = $(shell printf '$(pound)include <%s>\nvoid *probe = %s;\n' '$(2)' '$(3)' | \
	$(CC) $(LINUXINCLUDE) $(KBUILD_CPPFLAGS) $(KBUILD_CFLAGS) -DKBUILD_MODNAME='"probe"' \
		-w -fsyntax-only -x c - 2>/dev/null || echo -DVFIO_LACKS_$(1))
