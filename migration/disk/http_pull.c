/* SPDX-License-Identifier: Apache-2.0
 *
 * A disk over few long requests, for servers to which each request is dear: a cursor is one GET from some
 * place to the end, and whoever reads on gets its next bytes. Two of them let tables and data be read in
 * turns. A jump begins another GET.
 */
#include <curl/curl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "migration/disk/disk_ops.h"
#include "migration/disk/http_inner.h"
#include "proto/fault.h"

#define CURSORS 2u
#define MEMORY_BYTES (4u << 20)
#define BUFFER_LEAST_BYTES (64u << 10)
#define BUFFER_MOST_BYTES (64u << 20)
#define SKIP_MOST (4u << 20) /* read and dropped rather than asked for anew */
#define FAILURES_MOST 5u

struct disk_http_pull;
struct cursor {
    struct disk_http_pull *pull;
    CURLM *multi;
    CURL *handle;
    struct http_gate gate;
    struct http_head head;
    bool running;
    bool checked, fits, changed;
    bool paused;
    uint64_t at; /* the place of the buffer's first byte */
    uint64_t used_at;
    size_t first, have;
    size_t capacity;
    uint8_t *buffer;
    char words[CURL_ERROR_SIZE];
};
struct disk_http_pull {
    struct disk disk;
    struct http_thing thing;
    struct curl_slist *headers;
    char *shown;
    const char *const *(*renew)(void *context);
    void *renew_context;
    uint64_t idle_ms;
    uint64_t held_bytes;
    atomic_bool interrupted;
    pthread_mutex_t lock; /* of all below */
    uint64_t clock;
    struct cursor cursors[CURSORS];
};

/* -- what curl calls ------------------------------------------------------------------------------------ */

static size_t take_head(char *line, size_t size, size_t count, void *context)
{
    struct cursor *cursor = context;
    return http_head_take(&cursor->head, line, size * count) ? size * count : 0;
}

static void check_head(struct cursor *cursor)
{
    const struct http_thing *thing = &cursor->pull->thing;
    const struct http_head *head = &cursor->head;
    long status = 0;
    curl_easy_getinfo(cursor->handle, CURLINFO_RESPONSE_CODE, &status);
    bool same = http_thing_is(thing, head, false);
    cursor->checked = true;
    cursor->changed = status == 206 && head->has_range && !same;
    cursor->fits = status == 206 && head->has_range && same &&
                   head->first == cursor->at + cursor->have && head->last == thing->size_bytes - 1;
}

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
    struct cursor *cursor = context;
    size_t length = size * count;
    if (!cursor->checked)
        check_head(cursor);
    if (!cursor->fits || length > cursor->capacity)
        return 0;
    if (length > cursor->capacity - cursor->have) {
        cursor->paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    size_t to = (cursor->first + cursor->have) % cursor->capacity;
    size_t part = length < cursor->capacity - to ? length : cursor->capacity - to;
    memcpy(cursor->buffer + to, data, part);
    memcpy(cursor->buffer, data + part, length - part);
    cursor->have += length;
    return length;
}

/* -- one request ------------------------------------------------------------------------------------------ */

static void cursor_stop(struct cursor *cursor)
{
    if (cursor->running)
        curl_multi_remove_handle(cursor->multi, cursor->handle);
    cursor->running = false;
}

/* From behind what is there already to the end. */
static void cursor_start(struct cursor *cursor)
{
    char range[32];
    cursor_stop(cursor);
    snprintf(range, sizeof(range), "%" PRIu64 "-", cursor->at + cursor->have);
    curl_easy_setopt(cursor->handle, CURLOPT_RANGE, range);
    cursor->checked = cursor->fits = cursor->changed = cursor->paused = false;
    memset(&cursor->head, 0, sizeof(cursor->head));
    cursor->words[0] = 0;
    curl_multi_add_handle(cursor->multi, cursor->handle);
    cursor->running = true;
}

static bool cursor_failed(const struct cursor *cursor, CURLcode code, struct error *err)
{
    const char *shown = cursor->pull->shown;
    long status = 0;
    curl_easy_getinfo(cursor->handle, CURLINFO_RESPONSE_CODE, &status);
    if (cursor->changed || status == 412 || status == 416)
        return error_set(err, &FAULT_SOURCE_CHANGED, "\"%s\" is no longer what was being read",
                         shown);
    if (status >= 300)
        return http_status_fail(err, shown, status);
    if (cursor->checked && !cursor->fits)
        return error_set(err, &FAULT_IO, "\"%s\": answered another range", shown);
    if (code != CURLE_OK)
        return http_fail(err, shown, (int)code, cursor->words, &cursor->gate);
    return error_set(err, &FAULT_IO, "\"%s\": an answer too short", shown);
}

