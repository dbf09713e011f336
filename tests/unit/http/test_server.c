/* SPDX-License-Identifier: Apache-2.0
 *
 * The server and the client against each other on loopback; what a client of ours would never send
 * goes over a plain socket. */
#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/http/client.h"
#include "common/http/server.h"

#define BODY_MOST 4096

struct world {
    struct http_server *server;
    struct http_client *client;
    struct http_stream *stream;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    char pending[64];
    bool stream_began, stream_closed, stream_ends;
    struct http_later *later;
    pthread_t answerer;
    bool was_asked; /* the request that is to come again came once */
};

static int64_t world_stream_read(void *context, char *into, size_t most)
{
    struct world *world = context;
    pthread_mutex_lock(&world->mutex);
    world->stream_began = true; /* from now on others may use world->stream */
    int64_t count = world->stream_ends ? -1 : (int64_t)strlen(world->pending);
    if (count > 0) {
        assert_true((size_t)count <= most);
        memcpy(into, world->pending, (size_t)count);
        world->pending[0] = '\0';
    }
    pthread_cond_broadcast(&world->changed);
    pthread_mutex_unlock(&world->mutex);
    return count;
}

static void world_stream_close(void *context)
{
    struct world *world = context;
    pthread_mutex_lock(&world->mutex);
    world->stream = NULL;
    world->stream_closed = true;
    pthread_cond_broadcast(&world->changed);
    pthread_mutex_unlock(&world->mutex);
}

static const struct http_stream_ops world_stream_ops = {world_stream_read, world_stream_close};

static void *answer_later(void *context)
{
    struct world *world = context;
    struct http_answer answer = {.status = 200, .content_type = "text/plain"};
    buffer_append_text(&answer.body, "later");
    http_later_answer(world->later, &answer);
    return NULL;
}

static void *again_later(void *context)
{
    struct world *world = context;
    http_later_again(world->later);
    return NULL;
}

static bool count_query(void *context, const char *name, const char *value)
{
    buffer_printf(context, "%s=%s;", name, value);
    return true;
}

static void world_handle(void *context, const struct http_request *request,
                         struct http_answer *answer)
{
    struct world *world = context;
    answer->status = 200;
    answer->content_type = "text/plain";
    if (strcmp(request->path, "/later") == 0) {
        world->later = http_request_later(request);
        pthread_create(&world->answerer, NULL, answer_later, world);
    } else if (strcmp(request->path, "/again") == 0 && !world->was_asked) {
        world->was_asked = true;
        world->later = http_request_later(request);
        pthread_create(&world->answerer, NULL, again_later, world);
    } else if (strcmp(request->path, "/stream") == 0) {
        answer->stream = &world_stream_ops;
        answer->stream_context = world;
        answer->ret_stream = &world->stream;
    } else if (strcmp(request->path, "/query") == 0) {
        http_request_each_query(request, count_query, &answer->body);
        const char *header = http_request_header(request, "x-test");
        http_answer_header(answer, "X-Request-Id", header != NULL ? header : "none");
    } else {
        buffer_printf(&answer->body, "%s %s %zu %s", request->method, request->path,
                      request->body_length, request->body);
    }
}

static int world_begin(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    struct http_server_settings settings = {.listen = "127.0.0.1:0",
                                            .threads = 2,
                                            .connections_most = 20,
                                            .body_most_bytes = BODY_MOST,
                                            .idle_timeout_ms = 5000};
    struct http_client_settings client = {.agent = "test"};
    struct error err;
    pthread_mutex_init(&world->mutex, NULL);
    pthread_cond_init(&world->changed, NULL);
    assert_true(http_server_open(&settings, world_handle, world, &world->server, &err));
    world->client = http_client_new(&client);
    *state = world;
    return 0;
}

static int world_end(void **state)
{
    struct world *world = *state;
    http_client_free(world->client);
    assert_true(http_server_close(world->server, 1000));
    pthread_cond_destroy(&world->changed);
    pthread_mutex_destroy(&world->mutex);
    free(world);
    return 0;
}

