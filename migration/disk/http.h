/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes over HTTP and HTTPS: a disk that reads by ranges over several connections, with read-ahead and
 * retries, and an upload (PUT) that takes bytes as they come. Knows no format: see disk_vmdk_open_over.
 * Redirects are not followed, for they would leave the addresses that the caller checked; certificates
 * are verified unless somebody said "insecure"; headers are never logged.
 *
 * Threads: the disk as disk.h; an upload is fed by one thread at a time. curl_global_init must have
 * been called, or nothing else in the process uses libcurl.
 */
#ifndef GUTS_MIGRATION_DISK_HTTP_H
#define GUTS_MIGRATION_DISK_HTTP_H

#include <sys/socket.h>

#include "migration/disk/disk.h"

/* What a peer said, for who has to tell one refusal from another (an expired token from a full store). */
#define HTTP_ANSWER_SIZE 256
struct http_answer {
    long status; /* 0: nothing */
    size_t length;
    char body[HTTP_ANSWER_SIZE]; /* its beginning as one line of printable text */
};
struct http_plan {
    const char *url; /* in errors without its user and query */
    /* Asked with the address of every connection before it is made, so that a name that leads elsewhere
     * by now gains nothing; from several threads. NULL: all may be connected to. With it no proxy is used,
     * for that would connect in our place. FAULT_ADDRESS_NOT_ALLOWED. */
    bool (*may_connect)(void *context, const struct sockaddr *address);
    void *may_connect_context; /* outlives the disk or upload */
    const char *const
        *headers;        /* "Name: value", copied and wiped at the end; NULL-terminated or NULL */
    const char *ca_file; /* NULL: the system's */
    const char *cert, *key; /* of the client, PEM files; NULL: none */
    bool insecure;          /* certificates are not checked: somebody said so in these words */
    unsigned connections;   /* of a disk; 0: 4 */
    uint64_t
        memory_bytes; /* that a disk or an upload holds (disk_held_bytes) about; 0: 9, 4, 2.5 MiB */
    unsigned retries; /* of one range; 0: 5 */
    unsigned idle_seconds;   /* less than 100 bytes a second for so long breaks a request; 0: 30 */
    unsigned answer_seconds; /* an upload's answer may take so long when all was sent; 0: 600 */
    /* Of disk_http_pull_open, when a request is refused (401, 403): the headers to go on with, borrowed until the
     * next call; NULL: there are none. Called by the thread that reads. */
    const char *const *(*renew)(void *context);
    void *renew_context;
    struct http_answer *answer; /* of an upload: filled before a call fails; NULL: not wanted */
};
/* A disk over the bytes at the URL. The server must serve ranges (FAULT_UNSUPPORTED else); what it says
 * of the thing (ETag or Last-Modified) is held against every answer: FAULT_SOURCE_CHANGED. */
bool disk_http_open(const struct http_plan *plan, struct disk **ret_disk,
                    struct error *err) MUST_CHECK;

/* The same over at most two long requests at once, for servers to which each request is dear. Meant to be read
 * upwards (it says so), tables and data in turns; a jump is allowed, and begins a request. */
bool disk_http_pull_open(const struct http_plan *plan, struct disk **ret_disk,
                         struct error *err) MUST_CHECK;

/* The same bytes read once, from their beginning on, by one GET: for servers without ranges. Sequential, as
 * long as its Content-Length says (FAULT_UNSUPPORTED: it says nothing). What breaks is gone on with by a range
 * where the server serves them, else read again and skipped, if an ETag says that it is the same thing. */
bool disk_http_open_once(const struct http_plan *plan, struct disk **ret_disk,
                         struct error *err) MUST_CHECK;

/* PUT with a Content-Length (every stream here has one: see stream.h), the body pushed piece by piece from
 * the caller's thread. As a sink: struct disk_sink {http_upload_write_sink, upload, http_upload_interrupt_sink}.
 *
 * A peer that answers before the end breaks the upload at once: the next write fails with the status and
 * the beginning of the answer's body in the text, so that a copy into it ends. An upload cannot be resumed:
 * begin another. FAULT_DENIED 401, 403; _NOT_FOUND 404, 410; _CONFLICT 409; _NO_SPACE 413, 507; _UNAVAILABLE
 * 429 and 5xx; _TIMEOUT: took no byte for idle_seconds; _IO others. */
struct http_upload;
/* What an upload of that plan holds, for its sink. */
uint64_t http_upload_held_bytes(const struct http_plan *plan);
bool http_upload_begin(const struct http_plan *plan, uint64_t length_bytes,
                       struct http_upload **ret_upload, struct error *err) MUST_CHECK;
/* Waits while the peer is slower. An upload that broke is an error here. */
bool http_upload_write(struct http_upload *upload, const void *data, size_t length,
                       struct error *err) MUST_CHECK;
bool http_upload_write_sink(void *upload, const void *data, size_t length,
                            struct error *err) MUST_CHECK;
/* From any thread: a write that waits, and the upload, end soon with an error. */
void http_upload_interrupt(struct http_upload *upload);
void http_upload_interrupt_sink(void *upload);
/* Waits for the answer and frees; fewer bytes than announced (then it waits for nothing), or an answer but
 * 2xx, is an error. FAULT_UNCERTAIN: all was sent, and no answer came. */
bool http_upload_end(struct http_upload *upload, struct error *err) MUST_CHECK;

#endif
