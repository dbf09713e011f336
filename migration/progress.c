/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/progress.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "migration/journal.h"
#include "proto/codec.h"

struct progress {
    pthread_mutex_t mutex;
    enum progress_depth depth;
    struct journal *journal; /* NULL when peeking */
    struct arena *arena;     /* of ledger entries */
    struct buffer job;
    struct buffer result;
    uint32_t run;
    unsigned crashes;
    struct child_mark worker;
    json_t *steps;
    struct progress_copy copies[VM_DISKS_MOST];
    struct ledger_entry **ledger;
    size_t ledger_count;
};

static bool same_entry(const struct ledger_entry *a, const struct ledger_entry *b)
{
    return a->end == b->end && strcmp(a->kind, b->kind) == 0 && strcmp(a->key, b->key) == 0;
}

static void keep_entry(struct progress *progress, const struct ledger_entry *from)
{
    struct arena *arena = progress->arena;
    struct ledger_entry *entry = arena_memdup(arena, from, sizeof(*from));
    entry->kind = arena_strdup(arena, from->kind);
    entry->key = arena_strdup(arena, from->key);
    entry->external_id = arena_strdup(arena, from->external_id);
    entry->prior_json = arena_strdup(arena, from->prior_json);
    entry->detail = arena_strdup(arena, from->detail);
    for (size_t i = 0; i < progress->ledger_count; i++) {
        if (same_entry(progress->ledger[i], entry)) {
            progress->ledger[i] = entry;
            return;
        }
    }
    progress->ledger =
        xreallocarray(progress->ledger, progress->ledger_count + 1, sizeof(struct ledger_entry *));
    progress->ledger[progress->ledger_count++] = entry;
}

static void replay_ledger(struct progress *progress, const void *data, size_t length)
{
    struct error err;
    struct ledger_entry entry;
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    const Guts__V1__LedgerEntry *message = (const Guts__V1__LedgerEntry *)codec_unpack(
        &guts__v1__ledger_entry__descriptor, data, length, arena, &err);
    if (message && codec_ledger_entry(message, &entry, &err))
        keep_entry(progress, &entry);
}

/* A chunks record, in the machine's own byte order: a journal never leaves its host. */
struct chunks_head {
    uint32_t disk;
    uint32_t count;
    uint64_t read_bytes;
    uint64_t written_bytes;
};

static bool read_head(const void *data, size_t length, struct chunks_head *ret_head)
{
    if (length < sizeof(*ret_head))
        return false;
    memcpy(ret_head, data, sizeof(*ret_head));
    return ret_head->disk < VM_DISKS_MOST &&
           ret_head->count == (length - sizeof(*ret_head)) / sizeof(struct copy_chunk);
}

static void replay_chunks(struct progress *progress, const void *data, size_t length)
{
    struct chunks_head head;
    if (!read_head(data, length, &head))
        return;
    struct progress_copy *copy = &progress->copies[head.disk];
    copy->read_bytes = head.read_bytes;
    copy->written_bytes = head.written_bytes;
    if (progress->depth == PROGRESS_WHOLE)
        copy->count += head.count;
}

static void replay_json(struct progress *progress, enum journal_kind kind, const json_t *object)
{
    const char *text = NULL, *boot = NULL;
    json_int_t number = 0, time = 0;
    json_t *state = NULL;
    if (kind == JOURNAL_RUN && json_unpack((json_t *)object, "{s:I}", "run", &number) == 0) {
        progress->run = (uint32_t)number;
    } else if (kind == JOURNAL_WORKER &&
               json_unpack((json_t *)object, "{s:I, s:I, s:s}", "pid", &number, "start_time", &time,
                           "boot_id", &boot) == 0) {
        progress->worker = (struct child_mark){(pid_t)number, (uint64_t)time, ""};
        snprintf(progress->worker.boot_id, sizeof(progress->worker.boot_id), "%s", boot);
    } else if (kind == JOURNAL_STEP &&
               json_unpack((json_t *)object, "{s:s, s:o}", "name", &text, "state", &state) == 0) {
        if (json_is_null(state))
            json_object_del(progress->steps, text);
        else
            json_object_set(progress->steps, text, state);
    } else if (kind == JOURNAL_IDENTITY &&
               json_unpack((json_t *)object, "{s:I, s:s}", "disk", &number, "identity", &text) ==
                   0 &&
               number >= 0 && number < VM_DISKS_MOST) {
        struct progress_copy *copy = &progress->copies[number];
        free(copy->identity);
        copy->identity = xstrdup(text);
        copy->begun++;
        copy->count = 0;
    }
}

