/* SPDX-License-Identifier: Apache-2.0
 *
 * What may be asked of a migration: refused at once where the lifecycle table forbids it for the
 * state that is read here, else a wish. The last word is the scheduler's. */
#include "api/migration.h"
#include "api/routes.h"
#include "api/wish.h"
#include "common/store/migration_view.h"
#include "proto/fault.h"
#include "proto/lifecycle.h"

static bool ledger_is_settled(const struct migration_detail *detail)
{
    for (size_t i = 0; i < detail->ledger_count; i++)
        if (ledger_state_is_open(detail->ledger[i].state))
            return false;
    return true;
}

static bool verb_is_legal(enum migration_verb verb, const struct migration_detail *detail,
                          struct error *err)
{
    enum migration_state state = detail->view.state;
    if (!lifecycle_accepts(state, verb))
        return error_set(err, &FAULT_STATE_FORBIDS, "a migration that is %s takes no %s",
                         migration_state_name(state), migration_verb_name(verb));
    if (verb == VERB_DELETE && !ledger_is_settled(detail))
        return error_set(err, &FAULT_LEDGER_OPEN, "entries of its ledger are not settled");
    return true;
}

bool migration_act_serve(struct call *call, struct error *err)
{
    static const char *const allowed[] = {NULL};
    enum migration_verb verb = (enum migration_verb)call->route->argument;
    struct migration_detail detail;
    struct reader *reader;
    struct uuid id;
    call_query_allow(call, allowed);
    if (!call_read_body(call, false, &reader, err))
        return false;
    reader_finish(reader);
    return call_sound(call, err) && migration_named(call, &id, err) &&
           migration_view_get(call->store, call->arena, call->scope, &id, &detail, err) &&
           verb_is_legal(verb, &detail, err) &&
           wish_answer(call, migration_verb_name(verb), OWNER_MIGRATION, &id, detail.view.project,
                       NULL, err);
}
