# SPDX-License-Identifier: Apache-2.0
"""guts-api on a real database: every route, roles and projects, bad input, outages."""
import json
import re
import socket
import subprocess
import threading
import time
import uuid

import pytest
import requests

from api_world import BUILD, CONTRACT, METHODS, ROLES, Api, Rows, new_id

GiB = 1 << 30


class World:
    def __init__(self, directory, database):
        self.rows = Rows(database, "guts_api")
        self.tokens = {role: self.rows.token(role) for role in ROLES}
        self.foreign = {role: self.rows.token(role, "other") for role in ("reader", "member")}
        rows = self.rows
        self.source, self.destination = rows.source("lab"), rows.destination("store")
        self.vm, self.spare = rows.vm(self.source, "web"), rows.vm(self.source, "spare")
        self.migration = rows.migration(self.vm, self.source, self.destination, "CONVERTING",
                                        vm_name="web")
        self.node = rows.node("node-1")
        self.wish = new_id()
        rows.insert("wishes", id=uuid.UUID(self.wish).bytes, verb="test", owner_kind="source",
                    owner_id=uuid.UUID(self.source).bytes, project="default", who="x",
                    created_at=rows.now(), state="failed", fault_code="source_unreachable",
                    fault_text="no route", answer_json='{"a": 1}', finished_at=rows.now())
        rows.event(1, owner_id=self.migration)
        self.keys = make_seal_key(directory)
        self.api = Api(directory / "api", database, rows, seal_keys=self.keys)
        self.api.token = self.tokens["admin"]
        self.api.wait_usable()


def make_seal_key(directory):
    """A public key file: what an X25519 public key looks like."""
    import base64
    path = directory / "seal.public"
    path.write_text("a1b2c3d4e5f60718 " + base64.b64encode(bytes([9] + [0] * 31)).decode() + "\n")
    return path


@pytest.fixture(scope="module")
def world(tmp_path_factory, database):
    one = World(tmp_path_factory.mktemp("api"), database)
    yield one
    assert one.api.stop()[1] == 0


@pytest.fixture
def api(world):
    return world.api


@pytest.fixture
def rows(world):
    return world.rows


def names_of(answer, key):
    return [one["name"] for one in answer[key]]


# -- sources and destinations ---------------------------------------------------------------------

@pytest.mark.parametrize("kind, driver", [("sources", "ova"), ("destinations", "local")])
def test_a_definition_is_created_shown_changed_and_deleted(api, kind, driver):
    made = api.call("POST", f"/v1/{kind}", {"name": "Müller & Söhne", "driver": driver,
                                            "settings": {"path": "/data"}, "labels": ["dc-1"],
                                            "description": "first"}, status=201)
    assert made["state"] == "new" and made["address"] == "path=/data" and made["labels"] == ["dc-1"]
    assert made["project"] == "default" and made["sealed"] is False
    path = f"/v1/{kind}/{made['id']}"
    assert api.call("GET", path, status=200) == made
    assert api.call("GET", f"/v1/{kind}/M%C3%BCller%20%26%20S%C3%B6hne", status=200) == made
    changed = api.call("PATCH", path, {"name": "new-name", "settings": {"path": "/else"}},
                       status=200)
    assert changed["settings"] == {"path": "/else"} and changed["description"] == "first"
    assert "new-name" in names_of(api.call("GET", f"/v1/{kind}", status=200), kind)
    assert names_of(api.call("GET", f"/v1/{kind}?name=new-name"), kind) == ["new-name"]
    api.call("DELETE", path, status=204)
    assert api.call("GET", path, status=404)["code"] == "not_found"


def test_settings_take_their_declared_type(api):
    made = api.call("POST", "/v1/sources", {"name": "typed", "driver": "ova", "settings": {
        "path": "/x", "depth": "7", "follow": "true"}}, status=201)
    assert made["settings"] == {"path": "/x", "depth": 7, "follow": True}
    less = api.call("PATCH", "/v1/sources/typed", {"settings": {"depth": None}}, status=200)
    assert less["settings"] == {"path": "/x", "follow": True}
    api.call("DELETE", "/v1/sources/typed", status=204)


def test_secrets_are_sealed_and_never_shown(api, rows):
    word = "tr0ub4dor&3-unlikely"
    made = api.call("POST", "/v1/sources", {"name": "sealed", "driver": "ova", "settings": {
        "path": "/x", "password": word}}, status=201)
    assert made["sealed"] is True and "password" not in made["settings"]
    shown = api.call("GET", "/v1/sources/sealed") | api.call("PATCH", "/v1/sources/sealed",
                                                             {"description": "d"}, status=200)
    assert word not in json.dumps(shown) and shown["sealed"] is True
    (stored,) = rows.run("SELECT * FROM sources WHERE name = 'sealed'")
    assert word.encode() not in b"".join(repr(one).encode() for one in stored)
    assert word not in (api.directory / "log").read_text()


def test_a_changed_address_needs_the_secrets_again(api):
    answer = api.call("PATCH", "/v1/sources/sealed", {"settings": {"path": "/y"}}, status=422)
    assert answer["code"] == "secrets_needed"
    assert api.call("GET", "/v1/sources/sealed")["settings"] == {"path": "/x"}
    moved = api.call("PATCH", "/v1/sources/sealed",
                     {"settings": {"path": "/y", "password": "again"}}, status=200)
    assert moved["address"] == "path=/y" and moved["sealed"] is True
    bare = api.call("PATCH", "/v1/sources/sealed", {"settings": {"password": None}}, status=200)
    assert bare["sealed"] is False
    api.call("DELETE", "/v1/sources/sealed", status=204)


