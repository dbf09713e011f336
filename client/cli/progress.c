/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/progress.h"

#include <search.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "client/cli/output.h"
#include "common/base/clock.h"
#include "common/base/memory.h"

#define DISKS_SHOWN 16
#define BAR_MOST 40
#define RATE_WINDOW_MS 8000
#define PLAIN_EVERY_MS 10000
#define PLAIN_MOST 20 /* rows that tell how far they are */

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
    struct meter sum; /* of all disks, also of those that are not shown */
    char *why;        /* it does not go on, as it was said last; NULL: not said */
    uint64_t said_ms; /* plain mode: when its last line was written */
};

struct progress {
    FILE *out;
    bool terminal;
    struct row *rows, **tail;
    void *tree; /* the same rows by id */
    size_t count;
    unsigned drawn; /* lines on the screen that are ours */
};

static int compare_rows(const void *a, const void *b)
{
    return strcmp(((const struct row *)a)->id, ((const struct row *)b)->id);
}

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
        tdelete(row, &progress->tree, compare_rows);
        progress->rows = row->next;
        free(row->name);
        free(row->why);
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
    struct row *row = xcalloc(1, sizeof(*row));
    snprintf(row->id, sizeof(row->id), "%s", id);
    struct row **place = tsearch(row, &progress->tree, compare_rows);
    if (place == NULL)
        abort(); /* no memory */
    if (*place != row) {
        free(row);
        return *place;
    }
    progress->count++;
    row->name = output_clean(output_text(migration, "vm_name"));
    *progress->tail = row;
    progress->tail = &row->next;
    return row;
}

