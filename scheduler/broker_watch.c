/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/broker_watch.h"

static uint64_t count_marks(const struct bus_stats *stats)
{
    return stats->confirmed + stats->returned;
}

void broker_watch_begin(struct broker_watch *watch, const struct bus_stats *stats, uint64_t now_ms)
{
    *watch = (struct broker_watch){.marks = count_marks(stats), .seen_ms = now_ms};
}

bool broker_watch_is_gone(struct broker_watch *watch, const struct bus_stats *stats,
                          uint64_t now_ms, uint64_t timeout_ms, bool *ret_probe)
{
    uint64_t marks = count_marks(stats);
    *ret_probe = false;
    if (marks != watch->marks || stats->blocked) {
        watch->was_there = watch->was_there || marks != watch->marks;
        watch->marks = marks;
        watch->seen_ms = now_ms;
        watch->asked_ms = 0;
        return false;
    }
    if (now_ms - watch->seen_ms >= timeout_ms / 3 && now_ms - watch->probed_ms >= timeout_ms / 3) {
        watch->probed_ms = now_ms;
        if (watch->asked_ms == 0)
            watch->asked_ms = now_ms;
        *ret_probe = true;
    }
    return watch->was_there && watch->asked_ms != 0 &&
           now_ms - watch->asked_ms >= timeout_ms - timeout_ms / 3;
}

bool broker_watch_hears(const struct broker_watch *watch, const struct bus_stats *stats,
                        uint64_t now_ms, uint64_t timeout_ms)
{
    return watch->was_there && stats->consuming && !stats->blocked &&
           now_ms - watch->seen_ms < timeout_ms;
}
