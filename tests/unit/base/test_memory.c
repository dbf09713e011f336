/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/memory.h"

#include "tests/unit/check.h"

static void an_arena_gives_zeroed_aligned_memory(void **state)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    for (size_t size = 1; size < 3000; size += 7) {
        char *memory = arena_alloc(arena, size);
        assert_int_equal((uintptr_t)memory % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(memory[i], 0);
        memset(memory, 0xA5, size);
    }
}

static void an_arena_that_was_reset_allocates_nothing_for_the_same_work(void **state)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    arena_alloc(arena, 1000);
    arena_reset(arena);
    size_t before = arena_bytes(arena);
    for (int i = 0; i < 100; i++) {
        memset(arena_alloc(arena, 1000), 0xFF, 1000);
        arena_reset(arena);
    }
    assert_int_equal(arena_bytes(arena), before);
    arena_alloc(arena, 1 << 20);
    arena_reset(arena);
    assert_int_equal(arena_bytes(arena), before);
    assert_int_equal(*(char *)arena_alloc(arena, 1), 0);
}

static void an_arena_serves_large_and_empty_pieces(void **state)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    char *large = arena_alloc(arena, 5 << 20);
    large[(5 << 20) - 1] = 1;
    assert_non_null(arena_alloc(arena, 0));
    assert_non_null(arena_memdup(arena, NULL, 0));
    assert_true(arena_bytes(arena) > 5 << 20);
}

static void texts_in_an_arena_are_copies(void **state)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    char text[] = "disk-0";
    char *copy = arena_strdup(arena, text);
    text[0] = 'D';
    assert_string_equal(copy, "disk-0");
    assert_string_equal(arena_strndup(arena, "abcdef", 3), "abc");
    assert_string_equal(arena_strndup(arena, "ab", 3), "ab");
    assert_null(arena_strdup(arena, NULL));
    assert_null(arena_strndup(arena, NULL, 3));
    assert_string_equal(arena_printf(arena, "%s/%d", copy, 42), "disk-0/42");
    assert_string_equal(arena_printf(arena, "%s", ""), "");
}

static void a_buffer_grows_and_stays_terminated(void **state)
{
    CLEANUP(buffer_fini) struct buffer buffer = {0};
    for (int i = 0; i < 1000; i++) {
        buffer_append(&buffer, "abc", 3);
        assert_int_equal(buffer.data[buffer.length], '\0');
    }
    assert_int_equal(buffer.length, 3000);
    buffer_printf(&buffer, "%d-%s", 5, "x");
    assert_string_equal(buffer.data + 3000, "5-x");
    buffer_clear(&buffer);
    assert_string_equal(buffer.data, "");
    buffer_append_text(&buffer, "again");
    assert_string_equal(buffer.data, "again");
}

static void an_untouched_buffer_can_be_cleared_and_freed(void **state)
{
    struct buffer buffer = {0};
    buffer_clear(&buffer);
    assert_null(buffer.data);
    buffer_append(&buffer, NULL, 0);
    assert_string_equal(buffer.data, "");
    buffer_fini(&buffer);
    assert_null(buffer.data);
    assert_int_equal(buffer.capacity, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_arena_gives_zeroed_aligned_memory),
        cmocka_unit_test(an_arena_that_was_reset_allocates_nothing_for_the_same_work),
        cmocka_unit_test(an_arena_serves_large_and_empty_pieces),
        cmocka_unit_test(texts_in_an_arena_are_copies),
        cmocka_unit_test(a_buffer_grows_and_stays_terminated),
        cmocka_unit_test(an_untouched_buffer_can_be_cleared_and_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
