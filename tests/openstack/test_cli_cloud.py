# SPDX-License-Identifier: Apache-2.0
"""guts-manage keystone-setup, and `guts` with the token and the address that Keystone gives."""
import json
import re
import subprocess
import threading
import time

import pytest
import yaml

from api_fixtures import make_seal_key
from api_world import Api, Rows
from guts_platform import ENVIRONMENT, conf_text, program


class World:
    def __init__(self, directory, database, openstack):
        self.openstack, self.directory = openstack, directory
        self.rows = Rows(database, "guts_cli_cloud")
        self.password = directory / "keystone.password"
        self.port = None
        self.first = self.setup("http://127.0.0.1:1")
        self.api = Api(directory / "api", database, self.rows, auth="keystone",
                       seal_keys=make_seal_key(directory), more=conf_text({"keystone": {
                           "auth_url": openstack.auth_url, "password_file": self.password,
                           "cache": "1s", "cache_refused": "1s"}}))
        self.api.token = openstack.token(openstack.cloud)
        self.api.wait_usable()
        self.setup(self.api.url)

    def setup(self, url, *words, check=True, cloud=None):
        done = subprocess.run(
            [program("manage"), "keystone-setup", "--url", url, "--password-file", self.password,
             "--os-cloud", cloud or self.openstack.root, *words], text=True, capture_output=True,
            timeout=60, env={**ENVIRONMENT,
                             "OS_CLIENT_CONFIG_FILE": str(self.openstack.clouds_file)})
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def guts(self, *words, check=True, **environment):
        done = subprocess.run([program("cli"), *words], text=True, capture_output=True, timeout=60,
                              stdin=subprocess.DEVNULL, env={**ENVIRONMENT, **environment})
        assert not check or done.returncode == 0, (done.returncode, done.stdout + done.stderr)
        return done

    def by_name(self, cloud):
        return {"OS_CLIENT_CONFIG_FILE": str(self.openstack.clouds_file), "OS_CLOUD": cloud}


@pytest.fixture(scope="module")
def world(tmp_path_factory, database, openstack):
    made = World(tmp_path_factory.mktemp("cli"), database, openstack)
    yield made
    made.api.stop()


def endpoints(openstack):
    service = openstack.get("identity", "/services?type=migration", openstack.root)["services"]
    assert len(service) == 1
    found = openstack.get("identity", f"/endpoints?service_id={service[0]['id']}", openstack.root)
    return {one["interface"]: one["url"] for one in found["endpoints"]}, len(found["endpoints"])


# -- guts-manage ----------------------------------------------------------------------------------

def test_setup_may_be_repeated_and_changes_addresses_only(world):
    assert 'service "migration": made' in world.first.stdout or "is there" in world.first.stdout
    assert world.password.stat().st_mode & 0o777 == 0o600
    password = world.password.read_text()
    again = world.setup(world.api.url).stdout
    assert "made" not in again and "changed" not in again, again
    assert world.password.read_text() == password
    moved = world.setup(world.api.url, "--internal-url", "http://127.0.0.1:2").stdout
    assert moved.count("changed") == 2, moved
    assert endpoints(world.openstack) == ({"public": world.api.url, "internal": "http://127.0.0.1:2",
                                           "admin": "http://127.0.0.1:2"}, 3)
    assert password not in again + moved
    world.setup(world.api.url)


def test_a_lost_password_is_set_anew(world, tmp_path):
    kept = world.password.read_text()
    world.password.unlink()
    assert "changed to that of the file" in world.setup(world.api.url).stdout
    assert world.password.read_text() != kept
    world.password.write_text(kept)
    assert "changed to that of the file" in world.setup(world.api.url).stdout


def test_setup_needs_an_administrator_and_a_sound_address(world):
    refused = world.setup(world.api.url, check=False, cloud=world.openstack.member)
    assert refused.returncode == 1 and "denied" in refused.stderr
    assert world.setup("ftp://x", check=False).returncode == 2
    assert world.setup(world.api.url, check=False, cloud="nobody").returncode == 1


def test_tokens_that_end_with_a_password_hold_nobody_up(world):
    token = world.openstack.token(world.openstack.member)
    kept = world.password.read_text()
    time.sleep(1.1)  # what the API remembers of tokens
    time.sleep(1 - time.time() % 1)  # Keystone revokes by whole seconds: the next token of this one, too
    world.password.unlink()
    world.setup(world.api.url)
    world.password.write_text(kept)
    world.setup(world.api.url)
    world.guts("source", "list", GUTS_TOKEN=token, GUTS_URL=world.api.url)


