# SPDX-License-Identifier: Apache-2.0
"""A server that booted from an image, on a hypervisor that holds its disk for real: Nova's image of it is read, and
it moves cold to another project, and back. Its volume goes with it."""
import contextlib

import pytest

from guts_platform import wait_until
from machines import identical, run
from test_boot import GUESTS
from test_boots import MARKER, host  # noqa: F401
from test_source import make_ports, make_volume, of_other, platform, remove_server, wait_status  # noqa: F401

MACS = ("fa:16:3e:78:00:02", "fa:16:3e:78:00:01")
OWN_BYTES = ("1000M", "64k")  # that the server has, and the image it was made of has not


def make_image(openstack, raw):
    image = openstack.call("POST", "image", "/v2/images", {
        "name": "settler", "disk_format": "raw", "container_format": "bare", "min_disk": 1,
        "os_distro": "debian"})["id"]
    openstack.call("PUT", "image", f"/v2/images/{image}/file", raw.read_bytes(),
                   headers={"Content-Type": "application/octet-stream"})
    return image


def act(openstack, server, deed, status):
    openstack.call("POST", "compute", f"/servers/{server}/action", {deed: None})
    wait_status(openstack, f"/servers/{server}", "server", status)


def disk_of(openstack, server):
    """Where the hypervisor keeps the server's own disk: what the image lacks, over the image."""
    return openstack.directory / "data/nova/boots" / server / "disk"


def make_server(openstack, image, volume, ports, zone):
    flavors = openstack.get("compute", "/flavors")["flavors"]
    server = openstack.call("POST", "compute", "/servers", {"server": {
        "name": "settler", "imageRef": image, "availability_zone": zone,
        "flavorRef": next(one["id"] for one in flavors if one["name"] == "g.tiny"),
        "networks": [{"port": port} for port in ports],
        "block_device_mapping_v2": [
            {"boot_index": 0, "uuid": image, "source_type": "image", "destination_type": "local"},
            {"boot_index": -1, "uuid": volume, "source_type": "volume",
             "destination_type": "volume"}]}})["server"]["id"]
    wait_status(openstack, f"/servers/{server}", "server", "ACTIVE")
    act(openstack, server, "os-stop", "SHUTOFF")
    run("qemu-io", "-f", "qcow2", "-c", f"write -P 90 {' '.join(OWN_BYTES)}", disk_of(openstack, server))
    act(openstack, server, "os-start", "ACTIVE")
    return server


@pytest.fixture(scope="module")
def settler(platform, host, _openstack_session):  # noqa: F811
    """(server, volume) with a disk of its own, a volume and two cards."""
    openstack = _openstack_session
    run(GUESTS / "make-guest", "--raw", "--stays", "--marker", MARKER, platform.machines, "settler")
    raw = platform.machines / "settler.raw"
    with contextlib.ExitStack() as stack:
        image = make_image(openstack, raw)
        stack.callback(openstack.call, "DELETE", "image", f"/v2/images/{image}")
        volume = make_volume(openstack, "settler-data", 1)
        ports = make_ports(openstack, "settler", MACS)
        server = make_server(openstack, image, volume, ports, host)
        stack.callback(remove_server, openstack, server, [volume], ports)
        platform.refresh("sources", "clouds")
        platform.refresh("destinations", "others")
        yield server, volume


@pytest.fixture
def ours(settler, openstack):
    """As `settler`, with a cloud that is well."""
    return settler


def options(**more):
    return {"network": "theirs", "stop_source": True, "flavor": "g.tiny", **more}


def check_back(platform, openstack, server, before):  # noqa: F811
    """The source runs as it did, and nobody can see that it was ever asked."""
    platform.wait_inventory(before, 120)
    found = openstack.get("compute", f"/servers/{server}")["server"]
    assert (found["status"], found["metadata"]) == ("ACTIVE", {})


def copies_of(openstack, server):
    attached = openstack.get("compute", f"/servers/{server}/os-volume_attachments",
                             openstack.stranger)["volumeAttachments"]
    return [one["volumeId"] for one in sorted(attached, key=lambda one: one["device"])]


