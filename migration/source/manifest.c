/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/source/manifest.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include <openssl/evp.h>

#include "common/base/file.h"
#include "migration/source/foreign.h"
#include "proto/fault.h"

#define PIECE_BYTES (1u << 20)

static const struct {
    const char *name;
    size_t length;
    const EVP_MD *(*algorithm)(void);
} algorithms[] = {
    {"SHA1", 20, EVP_sha1},
    {"SHA256", 32, EVP_sha256},
    {"SHA384", 48, EVP_sha384},
    {"SHA512", 64, EVP_sha512},
};

static size_t find_algorithm(const char *name, size_t length)
{
    size_t i = 0;
    while (i < COUNT_OF(algorithms) && (strlen(algorithms[i].name) != length ||
                                        strncasecmp(algorithms[i].name, name, length) != 0))
        i++;
    return i;
}

static int hex_digit(char letter)
{
    if (letter >= '0' && letter <= '9')
        return letter - '0';
    letter = (char)tolower((unsigned char)letter);
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

static bool read_digest(const char *text, size_t length, struct manifest_line *line)
{
    if (length != 2 * line->digest_length)
        return false;
    for (size_t i = 0; i < line->digest_length; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        line->digest[i] = (uint8_t)(high * 16 + low);
    }
    return true;
}

/* The name may hold parentheses: it ends at the last ")" before the "=". */
static bool read_line(const char *text, size_t length, struct arena *arena,
                      struct manifest_line *ret_line)
{
    const char *open = memchr(text, '(', length);
    const char *equals = memrchr(text, '=', length);
    const char *close = equals != NULL ? memrchr(text, ')', (size_t)(equals - text)) : NULL;
    if (open == NULL || close == NULL || close < open)
        return false;
    size_t word = (size_t)(open - text);
    while (word > 0 && text[word - 1] == ' ')
        word--;
    size_t which = find_algorithm(text, word);
    if (which == COUNT_OF(algorithms))
        return false;
    struct manifest_line line = {.algorithm = algorithms[which].name,
                                 .digest_length = algorithms[which].length,
                                 .name =
                                     arena_strndup(arena, open + 1, (size_t)(close - open - 1))};
    const char *digest = equals + 1, *end = text + length;
    while (digest < end && *digest == ' ')
        digest++;
    if (!foreign_is_printable(line.name) || line.name[0] == '\0' ||
        !read_digest(digest, (size_t)(end - digest), &line))
        return false;
    *ret_line = line;
    return true;
}

bool manifest_parse(const char *data, size_t length, struct arena *arena,
                    struct manifest *ret_manifest, struct error *err)
{
    struct manifest manifest = {
        .lines = arena_calloc(arena, MANIFEST_LINES_MOST, sizeof(struct manifest_line))};
    if (length > MANIFEST_BYTES_MOST || memchr(data, '\0', length) != NULL)
        return error_set(err, &FAULT_MANIFEST_MISMATCH, "the manifest is no text");
    for (size_t number = 1; length > 0; number++) {
        const char *newline = memchr(data, '\n', length);
        size_t end = newline != NULL ? (size_t)(newline - data) : length, bare = end;
        while (bare > 0 && isspace((unsigned char)data[bare - 1]))
            bare--;
        struct manifest_line line;
        if (bare > 0) {
            if (manifest.count == MANIFEST_LINES_MOST || !read_line(data, bare, arena, &line))
                return error_set(err, &FAULT_MANIFEST_MISMATCH,
                                 "line %zu of the manifest cannot be understood", number);
            if (manifest_find(&manifest, line.name) != NULL)
                return error_set(err, &FAULT_MANIFEST_MISMATCH,
                                 "the manifest names \"%.100s\" twice", line.name);
            manifest.lines[manifest.count++] = line;
        }
        data += end + (newline != NULL);
        length -= end + (newline != NULL);
    }
    *ret_manifest = manifest;
    return true;
}

const struct manifest_line *manifest_find(const struct manifest *manifest, const char *name)
{
    for (size_t i = 0; i < manifest->count; i++) {
        if (strcmp(manifest->lines[i].name, name) == 0)
            return &manifest->lines[i];
    }
    return NULL;
}

static EVP_MD_CTX *begin_digest(const struct manifest_line *line, struct error *err)
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    size_t which = find_algorithm(line->algorithm, strlen(line->algorithm));
    if (digest == NULL || EVP_DigestInit_ex(digest, algorithms[which].algorithm(), NULL) != 1) {
        EVP_MD_CTX_free(digest);
        error_set(err, &FAULT_UNSUPPORTED, "%s is not to be had on this node", line->algorithm);
        return NULL;
    }
    return digest;
}

static bool compare(const struct manifest_line *line, EVP_MD_CTX *digest, struct error *err)
{
    uint8_t found[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (EVP_DigestFinal_ex(digest, found, &length) == 1 && length == line->digest_length &&
        memcmp(found, line->digest, length) == 0)
        return true;
    return error_set(err, &FAULT_MANIFEST_MISMATCH,
                     "\"%.200s\" has another %s than its manifest says", line->name,
                     line->algorithm);
}

static bool feed(const struct manifest_check *check, EVP_MD_CTX *digest, uint8_t *piece,
                 struct error *err)
{
    for (uint64_t done = 0; done < check->length_bytes;) {
        uint64_t left = check->length_bytes - done;
        size_t length = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
        if ((check->go_on != NULL && !check->go_on(check->context, err)) ||
            !file_pread_all(check->fd, piece, length, check->offset_bytes + done, err))
            return false;
        if (EVP_DigestUpdate(digest, piece, length) != 1)
            return error_set(err, &FAULT_INTERNAL, "a digest failed");
        done += length;
    }
    return true;
}

bool manifest_verify(const struct manifest_line *line, const struct manifest_check *check,
                     struct error *err)
{
    EVP_MD_CTX *digest = begin_digest(line, err);
    if (digest == NULL)
        return false;
    CLEANUP(xfreep) uint8_t *piece = xcalloc(1, PIECE_BYTES);
    bool same = feed(check, digest, piece, err) && compare(line, digest, err);
    EVP_MD_CTX_free(digest);
    return same;
}

bool manifest_verify_text(const struct manifest_line *line, const void *data, size_t length,
                          struct error *err)
{
    EVP_MD_CTX *digest = begin_digest(line, err);
    bool same =
        digest != NULL && EVP_DigestUpdate(digest, data, length) == 1 && compare(line, digest, err);
    EVP_MD_CTX_free(digest);
    return same;
}
