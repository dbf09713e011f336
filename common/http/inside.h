/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the HTTP server share among themselves: the server, one exchange (a request with
 * its answer) and the streams. Nobody outside this folder includes it.
 *
 * Threads: an exchange belongs to the pool's thread that serves its connection, or, after
 * http_request_later, to whoever holds it; the server's counters are atomic.
 */
#ifndef GUTS_COMMON_HTTP_INSIDE_H
#define GUTS_COMMON_HTTP_INSIDE_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "common/http/server.h"

struct exchange;

/* Of one thread of the pool: exchanges to be used again. */
struct http_thread {
    struct exchange *spare;
    unsigned spare_count;
};

struct http_server {
    struct MHD_Daemon *daemon;
    http_handler *handler;
    void *context;
    uint64_t body_most_bytes;
    unsigned port;
    unsigned thread_count;
    struct http_thread *threads;
    atomic_uint thread_next;
    atomic_bool ending;
    atomic_uint exchanges; /* requests begun and not yet answered wholly */
    atomic_uint busy;      /* handlers at work and answers still to come */
    pthread_mutex_t streams_mutex;
    struct http_stream *streams;
};

/* listen.c */
int listen_open(const char *listen, unsigned *ret_port, struct error *err) MUST_CHECK;

/* exchange.c: what MHD calls. */
enum MHD_Result exchange_serve(void *context, struct MHD_Connection *connection, const char *url,
                               const char *method, const char *version, const char *upload,
                               size_t *upload_length, void **ret_exchange);
void exchange_completed(void *context, struct MHD_Connection *connection, void **ret_exchange,
                        enum MHD_RequestTerminationCode how);
void *exchange_note_uri(void *context, const char *uri, struct MHD_Connection *connection);
size_t exchange_unescape(void *context, struct MHD_Connection *connection, char *text);
void exchange_free_spares(struct http_server *server);

/* stream.c */
struct MHD_Response *stream_response(struct http_server *server, struct MHD_Connection *connection,
                                     const struct http_answer *answer);
void stream_wake_all(struct http_server *server);
bool stream_any(struct http_server *server);

#endif