def test_its_own_disk_moves_byte_for_byte_and_back(platform, openstack, ours):  # noqa: F811
    server, volume = ours
    before = openstack.inventory()
    done = platform.move("settler", 300, destination="others", options=options())
    assert done["state"] == "VERIFIED", done
    assert openstack.get("compute", f"/servers/{server}")["server"]["status"] == "SHUTOFF"
    made = of_other(openstack, "settler")
    root, data = copies_of(openstack, made["id"])
    same, words = identical(openstack.volume_file(root), disk_of(openstack, server), "qcow2")
    assert same, words
    same, words = identical(openstack.volume_file(data), openstack.volume_file(volume), "raw")
    assert same, words
    with open(openstack.volume_file(root), "rb") as file:
        file.seek(1000 << 20)
        assert file.read(64 << 10) == b"\x5a" * (64 << 10), "the image was copied, not the server's disk"
    ports = openstack.get("network", f"/v2.0/ports?device_id={made['id']}",
                          openstack.stranger)["ports"]
    by_id = {one["id"]: one["mac_address"] for one in ports}
    assert [by_id[one] for one in done["server"]["ports"]] == list(MACS)
    after = openstack.inventory()
    assert after["snapshots"] == before["snapshots"] and after["images"] == before["images"]
    platform.act(done["id"], "rollback", "ROLLED_BACK", 300)
    check_back(platform, openstack, server, before)


def test_it_boots_in_the_other_project_and_a_cleanup_leaves_no_trace(platform, openstack, ours, host):  # noqa: F811
    server, _ = ours
    before = openstack.inventory()
    done = platform.move("settler", 300, destination="others", options=options(
        boot_from="image", availability_zone=host, verify_boot=True, boot_text=MARKER,
        boot_timeout_s=300))
    assert done["state"] == "VERIFIED", done
    assert MARKER in done["evidence"]["boot"]["console"], done["evidence"]
    platform.act(done["id"], "cleanup", "CLEANED", 120)
    found = openstack.get("compute", f"/servers/{server}")["server"]
    assert (found["status"], found["metadata"]) == ("SHUTOFF", {})
    after, made = openstack.inventory(), of_other(openstack, "settler")
    new = {kind: set(after[kind]) - set(before[kind]) for kind in ("servers", "images", "volumes", "snapshots")}
    assert new == {"servers": {made["id"]}, "images": {made["image"]["id"]},
                   "volumes": set(copies_of(openstack, made["id"])), "snapshots": set()}
    remove_made(openstack, made, new)
    act(openstack, server, "os-start", "ACTIVE")
    check_back(platform, openstack, server, before)


def remove_made(openstack, made, new):
    """As its owner would."""
    other = openstack.stranger
    ports = openstack.get("network", f"/v2.0/ports?device_id={made['id']}", other)["ports"]
    openstack.call("DELETE", "compute", f"/servers/{made['id']}", cloud=other)
    wait_until("the server is gone", 60, lambda: made["id"] not in openstack.inventory()["servers"], 0.5)
    for service, path, ids in (("network", "/v2.0/ports", [one["id"] for one in ports]),
                               ("volume", "/volumes", new["volumes"]), ("image", "/v2/images", new["images"])):
        for one in ids:
            openstack.call("DELETE", service, f"{path}/{one}", cloud=other)


@pytest.mark.parametrize("step", ["stop", "export", "copy", "deploy"])
def test_a_cancel_in_each_step_leaves_it_running_as_it_was(platform, openstack, ours, step):  # noqa: F811
    """In "export", Nova is busy with the image of the disk."""
    server, _ = ours
    before = openstack.inventory()
    migration = platform.begin_move("settler", destination="others", options=options())
    ledger = platform.cancel(migration, step, 300)["ledger"]
    check_back(platform, openstack, server, before)
    assert all(one["state"] in ("undone", "not_found") for one in ledger), ledger
