# SPDX-License-Identifier: Apache-2.0
"""guts-api while something is away, and at its end."""
import json
import subprocess
import threading
import time
import uuid

import pytest
import requests

from api_fixtures import api, listen, rows, world  # noqa: F401
from api_world import BUILD, Api
from guts_platform import cpu_of_idling, cpu_seconds_of


# -- outages --------------------------------------------------------------------------------------

def test_the_broker_away_is_told_and_wishes_are_still_accepted(api):
    ready = api.get_raw("/readyz")  # this API was given no broker at all
    assert ready.status_code == 503 and "broker" in ready.text
    api.call("POST", "/v1/sources/lab/refresh", status=202)


def test_the_database_away_is_told_and_comes_back(api, database, rows, world):
    migration = f"/v1/migrations/{world.migration}"
    api.call("GET", migration, status=200)
    database.stop()
    for path in (migration, f"/v1/vms/{world.vm}", "/v1/sources", "/v1/nodes"):
        answer = api.call("GET", path, status=503)
        assert answer["code"] == "db_unavailable"
    answer = api.get_raw(migration, api.headers())
    assert answer.headers["Retry-After"] == "2"
    assert api.call("POST", "/v1/sources/lab/test", status=503)["code"] == "db_unavailable"
    api.wait(lambda: api.get_raw("/readyz").status_code == 503 and
             "database" in api.get_raw("/readyz").text, 30)
    assert api.get_raw("/healthz").status_code == 200
    database.start()
    api.wait(lambda: api.get_raw(migration, api.headers()).status_code == 200, 30)
    api.wait(lambda: "not reached" not in api.get_raw("/readyz").text, 30)
    rows.connect()
    wish = api.call("POST", "/v1/sources/lab/test", status=202)["wish"]
    assert rows.run("SELECT 1 FROM wishes WHERE id = %s", uuid.UUID(wish["id"]).bytes)


def test_a_database_that_hangs_is_told_in_time(api, database, world):
    database.freeze()
    begun = time.monotonic()
    answer = api.call("GET", f"/v1/migrations/{world.migration}")
    assert answer["status"] in (503, 504)
    assert time.monotonic() - begun < 20
    database.thaw()
    api.wait(lambda: api.get_raw("/v1/vms", api.headers()).status_code == 200, 30)


def test_shows_are_never_older_than_the_last_commit(api, rows, world):
    """While many ask for the same migration, each that asks after a commit sees it."""
    stop, failures = threading.Event(), []
    path = f"{api.url}/v1/migrations/{world.migration}"

    def ask_all_the_time():
        session = requests.Session()
        session.trust_env = False
        while not stop.is_set():
            session.get(path, headers=api.headers())
    crowd = [threading.Thread(target=ask_all_the_time) for _ in range(8)]
    for one in crowd:
        one.start()
    session = requests.Session()
    session.trust_env = False
    for number in range(200):
        rows.run("UPDATE migrations SET done_bytes = %s WHERE id = %s", number,
                 uuid.UUID(world.migration).bytes)
        shown = session.get(path, headers=api.headers()).json()["done_bytes"]
        if shown != number:
            failures.append((number, shown))
    stop.set()
    for one in crowd:
        one.join()
    assert failures == []


def test_it_ends_in_time_with_open_streams_and_starts_again(tmp_path, database, world):
    other = Api(tmp_path, database, world.rows)
    other.token = world.tokens["admin"]
    other.wait_usable()
    heard = []

    def follow():
        with other.get_raw("/v1/events/stream", other.headers(), stream=True) as answer:
            for line in answer.iter_lines(chunk_size=1):
                heard.append(line)
        heard.append(None)
    reader = threading.Thread(target=follow)
    reader.start()
    other.wait(lambda: heard != [], 20)
    took, status = other.stop()
    reader.join()
    assert status == 0 and took < 5 and heard[-1] is None
    services = world.api.call("GET", "/v1/services")["services"]
    assert f":{other.port}" not in json.dumps(services)


def test_it_ends_in_time_while_the_database_hangs(tmp_path, database, world):
    other = Api(tmp_path, database, world.rows)
    other.token = world.tokens["admin"]
    other.wait_usable()
    database.freeze()

    def ask():
        try:
            other.get_raw("/v1/vms", other.headers())
        except requests.RequestException:
            pass  # cut off, or answered: both are fine here
    asked = threading.Thread(target=ask)
    asked.daemon = True
    asked.start()
    time.sleep(1)
    took, status = other.stop()
    assert status == 0 and took < 5.5  # it gives itself 4 s


def test_without_authentication_only_loopback_is_served(tmp_path, database, world):
    other = Api(tmp_path, database, world.rows, auth="none")
    other.wait_usable()
    assert other.call("GET", "/v1/vms", status=200)["vms"]
    foreign = other.get_raw("/v1/vms", {"Host": "evil.example:7000"})
    assert foreign.status_code == 403
    assert other.stop()[1] == 0
    text = other.config.read_text().replace("127.0.0.1:" + str(other.port), "0.0.0.0:0")
    other.config.write_text(text)
    done = subprocess.run([BUILD / "api/guts-api", "--config", other.config], capture_output=True,
                          text=True, timeout=20)
    assert done.returncode == 3 and "loopback" in done.stderr


def test_it_speaks_tls(tmp_path, database, world):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True)
    other = Api(tmp_path / "api", database, world.rows, tls=certificate,
                tls_certificate=f'"{certificate}"', tls_key=f'"{key}"')
    other.token = world.tokens["admin"]
    other.wait_usable()
    assert other.url.startswith("https://")
    other.call("GET", f"/v1/migrations/{world.migration}", status=200)
    heard = listen(other, "/v1/events/stream?after=0", 1)
    assert heard[0][0] == 1
    assert other.stop()[1] == 0


def test_it_waits_for_a_database_that_is_not_there_yet(tmp_path, database, world):
    database.stop()
    other = Api(tmp_path, database, world.rows)
    other.token = world.tokens["admin"]
    assert other.call("GET", "/v1/vms", status=503)["code"] == "db_unavailable"
    database.start()
    other.wait_usable()
    other.call("GET", "/v1/vms", status=200)
    assert other.stop()[1] == 0
    world.rows.connect()


def test_it_idles_small(world):
    pid = world.api.process.pid
    status = open(f"/proc/{pid}/status").read()
    resident = int(status.split("VmRSS:")[1].split()[0])
    print(f"resident after all of these tests: {resident} KiB")
    assert cpu_of_idling(lambda: cpu_seconds_of(pid), 3, 0.03) <= 0.03  # 1 %
