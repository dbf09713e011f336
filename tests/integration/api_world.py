# SPDX-License-Identifier: Apache-2.0
"""A guts-api on a private database, and rows for it to show.

Every answer that comes through `Api.call` is held against api/openapi.yaml: its status must be listed
for the route, its body must fit the schema.
"""
import hashlib
import itertools
import json
import os
import pathlib
import re
import signal
import subprocess
import time
import uuid

import jsonschema
import pymysql
import requests
import yaml

from peers.ports import free_port

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("GUTS_BUILD", TOP / "build"))
SCHEMA_FILES = sorted((TOP / "common/store/schema").glob("*.sql"))
CONTRACT = yaml.safe_load((TOP / "api/openapi.yaml").read_text())
METHODS = ("get", "post", "patch", "delete")
ROLES = ("reader", "member", "admin")

DECLARATIONS = {
    ("source", "ova"): {
        "title": "OVA files", "features": [], "options": [],
        "settings": [
            {"name": "path", "type": "path", "secret": False, "required": True, "address": True,
             "standard": "", "help": "where they lie"},
            {"name": "depth", "type": "integer", "secret": False, "required": False, "address": False,
             "standard": "3", "help": "folders below"},
            {"name": "follow", "type": "boolean", "secret": False, "required": False,
             "address": False, "standard": "", "help": ""},
            {"name": "password", "type": "text", "secret": True, "required": False,
             "address": False, "standard": "", "help": ""},
            {"name": "pin", "type": "text", "secret": True, "required": False,
             "address": False, "standard": "", "help": ""}]},
    ("destination", "local"): {
        "title": "A directory", "features": ["verify"],
        "settings": [{"name": "path", "type": "path", "secret": False, "required": True,
                      "address": True, "standard": "", "help": ""}],
        "options": [
            {"name": "format", "type": "text", "secret": False, "required": False, "address": False,
             "standard": "qcow2", "help": ""},
            {"name": "verify_boot", "type": "boolean", "secret": False, "required": False,
             "address": False, "standard": "false", "help": ""},
            {"name": "size", "type": "text", "secret": False, "required": False, "address": False,
             "standard": "", "help": "", "catalog": "flavor"},
            {"name": "map", "type": "list", "secret": False, "required": False, "address": False,
             "standard": "", "help": "", "shape": "SOURCE=NETWORK", "catalog": "network"},
            {"name": "networks", "type": "list", "secret": False, "required": False,
             "address": False, "standard": "", "help": ""}]},
}


_moments = itertools.count(int(time.time() * 1000))


def new_id():
    """A UUID of version 7, as text; each is larger than those before it."""
    random = int.from_bytes(os.urandom(8), "big") >> 2
    return str(uuid.UUID(int=next(_moments) << 80 | 7 << 76 | 2 << 62 | random))


