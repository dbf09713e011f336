# SPDX-License-Identifier: Apache-2.0
"""What is done to guts. The seed chooses kinds, targets and lengths; each fault knows how it heals.

A fault is (kind, function, weight). The function takes the chaos and a chance, does the harm, and
gives back what to say and a list of (seconds, function) that heal it.
"""
import heapq
import itertools
import json
import os
import shutil
import signal
import threading
import time

from lab import APIS, NODES, SCHEDULERS, children, signal_process
from proxy import PASS, REFUSE, STALL, SWALLOW

LEASE, TAKEOVER = 4, 8
DAEMONS = APIS + SCHEDULERS + NODES


def length(chance):
    """Short ones, ones longer than a lease, ones longer than the takeover time."""
    return chance.choice([chance.uniform(0.2, 2), chance.uniform(LEASE, LEASE + 3),
                          chance.uniform(TAKEOVER + 1, TAKEOVER + 6)])


class Chaos:
    def __init__(self, lab, chance, timeline):
        self.lab, self.chance, self.timeline = lab, chance, timeline
        self.healing = []
        self.count = itertools.count()
        self.tally = {}
        self.busy = set()  # what is broken already: not broken again in another way
        self.world_rules = []
        self.clone = None
        self.errors = []

    # -- the loop --------------------------------------------------------------------------------
    def inject(self):
        kinds = [kind for kind in FAULTS for _ in range(kind[2])]
        # The same number of choices each time, whatever comes of them: seeds repeat.
        kind, function, _ = self.chance.choice(kinds)
        done = function(self, self.chance)
        if done is None:
            return
        text, heals = done
        self.tally[kind] = self.tally.get(kind, 0) + 1
        self.timeline.say("fault", f"{kind} {text}")
        for after, heal in heals:
            self.later(after, heal)

    def later(self, after, heal):
        heapq.heappush(self.healing, (time.monotonic() + after, next(self.count), heal))

    def heal_due(self, everything=False):
        while self.healing and (everything or self.healing[0][0] <= time.monotonic()):
            heal = heapq.heappop(self.healing)[2]
            heal()

    def take(self, what):
        if what in self.busy:
            return False
        self.busy.add(what)
        return True

    def free(self, what):
        self.busy.discard(what)

    def say_healed(self, text):
        self.timeline.say("heal", text)

    # -- daemons ---------------------------------------------------------------------------------
    def restart(self, name):
        self.free(name)
        daemon = self.lab.daemons[name]
        if not daemon.alive():
            self.lab.start_daemon(name)
            self.say_healed(f"start {name}")

    def watch(self):
        """Daemons that ended by themselves are a finding; a supervisor would start them again."""
        for name in DAEMONS:
            daemon = self.lab.daemons[name]
            if name not in self.busy and not daemon.alive():
                self.errors.append(f"{name} ended by itself: {daemon.process.returncode}")
                self.timeline.say("BROKEN", self.errors[-1])
                self.restart(name)

    def end_all(self):
        """Every fault stops here."""
        self.heal_due(everything=True)
        self.lab.proxy.heal()
        self.set_rules([])
        for name in DAEMONS:
            self.lab.daemons[name].signal(signal.SIGCONT)
            for worker in children(self.lab.daemons[name].pid):
                signal_process(worker, signal.SIGCONT)
            self.restart(name)
        self.lab.broker.make_usable()
        self.lab.database.make_usable()

    def set_rules(self, rules):
        self.world_rules = rules
        path = self.lab.world / "control.json"
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(rules))
        os.replace(draft, path)


def kill_daemon(chaos, chance):
    name, after = chance.choice(DAEMONS), length(chance)
    if not chaos.take(name):
        return None
    chaos.lab.daemons[name].kill()
    return f"{name} for {after:.1f} s", [(after, lambda: chaos.restart(name))]


def end_daemon(chaos, chance):
    name, after = chance.choice(DAEMONS), chance.uniform(0.1, 3)
    if not chaos.take(name):
        return None
    daemon = chaos.lab.daemons[name]

    def end():
        try:
            daemon.stop(15)
        except AssertionError as failure:
            chaos.errors.append(str(failure))
            chaos.timeline.say("BROKEN", str(failure))
    thread = threading.Thread(target=end)
    thread.start()

    def heal():
        thread.join(30)
        chaos.restart(name)
    return name, [(after, heal)]


def freeze_daemon(chaos, chance):
    name, after, whole = chance.choice(DAEMONS), length(chance), chance.random() < 0.4
    if not chaos.take(name):
        return None
    pids = [chaos.lab.daemons[name].pid]
    if whole and name in NODES:
        pids += children(pids[0])
    for pid in pids:
        signal_process(pid, signal.SIGSTOP)

    def heal():
        chaos.free(name)
        for pid in reversed(pids):
            signal_process(pid, signal.SIGCONT)
    return f"{name}{' and its workers' if len(pids) > 1 else ''} for {after:.1f} s", [(after, heal)]


def some_worker(chaos, chance):
    node, which = chance.choice(NODES), chance.random()
    daemon = chaos.lab.daemons[node]
    workers = children(daemon.pid) if daemon.alive() else []
    return (node, workers[int(which * len(workers))]) if workers else (node, None)


