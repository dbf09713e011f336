/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/source/tarball.h"

#include <stdio.h>
#include <string.h>

#include "migration/source/foreign.h"
#include "proto/fault.h"

#define BLOCK 512u
#define EXTENSION_MOST 65536u /* of a pax or GNU header */

/* Offsets in a header (POSIX.1-1988, section 10.1.1). */
enum { NAME = 0, SIZE = 124, CHECKSUM = 148, TYPE = 156, MAGIC = 257, PREFIX = 345 };

struct walk {
    const struct tarball_reader *reader;
    struct arena *arena;
    struct tarball *archive;
    uint64_t offset;
    const char *next_name; /* by an extension, for the next member; or NULL */
    uint64_t next_size;
    bool has_next_size;
};

static bool invalid(const struct walk *walk, const char *what, struct error *err)
{
    return error_set(err, &FAULT_ARCHIVE_INVALID, "%s at byte %llu of the archive", what,
                     (unsigned long long)walk->offset);
}

static bool is_zero(const unsigned char *block)
{
    for (size_t i = 0; i < BLOCK; i++) {
        if (block[i] != 0)
            return false;
    }
    return true;
}

static bool octal(const unsigned char *field, size_t length, uint64_t *ret_number)
{
    uint64_t number = 0;
    size_t i = 0, digits = 0;
    while (i < length && field[i] == ' ')
        i++;
    for (; i < length && field[i] >= '0' && field[i] <= '7'; i++, digits++) {
        if (number >> 60 != 0)
            return false;
        number = number * 8 + (uint64_t)(field[i] - '0');
    }
    *ret_number = number;
    return digits > 0 && (i == length || field[i] == ' ' || field[i] == '\0');
}

/* Octal, or base 256 when the first bit is set (sizes from 8 GiB on). */
static bool read_size(const unsigned char *header, uint64_t *ret_size)
{
    const unsigned char *field = header + SIZE;
    if ((field[0] & 0x80) == 0)
        return octal(field, 12, ret_size);
    uint64_t number = field[0] & 0x7f;
    for (size_t i = 1; i < 12; i++) {
        if (number >> 54 != 0)
            return false;
        number = number << 8 | field[i];
    }
    *ret_size = number;
    return true;
}

static bool checksum_fits(const unsigned char *header)
{
    uint64_t told, sum = 0;
    for (size_t i = 0; i < BLOCK; i++)
        sum += i >= CHECKSUM && i < CHECKSUM + 8 ? ' ' : header[i];
    return octal(header + CHECKSUM, 8, &told) && told == sum;
}

static bool name_is_plain(const char *name)
{
    if (name[0] == '\0' || name[0] == '/' || strchr(name, '\\') != NULL ||
        !foreign_is_printable(name))
        return false;
    while (*name != '\0') {
        size_t length = strcspn(name, "/");
        if (length == 0 || (length == 2 && strncmp(name, "..", 2) == 0))
            return false;
        name += length + (name[length] == '/');
    }
    return true;
}

static const char *read_name(struct walk *walk, const unsigned char *header)
{
    if (walk->next_name != NULL)
        return walk->next_name;
    const char *name = (const char *)header + NAME, *prefix = (const char *)header + PREFIX;
    int name_length = (int)strnlen(name, 100), prefix_length = (int)strnlen(prefix, 155);
    bool posix = memcmp(header + MAGIC, "ustar\0", 6) == 0;
    if (posix && prefix_length > 0)
        return arena_printf(walk->arena, "%.*s/%.*s", prefix_length, prefix, name_length, name);
    return arena_strndup(walk->arena, name, (size_t)name_length);
}

/* "27 path=a name that is long\n" after another. */
static bool read_pax(struct walk *walk, const char *text, size_t length)
{
    while (length > 0) {
        size_t digits = 0;
        uint64_t record = 0;
        while (digits < length && digits < 8 && text[digits] >= '0' && text[digits] <= '9')
            record = record * 10 + (uint64_t)(text[digits++] - '0');
        if (digits == 0 || digits == length || text[digits] != ' ' || record > length ||
            record < digits + 3 || text[record - 1] != '\n')
            return false;
        const char *pair = text + digits + 1;
        size_t rest = (size_t)record - digits - 2;
        if (rest > 5 && memcmp(pair, "path=", 5) == 0)
            walk->next_name = arena_strndup(walk->arena, pair + 5, rest - 5);
        else if (rest > 5 && memcmp(pair, "size=", 5) == 0) {
            if (!foreign_unsigned(arena_strndup(walk->arena, pair + 5, rest - 5), &walk->next_size))
                return false;
            walk->has_next_size = true;
        }
        text += record;
        length -= (size_t)record;
    }
    return true;
}

