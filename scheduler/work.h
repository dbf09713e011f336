/* SPDX-License-Identifier: Apache-2.0
 *
 * Making jobs: what each kind needs, and how it enters the queue of waiting ones.
 */
#ifndef GUTS_SCHEDULER_WORK_H
#define GUTS_SCHEDULER_WORK_H

#include "scheduler/tick.h"

/* A live job for the migration, waiting until wait_ms have passed. */
struct job *work_for_migration(struct tick *tick, struct migration *migration, enum job_kind kind,
                               const struct uuid *wish_id, const char *request_json,
                               uint64_t wait_ms);
/* A live job for a source or a destination. */
struct job *work_for_endpoint(struct tick *tick, const struct endpoint_fact *endpoint,
                              enum owner_kind owner_kind, enum job_kind kind,
                              const struct wish_due *wish);
/* Lets a waiting job into its group when its time has come. */
bool work_wait(struct tick *tick, struct job *job, struct error *err) MUST_CHECK;
/* A job that was loaded as waiting enters its group, unless its time has not come. */
bool work_join(struct scheduler *scheduler, struct picture *picture, struct job *job,
               struct error *err) MUST_CHECK;
/* The conversion space that a migration reserves. */
uint64_t work_space_bytes(const struct scheduler *scheduler, const struct migration_fact *fact);

#endif
