/* SPDX-License-Identifier: Apache-2.0 */
#include "common/openstack/inside.h"
#include "tests/unit/check.h"

static const char text[] =
    "{\"catalog\": [{\"type\": \"volumev2\", \"endpoints\": [{\"interface\": \"public\", "
    "\"region_id\": \"A\", \"url\": \"old\"}]},"
    "{\"type\": \"volume\", \"endpoints\": [{\"interface\": \"public\", \"region_id\": \"A\", "
    "\"url\": \"older\"}]},"
    "{\"type\": \"block-storage\", \"endpoints\": ["
    "{\"interface\": \"internal\", \"region_id\": \"A\", \"url\": \"inner\"},"
    "{\"interface\": \"public\", \"region_id\": \"B\", \"url\": \"b\"},"
    "{\"interface\": \"public\", \"region_id\": \"A\", \"url\": \"a\"}]}],"
    "\"issued_at\": \"2026-01-01T00:00:00.000000Z\", \"expires_at\": "
    "\"2026-01-01T01:00:10.000000Z\"}";

static json_t *token(void)
{
    return json_loads(text, 0, NULL);
}

static void an_endpoint_is_found_by_type_region_and_interface(void **state)
{
    json_t *body = token();
    assert_string_equal(catalogue_find(body, "volume", "A", NULL), "a");
    assert_string_equal(catalogue_find(body, "volumev3", "B", "publicURL"), "b");
    assert_string_equal(catalogue_find(body, "block-storage", NULL, "internal"), "inner");
    assert_string_equal(catalogue_find(body, "volume", NULL, NULL), "a"); /* of the first region */
    assert_null(catalogue_find(body, "volume", "C", NULL));
    assert_null(catalogue_find(body, "volume", "A", "admin"));
    assert_null(catalogue_find(body, "dns", NULL, NULL));
    assert_string_equal(catalogue_type("volumev3"), "volume");
    assert_string_equal(catalogue_type("migration"), "migration");
    json_decref(body);
}

static void a_version_is_seen_at_the_end_of_a_path(void **state)
{
    assert_true(catalogue_has_version("http://h:1/v3"));
    assert_true(catalogue_has_version("http://h/compute/v2.1"));
    assert_true(catalogue_has_version("http://h/volume/v3/0123"));
    assert_false(catalogue_has_version("http://h:9292"));
    assert_false(catalogue_has_version("http://v3.example.org/image"));
    assert_false(catalogue_has_version("http://h/v/image"));
}

static void a_tokens_life_is_the_span_between_its_times(void **state)
{
    json_t *body = token();
    assert_int_equal(auth_lifetime_s(body), 3610);
    json_object_del(body, "issued_at");
    assert_int_equal(auth_lifetime_s(body), 0);
    json_decref(body);
}

static void a_request_asks_for_the_project_in_its_domain(void **state)
{
    struct cloud cloud = {.username = "u", .project_name = "p", .user_domain_name = "d"};
    cloud.password = secret_new("s", 1);
    json_t *request = auth_request(&cloud);
    CLEANUP(xfreep) char *said = json_dumps(request, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(said, "{\"auth\":{\"identity\":{\"methods\":[\"password\"],\"password\":"
                              "{\"user\":{\"domain\":{\"name\":\"d\"},\"name\":\"u\","
                              "\"password\":\"s\"}}},\"scope\":{\"project\":{\"domain\":"
                              "{\"name\":\"d\"},\"name\":\"p\"}}}}");
    json_decref(request);
    cloud_fini(&cloud);
}

static void an_application_credential_brings_its_own_project(void **state)
{
    struct cloud cloud = {.auth = CLOUD_AUTH_APPLICATION_CREDENTIAL,
                          .application_credential_id = "i",
                          .project_name = "p"};
    cloud.application_credential_secret = secret_new("s", 1);
    json_t *request = auth_request(&cloud);
    const json_t *auth = json_object_get(request, "auth");
    assert_null(json_object_get(auth, "scope"));
    assert_non_null(json_object_get(json_object_get(auth, "identity"), "application_credential"));
    json_decref(request);
    cloud_fini(&cloud);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_endpoint_is_found_by_type_region_and_interface),
        cmocka_unit_test(a_version_is_seen_at_the_end_of_a_path),
        cmocka_unit_test(a_tokens_life_is_the_span_between_its_times),
        cmocka_unit_test(a_request_asks_for_the_project_in_its_domain),
        cmocka_unit_test(an_application_credential_brings_its_own_project),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
