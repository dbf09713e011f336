/* SPDX-License-Identifier: Apache-2.0
 *
 * Images made by hand in a directory of their own; files made by other programs are compared in
 * tests/integration/disk.
 */
#include "migration/disk/vmdk.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/file.h"
#include "migration/disk/vmdk_inner.h"
#include "proto/fault.h"

static char directory[] = "/tmp/guts-vmdk-XXXXXX";
static int directory_fd;

static int setup(void **state)
{
    if (mkdtemp(directory) == NULL)
        return 1;
    directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return directory_fd < 0;
}

static int teardown(void **state)
{
    struct error err = {0};
    close(directory_fd);
    return !file_remove_tree(directory, &err);
}

static bool open_in_directory(void *context, const char *name, int *ret_fd, struct error *err)
{
    int fd = openat(directory_fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set(err, &FAULT_NOT_FOUND, "no \"%s\"", name);
    *ret_fd = fd;
    return true;
}
static const struct disk_opener opener = {open_in_directory, NULL};

static void put(const char *name, const void *data, size_t length, off_t offset)
{
    int fd = openat(directory_fd, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, data, length, offset), length);
    close(fd);
}

static void put_text(const char *name, const char *text)
{
    unlinkat(directory_fd, name, 0);
    put(name, text, strlen(text), 0);
}

static void set32(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, sizeof(value));
}

static void set64(uint8_t *at, uint64_t value)
{
    memcpy(at, &value, sizeof(value));
}

/* A hosted sparse extent of 64 MiB: header, descriptor at sector 1, directory at 4, one table at 8, grains
 * of 64 KiB from sector 128. Grain 0 is 'A', grain 1 zero by entry 1, others missing. */
static void put_sparse(const char *name, const char *descriptor)
{
    static uint8_t image[(128 + 128) * 512];
    memset(image, 0, sizeof(image));
    memcpy(image, "KDMV", 4);
    set32(image + 4, 2);
    set32(image + 8, 1u << 2 | 1);
    set64(image + 12, (64u << 20) / 512);
    set64(image + 20, 128);
    set64(image + 28, descriptor != NULL ? 1 : 0);
    set64(image + 36, descriptor != NULL ? 2 : 0);
    set32(image + 44, 512);
    set64(image + 56, 4);
    if (descriptor != NULL)
        memcpy(image + 512, descriptor, strlen(descriptor));
    set32(image + 4 * 512, 8);
    set32(image + 8 * 512, 128);
    set32(image + 8 * 512 + 4, 1);
    memset(image + 128 * 512, 'A', 65536);
    unlinkat(directory_fd, name, 0);
    put(name, image, sizeof(image), 0);
}

static const char *fault_of(const char *name)
{
    struct error err = {0};
    struct disk *disk = NULL;
    if (disk_vmdk_open(&opener, name, &disk, &err)) {
        disk_close(disk);
        return "";
    }
    assert_null(disk);
    return err.fault->code;
}

#define HEAD "# Disk DescriptorFile\nversion=1\nCID=%s\nparentCID=%s\ncreateType=\"custom\"\n"

static const char *text_of(const char *cid, const char *parent, const char *rest)
{
    static char text[4096];
    snprintf(text, sizeof(text), HEAD "%s\n", cid, parent, rest);
    return text;
}

