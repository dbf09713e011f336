/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by http*.c: curl handles set up as this room wants them, the heads of answers, and one
 * connection that fetches ranges (http_fetch.c) for the disk over many (http.c).
 */
#ifndef GUTS_MIGRATION_DISK_HTTP_INNER_H
#define GUTS_MIGRATION_DISK_HTTP_INNER_H

#include "migration/disk/http.h"

struct curl_slist;

/* -- handles (http_curl.c) ------------------------------------------------------------------------ */
/* Who may be connected to, for one handle; refused says that somebody was not. */
struct http_gate {
    bool (*may_connect)(void *context, const struct sockaddr *address);
    void *context;
    bool refused;
};
/* A CURL handle with its time-outs, protocols, certificates and gate (which outlives it); aborts only
 * without memory. */
void *http_handle_new(const struct http_plan *plan, struct http_gate *gate);
/* What a handle holds to receive into, so long as its owner holds `ours` bytes beside it: at most 256 KiB. */
size_t http_buffer_bytes(uint64_t ours);
/* The plan's headers and `more` (NULL: none). */
struct curl_slist *http_headers_new(const struct http_plan *plan, const char *more);
void http_headers_free(struct curl_slist *headers); /* wipes */
/* A CURLcode as an error. */
bool http_fail(struct error *err, const char *url, int code, const char *words,
               const struct http_gate *gate);
/* An answer that is not what was wanted. */
bool http_status_fail(struct error *err, const char *url, long status);
/* The same with the words of the answer. */
bool http_answer_fail(struct error *err, const char *url, const struct http_answer *answer);
/* Adds what fits of a body. */
void http_answer_add(struct http_answer *answer, const char *data, size_t length);
/* The URL for people: without user, password and query. Heap. */
char *http_shown(const char *url);

/* -- heads of answers (http_head.c) --------------------------------------------------------------- */
#define HTTP_HEAD_MOST (64u << 10)
struct http_head {
    size_t bytes; /* of all lines */
    bool has_range;
    uint64_t first; /* of Content-Range: bytes first-last/total */
    uint64_t last;
    uint64_t total;
    bool has_length; /* Content-Length */
    uint64_t length;
    char etag[256];
    char modified[64];
};
/* Takes one line; false: the head is absurd and the request should end. A status line begins it anew. */
bool http_head_take(struct http_head *head, const char *line, size_t length);

/* -- ranges (http_fetch.c) ------------------------------------------------------------------------ */
/* What is read; told by the first answer and held against every other. */
struct http_thing {
    uint64_t size_bytes;
    char *validator; /* ETag or Last-Modified; NULL: the server gives none */
    bool is_etag;
    bool is_weak; /* an ETag to be compared, but not to be sent with If-Range */
};
/* Does the head of an answer speak of the thing? What named it at first has to name it again; only
 * Last-Modified may be left out where `guarded` by an If-Range, for which the server itself looked. */
bool http_thing_is(const struct http_thing *thing, const struct http_head *head, bool guarded);
bool http_probe(const struct http_plan *plan, struct http_thing *ret_thing,
                struct error *err) MUST_CHECK;

struct http_fetch;
/* `thing` outlives it. `goes_on` is asked while it waits. */
struct http_fetch *http_fetch_new(const struct http_plan *plan, const struct http_thing *thing,
                                  bool (*goes_on)(void *context), void *context);
void http_fetch_receive_into(struct http_fetch *fetch, size_t bytes);
void http_fetch_free(struct http_fetch *fetch);
/* Exactly length bytes; what breaks is asked for again from there. */
bool http_fetch_get(struct http_fetch *fetch, uint8_t *ret_data, size_t length, uint64_t offset,
                    struct error *err) MUST_CHECK;

#endif
