# SPDX-License-Identifier: Apache-2.0
"""A platform whose destination is the real cloud, and what tests ask of both."""
import contextlib
import os
import pathlib
import subprocess
import tempfile
import time

from guts_platform import Platform, wait_until
from machines import identical, make_machine, make_vmdk, write_vmx

FINAL = ["VERIFIED", "FAILED", "ROLLED_BACK", "CANCELLED"]
MACS = ("00:0c:29:12:34:56", "00:0c:29:12:34:57")


class CloudPlatform(Platform):
    """Machines lie in `machines`; destination "cloud" is project "guts", as its administrator."""

    # A service of the cloud takes many of the short back-offs to start again.
    SCHEDULER = {**Platform.SCHEDULER, "retries_most": 20}

    def __init__(self, name, broker, database, openstack):
        super().__init__(pathlib.Path(tempfile.mkdtemp(prefix="guts-cloud-")), broker, database, name)
        self.openstack = openstack
        self.machines = self.directory / "machines"
        self.machines.mkdir()
        self.read_roots = [str(self.machines)]
        self.urls = [f"http://127.0.0.1:{openstack.port(one)}/" for one in (
            "keystone", "keystone_brief", "glance", "nova", "neutron", "cinder", "placement")]
        self.originals = {}

    def begin(self, nodes=1):
        self.start(nodes=nodes)
        self.add("sources", "workstations", "workstation", path=str(self.machines))
        self.add_cloud("cloud")
        return self

    def add_cloud(self, name, cloud=None, **changes):
        entry = self.openstack.entry(cloud or self.openstack.cloud)
        made = self.post("/v1/destinations", {"name": name, "driver": "openstack", "settings": {
            **entry["auth"], "region_name": entry["region_name"], **changes}})
        assert made.status == 201, made
        self.refresh("destinations", name)

    def machine(self, name, kind="streamOptimized", disks=1, macs=MACS[:1], **words):
        self.originals[name] = make_machine(self.machines, name, kind, disks=disks, macs=macs,
                                            **words)[1]
        self.refresh("sources", "workstations")
        return name

    def full_machine(self, name, mib=400, macs=MACS[:1]):
        """A machine whose disk has no hole, so that its copy takes a while."""
        home = self.machines / name
        home.mkdir()
        raw = self.machines / f"{name}-0.raw"
        with open(raw, "wb") as file:
            for _ in range(mib):
                file.write(os.urandom(1 << 20))
        make_vmdk(raw, home / "disk0.vmdk", "monolithicFlat")
        write_vmx(home / f"{name}.vmx", ["disk0.vmdk"], name, macs=macs)
        self.originals[name] = [raw]
        self.refresh("sources", "workstations")
        return name

    def source_facts(self, name):
        """Of a machine's files: what changes when somebody writes."""
        return {path.name: (one.st_ino, one.st_size, one.st_mtime_ns) for path in (
            self.machines / name).iterdir() for one in [path.stat()]}

    def new_images(self, before):
        """Ids of those whose bytes lie in Glance, or will."""
        known = set(before["files"]["data/glance/images"])
        images = self.openstack.directory / "data/glance/images"
        return [path.name for path in images.iterdir() if path.name not in known]

    def wait_upload(self, before, seconds=60, least=32 << 20):
        """Until a good part of a new image lies in Glance; its path."""
        def growing():
            for name in self.new_images(before):
                path = self.openstack.image_file(name)
                with contextlib.suppress(FileNotFoundError):
                    if path.stat().st_size > least:
                        return path
            return None
        return wait_until("an upload is under way", seconds, growing, 0.01)

    def wait_new(self, before, kind, seconds=120):
        """The id of a thing that the cloud did not have before."""
        def found():
            return set(self.openstack.inventory()[kind]) - set(before[kind])
        return wait_until(f"new {kind}", seconds, found, 0.3).pop()

    def wait_fault(self, migration, seconds):
        wait_until("it has a fault", seconds, lambda: self.migration(migration).get("fault"))

    def begin_move(self, name, destination="cloud", options=None, **words):
        """The migration's id. An option of None is left out."""
        given = {"network": "blue", **(options or {})}
        answer = self.migrate(name, destination, options={
            key: value for key, value in given.items() if value is not None}, **words)
        assert len(answer["created"]) == 1, answer
        return answer["created"][0]["id"]

    def move(self, name, seconds=120, **words):
        """The migration once it has come to rest."""
        return self.wait_state(self.begin_move(name, **words), FINAL, seconds)

    def act(self, migration, verb, state, seconds=120):
        taken = self.post(f"/v1/migrations/{migration}/{verb}")
        assert taken.status == 202, taken
        return self.wait_state(migration, state, seconds)

    def cancel(self, migration, step, seconds=120):
        """In that step. Only the last one may be over by then: what is VERIFIED is rolled back instead."""
        self.wait_step(migration, step, seconds)
        taken = self.post(f"/v1/migrations/{migration}/cancel")
        assert taken.status == 202 or (taken.status == 409 and step == "verify"), taken
        ended = self.wait_state(migration, FINAL, seconds)
        if step == "verify" and ended["state"] == "VERIFIED":
            return self.act(migration, "rollback", "ROLLED_BACK", seconds)
        assert ended["state"] == "CANCELLED", ended
        return ended

    def steps(self, migration):
        """{name: state} of the newest attempt."""
        steps = self.migration(migration).get("steps") or []
        return {one["name"]: one["state"] for one in steps}

    def wait_step(self, migration, name, seconds=60):
        wait_until(f"step {name} of {migration}", seconds,
                   lambda: name in self.steps(migration), 0.02)

    # -- the cloud ---------------------------------------------------------------------------------
    def wait_inventory(self, wanted, seconds=180):
        """Nova and Cinder delete in the background."""
        end = time.monotonic() + seconds
        while True:
            seen = self.openstack.inventory()
            if seen == wanted:
                return
            if time.monotonic() > end:
                assert seen == wanted
            time.sleep(0.5)

    def server(self, name):
        """Nova's only one of that name."""
        found = self.openstack.get("compute", f"/servers/detail?name=^{name}$")["servers"]
        assert len(found) == 1, found
        return found[0]

    def ports(self, server):
        """In the order of the server's cards."""
        attached = self.openstack.get("compute", f"/servers/{server['id']}/os-interface")
        ids = [one["port_id"] for one in attached["interfaceAttachments"]]
        ports = self.openstack.get("network", f"/v2.0/ports?device_id={server['id']}")["ports"]
        assert sorted(ids) == sorted(one["id"] for one in ports)
        return sorted(ports, key=lambda one: one["mac_address"])

    def volumes(self, server):
        """Cinder's, in the order of the devices."""
        attached = self.openstack.get("compute", f"/servers/{server['id']}/os-volume_attachments")
        ordered = sorted(attached["volumeAttachments"], key=lambda one: one["device"])
        return [self.openstack.get("volume", f"/volumes/{one['volumeId']}")["volume"]
                for one in ordered]

    def check_volume(self, original, volume):
        """The volume begins with the machine's bytes, and holds nothing behind them."""
        same, words = identical(original, self.openstack.volume_file(volume["id"]), "raw")
        assert same, words

    def check_image(self, original, image):
        info = self.openstack.get("image", f"/v2/images/{image}")
        same, words = identical(original, self.openstack.image_file(image), info["disk_format"])
        assert same, words
        return info


def volume_is_empty(openstack, volume):
    done = subprocess.run(["qemu-img", "map", "-f", "raw", "--output=json",
                           str(openstack.volume_file(volume["id"]))], capture_output=True, text=True,
                          timeout=60, check=True)
    return '"data": true' not in done.stdout
