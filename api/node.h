/* SPDX-License-Identifier: Apache-2.0
 *
 * What other resources need of nodes.
 *
 * Threads: of one call.
 */
#ifndef GUTS_API_NODE_H
#define GUTS_API_NODE_H

#include "api/call.h"
#include "common/store/node_view.h"

/* By id or name. FAULT_NOT_FOUND names what was asked for. */
bool node_named(struct call *call, const char *name_or_id, struct node_view *ret_node,
                struct error *err) MUST_CHECK;

#endif
