/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/arguments.h"
#include "client/cli/cloud.h"
#include "client/cli/output.h"
#include "common/base/memory.h"
#include "common/base/secret.h"

volatile int interrupted;

const struct option_row common_options[] = {
    {"--format", "FORMAT", "-f: table (default), json, yaml, csv or value",
     "table|json|yaml|csv|value"},
    {"--column", "COLUMN",
     "-c: show only this column, by heading or field; may be given several times", NULL},
    {"--sort-column", "COLUMN", "sort a list by this column", NULL},
    {"--sort-descending", NULL, "turn the order around", NULL},
    {"--url", "URL", "of the API ($GUTS_URL; the cloud's catalogue; http://127.0.0.1:7000)", NULL},
    {"--token-file", "FILE", "holds the token ($GUTS_TOKEN, $GUTS_TOKEN_FILE)", "file"},
    {"--os-cloud", "CLOUD", "of clouds.yaml, whose Keystone gives the token ($OS_CLOUD, $OS_*)",
     NULL},
    {"--ca-file", "FILE", "certificates to trust ($GUTS_CA_FILE)", "file"},
    {"--timeout", "DURATION", "of what is waited for: 90s, 5m, 2h (default: no limit)", NULL},
    {"--help", NULL, "-h: this text", NULL},
};
const size_t common_option_count = COUNT_OF(common_options);

static bool parse_format(const char *text, enum output_format *ret_format)
{
    static const char *const names[] = {"table", "json", "yaml", "csv", "value"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (strcmp(names[i], text) == 0) {
            *ret_format = (enum output_format)i;
            return true;
        }
    }
    fprintf(stderr, "guts: \"%s\" is no format: table, json, yaml, csv or value\n", text);
    return false;
}

static bool read_output(const struct arguments *arguments, struct output *ret_output)
{
    struct output output = {.format = OUTPUT_TABLE};
    const char *format = arguments_get(arguments, "--format");
    if (format != NULL && !parse_format(format, &output.format))
        return false;
    size_t columns = arguments_count(arguments, "--column");
    if (columns > OUTPUT_COLUMNS_MOST) {
        fprintf(stderr, "guts: at most %d columns\n", OUTPUT_COLUMNS_MOST);
        return false;
    }
    for (size_t i = 0; i < columns; i++)
        output.columns[output.column_count++] = arguments_nth(arguments, "--column", i);
    output.sort_column = arguments_get(arguments, "--sort-column");
    output.descending = arguments_has(arguments, "--sort-descending");
    *ret_output = output;
    return true;
}

static const char *option_or_environment(const struct arguments *arguments, const char *option,
                                         const char *variable)
{
    const char *value = arguments_get(arguments, option);
    if (value == NULL)
        value = getenv(variable);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

/* What the session needs and keeps until its end. */
struct access {
    struct secret *file_token;
    struct cloud_login *login;
};

static void access_fini(struct access *access)
{
    cloud_login_close(access->login);
    secret_free(access->file_token);
}

/* The token of a file, of GUTS_TOKEN, of the cloud that is named, or none. */
static int find_token(const struct arguments *arguments, struct access *access,
                      struct guts_settings *settings)
{
    const char *cloud = arguments_get(arguments, "--os-cloud");
    const char *file = option_or_environment(arguments, "--token-file", "GUTS_TOKEN_FILE");
    struct error reason = {0};
    if (cloud != NULL && arguments_has(arguments, "--token-file")) {
        fprintf(stderr, "guts: --os-cloud and --token-file both say whose the token is\n");
        return EXIT_USAGE;
    }
    if (cloud == NULL && file != NULL && !secret_load(file, &access->file_token, &reason)) {
        fprintf(stderr, "guts: token: %s\n", reason.text);
        return EXIT_USAGE;
    }
    const char *variable = getenv("GUTS_TOKEN");
    if (access->file_token != NULL)
        settings->token = secret_reveal(access->file_token);
    else if (cloud == NULL && variable != NULL && variable[0] != '\0')
        settings->token = variable;
    if (settings->token != NULL || !cloud_login_is_named(cloud))
        return EXIT_DONE;
    int status = cloud_login_open(cloud, &access->login);
    if (status != EXIT_DONE)
        return status;
    settings->token = cloud_login_token(access->login);
    settings->renew_token = cloud_login_renew;
    settings->renew_context = access->login;
    return EXIT_DONE;
}

static int find_api(const struct arguments *arguments, struct access *access,
                    struct guts_settings *settings)
{
    settings->url = option_or_environment(arguments, "--url", "GUTS_URL");
    settings->ca_file = option_or_environment(arguments, "--ca-file", "GUTS_CA_FILE");
    if (access->login != NULL && settings->ca_file == NULL)
        settings->ca_file = cloud_login_ca(access->login);
    if (access->login != NULL && settings->url == NULL)
        return cloud_login_url(access->login, &settings->url);
    if (settings->url == NULL)
        settings->url = "http://127.0.0.1:7000";
    return EXIT_DONE;
}

static int open_session(const struct arguments *arguments, struct session *session,
                        struct access *access)
{
    struct guts_settings settings = {.stop = &interrupted};
    struct guts_error err = {0};
    int status = find_token(arguments, access, &settings);
    if (status == EXIT_DONE)
        status = find_api(arguments, access, &settings);
    if (status != EXIT_DONE)
        return status;
    session->guts = guts_open(&settings, &err);
    return session->guts != NULL ? EXIT_DONE : output_error(&err);
}

int session_run(const struct command *command, char *const *words, size_t count)
{
    struct arguments arguments;
    if (!arguments_parse(command, words, count, &arguments))
        return EXIT_USAGE;
    struct session session = {0};
    struct access access = {0};
    int status = EXIT_DONE;
    const char *timeout = arguments_get(&arguments, "--timeout");
    if (arguments_has(&arguments, "--help")) {
        command_help(command);
    } else if (!read_output(&arguments, &session.output)) {
        status = EXIT_USAGE;
    } else if (timeout != NULL && !arguments_duration(timeout, &session.wait_ms)) {
        fprintf(stderr, "guts: \"%s\" is no duration: 90s, 5m, 2h\n", timeout);
        status = EXIT_USAGE;
    } else {
        if (!command->offline)
            status = open_session(&arguments, &session, &access);
        if (status == EXIT_DONE)
            status = command->run(&session, &arguments);
    }
    guts_close(session.guts);
    access_fini(&access);
    arguments_fini(&arguments);
    return status;
}
