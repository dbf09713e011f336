/* SPDX-License-Identifier: Apache-2.0
 *
 * The world of the fake drivers: a directory that all nodes share and that stands for both far ends.
 * Tests read what happened from its log, and steer what happens through its control file.
 *
 *     log           one JSON object a line, appended under the lock: at_us, mono_ms, owner, job,
 *                   attempt, run, end, deed, key, detail
 *     control.json  an array of rules, read before each deed (see fake_world.c)
 *     vms/          a vm's power once somebody changed it, and its generation ("vm-0001.generation"),
 *                   and who switched it last ("vm-0001.by")
 *     stalled       while it is there, no read of a source's disk ends
 *     snapshots/    one file each
 *     disks/        <migration>-<attempt>-<number>
 *     servers/      <id>.json; names may be double
 *
 * The same files are written by drivers of several processes at once: effects happen under a lock of
 * the whole world, as a far end's own database would have it.
 *
 * Threads: one at a time each.
 */
#ifndef GUTS_MIGRATION_SOURCE_FAKE_WORLD_H
#define GUTS_MIGRATION_SOURCE_FAKE_WORLD_H

#include "migration/work.h"

struct fake_world;
/* `path` must lie beneath a write root; missing directories in it are made. */
bool fake_world_open(struct work *work, const char *path, struct fake_world **ret_world,
                     struct error *err) MUST_CHECK;
void fake_world_close(struct fake_world *world);
int fake_world_directory(const struct fake_world *world);

/* A deed is about to reach the far end: rules may delay it or make it fail. */
bool fake_world_reach(struct fake_world *world, enum end end, const char *deed, const char *key,
                      struct error *err) MUST_CHECK;
/* The lock of the whole world, around an effect and its line in the log. */
bool fake_world_lock(struct fake_world *world, struct error *err) MUST_CHECK;
void fake_world_unlock(struct fake_world *world);
bool fake_world_log(struct fake_world *world, enum end end, const char *deed, const char *key,
                    const char *detail, struct error *err) MUST_CHECK;

/* Small files beneath the world: name is "vms/x". NULL content removes; *ret_existed tells. */
bool fake_world_get(const struct fake_world *world, const char *name, struct buffer *ret_content,
                    bool *ret_exists, struct error *err) MUST_CHECK;
bool fake_world_put(struct fake_world *world, const char *name, const char *content,
                    struct error *err) MUST_CHECK;
bool fake_world_remove(struct fake_world *world, const char *name, bool *ret_existed,
                       struct error *err) MUST_CHECK;

#endif
