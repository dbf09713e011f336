/* SPDX-License-Identifier: Apache-2.0
 *
 * What carries our mark in the cloud, whoever made it: servers first, for they hold what comes behind.
 */
#include <stdio.h>
#include <string.h>

#include "migration/destination/openstack_inner.h"

#define GATHERED_MOST 4096

/* -- one listing ------------------------------------------------------------------------------------------ */

struct walk {
    const char *kind;
    mark_take *take;
    void *context;
};

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

static bool tell(const struct walk *walk, const char *id, const char *migration, const char *key,
                 struct error *err)
{
    struct mark mark = {.kind = walk->kind, .key = id};
    struct openstack_key parsed;
    if (id[0] == '\0' || !uuid_parse(migration, &mark.migration))
        return true; /* none of ours */
    if (openstack_key_parse(key, &parsed))
        mark.attempt = parsed.attempt;
    return walk->take(walk->context, &mark, err);
}

/* Images have properties, and so have images of servers that were made of them: those are not ours. */
static bool visit_image(void *context, const json_t *image, struct error *err)
{
    const struct walk *walk = context;
    const char *migration = text_of(image, "guts_migration"), *key = text_of(image, "guts_key");
    struct uuid owner;
    char id[UUID_TEXT_SIZE];
    if (!uuid_parse(migration, &owner))
        return true;
    openstack_image_id(&owner, key, id);
    return strcmp(id, text_of(image, "id")) != 0 || tell(walk, id, migration, key, err);
}

static bool visit(void *context, const json_t *item, struct error *err)
{
    const struct walk *walk = context;
    const json_t *metadata = json_object_get(item, "metadata");
    return tell(walk, text_of(item, "id"), text_of(metadata, "guts_migration"),
                text_of(metadata, "guts_key"), err);
}

static bool visit_port(void *context, const json_t *port, struct error *err)
{
    const struct walk *walk = context;
    char migration[UUID_TEXT_SIZE] = "", key[OPENSTACK_KEY_SIZE] = "";
    if (sscanf(text_of(port, "description"), "guts_migration=%36s guts_key=%63s", migration, key) <
        1)
        return true;
    return tell(walk, text_of(port, "id"), migration, key, err);
}

/* migration NULL: of any. Its own are asked for by their marks, where the service has filters. */
static bool each_mark(struct openstack *self, const struct uuid *migration, mark_take *take,
                      void *context, struct error *err)
{
    char id[UUID_TEXT_SIZE] = "";
    bool has_volumes = false;
    if (migration != NULL)
        uuid_format(migration, id);
    CLEANUP(xfreep)
    char *servers = migration != NULL ? xasprintf("/servers/detail?tags=guts:%s", id)
                                      : xstrdup("/servers/detail?limit=500");
    CLEANUP(xfreep)
    char *volumes =
        migration != NULL
            ? xasprintf("/volumes/detail?metadata=%%7B%%27guts_migration%%27:%%27%s%%27%%7D", id)
            : xstrdup("/volumes/detail?limit=500");
    CLEANUP(xfreep)
    char *ports = xasprintf("/ports?project_id=%s&fields=id&fields=description&limit=500",
                            openstack_project_id(self->session));
    CLEANUP(xfreep)
    char *images = migration != NULL ? xasprintf("/images?guts_migration=%s&limit=500", id)
                                     : xasprintf("/images?owner=%s&limit=500",
                                                 openstack_project_id(self->session));
    struct walk server = {"server", take, context}, volume = {"volume", take, context},
                port = {"port", take, context}, image = {"image", take, context};
    return openstack_has(self->session, "volume", &has_volumes, err) &&
           openstack_each(self->session, "compute", servers, OPENSTACK_COMPUTE_VERSION, "servers",
                          visit, &server, err) &&
           (!has_volumes || openstack_each(self->session, "volume", volumes, NULL, "volumes", visit,
                                           &volume, err)) &&
           openstack_each(self->session, "network", ports, NULL, "ports", visit_port, &port, err) &&
           openstack_each(self->session, "image", images, NULL, "images", visit_image, &image, err);
}

/* -- removing ----------------------------------------------------------------------------------------------- */

/* Gathered first: nothing is deleted beneath a listing. */
struct gathered {
    struct openstack *self;
    uint32_t before; /* attempts below it; 0: all */
    struct mark items[GATHERED_MOST];
    size_t count;
};

static bool gather(void *context, const struct mark *mark, struct error *err)
{
    struct gathered *gathered = context;
    struct arena *arena = work_arena(gathered->self->work);
    if (!uuid_equal(&mark->migration, work_owner(gathered->self->work)) ||
        (gathered->before > 0 && mark->attempt >= gathered->before))
        return true;
    if (gathered->count == GATHERED_MOST)
        return error_set(err, &FAULT_TOO_LARGE, "more than %d things carry one migration's mark",
                         GATHERED_MOST);
    struct mark *item = &gathered->items[gathered->count++];
    *item = *mark;
    item->key = arena_strdup(arena, mark->key);
    return true;
}

static bool remove_gathered(struct openstack *self, uint32_t before, size_t *ret_removed,
                            struct error *err)
{
    struct gathered *gathered = arena_alloc(work_arena(self->work), sizeof(*gathered));
    gathered->self = self;
    gathered->before = before;
    *ret_removed = 0;
    if (!each_mark(self, work_owner(self->work), gather, gathered, err))
        return false;
    for (size_t i = 0; i < gathered->count; i++) {
        bool found = false;
        if (!work_fence(self->work, err) ||
            !openstack_delete(self, gathered->items[i].kind, gathered->items[i].key, &found, err))
            return false;
        *ret_removed += found;
    }
    return true;
}

bool openstack_sweep(struct destination *destination, const struct destination_plan *plan,
                     struct error *err)
{
    struct openstack *self = (struct openstack *)destination;
    size_t removed;
    if (!remove_gathered(self, work_token(self->work)->attempt, &removed, err))
        return false;
    if (removed > 0)
        work_note(self->work, "%zu things of former attempts were removed", removed);
    return true;
}

bool openstack_settle(struct destination *destination, size_t *ret_removed, struct error *err)
{
    return remove_gathered((struct openstack *)destination, 0, ret_removed, err);
}

bool openstack_marks(struct destination *destination, mark_take *take, void *context,
                     struct error *err)
{
    return each_mark((struct openstack *)destination, NULL, take, context, err);
}

/* Only what still carries that mark: its key may be anything by now. */
struct sought {
    const struct mark *mark;
    bool found;
};

static bool compare(void *context, const struct mark *mark, struct error *err)
{
    struct sought *sought = context;
    sought->found = sought->found || (strcmp(mark->kind, sought->mark->kind) == 0 &&
                                      strcmp(mark->key, sought->mark->key) == 0 &&
                                      uuid_equal(&mark->migration, &sought->mark->migration));
    return true;
}

bool openstack_remove_mark(struct destination *destination, const struct mark *mark,
                           bool *ret_found, struct error *err)
{
    struct openstack *self = (struct openstack *)destination;
    struct sought sought = {mark, false};
    *ret_found = false;
    return each_mark(self, &mark->migration, compare, &sought, err) &&
           (!sought.found || openstack_delete(self, mark->kind, mark->key, ret_found, err));
}
