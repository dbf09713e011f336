/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger's rows: what was made or changed at either end. Which write may change an entry is
 * decided in scheduler/ledger.c; here it is stored and read.
 */
#ifndef GUTS_COMMON_STORE_LEDGER_H
#define GUTS_COMMON_STORE_LEDGER_H

#include "common/db/db.h"
#include "proto/words.h"

struct ledger_fact {
    struct uuid owner_id;
    enum owner_kind owner_kind;
    enum end end;
    const char *kind;
    const char *key;
    uint32_t position; /* order of the first writing, from 1 */
    enum ledger_state state;
    const char *external_id; /* "" until made */
    const char *prior_json;  /* "" or NULL: nothing was before */
    const char *detail;
    struct token token; /* of the last writer */
    uint64_t created_at, updated_at;
};

bool ledger_save(struct db *db, const struct ledger_fact *const *entries, size_t count,
                 struct error *err) MUST_CHECK;
/* All entries of these owners, by owner and position. Texts live in arena. */
bool ledger_load(struct db *db, struct arena *arena, const struct uuid *owners, size_t owner_count,
                 struct ledger_fact **ret_entries, size_t *ret_count, struct error *err) MUST_CHECK;
bool ledger_delete_of(struct db *db, const struct uuid *owner_id, struct error *err) MUST_CHECK;

#endif
