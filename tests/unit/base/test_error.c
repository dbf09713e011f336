/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/error.h"

#include <errno.h>

#include "tests/unit/check.h"

static void an_error_carries_its_fault_and_text(void **state)
{
    struct error err = {0};
    assert_false(error_set(&err, &FAULT_INVALID, "disk \"%s\": %d sectors", "a.vmdk", 7));
    assert_ptr_equal(err.fault, &FAULT_INVALID);
    assert_string_equal(err.text, "disk \"a.vmdk\": 7 sectors");
}

static void the_fault_follows_from_errno(void **state)
{
    static const struct {
        int number;
        const struct fault *fault;
    } cases[] = {{ENOSPC, &FAULT_NO_SPACE},   {EDQUOT, &FAULT_NO_SPACE},  {EACCES, &FAULT_DENIED},
                 {EPERM, &FAULT_DENIED},      {ENOENT, &FAULT_NOT_FOUND}, {EFBIG, &FAULT_TOO_LARGE},
                 {ETIMEDOUT, &FAULT_TIMEOUT}, {EIO, &FAULT_IO},           {ECONNRESET, &FAULT_IO}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct error err = {0};
        assert_false(error_set_errno(&err, cases[i].number, "open \"%s\"", "x"));
        assert_ptr_equal(err.fault, cases[i].fault);
    }
    struct error err = {0};
    error_set_errno(&err, ENOENT, "open \"%s\"", "x");
    assert_string_equal(err.text, "open \"x\": No such file or directory");
}

static void a_prefix_goes_in_front_and_keeps_the_fault(void **state)
{
    struct error err = {0};
    error_set(&err, &FAULT_TIMEOUT, "no answer");
    assert_false(error_prefix(&err, "node \"%s\"", "n1"));
    assert_string_equal(err.text, "node \"n1\": no answer");
    assert_ptr_equal(err.fault, &FAULT_TIMEOUT);
}

static void a_text_may_be_made_of_itself(void **state)
{
    struct error err = {0};
    error_set(&err, &FAULT_IO, "first");
    error_set(&err, &FAULT_IO, "%s and again %s", err.text, err.text);
    assert_string_equal(err.text, "first and again first");
}

static void a_long_text_is_cut_between_characters(void **state)
{
    struct error err = {0};
    char text[1201];
    for (size_t i = 0; i < 600; i++)
        memcpy(text + 2 * i, "\xC3\xA4", 2);
    text[1200] = '\0';
    error_set(&err, &FAULT_INVALID, "%s", text);
    assert_int_equal(strlen(err.text), 502);
    error_set(&err, &FAULT_INVALID, "x%s", text);
    assert_int_equal(strlen(err.text), 503);
}

static void a_text_is_always_utf8(void **state)
{
    struct error err;
    error_set(&err, &FAULT_INVALID, "\"caf\xe9.vmdk\" \xff \xe2\x82 \xe2\x82\xac");
    assert_string_equal(err.text, "\"caf?.vmdk\" ? ?? \xe2\x82\xac");
    error_set_errno(&err, 2, "\x80");
    assert_int_equal(err.text[0], '?');
}

static void every_fault_has_title_and_hint(void **state)
{
    const struct fault *const faults[] = {
        &FAULT_INTERNAL,  &FAULT_INVALID,   &FAULT_NOT_FOUND, &FAULT_CONFLICT,   &FAULT_DENIED,
        &FAULT_IO,        &FAULT_NO_SPACE,  &FAULT_TOO_LARGE, &FAULT_TIMEOUT,    &FAULT_UNAVAILABLE,
        &FAULT_UNCERTAIN, &FAULT_CANCELLED, &FAULT_CONFIG,    &FAULT_UNSUPPORTED};
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        assert_true(strlen(faults[i]->code) > 0);
        assert_true(strlen(faults[i]->title) > 0);
        assert_true(strlen(faults[i]->hint) > 0);
        assert_in_range(faults[i]->http_status, 400, 599);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_carries_its_fault_and_text),
        cmocka_unit_test(the_fault_follows_from_errno),
        cmocka_unit_test(a_prefix_goes_in_front_and_keeps_the_fault),
        cmocka_unit_test(a_text_may_be_made_of_itself),
        cmocka_unit_test(a_long_text_is_cut_between_characters),
        cmocka_unit_test(a_text_is_always_utf8),
        cmocka_unit_test(every_fault_has_title_and_hint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
