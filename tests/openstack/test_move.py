# SPDX-License-Identifier: Apache-2.0
"""The main job to a real OpenStack: machines become servers, with nothing left when they go back."""
import base64
import hashlib
import time

import pytest

from cloud_deeds import made
from cloud_platform import MACS, volume_is_empty
from guts_platform import wait_until


@pytest.fixture
def platform(cloud_platform, openstack):
    return cloud_platform


def check_cards(platform, server, networks):
    ports = platform.ports(server)
    assert [one["mac_address"] for one in ports] == list(MACS[:len(networks)])
    for port, network in zip(ports, networks):
        assert port["status"] == "ACTIVE"
        named = platform.openstack.get("network", f"/v2.0/networks?name={network}")["networks"]
        assert port["network_id"] == named[0]["id"]


UUID = ("56 4d 8a 01 02 03 04 05-80 06 07 08 09 0a 0b 0c", "564d8a01-0203-0405-8006-0708090a0b0c")


def give_uuid(platform, name):
    with open(platform.machines / name / f"{name}.vmx", "a", encoding="utf-8") as file:
        file.write(f'uuid.bios = "{UUID[0]}"\n')
    platform.refresh("sources", "workstations")


def check_marks(platform, done, server, *things):
    """Everything says which migration made it, and of which machine."""
    for one in (server["metadata"], *things):
        assert (one["guts_migration"], one["guts_source_uuid"]) == (done["id"], UUID[1]), one
        assert one["guts_source_name"] == done["vm_name"] and one["guts_source_key"], one
    for port in platform.ports(server):
        assert done["id"] in port["description"] and UUID[1] in port["description"], port


@pytest.fixture
def narrow(platform):
    """A network with as many addresses as the machine has cards."""
    openstack = platform.openstack
    with made(openstack, "network", "/v2.0/networks", "network", name="narrow") as network:
        openstack.call("POST", "network", "/v2.0/subnets", {"subnet": {
            "network_id": network["id"], "ip_version": 4, "cidr": "10.98.0.0/29",
            "allocation_pools": [{"start": "10.98.0.2", "end": "10.98.0.3"}]}})
        platform.refresh("destinations", "cloud")
        yield "narrow"


@pytest.mark.parametrize("boot_from", ["volume", "image"])
def test_two_disks_and_two_cards_arrive_in_order_and_go_back(platform, narrow, boot_from):
    name = platform.machine(f"pair-{boot_from}", disks=2, macs=MACS)
    give_uuid(platform, name)
    before = platform.openstack.inventory()
    done = platform.move(name, options={
        "network_map": [f"nat={narrow}"], "boot_from": boot_from, "flavor": "g.small",
        "fixed_ips": ["1=10.98.0.2"]})
    assert done["state"] == "VERIFIED", done
    assert {"transport", "content"} <= set(done["evidence"]), done["evidence"]
    server = platform.server(name)
    assert server["status"] == "ACTIVE" and server["metadata"]["guts_migration"] == done["id"]
    assert server["flavor"]["original_name"] == "g.small"
    check_cards(platform, server, [narrow, narrow])
    assert [[one["ip_address"] for one in port["fixed_ips"]] for port in platform.ports(server)] == [
        ["10.98.0.3"], ["10.98.0.2"]]
    volumes = platform.volumes(server)
    first = 0 if boot_from == "volume" else 1
    assert len(volumes) == 2 - first
    for number, volume in enumerate(volumes, first):
        platform.check_volume(platform.originals[name][number], volume)
        assert volume["status"] == "in-use" and volume["metadata"]["guts_migration"] == done["id"]
        assert not volume["attachments"][0].get("delete_on_termination")
    check_marks(platform, done, server, *[one["metadata"] for one in volumes])
    told = done["evidence"]["server"]["volumes"]  # each made of the image whose hash was compared
    assert [(one["id"], one["image"]) for one in told] == [
        (volume["id"], image["image"])
        for volume, image in zip(volumes, done["evidence"]["transport"][first:])]
    if boot_from == "image":
        info = platform.check_image(platform.originals[name][0], server["image"]["id"])
        check_marks(platform, done, server, info)
        file = platform.openstack.image_file(info["id"])
        assert info["os_hash_value"] == hashlib.sha512(file.read_bytes()).hexdigest()
    else:
        assert volumes[0]["bootable"] == "true" and volumes[1]["bootable"] == "false"
    platform.act(done["id"], "rollback", "ROLLED_BACK")
    platform.wait_inventory(before)


@pytest.mark.parametrize("kind", ["monolithicSparse", "twoGbMaxExtentFlat"])
@pytest.mark.parametrize("image_format", ["raw", "qcow2"])
def test_disks_of_other_kinds_arrive_as_asked(platform, kind, image_format):
    name = platform.machine(f"{kind}-{image_format}", kind)
    before = platform.openstack.inventory()
    done = platform.move(name, options={"image_format": image_format, "boot_from": "image",
                                        "flavor": "g.tiny"})
    assert done["state"] == "VERIFIED", done
    server = platform.server(name)
    info = platform.check_image(platform.originals[name][0], server["image"]["id"])
    assert info["disk_format"] == image_format
    platform.act(done["id"], "rollback", "ROLLED_BACK")
    platform.wait_inventory(before)


