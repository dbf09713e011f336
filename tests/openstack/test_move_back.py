# SPDX-License-Identifier: Apache-2.0
"""Every way back leaves the cloud's inventory, and the source, as they were."""
import pytest

from cloud_platform import MACS
from test_move import wait_gone


@pytest.fixture
def platform(cloud_platform, openstack):
    return cloud_platform


@pytest.fixture(scope="module")
def pair(cloud_platform):
    """A machine of two disks and two cards, moved again and again."""
    return cloud_platform.machine("again", disks=2, macs=MACS)


def files_of(platform, name):
    return {path.name: path.read_bytes() for path in (platform.machines / name).iterdir()}


@pytest.mark.parametrize("boot_from", ["volume", "image"])
@pytest.mark.parametrize("step", ["preflight", "copy", "deploy", "verify"])
def test_a_cancel_in_each_step_leaves_nothing(platform, pair, step, boot_from):
    before, source = platform.openstack.inventory(), files_of(platform, pair)
    migration = platform.begin_move(pair, options={"boot_from": boot_from, "flavor": "g.small"})
    ledger = platform.cancel(migration, step)["ledger"]
    platform.wait_inventory(before)
    assert files_of(platform, pair) == source
    assert all(one["state"] in ("undone", "not_found") for one in ledger), ledger


@pytest.mark.parametrize("kind", ["server", "volumes", "ports", "everything"])
def test_what_is_gone_already_counts_as_put_back(platform, pair, kind):
    openstack = platform.openstack
    before = openstack.inventory()
    done = platform.move(pair)
    assert done["state"] == "VERIFIED", done
    server = platform.server(pair)
    ports, volumes = platform.ports(server), platform.volumes(server)
    openstack.call("DELETE", "compute", f"/servers/{server['id']}")
    wait_gone(openstack, server["id"])
    if kind in ("volumes", "everything"):
        for volume in volumes:
            openstack.call("DELETE", "volume", f"/volumes/{volume['id']}")
    if kind in ("ports", "everything"):
        for port in ports:
            openstack.call("DELETE", "network", f"/v2.0/ports/{port['id']}")
    platform.act(done["id"], "rollback", "ROLLED_BACK")
    platform.wait_inventory(before)


def test_the_same_machine_moves_again_after_it_went_back(platform, pair):
    before = platform.openstack.inventory()
    for _ in range(2):
        done = platform.move(pair)
        assert done["state"] == "VERIFIED", done
        platform.act(done["id"], "rollback", "ROLLED_BACK")
        platform.wait_inventory(before)