static void a_child_shows_its_parent_where_it_has_nothing(void **state)
{
    struct error err = {0};
    put_sparse("parent.vmdk", text_of("1234abcd", "ffffffff", "RW 131072 SPARSE \"x.vmdk\""));
    put_sparse("delta.vmdk", NULL);
    /* In the delta: grain 1 zero by its table; grain 0 made missing. */
    put("delta.vmdk", "\0\0\0\0", 4, 8 * 512);
    put_text("child.vmdk", text_of("1", "1234ABCD",
                                   "parentFileNameHint=\"parent.vmdk\"\nRW 131072 SPARSE "
                                   "\"delta.vmdk\""));
    struct disk *disk = NULL;
    assert_true(disk_vmdk_open(&opener, "child.vmdk", &disk, &err));
    static uint8_t data[3 * 65536];
    assert_true(disk_read(disk, data, sizeof(data), 0, &err));
    assert_int_equal(data[0], 'A');
    assert_int_equal(data[65535], 'A');
    assert_int_equal(data[65536], 0);
    struct disk_extent extents[4];
    size_t count = 0;
    assert_true(disk_extents(disk, 0, 64u << 20, extents, 4, &count, &err));
    assert_int_equal(count, 3);
    assert_int_equal(extents[0].kind, DISK_EXTENT_DATA);
    assert_int_equal(extents[1].kind, DISK_EXTENT_ZERO);
    assert_int_equal(extents[2].kind, DISK_EXTENT_HOLE);
    assert_int_equal(extents[2].length, (64u << 20) - 2 * 65536);
    assert_true(disk_identity_check(disk, &err));
    const struct timespec long_ago[2] = {{1, 0}, {1, 0}};
    assert_int_equal(utimensat(directory_fd, "parent.vmdk", long_ago, 0), 0);
    assert_false(disk_identity_check(disk, &err)); /* each file of the chain counts */
    assert_ptr_equal(err.fault, &FAULT_SOURCE_CHANGED);
    disk_close(disk);
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct disk_vmdk_info info;
    assert_true(disk_vmdk_info(&opener, "child.vmdk", arena, &info, &err));
    assert_int_equal(info.depth, 2);
    assert_int_equal(info.file_count, 3);
    assert_string_equal(info.files[1].name, "delta.vmdk");
    assert_string_equal(info.create_type, "custom");
}

static void chains_that_lie_are_refused(void **state)
{
    put_sparse("parent.vmdk", text_of("1234abcd", "ffffffff", "RW 131072 SPARSE \"x.vmdk\""));
    put_text("stale.vmdk",
             text_of("1", "99999999", "parentFileNameHint=\"parent.vmdk\"\nRW 8 ZERO"));
    assert_string_equal(fault_of("stale.vmdk"), "disk_invalid");
    put_text("a.vmdk", text_of("1", "2", "parentFileNameHint=\"b.vmdk\"\nRW 8 ZERO"));
    put_text("b.vmdk", text_of("2", "1", "parentFileNameHint=\"a.vmdk\"\nRW 8 ZERO"));
    assert_string_equal(fault_of("a.vmdk"), "disk_invalid");
    put_text("self.vmdk", text_of("1", "1", "parentFileNameHint=\"self.vmdk\"\nRW 8 ZERO"));
    assert_string_equal(fault_of("self.vmdk"), "disk_invalid");
    put_text("orphan.vmdk", text_of("1", "2", "parentFileNameHint=\"gone.vmdk\"\nRW 8 ZERO"));
    assert_string_equal(fault_of("orphan.vmdk"), "disk_missing");
    put_text("unnamed.vmdk", text_of("1", "2", "RW 8 ZERO"));
    assert_string_equal(fault_of("unnamed.vmdk"), "disk_invalid");
    for (unsigned i = 0; i < 70; i++) {
        char name[32], hint[64];
        snprintf(name, sizeof(name), "deep%u.vmdk", i);
        snprintf(hint, sizeof(hint), "parentFileNameHint=\"deep%u.vmdk\"\nRW 8 ZERO", i + 1);
        put_text(name, text_of("1", i < 69 ? "1" : "ffffffff", hint));
    }
    assert_string_equal(fault_of("deep0.vmdk"), "disk_invalid");
    assert_string_equal(fault_of("deep10.vmdk"), "");
}

