# SPDX-License-Identifier: Apache-2.0
"""Servers of one project move cold to another one, and go back."""
import os

import pytest

from guts_platform import wait_until
from machines import identical

MACS = ("fa:16:3e:77:00:01", "fa:16:3e:77:00:02")
MIB = 1 << 20


@pytest.fixture(scope="module")
def platform(cloud_platform, _openstack_session):
    """Source "clouds" is project "guts", destination "others" another project with a network."""
    openstack = _openstack_session
    entry = openstack.entry(openstack.cloud)
    cloud_platform.add("sources", "clouds", "openstack", **entry["auth"],
                       region_name=entry["region_name"])
    network = openstack.call("POST", "network", "/v2.0/networks",
                             {"network": {"name": "theirs"}}, openstack.stranger)["network"]["id"]
    openstack.call("POST", "network", "/v2.0/subnets", {"subnet": {
        "network_id": network, "ip_version": 4, "cidr": "10.91.0.0/24"}}, openstack.stranger)
    cloud_platform.add_cloud("others", openstack.stranger)
    yield cloud_platform
    openstack.call("DELETE", "network", f"/v2.0/networks/{network}", cloud=openstack.stranger)


def wait_status(openstack, path, envelope, wanted):
    service = "compute" if path.startswith("/servers") else "volume"
    wait_until(f"{path} is {wanted}", 90, lambda: openstack.get(service, path)[envelope]["status"]
               == wanted, 0.5)


def make_volume(openstack, name, gib, properties=None):
    """Sparse, with bytes of its own at both ends."""
    volume = openstack.call("POST", "volume", "/volumes", {"volume": {
        "name": name, "size": gib}})["volume"]["id"]
    wait_status(openstack, f"/volumes/{volume}", "volume", "available")
    with open(openstack.volume_file(volume), "r+b") as file:
        file.write(os.urandom(MIB))
        file.seek((gib << 30) - MIB)
        file.write(os.urandom(MIB))
    if properties:
        openstack.call("POST", "volume", f"/volumes/{volume}/action",
                       {"os-set_bootable": {"bootable": True}})
        openstack.call("POST", "volume", f"/volumes/{volume}/action",
                       {"os-set_image_metadata": {"metadata": properties}})
    return volume


def make_ports(openstack, name, macs):
    """Ids, in the order of the cards."""
    ports = []
    for mac, network in zip(macs, ("blue", "green")):
        found = openstack.get("network", f"/v2.0/networks?name={network}")["networks"][0]["id"]
        ports.append(openstack.call("POST", "network", "/v2.0/ports", {"port": {
            "network_id": found, "mac_address": mac, "name": name}})["port"]["id"])
    return ports


def make_server(openstack, name):
    volumes = [make_volume(openstack, f"{name}-root", 1, {"hw_firmware_type": "uefi",
                                                          "os_distro": "debian"}),
               make_volume(openstack, f"{name}-data", 1)]
    ports = make_ports(openstack, name, MACS)
    flavors = openstack.get("compute", "/flavors")["flavors"]
    server = openstack.call("POST", "compute", "/servers", {"server": {
        "name": name, "flavorRef": next(one["id"] for one in flavors if one["name"] == "g.tiny"),
        "networks": [{"port": port} for port in ports],
        "block_device_mapping_v2": [
            {"boot_index": 0 if number == 0 else -1, "uuid": volume, "source_type": "volume",
             "destination_type": "volume"} for number, volume in enumerate(volumes)]}})
    server = server["server"]["id"]
    wait_status(openstack, f"/servers/{server}", "server", "ACTIVE")
    return server, volumes, ports


def remove_server(openstack, server, volumes, ports):
    openstack.call("DELETE", "compute", f"/servers/{server}")
    wait_until("the server is gone", 60, lambda: server not in openstack.inventory()["servers"], 0.5)
    for port in ports:
        openstack.call("DELETE", "network", f"/v2.0/ports/{port}")
    for volume in volumes:
        wait_status(openstack, f"/volumes/{volume}", "volume", "available")
        openstack.call("DELETE", "volume", f"/volumes/{volume}?cascade=true")


@pytest.fixture(scope="module")
def wanderer(platform, _openstack_session):
    """(id, volumes) of a running server with two disks and two cards, which the source knows."""
    made = make_server(_openstack_session, "wanderer")
    platform.refresh("sources", "clouds")
    yield made[:2]
    remove_server(_openstack_session, *made)


@pytest.fixture
def server(wanderer, openstack):
    """As `wanderer`, with a cloud that is well."""
    return wanderer


