/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/file.h"
#include "fake_work.h"
#include "migration/source/workstation.h"
#include "migration/source/workstation_vm.h"
#include "proto/fault.h"

/* A directory beneath a root, with one sound machine in "vms/web/web.vmx". */
struct place {
    char top[64];
    struct roots *roots;
    struct work *work;
    struct settings *settings;
    struct source *source;
    struct arena *arena;
};

static const char *in(const struct place *place, const char *name)
{
    static char path[4][512];
    static unsigned turn;
    char *text = path[turn++ % 4];
    snprintf(text, sizeof(path[0]), "%s/%s", place->top, name);
    return text;
}

static void put(const struct place *place, const char *name, const char *content)
{
    FILE *file = fopen(in(place, name), "w");
    assert_non_null(file);
    fputs(content, file);
    fclose(file);
}

static void add_directory(const struct place *place, const char *name)
{
    assert_int_equal(mkdir(in(place, name), 0755), 0);
}

#define HEAD ".encoding = \"UTF-8\"\nconfig.version = \"8\"\n"
#define DISK0                                                                                      \
    "scsi0.present = \"TRUE\"\nscsi0.virtualDev = \"lsilogic\"\n"                                  \
    "scsi0:0.present = \"TRUE\"\nscsi0:0.fileName = \"a.vmdk\"\n"

static void put_disk(const struct place *place, const char *directory, const char *name,
                     unsigned sectors)
{
    char path[256], text[512];
    snprintf(path, sizeof(path), "%s/%s-flat.vmdk", directory, name);
    put(place, path, "");
    assert_int_equal(truncate(in(place, path), (off_t)sectors * 512), 0);
    snprintf(path, sizeof(path), "%s/%s.vmdk", directory, name);
    snprintf(text, sizeof(text),
             "# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\n"
             "createType=\"monolithicFlat\"\nRW %u FLAT \"%s-flat.vmdk\" 0\n",
             sectors, name);
    put(place, path, text);
}

static void open_source(struct place *place, const char *path)
{
    struct error err = {0};
    json_t *values = json_pack("{s:s}", "path", path);
    if (!settings_new(source_workstation.settings, source_workstation.setting_count, values, NULL,
                      &place->settings, &err) ||
        !source_workstation.open(place->work, place->settings, &place->source, &err))
        fail_msg("%s", err.text);
    json_decref(values);
}

static int set_up(void **state)
{
    struct place *place = xcalloc(1, sizeof(*place));
    struct error err = {0};
    strcpy(place->top, "/tmp/guts-vmx-XXXXXX");
    assert_non_null(mkdtemp(place->top));
    add_directory(place, "vms");
    add_directory(place, "vms/web");
    put_disk(place, "vms/web", "a", 2048);
    put_disk(place, "vms/web", "b", 4096);
    put(place, "vms/web/web.vmx",
        HEAD DISK0
        "displayName = \"Веб-сервер 网\"\nmemsize = \"1024\"\nnumvcpus = \"4\"\n"
        "cpuid.coresPerSocket = \"2\"\nguestOS = \"debian11-64\"\nfirmware = \"efi\"\n"
        "uefi.secureBoot.enabled = \"TRUE\"\nannotation = \"one|0Atwo\"\n"
        "uuid.bios = \"56 4d 11 22 33 44 55 66-77 88 99 aa bb cc dd ee\"\n"
        "ide1:0.present = \"TRUE\"\nide1:0.deviceType = \"cdrom-image\"\nide1:0.fileName = "
        "\"a.iso\"\n"
        "sata0.present = \"TRUE\"\nsata0:1.present = \"TRUE\"\nsata0:1.fileName = \"b.vmdk\"\n"
        "sata0:2.present = \"FALSE\"\nsata0:2.fileName = \"none.vmdk\"\n"
        "floppy0.fileName = \"f.flp\"\nbios.hddOrder = \"scsi0:0\"\n"
        "ethernet0.present = \"TRUE\"\nethernet0.virtualDev = \"vmxnet3\"\n"
        "ethernet0.generatedAddress = \"00:0C:29:AA:BB:CC\"\nethernet0.connectionType = \"nat\"\n"
        "ethernet2.present = \"TRUE\"\nethernet2.addressType = \"static\"\n"
        "ethernet2.address = \"00:50:56:00:00:01\"\nethernet2.connectionType = \"custom\"\n"
        "ethernet2.vnet = \"VMnet8\"\nethernet2.startConnected = \"FALSE\"\n");
    const char *root = place->top;
    struct conf_strings none = {0};
    assert_true(roots_open(&(struct conf_strings){&root, 1}, &none, &none, &place->roots, &err));
    place->work = fake_work_new(&(struct fake_work){.roots = place->roots, .attempt = 1});
    place->arena = arena_new();
    open_source(place, in(place, "vms"));
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    struct error err = {0};
    source_workstation.close(place->source);
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
    if (!source_workstation.describe(place->source, key, place->arena, &vm, &err))
        fail_msg("%s", err.text);
    assert_true(vm_check(vm, &err));
    return vm;
}

