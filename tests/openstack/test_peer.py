# SPDX-License-Identifier: Apache-2.0
"""The cloud that the other tests stand on is what they take it for."""
import hashlib
import os
import time

import pytest

from peers.cloud.client import CloudAnswer


def wait_status(openstack, server, wanted):
    end = time.monotonic() + 180
    while True:
        one = openstack.get("compute", f"/servers/{server}")["server"]
        if one["status"] == wanted:
            return one
        assert time.monotonic() < end and one["status"] != "ERROR", one
        time.sleep(0.5)


def test_an_image_becomes_a_server_and_nothing_stays(openstack):
    before = openstack.inventory()
    data = os.urandom(1 << 20)
    image = openstack.call("POST", "image", "/v2/images", {
        "name": "peer", "disk_format": "raw", "container_format": "bare"})["id"]
    openstack.call("PUT", "image", f"/v2/images/{image}/file", data,
                   headers={"Content-Type": "application/octet-stream"})
    stored = openstack.get("image", f"/v2/images/{image}")
    assert (stored["status"], stored["os_hash_value"]) == ("active", hashlib.sha512(data).hexdigest())
    flavor = next(one["id"] for one in openstack.get("compute", "/flavors")["flavors"]
                  if one["name"] == "g.nano")
    network = openstack.get("network", "/v2.0/networks?name=blue")["networks"][0]["id"]
    server = openstack.call("POST", "compute", "/servers", {"server": {
        "name": "peer", "imageRef": image, "flavorRef": flavor,
        "networks": [{"uuid": network}]}})["server"]["id"]
    wait_status(openstack, server, "ACTIVE")
    during = openstack.inventory()
    assert len(during["servers"]) == len(before["servers"]) + 1
    assert len(during["ports"]) == len(before["ports"]) + 1
    openstack.call("DELETE", "compute", f"/servers/{server}")
    openstack.call("DELETE", "image", f"/v2/images/{image}")
    end = time.monotonic() + 180
    while openstack.inventory() != before:
        assert time.monotonic() < end, openstack.inventory()
        time.sleep(0.5)


def test_a_revoked_token_is_refused_and_a_brief_one_ends(openstack):
    token, _ = openstack.new_token(openstack.member)
    mine = {"X-Auth-Token": token}
    assert openstack.call("GET", "identity", "/auth/tokens",
                          headers={**mine, "X-Subject-Token": token})["token"]
    openstack.revoke(token)
    with pytest.raises(CloudAnswer) as refused:
        openstack.call("GET", "identity", "/auth/tokens", headers={**mine, "X-Subject-Token": token})
    assert refused.value.status == 401
    _, body = openstack.new_token(openstack.member, openstack.brief_auth_url)
    assert body["issued_at"][:16] <= body["expires_at"][:16]


def test_a_service_that_was_stopped_is_back_for_the_next_test(openstack):
    openstack.service("stop", "glance")
    with pytest.raises(OSError):
        openstack.get("image", "/v2/images")
    openstack.make_usable()
    assert "images" in openstack.get("image", "/v2/images")
