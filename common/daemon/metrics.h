/* SPDX-License-Identifier: Apache-2.0
 *
 * Metrics: a fixed set of counters and gauges a process, written as Prometheus text (exposition
 * format 0.0.4). Each metric is a static struct, registered once; labels are fixed at registration.
 *
 *     static struct metric placements = METRIC_COUNTER("guts_placements_total", "Jobs placed");
 *     metric_register(&placements); … metric_add(&placements, 1);
 *
 * Threads: adding and setting are atomic; registering happens before threads start.
 */
#ifndef GUTS_COMMON_DAEMON_METRICS_H
#define GUTS_COMMON_DAEMON_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#include "common/base/memory.h"

enum metric_type { METRIC_TYPE_COUNTER, METRIC_TYPE_GAUGE, METRIC_TYPE_HISTOGRAM };

#define METRIC_BUCKETS 14 /* upper bounds 1 ms × 2^n, the last is infinite */
struct metric {
    const char *name; /* with its unit: guts_copy_bytes_total, guts_request_seconds */
    const char *help;
    const char *labels; /* `route="/v1/vms",method="GET"`, or NULL */
    enum metric_type type;
    _Atomic int64_t value; /* histogram: the sum in microseconds */
    _Atomic uint64_t buckets[METRIC_BUCKETS];
    struct metric *next;
};
#define METRIC_COUNTER(name, help)                                                                 \
    {                                                                                              \
        (name), (help), NULL, METRIC_TYPE_COUNTER, 0, {0}, NULL                                    \
    }
#define METRIC_GAUGE(name, help)                                                                   \
    {                                                                                              \
        (name), (help), NULL, METRIC_TYPE_GAUGE, 0, {0}, NULL                                      \
    }
#define METRIC_HISTOGRAM(name, help)                                                               \
    {                                                                                              \
        (name), (help), NULL, METRIC_TYPE_HISTOGRAM, 0, {0}, NULL                                  \
    }

void metric_register(struct metric *metric);
void metric_add(struct metric *metric, int64_t amount);
void metric_set(struct metric *metric, int64_t value);
void metric_observe_us(struct metric *metric, uint64_t duration_us);
/* All registered metrics and those of the process (resident memory, open descriptors, CPU time). */
void metrics_write(struct buffer *ret_text);

#endif
