/* SPDX-License-Identifier: Apache-2.0 */
#include "common/openstack/cloud.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/file.h"
#include "tests/unit/check.h"

static char directory[] = "/tmp/guts-test-cloud-XXXXXX";
static struct arena *arena;

static void put(const char *name, const char *variable, const char *text)
{
    struct error err = {0};
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    assert_true(file_replace(path, 0600, text, strlen(text), &err));
    setenv(variable, path, 1);
}

static int clear(void **state)
{
    static const char *const names[] = {"OS_CLOUD",
                                        "OS_AUTH_URL",
                                        "OS_USERNAME",
                                        "OS_PASSWORD",
                                        "OS_PROJECT_NAME",
                                        "OS_TOKEN",
                                        "OS_REGION_NAME",
                                        "OS_AUTH_TYPE",
                                        "OS_APPLICATION_CREDENTIAL_ID",
                                        "OS_INSECURE",
                                        "OS_APPLICATION_CREDENTIAL_SECRET",
                                        "OS_CACERT",
                                        "OS_INTERFACE"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        unsetenv(names[i]);
    setenv("OS_CLIENT_CONFIG_FILE", "/dev/null", 1);
    setenv("OS_CLIENT_SECURE_FILE", "/dev/null", 1);
    put("clouds.yaml", "OS_CLIENT_CONFIG_FILE", "clouds: {}\n");
    put("secure.yaml", "OS_CLIENT_SECURE_FILE", "");
    return 0;
}

static void a_named_cloud_is_read_with_its_secrets_from_the_other_file(void **state)
{
    struct error err = {0};
    struct cloud cloud = {0};
    put("clouds.yaml", "OS_CLIENT_CONFIG_FILE",
        "clouds:\n  one: {auth: {auth_url: 'http://k/', username: u, password: wrong,\n"
        "    project_name: p}, region_name: R, verify: false}\n  two: {auth: {auth_url: x}}\n");
    put("secure.yaml", "OS_CLIENT_SECURE_FILE", "clouds: {one: {auth: {password: secret}}}\n");
    setenv("OS_PASSWORD", "stranger", 1);
    assert_true(cloud_read("one", arena, &cloud, &err));
    assert_int_equal(cloud.auth, CLOUD_AUTH_PASSWORD);
    assert_string_equal(cloud.auth_url, "http://k/");
    assert_string_equal(secret_reveal(cloud.password), "secret");
    assert_string_equal(cloud.region_name, "R");
    assert_true(cloud.insecure);
    cloud_fini(&cloud);
    assert_false(cloud_read("three", arena, &cloud, &err));
    assert_ptr_equal(err.fault, &FAULT_NOT_FOUND);
}

static void the_environment_says_it_all_without_a_file(void **state)
{
    struct error err = {0};
    struct cloud cloud = {0};
    setenv("OS_AUTH_URL", "https://k/v3", 1);
    setenv("OS_APPLICATION_CREDENTIAL_ID", "i", 1);
    setenv("OS_APPLICATION_CREDENTIAL_SECRET", "s", 1);
    setenv("OS_REGION_NAME", "R", 1);
    assert_true(cloud_read(NULL, arena, &cloud, &err));
    assert_int_equal(cloud.auth, CLOUD_AUTH_APPLICATION_CREDENTIAL);
    assert_string_equal(cloud.region_name, "R");
    assert_false(cloud.insecure);
    cloud_fini(&cloud);
}

static void the_only_cloud_is_taken_and_of_two_none(void **state)
{
    struct error err = {0};
    struct cloud cloud = {0};
    put("clouds.yaml", "OS_CLIENT_CONFIG_FILE",
        "clouds: {one: {auth: {auth_url: a, username: u, password: p}}}\n");
    assert_true(cloud_read(NULL, arena, &cloud, &err));
    assert_string_equal(cloud.auth_url, "a");
    cloud_fini(&cloud);
    put("clouds.yaml", "OS_CLIENT_CONFIG_FILE", "clouds: {one: {auth: {}}, two: {auth: {}}}\n");
    assert_false(cloud_read(NULL, arena, &cloud, &err));
    assert_ptr_equal(err.fault, &FAULT_NOT_FOUND);
}

static void what_is_missing_is_named(void **state)
{
    struct error err = {0};
    struct cloud cloud = {0};
    setenv("OS_AUTH_URL", "https://k/v3", 1);
    setenv("OS_USERNAME", "u", 1);
    assert_false(cloud_read(NULL, arena, &cloud, &err));
    assert_ptr_equal(err.fault, &FAULT_CONFIG);
    assert_non_null(strstr(err.text, "password"));
    put("clouds.yaml", "OS_CLIENT_CONFIG_FILE",
        "clouds: {one: {auth_type: v2password, auth: {auth_url: a}}}\n");
    assert_false(cloud_read("one", arena, &cloud, &err));
    assert_ptr_equal(err.fault, &FAULT_UNSUPPORTED);
}

static void a_profile_lies_beneath_what_the_entry_says(void **state)
{
    struct error err = {0};
    struct cloud cloud = {0};
    put("clouds.yaml", "OS_CLIENT_CONFIG_FILE",
        "clouds:\n  one: {profile: prov, auth: {username: u, project_name: p},\n"
        "    interface: internal, cacert: ~/ca.pem}\n");
    put("secure.yaml", "OS_CLIENT_SECURE_FILE", "clouds: {one: {auth: {password: secret}}}\n");
    put("public.yaml", "OS_CLIENT_VENDOR_FILE",
        "public-clouds:\n  prov: {auth: {auth_url: 'https://k/v3', user_domain_name: d},\n"
        "    interface: admin, regions: [{name: north}, south]}\n");
    setenv("HOME", "/home/some", 1);
    assert_true(cloud_read("one", arena, &cloud, &err));
    assert_string_equal(cloud.auth_url, "https://k/v3");
    assert_string_equal(cloud.user_domain_name, "d");
    assert_string_equal(cloud.username, "u");
    assert_string_equal(secret_reveal(cloud.password), "secret");
    assert_string_equal(cloud.interface, "internal");
    assert_string_equal(cloud.region_name, "north");
    assert_string_equal(cloud.cacert, "/home/some/ca.pem");
    cloud_fini(&cloud);
}

static void a_profile_that_is_nowhere_is_told(void **state)
{
    struct error err = {0};
    struct cloud cloud = {0};
    put("clouds.yaml", "OS_CLIENT_CONFIG_FILE", "clouds: {one: {profile: prov, auth: {}}}\n");
    put("public.yaml", "OS_CLIENT_VENDOR_FILE", "");
    assert_false(cloud_read("one", arena, &cloud, &err));
    assert_ptr_equal(err.fault, &FAULT_NOT_FOUND);
    assert_non_null(strstr(err.text, "no profile \"prov\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_named_cloud_is_read_with_its_secrets_from_the_other_file, clear),
        cmocka_unit_test_setup(the_environment_says_it_all_without_a_file, clear),
        cmocka_unit_test_setup(the_only_cloud_is_taken_and_of_two_none, clear),
        cmocka_unit_test_setup(what_is_missing_is_named, clear),
        cmocka_unit_test_setup(a_profile_lies_beneath_what_the_entry_says, clear),
        cmocka_unit_test_setup(a_profile_that_is_nowhere_is_told, clear),
    };
    struct error err;
    if (mkdtemp(directory) == NULL)
        return 1;
    arena = arena_new();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_free(arena);
    return file_remove_tree(directory, &err) ? failed : 1;
}
