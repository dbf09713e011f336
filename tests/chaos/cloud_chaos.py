# SPDX-License-Identifier: Apache-2.0
"""Chaos with a real OpenStack as one more destination: its load, its faults, what must hold there.

The cloud is read from outside, by the mark that everything made by a migration carries.
"""
import collections
import contextlib
import hashlib
import pathlib
import subprocess
import tempfile
import threading
import time

import spans
from fault_peers import in_background
from invariants import KEPT, FakeDisks, bare, generations
from lab import Lab
from load import FAKE_DISK_BYTES
from peers.cloud.client import CloudAnswer

SERVICES = ("keystone", "glance", "nova", "neutron", "cinder", "placement")
MOST = {"small": 6, "full": 100}
MARK = "guts_migration"
KINDS = ("server", "port", "volume", "image")
PATHS = {"server": ("compute", "/servers"), "volume": ("volume", "/volumes"), "port": ("network", "/v2.0/ports"),
         "image": ("image", "/v2/images")}


class CloudLab(Lab):
    SCHEDULER = {**Lab.SCHEDULER, "takeover": f"{spans.CLOUD_TAKEOVER}s", "longest_request": "6s",
                 "retries_most": 20}

    def __init__(self, directory, broker, database, openstack):
        super().__init__(directory, broker, database)
        self.openstack = openstack
        self.urls = [f"http://127.0.0.1:{openstack.port(name)}/" for name in SERVICES]

    def add_cloud(self):
        entry = self.openstack.entry(self.openstack.cloud)
        self.add("destinations", "cloud", "openstack", **entry["auth"], region_name=entry["region_name"])


class CloudLoad:
    """What is moved into the cloud; the rest of the load goes on beside it."""

    def __init__(self, scale):
        self.most, self.count, self.lock = MOST[scale], 0, threading.Lock()
        self.first = {"small": 120, "full": 900}[scale]  # behind those that the rest of the load takes
        self.vms = 2 * self.most

    def next(self, chance):
        """What one more is asked with; None: that was all. Each vm is moved there once: its MAC address is there
        once. Those with even numbers run."""
        with self.lock:
            if self.count >= self.most:
                return None
            self.count += 1
            number = self.first + 2 * self.count
        return (f"fake-{number:06d}", "cloud",
                {"network": "blue", "stop_source": True, "flavor": "g.tiny", "active_timeout_s": 90,
                 "boot_from": chance.choice(["volume", "volume", "image"])})


# -- faults ----------------------------------------------------------------------------------------------------
# Killed are services whose own work survives it: a Cinder that dies between its database and its queue leaves
# a volume "creating" that nobody can delete.
KILLED = ("glance", "keystone", "nova-api", "neutron", "placement")
FROZEN = KILLED + ("cinder-api", "cinder-volume", "nova-conductor", "nova-compute-1")


def trouble_cloud(chaos, chance):
    deed = chance.choice(["kill", "freeze", "freeze"])
    name = chance.choice(KILLED if deed == "kill" else FROZEN)
    after = chance.uniform(0.2, 3) if deed == "kill" else spans.length(chance)
    if not chaos.take("cloud"):
        return None
    openstack = chaos.lab.openstack

    def work():
        openstack.service(deed, name)
        time.sleep(after)
        openstack.service("start" if deed == "kill" else "thaw", name)
    return f"{deed} {name} for {after:.1f} s", [
        (after, in_background(chaos, "cloud", work, f"{name} of the cloud is whole"))]


CLOUD_FAULTS = (("cloud", trouble_cloud, 12),)


# -- what must hold ----------------------------------------------------------------------------------------------
def things_by_mark(openstack, others=()):
    """{migration: {kind: [what carries its mark]}} without those that others left there before."""
    ask, root = openstack.get, openstack.root
    found = collections.defaultdict(lambda: {kind: [] for kind in KINDS})
    for one in ask("compute", "/servers/detail?all_tenants=1&limit=1000", root)["servers"]:
        found[one["metadata"].get(MARK)]["server"].append(one)
    for one in ask("network", "/v2.0/ports", root)["ports"]:
        words = [word for word in one["description"].split() if word.startswith(f"{MARK}=")]
        found[words[0].split("=")[1] if words else None]["port"].append(one)
    for one in ask("volume", "/volumes/detail?all_tenants=1", root)["volumes"]:
        found[one["metadata"].get(MARK)]["volume"].append(one)
    for one in ask("image", "/v2/images?limit=500", root)["images"]:
        found[one.get(MARK)]["image"].append(one)
    return {bare(owner): things for owner, things in found.items() if owner and bare(owner) not in others}


