# SPDX-License-Identifier: Apache-2.0
"""`guts migrate` of thousands in one call against fifty, and long lists from end to end."""
import subprocess
import threading
import time

from tests.bench.control.api_load import wait_usable
from tests.bench.control.world import median
from tests.guts_platform import ENVIRONMENT, program


# A thousand nodes that have just come keep the broker busy for a second more (1.1 cores in the first
# half, 0.4 in the second, then 0.1): a wait for it is no part of a call's answer.
SETTLE = 2.0
# The first to be accepted is one of the first made: what else there is costs no time.
FIRST = ("SELECT 1 FROM (SELECT state FROM jobs WHERE open = 1 ORDER BY id LIMIT 50) first "
         "WHERE state = 'accepted' LIMIT 1")


class FirstAccepted(threading.Thread):
    """Looks each millisecond whether a job is accepted."""

    def __init__(self, world):
        super().__init__()
        self.world, self.at = world, None
        self.ready = threading.Event()

    def run(self):
        end = time.monotonic() + 60
        with self.world.connect() as connection, connection.cursor() as cursor:
            self.ready.set()
            while time.monotonic() < end:
                if cursor.execute(FIRST):
                    self.at = time.monotonic()
                    return
                time.sleep(0.001)


def guts_migrate(world, count):
    """Seconds until the command line has its answer, and until the first job is accepted."""
    world.empty()
    names = [f"vm-{number}" for number in range(1, count + 1)]
    first = FirstAccepted(world)
    first.start()
    first.ready.wait()
    begun = time.monotonic()
    done = subprocess.run([program("cli"), "migrate", *names, "--to", "bench", "-f", "json"],
                          env={**ENVIRONMENT,
                               "GUTS_URL": f"http://127.0.0.1:{world.platform.api_port}"},
                          capture_output=True, text=True)
    answered = time.monotonic() - begun
    if done.returncode != 0:
        raise RuntimeError(f"guts migrate: {done.stderr[-500:]}")
    first.join()
    created = world.sql("SELECT COUNT(*) FROM migrations")[0][0]
    if created != count or first.at is None:
        raise RuntimeError(f"{created} of {count} were created, accepted: {first.at}")
    return answered, first.at - begun


def one_pair(world, node_count, sizes):
    """Each call meets a platform without other work, started anew."""
    results = {}
    for size in sizes:
        world.empty()
        world.platform.start_scheduler()
        world.platform.start_api()
        wait_usable(world)
        world.start_nodes(node_count)
        time.sleep(SETTLE)
        results[size] = guts_migrate(world, size)
        world.stop_daemons()
    return results


def measure_migrate(world, node_count, large, rounds):
    sizes, pairs = (50, large), []
    for _ in range(rounds):
        pairs.append(one_pair(world, node_count, sizes))
    told = {}
    for size in sizes:
        told[size] = {"answer": median([pair[size][0] for pair in pairs]),
                      "first": median([pair[size][1] for pair in pairs])}
        print(f"  guts migrate of {size}: answers in {told[size]['answer']:.3f} s, first job accepted "
              f"after {told[size]['first'] * 1000:.1f} ms", flush=True)
    told["ratio"] = told[large]["first"] / told[50]["first"]
    print(f"  first accepted job: {told['ratio']:.2f} times that of 50", flush=True)
    return told


def page_ms(world, path, repeats):
    times = []
    for _ in range(repeats):
        begun = time.monotonic()
        answer = world.platform.get(path)
        times.append(1000 * (time.monotonic() - begun))
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status}")
    return median(times)


def measure_list(world, count, repeats):
    """Walks the whole list by its `next` links, then times the first page and the last one."""
    world.platform.start_api()
    wait_usable(world)
    first = path = "/v1/migrations?limit=100"
    seen, last, begun = 0, None, time.monotonic()
    while path:
        answer = world.platform.get(path)
        seen += len(answer["migrations"])
        if len(answer["migrations"]) == 100:
            last = path
        path = answer.get("next")
    walked = time.monotonic() - begun
    if seen != count:
        raise RuntimeError(f"the list has {seen} of {count}")
    told = {"count": count, "first_ms": page_ms(world, first, repeats),
            "last_ms": page_ms(world, last, repeats)}
    told["ratio"] = told["last_ms"] / told["first_ms"]
    print(f"  list of {count}: walked in {walked:.1f} s; first page {told['first_ms']:.2f} ms, last "
          f"page {told['last_ms']:.2f} ms ({told['ratio']:.2f} times)", flush=True)
    world.platform.daemons["api"].stop()
    return told
