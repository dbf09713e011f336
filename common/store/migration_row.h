/* SPDX-License-Identifier: Apache-2.0
 *
 * The columns of a struct migration_view, as the list and the detail select them: m is the
 * migration, s, d and n its source, destination and node.
 *
 * Threads: pure functions.
 */
#ifndef GUTS_COMMON_STORE_MIGRATION_ROW_H
#define GUTS_COMMON_STORE_MIGRATION_ROW_H

#include "common/store/migration_view.h"

#define MIGRATION_ROW_COLUMNS                                                                      \
    "m.id, m.project, m.vm_id, m.source_id, m.destination_id, s.name, d.name, m.vm_name, "         \
    "m.server_name, m.on_failure, m.dry_run, m.who, m.created_at, m.state, m.version, m.attempt, " \
    "m.job_id, m.node_id, n.name, m.way, m.fault_code, m.fault_text, m.retries, m.resumes, "       \
    "m.total_bytes, m.done_bytes, m.read_bytes, m.written_bytes, m.updated_at, m.started_at, "     \
    "m.finished_at, m.due_at"
#define MIGRATION_ROW_JOINS                                                                        \
    " LEFT JOIN sources s ON s.id = m.source_id LEFT JOIN destinations d ON d.id = "               \
    "m.destination_id LEFT JOIN nodes n ON n.id = m.node_id"
enum migration_row_column {
    ROW_ID,
    ROW_PROJECT,
    ROW_VM_ID,
    ROW_SOURCE_ID,
    ROW_DESTINATION_ID,
    ROW_SOURCE_NAME,
    ROW_DESTINATION_NAME,
    ROW_VM_NAME,
    ROW_SERVER_NAME,
    ROW_ON_FAILURE,
    ROW_DRY_RUN,
    ROW_WHO,
    ROW_CREATED_AT,
    ROW_STATE,
    ROW_VERSION,
    ROW_ATTEMPT,
    ROW_JOB_ID,
    ROW_NODE_ID,
    ROW_NODE_NAME,
    ROW_WAY,
    ROW_FAULT_CODE,
    ROW_FAULT_TEXT,
    ROW_RETRIES,
    ROW_RESUMES,
    ROW_TOTAL,
    ROW_DONE,
    ROW_READ,
    ROW_WRITTEN,
    ROW_UPDATED_AT,
    ROW_STARTED_AT,
    ROW_FINISHED_AT,
    ROW_DUE_AT,
    ROW_COLUMN_COUNT
};
void migration_row_read(const struct db_rows *rows, size_t row, struct migration_view *ret_view);

#endif
