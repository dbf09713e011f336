/* SPDX-License-Identifier: Apache-2.0
 *
 * What work.c, work_ledger.c and work_status.c share. Nobody else includes it. Everything below
 * `mutex` is guarded by it, unless it is constant or atomic.
 */
#ifndef GUTS_MIGRATION_WORK_STATE_H
#define GUTS_MIGRATION_WORK_STATE_H

#include <pthread.h>

#include "migration/work_inside.h"

#define WORK_STEPS_MOST 160
#define WORK_NOTES_KEPT 10
#define WORK_NOTES_MOST 200
#define WORK_CONTROLS_MOST (VM_DISKS_MOST + 8)
#define WORK_TICK_MS 100

struct work_step {
    char name[32];
    enum work_step_state state;
    uint64_t started_at, finished_at;
    struct error fault;
};
struct work_note {
    uint64_t number, at;
    char text[512];
};
struct work_watched {
    int index;
    struct copy_control *control; /* NULL: a free place */
};

struct work {
    struct work_plan plan;
    struct token token;
    struct arena *arena; /* of drivers and steps: the job's own thread */

    pthread_mutex_t asking; /* one question to the daemon at a time */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    pthread_t thread;
    int wake_fd;
    bool ending;
    bool lost; /* the daemon is gone */

    /* the ledger */
    struct arena *ledger_arena;
    struct ledger_entry **ledger;
    size_t ledger_count;
    uint64_t write_number;
    bool answered;
    uint32_t verdict; /* LedgerVerdict */
    struct ledger_entry answer;
    uint32_t page_taken;

    /* the status */
    struct work_step steps[WORK_STEPS_MOST];
    size_t step_count;
    struct work_note notes[WORK_NOTES_KEPT];
    uint64_t note_count;
    struct work_disk disks[VM_DISKS_MOST];
    size_t disk_count;
    struct work_watched watched[WORK_CONTROLS_MOST];
    enum migration_state reached, way;
    uint32_t resumes;
    bool partial; /* the job's own thread */
    uint64_t beat, beat_sent;
    uint64_t sent_ms;
    bool urgent;
    struct buffer last_status;
};

/* Wakes the work's thread; the mutex may be held. */
void work_wake(struct work *work);
/* Waits on `changed`, the mutex held, at most so long. */
void work_wait_changed(struct work *work, uint64_t duration_ms);
/* With the mutex held: FAULT_CANCELLED or FAULT_FENCED. */
bool work_wanted_locked(struct work *work, struct error *err) MUST_CHECK;
/* Before the thread begins: the ledger as it came with the assignment, then as earlier runs left it in the
 * journal. */
void work_adopt_ledger(struct work *work);
/* The thread's: takes an answer; sends the status when it is due. */
void work_take_answer(struct work *work, const void *data, size_t length);
void work_send_status(struct work *work, bool now);

#endif
