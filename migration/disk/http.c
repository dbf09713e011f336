/* SPDX-License-Identifier: Apache-2.0
 *
 * A disk over ranges of a URL. Blocks of 1 MiB (less where memory is scarce) stand in a few slots; one thread a connection fetches
 * those that are wanted, lowest first. A read wants its blocks, and when it goes on where others ended,
 * the next ones too. A small read elsewhere (a table among data) fetches just its part of a block.
 */
#include "migration/disk/http.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "common/base/memory.h"
#include "migration/disk/disk_ops.h"
#include "migration/disk/http_inner.h"
#include "proto/fault.h"

#define BLOCK_MOST_BYTES (1u << 20)
#define BLOCK_LEAST_BYTES (64u << 10)
#define PART_BYTES                                                                                 \
    (16u << 10) /* parts of blocks are multiples of it; larger reads take whole blocks */
#define NOWHERE UINT64_MAX
#define CONNECTIONS_MOST 16u
#define SLOTS_MOST 256u

enum slot_state { SLOT_EMPTY, SLOT_WANTED, SLOT_LOADING, SLOT_READY, SLOT_FAILED };
struct slot {
    enum slot_state state;
    uint64_t block;
    size_t from; /* which of its bytes are there, or asked for */
    size_t until;
    uint64_t used_at;
    unsigned pins; /* readers that copy from it */
    uint8_t *data;
    struct error err;
};

struct disk_http;
struct fetcher {
    struct disk_http *http;
    struct http_fetch *fetch;
    pthread_t thread;
};
struct disk_http {
    struct disk disk;
    struct http_thing thing;
    unsigned fetcher_count;
    size_t block_bytes;
    struct fetcher fetchers[CONNECTIONS_MOST];
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t wanted;
    pthread_cond_t arrived;
    bool ending;
    bool interrupted;
    uint64_t clock;
    uint64_t
        expected; /* the block that who reads upwards would ask for next; NOWHERE: nobody does */
    unsigned slot_count;
    struct slot slots[SLOTS_MOST];
};

/* -- fetching ------------------------------------------------------------------------------------- */