def test_names_are_unique_within_a_project_only(api, world):
    body = {"name": "lab", "driver": "ova", "settings": {"path": "/x"}}
    assert api.call("POST", "/v1/sources", body, status=409)["code"] == "name_taken"
    api.call("POST", "/v1/sources", body, token=world.foreign["member"], status=201)
    assert api.call("GET", "/v1/sources/lab", status=409)["code"] == "name_ambiguous"
    api.call("GET", "/v1/sources/lab", token=world.tokens["reader"], status=200)
    api.call("DELETE", "/v1/sources/lab", token=world.foreign["member"], status=204)


def test_what_is_in_use_is_not_deleted(api, world):
    assert api.call("DELETE", f"/v1/sources/{world.source}", status=409)["code"] == "in_use"
    assert api.call("DELETE", "/v1/destinations/store", status=409)["code"] == "in_use"


@pytest.mark.parametrize("verb", ["test", "refresh"])
@pytest.mark.parametrize("kind, name", [("sources", "lab"), ("destinations", "store")])
def test_a_wish_is_written_and_can_be_followed(api, world, rows, kind, name, verb):
    wish = api.call("POST", f"/v1/{kind}/{name}/{verb}", status=202)["wish"]
    assert (wish["verb"], wish["state"], wish["owner_kind"]) == (verb, "open", kind[:-1])
    assert api.call("GET", f"/v1/wishes/{wish['id']}", status=200) == wish
    ((due,),) = rows.run("SELECT due_at FROM wishes WHERE id = %s", uuid.UUID(wish["id"]).bytes)
    assert due is not None


def test_the_outcome_of_a_wish_is_shown(api, world):
    wish = api.call("GET", f"/v1/wishes/{world.wish}", status=200)
    assert wish["state"] == "failed" and wish["answer"] == {"a": 1}
    assert wish["fault"]["code"] == "source_unreachable" and wish["fault"]["hint"]


def test_a_catalogue_is_paged_and_filtered(api, rows, world):
    for number in range(5):
        rows.insert("catalogues", destination_id=uuid.UUID(world.destination).bytes, kind="network",
                    item=f"n{number}", name=f"net {number}", detail_json='{"vlan": 7}', refresh=1)
    first = api.call("GET", "/v1/destinations/store/catalogue?limit=3&kind=network", status=200)
    assert [one["id"] for one in first["catalogue"]] == ["n0", "n1", "n2"]
    rest = api.call("GET", first["next"], status=200)
    assert [one["id"] for one in rest["catalogue"]] == ["n3", "n4"] and rest["next"] is None
    assert api.call("GET", "/v1/destinations/store/catalogue?kind=flavor")["catalogue"] == []


# -- drivers, nodes, services ---------------------------------------------------------------------

def test_drivers_tell_their_settings(api):
    drivers = api.call("GET", "/v1/drivers", status=200)["drivers"]
    assert {(one["end"], one["name"]) for one in drivers} == {("source", "ova"),
                                                              ("destination", "local")}
    assert len(api.call("GET", "/v1/drivers?end=source")["drivers"]) == 1
    ova = api.call("GET", "/v1/drivers/source/ova", status=200)
    assert [one["secret"] for one in ova["settings"]] == [False, False, False, True]
    api.call("GET", "/v1/drivers/destination/ova", status=404)
    api.call("GET", "/v1/drivers/nowhere/ova", status=404)


def test_nodes_are_shown_and_switched(api, rows, world):
    (node,) = api.call("GET", "/v1/nodes", status=200)["nodes"]
    assert node["name"] == "node-1" and node["pools"][0]["available_bytes"] == -5
    assert api.call("GET", "/v1/nodes/node-1", status=200)["jobs"] == []
    api.call("GET", f"/v1/nodes/{world.node}", status=200)
    api.call("GET", "/v1/nodes/node-9", status=404)
    for verb in ("enable", "drain", "disable"):
        wish = api.call("POST", f"/v1/nodes/node-1/{verb}", {"reason": "new disks"},
                        status=202)["wish"]
        assert wish["arguments"] == {"reason": "new disks"} and wish["owner_id"] == world.node
    api.call("POST", "/v1/nodes/node-1/drain", status=202)
    api.call("POST", "/v1/nodes/node-9/drain", status=404)


def test_services_are_listed_with_nodes(api):
    services = api.call("GET", "/v1/services", status=200)["services"]
    kinds = {one["kind"]: one for one in services}
    assert kinds["api"]["up"] is True and kinds["api"]["name"].endswith(f":{api.port}")
    assert kinds["migration"]["name"] == "guts-migration@node-1"


# -- vms ------------------------------------------------------------------------------------------

def test_a_vm_is_shown_by_id_and_by_name(api, world):
    vm = api.call("GET", f"/v1/vms/{world.vm}", status=200)
    assert vm["disks"][0]["capacity_bytes"] == 10 * GiB and vm["nics"][0]["network"] == "bridged"
    assert vm["migration"] == {"id": world.migration, "state": "CONVERTING"}
    assert vm["source_name"] == "lab" and vm["obstacle"] is None
    assert api.call("GET", "/v1/vms/web", status=200) == vm
    assert api.call("GET", "/v1/vms/web?source=lab", status=200) == vm
    api.call("GET", "/v1/vms/nobody", status=404)
    api.call("GET", f"/v1/vms/{new_id()}", status=404)


