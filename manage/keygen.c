/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "common/base/secret.h"
#include "manage/manage.h"

#define PUBLIC_FILE "/etc/guts/seal.public"
#define PRIVATE_FILE "/etc/guts/seal.private"

enum { PUBLIC, PRIVATE };

static int run(const struct manage *manage, const struct manage_command *command, int argc,
               char **argv)
{
    static const struct option options[] = {{"public", required_argument, NULL, PUBLIC},
                                            {"private", required_argument, NULL, PRIVATE},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    const char *values[MANAGE_OPTIONS_MOST] = {[PUBLIC] = PUBLIC_FILE, [PRIVATE] = PRIVATE_FILE};
    char key_id[SEAL_KEY_ID_SIZE];
    struct error err = {0};
    int status;
    if (!manage_options(command, argc, argv, options, values, &status))
        return status;
    if (optind != argc)
        return manage_usage(command, "\"%s\" is not expected", argv[optind]);
    if (!seal_keygen(values[PUBLIC], values[PRIVATE], key_id, &err))
        return manage_fail(&err);
    printf("key %s: public in \"%s\" (for guts-api), private in \"%s\" (for the nodes alone)\n",
           key_id, values[PUBLIC], values[PRIVATE]);
    return MANAGE_DONE;
}

const struct manage_command manage_keygen = {
    .name = "keygen",
    .summary = "makes the pair of keys that credentials are sealed with",
    .help =
        "usage: guts-manage keygen [--public FILE] [--private FILE]\n\n"
        "  --public FILE   default: " PUBLIC_FILE "; goes to the hosts of guts-api\n"
        "  --private FILE  default: " PRIVATE_FILE "; goes to the nodes, mode 0600\n\n"
        "Where the files exist the new key is put in front and the old ones stay, so that what\n"
        "they sealed can still be opened: take the private file to all nodes first.\n",
    .run = run,
};
