/* SPDX-License-Identifier: Apache-2.0
 *
 * What a source driver is: the struct of functions that each fills (source/<driver>.c; all are listed
 * in source/drivers.c). A driver speaks with one kind of place that VMs come from; it knows nothing
 * of destinations, schedulers or databases.
 *
 * Threads: a struct source is used by one thread at a time; the disks it opens as disk.h says.
 */
#ifndef GUTS_MIGRATION_SOURCE_SOURCE_H
#define GUTS_MIGRATION_SOURCE_SOURCE_H

#include "migration/disk/disk.h"
#include "migration/mark.h"
#include "migration/setting.h"
#include "migration/work.h"
#include "proto/vm.h"

/* Each driver embeds its own state behind this. */
struct source {
    const struct source_driver *driver;
};
/* An export session around all disks of a vm. */
struct source_export {
    struct source *source;
    const struct vm *vm;
    /* What identifies what is read (files with their times, the last action on a server), which a later
     * run compares: as long as it is the same, what was copied before may stay. The driver's. */
    const char *identity;
};

struct source_driver {
    const char *name;            /* "workstation" */
    const char *title;           /* "VMware Workstation" */
    const char *const *features; /* NULL-terminated words: "power", "snapshot", "sequential" */
    const struct setting *settings;
    size_t setting_count;

    /* Required. settings is borrowed for the source's life. */
    bool (*open)(struct work *work, const struct settings *settings, struct source **ret_source,
                 struct error *err);
    void (*close)(struct source *source);
    bool (*test)(struct source *source, struct error *err);
    /* Calls take for each vm; a vm that cannot be understood is taken too, with its obstacle. The vm
     * is the callee's only during the call. */
    bool (*list)(struct source *source,
                 bool (*take)(void *context, const struct vm *vm, struct error *err), void *context,
                 struct error *err);
    /* FAULT_NOT_FOUND when it is gone. */
    bool (*describe)(struct source *source, const char *key, struct arena *arena,
                     struct vm **ret_vm, struct error *err);
    /* Opens the session; refuses what may not be exported now (FAULT_VM_RUNNING …). What it creates or
     * changes passes the ledger first. */
    bool (*export_begin)(struct source *source, const struct vm *vm,
                         struct source_export **ret_export, struct error *err);
    /* Opens disk `index` of the vm for reading. */
    bool (*export_disk)(struct source_export *session, size_t index, struct disk **ret_disk,
                        struct error *err);
    /* Compares what identifies the source with what it was at export_begin: FAULT_SOURCE_CHANGED. */
    bool (*export_check)(struct source_export *session, struct error *err);
    void (*export_end)(struct source_export *session);

    /* Optional. */
    /* What was made for reading shows the source as it was before it changed: the next session makes it
     * anew. */
    bool (*export_forget)(struct source_export *session, struct error *err);
    /* Stops the machine (through the ledger, kind "power") where the source can and options ask it. */
    bool (*stop)(struct source *source, const struct vm *vm, struct error *err);
    /* Undoes one entry of the ledger at this end: gone already is LEDGER_NOT_FOUND and no error. */
    bool (*undo)(struct source *source, const struct ledger_entry *entry,
                 enum ledger_state *ret_state, struct error *err);
    /* Looks whether an entry that was undone is undone still, and undoes it again if not: a late deed of
     * an older attempt may have come after. Mends only what this migration itself did: another one
     * may hold the vm by now. */
    bool (*settle)(struct source *source, const struct ledger_entry *entry, bool *ret_mended,
                   struct error *err);
    /* Accepts the result: drops what served only the way back (cleanup). Same shape as undo. */
    bool (*accept)(struct source *source, const struct ledger_entry *entry,
                   enum ledger_state *ret_state, struct error *err);
    /* Lists all that carries the mark of any migration, and removes one: as destination.h says. */
    bool (*marks)(struct source *source, mark_take *take, void *context, struct error *err);
    bool (*remove_mark)(struct source *source, const struct mark *mark, bool *ret_found,
                        struct error *err);
    /* Conversion space that a vm needs on the node before it can be read. NULL: none. */
    uint64_t (*staging_bytes)(const struct settings *settings, const struct vm *vm);
};

extern const struct source_driver *const source_drivers[];
extern const size_t source_driver_count;
const struct source_driver *source_driver_find(const char *name);

#endif
