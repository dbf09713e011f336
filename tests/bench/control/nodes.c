/* SPDX-License-Identifier: Apache-2.0
 *
 * Simulated nodes: each has a queue and reports of its own, accepts every assignment at once and then
 * holds the job, reporting it, until the scheduler closes or fences it. A thread has a bus for some
 * fifty nodes. Prints "ready" when all queues are consumed and all nodes have reported, and what it
 * counted when it is ended by SIGTERM.
 *
 *   nodes BROKER_ADDRESS VIRTUAL_HOST USER PASSWORD_FILE COUNT REPORT_MS
 */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "proto/bus.h"
#include "proto/codec.h"
#include "proto/topology.h"

#define NODES_A_THREAD 50
#define SLOTS 1000
#define WAIT_MOST_MS 50

struct node {
    char name[32];
    struct uuid id, pool;
    char instance[UUID_TEXT_SIZE];
    uint64_t report_number, report_at_ms;
    bool is_full; /* the next report declares everything */
    struct token *held;
    size_t held_count, held_capacity;
};

struct worker {
    pthread_t thread;
    struct bus *bus;
    struct node *nodes;
    size_t count;
    char name[32];
};

static struct bus_settings settings;
static uint64_t report_ms;
static atomic_bool is_ended;
static atomic_size_t ready_count;
static atomic_uint_fast64_t assigned, assign_messages, doubled, reported, unsent;

/* -- sending ------------------------------------------------------------------------------------- */

static bool send(struct bus *bus, enum message_type type, const ProtobufCMessage *message,
                 bool is_lasting)
{
    struct error err;
    CLEANUP(buffer_fini) struct buffer packed = {0};
    codec_pack(message, &packed);
    const struct bus_publication publication = {
        .exchange = TOPOLOGY_EXCHANGE,
        .routing_key = TOPOLOGY_SCHEDULER,
        .type = type,
        .body = packed.data,
        .length = packed.length,
        .persistent = is_lasting,
        .mandatory = is_lasting,
        .expires_ms = is_lasting ? 0 : 30000,
    };
    bool sent = bus_publish(bus, &publication, &err);
    if (!sent)
        atomic_fetch_add(&unsent, 1);
    return sent;
}

static void put_jobs(const struct node *node, struct arena *arena, Guts__V1__NodeReport *report)
{
    report->n_jobs = node->held_count;
    report->jobs = arena_calloc(arena, node->held_count + 1, sizeof(*report->jobs));
    for (size_t i = 0; i < node->held_count; i++) {
        Guts__V1__JobReport *job = arena_alloc(arena, sizeof(*job));
        guts__v1__job_report__init(job);
        job->token = codec_token_to(arena, &node->held[i]);
        job->reached = GUTS__V1__MIGRATION_STATE__MIGRATION_STATE_SCHEDULED;
        report->jobs[i] = job;
    }
}

static void put_drivers(struct arena *arena, Guts__V1__NodeReport *report)
{
    static const Guts__V1__End ends[] = {GUTS__V1__END__END_OF_SOURCE,
                                         GUTS__V1__END__END_OF_DESTINATION};
    report->n_drivers = COUNT_OF(ends);
    report->drivers = arena_calloc(arena, COUNT_OF(ends), sizeof(*report->drivers));
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        report->drivers[i] = arena_alloc(arena, sizeof(*report->drivers[i]));
        guts__v1__driver_declaration__init(report->drivers[i]);
        report->drivers[i]->end = ends[i];
        report->drivers[i]->name = report->drivers[i]->title = "fake";
    }
}

static void report(struct worker *worker, struct node *node)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    char *drivers[] = {"fake"};
    Guts__V1__NodeReport message = GUTS__V1__NODE_REPORT__INIT;
    Guts__V1__PoolReport pool = GUTS__V1__POOL_REPORT__INIT, *pools[] = {&pool};
    Guts__V1__Resource slot = GUTS__V1__RESOURCE__INIT, *resources[] = {&slot};
    pool.id = codec_uuid_to(&node->pool);
    pool.path = "/space";
    pool.capacity_bytes = pool.free_bytes = 1ull << 44;
    slot.name = "slot";
    slot.total = SLOTS;
    message.node_id = codec_uuid_to(&node->id);
    message.name = node->name;
    message.host = "simulated";
    message.instance = node->instance;
    message.number = node->report_number + 1;
    message.full = node->is_full;
    message.source_drivers = message.destination_drivers = drivers;
    message.n_source_drivers = message.n_destination_drivers = 1;
    message.pools = pools;
    message.resources = resources;
    message.n_pools = message.n_resources = 1;
    if (node->is_full)
        put_drivers(arena, &message);
    put_jobs(node, arena, &message);
    if (!send(worker->bus, MESSAGE_NODE_REPORT, &message.base, false))
        return;
    node->report_number++;
    node->is_full = false;
    atomic_fetch_add(&reported, 1);
}

