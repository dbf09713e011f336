# SPDX-License-Identifier: Apache-2.0
"""Daemons without their peers, killed workers, polite ends."""
import os
import pathlib
import signal
import time

from guts_platform import wait_until


def children(pid):
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(path.read_text().rsplit(")", 1)[1].split()[1]) == pid:
                found.append(int(path.parent.name))
        except (OSError, IndexError, ValueError):
            continue
    return found


def test_daemons_wait_for_broker_and_database_at_their_start(platform):
    platform.prepare()
    platform.broker.stop()
    platform.database.stop()
    platform.start_api()
    platform.start_scheduler()
    platform.start_node()
    wait_until("the API serves", 15, lambda: platform.get("/healthz", raw=True).status == 200)
    time.sleep(2)
    assert all(daemon.alive() for daemon in platform.daemons.values())
    ready = platform.get("/readyz")
    assert ready.status == 503 and "database" in str(ready)
    refused = platform.get("/v1/vms")
    assert refused.status == 503 and refused["code"] == "db_unavailable"
    platform.database.start()
    platform.broker.start()
    platform.wait_ready(1)


def test_wishes_are_accepted_while_only_the_broker_is_away(platform):
    platform.start(1)
    platform.add_fakes()
    platform.broker.stop()
    answer = platform.migrate("fake-000001", "nowhere")
    migration = answer["created"][0]["id"]
    assert platform.migration(migration)["state"] == "PENDING"
    platform.broker.start()
    platform.wait_state(migration, "VERIFIED", 120)


def test_the_database_may_go_away_and_come_back(platform):
    platform.start(1)
    platform.add_fakes()
    first = platform.migrate("fake-000001", "nowhere")["created"][0]["id"]
    platform.database.restart()
    wait_until("the API reads again", 30, lambda: platform.get("/v1/vms").status == 200)
    platform.wait_state(first, "VERIFIED", 120)


def test_a_killed_worker_goes_on_from_its_journal(platform):
    size = 64 << 20
    platform.start(1, worker={"flush_bytes": "1MiB", "flush_interval": "200ms"})
    platform.add_fakes(vms=1, disk_bytes=size, data_percent=100, bytes_per_second=4 << 20)
    migration = platform.migrate("fake-000001", "nowhere",
                                 options={"store": "file"})["created"][0]["id"]
    wait_until("half of it is copied", 60,
               lambda: platform.migration(migration)["done_bytes"] > size // 2, 0.05)
    workers = children(platform.daemons["node-1"].pid)
    assert workers, "the worker had ended before it could be killed"
    os.kill(workers[0], signal.SIGKILL)
    done = platform.wait_state(migration, "VERIFIED", 120)
    assert done["attempt"] == 1 and done["resumes"] == 1, done
    # From its beginning it would be half as much again; what a slow flush had not covered is read twice.
    assert done["read_bytes"] < size * 1.2, done["read_bytes"] / size


def test_every_daemon_ends_politely_and_soon(platform):
    platform.start(1)
    platform.add_fakes()
    migration = platform.migrate("fake-000001", "nowhere")["created"][0]["id"]
    for name in ("node-1", "scheduler", "api"):
        assert platform.daemons[name].stop(30) < 5.0, name
    platform.start_api()
    platform.start_scheduler()
    platform.start_node()
    platform.wait_ready(1)
    platform.wait_state(migration, "VERIFIED", 120)


def test_a_frozen_database_does_not_hold_a_scheduler_that_is_told_to_end(platform):
    platform.start(1)
    platform.database.freeze()
    time.sleep(1)  # it is in the middle of a query then
    took = platform.daemons["scheduler"].stop(30)
    platform.database.thaw()
    assert took < 10.0, took


def test_daemons_idle_cheaply(platform):
    platform.prepare()
    platform.start_api()
    platform.start_scheduler(idle_interval="1s")  # its default
    platform.start_node()
    platform.wait_ready(1)
    time.sleep(3)
    least = {}
    for _ in range(4):  # whoever else uses cores and caches makes some spans dear
        before = {name: daemon.cpu_seconds() for name, daemon in platform.daemons.items()}
        time.sleep(10)
        for name, daemon in platform.daemons.items():
            least[name] = min(least.get(name, 10), daemon.cpu_seconds() - before[name])
        if max(least.values()) < 0.1:
            break
    for name, daemon in platform.daemons.items():
        resident, used = daemon.resident_bytes(), least[name]
        print(f"{name}: {resident / 2**20:.1f} MiB resident, {used * 10:.2f} % of a core")
        assert resident < 20 << 20, name
        assert used < 0.1, f"{name} used {used} s of 10: more than 1 % of a core"
