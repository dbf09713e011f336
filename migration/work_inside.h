/* SPDX-License-Identifier: Apache-2.0
 *
 * The inner side of work.h: how a worker makes a work, and how steps tell what drivers need not
 * know of: steps, disks, how far the migration is. A thread of the work's own speaks with the daemon
 * (channel.h): it sends the status as a level, hands answers to whoever waits, watches the lease
 * page and stops copies when they are no longer wanted.
 *
 * Threads: any, unless said otherwise.
 */
#ifndef GUTS_MIGRATION_WORK_INSIDE_H
#define GUTS_MIGRATION_WORK_INSIDE_H

#include "migration/assign.h"
#include "migration/channel.h"
#include "migration/disk/copy.h"
#include "migration/lease.h"
#include "migration/progress.h"
#include "migration/work.h"

#define NOTES_A_RUN 1000 /* numbers of notes rise over the runs of an attempt */

struct work_plan {
    const struct assign *assign;
    uint32_t run;
    const char *directory;
    const struct roots *roots;
    const json_t *options;
    struct progress *progress; /* ledger entries are told to it */
    const struct lease_page *page;
    int channel_fd;
    uint64_t ledger_repeat_ms;
    uint64_t end_bytes; /* see work_end_bytes */
};
bool work_new(const struct work_plan *plan, struct work **ret_work, struct error *err) MUST_CHECK;
/* Sends the last status, ends the thread. */
void work_free(struct work *work);

/* -- the status ---------------------------------------------------------------------------------- */
enum work_step_state {
    WORK_STEP_RUNNING = 1,
    WORK_STEP_DONE,
    WORK_STEP_FAILED,
    WORK_STEP_UNDONE,
    WORK_STEP_SKIPPED
};
/* A step that was not told of before is added behind the others. `fault` may be NULL. */
void work_tell_step(struct work *work, const char *name, enum work_step_state state,
                    const struct error *fault);
void work_reach(struct work *work, enum migration_state reached);
enum migration_state work_reached(const struct work *work);
void work_take_way(struct work *work, enum migration_state way);
void work_count_resume(struct work *work);
uint32_t work_resumes(const struct work *work);
bool work_is_partial(const struct work *work);

struct work_disk {
    uint64_t capacity_bytes;
    uint64_t total_bytes, done_bytes;   /* while no control is watched */
    uint64_t read_bytes, written_bytes; /* of earlier runs; the control's are added */
    char digest[COPY_DIGEST_TEXT_SIZE];
};
void work_tell_disk(struct work *work, size_t index, const struct work_disk *disk);
/* While watched, a control is stopped with the work, gets its share of the rate, and its counters
 * stand in the status of the disk (index −1: they only count as signs of life). */
void work_watch(struct work *work, int index, struct copy_control *control);
void work_unwatch(struct work *work, struct copy_control *control);

/* -- the ledger ------------------------------------------------------------------------------------ */
/* Passes an entry that is to be undone or accepted through the fence: written again as it stands,
 * under our token. */
bool work_claim(struct work *work, const struct ledger_entry *entry, struct error *err) MUST_CHECK;

/* -- pages ------------------------------------------------------------------------------------------ */
/* Sends one page (CHANNEL_INVENTORY, CHANNEL_CATALOG) and waits until the broker has it. */
bool work_send_page(struct work *work, enum channel_kind kind, uint32_t number,
                    const struct buffer *packed, struct error *err) MUST_CHECK;

#endif
