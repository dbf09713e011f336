/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/base/file.h"
#include "migration/destination/fake_inner.h"
#include "proto/fault.h"

struct walk {
    mark_take *take;
    void *context;
    struct error *err;
    bool good;
};

/* "<migration>-<attempt>-<number>" */
static bool parse_disk(const char *name, struct mark *ret_mark)
{
    char id[UUID_TEXT_SIZE];
    unsigned attempt;
    *ret_mark = (struct mark){.kind = "disk", .key = name};
    if (strlen(name) < UUID_TEXT_SIZE || sscanf(name + UUID_TEXT_SIZE - 1, "-%u-", &attempt) != 1)
        return false;
    snprintf(id, sizeof(id), "%.36s", name);
    ret_mark->attempt = attempt;
    return uuid_parse(id, &ret_mark->migration);
}

static bool list_disks(struct fake_destination *fake, struct walk *walk)
{
    int fd = openat(fake_world_directory(fake->world), "disks", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *disks = fd >= 0 ? fdopendir(fd) : NULL;
    if (!disks)
        return error_set_errno(walk->err, errno, "opening the fake world's disks");
    for (const char *name;
         walk->good && (name = file_next_name(disks, "disks", &walk->good, walk->err)) != NULL;) {
        struct mark mark;
        if (parse_disk(name, &mark))
            walk->good = walk->take(walk->context, &mark, walk->err);
    }
    closedir(disks);
    return walk->good;
}

static bool take_server(void *context, const char *file, const json_t *server)
{
    struct walk *walk = context;
    const char *id = json_string_value(json_object_get(server, "id"));
    const char *migration = json_string_value(json_object_get(server, "migration"));
    struct mark mark = {.kind = "server", .key = id};
    if (id && migration && uuid_parse(migration, &mark.migration))
        walk->good = walk->take(walk->context, &mark, walk->err);
    return walk->good;
}

bool fake_destination_marks(struct destination *destination, mark_take *take, void *context,
                            struct error *err)
{
    struct fake_destination *fake = (struct fake_destination *)destination;
    struct walk walk = {take, context, err, true};
    return fake_world_reach(fake->world, END_DESTINATION, "marks", "", err) &&
           list_disks(fake, &walk) && fake_each_server(fake, take_server, &walk, err) && walk.good;
}

static bool remove_server(struct fake_destination *fake, const struct mark *mark, bool *ret_found,
                          struct error *err)
{
    CLEANUP(fake_search_fini) struct fake_search wanted = {.field = "id", .value = mark->key};
    if (!fake_world_lock(fake->world, err))
        return false;
    bool good = fake_each_server(fake, fake_compare, &wanted, err);
    if (good && wanted.file)
        good =
            fake_world_remove(fake->world, wanted.file, ret_found, err) &&
            fake_world_log(fake->world, END_DESTINATION, "power_off", wanted.vm, mark->key, err) &&
            fake_world_log(fake->world, END_DESTINATION, "server_remove", wanted.vm, mark->key,
                           err);
    fake_world_unlock(fake->world);
    return good;
}

bool fake_destination_remove_mark(struct destination *destination, const struct mark *mark,
                                  bool *ret_found, struct error *err)
{
    struct fake_destination *fake = (struct fake_destination *)destination;
    struct mark parsed;
    CLEANUP(xfreep) char *deed = xasprintf("%s_remove", mark->kind);
    *ret_found = false;
    if (!fake_world_reach(fake->world, END_DESTINATION, deed, mark->key, err))
        return false;
    if (strcmp(mark->kind, "server") == 0)
        return remove_server(fake, mark, ret_found, err);
    if (strcmp(mark->kind, "disk") != 0 || !parse_disk(mark->key, &parsed) ||
        !uuid_equal(&parsed.migration, &mark->migration))
        return error_set(err, &FAULT_INVALID, "no mark of ours: %s \"%s\"", mark->kind, mark->key);
    return fake_remove_disk(fake, mark->key, ret_found, err);
}
