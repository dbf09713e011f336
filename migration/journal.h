/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal of one job: an append-only file of checksummed records in the job's directory, from
 * which a worker goes on after a crash. It is a cache: losing it costs bytes, never correctness. It
 * knows records, not what they mean (progress.h does).
 *
 * The file is "journal": records of a 16-byte head (length, kind, XXH3-64 of both and the payload,
 * seeded with the record's offset; little-endian) and the payload. A tail that is torn or damaged is
 * cut off when the journal is opened: what stands before it is a valid prefix.
 *
 * Writers: the daemon while no worker runs, else the worker, which holds the lock on the directory.
 * Threads: one at a time.
 */
#ifndef GUTS_MIGRATION_JOURNAL_H
#define GUTS_MIGRATION_JOURNAL_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"

#define JOURNAL_RECORD_MOST_BYTES (2u << 20)

/* Values never change. */
enum journal_kind {
    JOURNAL_JOB = 1,      /* the packed Assignment, with its secrets still sealed */
    JOURNAL_RUN = 2,      /* a start of the worker is about to happen */
    JOURNAL_WORKER = 3,   /* the worker that runs: process id, start time, boot id */
    JOURNAL_STEP = 4,     /* a step is done, with its state */
    JOURNAL_IDENTITY = 5, /* a copy begins from its start: what identifies the source */
    JOURNAL_CHUNKS = 6,   /* chunks that are durable at the destination, with digests */
    JOURNAL_LEDGER = 7,   /* an entry as the scheduler stored it */
    JOURNAL_RESULT = 8,   /* the packed JobResult */
    JOURNAL_CRASH = 9,    /* a worker ended without a result */
};

const char *journal_kind_name(enum journal_kind kind); /* "job", "run", … */

struct journal;
/* Opens or creates the journal in a directory; cuts a torn tail; what stands there is durable. */
bool journal_open(const char *directory, struct journal **ret_journal,
                  struct error *err) MUST_CHECK;
void journal_close(struct journal *journal);
bool journal_append(struct journal *journal, enum journal_kind kind, const void *data,
                    size_t length, struct error *err) MUST_CHECK;
/* All that was appended is on stable storage after it. After a failure nothing may be assumed of
 * what was appended since the last success: the process must end. */
bool journal_sync(struct journal *journal, struct error *err) MUST_CHECK;

/* Told of each record in order; false stops. Payloads are borrowed for the call. */
typedef bool journal_visit(void *context, enum journal_kind kind, const void *data, size_t length);
bool journal_replay(const struct journal *journal, journal_visit *visit, void *context,
                    struct error *err) MUST_CHECK;
/* The same for a journal that another process may be writing to: nothing is cut. */
bool journal_peek(const char *directory, journal_visit *visit, void *context,
                  struct error *err) MUST_CHECK;
/* The parser, over bytes (also for the fuzz target): returns the length of the valid prefix. */
size_t journal_parse(const void *bytes, size_t length, journal_visit *visit, void *context);

#endif
