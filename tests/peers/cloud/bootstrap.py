# SPDX-License-Identifier: Apache-2.0
"""What a new cloud holds: services, users, flavors, networks, quotas. Each call may be repeated."""
import os

from peers.cloud.facts import CLOUDS, PROJECTS, REGION

SERVICES = (("image", "glance", "glance", ""), ("placement", "placement", "placement", ""),
            ("compute", "nova", "nova", "/v2.1"), ("network", "neutron", "neutron", ""),
            ("volumev3", "cinderv3", "cinder", "/v3/%(project_id)s"),
            ("block-storage", "cinder", "cinder", "/v3/%(project_id)s"))
# Name, MiB, processors, GiB.
FLAVORS = (("g.nano", 64, 1, 1), ("g.tiny", 512, 1, 1), ("g.small", 2048, 1, 20),
           ("g.medium", 4096, 2, 40), ("g.large", 8192, 4, 80), ("g.vast", 1 << 26, 4, 80))
NETWORKS = (("blue", "10.77.0.0/24", {}), ("green", "10.78.0.0/24", {}),
            ("provider", "10.79.0.0/24", {
                "is_shared": True, "provider_network_type": "vlan",
                "provider_physical_network": "physnet1", "provider_segmentation_id": 101}))


def connect(facts, cloud):
    for name in [one for one in os.environ if one.startswith("OS_")]:
        del os.environ[name]
    os.environ["OS_CLIENT_CONFIG_FILE"] = str(facts.path("clouds.yaml"))
    import openstack
    return openstack.connect(cloud=cloud)


def make_users(facts, identity):
    roles = {one.name: one for one in identity.roles()}
    if "service" not in roles:
        roles["service"] = identity.create_role(name="service")
    projects = {one.name: one for one in identity.projects(domain_id="default")}
    for name in PROJECTS:
        if name not in projects:
            projects[name] = identity.create_project(name=name, domain_id="default")
    users = {one.name: one for one in identity.users(domain_id="default")}
    wanted = [(user, facts.passwords["user_password"], project, granted)
              for project, user, granted in CLOUDS.values() if granted]
    wanted += [(name, facts.passwords["service_password"], "service", ("admin", "service"))
               for name in ("glance", "placement", "nova", "neutron", "cinder")]
    for name, password, project, granted in wanted:
        if name not in users:
            users[name] = identity.create_user(
                name=name, password=password, domain_id="default",
                default_project_id=projects[project].id)
        for role in granted:
            identity.assign_project_role_to_user(projects[project].id, users[name].id,
                                                 roles[role].id)


def make_catalogue(facts, identity):
    have = {one.type: one for one in identity.services()}
    points = {(one.service_id, one.interface) for one in identity.endpoints()}
    for kind, name, service, path in SERVICES:
        if kind not in have:
            have[kind] = identity.create_service(type=kind, name=name)
        for interface in ("public", "internal", "admin"):
            if (have[kind].id, interface) not in points:
                identity.create_endpoint(service_id=have[kind].id, interface=interface,
                                         url=facts.url(service, path), region_id=REGION)


def make_identities(facts):
    identity = connect(facts, "root").identity
    make_users(facts, identity)
    make_catalogue(facts, identity)


def make_networks(connection):
    have = {one.name: one for one in connection.network.networks()}
    for name, cidr, more in NETWORKS:
        network = have.get(name) or connection.network.create_network(name=name, **more)
        if not network.subnet_ids:
            connection.network.create_subnet(name=f"{name}-subnet", network_id=network.id,
                                             ip_version=4, cidr=cidr, enable_dhcp=True)


def make_resources(facts):
    connection = connect(facts, "guts")
    have = {one.name for one in connection.compute.flavors()}
    for name, ram, cores, disk in FLAVORS:
        if name not in have:
            connection.compute.create_flavor(name=name, ram=ram, vcpus=cores, disk=disk)
    make_networks(connection)
    project = connection.current_project_id
    connection.set_compute_quotas(project, instances=200, cores=800, ram=1 << 20)
    connection.set_network_quotas(project, port=1000, network=50, subnet=50, security_group=50)
    connection.set_volume_quotas(project, volumes=500, gigabytes=20000, snapshots=50)


def make_zone(facts, zone, host):
    """An availability zone with that one host."""
    compute = connect(facts, "root").compute
    found = [one for one in compute.aggregates() if one.name == zone]
    one = found[0] if found else compute.create_aggregate(name=zone, availability_zone=zone)
    if host not in (one.hosts or []):
        compute.add_host_to_aggregate(one, host)
