# SPDX-License-Identifier: Apache-2.0
"""Bytes that change at the destination after they were written do not become VERIFIED."""
import os
import threading
import time

import pytest

from machines import run, write_vmx

SIZE = 192 << 20
EARLY = 64 << 10  # copied first; the rest of the disk is still under way when it is damaged
BLOCK = 4096


def make_full_machine(platform, name):
    """A machine whose disk has no hole, so that its copy takes a while. Returns its early block."""
    home = platform.machines / name
    home.mkdir()
    raw = platform.directory / f"{name}.raw"
    with open(raw, "wb") as file:
        for _ in range(SIZE >> 20):
            file.write(os.urandom(1 << 20))
    run("qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=monolithicFlat", raw,
        home / "disk0.vmdk")
    with open(raw, "rb") as file:
        file.seek(EARLY)
        block = file.read(BLOCK)
    raw.unlink()
    write_vmx(home / f"{name}.vmx", ["disk0.vmdk"], name)
    return block


class Vandal(threading.Thread):
    """Waits until a block of the source stands in an attempt's file, and flips its bits there: once in
    the file of each attempt, in so many attempts."""

    def __init__(self, results, name, block, attempts):
        super().__init__(daemon=True)
        self.results, self.name, self.block, self.attempts = results, name, block, attempts
        self.ended = False
        self.damaged = set()
        self.head = bytearray(16 << 20)

    def strike(self, path):
        with open(path, "r+b", buffering=0) as file:
            at = self.head.find(self.block, 0, file.readinto(self.head))
            if at >= 0:
                file.seek(at)
                file.write(bytes(byte ^ 0xff for byte in self.block))
                self.damaged.add(path)

    def run(self):
        while not self.ended and len(self.damaged) < self.attempts:
            for path in set(self.results.glob(f".guts-*/{self.name}")) - self.damaged:
                try:
                    self.strike(path)
                except FileNotFoundError:
                    continue
            time.sleep(0.002)


@pytest.fixture
def running(platform):
    platform.prepare()
    platform.start_api()
    platform.start_scheduler(retries_most=1)
    platform.start_node()
    platform.yield_to_us("node-1")
    platform.wait_ready(1)
    return platform


def migrate_and_damage(platform, kind, attempts):
    """Returns the migration at rest and how many attempts were damaged."""
    vandal = Vandal(platform.results, f"disk0.{kind}", make_full_machine(platform, "full"), attempts)
    platform.add("sources", "workstations", "workstation", path=str(platform.machines))
    platform.add("destinations", "kvm", "local", path=str(platform.results))
    vandal.start()
    answer = platform.migrate("full", "kvm", options={"format": kind})
    done = platform.wait_state(answer["created"][0]["id"], ["VERIFIED", "FAILED", "ROLLED_BACK"])
    vandal.ended = True
    vandal.join(10)
    return done, len(vandal.damaged)


def test_a_result_that_is_damaged_each_time_is_taken_back(running):
    done, damaged = migrate_and_damage(running, "raw", 100)
    assert damaged == 2, "a copy was over before it could be damaged"
    assert done["state"] == "ROLLED_BACK", done
    assert done["fault"]["code"] == "digest_mismatch", done
    assert list(running.results.iterdir()) == []


def test_a_result_that_is_damaged_once_is_copied_again(running):
    done, damaged = migrate_and_damage(running, "qcow2", 1)
    assert damaged == 1, "the copy was over before it could be damaged"
    assert done["state"] == "VERIFIED" and done["attempt"] > 1, done
    run("qemu-img", "compare", "-f", "raw", running.machines / "full" / "disk0-flat.vmdk",
        "-F", "qcow2", running.results / "full" / "disk0.qcow2")
    assert [path.name for path in running.results.iterdir()] == ["full"]
