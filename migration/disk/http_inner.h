/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by http.c (reading) and http_upload.c: one curl handle set up as this room wants it.
 */
#ifndef GUTS_MIGRATION_DISK_HTTP_INNER_H
#define GUTS_MIGRATION_DISK_HTTP_INNER_H

#include "migration/disk/http.h"

struct curl_slist;

/* A CURL handle with its time-outs, protocols and certificates; aborts only without memory. */
void *http_handle_new(const struct http_plan *plan);
/* The plan's headers and `more` (NULL: none). */
struct curl_slist *http_headers_new(const struct http_plan *plan, const char *more);
void http_headers_free(struct curl_slist *headers); /* wipes */
/* A CURLcode as an error. */
bool http_fail(struct error *err, const char *url, int code, const char *words);
/* An answer that is not what was wanted. */
bool http_status_fail(struct error *err, const char *url, long status);

#endif
