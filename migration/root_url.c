/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/root_url.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "common/base/memory.h"
#include "proto/fault.h"

#define URL_MOST 2048

struct url {
    char scheme[8];
    char host[256]; /* lower case; an IPv6 address without its brackets */
    char port[6];
    char path[URL_MOST]; /* with its query; at least "/" */
};
struct url_list {
    struct url *items;
    size_t count;
};

static bool take_scheme(const char **text, struct url *url)
{
    if (strncasecmp(*text, "https://", 8) == 0) {
        strcpy(url->scheme, "https");
        strcpy(url->port, "443");
        *text += 8;
        return true;
    }
    if (strncasecmp(*text, "http://", 7) == 0) {
        strcpy(url->scheme, "http");
        strcpy(url->port, "80");
        *text += 7;
        return true;
    }
    return false;
}

static bool take_host(const char **text, struct url *url)
{
    bool bracket = **text == '[';
    const char *start = *text + bracket;
    size_t length = strcspn(start, bracket ? "]/?#" : ":/?#");
    if (length == 0 || length >= sizeof(url->host) || (bracket && start[length] != ']'))
        return false;
    for (size_t i = 0; i < length; i++) {
        unsigned char letter = (unsigned char)start[i];
        if (!isalnum(letter) && letter != '.' && letter != '-' && letter != '_' &&
            !(bracket && letter == ':'))
            return false; /* '@' and '%' among them */
        url->host[i] = (char)tolower(letter);
    }
    url->host[length] = '\0';
    *text = start + length + bracket;
    return true;
}

static bool take_port(const char **text, struct url *url)
{
    if (**text != ':')
        return true;
    char *end;
    const char *start = *text + 1;
    if (!isdigit((unsigned char)*start))
        return false;
    unsigned long port = strtoul(start, &end, 10);
    if (port == 0 || port > 65535)
        return false;
    snprintf(url->port, sizeof(url->port), "%lu", port);
    *text = end;
    return true;
}

/* Dots that climb, also when written as %2e, and a fragment have no business in an allowed URL. */
static bool path_climbs(const char *path)
{
    size_t end = strcspn(path, "?");
    for (size_t i = 0; i < end;) {
        size_t dots = 0;
        i++; /* the slash */
        while (i < end && path[i] != '/') {
            bool coded = strncasecmp(path + i, "%2e", 3) == 0;
            if (strncasecmp(path + i, "%2f", 3) == 0 || strncasecmp(path + i, "%5c", 3) == 0)
                return true;
            dots = path[i] == '.' || coded ? dots + 1 : 99;
            i += coded ? 3 : 1;
        }
        if (dots == 1 || dots == 2)
            return true;
    }
    return false;
}

static bool url_parse(const char *text, struct url *ret_url)
{
    struct url url = {0};
    if (text == NULL || strlen(text) >= URL_MOST)
        return false;
    for (const char *at = text; *at != '\0'; at++) {
        if (*at <= ' ' || *at == 0x7f || *at == '\\' || *at == '#')
            return false; /* char is signed: bytes above 0x7f fall here too */
    }
    if (!take_scheme(&text, &url) || !take_host(&text, &url) || !take_port(&text, &url))
        return false;
    if (*text != '\0' && *text != '/' && *text != '?')
        return false;
    snprintf(url.path, sizeof(url.path), "%s%.*s", *text == '/' ? "" : "/", URL_MOST - 2, text);
    if (path_climbs(url.path))
        return false;
    *ret_url = url;
    return true;
}

bool url_list_new(const struct conf_strings *prefixes, struct url_list **ret_list,
                  struct error *err)
{
    struct url_list *list = xcalloc(1, sizeof(*list));
    list->items = xcalloc(prefixes->count + 1, sizeof(*list->items));
    for (size_t i = 0; i < prefixes->count; i++) {
        if (!url_parse(prefixes->items[i], &list->items[i])) {
            url_list_free(list);
            return error_set(err, &FAULT_CONFIG, "\"%.200s\" is no plain http or https URL",
                             prefixes->items[i]);
        }
        list->count++;
    }
    *ret_list = list;
    return true;
}

void url_list_free(struct url_list *list)
{
    if (list == NULL)
        return;
    free(list->items);
    free(list);
}

