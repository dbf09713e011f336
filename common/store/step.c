/* SPDX-License-Identifier: Apache-2.0 */
#include "common/store/step.h"

#include <string.h>

#include "common/store/bind.h"

bool step_save(struct db *db, const struct step_fact *steps, size_t count, struct error *err)
{
    enum { WIDTH = 10 };
    CLEANUP(xfreep) struct db_value *values = xcalloc(count * WIDTH + 1, sizeof *values);
    for (size_t i = 0; i < count; i++) {
        const struct step_fact *step = &steps[i];
        const struct db_value row[WIDTH] = {
            db_uuid(&step->job_id),         db_unsigned(step->attempt),
            db_unsigned(step->number),      db_uuid(&step->owner_id),
            bind_cut_full(step->name, 64),  db_text(step->state),
            bind_time(step->started_at),    bind_time(step->finished_at),
            bind_cut(step->fault_code, 48), bind_cut(step->fault_text, 1024),
        };
        memcpy(&values[i * WIDTH], row, sizeof row);
    }
    return db_execute_rows(db,
                           "INSERT INTO steps (job_id, attempt, number, owner_id, name, state,"
                           " started_at, finished_at, fault_code, fault_text) VALUES ",
                           "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                           " ON DUPLICATE KEY UPDATE name = VALUES(name), state = VALUES(state),"
                           " started_at = VALUES(started_at), finished_at = VALUES(finished_at),"
                           " fault_code = VALUES(fault_code), fault_text = VALUES(fault_text)",
                           values, WIDTH, count, NULL, err);
}

bool step_close(struct db *db, const struct step_attempt *attempts, size_t count, uint64_t at,
                struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        const struct db_value values[] = {db_unsigned(attempts[i].is_done),
                                          db_unsigned(attempts[i].attempt),
                                          bind_time(at),
                                          db_uuid(&attempts[i].owner_id),
                                          db_uuid(&attempts[i].job_id),
                                          db_unsigned(attempts[i].attempt)};
        if (!db_execute(db,
                        "UPDATE steps SET state = IF(? AND attempt = ?, 'done', 'interrupted'),"
                        " finished_at = ? WHERE owner_id = ? AND job_id = ? AND attempt <= ? AND "
                        "state = 'running'",
                        values, COUNT_OF(values), NULL, err))
            return false;
    }
    return true;
}

bool job_page_save(struct db *db, const struct job_page_fact *pages, size_t count,
                   struct error *err)
{
    enum { WIDTH = 4 };
    CLEANUP(xfreep) struct db_value *values = xcalloc(count * WIDTH + 1, sizeof *values);
    for (size_t i = 0; i < count; i++) {
        values[i * WIDTH] = db_uuid(&pages[i].job_id);
        values[i * WIDTH + 1] = db_unsigned(pages[i].attempt);
        values[i * WIDTH + 2] = db_unsigned(pages[i].number);
        values[i * WIDTH + 3] = db_unsigned(pages[i].last);
    }
    return db_execute_rows(db, "INSERT INTO pages (job_id, attempt, number, last) VALUES ",
                           "(?, ?, ?, ?)", " ON DUPLICATE KEY UPDATE last = VALUES(last)", values,
                           WIDTH, count, NULL, err);
}

bool job_page_count(struct db *db, const struct uuid *job_id, uint32_t attempt, uint64_t *ret_count,
                    struct error *err)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct db_rows *rows;
    const struct db_value values[] = {db_uuid(job_id), db_unsigned(attempt)};
    if (!db_query(db, arena, "SELECT COUNT(*) FROM pages WHERE job_id = ? AND attempt = ?", values,
                  COUNT_OF(values), &rows, err))
        return false;
    *ret_count = db_rows_unsigned(rows, 0, 0);
    return true;
}

bool job_page_delete(struct db *db, const struct uuid *job_id, struct error *err)
{
    const struct db_value values[] = {db_uuid(job_id)};
    return db_execute(db, "DELETE FROM pages WHERE job_id = ?", values, 1, NULL, err);
}