def test_after_a_cleanup_the_server_alone_stays(platform):
    name = platform.machine("kept")
    before = platform.openstack.inventory()
    done = platform.move(name, options={"extra_volumes": ["2"]}, server_name="kept-server")
    assert done["state"] == "VERIFIED", done
    server = platform.server("kept-server")
    volumes = platform.volumes(server)
    assert len(volumes) == 2 and volumes[1]["size"] == 2
    assert volume_is_empty(platform.openstack, volumes[1])
    platform.act(done["id"], "cleanup", "CLEANED")
    after = platform.openstack.inventory()
    assert after["images"] == before["images"] and after["files"]["data/glance/images"] == \
        before["files"]["data/glance/images"]
    assert platform.server("kept-server")["status"] == "ACTIVE"
    refused = platform.post(f"/v1/migrations/{done['id']}/rollback")
    assert refused.status == 409, refused
    remove_server(platform, server, volumes)
    platform.wait_inventory(before)


def remove_server(platform, server, volumes):
    """As its owner would."""
    openstack = platform.openstack
    ports = platform.ports(server)
    openstack.call("DELETE", "compute", f"/servers/{server['id']}")
    wait_gone(openstack, server["id"])
    for port in ports:
        openstack.call("DELETE", "network", f"/v2.0/ports/{port['id']}")
    for volume in volumes:
        openstack.call("DELETE", "volume", f"/volumes/{volume['id']}")


def wait_gone(openstack, server):
    wait_until("the server is gone", 60, lambda: server not in openstack.inventory()["servers"], 0.5)


@pytest.fixture(scope="module")
def wardrobe(cloud_platform, _openstack_session):
    """A volume type and a keypair by the name "tweed", which the catalogue knows."""
    openstack = _openstack_session
    kind = openstack.call("POST", "volume", "/types", {"volume_type": {"name": "tweed"}}, openstack.root)
    openstack.call("POST", "compute", "/os-keypairs", {"keypair": {"name": "tweed"}},
                   headers={"X-OpenStack-Nova-API-Version": "2.1"})
    cloud_platform.refresh("destinations", "cloud")
    yield "tweed"
    openstack.call("DELETE", "compute", "/os-keypairs/tweed")
    openstack.call("DELETE", "volume", f"/types/{kind['volume_type']['id']}", cloud=openstack.root)


def test_what_the_user_says_stands_on_the_server(platform, wardrobe):
    openstack = platform.openstack
    name = platform.machine("dressed", firmware="efi", disks=2)
    before = platform.openstack.inventory()
    done = platform.move(name, options={
        "user_data": "#cloud-config\n", "metadata": ["team=blue", "cost=7"], "config_drive": True,
        "availability_zone": "nova", "security_groups": ["default"], "keypair": wardrobe,
        "volume_types": [f"1={wardrobe}"]})
    assert done["state"] == "VERIFIED", done
    server = platform.server(name)
    assert server["metadata"]["team"] == "blue" and server["metadata"]["cost"] == "7"
    assert server["OS-EXT-AZ:availability_zone"] == "nova" and server["config_drive"]
    assert server["key_name"] == wardrobe
    assert base64.b64decode(server["OS-EXT-SRV-ATTR:user_data"]) == b"#cloud-config\n"
    volumes = platform.volumes(server)
    assert [one["volume_type"] for one in volumes] == ["__DEFAULT__", wardrobe]
    assert volumes[0]["volume_image_metadata"]["hw_firmware_type"] == "uefi"
    default = openstack.get("network", "/v2.0/security-groups?name=default&project_id="
                            + openstack.project(openstack.cloud))["security_groups"][0]["id"]
    assert platform.ports(server)[0]["security_groups"] == [default]
    platform.act(done["id"], "rollback", "ROLLED_BACK")
    platform.wait_inventory(before)


def test_an_application_credential_is_enough(platform):
    openstack = platform.openstack
    token, body = openstack.new_token(openstack.cloud)
    made = openstack.call("POST", "identity", f"/users/{body['user']['id']}/application_credentials",
                          {"application_credential": {"name": f"mover-{time.time()}"}},
                          headers={"X-Auth-Token": token})["application_credential"]
    platform.add("destinations", "by-credential", "openstack", auth_url=openstack.auth_url,
                 region_name=openstack.region, auth_type="v3applicationcredential",
                 application_credential_id=made["id"],
                 application_credential_secret=made["secret"])
    name, before = platform.machine("credited"), openstack.inventory()
    done = platform.move(name, destination="by-credential")
    assert done["state"] == "VERIFIED", done["fault"]
    platform.act(done["id"], "rollback", "ROLLED_BACK")
    platform.wait_inventory(before)


def test_a_dry_run_touches_nothing(platform):
    name = platform.machine("dry")
    before = platform.openstack.inventory()
    done = platform.wait_state(platform.begin_move(name, dry_run=True), ["DISCOVERED", "CANCELLED",
                                                                         "FAILED"])
    assert done["state"] != "FAILED", done
    assert platform.openstack.inventory() == before
