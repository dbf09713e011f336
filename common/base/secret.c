/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET_FILE_MOST ((size_t)64 * 1024)

/* Lives in libsodium's guarded memory: not swapped, not in core files, wiped when freed. */
struct secret {
    size_t length;
    char data[];
};

/* sodium_malloc lets memory *end* at a page: only a rounded size begins aligned. sodium_init may be
 * called from any thread, again and again. */
static struct secret *secret_allocate(size_t length)
{
    size_t size = (sizeof(struct secret) + length + sizeof(size_t)) & ~(sizeof(size_t) - 1);
    struct secret *secret = sodium_init() < 0 ? NULL : sodium_malloc(size);
    if (secret == NULL)
        abort();
    secret->length = length;
    secret->data[length] = '\0';
    return secret;
}

struct secret *secret_new(const void *data, size_t length)
{
    struct secret *secret = secret_allocate(length);
    if (length > 0)
        memcpy(secret->data, data, length);
    return secret;
}

void secret_free(struct secret *secret)
{
    sodium_free(secret);
}

void secret_freep(struct secret **secret)
{
    secret_free(*secret);
    *secret = NULL;
}

const char *secret_reveal(const struct secret *secret)
{
    return secret->data;
}

size_t secret_length(const struct secret *secret)
{
    return secret->length;
}

void secret_wipe(void *data, size_t length)
{
    sodium_memzero(data, length);
}

static bool read_secret(int fd, struct secret *secret, struct error *err)
{
    size_t got = 0;
    while (got <= SECRET_FILE_MOST) {
        ssize_t count = read(fd, secret->data + got, SECRET_FILE_MOST + 1 - got);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return error_set_errno(err, errno, "read");
        if (count == 0)
            break;
        got += (size_t)count;
    }
    if (got > SECRET_FILE_MOST)
        return error_set(err, &FAULT_CONFIG, "has more than %zu bytes", SECRET_FILE_MOST);
    if (got > 0 && secret->data[got - 1] == '\n')
        got--;
    secret->length = got;
    secret->data[got] = '\0';
    return true;
}

bool secret_load(const char *path, struct secret **ret_secret, struct error *err)
{
    struct stat status;
    CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status) < 0)
        return error_set_errno(err, errno, "open \"%s\"", path);
    if (!S_ISREG(status.st_mode))
        return error_set(err, &FAULT_CONFIG, "\"%s\" is not a regular file", path);
    if ((status.st_mode & S_IRWXO) != 0)
        return error_set(err, &FAULT_CONFIG,
                         "\"%s\" holds a secret and has mode %04o: take all rights from others",
                         path, (unsigned)(status.st_mode & 07777));
    CLEANUP(secret_freep) struct secret *whole = secret_allocate(SECRET_FILE_MOST + 1);
    if (!read_secret(fd, whole, err))
        return error_prefix(err, "\"%s\"", path);
    *ret_secret = secret_new(whole->data, whole->length);
    return true;
}
