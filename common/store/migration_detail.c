/* SPDX-License-Identifier: Apache-2.0
 *
 * All that one migration's page shows, for many migrations in one round trip: the four tables are
 * selected one behind the other, the rows of the three smaller ones in columns that the first has
 * anyway (CHILD_…).
 */
#include <assert.h>
#include <string.h>

#include "common/store/migration_row.h"
#include "common/store/query.h"

enum detail_column {
    DETAIL_OPTIONS = ROW_COLUMN_COUNT,
    DETAIL_FAULTS,
    DETAIL_EVIDENCE,
    DETAIL_SERVER,
    DETAIL_REASONS,
    DETAIL_REASONS_AT,
    DETAIL_KIND
};
enum kind { KIND_MIGRATION, KIND_DISK, KIND_STEP, KIND_LEDGER };
/* Where the rows of the smaller tables keep what the first has no name for. */
enum child_column {
    CHILD_NUMBER = ROW_VERSION,      /* of a disk, a step; position in the ledger */
    CHILD_NAME = ROW_VM_NAME,        /* of a step; digest of a disk; key of a ledger entry */
    CHILD_CAPACITY = ROW_CREATED_AT, /* of a disk */
    CHILD_END = ROW_SOURCE_NAME,
    CHILD_KIND = ROW_DESTINATION_NAME,
    CHILD_EXTERNAL_ID = ROW_SERVER_NAME,
    CHILD_RUN = ROW_RETRIES,
    CHILD_PRIOR = DETAIL_OPTIONS,
    CHILD_TEXT = ROW_FAULT_TEXT,
};

/* A NULL alone would make a decimal of an unsigned column. The ledger's other index, by position, looks
 * as good to the optimizer and costs twice as much. */
#define NONE "CAST(NULL AS UNSIGNED)"
static const char detail_sql[] =
    "SELECT " MIGRATION_ROW_COLUMNS ", m.options_json, m.faults_json, m.evidence_json, "
    "m.server_json, g.reasons_json, g.tried_at, 0 FROM migrations m" MIGRATION_ROW_JOINS
    " LEFT JOIN needs g ON g.hash = m.needs_hash AND m.state = 'PENDING' WHERE m.id IN (%LIST%) "
    "UNION ALL SELECT migration_id, NULL, NULL, NULL, NULL, NULL, NULL, digest, NULL, "
    "NULL, " NONE ", NULL, capacity_bytes, NULL, number, " NONE ", NULL, NULL, NULL, NULL, NULL, "
    "NULL, " NONE ", " NONE ", total_bytes, done_bytes, read_bytes, written_bytes, " NONE ", " NONE
    ", " NONE ", " NONE ", NULL, NULL, NULL, NULL, NULL, " NONE ", 1 "
    "FROM migration_disks WHERE migration_id IN (%LIST%) "
    "UNION ALL SELECT owner_id, NULL, NULL, NULL, NULL, NULL, NULL, name, NULL, "
    "NULL, " NONE ", NULL, " NONE ", state, number, attempt, job_id, NULL, NULL, NULL, fault_code, "
    "fault_text, " NONE ", " NONE ", " NONE ", " NONE ", " NONE ", " NONE ", " NONE ", started_at, "
    "finished_at, " NONE ", NULL, NULL, NULL, NULL, NULL, " NONE ", 2 "
    "FROM steps WHERE owner_id IN (%LIST%) "
    "UNION ALL SELECT owner_id, NULL, NULL, NULL, NULL, end, kind, entry_key, external_id, "
    "NULL, " NONE ", NULL, created_at, state, position, attempt, job_id, NULL, NULL, NULL, NULL, "
    "detail, run, " NONE ", " NONE ", " NONE ", " NONE ", " NONE ", updated_at, " NONE ", " NONE
    ", " NONE ", prior_json, NULL, NULL, NULL, NULL, " NONE ", 3 "
    "FROM ledger FORCE INDEX (PRIMARY) WHERE owner_id IN (%LIST%)";

/* Details by id: linear probing in twice as many slots as there can be ids. */
#define SLOTS (MIGRATION_VIEW_BATCH * 2)
struct slots {
    struct migration_detail *slots[SLOTS];
};

