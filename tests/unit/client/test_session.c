/* SPDX-License-Identifier: Apache-2.0
 *
 * libguts against a scripted server: pages, problems, wishes, events. */
#include "tests/unit/check.h"

#include <stdio.h>
#include <stdlib.h>

#include "client/lib/guts.h"
#include "common/base/memory.h"
#include "common/http/server.h"

struct script {
    struct http_server *server;
    struct guts *guts;
    unsigned wish_looks;
    char last_path[256], last_token[128];
};

static void answer_text(struct http_answer *answer, unsigned status, const char *text)
{
    answer->status = status;
    answer->content_type = "application/json";
    buffer_append_text(&answer->body, text);
}

/* Of the thousand events behind 10 none is of the kind, and who asks for no number begins at the
 * newest: the stream says how far it has read. */
static void serve_stream(const struct http_request *request, struct http_answer *answer)
{
    const char *after = http_request_query(request, "after");
    bool is_first = after == NULL || strcmp(after, "10") == 0;
    bool is_old = after != NULL && strcmp(after, "2") == 0;
    answer_text(answer, 200,
                is_first ? "retry: 2000\n\nid: 1010\n\n"
                : is_old ? "event: missing\ndata: {\"after\":2,\"before\":8}\n\n"
                         : "id: 1011\ndata: {\"number\": 1011, \"kind\": \"node.down\"}\n\n");
    answer->content_type = "text/event-stream";
}

static void serve(void *context, const struct http_request *request, struct http_answer *answer)
{
    struct script *script = context;
    const char *marker = http_request_query(request, "marker");
    const char *token = http_request_header(request, "Authorization");
    snprintf(script->last_path, sizeof(script->last_path), "%s", request->path);
    snprintf(script->last_token, sizeof(script->last_token), "%s", token != NULL ? token : "");
    if (strcmp(request->path, "/v1/sources") == 0 && marker == NULL)
        answer_text(answer, 200,
                    "{\"sources\": [{\"name\": \"a\"}, {\"name\": \"b\"}],"
                    " \"next\": \"/v1/sources?limit=1000&marker=b\"}");
    else if (strcmp(request->path, "/v1/sources") == 0)
        answer_text(answer, 200, "{\"sources\": [{\"name\": \"c\"}], \"next\": null}");
    else if (strcmp(request->path, "/v1/events") == 0)
        answer_text(answer, 200,
                    http_request_query(request, "before") == NULL
                        ? "{\"events\": [], \"next\": \"/v1/events?limit=1000&before=5\"}"
                        : "{\"events\": [{\"number\": 3}], \"next\": null}");
    else if (strcmp(request->path, "/v1/nodes") == 0)
        answer_text(answer, 200, "{\"nodes\": [{}], \"next\": \"/v1/nodes?limit=1000\"}");
    else if (strcmp(request->path, "/v1/events/stream") == 0)
        serve_stream(request, answer);
    else if (strcmp(request->path, "/v1/wishes/w1") == 0)
        answer_text(answer, 200,
                    ++script->wish_looks < 3 ? "{\"id\": \"w1\", \"state\": \"taken\"}"
                                             : "{\"id\": \"w1\", \"state\": \"done\"}");
    else if (strcmp(request->path, "/v1/wishes/w2") == 0)
        answer_text(answer, 200,
                    "{\"id\": \"w2\", \"state\": \"refused\","
                    " \"fault\": {\"code\": \"state_forbids\", \"detail\": \"no\"}}");
    else
        answer_text(answer, 404,
                    "{\"status\": 404, \"code\": \"not_found\", \"detail\": \"no such thing\","
                    " \"errors\": [{\"pointer\": \"/x\", \"detail\": \"bad\"}]}");
}

static int set_up(void **state)
{
    struct script *script = xcalloc(1, sizeof(*script));
    struct http_server_settings settings = {.listen = "127.0.0.1:0",
                                            .threads = 1,
                                            .connections_most = 16,
                                            .body_most_bytes = 1 << 16,
                                            .idle_timeout_ms = 5000,
                                            .tls_certificate = "",
                                            .tls_key = ""};
    struct error err = {0};
    struct guts_error failure = {0};
    if (!http_server_open(&settings, serve, script, &script->server, &err))
        return -1;
    CLEANUP(xfreep)
    char *url = xasprintf("http://127.0.0.1:%u/", http_server_port(script->server));
    struct guts_settings client = {.url = url, .token = "secret-token"};
    script->guts = guts_open(&client, &failure);
    *state = script;
    return script->guts != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    struct script *script = *state;
    guts_close(script->guts);
    http_server_close(script->server, 1000);
    free(script);
    return 0;
}

static void pages_become_one_list(void **state)
{
    struct script *script = *state;
    struct guts_error err = {0};
    json_t *list = guts_list(script->guts, GUTS_SOURCES, NULL, NULL, 0, 0, &err);
    assert_int_equal(json_array_size(list), 3);
    json_decref(list);
    list = guts_list(script->guts, GUTS_SOURCES, NULL, NULL, 0, 1, &err);
    assert_int_equal(json_array_size(list), 1);
    json_decref(list);
    assert_string_equal(script->last_token, "Bearer secret-token");
}

