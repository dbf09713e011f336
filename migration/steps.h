/* SPDX-License-Identifier: Apache-2.0
 *
 * A job as a list of steps, and the run that carries what they share. A step can be run again after
 * a crash; one that the journal names as done is not run again. What a step leaves for later runs is
 * its state, an object in the journal; what lives only in the process (an export session) is made in
 * each run until it is no longer needed.
 *
 * Steps make nothing outside the job's directory themselves: drivers do, through the ledger.
 *
 * Threads: the job's own thread, but for what job_copy.c says.
 */
#ifndef GUTS_MIGRATION_STEPS_H
#define GUTS_MIGRATION_STEPS_H

#include <jansson.h>
#include <pthread.h>

#include "migration/assign.h"
#include "migration/destination/fault_list.h"
#include "migration/node_settings.h"
#include "migration/source/source.h"
#include "migration/work_inside.h"

struct run {
    struct work *work;
    const struct assign *assign;
    struct progress *progress;
    const struct worker_settings *limits;
    const char *private_key;
    struct arena *arena;
    const json_t *options;

    const struct source_driver *source_driver;
    const struct destination_driver *destination_driver;
    struct settings *source_settings, *destination_settings, *option_settings;
    struct source *source;
    struct destination *destination;
    struct source_export *session;
    pthread_mutex_t ends; /* held around each call into a driver while copies run */

    struct vm *vm;
    struct destination_plan plan;
    struct fault_list *faults;
    unsigned copy_rounds;

    json_t *state; /* of the step that runs: it fills this */
    json_t *evidence;
    json_t *server;
    json_t *answer;
    uint32_t pages;
};

/* What it takes to take a step back. */
enum step_undo {
    UNDO_NOTHING, /* it only looks, or leaves things in the job's directory */
    UNDO_LEDGER,  /* what it made stands in the ledger: a rollback walks that backwards */
};
struct step {
    const char *name;
    bool (*run)(struct run *run, struct error *err);
    enum step_undo undo;
    enum migration_state reached; /* when it is done; MIGRATION_UNKNOWN: nothing changes */
    /* Runs in each run of the worker until that other step is done; NULL: once. */
    const char *until;
    bool (*wanted)(const struct run *run); /* NULL: always; otherwise it is skipped */
};
/* Runs them in order until one fails or the last is done. */
bool steps_run(struct run *run, const struct step *steps, size_t count,
               struct error *err) MUST_CHECK;
/* A copy that found its source changed begins again at "export", so often in all. */
#define STEPS_COPY_ROUNDS_MOST 3

/* -- the jobs, one file each -------------------------------------------------------------------- */
bool job_migrate(struct run *run, struct error *err) MUST_CHECK;
bool job_rollback(struct run *run, struct error *err) MUST_CHECK;
bool job_cleanup(struct run *run, struct error *err) MUST_CHECK;
bool job_test(struct run *run, struct error *err) MUST_CHECK;
bool job_discover(struct run *run, struct error *err) MUST_CHECK;
bool job_catalog(struct run *run, struct error *err) MUST_CHECK;
bool job_gc(struct run *run, struct error *err) MUST_CHECK;
/* The settle check of a result that stands: what carries this migration's mark at the destination and
 * is not in its ledger came late from an older attempt, and goes. */
bool gc_settle(struct run *run, struct error *err) MUST_CHECK;
/* Runs one deed as the one step of a job, at the end that its owner is (job_list.c). */
bool job_run_step(struct run *run, const char *name, bool (*deed)(struct run *, struct error *),
                  struct error *err) MUST_CHECK;
/* Sends what `walk` gives to `take`, as pages of a catalogue. */
typedef bool job_take_item(void *context, const char *kind, const char *id, const char *name,
                           const json_t *detail, struct error *err);
bool job_send_items(struct run *run,
                    bool (*walk)(struct run *run, job_take_item *take, void *context,
                                 struct error *err),
                    struct error *err) MUST_CHECK;
/* The copy step of job_migrate. */
bool copy_disks(struct run *run, struct error *err) MUST_CHECK;
/* Whether the source is as the first session of this attempt saw it; the first is written down. */
bool copy_knows_source(struct run *run, bool *ret_same, struct error *err) MUST_CHECK;
/* Forgets what was copied, and what was made for reading: the next session begins anew with all disks. */
bool copy_forget(struct run *run, struct error *err) MUST_CHECK;

/* -- the ends (ends.c) ------------------------------------------------------------------------------ */
/* Finds the driver, checks settings and secrets, opens it. Called again it does nothing. */
bool ends_open_source(struct run *run, struct error *err) MUST_CHECK;
bool ends_open_destination(struct run *run, struct error *err) MUST_CHECK;
/* Options of the migration, as the destination's driver declares them. */
bool ends_take_options(struct run *run, struct error *err) MUST_CHECK;
void ends_close(struct run *run);

#endif
