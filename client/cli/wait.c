/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/wait.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/progress.h"
#include "common/base/clock.h"
#include "common/base/memory.h"

#define LOOK_EVERY_MS 500
#define OUTAGE_MOST_MS (15ull * 60 * 1000) /* an API that is away for so long ends the wait */

struct waiting {
    struct session *session;
    struct progress *progress;
    const char **ids;
    bool *ended;
    size_t count, left;
    size_t other_than_asked;
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
    const char *state = output_text(migration, "state");
    if (is_good(state, waiting->good))
        return;
    waiting->other_than_asked++;
    CLEANUP(xfreep) char *name = output_clean(output_text(migration, "vm_name"));
    CLEANUP(xfreep) char *text = output_clean(output_text(migration, "fault.detail"));
    const char *code = output_text(migration, "fault.code");
    if (code[0] != '\0')
        progress_say(waiting->progress, "%s: %s [%s]", name, text, code);
    progress_say(waiting->progress, "%s: see: guts migration show %s", name,
                 output_text(migration, "id"));
}

/* False ends the wait: the API says no, or was away for too long. */
static bool look_at(struct waiting *waiting, size_t index, int *ret_status)
{
    struct guts_error err = {0};
    json_t *migration =
        guts_show(waiting->session->guts, GUTS_MIGRATIONS, waiting->ids[index], &err);
    if (migration != NULL) {
        waiting->outage_ms = 0;
        progress_update(waiting->progress, migration);
        if (progress_is_resting(migration)) {
            waiting->ended[index] = true;
            waiting->left--;
            tell_end(waiting, migration);
        }
        json_decref(migration);
        return true;
    }
    bool passing = err.status == 0 || err.status >= 500;
    uint64_t now_ms = clock_mono_ms();
    if (passing && waiting->outage_ms == 0) {
        progress_say(waiting->progress, "the API does not answer (%s); waiting", err.code);
        waiting->outage_ms = now_ms;
    }
    if (passing && now_ms - waiting->outage_ms < OUTAGE_MOST_MS) {
        guts_error_clear(&err);
        return true;
    }
    *ret_status = output_error(&err);
    return false;
}

static int turn(struct waiting *waiting)
{
    uint64_t began_ms = clock_mono_ms();
    uint64_t limit_ms = waiting->session->wait_ms;
    int status = EXIT_DONE;
    while (waiting->left > 0) {
        for (size_t i = 0; i < waiting->count && !interrupted; i++)
            if (!waiting->ended[i] && !look_at(waiting, i, &status))
                return status;
        progress_draw(waiting->progress);
        if (interrupted) {
            progress_say(waiting->progress,
                         "interrupted: the migrations go on; see: guts migration list");
            return EXIT_INTERRUPTED;
        }
        if (limit_ms > 0 && clock_mono_ms() - began_ms >= limit_ms) {
            progress_say(waiting->progress, "%zu not ended in time; they go on", waiting->left);
            return EXIT_TIMED_OUT;
        }
        if (waiting->left > 0)
            clock_sleep_ms(LOOK_EVERY_MS);
    }
    return waiting->other_than_asked > 0 ? EXIT_UNFINISHED : EXIT_DONE;
}

int wait_for_migrations(struct session *session, const json_t *ids, const char *good)
{
    struct waiting waiting = {.session = session, .good = good, .count = json_array_size(ids)};
    waiting.ids = xcalloc(waiting.count + 1, sizeof(*waiting.ids));
    waiting.ended = xcalloc(waiting.count + 1, sizeof(*waiting.ended));
    for (size_t i = 0; i < waiting.count; i++)
        waiting.ids[i] = json_string_value(json_array_get(ids, i));
    waiting.left = waiting.count;
    waiting.progress = progress_new(session->output.format == OUTPUT_TABLE ? stdout : stderr);
    int status = turn(&waiting);
    progress_draw(waiting.progress);
    progress_free(waiting.progress);
    free(waiting.ids);
    free(waiting.ended);
    return status;
}
