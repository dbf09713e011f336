# SPDX-License-Identifier: Apache-2.0
"""A scheduler that is played for a real guts-migration on a real broker, and the node itself."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid

import pika

from peers.ports import free_port

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("GUTS_BUILD", TOP / "build"))
EXCHANGE, SCHEDULER, BULK = "guts.v1", "guts.v1.scheduler", "guts.v1.scheduler.bulk"
PATIENCE = 120


def load_messages(directory):
    """The generated module of proto/guts.proto."""
    subprocess.run(["protoc", f"--proto_path={TOP / 'proto'}", f"--python_out={directory}",
                    "guts.proto"], check=True, timeout=60)
    sys.path.insert(0, str(directory))
    try:
        import guts_pb2
        return guts_pb2
    finally:
        sys.path.remove(str(directory))


class Node:
    """guts-migration as a process."""

    def __init__(self, directory, broker, vhost, name="n1", **worker):
        self.directory = pathlib.Path(directory)
        self.name = name
        self.world = self.directory / "world"
        self.world.mkdir(parents=True)
        self.port = free_port()
        self.log = self.directory / "log"
        self.config = self.directory / "conf"
        limits = {"flush_bytes": "4MiB", "flush_interval": "100ms", "restart_first": "10ms",
                  "ledger_repeat": "300ms"} | worker
        lines = "".join(f'    {key} = "{value}";\n' for key, value in limits.items())
        self.config.write_text(f"""
