/* SPDX-License-Identifier: Apache-2.0
 *
 * One request and its answer, as MHD hands it over in pieces: headers, parts of the body, the end.
 * Exchanges are used again by their thread, so that the hot path allocates little.
 */
#include <assert.h>
#include <string.h>

#include "common/base/crashpoint.h"
#include "common/http/inside.h"

#define SPARES_MOST 64
#define SPARE_ARENA_MOST (128u << 10)
/* A body beyond the bound is read and thrown away up to this many times the bound, so that the
 * client reads our answer instead of a broken connection. */
#define DRAIN_FACTOR 16

enum exchange_state { EXCHANGE_RECEIVES, EXCHANGE_WAITS, EXCHANGE_AGAIN, EXCHANGE_ANSWERS };

struct exchange {
    struct http_server *server;
    struct MHD_Connection *connection;
    enum exchange_state state;
    const struct fault *refusal; /* decided before the handler was asked */
    uint64_t drained;
    struct buffer body;
    struct http_request request;
    struct http_answer answer;
    bool later; /* the handler asked for http_request_later */
    struct exchange *next;
};

static unsigned thread_index(struct http_server *server)
{
    static _Thread_local struct http_server *owner;
    static _Thread_local unsigned index;
    if (owner != server) {
        owner = server;
        index = atomic_fetch_add(&server->thread_next, 1) % server->thread_count;
    }
    return index;
}

static struct exchange *exchange_new(struct http_server *server, unsigned index)
{
    struct http_thread *thread = &server->threads[index];
    struct exchange *exchange = thread->spare;
    if (exchange != NULL) {
        thread->spare = exchange->next;
        thread->spare_count--;
        return exchange;
    }
    exchange = xcalloc(1, sizeof(*exchange));
    exchange->server = server;
    exchange->request.arena = arena_new();
    return exchange;
}

static void exchange_free(struct exchange *exchange)
{
    arena_free(exchange->request.arena);
    buffer_fini(&exchange->body);
    free(exchange);
}

static void exchange_recycle(struct exchange *exchange)
{
    struct http_thread *thread = &exchange->server->threads[exchange->request.thread];
    buffer_fini(&exchange->answer.body);
    if (thread->spare_count >= SPARES_MOST ||
        arena_bytes(exchange->request.arena) > SPARE_ARENA_MOST ||
        exchange->body.capacity > SPARE_ARENA_MOST) {
        exchange_free(exchange);
        return;
    }
    struct arena *arena = exchange->request.arena;
    struct buffer body = exchange->body;
    struct http_server *server = exchange->server;
    arena_reset(arena);
    buffer_clear(&body);
    *exchange = (struct exchange){.server = server, .body = body, .next = thread->spare};
    exchange->request.arena = arena;
    thread->spare = exchange;
    thread->spare_count++;
}

void exchange_free_spares(struct http_server *server)
{
    for (unsigned i = 0; i < server->thread_count; i++)
        while (server->threads[i].spare != NULL) {
            struct exchange *exchange = server->threads[i].spare;
            server->threads[i].spare = exchange->next;
            exchange_free(exchange);
        }
}

void http_answer_header(struct http_answer *answer, const char *name, const char *value)
{
    assert(answer->header_count < HTTP_HEADERS_MOST);
    answer->headers[answer->header_count].name = name;
    answer->headers[answer->header_count].value = value;
    answer->header_count++;
}

const char *http_request_header(const struct http_request *request, const char *name)
{
    struct exchange *exchange = request->connection;
    return MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, name);
}

const char *http_request_query(const struct http_request *request, const char *name)
{
    struct exchange *exchange = request->connection;
    return MHD_lookup_connection_value(exchange->connection, MHD_GET_ARGUMENT_KIND, name);
}

struct query_visit {
    bool (*visit)(void *context, const char *name, const char *value);
    void *context;
};

static enum MHD_Result query_visit_one(void *context, enum MHD_ValueKind kind, const char *name,
                                       const char *value)
{
    struct query_visit *visit = context;
    return visit->visit(visit->context, name, value != NULL ? value : "") ? MHD_YES : MHD_NO;
}

