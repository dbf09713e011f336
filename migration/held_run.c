/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "common/base/crashpoint.h"
#include "common/base/log.h"
#include "migration/handover.h"
#include "migration/held_inside.h"
#include "migration/progress.h"
#include "migration/worker.h"
#include "proto/codec.h"
#include "proto/fault.h"

#define FRAMES_A_TICK 64
/* What all jobs say goes into one report: none may fill it. */
#define STATUS_MOST_BYTES (192u << 10)
#define FINISH_GRACE_MS 5000

/* The run is raised in the journal before its worker exists. */
static bool raise_run(struct held *held, struct error *err)
{
    CLEANUP(progress_closep) struct progress *progress = NULL;
    uint32_t run = held->token.run + 1;
    if (!progress_open(held->directory, PROGRESS_WITHOUT_CHUNKS, &progress, err) ||
        !progress_set_run(progress, run, err))
        return false;
    held->token.run = run;
    return true;
}

static bool hand_over(struct held *held, const struct held_context *context, struct error *err)
{
    CLEANUP(buffer_fini) struct buffer packed = {0};
    struct handover handover = {
        .directory = held->directory,
        .private_key = context->node->private_key,
        .run = held->token.run,
        .roots_read = context->node->roots_read,
        .roots_write = context->node->roots_write,
        .urls = context->node->urls,
        .worker = *context->worker,
    };
    handover_pack(&handover, &packed);
    return channel_send(held->child.socket_fd, CHANNEL_HANDOVER, packed.data, packed.length, err);
}

static bool start_worker(struct held *held, const struct held_context *context, struct error *err)
{
    struct child_limits limits = {.memory_bytes = context->worker->memory_bytes,
                                  .open_files = (uint64_t)context->worker->open_files};
    return raise_run(held, err) &&
           child_start(WORKER_VERB, held->page_fd, &limits, &held->child, err) &&
           hand_over(held, context, err);
}

static void start(struct held *held, const struct held_context *context, uint64_t now_ms)
{
    struct error err;
    buffer_clear(&held->status); /* of an earlier run: its token is no longer ours */
    held->last_words_length = 0;
    held->last_words[0] = '\0';
    held->life_ms = now_ms;
    held->state = HELD_RUNNING;
    bool started = start_worker(held, context, &err);
    crashpoint("worker_started");
    if (started) {
        log_info("worker_started", "run %u, pid %d", held->token.run, (int)held->child.pid);
        context->on_change(context->context, held);
        return;
    }
    if (held->child.pid > 0)
        child_end(&held->child);
    snprintf(held->last_words, sizeof(held->last_words), "%s", err.text);
    held->last_words_length = strlen(held->last_words);
    held_ended(held, context, 127 << 8, now_ms);
}

static void take_status(struct held *held, const struct held_context *context, const void *data,
                        size_t length)
{
    struct error err;
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    const Guts__V1__JobReport *report = (const Guts__V1__JobReport *)codec_unpack(
        &guts__v1__job_report__descriptor, data, length, arena, &err);
    if (!report || length > STATUS_MOST_BYTES)
        return;
    buffer_clear(&held->status);
    buffer_append(&held->status, data, length);
    enum migration_state reached = codec_migration_state(report->reached);
    if (reached != held->reached)
        context->on_change(context->context, held);
    held->reached = reached;
}

bool held_result_is_readable(const struct held *held, const void *packed, size_t length)
{
    struct error err;
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    const Guts__V1__JobResult *result = (const Guts__V1__JobResult *)codec_unpack(
        &guts__v1__job_result__descriptor, packed, length, arena, &err);
    struct token token;
    return result && codec_token(result->token, &token) &&
           uuid_equal(&token.job, &held->token.job) && token.attempt == held->token.attempt;
}

static void take_result(struct held *held, const void *data, size_t length)
{
    if (!held_result_is_readable(held, data, length))
        return;
    buffer_clear(&held->result);
    buffer_append(&held->result, data, length);
    crashpoint("result_taken");
}

