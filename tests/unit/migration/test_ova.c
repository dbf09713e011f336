/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "common/base/file.h"
#include "fake_work.h"
#include "migration/source/ova.h"
#include "migration/source/package.h"
#include "proto/fault.h"
#include "tar_maker.h"

#define DISK_BYTES 8192

struct place {
    char top[64];
    struct roots *roots;
    struct work *work;
    struct settings *settings;
    struct source *source;
    struct arena *arena;
};

/* A machine with one raw disk "a.img"; %s is the disk's href. */
static const char descriptor[] =
    "<Envelope xmlns='http://schemas.dmtf.org/ovf/envelope/1' "
    "xmlns:ovf='http://schemas.dmtf.org/ovf/envelope/1' xmlns:rasd='urn:rasd'>"
    "<References><File ovf:id='f' ovf:href='%s'/></References>"
    "<DiskSection><Disk ovf:diskId='d' ovf:fileRef='f' ovf:capacity='8' "
    "ovf:capacityAllocationUnits='byte * 2^10' ovf:format='raw'/></DiskSection>"
    "<VirtualSystem ovf:id='vm'><Name>web</Name><VirtualHardwareSection>"
    "<Item><rasd:ResourceType>17</rasd:ResourceType><rasd:HostResource>ovf:/disk/d"
    "</rasd:HostResource></Item></VirtualHardwareSection></VirtualSystem></Envelope>";

static const char *in(const struct place *place, const char *name)
{
    static char path[4][512];
    static unsigned turn;
    char *text = path[turn++ % 4];
    snprintf(text, sizeof(path[0]), "%s/%s", place->top, name);
    return text;
}

static void put(const struct place *place, const char *name, const void *data, size_t length)
{
    FILE *file = fopen(in(place, name), "w");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, length, file), length);
    fclose(file);
}

static const char *digest(const void *data, size_t length)
{
    static char text[2][65];
    static unsigned turn;
    char *out = text[turn++ % 2];
    unsigned char bytes[32];
    assert_int_equal(EVP_Digest(data, length, bytes, NULL, EVP_sha256(), NULL), 1);
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    return out;
}

struct parts {
    const char *href;
    bool manifest;
    bool wrong_disk_digest;
    bool wrong_descriptor_digest;
};

static void make_ova(const struct place *place, const char *name, const struct parts *parts)
{
    struct buffer tar = {0};
    char disk[DISK_BYTES], text[2048], manifest[512];
    memset(disk, 'd', sizeof(disk));
    int length = snprintf(text, sizeof(text), descriptor, parts->href);
    tar_add(&tar, "web.ovf", '0', text, (size_t)length);
    if (parts->manifest) {
        int size = snprintf(manifest, sizeof(manifest), "SHA256(web.ovf)= %s\nSHA256(a.img)= %s\n",
                            digest(parts->wrong_descriptor_digest ? "x" : text,
                                   parts->wrong_descriptor_digest ? 1 : (size_t)length),
                            digest(disk, parts->wrong_disk_digest ? 1 : sizeof(disk)));
        tar_add(&tar, "web.mf", '0', manifest, (size_t)size);
    }
    tar_add(&tar, "a.img", '0', disk, sizeof(disk));
    tar_end(&tar);
    put(place, name, tar.data, tar.length);
    buffer_fini(&tar);
}

static void open_source(struct place *place, const char *path)
{
    struct error err = {0};
    json_t *values = json_pack("{s:s}", "path", path);
    if (!settings_new(source_ova.settings, source_ova.setting_count, values, NULL, &place->settings,
                      &err) ||
        !source_ova.open(place->work, place->settings, &place->source, &err))
        fail_msg("%s", err.text);
    json_decref(values);
}

