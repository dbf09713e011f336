# SPDX-License-Identifier: Apache-2.0
"""The platform that is measured: private MariaDB and RabbitMQ, daemons with their standard settings,
simulated nodes, and rows that stand for a data centre."""
import contextlib
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid

TOP = pathlib.Path(__file__).resolve().parents[3]
sys.path[:0] = [str(TOP), str(TOP / "tests")]

import pymysql  # noqa: E402

from tests.guts_platform import BUILD, ENVIRONMENT, Platform, conf_text, wait_until  # noqa: E402
from peers.fixtures import Broker, Database  # noqa: E402

NODES = BUILD / "tests/bench/bench_nodes"
SOURCE = uuid.UUID(int=0x0190a000_0000_7000_8000_000000000001).bytes
DESTINATION = uuid.UUID(int=0x0190a000_0000_7000_8000_000000000002).bytes
# What RabbitMQ has where nothing is configured; other tests spare the disk.
BROKER_OPTIONS = ("--wal=536870912",)
# Both larger than the data here, so that disk reads are not what is measured.
DATABASE_OPTIONS = ("--innodb-buffer-pool-size=512M", "--innodb-log-file-size=256M")


def row_id(kind, number):
    """The id that rows below have: in order, as ids of version 7 are."""
    return uuid.UUID(f"0190a{kind:03x}-0000-7000-8000-{number:012x}")


def row_id_sql(kind, number):
    return f"UNHEX(CONCAT('0190a{kind:03x}000070008000', LPAD(HEX({number}), 12, '0')))"


VM, MIGRATION = 1, 2


class BenchPlatform(Platform):
    """Standard settings and logs at `info`, as an operator would have them."""
    SCHEDULER = {}

    def write_conf(self, name, sections):
        path = self.directory / f"{name}.conf"
        path.write_text(conf_text({"log": {"level": "info"}, **sections}))
        return path


class Nodes:
    """The C program of simulated nodes."""

    def __init__(self, platform, count, report_ms=5000):
        broker = platform.broker
        words = [NODES, broker.address, platform.vhost, broker.env["BROKER_USER"],
                 broker.password_file, count, report_ms]
        self.process = subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE,
                                        env=ENVIRONMENT, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError("the simulated nodes did not begin")

    @property
    def pid(self):
        return self.process.pid

    def stop(self):
        """What they counted."""
        self.process.send_signal(signal.SIGTERM)
        said, _ = self.process.communicate(timeout=60)
        return json.loads(said)


class Cpu:
    """Seconds of CPU that processes took since it was made, by name."""

    def __init__(self, **pids):
        self.pids = pids
        self.begun = time.monotonic()
        self.before = {name: self.seconds(pid) for name, pid in pids.items()}

    @staticmethod
    def seconds(pid):
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def used(self):
        return {name: self.seconds(pid) - self.before[name] for name, pid in self.pids.items()}


