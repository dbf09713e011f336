/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/bus_window.h"

#include <assert.h>
#include <string.h>

void window_init(struct bus_window *window)
{
    *window = (struct bus_window){0};
    window->entries = xcalloc(BUS_WINDOW_MOST, sizeof(*window->entries));
}

void window_fini(struct bus_window *window)
{
    free(window->entries);
    free(window->told);
    *window = (struct bus_window){0};
}

static struct window_entry *entry_at(const struct bus_window *window, uint64_t number)
{
    return &window->entries[number & (BUS_WINDOW_MOST - 1)];
}

uint64_t window_open_count(const struct bus_window *window)
{
    return window->last - window->first;
}

bool window_is_full(const struct bus_window *window)
{
    return window_open_count(window) >= BUS_WINDOW_MOST;
}

void window_add(struct bus_window *window, uint64_t cookie, uint64_t reject_tag,
                const struct uuid *message_id)
{
    assert(!window_is_full(window));
    *entry_at(window, ++window->last) = (struct window_entry){
        .cookie = cookie,
        .reject_tag = reject_tag,
        .message_id = *message_id,
        .fate = BUS_CONFIRMED,
    };
}

void window_returned(struct bus_window *window, const struct uuid *message_id)
{
    for (uint64_t number = window->first + 1; number <= window->last; number++) {
        struct window_entry *entry = entry_at(window, number);
        if (!entry->settled && uuid_equal(&entry->message_id, message_id)) {
            entry->fate = BUS_RETURNED;
            return;
        }
    }
}

static void told_append(struct bus_window *window, const struct window_entry *entry)
{
    if (window->told_first > 0 && window->told_first == window->told_count)
        window->told_first = window->told_count = 0;
    if (window->told_count == window->told_capacity) {
        window->told_capacity = window->told_capacity ? 2 * window->told_capacity : 256;
        window->told = xreallocarray(window->told, window->told_capacity, sizeof(*window->told));
    }
    window->told[window->told_count++] = *entry;
}

static void entry_settle(struct bus_window *window, struct window_entry *entry, enum bus_fate fate)
{
    if (entry->settled)
        return;
    entry->settled = true;
    if (fate != BUS_CONFIRMED)
        entry->fate = fate; /* else as it stands: confirmed, or returned before */
    told_append(window, entry);
}

void window_settle(struct bus_window *window, uint64_t number, bool multiple, enum bus_fate fate)
{
    uint64_t from = multiple ? window->first + 1 : number;

    if (number > window->last)
        return; /* the broker confirms what was never sent: not ours to believe */
    for (uint64_t at = from > window->first ? from : window->first + 1; at <= number; at++)
        entry_settle(window, entry_at(window, at), fate);
    while (window->first < window->last && entry_at(window, window->first + 1)->settled)
        window->first++;
}

void window_lose(struct bus_window *window)
{
    for (uint64_t number = window->first + 1; number <= window->last; number++)
        entry_settle(window, entry_at(window, number), BUS_LOST);
    window->first = window->last = 0;
}

bool window_take(struct bus_window *window, struct window_entry *ret_entry)
{
    if (window->told_first == window->told_count)
        return false;
    *ret_entry = window->told[window->told_first++];
    return true;
}