/* The obstacle's code of a machine in "vms/x/x.vmx" with this text. */
static const char *obstacle(struct place *place, const char *text)
{
    mkdir(in(place, "vms/x"), 0755);
    put_disk(place, "vms/x", "a", 2048);
    put(place, "vms/x/x.vmx", text);
    const char *code = describe(place, "x/x.vmx")->obstacle_code;
    return code != NULL ? code : "none";
}

static void a_machine_is_described(void **state)
{
    struct vm *vm = describe(*state, "web/web.vmx");
    assert_null(vm->obstacle_text);
    assert_string_equal(vm->key, "web/web.vmx");
    assert_string_equal(vm->name, "Веб-сервер 网");
    assert_string_equal(vm->uuid, "564d1122-3344-5566-7788-99aabbccddee");
    assert_int_equal(vm->power, VM_POWER_OFF);
    assert_int_equal(vm->firmware, VM_FIRMWARE_EFI);
    assert_true(vm->secure_boot);
    assert_int_equal(vm->cpus, 4);
    assert_int_equal(vm->cores_per_socket, 2);
    assert_int_equal(vm->memory_mib, 1024);
    assert_string_equal(vm->guest_os, "debian11-64");
    assert_string_equal(vm->annotation, "one two");
}

static void disks_come_in_boot_order_and_cdroms_do_not(void **state)
{
    struct vm *vm = describe(*state, "web/web.vmx");
    assert_int_equal(vm->disk_count, 2);
    assert_string_equal(vm->disks[0].key, "a.vmdk");
    assert_string_equal(vm->disks[0].bus, "scsi");
    assert_string_equal(vm->disks[0].controller, "lsilogic");
    assert_int_equal(vm->disks[0].capacity_bytes, 2048 * 512);
    assert_true(vm->disks[0].stored_bytes >= 2048 * 512);
    assert_string_equal(vm->disks[1].bus, "sata");
    assert_int_equal(vm->disks[1].unit, 1);
    assert_string_equal(vm->disks[1].controller, "ahci");
}

static void cards_come_with_address_and_network(void **state)
{
    struct vm *vm = describe(*state, "web/web.vmx");
    assert_int_equal(vm->nic_count, 2);
    assert_string_equal(vm->nics[0].mac, "00:0c:29:aa:bb:cc");
    assert_string_equal(vm->nics[0].model, "vmxnet3");
    assert_string_equal(vm->nics[0].network, "nat");
    assert_true(vm->nics[0].connected);
    assert_string_equal(vm->nics[1].mac, "00:50:56:00:00:01");
    assert_string_equal(vm->nics[1].network, "VMnet8");
    assert_false(vm->nics[1].connected);
    assert_null(vm->nics[1].model);
}

static void what_stands_in_the_way_has_a_code(void **state)
{
    struct place *place = *state;
    assert_string_equal(obstacle(place, HEAD DISK0), "none");
    assert_string_equal(obstacle(place, HEAD DISK0 "encryption.keySafe = \"x\"\n"),
                        FAULT_VM_ENCRYPTED.code);
    assert_string_equal(obstacle(place, HEAD DISK0 "checkpoint.vmState = \"x.vmss\"\n"),
                        FAULT_VM_SUSPENDED.code);
    assert_string_equal(obstacle(place, HEAD DISK0 "checkpoint.vmState = \"\"\n"), "none");
    assert_string_equal(obstacle(place, HEAD), FAULT_VM_CONFIG_INVALID.code);
    assert_string_equal(obstacle(place, HEAD DISK0 "numvcpus = \"100000\"\n"),
                        FAULT_VM_CONFIG_INVALID.code);
    assert_string_equal(obstacle(place, "rubbish"), FAULT_VM_CONFIG_INVALID.code);
}

#define DISK(name) HEAD "ide0:0.present = \"TRUE\"\nide0:0.fileName = \"" name "\"\n"

