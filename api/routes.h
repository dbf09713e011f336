/* SPDX-License-Identifier: Apache-2.0
 *
 * The functions that serve the routes, one file a resource. Each fills the answer of its call, or
 * returns false with the error. Threads: the server's.
 */
#ifndef GUTS_API_ROUTES_H
#define GUTS_API_ROUTES_H

#include "api/call.h"

/* root.c */
bool root_serve(struct call *call, struct error *err) MUST_CHECK;
bool version_serve(struct call *call, struct error *err) MUST_CHECK;
bool health_serve_call(struct call *call, struct error *err) MUST_CHECK;
/* driver.c */
bool driver_list_serve(struct call *call, struct error *err) MUST_CHECK;
bool driver_show_serve(struct call *call, struct error *err) MUST_CHECK;
/* endpoint.c, endpoint_change.c; argument: enum end */
bool endpoint_list_serve(struct call *call, struct error *err) MUST_CHECK;
bool endpoint_show_serve(struct call *call, struct error *err) MUST_CHECK;
bool endpoint_create_serve(struct call *call, struct error *err) MUST_CHECK;
bool endpoint_update_serve(struct call *call, struct error *err) MUST_CHECK;
bool endpoint_delete_serve(struct call *call, struct error *err) MUST_CHECK;
bool endpoint_test_serve(struct call *call, struct error *err) MUST_CHECK;
bool endpoint_refresh_serve(struct call *call, struct error *err) MUST_CHECK;
bool catalogue_list_serve(struct call *call, struct error *err) MUST_CHECK;
/* stray.c; argument: enum end */
bool stray_list_serve(struct call *call, struct error *err) MUST_CHECK;
bool node_stray_list_serve(struct call *call, struct error *err) MUST_CHECK;
bool node_gc_serve(struct call *call, struct error *err) MUST_CHECK;
bool endpoint_gc_serve(struct call *call, struct error *err) MUST_CHECK;
/* vm.c */
bool vm_list_serve(struct call *call, struct error *err) MUST_CHECK;
bool vm_show_serve(struct call *call, struct error *err) MUST_CHECK;
/* migration.c, migration_create.c, migration_act.c; argument: enum migration_verb */
bool migration_list_serve(struct call *call, struct error *err) MUST_CHECK;
bool migration_show_serve(struct call *call, struct error *err) MUST_CHECK;
bool migration_create_serve(struct call *call, struct error *err) MUST_CHECK;
bool migration_act_serve(struct call *call, struct error *err) MUST_CHECK;
/* wish.c */
bool wish_show_serve(struct call *call, struct error *err) MUST_CHECK;
/* event.c */
bool event_list_serve(struct call *call, struct error *err) MUST_CHECK;
bool event_stream_serve(struct call *call, struct error *err) MUST_CHECK;
/* node.c; argument: enum node_verb */
enum node_verb { NODE_ENABLE, NODE_DRAIN, NODE_DISABLE, NODE_DELETE };
bool node_list_serve(struct call *call, struct error *err) MUST_CHECK;
bool node_show_serve(struct call *call, struct error *err) MUST_CHECK;
bool node_act_serve(struct call *call, struct error *err) MUST_CHECK;
/* service.c */
bool service_list_serve(struct call *call, struct error *err) MUST_CHECK;

#endif