def kill_worker(chaos, chance):
    node, worker = some_worker(chaos, chance)
    if worker is None or not signal_process(worker, signal.SIGKILL):
        return None
    return f"{worker} of {node}", []


def freeze_worker(chaos, chance):
    node, worker = some_worker(chaos, chance)
    after = length(chance)
    if worker is None or not signal_process(worker, signal.SIGSTOP):
        return None
    return (f"{worker} of {node} for {after:.1f} s",
            [(after, lambda: signal_process(worker, signal.SIGCONT))])


def late_deed(chaos, chance):
    """A node is paused with its workers while the far end still does what they asked for."""
    node, (end, deed) = chance.choice(NODES), chance.choice(DEEDS)
    if node in chaos.busy or not chaos.take("far end"):
        return None
    chaos.take(node)
    chaos.set_rules([{"end": end, "deed": deed, "delay_ms": (TAKEOVER + 2) * 1000, "probability": 0.7}])
    wait, after = chance.uniform(0.5, 3), TAKEOVER + chance.uniform(2, 5)
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


# -- peers -------------------------------------------------------------------------------------------
def peer_of(chaos, chance):
    name = chance.choice(["broker", "database"])
    return name, getattr(chaos.lab, name)


def freeze_peer(chaos, chance):
    (name, peer), after = peer_of(chaos, chance), length(chance)
    if not chaos.take(name):
        return None
    peer.freeze()

    def heal():
        peer.thaw()
        chaos.free(name)
        chaos.say_healed(f"thaw {name}")
    return f"{name} for {after:.1f} s", [(after, heal)]


def restart_peer(chaos, chance):
    (name, peer), after, hard = peer_of(chaos, chance), chance.uniform(0, 8), chance.random() < 0.6
    if not chaos.take(name):
        return None

    def work():
        try:
            (peer.kill if hard else peer.stop)()
            time.sleep(after)
            peer.start()
        except (RuntimeError, OSError) as failure:
            chaos.errors.append(f"{name} did not restart: {failure}")
        chaos.say_healed(f"start {name}")
        chaos.free(name)
    thread = threading.Thread(target=work)
    thread.start()
    return (f"{name} {'killed' if hard else 'stopped'} for {after:.1f} s",
            [(after + 5, lambda: thread.join(200))])


def break_connection(chaos, chance):
    daemon, peer = chance.choice(DAEMONS), chance.choice(["broker", "database"])
    mode, after = chance.choice(["cut", REFUSE, STALL, STALL, SWALLOW]), length(chance)
    door = f"{daemon}:{peer}"
    if door not in chaos.lab.proxy.doors or not chaos.take(door):
        return None
    if mode == "cut":
        chaos.lab.proxy.cut(door)
        chaos.free(door)
        return f"{mode} {door}", []
    chaos.lab.proxy.set_mode(door, mode)

    def heal():
        chaos.lab.proxy.set_mode(door, PASS)
        chaos.free(door)
    return f"{mode} {door} for {after:.1f} s", [(after, heal)]


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
    node, after = chance.choice(NODES), chance.uniform(3, 12)
    if not chaos.take("clone"):
        return None
    clone = chaos.lab.start_clone(node)

    def heal():
        if clone.alive():
            clone.kill()
        shutil.rmtree(chaos.lab.directory / "pool-clone", ignore_errors=True)
        chaos.free("clone")
    return f"{node} for {after:.1f} s", [(after, heal)]


# -- far ends ----------------------------------------------------------------------------------------
DEEDS = (("destination", "server"), ("destination", "disk"), ("destination", "disk_end"),
         ("destination", "server_remove"), ("destination", "disk_remove"), ("destination", "verify"),
         ("destination", "accept"), ("source", "power_off"), ("source", "power_on"),
         ("source", "snapshot"), ("source", "snapshot_remove"), ("source", "describe"))


def trouble_far_end(chaos, chance):
    end, deed = chance.choice(DEEDS)
    kind, after = chance.choice(["fail", "slow"]), chance.uniform(2, 10)
    rule = {"end": end, "deed": deed, "probability": 0.5}
    if kind == "fail":
        rule["fault"] = f"{end}_unreachable"
    else:
        rule["delay_ms"] = int(1000 * chance.choice([0.5, LEASE + 1, TAKEOVER + 2]))
    if not chaos.take("far end"):
        return None
    chaos.set_rules([rule])

    def heal():
        chaos.set_rules([])
        chaos.free("far end")
    return f"{json.dumps(rule)} for {after:.1f} s", [(after, heal)]


FAULTS = (
    ("kill", kill_daemon, 8), ("end", end_daemon, 2), ("freeze", freeze_daemon, 6),
    ("kill-worker", kill_worker, 6), ("freeze-worker", freeze_worker, 5),
    ("freeze-peer", freeze_peer, 2), ("restart-peer", restart_peer, 2),
    ("connection", break_connection, 8), ("fill", fill_pool, 2), ("journal", lose_journal, 3),
    ("empty-node", empty_node, 1), ("clone", clone_node, 1), ("far-end", trouble_far_end, 5),
    ("late-deed", late_deed, 3),
)
