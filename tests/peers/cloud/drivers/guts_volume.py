# SPDX-License-Identifier: Apache-2.0
"""A volume driver for Cinder whose volumes are sparse raw files: they hold the bytes for real."""
import os

from cinder import interface
from cinder.image import image_utils
from cinder.volume import configuration, driver
from oslo_concurrency import processutils
from oslo_config import cfg

OPTIONS = [cfg.StrOpt("guts_directory", default="")]
cfg.CONF.register_opts(OPTIONS, group=configuration.SHARED_CONF_GROUP)


@interface.volumedriver
class Files(driver.VolumeDriver):
    VERSION = "1.0"
    CI_WIKI_NAME = "none"

    def __init__(self, *words, **named):
        super().__init__(*words, **named)
        self.configuration.append_config_values(OPTIONS)

    def _path(self, name):
        return os.path.join(self.configuration.guts_directory, name)

    def _resize(self, volume, gib):
        with open(self._path(volume.name), "ab") as file:
            file.truncate(gib << 30)

    def _remove(self, name):
        if os.path.exists(self._path(name)):
            os.unlink(self._path(name))

    def _copy(self, old, new):
        processutils.execute("cp", "--sparse=always", self._path(old), self._path(new))

    def check_for_setup_error(self):
        os.makedirs(self.configuration.guts_directory, exist_ok=True)

    def _update_volume_stats(self):
        space = os.statvfs(self.configuration.guts_directory)
        self._stats = {
            "volume_backend_name": self.configuration.volume_backend_name, "vendor_name": "guts",
            "driver_version": self.VERSION, "storage_protocol": "file",
            "total_capacity_gb": space.f_blocks * space.f_frsize / (1 << 30),
            "free_capacity_gb": space.f_bavail * space.f_frsize / (1 << 30),
            "reserved_percentage": 0, "thin_provisioning_support": True,
            "max_over_subscription_ratio": "20.0", "provisioned_capacity_gb": 0,
            "multiattach": False}

    def create_volume(self, volume):
        self._resize(volume, volume.size)

    def delete_volume(self, volume):
        self._remove(volume.name)

    def create_snapshot(self, snapshot):
        self._copy(snapshot.volume.name, snapshot.name)

    def delete_snapshot(self, snapshot):
        self._remove(snapshot.name)

    def create_volume_from_snapshot(self, volume, snapshot):
        self._copy(snapshot.name, volume.name)
        self._resize(volume, volume.size)

    def create_cloned_volume(self, volume, source):
        self._copy(source.name, volume.name)
        self._resize(volume, volume.size)

    def extend_volume(self, volume, new_size):
        self._resize(volume, new_size)

    def copy_image_to_volume(self, context, volume, image_service, image_id, disable_sparse=False):
        image_utils.fetch_to_raw(context, image_service, image_id, self._path(volume.name), "1M",
                                 size=volume.size)
        self._resize(volume, volume.size)

    def copy_volume_to_image(self, context, volume, image_service, image_meta):
        image_utils.upload_volume(context, image_service, image_meta, self._path(volume.name),
                                  "raw", run_as_root=False)

    def ensure_export(self, context, volume):
        pass

    def create_export(self, context, volume, connector):
        pass

    def remove_export(self, context, volume):
        pass

    def initialize_connection(self, volume, connector):
        # To Nova "local" is a block device; "gpfs" is a file beside, with nothing to mount.
        return {"driver_volume_type": "gpfs",
                "data": {"name": volume.name, "device_path": self._path(volume.name)}}

    def terminate_connection(self, volume, connector, **named):
        pass