class World:
    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="guts-bench-"))
        self.broker = Broker(self.directory / "broker")
        self.broker.options = BROKER_OPTIONS
        self.database = Database(self.directory / "database")
        self.database.options = DATABASE_OPTIONS
        self.platform = self.nodes = None

    def start(self):
        self.broker.start()
        self.database.start()
        self.platform = BenchPlatform(self.directory / "guts", self.broker, self.database,
                                      name="guts_bench").prepare()
        return self

    def connect(self, database=None):
        env = self.database.env
        return pymysql.connect(host=env["DATABASE_HOST"], port=int(env["DATABASE_PORT"]),
                               user=env["DATABASE_USER"], password=env["DATABASE_PASSWORD"],
                               database=database or self.platform.database_name, autocommit=True)

    def sql(self, text, *values):
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(text, values)
            return cursor.fetchall()

    def start_nodes(self, count):
        """Nodes whose scheduler knows all of them."""
        self.nodes = Nodes(self.platform, count)
        wait_until("the scheduler knows all nodes", 120, lambda: self.sql(
            "SELECT COUNT(*) FROM nodes WHERE up = 1 AND seen_at > "
            "UNIX_TIMESTAMP(NOW(6) - INTERVAL 60 SECOND) * 1000000")[0][0] >= count)

    def stop_daemons(self):
        for daemon in self.platform.daemons.values():
            daemon.stop()
        if self.nodes is not None:
            counted, self.nodes = self.nodes.stop(), None
            return counted
        return None

    def empty(self):
        """No migration and no trace of one; nodes, vms and both ends stay."""
        for table in ("migrations", "migration_disks", "jobs", "steps", "ledger", "events", "wishes",
                      "needs"):
            self.sql(f"TRUNCATE {table}")

    def add_ends(self):
        for table, one in (("sources", SOURCE), ("destinations", DESTINATION)):
            self.sql(f"INSERT INTO {table} (id, project, name, driver, settings_json, address, "
                     "created_at, updated_at, state) VALUES (%s, 'default', 'bench', 'fake', "
                     "'{\"path\":\"/world\"}', 'path=/world', 1, 1, 'ready')", one)

    def add_vms(self, count):
        """vm-1 … vm-COUNT, with two disks and a network card each."""
        vm = row_id_sql(VM, "seq")
        numbers = f"FROM seq_1_to_{count}"
        self.sql(
            "INSERT INTO vms (id, project, source_id, vm_key, key_hash, name, power, firmware, cpus, "
            "memory_mib, capacity_bytes, disk_count, refresh, created_at, updated_at) SELECT "
            f"{vm}, 'default', %s, CONCAT('vm-', seq), UNHEX(MD5(CONCAT('vm-', seq))), "
            f"CONCAT('vm-', seq), 'off', 'bios', 2, 2048, 2 << 30, 2, 1, 1, 1 {numbers}", SOURCE)
        for disk in (0, 1):
            self.sql("INSERT INTO vm_disks (vm_id, number, disk_key, bus, capacity_bytes, format) "
                     f"SELECT {vm}, {disk}, 'disk-{disk}.vmdk', 'scsi', 1 << 30, 'vmdk' {numbers}")
        self.sql("INSERT INTO vm_nics (vm_id, number, mac, model, network) SELECT "
                 f"{vm}, 0, '00:0c:29:00:00:01', 'e1000', 'bridged' {numbers}")

    def add_migrations(self, count, state="PENDING", due="@now"):
        """One of each vm, in one transaction."""
        is_open = "NULL" if state in ("CLEANED", "ROLLED_BACK", "CANCELLED") else \
            row_id_sql(VM, "seq")
        self.sql("SET @now = UNIX_TIMESTAMP(NOW(6)) * 1000000")
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SET @now = UNIX_TIMESTAMP(NOW(6)) * 1000000")
            cursor.execute(
                "INSERT INTO migrations (id, project, vm_id, source_id, destination_id, vm_name, "
                "server_name, options_json, who, created_at, state, open_vm, updated_at, due_at) "
                f"SELECT {row_id_sql(MIGRATION, 'seq')}, 'default', {row_id_sql(VM, 'seq')}, %s, %s, "
                "CONCAT('vm-', seq), CONCAT('vm-', seq), '{}', 'bench', @now, %s, "
                f"{is_open}, @now, {due} FROM seq_1_to_{count}", (SOURCE, DESTINATION, state))
        return time.monotonic()

    def add_histories(self, count):
        """What a finished migration has: two disks, four steps, four ledger entries, evidence."""
        one = row_id_sql(MIGRATION, "t.seq")
        numbers = f"FROM seq_1_to_{count} t"
        self.sql(f"INSERT INTO migration_disks SELECT {one}, n.seq, 1, 2, 3, 4, 5, "
                 f"'xxh3-128:00112233445566778899aabbccddeeff' {numbers} JOIN seq_0_to_1 n")
        self.sql(f"INSERT INTO steps SELECT {one}, 1, n.seq, {one}, CONCAT('step-', n.seq), 'done', "
                 f"5, 6, NULL, NULL {numbers} JOIN seq_1_to_4 n")
        self.sql(f"INSERT INTO ledger SELECT {one}, 'destination', 'disk', n.seq, 'migration', n.seq, "
                 f"'made', CONCAT('disk-', n.seq), NULL, 'a disk', {one}, 1, 1, 30, 31 {numbers} "
                 "JOIN seq_1_to_4 n")
        self.sql("UPDATE migrations SET evidence_json = '{\"transport\": {\"equal\": true}, "
                 "\"content\": {\"equal\": true}}', finished_at = 1, attempt = 1")
        self.sql("ANALYZE TABLE migrations, migration_disks, steps, ledger, vms")

    def commits_a_second(self, seconds=1.0):
        """What one connection commits, a row each: the disk's share in all that follows."""
        self.sql("CREATE TABLE IF NOT EXISTS bench_commits (id BIGINT AUTO_INCREMENT PRIMARY KEY)")
        count, begun = 0, time.monotonic()
        with self.connect() as connection, connection.cursor() as cursor:
            while time.monotonic() - begun < seconds:
                cursor.execute("INSERT INTO bench_commits VALUES ()")
                count += 1
        self.sql("DROP TABLE bench_commits")
        return count / seconds

    def close(self):
        """Ends all of it, whatever fails on the way."""
        with contextlib.ExitStack() as ends:
            ends.callback(self.database.stop)
            ends.callback(self.broker.stop)
            if self.nodes is not None:
                ends.callback(self.nodes.process.wait, 10)
                ends.callback(self.nodes.process.kill)
            if self.platform is not None:
                ends.callback(self.platform.close)


def median(values):
    return statistics.median(values)