static bool replay(void *context, enum journal_kind kind, const void *data, size_t length)
{
    struct progress *progress = context;
    switch (kind) {
    case JOURNAL_JOB:
        buffer_clear(&progress->job);
        buffer_append(&progress->job, data, length);
        break;
    case JOURNAL_RESULT:
        buffer_clear(&progress->result);
        buffer_append(&progress->result, data, length);
        break;
    case JOURNAL_CRASH:
        progress->crashes++;
        break;
    case JOURNAL_CHUNKS:
        replay_chunks(progress, data, length);
        break;
    case JOURNAL_LEDGER:
        replay_ledger(progress, data, length);
        break;
    default: {
        json_t *object = json_loadb(data, length, 0, NULL);
        replay_json(progress, kind, object);
        json_decref(object);
    }
    }
    return true;
}

static struct progress *progress_new(enum progress_depth depth)
{
    struct progress *progress = xcalloc(1, sizeof(*progress));
    pthread_mutex_init(&progress->mutex, NULL);
    progress->depth = depth;
    progress->arena = arena_new();
    progress->steps = json_object();
    return progress;
}

bool progress_open(const char *directory, enum progress_depth depth, struct progress **ret_progress,
                   struct error *err)
{
    struct progress *progress = progress_new(depth);
    if (!journal_open(directory, &progress->journal, err) ||
        !journal_replay(progress->journal, replay, progress, err)) {
        progress_close(progress);
        return false;
    }
    *ret_progress = progress;
    return true;
}

bool progress_peek(const char *directory, struct progress **ret_progress, struct error *err)
{
    struct progress *progress = progress_new(PROGRESS_WITHOUT_CHUNKS);
    if (!journal_peek(directory, replay, progress, err)) {
        progress_close(progress);
        return false;
    }
    *ret_progress = progress;
    return true;
}

void progress_close(struct progress *progress)
{
    if (!progress)
        return;
    journal_close(progress->journal);
    for (size_t i = 0; i < VM_DISKS_MOST; i++)
        free(progress->copies[i].identity);
    buffer_fini(&progress->job);
    buffer_fini(&progress->result);
    json_decref(progress->steps);
    free(progress->ledger);
    arena_free(progress->arena);
    pthread_mutex_destroy(&progress->mutex);
    free(progress);
}

void progress_closep(struct progress **progress)
{
    progress_close(*progress);
    *progress = NULL;
}

/* After a failed sync nobody knows what is on the disk: a new run reads what really is there. */
static void end_worker(const struct error *err)
{
    fprintf(stderr, "journal lost: %s\n", err->text);
    _exit(PROGRESS_EXIT_JOURNAL_LOST);
}

/* Appends, syncs and applies one record, the mutex held by nobody. */
static bool tell(struct progress *progress, enum journal_kind kind, const void *data, size_t length,
                 struct error *err)
{
    assert(progress->journal);
    pthread_mutex_lock(&progress->mutex);
    bool good = journal_append(progress->journal, kind, data, length, err);
    if (good && !journal_sync(progress->journal, err)) {
        good = false;
        if (progress->depth == PROGRESS_WHOLE)
            end_worker(err);
    }
    if (good)
        replay(progress, kind, data, length);
    pthread_mutex_unlock(&progress->mutex);
    return good;
}

static bool tell_json(struct progress *progress, enum journal_kind kind, json_t *take_object,
                      struct error *err)
{
    CLEANUP(xfreep) char *text = json_dumps(take_object, JSON_COMPACT);
    json_decref(take_object);
    if (!text)
        return error_set(err, &FAULT_INTERNAL, "a journal record that is no JSON");
    return tell(progress, kind, text, strlen(text), err);
}

const void *progress_job(const struct progress *progress, size_t *ret_length)
{
    *ret_length = progress->job.length;
    return progress->job.length ? progress->job.data : NULL;
}

uint32_t progress_run(const struct progress *progress)
{
    return progress->run;
}

const struct child_mark *progress_worker(const struct progress *progress)
{
    return &progress->worker;
}

unsigned progress_crashes(const struct progress *progress)
{
    return progress->crashes;
}

const void *progress_result(const struct progress *progress, size_t *ret_length)
{
    *ret_length = progress->result.length;
    return progress->result.length ? progress->result.data : NULL;
}

bool progress_set_job(struct progress *progress, const void *packed, size_t length,
                      struct error *err)
{
    return tell(progress, JOURNAL_JOB, packed, length, err);
}

bool progress_set_run(struct progress *progress, uint32_t run, struct error *err)
{
    return tell_json(progress, JOURNAL_RUN, json_pack("{s:I}", "run", (json_int_t)run), err);
}

bool progress_set_worker(struct progress *progress, const struct child_mark *mark,
                         struct error *err)
{
    return tell_json(progress, JOURNAL_WORKER,
                     json_pack("{s:I, s:I, s:s}", "pid", (json_int_t)mark->pid, "start_time",
                               (json_int_t)mark->start_time, "boot_id", mark->boot_id),
                     err);
}

