/* SPDX-License-Identifier: Apache-2.0
 *
 * Sessions against a small cloud in a thread, with a faked clock.
 */
#include "common/openstack/session.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/http/client.h"
#include "proto/fault.h"
#include "tests/unit/check.h"
#include "tests/unit/openstack/cloud_peer.h"

#define LIFE_S 600

/* What the small cloud does, and what it saw. */
static struct {
    struct cloud_peer *peer;
    unsigned tokens;   /* given so far; the newest alone is good */
    unsigned refusals; /* of the next calls, whatever their token */
    unsigned status;   /* of the next calls but `bad` many are 200 */
    unsigned bad;
    const char *headers, *words;
    unsigned calls; /* of services, answered or refused */
    char asked[4096];
    char text[8192], auth[64];
} cloud;

static void give_token(struct cloud_peer_answer *answer)
{
    const char *url = cloud_peer_url(cloud.peer);
    cloud.tokens++;
    snprintf(cloud.auth, sizeof(cloud.auth), "X-Subject-Token: token-%u\r\n", cloud.tokens);
    snprintf(cloud.text, sizeof(cloud.text),
             "{\"token\": {\"issued_at\": \"2026-01-01T00:00:00.000000Z\", "
             "\"expires_at\": \"2026-01-01T00:10:00.000000Z\", \"project\": {\"id\": \"p1\"}, "
             "\"catalog\": [{\"type\": \"compute\", \"endpoints\": ["
             "{\"region_id\": \"one\", \"interface\": \"public\", \"url\": \"%s/one/v2.1\"},"
             "{\"region_id\": \"two\", \"interface\": \"public\", \"url\": \"%s/two/v2.1\"},"
             "{\"region_id\": \"two\", \"interface\": \"internal\", \"url\": \"%s/inner/v2.1/\"}]},"
             "{\"type\": \"image\", \"endpoints\": [{\"region_id\": \"one\", \"interface\": "
             "\"public\", \"url\": \"%s/glance\"}]}]}}",
             url, url, url, url);
    *answer = (struct cloud_peer_answer){
        .status = 201, .headers = cloud.auth, .body = cloud.text, .length = strlen(cloud.text)};
}

static void answer_call(const struct cloud_peer_request *request, struct cloud_peer_answer *answer)
{
    static const char good[] = "{\"thing\": {\"id\": 7}}";
    char wanted[64];
    snprintf(wanted, sizeof(wanted), "X-Auth-Token: token-%u\r\n", cloud.tokens);
    cloud.calls++;
    *answer = (struct cloud_peer_answer){.status = 200, .body = good, .length = sizeof(good) - 1};
    if (strstr(request->head, wanted) == NULL || cloud.refusals > 0) {
        cloud.refusals -= cloud.refusals > 0;
        *answer = (struct cloud_peer_answer){.status = 401};
    } else if (cloud.bad > 0) {
        cloud.bad--;
        *answer = (struct cloud_peer_answer){.status = cloud.status,
                                             .headers = cloud.headers,
                                             .body = cloud.words,
                                             .length = cloud.words ? strlen(cloud.words) : 0};
    }
}

static void list_versions(struct cloud_peer_answer *answer)
{
    static const char versions[] =
        "{\"versions\": [{\"id\": \"v2.15\", \"links\": [{\"href\": "
        "\"http://elsewhere/glance/v2/\"}]}, {\"id\": \"v1.0\", \"links\": []}]}";
    *answer =
        (struct cloud_peer_answer){.status = 300, .body = versions, .length = sizeof(versions) - 1};
}

static bool answers(void *context, const struct cloud_peer_request *request,
                    struct cloud_peer_answer *answer)
{
    if (strcmp(request->line, "POST /v3/auth/tokens") == 0) {
        if (request->body == NULL)
            return false;
        snprintf(cloud.asked, sizeof(cloud.asked), "%s", request->body);
        give_token(answer);
    } else if (strcmp(request->line, "GET /glance/") == 0) {
        list_versions(answer);
    } else if (strncmp(request->line, "POST", 4) == 0 && request->body == NULL) {
        return false;
    } else {
        answer_call(request, answer);
    }
    return true;
}

