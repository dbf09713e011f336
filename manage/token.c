/* SPDX-License-Identifier: Apache-2.0
 *
 * token-create, token-list, token-revoke.
 */
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/secret.h"
#include "common/base/utf8.h"
#include "common/conf/unit.h"
#include "common/store/access_token.h"
#include "common/store/schema.h"
#include "manage/manage.h"

enum { NAME, ROLE, PROJECT, EXPIRES };

#define NAME_MOST 255
#define PROJECT_MOST 64
#define EXPIRES_MOST_MS (3650ull * 86400000)

static bool open_store(const struct manage *manage, struct store **ret_store, struct error *err)
{
    return manage_store(manage, ret_store, err) && store_schema_verify(*ret_store, err);
}

/* ---- token-create ---- */

/* UTF-8 without control characters. */
static bool text_is_sound(const char *text, size_t most)
{
    size_t length = strlen(text), at = 0;
    if (length < 1 || length > most)
        return false;
    while (at < length) {
        size_t bytes = utf8_character(text + at, length - at);
        if (bytes == 0 || (bytes == 1 && ((unsigned char)text[at] < 0x20 || text[at] == 0x7f)))
            return false;
        at += bytes;
    }
    return true;
}

static int check_values(const struct manage_command *command, const char **values,
                        struct access_token *token, uint64_t *ret_lifetime_ms)
{
    if (values[ROLE] == NULL || access_role_parse(values[ROLE]) == ACCESS_NONE)
        return manage_usage(command, "--role must be reader, member or admin");
    if (!text_is_sound(values[PROJECT], PROJECT_MOST))
        return manage_usage(command, "--project must be 1 to %d bytes of plain text", PROJECT_MOST);
    if (values[NAME] != NULL && !text_is_sound(values[NAME], NAME_MOST))
        return manage_usage(command, "--name must be 1 to %d bytes of plain text", NAME_MOST);
    *ret_lifetime_ms = 0;
    if (values[EXPIRES] != NULL && (!unit_parse_duration(values[EXPIRES], ret_lifetime_ms) ||
                                    *ret_lifetime_ms == 0 || *ret_lifetime_ms > EXPIRES_MOST_MS))
        return manage_usage(command, "--expires must be a duration up to 3650d: \"12h\", \"90d\"");
    token->role = access_role_parse(values[ROLE]);
    token->project = values[PROJECT];
    token->name = values[NAME];
    return MANAGE_DONE;
}

static bool create(struct store *store, struct access_token *token, uint64_t lifetime_ms,
                   const char *text, struct error *err)
{
    uint8_t hash[ACCESS_TOKEN_HASH_BYTES];
    uint64_t now;
    if (!store_now(store, &now, err))
        return false;
    token->expires_at = lifetime_ms != 0 ? now + lifetime_ms * 1000 : 0;
    access_token_hash(text, hash);
    return access_token_insert(store, token, hash, err);
}

