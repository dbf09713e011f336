/* SPDX-License-Identifier: Apache-2.0
 *
 * The copy step: all disks of a vm, several at once, within one budget of memory. What is durable at
 * the destination goes into the journal chunk by chunk, so that a later run of the same attempt reads
 * again no more than what was in flight.
 *
 * Threads: one for each disk under way, with everything about that disk; drivers are called under
 * run->ends, since an end belongs to one thread at a time.
 */
#include <inttypes.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "common/base/crashpoint.h"
#include "migration/hex.h"
#include "migration/steps.h"

#define ROUNDS_MOST 3u
#define ROUND_WAIT_MS 1500u

struct copies {
    struct run *run;
    struct copy_budget *budget;
    pthread_mutex_t mutex;
    size_t next; /* the next disk that nobody has taken */
    bool failed;
    bool resumed;
    struct error first; /* what went wrong first */
    struct copy_control *controls[VM_DISKS_MOST];
    bool copied[VM_DISKS_MOST]; /* by an earlier run; looked up before threads write steps */
};

/* One disk under way. */
struct copying {
    struct copies *all;
    size_t index;
    struct disk *from;
    struct destination_disk to;
    struct copy_control control;
    struct copy_digests *digests;
    struct copy_set *done; /* of earlier runs; NULL: nothing */
    uint64_t read_before, written_before;
};

static void name_disk(size_t index, char ret_name[32])
{
    snprintf(ret_name, 32, "disk %zu", index);
}

static void fail(struct copies *all, const struct error *err)
{
    pthread_mutex_lock(&all->mutex);
    if (!all->failed)
        all->first = *err;
    all->failed = true;
    for (size_t i = 0; i < VM_DISKS_MOST; i++) {
        if (all->controls[i])
            atomic_store(&all->controls[i]->stop, true);
    }
    pthread_mutex_unlock(&all->mutex);
}

static void watch(struct copying *copy, bool on)
{
    struct copies *all = copy->all;
    pthread_mutex_lock(&all->mutex);
    all->controls[copy->index] = on ? &copy->control : NULL;
    if (on && all->failed)
        atomic_store(&copy->control.stop, true);
    pthread_mutex_unlock(&all->mutex);
    if (on)
        work_watch(all->run->work, (int)copy->index, &copy->control);
    else
        work_unwatch(all->run->work, &copy->control);
}

/* Data is flushed already: now the journal, then the report (by the work's own thread). */
static bool flushed(void *context, const struct copy_chunk *chunks, size_t count, struct error *err)
{
    struct copying *copy = context;
    crashpoint("after_data_flush");
    for (size_t i = 0; i < count; i++)
        copy_digests_set(copy->digests, &chunks[i]);
    return progress_add_chunks(copy->all->run->progress, copy->index, chunks, count,
                               copy->read_before + atomic_load(&copy->control.read_bytes),
                               copy->written_before + atomic_load(&copy->control.written_bytes),
                               err);
}

static bool open_disks(struct copying *copy, struct error *err)
{
    struct run *run = copy->all->run;
    pthread_mutex_lock(&run->ends);
    bool good = run->source_driver->export_disk(run->session, copy->index, &copy->from, err);
    copy->to.from = copy->from;
    good = good && run->destination_driver->disk_begin(run->destination, &run->plan, copy->index,
                                                       disk_size_bytes(copy->from), &copy->to, err);
    pthread_mutex_unlock(&run->ends);
    return good;
}

/* Whether the journal's chunks may be built upon: the same bytes there, the same disk here. */
static bool may_resume(const struct copying *copy, const struct progress_copy *known)
{
    const char *identity = disk_identity(copy->from);
    return copy->to.resumable && known->count > 0 && identity && known->identity &&
           strcmp(identity, known->identity) == 0 && disk_access(copy->from) == DISK_RANDOM;
}

static void note_resume(struct copying *copy, const struct progress_copy *known)
{
    struct copies *all = copy->all;
    work_note(all->run->work, "disk %zu: going on behind %" PRIu64 " MiB that are there already",
              copy->index, known->count);
    pthread_mutex_lock(&all->mutex);
    if (!all->resumed)
        work_count_resume(all->run->work);
    all->resumed = true;
    pthread_mutex_unlock(&all->mutex);
}

static void take_chunk(void *context, const struct copy_chunk *chunk)
{
    struct copying *copy = context;
    copy_digests_set(copy->digests, chunk);
    copy_set_add(copy->done, chunk->index);
}

static bool prepare(struct copying *copy, struct copy_plan *plan, struct error *err)
{
    struct run *run = copy->all->run;
    const struct progress_copy *known = progress_copy(run->progress, copy->index);
    bool resume = may_resume(copy, known);
    copy->read_before = known->read_bytes;
    copy->written_before = known->written_bytes;
    copy->digests = copy_digests_new(disk_size_bytes(copy->from));
    copy_digests_spill(copy->digests, work_directory(run->work));
    if (resume) {
        note_resume(copy, known);
        plan->done = copy->done = copy_set_new(disk_size_bytes(copy->from));
        if (!progress_each_chunk(run->progress, copy->index, take_chunk, copy, err))
            return false;
    } else {
        if (known->count > 0)
            work_note(run->work, "disk %zu: starting over", copy->index);
        if (!progress_begin_copy(run->progress, copy->index, disk_identity(copy->from), err))
            return false;
    }
    /* What an earlier run wrote without telling may stand anywhere. */
    plan->to_is_zero = copy->to.reads_as_zero && !copy->to.resumable;
    return true;
}

