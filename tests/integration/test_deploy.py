# SPDX-License-Identifier: Apache-2.0
"""What deploy/ gives to a database and a broker does what it says, on real ones."""
import json
import pathlib
import re
import subprocess
import time

import pika
import pymysql
import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
SCHEMA = sorted((TOP / "common/store/schema").glob("*.sql"))
KINDS = ("guts-api", "guts-scheduler", "guts-migration")
DENIED = (1142, 1143)  # of the table, of the column


# -- the database ---------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def granted(_database_session):
    """Runs users.sql, the schema and grants.sql on a database of its own; gives connections."""
    server, name = _database_session, "guts_grants"
    made_by_store = "CREATE TABLE IF NOT EXISTS schema_versions (number INT UNSIGNED PRIMARY KEY);"

    def own(text):
        return re.sub(r"\bguts\.", name + ".", text).replace("EXISTS guts ", f"EXISTS {name} ")

    for _ in range(2):  # all of it may be run again
        as_root(server, own((TOP / "deploy/users.sql").read_text()))
        as_root(server, f"USE {name};" + "".join(path.read_text() for path in SCHEMA) + made_by_store)
        as_root(server, own((TOP / "deploy/grants.sql").read_text()))
    yield lambda kind: pymysql.connect(
        host="127.0.0.1", port=int(server.env["DATABASE_PORT"]), user=f"guts-{kind}",
        password=f"change-me-{kind}", database=name, autocommit=True)
    users = ", ".join(f"'guts-{kind}'@'%'" for kind in ("api", "scheduler", "manage"))
    as_root(server, f"DROP DATABASE {name}; DROP USER {users};")


def as_root(server, text):
    subprocess.run([TOP / "tests/peers/mariadb", "client", server.directory], input=text, text=True,
                   check=True, capture_output=True)