static struct migration_detail **slot_of(struct slots *slots, const struct uuid *id)
{
    size_t slot = (size_t)(id->bytes[15] | id->bytes[14] << 8) % SLOTS; /* random in a UUIDv7 */
    while (slots->slots[slot] != NULL && !uuid_equal(&slots->slots[slot]->view.id, id))
        slot = (slot + 1) % SLOTS;
    return &slots->slots[slot];
}

static void read_detail(const struct db_rows *rows, size_t row, struct migration_detail *detail)
{
    migration_row_read(rows, row, &detail->view);
    detail->options_json = db_rows_text(rows, row, DETAIL_OPTIONS);
    detail->faults_json = db_rows_text(rows, row, DETAIL_FAULTS);
    detail->evidence_json = db_rows_text(rows, row, DETAIL_EVIDENCE);
    detail->server_json = db_rows_text(rows, row, DETAIL_SERVER);
    detail->reasons_json = db_rows_text(rows, row, DETAIL_REASONS);
    detail->reasons_at = db_rows_unsigned(rows, row, DETAIL_REASONS_AT);
}

static void read_disk(const struct db_rows *rows, size_t row, struct migration_disk_view *disk)
{
    disk->number = (uint32_t)db_rows_unsigned(rows, row, CHILD_NUMBER);
    disk->capacity_bytes = db_rows_unsigned(rows, row, CHILD_CAPACITY);
    disk->total_bytes = db_rows_unsigned(rows, row, ROW_TOTAL);
    disk->done_bytes = db_rows_unsigned(rows, row, ROW_DONE);
    disk->read_bytes = db_rows_unsigned(rows, row, ROW_READ);
    disk->written_bytes = db_rows_unsigned(rows, row, ROW_WRITTEN);
    disk->digest = db_rows_text(rows, row, CHILD_NAME);
}

static void read_step(const struct db_rows *rows, size_t row, struct migration_step_view *step)
{
    step->job_id = db_rows_uuid(rows, row, ROW_JOB_ID);
    step->attempt = (uint32_t)db_rows_unsigned(rows, row, ROW_ATTEMPT);
    step->number = (uint32_t)db_rows_unsigned(rows, row, CHILD_NUMBER);
    step->name = db_rows_text(rows, row, CHILD_NAME);
    step->state = db_rows_text(rows, row, ROW_STATE);
    step->started_at = db_rows_unsigned(rows, row, ROW_STARTED_AT);
    step->finished_at = db_rows_unsigned(rows, row, ROW_FINISHED_AT);
    step->fault_code = db_rows_text(rows, row, ROW_FAULT_CODE);
    step->fault_text = db_rows_text(rows, row, ROW_FAULT_TEXT);
}

static void read_entry(const struct db_rows *rows, size_t row, struct migration_ledger_view *entry)
{
    entry->end = end_parse(db_rows_text(rows, row, CHILD_END));
    entry->kind = db_rows_text(rows, row, CHILD_KIND);
    entry->key = db_rows_text(rows, row, CHILD_NAME);
    entry->position = (uint32_t)db_rows_unsigned(rows, row, CHILD_NUMBER);
    entry->state = ledger_state_parse(db_rows_text(rows, row, ROW_STATE));
    entry->external_id = db_rows_text(rows, row, CHILD_EXTERNAL_ID);
    entry->prior_json = db_rows_text(rows, row, CHILD_PRIOR);
    entry->detail = db_rows_text(rows, row, CHILD_TEXT);
    entry->job_id = db_rows_uuid(rows, row, ROW_JOB_ID);
    entry->attempt = (uint32_t)db_rows_unsigned(rows, row, ROW_ATTEMPT);
    entry->run = (uint32_t)db_rows_unsigned(rows, row, CHILD_RUN);
    entry->created_at = db_rows_unsigned(rows, row, ROW_CREATED_AT);
    entry->updated_at = db_rows_unsigned(rows, row, ROW_UPDATED_AT);
}

/* Counts on the first walk, when the arrays are not there yet; reads on the second. */
static void take_child(const struct db_rows *rows, size_t row, struct migration_detail *detail)
{
    switch ((enum kind)db_rows_unsigned(rows, row, DETAIL_KIND)) {
    case KIND_DISK:
        if (detail->disks != NULL)
            read_disk(rows, row, &detail->disks[detail->disk_count]);
        detail->disk_count++;
        return;
    case KIND_STEP:
        if (detail->steps != NULL)
            read_step(rows, row, &detail->steps[detail->step_count]);
        detail->step_count++;
        return;
    case KIND_LEDGER:
        if (detail->ledger != NULL)
            read_entry(rows, row, &detail->ledger[detail->ledger_count]);
        detail->ledger_count++;
        return;
    case KIND_MIGRATION:
        return;
    }
}