static int set_up(void **state)
{
    struct place *place = xcalloc(1, sizeof(*place));
    struct error err = {0};
    strcpy(place->top, "/tmp/guts-ova-XXXXXX");
    assert_non_null(mkdtemp(place->top));
    assert_int_equal(mkdir(in(place, "in"), 0755), 0);
    const char *root = place->top;
    struct conf_strings none = {0};
    assert_true(roots_open(&(struct conf_strings){&root, 1}, &none, &none, &place->roots, &err));
    place->work = fake_work_new(
        &(struct fake_work){.roots = place->roots, .attempt = 1, .directory = place->top});
    place->arena = arena_new();
    open_source(place, in(place, "in"));
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    struct error err = {0};
    source_ova.close(place->source);
    settings_free(place->settings);
    fake_work_free(place->work);
    roots_free(place->roots);
    arena_free(place->arena);
    assert_true(file_remove_tree(place->top, &err));
    free(place);
    return 0;
}

static struct vm *describe(struct place *place, const char *key)
{
    struct error err = {0};
    struct vm *vm = NULL;
    if (!source_ova.describe(place->source, key, place->arena, &vm, &err))
        fail_msg("%s", err.text);
    assert_true(vm_check(vm, &err));
    return vm;
}

static void disks_are_read_in_place(void **state)
{
    struct place *place = *state;
    struct error err = {0};
    struct source_export *export = NULL;
    struct disk *disk = NULL;
    char data[512];
    make_ova(place, "in/web.ova", &(struct parts){.href = "a.img", .manifest = true});
    struct vm *vm = describe(place, "web.ova");
    assert_null(vm->obstacle_text);
    assert_string_equal(vm->name, "web");
    assert_int_equal(vm->disks[0].capacity_bytes, DISK_BYTES);
    assert_true(source_ova.export_begin(place->source, vm, &export, &err));
    assert_true(source_ova.export_disk(export, 0, &disk, &err));
    assert_int_equal(disk_size_bytes(disk), DISK_BYTES);
    assert_true(disk_read(disk, data, sizeof(data), DISK_BYTES - 512, &err));
    for (size_t i = 0; i < sizeof(data); i++)
        assert_int_equal(data[i], 'd');
    disk_close(disk);
    assert_true(source_ova.export_check(export, &err));
    int fd = open(in(place, "in/web.ova"), O_WRONLY | O_APPEND);
    assert_int_equal(write(fd, "x", 1), 1);
    close(fd);
    assert_false(source_ova.export_check(export, &err));
    assert_ptr_equal(err.fault, &FAULT_SOURCE_CHANGED);
    source_ova.export_end(export);
}

static void a_wrong_digest_of_the_disk_stops_the_export(void **state)
{
    struct place *place = *state;
    struct error err = {0};
    struct source_export *export = NULL;
    make_ova(place, "in/web.ova",
             &(struct parts){.href = "a.img", .manifest = true, .wrong_disk_digest = true});
    struct vm *vm = describe(place, "web.ova");
    assert_false(source_ova.export_begin(place->source, vm, &export, &err));
    assert_ptr_equal(err.fault, &FAULT_MANIFEST_MISMATCH);
    assert_null(export);
}

static void a_wrong_digest_of_the_descriptor_is_an_obstacle(void **state)
{
    struct place *place = *state;
    make_ova(place, "in/web.ova",
             &(struct parts){.href = "a.img", .manifest = true, .wrong_descriptor_digest = true});
    assert_string_equal(describe(place, "web.ova")->obstacle_code, FAULT_MANIFEST_MISMATCH.code);
}

static void an_archive_that_climbs_is_an_obstacle(void **state)
{
    struct place *place = *state;
    struct buffer tar = {0};
    tar_add(&tar, "../../web.ovf", '0', "x", 1);
    tar_end(&tar);
    put(place, "in/web.ova", tar.data, tar.length);
    buffer_fini(&tar);
    assert_string_equal(describe(place, "web.ova")->obstacle_code, FAULT_ARCHIVE_INVALID.code);
    put(place, "in/web.ova", "", 0);
    assert_string_equal(describe(place, "web.ova")->obstacle_code, FAULT_ARCHIVE_INVALID.code);
}

