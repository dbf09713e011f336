/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "migration/destination/local_inner.h"
#include "proto/fault.h"

struct walk {
    mark_take *take;
    void *context;
};

static bool visit(void *context, const char *name, const struct place_mark *found,
                  struct error *err)
{
    const struct walk *walk = context;
    const struct mark mark = {.kind = name[0] == '.' ? "directory" : "domain",
                              .key = name,
                              .migration = found->migration,
                              .attempt = found->attempt};
    return walk->take(walk->context, &mark, err);
}

bool local_marks(struct destination *destination, mark_take *take, void *context, struct error *err)
{
    struct local *self = (struct local *)destination;
    struct walk walk = {take, context};
    return place_each_mark(self->root_fd, visit, &walk, err);
}

bool local_remove_mark(struct destination *destination, const struct mark *mark, bool *ret_found,
                       struct error *err)
{
    struct local *self = (struct local *)destination;
    *ret_found = false;
    if (mark->key[0] == '\0' || strchr(mark->key, '/') || strcmp(mark->key, ".") == 0 ||
        strcmp(mark->key, "..") == 0)
        return error_set(err, &FAULT_INVALID, "the mark's key \"%.60s\" is no name", mark->key);
    return place_remove(self->root_fd, mark->key, &mark->migration, ret_found, err);
}
