/* SPDX-License-Identifier: Apache-2.0
 *
 * What makes the threads of a copy wait: throttle, turn, budget.
 */
#include <time.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "migration/disk/copy_engine.h"

#define WAIT_MOST_US 50000u

void copy_throttle_init(struct copy_throttle *throttle)
{
    *throttle = (struct copy_throttle){.last_us = clock_mono_us()};
    pthread_mutex_init(&throttle->lock, NULL);
}

void copy_throttle_fini(struct copy_throttle *throttle)
{
    pthread_mutex_destroy(&throttle->lock);
}

/* Debt shrinks with time; whoever comes while there is none may go and leaves its own bytes as debt. */
uint64_t copy_throttle_pay_us(struct copy_throttle *throttle, uint64_t bytes,
                              uint64_t bytes_per_second)
{
    uint64_t wait_us = 0;
    pthread_mutex_lock(&throttle->lock);
    uint64_t now_us = clock_mono_us();
    double passed = (double)(now_us - throttle->last_us) / 1e6;
    throttle->last_us = now_us;
    throttle->debt_bytes -= passed * (double)bytes_per_second;
    if (bytes_per_second == 0 || throttle->debt_bytes < 0)
        throttle->debt_bytes = 0;
    if (bytes_per_second == 0 || throttle->debt_bytes <= 0) {
        throttle->debt_bytes += bytes_per_second > 0 ? (double)bytes : 0;
    } else {
        double wait = throttle->debt_bytes / (double)bytes_per_second * 1e6;
        wait_us = wait < WAIT_MOST_US ? (uint64_t)wait + 1 : WAIT_MOST_US;
    }
    pthread_mutex_unlock(&throttle->lock);
    return wait_us;
}

void copy_turn_init(struct copy_turn *turn)
{
    *turn = (struct copy_turn){.now = 0};
    pthread_mutex_init(&turn->lock, NULL);
    pthread_cond_init(&turn->passed, NULL);
}

void copy_turn_fini(struct copy_turn *turn)
{
    pthread_cond_destroy(&turn->passed);
    pthread_mutex_destroy(&turn->lock);
}

bool copy_turn_wait(struct copy_turn *turn, uint64_t ticket)
{
    pthread_mutex_lock(&turn->lock);
    while (turn->now != ticket && !turn->ended)
        pthread_cond_wait(&turn->passed, &turn->lock);
    bool mine = !turn->ended;
    pthread_mutex_unlock(&turn->lock);
    return mine;
}

void copy_turn_pass(struct copy_turn *turn)
{
    pthread_mutex_lock(&turn->lock);
    turn->now++;
    pthread_cond_broadcast(&turn->passed);
    pthread_mutex_unlock(&turn->lock);
}

void copy_turn_end(struct copy_turn *turn)
{
    pthread_mutex_lock(&turn->lock);
    turn->ended = true;
    pthread_cond_broadcast(&turn->passed);
    pthread_mutex_unlock(&turn->lock);
}

/* A buffer that nobody has at the moment; its head stands in itself. */
struct idle_buffer {
    struct idle_buffer *next;
    size_t bytes;
};
struct copy_budget {
    uint64_t total_bytes;
    uint64_t lent_bytes;
    uint64_t held_bytes; /* by disks */
    uint64_t idle_bytes;
    struct idle_buffer *idle;
    pthread_mutex_t lock;
    pthread_cond_t given;
};

struct copy_budget *copy_budget_new(uint64_t bytes)
{
    struct copy_budget *budget = xcalloc(1, sizeof(*budget));
    budget->total_bytes = bytes > 0 ? bytes : 32ull << 20;
    pthread_mutex_init(&budget->lock, NULL);
    pthread_cond_init(&budget->given, NULL);
    return budget;
}

static void *idle_pop(struct copy_budget *budget, struct idle_buffer **link)
{
    struct idle_buffer *buffer = *link;
    *link = buffer->next;
    budget->idle_bytes -= buffer->bytes;
    return buffer;
}

void copy_budget_free(struct copy_budget *budget)
{
    if (budget == NULL)
        return;
    while (budget->idle != NULL)
        free(idle_pop(budget, &budget->idle));
    pthread_cond_destroy(&budget->given);
    pthread_mutex_destroy(&budget->lock);
    free(budget);
}

static bool is_free(const struct copy_budget *budget, uint64_t bytes)
{
    return budget->lent_bytes == 0 ||
           budget->held_bytes + budget->lent_bytes + bytes <= budget->total_bytes;
}

/* So much idle memory goes that `bytes` more fit, if that is enough. */
static void idle_free(struct copy_budget *budget, uint64_t bytes)
{
    while (budget->idle != NULL &&
           budget->held_bytes + budget->lent_bytes + budget->idle_bytes + bytes >
               budget->total_bytes)
        free(idle_pop(budget, &budget->idle));
}

/* One of this size that is there, or a new one, for which others go if they must. */
static void *buffer_find(struct copy_budget *budget, size_t bytes)
{
    for (struct idle_buffer **at = &budget->idle; *at != NULL; at = &(*at)->next) {
        if ((*at)->bytes == bytes)
            return idle_pop(budget, at);
    }
    idle_free(budget, bytes);
    void *buffer = aligned_alloc(4096, bytes);
    if (buffer == NULL)
        abort();
    return buffer;
}

void *copy_budget_take(struct copy_budget *budget, size_t bytes)
{
    void *buffer = NULL;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 100000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&budget->lock);
    while (!is_free(budget, bytes) &&
           pthread_cond_timedwait(&budget->given, &budget->lock, &until) == 0)
        ;
    if (is_free(budget, bytes)) {
        buffer = buffer_find(budget, bytes);
        budget->lent_bytes += bytes;
    }
    pthread_mutex_unlock(&budget->lock);
    return buffer;
}

void copy_budget_give(struct copy_budget *budget, void *buffer, size_t bytes)
{
    struct idle_buffer *idle = buffer;
    pthread_mutex_lock(&budget->lock);
    budget->lent_bytes -= bytes;
    budget->idle_bytes += bytes;
    *idle = (struct idle_buffer){budget->idle, bytes};
    budget->idle = idle;
    pthread_cond_broadcast(&budget->given);
    pthread_mutex_unlock(&budget->lock);
}

void copy_budget_hold(struct copy_budget *budget, uint64_t bytes)
{
    pthread_mutex_lock(&budget->lock);
    budget->held_bytes += bytes;
    idle_free(budget, 0);
    pthread_mutex_unlock(&budget->lock);
}

void copy_budget_release(struct copy_budget *budget, uint64_t bytes)
{
    pthread_mutex_lock(&budget->lock);
    budget->held_bytes -= bytes;
    pthread_cond_broadcast(&budget->given);
    pthread_mutex_unlock(&budget->lock);
}
