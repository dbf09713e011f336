/* SPDX-License-Identifier: Apache-2.0
 *
 * For the small servers of unit tests.
 */
#ifndef GUTS_TESTS_UNIT_SEND_ALL_H
#define GUTS_TESTS_UNIT_SEND_ALL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/* False: the other side is gone. */
static inline bool send_all(int fd, const void *data, size_t length)
{
    const char *from = data;
    while (length > 0) {
        ssize_t sent = send(fd, from, length, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        from += sent;
        length -= (size_t)sent;
    }
    return true;
}

#endif
