# SPDX-License-Identifier: Apache-2.0
"""guts-migration as a process of its own on a real broker: killed, cut off, told to end."""
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import time

import pytest

from guts_platform import cpu_of_idling, wait_until
from node_play import BUILD, Node, Play, load_messages

MIB = 1 << 20
# Slow enough to strike in mid-copy.
SLOW = {"disk_bytes": 96 * MIB, "data_percent": 100, "bytes_per_second": 16 * MIB}
# Struck at the half, a copy that began anew would read 144 MiB. What is read while a flush goes on is read twice: at
# this rate a disk may take a second for it.
HALF, AGAIN_MOST, SLOWER = 48 * MIB, 104 * MIB, {**SLOW, "bytes_per_second": 8 * MIB}


@pytest.fixture(scope="session")
def messages(tmp_path_factory):
    return load_messages(tmp_path_factory.mktemp("messages"))


@pytest.fixture
def node(broker, tmp_path):
    made = Node(tmp_path / "node", broker, broker.vhost("node"))
    yield made
    made.end()


@pytest.fixture
def play(messages, broker, node):
    made = Play(messages, broker, "node")
    made.connect()
    node.start()
    made.wait(lambda: made.instance, "the first report")
    yield made
    made.disconnect()


def content(result):
    return json.loads(result.evidence_json)["content"]


def test_a_migration_is_accepted_done_told_and_closed(play, node, messages):
    job = play.migrate(node, {"disks": 2})
    result = play.result(job)
    assert result.outcome == messages.OUTCOME_DONE, result.fault.text
    assert result.reached == messages.MIGRATION_STATE_VERIFIED
    assert play.accepted == [job]
    play.wait(lambda: len(play.steps(job)) > 1, "a report of its steps")  # the result may come before one
    assert play.steps(job)[:2] == ["describe", "preflight"]
    assert json.loads(result.server_json)["name"] == "fake-000001"
    assert [deed["deed"] for deed in node.deeds()].count("server") == 1
    play.wanted[job] = messages.WANTED_STATE_CLOSE
    play.wait(lambda: job in play.gone, "the directory to go")
    play.wait(lambda: not play.report.jobs, "the job to be forgotten")


def test_a_worker_killed_in_mid_copy_reads_little_again(play, node, messages):
    job = play.migrate(node, SLOWER)
    play.wait(lambda: play.done_bytes(job) > HALF, "half of the copy")
    [worker] = node.workers()
    limits = pathlib.Path(f"/proc/{worker}/limits").read_text()
    memory, = [line.split()[3] for line in limits.splitlines() if line.startswith("Max data size")]
    assert memory.isdigit()  # "unlimited" for nobody
    os.kill(worker, signal.SIGKILL)
    result = play.result(job)
    assert result.outcome == messages.OUTCOME_DONE, result.fault.text
    assert content(result)["resumes"] == 1
    # What was flushed is not read again; what was read while that flush went on is counted twice.
    assert 88 * MIB <= content(result)["bytes_read"] <= AGAIN_MOST
    assert play.jobs[job].token.run == 2


def test_a_daemon_killed_in_mid_copy_goes_on_after_its_start(play, node, messages):
    job = play.migrate(node, SLOWER)
    play.wait(lambda: play.done_bytes(job) > HALF, "half of the copy")
    [worker] = node.workers()
    before = play.instance
    node.kill()
    wait_until("it died with its daemon", 5, lambda: not os.path.exists(f"/proc/{worker}/exe"), 0.02)
    node.start()
    play.wait(lambda: play.instance != before, "the new instance")
    result = play.result(job)
    assert result.outcome == messages.OUTCOME_DONE, result.fault.text
    assert content(result)["resumes"] == 1
    assert content(result)["bytes_read"] <= AGAIN_MOST
    assert [deed["deed"] for deed in node.deeds()].count("server") == 1


