# SPDX-License-Identifier: Apache-2.0
"""A small guts in which one point after the other dies: 1 api, 1 scheduler, 2 nodes, started again by a
supervisor as systemd would. Its crash points are armed by files in a directory that all of them see."""
import json
import os
import pathlib
import signal
import subprocess
import threading
import time
import uuid

import guts_platform
from guts_platform import Daemon, Platform, wait_until
from invariants import check_all
from lab import Lab, MIB, signal_process
from load import FAKE_DISK_BYTES, FAKE_PERCENT
from machines import make_machine

LEASE, TAKEOVER = 2, 4
NODES = ("node-1", "node-2")
SCHEDULER = {"lease": "2s", "takeover": "4s", "stop_grace": "500ms", "longest_request": "500ms", "margin": "500ms",
             "report_interval": "200ms", "leader_timeout": "1s", "resend": "500ms", "idle_interval": "100ms",
             "retry_first": "200ms", "retry_most": "1s"}
VMS = 900
REST_SECONDS = 40


class PointedDaemon(Daemon):
    """A daemon that sees the directory of crash points."""

    def __init__(self, name, words, directory, points):
        super().__init__(name, words, directory)
        self.environment = {**guts_platform.ENVIRONMENT, "GUTS_CRASHPOINTS": str(points)}

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.words, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=self.environment, start_new_session=True)
        return self


class Supervisor(threading.Thread):
    """Starts again what ended; says what ended otherwise than by its point."""

    def __init__(self, cell):
        super().__init__(name="supervisor", daemon=True)
        self.cell, self.ending, self.lock = cell, threading.Event(), threading.Lock()
        self.held = set()   # not started again until they are let
        self.deaths = []    # (name, exit status, process id)

    def run(self):
        while not self.ending.wait(0.02):
            self.cell.react()
            with self.lock:
                for name, daemon in self.cell.daemons.items():
                    if name not in self.held and not daemon.alive():
                        self.deaths.append((name, daemon.process.returncode, daemon.pid))
                        daemon.start()

    def hold(self, name):
        with self.lock:
            self.held.add(name)

    def let(self, name):
        with self.lock:
            self.held.discard(name)


