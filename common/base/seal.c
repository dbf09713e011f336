/* SPDX-License-Identifier: Apache-2.0
 *
 * What is sealed, in one crypto_box_seal: a version byte (1), the owner's id (16 bytes), the length
 * of the address (2 bytes, big-endian), the address, the secret (the rest).
 */
#include "common/base/secret.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"

#define KEYS_MOST 8
#define KEY_FILE_MOST ((size_t)4096)
#define ADDRESS_MOST ((size_t)2048)
#define SECRET_MOST ((size_t)64 * 1024)
#define SEAL_VERSION 1
#define HEAD_BYTES (1 + UUID_BYTES + 2)

_Static_assert(crypto_box_PUBLICKEYBYTES == 32 && crypto_box_SECRETKEYBYTES == 32,
               "both kinds of key files have keys of one size");
#define KEY_BYTES 32
#define KEY_TEXT_SIZE (sodium_base64_ENCODED_LEN(KEY_BYTES, sodium_base64_VARIANT_ORIGINAL))

struct key {
    char id[SEAL_KEY_ID_SIZE];
    unsigned char bytes[KEY_BYTES];
};
struct keys {
    struct key items[KEYS_MOST];
    size_t count;
};
/* Both live in guarded memory, as secrets do. */
struct seal_public {
    struct keys keys;
};
struct seal_private {
    struct keys keys;
};

static void *keys_allocate(size_t size)
{
    size_t rounded = (size + sizeof(size_t)) & ~(sizeof(size_t) - 1); /* as in secret.c */
    void *memory = sodium_init() < 0 ? NULL : sodium_malloc(rounded);
    if (memory == NULL)
        abort();
    return memset(memory, 0, rounded);
}

static const struct key *keys_find(const struct keys *keys, const char *id)
{
    for (size_t i = 0; i < keys->count; i++)
        if (strcmp(keys->items[i].id, id) == 0)
            return &keys->items[i];
    return NULL;
}

/* -- key files ---------------------------------------------------------------------------------- */

static bool keys_parse_line(struct keys *keys, const char *line, size_t length, struct error *err)
{
    static const char id_characters[] = "abcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *space = memchr(line, ' ', length);
    size_t id_length = space != NULL ? (size_t)(space - line) : 0;
    struct key key = {0};
    size_t got = 0;
    if (keys->count == KEYS_MOST)
        return error_set(err, &FAULT_CONFIG, "has more than %d keys", KEYS_MOST);
    if (id_length == 0 || id_length >= SEAL_KEY_ID_SIZE)
        return error_set(err, &FAULT_CONFIG, "a line is not \"id base64\"");
    memcpy(key.id, line, id_length);
    bool legible = strspn(key.id, id_characters) == id_length &&
                   sodium_base642bin(key.bytes, KEY_BYTES, space + 1, length - id_length - 1, NULL,
                                     &got, NULL, sodium_base64_VARIANT_ORIGINAL) == 0 &&
                   got == KEY_BYTES;
    bool known = legible && keys_find(keys, key.id) != NULL;
    if (legible && !known)
        keys->items[keys->count++] = key;
    sodium_memzero(&key, sizeof(key));
    if (!legible)
        return error_set(err, &FAULT_CONFIG, "a line is not \"id base64\"");
    return !known || error_set(err, &FAULT_CONFIG, "a key id stands there twice");
}

static bool keys_parse(struct keys *keys, const char *text, struct error *err)
{
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        if (length > 0 && text[0] != '#' && !keys_parse_line(keys, text, length, err))
            return false;
        text += length + (text[length] == '\n');
    }
    return keys->count > 0 || error_set(err, &FAULT_CONFIG, "holds no key");
}

static bool public_parse(const char *path, struct keys *keys, struct error *err)
{
    CLEANUP(buffer_fini) struct buffer content = {0};
    if (!file_read(path, KEY_FILE_MOST, &content, err))
        return false;
    return keys_parse(keys, content.length > 0 ? content.data : "", err) ||
           error_prefix(err, "public keys \"%s\"", path);
}

