/* SPDX-License-Identifier: Apache-2.0
 *
 * The fake destination, in the same world as the fake source. As at Nova, names may be double; what
 * makes a late double fail is that a server is made only of disks of its own attempt, which a later
 * attempt sweeps away first.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/base/file.h"
#include "migration/destination/drivers.h"
#include "migration/destination/fake_inner.h"
#include "migration/disk/raw.h"
#include "migration/source/fake_disk.h"
#include "migration/source/fake_world.h"

static const struct setting settings[] = {
    {"path", SETTING_PATH, false, true, true, NULL, "directory of the fake world"},
    {"unique_names", SETTING_BOOLEAN, false, false, false, "false", "refuse a server's name twice"},
    {"password", SETTING_TEXT, true, false, false, NULL, "\"wrong\" is refused"},
};
static const struct setting options[] = {
    {"store", SETTING_TEXT, false, false, false, "digest",
     "what is kept of disks: none, digest (proven, then dropped) or file"},
    {"seconds", SETTING_INTEGER, false, false, false, "0",
     "pretended work before the server is made"},
    {"reserve_bytes", SETTING_INTEGER, false, false, false, "0",
     "conversion space to reserve for the migration"},
    {"stage_bytes", SETTING_INTEGER, false, false, false, "0",
     "conversion space that is really taken while it runs"},
    {"start", SETTING_BOOLEAN, false, false, false, "true", "start the server"},
};

static bool fake_open(struct work *work, const struct settings *given,
                      struct destination **ret_destination, struct error *err)
{
    struct fake_world *world;
    const struct secret *password = settings_secret(given, "password");
    if (password && strcmp(secret_reveal(password), "wrong") == 0)
        return error_set(err, &FAULT_DESTINATION_CREDENTIALS, "the password is wrong");
    if (!fake_world_open(work, settings_text(given, "path"), &world, err))
        return false;
    struct fake_destination *fake = xcalloc(1, sizeof(*fake));
    *fake = (struct fake_destination){
        {&fake_destination}, work, world, settings_boolean(given, "unique_names")};
    *ret_destination = &fake->destination;
    return true;
}

static void fake_close(struct destination *destination)
{
    struct fake_destination *fake = (struct fake_destination *)destination;
    fake_world_close(fake->world);
    free(fake);
}

static bool fake_test(struct destination *destination, struct error *err)
{
    struct fake_destination *fake = (struct fake_destination *)destination;
    return fake_world_reach(fake->world, END_DESTINATION, "test", "", err);
}

static bool fake_catalog(struct destination *destination,
                         bool (*take)(void *context, const char *kind, const char *id,
                                      const char *name, const json_t *detail, struct error *err),
                         void *context, struct error *err)
{
    static const struct {
        const char *kind, *id, *name;
    } items[] = {{"flavor", "f-small", "small"},
                 {"flavor", "f-large", "large"},
                 {"network", "n-default", "default"}};
    struct fake_destination *fake = (struct fake_destination *)destination;
    bool good = fake_world_reach(fake->world, END_DESTINATION, "catalog", "", err);
    for (size_t i = 0; good && i < COUNT_OF(items); i++)
        good = take(context, items[i].kind, items[i].id, items[i].name, NULL, err);
    return good;
}

/* -- servers ---------------------------------------------------------------------------------------------- */

