/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/node_settings.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "proto/topology.h"

#define NODE(field) offsetof(struct node_settings, field)
#define WORKER(field) offsetof(struct worker_settings, field)
#define DAY_MS (24LL * 3600 * 1000)

const struct conf_key node_conf_keys[] = {
    {.name = "name",
     .type = CONF_STRING,
     .offset = NODE(name),
     .standard = "",
     .help = "the node's name, 1 to 64 of [a-z0-9.-]; empty: the host's name"},
    {.name = "pools",
     .type = CONF_STRINGS,
     .offset = NODE(pools),
     .standard = "[\"/var/lib/guts/pool\"]",
     .help = "conversion space: directories, each with an optional bound (\"/data/guts 500GiB\")"},
    {.name = "slots",
     .type = CONF_INTEGER,
     .offset = NODE(slots),
     .standard = "4",
     .least = 1,
     .most = 256,
     .help = "jobs at once"},
    {.name = "memory",
     .type = CONF_SIZE,
     .offset = NODE(memory_bytes),
     .standard = "0",
     .help = "memory offered to jobs; 0: all that the host has"},
    {.name = "labels",
     .type = CONF_STRINGS,
     .offset = NODE(labels),
     .standard = "[]",
     .help = "what placement may ask for, such as the networks that this node reaches"},
    {.name = "roots_read",
     .type = CONF_STRINGS,
     .offset = NODE(roots_read),
     .standard = "[]",
     .help = "directories beneath which sources may read local files"},
    {.name = "roots_write",
     .type = CONF_STRINGS,
     .offset = NODE(roots_write),
     .standard = "[]",
     .help = "directories beneath which destinations may write local files"},
    {.name = "urls",
     .type = CONF_STRINGS,
     .offset = NODE(urls),
     .standard = "[]",
     .help = "prefixes of URLs that drivers may use"},
    {.name = "private_key",
     .type = CONF_STRING,
     .offset = NODE(private_key),
     .standard = "",
     .help = "file with the keys that open sealed credentials (guts-manage keygen)"},
    {.name = "report_interval",
     .type = CONF_DURATION,
     .offset = NODE(report_interval_ms),
     .standard = "3s",
     .least = 100,
     .most = 60000,
     .help = "how often the node reports"},
    {.name = "report_expiry",
     .type = CONF_DURATION,
     .offset = NODE(report_expiry_ms),
     .standard = "30s",
     .least = 1000,
     .most = 3600000,
     .help =
         "an unread report expires after this, until the scheduler has told the lease's length"},
    {.name = "stop_grace",
     .type = CONF_DURATION,
     .offset = NODE(stop_grace_ms),
     .standard = "30s",
     .least = 0,
     .most = 3600000,
     .help = "how long a cancelled worker may take to end by itself"},
    {.name = "metrics_listen",
     .type = CONF_STRING,
     .offset = NODE(metrics_listen),
     .standard = "127.0.0.1:7020",
     .help = "address for /healthz, /readyz and /metrics; empty: none"},
};
const size_t node_conf_key_count = COUNT_OF(node_conf_keys);

const struct conf_key worker_conf_keys[] = {
    {.name = "memory",
     .type = CONF_SIZE,
     .offset = WORKER(memory_bytes),
     .standard = "2GiB",
     .help = "memory that a worker may take; 0: no limit"},
    {.name = "buffers",
     .type = CONF_SIZE,
     .offset = WORKER(buffer_bytes),
     .standard = "32MiB",
     .least = 1 << 20,
     .most = 1LL << 40,
     .help = "buffers of a job's copies, all disks together"},
    {.name = "open_files",
     .type = CONF_INTEGER,
     .offset = WORKER(open_files),
     .standard = "4096",
     .least = 64,
     .most = 1 << 20,
     .help = "files that a worker may hold open"},
    {.name = "disks_at_once",
     .type = CONF_INTEGER,
     .offset = WORKER(disks_at_once),
     .standard = "4",
     .least = 1,
     .most = 64,
     .help = "disks of one vm that are copied at once"},
    {.name = "flush_bytes",
     .type = CONF_SIZE,
     .offset = WORKER(flush_bytes),
     .standard = "64MiB",
     .least = 1 << 20,
     .most = 1LL << 40,
     .help = "copied bytes after which data and journal are synced"},
    {.name = "flush_interval",
     .type = CONF_DURATION,
     .offset = WORKER(flush_ms),
     .standard = "2s",
     .least = 10,
     .most = 600000,
     .help = "time after which data and journal are synced"},
    {.name = "stall",
     .type = CONF_DURATION,
     .offset = WORKER(stall_ms),
     .standard = "10m",
     .least = 1000,
     .most = DAY_MS,
     .help = "a worker without a sign of life for so long is ended"},
    {.name = "copy_idle",
     .type = CONF_DURATION,
     .offset = WORKER(copy_idle_ms),
     .standard = "5m",
     .least = 1000,
     .most = DAY_MS,
     .help = "a copy that moves no byte for so long has failed"},
    {.name = "restarts",
     .type = CONF_INTEGER,
     .offset = WORKER(restarts),
     .standard = "3",
     .least = 0,
     .most = 100,
     .help = "how often a crashed worker is started again"},
    {.name = "restart_first",
     .type = CONF_DURATION,
     .offset = WORKER(restart_first_ms),
     .standard = "1s",
     .least = 0,
     .most = DAY_MS,
     .help = "wait before the first restart"},
    {.name = "restart_most",
     .type = CONF_DURATION,
     .offset = WORKER(restart_most_ms),
     .standard = "1m",
     .least = 0,
     .most = DAY_MS,
     .help = "longest wait before a restart"},
    {.name = "ledger_repeat",
     .type = CONF_DURATION,
     .offset = WORKER(ledger_repeat_ms),
     .standard = "2s",
     .least = 10,
     .most = 600000,
     .help = "an unanswered ledger write is sent again after this"},
};
const size_t worker_conf_key_count = COUNT_OF(worker_conf_keys);

/* The host's name in the letters that node names have; lives for ever. */
static const char *host_node_name(void)
{
    static char name[65];
    if (gethostname(name, sizeof(name) - 1) != 0)
        return "";
    for (char *at = name; *at; at++)
        *at = (char)tolower((unsigned char)*at);
    return name;
}

static uint64_t host_memory_bytes(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : 0;
}

bool node_settings_complete(struct node_settings *node, const struct worker_settings *worker,
                            struct error *err)
{
    if (!*node->name)
        node->name = host_node_name();
    if (node->memory_bytes == 0)
        node->memory_bytes = host_memory_bytes();
    if (!topology_node_name_is_valid(node->name))
        return error_set(err, &FAULT_CONFIG, "node.name \"%s\" must be 1 to 64 of [a-z0-9.-]",
                         node->name);
    if (node->pools.count == 0)
        return error_set(err, &FAULT_CONFIG, "node.pools names no directory");
    if (worker->memory_bytes > 0 && worker->memory_bytes < 2 * worker->buffer_bytes)
        return error_set(err, &FAULT_CONFIG, "worker.memory must be at least twice worker.buffers");
    if (worker->stall_ms <= worker->flush_ms || worker->stall_ms <= worker->copy_idle_ms)
        return error_set(err, &FAULT_CONFIG,
                         "worker.stall must be longer than worker.flush_interval and "
                         "worker.copy_idle");
    if (node->report_expiry_ms <= node->report_interval_ms)
        return error_set(err, &FAULT_CONFIG,
                         "node.report_expiry must be longer than node.report_interval");
    return true;
}
