/* SPDX-License-Identifier: Apache-2.0 */
#include "manage/manage.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/conf/conf.h"

static const struct manage_command *const commands[] = {
    &manage_db_sync,      &manage_keygen,       &manage_token_create,   &manage_token_list,
    &manage_token_revoke, &manage_config_check, &manage_keystone_setup,
};

/* ---- configuration ---- */

static struct db_settings db_settings;

bool manage_config(const struct manage *manage, struct error *err)
{
    static struct conf *conf; /* the settings point into it */
    const struct conf_section section = {"database", db_conf_keys, db_conf_key_count, &db_settings};
    return conf != NULL || conf_load(manage->config, &section, 1, &conf, err);
}

bool manage_store(const struct manage *manage, struct store **ret_store, struct error *err)
{
    if (!manage_config(manage, err))
        return false;
    *ret_store = store_new(&db_settings);
    return true;
}

static void print_config_example(void)
{
    struct db_settings settings;
    const struct conf_section section = {"database", db_conf_keys, db_conf_key_count, &settings};
    conf_print_example(&section, 1);
}

/* ---- for the commands ---- */

int manage_fail(const struct error *err)
{
    const struct fault *fault = err->fault;
    fprintf(stderr, "guts-manage: %s\n%s: %s\n", err->text, fault->code, fault->hint);
    if (fault == &FAULT_CONFIG)
        return MANAGE_CONFIG_WRONG;
    bool is_away = fault == &FAULT_DB_UNAVAILABLE || fault == &FAULT_UNAVAILABLE;
    return is_away ? MANAGE_UNAVAILABLE : MANAGE_FAILED;
}

int manage_usage(const struct manage_command *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "guts-manage %s: ", command->name);
    vfprintf(stderr, format, args);
    fprintf(stderr, " (see guts-manage %s --help)\n", command->name);
    va_end(args);
    return MANAGE_USAGE;
}

static void print_command_help(const struct manage_command *command)
{
    printf("guts-manage %s: %s\n\n%s", command->name, command->summary, command->help);
}

bool manage_options(const struct manage_command *command, int argc, char **argv,
                    const struct option *options, const char *ret_values[MANAGE_OPTIONS_MOST],
                    int *ret_status)
{
    optind = 0; /* glibc: begin anew */
    for (;;) {
        int option = getopt_long(argc, argv, "h", options, NULL);
        if (option == -1)
            return true;
        if (option == 'h') {
            print_command_help(command);
            *ret_status = MANAGE_DONE;
            return false;
        }
        if (option == '?') {
            *ret_status = manage_usage(command, "the options are wrong");
            return false;
        }
        ret_values[option] = optarg;
    }
}

/* ---- the whole ---- */

static void print_help(void)
{
    printf("guts-manage: prepares an installation of guts and cares for it\n\n"
           "usage: guts-manage [--config FILE] COMMAND [OPTION…]\n\ncommands:\n");
    for (size_t i = 0; i < COUNT_OF(commands); i++)
        printf("  %-15s %s\n", commands[i]->name, commands[i]->summary);
    printf("\n  -c, --config FILE  read FILE instead of %s\n"
           "  --help-config      print a configuration with all keys and defaults, and end\n"
           "  --version          print the version, and end\n"
           "  -h, --help         print this, and end; also of each command\n\n"
           "exit status: 0 done, 1 refused or failed, 2 wrong usage, 3 wrong configuration,\n"
           "4 the database, or Keystone, cannot be reached at present\n",
           MANAGE_CONFIG);
}

/* What stands before the command. Returns true to go on with it. */
static bool own_options(int argc, char **argv, struct manage *manage, int *ret_status)
{
    enum { HELP_CONFIG = 1, VERSION };
    static const struct option known[] = {
        {"config", required_argument, NULL, 'c'},
        {"help-config", no_argument, NULL, HELP_CONFIG},
        {"version", no_argument, NULL, VERSION},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    *ret_status = MANAGE_DONE;
    for (;;) {
        switch (getopt_long(argc, argv, "+c:h", known, NULL)) {
        case 'c':
            manage->config = optarg;
            break;
        case HELP_CONFIG:
            print_config_example();
            return false;
        case VERSION:
            printf("guts-manage %s\n", GUTS_VERSION);
            return false;
        case 'h':
            print_help();
            return false;
        case -1:
            return true;
        default:
            *ret_status = MANAGE_USAGE;
            return false;
        }
    }
}

static int run(const struct manage *manage, int argc, char **argv)
{
    if (argc == 0) {
        fprintf(stderr, "guts-manage: a command is missing (see --help)\n");
        return MANAGE_USAGE;
    }
    for (size_t i = 0; i < COUNT_OF(commands); i++)
        if (strcmp(argv[0], commands[i]->name) == 0)
            return commands[i]->run(manage, commands[i], argc, argv);
    fprintf(stderr, "guts-manage: there is no command \"%s\" (see --help)\n", argv[0]);
    return MANAGE_USAGE;
}

int main(int argc, char **argv)
{
    struct manage manage = {MANAGE_CONFIG};
    int status;
    signal(SIGPIPE, SIG_IGN); /* a server that hangs up is an error of the write */
    if (!own_options(argc, argv, &manage, &status))
        return status;
    db_library_begin();
    status = run(&manage, argc - optind, argv + optind);
    db_library_end();
    if (fflush(stdout) != 0 && status == MANAGE_DONE)
        status = MANAGE_FAILED; /* a token that nobody got is no success */
    return status;
}
