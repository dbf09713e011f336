/* SPDX-License-Identifier: Apache-2.0 */
#include "common/db/inside.h"

#include <stdio.h>
#include <string.h>

#define STANDARD_PORT 3306

static bool copy_text(char *into, size_t size, const char *text, size_t length)
{
    if (length == 0 || length >= size)
        return false;
    memcpy(into, text, length);
    into[length] = '\0';
    return true;
}

static bool parse_port(const char *text, unsigned *ret_port)
{
    unsigned port = 0;
    size_t length = strlen(text);
    if (length == 0 || length > 5 || strspn(text, "0123456789") != length)
        return false;
    for (size_t i = 0; i < length; i++)
        port = port * 10 + (unsigned)(text[i] - '0');
    *ret_port = port;
    return port >= 1 && port <= 65535;
}

/* "host", "host:port", "[v6]", "[v6]:port", a bare v6 address, "/path/of/socket". */
bool db_address_parse(const char *text, struct db_address *ret_address)
{
    struct db_address address = {.port = STANDARD_PORT};
    const char *host = text, *host_end = text + strlen(text), *colon = strrchr(text, ':');
    if (text[0] == '/') {
        if (!copy_text(address.socket, sizeof(address.socket), text, strlen(text)))
            return false;
        *ret_address = address;
        return true;
    }
    if (text[0] == '[') {
        host = text + 1;
        host_end = strchr(host, ']');
        if (host_end == NULL || (host_end[1] != '\0' && host_end[1] != ':'))
            return false;
        if (host_end[1] == ':' && !parse_port(host_end + 2, &address.port))
            return false;
    } else if (colon != NULL && strchr(text, ':') == colon) {
        host_end = colon;
        if (!parse_port(colon + 1, &address.port))
            return false;
    }
    if (!copy_text(address.host, sizeof(address.host), host, (size_t)(host_end - host)))
        return false;
    *ret_address = address;
    return true;
}
