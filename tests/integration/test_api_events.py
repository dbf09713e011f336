# SPDX-License-Identifier: Apache-2.0
"""Events and their stream through guts-api."""
import re
import socket
import threading
import time

from api_fixtures import api, listen, rows, world  # noqa: F401
from guts_platform import wait_until


# -- events ---------------------------------------------------------------------------------------

def test_events_are_listed_forwards_and_backwards(api, rows, world):
    for number in range(10, 20):
        rows.event(number, owner_id=world.migration if number % 2 else None,
                   kind="node.down" if number == 15 else "migration.state")

    def numbers(query):
        return [one["number"] for one in api.call("GET", f"/v1/events?{query}")["events"]]
    assert numbers("limit=3") == [19, 18, 17]
    assert numbers("limit=2&before=15") == [14, 13]
    assert numbers("after=16") == [17, 18, 19]
    assert numbers(f"after=9&owner={world.migration}") == [11, 13, 15, 17, 19]
    assert numbers("after=9&kind=node.") == [15]
    page = api.call("GET", "/v1/events?limit=4&after=9")
    assert [one["number"] for one in api.call("GET", page["next"])["events"]] == [14, 15, 16, 17]
    api.call("GET", "/v1/events?after=1&before=2", status=422)
    api.call("GET", "/v1/events?owner=x", status=422)


def test_the_stream_resumes_and_goes_on(api, rows, world):
    old = listen(api, "/v1/events/stream", 3, {"Last-Event-ID": "15"})
    assert [number for number, _ in old] == [16, 17, 18]
    assert old[0][1]["text"] == "event 16"

    def later():
        time.sleep(1)
        for number in (30, 31, 32):
            rows.event(number)
    writer = threading.Thread(target=later)
    writer.start()
    begun = time.monotonic()
    live = listen(api, "/v1/events/stream?after=18", 4)
    writer.join()
    assert [number for number, _ in live] == [19, 30, 31, 32]
    assert time.monotonic() - begun < 20
    rest = listen(api, "/v1/events/stream?after=18", 2, {"Last-Event-ID": "30"})
    assert [number for number, _ in rest] == [31, 32]


def test_a_stream_says_at_once_where_it_begins(api, rows):
    """So that a reader whose API goes away before its first event misses none."""
    highest = rows.run("SELECT MAX(number) FROM events")[0][0]
    with api.get_raw("/v1/events/stream", api.headers(), stream=True) as answer:
        lines = [line for line, _ in zip(answer.iter_lines(decode_unicode=True), range(3))]
    assert lines == ["retry: 2000", "", f"id: {highest}"]
    rows.event(highest + 1, text="meanwhile")
    resumed = listen(api, "/v1/events/stream", 1, {"Last-Event-ID": str(highest)})
    assert resumed[0][1]["text"] == "meanwhile"


def test_a_long_backlog_comes_in_portions_that_can_be_resumed(api, rows):
    rows.run("INSERT INTO events (number, at, project, kind, severity, owner_kind, text) SELECT "
             "100 + seq, 1, 'default', 'job.note', 'info', 'migration', 'x' FROM seq_1_to_2500")
    rows.run("UPDATE leader SET event_number = 2600")
    seen, last = 0, 100
    for _ in range(20):
        events = listen(api, f"/v1/events/stream?after={last}&kind=job.", 2600 - last, seconds=10)
        assert events and events[0][0] == last + 1
        seen, last = seen + len(events), events[-1][0]
        if last == 2600:
            break
    assert seen == 2500


def test_a_rare_kind_is_found_among_many_events(api, rows):
    rows.event(2601, kind="node.down")
    rows.event(2602, kind="job.note")
    page = api.call("GET", "/v1/events?kind=node.&limit=2", status=200)
    assert [one["number"] for one in page["events"]] == [2601, 15]
    page = api.call("GET", "/v1/events?kind=node.&limit=1&after=100", status=200)
    assert [one["number"] for one in page["events"]] == [2601] and page["next"]
    assert api.call("GET", page["next"])["events"] == []


def test_the_stream_shows_the_own_project_only(api, rows, world):
    rows.event(3000, project="other", text="theirs")
    rows.event(3001, project="", text="of the site")
    rows.event(3002, text="ours")
    mine = listen(api, "/v1/events/stream?after=2999", 1, {"X-Auth-Token": world.tokens["reader"]})
    assert mine[0][0] == 3002
    everything = listen(api, "/v1/events/stream?after=2999", 3)
    assert [number for number, _ in everything] == [3000, 3001, 3002]


def test_a_hundred_readers_hear_the_same(api, rows):
    heard = []

    def follow():
        heard.append([n for n, _ in listen(api, "/v1/events/stream?after=3002", 2)])
    readers = [threading.Thread(target=follow) for _ in range(100)]
    for one in readers:
        one.start()
    time.sleep(2)
    rows.event(3100)
    rows.event(3101)
    for one in readers:
        one.join()
    assert heard == [[3100, 3101]] * 100


