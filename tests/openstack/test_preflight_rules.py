# SPDX-License-Identifier: Apache-2.0
"""More of what guts refuses first: rules for which the cloud itself is changed, or the machine."""
import contextlib

import pytest

from cloud_deeds import made, network_id
from cloud_platform import MACS
from peers.cloud.data import Databases
from test_preflight import codes, make_flavor, platform, refused  # noqa: F401


def root_call(openstack, method, service, path, body=None):
    return openstack.call(method, service, path, body, openstack.root)


@contextlib.contextmanager
def network_of(openstack, name, cidr, **more):
    with made(openstack, "network", "/v2.0/networks", "network", name=name, **more) as network:
        openstack.call("POST", "network", "/v2.0/subnets", {"subnet": {
            "network_id": network["id"], "ip_version": 4, "cidr": cidr}})
        yield network


# -- cards ------------------------------------------------------------------------------------------------

def test_nothing_says_which_network(platform, openstack):
    assert codes(platform, network=None, network_map=["other=blue"]) == ["network_not_found"]


def test_a_network_that_is_switched_off(platform, openstack):
    with network_of(openstack, "off", "10.93.0.0/24", admin_state_up=False):
        platform.refresh("destinations", "cloud")
        assert codes(platform, network="off") == ["network_unusable"]


def test_a_network_that_takes_no_security_groups(platform, openstack):
    with network_of(openstack, "bare", "10.94.0.0/24", port_security_enabled=False) as network:
        platform.refresh("destinations", "cloud")
        group = openstack.get("network", "/v2.0/security-groups?name=default&project_id="
                              + openstack.project(openstack.cloud))["security_groups"][0]["id"]
        body = {"port": {"network_id": network["id"], "security_groups": [group]}}
        assert refused(openstack, "network", "/v2.0/ports", body) in (400, 409)
        assert codes(platform, network="bare", security_groups=["default"]) == ["network_unusable"]
        assert codes(platform, network="bare") == []


def test_a_network_with_too_few_free_addresses(platform, openstack):
    with made(openstack, "network", "/v2.0/networks", "network", name="tight") as network:
        openstack.call("POST", "network", "/v2.0/subnets", {"subnet": {
            "network_id": network["id"], "ip_version": 4, "cidr": "10.96.0.0/24",
            "allocation_pools": [{"start": "10.96.0.7", "end": "10.96.0.7"}]}})
        platform.refresh("destinations", "cloud")
        with made(openstack, "network", "/v2.0/ports", "port", network_id=network["id"]):
            body = {"port": {"network_id": network["id"]}}
            assert refused(openstack, "network", "/v2.0/ports", body) == 409
        assert codes(platform, network="tight") == ["network_unusable"]  # it has two cards
        assert codes(platform, network="tight", network_map=["nat=blue"]) == []


def test_an_address_outside_of_the_pools(platform, openstack):
    with made(openstack, "network", "/v2.0/networks", "network", name="pools") as network:
        openstack.call("POST", "network", "/v2.0/subnets", {"subnet": {
            "network_id": network["id"], "ip_version": 4, "cidr": "10.95.0.0/24",
            "allocation_pools": [{"start": "10.95.0.100", "end": "10.95.0.199"}]}})
        platform.refresh("destinations", "cloud")
        given = {"network": "pools", "fixed_ips": ["0=10.95.0.7"]}
        assert codes(platform, **given) == ["address_outside"]
        assert codes(platform, **given, outside_pools=True) == []


@pytest.mark.parametrize("address", ["10.77.0.0", "10.77.0.255"])
def test_an_address_that_stands_for_the_subnet_or_for_all_in_it(platform, openstack, address):
    body = {"port": {"network_id": network_id(openstack), "fixed_ips": [{"ip_address": address}]}}
    assert refused(openstack, "network", "/v2.0/ports", body) == 400
    assert codes(platform, fixed_ips=[f"1={address}"], outside_pools=True) == ["address_outside"]


def test_one_address_for_two_cards(platform, openstack):
    assert codes(platform, fixed_ips=["0=10.77.0.9", "1=10.77.0.9"]) == ["address_in_use"]


def test_an_address_for_a_card_that_is_not_there(platform, openstack):
    assert codes(platform, fixed_ips=["7=10.77.0.9"]) == ["fields_invalid"]


def test_two_cards_of_one_mac(platform, openstack):
    platform.machine("one-mac", macs=(MACS[0], MACS[0]))
    with made(openstack, "network", "/v2.0/ports", "port", network_id=network_id(openstack),
              mac_address=MACS[0]):
        body = {"port": {"network_id": network_id(openstack), "mac_address": MACS[0]}}
        assert refused(openstack, "network", "/v2.0/ports", body) == 409
    assert codes(platform, "one-mac") == ["mac_in_use"]
    assert codes(platform, "one-mac", keep_mac=False) == []


# -- disks ------------------------------------------------------------------------------------------------

