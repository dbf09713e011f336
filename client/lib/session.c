/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/session.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ANSWER_MOST_BYTES (64u << 20)

static void set_text(char *ret_text, size_t size, const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    snprintf(ret_text, size, "%s", text != NULL ? text : "");
}

void guts_error_clear(struct guts_error *err)
{
    json_decref(err->errors);
    *err = (struct guts_error){0};
}

bool guts_fail(struct guts_error *err, const struct error *reason)
{
    guts_error_clear(err);
    snprintf(err->code, sizeof(err->code), "%s", reason->fault->code);
    snprintf(err->title, sizeof(err->title), "%s", reason->fault->title);
    snprintf(err->detail, sizeof(err->detail), "%s", reason->text);
    snprintf(err->hint, sizeof(err->hint), "%s", reason->fault->hint);
    return false;
}

bool guts_fail_text(struct guts_error *err, const struct fault *fault, const char *format, ...)
{
    struct error reason = {0};
    va_list args;
    va_start(args, format);
    error_setv(&reason, fault, format, args);
    va_end(args);
    return guts_fail(err, &reason);
}

bool guts_fail_answer(struct guts_error *err, unsigned status, const char *body, size_t length)
{
    guts_error_clear(err);
    json_t *problem = json_loadb(body, length, 0, NULL);
    set_text(err->code, sizeof(err->code), problem, "code");
    set_text(err->title, sizeof(err->title), problem, "title");
    set_text(err->detail, sizeof(err->detail), problem, "detail");
    set_text(err->hint, sizeof(err->hint), problem, "hint");
    if (json_is_array(json_object_get(problem, "errors")))
        err->errors = json_incref(json_object_get(problem, "errors"));
    json_decref(problem);
    err->status = status;
    if (err->code[0] == '\0') {
        snprintf(err->code, sizeof(err->code), "http_%u", status);
        snprintf(err->title, sizeof(err->title), "the server answered with status %u", status);
    }
    return false;
}

static void set_token(struct guts *guts, const char *token)
{
    char *header = xasprintf("Authorization: Bearer %s", token);
    secret_free(guts->token);
    guts->token = secret_new(header, strlen(header));
    secret_wipe(header, strlen(header));
    free(header);
}

bool guts_renew(struct guts *guts, unsigned status)
{
    const char *token =
        status == 401 && guts->renew_token != NULL ? guts->renew_token(guts->renew_context) : NULL;
    if (token == NULL || strpbrk(token, "\r\n") != NULL)
        return false;
    set_token(guts, token);
    return true;
}

struct guts *guts_open(const struct guts_settings *settings, struct guts_error *err)
{
    const char *url = settings->url != NULL ? settings->url : "";
    if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0) {
        guts_fail_text(err, &FAULT_INVALID, "\"%s\" is no http or https address of an API", url);
        return NULL;
    }
    if (settings->token != NULL && strpbrk(settings->token, "\r\n") != NULL) {
        guts_fail_text(err, &FAULT_INVALID, "the token has more than one line");
        return NULL;
    }
    http_client_library_begin();
    struct guts *guts = xcalloc(1, sizeof(*guts));
    guts->url = xstrdup(url);
    for (size_t length = strlen(url); length > 0 && url[length - 1] == '/'; length--)
        guts->url[length - 1] = '\0';
    guts->stop = settings->stop;
    guts->timeout_ms = settings->timeout_ms > 0 ? settings->timeout_ms : 60000;
    if (settings->token != NULL && settings->token[0] != '\0')
        set_token(guts, settings->token);
    guts->renew_token = settings->renew_token;
    guts->renew_context = settings->renew_context;
    struct http_client_settings http = {
        .agent = "guts/" GUTS_VERSION,
        .ca = settings->ca_file,
        .certificate = settings->certificate,
        .key = settings->key,
    };
    guts->client = http_client_new(&http);
    return guts;
}

void guts_close(struct guts *guts)
{
    if (guts == NULL)
        return;
    http_client_free(guts->client);
    secret_free(guts->token);
    free(guts->url);
    free(guts);
    http_client_library_end();
}

size_t guts_headers(const struct guts *guts, const char *headers[GUTS_HEADERS_MOST])
{
    size_t count = 0;
    headers[count++] = "Accept: application/json";
    if (guts->token != NULL)
        headers[count++] = secret_reveal(guts->token);
    return count;
}

static json_t *parse_answer(const struct http_reply *reply, struct guts_error *err)
{
    if (reply->status >= 400) {
        guts_fail_answer(err, reply->status, reply->body.data, reply->body.length);
        return NULL;
    }
    if (reply->body.length == 0)
        return json_object();
    json_t *answer = json_loadb(reply->body.data, reply->body.length, 0, NULL);
    if (json_is_object(answer))
        return answer;
    json_decref(answer);
    guts_fail_text(err, &FAULT_IO, "the answer is no JSON object: is that address an API of guts?");
    return NULL;
}

static bool is_wanted(void *context)
{
    const struct guts *guts = context;
    return guts->stop == NULL || !*guts->stop;
}

static bool call_once(struct guts *guts, struct http_call *call, struct http_reply *ret_reply,
                      struct error *reason)
{
    const char *headers[GUTS_HEADERS_MOST];
    call->header_count = guts_headers(guts, headers);
    if (call->body != NULL)
        headers[call->header_count++] = "Content-Type: application/json";
    call->headers = headers;
    return http_client_call(guts->client, call, ret_reply, reason);
}

json_t *guts_call(struct guts *guts, const char *method, const char *path, const json_t *body,
                  struct guts_error *err)
{
    CLEANUP(xfreep) char *url = xasprintf("%s/v1%s", guts->url, path);
    CLEANUP(xfreep) char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    struct http_call call = {
        .method = method,
        .url = url,
        .body = text,
        .body_length = text != NULL ? strlen(text) : 0,
        .answer_most = ANSWER_MOST_BYTES,
        .total_timeout_ms = guts->timeout_ms,
        .go_on = is_wanted,
        .go_on_context = guts,
    };
    struct http_reply reply = {0};
    struct error reason = {0};
    json_t *answer = NULL;
    bool got = call_once(guts, &call, &reply, &reason);
    if (got && guts_renew(guts, reply.status))
        got = call_once(guts, &call, &reply, &reason);
    if (got)
        answer = parse_answer(&reply, err);
    else
        guts_fail(err, &reason);
    if (text != NULL)
        secret_wipe(text, strlen(text)); /* it may hold secrets of a source */
    http_reply_fini(&reply);
    return answer;
}

char *guts_escape(const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    char *escaped = xcalloc(3 * strlen(text) + 1, 1);
    char *out = escaped;
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
        bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
                     (*p >= '0' && *p <= '9') || strchr("-._~", *p) != NULL;
        if (plain) {
            *out++ = (char)*p;
        } else {
            *out++ = '%';
            *out++ = hex[*p >> 4];
            *out++ = hex[*p & 15];
        }
    }
    return escaped;
}
