/* SPDX-License-Identifier: Apache-2.0
 *
 * Sources and destinations as the scheduler needs them: what a job's message says of them, and the
 * facts that jobs found out (state, fault, last refresh).
 */
#ifndef GUTS_COMMON_STORE_ENDPOINT_FACT_H
#define GUTS_COMMON_STORE_ENDPOINT_FACT_H

#include "common/db/db.h"
#include "proto/words.h"

struct endpoint_fact {
    struct uuid id;
    const char *project;
    const char *name, *driver, *settings_json, *address;
    const void *seal; /* sealed for nodes; NULL: none */
    size_t seal_length;
    const char *seal_key_id;
    const char *labels_json; /* or NULL */
    uint32_t attempt;
};
bool endpoint_fact_load(struct db *db, struct arena *arena, enum end end, const struct uuid *ids,
                        size_t count, struct endpoint_fact **ret_rows, size_t *ret_count,
                        struct error *err) MUST_CHECK;

/* Holds the row until the transaction ends, against being deleted with what was found there: whoever
 * adds to that asks first, and adds nothing when the row is gone. */
bool endpoint_fact_hold(struct db *db, enum end end, const struct uuid *id, bool *ret_there,
                        struct error *err) MUST_CHECK;

struct endpoint_change {
    enum end end;
    struct uuid id;
    const char *state;         /* "refreshing", "ready", "error"; NULL: stays */
    const struct fault *fault; /* stored with a state; NULL: none */
    const char *fault_text;
    uint32_t attempt;
    uint64_t refreshed_at; /* 0: stays */
    bool count_vms;        /* a source's vm_count is counted anew */
};
bool endpoint_fact_save(struct db *db, const struct endpoint_change *change,
                        struct error *err) MUST_CHECK;

#endif