static void world_call(struct world *world, const char *method, const char *path, const char *body,
                       struct http_reply *ret_reply)
{
    char url[256];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", http_server_port(world->server), path);
    static const char *const headers[] = {"X-Test: yes"};
    struct http_call call = {.method = method,
                             .url = url,
                             .headers = headers,
                             .header_count = 1,
                             .body = body,
                             .body_length = body != NULL ? strlen(body) : 0};
    struct error err = {0};
    if (!http_client_call(world->client, &call, ret_reply, &err))
        fail_msg("%s", err.text);
}

/* Sends raw text and reads what comes until the server closes. */
static void world_raw(struct world *world, const char *text, char *ret_answer, size_t size)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)http_server_port(world->server)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    size_t length = 0;
    ssize_t count;
    while (length < size - 1 && (count = read(fd, ret_answer + length, size - 1 - length)) > 0)
        length += (size_t)count;
    ret_answer[length] = '\0';
    close(fd);
}

static void a_request_reaches_the_handler_whole(void **state)
{
    CLEANUP(http_reply_fini) struct http_reply reply = {0};
    world_call(*state, "PATCH", "/a%20b%2e", "{\"x\":1}", &reply);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.body.data, "PATCH /a b. 7 {\"x\":1}");
    assert_string_equal(reply.content_type, "text/plain");
}

static void query_parameters_and_headers_are_read(void **state)
{
    CLEANUP(http_reply_fini) struct http_reply reply = {0};
    world_call(*state, "GET", "/query?a=1%262&b&c=x+y%00z", NULL, &reply);
    assert_string_equal(reply.body.data, "a=1&2;b=;c=x y%00z;");
    assert_string_equal(reply.request_id, "yes");
}

static void a_long_body_is_refused_and_the_connection_lives_on(void **state)
{
    char *body = calloc(1, BODY_MOST * 3 + 1);
    memset(body, 'x', BODY_MOST * 3);
    CLEANUP(http_reply_fini) struct http_reply reply = {0};
    world_call(*state, "POST", "/", body, &reply);
    assert_int_equal(reply.status, 413);
    assert_non_null(strstr(reply.body.data, "\"code\":\"too_large\""));
    assert_string_equal(reply.content_type, "application/problem+json");
    body[BODY_MOST] = '\0';
    world_call(*state, "POST", "/", body, &reply);
    assert_int_equal(reply.status, 200);
    free(body);
}

static void a_hopeless_body_is_refused_before_it_comes(void **state)
{
    char answer[2048];
    world_raw(*state, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999\r\n\r\n", answer,
              sizeof(answer));
    assert_non_null(strstr(answer, "413"));
}

static void separators_of_paths_stay_encoded(void **state)
{
    CLEANUP(http_reply_fini) struct http_reply reply = {0};
    world_call(*state, "GET", "/a%2fb%2Fc%25/d%20?x=%2F%25", NULL, &reply);
    assert_string_equal(reply.body.data, "GET /a%2fb%2Fc%25/d  0 ");
    world_call(*state, "GET", "/query?/a=%2F%25", NULL, &reply);
    assert_string_equal(reply.body.data, "/a=/%;");
    char part[] = "a%2fb%2Fc%25%zz%";
    http_path_decode(part);
    assert_string_equal(part, "a/b/c%%zz%");
}

static void paths_that_climb_are_refused(void **state)
{
    char answer[2048];
    world_raw(*state, "GET /a/%2e%2e/b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", answer,
              sizeof(answer));
    assert_non_null(strstr(answer, "400"));
    world_raw(*state, "GET /a/..b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", answer,
              sizeof(answer));
    assert_non_null(strstr(answer, "200"));
}

static void headers_without_end_are_cut_off(void **state)
{
    char *text = calloc(1, 40000);
    strcpy(text, "GET / HTTP/1.1\r\nHost: x\r\nX-Long: ");
    memset(text + strlen(text), 'y', 30000);
    strcat(text, "\r\n\r\n");
    char answer[2048];
    world_raw(*state, text, answer, sizeof(answer));
    assert_true(strstr(answer, "431") != NULL || strstr(answer, "414") != NULL ||
                answer[0] == '\0');
    free(text);
}

