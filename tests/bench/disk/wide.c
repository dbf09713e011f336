/* SPDX-License-Identifier: Apache-2.0
 *
 * Copies of disks that no machine has room for, to see what memory they take: bench_disk_wide CASE [SECONDS]
 * runs one and prints "wall cpu peak-MiB copied-MiB total-MiB". After SECONDS a copy is stopped: its map and
 * tables were whole at its beginning, only bytes are missing. Started anew for each case, so that the peak
 * is that of the case.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fcntl.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "migration/disk/copy.h"
#include "migration/disk/disk_ops.h"
#include "migration/disk/qcow2.h"
#include "migration/disk/stream.h"
#include "proto/fault.h"

#define KIB 1024ull
#define TIB (1ull << 40)
#define DISKS_MOST 8

/* -- a disk with data at the start of each period ---------------------------------------------------- */

struct striped {
    struct disk disk;
    uint64_t period_bytes;
    uint64_t data_bytes;
};

static bool striped_read(struct disk *disk, void *ret_data, size_t length, uint64_t offset,
                         struct error *err)
{
    memset(ret_data, (int)(offset >> 16 | 1), length); /* only data is asked for */
    return true;
}

static bool striped_extents(struct disk *disk, uint64_t offset, uint64_t length,
                            struct disk_extent *ret_extents, size_t most, size_t *ret_count,
                            struct error *err)
{
    const struct striped *striped = (const struct striped *)disk;
    size_t count = 0;
    for (; length > 0 && count < most; count++) {
        uint64_t inside = offset % striped->period_bytes;
        bool is_data = inside < striped->data_bytes;
        uint64_t rest = (is_data ? striped->data_bytes : striped->period_bytes) - inside;
        if (rest > length)
            rest = length;
        ret_extents[count] =
            (struct disk_extent){offset, rest, is_data ? DISK_EXTENT_DATA : DISK_EXTENT_HOLE};
        offset += rest;
        length -= rest;
    }
    *ret_count = count;
    return true;
}

static void striped_close(struct disk *disk)
{
    disk_fini(disk);
    free(disk);
}

static const struct disk_ops striped_ops = {
    .name = "striped", .read = striped_read, .close = striped_close, .extents = striped_extents};

static struct disk *striped_new(uint64_t size_bytes, uint64_t period_bytes, uint64_t data_bytes)
{
    struct striped *striped = xcalloc(1, sizeof(*striped));
    striped->period_bytes = period_bytes;
    striped->data_bytes = data_bytes;
    disk_init(&striped->disk, &striped_ops, xstrdup("striped"), NULL, size_bytes, DISK_RANDOM, 4);
    return &striped->disk;
}

/* -- cases ------------------------------------------------------------------------------------------- */

enum target { TO_STREAM, TO_FILE, TO_NOTHING };
static const struct wide_case {
    const char *name;
    uint64_t size_bytes, period_bytes, data_bytes;
    enum target target;
    size_t disks;
} cases[] = {
    /* As large as a VMDK can be, nearly empty. */
    {"sparse-62t-stream", 62 * TIB, 64 * KIB << 20, 64 * KIB, TO_STREAM, 1},
    {"sparse-62t-file", 62 * TIB, 64 * KIB << 20, 64 * KIB, TO_FILE, 1},
    /* One cluster in each second table: every table is made. */
    {"tables-4t-file", 4 * TIB, 1ull << 30, 64 * KIB, TO_FILE, 1},
    /* Every second cluster: no larger map can be. */
    {"fragmented-4t-stream", 4 * TIB, 128 * KIB, 64 * KIB, TO_STREAM, 1},
    {"fragmented-4t-8-disks", 4 * TIB, 128 * KIB, 64 * KIB, TO_STREAM, 8},
    /* A KiB in each MiB: a digest for each chunk, those that time does not suffice for made up. */
    {"digests-4t", 4 * TIB, 1ull << 20, 1 * KIB, TO_NOTHING, 1},
};

static const char *directory(void)
{
    const char *name = getenv("TMPDIR");
    return name != NULL ? name : "/tmp";
}

static bool drop(void *context, const void *data, size_t length, struct error *err)
{
    return true;
}

