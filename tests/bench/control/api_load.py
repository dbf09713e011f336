# SPDX-License-Identifier: Apache-2.0
"""Requests a second of guts-api under wrk, and whether an answer is ever older than the last commit."""
import http.client
import json
import pathlib
import random
import subprocess
import threading
import time

from tests.bench.control.world import MIGRATION, VM, Cpu, median, row_id

LUA = pathlib.Path(__file__).resolve().parent / "load.lua"
PREFIX = "/v1/{}/0190a{:03x}-0000-7000-8000-"


def wrk(world, connections, seconds, *words):
    done = subprocess.run(
        ["wrk", "-t2", f"-c{connections}", f"-d{seconds}s", "-s", LUA,
         f"http://127.0.0.1:{world.platform.api_port}", "--", *map(str, words)],
        stdout=subprocess.PIPE, text=True, check=True)
    told = json.loads(done.stdout.splitlines()[-1])
    told["rate"] = told["requests"] / (told["us"] / 1e6)
    return told


def load(world, what, words, plan):
    """Medians for each number of connections; the best of them is the result."""
    best = None
    for connections in plan["connections"]:
        rounds = [wrk(world, connections, plan["seconds"], *words) for _ in range(plan["rounds"])]
        wrong = sum(one["wrong"] for one in rounds)
        told = {key: median([one[key] for one in rounds]) for key in ("rate", "p50_us", "p99_us")}
        told.update(connections=connections, wrong=wrong, what=what)
        print(f"  {what}, {connections:3} connections: {told['rate']:7.0f} a second, p50 "
              f"{told['p50_us'] / 1000:.2f} ms, p99 {told['p99_us'] / 1000:.2f} ms"
              + (f", {wrong} WRONG" if wrong else ""), flush=True)
        if best is None or told["rate"] > best["rate"]:
            best = told
    return best


class Freshness(threading.Thread):
    """Commits a change, then asks: the answer must hold that change, or a later one."""

    def __init__(self, world, count):
        super().__init__()
        self.world, self.count = world, count
        self.ended = threading.Event()
        self.checks = self.violations = self.failures = 0

    def ask(self, link, path):
        link.request("GET", path)
        answer = link.getresponse()
        body = answer.read()
        if answer.status != 200:
            self.failures += 1
            return None
        return json.loads(body)

    def run(self):
        link = http.client.HTTPConnection("127.0.0.1", self.world.platform.api_port, timeout=30)
        turns = (("migrations", MIGRATION, "done_bytes"), ("vms", VM, "memory_mib"))
        value = 1_000_000
        with self.world.connect() as connection, connection.cursor() as cursor:
            while not self.ended.is_set():
                value += 1
                table, kind, column = turns[value % 2]
                one = row_id(kind, random.randint(1, self.count))
                cursor.execute(f"UPDATE {table} SET {column} = %s WHERE id = %s", (value, one.bytes))
                told = self.ask(link, f"/v1/{table}/{one}")
                if told is not None:
                    self.checks += 1
                    self.violations += told[column] < value

    def end(self):
        self.ended.set()
        self.join(60)


def check_freshness(world, count, seconds):
    """Under the load of shows of the same rows."""
    writers = [Freshness(world, count) for _ in range(2)]
    for writer in writers:
        writer.start()
    told = wrk(world, 64, seconds, "show", PREFIX.format("migrations", MIGRATION), count)
    wrk(world, 64, seconds, "show", PREFIX.format("vms", VM), count)
    for writer in writers:
        writer.end()
    checks = sum(one.checks for one in writers)
    violations = sum(one.violations for one in writers)
    failures = sum(one.failures for one in writers)
    print(f"  freshness: {checks} answers after a commit, {violations} older than it, {failures} "
          f"failed, at {told['rate']:.0f} shows a second", flush=True)
    return {"checks": checks, "violations": violations, "failures": failures}


def measure(world, count, plan):
    """`count` finished migrations are in place; the vms beyond them have none."""
    api = world.platform.start_api()
    wait_usable(world)
    wrk(world, 16, 1, "show", PREFIX.format("migrations", MIGRATION), count)  # warms the caches
    cpu = Cpu(api=api.pid, database=world.database.pid)
    results = {}
    for what, words in (
            ("show migration", ("show", PREFIX.format("migrations", MIGRATION), count)),
            ("show vm", ("show", PREFIX.format("vms", VM), count)),
            ("list 100 migrations", ("path", "/v1/migrations?limit=100"))):
        results[what] = load(world, what, words, plan)
    results["cpu"] = cpu.used()
    results["freshness"] = check_freshness(world, count, plan["seconds"])
    results["create"] = creates(world, count, plan)
    world.platform.daemons["api"].stop()
    return results


def creates(world, count, plan):
    """One migration a request; every vm is asked for once."""
    first, share = count + 1, plan["creates"] // (len(plan["connections"]) * plan["rounds"])
    best = None
    for connections in plan["connections"]:
        rounds = []
        for _ in range(plan["rounds"]):
            rounds.append(wrk(world, connections, plan["create_seconds"], "create", first,
                              first + share - 1, "bench"))
            first += share
        told = {key: median([one[key] for one in rounds]) for key in ("rate", "p50_us", "p99_us")}
        told.update(connections=connections, wrong=sum(one["wrong"] for one in rounds))
        print(f"  create, {connections:3} connections: {told['rate']:7.0f} a second, p50 "
              f"{told['p50_us'] / 1000:.2f} ms, p99 {told['p99_us'] / 1000:.2f} ms"
              + (f", {told['wrong']} WRONG" if told["wrong"] else ""), flush=True)
        if best is None or told["rate"] > best["rate"]:
            best = told
    return best


def wait_usable(world):
    end = time.monotonic() + 30
    while world.platform.get("/v1/services", raw=True).status != 200:
        if time.monotonic() > end:
            raise RuntimeError("guts-api is not usable")
        time.sleep(0.05)
