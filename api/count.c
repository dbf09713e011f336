/* SPDX-License-Identifier: Apache-2.0 */
#include "api/count.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/daemon/metrics.h"

static struct metric *times; /* one a route */
static struct metric answers[6];
static struct metric streams =
    METRIC_GAUGE("guts_api_event_streams", "Readers of the event stream");
static struct metric batched =
    METRIC_COUNTER("guts_api_batched_shows_total", "Shows that were answered from a shared read");
static struct metric batch_reads =
    METRIC_COUNTER("guts_api_batched_ids_total", "Ids that shared reads asked the database for");

void count_begin(void)
{
    static const char *const classes[] = {
        NULL, NULL, "class=\"2xx\"", "class=\"3xx\"", "class=\"4xx\"", "class=\"5xx\""};
    times = xcalloc(route_count, sizeof(*times));
    for (size_t i = 0; i < route_count; i++) {
        times[i].name = "guts_api_request_seconds";
        times[i].help = "Time from the whole request to its answer";
        times[i].type = METRIC_TYPE_HISTOGRAM;
        times[i].labels =
            xasprintf("route=\"%s\",method=\"%s\"", routes[i].pattern, routes[i].method);
        metric_register(&times[i]);
    }
    for (size_t i = 2; i < COUNT_OF(answers); i++) {
        answers[i].name = "guts_api_answers_total";
        answers[i].help = "Answers by the class of their status";
        answers[i].type = METRIC_TYPE_COUNTER;
        answers[i].labels = classes[i];
        metric_register(&answers[i]);
    }
    metric_register(&streams);
    metric_register(&batched);
    metric_register(&batch_reads);
}

void count_call(const struct call *call)
{
    unsigned class = call->answer->status / 100;
    if (class >= 2 && class < COUNT_OF(answers))
        metric_add(&answers[class], 1);
    if (call->route != NULL)
        metric_observe_us(&times[call->route - routes], clock_mono_us() - call->began_us);
}

void count_streams(int64_t change)
{
    metric_add(&streams, change);
}

void count_batch(size_t asked, size_t read)
{
    metric_add(&batched, (int64_t)asked);
    metric_add(&batch_reads, (int64_t)read);
}
