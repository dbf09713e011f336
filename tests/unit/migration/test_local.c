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

#include "common/base/file.h"
#include "fake_work.h"
#include "migration/cage.h"
#include "migration/destination/fault_list.h"
#include "migration/destination/local.h"
#include "migration/destination/local_place.h"
#include "migration/disk/memory.h"
#include "proto/fault.h"

#define SIZE (9u << 20)

struct place {
    char top[64];
    struct roots *roots;
    struct work *work;
    struct settings *settings;
    struct settings *options;
    struct destination *destination;
    struct uuid migration;
    struct vm vm;
    struct vm_disk disks[2];
    struct destination_plan plan;
};

static const char *in(const struct place *place, const char *name)
{
    static char path[4][512];
    static unsigned turn;
    char *text = path[turn++ % 4];
    snprintf(text, sizeof(path[0]), "%s/%s", place->top, name);
    return text;
}

static bool is_there(const struct place *place, const char *name)
{
    return access(in(place, name), F_OK) == 0;
}

static void set_options(struct place *place, const char *json)
{
    struct error err = {0};
    json_t *values = json_loads(json, 0, NULL);
    settings_free(place->options);
    if (!settings_new(destination_local.options, destination_local.option_count, values, NULL,
                      &place->options, &err))
        fail_msg("%s", err.text);
    json_decref(values);
    place->plan.options = place->options;
}

static void open_attempt(struct place *place, uint32_t attempt)
{
    struct error err = {0};
    if (place->destination != NULL)
        destination_local.close(place->destination);
    fake_work_set_attempt(place->work, attempt);
    if (!destination_local.open(place->work, place->settings, &place->destination, &err))
        fail_msg("%s", err.text);
}

static int set_up(void **state)
{
    struct place *place = xcalloc(1, sizeof(*place));
    struct error err = {0};
    strcpy(place->top, "/tmp/guts-local-XXXXXX");
    assert_non_null(mkdtemp(place->top));
    assert_int_equal(mkdir(in(place, "out"), 0755), 0);
    assert_int_equal(mkdir(in(place, "job"), 0755), 0);
    char out[128];
    snprintf(out, sizeof(out), "%s/out", place->top);
    const char *root = out;
    struct conf_strings none = {0};
    assert_true(roots_open(&none, &(struct conf_strings){&root, 1}, &none, &place->roots, &err));
    place->migration = uuid_new();
    place->work = fake_work_new(&(struct fake_work){.roots = place->roots,
                                                    .attempt = 1,
                                                    .owner = place->migration,
                                                    .directory = xstrdup(in(place, "job"))});
    json_t *values = json_pack("{s:s}", "path", out);
    assert_true(settings_new(destination_local.settings, destination_local.setting_count, values,
                             NULL, &place->settings, &err));
    json_decref(values);
    place->disks[0] = (struct vm_disk){.key = "a",
                                       .bus = "scsi",
                                       .controller = "lsilogic",
                                       .capacity_bytes = SIZE,
                                       .format = "vmdk"};
    place->disks[1] = place->disks[0];
    place->disks[1].unit = 1;
    place->vm = (struct vm){.key = "k",
                            .name = "web",
                            .cpus = 1,
                            .memory_mib = 256,
                            .firmware = VM_FIRMWARE_BIOS,
                            .disks = place->disks,
                            .disk_count = 2};
    place->plan =
        (struct destination_plan){.work = place->work, .vm = &place->vm, .server_name = "web/1"};
    set_options(place, "{}");
    open_attempt(place, 1);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    struct error err = {0};
    destination_local.close(place->destination);
    settings_free(place->settings);
    settings_free(place->options);
    free((char *)work_directory(place->work));
    fake_work_free(place->work);
    roots_free(place->roots);
    assert_true(file_remove_tree(place->top, &err));
    free(place);
    return 0;
}

static struct copy_digests *digests_of_copy;

static bool flushed(void *context, const struct copy_chunk *chunks, size_t count, struct error *err)
{
    for (size_t i = 0; i < count; i++)
        copy_digests_set(digests_of_copy, &chunks[i]);
    return true;
}

static struct disk *pattern(size_t index)
{
    return disk_pattern_new(
        &(struct disk_pattern_plan){.size_bytes = SIZE, .seed = index + 1, .data_of_hundred = 40});
}

