# SPDX-License-Identifier: Apache-2.0
"""Private peers for tests: fixtures `broker` and `database`, one of each a session, and `openstack`, one
for all workers of a run.

A test that stops, freezes or kills a peer leaves it as it likes: before the next test it is made
usable again. All signals go to the process ids that the scripts wrote.
"""
import contextlib
import fcntl
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

import pytest

from peers.cloud.client import OpenStack, lab_of
from peers.cloud.lab import lack_of_room
from peers.freeze import freeze

HERE = pathlib.Path(__file__).resolve().parent


def _env_read(path):
    """The KEY=value lines that a script wrote."""
    lines = path.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


class Peer:
    """A server in a directory. `env` holds what its script wrote, by name."""

    script = None
    options = ()

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.env = {}

    def _run(self, verb, *words, check=True):
        done = subprocess.run([HERE / self.script, verb, self.directory, *words], text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=300)
        if check and done.returncode != 0:
            raise RuntimeError(f"{self.script} {verb}: {done.stdout}")
        return done.stdout

    def start(self, *options):
        self._run("start", *(options or self.options))
        self.env = _env_read(self.directory / "env")

    def stop(self):
        self._run("stop")

    def restart(self):
        self.stop()
        self.start()

    @property
    def pid(self):
        return int((self.directory / "pid").read_text())

    def kill(self):
        """SIGKILL, as a power cut would: nothing is flushed."""
        os.kill(self.pid, signal.SIGKILL)
        self.stop()

    def freeze(self):
        freeze(self.pid)

    def thaw(self):
        os.kill(self.pid, signal.SIGCONT)

    def make_usable(self):
        try:
            self.thaw()
        except (OSError, ValueError):
            pass  # it was stopped or killed: started below
        self.start()


class Broker(Peer):
    """RabbitMQ. `ctl` is rabbitmqctl."""

    script = "rabbitmq"

    @property
    def address(self):
        return f"{self.env['BROKER_HOST']}:{self.env['BROKER_PORT']}"

    @property
    def tls_address(self):
        return f"localhost:{self.env['BROKER_TLS_PORT']}"

    @property
    def password_file(self):
        return self.env["BROKER_PASSWORD_FILE"]

    @property
    def url(self):
        return self.env["BROKER_URL"]

    def ctl(self, *words):
        return self._run("ctl", *map(str, words))

    def vhost(self, name):
        """A virtual host of a test's own, which user `guts` may use; emptied when it exists."""
        self._run("ctl", "delete_vhost", name, check=False)
        self.ctl("add_vhost", name)
        self.ctl("set_permissions", "-p", name, self.env["BROKER_USER"], ".*", ".*", ".*")
        return name

    def queues(self, vhost=None):
        """{name: number of messages} of a virtual host."""
        text = self.ctl("list_queues", "-p", vhost or self.env["BROKER_VHOST"], "--no-table-headers",
                        "name", "messages")
        rows = [line.split("\t") for line in text.splitlines() if "\t" in line]
        return {name: int(count) for name, count in rows}


class Database(Peer):
    """MariaDB. `sql` runs a text as root."""

    script = "mariadb"

    @property
    def address(self):
        return f"{self.env['DATABASE_HOST']}:{self.env['DATABASE_PORT']}"

    @property
    def password_file(self):
        return self.env["DATABASE_PASSWORD_FILE"]

    @property
    def name(self):
        return self.env["DATABASE_NAME"]

    @property
    def user(self):
        return self.env["DATABASE_USER"]

    def sql(self, text, database=None):
        """Rows as lists of texts."""
        words = ["-N", "-B", "-e", text]
        out = self._run("client", *(words + ([database] if database else [])))
        return [line.split("\t") for line in out.splitlines()]

    def dump(self, name):
        """All that a database holds, as mariadb-dump writes it."""
        done = subprocess.run(["mariadb-dump", "--no-defaults", "-h", self.env["DATABASE_HOST"], "-P",
                               self.env["DATABASE_PORT"], "-u", self.env["DATABASE_USER"], "--hex-blob",
                               name], capture_output=True, timeout=120, check=True,
                              env={"MYSQL_PWD": self.env["DATABASE_PASSWORD"], "PATH": "/usr/bin:/bin"})
        return done.stdout

    def create(self, name):
        """An empty database, whose name begins with "guts_" (or is "guts")."""
        self.sql(f"DROP DATABASE IF EXISTS `{name}`; CREATE DATABASE `{name}` "
                 "CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
        return name


def _serve(kind, *options):
    directory = tempfile.mkdtemp(prefix=f"guts-{kind.script}-")
    peer = kind(directory)
    peer.options = options
    try:
        peer.start()
        yield peer
    finally:
        peer.stop()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def _broker_session():
    yield from _serve(Broker, "--tls")


@pytest.fixture(scope="session")
def _database_session():
    yield from _serve(Database)


# A session's peer is handed to each test usable, whatever the test before did to it.
@pytest.fixture(scope="session")
def broker(_broker_session):
    return _broker_session


@pytest.fixture(scope="session")
def database(_database_session):
    return _database_session


@contextlib.contextmanager
def _users_of(directory):
    """How many processes use the directory; what the body leaves in the list is written back."""
    path = directory.with_suffix(".users")
    with open(path, "a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        users = [int(file.read() or 0)]
        yield users
        file.seek(0)
        file.truncate()
        file.write(str(users[0]))


@pytest.fixture(scope="session")
def _openstack_session(tmp_path_factory):
    directory, ours = lab_of(tmp_path_factory)
    if not directory.exists():
        reason = lack_of_room(directory)
        if reason:
            pytest.skip(f"no OpenStack here: {reason}")
    lab = OpenStack(directory)
    if not ours:
        lab.start()
        yield lab
        return
    with _users_of(directory) as users:
        try:
            lab.start()
        except RuntimeError:
            if users[0] == 0:
                lab.stop()
            raise
        users[0] += 1
    yield lab
    with _users_of(directory) as users:
        users[0] -= 1
        if users[0] == 0:
            lab.stop()
            shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def openstack(_openstack_session):
    return _openstack_session


@pytest.fixture(autouse=True)
def _peers_are_usable(request):
    for name in ("broker", "database", "openstack"):
        if name in request.fixturenames:
            request.getfixturevalue(name).make_usable()
    yield