static void disks_may_not_lie_elsewhere(void **state)
{
    struct place *place = *state;
    assert_string_equal(obstacle(place, DISK("none.vmdk")), FAULT_DISK_MISSING.code);
    assert_string_equal(obstacle(place, DISK("../web/a.vmdk")), FAULT_PATH_OUTSIDE.code);
    assert_string_equal(obstacle(place, DISK("..\\web\\a.vmdk")), FAULT_PATH_OUTSIDE.code);
    assert_string_equal(obstacle(place, DISK("/etc/passwd")), FAULT_PATH_OUTSIDE.code);
    assert_string_equal(obstacle(place, DISK("C:\\vms\\a.vmdk")), FAULT_PATH_OUTSIDE.code);
    assert_int_equal(symlink("../web/a.vmdk", in(place, "vms/x/link.vmdk")), 0);
    assert_string_equal(obstacle(place, DISK("link.vmdk")), FAULT_PATH_OUTSIDE.code);
    put(place, "vms/x/bad.vmdk", "rubbish");
    assert_string_equal(obstacle(place, DISK("bad.vmdk")), FAULT_DISK_INVALID.code);
}

static void a_lock_means_that_it_runs(void **state)
{
    struct place *place = *state;
    add_directory(place, "vms/web/web.vmx.lck");
    assert_null(describe(place, "web/web.vmx")->obstacle_code); /* empty: a leftover */
    put(place, "vms/web/web.vmx.lck/M12345.lck", "host 4711");
    struct vm *vm = describe(place, "web/web.vmx");
    assert_string_equal(vm->obstacle_code, FAULT_VM_RUNNING.code);
    assert_int_equal(vm->power, VM_POWER_ON);
    struct source_export *export = NULL;
    struct error err = {0};
    assert_false(source_workstation.export_begin(place->source, vm, &export, &err));
    assert_ptr_equal(err.fault, &FAULT_VM_RUNNING);
}

static void a_lock_on_a_disk_alone_means_that_another_holds_it(void **state)
{
    struct place *place = *state;
    add_directory(place, "vms/web/b.vmdk.lck");
    put(place, "vms/web/b.vmdk.lck/M12345.lck", "host 4711");
    assert_string_equal(describe(place, "web/web.vmx")->obstacle_code, FAULT_VM_LOCKED.code);
}

/* Without a descriptor to look with, as with a directory that only its owner may read. */
static void a_lock_that_cannot_be_read_is_not_an_absent_one(void **state)
{
    struct place *place = *state;
    add_directory(place, "vms/web/web.vmx.lck");
    char path[256];
    snprintf(path, sizeof(path), "%s/vms/web", place->top);
    struct workstation_place machine = {.directory_fd = open(path, O_RDONLY | O_DIRECTORY),
                                        .file = "web.vmx"};
    assert_int_equal(workstation_vm_lock(&machine), WORKSTATION_FREE);
    struct rlimit before, few;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    for (rlim_t spare = 1; spare <= 2; spare++) { /* one: not even the lock's directory opens */
        few = before;
        few.rlim_cur = (rlim_t)machine.directory_fd + spare;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        enum workstation_lock lock = workstation_vm_lock(&machine);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_int_equal(lock, WORKSTATION_UNKNOWN);
    }
    close(machine.directory_fd);
}

struct listing {
    size_t count;
    char keys[8][64];
};

static bool take(void *context, const struct vm *vm, struct error *err)
{
    struct listing *listing = context;
    assert_true(vm_check(vm, err));
    snprintf(listing->keys[listing->count++], 64, "%s %s", vm->key,
             vm->obstacle_code != NULL ? vm->obstacle_code : "-");
    return true;
}

static void a_value_without_a_legible_letter_is_shown_as_such(void **state)
{
    struct place *place = *state;
    assert_string_equal(obstacle(place, HEAD DISK0 "numvcpus = \"|01|02\"\n"), "vm_config_invalid");
    assert_string_equal(describe(place, "x/x.vmx")->obstacle_text, "numvcpus is \"\"");
}

static void all_machines_are_listed_and_links_are_not_followed(void **state)
{
    struct place *place = *state;
    struct listing listing = {0};
    struct error err = {0};
    obstacle(place, "rubbish");
    assert_int_equal(symlink(in(place, "vms/web"), in(place, "vms/again")), 0);
    add_directory(place, "outside");
    put(place, "outside/o.vmx", HEAD);
    assert_int_equal(symlink("../outside", in(place, "vms/out")), 0);
    assert_int_equal(symlink("web/web.vmx", in(place, "vms/l.vmx")), 0);
    put(place, "vms/\xff.vmx", HEAD);
    assert_true(source_workstation.list(place->source, take, &listing, &err));
    assert_int_equal(listing.count, 2);
    assert_string_equal(listing.keys[0], "web/web.vmx -");
    assert_string_equal(listing.keys[1], "x/x.vmx vm_config_invalid");
    assert_string_not_equal(fake_work_note(place->work), "");
}

