# SPDX-License-Identifier: Apache-2.0
"""guts-disk against qemu-img: every kind of file that qemu-img writes is read byte for byte, and what
guts-disk writes is clean and equal in qemu-img's eyes."""
import json
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
VMDK_KINDS = ["monolithicSparse", "streamOptimized", "monolithicFlat", "twoGbMaxExtentSparse",
              "twoGbMaxExtentFlat"]

pytestmark = pytest.mark.skipif(not shutil.which("qemu-img"), reason="qemu-img is not installed")


def run(*words, **more):
    return subprocess.run([str(word) for word in words], check=True, text=True,
                          stdout=subprocess.PIPE, **more).stdout.strip()


def fails(*words):
    done = subprocess.run([str(word) for word in words], text=True, capture_output=True)
    assert done.returncode == 2, done.stdout + done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """2.1 GiB, so that split kinds split; odd at its end; runs of every size."""
    dice = random.Random(11)
    path = tmp_path_factory.mktemp("disk") / "a.raw"
    size = (2100 << 20) + 3 * 512
    with path.open("wb") as file:
        file.truncate(size)
        for number in range(50):
            file.seek(dice.randrange(0, size - (4 << 20)) // 512 * 512)
            length = dice.choice([512, 4096, 65536, 1000000, 3000000])
            file.write(dice.choice([dice.randbytes(length), b"guts %6d" % number * (length // 11),
                                    bytes(length)]))
        file.seek(size - 700)
        file.write(dice.randbytes(700))
    return path


@pytest.fixture(scope="module")
def digest(raw):
    return run(TOOL, "digest", raw)


@pytest.mark.parametrize("kind", VMDK_KINDS)
def test_vmdk_of_each_kind_is_read_as_qemu_reads_it(kind, raw, digest, tmp_path):
    run("qemu-img", "convert", "-O", "vmdk", "-o", f"subformat={kind}", raw, tmp_path / "d.vmdk")
    assert run(TOOL, "digest", tmp_path / "d.vmdk") == digest
    run(TOOL, "convert", tmp_path / "d.vmdk", tmp_path / "out.raw")
    run("cmp", raw, tmp_path / "out.raw")
    assert (tmp_path / "out.raw").stat().st_blocks < 200000  # holes stayed holes


def test_a_stream_is_read_from_a_pipe(raw, digest, tmp_path):
    run("qemu-img", "convert", "-O", "vmdk", "-o", "subformat=streamOptimized", raw, tmp_path / "d.vmdk")
    with (tmp_path / "d.vmdk").open("rb") as file:
        assert run(TOOL, "convert", "-d", "-O", "qcow2", "-", tmp_path / "out", stdin=file) == digest
    run("qemu-img", "check", tmp_path / "out")
    run("qemu-img", "compare", "-f", "raw", "-F", "qcow2", raw, tmp_path / "out")
    whole = (tmp_path / "d.vmdk").read_bytes()
    for length in [100, 3000, len(whole) // 2, len(whole) * 9 // 10]:
        done = subprocess.run([TOOL, "convert", "-", tmp_path / "bad"], input=whole[:length],
                              capture_output=True)
        assert done.returncode == 2 and b"disk_invalid" in done.stderr


def test_a_chain_of_snapshots_is_read_as_qemu_reads_it(raw, tmp_path):
    run("qemu-img", "convert", "-O", "vmdk", raw, tmp_path / "base.vmdk")
    below = "base.vmdk"
    for number in range(1, 5):
        name = f"s{number}.vmdk"
        run("qemu-img", "create", "-q", "-f", "vmdk", "-b", below, "-F", "vmdk", name, cwd=tmp_path)
        run("qemu-io", "-f", "vmdk", "-c", f"write -P {number} {number * 400}M 3M",
            "-c", f"write -P 9{number} 1000k 300k", "-c", f"write -z {number * 33}M 128k", name,
            cwd=tmp_path)
        below = name
    run("qemu-img", "convert", "-O", "raw", tmp_path / below, tmp_path / "all.raw")
    assert run(TOOL, "digest", tmp_path / below) == run(TOOL, "digest", tmp_path / "all.raw")
    (tmp_path / "s2.vmdk").unlink()
    assert "disk_missing" in fails(TOOL, "digest", tmp_path / below)


@pytest.mark.parametrize("flags", [[], ["-c"], ["-cdeflate"], ["-crepack"]],
                         ids=["plain", "zstd", "deflate", "repack"])
@pytest.mark.parametrize("kind", ["raw", "streamOptimized"])
def test_qcow2_is_clean_and_equal(kind, flags, raw, digest, tmp_path):
    source = raw
    if kind != "raw":
        source = tmp_path / "d.vmdk"
        run("qemu-img", "convert", "-O", "vmdk", "-o", f"subformat={kind}", raw, source)
    out = tmp_path / "out.qcow2"
    assert run(TOOL, "convert", "-d", "-O", "qcow2", *flags, source, out) == digest
    run("qemu-img", "check", out)
    run("qemu-img", "compare", "-f", "raw", "-F", "qcow2", raw, out)
    assert run(TOOL, "digest", out) == digest  # through qemu-nbd


def streams(raw, grain, path):
    """A streamOptimized file with grains of `grain` bytes, as VMware lays it out: tables behind their
    grains, found by the footer."""
    sector = 512
    size = raw.stat().st_size // sector
    with raw.open("rb") as file, path.open("wb") as out:
        header = bytearray(sector)
        for at, form, value in [(0, "4s", b"KDMV"), (4, "I", 3), (8, "I", 0x30001), (12, "Q", size),
                                (20, "Q", grain // sector), (44, "I", 512), (56, "Q", 2**64 - 1), (64, "Q", 1),
                                (77, "H", 1)]:
            struct.pack_into("<" + form, header, at, value)
        out.write(header)
        directory = []
        for first in range(0, size * sector, grain * 512):
            table = []
            for at in range(first, min(first + grain * 512, size * sector), grain):
                file.seek(at)
                data = file.read(grain).ljust(grain, b"\0")
                table.append(out.tell() // sector if any(data) else 0)
                if table[-1]:
                    packed = zlib.compress(data, 6)
                    out.write(struct.pack("<QI", at // sector, len(packed)) + packed)
                    out.write(bytes(-out.tell() % sector))
            if any(table):
                out.write(struct.pack("<QII", 4, 0, 1).ljust(sector, b"\0"))
            directory.append(out.tell() // sector if any(table) else 0)
            if any(table):
                out.write(b"".join(entry.to_bytes(4, "little") for entry in table).ljust(2048, b"\0"))
        entries = b"".join(entry.to_bytes(4, "little") for entry in directory)
        entries += bytes(-len(entries) % sector)
        out.write(struct.pack("<QII", len(entries) // sector, 0, 2).ljust(sector, b"\0"))
        struct.pack_into("<Q", header, 56, out.tell() // sector)
        out.write(entries + struct.pack("<QII", 1, 0, 3).ljust(sector, b"\0") + header + bytes(sector))


@pytest.mark.parametrize("grain", [8 << 10, 32 << 10, 64 << 10, 128 << 10])
def test_grains_of_any_size_are_repacked_or_coded_again(grain, raw, digest, tmp_path):
    source, out = tmp_path / "d.vmdk", tmp_path / "out.qcow2"
    streams(raw, grain, source)
    assert run(TOOL, "digest", source) == digest
    for stream in [False, True]:
        if stream:
            with out.open("wb") as file:
                subprocess.run([TOOL, "convert", "-O", "qcow2", "-crepack", source, "-"], check=True, stdout=file)
        else:
            run(TOOL, "convert", "-O", "qcow2", "-crepack", source, out)
        run("qemu-img", "check", out)
        run("qemu-img", "compare", "-f", "raw", "-F", "qcow2", raw, out)
        about = json.loads(run("qemu-img", "check", "--output=json", out))
        packed = about.get("compressed-clusters", 0)
        assert packed > 0 if grain == 64 << 10 or not stream else packed == 0


def test_a_damaged_grain_is_not_repacked(raw, tmp_path):
    source = tmp_path / "d.vmdk"
    streams(raw, 64 << 10, source)
    with source.open("r+b") as file:
        file.seek(512 + 8)
        length = int.from_bytes(file.read(4), "little")
        file.seek(512 + 12 + length - 1)
        last = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([last ^ 1]))
    assert "disk_invalid" in fails(TOOL, "convert", "-O", "qcow2", "-crepack", source, tmp_path / "out.qcow2")


def test_a_qcow2_that_was_finished_is_gone_on_with(raw, tmp_path):
    out = tmp_path / "out.qcow2"
    run(TOOL, "convert", "-O", "qcow2", raw, out)
    run(TOOL, "convert", "-n", "-O", "qcow2", raw, out)
    run("qemu-img", "check", out)
    run("qemu-img", "compare", "-f", "raw", "-F", "qcow2", raw, out)


@pytest.mark.parametrize("size", [512, 1 << 20, 512 << 20, (512 << 20) + 65536, 4 << 40])
def test_empty_disks_of_any_size(size, tmp_path):
    with (tmp_path / "e.raw").open("wb") as file:
        file.truncate(size)
    run(TOOL, "convert", "-O", "qcow2", tmp_path / "e.raw", tmp_path / "e.qcow2")
    run("qemu-img", "check", tmp_path / "e.qcow2")
    run("qemu-img", "compare", "-f", "raw", "-F", "qcow2", tmp_path / "e.raw", tmp_path / "e.qcow2")
    assert (tmp_path / "e.qcow2").stat().st_blocks * 512 < 1 << 20


@pytest.mark.parametrize("kind,options", [("qcow2", ""), ("vdi", ""), ("vhdx", ""),
                                          ("vpc", "force_size=on")])
def test_other_formats_are_read_through_qemu_nbd(kind, options, raw, digest, tmp_path):
    more = ["-o", options] if options else []
    run("qemu-img", "convert", "-O", kind, *more, raw, tmp_path / "d")
    assert run(TOOL, "-f", kind, "digest", tmp_path / "d") == digest


@pytest.mark.parametrize("flags,options", [
    ([], "cluster_size=512"), ([], "cluster_size=2M"), ([], "compat=0.10"), ([], "preallocation=metadata"),
    ([], "extended_l2=on"), (["-c"], "cluster_size=4096"), (["-c"], "compression_type=zstd"),
    (["-c"], "cluster_size=2M"), (["-S", "0"], "lazy_refcounts=on")])
def test_qcow2_of_each_kind_is_read(flags, options, raw, digest, tmp_path):
    run("qemu-img", "convert", "-O", "qcow2", *flags, "-o", options, raw, tmp_path / "d.qcow2")
    run("qemu-img", "snapshot", "-c", "one", tmp_path / "d.qcow2")
    run("qemu-io", "-c", "write -P 7 70000 300000", tmp_path / "d.qcow2")
    run("qemu-img", "convert", "-O", "raw", tmp_path / "d.qcow2", tmp_path / "truth.raw")
    assert run(TOOL, "digest", tmp_path / "d.qcow2") == run(TOOL, "digest", tmp_path / "truth.raw") != digest


def test_a_qcow2_with_a_backing_file_is_refused(tmp_path):
    run("qemu-img", "create", "-q", "-f", "qcow2", "a", "1M", cwd=tmp_path)
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", "a", "-F", "qcow2", "b", cwd=tmp_path)
    assert "disk_unsupported" in fails(TOOL, "info", tmp_path / "b")


def test_an_nbd_export_is_written_and_read(raw, digest, tmp_path):
    target = tmp_path / "t.qcow2"
    run("qemu-img", "create", "-q", "-f", "qcow2", target, raw.stat().st_size)
    server = subprocess.Popen(["qemu-nbd", "-f", "qcow2", "-t", "-e", "8", "-k", tmp_path / "s",
                               target])
    try:
        await_socket(server, tmp_path / "s")
        uri = f"nbd+unix:///?socket={tmp_path}/s"
        run(TOOL, "convert", raw, uri)
        assert run(TOOL, "digest", uri) == digest
    finally:
        server.terminate()
        server.wait(30)
    run("qemu-img", "compare", "-f", "raw", "-F", "qcow2", raw, target)


def test_truncated_files_are_errors(raw, tmp_path):
    for kind in ["streamOptimized", "monolithicSparse"]:
        path = tmp_path / f"{kind}.vmdk"
        run("qemu-img", "convert", "-O", "vmdk", "-o", f"subformat={kind}", raw, path)
        os.truncate(path, path.stat().st_size * 2 // 3)
        assert "disk_invalid" in fails(TOOL, "digest", path)


def test_compare_tells_where_disks_differ(raw, tmp_path):
    run("qemu-img", "convert", "-O", "vmdk", raw, tmp_path / "d.vmdk")
    assert run(TOOL, "compare", raw, tmp_path / "d.vmdk") == "identical"
    run("qemu-io", "-f", "vmdk", "-c", "write -P 7 777M 1k", tmp_path / "d.vmdk")
    done = subprocess.run([TOOL, "compare", raw, tmp_path / "d.vmdk"], text=True,
                          stdout=subprocess.PIPE)
    assert done.returncode == 1 and str(777 << 20) in done.stdout
