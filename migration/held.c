/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/held.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/crashpoint.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "migration/held_inside.h"
#include "migration/job.h"
#include "migration/progress.h"
#include "proto/codec.h"
#include "proto/fault.h"

#define OLD_WORKER_TIMEOUT_MS 5000
#define WORDS_SHOWN 400

static struct held *make(const char *directory)
{
    static uint32_t serial;
    struct held *held = xcalloc(1, sizeof(*held));
    held->serial = ++serial;
    held->arena = arena_new();
    held->directory = xstrdup(directory);
    held->page_fd = -1;
    held->child = (struct child){0, -1, -1, -1};
    return held;
}

static bool take_job(struct held *held, const void *packed, size_t length, struct error *err)
{
    if (!assign_unpack(packed, length, held->arena, &held->assign, err) ||
        !lease_page_new(&held->page, &held->page_fd, err))
        return false;
    held->token = held->assign.token;
    held->reached = held->assign.state;
    return true;
}

static bool write_job(struct held *held, const void *packed, size_t length, struct error *err)
{
    CLEANUP(progress_closep) struct progress *progress = NULL;
    return progress_open(held->directory, PROGRESS_WITHOUT_CHUNKS, &progress, err) &&
           progress_set_job(progress, packed, length, err);
}

bool held_new(const void *packed, size_t length, const char *directory, struct held **ret_held,
              struct error *err)
{
    struct held *held = make(directory);
    if (!take_job(held, packed, length, err) || !write_job(held, packed, length, err)) {
        held_free(held);
        return false;
    }
    *ret_held = held;
    return true;
}

/* Ends the recorded worker, then waits for the directory's lock: one that was never recorded dies with
 * its daemon too, and until then it writes. */
static bool take_over(const struct held *held, int *ret_lock, struct error *err)
{
    CLEANUP(progress_closep) struct progress *progress = NULL;
    CLEANUP(fd_closep) int fd = open(held->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno, "opening \"%s\"", held->directory);
    if (!progress_peek(held->directory, &progress, err) ||
        !child_end_marked(progress_worker(progress), OLD_WORKER_TIMEOUT_MS, err))
        return false;
    for (uint64_t until_ms = clock_mono_ms() + OLD_WORKER_TIMEOUT_MS;
         flock(fd, LOCK_EX | LOCK_NB) != 0;) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return error_set_errno(err, errno, "locking \"%s\"", held->directory);
        if (clock_mono_ms() >= until_ms)
            return error_set(err, &FAULT_TIMEOUT, "a worker still holds \"%s\"", held->directory);
        poll(NULL, 0, 20);
    }
    *ret_lock = fd;
    fd = -1;
    return true;
}

/* What the journal of an earlier start says. */
static bool read_job(struct held *held, struct error *err)
{
    CLEANUP(progress_closep) struct progress *progress = NULL;
    CLEANUP(fd_closep) int lock = -1; /* until the journal is read and its torn tail cut */
    size_t length, result_length;
    if (!take_over(held, &lock, err) ||
        !progress_open(held->directory, PROGRESS_WITHOUT_CHUNKS, &progress, err))
        return false;
    const void *packed = progress_job(progress, &length);
    if (!packed)
        return error_set(err, &FAULT_NOT_FOUND, "the journal holds no job");
    if (!take_job(held, packed, length, err))
        return false;
    held->token.run = progress_run(progress);
    held->crashes = progress_crashes(progress);
    const void *result = progress_result(progress, &result_length);
    if (result && held_result_is_readable(held, result, result_length)) {
        buffer_append(&held->result, result, result_length);
        held->state = HELD_FINISHED;
    }
    return true;
}

bool held_recover(const char *directory, struct held **ret_held, struct error *err)
{
    struct held *held = make(directory);
    if (!read_job(held, err)) {
        held_free(held);
        return false;
    }
    *ret_held = held;
    return true;
}

void held_free(struct held *held)
{
    if (!held)
        return;
    if (held->child.pid > 0)
        child_end(&held->child);
    lease_page_free(held->page);
    fd_closep(&held->page_fd);
    buffer_fini(&held->status);
    buffer_fini(&held->result);
    arena_free(held->arena);
    free(held->directory);
    free(held);
}

bool held_is_live(const struct held *held)
{
    return held->state == HELD_WAITING || held->state == HELD_RUNNING || held->state == HELD_PAUSED;
}

bool held_send(struct held *held, enum channel_kind kind, const void *data, size_t length)
{
    struct error unsent;
    return held->child.pid > 0 && channel_send(held->child.socket_fd, kind, data, length, &unsent);
}

