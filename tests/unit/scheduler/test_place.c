/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include "common/base/memory.h"
#include "scheduler/intern.h"
#include "scheduler/place.h"

#define GIB ((int64_t)1 << 30)

static struct place_words words(const char *json)
{
    struct place_words words = {0};
    intern_words(json, &words);
    return words;
}

/* A node that fits anything small. */
static struct place_node node(void)
{
    return (struct place_node){
        .up = true,
        .enabled = true,
        .labels = words("[\"lan\"]"),
        .source_drivers = words("[\"fake\",\"ova\"]"),
        .destination_drivers = words("[\"local\"]"),
        .slots_total = 4,
        .slots_free = 4,
        .available_bytes = {10 * GIB, 40 * GIB},
        .hold_bytes = {50 * GIB, 80 * GIB},
        .pool_count = 2,
    };
}

static void node_fini(struct place_node *node)
{
    intern_words_fini(&node->labels);
    intern_words_fini(&node->source_drivers);
    intern_words_fini(&node->destination_drivers);
}

static struct place_need need(uint64_t space_bytes)
{
    return (struct place_need){.source_driver = intern("ova"),
                               .destination_driver = intern("local"),
                               .slots = 1,
                               .memory_bytes = 1 << 20,
                               .space_bytes = space_bytes};
}

enum change {
    NOTHING,
    IS_DOWN,
    IS_DISABLED,
    IS_DRAINING,
    LACKS_SOURCE,
    LACKS_DESTINATION,
    LACKS_LABEL,
    HAS_NO_SLOT,
    HAS_NO_MEMORY,
    HAS_NO_SPACE,
    HAS_NO_POOL,
    OWES_SPACE,
    IS_HELD,
};

static void apply(enum change change, struct place_node *node, struct place_need *need)
{
    switch (change) {
    case NOTHING:
        break;
    case IS_DOWN:
        node->up = false;
        break;
    case IS_DISABLED:
        node->enabled = false;
        break;
    case IS_DRAINING:
        node->draining = true;
        break;
    case LACKS_SOURCE:
        need->source_driver = intern("vsphere");
        break;
    case LACKS_DESTINATION:
        need->destination_driver = intern("openstack");
        break;
    case LACKS_LABEL:
        need->labels = words("[\"lan\",\"dmz\"]");
        break;
    case HAS_NO_SLOT:
        node->slots_free = 0;
        break;
    case HAS_NO_MEMORY:
        node->counts_memory = true;
        node->memory_free_bytes = 1;
        break;
    case HAS_NO_SPACE:
        need->space_bytes = 41 * (uint64_t)GIB;
        break;
    case HAS_NO_POOL:
        node->pool_count = 0;
        break;
    case OWES_SPACE:
        node->available_bytes[0] = node->available_bytes[1] = -GIB;
        break;
    case IS_HELD:
        node->held = true;
        break;
    }
}

static void each_filter_gives_its_reason(void **state)
{
    static const struct {
        enum change change;
        enum place_reason reason;
    } table[] = {
        {NOTHING, PLACE_FITS},
        {IS_DOWN, PLACE_NODE_DOWN},
        {IS_DISABLED, PLACE_NODE_DISABLED},
        {IS_DRAINING, PLACE_NODE_DRAINING},
        {LACKS_SOURCE, PLACE_NO_SOURCE_DRIVER},
        {LACKS_DESTINATION, PLACE_NO_DESTINATION_DRIVER},
        {LACKS_LABEL, PLACE_NO_LABEL},
        {HAS_NO_SLOT, PLACE_NO_SLOT},
        {HAS_NO_MEMORY, PLACE_NO_MEMORY},
        {HAS_NO_SPACE, PLACE_NO_SPACE},
        {HAS_NO_POOL, PLACE_NO_SPACE},
        {OWES_SPACE, PLACE_NO_SPACE},
        {IS_HELD, PLACE_NODE_HELD},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        size_t pool;
        struct place_node here = node();
        struct place_need wants = need(GIB);
        apply(table[i].change, &here, &wants);
        assert_int_equal(place_fits(&here, &wants, &pool), table[i].reason);
        intern_words_fini(&wants.labels);
        node_fini(&here);
    }
    intern_end();
}

