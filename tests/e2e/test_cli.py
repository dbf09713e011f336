# SPDX-License-Identifier: Apache-2.0
"""The command line as people and scripts use it."""
import csv
import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import time

import pytest
import yaml

from guts_platform import ENVIRONMENT, program
from machines import make_machine


@pytest.fixture(scope="module")
def platform(shared):
    for name in ("one", "two", "three", "four"):
        make_machine(shared.machines, name, size_bytes=16 << 20)
    shared.guts("source-create", "lab", "--driver", "workstation", "--setting",
                f"path={shared.machines}")
    shared.guts("source", "refresh", "lab")
    shared.guts("destination", "create", "kvm", "--driver", "local", "--setting",
                f"path={shared.results}")
    return shared


def test_every_format_shows_the_same_vms(platform):
    names = {"one", "two", "three", "four"}
    rows = json.loads(platform.guts("vm", "list", "-f", "json").stdout)
    assert {row["name"] for row in rows} == names
    assert {row["name"] for row in yaml.safe_load(platform.guts("vm-list", "-f", "yaml").stdout)} == names
    table = list(csv.reader(io.StringIO(platform.guts("vm", "list", "-f", "csv", "-c", "name").stdout)))
    assert table[0] == ["NAME"] and {row[0] for row in table[1:]} == names
    value = platform.guts("vm", "list", "-f", "value", "-c", "name", "--sort-column", "name").stdout
    assert value.split() == sorted(names)
    assert "CAPACITY" in platform.guts("vm", "list").stdout


def test_columns_are_named_by_heading_or_field_in_any_case(platform):
    for name in ("State", "STATE", "state"):
        assert platform.guts("source", "show", "lab", "-c", name, "-f", "value").stdout == "ready\n"
    shown = json.loads(platform.guts("source", "show", "lab", "-c", "Created At", "-f", "json").stdout)
    assert list(shown) == ["created_at"]
    assert platform.guts("vm", "list", "-c", "Name", "-f", "value", "--sort-column", "NAME").stdout.split() \
        == sorted(("one", "two", "three", "four"))
    assert platform.guts("source", "show", "lab", "-c", "Stat", check=False).returncode != 0


def test_things_are_named_by_id_or_name(platform):
    by_name = platform.guts_json("source", "show", "lab")
    assert platform.guts_json("source", "show", by_name["id"]) == by_name


def test_migrate_waits_with_plain_lines_where_there_is_no_terminal(platform):
    done = platform.guts("migrate", "one", "--to", "kvm", "--wait")
    lines = [line for line in done.stdout.splitlines() if line.startswith("one: ")]
    assert lines[-1] == "one: VERIFIED"
    assert "\033" not in done.stdout


def test_migrate_draws_bars_on_a_terminal(platform):
    platform.add("sources", "slow", "fake", path=str(platform.world), vms=1, disks=2,
                 disk_bytes=8 << 20, bytes_per_second=1 << 20)
    platform.add("destinations", "nowhere", "fake", path=str(platform.world))
    main, terminal = pty.openpty()
    process = subprocess.Popen([program("cli"), "migrate", "fake-000001", "--to", "nowhere", "--wait"],
                               stdin=terminal, stdout=terminal, stderr=terminal,
                               env={**ENVIRONMENT, "TERM": "xterm",
                                    "GUTS_URL": f"http://127.0.0.1:{platform.api_port}"})
    os.close(terminal)
    shown, end = b"", time.monotonic() + 120
    while time.monotonic() < end:
        if select.select([main], [], [], 0.2)[0]:
            try:
                shown += os.read(main, 65536)
            except OSError:
                break
        elif process.poll() is not None:
            break
    assert process.wait(60) == 0, shown
    # From when it is first seen: what goes before the copy slows it down.
    assert re.search(rb"disk 0 .*\[=+> *\].*%.*[KM]iB/s", shown), shown
    assert re.search(rb"disk 1 .*\[.*\].*%", shown), shown
    assert b"fake-000001: VERIFIED" in shown


def test_exit_codes_tell_scripts_what_happened(platform):
    assert platform.guts("vm", "show", "nobody", check=False).returncode == 4
    assert platform.guts("vm", "list", "--nonsense", check=False).returncode == 2
    assert platform.guts("nonsense", check=False).returncode == 2
    assert platform.guts("source", "set", "lab", check=False).returncode == 2  # to what?
    assert platform.guts("vm", "list", check=False, GUTS_URL="http://127.0.0.1:1").returncode == 3
    refused = platform.guts("source", "delete", "lab", check=False)
    assert refused.returncode == 1 and "[in_use]" in refused.stderr


def test_all_field_errors_come_at_once(platform):
    done = platform.guts("source", "create", "bad", "--driver", "workstation", "--setting", "path=relative",
                         "--setting", "unknown=1", check=False)
    assert done.returncode == 1
    assert "/settings/path" in done.stderr and "/settings/unknown" in done.stderr


def test_an_interrupted_wait_leaves_the_migration_going(platform):
    process = subprocess.Popen([program("cli"), "migrate", "three", "--to", "kvm", "--wait"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env={**ENVIRONMENT, "GUTS_URL": f"http://127.0.0.1:{platform.api_port}"})
    line = process.stdout.readline()
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode in (130, 0), (line, out, err)
    found = platform.get("/v1/migrations?vm=three&limit=1")["migrations"][0]
    platform.wait_state(found["id"], "VERIFIED")


def test_events_tell_a_migrations_path(platform):
    platform.guts("migrate", "four", "--to", "kvm", "--wait")
    found = platform.get("/v1/migrations?vm=four&limit=1")["migrations"][0]
    rows = platform.guts_json("event", "list", "--owner", found["id"])
    path = [row["data"]["to"] for row in rows if row["kind"] == "migration.state"]
    assert path[-1] == "VERIFIED" and path.index("SCHEDULED") < path.index("DISCOVERED")


def test_help_is_everywhere(platform):
    commands = re.findall(r"^  ([a-z]+(?: [a-z]+)?) {2,}", platform.guts("--help").stdout, re.M)
    assert len(commands) > 30
    for command in commands:
        assert "usage: guts" in platform.guts(*command.split(), "--help").stdout


@pytest.mark.parametrize("words, offered", [
    (["sour"], {"source"}),
    (["source-sh"], {"source-show"}),
    (["source", "sh"], {"show"}),
    (["source-create", "--dr"], {"--driver"}),
    (["source", "create", "--dr"], {"--driver"}),
    (["migrate", "--on-failure", "k"], {"keep"}),
    (["migrate-", ""], set()),
])
def test_bash_completes_commands_in_both_forms(words, offered):
    script = """source <("$0" complete); COMP_WORDS=(guts "$@"); COMP_CWORD=$#; _guts
                printf '%s\\n' "${COMPREPLY[@]}" """
    done = subprocess.run(["bash", "-c", script, program("cli"), *words], env=ENVIRONMENT,
                          capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == offered, done.stderr
