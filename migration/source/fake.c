/* SPDX-License-Identifier: Apache-2.0
 *
 * The fake source: any number of vms in a fake world (fake_world.h). Always built; it is what the
 * tests of everything above drivers run against, and a text to start a new driver from.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/base/file.h"
#include "migration/source/drivers.h"
#include "migration/source/fake_disk.h"
#include "migration/source/fake_world.h"

#define VMS_MOST 1000000

struct fake_source {
    struct source source;
    struct work *work;
    const struct settings *settings;
    struct fake_world *world;
};
struct fake_export {
    struct source_export session;
    uint64_t generation;
    char identity[32];
};

static const struct setting settings[] = {
    {"path", SETTING_PATH, false, true, true, NULL, "directory of the fake world"},
    {"vms", SETTING_INTEGER, false, false, false, "10", "how many vms there are"},
    {"disks", SETTING_INTEGER, false, false, false, "1", "disks of each vm"},
    {"disk_bytes", SETTING_INTEGER, false, false, false, "67108864", "size of each disk"},
    {"data_percent", SETTING_INTEGER, false, false, false, "50", "share of a disk that is data"},
    {"power", SETTING_TEXT, false, false, false, "off", "off, on, or mixed: every other one is on"},
    {"snapshots", SETTING_BOOLEAN, false, false, false, "true", "make a snapshot before reading"},
    {"bytes_per_second", SETTING_INTEGER, false, false, false, "0", "of each disk; 0: no limit"},
    {"password", SETTING_TEXT, true, false, false, NULL, "\"wrong\" is refused"},
};

static bool in_bounds(const struct settings *given, const char *name, int64_t least, int64_t most,
                      struct error *err)
{
    int64_t value = settings_integer(given, name);
    return (value >= least && value <= most) ||
           error_set(err, &FAULT_INVALID, "\"%s\" must be %lld to %lld", name, (long long)least,
                     (long long)most);
}

static bool fake_open(struct work *work, const struct settings *given, struct source **ret_source,
                      struct error *err)
{
    struct fake_world *world;
    if (!in_bounds(given, "vms", 0, VMS_MOST, err) ||
        !in_bounds(given, "disks", 0, VM_DISKS_MOST, err) ||
        !in_bounds(given, "disk_bytes", 512, 1ll << 40, err) ||
        !in_bounds(given, "data_percent", 0, 100, err) ||
        !in_bounds(given, "bytes_per_second", 0, INT64_MAX, err) ||
        !fake_world_open(work, settings_text(given, "path"), &world, err))
        return false;
    struct fake_source *fake = xcalloc(1, sizeof(*fake));
    *fake = (struct fake_source){{&fake_source}, work, given, world};
    *ret_source = &fake->source;
    return true;
}

static void fake_close(struct source *source)
{
    struct fake_source *fake = (struct fake_source *)source;
    fake_world_close(fake->world);
    free(fake);
}

static bool fake_test(struct source *source, struct error *err)
{
    struct fake_source *fake = (struct fake_source *)source;
    const struct secret *password = settings_secret(fake->settings, "password");
    if (password && strcmp(secret_reveal(password), "wrong") == 0)
        return error_set(err, &FAULT_SOURCE_CREDENTIALS, "the password is wrong");
    return fake_world_reach(fake->world, END_SOURCE, "test", "", err);
}

/* -- vms ---------------------------------------------------------------------------------------------- */

static bool read_power(struct fake_source *fake, int64_t number, const char *key,
                       enum vm_power *ret_power, struct error *err)
{
    CLEANUP(buffer_fini) struct buffer text = {0};
    CLEANUP(xfreep) char *name = xasprintf("vms/%s", key);
    bool exists;
    if (!fake_world_get(fake->world, name, &text, &exists, err))
        return false;
    const char *standard = settings_text(fake->settings, "power");
    bool on = strcmp(standard, "on") == 0 || (strcmp(standard, "mixed") == 0 && number % 2 == 0);
    *ret_power = exists ? vm_power_parse(text.data) : on ? VM_POWER_ON : VM_POWER_OFF;
    return true;
}

