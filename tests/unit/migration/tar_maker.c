/* SPDX-License-Identifier: Apache-2.0 */
#include "tar_maker.h"

#include <stdio.h>
#include <string.h>

void tar_add_lying(struct buffer *tar, const char *name, char type, const void *data, size_t length,
                   const char *size_field)
{
    static const char zeroes[512];
    char header[512] = "";
    unsigned sum = 0;
    strncpy(header, name, 100);
    memcpy(header + 100, "0000644", 8);
    memcpy(header + 108, "0000000", 8);
    memcpy(header + 116, "0000000", 8);
    memcpy(header + 124, size_field, 12);
    memcpy(header + 136, "00000000000", 12);
    memset(header + 148, ' ', 8);
    header[156] = type;
    memcpy(header + 257,
           "ustar\0"
           "00",
           8);
    for (size_t i = 0; i < sizeof(header); i++)
        sum += (unsigned char)header[i];
    snprintf(header + 148, 8, "%06o", sum);
    buffer_append(tar, header, sizeof(header));
    buffer_append(tar, data, length);
    buffer_append(tar, zeroes, (512 - length % 512) % 512);
}

void tar_add(struct buffer *tar, const char *name, char type, const void *data, size_t length)
{
    char size[16];
    snprintf(size, sizeof(size), "%011zo", length);
    tar_add_lying(tar, name, type, data, length, size);
}

void tar_end(struct buffer *tar)
{
    static const char zeroes[1024];
    buffer_append(tar, zeroes, sizeof(zeroes));
}
