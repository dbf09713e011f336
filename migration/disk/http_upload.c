/* SPDX-License-Identifier: Apache-2.0
 *
 * One thread runs the request; the caller's bytes reach it through a ring. While the ring is empty the
 * request is paused, not blocked, so that an answer in mid-upload is seen at once.
 */
#include <curl/curl.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "migration/disk/http_inner.h"
#include "proto/fault.h"

#define RING_MOST_BYTES (2u << 20)
#define RING_LEAST_BYTES (128u << 10)
#define ANSWER_MOST (1u << 20) /* bytes of an answer's body; more breaks it */
#define WAKE_BYTES (64u << 10) /* a paused request goes on when there are so many */
#define TICK_MS 500
#define ANSWER_RECEIVED_BYTES (16u << 10)

struct http_upload {
    CURL *handle;
    CURLM *multi;
    struct curl_slist *headers;
    struct http_gate gate;
    struct http_head head;
    char *shown;
    uint64_t idle_ms;
    uint64_t answer_ms;
    char words[CURL_ERROR_SIZE];
    uint64_t length;
    pthread_t thread;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t moved;
    uint64_t put;   /* bytes that came */
    uint64_t taken; /* bytes that went */
    bool closed;    /* no more will come */
    bool ended;     /* the request is over */
    bool paused;    /* it waits for bytes */
    bool interrupted;
    uint64_t moved_ms; /* when a byte last went, or had to be waited for */
    bool stalled;
    uint64_t answer_bytes;
    struct http_answer answer;
    struct http_answer *ret_answer; /* the caller's; NULL: not wanted */
    CURLcode code;
    size_t ring_bytes;
    uint8_t *ring;
};

static size_t take(char *to, size_t size, size_t count, void *context)
{
    struct http_upload *upload = context;
    size_t most = size * count, length = 0;
    pthread_mutex_lock(&upload->lock);
    upload->paused = upload->put == upload->taken && !upload->closed;
    upload->moved_ms = clock_mono_ms();
    while (length < most && upload->taken < upload->put) {
        size_t at = upload->taken % upload->ring_bytes;
        uint64_t there = upload->put - upload->taken;
        size_t step = upload->ring_bytes - at < there ? upload->ring_bytes - at : (size_t)there;
        if (step > most - length)
            step = most - length;
        memcpy(to + length, upload->ring + at, step);
        length += step;
        upload->taken += step;
    }
    size_t result = upload->paused                                  ? CURL_READFUNC_PAUSE
                    : length == 0 && upload->taken < upload->length ? CURL_READFUNC_ABORT
                                                                    : length;
    pthread_cond_signal(&upload->moved);
    pthread_mutex_unlock(&upload->lock);
    return result;
}

/* Its beginning is kept, for people. */
static size_t take_answer(char *data, size_t size, size_t count, void *context)
{
    struct http_upload *upload = context;
    size_t length = size * count;
    upload->answer_bytes += length;
    http_answer_add(&upload->answer, data, length);
    return upload->answer_bytes <= ANSWER_MOST ? length : 0;
}

static size_t take_head(char *line, size_t size, size_t count, void *context)
{
    return http_head_take(context, line, size * count) ? size * count : 0;
}

/* Ends a request whose peer takes nothing, or does not answer; our own slowness is not the peer's. What a
 * peer does with a whole disk before it answers takes its time. */
static bool is_hopeless(struct http_upload *upload)
{
    pthread_mutex_lock(&upload->lock);
    uint64_t most_ms = upload->taken == upload->length ? upload->answer_ms : upload->idle_ms;
    if (upload->paused)
        upload->moved_ms = clock_mono_ms();
    upload->stalled = clock_mono_ms() - upload->moved_ms > most_ms;
    bool hopeless = upload->stalled || upload->interrupted;
    pthread_mutex_unlock(&upload->lock);
    return hopeless;
}

static void resume_if_paused(struct http_upload *upload)
{
    pthread_mutex_lock(&upload->lock);
    bool resume = upload->paused && (upload->put > upload->taken || upload->closed);
    upload->paused = upload->paused && !resume;
    pthread_mutex_unlock(&upload->lock);
    if (resume)
        curl_easy_pause(upload->handle, CURLPAUSE_CONT);
}