static void names_that_leave_their_directory_are_refused(void **state)
{
    static const char *const names[] = {"../x.vmdk",  "/etc/passwd", "a/../../x", "..",
                                        "C:\\x.vmdk", "a\\x.vmdk",   "x/.."};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char line[128];
        snprintf(line, sizeof(line), "RW 8 FLAT \"%s\" 0", names[i]);
        put_text("outside.vmdk", text_of("1", "ffffffff", line));
        assert_string_equal(fault_of("outside.vmdk"), "path_outside");
        snprintf(line, sizeof(line), "parentFileNameHint=\"%s\"\nRW 8 ZERO", names[i]);
        put_text("outside.vmdk", text_of("1", "2", line));
        assert_string_equal(fault_of("outside.vmdk"), "path_outside");
    }
    put_text("inside.vmdk", text_of("1", "ffffffff", "RW 1 FLAT \"..x vmdk\" 0"));
    put("..x vmdk", text_of("", "", ""), 512, 0);
    assert_string_equal(fault_of("inside.vmdk"), "");
}

static void absurd_numbers_are_refused_before_use(void **state)
{
    static const char *const lines[] = {
        "RW 99999999999999999999 ZERO",
        "RW 1000000000000 ZERO",
        "RW -1 ZERO",
        "RW 0 ZERO",
        "RW 8 FLAT",
        "RW 8 FLAT \"\" 0",
        "RW 8 FLAT \"x",
        "RW x ZERO",
        "",
        "RW 100000000000 ZERO\nRW 100000000000 ZERO",
    };
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        put_text("absurd.vmdk", text_of("1", "ffffffff", lines[i]));
        assert_string_equal(fault_of("absurd.vmdk"), "disk_invalid");
    }
    put_text("absurd.vmdk", text_of("1", "ffffffff", "RW 8 VMFSRDM \"x\""));
    assert_string_equal(fault_of("absurd.vmdk"), "disk_unsupported");
    put_text("absurd.vmdk", text_of("1", "ffffffff", "encryption.keySafe = \"x\"\nRW 8 ZERO"));
    assert_string_equal(fault_of("absurd.vmdk"), "vm_encrypted");
    put_text("absurd.vmdk", "nothing of the kind");
    assert_string_equal(fault_of("absurd.vmdk"), "disk_invalid");
}

static void damaged_headers_and_tables_are_errors(void **state)
{
    static const struct {
        off_t offset;
        uint64_t value;
    } damages[] = {
        {12, UINT64_MAX}, {12, 0},        {20, 0},          {20, 3},
        {20, 1ull << 50}, {44, 0},        {44, 0xffffffff}, {56, 1u << 20},
        {56, UINT64_MAX}, {28, 1u << 20}, {36, 1u << 30},
    };
    const char *descriptor = "# Disk DescriptorFile\nCID=1\nparentCID=ffffffff\n";
    for (size_t i = 0; i < COUNT_OF(damages); i++) {
        put_sparse("damaged.vmdk", descriptor);
        put("damaged.vmdk", &damages[i].value, damages[i].offset == 44 ? 4 : 8, damages[i].offset);
        assert_string_equal(fault_of("damaged.vmdk"), "disk_invalid");
    }
    put_sparse("damaged.vmdk", descriptor);
    put("damaged.vmdk", "\xff\xff\xff\x7f", 4, 8 * 512); /* a grain behind the end */
    struct error err = {0};
    struct disk *disk = NULL;
    uint8_t byte;
    assert_true(disk_vmdk_open(&opener, "damaged.vmdk", &disk, &err));
    assert_false(disk_read(disk, &byte, 1, 0, &err));
    assert_ptr_equal(err.fault, &FAULT_DISK_INVALID);
    disk_close(disk);
    put("damaged.vmdk", "\xff\xff\xff\x7f", 4, 4 * 512); /* a table behind the end */
    assert_true(disk_vmdk_open(&opener, "damaged.vmdk", &disk, &err));
    assert_false(disk_read(disk, &byte, 1, 0, &err));
    disk_close(disk);
}

