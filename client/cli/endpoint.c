/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/endpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/arguments.h"
#include "client/cli/prompt.h"
#include "common/base/memory.h"
#include "common/base/secret.h"

const struct option_row endpoint_create_options[5] = {
    {"--driver", "DRIVER", "what kind of place it is; see: guts driver list", "drivers"},
    {"--setting", "NAME=VALUE", "a setting of the driver; may be given several times", NULL},
    {"--secret", "NAME[=@FILE]", "a secret setting, asked for on the terminal or read from FILE",
     NULL},
    {"--description", "TEXT", "for people", NULL},
    {"--label", "LABEL", "a label that a node must have to reach it; may be given several times",
     NULL},
};
const struct option_row endpoint_set_options[6] = {
    {"--name", "NAME", "a new name", NULL},
    {"--setting", "NAME=VALUE", "a setting of the driver; may be given several times", NULL},
    {"--secret", "NAME[=@FILE]",
     "a secret setting, asked for on the terminal or read from FILE; the others stay", NULL},
    {"--unset", "NAME", "a setting or a secret that shall be no more; may be given several times",
     NULL},
    {"--description", "TEXT", "for people", NULL},
    {"--label", "LABEL", "a label that a node must have to reach it; may be given several times",
     NULL},
};
const struct option_row endpoint_act_options[1] = {
    {"--no-wait", NULL, "do not wait for the outcome", NULL},
};
const struct option_row endpoint_list_options[1] = {
    {"--limit", "COUNT", "show at most so many", NULL},
};

static const struct column list_columns[] = {
    {"ID", "id", LOOK_PLAIN},         {"NAME", "name", LOOK_PLAIN},
    {"DRIVER", "driver", LOOK_PLAIN}, {"STATE", "state", LOOK_PLAIN},
    {"VMS", "vm_count", LOOK_PLAIN},  {"REFRESHED AT", "refreshed_at", LOOK_TIME},
};

/* "a=1" and "a=2" become a list; "true", "7" stay texts: the API knows the declared types. */
static void add_setting(json_t *object, const char *name, const char *value)
{
    json_t *before = json_object_get(object, name);
    if (before == NULL) {
        json_object_set_new(object, name, json_string(value));
        return;
    }
    if (json_is_array(before)) {
        json_array_append_new(before, json_string(value));
        return;
    }
    json_t *list = json_pack("[Os]", before, value);
    json_object_set_new(object, name, list);
}

static bool read_settings(const struct arguments *arguments, json_t *settings)
{
    for (size_t i = 0; i < arguments_count(arguments, "--setting"); i++) {
        const char *text = arguments_nth(arguments, "--setting", i);
        const char *equals = strchr(text, '=');
        if (equals == NULL || equals == text) {
            fprintf(stderr, "guts: \"%s\" is no NAME=VALUE\n", text);
            return false;
        }
        CLEANUP(xfreep) char *name = xasprintf("%.*s", (int)(equals - text), text);
        add_setting(settings, name, equals + 1);
    }
    return true;
}

/* "password" asks on the terminal, "password=@FILE" reads it; a value itself never stands in the words
 * of a command, where every user of the machine can read it. */
static bool read_secret(const char *text, json_t *settings)
{
    const char *equals = strchr(text, '=');
    CLEANUP(xfreep)
    char *name = equals != NULL ? xasprintf("%.*s", (int)(equals - text), text) : xstrdup(text);
    if (equals != NULL && equals[1] != '@') {
        fprintf(stderr,
                "guts: a secret stands in no command line: --secret %s or --secret %s=@FILE\n",
                name, name);
        return false;
    }
    struct secret *secret = NULL;
    struct error err = {0};
    bool read = equals != NULL ? secret_load(equals + 2, &secret, &err)
                               : prompt_secret(name, &secret, &err);
    if (!read) {
        fprintf(stderr, "guts: %s: %s\n", name, err.text);
        return false;
    }
    bool sound = json_object_set_new(settings, name, json_string(secret_reveal(secret))) == 0;
    if (!sound)
        fprintf(stderr, "guts: %s: the secret is not in UTF-8\n", name);
    secret_free(secret);
    return sound;
}

static bool read_unset(const struct arguments *arguments, json_t *settings)
{
    for (size_t i = 0; i < arguments_count(arguments, "--unset"); i++) {
        const char *name = arguments_nth(arguments, "--unset", i);
        if (json_object_get(settings, name) != NULL) {
            fprintf(stderr, "guts: \"%s\" is both given and unset\n", name);
            return false;
        }
        json_object_set_new(settings, name, json_null());
    }
    return true;
}