static struct cloud credentials;
static struct openstack_session *session;

static unsigned changes, changes_most;

static bool may_change(void *context, struct error *err)
{
    return changes++ < changes_most || error_set(err, &FAULT_CANCELLED, "not now");
}

static void open_session(void)
{
    struct openstack_settings settings = {
        .cloud = &credentials, .agent = "test", .may_change = may_change};
    struct error err = {0};
    if (credentials.auth_url == NULL)
        credentials.auth_url = cloud_peer_url(cloud.peer);
    assert_true(openstack_open(&settings, &session, &err));
}

static int begin(void **state)
{
    http_client_library_begin();
    clock_fake_begin(1000000, 1700000000000000u);
    memset(&cloud, 0, sizeof(cloud));
    changes = 0;
    changes_most = 100;
    cloud.peer = cloud_peer_new(answers, NULL);
    credentials = (struct cloud){.username = "u",
                                 .project_name = "p",
                                 .region_name = "one",
                                 .password = secret_new("pass", 4)};
    return 0;
}

static int end(void **state)
{
    openstack_closep(&session);
    cloud_fini(&credentials);
    cloud_peer_free(cloud.peer);
    clock_fake_end();
    return 0;
}

static bool get(struct error *err)
{
    json_t *thing = NULL;
    bool good = openstack_get(session, "compute", "/things/7", "2.52", "thing", &thing, err);
    json_decref(thing);
    return good;
}

static bool post(struct error *err)
{
    json_t *body = json_pack("{s:s}", "name", "new");
    struct openstack_call call = {
        .method = "POST", .service = "compute", .path = "/things", .body = body};
    bool good = openstack_call(session, &call, NULL, err);
    json_decref(body);
    return good;
}

/* -- tokens --------------------------------------------------------------------------------------------- */

static void a_token_is_asked_for_once_and_again_before_its_end(void **state)
{
    struct error err = {0};
    open_session();
    assert_true(get(&err) && get(&err));
    assert_int_equal(cloud.tokens, 1);
    clock_fake_advance((LIFE_S - 61) * 1000);
    assert_true(get(&err));
    assert_int_equal(cloud.tokens, 1);
    clock_fake_advance(2000);
    assert_true(get(&err));
    assert_int_equal(cloud.tokens, 2);
}

static void a_caller_gets_a_token_that_lasts_as_long_as_it_needs(void **state)
{
    struct error err = {0};
    const char *token;
    open_session();
    assert_true(openstack_token(session, 300000, &token, &err));
    clock_fake_advance(200000);
    assert_true(openstack_token(session, 300000, &token, &err));
    assert_string_equal(token, "token-1");
    clock_fake_advance(150000);
    assert_true(openstack_token(session, 300000, &token, &err));
    assert_string_equal(token, "token-2");
    /* More than Keystone gives: a new one, but not for each of several. */
    clock_fake_advance(30000);
    assert_true(openstack_token(session, 86400000, &token, &err));
    assert_string_equal(token, "token-2");
    clock_fake_advance(40000);
    assert_true(openstack_token(session, 86400000, &token, &err));
    assert_string_equal(token, "token-3");
}

static void a_refused_token_is_renewed_in_the_middle_even_of_a_post(void **state)
{
    struct error err = {0};
    open_session();
    assert_true(get(&err));
    cloud.refusals = 1;
    assert_true(post(&err));
    assert_int_equal(cloud.tokens, 2);
    assert_int_equal(cloud.calls, 3);
}

static void what_changes_something_is_not_sent_again_without_leave(void **state)
{
    struct error err = {0};
    struct openstack_call call = {
        .method = "POST", .service = "compute", .path = "/x", .body = json_null()};
    open_session();
    cloud.refusals = 1; /* its token is renewed, and it is sent once more */
    changes_most = 1;
    assert_false(openstack_call(session, &call, NULL, &err));
    assert_ptr_equal(err.fault, &FAULT_CANCELLED);
    assert_int_equal(cloud.calls, 1);
    assert_int_equal(changes, 2);
    call.method = "GET";
    assert_true(openstack_call(session, &call, NULL, &err));
    assert_int_equal(changes, 2);
}