/* Copies a pattern into disk `index`; the caller frees the digests. */
static struct copy_digests *copy_in(struct place *place, size_t index, bool *ret_resumable)
{
    struct error err = {0};
    struct destination_disk to;
    struct copy_control control = {0};
    if (!destination_local.disk_begin(place->destination, &place->plan, index, SIZE, &to, &err))
        fail_msg("%s", err.text);
    assert_true(to.reads_as_zero);
    *ret_resumable = to.resumable;
    struct disk *from = pattern(index);
    digests_of_copy = copy_digests_new(SIZE);
    struct copy_plan plan = {
        .from = from, .to = to.disk, .to_is_zero = true, .control = &control, .flushed = flushed};
    if (!copy_run(&plan, &err) || !disk_finish(to.disk, &err))
        fail_msg("%s", err.text);
    disk_close(from);
    return digests_of_copy;
}

static bool prove(struct place *place, size_t index, const struct copy_digests *digests,
                  struct error *err)
{
    struct copy_control control = {0};
    json_t *evidence = json_object();
    bool fine = destination_local.disk_end(place->destination, &place->plan, index, digests,
                                           &control, evidence, err);
    assert_int_equal(fine, json_object_get(evidence, "content") != NULL);
    json_decref(evidence);
    return fine;
}

static void copy_all(struct place *place)
{
    for (size_t i = 0; i < place->vm.disk_count; i++) {
        struct error err = {0};
        bool resumable;
        struct copy_digests *digests = copy_in(place, i, &resumable);
        if (!prove(place, i, digests, &err))
            fail_msg("%s", err.text);
        copy_digests_free(digests);
    }
}

static bool deploy(struct place *place, struct error *err)
{
    json_t *server = json_object();
    bool fine = destination_local.deploy(place->destination, &place->plan, server, err);
    if (fine)
        assert_string_equal(json_string_value(json_object_get(server, "name")), "web_1");
    json_decref(server);
    return fine;
}

static void undo_all(struct place *place)
{
    for (size_t i = work_ledger_count(place->work); i-- > 0;) {
        struct error err = {0};
        enum ledger_state state = LEDGER_UNKNOWN;
        if (!destination_local.undo(place->destination, work_ledger_get(place->work, i), &state,
                                    &err))
            fail_msg("%s", err.text);
        assert_true(state == LEDGER_UNDONE || state == LEDGER_NOT_FOUND);
    }
}

static size_t count_entries(const struct place *place, const char *directory)
{
    char command[600], text[32] = "";
    snprintf(command, sizeof(command), "ls -A %s | wc -l", in(place, directory));
    FILE *pipe = popen(command, "r");
    assert_non_null(fgets(text, sizeof(text), pipe));
    pclose(pipe);
    return (size_t)atoi(text);
}

#define NEEDS_QEMU()                                                                               \
    do {                                                                                           \
        if (!cage_has_tool("qemu-nbd"))                                                            \
            skip();                                                                                \
    } while (0)

static void a_server_is_made_and_taken_back(void **state)
{
    struct place *place = *state;
    struct error err = {0};
    NEEDS_QEMU();
    copy_all(place);
    assert_false(is_there(place, "out/web_1"));
    assert_true(deploy(place, &err));
    assert_true(is_there(place, "out/web_1/disk0.qcow2"));
    assert_true(is_there(place, "out/web_1/disk1.qcow2"));
    assert_true(is_there(place, "out/web_1/domain.xml"));
    assert_int_equal(count_entries(place, "out"), 1);
    assert_true(deploy(place, &err)); /* again, as a later run would */
    json_t *evidence = json_object();
    assert_true(destination_local.verify(place->destination, &place->plan, evidence, &err));
    json_decref(evidence);
    undo_all(place);
    assert_int_equal(count_entries(place, "out"), 0);
}

static void damage_between_copy_and_proof_is_noticed(void **state)
{
    struct place *place = *state;
    NEEDS_QEMU();
    static const char *const formats[] = {"{\"format\": \"raw\"}", "{\"format\": \"qcow2\"}"};
    static const char *const names[] = {"disk0.raw", "disk0.qcow2"};
    for (size_t i = 0; i < COUNT_OF(formats); i++) {
        struct error err = {0};
        bool resumable;
        char path[512], directory[PLACE_NAME_SIZE];
        struct place_mark mark = {.migration = place->migration, .attempt = 1};
        set_options(place, formats[i]);
        struct copy_digests *digests = copy_in(place, 0, &resumable);
        assert_true(prove(place, 0, digests, &err));
        place_attempt_name(&mark, directory);
        snprintf(path, sizeof(path), "%s/out/%s/%s", place->top, directory, names[i]);
        int fd = open(path, O_RDWR);
        /* The last byte that is not zero belongs to data in either format. */
        off_t at = lseek(fd, 0, SEEK_END);
        char byte = 0;
        while (byte == 0) {
            at -= i == 0 ? 1 : 65536;
            assert_true(at > 0 && pread(fd, &byte, 1, at) == 1);
            if (i == 1 && at < 1 << 20)
                break;
        }
        byte ^= 0x55;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        close(fd);
        assert_false(prove(place, 0, digests, &err));
        assert_true(err.fault == &FAULT_DIGEST_MISMATCH || err.fault == &FAULT_DISK_INVALID ||
                    err.fault == &FAULT_IO);
        copy_digests_free(digests);
    }
}

