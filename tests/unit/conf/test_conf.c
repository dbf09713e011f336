/* SPDX-License-Identifier: Apache-2.0 */
#include "common/conf/conf.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/secret.h"
#include "tests/unit/check.h"

static struct settings {
    const char *host;
    const char *name;
    struct secret *password;
    int64_t threads;
    uint64_t body;
    uint64_t lease;
    bool fast;
    struct conf_strings addresses;
} settings;
static struct {
    const char *pool;
} top;

static const struct conf_key keys[] = {
    {"host", CONF_STRING, offsetof(struct settings, host), false, "local \"host\"", 1, 20, "Where"},
    {"name", CONF_STRING, offsetof(struct settings, name), false, NULL, 0, 0, "Who"},
    {"password_file", CONF_SECRET_FILE, offsetof(struct settings, password), false, NULL, 0, 0,
     "Word"},
    {"threads", CONF_INTEGER, offsetof(struct settings, threads), false, "4", 1, 64, "How many"},
    {"body", CONF_SIZE, offsetof(struct settings, body), false, "1MiB", 1, 1 << 30, "How large"},
    {"lease", CONF_DURATION, offsetof(struct settings, lease), false, "30s", 1000, 60000,
     "How long"},
    {"fast", CONF_BOOL, offsetof(struct settings, fast), false, "true", 0, 0, "Fast"},
    {"addresses", CONF_STRINGS, offsetof(struct settings, addresses), false, "[\"a\", \"b:1\"]", 1,
     3, "Tried in turn"},
};
static const struct conf_key top_keys[] = {{"pool", CONF_STRING, 0, false, "p", 0, 0, "Pool"}};
static const struct conf_section sections[] = {
    {"", top_keys, COUNT_OF(top_keys), &top},
    {"broker", keys, COUNT_OF(keys), &settings},
};

static char directory[] = "/tmp/guts-test-conf-XXXXXX";
static char path[128];
static char secret_path[128];

static bool load(const char *text, struct conf **ret_conf, struct error *err)
{
    assert_true(file_replace(path, 0600, text, strlen(text), err));
    return conf_load(path, sections, COUNT_OF(sections), ret_conf, err);
}

static void without_a_file_all_defaults_hold(void **state)
{
    struct error err;
    struct conf *conf = NULL;
    assert_true(conf_load(NULL, sections, COUNT_OF(sections), &conf, &err));
    assert_string_equal(settings.host, "local \"host\"");
    assert_string_equal(settings.name, "");
    assert_null(settings.password);
    assert_int_equal(settings.threads, 4);
    assert_int_equal(settings.body, 1 << 20);
    assert_int_equal(settings.lease, 30000);
    assert_true(settings.fast);
    assert_int_equal(settings.addresses.count, 2);
    assert_string_equal(settings.addresses.items[1], "b:1");
    assert_string_equal(top.pool, "p");
    conf_free(conf);
}

static void a_file_replaces_the_defaults(void **state)
{
    struct error err;
    struct conf *conf = NULL;
    char text[512];
    assert_true(file_replace(secret_path, 0600, "s3cret\n", 7, &err));
    snprintf(
        text, sizeof(text),
        "pool = \"q\";\nbroker: { host = \"h\"; password_file = \"%s\"; threads = 64; body = 2000;"
        " lease = \"1m\"; fast = false; addresses = ( \"x\" ); };\n",
        secret_path);
    assert_true(load(text, &conf, &err));
    assert_string_equal(settings.host, "h");
    assert_string_equal(secret_reveal(settings.password), "s3cret");
    assert_int_equal(settings.threads, 64);
    assert_int_equal(settings.body, 2000);
    assert_int_equal(settings.lease, 60000);
    assert_false(settings.fast);
    assert_int_equal(settings.addresses.count, 1);
    assert_string_equal(top.pool, "q");
    conf_free(conf);
}

