/* SPDX-License-Identifier: Apache-2.0 */
#include "api/call.h"

#include <string.h>

#include "api/api.h"
#include "api/count.h"
#include "api/problem.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "proto/fault.h"

#define REQUEST_ID_MOST 64

static bool request_id_is_sound(const char *text)
{
    size_t length = strlen(text);
    return length > 0 && length <= REQUEST_ID_MOST &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._:") ==
               length;
}

static const char *request_id_of(const struct http_request *request)
{
    const char *given = http_request_header(request, "X-Request-Id");
    if (given != NULL && request_id_is_sound(given))
        return given;
    struct uuid id = uuid_new();
    char *made = arena_alloc(request->arena, UUID_TEXT_SIZE);
    uuid_format(&id, made);
    return made;
}

struct call *call_begin(struct api *api, const struct http_request *request,
                        struct http_answer *answer)
{
    struct call *call = arena_alloc(request->arena, sizeof(*call));
    call->api = api;
    call->request = request;
    call->answer = answer;
    call->arena = request->arena;
    call->store = api->stores[request->thread];
    call->began_us = clock_mono_us();
    call->request_id = request_id_of(request);
    return call;
}

struct writer *call_json(struct call *call, unsigned status)
{
    call->answer->status = status;
    call->answer->content_type = "application/json";
    writer_init(&call->writer, &call->answer->body);
    return &call->writer;
}

void call_header(struct call *call, const char *name, const char *value)
{
    http_answer_header(call->answer, name, value);
}

/* The last that a failed call says; what the route has written so far is thrown away. */
static void call_fail(struct call *call, const struct error *err)
{
    struct http_answer *answer = call->answer;
    const struct reader *reader = err->fault == &FAULT_FIELDS_INVALID ? call->reader : NULL;
    buffer_clear(&answer->body);
    answer->status = err->fault->http_status;
    answer->content_type = "application/problem+json";
    problem_write(&answer->body, err, reader, call->request->path, call->request_id);
    if (answer->status == 503)
        call_header(call, "Retry-After", "2");
    if (answer->status == 401)
        call_header(call, "WWW-Authenticate", auth_challenge(call->api->auth));
}

static void call_log(const struct call *call, const struct error *err)
{
    unsigned status = call->answer->status;
    const struct http_request *request = call->request;
    bool reads = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
    enum log_level level = status >= 500 && status != 503 ? LOG_ERROR_LEVEL
                           : status == 503                ? LOG_WARN_LEVEL
                           : reads                        ? LOG_DEBUG_LEVEL
                                                          : LOG_INFO_LEVEL;
    if (!api_logs(call->api, level))
        return;
    LOG_SCOPE("request", call->request_id);
    LOG_SCOPE("who", call->identity.name != NULL ? call->identity.name : "");
    log_line(level, "request", "%s %s: %u in %llu us%s%s", request->method, request->path, status,
             (unsigned long long)(clock_mono_us() - call->began_us), err != NULL ? ": " : "",
             err != NULL ? err->text : "");
}

void call_end(struct call *call, bool done, const struct error *err)
{
    if (!done)
        call_fail(call, err);
    call_header(call, "X-Request-Id", call->request_id);
    json_decref(call->body);
    count_call(call);
    call_log(call, done ? NULL : err);
}
