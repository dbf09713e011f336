/* SPDX-License-Identifier: Apache-2.0
 *
 * A second pair of hands for the one request that has much to ask: a thread with a database connection
 * of its own, which answers one half while the request's own thread answers the other. It knows nothing
 * of what is asked.
 *
 * Threads: any may ask; one is served at a time, the others are told that they stand alone.
 */
#ifndef GUTS_API_ASIDE_H
#define GUTS_API_ASIDE_H

#include <stdbool.h>

#include "common/db/db.h"
#include "common/store/store.h"

struct aside;
struct aside *aside_new(const struct db_settings *settings); /* the settings are borrowed */
void aside_free(struct aside *aside);

/* Runs in the other thread. Whatever it uses must not be touched until aside_end. */
typedef void aside_verb(void *context, struct store *store);
/* False: somebody else is being served, nothing runs. Otherwise aside_end must follow. */
bool aside_begin(struct aside *aside, aside_verb *verb, void *context) MUST_CHECK;
/* Waits until the verb has returned: as long as the database's time-outs let it take. */
void aside_end(struct aside *aside);

#endif
