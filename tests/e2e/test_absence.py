# SPDX-License-Identifier: Apache-2.0
"""Broker or database away for much longer than lease and takeover: no copy stops, none is taken over. The
standard times (a takeover of 190 s) and an absence of ten minutes are shortened alike."""
import time

import pytest

from guts_platform import wait_until

TIMES = {"lease": "2s", "takeover": "4s", "stop_grace": "500ms", "longest_request": "500ms",
         "margin": "500ms", "leader_timeout": "1s", "report_interval": "200ms"}
AWAY_SECONDS = 4 * 4
MIB = 1 << 20


def stored_bytes(platform):
    """What the destination has of all disks."""
    return sum(path.stat().st_blocks * 512 for path in (platform.world / "disks").iterdir())


@pytest.mark.parametrize("peer,how", [("broker", "freeze"), ("broker", "stop"), ("database", "freeze")])
def test_an_absence_of_four_takeover_times_costs_no_copy(platform, peer, how):
    size, rate = 24 * MIB, MIB
    platform.prepare()
    platform.start_api()
    platform.start_scheduler(**TIMES)
    for name in ("node-1", "node-2"):
        platform.start_node(name, report_interval="200ms", stop_grace="500ms",
                            worker={"flush_bytes": "1MiB", "flush_interval": "200ms"})
    platform.wait_ready(2)
    platform.add_fakes(vms=1, disk_bytes=size, data_percent=100, bytes_per_second=rate)
    migration = platform.migrate("fake-000001", "nowhere", options={"store": "file"})["created"][0]["id"]
    wait_until("the copy moves", 60, lambda: platform.migration(migration)["done_bytes"] > MIB, 0.05)
    absent = getattr(platform, peer)
    before = stored_bytes(platform)
    (absent.freeze if how == "freeze" else absent.stop)()
    try:
        time.sleep(AWAY_SECONDS)
        meanwhile = stored_bytes(platform) - before
    finally:
        (absent.thaw if how == "freeze" else absent.start)()
    done = platform.wait_state(migration, "VERIFIED", 60)
    assert meanwhile > size / 3, "the copy stood still meanwhile"
    assert done["attempt"] == 1 and done["resumes"] == 0, done
    assert done["read_bytes"] <= size * 1.01, done["read_bytes"] / size