def test_vms_are_filtered(api, rows, world):
    source = rows.source("filters")
    rows.vm(source, "a-1", power="on", obstacle_code="vm_running", obstacle_text="it runs")
    rows.vm(source, "a-2")
    rows.vm(source, "a%2")
    rows.vm(source, "gone", gone_at=rows.now())

    def found(query):
        return names_of(api.call("GET", f"/v1/vms?source=filters&{query}", status=200), "vms")
    assert found("") == ["a-1", "a-2", "a%2"]
    assert found("name=a-2") == ["a-2"]
    assert found("prefix=a-") == ["a-1", "a-2"]
    assert found("prefix=a%25") == ["a%2"]
    assert found("power=on") == ["a-1"]
    assert found("gone=true") == ["gone"]
    assert found("gone=all&order=desc") == ["gone", "a%2", "a-2", "a-1"]
    shown = api.call("GET", "/v1/vms?source=filters&power=on")["vms"][0]
    assert shown["obstacle"]["code"] == "vm_running" and shown["obstacle"]["detail"] == "it runs"
    api.call("GET", "/v1/vms?source=nowhere", status=404)


def test_a_name_that_several_vms_have_is_ambiguous(api, rows):
    one, two = rows.source("twin-1"), rows.source("twin-2")
    rows.vm(one, "twin")
    second = rows.vm(two, "twin")
    assert api.call("GET", "/v1/vms/twin", status=409)["code"] == "name_ambiguous"
    assert api.call("GET", "/v1/vms/twin?source=twin-2", status=200)["id"] == second


def test_pages_follow_each_other_without_gaps(api, rows):
    source = rows.source("pages")
    expected = [rows.vm(source, f"p{number:02}") for number in range(23)]
    for order in ("asc", "desc"):
        seen, path = [], f"/v1/vms?source=pages&limit=5&order={order}"
        while path:
            page = api.call("GET", path, status=200)
            assert len(page["vms"]) <= 5
            seen += [one["id"] for one in page["vms"]]
            path = page["next"]
        assert seen == (expected if order == "asc" else expected[::-1])
    path, seen = "/v1/vms?prefix=p&limit=7", []
    while path:
        page = api.call("GET", path, status=200)
        seen += names_of(page, "vms")
        path = page["next"]
    assert seen == [f"p{number:02}" for number in range(23)]


# -- migrations -----------------------------------------------------------------------------------

def migrate(api, status=201, **body):
    return api.call("POST", "/v1/migrations", {"destination": "store", **body}, status=status)


def test_a_migration_is_created_with_validated_options(api, rows, world):
    vm = rows.vm(world.source, "opts")
    answer = migrate(api, vms=["opts"], options={"verify_boot": "true", "networks": "a"},
                     server_name="neu", on_failure="keep", dry_run=True)
    (created,) = answer["created"]
    assert created["vm_id"] == vm and answer["skipped"] == []
    shown = api.call("GET", f"/v1/migrations/{created['id']}", status=200)
    assert shown["options"] == {"networks": ["a"], "verify_boot": True}
    assert (shown["state"], shown["server_name"], shown["on_failure"], shown["dry_run"]) == (
        "PENDING", "neu", "keep", True)
    assert shown["waiting"] == {"tried_at": None, "reasons": None}
    again = migrate(api, status=200, vms=[vm])
    assert again["created"] == []
    assert again["skipped"] == [{"vm": vm, "vm_id": vm, "reason": "exists",
                                 "migration": created["id"]}]


def test_many_are_created_at_once_and_each_is_accounted_for(api, rows, world):
    vms = [rows.vm(world.source, f"many-{number}") for number in range(3)]
    gone = rows.vm(world.source, "many-gone", gone_at=rows.now())
    migrate(api, vms=[vms[0]])
    answer = migrate(api, vms=["many-1", vms[0], "many-2", gone])
    assert [one["vm_name"] for one in answer["created"]] == ["many-1", "many-2"]
    assert [(one["vm"], one["reason"]) for one in answer["skipped"]] == [(vms[0], "exists"),
                                                                       (gone, "vm_gone")]


@pytest.mark.parametrize("body, status, code, pointer", [
    ({"vms": ["nobody"]}, 404, "not_found", None),
    ({"vms": ["nobody", "web"]}, 422, "fields_invalid", "/vms/0"),
    ({"vms": []}, 422, "fields_invalid", "/vms"),
    ({"vms": "web"}, 422, "fields_invalid", "/vms"),
    ({"vms": [7]}, 422, "fields_invalid", "/vms/0"),
    ({"vms": ["web"], "destination": "nowhere"}, 404, "not_found", None),
    ({"vms": ["web"], "source": "nowhere"}, 404, "not_found", None),
    ({"vms": ["web", "spare"], "name": "x"}, 422, "fields_invalid", "/name"),
    ({"vms": ["web"], "options": {"nonsense": 1}}, 422, "fields_invalid", "/options/nonsense"),
    ({"vms": ["web"], "options": {"verify_boot": 7}}, 422, "fields_invalid", "/options/verify_boot"),
    ({"vms": ["web"], "options": []}, 422, "fields_invalid", "/options"),
    ({"vms": ["web"], "on_failure": "panic"}, 422, "fields_invalid", "/on_failure"),
    ({"vms": ["web"], "dry_run": "yes"}, 422, "fields_invalid", "/dry_run"),
    ({"vms": ["web"], "unknown": 1}, 422, "fields_invalid", "/unknown"),
    ({"vms": ["x'; DROP TABLE vms; --"]}, 404, "not_found", None),
])
def test_a_wrong_migration_is_refused_and_changes_nothing(api, rows, body, status, code, pointer):
    before = rows.run("SELECT COUNT(*) FROM migrations")
    answer = api.call("POST", "/v1/migrations", {"destination": "store", **body}, status=status)
    assert answer["code"] == code
    if pointer:
        assert pointer in [one["pointer"] for one in answer["errors"]]
    assert rows.run("SELECT COUNT(*) FROM migrations") == before


