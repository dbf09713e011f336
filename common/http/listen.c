/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/http/inside.h"

#define LISTEN_BACKLOG 511

union listen_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static bool port_parse(const char *text, in_port_t *ret_port)
{
    char *end = NULL;
    unsigned long port = text[0] >= '0' && text[0] <= '9' ? strtoul(text, &end, 10) : 65536;
    if (port > 65535 || *end != '\0')
        return false;
    *ret_port = htons((uint16_t)port);
    return true;
}

static bool host_parse(const char *host, in_port_t port, union listen_address *ret_address)
{
    if (strcmp(host, "localhost") == 0)
        host = "127.0.0.1";
    memset(ret_address, 0, sizeof(*ret_address));
    if (inet_pton(AF_INET, host, &ret_address->v4.sin_addr) == 1) {
        ret_address->v4.sin_family = AF_INET;
        ret_address->v4.sin_port = port;
        return true;
    }
    if (inet_pton(AF_INET6, host, &ret_address->v6.sin6_addr) != 1)
        return false;
    ret_address->v6.sin6_family = AF_INET6;
    ret_address->v6.sin6_port = port;
    return true;
}

/* "127.0.0.1:7000", "localhost:7000", "[::1]:7000" */
static bool listen_parse(const char *listen, union listen_address *ret_address)
{
    char host[64];
    in_port_t port;
    const char *colon = strrchr(listen, ':');
    size_t length = colon != NULL ? (size_t)(colon - listen) : 0;
    if (length == 0 || length >= sizeof(host) || !port_parse(colon + 1, &port))
        return false;
    memcpy(host, listen, length);
    host[length] = '\0';
    if (host[0] != '[')
        return strchr(host, ':') == NULL && host_parse(host, port, ret_address);
    if (length < 3 || host[length - 1] != ']')
        return false;
    host[length - 1] = '\0';
    return host_parse(host + 1, port, ret_address) && ret_address->any.sa_family == AF_INET6;
}

bool http_server_is_loopback(const char *listen)
{
    union listen_address address;
    if (!listen_parse(listen, &address))
        return false;
    if (address.any.sa_family == AF_INET)
        return ntohl(address.v4.sin_addr.s_addr) >> 24 == 127;
    const struct in6_addr *six = &address.v6.sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(six) || (IN6_IS_ADDR_V4MAPPED(six) && six->s6_addr[12] == 127);
}

static bool listen_bind(int fd, const union listen_address *address)
{
    int one = 1;
    socklen_t length =
        address->any.sa_family == AF_INET ? sizeof(address->v4) : sizeof(address->v6);
    return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0 &&
           bind(fd, &address->any, length) == 0 && listen(fd, LISTEN_BACKLOG) == 0;
}

int listen_open(const char *text, unsigned *ret_port, struct error *err)
{
    union listen_address address;
    if (!listen_parse(text, &address)) {
        error_set(err, &FAULT_CONFIG, "listen address \"%s\": not \"host:port\"", text);
        return -1;
    }
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || !listen_bind(fd, &address)) {
        error_set_errno(err, errno, "listening on \"%s\"", text);
        fd_closep(&fd);
        return -1;
    }
    socklen_t length = sizeof(address);
    if (getsockname(fd, &address.any, &length) != 0) {
        error_set_errno(err, errno, "asking for the port of \"%s\"", text);
        fd_closep(&fd);
        return -1;
    }
    *ret_port =
        ntohs(address.any.sa_family == AF_INET ? address.v4.sin_port : address.v6.sin6_port);
    return fd;
}
