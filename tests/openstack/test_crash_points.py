# SPDX-License-Identifier: Apache-2.0
"""Some rows of the matrix of crash points on a move into the cloud: whole, once, and nothing is left of what
went back. `tests/chaos/matrix --cloud` takes them all."""
import os
import pathlib
import subprocess

MATRIX = pathlib.Path(__file__).resolve().parents[1] / "chaos" / "matrix"


def test_a_worker_that_dies_at_its_points_leaves_nothing_in_the_cloud(openstack):
    done = subprocess.run([MATRIX, "--cloud", "--sample", "6", "--cells", "2"], text=True, timeout=1200, check=False,
                          env={**os.environ, "GUTS_OPENSTACK": str(openstack.directory)},
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout[-8000:]
    assert "6 of 6 rows" in done.stdout
