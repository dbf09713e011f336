/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/destination/fault_list.h"

#include <assert.h>

struct fault_list {
    struct error faults[FAULT_LIST_MOST];
    size_t count;
    size_t dropped;
};

struct fault_list *fault_list_new(void)
{
    return xcalloc(1, sizeof(struct fault_list));
}

void fault_list_free(struct fault_list *list)
{
    free(list);
}

void fault_list_freep(struct fault_list **list)
{
    fault_list_free(*list);
    *list = NULL;
}

void fault_list_add(struct fault_list *list, const struct fault *fault, const char *format, ...)
{
    if (list->count == FAULT_LIST_MOST) {
        list->dropped++;
        return;
    }
    va_list args;
    va_start(args, format);
    error_setv(&list->faults[list->count++], fault, format, args);
    va_end(args);
}

size_t fault_list_count(const struct fault_list *list)
{
    return list->count;
}

const struct error *fault_list_get(const struct fault_list *list, size_t index)
{
    assert(index < list->count);
    return &list->faults[index];
}
