/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/arguments.h"
#include "client/cli/output.h"
#include "common/base/memory.h"
#include "common/base/secret.h"

volatile int interrupted;

const struct option_row common_options[] = {
    {"--format", "FORMAT", "-f: table (default), json, yaml, csv or value",
     "table|json|yaml|csv|value"},
    {"--column", "COLUMN", "-c: show only this column; may be given several times", NULL},
    {"--sort-column", "COLUMN", "sort a list by this column", NULL},
    {"--sort-descending", NULL, "turn the order around", NULL},
    {"--url", "URL", "of the API ($GUTS_URL; http://127.0.0.1:7000)", NULL},
    {"--token-file", "FILE", "holds the token ($GUTS_TOKEN, $GUTS_TOKEN_FILE)", "file"},
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

static int open_session(const struct arguments *arguments, struct session *session,
                        struct secret **ret_token)
{
    struct guts_settings settings = {0};
    settings.url = option_or_environment(arguments, "--url", "GUTS_URL");
    settings.ca_file = option_or_environment(arguments, "--ca-file", "GUTS_CA_FILE");
    settings.url = settings.url != NULL ? settings.url : "http://127.0.0.1:7000";
    const char *file = option_or_environment(arguments, "--token-file", "GUTS_TOKEN_FILE");
    if (file != NULL) {
        struct error reason = {0};
        if (!secret_load(file, ret_token, &reason)) {
            fprintf(stderr, "guts: token: %s\n", reason.text);
            return EXIT_USAGE;
        }
    }
    settings.token = *ret_token != NULL ? secret_reveal(*ret_token) : getenv("GUTS_TOKEN");
    settings.stop = &interrupted;
    struct guts_error err = {0};
    session->guts = guts_open(&settings, &err);
    return session->guts != NULL ? EXIT_DONE : output_error(&err);
}

int session_run(const struct command *command, char *const *words, size_t count)
{
    struct arguments arguments;
    if (!arguments_parse(command, words, count, &arguments))
        return EXIT_USAGE;
    struct session session = {0};
    struct secret *token = NULL;
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
            status = open_session(&arguments, &session, &token);
        if (status == EXIT_DONE)
            status = command->run(&session, &arguments);
    }
    guts_close(session.guts);
    secret_free(token);
    arguments_fini(&arguments);
    return status;
}