void http_request_each_query(const struct http_request *request,
                             bool (*visit)(void *context, const char *name, const char *value),
                             void *context)
{
    struct exchange *exchange = request->connection;
    struct query_visit one = {visit, context};
    MHD_get_connection_values(exchange->connection, MHD_GET_ARGUMENT_KIND, query_visit_one, &one);
}

struct http_later *http_request_later(const struct http_request *request)
{
    struct exchange *exchange = request->connection;
    exchange->later = true;
    exchange->state = EXCHANGE_WAITS;
    atomic_fetch_add(&exchange->server->busy, 1);
    MHD_suspend_connection(exchange->connection);
    return (struct http_later *)exchange;
}

void http_later_answer(struct http_later *later, const struct http_answer *answer)
{
    struct exchange *exchange = (struct exchange *)later;
    struct http_server *server = exchange->server;
    exchange->answer = *answer;
    exchange->state = EXCHANGE_ANSWERS;
    MHD_resume_connection(exchange->connection);
    atomic_fetch_sub(&server->busy, 1);
}

/* `later` stays set until the connection's own thread comes back: it may still be on its way out of
 * the handler. */
void http_later_again(struct http_later *later)
{
    struct exchange *exchange = (struct exchange *)later;
    struct http_server *server = exchange->server;
    exchange->state = EXCHANGE_AGAIN;
    MHD_resume_connection(exchange->connection);
    atomic_fetch_sub(&server->busy, 1);
}

/* The answer of the server itself, when no handler is asked: a problem body (RFC 9457). */
static void exchange_refuse(struct http_answer *answer, const struct fault *fault)
{
    answer->status = fault->http_status;
    answer->content_type = "application/problem+json";
    buffer_printf(&answer->body,
                  "{\"type\":\"urn:guts:fault:%s\",\"title\":\"%s\",\"status\":%u,\"code\":\"%s\"}",
                  fault->code, fault->title, fault->http_status, fault->code);
}

static enum MHD_Result exchange_send(struct exchange *exchange)
{
    const struct http_answer *answer = &exchange->answer;
    struct MHD_Response *response =
        answer->stream != NULL
            ? stream_response(exchange->server, exchange->connection, answer)
            : MHD_create_response_from_buffer(answer->body.length, answer->body.data,
                                              MHD_RESPMEM_PERSISTENT);
    if (response == NULL)
        return MHD_NO;
    if (answer->content_type != NULL)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->content_type);
    for (size_t i = 0; i < answer->header_count; i++)
        MHD_add_response_header(response, answer->headers[i].name, answer->headers[i].value);
    if (atomic_load_explicit(&exchange->server->ending, memory_order_relaxed))
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    crashpoint("before_http_answer");
    enum MHD_Result queued = MHD_queue_response(exchange->connection, answer->status, response);
    MHD_destroy_response(response);
    return queued;
}

static enum MHD_Result exchange_dispatch(struct exchange *exchange)
{
    struct http_server *server = exchange->server;
    struct http_answer answer = {.status = 500};
    if (exchange->refusal != NULL) {
        exchange_refuse(&answer, exchange->refusal);
    } else {
        exchange->request.body = exchange->body.length > 0 ? exchange->body.data : "";
        exchange->request.body_length = exchange->body.length;
        atomic_fetch_add(&server->busy, 1);
        server->handler(server->context, &exchange->request, &answer);
        atomic_fetch_sub(&server->busy, 1);
        if (exchange->later) {
            buffer_fini(&answer.body);
            return MHD_YES; /* the exchange may belong to another thread by now */
        }
    }
    exchange->answer = answer;
    exchange->state = EXCHANGE_ANSWERS;
    return exchange_send(exchange);
}

static bool path_is_sound(const char *path)
{
    if (path[0] != '/')
        return strcmp(path, "*") == 0;
    for (const char *at = path; at != NULL; at = strchr(at + 1, '/'))
        if (strncmp(at, "/..", 3) == 0 && (at[3] == '/' || at[3] == '\0'))
            return false;
    return true;
}

static bool body_is_hopeless(const struct exchange *exchange)
{
    const char *length = MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND,
                                                     MHD_HTTP_HEADER_CONTENT_LENGTH);
    return length != NULL &&
           strtoull(length, NULL, 10) > exchange->server->body_most_bytes * DRAIN_FACTOR;
}

