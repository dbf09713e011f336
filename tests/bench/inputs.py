# SPDX-License-Identifier: Apache-2.0
"""Disks to be measured with, each made when it is first asked for."""
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path


def run(*words, **more):
    return subprocess.run([str(word) for word in words], check=True, stdout=subprocess.DEVNULL, **more)


def make_mixed(path, megabytes):
    """A file system of a server, roughly: a quarter holes, the rest text, binaries and packed data."""
    dice = random.Random(4)
    words = [dice.randbytes(dice.randrange(2, 10)) for _ in range(6000)]
    with path.open("wb") as file:
        file.truncate(megabytes << 20)
        for at in range(0, megabytes, 4):
            kind = dice.random()
            if kind < 0.25:
                continue
            if kind < 0.4:
                data = dice.randbytes(4 << 20)
            elif kind < 0.9:
                data = b"".join(dice.choices(words, k=780000))
            else:
                data = b"".join(dice.choices(words, k=40000)) * 40
            file.seek(at << 20)
            file.write(data[:4 << 20].ljust(4 << 20, b"-"))


def make_system(path, megabytes):
    """Files of this very system, in an ext4 file system."""
    tree = Path(tempfile.mkdtemp(dir=path.parent))
    used = 0
    for folder in ["/usr/bin", "/usr/lib/x86_64-linux-gnu", "/usr/share/doc", "/usr/lib/python3"]:
        for file in sorted(Path(folder).rglob("*")):
            if used > megabytes * 1000000 * 0.7:
                break
            if file.is_file() and not file.is_symlink():
                used += file.stat().st_size
                target = tree / file.relative_to("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
    with path.open("wb") as file:
        file.truncate(megabytes << 20)
    run("/sbin/mkfs.ext4", "-q", "-F", "-d", tree, path, stderr=subprocess.DEVNULL)
    shutil.rmtree(tree)


def make_half(path, megabytes):
    dice = random.Random(5)
    with path.open("wb") as file:
        file.truncate(megabytes << 20)
        for at in range(0, megabytes // 2, 8):
            file.seek((at * 2) << 20)
            file.write(dice.randbytes(8 << 20))


def make_empty(path, gigabytes, megabytes):
    dice = random.Random(6)
    with path.open("wb") as file:
        file.truncate(gigabytes << 30)
        for _ in range(megabytes):
            file.seek(dice.randrange(0, gigabytes << 10) << 20)
            file.write(dice.randbytes(1 << 20))


def make_vmdk(raw, path, kind):
    """qemu-img 7.2 sometimes gives up on a streamOptimized file with "Invalid argument": asked again."""
    for _ in range(5):
        done = subprocess.run(["qemu-img", "convert", "-O", "vmdk", "-o", f"subformat={kind}", raw, path],
                              stderr=subprocess.DEVNULL)
        if done.returncode == 0:
            return
    sys.exit(f"qemu-img makes no {kind}")


class Inputs:
    """Files to be converted, each made when it is first asked for."""

    def __init__(self, directory, size):
        self.directory, self.size = directory, size

    def raw(self, name):
        return self.made(f"{name}.raw", lambda path: {
            "mixed": make_mixed, "system": make_system, "half": make_half}[name](path, self.size))

    def empty(self, gigabytes):
        return self.made(f"empty{gigabytes}.raw", lambda path: make_empty(path, gigabytes, 100))

    def vmdk(self, name, kind):
        return self.made(f"{name}-{kind}.vmdk", lambda path: make_vmdk(self.raw(name), path, kind))

    def qcow2(self, name):
        return self.made(f"{name}.qcow2", lambda path: run("qemu-img", "convert", "-O", "qcow2", self.raw(name), path))

    def made(self, name, make):
        path = self.directory / name.replace(".", f"-{self.size}.", 1)
        if not path.exists():
            new = path.with_name("new")
            make(new)
            os.sync()  # else the kernel writes it out while others are measured
            new.rename(path)
        return path
