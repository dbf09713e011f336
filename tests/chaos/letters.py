# SPDX-License-Identifier: Apache-2.0
"""Doubles, drops and delays whole messages: a postman between the exchange and one queue.

The daemons' routing keys are the queues' names. The postman binds a queue of its own to such a key,
takes the real queue's binding away, and puts each message on: straight into the real queue once,
twice, later (so that others overtake it) or never. A daemon that declares its queue anew binds it
again: then both ways are open for a moment, and everything comes twice. Properties are kept.
"""
import heapq
import itertools
import random
import threading
import time

import pika

EXCHANGE = "guts.v1"
SCHEDULER_QUEUES = ("guts.v1.scheduler", "guts.v1.scheduler.bulk")


def node_queue(name):
    return f"guts.v1.node.{name}"


class Postman(threading.Thread):
    """At work from start() until end(); a broker that goes away meanwhile is met again."""

    def __init__(self, broker, vhost, queue, mix, seed):
        super().__init__(name=f"postman {queue}", daemon=True)
        self.broker, self.vhost, self.queue = broker, vhost, queue
        self.mix = mix  # (share doubled, share dropped, share delayed, longest delay in seconds)
        self.chance = random.Random(seed)
        self.ending = threading.Event()
        self.late = []
        self.order = itertools.count()
        self.counts = {"passed": 0, "doubled": 0, "dropped": 0, "delayed": 0}
        self.error = None

    def parameters(self):
        host, port = self.broker.address.rsplit(":", 1)
        password = open(self.broker.password_file, encoding="utf-8").read()
        return pika.ConnectionParameters(
            host, int(port), self.vhost,
            pika.PlainCredentials(self.broker.env["BROKER_USER"], password),
            heartbeat=0, socket_timeout=5, blocked_connection_timeout=30)

    def run(self):
        while not self.ending.is_set():
            try:
                self.serve()
                return
            except (pika.exceptions.AMQPError, OSError) as failure:
                self.error = repr(failure)
                self.ending.wait(0.3)
        self.restore()

    def restore(self, seconds=60):
        """The real queue is bound again, whatever happened to us."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                with pika.BlockingConnection(self.parameters()) as connection:
                    connection.channel().queue_bind(self.queue, EXCHANGE, self.queue)
                return
            except (pika.exceptions.AMQPError, OSError) as failure:
                self.error = repr(failure)
                time.sleep(0.5)

    def serve(self):
        with pika.BlockingConnection(self.parameters()) as connection:
            channel = connection.channel()
            own = channel.queue_declare("", exclusive=True, auto_delete=True).method.queue
            channel.basic_qos(prefetch_count=50)
            channel.queue_bind(own, EXCHANGE, self.queue)
            unbound = 0.0
            for method, properties, body in channel.consume(own, inactivity_timeout=0.05):
                if method is not None:
                    self.sort(channel, properties, body)
                    channel.basic_ack(method.delivery_tag)
                self.put_late(channel, time.monotonic())
                if self.ending.is_set():
                    break
                if time.monotonic() - unbound > 0.3:
                    channel.queue_unbind(self.queue, EXCHANGE, self.queue)
                    unbound = time.monotonic()
            channel.queue_bind(self.queue, EXCHANGE, self.queue)
            channel.queue_unbind(own, EXCHANGE, self.queue)
            channel.cancel()  # gives back what was fetched and not yet sorted
            while True:
                method, properties, body = channel.basic_get(own, auto_ack=True)
                if method is None:
                    break
                self.put(channel, properties, body)
            self.put_late(channel, float("inf"))

    def sort(self, channel, properties, body):
        double, drop, delay, longest = self.mix
        dice = self.chance.random()
        if dice < drop:
            self.counts["dropped"] += 1
            return
        if dice < drop + delay:
            self.counts["delayed"] += 1
            self.keep(properties, body, self.chance.uniform(0.05, longest))
            return
        self.put(channel, properties, body)
        if dice < drop + delay + double:
            self.counts["doubled"] += 1
            self.keep(properties, body, self.chance.choice([0, self.chance.uniform(0, longest)]))
        else:
            self.counts["passed"] += 1

    def keep(self, properties, body, seconds):
        heapq.heappush(self.late, (time.monotonic() + seconds, next(self.order), properties, body))

    def put_late(self, channel, until):
        while self.late and self.late[0][0] <= until:
            _, _, properties, body = heapq.heappop(self.late)
            self.put(channel, properties, body)

    def put(self, channel, properties, body):
        channel.basic_publish("", self.queue, body, properties)

    def end(self):
        self.ending.set()