node = {{
    name = "{name}"; pools = ["{self.directory}/pool"]; report_interval = "200ms";
    roots_read = ["{self.directory}"]; roots_write = ["{self.directory}"];
    metrics_listen = "127.0.0.1:{self.port}"; stop_grace = "5s";
}};
worker = {{
{lines}}};
broker = {{
    addresses = ["{broker.address}"]; virtual_host = "{vhost}"; user = "guts";
    password_file = "{broker.password_file}"; backoff_most = "500ms"; heartbeat = "2s";
}};
""")
        self.process = None

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [BUILD / "migration/guts-migration", "-c", self.config], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log)
        return self

    def kill(self):
        self.process.kill()
        self.process.wait(60)

    def stop(self):
        """SIGTERM; how long it took, in seconds."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == 0
        return time.monotonic() - began

    def end(self):
        if self.process and self.process.poll() is None:
            self.kill()

    def workers(self):
        """Process ids of its children."""
        path = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(word) for word in path.read_text().split()]

    def get(self, path):
        """Status and text of one of its three paths."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def answers(self, path, status, text):
        try:
            got = self.get(path)
        except OSError:  # it does not listen yet
            return False
        return got[0] == status and text in got[1]

    def resident_mib(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise AssertionError("no VmRSS")

    def cpu_seconds(self):
        words = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def deeds(self):
        """What the fake world saw, in order."""
        path = self.world / "log"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


class Play:
    """The scheduler: answers reports and ledger writes, remembers what it saw."""

    def __init__(self, messages, broker, vhost):
        self.messages = messages
        self.parameters = pika.URLParameters(broker.url)
        self.parameters.virtual_host = vhost
        self.parameters.socket_timeout = 5
        self.connection = self.channel = None
        self.instance = None
        self.pool = b""
        self.wanted = {}  # job id → Wanted, GO when absent
        self.jobs = {}    # job id → the last JobReport
        self.results = {}
        self.gone = set()
        self.accepted = []
        self.refused = []
        self.ledger = {}
        self.report = None
        self.full_reports = 0
        self.lease_ms = 10000
        self.answers = True

    def connect(self):
        self.connection = pika.BlockingConnection(self.parameters)
        self.channel = self.connection.channel()
        self.channel.exchange_declare(EXCHANGE, "topic", durable=True)
        for queue in (SCHEDULER, BULK):
            self.channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})
            self.channel.queue_bind(queue, EXCHANGE, queue)

    def disconnect(self):
        try:
            self.connection.close()
        except Exception:  # the broker may be gone: then there is nothing to close
            pass
        self.connection = self.channel = None

    def send(self, node, kind, message):
        self.channel.basic_publish(
            EXCHANGE, f"guts.v1.node.{node}", message.SerializeToString(),
            pika.BasicProperties(type=f"guts.v1.{kind}", delivery_mode=2,
                                 message_id=str(uuid.uuid4())))

    def turn(self):
        """Takes what is there; reconnects where the broker was away."""
        try:
            if not self.connection:
                self.connect()
            for queue in (SCHEDULER, BULK):
                while True:
                    method, properties, body = self.channel.basic_get(queue)
                    if method is None:
                        break
                    self.receive(properties.type, body)
                    self.channel.basic_ack(method.delivery_tag)
        except (pika.exceptions.AMQPError, OSError):
            self.connection = None
        time.sleep(0.02)

    def receive(self, kind, body):
        kind = kind.removeprefix("guts.v1.")
        message = getattr(self.messages, kind)()
        message.ParseFromString(body)
        getattr(self, f"on_{kind}", lambda _: None)(message)

    def on_NodeReport(self, report):
        self.report, self.instance = report, report.instance
        self.pool = report.pools[0].id
        self.full_reports += report.full
        renew = self.messages.LeaseRenew(node_instance=report.instance, report=report.number,
                                         lease_ms=self.lease_ms)
        for job in report.jobs:
            self.jobs[job.token.job] = job
            if job.directory_gone:
                self.gone.add(job.token.job)
            if job.HasField("result"):
                self.results[job.token.job] = job.result
            renew.jobs.add(token=job.token, leased=True,
                           wanted=self.wanted.get(job.token.job, self.messages.WANTED_STATE_GO))
        self.send(report.name, "LeaseRenew", renew)

    def on_JobAccept(self, accept):
        self.accepted.extend(token.job for token in accept.tokens)

    def on_JobRefuse(self, refuse):
        self.refused.extend(refusal.fault.code for refusal in refuse.refusals)

    def on_JobFinished(self, finished):
        self.results[finished.result.token.job] = finished.result

    def on_LedgerWrite(self, write):
        if not self.answers:
            return
        key = (write.entry.end, write.entry.kind, write.entry.key)
        order = self.ledger[key].order if key in self.ledger else len(self.ledger) + 1
        self.ledger[key] = write.entry
        self.ledger[key].order = order
        self.send("n1", "LedgerAnswer", self.messages.LedgerAnswer(
            node_instance=write.node_instance, token=write.token, number=write.number,
            verdict=self.messages.LEDGER_VERDICT_STORED, entry=self.ledger[key]))

    def wait(self, happens, what, patience=PATIENCE):
        until = time.monotonic() + patience
        while not happens():
            assert time.monotonic() < until, f"waited in vain for {what}"
            self.turn()

    def assign(self, node_name, *assignments):
        """Sends assignments, packed or not, in one message."""
        self.send(node_name, "JobAssign", self.messages.JobAssign(
            node_instance=self.instance,
            assignments=[one if isinstance(one, bytes) else one.SerializeToString()
                         for one in assignments]))

    def migrate(self, node, settings=None, options=None, kind=None, attempt=1, owner=None):
        """Assigns a job; returns its id."""
        assignment = self.assignment(node, settings, options, kind, attempt, owner)
        self.assign(node.name, assignment)
        return assignment.token.job

    def assignment(self, node, settings=None, options=None, kind=None, attempt=1, owner=None):
        m = self.messages
        job, owner = uuid.uuid4().bytes, owner or uuid.uuid4().bytes
        end = {"path": str(node.world)}
        assign = m.Assignment(
            token=m.Token(job=job, attempt=attempt),
            kind=kind or m.JOB_KIND_MIGRATE, owner_kind=m.OWNER_KIND_MIGRATION, owner_id=owner,
            options_json=json.dumps(options or {"store": "file"}), pool=self.pool,
            state=m.MIGRATION_STATE_SCHEDULED,
            ledger=sorted(self.ledger.values(), key=lambda entry: entry.order))
        assign.source.CopyFrom(m.Endpoint(id=uuid.uuid4().bytes, driver="fake", name="from",
                                          settings_json=json.dumps(end | (settings or {}))))
        assign.destination.CopyFrom(m.Endpoint(id=uuid.uuid4().bytes, driver="fake", name="to",
                                               settings_json=json.dumps(end)))
        assign.vm.CopyFrom(m.Vm(key="vm-000001", name="fake-000001", power="off", firmware="bios",
                                cpus=1, memory_mib=1))
        return assign

    def result(self, job):
        self.wait(lambda: job in self.results, "a result")
        return self.results[job]

    def steps(self, job):
        """The names of those that were reported."""
        return [step.name for step in self.jobs[job].steps] if job in self.jobs else []

    def done_bytes(self, job):
        return sum(disk.done_bytes for disk in self.jobs[job].disks) if job in self.jobs else 0