static void a_later_run_of_the_attempt_goes_on(void **state)
{
    struct place *place = *state;
    NEEDS_QEMU();
    static const char *const formats[] = {"{\"format\": \"raw\"}", "{\"format\": \"qcow2\"}",
                                          "{\"compression\": \"repack\"}"};
    for (size_t i = 0; i < COUNT_OF(formats); i++) {
        bool resumable = true;
        struct error err = {0};
        set_options(place, formats[i]);
        copy_digests_free(copy_in(place, 0, &resumable));
        assert_false(resumable);
        open_attempt(place, 1);
        struct copy_digests *digests = copy_in(place, 0, &resumable);
        assert_int_equal(resumable, i < 2); /* what is compressed is begun again */
        assert_true(prove(place, 0, digests, &err));
        copy_digests_free(digests);
    }
}

static void a_stale_attempt_cannot_deploy(void **state)
{
    struct place *place = *state;
    struct error err = {0};
    NEEDS_QEMU();
    copy_all(place);
    open_attempt(place, 2);
    assert_true(destination_local.sweep(place->destination, &place->plan, &err));
    copy_all(place);
    open_attempt(place, 1); /* the former one wakes up */
    assert_false(deploy(place, &err));
    assert_ptr_equal(err.fault, &FAULT_FENCED);
    open_attempt(place, 2);
    assert_true(deploy(place, &err));
    open_attempt(place, 1);
    assert_false(deploy(place, &err));
    undo_all(place);
    assert_int_equal(count_entries(place, "out"), 0);
}

static int open_out(const struct place *place)
{
    return open(in(place, "out"), O_RDONLY | O_DIRECTORY);
}

static void a_newer_attempt_replaces_what_an_older_deployed(void **state)
{
    struct place *place = *state;
    struct error err = {0};
    struct place_mark mark;
    NEEDS_QEMU();
    copy_all(place);
    assert_true(deploy(place, &err));
    open_attempt(place, 2);
    copy_all(place);
    assert_true(deploy(place, &err));
    int fd = open_out(place);
    assert_true(place_read_mark(fd, "web_1", &mark) && mark.attempt == 2);
    close(fd);
    assert_int_equal(count_entries(place, "out"), 1);
}

/* As if the run had ended between the exchange of the names and the removal of the former server. */
static void an_end_in_mid_replacement_never_brings_the_former_server_back(void **state)
{
    struct place *place = *state;
    struct error err = {0};
    struct place_mark mark = {.migration = place->migration, .attempt = 2};
    char attempt[PLACE_NAME_SIZE];
    NEEDS_QEMU();
    copy_all(place);
    assert_true(deploy(place, &err));
    open_attempt(place, 2);
    copy_all(place);
    int fd = open_out(place);
    place_attempt_name(&mark, attempt);
    assert_int_equal(renameat2(fd, attempt, fd, "web_1", RENAME_EXCHANGE), 0);
    assert_true(deploy(place, &err));
    assert_true(place_read_mark(fd, "web_1", &mark) && mark.attempt == 2);
    assert_int_equal(count_entries(place, "out"), 1);
    close(fd);
}

static void a_settle_check_removes_what_came_late_and_nothing_of_others(void **state)
{
    struct place *place = *state;
    struct error err = {0};
    struct place_mark others = {.migration = uuid_new(), .attempt = 1};
    struct place_mark late = {.migration = place->migration, .attempt = 7};
    char name[PLACE_NAME_SIZE];
    size_t removed = 0;
    int fd = open_out(place), made;
    assert_int_equal(mkdirat(fd, "unmarked", 0755), 0);
    assert_int_equal(symlinkat("unmarked", fd, "linked"), 0);
    assert_true(place_make(fd, "theirs", &others, &made, &err));
    close(made);
    place_attempt_name(&late, name);
    assert_true(place_make(fd, name, &late, &made, &err));
    close(made);
    assert_true(place_make(fd, "any name", &late, &made, &err));
    close(made);
    assert_true(destination_local.settle(place->destination, &removed, &err));
    assert_int_equal(removed, 2);
    assert_int_equal(count_entries(place, "out"), 3);
    assert_true(place_exists(fd, "theirs"));
    close(fd);
}

