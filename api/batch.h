/* SPDX-License-Identifier: Apache-2.0
 *
 * Shows that are read together. A request for one thing joins the next read, which begins after the
 * request came, so that its answer is never older than the last commit before it; while one read is
 * under way the next one gathers. Under load, one query answers up to 64 ids and any number of
 * requests for them; without load a request waits for nobody.
 *
 * Threads: batch_join from any; reads happen in threads of the batch's own, each with its own store.
 */
#ifndef GUTS_API_BATCH_H
#define GUTS_API_BATCH_H

#include "api/call.h"

#define BATCH_IDS_MOST 64

struct batch_ops {
    /* ret_rows: one for each id, NULL where there is none; they live in the arena. */
    bool (*read)(struct store *store, struct arena *arena, const struct uuid *ids, size_t count,
                 const void **ret_rows, struct error *err);
    const char *(*project)(const void *row);
    void (*write)(struct writer *writer, const void *row);
    const char *noun; /* "migration" */
};
extern const struct batch_ops migration_batch_ops;
extern const struct batch_ops vm_batch_ops;

struct batch;
struct batch *batch_new(const struct batch_ops *ops, const struct db_settings *settings,
                        unsigned thread_count);
/* Answers the call later with what `id` is. The caller returns true at once and touches the call no
 * more. */
void batch_join(struct batch *batch, struct call *call, const struct uuid *id);
/* Ends the threads after they have answered what is waiting. */
void batch_free(struct batch *batch);

#endif
