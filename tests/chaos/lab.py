# SPDX-License-Identifier: Apache-2.0
"""The guts that is put to the test: 2 api, 2 schedulers, 4 nodes, each behind doors of its own."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE.parent / "e2e"))

from guts_platform import (ENVIRONMENT, Daemon, Platform, free_port, program,  # noqa: E402
                           wait_until)
from proxy import Proxy  # noqa: E402

MIB = 1 << 20
NODES = ("node-1", "node-2", "node-3", "node-4")
APIS = ("api", "api-2")
SCHEDULERS = ("scheduler", "scheduler-2")
POOL_BYTES = 96 * MIB


class Lab(Platform):
    def __init__(self, directory, broker, database):
        super().__init__(directory, broker, database, "guts_chaos")
        self.proxy = Proxy()
        self.who = "manage"
        self.api_ports = {name: self.api_port if name == "api" else free_port() for name in APIS}
        self.mounts = []
        self.machines, self.results = self.directory / "machines", self.directory / "results"
        self.machines.mkdir()
        self.results.mkdir()
        self.read_roots = [str(self.machines)]
        self.write_roots.append(str(self.results))

    # Each daemon reaches its peers through doors of its own.
    def database_section(self):
        section = super().database_section()
        section["addresses"] = [self.proxy.door(f"{self.who}:database", self.database.address).address]
        return section

    def broker_section(self):
        section = super().broker_section()
        section["addresses"] = [self.proxy.door(f"{self.who}:broker", self.broker.address).address]
        return section

    def start_daemon(self, name):
        """Starts a daemon that was never started, or ended."""
        if name in self.daemons:
            self.daemons[name].start()
            return
        self.who = name
        if name in APIS:
            self._start(name, "api", {
                "database": self.database_section(), "broker": self.broker_section(),
                "http": {"listen": f"127.0.0.1:{self.api_ports[name]}"},
                "api": {"auth": "none", "seal_keys": self.directory / "public.keys"}})
        elif name in SCHEDULERS:
            self.start_scheduler(name)
        else:
            self.start_node(name, capacity=f"{POOL_BYTES >> 20}MiB", slots=4,
                            worker={"flush_bytes": "1MiB", "flush_interval": "200ms",
                                    "restart_first": "200ms", "restart_most": "2s",
                                    "ledger_repeat": "500ms", "memory": "256MiB",
                                    "buffers": "4MiB", "copy_idle": "6s", "stall": "10s"})

    def pool(self, name):
        return self.directory / f"pool-{name}"

    def mount_pool(self, name):
        """A small filesystem, which can be filled; needs root. False where it cannot be had."""
        path = self.pool(name)
        path.mkdir(exist_ok=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={POOL_BYTES}", "guts-chaos", path],
                              capture_output=True, check=False)
        if done.returncode == 0:
            self.mounts.append(path)
        return done.returncode == 0

    def start_all(self):
        self.prepare()
        for name in NODES:
            self.mount_pool(name)
        for name in APIS + SCHEDULERS + NODES:
            self.start_daemon(name)
        self.wait_ready(len(NODES))
        time.sleep(3)  # RabbitMQ 3.10 may lose the leader of a quorum queue that was just declared

    def start_clone(self, of, copies_pool=False, name=None):
        """Another node with the name of one that there is, and a pool (so an id) of its own or a copy."""
        self.who = "clone"
        conf, pool = self.directory / f"{of}.conf", self.directory / "pool-clone"
        shutil.rmtree(pool, ignore_errors=True)
        if copies_pool:
            subprocess.run(["cp", "-a", self.pool(of), pool], check=False, stderr=subprocess.DEVNULL)
            (pool / "filler").unlink(missing_ok=True)
        pool.mkdir(exist_ok=True)
        text = conf.read_text().replace(str(self.pool(of)), str(pool))
        lines = [f'    metrics_listen = "127.0.0.1:{free_port()}";' if "metrics_listen" in line else line
                 for line in text.replace(f'name = "{of}"', f'name = "{name or of}"').splitlines()]
        path = self.directory / "clone.conf"
        path.write_text("\n".join(lines) + "\n")
        self.daemons["clone"] = Daemon("clone", [program("migration"), "--config", path], self.directory)
        return self.daemons["clone"].start()

    def ask(self, api, method, path, body=None, timeout=6):
        """(status, answer); status 0 when there was none: then nobody knows whether it was done."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.api_ports[api]}{path}", data=data,
                                         method=method)
        if data is not None:
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=timeout) as reply:
                status, text = reply.status, reply.read()
        except urllib.error.HTTPError as failure:
            try:
                status, text = failure.code, failure.read()
            except OSError:
                return 0, {}
        except (urllib.error.URLError, OSError, ValueError):
            return 0, {}
        except Exception:  # http.client's own family: an answer that was cut off
            return 0, {}
        try:
            return status, json.loads(text) if text else {}
        except ValueError:
            return 0, {}

    def rows(self, text, seconds=20):
        """Rows from the database, past all doors; None when it does not answer."""
        words = [HERE.parent / "peers" / "mariadb", "client", self.database.directory,
                 "-N", "-B", "-e", text, self.database_name]
        try:
            done = subprocess.run(words, capture_output=True, timeout=seconds, env=ENVIRONMENT,
                                  check=False, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            return None
        if done.returncode != 0:
            return None
        return [line.split("\t") for line in done.stdout.decode(errors="replace").splitlines()]

    def close(self):
        super().close()
        for path in self.mounts:
            subprocess.run(["umount", "-l", path], check=False)
        self.mounts = []


def children(pid):
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(path.read_text().rsplit(")", 1)[1].split()[1]) == pid:
                found.append(int(path.parent.name))
        except (OSError, IndexError, ValueError):
            continue
    return sorted(found)


def signal_process(pid, number):
    try:
        os.kill(pid, number)
        return True
    except ProcessLookupError:
        return False


__all__ = ["Lab", "NODES", "APIS", "SCHEDULERS", "POOL_BYTES", "MIB", "children", "signal_process",
           "wait_until", "shutil"]
