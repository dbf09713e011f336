# SPDX-License-Identifier: Apache-2.0
"""Disks read by HTTP ranges, and streams of known length uploaded by PUT."""
import os
import random
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from disk_server import Server

TOP = Path(__file__).resolve().parents[2]
TOOL = Path(os.environ.get("GUTS_BUILD", TOP / "build")) / "migration/disk/tool/guts-disk"

pytestmark = pytest.mark.skipif(not shutil.which("qemu-img"), reason="qemu-img is not installed")


def run(*words, **more):
    return subprocess.run([str(word) for word in words], check=True, text=True,
                          stdout=subprocess.PIPE, **more).stdout.strip()


def fails(*words):
    done = subprocess.run([str(word) for word in words], text=True, capture_output=True, timeout=60)
    assert done.returncode == 2, done.stdout + done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    dice = random.Random(12)
    path = tmp_path_factory.mktemp("http") / "a.raw"
    size = (700 << 20) + 512
    with path.open("wb") as file:
        file.truncate(size)
        for number in range(30):
            file.seek(dice.randrange(0, size - (4 << 20)) // 512 * 512)
            length = dice.choice([512, 4096, 65536, 1000000, 3000000])
            file.write(dice.choice([dice.randbytes(length), b"guts %6d" % number * (length // 11)]))
        file.seek(size - 700)
        file.write(dice.randbytes(700))
    run("qemu-img", "convert", "-O", "vmdk", "-o", "subformat=streamOptimized", path, path.parent / "s.vmdk")
    return path


@pytest.fixture
def server(raw):
    server = Server(raw.parent)
    yield server
    server.shutdown()


def equal(raw, out):
    run("qemu-img", "check", out)
    run("qemu-img", "compare", "-f", "raw", "-F", "qcow2", raw, out)


def test_a_vmdk_behind_http_is_read_by_ranges(raw, server):
    assert run(TOOL, "digest", server.url("s.vmdk")) == run(TOOL, "digest", raw)
    assert all(range for _, _, range in server.requests)


def test_broken_answers_are_asked_for_again(raw, server):
    server.break_every = 3
    assert run(TOOL, "digest", server.url("s.vmdk")) == run(TOOL, "digest", raw)


def test_a_thing_that_changes_is_noticed(raw, server, tmp_path):
    server.rate = 20 << 20
    reader = subprocess.Popen([TOOL, "digest", server.url("a.raw")], stderr=subprocess.PIPE, text=True)
    while len(server.requests) < 6:
        assert reader.poll() is None
    server.etag = '"two"'
    assert "source_changed" in reader.communicate(timeout=60)[1]
    assert reader.returncode == 2


def test_servers_that_cannot_serve_it_are_told_apart(raw, server):
    assert "not_found" in fails(TOOL, "info", server.url("gone"))
    server.no_ranges = True
    assert "unsupported" in fails(TOOL, "info", server.url("a.raw"))
    server.no_ranges, server.token = False, "secret"
    assert "denied" in fails(TOOL, "info", server.url("a.raw"))
    assert "unavailable" in fails(TOOL, "info", "http://127.0.0.1:1/a.raw")


@pytest.mark.parametrize("source", ["a.raw", "s.vmdk"])
def test_a_qcow2_stream_is_clean_and_equal(source, raw, tmp_path):
    with (tmp_path / "out").open("wb") as out:
        said = subprocess.run([TOOL, "convert", "-d", "--sha512", "-O", "qcow2", raw.parent / source, "-"],
                              check=True, stdout=out, stderr=subprocess.PIPE, text=True).stderr.split()
    equal(raw, tmp_path / "out")
    assert said[0] == run(TOOL, "digest", raw)
    assert said[1] == run("sha512sum", tmp_path / "out").split()[0]


@pytest.mark.parametrize("size", [512, 65536, 512 << 20, (512 << 20) + 65536 * 3 + 512, 3 << 40])
def test_streams_of_empty_disks(size, tmp_path):
    with (tmp_path / "e.raw").open("wb") as file:
        file.truncate(size)
        file.seek(size // 2 // 512 * 512)
        file.write(b"x")
    with (tmp_path / "out").open("wb") as out:
        subprocess.run([TOOL, "convert", "-O", "qcow2", tmp_path / "e.raw", "-"], check=True, stdout=out)
    if size < 1 << 40:
        equal(tmp_path / "e.raw", tmp_path / "out")
    else:
        run("qemu-img", "check", tmp_path / "out")
        assert run(TOOL, "digest", tmp_path / "out") == run(TOOL, "digest", tmp_path / "e.raw")


@pytest.mark.parametrize("flags", [[], ["-crepack"]], ids=["plain", "repack"])
def test_http_to_http_in_one_pass(flags, raw, server):
    server.requests.clear()
    run(TOOL, "convert", "-O", "qcow2", *flags, server.url("s.vmdk"), server.url("up.qcow2"))
    equal(raw, raw.parent / "up.qcow2")
    length = [length for method, _, length in server.requests if method == "PUT"]
    assert length == [str((raw.parent / "up.qcow2").stat().st_size)]


def test_https_is_verified(raw, tmp_path):
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", tmp_path / "key", "-out", tmp_path / "cert",
        stderr=subprocess.DEVNULL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    server = Server(raw.parent, context)
    assert "denied" in fails(TOOL, "digest", server.url("s.vmdk"))
    environment = {**os.environ, "CURL_CA_BUNDLE": str(tmp_path / "cert")}
    assert run(TOOL, "digest", server.url("s.vmdk"), env=environment) == run(TOOL, "digest", raw)
    server.shutdown()


def test_a_refused_upload_is_an_error(raw, server):
    for status, code in [(403, "denied"), (507, "no_space"), (503, "unavailable")]:
        server.refuse = status
        assert code in fails(TOOL, "convert", "-O", "qcow2", raw, server.url("up2.qcow2"))


def test_a_raw_stream_holds_every_byte(raw, tmp_path):
    with (tmp_path / "out").open("wb") as out:
        subprocess.run([TOOL, "convert", raw, "-"], check=True, stdout=out)
    run("cmp", raw, tmp_path / "out")
