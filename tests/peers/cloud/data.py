# SPDX-License-Identifier: Apache-2.0
"""The databases of all services: made once, kept as a dump for the next lab on this machine."""
import contextlib
import gzip
import hashlib
import os
import pathlib
import subprocess

from peers.cloud.process import ENVIRONMENT, Failure

NAMES = ("keystone", "glance", "placement", "nova_api", "nova_cell0", "nova_cell1", "neutron",
         "cinder")
PACKAGES = ("python3-keystone", "python3-glance", "python3-placement", "python3-nova",
            "python3-neutron", "python3-cinder", "mariadb-server")


def cache_file():
    """Named after the packages' versions; None where nothing is to be kept."""
    home = os.environ.get("GUTS_OPENSTACK_CACHE")
    if home is None:
        home = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"),
                            "guts")
    versions = subprocess.run(["dpkg-query", "-W", "-f", "${Package}=${Version}\n", *PACKAGES],
                              capture_output=True, text=True, check=True, timeout=30).stdout
    mark = hashlib.sha256("".join(sorted(versions)).encode()).hexdigest()[:16]
    return pathlib.Path(home, f"openstack-{mark}.sql.gz") if home else None


class Databases:
    def __init__(self, facts):
        self.facts = facts

    def sql(self, text, *words):
        env = {"MYSQL_PWD": self.facts.peers["DATABASE_ROOT_PASSWORD"], **ENVIRONMENT}
        done = subprocess.run(["mariadb", "--no-defaults", "-uroot", "-N",
                               "-S", self.facts.peers["DATABASE_SOCKET"], *words], input=text,
                              text=True, capture_output=True, env=env, timeout=120)
        if done.returncode != 0:
            raise Failure(f"the database: {done.stderr[:500]}")
        return done.stdout

    def make(self):
        if self.facts.path("schemas").exists():
            return
        self.sql("".join(f"CREATE DATABASE IF NOT EXISTS guts_{name} CHARACTER SET utf8mb3;\n"
                         for name in NAMES))
        cache = cache_file()
        if cache is not None and cache.exists():
            self.sql(gzip.decompress(cache.read_bytes()).decode())
        else:
            self._migrate()
            if cache is not None:
                with contextlib.suppress(OSError):  # a home that cannot be written to keeps nothing
                    self._keep(cache)
        self._map_cells()
        self.facts.path("schemas").touch()

    def _migrate(self):
        etc = self.facts.path("etc")
        nova = f"nova-manage --config-file {etc}/nova/nova.conf"
        jobs = {
            "keystone": f"keystone-manage --config-file {etc}/keystone/keystone.conf db_sync",
            "glance": f"glance-manage --config-file {etc}/glance/glance-api.conf db_sync",
            "placement": f"placement-manage --config-file {etc}/placement/placement.conf db sync",
            "neutron": f"neutron-db-manage --config-file {etc}/neutron/neutron.conf upgrade heads",
            "cinder": f"cinder-manage --config-file {etc}/cinder/cinder.conf db sync",
            "nova": f"{nova} api_db sync && {nova} cell_v2 map_cell0 --database_connection "
                    f"'{self.facts.database_url('nova_cell0')}' && {nova} db sync"}
        running = {}
        for name, words in jobs.items():
            with open(self.facts.path("log", f"schema-{name}.log"), "wb") as log:
                running[name] = subprocess.Popen(["sh", "-c", words], stdout=log, stderr=log,
                                                 stdin=subprocess.DEVNULL, env=ENVIRONMENT)
        failed = [name for name, child in running.items() if child.wait(600) != 0]
        if failed:
            raise Failure(f"no schema for {', '.join(failed)}: see {self.facts.path('log')}")

    def _keep(self, cache):
        self.sql("DELETE FROM guts_nova_api.cell_mappings")  # they hold passwords of this lab
        env = {"MYSQL_PWD": self.facts.peers["DATABASE_ROOT_PASSWORD"], **ENVIRONMENT}
        dump = subprocess.run(
            ["mariadb-dump", "--no-defaults", "-uroot", "-S", self.facts.peers["DATABASE_SOCKET"],
             "--databases", *(f"guts_{name}" for name in NAMES)], capture_output=True, env=env,
            timeout=300, check=True).stdout
        cache.parent.mkdir(parents=True, exist_ok=True)
        draft = cache.with_suffix(f".{os.getpid()}")
        draft.write_bytes(gzip.compress(dump, 1))
        draft.rename(cache)

    def _map_cells(self):
        """In SQL: nova-manage would take seconds for each."""
        zero, one = self.facts.database_url("nova_cell0"), self.facts.database_url("nova_cell1")
        columns = "created_at, uuid, name, transport_url, database_connection, disabled"
        self.sql(
            f"DELETE FROM cell_mappings; INSERT INTO cell_mappings ({columns}) VALUES "
            f"(NOW(), '00000000-0000-0000-0000-000000000000', 'cell0', 'none:///', '{zero}', 0), "
            f"(NOW(), '11111111-1111-4111-8111-111111111111', 'cell1', "
            f"'{self.facts.messages_url()}', '{one}', 0)", "guts_nova_api")