def test_a_daemon_told_to_end_ends_soon_and_loses_nothing(play, node, messages):
    job = play.migrate(node, SLOW)
    play.wait(lambda: play.done_bytes(job) > 16 * MIB, "a part of the copy")
    before = play.instance
    assert node.stop() < 5
    node.start()
    play.wait(lambda: play.instance != before, "the new instance")
    assert play.result(job).outcome == messages.OUTCOME_DONE


def test_a_broker_that_is_away_stops_no_copy(play, node, messages, broker):
    job = play.migrate(node, SLOW)
    play.wait(lambda: play.done_bytes(job) > 8 * MIB, "the copy to begin")
    broker.stop()
    play.disconnect()
    wait_until("it says what it lacks", 10, lambda: node.answers("/readyz", 503, "broker"))
    time.sleep(4)  # as long as the copy takes: it goes on meanwhile
    broker.start()
    result = play.result(job)
    assert result.outcome == messages.OUTCOME_DONE, result.fault.text
    assert play.jobs[job].token.run == 1
    play.wait(lambda: node.get("/readyz")[0] == 200, "the node to be ready")


def test_a_migration_whose_ledger_is_silent_waits_and_then_goes_on(play, node, messages):
    play.answers = False
    job = play.migrate(node)
    play.wait(lambda: job in play.jobs and play.jobs[job].token.run == 1, "the worker")
    until = time.monotonic() + 1.5
    play.wait(lambda: time.monotonic() > until, "time to pass")
    assert node.deeds() == []
    play.answers = True
    assert play.result(job).outcome == messages.OUTCOME_DONE


def test_without_a_lease_nothing_outside_is_begun(play, node, messages):
    play.lease_ms = 0
    job = play.migrate(node)
    until = time.monotonic() + 1.5
    play.wait(lambda: time.monotonic() > until and play.ledger, "an entry")
    assert node.deeds() == [] and job not in play.results
    play.lease_ms = 10000
    assert play.result(job).outcome == messages.OUTCOME_DONE


def test_a_rollback_takes_back_what_a_migration_made(play, node, messages):
    owner = os.urandom(16)
    job = play.migrate(node, {"power": "on"}, {"stop_source": True}, owner=owner)
    assert play.result(job).outcome == messages.OUTCOME_DONE
    back = play.migrate(node, {"power": "on"}, kind=messages.JOB_KIND_ROLLBACK, attempt=2,
                        owner=owner)
    result = play.result(back)
    assert result.outcome == messages.OUTCOME_DONE, result.fault.text
    assert {entry.state for entry in play.ledger.values()} == {messages.LEDGER_STATE_UNDONE}
    power = [(deed["at_us"], deed["end"], deed["deed"]) for deed in node.deeds()
             if deed["deed"].startswith("power")]
    assert [(end, deed) for _, end, deed in power] == [
        ("source", "power_off"), ("destination", "power_on"), ("destination", "power_off"),
        ("source", "power_on")]


def test_rubbish_goes_to_the_dead_letters_and_the_node_lives_on(play, node, messages, broker):
    import pika
    play.channel.basic_publish("guts.v1", "guts.v1.node.n1", b"\xff\x07rubbish",
                               pika.BasicProperties(type="guts.v1.JobAssign"))
    play.channel.basic_publish("guts.v1", "guts.v1.node.n1", b"", pika.BasicProperties(type="?"))
    job = play.migrate(node)
    assert play.result(job).outcome == messages.OUTCOME_DONE
    until = time.monotonic() + 60
    while broker.queues("node").get("guts.v1.dead") != 2:
        assert time.monotonic() < until
        time.sleep(0.5)