def test_names_are_told_apart_by_their_source(api, rows):
    one, two = rows.source("apart-1"), rows.source("apart-2")
    rows.vm(one, "apart")
    second = rows.vm(two, "apart")
    assert migrate(api, vms=["apart"], status=409)["code"] == "name_ambiguous"
    assert migrate(api, vms=["apart"], source="apart-2")["created"][0]["vm_id"] == second


def test_a_migration_shows_all_that_is_known_of_it(api, rows, world):
    vm = rows.vm(world.source, "detail")
    job, needs = new_id(), b"n" * 16
    one = rows.migration(vm, world.source, world.destination, "PENDING", vm_name="detail",
                         needs_hash=needs, evidence_json='{"transport": "xxh3:1"}',
                         faults_json='[{"code": "no_node"}]')
    rows.insert("needs", hash=needs, needs_json="{}", tried_at=rows.now(),
                reasons_json='{"counts": {"no_space": 2}}', all_json='{"nodes": [1, 2]}')
    rows.insert("migration_disks", migration_id=uuid.UUID(one).bytes, number=0, total_bytes=9,
                done_bytes=4)
    rows.insert("steps", job_id=uuid.UUID(job).bytes, attempt=1, number=1,
                owner_id=uuid.UUID(one).bytes, name="copy", state="failed", fault_code="disk_missing",
                fault_text="gone", started_at=rows.now())
    rows.insert("ledger", owner_id=uuid.UUID(one).bytes, end="destination", kind="disk",
                entry_key="disk-0", owner_kind="migration", position=1, state="made",
                external_id="/out/x", prior_json='{"was": "off"}', job_id=uuid.UUID(job).bytes,
                attempt=1, run=1, created_at=rows.now(), updated_at=rows.now())
    shown = api.call("GET", f"/v1/migrations/{one}", status=200)
    assert shown["waiting"]["reasons"] == {"counts": {"no_space": 2}}
    assert shown["disks"][0]["done_bytes"] == 4 and shown["ledger"][0]["prior"] == {"was": "off"}
    assert shown["steps"][0]["fault"]["code"] == "disk_missing"
    assert shown["evidence"] == {"transport": "xxh3:1"}
    everything = api.call("GET", f"/v1/migrations/{one}?nodes=all", status=200)
    assert everything["waiting"]["reasons"] == {"nodes": [1, 2]}
    assert api.call("GET", "/v1/migrations/detail", status=200)["id"] == one
    refused = api.call("DELETE", f"/v1/migrations/{one}", status=409)
    assert refused["code"] == "state_forbids"
    rows.run("UPDATE migrations SET state = 'ROLLED_BACK', open_vm = NULL WHERE id = %s",
             uuid.UUID(one).bytes)
    assert api.call("DELETE", f"/v1/migrations/{one}", status=409)["code"] == "ledger_open"
    rows.run("UPDATE ledger SET state = 'undone' WHERE owner_id = %s", uuid.UUID(one).bytes)
    assert api.call("DELETE", f"/v1/migrations/{one}", status=202)["wish"]["verb"] == "delete"


LEGAL = {"cancel": "CONVERTING", "retry": "FAILED", "rollback": "FAILED", "cleanup": "VERIFIED"}


@pytest.mark.parametrize("verb", sorted(LEGAL))
def test_the_lifecycle_decides_what_may_be_asked(api, rows, world, verb):
    vm = rows.vm(world.source, f"verb-{verb}")
    one = rows.migration(vm, world.source, world.destination, LEGAL[verb])
    wish = api.call("POST", f"/v1/migrations/{one}/{verb}", status=202)["wish"]
    assert wish["verb"] == verb and wish["owner_id"] == one
    rows.run("UPDATE migrations SET state = 'CLEANED', open_vm = NULL WHERE id = %s",
             uuid.UUID(one).bytes)
    assert api.call("POST", f"/v1/migrations/{one}/{verb}", status=409)["code"] == "state_forbids"
    api.call("POST", f"/v1/migrations/{new_id()}/{verb}", status=404)


def test_migrations_are_filtered(api, rows):
    source, destination = rows.source("mf"), rows.destination("mf")
    vms = [rows.vm(source, f"mf-{number}") for number in range(4)]
    states = ["FAILED", "VERIFIED", "FAILED", "CLEANED"]
    ids = [rows.migration(vm, source, destination, state, vm_name=f"mf-{number}")
           for number, (vm, state) in enumerate(zip(vms, states))]

    def found(query):
        return [one["id"] for one in
                api.call("GET", f"/v1/migrations?source=mf&{query}", status=200)["migrations"]]
    assert found("") == ids
    assert found("state=FAILED") == [ids[0], ids[2]]
    assert found("destination=mf&order=desc") == ids[::-1]
    assert found(f"vm={vms[1]}") == [ids[1]]
    assert found("name=mf-3") == [ids[3]]
    page = api.call("GET", "/v1/migrations?source=mf&limit=1")
    assert "limit=1" in page["next"] and "source=mf" in page["next"]
    for bad in ("state=DREAMING", "limit=0", "limit=1001", "limit=x", "order=up",
                "marker=%21%21", "colour=red"):
        assert api.get_raw(f"/v1/migrations?{bad}", api.headers()).status_code in (400, 422), bad