static void a_disk_that_is_not_there_is_an_obstacle(void **state)
{
    struct place *place = *state;
    make_ova(place, "in/web.ova", &(struct parts){.href = "../other.img"});
    assert_string_equal(describe(place, "web.ova")->obstacle_code, FAULT_DISK_MISSING.code);
}

static void a_descriptor_with_its_disks_beside_it_works(void **state)
{
    struct place *place = *state;
    struct error err = {0};
    struct source_export *export = NULL;
    char text[2048], disk[DISK_BYTES] = "";
    int length = snprintf(text, sizeof(text), descriptor, "a.img");
    put(place, "in/web.ovf", text, (size_t)length);
    put(place, "in/a.img", disk, sizeof(disk));
    struct vm *vm = describe(place, "web.ovf");
    assert_null(vm->obstacle_text);
    assert_true(source_ova.export_begin(place->source, vm, &export, &err));
    assert_true(source_ova.export_check(export, &err));
    assert_int_equal(truncate(in(place, "in/a.img"), 4096), 0);
    assert_false(source_ova.export_check(export, &err));
    assert_ptr_equal(err.fault, &FAULT_SOURCE_CHANGED);
    source_ova.export_end(export);
    static const char *const outside[] = {"../secret.img", "%2E%2e/secret.img", "/etc/passwd",
                                          "link.img"};
    put(place, "secret.img", disk, sizeof(disk));
    assert_int_equal(symlink("../secret.img", in(place, "in/link.img")), 0);
    for (size_t i = 0; i < COUNT_OF(outside); i++) {
        length = snprintf(text, sizeof(text), descriptor, outside[i]);
        put(place, "in/web.ovf", text, (size_t)length);
        assert_string_equal(describe(place, "web.ovf")->obstacle_code, FAULT_PATH_OUTSIDE.code);
    }
}

static void a_href_is_an_uri(void **state)
{
    static const char *const names[][2] = {{"my%20disk.img", "my disk.img"},
                                           {"%D1%81.img", "с.img"},
                                           {"100%.img", "100%.img"},
                                           {"%4", "%4"},
                                           {"a%00b.img", "a%00b.img"}};
    struct place *place = *state;
    char text[2048], disk[DISK_BYTES] = "", path[64];
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        int length = snprintf(text, sizeof(text), descriptor, names[i][0]);
        put(place, "in/web.ovf", text, (size_t)length);
        snprintf(path, sizeof(path), "in/%s", names[i][1]);
        put(place, path, disk, sizeof(disk));
        assert_null(describe(place, "web.ovf")->obstacle_text);
    }
}

/* Reads the only disk of "web.ovf" from its beginning on. */
static bool read_packed_disk(struct place *place, const struct vm *vm, struct error *err)
{
    struct source_export *export = NULL;
    struct disk *disk = NULL;
    char data[DISK_BYTES];
    bool good = source_ova.export_begin(place->source, vm, &export, err) &&
                source_ova.export_disk(export, 0, &disk, err) &&
                disk_read(disk, data, sizeof(data), 0, err);
    for (size_t i = 0; good && i < sizeof(data); i++)
        assert_int_equal(data[i], 'd');
    assert_true(disk == NULL || disk_access(disk) == DISK_SEQUENTIAL);
    disk_close(disk);
    if (export != NULL)
        source_ova.export_end(export);
    return good;
}

