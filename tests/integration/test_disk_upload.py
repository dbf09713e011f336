# SPDX-License-Identifier: Apache-2.0
"""Transfers as an image service has them: uploads that are refused, cut off or stuck, tokens, and downloads
from a server without ranges."""
import os
import random
import re
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
TOOL = Path(os.environ.get("GUTS_BUILD", TOP / "build")) / "migration/disk/tool/guts-disk"
MIB = 1 << 20


class Peer:
    """A server whose every connection is `script(peer, connection, head, lines)`."""

    def __init__(self, script):
        self.script, self.heads = script, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.serve, daemon=True).start()

    def url(self):
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}/v2/images/one/file"

    def serve(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def talk(self, connection):
        with connection, connection.makefile("rb") as lines:
            head = b"".join(iter(lines.readline, b"\r\n")).decode()
            self.heads.append(head)
            try:
                self.script(self, connection, head, lines)
            except OSError:
                pass


@pytest.fixture
def peer():
    made = []

    def make(script):
        made.append(Peer(script))
        return made[-1]
    yield make
    for each in made:
        each.listener.close()


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    path = tmp_path_factory.mktemp("upload") / "a.raw"
    path.write_bytes(random.Random(5).randbytes(24 * MIB))
    return path


def convert(*words, **more):
    return subprocess.Popen([str(word) for word in (TOOL, "convert", "-O", "qcow2", *words)], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)


def answer(status, body):
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()


def swallow(lines):
    while lines.read1(MIB):
        pass


@pytest.mark.parametrize("rate", [[], ["--rate", "1"]], ids=["fast", "slow-source"])
@pytest.mark.parametrize("status,code", [("401 No", "denied"), ("404 Gone", "not_found"), ("409 Conflict", "conflict"),
                                         ("413 Large", "no_space"), ("500 Oh", "unavailable")])
def test_an_answer_in_mid_upload_ends_the_copy_at_once(status, code, rate, raw, peer):
    def script(peer, connection, head, lines):
        lines.read(100000)
        connection.sendall(answer(status, "<h1>Quota\r\n\x1b[2J   exceeded</h1>" + "x" * 100000))
        swallow(lines)
    started = time.monotonic()
    said = convert(*rate, raw, peer(script).url()).communicate(timeout=60)[1]
    assert time.monotonic() - started < 16  # at 1 MiB a second the disk takes 24 s
    assert f"guts-disk: {code}:" in said and status[:3] in said
    assert "<h1>Quota [2J exceeded</h1>xxx" in said and len(said) < 600


def test_a_peer_that_takes_nothing_does_not_hold_up_a_stop(raw, peer):
    stuck = threading.Event()
    there = peer(lambda *_: stuck.wait(100))
    going = convert(raw, there.url())
    end = time.monotonic() + 30
    while not there.heads and time.monotonic() < end:
        time.sleep(0.02)
    time.sleep(1)
    assert going.poll() is None
    started = time.monotonic()
    going.send_signal(signal.SIGINT)
    said = going.communicate(timeout=60)[1]
    stuck.set()
    assert time.monotonic() - started < 30
    assert going.returncode == 2 and "guts-disk: cancelled:" in said


def test_a_connection_that_breaks_is_an_error(raw, peer):
    said = convert(raw, peer(lambda peer, connection, head, lines: lines.read(MIB)).url()).communicate(timeout=60)[1]
    assert re.match("guts-disk: (io|unavailable):", said), said


def test_an_answer_that_never_comes_is_uncertain(raw, peer):
    def script(peer, connection, head, lines):
        lines.read(int(re.search(r"Content-Length: (\d+)", head)[1]))
    assert "guts-disk: uncertain:" in convert(raw, peer(script).url()).communicate(timeout=60)[1]


def test_headers_of_a_file_are_sent_and_never_shown(raw, peer, tmp_path):
    (tmp_path / "headers").write_text("X-Auth-Token: gAAAsecret\nContent-Type: application/octet-stream\n")

    def script(peer, connection, head, lines):
        lines.read(int(re.search(r"Content-Length: (\d+)", head)[1]))
        connection.sendall(answer("204 No Content", ""))
    there = peer(script)
    going = convert("--headers", tmp_path / "headers", raw, there.url())
    assert "gAAAsecret" not in Path(f"/proc/{going.pid}/cmdline").read_text()
    said = going.communicate(timeout=60)
    assert going.returncode == 0 and "gAAAsecret" not in "".join(said)
    assert "X-Auth-Token: gAAAsecret\r\n" in there.heads[0] and "Expect" not in there.heads[0]


@pytest.mark.parametrize("text", ["no colon", "A: b\n" * 40])
def test_files_that_hold_no_headers_are_refused(text, tmp_path):
    (tmp_path / "headers").write_text(text)
    done = subprocess.run([TOOL, "info", "--headers", tmp_path / "headers", "/dev/null"], text=True, capture_output=True)
    assert done.returncode == 2 and "guts-disk: invalid:" in done.stderr


# -- downloads ---------------------------------------------------------------------------------------

def whole(data, etag='"e"', stop=None, more=""):
    """Answers each request with all of it; `stop` cuts the n-th answer where it says."""
    def script(peer, connection, head, lines):
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(data)}\r\nETag: {etag}\r\n{more}"
                           f"Connection: close\r\n\r\n".encode())
        connection.sendall(data[:(stop or {}).get(len(peer.heads))])
    return script


