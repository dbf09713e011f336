/* SPDX-License-Identifier: Apache-2.0
 *
 * How far a job is, as its journal tells: what the records of journal.h mean. Each call that tells
 * something appends a record and syncs it before it returns. A sync that fails ends a worker's process:
 * nobody knows then what is on the disk, and the next run reads what is.
 *
 * Threads: any; serialised inside.
 */
#ifndef GUTS_MIGRATION_PROGRESS_H
#define GUTS_MIGRATION_PROGRESS_H

#include <jansson.h>

#include "common/base/memory.h"
#include "migration/child.h"
#include "migration/disk/copy.h"
#include "proto/vm.h"
#include "proto/words.h"

#define PROGRESS_EXIT_JOURNAL_LOST 74

struct progress;
enum progress_depth {
    PROGRESS_WHOLE,         /* a worker's: with what it needs to go on with copies */
    PROGRESS_WITHOUT_CHUNKS /* the daemon's */
};
bool progress_open(const char *directory, enum progress_depth depth, struct progress **ret_progress,
                   struct error *err) MUST_CHECK;
/* Reads without cutting a torn tail: a worker may be writing. Nothing can be told to it. */
bool progress_peek(const char *directory, struct progress **ret_progress,
                   struct error *err) MUST_CHECK;
void progress_close(struct progress *progress);
void progress_closep(struct progress **progress);

/* -- the job and its runs ------------------------------------------------------------------------ */
const void *progress_job(const struct progress *progress, size_t *ret_length); /* NULL: none */
uint32_t progress_run(const struct progress *progress);
const struct child_mark *progress_worker(const struct progress *progress); /* pid 0: none */
unsigned progress_crashes(const struct progress *progress);
const void *progress_result(const struct progress *progress, size_t *ret_length); /* NULL: none */
bool progress_set_job(struct progress *progress, const void *packed, size_t length,
                      struct error *err) MUST_CHECK;
bool progress_set_run(struct progress *progress, uint32_t run, struct error *err) MUST_CHECK;
bool progress_set_worker(struct progress *progress, const struct child_mark *mark,
                         struct error *err) MUST_CHECK;
bool progress_add_crash(struct progress *progress, const char *text, struct error *err) MUST_CHECK;
bool progress_set_result(struct progress *progress, const void *packed, size_t length,
                         struct error *err) MUST_CHECK;

/* -- steps ---------------------------------------------------------------------------------------- */
/* The state that a done step left: an object, borrowed; NULL when it is not done. */
const json_t *progress_step(const struct progress *progress, const char *name);
bool progress_set_step(struct progress *progress, const char *name, const json_t *state,
                       struct error *err) MUST_CHECK;
/* It must be done again. */
bool progress_clear_step(struct progress *progress, const char *name, struct error *err) MUST_CHECK;

/* -- copies --------------------------------------------------------------------------------------- */
struct progress_copy {
    char *identity;      /* of the source; NULL: never begun */
    unsigned begun;      /* so many times */
    uint64_t count;      /* chunks that are durable since */
    uint64_t read_bytes; /* over all runs, as of the last flush */
    uint64_t written_bytes;
};
const struct progress_copy *progress_copy(struct progress *progress, size_t disk);
/* Reads the journal again and calls take for each of those chunks, in the order in which they came. */
bool progress_each_chunk(struct progress *progress, size_t disk,
                         void (*take)(void *context, const struct copy_chunk *chunk), void *context,
                         struct error *err) MUST_CHECK;
/* The copy starts from nothing; chunks told before do not count any more, bytes do. */
bool progress_begin_copy(struct progress *progress, size_t disk, const char *identity,
                         struct error *err) MUST_CHECK;
bool progress_add_chunks(struct progress *progress, size_t disk, const struct copy_chunk *chunks,
                         size_t count, uint64_t read_bytes, uint64_t written_bytes,
                         struct error *err) MUST_CHECK;

/* -- the ledger, as far as this job has written it -------------------------------------------------- */
size_t progress_ledger_count(const struct progress *progress);
const struct ledger_entry *progress_ledger_get(const struct progress *progress, size_t index);
/* Whether it tells of the same thing, in whatever state. */
bool progress_has_ledger(const struct progress *progress, const struct ledger_entry *entry);
bool progress_set_ledger(struct progress *progress, const struct ledger_entry *entry,
                         struct error *err) MUST_CHECK;

#endif