static void update_meter(struct meter *meter, const json_t *disk, uint64_t now_ms)
{
    json_int_t total_bytes = json_integer_value(json_object_get(disk, "total_bytes"));
    json_int_t done_bytes = json_integer_value(json_object_get(disk, "done_bytes"));
    meter->total_bytes = total_bytes > 0 ? (uint64_t)total_bytes : 0;
    uint64_t done = done_bytes > 0 ? (uint64_t)done_bytes : 0;
    if (done > meter->total_bytes)
        done = meter->total_bytes;
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

static void copy_clean(char *ret_text, size_t size, const char *text)
{
    CLEANUP(xfreep) char *clean = output_clean(text);
    snprintf(ret_text, size, "%s", clean);
}

/* The last step that runs or ran. */
static void update_step(struct row *row, const json_t *migration)
{
    const json_t *steps = json_object_get(migration, "steps");
    size_t count = json_array_size(steps);
    if (count > 0)
        copy_clean(row->step, sizeof(row->step),
                   output_text(json_array_get(steps, count - 1), "name"));
}

/* How much is done, from 0 to 1; a disk without a byte is done. */
static double part_of(const struct meter *meter)
{
    return meter->total_bytes > 0 ? (double)meter->now_bytes / (double)meter->total_bytes : 1.0;
}

/* "" while nothing moves, or so slowly that no number makes sense. */
static void left_text(const struct meter *meter, char *ret_text, size_t size)
{
    uint64_t rest = meter->total_bytes - meter->now_bytes;
    ret_text[0] = '\0';
    if (meter->rate >= 1.0 && (double)rest / meter->rate < 1e9)
        format_duration((uint64_t)((double)rest / meter->rate), ret_text, size);
}

/* "45 % of 1.2 GiB, 230 MiB/s, 3s left" for all disks of a row. */
static void sum_text(const struct row *row, char *ret_text, size_t size)
{
    const struct meter *sum = &row->sum;
    ret_text[0] = '\0';
    if (sum->total_bytes == 0)
        return;
    char whole[32], speed[32], left[40] = "";
    format_bytes(sum->total_bytes, whole, sizeof(whole));
    format_bytes((uint64_t)sum->rate, speed, sizeof(speed));
    left_text(sum, left, sizeof(left));
    snprintf(ret_text, size, ", %.0f %% of %s, %s/s%s%s%s", part_of(sum) * 100, whole, speed,
             left[0] != '\0' ? ", " : "", left, left[0] != '\0' ? " left" : "");
}

/* Of many, only changes are told. */
static void say_plain(FILE *out, struct row *row, uint64_t now_ms, bool changed, bool many)
{
    if (!changed && (many || now_ms - row->said_ms < PLAIN_EVERY_MS))
        return;
    char sum[160];
    sum_text(row, sum, sizeof(sum));
    fprintf(out, "%s: %s%s\n", row->name, row->state, row->resting ? "" : sum);
    fflush(out);
    row->said_ms = now_ms;
}

/* "2 node_disabled, 1 space": why no node takes it. */
static void count_reasons(const json_t *migration, struct buffer *text)
{
    const char *reason;
    json_t *count;
    json_object_foreach((json_t *)output_field(migration, "waiting.reasons.counts"), reason, count)
        buffer_printf(text, "%s%" JSON_INTEGER_FORMAT " %s", text->length > 0 ? ", " : "",
                      json_integer_value(count), reason);
}

/* Says once what holds up one that moves: a fault after which it is tried again, or nodes that do not
 * take it. */
static void say_why(struct progress *progress, struct row *row, const json_t *migration)
{
    CLEANUP(buffer_fini) struct buffer text = {0};
    const char *code = output_text(migration, "fault.code");
    bool waits = strcmp(row->state, "PENDING") == 0 || strcmp(row->state, "SCHEDULED") == 0;
    if (code[0] != '\0')
        buffer_printf(&text, "%s [%s]%s", output_text(migration, "fault.detail"), code,
                      waits ? "; it is tried again" : "");
    else
        count_reasons(migration, &text);
    if (row->resting || text.length == 0)
        return;
    CLEANUP(xfreep) char *why = output_clean(text.data);
    if (row->why != NULL && strcmp(row->why, why) == 0)
        return;
    progress_say(progress, "%s: %s%s", row->name,
                 code[0] != '\0' ? "" : "no node takes it yet: ", why);
    free(row->why);
    row->why = xstrdup(why);
}

void progress_update(struct progress *progress, const json_t *migration)
{
    struct row *row = find_row(progress, migration);
    uint64_t now_ms = clock_mono_ms();
    char state[sizeof(row->state)];
    copy_clean(state, sizeof(state), output_text(migration, "state"));
    bool changed = strcmp(row->state, state) != 0;
    bool was_resting = row->resting;
    memcpy(row->state, state, sizeof(state));
    row->resting = progress_is_resting(migration);
    update_step(row, migration);
    update_meter(&row->sum, migration, now_ms);
    const json_t *disks = json_object_get(migration, "disks");
    if (disks == NULL) /* a list tells no more */
        row->disk_count = 0;
    else
        row->disk_count =
            json_array_size(disks) < DISKS_SHOWN ? json_array_size(disks) : DISKS_SHOWN;
    for (size_t i = 0; i < row->disk_count; i++)
        update_meter(&row->disks[i], json_array_get(disks, i), now_ms);
    say_why(progress, row, migration);
    if (!progress->terminal && (changed || !row->resting))
        say_plain(progress->out, row, now_ms, changed, progress->count > PLAIN_MOST);
    else if (progress->terminal && row->resting && !was_resting)
        progress_say(progress, "%s: %s", row->name, row->state);
}

static void terminal_size(int fd, unsigned *ret_lines, unsigned *ret_columns)
{
    struct winsize size = {0};
    bool known = ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_row > 0;
    *ret_lines = known ? size.ws_row : 24;
    *ret_columns = known && size.ws_col > 0 ? size.ws_col : 80;
}

static void erase(struct progress *progress)
{
    if (progress->drawn > 0)
        fprintf(progress->out, "\033[%uA\033[J", progress->drawn);
    progress->drawn = 0;
}

/* A line of ours, cut to the width of the terminal: one that wraps would spoil the erasing. */
static void put_line(FILE *out, const char *text, unsigned columns)
{
    mbstate_t state = {0};
    unsigned used = 0;
    while (*text != '\0') {
        wchar_t character;
        size_t length = mbrtowc(&character, text, MB_CUR_MAX, &state);
        bool broken = length == 0 || length > MB_CUR_MAX;
        int width = broken ? 1 : wcwidth(character);
        width = width < 0 ? 1 : width;
        if (used + (unsigned)width >= columns)
            break;
        if (broken || wcwidth(character) < 0) {
            fputc('?', out);
            state = (mbstate_t){0};
        } else {
            fwrite(text, 1, length, out);
        }
        used += (unsigned)width;
        text += broken ? 1 : length;
    }
    fputc('\n', out);
}

static void draw_disk(FILE *out, const struct row *row, size_t index, unsigned columns)
{
    const struct meter *meter = &row->disks[index];
    char done[32], total[32], rate[32], left[40], text[160], line[256], bar[BAR_MOST + 1];
    format_bytes(meter->now_bytes, done, sizeof(done));
    format_bytes(meter->total_bytes, total, sizeof(total));
    format_bytes((uint64_t)meter->rate, rate, sizeof(rate));
    left_text(meter, left, sizeof(left));
    int length = snprintf(text, sizeof(text), "%s of %s  %s/s  %s", done, total, rate, left);
    unsigned width = columns > 24 + (unsigned)length ? columns - 24 - (unsigned)length : 0;
    width = width > BAR_MOST ? BAR_MOST : width;
    unsigned full = (unsigned)((double)width * part_of(meter));
    for (unsigned i = 0; i < width; i++)
        bar[i] = i < full ? '=' : (i == full ? '>' : ' ');
    bar[width] = '\0';
    snprintf(line, sizeof(line), "  disk %-2zu %s%s%s%3.0f%%  %s", index, width > 0 ? "[" : "", bar,
             width > 0 ? "] " : "", part_of(meter) * 100, text);
    put_line(out, line, columns);
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
        char sum[160] = "";
        if (row->disk_count == 0)
            sum_text(row, sum, sizeof(sum));
        CLEANUP(xfreep)
        char *line = xasprintf("%s  %s%s  %s", row->state, row->step, sum, row->name);
        put_line(progress->out, line, columns);
        for (size_t i = 0; i < row->disk_count; i++)
            draw_disk(progress->out, row, i, columns);
        progress->drawn += needs;
    }
    if (waiting > 0) {
        CLEANUP(xfreep) char *line = xasprintf("... and %u more; %u ended", waiting, resting);
        put_line(progress->out, line, columns);
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
