/* SPDX-License-Identifier: Apache-2.0
 *
 * The newest events as frames of the event stream, bounded in number and bytes: the oldest go first.
 *
 * Threads: the caller locks.
 */
#ifndef GUTS_API_RING_H
#define GUTS_API_RING_H

#include "common/store/event_view.h"

#define RING_EVENTS_MOST 2048
#define RING_BYTES_MOST (2u << 20)

struct ring_event {
    uint64_t number;
    struct uuid owner_id;
    char *project, *kind; /* in one allocation with the frame */
    char *frame;
    size_t length;
};

struct ring {
    struct ring_event *events; /* RING_EVENTS_MOST of them */
    size_t first, count;
    size_t bytes;
    uint64_t after;   /* it holds all events above this one … */
    uint64_t last;    /* … up to this one */
    uint64_t last_at; /* when that happened; 0: not known */
};

void ring_init(struct ring *ring);
void ring_fini(struct ring *ring);
void ring_clear(struct ring *ring, uint64_t last);
void ring_add(struct ring *ring, const struct event_view *event);
/* The first event above number, by its index; ring->count when there is none. */
size_t ring_find(const struct ring *ring, uint64_t number);
const struct ring_event *ring_at(const struct ring *ring, size_t index);
/* "id: 7\ndata: {…}\n\n" */
void ring_frame(const struct event_view *event, struct buffer *ret_frame);
/* Tells a reader that what lies between the two numbers is no longer kept. */
void ring_frame_missing(uint64_t after, uint64_t before, struct buffer *ret_frame);
/* Tells a reader that the numbers above this one begin anew. */
void ring_frame_reset(uint64_t highest, struct buffer *ret_frame);

#endif
