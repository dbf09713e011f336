# SPDX-License-Identifier: Apache-2.0
"""Faults of the broker, of the database and of the ways to them."""
import os
import shutil
import signal
import subprocess
import threading
import time

from lab import APIS, NODES, SCHEDULERS
from letters import SCHEDULER_QUEUES, Postman, node_queue
from peers.freeze import freeze
from proxy import PASS, REFUSE, STALL, SWALLOW
import spans
from spans import length

DAEMONS = APIS + SCHEDULERS + NODES


def peer_of(chaos, chance):
    name = chance.choice(["broker", "database"])
    return name, getattr(chaos.lab, name)


def freeze_peer(chaos, chance):
    (name, peer), after = peer_of(chaos, chance), length(chance)
    if not chaos.take(name):
        return None
    peer.freeze()

    def heal():
        peer.thaw()
        chaos.free(name)
        chaos.say_healed(f"thaw {name}")
    return f"{name} for {after:.1f} s", [(after, heal)]


def in_background(chaos, name, work, text):
    """Runs what takes seconds beside the faults; the peer is free again when it is done. Other faults go on:
    what is given back is asked again until it is."""
    def whole():
        try:
            work()
        except (RuntimeError, OSError, subprocess.SubprocessError) as failure:
            chaos.errors.append(f"{name}: {failure}")
        chaos.say_healed(text)
        chaos.free(name)
    thread = threading.Thread(target=whole)
    thread.start()

    def look():
        thread.join(0.1)
        if thread.is_alive():
            chaos.later(0.3, look)
    return look


def restart_peer(chaos, chance):
    (name, peer), after, hard = peer_of(chaos, chance), chance.uniform(0, 8), chance.random() < 0.6
    if not chaos.take(name):
        return None

    def work():
        (peer.kill if hard else peer.stop)()
        time.sleep(after)
        peer.start()
    join = in_background(chaos, name, work, f"start {name}")
    return f"{name} {'killed' if hard else 'stopped'} for {after:.1f} s", [(after + 5, join)]


def break_connection(chaos, chance):
    daemon, peer = chance.choice(DAEMONS), chance.choice(["broker", "database"])
    mode, after = chance.choice(["cut", REFUSE, STALL, STALL, SWALLOW]), length(chance)
    door = f"{daemon}:{peer}"
    if door not in chaos.lab.proxy.doors or not chaos.take(door):
        return None
    if mode == "cut":
        chaos.lab.proxy.cut(door)
        chaos.free(door)
        return f"{mode} {door}", []
    chaos.lab.proxy.set_mode(door, mode)

    def heal():
        chaos.lab.proxy.set_mode(door, PASS)
        chaos.free(door)
    return f"{mode} {door} for {after:.1f} s", [(after, heal)]


# -- messages --------------------------------------------------------------------------------------------
def disturb_letters(chaos, chance):
    """Doubled, dropped, delayed messages on their way into one queue."""
    queue = chance.choice([SCHEDULER_QUEUES[0]] * 3 + [SCHEDULER_QUEUES[1]]
                          + [node_queue(name) for name in NODES])
    mix = chance.choice([(0.5, 0, 0, 3), (0, 0.4, 0, 3), (0, 0, 0.6, spans.TAKEOVER + 2),
                         (0.2, 0.2, 0.2, 4)])
    after, seed = chance.uniform(3, 10), chance.random()
    if "broker" in chaos.busy or not chaos.take(queue):
        return None
    postman = Postman(chaos.lab.broker, chaos.lab.vhost, queue, mix, seed)
    postman.start()

    def goes_home():
        postman.join(100)
        chaos.free(queue)
        chaos.letters.update(postman.counts)
        chaos.say_healed(f"letters of {queue}: {postman.counts}"
                         + (f" ({postman.error})" if postman.error else ""))

    def heal():
        postman.end()
        chaos.finish(goes_home)
    words = "doubled {:.0%}, dropped {:.0%}, delayed {:.0%} up to {} s".format(*mix)
    return f"{queue} for {after:.1f} s: {words}", [(after, heal)]


# -- the broker ------------------------------------------------------------------------------------------
def alarm_broker(chaos, chance):
    """Its disk runs full: publishers are blocked."""
    after = length(chance)
    if not chaos.take("broker"):
        return None

    def work():
        chaos.lab.broker.ctl("set_disk_free_limit", "900000GB")
        time.sleep(after)
        chaos.lab.broker.ctl("set_disk_free_limit", "64MB")
    join = in_background(chaos, "broker", work, "the broker's disk has room again")
    return f"disk alarm for {after:.1f} s", [(after + 5, join)]


# -- the database ----------------------------------------------------------------------------------------
def read_only(chaos, chance):
    after = length(chance)
    if not chaos.take("database"):
        return None
    chaos.lab.rows("SET GLOBAL read_only = 1")

    def heal():
        chaos.lab.rows("SET GLOBAL read_only = 0")
        chaos.free("database")
        chaos.say_healed("the database takes writes")
    return f"read-only for {after:.1f} s", [(after, heal)]


def commit_nothing(chaos, chance):
    """The database answers, yet no commit ends."""
    after = length(chance)
    if not chaos.take("database"):
        return None

    def work():
        chaos.lab.rows(f"FLUSH TABLES WITH READ LOCK; DO SLEEP({after:.1f})", seconds=after + 30)
    join = in_background(chaos, "database", work, "the database commits")
    return f"no commit for {after:.1f} s", [(after + 1, join)]


def lose_second(chaos, chance):
    """The database is killed and comes back as it was about a second before."""
    second, after = chance.uniform(0.3, 1.5), chance.uniform(0, 3)
    database = chaos.lab.database
    if not chaos.take("database"):
        return None
    data, copy = database.directory / "data", database.directory / "copy"

    def work():
        freeze(database.pid)  # its files are as a power cut would leave them
        shutil.rmtree(copy, ignore_errors=True)
        subprocess.run(["cp", "-a", "--sparse=always", data, copy], check=True, timeout=60)
        began = time.monotonic()
        os.kill(database.pid, signal.SIGCONT)
        time.sleep(second)
        database.kill()
        chaos.lost.append((began, time.monotonic()))
        shutil.rmtree(data)
        copy.rename(data)
        time.sleep(after)
        database.start()
    join = in_background(chaos, "database", work, "the database is back without its last second")
    return f"back by {second:.1f} s after {after:.1f} s", [(second + after + 6, join)]


PEER_FAULTS = (
    ("freeze-peer", freeze_peer, 2), ("restart-peer", restart_peer, 2),
    ("connection", break_connection, 8), ("letters", disturb_letters, 6),
    ("alarm", alarm_broker, 1), ("read-only", read_only, 2), ("no-commit", commit_nothing, 2),
    ("lost-second", lose_second, 1),
)
