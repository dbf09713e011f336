/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/node.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/crashpoint.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/daemon/metrics.h"
#include "migration/node_inside.h"

#define REPORT_GAP_MS 50
#define MESSAGES_A_TURN 256

struct metric metric_reports = METRIC_COUNTER("guts_node_reports_total", "Reports sent");
struct metric metric_accepted = METRIC_COUNTER("guts_node_jobs_accepted_total", "Jobs accepted");
struct metric metric_refused = METRIC_COUNTER("guts_node_jobs_refused_total", "Jobs refused");
struct metric metric_finished = METRIC_COUNTER("guts_node_jobs_finished_total", "Jobs finished");
struct metric metric_crashed =
    METRIC_COUNTER("guts_node_workers_crashed_total", "Workers that ended without a result");
struct metric metric_fenced = METRIC_COUNTER("guts_node_jobs_fenced_total", "Jobs taken away");
struct metric metric_rejected =
    METRIC_COUNTER("guts_node_messages_rejected_total", "Messages sent to the dead letters");
struct metric metric_held = METRIC_GAUGE("guts_node_jobs_held", "Jobs held now");

void node_register_metrics(void)
{
    struct metric *all[] = {&metric_reports, &metric_accepted, &metric_refused,  &metric_finished,
                            &metric_crashed, &metric_fenced,   &metric_rejected, &metric_held};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        metric_register(all[i]);
}

/* -- jobs ------------------------------------------------------------------------------------------------ */

struct held *node_find(const struct node *node, const struct uuid *job)
{
    for (size_t i = 0; i < node->job_count; i++) {
        if (uuid_equal(&node->jobs[i]->token.job, job))
            return node->jobs[i];
    }
    return NULL;
}

void node_add(struct node *node, struct held *take_held)
{
    node->jobs = xreallocarray(node->jobs, node->job_count + 1, sizeof(struct held *));
    node->jobs[node->job_count++] = take_held;
    metric_set(&metric_held, (int64_t)node->job_count);
}

void node_forget(struct node *node, struct held *held)
{
    for (size_t i = 0; i < node->job_count; i++) {
        if (node->jobs[i] == held)
            node->jobs[i] = node->jobs[--node->job_count];
    }
    held_free(held);
    metric_set(&metric_held, (int64_t)node->job_count);
}

/* A job may have left two directories; the higher attempt is the one that counts. */
static void recover(void *context, const char *path)
{
    struct node *node = context;
    struct held *held = NULL;
    struct error err;
    if (!held_recover(path, &held, &err)) {
        log_fault(LOG_WARN_LEVEL, "journal_unusable", &err);
        if (err.fault != &FAULT_TIMEOUT && !file_remove_tree(path, &err))
            log_fault(LOG_ERROR_LEVEL, "directory_stays", &err);
        return;
    }
    struct held *other = node_find(node, &held->token.job);
    struct held *older = other && other->token.attempt < held->token.attempt ? other : held;
    if (older != held || !other)
        node_add(node, held);
    if (other) {
        held_drop(older);
        if (older == other)
            node_forget(node, other);
        else
            held_free(older);
    }
}

static bool recover_all(struct node *node, struct error *err)
{
    for (size_t i = 0; i < node->pool_count; i++) {
        if (!pool_jobs_each(&node->pools[i], recover, node, err))
            return false;
    }
    crashpoint("recovered");
    log_info("jobs_recovered", "%zu jobs stand in journals", node->job_count);
    return true;
}

/* Frames and ends of workers wake the loop through one descriptor. */
static void watch_worker(struct node *node, const struct held *held)
{
    int fds[] = {held->child.socket_fd, held->child.pid_fd, held->child.stderr_fd};
    for (size_t i = 0; i < COUNT_OF(fds) && held->child.pid > 0; i++) {
        struct epoll_event event = {.events = EPOLLIN};
        if (epoll_ctl(node->epoll_fd, EPOLL_CTL_ADD, fds[i], &event) != 0 && errno != EEXIST)
            log_error("worker_unwatched", "%s", strerror(errno));
    }
}

static void on_change(void *context, struct held *held)
{
    struct node *node = context;
    node->report_soon = true;
    if (held->state == HELD_RUNNING)
        watch_worker(node, held);
    if (held->state == HELD_PAUSED)
        metric_add(&metric_crashed, 1);
    if (held->state != HELD_FINISHED)
        return;
    log_info("job_finished", "%s", job_kind_name(held->assign.kind));
    metric_add(&metric_finished, 1);
    node_tell_finished(node, held);
}

static void on_frame(void *context, struct held *held, enum channel_kind kind, const void *data,
                     size_t length)
{
    node_pass_frame(context, held, kind, data, length);
}

static void on_fate(void *context, uint64_t cookie, enum bus_fate fate)
{
    node_take_fate(context, cookie, fate);
}

/* -- opening ----------------------------------------------------------------------------------------------- */

