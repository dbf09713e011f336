/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/disk/copy.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/crashpoint.h"
#include "common/base/memory.h"
#include "migration/disk/copy_engine.h"
#include "migration/disk/disk_ops.h"
#include "migration/disk/pack.h"
#include "proto/fault.h"

#define PIECE_BYTES (256u << 10) /* fits the second cache of a core */
#define TICK_MS 50
#define THREADS_MOST 64u

void copy_fail(struct copy *copy, const struct error *err)
{
    pthread_mutex_lock(&copy->lock);
    if (!copy->failed) {
        copy->failed = true;
        copy->error = *err;
        if (copy->control->stop && err->fault != &FAULT_CANCELLED) /* its disks were interrupted */
            error_set(&copy->error, &FAULT_CANCELLED, "the copy was asked to stop: %.400s",
                      err->text);
    }
    copy->ending = true;
    pthread_cond_signal(&copy->wake);
    pthread_mutex_unlock(&copy->lock);
    copy_turn_end(&copy->read_turn);
    copy_turn_end(&copy->write_turn);
}

static bool plan_check(const struct copy_plan *plan, struct error *err)
{
    if (plan->to == NULL)
        return true;
    if (!disk_is_writable(plan->to))
        return error_set(err, &FAULT_INVALID, "%s: cannot be written", disk_describe(plan->to));
    if (disk_size_bytes(plan->to) < disk_size_bytes(plan->from))
        return error_set(err, &FAULT_INVALID,
                         "%s of %" PRIu64 " bytes is smaller than %s of %" PRIu64,
                         disk_describe(plan->to), disk_size_bytes(plan->to),
                         disk_describe(plan->from), disk_size_bytes(plan->from));
    if (disk_access(plan->to) == DISK_SEQUENTIAL && plan->done != NULL &&
        copy_set_count(plan->done) > 0)
        return error_set(err, &FAULT_INVALID, "%s: a stream cannot be resumed",
                         disk_describe(plan->to));
    return true;
}

/* One a core, for reading and inflating, and one that writes meanwhile (one at a time can, see lane.h);
 * more where a disk waits for a peer. At most what the budget pays for. */
static unsigned thread_count(const struct copy *copy)
{
    const struct copy_plan *plan = copy->plan;
    unsigned count = plan->threads;
    if (count == 0) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        unsigned from = disk_parallel(plan->from);
        unsigned to = plan->to != NULL ? disk_parallel(plan->to) : 1;
        count = cores > 1 ? (unsigned)cores + 1 : 2;
        count = from > count ? from : count;
        count = to > count ? to : count;
        if (copy->ordered_read || copy->ordered_write)
            count += 2; /* while some wait for their turn, others decode */
    }
    uint64_t memory = plan->memory_bytes > 0 ? plan->memory_bytes : 32ull << 20;
    uint64_t rest = memory > copy->held_bytes ? memory - copy->held_bytes : 0;
    uint64_t paid = plan->budget == NULL ? rest / copy->taken_bytes : THREADS_MOST;
    if (count > paid)
        count = (unsigned)paid;
    return count < 1 ? 1 : count > THREADS_MOST ? THREADS_MOST : count;
}

