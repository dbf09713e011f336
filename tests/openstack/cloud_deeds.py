# SPDX-License-Identifier: Apache-2.0
"""What others do in the cloud meanwhile: things that are made for a while, quotas, ports of rivals."""
import contextlib


@contextlib.contextmanager
def made(openstack, service, path, envelope, **words):
    one = openstack.call("POST", service, path, {envelope: words})[envelope]
    try:
        yield one
    finally:
        openstack.call("DELETE", service, f"{path}/{one.get('id', one['name'])}")


@contextlib.contextmanager
def quota(openstack, service, name, value):
    project = openstack.project(openstack.cloud)
    path = {"compute": f"/os-quota-sets/{project}", "volume": f"/os-quota-sets/{project}",
            "network": f"/v2.0/quotas/{project}"}[service]
    envelope = "quota" if service == "network" else "quota_set"
    before = openstack.get(service, path, openstack.root)[envelope][name]
    if service == "volume":  # Cinder takes no limit below what is in use
        used = openstack.get(service, f"{path}?usage=true", openstack.root)[envelope][name]
        value = max(value, used["in_use"])
    openstack.call("PUT", service, path, {envelope: {name: value}}, openstack.root)
    try:
        yield
    finally:
        openstack.call("PUT", service, path, {envelope: {name: before}}, openstack.root)


def network_id(openstack, name="blue"):
    return openstack.get("network", f"/v2.0/networks?name={name}")["networks"][0]["id"]


def make_port(openstack, **words):
    return made(openstack, "network", "/v2.0/ports", "port", network_id=network_id(openstack),
                **words)