static bool make_vm(struct fake_source *fake, int64_t number, struct arena *arena,
                    struct vm **ret_vm, struct error *err)
{
    struct vm *vm = arena_alloc(arena, sizeof(*vm));
    vm->key = arena_printf(arena, "vm-%06lld", (long long)number);
    vm->name = arena_printf(arena, "fake-%06lld", (long long)number);
    vm->firmware = number % 2 ? VM_FIRMWARE_BIOS : VM_FIRMWARE_EFI;
    vm->cpus = 2;
    vm->memory_mib = 512;
    vm->guest_os = "other";
    vm->disk_count = (size_t)settings_integer(fake->settings, "disks");
    vm->disks = arena_calloc(arena, vm->disk_count + 1, sizeof(*vm->disks));
    for (size_t i = 0; i < vm->disk_count; i++)
        vm->disks[i] = (struct vm_disk){
            .key = arena_printf(arena, "disk-%zu", i),
            .bus = "virtio",
            .unit = (uint32_t)i,
            .capacity_bytes = (uint64_t)settings_integer(fake->settings, "disk_bytes"),
            .format = "raw"};
    vm->nic_count = 1;
    vm->nics = arena_calloc(arena, 1, sizeof(*vm->nics));
    vm->nics[0] = (struct vm_nic){
        .mac = arena_printf(arena, "02:fa:6e:%02x:%02x:%02x", (unsigned)(number >> 16 & 255),
                            (unsigned)(number >> 8 & 255), (unsigned)(number & 255)),
        .model = "virtio",
        .network = "default",
        .connected = true};
    *ret_vm = vm;
    return read_power(fake, number, vm->key, &vm->power, err);
}

static bool fake_list(struct source *source,
                      bool (*take)(void *context, const struct vm *vm, struct error *err),
                      void *context, struct error *err)
{
    struct fake_source *fake = (struct fake_source *)source;
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    if (!fake_world_reach(fake->world, END_SOURCE, "list", "", err))
        return false;
    for (int64_t number = 1; number <= settings_integer(fake->settings, "vms"); number++) {
        struct vm *vm;
        if (!make_vm(fake, number, arena, &vm, err) || !take(context, vm, err))
            return false;
        arena_reset(arena);
    }
    return true;
}

static bool fake_describe(struct source *source, const char *key, struct arena *arena,
                          struct vm **ret_vm, struct error *err)
{
    struct fake_source *fake = (struct fake_source *)source;
    int64_t number = strncmp(key, "vm-", 3) == 0 ? strtoll(key + 3, NULL, 10) : 0;
    if (!fake_world_reach(fake->world, END_SOURCE, "describe", key, err))
        return false;
    struct vm *vm;
    if (number < 1 || number > settings_integer(fake->settings, "vms"))
        return error_set(err, &FAULT_NOT_FOUND, "no vm \"%s\" at this source", key);
    if (!make_vm(fake, number, arena, &vm, err))
        return false;
    if (strcmp(vm->key, key) != 0)
        return error_set(err, &FAULT_NOT_FOUND, "no vm \"%s\" at this source", key);
    *ret_vm = vm;
    return true;
}

static bool read_generation(const struct fake_world *world, const char *key, uint64_t *ret_number,
                            struct error *err)
{
    CLEANUP(buffer_fini) struct buffer text = {0};
    CLEANUP(xfreep) char *name = xasprintf("vms/%s.generation", key);
    bool exists;
    if (!fake_world_get(world, name, &text, &exists, err))
        return false;
    *ret_number = exists ? strtoull(text.data, NULL, 10) : 0;
    return true;
}

/* -- deeds ---------------------------------------------------------------------------------------------- */

/* Puts a small file (or removes it, content NULL) and says so in the log, as one effect. */
static bool effect(struct fake_source *fake, const char *deed, const char *key, const char *file,
                   const char *content, bool *ret_existed, struct error *err)
{
    if (!fake_world_reach(fake->world, END_SOURCE, deed, key, err) ||
        !fake_world_lock(fake->world, err))
        return false;
    bool good = content ? fake_world_put(fake->world, file, content, err)
                        : fake_world_remove(fake->world, file, ret_existed, err);
    good = good && fake_world_log(fake->world, END_SOURCE, deed, key, content, err);
    fake_world_unlock(fake->world);
    return good;
}

static bool set_power(struct fake_source *fake, const char *key, bool on, struct error *err)
{
    CLEANUP(xfreep) char *file = xasprintf("vms/%s", key);
    CLEANUP(xfreep) char *by = xasprintf("vms/%s.by", key);
    return effect(fake, on ? "power_on" : "power_off", key, file, on ? "on" : "off", NULL, err) &&
           fake_world_put(fake->world, by, UUID_TEXT(work_owner(fake->work)), err);
}

static bool fake_stop(struct source *source, const struct vm *vm, struct error *err)
{
    struct fake_source *fake = (struct fake_source *)source;
    struct ledger_entry entry = {
        .end = END_SOURCE, .kind = "power", .key = vm->key, .prior_json = "{\"power\":\"on\"}"};
    const struct ledger_entry *stored;
    return work_intend(fake->work, &entry, &stored, err) && work_fence(fake->work, err) &&
           set_power(fake, vm->key, false, err) && work_made(fake->work, stored, "off", err);
}

