/* SPDX-License-Identifier: Apache-2.0 */
#include "common/daemon/metrics.h"

#include <stdlib.h>

#include "tests/unit/check.h"

static struct metric shows = {"guts_requests_total", "Requests", "route=\"show\"",
                              METRIC_TYPE_COUNTER};
static struct metric jobs = METRIC_GAUGE("guts_jobs", "Jobs");
static struct metric lists = {"guts_requests_total", "Requests", "route=\"list\"",
                              METRIC_TYPE_COUNTER};
static struct metric seconds = METRIC_HISTOGRAM("guts_request_seconds", "Time of a request");

static int register_all(void **state)
{
    metric_register(&shows);
    metric_register(&jobs);
    metric_register(&lists);
    metric_register(&seconds);
    return 0;
}

static void samples_of_one_name_stand_together_under_one_head(void **state)
{
    CLEANUP(buffer_fini) struct buffer text = {0};
    metric_add(&shows, 2);
    metric_add(&lists, 1);
    metric_set(&jobs, -7);
    metrics_write(&text);
    assert_non_null(strstr(text.data, "# HELP guts_requests_total Requests\n"
                                      "# TYPE guts_requests_total counter\n"
                                      "guts_requests_total{route=\"show\"} 2\n"
                                      "guts_requests_total{route=\"list\"} 1\n"
                                      "# HELP guts_jobs Jobs\n# TYPE guts_jobs gauge\n"
                                      "guts_jobs -7\n"));
}

static void a_histogram_counts_upwards(void **state)
{
    CLEANUP(buffer_fini) struct buffer text = {0};
    metric_observe_us(&seconds, 0);
    metric_observe_us(&seconds, 1000);
    metric_observe_us(&seconds, 1001);
    metric_observe_us(&seconds, 4096000);
    metric_observe_us(&seconds, 4096001);
    metrics_write(&text);
    assert_non_null(strstr(text.data, "guts_request_seconds_bucket{le=\"0.001\"} 2\n"
                                      "guts_request_seconds_bucket{le=\"0.002\"} 3\n"));
    assert_non_null(strstr(text.data, "guts_request_seconds_bucket{le=\"4.096\"} 4\n"
                                      "guts_request_seconds_bucket{le=\"+Inf\"} 5\n"
                                      "guts_request_seconds_sum 8.194002\n"
                                      "guts_request_seconds_count 5\n"));
}

static double value_of(const char *text, const char *name)
{
    const char *at = text;
    while ((at = strstr(at, name)) != NULL && (at != text && at[-1] != '\n'))
        at++;
    assert_non_null(at);
    return strtod(at + strlen(name), NULL);
}

static void the_process_tells_memory_time_and_descriptors(void **state)
{
    CLEANUP(buffer_fini) struct buffer text = {0};
    metrics_write(&text);
    assert_true(value_of(text.data, "process_resident_memory_bytes ") > 500000);
    assert_true(value_of(text.data, "process_open_fds ") >= 3);
    assert_true(value_of(text.data, "process_cpu_seconds_total ") >= 0);
    assert_non_null(strstr(text.data, "guts_build_info{version=\"" GUTS_VERSION "\"} 1\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_of_one_name_stand_together_under_one_head),
        cmocka_unit_test(a_histogram_counts_upwards),
        cmocka_unit_test(the_process_tells_memory_time_and_descriptors),
    };
    return cmocka_run_group_tests(tests, register_all, NULL);
}
