/* SPDX-License-Identifier: Apache-2.0
 *
 * Between the files of the source "openstack"; for them only. openstack.c: the driver and its lists;
 * _power.c: stopped, started again; _thing.c: what is made in the cloud for the time of the move, its
 * marks and its end; _export.c: from a stopped server to images that can be downloaded.
 *
 * A volume in use cannot be read: a snapshot of it becomes a volume, that an image, and the image is read. A
 * root disk on a hypervisor becomes an image by Nova. Each of these things has one name,
 * "guts-export-<migration>-<attempt>-disk<number>-<round>", by which it is found again. A late double of a
 * former attempt has that attempt's name: the settle check and the listing of marks remove it.
 *
 * Threads: as source.h.
 */
#ifndef GUTS_MIGRATION_SOURCE_OPENSTACK_INNER_H
#define GUTS_MIGRATION_SOURCE_OPENSTACK_INNER_H

#include <pthread.h>

#include "migration/openstack/link.h"
#include "migration/source/source.h"

#define EXPORT_NAME_SIZE 96
#define EXPORT_NAME_PREFIX "guts-export-"
#define SOURCE_COMPUTE_VERSION "2.60"
#define SOURCE_VOLUME_VERSION "3.27"
#define POWER_KEY "guts_stopped_by" /* metadata of a server that a migration stopped */

struct openstack_source {
    struct source source;
    struct work *work;
    const struct settings *settings;
    struct link *link;
    struct openstack_session *session;
    pthread_mutex_t mutex; /* of the session, once disks are read by other threads */
};

/* -- openstack_list.c ---------------------------------------------------------------------------------- */
bool openstack_source_list(struct source *source,
                           bool (*take)(void *context, const struct vm *vm, struct error *err),
                           void *context, struct error *err);
bool openstack_source_describe(struct source *source, const char *key, struct arena *arena,
                               struct vm **ret_vm, struct error *err);
/* The server as Nova shows it; a new reference. FAULT_NOT_FOUND. */
bool openstack_source_server(struct openstack_source *self, const char *id, json_t **ret_server,
                             struct error *err) MUST_CHECK;

/* -- openstack_power.c ---------------------------------------------------------------------------------- */
bool openstack_source_stop(struct source *source, const struct vm *vm, struct error *err);
bool openstack_power_undo(struct openstack_source *self, const struct ledger_entry *entry,
                          enum ledger_state *ret_state, struct error *err) MUST_CHECK;
bool openstack_power_settle(struct openstack_source *self, const struct ledger_entry *entry,
                            bool *ret_mended, struct error *err) MUST_CHECK;
bool openstack_power_accept(struct openstack_source *self, const struct ledger_entry *entry,
                            enum ledger_state *ret_state, struct error *err) MUST_CHECK;

/* -- openstack_thing.c ------------------------------------------------------------------------------------ */
/* A snapshot, volume or image. `make` posts it under that name and gives its id in the job's arena. */
struct export_thing {
    const char *kind; /* "snapshot", "volume", "image" */
    size_t disk;
    bool (*make)(struct openstack_source *self, const char *name, void *context,
                 const char **ret_id, struct error *err);
    void *context;
};
bool openstack_thing_make(struct openstack_source *self, const struct export_thing *thing,
                          const char **ret_id, struct error *err) MUST_CHECK;
/* Until its status is `wanted`; FAULT_IO when it ends in an error. */
bool openstack_thing_wait(struct openstack_source *self, const char *kind, const char *id,
                          const char *wanted, uint64_t timeout_ms, struct error *err) MUST_CHECK;
/* Removes all that this attempt made, the last first, and settles its entries. */
bool openstack_things_drop(struct openstack_source *self, struct error *err) MUST_CHECK;
bool openstack_thing_undo(struct openstack_source *self, const struct ledger_entry *entry,
                          enum ledger_state *ret_state, struct error *err) MUST_CHECK;
/* Whatever goes by the entry's name. */
bool openstack_thing_settle(struct openstack_source *self, const struct ledger_entry *entry,
                            bool *ret_mended, struct error *err) MUST_CHECK;
bool openstack_source_marks(struct source *source, mark_take *take, void *context,
                            struct error *err);
bool openstack_source_remove_mark(struct source *source, const struct mark *mark, bool *ret_found,
                                  struct error *err);
/* "guts-export-UUID-ATTEMPT-…"; false: none of ours. */
bool openstack_export_name_parse(const char *name, struct uuid *ret_migration,
                                 uint32_t *ret_attempt);

/* -- openstack_export.c ----------------------------------------------------------------------------------- */
bool openstack_export_begin(struct source *source, const struct vm *vm,
                            struct source_export **ret_export, struct error *err);
bool openstack_export_disk(struct source_export *session, size_t index, struct disk **ret_disk,
                           struct error *err);
bool openstack_export_check(struct source_export *session, struct error *err);
bool openstack_export_forget(struct source_export *session, struct error *err);
void openstack_export_end(struct source_export *session);

#endif
