# SPDX-License-Identifier: Apache-2.0
"""Results that boot, and results that do not become VERIFIED."""
import pathlib
import subprocess

import pytest

GUESTS = pathlib.Path(__file__).resolve().parent.parent / "guests"
MARKER = "guest is up"


def make_guest(platform, name, *words):
    done = subprocess.run([GUESTS / "make-guest", "--marker", MARKER, *words,
                           platform.machines / name, name], text=True, capture_output=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def platform(shared):
    make_guest(shared, "bios", "--firmware", "bios", "--format", "streamOptimized")
    make_guest(shared, "uefi", "--firmware", "efi", "--format", "monolithicSparse")
    make_guest(shared, "broken", "--firmware", "bios", "--format", "monolithicSparse", "--broken")
    shared.add("sources", "guests", "workstation", path=str(shared.machines))
    shared.add("destinations", "kvm", "local", path=str(shared.results))
    return shared


def migrate(platform, name, seconds, **more):
    answer = platform.migrate(name, "kvm", options={"verify_boot": True, "boot_text": MARKER, "boot_accelerator": "tcg",
                                                    "boot_timeout_s": seconds, **more})
    return platform.wait_state(answer["created"][0]["id"], ["VERIFIED", "FAILED", "ROLLED_BACK"],
                               seconds + 120)


@pytest.mark.parametrize("name", ["bios", "uefi"])
def test_a_migrated_machine_boots(platform, name):
    done = migrate(platform, name, 300)
    assert done["state"] == "VERIFIED", done
    assert done["evidence"]["boot"], done["evidence"]


def put_on(vmx, bus, model):
    """The machine with its disk on another controller."""
    text = vmx.read_text().replace("scsi0", f"{bus}0").replace('virtualDev = "lsilogic"', f'virtualDev = "{model}"')
    assert f"{bus}0:0.fileName" in text
    vmx.write_text(text)


# Debian's UEFI firmware reads no SCSI controller but virtio's, and its cloud kernel has no driver of
# AHCI: there the boot loader's own word tells that firmware and disk found each other.
@pytest.mark.parametrize("firmware, bus, model, text", [("bios", "ide", "", MARKER), ("efi", "sata", "ahci", "Welcome to GRUB!")])
def test_a_migrated_machine_boots_on_the_bus_that_it_had(platform, firmware, bus, model, text):
    name = f"{firmware}-{bus}"
    make_guest(platform, name, "--firmware", firmware, "--format", "monolithicSparse")
    put_on(platform.machines / name / f"{name}.vmx", bus, model)
    platform.refresh("sources", "guests")
    done = migrate(platform, name, 300, bus="source", boot_text=text)
    assert done["state"] == "VERIFIED", done["fault"]["detail"]
    assert done["evidence"]["boot"], done["evidence"]
    domain = (platform.results / name / "domain.xml").read_text()
    assert f"bus='{bus}'" in domain and "bus='virtio'" not in domain, domain


def test_a_machine_that_does_not_boot_is_not_verified(platform):
    done = migrate(platform, "broken", 60)
    assert done["state"] == "ROLLED_BACK"
    assert done["fault"]["code"] == "boot_failed"
    assert not (platform.results / "broken").exists()
