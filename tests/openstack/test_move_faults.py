# SPDX-License-Identifier: Apache-2.0
"""What may go wrong on the way into a real OpenStack: it is survived, or told, and nothing stays."""
import os
import signal
import threading
import time

import pytest

from cloud_platform import FINAL, MACS
from guts_platform import wait_until


@pytest.fixture
def platform(cloud_platform, openstack):
    return cloud_platform


@pytest.fixture(scope="module")
def large(cloud_platform):
    """A machine whose upload takes seconds."""
    return cloud_platform.full_machine("large")


@pytest.fixture(scope="module")
def small(cloud_platform):
    return cloud_platform.machine("small", macs=MACS)


def check_arrived(platform, name, done, before):
    """Whole, once, and gone again after a rollback."""
    assert done["state"] == "VERIFIED", done
    server = platform.server(name)
    platform.check_volume(platform.originals[name][0], platform.volumes(server)[0])
    assert len(platform.openstack.inventory()["images"]) == len(before["images"])
    platform.act(done["id"], "rollback", "ROLLED_BACK")
    platform.wait_inventory(before)


def workers(platform):
    """Process ids of the node's workers."""
    node = platform.daemons["node-1"].pid
    with open(f"/proc/{node}/task/{node}/children") as file:
        return [int(word) for word in file.read().split()]


def images_of(platform, migration):
    """Of a machine with one disk: ids of the images that were begun, each another one."""
    ids = [one["external_id"] for one in platform.migration(migration)["ledger"]
           if one["kind"] == "image"]
    assert len(set(ids)) == len(ids), ids
    return ids


# -- broken uploads ---------------------------------------------------------------------------------

def test_an_upload_begins_anew_under_another_id_when_glance_is_killed(platform, large):
    """Glance itself forgets the half of a file that it was writing."""
    before = platform.openstack.inventory()
    migration = platform.begin_move(large)
    half = platform.wait_upload(before)
    platform.openstack.service("kill", "glance")
    platform.openstack.service("start", "glance")
    done = platform.wait_state(migration, FINAL, 240)
    assert half.name not in platform.openstack.inventory()["images"]
    ids = images_of(platform, migration)
    assert len(ids) >= 2 and half.name in ids[:-1], ids
    half.unlink(missing_ok=True)
    check_arrived(platform, large, done, before)


def test_an_upload_goes_on_when_glance_was_frozen(platform, large):
    before = platform.openstack.inventory()
    migration = platform.begin_move(large)
    platform.wait_upload(before)
    platform.openstack.service("freeze", "glance")
    time.sleep(8)  # longer than a lease
    platform.openstack.service("thaw", "glance")
    done = platform.wait_state(migration, FINAL, 240)
    assert len(images_of(platform, migration)) == 1
    check_arrived(platform, large, done, before)


def test_an_upload_begins_anew_when_the_worker_is_killed(platform, large):
    before = platform.openstack.inventory()
    migration = platform.begin_move(large)
    platform.wait_upload(before)
    for pid in workers(platform):
        os.kill(pid, signal.SIGKILL)
    check_arrived(platform, large, platform.wait_state(migration, FINAL, 240), before)
    assert len(images_of(platform, migration)) == 2


def test_an_upload_that_is_cancelled_leaves_no_half_image(platform, large):
    before, source = platform.openstack.inventory(), platform.source_facts(large)
    migration = platform.begin_move(large)
    platform.wait_upload(before)
    platform.act(migration, "cancel", "CANCELLED")
    platform.wait_inventory(before)
    assert platform.source_facts(large) == source


def test_a_token_that_ends_in_mid_upload_is_renewed(platform, large):
    openstack = platform.openstack
    platform.add_cloud("brief", auth_url=openstack.brief_auth_url)
    before = openstack.inventory()
    migration = platform.begin_move(large, "brief")
    platform.wait_upload(before)
    openstack.service("freeze", "glance")
    time.sleep(14)  # the token lives for twelve seconds
    openstack.service("thaw", "glance")
    check_arrived(platform, large, platform.wait_state(migration, FINAL, 240), before)


# -- bytes that change on their way ---------------------------------------------------------------------

class Vandal(threading.Thread):
    """Flips bits in the file of each new image while it grows, in so many images."""

    PLACE, LENGTH = 8 << 20, 4096

    def __init__(self, platform, before, images):
        super().__init__(daemon=True)
        self.platform, self.before, self.images = platform, before, images
        self.ended, self.damaged = False, set()

    def strike(self, name):
        with open(self.platform.openstack.image_file(name), "r+b", buffering=0) as file:
            if os.fstat(file.fileno()).st_size > 2 * self.PLACE:
                block = os.pread(file.fileno(), self.LENGTH, self.PLACE)
                os.pwrite(file.fileno(), bytes(byte ^ 0xff for byte in block), self.PLACE)
                self.damaged.add(name)

    def run(self):
        while not self.ended and len(self.damaged) < self.images:
            for name in set(self.platform.new_images(self.before)) - self.damaged:
                try:
                    self.strike(name)
                except FileNotFoundError:
                    continue
            time.sleep(0.005)


def move_and_damage(platform, name, before, images):
    vandal = Vandal(platform, before, images)
    vandal.start()
    try:
        done = platform.move(name, 240)
    finally:
        vandal.ended = True  # not in the tests behind this one
        vandal.join(10)
    return done, len(vandal.damaged)


def test_an_image_that_is_damaged_once_is_sent_again(platform, large):
    """Glance's hash is of what came to it: the bytes that are read back tell."""
    before = platform.openstack.inventory()
    done, damaged = move_and_damage(platform, large, before, 1)
    assert damaged == 1 and done["attempt"] == 2, done
    check_arrived(platform, large, done, before)


def test_an_image_that_is_damaged_each_time_is_taken_back(platform, large):
    before, source = platform.openstack.inventory(), platform.source_facts(large)
    platform.daemons["scheduler"].stop()
    platform.start_scheduler(retries_most=0)
    try:
        done, damaged = move_and_damage(platform, large, before, 100)
    finally:
        platform.daemons["scheduler"].stop()
        platform.start_scheduler()
    assert damaged == 1, "an upload was over before it could be damaged"
    assert done["state"] == "ROLLED_BACK" and done["fault"]["code"] == "digest_mismatch", done
    platform.wait_inventory(before)
    assert platform.source_facts(large) == source


# -- and others -------------------------------------------------------------------------------------------

def test_a_member_of_the_project_may_migrate(platform, small):
    platform.add_cloud("as-member", cloud=platform.openstack.member)
    before = platform.openstack.inventory()
    done = platform.move(small, destination="as-member")
    check_arrived(platform, small, done, before)


def test_a_slow_server_is_waited_for(platform, small):
    before = platform.openstack.inventory()
    platform.openstack.service("freeze", "nova-compute-1")
    migration = platform.begin_move(small)
    platform.wait_step(migration, "deploy")
    wait_until("Nova has the server", 60, lambda: platform.openstack.inventory()["servers"]
               != before["servers"], 0.5)
    time.sleep(8)
    assert platform.migration(migration)["state"] == "DEPLOYED"
    platform.openstack.service("thaw", "nova-compute-1")
    check_arrived(platform, small, platform.wait_state(migration, FINAL, 240), before)
