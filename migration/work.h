/* SPDX-License-Identifier: Apache-2.0
 *
 * The work of one job as drivers and steps see it, inside the worker process: where files may be
 * put, whether to go on, the ledger as a fence, notes for the operator. Drivers get this and their
 * settings, never the configuration, the bus or a database.
 *
 * Threads: any; the calls that talk to the daemon are serialised inside.
 */
#ifndef GUTS_MIGRATION_WORK_H
#define GUTS_MIGRATION_WORK_H

#include <jansson.h>

#include "common/base/error.h"
#include "common/base/memory.h"
#include "common/base/uuid.h"
#include "migration/root.h"
#include "proto/fault.h"
#include "proto/vm.h"
#include "proto/words.h"

struct work;

/* -- identity --------------------------------------------------------------------------------- */
const struct token *work_token(const struct work *work);
const struct uuid *work_owner(const struct work *work);  /* the migration's, source's … id */
const char *work_directory(const struct work *work);     /* the job's, in the conversion space */
const struct roots *work_roots(const struct work *work); /* where local paths may lead */
struct arena *work_arena(const struct work *work);       /* lives as long as the job */
/* What either end of a disk may hold to read ahead or to send from: its share of the job's buffers. 0: as
 * much as pays. */
uint64_t work_end_bytes(const struct work *work);
const json_t *work_options(const struct work *work); /* of the migration: an object */

/* -- whether to go on --------------------------------------------------------------------------- */
bool work_go_on(struct work *work,
                struct error *err) MUST_CHECK; /* false: FAULT_CANCELLED, FAULT_FENCED */
bool work_is_leased(const struct work *work);  /* outside changes may begin now */
/* Sleeps, woken early by a cancel; false as work_go_on. */
bool work_wait_ms(struct work *work, uint64_t duration_ms, struct error *err) MUST_CHECK;

/* -- the ledger ----------------------------------------------------------------------------------
 * Before anything outside the job's directory is created or changed:
 *     work_intend(work, &entry, &stored, err)  && work_fence(work, err)  && deed
 *     && work_made(work, stored, external_id, err)
 * work_intend blocks until the entry is stored (it is sent again meanwhile) and until a lease holds;
 * `stored` is the entry as it stands: state LEDGER_MADE means that an earlier attempt made it (adopt
 * it, or remake it), prior_json is the first writer's. work_fence is the check immediately before
 * the deed. */
bool work_intend(struct work *work, const struct ledger_entry *entry,
                 const struct ledger_entry **ret_stored, struct error *err) MUST_CHECK;
bool work_fence(struct work *work, struct error *err) MUST_CHECK;
bool work_made(struct work *work, const struct ledger_entry *stored, const char *external_id,
               struct error *err) MUST_CHECK;
/* After undoing: LEDGER_UNDONE, LEDGER_KEPT, LEDGER_NOT_FOUND or LEDGER_ERROR with detail. */
bool work_settle(struct work *work, const struct ledger_entry *stored, enum ledger_state state,
                 const char *detail, struct error *err) MUST_CHECK;
size_t work_ledger_count(const struct work *work);
const struct ledger_entry *work_ledger_get(const struct work *work, size_t index); /* in order */
const struct ledger_entry *work_ledger_find(const struct work *work, enum end end, const char *kind,
                                            const char *key);

/* -- telling ------------------------------------------------------------------------------------ */
/* One line for the operator, shown in the migration's events (at most 200 a job). */
void work_note(struct work *work, const char *format, ...) PRINTF_LIKE(2, 3);
/* A list that this job makes cannot be whole: what it lacks may still be there, and is not told as
 * gone. */
void work_mark_partial(struct work *work);

#endif
