# SPDX-License-Identifier: Apache-2.0
"""A libvirtd of the lab's own, for servers that boot: one system daemon a machine is the rule, so it gets
a mount namespace in which its directories are others, and no qemu beside that of x86-64 (it would ask
each of thirty what it can, at its first start)."""
import subprocess

from peers.cloud.process import ENVIRONMENT, wait_until

DAEMON = """
unix_sock_dir = "{run}"
unix_sock_group = "root"
auth_unix_rw = "none"
auth_unix_ro = "none"
log_outputs = "3:stderr"
"""
# As root, no security driver, no control groups; the log straight into a file.
QEMU = """
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = [ ]
namespaces = [ ]
remember_owner = 0
stdio_handler = "file"
"""
NAMESPACE = r"""
set -e; data=$1; shift
mkdir -p /run/libvirt /var/lib/libvirt /var/log/libvirt /var/cache/libvirt /etc/libvirt
mount --bind "$data/etc" /etc/libvirt; mount --bind "$data/lib" /var/lib/libvirt
mount --bind "$data/log" /var/log/libvirt; mount --bind "$data/cache" /var/cache/libvirt
mount --bind "$data/run" /run/libvirt
for qemu in /usr/bin/qemu-system-*; do
    case $qemu in *-x86_64 | *\**) ;; *) mount --bind /dev/null "$(readlink -f "$qemu")" || true ;; esac
done
exec "$@"
"""


class Libvirt:
    def __init__(self, facts, processes):
        self.facts, self.processes = facts, processes
        self.run = facts.path("run/libvirt")

    def virsh(self, *words):
        return subprocess.run(
            ["virsh", "-c", f"qemu+unix:///system?socket={self.run}/libvirt-sock", *words],
            capture_output=True, text=True, env=ENVIRONMENT, timeout=60)

    def start(self):
        if self.processes.alive("libvirtd"):
            return
        data = self.facts.path("data/libvirt")
        for folder in ("etc/qemu", "lib/qemu", "lib/images", "lib/boot", "log", "cache", "run"):
            (data / folder).mkdir(parents=True, exist_ok=True)
        self.run.mkdir(parents=True, exist_ok=True)
        (data / "etc/libvirtd.conf").write_text(DAEMON.format(run=self.run))
        (data / "etc/qemu.conf").write_text(QEMU)
        self.processes.start("libvirtd", [
            "unshare", "--mount", "--propagation", "private", "bash", "-c", NAMESPACE, "_", data,
            "libvirtd", "--config", "/etc/libvirt/libvirtd.conf", "--pid-file",
            self.facts.path("run/libvirtd.self")])
        wait_until("libvirtd answers", 60, lambda: self.virsh("uri").returncode == 0)

    def stop(self, networks):
        """Guests are children of nobody: libvirtd alone knows them. `networks`: whose bridges may
        have been made on this machine."""
        if not self.processes.alive("libvirtd"):
            return
        for name in self.virsh("list", "--name").stdout.split():
            self.virsh("destroy", name)
        for network in networks:
            subprocess.run(["ip", "link", "del", f"brq{network[:11]}"], capture_output=True,
                           env=ENVIRONMENT, timeout=30)
        self.processes.stop("libvirtd", 30)
