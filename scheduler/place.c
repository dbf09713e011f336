/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/place.h"

#include "common/base/memory.h"

static const char *const reasons[] = {
    [PLACE_FITS] = "fits",
    [PLACE_NODE_DOWN] = "node_down",
    [PLACE_NODE_DISABLED] = "node_disabled",
    [PLACE_NODE_DRAINING] = "node_draining",
    [PLACE_NO_SOURCE_DRIVER] = "no_source_driver",
    [PLACE_NO_DESTINATION_DRIVER] = "no_destination_driver",
    [PLACE_NO_LABEL] = "no_label",
    [PLACE_NO_SLOT] = "no_slot",
    [PLACE_NO_MEMORY] = "no_memory",
    [PLACE_NO_SPACE] = "no_space",
    [PLACE_NODE_HELD] = "node_held",
};

const char *place_reason_name(enum place_reason reason)
{
    return reasons[reason];
}

bool place_words_hold(const struct place_words *words, const char *word)
{
    for (size_t i = 0; i < words->count; i++)
        if (words->items[i] == word)
            return true;
    return false;
}

static bool holds_all(const struct place_words *words, const struct place_words *wanted)
{
    for (size_t i = 0; i < wanted->count; i++)
        if (!place_words_hold(words, wanted->items[i]))
            return false;
    return true;
}

/* What only a person can change. */
static enum place_reason lasting_reason(const struct place_node *node,
                                        const struct place_need *need)
{
    if (!node->up)
        return PLACE_NODE_DOWN;
    if (!node->enabled)
        return PLACE_NODE_DISABLED;
    if (node->draining)
        return PLACE_NODE_DRAINING;
    if (need->source_driver != NULL &&
        !place_words_hold(&node->source_drivers, need->source_driver))
        return PLACE_NO_SOURCE_DRIVER;
    if (need->destination_driver != NULL &&
        !place_words_hold(&node->destination_drivers, need->destination_driver))
        return PLACE_NO_DESTINATION_DRIVER;
    if (!holds_all(&node->labels, &need->labels))
        return PLACE_NO_LABEL;
    return PLACE_FITS;
}

static size_t roomiest_pool(const int64_t *bytes, size_t count)
{
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        if (bytes[i] > bytes[best])
            best = i;
    return best;
}

enum place_reason place_fits(const struct place_node *node, const struct place_need *need,
                             size_t *ret_pool)
{
    enum place_reason reason = lasting_reason(node, need);
    if (reason != PLACE_FITS)
        return reason;
    if (node->slots_free < (int64_t)need->slots)
        return PLACE_NO_SLOT;
    if (node->counts_memory && node->memory_free_bytes < (int64_t)need->memory_bytes)
        return PLACE_NO_MEMORY;
    if (node->pool_count == 0)
        return PLACE_NO_SPACE;
    size_t pool = roomiest_pool(node->available_bytes, node->pool_count);
    if (need->space_bytes > 0 && (node->available_bytes[pool] < 0 ||
                                  (uint64_t)node->available_bytes[pool] < need->space_bytes))
        return PLACE_NO_SPACE;
    if (node->held)
        return PLACE_NODE_HELD;
    *ret_pool = pool;
    return PLACE_FITS;
}

bool place_could_fit(const struct place_node *node, const struct place_need *need)
{
    if (lasting_reason(node, need) != PLACE_FITS || node->pool_count == 0 || node->held)
        return false;
    int64_t room = node->hold_bytes[roomiest_pool(node->hold_bytes, node->pool_count)];
    return node->slots_total >= (int64_t)need->slots && room >= 0 &&
           (uint64_t)room >= need->space_bytes;
}

double place_score(const struct place_view *view, const struct place_need *need,
                   const struct place_weights *weights)
{
    const struct place_node *node = view->node;
    double slots = node->slots_total > 0 ? (double)node->slots_total : 1.0;
    double largest = view->largest_bytes > 0 ? (double)view->largest_bytes : 1.0;
    double left = (double)node->available_bytes[view->pool] - (double)need->space_bytes;
    return (double)weights->space * (left / largest) +
           (double)weights->idle * ((double)node->slots_free / slots) -
           (double)weights->source_spread * (view->same_source / slots) -
           (double)weights->destination_spread * (view->same_destination / slots);
}

uint64_t place_outstanding(const struct place_promise *promise)
{
    return promise->reserved_bytes > promise->allocated_bytes
               ? promise->reserved_bytes - promise->allocated_bytes
               : 0;
}

int64_t place_base_bytes(uint64_t free_bytes, uint64_t capacity_bytes, uint64_t used_bytes)
{
    uint64_t unused = capacity_bytes > used_bytes ? capacity_bytes - used_bytes : 0;
    uint64_t base = free_bytes < unused ? free_bytes : unused;
    return base > INT64_MAX ? INT64_MAX : (int64_t)base;
}
