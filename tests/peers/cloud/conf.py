# SPDX-License-Identifier: Apache-2.0
"""The configuration files of all services, as {section: {key: value}}."""
from peers.cloud.facts import REGION, write_private

IP = "127.0.0.1"
FOLDERS = ("run", "log", "etc/keystone", "etc/glance", "etc/placement", "etc/nova", "etc/neutron",
           "etc/cinder", "data/keystone/fernet", "data/keystone/credential", "data/glance/images",
           "data/glance/staging", "data/glance/tasks", "data/nova/instances", "data/nova/boots",
           "data/neutron",
           "data/cinder/volumes", "data/cinder/conversion", "data/lock", "data/tmp")
# The packages' own policies ask for scopes that the bootstrap of a lab does not make.
POLICY = {"oslo_policy": {"enforce_scope": False, "enforce_new_defaults": False}}
STANDARD = {"use_stderr": True, "log_dir": "", "graceful_shutdown_timeout": 3}


def text_of(sections):
    lines = []
    for name, keys in sections.items():
        lines.append(f"[{name}]")
        for key, value in keys.items():
            lines.append(f"{key} = {str(value).lower() if isinstance(value, bool) else value}")
    return "\n".join(lines) + "\n"


class Configuration:
    def __init__(self, facts):
        self.facts = facts

    def path(self, *parts):
        return str(self.facts.path(*parts))

    # -- what several services share ------------------------------------------------------------
    def credentials(self, user):
        return {"auth_url": self.facts.auth_url(), "auth_type": "password",
                "project_domain_name": "Default", "user_domain_name": "Default",
                "project_name": "service", "username": user,
                "password": self.facts.passwords["service_password"], "region_name": REGION}

    def guard(self, user):
        """Nova and Cinder must show a token of a service since CVE-2023-2088."""
        return {"keystone_authtoken": {
            **self.credentials(user), "www_authenticate_uri": self.facts.auth_url(),
            "service_token_roles": "service", "service_token_roles_required": True}}

    def messages(self):
        # Heartbeats in a thread of their own break services on eventlet.
        return {"oslo_messaging_rabbit": {"heartbeat_in_pthread": False, "rabbit_retry_interval": 1,
                                          "rabbit_retry_backoff": 1},
                "oslo_messaging_notifications": {"driver": "noop"},
                "oslo_concurrency": {"lock_path": self.path("data/lock")}, **POLICY}

    def database(self, name):
        return {"connection": self.facts.database_url(name), "max_pool_size": 5, "max_overflow": 20,
                "connection_recycle_time": 600}

    def write(self, path, *parts):
        sections = {}
        for part in parts:
            for name, keys in part.items():
                sections.setdefault(name, {}).update(keys)
        write_private(self.facts.path("etc", path), text_of(sections))

    # -- the services ---------------------------------------------------------------------------
    def keystone(self, path, seconds, caches):
        self.write(path, {
            "DEFAULT": {"use_stderr": True, "log_dir": ""},
            "token": {"provider": "fernet", "expiration": seconds},
            "fernet_tokens": {"key_repository": self.path("data/keystone/fernet")},
            "credential": {"key_repository": self.path("data/keystone/credential")},
            "identity": {"password_hash_rounds": 4},  # a password costs 1 ms, not 250
            "cache": {"enabled": caches, "backend": "dogpile.cache.memory"},
            "database": self.database("keystone")}, POLICY)

    def glance(self):
        data = self.path("data/glance")
        self.write("glance/glance-api.conf", {
            "DEFAULT": {**STANDARD, "bind_host": IP, "bind_port": self.facts.ports["glance"],
                        "workers": 1, "enabled_backends": "file:file",
                        "transport_url": self.facts.messages_url(),
                        "enabled_import_methods": "[glance-direct,web-download]",
                        "show_image_direct_url": False},
            "glance_store": {"default_backend": "file"},
            "file": {"filesystem_store_datadir": data + "/images"},
            "os_glance_staging_store": {"filesystem_store_datadir": data + "/staging"},
            "os_glance_tasks_store": {"filesystem_store_datadir": data + "/tasks"},
            "paste_deploy": {"flavor": "keystone",
                             "config_file": "/etc/glance/glance-api-paste.ini"},
            "image_format": {"disk_formats": "ami,ari,aki,vhd,vhdx,vmdk,raw,qcow2,vdi,iso,ploop"},
            "database": self.database("glance")}, self.guard("glance"), self.messages())

    def placement(self):
        self.write("placement/placement.conf", {
            "DEFAULT": {"use_stderr": True, "log_dir": ""}, "api": {"auth_strategy": "keystone"},
            "placement_database": self.database("placement")}, self.guard("placement"), POLICY)

    def nova_general(self):
        return {
            **STANDARD, "my_ip": IP, "host": "guts", "state_path": self.path("data/nova"),
            "instances_path": self.path("data/nova/instances"), "tempdir": self.path("data/tmp"),
            "transport_url": self.facts.messages_url(), "enabled_apis": "osapi_compute",
            "osapi_compute_listen": IP, "osapi_compute_listen_port": self.facts.ports["nova"],
            "osapi_compute_workers": 1, "rootwrap_config": "/etc/nova/rootwrap.conf",
            # no agent tells of plugged interfaces
            "vif_plugging_is_fatal": False, "vif_plugging_timeout": 0,
            "cpu_allocation_ratio": 64.0, "ram_allocation_ratio": 64.0,
            "disk_allocation_ratio": 64.0, "reserved_host_memory_mb": 0,
            "reserved_host_disk_mb": 0, "resume_guests_state_on_host_boot": True,
            "allow_resize_to_same_host": True, "shutdown_timeout": 5,
            # a service that a test has frozen must be taken for one that is there
            "update_resources_interval": 30, "service_down_time": 600, "report_interval": 10,
            # periodic tasks otherwise begin after up to a minute
            "periodic_fuzzy_delay": 0, "compute_driver": "fake.FakeDriver",
            # only who asks for the zone of the host that boots gets there
            "default_schedule_zone": "nova"}

    def nova_libvirt(self):
        socket = self.path("run/libvirt/libvirt-sock")
        return {"virt_type": "qemu", "cpu_mode": "none", "images_type": "qcow2",
                "connection_uri": f"qemu+unix:///system?socket={socket}",
                "use_virtio_for_bridges": True, "inject_partition": -2,
                "wait_soft_reboot_seconds": 5,
                # a guest without a system ignores the unplugging
                "device_detach_attempts": 2, "device_detach_timeout": 5}

    def nova(self):
        helper = "privsep-helper --config-file " + self.path("etc/nova/compute.conf")
        compute = ({
            "DEFAULT": self.nova_general(), "wsgi": {"api_paste_config": "/etc/nova/api-paste.ini"},
            "conductor": {"workers": 1},
            "scheduler": {"workers": 1, "discover_hosts_in_cells_interval": 5},
            # Placement keeps a zone's servers within it, but no others out of it.
            "filter_scheduler": {"enabled_filters": "AvailabilityZoneFilter,ComputeFilter,"
                                 "ComputeCapabilitiesFilter,ImagePropertiesFilter"},
            "vnc": {"enabled": False}, "spice": {"enabled": False},
            "glance": {"api_servers": self.facts.url("glance")},
            "cinder": {"catalog_info": "volumev3::publicURL", "os_region_name": REGION,
                       **self.credentials("cinder")},
            "libvirt": self.nova_libvirt(),
            "vif_plug_linux_bridge_privileged": {"helper_command": "privsep-helper"},
            "vif_plug_ovs_privileged": {"helper_command": "privsep-helper"},
            "nova_sys_admin": {"helper_command": helper},
            "privsep_osbrick": {"helper_command": helper},
            "workarounds": {"disable_rootwrap": True},
            "placement": self.credentials("placement"), "neutron": self.credentials("neutron"),
            "service_user": {"send_service_user_token": True, **self.credentials("nova")}},
            self.guard("nova"), self.messages())
        # The compute service must not know the databases.
        self.write("nova/compute.conf", *compute)
        self.write("nova/nova.conf", *compute, {"api_database": self.database("nova_api"),
                                                "database": self.database("nova_cell1")})
        for number in range(1, self.facts.computes + 1):
            self.write(f"nova/compute-{number}.conf", {"DEFAULT": {"host": f"guts-{number}"}})
        self.write("nova/compute-boots.conf", {"DEFAULT": {
            "host": "guts-boots", "compute_driver": "libvirt.LibvirtDriver",
            "force_config_drive": True, "instances_path": self.path("data/nova/boots")}})

    def neutron(self):
        self.write("neutron/neutron.conf", {
            "DEFAULT": {**STANDARD, "bind_host": IP, "bind_port": self.facts.ports["neutron"],
                        "state_path": self.path("data/neutron"), "core_plugin": "ml2",
                        "transport_url": self.facts.messages_url(), "service_plugins": "router",
                        "api_workers": 1, "rpc_workers": 0, "rpc_state_report_workers": 0,
                        "metadata_proxy_socket": self.path("data/neutron/metadata_proxy"),
                        "api_paste_config": "/etc/neutron/api-paste.ini",
                        "api_extensions_path": "", "dhcp_agent_notification": False,
                        "network_auto_schedule": False, "router_auto_schedule": False,
                        "notify_nova_on_port_status_changes": False,
                        "notify_nova_on_port_data_changes": False},
            "ml2": {"type_drivers": "local,flat,vlan", "tenant_network_types": "local",
                    "mechanism_drivers": "guts", "extension_drivers": "port_security"},
            "ml2_type_flat": {"flat_networks": "*"},
            "ml2_type_vlan": {"network_vlan_ranges": "physnet1:100:199"},
            "nova": self.credentials("nova"), "database": self.database("neutron")},
            self.guard("neutron"), self.messages())

    def cinder(self):
        helper = "privsep-helper --config-file " + self.path("etc/cinder/cinder.conf")
        self.write("cinder/cinder.conf", {
            "DEFAULT": {**STANDARD, "my_ip": IP, "host": "guts",
                        "state_path": self.path("data/cinder"),
                        "image_conversion_dir": self.path("data/cinder/conversion"),
                        "transport_url": self.facts.messages_url(),
                        "osapi_volume_listen": IP,
                        "osapi_volume_listen_port": self.facts.ports["cinder"],
                        "osapi_volume_workers": 1,
                        "api_paste_config": "/etc/cinder/api-paste.ini",
                        "auth_strategy": "keystone", "enabled_backends": "file",
                        "glance_api_servers": self.facts.url("glance"),
                        "default_volume_type": "__DEFAULT__",
                        "service_down_time": 600,
                        "rootwrap_config": "/etc/cinder/rootwrap.conf", "periodic_interval": 20,
                        "periodic_fuzzy_delay": 0, "volume_clear": "none"},
            "file": {"volume_driver": "guts_volume.Files", "volume_backend_name": "file",
                     "guts_directory": self.path("data/cinder/volumes")},
            "privsep": {"helper_command": helper}, "cinder_sys_admin": {"helper_command": helper},
            "service_user": {"send_service_user_token": True, **self.credentials("cinder")},
            "nova": self.credentials("nova"), "database": self.database("cinder")},
            self.guard("cinder"), self.messages())

    def write_all(self):
        for folder in FOLDERS:
            self.facts.path(folder).mkdir(parents=True, exist_ok=True)
        for folder in ("fernet", "credential"):
            self.facts.path("data/keystone", folder).chmod(0o700)
        self.keystone("keystone/keystone.conf", 86400, True)
        # A second door to the same tokens: what it gives out ends after seconds. It would not learn
        # of changes at the first one, so it keeps nothing.
        self.keystone("keystone/brief.conf", 12, False)
        for write in (self.glance, self.placement, self.nova, self.neutron, self.cinder):
            write()
        self.facts.write_clouds()