static CURLcode perform(struct http_upload *upload)
{
    int running = 1, left = 0;
    while (curl_multi_perform(upload->multi, &running) == CURLM_OK && running > 0 &&
           !is_hopeless(upload)) {
        curl_multi_poll(upload->multi, NULL, 0, TICK_MS, NULL);
        resume_if_paused(upload);
    }
    const CURLMsg *message = curl_multi_info_read(upload->multi, &left);
    return message != NULL ? message->data.result : CURLE_ABORTED_BY_CALLBACK;
}

static void *run(void *context)
{
    struct http_upload *upload = context;
    CURLcode code = perform(upload);
    long status = 0;
    curl_easy_getinfo(upload->handle, CURLINFO_RESPONSE_CODE, &status);
    pthread_mutex_lock(&upload->lock);
    upload->ended = true;
    upload->code = code;
    upload->answer.status = status;
    pthread_cond_signal(&upload->moved);
    pthread_mutex_unlock(&upload->lock);
    return NULL;
}

static void upload_free(struct http_upload *upload)
{
    curl_multi_remove_handle(upload->multi, upload->handle);
    curl_multi_cleanup(upload->multi);
    curl_easy_cleanup(upload->handle);
    http_headers_free(upload->headers);
    pthread_cond_destroy(&upload->moved);
    pthread_mutex_destroy(&upload->lock);
    free(upload->shown);
    free(upload->ring);
    free(upload);
}

/* The ring; a quarter of it is curl's to send from. */
static size_t ring_bytes(const struct http_plan *plan)
{
    size_t bytes = RING_MOST_BYTES;
    while (plan->memory_bytes > 0 && bytes > RING_LEAST_BYTES &&
           bytes + bytes / 4 > plan->memory_bytes)
        bytes /= 2;
    return bytes;
}

uint64_t http_upload_held_bytes(const struct http_plan *plan)
{
    return ring_bytes(plan) + ring_bytes(plan) / 4 + ANSWER_RECEIVED_BYTES;
}