def test_a_bad_assignment_costs_only_itself(play, node, messages):
    first, second, unknown = (play.assignment(node) for _ in range(3))
    unknown.source.driver = "nonesuch"
    refused = len(play.refused)
    good = {first.token.job, second.token.job}
    play.channel.queue_purge("guts.v1.dead")
    play.assign("n1", first, b"\xff\x07rubbish", unknown, second)
    play.wait(lambda: good <= set(play.accepted), "two accepts")
    play.wait(lambda: "driver_unknown" in play.refused[refused:], "a refusal")
    assert unknown.token.job not in play.accepted
    for assignment in (first, second):
        assert play.result(assignment.token.job).outcome == messages.OUTCOME_DONE
    dead, reasons = [], []

    def has_come():
        _, words, body = play.channel.basic_get("guts.v1.dead", auto_ack=True)
        if body is not None:
            dead.append(messages.JobAssign.FromString(body))
            reasons.append(words.headers)
        return dead
    play.wait(has_come, "a dead letter")
    assert list(dead[0].assignments) == [b"\xff\x07rubbish"]
    assert reasons[0]["x-guts-fault"] == "message_poison" and reasons[0]["x-guts-text"]
    assert reasons[0]["x-guts-queue"] == "guts.v1.node.n1"
    counted = [line.split() for line in node.get("/metrics")[1].splitlines()
               if line.startswith("guts_node_messages_rejected_total")]
    assert counted and int(counted[0][-1]) >= 1


def test_a_job_with_unknown_driver_is_refused_with_its_code(play, node, messages):
    assign = messages.Assignment(
        token=messages.Token(job=os.urandom(16), attempt=1),
        kind=messages.JOB_KIND_TEST, owner_kind=messages.OWNER_KIND_SOURCE,
        owner_id=os.urandom(16))
    assign.source.CopyFrom(messages.Endpoint(id=os.urandom(16), driver="nonesuch"))
    refused = len(play.refused)
    play.assign("n1", assign)
    play.wait(lambda: play.refused[refused:] == ["driver_unknown"], "a refusal")


def test_a_second_daemon_under_the_same_name_and_pool_does_not_start(play, node):
    other = node.directory / "other.conf"
    other.write_text(node.config.read_text().replace(f"127.0.0.1:{node.port}", ""))
    done = subprocess.run([BUILD / "migration/guts-migration", "-c", other], timeout=20,
                          capture_output=True, text=True)
    assert done.returncode == 1
    assert "node_name_taken" in done.stderr


def test_a_node_whose_space_is_full_waits_for_room(messages, broker, node):
    pool = node.directory / "pool"
    pool.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(pool)],
                                           capture_output=True, timeout=30).returncode != 0:
        pytest.skip("mounting needs root")
    play = Play(messages, broker, "node")
    play.connect()
    try:
        with contextlib.suppress(OSError), open(pool / "filler", "wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))
        node.start()
        play.wait(lambda: node.answers("/readyz", 503, "conversion space"), "it to say what it lacks")
        assert node.stop() < 5
        node.start()
        play.wait(lambda: node.answers("/readyz", 503, "conversion space"), "it to say so again")
        (pool / "filler").unlink()
        play.wait(lambda: play.instance, "the first report")
        play.wait(lambda: node.answers("/readyz", 200, ""), "it to be ready")
    finally:
        node.end()
        play.disconnect()
        subprocess.run(["umount", "-l", str(pool)], check=True, timeout=30)


def test_an_idle_node_is_small_and_quiet(play, node):
    until = time.monotonic() + 2
    play.wait(lambda: time.monotonic() > until, "time to pass")

    def spend(seconds):
        until = time.monotonic() + seconds
        play.wait(lambda: time.monotonic() > until, "time to pass")
    share = cpu_of_idling(node.cpu_seconds, 5, 0.2, wait=spend) / 5
    print(f"resident {node.resident_mib():.1f} MiB, {share * 100:.2f} % of a core")
    # Fifteen times as many reports as the default asks for.
    assert share < 0.05
    if "asan" not in subprocess.run(["ldd", BUILD / "migration/guts-migration"], text=True,
                                    capture_output=True, timeout=20).stdout:
        assert node.resident_mib() < 20
    assert node.get("/healthz")[0] == 200
    assert "guts_node_reports_total" in node.get("/metrics")[1]
