/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "api/event.h"
#include "api/ring.h"

static struct event_view event(uint64_t number, const char *text)
{
    return (struct event_view){.number = number,
                               .at = 1000000,
                               .project = "default",
                               .kind = "migration.state",
                               .severity = "info",
                               .owner_kind = OWNER_MIGRATION,
                               .text = text,
                               .data_json = "{\n\"from\": \"PENDING\"}"};
}

static void a_frame_is_one_line_of_data(void **state)
{
    CLEANUP(buffer_fini) struct buffer frame = {0};
    struct event_view one = event(7, "two\nlines");
    ring_frame(&one, &frame);
    assert_memory_equal(frame.data, "id: 7\ndata: {\"number\":7,", 24);
    assert_string_equal(frame.data + frame.length - 2, "\n\n");
    const char *data = strchr(frame.data, '\n') + 1;
    assert_int_equal(strcspn(data, "\n"), strlen(data) - 2);
    assert_non_null(strstr(data, "two\\nlines"));
}

static void events_are_found_behind_a_number(void **state)
{
    struct ring ring;
    ring_init(&ring);
    ring_clear(&ring, 10);
    for (uint64_t number = 11; number <= 31; number += 2) {
        struct event_view one = event(number, "x");
        ring_add(&ring, &one);
    }
    assert_int_equal(ring.count, 11);
    assert_int_equal(ring.last, 31);
    assert_int_equal(ring.after, 10);
    assert_int_equal(ring_at(&ring, ring_find(&ring, 10))->number, 11);
    assert_int_equal(ring_at(&ring, ring_find(&ring, 11))->number, 13);
    assert_int_equal(ring_at(&ring, ring_find(&ring, 12))->number, 13);
    assert_int_equal(ring_find(&ring, 31), ring.count);
    ring_fini(&ring);
}

static void the_oldest_go_first_and_are_known_to_be_gone(void **state)
{
    struct ring ring;
    ring_init(&ring);
    for (uint64_t number = 1; number <= RING_EVENTS_MOST + 5; number++) {
        struct event_view one = event(number, "x");
        ring_add(&ring, &one);
    }
    assert_int_equal(ring.count, RING_EVENTS_MOST);
    assert_int_equal(ring.after, 5);
    assert_int_equal(ring_at(&ring, 0)->number, 6);
    ring_fini(&ring);
}

static void bytes_are_bounded_too(void **state)
{
    struct ring ring;
    char *text = calloc(1, 20001);
    memset(text, 'x', 20000);
    ring_init(&ring);
    for (uint64_t number = 1; number <= 300; number++) {
        struct event_view one = event(number, text);
        ring_add(&ring, &one);
    }
    assert_true(ring.bytes <= RING_BYTES_MOST);
    assert_true(ring.count < 300);
    assert_int_equal(ring.after, 300 - ring.count);
    ring_clear(&ring, 300);
    assert_int_equal(ring.bytes, 0);
    ring_fini(&ring);
    free(text);
}

static void kinds_fit_exactly_or_by_their_beginning(void **state)
{
    assert_true(event_kind_fits(NULL, "node.down"));
    assert_true(event_kind_fits("node.down", "node.down"));
    assert_true(event_kind_fits("node.", "node.down"));
    assert_false(event_kind_fits("node", "node.down"));
    assert_false(event_kind_fits("migration.", "node.down"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_is_one_line_of_data),
        cmocka_unit_test(events_are_found_behind_a_number),
        cmocka_unit_test(the_oldest_go_first_and_are_known_to_be_gone),
        cmocka_unit_test(bytes_are_bounded_too),
        cmocka_unit_test(kinds_fit_exactly_or_by_their_beginning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
