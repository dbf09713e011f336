# SPDX-License-Identifier: Apache-2.0
"""A short run of tests/chaos whose migrations go into the cloud as well, while daemons, peers and the cloud's own
services break: each is there once and whole in the end, or gone, and the cloud is as it was."""
import os
import pathlib
import re
import subprocess

RUN = pathlib.Path(__file__).resolve().parents[1] / "chaos" / "run"


def test_nothing_is_lost_on_the_way_into_the_cloud(openstack, tmp_path):
    done = subprocess.run([RUN, "--cloud", "--short", "--timeline", tmp_path / "timeline"], text=True, timeout=900,
                          check=False, env={**os.environ, "GUTS_OPENSTACK": str(openstack.directory)},
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout[-8000:]
    assert re.search(r"looked at .*[1-9]\d* cloud", done.stdout), done.stdout
