/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/source/ovf.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "migration/source/foreign.h"
#include "migration/source/ovf_inner.h"
#include "proto/fault.h"

#define NAMESPACE "http://schemas.dmtf.org/ovf/envelope/"
#define ANNOTATION_MOST 8192

static bool scale(uint64_t number, uint64_t base, uint64_t exponent, uint64_t *ret_bytes)
{
    while (exponent-- > 0) {
        if (__builtin_mul_overflow(number, base, &number))
            return false;
    }
    *ret_bytes = number;
    return true;
}

/* "byte * 2^30", "byte*10^9", "byte * 1024". */
static bool programmatic_unit(uint64_t number, const char *units, uint64_t *ret_bytes)
{
    char bare[32];
    size_t length = 0;
    for (; *units != '\0'; units++) {
        if (isspace((unsigned char)*units))
            continue;
        if (length == sizeof(bare) - 1)
            return false;
        bare[length++] = (char)tolower((unsigned char)*units);
    }
    bare[length] = '\0';
    if (strcmp(bare, "byte") == 0 || strcmp(bare, "bytes") == 0)
        return scale(number, 1, 0, ret_bytes);
    if (strncmp(bare, "byte*", 5) != 0)
        return false;
    char *hat = strchr(bare, '^');
    uint64_t base, exponent = 1;
    if (hat != NULL)
        *hat = '\0';
    return foreign_unsigned(bare + 5, &base) && base >= 1 && base <= 1ull << 50 &&
           (hat == NULL || (foreign_unsigned(hat + 1, &exponent) && exponent <= 64)) &&
           scale(number, base, exponent, ret_bytes);
}

bool ovf_bytes(uint64_t number, const char *units, uint64_t standard_unit, uint64_t *ret_bytes)
{
    static const struct {
        const char *name;
        unsigned exponent;
    } words[] = {
        {"kb", 1},       {"kib", 1},       {"kilobyte", 1},  {"kilobytes", 1}, {"mb", 2},
        {"mib", 2},      {"megabyte", 2},  {"megabytes", 2}, {"gb", 3},        {"gib", 3},
        {"gigabyte", 3}, {"gigabytes", 3}, {"tb", 4},        {"terabytes", 4},
    };
    if (units == NULL || units[strspn(units, " \t\r\n")] == '\0')
        return scale(number, standard_unit, 1, ret_bytes);
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (strcasecmp(units, words[i].name) == 0)
            return scale(number, 1024, words[i].exponent, ret_bytes);
    }
    return programmatic_unit(number, units, ret_bytes);
}

static size_t count_children(const xmlNode *parent, const char *name)
{
    size_t count = 0;
    for (xmlNode *node = ovf_xml_child(parent, name); node != NULL; node = ovf_xml_next(node, name))
        count++;
    return count;
}

static int digit_of(char letter)
{
    const char *digits = "0123456789abcdef";
    const char *at = letter == '\0' ? NULL : strchr(digits, letter | ('A' ^ 'a'));
    return at == NULL ? -1 : (int)(at - digits);
}

/* An href is an URI: exporters write "my disk.vmdk" as "my%20disk.vmdk". */
static const char *decode(struct arena *arena, const char *href)
{
    char *text = arena_strdup(arena, href), *to = text;
    for (const char *from = text; *from != '\0'; to++) {
        int high = from[0] == '%' ? digit_of(from[1]) : -1;
        int low = high >= 0 ? digit_of(from[2]) : -1;
        bool coded = low >= 0 && (high > 0 || low > 0);
        *to = coded ? (char)(high * 16 + low) : *from;
        from += coded ? 3 : 1;
    }
    *to = '\0';
    return text;
}

