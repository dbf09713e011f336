/* SPDX-License-Identifier: Apache-2.0 */
#include "common/daemon/health.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/utf8.h"
#include "common/daemon/metrics.h"
#include "common/daemon/notify.h"
#include "common/json/writer.h"

#define PARTS_MOST 16

/* Something that the daemon needs for its work; fine while its text is empty. */
struct part {
    char what[32];
    char text[256];
};

struct health {
    uint64_t loop_deadline_ms;
    _Atomic uint64_t beat_ms;
    pthread_mutex_t lock; /* of the parts */
    struct part parts[PARTS_MOST];
    size_t part_count;
};

struct health *health_new(uint64_t loop_deadline_ms)
{
    struct health *health = xcalloc(1, sizeof(*health));
    health->loop_deadline_ms = loop_deadline_ms;
    health->beat_ms = clock_mono_ms();
    pthread_mutex_init(&health->lock, NULL);
    return health;
}

void health_free(struct health *health)
{
    if (health == NULL)
        return;
    pthread_mutex_destroy(&health->lock);
    free(health);
}

void health_beat(struct health *health)
{
    atomic_store_explicit(&health->beat_ms, clock_mono_ms(), memory_order_relaxed);
    notify_watchdog();
}

static struct part *part_get(struct health *health, const char *what)
{
    for (size_t i = 0; i < health->part_count; i++)
        if (strcmp(health->parts[i].what, what) == 0)
            return &health->parts[i];
    assert(health->part_count < PARTS_MOST);
    struct part *part = &health->parts[health->part_count++];
    snprintf(part->what, sizeof(part->what), "%s", what);
    return part;
}

void health_set(struct health *health, const char *what, const char *text)
{
    size_t length =
        text != NULL ? utf8_cut(text, strlen(text), sizeof(((struct part *)0)->text) - 1) : 0;
    pthread_mutex_lock(&health->lock);
    struct part *part = part_get(health, what);
    if (length > 0)
        memcpy(part->text, text, length);
    part->text[length] = '\0';
    pthread_mutex_unlock(&health->lock);
}

/* -- answers ------------------------------------------------------------------------------------ */

/* How long the loop has been silent beyond its deadline; 0 while it turns. */
static uint64_t silent_ms(struct health *health)
{
    uint64_t now_ms = clock_mono_ms();
    uint64_t beat_ms = atomic_load_explicit(&health->beat_ms, memory_order_relaxed);
    uint64_t since_ms = now_ms > beat_ms ? now_ms - beat_ms : 0;
    return health->loop_deadline_ms > 0 && since_ms > health->loop_deadline_ms ? since_ms : 0;
}

static void answer_alive(struct health *health, struct http_answer *answer)
{
    struct writer writer;
    uint64_t silence_ms = silent_ms(health);
    answer->status = silence_ms == 0 ? 200 : 503;
    answer->content_type = "application/json";
    writer_init(&writer, &answer->body);
    writer_object_begin(&writer, NULL);
    writer_text(&writer, "status", silence_ms == 0 ? "ok" : "stalled");
    if (silence_ms > 0)
        writer_unsigned(&writer, "silent_ms", silence_ms);
    writer_object_end(&writer);
}

static bool write_wanting(struct health *health, struct writer *writer)
{
    bool ready = true;
    writer_object_begin(writer, "wanting");
    pthread_mutex_lock(&health->lock);
    for (size_t i = 0; i < health->part_count; i++) {
        if (health->parts[i].text[0] == '\0')
            continue;
        writer_text(writer, health->parts[i].what, health->parts[i].text);
        ready = false;
    }
    pthread_mutex_unlock(&health->lock);
    if (silent_ms(health) > 0) {
        writer_text(writer, "loop", "the main loop stands still");
        ready = false;
    }
    writer_object_end(writer);
    return ready;
}

static void answer_ready(struct health *health, struct http_answer *answer)
{
    struct writer writer;
    answer->content_type = "application/json";
    writer_init(&writer, &answer->body);
    writer_object_begin(&writer, NULL);
    bool ready = write_wanting(health, &writer);
    writer_text(&writer, "status", ready ? "ready" : "not ready");
    writer_object_end(&writer);
    answer->status = ready ? 200 : 503;
}

static void answer_metrics(struct health *health, struct http_answer *answer)
{
    (void)health;
    answer->status = 200;
    answer->content_type = "text/plain; version=0.0.4; charset=utf-8";
    metrics_write(&answer->body);
}

static void answer_problem(struct http_answer *answer, unsigned status, const char *title)
{
    struct writer writer;
    answer->status = status;
    answer->content_type = "application/problem+json";
    writer_init(&writer, &answer->body);
    writer_object_begin(&writer, NULL);
    writer_unsigned(&writer, "status", status);
    writer_text(&writer, "title", title);
    writer_object_end(&writer);
}

bool health_answer(struct health *health, const struct http_request *request,
                   struct http_answer *answer)
{
    static const struct {
        const char *path;
        void (*answer)(struct health *health, struct http_answer *answer);
    } paths[] = {
        {"/healthz", answer_alive}, {"/readyz", answer_ready}, {"/metrics", answer_metrics}};
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        if (strcmp(request->path, paths[i].path) != 0)
            continue;
        if (strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0) {
            paths[i].answer(health, answer);
        } else {
            answer_problem(answer, 405, "This path can only be read");
            http_answer_header(answer, "Allow", "GET, HEAD");
        }
        return true;
    }
    return false;
}

static void handle(void *context, const struct http_request *request, struct http_answer *answer)
{
    if (!health_answer(context, request, answer))
        answer_problem(answer, 404, "There is no such path; there are /healthz, /readyz, /metrics");
}

bool health_serve(struct health *health, const char *listen, struct http_server **ret_server,
                  struct error *err)
{
    const struct http_server_settings settings = {.listen = listen,
                                                  .threads = 1,
                                                  .connections_most = 32,
                                                  .body_most_bytes = 1024,
                                                  .idle_timeout_ms = 10000,
                                                  .tls_certificate = "",
                                                  .tls_key = ""};
    if (listen[0] != '\0')
        return http_server_open(&settings, handle, health, ret_server, err) ||
               error_prefix(err, "health on \"%s\"", listen);
    *ret_server = NULL;
    return true;
}
