/* SPDX-License-Identifier: Apache-2.0
 *
 * What goes on beside the requests: is the database there and its schema ours, and the row that tells
 * others that this daemon is up.
 *
 * Threads: one of its own.
 */
#ifndef GUTS_API_KEEPER_H
#define GUTS_API_KEEPER_H

#include "api/api.h"

struct keeper;
struct keeper *keeper_new(struct api *api, const struct db_settings *settings, unsigned port);
/* Removes the row. */
void keeper_free(struct keeper *keeper);

#endif