static char *snapshot_file(struct fake_source *fake, const char *key)
{
    return xasprintf("snapshots/%s-%s", key, UUID_TEXT(work_owner(fake->work)));
}

static bool make_snapshot(struct fake_source *fake, const char *key, struct error *err)
{
    struct ledger_entry entry = {.end = END_SOURCE, .kind = "snapshot", .key = key};
    const struct ledger_entry *stored;
    CLEANUP(xfreep) char *file = snapshot_file(fake, key);
    if (!settings_boolean(fake->settings, "snapshots"))
        return true;
    return work_intend(fake->work, &entry, &stored, err) && work_fence(fake->work, err) &&
           effect(fake, "snapshot", key, file, "snapshot\n", NULL, err) &&
           work_made(fake->work, stored, file, err);
}

static bool fake_export_begin(struct source *source, const struct vm *vm,
                              struct source_export **ret_export, struct error *err)
{
    struct fake_source *fake = (struct fake_source *)source;
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct vm *now;
    uint64_t generation;
    if (!fake_describe(source, vm->key, arena, &now, err))
        return false;
    if (now->power == VM_POWER_ON)
        return error_set(err, &FAULT_VM_RUNNING, "\"%s\" is running", vm->name);
    if (!make_snapshot(fake, vm->key, err) ||
        !read_generation(fake->world, vm->key, &generation, err))
        return false;
    struct fake_export *session = xcalloc(1, sizeof(*session));
    *session = (struct fake_export){{source, vm, session->identity}, generation, ""};
    snprintf(session->identity, sizeof(session->identity), "generation %llu",
             (unsigned long long)generation);
    *ret_export = &session->session;
    return true;
}

static bool fake_export_disk(struct source_export *session, size_t index, struct disk **ret_disk,
                             struct error *err)
{
    struct fake_source *fake = (struct fake_source *)session->source;
    struct fake_disk_plan plan = {
        .vm = session->vm->key,
        .index = index,
        .generation = ((struct fake_export *)session)->generation,
        .size_bytes = (uint64_t)settings_integer(fake->settings, "disk_bytes"),
        .data_of_hundred = (unsigned)settings_integer(fake->settings, "data_percent"),
        .bytes_per_second = (uint64_t)settings_integer(fake->settings, "bytes_per_second"),
        .world_fd = fake_world_directory(fake->world),
    };
    if (!fake_world_reach(fake->world, END_SOURCE, "read", session->vm->key, err))
        return false;
    *ret_disk = fake_disk_new(&plan);
    return true;
}

static bool fake_export_check(struct source_export *session, struct error *err)
{
    struct fake_source *fake = (struct fake_source *)session->source;
    uint64_t generation;
    if (!read_generation(fake->world, session->vm->key, &generation, err))
        return false;
    return generation == ((struct fake_export *)session)->generation ||
           error_set(err, &FAULT_SOURCE_CHANGED, "\"%s\" was written to", session->vm->name);
}

static void fake_export_end(struct source_export *session)
{
    free(session);
}

static bool was_on(const struct ledger_entry *entry)
{
    json_t *prior = json_loads(entry->prior_json, 0, NULL);
    const char *power = json_string_value(json_object_get(prior, "power"));
    bool on = power && strcmp(power, "on") == 0;
    json_decref(prior);
    return on;
}

static bool drop_snapshot(struct fake_source *fake, const struct ledger_entry *entry,
                          enum ledger_state *ret_state, struct error *err)
{
    bool existed = false;
    CLEANUP(xfreep) char *file = snapshot_file(fake, entry->key);
    if (!effect(fake, "snapshot_remove", entry->key, file, NULL, &existed, err))
        return false;
    *ret_state = existed ? LEDGER_UNDONE : LEDGER_NOT_FOUND;
    return true;
}

static bool fake_undo(struct source *source, const struct ledger_entry *entry,
                      enum ledger_state *ret_state, struct error *err)
{
    struct fake_source *fake = (struct fake_source *)source;
    if (strcmp(entry->kind, "snapshot") == 0)
        return drop_snapshot(fake, entry, ret_state, err);
    if (strcmp(entry->kind, "power") != 0)
        return error_set(err, &FAULT_UNSUPPORTED, "an entry of kind \"%s\"", entry->kind);
    if (was_on(entry) && !set_power(fake, entry->key, true, err))
        return false;
    *ret_state = LEDGER_UNDONE;
    return true;
}