def receive(connection, text, is_enough):
    while not is_enough(text):
        part = connection.recv(100)
        assert part, text
        text += part
    return text


def test_a_slow_reader_is_cut_off_and_resumes(api, rows):
    def insert(first, count):
        rows.run("INSERT INTO events (number, at, project, kind, severity, owner_kind, text) SELECT "
                 "%s + seq, 1, 'default', 'job.slow', 'info', 'migration', REPEAT('x', 1000) "
                 f"FROM seq_0_to_{count - 1}", first)
        rows.run("UPDATE leader SET event_number = %s", first + count - 1)

    def numbers(text):
        return [int(one) for one in re.findall(rb"id: (\d+)\ndata", text)]
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        slow.connect(("127.0.0.1", api.port))
        slow.sendall(b"GET /v1/events/stream?kind=job.slow HTTP/1.1\r\nHost: localhost\r\n"
                     b"X-Auth-Token: " + api.token.encode() + b"\r\n\r\n")
        slow.settimeout(60)
        text = receive(slow, b"", lambda text: re.search(rb"id: \d+\n\n", text))
        insert(10000, 1)
        text = receive(slow, text, numbers)  # it has begun to hear, and reads no more for a while
        for first in range(10001, 20001, 1000):  # 12 MB, five times what the ring holds
            insert(first, 1000)
            time.sleep(0.15)
        time.sleep(2)
        while part := slow.recv(1 << 20):
            text += part
            if text.endswith(b"0\r\n\r\n"):
                break
    heard = numbers(text)
    assert heard == list(range(10000, 10000 + len(heard))) and len(heard) < 10000
    resumed = listen(api, "/v1/events/stream?kind=job.slow", 10,
                     {"Last-Event-ID": str(heard[-1])})
    assert [number for number, _ in resumed] == list(range(heard[-1] + 1, heard[-1] + 11))


def test_a_reader_hears_of_events_that_are_no_longer_kept(api, rows):
    lowest = rows.run("SELECT MIN(number) FROM events")[0][0]
    rows.run("DELETE FROM events WHERE number = %s", lowest)
    kept = rows.run("SELECT MIN(number) FROM events")[0][0]
    answer = api.get_raw(f"/v1/events/stream?after={lowest - 1}", api.headers(), stream=True)
    lines = [line.decode() for line, _ in zip(answer.iter_lines(), range(6))]
    answer.close()
    assert lines[2:5] == ["event: missing", f'data: {{"after":{lowest - 1},"before":{kept}}}', ""]
    assert lines[5] == f"id: {kept}"
    whole = api.get_raw(f"/v1/events/stream?after={kept - 1}", api.headers(), stream=True)
    lines = [line.decode() for line, _ in zip(whole.iter_lines(), range(3))]
    whole.close()
    assert lines[2] == f"id: {kept}"


def test_a_stream_tells_that_the_database_went_back(api, rows):
    """The numbers that a reader saw are given anew: it hears of it, and resumes behind the rest."""
    rows.event(30000)
    rows.event(30005, text="will be lost")
    told = []

    def follow():
        answer = api.get_raw("/v1/events/stream?after=30000", api.headers(), stream=True)
        for line in answer.iter_lines():
            told.append(line.decode())
    reader = threading.Thread(target=follow)
    reader.start()
    wait_until("it is told", 30, lambda: any("will be lost" in line for line in told))
    rows.connection.begin()
    rows.run("DELETE FROM events WHERE number > 30000")
    rows.run("UPDATE leader SET event_number = 30000")
    rows.connection.commit()
    reader.join(60)
    assert not reader.is_alive()
    assert [line for line in told if line][-3:] == ["id: 30000", "event: reset",
                                                    'data: {"after":30000}']
    rows.event(30001, text="another past")
    again = listen(api, "/v1/events/stream", 1, {"Last-Event-ID": "30000"})
    assert again[0][1]["text"] == "another past"


def test_a_reader_that_was_away_hears_that_the_database_went_back(api, rows):
    rows.event(30010)
    answer = api.get_raw("/v1/events/stream", {**api.headers(), "Last-Event-ID": "99999999"},
                         stream=True)
    lines = [line.decode() for line, _ in zip(answer.iter_lines(), range(6))]
    answer.close()
    assert lines[2:5] == ["id: 30010", "event: reset", 'data: {"after":30010}']


def test_a_number_that_was_given_anew_is_noticed(api, rows):
    """The new past has as many events already: only their moments tell it from the old one."""
    rows.event(30020, at=1000)
    told = []

    def follow():
        answer = api.get_raw("/v1/events/stream?after=30019", api.headers(), stream=True)
        for line in answer.iter_lines():
            told.append(line.decode())
    reader = threading.Thread(target=follow)
    reader.start()
    wait_until("it is told", 30, lambda: any("event 30020" in line for line in told))
    rows.run("UPDATE events SET at = 2000 WHERE number = 30020")
    reader.join(60)
    assert not reader.is_alive() and "event: reset" in told
