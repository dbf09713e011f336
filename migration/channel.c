/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/channel.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

bool channel_pair(int ret_fds[2], struct error *err)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_fds) != 0)
        return error_set_errno(err, errno, "making a worker's socket");
    return true;
}

bool channel_send(int fd, enum channel_kind kind, const void *data, size_t length,
                  struct error *err)
{
    if (length > CHANNEL_FRAME_MOST_BYTES)
        return error_set(err, &FAULT_TOO_LARGE, "a frame of %zu bytes", length);
    uint8_t head = (uint8_t)kind;
    struct iovec parts[] = {{&head, 1}, {(void *)data, length}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = length > 0 ? 2 : 1};
    ssize_t sent;
    do
        sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return true;
    if (errno == EAGAIN || errno == ENOBUFS)
        return error_set(err, &FAULT_UNAVAILABLE, "the other side does not read");
    return error_set_errno(err, errno, "sending a frame");
}

int channel_receive(int fd, struct buffer *frame)
{
    buffer_clear(frame);
    buffer_reserve(frame, CHANNEL_FRAME_MOST_BYTES + 2);
    ssize_t got;
    do
        got = recv(fd, frame->data, CHANNEL_FRAME_MOST_BYTES + 1, MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == EAGAIN ? 0 : -1;
    if (got == 0)
        return -1;
    frame->length = (size_t)got;
    frame->data[got] = '\0';
    return 1;
}
