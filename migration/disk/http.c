/* SPDX-License-Identifier: Apache-2.0
 *
 * A disk over ranges of a URL. Blocks of 1 MiB stand in a few slots; one thread a connection fetches
 * those that are wanted, lowest first. A read wants its blocks, and when it goes on where another ended,
 * the next ones too.
 */
#include "migration/disk/http.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "migration/disk/disk_ops.h"
#include "migration/disk/http_inner.h"
#include "proto/fault.h"

#define BLOCK_BYTES (1u << 20)
#define CONNECTIONS_MOST 16u
#define SLOTS_MOST 256u

enum slot_state { SLOT_EMPTY, SLOT_WANTED, SLOT_LOADING, SLOT_READY, SLOT_FAILED };
struct slot {
    enum slot_state state;
    uint64_t block;
    uint64_t used_at;
    unsigned pins; /* readers that copy from it */
    uint8_t *data;
    struct error err;
};

struct disk_http;
struct fetcher {
    struct disk_http *http;
    CURL *handle;
    pthread_t thread;
    /* Of the request that runs: */
    uint8_t *to;
    size_t wanted;
    size_t got;
    bool checked; /* the answer's head was looked at */
    bool changed;
    char words[CURL_ERROR_SIZE];
};
struct disk_http {
    struct disk disk;
    char *url;
    char *validator; /* ETag or Last-Modified; NULL: the server gives none */
    struct curl_slist *headers;
    unsigned retries;
    unsigned fetcher_count;
    struct fetcher fetchers[CONNECTIONS_MOST];
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t wanted;
    pthread_cond_t arrived;
    bool ending;
    bool interrupted;
    uint64_t clock;
    uint64_t expected; /* the block that a sequential reader would ask for next */
    unsigned slot_count;
    struct slot slots[SLOTS_MOST];
};

/* -- fetching ------------------------------------------------------------------------------------- */

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
    struct fetcher *fetcher = context;
    size_t length = size * count;
    if (!fetcher->checked) {
        long status = 0;
        curl_easy_getinfo(fetcher->handle, CURLINFO_RESPONSE_CODE, &status);
        fetcher->checked = true;
        fetcher->changed = status == 200; /* If-Range: it is another thing now */
        if (status != 206)
            return 0;
    }
    if (length > fetcher->wanted - fetcher->got)
        return 0; /* more than was asked for */
    memcpy(fetcher->to + fetcher->got, data, length);
    fetcher->got += length;
    return length;
}

static int watch(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    struct disk_http *http = ((struct fetcher *)context)->http;
    pthread_mutex_lock(&http->lock);
    bool end = http->ending || http->interrupted;
    pthread_mutex_unlock(&http->lock);
    return end ? 1 : 0;
}

/* One request for what is still missing. */
static bool fetch_rest(struct fetcher *fetcher, uint64_t offset, struct error *err)
{
    struct disk_http *http = fetcher->http;
    char range[64];
    snprintf(range, sizeof(range), "%" PRIu64 "-%" PRIu64, offset + fetcher->got,
             offset + fetcher->wanted - 1);
    curl_easy_setopt(fetcher->handle, CURLOPT_RANGE, range);
    fetcher->checked = fetcher->changed = false;
    fetcher->words[0] = 0;
    CURLcode code = curl_easy_perform(fetcher->handle);
    long status = 0;
    curl_easy_getinfo(fetcher->handle, CURLINFO_RESPONSE_CODE, &status);
    if (fetcher->changed || status == 412 || status == 416)
        return error_set(err, &FAULT_SOURCE_CHANGED, "\"%s\" is no longer what was being read",
                         http->url);
    if (status >= 400)
        return http_status_fail(err, http->url, status);
    if (code != CURLE_OK)
        return http_fail(err, http->url, code, fetcher->words);
    return fetcher->got == fetcher->wanted ||
           error_set(err, &FAULT_IO, "\"%s\": an answer too short", http->url);
}

static bool wait_before(struct disk_http *http, uint64_t wait_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    until.tv_sec += (time_t)(wait_ms / 1000) + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&http->lock);
    while (!http->ending && !http->interrupted &&
           pthread_cond_timedwait(&http->wanted, &http->lock, &until) == 0)
        ;
    bool go_on = !http->ending && !http->interrupted;
    pthread_mutex_unlock(&http->lock);
    return go_on;
}

