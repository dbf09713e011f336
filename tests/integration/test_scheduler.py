# SPDX-License-Identifier: Apache-2.0
"""guts-scheduler on a real broker and database, with simulated nodes."""
import os
import signal
import subprocess
import time
import urllib.request
import uuid

import pika
import pymysql
import pytest
from guts_platform import Platform, conf_text, cpu_of_idling, program, wait_until
from integration.program import run_program
from peers.ports import free_port
from integration.scheduler_node import EXCHANGE, SCHEDULER, Node, messages


@pytest.mark.parametrize("program_name", ["test_scheduler", "test_scheduler_site", "test_scheduler_back",
                                          "test_scheduler_hold", "test_scheduler_prune",
                                          "test_scheduler_remain", "test_scheduler_found"])
def test_orderings_with_the_bus_in_memory(database, program_name):
    run_program(program_name, database, database.create("guts_scheduler"))


class World(Platform):
    """Schedulers, and a database in which the test plays the api."""

    def __init__(self, directory, broker, database):
        super().__init__(directory, broker, database, name="guts_scheduler_daemon")
        conf = self.directory / "guts-manage.conf"
        conf.write_text(conf_text({"database": self.database_section()}))
        subprocess.run([program("manage"), "--config", conf, "db-sync"], check=True, timeout=60)
        self.proto = messages(directory)
        self.nodes = []
        self.ports = {}
        self.source, self.destination = uuid.uuid4().bytes, uuid.uuid4().bytes
        for table, key in (("sources", self.source), ("destinations", self.destination)):
            self.execute(f"INSERT INTO {table} (id, project, name, driver, settings_json, address,"
                         " created_at, updated_at) VALUES (%s, 'p', 'one', 'fake', '{}', 'fake:', 1, 1)",
                         key)

    def connect(self):
        return pymysql.connect(host=self.database.env["DATABASE_HOST"],
                               port=int(self.database.env["DATABASE_PORT"]),
                               user=self.database.user, database=self.database_name,
                               password=self.database.env["DATABASE_PASSWORD"], autocommit=True)

    def execute(self, sql, *values):
        connection = self.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, values)
                return cursor.fetchall()
        finally:
            connection.close()

    def one(self, sql, *values):
        rows = self.execute(sql, *values)
        return rows[0][0] if rows else None

    def scheduler(self, name="scheduler", **keys):
        self.ports[name] = free_port()
        return self.start_scheduler(name, metrics_listen=f"127.0.0.1:{self.ports[name]}", **keys)

    def node(self, name="node-1", **words):
        url = self.broker.url.rsplit("/", 1)[0] + "/" + self.vhost
        node = Node(self.proto, url, name, **words).start()
        self.nodes.append(node)
        return node

    def migrate(self, count=1):
        ids = []
        for number in range(count):
            vm, migration = uuid.uuid4().bytes, uuid.uuid4().bytes
            self.execute("INSERT INTO vms (id, project, source_id, vm_key, key_hash, name, power,"
                         " firmware, cpus, memory_mib, capacity_bytes, disk_count, refresh, created_at,"
                         " updated_at) VALUES (%s, 'p', %s, %s, %s, 'vm', 'off', 'bios', 1, 1, 1, 0,"
                         " 1, 1, 1)", vm, self.source, vm.hex(), vm)
            self.execute("INSERT INTO migrations (id, project, vm_id, source_id, destination_id,"
                         " vm_name, server_name, options_json, created_at, open_vm, due_at) VALUES"
                         " (%s, 'p', %s, %s, %s, 'vm', 'vm', '{}', 1, %s, 1)",
                         migration, vm, self.source, self.destination, vm)
            ids.append(migration)
        return ids

    def state(self, migration):
        return self.one("SELECT state FROM migrations WHERE id = %s", migration)

    def wait_state(self, migration, state, seconds=20):
        try:
            wait_until(f"the migration is {state}", seconds, lambda: self.state(migration) == state)
        except AssertionError as failure:
            raise AssertionError(f"{failure}: it is {self.state(migration)}") from failure

    def leader(self):
        return self.one("SELECT holder FROM leader")

    def role(self, name):
        kind = f"%:{self.daemons[name].pid}"
        return self.one("SELECT role FROM services WHERE name LIKE %s", kind)

    def ready(self, name):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[name]}/readyz", timeout=5) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as failure:
            return failure.code, failure.read().decode()
        except OSError as failure:
            return 0, str(failure)

    def close(self):
        for node in self.nodes:
            node.stop()
        super().close()


@pytest.fixture
def world(tmp_path, broker, database):
    world = World(tmp_path, broker, database)
    yield world
    world.close()


