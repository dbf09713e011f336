/* SPDX-License-Identifier: Apache-2.0
 *
 * A disk over one GET, from the beginning on. Bytes go from the connection into a buffer while somebody
 * reads; when it is full the request is paused, and what comes waits with the kernel and the peer.
 */
#include <curl/curl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "migration/disk/disk_ops.h"
#include "migration/disk/http_inner.h"
#include "proto/fault.h"

#define BUFFER_BYTES (1u << 20)
#define TICK_MS 500
#define REQUESTS_MOST 1000u /* of one disk, however each moves */

struct once {
    struct disk disk;
    CURL *handle;
    CURLM *multi;
    struct curl_slist *headers; /* the plan's, and what guards a continuation */
    struct curl_slist *guarded;
    struct http_gate gate;
    char *shown;
    uint64_t idle_ms;
    unsigned retries;
    unsigned requests;
    _Atomic bool interrupted;
    uint64_t at; /* bytes given to readers */
    /* Of the request that runs: */
    struct http_head head;
    char words[CURL_ERROR_SIZE];
    struct http_answer answer;
    bool judged;
    bool refused;  /* its head does not fit: err says why */
    uint64_t skip; /* bytes to be dropped before those that are wanted */
    bool paused;
    bool ended;
    CURLcode code;
    struct error err;
    size_t from; /* of the buffer: what is there and not yet given */
    size_t until;
    uint8_t buffer[BUFFER_BYTES + CURL_MAX_WRITE_SIZE];
    char validator[256];
};

static size_t take_head(char *line, size_t size, size_t count, void *context)
{
    return http_head_take(context, line, size * count) ? size * count : 0;
}

/* -- judging an answer ---------------------------------------------------------------------------- */

static const char *validator_of(const struct http_head *head)
{
    bool strong = head->etag[0] != 0 && strncmp(head->etag, "W/", 2) != 0;
    return strong ? head->etag : "";
}

static bool judge_first(struct once *once, long status)
{
    const struct http_head *head = &once->head;
    if (status != 200 || !head->has_length)
        return error_set(&once->err, &FAULT_UNSUPPORTED, "\"%s\": tells no length", once->shown);
    if (head->length > DISK_SIZE_MOST)
        return error_set(&once->err, &FAULT_DISK_INVALID, "\"%s\": an absurd length", once->shown);
    once->disk.size_bytes = head->length;
    snprintf(once->validator, sizeof(once->validator), "%s", validator_of(head));
    once->disk.identity = xasprintf("http %" PRIu64 " %s", head->length,
                                    once->validator[0] != 0 ? once->validator : "unnamed");
    return true;
}

/* The rest of the thing, or all of it again when that is surely the same. */
static bool judge_next(struct once *once, long status)
{
    const struct http_head *head = &once->head;
    bool same = once->validator[0] != 0 && strcmp(validator_of(head), once->validator) == 0;
    if (status == 206 && head->has_range && head->first == once->at &&
        head->total == once->disk.size_bytes && head->last + 1 == head->total)
        return strcmp(validator_of(head), once->validator) == 0 ||
               error_set(&once->err, &FAULT_SOURCE_CHANGED,
                         "\"%s\" is no longer what was being read", once->shown);
    if (status == 200 && head->has_length && head->length == once->disk.size_bytes && same) {
        once->skip = once->at;
        return true;
    }
    if (status == 200 || status == 206)
        return error_set(&once->err, &FAULT_SOURCE_CHANGED,
                         "\"%s\" broke at %" PRIu64 " and cannot be gone on with", once->shown,
                         once->at);
    return http_status_fail(&once->err, once->shown, status);
}

