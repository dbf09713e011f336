/* SPDX-License-Identifier: Apache-2.0
 *
 * One call of the API: the request, who makes it, what may be seen, and the answer that grows. Every
 * route is served by a function over a call; on failure it returns false with an error, which
 * call_end turns into a problem body.
 *
 * Threads: a call belongs to one thread at a time. It lives in the request's arena.
 */
#ifndef GUTS_API_CALL_H
#define GUTS_API_CALL_H

#include <jansson.h>

#include "api/route.h"
#include "common/http/server.h"
#include "common/json/reader.h"
#include "common/json/writer.h"
#include "common/store/page.h"
#include "common/store/store.h"

struct api;

struct identity {
    const char *name;
    enum access_role role;
    const char *project;
};

struct call {
    struct api *api;
    const struct http_request *request;
    struct http_answer *answer;
    struct arena *arena;
    struct store *store; /* of this thread */
    struct identity identity;
    const char *scope; /* project whose rows may be seen; NULL: all */
    const struct route *route;
    const char *params[ROUTE_PARAMS_MOST];
    const char *request_id;
    uint64_t began_us;
    json_t *body;
    struct reader *reader; /* of the query and the body; NULL until one is needed */
    struct writer writer;
    bool later; /* somebody else ends the call */
    struct http_later *handle;
};

struct call *call_begin(struct api *api, const struct http_request *request,
                        struct http_answer *answer);
/* Writes the problem when `done` is false, adds what every answer carries, counts and logs. */
void call_end(struct call *call, bool done, const struct error *err);

/* The answer is JSON: its writer, at the top. */
struct writer *call_json(struct call *call, unsigned status);
void call_header(struct call *call, const char *name, const char *value);

/* The body as a JSON object. A body that is missing reads as {} where it is not required.
 * FAULT_BODY_INVALID. The reader complains of fields; call_sound fails when it did. */
bool call_read_body(struct call *call, bool required, struct reader **ret_reader,
                    struct error *err) MUST_CHECK;
bool call_sound(struct call *call, struct error *err) MUST_CHECK;

struct reader *call_reader(struct call *call); /* where complaints go */

/* Query parameters: `allowed` ends with NULL; any other is complained of. Texts are checked like
 * those of bodies; NULL when absent or wrong. */
void call_query_allow(struct call *call, const char *const *allowed);
const char *call_query(struct call *call, const char *name);
bool call_query_number(struct call *call, const char *name, uint64_t most, uint64_t *ret_number);
int call_query_word(struct call *call, const char *name, int standard, const char *const *words);
/* limit, marker, order, project (admins narrow their scope by it), and nothing else beside
 * `allowed`. */
void call_query_page(struct call *call, const char *const *allowed, struct page *ret_page);
void call_query_project(struct call *call);
/* Writes "next" as the link of the next page. */
void call_write_next(struct call *call, const char *parameter, const char *cursor);
/* An answer that is a page of a list: what comes between is its items. */
struct writer *call_list_begin(struct call *call, const char *name);
void call_list_end(struct call *call, const char *marker);

/* Whether a path parameter or a query value can be a name at all; the second, whether it can be one
 * of those that are plain ASCII (drivers, kinds). */
bool call_name_is_sound(const char *text);
bool call_word_is_sound(const char *text);

#endif
