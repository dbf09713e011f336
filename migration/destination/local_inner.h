/* SPDX-License-Identifier: Apache-2.0
 *
 * Between the files of the local destination; for them only. local.c: the driver and its preflight;
 * local_disk.c: disks and their proof; local_deploy.c: the domain, verification by boot, undoing.
 *
 * Threads: as destination.h.
 */
#ifndef GUTS_MIGRATION_DESTINATION_LOCAL_INNER_H
#define GUTS_MIGRATION_DESTINATION_LOCAL_INNER_H

#include "migration/destination/destination.h"
#include "migration/destination/local_place.h"

struct local {
    struct destination destination;
    struct work *work;
    char *path; /* as people write it */
    int root_fd;
};

/* The options of a migration, read. */
struct local_options {
    const char *format;
    int compression; /* enum disk_qcow2_compression */
    bool virtio_disks;
    bool virtio_nics;
    bool verify_boot;
    const char *boot_text;
    const char *boot_accelerator;
    int64_t boot_timeout_s;
    const char *network;
    const char *bridge;
};
/* FAULT_FIELDS_INVALID names the first that is wrong. */
bool local_options_read(const struct settings *settings, struct local_options *ret_options,
                        struct error *err) MUST_CHECK;
struct place_mark local_mark(const struct local *local);
void local_disk_name(size_t index, const char *format, char ret_name[PLACE_NAME_SIZE]);

bool local_disk_begin(struct destination *destination, const struct destination_plan *plan,
                      size_t index, uint64_t size_bytes, struct destination_disk *ret_disk,
                      struct error *err);
bool local_disk_end(struct destination *destination, const struct destination_plan *plan,
                    size_t index, const struct copy_digests *digests, struct copy_control *control,
                    json_t *evidence, struct error *err);
bool local_deploy(struct destination *destination, const struct destination_plan *plan,
                  json_t *server, struct error *err);
bool local_verify(struct destination *destination, const struct destination_plan *plan,
                  json_t *evidence, struct error *err);
bool local_undo(struct destination *destination, const struct ledger_entry *entry,
                enum ledger_state *ret_state, struct error *err);
/* local_marks.c */
bool local_marks(struct destination *destination, mark_take *take, void *context,
                 struct error *err);
bool local_remove_mark(struct destination *destination, const struct mark *mark, bool *ret_found,
                       struct error *err);
bool local_settle(struct destination *destination, size_t *ret_removed, struct error *err);
bool local_accept(struct destination *destination, const struct ledger_entry *entry,
                  enum ledger_state *ret_state, struct error *err);

#endif