/* Calls visit for each server until it returns false; the world is locked by the caller. */
bool fake_each_server(struct fake_destination *fake,
                      bool (*visit)(void *context, const char *file, const json_t *server),
                      void *context, struct error *err)
{
    int fd =
        openat(fake_world_directory(fake->world), "servers", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *servers = fd >= 0 ? fdopendir(fd) : NULL;
    if (!servers)
        return error_set_errno(err, errno, "opening the fake world's servers");
    bool good = true, more = true;
    for (const char *name;
         good && more && (name = file_next_name(servers, "servers", &good, err)) != NULL;) {
        size_t length = strlen(name);
        if (length < 6 || strcmp(name + length - 5, ".json") != 0)
            continue;
        CLEANUP(xfreep) char *file = xasprintf("servers/%s", name);
        CLEANUP(buffer_fini) struct buffer text = {0};
        bool exists;
        good = fake_world_get(fake->world, file, &text, &exists, err);
        json_t *server = good && exists ? json_loadb(text.data, text.length, 0, NULL) : NULL;
        if (server)
            more = visit(context, file, server);
        json_decref(server);
    }
    closedir(servers);
    return good;
}

bool fake_compare(void *context, const char *file, const json_t *server)
{
    struct fake_search *search = context;
    const char *text = json_string_value(json_object_get(server, search->field));
    if (!text || strcmp(text, search->value) != 0)
        return true;
    const char *id = json_string_value(json_object_get(server, "id"));
    search->file = xstrdup(file);
    const char *vm = json_string_value(json_object_get(server, "vm"));
    search->id = xstrdup(id ? id : "");
    search->vm = xstrdup(vm ? vm : "");
    return false;
}

void fake_search_fini(struct fake_search *search)
{
    free(search->file);
    free(search->id);
    free(search->vm);
}

static bool find_server(struct fake_destination *fake, struct fake_search *search,
                        struct error *err)
{
    if (!fake_world_lock(fake->world, err))
        return false;
    bool good = fake_each_server(fake, fake_compare, search, err);
    fake_world_unlock(fake->world);
    return good;
}

static bool fake_preflight(struct destination *destination, const struct destination_plan *plan,
                           struct fault_list *faults, struct error *err)
{
    struct fake_destination *fake = (struct fake_destination *)destination;
    const char *store = settings_text(plan->options, "store");
    if (strcmp(store, "none") != 0 && strcmp(store, "digest") != 0 && strcmp(store, "file") != 0)
        fault_list_add(faults, &FAULT_INVALID, "option \"store\" must be none, digest or file");
    if (settings_integer(plan->options, "seconds") < 0 ||
        settings_integer(plan->options, "stage_bytes") < 0)
        fault_list_add(faults, &FAULT_INVALID, "options must not be negative");
    CLEANUP(fake_search_fini)
    struct fake_search same = {.field = "name", .value = plan->server_name};
    if (fake->unique_names && !find_server(fake, &same, err))
        return false;
    if (same.file)
        fault_list_add(faults, &FAULT_SERVER_EXISTS, "a server \"%s\" exists", plan->server_name);
    struct error refused;
    if (!fake_world_reach(fake->world, END_DESTINATION, "preflight", plan->vm->key, &refused))
        fault_list_add(faults, refused.fault, "%s", refused.text);
    return true;
}

/* -- disks -------------------------------------------------------------------------------------------------- */

static char *disk_file(struct fake_destination *fake, size_t index)
{
    return xasprintf("disks/%s-%u-%zu", UUID_TEXT(work_owner(fake->work)),
                     work_token(fake->work)->attempt, index);
}

/* Nothing is kept but that there is a disk. */
static bool open_nothing(struct fake_destination *fake, const char *file, uint64_t size_bytes,
                         struct destination_disk *ret_disk, struct error *err)
{
    if (!fake_world_put(fake->world, file, "", err))
        return false;
    *ret_disk = (struct destination_disk){fake_disk_null_new(size_bytes), true, true};
    return true;
}

/* Opens what an earlier run of this attempt began, or makes it. */
static bool open_file(struct fake_destination *fake, const char *file, uint64_t size_bytes,
                      struct destination_disk *ret_disk, struct error *err)
{
    struct stat status;
    int fd = openat(fake_world_directory(fake->world), file,
                    O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0 || fstat(fd, &status) != 0) {
        fd_closep(&fd);
        return error_set_errno(err, errno, "opening \"%s\"", file);
    }
    bool old = (uint64_t)status.st_size == size_bytes;
    struct disk_raw_plan plan = {
        .fd = fd, .writable = true, .lazy = true, .description = "fake disk"};
    struct destination_disk disk = {.reads_as_zero = true, .resumable = old};
    if (!(old ? disk_raw_open(&plan, &disk.disk, err)
              : disk_raw_create(&plan, size_bytes, &disk.disk, err)))
        return false;
    *ret_disk = disk;
    return true;
}

static bool fake_disk_begin(struct destination *destination, const struct destination_plan *plan,
                            size_t index, uint64_t size_bytes, struct destination_disk *ret_disk,
                            struct error *err)
{
    struct fake_destination *fake = (struct fake_destination *)destination;
    bool none = strcmp(settings_text(plan->options, "store"), "none") == 0;
    CLEANUP(xfreep) char *file = disk_file(fake, index);
    const struct ledger_entry *stored;
    struct ledger_entry entry = {.end = END_DESTINATION, .kind = "disk", .key = file + 6};
    return work_intend(fake->work, &entry, &stored, err) && work_fence(fake->work, err) &&
           fake_world_reach(fake->world, END_DESTINATION, "disk", plan->vm->key, err) &&
           (none ? open_nothing(fake, file, size_bytes, ret_disk, err)
                 : open_file(fake, file, size_bytes, ret_disk, err)) &&
           fake_world_log(fake->world, END_DESTINATION, "disk", file, NULL, err) &&
           work_made(fake->work, stored, file, err);
}

static bool fake_disk_end(struct destination *destination, const struct destination_plan *plan,
                          size_t index, const struct copy_digests *digests,
                          struct copy_control *control, json_t *evidence, struct error *err)
{
    struct fake_destination *fake = (struct fake_destination *)destination;
    const char *store = settings_text(plan->options, "store");
    json_object_set_new(evidence, "store", json_string(store));
    if (!fake_world_reach(fake->world, END_DESTINATION, "disk_end", plan->vm->key, err))
        return false;
    if (strcmp(store, "none") == 0)
        return true;
    CLEANUP(xfreep) char *file = disk_file(fake, index);
    int fd = openat(fake_world_directory(fake->world), file, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return error_set_errno(err, errno, "opening \"%s\"", file);
    CLEANUP(fd_closep) int own = dup(fd);
    CLEANUP(disk_closep) struct disk *disk = NULL;
    struct disk_raw_plan reader = {.fd = fd, .description = "fake disk, read again"};
    if (!disk_raw_open(&reader, &disk, err) || !copy_verify(disk, digests, control, err))
        return false;
    json_object_set_new(evidence, "proof", json_string("read again and compared"));
    if (strcmp(store, "digest") == 0 && ftruncate(own, 0) != 0)
        return error_set_errno(err, errno, "emptying \"%s\"", file);
    return true;
}

/* -- the server ----------------------------------------------------------------------------------------------- */

static bool disks_are_there(struct fake_destination *fake, const struct destination_plan *plan,
                            struct error *err)
{
    for (size_t i = 0; i < plan->vm->disk_count; i++) {
        CLEANUP(xfreep) char *file = disk_file(fake, i);
        if (faccessat(fake_world_directory(fake->world), file, F_OK, 0) != 0)
            return error_set(err, &FAULT_DESTINATION_REFUSED, "there is no disk \"%s\"", file);
    }
    return true;
}

static json_t *describe_server(struct fake_destination *fake, const struct destination_plan *plan,
                               const char *id)
{
    json_t *disks = json_array();
    for (size_t i = 0; i < plan->vm->disk_count; i++) {
        CLEANUP(xfreep) char *file = disk_file(fake, i);
        json_array_append_new(disks, json_string(file));
    }
    return json_pack("{s:s, s:s, s:s, s:I, s:s, s:s, s:o}", "id", id, "name", plan->server_name,
                     "migration", UUID_TEXT(work_owner(fake->work)), "attempt",
                     (json_int_t)work_token(fake->work)->attempt, "vm", plan->vm->key, "power",
                     settings_boolean(plan->options, "start") ? "on" : "off", "disks", disks);
}

/* The effect, with the world locked. */
static bool create(struct fake_destination *fake, const struct destination_plan *plan,
                   const char *id, const json_t *server, struct error *err)
{
    CLEANUP(xfreep) char *file = xasprintf("servers/%s.json", id);
    CLEANUP(xfreep) char *text = json_dumps(server, JSON_COMPACT);
    return disks_are_there(fake, plan, err) && fake_world_put(fake->world, file, text, err) &&
           fake_world_log(fake->world, END_DESTINATION, "server", plan->vm->key, id, err) &&
           (!settings_boolean(plan->options, "start") ||
            fake_world_log(fake->world, END_DESTINATION, "power_on", plan->vm->key, id, err));
}

static bool make_server(struct fake_destination *fake, const struct destination_plan *plan,
                        char ret_id[UUID_TEXT_SIZE], struct error *err)
{
    struct uuid id = uuid_new();
    uuid_format(&id, ret_id);
    if (!work_fence(fake->work, err) ||
        !fake_world_reach(fake->world, END_DESTINATION, "server", plan->vm->key, err) ||
        !fake_world_lock(fake->world, err))
        return false;
    json_t *server = describe_server(fake, plan, ret_id);
    bool good = create(fake, plan, ret_id, server, err);
    json_decref(server);
    fake_world_unlock(fake->world);
    return good;
}

/* Pretended work, and conversion space that it takes. */
static bool pretend(struct fake_destination *fake, const struct destination_plan *plan,
                    struct error *err)
{
    int64_t stage = settings_integer(plan->options, "stage_bytes");
    if (stage > 0) {
        CLEANUP(xfreep) char *path = xasprintf("%s/stage", work_directory(fake->work));
        CLEANUP(fd_closep) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        struct statvfs space;
        /* Asked first: some filesystems give all that they have before they say that it is too little. */
        if (fd >= 0 && fstatvfs(fd, &space) == 0 &&
            (uint64_t)stage > (uint64_t)space.f_bavail * space.f_frsize)
            return error_set(err, &FAULT_NO_SPACE, "%lld bytes of conversion space are not free",
                             (long long)stage);
        int number = fd < 0 ? errno : posix_fallocate(fd, 0, stage);
        if (number != 0)
            return error_set_errno(err, number, "taking conversion space");
    }
    return work_wait_ms(fake->work, (uint64_t)settings_integer(plan->options, "seconds") * 1000,
                        err);
}

static bool fake_deploy(struct destination *destination, const struct destination_plan *plan,
                        json_t *server, struct error *err)
{
    struct fake_destination *fake = (struct fake_destination *)destination;
    struct ledger_entry entry = {.end = END_DESTINATION, .kind = "server", .key = plan->vm->key};
    const struct ledger_entry *stored;
    const char *owner = arena_strdup(work_arena(fake->work), UUID_TEXT(work_owner(fake->work)));
    CLEANUP(fake_search_fini) struct fake_search mine = {.field = "migration", .value = owner};
    char id[UUID_TEXT_SIZE] = "";
    if (!pretend(fake, plan, err) || !work_intend(fake->work, &entry, &stored, err) ||
        !find_server(fake, &mine, err))
        return false;
    if (mine.id) /* an earlier run made it and died before it could tell */
        snprintf(id, sizeof(id), "%s", mine.id);
    else if (!make_server(fake, plan, id, err))
        return false;
    if (!work_made(fake->work, stored, id, err))
        return false;
    json_object_set_new(server, "id", json_string(id));
    json_object_set_new(server, "name", json_string(plan->server_name));
    return true;
}

static bool fake_verify(struct destination *destination, const struct destination_plan *plan,
                        json_t *evidence, struct error *err)
{
    struct fake_destination *fake = (struct fake_destination *)destination;
    const char *owner = arena_strdup(work_arena(fake->work), UUID_TEXT(work_owner(fake->work)));
    CLEANUP(fake_search_fini) struct fake_search mine = {.field = "migration", .value = owner};
    if (!fake_world_reach(fake->world, END_DESTINATION, "verify", plan->vm->key, err) ||
        !find_server(fake, &mine, err))
        return false;
    if (!mine.file)
        return error_set(err, &FAULT_BOOT_FAILED, "the server is gone");
    json_object_set_new(evidence, "server", json_string(mine.id));
    return true;
}

static uint64_t fake_staging_bytes(const struct settings *given, const struct settings *chosen,
                                   const struct vm *vm)
{
    int64_t bytes = settings_integer(chosen, "reserve_bytes");
    return bytes > 0 ? (uint64_t)bytes : 0;
}

static const char *const features[] = {"random", NULL};

const struct destination_driver fake_destination = {
    .name = "fake",
    .title = "Fake destination, for tests",
    .features = features,
    .settings = settings,
    .setting_count = COUNT_OF(settings),
    .options = options,
    .option_count = COUNT_OF(options),
    .converts = false,
    .open = fake_open,
    .close = fake_close,
    .test = fake_test,
    .catalog = fake_catalog,
    .preflight = fake_preflight,
    .disk_begin = fake_disk_begin,
    .disk_end = fake_disk_end,
    .deploy = fake_deploy,
    .verify = fake_verify,
    .undo = fake_destination_undo,
    .accept = fake_destination_accept,
    .sweep = fake_destination_sweep,
    .settle = fake_destination_settle,
    .marks = fake_destination_marks,
    .remove_mark = fake_destination_remove_mark,
    .staging_bytes = fake_staging_bytes,
};