def test_five_thousand_are_created_in_one_call(api, rows, world):
    source = rows.source("bulk")
    columns = ("id, project, source_id, vm_key, key_hash, name, power, firmware, cpus, memory_mib, "
               "capacity_bytes, disk_count, refresh, created_at, updated_at")
    rows.run(f"INSERT INTO vms ({columns}) SELECT UNHEX(MD5(CONCAT('bulk', seq))), 'default', %s, seq,"
             " UNHEX(MD5(seq)), CONCAT('bulk-', seq), 'off', 'bios', 1, 1, 1, 1, 1, 1, 1"
             " FROM seq_1_to_5000", uuid.UUID(source).bytes)
    begun = time.monotonic()
    answer = migrate(api, vms=[f"bulk-{number}" for number in range(1, 5001)])
    took = time.monotonic() - begun
    assert len(answer["created"]) == 5000 and answer["skipped"] == []
    print(f"5,000 migrations in {took:.2f} s")
    assert took < 5
    ((count,),) = rows.run("SELECT COUNT(*) FROM migrations WHERE source_id = %s AND due_at IS NOT "
                           "NULL AND state = 'PENDING'", uuid.UUID(source).bytes)
    assert count == 5000


# -- events ---------------------------------------------------------------------------------------

def listen(api, path, count, headers=None, seconds=10):
    """The first events of a stream, as (id, data)."""
    events, last = [], None
    with api.get_raw(path, {**api.headers(), **(headers or {})}, stream=True) as answer:
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "text/event-stream"
        until = time.monotonic() + seconds
        for line in answer.iter_lines(chunk_size=1, decode_unicode=True):
            if line.startswith("id: "):
                last = int(line[4:])
            elif line.startswith("data: "):
                events.append((last, json.loads(line[6:])))
            if len(events) == count or time.monotonic() > until:
                break
    return events


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
    assert time.monotonic() - begun < 6
    rest = listen(api, "/v1/events/stream?after=18", 2, {"Last-Event-ID": "30"})
    assert [number for number, _ in rest] == [31, 32]


def test_a_long_backlog_comes_in_portions_that_can_be_resumed(api, rows):
    rows.run("INSERT INTO events (number, at, project, kind, severity, owner_kind, text) SELECT "
             "100 + seq, 1, 'default', 'job.note', 'info', 'migration', 'x' FROM seq_1_to_2500")
    rows.run("UPDATE leader SET event_number = 2600")
    seen, last = 0, 100
    for _ in range(5):
        events = listen(api, f"/v1/events/stream?after={last}&kind=job.", 2500, seconds=3)
        if not events:
            break
        assert events[0][0] == last + 1
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
        heard.append([n for n, _ in listen(api, "/v1/events/stream?after=3002", 2, seconds=20)])
    readers = [threading.Thread(target=follow) for _ in range(100)]
    for one in readers:
        one.start()
    time.sleep(2)
    rows.event(3100)
    rows.event(3101)
    for one in readers:
        one.join()
    assert heard == [[3100, 3101]] * 100


def test_a_slow_reader_is_cut_off_and_resumes(api, rows):
    def insert(first, count):
        rows.run("INSERT INTO events (number, at, project, kind, severity, owner_kind, text) SELECT "
                 "%s + seq, 1, 'default', 'job.slow', 'info', 'migration', REPEAT('x', 1000) "
                 f"FROM seq_0_to_{count - 1}", first)
        rows.run("UPDATE leader SET event_number = %s", first + count - 1)

    def numbers(text):
        return [int(one) for one in re.findall(rb"id: (\d+)\n", text)]
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        slow.connect(("127.0.0.1", api.port))
        slow.sendall(b"GET /v1/events/stream?kind=job.slow HTTP/1.1\r\nHost: localhost\r\n"
                     b"X-Auth-Token: " + api.token.encode() + b"\r\n\r\n")
        text = slow.recv(100)
        time.sleep(1.5)
        for first in range(10000, 20000, 1000):  # 12 MB, five times what the ring holds
            insert(first, 1000)
            time.sleep(0.15)
        time.sleep(2)
        slow.settimeout(20)
        while part := slow.recv(1 << 20):
            text += part
            if text.endswith(b"0\r\n\r\n"):
                break
    heard = numbers(text)
    assert heard and heard == list(range(10000, 10000 + len(heard))) and len(heard) < 10000
    resumed = listen(api, "/v1/events/stream?kind=job.slow", 10,
                     {"Last-Event-ID": str(heard[-1])})
    assert [number for number, _ in resumed] == list(range(heard[-1] + 1, heard[-1] + 11))


# -- who may do what ------------------------------------------------------------------------------

def fill(path, world):
    for name, value in {"{source}": world.source, "{destination}": world.destination,
                        "{vm}": world.vm, "{migration}": world.migration, "{wish}": world.wish,
                        "{node}": "node-1", "{end}": "source", "{driver}": "ova"}.items():
        path = path.replace(name, value)
    return path


def all_routes():
    return sorted((method.upper(), path, operation["x-role"])
                  for path, item in CONTRACT["paths"].items()
                  for method, operation in item.items() if method in METHODS)


