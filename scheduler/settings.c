/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/settings.h"

#include <inttypes.h>

#include "common/base/memory.h"

#define KEY(name, type, standard, least, most, help)                                               \
    {                                                                                              \
#name, type, offsetof(struct scheduler_settings, name), false, standard, least, most, help \
    }

const struct conf_key scheduler_conf_keys[] = {
    KEY(metrics_listen, CONF_STRING, "127.0.0.1:7011", 0, 0,
        "address of /healthz, /readyz and /metrics; \"\" for none"),
    KEY(lease_ms, CONF_DURATION, "30s", 1000, 3600000,
        "how long after its report a node may begin outside changes"),
    KEY(takeover_ms, CONF_DURATION, "120s", 2000, 86400000,
        "a node silent for so long loses its jobs to others"),
    KEY(stop_grace_ms, CONF_DURATION, "10s", 0, 3600000,
        "how long a node lets a worker end by itself"),
    KEY(longest_request_ms, CONF_DURATION, "60s", 0, 3600000,
        "the longest control request that drivers make at either end"),
    KEY(margin_ms, CONF_DURATION, "5s", 0, 3600000,
        "added to the three above for clocks and queues"),
    KEY(report_ms, CONF_DURATION, "5s", 100, 600000,
        "how often nodes report (as they are configured)"),
    KEY(leader_ms, CONF_DURATION, "3s", 500, 60000,
        "a leader that did not renew its row for so long is succeeded"),
    KEY(resend_ms, CONF_DURATION, "5s", 100, 600000, "an assignment without answer is sent again"),
    KEY(idle_ms, CONF_DURATION, "1s", 50, 10000, "how often to look for due work without a hint"),
    KEY(hold_after_ms, CONF_DURATION, "10m", 0, 86400000,
        "a job that waited so long reserves the best node"),
    KEY(retry_first_ms, CONF_DURATION, "5s", 0, 3600000, "first back-off before another attempt"),
    KEY(retry_most_ms, CONF_DURATION, "5m", 0, 86400000, "longest back-off"),
    KEY(retries_most, CONF_INTEGER, "5", 0, 1000, "attempts after faults that may pass"),
    KEY(undo_retries_most, CONF_INTEGER, "20", 0, 1000, "the same for rollbacks and cleanups"),
    KEY(attempts_most, CONF_INTEGER, "100", 1, 100000, "attempts of one owner, takeovers included"),
    KEY(batch_messages, CONF_INTEGER, "500", 1, 10000, "messages in one transaction"),
    KEY(batch_ms, CONF_DURATION, "20ms", 1, 1000, "how long to gather them"),
    KEY(batch_due, CONF_INTEGER, "500", 1, 10000, "rows that are due taken at once"),
    KEY(batch_place, CONF_INTEGER, "500", 1, 10000, "jobs placed in one transaction"),
    KEY(space_percent, CONF_INTEGER, "5", 0, 1000, "reserved beyond a staged vm's disks"),
    KEY(job_space_bytes, CONF_SIZE, "64MiB", 0, 0, "reserved for a migration that stages nothing"),
    KEY(job_memory_bytes, CONF_SIZE, "128MiB", 0, 0, "memory that a migration's worker needs"),
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
                         "takeover_ms is %" PRIu64 " but lease_ms + stop_grace_ms + "
                         "longest_request_ms + margin_ms are %" PRIu64
                         ": two nodes could work for one migration",
                         settings->takeover_ms, least);
    if (settings->lease_ms < 2 * settings->report_ms)
        return error_set(err, &FAULT_CONFIG,
                         "lease_ms is %" PRIu64 ", less than two reports (report_ms %" PRIu64
                         "): leases would end between renewals",
                         settings->lease_ms, settings->report_ms);
    return true;
}

struct place_weights scheduler_settings_weights(const struct scheduler_settings *settings)
{
    return (struct place_weights){settings->weight_space, settings->weight_source,
                                  settings->weight_destination, settings->weight_idle};
}
