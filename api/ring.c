/* SPDX-License-Identifier: Apache-2.0 */
#include "api/ring.h"

#include <string.h>

#include "api/event.h"

void ring_init(struct ring *ring)
{
    *ring = (struct ring){.events = xcalloc(RING_EVENTS_MOST, sizeof(*ring->events))};
}

static void ring_drop_first(struct ring *ring)
{
    struct ring_event *event = &ring->events[ring->first];
    ring->after = event->number;
    ring->bytes -= event->length;
    free(event->project);
    ring->first = (ring->first + 1) % RING_EVENTS_MOST;
    ring->count--;
}

void ring_clear(struct ring *ring, uint64_t last)
{
    while (ring->count > 0)
        ring_drop_first(ring);
    ring->after = last;
    ring->last = last;
    ring->last_at = 0;
}

void ring_fini(struct ring *ring)
{
    ring_clear(ring, 0);
    free(ring->events);
    ring->events = NULL;
}

void ring_frame(const struct event_view *event, struct buffer *ret_frame)
{
    struct writer writer;
    buffer_printf(ret_frame, "id: %llu\ndata: ", (unsigned long long)event->number);
    size_t start = ret_frame->length;
    writer_init(&writer, ret_frame);
    event_write(&writer, event);
    for (size_t i = start; i < ret_frame->length; i++)
        if (ret_frame->data[i] == '\n' || ret_frame->data[i] == '\r')
            ret_frame->data[i] = ' '; /* between values only: in texts they are escaped */
    buffer_append_text(ret_frame, "\n\n");
}

void ring_frame_missing(uint64_t after, uint64_t before, struct buffer *ret_frame)
{
    buffer_printf(ret_frame, "event: missing\ndata: {\"after\":%llu,\"before\":%llu}\n\n",
                  (unsigned long long)after, (unsigned long long)before);
}

void ring_frame_reset(uint64_t highest, struct buffer *ret_frame)
{
    buffer_printf(ret_frame, "id: %llu\nevent: reset\ndata: {\"after\":%llu}\n\n",
                  (unsigned long long)highest, (unsigned long long)highest);
}

/* Project, kind and frame in one piece of memory. */
static void event_fill(struct ring_event *into, const struct event_view *event,
                       const struct buffer *frame)
{
    size_t project = strlen(event->project) + 1, kind = strlen(event->kind) + 1;
    char *memory = xcalloc(1, project + kind + frame->length);
    memcpy(memory, event->project, project);
    memcpy(memory + project, event->kind, kind);
    memcpy(memory + project + kind, frame->data, frame->length);
    *into = (struct ring_event){event->number,    event->owner_id,         memory,
                                memory + project, memory + project + kind, frame->length};
}

void ring_add(struct ring *ring, const struct event_view *event)
{
    CLEANUP(buffer_fini) struct buffer frame = {0};
    ring_frame(event, &frame);
    while (ring->count == RING_EVENTS_MOST ||
           (ring->count > 0 && ring->bytes + frame.length > RING_BYTES_MOST))
        ring_drop_first(ring);
    event_fill(&ring->events[(ring->first + ring->count) % RING_EVENTS_MOST], event, &frame);
    ring->count++;
    ring->bytes += frame.length;
    ring->last = event->number;
    ring->last_at = event->at;
}

const struct ring_event *ring_at(const struct ring *ring, size_t index)
{
    return &ring->events[(ring->first + index) % RING_EVENTS_MOST];
}

size_t ring_find(const struct ring *ring, uint64_t number)
{
    size_t low = 0, high = ring->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ring_at(ring, middle)->number <= number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
