/* SPDX-License-Identifier: Apache-2.0
 *
 * The schema: numbered .sql files of common/store/schema, built into the binary, applied in order
 * by `guts-manage db-sync` under a lock, each recorded in schema_versions. A file is never edited
 * once released, and each of its statements can be run again, since DDL commits.
 *
 * Threads: as the store's.
 */
#ifndef GUTS_COMMON_STORE_SCHEMA_H
#define GUTS_COMMON_STORE_SCHEMA_H

#include "common/store/store.h"

struct schema_file {
    unsigned number;  /* from the file's name: 0001_foundation.sql */
    const char *name; /* "0001_foundation" */
    const char *text;
};
extern const struct schema_file schema_files[]; /* in order, without gaps, from 1 */
extern const size_t schema_file_count;

/* Brings the database to the newest version. ret_from and ret_to: the versions before and after
 * (0: an empty database). FAULT_CONFLICT when the schema is newer than this binary, FAULT_TIMEOUT
 * when another db-sync holds the lock for a minute. */
bool store_schema_sync(struct store *store, unsigned *ret_from, unsigned *ret_to,
                       struct error *err) MUST_CHECK;
/* The version of the database, 0 when it has none. */
bool store_schema_version(struct store *store, unsigned *ret_version, struct error *err) MUST_CHECK;
/* What daemons do before their work: FAULT_CONFLICT when the schema is older or newer than this
 * binary; the text says which, and what to run. */
bool store_schema_verify(struct store *store, struct error *err) MUST_CHECK;

#endif
