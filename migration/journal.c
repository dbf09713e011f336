/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "common/base/crashpoint.h"
#include "common/base/file.h"
#include "common/base/memory.h"

#define HEAD_BYTES 16
#define WINDOW_BYTES (2u * JOURNAL_RECORD_MOST_BYTES) /* at least one record */

struct journal {
    int fd;
    uint64_t end;           /* of the valid records */
    enum journal_kind last; /* appended here; 0: none */
};

const char *journal_kind_name(enum journal_kind kind)
{
    static const char *const names[] = {
        [JOURNAL_JOB] = "job",       [JOURNAL_RUN] = "run",           [JOURNAL_WORKER] = "worker",
        [JOURNAL_STEP] = "step",     [JOURNAL_IDENTITY] = "identity", [JOURNAL_CHUNKS] = "chunks",
        [JOURNAL_LEDGER] = "ledger", [JOURNAL_RESULT] = "result",     [JOURNAL_CRASH] = "crash",
    };
    return kind < COUNT_OF(names) && names[kind] ? names[kind] : "unknown";
}

static void put_32(uint8_t *into, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        into[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t get_32(const uint8_t *from)
{
    return (uint32_t)from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 |
           (uint32_t)from[3] << 24;
}

static uint64_t get_64(const uint8_t *from)
{
    return get_32(from) | (uint64_t)get_32(from + 4) << 32;
}

/* Seeded with the offset, so that a stale record left behind a cut never counts. */
static uint64_t checksum(const uint8_t *head, const void *data, size_t length, uint64_t offset)
{
    uint64_t seed = XXH3_64bits_withSeed(head, 8, offset);
    return XXH3_64bits_withSeed(data, length, seed);
}

/* The valid records from `base` on, of which `bytes` are `length`. */
static size_t parse_at(const uint8_t *bytes, size_t length, uint64_t base, journal_visit *visit,
                       void *context, bool *ret_stopped)
{
    size_t at = 0;
    *ret_stopped = false;
    while (!*ret_stopped && length - at >= HEAD_BYTES) {
        const uint8_t *head = bytes + at;
        size_t size = get_32(head);
        uint32_t kind = get_32(head + 4);
        if (size > JOURNAL_RECORD_MOST_BYTES || size > length - at - HEAD_BYTES)
            break;
        if (kind < JOURNAL_JOB || kind > JOURNAL_CRASH ||
            get_64(head + 8) != checksum(head, head + HEAD_BYTES, size, base + at))
            break;
        *ret_stopped = visit && !visit(context, (enum journal_kind)kind, head + HEAD_BYTES, size);
        at += HEAD_BYTES + size;
    }
    return at;
}

size_t journal_parse(const void *bytes, size_t length, journal_visit *visit, void *context)
{
    bool stopped;
    return parse_at(bytes, length, 0, visit, context, &stopped);
}

/* Up to length bytes: less at the end of the file. */
static bool read_some(int fd, uint8_t *ret_bytes, size_t length, uint64_t offset,
                      size_t *ret_length, struct error *err)
{
    size_t done = 0;
    while (done < length) {
        ssize_t got = pread(fd, ret_bytes + done, length - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set_errno(err, errno, "reading the journal");
        if (got == 0)
            break;
        done += (size_t)got;
    }
    *ret_length = done;
    return true;
}

/* The records in the first `size` bytes of the file, through a window: a journal grows with the disks
 * that are copied, memory does not. Read, not mapped: its owner may cut a torn tail meanwhile, and a page
 * that is no more kills. */
static bool walk(int fd, uint64_t size, journal_visit *visit, void *context, uint64_t *ret_end,
                 struct error *err)
{
    size_t room = size < WINDOW_BYTES ? (size_t)size : WINDOW_BYTES, got = 0;
    CLEANUP(xfreep) uint8_t *window = xcalloc(1, room + 1);
    uint64_t at = 0;
    bool end = false;
    while (!end) {
        size_t want = size - at < room ? (size_t)(size - at) : room;
        if (!read_some(fd, window, want, at, &got, err))
            return false;
        bool stopped;
        size_t valid = parse_at(window, got, at, visit, context, &stopped);
        end = stopped || valid == 0 || got < room || at + got == size;
        at += valid;
    }
    *ret_end = at;
    return true;
}

static bool find_end(struct journal *journal, struct error *err)
{
    struct stat status;
    if (fstat(journal->fd, &status) != 0)
        return error_set_errno(err, errno, "looking at the journal");
    uint64_t size = (uint64_t)status.st_size;
    if (!walk(journal->fd, size, NULL, NULL, &journal->end, err))
        return false;
    if (journal->end < size && ftruncate(journal->fd, (off_t)journal->end) != 0)
        return error_set_errno(err, errno, "cutting the journal's torn tail");
    return journal_sync(journal, err);
}

bool journal_open(const char *directory, struct journal **ret_journal, struct error *err)
{
    CLEANUP(xfreep) char *path = xasprintf("%s/journal", directory);
    struct journal *journal = xcalloc(1, sizeof(*journal));
    journal->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool good = journal->fd >= 0 || error_set_errno(err, errno, "opening \"%s\"", path);
    if (!good || !find_end(journal, err) || !file_sync_directory(directory, err)) {
        journal_close(journal);
        return false;
    }
    *ret_journal = journal;
    return true;
}

void journal_close(struct journal *journal)
{
    if (!journal)
        return;
    fd_closep(&journal->fd);
    free(journal);
}

bool journal_append(struct journal *journal, enum journal_kind kind, const void *data,
                    size_t length, struct error *err)
{
    if (length > JOURNAL_RECORD_MOST_BYTES)
        return error_set(err, &FAULT_TOO_LARGE, "a journal record of %zu bytes", length);
    CLEANUP(buffer_fini) struct buffer record = {0};
    uint8_t head[HEAD_BYTES];
    put_32(head, (uint32_t)length);
    put_32(head + 4, (uint32_t)kind);
    uint64_t sum = checksum(head, data, length, journal->end);
    put_32(head + 8, (uint32_t)sum);
    put_32(head + 12, (uint32_t)(sum >> 32));
    buffer_append(&record, head, sizeof(head));
    buffer_append(&record, data, length);
    crashpoint("before_journal_append", journal_kind_name(kind));
    if (!file_pwrite_all(journal->fd, record.data, record.length, journal->end, err))
        return error_prefix(err, "appending to the journal");
    journal->end += record.length;
    journal->last = kind;
    crashpoint("before_journal_flush", journal_kind_name(kind));
    return true;
}

bool journal_sync(struct journal *journal, struct error *err)
{
    if (fdatasync(journal->fd) != 0)
        return error_set_errno(err, errno, "syncing the journal");
    if (journal->last)
        crashpoint("after_journal_flush", journal_kind_name(journal->last));
    return true;
}

bool journal_replay(const struct journal *journal, journal_visit *visit, void *context,
                    struct error *err)
{
    uint64_t end;
    return walk(journal->fd, journal->end, visit, context, &end, err);
}

bool journal_peek(const char *directory, journal_visit *visit, void *context, struct error *err)
{
    CLEANUP(xfreep) char *path = xasprintf("%s/journal", directory);
    CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat status;
    uint64_t end;
    if (fd < 0 || fstat(fd, &status) != 0)
        return error_set_errno(err, errno, "opening \"%s\"", path);
    return walk(fd, (uint64_t)status.st_size, visit, context, &end, err);
}