# -- guts -------------------------------------------------------------------------------------------

def test_a_cloud_of_clouds_yaml_is_enough(world):
    by_name = world.by_name(world.openstack.member)
    assert json.loads(world.guts("source", "list", "-f", "json", **by_name).stdout) == []
    option = {key: value for key, value in by_name.items() if key != "OS_CLOUD"}
    world.guts("source", "list", "--os-cloud", world.openstack.member, **option)


def test_variables_are_enough(world):
    world.guts("source", "list", **world.openstack.variables(world.openstack.reader))


def test_secure_yaml_and_an_application_credential(world, tmp_path):
    entry = world.openstack.entry(world.openstack.member)
    password = entry["auth"].pop("password")
    (tmp_path / "clouds.yaml").write_text(yaml.safe_dump({"clouds": {"one": entry}}))
    (tmp_path / "secure.yaml").write_text(yaml.safe_dump(
        {"clouds": {"one": {"auth": {"password": password}}}}))
    place = {"OS_CLIENT_CONFIG_FILE": str(tmp_path / "clouds.yaml"),
             "OS_CLIENT_SECURE_FILE": str(tmp_path / "secure.yaml")}
    world.guts("source", "list", "--os-cloud", "one", **place)
    openstack = world.openstack
    token, body = openstack.new_token(openstack.member)
    made = openstack.call("POST", "identity", f"/users/{body['user']['id']}/application_credentials",
                          {"application_credential": {"name": f"guts-{time.time()}"}},
                          headers={"X-Auth-Token": token})["application_credential"]
    world.guts("source", "list", OS_AUTH_TYPE="v3applicationcredential",
               OS_AUTH_URL=openstack.auth_url, OS_APPLICATION_CREDENTIAL_ID=made["id"],
               OS_APPLICATION_CREDENTIAL_SECRET=made["secret"])


def test_what_is_said_of_guts_goes_before_the_cloud(world):
    by_name = world.by_name(world.openstack.member)
    refused = world.guts("source", "list", check=False, GUTS_TOKEN="nonsense",
                         GUTS_URL=world.api.url, **by_name)
    assert refused.returncode == 5
    away = world.guts("source", "list", check=False, GUTS_URL="http://127.0.0.1:1", **by_name)
    assert away.returncode == 3
    both = world.guts("source", "list", "--os-cloud", "x", "--token-file", "/dev/null", check=False)
    assert both.returncode == 2


@pytest.mark.parametrize("change, status", [
    ({"OS_PASSWORD": "mistaken"}, 5), ({"OS_AUTH_URL": "http://127.0.0.1:1/v3"}, 3),
    ({"OS_CLOUD": "nobody", "OS_CLIENT_CONFIG_FILE": "/dev/null"}, 2)])
def test_what_is_wrong_is_told_with_its_exit_code(world, change, status):
    variables = {**world.openstack.variables(world.openstack.member), **change}
    told = world.guts("source", "list", check=False, **variables)
    assert told.returncode == status, told.stderr
    assert told.stderr.startswith("guts: ") and variables["OS_PASSWORD"] not in told.stderr


def test_a_catalogue_without_the_service_is_told(world):
    told = world.guts("source", "list", check=False,
                      OS_REGION_NAME="elsewhere",
                      **{key: value for key, value in
                         world.openstack.variables(world.openstack.member).items()
                         if key != "OS_REGION_NAME"})
    assert told.returncode == 2 and "keystone-setup" in told.stderr


def test_a_token_that_ends_meanwhile_is_renewed(world):
    """And what happened while the API was away is told afterwards."""
    variables = world.openstack.variables(world.openstack.member)
    variables["OS_AUTH_URL"] = world.openstack.brief_auth_url
    project = world.openstack.project(world.openstack.member)
    follower = subprocess.Popen([program("cli"), "event", "follow"], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env={**ENVIRONMENT, **variables})
    too_long = threading.Timer(300, follower.kill)
    too_long.start()
    try:
        world.api.wait(lambda: re.search(r"^guts_api_event_streams [1-9]", world.api.get_raw("/metrics").text, re.M))
        time.sleep(13)  # the first token lives for twelve seconds
        world.api.stop()
        world.rows.event(1, project)
        world.api.start()
        world.api.wait_usable()
        line = follower.stdout.readline()
        assert "event 1" in line, line
        assert follower.poll() is None
    finally:
        too_long.cancel()
        follower.kill()
        follower.communicate(timeout=10)
