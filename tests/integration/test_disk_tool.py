# SPDX-License-Identifier: Apache-2.0
"""guts-disk in bad company: wrong words, interrupts, full disks. It says what is wrong, exits with 2 and
leaves no half file that looks like a whole one."""
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from nbd_peer import await_socket

TOP = Path(__file__).resolve().parents[2]
TOOL = Path(os.environ.get("GUTS_BUILD", TOP / "build")) / "migration/disk/tool/guts-disk"
SIZE = 24 << 20


@pytest.fixture
def raw(tmp_path):
    (tmp_path / "a.raw").write_bytes(os.urandom(SIZE))
    return tmp_path / "a.raw"


def fails(*words, **more):
    done = subprocess.run([str(word) for word in words], text=True, capture_output=True, timeout=60, **more)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.startswith("guts-disk: "), done.stderr
    return done.stderr


@pytest.mark.parametrize("words,told", [
    ([], "see guts-disk --help"), (["frob", "x"], "see guts-disk --help"), (["info"], "see guts-disk --help"),
    (["info", "nowhere"], "not_found"), (["info", "/tmp"], "neither a regular file"),
    (["digest", "-f", "vdi", "a.raw"], "disk_invalid: vdi a.raw: qemu-nbd ended"),
    (["digest", "-f", "frob", "a.raw"], "is no format"), (["convert", "-O", "vmdk", "a.raw", "b"], "--to takes"),
    (["convert", "-c", "a.raw", "b"], "--compress is for"), (["convert", "--sha512", "a.raw", "b"], "--sha512 is for"),
    (["convert", "a.raw", "./a.raw"], "are one file"), (["convert", "a.raw", "nowhere/b"], "not_found"),
    (["--rate", "x", "info", "a.raw"], "is not a number"), (["compare", "a.raw", "nowhere"], "not_found"),
    (["digest", "nbd://127.0.0.1:1/x"], "unavailable"), (["digest", "http://127.0.0.1:1/x"], "unavailable"),
])
def test_wrong_words_are_named(words, told, raw):
    assert told in fails(TOOL, *words, cwd=raw.parent)
    assert raw.stat().st_size == SIZE
    assert [path.name for path in raw.parent.iterdir()] == ["a.raw"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("format", ["raw", "qcow2"])
def test_an_interrupted_copy_leaves_nothing_that_it_made(format, number, raw, tmp_path):
    (tmp_path / "old").touch()
    for name in ["new", "old"]:
        out = tmp_path / name
        copy = subprocess.Popen([TOOL, "convert", "--rate", "2", "-O", format, raw, out],
                                stderr=subprocess.PIPE, text=True)
        end = time.monotonic() + 60
        while time.monotonic() < end and not (out.exists() and out.stat().st_blocks > 512):
            assert copy.poll() is None
            time.sleep(0.02)
        copy.send_signal(number)
        told = copy.communicate(timeout=60)[1]
        assert copy.returncode == 2 and "cancelled" in told
        assert out.exists() == (name == "old")
        assert ("holds a part of the copy" in told) == (name == "old")


@pytest.mark.parametrize("words,bars", [(["convert", "a.raw", "out"], 1), (["digest", "a.raw"], 1),
                                        (["compare", "a.raw", "a.raw"], 2)])
def test_progress_is_shown_to_its_end(words, bars, raw):
    done = subprocess.run([TOOL, "-p", "--rate", "8", *words], cwd=raw.parent, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.strip(b"\n").split(b"\n")
    assert len(lines) == bars
    for line in lines:
        assert line.count(b"\r") > 2, "drawn more than once"
        assert b"100.0 %  24 of 24 MiB" in line.split(b"\r")[-1]


@pytest.mark.skipif(not shutil.which("qemu-img"), reason="qemu-img is not installed")
def test_an_input_that_stops_to_come_does_not_hold_up_an_interrupt(raw, tmp_path):
    image, out = tmp_path / "s.vmdk", tmp_path / "out"
    subprocess.run(["qemu-img", "convert", "-O", "vmdk", "-o", "subformat=streamOptimized", raw, image], check=True)
    copy = subprocess.Popen([TOOL, "convert", "-", out], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    copy.stdin.write(image.read_bytes()[:SIZE // 2])
    copy.stdin.flush()
    end = time.monotonic() + 30
    while time.monotonic() < end and not (out.exists() and out.stat().st_blocks > 512):
        time.sleep(0.02)
    copy.send_signal(signal.SIGINT)
    assert copy.wait(60) == 2 and b"cancelled" in copy.stderr.read()
    assert not out.exists()


@pytest.mark.skipif(not shutil.which("qemu-nbd"), reason="qemu-nbd is not installed")
@pytest.mark.parametrize("side", ["source", "target"])
def test_a_server_that_freezes_does_not_hold_up_an_interrupt(side, raw, tmp_path):
    image, socket = tmp_path / "image", tmp_path / "s"
    image.write_bytes(os.urandom(SIZE))
    server = subprocess.Popen(["qemu-nbd", "-t", "-e", "8", "-f", "raw", "-k", socket, image])
    try:
        await_socket(server, socket)
        uri = f"nbd+unix:///?socket={socket}"
        ends = [uri, tmp_path / "out"] if side == "source" else [raw, uri]
        copy = subprocess.Popen([TOOL, "convert", "--rate", "2", *ends], stderr=subprocess.PIPE, text=True)
        time.sleep(1)
        server.send_signal(signal.SIGSTOP)
        time.sleep(0.5)
        copy.send_signal(signal.SIGINT)
        told = copy.communicate(timeout=60)[1]
        assert copy.returncode == 2 and "cancelled" in told
        assert not (tmp_path / "out").exists()
    finally:
        server.kill()
        server.wait(30)


@pytest.mark.parametrize("format", ["raw", "qcow2"])
def test_a_file_that_may_not_grow_is_an_error_and_goes(format, raw, tmp_path):
    told = fails("sh", "-c", f'ulimit -f 20000; exec "$0" convert -O {format} "$1" "$2"', TOOL, raw, tmp_path / "out")
    assert "too_large" in told and "File too large" in told
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("words", ['digest "$1"', '--help', 'map "$1"', 'convert "$1" -', 'convert -O qcow2 "$1" -'])
def test_output_that_goes_nowhere_is_an_error(words, raw):
    assert "No space left" in fails("sh", "-c", f'exec "$0" {words} > /dev/full', TOOL, raw)


def test_a_full_filesystem_is_an_error_and_the_half_file_goes(raw, tmp_path):
    (tmp_path / "small").mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", tmp_path / "small"], capture_output=True)
    if made.returncode != 0:
        pytest.skip("no filesystem may be mounted")
    try:
        for format in ["raw", "qcow2"]:
            assert "no_space" in fails(TOOL, "convert", "-O", format, raw, tmp_path / "small/out")
            assert not (tmp_path / "small/out").exists()
    finally:
        subprocess.run(["umount", "-l", tmp_path / "small"], check=True)


def test_zeroes_among_data_take_no_room(tmp_path):
    """Room is taken for several writes at once; what turns out to be zero gives it back."""
    data = os.urandom(256 << 10) + bytes(256 << 10) + os.urandom(448 << 10) + bytes(64 << 10)
    (tmp_path / "a.raw").write_bytes(data * 16)
    subprocess.run([TOOL, "convert", tmp_path / "a.raw", tmp_path / "b.raw"], check=True, timeout=60)
    assert (tmp_path / "b.raw").read_bytes() == data * 16
    assert (tmp_path / "b.raw").stat().st_blocks * 512 < 16 * (704 << 10) + (1 << 20)
