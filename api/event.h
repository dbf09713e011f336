/* SPDX-License-Identifier: Apache-2.0
 *
 * How an event is shown, in lists and in the stream. Threads: pure functions. */
#ifndef GUTS_API_EVENT_H
#define GUTS_API_EVENT_H

#include "common/json/writer.h"
#include "common/store/event_view.h"

void event_write(struct writer *writer, const struct event_view *event);
/* kind NULL: any; with a dot at its end: all that begin so. */
bool event_kind_fits(const char *wanted, const char *kind);

#endif