static bool goes_on(void *context)
{
    struct disk_http *http = context;
    pthread_mutex_lock(&http->lock);
    bool end = http->ending || http->interrupted;
    pthread_mutex_unlock(&http->lock);
    return !end;
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
            slot->data = xcalloc(1, http->block_bytes);
        uint8_t *to = slot->data + slot->from;
        size_t wanted = slot->until - slot->from;
        uint64_t offset = slot->block * http->block_bytes + slot->from;
        pthread_mutex_unlock(&http->lock);
        struct error err = {0};
        bool ok = http_fetch_get(fetcher->fetch, to, wanted, offset, &err);
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

static size_t block_length(const struct disk_http *http, uint64_t block)
{
    uint64_t rest = http->disk.size_bytes - block * http->block_bytes;
    return rest < http->block_bytes ? (size_t)rest : http->block_bytes;
}

static bool is_covered(const struct slot *slot, size_t from, size_t until)
{
    return slot->from <= from && slot->until >= until;
}

static void want_part(struct disk_http *http, struct slot *slot, size_t from, size_t until)
{
    slot->state = SLOT_WANTED;
    slot->from = from;
    slot->until = until;
    slot->used_at = ++http->clock;
    pthread_cond_signal(&http->wanted);
}

/* A slot for a block that has none; NULL while all are busy. */
static struct slot *want(struct disk_http *http, uint64_t block, size_t from, size_t until)
{
    struct slot *slot = free_slot(http);
    if (slot == NULL)
        return NULL;
    slot->block = block;
    want_part(http, slot, from, until);
    return slot;
}

/* Several threads read upwards at once, some a little ahead of others. */
static bool is_near(const struct disk_http *http, uint64_t block)
{
    unsigned spread = http->slot_count / 2;
    return http->expected != NOWHERE && block + spread >= http->expected &&
           block <= http->expected + spread;
}

/* Wants the blocks behind `block`, where reading goes on upwards: half of the slots at most. */
static void read_ahead(struct disk_http *http, uint64_t block)
{
    uint64_t blocks = (http->disk.size_bytes + http->block_bytes - 1) / http->block_bytes;
    bool upwards = is_near(http, block);
    if (!upwards || block + 1 > http->expected)
        http->expected = block + 1;
    if (!upwards)
        return;
    for (uint64_t next = block + 1; next < blocks && next <= block + http->slot_count / 2; next++) {
        struct slot *slot = find_slot(http, next);
        size_t bytes = block_length(http, next);
        if (slot == NULL) {
            if (want(http, next, 0, bytes) == NULL)
                return;
        } else if (slot->state == SLOT_READY && slot->pins == 0 && !is_covered(slot, 0, bytes)) {
            want_part(http, slot, 0, bytes);
        }
    }
}

/* Makes the bytes of the block be fetched, or more of it; a slot that is busy is waited for. */
static void ask_for(struct disk_http *http, uint64_t block, size_t from, size_t until)
{
    struct slot *slot = find_slot(http, block);
    size_t bytes = block_length(http, block);
    if (slot != NULL) { /* a second part is wanted of it: then all */
        if (slot->state == SLOT_WANTED || (slot->state == SLOT_READY && slot->pins == 0))
            want_part(http, slot, 0, bytes);
        return;
    }
    bool whole = until - from > PART_BYTES || is_near(http, block);
    size_t first = whole ? 0 : from / PART_BYTES * PART_BYTES;
    size_t end = whole ? bytes : (until + PART_BYTES - 1) / PART_BYTES * PART_BYTES;
    (void)want(http, block, first, end < bytes ? end : bytes);
}

/* Waits for bytes [from, until) of the block and pins it. */
static struct slot *pin(struct disk_http *http, uint64_t block, size_t from, size_t until,
                        struct error *err)
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
        if (slot != NULL && slot->state == SLOT_FAILED) {
            *err = slot->err;
            slot->state = SLOT_EMPTY; /* the next reader may try again */
            slot = NULL;
            break;
        }
        if (slot == NULL || !is_covered(slot, from, until)) {
            ask_for(http, block, from, until);
        } else if (slot->state == SLOT_READY) {
            slot->pins++;
            slot->used_at = ++http->clock;
            if (is_covered(slot, 0, block_length(http, block)))
                read_ahead(http, block);
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
        size_t at = offset % http->block_bytes, rest = http->block_bytes - at;
        size_t step = rest < length ? rest : length;
        struct slot *slot = pin(http, offset / http->block_bytes, at, at + step, err);
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

static void http_expect(struct disk *disk, uint64_t length, uint64_t offset)
{
    struct disk_http *http = (struct disk_http *)disk;
    size_t from = offset % http->block_bytes, rest = http->block_bytes - from;
    size_t until = from + (length < rest ? (size_t)length : rest);
    pthread_mutex_lock(&http->lock);
    if (find_slot(http, offset / http->block_bytes) == NULL)
        ask_for(http, offset / http->block_bytes, from, until);
    pthread_mutex_unlock(&http->lock);
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
        http_fetch_free(http->fetchers[i].fetch);
    for (unsigned i = 0; i < http->slot_count; i++)
        free(http->slots[i].data);
    pthread_cond_destroy(&http->wanted);
    pthread_cond_destroy(&http->arrived);
    pthread_mutex_destroy(&http->lock);
    free(http->thing.validator);
    disk_fini(disk);
    free(http);
}

static const struct disk_ops http_ops = {
    .name = "http",
    .read = http_read,
    .close = http_close,
    .expect = http_expect,
    .interrupt = http_interrupt,
};

/* -- opening -------------------------------------------------------------------------------------- */

/* What a connection needs: two blocks, and what it receives into. */
static uint64_t share_bytes(size_t block_bytes)
{
    return 2ull * block_bytes + http_buffer_bytes(block_bytes);
}

/* Cuts the memory into blocks, at least eight if they need not be tiny; returns how many connections it
 * suffices for. Without a bound it is what the connections that were asked for need. */
static unsigned cut_memory(struct disk_http *http, const struct http_plan *plan)
{
    unsigned count = plan->connections > 0 ? plan->connections : 4;
    count = count < CONNECTIONS_MOST ? count : CONNECTIONS_MOST;
    uint64_t memory =
        plan->memory_bytes > 0 ? plan->memory_bytes : count * share_bytes(BLOCK_MOST_BYTES);
    http->block_bytes = BLOCK_MOST_BYTES;
    while (http->block_bytes > BLOCK_LEAST_BYTES && memory / http->block_bytes < 8 &&
           plan->memory_bytes > 0)
        http->block_bytes /= 2;
    while (count > 1 && memory < count * share_bytes(http->block_bytes))
        count--;
    uint64_t received = count * http_buffer_bytes(http->block_bytes);
    uint64_t slots = memory > received ? (memory - received) / http->block_bytes : 0;
    slots = slots > 2 ? slots : 2;
    http->slot_count = slots < SLOTS_MOST ? (unsigned)slots : SLOTS_MOST;
    http->disk.held_bytes = http->slot_count * http->block_bytes + received;
    http->disk.parallel = count;
    return count;
}

static bool fetchers_begin(struct disk_http *http, const struct http_plan *plan, struct error *err)
{
    unsigned count = cut_memory(http, plan);
    for (unsigned i = 0; i < count; i++) {
        http->fetchers[i].http = http;
        http->fetchers[i].fetch = http_fetch_new(plan, &http->thing, goes_on, http);
        http_fetch_receive_into(http->fetchers[i].fetch, http_buffer_bytes(http->block_bytes));
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
    char *shown = http_shown(plan->url);
    disk_init(&http->disk, &http_ops, xasprintf("http %s", shown), NULL, 0, DISK_RANDOM, 1);
    free(shown);
    if (!http_probe(plan, &http->thing, err)) {
        http_close(&http->disk);
        return false;
    }
    http->disk.size_bytes = http->thing.size_bytes;
    http->expected = NOWHERE;
    http->disk.identity =
        xasprintf("http %" PRIu64 " %s", http->thing.size_bytes,
                  http->thing.validator != NULL ? http->thing.validator : "unnamed");
    if (!fetchers_begin(http, plan, err)) {
        http_close(&http->disk);
        return false;
    }
    *ret_disk = &http->disk;
    return true;
}