/* Moves bytes until there are some, or the request is over (then false). */
static bool cursor_move(struct cursor *cursor, struct error *err)
{
    struct disk_http_pull *pull = cursor->pull;
    uint64_t until_ms = clock_mono_ms() + pull->idle_ms;
    size_t before = cursor->have;
    int running = 1, left;
    if (cursor->paused) {
        cursor->paused = false;
        curl_easy_pause(cursor->handle, CURLPAUSE_CONT);
    }
    while (cursor->have == before) {
        if (atomic_load(&pull->interrupted))
            return error_set(err, &FAULT_CANCELLED, "\"%s\": interrupted", pull->shown);
        if (clock_mono_ms() > until_ms)
            return error_set(err, &FAULT_TIMEOUT, "\"%s\": gives no more bytes", pull->shown);
        curl_multi_perform(cursor->multi, &running);
        if (cursor->have != before)
            return true;
        const CURLMsg *message = curl_multi_info_read(cursor->multi, &left);
        if (message != NULL && message->msg == CURLMSG_DONE)
            return cursor_failed(cursor, message->data.result, err);
        curl_multi_poll(cursor->multi, NULL, 0, 100, NULL);
    }
    return true;
}

static bool is_hopeless(const struct error *err)
{
    return err->fault == &FAULT_SOURCE_CHANGED || err->fault == &FAULT_DENIED ||
           err->fault == &FAULT_NOT_FOUND || err->fault == &FAULT_UNSUPPORTED ||
           err->fault == &FAULT_ADDRESS_NOT_ALLOWED || err->fault == &FAULT_CANCELLED;
}

/* Both begin again with other headers: a token had come to its end. */
static bool renew(struct disk_http_pull *pull)
{
    const char *const *headers = pull->renew != NULL ? pull->renew(pull->renew_context) : NULL;
    if (headers == NULL)
        return false;
    struct http_plan plan = {.headers = headers};
    struct curl_slist *list = http_headers_new(&plan, NULL);
    for (unsigned i = 0; i < CURSORS; i++) {
        cursor_stop(&pull->cursors[i]);
        curl_easy_setopt(pull->cursors[i].handle, CURLOPT_HTTPHEADER, list);
    }
    http_headers_free(pull->headers);
    pull->headers = list;
    return true;
}

/* At least one byte in the buffer; a request that broke is begun again from there. */
static bool cursor_fill(struct cursor *cursor, struct error *err)
{
    for (unsigned failed = 0; cursor->have == 0;) {
        if (!cursor->running)
            cursor_start(cursor);
        if (cursor_move(cursor, err))
            break;
        cursor_stop(cursor);
        failed++;
        bool renewed = err->fault == &FAULT_DENIED && failed <= 2 && renew(cursor->pull);
        if ((is_hopeless(err) && !renewed) || failed > FAILURES_MOST)
            return false;
        clock_sleep_ms(clock_backoff_ms(failed, 200, 5000));
    }
    return true;
}

/* -- reading ----------------------------------------------------------------------------------------------- */

static void drop(struct cursor *cursor, size_t length)
{
    cursor->first = (cursor->first + length) % cursor->capacity;
    cursor->have -= length;
    cursor->at += length;
}

/* The one that comes by soonest, or the one that was idle longest, set there. */
static struct cursor *choose(struct disk_http_pull *pull, uint64_t offset)
{
    struct cursor *best = NULL, *oldest = &pull->cursors[0];
    for (unsigned i = 0; i < CURSORS; i++) {
        struct cursor *cursor = &pull->cursors[i];
        bool near = cursor->used_at > 0 && cursor->at <= offset && offset - cursor->at <= SKIP_MOST;
        if (near && (best == NULL || cursor->at > best->at))
            best = cursor;
        if (cursor->used_at < oldest->used_at)
            oldest = cursor;
    }
    if (best == NULL) {
        best = oldest;
        cursor_stop(best);
        best->at = offset;
        best->first = best->have = 0;
    }
    best->used_at = ++pull->clock;
    return best;
}

