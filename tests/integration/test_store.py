# SPDX-License-Identifier: Apache-2.0
"""common/store: every verb against a real database, and how the server executes the lists."""
import pytest
from integration.program import run_program


@pytest.mark.parametrize("noun", ["schema", "endpoint", "vm", "migration", "site", "job"])
def test_store(database, noun):
    run_program(f"test_store_{noun}", database, database.create(f"guts_store_{noun}"))


def executed(database, schema):
    """The statements that lists_store ran, as the server's general log has them."""
    database.sql("SET GLOBAL log_output = 'TABLE'; TRUNCATE mysql.general_log; "
                 "SET GLOBAL general_log = 1")
    try:
        run_program("lists_store", database, schema, "run")
    finally:
        database.sql("SET GLOBAL general_log = 0")
    rows = database.sql("SELECT REPLACE(HEX(argument), '\\n', '') FROM mysql.general_log WHERE "
                        "command_type = 'Execute' AND argument LIKE 'SELECT%ORDER BY%LIMIT%'")
    return sorted({bytes.fromhex(row[0]).decode("utf-8", "surrogateescape") for row in rows})


@pytest.fixture(scope="module")
def statements(_database_session):
    database = _database_session
    schema = database.create("guts_store_lists")
    run_program("lists_store", database, schema, "seed")
    return schema, executed(database, schema)


def test_lists_are_read_from_their_indexes(database, statements):
    schema, texts = statements
    assert len(texts) >= 60
    for text in texts:
        plan = database.sql(f"EXPLAIN {text}", schema)
        main = plan[0]
        assert main[5] != "NULL", f"no index: {text}\n{plan}"
        assert main[3] != "ALL", f"reads it all: {text}\n{plan}"
        assert "filesort" not in main[-1], f"sorts: {text}\n{plan}"
        assert "temporary" not in main[-1], f"keeps a temporary table: {text}\n{plan}"
        for joined in plan[1:]:
            assert joined[3] in ("eq_ref", "const", "ref", "system"), f"{text}\n{joined}"
