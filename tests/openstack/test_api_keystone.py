# SPDX-License-Identifier: Apache-2.0
"""guts-api with authentication "keystone", on a real Keystone."""
import concurrent.futures
import contextlib
import http.server
import statistics
import threading
import time

import pytest
import requests

from api_fixtures import make_seal_key
from api_world import ROLES, Api, Rows, new_id
from guts_platform import conf_text
from test_api_access import all_routes, fill

CACHE_SECONDS = 4
RANKS = ("none", *ROLES)


def keystone_section(openstack, directory, **more):
    password = directory / "keystone.password"
    if not password.exists():
        password.write_text(openstack.facts().passwords["service_password"])
        password.chmod(0o600)
    return conf_text({"keystone": {
        "auth_url": openstack.auth_url, "user": "glance", "password_file": password,
        "cache": f"{CACHE_SECONDS}s", "cache_refused": "1s", "timeout": "10s", **more}})


class World:
    """A source, a destination and so on of the project "guts", and an API that asks Keystone."""

    def __init__(self, directory, database, openstack):
        self.openstack = openstack
        self.directory, self.database = directory, database
        self.project = openstack.project(openstack.member)
        rows = self.rows = Rows(database, "guts_api_keystone")
        own = {"project": self.project}
        self.source = rows.source("lab", **own)
        self.destination = rows.destination("store", **own)
        self.vm = rows.vm(self.source, "web", **own)
        self.migration = rows.migration(self.vm, self.source, self.destination, "CONVERTING",
                                        vm_name="web", **own)
        self.node = rows.node("node-1")
        self.wish = new_id()
        rows.run("INSERT INTO wishes (id, verb, owner_kind, owner_id, project, who, created_at, state)"
                 " VALUES (UNHEX(%s), 'test', 'source', UNHEX(%s), %s, 'x', %s, 'done')",
                 self.wish.replace("-", ""), self.source.replace("-", ""), self.project, rows.now())
        rows.event(1, self.project, owner_id=self.migration)
        self.tokens = {"reader": openstack.reader, "member": openstack.member,
                       "admin": openstack.cloud}
        self.seal_keys = make_seal_key(directory)
        self.started = []
        self.api = self.start("api")

    def start(self, name, **settings):
        api = Api(self.directory / name, self.database, self.rows, auth="keystone",
                  seal_keys=self.seal_keys,
                  more=keystone_section(self.openstack, self.directory, **settings))
        self.started.append(api)
        api.token = self.openstack.token(self.openstack.cloud)
        api.wait_usable()
        return api

    def close(self):
        for api in self.started:
            if api.process.poll() is None:
                assert api.stop()[1] == 0

    def token(self, role):
        return self.openstack.token(self.tokens[role])


@pytest.fixture(scope="module")
def world(tmp_path_factory, database, openstack):
    made = World(tmp_path_factory.mktemp("keystone"), database, openstack)
    yield made
    made.close()


@pytest.fixture
def api(world):
    return world.api


def status_of(api, token, path="/v1/sources"):
    return api.get_raw(path, {"X-Auth-Token": token} if token else {}).status_code


# -- who may do what ------------------------------------------------------------------------------

@pytest.mark.parametrize("method, path, least", all_routes())
def test_each_role_of_keystone_against_each_route(api, world, method, path, least):
    query = "?nonsense=1" if path == "/v1/events/stream" else ""
    tokens = {role: world.token(role) for role in ROLES}
    tokens["stranger"] = world.openstack.token(world.openstack.stranger)  # a member, elsewhere
    for role, token in tokens.items():
        # A body that no route accepts: nothing is changed, and it is read after the role.
        answer = api.session.request(
            method, api.url + fill(path, world) + query, data="[]", timeout=30,
            headers={"Content-Type": "application/json", "X-Auth-Token": token})
        rank = RANKS.index("member" if role == "stranger" else role)
        allowed = rank >= RANKS.index(least)
        assert (answer.status_code != 403) == allowed, (role, answer.text)
        assert answer.status_code not in (401, 503) or path == "/readyz", answer.text
    answer = api.session.request(method, api.url + fill(path, world) + query, timeout=30)
    assert (answer.status_code == 401) == (least != "none")
    if least != "none":
        assert answer.json()["code"] == "unauthenticated"
        assert answer.headers["WWW-Authenticate"] == f'Keystone uri="{world.openstack.auth_url}"'


@pytest.mark.parametrize("method, path, least", [
    one for one in all_routes() if any(word in one[1] for word in (
        "{source}", "{destination}", "{vm}", "{migration}", "{wish}"))])
def test_a_strangers_project_sees_nothing_of_ours(api, world, method, path, least):
    token = world.openstack.token(world.openstack.stranger)
    body = {} if method in ("POST", "PATCH") else None
    answer = api.call(method, fill(path, world), body, token=token, status=404)
    assert answer["code"] == "not_found"


