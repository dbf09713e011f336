/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "migration/disk/tool/tool.h"

#define TICK_MS 250
#define BAR_WIDTH 30

struct tool_progress {
    const struct copy_control *control;
    uint64_t begun_ms;
    bool ended;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
};

static void print_line(const struct tool_progress *progress)
{
    uint64_t total = progress->control->total_bytes, done = progress->control->done_bytes;
    uint64_t spent_ms = clock_mono_ms() - progress->begun_ms + 1;
    double share = total > 0 ? (double)done / (double)total : 1;
    double rate = (double)done / (double)spent_ms * 1000;
    char bar[BAR_WIDTH + 1];
    for (int i = 0; i < BAR_WIDTH; i++)
        bar[i] = i < (int)(share * BAR_WIDTH) ? '#' : '.';
    bar[BAR_WIDTH] = 0;
    fprintf(stderr, "\r[%s] %5.1f %%  %" PRIu64 " of %" PRIu64 " MiB  %.0f MiB/s  %.0f s left   ",
            bar, share * 100, done >> 20, total >> 20, rate / (1 << 20),
            rate > 0 && total > done ? (double)(total - done) / rate : 0);
}

static void *show(void *argument)
{
    struct tool_progress *progress = argument;
    pthread_mutex_lock(&progress->lock);
    while (!progress->ended) {
        print_line(progress);
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += TICK_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&progress->wake, &progress->lock, &until);
    }
    print_line(progress);
    fputc('\n', stderr);
    pthread_mutex_unlock(&progress->lock);
    return NULL;
}

struct tool_progress *tool_progress_begin(const struct copy_control *control)
{
    struct tool_progress *progress = xcalloc(1, sizeof(*progress));
    progress->control = control;
    progress->begun_ms = clock_mono_ms();
    pthread_mutex_init(&progress->lock, NULL);
    pthread_cond_init(&progress->wake, NULL);
    if (pthread_create(&progress->thread, NULL, show, progress) != 0)
        abort();
    return progress;
}

void tool_progress_end(struct tool_progress *progress)
{
    if (progress == NULL)
        return;
    pthread_mutex_lock(&progress->lock);
    progress->ended = true;
    pthread_cond_signal(&progress->wake);
    pthread_mutex_unlock(&progress->lock);
    pthread_join(progress->thread, NULL);
    pthread_cond_destroy(&progress->wake);
    pthread_mutex_destroy(&progress->lock);
    free(progress);
}