bool progress_add_crash(struct progress *progress, const char *text, struct error *err)
{
    return tell(progress, JOURNAL_CRASH, text, strlen(text), err);
}

bool progress_set_result(struct progress *progress, const void *packed, size_t length,
                         struct error *err)
{
    return tell(progress, JOURNAL_RESULT, packed, length, err);
}

const json_t *progress_step(const struct progress *progress, const char *name)
{
    return json_object_get(progress->steps, name);
}

bool progress_set_step(struct progress *progress, const char *name, const json_t *state,
                       struct error *err)
{
    return tell_json(progress, JOURNAL_STEP,
                     json_pack("{s:s, s:O}", "name", name, "state", (json_t *)state), err);
}

bool progress_clear_step(struct progress *progress, const char *name, struct error *err)
{
    return tell_json(progress, JOURNAL_STEP, json_pack("{s:s, s:n}", "name", name, "state"), err);
}

const struct progress_copy *progress_copy(struct progress *progress, size_t disk)
{
    assert(disk < VM_DISKS_MOST);
    return &progress->copies[disk];
}

struct chunk_walk {
    struct progress *inner; /* counts the beginnings that were passed */
    const struct progress_copy *copy;
    size_t disk;
    void (*take)(void *context, const struct copy_chunk *chunk);
    void *context;
};

static bool walk_record(void *context, enum journal_kind kind, const void *data, size_t length)
{
    const struct chunk_walk *walk = context;
    struct chunks_head head;
    if (kind == JOURNAL_IDENTITY)
        return replay(walk->inner, kind, data, length);
    if (kind != JOURNAL_CHUNKS || walk->inner->copies[walk->disk].begun < walk->copy->begun ||
        !read_head(data, length, &head) || head.disk != walk->disk)
        return true;
    for (size_t i = 0; i < head.count; i++) { /* they may stand at any address */
        struct copy_chunk chunk;
        memcpy(&chunk, (const char *)data + sizeof(head) + i * sizeof(chunk), sizeof(chunk));
        walk->take(walk->context, &chunk);
    }
    return true;
}

bool progress_each_chunk(struct progress *progress, size_t disk,
                         void (*take)(void *context, const struct copy_chunk *chunk), void *context,
                         struct error *err)
{
    CLEANUP(progress_closep) struct progress *inner = progress_new(PROGRESS_WITHOUT_CHUNKS);
    struct chunk_walk walk = {inner, progress_copy(progress, disk), disk, take, context};
    pthread_mutex_lock(&progress->mutex);
    bool good = journal_replay(progress->journal, walk_record, &walk, err);
    pthread_mutex_unlock(&progress->mutex);
    return good;
}

bool progress_begin_copy(struct progress *progress, size_t disk, const char *identity,
                         struct error *err)
{
    return tell_json(
        progress, JOURNAL_IDENTITY,
        json_pack("{s:I, s:s}", "disk", (json_int_t)disk, "identity", identity ? identity : ""),
        err);
}

bool progress_add_chunks(struct progress *progress, size_t disk, const struct copy_chunk *chunks,
                         size_t count, uint64_t read_bytes, uint64_t written_bytes,
                         struct error *err)
{
    const size_t most = JOURNAL_RECORD_MOST_BYTES / 2 / sizeof(*chunks);
    do {
        size_t part = count < most ? count : most;
        struct chunks_head head = {(uint32_t)disk, (uint32_t)part, read_bytes, written_bytes};
        CLEANUP(buffer_fini) struct buffer record = {0};
        buffer_append(&record, &head, sizeof(head));
        buffer_append(&record, chunks, part * sizeof(*chunks));
        if (!tell(progress, JOURNAL_CHUNKS, record.data, record.length, err))
            return false;
        chunks += part;
        count -= part;
    } while (count > 0);
    return true;
}

size_t progress_ledger_count(const struct progress *progress)
{
    return progress->ledger_count;
}

const struct ledger_entry *progress_ledger_get(const struct progress *progress, size_t index)
{
    assert(index < progress->ledger_count);
    return progress->ledger[index];
}

bool progress_has_ledger(const struct progress *progress, const struct ledger_entry *entry)
{
    for (size_t i = 0; i < progress->ledger_count; i++) {
        if (same_entry(progress->ledger[i], entry))
            return true;
    }
    return false;
}

bool progress_set_ledger(struct progress *progress, const struct ledger_entry *entry,
                         struct error *err)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    CLEANUP(buffer_fini) struct buffer packed = {0};
    codec_pack(&codec_ledger_entry_to(arena, entry)->base, &packed);
    return tell(progress, JOURNAL_LEDGER, packed.data, packed.length, err);
}
