/* SPDX-License-Identifier: Apache-2.0
 *
 * Events as the scheduler writes them: the number is given by the leader alone, from the leader row.
 */
#ifndef GUTS_COMMON_STORE_EVENT_H
#define GUTS_COMMON_STORE_EVENT_H

#include "common/db/db.h"
#include "proto/words.h"

enum event_severity { EVENT_INFO, EVENT_WARN, EVENT_ERROR };

struct event_fact {
    uint64_t number;
    uint64_t at;
    const char *project; /* "": of the whole site */
    const char *kind;    /* "migration.state" … */
    enum event_severity severity;
    enum owner_kind owner_kind;
    struct uuid owner_id;
    const char *text;
    const char *data_json; /* or NULL */
};
const char *event_severity_name(enum event_severity severity); /* "info" … */
bool event_insert(struct db *db, const struct event_fact *events, size_t count,
                  struct error *err) MUST_CHECK;

/* Removes the oldest events that happened before that time, at most so many. */
bool event_prune(struct db *db, uint64_t before_us, size_t most, uint64_t *ret_count,
                 struct error *err) MUST_CHECK;

#endif
