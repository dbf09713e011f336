/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/bus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "proto/topology.h"

struct world {
    struct bus_memory *broker;
    struct bus *near, *far;
    enum bus_fate fates[64];
    uint64_t cookies[64];
    size_t fate_count;
    enum bus_memory_fate choice;
};
static struct world world;

static void note_fate(void *context, uint64_t cookie, enum bus_fate fate)
{
    assert_true(world.fate_count < sizeof(world.fates) / sizeof(world.fates[0]));
    world.cookies[world.fate_count] = cookie;
    world.fates[world.fate_count++] = fate;
}

static enum bus_memory_fate choose(void *context, enum message_type type, const char *routing_key)
{
    return world.choice;
}

static int world_begin(void **state)
{
    memset(&world, 0, sizeof(world));
    clock_fake_begin(1000, 1000000);
    world.broker = bus_memory_new();
    world.near = bus_memory_open(world.broker);
    world.far = bus_memory_open(world.broker);
    bus_on_fate(world.near, note_fate, NULL);
    return 0;
}

static int world_end(void **state)
{
    bus_memory_free(world.broker);
    clock_fake_end();
    return 0;
}

static struct bus_publication to(const char *routing_key, const char *body)
{
    return (struct bus_publication){
        .exchange = TOPOLOGY_EXCHANGE,
        .routing_key = routing_key,
        .type = MESSAGE_WAKE,
        .body = body,
        .length = strlen(body),
        .mandatory = true,
        .cookie = 7,
    };
}

static void publish(const struct bus_publication *publication)
{
    struct error err = {0};

    assert_true(bus_publish(world.near, publication, &err));
}

static void comes(struct bus *bus, const char *body, struct bus_message *ret_message)
{
    assert_true(bus_next(bus, 0, -1, ret_message));
    assert_int_equal(ret_message->length, strlen(body));
    assert_memory_equal(ret_message->body, body, strlen(body));
}

static void nothing_comes(struct bus *bus)
{
    struct bus_message message;

    assert_false(bus_next(bus, 1000, -1, &message));
}

static void far_consumes(struct bus_queue queue)
{
    bus_consume(world.far, &queue);
}

static void a_message_comes_with_its_type_and_its_sender_learns_so(void **state)
{
    struct bus_publication publication = to(TOPOLOGY_SCHEDULER, "one");
    struct bus_message message;
    struct error err = {0};

    far_consumes(topology_scheduler());
    publication.correlation_id = "c-1";
    publish(&publication);
    assert_int_equal(world.fate_count, 0);
    assert_true(bus_flush(world.near, 0, &err));
    assert_int_equal(world.fate_count, 1);
    assert_int_equal(world.cookies[0], 7);
    assert_int_equal(world.fates[0], BUS_CONFIRMED);
    comes(world.far, "one", &message);
    assert_int_equal(message.type, MESSAGE_WAKE);
    assert_int_equal(message.queue->kind, BUS_QUEUE_SCHEDULER);
    assert_string_equal(message.correlation_id, "c-1");
    assert_false(message.redelivered);
    bus_ack(world.far, message.tag);
    assert_memory_equal(message.body, "one", 3);
    nothing_comes(world.far);
}

static void what_no_queue_takes_is_returned_when_mandatory(void **state)
{
    struct bus_publication publication = to("guts.v1.node.nobody", "x");
    struct error err = {0};

    publish(&publication);
    publication.mandatory = false;
    publish(&publication);
    assert_true(bus_flush(world.near, 0, &err));
    assert_int_equal(world.fates[0], BUS_RETURNED);
    assert_int_equal(world.fates[1], BUS_CONFIRMED);
}

static void what_is_not_acknowledged_comes_again_in_order(void **state)
{
    struct bus_queue queue = topology_scheduler();
    struct bus_publication a = to(TOPOLOGY_SCHEDULER, "a"), b = to(TOPOLOGY_SCHEDULER, "b");
    struct bus_message message;

    far_consumes(queue);
    publish(&a);
    publish(&b);
    comes(world.far, "a", &message);
    comes(world.far, "b", &message);
    bus_unconsume(world.far, &queue);
    nothing_comes(world.far);
    far_consumes(queue);
    comes(world.far, "a", &message);
    assert_true(message.redelivered);
    comes(world.far, "b", &message);
    bus_requeue(world.far, message.tag);
    comes(world.far, "b", &message);
    bus_ack(world.far, message.tag);
    bus_reconnect(world.far);
    bus_ack(world.far, 1);
    comes(world.far, "a", &message);
}

