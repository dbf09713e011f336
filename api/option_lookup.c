/* SPDX-License-Identifier: Apache-2.0
 *
 * Options against the destination's catalogue as it was last read. Each kind is read once; what was
 * never read, or is too long to be read whole, refuses nothing: the preflight has the last word.
 */
#include <string.h>

#include "api/endpoint.h"
#include "api/option.h"
#include "common/store/catalogue_view.h"

#define ITEMS_MOST 10000

struct lookup {
    struct call *call;
    const struct endpoint *destination;
    const char *kind; /* that `items` holds */
    struct catalogue_item *items;
    size_t count;
    bool whole;
};

static bool read_kind(struct lookup *lookup, const char *kind, struct error *err)
{
    if (lookup->kind != NULL && strcmp(lookup->kind, kind) == 0)
        return true;
    if (!catalogue_view_kind(lookup->call->store, lookup->call->arena, &lookup->destination->id,
                             kind, ITEMS_MOST, &lookup->items, &lookup->count, &lookup->whole, err))
        return false;
    lookup->kind = kind;
    return true;
}

static void judge(const struct lookup *lookup, struct reader *reader,
                  const struct option_name *name)
{
    size_t found = 0;
    for (size_t i = 0; i < lookup->count; i++) {
        if (strcmp(lookup->items[i].item, name->name) == 0)
            return;
        found += strcmp(lookup->items[i].name, name->name) == 0;
    }
    if (found == 0)
        reader_complain(reader, name->pointer,
                        "no %s \"%.200s\" is in the destination's catalogue; if it is new there: "
                        "guts destination refresh",
                        name->kind, name->name);
    if (found > 1)
        reader_complain(reader, name->pointer,
                        "%zu of kind %s carry the name \"%.200s\": use the id", found, name->kind,
                        name->name);
}

bool option_lookup(struct call *call, struct reader *reader, const struct endpoint *destination,
                   const struct option_names *names, struct error *err)
{
    struct lookup lookup = {.call = call, .destination = destination};
    for (size_t i = 0; i < names->count; i++) {
        if (!read_kind(&lookup, names->items[i].kind, err))
            return false;
        if (lookup.whole && (lookup.count > 0 || destination->refreshed_at != 0))
            judge(&lookup, reader, &names->items[i]);
    }
    return true;
}
