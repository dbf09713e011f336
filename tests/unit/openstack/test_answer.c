/* SPDX-License-Identifier: Apache-2.0 */
#include "common/openstack/inside.h"
#include "tests/unit/check.h"

static struct error refuse(unsigned status, const char *method, const char *body,
                           unsigned retry_after_s)
{
    struct error err = {0};
    CLEANUP(http_reply_fini)
    struct http_reply reply = {.status = status, .retry_after_s = retry_after_s};
    buffer_append_text(&reply.body, body);
    assert_false(answer_fail(&reply, method, "a call", &err));
    return err;
}

static void quotas_are_told_apart_whatever_the_service(void **state)
{
    static const struct {
        unsigned status;
        const char *body;
    } quotas[] = {
        {403, "{\"forbidden\": {\"code\": 403, \"message\": \"Quota exceeded for cores\"}}"},
        {413, "{\"overLimit\": {\"code\": 413, \"message\": \"VolumeLimitExceeded: Maximum number "
              "of volumes allowed (10) exceeded\", \"retryAfter\": \"0\"}}"},
        {409, "{\"NeutronError\": {\"type\": \"OverQuota\", \"message\": \"Quota exceeded for "
              "resources: ['port'].\"}}"},
        {413, "<html><title>413 Too Large</title><body>Denying attempt to upload: it exceeds the "
              "quota</body></html>"},
    };
    for (size_t i = 0; i < COUNT_OF(quotas); i++) {
        struct error err = refuse(quotas[i].status, "POST", quotas[i].body, 0);
        assert_ptr_equal(err.fault, &FAULT_QUOTA_EXCEEDED);
    }
}

static void other_refusals_have_their_own_faults(void **state)
{
    assert_ptr_equal(refuse(403, "POST", "{\"error\": {\"message\": \"policy\"}}", 0).fault,
                     &FAULT_DENIED);
    assert_ptr_equal(refuse(404, "GET", "", 0).fault, &FAULT_NOT_FOUND);
    assert_ptr_equal(refuse(409, "POST", "{}", 0).fault, &FAULT_CONFLICT);
    assert_ptr_equal(refuse(429, "POST", "", 3).fault, &FAULT_OVER_LIMIT);
    assert_ptr_equal(refuse(413, "POST", "", 3).fault, &FAULT_OVER_LIMIT);
    assert_ptr_equal(refuse(413, "POST", "", 0).fault, &FAULT_TOO_LARGE);
    assert_ptr_equal(refuse(400, "POST", "", 0).fault, &FAULT_INVALID);
}

static void only_of_a_deed_the_outcome_is_unknown(void **state)
{
    assert_ptr_equal(refuse(500, "POST", "", 0).fault, &FAULT_UNCERTAIN);
    assert_ptr_equal(refuse(503, "PATCH", "", 0).fault, &FAULT_UNCERTAIN);
    assert_ptr_equal(refuse(503, "GET", "", 0).fault, &FAULT_UNAVAILABLE);
    assert_ptr_equal(refuse(503, "DELETE", "", 0).fault, &FAULT_UNAVAILABLE);
}

static void the_clouds_own_words_stand_in_the_text(void **state)
{
    struct error err = refuse(404, "GET", "{\"message\": \"No image<br /><br />\\n found\"}", 0);
    assert_string_equal(err.text, "a call: answered 404: No image found");
    err = refuse(400, "GET", "<html><head><title>400</title></head><body> <b>Bad</b> thing</body>",
                 0);
    assert_string_equal(err.text, "a call: answered 400: Bad thing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quotas_are_told_apart_whatever_the_service),
        cmocka_unit_test(other_refusals_have_their_own_faults),
        cmocka_unit_test(only_of_a_deed_the_outcome_is_unknown),
        cmocka_unit_test(the_clouds_own_words_stand_in_the_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