static bool judge(struct once *once)
{
    long status = 0;
    curl_easy_getinfo(once->handle, CURLINFO_RESPONSE_CODE, &status);
    once->judged = true;
    once->answer.status = status;
    if (status < 200 || status >= 300)
        return true; /* its body is read for its words */
    return once->disk.identity == NULL ? judge_first(once, status) : judge_next(once, status);
}

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
    struct once *once = context;
    size_t length = size * count, skipped = 0;
    if (!once->judged && !judge(once)) {
        once->refused = true;
        return 0;
    }
    if (once->answer.status >= 300) {
        http_answer_add(&once->answer, data, length);
        return once->answer.length + 1 < sizeof(once->answer.body) ? length : 0;
    }
    if (once->until >= BUFFER_BYTES) {
        once->paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    skipped = once->skip < length ? (size_t)once->skip : length;
    once->skip -= skipped;
    if (length - skipped > sizeof(once->buffer) - once->until)
        return 0; /* curl gives no such pieces */
    memcpy(once->buffer + once->until, data + skipped, length - skipped);
    once->until += length - skipped;
    return length;
}

/* -- requests ------------------------------------------------------------------------------------- */

static void request_begin(struct once *once)
{
    char range[32] = "";
    if (once->at > 0)
        snprintf(range, sizeof(range), "%" PRIu64 "-", once->at);
    curl_easy_setopt(once->handle, CURLOPT_RANGE, once->at > 0 ? range : NULL);
    curl_easy_setopt(once->handle, CURLOPT_HTTPHEADER,
                     once->at > 0 && once->guarded != NULL ? once->guarded : once->headers);
    once->head = (struct http_head){0};
    once->answer = (struct http_answer){0};
    once->judged = once->refused = once->paused = once->ended = false;
    once->skip = 0;
    once->from = once->until = 0;
    once->words[0] = 0;
    once->requests++;
    curl_multi_add_handle(once->multi, once->handle);
}

static void request_end(struct once *once, CURLcode code)
{
    once->ended = true;
    once->code = code;
    curl_multi_remove_handle(once->multi, once->handle);
}

/* Runs the request until there are bytes, or it ended, or nothing came for too long. */
static bool request_run(struct once *once, struct error *err)
{
    uint64_t begun_ms = clock_mono_ms(), skip = once->skip;
    while (once->from == once->until && !once->ended) {
        int running = 0, left = 0;
        if (once->paused) {
            once->paused = false;
            curl_easy_pause(once->handle, CURLPAUSE_CONT);
        }
        curl_multi_perform(once->multi, &running);
        const CURLMsg *message = curl_multi_info_read(once->multi, &left);
        if (message != NULL)
            request_end(once, message->data.result);
        if (once->skip != skip) {
            skip = once->skip;
            begun_ms = clock_mono_ms();
        }
        if (once->interrupted)
            return error_set(err, &FAULT_IO, "%s: interrupted", once->disk.description);
        if (clock_mono_ms() - begun_ms > once->idle_ms)
            return error_set(err, &FAULT_TIMEOUT, "\"%s\": gives no bytes", once->shown);
        if (once->from == once->until && !once->ended && !once->paused)
            curl_multi_poll(once->multi, NULL, 0, TICK_MS, NULL);
    }
    return true;
}

/* What an ended request that did not give all says. */
static bool request_fault(struct once *once, struct error *err)
{
    if (once->refused) {
        *err = once->err;
        return false;
    }
    if (once->answer.status >= 300)
        return http_answer_fail(err, once->shown, &once->answer);
    if (once->code != CURLE_OK)
        return http_fail(err, once->shown, once->code, once->words, &once->gate);
    return error_set(err, &FAULT_IO, "\"%s\": ends too early", once->shown);
}

static bool is_hopeless(const struct error *err)
{
    return err->fault != &FAULT_IO && err->fault != &FAULT_UNAVAILABLE &&
           err->fault != &FAULT_TIMEOUT;
}

static bool wait_before(struct once *once, unsigned attempt)
{
    uint64_t until = clock_mono_ms() + clock_backoff_ms(attempt, 200, 5000);
    while (clock_mono_ms() < until && !once->interrupted) {
        struct timespec tick = {0, 50 * 1000000L};
        nanosleep(&tick, NULL);
    }
    return !once->interrupted;
}

