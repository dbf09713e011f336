/* SPDX-License-Identifier: Apache-2.0 */
#include "api/wish.h"

#include "api/api.h"
#include "api/notice.h"
#include "api/problem.h"
#include "api/routes.h"
#include "common/store/wish.h"
#include "proto/fault.h"

static void wish_write(struct writer *writer, const char *key, const struct wish *wish)
{
    writer_object_begin(writer, key);
    writer_uuid(writer, "id", &wish->id);
    writer_text(writer, "verb", wish->verb);
    writer_text(writer, "owner_kind", owner_kind_name(wish->owner_kind));
    writer_uuid(writer, "owner_id", &wish->owner_id);
    writer_text(writer, "project", wish->project);
    writer_raw(writer, "arguments", wish->arguments_json);
    writer_text(writer, "who", wish->who);
    writer_text(writer, "state", wish->state);
    problem_write_fault(writer, "fault", wish->fault_code, wish->fault_text);
    writer_raw(writer, "answer", wish->answer_json);
    writer_time(writer, "created_at", wish->created_at);
    writer_time(writer, "finished_at", wish->finished_at);
    writer_object_end(writer);
}

bool wish_answer(struct call *call, const char *verb, enum owner_kind kind,
                 const struct uuid *owner, const char *project, const char *arguments_json,
                 struct error *err)
{
    struct wish wish = {.id = uuid_new(),
                        .verb = verb,
                        .owner_kind = kind,
                        .owner_id = *owner,
                        .project = project,
                        .arguments_json = arguments_json,
                        .who = call->identity.name};
    struct uuid id = wish.id;
    if (!wish_insert(call->store, &wish, err))
        return false;
    notice_wake(call->api->notice, kind, owner);
    if (!wish_get(call->store, call->arena, NULL, &id, &wish, err))
        return error_prefix(err, "wish %s was written", UUID_TEXT(&id));
    call_header(call, "Location", arena_printf(call->arena, "/v1/wishes/%s", UUID_TEXT(&id)));
    struct writer *writer = call_json(call, 202);
    writer_object_begin(writer, NULL);
    wish_write(writer, "wish", &wish);
    writer_object_end(writer);
    return true;
}

bool wish_show_serve(struct call *call, struct error *err)
{
    static const char *const allowed[] = {NULL};
    struct uuid id;
    struct wish wish;
    call_query_allow(call, allowed);
    if (!call_sound(call, err))
        return false;
    if (!uuid_parse(call->params[0], &id))
        return error_set(err, &FAULT_NOT_FOUND, "there is no such wish");
    if (!wish_get(call->store, call->arena, call->scope, &id, &wish, err))
        return false;
    wish_write(call_json(call, 200), NULL, &wish);
    return true;
}
