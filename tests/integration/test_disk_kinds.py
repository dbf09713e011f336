# SPDX-License-Identifier: Apache-2.0
"""Kinds of VMDK that qemu-img does not write, made by hand from their specifications and read by both
guts-disk and qemu-img: footers and markers, COWD and SE-sparse deltas, VMFS flat. Block devices."""
import os
import random
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import pytest

from nbd_peer import await_socket

TOP = Path(__file__).resolve().parents[2]
TOOL = Path(os.environ.get("GUTS_BUILD", TOP / "build")) / "migration/disk/tool/guts-disk"
SIZE = (9 << 20) + 5 * 65536
DESCRIPTOR = '# Disk DescriptorFile\nversion=1\nCID=%s\nparentCID=%s\ncreateType="%s"\n%s\n'

pytestmark = pytest.mark.skipif(not shutil.which("qemu-img"), reason="qemu-img is not installed")


def run(*words, **more):
    return subprocess.run([str(word) for word in words], check=True, text=True,
                          stdout=subprocess.PIPE, **more).stdout.strip()


def guest_bytes(seed, size=SIZE):
    """Runs of random bytes, text, zeroes."""
    dice = random.Random(seed)
    data = bytearray(size)
    for number in range(40):
        length = dice.choice([512, 4096, 65536, 300000])
        at = dice.randrange(0, size - length) // 512 * 512
        data[at:at + length] = dice.choice([dice.randbytes(length), (b"guts %3d" % number) * (length // 8)])
    return bytes(data)


def agree(disk, truth, folder):
    """guts-disk, qemu-img and the truth tell the same bytes."""
    (folder / "truth.raw").write_bytes(truth)
    run("qemu-img", "compare", "-f", "vmdk", "-F", "raw", disk, folder / "truth.raw")
    run(TOOL, "convert", disk, folder / "out.raw")
    assert (folder / "out.raw").read_bytes() == truth
    assert run(TOOL, "digest", disk) == run(TOOL, "digest", folder / "truth.raw")


def pieces(data, size):
    for at in range(0, len(data), size):
        yield at // size, data[at:at + size].ljust(size, b"\0")


def stream(data, grain_sectors=128, footer=True):
    """A streamOptimized disk as exporters write it: each table comes behind its grains, a footer tells where."""
    grain = grain_sectors * 512
    sectors = len(data) // 512
    text = (DESCRIPTOR % ("7", "ffffffff", "streamOptimized", f'RW {sectors} SPARSE "x.vmdk"')).encode()

    def header(directory):
        return struct.pack("<4sIIQQQQIQQQ?4sH", b"KDMV", 3, 3 | 1 << 16 | 1 << 17, sectors, grain_sectors, 1, 20,
                           512, 0, directory, 128, False, b"\n \r\n", 1).ljust(512, b"\0")

    out = bytearray(header((1 << 64) - 1) + text.ljust(20 * 512, b"\0"))
    out += bytes(128 * 512 - len(out))

    def marker(sectors, kind):
        return struct.pack("<QII", sectors, 0, kind).ljust(512, b"\0")

    tables = []
    for table in range(-(-len(data) // (512 * grain))):
        entries = [0] * 512
        for number, piece in pieces(data[table * 512 * grain:(table + 1) * 512 * grain], grain):
            if piece.count(0) < grain:
                packed = zlib.compress(piece, 6)
                entries[number] = len(out) // 512
                out += struct.pack("<QI", (table * 512 + number) * grain_sectors, len(packed)) + packed
                out += bytes(-len(out) % 512)
        if not any(entries):
            tables.append(0)
            continue
        out += marker(4, 1)
        tables.append(len(out) // 512)
        out += struct.pack("<512I", *entries)
    row = struct.pack(f"<{len(tables)}I", *tables)
    row += bytes(-len(row) % 512)
    out += marker(len(row) // 512, 2)
    directory = len(out) // 512
    out += row
    out += marker(1, 3) + header(directory) + marker(0, 0)
    return bytes(out)


@pytest.mark.parametrize("grain_sectors", [16, 128, 2048])
def test_a_stream_with_a_footer_is_read_at_random_and_once(grain_sectors, tmp_path):
    truth = guest_bytes(grain_sectors)
    (tmp_path / "s.vmdk").write_bytes(stream(truth, grain_sectors))
    agree(tmp_path / "s.vmdk", truth, tmp_path)
    with (tmp_path / "s.vmdk").open("rb") as file:
        run(TOOL, "convert", "-", tmp_path / "once.raw", stdin=file)
    assert (tmp_path / "once.raw").read_bytes() == truth


def cowd(data, holes, path):
    """A VMFS sparse delta of one sector a grain: what `holes` names is not in it."""
    sectors = len(data) // 512
    tables = -(-sectors // 4096)
    directory, free = 4, 4 + -(-tables * 4 // 512)
    rows, grains = [], bytearray()
    first_grain = free + tables * 32
    for table in range(tables):
        row = []
        for i in range(4096):
            at = table * 4096 + i
            if at >= sectors or at in holes:
                row.append(0)
            else:
                row.append(first_grain + len(grains) // 512)
                grains += data[at * 512:at * 512 + 512]
        rows.append(struct.pack("<4096I", *row))
    head = struct.pack("<4sIIIIIII", b"COWD", 1, 3, sectors, 1, directory, tables, first_grain + len(grains) // 512)
    row = struct.pack(f"<{tables}I", *(free + i * 32 for i in range(tables)))
    path.write_bytes(head.ljust(directory * 512, b"\0") + row.ljust((free - directory) * 512, b"\0") +
                     b"".join(rows) + grains)


def mixed(below, above, holes, unit):
    """What a delta over another disk shows."""
    out = bytearray(above)
    for at in holes:
        out[at * unit:at * unit + unit] = below[at * unit:at * unit + unit]
    return bytes(out[:len(below)])


def flat_base(folder, data, kind, word):
    """A descriptor with a file of plain bytes."""
    (folder / "base-flat.vmdk").write_bytes(data)
    line = f'RW {len(data) // 512} {word} "base-flat.vmdk"' + (" 0" if word == "FLAT" else "")
    (folder / "base.vmdk").write_text(DESCRIPTOR % ("11", "ffffffff", kind, line))


@pytest.mark.parametrize("kind,word", [("vmfs", "VMFS"), ("monolithicFlat", "FLAT")])
def test_flat_disks_are_read(kind, word, tmp_path):
    truth = guest_bytes(5)
    flat_base(tmp_path, truth, kind, word)
    agree(tmp_path / "base.vmdk", truth, tmp_path)


def test_cowd_deltas_over_a_vmfs_disk_are_read(tmp_path):
    shown = guest_bytes(1)
    flat_base(tmp_path, shown, "vmfs", "VMFS")
    dice, below = random.Random(2), "base.vmdk"
    for number in range(1, 4):
        data = guest_bytes(100 + number)
        holes = set()
        while len(holes) < SIZE // 512 * 2 // 3:
            at = dice.randrange(SIZE // 512)
            holes.update(range(at, min(at + dice.randrange(1, 900), SIZE // 512)))
        cowd(data, holes, tmp_path / f"s{number}-delta.vmdk")
        (tmp_path / f"s{number}.vmdk").write_text(DESCRIPTOR % (
            f"1{number + 1}", f"1{number}", "vmfsSparse",
            f'parentFileNameHint="{below}"\nRW {SIZE // 512} VMFSSPARSE "s{number}-delta.vmdk"'))
        shown = mixed(shown, data, holes, 512)
        below = f"s{number}.vmdk"
        agree(tmp_path / below, shown, tmp_path)


def sesparse(data, holes, zeroes, path):
    """A delta of 4 KiB a grain, 4096 grains a table; grains lie in the file backwards."""
    grains = len(data) // 4096
    tables = -(-grains // 4096)
    directory, first_table, first_grain = 64, 128, 128 + tables * 64
    kept = [at for at in range(grains) if at not in holes and at not in zeroes]
    place = {at: len(kept) - 1 - i for i, at in enumerate(kept)}
    header = bytearray(first_grain * 512)
    for at, value in [(0, 0xCAFEBABE), (8, 0x200000001), (16, len(data) // 512), (24, 8), (32, 64), (40, 0),
                      (80, 1), (88, 1), (96, 2), (104, 2), (112, 8), (120, 8), (128, directory), (136, 64),
                      (144, first_table), (152, tables * 64), (160, 32), (168, 8), (176, 40), (184, 8),
                      (192, first_grain), (200, len(kept) * 8), (512, 0xCAFECAFE)]:
        struct.pack_into("<Q", header, at, value)
    for table in range(tables):
        struct.pack_into("<Q", header, directory * 512 + table * 8, 0x1000000000000000 | table)
    for at in range(grains):
        entry = 0
        if at in zeroes:
            entry = 0x2000000000000000
        elif at in place:
            entry = 0x3000000000000000 | (place[at] & 0xfff) << 48 | place[at] >> 12
        struct.pack_into("<Q", header, first_table * 512 + at * 8, entry)
    body = b"".join(data[at * 4096:at * 4096 + 4096] for at in reversed(kept))
    path.write_bytes(bytes(header) + body)


def test_se_sparse_deltas_over_cowd_and_flat_are_read(tmp_path):
    size = 33 << 20  # more than one table
    base = guest_bytes(3, size)
    flat_base(tmp_path, base, "vmfs", "VMFS")
    holes = set(range(0, size // 512, 2))
    middle = guest_bytes(4, size)
    cowd(middle, holes, tmp_path / "m-delta.vmdk")
    (tmp_path / "m.vmdk").write_text(DESCRIPTOR % (
        "12", "11", "vmfsSparse", f'parentFileNameHint="base.vmdk"\nRW {size // 512} VMFSSPARSE "m-delta.vmdk"'))
    shown = mixed(base, middle, holes, 512)
    agree(tmp_path / "m.vmdk", shown, tmp_path)
    dice, top = random.Random(6), guest_bytes(8, size)
    holes = {at for at in range(size // 4096) if dice.random() < 0.5}
    zeroes = {at for at in range(size // 4096) if at not in holes and dice.random() < 0.2}
    sesparse(top, holes, zeroes, tmp_path / "t-sesparse.vmdk")
    (tmp_path / "t.vmdk").write_text(DESCRIPTOR % (
        "13", "12", "seSparse", f'parentFileNameHint="m.vmdk"\nRW {size // 512} SESPARSE "t-sesparse.vmdk"'))
    shown = bytearray(mixed(shown, top, holes, 4096))
    for at in zeroes:
        shown[at * 4096:at * 4096 + 4096] = bytes(4096)
    agree(tmp_path / "t.vmdk", bytes(shown), tmp_path)


def test_a_delta_over_a_split_disk_is_read(tmp_path):
    size = 2200 << 20
    with (tmp_path / "a.raw").open("wb") as file:
        file.truncate(size)
        for at in [0, 2047 << 20, 2100 << 20]:
            file.seek(at)
            file.write(random.Random(at).randbytes(3 << 20))
    for kind in ["twoGbMaxExtentSparse", "twoGbMaxExtentFlat"]:
        run("qemu-img", "convert", "-O", "vmdk", "-o", f"subformat={kind}", "a.raw", f"{kind}.vmdk", cwd=tmp_path)
        run("qemu-img", "create", "-q", "-f", "vmdk", "-b", f"{kind}.vmdk", "-F", "vmdk", "s.vmdk", cwd=tmp_path)
        run("qemu-io", "-f", "vmdk", "-c", "write -P 7 2046M 3M", "s.vmdk", cwd=tmp_path)
        run(TOOL, "convert", tmp_path / "s.vmdk", tmp_path / "out.raw")
        run("qemu-img", "compare", "-f", "vmdk", "-F", "raw", tmp_path / "s.vmdk", tmp_path / "out.raw")


@pytest.fixture
def device(tmp_path):
    """A block device of 64 MiB that holds rubbish."""
    (tmp_path / "device.img").write_bytes(b"\xee" * (64 << 20))
    made = subprocess.run(["losetup", "-f", "--show", tmp_path / "device.img"], text=True, capture_output=True)
    if made.returncode != 0:
        pytest.skip("no loop device: " + made.stderr.strip())
    yield made.stdout.strip()
    subprocess.run(["losetup", "-d", made.stdout.strip()], check=True)


def test_block_devices_are_written_and_read(device, tmp_path):
    truth = guest_bytes(9, 64 << 20)
    (tmp_path / "truth.raw").write_bytes(truth)
    run("qemu-img", "convert", "-O", "vmdk", tmp_path / "truth.raw", tmp_path / "d.vmdk")
    run(TOOL, "convert", "--sync", tmp_path / "d.vmdk", device)  # what was there goes, holes too
    run("cmp", tmp_path / "truth.raw", device)
    assert run(TOOL, "digest", device) == run(TOOL, "digest", tmp_path / "truth.raw")
    run(TOOL, "convert", "-O", "qcow2", device, tmp_path / "out.qcow2")
    run("qemu-img", "compare", "-f", "qcow2", "-F", "raw", tmp_path / "out.qcow2", tmp_path / "truth.raw")
    with (tmp_path / "large.raw").open("wb") as file:
        file.truncate(65 << 20)
    done = subprocess.run([TOOL, "convert", tmp_path / "large.raw", device], text=True, capture_output=True)
    assert done.returncode == 2 and "no_space" in done.stderr


def test_a_source_that_is_written_to_meanwhile_is_noticed(tmp_path):
    (tmp_path / "a.raw").write_bytes(guest_bytes(10, 24 << 20))
    run("qemu-img", "convert", "-O", "vdi", tmp_path / "a.raw", tmp_path / "a.vdi")
    run("qemu-img", "convert", "-O", "vmdk", tmp_path / "a.raw", tmp_path / "a.vmdk")
    for name, rate in [("a.raw", "8"), ("a.vdi", "8"), ("a.vmdk", "2")]:  # it takes two seconds at least
        copy = subprocess.Popen([TOOL, "convert", "--rate", rate, tmp_path / name, tmp_path / "out.raw"],
                                stderr=subprocess.PIPE, text=True)
        while not (tmp_path / "out.raw").exists() or (tmp_path / "out.raw").stat().st_blocks == 0:
            assert copy.poll() is None
        with (tmp_path / name).open("r+b") as file:
            file.seek(-1, os.SEEK_END)
            file.write(b"?")
        told = copy.communicate(timeout=60)[1]
        assert copy.returncode == 2 and "source_changed" in told, told
        assert not (tmp_path / "out.raw").exists()


@pytest.mark.parametrize("format", ["raw", "qcow2"])
def test_an_nbd_export_full_of_rubbish_is_zeroed_where_the_source_has_nothing(format, tmp_path):
    truth = guest_bytes(11, 64 << 20)
    (tmp_path / "truth.raw").write_bytes(truth)
    run("qemu-img", "convert", "-O", "vmdk", tmp_path / "truth.raw", tmp_path / "d.vmdk")
    target = tmp_path / "target"
    (tmp_path / "rubbish").write_bytes(b"\xee" * (64 << 20))
    run("qemu-img", "convert", "-f", "raw", "-O", format, tmp_path / "rubbish", target)
    server = subprocess.Popen(["qemu-nbd", "-f", format, "-t", "-e", "8", "--discard=unmap",
                               "-k", tmp_path / "s", target])
    try:
        await_socket(server, tmp_path / "s")
        uri = f"nbd+unix:///?socket={tmp_path}/s"
        run(TOOL, "convert", tmp_path / "d.vmdk", uri)
        extents = [line.split() for line in run(TOOL, "map", uri).splitlines()]
        assert sum(int(length) for _, length, kind in extents if kind == "data") < 24 << 20
    finally:
        server.terminate()
        server.wait(30)
    run("qemu-img", "compare", "-f", "raw", "-F", format, tmp_path / "truth.raw", target)
    assert (tmp_path / "target").stat().st_blocks * 512 < 32 << 20  # zeroes gave their room back