def test_a_volume_type_that_went(platform, openstack):
    made_type = root_call(openstack, "POST", "volume", "/types", {"volume_type": {"name": "brief"}})
    platform.refresh("destinations", "cloud")
    root_call(openstack, "DELETE", "volume", f"/types/{made_type['volume_type']['id']}")
    body = {"volume": {"size": 1, "volume_type": "brief"}}
    assert refused(openstack, "volume", "/volumes", body) == 404
    assert codes(platform, volume_type="brief") == ["volume_type_not_found"]


def test_a_type_for_a_disk_that_is_not_there(platform, openstack):
    assert codes(platform, volume_types=["9=__DEFAULT__"]) == ["fields_invalid"]


@contextlib.contextmanager
def no_cinder(openstack):
    services = [one for one in root_call(openstack, "GET", "identity", "/services")["services"]
                if one["type"] in ("volumev3", "block-storage")]
    assert len(services) == 2
    try:
        for one in services:
            root_call(openstack, "PATCH", "identity", f"/services/{one['id']}",
                      {"service": {"enabled": False}})
        yield
    finally:
        for one in services:
            root_call(openstack, "PATCH", "identity", f"/services/{one['id']}",
                      {"service": {"enabled": True}})


def test_a_cloud_without_cinder(platform, openstack):
    platform.machine("one-disk")
    with no_cinder(openstack):
        assert codes(platform) == ["service_missing"]
        assert codes(platform, boot_from="image", flavor="g.small") == ["service_missing"]
        assert codes(platform, "one-disk", boot_from="image", flavor="g.small") == []


@contextlib.contextmanager
def formats(openstack, words):
    """Glance with another list of formats."""
    path = openstack.directory / "etc/glance/glance-api.conf"
    before = path.read_text()
    lines = [f"disk_formats = {words}" if line.startswith("disk_formats") else line
             for line in before.splitlines()]
    try:
        path.write_text("\n".join(lines) + "\n")
        openstack.service("kill", "glance")
        openstack.service("start", "glance")
        yield
    finally:
        path.write_text(before)
        openstack.service("kill", "glance")
        openstack.service("start", "glance")


def test_a_format_that_glance_does_not_accept(platform, openstack):
    with formats(openstack, "raw,iso"):
        body = {"name": "x", "disk_format": "qcow2", "container_format": "bare"}
        assert refused(openstack, "image", "/v2/images", body) == 400
        assert codes(platform, image_format="qcow2") == ["image_format_refused"]
        assert codes(platform) == []


# -- the server -------------------------------------------------------------------------------------------

def test_a_flavor_that_is_disabled(platform, openstack):
    """Nova has no call for that any more; its database still has."""
    flavor = make_flavor(openstack, name="tired", disk=1)
    try:
        platform.refresh("destinations", "cloud")
        facts = openstack.facts()
        facts.read_peers()
        Databases(facts).sql(f"UPDATE flavors SET disabled = 1 WHERE flavorid = '{flavor}'",
                             "guts_nova_api")
        assert codes(platform, flavor="tired") == ["flavor_not_found"]
    finally:
        root_call(openstack, "DELETE", "compute", f"/flavors/{flavor}")


@pytest.mark.parametrize("options", [{"cpus": 2}, {"ram_mib": 65}])
def test_a_named_flavor_that_has_less_than_is_asked_for(platform, openstack, options):
    assert codes(platform, flavor="g.nano", **options) == ["flavor_too_small"]


def test_two_security_groups_of_one_name(platform, openstack):
    with made(openstack, "network", "/v2.0/security-groups", "security_group", name="twin"):
        platform.refresh("destinations", "cloud")
        with made(openstack, "network", "/v2.0/security-groups", "security_group", name="twin"):
            assert codes(platform, security_groups=["twin"]) == ["name_ambiguous"]


def test_a_zone_that_went(platform, openstack):
    made_zone = root_call(openstack, "POST", "compute", "/os-aggregates", {"aggregate": {
        "name": "moon", "availability_zone": "moon"}})["aggregate"]["id"]
    try:
        for deed in ("add_host", "remove_host"):
            root_call(openstack, "POST", "compute", f"/os-aggregates/{made_zone}/action",
                      {deed: {"host": "guts-1"}})
            if deed == "add_host":
                platform.refresh("destinations", "cloud")
        assert codes(platform, availability_zone="moon") == ["zone_not_found"]
    finally:
        root_call(openstack, "DELETE", "compute", f"/os-aggregates/{made_zone}")


def test_a_zone_of_volumes_that_is_switched_off(platform, openstack):
    body = {"binary": "cinder-volume", "host": "guts@file"}
    root_call(openstack, "PUT", "volume", "/os-services/disable", body)
    try:
        assert codes(platform, volume_zone="nova") == ["zone_not_found"]
    finally:
        root_call(openstack, "PUT", "volume", "/os-services/enable", body)
