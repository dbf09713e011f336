/* SPDX-License-Identifier: Apache-2.0
 *
 * The directories of the local destination. An attempt works in ".guts-<migration>-<attempt>" beside
 * the servers; at deploy that directory becomes "<server name>" by one rename. Each carries a mark, by
 * which a directory is known as this migration's; what has another mark or none is never touched.
 *
 * Threads: one at a time.
 */
#ifndef GUTS_MIGRATION_DESTINATION_LOCAL_PLACE_H
#define GUTS_MIGRATION_DESTINATION_LOCAL_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/uuid.h"

#define PLACE_NAME_SIZE 256

/* Whose a directory is. */
struct place_mark {
    struct uuid migration;
    uint32_t attempt;
};

/* The directory of an attempt, and that of a server: its name without what file names cannot hold. */
void place_attempt_name(const struct place_mark *mark, char ret_name[PLACE_NAME_SIZE]);
void place_server_name(const char *server_name, char ret_name[PLACE_NAME_SIZE]);

bool place_exists(int root_fd, const char *name);
/* False without an error when there is no mark. */
bool place_read_mark(int root_fd, const char *name, struct place_mark *ret_mark);
/* Makes the directory with its mark, or finds it made by the same attempt before. */
bool place_make(int root_fd, const char *name, const struct place_mark *mark, int *ret_fd,
                struct error *err) MUST_CHECK;
bool place_open(int root_fd, const char *name, int *ret_fd, struct error *err) MUST_CHECK;
/* Removes the directory if its mark is this migration's. *ret_found tells whether it was there. */
bool place_remove(int root_fd, const char *name, const struct uuid *migration, bool *ret_found,
                  struct error *err) MUST_CHECK;
/* Removes "disk0" (whatever its format) from the directories of the migration's attempts. */
bool place_remove_disk(int root_fd, const char *disk, const struct uuid *migration, bool *ret_found,
                       struct error *err) MUST_CHECK;
/* Removes the directories that other attempts of the migration left. */
bool place_sweep(int root_fd, const struct place_mark *mark, struct error *err) MUST_CHECK;
/* Removes all that carries the migration's mark, whatever attempt made it. */
bool place_remove_all(int root_fd, const struct uuid *migration, size_t *ret_removed,
                      struct error *err) MUST_CHECK;
/* Calls `deed` for each directory that carries a mark, or an attempt's name, until it returns false. */
typedef bool place_visit(void *context, const char *name, const struct place_mark *mark,
                         struct error *err);
bool place_each_mark(int root_fd, place_visit *visit, void *context, struct error *err) MUST_CHECK;
/* Takes the mark off a server that is accepted: from then on nothing of ours removes it. */
bool place_unmark(int root_fd, const char *name, const struct uuid *migration,
                  struct error *err) MUST_CHECK;
/* Gives the attempt's directory the server's name. One of an older attempt of the same migration gives
 * way; FAULT_SERVER_EXISTS for any other. Done already (same attempt) is fine. */
bool place_deploy(int root_fd, const struct place_mark *mark, const char *server,
                  struct error *err) MUST_CHECK;

#endif