static void a_broker_that_is_down_takes_nothing_and_loses_fates(void **state)
{
    struct bus_publication publication = to(TOPOLOGY_SCHEDULER, "a");
    struct error err = {0};
    struct bus_stats stats;
    struct bus_message message;

    far_consumes(topology_scheduler());
    publish(&publication);
    bus_memory_set_up(world.broker, false);
    assert_int_equal(world.fates[0], BUS_LOST);
    assert_false(bus_publish(world.near, &publication, &err));
    assert_ptr_equal(err.fault, &FAULT_UNAVAILABLE);
    assert_false(bus_flush(world.near, 10, &err));
    bus_stats(world.near, &stats);
    assert_false(stats.publishing);
    nothing_comes(world.far);
    bus_memory_set_up(world.broker, true);
    comes(world.far, "a", &message);
}

static void the_hook_drops_doubles_and_holds(void **state)
{
    struct bus_publication publication = to(TOPOLOGY_SCHEDULER, "a");
    struct bus_message message;

    far_consumes(topology_scheduler());
    bus_memory_on_publish(world.broker, choose, NULL);
    world.choice = BUS_MEMORY_DROP;
    publish(&publication);
    nothing_comes(world.far);
    world.choice = BUS_MEMORY_DOUBLE;
    publish(&publication);
    comes(world.far, "a", &message);
    comes(world.far, "a", &message);
    nothing_comes(world.far);
    world.choice = BUS_MEMORY_HOLD;
    publish(&publication);
    nothing_comes(world.far);
    bus_memory_release(world.broker);
    comes(world.far, "a", &message);
}

static void a_rejected_message_goes_to_the_dead_letters(void **state)
{
    struct bus_publication publication = to(TOPOLOGY_SCHEDULER, "a");
    struct bus_message message;
    struct error err = {0};

    far_consumes(topology_scheduler());
    publish(&publication);
    comes(world.far, "a", &message);
    assert_int_equal(bus_memory_dead_count(world.broker), 0);
    error_set(&err, &FAULT_INVALID, "not for us");
    bus_reject(world.far, &message, &err);
    bus_ack(world.far, message.tag);
    assert_int_equal(bus_memory_dead_count(world.broker), 1);
    nothing_comes(world.far);
}

static void changes_reach_each_api_and_end_with_its_connection(void **state)
{
    struct bus_publication change = {.exchange = TOPOLOGY_CHANGES,
                                     .routing_key = "",
                                     .type = MESSAGE_CHANGE,
                                     .body = "1",
                                     .length = 1};
    struct bus_queue queue = topology_changes();
    struct bus_message message;

    bus_consume(world.near, &queue);
    bus_consume(world.far, &queue);
    publish(&change);
    comes(world.near, "1", &message);
    comes(world.far, "1", &message);
    publish(&change);
    bus_reconnect(world.far);
    nothing_comes(world.far);
    comes(world.near, "1", &message);
}

static void a_nodes_queue_has_one_consumer(void **state)
{
    struct bus_queue queue = topology_node("node-1");
    struct bus_publication publication = to(queue.name, "a");
    struct bus_stats stats;
    struct bus_message message;

    bus_consume(world.far, &queue);
    bus_consume(world.near, &queue);
    publish(&publication);
    nothing_comes(world.near);
    bus_stats(world.near, &stats);
    assert_non_null(strstr(stats.last_error, "exclusive"));
    comes(world.far, "a", &message);
}

static void messages_expire_and_queues_take_turns(void **state)
{
    struct bus_publication a = to(TOPOLOGY_SCHEDULER, "a"), b = to(TOPOLOGY_SCHEDULER_BULK, "b");
    struct bus_message message;

    far_consumes(topology_scheduler());
    far_consumes(topology_scheduler_bulk());
    a.expires_ms = 50;
    publish(&a);
    clock_fake_advance(50);
    nothing_comes(world.far);
    publish(&a);
    publish(&a);
    publish(&b);
    comes(world.far, "a", &message);
    comes(world.far, "b", &message);
    comes(world.far, "a", &message);
}

static void prefetch_bounds_what_is_unacknowledged(void **state)
{
    struct bus_publication b = to(TOPOLOGY_SCHEDULER_BULK, "b");
    struct bus_message message;
    unsigned count = 0;

    far_consumes(topology_scheduler_bulk());
    for (int i = 0; i < 10; i++)
        publish(&b);
    while (bus_next(world.far, 0, -1, &message))
        count++;
    assert_int_equal(count, topology_scheduler_bulk().prefetch);
    bus_ack(world.far, message.tag);
    comes(world.far, "b", &message);
}

static void a_message_beyond_the_bound_is_not_sent(void **state)
{
    struct bus_publication publication = to(TOPOLOGY_SCHEDULER, "");
    struct error err = {0};

    publication.length = BUS_MESSAGE_MOST_BYTES + 1;
    assert_false(bus_publish(world.near, &publication, &err));
    assert_ptr_equal(err.fault, &FAULT_TOO_LARGE);
}

