/* SPDX-License-Identifier: Apache-2.0
 *
 * What the services say when they refuse, as faults: each has its own shape of an error.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/openstack/inside.h"

/* {"error": {"message"}}, {"badRequest": {"message"}}, {"NeutronError": {"message"}} or a text,
 * {"message"}, {"errors": [{"detail"}]}. */
static const char *find_message(const json_t *body)
{
    const char *name, *text = json_string_value(json_object_get(body, "message"));
    const json_t *each;
    if (text != NULL)
        return text;
    text = json_string_value(
        json_object_get(json_array_get(json_object_get(body, "errors"), 0), "detail"));
    if (text != NULL)
        return text;
    json_object_foreach((json_t *)body, name, each) {
        text = json_is_string(each) ? json_string_value(each)
                                    : json_string_value(json_object_get(each, "message"));
        if (text != NULL)
            return text;
    }
    return NULL;
}

/* Glance and proxies answer with HTML: the words between the tags, but for the title. */
static void strip_tags(const char *text, size_t length, char *ret_text, size_t most)
{
    size_t filled = 0;
    bool tag = false, blank = true;
    for (size_t i = 0; i < length && filled + 1 < most; i++) {
        if (i + 6 < length && strncasecmp(text + i, "<title", 6) == 0) {
            const char *end = memmem(text + i, length - i, "</title>", 8);
            if (end == NULL)
                break;
            i = (size_t)(end - text) + 7;
            continue;
        }
        if (text[i] == '<' || text[i] == '>') {
            tag = text[i] == '<';
        } else if (!tag) {
            bool space = (unsigned char)text[i] <= ' ';
            if (!space || !blank)
                ret_text[filled++] = space ? ' ' : text[i];
            blank = space;
            continue;
        }
        if (!blank && filled + 1 < most)
            ret_text[filled++] = ' ';
        blank = true;
    }
    while (filled > 0 && ret_text[filled - 1] == ' ')
        filled--;
    ret_text[filled] = '\0';
}

void answer_message(const char *body, size_t length, char *ret_text, size_t most)
{
    ret_text[0] = '\0';
    if (length == 0)
        return;
    json_t *json = json_loadb(body, length, 0, NULL);
    const char *message = json_is_object(json) ? find_message(json) : NULL;
    if (message != NULL)
        strip_tags(message, strlen(message), ret_text, most); /* Glance puts them into JSON, too */
    else if (json == NULL)
        strip_tags(body, length, ret_text, most);
    json_decref(json);
}

bool answer_is_quota(unsigned status, const char *message)
{
    if (status != 403 && status != 409 && status != 413)
        return false;
    return strcasestr(message, "quota") != NULL || strcasestr(message, "LimitExceeded") != NULL ||
           strcasestr(message, "maximum number of") != NULL;
}

static const struct fault *fault_of(const struct http_reply *reply, const char *method,
                                    const char *message)
{
    bool safe = strcmp(method, "POST") != 0 && strcmp(method, "PATCH") != 0;
    if (answer_is_quota(reply->status, message))
        return &FAULT_QUOTA_EXCEEDED;
    switch (reply->status) {
    case 401:
    case 403:
        return &FAULT_DENIED;
    case 404:
    case 410:
        return &FAULT_NOT_FOUND;
    case 409:
        return &FAULT_CONFLICT;
    case 413:
        return reply->retry_after_s > 0 ? &FAULT_OVER_LIMIT : &FAULT_TOO_LARGE;
    case 429:
        return &FAULT_OVER_LIMIT;
    default:
        break;
    }
    if (reply->status < 500)
        return &FAULT_INVALID;
    return safe ? &FAULT_UNAVAILABLE : &FAULT_UNCERTAIN;
}

bool answer_fail(const struct http_reply *reply, const char *method, const char *what,
                 struct error *err)
{
    char message[320];
    answer_message(reply->body.data, reply->body.length, message, sizeof(message));
    return error_set(err, fault_of(reply, method, message), "%s: answered %u%s%s%s%s", what,
                     reply->status, message[0] != '\0' ? ": " : "", message,
                     reply->request_id[0] != '\0' ? ", request " : "", reply->request_id);
}