static bool read_extension(struct walk *walk, char type, uint64_t size, struct error *err)
{
    size_t got = 0;
    if (size == 0 || size > EXTENSION_MOST)
        return invalid(walk, "an absurd extended header", err);
    char *text = arena_alloc(walk->arena, (size_t)size + 1);
    if (!walk->reader->read(walk->reader->context, text, (size_t)size, walk->offset + BLOCK, &got,
                            err))
        return false;
    if (got != size)
        return invalid(walk, "a cut extended header", err);
    if (type == 'L')
        walk->next_name = text;
    else if (type == 'x' && !read_pax(walk, text, (size_t)size))
        return invalid(walk, "a broken extended header", err);
    return true;
}

static bool take_member(struct walk *walk, const unsigned char *header, uint64_t size,
                        struct error *err)
{
    struct tarball *archive = walk->archive;
    const char *name = read_name(walk, header);
    if (strncmp(name, "./", 2) == 0)
        name += 2;
    if (strlen(name) > TARBALL_NAME_MOST || !name_is_plain(name))
        return invalid(walk, "a name that is empty, odd or leads elsewhere", err);
    if (tarball_find(archive, name) != NULL)
        return invalid(walk, "a name for the second time", err);
    if (archive->count == TARBALL_MEMBERS_MOST)
        return invalid(walk, "too many members", err);
    uint64_t end;
    if (__builtin_add_overflow(walk->offset + BLOCK, size, &end) || end > walk->reader->size_bytes)
        return invalid(walk, "a member that goes beyond the end", err);
    archive->members[archive->count++] = (struct tarball_member){
        .name = name, .offset_bytes = walk->offset + BLOCK, .size_bytes = size};
    walk->next_name = NULL;
    walk->has_next_size = false;
    return true;
}

static bool take_header(struct walk *walk, const unsigned char *header, uint64_t *ret_size,
                        struct error *err)
{
    char type = (char)header[TYPE];
    if (!checksum_fits(header))
        return invalid(walk, "no tar header", err);
    if (!read_size(header, ret_size))
        return invalid(walk, "an absurd size", err);
    bool regular = type == '0' || type == '\0' || type == '7';
    if (regular && walk->has_next_size)
        *ret_size = walk->next_size;
    if (regular)
        return take_member(walk, header, *ret_size, err);
    if (type == 'x' || type == 'L')
        return read_extension(walk, type, *ret_size, err);
    if (type == 'g') /* for all that follow: nothing of it matters here */
        return *ret_size <= EXTENSION_MOST || invalid(walk, "an absurd extended header", err);
    if (type == '5' && *ret_size == 0) {
        walk->next_name = NULL; /* a directory: only files matter */
        return true;
    }
    return invalid(walk, "a link, a device or another odd member", err);
}

static bool advance(struct walk *walk, uint64_t size, struct error *err)
{
    uint64_t padded;
    if (__builtin_add_overflow(size, BLOCK - 1, &padded) ||
        __builtin_add_overflow(walk->offset, BLOCK + padded / BLOCK * BLOCK, &walk->offset))
        return invalid(walk, "an absurd size", err);
    return true;
}

bool tarball_list(const struct tarball_reader *reader, struct arena *arena,
                  struct tarball *ret_archive, struct error *err)
{
    struct tarball archive = {
        .members = arena_calloc(arena, TARBALL_MEMBERS_MOST, sizeof(struct tarball_member))};
    struct walk walk = {.reader = reader, .arena = arena, .archive = &archive};
    /* Extensions count too: an archive of them alone would never end. */
    for (size_t headers = 0; headers < 4 * TARBALL_MEMBERS_MOST; headers++) {
        unsigned char header[BLOCK];
        size_t got = 0;
        uint64_t size = 0;
        if (!reader->read(reader->context, header, BLOCK, walk.offset, &got, err))
            return false;
        if (got == 0 || (got == BLOCK && is_zero(header))) {
            if (archive.count == 0)
                return invalid(&walk, "no member", err);
            *ret_archive = archive;
            return true;
        }
        if (got != BLOCK)
            return invalid(&walk, "a cut header", err);
        if (!take_header(&walk, header, &size, err) || !advance(&walk, size, err))
            return false;
    }
    return invalid(&walk, "too many headers", err);
}

const struct tarball_member *tarball_find(const struct tarball *archive, const char *name)
{
    for (size_t i = 0; i < archive->count; i++) {
        if (strcmp(archive->members[i].name, name) == 0)
            return &archive->members[i];
    }
    return NULL;
}