static bool open_target(const struct wide_case *wide, struct disk *from, struct disk **ret_to,
                        struct error *err)
{
    uint64_t stream_bytes = 0;
    if (wide->target == TO_NOTHING)
        return true;
    if (wide->target == TO_STREAM)
        return disk_qcow2_stream_open(from, (struct disk_sink){drop, NULL, NULL}, directory(),
                                      ret_to, &stream_bytes, err);
    int fd = open(directory(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set(err, &FAULT_IO, "cannot make a file in \"%s\"", directory());
    struct disk_qcow2_plan plan = {.fd = fd, .size_bytes = wide->size_bytes, .lazy = true};
    return disk_qcow2_create(&plan, ret_to, err);
}

static bool note(void *context, const struct copy_chunk *chunks, size_t count, struct error *err)
{
    for (size_t i = 0; i < count; i++)
        copy_digests_set(context, &chunks[i]);
    return true;
}

/* Stops the copies when their time is over. */
struct bell {
    struct copy_control *controls;
    size_t count;
    uint64_t seconds;
    _Atomic bool over;
    _Atomic bool rang;
};

static void *ring(void *argument)
{
    struct bell *bell = argument;
    uint64_t until_ms = clock_mono_ms() + bell->seconds * 1000;
    while (!bell->over && clock_mono_ms() < until_ms)
        usleep(50000);
    bell->rang = !bell->over;
    for (size_t i = 0; i < bell->count; i++)
        bell->controls[i].stop = true;
    return NULL;
}

static void fill(const struct wide_case *wide, struct copy_digests *digests)
{
    struct copy_chunk chunk = {.digest = {1}};
    for (; chunk.index < wide->size_bytes / COPY_CHUNK_BYTES; chunk.index++)
        copy_digests_set(digests, &chunk);
}

static bool run_copies(const struct copy_plan *plans, struct copy_control *controls, size_t count,
                       uint64_t seconds, struct error *err)
{
    struct bell bell = {.controls = controls, .count = count, .seconds = seconds};
    pthread_t thread;
    if (pthread_create(&thread, NULL, ring, &bell) != 0)
        abort();
    bool ok = copy_run_all(plans, count, err);
    bell.over = true;
    pthread_join(thread, NULL);
    return ok || (bell.rang && err->fault == &FAULT_CANCELLED);
}

static bool run_case(const struct wide_case *wide, uint64_t seconds, uint64_t *ret_done,
                     uint64_t *ret_total, struct error *err)
{
    struct copy_control controls[DISKS_MOST] = {0};
    struct copy_plan plans[DISKS_MOST];
    struct copy_budget *budget = copy_budget_new(0);
    bool ok = true;
    for (size_t i = 0; i < wide->disks; i++) {
        struct copy_digests *digests = copy_digests_new(wide->size_bytes);
        copy_digests_spill(digests, directory());
        plans[i] = (struct copy_plan){
            .from = striped_new(wide->size_bytes, wide->period_bytes, wide->data_bytes),
            .to_is_zero = true,
            .budget = budget,
            .control = &controls[i],
            .flushed = note,
            .context = digests,
        };
        ok = ok && open_target(wide, plans[i].from, &plans[i].to, err);
    }
    ok = ok && run_copies(plans, controls, wide->disks, seconds, err);
    for (size_t i = 0; i < wide->disks; i++) {
        char text[COPY_DIGEST_TEXT_SIZE];
        if (wide->target == TO_NOTHING)
            fill(wide, plans[i].context);
        copy_digests_text(plans[i].context, text);
        *ret_done += controls[i].done_bytes;
        *ret_total += wide->size_bytes / wide->period_bytes * wide->data_bytes;
        if (ok && !controls[i].stop && plans[i].to != NULL)
            ok = disk_finish(plans[i].to, err);
        else
            disk_close(plans[i].to);
        disk_close(plans[i].from);
        copy_digests_free(plans[i].context);
    }
    copy_budget_free(budget);
    return ok;
}

/* Of this program alone: what getrusage tells begins with that of the one that started it. */
static double peak_mib(void)
{
    char line[256];
    unsigned long kib = 0;
    FILE *status = fopen("/proc/self/status", "re");
    while (status != NULL && fgets(line, sizeof(line), status) != NULL)
        (void)sscanf(line, "VmHWM: %lu", &kib);
    if (status != NULL)
        fclose(status);
    return (double)kib / 1024;
}

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

int main(int argc, char **argv)
{
    const struct wide_case *wide = NULL;
    for (size_t i = 0; argc > 1 && i < COUNT_OF(cases); i++)
        wide = strcmp(argv[1], cases[i].name) == 0 ? &cases[i] : wide;
    if (wide == NULL) {
        for (size_t i = 0; i < COUNT_OF(cases); i++)
            puts(cases[i].name);
        return argc > 1 ? 2 : 0;
    }
    struct error err = {0};
    uint64_t begun_ms = clock_mono_ms(), done = 0, total = 0;
    if (!run_case(wide, argc > 2 ? strtoul(argv[2], NULL, 10) : 3600, &done, &total, &err)) {
        fprintf(stderr, "%s: %s\n", wide->name, err.text);
        return 1;
    }
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("%.1f %.1f %.1f %.0f %.0f\n", (double)(clock_mono_ms() - begun_ms) / 1000,
           seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime), peak_mib(),
           (double)done / (1 << 20), (double)total / (1 << 20));
    return 0;
}
