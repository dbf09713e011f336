/* SPDX-License-Identifier: Apache-2.0
 *
 * clouds.yaml, secure.yaml and clouds-public.yaml, with a form feed between them: credentials that are whole,
 * or a fault.
 *
 * sources: common/openstack/cloud.c common/openstack/cloud_files.c common/openstack/tree.c
 * packages: jansson yaml-0.1
 */
#include "common/openstack/cloud.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const variables[] = {"OS_CLIENT_CONFIG_FILE", "OS_CLIENT_SECURE_FILE",
                                        "OS_CLIENT_VENDOR_FILE"};

static void put(size_t index, const uint8_t *data, size_t size)
{
    static int fds[COUNT_OF(variables)];
    char path[64];
    if (fds[index] == 0)
        fds[index] = memfd_create("fuzz", 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[index]);
    setenv(variables[index], path, 1);
    if (ftruncate(fds[index], 0) != 0 || pwrite(fds[index], data, size, 0) != (ssize_t)size)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct cloud cloud = {0};
    struct error err = {0};
    for (size_t i = 0; i < COUNT_OF(variables); i++) {
        const uint8_t *end = size > 0 ? memchr(data, '\f', size) : NULL;
        size_t length = end != NULL ? (size_t)(end - data) : size;
        put(i, data, length);
        data += length + (end != NULL);
        size -= length + (end != NULL);
    }
    if (!cloud_read("one", arena, &cloud, &err))
        return err.fault == NULL ? (abort(), 0) : 0;
    if (!cloud_check(&cloud, &err))
        abort();
    cloud_fini(&cloud);
    return 0;
}
