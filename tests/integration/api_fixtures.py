# SPDX-License-Identifier: Apache-2.0
"""Fixtures for the tests of guts-api: one daemon and one database a module."""
import base64
import json
import time
import uuid

import pytest

from api_world import ROLES, Api, Rows, new_id

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


def listen(api, path, count, headers=None, seconds=60):
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
