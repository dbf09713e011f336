# SPDX-License-Identifier: Apache-2.0
"""What is done to guts. The seed chooses kinds, targets and lengths; each fault knows how it heals.

A fault is (kind, function, weight). The function takes the chaos and a chance, does the harm, and
gives back what to say and a list of (seconds, function) that heal it.
"""
import collections
import heapq
import itertools
import json
import os
import signal
import threading
import time

from fault_ends import END_FAULTS
from fault_peers import DAEMONS, PEER_FAULTS
from lab import NODES, children, signal_process
import spans
from spans import length


class Chaos:
    def __init__(self, lab, load, chance, timeline, faults):
        self.kinds = [fault for fault in faults for _ in range(fault[2])]
        self.lab, self.load, self.chance, self.timeline = lab, load, chance, timeline
        self.healing = []
        self.count = itertools.count()
        self.tally = {}
        self.busy = set()  # what is broken already: not broken again in another way
        self.world_rules = []
        self.finishers = []  # threads that end what a fault began
        self.letters = collections.Counter()
        self.lost = []  # (from, to) that the database forgot, by the monotonic clock
        self.changes = collections.defaultdict(list)  # vm: when its disks changed, by the wall clock
        self.errors = []

    # -- the loop --------------------------------------------------------------------------------
    def inject(self):
        # The same number of choices each time, whatever comes of them: seeds repeat.
        kind, function, _ = self.chance.choice(self.kinds)
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
        """A peer stays whole for a while: where it is always away no migration is under way that faults could meet."""
        if what in ("broker", "database", "cloud"):
            self.later(1.5 * spans.TAKEOVER, lambda: self.busy.discard(what))
        else:
            self.busy.discard(what)

    def finish(self, work):
        """Ends a fault that takes its time to end; all have ended when end_all returns."""
        thread = threading.Thread(target=work)
        thread.start()
        self.finishers.append(thread)

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
        for thread in self.finishers:
            thread.join(120)
            if thread.is_alive():
                self.errors.append("a fault did not end")

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
        thread.join(0.1)
        if thread.is_alive():  # other faults go on meanwhile
            chaos.later(0.3, heal)
        else:
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


FAULTS = (
    ("kill", kill_daemon, 8), ("end", end_daemon, 2), ("freeze", freeze_daemon, 6),
    ("kill-worker", kill_worker, 6), ("freeze-worker", freeze_worker, 5),
    *PEER_FAULTS, *END_FAULTS,
)
