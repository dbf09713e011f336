/* SPDX-License-Identifier: Apache-2.0
 *
 * Secrets and seals. A secret is bytes that cannot be printed by accident and are wiped when freed.
 * A seal is a libsodium sealed box (crypto_box_seal: X25519, XSalsa20-Poly1305) around a secret
 * together with the id and the address that it is for; only the holder of the private key opens it,
 * and only for that id and address. Keys have ids, so that they can be rotated.
 *
 * Threads: any, each object by one thread at a time.
 */
#ifndef GUTS_COMMON_BASE_SECRET_H
#define GUTS_COMMON_BASE_SECRET_H

#include <stddef.h>

#include "common/base/error.h"
#include "common/base/memory.h"
#include "common/base/uuid.h"

struct secret; /* opaque: it has no conversion to text but secret_reveal */
struct secret *secret_new(const void *data, size_t length); /* data is copied, not wiped */
void secret_free(struct secret *secret);                    /* wipes */
void secret_freep(struct secret **secret);
const char *secret_reveal(const struct secret *secret); /* NUL-terminated, borrowed */
size_t secret_length(const struct secret *secret);
/* Reads a file that holds one secret (at most 64 KiB); one trailing newline is dropped. A file that
 * others may read is refused (FAULT_CONFIG). */
bool secret_load(const char *path, struct secret **ret_secret, struct error *err) MUST_CHECK;
void secret_wipe(void *data, size_t length);

#define SEAL_KEY_ID_SIZE 17
/* Public keys, at most eight, the first of which seals. File: one "id base64(public)" a line. */
struct seal_public;
bool seal_public_load(const char *path, struct seal_public **ret_key, struct error *err) MUST_CHECK;
void seal_public_free(struct seal_public *key);
/* Private keys, at most eight; which of them opens follows from the seal's key id.
 * File (mode 0600): one "id base64(private)" a line. */
struct seal_private;
bool seal_private_load(const char *path, struct seal_private **ret_key,
                       struct error *err) MUST_CHECK;
void seal_private_free(struct seal_private *key);
/* Makes a new pair of key files (public 0644, private 0600), or adds a key in front of those in
 * existing files. Both are replaced atomically, the private one first. */
bool seal_keygen(const char *public_path, const char *private_path,
                 char ret_key_id[SEAL_KEY_ID_SIZE], struct error *err) MUST_CHECK;

/* Appends the sealed bytes to ret_seal. `address` is what the secret may be shown to (the URL or
 * path that the driver will connect to; at most 2 KiB). */
bool seal_close(const struct seal_public *key, const struct uuid *owner, const char *address,
                const struct secret *secret, char ret_key_id[SEAL_KEY_ID_SIZE],
                struct buffer *ret_seal, struct error *err) MUST_CHECK;
/* FAULT_DENIED when the key is unknown or the seal is for another owner or address. */
bool seal_open(const struct seal_private *key, const char *key_id, const void *seal, size_t length,
               const struct uuid *owner, const char *address, struct secret **ret_secret,
               struct error *err) MUST_CHECK;

#endif