static void the_pool_with_the_most_room_is_taken(void **state)
{
    size_t pool = 9;
    struct place_node here = node();
    struct place_need wants = need(40 * (uint64_t)GIB); /* exactly what is there */
    assert_int_equal(place_fits(&here, &wants, &pool), PLACE_FITS);
    assert_int_equal(pool, 1);
    node_fini(&here);
    intern_end();
}

static void an_undoing_needs_no_space_and_fits_a_full_node(void **state)
{
    size_t pool;
    struct place_node here = node();
    struct place_need wants = need(0);
    apply(OWES_SPACE, &here, &wants);
    assert_int_equal(place_fits(&here, &wants, &pool), PLACE_FITS);
    node_fini(&here);
    intern_end();
}

static void a_node_is_held_only_for_what_it_could_ever_take(void **state)
{
    struct place_node here = node();
    struct place_need fits = need(80 * (uint64_t)GIB), never = need(81 * (uint64_t)GIB);
    assert_true(place_could_fit(&here, &fits));
    assert_false(place_could_fit(&here, &never));
    here.draining = true;
    assert_false(place_could_fit(&here, &fits));
    node_fini(&here);
    intern_end();
}

static double score(int64_t available, int64_t slots_free, uint32_t same_source)
{
    static const struct place_weights weights = {100, 10, 10, 10};
    const struct place_node here = {.slots_total = 4,
                                    .slots_free = slots_free,
                                    .available_bytes = {available},
                                    .pool_count = 1};
    const struct place_view view = {
        .node = &here, .same_source = same_source, .largest_bytes = 100 * GIB};
    const struct place_need wants = {.space_bytes = (uint64_t)GIB};
    return place_score(&view, &wants, &weights);
}

static void more_space_more_slots_and_fewer_of_the_same_source_score_higher(void **state)
{
    assert_true(score(100 * GIB, 4, 0) > score(50 * GIB, 4, 0));
    assert_true(score(50 * GIB, 4, 0) > score(50 * GIB, 1, 0));
    assert_true(score(50 * GIB, 4, 0) > score(50 * GIB, 4, 2));
    assert_true(score(100 * GIB, 1, 2) > score(10 * GIB, 4, 0)); /* space rules by default */
}

static void what_is_promised_counts_until_it_is_allocated(void **state)
{
    static const struct {
        uint64_t reserved, allocated, outstanding;
    } table[] = {{10, 0, 10}, {10, 4, 6}, {10, 10, 0}, {10, 15, 0}, {0, 3, 0}};
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        const struct place_promise promise = {table[i].reserved, table[i].allocated};
        assert_int_equal(place_outstanding(&promise), table[i].outstanding);
    }
    assert_int_equal(place_base_bytes(100, 50, 20), 30); /* configured capacity bounds it */
    assert_int_equal(place_base_bytes(10, 50, 20), 10);  /* the filesystem bounds it */
    assert_int_equal(place_base_bytes(10, 50, 60), 0);
    assert_int_equal(place_base_bytes(UINT64_MAX, UINT64_MAX, 0), INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_filter_gives_its_reason),
        cmocka_unit_test(the_pool_with_the_most_room_is_taken),
        cmocka_unit_test(an_undoing_needs_no_space_and_fits_a_full_node),
        cmocka_unit_test(a_node_is_held_only_for_what_it_could_ever_take),
        cmocka_unit_test(more_space_more_slots_and_fewer_of_the_same_source_score_higher),
        cmocka_unit_test(what_is_promised_counts_until_it_is_allocated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