/* What broke is asked for again, from where it broke. */
static bool fetch(struct fetcher *fetcher, uint64_t offset, struct error *err)
{
    fetcher->got = 0;
    for (unsigned attempt = 0;; attempt++) {
        size_t before = fetcher->got;
        if (fetch_rest(fetcher, offset, err))
            return true;
        bool hopeless = err->fault == &FAULT_SOURCE_CHANGED || err->fault == &FAULT_DENIED ||
                        err->fault == &FAULT_NOT_FOUND;
        if (fetcher->got > before)
            attempt = 0; /* it moves */
        if (hopeless || attempt >= fetcher->http->retries ||
            !wait_before(fetcher->http, clock_backoff_ms(attempt, 200, 5000)))
            return false;
    }
}

static struct slot *lowest_wanted(struct disk_http *http)
{
    struct slot *found = NULL;
    for (unsigned i = 0; i < http->slot_count; i++) {
        struct slot *slot = &http->slots[i];
        if (slot->state == SLOT_WANTED && (found == NULL || slot->block < found->block))
            found = slot;
    }
    return found;
}

static void *fetcher_run(void *context)
{
    struct fetcher *fetcher = context;
    struct disk_http *http = fetcher->http;
    pthread_mutex_lock(&http->lock);
    while (!http->ending) {
        struct slot *slot = lowest_wanted(http);
        if (slot == NULL) {
            pthread_cond_wait(&http->wanted, &http->lock);
            continue;
        }
        slot->state = SLOT_LOADING;
        if (slot->data == NULL)
            slot->data = xcalloc(1, BLOCK_BYTES);
        uint64_t offset = slot->block * BLOCK_BYTES;
        uint64_t rest = http->disk.size_bytes - offset;
        fetcher->to = slot->data;
        fetcher->wanted = rest < BLOCK_BYTES ? (size_t)rest : BLOCK_BYTES;
        pthread_mutex_unlock(&http->lock);
        struct error err = {0};
        bool ok = fetch(fetcher, offset, &err);
        pthread_mutex_lock(&http->lock);
        slot->state = ok ? SLOT_READY : SLOT_FAILED;
        slot->err = err;
        pthread_cond_broadcast(&http->arrived);
    }
    pthread_mutex_unlock(&http->lock);
    return NULL;
}

/* -- reading -------------------------------------------------------------------------------------- */

static struct slot *find_slot(struct disk_http *http, uint64_t block)
{
    for (unsigned i = 0; i < http->slot_count; i++) {
        if (http->slots[i].state != SLOT_EMPTY && http->slots[i].block == block)
            return &http->slots[i];
    }
    return NULL;
}

/* A slot for a new block: empty, or the one read longest ago; NULL while all are busy. */
static struct slot *free_slot(struct disk_http *http)
{
    struct slot *found = NULL;
    for (unsigned i = 0; i < http->slot_count; i++) {
        struct slot *slot = &http->slots[i];
        if (slot->state == SLOT_EMPTY)
            return slot;
        if ((slot->state == SLOT_READY || slot->state == SLOT_FAILED) && slot->pins == 0 &&
            (found == NULL || slot->used_at < found->used_at))
            found = slot;
    }
    return found;
}

static struct slot *want(struct disk_http *http, uint64_t block)
{
    struct slot *slot = free_slot(http);
    if (slot == NULL)
        return NULL;
    slot->state = SLOT_WANTED;
    slot->block = block;
    slot->used_at = ++http->clock;
    pthread_cond_signal(&http->wanted);
    return slot;
}

/* Wants the blocks behind `block`, where reading goes on upwards: half of the slots at most. */
static void read_ahead(struct disk_http *http, uint64_t block)
{
    uint64_t blocks = (http->disk.size_bytes + BLOCK_BYTES - 1) / BLOCK_BYTES;
    bool upwards = block == http->expected || block + 1 == http->expected;
    if (block + 1 > http->expected || !upwards)
        http->expected = block + 1;
    if (!upwards)
        return;
    for (uint64_t next = block + 1; next < blocks && next <= block + http->slot_count / 2; next++) {
        if (find_slot(http, next) == NULL && want(http, next) == NULL)
            return;
    }
}

