# SPDX-License-Identifier: Apache-2.0
"""Sources, destinations, drivers, nodes, services and vms through guts-api."""
import json
import uuid

import pytest

from api_fixtures import api, names_of, rows, world  # noqa: F401
from api_world import new_id

GiB = 1 << 30


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


def sealed_parts(rows, name):
    """What is sealed, by the name of the secret (common/base/seals.h)."""
    ((value,),) = rows.run("SELECT seal FROM sources WHERE name = %s", name)
    parts, at = {}, 1
    while value and at < len(value):
        texts = []
        for _ in range(2):
            length = value[at]
            texts.append(value[at + 1:at + 1 + length].decode())
            at += 1 + length
        length = int.from_bytes(value[at:at + 4], "big")
        parts[texts[0]] = value[at + 4:at + 4 + length]
        at += 4 + length
    return parts


def test_a_secret_is_changed_alone(api, rows):
    def change(status=200, **settings):
        return api.call("PATCH", "/v1/sources/two", {"settings": settings}, status=status)

    made = api.call("POST", "/v1/sources", {"name": "two", "driver": "ova", "settings": {
        "path": "/x", "password": "one-secret", "pin": "another"}}, status=201)
    assert made["secrets"] == ["password", "pin"]
    before = sealed_parts(rows, "two")
    assert sorted(before) == ["password", "pin"]
    change(password="renewed")
    after = sealed_parts(rows, "two")
    assert sorted(after) == ["password", "pin"]
    assert after["pin"] == before["pin"] and after["password"] != before["password"]
    change(depth=7)
    assert sealed_parts(rows, "two") == after
    assert change(422, path="/y", password="renewed")["code"] == "secrets_needed"
    assert "pin" in change(422, path="/y", password="renewed")["detail"]
    assert sealed_parts(rows, "two") == after
    assert change(password=None)["secrets"] == ["pin"]
    assert sealed_parts(rows, "two") == {"pin": after["pin"]}
    assert change(path="/y", pin=None)["sealed"] is False
    api.call("DELETE", "/v1/sources/two", status=204)


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
    assert [one["secret"] for one in ova["settings"]] == [False, False, False, True, True]
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
    wish = api.call("DELETE", "/v1/nodes/node-1", status=202)["wish"]
    assert (wish["verb"], wish["owner_id"]) == ("delete", world.node)
    api.call("DELETE", "/v1/nodes/node-9", status=404)


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