/* Makes bytes stand in the buffer; a request that breaks is followed by another. */
static bool fill(struct once *once, struct error *err)
{
    for (unsigned failed = 1;; failed++) {
        struct error fault = {0};
        bool ok = request_run(once, &fault);
        if (once->from < once->until)
            return true;
        if (ok)
            (void)request_fault(once, &fault);
        if (!once->ended)
            request_end(once, CURLE_ABORTED_BY_CALLBACK);
        if (is_hopeless(&fault) || failed > once->retries || once->requests >= REQUESTS_MOST ||
            !wait_before(once, failed)) {
            *err = fault;
            return false;
        }
        request_begin(once);
    }
}

static bool once_read(struct disk *disk, void *ret_data, size_t length, uint64_t offset,
                      struct error *err)
{
    struct once *once = (struct once *)disk;
    uint8_t *to = ret_data;
    if (offset != once->at)
        return error_set(err, &FAULT_INVALID, "%s: %" PRIu64 " after %" PRIu64, disk->description,
                         offset, once->at);
    while (length > 0) {
        if (once->from == once->until) {
            once->from = once->until = 0;
            if (!fill(once, err))
                return false;
        }
        size_t there = once->until - once->from;
        size_t step = there < length ? there : length;
        memcpy(to, once->buffer + once->from, step);
        once->from += step;
        once->at += step;
        to += step;
        length -= step;
    }
    return true;
}

/* -- opening and closing -------------------------------------------------------------------------- */

static void once_interrupt(struct disk *disk)
{
    struct once *once = (struct once *)disk;
    once->interrupted = true;
    curl_multi_wakeup(once->multi);
}

static void once_close(struct disk *disk)
{
    struct once *once = (struct once *)disk;
    if (!once->ended)
        request_end(once, CURLE_ABORTED_BY_CALLBACK);
    curl_multi_cleanup(once->multi);
    curl_easy_cleanup(once->handle);
    http_headers_free(once->headers);
    http_headers_free(once->guarded);
    free(once->shown);
    disk_fini(disk);
    free(once);
}

static const struct disk_ops once_ops = {
    .name = "http once",
    .read = once_read,
    .close = once_close,
    .interrupt = once_interrupt,
};

static struct once *once_new(const struct http_plan *plan)
{
    struct once *once = xcalloc(1, sizeof(*once));
    once->shown = http_shown(plan->url);
    disk_init(&once->disk, &once_ops, xasprintf("http %s", once->shown), NULL, 0, DISK_SEQUENTIAL,
              1);
    once->disk.held_bytes = sizeof(once->buffer) + http_buffer_bytes(UINT64_MAX);
    once->idle_ms = (plan->idle_seconds > 0 ? plan->idle_seconds : 30) * 1000ull;
    once->retries = plan->retries > 0 ? plan->retries : 5;
    once->handle = http_handle_new(plan, &once->gate);
    once->multi = curl_multi_init();
    if (once->multi == NULL)
        abort();
    once->headers = http_headers_new(plan, NULL);
    curl_easy_setopt(once->handle, CURLOPT_HEADERFUNCTION, take_head);
    curl_easy_setopt(once->handle, CURLOPT_HEADERDATA, &once->head);
    curl_easy_setopt(once->handle, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(once->handle, CURLOPT_WRITEDATA, once);
    curl_easy_setopt(once->handle, CURLOPT_LOW_SPEED_TIME, 0L); /* see request_run */
    curl_easy_setopt(once->handle, CURLOPT_ERRORBUFFER, once->words);
    return once;
}

bool disk_http_open_once(const struct http_plan *plan, struct disk **ret_disk, struct error *err)
{
    struct once *once = once_new(plan);
    request_begin(once);
    bool ok = request_run(once, err);
    if (ok && once->ended && !once->judged && once->code == CURLE_OK) /* no body came */
        once->refused = !judge(once);
    bool empty =
        once->ended && once->code == CURLE_OK && !once->refused && once->answer.status < 300;
    if (!ok || (once->ended && once->from == once->until && !empty && !request_fault(once, err))) {
        once_close(&once->disk);
        return false;
    }
    if (once->validator[0] != 0) {
        char *guard = xasprintf("If-Range: %s", once->validator);
        once->guarded = http_headers_new(plan, guard);
        free(guard);
    }
    *ret_disk = &once->disk;
    return true;
}