/* -- receiving ----------------------------------------------------------------------------------- */

static size_t find_held(const struct node *node, const struct token *token)
{
    for (size_t i = 0; i < node->held_count; i++)
        if (uuid_equal(&node->held[i].job, &token->job))
            return i;
    return SIZE_MAX;
}

static void hold(struct node *node, const struct token *token)
{
    size_t at = find_held(node, token);
    if (at != SIZE_MAX) {
        node->held[at] = *token;
        atomic_fetch_add(&doubled, 1);
        return;
    }
    if (node->held_count == node->held_capacity) {
        node->held_capacity = node->held_capacity ? 2 * node->held_capacity : 16;
        node->held = xreallocarray(node->held, node->held_capacity, sizeof(*node->held));
    }
    node->held[node->held_count++] = *token;
}

static void take_assign(struct worker *worker, struct node *node, struct arena *arena,
                        const Guts__V1__JobAssign *message)
{
    Guts__V1__JobAccept accept = GUTS__V1__JOB_ACCEPT__INIT;
    if (strcmp(message->node_instance, node->instance) != 0)
        return;
    accept.tokens = arena_calloc(arena, message->n_assignments + 1, sizeof(*accept.tokens));
    for (size_t i = 0; i < message->n_assignments; i++) {
        struct error err;
        struct token token;
        const ProtobufCBinaryData packed = message->assignments[i];
        const Guts__V1__Assignment *assign = (const Guts__V1__Assignment *)codec_unpack(
            &guts__v1__assignment__descriptor, packed.data, packed.len, arena, &err);
        if (assign == NULL || !codec_token(assign->token, &token))
            continue;
        hold(node, &token);
        accept.tokens[accept.n_tokens++] = assign->token;
    }
    atomic_fetch_add(&assigned, accept.n_tokens);
    atomic_fetch_add(&assign_messages, 1);
    accept.node_id = codec_uuid_to(&node->id);
    accept.node_instance = node->instance;
    send(worker->bus, MESSAGE_JOB_ACCEPT, &accept.base, true);
}

static void take_renew(struct node *node, const Guts__V1__LeaseRenew *renew)
{
    if (strcmp(renew->node_instance, node->instance) != 0)
        return;
    node->is_full = node->is_full || renew->declare_again;
    for (size_t i = 0; i < renew->n_jobs; i++) {
        struct token token;
        enum wanted wanted = codec_wanted(renew->jobs[i]->wanted);
        if (!codec_token(renew->jobs[i]->token, &token))
            continue;
        size_t at = find_held(node, &token);
        if (at != SIZE_MAX && (wanted == WANTED_CLOSE || wanted == WANTED_FENCED))
            node->held[at] = node->held[--node->held_count];
    }
}

static void take(struct worker *worker, const struct bus_message *message)
{
    struct error err;
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    size_t number = strtoul(strrchr(message->queue->name, '-') + 1, NULL, 10);
    struct node *node = &worker->nodes[number % NODES_A_THREAD];
    const void *body = codec_unpack_bus(message, arena, &err);
    if (body == NULL)
        fprintf(stderr, "nodes: %s\n", err.text);
    else if (message->type == MESSAGE_JOB_ASSIGN)
        take_assign(worker, node, arena, body);
    else if (message->type == MESSAGE_LEASE_RENEW)
        take_renew(node, body);
    else if (message->type == MESSAGE_NODE_CONTROL)
        node->is_full = node->is_full || ((const Guts__V1__NodeControl *)body)->declare_again;
    bus_ack(worker->bus, message->tag);
}

/* -- a thread ------------------------------------------------------------------------------------ */

static uint64_t report_those_due(struct worker *worker)
{
    uint64_t now_ms = clock_mono_ms(), next_ms = now_ms + WAIT_MOST_MS;
    for (size_t i = 0; i < worker->count; i++) {
        struct node *node = &worker->nodes[i];
        if (node->report_at_ms <= now_ms) {
            report(worker, node);
            node->report_at_ms += report_ms;
        }
        if (node->report_at_ms < next_ms)
            next_ms = node->report_at_ms;
    }
    return next_ms > now_ms ? next_ms - now_ms : 0;
}

