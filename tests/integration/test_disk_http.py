# SPDX-License-Identifier: Apache-2.0
"""Disks read by HTTP ranges, and streams of known length uploaded by PUT."""
import gzip
import os
import random
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import pytest

from disk_server import Server
from test_disk_kinds import stream

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


def test_a_vmdk_in_gzip_is_read_from_a_file_and_from_a_server(raw, server):
    with gzip.open(raw.parent / "s.vmdk.gz", "wb", 1) as packed:
        packed.write((raw.parent / "s.vmdk").read_bytes())
    (raw.parent / "text.gz").write_bytes(gzip.compress(b"text" * 1000))
    wanted = run(TOOL, "digest", raw)
    assert run(TOOL, "digest", raw.parent / "s.vmdk.gz") == wanted
    assert run(TOOL, "digest", server.url("s.vmdk.gz")) == wanted
    assert "disk_invalid: gzip (of a streamOptimized VMDK only)" in fails(TOOL, "info", raw.parent / "text.gz")


def test_little_memory_suffices_for_both_ends(raw, server):
    for memory in (1, 6):
        run(TOOL, "convert", "--memory", memory, "-O", "qcow2", server.url("s.vmdk"), server.url("little.qcow2"))
        equal(raw, raw.parent / "little.qcow2")


def test_tables_among_the_data_are_read_without_the_data(server, raw, tmp_path):
    truth = b"".join(os.urandom(65536) if i % 4 == 0 else bytes(65536) for i in range(6 * 512))
    (raw.parent / "t.vmdk").write_bytes(stream(truth))
    (tmp_path / "t.raw").write_bytes(truth)
    assert f"size      {len(truth)}" in run(TOOL, "info", server.url("t.vmdk"))
    asked = [re.findall(r"\d+", range) for _, _, range in server.requests]
    # The head, six tables, and the last block with footer and directory.
    assert sum(int(last) - int(first) + 1 for first, last in asked) < 1 << 20 < len(truth) // 40
    assert run(TOOL, "digest", server.url("t.vmdk")) == run(TOOL, "digest", tmp_path / "t.raw")


def test_broken_answers_are_asked_for_again(raw, server):
    server.break_every = 3
    assert run(TOOL, "digest", server.url("s.vmdk")) == run(TOOL, "digest", raw)


@pytest.mark.parametrize("named", ['"two"', None])
def test_a_thing_that_changes_or_is_named_no_more_is_noticed(named, raw, server):
    server.rate = 20 << 20
    reader = subprocess.Popen([TOOL, "digest", server.url("a.raw")], stderr=subprocess.PIPE, text=True)
    while len(server.requests) < 6:
        assert reader.poll() is None
    server.etag = named
    assert "source_changed" in reader.communicate(timeout=60)[1]
    assert reader.returncode == 2


def test_servers_that_cannot_serve_it_are_told_apart(raw, server):
    assert "not_found" in fails(TOOL, "info", server.url("gone"))
    server.no_ranges = True
    assert "access    sequential" in run(TOOL, "info", server.url("a.raw"))
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


class Scripted:
    """Answers each request with what `script` makes of its number, first and last byte; the body is `data`'s."""

    def __init__(self, data, script):
        self.data, self.script, self.count = data, script, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.serve, daemon=True).start()

    def url(self):
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}/a?signature=secret"

    def serve(self):
        while True:
            try:
                peer = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.talk, args=(peer,), daemon=True).start()

    def talk(self, peer):
        with peer, peer.makefile("rb") as lines:
            head = b"".join(iter(lines.readline, b"\r\n")).decode()
            found = re.search(r"Range: bytes=(\d+)-(\d+)", head)
            self.count += 1
            try:
                self.script(self, peer, self.count, *(int(number) for number in found.groups()))
            except OSError:
                pass

    def good(self, first, last, total=None, length=None):
        total = total or len(self.data)
        return (f"HTTP/1.1 206 Partial\r\nContent-Range: bytes {first}-{last}/{total}\r\nETag: \"a\"\r\n"
                f"Content-Length: {last - first + 1}\r\nConnection: close\r\n\r\n").encode() + \
            self.data[first:last + 1][:length]


def shift(server, peer, number, first, last):
    """From the second on, bytes of another place, which the head tells."""
    peer.sendall(server.good(first, last) if number == 1 else server.good(first + 512, last + 512))


def other(server, peer, number, first, last):
    """From the second on, a longer thing under the same name."""
    peer.sendall(server.good(first, last, None if number == 1 else 1 << 30))


def renamed(server, peer, number, first, last):
    """A server that knows no If-Range: another ETag comes with a 206."""
    peer.sendall(server.good(first, last).replace(b'"a"', b'"b"' if number > 1 else b'"a"'))


def endless_head(server, peer, number, first, last):
    peer.sendall(b"HTTP/1.1 206 Partial\r\n")
    for _ in range(100000):
        peer.sendall(b"X-Filler: " + b"x" * 1000 + b"\r\n")


def too_much(server, peer, number, first, last):
    peer.sendall(server.good(first, last).replace(b"Content-Length:", b"X:") + bytes(1 << 20))


def redirect(server, peer, number, first, last):
    if number == 1:
        return peer.sendall(server.good(first, last))
    return peer.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n"
                        b"Connection: close\r\n\r\n")


def no_range(server, peer, number, first, last):
    peer.sendall(server.good(first, last).replace(b"Content-Range", b"X-Range"))


@pytest.mark.parametrize("script,code", [(shift, "io"), (other, "source_changed"), (renamed, "source_changed"),
                                         (endless_head, "io"), (too_much, "io"), (redirect, "unsupported"),
                                         (no_range, "disk_invalid")])
def test_servers_that_lie_are_refused(script, code):
    server = Scripted(random.Random(3).randbytes(3 << 20), script)
    started = time.monotonic()
    said = fails(TOOL, "digest", server.url())
    assert f"guts-disk: {code}:" in said or f"{code}" in said.split(":")[1], said
    assert "secret" not in said
    assert time.monotonic() - started < 40
    server.listener.close()


def test_answers_cut_short_everywhere_are_put_together(tmp_path):
    """Each answer but the first breaks off behind 100 KB."""
    data = random.Random(4).randbytes((2 << 20) + 512)
    (tmp_path / "a.raw").write_bytes(data)
    server = Scripted(data, lambda server, peer, number, first, last:
                      peer.sendall(server.good(first, last, length=None if number == 1 else 100000)))
    assert run(TOOL, "digest", server.url()) == run(TOOL, "digest", tmp_path / "a.raw")
    server.listener.close()


def test_answers_that_hardly_move_are_given_up():
    server = Scripted(bytes(1 << 20), lambda server, peer, number, first, last:
                      peer.sendall(server.good(first, last, length=None if number == 1 else 10)))
    fails(TOOL, "digest", server.url())
    assert server.count < 20
    server.listener.close()


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
