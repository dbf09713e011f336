/* SPDX-License-Identifier: Apache-2.0
 *
 * A small, bounded HTTP client on libcurl: for the command line and for drivers. Only http and https;
 * no redirects unless asked; no proxy unless set; certificates are checked unless somebody said
 * "insecure" in so many words; headers are never logged. Bodies
 * of answers are bounded; streams (server-sent events, downloads) go to a sink piece by piece.
 *
 * Errors: FAULT_INVALID (the URL), FAULT_UNAVAILABLE (not connected, so surely not done),
 * FAULT_TIMEOUT, FAULT_IO (a GET or HEAD that broke), FAULT_UNCERTAIN (any other method was sent and no
 * answer came), FAULT_TOO_LARGE, FAULT_CANCELLED. An answer with any status is no error.
 *
 * client.c is the one file that includes curl.h here. Threads: a client belongs to one thread at a
 * time and keeps its connections open between calls.
 */
#ifndef GUTS_COMMON_HTTP_CLIENT_H
#define GUTS_COMMON_HTTP_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/memory.h"

struct sockaddr;
struct http_client_settings {
    const char *agent;       /* User-Agent; NULL: none */
    const char *ca;          /* PEM file; NULL or "": the system's */
    const char *certificate; /* of the client, PEM; NULL or "": none */
    const char *key;
    const char *proxy;           /* NULL or "": none, whatever the environment says */
    uint64_t connect_timeout_ms; /* 0: 10 s */
    /* Asked about each address before it is connected to, whatever a name leads to by then; false
     * refuses it (FAULT_DENIED when none is left). NULL: all are fine. Not asked about a proxy's. */
    bool (*allow_address)(void *context, const struct sockaddr *address);
    void *allow_context;
    bool insecure;               /* certificates are not checked: somebody wants it so */
    uint64_t silence_timeout_ms; /* less than a byte a second for so long breaks it; 0: 60 s */
};

struct http_call {
    const char *method; /* "GET" … */
    const char *url;
    const char *const *headers; /* "Name: value" */
    size_t header_count;
    const void *body;
    size_t body_length;
    size_t answer_most;        /* bytes of the answer's body; 0: 16 MiB */
    uint64_t total_timeout_ms; /* 0: none beside silence_timeout_ms */
    unsigned
        redirects_most; /* 0: none. Headers of ours go along: give it only for what has none. */
    const char *want_header; /* of the answer, given in full; NULL: none */
    /* Asked at least once a second while the call runs; false ends it (FAULT_CANCELLED). May be NULL. */
    bool (*go_on)(void *context);
    void *go_on_context;
};

struct http_reply {
    unsigned status;
    struct buffer body; /* of a streamed call: only that of an answer that is not 2xx */
    char content_type[128];
    char location[1024];
    char request_id[64];
    unsigned retry_after_s; /* 0: not said */
    struct buffer wanted;   /* the header that was wanted; wiped at the end */
    bool stopped;           /* by the sink */
};
void http_reply_fini(struct http_reply *reply);

void http_client_library_begin(void); /* once a process, before its threads */
void http_client_library_end(void);

struct http_client;
struct http_client *http_client_new(const struct http_client_settings *settings); /* copied */
void http_client_free(struct http_client *client);
void http_client_freep(struct http_client **client);

/* ret_reply must be zeroed or used before; what it held is freed. */
bool http_client_call(struct http_client *client, const struct http_call *call,
                      struct http_reply *ret_reply, struct error *err) MUST_CHECK;
/* Hands the body of a 2xx answer to the sink as it comes; false from the sink ends the call well. */
typedef bool http_client_sink(void *context, const char *data, size_t length);
bool http_client_stream(struct http_client *client, const struct http_call *call,
                        http_client_sink *sink, void *context, struct http_reply *ret_reply,
                        struct error *err) MUST_CHECK;

#endif
