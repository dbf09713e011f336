# SPDX-License-Identifier: Apache-2.0
"""A compute host whose servers boot for real, under TCG: "guts-boots", alone in the availability zone
"boots". It is started when somebody asks for it (openstack service DIR start boots)."""
import importlib.util
import os
import shutil
import subprocess

from peers.cloud import bootstrap
from peers.cloud.libvirt import Libvirt
from peers.cloud.process import ENVIRONMENT, wait_until

HOST, ZONE = "guts-boots", "boots"
SERVICE = "nova-compute-boots"
PROGRAMS = ("libvirtd", "virsh", "qemu-system-x86_64", "genisoimage", "unshare", "ip")


def works(*words):
    return subprocess.run(words, capture_output=True, env=ENVIRONMENT, timeout=30).returncode == 0


def lack_of_boots():
    """Why no server can boot here; "" when one can."""
    missing = [name for name in PROGRAMS if shutil.which(name, path=ENVIRONMENT["PATH"]) is None]
    if importlib.util.find_spec("libvirt") is None:
        missing.append("python3-libvirt")
    if missing:
        return f"not installed: {', '.join(missing)} (deploy/packages openstack-boot)"
    if os.geteuid() != 0:
        return "libvirtd and Nova's bridges need root"
    if not works("unshare", "--mount", "--propagation", "private", "mount", "-t", "tmpfs", "none", "/mnt"):
        return "mounts are not allowed here"
    bridge = f"guts{os.getpid() % 100000}"
    if not works("ip", "link", "add", bridge, "type", "bridge"):
        return "bridges are not allowed here"
    works("ip", "link", "del", bridge)
    return ""


class Boots:
    def __init__(self, facts, processes, databases):
        self.facts, self.processes, self.databases = facts, processes, databases
        self.libvirt = Libvirt(facts, processes)

    def _is_ready(self, begun):
        mapped = self.databases.sql(f"SELECT COUNT(*) FROM host_mappings WHERE host = '{HOST}'",
                                    "guts_nova_api")
        reports = self.databases.sql(
            f"SELECT COUNT(*) FROM services WHERE host = '{HOST}' AND deleted = 0 AND "
            f"updated_at >= '{begun}'", "guts_nova_cell1")
        return int(mapped) > 0 and int(reports) > 0

    def start(self, compute):
        """compute: starts the service of that name."""
        self.facts.read_peers()
        self.libvirt.start()
        begun = self.databases.sql("SELECT UTC_TIMESTAMP()").strip()
        compute("boots")
        wait_until(f"host {HOST} is there", 120, lambda: self._is_ready(begun), 0.5)
        bootstrap.make_zone(self.facts, ZONE, HOST)

    def stop(self):
        if self.processes.alive("libvirtd"):
            self.facts.read_peers()
            self.processes.stop(SERVICE)
            networks = self.databases.sql("SELECT id FROM networks", "guts_neutron").split()
            self.libvirt.stop(networks)
