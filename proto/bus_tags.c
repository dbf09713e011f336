/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/bus_tags.h"

#include <string.h>

#include "common/base/memory.h"

enum { SLOT_SETTLED, SLOT_OPEN, SLOT_ACKED };
#define FIRST_CAPACITY 256

void tags_init(struct bus_tags *tags)
{
    *tags = (struct bus_tags){.capacity = FIRST_CAPACITY, .low = 1, .next = 1};
    tags->slots = xcalloc(tags->capacity, 1);
}

void tags_fini(struct bus_tags *tags)
{
    free(tags->slots);
    *tags = (struct bus_tags){0};
}

void tags_reset(struct bus_tags *tags)
{
    memset(tags->slots, SLOT_SETTLED, tags->capacity);
    tags->low = tags->next = 1;
    tags->unsent = 0;
}

static uint8_t *slot_at(const struct bus_tags *tags, uint64_t number)
{
    return &tags->slots[number & (tags->capacity - 1)];
}

static bool is_open(const struct bus_tags *tags, uint64_t number)
{
    return number >= tags->low && number < tags->next && *slot_at(tags, number) == SLOT_OPEN;
}

static void tags_grow(struct bus_tags *tags)
{
    struct bus_tags wide = *tags;

    wide.capacity = 2 * tags->capacity;
    wide.slots = xcalloc(wide.capacity, 1);
    for (uint64_t number = tags->low; number < tags->next; number++)
        *slot_at(&wide, number) = *slot_at(tags, number);
    free(tags->slots);
    *tags = wide;
}

static void low_raise(struct bus_tags *tags)
{
    while (tags->low < tags->next && *slot_at(tags, tags->low) == SLOT_SETTLED)
        tags->low++;
}

bool tags_deliver(struct bus_tags *tags, uint64_t number)
{
    if (number != tags->next)
        return false;
    low_raise(tags);
    if (tags->next - tags->low >= tags->capacity)
        tags_grow(tags);
    *slot_at(tags, tags->next++) = SLOT_OPEN;
    return true;
}

bool tags_ack(struct bus_tags *tags, uint64_t number)
{
    if (!is_open(tags, number))
        return false;
    *slot_at(tags, number) = SLOT_ACKED;
    tags->unsent++;
    return true;
}

bool tags_forget(struct bus_tags *tags, uint64_t number)
{
    if (!is_open(tags, number))
        return false;
    *slot_at(tags, number) = SLOT_SETTLED;
    return true;
}

/* The run of numbers from low on that nobody waits for any more; 0 when none of it is unsent. */
static uint64_t run_take(struct bus_tags *tags)
{
    uint64_t last = 0;

    for (; tags->low < tags->next && *slot_at(tags, tags->low) != SLOT_OPEN; tags->low++) {
        if (*slot_at(tags, tags->low) != SLOT_ACKED)
            continue;
        *slot_at(tags, tags->low) = SLOT_SETTLED;
        tags->unsent--;
        last = tags->low;
    }
    return last;
}

bool tags_next_ack(struct bus_tags *tags, uint64_t *ret_number, bool *ret_multiple)
{
    uint64_t last;

    if (tags->unsent == 0)
        return false;
    last = run_take(tags);
    *ret_multiple = last != 0;
    /* Behind one that is still open they go one by one. */
    for (uint64_t number = tags->low; last == 0 && number < tags->next; number++) {
        if (*slot_at(tags, number) != SLOT_ACKED)
            continue;
        *slot_at(tags, number) = SLOT_SETTLED;
        tags->unsent--;
        last = number;
    }
    *ret_number = last;
    return last != 0;
}
