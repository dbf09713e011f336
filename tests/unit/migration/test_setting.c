/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include "common/base/memory.h"
#include "migration/setting.h"

static const struct setting declared[] = {
    {"path", SETTING_PATH, false, true, true, NULL, ""},
    {"url", SETTING_URL, false, false, true, NULL, ""},
    {"count", SETTING_INTEGER, false, false, false, "7", ""},
    {"verify", SETTING_BOOLEAN, false, false, false, "true", ""},
    {"names", SETTING_LIST, false, false, false, NULL, ""},
    {"password", SETTING_TEXT, true, false, false, NULL, ""},
};

static bool check(const char *text, const char *secrets, struct settings **ret, struct error *err)
{
    json_t *values = json_loads(text, JSON_ALLOW_NUL, NULL);
    assert_non_null(values);
    CLEANUP(secret_freep)
    struct secret *secret = secrets ? secret_new(secrets, strlen(secrets)) : NULL;
    bool good = settings_new(declared, COUNT_OF(declared), values, secret, ret, err);
    json_decref(values);
    return good;
}

static void refuse(const char *text, const char *secrets, const char *words)
{
    struct settings *settings = NULL;
    struct error err;
    assert_false(check(text, secrets, &settings, &err));
    assert_ptr_equal(err.fault, &FAULT_INVALID);
    if (!strstr(err.text, words))
        fail_msg("\"%s\" lacks \"%s\"", err.text, words);
    assert_null(settings);
}

static void given_values_and_defaults_are_read_back(void **state)
{
    struct settings *settings;
    struct error err;
    assert_true(check("{\"path\": \"/a\", \"names\": [\"x\", \"y\"]}", "{\"password\": \"p\"}",
                      &settings, &err));
    assert_string_equal(settings_text(settings, "path"), "/a");
    assert_null(settings_text(settings, "url"));
    assert_int_equal(settings_integer(settings, "count"), 7);
    assert_true(settings_boolean(settings, "verify"));
    assert_int_equal(settings_list_count(settings, "names"), 2);
    assert_string_equal(settings_list_item(settings, "names", 1), "y");
    assert_string_equal(secret_reveal(settings_secret(settings, "password")), "p");
    settings_free(settings);
}

static void null_counts_as_not_given(void **state)
{
    struct settings *settings;
    struct error err;
    assert_true(check("{\"path\": \"/a\", \"count\": null}", NULL, &settings, &err));
    assert_int_equal(settings_integer(settings, "count"), 7);
    assert_null(settings_secret(settings, "password"));
    settings_free(settings);
}

static void every_wrong_field_is_named_at_once(void **state)
{
    refuse("{\"path\": \"a\", \"count\": \"x\", \"other\": 1}", NULL, "\"path\" must be");
    refuse("{\"path\": \"a\", \"count\": \"x\", \"other\": 1}", NULL, "\"count\" must be");
    refuse("{\"path\": \"a\", \"count\": \"x\", \"other\": 1}", NULL, "\"other\" is unknown");
}

static void wrong_types_and_texts_are_refused(void **state)
{
    refuse("{}", NULL, "\"path\" is required");
    refuse("{\"path\": \"/a\\u0000b\"}", NULL, "\"path\"");
    refuse("{\"path\": \"/a\", \"url\": \"nowhere\"}", NULL, "\"url\" must be a URL");
    refuse("{\"path\": \"/a\", \"verify\": 1}", NULL, "\"verify\"");
    refuse("{\"path\": \"/a\", \"names\": [1]}", NULL, "\"names\"");
    refuse("[]", NULL, "object");
}

static void a_secret_in_clear_or_an_unknown_one_is_refused(void **state)
{
    refuse("{\"path\": \"/a\", \"password\": \"p\"}", NULL, "must be sealed");
    refuse("{\"path\": \"/a\"}", "{\"token\": \"p\"}", "\"token\"");
    refuse("{\"path\": \"/a\"}", "rubbish", "\"secrets\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_values_and_defaults_are_read_back),
        cmocka_unit_test(null_counts_as_not_given),
        cmocka_unit_test(every_wrong_field_is_named_at_once),
        cmocka_unit_test(wrong_types_and_texts_are_refused),
        cmocka_unit_test(a_secret_in_clear_or_an_unknown_one_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