static bool read_files(struct ovf_reading *reading, const xmlNode *envelope, struct error *err)
{
    const xmlNode *section = ovf_xml_child(envelope, "References");
    struct arena *arena = reading->arena;
    size_t count = count_children(section, "File");
    if (count > OVF_FILES_MOST)
        return error_set(err, &FAULT_TOO_LARGE, "it names %zu files", count);
    reading->ovf->files = arena_calloc(arena, count + 1, sizeof(struct ovf_file));
    for (xmlNode *node = ovf_xml_child(section, "File"); node != NULL;
         node = ovf_xml_next(node, "File")) {
        const char *id = ovf_xml_attribute(node, "id", arena);
        const char *href = ovf_xml_attribute(node, "href", arena);
        const char *compression = ovf_xml_attribute(node, "compression", arena);
        href = href != NULL ? decode(arena, href) : NULL;
        if (id == NULL || href == NULL || href[0] == '\0' || strlen(href) > VM_KEY_MOST ||
            !foreign_is_printable(href))
            return error_set(err, &FAULT_VM_CONFIG_INVALID,
                             "a file has no id or no proper name (href)");
        reading->ovf->files[reading->ovf->file_count++] = (struct ovf_file){
            .id = id,
            .href = href,
            .compressed = compression != NULL && compression[0] != '\0' &&
                          strcasecmp(compression, "identity") != 0,
            .gzip = compression != NULL && strcasecmp(compression, "gzip") == 0,
            .chunked = ovf_xml_attribute(node, "chunkSize", arena) != NULL,
        };
    }
    return true;
}

const struct ovf_file *ovf_find_file(const struct ovf *ovf, const char *id)
{
    for (size_t i = 0; i < ovf->file_count; i++) {
        if (strcmp(ovf->files[i].id, id) == 0)
            return &ovf->files[i];
    }
    return NULL;
}

const char *ovf_disk_format(const char *format_uri, const char *href)
{
    static const char *const formats[][2] = {
        {"vmdk", "vmdk"}, {"vhdx", "vhdx"}, {"vhd", "vpc"}, {"qcow2", "qcow2"},
        {"vdi", "vdi"},   {"raw", "raw"},   {"img", "raw"},
    };
    for (size_t i = 0; format_uri != NULL && i < COUNT_OF(formats); i++) {
        if (strcasestr(format_uri, formats[i][0]) != NULL)
            return formats[i][1];
    }
    const char *dot = href != NULL ? strrchr(href, '.') : NULL;
    for (size_t i = 0; dot != NULL && i < COUNT_OF(formats); i++) {
        if (strcasecmp(dot + 1, formats[i][0]) == 0)
            return formats[i][1];
    }
    return NULL;
}

static bool read_capacity(const xmlNode *node, struct arena *arena, uint64_t *ret_bytes,
                          struct error *err)
{
    const char *text = ovf_xml_attribute(node, "capacity", arena);
    const char *units = ovf_xml_attribute(node, "capacityAllocationUnits", arena);
    uint64_t number;
    *ret_bytes = 0;
    if (text == NULL || text[0] == '\0' || strncmp(text, "${", 2) == 0)
        return true;
    if (text[0] == '-' || !isdigit((unsigned char)text[0]))
        return error_set(err, &FAULT_VM_CONFIG_INVALID, "the capacity \"%.40s\" is no number",
                         text);
    if (!foreign_unsigned(text, &number) || !ovf_bytes(number, units, 1, ret_bytes) ||
        *ret_bytes > VM_DISK_BYTES_MOST)
        return error_set(err, &FAULT_TOO_LARGE, "a disk of \"%.40s\" (%.40s) is absurd", text,
                         units != NULL ? units : "byte");
    return true;
}

