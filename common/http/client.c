/* SPDX-License-Identifier: Apache-2.0 */
#include "common/http/client.h"

#include <curl/curl.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "common/base/secret.h"

#define ANSWER_MOST_BYTES (16u << 20)
#define CONNECT_TIMEOUT_MS 10000
#define SILENCE_TIMEOUT_MS 60000
#define WANTED_MOST_BYTES 17000

struct http_client {
    CURL *curl;
    char *agent, *ca, *certificate, *key, *proxy;
    uint64_t connect_timeout_ms, silence_timeout_ms;
    bool insecure;
    bool (*allow_address)(void *context, const struct sockaddr *address);
    void *allow_context;
};

/* One call under way. */
struct transfer {
    struct http_client *client;
    const struct http_call *call;
    http_client_sink *sink;
    void *sink_context;
    struct http_reply *reply;
    bool too_large, cancelled, refused;
};

void http_client_library_begin(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

void http_client_library_end(void)
{
    curl_global_cleanup();
}

static char *text_copy(const char *text)
{
    return text != NULL && text[0] != '\0' ? xstrdup(text) : NULL;
}

struct http_client *http_client_new(const struct http_client_settings *settings)
{
    struct http_client *client = xcalloc(1, sizeof(*client));
    client->agent = text_copy(settings->agent);
    client->ca = text_copy(settings->ca);
    client->certificate = text_copy(settings->certificate);
    client->key = text_copy(settings->key);
    client->proxy = text_copy(settings->proxy);
    client->connect_timeout_ms =
        settings->connect_timeout_ms > 0 ? settings->connect_timeout_ms : CONNECT_TIMEOUT_MS;
    client->silence_timeout_ms =
        settings->silence_timeout_ms > 0 ? settings->silence_timeout_ms : SILENCE_TIMEOUT_MS;
    client->insecure = settings->insecure;
    client->allow_address = settings->allow_address;
    client->allow_context = settings->allow_context;
    client->curl = curl_easy_init();
    if (client->curl == NULL)
        abort(); /* out of memory: allocation aborts */
    return client;
}

void http_client_free(struct http_client *client)
{
    if (client == NULL)
        return;
    curl_easy_cleanup(client->curl);
    free(client->agent);
    free(client->ca);
    free(client->certificate);
    free(client->key);
    free(client->proxy);
    free(client);
}

void http_client_freep(struct http_client **client)
{
    http_client_free(*client);
    *client = NULL;
}

void http_reply_fini(struct http_reply *reply)
{
    buffer_fini(&reply->body);
    if (reply->wanted.data != NULL)
        secret_wipe(reply->wanted.data, reply->wanted.capacity);
    buffer_fini(&reply->wanted);
    *reply = (struct http_reply){0};
}

/* The address stands fixed here: nothing resolves the name again between this look and the connect. */
static curl_socket_t on_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer *transfer = context;
    const struct http_client *client = transfer->client;
    if (purpose == CURLSOCKTYPE_IPCXN && client->proxy == NULL && client->allow_address != NULL &&
        !client->allow_address(client->allow_context, &address->addr)) {
        transfer->refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static bool status_is_good(CURL *curl)
{
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    return status >= 200 && status < 300;
}

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    size_t length = size * count;
    if (transfer->sink != NULL && status_is_good(transfer->client->curl)) {
        if (transfer->sink(transfer->sink_context, data, length))
            return length;
        transfer->reply->stopped = true;
        return CURL_WRITEFUNC_ERROR;
    }
    size_t most = transfer->call->answer_most > 0 ? transfer->call->answer_most : ANSWER_MOST_BYTES;
    if (transfer->reply->body.length + length > most) {
        transfer->too_large = true;
        return CURL_WRITEFUNC_ERROR;
    }
    buffer_append(&transfer->reply->body, data, length);
    return length;
}

static bool header_take(const char *line, size_t length, const char *name, char *into, size_t most)
{
    size_t name_length = strlen(name);
    if (length <= name_length || strncasecmp(line, name, name_length) != 0 ||
        line[name_length] != ':')
        return false;
    const char *from = line + name_length + 1, *end = line + length;
    while (from < end && (*from == ' ' || *from == '\t'))
        from++;
    while (end > from && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' '))
        end--;
    size_t value_length = (size_t)(end - from);
    if (value_length < most) {
        memcpy(into, from, value_length);
        into[value_length] = '\0';
    }
    return true;
}

static void want_header(struct transfer *transfer, const char *line, size_t length)
{
    const char *name = transfer->call->want_header;
    char value[WANTED_MOST_BYTES];
    value[0] = '\0';
    if (name == NULL || !header_take(line, length, name, value, sizeof(value)))
        return;
    buffer_clear(&transfer->reply->wanted);
    buffer_append_text(&transfer->reply->wanted, value);
    secret_wipe(value, strlen(value));
}

static size_t on_header(char *line, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    struct http_reply *reply = transfer->reply;
    size_t length = size * count;
    char retry_after[16] = "";
    want_header(transfer, line, length);
    if (!header_take(line, length, "Content-Type", reply->content_type,
                     sizeof(reply->content_type)) &&
        !header_take(line, length, "Location", reply->location, sizeof(reply->location)) &&
        !header_take(line, length, "X-Request-Id", reply->request_id, sizeof(reply->request_id)) &&
        !header_take(line, length, "X-OpenStack-Request-Id", reply->request_id,
                     sizeof(reply->request_id)) &&
        header_take(line, length, "Retry-After", retry_after, sizeof(retry_after)))
        reply->retry_after_s = (unsigned)strtoul(retry_after, NULL, 10);
    return length;
}

