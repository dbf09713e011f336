/* SPDX-License-Identifier: Apache-2.0
 *
 * curl handles as this room wants them, and its codes as errors.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/memory.h"
#include "migration/disk/http_inner.h"
#include "proto/fault.h"

#define RECEIVE_MOST_BYTES (256u << 10)
#define RECEIVE_LEAST_BYTES (16u << 10)

/* Asked by curl for every address that it would connect to. What we open does not leak into children. */
static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct http_gate *gate = context;
    if (gate->may_connect != NULL && !gate->may_connect(gate->context, &address->addr)) {
        gate->refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

void *http_handle_new(const struct http_plan *plan, struct http_gate *gate)
{
    CURL *handle = curl_easy_init();
    if (handle == NULL)
        abort();
    curl_easy_setopt(handle, CURLOPT_URL, plan->url);
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT, 15L);
    curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 100L); /* a trickle is no progress */
    curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME,
                     (long)(plan->idle_seconds > 0 ? plan->idle_seconds : 30));
    curl_easy_setopt(handle, CURLOPT_BUFFERSIZE, (long)RECEIVE_MOST_BYTES);
    gate->may_connect = plan->may_connect;
    gate->context = plan->may_connect_context;
    curl_easy_setopt(handle, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(handle, CURLOPT_OPENSOCKETDATA, gate);
    if (plan->may_connect != NULL)
        curl_easy_setopt(handle, CURLOPT_PROXY, "");
    if (plan->insecure) {
        curl_easy_setopt(handle, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(handle, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    curl_easy_setopt(handle, CURLOPT_SSLCERT, plan->cert);
    curl_easy_setopt(handle, CURLOPT_SSLKEY, plan->key);
    if (plan->ca_file != NULL)
        curl_easy_setopt(handle, CURLOPT_CAINFO, plan->ca_file);
    return handle;
}

size_t http_buffer_bytes(uint64_t ours)
{
    size_t bytes = RECEIVE_MOST_BYTES;
    while (bytes > RECEIVE_LEAST_BYTES && bytes > ours / 4)
        bytes /= 2;
    return bytes;
}

struct curl_slist *http_headers_new(const struct http_plan *plan, const char *more)
{
    struct curl_slist *headers = NULL;
    for (size_t i = 0; plan->headers != NULL && plan->headers[i] != NULL; i++)
        headers = curl_slist_append(headers, plan->headers[i]);
    if (more != NULL)
        headers = curl_slist_append(headers, more);
    return headers;
}

void http_headers_free(struct curl_slist *headers)
{
    for (struct curl_slist *at = headers; at != NULL; at = at->next)
        explicit_bzero(at->data, strlen(at->data));
    curl_slist_free_all(headers);
}

bool http_fail(struct error *err, const char *url, int code, const char *words,
               const struct http_gate *gate)
{
    const struct fault *fault = &FAULT_IO;
    if (code == CURLE_COULDNT_CONNECT && gate->refused)
        return error_set(err, &FAULT_ADDRESS_NOT_ALLOWED,
                         "\"%s\" leads to an address that is not "
                         "allowed",
                         url);
    if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST)
        fault = &FAULT_UNAVAILABLE;
    else if (code == CURLE_OPERATION_TIMEDOUT)
        fault = &FAULT_TIMEOUT;
    else if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE)
        fault = &FAULT_DENIED;
    else if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL)
        fault = &FAULT_INVALID;
    return error_set(err, fault, "\"%s\": %s", url,
                     words[0] != 0 ? words : curl_easy_strerror((CURLcode)code));
}

bool http_status_fail(struct error *err, const char *url, long status)
{
    if (status >= 300 && status < 400)
        return error_set(err, &FAULT_UNSUPPORTED,
                         "\"%s\": answered %ld: redirects are not followed", url, status);
    const struct fault *fault = status == 401 || status == 403   ? &FAULT_DENIED
                                : status == 404 || status == 410 ? &FAULT_NOT_FOUND
                                : status == 409                  ? &FAULT_CONFLICT
                                : status == 507 || status == 413 ? &FAULT_NO_SPACE
                                : status >= 500 || status == 429 ? &FAULT_UNAVAILABLE
                                                                 : &FAULT_IO;
    return error_set(err, fault, "\"%s\": answered %ld", url, status);
}

bool http_answer_fail(struct error *err, const char *url, const struct http_answer *answer)
{
    bool ok = http_status_fail(err, url, answer->status);
    size_t length = strlen(err->text);
    if (answer->length > 0)
        snprintf(err->text + length, sizeof(err->text) - length, ": %s", answer->body);
    return ok;
}

/* As one line. */
void http_answer_add(struct http_answer *answer, const char *data, size_t length)
{
    for (size_t i = 0; i < length && answer->length + 1 < sizeof(answer->body); i++) {
        char letter = data[i] > ' ' && data[i] < 127 ? data[i] : ' ';
        bool after_space = answer->length == 0 || answer->body[answer->length - 1] == ' ';
        if (letter != ' ' || !after_space)
            answer->body[answer->length++] = letter;
    }
    answer->body[answer->length] = 0;
}

char *http_shown(const char *url)
{
    const char *scheme = strstr(url, "://");
    const char *host = scheme != NULL ? scheme + 3 : url;
    size_t length = strcspn(host, "?#");
    /* With an "@" anywhere nobody can tell where the user ends. */
    if (strchr(url, '@') != NULL)
        length = 0;
    return xasprintf("%.*s%.*s%s", (int)(host - url), url, (int)length, host,
                     host[length] != 0 ? "…" : "");
}
