/* SPDX-License-Identifier: Apache-2.0
 *
 * What the threads of guts-api share: settings, one store for each thread of the server, the shared
 * reads, the event stream, the notices to and from the scheduler.
 *
 * Threads: made before they start and not changed by them, except for what is atomic.
 */
#ifndef GUTS_API_API_H
#define GUTS_API_API_H

#include <stdatomic.h>

#include "api/auth.h"
#include "api/keystone.h"
#include "common/base/log.h"
#include "common/base/secret.h"
#include "common/daemon/health.h"
#include "common/db/db.h"
#include "common/http/server.h"
#include "common/store/store.h"

struct aside;
struct batch;
struct notice;
struct stream_hub;

struct api_settings {
    const char *auth;      /* "none", "token", "keystone" */
    const char *project;   /* of everybody, with "none" */
    const char *seal_keys; /* file of public keys; "": nothing can be sealed */
    int64_t streams_most;
    uint64_t loop_deadline_ms;
};
extern const struct conf_key api_conf_keys[];
extern const size_t api_conf_key_count;

struct api {
    struct api_settings settings;
    struct http_server_settings http;
    struct keystone_settings keystone;
    struct auth *auth;
    struct seal_public *seal_keys; /* NULL: none */
    struct store **stores;         /* one for each thread of the server */
    size_t store_count;
    struct batch *migrations; /* shows that are read together */
    struct batch *vms;
    struct aside *aside;
    struct notice *notice;
    struct stream_hub *streams;
    struct health *health;
    enum log_level log_least;
    atomic_bool usable; /* the schema was seen to be ours */
};

/* The server's handler; context is the struct api. */
void api_handle(void *context, const struct http_request *request, struct http_answer *answer);

static inline bool api_logs(const struct api *api, enum log_level level)
{
    return level >= api->log_least;
}

#endif