static int on_progress(void *context, curl_off_t download_total, curl_off_t download,
                       curl_off_t upload_total, curl_off_t upload)
{
    struct transfer *transfer = context;
    if (transfer->call->go_on == NULL || transfer->call->go_on(transfer->call->go_on_context))
        return 0;
    transfer->cancelled = true;
    return 1;
}

static void set_limits(CURL *curl, const struct http_client *client, const struct http_call *call)
{
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, call->redirects_most > 0 ? 1L : 0L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)call->redirects_most);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)client->connect_timeout_ms);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME,
                     (long)((client->silence_timeout_ms + 999) / 1000));
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)call->total_timeout_ms);
    curl_easy_setopt(curl, CURLOPT_PROXY, client->proxy != NULL ? client->proxy : "");
}

static void set_peer(CURL *curl, const struct http_client *client)
{
    curl_easy_setopt(curl, CURLOPT_USERAGENT, client->agent);
    if (client->insecure) {
        curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (client->ca != NULL)
        curl_easy_setopt(curl, CURLOPT_CAINFO, client->ca);
    curl_easy_setopt(curl, CURLOPT_SSLCERT, client->certificate);
    curl_easy_setopt(curl, CURLOPT_SSLKEY, client->key);
}

static void set_method(CURL *curl, const struct http_call *call)
{
    curl_easy_setopt(curl, CURLOPT_URL, call->url);
    if (strcmp(call->method, "HEAD") == 0) {
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
        return;
    }
    if (call->body != NULL) {
        curl_easy_setopt(curl, CURLOPT_POST, 1L);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_length);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body);
    }
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
}

static void set_callbacks(CURL *curl, struct transfer *transfer)
{
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, on_socket);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, transfer);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, transfer->call->go_on == NULL ? 1L : 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, transfer);
}

static struct curl_slist *headers_of(const struct http_call *call)
{
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");
    for (size_t i = 0; i < call->header_count; i++)
        list = curl_slist_append(list, call->headers[i]);
    return list;
}

/* Whether sending it again cannot do harm. */
static bool method_is_safe(const char *method)
{
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

static const struct fault *fault_of(const struct transfer *transfer, CURLcode code)
{
    double connected = 0;
    bool safe = method_is_safe(transfer->call->method);
    switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return &FAULT_INVALID;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
        return &FAULT_UNAVAILABLE;
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
        return &FAULT_CONFIG;
    case CURLE_OPERATION_TIMEDOUT:
        curl_easy_getinfo(transfer->client->curl, CURLINFO_PRETRANSFER_TIME, &connected);
        if (connected <= 0)
            return &FAULT_UNAVAILABLE;
        return safe ? &FAULT_TIMEOUT : &FAULT_UNCERTAIN;
    default:
        return safe ? &FAULT_IO : &FAULT_UNCERTAIN;
    }
}

static bool transfer_failed(const struct transfer *transfer, CURLcode code, const char *text,
                            struct error *err)
{
    const struct http_call *call = transfer->call;
    int shown = (int)strcspn(call->url, "?#"); /* a query may sign the request: a secret */
    if (transfer->too_large)
        return error_set(err, &FAULT_TOO_LARGE, "%s %.*s: the answer is too long", call->method,
                         shown, call->url);
    if (transfer->refused && code == CURLE_COULDNT_CONNECT)
        return error_set(err, &FAULT_DENIED,
                         "%s %.*s: its name leads to an address that is refused", call->method,
                         shown, call->url);
    if (transfer->cancelled)
        return error_set(err, &FAULT_CANCELLED, "%s %.*s: stopped", call->method, shown, call->url);
    return error_set(err, fault_of(transfer, code), "%s %.*s: %s", call->method, shown, call->url,
                     text[0] != '\0' ? text : curl_easy_strerror(code));
}

static bool transfer_run(struct transfer *transfer, struct error *err)
{
    CURL *curl = transfer->client->curl;
    char text[CURL_ERROR_SIZE] = "";
    curl_easy_reset(curl); /* keeps connections and the DNS cache */
    set_limits(curl, transfer->client, transfer->call);
    set_peer(curl, transfer->client);
    set_method(curl, transfer->call);
    set_callbacks(curl, transfer);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, text);
    struct curl_slist *headers = headers_of(transfer->call);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    CURLcode code = curl_easy_perform(curl);
    curl_slist_free_all(headers);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL);
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    transfer->reply->status = (unsigned)status;
    if (code == CURLE_OK || transfer->reply->stopped)
        return true;
    return transfer_failed(transfer, code, text, err);
}

bool http_client_stream(struct http_client *client, const struct http_call *call,
                        http_client_sink *sink, void *context, struct http_reply *ret_reply,
                        struct error *err)
{
    struct http_reply reply = {0};
    struct transfer transfer = {client, call, sink, context, &reply, false, false};
    if (!transfer_run(&transfer, err)) {
        http_reply_fini(&reply);
        return false;
    }
    http_reply_fini(ret_reply);
    *ret_reply = reply;
    return true;
}

bool http_client_call(struct http_client *client, const struct http_call *call,
                      struct http_reply *ret_reply, struct error *err)
{
    return http_client_stream(client, call, NULL, NULL, ret_reply, err);
}
