/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside libguts: the session, and how errors of base become those of the library. Threads: as guts.h.
 */
#ifndef GUTS_CLIENT_LIB_SESSION_H
#define GUTS_CLIENT_LIB_SESSION_H

#include "client/lib/guts.h"
#include "common/base/memory.h"
#include "common/base/secret.h"
#include "common/http/client.h"

#define GUTS_HEADERS_MOST 6
struct guts {
    struct http_client *client;
    char *url;            /* without a slash at its end */
    struct secret *token; /* "Authorization: Bearer …", or NULL */
    uint64_t timeout_ms;
    const volatile int *stop;
    bool following;
    const char *(*renew_token)(void *context);
    void *renew_context;
};

/* Always returns false. */
bool guts_fail(struct guts_error *err, const struct error *reason);
bool guts_fail_text(struct guts_error *err, const struct fault *fault, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* Fills err from an answer that is a problem body, or from its status alone. */
bool guts_fail_answer(struct guts_error *err, unsigned status, const char *body, size_t length);
/* The headers that go with each request; returns their count. */
size_t guts_headers(const struct guts *guts, const char *headers[GUTS_HEADERS_MOST]);

/* Whether there is another token now that this one was refused; false, too, for any other status. */
bool guts_renew(struct guts *guts, unsigned status);

#endif
