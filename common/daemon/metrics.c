/* SPDX-License-Identifier: Apache-2.0 */
#include "common/daemon/metrics.h"

#include <assert.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define BUCKET_FIRST_US 1000

static struct metric *first;

/* Behind the last one of its name: the format wants all samples of a name together. */
void metric_register(struct metric *metric)
{
    struct metric **last = NULL;
    struct metric **at = &first;
    for (; *at != NULL; at = &(*at)->next) {
        assert(*at != metric);
        if (strcmp((*at)->name, metric->name) == 0)
            last = &(*at)->next;
    }
    if (last == NULL)
        last = at;
    metric->next = *last;
    *last = metric;
}

void metric_add(struct metric *metric, int64_t amount)
{
    atomic_fetch_add_explicit(&metric->value, amount, memory_order_relaxed);
}

void metric_set(struct metric *metric, int64_t value)
{
    atomic_store_explicit(&metric->value, value, memory_order_relaxed);
}

void metric_observe_us(struct metric *metric, uint64_t duration_us)
{
    size_t bucket = 0;
    while (bucket < METRIC_BUCKETS - 1 && duration_us > (uint64_t)BUCKET_FIRST_US << bucket)
        bucket++;
    atomic_fetch_add_explicit(&metric->buckets[bucket], 1, memory_order_relaxed);
    metric_add(metric, (int64_t)duration_us);
}

/* -- the text ----------------------------------------------------------------------------------- */

static void write_head(struct buffer *text, const char *name, const char *help, const char *type)
{
    buffer_printf(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void write_labels(struct buffer *text, const struct metric *metric)
{
    if (metric->labels != NULL)
        buffer_printf(text, "{%s}", metric->labels);
}

static void write_value(struct buffer *text, const struct metric *metric)
{
    buffer_append_text(text, metric->name);
    write_labels(text, metric);
    buffer_printf(text, " %" PRId64 "\n",
                  atomic_load_explicit(&metric->value, memory_order_relaxed));
}

static void write_bucket(struct buffer *text, const struct metric *metric, size_t bucket,
                         uint64_t count)
{
    char bound[32] = "+Inf";
    if (bucket < METRIC_BUCKETS - 1)
        snprintf(bound, sizeof(bound), "%g", (double)((uint64_t)BUCKET_FIRST_US << bucket) / 1e6);
    buffer_printf(text, "%s_bucket{%s%sle=\"%s\"} %" PRIu64 "\n", metric->name,
                  metric->labels != NULL ? metric->labels : "", metric->labels != NULL ? "," : "",
                  bound, count);
}

static void write_histogram(struct buffer *text, const struct metric *metric)
{
    uint64_t count = 0;
    for (size_t bucket = 0; bucket < METRIC_BUCKETS; bucket++) {
        count += atomic_load_explicit(&metric->buckets[bucket], memory_order_relaxed);
        write_bucket(text, metric, bucket, count);
    }
    int64_t sum_us = atomic_load_explicit(&metric->value, memory_order_relaxed);
    buffer_printf(text, "%s_sum", metric->name);
    write_labels(text, metric);
    buffer_printf(text, " %" PRId64 ".%06" PRId64 "\n%s_count", sum_us / 1000000, sum_us % 1000000,
                  metric->name);
    write_labels(text, metric);
    buffer_printf(text, " %" PRIu64 "\n", count);
}

static void write_metric(struct buffer *text, const struct metric *metric)
{
    if (metric->type == METRIC_TYPE_HISTOGRAM)
        write_histogram(text, metric);
    else
        write_value(text, metric);
}

/* -- the process -------------------------------------------------------------------------------- */

static long long resident_bytes(void)
{
    long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL || fscanf(file, "%*s %lld", &pages) != 1)
        pages = 0;
    if (file != NULL)
        fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

static unsigned open_descriptors(void)
{
    unsigned count = 0;
    DIR *directory = opendir("/proc/self/fd");
    if (directory == NULL)
        return 0;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count - 1; /* the directory's own */
}

static void write_process(struct buffer *text)
{
    struct rusage usage = {0};
    getrusage(RUSAGE_SELF, &usage);
    write_head(text, "process_resident_memory_bytes", "Resident memory", "gauge");
    buffer_printf(text, "process_resident_memory_bytes %lld\n", resident_bytes());
    write_head(text, "process_cpu_seconds_total", "User and system CPU time", "counter");
    long long cpu_us = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000LL +
                       usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
    buffer_printf(text, "process_cpu_seconds_total %lld.%06lld\n", cpu_us / 1000000,
                  cpu_us % 1000000);
    write_head(text, "process_open_fds", "Open file descriptors", "gauge");
    buffer_printf(text, "process_open_fds %u\n", open_descriptors());
    write_head(text, "guts_build_info", "The version that runs", "gauge");
    buffer_append_text(text, "guts_build_info{version=\"" GUTS_VERSION "\"} 1\n");
}

void metrics_write(struct buffer *ret_text)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    const char *name = "";
    for (const struct metric *metric = first; metric != NULL; metric = metric->next) {
        if (strcmp(metric->name, name) != 0)
            write_head(ret_text, metric->name, metric->help, types[metric->type]);
        name = metric->name;
        write_metric(ret_text, metric);
    }
    write_process(ret_text);
}
