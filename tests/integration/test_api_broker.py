# SPDX-License-Identifier: Apache-2.0
"""guts-api and the broker: it wakes the scheduler, a Change reaches the readers of events at once, and
without the broker everything still works."""
import threading
import time
import uuid

import pika
import pytest

from api_world import Api, Rows
from api_fixtures import listen
from guts_platform import cpu_of_idling, cpu_seconds_of

QUEUE, CHANGES = "guts.v1.scheduler", "guts.v1.changes"


@pytest.fixture(scope="module")
def rows(database):
    return Rows(database, "guts_api_broker")


@pytest.fixture(scope="module")
def api(tmp_path_factory, database, broker, rows):
    one = Api(tmp_path_factory.mktemp("api"), database, rows, broker)
    one.token = rows.token("admin")
    one.wait_usable()
    yield one
    assert one.stop()[1] == 0


@pytest.fixture
def channel(broker):
    connection = pika.BlockingConnection(pika.URLParameters(broker.url))
    yield connection.channel()
    connection.close()


def is_ready(api):
    return api.get_raw("/readyz").status_code == 200


def change(channel, number):
    """guts.v1.Change{event}"""
    body = b"\x08"
    while number > 127:
        body, number = body + bytes([number & 127 | 128]), number >> 7
    channel.basic_publish(CHANGES, "", body + bytes([number]),
                          pika.BasicProperties(type="guts.v1.Change", content_type="",
                                               message_id=str(uuid.uuid4())))


def test_a_wish_wakes_the_scheduler(api, rows, channel):
    api.wait(lambda: is_ready(api))
    channel.exchange_declare("guts.v1", "topic", durable=True)
    channel.queue_declare(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})
    channel.queue_bind(QUEUE, "guts.v1", QUEUE)
    source = rows.source("lab")
    api.call("POST", "/v1/sources/lab/refresh", status=202)
    for _, properties, body in channel.consume(QUEUE, auto_ack=True, inactivity_timeout=60):
        assert properties is not None, "no Wake came"
        assert properties.type == "guts.v1.Wake"
        assert uuid.UUID(source).bytes in body
        break
    channel.cancel()


def test_a_change_reaches_readers_at_once(api, rows, channel):
    api.wait(lambda: is_ready(api))
    rows.event(299)
    times, numbers, follows = {}, range(300, 309), threading.Event()

    def write():
        assert follows.wait(60)
        for number in numbers:
            times[number] = time.monotonic()
            rows.event(number)
            change(channel, number)
            time.sleep(0.3)
    writer = threading.Thread(target=write)
    delays = []
    writer.start()
    for number, _ in follow(api, "/v1/events/stream?after=298", 1 + len(numbers)):
        follows.set()
        if number in times:
            delays.append(time.monotonic() - times[number])
    writer.join()
    print("from commit to reader:", [f"{one * 1000:.0f} ms" for one in delays])
    # By looking from time to time, as it does besides, it would tell one or two of them so soon.
    assert len(delays) == len(numbers) and sorted(delays)[5] < 0.3


def follow(api, path, count):
    import json
    last = None
    with api.get_raw(path, api.headers(), stream=True) as answer:
        for line in answer.iter_lines(chunk_size=1, decode_unicode=True):
            if line.startswith("id: "):
                last = int(line[4:])
            elif line.startswith("data: "):
                yield last, json.loads(line[6:])
                count -= 1
                if count == 0:
                    return


def test_a_message_that_is_not_for_an_api_harms_nobody(api, channel):
    api.wait(lambda: is_ready(api))
    for kind, body in (("guts.v1.Change", b"\xff\xff\xff"), ("guts.v1.NodeReport", b"x"),
                       ("nonsense", b""), ("guts.v1.Change", b"x" * 4096)):
        channel.basic_publish(CHANGES, "", body, pika.BasicProperties(type=kind))
    time.sleep(0.5)
    assert api.get_raw("/healthz").status_code == 200
    api.wait(lambda: is_ready(api))


def test_without_the_broker_wishes_and_events_go_on(api, rows, broker):
    broker.stop()
    api.wait(lambda: not is_ready(api) and "broker" in api.get_raw("/readyz").text, 120)
    begun = time.monotonic()
    api.call("POST", "/v1/sources/lab/test", status=202)
    assert time.monotonic() - begun < 5

    def later():
        time.sleep(1)
        rows.event(400)
    writer = threading.Thread(target=later)
    highest = rows.run("SELECT MAX(number) FROM events")[0][0]
    writer.start()
    assert [number for number, _ in listen(api, f"/v1/events/stream?after={highest}", 1)] == [400]
    writer.join()
    broker.start()
    api.wait(lambda: is_ready(api), 120)


def test_an_idle_daemon_is_small(api):
    api.wait(lambda: is_ready(api), 120)
    pid = api.process.pid

    used = cpu_of_idling(lambda: cpu_seconds_of(pid), 5, 0.05)
    status = open(f"/proc/{pid}/status").read()
    resident = int(status.split("VmRSS:")[1].split()[0])
    print(f"idle: {used * 20:.1f} % of a core, {resident} KiB resident")
    assert used <= 0.05 and resident < 20 * 1024
