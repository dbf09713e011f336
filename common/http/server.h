/* SPDX-License-Identifier: Apache-2.0
 *
 * An HTTP server on libmicrohttpd (epoll, a small pool of threads, bounded memory a connection and
 * bounded bodies). Knows nothing of routes: each whole request is handed to one handler, which fills
 * one answer. guts-api serves its API with it; the other daemons their /healthz, /readyz, /metrics.
 *
 * Threads: the handler runs in any thread of the pool, several at once; one request is one thread's.
 */
#ifndef GUTS_COMMON_HTTP_SERVER_H
#define GUTS_COMMON_HTTP_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/memory.h"
#include "common/conf/conf.h"

struct http_server_settings {
    const char *listen; /* "127.0.0.1:7000", "[::]:7000" */
    int64_t threads;
    int64_t connections_most;
    uint64_t body_most_bytes; /* a longer body is answered with 413 */
    uint64_t idle_timeout_ms;
    const char *tls_certificate; /* "": plain HTTP */
    const char *tls_key;
};
extern const struct conf_key http_server_conf_keys[];
extern const size_t http_server_conf_key_count;

struct http_request {
    const char *method;
    /* Decoded, without query; no NUL, no ".." component. "%2F" and "%25" stay as they are written: a
     * "/" of a name separates nothing. http_path_decode undoes them in what was cut out. */
    const char *path;
    const char *body; /* NUL-terminated; "" when there is none */
    size_t body_length;
    struct arena *arena; /* the unit of work: freed when the answer has gone */
    unsigned thread;     /* 0 … threads − 1: handlers keep one database connection for each */
    void *connection;    /* of the server */
};
/* NULL when absent. Names of headers are compared without case. */
const char *http_request_header(const struct http_request *request, const char *name);
const char *http_request_query(const struct http_request *request, const char *name);
/* Calls visit for each query parameter until it returns false. */
void http_request_each_query(const struct http_request *request,
                             bool (*visit)(void *context, const char *name, const char *value),
                             void *context);

void http_path_decode(char *part); /* in place */

#define HTTP_HEADERS_MOST 8
/* A stream is asked again and again for its next bytes, from the pool's threads; it must not block.
 * It returns the number of bytes written into `into`, 0 for "nothing now: suspend me until
 * http_stream_wake", or −1 for the end. */
struct http_stream;
struct http_stream_ops {
    int64_t (*read)(void *context, char *into, size_t most);
    void (*close)(void *context);
};
struct http_answer {
    unsigned status;
    const char *content_type; /* constant */
    struct buffer body;       /* taken over by the server; empty when the handler is called */
    struct {
        const char *name;
        const char *value; /* in the request's arena */
    } headers[HTTP_HEADERS_MOST];
    size_t header_count;
    const struct http_stream_ops *stream; /* when not NULL, the body comes from it */
    void *stream_context;
    struct http_stream **ret_stream; /* where the handle of the stream is stored, for the wakes */
};
void http_answer_header(struct http_answer *answer, const char *name, const char *value);

typedef void http_handler(void *context, const struct http_request *request,
                          struct http_answer *answer);

/* Called by a handler that will answer later, from any thread; what it leaves in `answer` is then
 * ignored. The connection waits without a thread. The request lives until http_later_answer, which
 * must be called exactly once and takes over the answer's body, or until http_later_again. */
struct http_later;
struct http_later *http_request_later(const struct http_request *request);
void http_later_answer(struct http_later *later, const struct http_answer *answer);
/* Instead of an answer: the handler is called once more with the same request, in its own thread. */
void http_later_again(struct http_later *later);

struct http_server;
bool http_server_open(const struct http_server_settings *settings, http_handler *handler,
                      void *context, struct http_server **ret_server, struct error *err) MUST_CHECK;
/* Stops accepting, ends streams, waits for handlers (at most grace_ms), closes. False: a handler is
 * still at work; the server's memory then stays, and so must the handler's until the process ends. */
bool http_server_close(struct http_server *server, uint64_t grace_ms);
unsigned http_server_port(const struct http_server *server); /* useful where it was given as 0 */
bool http_server_is_loopback(const char *listen);
/* Safe from any thread until the stream's `close` was called. */
void http_stream_wake(struct http_stream *stream);

#endif
