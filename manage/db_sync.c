/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "common/store/schema.h"
#include "manage/manage.h"

static int run(const struct manage *manage, const struct manage_command *command, int argc,
               char **argv)
{
    static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {0}};
    const char *values[MANAGE_OPTIONS_MOST] = {NULL};
    CLEANUP(store_freep) struct store *store = NULL;
    struct error err = {0};
    unsigned from, to;
    int status;
    if (!manage_options(command, argc, argv, options, values, &status))
        return status;
    if (optind != argc)
        return manage_usage(command, "\"%s\" is not expected", argv[optind]);
    if (!manage_store(manage, &store, &err) || !store_schema_sync(store, &from, &to, &err))
        return manage_fail(&err);
    if (from == to)
        printf("the schema is at version %u already\n", to);
    else
        printf("the schema went from version %u to %u\n", from, to);
    return MANAGE_DONE;
}

const struct manage_command manage_db_sync = {
    .name = "db-sync",
    .summary = "makes the tables, or brings them to this version",
    .help = "usage: guts-manage db-sync\n\n"
            "Applies what is missing, in order and under a lock; may be run again at any time. A\n"
            "schema that is newer than this binary is refused. The daemons only verify it.\n",
    .run = run,
};
