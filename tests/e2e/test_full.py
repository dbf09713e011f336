# SPDX-License-Identifier: Apache-2.0
"""A destination whose filesystem fills up in the middle of a copy: a code, a clean end, and a later retry works."""
import os
import subprocess
import threading
import time

import pytest

from machines import identical, run, write_vmx

DISK = 128 << 20
PLACE = 176 << 20  # so little is left to be taken that it is gone long before the copy has ended


@pytest.fixture
def small(platform):
    """A filesystem of its own for the results, too small once somebody fills it."""
    home = platform.results / "small"
    home.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={PLACE}", "none", str(home)],
                                           capture_output=True, timeout=30).returncode != 0:
        pytest.skip("mounting needs root")
    yield home
    subprocess.run(["umount", "-l", str(home)], check=True, timeout=30)


class Filler:
    """Takes all the room as soon as the first disk has begun to grow, for as many attempts as come."""

    def __init__(self, home):
        self.home, self.stopped, self.fills = home, False, 0
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def grows(self):
        try:
            return any(path.stat().st_blocks > 0 for path in self.home.rglob("*disk0*"))
        except FileNotFoundError:  # it was taken back meanwhile
            return False

    def run(self):
        while not self.stopped:
            if self.grows() and not (self.home / "filler").exists():
                self.fills += 1
                with open(self.home / "filler", "wb") as filler:
                    try:
                        while True:
                            filler.write(bytes(1 << 20))
                            filler.flush()
                    except OSError:
                        pass
            time.sleep(0.002)

    def stop(self):
        self.stopped = True
        self.thread.join()
        (self.home / "filler").unlink(missing_ok=True)


def make_full_machine(platform, name):
    home = platform.machines / name
    home.mkdir()
    raw = platform.directory / f"{name}.raw"
    with open(raw, "wb") as file:
        for _ in range(DISK >> 20):
            file.write(os.urandom(1 << 20))
    run("qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=monolithicFlat", raw, home / "disk0.vmdk")
    write_vmx(home / f"{name}.vmx", ["disk0.vmdk"], name)
    return raw


def test_a_destination_that_fills_up_ends_cleanly_and_works_later(platform, small):
    platform.prepare()
    platform.start_api()
    platform.start_scheduler(retries_most=0)
    platform.start_node()
    platform.yield_to_us("node-1")
    platform.wait_ready(1)
    raw = make_full_machine(platform, "full")
    platform.add("sources", "workstations", "workstation", path=str(platform.machines))
    platform.add("destinations", "kvm", "local", path=str(small))
    filler = Filler(small)
    try:
        answer = platform.migrate("full", "kvm")
        ended = platform.wait_state(answer["created"][0]["id"], ["VERIFIED", "FAILED", "ROLLED_BACK"], 120)
    finally:
        filler.stop()
    assert filler.fills == 1
    assert ended["state"] == "ROLLED_BACK" and ended["fault"]["code"] == "no_space", ended["fault"]
    left = [path for path in small.rglob("*") if path.is_file()]
    assert not left, left
    again = platform.migrate("full", "kvm")
    done = platform.wait_state(again["created"][0]["id"], ["VERIFIED", "FAILED", "ROLLED_BACK"], 120)
    assert done["state"] == "VERIFIED", done["fault"]
    same, words = identical(raw, small / "full" / "disk0.qcow2", "qcow2")
    assert same, words
