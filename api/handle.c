/* SPDX-License-Identifier: Apache-2.0
 *
 * The way of every request: its route, who asks, whether that is allowed, the route's function, the
 * answer. */
#include <string.h>

#include "api/api.h"
#include "api/call.h"
#include "proto/fault.h"

/* A page of another site may not change anything here with the browser's help. */
static bool origin_is_ours(const struct http_request *request)
{
    const char *origin = http_request_header(request, "Origin");
    const char *host = http_request_header(request, "Host");
    if (origin == NULL)
        return true;
    const char *slashes = strstr(origin, "://");
    return slashes != NULL && host != NULL && strcmp(slashes + 3, host) == 0;
}

static bool method_reads(const char *method)
{
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 ||
           strcmp(method, "OPTIONS") == 0;
}

static bool answer_unrouted(struct call *call, const struct route_match *match, struct error *err)
{
    if (match->allow == NULL)
        return error_set(err, &FAULT_NOT_FOUND, "there is no such path");
    call_header(call, "Allow", match->allow);
    if (strcmp(call->request->method, "OPTIONS") != 0)
        return error_set(err, &FAULT_METHOD_NOT_ALLOWED, "the path has: %s", match->allow);
    call->answer->status = 204;
    return true;
}

static bool serve_routed(struct api *api, struct call *call, struct error *err)
{
    if (call->route->role == ACCESS_NONE)
        return call->route->run(call, err);
    if (!method_reads(call->request->method) && !origin_is_ours(call->request))
        return error_set(err, &FAULT_FORBIDDEN, "the request comes from a page of another site");
    if (!atomic_load_explicit(&api->usable, memory_order_relaxed))
        return error_set(
            err, &FAULT_DB_UNAVAILABLE,
            "the database was not reached yet, or its schema is not ours: see /readyz");
    return auth_identify(api->auth, call, err) && auth_permit(call, err) &&
           call->route->run(call, err);
}

static bool serve(struct api *api, struct call *call, struct error *err)
{
    struct route_match match;
    route_find(routes, route_count, call->request->method, call->request->path, call->arena,
               &match);
    call->route = match.route;
    memcpy(call->params, match.params, sizeof(call->params));
    if (match.route == NULL)
        return answer_unrouted(call, &match, err);
    return serve_routed(api, call, err);
}

void api_handle(void *context, const struct http_request *request, struct http_answer *answer)
{
    struct api *api = context;
    struct error err = {0};
    struct call *call = call_begin(api, request, answer);
    bool done = serve(api, call, &err);
    if (!call->later)
        call_end(call, done, &err);
}
