# SPDX-License-Identifier: Apache-2.0
"""Who may do what through guts-api, and what it refuses."""
import hashlib
import json

import pytest
import requests

from api_fixtures import api, names_of, rows, world  # noqa: F401
from api_world import CONTRACT, METHODS, ROLES, new_id


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
    api.wait(lambda: api.get_raw("/v1/vms", {"X-Auth-Token": token}).status_code == 401, 20)
    bearer = api.get_raw("/v1/vms", {"Authorization": "Bearer " + api.token})
    assert bearer.status_code == 200


def _hash(token):

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


def test_an_unknown_driver_hides_no_other_error(api):
    answer = api.call("POST", "/v1/sources", {"name": "", "driver": "nonsense"}, status=422)
    assert {one["pointer"] for one in answer["errors"]} == {"/name", "/driver"}
    answer = api.call("POST", "/v1/sources", {"name": "x", "driver": "nonsense"}, status=422)
    assert answer["code"] == "driver_unknown"


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
        api.call("GET", f"/v1/{path}/{quoted}", status=404)
    made = api.call("POST", "/v1/sources", {"name": name, "driver": "ova",
                                            "settings": {"path": "/x"}}, status=201)
    assert made["name"] == name
    assert names_of(api.call("GET", f"/v1/sources?name={quoted}"), "sources") == [name]
    assert api.call("GET", f"/v1/sources/{quoted}", status=200)["id"] == made["id"]
    api.call("DELETE", f"/v1/sources/{made['id']}", status=204)


@pytest.mark.parametrize("name", ["a/b", "/", "50%2Foff", "100%", "a%b/c", "../x"])
def test_names_with_slashes_and_percents_are_reached_in_paths(api, name):
    quoted = requests.utils.quote(name, safe="")
    made = api.call("POST", "/v1/sources", {"name": name, "driver": "ova",
                                            "settings": {"path": "/x"}}, status=201)
    assert api.call("GET", f"/v1/sources/{quoted}", status=200)["id"] == made["id"]
    api.call("DELETE", f"/v1/sources/{quoted}", status=204)
    api.call("GET", f"/v1/sources/{quoted}", status=404)


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
