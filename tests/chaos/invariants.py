# SPDX-License-Identifier: Apache-2.0
"""What must hold at the end: read from both ends and from the tables, never by asking guts."""
import collections
import ctypes
import hashlib
import json
import pathlib
import re

from lab import NODES, POOL_BYTES
from load import FAKE_DISK_BYTES, FAKE_PERCENT
from machines import identical
from spans import LEASE

RESTING = {"VERIFIED", "CLEANED", "ROLLED_BACK", "CANCELLED"}
KEPT = {"VERIFIED", "CLEANED"}
MASK = (1 << 64) - 1
UNFINISHED = "PENDING SCHEDULED DISCOVERED CONVERTING UPLOADING SYNCING WAITING DEPLOYED".split()


def legal_moves():
    """(from, to) as the diagram of proto/README.md draws them."""
    readme = pathlib.Path(__file__).resolve().parents[2] / "proto" / "README.md"
    diagram = re.search(r"```lifecycle\n(.*?)```", readme.read_text(), re.S).group(1)
    moves = set()
    for line in diagram.splitlines():
        parts = re.split(r"\s*(─►|⇄)\s*", re.sub(r"\(.*?\)", "", line).strip())
        groups = [[word.strip() for word in part.split("|")] for part in parts[::2]]
        groups = [UNFINISHED if group == ["unfinished"] else group for group in groups]
        for left, arrow, right in zip(groups, parts[1::2], groups[1:]):
            for a in left:
                for b in right:
                    moves |= {(a, b), (b, a)} if arrow == "⇄" else {(a, b)}
    assert ("PENDING", "SCHEDULED") in moves and ("CLEANING", "CLEANED") in moves
    return moves


def mix(value):
    value = (value + 0x9e3779b97f4a7c15) & MASK
    value = ((value ^ (value >> 30)) * 0xbf58476d1ce4e5b9) & MASK
    value = ((value ^ (value >> 27)) * 0x94d049bb133111eb) & MASK
    return value ^ (value >> 31)