static void take_frame(struct held *held, const struct held_context *context,
                       const struct buffer *frame)
{
    enum channel_kind kind = (enum channel_kind)(uint8_t)frame->data[0];
    const char *data = frame->data + 1;
    size_t length = frame->length - 1;
    if (kind == CHANNEL_STATUS) {
        take_status(held, context, data, length);
    } else if (kind == CHANNEL_FINISHED) {
        take_result(held, data, length);
    } else {
        context->on_frame(context->context, held, kind, data, length);
    }
}

static void read_frames(struct held *held, const struct held_context *context, uint64_t now_ms)
{
    CLEANUP(buffer_fini) struct buffer frame = {0};
    for (int i = 0; i < FRAMES_A_TICK && channel_receive(held->child.socket_fd, &frame) > 0; i++) {
        held->life_ms = now_ms;
        take_frame(held, context, &frame);
    }
}

/* The tail of what it wrote to its standard error, kept for its obituary and passed on. */
static void read_words(struct held *held)
{
    char piece[512];
    ssize_t got;
    while ((got = read(held->child.stderr_fd, piece, sizeof(piece))) > 0) {
        size_t length = (size_t)got, room = sizeof(held->last_words) - 1;
        if (write(STDERR_FILENO, piece, length) < 0)
            log_debug("stderr_lost", "%s", strerror(errno));
        if (held->last_words_length + length > room) {
            size_t drop = held->last_words_length + length - room;
            held->last_words_length -= drop;
            memmove(held->last_words, held->last_words + drop, held->last_words_length);
        }
        memcpy(held->last_words + held->last_words_length, piece, length);
        held->last_words_length += length;
        held->last_words[held->last_words_length] = '\0';
    }
    for (size_t i = 0; i < held->last_words_length; i++) {
        if ((unsigned char)held->last_words[i] < 0x20 || (unsigned char)held->last_words[i] == 0x7f)
            held->last_words[i] = ' ';
    }
}

static bool has_ended(const struct held *held)
{
    struct pollfd fd = {.fd = held->child.pid_fd, .events = POLLIN};
    return poll(&fd, 1, 0) == 1;
}

/* When patience with the running worker ends. */
static uint64_t deadline(const struct held *held, const struct held_context *context)
{
    if (held->result.length > 0)
        return held->life_ms + FINISH_GRACE_MS;
    uint64_t stall = held->life_ms + context->worker->stall_ms;
    uint64_t grace =
        held->cancelled_ms ? held->cancelled_ms + context->node->stop_grace_ms : UINT64_MAX;
    return stall < grace ? stall : grace;
}

/* Its status. A worker that the kernel holds even then is left behind: the job has ended here. */
static int end_late(struct held *held)
{
    held->stalled = held->result.length == 0 && held->cancelled_ms == 0;
    (void)child_end(&held->child);
    return SIGKILL;
}

static void watch(struct held *held, const struct held_context *context, uint64_t now_ms)
{
    bool ended = has_ended(held); /* asked first: what it said before its end is read below */
    read_frames(held, context, now_ms);
    read_words(held);
    if (!ended && now_ms < deadline(held, context))
        return;
    int status = ended ? child_reap(&held->child) : end_late(held);
    crashpoint("worker_ended");
    held_ended(held, context, status, now_ms);
}

static void end_unstarted(struct held *held, const struct held_context *context)
{
    struct error fault;
    error_set(&fault, &FAULT_CANCELLED, "cancelled while no worker ran");
    held_finish(held, &fault);
    context->on_change(context->context, held);
}

void held_tick(struct held *held, const struct held_context *context, uint64_t now_ms)
{
    if (held->state == HELD_RUNNING)
        watch(held, context, now_ms);
    else if (held_is_live(held) && held->cancelled_ms != 0)
        end_unstarted(held, context);
    else if (held->state == HELD_PAUSED && now_ms >= held->due_ms)
        start(held, context, now_ms);
}

uint64_t held_due_ms(const struct held *held, const struct held_context *context)
{
    if (held->state == HELD_RUNNING)
        return deadline(held, context);
    if (held->state == HELD_PAUSED)
        return held->due_ms;
    return held->state == HELD_WAITING && held->cancelled_ms ? 0 : UINT64_MAX;
}
