# SPDX-License-Identifier: Apache-2.0
"""Starting and ending the whole cloud."""
import os
import pathlib
import shutil
import subprocess
import threading
import time

from peers.cloud import bootstrap, data
from peers.cloud.boots import Boots, HOST
from peers.cloud.conf import Configuration
from peers.cloud.facts import Facts, REGION
from peers.cloud.process import ENVIRONMENT, Failure, Processes, wait_until

PEERS = pathlib.Path(__file__).resolve().parent.parent
DRIVERS = pathlib.Path(__file__).resolve().parent / "drivers"
MEMORY_MIB, DISK_MIB = 3500, 6000
REPORT_SECONDS = 400
PROGRAMS = ("keystone-manage", "keystone-wsgi-public", "glance-api", "placement-api", "nova-api",
            "nova-conductor", "nova-scheduler", "neutron-server", "cinder-api", "cinder-scheduler",
            "cinder-volume", "uwsgi-core", "openstack", "mariadbd", "qemu-img")
BROKER_ENTRY = "[neutron.ml2.mechanism_drivers]\nguts = guts_mechanism:Mechanism\n"


def lack_of_room(directory):
    """Why the cloud cannot be had here; "" when it can."""
    missing = [name for name in PROGRAMS if shutil.which(name, path=ENVIRONMENT["PATH"]) is None]
    if missing:
        return f"not installed: {', '.join(missing)} (deploy/packages openstack)"
    memory = pathlib.Path("/proc/meminfo").read_text().split("MemAvailable:")[1].split()[0]
    if int(memory) // 1024 < MEMORY_MIB:
        return f"{int(memory) // 1024} MiB of memory are free, {MEMORY_MIB} are needed"
    place = pathlib.Path(directory)
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free >> 20
    return "" if free >= DISK_MIB else f"{free} MiB are free on the disk, {DISK_MIB} are needed"