class FakeDisks:
    """The bytes of the fake source's disks, made here a second time."""

    def __init__(self):
        self.hash = ctypes.CDLL("libxxhash.so.0").XXH3_64bits
        self.hash.restype = ctypes.c_uint64
        self.hash.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
        self.known = {}

    def get(self, vm, generation):
        """A digest: the bytes of hundreds of disks are too many to keep."""
        if (vm, generation) not in self.known:
            identity = f"fake {vm} 0 generation {generation}".encode()
            whole = self.make(self.hash(identity, len(identity)))
            self.known[vm, generation] = hashlib.sha256(whole).digest()
        return self.known[vm, generation]

    @staticmethod
    def make(seed, block=1 << 16):
        whole = bytearray()
        for number in range(FAKE_DISK_BYTES // block):
            if mix(seed ^ mix(number)) % 100 >= FAKE_PERCENT:
                whole += bytes(block)
                continue
            first = number * block // 8
            whole += b"".join((mix((seed + first + i) & MASK) | 1).to_bytes(8, "little")
                              for i in range(block // 8))
        return bytes(whole)


class Findings(list):
    """What is broken; and how often each rule looked, so that a rule which went blind shows."""

    def __init__(self):
        super().__init__()
        self.looks = collections.Counter()

    def add(self, rule, text):
        self.append(f"{rule}: {text}")


class Facts:
    """One reading of tables and of both ends."""

    def __init__(self, lab, load, chaos):
        self.lab, self.changes = lab, chaos.changes
        # What was asked while the database was on its way to forget it may be gone: nothing else.
        self.forgotten = {bare(migration) for migration, words in load.accepted.items()
                          if forgets(chaos.lost, words["between"])}
        names = ("id", "state", "vm", "server", "attempt", "fault", "text", "created", "finished")
        self.migrations = {row[0]: dict(zip(names, row))
                           for row in lab.rows("SELECT LOWER(HEX(id)), state, vm_name, server_name,"
                                               " attempt, fault_code, fault_text, created_at,"
                                               " finished_at FROM migrations")}
        self.clouded = {row[0] for row in lab.rows(
            "SELECT LOWER(HEX(m.id)) FROM migrations m JOIN destinations d ON d.id = m.destination_id"
            " WHERE d.driver = 'openstack'")}  # what they made is no part of the fake world
        self.ledger = collections.defaultdict(list)
        for owner, end, kind, key, state, external in lab.rows(
                "SELECT LOWER(HEX(owner_id)), end, kind, entry_key, state, external_id FROM ledger"
                " ORDER BY owner_id, position"):
            self.ledger[owner].append({"end": end, "kind": kind, "key": key, "state": state,
                                       "external": external})
        self.log = []
        path = lab.world / "log"
        for line in path.read_text().splitlines() if path.exists() else []:
            self.log.append(json.loads(line))

        first = {}
        for line in self.log:
            first.setdefault(bare(line["owner"]), line["mono_ms"] / 1000)
        self.forgotten |= {owner for owner, at in first.items() if owner not in self.migrations
                           and forgets(chaos.lost, (at - LEASE, at))}

    def has(self, owner, end, kind, key, states=("made", "intended", "kept")):
        return any(entry["end"] == end and entry["kind"] == kind and entry["key"] == key
                   and entry["state"] in states for entry in self.ledger[owner])


def bare(text):
    return text.replace("-", "")


def forgets(lost, between):
    return any(between[0] <= end and between[1] >= began for began, end in lost)


def check_rest(facts, accepted, findings):
    for migration in accepted:
        row = facts.migrations.get(bare(migration))
        if row is None and bare(migration) in facts.forgotten:
            findings.looks["forgotten"] += 1
        elif row is None:
            findings.add("acknowledged", f"migration {migration} is not there")
        elif row["state"] not in RESTING:
            findings.add("rest", f"{migration} is {row['state']} ({row['fault']}: {row['text']})")


def check_wishes(facts, wishes, lost, findings):
    stored = {row[0]: row[1] for row in facts.lab.rows("SELECT LOWER(HEX(id)), state FROM wishes")}
    for wish, (verb, owner, between) in wishes.items():
        state = stored.get(bare(wish))
        if state is None and forgets(lost, between):
            findings.looks["forgotten"] += 1
        elif state is None:
            findings.add("acknowledged", f"wish {wish} ({verb} {owner}) is not there")
        elif state in ("open", "taken"):
            findings.add("acknowledged", f"wish {wish} ({verb} {owner}) is still {state}")


def check_fake_things(facts, findings):
    world = facts.lab.world
    disks = FakeDisks()
    servers = collections.defaultdict(list)
    for path in sorted((world / "servers").glob("*.json")):
        server = json.loads(path.read_text())
        servers[bare(server["migration"])].append(server)
    on_disk = collections.defaultdict(list)
    for path in sorted((world / "disks").iterdir()):
        on_disk[bare(path.name[:36])].append(path)
    snapshots = collections.defaultdict(list)
    for path in sorted((world / "snapshots").iterdir()):
        snapshots[bare(path.name[-36:])].append(path.name)
    for owner in set(servers) | set(on_disk) | set(snapshots) | set(facts.migrations):
        row = facts.migrations.get(owner)
        state = row["state"] if row else "unknown"
        if row is None and owner in facts.forgotten:
            findings.looks["forgotten"] += 1
            continue
        for path in on_disk[owner]:
            if state not in KEPT:
                findings.add("left", f"disk {path.name} of a migration that is {state}")
            elif not facts.has(owner, "destination", "disk", path.name):
                findings.add("ledger", f"disk {path.name} is not in the ledger ({state})")
        for server in servers[owner]:
            if state not in KEPT:
                findings.add("left", f"server {server['id']} of {owner}, which is {state}")
            elif not any(entry["kind"] == "server" and entry["external"] == server["id"]
                         and entry["state"] in ("made", "kept") for entry in facts.ledger[owner]):
                findings.add("ledger", f"server {server['id']} is not in the ledger of {owner}")
        for name in snapshots[owner]:
            if state != "VERIFIED":
                findings.add("left", f"snapshot {name} of a migration that is {state}")
            elif not facts.has(owner, "source", "snapshot", name[:-37]):
                findings.add("ledger", f"snapshot {name} is not in the ledger")
        if state in KEPT and row["vm"].startswith("fake-") and owner not in facts.clouded:
            if len(servers[owner]) != 1:
                findings.add("server", f"{owner} is {state} and has {len(servers[owner])} servers")
            for server in servers[owner]:
                check_fake_server(facts, row, server, disks, findings)


def generations(facts, vm, row):
    """Those that a copy made for this migration may hold: in force at some time between."""
    changes = facts.changes.get(vm, [])
    began, ended = int(row["created"]) / 1e6 - 1, int(row["finished"]) / 1e6 + 1
    begins = [0.0] + [before for before, _ in changes]
    ends = [after for _, after in changes] + [float("inf")]
    return [number for number, (begin, end) in enumerate(zip(begins, ends))
            if end >= began and begin <= ended]


def check_fake_server(facts, row, server, disks, findings):
    world = facts.lab.world
    for name in server["disks"]:
        path = world / name
        findings.looks["disks"] += 1
        if not path.exists():
            findings.add("content", f"{name} of server {server['id']} is gone")
            continue
        allowed = generations(facts, server["vm"], row)
        digest = hashlib.sha256(path.read_bytes()).digest()
        if digest not in [disks.get(server["vm"], number) for number in allowed]:
            findings.add("content", f"{name} differs from {server['vm']}, generations {allowed}")


def check_local_things(facts, originals, findings):
    wanted = {row["server"]: row for row in facts.migrations.values()
              if row["state"] in KEPT and not row["vm"].startswith("fake-")}
    for entry in sorted(facts.lab.results.iterdir()):
        if entry.name not in wanted:
            findings.add("left", f"{entry.name} at the local destination")
    for name, row in wanted.items():
        for number, raw in enumerate(originals[row["vm"]]):
            path = facts.lab.results / name / f"disk{number}.qcow2"
            findings.looks["disks"] += 1
            same, words = identical(raw, path, "qcow2") if path.exists() else (False, "is missing")
            if not same:
                findings.add("content", f"{name}/{path.name}: {words.strip()}")


def check_power(facts, findings):
    """No vm runs at both ends at any time; after a rollback it runs where it ran before."""
    servers, source_on = {}, {}
    first = {}
    for line in facts.log:
        vm, deed = line["key"], line["deed"]
        if deed not in ("power_on", "power_off"):
            continue
        number = int(vm[3:])
        findings.looks["power"] += 1
        source_on.setdefault(vm, number % 2 == 0)
        first.setdefault(vm, number % 2 == 0)
        running = servers.setdefault(vm, set())
        if line["end"] == "source":
            source_on[vm] = deed == "power_on"
        elif deed == "power_on":
            running.add((line["owner"], line["detail"]))
        else:
            running.discard((line["owner"], line["detail"]))
        if source_on[vm] and running:
            findings.add("both ends", f"{vm} runs at both ends at {line['at_us']} ({line})")
        # Two migrations may each have made one: a vm that was accepted may be moved again.
        if len({owner for owner, _ in running}) < len(running):
            findings.add("both ends", f"{vm} runs twice at the destination ({line})")
    open_vms = {row["vm"].replace("fake-", "vm-") for row in facts.migrations.values()
                if row["state"] in KEPT}
    lost_vms = {line["key"] for line in facts.log if bare(line["owner"]) in facts.forgotten
                and bare(line["owner"]) not in facts.migrations}
    for vm, on in source_on.items():
        if vm not in open_vms and vm not in lost_vms and first[vm] and not on:
            findings.add("stopped", f"{vm} ran before and is stopped at both ends")


def check_events(facts, findings):
    moves, last = legal_moves(), {}
    for number, owner, data in facts.lab.rows(
            "SELECT number, LOWER(HEX(owner_id)), data_json FROM events WHERE kind = 'migration.state'"
            " ORDER BY number"):
        findings.looks["events"] += 1
        told = json.loads(data)
        before, after = told.get("from"), told["to"]
        if before is None and owner not in last and after == "PENDING":
            pass
        elif before != last.get(owner, "PENDING"):
            findings.add("events", f"{owner} was {last.get(owner)}, event {number} is {before} -> {after}")
        elif (before, after) not in moves:
            findings.add("events", f"{owner} {before} -> {after} is not legal (event {number})")
        last[owner] = after
    for owner, row in facts.migrations.items():
        if last.get(owner, "PENDING") != row["state"]:
            findings.add("events", f"{owner} is {row['state']}, its last event says {last.get(owner)}")


def check_pools(facts, findings):
    for node in NODES:
        left = [path for path in facts.lab.pool(node).glob("jobs/*/*")]
        for path in left:
            findings.add("left", f"{path.name} in the conversion space of {node}")
    live = facts.lab.rows("SELECT COUNT(*) FROM jobs WHERE live = 1")
    if live and int(live[0][0]):
        findings.add("rest", f"{live[0][0]} jobs live on")


def check_steps(facts, findings):
    """Of a job that does not live nothing runs; a step that was cut off says so."""
    for owner, name in facts.lab.rows(
            "SELECT LOWER(HEX(s.owner_id)), s.name FROM steps s LEFT JOIN jobs j ON j.id = s.job_id"
            " AND j.live = 1 AND j.attempt = s.attempt WHERE s.state = 'running' AND j.id IS NULL"):
        findings.add("steps", f"step {name} of {owner} is told as running, and no job of it lives")


def space_now(lab):
    """The most that a pool is promised beyond what it has, from the tables; 0 when all is well. By node, for
    here no two share a filesystem: a copy of a node's disk under another name has its pool's id, not its space."""
    rows = lab.rows("SELECT HEX(pool_id), SUM(reserved_bytes) FROM jobs WHERE live = 1"
                    " AND pool_id IS NOT NULL GROUP BY pool_id, node_id", seconds=2)
    return max([int(row[1]) - POOL_BYTES for row in rows or []] + [0])


def check_all(lab, load, chaos):
    findings = Findings()
    facts = Facts(lab, load, chaos)
    check_rest(facts, load.accepted, findings)
    check_wishes(facts, load.wishes, chaos.lost, findings)
    check_fake_things(facts, findings)
    check_local_things(facts, load.originals, findings)
    check_power(facts, findings)
    check_events(facts, findings)
    check_pools(facts, findings)
    check_steps(facts, findings)
    return findings, facts
