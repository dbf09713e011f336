# SPDX-License-Identifier: Apache-2.0
"""The main job: a Workstation machine becomes a libvirt machine through all three daemons."""
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

from guts_platform import wait_until
from machines import VMDK_KINDS, identical, make_chain, make_machine


@pytest.fixture(scope="module")
def ends(shared):
    """Source and destination with every machine of this module; made once, discovered once."""
    originals = {}
    for kind in VMDK_KINDS:
        for disks in (1, 3):
            name = f"{kind}-{disks}"
            originals[name] = make_machine(shared.machines, name, kind, disks)[1]
    originals["chain"] = make_chain(shared.machines, "chain")[1]
    originals["raw-result"] = make_machine(shared.machines, "raw-result")[1]
    originals["名前 é & <x>"] = make_machine(shared.machines, "名前 é & <x>", firmware="efi",
                                            macs=("00:0c:29:aa:bb:01", "00:0c:29:aa:bb:02"))[1]
    shared.add("sources", "workstations", "workstation", path=str(shared.machines))
    shared.add("destinations", "kvm", "local", path=str(shared.results))
    return shared, originals


def migrate(platform, name, **words):
    answer = platform.migrate(name, "kvm", **words)
    assert len(answer["created"]) == 1, answer
    return platform.wait_state(answer["created"][0]["id"], ["VERIFIED", "FAILED", "ROLLED_BACK"])


def server_directory(platform, name):
    return platform.results / name


def check_domain(platform, name):
    """The domain's XML parses and libvirt's own test driver takes it."""
    path = server_directory(platform, name) / "domain.xml"
    done = subprocess.run(["virsh", "-c", "test:///default", "define", str(path)], text=True,
                          capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return ElementTree.parse(path).getroot()


@pytest.mark.parametrize("name", [f"{kind}-{disks}" for kind in VMDK_KINDS for disks in (1, 3)]
                         + ["chain"])
def test_the_migrated_disks_equal_the_source(ends, name):
    platform, originals = ends
    done = migrate(platform, name)
    assert done["state"] == "VERIFIED", done
    for number, raw in enumerate(originals[name]):
        same, words = identical(raw, server_directory(platform, name) / f"disk{number}.qcow2", "qcow2")
        assert same, words
    check = subprocess.run(["qemu-img", "check", "-q", str(server_directory(platform, name) / "disk0.qcow2")],
                           timeout=60, check=False)
    assert check.returncode == 0
    domain = check_domain(platform, name)
    assert [mac.get("address") for mac in domain.iter("mac")] == ["00:0c:29:12:34:56"]
    assert done["evidence"]["content"], done["evidence"]


def test_the_result_may_be_raw_on_the_bus_of_the_source(ends):
    platform, originals = ends
    done = migrate(platform, "raw-result", options={"format": "raw", "bus": "source"})
    assert done["state"] == "VERIFIED", done
    same, words = identical(originals["raw-result"][0],
                            server_directory(platform, "raw-result") / "disk0.raw", "raw")
    assert same, words
    domain = check_domain(platform, "raw-result")
    assert [disk.find("target").get("bus") for disk in domain.iter("disk")] == ["scsi"]


def test_names_in_any_language_and_firmware_and_macs_are_kept(ends):
    platform, _ = ends
    name = "名前 é & <x>"
    done = migrate(platform, name, server_name="server-1")
    assert done["state"] == "VERIFIED", done
    domain = check_domain(platform, "server-1")
    assert domain.find("os").get("firmware") == "efi"
    assert [mac.get("address") for mac in domain.iter("mac")] == ["00:0c:29:aa:bb:01",
                                                                   "00:0c:29:aa:bb:02"]
    assert domain.find("vcpu").text == "1"
    assert (domain.find("memory").text, domain.find("memory").get("unit")) == ("256", "MiB")


def test_asking_again_is_answered_with_the_one_that_exists(ends):
    platform, _ = ends
    first = platform.get("/v1/migrations?vm=chain&limit=1")["migrations"][0]
    again = platform.migrate("chain", "kvm")
    assert again["created"] == []
    assert again["skipped"][0]["migration"] == first["id"]
    assert again["skipped"][0]["reason"] == "exists"


def test_rollback_leaves_nothing_and_cleanup_keeps_the_result(ends):
    platform, _ = ends
    rolled = platform.get("/v1/migrations?vm=streamOptimized-1&limit=1")["migrations"][0]
    kept = platform.get("/v1/migrations?vm=streamOptimized-3&limit=1")["migrations"][0]
    platform.guts("migration", "rollback", rolled["id"], "--wait")
    assert platform.migration(rolled["id"])["state"] == "ROLLED_BACK"
    assert not server_directory(platform, "streamOptimized-1").exists()
    platform.guts("migration", "cleanup", kept["id"], "--wait")
    done = platform.migration(kept["id"])
    assert done["state"] == "CLEANED"
    assert (server_directory(platform, "streamOptimized-3") / "disk2.qcow2").exists()
    assert {entry["state"] for entry in done["ledger"]} <= {"kept", "undone", "not_found"}
    refused = platform.guts("migration", "rollback", kept["id"], check=False)
    assert refused.returncode == 1 and "state_forbids" in refused.stderr


def test_nothing_is_left_in_conversion_space(ends):
    platform, _ = ends
    pool = platform.directory / "pool-node-1"

    def holds_none():
        try:
            return not [entry for entry in pool.rglob("*") if entry.name.startswith("journal")]
        except FileNotFoundError:  # one went while it was looked into
            return False
    wait_until("the job directories are gone", 30, holds_none)
