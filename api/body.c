/* SPDX-License-Identifier: Apache-2.0
 *
 * Bodies of requests: one JSON object, read strictly. */
#include <string.h>
#include <strings.h>

#include "api/call.h"
#include "proto/fault.h"

/* A page of another site can send a form or plain text here, but not this type without asking. */
static bool type_is_json(const struct http_request *request)
{
    static const char json[] = "application/json";
    const char *type = http_request_header(request, "Content-Type");
    if (type == NULL)
        return true;
    size_t length = strlen(json);
    return strncasecmp(type, json, length) == 0 &&
           (type[length] == '\0' || type[length] == ';' || type[length] == ' ');
}

static bool body_parse(struct call *call, struct error *err)
{
    const struct http_request *request = call->request;
    if (!type_is_json(request))
        return error_set(err, &FAULT_BODY_INVALID, "the body's type is not application/json");
    call->body = reader_parse(request->body, request->body_length, request->body_length, err);
    if (call->body == NULL) {
        err->fault = &FAULT_BODY_INVALID;
        return false;
    }
    if (!json_is_object(call->body))
        return error_set(err, &FAULT_BODY_INVALID, "the body is not an object");
    return true;
}

bool call_read_body(struct call *call, bool required, struct reader **ret_reader, struct error *err)
{
    if (call->request->body_length == 0 && required)
        return error_set(err, &FAULT_BODY_INVALID, "a body is needed");
    if (call->request->body_length > 0 && !body_parse(call, err))
        return false;
    struct reader *reader = call->reader;
    if (reader == NULL) {
        reader = arena_alloc(call->arena, sizeof(*reader));
        reader_init(reader, call->arena, call->body);
    } else {
        reader->object = call->body;
    }
    call->reader = reader;
    *ret_reader = reader;
    return true;
}

bool call_sound(struct call *call, struct error *err)
{
    const struct reader *reader = call->reader;
    if (reader == NULL || reader->error_count == 0)
        return true;
    return error_set(err, &FAULT_FIELDS_INVALID, "%s %s%s",
                     reader->errors[0].pointer[0] != '\0' ? reader->errors[0].pointer : "/",
                     reader->errors[0].detail,
                     reader->error_count > 1 ? " (and more: see errors)" : "");
}
