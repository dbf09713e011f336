# SPDX-License-Identifier: Apache-2.0
"""A whole guts on this machine: daemons from the build directory on a private broker and database.

Used by end-to-end and chaos tests and by benchmarks. Every process is started here and ended here, by
its id. Directories are private; ports are free ones on 127.0.0.1.
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request

from peers.ports import free_port

TOP = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("GUTS_BUILD", TOP / "build"))
PROGRAMS = {"api": "api/guts-api", "scheduler": "scheduler/guts-scheduler",
            "migration": "migration/guts-migration", "manage": "manage/guts-manage",
            "cli": "client/cli/guts"}
SLOWNESS = 3
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8",
               "HOME": os.environ.get("HOME", "/")}


def program(name):
    return BUILD / PROGRAMS[name]


def wait_until(what, seconds, condition, every=0.1):
    """The condition's first true value; AssertionError with `what` when there is none in time. `seconds` are a
    quiet machine's: a slow or busy one is given a multiple of them."""
    seconds *= SLOWNESS
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not in {seconds} s: {what}")
        time.sleep(every)


def cpu_of_idling(cpu_seconds, span, enough, rounds=4, wait=time.sleep):
    """CPU seconds of the cheapest of some spans of time; one that is cheap `enough` ends it. Whoever else uses
    cores and caches meanwhile makes some of them dear."""
    least = float("inf")
    for _ in range(rounds):
        before = cpu_seconds()
        wait(span)
        least = min(least, cpu_seconds() - before)
        if least <= enough:
            break
    return least