class Rows:
    """Writes rows the way the scheduler would."""

    def __init__(self, server, name):
        self.server, self.name = server, name
        server.create(name)
        self.connect()
        with self.connection.cursor() as cursor:
            for path in SCHEMA_FILES:
                text = re.sub(r"--.*", "", path.read_text())
                for statement in text.split(";\n"):
                    if statement.strip():
                        cursor.execute(statement)
            cursor.execute("CREATE TABLE IF NOT EXISTS schema_versions (number INT UNSIGNED NOT NULL "
                           "PRIMARY KEY, name VARCHAR(128) NOT NULL, applied_at BIGINT UNSIGNED "
                           "NOT NULL)")
        self.grant()
        for number in range(1, len(SCHEMA_FILES) + 1):
            self.insert("schema_versions", number=number, name="x", applied_at=1)
        for (end, driver), declaration in DECLARATIONS.items():
            self.insert("drivers", end=end, name=driver, updated_at=1_700_000_000_000_000,
                        declaration_json=json.dumps(declaration))

    def grant(self):
        """The API runs with the rights that deploy/ gives it, and no others."""
        for path in ("deploy/users.sql", "deploy/grants.sql"):
            text = (TOP / path).read_text().replace("guts.", self.name + ".")
            text = "\n".join(line for line in text.splitlines()
                             if not line.startswith(("--", "CREATE DATABASE")))
            self.server.sql(text)

    def connect(self):
        self.connection = pymysql.connect(
            host="127.0.0.1", port=int(self.server.env["DATABASE_PORT"]), user="guts",
            password=self.server.env["DATABASE_PASSWORD"], database=self.name, autocommit=True)

    def run(self, statement, *values):
        with self.connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall()

    def insert(self, table, **columns):
        names = ", ".join(columns)
        places = ", ".join(["%s"] * len(columns))
        self.run(f"INSERT INTO {table} ({names}) VALUES ({places})", *columns.values())

    @staticmethod
    def now():
        return int(time.time() * 1_000_000)

    def token(self, role, project="default", **columns):
        text = "guts_" + os.urandom(24).hex()
        self.insert("tokens", id=uuid.uuid4().bytes, name=f"{role}-{project}-{text[5:11]}",
                    hash=hashlib.blake2b(text.encode(), digest_size=32).digest(), role=role,
                    project=project, created_at=self.now(), **columns)
        return text

    def source(self, name, project="default"):
        one = new_id()
        self.insert("sources", id=uuid.UUID(one).bytes, project=project, name=name, driver="ova",
                    settings_json='{"path":"/srv"}', address="path=/srv", created_at=self.now(),
                    updated_at=self.now())
        return one

    def destination(self, name, project="default"):
        one = new_id()
        self.insert("destinations", id=uuid.UUID(one).bytes, project=project, name=name,
                    driver="local", settings_json='{"path":"/out"}', address="path=/out",
                    created_at=self.now(), updated_at=self.now())
        return one

    def vm(self, source, name, project="default", **columns):
        one = columns.pop("id", None) or new_id()
        key = columns.pop("key", name + one).encode()
        row = dict(power="off", firmware="bios", cpus=2, memory_mib=2048, capacity_bytes=10 << 30,
                   disk_count=1, refresh=1, created_at=self.now(), updated_at=self.now())
        row.update(columns)
        self.insert("vms", id=uuid.UUID(one).bytes, project=project,
                    source_id=uuid.UUID(source).bytes, vm_key=key,
                    key_hash=hashlib.md5(key).digest(), name=name, **row)
        self.insert("vm_disks", vm_id=uuid.UUID(one).bytes, number=0, disk_key="a.vmdk", bus="scsi",
                    capacity_bytes=10 << 30, format="vmdk")
        self.insert("vm_nics", vm_id=uuid.UUID(one).bytes, number=0, mac="00:0c:29:00:00:01",
                    model="e1000", network="bridged")
        return one

    def migration(self, vm, source, destination, state="PENDING", project="default", **columns):
        one = columns.pop("id", None) or new_id()
        is_open = state not in ("CLEANED", "ROLLED_BACK", "CANCELLED")
        row = dict(vm_name="x", server_name="x", options_json="{}", who="test",
                   created_at=self.now(), version=3, attempt=1, updated_at=self.now())
        row.update(columns)
        self.insert("migrations", id=uuid.UUID(one).bytes, project=project,
                    vm_id=uuid.UUID(vm).bytes, source_id=uuid.UUID(source).bytes,
                    destination_id=uuid.UUID(destination).bytes, state=state,
                    open_vm=uuid.UUID(vm).bytes if is_open else None, **row)
        return one

    def event(self, number, project="default", **columns):
        row = dict(at=self.now(), kind="migration.state", severity="info", owner_kind="migration",
                   text=f"event {number}", data_json='{"from": "PENDING"}')
        row.update(columns)
        if isinstance(row.get("owner_id"), str):
            row["owner_id"] = uuid.UUID(row["owner_id"]).bytes
        self.connection.begin()  # as the scheduler commits both at once
        self.insert("events", number=number, project=project, **row)
        self.run("UPDATE leader SET event_number = %s", number)
        self.connection.commit()

    def node(self, name):
        one, pool = new_id(), new_id()
        self.insert("nodes", id=uuid.UUID(one).bytes, name=name, host="h", instance="i",
                    labels_json='["a"]', source_drivers_json='["ova"]',
                    destination_drivers_json='["local"]', resources_json='{"slot": 4}',
                    first_seen_at=self.now(), seen_at=self.now())
        self.insert("pools", id=uuid.UUID(pool).bytes, capacity_bytes=100 << 30, used_bytes=0,
                    free_bytes=90 << 30, available_bytes=-5, reported_at=self.now())
        self.insert("node_pools", node_id=uuid.UUID(one).bytes, pool_id=uuid.UUID(pool).bytes,
                    path="/conversion")
        return one


