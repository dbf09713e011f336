# SPDX-License-Identifier: Apache-2.0
"""Fixtures that every test beyond `unit` may use."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from peers.fixtures import *  # noqa: E402,F401,F403
from peers.fixtures import (_broker_session, _database_session, _openstack_session,  # noqa: E402,F401
                            _peers_are_usable)