@pytest.mark.parametrize("method, path, least", all_routes())
def test_each_role_against_each_route(api, world, method, path, least):
    if path == "/v1/events/stream":
        path = "/v1/events/stream?nonsense=1"  # refused after the role was looked at
    filled = fill(path, world)
    ranks = ["none", "reader", "member", "admin"]
    headers = {"Content-Type": "application/json"}
    for role in ROLES:
        token = world.tokens[role]
        # A body that no route accepts: nothing is changed, and it is read after the role.
        answer = api.session.request(method, api.url + filled, data="[]", timeout=30,
                                     headers={**headers, "X-Auth-Token": token})
        if ranks.index(role) < ranks.index(least):
            assert answer.status_code == 403 and answer.json()["code"] == "forbidden"
        else:
            assert answer.status_code != 403, answer.text
    answer = api.session.request(method, api.url + filled, timeout=30)
    assert (answer.status_code == 401) == (least != "none")
    if least != "none":
        assert answer.json()["code"] == "unauthenticated"


@pytest.mark.parametrize("method, path, least", [
    one for one in all_routes() if any(word in one[1] for word in (
        "{source}", "{destination}", "{vm}", "{migration}", "{wish}"))])
def test_ids_of_other_projects_do_not_exist(api, world, method, path, least):
    body = {} if method in ("POST", "PATCH") else None
    answer = api.call(method, fill(path, world), body, token=world.foreign["member"], status=404)
    assert answer["code"] == "not_found"


def test_lists_show_the_own_project_only(api, world):
    for kind in ("sources", "destinations", "vms", "migrations", "events"):
        answer = api.call("GET", f"/v1/{kind}", token=world.foreign["reader"], status=200)
        assert all(one["project"] == "other" for one in answer[kind])
        api.call("GET", f"/v1/{kind}?project=default", token=world.foreign["reader"], status=422)
    admins = api.call("GET", "/v1/vms?project=other", status=200)["vms"]
    assert all(one["project"] == "other" for one in admins)


def test_foreign_vms_are_not_migrated(api, rows, world):
    rows.destination("theirs", "other")
    body = {"destination": "theirs", "vms": [world.spare]}
    answer = api.call("POST", "/v1/migrations", body, token=world.foreign["member"], status=404)
    assert answer["code"] == "not_found"
    answer = api.call("POST", "/v1/migrations", body, status=404)  # an admin sees both
    assert "project" in answer["detail"]


def test_tokens_expire_and_are_revoked(api, rows):
    expired = rows.token("admin", expires_at=rows.now() - 1)
    assert api.call("GET", "/v1/vms", token=expired, status=401)["code"] == "unauthenticated"
    for bad in ("nonsense", "x" * 300, "' OR 1=1 --", "ü"):
        answer = api.get_raw("/v1/vms", {"X-Auth-Token": bad.encode()})
        assert answer.status_code == 401 and "WWW-Authenticate" in answer.headers
    token = rows.token("reader")
    api.call("GET", "/v1/vms", token=token, status=200)
    rows.run("UPDATE tokens SET revoked_at = 1 WHERE hash = UNHEX(%s)", _hash(token))
    api.wait(lambda: api.get_raw("/v1/vms", {"X-Auth-Token": token}).status_code == 401, 6)
    bearer = api.get_raw("/v1/vms", {"Authorization": "Bearer " + api.token})
    assert bearer.status_code == 200


def _hash(token):
    import hashlib
    return hashlib.blake2b(token.encode(), digest_size=32).hexdigest()


# -- bad input ------------------------------------------------------------------------------------

@pytest.mark.parametrize("data", [
    b"", b"{", b"[]", b"null", b"7", b'{"name": "a", "name": "b"}', b'{"name": "\xff"}',
    b'{"name": "a\\u0000b"}', b"[" * 100000, b'{"a":' * 40 + b"1" + b"}" * 40,
    b'{"name": 1e999}', b"\x00\x01"])
def test_bodies_that_are_no_objects_are_refused(api, data):
    answer = api.call("POST", "/v1/sources", data=data, status=400,
                      headers={"Content-Type": "application/json"})
    assert answer["code"] == "body_invalid"


def test_a_body_of_two_megabytes_is_refused(api):
    data = json.dumps({"name": "x" * (2 << 20)})
    answer = api.call("POST", "/v1/sources", data=data, status=413,
                      headers={"Content-Type": "application/json"})
    assert answer["code"] == "too_large"
    api.call("GET", "/v1/sources", status=200)


def test_other_types_of_bodies_are_refused(api):
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        api.call("POST", "/v1/sources", data="{}", headers={"Content-Type": kind}, status=400)


def test_pages_of_other_sites_change_nothing(api):
    answer = api.call("POST", "/v1/sources", {"name": "x"}, headers={"Origin": "https://evil.example"},
                      status=403)
    assert answer["code"] == "forbidden"
    api.call("POST", "/v1/sources", {"name": "x"}, headers={"Origin": api.url}, status=422)


def test_all_field_errors_are_told_at_once(api):
    answer = api.call("POST", "/v1/sources", {
        "name": "", "driver": "ova", "description": 7, "labels": ["", 3], "surprise": True,
        "settings": {"path": "../etc", "depth": "deep", "follow": 7, "password": [], "x/y": 1}},
        status=422)
    pointers = {one["pointer"] for one in answer["errors"]}
    assert pointers == {"/name", "/description", "/labels/0", "/labels/1", "/surprise",
                        "/settings/path", "/settings/depth", "/settings/follow",
                        "/settings/password", "/settings/x~1y"}


