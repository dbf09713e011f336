# SPDX-License-Identifier: Apache-2.0
"""The example configurations load, and name every key that the daemons read."""
import os
import pathlib
import re
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("GUTS_BUILD", TOP / "build"))
DAEMONS = {"guts-api": "api", "guts-scheduler": "scheduler", "guts-migration": "migration"}
PROGRAMS = DAEMONS | {"guts-manage": "manage"}
KEY = "first AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"


def daemon(name, *options):
    done = subprocess.run([BUILD / PROGRAMS[name] / name, *options], text=True, timeout=20,
                          capture_output=True)
    return done.returncode, done.stdout + done.stderr


def example(name):
    return (TOP / "deploy/config" / f"{name}.conf").read_text()


def keys(text):
    """section.key of all assignments; those behind a comment sign count where they end with ";"."""
    found, section = set(), ""
    for line in text.split("\n"):
        opened = re.match(r"(\w+)\s*=\s*\{$", line)
        assigned = re.match(r"\s*(?:# )?(\w+) = .*;$", line)
        if opened:
            section = opened.group(1)
        elif line.startswith("}"):
            section = ""
        elif assigned:
            found.add(f"{section}.{assigned.group(1)}")
    return found


def uncommented(text):
    return re.sub(r"^(\s*)# (\w+ = .*;)$", r"\1\2", text, flags=re.M)


def installed(text, folder):
    """The same with its files of secrets in a folder, where they exist."""
    for path in set(re.findall(r'"(/etc/guts/[^"]+)"', text)):
        place = folder / pathlib.Path(path).name
        place.write_text(KEY if "seal" in path else "password\n")
        place.chmod(0o600)
    return text.replace("/etc/guts/", f"{folder}/")


@pytest.mark.parametrize("name", DAEMONS)
def test_an_example_loads_as_it_is_and_with_all_defaults_spelled_out(name, tmp_path):
    for text in (example(name), uncommented(example(name))):
        path = tmp_path / f"{name}.conf"
        path.write_text(installed(text, tmp_path))
        status, output = daemon(name, "--config", path, "--check-config")
        assert (status, "is fine" in output) == (0, True), output


def test_the_example_of_guts_manage_loads(tmp_path):
    text = example("guts-manage").replace('# addresses = [ "127.0.0.1:3306" ]', 'addresses = [ "127.0.0.1:1" ]')
    path = tmp_path / "guts-manage.conf"
    path.write_text(installed(text, tmp_path))
    status, output = daemon("guts-manage", "--config", path, "token-list")
    assert status == 4, output  # the configuration is right; nothing listens on port 1


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_example_names_every_key_and_no_other(name):
    status, output = daemon(name, "--help-config")
    assert status == 0
    assert keys(example(name)) == keys(output)


@pytest.mark.parametrize("name", DAEMONS)
def test_a_wrong_key_is_refused_with_its_line(name, tmp_path):
    path = tmp_path / f"{name}.conf"
    path.write_text(installed(example(name), tmp_path) + "brokker = { };\n")
    status, output = daemon(name, "--config", path, "--check-config")
    assert status == 3
    assert re.search(r"line \d+: brokker is not known", output)


@pytest.mark.parametrize("name", DAEMONS)
def test_a_unit_starts_the_daemon_with_its_example(name):
    unit = (TOP / "deploy/systemd" / f"{name}.service").read_text()
    assert f"ExecStart=/usr/bin/{name} --config /etc/guts/{name}.conf" in unit
    assert "Type=notify" in unit


def test_what_scheduler_and_nodes_say_of_the_same_times_agrees():
    of_scheduler, of_node = example("guts-scheduler"), example("guts-migration")
    for key in ("report_interval", "stop_grace"):
        told = [re.search(rf'# {key} = "(\w+)";', text).group(1) for text in (of_scheduler, of_node)]
        assert told[0] == told[1], key
