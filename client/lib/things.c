/* SPDX-License-Identifier: Apache-2.0
 *
 * Kinds of things: their paths, pages and verbs; wishes and their outcomes. */
#include <stdio.h>
#include <string.h>

#include "client/lib/session.h"
#include "common/base/clock.h"

#define PAGE_SIZE 1000
#define WISH_EVERY_FIRST_MS 50
#define WISH_EVERY_MOST_MS 1000
#define WISH_OUTAGE_MS 60000

static const char *const paths[GUTS_KIND_COUNT] = {
    [GUTS_SOURCES] = "sources", [GUTS_DESTINATIONS] = "destinations",
    [GUTS_VMS] = "vms",         [GUTS_MIGRATIONS] = "migrations",
    [GUTS_WISHES] = "wishes",   [GUTS_EVENTS] = "events",
    [GUTS_NODES] = "nodes",     [GUTS_SERVICES] = "services",
    [GUTS_DRIVERS] = "drivers",
};

const char *guts_kind_path(enum guts_kind kind)
{
    return paths[kind];
}

static char *thing_path(enum guts_kind kind, const char *what, const char *verb)
{
    CLEANUP(xfreep) char *escaped = guts_escape(what);
    return xasprintf("/%s/%s%s%s", paths[kind], escaped, verb != NULL ? "/" : "",
                     verb != NULL ? verb : "");
}

/* The first page's path: filters and the page's size. */
static char *first_page(enum guts_kind kind, const char *path, const struct guts_filter *filters,
                        size_t filter_count, size_t most)
{
    struct buffer text = {0};
    if (path != NULL)
        buffer_append_text(&text, path);
    else
        buffer_printf(&text, "/%s", paths[kind]);
    /* Services and drivers are few and come whole. */
    bool paged = kind != GUTS_SERVICES && kind != GUTS_DRIVERS;
    char mark = paged ? '&' : '?';
    if (paged)
        buffer_printf(&text, "?limit=%zu", most > 0 && most < PAGE_SIZE ? most : (size_t)PAGE_SIZE);
    for (size_t i = 0; i < filter_count; i++) {
        CLEANUP(xfreep) char *value = guts_escape(filters[i].value);
        buffer_printf(&text, "%c%s=%s", mark, filters[i].name, value);
        mark = '&';
    }
    return text.data;
}

/* The array of a page: {"sources": [...], "next": …} has one. */
static const json_t *page_items(const json_t *page)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)page, key, value)
        if (json_is_array(value))
            return value;
    return NULL;
}

/* Where the next page is, without "/v1"; NULL at the end. */
static char *next_page(const json_t *page)
{
    const char *next = json_string_value(json_object_get(page, "next"));
    if (next == NULL)
        return NULL;
    const char *path = strstr(next, "/v1/");
    return xstrdup(path != NULL ? path + 3 : next);
}

static void take_items(json_t *all, const json_t *page, size_t most)
{
    size_t index;
    json_t *item;
    json_array_foreach(page_items(page), index, item)
        if (most == 0 || json_array_size(all) < most)
            json_array_append(all, item);
}

json_t *guts_list(struct guts *guts, enum guts_kind kind, const char *path,
                  const struct guts_filter *filters, size_t filter_count, size_t most,
                  struct guts_error *err)
{
    json_t *all = json_array();
    char *at = first_page(kind, path, filters, filter_count, most);
    while (at != NULL) {
        CLEANUP(xfreep) char *here = at;
        json_t *page = guts_call(guts, "GET", at, NULL, err);
        if (page == NULL) {
            json_decref(all);
            return NULL;
        }
        take_items(all, page, most);
        bool more = most == 0 || json_array_size(all) < most;
        at = more ? next_page(page) : NULL;
        json_decref(page);
        if (at != NULL && strcmp(at, here) == 0) { /* it would go on for ever */
            free(at);
            at = NULL;
        }
    }
    return all;
}

json_t *guts_show(struct guts *guts, enum guts_kind kind, const char *what, struct guts_error *err)
{
    CLEANUP(xfreep) char *path = thing_path(kind, what, NULL);
    return guts_call(guts, "GET", path, NULL, err);
}

