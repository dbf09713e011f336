# SPDX-License-Identifier: Apache-2.0
"""The matrix with a real OpenStack as destination: its cells, its stories, its rows."""
import hashlib

import matrix_cell
from guts_platform import wait_until
from invariants import (Facts, Findings, check_events, check_pools, check_power, check_rest, check_steps,
                        check_wishes, FakeDisks)
from matrix_cell import STORIES, Cell, begin, go_back
from matrix_rows import Row, others

KINDS = ("image", "port", "volume", "server")
SERVICES = ("keystone", "glance", "nova", "neutron", "cinder", "placement")
VMS_OF_A_CELL = 300
MARK = "guts_migration"


class CloudCell(Cell):
    """All cells share one cloud: what is whose tells its mark."""

    # An answer of a cloud takes its time.
    SCHEDULER = {**matrix_cell.SCHEDULER, "lease": "4s", "takeover": "12s", "longest_request": "6s"}
    takeover, patience = 12, 150
    openstack = None

    def __init__(self, number, directory, broker, database):
        super().__init__(number, directory, broker, database)
        self.urls = [f"http://127.0.0.1:{self.openstack.port(name)}/" for name in SERVICES]
        self.vm_number = (number - 1) * VMS_OF_A_CELL  # no MAC address twice in the cloud
        self.disks = FakeDisks()
        self.known = {}  # {migration: ids}, for when the marks are gone

    def open(self):
        super().open()
        entry = self.openstack.entry(self.openstack.cloud)
        made = self.post("/v1/destinations", {"name": "cloud", "driver": "openstack", "settings": {
            **entry["auth"], "region_name": entry["region_name"]}})
        assert made.status == 201, made
        self.refresh("destinations", "cloud")
        return self

    def create(self, kind, row, **options):
        if kind != "cloud":
            return super().create(kind, row, **options)
        self.vm_number += 2  # those run
        return self.accept({"vms": [f"fake-{self.vm_number:06d}"], "destination": "cloud",
                            "on_failure": "rollback", "options": {"network": "blue", "stop_source": True}}, row)

    # -- the cloud, read from outside --------------------------------------------------------------
    def things(self, migration):
        """{kind: [what carries the migration's mark, or was seen with it]}"""
        ask, root, known = self.openstack.get, self.openstack.root, self.known.get(migration, ())
        return {
            "server": [one for one in ask("compute", "/servers/detail?all_tenants=1", root)["servers"]
                       if one["metadata"].get(MARK) == migration or one["id"] in known],
            "port": [one for one in ask("network", "/v2.0/ports", root)["ports"]
                     if f"{MARK}={migration}" in one["description"] or one["id"] in known],
            "volume": [one for one in ask("volume", "/volumes/detail?all_tenants=1", root)["volumes"]
                       if one["metadata"].get(MARK) == migration or one["id"] in known],
            "image": [one for one in ask("image", f"/v2/images?limit=500&{MARK}={migration}", root)["images"]]}

    def remember(self, migration):
        """A cleanup takes the marks away."""
        self.known[migration] = {one["id"] for items in self.things(migration).values() for one in items}

    def counts(self, migration):
        return {kind: len(items) for kind, items in self.things(migration).items()}

    def check_whole(self, migration, may_stray):
        """Everything once, and the disk's bytes in the volume. What a paused worker made late may be there
        until the settle check; a second server never."""
        things = self.things(migration)
        counts = {kind: len(items) for kind, items in things.items()}
        assert counts["server"] == 1, counts
        assert may_stray or counts == {"server": 1, "port": 1, "volume": 1, "image": 0}, counts
        attached = things["server"][0]["os-extended-volumes:volumes_attached"]
        vm = "vm-" + self.accepted[migration]["vms"][0][5:]
        path = self.openstack.volume_file(attached[0]["id"])
        with open(path, "rb") as file:
            whole = file.read(matrix_cell.FAKE_DISK_BYTES)
        assert hashlib.sha256(whole).digest() == self.disks.get(vm, 0), f"volume {path.name} differs"

    def wait_counts(self, migration, wanted, seconds=90):
        """Nova and Cinder delete in the background."""
        last = [None]

        def there():
            last[0] = self.counts(migration)
            return last[0] == {**dict.fromkeys(KINDS, 0), **wanted}
        try:
            wait_until("the cloud is as it should be", seconds, there, every=0.5)
        except AssertionError:
            raise AssertionError(f"{migration} has {last[0]} in the cloud, not {wanted or 'nothing'}") from None

    def remove(self, migration):
        """As its owner would."""
        for kind, service, path in (("server", "compute", "/servers"), ("volume", "volume", "/volumes"),
                                    ("port", "network", "/v2.0/ports")):
            for one in self.things(migration)[kind]:
                self.openstack.call("DELETE", service, f"{path}/{one['id']}", cloud=self.openstack.root)
            wait_until(f"no {kind} is left", 60, lambda k=kind: self.counts(migration)[k] == 0, every=0.5)

    def check(self):
        """The invariants of tests/chaos for what is not at the fake destination, and that nothing is left."""
        findings, facts = Findings(), Facts(self, self, self)
        check_rest(facts, self.accepted, findings)
        check_wishes(facts, self.wishes, self.lost, findings)
        check_power(facts, findings)
        check_events(facts, findings)
        check_pools(facts, findings)
        check_steps(facts, findings)
        for migration in self.accepted:
            counts = self.counts(migration)
            if any(counts.values()):
                findings.add("left", f"{migration} has {counts} in the cloud")
        for path in (self.world / "snapshots").iterdir():
            findings.add("left", f"snapshot {path.name}")
        return findings


