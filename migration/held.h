/* SPDX-License-Identifier: Apache-2.0
 *
 * A job that this node holds, from the moment its journal is on disk until the scheduler has seen
 * that its directory is gone: its worker process, its lease page, what its worker said last, its
 * result. It knows nothing of messages between daemons; node_inbox.c and node_report.c speak for it.
 *
 * Threads: the daemon's one.
 */
#ifndef GUTS_MIGRATION_HELD_H
#define GUTS_MIGRATION_HELD_H

#include "migration/assign.h"
#include "migration/channel.h"
#include "migration/child.h"
#include "migration/lease.h"
#include "migration/node_settings.h"

enum held_state {
    HELD_WAITING,  /* for a renewal that names its attempt */
    HELD_RUNNING,  /* its worker lives */
    HELD_PAUSED,   /* its worker crashed: started again at `due_ms` */
    HELD_FINISHED, /* it has a result, which is told until the job is closed */
    HELD_GONE,     /* its directory is removed; forgotten once a report has said so */
};

#define HELD_LAST_WORDS_BYTES 1024

struct held {
    uint32_t serial; /* names it in cookies of the bus */
    enum held_state state;
    struct arena *arena; /* of assign */
    struct assign assign;
    struct token token; /* with the current run */
    char *directory;
    struct child child;
    struct lease_page *page;
    int page_fd;
    uint64_t due_ms;
    uint64_t life_ms;      /* the last sign of life of its worker */
    uint64_t cancelled_ms; /* when the cancel came; 0: none */
    bool stalled;
    unsigned crashes;
    enum migration_state reached;
    struct buffer status; /* packed JobReport, as the worker said it last */
    struct buffer result; /* packed JobResult */
    uint64_t gone_report; /* the first report that said so; 0: none yet */
    char last_words[HELD_LAST_WORDS_BYTES];
    size_t last_words_length;
    struct error
        crash; /* the last one since the daemon's start, for the events; fault NULL: none */
    uint32_t crash_run;
    uint64_t crash_at;
};

/* Of a new assignment: the journal stands on the disk when it returns. */
bool held_new(const void *packed, size_t length, const char *directory, struct held **ret_held,
              struct error *err) MUST_CHECK;
/* Of a directory that an earlier start left; its recorded worker is ended first. FAULT_NOT_FOUND when
 * its journal holds no job. */
bool held_recover(const char *directory, struct held **ret_held, struct error *err) MUST_CHECK;
void held_free(struct held *held); /* ends its worker */

bool held_is_live(const struct held *held); /* it takes a slot */

/* What the node tells it. */
void held_renew(struct held *held, uint64_t lease_until_ms, uint64_t bytes_per_second,
                uint64_t limit_until_ms);
void held_cancel(struct held *held, uint64_t now_ms);
/* Ends its worker; it waits for a renewal again. Not a crash. */
void held_suspend(struct held *held);
/* Ends its worker at once and removes the directory: fenced, or closed. */
void held_drop(struct held *held);
bool held_send(struct held *held, enum channel_kind kind, const void *data, size_t length);

struct held_context {
    const struct node_settings *node;
    const struct worker_settings *worker;
    /* A frame of the worker that is not held's own business. */
    void (*on_frame)(void *context, struct held *held, enum channel_kind kind, const void *data,
                     size_t length);
    void (*on_change)(void *context, struct held *held); /* it finished, went, or reached a state */
    void *context;
};
/* Starts, reads, reaps, restarts: whatever is due. */
void held_tick(struct held *held, const struct held_context *context, uint64_t now_ms);
/* When it wants to be looked at again without a descriptor's doing; UINT64_MAX: never. */
uint64_t held_due_ms(const struct held *held, const struct held_context *context);

#endif