json_t *guts_create(struct guts *guts, enum guts_kind kind, const json_t *body,
                    struct guts_error *err)
{
    CLEANUP(xfreep) char *path = xasprintf("/%s", paths[kind]);
    return guts_call(guts, "POST", path, body, err);
}

json_t *guts_update(struct guts *guts, enum guts_kind kind, const char *what, const json_t *body,
                    struct guts_error *err)
{
    CLEANUP(xfreep) char *path = thing_path(kind, what, NULL);
    return guts_call(guts, "PATCH", path, body, err);
}

json_t *guts_delete(struct guts *guts, enum guts_kind kind, const char *what,
                    struct guts_error *err)
{
    CLEANUP(xfreep) char *path = thing_path(kind, what, NULL);
    return guts_call(guts, "DELETE", path, NULL, err);
}

json_t *guts_act(struct guts *guts, enum guts_kind kind, const char *what, const char *verb,
                 const json_t *body, struct guts_error *err)
{
    CLEANUP(xfreep) char *path = thing_path(kind, what, verb);
    return guts_call(guts, "POST", path, body, err);
}

/* -- wishes --------------------------------------------------------------------------------------- */

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

/* False when the wish has its outcome and that is a no. */
static bool check_outcome(const json_t *wish, bool *ret_ended, struct guts_error *err)
{
    const char *state = text_of(wish, "state");
    *ret_ended = strcmp(state, "open") != 0 && strcmp(state, "taken") != 0;
    if (!*ret_ended || strcmp(state, "done") == 0)
        return true;
    const json_t *fault = json_object_get(wish, "fault");
    guts_error_clear(err);
    err->status = 409;
    snprintf(err->code, sizeof(err->code), "%s", text_of(fault, "code"));
    snprintf(err->title, sizeof(err->title), "%s", text_of(fault, "title"));
    snprintf(err->detail, sizeof(err->detail), "%s", text_of(fault, "detail"));
    snprintf(err->hint, sizeof(err->hint), "%s", text_of(fault, "hint"));
    if (err->code[0] == '\0')
        snprintf(err->code, sizeof(err->code), "%s", state);
    if (err->detail[0] == '\0')
        snprintf(err->detail, sizeof(err->detail), "the wish was %s", state);
    return false;
}

/* Whether to ask again after this error: the API is away, and not for long. */
static bool is_outage(struct guts_error *err, uint64_t *missed_ms)
{
    uint64_t now_ms = clock_mono_ms();
    *missed_ms = *missed_ms > 0 ? *missed_ms : now_ms;
    if ((err->status != 0 && err->status < 500) || now_ms - *missed_ms >= WISH_OUTAGE_MS)
        return false;
    guts_error_clear(err);
    return true;
}

json_t *guts_wish_wait(struct guts *guts, const json_t *answer, uint64_t timeout_ms,
                       const volatile int *stop, struct guts_error *err)
{
    CLEANUP(xfreep) char *id = xstrdup(text_of(json_object_get(answer, "wish"), "id"));
    uint64_t began_ms = clock_mono_ms(), pause_ms = WISH_EVERY_FIRST_MS, missed_ms = 0;
    while (stop == NULL || !*stop) {
        bool ended = false;
        json_t *wish = guts_show(guts, GUTS_WISHES, id, err);
        if (wish == NULL && !is_outage(err, &missed_ms))
            return NULL;
        if (wish != NULL)
            missed_ms = 0;
        if (wish != NULL && check_outcome(wish, &ended, err) && ended)
            return wish;
        json_decref(wish);
        if (ended)
            return NULL;
        if (timeout_ms > 0 && clock_mono_ms() - began_ms >= timeout_ms) {
            guts_fail_text(err, &FAULT_TIMEOUT, "wish %s has no outcome yet; it stands", id);
            return NULL;
        }
        clock_sleep_ms(pause_ms);
        pause_ms = pause_ms * 3 / 2 < WISH_EVERY_MOST_MS ? pause_ms * 3 / 2 : WISH_EVERY_MOST_MS;
    }
    guts_fail_text(err, &FAULT_CANCELLED, "interrupted; wish %s stands", id);
    err->hint[0] = '\0'; /* nothing ended but the wait */
    return NULL;
}
