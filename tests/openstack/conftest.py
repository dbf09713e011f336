# SPDX-License-Identifier: Apache-2.0
"""Tests on a real OpenStack: all of them ask for the fixture `openstack` sooner or later."""
import pathlib
import re
import shutil
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
for folder in ("integration", "e2e"):
    sys.path.insert(0, str(HERE.parent / folder))

from cloud_platform import CloudPlatform  # noqa: E402


@pytest.fixture(scope="module")
def cloud_platform(request, _broker_session, _database_session, _openstack_session):
    """A running platform with one node and destination "cloud", for a module's tests."""
    _openstack_session.brief_auth_url  # its address is among those that the node may speak with
    name = "guts_" + re.sub(r"[^a-z0-9]+", "_", request.node.name.lower())[:40].strip("_")
    made = CloudPlatform(name, _broker_session, _database_session, _openstack_session)
    try:
        made.begin()
        yield made
    finally:
        made.close()
        shutil.rmtree(made.directory, ignore_errors=True)
