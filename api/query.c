/* SPDX-License-Identifier: Apache-2.0
 *
 * Query parameters of a call, and the links of pages. */
#include <string.h>

#include "api/call.h"
#include "proto/fault.h"
#include "proto/text.h"

#define QUERY_VALUE_MOST 2048

struct reader *call_reader(struct call *call)
{
    if (call->reader == NULL) {
        call->reader = arena_alloc(call->arena, sizeof(*call->reader));
        reader_init(call->reader, call->arena, NULL);
    }
    return call->reader;
}

bool call_name_is_sound(const char *text)
{
    return text[0] != '\0' && strlen(text) <= 255 && text_is_printable(text, false);
}

bool call_word_is_sound(const char *text)
{
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    return length > 0 && length <= 64;
}

struct query_check {
    struct call *call;
    const char *const *allowed;
};

static bool query_check_one(void *context, const char *name, const char *value)
{
    struct query_check *check = context;
    for (size_t i = 0; check->allowed[i] != NULL; i++)
        if (strcmp(check->allowed[i], name) == 0)
            return true;
    bool shown = text_is_printable(name, false) && strlen(name) <= 64;
    reader_complain(call_reader(check->call), shown ? name : "", "is not a parameter of this path");
    return true;
}

void call_query_allow(struct call *call, const char *const *allowed)
{
    struct query_check check = {call, allowed};
    http_request_each_query(call->request, query_check_one, &check);
}

const char *call_query(struct call *call, const char *name)
{
    const char *value = http_request_query(call->request, name);
    if (value == NULL || value[0] == '\0')
        return NULL;
    if (strlen(value) <= QUERY_VALUE_MOST && text_is_printable(value, false))
        return value;
    reader_complain(call_reader(call), name, "must be a short text without control characters");
    return NULL;
}

bool call_query_number(struct call *call, const char *name, uint64_t most, uint64_t *ret_number)
{
    const char *text = call_query(call, name);
    char *end = NULL;
    if (text == NULL)
        return false;
    uint64_t number = text[0] >= '0' && text[0] <= '9' ? strtoull(text, &end, 10) : 0;
    if (end == NULL || *end != '\0' || strlen(text) > 18 || number > most) {
        reader_complain(call_reader(call), name, "must be a whole number up to %llu",
                        (unsigned long long)most);
        return false;
    }
    *ret_number = number;
    return true;
}

int call_query_word(struct call *call, const char *name, int standard, const char *const *words)
{
    struct buffer list = {0};
    const char *text = call_query(call, name);
    if (text == NULL)
        return standard;
    for (int i = 0; words[i] != NULL; i++)
        if (strcmp(words[i], text) == 0)
            return i;
    for (int i = 0; words[i] != NULL; i++)
        buffer_printf(&list, "%s%s", i > 0 ? ", " : "", words[i]);
    reader_complain(call_reader(call), name, "must be one of %s", list.data);
    buffer_fini(&list);
    return standard;
}

/* Members and readers stay in their project, whatever they ask for. */
void call_query_project(struct call *call)
{
    const char *project = call_query(call, "project");
    if (project == NULL)
        return;
    if (call->identity.role != ACCESS_ADMIN && strcmp(project, call->identity.project) != 0)
        reader_complain(call_reader(call), "project", "is for administrators");
    else
        call->scope = project;
}

void call_query_page(struct call *call, const char *const *allowed, struct page *ret_page)
{
    static const char *const orders[] = {"asc", "desc", NULL};
    uint64_t limit = PAGE_STANDARD;
    call_query_allow(call, allowed);
    call_query_project(call);
    if (call_query_number(call, "limit", PAGE_MOST, &limit) && limit == 0)
        reader_complain(call_reader(call), "limit", "must be at least 1");
    *ret_page = (struct page){.most = limit, .cursor = call_query(call, "marker")};
    ret_page->descending = call_query_word(call, "order", 0, orders) == 1;
}

static void append_escaped(struct buffer *into, const char *text)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (; *text != '\0'; text++) {
        if (strchr(plain, *text) != NULL)
            buffer_append(into, text, 1);
        else
            buffer_printf(into, "%%%02X", (unsigned char)*text);
    }
}

struct link {
    struct buffer text;
    const char *parameter;
};

static bool link_add(void *context, const char *name, const char *value)
{
    struct link *link = context;
    if (strcmp(name, link->parameter) == 0)
        return true;
    append_escaped(&link->text, name);
    buffer_append_text(&link->text, "=");
    append_escaped(&link->text, value);
    buffer_append_text(&link->text, "&");
    return true;
}

void call_write_next(struct call *call, const char *parameter, const char *cursor)
{
    if (cursor == NULL) {
        writer_null(&call->writer, "next");
        return;
    }
    struct link link = {.parameter = parameter};
    buffer_printf(&link.text, "%s?", call->request->path);
    http_request_each_query(call->request, link_add, &link);
    buffer_printf(&link.text, "%s=", parameter);
    append_escaped(&link.text, cursor);
    writer_text(&call->writer, "next", link.text.data);
    buffer_fini(&link.text);
}

struct writer *call_list_begin(struct call *call, const char *name)
{
    struct writer *writer = call_json(call, 200);
    writer_object_begin(writer, NULL);
    writer_array_begin(writer, name);
    return writer;
}

void call_list_end(struct call *call, const char *marker)
{
    writer_array_end(&call->writer);
    call_write_next(call, "marker", marker);
    writer_object_end(&call->writer);
}
