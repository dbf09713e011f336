# SPDX-License-Identifier: Apache-2.0
import pathlib
import re
import shutil
import tempfile

import pytest

from guts_platform import Platform


def make_platform(request, broker, database):
    name = "guts_" + re.sub(r"[^a-z0-9]+", "_", request.node.name.lower())[:40].strip("_")
    directory = pathlib.Path(tempfile.mkdtemp(prefix="guts-e2e-"))
    platform = Platform(directory, broker, database, name)
    platform.machines = directory / "machines"
    platform.results = directory / "results"
    platform.machines.mkdir()
    platform.results.mkdir()
    platform.read_roots = [str(platform.machines)]
    platform.write_roots.append(str(platform.results))
    return platform


@pytest.fixture
def platform(request, broker, database):
    """A platform that nobody has started yet."""
    made = make_platform(request, broker, database)
    yield made
    made.close()
    if getattr(request.node, "failed", False):
        keep_logs(made)
    shutil.rmtree(made.directory, ignore_errors=True)


@pytest.fixture(scope="module")
def shared(request, _broker_session, _database_session):
    """A running platform with one node, for a module's tests that leave it as they found it."""
    made = make_platform(request, _broker_session, _database_session)
    made.start(nodes=1)
    yield made
    made.close()
    shutil.rmtree(made.directory, ignore_errors=True)


def keep_logs(made):
    for daemon in made.daemons.values():
        print(f"---- {daemon.name}\n" + "\n".join(daemon.log().splitlines()[-40:]))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if outcome.get_result().failed:
        item.failed = True
