/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/work_state.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"

void work_wake(struct work *work)
{
    uint64_t one = 1;
    if (write(work->wake_fd, &one, sizeof(one)) < 0)
        return; /* it is full: the thread wakes anyway */
}

void work_wait_changed(struct work *work, uint64_t duration_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t nanoseconds = (uint64_t)until.tv_nsec + duration_ms % 1000 * 1000000;
    until.tv_sec += (time_t)(duration_ms / 1000 + nanoseconds / 1000000000);
    until.tv_nsec = (long)(nanoseconds % 1000000000);
    pthread_cond_clockwait(&work->changed, &work->mutex, CLOCK_MONOTONIC, &until);
    work->beat++;
}

bool work_wanted_locked(struct work *work, struct error *err)
{
    if (work->lost)
        return error_set(err, &FAULT_CANCELLED, "the daemon is gone");
    switch (lease_wanted(work->plan.page)) {
    case WANTED_CANCEL:
        return error_set(err, &FAULT_CANCELLED, "a cancel was asked for");
    case WANTED_CLOSE:
    case WANTED_FENCED:
        return error_set(err, &FAULT_FENCED, "attempt %u is no longer the current one",
                         work->token.attempt);
    default:
        return true;
    }
}

/* Each watched copy gets an equal share of the job's rate. */
static void steer_copies(struct work *work)
{
    struct error ignored;
    bool go_on = work_wanted_locked(work, &ignored);
    uint64_t rate = lease_rate(work->plan.page, clock_mono_ms()), count = 0;
    for (size_t i = 0; i < WORK_CONTROLS_MOST; i++)
        count += work->watched[i].control != NULL;
    for (size_t i = 0; i < WORK_CONTROLS_MOST; i++) {
        struct copy_control *control = work->watched[i].control;
        if (!control)
            continue;
        if (!go_on)
            atomic_store(&control->stop, true);
        atomic_store(&control->bytes_per_second, rate ? (rate + count - 1) / count : 0);
    }
}

static void take_frame(struct work *work, const struct buffer *frame)
{
    const char *data = frame->data + 1;
    size_t length = frame->length - 1;
    switch ((enum channel_kind)(uint8_t)frame->data[0]) {
    case CHANNEL_LEDGER_ANSWER:
        work_take_answer(work, data, length);
        break;
    case CHANNEL_PAGE_TAKEN:
        if (length == sizeof(work->page_taken))
            memcpy(&work->page_taken, data, length);
        break;
    default:
        break; /* a wake: the page is looked at anyway */
    }
}

/* Waits for frames, a wake or the tick; false when the daemon is gone. */
static bool receive(struct work *work, struct buffer *frame)
{
    struct pollfd fds[] = {{.fd = work->plan.channel_fd, .events = POLLIN},
                           {.fd = work->wake_fd, .events = POLLIN}};
    poll(fds, 2, WORK_TICK_MS);
    uint64_t count;
    if ((fds[1].revents & POLLIN) && read(work->wake_fd, &count, sizeof(count)) < 0)
        return true;
    int got = 0;
    while ((got = channel_receive(work->plan.channel_fd, frame)) > 0) {
        pthread_mutex_lock(&work->mutex);
        take_frame(work, frame);
        pthread_mutex_unlock(&work->mutex);
    }
    return got == 0;
}

static void *run_thread(void *context)
{
    struct work *work = context;
    CLEANUP(buffer_fini) struct buffer frame = {0};
    bool ending = false;
    while (!ending) {
        bool there = receive(work, &frame);
        pthread_mutex_lock(&work->mutex);
        work->lost = work->lost || !there;
        ending = work->ending || work->lost;
        steer_copies(work);
        work_send_status(work, ending);
        pthread_cond_broadcast(&work->changed);
        pthread_mutex_unlock(&work->mutex);
    }
    return NULL;
}

bool work_new(const struct work_plan *plan, struct work **ret_work, struct error *err)
{
    struct work *work = xcalloc(1, sizeof(*work));
    work->plan = *plan;
    work->token = plan->assign->token;
    work->token.run = plan->run;
    work->arena = arena_new();
    work->ledger_arena = arena_new();
    work->reached = plan->assign->state;
    work->urgent = true;
    pthread_mutex_init(&work->asking, NULL);
    pthread_mutex_init(&work->mutex, NULL);
    pthread_cond_init(&work->changed, NULL);
    work_adopt_ledger(work);
    work->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int number = work->wake_fd < 0 ? errno : pthread_create(&work->thread, NULL, run_thread, work);
    if (number != 0) {
        fd_closep(&work->wake_fd);
        free(work);
        return error_set_errno(err, number, "starting the worker's thread");
    }
    *ret_work = work;
    return true;
}

void work_free(struct work *work)
{
    if (!work)
        return;
    pthread_mutex_lock(&work->mutex);
    work->ending = true;
    pthread_mutex_unlock(&work->mutex);
    work_wake(work);
    pthread_join(work->thread, NULL);
    fd_closep(&work->wake_fd);
    pthread_cond_destroy(&work->changed);
    pthread_mutex_destroy(&work->mutex);
    pthread_mutex_destroy(&work->asking);
    buffer_fini(&work->last_status);
    arena_free(work->arena);
    arena_free(work->ledger_arena);
    free(work->ledger);
    free(work);
}

const struct token *work_token(const struct work *work)
{
    return &work->token;
}

const struct uuid *work_owner(const struct work *work)
{
    return &work->plan.assign->owner;
}

const char *work_directory(const struct work *work)
{
    return work->plan.directory;
}

uint64_t work_end_bytes(const struct work *work)
{
    return work->plan.end_bytes;
}

const struct roots *work_roots(const struct work *work)
{
    return work->plan.roots;
}

struct arena *work_arena(const struct work *work)
{
    return work->arena;
}

const json_t *work_options(const struct work *work)
{
    return work->plan.options;
}

bool work_go_on(struct work *work, struct error *err)
{
    pthread_mutex_lock(&work->mutex);
    work->beat++;
    bool go_on = work_wanted_locked(work, err);
    pthread_mutex_unlock(&work->mutex);
    return go_on;
}

bool work_is_leased(const struct work *work)
{
    return lease_holds(work->plan.page, clock_mono_ms());
}

bool work_wait_ms(struct work *work, uint64_t duration_ms, struct error *err)
{
    uint64_t until = clock_mono_ms() + duration_ms;
    pthread_mutex_lock(&work->mutex);
    bool go_on = work_wanted_locked(work, err);
    for (uint64_t now = clock_mono_ms(); go_on && now < until; now = clock_mono_ms()) {
        uint64_t left = until - now;
        work_wait_changed(work, left < 500 ? left : 500);
        go_on = work_wanted_locked(work, err);
    }
    pthread_mutex_unlock(&work->mutex);
    return go_on;
}
