/* SPDX-License-Identifier: Apache-2.0 */
#include "common/openstack/tree.h"

#include <stdio.h>

#include "common/base/memory.h"
#include "tests/unit/check.h"

static const char *at(const json_t *tree, const char *a, const char *b)
{
    return json_string_value(json_object_get(json_object_get(tree, a), b));
}

static const struct fault *fault_of(const char *text)
{
    struct error err = {0};
    json_t *tree = NULL;
    if (tree_parse(text, strlen(text), &tree, &err)) {
        json_decref(tree);
        return NULL;
    }
    assert_null(tree);
    return err.fault;
}

static void scalars_are_texts_and_null_is_nothing(void **state)
{
    static const char text[] = "a: {b: 1, c: true, d: '~', e: ~, f: }\nlist: [x, y]\n";
    struct error err = {0};
    json_t *tree = NULL;
    assert_true(tree_parse(text, strlen(text), &tree, &err));
    assert_string_equal(at(tree, "a", "b"), "1");
    assert_string_equal(at(tree, "a", "c"), "true");
    assert_string_equal(at(tree, "a", "d"), "~");
    assert_true(json_is_null(json_object_get(json_object_get(tree, "a"), "e")));
    assert_true(json_is_null(json_object_get(json_object_get(tree, "a"), "f")));
    assert_int_equal(json_array_size(json_object_get(tree, "list")), 2);
    json_decref(tree);
}

static void anchors_and_merge_keys_are_understood(void **state)
{
    static const char text[] = "base: &b {x: 1, y: 2}\nmine:\n  <<: *b\n  y: 3\nsame: *b\n";
    struct error err = {0};
    json_t *tree = NULL;
    assert_true(tree_parse(text, strlen(text), &tree, &err));
    assert_string_equal(at(tree, "mine", "x"), "1");
    assert_string_equal(at(tree, "mine", "y"), "3");
    assert_string_equal(at(tree, "same", "y"), "2");
    json_decref(tree);
}

static void an_empty_text_is_an_empty_object(void **state)
{
    struct error err = {0};
    json_t *tree = NULL;
    assert_true(tree_parse("", 0, &tree, &err));
    assert_true(json_is_object(tree));
    assert_int_equal(json_object_size(tree), 0);
    json_decref(tree);
}

static void what_makes_no_sense_is_refused(void **state)
{
    assert_ptr_equal(fault_of("a: [1"), &FAULT_CONFIG);
    assert_ptr_equal(fault_of("a: *nobody"), &FAULT_CONFIG);
    assert_ptr_equal(fault_of("a: &me [*me]"), &FAULT_CONFIG);
    assert_ptr_equal(fault_of("a: 1\na: 2"), &FAULT_CONFIG);
    assert_ptr_equal(fault_of("<<: text"), &FAULT_CONFIG);
    assert_ptr_equal(fault_of("[a, b]: 1"), &FAULT_CONFIG);
    assert_ptr_equal(fault_of("a: \"\\0b\""), NULL); /* jansson keeps the length of a text */
}

static void depth_and_size_are_bounded(void **state)
{
    char deep[3 * TREE_DEPTH_MOST + 8] = "";
    for (unsigned i = 0; i < TREE_DEPTH_MOST + 2; i++)
        strcat(deep, "[");
    assert_ptr_equal(fault_of(deep), &FAULT_CONFIG);
    CLEANUP(xfreep) char *large = xcalloc(TREE_MOST_BYTES + 2, 1);
    memset(large, '#', TREE_MOST_BYTES + 1);
    assert_ptr_equal(fault_of(large), &FAULT_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars_are_texts_and_null_is_nothing),
        cmocka_unit_test(anchors_and_merge_keys_are_understood),
        cmocka_unit_test(an_empty_text_is_an_empty_object),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(depth_and_size_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
