/* SPDX-License-Identifier: Apache-2.0 */
#include "common/daemon/health.h"

#include <jansson.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "common/http/client.h"
#include "tests/unit/check.h"

static struct health *health;
static struct http_answer answer;

static int begin(void **state)
{
    clock_fake_begin(100000, 1);
    health = health_new(5000);
    return 0;
}

static int end(void **state)
{
    buffer_fini(&answer.body);
    health_free(health);
    clock_fake_end();
    return 0;
}

static bool ask(const char *method, const char *path)
{
    const struct http_request request = {.method = method, .path = path, .body = ""};
    buffer_fini(&answer.body);
    answer = (struct http_answer){0};
    return health_answer(health, &request, &answer);
}

static void a_daemon_that_lacks_nothing_is_alive_and_ready(void **state)
{
    assert_true(ask("GET", "/healthz"));
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body.data, "{\"status\":\"ok\"}");
    assert_true(ask("GET", "/readyz"));
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body.data, "{\"wanting\":{},\"status\":\"ready\"}");
}

static void what_is_wanting_is_named_and_does_not_kill(void **state)
{
    health_set(health, "database", "no connection to \"db1:3306\"");
    health_set(health, "broker", "connecting");
    health_set(health, "broker", NULL);
    assert_true(ask("GET", "/healthz"));
    assert_int_equal(answer.status, 200);
    assert_true(ask("GET", "/readyz"));
    assert_int_equal(answer.status, 503);
    assert_string_equal(answer.body.data,
                        "{\"wanting\":{\"database\":\"no connection to \\\"db1:3306\\\"\"},"
                        "\"status\":\"not ready\"}");
    health_set(health, "database", NULL);
    assert_true(ask("GET", "/readyz"));
    assert_int_equal(answer.status, 200);
}

static void a_loop_that_stands_still_is_not_alive(void **state)
{
    clock_fake_advance(5000);
    ask("GET", "/healthz");
    assert_int_equal(answer.status, 200);
    clock_fake_advance(1);
    ask("GET", "/healthz");
    assert_int_equal(answer.status, 503);
    assert_string_equal(answer.body.data, "{\"status\":\"stalled\",\"silent_ms\":5001}");
    ask("GET", "/readyz");
    assert_int_equal(answer.status, 503);
    health_beat(health);
    ask("GET", "/healthz");
    assert_int_equal(answer.status, 200);
}

static void metrics_are_served_as_prometheus_reads_them(void **state)
{
    assert_true(ask("GET", "/metrics"));
    assert_int_equal(answer.status, 200);
    assert_non_null(strstr(answer.content_type, "text/plain; version=0.0.4"));
    assert_non_null(strstr(answer.body.data, "\nprocess_open_fds "));
}

static void other_paths_and_methods_are_not_answered(void **state)
{
    assert_false(ask("GET", "/"));
    assert_false(ask("GET", "/healthz/"));
    assert_true(ask("POST", "/readyz"));
    assert_int_equal(answer.status, 405);
    assert_true(ask("HEAD", "/readyz"));
    assert_int_equal(answer.status, 200);
}

static unsigned call(struct http_client *client, unsigned port, const char *path,
                     struct http_reply *reply)
{
    struct error err;
    char url[128];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", port, path);
    const struct http_call get = {.method = "GET", .url = url};
    assert_true(http_client_call(client, &get, reply, &err));
    return reply->status;
}

static void a_small_server_answers_over_the_network(void **state)
{
    struct error err;
    struct http_server *server = NULL;
    struct http_reply reply = {0};
    const struct http_client_settings settings = {0};
    health = health_new(0);
    health_set(health, "broker", "unreachable");
    assert_true(health_serve(health, "127.0.0.1:0", &server, &err));
    http_client_library_begin();
    struct http_client *client = http_client_new(&settings);
    assert_int_equal(call(client, http_server_port(server), "/healthz", &reply), 200);
    assert_int_equal(call(client, http_server_port(server), "/readyz", &reply), 503);
    json_t *body = json_loadb(reply.body.data, reply.body.length, 0, NULL);
    json_t *wanting = json_object_get(body, "wanting");
    assert_string_equal(json_string_value(json_object_get(wanting, "broker")), "unreachable");
    json_decref(body);
    assert_int_equal(call(client, http_server_port(server), "/secret", &reply), 404);
    http_reply_fini(&reply);
    http_client_free(client);
    http_client_library_end();
    assert_true(http_server_close(server, 1000));
    health_free(health);
}

static void without_an_address_nothing_is_served(void **state)
{
    struct error err;
    struct http_server *server = (struct http_server *)&err;
    assert_true(health_serve(NULL, "", &server, &err));
    assert_null(server);
    assert_false(health_serve(NULL, "nonsense", &server, &err));
    assert_non_null(strstr(err.text, "nonsense"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_daemon_that_lacks_nothing_is_alive_and_ready, begin, end),
        cmocka_unit_test_setup_teardown(what_is_wanting_is_named_and_does_not_kill, begin, end),
        cmocka_unit_test_setup_teardown(a_loop_that_stands_still_is_not_alive, begin, end),
        cmocka_unit_test_setup_teardown(metrics_are_served_as_prometheus_reads_them, begin, end),
        cmocka_unit_test_setup_teardown(other_paths_and_methods_are_not_answered, begin, end),
        cmocka_unit_test(a_small_server_answers_over_the_network),
        cmocka_unit_test(without_an_address_nothing_is_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
