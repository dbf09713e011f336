# SPDX-License-Identifier: Apache-2.0
"""What Celery does on the same broker and database: publish with confirms, run, commit one row."""
import os
import pathlib
import signal
import subprocess
import time

from tests.bench.control.world import median

HERE = pathlib.Path(__file__).resolve().parent
PYTHON = "/usr/bin/python3"
WAIT_MOST = 60


def environment(world):
    env = world.database.env
    world.broker.vhost("celery")
    return {**os.environ, "PYTHONDONTWRITEBYTECODE": "1",
            "BENCH_BROKER": world.broker.url.rsplit("/", 1)[0] + "/celery",
            "BENCH_HOST": env["DATABASE_HOST"], "BENCH_PORT": env["DATABASE_PORT"],
            "BENCH_USER": env["DATABASE_USER"], "BENCH_PASSWORD": env["DATABASE_PASSWORD"],
            "BENCH_DATABASE": world.platform.database_name}


def start_worker(world, concurrency, settings):
    log = open(world.directory / "celery.log", "ab")
    return subprocess.Popen(
        [PYTHON, "-m", "celery", "-A", "celery_app", "worker", "--concurrency", str(concurrency),
         "--pool", "prefork", "--without-gossip", "--without-mingle", "--without-heartbeat",
         "-O", "fair", "--loglevel", "error"],
        cwd=HERE, env={**settings, "C_FORCE_ROOT": "1"}, stdout=log, stderr=log,
        stdin=subprocess.DEVNULL, start_new_session=True)


def await_rows(world, count):
    end = time.monotonic() + WAIT_MOST
    with world.connect() as connection, connection.cursor() as cursor:
        while time.monotonic() < end:
            cursor.execute("SELECT COUNT(*) FROM celery_rows")
            if cursor.fetchone()[0] >= count:
                return time.monotonic()
            time.sleep(0.02)
    raise RuntimeError(f"celery did not commit {count} rows within {WAIT_MOST} s")


class Producer:
    """A process of its own, connected before the clock starts."""

    def __init__(self, settings, count):
        self.process = subprocess.Popen([PYTHON, "celery_app.py", str(count)], cwd=HERE, env=settings,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError("celery's producer did not begin")

    def go(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return time.monotonic()

    def end(self):
        seconds = float(self.process.stdout.readline())
        self.process.wait(30)
        return seconds


def one_round(world, concurrency, count):
    """Rows a second with producer and worker at work together, and of the worker alone."""
    world.sql("DROP TABLE IF EXISTS celery_rows")
    world.sql("CREATE TABLE celery_rows (id BIGINT PRIMARY KEY)")
    settings = environment(world)
    worker = start_worker(world, concurrency, settings)
    try:
        producer = Producer(settings, count)
        await_rows(world, 1)  # the producer's first task: the worker runs and is connected
        begun = producer.go()
        together = count / (await_rows(world, count + 1) - begun)
        producer.end()
        os.killpg(worker.pid, signal.SIGSTOP)
        world.sql("TRUNCATE celery_rows")
        producer = Producer(settings, count)
        producer.go()
        producer.end()
        begun = time.monotonic()
        os.killpg(worker.pid, signal.SIGCONT)
        alone = count / (await_rows(world, count + 1) - begun)
    finally:
        os.killpg(worker.pid, signal.SIGCONT)
        worker.terminate()
        worker.wait(30)
    return together, alone


def measure(world, count, rounds, concurrencies=(1, 2, 4)):
    results = {}
    for concurrency in concurrencies:
        pairs = [one_round(world, concurrency, count) for _ in range(rounds)]
        together, alone = (median([pair[i] for pair in pairs]) for i in (0, 1))
        results[concurrency] = (together, alone)
        rounds_said = ", ".join(f"{pair[0]:.0f}" for pair in pairs)
        print(f"  concurrency {concurrency}: {together:.0f} rows a second ({rounds_said}), {alone:.0f} "
              "with all tasks queued beforehand", flush=True)
    best = max(results, key=lambda one: results[one][0])
    best_alone = max(results, key=lambda one: results[one][1])
    return {"concurrency": best, "rate": results[best][0], "count": count,
            "alone_concurrency": best_alone, "alone_rate": results[best_alone][1]}