/* The descriptor with ovf:compression, and the disk of DISK_BYTES in gzip. */
static void put_packed(struct place *place, const char *compression, size_t length)
{
    static const uint8_t packed[] = {
        0x1f, 0x8b, 8,    0,    0,    0,    0,    0,    2,    3,    0xed, 0xc1, 1, 0x0d, 0,
        0,    0,    0xc2, 0xa0, 0xb2, 0xef, 0x9f, 0xc1, 0x1c, 0x6e, 0x40, 1,    0, 0,    0,
        0,    0,    0,    0,    0xef, 6,    0xd4, 0x15, 0xad, 0xa5, 0,    0x20, 0, 0};
    char text[2048], href[128];
    snprintf(href, sizeof(href), "a.img.gz' ovf:compression='%s", compression);
    int size = snprintf(text, sizeof(text), descriptor, href);
    put(place, "in/web.ovf", text, (size_t)size);
    put(place, "in/a.img.gz", packed, length < sizeof(packed) ? length : sizeof(packed));
}

static void a_disk_in_gzip_is_read_once(void **state)
{
    struct place *place = *state;
    struct error err = {0};
    put_packed(place, "gzip", SIZE_MAX);
    struct vm *vm = describe(place, "web.ovf");
    assert_null(vm->obstacle_text);
    assert_int_equal(vm->disks[0].capacity_bytes, DISK_BYTES);
    if (!read_packed_disk(place, vm, &err))
        fail_msg("%s", err.text);
    put_packed(place, "gzip", 30); /* cut */
    assert_false(read_packed_disk(place, vm, &err));
    assert_ptr_equal(err.fault, &FAULT_DISK_INVALID);
    put_packed(place, "bzip2", SIZE_MAX);
    assert_string_equal(describe(place, "web.ovf")->obstacle_code, FAULT_DISK_UNSUPPORTED.code);
}

/* The manifest would cover the text, and the bytes would come from elsewhere. */
static void a_disk_of_a_package_is_one_file(void **state)
{
    static const char disk[] = "# Disk DescriptorFile\nversion=1\nCID=fffffffe\n"
                               "parentCID=ffffffff\ncreateType=\"monolithicFlat\"\n"
                               "RW 16 FLAT \"a-flat.vmdk\" 0\n";
    struct place *place = *state;
    char text[2048], flat[DISK_BYTES] = "";
    int length = snprintf(text, sizeof(text), descriptor, "a.vmdk");
    char *format = strstr(text, "ovf:format='raw'");
    memcpy(format, "ovf:format='vmdk", 16);
    memmove(format + 17, format + 16, strlen(format + 16) + 1);
    format[16] = '\'';
    put(place, "in/web.ovf", text, (size_t)length + 1);
    put(place, "in/a.vmdk", disk, sizeof(disk) - 1);
    put(place, "in/a-flat.vmdk", flat, sizeof(flat));
    assert_string_equal(describe(place, "web.ovf")->obstacle_code, FAULT_DISK_INVALID.code);
}

struct listing {
    size_t count;
    char lines[8][80];
};

static bool take(void *context, const struct vm *vm, struct error *err)
{
    struct listing *listing = context;
    assert_true(vm_check(vm, err));
    snprintf(listing->lines[listing->count++], 80, "%s %s", vm->key,
             vm->obstacle_code != NULL ? vm->obstacle_code : "-");
    return true;
}

static void all_packages_are_listed_broken_ones_too(void **state)
{
    struct place *place = *state;
    struct listing listing = {0};
    struct error err = {0};
    make_ova(place, "in/b.ova", &(struct parts){.href = "a.img"});
    put(place, "in/bomb.ovf", "<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>", 40);
    assert_true(source_ova.list(place->source, take, &listing, &err));
    assert_int_equal(listing.count, 2);
    assert_string_equal(listing.lines[0], "b.ova -");
    assert_string_equal(listing.lines[1], "bomb.ovf vm_config_invalid");
}

static bool read_memory(void *context, void *ret_data, size_t length, uint64_t offset,
                        size_t *ret_length, struct error *err)
{
    const struct buffer *tar = context;
    (void)err;
    *ret_length = offset >= tar->length           ? 0
                  : tar->length - offset < length ? tar->length - (size_t)offset
                                                  : length;
    memcpy(ret_data, tar->data + offset, *ret_length);
    return true;
}

