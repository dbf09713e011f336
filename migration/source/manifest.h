/* SPDX-License-Identifier: Apache-2.0
 *
 * The manifest of an OVF package (.mf): "SHA256(disk.vmdk)= 1f…" a line, with SHA-1, SHA-256, SHA-384
 * or SHA-512. Digests are libcrypto's, since libsodium has no SHA-1, which most manifests still use.
 *
 * Threads: any; everything lives in the arena.
 */
#ifndef GUTS_MIGRATION_SOURCE_MANIFEST_H
#define GUTS_MIGRATION_SOURCE_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/memory.h"

#define MANIFEST_BYTES_MOST (1u << 20)
#define MANIFEST_LINES_MOST 2048

struct manifest_line {
    const char *algorithm; /* "SHA1", "SHA256", "SHA384", "SHA512" */
    const char *name;
    uint8_t digest[64];
    size_t digest_length;
};
struct manifest {
    struct manifest_line *lines;
    size_t count;
};
/* FAULT_MANIFEST_MISMATCH: a line that cannot be understood, or a file named twice. */
bool manifest_parse(const char *data, size_t length, struct arena *arena,
                    struct manifest *ret_manifest, struct error *err) MUST_CHECK;
const struct manifest_line *manifest_find(const struct manifest *manifest, const char *name);

/* Reads a part of an open file and compares its digest. go_on may be NULL. */
struct manifest_check {
    int fd;
    uint64_t offset_bytes;
    uint64_t length_bytes;
    bool (*go_on)(void *context, struct error *err);
    void *context;
};
bool manifest_verify(const struct manifest_line *line, const struct manifest_check *check,
                     struct error *err) MUST_CHECK;
bool manifest_verify_text(const struct manifest_line *line, const void *data, size_t length,
                          struct error *err) MUST_CHECK;

#endif