static void who_is_refused_with_every_token_is_told_so(void **state)
{
    struct error err = {0};
    open_session();
    cloud.refusals = 100;
    assert_false(get(&err));
    assert_ptr_equal(err.fault, &FAULT_DENIED);
    assert_true(cloud.calls <= 3);
}

static void an_application_credential_is_sent_without_a_scope(void **state)
{
    struct error err = {0};
    cloud_fini(&credentials);
    credentials = (struct cloud){.auth = CLOUD_AUTH_APPLICATION_CREDENTIAL,
                                 .application_credential_id = "ac1",
                                 .application_credential_secret = secret_new("quiet", 5),
                                 .region_name = "one"};
    open_session();
    assert_true(get(&err));
    json_t *asked = json_loads(cloud.asked, 0, NULL);
    json_t *wanted =
        json_loads("{\"auth\": {\"identity\": {\"methods\": [\"application_credential\"],"
                   " \"application_credential\": {\"id\": \"ac1\", \"secret\": \"quiet\"}}}}",
                   0, NULL);
    assert_true(json_equal(asked, wanted));
    json_decref(asked);
    json_decref(wanted);
}

static void a_named_application_credential_goes_with_its_user(void **state)
{
    struct error err = {0};
    cloud_fini(&credentials);
    credentials = (struct cloud){.auth = CLOUD_AUTH_APPLICATION_CREDENTIAL,
                                 .application_credential_name = "mover",
                                 .username = "u",
                                 .user_domain_name = "d",
                                 .application_credential_secret = secret_new("quiet", 5)};
    open_session();
    assert_true(get(&err));
    assert_non_null(strstr(cloud.asked, "\"name\":\"mover\""));
    assert_non_null(strstr(cloud.asked, "\"domain\":{\"name\":\"d\"}"));
    assert_null(strstr(cloud.asked, "scope"));
}

static void a_given_token_is_scoped_and_never_renewed_before_its_end(void **state)
{
    struct error err = {0};
    cloud_fini(&credentials);
    credentials = (struct cloud){
        .auth = CLOUD_AUTH_TOKEN, .token = secret_new("given", 5), .project_id = "p1"};
    open_session();
    assert_true(get(&err));
    assert_non_null(strstr(cloud.asked, "\"id\":\"given\""));
    clock_fake_advance(LIFE_S * 1000);
    assert_true(get(&err));
    assert_int_equal(cloud.tokens, 1);
}

/* -- the catalogue --------------------------------------------------------------------------------------- */

static void region_and_interface_choose_the_endpoint(void **state)
{
    struct error err = {0};
    const char *url;
    char wanted[128];
    credentials.region_name = "two";
    credentials.interface = "internal";
    open_session();
    assert_true(openstack_endpoint(session, "compute", &url, &err));
    snprintf(wanted, sizeof(wanted), "%s/inner/v2.1", cloud_peer_url(cloud.peer));
    assert_string_equal(url, wanted);
    assert_false(openstack_endpoint(session, "image", &url, &err));
    assert_ptr_equal(err.fault, &FAULT_NOT_FOUND);
}

static void a_version_is_found_where_the_catalogue_names_none(void **state)
{
    struct error err = {0};
    const char *url;
    char wanted[128];
    open_session();
    assert_true(openstack_endpoint(session, "image", &url, &err));
    snprintf(wanted, sizeof(wanted), "%s/glance/v2", cloud_peer_url(cloud.peer));
    assert_string_equal(url, wanted);
}

/* -- what is sent again -------------------------------------------------------------------------------------- */

static void refuse(unsigned count, unsigned status, const char *headers, const char *words)
{
    cloud.bad = count;
    cloud.status = status;
    cloud.headers = headers;
    cloud.words = words;
    cloud.calls = 0;
}

static void a_limit_is_waited_for_as_long_as_the_cloud_says(void **state)
{
    static const unsigned codes[] = {429, 413};
    struct error err = {0};
    open_session();
    assert_true(get(&err));
    for (size_t i = 0; i < COUNT_OF(codes); i++) {
        uint64_t before_ms = clock_mono_ms();
        refuse(2, codes[i], "Retry-After: 7\r\n", NULL);
        assert_true(post(&err));
        assert_int_equal(cloud.calls, 3);
        assert_true(clock_mono_ms() - before_ms >= 14000 && clock_mono_ms() - before_ms < 15000);
    }
}