static bool copy_bytes(struct copying *copy, struct error *err)
{
    struct run *run = copy->all->run;
    struct copy_plan plan = {
        .from = copy->from,
        .to = copy->to.disk,
        .budget = copy->all->budget,
        .flush_bytes = run->limits->flush_bytes,
        .flush_ms = run->limits->flush_ms,
        .idle_timeout_ms = run->limits->copy_idle_ms,
        .control = &copy->control,
        .flushed = flushed,
        .context = copy,
    };
    if (!prepare(copy, &plan, err))
        return false;
    struct work_disk disk = {.capacity_bytes = disk_size_bytes(copy->from),
                             .read_bytes = copy->read_before,
                             .written_bytes = copy->written_before};
    work_tell_disk(run->work, copy->index, &disk);
    watch(copy, true);
    bool good = copy_run(&plan, err);
    watch(copy, false);
    return good;
}

/* Another reader than the writer looks at what arrived. */
static bool prove(struct copying *copy, json_t *evidence, struct error *err)
{
    struct run *run = copy->all->run;
    struct copy_control control = {.budget = copy->all->budget};
    work_watch(run->work, -1, &control);
    pthread_mutex_lock(&run->ends);
    bool good = run->destination_driver->disk_end(run->destination, &run->plan, copy->index,
                                                  copy->digests, &control, evidence, err);
    pthread_mutex_unlock(&run->ends);
    work_unwatch(run->work, &control);
    return good;
}

static void tell_end(struct copying *copy, uint64_t capacity, json_t *state)
{
    struct work_disk disk = {
        .capacity_bytes = capacity,
        .total_bytes = atomic_load(&copy->control.total_bytes),
        .done_bytes = atomic_load(&copy->control.done_bytes),
        .read_bytes = copy->read_before + atomic_load(&copy->control.read_bytes),
        .written_bytes = copy->written_before + atomic_load(&copy->control.written_bytes)};
    copy_digests_text(copy->digests, disk.digest);
    work_tell_disk(copy->all->run->work, copy->index, &disk);
    json_object_set_new(state, "number", json_integer((json_int_t)copy->index));
    json_object_set_new(state, "digest", json_string(disk.digest));
    json_object_set_new(state, "bytes_read", json_integer((json_int_t)disk.read_bytes));
    json_object_set_new(state, "bytes_written", json_integer((json_int_t)disk.written_bytes));
    json_object_set_new(state, "total", json_integer((json_int_t)disk.total_bytes));
    json_object_set_new(state, "capacity", json_integer((json_int_t)capacity));
}

static bool finish(struct copying *copy, json_t *state, struct error *err)
{
    struct run *run = copy->all->run;
    uint64_t capacity = disk_size_bytes(copy->from);
    struct disk *written = copy->to.disk;
    copy->to.disk = NULL;
    if (!disk_finish(written, err))
        return false;
    disk_closep(&copy->from);
    tell_end(copy, capacity, state);
    json_t *evidence = json_object();
    bool good = prove(copy, evidence, err);
    json_object_set_new(state, "evidence", evidence);
    char name[32];
    name_disk(copy->index, name);
    return good && progress_set_step(run->progress, name, state, err);
}

static bool copy_once(struct copies *all, size_t index, struct error *err)
{
    struct copying copy = {.all = all, .index = index};
    json_t *state = json_object();
    bool good = open_disks(&copy, err) && copy_bytes(&copy, err) && finish(&copy, state, err);
    json_decref(state);
    disk_close(copy.from);
    disk_close(copy.to.disk);
    copy_digests_free(copy.digests);
    copy_set_free(copy.done);
    return good || error_prefix(err, "disk %zu", index);
}

/* Whether it begins anew, after a while: for what the destination says has nothing to do with the disk. */
static bool may_begin_anew(struct copies *all, size_t index, unsigned round,
                           const struct error *why)
{
    struct run *run = all->run;
    const struct destination_driver *driver = run->destination_driver;
    struct error ignored;
    if (round == ROUNDS_MOST || driver->disk_again == NULL)
        return false;
    pthread_mutex_lock(&run->ends);
    bool again = driver->disk_again(run->destination, index, why);
    pthread_mutex_unlock(&run->ends);
    pthread_mutex_lock(&all->mutex);
    again = again && !all->failed;
    pthread_mutex_unlock(&all->mutex);
    if (again)
        work_note(run->work, "the copy begins anew: %s", why->text);
    return again && work_wait_ms(run->work, (round - 1) * ROUND_WAIT_MS, &ignored);
}

