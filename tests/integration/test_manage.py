# SPDX-License-Identifier: Apache-2.0
"""guts-manage from its command line: schema, tokens, keys, a look at the configuration."""
import hashlib
import pathlib
import re
import subprocess

import pytest
from integration.program import BUILD, ROOT

PROGRAM = BUILD / "manage/guts-manage"


class Manage:
    def __init__(self, config):
        self.config = config

    def __call__(self, *words, status=0, env=None):
        done = subprocess.run([PROGRAM, "--config", self.config, *words], text=True, timeout=60,
                              capture_output=True, env=env)
        assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
        return done.stdout, done.stderr


def write_config(path, database, name, address=None):
    path.write_text(f'database: {{ addresses = ["{address or database.address}"]; '
                    f'database = "{name}"; user = "{database.user}"; connect_timeout = "1s"; '
                    f'password_file = "{database.password_file}"; }};\n')
    return path


@pytest.fixture
def manage(database, tmp_path):
    name = database.create("guts_manage")
    return Manage(write_config(tmp_path / "guts-manage.conf", database, name))


def test_a_sync_makes_the_tables_once(manage, database):
    assert "from version 0" in manage("db-sync")[0]
    assert "already" in manage("db-sync")[0]
    newest = int(database.sql("SELECT MAX(number) FROM schema_versions", "guts_manage")[0][0])
    database.sql(f"INSERT INTO schema_versions VALUES ({newest + 1}, 'future', 1)", "guts_manage")
    assert "upgrade guts" in manage("db-sync", status=1)[1]
    assert "upgrade guts" in manage("token-list", status=1)[1]


def test_tokens_are_shown_once_and_stored_as_hashes(manage, database):
    assert "db-sync" in manage("token-list", status=1)[1]
    manage("db-sync")
    out, _ = manage("token-create", "--role", "member", "--name", "ci", "--project", "red",
                    "--expires", "90d")
    assert re.fullmatch(r"guts_[A-Za-z0-9_-]{43}\n", out)
    text = out.strip()
    row = database.sql("SELECT name, role, project, HEX(hash), expires_at - created_at FROM tokens",
                       "guts_manage")[0]
    assert row[:3] == ["ci", "member", "red"]
    assert row[3].lower() == hashlib.blake2b(text.encode(), digest_size=32).hexdigest()
    assert abs(int(row[4]) - 90 * 86400 * 10**6) < 60 * 10**6
    listed, _ = manage("token-list")
    assert "valid" in listed and "ci" in listed and text not in listed
    assert "name_taken" in manage("token-create", "--role", "admin", "--name", "ci", status=1)[1]
    manage("token-revoke", "ci")
    assert "revoked" in manage("token-list")[0]
    assert "not_found" in manage("token-revoke", "ci", status=1)[1]


@pytest.mark.parametrize("words", [
    (), ("no-such",), ("token-create",), ("token-create", "--role", "king"),
    ("token-create", "--role", "admin", "--expires", "soon"),
    ("token-create", "--role", "admin", "--name", ""), ("token-revoke",), ("db-sync", "now"),
    ("token-create", "--role", "admin", "--project", "a\nb"), ("keygen", "--secret", "x")])
def test_a_wrong_call_says_so(manage, words):
    _, err = manage(*words, status=2)
    assert "--help" in err


def test_every_command_helps(manage):
    out, _ = manage("--help")
    commands = re.findall(r"^  ([a-z]+-[a-z]+|keygen) ", out, re.M)
    assert len(commands) == 7
    for command in commands:
        assert f"usage: guts-manage {command}" in manage(command, "--help")[0]


def test_keys_are_made_and_rotated(manage, tmp_path):
    words = ("keygen", "--public", tmp_path / "public", "--private", tmp_path / "private")
    manage(*words)
    manage(*words)
    assert (tmp_path / "private").stat().st_mode & 0o777 == 0o600
    assert len((tmp_path / "public").read_text().splitlines()) == 2


def test_a_configuration_or_a_database_that_is_missing_has_its_status(manage, database, tmp_path):
    assert "cannot be read" in Manage(tmp_path / "none")("token-list", status=3)[1]
    away = write_config(tmp_path / "away.conf", database, "guts_manage", "127.0.0.1:1")
    assert "db_unavailable" in Manage(away)("token-list", status=4)[1]


def test_each_daemon_is_asked_for_its_configuration(manage, tmp_path):
    folder = tmp_path / "etc"
    folder.mkdir()
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, status in (("guts-api", 0), ("guts-scheduler", 3)):
        path = programs / name
        path.write_text(f'#!/bin/sh\n[ "$1 $2 $3" = "--config {folder}/{name}.conf --check-config" ]'
                        f" || exit 9\nexit {status}\n")
        path.chmod(0o755)
    env = {"PATH": f"{programs}:/usr/bin:/bin"}
    manage("config-check", "--config-dir", folder, status=3, env=env)  # there is nothing to check
    (folder / "guts-api.conf").write_text("")
    assert "is fine" in manage("config-check", "--config-dir", folder, env=env)[0]
    (folder / "guts-scheduler.conf").write_text("")
    out, _ = manage("config-check", "--config-dir", folder, status=3, env=env)
    assert "guts-scheduler" in out and "is WRONG (status 3)" in out
    (folder / "guts-scheduler.conf").unlink()
    (folder / "guts-manage.conf").write_text("database: { wrong = 1; };")
    assert "WRONG" in manage("config-check", "--config-dir", folder, status=3, env=env)[0]


def test_the_readme_names_each_command():
    text = pathlib.Path(ROOT / "manage/README.md").read_text()
    for command in ("db-sync", "keygen", "token-create", "token-list", "token-revoke",
                    "config-check"):
        assert f"`{command}" in text
