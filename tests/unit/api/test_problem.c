/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "api/problem.h"
#include "proto/fault.h"

static json_t *written(const struct error *err, const struct reader *reader)
{
    struct buffer body = {0};
    problem_write(&body, err, reader, "/v1/x", "req-1");
    json_t *problem = json_loads(body.data, 0, NULL);
    assert_non_null(problem);
    buffer_fini(&body);
    return problem;
}

static const char *text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static void a_problem_carries_its_fault(void **state)
{
    struct error err;
    error_set(&err, &FAULT_NAME_TAKEN, "source \"a\nb\" exists");
    json_t *problem = written(&err, NULL);
    assert_string_equal(text(problem, "type"), "urn:guts:fault:name_taken");
    assert_string_equal(text(problem, "code"), "name_taken");
    assert_string_equal(text(problem, "title"), FAULT_NAME_TAKEN.title);
    assert_string_equal(text(problem, "detail"), "source \"a\nb\" exists");
    assert_string_equal(text(problem, "hint"), FAULT_NAME_TAKEN.hint);
    assert_string_equal(text(problem, "instance"), "/v1/x");
    assert_string_equal(text(problem, "request_id"), "req-1");
    assert_int_equal(json_integer_value(json_object_get(problem, "status")), 409);
    assert_null(json_object_get(problem, "errors"));
    json_decref(problem);
}

static void all_field_errors_are_listed_with_their_pointers(void **state)
{
    struct error err;
    struct reader reader;
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    reader_init(&reader, arena, NULL);
    reader_complain(&reader, "name", "is required");
    reader_complain(&reader, "vms/3", "does not exist");
    error_set(&err, &FAULT_FIELDS_INVALID, "x");
    json_t *problem = written(&err, &reader);
    const json_t *errors = json_object_get(problem, "errors");
    assert_int_equal(json_array_size(errors), 2);
    assert_string_equal(text(json_array_get(errors, 0), "pointer"), "/name");
    assert_string_equal(text(json_array_get(errors, 1), "pointer"), "/vms/3");
    assert_string_equal(text(json_array_get(errors, 1), "detail"), "does not exist");
    json_decref(problem);
}

static void the_text_of_a_defect_is_not_shown(void **state)
{
    struct error err;
    error_set(&err, &FAULT_INTERNAL, "SELECT secret FROM inside");
    json_t *problem = written(&err, NULL);
    assert_null(json_object_get(problem, "detail"));
    assert_non_null(text(problem, "hint"));
    json_decref(problem);
}

static void a_stored_fault_is_shown_with_its_hint(void **state)
{
    CLEANUP(buffer_fini) struct buffer body = {0};
    struct writer writer;
    writer_init(&writer, &body);
    writer_object_begin(&writer, NULL);
    problem_write_fault(&writer, "a", "vm_running", "it runs");
    problem_write_fault(&writer, "b", NULL, "ignored");
    problem_write_fault(&writer, "c", "from_a_newer_version", "what");
    writer_object_end(&writer);
    json_t *object = json_loads(body.data, 0, NULL);
    assert_non_null(object);
    assert_string_equal(text(json_object_get(object, "a"), "code"), "vm_running");
    assert_string_equal(text(json_object_get(object, "a"), "hint"), FAULT_VM_RUNNING.hint);
    assert_true(json_is_null(json_object_get(object, "b")));
    assert_string_equal(text(json_object_get(object, "c"), "code"), "from_a_newer_version");
    json_decref(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_problem_carries_its_fault),
        cmocka_unit_test(all_field_errors_are_listed_with_their_pointers),
        cmocka_unit_test(the_text_of_a_defect_is_not_shown),
        cmocka_unit_test(a_stored_fault_is_shown_with_its_hint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