static void all_that_is_wrong_is_told_at_once(void **state)
{
    struct error err;
    struct conf *conf = NULL;
    assert_false(load("pool = 3;\nbroker = {\n hots = \"h\";\n threads = 65;\n lease = 10;\n"
                      " addresses = [];\n fast = 1;\n};\nbroke = {};\n",
                      &conf, &err));
    assert_ptr_equal(err.fault, &FAULT_CONFIG);
    assert_null(conf);
    assert_non_null(strstr(err.text, path));
    assert_non_null(strstr(err.text, "line 1: pool must be a text in quotes"));
    assert_non_null(strstr(err.text, "line 3: broker.hots is not known"));
    assert_non_null(strstr(err.text, "line 4: broker.threads must lie between 1 and 64"));
    assert_non_null(strstr(err.text, "line 5: broker.lease must be a duration with its unit"));
    assert_non_null(strstr(err.text, "line 6: broker.addresses"));
    assert_non_null(strstr(err.text, "line 7: broker.fast must be true or false"));
    assert_non_null(strstr(err.text, "line 9: broke is not known"));
}

static void a_bad_file_is_named_with_its_line(void **state)
{
    struct error err;
    struct conf *conf = NULL;
    assert_false(load("pool = \"a\";\nbroker = {\n", &conf, &err));
    assert_non_null(strstr(err.text, "line 3"));
    assert_false(load("pool = \"a\";\npool = \"b\";\n", &conf, &err));
    assert_false(load("broker = 3;\n", &conf, &err));
    assert_non_null(strstr(err.text, "broker must be a section"));
    assert_false(conf_load("/nowhere/x.conf", sections, COUNT_OF(sections), &conf, &err));
    assert_ptr_equal(err.fault, &FAULT_CONFIG);
    assert_non_null(strstr(err.text, "No such file"));
}

static void a_required_key_must_stand_there(void **state)
{
    static const struct conf_key required[] = {
        {"user", CONF_STRING, offsetof(struct settings, host), true, NULL, 0, 0, "Who"}};
    const struct conf_section section = {"database", required, 1, &settings};
    struct error err;
    struct conf *conf = NULL;
    assert_false(conf_load(NULL, &section, 1, &conf, &err));
    assert_non_null(strstr(err.text, "database.user is required"));
}

static void a_secret_in_a_readable_file_is_refused(void **state)
{
    struct error err;
    struct conf *conf = NULL;
    char text[256];
    assert_true(file_replace(secret_path, 0644, "s3cret\n", 7, &err));
    snprintf(text, sizeof(text), "broker = { password_file = \"%s\"; };", secret_path);
    assert_false(load(text, &conf, &err));
    assert_non_null(strstr(err.text, "take all rights from others"));
    assert_null(strstr(err.text, "s3cret"));
}

static void the_printed_example_loads_as_the_defaults(void **state)
{
    struct error err;
    struct conf *conf = NULL;
    fflush(stdout);
    int kept = dup(STDOUT_FILENO);
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(file, STDOUT_FILENO);
    conf_print_example(sections, COUNT_OF(sections));
    fflush(stdout);
    dup2(kept, STDOUT_FILENO);
    close(kept);
    close(file);
    assert_true(conf_load(path, sections, COUNT_OF(sections), &conf, &err));
    assert_string_equal(settings.host, "local \"host\"");
    assert_int_equal(settings.lease, 30000);
    conf_free(conf);
}

static int make_place(void **state)
{
    if (mkdtemp(directory) == NULL)
        return 1;
    snprintf(path, sizeof(path), "%s/x.conf", directory);
    snprintf(secret_path, sizeof(secret_path), "%s/secret", directory);
    return 0;
}

static int remove_place(void **state)
{
    struct error err;
    return !file_remove_tree(directory, &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_file_all_defaults_hold),
        cmocka_unit_test(a_file_replaces_the_defaults),
        cmocka_unit_test(all_that_is_wrong_is_told_at_once),
        cmocka_unit_test(a_bad_file_is_named_with_its_line),
        cmocka_unit_test(a_required_key_must_stand_there),
        cmocka_unit_test(a_secret_in_a_readable_file_is_refused),
        cmocka_unit_test(the_printed_example_loads_as_the_defaults),
    };
    return cmocka_run_group_tests(tests, make_place, remove_place);
}
