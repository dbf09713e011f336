# SPDX-License-Identifier: Apache-2.0
"""How nodes and the command line reach a cloud: certificates on both sides, regions, application credentials.
The cloud says yes to everything; a worker reads its files from within its walls."""
import shutil
import tempfile
from pathlib import Path

import pytest

from guts_platform import Platform, wait_until
from small_cloud import SmallCloud

PASSWORD = {"username": "u", "password": "pass", "project_name": "p"}


@pytest.fixture(scope="module")
def folder():
    made = Path(tempfile.mkdtemp(prefix="guts-tls-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="module")
def clouds(folder):
    """One behind TLS, one that asks for a certificate of its clients, too."""
    made = {}
    for name, clients in (("open", False), ("strict", True)):
        (folder / name).mkdir()
        made[name] = SmallCloud(folder / name, clients=clients)
    yield made
    for cloud in made.values():
        cloud.stop()


@pytest.fixture(scope="module")
def platform(_broker_session, _database_session, clouds, folder):
    made = Platform(folder / "guts", _broker_session, _database_session, "guts_tls")
    made.read_roots.append(str(folder))
    made.urls = [f"{cloud.url}/" for cloud in clouds.values()]
    made.start()
    yield made
    made.close()
    made.remove()


def refresh(platform, name, cloud, **settings):
    """The outcome of a look at destination `name`."""
    taken = platform.post("/v1/destinations", {"name": name, "driver": "openstack", "settings": {
        "auth_url": cloud.auth_url, **settings}})
    assert taken.status == 201, taken
    return platform.refresh("destinations", name)


def check_reached(wish):
    assert wish["state"] == "done", wish


def check_refused(wish):
    assert wish["state"] == "failed" and wish["fault"]["code"] == "destination_unreachable", wish


def test_a_certificate_is_checked_against_the_given_authority(platform, clouds, folder):
    check_reached(refresh(platform, "trusted", clouds["open"], **PASSWORD,
                          cacert=str(folder / "open/ca.pem")))


@pytest.mark.parametrize("name,settings", [("system", {}), ("stranger", {"cacert": "open/other.pem"})])
def test_a_certificate_of_nobody_known_is_refused(platform, clouds, folder, name, settings):
    before = clouds["open"].tokens
    settings = {key: str(folder / value) for key, value in settings.items()}
    wish = refresh(platform, name, clouds["open"], **PASSWORD, **settings)
    check_refused(wish)
    assert "certificate" in wish["fault"]["detail"].lower(), wish
    assert clouds["open"].tokens == before


def test_who_says_insecure_in_so_many_words_gets_it(platform, clouds):
    check_reached(refresh(platform, "insecure", clouds["open"], **PASSWORD, insecure=True))


def test_a_cloud_that_asks_for_our_certificate_gets_it(platform, clouds, folder):
    strict = {"cacert": str(folder / "strict/ca.pem")}
    check_reached(refresh(platform, "known", clouds["strict"], **PASSWORD, **strict,
                          cert=str(folder / "strict/client.pem"), key=str(folder / "strict/client.key")))
    before = clouds["strict"].tokens
    # Its words are chance: since TLS 1.3 the other end's alert races with its closing of the connection.
    check_refused(refresh(platform, "unknown", clouds["strict"], **PASSWORD, **strict))
    assert clouds["strict"].tokens == before


def test_an_application_credential_asks_for_no_scope(platform, clouds, folder):
    check_reached(refresh(platform, "credential", clouds["open"], auth_type="v3applicationcredential",
                          application_credential_id="ac", application_credential_secret="quiet",
                          cacert=str(folder / "open/ca.pem")))
    asked = clouds["open"].asked[-1]["auth"]
    assert asked == {"identity": {"methods": ["application_credential"], "application_credential": {
        "id": "ac", "secret": "quiet"}}}


def test_region_and_interface_choose_the_endpoints(platform, clouds, folder):
    clouds["open"].paths.clear()
    check_reached(refresh(platform, "south", clouds["open"], **PASSWORD, region_name="south",
                          interface="internal", cacert=str(folder / "open/ca.pem")))
    wait_until("the cloud was asked", 10, lambda: clouds["open"].paths)
    assert {path.split("/")[1] for path in clouds["open"].paths} == {"south-internal"}


def test_a_region_that_is_not_there_is_told(platform, clouds, folder):
    wish = refresh(platform, "west", clouds["open"], **PASSWORD, region_name="west",
                   cacert=str(folder / "open/ca.pem"))
    assert wish["state"] == "failed" and '"west"' in wish["fault"]["detail"], wish


# -- the command line -------------------------------------------------------------------------------

def token(platform, folder, clouds_yaml, secure="", **environment):
    """What `guts` does with those files: its exit status and words."""
    (folder / "clouds.yaml").write_text(clouds_yaml)
    (folder / "secure.yaml").write_text(secure)
    return platform.guts("source", "list", "--os-cloud", "one", check=False,
                         OS_CLIENT_CONFIG_FILE=str(folder / "clouds.yaml"),
                         OS_CLIENT_SECURE_FILE=str(folder / "secure.yaml"), **environment)


def test_the_command_line_logs_in_with_certificates_of_clouds_yaml(platform, clouds, folder):
    strict = clouds["strict"]
    done = token(platform, folder, f"""
clouds:
  one:
    auth: {{auth_url: "{strict.auth_url}", username: u, project_name: p}}
    cacert: {folder}/strict/ca.pem
    cert: {folder}/strict/client.pem
    key: {folder}/strict/client.key
""", "clouds: {one: {auth: {password: secret}}}\n")
    assert done.returncode == 0, done
    assert strict.asked[-1]["auth"]["identity"]["password"]["user"]["password"] == "secret"


@pytest.mark.parametrize("more,status", [("", 1), ("verify: false", 0), ("insecure: true", 0)])
def test_the_command_line_checks_certificates_unless_told(platform, clouds, folder, more, status):
    done = token(platform, folder, f"""
clouds:
  one:
    auth: {{auth_url: "{clouds['open'].auth_url}", username: u, password: x, project_name: p}}
    {more}
""")
    assert (done.returncode != 0) == bool(status), done
