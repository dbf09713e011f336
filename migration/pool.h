/* SPDX-License-Identifier: Apache-2.0
 *
 * A pool: a directory of conversion space, with an id of its own that all nodes which share the
 * filesystem agree on (the file "pool.id" at its root), and the directories of jobs in it:
 *
 *     pool.id                         made once, by whoever comes first
 *     node-<name>.id                  the node's id, in its first pool; locked while the node runs
 *     jobs/<node>/<job>-<attempt>/    one job's directory, removed whole
 *
 * Threads: one at a time.
 */
#ifndef GUTS_MIGRATION_POOL_H
#define GUTS_MIGRATION_POOL_H

#include <stdint.h>

#include "common/base/error.h"
#include "common/base/uuid.h"
#include "proto/words.h"

struct pool {
    struct uuid id;
    char *path;
    char *jobs;              /* this node's: <path>/jobs/<node> */
    uint64_t capacity_bytes; /* configured, or the filesystem's whole size */
};
/* `text` is "PATH" or "PATH SIZE" ("/var/lib/guts/pool 500GiB"). Makes what is missing. */
bool pool_open(struct pool *pool, const char *text, const char *node_name,
               struct error *err) MUST_CHECK;
void pool_fini(struct pool *pool);

struct pool_state {
    uint64_t used_bytes; /* blocks of the job directories of all nodes */
    uint64_t free_bytes; /* statvfs */
};
bool pool_measure(const struct pool *pool, struct pool_state *ret_state,
                  struct error *err) MUST_CHECK;

/* The node's id in its first pool, made when it is missing. The descriptor holds the lock: a second
 * daemon under the same name and pool gets FAULT_NODE_NAME_TAKEN. */
bool pool_node_id(const struct pool *pool, const char *node_name, struct uuid *ret_id,
                  int *ret_lock, struct error *err) MUST_CHECK;

char *pool_job_path(const struct pool *pool, const struct token *token); /* heap */
bool pool_job_make(const struct pool *pool, const struct token *token, char **ret_path,
                   struct error *err) MUST_CHECK;
/* Calls visit for each job directory of this node that a crash or an earlier start left. */
bool pool_jobs_each(const struct pool *pool, void (*visit)(void *context, const char *path),
                    void *context, struct error *err) MUST_CHECK;

/* Blocks beneath a directory, without following links; what vanishes meanwhile is not counted. */
uint64_t pool_allocated_bytes(const char *path);
/* "500GiB", "10MB", "4096": false when it is no size. */
bool pool_parse_size(const char *text, uint64_t *ret_bytes);

#endif