/* As an .ova behind a URL: what is not downloaded yet. */
static struct vm *describe_remote(struct place *place, const char *format, const void *disk,
                                  size_t disk_bytes)
{
    struct buffer tar = {0};
    struct error err = {0};
    struct package package;
    char text[2048], wanted[64];
    snprintf(text, sizeof(text), descriptor, "a.img");
    snprintf(wanted, sizeof(wanted), "ovf:format='%s'", format);
    char *at = strstr(text, "ovf:format='raw'");
    CLEANUP(xfreep) char *rest = xstrdup(at + strlen("ovf:format='raw'"));
    snprintf(at, sizeof(text) - (size_t)(at - text), "%s%s", wanted, rest);
    tar_add(&tar, "web.ovf", '0', text, strlen(text));
    tar_add(&tar, "a.img", '0', disk, disk_bytes);
    tar_end(&tar);
    const struct tarball_reader reader = {read_memory, &tar, tar.length};
    if (!package_open_remote(&reader, place->arena, &package, &err))
        fail_msg("%s", err.text);
    struct vm *vm = package_vm(&package, 0);
    package_close(&package);
    buffer_fini(&tar);
    return vm;
}

/* The descriptor says 8 KiB; the export would find what the disk itself says. */
static void the_size_of_a_disk_behind_a_url_is_its_own(void **state)
{
    struct place *place = *state;
    char disk[1536] = {0};
    struct vm *vm = describe_remote(place, "raw", disk, sizeof(disk));
    assert_int_equal(vm->disks[0].capacity_bytes, sizeof(disk));
    memcpy(disk, "KDMV\1\0\0\0\3\0\0\0\0\0\2", 15); /* 0x20000 sectors */
    vm = describe_remote(place, "vmdk.html#streamOptimized", disk, sizeof(disk));
    assert_null(vm->obstacle_code);
    assert_int_equal(vm->disks[0].capacity_bytes, 64 << 20);
    assert_int_equal(vm->disks[0].stored_bytes, sizeof(disk));
    memset(disk + 12, 0xff, 8);
    vm = describe_remote(place, "vmdk.html#streamOptimized", disk, sizeof(disk));
    assert_string_equal(vm->obstacle_code, "disk_invalid");
}

static void an_url_beyond_the_list_is_refused(void **state)
{
    struct place *place = *state;
    struct error err = {0};
    struct settings *given = NULL;
    struct source *source = NULL;
    static const char *const urls[] = {"http://127.0.0.1:1/x.ova", "http://169.254.169.254/x.ova"};
    for (size_t i = 0; i < COUNT_OF(urls); i++) {
        json_t *values = json_pack("{s:s}", "url", urls[i]);
        assert_true(settings_new(source_ova.settings, source_ova.setting_count, values, NULL,
                                 &given, &err));
        assert_false(source_ova.open(place->work, given, &source, &err));
        assert_ptr_equal(err.fault, &FAULT_ADDRESS_NOT_ALLOWED);
        settings_free(given);
        json_decref(values);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(disks_are_read_in_place),
        TEST(a_wrong_digest_of_the_disk_stops_the_export),
        TEST(a_wrong_digest_of_the_descriptor_is_an_obstacle),
        TEST(an_archive_that_climbs_is_an_obstacle),
        TEST(a_disk_that_is_not_there_is_an_obstacle),
        TEST(a_descriptor_with_its_disks_beside_it_works),
        TEST(a_href_is_an_uri),
        TEST(a_disk_of_a_package_is_one_file),
        TEST(a_disk_in_gzip_is_read_once),
        TEST(all_packages_are_listed_broken_ones_too),
        TEST(the_size_of_a_disk_behind_a_url_is_its_own),
        TEST(an_url_beyond_the_list_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