static void head_answers_without_a_body(void **state)
{
    CLEANUP(http_reply_fini) struct http_reply reply = {0};
    world_call(*state, "HEAD", "/", NULL, &reply);
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.body.length, 0);
}

static void an_answer_may_come_later_from_another_thread(void **state)
{
    struct world *world = *state;
    CLEANUP(http_reply_fini) struct http_reply reply = {0};
    for (int i = 0; i < 50; i++) {
        world_call(world, "GET", "/later", NULL, &reply);
        pthread_join(world->answerer, NULL);
        assert_string_equal(reply.body.data, "later");
    }
}

static void a_request_may_be_handled_again_with_its_body(void **state)
{
    struct world *world = *state;
    CLEANUP(http_reply_fini) struct http_reply reply = {0};
    for (int i = 0; i < 50; i++) {
        world->was_asked = false;
        world_call(world, "POST", "/again", "body", &reply);
        pthread_join(world->answerer, NULL);
        assert_string_equal(reply.body.data, "POST /again 4 body");
    }
}

struct listener {
    struct world *world;
    struct buffer heard;
    unsigned count;
};

static void world_say(struct world *world, const char *text)
{
    pthread_mutex_lock(&world->mutex);
    strcpy(world->pending, text);
    struct http_stream *stream = world->stream;
    if (stream != NULL)
        http_stream_wake(stream);
    pthread_mutex_unlock(&world->mutex);
}

static bool listener_hear(void *context, const char *data, size_t length)
{
    struct listener *listener = context;
    buffer_append(&listener->heard, data, length);
    listener->count++;
    if (listener->count < 3)
        world_say(listener->world, listener->count == 1 ? "two " : "three ");
    return listener->count < 3;
}

static void a_stream_sleeps_until_it_is_woken(void **state)
{
    struct world *world = *state;
    struct listener listener = {.world = world};
    char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/stream", http_server_port(world->server));
    struct http_call call = {.method = "GET", .url = url};
    CLEANUP(http_reply_fini) struct http_reply reply = {0};
    struct error err = {0};
    strcpy(world->pending, "one ");
    assert_true(http_client_stream(world->client, &call, listener_hear, &listener, &reply, &err));
    assert_true(reply.stopped);
    assert_string_equal(listener.heard.data, "one two three ");
    buffer_fini(&listener.heard);
}

static void *close_server(void *context)
{
    struct world *world = context;
    pthread_mutex_lock(&world->mutex);
    while (!world->stream_began)
        pthread_cond_wait(&world->changed, &world->mutex);
    pthread_mutex_unlock(&world->mutex);
    assert_true(http_server_close(world->server, 30000));
    return NULL;
}

static bool hear_nothing(void *context, const char *data, size_t length)
{
    return true;
}

static void closing_the_server_ends_its_streams(void **state)
{
    struct world *world = *state;
    char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/stream", http_server_port(world->server));
    struct http_call call = {.method = "GET", .url = url};
    CLEANUP(http_reply_fini) struct http_reply reply = {0};
    struct error err = {0};
    pthread_t closer;
    pthread_create(&closer, NULL, close_server, world);
    assert_true(http_client_stream(world->client, &call, hear_nothing, NULL, &reply, &err));
    pthread_join(closer, NULL);
    assert_true(world->stream_closed);
    struct http_call again = {.method = "GET", .url = url};
    assert_false(http_client_call(world->client, &again, &reply, &err));
    assert_ptr_equal(err.fault, &FAULT_UNAVAILABLE);
    world->server = NULL;
}

static void only_loopback_addresses_count_as_loopback(void **state)
{
    assert_true(http_server_is_loopback("127.0.0.1:7000"));
    assert_true(http_server_is_loopback("127.9.9.9:1"));
    assert_true(http_server_is_loopback("localhost:7000"));
    assert_true(http_server_is_loopback("[::1]:7000"));
    assert_true(http_server_is_loopback("[::ffff:127.0.0.1]:7000"));
    assert_false(http_server_is_loopback("0.0.0.0:7000"));
    assert_false(http_server_is_loopback("[::]:7000"));
    assert_false(http_server_is_loopback("192.168.1.1:7000"));
    assert_false(http_server_is_loopback("::1:7000"));
    assert_false(http_server_is_loopback("127.0.0.1"));
    assert_false(http_server_is_loopback(""));
}