static bool pull_read(struct disk *disk, void *ret_data, size_t length, uint64_t offset,
                      struct error *err)
{
    struct disk_http_pull *pull = (struct disk_http_pull *)disk;
    uint8_t *to = ret_data;
    bool good = true;
    pthread_mutex_lock(&pull->lock);
    struct cursor *cursor = choose(pull, offset);
    while (length > 0 && (good = cursor_fill(cursor, err))) {
        uint64_t skip = offset - cursor->at;
        size_t part = cursor->have;
        if (skip > 0) {
            drop(cursor, skip < part ? (size_t)skip : part);
            continue;
        }
        part = part < cursor->capacity - cursor->first ? part : cursor->capacity - cursor->first;
        part = part < length ? part : length;
        memcpy(to, cursor->buffer + cursor->first, part);
        drop(cursor, part);
        to += part;
        offset += part;
        length -= part;
    }
    pthread_mutex_unlock(&pull->lock);
    return good;
}

static void pull_interrupt(struct disk *disk)
{
    atomic_store(&((struct disk_http_pull *)disk)->interrupted, true);
}

static void pull_close(struct disk *disk)
{
    struct disk_http_pull *pull = (struct disk_http_pull *)disk;
    for (unsigned i = 0; i < CURSORS; i++) {
        cursor_stop(&pull->cursors[i]);
        curl_easy_cleanup(pull->cursors[i].handle);
        curl_multi_cleanup(pull->cursors[i].multi);
        free(pull->cursors[i].buffer);
    }
    http_headers_free(pull->headers);
    free(pull->thing.validator);
    free(pull->shown);
    pthread_mutex_destroy(&pull->lock);
    disk_fini(disk);
    free(pull);
}

static const struct disk_ops ops = {
    .name = "http-pull",
    .read = pull_read,
    .interrupt = pull_interrupt,
    .close = pull_close,
};

/* -- opening ------------------------------------------------------------------------------------------------- */

/* What curl gives at once has to fit. */
static void cursor_init(struct cursor *cursor, struct disk_http_pull *pull,
                        const struct http_plan *plan)
{
    uint64_t memory = (plan->memory_bytes > 0 ? plan->memory_bytes : MEMORY_BYTES) / CURSORS;
    size_t received = http_buffer_bytes(memory);
    memory = memory > BUFFER_LEAST_BYTES + received ? memory - received : BUFFER_LEAST_BYTES;
    cursor->pull = pull;
    cursor->capacity = memory < BUFFER_MOST_BYTES ? (size_t)memory : BUFFER_MOST_BYTES;
    cursor->buffer = xcalloc(1, cursor->capacity);
    pull->held_bytes += cursor->capacity + received;
    cursor->multi = curl_multi_init();
    if (cursor->multi == NULL)
        abort();
    cursor->handle = http_handle_new(plan, &cursor->gate);
    curl_easy_setopt(cursor->handle, CURLOPT_BUFFERSIZE, (long)received);
    curl_easy_setopt(cursor->handle, CURLOPT_HTTPHEADER, pull->headers);
    curl_easy_setopt(cursor->handle, CURLOPT_HEADERFUNCTION, take_head);
    curl_easy_setopt(cursor->handle, CURLOPT_HEADERDATA, cursor);
    curl_easy_setopt(cursor->handle, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(cursor->handle, CURLOPT_WRITEDATA, cursor);
    curl_easy_setopt(cursor->handle, CURLOPT_ERRORBUFFER, cursor->words);
    curl_easy_setopt(cursor->handle, CURLOPT_LOW_SPEED_TIME, 0L); /* see cursor_move */
}

bool disk_http_pull_open(const struct http_plan *plan, struct disk **ret_disk, struct error *err)
{
    struct http_thing thing = {0};
    if (!http_probe(plan, &thing, err))
        return false;
    struct disk_http_pull *pull = xcalloc(1, sizeof(*pull));
    pull->thing = thing;
    pull->shown = http_shown(plan->url);
    pull->headers = http_headers_new(plan, NULL);
    pull->renew = plan->renew;
    pull->renew_context = plan->renew_context;
    pull->idle_ms = (plan->idle_seconds > 0 ? plan->idle_seconds : 30) * 1000ull;
    pthread_mutex_init(&pull->lock, NULL);
    for (unsigned i = 0; i < CURSORS; i++)
        cursor_init(&pull->cursors[i], pull, plan);
    disk_init(&pull->disk, &ops, xstrdup(pull->shown),
              thing.validator != NULL ? xstrdup(thing.validator) : NULL, thing.size_bytes,
              DISK_SEQUENTIAL, 1);
    pull->disk.held_bytes = pull->held_bytes;
    *ret_disk = &pull->disk;
    return true;
}