static bool copy_one(struct copies *all, size_t index, struct error *err)
{
    for (unsigned round = 1;; round++) {
        if (copy_once(all, index, err))
            return true;
        if (!may_begin_anew(all, index, round, err))
            return false;
    }
}

/* A disk that an earlier run has finished: its numbers stand in the journal. */
static bool is_copied(struct copies *all, size_t index)
{
    char name[32];
    name_disk(index, name);
    const json_t *state = progress_step(all->run->progress, name);
    if (!state)
        return false;
    struct work_disk disk = {
        .capacity_bytes = (uint64_t)json_integer_value(json_object_get(state, "capacity")),
        .total_bytes = (uint64_t)json_integer_value(json_object_get(state, "total")),
        .done_bytes = (uint64_t)json_integer_value(json_object_get(state, "total")),
        .read_bytes = (uint64_t)json_integer_value(json_object_get(state, "bytes_read")),
        .written_bytes = (uint64_t)json_integer_value(json_object_get(state, "bytes_written"))};
    const char *digest = json_string_value(json_object_get(state, "digest"));
    snprintf(disk.digest, sizeof(disk.digest), "%s", digest ? digest : "");
    work_tell_disk(all->run->work, index, &disk);
    return true;
}

static void *copy_some(void *context)
{
    struct copies *all = context;
    for (;;) {
        struct error err;
        pthread_mutex_lock(&all->mutex);
        size_t index = all->next++;
        bool end = all->failed || index >= all->run->vm->disk_count;
        pthread_mutex_unlock(&all->mutex);
        if (end)
            return NULL;
        if (!all->copied[index] &&
            (!work_go_on(all->run->work, &err) || !copy_one(all, index, &err)))
            fail(all, &err);
    }
}

static void run_threads(struct copies *all)
{
    size_t most = (size_t)all->run->limits->disks_at_once, count = all->run->vm->disk_count;
    pthread_t threads[VM_DISKS_MOST];
    size_t started = 0;
    while (started + 1 < count && started + 1 < most &&
           pthread_create(&threads[started], NULL, copy_some, all) == 0)
        started++;
    copy_some(all); /* this thread is one of them */
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
}

static bool keep_resumes(struct run *run, struct error *err)
{
    json_t *state = json_pack("{s:I}", "count", (json_int_t)work_resumes(run->work));
    bool good = progress_set_step(run->progress, "resumes", state, err);
    json_decref(state);
    return good;
}

bool copy_disks(struct run *run, struct error *err)
{
    struct copies all = {.run = run, .budget = copy_budget_new(run->limits->buffer_bytes)};
    pthread_mutex_init(&all.mutex, NULL);
    work_reach(run->work,
               run->destination_driver->converts ? MIGRATION_CONVERTING : MIGRATION_UPLOADING);
    for (size_t i = 0; i < run->vm->disk_count; i++)
        all.copied[i] = is_copied(&all, i);
    run_threads(&all);
    copy_budget_free(all.budget);
    pthread_mutex_destroy(&all.mutex);
    if (all.resumed && !keep_resumes(run, err))
        return false;
    if (!all.failed)
        return true;
    *err = all.first;
    /* A copy that was stopped by a fence says so, not that somebody cancelled it. */
    struct error wanted;
    if (err->fault == &FAULT_CANCELLED && !work_go_on(run->work, &wanted))
        *err = wanted;
    return false;
}

/* The identity may be long: the journal keeps its digest. */
static void digest_identity(const struct run *run, struct buffer *ret_text)
{
    const char *identity = run->session->identity ? run->session->identity : "";
    XXH128_canonical_t digest;
    XXH128_canonicalFromHash(&digest, XXH3_128bits(identity, strlen(identity)));
    hex_encode(&digest, sizeof(digest), ret_text);
}

bool copy_knows_source(struct run *run, bool *ret_same, struct error *err)
{
    CLEANUP(buffer_fini) struct buffer digest = {0};
    const json_t *state = progress_step(run->progress, "source");
    const char *known = json_string_value(json_object_get(state, "identity"));
    digest_identity(run, &digest);
    *ret_same = known == NULL || strcmp(known, digest.data) == 0;
    if (known != NULL)
        return true;
    json_t *first = json_pack("{s:s}", "identity", digest.data);
    bool good = progress_set_step(run->progress, "source", first, err);
    json_decref(first);
    return good;
}

bool copy_forget(struct run *run, struct error *err)
{
    const struct source_driver *driver = run->source_driver;
    if ((run->session && driver->export_forget && !driver->export_forget(run->session, err)) ||
        !progress_clear_step(run->progress, "source", err) ||
        !progress_clear_step(run->progress, "copy", err))
        return false;
    for (size_t i = 0; i < run->vm->disk_count; i++) {
        char name[32];
        name_disk(i, name);
        if (!progress_clear_step(run->progress, name, err) ||
            !progress_begin_copy(run->progress, i, "", err))
            return false;
    }
    return true;
}
