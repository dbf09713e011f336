/* SPDX-License-Identifier: Apache-2.0
 *
 * Routes: which function serves which method and path, and which role it takes. The table stands in
 * routes.c; matching knows nothing of HTTP beyond words.
 *
 * Threads: constant data and pure functions.
 */
#ifndef GUTS_API_ROUTE_H
#define GUTS_API_ROUTE_H

#include <stddef.h>

#include "common/base/memory.h"
#include "common/store/access_token.h"

struct call;
typedef bool route_run(struct call *call, struct error *err);

#define ROUTE_PARAMS_MOST 2
struct route {
    const char *method;
    const char *pattern;   /* "/v1/sources/{source}" */
    enum access_role role; /* the least; ACCESS_NONE: anybody */
    route_run *run;
    int argument; /* for functions that serve several routes: an end, a verb */
};
extern const struct route routes[];
extern const size_t route_count;

struct route_match {
    const struct route *route;             /* NULL: none */
    const char *params[ROUTE_PARAMS_MOST]; /* in the order of the pattern, in the arena */
    const char *allow; /* methods of the path, in the arena; NULL: no such path */
};
/* HEAD finds the route of GET. A slash at the end of the path does not count. */
void route_find(const struct route *table, size_t count, const char *method, const char *path,
                struct arena *arena, struct route_match *ret_match);

#endif
