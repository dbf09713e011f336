/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/progress.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client/cli/output.h"
#include "common/base/clock.h"
#include "common/base/memory.h"

#define DISKS_SHOWN 16
#define RATE_WINDOW_MS 8000
#define PLAIN_EVERY_MS 10000

/* The rate of one disk: a sample of its position some seconds ago. */
struct meter {
    uint64_t then_ms, then_bytes;
    uint64_t now_bytes, total_bytes;
    double rate; /* bytes a second, smoothed */
};

struct row {
    struct row *next;
    char id[40];
    char *name; /* cleaned */
    char state[24];
    char step[48];
    bool resting;
    size_t disk_count;
    struct meter disks[DISKS_SHOWN];
    uint64_t said_ms; /* plain mode: when its last line was written */
};

struct progress {
    FILE *out;
    bool terminal;
    struct row *rows, **tail;
    unsigned drawn; /* lines on the screen that are ours */
};

struct progress *progress_new(FILE *out)
{
    struct progress *progress = xcalloc(1, sizeof(*progress));
    progress->out = out;
    progress->terminal = isatty(fileno(out));
    progress->tail = &progress->rows;
    return progress;
}

void progress_free(struct progress *progress)
{
    if (progress == NULL)
        return;
    while (progress->rows != NULL) {
        struct row *row = progress->rows;
        progress->rows = row->next;
        free(row->name);
        free(row);
    }
    free(progress);
}

bool progress_is_resting(const json_t *migration)
{
    static const char *const resting[] = {"VERIFIED", "CLEANED", "FAILED", "ROLLED_BACK",
                                          "CANCELLED"};
    for (size_t i = 0; i < COUNT_OF(resting); i++)
        if (strcmp(output_text(migration, "state"), resting[i]) == 0)
            return true;
    return false;
}

static struct row *find_row(struct progress *progress, const json_t *migration)
{
    const char *id = output_text(migration, "id");
    for (struct row *row = progress->rows; row != NULL; row = row->next)
        if (strcmp(row->id, id) == 0)
            return row;
    struct row *row = xcalloc(1, sizeof(*row));
    snprintf(row->id, sizeof(row->id), "%s", id);
    row->name = output_clean(output_text(migration, "vm_name"));
    *progress->tail = row;
    progress->tail = &row->next;
    return row;
}

static void update_meter(struct meter *meter, const json_t *disk, uint64_t now_ms)
{
    uint64_t done = (uint64_t)json_integer_value(json_object_get(disk, "done_bytes"));
    meter->total_bytes = (uint64_t)json_integer_value(json_object_get(disk, "total_bytes"));
    if (meter->then_ms == 0 || done < meter->then_bytes) {
        meter->then_ms = now_ms;
        meter->then_bytes = done;
    }
    meter->now_bytes = done;
    uint64_t passed = now_ms - meter->then_ms;
    if (passed > 0)
        meter->rate = (double)(done - meter->then_bytes) * 1000.0 / (double)passed;
    if (passed > RATE_WINDOW_MS) {
        meter->then_ms = now_ms;
        meter->then_bytes = done;
    }
}

/* The last step that runs or ran. */
static void update_step(struct row *row, const json_t *migration)
{
    const json_t *steps = json_object_get(migration, "steps");
    size_t count = json_array_size(steps);
    if (count > 0)
        snprintf(row->step, sizeof(row->step), "%s",
                 output_text(json_array_get(steps, count - 1), "name"));
}

/* "45 % of 1.2 GiB, 230 MiB/s, 3s left" for all disks of a row. */
static void sum_text(const struct row *row, char *ret_text, size_t size)
{
    uint64_t done = 0, total = 0;
    double rate = 0;
    for (size_t i = 0; i < row->disk_count; i++) {
        done += row->disks[i].now_bytes;
        total += row->disks[i].total_bytes;
        rate += row->disks[i].rate;
    }
    ret_text[0] = '\0';
    if (total == 0)
        return;
    char whole[32], speed[32], left[32];
    format_bytes(total, whole, sizeof(whole));
    format_bytes((uint64_t)rate, speed, sizeof(speed));
    format_duration(rate > 0 ? (uint64_t)((double)(total - done) / rate) : 0, left, sizeof(left));
    snprintf(ret_text, size, ", %" PRIu64 " %% of %s, %s/s%s%s%s", done * 100 / total, whole, speed,
             rate > 0 ? ", " : "", rate > 0 ? left : "", rate > 0 ? " left" : "");
}

