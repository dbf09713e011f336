/* SPDX-License-Identifier: Apache-2.0
 *
 * A session with one cloud: Keystone's token (renewed before its end, and after a 401), the
 * catalogue by service, region and interface, and calls that answer with JSON or with a fault.
 *
 * An answer that is not 2xx is an error: FAULT_NOT_FOUND (404, 410), FAULT_CONFLICT (409),
 * FAULT_QUOTA_EXCEEDED (a quota, whatever the service's way to say it), FAULT_OVER_LIMIT (429, 413 with
 * Retry-After, after bounded waits), FAULT_DENIED (401, 403), FAULT_INVALID (400 and other 4xx),
 * FAULT_UNAVAILABLE (5xx), FAULT_UNCERTAIN (a POST or PATCH that broke, or was answered with a 5xx).
 * What the cloud said and its request id stand in the text. Only what cannot do harm is sent again.
 *
 * Knows nothing of migrations. Threads: a session belongs to one thread at a time.
 */
#ifndef GUTS_COMMON_OPENSTACK_SESSION_H
#define GUTS_COMMON_OPENSTACK_SESSION_H

#include <jansson.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/memory.h"
#include "common/openstack/cloud.h"

struct sockaddr;
struct openstack_settings {
    const struct cloud *cloud; /* outlives the session */
    const char *agent;         /* User-Agent */
    /* Asked about auth_url and each endpoint of the catalogue before its first use, and about each address
     * before it is connected to. NULL: all are fine. */
    bool (*allow_url)(void *context, const char *url, struct error *err);
    bool (*allow_address)(void *context, const char *url, const struct sockaddr *address);
    void *allow_context;
    /* Asked at least once a second while something is waited for; false ends it with err. */
    bool (*go_on)(void *context, struct error *err);
    void *go_on_context;
    /* Asked right before each sending of a call that changes something, for it may be sent again long
     * after its caller asked whether it may; false ends it with err. NULL: it may. */
    bool (*may_change)(void *context, struct error *err);
    void *may_change_context;
    uint64_t call_timeout_ms;  /* of one call; 0: 60 s */
    uint64_t retry_timeout_ms; /* all waits of one call together; 0: 120 s */
};

struct openstack_session;
/* Checks the cloud's values; speaks with nobody yet. */
bool openstack_open(const struct openstack_settings *settings,
                    struct openstack_session **ret_session, struct error *err) MUST_CHECK;
void openstack_close(struct openstack_session *session);
void openstack_closep(struct openstack_session **session);

/* -- the token ---------------------------------------------------------------------------------- */
/* A token that is good for so long still, as far as Keystone gives such; borrowed until the next
 * call. */
bool openstack_token(struct openstack_session *session, uint64_t valid_ms, const char **ret_token,
                     struct error *err) MUST_CHECK;
/* The next call authenticates anew. */
void openstack_forget_token(struct openstack_session *session);
/* Of the token; NULL: it has none (call openstack_token first). */
const char *openstack_project_id(const struct openstack_session *session);

/* -- services ------------------------------------------------------------------------------------- */
/* By type: "identity", "image", "compute", "network", "volume" (also "block-storage", "volumev3"),
 * "placement" or any other. */
bool openstack_has(struct openstack_session *session, const char *service, bool *ret_has,
                   struct error *err) MUST_CHECK;
/* The endpoint with its version ("http://nova:8774/v2.1"), without a slash behind it; found by discovery
 * where the catalogue's lacks it. Lives as long as the session. FAULT_NOT_FOUND: no such service. */
bool openstack_endpoint(struct openstack_session *session, const char *service,
                        const char **ret_url, struct error *err) MUST_CHECK;

/* -- calls ------------------------------------------------------------------------------------------ */
#define OPENSTACK_HEADERS_MOST 8
struct openstack_call {
    const char *method;
    const char *service;
    const char *path;           /* behind the version: "/servers/detail?limit=1" */
    const char *microversion;   /* "2.79"; NULL: the service's own */
    const char *const *headers; /* "Name: value"; at most OPENSTACK_HEADERS_MOST */
    size_t header_count;
    const json_t *body;       /* borrowed; NULL: none */
    const char *content_type; /* of the body; NULL: "application/json" */
    uint64_t timeout_ms;      /* 0: the session's */
    bool once;                /* waits for no limit to pass and repeats nothing but for a 401 */
};
struct openstack_reply {
    unsigned status;
    json_t *json; /* NULL: the answer had no body, or none of JSON */
    char request_id[64];
};
void openstack_reply_fini(struct openstack_reply *reply);
/* ret_reply must be zeroed or used before; what it held is freed. NULL: nobody wants it. */
bool openstack_call(struct openstack_session *session, const struct openstack_call *call,
                    struct openstack_reply *ret_reply, struct error *err) MUST_CHECK;
/* GET of an object: the member `name` of the answer, or all of it (NULL); a new reference. */
bool openstack_get(struct openstack_session *session, const char *service, const char *path,
                   const char *microversion, const char *name, json_t **ret_json,
                   struct error *err) MUST_CHECK;
/* Calls take for each member of the list `name`, page after page; at most OPENSTACK_ITEMS_MOST
 * (FAULT_TOO_LARGE). False from take ends it with its err. */
#define OPENSTACK_ITEMS_MOST 200000u
typedef bool openstack_take(void *context, const json_t *item, struct error *err);
bool openstack_each(struct openstack_session *session, const char *service, const char *path,
                    const char *microversion, const char *name, openstack_take *take, void *context,
                    struct error *err) MUST_CHECK;

/* -- for uploads, which speak HTTP by themselves ---------------------------------------------------- */
/* Asks the settings' allow_address for an address that `url` leads to. */
bool openstack_allows(const struct openstack_session *session, const char *url,
                      const struct sockaddr *address);
/* Text as one part of a path or the value of a query. */
char *openstack_escape(struct arena *arena, const char *text);

#endif
