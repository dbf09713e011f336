# SPDX-License-Identifier: Apache-2.0
"""Placements a second: from the commit of N PENDING rows until each is an accepted job, committed."""
import time

import pika

from tests.bench.control.world import MIGRATION, Cpu, median, row_id

WAIT_MOST = 120
SETTLE = 3.0  # a thousand nodes that have just come keep the broker busy for so long (see bulk.py)


def wake(world):
    """The hint that guts-api sends after it has committed."""
    connection = pika.BlockingConnection(pika.URLParameters(
        world.broker.url.rsplit("/", 1)[0] + "/" + world.platform.vhost))
    connection.channel().basic_publish("guts.v1", "guts.v1.scheduler", b"",
                                       pika.BasicProperties(type="guts.v1.Wake"))
    connection.close()


def await_accepted(world, count, begun):
    """The moment at which all jobs were seen accepted, by a reader of the database. It shares the cores, so
    it looks at the last row, and counts only when that is not PENDING any more."""
    seen, last = 0, row_id(MIGRATION, count).bytes
    with world.connect() as connection, connection.cursor() as cursor:
        while time.monotonic() < begun + WAIT_MOST:
            if cursor.execute("SELECT 1 FROM migrations WHERE id = %s AND state = 'PENDING'", last):
                time.sleep(0.02)
                continue
            cursor.execute("SELECT COUNT(*) FROM jobs WHERE state = 'accepted'")
            seen = cursor.fetchone()[0]
            if seen >= count:
                return time.monotonic()
            time.sleep(0.01)
    raise RuntimeError(f"only {seen} of {count} jobs were accepted within {WAIT_MOST} s")


def check(world, count):
    """Each migration has one live, accepted job at its first attempt; no row was placed twice."""
    rows = world.sql(
        "SELECT COUNT(*), COUNT(DISTINCT j.owner_id), MAX(j.attempt), MIN(j.accepted_at) > 0 "
        "FROM jobs j JOIN migrations m ON m.job_id = j.id AND m.state = 'SCHEDULED' "
        "WHERE j.state = 'accepted' AND j.live = 1")
    if tuple(map(int, rows[0])) != (count, count, 1, 1):
        raise RuntimeError(f"of {count} migrations: jobs, owners, attempt, times are {rows[0]}")


def one_round(world, node_count, count):
    world.empty()
    scheduler = world.platform.start_scheduler()
    world.start_nodes(node_count)
    time.sleep(SETTLE)
    begun = world.add_migrations(count)
    cpu = Cpu(scheduler=scheduler.pid, broker=world.broker.pid, database=world.database.pid,
              nodes=world.nodes.pid)
    wake(world)
    took = await_accepted(world, count, begun) - begun
    used = cpu.used()
    check(world, count)
    counted = world.stop_daemons()
    return {"rate": count / took, "seconds": took, "cpu": used,
            "a_message": counted["assigned"] / max(1, counted["messages"])}


def measure(world, node_count, count, rounds):
    results = []
    for number in range(rounds):
        result = one_round(world, node_count, count)
        results.append(result)
        split = ", ".join(f"{name} {1000 * seconds / count:.3f}"
                          for name, seconds in result["cpu"].items())
        print(f"  round {number + 1}: {result['rate']:7.0f} a second; CPU ms a placement: {split}; "
              f"{result['a_message']:.1f} a message", flush=True)
    return {"rate": median([one["rate"] for one in results]), "count": count,
            "cpu_ms": {name: 1000 * median([one["cpu"][name] for one in results]) / count
                       for name in results[0]["cpu"]}}
