# SPDX-License-Identifier: Apache-2.0
"""Free TCP ports of 127.0.0.1, below those that the kernel gives to connections: a server that starts later, or
comes back after a while, finds its port still free. Run with a number: prints so many."""
import itertools
import os
import pathlib
import random
import socket
import sys

FIRST, WORKERS = 10000, 8
RANGE = pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range")


def candidates():
    """Those of this process, from a place by chance: no two workers of a run share one."""
    try:
        end = int(RANGE.read_text().split()[0])
    except (OSError, ValueError):
        end = 0
    worker = "".join(filter(str.isdigit, os.environ.get("PYTEST_XDIST_WORKER", ""))) or "0"
    own = range(FIRST + int(worker) % WORKERS, end, WORKERS)
    if len(own) < 500:  # the kernel gives nearly all of them to connections
        return None
    begin = random.SystemRandom().randrange(len(own))
    return itertools.cycle([*own[begin:], *own[:begin]])


_candidates = candidates()


def hold():
    """A socket that listens on a free port."""
    for port in itertools.islice(_candidates or [0], 4000):
        try:
            return socket.create_server(("127.0.0.1", port))
        except OSError:
            continue
    return socket.create_server(("127.0.0.1", 0))


def free_ports(count):
    """All are held at once, so that they differ."""
    held = [hold() for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def free_port():
    return free_ports(1)[0]


if __name__ == "__main__":
    print(*free_ports(int(sys.argv[1])))