/* A later migration of the vm may have stopped it for itself: that is not ours to mend. */
static bool was_switched_by_us(struct fake_source *fake, const char *key, bool *ret_ours,
                               struct error *err)
{
    CLEANUP(buffer_fini) struct buffer text = {0};
    CLEANUP(xfreep) char *by = xasprintf("vms/%s.by", key);
    bool exists = false;
    if (!fake_world_get(fake->world, by, &text, &exists, err))
        return false;
    *ret_ours = exists && strcmp(text.data, UUID_TEXT(work_owner(fake->work))) == 0;
    return true;
}

static bool fake_settle(struct source *source, const struct ledger_entry *entry, bool *ret_mended,
                        struct error *err)
{
    struct fake_source *fake = (struct fake_source *)source;
    enum ledger_state state = LEDGER_NOT_FOUND;
    CLEANUP(buffer_fini) struct buffer text = {0};
    CLEANUP(xfreep)
    char *file = strcmp(entry->kind, "snapshot") == 0 ? snapshot_file(fake, entry->key)
                                                      : xasprintf("vms/%s", entry->key);
    bool exists = false, ours = false;
    if (!fake_world_get(fake->world, file, &text, &exists, err) ||
        !was_switched_by_us(fake, entry->key, &ours, err))
        return false;
    bool strayed =
        strcmp(entry->kind, "snapshot") == 0
            ? exists
            : ours && was_on(entry) && exists && vm_power_parse(text.data) == VM_POWER_OFF;
    *ret_mended = strayed;
    return !strayed || fake_undo(source, entry, &state, err);
}

static bool fake_accept(struct source *source, const struct ledger_entry *entry,
                        enum ledger_state *ret_state, struct error *err)
{
    if (strcmp(entry->kind, "snapshot") == 0)
        return drop_snapshot((struct fake_source *)source, entry, ret_state, err);
    *ret_state = LEDGER_KEPT;
    return true;
}

/* "<vm>-<migration>" in snapshots/ */
static bool parse_snapshot(const char *name, struct mark *ret_mark)
{
    size_t length = strlen(name);
    *ret_mark = (struct mark){.kind = "snapshot"};
    return length > UUID_TEXT_SIZE && name[length - UUID_TEXT_SIZE] == '-' &&
           uuid_parse(name + length - UUID_TEXT_SIZE + 1, &ret_mark->migration);
}

static bool fake_marks(struct source *source, mark_take *take, void *context, struct error *err)
{
    struct fake_source *fake = (struct fake_source *)source;
    bool good = fake_world_reach(fake->world, END_SOURCE, "marks", "", err);
    int fd = good ? openat(fake_world_directory(fake->world), "snapshots",
                           O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                  : -1;
    DIR *snapshots = fd >= 0 ? fdopendir(fd) : NULL;
    if (!snapshots)
        return good && error_set_errno(err, errno, "opening the fake world's snapshots");
    for (const char *name;
         good && (name = file_next_name(snapshots, "snapshots", &good, err)) != NULL;) {
        struct mark mark;
        CLEANUP(xfreep) char *key = xasprintf("snapshots/%s", name);
        if (!parse_snapshot(name, &mark))
            continue;
        mark.key = key;
        good = take(context, &mark, err);
    }
    closedir(snapshots);
    return good;
}

static bool fake_remove_mark(struct source *source, const struct mark *mark, bool *ret_found,
                             struct error *err)
{
    struct fake_source *fake = (struct fake_source *)source;
    struct mark parsed;
    const char *name = strncmp(mark->key, "snapshots/", 10) == 0 ? mark->key + 10 : "";
    if (strchr(name, '/') || !parse_snapshot(name, &parsed) ||
        !uuid_equal(&parsed.migration, &mark->migration))
        return error_set(err, &FAULT_INVALID, "no mark of ours: %s \"%s\"", mark->kind, mark->key);
    return effect(fake, "snapshot_remove", mark->key, mark->key, NULL, ret_found, err);
}

static const char *const features[] = {"power", "snapshot", "random", NULL};

const struct source_driver fake_source = {
    .name = "fake",
    .title = "Fake source, for tests",
    .features = features,
    .settings = settings,
    .setting_count = COUNT_OF(settings),
    .open = fake_open,
    .close = fake_close,
    .test = fake_test,
    .list = fake_list,
    .describe = fake_describe,
    .export_begin = fake_export_begin,
    .export_disk = fake_export_disk,
    .export_check = fake_export_check,
    .export_end = fake_export_end,
    .stop = fake_stop,
    .undo = fake_undo,
    .settle = fake_settle,
    .accept = fake_accept,
    .marks = fake_marks,
    .remove_mark = fake_remove_mark,
};
