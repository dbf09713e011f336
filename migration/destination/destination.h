/* SPDX-License-Identifier: Apache-2.0
 *
 * What a destination driver is: the struct of functions that each fills (destination/<driver>.c; all
 * are listed in destination/drivers.c). A driver speaks with one kind of place that VMs go to; it
 * knows nothing of sources, schedulers or databases.
 *
 * A job calls: preflight; then for each disk disk_begin, the copy, disk_end (several disks may be
 * under way at once); deploy; wait; verify. Each can be called again by a later run or attempt and
 * then finds what is there already (by the ledger and by names that derive from the migration).
 *
 * Threads: a struct destination is used by one thread at a time; its disks as disk.h says.
 */
#ifndef GUTS_MIGRATION_DESTINATION_DESTINATION_H
#define GUTS_MIGRATION_DESTINATION_DESTINATION_H

#include "migration/disk/copy.h"
#include "migration/disk/disk.h"
#include "migration/mark.h"
#include "migration/setting.h"
#include "migration/work.h"
#include "proto/vm.h"

struct destination {
    const struct destination_driver *driver;
};

/* What is to be made. */
struct destination_plan {
    struct work *work;
    const struct vm *vm;
    const char *server_name;
    const struct settings *options; /* of the migration, as the driver declared them */
};

/* All that preflight finds wrong; texts are copied. */
struct fault_list;
void fault_list_add(struct fault_list *list, const struct fault *fault, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* Where a disk goes. */
struct destination_disk {
    struct disk *disk;  /* to write; the job copies into it, then calls disk_finish on it */
    bool reads_as_zero; /* where nothing was written */
    bool resumable;     /* it holds what an earlier run of this attempt wrote and flushed */
    /* Given to disk_begin: the disk that is to be copied, open until `disk` is closed; a stream learns its
     * length from it. */
    struct disk *from;
};

struct destination_driver {
    const char *name; /* "local" */
    const char *title;
    const char *const
        *features; /* NULL-terminated words: "random", "stream", "boot-verification" */
    const struct setting *settings; /* of a destination */
    size_t setting_count;
    const struct setting *options; /* of a migration to it */
    size_t option_count;
    bool converts; /* passes through CONVERTING rather than straight to UPLOADING */

    /* Required. */
    bool (*open)(struct work *work, const struct settings *settings,
                 struct destination **ret_destination, struct error *err);
    void (*close)(struct destination *destination);
    bool (*test)(struct destination *destination, struct error *err);
    bool (*catalog)(struct destination *destination,
                    bool (*take)(void *context, const char *kind, const char *id, const char *name,
                                 const json_t *detail, struct error *err),
                    void *context, struct error *err);
    /* Adds all that would fail to the list; false only when it could not be found out. */
    bool (*preflight)(struct destination *destination, const struct destination_plan *plan,
                      struct fault_list *faults, struct error *err);
    bool (*disk_begin)(struct destination *destination, const struct destination_plan *plan,
                       size_t index, uint64_t size_bytes, struct destination_disk *ret_disk,
                       struct error *err);
    /* After the copy was finished and its disk closed: transport and content are proven here as far
     * as this end can (another reader than the writer). Writes its evidence into the object. */
    bool (*disk_end)(struct destination *destination, const struct destination_plan *plan,
                     size_t index, const struct copy_digests *digests, struct copy_control *control,
                     json_t *evidence, struct error *err);
    /* Makes the server out of the disks; writes what it has become into `server`. */
    bool (*deploy)(struct destination *destination, const struct destination_plan *plan,
                   json_t *server, struct error *err);
    /* Until it runs, as far as this destination runs servers; then verification by boot if asked. */
    bool (*verify)(struct destination *destination, const struct destination_plan *plan,
                   json_t *evidence, struct error *err);
    /* Undoes one entry of the ledger: gone already is LEDGER_NOT_FOUND and no error. */
    bool (*undo)(struct destination *destination, const struct ledger_entry *entry,
                 enum ledger_state *ret_state, struct error *err);
    /* Accepts the result (cleanup): what stays is LEDGER_KEPT, what served only the move goes. */
    bool (*accept)(struct destination *destination, const struct ledger_entry *entry,
                   enum ledger_state *ret_state, struct error *err);

    /* Optional. */
    /* May the copy of this disk begin anew in this run? For what broke and passes by itself or was mended
     * just now (a token that was refused). Asked after disk_begin, the copy or disk_end failed. */
    bool (*disk_again)(struct destination *destination, size_t index, const struct error *why);
    /* Removes what older attempts left unused, so that their late deeds fail (design: section 4). */
    bool (*sweep)(struct destination *destination, const struct destination_plan *plan,
                  struct error *err);
    /* Removes all that carries the migration's mark, whoever made it, and counts it: asked some time
     * after an undoing, when the late deeds of older attempts have come to pass. */
    bool (*settle)(struct destination *destination, size_t *ret_removed, struct error *err);
    /* Lists all that carries the mark of any migration. */
    bool (*marks)(struct destination *destination, mark_take *take, void *context,
                  struct error *err);
    /* Removes what carries that mark still; *ret_found tells whether it was there. */
    bool (*remove_mark)(struct destination *destination, const struct mark *mark, bool *ret_found,
                        struct error *err);
    uint64_t (*staging_bytes)(const struct settings *settings, const struct settings *options,
                              const struct vm *vm);
};

extern const struct destination_driver *const destination_drivers[];
extern const size_t destination_driver_count;
const struct destination_driver *destination_driver_find(const char *name);

#endif
