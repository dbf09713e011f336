# SPDX-License-Identifier: Apache-2.0
"""What guts tells of a cloud before anybody moves there is what the cloud's own services say."""
import pytest

from cloud_deeds import made, quota


@pytest.fixture
def platform(cloud_platform, openstack):
    return cloud_platform


def catalogue(platform):
    """{kind: {id: (name, detail)}} after a look at the cloud."""
    platform.refresh("destinations", "cloud")
    found, path = {}, "/v1/destinations/cloud/catalogue?limit=50"
    while path:
        page = platform.get(path)
        for one in page["catalogue"]:
            found.setdefault(one["kind"], {})[one["id"]] = (one["name"], one["detail"])
        path = page["next"]
    return found


def names(items):
    return {key: name for key, (name, _) in items.items()}


def theirs(openstack, service, path, member, key="id"):
    """{id: what the service says of it}."""
    return {one[key]: one for one in openstack.get(service, path)[member]}


def test_flavors_and_networks_with_their_subnets(platform, openstack):
    seen = catalogue(platform)
    flavors = theirs(openstack, "compute", "/flavors/detail", "flavors")
    assert {key: (name, detail["cpus"], detail["ram_mib"], detail["disk_gib"])
            for key, (name, detail) in seen["flavor"].items()} == {
        key: (one["name"], one["vcpus"], one["ram"], one["disk"]) for key, one in flavors.items()}
    networks = theirs(openstack, "network", "/v2.0/networks", "networks")
    assert names(seen["network"]) == {key: one["name"] for key, one in networks.items()}
    subnets = theirs(openstack, "network", "/v2.0/subnets", "subnets")
    told = {one["id"]: (one["cidr"], one["gateway"], [(pool["first"], pool["last"]) for pool in one["pools"]])
            for _, detail in seen["network"].values() for one in detail["subnets"]}
    assert told == {key: (one["cidr"], one["gateway_ip"],
                          [(pool["start"], pool["end"]) for pool in one["allocation_pools"]])
                    for key, one in subnets.items()}


def test_types_groups_keypairs_and_zones(platform, openstack):
    pair = openstack.call("POST", "compute", "/os-keypairs", {"keypair": {"name": "told"}},
                          headers={"X-OpenStack-Nova-API-Version": "2.1"})["keypair"]
    with made(openstack, "network", "/v2.0/security-groups", "security_group", name="told") as group:
        seen = catalogue(platform)
        openstack.call("DELETE", "compute", "/os-keypairs/told")
        types = theirs(openstack, "volume", "/types", "volume_types")
        assert names(seen["volume_type"]) == {key: one["name"] for key, one in types.items()}
        assert names(seen["security_group"])[group["id"]] == "told"
        assert seen["keypair"]["told"][1]["fingerprint"] == pair["fingerprint"]
        zones = theirs(openstack, "compute", "/os-availability-zone", "availabilityZoneInfo", "zoneName")
        assert {name: detail["available"] for name, detail in seen["availability_zone"].values()} == {
            key: one["zoneState"]["available"] for key, one in zones.items()}


def test_quotas_and_what_is_left_of_them(platform, openstack):
    with quota(openstack, "compute", "cores", 7), quota(openstack, "volume", "gigabytes", 4000), \
            quota(openstack, "network", "port", 77):
        seen = catalogue(platform)["quota"]
    cores, gigabytes, ports = (seen[name][1] for name in ("cores", "gigabytes", "ports"))
    assert (cores["limit"], gigabytes["limit"], ports["limit"]) == (7, 4000, 77)
    for one in (cores, gigabytes, ports):
        assert one["left"] == max(0, one["limit"] - one["used"])
    mine = openstack.get("network", f"/v2.0/ports?project_id={openstack.project(openstack.cloud)}")
    assert ports["used"] == len(mine["ports"])