def of_other(openstack, name):
    found = openstack.get("compute", f"/servers/detail?name=^{name}$", openstack.stranger)["servers"]
    assert len(found) == 1, found
    return found[0]


def test_a_server_is_seen_with_its_disks_cards_and_firmware(platform, server):
    vms = platform.get("/v1/vms?name=wanderer")["vms"]
    assert len(vms) == 1 and vms[0]["obstacle"] is None, vms
    vm = platform.get(f"/v1/vms/{vms[0]['id']}")
    assert (vm["power"], vm["firmware"], vm["guest_os"]) == ("on", "efi", "debian")
    assert [one["key"] for one in vm["disks"]] == server[1]
    assert [one["capacity_bytes"] for one in vm["disks"]] == [1 << 30, 1 << 30]
    assert [(one["mac"], one["network"]) for one in vm["nics"]] == [(MACS[0], "blue"), (MACS[1], "green")]


def test_a_running_server_is_refused_unless_it_may_be_stopped(platform, openstack, server):
    before = openstack.inventory()
    done = platform.move("wanderer", destination="others", options={"network": "theirs"})
    assert done["state"] == "ROLLED_BACK" and done["fault"]["code"] == "vm_running", done
    assert openstack.inventory() == before


def test_a_paused_server_is_refused(platform, openstack, server):
    path = f"/servers/{server[0]}"
    openstack.call("POST", "compute", f"{path}/action", {"pause": None})
    wait_status(openstack, path, "server", "PAUSED")
    before = openstack.inventory()
    try:
        done = platform.move("wanderer", destination="others",
                             options={"network": "theirs", "stop_source": True})
        assert done["state"] == "ROLLED_BACK" and done["fault"]["code"] == "vm_suspended", done
        assert openstack.inventory() == before
    finally:
        openstack.call("POST", "compute", f"{path}/action", {"unpause": None})
        wait_status(openstack, path, "server", "ACTIVE")


def test_it_moves_to_another_project_byte_for_byte_and_back(platform, openstack, server):
    before = openstack.inventory()
    done = platform.move("wanderer", 300, destination="others",
                         options={"network": "theirs", "stop_source": True})
    assert done["state"] == "VERIFIED", done
    made = of_other(openstack, "wanderer")
    assert made["status"] == "ACTIVE"
    attached = openstack.get("compute", f"/servers/{made['id']}/os-volume_attachments",
                             openstack.stranger)["volumeAttachments"]
    copies = [one["volumeId"] for one in sorted(attached, key=lambda one: one["device"])]
    for original, copy in zip(server[1], copies, strict=True):
        files = openstack.volume_file(original), openstack.volume_file(copy)
        same, words = identical(*files, "raw")
        assert same and files[0].stat().st_size == files[1].stat().st_size, words
    ports = openstack.get("network", f"/v2.0/ports?device_id={made['id']}",
                          openstack.stranger)["ports"]
    by_id = {one["id"]: one["mac_address"] for one in ports}
    assert [by_id[one] for one in done["server"]["ports"]] == list(MACS)
    assert openstack.get("compute", f"/servers/{server[0]}")["server"]["status"] == "SHUTOFF"
    after = openstack.inventory()
    assert after["snapshots"] == before["snapshots"]
    for kind in ("volumes", "images"):
        assert not [one for key, one in after[kind].items()
                    if one[0].startswith("guts-export") and key not in before[kind]]
    platform.act(done["id"], "rollback", "ROLLED_BACK")
    platform.wait_inventory(before)
    assert not openstack.get("compute", f"/servers/{server[0]}/metadata")["metadata"]


@pytest.mark.parametrize("step", ["preflight", "stop", "export", "copy", "check", "deploy", "verify"])
def test_a_cancel_in_each_step_leaves_it_running_as_it_was(platform, openstack, server, step):
    """No snapshot, volume or image stays of it, and its disks are untouched."""
    before, disks = openstack.inventory(), facts_of(openstack, server[1])
    migration = platform.begin_move("wanderer", destination="others",
                                    options={"network": "theirs", "stop_source": True})
    ledger = platform.cancel(migration, step, 240)["ledger"]
    platform.wait_inventory(before, 120)
    found = openstack.get("compute", f"/servers/{server[0]}")["server"]
    assert (found["status"], found["metadata"]) == ("ACTIVE", {})
    assert facts_of(openstack, server[1]) == disks
    assert all(one["state"] in ("undone", "not_found") for one in ledger), ledger


def facts_of(openstack, volumes):
    """What changes when somebody writes into them."""
    found = [openstack.volume_file(one).stat() for one in volumes]
    return [(one.st_ino, one.st_size, one.st_mtime_ns) for one in found]