def cpu_seconds_of(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def conf_value(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(conf_value(item) for item in value) + "]"
    return json.dumps(str(value))


def conf_text(sections):
    lines = []
    for name, keys in sections.items():
        lines.append(f"{name}: {{")
        lines += [f"    {key} = {conf_value(value)};" for key, value in keys.items()]
        lines.append("};")
    return "\n".join(lines) + "\n"


class Daemon:
    """One daemon process with its log."""

    def __init__(self, name, words, directory):
        self.name = name
        self.words = [str(word) for word in words]
        self.log_path = pathlib.Path(directory) / f"{name}.log"
        self.process = None

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.words, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env=ENVIRONMENT, start_new_session=True)
        return self

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        if self.alive():
            self.process.send_signal(number)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.process.wait(60)

    def stop(self, seconds=10):
        """SIGTERM; returns the seconds that it took."""
        if not self.alive():
            return 0.0
        began = time.monotonic()
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end within {seconds} s of SIGTERM")
        return time.monotonic() - began

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def resident_bytes(self):
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0

    def cpu_seconds(self):
        return cpu_seconds_of(self.pid)


class Answer(dict):
    """A JSON answer with its HTTP status."""
    status = 0


class Platform:
    """guts-api, guts-scheduler and any number of guts-migration nodes."""

    # Short times, so that tests of leases and takeovers end soon; the order between them is kept.
    SCHEDULER = {"lease": "4s", "takeover": "8s", "stop_grace": "1s",
                 "longest_request": "1s", "margin": "1s", "report_interval": "500ms",
                 "leader_timeout": "2s", "resend": "1s", "idle_interval": "200ms", "retry_first": "500ms",
                 "retry_most": "5s"}
    NODE = {"report_interval": "500ms", "stop_grace": "1s"}

    def __init__(self, directory, broker, database, name="guts_platform"):
        self.directory = pathlib.Path(directory)
        self.broker, self.database = broker, database
        self.database_name = database.create(name)
        self.vhost = broker.vhost(name)
        self.daemons = {}
        self.token = None
        self.api_port = free_port()
        self.read_roots, self.write_roots, self.urls = [], [], []
        self.world = self.directory / "world"
        self.world.mkdir(parents=True, exist_ok=True)
        self.write_roots.append(str(self.world))

    # -- configuration -------------------------------------------------------------------------
    def database_section(self):
        return {"addresses": [self.database.address], "database": self.database_name,
                "user": self.database.user, "password_file": self.database.password_file}

    def broker_section(self):
        return {"addresses": [self.broker.address], "virtual_host": self.vhost,
                "user": self.broker.env["BROKER_USER"], "password_file": self.broker.password_file,
                "backoff_first": "100ms", "backoff_most": "1s"}

    def write_conf(self, name, sections):
        path = self.directory / f"{name}.conf"
        path.write_text(conf_text({"log": {"level": "debug"}, **sections}))
        return path

    # -- starting ------------------------------------------------------------------------------
    def prepare(self):
        conf = self.directory / "guts-manage.conf"
        conf.write_text(conf_text({"database": self.database_section()}))
        self.manage("db-sync")
        self.manage("keygen", "--public", self.directory / "public.keys",
                    "--private", self.directory / "private.keys")
        return self

    def manage(self, *words, check=True):
        conf = self.directory / "guts-manage.conf"
        done = subprocess.run([program("manage"), "--config", conf, *map(str, words)],
                              env=ENVIRONMENT, text=True, capture_output=True, timeout=120)
        if check and done.returncode != 0:
            raise AssertionError(f"guts-manage {words}: {done.returncode} {done.stdout}{done.stderr}")
        return done.stdout

    def _start(self, name, kind, sections):
        conf = self.write_conf(name, sections)
        daemon = self.daemons.get(name) or Daemon(name, [program(kind), "--config", conf],
                                                  self.directory)
        self.daemons[name] = daemon
        return daemon.start()

    def start_api(self, name="api", auth="none", **keys):
        port = self.api_port if name == "api" else free_port()
        return self._start(name, "api", {
            "database": self.database_section(), "broker": self.broker_section(),
            "http": {"listen": f"127.0.0.1:{port}"},
            "api": {"auth": auth, "seal_keys": self.directory / "public.keys", **keys}})

    def start_scheduler(self, name="scheduler", **keys):
        return self._start(name, "scheduler", {
            "database": self.database_section(), "broker": self.broker_section(),
            "scheduler": {**self.SCHEDULER, "metrics_listen": f"127.0.0.1:{free_port()}", **keys}})

    def start_node(self, name="node-1", capacity=None, worker=None, **keys):
        pool = self.directory / f"pool-{name}"
        pool.mkdir(exist_ok=True)
        return self._start(name, "migration", {
            "broker": self.broker_section(),
            "node": {**self.NODE, "name": name,
                     "pools": [f"{pool} {capacity}" if capacity else str(pool)],
                     "roots_read": self.read_roots, "roots_write": self.write_roots,
                     "urls": self.urls, "private_key": self.directory / "private.keys",
                     "metrics_listen": f"127.0.0.1:{free_port()}", **keys},
            "worker": worker or {}})

    def yield_to_us(self, name):
        """Its workers-to-be get a core when nobody else wants it: who strikes while they copy is not late."""
        os.setpriority(os.PRIO_PROCESS, self.daemons[name].pid, 19)

    def start(self, nodes=1, **node_keys):
        self.prepare()
        self.start_api()
        self.start_scheduler()
        for number in range(1, nodes + 1):
            self.start_node(f"node-{number}", **node_keys)
        self.wait_ready(nodes)
        return self

    def wait_ready(self, nodes):
        wait_until("the API is ready", 30, lambda: self.get("/readyz", raw=True).status == 200)
        wait_until("the nodes are up", 30, lambda: sum(
            1 for node in self.get("/v1/nodes").get("nodes", []) if node["up"]) >= nodes)

    def close(self):
        for daemon in self.daemons.values():
            if daemon.alive():
                daemon.signal(signal.SIGCONT)
                daemon.signal(signal.SIGTERM)
        for daemon in self.daemons.values():
            if daemon.process is None:
                continue
            try:
                daemon.process.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()

    # -- talking -------------------------------------------------------------------------------
    def request(self, method, path, body=None, headers=None, raw=False, timeout=60):
        data = None if body is None else (body if isinstance(body, bytes) else json.dumps(body).encode())
        request = urllib.request.Request(f"http://127.0.0.1:{self.api_port}{path}", data=data,
                                         method=method)
        if data is not None:
            request.add_header("Content-Type", "application/json")
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        for key, value in (headers or {}).items():
            request.add_header(key, value)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as reply:
                status, text = reply.status, reply.read()
        except urllib.error.HTTPError as failure:
            status, text = failure.code, failure.read()
        except (urllib.error.URLError, OSError):
            if not raw:
                raise
            status, text = 0, b""
        try:
            answer = Answer(json.loads(text) if text else {})
        except (ValueError, TypeError):
            answer = Answer(text=text.decode(errors="replace"))
        answer.status = status
        return answer

    def get(self, path, **words):
        return self.request("GET", path, **words)

    def post(self, path, body=None, **words):
        return self.request("POST", path, body if body is not None else {}, **words)

    def guts(self, *words, check=True, timeout=300, **environment):
        """The command line. Returns the finished process."""
        done = subprocess.run([str(program("cli")), *map(str, words)], text=True,
                              capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL,
                              env={**ENVIRONMENT, "GUTS_URL": f"http://127.0.0.1:{self.api_port}",
                                   **({"GUTS_TOKEN": self.token} if self.token else {}),
                                   **environment})
        if check and done.returncode != 0:
            raise AssertionError(f"guts {' '.join(map(str, words))}: exit {done.returncode}\n"
                                 f"{done.stdout}{done.stderr}")
        return done

    def guts_json(self, *words, **more):
        return json.loads(self.guts(*words, "-f", "json", **more).stdout)

    # -- what tests say often ------------------------------------------------------------------
    def add(self, kind, name, driver, **settings):
        """A source or destination, refreshed. kind: "sources" or "destinations"."""
        made = self.post(f"/v1/{kind}", {"name": name, "driver": driver, "settings": settings})
        assert made.status == 201, made
        self.refresh(kind, name)
        return made

    def add_fakes(self, vms=8, **settings):
        """Source "fakes" with vms fake-000001 …, and destination "nowhere", of the fake world."""
        self.add("sources", "fakes", "fake", path=str(self.world), vms=vms, **settings)
        self.add("destinations", "nowhere", "fake", path=str(self.world))

    def refresh(self, kind, name, seconds=60):
        taken = self.post(f"/v1/{kind}/{name}/refresh")
        assert taken.status == 202, taken
        return self.wish(taken["wish"]["id"], seconds)

    def wish(self, wish_id, seconds=60):
        """The wish once it has its outcome."""
        def ended():
            wish = self.get(f"/v1/wishes/{wish_id}")
            return wish if wish.get("state") not in ("open", "taken") else None
        return wait_until(f"wish {wish_id} has its outcome", seconds, ended)

    def migrate(self, vms, destination, **words):
        vms = vms if isinstance(vms, list) else [vms]
        answer = self.post("/v1/migrations", {"vms": vms, "destination": destination, **words})
        assert answer.status in (200, 201, 202), answer
        return answer

    def migration(self, migration_id):
        return self.get(f"/v1/migrations/{migration_id}")

    def wait_state(self, migration_id, states, seconds=120):
        states = [states] if isinstance(states, str) else states
        resting = {"VERIFIED", "CLEANED", "FAILED", "ROLLED_BACK", "CANCELLED"}
        last = {}

        def there():
            last.clear()
            last.update(self.migration(migration_id))
            state = last.get("state")
            return state in states
        try:
            wait_until(f"migration {migration_id} in {states}", seconds, there)
        except AssertionError as failure:
            raise AssertionError(f"{failure}; it is {last.get('state')}, fault {last.get('fault')}, "
                                 f"steps {last.get('steps')}, waiting {last.get('waiting')}, "
                                 f"resting {last.get('state') in resting}") from None
        return dict(last)

    def events(self, **filters):
        path = "/v1/events?limit=1000" + "".join(f"&{key}={value}" for key, value in filters.items())
        found = []
        while path:
            page = self.get(path)
            found += page["events"]
            path = page.get("next") if page["events"] else None
        return found

    def remove(self):
        self.close()
        shutil.rmtree(self.directory, ignore_errors=True)
