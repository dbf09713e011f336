/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/wait.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/progress.h"
#include "common/base/clock.h"
#include "common/base/memory.h"

#define LOOK_EVERY_MS 500
#define REQUEST_EVERY_MS 125 /* at most eight requests a second, however many are waited for */
#define FEW 4                /* so many are looked at one by one in each turn, more are listed */
#define PAGE_ROWS 1000
#define OUTAGE_MOST_MS (15ull * 60 * 1000) /* an API that is away for so long ends the wait */

struct waiting {
    struct session *session;
    struct progress *progress;
    const char **ids;
    bool *ended, *seen; /* seen: in this turn's lists */
    json_t *positions;  /* id: index */
    size_t count, left, next;
    size_t other_than_asked, not_found;
    unsigned requests; /* of this turn */
    bool missed;       /* in this turn the API did not answer */
    const char *good;
    uint64_t outage_ms; /* when the API was first missed; 0: it is there */
};

static bool is_good(const char *state, const char *good)
{
    if (good == NULL)
        return true;
    size_t length = strlen(state);
    for (const char *p = good; *p != '\0'; p += strcspn(p, "|") + (p[strcspn(p, "|")] == '|'))
        if (strcspn(p, "|") == length && strncmp(p, state, length) == 0)
            return true;
    return false;
}

static void tell_end(struct waiting *waiting, const json_t *migration)
{
    if (is_good(output_text(migration, "state"), waiting->good))
        return;
    waiting->other_than_asked++;
    CLEANUP(xfreep) char *name = output_clean(output_text(migration, "vm_name"));
    CLEANUP(xfreep) char *text = output_clean(output_text(migration, "fault.detail"));
    CLEANUP(xfreep) char *hint = output_clean(output_text(migration, "fault.hint"));
    CLEANUP(xfreep) char *code = output_clean(output_text(migration, "fault.code"));
    CLEANUP(xfreep) char *id = output_clean(output_text(migration, "id"));
    if (code[0] != '\0')
        progress_say(waiting->progress, "%s: %s [%s]", name, text, code);
    if (hint[0] != '\0')
        progress_say(waiting->progress, "hint: %s", hint);
    progress_say(waiting->progress, "%s: see: guts migration show %s", name, id);
}

static void take(struct waiting *waiting, size_t index, const json_t *migration)
{
    progress_update(waiting->progress, migration);
    if (!progress_is_resting(migration))
        return;
    waiting->ended[index] = true;
    waiting->left--;
    tell_end(waiting, migration);
}

/* -- what goes wrong ------------------------------------------------------------------------------ */

/* False ends the wait: the API says no, or was away for too long. */
static bool bear(struct waiting *waiting, struct guts_error *err, int *ret_status)
{
    uint64_t now_ms = clock_mono_ms();
    waiting->missed = true;
    bool passing = err->status == 0 || err->status == 429 || err->status >= 500;
    if (passing && !interrupted && waiting->outage_ms == 0) {
        CLEANUP(xfreep) char *code = output_clean(err->code);
        progress_say(waiting->progress, "the API does not answer (%s); waiting", code);
        waiting->outage_ms = now_ms;
    }
    if (interrupted || (passing && now_ms - waiting->outage_ms < OUTAGE_MOST_MS)) {
        guts_error_clear(err);
        return true;
    }
    *ret_status = output_error(err);
    return false;
}

static void answered(struct waiting *waiting)
{
    if (waiting->outage_ms > 0)
        progress_say(waiting->progress, "the API answers again");
    waiting->outage_ms = 0;
}

/* Somebody deleted it, or it never was; the others are still waited for. */
static void lose(struct waiting *waiting, size_t index, struct guts_error *err)
{
    CLEANUP(xfreep) char *id = output_clean(waiting->ids[index]);
    progress_say(waiting->progress, "%s: there is no such migration [not_found]", id);
    guts_error_clear(err);
    waiting->ended[index] = true;
    waiting->left--;
    waiting->not_found++;
}

/* -- looking -------------------------------------------------------------------------------------- */

static bool look_at(struct waiting *waiting, size_t index, int *ret_status)
{
    struct guts_error err = {0};
    waiting->requests++;
    json_t *migration =
        guts_show(waiting->session->guts, GUTS_MIGRATIONS, waiting->ids[index], &err);
    if (migration == NULL && err.status != 404)
        return bear(waiting, &err, ret_status);
    answered(waiting);
    if (migration == NULL)
        lose(waiting, index, &err);
    else
        take(waiting, index, migration);
    json_decref(migration);
    return true;
}

static size_t take_page(struct waiting *waiting, const json_t *page)
{
    size_t row, found = 0;
    json_t *migration;
    json_array_foreach(json_object_get(page, "migrations"), row, migration) {
        const json_t *position = json_object_get(waiting->positions, output_text(migration, "id"));
        size_t index = (size_t)json_integer_value(position);
        if (position == NULL || waiting->ended[index] || waiting->seen[index])
            continue;
        waiting->seen[index] = true;
        found++;
        take(waiting, index, migration);
    }
    return found;
}