static void copy_init(struct copy *copy, struct copy_plan *plan)
{
    *copy = (struct copy){.plan = plan, .control = plan->control};
    if (plan->flush_bytes == 0)
        plan->flush_bytes = 64ull << 20;
    if (plan->flush_ms == 0)
        plan->flush_ms = 2000;
    copy->ordered_read = disk_access(plan->from) == DISK_SEQUENTIAL;
    copy->ordered_write = plan->to != NULL && disk_access(plan->to) == DISK_SEQUENTIAL;
    bool ordered = copy->ordered_read || copy->ordered_write;
    copy->buffer_bytes = ordered ? COPY_CHUNK_BYTES : PIECE_BYTES;
    copy->packs = plan->to != NULL && disk_takes_packs(plan->to) && disk_gives_packs(plan->from);
    copy->gather_bytes = copy->ordered_read && !copy->packs ? plan->from->gather_bytes : 0;
    copy->taken_bytes = copy->buffer_bytes * (copy->packs ? 2 : 1) + copy->gather_bytes;
    copy->budget = plan->budget != NULL ? plan->budget : copy_budget_new(plan->memory_bytes);
    copy->held_bytes =
        disk_held_bytes(plan->from) + (plan->to != NULL ? disk_held_bytes(plan->to) : 0);
    copy_budget_hold(copy->budget, copy->held_bytes);
    copy->moved_ms = clock_mono_ms();
    copy_map_init(&copy->map, plan);
    copy_throttle_init(&copy->throttle);
    copy_turn_init(&copy->read_turn);
    copy_turn_init(&copy->write_turn);
    pthread_mutex_init(&copy->lock, NULL);
    pthread_mutex_init(&copy->measuring, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&copy->wake, &monotonic);
    pthread_cond_init(&copy->watch, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static void copy_fini(struct copy *copy)
{
    copy_budget_release(copy->budget, copy->held_bytes);
    if (copy->plan->budget == NULL)
        copy_budget_free(copy->budget);
    copy_map_fini(&copy->map);
    copy_throttle_fini(&copy->throttle);
    copy_turn_fini(&copy->read_turn);
    copy_turn_fini(&copy->write_turn);
    pthread_cond_destroy(&copy->wake);
    pthread_cond_destroy(&copy->watch);
    pthread_mutex_destroy(&copy->lock);
    pthread_mutex_destroy(&copy->measuring);
    free(copy->written);
}

/* Makes what was recorded so far durable and tells it. Called without the lock, by copy_run alone. */
static bool flush_written(struct copy *copy, struct error *err)
{
    const struct copy_plan *plan = copy->plan;
    pthread_mutex_lock(&copy->lock);
    struct copy_chunk *chunks = copy->written;
    size_t count = copy->written_count;
    copy->written = NULL;
    copy->written_count = copy->written_capacity = 0;
    copy->unflushed_bytes = 0;
    pthread_mutex_unlock(&copy->lock);
    bool ok = true;
    if (count > 0) {
        crashpoint("before_data_flush");
        ok = (plan->to == NULL || disk_flush(plan->to, err)) &&
             plan->flushed(plan->context, chunks, count, err);
    }
    free(chunks);
    return ok;
}

void copy_until(struct timespec *ret_until, unsigned wait_ms)
{
    clock_gettime(CLOCK_MONOTONIC, ret_until);
    ret_until->tv_nsec += wait_ms * 1000000L;
    ret_until->tv_sec += ret_until->tv_nsec / 1000000000;
    ret_until->tv_nsec %= 1000000000;
}

/* Waits until a flush may be due; is anybody at work? */
static bool wait_a_tick(struct copy *copy, uint64_t flushed_ms, bool *ret_due)
{
    const struct copy_plan *plan = copy->plan;
    struct timespec until;
    copy_until(&until, TICK_MS);
    pthread_mutex_lock(&copy->lock);
    if (copy->running > 0 && copy->unflushed_bytes < plan->flush_bytes)
        pthread_cond_timedwait(&copy->wake, &copy->lock, &until);
    *ret_due = plan->flushed != NULL && !copy->ending &&
               (copy->unflushed_bytes >= plan->flush_bytes ||
                (copy->written_count > 0 && clock_mono_ms() - flushed_ms >= plan->flush_ms));
    bool running = copy->running > 0;
    pthread_mutex_unlock(&copy->lock);
    return running;
}

/* Flushes when it is due, until all threads have ended. */
static void supervise(struct copy *copy)
{
    uint64_t flushed_ms = clock_mono_ms();
    bool due = false;
    while (wait_a_tick(copy, flushed_ms, &due)) {
        struct error err = {0};
        if (due && !flush_written(copy, &err))
            copy_fail(copy, &err);
        flushed_ms = due ? clock_mono_ms() : flushed_ms;
    }
}

static void run_threads(struct copy *copy)
{
    pthread_t threads[THREADS_MOST];
    unsigned count = thread_count(copy), started = 0;
    pthread_mutex_lock(&copy->lock);
    copy->running = count;
    pthread_mutex_unlock(&copy->lock);
    for (; started < count; started++) {
        int failure = pthread_create(&threads[started], NULL, copy_work, copy);
        if (failure != 0) {
            struct error thread_error;
            error_set_errno(&thread_error, failure, "cannot start a thread");
            copy_fail(copy, &thread_error);
            pthread_mutex_lock(&copy->lock);
            copy->running -= count - started;
            pthread_mutex_unlock(&copy->lock);
            break;
        }
    }
    supervise(copy);
    for (unsigned i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
}

static void flush_last(struct copy *copy)
{
    struct error err = {0};
    copy->moved_ms = clock_mono_ms();
    if (copy->plan->flushed != NULL && !copy->ending && !flush_written(copy, &err))
        copy_fail(copy, &err);
}

static bool run_watched(struct copy *copy, struct error *err)
{
    pthread_t watch;
    int failure = pthread_create(&watch, NULL, copy_watch, copy);
    if (failure != 0)
        return error_set_errno(err, failure, "cannot start a thread");
    run_threads(copy);
    flush_last(copy);
    pthread_mutex_lock(&copy->lock);
    copy->over = true;
    pthread_cond_signal(&copy->watch);
    pthread_mutex_unlock(&copy->lock);
    pthread_join(watch, NULL);
    if (copy->failed)
        *err = copy->error;
    return !copy->failed;
}

bool copy_run(const struct copy_plan *asked, struct error *err)
{
    struct copy_plan plan = *asked;
    if (!plan_check(&plan, err))
        return false;
    struct copy copy;
    copy_init(&copy, &plan);
    bool ok = run_watched(&copy, err);
    copy_fini(&copy);
    return ok;
}

/* -- several disks -------------------------------------------------------------------------------- */

struct runner {
    const struct copy_plan *plan;
    struct runner *all;
    size_t count;
    pthread_t thread;
    bool started;
    bool ok;
    struct error err;
};

static void *run_one(void *argument)
{
    struct runner *runner = argument;
    runner->ok = copy_run(runner->plan, &runner->err);
    for (size_t i = 0; !runner->ok && i < runner->count; i++)
        runner->all[i].plan->control->stop = true;
    return NULL;
}

/* The error that made the others stop, rather than theirs. */
static const struct error *first_cause(const struct runner *runners, size_t count)
{
    const struct error *cause = NULL;
    for (size_t i = 0; i < count; i++) {
        if (!runners[i].ok && (cause == NULL || cause->fault == &FAULT_CANCELLED))
            cause = &runners[i].err;
    }
    return cause;
}

bool copy_run_all(const struct copy_plan *plans, size_t count, struct error *err)
{
    struct runner *runners = xcalloc(count + 1, sizeof(*runners));
    for (size_t i = 0; i < count; i++)
        runners[i] = (struct runner){.plan = &plans[i], .all = runners, .count = count};
    for (size_t i = 0; i < count; i++) {
        int failure = pthread_create(&runners[i].thread, NULL, run_one, &runners[i]);
        runners[i].started = failure == 0;
        if (failure != 0) {
            error_set_errno(&runners[i].err, failure, "cannot start a thread");
            for (size_t j = 0; j < count; j++)
                plans[j].control->stop = true;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (runners[i].started)
            pthread_join(runners[i].thread, NULL);
    }
    const struct error *cause = first_cause(runners, count);
    if (cause != NULL)
        *err = *cause;
    free(runners);
    return cause == NULL;
}