def run(connection, statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def assert_denied(connection, statement):
    with pytest.raises(pymysql.err.OperationalError) as caught:
        run(connection, statement)
    assert caught.value.args[0] in DENIED, caught.value


def test_the_api_writes_definitions_and_wishes(granted):
    api = granted("api")
    run(api, "INSERT INTO sources (id, project, name, driver, settings_json, address, created_at,"
             " updated_at) VALUES (REPEAT('s', 16), 'p', 'n', 'ova', '{}', '', 1, 1)")
    run(api, "UPDATE sources SET name = 'm', updated_at = 2 WHERE project = 'p'")
    run(api, "SELECT id FROM sources WHERE project = 'p' FOR UPDATE")
    run(api, "INSERT INTO wishes (id, verb, owner_kind, owner_id, project, who, created_at) VALUES"
             " (REPEAT('w', 16), 'test', 'source', REPEAT('s', 16), 'p', 'me', 1)")
    run(api, "DELETE FROM sources WHERE project = 'p'")


def test_the_api_cannot_write_facts(granted):
    api = granted("api")
    for table in ("leader", "nodes", "pools", "jobs", "steps", "ledger", "events", "drivers", "needs",
                  "remains"):
        run(api, f"SELECT COUNT(*) FROM {table}")
        assert_denied(api, f"DELETE FROM {table}")
    assert_denied(api, "UPDATE migrations SET state = 'VERIFIED'")
    assert_denied(api, "UPDATE wishes SET state = 'done'")
    assert_denied(api, "UPDATE sources SET state = 'ready'")
    assert_denied(api, "DELETE FROM migrations")
    assert_denied(api, "UPDATE tokens SET role = 'admin'")
    assert_denied(api, "DROP TABLE wishes")


def test_the_scheduler_writes_every_table_but_the_tokens(granted):
    scheduler, manage = granted("scheduler"), granted("manage")
    tables = {row[0] for row in run(manage, "SHOW TABLES")}
    assert len(tables) > 20
    for table in tables - {"tokens", "schema_versions"}:
        run(scheduler, f"SELECT COUNT(*) FROM {table}")
        run(scheduler, f"DELETE FROM {table} WHERE 1 = 0")
    assert_denied(scheduler, "SELECT COUNT(*) FROM tokens")
    assert_denied(scheduler, "INSERT INTO schema_versions (number) VALUES (99)")
    assert_denied(scheduler, "INSERT INTO wishes (id) VALUES (REPEAT('x', 16))")


def test_schedulers_end_each_others_connections(granted):
    former, successor = granted("scheduler"), granted("scheduler")
    run(successor, f"KILL CONNECTION {former.thread_id()}")
    with pytest.raises(pymysql.err.Error):
        run(former, "SELECT 1")


# -- the broker -----------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def prepared(_broker_session, tmp_path_factory):
    """Runs setup on the broker, in a virtual host of its own; gives channels."""
    server, vhost = _broker_session, "guts-deploy"
    folder = tmp_path_factory.mktemp("rabbitmq")
    for kind in KINDS:
        (folder / kind).write_text(f"secret-{kind}\n")
    text = (TOP / "deploy/rabbitmq/definitions.json").read_text()
    text = text.replace('"vhost": "guts"', f'"vhost": "{vhost}"').replace('"name": "guts"', f'"name": "{vhost}"')
    (folder / "definitions.json").write_text(text)
    script = folder / "setup"
    script.write_text((TOP / "deploy/rabbitmq/setup").read_text())
    command = f"{TOP}/tests/peers/rabbitmq ctl {server.directory}"
    subprocess.run(["/usr/bin/python3", script, folder], check=True,
                   env={"RABBITMQCTL": command, "PATH": "/usr/bin:/bin"})
    connections = []

    def channel(kind):
        connections.append(pika.BlockingConnection(pika.ConnectionParameters(
            "127.0.0.1", int(server.env["BROKER_PORT"]), vhost,
            pika.PlainCredentials(kind, f"secret-{kind}"))))
        return connections[-1].channel()

    for kind in KINDS:  # what every daemon declares when it connects
        connected = channel(kind)
        connected.exchange_declare("guts.v1", "topic", durable=True)
        connected.exchange_declare("guts.v1.changes", "fanout", durable=True)
        declare(connected, "guts.v1.dead")
    for name in ("guts.v1.scheduler", "guts.v1.scheduler.bulk"):
        declare(channel("guts-scheduler"), name)
    declare(channel("guts-migration"), "guts.v1.node.n1")
    channel.vhost = vhost
    channel.server = server
    yield channel
    for connection in connections:
        if connection.is_open:
            connection.close()
    server.ctl("delete_vhost", vhost)
    for kind in KINDS:
        server.ctl("delete_user", kind)


def declare(channel, name):
    """A durable quorum queue, reached by its name."""
    channel.queue_declare(name, durable=True, arguments={"x-queue-type": "quorum"})
    channel.queue_bind(name, "guts.v1", name)


def assert_refused(act):
    with pytest.raises(pika.exceptions.ChannelClosedByBroker) as caught:
        act()
    assert caught.value.reply_code == 403


def test_only_the_scheduler_reads_its_queues(prepared):
    assert prepared("guts-scheduler").basic_get("guts.v1.scheduler") == (None, None, None)
    for kind in ("guts-api", "guts-migration"):
        for queue in ("guts.v1.scheduler", "guts.v1.scheduler.bulk", "guts.v1.dead"):
            assert_refused(lambda k=kind, q=queue: prepared(k).basic_get(q))


def test_a_node_reads_its_queue_and_reaches_the_scheduler(prepared):
    node = prepared("guts-migration")
    assert node.basic_get("guts.v1.node.n1") == (None, None, None)
    node.confirm_delivery()
    node.basic_publish("guts.v1", "guts.v1.scheduler", b"x", mandatory=True)
    assert_refused(lambda: prepared("guts-migration").queue_declare("amq.gen-mine"))
    with pytest.raises(pika.exceptions.ChannelClosedByBroker):
        node.basic_publish("guts.v1.changes", "", b"x")


def test_an_api_hears_changes_and_sends_hints(prepared):
    api = prepared("guts-api")
    queue = api.queue_declare("", exclusive=True).method.queue
    api.queue_bind(queue, "guts.v1.changes")
    leader = prepared("guts-scheduler")
    leader.confirm_delivery()
    leader.basic_publish("guts.v1.changes", "", b"change", mandatory=True)
    assert api.basic_get(queue, auto_ack=True)[2] == b"change"
    api.confirm_delivery()
    api.basic_publish("guts.v1", "guts.v1.scheduler", b"wake", mandatory=True)
    assert_refused(lambda: prepared("guts-api").basic_get("guts.v1.node.n1"))
    assert_refused(lambda: prepared("guts-api").queue_delete("guts.v1.node.n1"))


def test_what_is_rejected_goes_to_the_dead_letters(prepared):
    leader = prepared("guts-scheduler")
    leader.queue_purge("guts.v1.scheduler")
    leader.confirm_delivery()
    leader.basic_publish("guts.v1", "guts.v1.scheduler", b"poison", mandatory=True)
    method, _, body = leader.basic_get("guts.v1.scheduler")
    assert body == b"poison"
    leader.basic_nack(method.delivery_tag, requeue=False)
    deadline = time.monotonic() + 10
    while (letter := leader.basic_get("guts.v1.dead", auto_ack=True))[2] is None:
        assert time.monotonic() < deadline, "no dead letter"
    assert letter[2] == b"poison"


def test_every_queue_is_bounded_by_a_policy(prepared):
    api = prepared("guts-api")
    api.queue_declare("", exclusive=True)
    text = prepared.server.ctl("list_queues", "-p", prepared.vhost, "--silent", "--formatter", "json",
                               "name", "policy")
    expected = {"guts.v1.scheduler": "guts-scheduler", "guts.v1.scheduler.bulk": "guts-bulk",
                "guts.v1.node.n1": "guts-node", "guts.v1.dead": "guts-dead"}
    queues = json.loads(text)
    assert len(queues) >= 5
    for queue in queues:
        assert queue["policy"] == expected.get(queue["name"], "guts-changes"), queue
    definitions = json.loads((TOP / "deploy/rabbitmq/definitions.json").read_text())
    assert all(policy["definition"]["max-length"] > 0 for policy in definitions["policies"])