class Lab:
    def __init__(self, directory, computes=1):
        self.directory = pathlib.Path(directory)
        self.facts = Facts(directory, computes)
        self.processes = Processes(directory)
        self.databases = data.Databases(self.facts)
        self.boots = Boots(self.facts, self.processes, self.databases)
        self.etc = self.facts.path("etc")
        self.drivers = self.facts.path("python")

    # -- how each service is started ---------------------------------------------------------------
    def wsgi(self, name, port, program, **environment):
        """Answers are written without a length that uwsgi would count wrongly for HEAD."""
        self.processes.start(name, [
            "uwsgi-core", "--plugin", "python3", "--http-socket", f"127.0.0.1:{port}",
            "--wsgi-file", f"/usr/bin/{program}", "--need-app", "--lazy-apps", "--master",
            "--processes", "1", "--threads", "4", "--enable-threads", "--die-on-term",
            "--no-orphans", "--buffer-size", "65535", "--disable-logging", "--listen", "100",
            "--rem-header", "Content-Length", "--add-header", "Connection: close"], **environment)

    def daemon(self, name, program, *files):
        words = [program]
        for file in files:
            words += ["--config-file", self.etc / file]
        self.processes.start(name, words, PYTHONPATH=str(self.drivers))

    def compute(self, name):
        # The package nova-compute would bring libvirt and qemu along; this is its entry point.
        program = "import sys; from nova.cmd.compute import main; sys.exit(main())"
        self.processes.start(f"nova-compute-{name}", [
            "python3", "-c", program, "--config-file", self.etc / "nova/compute.conf",
            "--config-file", self.etc / f"nova/compute-{name}.conf"],
            PYTHONPATH=str(self.drivers))

    def table(self):
        """{name: what starts it}, in order; the order of the end is the reverse."""
        ports, etc = self.facts.ports, self.etc

        def keystone(name, port, file):
            return lambda: self.wsgi(name, port, "keystone-wsgi-public",
                                     OS_KEYSTONE_CONFIG_FILES=str(etc / file))
        table = {
            "keystone": keystone("keystone", ports["keystone"], "keystone/keystone.conf"),
            "placement": lambda: self.wsgi("placement", ports["placement"], "placement-api",
                                           OS_PLACEMENT_CONFIG_DIR=str(etc / "placement")),
            "nova-conductor": lambda: self.daemon("nova-conductor", "nova-conductor",
                                                  "nova/nova.conf"),
            "neutron": lambda: self.daemon("neutron", "neutron-server", "neutron/neutron.conf"),
            "nova-api": lambda: self.daemon("nova-api", "nova-api", "nova/nova.conf"),
            "glance": lambda: self.daemon("glance", "glance-api", "glance/glance-api.conf"),
        }
        for name in ("cinder-api", "cinder-scheduler", "cinder-volume"):
            table[name] = lambda name=name: self.daemon(name, name, "cinder/cinder.conf")
        # It ends at once when the catalogue does not know placement yet.
        table["nova-scheduler"] = lambda: self.daemon("nova-scheduler", "nova-scheduler",
                                                      "nova/nova.conf")
        for number in range(1, self.facts.computes + 1):
            table[f"nova-compute-{number}"] = lambda number=number: self.compute(number)
        return table

    def checks(self):
        return (("placement", "placement", "/"), ("glance", "glance", "/healthcheck"),
                ("nova-api", "nova", "/"), ("neutron", "neutron", "/"),
                ("cinder-api", "cinder", "/"), ("keystone", "keystone", "/v3"))

    def start_service(self, name):
        if name == "keystone-brief":
            self.wsgi(name, self.facts.ports["keystone_brief"], "keystone-wsgi-public",
                      OS_KEYSTONE_CONFIG_FILES=str(self.etc / "keystone/brief.conf"))
            self.processes.wait_http(name, self.facts.auth_url("keystone_brief"), 60)
            return
        if name == "boots":
            self.boots.start(self.compute)
            return
        self.table()[name]()
        for service, port, path in self.checks():
            if service == name:
                self.processes.wait_http(service, self.facts.url(port, path))

    def stop_service(self, name):
        if name == "boots":
            self.boots.stop()
        else:
            self.processes.stop(name)

    # -- the whole -----------------------------------------------------------------------------
    def _peer(self, script, verb, name, *words):
        done = subprocess.run([PEERS / script, verb, self.directory / name, *words], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300,
                              stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise Failure(f"{script} {verb}: {done.stdout}")

    def _start_peers(self):
        broker = threading.Thread(target=self._peer, args=("rabbitmq", "start", "broker"))
        broker.start()
        self._peer("mariadb", "start", "database", "--max-connections=500",
                   "--innodb-buffer-pool-size=192M", "--innodb-flush-log-at-trx-commit=0",
                   "--character-set-server=utf8mb3", "--collation-server=utf8mb3_general_ci")
        broker.join()
        self.facts.read_peers()

    def _install_drivers(self):
        facts = self.drivers / "guts_drivers-1.0.dist-info"
        facts.mkdir(parents=True, exist_ok=True)
        for path in DRIVERS.glob("*.py"):
            shutil.copy(path, self.drivers)
        (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: guts_drivers\nVersion: 1.0\n")
        (facts / "entry_points.txt").write_text(BROKER_ENTRY)

    def _bootstrap_keystone(self):
        if self.facts.path("bootstrapped").exists():
            return
        words = ["keystone-manage", "--config-file", str(self.etc / "keystone/keystone.conf")]
        url = self.facts.auth_url()
        owner = ["--keystone-user", "root", "--keystone-group", "root"]
        for more in (["fernet_setup", *owner], [
                "bootstrap", "--bootstrap-region-id", REGION, "--bootstrap-admin-url", url,
                "--bootstrap-internal-url", url, "--bootstrap-public-url", url]):
            done = subprocess.run(words + more, capture_output=True, text=True, timeout=120, env={
                **ENVIRONMENT, "OS_BOOTSTRAP_PASSWORD": self.facts.passwords["root_password"]})
            if done.returncode != 0:
                raise Failure(f"keystone-manage {more[0]}: {done.stderr[-800:]}")
        self.facts.path("bootstrapped").touch()

    def start(self):
        runs = any(self.processes.alive(name) for name in self.processes.names())  # it has its room then
        reason = "" if runs else lack_of_room(self.directory)
        if reason:
            raise Failure(reason)
        for folder in ("run", "log"):
            self.facts.path(folder).mkdir(parents=True, exist_ok=True)
        self._start_peers()
        Configuration(self.facts).write_all()
        self._install_drivers()
        self.databases.make()
        self._bootstrap_keystone()
        table = self.table()
        table.pop("keystone")()
        self.processes.wait_http("keystone", self.facts.auth_url(), 60)
        filled = self.facts.path("filled").exists()
        begun = self.databases.sql("SELECT UTC_TIMESTAMP()").strip()
        fresh = {name for name in table if not self.processes.alive(name)}
        early = [name for name in table if not name.startswith(("nova-scheduler", "nova-compute"))]
        for name in early:
            table.pop(name)()
        if not filled:
            bootstrap.make_identities(self.facts)
        for begin in table.values():
            begin()
        for name, port, path in self.checks():
            self.processes.wait_http(name, self.facts.url(port, path))
        if not filled:
            bootstrap.make_resources(self.facts)
            self.facts.path("filled").touch()
        self._wait_reports(begun, fresh)
        self._write_env()

    def _reports(self, database, begun, fresh, prefix):
        since = begun if any(name.startswith(prefix) for name in fresh) else "2000-01-01"
        return int(self.databases.sql(
            "SELECT COUNT(DISTINCT host, `binary`) FROM services WHERE deleted = 0 AND "
            f"`binary` LIKE '{prefix}%' AND host != '{HOST}' AND updated_at >= '{since}' AND "
            "updated_at > UTC_TIMESTAMP() - INTERVAL 60 SECOND", f"guts_{database}"))

    def _wait_reports(self, begun, fresh):
        """Until hosts and volume services have reported since they were started, and are mapped.
        A slow machine may let one of them give up waiting for another: it is started again."""
        wanted = {"mapped": self.facts.computes, "nova-compute": self.facts.computes, "cinder": 2}
        counts, died = {}, []

        def ready():
            counts["mapped"] = int(self.databases.sql("SELECT COUNT(*) FROM host_mappings",
                                                      "guts_nova_api"))
            counts["nova-compute"] = self._reports("nova_cell1", begun, fresh, "nova-compute")
            counts["cinder"] = self._reports("cinder", begun, fresh, "cinder-")
            for name, begin in self.table().items():
                if not self.processes.alive(name):
                    died.append(name)
                    begin()
            return all(counts[name] >= least for name, least in wanted.items())
        try:
            wait_until("compute hosts and volume services report", REPORT_SECONDS, ready, 0.5)
        except Failure as failure:
            raise Failure(f"{failure}: {counts} of {wanted}, ended by themselves: {died}") from None

    def _write_env(self):
        lines = [f"OPENSTACK_DIR={self.directory}",
                 f"OPENSTACK_CLOUDS={self.facts.path('clouds.yaml')}",
                 f"OPENSTACK_AUTH_URL={self.facts.auth_url()}"]
        lines += [f"OPENSTACK_{name.upper()}_PORT={port}" for name, port in self.facts.ports.items()]
        self.facts.path("env").write_text("\n".join(lines) + "\n")

    def stop(self):
        self.boots.stop()
        names = self.processes.names()
        enders = [threading.Thread(target=self.processes.stop, args=(name,)) for name in names]
        for one in enders:
            one.start()
        for one in enders:
            one.join()
        for script, name in (("rabbitmq", "broker"), ("mariadb", "database")):
            if (self.directory / name).exists():
                self._peer(script, "stop", name)

    def command(self, words):
        """python-openstackclient, which takes seconds for a word."""
        os.environ.clear()
        os.environ.update({**ENVIRONMENT, "OS_CLOUD": "guts",
                           "OS_CLIENT_CONFIG_FILE": str(self.facts.path("clouds.yaml"))})
        os.execvp("openstack", ["openstack", *words])


def seconds_of(deed):
    begun = time.monotonic()
    deed()
    return time.monotonic() - begun
