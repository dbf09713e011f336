/* SPDX-License-Identifier: Apache-2.0
 *
 * Waiting for migrations against a scripted API: few and many, lost ones, wrong numbers. */
#include "tests/unit/check.h"

#include <stdio.h>
#include <stdlib.h>

#include "client/cli/session.h"
#include "client/cli/wait.h"
#include "common/base/memory.h"
#include "common/http/server.h"

#define MANY 1500

struct script {
    struct http_server *server;
    struct session session;
    unsigned requests, lists;
    const char *state; /* of every migration */
};

static void put_migration(struct buffer *body, unsigned number, const char *state)
{
    buffer_printf(body,
                  "{\"id\": \"m%04u\", \"vm_name\": \"vm\\u001b[2J\", \"state\": \"%s\","
                  " \"done_bytes\": 99, \"total_bytes\": %u,"
                  " \"disks\": [{\"done_bytes\": 99, \"total_bytes\": 5}, {\"done_bytes\": -1}]}",
                  number, state, number % 2);
}

static void serve(void *context, const struct http_request *request, struct http_answer *answer)
{
    struct script *script = context;
    unsigned number = 0;
    script->requests++;
    answer->status = 200;
    answer->content_type = "application/json";
    if (strcmp(request->path, "/v1/migrations") == 0) {
        const char *marker = http_request_query(request, "marker");
        unsigned from = marker != NULL ? (unsigned)strtoul(marker, NULL, 10) : 0;
        script->lists++;
        buffer_append_text(&answer->body, "{\"migrations\": [");
        for (unsigned i = from; i < from + 1000 && i < MANY; i++) {
            buffer_append_text(&answer->body, i > from ? "," : "");
            put_migration(&answer->body, i, script->state);
        }
        buffer_printf(&answer->body, "], \"next\": %s}",
                      from == 0 ? "\"/v1/migrations?marker=1000\"" : "null");
    } else if (sscanf(request->path, "/v1/migrations/m%u", &number) == 1) {
        put_migration(&answer->body, number, script->state);
    } else {
        answer->status = 404;
        buffer_append_text(&answer->body, "{\"code\": \"not_found\", \"detail\": \"no\"}");
    }
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
    char *url = xasprintf("http://127.0.0.1:%u", http_server_port(script->server));
    struct guts_settings client = {.url = url, .stop = &interrupted};
    script->session.guts = guts_open(&client, &failure);
    script->session.output.format = OUTPUT_JSON; /* progress goes to standard error */
    *state = script;
    return script->session.guts != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    struct script *script = *state;
    interrupted = 0;
    guts_close(script->session.guts);
    http_server_close(script->server, 1000);
    free(script);
    return 0;
}

static void thousands_are_looked_for_in_lists(void **state)
{
    struct script *script = *state;
    script->state = "VERIFIED";
    json_t *ids = json_array();
    for (unsigned i = 0; i < MANY; i++) {
        CLEANUP(xfreep) char *id = xasprintf("m%04u", i);
        json_array_append_new(ids, json_string(id));
    }
    assert_int_equal(wait_for_migrations(&script->session, ids, "VERIFIED|CLEANED"), EXIT_DONE);
    assert_int_equal(script->requests, 2);
    json_decref(ids);
}

static void a_lost_one_does_not_end_the_wait_for_others(void **state)
{
    struct script *script = *state;
    script->state = "VERIFIED";
    json_t *ids = json_pack("[sss]", "lost", "m0001", "m0001");
    assert_int_equal(wait_for_migrations(&script->session, ids, "VERIFIED"), EXIT_NOT_FOUND);
    assert_int_equal(script->requests, 2); /* the one that is named twice is one */
    json_decref(ids);
}

static void another_end_than_asked_is_told(void **state)
{
    struct script *script = *state;
    script->state = "FAILED";
    json_t *ids = json_pack("[s]", "m0001");
    assert_int_equal(wait_for_migrations(&script->session, ids, "VERIFIED"), EXIT_UNFINISHED);
    json_decref(ids);
}

static void an_interrupt_ends_the_wait_without_an_outage(void **state)
{
    struct script *script = *state;
    script->state = "CONVERTING";
    interrupted = 1;
    json_t *ids = json_pack("[s]", "m0001");
    assert_int_equal(wait_for_migrations(&script->session, ids, "VERIFIED"), EXIT_INTERRUPTED);
    json_decref(ids);
}

static void a_limit_ends_the_wait(void **state)
{
    struct script *script = *state;
    script->state = "CONVERTING";
    script->session.wait_ms = 1;
    json_t *ids = json_pack("[s]", "m0001");
    assert_int_equal(wait_for_migrations(&script->session, ids, "VERIFIED"), EXIT_TIMED_OUT);
    json_decref(ids);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(thousands_are_looked_for_in_lists, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lost_one_does_not_end_the_wait_for_others, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(another_end_than_asked_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_interrupt_ends_the_wait_without_an_outage, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_limit_ends_the_wait, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