/* Waits for the block and pins it. */
static struct slot *pin(struct disk_http *http, uint64_t block, struct error *err)
{
    struct slot *slot = NULL;
    pthread_mutex_lock(&http->lock);
    for (;;) {
        slot = find_slot(http, block);
        if (http->interrupted) {
            error_set(err, &FAULT_IO, "%s: interrupted", http->disk.description);
            slot = NULL;
            break;
        }
        if (slot == NULL)
            slot = want(http, block);
        if (slot != NULL && slot->state == SLOT_READY) {
            slot->pins++;
            slot->used_at = ++http->clock;
            read_ahead(http, block);
            break;
        }
        if (slot != NULL && slot->state == SLOT_FAILED) {
            *err = slot->err;
            slot->state = SLOT_EMPTY; /* the next reader may try again */
            slot = NULL;
            break;
        }
        pthread_cond_wait(&http->arrived, &http->lock);
    }
    pthread_mutex_unlock(&http->lock);
    return slot;
}

static void unpin(struct disk_http *http, struct slot *slot)
{
    pthread_mutex_lock(&http->lock);
    if (--slot->pins == 0)
        pthread_cond_broadcast(&http->arrived); /* a slot may be free now */
    pthread_mutex_unlock(&http->lock);
}

static bool http_read(struct disk *disk, void *ret_data, size_t length, uint64_t offset,
                      struct error *err)
{
    struct disk_http *http = (struct disk_http *)disk;
    uint8_t *to = ret_data;
    while (length > 0) {
        size_t at = offset % BLOCK_BYTES;
        size_t step = BLOCK_BYTES - at < length ? BLOCK_BYTES - at : length;
        struct slot *slot = pin(http, offset / BLOCK_BYTES, err);
        if (slot == NULL)
            return false;
        memcpy(to, slot->data + at, step);
        unpin(http, slot);
        to += step;
        offset += step;
        length -= step;
    }
    return true;
}

static void http_interrupt(struct disk *disk)
{
    struct disk_http *http = (struct disk_http *)disk;
    pthread_mutex_lock(&http->lock);
    http->interrupted = true;
    pthread_cond_broadcast(&http->arrived);
    pthread_cond_broadcast(&http->wanted);
    pthread_mutex_unlock(&http->lock);
}

static void http_close(struct disk *disk)
{
    struct disk_http *http = (struct disk_http *)disk;
    pthread_mutex_lock(&http->lock);
    http->ending = true;
    pthread_cond_broadcast(&http->wanted);
    pthread_mutex_unlock(&http->lock);
    for (unsigned i = 0; i < http->fetcher_count; i++)
        pthread_join(http->fetchers[i].thread, NULL);
    for (unsigned i = 0; i < CONNECTIONS_MOST; i++)
        curl_easy_cleanup(http->fetchers[i].handle);
    for (unsigned i = 0; i < http->slot_count; i++)
        free(http->slots[i].data);
    http_headers_free(http->headers);
    pthread_cond_destroy(&http->wanted);
    pthread_cond_destroy(&http->arrived);
    pthread_mutex_destroy(&http->lock);
    free(http->url);
    free(http->validator);
    disk_fini(disk);
    free(http);
}

static const struct disk_ops http_ops = {
    .name = "http",
    .read = http_read,
    .close = http_close,
    .interrupt = http_interrupt,
};

/* -- opening -------------------------------------------------------------------------------------- */

/* What the head of the first answer tells. */
struct head {
    char total[32];
    char etag[256];
    char modified[64];
};

static void head_value(const char *line, size_t length, const char *name, char *ret, size_t size)
{
    size_t name_length = strlen(name);
    if (length <= name_length || strncasecmp(line, name, name_length) != 0)
        return;
    while (name_length < length && (line[name_length] == ' ' || line[name_length] == '\t'))
        name_length++;
    while (length > name_length && (unsigned char)line[length - 1] <= ' ')
        length--;
    if (length - name_length < size)
        snprintf(ret, size, "%.*s", (int)(length - name_length), line + name_length);
}

static size_t take_head(char *line, size_t size, size_t count, void *context)
{
    struct head *head = context;
    char range[64] = "";
    size_t length = size * count;
    head_value(line, length, "Content-Range:", range, sizeof(range));
    const char *slash = strrchr(range, '/');
    if (slash != NULL)
        snprintf(head->total, sizeof(head->total), "%.31s", slash + 1);
    head_value(line, length, "ETag:", head->etag, sizeof(head->etag));
    head_value(line, length, "Last-Modified:", head->modified, sizeof(head->modified));
    return length;
}

