# SPDX-License-Identifier: Apache-2.0
"""The real drivers on real machines, without a scheduler: every kind of disk, chains, OVA files, both
firmwares, booted; what is damaged or hostile gets its code and leaves nothing."""
import functools
import hashlib
import http.server
import io
import json
import os
import pathlib
import random
import shutil
import subprocess
import tarfile
import threading

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("GUTS_BUILD", ROOT / "build"))
KINDS = ["monolithicSparse", "monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat",
         "streamOptimized"]
# /dev/kvm may be there and yet run nothing: what a test needs is the slow, sure way.
BOOT = {"verify_boot": True, "boot_text": "hello from guts", "boot_timeout_s": 300,
        "boot_accelerator": "tcg"}


def run(*words):
    subprocess.run([str(word) for word in words], check=True, stdout=subprocess.DEVNULL)


def move(driver, settings, key, out, options=None, extra=None, root=None):
    out.mkdir(exist_ok=True)
    words = [BUILD / "tests/integration/move_machine", driver, json.dumps(settings), key,
             root or out.parent, out, json.dumps(options or {})] + ([extra] if extra else [])
    done = subprocess.run([str(word) for word in words], text=True, stdout=subprocess.PIPE, timeout=500)
    assert done.returncode in (0, 1), done
    return json.loads(done.stdout)


def make_guest(directory, name, *words):
    run(ROOT / "tests/guests/make-guest", "--marker", "hello from guts", *words, directory, name)


def make_raw(path, seed, mebibytes=24):
    """Data and holes, scattered."""
    dice = random.Random(seed)
    with open(path, "wb") as file:
        file.truncate(mebibytes << 20)
        for _ in range(40):
            file.seek(dice.randrange(mebibytes << 20) & ~4095)
            file.write(dice.randbytes(dice.randrange(1, 200000)))
        file.truncate(mebibytes << 20)


def write_vmx(directory, name, disks, *more):
    lines = ['.encoding = "UTF-8"', f'displayName = "{name}"', 'memsize = "256"',
             'scsi0.present = "TRUE"', *more]
    for unit, disk in enumerate(disks):
        lines += [f'scsi0:{unit}.present = "TRUE"', f'scsi0:{unit}.fileName = "{disk}"']
    (directory / f"{name}.vmx").write_text("\n".join(lines) + "\n")


def assert_identical(raw, qcow2):
    done = subprocess.run(["qemu-img", "compare", "-f", "raw", "-F", "qcow2", raw, qcow2],
                          text=True, stdout=subprocess.PIPE)
    assert done.returncode == 0 and "identical" in done.stdout, done.stdout


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_arrives_identical(tmp_path, kind, count):
    machines = tmp_path / "in"
    machines.mkdir()
    for index in range(count):
        make_raw(tmp_path / f"{index}.raw", index)
        run("qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", f"subformat={kind}",
            tmp_path / f"{index}.raw", machines / f"d{index}.vmdk")
    write_vmx(machines, "m", [f"d{index}.vmdk" for index in range(count)])
    result = move("workstation", {"path": str(machines)}, "m.vmx", tmp_path / "out")
    assert "fault" not in result, result
    for index in range(count):
        assert_identical(tmp_path / f"{index}.raw", tmp_path / "out/m" / f"disk{index}.qcow2")
        assert result["disks"][index]["content"].startswith("xxh3-128-tree:")
    text = (tmp_path / "out/m/domain.xml").read_text().replace("type='kvm'", "type='test'")
    (tmp_path / "test.xml").write_text(text)
    run("virsh", "-q", "-c", "test:///default", "define", tmp_path / "test.xml")


@pytest.mark.parametrize("layers", [1, 4])
def test_a_chain_of_snapshots_arrives_identical(tmp_path, layers):
    machines = tmp_path / "in"
    machines.mkdir()
    make_raw(tmp_path / "base.raw", 1)
    run("qemu-img", "convert", "-O", "vmdk", tmp_path / "base.raw", machines / "d.vmdk")
    newest = "d.vmdk"
    for layer in range(1, layers + 1):
        name = f"d-{layer:06}.vmdk"
        subprocess.run(["qemu-img", "create", "-q", "-f", "vmdk", "-b", newest, "-F", "vmdk", name],
                       check=True, cwd=machines)
        run("qemu-io", "-f", "vmdk", "-c", f"write -P {layer} {layer}M 300k", machines / name)
        newest = name
    write_vmx(machines, "m", [newest])
    result = move("workstation", {"path": str(machines)}, "m.vmx", tmp_path / "out")
    assert "fault" not in result, result
    run("qemu-img", "convert", "-f", "vmdk", "-O", "raw", machines / newest, tmp_path / "guest.raw")
    assert_identical(tmp_path / "guest.raw", tmp_path / "out/m/disk0.qcow2")


