# SPDX-License-Identifier: Apache-2.0
"""Credentials are nowhere in clear: database, broker, logs, command lines, answers."""
import contextlib
import os
import pathlib
import threading
import time

PASSWORD = "Tr0ub4dor&3-never-in-clear"


def command_lines():
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_bytes()
        except OSError:
            continue


def contents(top):
    """Of each file below it that is there still when its turn comes: servers go on with theirs."""
    for folder, _, names in os.walk(top):
        for path in (pathlib.Path(folder, name) for name in names):
            with contextlib.suppress(FileNotFoundError):
                if path.is_file():
                    yield path, path.read_bytes()


def test_secrets_are_nowhere_in_clear(platform):
    platform.start(1)
    seen = []
    stop = threading.Event()

    def watch():
        while not stop.is_set():
            seen.extend(line for line in command_lines() if PASSWORD.encode() in line)
            time.sleep(0.05)
    watcher = threading.Thread(target=watch)
    watcher.start()
    file = platform.directory / "password"
    file.write_text(PASSWORD)
    file.chmod(0o600)
    try:
        for kind, name in (("source", "fakes"), ("destination", "nowhere")):
            platform.guts(kind, "create", name, "--driver", "fake", "--setting", f"path={platform.world}",
                          "--secret", f"password=@{file}")
        platform.guts("source", "refresh", "fakes")
        made = platform.migrate("fake-000001", "nowhere", options={"seconds": 3})["created"][0]
        # While the job's messages are under way the broker keeps them on disk.
        platform.wait_state(made["id"], "VERIFIED")
    finally:
        stop.set()
        watcher.join()
    file.unlink()
    assert not seen
    secret = PASSWORD.encode()
    answers = [platform.get(path) for path in ("/v1/sources/fakes", "/v1/destinations/nowhere",
                                               "/v1/sources", "/v1/events?limit=1000",
                                               f"/v1/migrations/{made['id']}", "/v1/drivers")]
    assert PASSWORD not in str(answers)
    dump = platform.database.dump(platform.database_name)
    assert b"fakes" in dump and secret not in dump
    kept = [platform.directory, platform.broker.directory, platform.database.directory]
    for top in kept:
        for path, data in contents(top):
            assert secret not in data, path


def test_a_seal_is_of_no_use_for_another_address(platform):
    platform.start(1)
    other = platform.directory / "other-world"
    other.mkdir()
    platform.write_roots.append(str(other))
    made = platform.post("/v1/sources", {"name": "fakes", "driver": "fake", "settings": {
        "path": str(platform.world), "password": PASSWORD}})
    assert made.status == 201 and "password" not in str(made["settings"]), made
    refused = platform.request("PATCH", "/v1/sources/fakes", {"settings": {"path": str(other)}})
    assert refused.status == 409 or refused.status == 422 or refused.status == 400, refused
    assert refused["code"] == "secrets_needed"
    # Who changes the address behind the API's back gains nothing: the node refuses the seal.
    platform.database.sql(f"UPDATE sources SET address = '{other}', settings_json ="
                          f" REPLACE(settings_json, '{platform.world}', '{other}')",
                          platform.database_name)
    wish = platform.refresh("sources", "fakes")
    assert wish["state"] == "failed" and wish["fault"]["code"] == "seal_invalid", wish