class Cell(Platform):
    SCHEDULER = SCHEDULER
    NODE = {"report_interval": "200ms", "stop_grace": "500ms"}
    takeover, patience = TAKEOVER, REST_SECONDS
    rows = Lab.rows

    def __init__(self, number, directory, broker, database):
        super().__init__(directory, broker, database, f"guts_matrix_{number}")
        self.number = number
        self.points = self.directory / "points"
        self.points.mkdir()
        self.machines, self.results = self.directory / "machines", self.directory / "results"
        self.machines.mkdir()
        self.results.mkdir()
        self.read_roots = [str(self.machines)]
        self.write_roots.append(str(self.results))
        self.supervisor = Supervisor(self)
        self.accepted, self.wishes, self.originals = {}, {}, {}  # for the invariants
        self.titles = {}    # migration: row
        self.vm_number = 0
        self.killed = set()  # process ids that a point or a reaction named
        self.row, self.reacting, self.gone = None, None, None
        self.changes, self.lost = {}, []  # for the invariants: nothing of that kind happens here
        self.errors = []

    def pool(self, name):
        return self.directory / f"pool-{name}"

    def _start(self, name, kind, sections):
        conf = self.directory / f"{name}.conf"
        if name not in self.daemons:
            self.daemons[name] = PointedDaemon(name, [guts_platform.program(kind), "--config", conf],
                                               self.directory, self.points)
        return super()._start(name, kind, sections)

    def open(self):
        name = "machine-1"
        self.originals[name] = make_machine(self.machines, name, "monolithicSparse", 1, size_bytes=4 * MIB)[1]
        self.prepare()
        self.start_api()
        self.start_scheduler()
        for node in NODES:
            self.start_node(node, slots=4, worker={
                "flush_bytes": "1MiB", "flush_interval": "100ms", "restart_first": "50ms", "restart_most": "500ms",
                "ledger_repeat": "300ms", "memory": "256MiB", "buffers": "2MiB", "restarts": 20})
        self.wait_ready(len(NODES))
        time.sleep(3)  # RabbitMQ 3.10 may lose the leader of a quorum queue that was just declared
        self.add("sources", "fakes", "fake", path=str(self.world), vms=VMS, disk_bytes=FAKE_DISK_BYTES,
                 data_percent=FAKE_PERCENT, power="mixed", bytes_per_second=4 * MIB, disks=1)
        self.add("destinations", "nowhere", "fake", path=str(self.world))
        self.add("sources", "workstations", "workstation", path=str(self.machines))
        self.add("destinations", "kvm", "local", path=str(self.results))
        self.supervisor.start()
        return self

    def close(self):
        if self.supervisor.is_alive():
            self.supervisor.ending.set()
            self.supervisor.join(10)
        super().close()

    def check(self):
        return check_all(self, self, self)[0]

    # -- crash points ----------------------------------------------------------------------------
    def arm(self, row):
        for name, line in row.arms().items():
            draft = self.points / "draft"
            draft.write_text(line + "\n")
            os.replace(draft, self.points / name)

    def fired(self, row):
        """The process id that the last point met, once it has."""
        path = self.points / f"{row.points[-1]}.fired"
        text = path.read_text() if path.exists() else ""
        return int(text) if text.strip().isdigit() else None

    def disarm(self):
        """Takes all arms away; keeps the process ids of those that had done what they were there for."""
        end = time.monotonic() + 15
        while True:
            paths = [path for path in self.points.iterdir() if path.name != "trace"]
            for path in paths:
                if not path.name.endswith(".fired"):
                    path.unlink(missing_ok=True)
                elif path.read_text().strip().isdigit() or time.monotonic() > end:
                    text = path.read_text().strip()
                    self.killed |= {int(text)} if text.isdigit() else set()
                    path.unlink(missing_ok=True)
            if not paths:
                return
            time.sleep(0.005)

    # -- asking, as a client that asks again -----------------------------------------------------
    def insist(self, method, path, body, accepted, seconds=60):
        """(status, answer, whether it had to ask again)"""
        end, again = time.monotonic() + seconds, False
        while True:
            answer = self.request(method, path, body, raw=True, timeout=6)
            if answer.status in accepted or (again and 400 <= answer.status < 500):
                return answer, again
            if time.monotonic() > end:
                raise AssertionError(f"{method} {path}: {answer.status} {answer}")
            again = True
            time.sleep(0.05)

    def create(self, kind, row, **options):
        if kind == "fake":
            self.vm_number += 2  # those run
            body = {"vms": [f"fake-{self.vm_number:06d}"], "destination": "nowhere",
                    "on_failure": options.pop("on_failure", "rollback"),
                    "options": {"store": "file", "stop_source": True, "start": True, **options}}
        else:
            self.vm_number += 2
            body = {"vms": ["machine-1"], "destination": "kvm", "server_name": f"m-{self.vm_number}"}
        return self.accept(body, row)

    def accept(self, body, row):
        answer, _ = self.insist("POST", "/v1/migrations", body, (200, 201, 202))
        made = answer.get("created", []) + [{"id": one["migration"]} for one in answer.get("skipped", [])]
        assert len(made) == 1, answer
        migration = made[0]["id"]
        self.accepted[migration] = {**body, "between": (0, 0)}
        self.titles[migration.replace("-", "")] = row.title
        return migration

    def verb(self, migration, verb):
        answer, again = self.insist("POST", f"/v1/migrations/{migration}/{verb}", {}, (202,))
        if answer.status == 202:
            self.wishes[answer["wish"]["id"]] = (verb, migration, (0, 0))
        elif not again:
            raise AssertionError(f"{verb} {migration}: {answer}")

    def state(self, migration):
        answer = self.request("GET", f"/v1/migrations/{migration}", raw=True, timeout=6)
        return answer.get("state") if answer.status == 200 else None

    def reach(self, migration, states):
        last = [None]

        def there():
            last[0] = self.state(migration) or last[0]
            return last[0] in states
        try:
            wait_until(f"{migration} in {states}", self.patience, there, every=0.04)
        except AssertionError:
            shown = self.request("GET", f"/v1/migrations/{migration}", raw=True, timeout=6)
            raise AssertionError(f"{migration} is {last[0]}, not {'/'.join(states)}: fault {shown.get('fault')},"
                                 f" waiting {shown.get('waiting')}, steps"
                                 f" {[(s['name'], s['state']) for s in shown.get('steps', [])]}") from None
        return last[0]

    def refuse(self, deed=None):
        """The fake destination refuses this from now on, or nothing any more."""
        rules = [{"end": "destination", "deed": deed, "fault": "destination_refused"}] if deed else []
        draft = self.world / "control.draft"
        draft.write_text(json.dumps(rules))
        os.replace(draft, self.world / "control.json")

    # -- what follows when a worker has stopped at its point -------------------------------------
    def react(self):
        """Called by the supervisor, often."""
        row = self.row
        worker = self.fired(row) if row and row.action in REACTIONS and not self.reacting else None
        if worker is None:
            return
        node = next((name for name in NODES if self.daemons[name].pid == parent_of(worker)), None)
        if node is None:
            self.errors.append(f"the stopped worker {worker} has no daemon")
        self.reacting = threading.Thread(target=REACTIONS[row.action], args=(self, node, worker), daemon=True)
        self.reacting.start()

    def begin_row(self, row):
        self.reacting, self.gone, self.row = None, None, row

    def end_row(self):
        if self.reacting:
            self.reacting.join(30)
        self.row = None
        if self.gone:
            self.supervisor.let(self.gone)  # it comes back with what it held

    def kill_node(self, node):
        self.killed.add(self.daemons[node].pid)
        self.daemons[node].signal(signal.SIGKILL)

    def check_deaths(self, row):
        with self.supervisor.lock:
            deaths, self.supervisor.deaths = self.supervisor.deaths, []
        for name, status, pid in deaths:
            if status != -signal.SIGKILL or pid not in self.killed:
                self.errors.append(f"{row.title}: {name} ended by itself: {status}")


