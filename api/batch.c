/* SPDX-License-Identifier: Apache-2.0 */
#include "api/batch.h"

#include <pthread.h>
#include <string.h>

#include "api/count.h"
#include "common/http/server.h"
#include "common/store/point_read.h"
#include "proto/fault.h"

#define ENTRIES_MOST 512
#define THREADS_MOST 8
#define TEXT_KEPT_MOST (32u << 10)

struct entry {
    struct call *call;
    struct uuid id;
    size_t slot; /* its id among those of the read */
    struct http_answer answer;
    struct entry *next;
};

struct batch {
    const struct batch_ops *ops;
    const struct db_settings *settings;
    pthread_mutex_t mutex;
    pthread_cond_t wanted;
    struct entry *first, **last;
    unsigned idle;
    bool ending;
    pthread_t threads[THREADS_MOST];
    unsigned thread_count;
};

/* What one read answers. */
struct gathered {
    struct entry *entries;
    size_t count;
    struct uuid ids[BATCH_IDS_MOST];
    size_t id_count;
};

static bool slot_find(struct gathered *gathered, const struct uuid *id, size_t *ret_slot)
{
    for (size_t i = 0; i < gathered->id_count; i++)
        if (uuid_equal(&gathered->ids[i], id)) {
            *ret_slot = i;
            return true;
        }
    if (gathered->id_count == BATCH_IDS_MOST)
        return false;
    gathered->ids[gathered->id_count] = *id;
    *ret_slot = gathered->id_count++;
    return true;
}

/* Takes entries from the front until the read is full. Called with the mutex held. */
static void gather(struct batch *batch, struct gathered *ret_gathered)
{
    *ret_gathered = (struct gathered){.entries = batch->first};
    struct entry *last = NULL;
    for (struct entry *entry = batch->first; entry != NULL; entry = entry->next) {
        if (ret_gathered->count == ENTRIES_MOST ||
            !slot_find(ret_gathered, &entry->id, &entry->slot))
            break;
        ret_gathered->count++;
        last = entry;
    }
    if (last == NULL)
        return;
    batch->first = last->next;
    if (batch->first == NULL)
        batch->last = &batch->first;
    last->next = NULL;
}

static bool gather_wait(struct batch *batch, struct gathered *ret_gathered)
{
    pthread_mutex_lock(&batch->mutex);
    while (batch->first == NULL && !batch->ending) {
        batch->idle++;
        pthread_cond_wait(&batch->wanted, &batch->mutex);
        batch->idle--;
    }
    gather(batch, ret_gathered);
    pthread_mutex_unlock(&batch->mutex);
    return ret_gathered->count > 0;
}

static bool row_is_visible(const struct batch *batch, const struct call *call, const void *row)
{
    return row != NULL &&
           (call->scope == NULL || strcmp(batch->ops->project(row), call->scope) == 0);
}

static void fill_answer(struct batch *batch, struct entry *entry, const void *row,
                        struct buffer *text, const struct error *failure)
{
    struct call *call = entry->call;
    struct error err = *failure;
    call->answer = &entry->answer;
    if (err.fault == NULL && !row_is_visible(batch, call, row))
        error_set(&err, &FAULT_NOT_FOUND, "there is no such %s", batch->ops->noun);
    if (err.fault == NULL) {
        call_json(call, 200);
        if (text->length == 0) {
            struct writer writer;
            writer_init(&writer, text);
            batch->ops->write(&writer, row);
        }
        buffer_append(&entry->answer.body, text->data, text->length);
    }
    call_end(call, err.fault == NULL, &err);
}

static void forget_texts(struct buffer *texts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (texts[i].capacity > TEXT_KEPT_MOST)
            buffer_fini(&texts[i]);
        buffer_clear(&texts[i]);
    }
}

/* All are filled before the first is sent: each one that is sent wakes a thread of the server, which
 * would take turns with us. */
static void answer_all(struct batch *batch, struct gathered *gathered, const void **rows,
                       struct buffer *texts, const struct error *err)
{
    struct entry *entry, *next;
    forget_texts(texts, gathered->id_count);
    for (entry = gathered->entries; entry != NULL; entry = entry->next)
        fill_answer(batch, entry, rows[entry->slot], &texts[entry->slot], err);
    count_batch(gathered->count, gathered->id_count);
    for (entry = gathered->entries; entry != NULL; entry = next) {
        next = entry->next; /* the entry goes with its call */
        http_later_answer(entry->call->handle, &entry->answer);
    }
}

static void *batch_run(void *context)
{
    struct batch *batch = context;
    struct gathered gathered;
    struct buffer texts[BATCH_IDS_MOST] = {0};
    uint64_t connection = 0;
    CLEANUP(store_freep) struct store *store = store_new(batch->settings);
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    while (gather_wait(batch, &gathered)) {
        const void *rows[BATCH_IDS_MOST] = {0};
        struct error err = {0};
        if (store_expect_point_reads(store, &connection, &err) &&
            batch->ops->read(store, arena, gathered.ids, gathered.id_count, rows, &err))
            err.fault = NULL;
        answer_all(batch, &gathered, rows, texts, &err);
        arena_reset(arena);
    }
    for (size_t i = 0; i < BATCH_IDS_MOST; i++)
        buffer_fini(&texts[i]);
    return NULL;
}

struct batch *batch_new(const struct batch_ops *ops, const struct db_settings *settings,
                        unsigned thread_count)
{
    struct batch *batch = xcalloc(1, sizeof(*batch));
    batch->ops = ops;
    batch->settings = settings;
    batch->last = &batch->first;
    pthread_mutex_init(&batch->mutex, NULL);
    pthread_cond_init(&batch->wanted, NULL);
    for (unsigned i = 0; i < thread_count && i < THREADS_MOST; i++) {
        if (pthread_create(&batch->threads[i], NULL, batch_run, batch) != 0)
            abort(); /* at the start, before anything depends on us */
        batch->thread_count++;
    }
    return batch;
}

void batch_join(struct batch *batch, struct call *call, const struct uuid *id)
{
    struct entry *entry = arena_alloc(call->arena, sizeof(*entry));
    entry->call = call;
    entry->id = *id;
    call->later = true;
    call->handle = http_request_later(call->request);
    pthread_mutex_lock(&batch->mutex);
    *batch->last = entry;
    batch->last = &entry->next;
    bool wake = batch->idle > 0;
    pthread_mutex_unlock(&batch->mutex);
    if (wake)
        pthread_cond_signal(&batch->wanted);
}

void batch_free(struct batch *batch)
{
    if (batch == NULL)
        return;
    pthread_mutex_lock(&batch->mutex);
    batch->ending = true;
    pthread_mutex_unlock(&batch->mutex);
    pthread_cond_broadcast(&batch->wanted);
    for (unsigned i = 0; i < batch->thread_count; i++)
        pthread_join(batch->threads[i], NULL);
    pthread_cond_destroy(&batch->wanted);
    pthread_mutex_destroy(&batch->mutex);
    free(batch);
}