void held_renew(struct held *held, uint64_t lease_until_ms, uint64_t bytes_per_second,
                uint64_t limit_until_ms)
{
    lease_extend(held->page, lease_until_ms);
    atomic_store(&held->page->bytes_per_second, bytes_per_second);
    atomic_store(&held->page->limit_until_ms, limit_until_ms);
    if (held->state == HELD_WAITING)
        held->state = HELD_PAUSED; /* due at once */
    else
        held_send(held, CHANNEL_WAKE, NULL, 0);
}

void held_cancel(struct held *held, uint64_t now_ms)
{
    if (held->cancelled_ms != 0 || held->state >= HELD_FINISHED)
        return;
    held->cancelled_ms = now_ms;
    lease_want(held->page, WANTED_CANCEL);
    held_send(held, CHANNEL_WAKE, NULL, 0);
}

static void end_worker(struct held *held)
{
    if (held->child.pid > 0)
        child_end(&held->child);
}

void held_suspend(struct held *held)
{
    end_worker(held);
    if (held_is_live(held))
        held->state = HELD_WAITING;
}

void held_drop(struct held *held)
{
    struct error err;
    if (held->state == HELD_GONE)
        return;
    crashpoint("before_drop");
    lease_want(held->page, WANTED_FENCED);
    end_worker(held);
    if (!file_remove_tree(held->directory, &err)) {
        log_fault(LOG_ERROR_LEVEL, "directory_stays", &err);
        held->state = HELD_FINISHED; /* tried again when it is told again */
        return;
    }
    held->state = HELD_GONE;
    crashpoint("after_drop");
}

/* -- results ------------------------------------------------------------------------------------------- */

static void keep_result(struct held *held, const void *packed, size_t length)
{
    buffer_clear(&held->result);
    buffer_append(&held->result, packed, length);
    held->state = HELD_FINISHED;
}

void held_finish(struct held *held, const struct error *fault)
{
    CLEANUP(progress_closep) struct progress *progress = NULL;
    CLEANUP(buffer_fini) struct buffer packed = {0};
    struct error err;
    job_pack_failure(&held->token, fault, held->reached, &packed);
    if (!progress_open(held->directory, PROGRESS_WITHOUT_CHUNKS, &progress, &err) ||
        !progress_set_result(progress, packed.data, packed.length, &err))
        log_fault(LOG_ERROR_LEVEL, "result_not_in_journal", &err);
    keep_result(held, packed.data, packed.length);
}

/* A result that the worker wrote and could not hand over any more. */
static bool find_result(struct held *held)
{
    CLEANUP(progress_closep) struct progress *progress = NULL;
    struct error err;
    size_t length;
    if (!progress_peek(held->directory, &progress, &err))
        return false;
    const void *result = progress_result(progress, &length);
    if (!result || !held_result_is_readable(held, result, length))
        return false;
    keep_result(held, result, length);
    return true;
}

static void note_crash(struct held *held, const char *text)
{
    CLEANUP(progress_closep) struct progress *progress = NULL;
    struct error err;
    held->crashes++;
    if (!progress_open(held->directory, PROGRESS_WITHOUT_CHUNKS, &progress, &err) ||
        !progress_add_crash(progress, text, &err))
        log_fault(LOG_ERROR_LEVEL, "crash_not_in_journal", &err);
}

static void crashed(struct held *held, const struct held_context *context, const char *how,
                    uint64_t now_ms)
{
    struct error fault;
    const char *words = held->last_words; /* their end tells most */
    if (held->last_words_length > WORDS_SHOWN)
        words += held->last_words_length - WORDS_SHOWN;
    error_set(&fault, held->stalled ? &FAULT_WORKER_STALLED : &FAULT_WORKER_CRASHED, "%s%s%s", how,
              *words ? "; last words: " : "", words);
    held->crash = fault;
    held->crash_run = held->token.run;
    held->crash_at = clock_wall_us();
    log_fault(LOG_WARN_LEVEL, "worker_crashed", &fault);
    note_crash(held, fault.text);
    held->stalled = false;
    if (held->crashes > (unsigned)context->worker->restarts) {
        held_finish(held, &fault);
        return;
    }
    held->state = HELD_PAUSED;
    held->due_ms = now_ms + clock_backoff_ms(held->crashes - 1, context->worker->restart_first_ms,
                                             context->worker->restart_most_ms);
}

void held_ended(struct held *held, const struct held_context *context, int status, uint64_t now_ms)
{
    char how[CHILD_STATUS_SIZE];
    struct error fault;
    child_describe(status, how);
    if (held->result.length > 0 || find_result(held)) {
        held->state = HELD_FINISHED;
    } else if (held->cancelled_ms != 0) {
        error_set(&fault, &FAULT_CANCELLED, "cancelled; the worker ended with %s", how);
        held_finish(held, &fault);
    } else {
        crashed(held, context, how, now_ms);
    }
    context->on_change(context->context, held);
}
