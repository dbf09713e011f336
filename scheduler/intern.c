/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/intern.h"

#include <jansson.h>
#include <string.h>

#include "common/base/memory.h"

#define INTERN_MOST 65536
#define WORDS_MOST 256

static struct {
    char **slots;
    size_t capacity, count;
} table;

static size_t hash_text(const char *text)
{
    uint64_t hash = 0xCBF29CE484222325u; /* FNV-1a */
    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001B3u;
    return (size_t)(hash ^ (hash >> 29));
}

static char **find_slot(const char *word)
{
    size_t mask = table.capacity - 1, at = hash_text(word) & mask;
    while (table.slots[at] != NULL && strcmp(table.slots[at], word) != 0)
        at = (at + 1) & mask;
    return &table.slots[at];
}

static void grow(void)
{
    char **old = table.slots;
    size_t old_capacity = table.capacity;
    table.capacity = old_capacity == 0 ? 256 : old_capacity * 2;
    table.slots = xcalloc(table.capacity, sizeof *table.slots);
    for (size_t i = 0; i < old_capacity; i++)
        if (old[i] != NULL)
            *find_slot(old[i]) = old[i];
    free(old);
}

const char *intern(const char *word)
{
    if (word == NULL)
        return NULL;
    if ((table.count + 1) * 2 > table.capacity)
        grow();
    char **slot = find_slot(word);
    if (*slot != NULL)
        return *slot;
    if (table.count >= INTERN_MOST)
        return "(too many words)";
    table.count++;
    return *slot = xstrdup(word);
}

void intern_words_add(struct place_words *words, const char *word)
{
    const char *kept = intern(word);
    if (words->count >= WORDS_MOST || place_words_hold(words, kept))
        return;
    words->items = xreallocarray(words->items, words->count + 1, sizeof *words->items);
    words->items[words->count++] = kept;
}

void intern_words(const char *json, struct place_words *words)
{
    size_t index;
    json_t *item;
    words->count = 0;
    if (json == NULL || json[0] == '\0')
        return;
    json_t *array = json_loads(json, 0, NULL);
    json_array_foreach(array, index, item)
        if (json_is_string(item))
            intern_words_add(words, json_string_value(item));
    json_decref(array);
}

void intern_words_fini(struct place_words *words)
{
    free(words->items);
    *words = (struct place_words){0};
}

void intern_end(void)
{
    for (size_t i = 0; i < table.capacity; i++)
        free(table.slots[i]);
    free(table.slots);
    memset(&table, 0, sizeof table);
}
