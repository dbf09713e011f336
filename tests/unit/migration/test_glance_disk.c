/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/openstack/glance_disk.h"

#include "mini_glance.h"
#include "proto/fault.h"
#include "tests/unit/check.h"

#define ID "5f0bdc6e-8f0a-4f5c-9a53-0f3dbf6d1a01"
#define SIZE (9u << 20)
#define PIECE (256u << 10)

static uint8_t bytes[SIZE];
static struct disk *disk;

static int begin(void **state)
{
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (uint8_t)((i * 2654435761u) >> 15);
    mini_glance_begin();
    mini_image_add(ID, bytes, SIZE);
    return 0;
}

static int end(void **state)
{
    disk_closep(&disk);
    mini_glance_end();
    return 0;
}

static void open_disk(bool random)
{
    struct error err = {0};
    const struct glance_disk_plan plan = {
        .link = mini_link(NULL), .image_id = ID, .random = random};
    if (!glance_disk_open(&plan, &disk, &err))
        fail_msg("%s", err.text);
    assert_int_equal(disk_size_bytes(disk), SIZE);
}

static void check(uint64_t offset, size_t length)
{
    static uint8_t seen[PIECE];
    struct error err = {0};
    if (!disk_read(disk, seen, length, offset, &err))
        fail_msg("%s", err.text);
    assert_memory_equal(seen, bytes + offset, length);
}

/* As a reader of qcow2 does: a table at the beginning, data behind it, in turns. */
static void check_tables_and_data(void)
{
    for (uint64_t at = 1u << 20, table = 0; at < SIZE; at += PIECE, table += 4096) {
        check(table, 4096);
        check(at, PIECE);
    }
}

static void an_image_is_read_by_ranges_where_its_store_has_them(void **state)
{
    open_disk(true);
    assert_int_equal(disk_access(disk), DISK_RANDOM);
    check_tables_and_data();
    assert_int_equal(glance.downloads, 3); /* a probe, tables, data */
}

static void a_store_without_ranges_is_read_by_two_downloads(void **state)
{
    glance.ranges = false;
    open_disk(true);
    assert_int_equal(disk_access(disk), DISK_SEQUENTIAL);
    check_tables_and_data();
    assert_int_equal(glance.downloads, 2);
    check(100, 1000); /* back: begun anew */
    assert_int_equal(glance.downloads, 3);
}

static void a_download_that_breaks_begins_again(void **state)
{
    glance.ranges = false;
    glance.cut = 3u << 20;
    open_disk(false);
    check_tables_and_data();
    assert_true(glance.downloads <= 4);
}

static void a_token_that_ends_in_the_middle_is_renewed(void **state)
{
    glance.cut = 3u << 20;
    glance.stale_on_cut = true;
    open_disk(false);
    check_tables_and_data();
    assert_true(glance.tokens > 1);
}

static void a_token_that_ends_in_the_middle_of_a_download_is_renewed(void **state)
{
    glance.ranges = false;
    a_token_that_ends_in_the_middle_is_renewed(state);
}

static void a_token_that_is_refused_at_the_start_is_renewed(void **state)
{
    glance.refused = 1;
    open_disk(false);
    check(0, PIECE);
    assert_int_equal(glance.tokens, 2);
}

static void a_token_that_is_refused_at_the_start_of_a_download_is_renewed(void **state)
{
    glance.ranges = false;
    a_token_that_is_refused_at_the_start_is_renewed(state);
}

static void who_is_always_refused_is_told_so(void **state)
{
    struct error err = {0};
    const struct glance_disk_plan plan = {.link = mini_link(NULL), .image_id = ID};
    glance.refused = 100;
    assert_false(glance_disk_open(&plan, &disk, &err));
    assert_ptr_equal(err.fault, &FAULT_DENIED);
    assert_true(glance.refused >= 96);
}

static void an_image_that_is_gone_is_told(void **state)
{
    struct error err = {0};
    const struct glance_disk_plan plan = {.link = mini_link(NULL), .image_id = ID};
    mini_image_find(ID)->deleted = true;
    assert_false(glance_disk_open(&plan, &disk, &err));
    assert_ptr_equal(err.fault, &FAULT_NOT_FOUND);
}

int main(void)
{
#define EACH(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        EACH(an_image_is_read_by_ranges_where_its_store_has_them),
        EACH(a_store_without_ranges_is_read_by_two_downloads),
        EACH(a_download_that_breaks_begins_again),
        EACH(a_token_that_ends_in_the_middle_is_renewed),
        EACH(a_token_that_ends_in_the_middle_of_a_download_is_renewed),
        EACH(a_token_that_is_refused_at_the_start_is_renewed),
        EACH(a_token_that_is_refused_at_the_start_of_a_download_is_renewed),
        EACH(who_is_always_refused_is_told_so),
        EACH(an_image_that_is_gone_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
