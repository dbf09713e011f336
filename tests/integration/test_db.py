# SPDX-License-Identifier: Apache-2.0
"""common/db against a server that is killed, frozen and locked."""
from integration.program import run_program


def test_db(database, tmp_path):
    run_program("test_db", database, database.create("guts_db"))
