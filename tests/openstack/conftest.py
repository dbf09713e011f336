# SPDX-License-Identifier: Apache-2.0
"""Tests on a real OpenStack: all of them ask for the fixture `openstack` sooner or later."""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
for folder in ("integration", "e2e"):
    sys.path.insert(0, str(HERE.parent / folder))