static bool private_parse(const char *path, struct keys *keys, struct error *err)
{
    CLEANUP(secret_freep) struct secret *content = NULL;
    struct stat status;
    if (stat(path, &status) == 0 && (status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return error_set(err, &FAULT_CONFIG,
                         "private keys \"%s\" have mode %04o: only their owner may read them", path,
                         (unsigned)(status.st_mode & 07777));
    if (!secret_load(path, &content, err))
        return false;
    return keys_parse(keys, secret_reveal(content), err) ||
           error_prefix(err, "private keys \"%s\"", path);
}

bool seal_public_load(const char *path, struct seal_public **ret_key, struct error *err)
{
    struct seal_public *key = keys_allocate(sizeof(*key));
    if (!public_parse(path, &key->keys, err)) {
        seal_public_free(key);
        return false;
    }
    *ret_key = key;
    return true;
}

bool seal_private_load(const char *path, struct seal_private **ret_key, struct error *err)
{
    struct seal_private *key = keys_allocate(sizeof(*key));
    if (!private_parse(path, &key->keys, err)) {
        seal_private_free(key);
        return false;
    }
    *ret_key = key;
    return true;
}

void seal_public_free(struct seal_public *key)
{
    sodium_free(key);
}

void seal_private_free(struct seal_private *key)
{
    sodium_free(key);
}

/* -- making keys -------------------------------------------------------------------------------- */

/* The id follows from the public key, so that it cannot be given to two. */
static void key_id_derive(const unsigned char *public_key, char ret_id[SEAL_KEY_ID_SIZE])
{
    unsigned char digest[crypto_generichash_BYTES_MIN];
    crypto_generichash(digest, sizeof(digest), public_key, KEY_BYTES, NULL, 0);
    sodium_bin2hex(ret_id, SEAL_KEY_ID_SIZE, digest, (SEAL_KEY_ID_SIZE - 1) / 2);
}

static bool keys_write(const char *path, mode_t mode, const struct keys *keys, struct error *err)
{
    char *text = keys_allocate(KEY_FILE_MOST);
    size_t length = 0;
    for (size_t i = 0; i < keys->count; i++) {
        char encoded[KEY_TEXT_SIZE];
        sodium_bin2base64(encoded, sizeof(encoded), keys->items[i].bytes, KEY_BYTES,
                          sodium_base64_VARIANT_ORIGINAL);
        length += (size_t)snprintf(text + length, KEY_FILE_MOST - length, "%s %s\n",
                                   keys->items[i].id, encoded);
        sodium_memzero(encoded, sizeof(encoded));
    }
    bool written = file_replace(path, mode, text, length, err);
    sodium_free(text);
    return written;
}

/* Makes room at the front: the first key is the one that seals. */
static bool keys_shift(struct keys *keys, const char *path, struct error *err)
{
    if (keys->count == KEYS_MOST)
        return error_set(err, &FAULT_CONFLICT, "\"%s\" holds %d keys: remove the oldest first",
                         path, KEYS_MOST);
    memmove(&keys->items[1], &keys->items[0], keys->count * sizeof(keys->items[0]));
    keys->count++;
    return true;
}

static bool keygen_into(struct keys *publics, struct keys *privates, const char *public_path,
                        const char *private_path, struct error *err)
{
    if (access(public_path, F_OK) == 0 && !public_parse(public_path, publics, err))
        return false;
    if (access(private_path, F_OK) == 0 && !private_parse(private_path, privates, err))
        return false;
    if (!keys_shift(publics, public_path, err) || !keys_shift(privates, private_path, err))
        return false;
    crypto_box_keypair(publics->items[0].bytes, privates->items[0].bytes);
    key_id_derive(publics->items[0].bytes, publics->items[0].id);
    memcpy(privates->items[0].id, publics->items[0].id, SEAL_KEY_ID_SIZE);
    return keys_write(private_path, 0600, privates, err) &&
           keys_write(public_path, 0644, publics, err);
}

bool seal_keygen(const char *public_path, const char *private_path,
                 char ret_key_id[SEAL_KEY_ID_SIZE], struct error *err)
{
    struct keys *publics = keys_allocate(sizeof(*publics));
    struct keys *privates = keys_allocate(sizeof(*privates));
    bool made = keygen_into(publics, privates, public_path, private_path, err);
    if (made)
        memcpy(ret_key_id, publics->items[0].id, SEAL_KEY_ID_SIZE);
    sodium_free(publics);
    sodium_free(privates);
    return made;
}

/* -- sealing ------------------------------------------------------------------------------------ */

static void head_write(unsigned char *into, const struct uuid *owner, const char *address,
                       size_t address_length)
{
    into[0] = SEAL_VERSION;
    memcpy(into + 1, owner->bytes, UUID_BYTES);
    into[1 + UUID_BYTES] = (unsigned char)(address_length >> 8);
    into[2 + UUID_BYTES] = (unsigned char)address_length;
    memcpy(into + HEAD_BYTES, address, address_length);
}

bool seal_close(const struct seal_public *key, const struct uuid *owner, const char *address,
                const struct secret *secret, char ret_key_id[SEAL_KEY_ID_SIZE],
                struct buffer *ret_seal, struct error *err)
{
    size_t address_length = strlen(address);
    size_t head_length = HEAD_BYTES + address_length;
    if (address_length > ADDRESS_MOST || secret_length(secret) > SECRET_MOST)
        return error_set(err, &FAULT_TOO_LARGE, "seal: address or secret is too long");
    size_t length = head_length + secret_length(secret);
    unsigned char *plain = keys_allocate(length);
    head_write(plain, owner, address, address_length);
    memcpy(plain + head_length, secret_reveal(secret), secret_length(secret));
    buffer_reserve(ret_seal, length + crypto_box_SEALBYTES);
    unsigned char *into = (unsigned char *)ret_seal->data + ret_seal->length;
    int failed = crypto_box_seal(into, plain, length, key->keys.items[0].bytes);
    sodium_free(plain);
    if (failed != 0)
        return error_set(err, &FAULT_CONFIG, "seal: the public key \"%s\" is of no use",
                         key->keys.items[0].id);
    ret_seal->length += length + crypto_box_SEALBYTES;
    ret_seal->data[ret_seal->length] = '\0';
    memcpy(ret_key_id, key->keys.items[0].id, SEAL_KEY_ID_SIZE);
    return true;
}

/* Compares what was sealed with what was asked for; gives the secret behind it. */
static bool plain_check(const unsigned char *plain, size_t length, const struct uuid *owner,
                        const char *address, struct secret **ret_secret, struct error *err)
{
    unsigned char head[HEAD_BYTES + ADDRESS_MOST];
    size_t address_length = strlen(address);
    size_t head_length = HEAD_BYTES + address_length;
    head_write(head, owner, address, address_length);
    if (length < HEAD_BYTES || plain[0] != SEAL_VERSION)
        return error_set(err, &FAULT_DENIED, "seal: of an unknown kind");
    if (memcmp(plain + 1, head + 1, UUID_BYTES) != 0)
        return error_set(err, &FAULT_DENIED, "seal: made for another owner");
    if (length < head_length || memcmp(plain, head, head_length) != 0)
        return error_set(err, &FAULT_DENIED, "seal: made for another address than \"%s\"", address);
    *ret_secret = secret_new(plain + head_length, length - head_length);
    return true;
}

bool seal_open(const struct seal_private *key, const char *key_id, const void *seal, size_t length,
               const struct uuid *owner, const char *address, struct secret **ret_secret,
               struct error *err)
{
    const struct key *own = keys_find(&key->keys, key_id);
    unsigned char public_key[KEY_BYTES];
    if (own == NULL)
        return error_set(err, &FAULT_DENIED, "seal: there is no private key \"%s\" here", key_id);
    if (strlen(address) > ADDRESS_MOST || length < crypto_box_SEALBYTES ||
        length > crypto_box_SEALBYTES + HEAD_BYTES + ADDRESS_MOST + SECRET_MOST)
        return error_set(err, &FAULT_DENIED, "seal: address or seal has no legal size");
    crypto_scalarmult_base(public_key, own->bytes);
    size_t plain_length = length - crypto_box_SEALBYTES;
    unsigned char *plain = keys_allocate(plain_length > 0 ? plain_length : 1);
    bool opened = crypto_box_seal_open(plain, seal, length, public_key, own->bytes) == 0;
    bool done = opened
                    ? plain_check(plain, plain_length, owner, address, ret_secret, err)
                    : error_set(err, &FAULT_DENIED, "seal: damaged, or not for key \"%s\"", key_id);
    sodium_free(plain);
    return done;
}