static void await_queues(struct worker *worker)
{
    struct bus_message message;
    struct bus_stats stats;
    for (size_t i = 0; i < worker->count; i++) {
        struct bus_queue queue = topology_node(worker->nodes[i].name);
        bus_consume(worker->bus, &queue);
    }
    do {
        if (bus_next(worker->bus, 20, -1, &message))
            bus_ack(worker->bus, message.tag); /* for an instance that is gone */
        bus_stats(worker->bus, &stats);
    } while (!(stats.publishing && stats.consuming) && !atomic_load(&is_ended));
}

static void *work(void *context)
{
    struct worker *worker = context;
    struct bus_message message;
    worker->bus = bus_open(&settings, worker->name);
    await_queues(worker);
    for (size_t i = 0; i < worker->count; i++) {
        report(worker, &worker->nodes[i]);
        worker->nodes[i].report_at_ms = clock_mono_ms() + report_ms + report_ms * i / worker->count;
    }
    atomic_fetch_add(&ready_count, 1);
    while (!atomic_load(&is_ended)) {
        uint64_t wait_ms = report_those_due(worker);
        for (int i = 0; i < 200 && bus_next(worker->bus, i == 0 ? wait_ms : 0, -1, &message); i++)
            take(worker, &message);
    }
    bus_close(worker->bus);
    return NULL;
}

static void node_init(struct node *node, size_t number)
{
    static const struct uuid space = {{0x67, 0x75, 0x74, 0x73}};
    struct uuid instance = uuid_new();
    snprintf(node->name, sizeof(node->name), "simulated-%zu", number);
    node->id = uuid_derive(&space, node->name);
    node->pool = uuid_derive(&node->id, "pool");
    uuid_format(&instance, node->instance);
    node->is_full = true;
}

static struct worker *begin(size_t count, size_t worker_count)
{
    struct worker *workers = xcalloc(worker_count, sizeof(*workers));
    struct node *nodes = xcalloc(worker_count * NODES_A_THREAD, sizeof(*nodes));
    for (size_t i = 0; i < count; i++)
        node_init(&nodes[i], i);
    for (size_t i = 0; i < worker_count; i++) {
        size_t left = count - i * NODES_A_THREAD;
        workers[i].nodes = &nodes[i * NODES_A_THREAD];
        workers[i].count = left < NODES_A_THREAD ? left : NODES_A_THREAD;
        snprintf(workers[i].name, sizeof(workers[i].name), "nodes-%zu", i);
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            abort();
    }
    return workers;
}

static bool read_arguments(char **argv, size_t *ret_count)
{
    static const char *addresses[1];
    struct error err;
    addresses[0] = argv[1];
    settings = (struct bus_settings){
        .addresses = {addresses, 1},
        .virtual_host = argv[2],
        .user = argv[3],
        .tls_ca = "",
        .tls_certificate = "",
        .tls_key = "",
        .heartbeat_ms = 30000,
        .connect_timeout_ms = 30000,
        .send_timeout_ms = 10000,
        .backoff_first_ms = 100,
        .backoff_most_ms = 1000,
        .prefetch = 50,
    };
    *ret_count = strtoul(argv[5], NULL, 10);
    report_ms = strtoul(argv[6], NULL, 10);
    if (!secret_load(argv[4], &settings.password, &err)) {
        fprintf(stderr, "nodes: %s\n", err.text);
        return false;
    }
    return *ret_count > 0 && report_ms > 0;
}

int main(int argc, char **argv)
{
    size_t count;
    int number;
    sigset_t ends;
    if (argc != 7 || !read_arguments(argv, &count)) {
        fprintf(stderr, "usage: nodes ADDRESS VHOST USER PASSWORD_FILE COUNT REPORT_MS\n");
        return 2;
    }
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ends, NULL);
    size_t worker_count = (count + NODES_A_THREAD - 1) / NODES_A_THREAD;
    struct worker *workers = begin(count, worker_count);
    struct timespec pause = {.tv_nsec = 20000000};
    while (atomic_load(&ready_count) < worker_count && sigtimedwait(&ends, NULL, &pause) < 0)
        continue;
    printf("ready\n");
    fflush(stdout);
    sigwait(&ends, &number);
    atomic_store(&is_ended, true);
    for (size_t i = 0; i < worker_count; i++)
        pthread_join(workers[i].thread, NULL);
    printf("{\"assigned\": %" PRIuFAST64 ", \"messages\": %" PRIuFAST64
           ", \"doubled\": %" PRIuFAST64 ", \"reports\": %" PRIuFAST64 ", \"unsent\": %" PRIuFAST64
           "}\n",
           atomic_load(&assigned), atomic_load(&assign_messages), atomic_load(&doubled),
           atomic_load(&reported), atomic_load(&unsent));
    return 0;
}