static void an_empty_page_is_not_the_last(void **state)
{
    struct script *script = *state;
    struct guts_error err = {0};
    json_t *list = guts_list(script->guts, GUTS_EVENTS, NULL, NULL, 0, 0, &err);
    assert_int_equal(json_array_size(list), 1);
    json_decref(list);
}

static void a_page_that_leads_to_itself_is_the_last(void **state)
{
    struct script *script = *state;
    struct guts_error err = {0};
    json_t *list = guts_list(script->guts, GUTS_NODES, NULL, NULL, 0, 0, &err);
    assert_int_equal(json_array_size(list), 1);
    json_decref(list);
}

struct seen {
    unsigned calls;
    json_int_t number;
};

static bool see(void *context, const json_t *event)
{
    struct seen *seen = context;
    seen->number = json_integer_value(json_object_get(event, "number"));
    return seen->number == 0 && ++seen->calls < 100;
}

static void a_stream_without_events_of_the_kind_goes_on_where_it_ended(void **state)
{
    struct script *script = *state;
    struct guts_error err = {0};
    struct seen seen = {0};
    const struct guts_filter filter = {"kind", "node.down"};
    assert_true(guts_follow(script->guts, 10, &filter, 1, NULL, see, &seen, &err));
    assert_int_equal(seen.number, 1011);
}

static void a_stream_that_ended_before_its_first_event_goes_on_where_it_began(void **state)
{
    struct script *script = *state;
    struct guts_error err = {0};
    struct seen seen = {0};
    assert_true(guts_follow(script->guts, UINT64_MAX, NULL, 0, NULL, see, &seen, &err));
    assert_int_equal(seen.number, 1011);
}

static bool keep_text(void *context, const json_t *event)
{
    char *text = context;
    const char *kind = json_string_value(json_object_get(event, "kind"));
    if (kind != NULL)
        snprintf(text, 200, "%s %d %s", kind,
                 (int)json_integer_value(json_object_get(event, "number")),
                 json_string_value(json_object_get(event, "text")));
    return kind == NULL;
}

static void events_that_are_no_longer_kept_are_told_of(void **state)
{
    struct script *script = *state;
    struct guts_error err = {0};
    char text[200] = "";
    assert_true(guts_follow(script->guts, 2, NULL, 0, NULL, keep_text, text, &err));
    assert_string_equal(text, "events.missing 7 events 3 to 7 are no longer kept");
}

static void a_problem_becomes_an_error_with_all_its_fields(void **state)
{
    struct script *script = *state;
    struct guts_error err = {0};
    assert_null(guts_show(script->guts, GUTS_VMS, "a/b c", &err));
    assert_int_equal(err.status, 404);
    assert_string_equal(err.code, "not_found");
    assert_int_equal(json_array_size(err.errors), 1);
    guts_error_clear(&err);
    assert_null(err.errors);
}

static void a_wish_is_awaited_and_its_no_is_an_error(void **state)
{
    struct script *script = *state;
    struct guts_error err = {0};
    json_t *answer = json_pack("{s:{s:s}}", "wish", "id", "w1");
    json_t *end = guts_wish_wait(script->guts, answer, 10000, NULL, &err);
    assert_non_null(end);
    assert_int_equal(script->wish_looks, 3);
    json_decref(end);
    json_decref(answer);
    answer = json_pack("{s:{s:s}}", "wish", "id", "w2");
    assert_null(guts_wish_wait(script->guts, answer, 10000, NULL, &err));
    assert_string_equal(err.code, "state_forbids");
    assert_string_equal(err.detail, "no");
    guts_error_clear(&err);
    json_decref(answer);
}

static void names_are_escaped(void **state)
{
    (void)state;
    CLEANUP(xfreep) char *text = guts_escape("a b/ü?");
    assert_string_equal(text, "a%20b%2F%C3%BC%3F");
}

static void nonsense_is_no_address(void **state)
{
    (void)state;
    struct guts_error err = {0};
    struct guts_settings settings = {.url = "ftp://x"};
    assert_null(guts_open(&settings, &err));
    assert_string_equal(err.code, "invalid");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pages_become_one_list, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_empty_page_is_not_the_last, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_page_that_leads_to_itself_is_the_last, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stream_without_events_of_the_kind_goes_on_where_it_ended,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_stream_that_ended_before_its_first_event_goes_on_where_it_began, set_up, tear_down),
        cmocka_unit_test_setup_teardown(events_that_are_no_longer_kept_are_told_of, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_problem_becomes_an_error_with_all_its_fields, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_wish_is_awaited_and_its_no_is_an_error, set_up,
                                        tear_down),
        cmocka_unit_test(names_are_escaped),
        cmocka_unit_test(nonsense_is_no_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
