/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/destination/openstack_options.h"

#include <string.h>

#include "proto/fault.h"

const struct setting openstack_options[OPENSTACK_OPTION_COUNT] = {
    {.name = "flavor",
     .type = SETTING_TEXT,
     .catalog = "flavor",
     .help = "id or name; without it the smallest that fits"},
    {.name = "cpus",
     .type = SETTING_INTEGER,
     .standard = "0",
     .most = VM_CPUS_MOST,
     .help = "at least so many, where no flavor is named; 0: the vm's"},
    {.name = "ram_mib",
     .type = SETTING_INTEGER,
     .standard = "0",
     .most = VM_MEMORY_MIB_MOST,
     .help = "at least so much memory, where no flavor is named; 0: the vm's"},
    {.name = "network",
     .type = SETTING_TEXT,
     .catalog = "network",
     .help = "of all cards that network_map does not name; without it the only one that there is"},
    {.name = "network_map",
     .type = SETTING_LIST,
     .shape = "SOURCE=NETWORK",
     .catalog = "network",
     .help = "the network for a network of the source; SOURCE=- leaves its cards out"},
    {.name = "fixed_ips",
     .type = SETTING_LIST,
     .shape = "CARD=ADDRESS",
     .help = "an address for a card, which is named by its number from 0 or by its MAC"},
    {.name = "outside_pools",
     .type = SETTING_BOOLEAN,
     .standard = "false",
     .help = "a fixed address may lie outside the allocation pools of its subnet"},
    {.name = "keep_mac", .type = SETTING_BOOLEAN, .standard = "true", .help = "the cards' MACs"},
    {.name = "boot_from",
     .type = SETTING_TEXT,
     .standard = "volume",
     .choices = "image|volume",
     .help = "volume: all disks become volumes; image: the first one lies on the flavor's disk"},
    {.name = "image_format",
     .type = SETTING_TEXT,
     .standard = "auto",
     .choices = "auto|qcow2|raw",
     .help = "of what Glance gets; auto: qcow2 where it is accepted"},
    {.name = "compression",
     .type = SETTING_TEXT,
     .standard = "auto",
     .choices = "auto|none",
     .help = "of qcow2; auto: what lies deflated at the source is sent as it lies; none: plain"},
    {.name = "volume_type",
     .type = SETTING_TEXT,
     .catalog = "volume_type",
     .help = "of all volumes; without it the cloud's default"},
    {.name = "volume_types",
     .type = SETTING_LIST,
     .shape = "DISK=TYPE",
     .catalog = "volume_type",
     .help = "of one disk, by its number from 0"},
    {.name = "extra_volumes",
     .type = SETTING_LIST,
     .shape = "GIB[:TYPE]",
     .catalog = "volume_type",
     .help = "empty volumes, attached behind the disks"},
    {.name = "availability_zone",
     .type = SETTING_TEXT,
     .catalog = "availability_zone",
     .help = "of the server"},
    {.name = "volume_zone",
     .type = SETTING_TEXT,
     .catalog = "volume_zone",
     .help = "availability zone of the volumes"},
    {.name = "keypair", .type = SETTING_TEXT, .catalog = "keypair", .help = "of the server"},
    {.name = "security_groups",
     .type = SETTING_LIST,
     .catalog = "security_group",
     .help = "of all cards; without it the project's default"},
    {.name = "user_data",
     .type = SETTING_LINES,
     .help = "for cloud-init, as plain text (guts: NAME=@FILE)"},
    {.name = "config_drive",
     .type = SETTING_BOOLEAN,
     .standard = "false",
     .help = "give the server a config drive"},
    {.name = "metadata",
     .type = SETTING_LIST,
     .shape = "KEY=VALUE",
     .help = "of the server, beside what guts writes there itself"},
    {.name = "disk_bus",
     .type = SETTING_TEXT,
     .standard = "virtio",
     .choices = "virtio|scsi|sata|ide|source",
     .help = "source: the one that the vm had"},
    {.name = "nic_model",
     .type = SETTING_TEXT,
     .standard = "virtio",
     .choices = "virtio|e1000|e1000e|rtl8139|vmxnet3|source",
     .help = "source: the one that the vm had"},
    {.name = "os_type",
     .type = SETTING_TEXT,
     .standard = "auto",
     .choices = "auto|linux|windows",
     .help = "auto: as the source calls the guest's system"},
    {.name = "keep_image",
     .type = SETTING_BOOLEAN,
     .standard = "false",
     .help = "keep the images from which volumes were made"},
    {.name = "verify_content",
     .type = SETTING_BOOLEAN,
     .standard = "true",
     .help = "read back what arrived and compare what the guest will see"},
    {.name = "verify_boot",
     .type = SETTING_BOOLEAN,
     .standard = "false",
     .help = "await boot_text on the server's console before it counts as verified"},
    {.name = "boot_text",
     .type = SETTING_TEXT,
     .standard = "login:",
     .help = "the text awaited on the console"},
    {.name = "boot_timeout_s",
     .type = SETTING_INTEGER,
     .standard = "300",
     .least = 1,
     .most = 3600,
     .help = "how long at most"},
    {.name = "active_timeout_s",
     .type = SETTING_INTEGER,
     .standard = "600",
     .least = 1,
     .most = 86400,
     .help = "how long the server may take to become ACTIVE"},
};