def test_a_row_becomes_an_accepted_job_and_ends_verified(world):
    world.scheduler()
    node = world.node(reach=world.proto.MIGRATION_STATE_UPLOADING)
    migration, = world.migrate()
    world.wait_state(migration, "UPLOADING")
    assert node.renewals > 0 and len(node.assigned) == 1
    node.finish = world.proto.OUTCOME_DONE
    world.wait_state(migration, "VERIFIED")
    wait_until("the job is closed", 10, lambda: world.one(
        "SELECT state FROM jobs WHERE owner_id = %s", migration) == "closed")
    numbers = [row[0] for row in world.execute("SELECT number FROM events ORDER BY number")]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_failed_job_is_rolled_back(world):
    world.scheduler()
    world.node(finish=world.proto.OUTCOME_FAILED)
    migration, = world.migrate()
    world.wait_state(migration, "ROLLED_BACK")


def test_a_silent_node_loses_its_job(world):
    world.scheduler()
    first = world.node("node-1")
    migration, = world.migrate()
    world.wait_state(migration, "SCHEDULED")
    wait_until("it was accepted", 10, lambda: world.one(
        "SELECT state FROM jobs WHERE owner_id = %s", migration) == "accepted")
    second = world.node("node-2")
    first.quiet = True
    began = time.monotonic()
    wait_until("the other node has it", 20, lambda: second.assigned)
    assert 5 < time.monotonic() - began < 8 + 15
    assert second.assigned[0][1] == 2
    first.quiet = False
    wait_until("the first is told to end", 10, lambda: not first.jobs)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM])
def test_a_leader_is_succeeded(world, how):
    patient = {"leader_timeout": "5s"}  # neither gives way to the other because a disk is slow for a moment
    world.scheduler("first", **patient)
    wait_until("the first leads", 15, world.leader)
    before = world.leader()
    world.scheduler("second", **patient)
    node = world.node(reach=world.proto.MIGRATION_STATE_UPLOADING)
    wait_until("the second stands by", 15, lambda: world.role("second") == "standby")
    wait_until("a standby is ready", 15, lambda: world.ready("second")[0] == 200)
    migration, = world.migrate()
    world.wait_state(migration, "UPLOADING")
    began = time.monotonic()
    world.daemons["first"].signal(how)
    wait_until("the second leads", 10, lambda: world.leader() not in (before, ""))
    assert time.monotonic() - began < 15  # how soon it is on a quiet machine is measured by tests/chaos/times
    node.finish = world.proto.OUTCOME_DONE
    world.wait_state(migration, "VERIFIED")
    if how == signal.SIGSTOP:
        term = world.one("SELECT term FROM leader")
        world.daemons["first"].signal(signal.SIGCONT)
        wait_until("the first stands by", 15, lambda: world.role("first") == "standby")
        assert world.one("SELECT term FROM leader") == term


def test_sigterm_ends_it_in_time_and_gives_the_row_up(world):
    world.scheduler()
    wait_until("it leads", 15, world.leader)
    assert world.daemons["scheduler"].stop(30) < 5
    assert world.leader() == ""


def test_poison_goes_to_the_dead_letters(world):
    world.scheduler()
    world.node()
    wait_until("the node is up", 15, lambda: world.one("SELECT COUNT(*) FROM nodes WHERE up = 1"))
    connection = pika.BlockingConnection(pika.URLParameters(world.nodes[0].url))
    channel = connection.channel()
    for kind in ("guts.v1.NodeReport", "guts.v1.Unheard", "guts.v1.JobAssign"):
        channel.basic_publish(EXCHANGE, SCHEDULER, b"\xff\xfe rubbish",
                              pika.BasicProperties(type=kind, message_id=str(uuid.uuid4())))
    connection.close()
    migration, = world.migrate()
    world.wait_state(migration, "SCHEDULED")
    wait_until("three dead letters", 15,
               lambda: world.broker.queues(world.vhost).get("guts.v1.dead") == 3, every=1)


def test_it_outlives_the_broker_and_the_database(world):
    world.scheduler()
    world.node(reach=world.proto.MIGRATION_STATE_UPLOADING)
    migration, = world.migrate()
    world.wait_state(migration, "UPLOADING")
    world.database.kill()
    wait_until("it says what it lacks", 20, lambda: world.ready("scheduler")[0] == 503)
    world.database.make_usable()
    second, = world.migrate()
    world.wait_state(second, "UPLOADING", 30)
    world.broker.restart()
    third, = world.migrate()
    world.wait_state(third, "UPLOADING", 60)
    assert world.daemons["scheduler"].alive()


def test_it_waits_for_broker_and_database_at_its_start(world):
    world.database.stop()
    world.broker.stop()
    daemon = world.scheduler()
    wait_until("it says what it lacks", 20, lambda: world.ready("scheduler")[0] == 503)
    world.database.make_usable()
    world.broker.make_usable()
    wait_until("it leads", 60, world.leader)
    wait_until("it is ready", 60, lambda: world.ready("scheduler")[0] == 200)
    assert daemon.alive()


def test_it_idles_lightly(world):
    daemon = world.scheduler()
    wait_until("it leads", 15, world.leader)
    time.sleep(2)
    assert cpu_of_idling(daemon.cpu_seconds, 10, 0.2) <= 0.2  # with idle_interval_ms at a fifth of its default
    assert daemon.resident_bytes() < 20 << 20
    assert os.path.exists(f"/proc/{daemon.pid}")