class Api:
    """A guts-api process."""

    def __init__(self, directory, database, rows, broker=None, auth="token", seal_keys="", tls=None,
                 more="", **http):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
        self.token = None
        self.seen = set()  # (method, pattern, status)
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = str(tls) if tls else True
        settings = {"listen": f'"127.0.0.1:{self.port}"', **http}
        address = broker.address if broker else f"127.0.0.1:{free_port()}"
        secret = broker.password_file if broker else database.password_file
        password = self.directory / "database.password"
        password.write_text("change-me-api")
        password.chmod(0o600)
        self.config = self.directory / "guts-api.conf"
        self.config.write_text(
            "http = { " + " ".join(f"{key} = {value};" for key, value in settings.items()) + " };\n"
            f'api = {{ auth = "{auth}"; seal_keys = "{seal_keys}"; }};\n'
            f'database = {{ addresses = ["{database.address}"]; database = "{rows.name}"; '
            f'user = "guts-api"; password_file = "{password}"; '
            'connect_timeout = "1s"; answer_timeout = "2s"; };\n'
            f'broker = {{ addresses = ["{address}"]; virtual_host = "guts"; user = "guts"; '
            f'password_file = "{secret}"; }};\n{more}\nlog = {{ level = "debug"; }};\n')
        self.start()

    def start(self):
        self.log = open(self.directory / "log", "ab")
        self.process = subprocess.Popen([BUILD / "api/guts-api", "--config", self.config],
                                        stderr=self.log, stdin=subprocess.DEVNULL)
        self.wait(lambda: self.get_raw("/healthz").status_code == 200)

    def stop(self):
        """SIGTERM; the time that the end took, and its status."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=60)
        self.log.close()
        return time.monotonic() - begun, status

    def wait(self, condition, seconds=40):
        until = time.monotonic() + seconds
        while True:
            assert self.process.poll() is None, (self.directory / "log").read_text()[-3000:]
            try:
                if condition():
                    return
            except requests.ConnectionError:
                pass
            assert time.monotonic() < until, (self.directory / "log").read_text()[-3000:]
            time.sleep(0.05)

    def wait_usable(self):
        self.wait(lambda: self.get_raw("/v1/services", self.headers()).status_code == 200)

    def get_raw(self, path, headers=None, **words):
        return self.session.get(self.url + path, headers=headers or {}, timeout=60, **words)

    def headers(self, token=None):
        token = token or self.token
        return {"X-Auth-Token": token} if token else {}

    def call(self, method, path, body=None, token=None, status=None, data=None, headers=None):
        """The answer's object, after the contract was held against it."""
        everything = {**self.headers(token), **(headers or {})}
        answer = self.session.request(method, self.url + path, json=body, data=data,
                                      headers=everything, timeout=60)
        self.check(method, path, answer)
        if status is not None:
            assert answer.status_code == status, answer.text
        return answer.json() if answer.content and "json" in answer.headers["Content-Type"] else None

    def check(self, method, path, answer):
        pattern, operation = find_operation(method, path.split("?")[0])
        assert operation is not None, f"{method} {path} stands not in the contract"
        assert "X-Request-Id" in answer.headers or answer.status_code == 413
        listed = operation["responses"]
        assert str(answer.status_code) in listed, f"{method} {pattern}: {answer.status_code}"
        self.seen.add((method, pattern, answer.status_code))
        if answer.content:
            check_body(listed[str(answer.status_code)], answer)


def find_operation(method, path):
    """The pattern that has fewest parameters wins, as a word wins over a parameter."""
    given = path.rstrip("/").split("/")
    for pattern in sorted(CONTRACT["paths"], key=lambda one: one.count("{")):
        parts = pattern.rstrip("/").split("/")
        if len(parts) == len(given) and all(
                part == word or (part.startswith("{") and word)
                for part, word in zip(parts, given)):
            return pattern, CONTRACT["paths"][pattern].get(method.lower())
    return None, None


def check_body(response, answer):
    if "$ref" in response:
        response = CONTRACT["components"]["responses"][response["$ref"].rsplit("/", 1)[1]]
    kind = answer.headers["Content-Type"].split(";")[0]
    if "content" not in response:
        return
    assert kind in response["content"], f"{kind} is not among {list(response['content'])}"
    if "json" in kind:
        schema = {**response["content"][kind]["schema"], "components": CONTRACT["components"]}
        jsonschema.Draft202012Validator(schema).validate(answer.json())