@pytest.mark.parametrize("body, pointer", [
    ({"driver": "ova", "settings": {"path": "/x"}}, "/name"),
    ({"name": "x" * 256, "driver": "ova", "settings": {"path": "/x"}}, "/name"),
    ({"name": "a\nb", "driver": "ova", "settings": {"path": "/x"}}, "/name"),
    ({"name": "a\u0085b", "driver": "ova", "settings": {"path": "/x"}}, "/name"),
    ({"name": "0190b0e4-0000-7000-8000-000000000000", "driver": "ova",
      "settings": {"path": "/x"}}, "/name"),
    ({"name": "x", "driver": "ova"}, "/settings/path"),
    ({"name": "x", "driver": "ova", "settings": {"path": "/a/../b"}}, "/settings/path"),
    ({"name": "x", "driver": "ova", "settings": {"path": "/x", "password": 7}},
     "/settings/password"),
])
def test_a_wrong_definition_is_refused(api, body, pointer):
    answer = api.call("POST", "/v1/sources", body, status=422)
    assert [one["pointer"] for one in answer["errors"]] == [pointer]


def test_an_unknown_driver_is_refused(api):
    answer = api.call("POST", "/v1/sources", {"name": "x", "driver": "vsphere"}, status=422)
    assert answer["code"] == "driver_unknown"


SQL = ["x' OR '1'='1", "'; DROP TABLE sources; --", "%", "_", "\\", "a\"b", "../../etc", "{source}",
       "a;b", "ｆｕｌｌ", "𝔘𝔫𝔦", "null", "-1", " "]


@pytest.mark.parametrize("name", SQL)
def test_names_are_only_names(api, name):
    quoted = requests.utils.quote(name, safe="")
    for path in ("sources", "destinations", "vms", "migrations", "nodes"):
        if "/" not in name:
            api.call("GET", f"/v1/{path}/{quoted}", status=404)
    made = api.call("POST", "/v1/sources", {"name": name, "driver": "ova",
                                            "settings": {"path": "/x"}}, status=201)
    assert made["name"] == name
    assert names_of(api.call("GET", f"/v1/sources?name={quoted}"), "sources") == [name]
    api.call("DELETE", f"/v1/sources/{made['id']}", status=204)


@pytest.mark.parametrize("path", [
    "/v1/sources/%ff%fe", "/v1/vms/%00", "/v1/migrations/a%0ab", "/v1/wishes/x",
    "/v1/vms/" + "x" * 300, "/v1/nodes/%e2%80", "/v1/drivers/source/%ff"])
def test_broken_names_do_not_exist(api, path):
    api.call("GET", path, status=404)


@pytest.mark.parametrize("query", ["name=%ff", "name=a%0ab", "marker=" + "x" * 3000, "%ff=1"])
def test_broken_parameters_are_refused(api, query):
    api.call("GET", f"/v1/vms?{query}", status=422)


def test_paths_that_climb_are_refused(api):
    answer = api.session.send(requests.Request("GET", api.url).prepare())
    prepared = requests.Request("GET", api.url + "/v1/sources").prepare()
    prepared.url = api.url + "/v1/%2e%2e/healthz"
    answer = api.session.send(prepared)
    assert answer.status_code in (400, 404)


def test_unknown_paths_and_methods_are_told_so(api):
    answer = api.get_raw("/v1/nowhere", api.headers())
    assert answer.status_code == 404 and answer.json()["code"] == "not_found"
    assert answer.headers["Content-Type"] == "application/problem+json"
    answer = api.session.put(api.url + "/v1/sources", headers=api.headers())
    assert answer.status_code == 405 and answer.json()["code"] == "method_not_allowed"
    assert answer.headers["Allow"] == "OPTIONS, GET, HEAD, POST"
    answer = api.session.options(api.url + "/v1/sources/x")
    assert answer.status_code == 204 and "PATCH" in answer.headers["Allow"] and not answer.content
    answer = api.session.head(api.url + "/v1/sources", headers=api.headers())
    assert answer.status_code == 200 and not answer.content
    answer = api.session.head(api.url + f"/v1/migrations/{new_id()}", headers=api.headers())
    assert answer.status_code == 404


def test_a_request_keeps_its_id(api):
    answer = api.get_raw("/v1/vms", {**api.headers(), "X-Request-Id": "mine-7"})
    assert answer.headers["X-Request-Id"] == "mine-7"
    answer = api.get_raw("/v1/vms/nobody", {**api.headers(), "X-Request-Id": "bad id\t"})
    assert answer.json()["request_id"] == answer.headers["X-Request-Id"] != "bad id\t"
    api.call("POST", "/v1/sources/lab/test", headers={"X-Request-Id": "logged-8"}, status=202)
    assert '"logged-8"' in (api.directory / "log").read_text()


def test_the_root_and_the_metrics_are_open(api):
    root = api.call("GET", "/", token="nonsense", status=200)
    assert root["versions"][0]["href"] == "/v1"
    assert api.call("GET", "/v1", status=200)["links"]["vms"] == "/v1/vms"
    text = api.get_raw("/metrics").text
    assert 'guts_api_request_seconds_count{route="/v1/vms/{vm}",method="GET"}' in text
    assert 'guts_api_answers_total{class="2xx"}' in text


# -- outages --------------------------------------------------------------------------------------

def test_the_broker_away_is_told_and_wishes_are_still_accepted(api):
    ready = api.get_raw("/readyz")  # this API was given no broker at all
    assert ready.status_code == 503 and "broker" in ready.text
    api.call("POST", "/v1/sources/lab/refresh", status=202)


