/* SPDX-License-Identifier: Apache-2.0
 *
 * The event stream: server-sent events (WHATWG HTML, section 9.2) for any number of readers from one
 * read of the store. New events stand in a ring; a reader that falls behind it is cut off and resumes
 * with its Last-Event-ID, when what it missed is read for it from the store. Nothing is read while
 * nobody listens.
 *
 * Threads: stream_serve in the server's threads; one thread of its own reads the store.
 */
#ifndef GUTS_API_STREAM_H
#define GUTS_API_STREAM_H

#include "api/call.h"
#include "common/db/db.h"

struct stream_hub;
struct stream_hub *stream_hub_new(const struct db_settings *settings, size_t readers_most);
void stream_hub_free(struct stream_hub *hub); /* after the server was closed */
/* A hint that events up to this number exist. */
void stream_hub_change(struct stream_hub *hub, uint64_t number);
/* Whether hints can come at all: without them the store is asked every second. */
void stream_hub_listening(struct stream_hub *hub, bool listening);
/* Which events a reader wants. */
struct stream_wish {
    struct uuid owner_id; /* nil: all */
    const char *kind;     /* NULL: all; with a dot at its end all that begin so */
    uint64_t after;
    bool has_after;
};
bool stream_serve(struct stream_hub *hub, struct call *call, const struct stream_wish *wish,
                  struct error *err) MUST_CHECK;

#endif
