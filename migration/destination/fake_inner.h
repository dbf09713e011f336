/* SPDX-License-Identifier: Apache-2.0
 *
 * Between the files of the fake destination; for them only. fake.c: the driver, its disks and servers;
 * fake_undo.c: taking back what was made.
 *
 * Threads: as destination.h.
 */
#ifndef GUTS_MIGRATION_DESTINATION_FAKE_INNER_H
#define GUTS_MIGRATION_DESTINATION_FAKE_INNER_H

#include "migration/destination/destination.h"
#include "migration/source/fake_world.h"

struct fake_destination {
    struct destination destination;
    struct work *work;
    struct fake_world *world;
    bool unique_names;
};

/* A server whose field says the value: init with both, then fake_each_server with fake_compare. */
struct fake_search {
    const char *field;
    const char *value;
    char *file; /* found: heap */
    char *id;
    char *vm;
};
void fake_search_fini(struct fake_search *search);
bool fake_compare(void *context, const char *file, const json_t *server);
/* Calls visit for each server until it returns false; the world is locked by the caller. */
bool fake_each_server(struct fake_destination *fake,
                      bool (*visit)(void *context, const char *file, const json_t *server),
                      void *context, struct error *err);

bool fake_destination_undo(struct destination *destination, const struct ledger_entry *entry,
                           enum ledger_state *ret_state, struct error *err);
bool fake_destination_accept(struct destination *destination, const struct ledger_entry *entry,
                             enum ledger_state *ret_state, struct error *err);
bool fake_destination_sweep(struct destination *destination, const struct destination_plan *plan,
                            struct error *err);
bool fake_remove_disk(struct fake_destination *fake, const char *key, bool *ret_existed,
                      struct error *err);
/* fake_marks.c */
bool fake_destination_marks(struct destination *destination, mark_take *take, void *context,
                            struct error *err);
bool fake_destination_remove_mark(struct destination *destination, const struct mark *mark,
                                  bool *ret_found, struct error *err);
bool fake_destination_settle(struct destination *destination, size_t *ret_removed,
                             struct error *err);

#endif
