/* SPDX-License-Identifier: Apache-2.0
 *
 * Ranges over one connection. Every answer has to be the range that was asked for, of the thing that was
 * seen first; what breaks is asked for again from where it broke, a bounded number of times.
 */
#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "migration/disk/disk_ops.h"
#include "migration/disk/http_inner.h"
#include "proto/fault.h"

#define MOVES_BYTES (64u << 10) /* an answer that gave so much is no failed one */
#define REQUESTS_MOST 100u      /* for one range, however it moves */
#define RETRY_AFTER_MOST_MS 30000
#define WAIT_TICK_MS 50

struct http_fetch {
    const struct http_thing *thing;
    bool (*goes_on)(void *context);
    void *context;
    CURL *handle;
    struct curl_slist *headers;
    struct http_gate gate;
    char *shown;
    unsigned retries;
    /* Of the request that runs: */
    uint8_t *to;
    uint64_t offset;
    size_t wanted;
    size_t got;
    struct http_head head;
    bool checked;
    bool fits;    /* the head is that of the range */
    bool changed; /* the thing is another */
    char words[CURL_ERROR_SIZE];
};

static size_t take_head(char *line, size_t size, size_t count, void *context)
{
    return http_head_take(context, line, size * count) ? size * count : 0;
}

/* What is sent with another status, another range or of another thing is not taken. */
static void check_head(struct http_fetch *fetch)
{
    long status = 0;
    curl_easy_getinfo(fetch->handle, CURLINFO_RESPONSE_CODE, &status);
    const struct http_head *head = &fetch->head;
    fetch->checked = true;
    /* 200: the server's answer to an If-Range that no longer holds. */
    fetch->changed = status == 200 ||
                     (status == 206 && head->has_range && !http_thing_is(fetch->thing, head, true));
    fetch->fits = status == 206 && !fetch->changed && head->has_range &&
                  head->first == fetch->offset + fetch->got &&
                  head->last < fetch->offset + fetch->wanted;
}

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
    struct http_fetch *fetch = context;
    size_t length = size * count;
    if (!fetch->checked)
        check_head(fetch);
    if (!fetch->fits || length > fetch->wanted - fetch->got)
        return 0;
    memcpy(fetch->to + fetch->got, data, length);
    fetch->got += length;
    return length;
}

static int watch(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    struct http_fetch *fetch = context;
    return fetch->goes_on(fetch->context) ? 0 : 1;
}

/* One request for what is still missing. */
static bool fetch_rest(struct http_fetch *fetch, struct error *err)
{
    char range[64];
    snprintf(range, sizeof(range), "%" PRIu64 "-%" PRIu64, fetch->offset + fetch->got,
             fetch->offset + fetch->wanted - 1);
    curl_easy_setopt(fetch->handle, CURLOPT_RANGE, range);
    fetch->checked = fetch->fits = fetch->changed = false;
    memset(&fetch->head, 0, sizeof(fetch->head));
    fetch->words[0] = 0;
    CURLcode code = curl_easy_perform(fetch->handle);
    long status = 0;
    curl_easy_getinfo(fetch->handle, CURLINFO_RESPONSE_CODE, &status);
    if (fetch->changed || status == 412 || status == 416)
        return error_set(err, &FAULT_SOURCE_CHANGED, "\"%s\" is no longer what was being read",
                         fetch->shown);
    if (status >= 300)
        return http_status_fail(err, fetch->shown, status);
    if (fetch->checked && !fetch->fits)
        return error_set(err, &FAULT_IO, "\"%s\": answered another range than %s", fetch->shown,
                         range);
    if (code != CURLE_OK)
        return http_fail(err, fetch->shown, code, fetch->words, &fetch->gate);
    return fetch->got == fetch->wanted ||
           error_set(err, &FAULT_IO, "\"%s\": an answer too short", fetch->shown);
}

/* Waits as long as repeated failures, or the server, suggest. */
static bool wait_before(struct http_fetch *fetch, unsigned attempt)
{
    curl_off_t told_s = 0;
    curl_easy_getinfo(fetch->handle, CURLINFO_RETRY_AFTER, &told_s);
    uint64_t wait_ms = clock_backoff_ms(attempt, 200, 5000);
    uint64_t told_ms = told_s > 0 ? (uint64_t)told_s * 1000 : 0;
    if (told_ms > RETRY_AFTER_MOST_MS)
        told_ms = RETRY_AFTER_MOST_MS;
    uint64_t until = clock_mono_ms() + (told_ms > wait_ms ? told_ms : wait_ms);
    while (clock_mono_ms() < until) {
        struct timespec tick = {0, WAIT_TICK_MS * 1000000L};
        if (!fetch->goes_on(fetch->context))
            return false;
        nanosleep(&tick, NULL);
    }
    return true;
}

static bool is_hopeless(const struct error *err)
{
    return err->fault == &FAULT_SOURCE_CHANGED || err->fault == &FAULT_DENIED ||
           err->fault == &FAULT_NOT_FOUND || err->fault == &FAULT_UNSUPPORTED ||
           err->fault == &FAULT_ADDRESS_NOT_ALLOWED;
}