@pytest.mark.parametrize("firmware, bus", [("bios", "virtio"), ("bios", "source"), ("efi", "virtio")])
def test_a_moved_guest_boots(tmp_path, firmware, bus):
    make_guest(tmp_path / "in", "g", "--firmware", firmware, "--format", "streamOptimized")
    if bus == "source":  # of QEMU's old buses the guest's kernel reaches this one
        vmx = tmp_path / "in/g.vmx"
        vmx.write_text(vmx.read_text().replace("scsi0:0", "ide0:0"))
    result = move("workstation", {"path": str(tmp_path / "in")}, "g.vmx", tmp_path / "out",
                  {**BOOT, "bus": bus})
    assert "fault" not in result, result
    assert result["evidence"]["boot"]["text"] == "hello from guts"


def test_a_guest_that_does_not_boot_is_not_verified(tmp_path):
    make_guest(tmp_path / "in", "g", "--broken")
    result = move("workstation", {"path": str(tmp_path / "in")}, "g.vmx", tmp_path / "out",
                  {**BOOT, "boot_timeout_s": 120})
    assert result["fault"] == "boot_failed"
    assert "ALERT!" in result["text"]
    assert result["evidence"] == {}


def test_a_disk_damaged_before_its_proof_is_not_verified(tmp_path):
    make_guest(tmp_path / "in", "g")
    result = move("workstation", {"path": str(tmp_path / "in")}, "g.vmx", tmp_path / "out", {}, "damage")
    assert result["fault"] == "digest_mismatch", result
    assert not (tmp_path / "out/g").exists()


@pytest.mark.parametrize("count", [1, 3])
def test_an_ova_arrives_and_boots(tmp_path, count):
    make_guest(tmp_path / "in", "g", "--ova", "--firmware", "bios", "--disks", count)
    result = move("ova", {"path": str(tmp_path / "in")}, "g.ova", tmp_path / "out", BOOT)
    assert "fault" not in result, result
    assert result["evidence"]["boot"]["text"] == "hello from guts"
    with tarfile.open(tmp_path / "in/g.ova") as archive:
        archive.extractall(tmp_path / "unpacked")
    for index in range(count):
        run("qemu-img", "convert", "-O", "raw", tmp_path / f"unpacked/g-disk{index}.vmdk",
            tmp_path / f"{index}.raw")
        assert_identical(tmp_path / f"{index}.raw", tmp_path / f"out/g/disk{index}.qcow2")
    # The same package, unpacked.
    result = move("ova", {"path": str(tmp_path / "unpacked")}, "g.ovf", tmp_path / "out2")
    assert "fault" not in result, result
    assert_identical(tmp_path / "0.raw", tmp_path / "out2/g/disk0.qcow2")


class RangeHandler(http.server.SimpleHTTPRequestHandler):
    """Python's own serves no ranges."""

    def do_GET(self):
        if "Range" not in self.headers:
            return super().do_GET()
        first, last = self.headers["Range"].removeprefix("bytes=").split("-")
        path = pathlib.Path(self.translate_path(self.path))
        if not path.exists():
            return self.send_error(404)
        data = path.read_bytes()
        piece = data[int(first):int(last) + 1]
        self.send_response(206 if piece else 416)
        self.send_header("Content-Length", str(len(piece)))
        self.end_headers()
        self.wfile.write(piece)

    def log_message(self, *_):
        pass


@pytest.fixture
def web(tmp_path):
    handler = functools.partial(RangeHandler, directory=tmp_path / "in")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_an_ova_behind_a_url_arrives(tmp_path, web):
    make_guest(tmp_path / "in", "g", "--ova")
    settings = {"url": web + "g.ova"}
    assert move("ova", settings, "list", tmp_path / "out", {}, web)["vms"] == [
        {"key": "g.ova", "disks": 1}]
    result = move("ova", settings, "g.ova", tmp_path / "out", {}, web)
    assert "fault" not in result, result
    assert (tmp_path / "out/g/disk0.qcow2").exists()
    assert move("ova", settings, "list", tmp_path / "out", {})["fault"] == "address_not_allowed"
    assert move("ova", {"url": web + "none.ova"}, "list", tmp_path / "out", {}, web)["fault"] == "not_found"


def fault_of_disk(tmp_path, prepare):
    machines = tmp_path / "in"
    machines.mkdir()
    make_raw(tmp_path / "a.raw", 1, 4)
    run("qemu-img", "convert", "-O", "vmdk", tmp_path / "a.raw", machines / "d.vmdk")
    write_vmx(machines, "m", [prepare(machines) or "d.vmdk"])
    result = move("workstation", {"path": str(machines)}, "m.vmx", tmp_path / "out")
    # What an attempt had begun is its rollback's to remove; nothing bears the server's name.
    assert not (tmp_path / "out/m").exists()
    return result["fault"]


def flat(machines, extent):
    (machines / "f.vmdk").write_text(
        "# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType=\"monolithicFlat\"\n"
        f"RW 8 FLAT \"{extent}\" 0\n")
    return "f.vmdk"


