# SPDX-License-Identifier: Apache-2.0
"""The running cloud as tests see it: tokens, calls, what it holds, faults of its services."""
import json
import os
import pathlib
import signal
import subprocess
import time
import urllib.error
import urllib.request

import yaml

from peers.cloud.facts import Facts
from peers.cloud.process import Processes

SCRIPT = pathlib.Path(__file__).resolve().parent.parent / "openstack"
PATHS = {"image": ("GLANCE", ""), "compute": ("NOVA", "/v2.1"), "network": ("NEUTRON", ""),
         "volume": ("CINDER", "/v3"), "identity": ("KEYSTONE", "/v3")}

SIGNALS = {"freeze": signal.SIGSTOP, "thaw": signal.SIGCONT}


class CloudAnswer(Exception):
    """An answer that is no success."""

    def __init__(self, status, text):
        super().__init__(f"{status}: {text[:500]}")
        self.status, self.text = status, text


class OpenStack:
    """`cloud` and the other names stand in the file `clouds_file`."""

    cloud, member, reader, stranger, root = ("guts", "guts-member", "guts-reader", "other-member",
                                             "root")
    region = "RegionOne"

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.clouds_file = self.directory / "clouds.yaml"
        self.env, self._tokens, self._touched = {}, {}, False
        self._processes = Processes(directory)
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def _run(self, verb, *words, seconds=1200):
        done = subprocess.run([SCRIPT, verb, self.directory, *map(str, words)], text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=seconds)
        if done.returncode != 0:
            raise RuntimeError(f"openstack {verb}: {done.stdout}")
        return done.stdout

    def start(self, *options):
        self._run("start", *options)
        lines = (self.directory / "env").read_text().splitlines()
        self.env = dict(line.split("=", 1) for line in lines)
        self._touched = False

    def stop(self):
        self._run("stop")

    # -- services ------------------------------------------------------------------------------
    def service(self, deed, name):
        """stop, start, kill, freeze or thaw; before the next test all is made well again."""
        self._touched = self._touched or deed != "start"
        if deed in SIGNALS:
            self._processes.signal(name, SIGNALS[deed])
        elif deed == "kill":
            self._processes.kill(name)
        else:
            self._run("service", deed, name)

    def make_usable(self):
        if self._touched:
            for name in self._processes.names():
                self._processes.signal(name, signal.SIGCONT)
            self.start()

    # -- talking --------------------------------------------------------------------------------
    def port(self, service):
        return int(self.env[f"OPENSTACK_{service.upper()}_PORT"])

    @property
    def auth_url(self):
        return self.env["OPENSTACK_AUTH_URL"]

    @property
    def brief_auth_url(self):
        """Where tokens end 12 s after they were given out; started when somebody asks."""
        self._run("service", "start", "keystone-brief")
        return f"http://127.0.0.1:{self.port('keystone_brief')}/v3"

    def entry(self, cloud):
        """Of clouds.yaml."""
        return yaml.safe_load(self.clouds_file.read_text())["clouds"][cloud]

    def variables(self, cloud):
        """The same as OS_*."""
        entry = self.entry(cloud)
        words = {f"OS_{key.upper()}": value for key, value in entry["auth"].items()}
        return {**words, "OS_REGION_NAME": entry["region_name"], "OS_IDENTITY_API_VERSION": "3"}

    def _send(self, method, url, body=None, headers=None, seconds=120):
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, method=method, headers=headers or {})
        if data is not None and not request.has_header("Content-type"):
            request.add_header("Content-Type", "application/json")
        try:
            with self._opener.open(request, timeout=seconds) as answer:
                return answer.read(), answer.headers
        except urllib.error.HTTPError as failure:
            raise CloudAnswer(failure.code, failure.read().decode(errors="replace")) from None

    def new_token(self, cloud, auth_url=None):
        """(token, its body)."""
        auth = self.entry(cloud)["auth"]
        body = {"auth": {
            "identity": {"methods": ["password"], "password": {"user": {
                "name": auth["username"], "domain": {"name": "Default"},
                "password": auth["password"]}}},
            "scope": {"project": {"name": auth["project_name"], "domain": {"name": "Default"}}}}}
        text, headers = self._send("POST", (auth_url or self.auth_url) + "/auth/tokens", body)
        return headers["X-Subject-Token"], json.loads(text)["token"]

    def unscoped_token(self, cloud):
        auth = self.entry(cloud)["auth"]
        body = {"auth": {
            "identity": {"methods": ["password"], "password": {"user": {
                "name": auth["username"], "domain": {"name": "Default"},
                "password": auth["password"]}}}, "scope": "unscoped"}}
        return self._send("POST", self.auth_url + "/auth/tokens", body)[1]["X-Subject-Token"]

    def facts(self):
        return Facts(self.directory)

    def log(self, service):
        return (self.directory / "log" / f"{service}.log").read_text(errors="replace")

    def _login(self, cloud):
        if cloud not in self._tokens or self._tokens[cloud][2] < time.monotonic():
            self._tokens[cloud] = (*self.new_token(cloud), time.monotonic() + 3600)
        return self._tokens[cloud]

    def token(self, cloud):
        return self._login(cloud)[0]

    def project(self, cloud):
        """The id of its project."""
        return self._login(cloud)[1]["project"]["id"]

    def revoke(self, token):
        self._send("DELETE", self.auth_url + "/auth/tokens",
                   headers={"X-Auth-Token": self.token(self.root), "X-Subject-Token": token})

    def url(self, service, cloud):
        name, path = PATHS[service]
        base = f"http://127.0.0.1:{self.port(name)}{path}"
        return f"{base}/{self.project(cloud)}" if service == "volume" else base

    def call(self, method, service, path, body=None, cloud=None, headers=None):
        """The answer's object, or its bytes when it is none. CloudAnswer when it is refused."""
        cloud = cloud or self.cloud
        words = {"X-Auth-Token": self.token(cloud), **(headers or {})}
        if service == "compute":
            words.setdefault("X-OpenStack-Nova-API-Version", "2.90")
        text, answer = self._send(method, self.url(service, cloud) + path, body, words)
        return json.loads(text) if "json" in answer.get("Content-Type", "") and text else text

    def get(self, service, path, cloud=None):
        return self.call("GET", service, path, cloud=cloud)

    def console(self, server):
        answer = self.call("POST", "compute", f"/servers/{server}/action",
                           {"os-getConsoleOutput": {"length": None}})
        return answer["output"]

    # -- what it holds ----------------------------------------------------------------------------
    def inventory(self):
        """{kind: {id: facts}} of all projects, and the files in which images and volumes lie."""
        root = self.root
        servers = self.get("compute", "/servers/detail?all_tenants=1", root)["servers"]
        ports = self.get("network", "/v2.0/ports", root)["ports"]
        volumes = self.get("volume", "/volumes/detail?all_tenants=1", root)["volumes"]
        snapshots = self.get("volume", "/snapshots/detail?all_tenants=1", root)["snapshots"]
        images = self._images()
        files = {folder: sorted(path.name for path in (self.directory / folder).glob("*"))
                 for folder in ("data/glance/images", "data/glance/staging", "data/cinder/volumes",
                                "data/cinder/conversion")}
        return {
            "servers": {one["id"]: (one["name"], one["status"]) for one in servers},
            "ports": {one["id"]: (one["name"], one["mac_address"], one["device_id"])
                      for one in ports},
            "volumes": {one["id"]: (one["name"], one["size"], one["status"]) for one in volumes},
            "snapshots": {one["id"]: (one["name"], one["status"]) for one in snapshots},
            "images": {one["id"]: (one["name"], one["status"], one["size"]) for one in images},
            "files": files}

    def _images(self):
        images, path = [], "/v2/images?limit=500"
        while path:
            page = self.get("image", path, self.root)
            images += page["images"]
            path = page.get("next")
        return images

    def image_file(self, image):
        return self.directory / "data/glance/images" / image

    def volume_file(self, volume):
        return self.directory / "data/cinder/volumes" / f"volume-{volume}"


def lab_of(tmp_path_factory):
    """(directory, whether it is ours to end). GUTS_OPENSTACK names one that runs already."""
    given = os.environ.get("GUTS_OPENSTACK")
    base = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        base = base.parent  # shared by all workers
    return (pathlib.Path(given), False) if given else (base / "openstack", True)