static void types_come_back_from_their_names(void **state)
{
    for (int i = MESSAGE_WAKE; i <= MESSAGE_CHANGE; i++)
        assert_int_equal(message_type_parse(message_type_name((enum message_type)i)), i);
    assert_int_equal(message_type_parse("guts.v2.Wake"), MESSAGE_UNKNOWN);
    assert_int_equal(message_type_parse(message_type_name(MESSAGE_UNKNOWN)), MESSAGE_UNKNOWN);
    assert_int_equal(message_type_parse(NULL), MESSAGE_UNKNOWN);
    assert_string_equal(message_type_name((enum message_type)99), "guts.v1.Unknown");
}

/* Forty messages of a mebibyte wait: who gathers without waiting gets sixteen, settles, goes on. */
static void a_batch_is_bounded_in_bytes(void **state)
{
    struct bus_publication publication = to(TOPOLOGY_SCHEDULER, "");
    struct bus_message message;
    size_t turns = 0, sum = 0;

    far_consumes(topology_scheduler());
    publication.body = xcalloc(1, BUS_MESSAGE_MOST_BYTES);
    publication.length = BUS_MESSAGE_MOST_BYTES;
    for (int i = 0; i < 40; i++)
        publish(&publication);
    for (; sum < 40 && turns < 10; turns++) {
        uint64_t tags[64];
        size_t count = 0;
        while (bus_next(world.far, 0, -1, &message))
            tags[count++] = message.tag;
        assert_in_range(count, 1, 16);
        for (size_t i = 0; i < count; i++)
            bus_ack(world.far, tags[i]);
        sum += count;
    }
    assert_int_equal(sum, 40);
    assert_int_equal(turns, 3);
    free((void *)(uintptr_t)publication.body);
}

/* Nobody is stuck who settles nothing: a call that waits begins anew. */
static void a_call_that_waits_is_given_more(void **state)
{
    struct bus_publication publication = to(TOPOLOGY_SCHEDULER, "");
    struct bus_message message;

    far_consumes(topology_scheduler());
    publication.body = xcalloc(1, BUS_MESSAGE_MOST_BYTES);
    publication.length = BUS_MESSAGE_MOST_BYTES;
    for (int i = 0; i < 17; i++)
        publish(&publication);
    for (int i = 0; i < 16; i++)
        assert_true(bus_next(world.far, 0, -1, &message));
    assert_false(bus_next(world.far, 0, -1, &message));
    assert_true(bus_next(world.far, 1, -1, &message));
    free((void *)(uintptr_t)publication.body);
}

static void the_settings_have_defaults_that_parse(void **state)
{
    struct bus_settings settings;
    struct conf_section section = {"bus", bus_conf_keys, bus_conf_key_count, &settings};
    struct conf *conf;
    struct error err = {0};

    assert_true(conf_load(NULL, &section, 1, &conf, &err));
    assert_int_equal(settings.addresses.count, 1);
    assert_string_equal(settings.addresses.items[0], "127.0.0.1:5672");
    assert_string_equal(settings.virtual_host, "guts");
    assert_string_equal(settings.tls_ca, "");
    assert_int_equal(settings.heartbeat_ms, 10000);
    assert_int_equal(settings.backoff_first_ms, 200);
    assert_true(settings.prefetch > 0);
    assert_null(settings.password);
    conf_free(conf);
}

int main(void)
{
#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, world_begin, world_end)
    const struct CMUnitTest tests[] = {
        IN_WORLD(a_message_comes_with_its_type_and_its_sender_learns_so),
        IN_WORLD(what_no_queue_takes_is_returned_when_mandatory),
        IN_WORLD(what_is_not_acknowledged_comes_again_in_order),
        IN_WORLD(a_broker_that_is_down_takes_nothing_and_loses_fates),
        IN_WORLD(the_hook_drops_doubles_and_holds),
        IN_WORLD(a_rejected_message_goes_to_the_dead_letters),
        IN_WORLD(changes_reach_each_api_and_end_with_its_connection),
        IN_WORLD(a_nodes_queue_has_one_consumer),
        IN_WORLD(messages_expire_and_queues_take_turns),
        IN_WORLD(prefetch_bounds_what_is_unacknowledged),
        IN_WORLD(a_message_beyond_the_bound_is_not_sent),
        IN_WORLD(a_batch_is_bounded_in_bytes),
        IN_WORLD(a_call_that_waits_is_given_more),
        cmocka_unit_test(types_come_back_from_their_names),
        cmocka_unit_test(the_settings_have_defaults_that_parse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
