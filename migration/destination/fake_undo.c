/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/base/file.h"
#include "migration/destination/fake_inner.h"
#include "proto/fault.h"

/* Removes every server of this migration, whoever made it. */
static bool remove_servers(struct fake_destination *fake, const char *key, size_t *removed,
                           struct error *err)
{
    const char *owner = arena_strdup(work_arena(fake->work), UUID_TEXT(work_owner(fake->work)));
    for (bool more = true; more;) {
        CLEANUP(fake_search_fini) struct fake_search mine = {.field = "migration", .value = owner};
        bool existed = false;
        if (!fake_world_lock(fake->world, err))
            return false;
        bool good = fake_each_server(fake, fake_compare, &mine, err);
        if (good && mine.file)
            good = fake_world_remove(fake->world, mine.file, &existed, err) &&
                   fake_world_log(fake->world, END_DESTINATION, "power_off", key, mine.id, err) &&
                   fake_world_log(fake->world, END_DESTINATION, "server_remove", key, mine.id, err);
        fake_world_unlock(fake->world);
        if (!good)
            return false;
        *removed += existed;
        more = mine.file != NULL;
    }
    return true;
}

bool fake_remove_disk(struct fake_destination *fake, const char *key, bool *ret_existed,
                      struct error *err)
{
    if (strchr(key, '/'))
        return error_set(err, &FAULT_INVALID, "a disk \"%s\"", key);
    CLEANUP(xfreep) char *file = xasprintf("disks/%s", key);
    if (!fake_world_lock(fake->world, err))
        return false;
    bool good = fake_world_remove(fake->world, file, ret_existed, err) &&
                fake_world_log(fake->world, END_DESTINATION, "disk_remove", file, NULL, err);
    fake_world_unlock(fake->world);
    return good;
}

bool fake_destination_undo(struct destination *destination, const struct ledger_entry *entry,
                           enum ledger_state *ret_state, struct error *err)
{
    struct fake_destination *fake = (struct fake_destination *)destination;
    bool existed = false;
    size_t removed = 0;
    CLEANUP(xfreep) char *deed = xasprintf("%s_remove", entry->kind);
    if (!fake_world_reach(fake->world, END_DESTINATION, deed, entry->key, err))
        return false;
    bool good = false;
    if (strcmp(entry->kind, "server") == 0)
        good = remove_servers(fake, entry->key, &removed, err);
    else if (strcmp(entry->kind, "disk") == 0)
        good = fake_remove_disk(fake, entry->key, &existed, err);
    else
        error_set(err, &FAULT_UNSUPPORTED, "an entry of kind \"%s\"", entry->kind);
    if (good)
        *ret_state = existed || removed ? LEDGER_UNDONE : LEDGER_NOT_FOUND;
    return good;
}

bool fake_destination_accept(struct destination *destination, const struct ledger_entry *entry,
                             enum ledger_state *ret_state, struct error *err)
{
    struct fake_destination *fake = (struct fake_destination *)destination;
    if (!fake_world_reach(fake->world, END_DESTINATION, "accept", entry->key, err))
        return false;
    *ret_state = LEDGER_KEPT;
    return true;
}

/* What older attempts made goes: the server first, then the disks, so that a server made of them can
 * no longer come to be. The server's entry stays: this attempt makes it anew under the same key. */
bool fake_destination_sweep(struct destination *destination, const struct destination_plan *plan,
                            struct error *err)
{
    struct fake_destination *fake = (struct fake_destination *)destination;
    CLEANUP(xfreep)
    char *mine =
        xasprintf("%s-%u-", UUID_TEXT(work_owner(fake->work)), work_token(fake->work)->attempt);
    bool existed = false;
    size_t removed = 0;
    if (!work_fence(fake->work, err) || !remove_servers(fake, plan->vm->key, &removed, err))
        return false;
    for (size_t i = 0; i < work_ledger_count(fake->work); i++) {
        const struct ledger_entry *entry = work_ledger_get(fake->work, i);
        if (entry->end != END_DESTINATION || strcmp(entry->kind, "disk") != 0 ||
            !ledger_state_is_open(entry->state) || strncmp(entry->key, mine, strlen(mine)) == 0)
            continue;
        if (!work_fence(fake->work, err) || !fake_remove_disk(fake, entry->key, &existed, err) ||
            !work_settle(fake->work, entry, existed ? LEDGER_UNDONE : LEDGER_NOT_FOUND,
                         "of an older attempt", err))
            return false;
    }
    return true;
}

/* The mark of a disk is its name. */
static bool remove_disks(struct fake_destination *fake, size_t *removed, struct error *err)
{
    CLEANUP(xfreep) char *mine = xasprintf("%s-", UUID_TEXT(work_owner(fake->work)));
    int fd = openat(fake_world_directory(fake->world), "disks", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *disks = fd >= 0 ? fdopendir(fd) : NULL;
    if (!disks)
        return error_set_errno(err, errno, "opening the fake world's disks");
    bool good = true;
    for (const char *name; good && (name = file_next_name(disks, "disks", &good, err)) != NULL;) {
        bool existed = false;
        if (strncmp(name, mine, strlen(mine)) == 0)
            good = fake_remove_disk(fake, name, &existed, err);
        *removed += existed;
    }
    closedir(disks);
    return good;
}

bool fake_destination_settle(struct destination *destination, size_t *ret_removed,
                             struct error *err)
{
    struct fake_destination *fake = (struct fake_destination *)destination;
    *ret_removed = 0;
    return fake_world_reach(fake->world, END_DESTINATION, "settle", "", err) &&
           remove_servers(fake, "", ret_removed, err) && remove_disks(fake, ret_removed, err);
}
