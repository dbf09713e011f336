/* SPDX-License-Identifier: Apache-2.0
 *
 * What an operator may set of the scheduler itself. Constant after the start.
 */
#ifndef GUTS_SCHEDULER_SETTINGS_H
#define GUTS_SCHEDULER_SETTINGS_H

#include "common/conf/conf.h"
#include "scheduler/place.h"

struct scheduler_settings {
    const char *metrics_listen;
    uint64_t lease_ms;
    uint64_t takeover_ms;
    uint64_t stop_grace_ms;
    uint64_t longest_request_ms;
    uint64_t margin_ms;
    uint64_t report_interval_ms;
    uint64_t leader_timeout_ms;
    uint64_t resend_ms;
    uint64_t idle_interval_ms;
    uint64_t hold_after_ms;
    uint64_t retry_first_ms;
    uint64_t retry_most_ms;
    int64_t retries_most;
    int64_t undo_retries_most;
    int64_t attempts_most;
    int64_t batch_messages;
    uint64_t batch_time_ms;
    int64_t batch_due;
    int64_t batch_place;
    uint64_t keep_events_ms, keep_jobs_ms, keep_wishes_ms; /* 0: for ever */
    int64_t space_percent;
    uint64_t job_space_bytes;
    uint64_t job_memory_bytes;
    int64_t weight_space, weight_source, weight_destination, weight_idle;
};
extern const struct conf_key scheduler_conf_keys[];
extern const size_t scheduler_conf_key_count;

/* takeover ≥ lease + stop grace + longest control request + margin (design: section 4). */
bool scheduler_settings_check(const struct scheduler_settings *settings,
                              struct error *err) MUST_CHECK;
struct place_weights scheduler_settings_weights(const struct scheduler_settings *settings);

#endif
