# SPDX-License-Identifier: Apache-2.0
"""What may go wrong on the way into a real OpenStack: it is survived, or told, and nothing stays."""
import os
import signal
import time

import pytest

from cloud_platform import FINAL, MACS


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


# -- broken uploads ---------------------------------------------------------------------------------

def test_an_upload_begins_anew_when_glance_is_killed(platform, large):
    """Glance itself forgets the half of a file that it was writing."""
    before = platform.openstack.inventory()
    migration = platform.begin_move(large)
    half = platform.wait_upload(before)
    platform.openstack.service("kill", "glance")
    time.sleep(1)
    platform.openstack.service("start", "glance")
    done = platform.wait_state(migration, FINAL, 240)
    assert half.name not in platform.openstack.inventory()["images"]
    half.unlink(missing_ok=True)
    check_arrived(platform, large, done, before)


def test_an_upload_begins_anew_when_the_worker_is_killed(platform, large):
    before = platform.openstack.inventory()
    migration = platform.begin_move(large)
    platform.wait_upload(before)
    for pid in workers(platform):
        os.kill(pid, signal.SIGKILL)
    check_arrived(platform, large, platform.wait_state(migration, FINAL, 240), before)


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
    time.sleep(15)
    platform.openstack.service("thaw", "nova-compute-1")
    check_arrived(platform, small, platform.wait_state(migration, FINAL, 240), before)