def test_a_stranger_migrates_nothing_of_ours_and_hears_nothing_of_it(api, world):
    token = world.openstack.token(world.openstack.stranger)
    def counts():
        return world.rows.run("SELECT (SELECT COUNT(*) FROM migrations), (SELECT COUNT(*) FROM wishes)")
    before = counts()
    answer = api.call("POST", "/v1/migrations", {"vms": [world.vm], "destination": world.destination},
                      token=token)
    assert answer["code"] in ("not_found", "fields_invalid"), answer
    assert counts() == before and before[0][0] == 1
    with api.session.get(api.url + "/v1/events/stream?after=0", stream=True, timeout=(5, 2),
                         headers={"X-Auth-Token": token}) as stream:
        assert stream.status_code == 200
        heard = b""
        end = time.monotonic() + 10  # what is sent to keep the stream alive is no end of it
        with contextlib.suppress(requests.exceptions.RequestException):
            for piece in stream.iter_content(None):
                heard += piece
                if time.monotonic() > end:
                    break
    assert world.migration.encode() not in heard and b"CONVERTING" not in heard, heard


def test_lists_show_the_own_project_only_and_admins_all(api, world):
    stranger = world.openstack.token(world.openstack.stranger)
    for kind in ("sources", "destinations", "vms", "migrations", "events"):
        assert api.call("GET", f"/v1/{kind}", token=stranger, status=200)[kind] == []
        for role in ROLES:
            seen = api.call("GET", f"/v1/{kind}", token=world.token(role), status=200)[kind]
            assert [one["project"] for one in seen] == [world.project]
    root = world.openstack.token(world.openstack.root)
    assert api.call("GET", "/v1/vms", token=root, status=200)["vms"]


def test_what_is_made_belongs_to_the_tokens_project_and_says_who(api, world):
    stranger = world.openstack.token(world.openstack.stranger)
    made = api.call("POST", "/v1/sources", {"name": "theirs", "driver": "ova",
                                            "settings": {"path": "/x"}}, token=stranger, status=201)
    assert made["project"] == world.openstack.project(world.openstack.stranger)
    api.call("GET", f"/v1/sources/{made['id']}", token=world.token("member"), status=404)
    taken = api.call("POST", f"/v1/sources/{made['id']}/test", token=stranger, status=202)
    assert taken["wish"]["who"] == "other-member@Default"
    world.rows.run("DELETE FROM wishes WHERE id = UNHEX(%s)", taken["wish"]["id"].replace("-", ""))
    api.call("DELETE", f"/v1/sources/{made['id']}", token=stranger, status=204)


def test_the_policy_may_name_other_roles_and_hold_admins(world):
    openstack = world.openstack
    api = world.start("policy", member_roles=["reader"], reader_roles=["nobody"],
                      admin_projects=[openstack.project(openstack.root)])
    body = {"name": "x", "driver": "ova", "settings": {"path": "/x"}}
    for cloud in (openstack.reader, openstack.cloud):  # an admin of another project is a member
        assert api.session.post(api.url + "/v1/nodes/node-1/drain", json={}, timeout=30, headers={
            "X-Auth-Token": openstack.token(cloud)}).status_code == 403
        answer = api.call("POST", "/v1/sources", body, token=openstack.token(cloud), status=201)
        api.call("DELETE", f"/v1/sources/{answer['id']}", token=openstack.token(cloud), status=204)
    assert status_of(api, openstack.token(openstack.root)) == 200
    api.stop()


# -- what ends a token ----------------------------------------------------------------------------

@pytest.mark.parametrize("token", ["nonsense", "x" * 9000, "gAAAAABn" + "A" * 180, "' OR 1=1 --",
                                   "a b", "\xfc", "../../v3/users"])
def test_what_is_no_token_is_refused(api, token):
    answer = api.get_raw("/v1/sources", {"X-Auth-Token": token.encode("latin1")})
    assert answer.status_code in (401, 431), answer.text
    if answer.status_code == 401:
        assert answer.headers["WWW-Authenticate"].startswith("Keystone uri=")


def test_a_token_without_a_project_is_forbidden(api, world):
    token = world.openstack.unscoped_token(world.openstack.member)
    answer = api.get_raw("/v1/sources", {"X-Auth-Token": token})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def wait_refused(api, token, seconds):
    """No call that begins later than that is let in; while Keystone is slow, it may be told so first."""
    begun = time.monotonic()
    while True:
        asked = time.monotonic() - begun
        if status_of(api, token) != 200:
            break
        assert asked < seconds, "the token is taken still"
        time.sleep(0.1)
    api.wait(lambda: status_of(api, token) == 401, 30)


def test_a_revoked_token_is_refused_within_the_time_of_the_cache(api, world):
    token, _ = world.openstack.new_token(world.openstack.member)
    assert status_of(api, token) == 200
    world.openstack.revoke(token)
    wait_refused(api, token, CACHE_SECONDS + 1)


