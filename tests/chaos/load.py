# SPDX-License-Identifier: Apache-2.0
"""Work for guts: migrations without end, and operators who change their mind.

Keeps what was acknowledged, for the last check: an answer of 201 or 202 is a promise.
"""
import random
import threading
import time

from lab import APIS, MIB, NODES
from machines import make_machine

FAKE_DISK_BYTES = 2 * MIB
FAKE_PERCENT = 50


HANDS = 3


class Load:
    """Several hands, so that one which waits for a frozen API does not hold the others."""

    def __init__(self, lab, seed, timeline, scale, hands=HANDS, cloud=None):
        self.lab, self.timeline = lab, timeline
        self.hands = [Hand(self, random.Random(f"{seed} {number}")) for number in range(hands)]
        self.vm_count = {"small": 120, "full": 900}[scale]
        self.pause = {"small": 1.2, "full": 0.4}[scale]
        self.machine_count = {"small": 2, "full": 6}[scale]
        self.ending = threading.Event()
        self.accepted = {}   # migration's id: what was asked
        self.wishes = {}     # wish's id: (verb, owner)
        self.most_open = {"small": 40, "full": 240}[scale]
        self.open = 0        # migrations that do not rest, when somebody looked last
        self.refused = 0
        self.unanswered = 0
        self.originals = {}
        self.cloud = cloud   # chooses what is moved there, where one is a destination

    def prepare(self):
        for number in range(1, self.machine_count + 1):
            name = f"machine-{number}"
            kind = ("monolithicSparse", "streamOptimized", "twoGbMaxExtentFlat")[number % 3]
            self.originals[name] = make_machine(self.lab.machines, name, kind, 1 + number % 2,
                                                size_bytes=8 * MIB)[1]
        self.lab.add_fakes(vms=self.vm_count + (self.cloud.vms if self.cloud else 0), disk_bytes=FAKE_DISK_BYTES, data_percent=FAKE_PERCENT,
                           power="mixed", bytes_per_second=MIB // 4, disks=1)
        self.lab.add("sources", "workstations", "workstation", path=str(self.lab.machines))
        self.lab.add("destinations", "kvm", "local", path=str(self.lab.results))

    def start(self):
        for _ in range(3 if self.cloud else 0):  # while all is well: some are accepted for certain
            self.hands[0].begin(*self.cloud.next(self.hands[0].chance))
        for hand in self.hands:
            hand.start()

    def end(self):
        self.ending.set()
        for hand in self.hands:
            hand.join(30)


class Hand(threading.Thread):
    def __init__(self, load, chance):
        super().__init__(name="load", daemon=True)
        self.load, self.chance = load, chance
        self.lab, self.timeline = load.lab, load.timeline
        self.between = (0.0, 0.0)

    def run(self):
        while not self.load.ending.wait(self.load.pause * self.chance.uniform(0.5, 1.5)):
            dice = self.chance.random()
            if dice < 0.6 or not self.load.accepted:
                if self.load.open < self.load.most_open:
                    self.create()
            elif dice < 0.96:
                self.change_mind()
            elif dice < 0.98:
                self.drain_or_enable()
            else:
                self.refresh()

    def ask(self, path, body):
        api = self.chance.choice(APIS)
        began = time.monotonic()
        status, answer = self.lab.ask(api, "POST", path, body)
        self.between = (began, time.monotonic())
        self.load.unanswered += status == 0
        self.load.refused += status >= 400
        return status, answer

    def create(self):
        there = self.chance.random() < 0.4 and self.load.cloud and self.load.cloud.next(self.chance)
        if there:
            vm, destination, options = there
        elif self.chance.random() < 0.1 and self.load.originals:
            vm, destination, options = self.chance.choice(list(self.load.originals)), "kvm", {}
        else:
            vm, destination = f"fake-{self.chance.randrange(1, self.load.vm_count + 1):06d}", "nowhere"
            options = {"store": "file", "stop_source": True, "start": True,
                       "seconds": self.chance.choice([0, 0, 0, 1, 3]),
                       "reserve_bytes": self.chance.choice([0, 4 * MIB, 4 * MIB, 8 * MIB, 20 * MIB]),
                       "stage_bytes": 0}
            if options["reserve_bytes"]:
                options["stage_bytes"] = options["reserve_bytes"] // 2
        self.begin(vm, destination, options)

    def begin(self, vm, destination, options):
        words = {"vms": [vm], "destination": destination, "options": options}
        status, answer = self.ask("/v1/migrations", words)
        if status in (200, 201, 202):
            for made in answer.get("created", []):
                self.load.accepted[made["id"]] = {"vm": vm, "destination": destination,
                                                  "between": self.between, **options}
                self.timeline.say("create", f"{made['id']} {vm} -> {destination}")
        elif status:
            self.timeline.say("refused", f"create {vm}: {status} {answer.get('code')}")

    def change_mind(self):
        ids = list(self.load.accepted)
        recent = ids[-30:] if self.chance.random() < 0.7 else ids
        migration = self.chance.choice(recent)
        verb = self.chance.choice(["cancel", "cancel", "rollback", "rollback", "cleanup", "retry"])
        self.act(verb, migration)

    def act(self, verb, migration):
        status, answer = self.ask(f"/v1/migrations/{migration}/{verb}", {})
        if status == 202:
            self.load.wishes[answer["wish"]["id"]] = (verb, migration, self.between)
            self.timeline.say("verb", f"{verb} {migration}")

    def drain_or_enable(self):
        node = self.chance.choice(NODES)
        verb = self.chance.choice(["drain", "enable", "enable"])
        status, answer = self.ask(f"/v1/nodes/{node}/{verb}", {})
        if status == 202:
            self.load.wishes[answer["wish"]["id"]] = (verb, node, self.between)
            self.timeline.say("verb", f"{verb} {node}")

    def refresh(self):
        kind, name = self.chance.choice([("sources", "fakes"), ("sources", "workstations"),
                                         ("destinations", "nowhere")])
        status, answer = self.ask(f"/v1/{kind}/{name}/refresh", {})
        if status == 202:
            self.load.wishes[answer["wish"]["id"]] = ("refresh", name, self.between)
            self.timeline.say("verb", f"refresh {name}")