/* One byte of a body is enough; a server without ranges would send all of it. */
static size_t take_one(char *data, size_t size, size_t count, void *context)
{
    return size * count <= 1 ? size * count : 0;
}

static bool head_parse(struct disk_http *http, const struct head *head, struct error *err)
{
    char *end = NULL;
    unsigned long long total = strtoull(head->total, &end, 10);
    if (head->total[0] < '0' || head->total[0] > '9' || *end != 0 || total > DISK_SIZE_MOST)
        return error_set(err, &FAULT_DISK_INVALID, "\"%s\": absurd length \"%s\"", http->url,
                         head->total);
    http->disk.size_bytes = total;
    bool strong = head->etag[0] != 0 && strncmp(head->etag, "W/", 2) != 0;
    if (strong || head->modified[0] != 0)
        http->validator = xstrdup(strong ? head->etag : head->modified);
    http->disk.identity =
        xasprintf("http %llu %s", total, http->validator != NULL ? http->validator : "unnamed");
    return true;
}

static bool probe(struct disk_http *http, const struct http_plan *plan, struct error *err)
{
    struct head head = {0};
    char words[CURL_ERROR_SIZE] = "";
    CURL *handle = http_handle_new(plan);
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
    if (status == 200)
        return error_set(err, &FAULT_UNSUPPORTED, "\"%s\": the server serves no ranges", plan->url);
    if (status >= 300)
        return http_status_fail(err, plan->url, status);
    if (code != CURLE_OK)
        return http_fail(err, plan->url, code, words);
    return head_parse(http, &head, err);
}

static void fetcher_prepare(struct fetcher *fetcher, struct disk_http *http,
                            const struct http_plan *plan)
{
    fetcher->http = http;
    fetcher->handle = http_handle_new(plan);
    curl_easy_setopt(fetcher->handle, CURLOPT_HTTPHEADER, http->headers);
    curl_easy_setopt(fetcher->handle, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(fetcher->handle, CURLOPT_WRITEDATA, fetcher);
    curl_easy_setopt(fetcher->handle, CURLOPT_ERRORBUFFER, fetcher->words);
    curl_easy_setopt(fetcher->handle, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(fetcher->handle, CURLOPT_XFERINFOFUNCTION, watch);
    curl_easy_setopt(fetcher->handle, CURLOPT_XFERINFODATA, fetcher);
}

static bool fetchers_begin(struct disk_http *http, const struct http_plan *plan, struct error *err)
{
    unsigned count = plan->connections > 0 ? plan->connections : 4;
    if (count > CONNECTIONS_MOST)
        count = CONNECTIONS_MOST;
    char *guard = http->validator != NULL ? xasprintf("If-Range: %s", http->validator) : NULL;
    http->headers = http_headers_new(plan, guard);
    free(guard);
    uint64_t slots = (plan->memory_bytes > 0 ? plan->memory_bytes : 16u << 20) / BLOCK_BYTES;
    slots = slots < count * 2 ? count * 2 : slots;
    http->slot_count = slots > SLOTS_MOST ? SLOTS_MOST : (unsigned)slots;
    for (unsigned i = 0; i < count; i++) {
        fetcher_prepare(&http->fetchers[i], http, plan);
        int failure =
            pthread_create(&http->fetchers[i].thread, NULL, fetcher_run, &http->fetchers[i]);
        if (failure != 0)
            return error_set_errno(err, failure, "cannot start a thread");
        http->fetcher_count++;
    }
    return true;
}

bool disk_http_open(const struct http_plan *plan, struct disk **ret_disk, struct error *err)
{
    struct disk_http *http = xcalloc(1, sizeof(*http));
    pthread_mutex_init(&http->lock, NULL);
    pthread_cond_init(&http->wanted, NULL);
    pthread_cond_init(&http->arrived, NULL);
    http->url = xstrdup(plan->url);
    http->retries = plan->retries > 0 ? plan->retries : 5;
    disk_init(&http->disk, &http_ops, xasprintf("http %s", plan->url), NULL, 0, DISK_RANDOM,
              plan->connections > 0 ? plan->connections : 4);
    if (!probe(http, plan, err) || !fetchers_begin(http, plan, err)) {
        http_close(&http->disk);
        return false;
    }
    *ret_disk = &http->disk;
    return true;
}
