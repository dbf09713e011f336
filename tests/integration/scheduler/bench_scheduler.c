/* SPDX-License-Identifier: Apache-2.0
 *
 * How fast the loop and the database are without a broker: PENDING rows until each is an accepted job,
 * committed, over nodes that answer from memory. bench_scheduler NODES MIGRATIONS
 */
#include "tests/unit/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <time.h>

#include "common/base/clock.h"
#include "proto/topology.h"
#include "scheduler/gauge.h"
#include "scheduler/loop.h"
#include "tests/integration/scheduler/world.h"

static struct world world;
static struct bus *nodes_bus; /* consumes the queues of all nodes */
static struct uuid *node_ids;
static char (*instances)[UUID_TEXT_SIZE];

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void send(enum message_type type, const ProtobufCMessage *message)
{
    struct error err;
    CLEANUP(buffer_fini) struct buffer packed = {0};
    codec_pack(message, &packed);
    const struct bus_publication publication = {.exchange = TOPOLOGY_EXCHANGE,
                                                .routing_key = TOPOLOGY_SCHEDULER,
                                                .type = type,
                                                .body = packed.data,
                                                .length = packed.length};
    if (!bus_publish(nodes_bus, &publication, &err))
        abort();
}

static void report(size_t index)
{
    char name[32];
    char *drivers[] = {"fake"};
    Guts__V1__NodeReport message = GUTS__V1__NODE_REPORT__INIT;
    Guts__V1__PoolReport pool = GUTS__V1__POOL_REPORT__INIT, *pools[] = {&pool};
    Guts__V1__Resource slot = GUTS__V1__RESOURCE__INIT, *resources[] = {&slot};
    snprintf(name, sizeof name, "node-%zu", index);
    pool.id = codec_uuid_to(&node_ids[index]);
    pool.path = "/space";
    pool.capacity_bytes = pool.free_bytes = 1ull << 40;
    slot.name = "slot";
    slot.total = 100;
    message.node_id = codec_uuid_to(&node_ids[index]);
    message.name = name;
    message.instance = instances[index];
    message.number = 1;
    message.full = true;
    message.source_drivers = message.destination_drivers = drivers;
    message.n_source_drivers = message.n_destination_drivers = 1;
    message.pools = pools;
    message.resources = resources;
    message.n_pools = message.n_resources = 1;
    send(MESSAGE_NODE_REPORT, &message.base);
}

static void answer_all(void)
{
    struct error err;
    struct bus_message message;
    while (bus_next(nodes_bus, 0, -1, &message)) {
        CLEANUP(arena_freep) struct arena *arena = arena_new();
        if (message.type == MESSAGE_JOB_ASSIGN) {
            Guts__V1__JobAssign *assign = (void *)codec_unpack_bus(&message, arena, &err);
            Guts__V1__JobAccept accept = GUTS__V1__JOB_ACCEPT__INIT;
            accept.tokens = arena_calloc(arena, assign->n_assignments, sizeof *accept.tokens);
            size_t index = strtoul(strrchr(message.queue->name, '-') + 1, NULL, 10);
            accept.node_id = codec_uuid_to(&node_ids[index]);
            accept.node_instance = instances[index];
            for (size_t i = 0; i < assign->n_assignments; i++) {
                Guts__V1__Assignment *one = (void *)codec_unpack(
                    &guts__v1__assignment__descriptor, assign->assignments[i].data,
                    assign->assignments[i].len, arena, &err);
                accept.tokens[accept.n_tokens++] = one->token;
            }
            send(MESSAGE_JOB_ACCEPT, &accept.base);
        }
        bus_ack(nodes_bus, message.tag);
    }
}

static void begin_nodes(size_t count)
{
    node_ids = xcalloc(count, sizeof *node_ids);
    instances = xcalloc(count, sizeof *instances);
    nodes_bus = bus_memory_open(world.broker);
    for (size_t i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "node-%zu", i);
        struct bus_queue queue = topology_node(name);
        bus_consume(nodes_bus, &queue);
        node_ids[i] = uuid_new();
        uuid_format(&node_ids[i], instances[i]);
        report(i);
    }
}

/* Seconds of CPU that the database took so far. */
static double database_seconds(void)
{
    char path[64];
    unsigned long user = 0, system = 0;
    snprintf(path, sizeof path, "/proc/%s/stat", getenv("GUTS_TEST_DB_PID"));
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
               &system) != 2)
        user = system = 0;
    fclose(file);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

int main(int argc, char **argv)
{
    size_t node_count = argc > 1 ? strtoul(argv[1], NULL, 10) : 100;
    size_t count = argc > 2 ? strtoul(argv[2], NULL, 10) : 2000;
    struct error err;
    struct rusage usage;
    world_begin(&world);
    clock_fake_end();
    world.settings.batch_time_ms = 20;
    world.settings.batch_due = world.settings.batch_place = 1000;
    begin_nodes(node_count);
    if (!db_begin(world.db, &err))
        return 1;
    for (size_t i = 0; i < count; i++) {
        struct uuid vm = world_vm(&world, "vm", 1 << 30);
        world_migrate(&world, &vm, "rollback", false, "{}");
    }
    for (int i = 0; i < 20; i++)
        loop_turn(&world.scheduler, -1);
    if (!db_commit(world.db, &err))
        return 1;
    double begun = seconds(), cpu = (double)clock() / CLOCKS_PER_SEC, before = database_seconds();
    world.scheduler.look_now = true;
    int64_t accepted = gauge_accepts.value;
    while (gauge_accepts.value - accepted < (int64_t)count && seconds() - begun < 120) {
        loop_turn(&world.scheduler, -1);
        answer_all();
    }
    double took = seconds() - begun, used = (double)clock() / CLOCKS_PER_SEC - cpu;
    double database = database_seconds() - before;
    getrusage(RUSAGE_SELF, &usage);
    printf("%zu nodes, %zu migrations: %.2f s, %.0f placements a second, CPU ms a placement: %.3f "
           "here, %.3f database; %ld batches, %ld MiB\n",
           node_count, count, took, (double)count / took, 1000 * used / (double)count,
           1000 * database / (double)count, (long)gauge_batches.value, usage.ru_maxrss / 1024);
    return 0;
}
