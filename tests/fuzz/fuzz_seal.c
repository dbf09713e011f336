/* SPDX-License-Identifier: Apache-2.0
 *
 * Seals and key files: a seal that nobody made never opens, and no file of keys brings us down.
 *
 * sources:
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/seals.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct seal_private *own_key(void)
{
    static struct seal_private *key;
    static const char text[] = "first AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n";
    struct error err;
    int fd = memfd_create("key", MFD_CLOEXEC);
    char *path = xasprintf("/proc/self/fd/%d", fd);
    if (key == NULL && (write(fd, text, sizeof(text) - 1) != sizeof(text) - 1 ||
                        fchmod(fd, 0600) != 0 || !seal_private_load(path, &key, &err)))
        abort();
    free(path);
    close(fd);
    return key;
}

static void load_keys(const uint8_t *data, size_t size)
{
    struct error err;
    struct seal_private *private = NULL;
    struct seal_public *public = NULL;
    int fd = memfd_create("keys", MFD_CLOEXEC);
    char *path = xasprintf("/proc/self/fd/%d", fd);
    if (write(fd, data, size) != (ssize_t)size || fchmod(fd, 0600) != 0)
        abort();
    if (seal_private_load(path, &private, &err))
        seal_private_free(private);
    if (seal_public_load(path, &public, &err))
        seal_public_free(public);
    free(path);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err;
    struct secret *secret = NULL;
    const struct uuid owner = {{1}};
    if (seal_open(own_key(), "first", data, size, &owner, "https://a/", &secret, &err))
        abort();
    if (seals_open(own_key(), data, size, &owner, "https://a/", &secret, &err)) {
        if (secret_length(secret) != 2)
            abort(); /* only none of them open: "{}" */
        secret_free(secret);
    }
    load_keys(data, size);
    return 0;
}