static void say_plain(FILE *out, struct row *row, uint64_t now_ms, bool changed)
{
    if (!changed && now_ms - row->said_ms < PLAIN_EVERY_MS)
        return;
    char sum[160];
    sum_text(row, sum, sizeof(sum));
    fprintf(out, "%s: %s%s\n", row->name, row->state, row->resting ? "" : sum);
    fflush(out);
    row->said_ms = now_ms;
}

void progress_update(struct progress *progress, const json_t *migration)
{
    struct row *row = find_row(progress, migration);
    uint64_t now_ms = clock_mono_ms();
    bool changed = strcmp(row->state, output_text(migration, "state")) != 0;
    bool was_resting = row->resting;
    snprintf(row->state, sizeof(row->state), "%s", output_text(migration, "state"));
    row->resting = progress_is_resting(migration);
    update_step(row, migration);
    const json_t *disks = json_object_get(migration, "disks");
    row->disk_count = json_array_size(disks) < DISKS_SHOWN ? json_array_size(disks) : DISKS_SHOWN;
    for (size_t i = 0; i < row->disk_count; i++)
        update_meter(&row->disks[i], json_array_get(disks, i), now_ms);
    if (!progress->terminal && (changed || !row->resting))
        say_plain(progress->out, row, now_ms, changed);
    else if (progress->terminal && row->resting && !was_resting)
        progress_say(progress, "%s: %s", row->name, row->state);
}

static void terminal_size(int fd, unsigned *ret_lines, unsigned *ret_columns)
{
    struct winsize size = {0};
    bool known = ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_row > 0;
    *ret_lines = known ? size.ws_row : 24;
    *ret_columns = known && size.ws_col > 20 ? size.ws_col : 80;
}

static void erase(struct progress *progress)
{
    if (progress->drawn > 0)
        fprintf(progress->out, "\033[%uA\033[J", progress->drawn);
    progress->drawn = 0;
}

static void draw_disk(FILE *out, const struct row *row, size_t index, unsigned columns)
{
    const struct meter *meter = &row->disks[index];
    char done[32], total[32], rate[32], left[32] = "", text[160];
    format_bytes(meter->now_bytes, done, sizeof(done));
    format_bytes(meter->total_bytes, total, sizeof(total));
    format_bytes((uint64_t)meter->rate, rate, sizeof(rate));
    uint64_t rest = meter->total_bytes - meter->now_bytes;
    if (meter->rate >= 1.0 && meter->now_bytes <= meter->total_bytes)
        format_duration((uint64_t)((double)rest / meter->rate), left, sizeof(left));
    int length = snprintf(text, sizeof(text), "%s of %s  %s/s  %s", done, total, rate, left);
    unsigned width = columns > 24 + (unsigned)length ? columns - 24 - (unsigned)length : 0;
    if (width > 40)
        width = 40;
    unsigned full =
        meter->total_bytes > 0
            ? (unsigned)((double)width * (double)meter->now_bytes / (double)meter->total_bytes)
            : 0;
    fprintf(out, "  disk %-2zu [", index);
    for (unsigned i = 0; i < width; i++)
        fputc(i < full ? '=' : (i == full ? '>' : ' '), out);
    fprintf(out, "] %3.0f%%  %s\n",
            meter->total_bytes > 0 ? 100.0 * (double)meter->now_bytes / (double)meter->total_bytes
                                   : 0.0,
            text);
}

void progress_draw(struct progress *progress)
{
    if (!progress->terminal)
        return;
    unsigned lines, columns, waiting = 0, resting = 0;
    terminal_size(fileno(progress->out), &lines, &columns);
    erase(progress);
    for (const struct row *row = progress->rows; row != NULL; row = row->next) {
        unsigned needs = 1 + (unsigned)row->disk_count;
        resting += row->resting;
        if (row->resting)
            continue;
        if (progress->drawn + needs + 3 > lines) {
            waiting++;
            continue;
        }
        fprintf(progress->out, "%.*s  %s  %s\n", (int)columns - 40 > 10 ? (int)columns - 40 : 10,
                row->name, row->state, row->step);
        for (size_t i = 0; i < row->disk_count; i++)
            draw_disk(progress->out, row, i, columns);
        progress->drawn += needs;
    }
    if (waiting > 0) {
        fprintf(progress->out, "… and %u more; %u ended\n", waiting, resting);
        progress->drawn++;
    }
    fflush(progress->out);
}

void progress_say(struct progress *progress, const char *format, ...)
{
    if (progress->terminal)
        erase(progress);
    va_list args;
    va_start(args, format);
    vfprintf(progress->out, format, args);
    va_end(args);
    fputc('\n', progress->out);
    fflush(progress->out);
}
