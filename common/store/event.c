/* SPDX-License-Identifier: Apache-2.0 */
#include "common/store/event.h"

#include <string.h>

#include "common/store/bind.h"

const char *event_severity_name(enum event_severity severity)
{
    static const char *const names[] = {"info", "warn", "error"};
    return names[severity];
}

bool event_insert(struct db *db, const struct event_fact *events, size_t count, struct error *err)
{
    enum { WIDTH = 9 };
    CLEANUP(xfreep) struct db_value *values = xcalloc(count * WIDTH + 1, sizeof *values);
    for (size_t i = 0; i < count; i++) {
        const struct event_fact *event = &events[i];
        const struct db_value row[WIDTH] = {
            db_unsigned(event->number),
            db_unsigned(event->at),
            db_text(event->project),
            db_text(event->kind),
            db_text(event_severity_name(event->severity)),
            db_text(owner_kind_name(event->owner_kind)),
            db_uuid(&event->owner_id),
            bind_cut_full(event->text, 1024),
            db_text(event->data_json),
        };
        memcpy(&values[i * WIDTH], row, sizeof row);
    }
    return db_execute_rows(db,
                           "INSERT INTO events (number, at, project, kind, severity, owner_kind,"
                           " owner_id, text, data_json) VALUES ",
                           "(?, ?, ?, ?, ?, ?, ?, ?, ?)", "", values, WIDTH, count, NULL, err);
}

/* Numbers rise with time: behind the first that stays, all stay. */
bool event_prune(struct db *db, uint64_t before_us, size_t most, uint64_t *ret_count,
                 struct error *err)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct db_rows *rows;
    const struct db_value limit = db_unsigned(most);
    if (!db_query(db, arena, "SELECT number, at FROM events ORDER BY number LIMIT ?", &limit, 1,
                  &rows, err))
        return false;
    size_t count = 0;
    while (count < db_rows_count(rows) && db_rows_unsigned(rows, count, 1) < before_us)
        count++;
    *ret_count = count;
    if (count == 0)
        return true;
    const struct db_value last = db_unsigned(db_rows_unsigned(rows, count - 1, 0));
    return db_execute(db, "DELETE FROM events WHERE number <= ?", &last, 1, NULL, err);
}