def parent_of(pid):
    try:
        return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except (OSError, IndexError, ValueError):
        return None


def kill_parent(cell, node, _worker):
    """The worker goes with its daemon."""
    cell.kill_node(node)


def go_away(cell, node, _worker):
    """The node is gone until the row's end: another takes over what stands half done."""
    cell.supervisor.hold(node)
    cell.gone = node
    cell.kill_node(node)


def pause(cell, node, worker):
    """Its daemon stands still with it until another node has taken over; the worker wakes first."""
    pid = cell.daemons[node].pid
    signal_process(pid, signal.SIGSTOP)
    time.sleep(cell.takeover + 2)
    signal_process(worker, signal.SIGCONT)
    time.sleep(0.5)
    signal_process(pid, signal.SIGCONT)


REACTIONS = {"parent": kill_parent, "gone": go_away, "stop": pause}


# -- the stories -----------------------------------------------------------------------------------------
def begin(cell, row):
    if row.when == "start":
        cell.arm(row)


def go_back(cell, row, migration, verb, end, before=("VERIFIED",)):
    cell.reach(migration, before)
    if row.when == "verb":
        cell.arm(row)
    cell.verb(migration, verb)
    cell.reach(migration, (end,))


def rollback(cell, row):
    begin(cell, row)
    go_back(cell, row, cell.create("fake", row), "rollback", "ROLLED_BACK")


def cleanup(cell, row):
    begin(cell, row)
    go_back(cell, row, cell.create("fake", row), "cleanup", "CLEANED")


def local(cell, row):
    begin(cell, row)
    go_back(cell, row, cell.create("local", row), "cleanup", "CLEANED")


def local_rollback(cell, row):
    begin(cell, row)
    go_back(cell, row, cell.create("local", row), "rollback", "ROLLED_BACK")


def cancel(cell, row):
    """Cancelled while it works on the server, for which it pretends to need some seconds."""
    begin(cell, row)
    migration = cell.create("fake", row, seconds=5)
    go_back(cell, row, migration, "cancel", "CANCELLED", before=("UPLOADING",))


def refresh(cell, row):
    begin(cell, row)
    for kind, name in (("sources", "fakes"), ("destinations", "nowhere")):
        for verb in ("refresh", "test"):
            answer, _ = cell.insist("POST", f"/v1/{kind}/{name}/{verb}", {}, (202,))
            wish = answer["wish"]["id"]
            wait_until(f"{verb} of {name} has its outcome", REST_SECONDS, lambda w=wish: cell.request(
                "GET", f"/v1/wishes/{w}", raw=True, timeout=6).get("state") in ("done", "failed"), every=0.04)


def cancel_there(cell, row, kind="fake"):
    """Cancelled while the worker stands at its point, from where it comes no further."""
    begin(cell, row)
    migration = cell.create(kind, row)
    wait_until("the point is reached", REST_SECONDS, lambda: cell.fired(row), every=0.02)
    cell.verb(migration, "cancel")
    cell.reach(migration, ("CANCELLED",))


def local_cancel_there(cell, row):
    cancel_there(cell, row, "local")


def fail(cell, row):
    """The destination refuses the server: what was made is taken back by itself."""
    begin(cell, row)
    cell.refuse("server")
    migration = cell.create("fake", row)
    try:
        cell.reach(migration, ("ROLLED_BACK",))
    finally:
        cell.refuse()


def retry(cell, row):
    """The same, but kept; then the destination thinks better of it."""
    begin(cell, row)
    cell.refuse("server")
    try:
        migration = cell.create("fake", row, on_failure="keep")
        cell.reach(migration, ("FAILED",))
    finally:
        cell.refuse()
    go_back(cell, row, migration, "retry", "VERIFIED", before=("FAILED",))
    cell.verb(migration, "rollback")
    cell.reach(migration, ("ROLLED_BACK",))


