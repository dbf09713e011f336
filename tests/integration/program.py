# SPDX-License-Identifier: Apache-2.0
"""Runs the C programs of tests/integration against the private database."""
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("GUTS_BUILD", ROOT / "build"))


def run_program(name, database, schema, *words, timeout=400, tls_ca=None):
    """A cmocka program; its report is the failure's text. Returns what it printed."""
    env = dict(os.environ,
               GUTS_TEST_DB_ADDRESS=database.address,
               GUTS_TEST_DB_USER=database.user,
               GUTS_TEST_DB_PASSWORD=pathlib.Path(database.password_file).read_text().strip(),
               GUTS_TEST_DB_NAME=schema,
               GUTS_TEST_DB_PID=str(database.pid))
    if tls_ca:
        env["GUTS_TEST_DB_TLS_CA"] = str(tls_ca)
    done = subprocess.run([BUILD / "tests/integration" / name, *words], env=env, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout)
    assert done.returncode == 0, done.stdout[-8000:]
    return done.stdout
