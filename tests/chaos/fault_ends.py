# SPDX-License-Identifier: Apache-2.0
"""Faults of conversion spaces, of what stands in them, and of the far ends."""
import json
import os
import shutil
import signal
import time

from lab import NODES, children, signal_process
import spans
from spans import LEASE, length

# -- nodes -------------------------------------------------------------------------------------------
def fill_pool(chaos, chance):
    node, after = chance.choice(NODES), chance.uniform(1, 8)
    path = chaos.lab.pool(node)
    if path not in chaos.lab.mounts or not chaos.take(f"fill {node}"):
        return None
    filler = path / "filler"
    try:
        with open(filler, "wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 16))
    except OSError:
        pass

    def heal():
        filler.unlink(missing_ok=True)
        chaos.free(f"fill {node}")
    return f"{node} for {after:.1f} s", [(after, heal)]


def lose_journal(chaos, chance):
    node, which, after = chance.choice(NODES), chance.random(), chance.uniform(0.1, 3)
    alive = chance.random() < 0.5
    journals = sorted(chaos.lab.pool(node).glob("jobs/*/*/journal"))
    if not journals:
        return None
    journal = journals[int(which * len(journals))]
    if alive:
        journal.unlink(missing_ok=True)
        return f"{journal.parent.name} of {node}, alive", []
    if not chaos.take(node):
        return None
    chaos.lab.daemons[node].kill()
    journal.unlink(missing_ok=True)
    return (f"{journal.parent.name} of {node}, killed for {after:.1f} s",
            [(after, lambda: chaos.restart(node))])


def empty_node(chaos, chance):
    node, after = chance.choice(NODES), length(chance)
    if not chaos.take(node):
        return None
    chaos.lab.daemons[node].kill()
    for entry in list(chaos.lab.pool(node).iterdir()):
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        elif entry.name != "filler":
            entry.unlink(missing_ok=True)
    return f"{node} comes back empty after {after:.1f} s", [(after, lambda: chaos.restart(node))]


def clone_node(chaos, chance):
    """Another node under a node's name; or a copy of a node, disk and all, under the same name or another."""
    node, after = chance.choice(NODES), chance.uniform(3, 12)
    way = chance.choice(["name", "disk", "disk, renamed"])
    if not chaos.take("clone"):
        return None
    clone = chaos.lab.start_clone(node, copies_pool=way != "name",
                                  name="node-9" if way == "disk, renamed" else node)

    def heal():
        if clone.alive():
            clone.kill()
        shutil.rmtree(chaos.lab.directory / "pool-clone", ignore_errors=True)
        chaos.free("clone")
    return f"{way} of {node} for {after:.1f} s", [(after, heal)]


# -- far ends ----------------------------------------------------------------------------------------
DEEDS = (("destination", "server"), ("destination", "disk"), ("destination", "disk_end"),
         ("destination", "server_remove"), ("destination", "disk_remove"), ("destination", "verify"),
         ("destination", "accept"), ("source", "power_off"), ("source", "power_on"),
         ("source", "snapshot"), ("source", "snapshot_remove"), ("source", "describe"))


def trouble_far_end(chaos, chance):
    end, deed = chance.choice(DEEDS)
    kind, after = chance.choice(["unreachable", "refuses", "slow"]), chance.uniform(2, 10)
    rule = {"end": end, "deed": deed, "probability": 0.5}
    if kind == "unreachable":
        rule["fault"] = f"{end}_unreachable"
    elif kind == "refuses":
        rule["fault"] = {"destination": "destination_refused", "source": "source_credentials"}[end]
    else:
        rule["delay_ms"] = int(1000 * chance.choice([0.5, LEASE + 1, spans.TAKEOVER + 2]))
    if not chaos.take("far end"):
        return None
    chaos.set_rules([rule])

    def heal():
        chaos.set_rules([])
        chaos.free("far end")
    return f"{json.dumps(rule)} for {after:.1f} s", [(after, heal)]


def late_deed(chaos, chance):
    """A node is paused with its workers while the far end still does what they asked for."""
    node, (end, deed) = chance.choice(NODES), chance.choice(DEEDS)
    if node in chaos.busy or not chaos.take("far end"):
        return None
    chaos.take(node)
    chaos.set_rules([{"end": end, "deed": deed, "delay_ms": (spans.TAKEOVER + 2) * 1000, "probability": 0.7}])
    wait, after = chance.uniform(0.5, 3), spans.TAKEOVER + chance.uniform(2, 5)
    frozen = []

    def freeze():
        frozen.extend([chaos.lab.daemons[node].pid, *children(chaos.lab.daemons[node].pid)])
        for pid in frozen:
            signal_process(pid, signal.SIGSTOP)

    def heal():
        for pid in reversed(frozen):
            signal_process(pid, signal.SIGCONT)
        chaos.set_rules([])
        chaos.free(node)
        chaos.free("far end")
    return f"{deed} with {node} frozen for {after:.1f} s", [(wait, freeze), (wait + after, heal)]


# -- sources and destinations that are files -----------------------------------------------------------
def change_source(chaos, chance):
    """Somebody writes to a vm that is being copied: other bytes under the same name."""
    which = chance.random()
    vms = [words["vm"].replace("fake-", "vm-") for words in list(chaos.load.accepted.values())[-12:]
           if words["vm"].startswith("fake-")]
    if not vms:
        return None
    vm = vms[int(which * len(vms))]
    path = chaos.lab.world / "vms" / f"{vm}.generation"
    draft = path.with_suffix(".draft")
    draft.write_text(f"{len(chaos.changes[vm]) + 1}\n")
    chaos.changes[vm].append(time.time())
    os.replace(draft, path)
    chaos.changes[vm][-1] = (chaos.changes[vm][-1], time.time())
    return f"{vm}, generation {len(chaos.changes[vm])}", []


def stall_source(chaos, chance):
    """Its disks are read no further, without a fault."""
    after = chance.choice([chance.uniform(0.5, 3), chance.uniform(7, 20)])
    if not chaos.take("stall"):
        return None
    path = chaos.lab.world / "stalled"
    path.touch()

    def heal():
        path.unlink(missing_ok=True)
        chaos.free("stall")
    return f"for {after:.1f} s", [(after, heal)]


def lose_files(chaos, chance):
    """A machine's directory, or the local destination, is not there for a while (not mounted); or a
    machine's files get new times."""
    machines = sorted(chaos.load.originals)
    what, after = chance.choice(["machine", "machine", "times", "results"]), chance.uniform(0.5, 8)
    machine = chance.choice(machines)
    path = chaos.lab.results if what == "results" else chaos.lab.machines / machine
    if not chaos.take(str(path)):
        return None
    if what == "times":
        for file in path.iterdir():
            os.utime(file)
        chaos.free(str(path))
        return f"new times of {machine}", []
    away = chaos.lab.directory / f"{path.name}.away"
    os.rename(path, away)

    def heal():
        if path.exists():  # a worker made it anew
            chaos.errors.append(f"{path} was made while it was away")
        else:
            os.rename(away, path)
        chaos.free(str(path))
    return f"{path.name} for {after:.1f} s", [(after, heal)]


END_FAULTS = (
    ("fill", fill_pool, 2), ("journal", lose_journal, 3), ("empty-node", empty_node, 1),
    ("clone", clone_node, 2), ("far-end", trouble_far_end, 5), ("late-deed", late_deed, 3),
    ("source-changes", change_source, 3), ("source-stalls", stall_source, 2),
    ("files-away", lose_files, 2),
)