/* Reads the newest migrations, page by page, until all that are waited for were seen or a page had none
 * of them. Who is not among them is looked at by itself. */
static bool look_at_lists(struct waiting *waiting, int *ret_status)
{
    size_t missing = waiting->left, found = 1;
    char *path = xasprintf("/migrations?limit=%d&order=desc", PAGE_ROWS);
    bool fine = true;
    while (path != NULL && missing > 0 && found > 0 && fine && !interrupted) {
        struct guts_error err = {0};
        waiting->requests++;
        json_t *page = guts_call(waiting->session->guts, "GET", path, NULL, &err);
        free(path);
        path = NULL;
        if (page == NULL) {
            fine = bear(waiting, &err, ret_status);
            break;
        }
        answered(waiting);
        found = take_page(waiting, page);
        missing -= found;
        const char *next = output_text(page, "next");
        path = strncmp(next, "/v1/", 4) == 0 ? xstrdup(next + 3) : NULL;
        json_decref(page);
    }
    free(path);
    return fine;
}

/* The next few of those that lists did or did not show. An outage ends the round: each request of it
 * would wait for its time-out. */
static bool look_at_few(struct waiting *waiting, size_t from, bool seen, int *ret_status)
{
    for (size_t i = 0, looks = 0; i < waiting->count && looks < FEW; i++) {
        size_t index = (from + i) % waiting->count;
        if (interrupted || waiting->missed)
            return true;
        if (waiting->ended[index] || waiting->seen[index] != seen)
            continue;
        looks++;
        if (!seen)
            waiting->next = index + 1;
        if (!look_at(waiting, index, ret_status))
            return false;
    }
    return true;
}

/* One round. Bars need more than lists tell: the first few have them. */
static bool look(struct waiting *waiting, int *ret_status)
{
    bool many = waiting->left > FEW;
    waiting->requests = 0;
    waiting->missed = false;
    memset(waiting->seen, 0, waiting->count * sizeof(*waiting->seen));
    if (!many) {
        for (size_t i = 0; i < waiting->count && !interrupted && !waiting->missed; i++)
            if (!waiting->ended[i] && !look_at(waiting, i, ret_status))
                return false;
        return true;
    }
    return look_at_lists(waiting, ret_status) &&
           look_at_few(waiting, waiting->next, false, ret_status) &&
           look_at_few(waiting, 0, true, ret_status);
}

static int turn(struct waiting *waiting)
{
    uint64_t began_ms = clock_mono_ms();
    uint64_t limit_ms = waiting->session->wait_ms;
    int status = EXIT_DONE;
    while (waiting->left > 0) {
        if (!look(waiting, &status))
            return status;
        progress_draw(waiting->progress);
        if (interrupted) {
            progress_say(waiting->progress,
                         "interrupted: the migrations go on; see: guts migration list");
            return EXIT_INTERRUPTED;
        }
        if (waiting->left > 0 && limit_ms > 0 && clock_mono_ms() - began_ms >= limit_ms) {
            progress_say(waiting->progress, "%zu not ended in time; they go on", waiting->left);
            return EXIT_TIMED_OUT;
        }
        uint64_t pause_ms = (uint64_t)waiting->requests * REQUEST_EVERY_MS;
        if (waiting->left > 0)
            clock_sleep_ms(pause_ms > LOOK_EVERY_MS ? pause_ms : LOOK_EVERY_MS);
    }
    if (waiting->other_than_asked > 0)
        return EXIT_UNFINISHED;
    return waiting->not_found > 0 ? EXIT_NOT_FOUND : EXIT_DONE;
}

int wait_for_migrations(struct session *session, const json_t *ids, const char *good)
{
    struct waiting waiting = {.session = session, .good = good, .positions = json_object()};
    waiting.ids = xcalloc(json_array_size(ids) + 1, sizeof(*waiting.ids));
    waiting.ended = xcalloc(json_array_size(ids) + 1, sizeof(*waiting.ended));
    waiting.seen = xcalloc(json_array_size(ids) + 1, sizeof(*waiting.seen));
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const char *id = json_string_value(json_array_get(ids, i));
        if (json_object_get(waiting.positions, id) != NULL)
            continue; /* named twice */
        json_object_set_new(waiting.positions, id, json_integer((json_int_t)waiting.count));
        waiting.ids[waiting.count++] = id;
    }
    waiting.left = waiting.count;
    waiting.progress = progress_new(session->output.format == OUTPUT_TABLE ? stdout : stderr);
    int status = turn(&waiting);
    progress_draw(waiting.progress);
    progress_free(waiting.progress);
    json_decref(waiting.positions);
    free(waiting.ids);
    free(waiting.ended);
    free(waiting.seen);
    return status;
}
