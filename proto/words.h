/* SPDX-License-Identifier: Apache-2.0
 *
 * The small closed word lists that messages, tables and routes share: owners, jobs, ends, ledger
 * states. Values are those of the enums in proto/guts.proto and never change.
 *
 * Threads: constant data.
 */
#ifndef GUTS_PROTO_WORDS_H
#define GUTS_PROTO_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/uuid.h"

enum owner_kind {
    OWNER_UNKNOWN = 0,
    OWNER_MIGRATION = 1,
    OWNER_SOURCE = 2,
    OWNER_DESTINATION = 3,
    OWNER_NODE = 4, /* of wishes and events only */
};
enum job_kind {
    JOB_UNKNOWN = 0,
    JOB_TEST = 1,     /* test the connection of a source or destination */
    JOB_DISCOVER = 2, /* list a source's vms */
    JOB_CATALOG = 3,  /* list what a destination offers */
    JOB_MIGRATE = 4,
    JOB_ROLLBACK = 5,
    JOB_CLEANUP = 6,
    JOB_GC = 7, /* look for what dead attempts left at one end, and remove it when asked */
};
/* Which side of a move something stands at. */
enum end { END_UNKNOWN = 0, END_SOURCE = 1, END_DESTINATION = 2 };

enum ledger_state {
    LEDGER_UNKNOWN = 0,
    LEDGER_INTENDED = 1,  /* about to be made: it may exist */
    LEDGER_MADE = 2,      /* it exists, as external_id */
    LEDGER_UNDONE = 3,    /* removed or put back by us */
    LEDGER_KEPT = 4,      /* stays: part of the result that was accepted */
    LEDGER_NOT_FOUND = 5, /* was gone when we came to undo it */
    LEDGER_ERROR = 6,     /* undoing failed: open until tried again */
};
static inline bool ledger_state_is_open(enum ledger_state state)
{
    return state == LEDGER_INTENDED || state == LEDGER_MADE || state == LEDGER_ERROR;
}

/* What the scheduler wants done with a job that a node holds. */
enum wanted {
    WANTED_UNKNOWN = 0,
    WANTED_GO = 1,
    WANTED_CANCEL = 2, /* stop, report, leave the undoing to a rollback job */
    WANTED_CLOSE = 3,  /* the result is stored: journal and job directory may go */
    WANTED_FENCED = 4, /* another attempt is current: end the worker, keep nothing */
};

/* Carried by every report and ledger entry. */
struct token {
    struct uuid job;
    uint32_t attempt;
    uint32_t run;
};

/* An entry of the ledger as it is stored; whoever fills it says how long the texts live. None is
 * NULL. */
struct ledger_entry {
    enum end end;
    const char *kind; /* a word of the driver: "disk", "domain", "power" */
    const char *key;  /* unique for (owner, end, kind); never random */
    enum ledger_state state;
    const char *external_id; /* "" until made */
    const char *prior_json;  /* "" when there was nothing before */
    const char *detail;      /* one line for people */
    uint32_t order;          /* position in the ledger, from 1; rollback goes backwards */
    uint32_t attempt;        /* of the last writer */
};

/* Lower-case words ("migrate", "destination", "not_found"); parse gives 0 for an unknown one. */
const char *owner_kind_name(enum owner_kind kind);
enum owner_kind owner_kind_parse(const char *name);
const char *job_kind_name(enum job_kind kind);
enum job_kind job_kind_parse(const char *name);
const char *end_name(enum end end);
enum end end_parse(const char *name);
const char *ledger_state_name(enum ledger_state state);
enum ledger_state ledger_state_parse(const char *name);
const char *wanted_name(enum wanted wanted);

#endif