static bool read_disks(struct ovf_reading *reading, const xmlNode *envelope, struct error *err)
{
    const xmlNode *section = ovf_xml_child(envelope, "DiskSection");
    struct arena *arena = reading->arena;
    size_t count = count_children(section, "Disk");
    if (count > OVF_FILES_MOST)
        return error_set(err, &FAULT_TOO_LARGE, "it names %zu disks", count);
    reading->disks = arena_calloc(arena, count + 1, sizeof(*reading->disks));
    for (xmlNode *node = ovf_xml_child(section, "Disk"); node != NULL;
         node = ovf_xml_next(node, "Disk")) {
        const char *reference = ovf_xml_attribute(node, "fileRef", arena);
        struct ovf_disk_entry disk = {.id = ovf_xml_attribute(node, "diskId", arena)};
        if (disk.id == NULL)
            return error_set(err, &FAULT_VM_CONFIG_INVALID, "a disk has no diskId");
        if (ovf_xml_attribute(node, "parentRef", arena) != NULL)
            return error_set(err, &FAULT_DISK_UNSUPPORTED, "disk \"%.60s\" has a parent", disk.id);
        if (reference != NULL && (disk.file = ovf_find_file(reading->ovf, reference)) == NULL)
            return error_set(err, &FAULT_VM_CONFIG_INVALID,
                             "disk \"%.60s\" refers to file \"%.60s\", which is not there", disk.id,
                             reference);
        disk.format = ovf_disk_format(ovf_xml_attribute(node, "format", arena),
                                      disk.file != NULL ? disk.file->href : NULL);
        if (!read_capacity(node, arena, &disk.capacity_bytes, err))
            return error_prefix(err, "disk \"%.60s\"", disk.id);
        reading->disks[reading->disk_count++] = disk;
    }
    return true;
}

/* Items may belong to one of several configurations; an import without a choice takes the default. */
static void read_configuration(struct ovf_reading *reading, const xmlNode *envelope)
{
    const xmlNode *section = ovf_xml_child(envelope, "DeploymentOptionSection");
    for (xmlNode *node = ovf_xml_child(section, "Configuration"); node != NULL;
         node = ovf_xml_next(node, "Configuration")) {
        const char *standard = ovf_xml_attribute(node, "default", reading->arena);
        bool is_standard =
            standard != NULL && (strcasecmp(standard, "true") == 0 || strcmp(standard, "1") == 0);
        if (reading->configuration == NULL || is_standard)
            reading->configuration = ovf_xml_attribute(node, "id", reading->arena);
        if (is_standard)
            return;
    }
}

/* VMware's <vmw:Config vmw:key="firmware" vmw:value="efi"/>, wherever it stands in the section. */
static const char *vmware_config(const xmlNode *section, const char *key, struct arena *arena)
{
    for (xmlNode *node = ovf_xml_child(section, "Config"); node != NULL;
         node = ovf_xml_next(node, "Config")) {
        const char *name = ovf_xml_attribute(node, "key", arena);
        if (name != NULL && strcasecmp(name, key) == 0)
            return ovf_xml_attribute(node, "value", arena);
    }
    return NULL;
}

/* VirtualBox: <vbox:Machine><Hardware><Firmware type="EFI"/>. */
static const char *virtualbox_firmware(const xmlNode *system, struct arena *arena)
{
    const xmlNode *machine = ovf_xml_child(system, "Machine");
    const xmlNode *firmware = ovf_xml_child(ovf_xml_child(machine, "Hardware"), "Firmware");
    return firmware != NULL ? ovf_xml_attribute(firmware, "type", arena) : NULL;
}

static void read_firmware(struct ovf_reading *reading, const xmlNode *node, const xmlNode *hardware,
                          struct vm *vm)
{
    const char *firmware = vmware_config(hardware, "firmware", reading->arena);
    const char *secure =
        vmware_config(hardware, "bootOptions.efiSecureBootEnabled", reading->arena);
    if (firmware == NULL)
        firmware = virtualbox_firmware(node, reading->arena);
    bool efi = firmware != NULL && strncasecmp(firmware, "efi", 3) == 0;
    vm->firmware = efi ? VM_FIRMWARE_EFI : VM_FIRMWARE_BIOS;
    vm->secure_boot = efi && secure != NULL && strcasecmp(secure, "true") == 0;
}

