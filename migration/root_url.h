/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of URLs that a node may fetch from (behind migration/root.h): prefixes of scheme, host,
 * port and path. A prefix without a trailing slash ends at a slash of the URL or at its end, so that
 * "https://a/b" allows "https://a/b/c" and not "https://a/bc".
 *
 * Threads: constant after loading.
 */
#ifndef GUTS_MIGRATION_ROOT_URL_H
#define GUTS_MIGRATION_ROOT_URL_H

#include "common/base/error.h"
#include "common/conf/conf.h"

struct sockaddr;
struct url_list;
/* FAULT_CONFIG names the first prefix that is no http(s) URL. */
bool url_list_new(const struct conf_strings *prefixes, struct url_list **ret_list,
                  struct error *err) MUST_CHECK;
void url_list_free(struct url_list *list);
/* FAULT_ADDRESS_NOT_ALLOWED: no prefix fits, it carries a user or odd characters, or its host leads
 * to an address of this machine or link that no prefix names literally. */
bool url_list_allow(const struct url_list *list, const char *url, struct error *err) MUST_CHECK;
/* The same for an address that the host of such a URL leads to. */
bool url_list_allow_address(const struct url_list *list, const char *url,
                            const struct sockaddr *address);
/* The URL without what may be credentials (query; all of it where there is an "@"): for errors. */
#define URL_SHOWN_SIZE 208
const char *url_shown(const char *url, char ret_text[URL_SHOWN_SIZE]);
/* Loopback, link-local, unspecified, multicast; IPv4 inside IPv6 is judged as IPv4. */
bool address_is_private_to_host(const struct sockaddr *address);

#endif
