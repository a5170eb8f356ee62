# SPDX-License-Identifier: GPL-2.0
"""The guests' root file system: busybox, kernel modules, and a few programs of ours."""

import subprocess
from pathlib import Path

BUSYBOX = Path("/bin/busybox")


class Cpio:
    """An archive in the format that the kernel unpacks (newc)."""

    def __init__(self, out):
        self.out = out
        self.inode = 0

    def _pad(self):
        self.out.write(bytes(-self.out.tell() % 4))

    def _entry(self, name, mode, data=b""):
        self.inode += 1
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        header = "070701" + "".join(f"{field:08x}" for field in fields)
        self.out.write(header.encode() + name.encode() + b"\0")
        self._pad()
        self.out.write(data)
        self._pad()

    def directory(self, name):
        self._entry(name, 0o40755)

    def file(self, name, data, mode=0o755):
        self._entry(name, 0o100000 | mode, data)

    def end(self):
        self._entry("TRAILER!!!", 0)


def module_files(names, folder):
    """Paths of the modules @names under @folder and of their dependencies, in the order of loading.
    Built-in modules have none."""
    version = next((folder / "lib/modules").iterdir()).name
    files = []
    for name in names:
        shown = subprocess.run(["modprobe", "-d", folder, "-S", version,
                                "--show-depends", name],
                               check=True, capture_output=True, text=True).stdout
        for line in shown.splitlines():
            action, path = line.split()[:2]
            if action == "insmod" and Path(path) not in files:
                files.append(Path(path))
    return files


def make(target, module_folder, modules, more, programs):
    """Write an initramfs with kernel @modules (names) from @module_folder and @more (paths), to be
    loaded in order, and @programs (paths) in /bin, except for init, the first process."""
    with open(target, "wb") as out:
        archive = Cpio(out)
        for directory in ("bin", "dev", "modules", "proc", "sys", "tmp"):
            archive.directory(directory)
        archive.file("bin/busybox", BUSYBOX.read_bytes())
        for number, path in enumerate([*module_files(modules, module_folder), *more]):
            archive.file(f"modules/{number:02}-{path.name}", path.read_bytes())
        for path in programs:
            place = "init" if path.name == "init" else f"bin/{path.name}"
            archive.file(place, path.read_bytes())
        archive.end()
