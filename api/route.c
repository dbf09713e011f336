/* SPDX-License-Identifier: Apache-2.0 */
#include "api/route.h"

#include <string.h>

#include "common/http/server.h"

struct span {
    const char *start;
    size_t length;
};

static const char *segment_end(const char *at)
{
    while (*at != '\0' && *at != '/')
        at++;
    return at;
}

/* One segment of the path against one of the pattern; a parameter takes any that is not empty. */
static bool segment_fits(struct span pattern, struct span path, struct span *spans, size_t *count)
{
    if (pattern.length == 0 || pattern.start[0] != '{')
        return pattern.length == path.length && memcmp(pattern.start, path.start, path.length) == 0;
    if (path.length == 0 || *count == ROUTE_PARAMS_MOST)
        return false;
    spans[(*count)++] = path;
    return true;
}

static bool pattern_fits(const char *pattern, const char *path, struct span *ret_spans,
                         size_t *ret_count)
{
    *ret_count = 0;
    while (*pattern == '/' && *path == '/') {
        const char *pattern_end = segment_end(++pattern), *path_end = segment_end(++path);
        struct span wanted = {pattern, (size_t)(pattern_end - pattern)};
        struct span given = {path, (size_t)(path_end - path)};
        if (!segment_fits(wanted, given, ret_spans, ret_count))
            return false;
        pattern = pattern_end;
        path = path_end;
    }
    return *pattern == '\0' && (*path == '\0' || (path[0] == '/' && path[1] == '\0'));
}

static bool method_fits(const char *has, const char *asked)
{
    return strcmp(has, asked) == 0 || (strcmp(asked, "HEAD") == 0 && strcmp(has, "GET") == 0);
}

static const char *param_of(const struct span *span, struct arena *arena)
{
    char *text = arena_strndup(arena, span->start, span->length);
    http_path_decode(text);
    return text;
}

static void allow_add(struct route_match *match, const char *method, struct arena *arena)
{
    const char *shown = strcmp(method, "GET") == 0 ? "GET, HEAD" : method;
    match->allow = match->allow == NULL ? arena_printf(arena, "OPTIONS, %s", shown)
                                        : arena_printf(arena, "%s, %s", match->allow, shown);
}

void route_find(const struct route *table, size_t count, const char *method, const char *path,
                struct arena *arena, struct route_match *ret_match)
{
    struct span spans[ROUTE_PARAMS_MOST];
    size_t span_count;
    *ret_match = (struct route_match){0};
    for (size_t i = 0; i < count; i++) {
        if (!pattern_fits(table[i].pattern, path, spans, &span_count))
            continue;
        if (method_fits(table[i].method, method)) {
            ret_match->route = &table[i];
            for (size_t n = 0; n < span_count; n++)
                ret_match->params[n] = param_of(&spans[n], arena);
            return;
        }
        allow_add(ret_match, table[i].method, arena);
    }
}