static void an_image_in_the_middle_of_a_file_is_read(void **state)
{
    struct error err = {0};
    put_sparse("inner.vmdk", NULL);
    static uint8_t image[(128 + 128) * 512];
    int inner = openat(directory_fd, "inner.vmdk", O_RDONLY | O_CLOEXEC);
    assert_int_equal(pread(inner, image, sizeof(image), 0), sizeof(image));
    close(inner);
    put("outer.tar", image, sizeof(image), 1536);
    put("outer.tar", image, 512, 1536 + sizeof(image));
    int fd = openat(directory_fd, "outer.tar", O_RDONLY | O_CLOEXEC);
    struct disk *disk = NULL;
    assert_true(disk_vmdk_open_part(fd, 1536, sizeof(image), "member", &disk, &err));
    uint8_t data[2] = {0};
    assert_true(disk_read(disk, data, 2, 65535, &err));
    assert_int_equal(data[0], 'A');
    assert_int_equal(data[1], 0);
    disk_close(disk);
    fd = openat(directory_fd, "outer.tar", O_RDONLY | O_CLOEXEC);
    assert_false(disk_vmdk_open_part(fd, 1536, sizeof(image) * 9, "member", &disk, &err));
    assert_ptr_equal(err.fault, &FAULT_DISK_INVALID);
}

/* An SE-sparse delta: directory at sector 16, one table at 24, grains of 4 KiB from sector 256. */
static void an_se_sparse_delta_is_read(void **state)
{
    static uint8_t image[(256 + 24) * 512];
    set64(image, 0xcafebabe);
    set64(image + 8, 0x0000000200000001);
    set64(image + 16, 131072);
    set64(image + 24, 8);
    set64(image + 32, 64);
    set64(image + 80, 1);   /* volatile header */
    set64(image + 128, 16); /* directory */
    set64(image + 136, 8);
    set64(image + 144, 24); /* tables */
    set64(image + 192, 256);
    set64(image + 512, 0xcafecafe);
    set64(image + 16 * 512, 0x1000000000000000);
    uint8_t *table = image + 24 * 512;
    set64(table + 8 * 1, 0x3000000000000000 | 2ull << 48); /* grain 2: low 12 bits stand high */
    set64(table + 8 * 2, 0x2000000000000000);
    set64(table + 8 * 3, 0x3000000000000000);
    memset(image + 256 * 512, 'Z', 4096);
    memset(image + (256 + 16) * 512, 'Y', 4096);
    unlinkat(directory_fd, "delta-sesparse.vmdk", 0);
    put("delta-sesparse.vmdk", image, sizeof(image), 0);
    put_sparse("parent.vmdk", text_of("7", "ffffffff", "RW 131072 SPARSE \"x.vmdk\""));
    put_text("se.vmdk", text_of("8", "7",
                                "parentFileNameHint=\"parent.vmdk\"\nRW 131072 SESPARSE "
                                "\"delta-sesparse.vmdk\""));
    struct error err = {0};
    struct disk *disk = NULL;
    assert_true(disk_vmdk_open(&opener, "se.vmdk", &disk, &err));
    uint8_t data[5 * 4096];
    assert_true(disk_read(disk, data, sizeof(data), 0, &err));
    assert_int_equal(data[0], 'A'); /* of the parent */
    assert_int_equal(data[4096], 'Y');
    assert_int_equal(data[2 * 4096], 0);
    assert_int_equal(data[3 * 4096], 'Z');
    assert_int_equal(data[4 * 4096], 'A');
    disk_close(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_shows_its_parent_where_it_has_nothing),
        cmocka_unit_test(chains_that_lie_are_refused),
        cmocka_unit_test(names_that_leave_their_directory_are_refused),
        cmocka_unit_test(absurd_numbers_are_refused_before_use),
        cmocka_unit_test(damaged_headers_and_tables_are_errors),
        cmocka_unit_test(an_image_in_the_middle_of_a_file_is_read),
        cmocka_unit_test(an_se_sparse_delta_is_read),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