static enum MHD_Result exchange_begin(struct http_server *server, struct MHD_Connection *connection,
                                      const char *url, const char *method, void **ret_exchange)
{
    unsigned index = thread_index(server);
    struct exchange *exchange = exchange_new(server, index);
    atomic_fetch_add_explicit(&server->exchanges, 1, memory_order_relaxed);
    *ret_exchange = exchange;
    exchange->connection = connection;
    exchange->request.method = method;
    exchange->request.path = url;
    exchange->request.thread = index;
    exchange->request.connection = exchange;
    if (!path_is_sound(url))
        exchange->refusal = &FAULT_INVALID;
    if (!body_is_hopeless(exchange))
        return MHD_YES;
    exchange->refusal = &FAULT_TOO_LARGE;
    return exchange_dispatch(exchange); /* answered before the body: MHD then closes */
}

static enum MHD_Result exchange_receive(struct exchange *exchange, const char *data, size_t length)
{
    uint64_t most = exchange->server->body_most_bytes;
    if (exchange->refusal == NULL && exchange->body.length + length <= most) {
        buffer_append(&exchange->body, data, length);
        return MHD_YES;
    }
    if (exchange->refusal == NULL)
        exchange->refusal = &FAULT_TOO_LARGE;
    exchange->drained += length;
    return exchange->drained <= most * DRAIN_FACTOR ? MHD_YES : MHD_NO;
}

enum MHD_Result exchange_serve(void *context, struct MHD_Connection *connection, const char *url,
                               const char *method, const char *version, const char *upload,
                               size_t *upload_length, void **ret_exchange)
{
    struct exchange *exchange = *ret_exchange;
    if (exchange == NULL)
        return exchange_begin(context, connection, url, method, ret_exchange);
    if (*upload_length > 0) {
        size_t length = *upload_length;
        *upload_length = 0;
        return exchange_receive(exchange, upload, length);
    }
    if (exchange->state == EXCHANGE_ANSWERS)
        return exchange_send(exchange);
    if (exchange->state == EXCHANGE_AGAIN) {
        exchange->state = EXCHANGE_RECEIVES;
        exchange->later = false;
    }
    return exchange_dispatch(exchange);
}

void exchange_completed(void *context, struct MHD_Connection *connection, void **ret_exchange,
                        enum MHD_RequestTerminationCode how)
{
    struct http_server *server = context;
    struct exchange *exchange = *ret_exchange;
    if (exchange == NULL)
        return;
    *ret_exchange = NULL;
    exchange_recycle(exchange);
    atomic_fetch_sub(&server->exchanges, 1);
}

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    digit = (char)(digit | 0x20);
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* The path that this thread is about to be asked to unescape; MHD tells it just before. */
static _Thread_local const char *path_to_come;

void *exchange_note_uri(void *context, const char *uri, struct MHD_Connection *connection)
{
    path_to_come = uri;
    return NULL;
}

static bool decodes_all(char byte)
{
    return byte != '\0';
}

static bool decodes_but_separators(char byte)
{
    return byte != '\0' && byte != '/' && byte != '%';
}

static size_t decode(char *text, bool (*wanted)(char byte))
{
    char *out = text;
    for (const char *in = text; *in != '\0'; in++) {
        int high = in[0] == '%' ? hex_value(in[1]) : -1;
        int low = high >= 0 ? hex_value(in[2]) : -1;
        if (low >= 0 && wanted((char)(high << 4 | low))) {
            *out++ = (char)(high << 4 | low);
            in += 2;
        } else {
            *out++ = *in;
        }
    }
    *out = '\0';
    return (size_t)(out - text);
}

/* Undoes %XX in place. What is malformed, and a NUL, stay as they are written. */
size_t exchange_unescape(void *context, struct MHD_Connection *connection, char *text)
{
    bool is_path = text == path_to_come;
    if (is_path)
        path_to_come = NULL;
    return decode(text, is_path ? decodes_but_separators : decodes_all);
}

void http_path_decode(char *part)
{
    decode(part, decodes_all);
}
