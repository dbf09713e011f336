/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "tests/unit/check.h"

static int log_fd = -1;
static char said[16384];

static const char *read_log(void)
{
    ssize_t length = pread(log_fd, said, sizeof(said) - 1, 0);
    said[length > 0 ? length : 0] = '\0';
    return said;
}

static int begin(void **state)
{
    clock_fake_begin(1, 1769903999123000ULL);
    log_fd = memfd_create("log", MFD_CLOEXEC);
    log_to_fd(log_fd);
    log_open("guts-test", LOG_INFO_LEVEL);
    return log_fd < 0;
}

static int end(void **state)
{
    log_to_fd(STDERR_FILENO);
    clock_fake_end();
    return close(log_fd);
}

static void a_line_is_one_json_object(void **state)
{
    log_info("job_taken", "disk \"%s\"\n", "a\\b");
    assert_string_equal(
        read_log(),
        "{\"at\":\"2026-01-31T23:59:59.123Z\",\"level\":\"info\",\"daemon\":"
        "\"guts-test\",\"event\":\"job_taken\",\"text\":\"disk \\\"a\\\\b\\\"\\u000a\"}\n");
}

static void ids_come_from_the_scopes_that_are_open(void **state)
{
    LOG_SCOPE("node", "n1");
    {
        LOG_SCOPE("job", "j1");
        log_warn("w", "inner");
    }
    log_warn("w", "outer");
    const char *text = read_log();
    assert_non_null(strstr(text, "\"text\":\"inner\",\"node\":\"n1\",\"job\":\"j1\"}\n"));
    assert_non_null(strstr(text, "\"text\":\"outer\",\"node\":\"n1\"}\n"));
}

static void lines_below_the_level_are_not_written(void **state)
{
    enum log_level level;
    log_debug("d", "hidden");
    assert_string_equal(read_log(), "");
    assert_true(log_level_parse("debug", &level));
    log_open("guts-test", level);
    log_debug("d", "shown");
    assert_non_null(strstr(read_log(), "shown"));
    assert_false(log_level_parse("chatty", &level));
    assert_false(log_level_parse("", &level));
}

static void a_fault_is_named_by_its_code(void **state)
{
    struct error err;
    error_set(&err, &FAULT_TIMEOUT, "no answer from %s", "broker");
    log_fault(LOG_ERROR_LEVEL, "publish", &err);
    assert_non_null(strstr(read_log(), "\"event\":\"publish\",\"fault\":\"timeout\",\"text\":"
                                       "\"no answer from broker\"}"));
}

static void bytes_that_are_not_utf_8_are_replaced(void **state)
{
    log_info("e", "a\xFFz\xC3\xA4\x1b[31m");
    assert_non_null(strstr(read_log(), "\"text\":\"a\xEF\xBF\xBDz\xC3\xA4\\u001b[31m\""));
}

static void a_long_line_is_cut_and_still_ends_well(void **state)
{
    char *long_text = malloc(20001);
    memset(long_text, '"', 20000);
    long_text[20000] = '\0';
    LOG_SCOPE("migration", long_text);
    LOG_SCOPE("job", long_text);
    log_error("e", "%s", long_text);
    const char *text = read_log();
    size_t length = strlen(text);
    assert_in_range(length, 7000, 8192);
    assert_string_equal(text + length - 5, "\\\"\"}\n");
    assert_non_null(strstr(text, "\"job\":\""));
    assert_ptr_equal(strchr(text, '\n'), text + length - 1);
    free(long_text);
}

static void more_than_eight_scopes_are_left_out(void **state)
{
    struct log_scope scopes[10];
    for (size_t i = 0; i < 10; i++)
        scopes[i] = log_scope_begin("k", i < 8 ? "in" : "beyond");
    log_info("e", "x");
    for (size_t i = 10; i-- > 0;)
        log_scope_end(&scopes[i]);
    assert_null(strstr(read_log(), "beyond"));
    log_info("e", "after");
    assert_non_null(strstr(read_log(), "\"text\":\"after\"}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_line_is_one_json_object, begin, end),
        cmocka_unit_test_setup_teardown(ids_come_from_the_scopes_that_are_open, begin, end),
        cmocka_unit_test_setup_teardown(lines_below_the_level_are_not_written, begin, end),
        cmocka_unit_test_setup_teardown(a_fault_is_named_by_its_code, begin, end),
        cmocka_unit_test_setup_teardown(bytes_that_are_not_utf_8_are_replaced, begin, end),
        cmocka_unit_test_setup_teardown(a_long_line_is_cut_and_still_ends_well, begin, end),
        cmocka_unit_test_setup_teardown(more_than_eight_scopes_are_left_out, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
