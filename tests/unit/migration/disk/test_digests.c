/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "migration/disk/copy.h"
#include "migration/disk/copy_engine.h"
#include "migration/disk/memory.h"
#include "proto/fault.h"

#define SIZE_BYTES ((9ull << 30) + 12345) /* three pages, the last chunk short */

static void chunks_set_to_zeroes_change_nothing(void **state)
{
    struct copy_digests *never = copy_digests_new(SIZE_BYTES);
    struct copy_digests *zeroes = copy_digests_new(SIZE_BYTES);
    for (uint64_t i = 0; i <= SIZE_BYTES / COPY_CHUNK_BYTES; i++) {
        struct copy_chunk chunk = {.index = i};
        bool is_last = i == SIZE_BYTES / COPY_CHUNK_BYTES;
        copy_zero_digest(is_last ? 12345 : COPY_CHUNK_BYTES, chunk.digest);
        copy_digests_set(zeroes, &chunk);
    }
    char a[COPY_DIGEST_TEXT_SIZE], b[COPY_DIGEST_TEXT_SIZE];
    copy_digests_text(never, a);
    copy_digests_text(zeroes, b);
    assert_string_equal(a, b);
    assert_int_equal(strlen(a), strlen("xxh3-128-tree:") + 32);
    copy_digests_free(never);
    copy_digests_free(zeroes);
}

static void the_text_does_not_depend_on_the_order_of_setting(void **state)
{
    struct copy_digests *up = copy_digests_new(SIZE_BYTES), *down = copy_digests_new(SIZE_BYTES);
    for (uint64_t i = 0; i < 9000; i += 100) {
        struct copy_chunk chunk = {.index = i, .digest = {(uint8_t)i, 1}};
        copy_digests_set(up, &chunk);
        chunk = (struct copy_chunk){.index = 8900 - i, .digest = {(uint8_t)(8900 - i), 1}};
        copy_digests_set(down, &chunk);
    }
    char a[COPY_DIGEST_TEXT_SIZE], b[COPY_DIGEST_TEXT_SIZE];
    copy_digests_text(up, a);
    copy_digests_text(down, b);
    assert_string_equal(a, b);
    copy_digests_set(up, &(struct copy_chunk){.index = 5000, .digest = {9}});
    copy_digests_text(up, a);
    assert_string_not_equal(a, b);
    copy_digests_free(up);
    copy_digests_free(down);
}

static void a_long_list_that_was_spilled_says_the_same(void **state)
{
    const uint64_t size = 70ull * 4096 * COPY_CHUNK_BYTES - 99, count = 70ull * 4096;
    struct copy_digests *spilled = copy_digests_new(size), *kept = copy_digests_new(size);
    struct copy_digests *nowhere = copy_digests_new(size);
    copy_digests_spill(spilled, "/tmp");
    copy_digests_spill(nowhere, "/nowhere at all");
    for (uint64_t i = 0; i < count; i++) {
        uint64_t at = i * 7919 % count; /* all, out of order: pages come and go */
        struct copy_chunk chunk = {.index = at, .digest = {(uint8_t)at, (uint8_t)(at >> 8), 1}};
        copy_digests_set(spilled, &chunk);
        copy_digests_set(kept, &chunk);
        copy_digests_set(nowhere, &chunk);
    }
    char a[COPY_DIGEST_TEXT_SIZE], b[COPY_DIGEST_TEXT_SIZE], c[COPY_DIGEST_TEXT_SIZE];
    copy_digests_text(spilled, a);
    copy_digests_text(kept, b);
    copy_digests_text(nowhere, c);
    assert_string_equal(a, b);
    assert_string_equal(a, c);
    copy_digests_set(spilled, &(struct copy_chunk){.index = count - 5000, .digest = {9}});
    copy_digests_text(spilled, a);
    assert_string_not_equal(a, b);
    copy_digests_free(spilled);
    copy_digests_free(kept);
    copy_digests_free(nowhere);
}

static void verification_names_the_first_byte_that_differs(void **state)
{
    struct error err = {0};
    struct copy_control control = {0};
    struct disk *disk = disk_memory_new(20 * COPY_CHUNK_BYTES + 777);
    assert_true(disk_write(disk, "abc", 3, 3 * COPY_CHUNK_BYTES, &err));
    assert_true(disk_write(disk, "xyz", 3, 20 * COPY_CHUNK_BYTES + 700, &err));
    struct copy_digests *digests = copy_digests_new(disk_size_bytes(disk));
    assert_true(copy_digests_read(digests, disk, &control, &err));
    assert_true(copy_verify(disk, digests, &control, &err));
    assert_true(disk_write(disk, "abC", 3, 3 * COPY_CHUNK_BYTES, &err));
    assert_false(copy_verify(disk, digests, &control, &err));
    assert_ptr_equal(err.fault, &FAULT_DIGEST_MISMATCH);
    assert_non_null(strstr(err.text, "3145728"));
    assert_true(disk_write(disk, "abc", 3, 3 * COPY_CHUNK_BYTES, &err));
    assert_true(disk_write(disk, "?", 1, 7 * COPY_CHUNK_BYTES, &err)); /* was a hole */
    assert_false(copy_verify(disk, digests, &control, &err));
    assert_true(disk_zero(disk, 7 * COPY_CHUNK_BYTES, COPY_CHUNK_BYTES, &err));
    assert_true(copy_verify(disk, digests, &control, &err));
    assert_true(disk_zero(disk, 3 * COPY_CHUNK_BYTES, COPY_CHUNK_BYTES, &err)); /* data lost */
    assert_false(copy_verify(disk, digests, &control, &err));
    copy_digests_free(digests);
    disk_close(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_set_to_zeroes_change_nothing),
        cmocka_unit_test(the_text_does_not_depend_on_the_order_of_setting),
        cmocka_unit_test(a_long_list_that_was_spilled_says_the_same),
        cmocka_unit_test(verification_names_the_first_byte_that_differs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
