/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of this folder share: the session, its token (auth.c), the catalogue (catalogue.c), and
 * how answers become faults (answer.c). Threads: as session.h.
 */
#ifndef GUTS_COMMON_OPENSTACK_INSIDE_H
#define GUTS_COMMON_OPENSTACK_INSIDE_H

#include "common/http/client.h"
#include "common/openstack/session.h"

#define ENDPOINTS_MOST 64

struct endpoint {
    const char *type;
    const char *url;  /* with its version; NULL: not asked for yet */
    const char *base; /* as the catalogue has it */
};
struct openstack_session {
    struct openstack_settings settings;
    struct http_client *client;
    const char *asked_url; /* of the call under way: for allow_address */
    struct error stopped;  /* what go_on said */
    struct arena *arena;
    const char *identity_url; /* auth_url with /v3 */
    const char *tokens_url;

    struct secret *token;
    json_t *token_body;
    uint64_t expires_ms; /* by our own clock */
    struct endpoint endpoints[ENDPOINTS_MOST];
    size_t endpoint_count;
};

/* One exchange, without a look at its status. Headers are given wholly. */
struct exchange_plan {
    const char *method, *url;
    const char *const *headers;
    size_t header_count;
    const char *body;
    size_t body_length;
    const char *want_header; /* of the answer */
    uint64_t timeout_ms;
};
bool session_exchange(struct openstack_session *session, const struct exchange_plan *plan,
                      struct http_reply *ret_reply, struct error *err) MUST_CHECK;
/* False with err when somebody wants an end. */
bool session_wait(struct openstack_session *session, uint64_t duration_ms,
                  struct error *err) MUST_CHECK;
bool session_goes_on(struct openstack_session *session, struct error *err) MUST_CHECK;

/* -- auth.c ----------------------------------------------------------------------------------------- */
bool session_authenticate(struct openstack_session *session, struct error *err) MUST_CHECK;
/* The request's body; a new reference. Holds secrets. */
json_t *auth_request(const struct cloud *cloud);
/* Seconds from issued_at to expires_at; 0: they cannot be understood. */
uint64_t auth_lifetime_s(const json_t *token);

/* -- catalogue.c -------------------------------------------------------------------------------------- */
/* The catalogue's URL for a service, or NULL. */
const char *catalogue_find(const json_t *token, const char *service, const char *region,
                           const char *interface);
const char *catalogue_type(const char *service); /* our word for it: "volumev3" is "volume" */
/* Has the URL's path a version ("/v3", "/v2.1") as its last or last but one part? */
bool catalogue_has_version(const char *url);

/* -- answer.c ------------------------------------------------------------------------------------------- */
/* Sets err from an answer that is not 2xx. `what` names the call: "POST nova/servers". */
bool answer_fail(const struct http_reply *reply, const char *method, const char *what,
                 struct error *err);
/* What the cloud says for people in an error's body; in ret_text, "" when nothing. */
void answer_message(const char *body, size_t length, char *ret_text, size_t most);
bool answer_is_quota(unsigned status, const char *message);

#endif