/* -- reading ---------------------------------------------------------------------------------------- */

struct reading {
    const struct settings *settings;
    struct arena *arena;
    struct buffer wrong;
};

static void complain(struct reading *reading, const char *name, const char *text)
{
    buffer_printf(&reading->wrong, "%s\"%s\" %s", reading->wrong.length ? ", " : "", name, text);
}

/* NULL also where it is empty. */
static const char *text_of(const struct reading *reading, const char *name)
{
    const char *text = settings_text(reading->settings, name);
    return text != NULL && *text != '\0' ? text : NULL;
}

static void read_networks(struct reading *reading, struct openstack_options *options)
{
    size_t count = settings_list_count(reading->settings, "network_map");
    struct openstack_network_rule *rules = arena_calloc(reading->arena, count + 1, sizeof(*rules));
    options->network_rules = rules;
    for (size_t i = 0; i < count; i++) {
        const char *item = settings_list_item(reading->settings, "network_map", i);
        struct openstack_network_rule rule;
        if (!openstack_network_rule_parse(reading->arena, item, &rule)) {
            complain(reading, "network_map", "must hold items SOURCE=NETWORK");
            return;
        }
        for (size_t k = 0; k < i; k++) {
            if (strcmp(rules[k].source, rule.source) == 0) {
                complain(reading, "network_map", "names a network of the source twice");
                return;
            }
        }
        rules[options->network_rule_count++] = rule;
    }
}

static void read_fixed_ips(struct reading *reading, struct openstack_options *options)
{
    size_t count = settings_list_count(reading->settings, "fixed_ips");
    struct openstack_fixed_ip *ips = arena_calloc(reading->arena, count + 1, sizeof(*ips));
    options->fixed_ips = ips;
    for (size_t i = 0; i < count; i++) {
        const char *item = settings_list_item(reading->settings, "fixed_ips", i);
        if (!openstack_fixed_ip_parse(reading->arena, item, &ips[i])) {
            complain(reading, "fixed_ips",
                     "must hold items CARD=ADDRESS, with a card's number or MAC and an IP address");
            return;
        }
        options->fixed_ip_count++;
    }
}

static void read_disk_types(struct reading *reading, struct openstack_options *options)
{
    size_t count = settings_list_count(reading->settings, "volume_types");
    struct openstack_disk_type *types = arena_calloc(reading->arena, count + 1, sizeof(*types));
    options->disk_types = types;
    for (size_t i = 0; i < count; i++) {
        const char *item = settings_list_item(reading->settings, "volume_types", i);
        if (!openstack_disk_type_parse(reading->arena, item, &types[i])) {
            complain(reading, "volume_types", "must hold items DISK=TYPE, with a disk's number");
            return;
        }
        options->disk_type_count++;
    }
}

static void read_extra_volumes(struct reading *reading, struct openstack_options *options)
{
    size_t count = settings_list_count(reading->settings, "extra_volumes");
    struct openstack_extra_volume *volumes =
        arena_calloc(reading->arena, count + 1, sizeof(*volumes));
    options->extra_volumes = volumes;
    if (count > OPENSTACK_EXTRA_VOLUMES_MOST) {
        complain(reading, "extra_volumes", "are too many");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const char *item = settings_list_item(reading->settings, "extra_volumes", i);
        if (!openstack_extra_volume_parse(reading->arena, item, &volumes[i])) {
            complain(reading, "extra_volumes", "must hold items GIB or GIB:TYPE");
            return;
        }
        options->extra_volume_count++;
    }
}

static void read_metadata(struct reading *reading, struct openstack_options *options)
{
    size_t count = settings_list_count(reading->settings, "metadata");
    struct openstack_pair *pairs = arena_calloc(reading->arena, count + 1, sizeof(*pairs));
    options->metadata = pairs;
    if (count > OPENSTACK_METADATA_MOST) {
        complain(reading, "metadata", "are too many");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const char *item = settings_list_item(reading->settings, "metadata", i);
        const char *text = openstack_pair_parse(reading->arena, item, &pairs[i]);
        if (text != NULL) {
            complain(reading, "metadata", text);
            return;
        }
        options->metadata_count++;
    }
}