static void an_accepted_server_is_no_longer_removed(void **state)
{
    struct place *place = *state;
    struct error err = {0};
    struct place_mark mark = {.migration = place->migration, .attempt = 1};
    struct ledger_entry entry = {.end = END_DESTINATION, .kind = "domain", .key = "web_1"};
    enum ledger_state settled;
    int fd = open_out(place), made;
    assert_true(place_make(fd, "web_1", &mark, &made, &err));
    assert_true(destination_local.accept(place->destination, &entry, &settled, &err));
    assert_true(destination_local.undo(place->destination, &entry, &settled, &err));
    assert_int_equal(settled, LEDGER_NOT_FOUND);
    assert_true(place_exists(fd, "web_1"));
    assert_false(close(made) || close(fd));
}

static bool preflight_finds(struct place *place, const struct fault *fault)
{
    struct error err = {0};
    struct fault_list *list = fault_list_new();
    bool found = false;
    assert_true(destination_local.preflight(place->destination, &place->plan, list, &err));
    for (size_t i = 0; i < fault_list_count(list); i++)
        found = found || fault_list_get(list, i)->fault == fault;
    fault_list_free(list);
    return found;
}

static void preflight_names_what_would_fail(void **state)
{
    struct place *place = *state;
    assert_false(preflight_finds(place, &FAULT_SERVER_EXISTS));
    assert_false(preflight_finds(place, &FAULT_FIELDS_INVALID));
    assert_false(preflight_finds(place, &FAULT_NO_SPACE));
    assert_int_equal(mkdir(in(place, "out/web_1"), 0755), 0);
    set_options(place, "{\"format\": \"raw\", \"compression\": \"zstd\"}");
    assert_true(preflight_finds(place, &FAULT_FIELDS_INVALID));
    set_options(place, "{\"compression\": \"gzip\"}");
    assert_true(preflight_finds(place, &FAULT_FIELDS_INVALID));
    set_options(place, "{\"format\": \"vdi\"}");
    place->disks[0].capacity_bytes = 1ull << 60;
    assert_true(preflight_finds(place, &FAULT_SERVER_EXISTS));
    assert_true(preflight_finds(place, &FAULT_FIELDS_INVALID));
    assert_true(preflight_finds(place, &FAULT_NO_SPACE));
    place->vm.disk_count = 0;
    assert_true(preflight_finds(place, &FAULT_VM_CONFIG_INVALID));
}

static void what_is_not_ours_is_never_touched(void **state)
{
    struct place *place = *state;
    struct error err = {0};
    NEEDS_QEMU();
    assert_int_equal(mkdir(in(place, "out/web_1"), 0755), 0);
    copy_all(place);
    assert_false(deploy(place, &err));
    assert_ptr_equal(err.fault, &FAULT_SERVER_EXISTS);
    undo_all(place);
    assert_true(is_there(place, "out/web_1"));
    assert_int_equal(count_entries(place, "out"), 1);
    struct ledger_entry bad = {.end = END_DESTINATION, .kind = "domain", .key = "../job"};
    enum ledger_state settled;
    assert_false(destination_local.undo(place->destination, &bad, &settled, &err));
}

static void nothing_is_made_without_the_fence(void **state)
{
    struct place *place = *state;
    struct error err = {0};
    struct destination_disk disk;
    fake_work_fence(place->work);
    assert_false(
        destination_local.disk_begin(place->destination, &place->plan, 0, SIZE, &disk, &err));
    assert_ptr_equal(err.fault, &FAULT_FENCED);
    assert_int_equal(count_entries(place, "out"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_server_is_made_and_taken_back),
        TEST(damage_between_copy_and_proof_is_noticed),
        TEST(a_later_run_of_the_attempt_goes_on),
        TEST(a_stale_attempt_cannot_deploy),
        TEST(a_newer_attempt_replaces_what_an_older_deployed),
        TEST(an_end_in_mid_replacement_never_brings_the_former_server_back),
        TEST(a_settle_check_removes_what_came_late_and_nothing_of_others),
        TEST(an_accepted_server_is_no_longer_removed),
        TEST(preflight_names_what_would_fail),
        TEST(what_is_not_ours_is_never_touched),
        TEST(nothing_is_made_without_the_fence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