def wait_settled(openstack, owners, others, seconds=60):
    """Nova and Cinder delete in the background: what migrations left that keep nothing may be on its way out."""
    end = time.monotonic() + seconds
    while True:
        found = things_by_mark(openstack, others)
        if time.monotonic() > end or all(owners.get(owner) in KEPT for owner in found):
            return found
        time.sleep(1)


def digest_of(openstack, things):
    """Of the disk's bytes: in the volume, or in the image where no volume was made."""
    if things["volume"]:
        with open(openstack.volume_file(things["volume"][0]["id"]), "rb") as file:
            return hashlib.sha256(file.read(FAKE_DISK_BYTES)).digest()
    image = things["image"][0]
    with tempfile.TemporaryDirectory() as folder:
        raw = pathlib.Path(folder) / "raw"
        subprocess.run(["qemu-img", "convert", "-f", image["disk_format"], "-O", "raw",
                        openstack.image_file(image["id"]), raw], check=True, timeout=60)
        return hashlib.sha256(raw.read_bytes()[:FAKE_DISK_BYTES]).digest()


def check_kept(openstack, facts, owner, things, disks, findings):
    """Each thing once and in the ledger, the server active, the bytes those of the source, which is off."""
    row = facts.migrations[owner]
    counts = {kind: len(items) for kind, items in things.items()}
    if counts not in ({"server": 1, "port": 1, "volume": 1, "image": 0}, {"server": 1, "port": 1, "volume": 0, "image": 1}):
        findings.add("cloud", f"{owner} is {row['state']} and has {counts}")
        return
    if things["server"][0]["status"] != "ACTIVE":
        findings.add("cloud", f"the server of {owner} is {things['server'][0]['status']}")
    for kind, items in things.items():
        for one in items:
            if not any(entry["end"] == "destination" and entry["external"] == one["id"]
                       and entry["state"] in ("made", "kept") for entry in facts.ledger[owner]):
                findings.add("ledger", f"{kind} {one['id']} is not in the ledger of {owner}")
    vm = row["vm"].replace("fake-", "vm-")
    if digest_of(openstack, things) not in [disks.get(vm, number) for number in generations(facts, vm, row)]:
        findings.add("content", f"what {owner} has in the cloud differs from {vm}")
    power = [line["deed"] for line in facts.log if line["key"] == vm and line["end"] == "source"
             and line["deed"] in ("power_on", "power_off")]
    if power[-1:] != ["power_off"]:
        findings.add("both ends", f"{vm} runs at the source and in the cloud")


def check_cloud(openstack, facts, others, findings):
    disks = FakeDisks()
    owners = {owner: facts.migrations[owner]["state"] for owner in facts.clouded}
    found = wait_settled(openstack, owners, others)
    for owner, state in owners.items():
        findings.looks["cloud"] += 1
        if state in KEPT:
            nothing = {kind: [] for kind in KINDS}
            check_kept(openstack, facts, owner, found.get(owner, nothing), disks, findings)
    for owner, things in found.items():
        if owner in facts.forgotten and owner not in owners:
            findings.looks["forgotten"] += 1
        elif owners.get(owner) not in KEPT:
            counts = {kind: len(items) for kind, items in things.items() if items}
            findings.add("left", f"{counts} in the cloud of {owner}, which is {owners.get(owner, 'unknown')}")


def comparable(inventory):
    """Glance forgets the half of a file that it was writing when it is killed: such files are its own affair."""
    files = dict(inventory["files"])
    for folder in ("data/glance/images", "data/glance/staging"):
        files[folder] = [name for name in files[folder] if name in inventory["images"]]
    return {**inventory, "files": files}


def remove_all(openstack, before, others, seconds=90):
    """What migrations made is removed, as its owners would; then the cloud is as it was. Says what is not."""
    for kind in KINDS:
        service, path = PATHS[kind]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            left = [one for things in things_by_mark(openstack, others).values() for one in things[kind]]
            for one in left:
                with contextlib.suppress(CloudAnswer):  # on its way out already, or not free yet
                    openstack.call("DELETE", service, f"{path}/{one['id']}", cloud=openstack.root)
            if not left:
                break
            time.sleep(1)
    now, was = comparable(openstack.inventory()), comparable(before)
    return {kind: (was[kind], now[kind]) for kind in now if now[kind] != was[kind]}


__all__ = ["CLOUD_FAULTS", "CloudLab", "CloudLoad", "check_cloud", "remove_all",
           "things_by_mark"]