# -- stories -------------------------------------------------------------------------------------------------
def cloud_rollback(cell, row):
    begin(cell, row)
    migration = cell.create("cloud", row)
    cell.reach(migration, ("VERIFIED",))
    cell.check_whole(migration, row.action == "stop")
    go_back(cell, row, migration, "rollback", "ROLLED_BACK")
    if row.action != "stop":
        cell.wait_counts(migration, {})


def cloud_cleanup(cell, row):
    begin(cell, row)
    migration = cell.create("cloud", row)
    cell.reach(migration, ("VERIFIED",))
    cell.remember(migration)
    go_back(cell, row, migration, "cleanup", "CLEANED")
    cell.check_whole(migration, row.action == "stop")
    cell.remove(migration)


def cloud_cancel_there(cell, row):
    """Cancelled while the worker stands at its point, from where it comes no further."""
    begin(cell, row)
    migration = cell.create("cloud", row)
    wait_until("the point is reached", cell.patience, lambda: cell.fired(row), every=0.02)
    cell.verb(migration, "cancel")
    cell.reach(migration, ("CANCELLED",))
    cell.wait_counts(migration, {})


for story in (cloud_rollback, cloud_cleanup, cloud_cancel_there):
    STORIES[story.__name__] = story


# -- rows ------------------------------------------------------------------------------------------------------
def kind_rows(kind):
    for place in ("before_ledger_write", "ledger_answered", "after_ledger_write"):
        for writing in ("intend", "made"):
            yield Row((f"worker.{place}:{writing}:{kind}",), "cloud_rollback")
    yield Row((f"worker.ledger_answered:intend:{kind}", "worker.after_fence"), "cloud_rollback")
    if kind != "image":  # it is gone before a migration is verified
        for point in (f"before_step:undo:{kind}", f"after_step:undo:{kind}"):
            yield Row((f"worker.{point}",), "cloud_rollback")
        yield Row((f"worker.before_step:undo:{kind}", f"worker.after_deed:{kind}"), "cloud_rollback")
        yield Row((f"worker.before_step:accept:{kind}",), "cloud_cleanup")
        yield Row((f"worker.ledger_answered:claim:{kind}", "worker.after_fence"), "cloud_rollback", "stop")
    yield Row((f"worker.ledger_answered:intend:{kind}", "worker.after_fence"), "cloud_rollback", "stop")


def beside(row):
    """What the matrix does beside a kill, at these ends."""
    for other in others(row):
        if other.action == "parent":
            yield other
    if row.action == "kill" and ("intend" in row.points[0] or "made" in row.points[0]):
        yield Row(row.points, "cloud_cancel_there", "cancel")
        if row.points[0].startswith(("worker.after_ledger_write:intend", "worker.before_ledger_write:made")):
            yield Row(row.points, "cloud_rollback", "gone")


def cloud_rows():
    found = {}
    for kind in KINDS:
        for row in kind_rows(kind):
            for one in (row, *beside(row)):
                found.setdefault(one.title, one)
    for step in ("copy", "check", "deploy", "verify"):
        for point in ("before_step", "after_deed", "after_step"):
            row = Row((f"worker.{point}:{step}",), "cloud_rollback")
            found.setdefault(row.title, row)
    return list(found.values())


__all__ = ["CloudCell", "cloud_rows"]