bool http_fetch_get(struct http_fetch *fetch, uint8_t *ret_data, size_t length, uint64_t offset,
                    struct error *err)
{
    fetch->to = ret_data;
    fetch->wanted = length;
    fetch->offset = offset;
    fetch->got = 0;
    unsigned failed = 0;
    for (unsigned requests = 1;; requests++) {
        size_t before = fetch->got;
        if (fetch_rest(fetch, err))
            return true;
        failed = fetch->got - before >= MOVES_BYTES ? 1 : failed + 1;
        if (is_hopeless(err) || failed > fetch->retries || requests >= REQUESTS_MOST ||
            !wait_before(fetch, failed))
            return false;
    }
}

struct http_fetch *http_fetch_new(const struct http_plan *plan, const struct http_thing *thing,
                                  bool (*goes_on)(void *context), void *context)
{
    struct http_fetch *fetch = xcalloc(1, sizeof(*fetch));
    bool guarded = thing->validator != NULL && !thing->is_weak;
    char *guard = guarded ? xasprintf("If-Range: %s", thing->validator) : NULL;
    fetch->thing = thing;
    fetch->goes_on = goes_on;
    fetch->context = context;
    fetch->shown = http_shown(plan->url);
    fetch->retries = plan->retries > 0 ? plan->retries : 5;
    fetch->handle = http_handle_new(plan, &fetch->gate);
    fetch->headers = http_headers_new(plan, guard);
    free(guard);
    curl_easy_setopt(fetch->handle, CURLOPT_HTTPHEADER, fetch->headers);
    curl_easy_setopt(fetch->handle, CURLOPT_HEADERFUNCTION, take_head);
    curl_easy_setopt(fetch->handle, CURLOPT_HEADERDATA, &fetch->head);
    curl_easy_setopt(fetch->handle, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(fetch->handle, CURLOPT_WRITEDATA, fetch);
    curl_easy_setopt(fetch->handle, CURLOPT_ERRORBUFFER, fetch->words);
    curl_easy_setopt(fetch->handle, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(fetch->handle, CURLOPT_XFERINFOFUNCTION, watch);
    curl_easy_setopt(fetch->handle, CURLOPT_XFERINFODATA, fetch);
    return fetch;
}

void http_fetch_receive_into(struct http_fetch *fetch, size_t bytes)
{
    curl_easy_setopt(fetch->handle, CURLOPT_BUFFERSIZE, (long)bytes);
}

void http_fetch_free(struct http_fetch *fetch)
{
    if (fetch == NULL)
        return;
    curl_easy_cleanup(fetch->handle);
    http_headers_free(fetch->headers);
    free(fetch->shown);
    free(fetch);
}

/* -- probe ---------------------------------------------------------------------------------------- */

/* One byte of a body is enough; a server without ranges would send all of it. */
static size_t take_one(char *data, size_t size, size_t count, void *context)
{
    return size * count <= 1 ? size * count : 0;
}

static bool judge_head(const struct http_head *head, const char *shown,
                       struct http_thing *ret_thing, struct error *err)
{
    if (!head->has_range || head->first != 0 || head->last != 0 || head->total > DISK_SIZE_MOST)
        return error_set(err, &FAULT_DISK_INVALID, "\"%s\": tells no length, or an absurd one",
                         shown);
    bool weak = strncmp(head->etag, "W/", 2) == 0;
    bool is_etag = head->etag[0] != 0 && (!weak || head->modified[0] == 0);
    const char *validator = is_etag ? head->etag : head->modified;
    *ret_thing = (struct http_thing){.size_bytes = head->total,
                                     .validator = validator[0] != 0 ? xstrdup(validator) : NULL,
                                     .is_etag = is_etag,
                                     .is_weak = is_etag && weak};
    return true;
}

bool http_probe(const struct http_plan *plan, struct http_thing *ret_thing, struct error *err)
{
    struct http_head head = {0};
    struct http_gate gate = {0};
    char words[CURL_ERROR_SIZE] = "";
    char *shown = http_shown(plan->url);
    CURL *handle = http_handle_new(plan, &gate);
    struct curl_slist *headers = http_headers_new(plan, NULL);
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(handle, CURLOPT_RANGE, "0-0");
    curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, take_head);
    curl_easy_setopt(handle, CURLOPT_HEADERDATA, &head);
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, take_one);
    curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, words);
    CURLcode code = curl_easy_perform(handle);
    long status = 0;
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(handle);
    http_headers_free(headers);
    bool ok;
    if (status == 200)
        ok = error_set(err, &FAULT_UNSUPPORTED, "\"%s\": the server serves no ranges", shown);
    else if (status >= 300)
        ok = http_status_fail(err, shown, status);
    else if (code != CURLE_OK)
        ok = http_fail(err, shown, code, words, &gate);
    else
        ok = judge_head(&head, shown, ret_thing, err);
    free(shown);
    return ok;
}
