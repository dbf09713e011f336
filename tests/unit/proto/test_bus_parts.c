/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/bus_window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/bus_tags.h"

static struct bus_window window;
static struct bus_tags tags;

static int parts_begin(void **state)
{
    window_init(&window);
    tags_init(&tags);
    return 0;
}

static int parts_end(void **state)
{
    window_fini(&window);
    tags_fini(&tags);
    return 0;
}

static void fate_is(uint64_t cookie, enum bus_fate fate)
{
    struct window_entry entry;

    assert_true(window_take(&window, &entry));
    assert_int_equal(entry.cookie, cookie);
    assert_int_equal(entry.fate, fate);
}

static void no_fate(void)
{
    struct window_entry entry;

    assert_false(window_take(&window, &entry));
}

static struct uuid add(uint64_t cookie)
{
    struct uuid id = uuid_new();

    window_add(&window, cookie, 0, &id);
    return id;
}

static void one_confirm_settles_all_up_to_its_number(void **state)
{
    for (uint64_t i = 1; i <= 4; i++)
        add(i);
    window_settle(&window, 2, false, BUS_CONFIRMED);
    fate_is(2, BUS_CONFIRMED);
    assert_int_equal(window_open_count(&window), 4); /* the first is still open */
    window_settle(&window, 3, true, BUS_CONFIRMED);
    fate_is(1, BUS_CONFIRMED);
    fate_is(3, BUS_CONFIRMED);
    no_fate();
    assert_int_equal(window_open_count(&window), 1);
    window_settle(&window, 4, false, BUS_REFUSED);
    fate_is(4, BUS_REFUSED);
}

static void confirms_of_what_was_never_sent_are_ignored(void **state)
{
    add(1);
    window_settle(&window, 99, true, BUS_CONFIRMED);
    no_fate();
    window_settle(&window, 0, false, BUS_CONFIRMED);
    no_fate();
    window_settle(&window, 1, false, BUS_CONFIRMED);
    window_settle(&window, 1, true, BUS_CONFIRMED);
    fate_is(1, BUS_CONFIRMED);
    no_fate();
}

static void a_returned_message_stays_returned_when_it_is_confirmed(void **state)
{
    struct uuid unknown = uuid_new(), second;

    add(1);
    second = add(2);
    window_returned(&window, &second);
    window_returned(&window, &unknown);
    window_settle(&window, 2, true, BUS_CONFIRMED);
    fate_is(1, BUS_CONFIRMED);
    fate_is(2, BUS_RETURNED);
}

static void a_lost_channel_loses_what_is_open_and_counts_anew(void **state)
{
    add(1);
    add(2);
    window_settle(&window, 1, false, BUS_CONFIRMED);
    window_lose(&window);
    fate_is(1, BUS_CONFIRMED);
    fate_is(2, BUS_LOST);
    add(3);
    window_settle(&window, 1, false, BUS_CONFIRMED);
    fate_is(3, BUS_CONFIRMED);
}

static void the_window_is_full_at_its_bound_and_goes_round(void **state)
{
    for (int round = 0; round < 3; round++) {
        for (uint64_t i = 0; i < BUS_WINDOW_MOST; i++) {
            assert_false(window_is_full(&window));
            add(i + 1);
        }
        assert_true(window_is_full(&window));
        window_settle(&window, window.last, true, BUS_CONFIRMED);
        for (uint64_t i = 0; i < BUS_WINDOW_MOST; i++)
            fate_is(i + 1, BUS_CONFIRMED);
    }
    no_fate();
}

static void ack_is(uint64_t number, bool multiple)
{
    uint64_t got;
    bool got_multiple;

    assert_true(tags_next_ack(&tags, &got, &got_multiple));
    assert_int_equal(got, number);
    assert_int_equal(got_multiple, multiple);
}

static void no_ack(void)
{
    uint64_t number;
    bool multiple;

    assert_false(tags_next_ack(&tags, &number, &multiple));
}

static void deliver(uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        assert_true(tags_deliver(&tags, tags.next));
}

static void acknowledgements_in_order_go_out_as_one(void **state)
{
    deliver(10);
    for (uint64_t i = 1; i <= 7; i++)
        assert_true(tags_ack(&tags, i));
    ack_is(7, true);
    no_ack();
}

static void an_open_one_makes_those_behind_it_go_one_by_one(void **state)
{
    deliver(5);
    tags_ack(&tags, 1);
    tags_ack(&tags, 3);
    tags_ack(&tags, 5);
    ack_is(1, true);
    ack_is(3, false);
    ack_is(5, false);
    no_ack();
    tags_ack(&tags, 2);
    ack_is(2, true); /* never up to 3, which the broker no longer knows */
    tags_ack(&tags, 4);
    ack_is(4, true);
    no_ack();
}

static void what_was_handed_back_is_not_acknowledged(void **state)
{
    deliver(3);
    assert_true(tags_forget(&tags, 1));
    assert_false(tags_ack(&tags, 1));
    assert_true(tags_ack(&tags, 2));
    assert_false(tags_ack(&tags, 2));
    assert_false(tags_forget(&tags, 2));
    assert_false(tags_ack(&tags, 4));
    assert_false(tags_ack(&tags, 0));
    ack_is(2, true);
    no_ack();
}

static void deliveries_must_follow_each_other(void **state)
{
    deliver(2);
    assert_false(tags_deliver(&tags, 2));
    assert_false(tags_deliver(&tags, 4));
    tags_reset(&tags);
    assert_true(tags_deliver(&tags, 1));
}

static void thousands_may_be_open_at_once(void **state)
{
    deliver(5000);
    for (uint64_t i = 5000; i > 1; i--)
        assert_true(tags_ack(&tags, i));
    ack_is(2, false);
    tags_ack(&tags, 1);
    ack_is(5000, true);
    no_ack();
    deliver(5000);
    tags_ack(&tags, 10000);
    ack_is(10000, false);
}

int main(void)
{
#define WITH_PARTS(test) cmocka_unit_test_setup_teardown(test, parts_begin, parts_end)
    const struct CMUnitTest tests[] = {
        WITH_PARTS(one_confirm_settles_all_up_to_its_number),
        WITH_PARTS(confirms_of_what_was_never_sent_are_ignored),
        WITH_PARTS(a_returned_message_stays_returned_when_it_is_confirmed),
        WITH_PARTS(a_lost_channel_loses_what_is_open_and_counts_anew),
        WITH_PARTS(the_window_is_full_at_its_bound_and_goes_round),
        WITH_PARTS(acknowledgements_in_order_go_out_as_one),
        WITH_PARTS(an_open_one_makes_those_behind_it_go_one_by_one),
        WITH_PARTS(what_was_handed_back_is_not_acknowledged),
        WITH_PARTS(deliveries_must_follow_each_other),
        WITH_PARTS(thousands_may_be_open_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