def test_a_token_that_ends_is_refused_at_once(world):
    api = world.start("patient", cache="600s")
    openstack = world.openstack
    token, _ = openstack.new_token(openstack.member, openstack.brief_auth_url)
    assert status_of(api, token) == 200
    wait_refused(api, token, 13)
    api.stop()


# -- Keystone away ------------------------------------------------------------------------------------

@pytest.mark.parametrize("deed", ["freeze", "kill"])
def test_without_keystone_known_tokens_go_on_and_others_are_told(world, deed):
    openstack = world.openstack
    api = world.start(f"away-{deed}", cache="300s", timeout="1s")
    known, unknown = openstack.token(openstack.member), openstack.new_token(openstack.reader)[0]
    api.wait(lambda: status_of(api, known) == 200)  # a busy Keystone may need more than its second
    openstack.service(deed, "keystone")
    begun = time.monotonic()
    answer = api.get_raw("/v1/sources", {"X-Auth-Token": unknown})
    took = time.monotonic() - begun
    assert (answer.status_code, answer.json()["code"]) == (503, "keystone_unavailable")
    assert took < 4 and "Retry-After" in answer.headers
    # Many that nobody knows hold up nobody who is known.
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        asked = [pool.submit(status_of, api, f"token-{number}") for number in range(200)]
        times = []
        for _ in range(50):
            begun = time.monotonic()
            assert status_of(api, known) == 200
            times.append(time.monotonic() - begun)
        assert {one.result() for one in asked} == {503}
    assert statistics.median(times) < 0.5 and max(times) < 3, times
    openstack.make_usable()
    api.wait(lambda: status_of(api, unknown) == 200, 90)
    assert "keystone_lost" in (api.directory / "log").read_text()
    seconds, status = api.stop()
    assert status == 0 and seconds < 4


def test_an_end_does_not_wait_for_a_frozen_keystone(world):
    openstack = world.openstack
    api = world.start("end", timeout="30s")
    openstack.service("freeze", "keystone")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(status_of, api, f"token-{number}") for number in range(8)]
        time.sleep(3)  # all have been sent, and wait
        seconds, status = api.stop()
        assert status == 0 and seconds < 5
        assert {one.result() for one in asked} == {503}


def test_a_wrong_password_of_our_own_is_no_ones_401(world):
    wrong = world.directory / "other.password"
    wrong.write_text("mistaken-secret")
    wrong.chmod(0o600)
    api = Api(world.directory / "other", world.database, world.rows, auth="keystone",
              more=keystone_section(world.openstack, world.directory, password_file=wrong))
    world.started.append(api)
    api.wait(lambda: api.get_raw("/readyz").status_code is not None)
    api.wait(lambda: api.get_raw("/v1/sources", {"X-Auth-Token": world.token("member")})
             .json()["code"] == "keystone_unavailable")
    assert "keystone_lost" in (api.directory / "log").read_text()
    assert "mistaken-secret" not in (api.directory / "log").read_text()
    api.stop()


class Door(http.server.BaseHTTPRequestHandler):
    """Passes all on to Keystone; `asked` holds the tokens that it was asked about."""
    protocol_version = "HTTP/1.1"

    def pass_on(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name: value for name, value in self.headers.items()
                   if name.lower() in ("x-auth-token", "x-subject-token", "content-type", "accept")}
        if self.command == "GET" and "X-Subject-Token" in headers:
            self.server.asked.append(headers["X-Subject-Token"])
        with requests.Session() as session:
            session.trust_env = False
            answer = session.request(self.command, self.server.keystone + self.path, data=body or None,
                                     headers=headers, timeout=60)
        self.send_response(answer.status_code)
        for name in ("X-Subject-Token", "Content-Type"):
            if name in answer.headers:
                self.send_header(name, answer.headers[name])
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    do_GET = do_POST = pass_on

    def log_message(self, *_):
        pass


@pytest.fixture
def door(world):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        server.daemon_threads = True
        server.keystone, server.asked = world.openstack.auth_url.removesuffix("/v3"), []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_many_calls_with_one_new_token_ask_keystone_once(world, door):
    openstack = world.openstack
    api = world.start("many", auth_url=f"http://127.0.0.1:{door.server_port}/v3", cache="300s")
    token, _ = openstack.new_token(openstack.member)
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        assert set(pool.map(lambda _: status_of(api, token), range(64))) == {200}
    assert door.asked.count(token) == 1, len(door.asked)
    api.stop()


def test_a_token_that_is_known_costs_little(world):
    """Printed here; the bar of 0.1 ms is held by bench_token (tests/bench/control)."""
    api, token = world.api, world.token("member")
    times = []
    for _ in range(300):
        begun = time.perf_counter()
        assert status_of(api, token, "/v1/sources?limit=1") == 200
        times.append(time.perf_counter() - begun)
    print(f"median of a call: {statistics.median(times) * 1e3:.2f} ms")
