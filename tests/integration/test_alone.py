# SPDX-License-Identifier: Apache-2.0
"""Without a broker and a database each daemon lives, says what it lacks, stays small, ends at once."""
import json
import os
import pathlib
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from guts_platform import cpu_of_idling
from peers.ports import free_port

BUILD = pathlib.Path(os.environ.get("GUTS_BUILD", pathlib.Path(__file__).resolve().parents[2] / "build"))
NOWHERE = 'broker = { addresses = [ "127.0.0.1:1" ]; };\n'
DATABASE = 'database = { addresses = [ "127.0.0.1:1" ]; };\n'
CONFIGURATIONS = {
    "api": 'http = { listen = "%s"; };\napi = { auth = "none"; };\n' + NOWHERE + DATABASE,
    "scheduler": 'scheduler = { metrics_listen = "%s"; };\n' + NOWHERE + DATABASE,
    "migration": 'node = { name = "alone"; metrics_listen = "%s"; pools = [ "POOL" ]; };\n' + NOWHERE,
}
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask(address, path):
    try:
        with OPENER.open(f"http://{address}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except OSError:
            pass
        assert time.monotonic() < deadline, condition
        time.sleep(0.05)


@pytest.fixture(params=CONFIGURATIONS)
def alone(request, tmp_path):
    (tmp_path / "pool").mkdir()
    address = f"127.0.0.1:{free_port()}"
    path = tmp_path / "daemon.conf"
    path.write_text((CONFIGURATIONS[request.param] % address).replace("POOL", str(tmp_path / "pool")))
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen([BUILD / request.param / f"guts-{request.param}", "--config", path],
                                   stderr=log)
    try:
        wait_for(lambda: ask(address, "/healthz")[0] == 200)
        yield request.param, address, process, tmp_path / "log"
    finally:
        process.kill()
        process.wait()


def test_it_is_alive_and_says_what_it_lacks(alone):
    kind, address, _, _ = alone
    lacks = {"broker"} if kind == "migration" else {"broker", "database"}
    wait_for(lambda: lacks <= set(json.loads(ask(address, "/readyz")[1])["wanting"]))
    status, body = ask(address, "/readyz")
    assert status == 503
    assert all(json.loads(body)["wanting"].values())


def test_it_stays_small_and_quiet(alone):
    _, address, _, _ = alone

    def value(name):
        return float(re.search(rf"^{name} (\S+)$", ask(address, "/metrics")[1], re.M).group(1))

    time.sleep(1)
    used = cpu_of_idling(lambda: value("process_cpu_seconds_total"), 3, 0.03)
    assert used <= 0.03, f"{used} s of CPU in 3 s"
    assert value("process_resident_memory_bytes") < 20 << 20


def test_it_ends_in_time_when_asked(alone):
    _, _, process, log = alone
    asked = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    assert time.monotonic() - asked < 5
    assert '"event":"daemon_ended"' in log.read_text()
    for line in log.read_text().splitlines():
        assert {"at", "level", "daemon", "event", "text"} <= set(json.loads(line))