bool http_upload_begin(const struct http_plan *plan, uint64_t length_bytes,
                       struct http_upload **ret_upload, struct error *err)
{
    struct http_upload *upload = xcalloc(1, sizeof(*upload));
    upload->handle = http_handle_new(plan, &upload->gate);
    upload->multi = curl_multi_init();
    if (upload->multi == NULL)
        abort();
    upload->ret_answer = plan->answer;
    upload->headers = http_headers_new(plan, "Expect:");
    upload->shown = http_shown(plan->url);
    upload->idle_ms = (plan->idle_seconds > 0 ? plan->idle_seconds : 30) * 1000ull;
    upload->answer_ms = (plan->answer_seconds > 0 ? plan->answer_seconds : 600) * 1000ull;
    upload->moved_ms = clock_mono_ms();
    upload->length = length_bytes;
    upload->ring_bytes = ring_bytes(plan);
    upload->ring = xcalloc(1, upload->ring_bytes);
    pthread_mutex_init(&upload->lock, NULL);
    pthread_cond_init(&upload->moved, NULL);
    curl_easy_setopt(upload->handle, CURLOPT_HTTPHEADER, upload->headers);
    curl_easy_setopt(upload->handle, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(upload->handle, CURLOPT_UPLOAD_BUFFERSIZE, (long)(upload->ring_bytes / 4));
    curl_easy_setopt(upload->handle, CURLOPT_BUFFERSIZE, (long)ANSWER_RECEIVED_BYTES);
    curl_easy_setopt(upload->handle, CURLOPT_INFILESIZE_LARGE, (curl_off_t)length_bytes);
    curl_easy_setopt(upload->handle, CURLOPT_READFUNCTION, take);
    curl_easy_setopt(upload->handle, CURLOPT_READDATA, upload);
    curl_easy_setopt(upload->handle, CURLOPT_WRITEFUNCTION, take_answer);
    curl_easy_setopt(upload->handle, CURLOPT_WRITEDATA, upload);
    curl_easy_setopt(upload->handle, CURLOPT_HEADERFUNCTION, take_head);
    curl_easy_setopt(upload->handle, CURLOPT_HEADERDATA, &upload->head);
    curl_easy_setopt(upload->handle, CURLOPT_LOW_SPEED_TIME, 0L); /* see is_hopeless */
    curl_easy_setopt(upload->handle, CURLOPT_ERRORBUFFER, upload->words);
    curl_multi_add_handle(upload->multi, upload->handle);
    int failure = pthread_create(&upload->thread, NULL, run, upload);
    if (failure != 0) {
        upload_free(upload);
        return error_set_errno(err, failure, "cannot start a thread");
    }
    *ret_upload = upload;
    return true;
}

static bool outcome(const struct http_upload *upload, struct error *err)
{
    long status = upload->answer.status;
    if (upload->ret_answer != NULL)
        *upload->ret_answer = upload->answer;
    if (upload->code != CURLE_OK && status < 300) { /* no answer, or less than one */
        if (upload->taken == upload->length && !upload->gate.refused &&
            upload->code != CURLE_COULDNT_CONNECT && upload->length > 0)
            return error_set(err, &FAULT_UNCERTAIN, "\"%s\": all was sent, no answer: %s",
                             upload->shown, upload->stalled ? "waited too long" : upload->words);
        if (upload->stalled)
            return error_set(err, &FAULT_TIMEOUT, "\"%s\": takes no more bytes", upload->shown);
        if (upload->interrupted)
            return error_set(err, &FAULT_IO, "\"%s\": interrupted", upload->shown);
        return http_fail(err, upload->shown, upload->code, upload->words, &upload->gate);
    }
    return (status >= 200 && status < 300) || http_answer_fail(err, upload->shown, &upload->answer);
}

bool http_upload_write(struct http_upload *upload, const void *data, size_t length,
                       struct error *err)
{
    const uint8_t *from = data;
    bool ok = true;
    pthread_mutex_lock(&upload->lock);
    while (ok && length > 0) {
        while (upload->put - upload->taken == upload->ring_bytes && !upload->ended)
            pthread_cond_wait(&upload->moved, &upload->lock);
        if (upload->ended) { /* answered before all was sent */
            ok = outcome(upload, err) &&
                 error_set(err, &FAULT_IO, "\"%s\": answered before its end", upload->shown);
            break;
        }
        size_t at = upload->put % upload->ring_bytes;
        uint64_t room = upload->ring_bytes - (upload->put - upload->taken);
        size_t step = upload->ring_bytes - at < room ? upload->ring_bytes - at : (size_t)room;
        if (step > length)
            step = length;
        memcpy(upload->ring + at, from, step);
        from += step;
        length -= step;
        upload->put += step;
        if (upload->paused && upload->put - upload->taken >= WAKE_BYTES)
            curl_multi_wakeup(upload->multi);
    }
    pthread_mutex_unlock(&upload->lock);
    return ok;
}

bool http_upload_write_sink(void *upload, const void *data, size_t length, struct error *err)
{
    return http_upload_write(upload, data, length, err);
}

void http_upload_interrupt_sink(void *upload)
{
    http_upload_interrupt(upload);
}

void http_upload_interrupt(struct http_upload *upload)
{
    pthread_mutex_lock(&upload->lock);
    upload->interrupted = true;
    pthread_mutex_unlock(&upload->lock);
    curl_multi_wakeup(upload->multi);
}

bool http_upload_end(struct http_upload *upload, struct error *err)
{
    pthread_mutex_lock(&upload->lock);
    upload->closed = true;
    bool whole = upload->put == upload->length;
    upload->interrupted = upload->interrupted || (!whole && !upload->ended); /* no hope */
    pthread_mutex_unlock(&upload->lock);
    curl_multi_wakeup(upload->multi);
    pthread_join(upload->thread, NULL);
    bool ok = outcome(upload, err);
    if (ok && !whole)
        ok = error_set(err, &FAULT_IO, "\"%s\": %" PRIu64 " bytes instead of %" PRIu64,
                       upload->shown, upload->put, upload->length);
    upload_free(upload);
    return ok;
}
