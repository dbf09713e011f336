# SPDX-License-Identifier: Apache-2.0
"""Whole moves into a small cloud of the tests: what a node does when an upload's token is refused, and where
Glance's store serves no ranges."""
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

from guts_platform import Platform
from small_images import SmallImages

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
from machines import identical, make_machine  # noqa: E402

FINAL = ["VERIFIED", "FAILED", "ROLLED_BACK"]


@pytest.fixture(scope="module")
def folder():
    made = Path(tempfile.mkdtemp(prefix="guts-upload-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="module")
def cloud(folder):
    made = SmallImages(folder)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def platform(_broker_session, _database_session, cloud, folder):
    (folder / "machines").mkdir()
    made = Platform(folder / "guts", _broker_session, _database_session, "guts_upload")
    made.read_roots.append(str(folder / "machines"))
    made.urls = [f"{cloud.url}/"]
    made.start()
    made.add("sources", "stations", "workstation", path=str(folder / "machines"))
    made.add("destinations", "small", "openstack", auth_url=cloud.auth_url, username="u", password="p",
             project_name="p", region_name="north")
    yield made
    made.close()
    made.remove()


def move(platform, folder, name, kind):
    _, raws = make_machine(folder / "machines", name, kind, macs=())
    platform.refresh("sources", "stations")
    made = platform.migrate(name, "small", options={"boot_from": "image"})
    return platform.wait_state(made["created"][0]["id"], FINAL, 120), raws[0]


def check_arrived(cloud, folder, done, raw):
    assert done["state"] == "VERIFIED", (done["fault"], done["attempt"])
    assert len(cloud.images) == 1 and len(cloud.servers) == 1
    image = next(iter(cloud.images.values()))
    (folder / "arrived").write_bytes(image["data"])
    same, words = identical(raw, folder / "arrived", "qcow2")
    assert same, words
    proof = done["evidence"]["transport"][0]
    assert proof["os_hash_value"] == proof["sha512"] == image["os_hash_value"]


@pytest.mark.parametrize("kind", ["streamOptimized", "monolithicSparse"])
def test_an_upload_whose_token_is_refused_begins_anew_in_the_same_attempt(platform, cloud, folder, kind):
    cloud.refuses_uploads, cloud.begun = 2, 0
    done, raw = move(platform, folder, f"refused-{kind}", kind)
    check_arrived(cloud, folder, done, raw)
    assert cloud.begun == 3
    assert done["attempt"] == 1, done
    assert done["evidence"]["transport"][0]["format"] == "qcow2"
    go_back(platform, cloud, done)


def test_a_token_that_is_always_refused_ends_the_move_and_leaves_nothing(platform, cloud, folder):
    cloud.refuses_uploads = 1000
    done, _ = move(platform, folder, "never", "monolithicSparse")
    cloud.refuses_uploads = 0
    assert done["state"] == "ROLLED_BACK", done
    assert not cloud.images and not cloud.servers


def test_an_image_in_a_store_without_ranges_is_read_back(platform, cloud, folder):
    cloud.ranges = False
    done, raw = move(platform, folder, "plain", "streamOptimized")
    cloud.ranges = True
    check_arrived(cloud, folder, done, raw)
    assert "content" in done["evidence"]["transport"][0]
    go_back(platform, cloud, done)


def go_back(platform, cloud, done):
    assert platform.post(f"/v1/migrations/{done['id']}/rollback").status == 202
    platform.wait_state(done["id"], "ROLLED_BACK", 60)
    assert not cloud.images and not cloud.servers
