/* SPDX-License-Identifier: Apache-2.0
 *
 * The options of a migration to an OpenStack: their declaration, and what they say once read. Whether
 * the cloud has what they name is for openstack_preflight.h.
 *
 * Threads: pure functions. What is read lives in the arena and in the settings that it came from.
 */
#ifndef GUTS_MIGRATION_DESTINATION_OPENSTACK_OPTIONS_H
#define GUTS_MIGRATION_DESTINATION_OPENSTACK_OPTIONS_H

#include "migration/destination/openstack_option_items.h"
#include "migration/setting.h"
#include "proto/vm.h"

#define OPENSTACK_OPTION_COUNT 30
extern const struct setting openstack_options[OPENSTACK_OPTION_COUNT];

#define OPENSTACK_EXTRA_VOLUMES_MOST 32
#define OPENSTACK_METADATA_MOST 128
#define OPENSTACK_METADATA_OURS 6 /* keys that guts writes there itself, at most */

enum openstack_image_format {
    OPENSTACK_IMAGE_AUTO,
    OPENSTACK_IMAGE_QCOW2,
    OPENSTACK_IMAGE_RAW,
};

struct openstack_options {
    const char *flavor;     /* NULL: the smallest that fits */
    uint64_t cpus, ram_mib; /* at least so many; 0: the vm's */
    const char *network;    /* NULL: not said */
    const struct openstack_network_rule *network_rules;
    size_t network_rule_count;
    const struct openstack_fixed_ip *fixed_ips;
    size_t fixed_ip_count;
    bool outside_pools; /* a fixed address may lie outside its subnet's pools */
    bool keep_mac;
    bool boot_from_volume;
    enum openstack_image_format image_format;
    bool plain;              /* no compressed clusters in qcow2 */
    const char *volume_type; /* NULL: the cloud's */
    const struct openstack_disk_type *disk_types;
    size_t disk_type_count;
    const struct openstack_extra_volume *extra_volumes;
    size_t extra_volume_count;
    const char *availability_zone, *volume_zone; /* NULL: the cloud's */
    const char *keypair;
    const char *const *security_groups;
    size_t security_group_count;
    const char *user_data; /* plain text, or NULL */
    bool config_drive;
    const struct openstack_pair *metadata;
    size_t metadata_count;
    const char *disk_bus;  /* "virtio", "scsi", "sata", "ide", "source" */
    const char *nic_model; /* "virtio", "e1000", …, "source" */
    const char *os_type;   /* "auto", "linux", "windows" */
    bool keep_image;
    bool verify_content, verify_boot;
    const char *boot_text;
    uint64_t boot_timeout_s, active_timeout_s;
};

/* FAULT_FIELDS_INVALID names every option that cannot be understood. */
bool openstack_options_read(const struct settings *settings, struct arena *arena,
                            struct openstack_options *ret_options, struct error *err) MUST_CHECK;

#endif