static bool path_fits(const char *prefix, const char *path)
{
    size_t length = strlen(prefix);
    if (strncmp(prefix, path, length) != 0)
        return false;
    return prefix[length - 1] == '/' || path[length] == '\0' || path[length] == '/' ||
           path[length] == '?';
}

static const struct url *find_prefix(const struct url_list *list, const struct url *url)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct url *prefix = &list->items[i];
        if (strcmp(prefix->scheme, url->scheme) == 0 && strcmp(prefix->host, url->host) == 0 &&
            strcmp(prefix->port, url->port) == 0 && path_fits(prefix->path, url->path))
            return prefix;
    }
    return NULL;
}

static bool is_private_v4(uint32_t address)
{
    return address >> 24 == 127 || address >> 24 == 0 || address >> 16 == 0xa9fe ||
           address >> 28 >= 0xe;
}

static bool is_private_v6(const struct in6_addr *address)
{
    const uint8_t *bytes = address->s6_addr;
    if (IN6_IS_ADDR_V4MAPPED(address) || IN6_IS_ADDR_V4COMPAT(address))
        return is_private_v4((uint32_t)bytes[12] << 24 | (uint32_t)bytes[13] << 16 |
                             (uint32_t)bytes[14] << 8 | bytes[15]);
    return IN6_IS_ADDR_LOOPBACK(address) || IN6_IS_ADDR_UNSPECIFIED(address) ||
           IN6_IS_ADDR_LINKLOCAL(address) || IN6_IS_ADDR_MULTICAST(address);
}

bool address_is_private_to_host(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return is_private_v4(
            ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr));
    if (address->sa_family == AF_INET6)
        return is_private_v6(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
    return true;
}

/* The prefix itself names the address: the operator has said what may be reached. */
static bool is_literal(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    return inet_pton(AF_INET, host, &v4) == 1 || inet_pton(AF_INET6, host, &v6) == 1 ||
           strcmp(host, "localhost") == 0;
}

static bool check_addresses(const struct url *url, struct error *err)
{
    struct addrinfo wanted = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    int status = getaddrinfo(url->host, url->port, &wanted, &found);
    if (status != 0)
        return error_set(err, &FAULT_SOURCE_UNREACHABLE, "cannot resolve \"%s\": %s", url->host,
                         gai_strerror(status));
    bool allowed = true;
    for (const struct addrinfo *each = found; each != NULL; each = each->ai_next)
        allowed = allowed && !address_is_private_to_host(each->ai_addr);
    freeaddrinfo(found);
    if (!allowed)
        return error_set(err, &FAULT_ADDRESS_NOT_ALLOWED,
                         "\"%s\" leads to an address of this machine or link", url->host);
    return true;
}

const char *url_shown(const char *url, char ret_text[URL_SHOWN_SIZE])
{
    const char *host = strstr(url, "://");
    size_t head = host != NULL ? (size_t)(host + 3 - url) : 0;
    /* With an "@" anywhere nobody can tell where the user ends: passwords hold "/" and "?" too. */
    size_t length = strchr(url, '@') != NULL ? head : strcspn(url, "?#");
    snprintf(ret_text, URL_SHOWN_SIZE, "%.*s%s", (int)(length < 200 ? length : 200), url,
             url[length] != '\0' ? "…" : "");
    return ret_text;
}

bool url_list_allow(const struct url_list *list, const char *url, struct error *err)
{
    struct url parsed;
    char shown[URL_SHOWN_SIZE];
    url = url != NULL ? url : "";
    if (!url_parse(url, &parsed))
        return error_set(err, &FAULT_ADDRESS_NOT_ALLOWED, "\"%s\" is no plain http or https URL",
                         url_shown(url, shown));
    if (find_prefix(list, &parsed) == NULL)
        return error_set(err, &FAULT_ADDRESS_NOT_ALLOWED,
                         "\"%s\" is not on this node's list of URLs", url_shown(url, shown));
    if (is_literal(parsed.host))
        return true;
    return check_addresses(&parsed, err);
}

bool url_list_allow_address(const struct url_list *list, const char *url,
                            const struct sockaddr *address)
{
    struct url parsed;
    return url_parse(url, &parsed) && find_prefix(list, &parsed) != NULL &&
           (is_literal(parsed.host) || !address_is_private_to_host(address));
}