static void a_limit_that_lasts_too_long_is_told(void **state)
{
    struct error err = {0};
    open_session();
    assert_true(get(&err));
    refuse(1, 429, "Retry-After: 3600\r\n", NULL);
    assert_false(post(&err));
    assert_ptr_equal(err.fault, &FAULT_OVER_LIMIT);
    assert_int_equal(cloud.calls, 1);
}

static void a_quota_is_told_at_once_whatever_the_service_calls_it(void **state)
{
    static const struct {
        unsigned status;
        const char *words;
    } ways[] = {
        {403, "{\"forbidden\": {\"message\": \"Quota exceeded for cores: Requested 4\"}}"},
        {413, "{\"overLimit\": {\"message\": \"VolumeLimitExceeded: Maximum number of volumes\"}}"},
        {409, "{\"NeutronError\": {\"message\": \"Quota exceeded for resources: ['port'].\"}}"},
    };
    struct error err = {0};
    open_session();
    assert_true(get(&err));
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        refuse(9, ways[i].status, ways[i].status == 413 ? "Retry-After: 0\r\n" : NULL,
               ways[i].words);
        assert_false(post(&err));
        assert_ptr_equal(err.fault, &FAULT_QUOTA_EXCEEDED);
        assert_int_equal(cloud.calls, 1);
    }
}

static void a_broken_post_is_uncertain_and_sent_once_while_a_get_is_sent_again(void **state)
{
    struct error err = {0};
    open_session();
    assert_true(get(&err));
    refuse(1, 503, NULL, NULL);
    assert_false(post(&err));
    assert_ptr_equal(err.fault, &FAULT_UNCERTAIN);
    assert_int_equal(cloud.calls, 1);
    refuse(2, 503, NULL, NULL);
    assert_true(get(&err));
    assert_int_equal(cloud.calls, 3);
}

static void answers_become_faults(void **state)
{
    static const struct {
        unsigned status;
        const struct fault *fault;
    } ways[] = {
        {400, &FAULT_INVALID},  {403, &FAULT_DENIED},    {404, &FAULT_NOT_FOUND},
        {409, &FAULT_CONFLICT}, {410, &FAULT_NOT_FOUND}, {500, &FAULT_UNCERTAIN},
    };
    struct error err = {0};
    open_session();
    assert_true(get(&err));
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        refuse(1, ways[i].status, "X-Openstack-Request-Id: req-77\r\n",
               "{\"badRequest\": {\"message\": \"no such thing\"}}");
        assert_false(post(&err));
        assert_ptr_equal(err.fault, ways[i].fault);
        assert_non_null(strstr(err.text, "no such thing"));
        assert_non_null(strstr(err.text, "req-77"));
        assert_non_null(strstr(err.text, "POST compute/things"));
    }
}

int main(void)
{
#define EACH(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        EACH(a_token_is_asked_for_once_and_again_before_its_end),
        EACH(a_caller_gets_a_token_that_lasts_as_long_as_it_needs),
        EACH(a_refused_token_is_renewed_in_the_middle_even_of_a_post),
        EACH(what_changes_something_is_not_sent_again_without_leave),
        EACH(who_is_refused_with_every_token_is_told_so),
        EACH(an_application_credential_is_sent_without_a_scope),
        EACH(a_named_application_credential_goes_with_its_user),
        EACH(a_given_token_is_scoped_and_never_renewed_before_its_end),
        EACH(region_and_interface_choose_the_endpoint),
        EACH(a_version_is_found_where_the_catalogue_names_none),
        EACH(a_limit_is_waited_for_as_long_as_the_cloud_says),
        EACH(a_limit_that_lasts_too_long_is_told),
        EACH(a_quota_is_told_at_once_whatever_the_service_calls_it),
        EACH(a_broken_post_is_uncertain_and_sent_once_while_a_get_is_sent_again),
        EACH(answers_become_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
