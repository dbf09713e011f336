# SPDX-License-Identifier: Apache-2.0
"""Machines as VMware Workstation writes them, made with qemu-img."""
import os
import random
import subprocess

VMDK_KINDS = ("monolithicSparse", "monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat",
              "streamOptimized")


def run(*words):
    done = subprocess.run([str(word) for word in words], text=True, capture_output=True, timeout=300)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


def make_raw(path, size_bytes, seed):
    """A sparse file with random data, runs of zeroes that are allocated, and holes."""
    chance = random.Random(seed)
    with open(path, "wb") as file:
        file.truncate(size_bytes)
        for _ in range(24):
            file.seek(chance.randrange(0, size_bytes // 512 - 1024) * 512)
            file.write(os.urandom(chance.randrange(512, 300 * 1024)))
        file.seek(size_bytes // 2 // 512 * 512)
        file.write(bytes(128 * 1024))
        file.seek(size_bytes - 512)
        file.write(os.urandom(512))
    return path


def make_vmdk(raw, path, kind):
    run("qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", f"subformat={kind}", raw, path)
    return path


def write_vmx(path, disks, name=None, firmware="bios", memory_mib=256, macs=("00:0c:29:12:34:56",),
              extra=()):
    """disks: file names relative to the .vmx."""
    lines = ['.encoding = "UTF-8"', 'config.version = "8"', 'virtualHW.version = "19"',
             f'displayName = "{name or path.stem}"', f'firmware = "{firmware}"', 'numvcpus = "1"',
             f'memsize = "{memory_mib}"', 'guestOS = "debian11-64"', 'scsi0.present = "TRUE"',
             'scsi0.virtualDev = "lsilogic"']
    for number, disk in enumerate(disks):
        lines += [f'scsi0:{number}.present = "TRUE"', f'scsi0:{number}.fileName = "{disk}"']
    for number, mac in enumerate(macs):
        lines += [f'ethernet{number}.present = "TRUE"', f'ethernet{number}.virtualDev = "e1000"',
                  f'ethernet{number}.connectionType = "nat"',
                  f'ethernet{number}.addressType = "static"', f'ethernet{number}.address = "{mac}"']
    path.write_text("\n".join([*lines, *extra]) + "\n", encoding="utf-8")
    return path


def make_machine(directory, name, kind="monolithicSparse", disks=1, size_bytes=48 << 20, **words):
    """A machine with random disks. Returns (path of its .vmx, [raw originals])."""
    home = directory / name
    home.mkdir(parents=True)
    raws, files = [], []
    for number in range(disks):
        raw = make_raw(directory / f"{name}-{number}.raw", size_bytes + number * (1 << 20),
                       f"{name}{number}")
        make_vmdk(raw, home / f"disk{number}.vmdk", kind)
        raws.append(raw)
        files.append(f"disk{number}.vmdk")
    return write_vmx(home / f"{name}.vmx", files, name, **words), raws


def make_chain(directory, name, size_bytes=48 << 20, depth=2):
    """A machine whose disk is a snapshot chain. Returns (path, [raw of what the guest sees])."""
    home = directory / name
    home.mkdir(parents=True)
    base = make_raw(directory / f"{name}-base.raw", size_bytes, name)
    make_vmdk(base, home / "disk0.vmdk", "monolithicSparse")
    newest = "disk0.vmdk"
    for number in range(1, depth + 1):
        delta = f"disk0-{number:06d}.vmdk"
        run("qemu-img", "create", "-q", "-f", "vmdk", "-b", newest, "-F", "vmdk", home / delta)
        for place in range(6):
            offset = (number * 7919 + place * 65537 * 97) % (size_bytes - 65536) // 512 * 512
            run("qemu-io", "-f", "vmdk", "-c", f"write -P {16 * number + place} {offset} 65536",
                home / delta)
        newest = delta
    whole = directory / f"{name}-whole.raw"
    run("qemu-img", "convert", "-f", "vmdk", "-O", "raw", home / newest, whole)
    return write_vmx(home / f"{name}.vmx", [newest], name), [whole]


def identical(raw, result, result_format):
    """qemu-img's word on whether the guest sees the same bytes."""
    done = subprocess.run(["qemu-img", "compare", "-f", "raw", "-F", result_format, str(raw),
                           str(result)], text=True, capture_output=True, timeout=300)
    return done.returncode == 0, done.stdout + done.stderr
