# SPDX-License-Identifier: Apache-2.0
"""One takeover time after the result of an attempt that was not the first, both ends are looked at again."""
from guts_platform import wait_until

MIB = 1 << 20


def test_what_a_dead_attempt_makes_after_the_result_is_removed(platform):
    platform.start(nodes=2)
    platform.add_fakes(vms=1, disk_bytes=8 * MIB, data_percent=100, bytes_per_second=MIB)
    made = platform.migrate("fake-000001", "nowhere", options={"store": "file"})["created"][0]["id"]
    platform.wait_state(made, ["CONVERTING", "UPLOADING"])
    first = platform.migration(made)["node_name"]
    platform.daemons[first].kill()
    ended = platform.wait_state(made, "VERIFIED", 90)
    assert ended["attempt"] > 1
    disks = platform.world / "disks"
    kept = {path.name for path in disks.iterdir()}
    late = disks / f"{made}-1-0"
    late.write_bytes(b"a deed of the first attempt that comes to pass now")
    wait_until("the late disk is gone", 40, lambda: not late.exists())
    assert {path.name for path in disks.iterdir()} == kept
    wait_until("the check has ended", 20, lambda: not platform.database.sql(
        "SELECT 1 FROM jobs WHERE live = 1", platform.database_name))
    assert platform.migration(made)["state"] == "VERIFIED"
    # What stands can be taken back as ever.
    assert platform.post(f"/v1/migrations/{made}/rollback").status == 202
    platform.wait_state(made, "ROLLED_BACK")
    assert list(disks.iterdir()) == []
