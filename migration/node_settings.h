/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration of guts-migration: who the node is, where it may put and find things, what a
 * worker may take. Sections "node" and "worker"; the bus, the log and the metrics bring their own.
 *
 * Threads: constant after loading.
 */
#ifndef GUTS_MIGRATION_NODE_SETTINGS_H
#define GUTS_MIGRATION_NODE_SETTINGS_H

#include "common/conf/conf.h"

struct node_settings {
    const char *name; /* "": the host's */
    struct conf_strings pools;
    int64_t slots;
    uint64_t memory_bytes; /* offered to placement; 0: what the host has */
    struct conf_strings labels;
    struct conf_strings roots_read;
    struct conf_strings roots_write;
    struct conf_strings urls;
    const char *private_key; /* file that opens seals; "": jobs with secrets fail */
    uint64_t report_interval_ms;
    uint64_t report_expiry_ms; /* until the first renewal has told the lease's length */
    uint64_t stop_grace_ms;    /* a cancelled worker's time to end by itself */
    const char *metrics_listen;
};
extern const struct conf_key node_conf_keys[];
extern const size_t node_conf_key_count;

struct worker_settings {
    uint64_t memory_bytes;
    uint64_t buffer_bytes; /* of a copy's buffers, shared by all disks of a job */
    int64_t open_files;
    int64_t disks_at_once;
    uint64_t flush_bytes;
    uint64_t flush_ms;
    uint64_t stall_ms;     /* no sign of life for so long: ended, and started again */
    uint64_t copy_idle_ms; /* no byte moved for so long: copy_stalled */
    int64_t restarts;      /* after crashes, within one attempt */
    uint64_t restart_first_ms;
    uint64_t restart_most_ms;
    uint64_t ledger_repeat_ms; /* an unanswered ledger write is sent again */
};
extern const struct conf_key worker_conf_keys[];
extern const size_t worker_conf_key_count;

/* Fills in what follows from the host, and checks what no single key can. */
bool node_settings_complete(struct node_settings *node, const struct worker_settings *worker,
                            struct error *err) MUST_CHECK;

#endif
