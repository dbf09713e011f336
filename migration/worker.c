/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/base/crashpoint.h"
#include "common/base/log.h"
#include "migration/child.h"
#include "migration/handover.h"
#include "migration/job.h"
#include "migration/walls.h"

#define HANDOVER_TIMEOUT_MS 10000
#define FINISH_TIMEOUT_MS 10000

struct worker {
    struct arena *arena;
    struct handover handover;
    int lock_fd;
    struct progress *progress;
    struct assign assign;
    struct roots *roots;
    json_t *options;
    const struct lease_page *page;
    struct work *work;
};

static bool take_handover(struct worker *worker, struct error *err)
{
    CLEANUP(buffer_fini) struct buffer frame = {0};
    struct pollfd fd = {.fd = CHILD_SOCKET_FD, .events = POLLIN};
    if (poll(&fd, 1, HANDOVER_TIMEOUT_MS) != 1 || channel_receive(CHILD_SOCKET_FD, &frame) != 1 ||
        frame.data[0] != CHANNEL_HANDOVER)
        return error_set(err, &FAULT_TIMEOUT, "no hand-over came");
    return handover_unpack(frame.data + 1, frame.length - 1, worker->arena, &worker->handover, err);
}

static bool lock_directory(struct worker *worker, struct error *err)
{
    const char *path = worker->handover.directory;
    worker->lock_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (worker->lock_fd < 0)
        return error_set_errno(err, errno, "opening \"%s\"", path);
    if (flock(worker->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return error_set_errno(err, errno, "another worker holds \"%s\"", path);
    return true;
}

static bool read_journal(struct worker *worker, struct error *err)
{
    struct child_mark mark;
    size_t length;
    if (!progress_open(worker->handover.directory, PROGRESS_WHOLE, &worker->progress, err) ||
        !child_mark_self(&mark, err) || !progress_set_worker(worker->progress, &mark, err))
        return false;
    const void *job = progress_job(worker->progress, &length);
    if (!job)
        return error_set(err, &FAULT_INTERNAL, "the journal holds no job");
    return assign_unpack(job, length, worker->arena, &worker->assign, err);
}

static bool read_options(struct worker *worker, struct error *err)
{
    const char *text = worker->assign.options_json;
    worker->options = json_loads(*text ? text : "{}", JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(worker->options))
        return error_set(err, &FAULT_MESSAGE_POISON, "the options are no object");
    return true;
}

static bool prepare(struct worker *worker, struct error *err)
{
    const struct handover *handover = &worker->handover;
    return lease_page_map(CHILD_LEASE_FD, &worker->page, err) && read_journal(worker, err) &&
           read_options(worker, err) &&
           roots_open(&handover->roots_read, &handover->roots_write, &handover->urls,
                      &worker->roots, err) &&
           child_drop_privileges(err) && walls_raise(handover, &worker->assign, err);
}

/* Both ends of all disks under way together get three quarters of the buffers; the rest is lent to those
 * who copy. */
static uint64_t end_bytes(const struct worker_settings *limits)
{
    uint64_t disks = limits->disks_at_once > 0 ? (uint64_t)limits->disks_at_once : 1;
    return limits->buffer_bytes * 3 / 4 / disks / 2;
}

static bool start_work(struct worker *worker, struct error *err)
{
    struct work_plan plan = {
        .assign = &worker->assign,
        .run = worker->handover.run,
        .directory = worker->handover.directory,
        .roots = worker->roots,
        .options = worker->options,
        .progress = worker->progress,
        .page = worker->page,
        .channel_fd = CHILD_SOCKET_FD,
        .ledger_repeat_ms = worker->handover.worker.ledger_repeat_ms,
        .end_bytes = end_bytes(&worker->handover.worker),
    };
    return work_new(&plan, &worker->work, err);
}

/* The journal first; a full disk must not hide a result, so the daemon gets it in any case. */
static bool hand_back(struct worker *worker, const struct buffer *result, struct error *err)
{
    struct error unwritten;
    crashpoint("before_result");
    if (worker->progress &&
        !progress_set_result(worker->progress, result->data, result->length, &unwritten))
        fprintf(stderr, "the result is not in the journal: %s\n", unwritten.text);
    for (int waited = 0; waited < FINISH_TIMEOUT_MS; waited += 50) {
        if (channel_send(CHILD_SOCKET_FD, CHANNEL_FINISHED, result->data, result->length, err)) {
            crashpoint("after_result");
            return true;
        }
        if (err->fault != &FAULT_UNAVAILABLE)
            return false;
        poll(NULL, 0, 50);
    }
    return false;
}

static void run_job(struct worker *worker, struct buffer *ret_result)
{
    struct job_plan plan = {
        .work = worker->work,
        .assign = &worker->assign,
        .progress = worker->progress,
        .limits = &worker->handover.worker,
        .private_key = worker->handover.private_key,
        .options = worker->options,
    };
    crashpoint("prepared");
    job_run(&plan, ret_result);
    work_free(worker->work);
    worker->work = NULL;
}

static void worker_fini(struct worker *worker)
{
    progress_close(worker->progress);
    roots_free(worker->roots);
    json_decref(worker->options);
    lease_page_free(worker->page);
    fd_closep(&worker->lock_fd);
    arena_free(worker->arena);
}

int worker_main(void)
{
    CLEANUP(worker_fini) struct worker worker = {.arena = arena_new(), .lock_fd = -1};
    struct error err;
    CLEANUP(buffer_fini) struct buffer result = {0};
    log_open("guts-migration-worker", LOG_WARN_LEVEL);
    crashpoint_open("worker");
    if (!child_hide_self(&err) || !take_handover(&worker, &err) || !lock_directory(&worker, &err)) {
        fprintf(stderr, "cannot begin: %s\n", err.text);
        return 1; /* somebody else may hold the job: say nothing in its name */
    }
    crashpoint("locked");
    if (prepare(&worker, &err) && start_work(&worker, &err))
        run_job(&worker, &result);
    else if (!uuid_is_nil(&worker.assign.token.job))
        job_pack_failure(&worker.assign.token, &err, worker.assign.state, &result);
    else {
        fprintf(stderr, "cannot begin: %s\n", err.text);
        return 1;
    }
    if (!hand_back(&worker, &result, &err)) {
        fprintf(stderr, "cannot hand back the result: %s\n", err.text);
        return 1;
    }
    return 0;
}
