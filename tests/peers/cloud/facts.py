# SPDX-License-Identifier: Apache-2.0
"""What is decided once for a lab: ports, passwords, names of clouds; kept in facts.json."""
import json
import os
import pathlib

import yaml

from peers.ports import free_ports

SERVICES = ("keystone", "keystone_brief", "glance", "placement", "nova", "neutron", "cinder")
PROJECTS = ("service", "guts", "other")
# Cloud: project, user, roles. "root" is the user that Keystone's bootstrap makes.
CLOUDS = {
    "guts": ("guts", "guts-admin", ("admin", "member")),
    "guts-member": ("guts", "guts-member", ("member",)),
    "guts-reader": ("guts", "guts-reader", ("reader",)),
    "other-member": ("other", "other-member", ("member",)),
    "root": ("admin", "admin", ()),
}
PASSWORDS = ("root_password", "service_password", "user_password")
REGION = "RegionOne"


def write_private(path, text):
    pathlib.Path(path).unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


class Facts:
    def __init__(self, directory, computes=1):
        self.directory = pathlib.Path(directory)
        path = self.directory / "facts.json"
        if not path.exists():
            ports = dict(zip(SERVICES, free_ports(len(SERVICES))))
            secrets = {name: os.urandom(12).hex() for name in PASSWORDS}
            write_private(path, json.dumps({"ports": ports, **secrets, "computes": computes}))
        everything = json.loads(path.read_text())
        self.ports = everything["ports"]
        self.passwords = {name: everything[name] for name in PASSWORDS}
        self.computes = everything["computes"]
        self.peers = {}  # what the scripts of the broker and the database wrote

    def read_peers(self):
        for name in ("broker", "database"):
            for line in (self.directory / name / "env").read_text().splitlines():
                key, value = line.split("=", 1)
                self.peers[key] = value

    def path(self, *parts):
        return self.directory.joinpath(*parts)

    def url(self, service, path=""):
        return f"http://127.0.0.1:{self.ports[service]}{path}"

    def auth_url(self, service="keystone"):
        return self.url(service, "/v3")

    def database_url(self, name):
        return (f"mysql+pymysql://guts:{self.peers['DATABASE_PASSWORD']}@127.0.0.1:"
                f"{self.peers['DATABASE_PORT']}/guts_{name}?charset=utf8")

    def messages_url(self):
        return self.peers["BROKER_URL"].replace("amqp://", "rabbit://", 1)

    def cloud(self, name):
        """The entry of clouds.yaml."""
        project, user, _ = CLOUDS[name]
        password = self.passwords["root_password" if name == "root" else "user_password"]
        return {"region_name": REGION, "identity_api_version": 3, "auth": {
            "auth_url": self.auth_url(), "project_name": project,
            "project_domain_name": "Default", "user_domain_name": "Default", "username": user,
            "password": password}}

    def write_clouds(self):
        clouds = {"clouds": {name: self.cloud(name) for name in CLOUDS}}
        write_private(self.path("clouds.yaml"), yaml.safe_dump(clouds))