def settled(cell, row):
    """The look at both ends that comes one takeover time after a rollback."""
    begin(cell, row)
    go_back(cell, row, cell.create("fake", row), "rollback", "ROLLED_BACK")
    wait_until("the settle check", 3 * TAKEOVER + 5, lambda: cell.fired(row))


def takeover(cell, row):
    """Its node goes for longer than the takeover time; the other one makes the second attempt."""
    begin(cell, row)
    migration = cell.create("fake", row, seconds=4)
    cell.reach(migration, ("UPLOADING",))
    name = wait_until("it has a node", 10, lambda: (cell.rows(
        "SELECT n.name FROM jobs j JOIN nodes n ON n.id = j.node_id WHERE j.live = 1"
        f" AND LOWER(HEX(j.owner_id)) = '{migration.replace('-', '')}'") or [[None]])[0][0])
    cell.supervisor.hold(name)
    cell.daemons[name].kill()
    cell.reach(migration, ("VERIFIED",))
    cell.daemons[name].start()
    cell.supervisor.let(name)
    go_back(cell, row, migration, "rollback", "ROLLED_BACK")


def wish(cell, method, path, body=None):
    """One wish, to its outcome."""
    answer, _ = cell.insist(method, path, body or {}, (202,))
    wish_id = answer["wish"]["id"]
    wait_until(f"{method} {path} has its outcome", REST_SECONDS, lambda: cell.request(
        "GET", f"/v1/wishes/{wish_id}", raw=True, timeout=6).get("state") in ("done", "failed"), every=0.04)


def gc(cell, row):
    """Looks for what nobody holds at both ends and in conversion space, then has it removed."""
    nobody = uuid.uuid4()
    stray = cell.world / "disks" / f"{nobody}-7-0"
    left = cell.pool("node-1") / "jobs" / "former" / f"{nobody}-7"
    stray.write_bytes(b"late")
    left.mkdir(parents=True)
    (left / "disk-0").write_bytes(b"left")
    begin(cell, row)
    places = ("sources/fakes", "destinations/nowhere", "nodes/node-1")
    for remove in (False, True):
        for place in places:
            wish(cell, "POST", f"/v1/{place}/gc", {"remove": remove})
    for place in places:  # a wish that failed is asked again by whoever made it
        wish(cell, "POST", f"/v1/{place}/gc", {"remove": True})
    assert not stray.exists() and not left.exists(), "what nobody holds was not removed"


def delete(cell, row):
    begin(cell, row)
    migration = cell.create("fake", row)
    go_back(cell, row, migration, "rollback", "ROLLED_BACK")
    del cell.accepted[migration]
    end = time.monotonic() + REST_SECONDS  # a settle check may be under way
    while cell.request("GET", f"/v1/migrations/{migration}", raw=True, timeout=6).status != 404:
        assert time.monotonic() < end, f"{migration} was not deleted"
        cell.request("DELETE", f"/v1/migrations/{migration}", raw=True, timeout=6)
        time.sleep(0.2)


def drain(cell, row):
    """A node takes no jobs for a while; the other one does its work."""
    begin(cell, row)
    for verb in ("drain", "disable", "enable"):
        wish(cell, "POST", f"/v1/nodes/node-1/{verb}")
        if verb == "drain":
            cell.reach(cell.create("fake", row), ("VERIFIED",))


STORIES = {story.__name__: story for story in (rollback, cleanup, local, local_rollback, cancel, refresh,
                                               cancel_there, local_cancel_there, fail,
                                               retry, settled, takeover, gc, delete, drain)}


def play(cell, row):
    """What went wrong, or None."""
    wrong = None
    cell.begin_row(row)
    try:
        STORIES[row.story](cell, row)
        end = time.monotonic() + 15  # what comes by time, or right after the end of the story
        while cell.fired(row) is None and time.monotonic() < end:
            time.sleep(0.02)
        if cell.fired(row) is None:
            wrong = "point not reached"
    except AssertionError as failure:
        wrong = str(failure) + ("" if cell.fired(row) else " (point not reached)")
    cell.end_row()
    cell.disarm()
    for daemon in cell.daemons.values():
        daemon.signal(signal.SIGCONT)
    cell.check_deaths(row)
    if cell.errors:
        wrong = "; ".join(filter(None, [wrong, *cell.errors]))
        cell.errors = []
    return wrong


__all__ = ["Cell", "play", "wait_until"]