static void read_groups(struct reading *reading, struct openstack_options *options)
{
    size_t count = settings_list_count(reading->settings, "security_groups");
    const char **groups = arena_calloc(reading->arena, count + 1, sizeof(*groups));
    for (size_t i = 0; i < count; i++)
        groups[i] = settings_list_item(reading->settings, "security_groups", i);
    options->security_groups = groups;
    options->security_group_count = count;
}

/* -- words and numbers, by their own declaration ------------------------------------------------------ */

static bool is_choice(const char *choices, const char *value)
{
    size_t length = strlen(value);
    for (const char *at = choices; *at != '\0'; at += strcspn(at, "|"), at += *at == '|')
        if (strcspn(at, "|") == length && strncmp(at, value, length) == 0)
            return true;
    return false;
}

static void check_declared(struct reading *reading)
{
    for (size_t i = 0; i < OPENSTACK_OPTION_COUNT; i++) {
        const struct setting *one = &openstack_options[i];
        if (one->choices != NULL &&
            !is_choice(one->choices, settings_text(reading->settings, one->name))) {
            CLEANUP(xfreep) char *text = xasprintf("must be one of %s", one->choices);
            complain(reading, one->name, text);
        }
        if (one->type != SETTING_INTEGER)
            continue;
        int64_t number = settings_integer(reading->settings, one->name);
        if (number < one->least || number > one->most) {
            CLEANUP(xfreep)
            char *text =
                xasprintf("must be %lld to %lld", (long long)one->least, (long long)one->most);
            complain(reading, one->name, text);
        }
    }
    const char *boot_text = settings_text(reading->settings, "boot_text");
    if (*boot_text == '\0' || strlen(boot_text) > 255)
        complain(reading, "boot_text", "must have 1 to 255 bytes");
}

static enum openstack_image_format image_format(const struct settings *settings)
{
    const char *word = settings_text(settings, "image_format");
    return strcmp(word, "qcow2") == 0 ? OPENSTACK_IMAGE_QCOW2
           : strcmp(word, "raw") == 0 ? OPENSTACK_IMAGE_RAW
                                      : OPENSTACK_IMAGE_AUTO;
}

static struct openstack_options read_plain(const struct reading *reading)
{
    const struct settings *settings = reading->settings;
    return (struct openstack_options){
        .flavor = text_of(reading, "flavor"),
        .cpus = (uint64_t)settings_integer(settings, "cpus"),
        .ram_mib = (uint64_t)settings_integer(settings, "ram_mib"),
        .network = text_of(reading, "network"),
        .outside_pools = settings_boolean(settings, "outside_pools"),
        .keep_mac = settings_boolean(settings, "keep_mac"),
        .boot_from_volume = strcmp(settings_text(settings, "boot_from"), "volume") == 0,
        .image_format = image_format(settings),
        .plain = strcmp(settings_text(settings, "compression"), "none") == 0,
        .volume_type = text_of(reading, "volume_type"),
        .availability_zone = text_of(reading, "availability_zone"),
        .volume_zone = text_of(reading, "volume_zone"),
        .keypair = text_of(reading, "keypair"),
        .user_data = text_of(reading, "user_data"),
        .config_drive = settings_boolean(settings, "config_drive"),
        .disk_bus = settings_text(settings, "disk_bus"),
        .nic_model = settings_text(settings, "nic_model"),
        .os_type = settings_text(settings, "os_type"),
        .keep_image = settings_boolean(settings, "keep_image"),
        .verify_content = settings_boolean(settings, "verify_content"),
        .verify_boot = settings_boolean(settings, "verify_boot"),
        .boot_text = settings_text(settings, "boot_text"),
        .boot_timeout_s = (uint64_t)settings_integer(settings, "boot_timeout_s"),
        .active_timeout_s = (uint64_t)settings_integer(settings, "active_timeout_s"),
    };
}

bool openstack_options_read(const struct settings *settings, struct arena *arena,
                            struct openstack_options *ret_options, struct error *err)
{
    struct reading reading = {.settings = settings, .arena = arena};
    struct openstack_options options = read_plain(&reading);
    check_declared(&reading);
    read_networks(&reading, &options);
    read_fixed_ips(&reading, &options);
    read_disk_types(&reading, &options);
    read_extra_volumes(&reading, &options);
    read_metadata(&reading, &options);
    read_groups(&reading, &options);
    bool good = reading.wrong.length == 0;
    if (good)
        *ret_options = options;
    else
        error_set(err, &FAULT_FIELDS_INVALID, "options: %s", reading.wrong.data);
    buffer_fini(&reading.wrong);
    return good;
}
