/* SPDX-License-Identifier: Apache-2.0
 *
 * Snapshots, volumes and images that a move needs for its time: made once, known by their names, gone at
 * its end.
 */
#include <string.h>

#include "migration/source/openstack_inner.h"
#include "proto/fault.h"

#define POLL_MS 1000u
#define DELETE_TIMEOUT_MS 1800000u /* a volume that is uploaded still is not deleted before */
#define ROUNDS_MOST 16u
#define TRIES_MOST 3u

/* How each kind is reached. Glance's answers have no envelope. */
struct kind {
    const char *name;    /* the ledger's */
    const char *service; /* and where it stands there */
    const char *path;
    const char *list;     /* the list's path, by name */
    const char *members;  /* of the list's answer */
    const char *envelope; /* of one; NULL: none */
};
static const struct kind kinds[] = {
    {"snapshot", "volume", "/snapshots/", "/snapshots?name=", "snapshots", "snapshot"},
    {"volume", "volume", "/volumes/", "/volumes?name=", "volumes", "volume"},
    {"image", "image", "/images/", "/images?name=", "images", NULL},
};

static const struct kind *kind_find(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

/* -- names ------------------------------------------------------------------------------------------------ */

/* The ledger's key is "disk<number>/<attempt>/<round>"; the thing's name says the same with the migration. */
static void format_name(const struct uuid *migration, const char *key,
                        char ret_name[EXPORT_NAME_SIZE])
{
    unsigned disk = 0, attempt = 0, round = 0;
    if (sscanf(key, "disk%5u/%9u/%5u", &disk, &attempt, &round) != 3)
        disk = attempt = round = 0;
    snprintf(ret_name, EXPORT_NAME_SIZE, EXPORT_NAME_PREFIX "%s-%u-disk%u-%u", UUID_TEXT(migration),
             attempt, disk, round);
}

bool openstack_export_name_parse(const char *name, struct uuid *ret_migration,
                                 uint32_t *ret_attempt)
{
    size_t prefix = strlen(EXPORT_NAME_PREFIX);
    char id[UUID_TEXT_SIZE] = "";
    unsigned attempt, disk, round;
    int end = 0;
    if (strncmp(name, EXPORT_NAME_PREFIX, prefix) != 0 || strlen(name) < prefix + 36)
        return false;
    memcpy(id, name + prefix, 36);
    if (!uuid_parse(id, ret_migration) ||
        sscanf(name + prefix + 36, "-%9u-disk%5u-%5u%n", &attempt, &disk, &round, &end) != 3 ||
        name[prefix + 36 + (size_t)end] != '\0')
        return false;
    *ret_attempt = attempt;
    return true;
}

/* -- looking ---------------------------------------------------------------------------------------------- */

static const char *path_of(struct openstack_source *self, const struct kind *kind, const char *id)
{
    struct arena *arena = work_arena(self->work);
    return arena_printf(arena, "%s%s", kind->path, openstack_escape(arena, id));
}

/* *ret_status is "" when it is gone. */
static bool read_status(struct openstack_source *self, const struct kind *kind, const char *id,
                        char ret_status[32], struct error *err)
{
    json_t *thing;
    ret_status[0] = '\0';
    if (!openstack_get(self->session, kind->service, path_of(self, kind, id), NULL, kind->envelope,
                       &thing, err))
        return err->fault == &FAULT_NOT_FOUND;
    const char *status = json_string_value(json_object_get(thing, "status"));
    snprintf(ret_status, 32, "%s", status != NULL ? status : "unknown");
    json_decref(thing);
    return true;
}

struct search {
    struct arena *arena;
    const char *name;
    const char *id; /* NULL: none */
};

static bool take_named(void *context, const json_t *item, struct error *err)
{
    struct search *search = context;
    const char *name = json_string_value(json_object_get(item, "name"));
    const char *id = json_string_value(json_object_get(item, "id"));
    if (name != NULL && id != NULL && strcmp(name, search->name) == 0)
        search->id = arena_strdup(search->arena, id);
    return true;
}

/* *ret_id NULL: there is none of the name. */
static bool find(struct openstack_source *self, const struct kind *kind, const char *name,
                 const char **ret_id, struct error *err)
{
    struct search search = {work_arena(self->work), name, NULL};
    const char *path = arena_printf(search.arena, "%s%s", kind->list, name);
    if (!openstack_each(self->session, kind->service, path, NULL, kind->members, take_named,
                        &search, err))
        return false;
    *ret_id = search.id;
    return true;
}

bool openstack_thing_wait(struct openstack_source *self, const char *kind, const char *id,
                          const char *wanted, uint64_t timeout_ms, struct error *err)
{
    char status[32] = "";
    for (uint64_t waited = 0; waited <= timeout_ms; waited += POLL_MS) {
        if (!read_status(self, kind_find(kind), id, status, err))
            return false;
        if (strcmp(status, wanted) == 0)
            return true;
        if (status[0] == '\0' || strstr(status, "error") != NULL || strcmp(status, "killed") == 0)
            return error_set(err, &FAULT_IO, "%s %s became \"%s\" instead of \"%s\"", kind, id,
                             status[0] != '\0' ? status : "deleted", wanted);
        if (!work_wait_ms(self->work, POLL_MS, err))
            return false;
    }
    return error_set(err, &FAULT_TIMEOUT, "%s %s is \"%s\" still", kind, id, status);
}

/* -- making ------------------------------------------------------------------------------------------------- */

/* What stands under the entry already; *ret_id NULL: nothing. */
static bool find_made(struct openstack_source *self, const struct kind *kind,
                      const struct ledger_entry *stored, const char *name, const char **ret_id,
                      struct error *err)
{
    char status[32];
    *ret_id = NULL;
    if (stored->state != LEDGER_MADE)
        return work_token(self->work)->run <= 1 || find(self, kind, name, ret_id, err);
    if (!read_status(self, kind, stored->external_id, status, err))
        return false;
    if (status[0] != '\0' && strstr(status, "error") == NULL && strcmp(status, "killed") != 0)
        *ret_id = stored->external_id;
    return true;
}

/* Sent once more only when it was looked for in vain. */
static bool make(struct openstack_source *self, const struct kind *kind,
                 const struct export_thing *thing, const char *name, const char **ret_id,
                 struct error *err)
{
    for (unsigned i = 1;; i++) {
        if (!work_fence(self->work, err))
            return false;
        if (thing->make(self, name, thing->context, ret_id, err))
            return true;
        if (err->fault != &FAULT_UNCERTAIN || i == TRIES_MOST)
            return false;
        if (!work_wait_ms(self->work, 2 * POLL_MS, err) || !find(self, kind, name, ret_id, err))
            return false;
        if (*ret_id != NULL)
            return true;
    }
}

/* An entry of this attempt that was settled is not opened again: the next round has another key. */
static bool intend(struct openstack_source *self, const struct export_thing *thing,
                   const struct ledger_entry **ret_stored, struct error *err)
{
    for (unsigned round = 0; round < ROUNDS_MOST; round++) {
        struct ledger_entry entry = {.end = END_SOURCE, .kind = thing->kind, .prior_json = ""};
        entry.key = arena_printf(work_arena(self->work), "disk%zu/%u/%u", thing->disk,
                                 work_token(self->work)->attempt, round);
        const struct ledger_entry *known =
            work_ledger_find(self->work, END_SOURCE, thing->kind, entry.key);
        if (known != NULL && !ledger_state_is_open(known->state))
            continue;
        if (!work_intend(self->work, &entry, ret_stored, err))
            return false;
        if ((*ret_stored)->state == LEDGER_INTENDED || (*ret_stored)->state == LEDGER_MADE)
            return true;
    }
    return error_set(err, &FAULT_ATTEMPTS_SPENT, "%s of disk %zu was made %u times", thing->kind,
                     thing->disk, ROUNDS_MOST);
}

bool openstack_thing_make(struct openstack_source *self, const struct export_thing *thing,
                          const char **ret_id, struct error *err)
{
    const struct kind *kind = kind_find(thing->kind);
    const struct ledger_entry *stored;
    char name[EXPORT_NAME_SIZE];
    const char *id = NULL;
    if (!intend(self, thing, &stored, err))
        return false;
    format_name(work_owner(self->work), stored->key, name);
    if (!find_made(self, kind, stored, name, &id, err) ||
        (id == NULL && !make(self, kind, thing, name, &id, err)) ||
        !work_made(self->work, stored, id, err))
        return error_prefix(err, "%s of disk %zu", thing->kind, thing->disk);
    *ret_id = arena_strdup(work_arena(self->work), id);
    return true;
}

/* -- deleting ----------------------------------------------------------------------------------------------- */

static bool request_delete(struct openstack_source *self, const struct kind *kind, const char *id,
                           bool *ret_found, struct error *err)
{
    struct openstack_call call = {
        .method = "DELETE", .service = kind->service, .path = path_of(self, kind, id)};
    *ret_found = true;
    if (openstack_call(self->session, &call, NULL, err))
        return true;
    *ret_found = err->fault != &FAULT_NOT_FOUND;
    return err->fault == &FAULT_NOT_FOUND;
}

/* Cinder refuses to delete what is busy (400 or 409): it is asked again for a while. */
static bool delete_thing(struct openstack_source *self, const struct kind *kind, const char *id,
                         bool *ret_found, struct error *err)
{
    char status[32];
    bool found = false, asked = false;
    struct error last = {0};
    for (uint64_t waited = 0; waited <= DELETE_TIMEOUT_MS; waited += POLL_MS) {
        if (!asked && !work_fence(self->work, err))
            return false;
        if (!asked && request_delete(self, kind, id, &found, &last)) {
            asked = true;
            if (waited == 0 || !found)
                *ret_found = found;
        } else if (!asked && last.fault != &FAULT_CONFLICT && last.fault != &FAULT_INVALID &&
                   last.fault != &FAULT_IN_USE) {
            *err = last;
            return false;
        }
        if (!read_status(self, kind, id, status, err))
            return false;
        if (status[0] == '\0')
            return true;
        *ret_found = true;
        if (strcmp(status, "error_deleting") == 0)
            return error_set(err, &FAULT_IO, "%s %s cannot be deleted: its status is \"%s\"",
                             kind->name, id, status);
        if (!work_wait_ms(self->work, POLL_MS, err))
            return false;
    }
    if (last.fault != NULL) {
        *err = last;
        return false;
    }
    return error_set(err, &FAULT_TIMEOUT, "%s %s does not go", kind->name, id);
}

/* By its id, and by its name: a run that ended before it could tell the id made it too. */
static bool remove_entry(struct openstack_source *self, const struct ledger_entry *entry,
                         bool *ret_found, struct error *err)
{
    const struct kind *kind = kind_find(entry->kind);
    const char *id = entry->external_id;
    char name[EXPORT_NAME_SIZE];
    *ret_found = false;
    if (kind == NULL)
        return error_set(err, &FAULT_UNSUPPORTED, "an entry of kind \"%s\"", entry->kind);
    if (id != NULL && id[0] != '\0' && !delete_thing(self, kind, id, ret_found, err))
        return false;
    format_name(work_owner(self->work), entry->key, name);
    for (unsigned i = 0; i < ROUNDS_MOST; i++) {
        bool found = false;
        if (!find(self, kind, name, &id, err))
            return false;
        if (id == NULL)
            return true;
        if (!delete_thing(self, kind, id, &found, err))
            return false;
        *ret_found = *ret_found || found;
    }
    return true;
}

bool openstack_thing_undo(struct openstack_source *self, const struct ledger_entry *entry,
                          enum ledger_state *ret_state, struct error *err)
{
    bool found;
    if (!remove_entry(self, entry, &found, err))
        return false;
    *ret_state = found ? LEDGER_UNDONE : LEDGER_NOT_FOUND;
    return true;
}

bool openstack_thing_settle(struct openstack_source *self, const struct ledger_entry *entry,
                            bool *ret_mended, struct error *err)
{
    return remove_entry(self, entry, ret_mended, err);
}

bool openstack_things_drop(struct openstack_source *self, struct error *err)
{
    for (size_t i = work_ledger_count(self->work); i-- > 0;) {
        const struct ledger_entry *entry = work_ledger_get(self->work, i);
        bool found;
        if (entry->end != END_SOURCE || kind_find(entry->kind) == NULL ||
            !ledger_state_is_open(entry->state))
            continue;
        if (!work_fence(self->work, err) || !remove_entry(self, entry, &found, err) ||
            !work_settle(self->work, entry, found ? LEDGER_UNDONE : LEDGER_NOT_FOUND,
                         "the copy is done", err))
            return false;
    }
    return true;
}

/* -- marks ---------------------------------------------------------------------------------------------------- */

struct listing {
    const struct kind *kind;
    mark_take *take;
    void *context;
};

static bool take_marked(void *context, const json_t *item, struct error *err)
{
    const struct listing *listing = context;
    const char *name = json_string_value(json_object_get(item, "name"));
    struct mark mark = {.kind = listing->kind->name,
                        .key = json_string_value(json_object_get(item, "id"))};
    if (name == NULL || mark.key == NULL ||
        !openstack_export_name_parse(name, &mark.migration, &mark.attempt))
        return true;
    return listing->take(listing->context, &mark, err);
}

bool openstack_source_marks(struct source *source, mark_take *take, void *context,
                            struct error *err)
{
    struct openstack_source *self = (struct openstack_source *)source;
    static const char *const paths[] = {"/snapshots", "/volumes", "/images"};
    bool has_volumes;
    if (!openstack_has(self->session, "volume", &has_volumes, err))
        return false;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        struct listing listing = {&kinds[i], take, context};
        if (strcmp(kinds[i].service, "volume") == 0 && !has_volumes)
            continue;
        if (!openstack_each(self->session, kinds[i].service, paths[i], NULL, kinds[i].members,
                            take_marked, &listing, err))
            return false;
    }
    return true;
}

bool openstack_source_remove_mark(struct source *source, const struct mark *mark, bool *ret_found,
                                  struct error *err)
{
    struct openstack_source *self = (struct openstack_source *)source;
    const struct kind *kind = kind_find(mark->kind);
    struct uuid migration;
    uint32_t attempt;
    json_t *thing;
    *ret_found = false;
    if (kind == NULL)
        return error_set(err, &FAULT_UNSUPPORTED, "a mark of kind \"%s\"", mark->kind);
    if (!openstack_get(self->session, kind->service, path_of(self, kind, mark->key), NULL,
                       kind->envelope, &thing, err))
        return err->fault == &FAULT_NOT_FOUND;
    const char *name = json_string_value(json_object_get(thing, "name"));
    bool marked = name != NULL && openstack_export_name_parse(name, &migration, &attempt) &&
                  uuid_equal(&migration, &mark->migration);
    json_decref(thing);
    return !marked || delete_thing(self, kind, mark->key, ret_found, err);
}