static bool open_pools(struct node *node, struct error *err)
{
    const struct conf_strings *texts = &node->plan.node->pools;
    node->pools = xcalloc(texts->count, sizeof(*node->pools));
    for (size_t i = 0; i < texts->count; i++) {
        node->pool_count++;
        if (!pool_open(&node->pools[i], texts->items[i], node->plan.node->name, err))
            return error_prefix(err, "conversion space");
    }
    return pool_node_id(&node->pools[0], node->plan.node->name, &node->id, &node->lock_fd, err);
}

static bool open_loop(struct node *node, struct error *err)
{
    struct epoll_event event = {.events = EPOLLIN};
    node->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (node->epoll_fd < 0 ||
        (node->plan.signal_fd >= 0 &&
         epoll_ctl(node->epoll_fd, EPOLL_CTL_ADD, node->plan.signal_fd, &event) != 0))
        return error_set_errno(err, errno, "preparing the loop");
    return true;
}

bool node_open(const struct node_plan *plan, struct node **ret_node, struct error *err)
{
    struct node *node = xcalloc(1, sizeof(*node));
    struct uuid instance = uuid_new();
    node->plan = *plan;
    node->lock_fd = node->epoll_fd = -1;
    node->full = node->report_soon = true;
    node->queue = topology_node(plan->node->name);
    node->context = (struct held_context){plan->node, plan->worker, on_frame, on_change, node};
    uuid_format(&instance, node->instance);
    if (gethostname(node->host, sizeof(node->host) - 1) != 0)
        snprintf(node->host, sizeof(node->host), "unknown");
    if (!open_pools(node, err) || !open_loop(node, err) || !recover_all(node, err)) {
        node_close(node);
        return false;
    }
    bus_on_fate(plan->bus, on_fate, node);
    bus_consume(plan->bus, &node->queue);
    *ret_node = node;
    return true;
}

void node_close(struct node *node)
{
    if (!node)
        return;
    for (size_t i = 0; i < node->job_count; i++)
        held_free(node->jobs[i]);
    for (size_t i = 0; i < node->pool_count; i++)
        pool_fini(&node->pools[i]);
    fd_closep(&node->epoll_fd);
    fd_closep(&node->lock_fd);
    free(node->jobs);
    free(node->pools);
    free(node);
}

const char *node_instance(const struct node *node)
{
    return node->instance;
}

/* -- the loop ------------------------------------------------------------------------------------------------- */

static uint64_t report_due_ms(const struct node *node)
{
    uint64_t gap = node->report_soon ? REPORT_GAP_MS : node->plan.node->report_interval_ms;
    if (node->refused.fault)
        return node->refused_until_ms;
    return node->reported_ms == 0 ? 0 : node->reported_ms + gap;
}

static uint64_t next_due_ms(const struct node *node)
{
    uint64_t due = report_due_ms(node);
    for (size_t i = 0; i < node->job_count; i++) {
        uint64_t job = held_due_ms(node->jobs[i], &node->context);
        due = job < due ? job : due;
    }
    return due;
}

static void serve_jobs(struct node *node, uint64_t now_ms)
{
    for (size_t i = 0; i < node->job_count; i++) {
        struct held *held = node->jobs[i];
        LOG_SCOPE("job", UUID_TEXT(&held->token.job));
        LOG_SCOPE("owner", UUID_TEXT(&held->assign.owner));
        held_tick(held, &node->context, now_ms);
    }
}

static void receive_all(struct node *node, uint64_t timeout_ms)
{
    struct bus_message message;
    for (int i = 0; i < MESSAGES_A_TURN; i++) {
        if (!bus_next(node->plan.bus, i == 0 ? timeout_ms : 0, node->epoll_fd, &message))
            return;
        node_receive(node, &message);
    }
}

static void tell_health(struct node *node)
{
    struct bus_stats stats;
    if (!node->plan.health)
        return;
    bus_stats(node->plan.bus, &stats);
    const char *broker = stats.publishing && stats.consuming ? NULL
                         : stats.blocked                     ? "the broker takes no messages now"
                         : *stats.last_error                 ? stats.last_error
                                                             : "not connected";
    health_set(node->plan.health, "broker", broker);
    health_set(node->plan.health, "name", node->refused.fault ? node->refused.text : NULL);
    health_beat(node->plan.health);
}

void node_turn(struct node *node, uint64_t timeout_ms)
{
    uint64_t now = clock_mono_ms(), due = next_due_ms(node);
    uint64_t wait = due <= now ? 0 : due - now;
    receive_all(node, wait < timeout_ms ? wait : timeout_ms);
    now = clock_mono_ms();
    if (!node->refused.fault)
        serve_jobs(node, now);
    if (now >= report_due_ms(node)) {
        if (node->refused.fault) {
            node->refused = (struct error){0};
            bus_consume(node->plan.bus, &node->queue);
        }
        node_report(node, now);
    }
    tell_health(node);
}