static bool read_body(const struct arguments *arguments, json_t *body)
{
    json_t *settings = json_object();
    bool fine = read_settings(arguments, settings) && read_unset(arguments, settings);
    for (size_t i = 0; fine && i < arguments_count(arguments, "--secret"); i++)
        fine = read_secret(arguments_nth(arguments, "--secret", i), settings);
    if (json_object_size(settings) > 0)
        json_object_set(body, "settings", settings);
    json_decref(settings);
    const char *description = arguments_get(arguments, "--description");
    if (description != NULL)
        json_object_set_new(body, "description", json_string(description));
    if (arguments_has(arguments, "--label")) {
        json_t *labels = json_array();
        for (size_t i = 0; i < arguments_count(arguments, "--label"); i++)
            json_array_append_new(labels, json_string(arguments_nth(arguments, "--label", i)));
        json_object_set_new(body, "labels", labels);
    }
    return fine;
}

static int show(struct session *session, json_t *object, struct guts_error *err)
{
    if (object == NULL)
        return output_error(err);
    int status = output_show(&session->output, object, NULL, 0);
    json_decref(object);
    return status;
}

int endpoint_create(struct session *session, const struct arguments *arguments, enum guts_kind kind)
{
    const char *driver = arguments_get(arguments, "--driver");
    if (driver == NULL) {
        fprintf(stderr, "guts: --driver is needed; see: guts driver list\n");
        return EXIT_USAGE;
    }
    json_t *body = json_pack("{ss ss}", "name", arguments->operands[0], "driver", driver);
    if (body == NULL || !read_body(arguments, body)) {
        json_decref(body);
        return EXIT_USAGE;
    }
    struct guts_error err = {0};
    json_t *made = guts_create(session->guts, kind, body, &err);
    json_decref(body);
    return show(session, made, &err);
}

int endpoint_set(struct session *session, const struct arguments *arguments, enum guts_kind kind)
{
    json_t *body = json_object();
    const char *name = arguments_get(arguments, "--name");
    if (name != NULL)
        json_object_set_new(body, "name", json_string(name));
    if (!read_body(arguments, body)) {
        json_decref(body);
        return EXIT_USAGE;
    }
    if (json_object_size(body) == 0) {
        fprintf(stderr, "guts: what shall change? --name, --setting, --secret, --unset, "
                        "--description or --label\n");
        json_decref(body);
        return EXIT_USAGE;
    }
    struct guts_error err = {0};
    json_t *changed = guts_update(session->guts, kind, arguments->operands[0], body, &err);
    json_decref(body);
    return show(session, changed, &err);
}

int endpoint_list(struct session *session, const struct arguments *arguments, enum guts_kind kind)
{
    struct guts_error err = {0};
    uint64_t most = 0;
    if (!arguments_number(arguments, "--limit", 1, &most))
        return EXIT_USAGE;
    json_t *list = guts_list(session->guts, kind, NULL, NULL, 0, most, &err);
    if (list == NULL)
        return output_error(&err);
    int status = output_list(&session->output, list, list_columns, COUNT_OF(list_columns));
    json_decref(list);
    return status;
}

int endpoint_show(struct session *session, const struct arguments *arguments, enum guts_kind kind)
{
    struct guts_error err = {0};
    return show(session, guts_show(session->guts, kind, arguments->operands[0], &err), &err);
}

int endpoint_delete(struct session *session, const struct arguments *arguments, enum guts_kind kind)
{
    int status = EXIT_DONE;
    for (size_t i = 0; i < arguments->operand_count; i++) {
        struct guts_error err = {0};
        json_t *answer = guts_delete(session->guts, kind, arguments->operands[i], &err);
        if (answer == NULL)
            status = output_error(&err);
        json_decref(answer);
    }
    return status;
}

int endpoint_act(struct session *session, const struct arguments *arguments, enum guts_kind kind,
                 const char *verb)
{
    struct guts_error err = {0};
    json_t *answer = guts_act(session->guts, kind, arguments->operands[0], verb, NULL, &err);
    if (answer == NULL)
        return output_error(&err);
    int status = wish_outcome(session, answer, !arguments_has(arguments, "--no-wait"));
    json_decref(answer);
    return status;
}
