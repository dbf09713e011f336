/* SPDX-License-Identifier: Apache-2.0 */
#include "api/routes.h"

#include "proto/lifecycle.h"
#include "proto/words.h"

#define GET "GET"
#define POST "POST"
#define PATCH "PATCH"
#define DELETE "DELETE"
#define ANYBODY ACCESS_NONE
#define READER ACCESS_READER
#define MEMBER ACCESS_MEMBER
#define ADMIN ACCESS_ADMIN

/* Those that are asked for most stand first. */
const struct route routes[] = {
    {GET, "/v1/migrations/{migration}", READER, migration_show_serve, 0},
    {GET, "/v1/vms/{vm}", READER, vm_show_serve, 0},
    {GET, "/v1/migrations", READER, migration_list_serve, 0},
    {POST, "/v1/migrations", MEMBER, migration_create_serve, 0},
    {DELETE, "/v1/migrations/{migration}", MEMBER, migration_act_serve, VERB_DELETE},
    {POST, "/v1/migrations/{migration}/cancel", MEMBER, migration_act_serve, VERB_CANCEL},
    {POST, "/v1/migrations/{migration}/retry", MEMBER, migration_act_serve, VERB_RETRY},
    {POST, "/v1/migrations/{migration}/rollback", MEMBER, migration_act_serve, VERB_ROLLBACK},
    {POST, "/v1/migrations/{migration}/cleanup", MEMBER, migration_act_serve, VERB_CLEANUP},
    {GET, "/v1/vms", READER, vm_list_serve, 0},
    {GET, "/v1/wishes/{wish}", READER, wish_show_serve, 0},
    {GET, "/v1/events", READER, event_list_serve, 0},
    {GET, "/v1/events/stream", READER, event_stream_serve, 0},

    {GET, "/v1/sources", READER, endpoint_list_serve, END_SOURCE},
    {POST, "/v1/sources", MEMBER, endpoint_create_serve, END_SOURCE},
    {GET, "/v1/sources/{source}", READER, endpoint_show_serve, END_SOURCE},
    {PATCH, "/v1/sources/{source}", MEMBER, endpoint_update_serve, END_SOURCE},
    {DELETE, "/v1/sources/{source}", MEMBER, endpoint_delete_serve, END_SOURCE},
    {POST, "/v1/sources/{source}/test", MEMBER, endpoint_test_serve, END_SOURCE},
    {POST, "/v1/sources/{source}/refresh", MEMBER, endpoint_refresh_serve, END_SOURCE},

    {POST, "/v1/sources/{source}/gc", MEMBER, endpoint_gc_serve, END_SOURCE},
    {GET, "/v1/sources/{source}/strays", READER, stray_list_serve, END_SOURCE},

    {GET, "/v1/destinations", READER, endpoint_list_serve, END_DESTINATION},
    {POST, "/v1/destinations", MEMBER, endpoint_create_serve, END_DESTINATION},
    {GET, "/v1/destinations/{destination}", READER, endpoint_show_serve, END_DESTINATION},
    {PATCH, "/v1/destinations/{destination}", MEMBER, endpoint_update_serve, END_DESTINATION},
    {DELETE, "/v1/destinations/{destination}", MEMBER, endpoint_delete_serve, END_DESTINATION},
    {POST, "/v1/destinations/{destination}/test", MEMBER, endpoint_test_serve, END_DESTINATION},
    {POST, "/v1/destinations/{destination}/refresh", MEMBER, endpoint_refresh_serve,
     END_DESTINATION},
    {POST, "/v1/destinations/{destination}/gc", MEMBER, endpoint_gc_serve, END_DESTINATION},
    {GET, "/v1/destinations/{destination}/strays", READER, stray_list_serve, END_DESTINATION},
    {GET, "/v1/destinations/{destination}/catalogue", READER, catalogue_list_serve, 0},

    {GET, "/v1/drivers", READER, driver_list_serve, 0},
    {GET, "/v1/drivers/{end}/{driver}", READER, driver_show_serve, 0},

    {GET, "/v1/nodes", READER, node_list_serve, 0},
    {GET, "/v1/nodes/{node}", READER, node_show_serve, 0},
    {DELETE, "/v1/nodes/{node}", ADMIN, node_act_serve, NODE_DELETE},
    {POST, "/v1/nodes/{node}/enable", ADMIN, node_act_serve, NODE_ENABLE},
    {POST, "/v1/nodes/{node}/drain", ADMIN, node_act_serve, NODE_DRAIN},
    {POST, "/v1/nodes/{node}/disable", ADMIN, node_act_serve, NODE_DISABLE},
    {POST, "/v1/nodes/{node}/gc", ADMIN, node_gc_serve, 0},
    {GET, "/v1/nodes/{node}/strays", ADMIN, node_stray_list_serve, 0},
    {GET, "/v1/services", READER, service_list_serve, 0},

    {GET, "/", ANYBODY, root_serve, 0},
    {GET, "/v1", ANYBODY, version_serve, 0},
    {GET, "/healthz", ANYBODY, health_serve_call, 0},
    {GET, "/readyz", ANYBODY, health_serve_call, 0},
    {GET, "/metrics", ANYBODY, health_serve_call, 0},
};
const size_t route_count = COUNT_OF(routes);