def digest(name, *words):
    return subprocess.run([TOOL, "digest", *words, name], text=True, capture_output=True, timeout=60)


def test_a_server_without_ranges_is_read_once(raw, peer):
    there = peer(whole(raw.read_bytes()))
    assert digest(there.url()).stdout == digest(raw).stdout
    assert len(there.heads) == 3  # a range is refused, its first bytes looked at, all read


def test_a_stream_optimized_vmdk_behind_a_server_without_ranges(raw, peer, tmp_path):
    subprocess.run(["qemu-img", "convert", "-O", "vmdk", "-o", "subformat=streamOptimized", raw, tmp_path / "s"], check=True)
    assert digest(peer(whole((tmp_path / "s").read_bytes())).url()).stdout == digest(raw).stdout


def test_what_breaks_without_ranges_is_read_again_and_skipped(raw, peer):
    there = peer(whole(raw.read_bytes(), stop={2: 3 * MIB + 7, 3: 9 * MIB}))
    assert digest(there.url(), "-f", "raw").stdout == digest(raw).stdout
    assert len(there.heads) == 4


def test_what_breaks_and_is_another_thing_then_is_told(raw, peer):
    def script(peer, connection, head, lines):
        first = len(peer.heads) < 3
        whole(raw.read_bytes(), f'"{len(peer.heads) > 2}"', {2: 3 * MIB} if first else None)(peer, connection, head, lines)
    assert "source_changed" in digest(peer(script).url(), "-f", "raw").stderr


def test_what_breaks_is_gone_on_with_by_a_range(raw, peer):
    data = raw.read_bytes()

    def script(peer, connection, head, lines):
        found = re.search(r"Range: bytes=(\d+)-\r", head)
        if not found:  # a probe's range is not served
            return whole(data, stop={2: 5 * MIB + 3})(peer, connection, head, lines)
        first = int(found[1])
        assert 'If-Range: "e"' in head
        connection.sendall(f"HTTP/1.1 206 Partial\r\nContent-Range: bytes {first}-{len(data) - 1}/{len(data)}\r\n"
                           f"Content-Length: {len(data) - first}\r\nETag: \"e\"\r\nConnection: close\r\n\r\n".encode())
        return connection.sendall(data[first:])
    there = peer(script)
    assert digest(there.url(), "-f", "raw").stdout == digest(raw).stdout
    assert len(there.heads) == 3


def test_downloads_that_give_nothing_or_tell_no_length_are_refused(raw, peer):
    def script(peer, connection, head, lines):
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + bytes(MIB))
    assert "unsupported" in digest(peer(script).url()).stderr
    there = peer(whole(raw.read_bytes(), stop={number: 0 for number in range(100)}))
    assert "guts-disk: io:" in digest(there.url(), "-f", "raw").stderr
    assert len(there.heads) < 10


def test_a_qcow2_behind_http_is_not_taken_for_raw(raw, peer, tmp_path):
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, tmp_path / "q"], check=True)
    assert "guts-disk: unsupported:" in digest(peer(whole((tmp_path / "q").read_bytes())).url()).stderr
