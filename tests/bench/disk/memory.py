# SPDX-License-Identifier: Apache-2.0
"""What memory a copy takes, and that time and memory follow the data of a disk, not its size.

First disks that no machine has room for (wide.c; a copy of more than some seconds is ended early, when its
maps and tables are whole), then files through guts-disk, each result checked by qemu-img."""
import os
import random
import subprocess

from measure import MIB, Measure, say

MOST_MIB = 48  # aim: 24 for one disk


def make_raw(path, size, pieces):
    """A sparse file with pieces of 1 MiB scattered over it."""
    dice = random.Random(1)
    with path.open("wb") as file:
        file.truncate(size)
        for number in range(pieces):
            file.seek(size // pieces * number)
            file.write(dice.randbytes(MIB))


def make_vmdk(path, size, pieces):
    subprocess.run(["qemu-img", "create", "-q", "-f", "vmdk", path, str(size)], check=True)
    words = [f"write -P {number % 250 + 1} {size // pieces * number} 1M" for number in range(pieces)]
    for at in range(0, pieces, 50):
        commands = [part for word in words[at:at + 50] for part in ("-c", word)]
        subprocess.run(["qemu-io", "-f", "vmdk", *commands, path], check=True, stdout=subprocess.DEVNULL)


def make_packed(path, size, pieces):
    """Data that shrinks, in blocks that a decoder needs much room for: clusters of 2 MiB."""
    raw = path.with_suffix(".data")
    with raw.open("wb") as file:
        file.truncate(size)
        for number in range(pieces):
            file.seek(size // pieces * number)
            file.write((b"%d " % number * MIB)[:MIB])
    kind = ["-c", "-o", "cluster_size=2M"] if path.suffix == ".qcow2" else ["-o", "subformat=streamOptimized"]
    subprocess.run(["qemu-img", "convert", "-O", path.suffix[1:], *kind, raw, path], check=True)
    raw.unlink()


class Memory:
    def __init__(self, build, work, seconds, table):
        self.build, self.work, self.seconds, self.table = build, work, seconds, table
        self.tool = build / "migration/disk/tool/guts-disk"

    def row(self, name, wall, cpu, peak, note="", failed=False):
        say(f"  {name}: {wall:.1f} s, peak {peak:.1f} MiB")
        self.table.add({"name": name, "bars": {"mib": MOST_MIB}, "ours": wall, "mib": peak, "failed": failed,
                        "note": f"{cpu:.1f} s CPU{', ' + note if note else ''}"})

    def works(self):
        """Names and what measures them."""
        program = self.build / "tests/bench/bench_disk_wide"
        for name in subprocess.run([program], check=True, text=True, capture_output=True).stdout.split():
            yield f"memory: {name}", lambda title, name=name: self.wide(title, program, name)
        for gigabytes in (1, 100, 4096):
            yield (f"memory: raw of {gigabytes} GiB with 100 MiB → qcow2",
                   lambda title, size=gigabytes << 30: self.convert(title, "raw", size, make_raw))
        yield ("memory: monolithicSparse of 1 TiB with 100 MiB → qcow2",
               lambda title: self.convert(title, "vmdk", 1 << 40, make_vmdk))
        yield ("memory: compressed qcow2, clusters of 2 MiB, → qcow2",
               lambda title: self.convert(title, "qcow2", 1 << 30, make_packed))
        yield ("memory: streamOptimized of 1 GiB → qcow2",
               lambda title: self.convert(title, "vmdk", 1 << 30, make_packed))

    def wide(self, title, program, name):
        told = subprocess.run([program, name, str(self.seconds)], check=True, text=True, capture_output=True,
                              env={**os.environ, "TMPDIR": str(self.work)}).stdout.split()
        wall, cpu, peak, done, total = map(float, told)
        self.row(title, wall, cpu, peak,
                 "" if done >= total else f"{done / 1024:.0f} of {total / 1024:.0f} GiB of data, then ended")

    def convert(self, title, format, size, make):
        source, out = self.work / f"in.{format}", self.work / "out"
        make(source, size, 100)
        seen = Measure([self.tool, "convert", "-d", "-O", "qcow2", source, out], self.work)
        clean = subprocess.run(["qemu-img", "check", "-q", out]).returncode == 0
        same = clean and subprocess.run(["qemu-img", "compare", "-q", "-f", format, "-F", "qcow2",
                                         source, out]).returncode == 0
        self.row(title, seen.wall, seen.cpu, seen.peak, "" if same else "DIFFERENT", not same)
        out.unlink()
        source.unlink()
