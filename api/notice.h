/* SPDX-License-Identifier: Apache-2.0
 *
 * Notices over the bus: Wake to the scheduler after a wish was written, Change from it after events
 * were. Both are hints: while the broker is away wishes wait in the database, where the scheduler
 * finds them too, and events are looked for every second.
 *
 * Threads: notice_wake from any; one thread of its own owns the bus.
 */
#ifndef GUTS_API_NOTICE_H
#define GUTS_API_NOTICE_H

#include "api/stream.h"
#include "common/daemon/health.h"
#include "proto/bus.h"
#include "proto/words.h"

struct notice;
struct notice *notice_new(const struct bus_settings *settings, struct stream_hub *streams,
                          struct health *health);
void notice_free(struct notice *notice);
void notice_wake(struct notice *notice, enum owner_kind kind, const struct uuid *id);

#endif
