# SPDX-License-Identifier: Apache-2.0
"""What dead attempts left behind: found, shown, and removed when somebody asks."""
import json
import uuid

import pytest

from guts_platform import wait_until

MIB = 1 << 20


@pytest.fixture()
def place(platform):
    platform.start(nodes=1)
    return platform


def plant(world, migration, server=True):
    """A disk, a server and a snapshot under a migration's mark, as a late deed makes them."""
    (world / "disks" / f"{migration}-7-0").write_bytes(b"late")
    (world / "snapshots" / f"vm-000009-{migration}").write_text("snapshot\n")
    if server:
        (world / "servers" / f"late-{migration}.json").write_text(json.dumps(
            {"id": f"late-{migration}", "migration": migration, "attempt": 7, "vm": "vm-000009",
             "name": "late", "disks": []}))


def strays(platform, *words):
    return platform.guts_json("gc", *words)


def test_gc_shows_what_nobody_holds_and_removes_it_on_request(place):
    place.add_fakes(vms=4, disk_bytes=MIB, snapshots=True)
    made = place.migrate(["fake-000001", "fake-000002"], "nowhere", options={"store": "file"})
    ids = [one["id"] for one in made["created"]]
    for one in ids:
        place.wait_state(one, "VERIFIED")
    before = sorted(path.name for part in ("disks", "servers", "snapshots")
                    for path in (place.world / part).iterdir())
    assert strays(place) == []  # all that stands is in a ledger
    nobody = str(uuid.uuid4())
    plant(place.world, nobody)
    plant(place.world, ids[0])  # of a migration that stands, and not in its ledger
    found = strays(place)
    assert sorted((one["kind"], one["migration"]) for one in found) == sorted(
        (kind, owner) for kind in ("disk", "server", "snapshot") for owner in (nobody, ids[0]))
    assert (place.world / "disks" / f"{nobody}-7-0").exists()  # looking removes nothing
    assert strays(place, "--remove") == []
    after = sorted(path.name for part in ("disks", "servers", "snapshots")
                   for path in (place.world / part).iterdir())
    assert after == before
    assert all(place.migration(one)["state"] == "VERIFIED" for one in ids)


def test_gc_leaves_alone_what_a_migration_is_about_to_make(place):
    place.add_fakes(vms=2, disk_bytes=8 * MIB, data_percent=100, bytes_per_second=MIB // 2)
    made = place.migrate("fake-000001", "nowhere", options={"store": "file"})["created"][0]["id"]
    place.wait_state(made, ["CONVERTING", "UPLOADING"])
    plant(place.world, made, server=False)
    assert strays(place, "--destination", "nowhere", "--remove") == []
    assert (place.world / "disks" / f"{made}-7-0").exists()
    place.wait_state(made, "VERIFIED")


def test_gc_knows_the_marks_of_the_local_destination(place):
    results = place.results
    nobody, other = str(uuid.uuid4()), "a machine of somebody else"
    (results / other).mkdir()
    for name in (f".guts-{nobody}-3", "left"):
        (results / name).mkdir()
        (results / name / "disk0.qcow2").write_bytes(b"x")
    (results / "left" / ".guts").write_text(f"guts_migration={nobody} attempt=3\n")
    place.add("destinations", "kvm", "local", path=str(results))
    found = strays(place, "--destination", "kvm")
    assert sorted((one["kind"], one["key"]) for one in found) == [
        ("directory", f".guts-{nobody}-3"), ("domain", "left")]
    assert strays(place, "--destination", "kvm", "--remove") == []
    assert [path.name for path in results.iterdir()] == [other]


def test_gc_finds_the_conversion_space_of_a_node_that_was_renamed(platform):
    """It is shown with whose it was, and removed on request; what lives stays."""
    platform.start(nodes=0)
    pool = platform.directory / "pool"
    pool.mkdir()
    former = platform.start_node("former", pools=[str(pool)])
    platform.wait_ready(1)
    platform.add_fakes(vms=2, disk_bytes=8 * MIB, data_percent=100, bytes_per_second=MIB)
    made = platform.migrate("fake-000001", "nowhere", options={"store": "file"})["created"][0]["id"]
    platform.wait_state(made, ["CONVERTING", "UPLOADING"])
    former.kill()
    platform.start_node("renamed", pools=[str(pool)])
    platform.wait_state(made, "VERIFIED")
    other = platform.migrate("fake-000002", "nowhere", options={"store": "file"})["created"][0]["id"]
    platform.wait_state(other, ["CONVERTING", "UPLOADING"])
    left = [path.name for path in (pool / "jobs/former").iterdir()]
    found = strays(platform)
    assert [(one["kind"], one["key"], one["migration"]) for one in found] == [
        ("directory", f"former/{left[0]}", made)]
    assert found[0]["at"] == "node renamed" and found[0]["detail"]["allocated_bytes"] > 0
    assert strays(platform, "--node", "renamed", "--remove") == []
    assert list((pool / "jobs/former").iterdir()) == []
    platform.wait_state(other, "VERIFIED")
    wait_until("no space is reserved for what is gone", 30, lambda: platform.get(
        "/v1/nodes/renamed")["reserved_bytes"] == 0)
    assert platform.migration(other)["attempt"] == 1
    done = platform.guts("gc", "--node", "former", check=False)
    assert done.returncode != 0 and "node_lost" in done.stderr