static void walk_children(const struct db_rows *rows, struct slots *slots)
{
    for (size_t row = 0; row < db_rows_count(rows); row++) {
        struct uuid id = db_rows_uuid(rows, row, ROW_ID);
        struct migration_detail *detail = *slot_of(slots, &id);
        if (detail != NULL) /* else: orphans of a migration that was deleted */
            take_child(rows, row, detail);
    }
}

static void make_room(struct arena *arena, struct migration_detail *detail)
{
    detail->disks = arena_calloc(arena, detail->disk_count + 1, sizeof(*detail->disks));
    detail->steps = arena_calloc(arena, detail->step_count + 1, sizeof(*detail->steps));
    detail->ledger = arena_calloc(arena, detail->ledger_count + 1, sizeof(*detail->ledger));
    detail->disk_count = detail->step_count = detail->ledger_count = 0;
}

static int compare_disks(const void *a, const void *b)
{
    const struct migration_disk_view *left = a, *right = b;
    return left->number < right->number ? -1 : left->number > right->number;
}

static int compare_steps(const void *a, const void *b)
{
    const struct migration_step_view *left = a, *right = b;
    int order = uuid_compare(&left->job_id, &right->job_id);
    if (order != 0)
        return order;
    if (left->attempt != right->attempt)
        return left->attempt < right->attempt ? -1 : 1;
    return left->number < right->number ? -1 : left->number > right->number;
}

static int compare_entries(const void *a, const void *b)
{
    const struct migration_ledger_view *left = a, *right = b;
    return left->position < right->position ? -1 : left->position > right->position;
}

static void sort_children(struct migration_detail *detail)
{
    qsort(detail->disks, detail->disk_count, sizeof(*detail->disks), compare_disks);
    qsort(detail->steps, detail->step_count, sizeof(*detail->steps), compare_steps);
    qsort(detail->ledger, detail->ledger_count, sizeof(*detail->ledger), compare_entries);
}

static void read_details(struct arena *arena, const struct db_rows *rows, struct slots *slots)
{
    for (size_t row = 0; row < db_rows_count(rows); row++) {
        if (db_rows_unsigned(rows, row, DETAIL_KIND) != KIND_MIGRATION)
            break; /* the migrations come first */
        struct uuid id = db_rows_uuid(rows, row, ROW_ID);
        struct migration_detail **slot = slot_of(slots, &id);
        if (*slot == NULL) {
            *slot = arena_alloc(arena, sizeof(**slot));
            read_detail(rows, row, *slot);
        }
    }
    walk_children(rows, slots);
    for (size_t i = 0; i < SLOTS; i++)
        if (slots->slots[i] != NULL)
            make_room(arena, slots->slots[i]);
    walk_children(rows, slots);
    for (size_t i = 0; i < SLOTS; i++)
        if (slots->slots[i] != NULL)
            sort_children(slots->slots[i]);
}

bool migration_view_get_many(struct store *store, struct arena *arena, const struct uuid *ids,
                             size_t count, struct migration_detail **ret_details, struct error *err)
{
    struct db_value list[MIGRATION_VIEW_BATCH];
    struct slots slots = {{NULL}};
    struct db_rows *rows;
    assert(count <= MIGRATION_VIEW_BATCH);
    for (size_t i = 0; i < count; i++)
        list[i] = db_bytes(ids[i].bytes, UUID_BYTES);
    if (!db_query_list(store_db(store), arena, detail_sql, NULL, 0, list, count, &rows, err))
        return false;
    read_details(arena, rows, &slots);
    for (size_t i = 0; i < count; i++)
        ret_details[i] = *slot_of(&slots, &ids[i]);
    return true;
}

bool migration_view_get(struct store *store, struct arena *arena, const char *project,
                        const struct uuid *id, struct migration_detail *ret_detail,
                        struct error *err)
{
    struct migration_detail *detail;
    if (!migration_view_get_many(store, arena, id, 1, &detail, err))
        return false;
    if (detail == NULL || (project != NULL && strcmp(detail->view.project, project) != 0))
        return error_set(err, &FAULT_NOT_FOUND, "there is no migration \"%s\"", UUID_TEXT(id));
    *ret_detail = *detail;
    return true;
}
