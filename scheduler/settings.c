/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/settings.h"

#include <inttypes.h>

#include "common/base/memory.h"

#define KEY_OF(name, member, type, standard, least, most, help)                                    \
    {                                                                                              \
        name, type, offsetof(struct scheduler_settings, member), false, standard, least, most,     \
            help                                                                                   \
    }
#define KEY(name, type, standard, least, most, help)                                               \
    KEY_OF(#name, name, type, standard, least, most, help)
/* Their values carry units, so their names do not. */
#define DURATION(name, standard, least, most, help)                                                \
    KEY_OF(#name, name##_ms, CONF_DURATION, standard, least, most, help)
#define SIZE(name, standard, help) KEY_OF(#name, name##_bytes, CONF_SIZE, standard, 0, 0, help)

#define YEARS_MS(count) ((count)*365LL * 86400000)

const struct conf_key scheduler_conf_keys[] = {
    KEY(metrics_listen, CONF_STRING, "127.0.0.1:7011", 0, 0,
        "address of /healthz, /readyz and /metrics; \"\" for none"),
    DURATION(lease, "30s", 1000, 3600000,
             "how long after its report a node may begin outside changes"),
    DURATION(takeover, "190s", 2000, 86400000,
             "a node silent for so long loses its jobs to others"),
    DURATION(stop_grace, "30s", 0, 3600000, "how long a node lets a worker end by itself"),
    DURATION(longest_request, "120s", 0, 3600000,
             "the longest control request that drivers make at either end"),
    DURATION(margin, "5s", 0, 3600000, "added to the three above for clocks and queues"),
    DURATION(report_interval, "3s", 100, 600000, "how often nodes report (as they are configured)"),
    DURATION(leader_timeout, "3s", 500, 60000,
             "a leader that did not renew its row for so long is succeeded"),
    DURATION(resend, "5s", 100, 600000, "an assignment without answer is sent again"),
    DURATION(idle_interval, "1s", 50, 10000, "how often to look for due work without a hint"),
    DURATION(hold_after, "10m", 0, 86400000, "a job that waited so long reserves the best node"),
    DURATION(retry_first, "5s", 0, 3600000, "first back-off before another attempt"),
    DURATION(retry_most, "5m", 0, 86400000, "longest back-off"),
    KEY(retries_most, CONF_INTEGER, "5", 0, 1000, "attempts after faults that may pass"),
    KEY(undo_retries_most, CONF_INTEGER, "20", 0, 1000, "the same for rollbacks and cleanups"),
    KEY(attempts_most, CONF_INTEGER, "100", 1, 100000, "attempts of one job, takeovers included"),
    KEY(batch_messages, CONF_INTEGER, "500", 1, 10000, "messages in one transaction"),
    DURATION(batch_time, "20ms", 1, 1000, "how long to gather them"),
    KEY(batch_due, CONF_INTEGER, "1000", 1, 10000, "rows that are due taken at once"),
    KEY(batch_place, CONF_INTEGER, "1000", 1, 10000, "jobs placed in one transaction"),
    DURATION(keep_events, "90d", 0, YEARS_MS(100), "how long events are kept; 0s for ever"),
    DURATION(keep_jobs, "30d", 0, YEARS_MS(100), "the same for jobs that are closed"),
    DURATION(keep_wishes, "30d", 0, YEARS_MS(100), "the same for wishes that are settled"),
    KEY(space_percent, CONF_INTEGER, "5", 0, 1000, "reserved beyond a staged vm's disks"),
    SIZE(job_space, "64MiB", "reserved for a migration that stages nothing"),
    SIZE(job_memory, "128MiB", "memory that a migration's worker needs"),
    KEY(weight_space, CONF_INTEGER, "100", 0, 100000, "for free conversion space after placement"),
    KEY(weight_source, CONF_INTEGER, "10", 0, 100000, "against jobs there with the same source"),
    KEY(weight_destination, CONF_INTEGER, "10", 0, 100000,
        "against jobs with the same destination"),
    KEY(weight_idle, CONF_INTEGER, "10", 0, 100000, "for free slots"),
};
const size_t scheduler_conf_key_count = COUNT_OF(scheduler_conf_keys);

bool scheduler_settings_check(const struct scheduler_settings *settings, struct error *err)
{
    uint64_t least = settings->lease_ms + settings->stop_grace_ms + settings->longest_request_ms +
                     settings->margin_ms;
    if (settings->takeover_ms < least)
        return error_set(err, &FAULT_CONFIG,
                         "takeover is %" PRIu64 " ms but lease + stop_grace + "
                         "longest_request + margin are %" PRIu64 " ms"
                         ": two nodes could work for one migration",
                         settings->takeover_ms, least);
    if (settings->lease_ms < 2 * settings->report_interval_ms)
        return error_set(err, &FAULT_CONFIG,
                         "lease is %" PRIu64
                         " ms, less than two reports (report_interval is %" PRIu64
                         " ms): leases would end between renewals",
                         settings->lease_ms, settings->report_interval_ms);
    return true;
}

struct place_weights scheduler_settings_weights(const struct scheduler_settings *settings)
{
    return (struct place_weights){settings->weight_space, settings->weight_source,
                                  settings->weight_destination, settings->weight_idle};
}
