# SPDX-License-Identifier: Apache-2.0
"""Servers that boot for real, on a host with libvirt and TCG: their own word is read from Nova's console."""
import re

import pytest

from machines import run
from peers.cloud.boots import lack_of_boots
from test_boot import GUESTS

MARKER = "the guest has read its own disk"
SECOND_CARD = {"present": "TRUE", "virtualDev": "e1000", "connectionType": "nat",
               "addressType": "static", "address": "00:0c:29:00:00:01"}


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
    with open(cloud_platform.machines / "guest/guest.vmx", "a", encoding="utf-8") as file:
        file.writelines(f'ethernet1.{key} = "{value}"\n' for key, value in SECOND_CARD.items())
    cloud_platform.refresh("sources", "workstations")
    cloud_platform.refresh("destinations", "cloud")
    return cloud_platform


def begin(platform, host, **options):
    return platform.begin_move("guest", options={
        "availability_zone": host, "flavor": "g.tiny", "verify_boot": True, "boot_text": MARKER,
        "boot_timeout_s": 300, **options})


def end(platform, migration):
    return platform.wait_state(migration, ["VERIFIED", "FAILED", "ROLLED_BACK"], 400)


def check_hardware(platform, openstack, server, done):
    """Cards and volumes in the order that the machine had, as the hypervisor was told."""
    text = (openstack.directory / "data/libvirt/etc/qemu" /
            f"{server['OS-EXT-SRV-ATTR:instance_name']}.xml").read_text()
    vm = platform.get(f"/v1/vms/{done['vm_id']}")
    assert re.findall(r"<mac address='([^']+)'", text) == [one["mac"] for one in vm["nics"]]
    assert vm["nics"][1]["mac"] == SECOND_CARD["address"] < vm["nics"][0]["mac"]
    assert re.findall(r"volume-([0-9a-f-]{36})'", text) == done["server"]["volumes"]


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
    check_hardware(platform, openstack, server, done)
    platform.act(done["id"], "rollback", "ROLLED_BACK")
    platform.wait_inventory(before)


def test_a_volume_that_is_damaged_behind_every_digest_does_not_become_verified(platform, openstack, host):
    """The bytes in Glance were right; the boot sector and the mark are lost before the host starts it."""
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
