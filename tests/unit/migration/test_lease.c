/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include <sys/mman.h>
#include <unistd.h>

#include "migration/lease.h"

static void make(struct lease_page **ret_page, int *ret_fd)
{
    struct error err;
    assert_true(lease_page_new(ret_page, ret_fd, &err));
}

static void a_lease_ends_at_its_time_and_is_never_shortened(void **state)
{
    struct lease_page *page;
    int fd;
    make(&page, &fd);
    assert_false(lease_holds(page, 0));
    lease_extend(page, 1000);
    lease_extend(page, 400);
    assert_true(lease_holds(page, 999));
    assert_false(lease_holds(page, 1000));
    close(fd);
    lease_page_free(page);
}

static void a_cancel_is_not_taken_back_and_fencing_outweighs_it(void **state)
{
    struct lease_page *page;
    int fd;
    make(&page, &fd);
    assert_int_equal(lease_wanted(page), WANTED_GO);
    lease_want(page, WANTED_CANCEL);
    lease_want(page, WANTED_GO);
    assert_int_equal(lease_wanted(page), WANTED_CANCEL);
    lease_want(page, WANTED_FENCED);
    assert_int_equal(lease_wanted(page), WANTED_FENCED);
    close(fd);
    lease_page_free(page);
}

static void the_worker_sees_the_page_and_cannot_write_to_it(void **state)
{
    struct lease_page *page;
    const struct lease_page *theirs;
    struct error err;
    int fd;
    make(&page, &fd);
    assert_true(lease_page_map(fd, &theirs, &err));
    lease_extend(page, 77);
    assert_true(lease_holds(theirs, 76));
    assert_ptr_equal(mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0),
                     MAP_FAILED);
    assert_int_equal(write(fd, "x", 1), -1);
    close(fd);
    lease_page_free(theirs);
    lease_page_free(page);
}

static void a_limit_ends_with_its_own_expiry(void **state)
{
    struct lease_page *page;
    int fd;
    make(&page, &fd);
    page->bytes_per_second = 5;
    assert_int_equal(lease_rate(page, 1), 5);
    page->limit_until_ms = 10;
    assert_int_equal(lease_rate(page, 9), 5);
    assert_int_equal(lease_rate(page, 10), 0);
    close(fd);
    lease_page_free(page);
}

static void a_lease_runs_from_the_sending_of_the_report_that_is_named(void **state)
{
    struct lease_clock clock = {0};
    uint64_t sent = 0;
    lease_clock_sent(&clock, 1, 100);
    lease_clock_sent(&clock, 2, 200);
    assert_true(lease_clock_find(&clock, 1, &sent));
    assert_int_equal(sent, 100);
    assert_false(lease_clock_find(&clock, 3, &sent));
    assert_false(lease_clock_find(&clock, 0, &sent));
    lease_clock_sent(&clock, 1 + LEASE_CLOCK_REPORTS, 900);
    assert_false(lease_clock_find(&clock, 1, &sent));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lease_ends_at_its_time_and_is_never_shortened),
        cmocka_unit_test(a_cancel_is_not_taken_back_and_fencing_outweighs_it),
        cmocka_unit_test(the_worker_sees_the_page_and_cannot_write_to_it),
        cmocka_unit_test(a_limit_ends_with_its_own_expiry),
        cmocka_unit_test(a_lease_runs_from_the_sending_of_the_report_that_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
