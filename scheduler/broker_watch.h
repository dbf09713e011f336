/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether the leader's own way to the broker still works. A leader that commits and is heard by nobody
 * helps no one, while another scheduler may hear and be heard: so it steps aside. A connection that
 * hangs looks like one where nothing happens; a message that wants a confirm is sent when it is quiet.
 *
 * Pure: it is given what the bus counts and what time it is. Threads: any.
 */
#ifndef GUTS_SCHEDULER_BROKER_WATCH_H
#define GUTS_SCHEDULER_BROKER_WATCH_H

#include "proto/bus.h"

struct broker_watch {
    uint64_t marks;     /* signs of life: what the broker confirmed or gave back */
    uint64_t seen_ms;   /* when they last grew */
    uint64_t asked_ms;  /* when the first thing that has no answer was sent for one; 0: none */
    uint64_t probed_ms; /* when the last was */
    bool was_there;     /* in this term: only then its absence says something */
};

/* A term begins. */
void broker_watch_begin(struct broker_watch *watch, const struct bus_stats *stats, uint64_t now_ms);
/* True when no answer came for the time-out although there was one in this term; time in which we did
 * not look ourselves, a frozen process say, does not count. *ret_probe: send something that the broker
 * must confirm. A broker that blocks publishers blocks them all: it is there. */
bool broker_watch_is_gone(struct broker_watch *watch, const struct bus_stats *stats,
                          uint64_t now_ms, uint64_t timeout_ms, bool *ret_probe);

/* Whether what others say can come through now: while it cannot, their silence says nothing of them.
 * Asked after broker_watch_is_gone, with the same words. */
bool broker_watch_hears(const struct broker_watch *watch, const struct bus_stats *stats,
                        uint64_t now_ms, uint64_t timeout_ms);

#endif