def test_a_truncated_disk_is_refused(tmp_path):
    assert fault_of_disk(tmp_path, lambda at: os.truncate(at / "d.vmdk", 70000)) == "disk_invalid"


def test_a_cyclic_chain_is_refused(tmp_path):
    def prepare(machines):
        subprocess.run(["qemu-img", "create", "-q", "-f", "vmdk", "-b", "d.vmdk", "-F", "vmdk", "c.vmdk"],
                       check=True, cwd=machines)
        data = (machines / "c.vmdk").read_bytes()
        (machines / "c.vmdk").write_bytes(data.replace(b'"d.vmdk"', b'"c.vmdk"'))
        return "c.vmdk"
    assert fault_of_disk(tmp_path, prepare) == "disk_invalid"


@pytest.mark.parametrize("extent", ["../outside.img", "/etc/passwd", "link.img", "sub/../../outside.img"])
def test_an_extent_elsewhere_is_refused(tmp_path, extent):
    (tmp_path / "outside.img").write_bytes(bytes(4096))

    def prepare(machines):
        (machines / "link.img").symlink_to("../outside.img")
        return flat(machines, extent)
    assert fault_of_disk(tmp_path, prepare) == "path_outside"


def test_an_absurd_capacity_is_refused(tmp_path):
    def prepare(machines):
        name = flat(machines, "x.img")
        text = (machines / name).read_text().replace("RW 8 ", f"RW {1 << 55} ")
        (machines / name).write_text(text)
        (machines / "x.img").write_bytes(bytes(4096))
        return name
    assert fault_of_disk(tmp_path, prepare) in ("disk_invalid", "too_large")


def rewrite_ova(source, target, change):
    with tarfile.open(source) as old, tarfile.open(target, "w", format=tarfile.USTAR_FORMAT) as new:
        for member in old.getmembers():
            data = old.extractfile(member).read()
            member, data = change(member, data)
            member.size = len(data)
            new.addfile(member, io.BytesIO(data))


@pytest.mark.parametrize("what, fault", [("digest", "manifest_mismatch"), ("climb", "archive_invalid"),
                                         ("bomb", "vm_config_invalid"), ("huge", "too_large")])
def test_a_hostile_package_is_refused(tmp_path, what, fault):
    make_guest(tmp_path / "in", "g", "--ova")
    (tmp_path / "bad").mkdir()

    def change(member, data):
        if what == "digest" and member.name.endswith(".vmdk"):
            data = data[:-1000000] + b"\0" + data[-999999:]
        if what == "climb" and member.name.endswith(".vmdk"):
            member.name = "../" + member.name
        if member.name.endswith(".ovf") and what == "bomb":
            data = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + data.split(b"?>", 1)[1]
        if member.name.endswith(".ovf") and what == "huge":
            data = data.replace(b'capacity="64"', b'capacity="99999999999999"')
        if member.name.endswith(".mf") and what in ("bomb", "huge"):
            data = b""
        return member, data
    if what in ("bomb", "huge"):  # without a manifest, so that it is the descriptor that is judged
        rewrite_ova(tmp_path / "in/g.ova", tmp_path / "with.ova", change)
        with tarfile.open(tmp_path / "with.ova") as old, tarfile.open(tmp_path / "bad/g.ova", "w") as new:
            for member in old.getmembers():
                if not member.name.endswith(".mf"):
                    new.addfile(member, old.extractfile(member))
    else:
        rewrite_ova(tmp_path / "in/g.ova", tmp_path / "bad/g.ova", change)
    result = move("ova", {"path": str(tmp_path / "bad")}, "g.ova", tmp_path / "out")
    assert result["fault"] == fault, result
    assert list((tmp_path / "out").iterdir()) == []


def test_a_path_beyond_the_roots_is_refused(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "link").symlink_to("/etc")
    for path in ["/etc", str(tmp_path / "in/../../.."), str(tmp_path / "link")]:
        result = move("workstation", {"path": path}, "list", tmp_path / "out")
        assert result["fault"] == "path_outside", (path, result)


def test_what_runs_is_refused_and_nothing_is_made(tmp_path):
    make_guest(tmp_path / "in", "g")
    lock = tmp_path / "in/g.vmx.lck"
    lock.mkdir()
    (lock / "M4711.lck").write_text("host 4711")
    result = move("workstation", {"path": str(tmp_path / "in")}, "g.vmx", tmp_path / "out")
    assert result["fault"] == "vm_running"
    assert list((tmp_path / "out").iterdir()) == []
    shutil.rmtree(lock)
    digest = hashlib.sha256((tmp_path / "in/g.vmdk").read_bytes()).hexdigest()
    assert "fault" not in move("workstation", {"path": str(tmp_path / "in")}, "g.vmx", tmp_path / "out")
    assert hashlib.sha256((tmp_path / "in/g.vmdk").read_bytes()).hexdigest() == digest
