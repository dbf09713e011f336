/* SPDX-License-Identifier: Apache-2.0 */
#include "common/daemon/notify.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/memory.h"

static void send_datagram(const char *text)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = getenv("NOTIFY_SOCKET");
    size_t length = path != NULL ? strlen(path) : 0;
    if (length == 0 || length >= sizeof(address.sun_path) || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(address.sun_path, path, length);
    if (path[0] == '@')
        address.sun_path[0] = '\0'; /* the abstract namespace */
    CLEANUP(fd_closep) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    if (fd >= 0)
        sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&address, size);
    /* A service manager that does not listen is no reason to stop working. */
}

void notify_send(const char *state, const char *status)
{
    char text[512];
    int head = snprintf(text, sizeof(text), "%s%s", state != NULL ? state : "",
                        state != NULL && status != NULL ? "\n" : "");
    if (status != NULL) {
        snprintf(text + head, sizeof(text) - (size_t)head, "STATUS=%s", status);
        for (char *at = text + head; *at != '\0'; at++)
            if (*at == '\n')
                *at = ' '; /* a line of its own would be an order */
    }
    send_datagram(text);
}

static uint64_t watchdog_interval_ms(void)
{
    const char *text = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    if (text == NULL || (pid != NULL && strtol(pid, NULL, 10) != getpid()))
        return 0;
    return strtoull(text, NULL, 10) / 1000 / 3;
}

void notify_watchdog(void)
{
    static uint64_t interval_ms = UINT64_MAX;
    static uint64_t next_ms;
    if (interval_ms == UINT64_MAX)
        interval_ms = watchdog_interval_ms();
    if (interval_ms == 0 || clock_mono_ms() < next_ms)
        return;
    next_ms = clock_mono_ms() + interval_ms;
    send_datagram("WATCHDOG=1");
}