static void read_names(struct ovf_reading *reading, const xmlNode *node, struct ovf_system *system)
{
    struct arena *arena = reading->arena;
    struct vm *vm = system->vm;
    const xmlNode *os = ovf_xml_child(node, "OperatingSystemSection");
    const char *name = ovf_xml_child_text(node, "Name", arena);
    const char *note =
        ovf_xml_child_text(ovf_xml_child(node, "AnnotationSection"), "Annotation", arena);
    const char *kind = os != NULL ? ovf_xml_attribute(os, "osType", arena) : NULL;
    if (kind == NULL)
        kind = ovf_xml_child_text(os, "OSType", arena);
    if (kind == NULL)
        kind = ovf_xml_child_text(os, "Description", arena);
    vm->name = foreign_clean(arena, name, VM_NAME_MOST);
    if (vm->name == NULL)
        vm->name = foreign_clean(arena, system->id, VM_NAME_MOST);
    vm->annotation = foreign_clean(arena, note, ANNOTATION_MOST);
    vm->guest_os = foreign_clean(arena, kind, VM_NAME_MOST);
}

static bool read_system(struct ovf_reading *reading, const xmlNode *node, struct error *err)
{
    struct ovf *ovf = reading->ovf;
    if (ovf->system_count == OVF_SYSTEMS_MOST)
        return error_set(err, &FAULT_TOO_LARGE, "it holds more than %d machines", OVF_SYSTEMS_MOST);
    struct ovf_system *system = &ovf->systems[ovf->system_count++];
    const xmlNode *hardware = ovf_xml_child(node, "VirtualHardwareSection");
    const char *id = ovf_xml_attribute(node, "id", reading->arena);
    system->id = id != NULL ? id : "";
    system->vm = arena_alloc(reading->arena, sizeof(*system->vm));
    system->vm->power = VM_POWER_OFF;
    read_names(reading, node, system);
    read_firmware(reading, node, hardware, system->vm);
    if (hardware == NULL)
        return error_set(err, &FAULT_VM_CONFIG_INVALID, "machine \"%.60s\" has no hardware",
                         system->id);
    return ovf_read_hardware(reading, hardware, system, err);
}

static bool read_systems(struct ovf_reading *reading, const xmlNode *parent, struct error *err)
{
    for (xmlNode *node = parent->children; node != NULL; node = node->next) {
        if (ovf_xml_is(node, "VirtualSystem") && !read_system(reading, node, err))
            return false;
        if (ovf_xml_is(node, "VirtualSystemCollection") && !read_systems(reading, node, err))
            return false;
    }
    return true;
}

static bool read_envelope(struct ovf_reading *reading, const xmlNode *envelope, struct error *err)
{
    if (!ovf_xml_is(envelope, "Envelope") || envelope->ns == NULL ||
        strncmp((const char *)envelope->ns->href, NAMESPACE, strlen(NAMESPACE)) != 0)
        return error_set(err, &FAULT_VM_CONFIG_INVALID, "it is no OVF envelope");
    read_configuration(reading, envelope);
    reading->ovf->systems =
        arena_calloc(reading->arena, OVF_SYSTEMS_MOST, sizeof(*reading->ovf->systems));
    if (!read_files(reading, envelope, err) || !read_disks(reading, envelope, err) ||
        !read_systems(reading, envelope, err))
        return false;
    if (reading->ovf->system_count == 0)
        return error_set(err, &FAULT_VM_CONFIG_INVALID, "it holds no machine");
    return true;
}

bool ovf_parse(const char *data, size_t length, struct arena *arena, struct ovf **ret_ovf,
               struct error *err)
{
    xmlDoc *document = NULL;
    if (length > OVF_BYTES_MOST)
        return error_set(err, &FAULT_TOO_LARGE, "it has %zu bytes, more than %u", length,
                         OVF_BYTES_MOST);
    if (!ovf_xml_read(data, length, &document, err))
        return false;
    struct ovf_reading reading = {.arena = arena, .ovf = arena_alloc(arena, sizeof(struct ovf))};
    bool fine = read_envelope(&reading, xmlDocGetRootElement(document), err);
    xmlFreeDoc(document);
    if (fine)
        *ret_ovf = reading.ovf;
    return fine;
}