/* A directory that fails to open, as it would on a stale mount: its machines are not gone. */
static void a_list_that_fails_midway_is_no_list(void **state)
{
    struct place *place = *state;
    struct listing listing = {0};
    struct error err = {0};
    add_directory(place, "vms/deep");
    add_directory(place, "vms/deep/er");
    int spare = open("/dev/null", O_RDONLY);
    assert_true(spare >= 0);
    close(spare);
    struct rlimit before, few;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = (rlim_t)spare + 2; /* for the top and for "deep" */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    bool listed = source_workstation.list(place->source, take, &listing, &err);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_false(listed);
    assert_int_equal(listing.count, 0);
    assert_non_null(strstr(err.text, "deep/er"));
}

/* What is beneath a directory that we may not read was perhaps listed earlier. */
static void a_list_without_what_may_not_be_read_is_partial(void **state)
{
    struct place *place = *state;
    struct listing listing = {0};
    struct error err = {0};
    assert_true(source_workstation.list(place->source, take, &listing, &err));
    assert_false(fake_work_is_partial(place->work));
    add_directory(place, "vms/closed");
    assert_int_equal(chmod(in(place, "vms/closed"), 0), 0);
    int before =
        setfsuid(65534); /* root may read everything; without the right this changes nothing */
    listing.count = 0;
    bool listed = source_workstation.list(place->source, take, &listing, &err);
    setfsuid((uid_t)before);
    assert_true(listed);
    assert_int_equal(listing.count, 1);
    assert_true(fake_work_is_partial(place->work));
    assert_non_null(strstr(fake_work_note(place->work), "could not be read"));
}

static void keys_do_not_lead_elsewhere(void **state)
{
    struct place *place = *state;
    static const char *const keys[] = {"../outside/o.vmx", "/etc/passwd", "web/a.vmdk", "gone.vmx",
                                       ""};
    add_directory(place, "outside");
    put(place, "outside/o.vmx", HEAD);
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        struct error err = {0};
        struct vm *vm = NULL;
        assert_false(source_workstation.describe(place->source, keys[i], place->arena, &vm, &err));
        assert_true(err.fault == &FAULT_NOT_FOUND || err.fault == &FAULT_PATH_OUTSIDE);
    }
}

static void an_export_reads_disks_and_notices_changes(void **state)
{
    struct place *place = *state;
    struct error err = {0};
    struct source_export *export = NULL;
    struct disk *disk = NULL;
    char data[512];
    FILE *flat = fopen(in(place, "vms/web/a-flat.vmdk"), "r+");
    assert_true(fputs("boot", flat) > 0);
    fclose(flat);
    struct vm *vm = describe(place, "web/web.vmx");
    assert_true(source_workstation.export_begin(place->source, vm, &export, &err));
    assert_true(source_workstation.export_disk(export, 0, &disk, &err));
    assert_int_equal(disk_size_bytes(disk), 2048 * 512);
    assert_true(disk_read(disk, data, sizeof(data), 0, &err));
    assert_memory_equal(data, "boot", 4);
    disk_close(disk);
    assert_true(source_workstation.export_check(export, &err));
    assert_int_equal(truncate(in(place, "vms/web/b-flat.vmdk"), 8192 * 512), 0);
    assert_false(source_workstation.export_check(export, &err));
    assert_ptr_equal(err.fault, &FAULT_SOURCE_CHANGED);
    source_workstation.export_end(export);
}

static void a_single_file_is_a_source_too(void **state)
{
    struct place *place = *state;
    struct listing listing = {0};
    struct error err = {0};
    source_workstation.close(place->source);
    settings_free(place->settings);
    open_source(place, in(place, "vms/web/web.vmx"));
    assert_true(source_workstation.test(place->source, &err));
    assert_true(source_workstation.list(place->source, take, &listing, &err));
    assert_int_equal(listing.count, 1);
    assert_string_equal(listing.keys[0], "web.vmx -");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_machine_is_described),
        TEST(disks_come_in_boot_order_and_cdroms_do_not),
        TEST(cards_come_with_address_and_network),
        TEST(what_stands_in_the_way_has_a_code),
        TEST(disks_may_not_lie_elsewhere),
        TEST(a_lock_means_that_it_runs),
        TEST(a_lock_on_a_disk_alone_means_that_another_holds_it),
        TEST(a_lock_that_cannot_be_read_is_not_an_absent_one),
        TEST(a_value_without_a_legible_letter_is_shown_as_such),
        TEST(all_machines_are_listed_and_links_are_not_followed),
        TEST(a_list_that_fails_midway_is_no_list),
        TEST(a_list_without_what_may_not_be_read_is_partial),
        TEST(keys_do_not_lead_elsewhere),
        TEST(an_export_reads_disks_and_notices_changes),
        TEST(a_single_file_is_a_source_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