static void an_address_in_use_is_told(void **state)
{
    struct world *world = *state;
    char listen[32];
    snprintf(listen, sizeof(listen), "127.0.0.1:%u", http_server_port(world->server));
    struct http_server_settings settings = {
        .listen = listen, .connections_most = 1, .body_most_bytes = 1, .idle_timeout_ms = 1000};
    struct http_server *other = NULL;
    struct error err = {0};
    assert_false(http_server_open(&settings, world_handle, world, &other, &err));
    assert_non_null(strstr(err.text, listen));
}

static void answers_beyond_the_bound_are_refused_by_the_client(void **state)
{
    struct world *world = *state;
    char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/abcdef", http_server_port(world->server));
    struct http_call call = {.method = "GET", .url = url, .answer_most = 5};
    CLEANUP(http_reply_fini) struct http_reply reply = {0};
    struct error err = {0};
    assert_false(http_client_call(world->client, &call, &reply, &err));
    assert_ptr_equal(err.fault, &FAULT_TOO_LARGE);
}

static void the_client_speaks_http_only(void **state)
{
    struct world *world = *state;
    struct http_call call = {.method = "GET", .url = "file:///etc/passwd"};
    CLEANUP(http_reply_fini) struct http_reply reply = {0};
    struct error err = {0};
    assert_false(http_client_call(world->client, &call, &reply, &err));
    assert_ptr_equal(err.fault, &FAULT_INVALID);
}

static bool allow_none(void *context, const struct sockaddr *address)
{
    unsigned *asked = context;
    ++*asked;
    assert_int_equal(address->sa_family, AF_INET);
    assert_int_equal(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr,
                     htonl(INADDR_LOOPBACK));
    return false;
}

static void an_address_may_be_refused_when_it_is_connected_to(void **state)
{
    struct world *world = *state;
    unsigned asked = 0;
    struct http_client_settings settings = {.allow_address = allow_none, .allow_context = &asked};
    struct http_client *client = http_client_new(&settings);
    char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/?secret", http_server_port(world->server));
    struct http_call call = {.method = "GET", .url = url};
    CLEANUP(http_reply_fini) struct http_reply reply = {0};
    struct error err = {0};
    assert_false(http_client_call(client, &call, &reply, &err));
    assert_ptr_equal(err.fault, &FAULT_DENIED);
    assert_null(strstr(err.text, "secret"));
    assert_int_equal(asked, 1);
    http_client_free(client);
}

#define WORLD_TEST(function) cmocka_unit_test_setup_teardown(function, world_begin, world_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_request_reaches_the_handler_whole),
        WORLD_TEST(query_parameters_and_headers_are_read),
        WORLD_TEST(a_long_body_is_refused_and_the_connection_lives_on),
        WORLD_TEST(a_hopeless_body_is_refused_before_it_comes),
        WORLD_TEST(separators_of_paths_stay_encoded),
        WORLD_TEST(paths_that_climb_are_refused),
        WORLD_TEST(headers_without_end_are_cut_off),
        WORLD_TEST(head_answers_without_a_body),
        WORLD_TEST(an_answer_may_come_later_from_another_thread),
        WORLD_TEST(a_request_may_be_handled_again_with_its_body),
        WORLD_TEST(a_stream_sleeps_until_it_is_woken),
        WORLD_TEST(closing_the_server_ends_its_streams),
        cmocka_unit_test(only_loopback_addresses_count_as_loopback),
        WORLD_TEST(an_address_in_use_is_told),
        WORLD_TEST(answers_beyond_the_bound_are_refused_by_the_client),
        WORLD_TEST(the_client_speaks_http_only),
        WORLD_TEST(an_address_may_be_refused_when_it_is_connected_to),
    };
    http_client_library_begin();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    http_client_library_end();
    return failed;
}
