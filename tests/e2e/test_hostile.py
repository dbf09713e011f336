# SPDX-License-Identifier: Apache-2.0
"""Bad input from outside: a clear code, nothing changed, and the node lives on."""
import hashlib
import io
import os
import tarfile

import pytest

from guts_platform import wait_until
from machines import make_machine, make_raw, make_vmdk, run, write_vmx

SECRET = "outside of every root: must never be read"


def broken_chain(home):
    """Two deltas that name each other as their parent."""
    make_vmdk(make_raw(home / "x.raw", 8 << 20, "cycle"), home / "base.vmdk", "monolithicSparse")
    run("qemu-img", "create", "-q", "-f", "vmdk", "-b", "base.vmdk", "-F", "vmdk", home / "a.vmdk")
    data = (home / "a.vmdk").read_bytes()
    (home / "a.vmdk").write_bytes(data.replace(b'"base.vmdk"', b'"a.vmdk"   ', 1))
    return ["a.vmdk"]


def truncated(home):
    make_vmdk(make_raw(home / "x.raw", 8 << 20, "cut"), home / "d.vmdk", "monolithicSparse")
    size = (home / "d.vmdk").stat().st_size
    os.truncate(home / "d.vmdk", size // 2)
    return ["d.vmdk"]


def descriptor(home, extent, capacity=16384, kind="monolithicFlat"):
    (home / "d.vmdk").write_text(
        "# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\n"
        f'createType="{kind}"\n\nRW {capacity} FLAT "{extent}" 0\n\n'
        'ddb.adapterType = "lsilogic"\n')
    return ["d.vmdk"]


def dotdot_extent(home):
    (home.parent.parent / "outside.raw").write_text(SECRET.ljust(16384 * 512, "."))
    return descriptor(home, "../../outside.raw")


def absolute_extent(home):
    return descriptor(home, "/etc/passwd", 4)


def symlink_extent(home):
    os.symlink("/etc/passwd", home / "link.raw")
    return descriptor(home, "link.raw", 4)


def absurd_capacity(home):
    (home / "f.raw").write_bytes(bytes(512))
    return descriptor(home, "f.raw", 1 << 62)


HOSTILE = {
    "cycle": (broken_chain, {"disk_invalid"}),
    "truncated": (truncated, {"disk_invalid", "io"}),
    "dotdot": (dotdot_extent, {"path_outside"}),
    "absolute": (absolute_extent, {"path_outside"}),
    "symlink": (symlink_extent, {"path_outside"}),
    "absurd": (absurd_capacity, {"disk_invalid", "too_large"}),
}


@pytest.fixture(scope="module")
def platform(shared):
    make_machine(shared.machines, "good", size_bytes=16 << 20)
    for name, (make, _) in HOSTILE.items():
        home = shared.machines / name
        home.mkdir()
        write_vmx(home / f"{name}.vmx", make(home), name)
    shared.add("sources", "lab", "workstation", path=str(shared.machines))
    shared.add("destinations", "kvm", "local", path=str(shared.results))
    return shared


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_disk_is_refused_with_its_code(platform, name):
    codes = HOSTILE[name][1]
    vm = platform.get(f"/v1/vms?name={name}")["vms"][0]
    if vm["obstacle"]:
        assert vm["obstacle"]["code"] in codes
    answer = platform.migrate(name, "kvm")
    done = platform.wait_state(answer["created"][0]["id"], ["ROLLED_BACK", "FAILED"])
    assert done["fault"]["code"] in codes, done["fault"]
    assert done["state"] == "ROLLED_BACK"
    assert not (platform.results / name).exists()


def test_the_node_lives_on(platform):
    assert platform.daemons["node-1"].alive()
    answer = platform.migrate("good", "kvm")
    platform.wait_state(answer["created"][0]["id"], "VERIFIED")
    for path in platform.results.rglob("*.qcow2"):
        assert SECRET.encode() not in path.read_bytes()


def test_a_running_and_a_suspended_machine_are_refused(platform):
    for name, file, code in (("runs", "runs.vmx.lck", "vm_running"),
                             ("sleeps", "sleeps.vmss", "vm_suspended")):
        make_machine(platform.machines, name, size_bytes=8 << 20)
        home = platform.machines / name
        if file.endswith(".lck"):
            (home / file).mkdir()
            (home / file / "M12345.lck").write_text(f"owner={os.getpid()}")
        else:
            (home / file).write_bytes(b"x" * 4096)
            with open(home / f"{name}.vmx", "a", encoding="utf-8") as vmx:
                vmx.write(f'checkpoint.vmState = "{file}"\n')
    platform.refresh("sources", "lab")
    for name, code in (("runs", "vm_running"), ("sleeps", "vm_suspended")):
        answer = platform.migrate(name, "kvm")
        done = platform.wait_state(answer["created"][0]["id"], ["ROLLED_BACK", "FAILED"])
        assert done["fault"]["code"] == code, done["fault"]


def test_a_path_outside_the_nodes_roots_is_refused(platform):
    made = platform.post("/v1/sources", {"name": "etc", "driver": "workstation",
                                         "settings": {"path": "/etc"}})
    assert made.status == 201
    wish = platform.refresh("sources", "etc")
    assert wish["state"] == "failed" and wish["fault"]["code"] == "path_outside", wish


def test_a_url_that_is_not_allowed_is_refused(platform):
    made = platform.post("/v1/sources", {"name": "url", "driver": "ova",
                                         "settings": {"url": "http://127.0.0.1:1/x.ova"}})
    assert made.status == 201, made
    wish = platform.refresh("sources", "url")
    assert wish["state"] == "failed" and wish["fault"]["code"] == "address_not_allowed", wish


# -- OVA ----------------------------------------------------------------------------------------

OVF = """<?xml version="1.0"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
  xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData">
  <References><File ovf:href="{name}.vmdk" ovf:id="file1"/></References>
  <DiskSection><Info>d</Info><Disk ovf:capacity="{capacity}" ovf:capacityAllocationUnits="byte"
    ovf:diskId="disk1" ovf:fileRef="file1"
    ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/></DiskSection>
  <VirtualSystem ovf:id="{name}"><Info>v</Info><Name>{name}</Name>
    <VirtualHardwareSection><Info>h</Info>
      <Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType>
        <rasd:VirtualQuantity>2</rasd:VirtualQuantity></Item>
      <Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:InstanceID>2</rasd:InstanceID>
        <rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>512</rasd:VirtualQuantity></Item>
      <Item><rasd:Address>0</rasd:Address><rasd:InstanceID>3</rasd:InstanceID>
        <rasd:ResourceSubType>lsilogic</rasd:ResourceSubType><rasd:ResourceType>6</rasd:ResourceType></Item>
      <Item><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:HostResource>ovf:/disk/disk1</rasd:HostResource>
        <rasd:InstanceID>4</rasd:InstanceID><rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
    </VirtualHardwareSection></VirtualSystem></Envelope>
"""
BOMB = ('<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaaaaaaaa">'
        + "".join(f'<!ENTITY {chr(98 + i)} "{("&" + chr(97 + i) + ";") * 10}">' for i in range(9))
        + "]><Envelope>&j;</Envelope>")


def make_ova(directory, name, spoil=None):
    """An OVA with a streamOptimized disk and a manifest. Returns (path, raw)."""
    raw = make_raw(directory.parent / f"{name}.ova-raw", 16 << 20, name)
    vmdk = make_vmdk(raw, directory.parent / f"{name}.vmdk", "streamOptimized")
    disk = vmdk.read_bytes()
    ovf = OVF.format(name=name, capacity=16 << 20).encode()
    if spoil == "bomb":
        ovf = BOMB.encode()
    if spoil == "absurd":
        ovf = OVF.format(name=name, capacity=1 << 63).encode()
    manifest = "".join(f"SHA256({member})= {hashlib.sha256(data).hexdigest()}\n"
                       for member, data in ((f"{name}.ovf", ovf), (f"{name}.vmdk", disk)))
    if spoil == "digest":
        manifest = manifest.replace("a", "b").replace("1", "2")
    member = f"../{name}.vmdk" if spoil == "dotdot" else f"{name}.vmdk"
    with tarfile.open(directory / f"{name}.ova", "w", format=tarfile.USTAR_FORMAT) as tar:
        for path, data in ((f"{name}.ovf", ovf), (f"{name}.mf", manifest.encode()), (member, disk)):
            info = tarfile.TarInfo(path)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    vmdk.unlink()
    return directory / f"{name}.ova", raw


def test_a_good_ova_migrates(platform):
    from machines import identical
    home = platform.machines / "ovas-good"
    home.mkdir()
    _, raw = make_ova(home, "appliance")
    platform.add("sources", "ovas", "ova", path=str(home))
    done = platform.migrate("appliance", "kvm")
    platform.wait_state(done["created"][0]["id"], "VERIFIED")
    same, words = identical(raw, platform.results / "appliance" / "disk0.qcow2", "qcow2")
    assert same, words


@pytest.mark.parametrize("spoil,codes", [
    ("digest", {"manifest_mismatch"}), ("bomb", {"vm_config_invalid", "too_large"}),
    ("dotdot", {"archive_invalid"}), ("absurd", {"vm_config_invalid", "too_large", "disk_invalid"})])
def test_a_hostile_ova_is_refused_with_its_code(platform, spoil, codes):
    home = platform.machines / f"ovas-{spoil}"
    home.mkdir()
    make_ova(home, f"ova-{spoil}", spoil)
    made = platform.post("/v1/sources", {"name": f"ova-{spoil}", "driver": "ova",
                                         "settings": {"path": str(home)}})
    assert made.status == 201, made
    wish = platform.refresh("sources", f"ova-{spoil}")
    vms = platform.get(f"/v1/vms?source=ova-{spoil}")["vms"]
    if wish["state"] == "failed":
        assert wish["fault"]["code"] in codes, wish
        return
    assert len(vms) == 1
    if vms[0]["obstacle"]:
        assert vms[0]["obstacle"]["code"] in codes, vms[0]
    answer = platform.migrate(vms[0]["id"], "kvm")
    done = platform.wait_state(answer["created"][0]["id"], ["ROLLED_BACK", "FAILED"])
    assert done["fault"]["code"] in codes, done["fault"]


def test_the_node_still_lives(platform):
    assert platform.daemons["node-1"].alive()
    wait_until("no worker is left", 20, lambda: platform.get("/v1/nodes/node-1")["job_count"] == 0)
