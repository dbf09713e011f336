/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of this room share: one scheduler, its connections, its term, its picture.
 * Threads: one; only `health` is read by the thread that serves it.
 */
#ifndef GUTS_SCHEDULER_SCHEDULER_H
#define GUTS_SCHEDULER_SCHEDULER_H

#include "common/daemon/health.h"
#include "common/store/leader.h"
#include "common/store/service.h"
#include "common/store/store.h"
#include "proto/bus.h"
#include "proto/words.h"
#include "scheduler/broker_watch.h"
#include "scheduler/picture.h"
#include "scheduler/settings.h"

#define SENT_COOKIES 4096

/* A JobAssign on its way: what its fate at the broker is told of. Its jobs have the cookie too. */
struct sent_cookie {
    uint64_t cookie;
    struct uuid node;
};

/* How far the present pass of pruning is, and when the next piece is due. */
struct prune_cursors {
    uint64_t due_ms;
    struct uuid jobs, wishes; /* nil: at the beginning */
};

/* A driver's declaration, by its digest. */
struct declared_driver {
    enum end end;
    const char *name; /* interned */
    uint64_t hash;
};

struct scheduler {
    const struct scheduler_settings *settings;
    struct store *store;
    struct db *db; /* of the store */
    struct bus *bus;
    struct health *health;
    const char *name;     /* "guts-scheduler@host:pid" */
    const char *instance; /* holder of the leader row: unique for each start */

    struct service service; /* our row among the services */

    /* The term. */
    bool leads;
    uint64_t term, batch, event_number;
    uint64_t highest_batch; /* that was ever seen, to notice a database that went back */
    uint64_t term_begun_ms;
    uint64_t went_back_at; /* the database's clock when it was seen to have lost what it had
                              acknowledged, in this term; 0: it did not */
    uint64_t renewed_ms;   /* our clock at the last commit */
    uint64_t deaf_ms;      /* our clock when nobody could be heard last */
    struct broker_watch broker;
    uint64_t aside_until_ms;         /* it stepped aside: another may take the row first */
    struct picture *picture;         /* NULL unless leading */
    struct declared_driver *drivers; /* what was last stored of each */
    size_t driver_count;
    struct place_words staging_sources, staging_destinations; /* drivers that stage */

    /* Between ticks. */
    bool told_away;    /* that the database cannot be used stands in the log */
    bool look_now;     /* a hint came, or the last look found as much as it could take */
    size_t due_step;   /* rows taken by the next look: few after a rest, more while more are due */
    bool skipped_look; /* the last turn was for messages alone */
    size_t backlog;    /* migrations that are due and were not taken yet, as far as it matters */
    uint64_t looked_ms, beaten_ms;
    struct prune_cursors prune;
    bool place_again; /* the last placing ended at its bound */
    uint64_t last_cookie;
    struct sent_cookie cookies[SENT_COOKIES];
    struct sent_cookie returned[64]; /* assignments that no queue took */
    size_t returned_count;
};

#endif
