# SPDX-License-Identifier: Apache-2.0
"""What was well at the preflight and is not any more when the cloud is asked for it: each is told by its
code, and everything goes back."""
import contextlib
import time

import pytest

from cloud_deeds import made, make_port, network_id, quota
from cloud_platform import FINAL, MACS
from peers.cloud.client import CloudAnswer


@pytest.fixture
def platform(cloud_platform, openstack):
    return cloud_platform


@pytest.fixture(scope="module")
def large(cloud_platform):
    """A machine whose upload takes so long that something can happen meanwhile."""
    return cloud_platform.full_machine("large", 256)


@pytest.fixture(scope="module")
def small(cloud_platform):
    return cloud_platform.machine("small", disks=2, macs=MACS)


def check_went_back(platform, name, done, before, source, code):
    assert done["state"] == "ROLLED_BACK" and done["fault"]["code"] == code, done
    assert done["attempt"] == 2, "what cannot pass was tried again"
    platform.wait_inventory(before)
    assert platform.source_facts(name) == source
    ledger = platform.migration(done["id"])["ledger"]
    assert ledger and all(one["state"] in ("undone", "not_found") for one in ledger), ledger


@contextlib.contextmanager
def gone(openstack, service, path):
    openstack.call("DELETE", service, path, cloud=openstack.root)
    yield


# What happens while bytes flow, and the code that tells of it.
CASES = {
    "instances": ("quota_exceeded", "image", {}, lambda cloud, _: quota(cloud, "compute", "instances", 0)),
    "volumes": ("quota_exceeded", "volume", {}, lambda cloud, _: quota(cloud, "volume", "volumes", 0)),
    "gigabytes": ("quota_exceeded", "image", {"extra_volumes": ["1"]},
                  lambda cloud, _: quota(cloud, "volume", "gigabytes", 0)),
    "ports": ("quota_exceeded", "image", {}, lambda cloud, _: quota(cloud, "network", "port", 0)),
    "mac": ("mac_in_use", "volume", {}, lambda cloud, _: make_port(cloud, mac_address=MACS[0])),
    "address": ("address_in_use", "image", {"fixed_ips": ["0=10.77.0.66"]},
                lambda cloud, _: make_port(cloud, fixed_ips=[{"ip_address": "10.77.0.66"}])),
    "network": ("network_not_found", "volume", {"network": "passing"},
                lambda cloud, ids: gone(cloud, "network", f"/v2.0/networks/{ids['network']}")),
    "flavor": ("flavor_not_found", "image", {"flavor": "passing"},
               lambda cloud, ids: gone(cloud, "compute", f"/flavors/{ids['flavor']}")),
}


@pytest.fixture(scope="module")
def passing(cloud_platform, _openstack_session):
    """Ids of a network and a flavor that a test deletes."""
    openstack = _openstack_session
    network = openstack.call("POST", "network", "/v2.0/networks", {"network": {"name": "passing"}})
    network = network["network"]["id"]
    openstack.call("POST", "network", "/v2.0/subnets", {"subnet": {
        "network_id": network, "ip_version": 4, "cidr": "10.90.0.0/24"}})
    flavor = openstack.call("POST", "compute", "/flavors", {"flavor": {
        "name": "passing", "ram": 512, "vcpus": 1, "disk": 1}}, openstack.root)["flavor"]["id"]
    cloud_platform.refresh("destinations", "cloud")
    yield {"network": network, "flavor": flavor}
    with contextlib.suppress(CloudAnswer):
        openstack.call("DELETE", "network", f"/v2.0/networks/{network}")
    with contextlib.suppress(CloudAnswer):
        openstack.call("DELETE", "compute", f"/flavors/{flavor}", cloud=openstack.root)


@pytest.mark.parametrize("case", CASES)
def test_what_changes_while_bytes_flow_is_told_and_undone(platform, openstack, large, passing, case):
    code, boot_from, options, deed = CASES[case]
    before, source = openstack.inventory(), platform.source_facts(large)
    with contextlib.ExitStack() as stack:
        migration = platform.begin_move(large, options={"boot_from": boot_from, **options})
        platform.wait_upload(before, least=8 << 20)
        openstack.service("freeze", "glance")  # however fast the machine: no byte more before the deed
        rival = stack.enter_context(deed(openstack, passing))
        openstack.service("thaw", "glance")
        done = platform.wait_state(migration, FINAL, 180)
        assert not rival or rival["id"] in openstack.inventory()["ports"], "what is not ours was removed"
    check_went_back(platform, large, done, before, source, code)


# -- what the cloud takes, and does not bring to its end ------------------------------------------------

@pytest.mark.parametrize("boot_from", ["volume", "image"])
def test_a_server_that_no_host_takes_is_removed_with_all_it_had(platform, openstack, small, boot_from):
    before, source = openstack.inventory(), platform.source_facts(small)
    with quota(openstack, "compute", "ram", -1):
        done = platform.move(small, options={"flavor": "g.vast", "boot_from": boot_from})
    assert "No valid host" in done["fault"]["detail"], done["fault"]
    check_went_back(platform, small, done, before, source, "server_failed")
    kinds = {one["kind"] for one in platform.migration(done["id"])["ledger"]}
    assert kinds >= {"image", "port", "volume", "server"}, kinds


def test_a_server_that_is_not_there_in_time_is_removed_and_made_anew(platform, openstack, small):
    before = openstack.inventory()
    openstack.service("freeze", "nova-compute-1")
    migration = platform.begin_move(small, options={"active_timeout_s": 10})
    platform.wait_fault(migration, 120)
    openstack.service("thaw", "nova-compute-1")
    done = platform.wait_state(migration, FINAL, 180)
    assert done["state"] == "VERIFIED" and done["attempt"] > 1, done
    platform.server(small)  # there is one
    assert len(openstack.inventory()["ports"]) == len(before["ports"]) + 2
    platform.act(migration, "rollback", "ROLLED_BACK")
    platform.wait_inventory(before)


def test_a_volume_that_ends_in_error_is_removed(platform, openstack, small):
    """Cinder finds another image than the one that Glance had told of."""
    before, source = openstack.inventory(), platform.source_facts(small)
    openstack.service("freeze", "cinder-volume")
    migration = platform.begin_move(small)
    volume = platform.wait_new(before, "volumes")
    for image in platform.new_images(before):
        with open(openstack.image_file(image), "r+b") as file:  # of the length that it had
            file.write(b"rubbish\n" * 4096)
    openstack.service("thaw", "cinder-volume")
    done = platform.wait_state(migration, FINAL, 180)
    assert "error" in done["fault"]["detail"], done["fault"]
    check_went_back(platform, small, done, before, source, "destination_refused")
    assert volume not in openstack.inventory()["volumes"]


def test_a_rollback_waits_for_a_service_that_is_away(platform, openstack, large):
    before = openstack.inventory()
    done = platform.move(large)
    assert done["state"] == "VERIFIED", done
    openstack.service("kill", "neutron")
    taken = platform.post(f"/v1/migrations/{done['id']}/rollback")
    assert taken.status == 202, taken
    time.sleep(3)
    openstack.make_usable()
    platform.wait_state(done["id"], "ROLLED_BACK", 180)
    platform.wait_inventory(before)
