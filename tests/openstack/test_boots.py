# SPDX-License-Identifier: Apache-2.0
"""Servers that boot for real, on a host with libvirt and TCG: their own word is read from Nova's console."""
import pytest

from machines import run
from peers.cloud.boots import lack_of_boots
from test_boot import GUESTS

MARKER = "the guest has read its own disk"


@pytest.fixture(scope="module")
def host(_openstack_session):
    reason = lack_of_boots()
    if reason:
        pytest.skip(f"no server boots here: {reason}")
    _openstack_session.service("start", "boots")
    yield "boots"
    _openstack_session.service("stop", "boots")


@pytest.fixture(scope="module")
def platform(cloud_platform, host):
    run(GUESTS / "make-guest", "--stays", "--marker", MARKER, "--format", "streamOptimized",
        "--disks", "2", cloud_platform.machines / "guest", "guest")
    cloud_platform.refresh("sources", "workstations")
    cloud_platform.refresh("destinations", "cloud")
    return cloud_platform


def begin(platform, host, **options):
    return platform.begin_move("guest", options={
        "availability_zone": host, "flavor": "g.tiny", "verify_boot": True, "boot_text": MARKER,
        "boot_timeout_s": 120, **options})


def end(platform, migration):
    return platform.wait_state(migration, ["VERIFIED", "FAILED", "ROLLED_BACK"], 240)


@pytest.mark.parametrize("boot_from", ["volume", "image"])
def test_a_server_boots_and_says_so_on_its_console(platform, openstack, host, boot_from):
    before = openstack.inventory()
    done = end(platform, begin(platform, host, boot_from=boot_from))
    assert done["state"] == "VERIFIED", done
    assert MARKER in done["evidence"]["boot"]["console"], done["evidence"]
    server = platform.server("guest")
    assert server["OS-EXT-SRV-ATTR:host"] == "guts-boots" and server["status"] == "ACTIVE"
    console = openstack.console(server["id"])
    assert MARKER in console
    # Both disks, in their order and with their sizes, as the guest sees them.
    seen = [line.split() for line in console.splitlines() if line.startswith("disk vd")]
    assert [one[1] for one in seen][:2] == ["vda", "vdb"], console
    platform.act(done["id"], "rollback", "ROLLED_BACK")
    platform.wait_inventory(before)


def test_a_volume_that_is_damaged_behind_every_digest_does_not_become_verified(platform, openstack, host):
    """The bytes in Glance were right. Its host is frozen while the boot sector and the mark are lost."""
    before = openstack.inventory()
    openstack.service("freeze", "nova-compute-boots")
    migration = begin(platform, host, boot_timeout_s=20)
    platform.wait_new(before, "servers")
    for volume in set(openstack.inventory()["volumes"]) - set(before["volumes"]):
        with open(openstack.volume_file(volume), "r+b") as file:
            file.write(bytes(2 << 20))
    openstack.service("thaw", "nova-compute-boots")
    done = end(platform, migration)
    assert done["state"] == "ROLLED_BACK" and done["fault"]["code"] == "boot_failed", done
    platform.wait_inventory(before)