def test_the_database_away_is_told_and_comes_back(api, database, rows, world):
    migration = f"/v1/migrations/{world.migration}"
    api.call("GET", migration, status=200)
    database.stop()
    for path in (migration, f"/v1/vms/{world.vm}", "/v1/sources", "/v1/nodes"):
        answer = api.call("GET", path, status=503)
        assert answer["code"] == "db_unavailable"
    answer = api.get_raw(migration, api.headers())
    assert answer.headers["Retry-After"] == "2"
    assert api.call("POST", "/v1/sources/lab/test", status=503)["code"] == "db_unavailable"
    api.wait(lambda: api.get_raw("/readyz").status_code == 503 and
             "database" in api.get_raw("/readyz").text, 10)
    assert api.get_raw("/healthz").status_code == 200
    database.start()
    api.wait(lambda: api.get_raw(migration, api.headers()).status_code == 200, 10)
    api.wait(lambda: "not reached" not in api.get_raw("/readyz").text, 10)
    rows.connect()
    wish = api.call("POST", "/v1/sources/lab/test", status=202)["wish"]
    assert rows.run("SELECT 1 FROM wishes WHERE id = %s", uuid.UUID(wish["id"]).bytes)


def test_a_database_that_hangs_is_told_in_time(api, database, world):
    database.freeze()
    begun = time.monotonic()
    answer = api.call("GET", f"/v1/migrations/{world.migration}")
    assert answer["status"] in (503, 504)
    assert time.monotonic() - begun < 10
    database.thaw()
    api.wait(lambda: api.get_raw("/v1/vms", api.headers()).status_code == 200, 15)


def test_shows_are_never_older_than_the_last_commit(api, rows, world):
    """While many ask for the same migration, each that asks after a commit sees it."""
    stop, failures = threading.Event(), []
    path = f"{api.url}/v1/migrations/{world.migration}"

    def ask_all_the_time():
        session = requests.Session()
        session.trust_env = False
        while not stop.is_set():
            session.get(path, headers=api.headers())
    crowd = [threading.Thread(target=ask_all_the_time) for _ in range(8)]
    for one in crowd:
        one.start()
    session = requests.Session()
    session.trust_env = False
    for number in range(200):
        rows.run("UPDATE migrations SET done_bytes = %s WHERE id = %s", number,
                 uuid.UUID(world.migration).bytes)
        shown = session.get(path, headers=api.headers()).json()["done_bytes"]
        if shown != number:
            failures.append((number, shown))
    stop.set()
    for one in crowd:
        one.join()
    assert failures == []


def test_it_ends_in_time_with_open_streams_and_starts_again(tmp_path, database, world):
    other = Api(tmp_path, database, world.rows)
    other.token = world.tokens["admin"]
    other.wait_usable()
    heard = []

    def follow():
        with other.get_raw("/v1/events/stream", other.headers(), stream=True) as answer:
            for line in answer.iter_lines(chunk_size=1):
                heard.append(line)
        heard.append(None)
    reader = threading.Thread(target=follow)
    reader.start()
    other.wait(lambda: heard != [], 5)
    took, status = other.stop()
    reader.join()
    assert status == 0 and took < 5 and heard[-1] is None
    services = world.api.call("GET", "/v1/services")["services"]
    assert f":{other.port}" not in json.dumps(services)


def test_it_ends_in_time_while_the_database_hangs(tmp_path, database, world):
    other = Api(tmp_path, database, world.rows)
    other.token = world.tokens["admin"]
    other.wait_usable()
    database.freeze()

    def ask():
        try:
            other.get_raw("/v1/vms", other.headers())
        except requests.RequestException:
            pass  # cut off, or answered: both are fine here
    asked = threading.Thread(target=ask)
    asked.daemon = True
    asked.start()
    time.sleep(0.3)
    took, status = other.stop()
    assert status == 0 and took < 5.5


def test_without_authentication_only_loopback_is_served(tmp_path, database, world):
    other = Api(tmp_path, database, world.rows, auth="none")
    other.wait_usable()
    assert other.call("GET", "/v1/vms", status=200)["vms"]
    foreign = other.get_raw("/v1/vms", {"Host": "evil.example:7000"})
    assert foreign.status_code == 403
    assert other.stop()[1] == 0
    text = other.config.read_text().replace("127.0.0.1:" + str(other.port), "0.0.0.0:0")
    other.config.write_text(text)
    done = subprocess.run([BUILD / "api/guts-api", "--config", other.config], capture_output=True,
                          text=True, timeout=20)
    assert done.returncode == 3 and "loopback" in done.stderr


def test_it_speaks_tls(tmp_path, database, world):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True)
    other = Api(tmp_path / "api", database, world.rows, tls=certificate,
                tls_certificate=f'"{certificate}"', tls_key=f'"{key}"')
    other.token = world.tokens["admin"]
    other.wait_usable()
    assert other.url.startswith("https://")
    other.call("GET", f"/v1/migrations/{world.migration}", status=200)
    heard = listen(other, "/v1/events/stream?after=0", 1)
    assert heard[0][0] == 1
    assert other.stop()[1] == 0


def test_it_waits_for_a_database_that_is_not_there_yet(tmp_path, database, world):
    database.stop()
    other = Api(tmp_path, database, world.rows)
    other.token = world.tokens["admin"]
    assert other.call("GET", "/v1/vms", status=503)["code"] == "db_unavailable"
    database.start()
    other.wait_usable()
    other.call("GET", "/v1/vms", status=200)
    assert other.stop()[1] == 0
    world.rows.connect()


def test_it_idles_small(world):
    pid = world.api.process.pid
    status = open(f"/proc/{pid}/status").read()
    resident = int(status.split("VmRSS:")[1].split()[0])
    print(f"resident after all of these tests: {resident} KiB")

    def cpu():
        fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])
    before = cpu()
    time.sleep(3)
    assert cpu() - before <= 3  # hundredths of a second in three: 1 %
