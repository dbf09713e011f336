# SPDX-License-Identifier: Apache-2.0
"""What the cloud would refuse, or fail at, later: guts refuses it first, by its code, and touches nothing."""
import pytest

from cloud_deeds import made, make_port, network_id, quota
from cloud_platform import MACS
from peers.cloud.client import CloudAnswer

FINAL = ["DISCOVERED", "VERIFIED", "FAILED", "ROLLED_BACK", "CANCELLED"]


@pytest.fixture(scope="module")
def platform(cloud_platform):
    cloud_platform.machine("looked-at", disks=2, macs=MACS)
    return cloud_platform


def codes(platform, vm="looked-at", **options):
    """Of all faults that a dry run finds, each once."""
    done = platform.wait_state(platform.begin_move(vm, options=options, dry_run=True), FINAL)
    return sorted({one["code"] for one in done["faults"] or []})


def refused(openstack, service, path, body):
    """The cloud does not do it."""
    with pytest.raises(CloudAnswer) as answer:
        openstack.call("POST", service, path, body)
    return answer.value.status


def test_a_sound_plan_has_no_faults(platform, openstack):
    before = openstack.inventory()
    assert codes(platform) == []
    assert openstack.inventory() == before


@pytest.mark.parametrize("option, value", [
    ("flavor", "g.giant"), ("network", "red"), ("network_map", ["nat=red"]),
    ("volume_type", "golden"), ("volume_types", ["0=golden"]), ("extra_volumes", ["1:golden"]),
    ("keypair", "nobodys"), ("security_groups", ["strangers"]), ("availability_zone", "mars"),
    ("volume_zone", "mars")])
def test_a_name_that_the_catalogue_lacks_is_refused_at_creation(platform, option, value):
    answer = platform.post("/v1/migrations", {"vms": ["looked-at"], "destination": "cloud",
                                              "options": {option: value}})
    assert answer.status == 422 and answer["code"] == "fields_invalid", answer
    pointer = f"/options/{option}" + ("/0" if isinstance(value, list) else "")
    assert [one["pointer"] for one in answer["errors"]] == [pointer]


def test_a_mac_in_use(platform, openstack):
    with make_port(openstack, mac_address=MACS[0]):
        body = {"port": {"network_id": network_id(openstack), "mac_address": MACS[0]}}
        assert refused(openstack, "network", "/v2.0/ports", body) == 409
        assert codes(platform) == ["mac_in_use"]


def test_an_address_in_use(platform, openstack):
    taken = [{"ip_address": "10.77.0.200"}]
    with make_port(openstack, fixed_ips=taken):
        body = {"port": {"network_id": network_id(openstack), "fixed_ips": taken}}
        assert refused(openstack, "network", "/v2.0/ports", body) == 409
        assert codes(platform, fixed_ips=["0=10.77.0.200"]) == ["address_in_use"]


def test_an_address_outside_of_its_subnet(platform, openstack):
    body = {"port": {"network_id": network_id(openstack),
                     "fixed_ips": [{"ip_address": "192.0.2.7"}]}}
    assert refused(openstack, "network", "/v2.0/ports", body) == 400
    assert codes(platform, fixed_ips=["1=192.0.2.7"]) == ["address_outside"]


@pytest.mark.parametrize("service, name, value, options", [
    ("compute", "instances", 0, {}), ("compute", "cores", 0, {}), ("compute", "ram", 0, {}),
    ("volume", "volumes", 1, {}), ("volume", "gigabytes", 1, {}),
    ("volume", "per_volume_gigabytes", 4, {"extra_volumes": ["5"]}), ("network", "port", 0, {}),
    ("volume", "volumes___DEFAULT__", 1, {"volume_type": "__DEFAULT__"}),
    ("volume", "gigabytes___DEFAULT__", 1, {"volume_type": "__DEFAULT__"}),
    ("compute", "metadata_items", 3, {}), ("compute", "metadata_items", 7, {"metadata": ["a=1", "b=2"]})])
def test_a_quota_that_leaves_no_room(platform, openstack, service, name, value, options):
    with quota(openstack, service, name, value):
        assert codes(platform, **options) == ["quota_exceeded"]


def test_a_network_without_a_subnet(platform, openstack):
    with made(openstack, "network", "/v2.0/networks", "network", name="bare") as network:
        platform.refresh("destinations", "cloud")
        assert codes(platform, network=network["id"]) == ["network_unusable"]


def test_a_network_that_went_after_it_was_catalogued(platform, openstack):
    with made(openstack, "network", "/v2.0/networks", "network", name="brief"):
        platform.refresh("destinations", "cloud")
    assert codes(platform, network="brief") == ["network_not_found"]


def test_two_networks_of_one_name(platform, openstack):
    with made(openstack, "network", "/v2.0/networks", "network", name="twin"):
        platform.refresh("destinations", "cloud")
        with made(openstack, "network", "/v2.0/networks", "network", name="twin"):
            assert codes(platform, network="twin") == ["name_ambiguous"]


def test_a_security_group_that_went(platform, openstack):
    with made(openstack, "network", "/v2.0/security-groups", "security_group", name="brief"):
        platform.refresh("destinations", "cloud")
    assert codes(platform, security_groups=["brief"]) == ["security_group_not_found"]


def test_a_keypair_that_went(platform, openstack):
    openstack.call("POST", "compute", "/os-keypairs", {"keypair": {"name": "brief"}},
                   headers={"X-OpenStack-Nova-API-Version": "2.1"})
    platform.refresh("destinations", "cloud")
    openstack.call("DELETE", "compute", "/os-keypairs/brief")
    assert codes(platform, keypair="brief") == ["keypair_not_found"]


def test_no_flavor_is_large_enough(platform, openstack):
    assert codes(platform, cpus=1000) == ["flavor_too_small"]


def make_flavor(openstack, **words):
    return openstack.call("POST", "compute", "/flavors", {"flavor": {
        "ram": 64, "vcpus": 1, "disk": 0, **words}}, openstack.root)["flavor"]["id"]


def test_a_flavor_that_went(platform, openstack):
    flavor = make_flavor(openstack, name="brief")
    platform.refresh("destinations", "cloud")
    openstack.call("DELETE", "compute", f"/flavors/{flavor}", cloud=openstack.root)
    assert codes(platform, flavor="brief") == ["flavor_not_found"]


def test_a_root_larger_than_its_flavors_disk(platform, openstack):
    flavor = make_flavor(openstack, name="flat")
    try:
        platform.refresh("destinations", "cloud")
        assert codes(platform, boot_from="image", flavor="flat") == ["flavor_too_small"]
        assert codes(platform, flavor="flat") == []
    finally:
        openstack.call("DELETE", "compute", f"/flavors/{flavor}", cloud=openstack.root)


def test_a_name_that_nova_refuses(platform, openstack):
    done = platform.wait_state(platform.begin_move("looked-at", server_name="\U0001f600",
                                                   dry_run=True), FINAL)
    assert [one["code"] for one in done["faults"]] == ["server_name_invalid"]


def test_all_faults_are_told_at_once(platform, openstack):
    with make_port(openstack, mac_address=MACS[0]), quota(openstack, "compute", "instances", 0):
        assert codes(platform, fixed_ips=["1=192.0.2.7"], cpus=1000) == [
            "address_outside", "flavor_too_small", "mac_in_use", "quota_exceeded"]