static int run_create(const struct manage *manage, const struct manage_command *command, int argc,
                      char **argv)
{
    static const struct option options[] = {{"name", required_argument, NULL, NAME},
                                            {"role", required_argument, NULL, ROLE},
                                            {"project", required_argument, NULL, PROJECT},
                                            {"expires", required_argument, NULL, EXPIRES},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    const char *values[MANAGE_OPTIONS_MOST] = {[PROJECT] = "default"};
    CLEANUP(store_freep) struct store *store = NULL;
    struct access_token token = {.id = uuid_new()};
    char text[ACCESS_TOKEN_TEXT_SIZE], id[UUID_TEXT_SIZE];
    struct error err = {0};
    uint64_t lifetime_ms;
    int status;
    if (!manage_options(command, argc, argv, options, values, &status))
        return status;
    if (optind != argc)
        return manage_usage(command, "\"%s\" is not expected", argv[optind]);
    status = check_values(command, values, &token, &lifetime_ms);
    if (status != MANAGE_DONE)
        return status;
    if (token.name == NULL)
        token.name = uuid_text(id, &token.id);
    access_token_make(text);
    if (!open_store(manage, &store, &err) || !create(store, &token, lifetime_ms, text, &err)) {
        secret_wipe(text, sizeof(text));
        return manage_fail(&err);
    }
    fprintf(stderr, "token \"%s\" (%s of project \"%s\"): it is shown this once\n", token.name,
            access_role_name(token.role), token.project);
    printf("%s\n", text);
    secret_wipe(text, sizeof(text));
    return MANAGE_DONE;
}

const struct manage_command manage_token_create = {
    .name = "token-create",
    .summary = "makes an access token of the API and prints it once",
    .help = "usage: guts-manage token-create --role ROLE [--name NAME] [--project PROJECT]\n"
            "                                [--expires DURATION]\n\n"
            "  --role ROLE         reader, member or admin (an admin sees all projects)\n"
            "  --name NAME         what token-list and the wishes call it; default: its id\n"
            "  --project PROJECT   default: default\n"
            "  --expires DURATION  \"12h\", \"90d\"; default: never\n\n"
            "The token alone goes to standard output. The database holds only its hash.\n",
    .run = run_create,
};

/* ---- token-list ---- */

static const char *time_or(char text[CLOCK_TEXT_SIZE], uint64_t at, const char *otherwise)
{
    if (at == 0)
        return otherwise;
    clock_format(at, text);
    return text;
}

static void print_token(const struct access_token *token, uint64_t now)
{
    char created[CLOCK_TEXT_SIZE], expires[CLOCK_TEXT_SIZE];
    const char *state = token->revoked_at != 0                               ? "revoked"
                        : token->expires_at != 0 && token->expires_at <= now ? "expired"
                                                                             : "valid";
    printf("%-36s  %-7s  %-6s  %-16s  %-24s  %-24s  %s\n", UUID_TEXT(&token->id), state,
           access_role_name(token->role), token->project, time_or(created, token->created_at, "-"),
           time_or(expires, token->expires_at, "never"), token->name);
}

static bool print_all(struct store *store, struct error *err)
{
    struct page page = {.most = PAGE_MOST};
    char cursor[128];
    uint64_t now;
    if (!store_now(store, &now, err))
        return false;
    printf("%-36s  %-7s  %-6s  %-16s  %-24s  %-24s  %s\n", "ID", "STATE", "ROLE", "PROJECT",
           "CREATED", "EXPIRES", "NAME");
    do {
        CLEANUP(arena_freep) struct arena *arena = arena_new();
        struct access_token_list list;
        if (!access_token_list(store, arena, &page, &list, err))
            return false;
        for (size_t i = 0; i < list.count; i++)
            print_token(&list.items[i], now);
        page.cursor = NULL;
        if (list.next != NULL) {
            snprintf(cursor, sizeof(cursor), "%s", list.next);
            page.cursor = cursor;
        }
    } while (page.cursor != NULL);
    return true;
}

static int run_list(const struct manage *manage, const struct manage_command *command, int argc,
                    char **argv)
{
    static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {0}};
    const char *values[MANAGE_OPTIONS_MOST] = {NULL};
    CLEANUP(store_freep) struct store *store = NULL;
    struct error err = {0};
    int status;
    if (!manage_options(command, argc, argv, options, values, &status))
        return status;
    if (optind != argc)
        return manage_usage(command, "\"%s\" is not expected", argv[optind]);
    if (!open_store(manage, &store, &err) || !print_all(store, &err))
        return manage_fail(&err);
    return MANAGE_DONE;
}

const struct manage_command manage_token_list = {
    .name = "token-list",
    .summary = "lists the access tokens, without their secret",
    .help = "usage: guts-manage token-list\n",
    .run = run_list,
};

/* ---- token-revoke ---- */

static int run_revoke(const struct manage *manage, const struct manage_command *command, int argc,
                      char **argv)
{
    static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {0}};
    const char *values[MANAGE_OPTIONS_MOST] = {NULL};
    CLEANUP(store_freep) struct store *store = NULL;
    struct error err = {0};
    int status;
    if (!manage_options(command, argc, argv, options, values, &status))
        return status;
    if (optind != argc - 1)
        return manage_usage(command, "give one name or id");
    if (!open_store(manage, &store, &err) || !access_token_revoke(store, argv[optind], &err))
        return manage_fail(&err);
    printf("\"%s\" is revoked\n", argv[optind]);
    return MANAGE_DONE;
}

const struct manage_command manage_token_revoke = {
    .name = "token-revoke",
    .summary = "ends an access token",
    .help = "usage: guts-manage token-revoke NAME|ID\n\n"
            "Takes effect when guts-api looks at the token next, within its cache time.\n",
    .run = run_revoke,
};
