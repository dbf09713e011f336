# SPDX-License-Identifier: Apache-2.0
"""A simulated node on a real broker: takes what it is given, and reports it as far as a test wants."""
import importlib.util
import pathlib
import subprocess
import sys
import threading
import time
import uuid

import pika

TOP = pathlib.Path(__file__).resolve().parents[2]
EXCHANGE, SCHEDULER, NODE = "guts.v1", "guts.v1.scheduler", "guts.v1.node."


def messages(directory):
    """guts.proto as a Python module, made by protoc."""
    directory = pathlib.Path(directory)
    if not (directory / "guts_pb2.py").exists():
        subprocess.run(["protoc", f"--proto_path={TOP / 'proto'}", f"--python_out={directory}",
                        "guts.proto"], check=True)
    spec = importlib.util.spec_from_file_location("guts_pb2", directory / "guts_pb2.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["guts_pb2"] = module
    spec.loader.exec_module(module)
    return module


class Node:
    """Reports every `interval` seconds from a thread of its own. `reach` is the state up to which its
    jobs have come; with `finish` they end at once with that outcome."""

    def __init__(self, proto, url, name, slots=8, interval=0.2, finish=None, reach=None):
        self.proto, self.url, self.name, self.slots = proto, url, name, slots
        self.interval, self.finish, self.reach = interval, finish, reach
        self.id, self.pool = uuid.uuid4().bytes, uuid.uuid4().bytes
        self.instance = str(uuid.uuid4())
        self.number = 0
        self.jobs = {}      # job id → [token, wanted]
        self.assigned = []  # (job id, attempt) in order of coming
        self.renewals = 0
        self.quiet = False
        self.failure = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self._thread.start()
        return self

    def stop(self):
        self._stop.set()
        self._thread.join(10)

    def _send(self, channel, message):
        channel.basic_publish(EXCHANGE, SCHEDULER, message.SerializeToString(), pika.BasicProperties(
            type=message.DESCRIPTOR.full_name, message_id=str(uuid.uuid4())))

    def _report(self, channel):
        proto = self.proto
        self.number += 1
        report = proto.NodeReport(
            node_id=self.id, name=self.name, instance=self.instance, number=self.number, full=True,
            version="0", host="test", source_drivers=["fake"], destination_drivers=["fake"],
            pools=[proto.PoolReport(id=self.pool, path="/space", capacity_bytes=1 << 40,
                                    free_bytes=1 << 40)],
            resources=[proto.Resource(name="slot", total=self.slots)])
        for token, _ in self.jobs.values():
            job = report.jobs.add(token=token)
            if self.reach:
                job.reached, job.way = self.reach, proto.MIGRATION_STATE_UPLOADING
            if self.finish:
                job.result.token.CopyFrom(token)
                job.result.outcome = self.finish
        self._send(channel, report)

    def _take(self, channel, method, properties, body):
        proto = self.proto
        kind = properties.type.rsplit(".", 1)[-1]
        if kind == "JobAssign":
            message = proto.JobAssign.FromString(body)
            tokens = [proto.Assignment.FromString(one).token for one in message.assignments]
            if message.node_instance == self.instance:
                for token in tokens:
                    self.jobs[token.job] = [token, None]
                    self.assigned.append((token.job, token.attempt))
                self._send(channel, proto.JobAccept(node_id=self.id, node_instance=self.instance,
                                                    tokens=tokens))
        elif kind == "LeaseRenew":
            self.renewals += 1
            for job in proto.LeaseRenew.FromString(body).jobs:
                held = self.jobs.get(job.token.job)
                if held and job.wanted in (proto.WANTED_STATE_CLOSE, proto.WANTED_STATE_FENCED):
                    del self.jobs[job.token.job]
                elif held:
                    held[1] = job.wanted
        channel.basic_ack(method.delivery_tag)

    def _serve(self):
        connection = pika.BlockingConnection(pika.URLParameters(self.url))
        channel = connection.channel()
        channel.exchange_declare(EXCHANGE, "topic", durable=True)
        queue = NODE + self.name
        channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})
        channel.queue_bind(queue, EXCHANGE, queue)
        channel.basic_consume(queue, self._take)
        next_report = 0
        while not self._stop.is_set():
            if not self.quiet and time.monotonic() >= next_report:
                self._report(channel)
                next_report = time.monotonic() + self.interval
            connection.process_data_events(time_limit=0.05)
        connection.close()

    def _run(self):
        while not self._stop.is_set():
            try:
                self._serve()
            except Exception as failure:  # the broker is away: tests take it away
                self.failure = failure
                time.sleep(0.3)
