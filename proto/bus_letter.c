/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/bus_letter.h"

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"

void letter_free(struct letter *letter)
{
    if (!letter)
        return;
    free(letter->body);
    free(letter->correlation_id);
    free(letter);
}

void letter_list_init(struct letter_list *list)
{
    list->first = NULL;
    list->end = &list->first;
}

void letter_list_append(struct letter_list *list, struct letter *letter)
{
    letter->next = NULL;
    *list->end = letter;
    list->end = &letter->next;
}

void letter_list_prepend(struct letter_list *list, struct letter *letter)
{
    letter->next = list->first;
    if (!list->first)
        list->end = &letter->next;
    list->first = letter;
}

struct letter *letter_list_take(struct letter_list *list, struct letter **at)
{
    struct letter *letter = *at;

    *at = letter->next;
    if (!*at)
        list->end = at;
    return letter;
}

void letter_list_free(struct letter_list *list)
{
    while (list->first)
        letter_free(letter_list_take(list, &list->first));
}

size_t letter_list_count(const struct letter_list *list)
{
    size_t count = 0;

    for (const struct letter *letter = list->first; letter; letter = letter->next)
        count++;
    return count;
}

struct letter *letter_new(const struct bus_publication *publication)
{
    struct letter *letter = xcalloc(1, sizeof(*letter));

    letter->type = publication->type;
    letter->length = publication->length;
    letter->body = xcalloc(publication->length + 1, 1);
    if (publication->length > 0)
        memcpy(letter->body, publication->body, publication->length);
    if (publication->correlation_id)
        letter->correlation_id = xstrdup(publication->correlation_id);
    if (publication->expires_ms)
        letter->expires_at_ms = clock_mono_ms() + publication->expires_ms;
    letter->message_id = uuid_new();
    snprintf(letter->exchange, sizeof(letter->exchange), "%s", publication->exchange);
    snprintf(letter->routing_key, sizeof(letter->routing_key), "%s", publication->routing_key);
    return letter;
}

struct letter *letter_copy(const struct letter *letter)
{
    struct letter *copy = xcalloc(1, sizeof(*copy));

    *copy = *letter;
    copy->body = xcalloc(letter->length + 1, 1);
    if (letter->length > 0)
        memcpy(copy->body, letter->body, letter->length);
    copy->correlation_id = letter->correlation_id ? xstrdup(letter->correlation_id) : NULL;
    return copy;
}

bool letter_is_expired(const struct letter *letter)
{
    return letter->expires_at_ms && clock_mono_ms() >= letter->expires_at_ms;
}
